#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# fio with checksums on images: sequential and random, several jobs and depths,
# with fsync; what fio wrote is also there by Ceph's own tool.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/ceph.sh
. "$(dirname "$0")/../ceph.sh"
need fio
ceph_shared
pf_setup
rbd_pool p
verified() { # DESCRIPTION OPTION...
	local desc=$1
	shift
	# fio finds no file of a process that is gone: jobs in threads.
	ok "$desc" timeout 100 fio --thread --name=v --directory="$M/p" --verify=crc32c \
		--verify_fatal=1 --verify_state_save=0 --do_verify=1 --fallocate=none --allow_file_create=0 --output="$T/fio.out" \
		--minimal "$@" || diag <"$T/fio.out"
}
for i in 0 1 2; do
	truncate -s 64M "$M/p/v.$i.0"
	truncate -s 64M "$M/p/r.$i.0"
done
verified "sequential, 1 MiB, three jobs" --rw=write --bs=1M --size=48M --numjobs=3 --ioengine=psync --end_fsync=1
verified "random, 4 KiB, fsync each 16" --rw=randwrite --bs=4k --size=48M --io_size=6M --numjobs=2 --ioengine=psync --fsync=16
verified "random sizes at depth 32, O_DIRECT" --rw=randwrite --bsrange=4k-256k --size=48M --io_size=24M --ioengine=libaio --iodepth=32 --direct=1
verified "random, writes and reads mixed, depth 16" --rw=randrw --bs=8k --size=48M --io_size=12M --ioengine=libaio --iodepth=16 --direct=1
verified "sizes that are no multiple of a sector" --rw=randwrite --bssplit=1000/30:7000/30:70000/40 --bs_unaligned=1 --size=32M --io_size=12M --ioengine=psync
ok "Ceph has the same" [ "$(image_md5 v.0.0)" = "$(md5 "$M/p/v.0.0")" ]
ok "as what O_DIRECT reads" [ "$(dd if="$M/p/v.0.0" bs=1M iflag=direct status=none | md5sum | cut -d' ' -f1)" = "$(image_md5 v.0.0)" ]
done_testing
