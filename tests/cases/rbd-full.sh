#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A RADOS pool that is full: Ceph lets writers wait for ever; here they have
# ENOSPC or EDQUOT within seconds, what was there is read, rm makes room, and then
# writing goes on.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/ceph.sh
. "$(dirname "$0")/../ceph.sh"
ceph_shared
pf_setup
rbd_nearly_full
# The monitor looks every few seconds.
at=8
full() { # each at a new place: what has its room already may be written again
	at=$((at + 1))
	! dd if="$T/in" of="$M/p/w" bs=64k count=1 seek=$at conv=notrunc,fsync status=none 2>"$T/err"
}
wait_for 40 full
tap $? "a write fails in the end" || cluster ops | diag
took full
within 20 "and others do at once"
like "$(cat "$T/err")" "No space left|Disk quota exceeded" "with the right error"
like "$(cat "$C/error")" "'(w|p)'|'$rados'" "and a sentence: $(cat "$C/error")"
took touch "$M/p/new"
took dd if="$T/in" of="$M/p/new" bs=64k count=4 conv=fsync status=none
not_ok "nor is a new volume filled" [ "$rc" -eq 0 ]
within 30 "which is known in seconds"
is "$(md5 "$M/p/v")" "$(md5 "$T/in")" "what was there is read"
took ls -l "$M/p"
within 10 "and listed"
took rm -f "$M/p/v" "$M/p/new"
is "$rc" "0" "rm works" || diag <<<"$out"
within 30 "in good time"
write() { dd if="$T/in" of="$M/p/w" bs=64k count=4 conv=notrunc,fsync status=none; }
wait_for 60 write
tap $? "when there is room again writing goes on" || { cat "$C/error"; with_conf ceph df; } | diag
cmp -n $((256 << 10)) "$M/p/w" "$T/in"
tap $? "and is right"
done_testing
