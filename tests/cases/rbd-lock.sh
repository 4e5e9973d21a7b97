#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# An image that a virtual machine holds is never taken from it: writing fails with
# a sentence, reading works, and when the machine is gone writing does too. If it
# died, Ceph knows after osd_client_watch_timeout (30 seconds, 10 here).
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/ceph.sh
. "$(dirname "$0")/../ceph.sh"
ceph_own --conf 'osd_client_watch_timeout = 10'
pf_setup
rbd_pool p
head -c 1M /dev/urandom >"$T/in"
sum=$(md5 "$T/in")
owner() { rbd lock ls "$1" | awk '/client\./ { print $1 }'; }
write() { printf intruder | dd of="$M/p/$1" bs=4k conv=notrunc,fsync status=none; }
for how in write lock; do
	rbd import --no-progress "$T/in" "$how"
	hold "$how" "$how"
	before=$(owner "$how")
	[ -n "$before" ]
	tap $? "$how: the other program has the lock"
	took write "$how"
	like "$out" "busy|Read-only file system" "$how: a write is refused"
	within 30 "$how: in good time"
	like "$(cat "$C/error")" "'$how'.*(held|use|lock|open)" "$how: the reason says why"
	is "$(owner "$how")" "$before" "$how: the other still has the lock"
	is "$(md5 "$M/p/$how")" "$sum" "$how: reading works, and nothing was written"
	not_ok "$how: nor is it truncated" truncate -s 4M "$M/p/$how"
	not_ok "$how: nor removed" rm "$M/p/$how"
	not_ok "$how: nor wiped" ctl wipe "$how" zero
	is "$(image_md5 "$how")" "$sum" "$how: it is whole"
	let_go
	tap $? "$how: the other program had no error" || diag <"$T/hold.out"
	wait_for 20 write "$how"
	tap $? "$how: when it has ended a write works" || diag <"$C/error"
done

rbd import --no-progress "$T/in" dead
hold dead write
kill -9 "$holder"
wait "$holder" 2>/dev/null
exec {hold_fd}>&-
is "$(md5 "$M/p/dead")" "$sum" "the owner is dead: reading works"
took dd if=/etc/hostname of="$M/p/write" bs=4k conv=notrunc,fsync status=none
within 5 "another image does not wait"
wait_for 50 write dead
tap $? "some seconds later a write works" || diag <"$C/error"
is "$(head -c 8 "$M/p/dead")" "intruder" "and is there"
done_testing
