#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Two clients of poolfs on one RADOS pool, as two hosts have it (two pools have a
# connection each): who writes first keeps the image until he has closed it, the other
# is told so and loses nothing, and each sees what the other has stored.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/ceph.sh
. "$(dirname "$0")/../ceph.sh"
need python3
ceph_shared
pf_setup
rbd_pool p
rbd_pool q
put() { printf %s "$3" | dd of="$M/$1/$2" bs=4k conv=notrunc,fsync status=none; }
has() { [ "$(head -c ${#3} "$M/$1/$2")" = "$3" ]; }

truncate -s 1M "$M/p/v"
ok "one makes it and writes" put p v first
wait_for 10 has q v first
tap $? "the other reads that"
for features in default layering; do
	v=$features
	if [ $features = default ]; then rbd create --size 1M $v; else rbd create --size 1M --image-feature layering $v; fi
	exec 7<>"$M/p/$v"
	printf held >&7
	python3 -c 'import os; os.fsync(7)'
	fails_with "busy" "$features: the other does not write meanwhile" put q $v intruder
	like "$(cat "$C/error")" "'$v'.*(use|open).*Ceph client" "$features: and hears why"
	not_ok "$features: nor empties it" sh -c 'printf x >"$1"' sh "$M/q/$v"
	not_ok "$features: nor makes it smaller" sh -c 'echo "resize $1 4096 shrink" >"$2"' sh $v "$C/pools/q/ctl"
	not_ok "$features: nor removes it" rm "$M/q/$v"
	wait_for 10 has q $v held
	tap $? "$features: reading it works"
	exec 7>&-
	wait_for 30 put q $v other
	tap $? "$features: when it is closed the other writes" || diag <"$C/error"
	wait_for 10 has p $v other
	tap $? "$features: and the first reads that"
	is "$(image_size $v)" "1048576" "$features: its size is as before"
done

# Both at once, in blocks of their own; who is refused tries again.
rbd create --size 1M race
cat >"$T/writer.py" <<'END'
import errno, os, sys, time
path, me = sys.argv[1], int(sys.argv[2])
until = time.monotonic() + 100
for turn in range(2):
    done = 0
    while done < 16:
        try:
            fd = os.open(path, os.O_RDWR)
            try:
                while done < 16:
                    block = (turn * 16 + done) * 2 + me
                    os.pwrite(fd, b"%03d " % block * 1024, block * 4096)
                    os.fsync(fd)
                    done += 1
            finally:
                os.close(fd)
        except OSError as e:
            if e.errno != errno.EBUSY or time.monotonic() > until:
                raise
            time.sleep(0.3)
END
python3 "$T/writer.py" "$M/p/race" 0 2>"$T/p.err" &
one=$!
python3 "$T/writer.py" "$M/q/race" 1 2>"$T/q.err" &
two=$!
wait $one
tap $? "one writer comes to its end" || diag <"$T/p.err"
wait $two
tap $? "and the other" || diag <"$T/q.err"
rbd export --no-progress race "$T/race"
ok "what each of them stored is there" python3 - "$T/race" <<'END'
import sys
data = open(sys.argv[1], "rb").read()
for block in range(64):
    assert data[block * 4096:][:4096] == b"%03d " % block * 1024, block
END
done_testing
