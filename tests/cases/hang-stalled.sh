#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A pool holds 64 requests that hang; when it has stalled, what is asked beyond
# them is refused at once with ETIMEDOUT, info says so, and nothing is left when
# the driver goes on. 100 hanging verbs do not stop control/ either.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/hang.sh
. "$(dirname "$0")/../hang.sh"
need python3
pf_setup -o nopassthrough,noannounce,fault,timeout=120
hang_pools
for i in $(seq 100); do
	echo "$i" >"$DATA/p/n$i"
done
before=$(threads)

# Stats each volume from a thread of its own; prints errno and tenths.
cat >"$T/stats.py" <<'END'
import errno, os, sys, threading, time
def one(name):
    begun = time.monotonic()
    try:
        os.stat(os.path.join(sys.argv[1], name))
        end = "0"
    except OSError as e:
        end = errno.errorcode[e.errno]
    os.write(1, b"%s %d\n" % (end.encode(), (time.monotonic() - begun) * 10))
for i in range(int(sys.argv[2]), int(sys.argv[3]) + 1):
    threading.Thread(target=one, args=["n%d" % i]).start()
END
refused() { [ "$(grep -c ETIMEDOUT "$T/ends")" -eq "$1" ]; }

fault "p stat 0 hang"
python3 "$T/stats.py" "$M/p" 1 100 >"$T/ends" &
reader=$!
wait_for 20 held_is 64
tap $? "64 of 100 requests are with the driver"
others_answer "100 requests in a hanging pool"
wait_for 30 refused 36
tap $? "36 are refused when the pool has stalled" || diag <"$T/ends"
is "$(pf_info p state)" stalled "info says that it is stalled"
like "$(cat "$C/pools/p/error")" "does not answer and has 64 requests waiting" "error says why"
took fsop stat "$M/p/n77"
is "$rc $out" "1 ETIMEDOUT" "one more is refused"
soon "one more"
took fsop list "$M/p"
is "$rc $out" "1 ETIMEDOUT" "another operation is refused"
soon "another operation"
others_answer "a stalled pool"
rss() { awk '/^VmRSS:/ { print $2 }' "/proc/$pf_pid/status"; }
rss=$(rss)
# shellcheck disable=SC2016
python3 -c 'import os, sys
for i in range(100):
    for t in [__import__("threading").Thread(target=lambda n: os.path.exists(sys.argv[1] + "/m%d" % n),
                                             args=[n]) for n in range(40)]:
        t.start()' "$M/p"
if ! grep -q libasan "/proc/$pf_pid/maps"; then # which keeps what was freed
	[ "$(rss)" -lt $((rss + 4096)) ]
	tap $? "4,000 more refused requests leave nothing in memory" || echo "$rss, then $(rss) KiB" | diag
fi
quick "a lookup of .pool asks no driver" cat "$M/p/.pool"
fault clear
wait "$reader"
[ "$(grep -c '^0 ' "$T/ends")" -eq 64 ]
tap $? "the 64 end well when the driver goes on" || diag <"$T/ends"
is "$(pf_info p state)" active "info says that it is active"
like "$(cut -d' ' -f3- "$C/events" | grep -E '^pool-(stalled|recovered) ' | xargs)" \
	'^pool-stalled p [a-z]+ pool-recovered p$' "events have told of both, once"
quick "the pool works" ls -l "$M/p"

fault "p list 0 hang"
verbs=()
for i in $(seq 100); do
	fsop_waits verb "$C/pools/p/ctl" refresh
	verbs+=("$waiter")
done
wait_for 30 held_is 64
tap $? "64 of 100 verbs are with the driver"
others_answer "100 hanging verbs"
quick "a verb of another pool" sh -c 'echo refresh >"$1"' sh "$C/pools/other/ctl"
kill -INT "${verbs[@]}"
all_ended() {
	local pid
	for pid in "${verbs[@]}"; do ended "$pid" || return; done
}
wait_for 20 all_ended
tap $? "SIGINT ends all 100"
fault clear
wait_for 20 threads_most $((before + 4))
tap $? "no thread is left" || threads | diag
done_testing
