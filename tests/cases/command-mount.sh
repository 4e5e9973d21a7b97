#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# mount -t fuse.poolfs and an fstab line. mount's helper looks for poolfs in
# the system's PATH only, so that the binary is put there in a mount namespace
# of this case's own.
if [ -z "${PF_NAMESPACE-}" ] && [ "$(id -u)" -eq 0 ]; then
	PF_NAMESPACE=1 exec unshare -m --propagation private "$0"
fi
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_root
pf_forget_mounts
[ -r /dev/fuse ] || skip_all "needs /dev/fuse"
need mount.fuse3 findmnt
mkdir "$T/bin" && cp "$POOLFS" "$T/bin/poolfs"
mount --bind "$T/bin" /usr/local/bin || skip_all "needs a mount namespace"

daemon_gone() { ! grep -qsaF "$T/mnt" /proc/[0-9]*/cmdline; }
usable() { # DESCRIPTION
	ok "$1: usable when it returns" [ -e "$C/version" ]
	is "$(findmnt -n -o FSTYPE,SOURCE "$M" | tr -s ' ')" "fuse.poolfs $SRC" "$1: its type and source"
	ok "$1: defines" cp <(pf_xml x "$DATA") "$C/pools/x.xml"
	ok "$1: starts" mkdir "$M/x"
	ok "$1: stops" rmdir "$M/x"
	ok "$1: undefines" rm "$C/pools/x.xml"
	ok "$1: umount" umount "$M"
	ok "$1: the daemon ends" wait_for 20 daemon_gone
}
ok "mount -t fuse.poolfs" mount -t fuse.poolfs -o "noatime,nofail,_netdev,allow_other,rundir=$RUN" "$SRC" "$M"
usable "mount -t fuse.poolfs"
ok "mount -t fuse" mount -t fuse -o "allow_other,rundir=$RUN" "poolfs#$SRC" "$M"
usable "mount -t fuse"
echo "$SRC $M fuse.poolfs defaults,nofail,_netdev,x-systemd.after=iscsid.service,rundir=$RUN 0 0" >"$T/fstab"
ok "mount by fstab" mount -T "$T/fstab" "$M"
usable "mount by fstab"
not_ok "an unknown option fails" mount -t fuse.poolfs -o "nonsense,rundir=$RUN" "$SRC" "$M"
is "$(grep -c " $M " /proc/self/mountinfo)" "0" "and leaves no mount"
umount /usr/local/bin
done_testing
