#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Random operations for a long time, SOAK_SECONDS (half an hour) with the data
# passed through and as long without, in rounds with files of several sizes.
# SOAK_MODES names one of the two. Called by soak/run; the short forms are the
# cases fsx-*.
seconds=${SOAK_SECONDS:-1800}
PF_TIMEOUT=$((seconds * 3 + 600))
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/fsx.sh
. "$top/tests/fsx.sh"
made=
for mode in ${SOAK_MODES:-passthrough nopassthrough}; do
	pf_mode $mode
	if [ -z "$made" ]; then fsx_targets; else pf_pool disk; pf_pool memory; fi
	made=1
	echo "# $mode on $fsx_kinds" >&2
	for size in 65536 262144 1048576 4194304 131072 524288; do
		fsx_run "$mode, up to $size bytes" $(((seconds + 5) / 6)) \
			"disk:$size:" "memory:$size:"
	done
	echo "# data: disk $(pf_info disk data), memory $(pf_info memory data)" >&2
	echo "# daemon: $(awk '/^(VmHWM|VmRSS|Threads)/ { printf "%s %s%s  ", $1, $2, $3 }' "/proc/$pf_pid/status")$(
		find "/proc/$pf_pid/fd" -type l | wc -l) descriptors" >&2
	pf_stop
	tap $? "$mode: the daemon ends well when unmounted"
done
done_testing
