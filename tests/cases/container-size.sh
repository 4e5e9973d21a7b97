#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The size of a qcow2 volume: truncate -s grows the disk in it, as qemu-img
# resize does; cp, rsync --inplace and dd seek= set the file's length and never
# resize a disk by accident; the verb resize does both ways.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need qemu-img qemu-io rsync python3
virtual() { qemu-img info --output=json "$1" | sed -n 's/^ *"virtual-size": \([0-9]*\),*/\1/p' | tail -n 1; }
GiB=$((1 << 30))

for mode in passthrough nopassthrough; do
	pf_mode $mode
	pf_pool $mode
	cd "$M/$mode" || exit 1
	qemu-img create -q -f qcow2 d.qcow2 1G
	ok "$mode: truncate -s grows the disk" truncate -s 20G d.qcow2
	is "$(virtual d.qcow2)" "$((20 * GiB))" "$mode: to 20 GiB"
	ok "$mode: check is clean" qemu-img check -q d.qcow2
	[ "$(stat -c %s d.qcow2)" -lt 10000000 ]
	tap $? "$mode: the file stays small"
	fails_with "Invalid argument" "$mode: truncate to less is refused" truncate -s 10G d.qcow2
	like "$(cat "$C/error")" "'d.qcow2' is a qcow2 image.*resize d.qcow2 SIZE" "$mode: and the reason names the verb"
	fails_with "Invalid argument" "$mode: so is truncate below the file's length" truncate -s 1000 d.qcow2
	is "$(virtual d.qcow2)" "$((20 * GiB))" "$mode: nothing has changed"
	ok "$mode: truncate(2) by path grows too" python3 -c 'import os, sys; os.truncate(sys.argv[1], 21 << 30)' d.qcow2
	is "$(virtual d.qcow2)" "$((21 * GiB))" "$mode: to 21 GiB"

	qemu-io -f qcow2 -c 'write -P 0x5a 1M 30M' d.qcow2 >/dev/null
	cp d.qcow2 "$T/a"
	cp "$T/a" "$T/b"
	qemu-io -f qcow2 -c 'write -P 0x11 50M 30M' "$T/b" >/dev/null
	qemu-img create -q -f qcow2 "$T/small" 8M
	for from in b a small b; do
		for tool in "cp" "cp --sparse=always" "rsync --inplace" "rsync --inplace -S" "rsync"; do
			cp "$T/a" e.qcow2
			# shellcheck disable=SC2086
			ok "$mode: $tool of $from over it" $tool "$T/$from" e.qcow2
			ok "$mode: byte for byte" cmp "$T/$from" e.qcow2
		done
	done
	dd if=/dev/zero of=e.qcow2 bs=1M seek=40000 count=0 2>/dev/null
	dd if=/dev/zero of=e.qcow2 bs=64k seek=3 count=0 2>/dev/null
	ok "$mode: dd seek= has not resized it" cmp "$T/b" e.qcow2
	ok "$mode: dd conv=notrunc writes into the file" dd if="$T/a" of=e.qcow2 bs=64k seek=2 skip=2 count=1 conv=notrunc status=none
	is "$(stat -c %s e.qcow2)" "$(stat -c %s "$T/b")" "$mode: which keeps its length"

	cp "$T/b" e.qcow2
	ctl=$C/pools/$mode/ctl
	ok "$mode: the verb grows" sh -c 'echo resize e.qcow2 30G >"$1"' sh "$ctl"
	is "$(virtual e.qcow2)" "$((30 * GiB))" "$mode: to 30 GiB"
	not_ok "$mode: and shrinks only with the word" sh -c 'echo resize e.qcow2 5G >"$1"' sh "$ctl"
	like "$(cat "$C/error")" "add the word 'shrink'" "$mode: which the reason names"
	ok "$mode: shrink" sh -c 'echo resize e.qcow2 5G shrink >"$1"' sh "$ctl"
	is "$(virtual e.qcow2)" "$((5 * GiB))" "$mode: to 5 GiB"
	ok "$mode: check is clean" qemu-img check -q e.qcow2
	exec 7<e.qcow2
	fails_with "Invalid argument" "$mode: truncate of one that is open" truncate -s 50G e.qcow2
	exec 7<&-
	qemu-img convert -f qcow2 -O vmdk e.qcow2 v.vmdk
	fails_with "not supported" "$mode: a vmdk cannot be resized" truncate -s 50G v.vmdk
	head -c 2M /dev/zero >"$T/foreign"
	qemu-img create -q -f qcow2 -o "data_file=$T/apart" outside.qcow2 64K
	rm "$T/apart"
	ln -s foreign "$T/apart"
	fails_with "not supported" "$mode: an image with its data in another file is not resized" truncate -s 1M outside.qcow2
	like "$(cat "$C/error")" "its data is in another file" "$mode: and the reason says so"
	is "$(stat -c %s "$T/foreign")" 2097152 "$mode: that file keeps its length"
	rm outside.qcow2 "$T/apart"
	ok "$mode: O_TRUNC empties the file, as cp wants it" eval ': >e.qcow2'
	is "$(stat -c %s e.qcow2)" "0" "$mode: its length"
	ok "$mode: and then it is raw" truncate -s 3M e.qcow2
	is "$(stat -c %s e.qcow2)" "3145728" "$mode: of its bytes' size"
	cd / || exit 1
	pf_stop
done
done_testing
