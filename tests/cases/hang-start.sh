#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Requests inside a pool that is starting wait for it, can be interrupted, and
# get the errno of a start that fails; a start that ends well lets them go on.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/hang.sh
. "$(dirname "$0")/../hang.sh"
need python3
pf_setup -o nopassthrough,fault
hang_pools
rmdir "$M/p"
before=$(threads)

fault "p start 0 hang"
mkdir "$M/p"
is "$(pf_info p state)" starting "mkdir has answered, the pool is starting"
fsop_waits stat "$M/p/v1"
one=$waiter
fsop_waits list "$M/p"
two=$waiter
cat "$M/p/v2" >"$T/v2" 2>"$T/words" &
three=$!
sleep 0.5
running "$one" && running "$two" && running "$three"
tap $? "stat, list and cat wait for the start"
others_answer "requests in a starting pool"
quick "ls -l of the mount shows it" sh -c 'ls -l "$1" | grep -q " p$"' sh "$M"
kill -INT "$one"
wait_for 10 ended "$one"
tap $? "SIGINT ends one"
kill -KILL "$two"
wait_for 10 ended "$two"
tap $? "SIGKILL ends another"
fault clear
wait "$three"
is "$? $(md5 "$T/v2")" "0 $(md5 "$DATA/p/v2")" "the third gets what it asked for"
is "$(pf_info p state)" active "the pool runs"
rmdir "$M/p"

# The directory goes while the start hangs.
fault "p start 0 hang"
mkdir "$M/p"
stat "$M/p/v1" >"$T/words" 2>&1 &
one=$!
sleep 0.5
running "$one"
tap $? "stat waits for the start"
mv "$DATA/p" "$DATA/away"
fault clear
wait "$one"
is "$?" 1 "stat fails when the start fails"
like "$(cat "$T/words")" "No such file" "it gets the errno of the start"
wait_for 10 state_is p failed
tap $? "the pool has failed"
like "$(cat "$C/pools/p/error")" "cannot start pool 'p'" "error says why"
wait_for 10 [ ! -e "$M/p" ]
tap $? "its directory is gone"
mv "$DATA/away" "$DATA/p"
quick "it starts when the directory is back" mkdir "$M/p"
quick "it works" md5sum "$M/p/v1"

fault "p start 0 hang"
rmdir "$M/p"
# More than control/ would bear if it were served by 64 threads. The kernel makes
# one directory after the other, and each takes 0.8 seconds.
for i in $(seq 66); do
	pf_define "s$i"
	fault "s$i start 0 hang"
done
makers=()
for i in $(seq 33); do
	mkdir "$M/s$i" &
	makers+=($!)
	mkdir "$C/active/s$((i + 33))" &
	makers+=($!)
done
wait "${makers[@]}"
tap $? "66 pools whose start hangs: mkdir is content"
others_answer "66 hanging starts"
is "$(held)" 66 "all of them hang"
fault clear
all_active() { [ "$(cat "$C"/pools/s*/info | grep -c '^state: active')" -eq 66 ]; }
wait_for 30 all_active
tap $? "all of them run"
wait_for 20 threads_most $((before + 4))
tap $? "no thread is left" || threads | diag
done_testing
