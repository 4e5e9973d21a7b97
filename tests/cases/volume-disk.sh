#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# VOLUME.disk is the <disk> of a domain, and VOLUME.xml a <volume>: both are valid
# by libvirt's schemas, whatever the volume is called; QEMU reads the guest's data
# by the path and the format that stand in the disk.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need qemu-img qemu-io xmllint
schemas=$(find /usr/share/libvirt -name storagevol.rng -printf '%h\n' 2>/dev/null | head -n 1)
[ -n "$schemas" ] || skip_all "needs libvirt's schemas (storagevol.rng)"
pf_setup
pf_pool p
X=$C/pools/p/volumes

valid() { xmllint --noout --relaxng "$schemas/$1" "$2"; }
value() { xmllint --xpath "string($1)" "$2"; }
domain() { # FILE: a domain with that disk
	printf "<domain type='qemu'><name>d</name><memory>65536</memory><os><type>hvm</type></os><devices>%s</devices></domain>\n" "$(cat "$1")"
}

for format in raw qcow2 qcow qed vmdk vdi vpc vhdx; do
	printf "<volume><capacity unit='M'>8</capacity><target><format type='%s'/></target></volume>" $format |
		cat >"$X/v.$format.xml"
done
printf "<volume><target><format type='qcow2'/></target><backingStore><path>v.vmdk</path><format type='vmdk'/></backingStore></volume>" |
	cat >"$X/over.xml"
for name in 'a b' "q'uo\"te & <tag>" "$(printf 'ml\303\274t')" '-x' '.hidden' 'a,b=c:d%e'; do
	: >"$M/p/$name"
done
truncate -s 40960 "$M/p/cd.iso"
printf CD001 | dd of="$M/p/cd.iso" bs=1 seek=32769 conv=notrunc status=none

for file in "$X"/* "$X"/.h*; do
	name=${file##*/}
	case $name in
	*.vhdx.*) ;; # a word that libvirt has not
	*.disk)
		domain "$file" >"$T/domain.xml"
		ok "$name is valid in a domain" valid domain.rng "$T/domain.xml"
		is "$(value /disk/source/@file "$file")" "$DATA/p/${name%.disk}" "$name names the file"
		;;
	*) ok "$name is a valid volume" valid storagevol.rng "$file" ;;
	esac
done
sed 's,<driver,<diver,' "$X/v.raw.disk" >"$T/bad"
domain "$T/bad" >"$T/domain.xml"
fails_with "fails to validate" "it is the schema that judges" valid domain.rng "$T/domain.xml"

for v in v.raw v.qcow2 v.qcow v.qed v.vmdk v.vdi v.vpc v.vhdx over; do
	type=$(value /disk/driver/@type "$X/$v.disk")
	path=$(value /disk/source/@file "$X/$v.disk")
	qemu-io -f "$type" -c 'write -P 0x42 1M 1M' "$path" >/dev/null
	ok "$v: a guest's data is there again by path and type" qemu-io -f "$type" -c 'read -P 0x42 1M 1M' "$path"
	ok "$v: and through the mount" qemu-io -f "$type" -r -c 'read -P 0x42 1M 1M' "$M/p/$v"
done
is "$(value /disk/@device "$X/cd.iso.disk") $(value /disk/driver/@type "$X/cd.iso.disk") $(value /disk/target/@bus "$X/cd.iso.disk")" \
	"cdrom raw sata" "a CD's image is a CD, raw to QEMU"
fails_with "denied" "a disk is not written" dd if=/dev/null of="$X/v.raw.disk" status=none conv=notrunc
fails_with "not permitted" "nor made" cp "$X/v.raw.disk" "$X/new.disk"
is "$(value /disk/target/@dev "$X/v.raw.disk")" vda "the target is the first disk on virtio"

# The path would be another file's: a machine would run on the wrong disk.
truncate -s 1M "$M/p/moved"
mv "$DATA/p" "$DATA/away"
mkdir "$DATA/p"
echo other >"$DATA/p/moved"
fails_with "Stale" "the pool's directory was moved away, and another is there: no disk" cat "$X/moved.disk"
like "$(cat "$C/error")" "not the directory any more .* start it again" "and it is said why"
fails_with "Stale" "nor a volume" cat "$X/moved.xml"
ok "its data is at hand as before" cmp -n 1M "$M/p/moved" /dev/zero
ok "and its size can be set" truncate -s 2M "$M/p/moved"
rm -r "$DATA/p"
mv "$DATA/away" "$DATA/p"
is "$(value /disk/source/@file "$X/moved.disk")" "$DATA/p/moved" "moved back: it names the file"
done_testing
