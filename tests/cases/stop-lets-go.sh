#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# However a pool is stopped, the daemon holds nothing of its target afterwards:
# the file system that has it can be unmounted.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

held() { find "/proc/$pf_pid/fd" -lname "$DATA/*" | wc -l; }
free() { [ "$(held)" -eq 0 ]; }

# shellcheck disable=SC2016
for mode in announce noannounce; do
if [ $mode = noannounce ]; then
	pf_stop
	pf_setup -o noannounce
	rmdir "$M/p" 2>/dev/null
else
	pf_setup
	pf_pool p
fi
for how in 'rmdir "$M/p"' 'rmdir "$C/active/p"' 'echo stop >"$C/pools/p/ctl"'; do
	[ -d "$M/p" ] || pf_start p
	echo x >"$M/p/v"
	ls -lR "$M" >/dev/null
	ok "$how: the pool holds its directory" [ "$(held)" -gt 0 ]
	ok "$how: stops it" eval "$how"
	wait_for 10 free
	tap $? "$how: and nothing is held" || find "/proc/$pf_pid/fd" -lname "$DATA/*" -ls | diag
done
done
done_testing
