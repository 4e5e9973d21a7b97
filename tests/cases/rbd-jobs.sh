#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What takes long on images is a job: a copy of an image that cannot be cloned
# shows its progress and is cancelled, with nothing left of it; the clearing away
# of a removed image shows, and does not keep the pool from being used.
# shellcheck disable=SC2016 source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/ceph.sh
. "$(dirname "$0")/../ceph.sh"
ceph_shared
pf_setup
rbd_pool p
head -c 64M /dev/urandom >"$T/in"
# No layering, so no clone.
rbd create --size 400M --image-feature exclusive-lock v
for i in 0 1 2 3 4 5; do dd if="$T/in" of="$M/p/v" bs=1M seek=$((i * 64)) conv=notrunc status=none; done
job() { awk -v verb="$1" '$0 ~ verb { print $1; exit }' "$C/jobs"; }
copy() { ctl clone v w; }
copy 2>"$T/err" &
copier=$!
wait_for 20 eval '[ -n "$(job clone)" ]'
tap $? "a copy is a job: $(cat "$C/jobs")"
ok "it is cancelled" sh -c 'echo "cancel $1" >"$2/jobs"' sh "$(job clone)" "$C"
! wait $copier
tap $? "the verb fails"
like "$(cat "$T/err")" "cancel" "and says why"
nothing() { [ "$(images)" = v ]; }
wait_for 20 nothing
tap $? "nothing is left of it" || images | diag
is "$(rbd trash ls --all | wc -l)" "0" "nor in the trash"
truncate -s 440M "$M/p/v"
cp "$T/in" "$M/p/small"
ok "one that is let go ends well" ctl clone small whole
is "$(image_md5 whole)" "$(md5 "$T/in")" "and is equal"

rbd create --size 200G --image-feature layering big
rm "$M/p/big"
wait_for 20 grep -q 'tidy\|remove' "$C/jobs"
tap $? "clearing away is a job: $(cat "$C/jobs")"
ok "the pool is used meanwhile" cp "$T/in" "$M/p/other"
took rmdir "$M/p"
within 10 "and stopped, without waiting for it"
rbd_stop p 10
tap $? "which does not last long"
mkdir "$M/p"
ok "it starts again" [ -e "$M/p/other" ]
cleared() { [ "$(rbd trash ls --all | wc -l)" = 0 ]; }
wait_for 60 cleared
tap $? "and what was begun comes to its end"
done_testing
