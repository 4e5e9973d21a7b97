#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Writes are answered before they are stored, and many overlap: what is read, cloned and
# cut afterwards is as if each had been stored when it was answered. And programs that
# are killed with many requests under way leave a volume that can be used.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/ceph.sh
. "$(dirname "$0")/../ceph.sh"
need python3 fio
ceph_shared
pf_setup -o shrink
rbd_pool p
# No journal, no object map, and no layering: a copy of it is made byte by byte.
rbd create --size 16M --image-feature exclusive-lock v
rbd create --size 16M w

# The last write of each place wins, the verb that follows sees it.
cat >"$T/program.py" <<'END'
import os, sys, threading, time
mount, verb, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
path, ctl = mount + "/p/v", mount + "/control/pools/p/ctl"
block = 64 << 10
fd = os.open(path, os.O_RDWR)
stop = False
def flush():
    while not stop:
        os.fsync(fd)
        time.sleep(0.001)
others = [threading.Thread(target=flush, daemon=True) for _ in range(2)]
for t in others:
    t.start()
for n in range(1, rounds + 1):
    for again in range(6):
        for place in range(8):
            os.pwrite(fd, bytes([n, again]) * (block // 2), place * block // 2)
    want = b"".join(bytes([n, 5]) * (block // 4) for place in range(7)) + bytes([n, 5]) * (block // 2)
    if verb == "read":
        assert os.pread(fd, len(want), 0) == want, n
    elif verb == "clone":
        with open(ctl, "w") as f:
            f.write("clone v c%d" % n)
        with open("%s/p/c%d" % (mount, n), "rb") as f:
            assert f.read(len(want)) == want, n
        os.remove("%s/p/c%d" % (mount, n))
    else:
        os.ftruncate(fd, 4096)
        os.ftruncate(fd, 1 << 20)
        assert os.pread(fd, 1 << 20, 0) == want[:4096] + bytes((1 << 20) - 4096), n
stop = True
for t in others:
    t.join()
os.close(fd)
END
for verb in read clone cut; do
	ok "overlapping writes while others flush, then $verb" timeout 60 python3 "$T/program.py" "$M" "$verb" 8
done

# Deep queues of requests that overlap, and are given up at any time.
for i in 1 2 3 4; do
	fio --thread --name=deep --filename="$M/p/w" --size=256k --rw=randrw --bsrange=512-64k --bs_unaligned=1 \
		--ioengine=libaio --iodepth=64 --direct=1 --time_based --runtime=20 --fsync=16 --fallocate=none \
		--allow_file_create=0 --output="$T/fio.out" >/dev/null 2>&1 &
	fio=$!
	sleep 2
	kill -s "$([ $((i % 2)) = 0 ] && echo INT || echo KILL)" "$fio"
	wait "$fio"
done 2>/dev/null
printf end | dd of="$M/p/w" conv=notrunc,fsync status=none
is "$(head -c 3 "$M/p/w" | tr -d "\0")" "end" "after programs that were killed with 64 requests each it is written"
is "$(rbd export --no-progress w - 2>/dev/null | head -c 3 | tr -d "\0")" "end" "and stored"
rbd_stop p
tap $? "the pool stops" || diag <"$C/error"
done_testing
