#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A target inside the mount is refused wherever the mount shows: bind mounts that come
# and go while the daemon runs count from the next definition and start.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_root
pf_setup
mkdir -p "$T/again/sub" "$T/other"
at() { pf_xml "$1" "$2" | cat >"$C/pools/$1.xml"; }

ok "a place that is no part of the mount is fine" at before "$T/again/sub"
ok "and starts" mkdir "$M/before"
ok "it stops" rmdir "$M/before"
mount --bind "$M" "$T/again" || exit 1
fails_with "Invalid argument" "once the mount shows there, it is refused" at more "$T/again/more"
like "$(cat "$C/error")" "lies inside the mount itself" "and the reason says so"
fails_with "Invalid argument" "nor does what was defined before start" mkdir "$M/before"
umount "$T/again"
ok "when the mount shows there no more, it starts" mkdir "$M/before"
ok "and stops" rmdir "$M/before"
mount --bind "$M" "$T/other" || exit 1
fails_with "Invalid argument" "the next place counts as well" at more "$T/other/more"
umount "$T/other"
done_testing
