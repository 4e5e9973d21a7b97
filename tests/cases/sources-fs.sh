#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# control/sources/fs and disk: a loop device with a file system, a blank one, one with a
# partition table, and what changes while one is mounted. What is found can be written
# into a definition as it is.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_root
need losetup mkfs.ext4 mkswap blkid python3
attach() { # NAME: $loop
	truncate -s 64M "$T/$1.img"
	[ "$1" != ext4 ] || mkfs.ext4 -q "$T/ext4.img"
	[ "$1" != swap ] || mkswap "$T/swap.img" >/dev/null 2>&1
	# A DOS table with one partition from 1 MiB, of 32 MiB
	[ "$1" != dos ] || printf '\0\0\0\0\203\0\0\0\0\10\0\0\0\0\1\0%48s\125\252' '' | tr ' ' '\0' |
		dd of="$T/dos.img" bs=1 seek=446 conv=notrunc status=none
	losetup -f --show "$T/$1.img" || skip_all "needs loop devices"
}
ext4=$(attach ext4) || exit
blank=$(attach blank) dos=$(attach dos) swap=$(attach swap)
pf_setup
S=$C/sources

# FILE DEVICE: the format told for it, or "absent"
format() { python3 - "$S/$1" "$2" <<-'END'
	import sys, xml.etree.ElementTree as ET
	found = [s for s in ET.fromstring(open(sys.argv[1]).read())
		 if [d.get("path") for d in s.findall("device")] == [sys.argv[2]]]
	print(*[s.find("format").get("type") for s in found] or ["absent"])
END
}
is "$(format fs "$ext4")" ext4 "fs: a device with a file system, and which"
for what in blank dos swap; do
	is "$(format fs "${!what}")" absent "fs: not the $what one"
done
is "$(format disk "$blank")" unknown "disk: a blank device"
is "$(format disk "$dos")" dos "disk: one with a partition table, and which"
is "$(format disk "$ext4")" absent "disk: not one that holds a file system"
is "$(format disk "$swap")" absent "disk: nor one that holds swap"

mkdir "$T/there"
mount "$ext4" "$T/there"
is "$(format fs "$ext4")" absent "fs: not while it is mounted"
umount "$T/there"
is "$(format fs "$ext4")" ext4 "fs: again when it is not"

if command -v partx >/dev/null && partx --add "$dos" 2>/dev/null && [ -b "${dos}p1" ]; then
	mkfs.ext4 -q "${dos}p1"
	is "$(format fs "${dos}p1")" ext4 "fs: a partition"
	is "$(format disk "${dos}p1")" absent "disk: no partition"
	is "$(format disk "$dos")" dos "disk: its disk, while nothing on it is used"
	mount "${dos}p1" "$T/there"
	is "$(format disk "$dos")" absent "disk: not while its partition is mounted"
	is "$(format fs "${dos}p1")" absent "fs: nor the partition"
	umount "$T/there"
	partx --delete "$dos"
else
	skip "partitions" "the kernel adds none to a loop device"
fi

# A source as it is told, in a definition
source=$(python3 - "$S/fs" "$ext4" <<-'END'
	import sys, xml.etree.ElementTree as ET
	for s in ET.fromstring(open(sys.argv[1]).read()):
	    if s.find("device").get("path") == sys.argv[2]:
	        print(ET.tostring(s, encoding="unicode"))
END
)
ok "the source can be written into a definition" cp <(printf \
	"<pool type='fs'><name>f</name>%s<target><path>%s</path></target></pool>" "$source" "$T/there") "$C/pools/f.xml"
is "$(sed -n '/<source>/,/<.source>/p' "$C/pools/f.xml" | xargs)" "<source> <device path=$ext4/> <format type=ext4/> </source>" \
	"and reads the same there"
losetup -d "$ext4"
is "$(format fs "$ext4")" absent "gone when the device has gone"
done_testing
