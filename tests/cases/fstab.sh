#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Lines of fstab as the manual has them, by the real mount(8) with a table of its own,
# and by systemd's generator of mount units. mount's helper looks for poolfs in the
# system's PATH only, so that the installed one is put there in a mount namespace.
if [ -z "${PF_NAMESPACE-}" ] && [ "$(id -u)" -eq 0 ]; then
	PF_NAMESPACE=1 exec unshare -m --propagation private "$0"
fi
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_root
pf_forget_mounts
[ -r /dev/fuse ] || skip_all "needs /dev/fuse"
need mount.fuse3 findmnt make
make -C "$top" --no-print-directory -o "$PF_BUILD/poolfs" -o "$PF_BUILD/backends/rbd.so" BUILD="$PF_BUILD" \
	install prefix="$T/opt" >"$T/make" 2>&1 || diag <"$T/make"
mount --bind "$T/opt/bin" /usr/local/bin || skip_all "needs a mount namespace"

daemon_gone() { ! grep -qsaF "$T/mnt" /proc/[0-9]*/cmdline; }
line() { # OPTIONS: the table, with our own run directory
	echo "$SRC $M fuse.poolfs $1,rundir=$RUN 0 0" >"$T/fstab"
}
leave() { # DESCRIPTION
	# What tells watchers of the mount about a pool that starts is in it for moments.
	ok "$1: umount" wait_for 10 umount "$M"
	ok "$1: the daemon ends" wait_for 20 daemon_gone
}
manual() { # the lines of the manual, their options only
	mandoc -T utf8 "$top/docs/poolfs.8" | sed 's/.\x08//g' |
		sed -nE 's/^ *[^ ]+ +[^ ]+ +fuse\.poolfs +([^ ]+) +0 +0$/\1/p'
}
count=0
for options in $(manual) defaults,allow_other,_netdev defaults noauto,x-systemd.automount,nofail; do
	count=$((count + 1))
	line "$options"
	ok "$options: mount MOUNTPOINT" mount -T "$T/fstab" "$M"
	ok "$options: usable when it returns" [ -e "$C/version" ]
	is "$(findmnt -n -o FSTYPE,SOURCE "$M" | tr -s ' ')" "fuse.poolfs $SRC" "$options: type and source"
	[[ ,$options, == *,allow_other,* ]] && want=1 || want=0
	is "$(findmnt -n -o OPTIONS "$M" | grep -c allow_other)" "$want" "$options: allow_other as it says"
	like "$(findmnt -n -o OPTIONS "$M")" "nosuid,nodev" "$options: nosuid, nodev"
	leave "$options"
done
ok "the manual has lines" [ "$count" -gt 3 ]

line defaults,allow_other,_netdev
ok "mount SOURCE" mount -T "$T/fstab" "$SRC"
leave "mount SOURCE"
ok "mount -a" mount -a -T "$T/fstab"
ok "mount -a: it is mounted" pf_mounted
ok "mount -a again does nothing" mount -a -T "$T/fstab"
is "$(grep -c " $M " /proc/self/mountinfo)" "1" "it is there once"
leave "mount -a"
line noauto
ok "noauto: mount -a" mount -a -T "$T/fstab"
not_ok "noauto: is not mounted by that" pf_mounted

# A pool that ran and one that autostarts are there again after mount.
mount -T "$T/fstab" "$M"
pf_pool p
touch "$M/p/v"
wait_for 10 umount "$M"
wait_for 20 daemon_gone
mount -T "$T/fstab" "$M"
ok "what ran before is running again" wait_for 20 [ -e "$M/p/v" ]
wait_for 10 umount "$M"
ok "the daemon ends" wait_for 20 daemon_gone

# ---- systemd's view of such a line
generator=/usr/lib/systemd/system-generators/systemd-fstab-generator
[ -x "$generator" ] || generator=/lib/systemd/system-generators/systemd-fstab-generator
if [ -x "$generator" ]; then
	mkdir "$T/normal" "$T/early" "$T/late"
	line noauto,x-systemd.automount,x-systemd.after=iscsid.service,_netdev
	SYSTEMD_FSTAB=$T/fstab "$generator" "$T/normal" "$T/early" "$T/late" 2>"$T/err"
	is "$(cat "$T/err")" "" "systemd-fstab-generator"
	unit=$(find "$T/normal" -name '*.mount' -type f)
	like "$(cat "$unit")" "Type=fuse.poolfs" "makes a mount unit"
	like "$(cat "$unit")" "After=.*iscsid.service" "ordered as the line says"
	ok "and an automount unit" [ -n "$(find "$T/normal" -name '*.automount')" ]
	# systemd passes the line's options to mount(8) as they are.
	ok "mount with its options" mount -t fuse.poolfs \
		-o "$(sed -n 's/^Options=//p' "$unit")" "$(sed -n 's/^What=//p' "$unit")" "$M"
	leave "the mount unit"
else
	skip "systemd-fstab-generator" "is not here"
fi
umount /usr/local/bin 2>/dev/null || umount -l /usr/local/bin # a program from there ends just now
done_testing
