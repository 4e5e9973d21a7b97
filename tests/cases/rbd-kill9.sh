#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# kill -9 of poolfs during writes: what fsync confirmed is in the image, and the
# next daemon goes on at once, though the dead one held the lock.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/ceph.sh
. "$(dirname "$0")/../ceph.sh"
need python3
ceph_shared
pf_setup
rbd_pool p
cat >"$T/writer.py" <<'END'
import os, random, sys
# Random blocks, many at once between two fsyncs; prints what fsync confirmed.
path, seed = sys.argv[1], int(sys.argv[2])
chance = random.Random(seed)
fd = os.open(path, os.O_RDWR)
n = 0
out = os.open(sys.argv[3], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
while True:
    lines = []
    for _ in range(chance.choice((1, 4, 30))):
        block = chance.randrange(1024)
        try:
            os.pwrite(fd, b"%07d " % n * 512, block * 4096)
        except OSError:
            sys.exit()
        lines.append("%d %d\n" % (block, n))
        n += 1
    try:
        os.fsync(fd)
    except OSError:
        sys.exit()
    os.write(out, "".join(lines).encode())
END
cat >"$T/check.py" <<'END'
import sys
data = open(sys.argv[1], "rb").read()
want, confirmed = {}, -1
for line in open(sys.argv[2]):
    block, n = map(int, line.split())
    want[block] = confirmed = n
bad = 0
for block, n in want.items():
    part = data[block * 4096:][:4096]
    # What was under way may have overwritten it, never something older.
    got = int(part[:7]) if part[:7].isdigit() else -1
    if got < n or (got > n and got <= confirmed) or (got == n and part != b"%07d " % n * 512):
        bad += 1
        print("block %d: wanted %d, has %d" % (block, n, got))
print(confirmed + 1, "writes confirmed")
sys.exit(bad > 0 or not want)
END
for round in 1 2 3; do
	rbd create --size 4M "v$round"
	python3 "$T/writer.py" "$M/p/v$round" "$round" "$T/confirmed" &
	writer=$!
	wait_for 30 [ -s "$T/confirmed" ]
	sleep "0.$((round * 3))"
	pf_kill9
	wait $writer
	rm -f "$T/image"
	rbd export --no-progress "v$round" "$T/image"
	python3 "$T/check.py" "$T/image" "$T/confirmed" >"$T/out" 2>&1
	tap $? "round $round: what fsync confirmed is there ($(tail -n 1 "$T/out"))" || diag <"$T/out"
	rm "$T/confirmed"
	pf_launch
	wait_for 20 [ -e "$M/p/v$round" ]
	tap $? "round $round: the pool runs again"
	took dd if=/etc/hostname of="$M/p/v$round" bs=4k conv=notrunc,fsync status=none
	is "$rc" "0" "round $round: and the image is written" || diag <<<"$out"
	# Without more, Ceph would have it wait 30 seconds for the dead one.
	within 20 "round $round: without waiting for the dead daemon's lock"
done
pf_restart
wait_for 20 [ -e "$M/p/v1" ]
tap $? "after a clean end, too"
took dd if=/etc/hostname of="$M/p/v1" bs=4k conv=notrunc,fsync status=none
is "$rc" "0" "the image is written" || diag <<<"$out"
within 10 "at once"
done_testing
