#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# control/events by the tools that people follow a file with: tail -f, tail -F, the
# shell's read, poll, cat; what each kind of event says; names with blanks.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need python3
pf_setup -o fault
cd "$T" || exit 1

stat -c %s "$C/events" >size
is "$(cat "$C/events")" "" "nothing has happened yet"
is "$(cat size)" 0 "and its size is 0"
tail -n +1 -f "$C/events" >by-tail 2>tail.err &
tail1=$!
tail -F "$C/events" >by-tail-F 2>tail-F.err &
tail2=$!
while IFS= read -r line; do echo "$line"; done < <(tail -n +1 -f "$C/events" & echo $! >tail3; wait) >by-read &
python3 - "$C/events" >by-poll <<'PY' &
import os, select, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
poll = select.epoll()
poll.register(fd, select.EPOLLIN | select.EPOLLET)
rest = ""
while "pool-undefined p" not in rest:
    if not poll.poll(60):
        sys.exit("not woken in 60 s")
    rest += os.read(fd, 1 << 16).decode()
sys.stdout.write(rest)
PY
poll=$!
sleep 1

pf_define p
pf_start p
# Sizes are looked up after the event: each waits for the one before.
told() { wait_for 20 grep -qE " $1\$" "$C/events"; }
: >"$M/p/a"
told 'volume-created p a 0'
truncate -s 1M "$M/p/a"
told 'volume-resized p a 1048576'
mv "$M/p/a" "$M/p/b c"
rm "$M/p/b c"
rmdir "$M/p"
mv "$C/pools/p.xml" "$C/pools/q r.xml"
mv "$C/pools/q r.xml" "$C/pools/p.xml"
echo 'p start 1 fail EACCES' >"$C/fault"
not_ok "a start that fails" mkdir "$M/p"
rm "$C/pools/p.xml"
wait $poll
is $? 0 "poll follows to the end"

words() { cut -d' ' -f3- "$1"; }
words by-poll >words
seen() { ok "told: $1" grep -qxE "$1" words; }
seen 'pool-defined p'
seen 'pool-started p'
seen 'volume-created p a [0-9]+'
seen 'volume-resized p a 1048576'
seen 'volume-renamed p a b\\040c'
seen 'volume-deleted p b\\040c'
seen 'pool-stopped p'
seen 'pool-renamed p q\\040r'
seen 'pool-renamed q\\040r p'
seen "pool-failed p .*cannot start pool 'p'.*"
seen 'pool-undefined p'
like "$(head -n 1 by-poll)" '^1 20[0-9-]{8}T[0-9:]{8}\.[0-9]{3}Z pool-defined p$' "number, time, word, pool"
is "$(cut -d' ' -f1 by-poll | tr '\n' ' ')" "$(seq -s ' ' "$(wc -l <by-poll)") " "numbered from 1"
cat "$C/events" >by-cat
ok "cat has the same" cmp by-poll by-cat
is "$(stat -c %s "$C/events")" "$(wc -c <by-cat)" "its size is that of its text"
ok "tail -f has the same" wait_for 10 cmp by-poll by-tail
ok "tail -F has the same" wait_for 10 cmp by-poll by-tail-F
is "$(cat tail.err tail-F.err)" "" "and they say nothing about it"
ok "the shell's read has the same" wait_for 10 cmp by-poll by-read
kill $tail1 $tail2 "$(cat tail3)"
is "$(tail -n 2 "$C/events" | wc -l)" 2 "tail reads from the end"
is "$(tail -c 20 "$C/events")" "$(tail -c 20 by-cat)" "tail -c, too"
is "$(dd if="$C/events" bs=1 status=none)" "$(cat by-cat)" "byte by byte"
not_ok "it cannot be written" sh -c "echo x >'$C/events'"
done_testing
