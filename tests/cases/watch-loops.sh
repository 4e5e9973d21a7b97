#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# watch-loops.sh - announcing on the mount makes no event that would be announced
# again, changes nothing, and of thousands of changes only the directory is touched.
. "$(dirname "$0")/../lib.sh"
need inotifywait
need_root # /proc/PID/stat of the helper, umount

helper_of() { pgrep -P "$1" -f announce-changes; }
lines() { wc -l <"$1"; }
count_events() { cut -d' ' -f3 "$C/events" | grep -c "^$1\$"; }
has_events() { [ "$(count_events "$1")" -ge "$2" ]; } # WORD NUMBER
ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }
quiet() { # waits until nothing comes for a second
	local a b
	for ((i = 0; i < 60; i++)); do
		a=$(stat -c %s "$C/events")$(lines "$T/ino")
		sleep 1
		b=$(stat -c %s "$C/events")$(lines "$T/ino")
		[ "$a" != "$b" ] || return 0
	done
	return 1
}

pf_setup
pf_pool p
(cd "$M/p" && exec sleep 300) &
stander=$!
inotifywait -m -q --format '%w %e %f' "$M/p" "$C" >"$T/ino" 2>&1 &
watcher=$!
wait_for 20 grep -q . "$T/ino" || for ((i = 0; i < 100; i++)); do
	echo x >"$DATA/p/begin"
	rm "$DATA/p/begin"
	sleep 0.2
	grep -q begin "$T/ino" && break
done
ok "it is quiet in the end" quiet
before=$(stat -c %s "$C/events")
echo one >"$DATA/p/one"
ok "one change is told" wait_for 20 grep -q 'CREATE one' "$T/ino"
ok "and then it is quiet" quiet
more=$(tail -c "+$((before + 1))" "$C/events" | grep -vcE 'volume-(created|resized) p one')
is "$more" 0 "announcing it made no other event"
is "$(ls "$M/p")" "$(ls "$DATA/p")" "and no other name"
ok "a second look: what it showed is the true file" grep -qx one "$M/p/one"

n=5000
size=$(lines "$T/ino")
for ((i = 0; i < n; i++)); do echo x >"$DATA/p/f$i"; done
ok "each of $n files is an event" wait_for 60 has_events volume-created "$((n + 1))"
ok "quiet again" quiet
seen=$(tail -n "+$((size + 1))" "$T/ino" | grep -cE ' CREATE f')
ok "of many, some names are told ($seen)" [ "$seen" -gt 0 ]
if [ "$seen" -lt "$n" ]; then
	ok "and for the others the directory is touched" grep -q 'ATTRIB,ISDIR' "$T/ino"
else
	skip "and for the others the directory is touched" "all were told"
fi
is "$(find "$M/p" -name 'f*' | wc -l)" "$n" "all are there on the mount"
is "$(count_events 'volume-deleted')" "$(grep -c begin <(cut -d' ' -f3- "$C/events" | grep volume-deleted))" \
	"nothing was deleted by announcing"

helper=$(helper_of "$pf_pid")
a=$(($(ticks "$pf_pid") + $(ticks "$helper")))
sleep 3
b=$(($(ticks "$pf_pid") + $(ticks "$helper")))
ok "idle, neither process works ($((b - a)) ticks in 3 s)" [ $((b - a)) -le 5 ]
is "$(readlink "/proc/$stander/cwd")" "$M/p" "who stands in the pool still does"
is "$(ls -l "/proc/$helper/fd" | grep -c -e '/dev/fuse' -e "$M")" 0 "the helper holds nothing of the mount"
kill "$stander" "$watcher"
wait "$stander" "$watcher" 2>/dev/null
ok "the mount is not busy" umount "$M"
pf_wait_end 20
is $? 0 "the daemon ends"
ok "so does the helper" wait_for 10 [ ! -e "/proc/$helper" ]

pf_args=(-o noannounce)
pf_launch
pf_pool p
inotifywait -m -q --format '%w %e %f' "$M/p" >"$T/ino2" 2>&1 &
watcher=$!
sleep 0.5
echo late >"$DATA/p/late"
ok "noannounce: events tell" wait_for 20 has_events volume-created 1
sleep 0.5
is "$(helper_of "$pf_pid")" "" "noannounce: no helper"
not_ok "noannounce: inotify on the mount is told nothing" grep -q late "$T/ino2"
kill "$watcher"
wait "$watcher" 2>/dev/null
done_testing
