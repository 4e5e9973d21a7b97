#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Many handles of one volume, readers and writers, are one user of the image: they
# do not take its lock from each other, each sees at once what the others wrote,
# and the image is let go some time after the last close.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/ceph.sh
. "$(dirname "$0")/../ceph.sh"
need python3
ceph_shared
pf_setup
rbd_pool p
rbd create --size 8M v

cat >"$T/two.py" <<'END'
import os, sys, threading
path = sys.argv[1]
fds = [os.open(path, os.O_RDWR) for _ in range(6)] + [os.open(path, os.O_RDONLY)]
bad = []
# By turns, so that a lock of each handle's own would move each time.
for i in range(300):
    at = i % 64 * 4096
    os.pwrite(fds[i % 6], b"%08d" % i * 512, at)
    for fd in fds:
        if os.pread(fd, 4096, at) != b"%08d" % i * 512:
            bad.append(i)
def work(k):
    for i in range(100):
        at = (1 << 20) + (k * 100 + i) * 4096
        os.pwrite(fds[k], b"%04d%04d" % (k, i) * 512, at)
threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
for t in threads: t.start()
for t in threads: t.join()
os.fsync(fds[3])
for k in range(6):
    for i in range(100):
        if os.pread(fds[6], 4096, (1 << 20) + (k * 100 + i) * 4096) != b"%04d%04d" % (k, i) * 512:
            bad.append((k, i))
if bad:
    sys.exit("wrong: %s" % bad[:10])
print("ready", flush=True)
sys.stdin.read()
END
mkfifo "$T/go"
python3 "$T/two.py" "$M/p/v" <"$T/go" >"$T/out" 2>&1 &
program=$!
exec 7>"$T/go"
wait_for 60 grep -q . "$T/out"
is "$(cat "$T/out")" "ready" "six writers and a reader see what the others wrote"
is "$(watchers v)" "1" "with six writers open poolfs has the image open once"
is "$(rbd lock ls v | grep -c client.)" "1" "and has one lock"
exec 7>&-
wait $program
tap $? "they end well"
is "$(image_md5 v)" "$(md5 "$M/p/v")" "the image has the same"
not_watched() { [ "$(watchers v)" = 0 ]; }
wait_for 60 not_watched
tap $? "the image is let go after the last close"
done_testing
