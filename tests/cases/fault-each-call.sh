#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The first, second, third ... call of each operation fails, over define, start,
# create, write, resize, clone, delete and stop, until none does: each time
# there is a reason, nothing leaks, and the pool works afterwards.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/hang.sh
. "$(dirname "$0")/../hang.sh"
need python3
pf_setup -o nopassthrough,fault
pf_pool p
rmdir "$M/p"
ctl=$C/pools/p/ctl
head -c 100000 /dev/urandom >"$T/in"

# One after the other until one fails; its name goes to $T/step.
life() {
	local step
	for step in define start create attributes write read resize rename list clone wipe copy close delete stop; do
		echo $step >"$T/step"
		"life_$step" || return
	done 2>"$T/words"
	echo whole >"$T/step"
}
life_define() { pf_xml p >"$C/pools/p.xml"; }
life_start() { mkdir "$M/p"; }
life_create() { fsop create "$M/p/v" >/dev/null && ln -s v "$DATA/p/l"; }
life_attributes() { chmod 600 "$M/p/v" && readlink "$M/p/l" >/dev/null && df "$M/p" >/dev/null; }
life_write() { dd if="$T/in" of="$M/p/v" conv=notrunc,fsync bs=64k status=none; }
life_read() { cmp "$T/in" "$M/p/v" && dd if="$M/p/v" iflag=direct of=/dev/null bs=64k status=none; }
life_resize() {
	echo "resize v 200000" >"$ctl" && truncate -s 150000 "$M/p/v" && fsop allocate "$M/p/v" >/dev/null &&
		fsop resize "$M/p/v" >/dev/null && fsop punch "$M/p/v" >/dev/null && fsop seek "$M/p/v" >/dev/null
}
life_rename() { mv "$M/p/v" "$M/p/w" && mv "$M/p/w" "$M/p/v" && fsop fsync "$M/p" >/dev/null; }
life_list() { ls -l "$M/p" >/dev/null; }
life_clone() { echo "clone v c" >"$ctl" && cmp "$M/p/v" "$M/p/c"; }
life_wipe() { echo "wipe c zero" >"$ctl"; }
life_copy() { cp "$M/p/v" "$M/p/d" && cmp "$M/p/v" "$M/p/d"; }
life_close() { fsop close "$M/p/v" >/dev/null; }
life_delete() { rm "$M/p/v" "$M/p/c" "$M/p/d" "$M/p/l"; }
# The releases of what was closed come later than close: they count here.
life_stop() { sleep 0.05 && cat "$C/pools/p/error" >"$T/error" && rmdir "$M/p"; }

calls() { sed -n "s/^p $1 .*: \([0-9]*\) calls.*/\1/p" "$C/fault"; }
inactive() { state_is p inactive || state_is p failed; }
again() { # from any state to a stopped, empty pool
	fault clear
	wait_for 10 rmdir "$M/p" || inactive || return
	rm -f "$DATA/p"/*
	[ -z "$(ls -A "$DATA/p")" ]
}

life || again
ok "a whole life without faults" life
is "$(cat "$T/step")" whole "each step of it"
again
before=$(fds)
threads=$(threads)
runs=0 reached=0
for op in start stop usage list sync stat readlink create remove rename setattr resize clone wipe \
	open close fstat read write flush truncate allocate seek copy; do
	good='' words=''
	for n in $(seq 200); do
		: >"$T/error"
		fault "p $op $n fail EIO"
		life
		step=$(cat "$T/step")
		fired=$(calls $op)
		runs=$((runs + 1))
		if [ "${fired:-0}" -lt "$n" ]; then # nothing failed
			[ "$step" = whole ] || words+="call $n was not made, but $step failed: $(cat "$T/words"); "
			again || words+="call $n: not to be stopped; "
			break
		fi
		reached=$((reached + 1))
		# What failed for a program, or only beside it (a close, df's numbers).
		[ "$step" = whole ] || [ "$step" = stop ] && reason=$(cat "$T/error") || reason=
		[ -n "$reason" ] || reason=$(cat "$C/pools/p/error")
		[[ $reason == *"fault rule makes call $n of '$op' fail with EIO"* ]] ||
			words+="call $n ($step): the reason is '$reason'; "
		again || words+="call $n ($step): left: $(ls -A "$DATA/p") $(pf_info p state); "
	done
	[ -z "$words" ] && [ "$n" -gt 1 ] && [ "$n" -lt 200 ]
	tap $? "$op: each of $((n - 1)) calls" || echo "$words" | fold -w 200 | diag
done
life
is "$(cat "$T/step")" whole "a whole life after $reached faults in $runs lives"
again
wait_for 10 fds_most "$before"
tap $? "no descriptor is left" || ls -l "/proc/$pf_pid/fd" | diag
wait_for 20 threads_most $((threads + 4))
tap $? "no thread is left" || threads | diag
done_testing
