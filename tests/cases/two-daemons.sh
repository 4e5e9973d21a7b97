#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# One daemon for one SOURCE: a second one refuses and says why, and the first
# goes on; another SOURCE beside it is fine.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
pf_setup
pf_pool p
echo data >"$M/p/v"
mkdir "$T/mnt2"

for source in "$SRC" "$SRC/." "$T/mnt/../source"; do
	out=$("$POOLFS" -f -o "rundir=$RUN" "$source" "$T/mnt2" 2>&1)
	is "$?" "32" "a second daemon on ${source#"$T"/} refuses: mount failure"
	like "$out" "$SRC|another|running" "and says why"
	fails_with "$SRC" "in the background, with another rundir, too" \
		"$POOLFS" -o "rundir=$T/run2" "$source" "$T/mnt2"
	is "$(grep -c " $T/mnt2 " /proc/self/mountinfo)" "0" "no second mount is left"
done
is "$(cat "$M/p/v")" "data" "the first goes on"

ok "a daemon on another SOURCE" "$POOLFS" -o "rundir=$T/run2" "$T/source2" "$T/mnt2"
ok "serves" [ -e "$T/mnt2/control/version" ]
is "$(ls "$T/mnt2/control/pools")" "" "its own pools only"
pf_umount "$T/mnt2"
pf_kill9
pf_launch
ok "the lock dies with its holder" [ -e "$C/version" ]
done_testing
