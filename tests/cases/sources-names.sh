#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The names of control/sources/: any host that may be named is there and none is listed,
# attributes and listings run no program, nothing can be written or removed, and a type
# whose program is missing is absent, which the capabilities say as well. The case runs in
# a mount namespace of its own, in which showmount is hidden.
# shellcheck source=tests/lib.sh
if [ -z "${PF_HIDDEN-}" ]; then
	. "$(dirname "$0")/../lib.sh"
	need_root
	need showmount iscsiadm blkid pvs strace unshare
	ok "in a namespace of its own" env PF_HIDDEN="$(command -v showmount)" unshare --mount "$0"
	done_testing
fi
. "$(dirname "$0")/../lib.sh"
pf_forget_mounts
pf_setup
S=$C/sources

is "$(ls -A "$S" | xargs)" "disk fs iscsi logical netfs scsi" "the types that this machine can tell of"
is "$(stat -c '%F %a %s' "$S" "$S/netfs" "$S/fs" "$S/netfs/server" | xargs -d '\n' | tr ' ' _)" \
	"directory_700_0_directory_700_0_regular_empty_file_400_0_regular_empty_file_400_0" \
	"for the owner of the mount alone; no size before one looks"
is "$(ls -A "$S/netfs" "$S/iscsi" | xargs)" "$S/iscsi: $S/netfs:" "no host is listed"
for host in server a.example.org 10.0.0.1 '[fe80::1]:3260' server:3260; do
	ok "iscsi/$host is there" [ -f "$S/iscsi/$host" ]
done
for host in .pool .hidden -x 'a b' 'a;b' server:0 server:x ..a; do
	not_ok "iscsi/$host is not" [ -e "$S/iscsi/$host" ]
done
not_ok "no type of that name" [ -e "$S/qcow2" ]
not_ok "no driver for it here" [ -e "$S/rbd" ]
is "$(stat -c %i "$S/netfs/a" "$S/iscsi/a" "$S/netfs/b" | sort -u | wc -l)" 3 "each has a number of its own"

# Nothing but an open runs a program.
strace -f -qq -e trace=execve -e signal=none -o "$T/trace" -p "$pf_pid" 2>"$T/strace" &
tracer=$!
wait_for 20 grep -q "^TracerPid:[[:space:]]*[1-9]" "/proc/$pf_pid/status"
ls -lR "$C" >"$T/out"
find "$S" -ls >"$T/out"
stat "$S/iscsi/server" "$S/fs" >"$T/out"
compgen -f "$S/" >"$T/out"
: "$S"/*/* # as Tab does
touch "$T/silent"
cat "$S/fs" "$S/logical" >"$T/out"
pf_untrace "$tracer"
ok "an open of fs runs blkid, or finds no device to ask; of logical it runs pvs" grep -q 'execve("[^"]*/pvs"' "$T/trace"
is "$(awk '/execve\(/ && !/pvs"/ && !/blkid"/ && !/ENOENT/' "$T/trace")" "" "a listing, a stat and Tab run none"
first=$(grep -c 'execve(' "$T/trace")
ok "what ran was the two opens' alone" [ "$first" -ge 1 ]

fails_with "Permission denied" "nothing can be written" tee "$S/fs"
fails_with "Permission denied" "nor to a host" tee "$S/netfs/server"
like "$(cat "$C/error")" "'server' is read-only" "and the reason says so"
fails_with "Operation not permitted" "nothing is removed" rm -f "$S/fs"
fails_with "Operation not permitted" "no directory is" rmdir "$S/netfs"
fails_with "Permission denied" "nothing is made" touch "$S/new"
fails_with "Operation not permitted" "nor renamed" mv "$S/fs" "$S/fs2"

# a failure is the open's
fails_with "Input/output error" "iscsi of a host that nobody has" cat "$S/iscsi/host.invalid"
like "$(cat "$C/error")" "^cannot discover sources of 'iscsi' pools on host 'host.invalid': iscsiadm: ." "with what the program said"
fails_with "Invalid argument" "netfs asks the port mapper" cat "$S/netfs/server:2049"

mount --bind /dev/null "$PF_HIDDEN"
is "$(ls -A "$S" | xargs)" "disk fs iscsi logical scsi" "without its program a type is absent"
not_ok "nor can it be named" [ -e "$S/netfs" ]
like "$(cat "$C/capabilities.xml")" "'netfs' pools cannot be discovered: the program 'showmount' is missing" "the capabilities say why"
umount "$PF_HIDDEN"
ok "and it is there again with it" [ -d "$S/netfs" ]
done_testing
