#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# texts-fresh.sh - info and a volume's XML, which a lookup has made, are what is there now
# at every open, whole, as long as stat says, and stay what they were in a file that is
# open. Called by tests/run.
. "$(dirname "$0")/../lib.sh"

pf_setup
pf_pool p
info=$C/pools/p/info
xml=$C/pools/p/volumes/v.xml

volumes() { sed -n 's/^volumes: //p' "$info"; }
capacity() { sed -n "s/.*<capacity unit='bytes'>\(.*\)<.capacity>/\1/p" "$xml"; }

wrong=0
for i in {1..150}; do
	: >"$DATA/p/n$i"
	[ "$(volumes)" = "$i" ] || wrong=$((wrong + 1))
	[ "$(volumes)" = "$i" ] || wrong=$((wrong + 1))
done
is $wrong 0 "info counts each volume made behind, at once and again"

wrong=0
for i in {1..150}; do
	truncate -s $((i * 1000)) "$DATA/p/v"
	[ "$(capacity)" = $((i * 1000)) ] || wrong=$((wrong + 1))
	[ "$(stat -c %s "$xml")" = "$(wc -c <"$xml")" ] || wrong=$((wrong + 1))
done
is $wrong 0 "a volume's XML has the size set behind, and is as long as stat says"

exec 5<"$xml"
truncate -s 7 "$DATA/p/v"
is "$(capacity)" 7 "a new open shows what is new"
like "$(cat <&5)" "<capacity unit='bytes'>150000<" "a file that was open before shows what was"
exec 5<&-

# Many at a time, of a text that changes: none sees half of one, or two mixed (bash says
# if there are NULs in it).
reader() {
	local i text
	for i in {1..150}; do
		text=$(<"$info")
		[[ $text == "name: p"*"volumes: "*"error:" ]] || echo "bad info: $text"
		text=$(<"$xml")
		[[ $text == "<volume"*"</volume>" ]] || echo "bad XML: $text"
	done
}
for i in 1 2 3; do reader >"$T/reader$i" 2>&1 & readers[i]=$!; done
for i in {1..300}; do
	truncate -s $((10 ** (i % 12))) "$DATA/p/v"
	if [ $((i % 2)) = 1 ]; then : >"$DATA/p/m$i"; else rm "$DATA/p/n$((i / 2))"; fi
done
wait "${readers[@]}"
is "$(cat "$T"/reader?)" "" "texts read while they change are whole"

rm "$DATA"/p/*
rmdir "$M/p"
wrong=0
for i in {1..20}; do
	cat "$info" >"$T/out"
	rm "$C/pools/p.xml"
	[ ! -e "$info" ] && [ ! -e "$C/pools/p" ] || wrong=$((wrong + 1))
	pf_define p
	grep -q '^state: inactive' "$info" && [ "$(grep ^uuid: "$info")" != "$(grep ^uuid: "$T/out")" ] ||
		wrong=$((wrong + 1))
done
is $wrong 0 "the directory of a pool that is undefined goes at once, and a new one's comes"
done_testing
