#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# control/sources/logical: a real volume group on two loop devices, and what libvirt's
# find-storage-pool-sources says of it, byte for byte. Its devices are no disks to make
# partitions on.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/libvirt.sh
. "$top/tests/libvirt.sh"
need_root
need pvs vgcreate losetup python3
vg=poolfs-test-$$
group() { # COMMAND...: of LVM; leaves no backup in /etc
	"$1" --config 'backup { backup = 0 archive = 0 }' "${@:2}" </dev/null >>"$T/lvm" 2>&1
}
libvirt_start
truncate -s 32M "$T/a.img" "$T/b.img"
a=$(losetup -f --show "$T/a.img") && b=$(losetup -f --show "$T/b.img") || skip_all "needs loop devices"
if ! group pvcreate "$a" "$b" || ! group vgcreate "$vg" "$a" "$b"; then
	diag <"$T/lvm"
	skip_all "LVM makes no volume group here"
fi
pf_setup
S=$C/sources

one() { # the <source> that names $vg
	python3 -c 'import sys, xml.etree.ElementTree as ET
for s in ET.parse(sys.argv[1]).getroot():
	if s.findtext("name") == sys.argv[2]:
		print(ET.tostring(s, encoding="unicode"))' "$1" "$vg"
}
cat "$S/logical" >"$T/ours.xml"
V find-storage-pool-sources logical >"$T/theirs.xml" 2>"$T/error" || diag <"$T/error"
like "$(one "$T/ours.xml" | xargs)" "^<source> <device path=/dev/loop[0-9]+ /> <device path=/dev/loop[0-9]+ /> <name>$vg</name> <format type=lvm2 /> </source>" \
	"a group with its two devices"
is "$(one "$T/ours.xml")" "$(one "$T/theirs.xml")" "as libvirt tells it"
# Other groups may come and go meanwhile; the frame is the same.
is "$(sed -n '1p;$p' "$T/ours.xml" | xargs)" "<sources> </sources>" "in libvirt's <sources>"
not_ok "its devices are not told as disks" grep -qE "'($a|$b)'" "$S/disk"
not_ok "nor as file systems" grep -qE "'($a|$b)'" "$S/fs"

ok "it can be written into a definition" cp <(printf "<pool type='logical'>%s</pool>" "$(one "$T/ours.xml")") "$C/pools/$vg.xml"
like "$(cat "$C/pools/$vg.xml")" "<path>/dev/$vg</path>" "and is the pool of that group"

group vgremove "$vg" && group pvremove "$a" "$b"
is "$(cat "$S/logical" >"$T/ours.xml"; one "$T/ours.xml")" "" "gone when the group has gone"
ok "its devices are blank disks then" grep -qF "'$a'" "$S/disk"
done_testing
