#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# libvirt's own daemon, in a throw-away instance that sees private directories
# instead of /etc/libvirt, /run and the like, and has the storage driver only:
# it takes what poolfs prints for every type and prints the same, element by
# element; and what it makes of the examples themselves is what poolfs makes.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/xml.sh
. "$top/tests/xml.sh"
need_root
need python3 libvirtd virsh unshare
driver=$(find /usr/lib -path '*/libvirt/connection-driver/libvirt_driver_storage.so' 2>/dev/null | head -n 1)
[ -n "$driver" ] || skip_all "needs libvirt's storage driver"
pf_setup

# ---- the daemon: no network, no other driver, nothing of the machine's own --------

L=$T/libvirt
mkdir -p "$L/drivers" "$L/sock"
ln -s "$driver" "$L/drivers/"
cat >"$L/conf" <<END
listen_tls = 0
listen_tcp = 0
auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_dir = "$L/sock"
log_outputs = "3:file:$L/log"
END
# shellcheck disable=SC2016
LIBVIRT_DRIVER_DIR=$L/drivers unshare --mount sh -c '
	for dir in /run /etc/libvirt /var/lib /var/cache /var/log; do
		[ ! -d "$dir" ] || mount -t tmpfs none "$dir" || exit 1
	done
	exec libvirtd --config "$1/conf" --pid-file "$1/pid"' sh "$L" </dev/null >"$L/out" 2>&1 &
libvirtd=$!
V() { virsh -q -c "storage:///system?socket=$L/sock/libvirt-sock" "$@"; }
libvirt_end() {
	[ -n "$libvirtd" ] || return
	kill "$libvirtd"
	wait "$libvirtd"
	libvirtd=''
}
trap 'rc=$?; libvirt_end; (exit "$rc"); pf_finish' EXIT
if ! wait_for 30 V pool-list --all; then
	cat "$L/out" "$L/log" | diag
	skip_all "libvirt's daemon does not start here"
fi
is "$(V pool-list --all --name)" "" "libvirt's daemon runs, and has no pool of this machine"

# ---- poolfs's XML there and back -----------------------------------------------------

same() { "$top/tests/xml-same" "$@"; }
# One virsh for three commands, as starting it takes most of the time.
theirs() { # FILE NAME: defined there, printed, undefined again
	V "pool-define '$1'; pool-dumpxml '$2'; pool-undefine '$2'" >"$T/virsh" 2>&1 ||
		{ cat "$T/virsh"; return 1; }
	sed -n '/^<pool/,/^<\/pool>/p' "$T/virsh" >"$T/theirs.xml"
}

through() { # NAME EXAMPLE FILE
	local what=${2##*/}
	# Sheepdog went from libvirt in 8.8; its parser needs the driver.
	if [ "$(xml_type "$2")" = sheepdog ] && ! theirs "$3" "$1" >/dev/null; then
		like "$(cat "$T/virsh")" "missing backend for pool type" \
			"$what: libvirt knows the type, but has no driver for it any more"
		return
	fi
	ok "$what: libvirt takes what poolfs prints" theirs "$3" "$1" || return
	ok "$what: and prints the same" same "$3" "$T/theirs.xml"
	is "$(cat "$T/theirs.xml")" "$(cat "$3")" "$what: to the letter"

	# Today's libvirt refuses the password of 2012.
	grep -q passwd= "$2" && return
	ok "$what: libvirt takes the example itself" theirs "$2" "$1" || return
	ok "$what: and makes of it what poolfs does" same "$3" "$T/theirs.xml" \
		"$(grep -q '<uuid>' "$2" || echo uuid)"
}
xml_each through

# ---- and libvirt's back to poolfs ----------------------------------------------------

V pool-define-as --name asked --type netfs --source-host h.example.com --source-path /x \
	--source-format nfs --target /srv/asked >/dev/null
V pool-dumpxml asked >"$T/asked.xml"
ok "what virsh pool-define-as made is defined here" xml_define "$T/asked.xml"
ok "and reads the same" same "$T/asked.xml" "$C/pools/asked.xml"

pid=$libvirtd
libvirt_end
ok "nothing of it is left" [ ! -e "/proc/$pid" ]
done_testing
