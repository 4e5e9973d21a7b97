#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# qemu-img and qemu-io on volumes, raw and qcow2, with passthrough and
# without; and QEMU's locks keep rm and shrinking away from an image in use.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need qemu-img qemu-io qemu-nbd
head -c 3145728 /dev/urandom >"$T/in"

for mode in passthrough nopassthrough; do
	pf_mode $mode
	pf_pool p
	cd "$M/p" || exit 1
	ok "$mode: create raw" qemu-img create -q -f raw raw.img 10M
	is "$(stat -c %s raw.img)" "10485760" "$mode: its size"
	ok "$mode: resize raw" qemu-img resize -q -f raw raw.img 20M
	is "$(stat -c %s raw.img)" "20971520" "$mode: its new size"
	ok "$mode: shrink raw" qemu-img resize -q -f raw --shrink raw.img 3M
	ok "$mode: convert raw in" qemu-img convert -f raw -O raw "$T/in" raw.img
	ok "$mode: convert -n" qemu-img convert -n -f raw -O raw "$T/in" raw.img
	ok "$mode: the same bytes" cmp raw.img "$T/in"
	ok "$mode: convert to qcow2" qemu-img convert -f raw -O qcow2 raw.img q.qcow2
	ok "$mode: check" qemu-img check -q q.qcow2
	ok "$mode: compare" qemu-img compare -q -f raw -F qcow2 "$T/in" q.qcow2
	ok "$mode: cp of a qcow2 out" cp q.qcow2 "$T/q"
	ok "$mode: byte for byte" cmp "$T/q" "$DATA/p/q.qcow2"

	ok "$mode: create qcow2" qemu-img create -q -f qcow2 g.qcow2 1G
	like "$(qemu-img info g.qcow2)" "virtual size: 1 GiB" "$mode: info"
	before=$(stat -c %s g.qcow2)
	for i in 0 7 100 900; do
		ok "$mode: a growing qcow2, at $i MB" qemu-io -f qcow2 -c "write -P 0x5a ${i}M 2M" g.qcow2
	done
	[ "$(stat -c %s g.qcow2)" -gt $((before + 8000000)) ]
	tap $? "$mode: has grown"
	ok "$mode: reads what was written" qemu-io -f qcow2 -c 'read -P 0x5a 100M 2M' -c 'read -P 0 200M 1M' g.qcow2
	ok "$mode: without the cache too" qemu-io -t none -f qcow2 -c 'write -P 0x33 300M 1M' -c 'read -P 0x33 300M 1M' g.qcow2
	ok "$mode: check" qemu-img check -q g.qcow2
	ok "$mode: resize" qemu-img resize -q g.qcow2 2G
	ok "$mode: snapshot" qemu-img snapshot -c one g.qcow2
	ok "$mode: an overlay" qemu-img create -q -f qcow2 -b g.qcow2 -F qcow2 o.qcow2
	ok "$mode: reads through" qemu-io -f qcow2 -c 'read -P 0x5a 7M 2M' o.qcow2
	ok "$mode: rebase" qemu-img rebase -q -f qcow2 -u -b '' o.qcow2

	# Somebody has the real file open, as a virtual machine would.
	qemu-nbd -t -k "$T/socket" -f raw "$DATA/p/raw.img" >/dev/null 2>&1 &
	server=$!
	ok "$mode: a server has the image open" wait_for 10 grep -q ":$(stat -c %i "$DATA/p/raw.img") 203" /proc/locks
	fails_with "lock" "$mode: qemu-img on the mount sees its lock" qemu-img resize -f raw raw.img 30M
	fails_with "busy" "$mode: rm" rm raw.img
	fails_with "busy" "$mode: shrinking" truncate -s 1M raw.img
	like "$(cat "$C/error")" "raw.img" "$mode: and the reason names it"
	ok "$mode: the volume is whole" cmp raw.img "$T/in"
	kill $server
	wait $server
	ok "$mode: after its end truncate works" truncate -s 1M raw.img
	ok "$mode: and rm" rm raw.img
	rm -f "$M/p"/*
	cd "$top" || exit 1
	pf_stop
done
done_testing
