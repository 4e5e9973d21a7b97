#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# SIGHUP: what was written, changed, removed and linked in SOURCE by hand counts from
# then on, as a new daemon would see it; what runs goes on running; what is bad is
# said and left. In front of a terminal a hangup ends the daemon instead.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need python3 setsid
binary=$POOLFS
printf '#!/bin/sh\nexec setsid "%s" "$@"\n' "$binary" >"$T/poolfs"
chmod +x "$T/poolfs"
POOLFS=$T/poolfs # without a terminal, wherever the case runs
pf_setup -o fault
reloads=0
reload() {
	reloads=$((reloads + 1))
	kill -HUP "$pf_pid"
	wait_for 20 eval "[ \"\$(grep -c 'definitions read again' '$LOG')\" -ge $reloads ]" ||
		{ tail "$LOG" | diag; }
}
last() { grep 'definitions read again' "$LOG" | tail -n 1; }
mkdir "$DATA/new" "$DATA/b2" "$DATA/auto"
pf_pool a
pf_define b
pf_define c
pf_define d

# ---- a new one, without a uuid
pf_xml new >"$SRC/new.xml"
ok "not seen before" [ ! -e "$C/pools/new.xml" ]
reload
like "$(last)" "1 new, 0 changed, 0 gone, 0 bad" "one is new"
ok "it can be started" mkdir "$M/new"
uuid=$(pf_info new uuid)
ok "its uuid was kept on disk" grep -q "$uuid" "$SRC/new.xml"
like "$(grep -c pool-defined "$C/events")" "^5$" "control/events has it"
reload
like "$(last)" "0 new, 0 changed, 0 gone, 0 bad" "nothing has changed since"
is "$(pf_info new uuid)" "$uuid" "its uuid stays"

# ---- changed: one stopped, one running
sed -i "s,$DATA/b,$DATA/b2," "$SRC/b.xml"
sed -i "s,$DATA/a,$DATA/c2," "$SRC/a.xml"
reload
like "$(last)" "0 new, 2 changed" "two have changed"
is "$(pf_info b target)" "$DATA/b2" "the stopped one has its new target"
ok "and starts there" eval "mkdir '$M/b' && touch '$M/b/v' && [ -e '$DATA/b2/v' ]"
is "$(pf_info a pending) $(pf_info a target)" "yes $DATA/a" "the running one keeps its own until its next start"

# ---- gone: one stopped, one running
rm "$SRC/c.xml" "$SRC/new.xml"
reload
like "$(last)" "2 gone" "two are gone"
ok "the stopped one is not defined any more" [ ! -e "$C/pools/c" ]
is "$(pf_info new state) $(pf_info new persistent)" "active no" "the running one runs on, without a definition"
ok "it stops" rmdir "$M/new"
ok "and then is gone, too" [ ! -e "$C/pools/new" ]

# ---- gone while it starts, and then fails to
pf_define late "$DATA/late"
rmdir "$DATA/late"
echo 'late start 1 delay 3000' >"$C/fault"
echo start >"$C/pools/late/ctl" 2>/dev/null &
starter=$!
wait_for 10 eval '[ "$(pf_info late state)" = starting ]'
rm "$SRC/late.xml"
reload
is "$(pf_info late state) $(pf_info late persistent)" "starting no" "one that starts is still shown"
wait $starter
ok "when its start has failed, nothing is left of it" wait_for 20 [ ! -e "$C/pools/late" ]
is "$(grep -c 'pool-undefined late' "$C/events")" 1 "which was told once"
echo clear >"$C/fault"

# ---- renamed, with its uuid and its name inside
mv "$SRC/d.xml" "$SRC/e.xml"
reload
ok "a renamed file is a renamed pool" [ -e "$C/pools/e" ]
ok "of the old name there is none" [ ! -e "$C/pools/d" ]
ok "its <name> follows" grep -q '<name>e</name>' "$SRC/e.xml"

# ---- bad ones
echo '<pool type="dir"><nonsense/></pool>' >"$SRC/b.xml"
echo 'nothing' >"$SRC/bad.xml"
reload
like "$(last)" "2 bad" "two are bad"
is "$(pf_info b state) $(pf_info b target)" "active $DATA/b2" "the pool stays what it was"
like "$(cat "$C/pools/b/error")" "target/path" "its error says what is wrong"
ok "the other is not defined" [ ! -e "$C/pools/bad" ]
rm "$SRC/bad.xml"
pf_xml b "$DATA/b2" >"$SRC/b.xml"

# ---- autostart links
pf_xml auto >"$SRC/auto.xml"
mkdir -p "$SRC/autostart"
ln -s ../auto.xml "$SRC/autostart/auto.xml"
ln -s ../e.xml "$SRC/autostart/e.xml"
mkdir -p "$DATA/d"
reload
ok "a link made by hand: it starts" wait_for 20 [ -d "$M/auto" ]
ok "the renamed one as well" wait_for 20 [ -d "$M/e" ]
is "$(pf_info auto autostart)" "yes" "info says so"
rmdir "$M/auto"
reload
ok "what was stopped stays stopped" eval "sleep 1; [ ! -d '$M/auto' ]"
rm "$SRC/autostart/auto.xml"
reload
is "$(pf_info auto autostart)" "no" "a link removed by hand"

# ---- many at once, and a busy daemon
for i in $(seq 300); do
	mkdir "$DATA/m$i"
	pf_xml "m$i" >"$SRC/m$i.xml"
done
for i in 1 2 3 4 5; do kill -HUP "$pf_pid"; done
wait_for 30 [ -e "$C/pools/m1" ]
pf_define m0 # while others may still be read
many() { [ "$(ls "$C/pools" | grep -c '^m[0-9]*\.xml$')" -eq "$1" ]; }
ok "300 files and five hangups" wait_for 30 many 301

# ---- a terminal
pf_stop
python3 - "$binary" "$RUN" "$SRC" "$M" >"$T/pty" 2>&1 <<'END'
import os, pty, sys, time, signal
binary, run, src, mnt = sys.argv[1:]
pid, fd = pty.fork()
if pid == 0:
    os.execv(binary, [binary, "-f", "-o", "rundir=" + run, src, mnt])
end = time.time() + 20
while not os.path.exists(mnt + "/control/version") and time.time() < end:
    time.sleep(0.05)
print("up" if os.path.exists(mnt + "/control/version") else "not up")
os.kill(pid, signal.SIGHUP)
while time.time() < end + 20:
    if os.waitpid(pid, os.WNOHANG)[0]:
        print("ended")
        break
    time.sleep(0.05)
END
is "$(cat "$T/pty")" "up"$'\n'"ended" "in front of a terminal a hangup ends it"
done_testing
