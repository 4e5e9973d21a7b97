# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# tests/fsx.sh - read after lib.sh by the cases fsx-* and by soak/fsx.sh: runs
# several fsx at once, each on volumes of its own, in pools on two file
# systems. It decides nothing about modes; the daemon runs already.

fsx=$PF_BUILD/tests/tools/fsx
[ -x "$fsx" ] || { echo "no $fsx: make test-programs" >&2; exit 1; }

# ext4 on a loop device and a tmpfs where we may mount, else what is there.
fsx_targets() {
	mkdir "$T/disk" "$T/memory"
	if [ "$(id -u)" -eq 0 ] && [ -e /dev/loop-control ]; then
		truncate -s 512M "$T/ext4.img"
		mkfs.ext4 -q -F "$T/ext4.img" && mount -o loop "$T/ext4.img" "$T/disk"
	fi
	[ "$(id -u)" -ne 0 ] || mount -t tmpfs -o size=512M tmpfs "$T/memory"
	pf_define disk "$T/disk" && pf_start disk
	pf_define memory "$T/memory" && pf_start memory
	fsx_kinds="$(stat -fc %T "$T/disk"), $(stat -fc %T "$T/memory")"
}

# Each JOB is POOL:LIMIT:SEED, an empty seed being one by chance. All run at
# once for SECONDS; each is one check.
fsx_run() { # WHAT SECONDS JOB...
	local what=$1 seconds=$2 job pool limit seed i=0 pids=()
	shift 2
	for job in "$@"; do
		IFS=: read -r pool limit seed <<<"$job"
		"$fsx" ${seed:+-s "$seed"} -t "$seconds" -l "$limit" -r "$T/$pool" \
			"$M/$pool" "fsx$i" >"$T/fsx$i.out" 2>&1 &
		pids[i++]=$!
	done
	i=0
	for job in "$@"; do
		wait "${pids[i]}"
		tap $? "$what, ${job%%:*}: $(sed -n '/ operations, /p;/^MISMATCH/p' "$T/fsx$i.out")" ||
			diag <"$T/fsx$i.out"
		i=$((i + 1))
	done
}
