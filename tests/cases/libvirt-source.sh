#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# libvirt's own storage directory as SOURCE: its pools and secrets are there as
# they are; nothing in it can be changed while one of its daemons runs, the
# system's or a user's, but pools start and stop; afterwards all can be changed,
# and libvirt reads what poolfs wrote.
if [ -z "${PF_NAMESPACE-}" ] && [ "$(id -u)" -eq 0 ]; then
	PF_NAMESPACE=1 exec unshare --mount --propagation private "$0"
fi
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_root
pf_forget_mounts
# shellcheck source=tests/libvirt.sh
. "$top/tests/libvirt.sh"
need setpriv
SRC=/etc/libvirt/storage
CEPH=11111111-1111-4111-8111-111111111111 CHAP=22222222-2222-4222-8222-222222222222
DISK=33333333-3333-4333-8333-333333333333 GONE=44444444-4444-4444-8444-444444444444
NONE=55555555-5555-4555-8555-555555555555
libvirt_start

# ---- what libvirt has made --------------------------------------------------------------

mkdir "$DATA/a" "$DATA/b"
secret() { # UUID ATTRIBUTES TYPE ELEMENT USAGE VALUE
	echo "<secret $2><uuid>$1</uuid><usage type='$3'><$4>$5</$4></usage></secret>" >"$T/secret.xml"
	local uri="secret:///system?socket=$L/sock/libvirt-sock"
	virsh -q -c "$uri" secret-define "$T/secret.xml" &&
		virsh -q -c "$uri" secret-set-value "$1" --base64 "$6"
}
key=AQBhmGVkAAAAABAA5mSj6lwDNrS1ckLrkn4Egw==
usage='a&amp;b &lt;usage&gt;'
{
	V pool-define-as a dir --target "$DATA/a" && V pool-autostart a
	V pool-define-as b dir --target "$DATA/b"
	secret $CEPH "private='yes'" ceph name "client.libvirt secret" $key
	secret $CHAP "" iscsi target "$usage" "$(printf 'open sesame' | base64)"
	secret $DISK "" volume volume /var/lib/x "$(printf 'of a disk' | base64)"
	secret $GONE "ephemeral='yes'" ceph name gone $key
} >"$T/virsh" 2>&1
is "$(V pool-list --all --name | xargs)" "a b" "libvirt has two pools"
is "$(cd /etc/libvirt/secrets && echo *.base64)" "$CEPH.base64 $CHAP.base64 $DISK.base64" "and three secrets on disk" ||
	diag <"$T/virsh"
mkdir -m 700 "$SRC/secrets"
(umask 077 && echo mine >"$SRC/secrets/$NONE")

# ---- beside the living daemon --------------------------------------------------------------

theirs() { # NAME: without what libvirt adds when its directory is there
	V pool-dumpxml --inactive "$1" | sed -E '/<permissions>/,/<\/permissions>/d
		/<(capacity|allocation|available)/s/>[0-9]+</>0</'
}
as_it_was() { is "$(find "$SRC" -printf '%P %y %s %T@ %l\n' | sort)" "$before" "$1: SOURCE is as it was"; }
before=$(find "$SRC" -printf '%P %y %s %T@ %l\n' | sort)
pf_setup
like "$(cat "$LOG")" "'$SRC' is libvirt's, and its daemon, process $libvirtd, runs" "the log says so"
is "$(cd "$C/pools" && echo *.xml)" "a.xml b.xml" "its pools are there"
for name in a b; do
	is "$(cat "$C/pools/$name.xml")" "$(theirs "$name")" \
		"the definition of $name is libvirt's"
done
is "$(ls "$C/autostart")" "a.xml" "so is autostart"
ok "which counts" wait_for 20 [ -e "$M/a/.pool" ]

refused() { # DESCRIPTION COMMAND...
	fails_with "Read-only file system" "$@"
	like "$(cat "$C/error")" "is libvirt's, and its daemon, process $libvirtd, runs: change it with virsh, or stop the daemon first" \
		"the reason says why"
}
# shellcheck disable=SC2317 # called by what checks
{
define() { pf_xml "$1" >"$C/pools/$1.xml"; }
define_by_rename() { pf_xml "$1" >"$C/pools/$1.part" && mv "$C/pools/$1.part" "$C/pools/$1.xml"; }
secret_write() { echo key >"$C/secrets/$1"; }
}
changes() { # CHECK
	"$1" "define" define c
	"$1" "define anew" define b
	"$1" "define by a rename" define_by_rename d
	"$1" "undefine" rm "$C/pools/b.xml"
	"$1" "rename" mv "$C/pools/b.xml" "$C/pools/e.xml"
	"$1" "set autostart" ln -s ../pools/b.xml "$C/autostart/b.xml"
	"$1" "clear autostart" rm "$C/autostart/a.xml"
	"$1" "write a secret" secret_write usage:x
	"$1" "write one anew" secret_write $NONE
	"$1" "remove one" rm "$C/secrets/$NONE"
}
changes refused
as_it_was "after all that"
is "$(cd "$C/pools" && echo *.xml)" "a.xml b.xml" "and so is control"
is "$(cat "$SRC/secrets/$NONE")" "mine" "and the secret"

ok "a pool can be started" mkdir "$M/b"
ok "a volume be made" truncate -s 1M "$M/b/v"
ok "its state is kept in the own run directory" [ -n "$(find "$RUN" -name b.xml)" ]
ok "a pool can be stopped" rmdir "$M/b"
ok "also one that libvirt wants started" rmdir "$M/a"
as_it_was "after starts and stops"

# ---- without it --------------------------------------------------------------------------------

libvirt_end
ok "once the daemon has ended, define" define c
ok "rename" mv "$C/pools/c.xml" "$C/pools/d.xml"
ok "define anew" bash -c 'sed -i "s#</pool>#<!-- -->&#" "$1"' - "$C/pools/b.xml"
ok "set autostart" ln -s ../pools/b.xml "$C/autostart/b.xml"
ok "clear autostart" rm "$C/autostart/a.xml"
ok "define another one" bash -c 'echo "<pool type=\"dir\"><target><path>$2</path></target></pool>" >"$1"' - "$C/pools/gone.xml" "$DATA/gone"
ok "undefine it" rm "$C/pools/gone.xml"
ok "write a secret" secret_write usage:x
ok "and remove it" rm "$C/secrets/usage:x"

libvirt_start
is "$(V pool-list --all --name | xargs)" "a b d" "libvirt, started again, has the pools that poolfs left"
for name in a b d; do
	is "$(theirs "$name")" "$(cat "$C/pools/$name.xml")" "and reads $name as poolfs wrote it"
	is "$(V pool-info "$name" | sed -n 's/^Autostart: *//p')" "$(pf_info $name autostart)" "with its autostart"
done
mkdir "$DATA/c" # the target of d, which was defined as c
ok "it can start what poolfs defined" eval 'V pool-start d || [ "$(V pool-info d | sed -n "s/^State: *//p")" = running ]'
refused "and nothing can be changed again: define" define new
V pool-define-as n dir --target "$DATA/n" >/dev/null
{ V pool-destroy a; V pool-undefine a; } >/dev/null 2>&1
kill -HUP "$pf_pid"
ok "what libvirt defines is seen after a SIGHUP" wait_for 20 [ -e "$C/pools/n.xml" ]
ok "and what it undefines" wait_for 20 [ ! -e "$C/pools/a.xml" ]
kill -9 "$libvirtd"
wait "$libvirtd" 2>/dev/null
libvirtd=''
ok "a daemon that was killed has left its file" [ -s /run/libvirt/storage/driver.pid ]
ok "which keeps nobody off: define" define new

# ---- its secrets, for drivers ----------------------------------------------------------------------

pf_stop
gets() { "$PF_BUILD/tests/tools/secret-get" "$SRC" "$RUN" "$@" 2>/dev/null; }
is "$(gets ceph $CEPH)" "$key" "a ceph secret by its uuid, as Ceph prints it"
is "$(gets ceph "usage:client.libvirt secret")" "$key" "and by its usage"
is "$(gets chap $CHAP)" "open sesame" "a password by its uuid"
is "$(gets chap "usage:a&b <usage>")" "open sesame" "and by its usage"
like "$(gets ceph "usage:a&b <usage>")" "^ENOENT: there is no secret 'usage:a&b <usage>'" "not by the usage of another type"
like "$(gets ceph $DISK)" "^EINVAL: libvirt's secret '$DISK' is for 'volume', not for 'ceph'" "not a disk's passphrase"
like "$(gets ceph $GONE)" "^ENOENT: there is no secret '$GONE': write it to control/secrets/$GONE" "not one that was in memory only"
is "$(gets chap $NONE)" "mine" "an own one by its uuid"
(umask 077 && echo own >"$SRC/secrets/usage:client.libvirt secret")
is "$(gets ceph "usage:client.libvirt secret")" "own" "own ones come first"
rm /etc/libvirt/secrets/$CEPH.base64
like "$(gets ceph $CEPH)" "^ENOENT: libvirt's secret '$CEPH' has no value that can be read" "one that has no value"
echo '!' >/etc/libvirt/secrets/$CHAP.base64
like "$(gets chap $CHAP)" "^EINVAL: '/etc/libvirt/secrets/$CHAP.base64' is no base64" "one that is damaged"
chmod 777 /etc/libvirt/secrets
like "$(gets chap $CHAP)" "^EPERM: '/etc/libvirt/secrets' belongs to or is writable by others" "none from where everybody writes"

# ---- a user's daemon --------------------------------------------------------------------------------

user=65534
session() { # DESCRIPTION STATE-DIRECTORY ASSIGNMENT...
	local what=$1 state=$2 home=$T/home
	shift 2
	rm -rf "$home" && mkdir -m 700 "$home" && chown $user:$user "$home"
	printf 'log_outputs = "3:file:%s/log"\n' "$home" >"$T/session.conf"
	setpriv --reuid $user --regid $user --clear-groups env -i PATH="$PATH" HOME="$home" \
		LIBVIRT_DRIVER_DIR="$L/drivers" "$@" libvirtd --config "$T/session.conf" --timeout 300 </dev/null >"$T/session" 2>&1 &
	libvirtd=$!
	if ! wait_for 30 [ -s "$state/libvirt/storage/run/driver.pid" ] || ! wait_for 30 [ -d "$home/.config/libvirt" ]; then
		cat "$T/session" "$home/log" 2>/dev/null | diag
		skip "$what" "libvirt's daemon does not start for a user here"
		libvirt_end
		return
	fi
	mkdir -p "$home/.config/libvirt/storage"
	chown -R $user:$user "$home/.config"
	SRC=$home/.config/libvirt/storage
	pf_launch
	refused "$what: define" define one
	libvirt_end
	ok "$what: once it has ended, define" define one
	ok "$what: and it is written" [ -s "$SRC/one.xml" ]
	pf_stop
}
chmod 711 "$T" "$L" "$L/drivers"
mkdir -p /run/user && install -d -m 700 -o $user -g $user /run/user/$user
session "a user's daemon" /run/user/$user XDG_RUNTIME_DIR=/run/user/$user
session "one without XDG_RUNTIME_DIR" "$T/home/.cache"

# ---- what only looks like it -------------------------------------------------------------------------

libvirt_start
SRC=$T/copy/etc/libvirt/storage
mkdir -p "$SRC"
pf_launch
ok "a copy elsewhere is nobody's: define" define one
done_testing
