#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Images with hostile headers: each is still called by its format, has no size
# and gets a sentence; it is read in bounded time and memory; no other file is
# opened for it, whatever name stands in it.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need qemu-img python3 strace
probe=$PF_BUILD/tests/tools/image-probe
I=$T/images
mkdir "$I"
cd "$I" || exit 1
value() { "$probe" "$1" | sed -n "s/^$2: //p" | tr '\n' ' '; }

qemu-img create -q -f qcow2 -b /etc/shadow -F raw -u shadow 20M
qemu-img create -q -f qcow2 -b itself -F qcow2 -u other 20M && mv other itself
qemu-img create -q -f qcow2 -b 'json:{"driver":"nbd","host":"example.com"}' -F raw -u json 20M
qemu-img create -q -f qcow2 good 20M
qemu-img create -q -f vmdk good.vmdk 20M
qemu-img create -q -f vdi good.vdi 20M
qemu-img create -q -f vpc good.vpc 20M
qemu-img create -q -f vhdx good.vhdx 20M
qemu-img create -q -f qed good.qed 20M

# NAME FORMAT TEXT: the copy is called so, has no size, and the problem has TEXT.
bad() {
	local out
	out=$(timeout 20 "$probe" "$1")
	is "$?" 0 "$1: that is an answer, not an error"
	like "$out" "^format: $2"$'\n' "$1: it is called $2"
	like "$out" "problem: .*$3" "$1: and the reason is given"
	is "$(grep -c '^size: ' <<<"$out")" 0 "$1: no size"
}
# NAME SOURCE OFFSET HEX
patched() {
	cp "$2" "$1"
	python3 -c 'import sys; f = open(sys.argv[1], "r+b"); f.seek(int(sys.argv[2])); f.write(bytes.fromhex(sys.argv[3]))' \
		"$1" "$3" "$4"
}

head -c 40 good >cut40
bad cut40 qcow2 "ends after 40 of its 104 bytes"
head -c 4 good >cut4
bad cut4 qcow2 "ends after 4 of"
head -c 196600 good >cut-tables
bad cut-tables qcow2 "beyond the end of the file"
patched size good 24 ffffffffffffffff
bad size qcow2 "18446744073709551615 bytes"
patched cluster good 20 0000003f
bad cluster qcow2 "2\\^63"
patched overlap good 40 0000000000010000
bad overlap qcow2 "overlap"
patched far good 40 7fffffffffff0000
bad far qcow2 "beyond the end"
patched version good 4 00000063
bad version qcow2 "version 99"
patched long shadow 16 ffffffff
bad long qcow2 "first cluster"
patched vmdk-size good.vmdk 12 ffffffffffffffff
bad vmdk-size vmdk "is impossible"
patched vmdk-grain good.vmdk 20 0000000000000080
bad vmdk-grain vmdk "grain size"
patched vmdk-text good.vmdk 73 0a200a0a
bad vmdk-text vmdk "line ends"
patched vdi-size good.vdi 368 ffffffffffffffff
bad vdi-size vdi "cannot hold"
patched vpc-size good.vpc 48 ffffffffffffffff
bad vpc-size vpc "checksum"
patched vhdx-sum good.vhdx $((192 << 10)) 00
patched vhdx-sums vhdx-sum $((256 << 10)) 00
bad vhdx-sums vhdx "region tables"
is "$(value vhdx-sum size)" "20971520 " "one good copy of a VHDX's table is enough"
patched qed-size good.qed 48 ffffffffffffffff
bad qed-size qed "is impossible"
printf '# Disk DescriptorFile\n%070000d\n' 0 >huge.vmdk
bad huge.vmdk vmdk "more than the 65536"

# A name is text, no more.
is "$(value shadow backing)" "/etc/shadow " "a backing file /etc/shadow is named"
is "$(value itself backing)$(value itself size)" "itself 20971520 " "so is one that names itself"
is "$(value json backing-format)" "raw " "and one that is no file"
mkfifo pipe
ln -s /nowhere dangling
for file in shadow itself json good.vmdk; do
	strace -f -qq -e trace=open,openat,openat2,connect,execve -o "$T/trace" "$probe" "$file" >/dev/null
	is "$(sed -E '1d; /"\/(etc\/ld\.so|lib|usr\/lib|proc\/|sys\/)/d' "$T/trace" | grep -c .)" 1 \
		"$file: nothing but the image is opened" || diag <"$T/trace"
done
# 4 TiB of hole: three pages.
truncate -s 4T hole
strace -qq -e trace=pread64 -o "$T/trace" "$probe" hole >/dev/null
ok "a huge raw file is read in three places at most" [ "$(grep -c ', 4096, ' "$T/trace")" -le 3 ]

# What is no image does not hold anybody up, nor what stands beside it.
out=$(timeout 20 "$probe" pipe dangling . good 2>"$T/errors")
like "$out" "format: qcow2" "the good one is found beside a FIFO, a dangling link and a directory"
is "$(grep -c . "$T/errors")" 3 "each of the others gets a sentence" || diag <"$T/errors"
long=$(printf '%0255d' 0)
cp good "$long"
cp good $'a\nb \xc3\xa9'
is "$(value "$long" format)$(value $'a\nb \xc3\xa9' format)" "qcow2 qcow2 " "names of 255 bytes, with newline, in UTF-8"
done_testing
