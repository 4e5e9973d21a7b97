#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# 20 images and more in ten formats, made by qemu-img in one directory: what
# libvirt's own daemon prints of each is, element by element, what poolfs prints
# of it. Where poolfs knows more, that alone differs.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/libvirt.sh
. "$top/tests/libvirt.sh"
need qemu-img python3
libvirt_start

# ---- the images -------------------------------------------------------------------

I=$DATA/p
mkdir -p "$I"
cd "$I" || exit 1
secret=(--object "secret,id=s,data=abc")
# qemu-img measures the CPU to choose how often to hash, and fails if it is too slow or too fast.
create() {
	local try
	for try in 1 2 3 4 5; do
		qemu-img create "${secret[@]}" -q "$@" 2>"$T/create" && return
	done
	echo "$try tries" | cat - "$T/create" | diag
	exit 1
}
create -f raw raw.img 10M
create -f raw -o preallocation=falloc full.raw 3M
truncate -s 5000001 odd.raw
: >empty.raw
create -f qcow2 plain.qcow2 1G
create -f qcow2 -o compat=0.10 old.qcow2 100M
create -f qcow2 -o lazy_refcounts=on lazy.qcow2 100M
create -f qcow2 -o extended_l2=on,cluster_size=128k,lazy_refcounts=on extended.qcow2 100M
create -f qcow2 -o cluster_size=2M large.qcow2 100M
create -f qcow2 -b plain.qcow2 -F qcow2 over.qcow2
create -f qcow2 -b "$I/over.qcow2" -F qcow2 third.qcow2
create -f qcow2 -b raw.img -F raw over-raw.qcow2 20M
create -f qcow2 -u -b gone.img -F raw over-nothing.qcow2 20M
create -f qcow2 -o encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=50 secret.qcow2 10M
create -f qcow old.qcow 30M
create -f qcow -b raw.img -F raw over.qcow
create -f qed plain.qed 30M
create -f vmdk plain.vmdk 40M
create -f vmdk -o subformat=streamOptimized stream.vmdk 40M
create -f vmdk -b plain.vmdk -F vmdk over.vmdk
create -f vdi plain.vdi 50M
create -f vpc dynamic.vpc 60M
create -f luks -o key-secret=s,iter-time=50 plain.luks 10M
create -f parallels plain.parallels 20M
create -f vhdx plain.vhdx 70M
create -f vpc -o subformat=fixed fixed.vpc 10M
mkdir base
create -f qcow2 base/base.qcow2 7M
create -f qcow2 -b base/base.qcow2 -F qcow2 over-base.qcow2
qemu-io -f qcow2 -c 'write 1M 5M' plain.qcow2 >/dev/null
chown 1234:2345 odd.raw
chmod 640 odd.raw
touch -d '2020-01-02 03:04:05' raw.img
touch -d '2020-01-02 03:04:05.67' full.raw
: >'a b & <c>'
: >"$(printf '\303\274ml\303\244ut')"

# ---- libvirt's word, then ours ---------------------------------------------------------

pf_xml p >"$T/pool.xml"
V pool-create "$T/pool.xml" || exit 1
pf_setup
pf_pool p
X=$C/pools/p/volumes
same=0 formats=''
for file in *; do
	[ -f "$file" ] || continue
	V vol-dumpxml --pool p --vol "$file" >"$T/theirs.xml" || diag <"$T/theirs.xml"
	cat "$X/$file.xml" >"$T/ours.xml"
	case $file in
	*.vhdx | fixed.vpc)
		# To libvirt these are raw: format and virtual size are what poolfs adds.
		like "$(cat "$T/ours.xml")" "<format type='${file#*.}'/>" "$file: poolfs knows the format"
		is "$(sed -n 's/.*<capacity.*>\(.*\)<.*/\1/p' "$T/ours.xml")" \
			"$(qemu-img info -f "${file#*.}" --output=json "$file" | sed -n 's/^    "virtual-size": \([0-9]*\),*/\1/p')" \
			"$file: and the size of the disk in it"
		sed -i '/<format\|<capacity/d' "$T/ours.xml" "$T/theirs.xml"
		;;
	*.parallels)
		# libvirt takes it for one of its ploop directories, of no size.
		like "$(cat "$T/theirs.xml")" "<volume type='ploop'>" "$file: a ploop to libvirt"
		sed -i '/<format\|<capacity/d; s/ type=.ploop.>/ type="file">/' "$T/ours.xml" "$T/theirs.xml"
		;;
	esac
	ok "$file: poolfs and libvirt print the same" "$top/tests/xml-same" "$T/theirs.xml" "$T/ours.xml" && same=$((same + 1))
	formats+=$(qemu-img info --output=json "$file" 2>/dev/null | sed -n 's/^    "format": "\(.*\)",*/\1/p')$'\n'
done
[ "$same" -ge 20 ]
tap $? "20 images at least: $same"
formats=$(sort -u <<<"$formats" | xargs)
is "$(wc -w <<<"$formats")" 10 "in ten formats: $formats"

# A dump of libvirt's makes the same volume anew, in another pool.
pf_pool q
V vol-dumpxml --pool p --vol extended.qcow2 >"$T/theirs.xml"
ok "libvirt's dump makes a volume" cp "$T/theirs.xml" "$C/pools/q/volumes/extended.qcow2.xml"
keep() { grep -vE '<(key|path|allocation|physical|[amc]time)|mode>' "$1"; }
is "$(keep "$C/pools/q/volumes/extended.qcow2.xml")" "$(keep "$T/theirs.xml")" "which is described in the same way"
libvirt_end
done_testing
