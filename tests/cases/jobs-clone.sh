#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A 2 GiB clone by copy is a job: its percent grows, events tell of it, cancelling it
# ends it at once and leaves nothing; a kill -9 in its midst leaves neither half a
# volume nor a hidden file after the restart.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
pf_setup
pf_define p
pf_start p
cd "$T" || exit 1
head -c 2G /dev/urandom >"$DATA/p/big" || { echo "no room for 2 GiB" >&2; exit 1; }
job() { awk '$3 == "clone" { print; exit }' "$C/jobs"; }
percent() { job | sed -E 's/.* ([0-9]+)%.*/\1/'; }
clone() { echo "clone big $1" >"$C/pools/p/ctl"; }

clone copy 2>clone.err &
pid=$!
ok "it is listed in jobs" wait_for 20 eval '[ -n "$(job)" ]'
like "$(job)" '^[0-9]+ p clone copy [0-9]+%$' "with its pool, verb, subject and percent"
first=$(percent)
wait_for 20 eval '[ "$(percent)" -gt "$first" ]'
tap $? "its percent grows"
not_ok "the copy is not there yet" test -e "$M/p/copy"
id=$(job | cut -d' ' -f1)
# One that ended before the daemon's first look would be no news.
ok "its start was told" wait_for 20 grep -q " job-started p $id clone copy\$" "$C/events"
fails_with "" "a job that is not there" sh -c "echo cancel 99999 >'$C/jobs'"
like "$(cat "$C/error")" "no job 99999" "the reason names it"
fails_with "" "an unknown word" sh -c "echo stop $id >'$C/jobs'"
not_ok "the pool does not stop meanwhile" rmdir "$M/p"
begun=$(date +%s%N)
ok "cancel" sh -c "echo cancel $id >'$C/jobs'"
wait $pid
rc=$?
took=$((($(date +%s%N) - begun) / 1000000))
[ $rc -ne 0 ]
tap $? "the write of the verb fails"
like "$(cat clone.err)" "Operation canceled" "with ECANCELED"
echo "# cancelled after $took ms"
ok "in about a second" [ $took -lt 3000 ]
is "$(job)" "" "no job is left"
is "$(ls -A "$DATA/p")" "big" "nor any file"
ok "its end was told" grep -q " job-ended p $id clone copy ECANCELED\$" "$C/events"

clone whole
is $? 0 "a whole one"
ok "is equal" cmp "$DATA/p/big" "$DATA/p/whole"
rm "$M/p/whole"

clone dead 2>/dev/null &
pid=$!
wait_for 20 eval '[ "$(percent)" -gt 5 ]'
pf_kill9
wait $pid
pf_launch
wait_for 20 [ -d "$M/p" ]
ok "after a kill -9 no half volume and no hidden file is left" \
	wait_for 20 eval '[ "$(ls -A "$DATA/p")" = big ]'
ls -A "$DATA/p" | diag
is "$(ls "$M/p")" "big" "nor on the mount"

# Deleting what is large answers at once; the rest is a job.
exec 5<"$M/p/big"
before=$(head -c 1M "$DATA/p/big" | md5sum)
rm "$M/p/big"
is $? 0 "rm of the large volume"
is "$(ls -A "$M/p")" ".pool" "it is gone at once"
is "$(head -c 1M <&5 | md5sum)" "$before" "who has it open reads on"
exec 5<&-
ok "nothing hidden is left of it" wait_for 20 eval '[ -z "$(ls -A "$DATA/p")" ]'
ok "preallocation of 3 GiB is one too" fallocate -l 3G "$M/p/pre"
is "$(stat -c %s "$M/p/pre")" $((3 << 30)) "and gives the size"
done_testing
