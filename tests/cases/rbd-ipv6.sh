#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A cluster on IPv6, its monitor by an address and a port of the older and of the
# newer protocol.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/ceph.sh
. "$(dirname "$0")/../ceph.sh"
grep -qs '^0*1 ' /proc/net/if_inet6 || skip_all "needs IPv6"
ceph_own --ipv6
pf_setup
for host in "$MON_V1" "$MON_V2"; do
	xml_host="::1:${host##*:}"
	rbd_pool p client_mount_timeout=10
	like "$(cat "$C/pools/p.xml")" "name='::1'" "a host ::1, port ${host##*:}"
	printf six >"$M/p/v"
	is "$(cat "$M/p/v") $(rbd export --no-progress v -)" "six six" "is read and written"
	rm "$M/p/v"
	rbd_stop p
	tap $? "and stopped"
	rm "$C/pools/p.xml"
done
done_testing
