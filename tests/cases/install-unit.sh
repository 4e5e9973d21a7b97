#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The systemd units as installed: systemd-analyze finds no fault, the command of
# ExecStart runs as it stands there, and no option is set that would hide the mount from
# everybody else or take something away that mounting needs.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need make systemd-analyze python3
make -C "$top" --no-print-directory -o "$PF_BUILD/poolfs" -o "$PF_BUILD/backends/rbd.so" BUILD="$PF_BUILD" \
	install prefix="$T/opt" >"$T/make" 2>&1 || diag <"$T/make"
system=$T/opt/lib/systemd/system/poolfs.service user=$T/opt/lib/systemd/user/poolfs.service

is "$(systemd-analyze verify --man=no --recursive-errors=no "$system" 2>&1)" "" "systemd-analyze verify"
mkdir -m 700 "$T/xdg"
is "$(XDG_RUNTIME_DIR=$T/xdg systemd-analyze --user verify --man=no --recursive-errors=no "$user" 2>&1)" "" \
	"systemd-analyze --user verify"
for unit in "$system" "$user"; do
	name=$(basename "$(dirname "$unit")")
	is "$(grep -E '^(Private|Protect|ReadWrite|ReadOnly|Inaccessible|TemporaryFileSystem|Bind|RootDirectory|RootImage|MountFlags|MountAPIVFS|DynamicUser|DevicePolicy|DeviceAllow|ProcSubset)' "$unit")" \
		"" "$name: no mount namespace, no devices taken away"
	ok "$name: Type=notify" grep -qx 'Type=notify' "$unit"
	ok "$name: a watchdog" grep -q '^WatchdogSec=' "$unit"
	ok "$name: reload" grep -q '^ExecReload=.*-HUP' "$unit"
done
is "$(grep -E '^(NoNewPrivileges|SystemCall|Restrict|Lock|MemoryDeny|Capability)' "$user")" "" \
	"user: fusermount3 keeps its set-id bit"

# What systemd would run, with what it would set.
[ -r /dev/fuse ] || skip_all "needs /dev/fuse"
python3 "$top/tests/notify.py" "$T/socket" "$T/said" </dev/null >/dev/null 2>&1 &
listener=$!
wait_for 20 grep -qs listening "$T/said"
export POOLFS_SOURCE=$SRC POOLFS_MOUNTPOINT=$M/deeper POOLFS_OPTIONS=rundir=$RUN
# shellcheck disable=SC2046,SC2086
command_of() { eval "echo $(sed -n "s/^$1=//p" "$system")"; }
ok "ExecStartPre makes the mount point" $(command_of ExecStartPre | sed 's/^-//')
# With no capability that the unit takes away, where this can be tried.
start=$(command_of ExecStart)
drop=()
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
	bounding=
	for capability in $(sed -n 's/^CapabilityBoundingSet=~//p' "$system" | tr A-Z a-z); do
		bounding+=,-${capability#cap_}
	done
	drop=(setpriv "--bounding-set=${bounding#,}" --no-new-privs)
fi
# shellcheck disable=SC2086
NOTIFY_SOCKET=$T/socket WATCHDOG_USEC=4000000 "${drop[@]}" $start </dev/null >"$LOG" 2>&1 &
pf_pid=$!
echo "$pf_pid" >"$T/pid"
M=$M/deeper C=$M/control
ok "ExecStart: READY=1" wait_for 20 grep -q ' READY=1$' "$T/said"
ok "it serves" [ -e "$C/version" ]
pf_pool p
ok "a pool starts and takes a file" touch "$M/p/v"
ok "the watchdog hears from it" wait_for 20 grep -q ' WATCHDOG=1$' "$T/said"
reload=$(MAINPID=$pf_pid command_of ExecReload)
ok "ExecReload" $reload
ok "RELOADING=1" wait_for 20 grep -q ' RELOADING=1$' "$T/said"
kill -TERM "$pf_pid"
pf_wait_end 20
is "$?" "0" "it stops"
kill "$listener"
done_testing
