#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# ls -l reads headers ahead of who walks through it: a volume that is resized through
# poolfs meanwhile shows its new size, also when its image has been closed again at once.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/ceph.sh
. "$(dirname "$0")/../ceph.sh"
need python3
ceph_shared
pf_setup
rbd_pool p poolfs_open_images=1
cluster images "$rados" 40 $((1 << 20))
cat >"$T/program.py" <<'END'
import os, sys, time
pool = sys.argv[1] + "/p"
names = sorted(name for name in os.listdir(pool) if name[0] != ".")
fd = os.open(pool + "/" + names[5], os.O_RDWR)
bad = []
for n in range(1, 21):
    time.sleep(0.1)                     # nobody keeps anything any more
    for name in names[:5]:              # which reads more than those
        os.stat(pool + "/" + name)
    os.ftruncate(fd, (n + 1) << 20)
    with open(pool + "/" + names[20], "rb") as f:
        f.read(1)                       # takes the only place among the open images
    time.sleep(0.03)                    # in which the other one is closed
    size = os.stat(pool + "/" + names[5]).st_size
    if size != (n + 1) << 20:
        bad.append((n, size))
others = {os.stat(pool + "/" + name).st_size for name in names if name != names[5]}
if others != {1 << 20}:
    bad.append(others)
print(bad)
END
is "$(timeout 100 python3 "$T/program.py" "$M" 2>&1)" "[]" "each size is the one of now"
done_testing
