#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# rm of an image: refused while somebody else has it open (EBUSY) or it has
# snapshots (ENOTEMPTY), each named; of a big image it answers at once, and the
# data goes as a job; what others put into Ceph's trash stays there.
# shellcheck disable=SC2016 source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/ceph.sh
. "$(dirname "$0")/../ceph.sh"
ceph_shared
pf_setup
rbd_pool p
trash() { rbd trash ls --all | wc -l; }

rbd create --size 4M theirs
rbd trash mv theirs
rbd create --size 4M v
hold v open
fails_with "busy" "rm while another program has it open" rm "$M/p/v"
like "$(cat "$C/error")" "'v'.*127\.0\.0\.1|127\.0\.0\.1.*'v'" "the reason says which, and who"
fails_with "busy" "shrinking while another has it open" ctl resize v 1M shrink
let_go
wait_for 10 rm "$M/p/v"
tap $? "when it is closed rm works" || diag <"$C/error"

rbd create --size 4M s
rbd snap create --no-progress s@monday
fails_with "not empty" "rm of an image with a snapshot" rm "$M/p/s"
like "$(cat "$C/error")" "monday" "the reason names the snapshot"
is "$(images)" "s" "the image is there"
rbd snap protect s@monday
rbd clone "$rados/s@monday" "$rados/child"
fails_with "not empty" "with a child" rm "$M/p/s"
rbd rm --no-progress child
rbd snap unprotect s@monday
rbd snap rm --no-progress s@monday
ok "without them rm works" rm "$M/p/s"

# A large one without a map of its objects takes Ceph many seconds.
rbd create --size 256G --image-feature layering big
took rm "$M/p/big"
is "$rc" "0" "rm of a big image"
within 5 "answers at once"
is "$(images)" "" "the name is free"
ok "for another" truncate -s 1M "$M/p/big"
wait_for 50 eval '[ "$(trash)" -eq 1 ]'
tap $? "in the end only the other's image is in the trash" || rbd trash ls --all | diag
like "$(rbd trash ls --all)" "theirs" "which poolfs leaves alone"

# What a daemon that died left is done by the next.
for i in 1 2 3; do rbd create --size 20G --image-feature layering "left$i"; done
rm "$M/p/left1" "$M/p/left2" "$M/p/left3"
pf_kill9
[ "$(trash)" -gt 1 ]
tap $? "the daemon is killed with images in the trash: $(trash)"
pf_launch
wait_for 50 eval '[ "$(trash)" -eq 1 ]'
tap $? "the next daemon removes them" || rbd trash ls --all | diag

# Open in this mount.
cp /etc/hostname "$M/p/o"
exec 7<"$M/p/o"
if rm "$M/p/o" 2>"$T/err"; then
	is "$(cat <&7)" "$(cat /etc/hostname)" "removed while open, it can still be read"
else
	like "$(cat "$T/err")" "busy" "removing an open volume is refused"
	is "$(cat <&7)" "$(cat /etc/hostname)" "and it can be read"
fi
exec 7<&-
done_testing
