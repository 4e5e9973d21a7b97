#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Images whose lock goes while they are open: the feature is taken away, and they are
# written to as those that never had one; or mirroring makes them a copy that nobody
# may write, and it is said so.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/ceph.sh
. "$(dirname "$0")/../ceph.sh"
ceph_shared
pf_setup
rbd_pool p
head -c 4M /dev/urandom >"$T/in"
# shellcheck disable=SC2317
write() { dd if="$T/in" of="$1" bs=1M conv=notrunc,fsync status=none; }

rbd create --size 4M v
exec 8<>"$M/p/v"
ok "a volume is written" write "$M/p/v"
ok "the lock's feature is taken from it" \
	rbd feature disable v object-map,fast-diff,exclusive-lock
sleep 2                         # to be alone is believed for a second
ok "it is written again" write "$M/p/v"
is "$(image_md5 v)" "$(md5 "$T/in")" "and has that"
exec 8>&-
hold v write
exec 8<>"$M/p/v"
sleep 2
fails_with "busy" "while another has it open it is not" write "$M/p/v"
exec 8>&-
let_go

rbd create --size 4M w
ok "mirroring is enabled" with_conf timeout 100 rbd mirror pool enable "$rados" image
ok "for an image" rbd mirror image enable w snapshot
exec 8<>"$M/p/w"
head -c 1 <&8 >/dev/null
ok "which is demoted" rbd mirror image demote w
sum=$(image_md5 w)
fails_with "Read-only file system" "it is not written any more" write "$M/p/w"
like "$(cat "$C/error")" "'w'.*mirroring" "and it is said why"
is "$(image_md5 w)" "$sum" "it is as it was"
ok "it is promoted" rbd mirror image promote w
ok "and written" write "$M/p/w"
is "$(image_md5 w)" "$(md5 "$T/in")" "and has that"
exec 8>&-
done_testing
