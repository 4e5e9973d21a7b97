#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The prober says of images that qemu-img made what qemu-img says of them:
# format, size, cluster size, backing file with its format, encryption, and
# qcow2's compat, features and data file.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need qemu-img python3
probe=$PF_BUILD/tests/tools/image-probe
I=$T/images
mkdir "$I"
cd "$I" || exit 1

make() { # NAME ARGUMENTS...: qemu-img create, or the check fails
	local name=$1
	shift
	qemu-img create -q "$@" >"$T/out" 2>&1 || tap 1 "qemu-img makes $name" || diag <"$T/out"
}
secret=(--object "secret,id=s,data=key")
# qemu-img times its key derivation, and gives up where the clock is too coarse.
make_luks() { # NAME OPTIONS -f FORMAT SIZE
	local ms
	for ms in 10 50 200 1000 2000; do
		qemu-img create -q "${secret[@]}" "$3" "$4" -o "${2}iter-time=$ms" "$1" "$5" >"$T/out" 2>&1 &&
			return
	done
	tap 1 "qemu-img makes $1" || diag <"$T/out"
}

make raw -f raw raw 20M
make raw-odd -f raw raw-odd 1048064
make qcow -f qcow qcow 20M
make qcow-aes "${secret[@]}" -f qcow -o encrypt.format=aes,encrypt.key-secret=s qcow-aes 20M
make qcow2-v2 -f qcow2 -o compat=0.10 qcow2-v2 3G
make qcow2-v3 -f qcow2 qcow2-v3 3T
make qcow2-0 -f qcow2 qcow2-0 0
make qcow2-odd -f qcow2 -o cluster_size=512,refcount_bits=1 qcow2-odd 513K
make qcow2-large -f qcow2 -o cluster_size=2M,lazy_refcounts=on qcow2-large 256T
make qcow2-ext -f qcow2 -o extended_l2=on,cluster_size=128K qcow2-ext 1G
make qcow2-zstd -f qcow2 -o compression_type=zstd qcow2-zstd 1G
make qcow2-full -f qcow2 -o preallocation=metadata qcow2-full 64M
make qcow2-data -f qcow2 -o data_file=qcow2-data.raw,data_file_raw=on qcow2-data 16M
make_luks qcow2-luks encrypt.format=luks,encrypt.key-secret=s,encrypt. -f qcow2 20M
make qcow2-aes "${secret[@]}" -f qcow2 -o encrypt.format=aes,encrypt.key-secret=s qcow2-aes 20M
make qcow2-snap -f qcow2 qcow2-snap 20M
qemu-img snapshot -c one qcow2-snap
make base -f qcow2 "base with space.qcow2" 20M
make over1 -f qcow2 -b "base with space.qcow2" -F qcow2 over1 20M
make over2 -f qcow2 -b over1 -F qcow2 -o compat=0.10 over2
make over3 -f qed -b over2 -F qcow2 over3
make over-raw -f qed -b raw -F raw over-raw
make over-qcow -f qcow -b raw over-qcow -F raw
make over-vmdk -f vmdk vmdk-base 20M
make over-vmdk -f vmdk -b vmdk-base -F vmdk over-vmdk
printf 'base-\xff\n\xc3\xa9' >name
cp "base with space.qcow2" "$(cat name)"
make over-bytes -f qcow2 -b "$(cat name)" -F qcow2 over-bytes
for sub in monolithicSparse monolithicFlat twoGbMaxExtentSparse twoGbMaxExtentFlat; do
	make "vmdk-$sub" -f vmdk -o "subformat=$sub" "vmdk-$sub.vmdk" 3G
done
head -c 300000 /dev/urandom >some && truncate -s 3M some
qemu-img convert -O vmdk -o subformat=streamOptimized some vmdk-stream
for size in 3M 127G; do
	make "vpc-$size" -f vpc "vpc-$size" "$size"
	make "vpc-exact-$size" -f vpc -o force_size=on "vpc-exact-$size" "$size"
done
make vpc-fixed -f vpc -o subformat=fixed vpc-fixed 10M
make vpc-fixed-exact -f vpc -o subformat=fixed,force_size=on vpc-fixed-exact 10M
make vdi -f vdi vdi 20M
make vdi-static -f vdi -o static=on vdi-static 5M
make vhdx -f vhdx vhdx 20M
make vhdx-fixed -f vhdx -o subformat=fixed,block_size=1M vhdx-fixed 9M
make vhdx-large -f vhdx vhdx-large 64T
make qed -f qed -o cluster_size=4K,table_size=2 qed 1G
make_luks luks key-secret=s, -f luks 20M
# parallels has no name here: raw, at the file's size
make parallels -f parallels parallels 20M
# these qemu-img can read but not make
"$PF_BUILD/tests/tools/image-make" . >/dev/null

cat >"$T/compare.py" <<'END'
import json, os, subprocess, sys

probe, extents = sys.argv[1], ("-flat.vmdk", "-s001.vmdk", "-s002.vmdk", "-f001.vmdk", "-f002.vmdk")
aside = {b"name", b"some", b"qcow2-data.raw", b"made-cow", b"made-cow-wide", b"made-cow3", b"made-dmg", b"made-iso",
         b"made-cowd", b"made-sesparse", b"made-descriptor", b"made-luks2", b"made-vpc-diff"}
formats = {b"parallels": None, b"made-cloop": "cloop", b"made-bochs": "bochs", b"made-bochs1": "bochs"}
fixed = (b"vpc-fixed", b"vpc-fixed-exact")      # qemu-img takes them for raw unless told

def unescape(text):
    return text.encode().decode("unicode_escape").encode("latin1")

for name in sorted(os.listdir(b".")):
    if name in aside or name.endswith(tuple(e.encode() for e in extents)):
        continue
    shown = name.decode("utf-8", "backslashreplace").replace("\n", "?")
    lines = subprocess.run([probe, name], stdout=subprocess.PIPE).stdout.decode().splitlines()
    got, features = {}, set()
    for line in lines:
        key, value = line.split(": ", 1)
        if key == "feature":
            features.add(value)
        got[key] = value
    force = ["-f", "vpc"] if name in fixed else ["-f", formats[name]] if formats.get(name) else []
    info = json.loads(subprocess.run(["qemu-img", "info", "--output=json", *force, b"./" + name],
                                     stdout=subprocess.PIPE).stdout.decode())
    special = info.get("format-specific", {}).get("data", {})
    want, have = {}, {}
    def check(what, wanted, found):
        want[what], have[what] = wanted, found
    if name in formats and formats[name] is None:
        check("format", "raw", got["format"])
        check("size", os.path.getsize(name), int(got["size"]))
    else:
        check("format", info["format"], got["format"])
        check("size", info["virtual-size"], int(got.get("size", -1)))
        if got.get("variant") not in ("twoGbMaxExtentSparse", "streamOptimized") and got["format"] not in ("bochs", "cloop"):
            check("cluster size", info.get("cluster-size", 0), int(got.get("cluster-size", 0)))
    check("problem", None, got.get("problem"))
    backing = info.get("backing-filename")
    check("backing", backing,           # qemu-img replaces what is not UTF-8
          unescape(got["backing"]).decode("utf-8", "replace") if "backing" in got else None)
    if got["format"] != "qcow":        # its header has no place for it
        check("backing format", info.get("backing-filename-format"), got.get("backing-format"))
    check("encrypted", info.get("encrypted", False), "encryption" in got)
    if info["format"] == "qcow2":
        check("compat", special["compat"], got.get("compat"))
        check("encryption", {"luks": "luks", "aes": "qcow"}.get(special.get("encrypt", {}).get("format")),
              got.get("encryption"))
        check("data file", special.get("data-file"), got.get("data-file"))
        for feature, value in (("lazy_refcounts", special.get("lazy-refcounts", False)),
                               ("extended_l2", special.get("extended-l2", False)),
                               ("data_file_raw", special.get("data-file-raw", False)),
                               ("zstd", special.get("compression-type") == "zstd"),
                               ("marked_corrupt", special.get("corrupt", False)),
                               ("snapshots", "snapshots" in info)):
            check(feature, value, feature in features)
    if info["format"] == "vmdk":
        check("variant", special["create-type"], got.get("variant"))
    for key in want:
        if want[key] != have[key]:
            print(f"{shown}: {key}: qemu-img says {want[key]!r}, the prober {have[key]!r}", file=sys.stderr)
    print(("same " if want == have else "DIFFERENT ") + shown)
END
python3 "$T/compare.py" "$probe" >"$T/compared" 2>"$T/differences" </dev/null
tap $? "all images could be compared" || diag <"$T/differences"
diag <"$T/differences"
count=0
while read -r verdict name; do
	is "$verdict" same "$name: the prober and qemu-img agree"
	count=$((count + 1))
done <"$T/compared"
ok "there were 40 images or more ($count)" [ "$count" -ge 40 ]

# What qemu-img does not make or say.
is "$("$probe" over-bytes | sed -n 's/^backing: //p')" 'base-\xff\x0a\xc3\xa9' "the bytes of a name stay as they are"
value() { "$probe" "$1" | sed -n "s/^$2: //p" | tr '\n' ' '; }
is "$(value made-iso format)$(value made-iso size)" "iso 614400 " "an ISO is the file"
is "$(value made-luks2 encryption)$(value made-luks2 size)" "luks2 4194304 " "LUKS 2: size and kind"
is "$(value vmdk-twoGbMaxExtentSparse.vmdk feature)" "extents " "a descriptor's data are elsewhere"
is "$(value vmdk-twoGbMaxExtentSparse-s001.vmdk format)" "vmdk " "an extent of a split VMDK"
# A block device has its own size.
if [ "$(id -u)" -eq 0 ] && loop=$(losetup -f --show -r raw 2>/dev/null); then
	is "$(value "$loop" format)$(value "$loop" size)" "raw 20971520 " "a block device"
	losetup -d "$loop"
else
	skip "a block device" "needs root and a loop device"
fi
is "$(value vdi-static variant)" "static " "a static VDI"
is "$(value vpc-fixed variant)" "fixed " "a fixed VHD, by its footer"
done_testing
