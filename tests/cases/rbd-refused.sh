#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A pool that cannot be had: no key, a wrong one, no key at all, an unknown user,
# pool or host, nobody there. Each start fails in bounded time with a sentence that
# says which, prints no key, and other pools go on. A user who may only read reads.
# shellcheck disable=SC2016 source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/ceph.sh
. "$(dirname "$0")/../ceph.sh"
ceph_shared
pf_setup
rbd_pool p
truncate -s 1M "$M/p/v"
good_secret=$secret
n=0
refused() { # REASON-REGEX DESCRIPTION [KEY]: the pool as xml_* say
	n=$((n + 1))
	local name=bad$n
	secret=$(printf '2ec115d7-3a88-3ceb-bc12-0ac9%08d' $n)
	[ "${3-}" = none ] || rbd_secret "${3:-$USER_KEY}"
	rbd_define "$name" client_mount_timeout=3 rados_mon_op_timeout=3 rados_osd_op_timeout=3
	ctl_pool=$name took ctl start
	[ "$rc" -ne 0 ]
	tap $? "$2: the start fails"
	within 15 "$2: in bounded time"
	like "$(cat "$C/pools/$name/error")" "$1" "$2: and says so"
	is "$(pf_info "$name" state)" "failed" "$2: the pool has failed"
	took sh -c 'ls -l "$1" && printf x | dd of="$1/v" conv=notrunc status=none' sh "$M/p"
	is "$rc" "0" "$2: another pool goes on"
	within 3 "$2: at once"
	rm "$C/pools/$name.xml"
}
refused "secret.*(2ec115d7|usage)|no secret|control/secrets" "no key" none
other_key=$(ceph-authtool --gen-print-key)
refused "key|denied|permission|'poolfs'" "another's key" "$other_key"
refused "key|secret" "no key at all but some text" "not a key"
xml_user=nobody refused "'nobody'|user|denied" "an unknown user"
xml_name=nothere refused "'nothere'" "an unknown RADOS pool"
xml_host=127.0.0.1:9 refused "127\.0\.0\.1:9|monitor" "nobody at that port"
xml_host=192.0.2.1:6789 refused "192\.0\.2\.1|monitor" "a host that does not answer"
xml_host=no.such.host.invalid:6789 refused "no\.such\.host\.invalid" "an unknown host"
for key in "$USER_KEY" "$other_key" "$ADMIN_KEY"; do
	not_ok "no key is in the log" grep -qF -- "$key" "$LOG"
done
not_ok "nor what Ceph's libraries print" grep -qE '(monclient|auth|librados|RADOS permission):? ' "$LOG"

# A user who may read.
secret=2ec115d7-3a88-3ceb-bc12-0ac909a6fd99
rbd_secret "$RO_KEY"
printf readable | dd of="$M/p/v" conv=notrunc,fsync status=none
xml_user=ro rbd_define ro
ok "a user who may only read has the pool" mkdir "$M/ro"
is "$(head -c 8 "$M/ro/v")" "readable" "and reads"
is "$(stat -c %s "$M/ro/v")" "1048576" "and sees the size"
not_ok "but does not write" dd if=/etc/hostname of="$M/ro/v" conv=notrunc,fsync status=none
like "$(cat "$C/error")" "'v'|'ro'" "and the reason says so: $(cat "$C/error")"
not_ok "nor create" touch "$M/ro/new"
not_ok "nor remove" rm -f "$M/ro/v"
is "$(head -c 8 "$M/p/v")" "readable" "nothing changed"
secret=$good_secret
done_testing
