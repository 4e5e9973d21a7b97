#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Without Ceph's library, or with a broken one: everything else works, an rbd pool
# is defined, and its start says which package to install. The daemon that does
# not need the library does not load it.
# shellcheck disable=SC2016 source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_root
need unshare
if [ -z "${PF_INNER:-}" ]; then
	pf_setup
	pf_pool d
	not_ok "a daemon with no rbd pool has not loaded it" grep -q 'librbd\|librados' "/proc/$pf_pid/maps"
	ok "nor is it linked with it" sh -c '! ldd "$1" | grep -q "librbd\|librados"' sh "$POOLFS"
	pf_stop
	PF_INNER=1 unshare -m --propagation private "$0" >"$T/inner" 2>&1
	tap $? "with the library hidden" || diag <"$T/inner"
	sed 's/^/#   /' "$T/inner"
	ok "all of it was asked" grep -q '^1\.\.' "$T/inner"
	done_testing
fi
pf_forget_mounts
hidden=0
for lib in /usr/lib/*/librbd.so.1* /usr/lib*/librbd.so.1* /lib/*/librbd.so.1*; do
	if [ -f "$lib" ] && mount --bind /dev/null "$lib" 2>/dev/null; then hidden=1; fi
done
pf_setup
pf_pool d
echo x >"$M/d/v"
ok "a dir pool works" [ "$(cat "$M/d/v")" = x ]
secret=2ec115d7-3a88-3ceb-bc12-0ac909a6fd87
printf 'text\n' >"$C/secrets/$secret"
ok "an rbd pool is defined" sh -c "printf \"%s\" \"<pool type='rbd'><name>r</name><source><host name='127.0.0.1' port='1'/><name>rbd</name><auth type='ceph' username='admin'><secret uuid='$secret'/></auth></source></pool>\" >'$C/pools/r.xml'"
like "$(cat "$C/pools/r.xml")" "type='rbd'" "and printed"
not_ok "its start fails" sh -c "echo start >'$C/pools/r/ctl'"
if [ "$hidden" = 1 ]; then want=librbd1; else want=librbd; fi
like "$(cat "$C/pools/r/error")" "$want" "and says what to install: $(cat "$C/pools/r/error")"
is "$(pf_info r state)" "failed" "it is failed"
ok "the dir pool works on" [ "$(cat "$M/d/v")" = x ]
done_testing
