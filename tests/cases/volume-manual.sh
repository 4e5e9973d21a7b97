#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# docs/poolfs-volume.5 and the program agree: each example makes a volume as it
# stands there, and the page names each element that is printed and each format
# that is known or can be made.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need mandoc qemu-img
pf_setup
pf_pool p
X=$C/pools/p/volumes
page=$top/docs/poolfs-volume.5
text=$(mandoc -T utf8 "$page" | sed 's/.\x08//g')

awk -v dir="$T" '
	/^\.Bd -literal/ { n++; on = 1; next }
	/^\.Ed/ { on = 0 }
	on { print > sprintf("%s/%02d.xml", dir, n) }' "$page"
for file in "$T"/[0-9]*.xml; do
	name=$(sed -n 's,.*<name>\(.*\)</name>,\1,p' "$file")
	ok "the example $name makes a volume" cp "$file" "$X/$name.xml"
	ok "that qemu-img finds clean" qemu-img check -q "$DATA/p/$name"
done
like "$(cat "$X/disk.qcow2.xml")" "<capacity unit='bytes'>10737418240<.*<mode>0640<.*<clusterSize unit='B'>131072<.*<lazy_refcounts/>" \
	"disk.qcow2 is as the example says"
like "$(cat "$X/overlay.qcow2.xml")" "<path>$DATA/p/disk.qcow2</path>" "overlay.qcow2 too"

has() { grep -qwF -- "$1" <<<"$text"; }
for element in $(cat "$X"/*.xml | sed -nE 's/^ *<([A-Za-z_0-9]+).*/\1/p' | sort -u); do
	ok "the page has the element $element" has "$element"
done
words() { # FORMAT: the list in the sentence that refuses it
	echo "<volume><capacity>1</capacity><target><format type='$1'/></target></volume>" |
		dd of="$X/x.xml" status=none 2>/dev/null
	sed -nE 's/.*(give one of|only of) //p' "$C/error" | tr -d ,
}
known=$(words nonsense)
made=$(words dmg)
[ "$(wc -w <<<"$known")" -ge 12 ] && [ "$(wc -w <<<"$made")" -ge 7 ]
tap $? "wrong formats are answered with lists"
for word in $known $made; do
	ok "the page has the format $word" has "$word"
done
done_testing
