#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A host that takes the question and never answers: the rest of control/ goes on, a signal
# gives up and ends the program, the open fails at its deadline with a sentence, and more
# than a few such questions are refused at once. In a network namespace of its own, with a
# silent port mapper.
# shellcheck source=tests/lib.sh
if [ -z "${PF_INSIDE-}" ]; then
	. "$(dirname "$0")/../lib.sh"
	need_root
	need showmount ip unshare python3
	ok "in a namespace of its own" env PF_INSIDE=1 unshare --net --mount "$0"
	done_testing
fi
. "$(dirname "$0")/../lib.sh"
pf_forget_mounts
ip link set lo up || exit 1
python3 -c 'import socket, sys, time
listen = [socket.socket(socket.AF_INET, kind) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)]
for s in listen: s.bind(("127.0.0.1", 111))
listen[0].listen(64)
open(sys.argv[1], "w").close()
time.sleep(600)' "$T/listens" &
silent=$!
silent_end() { kill "$silent" && wait "$silent"; } 2>/dev/null
pf_at_end+=(silent_end)
wait_for 20 [ -e "$T/listens" ]
pf_setup
pf_define p
S=$C/sources/netfs

asking() { # the number of showmounts that our daemon runs
	cat /proc/[0-9]*/stat 2>/dev/null | awk -v p="$pf_pid" '/\(showmount\)/ && $4 == p' | wc -l
}
asks() { [ "$(asking)" -eq "$1" ]; }

began=$SECONDS
(cat "$S/127.0.0.1" 2>"$T/first"; echo $? >"$T/first.rc"; echo "$((SECONDS - began))" >"$T/first.seconds") &
first=$!
ok "an open asks the host" wait_for 20 asks 1
ok "meanwhile a listing" ls -l "$C/sources" "$S"
ok "and another source" cat "$C/sources/scsi"
ok "and a pool is started" pf_start p
ok "and stopped" rmdir "$M/p"
is "$(asking)" 1 "the host is still asked"

cat "$S/localhost" >/dev/null 2>"$T/second" &
second=$!
ok "a second one asks" wait_for 20 asks 2
kill -TERM "$second"
ok "interrupted, it has ended at once" wait_for 5 bash -c "! grep -q '^State:[[:space:]]*[^ZX]' /proc/$second/status"
wait "$second"
ok "and so has the program" wait_for 10 asks 1

readers=()
for _ in $(seq 17); do
	cat "$S/127.0.0.1" >/dev/null 2>&1 &
	readers+=($!)
done
ok "no more than 16 run at a time" wait_for 15 asks 16
fails_with "Device or resource busy" "another one is refused" cat "$S/127.0.0.1"
like "$(cat "$C/error")" "16 other discoveries are under way" "and why"
kill -TERM "${readers[@]}" 2>/dev/null
wait "${readers[@]}"

wait "$first"
is "$(cat "$T/first.rc")" 1 "the first has failed"
like "$(cat "$T/first")" "timed out" "at its deadline"
like "$(cat "$T/first.seconds")" '^(19|[2-9][0-9])$' "after 20 seconds or what the machine adds"
ok "with a sentence in the log" grep -qE "open ETIMEDOUT cannot discover sources of 'netfs' pools on host '127.0.0.1': showmount has not ended within 20 seconds" "$C/log"
ok "no program is left" wait_for 10 asks 0

cat "$S/127.0.0.1" >/dev/null 2>&1 &
last=$!
ok "one more asks" wait_for 20 asks 1
program=$(cat /proc/[0-9]*/stat 2>/dev/null | awk -v p="$pf_pid" '/\(showmount\)/ && $4 == p { print $1 }')
ok "by a program" [ -e "/proc/${program:-none}" ]
kill -TERM "$pf_pid"
pf_wait_end 20
is $? 0 "the daemon ends meanwhile"
ok "and the program does not outlive it" wait_for 3 [ ! -e "/proc/$program" ]
wait "$last"
done_testing
