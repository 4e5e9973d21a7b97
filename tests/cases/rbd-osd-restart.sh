#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# kill -9 of the OSD while programs write, and its restart: they go on where they
# were, or have an error; what fsync confirmed is there. The OSD is on a disk
# (bluestore), so it keeps what it has said to have.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/ceph.sh
. "$(dirname "$0")/../ceph.sh"
need python3
ceph_own --store bluestore --size $((3 << 30))
pf_setup
rbd_pool p rados_osd_op_timeout=40
rbd create --size 16M v
rbd create --size 16M idle
cp /etc/hostname "$T/text"
cat >"$T/writer.py" <<'END'
import os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
confirmed = n = errors = 0
while not os.path.exists(sys.argv[2]):
    start = n
    try:
        for _ in range(8):
            os.pwrite(fd, b"%07d " % n * 512, (n % 4096) * 4096)
            n += 1
        os.fsync(fd)
        confirmed = n
    except OSError as e:
        errors += 1
        n = start
        if errors > 50:
            sys.exit("too many errors: %s" % e)
open(sys.argv[3], "w").write("%d %d" % (confirmed, errors))
END
python3 "$T/writer.py" "$M/p/v" "$T/enough" "$T/count" 2>"$T/err" &
writer=$!
sleep 1
cluster kill osd.0
sleep 0.5
cluster respawn osd.0
took dd if="$T/text" of="$M/p/idle" bs=4k conv=notrunc,fsync status=none
is "$rc" "0" "another image is written as soon as the OSD is back ($ms ms)" || diag <<<"$out"
sleep 1
: >"$T/enough"
wait $writer
tap $? "the writer went on" || diag <"$T/err"
read -r confirmed errors <"$T/count"
[ "$confirmed" -gt 100 ]
tap $? "$confirmed writes confirmed, $errors errors"
rbd export --no-progress v "$T/v"
ok "all that was confirmed is there" python3 - "$T/v" "$confirmed" <<'END'
import sys
data, n = open(sys.argv[1], "rb").read(), int(sys.argv[2])
for i in range(max(0, n - 4096), n):
    at = (i % 4096) * 4096
    assert data[at:at + 4096] == b"%07d " % i * 512, (i, data[at:at + 8])
END
is "$(md5 "$M/p/v")" "$(md5 "$T/v")" "and reads the same here"
is "$(pf_info p state)" "active" "the pool is active"
done_testing
