#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What an fsync calls written is there, in a full pool as well, with and without others
# that flush the same image: librbd's write-behind, which is off here, calls one flush in
# some hundred a success after a write that failed.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/ceph.sh
. "$(dirname "$0")/../ceph.sh"
need python3
ceph_shared
pf_setup
rbd_nearly_full
cat >"$T/program.py" <<'END'
import os, sys, threading, time
path, block = sys.argv[1], b"x" * 65536
place = [0]
def write(fd):
    """At a new place; None: refused."""
    place[0] += 1
    try:
        os.pwrite(fd, block, place[0] * len(block))
        os.fsync(fd)
        return place[0]
    except OSError:
        return None
fd = os.open(path, os.O_RDWR)
end = time.time() + 40          # the monitor looks every few seconds
while write(fd) and time.time() < end:
    place[0] %= 500
    time.sleep(0.1)
stop = False
def flush():
    mine = os.open(path, os.O_RDWR)
    while not stop:
        try:
            os.fsync(mine)
        except OSError:
            pass
    os.close(mine)
others = [threading.Thread(target=flush) for _ in range(int(sys.argv[2]))]
for t in others:
    t.start()
place[0] = 500                  # where nothing was written
done = [write(fd) for _ in range(300)]
stop = True
for t in others:
    t.join()
print("refused", done.count(None))
print("stored", *[n for n in done if n])
END
head -c 64K /dev/zero | tr '\0' x >"$T/block"
for others in 0 4; do
	ok "$others others: writes into a full pool" \
		sh -c "python3 '$T/program.py' '$M/p/w' $others >'$T/said'"
	ok "most are refused" awk '$1 == "refused" { exit $2 < 250 }' "$T/said"
	stored=$(sed -n 's/^stored *//p' "$T/said")
	rm -f "$T/out"
	rbd export w "$T/out" --no-progress 2>/dev/null
	lost=
	for n in $stored; do
		dd if="$T/out" bs=64k skip="$n" count=1 status=none | cmp -s - "$T/block" || lost="$lost $n"
	done
	is "$lost" "" "what fsync called written is there (of ${stored:-none})"
done
cluster quota "$rados" 0
done_testing
