#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The command line: --help, --version, exit codes as mount(8) has them, generic
# mount options, and that it returns when the mount is usable.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
[ -r /dev/fuse ] || skip_all "needs /dev/fuse"
exits() { # CODE DESCRIPTION COMMAND...
	local want=$1 desc=$2 out
	shift 2
	out=$("$@" 2>&1 </dev/null)
	is "$?" "$want" "$desc" || echo "$out" | diag
	like "$out" "[a-z]" "$desc: says something"
}
exits 0 "--help" "$POOLFS" --help
exits 0 "--version" "$POOLFS" --version
like "$("$POOLFS" --help)" "MOUNTPOINT" "--help goes to stdout"
exits 1 "no argument" "$POOLFS"
exits 1 "an unknown option" "$POOLFS" --nonsense "$SRC" "$M"
exits 1 "an unknown -o option" "$POOLFS" -o "rundir=$RUN,nonsense=1" "$SRC" "$M"
exits 1 "too many arguments" "$POOLFS" a b c
exits 1 "a bad number" "$POOLFS" -o "rundir=$RUN,timeout=soon" "$SRC" "$M"
exits 32 "no such mount point" "$POOLFS" -o "rundir=$RUN" "$SRC" "$T/nowhere"
: >"$T/file"
exits 32 "a mount point that is a file" "$POOLFS" -o "rundir=$RUN" "$SRC" "$T/file"
exits 32 "a SOURCE that is a file" "$POOLFS" -o "rundir=$RUN" "$T/file" "$M"
is "$(grep -F "$T/" /proc/self/mountinfo)" "" "nothing is mounted by that"
is "$(find "$T" -newer "$T/file" -name '*.xml')" "" "nothing is defined by that"

daemon_gone() { ! grep -qsaF "$T/mnt" /proc/[0-9]*/cmdline; }
usable() { # DESCRIPTION
	ok "$1: usable when it returns" [ -e "$C/version" ]
	ok "$1: defines" cp <(pf_xml x "$DATA") "$C/pools/x.xml"
	ok "$1: starts" mkdir "$M/x"
	ok "$1: stops" rmdir "$M/x"
	ok "$1: undefines" rm "$C/pools/x.xml"
	pf_umount
	ok "$1: the daemon ends" wait_for 20 daemon_gone
}
ok "in the background" "$POOLFS" -o "rundir=$RUN" "$SRC" "$M"
usable "in the background"
ok "generic options" "$POOLFS" "$SRC" "$M" -o "rw,dev,suid,noatime,nofail,_netdev,auto,user,x-systemd.after=a.service,rundir=$RUN"
usable "generic options"
ok "a relative mount point" sh -c 'cd "$1" && "$2" -o "rundir=$3" source mnt' sh "$T" "$POOLFS" "$RUN"
usable "a relative mount point"
XDG_CONFIG_HOME=$T/config HOME=$T ok "options before and behind" "$POOLFS" "$SRC" -o "rundir=$RUN" "$M" -o noatime
usable "options before and behind"

ok "read-only" "$POOLFS" -o "ro,rundir=$RUN" "$SRC" "$M"
not_ok "is read-only" cp <(pf_xml x "$DATA") "$C/pools/x.xml"
pf_umount
wait_for 20 daemon_gone
done_testing
