#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What another program does in the directory itself is right in an `ls -l`
# begun 100 ms later, and at the next open, with passthrough and without.
# alone: it measures tenths of a second
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

look() { # what ls says of the volumes: name and size
	sleep 0.1
	# shellcheck disable=SC2012
	ls -l "$M/p" | awk 'NR > 1 { print $9 "=" $5 }' | xargs
}
for mode in passthrough nopassthrough; do
	pf_mode $mode
	pf_pool p
	D=$DATA/p
	is "$(look)" "" "$mode: an empty pool"
	echo one >"$D/a"
	is "$(look)" "a=4" "$mode: created"
	is "$(cat "$M/p/a")" "one" "$mode: its content"
	echo two >>"$D/a"
	is "$(cat "$M/p/a")" "one"$'\n'"two" "$mode: grown: the next open, at once"
	is "$(look)" "a=8" "$mode: grown"
	printf x >"$D/a"
	is "$(cat "$M/p/a")" "x" "$mode: cut: the next open"
	is "$(look)" "a=1" "$mode: cut"
	printf y | dd of="$D/a" conv=notrunc status=none
	is "$(cat "$M/p/a")" "y" "$mode: overwritten, of the same size: the next open"
	echo other >"$D/new" && mv "$D/new" "$D/a"
	is "$(cat "$M/p/a")" "other" "$mode: replaced: the next open"
	is "$(look)" "a=6" "$mode: replaced"
	mv "$D/a" "$D/b"
	is "$(look)" "b=6" "$mode: renamed"
	fails_with "No such file" "$mode: the old name is gone" cat "$M/p/a"
	is "$(cat "$M/p/b")" "other" "$mode: the new name opens"
	rm "$D/b"
	fails_with "No such file" "$mode: removed: the next open, at once" cat "$M/p/b"
	is "$(look)" "" "$mode: removed"
	echo again >"$D/b"
	is "$(cat "$M/p/b")" "again" "$mode: made again: the next open, at once"
	rm "$D/b"
	ok "$mode: removed: O_CREAT makes a new one, at once" eval "echo new >'$M/p/b'"
	is "$(cat "$D/b")" "new" "$mode: which is a file there"

	# A handle that stays open sees what grows.
	exec 7<"$M/p/b"
	read -r line <&7
	is "$line" "new" "$mode: an open handle"
	echo more >>"$D/b"
	sleep 0.1
	is "$(cat <&7)" "more" "$mode: sees what was added behind"
	exec 7<&-

	mkdir "$D/sub" && mkfifo "$D/fifo" && ln -s b "$D/link" && : >"$D/.dot" && ln -s /nowhere "$D/dangling"
	sleep 0.1
	is "$(find "$M/p" -mindepth 1 -maxdepth 1 -printf '%f:%y\n' | sort | xargs)" \
		".dot:f .pool:f b:f dangling:l link:l" "$mode: directories and pipes are not shown, links are links"
	is "$(readlink "$M/p/link")" "b" "$mode: a link's text"
	chmod 604 "$D/b"
	sleep 0.1
	is "$(stat -c %a "$M/p/b")" "604" "$mode: a new mode"
	rm -r "$D/sub" "$D/fifo" "$D/link" "$D/dangling" "$D/.dot" "$D/b"
	for ((i = 0; i < 50; i++)); do
		echo $i >"$D/f"
		[ "$(cat "$M/p/f")" = $i ] || echo $i >>"$T/stale"
	done
	ok "$mode: 50 changes, each seen at the next open" [ ! -e "$T/stale" ]
	# Within the time that attributes are kept: an open must see them anew. No
	# read comes between, since one makes the kernel ask again by itself.
	ok "$mode: a file grown, cut and changed behind is right at once at an open" python3 -c 'import os, sys
mount, real = sys.argv[1:]
text = b""
for i in range(60):
    os.stat(mount)
    text = [text + b"x%d" % i, text[:len(text) // 2], bytes(reversed(text))][i % 3]
    with open(real, "r+b" if i else "wb") as f: f.write(text); f.truncate()
    fd = os.open(mount, os.O_RDONLY)
    size = os.fstat(fd).st_size
    got = os.read(fd, 100000)
    os.close(fd)
    if (size, got) != (len(text), text): sys.exit("round %d: %d %r, wanted %r" % (i, size, got, text))' "$M/p/f" "$D/f"
	rm "$D/f"
	rmdir "$D"
	sleep 0.1
	not_ok "$mode: the directory itself is gone: an error" touch "$M/p/new"
	mkdir "$D" && echo back >"$D/b"
	wait_for 5 rmdir "$M/p"
	pf_start p
	is "$(look)" "b=5" "$mode: it is back: a start finds it"
	rm "$D/b"
	pf_stop
done
done_testing
