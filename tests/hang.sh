# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# tests/hang.sh - read after lib.sh by the cases in which a driver hangs or
# fails by a rule in control/fault: rules, what they hold, programs that wait
# and are ended by a signal, and what must go on meanwhile. Ends only programs
# that it started, by their process id.

fsop() { "$top/tests/tools/fsop.py" "$@"; }

fault() { echo "$*" >"$C/fault"; }                # a rule, or clear

# How many calls the rules hold now.
held() { awk '{ n += $(NF - 1) } END { print n + 0 }' "$C/fault"; }
held_is() { [ "$(held)" -eq "$1" ]; }
held_least() { [ "$(held)" -ge "$1" ]; }

threads() { awk '/^Threads:/ { print $2 }' "/proc/$pf_pid/status"; }
threads_most() { [ "$(threads)" -le "$1" ]; }
fds() { find "/proc/$pf_pid/fd" -maxdepth 1 -type l | wc -l; }
fds_most() { [ "$(fds)" -le "$1" ]; }

now_ms() { date +%s%3N; }

# At once: what hangs does so for 30 seconds and more, so 5 tell it apart from
# a machine that is slow.
quick() { # DESCRIPTION COMMAND...
	local desc=$1
	shift
	ok "$desc" timeout -k 1 5 "$@"
}

# The program waits in the background; its process id goes to $waiter. Signals
# do what they do by default, which a shell's background jobs do not.
waits() { # COMMAND...
	env --default-signal=INT "$@" </dev/null >"$T/waiter.out" 2>&1 &
	waiter=$!
	disown "$waiter" # no word about its end
}
fsop_waits() { waits "$top/tests/tools/fsop.py" "$@"; }

running() { grep -qs '^State:[[:space:]]*[^ZX]' "/proc/$1/status"; }
ended() { ! running "$1"; }
waiter_state() { sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null; }

# All that must not feel a hanging pool. `other` is a running pool with a
# volume v of 1 MiB, `idle` a defined one.
others_answer() { # WHAT: for the descriptions
	quick "$1: ls and ls -l of the mount" ls -l "$M"
	# shellcheck disable=SC2016
	quick "$1: another pool's ls, read and write" sh -c 'ls -l "$1" && ls "$1" &&
		dd if="$1/v" of=/dev/null bs=64k status=none && dd if="$1/v" of=/dev/null bs=64k \
		iflag=direct status=none && dd if=/dev/zero of="$1/v" bs=64k count=16 conv=notrunc \
		status=none && cp "$1/v" "$1/w" && mv "$1/w" "$1/x" && rm "$1/x"' sh "$M/other"
	# shellcheck disable=SC2016
	quick "$1: control/" sh -c 'ls "$1" && ls -l "$1/pools/p" && cat "$1/pools/p/info" \
		"$1/pools/p/error" "$1/log" "$1/error" "$1/version"' sh "$C"
	# shellcheck disable=SC2016
	quick "$1: mkdir and rmdir of another pool" sh -c 'mkdir "$1" && rmdir "$1"' sh "$M/idle"
}

hang_pools() { # p with v1 to v6, other with v, idle
	local v
	pf_pool p
	pf_pool other
	pf_define idle
	for v in 1 2 3 4 5 6; do
		head -c 65536 /dev/urandom >"$DATA/p/v$v"
	done
	head -c 1M /dev/urandom >"$DATA/other/v"
	# Who announces them has looked at them by then, and the kernel knows nothing of that
	# any more: a stat asks the driver.
	wait_for 20 grep -q "volume-created other v" "$C/events"
	sleep 1
	ls -l "$M" "$M/p" "$M/other" >/dev/null
	sleep 0.2
}

# A program that does ACTION waits in the driver's OP; a signal ends it.
interrupted() { # OP SIGNAL HELD ACTION...
	local op=$1 signal=$2 count=$3 desc
	shift 3
	desc="$1 in a hanging $op"
	fsop_waits "$@"
	if ! wait_for 20 held_least "$count"; then
		tap 1 "$desc: the driver was called"
		{ cat "$T/waiter.out"; cat "$C/fault"; } | diag
		return
	fi
	[ "$signal" != INT ] || others_answer "$desc"
	running "$waiter"
	tap $? "$desc: the program waits" || diag <"$T/waiter.out"
	kill "-$signal" "$waiter"
	wait_for 10 ended "$waiter"
	tap $? "$desc: SIG$signal ends it" || waiter_state "$waiter" | diag
}

each() { # OP ACTION FILE OTHER-FILE [WORD...]: with both signals
	local op=$1 action=$2 one=$3 two=$4
	shift 4
	fault "p $op 0 hang"
	interrupted "$op" INT 1 "$action" "$one" "$@"
	interrupted "$op" KILL 1 "$action" "$two" "$@"
	fault clear
	wait_for 20 held_is 0
	quick "$action: the pool works again" dd if="$M/p/v4" of=/dev/null status=none
}

# Runs COMMAND: how long it took goes to $ms, its end to $rc, its words to $out.
took() { # COMMAND...
	local begun
	begun=$(now_ms)
	out=$("$@" 2>&1)
	rc=$?
	ms=$(($(now_ms) - begun))
}

# What holds a directory's lock answers after 0.8 seconds; 3 allow for a slow
# machine, and what hangs hangs for ever.
soon() { # DESCRIPTION: of what took() ran
	[ "$ms" -lt 3000 ]
	tap $? "$1: answers within a second" || echo "$ms ms" | diag
}

state_is() { # POOL STATE
	[ "$(pf_info "$1" state)" = "$2" ]
}

# A second daemon, whose pool q lies in $T/inner/q: a file system that can hang
# as that of a dead server does, in the kernel, where no signal ends it.
inner_pid=''
inner_start() {
	mkdir -p "$T/inner" "$T/source2" "$DATA/q"
	"$POOLFS" -f -o "rundir=$T/run2,fault,nopassthrough,timeout=600" "$T/source2" "$T/inner" \
		</dev/null >>"$T/log2" 2>&1 &
	inner_pid=$!
	trap inner_finish EXIT
	wait_for 20 [ -e "$T/inner/control/version" ]
	pf_xml q "$DATA/q" >"$T/inner/control/pools/q.xml" && mkdir "$T/inner/q"
}
inner_fault() { echo "$*" >"$T/inner/control/fault"; }
inner_held() { [ "$(awk '{ n += $(NF - 1) } END { print n + 0 }' "$T/inner/control/fault")" -eq "$1" ]; }
inner_finish() { # before pf_finish: else the daemon could not be ended
	local rc=$?
	kill -KILL "$inner_pid"
	(exit "$rc")
	pf_finish
}
inner_stop() {
	umount "$T/inner" 2>/dev/null || umount -l "$T/inner"
	wait "$inner_pid"
	tap $? "the inner daemon ends well" || tail -n 30 "$T/log2" | diag
	trap pf_finish EXIT
}
