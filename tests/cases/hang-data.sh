#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A driver call about a volume's data hangs, each operation in turn: the mount,
# other pools and control/ do not feel it, and SIGINT and SIGKILL end the program
# that waits.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/hang.sh
. "$(dirname "$0")/../hang.sh"
need python3
pf_setup -o nopassthrough,fault,timeout=120
hang_pools
before=$(threads)
v=$M/p/v

each open open "${v}1" "${v}2"
each fstat open "${v}1" "${v}2"
each read read "${v}1" "${v}2"
each read readdirect "${v}1" "${v}2"
each read map "${v}5" "${v}6"
each write write "${v}1" "${v}2"
each write writedirect "${v}1" "${v}2"
each flush fsync "${v}1" "${v}2"
each truncate truncate "${v}1" "${v}2"
each truncate trunc "${v}1" "${v}2"
each allocate allocate "${v}1" "${v}2"
each allocate punch "${v}1" "${v}2"
each seek seek "${v}1" "${v}2"
each copy copy "${v}1" "${v}2" "${v}3"

# Nobody waits for the driver's close.
fault "p close 0 hang"
quick "close: the program does not wait" "$top/tests/tools/fsop.py" close "${v}1"
wait_for 20 held_is 1
tap $? "close: the driver was called"
others_answer "a hanging close"
fault clear

wait_for 20 threads_most $((before + 4))
tap $? "no thread is left" || threads | diag
done_testing
