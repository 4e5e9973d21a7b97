#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What poolfs prints for every type is valid by libvirt's own RELAX NG schema,
# which Debian ships in a package of libvirt.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/xml.sh
. "$top/tests/xml.sh"
need python3 xmllint
schema=$(find /usr/share/libvirt /usr/share -maxdepth 3 -name storagepool.rng 2>/dev/null | head -n 1)
[ -n "$schema" ] || skip_all "needs libvirt's schemas (storagepool.rng)"
pf_setup

valid() { xmllint --noout --relaxng "$schema" "$1"; }

check() { # NAME EXAMPLE FILE
	ok "${2##*/}: what is printed is valid" valid "$3"
}
xml_each check

# It is the schema that judges, not xmllint's good will.
printf "<pool type='dir'><name>x</name><target><path>/x</path></target><disk/></pool>\n" >"$T/bad.xml"
fails_with "fails to validate" "what is not libvirt's is not valid" valid "$T/bad.xml"
# Documented differences: words that only poolfs has, a target of old that is no
# device nor iSCSI name is as it came.
sed "s/<source>/<source><format type='btrfs'\/>/" "$top/tests/data/pools/page-fs.xml" >"$T/btrfs.xml"
ok "btrfs is defined" xml_define "$T/btrfs.xml" virtimages
xml_read virtimages >"$T/printed.xml"
fails_with "fails to validate" "btrfs is poolfs's own" valid "$T/printed.xml"
sed -i "/<format type='btrfs'\/>/d" "$T/printed.xml"
ok "but the rest is libvirt's" valid "$T/printed.xml"
done_testing
