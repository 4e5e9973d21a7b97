#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A volume as a block device: losetup, mkfs, mount, files, fsck, with
# passthrough and without, buffered and direct.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_root
need losetup mkfs.ext4 e2fsck
[ -e /dev/loop-control ] || skip_all "needs loop devices"
head -c 5000000 /dev/urandom >"$T/in"
mkdir "$T/inner"

for mode in passthrough nopassthrough; do
	pf_mode $mode
	pf_pool p
	for direct in off on; do
		what="$mode, direct-io $direct"
		ok "$what: truncate" truncate -s 64M "$M/p/disk"
		loop=$(losetup -f --show --direct-io=$direct "$M/p/disk")
		like "$loop" "^/dev/loop" "$what: losetup"
		fails_with "busy" "$what: a pool with an open volume does not stop" rmdir "$M/p"
		ok "$what: mkfs" mkfs.ext4 -q -F "$loop"
		ok "$what: mount" mount "$loop" "$T/inner"
		ok "$what: cp" cp "$T/in" "$T/inner/f"
		ok "$what: umount" umount "$T/inner"
		ok "$what: detach" losetup -d "$loop"
		ok "$what: fsck" e2fsck -fn "$M/p/disk"
		ok "$what: fsck of the file" e2fsck -fn "$DATA/p/disk"
		ok "$what: mount -o loop" mount -o loop,ro "$M/p/disk" "$T/inner"
		ok "$what: the same bytes" cmp "$T/in" "$T/inner/f"
		ok "$what: umount again" umount "$T/inner"
		ok "$what: rm" wait_for 10 rm "$M/p/disk"
	done
	pf_stop
done
done_testing
