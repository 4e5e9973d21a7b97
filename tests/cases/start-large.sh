#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# start-large.sh - the start of a pool with many volumes is answered before its changes
# are watched: that shows nowhere. It is active, knows its size and its volumes, stops
# at once, and what others change meanwhile is told of.
. "$(dirname "$0")/../lib.sh"

events() { cut -d' ' -f3- "$C/events"; }

need strace
pf_setup
mkdir "$DATA/p"
(cd "$DATA/p" && for i in {1..3000}; do : >"a-volume-of-many-$i"; done)
pf_define p "$DATA/p"
[ "$(stat -c %s "$DATA/p")" -ge 32768 ] ||
	skip_all "a directory's size does not tell that it is large on this file system"

wrong=''
for i in {1..10}; do
	mkdir "$M/p" || wrong+=" mkdir"
	[ "$(pf_info p state) $(pf_info p volumes)" = "active 3000" ] || wrong+=" info"
	[ "$(pf_info p capacity)" -gt 0 ] || wrong+=" capacity"
	rmdir "$M/p" || wrong+=" rmdir"
	mkdir "$M/p" && rmdir "$M/p" || wrong+=" at-once"
	mkdir "$M/p" && [ "$(ls "$M/p" | wc -l)" = 3000 ] && rmdir "$M/p" || wrong+=" ls"
done
is "$wrong" "" "it is active at once, and can be stopped at once"

# Behind, as soon as mkdir has returned: told by its name, or as "look again".
lost=0
for i in {1..20}; do
	mkdir "$M/p"
	: >"$DATA/p/new$i"
	told() { events | grep -qE "^(volume-created p new$i 0|volumes-changed p)$"; }
	wait_for 20 told || lost=$((lost + 1))
	rmdir "$M/p"
done
is $lost 0 "what is made behind right after the start is told of"

# The same of a size, of which the time of the directory does not tell.
slow_watch() { # MICROSECONDS: how long it takes to be set
	: >"$T/strace.err"
	strace -f -e trace=inotify_add_watch -e "inject=inotify_add_watch:delay_enter=$1" \
		-o "$T/strace" -p "$pf_pid" 2>"$T/strace.err" &
	tracer=$!
	wait_for 20 grep -q attached "$T/strace.err"
}
seen=$(events | wc -l)
later() { events | tail -n +$((seen + 1)) | grep -qE "$1"; }
if slow_watch 300000; then
	mkdir "$M/p"
	echo text >"$DATA/p/new1"
	ok "what is written behind before it is watched is told of" \
		wait_for 20 later "^(volume-resized p new1 5|volumes-changed p)$"
	rmdir "$M/p"
	pf_untrace "$tracer"
	slow_watch 9000000
	mkdir "$M/p"
	ok "a watch that hangs shows: the pool is stalled" wait_for 20 grep -qx "state: stalled" "$C/pools/p/info"
	ok "and told of" later "^pool-stalled p"
	ok "afterwards it is active" wait_for 20 grep -qx "state: active" "$C/pools/p/info"
	rmdir "$M/p"
	pf_untrace "$tracer"
else
	kill "$tracer" 2>/dev/null
	skip "a watch that is slow" "cannot trace the daemon"
fi

mkdir "$M/p"
truncate -s 4096 "$M/p/mine"
rm "$M/p/a-volume-of-many-7"
both() {
	[ "$(events | grep -cE "^volume-created p mine ")" = 1 ] &&
		[ "$(events | grep -cx "volume-deleted p a-volume-of-many-7")" = 1 ]
}
ok "what comes through the mount is told of, once" wait_for 20 both
rmdir "$M/p"
is "$(events | grep -cx "pool-started p")" "$(events | grep -cx "pool-stopped p")" \
	"each start and each stop is told of"
done_testing
