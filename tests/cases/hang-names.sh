#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A driver call about names, attributes or a pool, or by a verb, hangs, each
# operation in turn: the mount, other pools and control/ do not feel it, and
# SIGINT and SIGKILL end the program that waits.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/hang.sh
. "$(dirname "$0")/../hang.sh"
need python3
pf_setup -o nopassthrough,fault,timeout=120
hang_pools
before=$(threads)
v=$M/p/v

ctl=$C/pools/p/ctl
ln -s v1 "$DATA/p/link"

each stat stat "${v}1" "${v}2"
each list list "$M/p" "$M/p"
each readlink readlink "$M/p/link" "$M/p/link"
each setattr setattr "${v}1" "${v}2"
each resize resize "${v}1" "${v}2"
each sync fsync "$M/p" "$M/p"
each clone verb "$ctl" "$ctl" "clone v1 c"
each wipe verb "$ctl" "$ctl" "wipe v3 zero"
xml=$C/pools/p/volumes
each describe open "$xml/v1.xml" "$xml/v2.xml"
each list list "$xml" "$xml"
each list verb "$ctl" "$ctl" "refresh"
each resize verb "$ctl" "$ctl" "resize v3 1M"

# df waits for a moment only.
fault "p usage 0 hang"
quick "usage: df does not wait" df "$M/p"
wait_for 20 held_is 1
tap $? "usage: the driver was called"
others_answer "a hanging usage"
quick "usage: the pool's volumes" ls -l "$M/p"
fault clear

quick "the pool stops" rmdir "$M/p"
each_stopped() { # OP LINE
	fault "p $1 0 hang"
	interrupted "$1" INT 1 verb "$ctl" "$2"
	fault clear
	wait_for 20 held_is 0
}
each_stopped build build
wait_for 10 sh -c "echo build >'$ctl'" # the one that hung has ended
rm -rf "${DATA:?}/p"/*
each_stopped erase "delete $(pf_info p uuid)"

wait_for 20 threads_most $((before + 4))
tap $? "no thread is left" || threads | diag
done_testing
