#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# umount -l and the end of the daemon come in bounded time while drivers hang,
# whoever waits gets an error, and the next daemon finds all in order.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/hang.sh
. "$(dirname "$0")/../hang.sh"
need python3
PF_OPTIONS=nopassthrough,fault
pf_setup -o $PF_OPTIONS,timeout=120
hang_pools
pf_define late
v=$M/p/v

ends() { # WHAT: the daemon, by itself, with the waiters
	local pid
	pf_wait_end 40
	is "$?" 0 "$1: the daemon ends"
	for pid in "${pids[@]}"; do
		wait_for 10 ended "$pid"
		tap $? "$1: the program that waited ends" || waiter_state "$pid" | diag
	done
	! pf_mounted
	tap $? "$1: no mount is left"
	pf_launch
	pf_pool p
	quick "$1: the next daemon takes the pool over" md5sum "$M/p/v1"
	wait_for 10 state_is other active
	tap $? "$1: the other pool as well"
	pids=()
}
pids=()
hang() { # OP ACTION FILE...
	fault "p $1 0 hang"
	shift
	fsop_waits "$@"
	pids+=("$waiter")
}

all_hang() {
	hang read read "${v}1"
	hang write writedirect "${v}2"
	hang stat stat "${v}3"
	hang flush fsync "${v}4"
	hang allocate allocate "${v}5"
	hang wipe verb "$C/pools/p/ctl" "wipe v6 zero"
	fault "late start 0 hang"
	mkdir "$M/late"
	fault "other usage 0 hang"
	df "$M/other" >/dev/null
	wait_for 20 held_least 5
	tap $? "calls hang"
}
all_hang
kill -TERM "$pf_pid"
ends "SIGTERM"
[ ! -e "$M/late" ]
tap $? "what had not started does not run"

hang read read "${v}1"
wait_for 20 held_is 1
fault "other stop 0 hang"
fsop rmdir "$M/other" 2>"$T/out"
like "$(cat "$T/out")" EINPROGRESS "a stop hangs"
kill -TERM "$pf_pid"
ends "SIGTERM while a stop hangs"

# Nobody has the mount any more: it ends with its last request.
pf_stop
pf_args=(-o "$PF_OPTIONS,timeout=3")
pf_launch
pf_pool p
hang read read "${v}1"
hang allocate allocate "${v}2"
wait_for 20 held_least 2
umount -l "$M"
tap $? "umount -l"
ends "umount -l"

# The daemon's own calls hang in the kernel: no signal ends it, but those who
# wait for it are let go.
inner_start
pf_stop
pf_args=(-o "$PF_OPTIONS,timeout=120")
pf_launch
pf_define r "$T/inner/q"
mkdir "$M/r"
head -c 65536 /dev/urandom >"$DATA/q/v1"
kill -STOP "$inner_pid"
fsop_waits read "$M/r/v1"
pids+=("$waiter")
fsop_waits stat "$M/r/v2"
pids+=("$waiter")
sleep 0.5
kill -TERM "$pf_pid"
for pid in "${pids[@]}"; do
	wait_for 20 ended "$pid"
	tap $? "a daemon that cannot end lets go of who waits" || waiter_state "$pid" | diag
done
pids=()
kill -CONT "$inner_pid"
ends "what hung has ended"
rmdir "$M/r"
inner_stop
done_testing
