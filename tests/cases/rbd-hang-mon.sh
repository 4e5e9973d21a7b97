#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The monitor stops answering: a running pool goes on, a start of another fails
# within seconds and says why, df is bounded, nobody else feels it; and it is well
# again when the monitor is, also after the monitor was killed and came back.
# shellcheck disable=SC2016 source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/ceph.sh
. "$(dirname "$0")/../ceph.sh"
ceph_own
pf_setup
rbd_pool p client_mount_timeout=3 rados_mon_op_timeout=3 rados_osd_op_timeout=3
rbd_define q client_mount_timeout=3 rados_mon_op_timeout=3 rados_osd_op_timeout=3
rbd_define usual
pf_pool other
echo text >"$M/other/v"
head -c 3M /dev/urandom >"$T/in"
cp "$T/in" "$M/p/v"

cluster pause mon.a
took cmp "$T/in" "$M/p/v"
is "$rc" "0" "monitor stopped: a running pool is read"
within 20 "in good time"
took dd if="$T/in" of="$M/p/v" bs=1M conv=notrunc,fsync status=none
is "$rc" "0" "and written" || diag <<<"$out"
took ls -l "$M/p"
is "$rc" "0" "and listed"
took df "$M/p"
within 10 "df is bounded"
ctl_pool=q took ctl start
[ "$rc" -ne 0 ]
tap $? "monitor stopped: a start fails"
within 20 "within its deadline"
ctl_pool=usual took ctl start
[ "$rc" -ne 0 ] && [ "$ms" -lt 40000 ]
tap $? "so does one whose XML sets no deadline ($ms ms)"
like "$out$(cat "$C/pools/q/error")" "timed out|not answer|monitor" "with a sentence: $(cat "$C/pools/q/error")"
took sh -c 'ls -l "$1" "$1/other" "$1/control" && cat "$1/other/v" "$1/control/pools/q/info" && echo more >"$1/other/v" && df "$1/other"' sh "$M"
is "$rc" "0" "others go on"
within 3 "at once"
cluster resume mon.a
ctl_pool=q wait_for 20 ctl start
tap $? "the monitor answers again: the start works" || diag <"$C/error"
ok "with the same volumes" cmp "$T/in" "$M/q/v"

cluster kill mon.a
took dd if="$T/in" of="$M/p/v" bs=1M conv=notrunc,fsync status=none
is "$rc" "0" "monitor killed: a running pool is written" || diag <<<"$out"
cluster respawn mon.a
wait_for 30 df "$M/p"
usage() { [ "$(df --output=size "$M/p" | tail -n 1)" -gt 0 ]; }
wait_for 30 usage
tap $? "and when it is back df works"
ok "and all of it" cmp "$T/in" "$M/p/v"
done_testing
