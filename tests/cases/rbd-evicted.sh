#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Ceph's administrator evicts this client (a blocklist): every write says so from
# then on, none is lost in silence; other pools go on, and a restart of the pool
# is a new client.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/ceph.sh
. "$(dirname "$0")/../ceph.sh"
need python3
ceph_shared
pf_setup
rbd_pool p
rbd_define q && mkdir "$M/q"
rbd create --size 8M v
rbd create --size 8M w
exec 7<>"$M/p/v"
printf before >&7
ok "written and synced" python3 -c 'import os; os.fsync(7)'
address=$(rbd status --format json v | grep -oE '"address":"[^"]*"' | cut -d'"' -f4)
like "$address" ":" "poolfs has the address $address"
cluster evict "$address"
evicted() { ! python3 -c 'import os
os.pwrite(7, b"after!", 0)
os.fsync(7)' 2>"$T/err"; }
wait_for 20 evicted
tap $? "after the eviction a write or its fsync fails"
like "$(cat "$T/err")" "shutdown|Input/output|Cannot send" "with ESHUTDOWN or EIO"
like "$(cat "$C/error")" "blocklist|evict|restart|stop" "and a sentence: $(cat "$C/error")"
for i in 1 2 3; do
	took dd if=/etc/hostname of="$M/p/v" bs=4k conv=notrunc,fsync status=none
	[ "$rc" -ne 0 ]
	tap $? "write $i by a new handle fails"
	within 10 "at once"
done
is "$(rbd export --no-progress v - | head -c 6)" "before" "nothing of it is in the image"
ok "another pool on the same cluster writes" dd if=/etc/hostname of="$M/q/w" bs=4k conv=notrunc,fsync status=none
exec 7>&-
rbd_stop p
tap $? "the pool stops" || diag <"$C/error"
ok "and starts" mkdir "$M/p"
ok "and writes" dd if=/etc/hostname of="$M/p/v" bs=4k conv=notrunc,fsync status=none
is "$(rbd export --no-progress v - | head -c 2)" "$(head -c 2 /etc/hostname)" "into the image"
done_testing
