#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Names and XML that are hostile: each is refused with a sentence, quickly and
# in bounded memory, and nothing is defined.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
pf_setup
P=$C/pools

refused() { # DESCRIPTION: what comes on stdin, as x.xml (not in a pipe: that is a subshell)
	cat >"$T/xml"
	local before=$SECONDS
	not_ok "$1 is refused" dd if="$T/xml" of="$P/x.xml" bs=1M status=none
	[ $((SECONDS - before)) -le 10 ]
	tap $? "$1: quickly"
	like "$(cat "$C/error")" "[a-z]{3}" "$1: with a sentence"
	ok "$1: defines nothing" [ ! -e "$P/x" ]
}

# The names, each inside <name>, and as the name of the file where it can be one.
long=$(head -c 300 /dev/zero | tr '\0' n)
for name in '..' '.' 'a/b' '-rf' '' "$long" $'a\nb' $'a\tb' ' ' '.hidden' 'control' 'a.xml'; do
	show=$(printf %.20q "$name")
	fails_with "Invalid argument" "the name $show in the XML is refused" \
		dd if=<(pf_xml "$name" /nowhere) of="$P/x.xml" status=none
	like "$(cat "$C/error")" "[a-z]{3}" "$show: with a sentence"
	ok "$show: defines nothing" [ -z "$(find "$SRC" -name '*.xml')" ]
	rm -f "$P/x.xml"
done
fails_with "File name too long" "a file name of 300 bytes" cp <(pf_xml x /nowhere) "$P/$long.xml"
for name in '-rf' $'a\nb' 'control'; do
	show=$(printf %q "$name")
	dd if=<(pf_xml "$name" /nowhere) of="$P/$name.xml" status=none 2>/dev/null
	ok "a file named $show.xml defines nothing" [ ! -e "$P/$name/info" ]
	rm -f -- "$P/$name.xml" 2>/dev/null
done
fails_with "Invalid argument" "a name that ends in .xml, which is that of another's definition" \
	dd if=<(pf_xml a.xml /nowhere) of="$P/a.xml.xml" status=none
rm -f "$P/a.xml.xml"
ok "still nothing on the disk" [ -z "$(find "$SRC" -name '*.xml')" ]

target="<target><path>/nowhere</path></target>"
refused "a DTD" <<<"<!DOCTYPE pool SYSTEM 'file:///etc/passwd'><pool type='dir'>$target</pool>"
refused "an internal entity" <<<"<!DOCTYPE pool [<!ENTITY a '/x'>]><pool type='dir'><target><path>&a;</path></target></pool>"
refused "an external entity" <<<"<!DOCTYPE pool [<!ENTITY a SYSTEM 'file:///etc/hostname'>]><pool type='dir'><target><path>/&a;</path></target></pool>"
laughs() {
	echo "<!DOCTYPE pool [<!ENTITY l0 'lol'>"
	for i in 1 2 3 4 5 6 7 8 9; do
		echo "<!ENTITY l$i '$(for _ in 1 2 3 4 5 6 7 8; do printf '&l%s;' $((i - 1)); done)'>"
	done
	echo "]><pool type='dir'><target><path>/&l9;</path></target></pool>"
}
refused "billion laughs" < <(laughs)
refused "an unknown entity" <<<"<pool type='dir'><target><path>/&nix;</path></target></pool>"
refused "an inclusion" <<<"<pool type='dir' xmlns:xi='http://www.w3.org/2001/XInclude'><target><path><xi:include href='/etc/hostname' parse='text'/></path></target></pool>"
deep() {
	echo "<pool type='dir'>"
	for ((i = 0; i < 200; i++)); do printf '<a>'; done
	for ((i = 0; i < 200; i++)); do printf '</a>'; done
	echo "$target</pool>"
}
refused "200 levels" < <(deep)
huge() {
	echo "<pool type='dir'>$target<!--"
	head -c 67108864 /dev/zero | tr '\0' x
	echo "--></pool>"
}
peak() { awk '/^VmHWM/ { print $2 }' "/proc/$pf_pid/status"; }
before=$(peak)
refused "64 MiB" < <(huge)
if ! grep -q __asan_init "$POOLFS"; then # which has memory of its own
	[ $(($(peak) - before)) -lt 40000 ]
	tap $? "64 MiB: in bounded memory"
fi
refused "no XML" <<<"type=dir target=/nowhere"
refused "a zero byte" < <(printf "<pool type='dir'>\0%s</pool>" "$target")
refused "broken UTF-8" < <(printf "<pool type='dir'><target><path>/\xff\xfe</path></target></pool>")
refused "an unknown type" <<<"<pool type='floppy'>$target</pool>"
refused "no type" <<<"<pool>$target</pool>"
refused "another root" <<<"<volume>$target</volume>"
refused "no target" <<<"<pool type='dir'></pool>"
refused "a relative target" <<<"<pool type='dir'><target><path>images</path></target></pool>"
refused "a bad uuid" <<<"<pool type='dir'><uuid>12345</uuid>$target</pool>"
refused "a bad mode" <<<"<pool type='dir'><target><path>/nowhere</path><permissions><mode>9z</mode></permissions></target></pool>"

# The target inside the mount itself, also by way of a link, is refused.
ln -s "$M/control" "$T/link"
for path in "$M/control" "$M/inside" "$M" "$T/link"; do
	fails_with "Invalid argument" "the target ${path#"$T/"}" cp <(pf_xml x "$path") "$P/x.xml"
	like "$(cat "$C/error")" "mount" "and says why"
done
done_testing
