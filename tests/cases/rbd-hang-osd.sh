#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The OSD stops answering: what needs it fails at its deadline with a sentence,
# programs that wait can be ended, closing and stopping hang nobody, another
# cluster's pool and a dir pool feel nothing, and all is well when it answers.
# shellcheck disable=SC2016 source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/ceph.sh
. "$(dirname "$0")/../ceph.sh"
ceph_shared
pf_setup
rbd_pool far
truncate -s 4M "$M/far/v"
pf_at_end+=(second_end)
second_end() { "$top/tests/ceph" stop "$T/second"; }
"$top/tests/ceph" start "$T/second" || exit 1
first=$ceph first_rados=$rados
ceph_use "$T/second"
rados=rbd secret=2ec115d7-3a88-3ceb-bc12-0ac909a6fd88
rbd_pool p client_mount_timeout=3 rados_mon_op_timeout=3 rados_osd_op_timeout=3
pf_pool other
echo text >"$M/other/v"
for v in r w idle; do rbd create --size 8M $v; done
head -c 8M /dev/urandom >"$T/in"
cp "$T/in" "$M/p/r"
exec 7<>"$M/p/w"
printf before >&7

others() { # WHEN
	took sh -c 'ls -l "$1" "$1/other" "$1/far" && cat "$1/other/v" "$1/control/pools/p/info" "$1/control/log" >/dev/null &&
		echo more >"$1/other/v" && dd if=/dev/zero of="$1/far/v" bs=64k count=4 conv=notrunc,fsync && cat "$1/far/v" >/dev/null' sh "$M"
	is "$rc" "0" "$1: other pools go on"
	within 5 "$1: at once"
}
cluster pause osd.0
took dd if="$M/p/r" of=/dev/null bs=64k iflag=direct
not_ok "OSD stopped: a read fails" [ "$rc" -eq 0 ]
within 40 "at its deadline"
like "$(cat "$C/error")" "'r'|'p'" "with a sentence: $(cat "$C/error")"
others "after a read"
took dd if="$T/in" of="$M/p/w" bs=64k count=1 conv=notrunc,fsync status=none
not_ok "a write and its fsync fail" [ "$rc" -eq 0 ]
within 60 "at their deadline"
took ls "$M/p"
within 40 "ls ends"
took truncate -s 16M "$M/p/idle"
not_ok "truncate fails" [ "$rc" -eq 0 ]
within 40 "in bounded time"
# Ended by a signal, while it waits.
cat "$M/p/r" >/dev/null 2>&1 &
waiter=$!
sleep 0.3
kill -INT $waiter 2>/dev/null
kill -TERM $waiter 2>/dev/null
took sh -c 'while kill -0 "$1" 2>/dev/null; do sleep 0.05; done' sh $waiter
wait $waiter 2>/dev/null
within 10 "a reader is ended by a signal"
others "with all that"
took python3 -c 'import os
os.close(7)'
within 5 "close of a written volume returns"
exec 7>&-
took rmdir "$M/p"
within 5 "rmdir of the pool answers"
others "after rmdir"
took ls "$M/far"
within 5 "the mount is alive"

cluster resume osd.0
again() { [ "$(pf_info p state)" = active ] || mkdir "$M/p"; }
wait_for 40 again
tap $? "OSD answers: the pool is there, or starts again" || diag <"$C/error"
same() { cmp "$T/in" "$M/p/r"; }
wait_for 40 same
tap $? "what was there is right" || diag <"$C/error"
write() { dd if="$T/in" of="$M/p/w" bs=64k conv=notrunc,fsync status=none; }
wait_for 40 write
tap $? "and it is written" || diag <"$C/error"
ok "as Ceph says, too" [ "$(image_md5 w)" = "$(md5 "$T/in")" ]

# The daemon ends with the OSD stopped.
exec 7<>"$M/p/w"
printf x >&7
cluster pause osd.0
printf y >&7
exec 7>&-
begun=$(now_ms)
kill -TERM "$pf_pid"
pf_wait_end 60
rc=$?
ms=$(($(now_ms) - begun))
is "$rc" "0" "the daemon ends at SIGTERM with the OSD stopped"
within 40 "in bounded time"
cluster resume osd.0
ceph_use "$first"
rados=$first_rados
done_testing
