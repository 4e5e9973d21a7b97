#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# volumes/ asks the pool's driver, and a driver that hangs there is felt nowhere
# else: neither in the rest of control/, nor in other pools; SIGINT and SIGKILL
# end the program that waits, and what it asked for is given up.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/hang.sh
. "$(dirname "$0")/../hang.sh"
need python3
pf_setup -o nopassthrough,fault,timeout=120
hang_pools
X=$C/pools/p/volumes

each describe stat "$X/v1.xml" "$X/v2.xml"
each describe open "$X/v1.disk" "$X/v2.disk"
each stat stat "$X/v1.xml" "$X/v2.disk"
each list list "$X" "$X"
each stat remove "$X/v1.xml" "$X/v2.xml"
is "$(ls "$M/p" | xargs)" "v1 v2 v3 v4 v5 v6" "nothing was deleted"

# Given up before the driver did anything: no volume.
echo "<volume><capacity>4096</capacity></volume>" >"$T/new.xml"
for signal in INT KILL; do
	fault "p create 0 hang"
	waits cp "$T/new.xml" "$X/new-$signal.xml"
	wait_for 20 held_is 1
	tap $? "create: the driver was called"
	[ $signal = KILL ] || others_answer "a hanging create by XML"
	kill -$signal "$waiter"
	wait_for 10 ended "$waiter"
	tap $? "create: SIG$signal ends cp"
	fault clear
	wait_for 20 held_is 0
	sleep 0.2
	ok "create: nothing was made" [ ! -e "$DATA/p/new-$signal" ]
done
ok "the pool works again" cp "$T/new.xml" "$X/new.xml"
is "$(stat -c %s "$M/p/new")" 4096 "and makes a volume"

# What holds the directory's lock answers soon, and goes on.
cp "$T/new.xml" "$X/scratch"
fault "p create 0 hang"
took mv "$X/scratch" "$X/late.xml"
soon "mv to a definition"
like "$out" "in progress" "mv: says that it goes on"
fault clear
wait_for 10 [ -e "$DATA/p/late" ]
tap $? "and the volume comes"

# A stop does not wait for a hanging look at a volume for ever.
fault "p describe 0 hang"
fsop_waits stat "$X/v3.xml"
wait_for 20 held_is 1
took rmdir "$M/p"
soon "rmdir with a hanging describe"
wait_for 30 state_is p inactive
tap $? "the pool has stopped"
fault clear
wait_for 10 ended "$waiter"
tap $? "the program that waited has its error"
not_ok "volumes/ is gone" ls "$X"
done_testing
