#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# announce-death.sh - the helper that makes inotify speak on the mount: killed or
# stopped, it harms nobody; killed with the daemon in the middle of its work, nothing
# hangs and nothing is left; after an unmount it touches nothing that lay below.
. "$(dirname "$0")/../lib.sh"
need_root # umount, and to see what is left below
need inotifywait

helper_of() { pgrep -P "$1" -f announce-changes; }
has_helper() { [ -n "$(helper_of "$pf_pid")" ]; }
gone() { ! grep -qs '^State:[[:space:]]*[^ZX]' "/proc/$1/status"; }
storm() { # another program that makes and removes without pause
	while :; do
		for i in 1 2 3 4 5 6 7 8; do echo x >"$DATA/p/s$i"; done
		mv "$DATA/p/s1" "$DATA/p/s0" 2>/dev/null
		rm -f "$DATA/p/"s*
	done
}
told() { # a new file is announced
	number=$((number + 1))
	echo x >"$DATA/p/t$number"
	wait_for 3 grep -q "CREATE t$number\$" "$T/ino"
}

pf_setup
pf_pool p
number=0
inotifywait -m -q --format '%e %f' "$M/p" >"$T/ino" 2>&1 &
watcher=$!
wait_for 20 told
tap $? "a change is announced"
ok "it begins with the first change" has_helper

helper=$(helper_of "$pf_pid")
kill -9 "$helper"
echo x >"$M/p/mine"
ok "killed: the mount goes on" grep -qx x "$M/p/mine"
wait_for 30 told
tap $? "killed: changes are announced again"
ok "killed: another one takes its place" has_helper
ok "and is another" [ "$(helper_of "$pf_pid")" != "$helper" ]
ok "killed: the old one is waited for" [ ! -e "/proc/$helper" ]

helper=$(helper_of "$pf_pid")
kill -STOP "$helper"
for i in 1 2 3; do echo x >"$DATA/p/stopped$i"; done
ok "stopped: the mount goes on" timeout 5 ls "$M/p"
ok "stopped: events go on" wait_for 20 grep -q 'volume-created p stopped3' "$C/events"
echo stop >"$C/pools/p/ctl"
mkdir "$M/p"
ok "stopped: pools stop and start" [ -e "$M/p/stopped3" ]
kill -CONT "$helper" 2>/dev/null
kill "$watcher"
wait "$watcher" 2>/dev/null

mkdir "$T/below"
for round in 1 2 3 4 5 6; do
	storm &
	storm=$!
	wait_for 10 has_helper
	sleep "0.$((round * 3))"
	helper=$(helper_of "$pf_pid")
	daemon=$pf_pid
	if [ $((round % 2)) = 1 ]; then
		pf_kill9
		ok "round $round, daemon killed: the helper ends" wait_for 10 gone "$helper"
		umount -l "$M"
	else
		umount -l "$M"
		pf_wait_end 20
		is $? 0 "round $round, unmounted: the daemon ends"
		ok "round $round: the helper ends" wait_for 10 gone "$helper"
	fi
	kill "$storm"
	wait "$storm" 2>/dev/null
	ok "round $round: no process is left" wait_for 10 [ ! -e "/proc/$daemon" ]
	is "$(find "$M" -mindepth 1 | head -n 3)" "" "round $round: nothing was made below the mount"
	rm -f "$DATA/p/"s*
	pf_launch
	pf_pool p
done
wait_for 10 has_helper
helper=$(helper_of "$pf_pid")
kill -STOP "$helper"
echo x >"$DATA/p/last"
sleep 0.5
kill -TERM "$pf_pid"
pf_wait_end 20
is $? 0 "stopped: the daemon ends at SIGTERM"
ok "stopped: so does the helper" wait_for 10 gone "$helper"
pf_launch
wait_for 10 has_helper
helper=$(helper_of "$pf_pid")
kill -STOP "$helper"
pf_kill9
ok "stopped, daemon killed: so does the helper" wait_for 10 gone "$helper"
pf_launch

is "$(ps -eo stat=,args= | grep -F -- "$T" | grep -c '^D')" 0 "nobody hangs"
done_testing
