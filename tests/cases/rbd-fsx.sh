#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Random operations on images against shadows: write, read, direct, truncate,
# punch, zero, copy, mmap, rename, seek; on images of the default features and of
# small objects. The long form is soak/rbd.sh.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/ceph.sh
. "$(dirname "$0")/../ceph.sh"
ceph_shared
fsx=$PF_BUILD/tests/tools/fsx
pf_setup -o shrink
rbd_pool p
rbd_pool small rbd_default_order=16 || exit 1
pids=()
"$fsx" -b -s 1 -t 20 -l 1048576 "$M/p" one >"$T/1.out" 2>&1 &
pids+=($!)
"$fsx" -b -t 20 -l 262144 "$M/small" two >"$T/2.out" 2>&1 &
pids+=($!)
for i in 1 2; do
	wait "${pids[i - 1]}"
	tap $? "$(sed -n '/ operations, /p;/^MISMATCH/p' "$T/$i.out")" || diag <"$T/$i.out"
done
done_testing
