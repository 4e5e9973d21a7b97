#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# control/sources/netfs/HOST: what a real mountd exports. The case runs in network and
# mount namespaces of its own, with rpcbind and rpc.mountd there; no NFS server in the
# kernel is needed.
# shellcheck source=tests/lib.sh
if [ -z "${PF_INSIDE-}" ]; then
	. "$(dirname "$0")/../lib.sh"
	need_root
	need showmount rpcbind rpc.mountd exportfs ip unshare
	ok "in namespaces of its own" env PF_INSIDE=1 unshare --net --mount "$0"
	done_testing
fi
. "$(dirname "$0")/../lib.sh"
pf_forget_mounts
servers=()
servers_end() {
	local pid
	for pid in "${servers[@]}"; do kill "$pid"; wait "$pid"; done 2>/dev/null
	servers=()
}
pf_at_end+=(servers_end)

ip link set lo up || exit 1
[ -d /var/lib/nfs ] && [ -e /etc/exports ] || skip_all "needs /var/lib/nfs and /etc/exports"
mount -t tmpfs none /var/lib/nfs || exit 1
mount -t tmpfs none /run || exit 1
mkdir -p /run/rpcbind /var/lib/nfs/sm "$DATA/a" "$DATA/with blank"
touch /var/lib/nfs/etab /var/lib/nfs/rmtab /run/exports
mount --bind /run/exports /etc/exports || exit 1
export_all() {
	printf '%s *(ro,no_subtree_check)\n%s 10.0.0.0/8(rw,no_subtree_check) *.example.org(ro,no_subtree_check)\n' \
		"$DATA/a" "${DATA// /\\040}/with\\040blank" >/etc/exports
	exportfs -ra
}
rpcbind -f -w >"$T/rpcbind" 2>&1 &
servers+=($!)
answers() { rpcinfo -T tcp 127.0.0.1 "$@" >/dev/null 2>&1; }
wait_for 20 answers 100000 || { diag <"$T/rpcbind"; skip_all "rpcbind does not start here"; }
rpc.mountd --foreground >"$T/mountd" 2>&1 &
servers+=($!)
wait_for 20 answers 100005 3 || { diag <"$T/mountd"; skip_all "rpc.mountd does not start here"; }

pf_setup
S=$C/sources/netfs
is "$(cat "$S/127.0.0.1")" "<sources>
</sources>" "a server that exports nothing"
export_all
cat "$S/127.0.0.1" >"$T/ours.xml"
is "$(cat "$T/ours.xml")" "<sources>
  <source>
    <host name='127.0.0.1'/>
    <dir path='$DATA/a'/>
    <format type='nfs'/>
  </source>
  <source>
    <host name='127.0.0.1'/>
    <dir path='$DATA/with blank'/>
    <format type='nfs'/>
  </source>
</sources>" "its exports, one with a blank in its name"
is "$(sed -n "s/.*<host name='\(.*\)'.*/\1/p" "$S/localhost" | sort -u)" localhost "by its name, as it was given"
is "$(ls "$S")" "" "still no host is listed"
is "$(stat -c %s "$S/127.0.0.1")" 0 "and a stat asks nobody"

ok "a source can be written into a definition" cp <(printf \
	"<pool type='netfs'><name>n</name>%s<target><path>%s</path></target></pool>" \
	"$(sed -n '2,6p' "$T/ours.xml")" "$DATA/n") "$C/pools/n.xml"

servers_end
fails_with "Input/output error" "a server that has ended" cat "$S/127.0.0.1"
like "$(cat "$C/error")" "^cannot discover sources of 'netfs' pools on host '127.0.0.1': showmount: ." "with what showmount said"
fails_with "Input/output error" "a name that nobody has" cat "$S/host.invalid"
done_testing
