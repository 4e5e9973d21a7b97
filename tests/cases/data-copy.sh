#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The tools that copy: what comes out is byte for byte what went in, in, out
# and within, with passthrough and without; holes stay holes.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need rsync tar qemu-img
mkdir "$T/src" "$T/out"
head -c 5000001 /dev/urandom >"$T/src/full"
truncate -s 64M "$T/src/sparse"
for mb in 3 17 40; do
	dd if="$T/src/full" of="$T/src/sparse" bs=64k count=1 seek=$((mb * 16)) conv=notrunc status=none
done
truncate -s 7M "$T/src/hole"
: >"$T/src/empty"

blocks() { stat -c %b "$1"; }
# FILE SOURCE DESCRIPTION: equal; a sparse one takes hardly more room.
same() {
	ok "$3: the same bytes" cmp "$1" "$2"
	if [[ $2 == */sparse || $2 == */hole ]]; then
		[ "$(blocks "$1")" -le $(($(blocks "$2") + 256)) ]
		tap $? "$3: holes stay holes ($(blocks "$1") of $(blocks "$2") blocks)"
	fi
}
# HOW COMMAND...: copies each source in, out, and over what is there.
both_ways() {
	local how=$1 kind
	shift
	for kind in $kinds; do
		rm -f "$M/p/v" "$T/out/v"
		ok "$how $kind in" "$@" "$T/src/$kind" "$M/p/v"
		same "$M/p/v" "$T/src/$kind" "$how $kind in"
		same "$DATA/p/v" "$T/src/$kind" "$how $kind, behind"
		ok "$how $kind out" "$@" "$M/p/v" "$T/out/v"
		same "$T/out/v" "$T/src/$kind" "$how $kind out"
		ok "$how $kind over it" "$@" "$T/src/$kind" "$M/p/v"
		same "$M/p/v" "$T/src/$kind" "$how $kind over it"
	done
}

for mode in passthrough nopassthrough; do
	pf_mode $mode
	pf_pool p
	kinds="full sparse hole empty"
	both_ways "$mode: cp" cp
	both_ways "$mode: cp --sparse=always" cp --sparse=always
	both_ways "$mode: cp -a" cp -a
	both_ways "$mode: rsync -a -S" rsync -a -S
	kinds="sparse hole" # an odd size it rounds to a sector
	both_ways "$mode: qemu-img convert" qemu-img convert -f raw -O raw -S 4k
	for kind in full sparse; do
		cp -a "$T/src/$kind" "$M/p/s"
		rm -f "$M/p/d"
		ok "$mode: cp $kind within" cp "$M/p/s" "$M/p/d"
		same "$M/p/d" "$T/src/$kind" "$mode: cp $kind within"
		ok "$mode: cp -a $kind within, over it" cp -a "$M/p/s" "$M/p/d"
		same "$M/p/d" "$T/src/$kind" "$mode: cp -a $kind within, over it"
		is "$(stat -c '%Y %a' "$M/p/d")" "$(stat -c '%Y %a' "$T/src/$kind")" "$mode: cp -a keeps times and mode"
		rm "$M/p/d"
		ok "$mode: mv within" mv "$M/p/s" "$M/p/d"
		same "$M/p/d" "$T/src/$kind" "$mode: mv within"
		ok "$mode: mv out" mv "$M/p/d" "$T/out/m"
		same "$T/out/m" "$T/src/$kind" "$mode: mv out"
		ok "$mode: mv in" mv "$T/out/m" "$M/p/m"
		same "$M/p/m" "$T/src/$kind" "$mode: mv in"
		ok "$mode: mv -n onto a volume" mv -n "$M/p/m" "$M/p/m2"
		rm -f "$M/p/m2" "$M/p/m"
	done
	for flags in "" --inplace --append; do
		# shellcheck disable=SC2086
		ok "$mode: rsync -a $flags" rsync -a $flags "$T/src/full" "$M/p/"
		ok "$mode: rsync $flags: the same" cmp "$T/src/full" "$M/p/full"
		truncate -s 2000000 "$M/p/full"
	done
	ok "$mode: rsync --append completes" rsync -a --append "$T/src/full" "$M/p/"
	ok "$mode: the same" cmp "$T/src/full" "$M/p/full"
	ok "$mode: tar in" sh -c 'tar -C "$1" -S -cf - full sparse | tar -C "$2" -xf -' sh "$T/src" "$M/p"
	same "$M/p/sparse" "$T/src/sparse" "$mode: tar in"
	ok "$mode: tar in again" sh -c 'tar -C "$1" -S -cf - full sparse | tar -C "$2" -xf -' sh "$T/src" "$M/p"
	mkdir "$T/untar"
	ok "$mode: tar out" sh -c 'tar -C "$1" -S -cf - full sparse | tar -C "$2" -xf -' sh "$M/p" "$T/untar"
	same "$T/untar/sparse" "$T/src/sparse" "$mode: tar out"
	ok "$mode: install" install -m 640 "$T/src/full" "$M/p/full"
	is "$(stat -c %a "$M/p/full")" "640" "$mode: install sets the mode"
	is "$(find "$M/p" -name '.*' ! -name .pool)" "" "$mode: no temporary file is left"
	rm -rf "$T/untar" "$M/p"/*
	pf_stop
done
done_testing
