#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Volumes made by writing XML: of each format that can be made, qemu-img info and
# check agree with the volume's XML, and the bytes are the same after cp out and
# in; backing chains of three; raw sparse and allocated; owner, mode, features.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need qemu-img qemu-io xmllint
pf_setup
pf_pool p
X=$C/pools/p/volumes P=$M/p D=$DATA/p

make() { # NAME CAPACITY FORMAT [INSIDE-TARGET [AFTER]]
	printf "<volume>\n  <name>%s</name>\n  <capacity unit='M'>%s</capacity>\n  <target>\n    <format type='%s'/>\n%s  </target>\n%s</volume>\n" \
		"$1" "$2" "$3" "${4-}" "${5-}" >"$T/new.xml"
	cp "$T/new.xml" "$X/$1.xml"
}
text() { # NAME PATH: of the volume's XML, an element or an attribute ("a/b/@c")
	xmllint --xpath "string(/volume/$2)" "$X/$1.xml"
}
info() { # FILE FORMAT KEY: what qemu-img says of the file itself
	qemu-img info -f "$2" --output=json "$D/$1" | sed -n "s/^ *\"$3\": \([0-9]*\),*/\1/p" | tail -n 1
}

is "$(ls -A "$X")" "" "an empty pool has an empty volumes/"
for format in raw qcow2 qcow qed vmdk vdi vpc vhdx iso; do
	v=a.$format
	ok "$format is made" make "$v" 20 "$format"
	fmt=${format/iso/raw}
	is "$(text "$v" target/format/@type)" "$fmt" "$format: its XML names the format"
	is "$(text "$v" capacity)" "$(info "$v" "$fmt" virtual-size)" "$format: qemu-img sees the same size"
	is "$(text "$v" physical)" "$(stat -c %s "$D/$v")" "$format: physical is the file's length"
	is "$(text "$v" allocation)" "$(($(stat -c %b "$D/$v") * 512))" "$format: allocation is what it holds"
	is "$(text "$v" target/path)" "$D/$v" "$format: the path is that of the file"
	is "$(stat -c '%a %U' "$D/$v")" "600 root" "$format: the mode of a volume that says none"
	# Data in it, out by cp, in by cp.
	qemu-io -f "$fmt" -c 'write -P 0x5a 3M 2M' -c 'write -P 0x33 64k 100k' "$D/$v" >/dev/null
	cp "$P/$v" "$T/out"
	is "$(md5 "$T/out")" "$(md5 "$D/$v")" "$format: the same after cp out"
	cp "$T/out" "$P/b.$format"
	is "$(md5 "$D/b.$format")" "$(md5 "$T/out")" "$format: the same after cp in"
	is "$(text "b.$format" capacity)" "$(text "$v" capacity)" "$format: the copy is described alike"
	case $format in
	qcow2 | qed | vdi | vmdk | vhdx | vpc)
		qemu-img check -q -f "$format" "$D/b.$format" 2>"$T/check"
		rc=$?
		if grep -q 'does not support checks' "$T/check"; then
			ok "$format: it can be read whole" qemu-img convert -f "$format" -O raw "$D/b.$format" "$T/raw"
		else
			tap $rc "$format: check is clean" || diag <"$T/check"
		fi
		;;
	esac
	like "$(cat "$X/$v.disk")" "<driver name='qemu' type='$fmt'/>.*<source file='$D/$v'/>" "$format: its disk element"
done
is "$(find "$D" -name '.poolfs*')" "" "no temporary file is left"

# What the XML asks for beyond format and size.
ok "raw without an allocation is allocated whole, as in libvirt" make full 4 raw
is "$(stat -c '%s %b' "$D/full")" "$((4 << 20)) $((4 << 11))" "all of it"
sed "s,</capacity>,</capacity><allocation>0</allocation>,; s,>full<,>sparse<," "$T/new.xml" >"$T/s.xml"
ok "raw with allocation 0" cp "$T/s.xml" "$X/sparse.xml"
is "$(stat -c '%s %b' "$D/sparse")" "$((4 << 20)) 0" "is sparse"
sed 's,>0</alloc,>1048576</alloc,; s,>sparse<,>part<,' "$T/s.xml" >"$T/p.xml"
ok "raw with a part allocated" cp "$T/p.xml" "$X/part.xml"
is "$(stat -c '%s %b' "$D/part")" "$((4 << 20)) $((1 << 11))" "holds that part"
sed 's,>0</alloc,>1073741824</alloc,; s,>sparse<,>more<,' "$T/s.xml" >"$T/m.xml"
ok "raw with more allocated than it can hold" cp "$T/m.xml" "$X/more.xml"
is "$(stat -c '%s %b' "$D/more")" "$((4 << 20)) $((4 << 11))" "is as large as was said"
perms="<permissions><mode>0644</mode><owner>1234</owner><group>2345</group></permissions>"
if [ "$(id -u)" -eq 0 ]; then
	ok "owner and mode" make owned 1 raw "$perms"
	is "$(stat -c '%a %u %g' "$D/owned")" "644 1234 2345" "are the file's"
	is "$(text owned target/permissions/owner) $(text owned target/permissions/mode)" "1234 0644" "and stand in its XML"
	ok "owner and mode of a qcow2" make owned.qcow2 1 qcow2 "$perms"
	is "$(stat -c '%a %u %g' "$D/owned.qcow2")" "644 1234 2345" "too"
fi
ok "compat 0.10" make old.qcow2 10 qcow2 "<compat>0.10</compat>"
is "$(text old.qcow2 target/compat) $(head -c 8 "$D/old.qcow2" | od -An -tx1 | xargs)" " 51 46 49 fb 00 00 00 02" "is version 2"
ok "features and clusters" make new.qcow2 10 qcow2 \
	"<clusterSize unit='KiB'>128</clusterSize><features><lazy_refcounts/><extended_l2/></features>"
is "$(info new.qcow2 qcow2 cluster-size) $(text new.qcow2 target/clusterSize)" "131072 131072" "clusters of 128 KiB"
like "$(cat "$X/new.qcow2.xml")" "<compat>1.1</compat>.*<lazy_refcounts/>.*<extended_l2/>" "and both features"
ok "qcow2 with all of it allocated" cp <(printf "<volume><capacity unit='M'>8</capacity><allocation unit='M'>8</allocation><target><format type='qcow2'/></target></volume>") "$X/whole.qcow2.xml"
[ "$(stat -c %b "$D/whole.qcow2")" -ge $((8 << 11)) ]
tap $? "holds it"
ok "check is clean" qemu-img check -q "$D/whole.qcow2"

# Chains of three, of each format that can have a backing file.
make base.raw 6 raw
qemu-io -f raw -c 'write -P 0x77 0 6M' "$D/base.raw" >/dev/null
over() { # NAME FORMAT BACKING FORMAT
	printf "<volume><target><format type='%s'/></target><backingStore><path>%s</path><format type='%s'/></backingStore></volume>" \
		"$2" "$3" "$4" >"$T/over.xml"
	cp "$T/over.xml" "$X/$1.xml"
}
for format in qcow2 qcow qed vmdk; do
	base=base.raw fmt=raw
	if [ $format = vmdk ]; then
		qemu-img convert -O vmdk "$D/base.raw" "$D/base.vmdk"
		base=base.vmdk fmt=vmdk
	fi
	ok "$format over $fmt" over 2.$format $format $base $fmt
	ok "$format over that, by an absolute path" over 3.$format $format "$D/2.$format" $format
	is "$(text 3.$format capacity)" "$((6 << 20))" "$format: the size comes from the backing file"
	is "$(text 3.$format backingStore/path) $(text 3.$format backingStore/format/@type)" "$D/2.$format $format" \
		"$format: its XML names the file behind it"
	is "$(text 2.$format backingStore/path) $(text 2.$format backingStore/format/@type)" "$D/$base $fmt" \
		"$format: and that one's the one behind that"
	is "$(text 3.$format backingStore/permissions/mode)" "0600" "$format: with its mode"
	is "$(qemu-img info --backing-chain "$D/3.$format" | grep -c '^image: ')" 3 "$format: qemu-img sees three"
	qemu-io -f $format -c 'write -P 0x11 1M 1M' "$D/3.$format" >/dev/null
	ok "$format: the base shows through the chain" qemu-io -f $format -c 'read -P 0x77 0 1M' -c 'read -P 0x11 1M 1M' \
		-c 'read -P 0x77 2M 4M' "$D/3.$format"
	cp "$P/3.$format" "$T/out"
	cp "$T/out" "$P/4.$format"
	is "$(md5 "$D/4.$format")" "$(md5 "$D/3.$format")" "$format: the same after cp out and in"
done
ok "a raw file without a format is behind as raw" cp <(printf "<volume><target><format type='qcow2'/></target><backingStore><path>base.raw</path></backingStore></volume>") "$X/5.qcow2.xml"
is "$(text 5.qcow2 backingStore/format/@type)" raw "and its format is written down"
fails_with "Invalid argument" "an image without a format is not guessed at" \
	cp <(printf "<volume><target><format type='qcow2'/></target><backingStore><path>2.qcow2</path></backingStore></volume>") "$X/6.qcow2.xml"
like "$(cat "$C/error")" "2.qcow2' looks like qcow2" "and the reason tells what to write"

# What is printed makes the same volume again.
for v in a.raw a.qcow2 new.qcow2 a.vdi 3.qcow2; do
	grep -v '<name>' "$X/$v.xml" >"$T/again.xml"
	ok "the XML of $v makes it anew" cp "$T/again.xml" "$X/again-$v.xml"
	keep() { grep -vE '<(name|key|path|allocation|physical|[amc]time)' "$1"; }
	is "$(keep "$X/again-$v.xml")" "$(keep "$X/$v.xml")" "$v: described alike"
done

# The directory: while the pool runs, and only then; nothing in it can be removed.
fails_with "not permitted" "rm of a volume's XML is refused" rm "$X/a.raw.xml"
fails_with "not permitted" "and of its disk" rm "$X/a.raw.disk"
ok "the volume is there" [ -e "$P/a.raw" ]
fails_with "not permitted" "mv of it is refused" mv "$X/a.raw.xml" "$X/z.xml"
size=$(stat -c %s "$X/a.raw.xml")
is "$size" "$(wc -c <"$X/a.raw.xml")" "its size is that of its text"
is "$(tar -C "$X" -cf - a.raw.xml a.raw.disk | tar -xOf - a.raw.disk)" "$(cat "$X/a.raw.disk")" "tar can pack it"
rm "$P/a.raw"
not_ok "the XML of a deleted volume is gone" cat "$X/a.raw.xml"
cd /
ok "stopped" rmdir "$M/p"
not_ok "volumes/ is gone with the run" ls "$X"
pf_start p
ok "and back with the next" [ -e "$X/a.qcow2.xml" ]
done_testing
