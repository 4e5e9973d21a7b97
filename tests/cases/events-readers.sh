#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# 64 readers of control/events while 10,000 volumes come and go: each sees every event
# once, in order, or is told how many it lost; some read only when all is over. A
# reader that never reads costs no memory that grows.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need python3
pf_setup
pf_define p
pf_start p
cd "$T" || exit 1
rss() { awk '/^VmRSS/ { print $2 }' "/proc/$pf_pid/status"; }
long=$(printf 'x%.0s' {1..100})
come_and_go() { # of 10,000 volumes, 20,000 events of about 170 bytes
	python3 - "$M/p" "$1" <<'PY'
import os, sys
pool, name = sys.argv[1:]
for start in range(0, 10000, 500):
    for i in range(start, start + 500):
        os.close(os.open("%s/%s-%d" % (pool, name, i), os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    for i in range(start, start + 500):
        os.unlink("%s/%s-%d" % (pool, name, i))
PY
}

"$top/tests/tools/readers.py" "$C/events" 64 last-one 4 >readers.out 2>&1 &
readers=$!
ok "10,000 volumes come and go" come_and_go "$long"
: >"$M/p/last-one"
wait_for 120 eval '[ "$(grep -c seen readers.out)" -ge 60 ]'
: >slow-go
wait $readers
is $? 0 "64 readers: no event is missing, doubled or out of order"
grep -v 'seen' readers.out | diag
# The numbers tell how many there were: each volume at least came and went.
total=$(tail -n 1 "$C/events" | cut -d' ' -f1)
ok "at least 20,001 events were told" [ "$total" -ge 20001 ]
is "$(awk '{ print $3 + $5 }' readers.out | sort -un | wc -l)" 1 \
	"seen and lost make the same sum for each"
ok "who waited to the end lost some, and was told" awk '$1 < 4 && $5 < 1000 { bad = 1 } END { exit bad }' readers.out
ok "who came late is told what is gone" grep -qE '^lost [0-9]+$' <(head -n 1 "$C/events")
is "$(sed 1d "$C/events" | awk 'NR > 1 && $1 != last + 1 { bad++ } { last = $1 } END { print bad + 0 }')" 0 \
	"and what is kept has no gap"

# A reader that never reads, through as much again.
sleep 1000 <"$C/events" &
idle=$!
before=$(rss)
come_and_go "$long"
after=$(rss)
# A sanitizer keeps what was freed.
if ! grep -q libasan "/proc/$pf_pid/maps"; then
	ok "a reader that does not read costs no memory ($before to $after KiB)" \
		[ $((after - before)) -lt 6000 ]
fi
kill $idle
done_testing
