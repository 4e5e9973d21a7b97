#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The first, second, third ... call of each operation fails, over define, start,
# create, write, resize, clone, delete and stop, until none does: each time
# there is a reason, nothing leaks, and the pool works afterwards.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/hang.sh
. "$(dirname "$0")/../hang.sh"
need python3
pf_setup -o nopassthrough,fault
pf_pool p
rmdir "$M/p"
lives=$top/tests/tools/lives.py

is "$("$lives" "$M" "$DATA/p" none)" "none 0 " "a whole life without faults"
fds=$(fds) threads=$(threads) all=0
while read -r op n wrong; do
	[ -z "$wrong" ] && [ "$n" -gt 0 ]
	tap $? "$op: each of $n calls fails with a reason, and the pool works again" ||
		fold -sw 200 <<<"$wrong" | diag
	all=$((all + n))
done < <("$lives" "$M" "$DATA/p" start stop usage list sync stat readlink describe create remove rename \
	setattr resize clone wipe open close fstat read write flush truncate allocate seek copy)
is "$("$lives" "$M" "$DATA/p" none)" "none 0 " "a whole life after $all faults"
is "$tap_count" 27 "all operations were tried"
wait_for 10 fds_most "$fds"
tap $? "no descriptor is left" || ls -l "/proc/$pf_pid/fd" | diag
wait_for 20 threads_most $((threads + 4))
tap $? "no thread is left" || threads | diag
done_testing
