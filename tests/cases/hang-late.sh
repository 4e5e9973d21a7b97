#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A write that timed out may still land: its volume takes no I/O until it has
# ended, and the rest of the pool goes on. What can be taken back is taken back.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/hang.sh
. "$(dirname "$0")/../hang.sh"
need python3
pf_setup -o nopassthrough,fault,timeout=2
hang_pools
v=$M/p/v

# Held by a rule as an asynchronous driver would hold it: cancelled in time.
fault "p write 1 hang"
sum=$(md5 "$DATA/p/v1")
took fsop write "${v}1"
is "$rc $out" "1 ETIMEDOUT" "a write that can be cancelled: ETIMEDOUT"
[ "$ms" -ge 1900 ]
tap $? "after the two seconds of the option" || echo "$ms ms" | diag
like "$(cat "$C/pools/p/error")" "pool 'p' has not answered write in time" "the reason"
is "$(held)" 0 "the driver has it no more"
quick "its volume takes writes at once" dd if=/dev/zero of="${v}1" bs=4k count=1 conv=notrunc status=none
is "$(md5 "${v}1")" "$({ head -c 4096 /dev/zero; tail -c +4097 "$DATA/p/v1"; } | md5sum | cut -d' ' -f1)" "nothing else was written"
[ "$(md5 "$DATA/p/v1")" != "$sum" ]
tap $? "but that was"
fault clear

refused() { # OP FILE WHAT
	took fsop "$1" "$2"
	is "$rc $out" "1 ETIMEDOUT" "$3: ETIMEDOUT"
	like "$(cat "$C/pools/p/error")" "'${2##*/}' takes no I/O until a write that was given up has ended" \
		"$3: the reason"
}

# A call that blocks cannot be taken back.
fault "p allocate 1 hang"
took fsop allocate "${v}2"
is "$rc $out" "1 ETIMEDOUT" "an allocation that blocks: ETIMEDOUT"
refused readdirect "${v}2" "a read meanwhile"
refused writedirect "${v}2" "a write meanwhile"
refused truncate "${v}2" "a truncation meanwhile"
refused punch "${v}2" "a hole meanwhile"
quick "stat meanwhile" stat "${v}2"
quick "another volume meanwhile" dd if=/dev/zero of="${v}3" bs=4k count=1 conv=notrunc status=none
fault clear
# shellcheck disable=SC2317
usable() { fsop readdirect "${v}2" && fsop writedirect "${v}2"; }
wait_for 20 usable
tap $? "the volume is usable when it has ended"

# Truncation by the name, and by opening.
fault "p truncate 1 hang"
took fsop trunc "${v}2"
is "$rc $out" "1 ETIMEDOUT" "O_TRUNC that blocks: ETIMEDOUT"
refused readdirect "${v}2" "a read after O_TRUNC"
fault clear
wait_for 20 usable
tap $? "the volume is usable after O_TRUNC"

# A real write that hangs in the kernel below the pool, and lands later.
inner_start
pf_define r "$T/inner/q"
quick "a pool in another file system" mkdir "$M/r"
head -c 65536 /dev/urandom >"$DATA/q/v1"
head -c 65536 /dev/urandom >"$DATA/q/v2"
inner_fault "q write 1 hang"
took fsop write "$M/r/v1"
is "$rc $out" "1 ETIMEDOUT" "a write that hangs below: ETIMEDOUT"
inner_held 1
tap $? "it hangs below"
v=$M/r/v
late() { # OP
	took fsop "$1" "${v}1"
	is "$rc $out" "1 ETIMEDOUT" "$1 meanwhile: ETIMEDOUT"
}
late readdirect
late writedirect
quick "another volume meanwhile" dd if=/dev/zero of="${v}2" bs=4k count=1 conv=notrunc status=none
quick "another pool meanwhile" md5sum "$M/other/v"
like "$(cat "$C/pools/r/error")" "takes no I/O until" "the reason"
inner_fault clear
wait_for 20 fsop readdirect "${v}1"
tap $? "the volume is usable when the write has landed"
is "$(md5 "${v}1")" "$(head -c 65536 /dev/zero | tr '\0' w | md5sum | cut -d' ' -f1)" "it has landed whole"

# Everything below hangs, and no signal reaches the daemon's calls.
kill -STOP "$inner_pid"
for op in stat list read writedirect; do
	fsop_waits $op "$M/r/v1"
	sleep 0.2
	kill -KILL "$waiter"
	wait_for 10 ended "$waiter"
	tap $? "SIGKILL ends who waits for it: $op" || waiter_state "$waiter" | diag
done
quick "another pool" md5sum "$M/other/v"
quick "ls -l of the mount" ls -l "$M"
quick "info" cat "$C/pools/r/info"
kill -CONT "$inner_pid"
wait_for 20 fsop readdirect "${v}1"
tap $? "it goes on when the rest does"
wait_for 20 rmdir "$M/r"
tap $? "the pool stops"
inner_stop
done_testing
