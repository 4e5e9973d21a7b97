#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The mount of a daemon that was killed is cleaned by the next one, also while the
# kernel still answers for its root from the cache: no mount lies beneath the new one.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
pf_setup
mounts() { grep -c " $M " /proc/self/mountinfo; }
for round in 1 2 3; do
	stat "$M" >/dev/null # the kernel knows the root's attributes now
	pf_kill9
	is "$(mounts)" "1" "round $round: the dead mount stays"
	pf_launch
	is "$(mounts)" "1" "round $round: the next daemon's is the only one"
done
pf_stop
is "$?" "0" "it ends"
is "$(mounts)" "0" "no mount is left"
done_testing
