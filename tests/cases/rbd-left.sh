#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What a daemon left half done when it died, the next one clears away: the hidden
# snapshot and the hidden image of a copy. It touches nothing that it does not know
# for its own, and its end does not wait for such work.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/ceph.sh
. "$(dirname "$0")/../ceph.sh"
ceph_shared
pf_setup
note() { with_conf timeout 60 rados -p "$rados" setomapval poolfs.todo "$1" "$2" >/dev/null; }
noted() { with_conf timeout 60 rados -p "$rados" listomapkeys poolfs.todo; }
id_of() { rbd info --format json "$1" | sed -E 's/.*"id":"([^"]*)".*/\1/'; }
snaps() { rbd snap ls --format json v | grep -o '"name":"[^"]*"' | cut -d'"' -f4 | xargs; }

rbd create --size 8M v
rbd snap create --no-progress v@poolfs-00
rbd snap create --no-progress v@poolfs-01
rbd snap create --no-progress v@mine
note "snap.$(id_of v).poolfs-00" left
for i in 1 2 3; do rbd create --size 8M ".poolfs.clone-$i"; done
note new..poolfs.clone-1 left
note new..poolfs.clone-2 "another boot pid:[1] 1 1"
rbd create --size 8M theirs
rbd trash mv theirs

rbd_pool p
cleared() { ! noted | grep -qE 'snap|clone-1'; }
wait_for 30 cleared
tap $? "what is noted as left is done" || noted | diag
is "$(snaps)" "poolfs-01 mine" "the snapshot is gone; others', and one that only looks like it, are not"
is "$(images)" ".poolfs.clone-2 .poolfs.clone-3 v" "the image is gone; that of a daemon elsewhere is not"
is "$(rbd trash ls | wc -l)" "1" "nor what others put into the trash"
is "$(ls "$M/p")" "v" "none of it is listed"
not_ok "nothing is complained of" grep -q ' tidy ' "$LOG"

head -c 4M /dev/urandom >"$T/in"
cp "$T/in" "$M/p/new"
rbd create --size 8M old
ok "one volume takes the place of another" mv "$M/p/new" "$M/p/old"
is "$(image_md5 old)" "$(md5 "$T/in")" "with its data"
gone() { [ "$(rbd trash ls --all | wc -l)" = 1 ]; }
wait_for 30 gone
tap $? "the other is deleted" || rbd trash ls --all | diag
is "$(rbd ls | grep -c '^old$')" "1" "and there is one of that name"

rbd create --size 400G --image-feature layering big
rm "$M/p/big"
wait_for 20 grep -q 'tidy' "$C/jobs"
tap $? "clearing away is under way: $(cat "$C/jobs")"
begun=$(now_ms)
pf_stop
rc=$?
ms=$(($(now_ms) - begun)) out=
is "$rc" "0" "the daemon ends meanwhile"
within 15 "without waiting for that"
pf_launch
wait_for 20 [ -e "$M/p/v" ]
tap $? "the next one runs"
wait_for 60 gone
tap $? "and brings it to its end" || { noted; rbd trash ls --all; } | diag
done_testing
