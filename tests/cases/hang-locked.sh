#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# mkdir, rmdir, unlink, rename and create hold their directory's lock in the
# kernel, so they answer within a second while the driver hangs; what they
# promised happens when it goes on, and what they refused does not.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/hang.sh
. "$(dirname "$0")/../hang.sh"
need python3
pf_setup -o nopassthrough,fault
hang_pools
op=$top/tests/tools/fsop.py

fault "p create 0 hang"
took "$op" create "$M/p/new"
soon "create"
is "$rc $out" "1 ETIMEDOUT" "create: ETIMEDOUT"
like "$(cat "$C/pools/p/error")" "'p' has not answered create" "create: the reason"
took "$op" mknod "$M/p/node"
soon "mknod"
is "$rc $out" "1 ETIMEDOUT" "mknod: ETIMEDOUT"
quick "create: ls of the same directory" ls -l "$M/p"
# shellcheck disable=SC2016
quick "create: rm and mv in the same directory" sh -c 'rm "$1/v6" && mv "$1/v5" "$1/u"' sh "$M/p"
is "$(held)" 2 "create: both calls hang still"
fault clear
wait_for 20 state_is p active
nothing_new() { [ ! -e "$DATA/p/new" ] && [ ! -e "$DATA/p/node" ]; }
sleep 0.3 # they may be made now, and go again
wait_for 20 nothing_new
tap $? "create: what was given up is not there later"
quick "create works again" "$op" create "$M/p/new"

fault "p remove 0 hang"
took "$op" remove "$M/p/v1"
soon "unlink"
is "$rc $out" "1 EINPROGRESS" "unlink: EINPROGRESS"
like "$(cat "$C/pools/p/error")" "delete of 'v1' takes longer" "unlink: the reason"
# shellcheck disable=SC2016
quick "unlink: the same directory" sh -c 'ls -l "$1" && >"$1/n1" && mv "$1/n1" "$1/n2"' sh "$M/p"
[ -e "$DATA/p/v1" ]
tap $? "unlink: the volume is there as long as the driver hangs"
fault clear
wait_for 20 [ ! -e "$DATA/p/v1" ]
tap $? "unlink: it goes on and deletes the volume"
wait_for 10 [ ! -e "$M/p/v1" ]
tap $? "unlink: the volume is gone from the mount"

fault "p rename 0 hang"
took "$op" rename "$M/p/v2" "$M/p/moved"
soon "rename"
is "$rc $out" "1 EINPROGRESS" "rename: EINPROGRESS"
# shellcheck disable=SC2016
quick "rename: the same directory" sh -c 'ls -l "$1" && rm "$1/n2"' sh "$M/p"
fault clear
wait_for 20 [ -e "$M/p/moved" ]
tap $? "rename: it goes on"
wait_for 10 [ ! -e "$M/p/v2" ]
tap $? "rename: the old name is gone"
cmp "$DATA/p/moved" "$M/p/moved"
tap $? "rename: the content came along"

fault "p stop 0 hang"
took "$op" rmdir "$M/p"
soon "rmdir"
is "$rc $out" "1 EINPROGRESS" "rmdir: EINPROGRESS"
is "$(pf_info p state)" stopping "rmdir: the pool is stopping"
others_answer "a hanging stop"
took "$op" mkdir "$M/p"
soon "mkdir of a stopping pool"
is "$rc" 1 "mkdir of a stopping pool: refused"
fault clear
wait_for 20 [ ! -e "$M/p" ]
tap $? "rmdir: it goes on"
is "$(pf_info p state)" inactive "rmdir: the pool is stopped"

fault "p start 0 hang"
took "$op" mkdir "$M/p"
soon "mkdir"
is "$rc" 0 "mkdir: success"
is "$(pf_info p state)" starting "mkdir: the pool is starting"
like "$(ls "$M")" "p" "mkdir: its directory is there"
others_answer "a hanging start"
took "$op" rmdir "$M/p"
soon "rmdir of a starting pool"
like "$out" "EBUSY|ENOTEMPTY" "rmdir of a starting pool: refused"
fault clear
wait_for 20 state_is p active
tap $? "mkdir: the start goes on"
quick "the pool works" md5sum "$M/p/v3"
done_testing
