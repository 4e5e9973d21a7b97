#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Images that need another RADOS pool, for their data or as clones, when that has been
# deleted: they cannot be read, and it is said why; the rest of the pool goes on. Inside
# Ceph's libraries such an open may wait for ever, and all the pool with it.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/ceph.sh
. "$(dirname "$0")/../ceph.sh"
ceph_shared
pf_setup
data=$rados-data parents=$rados-parents
# shellcheck disable=SC2317
also_end() { cluster unpool "$data" "$parents"; }
pf_at_end=(also_end "${pf_at_end[@]}")
cluster pool "$data" "$parents" || exit 1
head -c 8M /dev/urandom >"$T/in"
rbd import --no-progress "$T/in" "$parents/base"
{
	rbd snap create "$parents/base@s"
	rbd snap protect "$parents/base@s"
	rbd clone "$parents/base@s" clone
	rbd snap create clone@s
	rbd snap protect clone@s
	rbd clone clone@s grandchild
	rbd clone "$parents/base@s" open
	rbd clone "$parents/base@s" loose
	# Only its snapshot needs the parent.
	rbd clone --image-feature layering "$parents/base@s" flat
	rbd snap create flat@s
	rbd flatten flat
} >/dev/null 2>&1
rbd_pool p
rbd create --size 8M --data-pool "$data" apart
cp "$T/in" "$M/p/plain"
dd if="$T/in" of="$M/p/apart" bs=1M conv=notrunc status=none
for image in plain apart clone grandchild flat; do
	ok "$image is read" cmp "$T/in" "$M/p/$image"
done
# Anew: none is open.
ok "the pool stops" rbd_stop p
ok "and starts" mkdir "$M/p"
# But for these two, of which one is cut loose.
exec 7<>"$M/p/open" 8<"$M/p/loose"
ok "two are open" eval 'head -c 1 <&7 >/dev/null && head -c 1 <&8 >/dev/null'
rbd flatten --no-progress loose
cluster unpool "$data" "$parents"

for image in clone grandchild apart; do
	fails_with "Input/output error" "$image cannot be read any more" timeout 60 md5sum "$M/p/$image"
	[ "$image" = apart ] && why="with its data has been deleted" || why="of its parent has been deleted"
	like "$(cat "$C/error")" "'$image'.*RADOS pool $why" "and it is said why"
done
fails_with "Input/output error" "who has one open reads no zeros" \
	eval 'dd bs=1M skip=6 count=1 status=none <&7'
fails_with "Input/output error" "nor writes between zeros" \
	dd if=/dev/urandom of="$M/p/open" bs=4k count=1 seek=1 conv=notrunc,fsync status=none
fails_with "Input/output error" "an open one is not removed" timeout 60 rm "$M/p/open"
ok "one that was cut loose is read on" cmp "$T/in" "$M/p/loose"
exec 7>&- 8<&-
for image in clone apart; do
	fails_with "Input/output error" "$image is not removed" timeout 60 rm "$M/p/$image"
	fails_with "Input/output error" "nor renamed" timeout 60 mv "$M/p/$image" "$M/p/other"
done
is "$(find "$M/p" -type f ! -name '.*' -printf '%f\n' | sort | xargs)" \
	"apart clone flat grandchild loose open plain" "they are listed"
ok "an image that needs neither is read" timeout 60 cmp "$T/in" "$M/p/plain"
ok "and one of which just a snapshot needs it" timeout 60 cmp "$T/in" "$M/p/flat"
ok "one is made" timeout 60 cp "$T/in" "$M/p/new"
# shellcheck disable=SC2016
fails_with "Input/output error" "no copy is made of what is lost" timeout 60 bash -c 'echo "clone open copy" >"$1/pools/p/ctl"' - "$C"
not_ok "and none is there" stat "$M/p/copy"
ok "the pool stops again" rbd_stop p
done_testing
