#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A write that fails behind the program's back: librbd tells one flush of it, and
# forgets. Here every handle of the volume has the error from its next fsync, and
# what a later fsync calls written really is.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/ceph.sh
. "$(dirname "$0")/../ceph.sh"
need python3
ceph_own
pf_setup
rbd_pool p client_mount_timeout=3 rados_mon_op_timeout=3 rados_osd_op_timeout=3
rbd create --size 8M v
cat >"$T/program.py" <<'END'
import os, subprocess, sys
path, cluster, d = sys.argv[1:]
def osd(verb):
    subprocess.run([cluster, verb, d, "osd.0"], check=True)
def tried(f, *args):
    try:
        f(*args)
        return "ok"
    except OSError as e:
        return "error"
one, two, reader = (os.open(path, m) for m in (os.O_RDWR, os.O_RDWR, os.O_RDONLY))
os.pwrite(one, b"a" * 4096, 0)
os.fsync(one)                   # write-behind begins after the first flush
os.pwrite(one, b"b" * 4096, 0)
os.fsync(one)
osd("pause")
wrote = tried(os.pwrite, one, b"c" * 4096, 4096)
print("unwritten:", "error" in (wrote, tried(os.fsync, one)))
print("other handle:", tried(os.fsync, two))
osd("resume")
# From here on an fsync that succeeds must tell the truth.
for i in range(60):
    if tried(os.pwrite, two, b"d" * 4096, 8192) == "ok" and tried(os.fsync, two) == "ok":
        break
else:
    sys.exit("no write succeeds any more")
tried(os.fsync, one)
for i in range(60):
    if tried(os.pwrite, one, b"e" * 4096, 12288) == "ok" and tried(os.fsync, one) == "ok":
        break
print("read:", os.pread(reader, 1, 0), os.pread(reader, 1, 8192), os.pread(reader, 1, 12288))
# A busy machine may have lost one of those that were tried: that has been told.
for fd in (one, two):
    tried(os.fsync, fd)
for fd in (one, two, reader):
    os.close(fd)
END
timeout 120 python3 "$T/program.py" "$M/p/v" "$top/tests/ceph" "$ceph" >"$T/out" 2>&1
tap $? "the program came to its end" || diag <"$T/out"
is "$(grep unwritten "$T/out")" "unwritten: True" "the write or its fsync failed"
is "$(grep other "$T/out")" "other handle: error" "so did the fsync of another handle"
is "$(grep read "$T/out")" "read: b'b' b'd' b'e'" "what fsync called written is read"
is "$(rbd export --no-progress v - | python3 -c 'import sys
d = sys.stdin.buffer.read()
print(d[0:1], d[8192:8193], d[12288:12289])')" "b'b' b'd' b'e'" "and is in the image"
like "$(cat "$C/log")" "'v'" "the log names the volume"
done_testing
