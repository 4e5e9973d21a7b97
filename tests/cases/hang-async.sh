#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Asynchronous I/O through the mount: 1,000 reads and 1,000 writes outstanding
# under a hang rule cost no threads, and all end well when it is cleared; 200
# readaheads and 200 asynchronous requests that hang do not stop another pool.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/hang.sh
. "$(dirname "$0")/../hang.sh"
need python3
pf_setup -o nopassthrough,fault,timeout=120
hang_pools
aio=$PF_BUILD/tests/tools/aio
truncate -s 4096000 "$DATA/p/a"
before=$(threads)

for op in write read; do
	fault "p $op 0 hang"
	"$aio" $op "$M/p/a" 1000 4096 >"$T/$op" 2>&1 &
	pid=$!
	wait_for 30 held_is 1000
	tap $? "$op: 1,000 requests are held" || cat "$T/$op" "$C/fault" | diag
	# Those that took the 1,000 in, beside a busy machine, end when idle.
	wait_for 20 threads_most $((before + 8))
	tap $? "$op: they need no threads" || threads | diag
	is "$(cat "$T/$op")" submitted "$op: none has ended"
	others_answer "$op: 1,000 requests outstanding"
	fault clear
	wait "$pid"
	is "$? $(tail -n 1 "$T/$op")" "0 ok 1000" "$op: all are right when the rule is cleared"
done
rm -f "$M/p/a"

# Refused ones: every second call fails.
truncate -s 4096000 "$DATA/p/b"
for i in $(seq 100); do echo "p write $((i * 2)) fail ENOSPC"; done >"$C/fault"
"$aio" write "$M/p/b" 1000 4096 >"$T/out" 2>&1
like "$(cat "$T/out")" "ok 900.*ENOSPC 100" "100 of 1,000 fail, each once, with their errno"
fault clear

# The kernel has one queue of background requests for the whole mount.
truncate -s 32M "$DATA/p/big"
head -c 64M /dev/urandom >"$DATA/other/big"
fault "p read 0 hang"
fsop willneed "$M/p/big" >/dev/null
wait_for 30 held_least 200
tap $? "200 readaheads hang" || diag <"$C/fault"
sleep 0.3
n=$(held)
"$aio" read "$M/p/big" 200 4096 >"$T/out" 2>&1 &
pid=$!
wait_for 30 held_least $((n + 200))
tap $? "200 asynchronous requests hang" || diag <"$C/fault"
quick "another pool's buffered dd: read" dd if="$M/other/big" of=/dev/null bs=1M status=none
quick "another pool's buffered dd: write" dd if=/dev/zero of="$M/other/new" bs=1M count=64 status=none
quick "another pool's direct dd" dd if="$M/other/big" of=/dev/null bs=1M iflag=direct status=none
others_answer "readahead and asynchronous requests"
# The kernel drops the pages at an open of a changed file, and waits for those
# that are being read without heeding a signal; here it is the open that waits.
for signal in INT KILL; do
	for op in stat open; do
		echo x >>"$DATA/p/big"
		fsop_waits $op "$M/p/big"
		sleep 0.5
		running "$waiter"
		tap $? "$op of a changed volume waits for its readahead"
		kill -$signal "$waiter"
		wait_for 10 ended "$waiter"
		tap $? "SIG$signal ends it" || waiter_state "$waiter" | diag
	done
done
quick "a listing does not wait" "$top/tests/tools/fsop.py" list "$M/p"
fsop_waits resize "$M/p/big"
sleep 0.5
kill -KILL "$waiter"
wait_for 10 ended "$waiter"
tap $? "SIGKILL ends a truncation of it" || waiter_state "$waiter" | diag
fault clear
wait "$pid"
wait_for 20 held_is 0
wait_for 20 threads_most $((before + 4))
tap $? "no thread is left" || threads | diag
done_testing
