#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Random operations against shadows, the data going through the daemon, on a
# disk's file system and on tmpfs at once. And fsx notices what is wrong: a
# byte changed behind it.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/fsx.sh
. "$top/tests/fsx.sh"
pf_mode nopassthrough
fsx_targets
fsx_run "through the daemon" 15 disk:262144:1 disk:2097152: memory:262144:2
like "$(pf_info memory data)" "daemon" "none was passed through"

"$fsx" -s 3 -t 60 -r "$T/memory" "$M/memory" bad >"$T/bad.out" 2>&1 &
pid=$!
for ((i = 0; i < 1000; i++)); do
	for file in "$T"/memory/bad.?*; do printf 'X' >>"$file"; done 2>/dev/null
	sleep 0.02
	kill -0 $pid 2>/dev/null || break
done
wait $pid
is "$?" 1 "fsx ends with 1 when another program changes the file"
like "$(<"$T/bad.out")" "MISMATCH at operation [0-9]+ .*seed 3" "and says where"
done_testing
