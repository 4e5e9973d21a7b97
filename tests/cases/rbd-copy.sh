#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What cp brings into an rbd pool is what `rbd export` gives, and what cp brings
# out is what `rbd import` takes; holes stay holes; cp within the pool depends on
# nothing; cp between an rbd and a dir pool is equal.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/ceph.sh
. "$(dirname "$0")/../ceph.sh"
need rsync qemu-img
ceph_shared
pf_setup
rbd_pool p
pf_pool d
head -c 40000001 /dev/urandom >"$T/full"
truncate -s 300M "$T/sparse"
for mb in 0 17 130 299; do
	dd if="$T/full" of="$T/sparse" bs=64k count=1 seek=$((mb * 16)) conv=notrunc status=none
done
head -c 12345 /dev/urandom >"$T/small"
: >"$T/empty"

for kind in full sparse small empty; do
	sum=$(md5 "$T/$kind")
	ok "cp $kind in" cp "$T/$kind" "$M/p/$kind"
	is "$(stat -c %s "$M/p/$kind")" "$(stat -c %s "$T/$kind")" "$kind: its size"
	is "$(md5 "$M/p/$kind")" "$sum" "$kind: cat gives the same"
	is "$(image_size "$kind")" "$(stat -c %s "$T/$kind")" "$kind: the image's size"
	is "$(image_md5 "$kind")" "$sum" "$kind: rbd export gives the same"
	ok "cp $kind out" cp "$M/p/$kind" "$T/$kind.out"
	ok "$kind: the same" cmp "$T/$kind" "$T/$kind.out"
	[ "$kind" != empty ] || continue
	ok "$kind: rbd import takes it" rbd import --no-progress "$T/$kind.out" "imported-$kind"
	is "$(md5 "$M/p/imported-$kind")" "$sum" "$kind: what it made reads the same"
done
[ "$(stat -c %b "$M/p/sparse")" -le $((4 * 8192 + 8)) ]
tap $? "a sparse file's holes take no room: $(($(stat -c %b "$M/p/sparse") / 2)) KiB"
[ "$(stat -c %b "$T/sparse.out")" -le $((4 * 8192 + 8)) ]
tap $? "nor do they outside: $(($(stat -c %b "$T/sparse.out") / 2)) KiB"

ok "cp within the pool" cp "$M/p/full" "$M/p/second"
is "$(image_md5 second)" "$(md5 "$T/full")" "is equal"
dd if=/dev/zero of="$M/p/full" bs=4k count=10 conv=notrunc,fsync status=none
is "$(image_md5 second)" "$(md5 "$T/full")" "and stays so when the source changes"
no_parent() { ! rbd info second | grep -q parent:; }
wait_for 30 no_parent
tap $? "it depends on nothing in the end"
no_snapshot() { [ -z "$(rbd snap ls --all full)" ]; }
wait_for 30 no_snapshot
tap $? "and its source has no snapshot left" || rbd snap ls --all full | diag
ok "the source can be removed" rm "$M/p/full"
ok "cp from rbd to dir" cp "$M/p/second" "$M/d/v"
ok "is equal" cmp "$M/d/v" "$T/full"
ok "cp from dir to rbd" cp "$M/d/v" "$M/p/third"
is "$(image_md5 third)" "$(md5 "$T/full")" "is equal"
ok "rsync in" rsync --inplace "$T/small" "$M/p/rsynced"
is "$(image_md5 rsynced)" "$(md5 "$T/small")" "is equal"
ok "dd in, of odd blocks" dd if="$T/small" of="$M/p/dd" bs=777 conv=fsync status=none
is "$(image_md5 dd)" "$(md5 "$T/small")" "is equal"
ok "qemu-img convert in" qemu-img convert -f raw -O raw -S 4k "$T/sparse" "$M/p/converted"
is "$(image_md5 converted)" "$(md5 "$T/sparse")" "is equal"
ok "cp --sparse=always" cp --sparse=always "$T/sparse" "$M/p/always"
is "$(image_md5 always)" "$(md5 "$T/sparse")" "is equal"

# Its second 64 KiB are in an object that elsewhere begins at 4 MiB.
rbd create --size 64M --stripe-unit 65536 --stripe-count 4 striped
dd if="$T/full" of="$M/p/striped" bs=64k count=1 seek=1 conv=notrunc,fsync status=none
sum=$(image_md5 striped)
ok "cp of a striped image out" cp "$M/p/striped" "$T/striped"
is "$(md5 "$T/striped")" "$sum" "is equal"
ok "cp of it within the pool" cp "$M/p/striped" "$M/p/striped-2"
is "$(image_md5 striped-2)" "$sum" "is equal"
done_testing
