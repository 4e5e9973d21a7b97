#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Images for a long time: random operations against shadows for SOAK_SECONDS (half
# an hour) on images of several shapes at once, then fio with checksums for as
# long. Called by soak/run; the short forms are the cases rbd-fsx and rbd-fio.
seconds=${SOAK_SECONDS:-1800}
PF_TIMEOUT=$((seconds * 3 + 600))
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/ceph.sh
. "$(dirname "$0")/../ceph.sh"
need fio
ceph_own
fsx=$PF_BUILD/tests/tools/fsx
pf_setup -o shrink
rbd_pool p
rbd_pool small rbd_default_order=16
rbd_pool plain rbd_default_features=1

pids=() pools=(p small plain p) limits=(1048576 262144 524288 16777216)
for i in 0 1 2 3; do
	"$fsx" -b -t "$seconds" -l "${limits[i]}" "$M/${pools[i]}" "fsx$i" >"$T/$i.out" 2>&1 &
	pids+=($!)
done
for i in 0 1 2 3; do
	wait "${pids[i]}"
	tap $? "${pools[i]}, ${limits[i]} bytes: $(sed -n '/ operations, /p;/^MISMATCH/p' "$T/$i.out")" || diag <"$T/$i.out"
done

end=$((SECONDS + seconds)) rounds=0
for i in 0 1; do truncate -s 256M "$M/p/v.$i.0"; done
rc=0
while [ $SECONDS -lt $end ] && [ $rc -eq 0 ]; do
	rounds=$((rounds + 1))
	engine=$([ $((rounds % 2)) = 0 ] && echo psync || echo libaio)
	direct=$((rounds % 3 != 0))
	for rw in write randwrite randrw; do
		timeout 300 fio --thread --name=v --directory="$M/p" --verify=crc32c --verify_fatal=1 --verify_state_save=0 \
			--do_verify=1 --fallocate=none --allow_file_create=0 --minimal --rw=$rw --numjobs=2 \
			--bsrange=4k-512k --size=256M --io_size=128M --ioengine="$engine" --iodepth=16 \
			--direct="$direct" --fsync=64 --randrepeat=0 --output="$T/fio.out" || rc=1
	done
done
tap $rc "fio verified what it wrote in $rounds rounds" || diag <"$T/fio.out"
is "$(image_md5 v.0.0)" "$(md5 "$M/p/v.0.0")" "and Ceph's tool reads the same"
echo "# daemon: $(awk '/^(VmHWM|VmRSS|Threads)/ { printf "%s %s%s  ", $1, $2, $3 }' "/proc/$pf_pid/status")$(
	find "/proc/$pf_pid/fd" -type l | wc -l) descriptors" >&2
done_testing
