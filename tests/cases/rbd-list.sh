#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# 1,000 images: `ls` costs one look at the pool and `ls -l` one request for each
# image, so that none is opened (the OSD's own counter says so); 200 can be open
# for reading at once. A cluster of its own, since it counts.
# shellcheck disable=SC2016 source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/ceph.sh
. "$(dirname "$0")/../ceph.sh"
ceph_own
cluster images rbd 1000 $((1 << 30))
pf_setup
rbd_pool p

ops() { cluster ops; }
cost() { # COMMAND...: $ops it took
	local before
	before=$(ops)
	took "$@"
	ops=$(($(ops) - before))
}
cost sh -c 'ls "$1" | wc -l' sh "$M/p"
is "$out" "1000" "ls shows them all"
# The kernel may ask for the attributes of those it lists first; to ask for those of
# each takes 3, to open one more than 7.
[ "$ops" -le 2000 ]
tap $? "with $ops operations, in $ms ms"
# What the kernel kept of the names would make the next one cheaper, never dearer.
sleep 0.2
cost ls -l "$M/p"
is "$(grep -c ' 1073741824 ' <<<"$out")" "1000" "ls -l knows each size"
# On a slow machine what is old is asked for again.
[ "$ops" -le 7000 ]
tap $? "with $ops operations, in $ms ms"
is "$(watchers image-00500)" "0" "none is open"
year=$(date +%Y)
is "$(stat -c %y "$M/p/image-00007" | cut -c1-4)" "$year" "and its time"

fds=()
opened=0
for i in $(seq -f %05g 1 200); do
	printf 'volume %s' "$i" | dd of="$M/p/image-$i" conv=notrunc status=none || echo "$i" >>"$T/bad"
done
ok "200 are written" [ ! -e "$T/bad" ]
for i in $(seq -f %05g 1 200); do
	exec {fd}<"$M/p/image-$i" && opened=$((opened + 1))
	fds+=("$fd")
done
is "$opened" "200" "200 are open at once"
i=0
for fd in "${fds[@]}"; do
	i=$((i + 1))
	read -r -N 12 -u "$fd" text
	[ "$text" = "volume $(printf %05d $i)" ] || echo "$i: $text" >>"$T/wrong"
done
ok "each reads as its own" [ ! -e "$T/wrong" ] || diag <"$T/wrong"
echo "# with 200 open: $(grep -E '^(VmRSS|Threads)' "/proc/$pf_pid/status" | xargs), $(find "/proc/$pf_pid/fd" -type l | wc -l) descriptors" >&2
for fd in "${fds[@]}"; do exec {fd}<&-; done
rbd_stop p
tap $? "the pool stops when they are closed" || diag <"$C/error"
is "$(image_size image-01000)" "1073741824" "and nothing happened to them"
done_testing
