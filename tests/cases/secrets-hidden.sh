#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A secret is nowhere but in its file: not in the log nor in any file of the
# mount, not in the arguments or the environment of the daemon or of a program
# that it runs, and not in the daemon's memory, as a core dump would show it,
# once it was written or given to a driver.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need python3 strace qemu-img
S=$C/secrets
U=2ec115d7-3a88-3ceb-bc12-0ac909a6fd87 V=6d0c6b1e-4c1f-4d0b-9d3a-1f2e3d4c5b6a
pf_setup

word() { tr -dc a-z </dev/urandom | head -c 24; }
for name in echo cp tee dd ddb many middle failed large gap early late ceph; do word >"$T/key.$name"; done
{ cat "$T/key.large"; head -c 66000 /dev/zero | tr '\0' x; } >"$T/too-large"
{ cat "$T/key.many"; head -c 60000 /dev/zero | tr '\0' y; } >"$T/many"
# Freed memory keeps its middle longer than its ends.
{ tail -c 20000 "$T/many"; cat "$T/key.middle"; tail -c 20000 "$T/many"; } >"$T/middle"
find_in_memory() { # PID NAME...: those whose keys are in its memory
	local pid=$1 name texts=()
	shift
	for name in "$@"; do texts+=("$(cat "$T/key.$name")"); done
	python3 "$top/tests/tools/memory-find.py" "$pid" "${texts[@]}" >"$T/in-memory" || echo "no search"
	while read -r text; do
		for name in "$@"; do [ "$(cat "$T/key.$name")" = "$text" ] && echo "$name"; done
	done <"$T/in-memory" | sort | xargs
}
all=(echo cp tee dd ddb many middle failed large gap early late)

strace -f -v -s 100000 -e trace=execve,execveat -o "$T/programs" -p "$pf_pid" 2>"$T/strace.err" &
tracer=$!
wait_for 20 grep -q attached "$T/strace.err" || skip_all "cannot trace the daemon"

# ---- written in every way, also in vain -------------------------------------------------

cat "$T/key.echo" >"$S/usage:echo"
cp "$T/key.cp" "$S/usage:cp"
tee "$S/usage:tee" <"$T/key.tee" >/dev/null
dd if="$T/key.dd" of="$S/usage:dd" bs=64k status=none
dd if="$T/key.ddb" of="$S/usage:ddb" bs=1 status=none
dd if="$T/many" of="$S/usage:many" bs=1000 status=none
dd if="$T/middle" of="$S/usage:middle" bs=64k status=none
is "$(ls "$S" | wc -l)" 7 "seven secrets are there"
is "$(cat "$SRC/secrets/usage:ddb")" "$(cat "$T/key.ddb")" "as they were written"
fails_with "No such file" "a name that none may have" dd if="$T/key.failed" of="$S/none/x" status=none
{ cat "$T/key.failed"; head -c 8 /dev/zero; } >"$T/bad"
fails_with "Invalid argument" "one with NUL bytes" dd if="$T/bad" of="$S/usage:bad" bs=64k iflag=fullblock status=none
fails_with "File too large" "one that is too large" dd if="$T/too-large" of="$S/usage:large" bs=1M status=none
fails_with "Invalid argument" "one behind a gap" dd if="$T/key.gap" of="$S/usage:gap" seek=1 conv=notrunc status=none

# While a handle is open it has what was written; that shows that the search finds.
exec 3>"$S/usage:early"
cat "$T/key.early" >&3
is "$(find_in_memory "$pf_pid" "${all[@]}")" "early" "in memory is only what is being written"
exec 3>&-
wait_for 10 eval '[ -z "$(find_in_memory "$pf_pid" early)" ]'
is "$(find_in_memory "$pf_pid" "${all[@]}")" "" "and nothing of it once it was closed"

# ---- pools that name them, programs that run ----------------------------------------------

# Not searched for in memory is what a running rbd pool has: librados keeps its key.
cp "$T/key.late" "$S/$U"
cp "$T/key.ceph" "$S/$V"
cat >"$C/pools/i.xml" <<END
<pool type='iscsi'><source><host name='127.0.0.1' port='1'/><device path='iqn.2001-01.com.example:x'/>
<auth type='chap' username='u'><secret uuid='$U'/></auth></source>
<target><path>/dev/disk/by-path</path></target></pool>
END
cat >"$C/pools/r.xml" <<END
<pool type='rbd'><source><host name='127.0.0.1' port='1'/><name>x</name>
<auth type='ceph' username='u'><secret uuid='$V'/></auth></source></pool>
END
ok "pools that name one are defined" [ -e "$C/pools/i/info" -a -e "$C/pools/r/info" ]
timeout 20 mkdir "$M/i" 2>/dev/null # there is no such target, nor cluster
timeout 20 mkdir "$M/r" 2>/dev/null
pf_pool p
cat >"$C/pools/p/volumes/q.xml" <<'END'
<volume><name>q</name><capacity unit='M'>10</capacity><target><format type='qcow2'/></target></volume>
END
ok "a program has run" [ -s "$M/p/q" ]
for id in "$pf_pid" $(pgrep -P "$pf_pid"); do
	tr '\0' '\n' <"/proc/$id/cmdline"
	tr '\0' '\n' <"/proc/$id/environ"
done >"$T/processes" 2>/dev/null
pf_untrace $tracer
ok "it was seen with its arguments and environment" grep -q 'execve(.*qemu-img.*"create".*LC_ALL=' "$T/programs"
for type in i r; do cat "$C/pools/$type/error" "$C/pools/$type/info" "$C/pools/$type.xml"; done >"$T/pools"
grep -rhs . "$C" --exclude-dir=secrets --exclude=events >"$T/control"
timeout 2 cat "$C/events" >"$T/events" 2>/dev/null
find "$S" -type f ! -name .pool -exec cat {} + >"$T/read" 2>/dev/null
ok "control was read" grep -q "<name>p</name>" "$T/control"
for name in "${all[@]}" ceph; do
	is "$(grep -lF -f "$T/key.$name" "$LOG" "$T/programs" "$T/processes" "$T/pools" "$T/control" \
		"$T/events" "$T/read" "$RUN" -r)" "" "the secret of $name is in no log, argument, environment or file of control"
done
is "$(find_in_memory "$pf_pid" "${all[@]}")" "" "nor in the daemon's memory"

# ---- a core dump ------------------------------------------------------------------------------

sanitized() { nm -D "$POOLFS" 2>/dev/null | grep -q '__[at]san_init'; }
if sanitized; then
	: # its reservations are terabytes; the search above has looked at the same memory
elif command -v gcore >/dev/null && gcore -o "$T/core" "$pf_pid" >"$T/gcore" 2>&1; then
	ok "a core dump was made" grep -qaF "usage:many" "$T/core.$pf_pid"
	for name in "${all[@]}"; do
		is "$(grep -caF -f "$T/key.$name" "$T/core.$pf_pid")" 0 "the secret of $name is not in it"
	done
	rm -f "$T/core.$pf_pid"
else
	skip "the secrets are in no core dump" "needs gcore"
fi

# ---- given to a driver ------------------------------------------------------------------------

pf_stop
mkfifo "$T/end"
"$PF_BUILD/tests/tools/secret-get" "$SRC" "$RUN" chap "$U" hold <"$T/end" >"$T/got" 2>"$T/got.err" &
getter=$!
exec 4>"$T/end"
wait_for 20 grep -q wiped "$T/got"
is "$(head -n 1 "$T/got")" 24 "a driver gets the secret"
is "$(find_in_memory $getter late)" "" "and has none when it has wiped it"
exec 4>&-
wait $getter
is "$("$PF_BUILD/tests/tools/secret-get" "$SRC" "$RUN" ceph "$U")" "$(cat "$T/key.late")" "which was the one"
like "$("$PF_BUILD/tests/tools/secret-get" "$SRC" "$RUN" ceph usage:none)" \
	"^ENOENT: there is no secret 'usage:none': write it to control/secrets/usage:none$" "one that is not there: the sentence says where to put it"
done_testing
