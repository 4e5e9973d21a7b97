#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What a service manager hears: READY=1 once the mount answers, a status, the
# watchdog's pings only while requests are really answered (a hung pool does not
# stop them, threads that stand still do), RELOADING=1, STOPPING=1; by a path and by
# an abstract socket, and from the background.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
[ -r /dev/fuse ] || skip_all "needs /dev/fuse"
need python3 setsid

said=$T/said listener=''
listen() { # ADDRESS
	rm -f "$said"
	python3 "$top/tests/notify.py" "$1" "$said" </dev/null >/dev/null 2>&1 &
	listener=$!
	wait_for 20 grep -qs listening "$said"
	# For the daemon; without a terminal, as under a service manager.
	cat >"$T/poolfs" <<-END
		#!/bin/sh
		export NOTIFY_SOCKET='$1' $2
		exec setsid '${binary}' "\$@"
	END
	chmod +x "$T/poolfs"
	POOLFS=$T/poolfs
}
unlisten() {
	kill "$listener"
	wait "$listener" 2>/dev/null
}
binary=$POOLFS
heard() { grep -qs -- "$1" "$said"; }
pings() { grep -c ' WATCHDOG=1$' "$said"; }
more_pings() { [ "$(pings)" -gt "$1" ]; }
hup() { kill -HUP "$pf_pid"; }

# ---- a service, with a watchdog of 2 seconds
listen "$T/socket" "WATCHDOG_USEC=2000000 WATCHDOG_PID="
sed -i 's/WATCHDOG_PID=/WATCHDOG_PID=$$/' "$T/poolfs"
pf_setup -o fault,timeout=600
ok "READY=1 comes" wait_for 20 heard " READY=1\$"
is "$(grep -c ' READY=1$' "$said")" "1" "once"
is "$(sed -nE 's/^([0-9]+) READY=1$/\1/p' "$said")" "$pf_pid" "from the daemon itself"
ok "with its process id" heard " MAINPID=$pf_pid\$"
ok "and a status" heard " STATUS=0 of 0 pools running\$"
is "$(tr '\0' '\n' <"/proc/$pf_pid/environ" | grep -c '^NOTIFY_SOCKET=')" "1" "the daemon had the socket's name"
ok "pings come" wait_for 20 more_pings 2
pf_pool hung
pf_pool other
ok "the status follows" wait_for 20 heard " STATUS=2 of 2 pools running\$"

echo 'hung list 0 hang' >"$C/fault"
for i in 1 2 3; do ls "$M/hung" >/dev/null 2>&1 & readers+=($!); done
ok "a pool hangs" wait_for 20 grep -q '^state: stalled' "$C/pools/hung/info"
count=$(pings)
ok "pings go on" wait_for 20 more_pings $((count + 4))
echo clear >"$C/fault"
wait "${readers[@]}"

if [ -x "$PF_BUILD/tests/tools/freeze" ]; then
	"$PF_BUILD/tests/tools/freeze" "$pf_pid" "$T/stopped" "$T/go" >"$T/threads" &
	freezer=$!
	wait_for 20 [ -e "$T/stopped" ]
	like "$(cat "$T/threads")" "^[1-9]" "all threads but the first stand still"
	sleep 1 # what was answered before
	count=$(pings)
	sleep 4
	is "$(pings)" "$count" "then no ping comes in twice the watchdog's time"
	touch "$T/go"
	wait "$freezer"
	ok "they go on: pings come again" wait_for 20 more_pings "$count"
fi
kill -STOP "$pf_pid"
count=$(pings)
sleep 2.5
is "$(pings)" "$count" "a stopped process pings not"
kill -CONT "$pf_pid"
ok "pings come again" wait_for 20 more_pings "$count"

hup
ok "SIGHUP: RELOADING=1" wait_for 20 heard ' RELOADING=1$'
ok "with the time that systemd wants" heard ' MONOTONIC_USEC=[0-9]*$'
ok "and READY=1 at its end" wait_for 20 eval "[ \"\$(grep -c ' READY=1\$' '$said')\" -eq 2 ]"
ok "it still serves" [ -d "$M/other" ]

kill -TERM "$pf_pid"
pf_wait_end 20
is "$?" "0" "SIGTERM ends it well"
ok "STOPPING=1" heard ' STOPPING=1$'
unlisten

# ---- an abstract socket, no watchdog
listen "@poolfs-test-$$" ""
pf_launch
ok "an abstract socket: READY=1" wait_for 20 heard " READY=1\$"
ok "no watchdog, no ping" [ "$(pings)" -eq 0 ]
kill -TERM "$pf_pid"
pf_wait_end 20
unlisten

# ---- in the background; the pings are meant for another process
listen "$T/socket2" "WATCHDOG_USEC=200000 WATCHDOG_PID=1"
ok "in the background" "$POOLFS" -o "rundir=$RUN" "$SRC" "$M"
ok "READY=1 was sent before it returned" wait_for 20 heard ' READY=1$'
daemon=$(sed -nE 's/^([0-9]+) READY=1$/\1/p' "$said")
ok "the process id is the daemon's" heard "^$daemon MAINPID=$daemon\$"
sleep 1
is "$(pings)" "0" "WATCHDOG_PID of another process: no ping"
ok "unmount" pf_umount
ok "STOPPING=1 or gone" wait_for 20 eval "! kill -0 $daemon 2>/dev/null"
unlisten

# ---- what cannot start says why
listen "$T/socket3" ""
not_ok "a mount point that is not there" "$POOLFS" -f -o "rundir=$RUN" "$SRC" "$T/nowhere"
ok "the errno" wait_for 20 heard ' ERRNO=2$'
ok "and the sentence" heard ' STATUS=.*nowhere'
not_ok "and no READY" heard ' READY=1'
unlisten
done_testing
