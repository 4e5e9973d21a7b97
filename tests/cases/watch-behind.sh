#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# watch-behind.sh - what another program does in a dir pool's directory is a line of
# control/events, and an inotify event on the mount (inotifywait, gio monitor); what
# came through the mount is told of once. Never looks at how fast.
. "$(dirname "$0")/../lib.sh"
need inotifywait gio

seen() { grep -qE -- "$1" "$2"; }
# The line comes; each is looked for behind the one found before.
follows() { # DESCRIPTION FILE REGEX
	ok "$1" wait_for 20 seen "$3" "$2"
}
events() { cut -d' ' -f3- "$C/events"; }
event() { events | grep -qxE -- "$1"; }
has_event() { ok "events: $1" wait_for 20 event "$1"; }

pf_setup
pf_pool p
inotifywait -m -q --format '%e %f' "$M/p" >"$T/pool" 2>&1 &
inotify_pool=$!
inotifywait -m -q --format '%w %e %f' "$M" "$C" "$C/active" "$C/pools" >"$T/tree" 2>&1 &
inotify_tree=$!
# gio begins late and says nothing then: files come until it sees one.
GIO_USE_VOLUME_MONITOR=unix gio monitor -d "$M/p" >"$T/gio" 2>&1 &
gio_pid=$!
for ((i = 0; i < 100; i++)); do
	echo begin >"$DATA/p/begin$i"
	sleep 0.2
	seen 'begin' "$T/gio" && seen begin "$T/pool" && break
done
ok "the watchers have begun" [ "$i" -lt 100 ]

d=$DATA/p
echo hello >"$d/a"
has_event 'volume-created p a [06]'
follows "inotify: a file came" "$T/pool" '^CREATE a$'
follows "gio: a file came" "$T/gio" '/p/a: created|created: .*/p/a$'
has_event 'volume-(created|resized) p a 6'

truncate -s 5M "$d/a"
has_event 'volume-resized p a 5242880'
follows "inotify: it was written" "$T/pool" '^MODIFY a$'
follows "gio: it was written" "$T/gio" '/p/a: changed|changed: .*/p/a$'
is "$(stat -c %s "$M/p/a")" 5242880 "its new size is seen on the mount"

mv "$d/a" "$d/b c"
has_event 'volume-renamed p a b\\040c'
follows "inotify: it was renamed" "$T/pool" '^MOVED_TO b c$'
is "$(grep -A1 '^MOVED_FROM a$' "$T/pool" | tail -n 1)" 'MOVED_TO b c' "both halves together"

echo x >"$d/.poolfs.clone-test"
mv "$d/.poolfs.clone-test" "$d/published"
has_event 'volume-created p published 2'
follows "inotify: what was published under its name came" "$T/pool" '^CREATE published$'
not_ok "events: nothing of its hidden name" event '.*\.poolfs\..*'
not_ok "inotify: nothing of its hidden name" grep -q poolfs "$T/pool"

echo 12345678 >"$d/new"
mv "$d/new" "$d/published"
has_event 'volume-renamed p new published'
rm "$d/b c"
has_event 'volume-deleted p b\\040c'
follows "inotify: a file went" "$T/pool" '^DELETE b c$'
follows "gio: a file went" "$T/gio" '/p/b c: deleted|deleted: .*/p/b c$'
ln -s nowhere "$d/link"
has_event 'volume-created p link 7'
mkdir "$d/sub"
echo in >"$d/sub/inside"
mkfifo "$d/fifo"
rm -r "$d/sub" "$d/fifo"

# Through the mount: the kernel has told inotify, and nothing is announced again.
echo mine >"$M/p/mine"
truncate -s 9999 "$M/p/mine"
mv "$M/p/mine" "$M/p/mine2"
rm "$M/p/mine2"
echo end >"$d/end"
has_event 'volume-created p end [04]'
follows "inotify: the last one came" "$T/pool" '^CREATE end$'
is "$(grep -cE '^(CREATE mine|MOVED_FROM mine|MOVED_TO mine2|DELETE mine2)$' "$T/pool")" 4 \
	"inotify: own changes once each"
is "$(events | grep -cE 'volume-(created|renamed|deleted) p mine')" 3 "events: own changes once each"
not_ok "events: no directory, no FIFO" event '.* (sub|inside|fifo)( .*)?'
not_ok "inotify: no directory, no FIFO" grep -qE 'sub|inside|fifo' "$T/pool"

# Through the clone verb: the kernel knows nothing of it.
echo clone end copy >"$C/pools/p/ctl"
has_event 'volume-created p copy 4'
follows "inotify: a clone came" "$T/pool" '^CREATE copy$'

follows "inotify: control/events grew" "$T/tree" "^$C/ MODIFY events$"
pf_define q
follows "inotify: a pool was defined" "$T/tree" "^$C/pools/ (CREATE|ATTRIB),ISDIR q$"
echo start >"$C/pools/q/ctl"
follows "inotify: a pool was started by a verb" "$T/tree" "^$M/ CREATE,ISDIR q$"
follows "inotify: in control/active, too" "$T/tree" "^$C/active/ CREATE,ISDIR q$"
ok "it is there" [ -d "$M/q" ]
rmdir "$M/q"
follows "inotify: rmdir in the root stopped it in control/active" "$T/tree" \
	"^$C/active/ DELETE,ISDIR q$"
mkdir "$C/active/q"
ok "inotify: mkdir in control/active started it in the root" wait_for 20 \
	eval "[ \"\$(grep -c '^$M/ \\(CREATE\\|ATTRIB\\),ISDIR q$' '$T/tree')\" -ge 2 ]"
echo stop >"$C/pools/q/ctl"
follows "inotify: a pool was stopped by a verb" "$T/tree" "^$M/ DELETE,ISDIR q$"

# The directory itself moves, and what was missed is said.
mv "$DATA/p" "$DATA/elsewhere"
has_event 'volumes-changed p'

kill "$inotify_pool" "$inotify_tree" "$gio_pid"
wait "$inotify_pool" "$inotify_tree" "$gio_pid" 2>/dev/null
done_testing
