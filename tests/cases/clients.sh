#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Many clients do random things to the control directory and a few pools at once: nothing
# crashes, hangs or answers what it must not, and memory does not grow without end. The
# long form, five minutes of 64 clients, is `make soak CASES=clients`.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need python3
pf_setup
cd "$T" || exit 1
for i in 0 1 2 3 4 5; do mkdir -p "$DATA/pool$i"; done
seconds=${CLIENTS_SECONDS:-12} clients=${CLIENTS:-64} seed=${CLIENTS_SEED:-$RANDOM}
rss() { awk '/^VmRSS/ { print $2 }' "/proc/$pf_pid/status"; }
fds() { find "/proc/$pf_pid/fd" | wc -l; }
echo "# $clients clients, $seconds s, seed $seed"
"$top/tests/tools/clients.py" "$M" "$DATA" "$clients" $((seconds / 3 + 1)) "$seed" >first 2>err
is $? 0 "a first third: every operation answers, with a fit errno"
head -n 5 err | diag
before=$(rss) before_fds=$(fds)
"$top/tests/tools/clients.py" "$M" "$DATA" "$clients" "$seconds" "$((seed + 1))" >second 2>err
is $? 0 "and the rest"
head -n 5 err | diag
after=$(rss) after_fds=$(fds)
tr ' ' '\n' <second | awk -F: '{ n[$1] += $2; all += $2 } END { printf "# %d operations, %d of them well;", all, n[0]; for (e in n) if (e) printf " errno %s: %d", e, n[e]; print "" }'
ok "some of all went well" awk -F'[: ]' '{ for (i = 1; i < NF; i += 2) if ($i == 0) good += $(i + 1) } END { exit good < 100 }' second
echo "# memory $before to $after KiB, descriptors $before_fds to $after_fds"
ok "memory does not grow without end" [ "$after" -lt $((before * 2 + 20000)) ]
ok "nor do open files" [ "$after_fds" -lt $((before_fds + 200)) ]
ok "the control directory still answers" ls -R "$C/active"
ok "a pool can be defined" sh -c "printf '%s' \"<pool type='dir'><target><path>$DATA/new</path></target></pool>\" >'$C/pools/new.xml'"
mkdir -p "$DATA/new"
ok "and started" mkdir "$M/new"
done_testing
