#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# kill -9 of the daemon, again and again for SOAK_SECONDS (half an hour), at
# random moments while three writers define, redefine, rename, undefine, start
# and stop pools. After each restart every definition is old or new and whole,
# what ran runs, what was stopped is stopped. kill9.py is what it calls;
# the short form is the case kill9-define. SOAK_SEED: for the writers.
seconds=${SOAK_SECONDS:-1800} seed=${SOAK_SEED:-$RANDOM}
PF_TIMEOUT=$((seconds + 600))
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need python3
py=$top/tests/soak/kill9.py
pf_setup
for ((i = 0; i < 48; i++)); do mkdir "$DATA/t$i"; done
python3 -c 'import json
print(json.dumps([{"name": None, "version": 0, "run": "no", "auto": False}] * 48))' >"$T/state"

end=$((SECONDS + seconds)) rounds=0 bad=0 changes=0
while [ $SECONDS -lt $end ] && [ $bad -lt 3 ]; do
	rounds=$((rounds + 1)) writers=()
	for part in 0 1 2; do
		python3 "$py" work "$M" "$DATA" "$T/state" "$T/journal.$part" \
			$((seed + rounds)) $part 3 >"$T/writer.$part" 2>&1 &
		writers+=($!)
	done
	for part in 0 1 2; do wait_for 20 [ -s "$T/journal.$part" ]; done
	sleep "$((RANDOM % 2)).$(printf %03d $((RANDOM % 1000)))"
	pf_kill9
	for part in 0 1 2; do
		wait "${writers[part]}" || {
			bad=$((bad + 1))
			diag <"$T/writer.$part"
		}
	done
	pf_launch
	out=$(python3 "$py" check "$M" "$DATA" "$SRC" "$T/state" "$T"/journal.? 2>&1) || bad=$((bad + 1))
	confirmed=$(sed -n 's/^\([0-9]*\) changes confirmed.*/\1/p' <<<"$out")
	changes=$((changes + ${confirmed:-0}))
	echo "round $rounds: $out" | diag
done
[ "$changes" -gt 0 ] && [ "$bad" -eq 0 ]
tap $? "$rounds kills, $changes changes confirmed, $bad wrong, seed $seed"
done_testing
