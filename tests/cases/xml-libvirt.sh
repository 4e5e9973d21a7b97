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
# shellcheck source=tests/libvirt.sh
. "$top/tests/libvirt.sh"
need python3
libvirt_start
pf_setup

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
