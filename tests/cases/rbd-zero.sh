#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Holes: Ceph's discard keeps what is no whole block of its own and says nothing;
# a punched hole or a zeroed range reads as zero to the byte, gives its room back
# where it covers whole objects, and du and SEEK_HOLE know it.
# shellcheck disable=SC2016 source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/ceph.sh
. "$(dirname "$0")/../ceph.sh"
need python3
ceph_shared
pf_setup
rbd_pool p
tr '\0' z </dev/zero | head -c 16M >"$T/f"
cp "$T/f" "$M/p/v"
zero() { # WHAT OFFSET LENGTH: of volume and file alike
	ok "fallocate $1 $3 at $2" fallocate "$1" -n -o "$2" -l "$3" "$M/p/v"
	dd if=/dev/zero of="$T/f" bs=1M count="$3" seek="$2" iflag=count_bytes oflag=seek_bytes conv=notrunc status=none
	ok "exactly that is zero" cmp "$M/p/v" "$T/f"
}
zero -p 5000 1
zero -p 8192 4096
zero -p 100001 70003
zero -z 300000 4096
zero -z 4194300 8
zero -p $((8 << 20)) $((4 << 20))
zero -p $((12 << 20)) 4000000
is "$(image_md5 v)" "$(md5 "$T/f")" "the image has the same"
is "$(stat -c %s "$M/p/v")" "16777216" "its size has not changed"

rbd create --size 10G big
ok "dd far inside an empty image" dd if="$T/f" of="$M/p/big" bs=4M count=1 seek=1000 conv=notrunc,fsync status=none
[ "$(stat -c %b "$M/p/big")" -le 16384 ]
tap $? "du: an empty image takes no room: $(du -k "$M/p/big" | cut -f1) KiB"
[ "$(stat -c %b "$M/p/big")" -ge 8192 ]
tap $? "but for what was written"
is "$(python3 - "$M/p/big" <<'END'
import os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
data = os.lseek(fd, 0, os.SEEK_DATA)
hole = os.lseek(fd, data, os.SEEK_HOLE)
print(data >> 20, hole >> 20, os.lseek(fd, 0, os.SEEK_HOLE))
try:
    print(os.lseek(fd, hole, os.SEEK_DATA))
except OSError as e:
    print(e.strerror)
END
)" "4000 4004 0"$'\n'"No such device or address" "SEEK_DATA and SEEK_HOLE find it"
took fallocate -p -o 0 -l 10G "$M/p/big"
is "$rc" "0" "a hole of 10 GiB is punched ($ms ms)"
wait_for 5 eval '[ "$(stat -c %b "$M/p/big")" = 0 ]'
tap $? "and takes no room" || stat "$M/p/big" | diag
is "$(head -c 4296015872 "$M/p/big" | tail -c +4194304001 | tr -d '\0' | wc -c)" "0" "it reads as zero"
# Where the image keeps no map of its objects, nothing is scanned for a stat.
rbd create --size 100G --image-feature layering plain
took stat -c %s "$M/p/plain"
is "$out" "107374182400" "an image without a map"
within 5 "is looked at as fast"
done_testing
