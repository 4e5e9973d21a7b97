#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# After a restart of the daemon, clean or by kill -9, what ran is running with
# its volumes, what was stopped is stopped, and definitions are what they were.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
pf_setup
for name in runs stopped auto autostopped fresh; do pf_define "$name"; done
for name in runs auto autostopped; do pf_start "$name"; done
echo "the data" >"$M/runs/v"
for name in auto autostopped; do ln -s "../pools/$name.xml" "$C/autostart/$name.xml"; done
rmdir "$M/autostopped"
xml=$(cat "$C/pools/runs.xml")

check() { # HOW
	wait_for 10 [ -d "$M/runs" ]
	wait_for 10 [ -d "$M/auto" ]
	is "$(cat "$M/runs/v")" "the data" "$1: what ran is running, with its volume"
	is "$(ls "$M")" "auto"$'\n'"control"$'\n'"runs" "$1: and nothing that was stopped"
	is "$(pf_info autostopped state)" "inactive" "$1: stopped by hand stays stopped, autostart or not"
	is "$(cat "$C/pools/runs.xml")" "$xml" "$1: the definition is the same"
	is "$(ls "$C/pools"/*.xml | wc -l)" "5" "$1: none is missing"
	is "$(ls "$C/autostart")" "auto.xml"$'\n'"autostopped.xml" "$1: autostart is the same"
}
check "before"
pf_restart
check "SIGTERM"
pf_kill9
not_ok "after kill -9 the mount is dead" ls "$M"
pf_launch
check "kill -9"

# A redefinition while running counts from the next start, across restarts.
mkdir "$DATA/elsewhere"
pf_xml runs "$DATA/elsewhere" >"$C/pools/runs.xml"
is "$(cat "$M/runs/v")" "the data" "redefined while running: goes on as it was"
pf_restart
wait_for 10 [ -d "$M/runs" ]
is "$(cat "$M/runs/v")" "the data" "after a restart too"
ok "stop" rmdir "$M/runs"
ok "start" mkdir "$M/runs"
is "$(ls "$M/runs")" "" "now the new definition counts"

# A target that is gone while the daemon was down: reported, not forgotten.
rmdir "$M/runs"
pf_start fresh
kill -TERM "$pf_pid"
pf_wait_end 20
is "$?" "0" "the daemon ends well at SIGTERM"
is "$(grep -c " $M " /proc/self/mountinfo)" "0" "and leaves no mount"
rmdir "$DATA/fresh"
pf_launch
wait_for 10 grep -q . "$C/pools/fresh/error"
like "$(cat "$C/pools/fresh/error")" "fresh" "a target that has gone is an error of its pool"
is "$(find "$SRC" -name fresh.xml)" "$SRC/fresh.xml" "its definition stays"
mkdir "$DATA/fresh"
[ -d "$M/fresh" ] || mkdir "$M/fresh"
is "$(pf_info fresh state)" "active" "and when it is back, the pool starts"

# A user's is emptied when he logs out, which his daemon outlives.
rm -r "$RUN"
ok "the run directory is gone: a stop succeeds" rmdir "$M/fresh"
rm -r "$RUN"
ok "and a start" mkdir "$M/fresh"
is "$(stat -c %a "$RUN")" "700" "its directory is made again, for the owner alone"
pf_restart
ok "and the next daemon knows" wait_for 10 [ -d "$M/fresh" ]
done_testing
