#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# `make run` on a fresh clone: builds, mounts ./pools with a running pool, and
# at Ctrl-C leaves no mount and no process; the data stays for the next run.
# alone: it builds everything and uses each core
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
[ -r /dev/fuse ] || skip_all "needs /dev/fuse"
need make gcc

mkdir "$T/clone"
tar -C "$top" --exclude=./build --exclude='./pools*' --exclude=./.git -cf - . | tar -C "$T/clone" -xf -
cd "$T/clone" || exit 1

run() { # in a process group of its own, as a terminal's foreground job is
	: >"$T/out" # here, not when the job comes to it: the last run's words are in it
	set -m
	make run >"$T/out" 2>&1 </dev/null &
	job=$!
	set +m
	wait_for "$1" eval "grep -q 'Ctrl-C unmounts' '$T/out' || ! kill -0 $job"
	grep -q 'Ctrl-C unmounts' "$T/out"
	tap $? "make run comes up" || diag <"$T/out"
}
ctrl_c() {
	kill -INT -- "-$job"
	wait_for 20 eval "! kill -0 -- -$job"
	tap $? "Ctrl-C ends it" || kill -9 -- "-$job"
	wait "$job" 2>/dev/null
	is "$(grep -F "$T/" /proc/self/mountinfo)" "" "no mount is left"
	echo "$T/clone" >"$T/pattern" # in a file, or grep would find itself
	is "$(grep -lsaF -f "$T/pattern" /proc/[0-9]*/cmdline)" "" "no process is left"
}

run 200
is "$(ls pools)" "control"$'\n'"default" "the pool default is running"
head -c 1234567 /dev/urandom >in
ok "cp" cp in pools/default/in.img
ok "truncate -s 10G" truncate -s 10G pools/default/a.img
like "$(ls -ls pools/default/a.img)" "^0 .* 10737418240 " "ls -ls"
is "$(df --output=size pools/default | tail -n 1)" "$(df --output=size pools-data/default | tail -n 1)" "df"
ok "mv" mv pools/default/a.img pools/default/b.img
ok "rm" rm pools/default/b.img
ctrl_c
ok "the data is where it was said to be" cmp in pools-data/default/in.img

run 60
ok "a second run has the data" cmp in pools/default/in.img
ctrl_c
cd /
done_testing
