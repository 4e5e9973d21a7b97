#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The verbs and the names: resize, rename, clone (which in the end depends on
# nothing), clone linked (which does), wipe, and what each refuses.
# shellcheck disable=SC2016 source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/ceph.sh
. "$(dirname "$0")/../ceph.sh"
ceph_shared
pf_setup
rbd_pool p
refuses() { # REASON-REGEX VERB...
	not_ok "'${*:2}' is refused" ctl "${@:2}"
	like "$(cat "$C/error")" "$1" "and the reason says '$1'"
}
head -c 9000000 /dev/urandom >"$T/in"
sum=$(md5 "$T/in")
cp "$T/in" "$M/p/v"

ok "resize, larger" ctl resize v 20M
is "$(stat -c %s "$M/p/v") $(image_size v)" "20971520 20971520" "has the size, and so has the image"
refuses "shrink" resize v 9000000
ok "resize with shrink" ctl resize v 9000000 shrink
is "$(image_size v) $(image_md5 v)" "9000000 $sum" "the content is the old one"
refuses "'none'" resize none 1M
refuses "." resize v 16E

ok "mv" mv "$M/p/v" "$M/p/moved"
is "$(images)" "moved" "renames the image"
is "$(md5 "$M/p/moved")" "$sum" "the content is the old one"
rbd create --size 1M other
ok "mv -n keeps what is there" mv -n "$M/p/moved" "$M/p/other"
is "$(images)" "moved other" "both are there"
rm "$M/p/other"

ok "clone" ctl clone moved copy
is "$(image_md5 copy)" "$sum" "is equal"
alone() { ! rbd info "$1" | grep -q parent: && [ -z "$(rbd snap ls --all moved)" ]; }
wait_for 30 alone copy
tap $? "in the end it depends on nothing" || { rbd info copy; rbd snap ls --all moved; } | diag
refuses "'copy'" clone moved copy
refuses "'none'" clone none x
printf changed | dd of="$M/p/copy" conv=notrunc,fsync status=none
is "$(image_md5 moved)" "$sum" "a write to the copy leaves the source"

ok "clone linked" ctl clone moved linked linked
is "$(image_md5 linked)" "$sum" "is equal"
ok "and has a parent" sh -c 'CEPH_CONF=$1 rbd info "$2/linked" | grep -q parent:' sh "$CEPH_CONF" "$rados"
fails_with "not empty" "so its source is not removed" rm "$M/p/moved"
like "$(cat "$C/error")" "linked|snapshot" "and the reason says why"
is "$(md5 "$M/p/moved")" "$sum" "the source is whole"
ok "the linked one is removed" rm "$M/p/linked"
wait_for 20 rm "$M/p/moved"
tap $? "and then its source" || diag <"$C/error"

ok "wipe zero" ctl wipe copy zero
is "$(tr -d '\0' <"$M/p/copy" | wc -c) $(stat -c %s "$M/p/copy")" "0 9000000" "leaves zeros, and the size"
head -c 8M "$T/in" >"$M/p/w" # two of Ceph's objects
ok "wipe trim" ctl wipe w trim
is "$(tr -d '\0' <"$M/p/w" | wc -c) $(stat -c '%s %b' "$M/p/w")" "0 8388608 0" "leaves zeros, the size and no room"
refuses "slowly" wipe w slowly

for feature in layering layering,exclusive-lock layering,exclusive-lock,object-map,fast-diff,deep-flatten; do
	rbd create --size 12M --image-feature "$feature" f
	ok "an image with $feature is written" dd if="$T/in" of="$M/p/f" bs=1M conv=notrunc,fsync status=none
	cmp -n 9000000 "$M/p/f" "$T/in"
	tap $? "and read"
	ok "resized" truncate -s 14M "$M/p/f"
	ok "cloned" ctl clone f g
	cmp -n 9000000 "$M/p/g" "$T/in"
	tap $? "the clone is equal"
	wait_for 30 rm "$M/p/f" "$M/p/g"
	tap $? "and both are removed" || diag <"$C/error"
	rm -f "$M/p/f" "$M/p/g"
done
rbd create --size 12M --image-format 2 --object-size 64K small
ok "an image of small objects" dd if="$T/in" of="$M/p/small" bs=1M conv=notrunc,fsync status=none
rbd create --size 12M --stripe-unit 16K --stripe-count 4 striped
ok "a striped image" dd if="$T/in" of="$M/p/striped" bs=1M conv=notrunc,fsync status=none
is "$(head -c 9000000 "$M/p/striped" | md5sum) $(head -c 9000000 "$M/p/small" | md5sum)" "$sum  - $sum  -" "both read the same"
done_testing
