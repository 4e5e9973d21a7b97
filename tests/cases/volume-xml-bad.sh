#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Volume XML that is hostile or wrong, names that are taken or unfit: each is
# refused with a sentence, by the write or the rename that brings it, quickly, and
# the pool's directory stays as it was.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need qemu-img rsync
pf_setup
pf_pool p
X=$C/pools/p/volumes D=$DATA/p
truncate -s 1M "$D/there"
echo "precious" >"$D/other"
qemu-img create -q -f qcow2 "$D/image" 1M
mkdir "$D/dir"
mkfifo "$D/fifo"
before=$(ls -lA --time-style=full-iso "$D")
unchanged() { [ "$(ls -lA --time-style=full-iso "$D")" = "$before" ]; }

refused() { # DESCRIPTION WORDS: what comes on stdin, as x.xml
	cat >"$T/xml"
	local began=$SECONDS
	not_ok "$1 is refused" dd if="$T/xml" of="$X/x.xml" bs=1M status=none
	[ $((SECONDS - began)) -le 10 ]
	tap $? "$1: quickly"
	like "$(cat "$C/error")" "$2" "$1: with a sentence"
	ok "$1: the directory is as before" unchanged
}
volume() { # CAPACITY [IN-TARGET [AFTER]]
	echo "<volume><capacity>$1</capacity><target>${2-}</target>${3-}</volume>"
}
fmt() { echo "<format type='$1'/>"; }

# Sizes.
refused "2^64" "line 1: <capacity>: size '18446744073709551616' is too large" < <(volume 18446744073709551616)
refused "2^64-1" "too large" < <(volume 18446744073709551615)
refused "2^63" "too large" < <(volume 9223372036854775808)
refused "a number of 10,000 digits" "too large|no number" < <(volume "$(head -c 10000 /dev/zero | tr '\0' 9)")
refused "8E" "too large" <<<"<volume><capacity unit='E'>8</capacity></volume>"
refused "a negative size" "'-1' is no number" < <(volume -1)
refused "half a byte" "'1.5' is no number" < <(volume 1.5)
refused "hexadecimal" "'0x10' is no number" < <(volume 0x10)
refused "a size with its unit inside" "'10G' is no number.*unit='G'" < <(volume 10G)
refused "an unknown unit" "<capacity unit>: unknown unit 'XB'" <<<"<volume><capacity unit='XB'>8</capacity></volume>"
refused "no size" "has no <capacity>" <<<"<volume></volume>"
for format in raw qcow2 vdi vpc vmdk qcow; do
	refused "$format of 8 EiB less one byte" "x'|bytes|large|big|File" < <(volume 9223372036854775807 "$(fmt $format)")
done
refused "clusters of 2^63" "too large|[Cc]luster" < <(volume 1M "$(fmt qcow2)<clusterSize>9223372036854775807</clusterSize>" | sed 's/1M/1048576/')
refused "clusters of 3 bytes" "[Cc]luster" < <(volume 1048576 "$(fmt qcow2)<clusterSize>3</clusterSize>")

# Words.
refused "an unknown format" "unknown word 'xyz'; give one of raw, bochs, cloop, cow, dmg, iso, qcow, qcow2" < <(volume 1 "$(fmt xyz)")
for format in bochs cloop cow dmg dir fat vhd ploop; do
	refused "$format" "no volume of the format '$format', only of raw, iso, qcow2, qcow, qed, vmdk, vdi, vpc, vhdx" < <(volume 1048576 "$(fmt $format)")
done
refused "compat 9.9" "unknown compat '9.9'" < <(volume 1048576 "$(fmt qcow2)<compat>9.9</compat>")
refused "compat with an option in it" "no version" < <(volume 1048576 "$(fmt qcow2)<compat>1.1,backing_file=/etc/passwd</compat>")
refused "a feature nobody knows" "unknown <time_travel> in <features>; give one of lazy_refcounts, extended_l2" < <(volume 1048576 "$(fmt qcow2)<features><time_travel/></features>")
refused "a feature of an old version" "[Ll]azy|compat" < <(volume 1048576 "$(fmt qcow2)<compat>0.10</compat><features><lazy_refcounts/></features>")
refused "clusters of a raw volume" "format 'raw' has no 'clusterSize'" < <(volume 1048576 "<clusterSize>65536</clusterSize>")
refused "a bad mode" "no octal mode" < <(volume 1 "<permissions><mode>9z</mode></permissions>")
refused "encryption" "no encrypted volumes" < <(volume 1048576 "$(fmt qcow2)<encryption format='luks'/>")
refused "another type" "unknown word 'floppy'" <<<"<volume type='floppy'><capacity>1</capacity></volume>"
refused "a pool" "root element is 'pool'" <<<"<pool type='dir'><name>x</name><target><path>/x</path></target></pool>"
refused "another name" "<name> is 'y', but the file is 'x.xml'" <<<"<volume><name>y</name><capacity>1</capacity></volume>"
refused "a path as name" "<name>" <<<"<volume><name>../x</name><capacity>1</capacity></volume>"

# What stands behind.
behind() { # PATH [FORMAT]
	volume 1048576 "$(fmt qcow2)" "<backingStore><path>$1</path>${2:+<format type='$2'/>}</backingStore>"
}
refused "a raw volume with a backing file" "format 'raw' has no backing file" < <(volume 1 "" "<backingStore><path>there</path><format type='raw'/></backingStore>")
refused "a vdi with a backing file" "format 'vdi' has no backing file" < <(volume 1048576 "$(fmt vdi)" "<backingStore><path>there</path><format type='raw'/></backingStore>")
refused "one that is not there" "backing file 'gone': No such file" < <(behind gone raw)
refused "itself" "backing file 'x': No such file" < <(behind x qcow2)
refused "a directory" "neither a file nor a block device" < <(behind /etc raw)
refused "a pipe" "neither a file nor a block device" < <(behind fifo raw)
refused "a device" "neither a file nor a block device" < <(behind /dev/zero raw)
refused "a json: name" "is no path" < <(behind 'json:{&quot;driver&quot;:&quot;file&quot;,&quot;filename&quot;:&quot;/etc/passwd&quot;}' raw)
refused "an nbd: name" "is no path" < <(behind nbd://localhost/x raw)
refused "one with an option in it" "No such file" < <(behind "there,backing_fmt=qcow2" raw)
refused "an option" "No such file" < <(behind --help raw)
refused "an unknown format of it" "unknown word 'xyz'" < <(behind there xyz)
refused "an image without a format" "'image' looks like qcow2: say so by <format" < <(behind image)
refused "a wrong format of it" "qcow2|format" < <(behind there qcow2)
refused "one inside the mount" "lies inside this mount" < <(behind "$M/p/there" raw)
refused "one inside the mount, by a detour" "lies inside this mount" < <(behind "../../mnt/p/there" raw)
refused "a path with a newline" "control character" < <(behind $'a\nb' raw)

# The parser.
refused "a DTD" "DTD" <<<"<!DOCTYPE volume SYSTEM 'file:///etc/passwd'>$(volume 1)"
refused "an entity" "DTD" <<<"<!DOCTYPE volume [<!ENTITY a '1'>]>$(volume '&a;')"
refused "an unknown entity" "nix" < <(volume '&nix;')
refused "200 levels" "deeper than" < <(printf '<volume>'; for ((i = 0; i < 200; i++)); do printf '<a>'; done)
refused "64 MiB" "larger than" < <(echo "<volume><capacity>1</capacity><!--"; head -c 67108864 /dev/zero | tr '\0' x)
refused "no XML" "does not begin with '<'" <<<"capacity=1"
refused "half of it" "incomplete" <<<"<volume><capacity>1</capacity>"
refused "two sizes" "a second <capacity>" <<<"<volume><capacity>1</capacity><capacity>2</capacity></volume>"
refused "something behind it" "follows the root" <<<"$(volume 1) and more"
refused "broken UTF-8" "line 1" < <(printf "<volume><name>\xff</name><capacity>1</capacity></volume>")

# Names that are taken, and by what; no way of writing gets over them.
volume 4096 >"$T/good"
for name in there other image; do
	fails_with "File exists" "$name is there: cp" cp "$T/good" "$X/$name.xml"
	like "$(cat "$C/error")" "volume '$name' exists already" "$name: and says so"
	# shellcheck disable=SC2016
	fails_with "File exists" "$name is there: cat" sh -c 'cat "$1" >"$2"' sh "$T/good" "$X/$name.xml"
	not_ok "$name is there: rsync" rsync "$T/good" "$X/$name.xml"
	fails_with "File exists" "$name is there: sed -i" sed -i 's/volume/volume /' "$X/$name.xml"
	rm -f "$X"/.*."$name".xml* "$X"/sed* 2>/dev/null
done
for name in dir fifo; do
	fails_with "File exists" "$name, which is no volume, is there" dd if="$T/good" of="$X/$name.xml" status=none
	like "$(cat "$C/error")" "no volume has the name '$name'" "$name: and says so"
done
for name in .pool .raw .snap .poolfs.x $'a\nb'; do
	show=$(printf %q "$name")
	fails_with "Invalid argument" "$show.xml" cp "$T/good" "$X/$name.xml"
done
long=$(head -c 256 /dev/zero | tr '\0' n)
fails_with "too long" "a name of 256 bytes" dd if="$T/good" of="$X/$long.xml" status=none
fails_with "not permitted" "a .disk" cp "$T/good" "$X/new.disk"
fails_with "not permitted" "a directory" mkdir "$X/new"
fails_with "not permitted" "a link" ln -s there "$X/new.xml"
ok "all is as before" unchanged
is "$(cat "$D/other")" "precious" "and what was there is untouched"
is "$(find "$D" -name '.poolfs*')" "" "no temporary file is left"
ok "and good XML makes a volume" cp "$T/good" "$X/x.xml"
is "$(stat -c %s "$D/x")" 4096 "of its size"
done_testing
