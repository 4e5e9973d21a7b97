#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Bytes go where the program put them, or it hears that they did not: a write across
# an end that somebody else has moved, one after O_APPEND was taken back, fallocate on
# a volume that was opened to be written anew; and growing a volume gives no leave to
# cut it.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/ceph.sh
. "$(dirname "$0")/../ceph.sh"
need python3
ceph_shared
pf_setup
rbd_pool p
head -c 1M /dev/urandom >"$T/in"

# librbd drops the end of such a write and says success.
rbd import --no-progress "$T/in" v
exec 7<>"$M/p/v"
python3 -c 'import os; os.pwrite(7, b"begin", 0); os.fsync(7)'
rbd resize --no-progress --allow-shrink --size 6000B v
sleep 0.5
fails_with "No space left" "a write across the end that was moved is not cut in silence" \
	python3 -c 'import os; os.pwrite(7, b"x" * 8192, 0)'
is "$(rbd export --no-progress v - | head -c 5)" "begin" "and leaves what was there"
ok "one up to the new end is taken" python3 -c 'import os
assert os.pwrite(7, b"y" * 6000, 0) == 6000
os.fsync(7)'
is "$(rbd export --no-progress v - | tr -d y | wc -c) $(image_size v)" "0 6000" "all of it"
exec 7>&-

rbd import --no-progress "$T/in" old
ok "a handle that made the volume larger cuts only what it added" python3 - "$M/p/old" <<'END'
import errno, os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
os.ftruncate(fd, 3 << 20)
os.ftruncate(fd, 2 << 20)
try:
    os.ftruncate(fd, 1000)
    sys.exit("cut to 1000 bytes")
except OSError as e:
    assert e.errno == errno.EPERM, e
os.ftruncate(fd, 1 << 20)
END
is "$(image_md5 old)" "$(md5 "$T/in")" "what was there before is whole"

ok "fallocate is a change as any other: what was there goes" python3 - "$M/p/old" <<'END'
import os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_TRUNC)
os.posix_fallocate(fd, 0, 100000)
assert os.fstat(fd).st_size == 100000, os.fstat(fd).st_size
os.pwrite(fd, b"new", 0)
os.close(fd)
END
is "$(image_size old)" "100000" "the size is what was asked for, also after a write"
is "$(rbd export --no-progress old - | tr -d '\0')" "new" "and nothing of the old is seen"

ok "O_APPEND taken back, and set" python3 - "$M/p/log" <<'END'
import fcntl, os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
os.write(fd, b"aaaa")
flags = fcntl.fcntl(fd, fcntl.F_GETFL)
fcntl.fcntl(fd, fcntl.F_SETFL, flags & ~os.O_APPEND)
os.pwrite(fd, b"bb", 1)
fcntl.fcntl(fd, fcntl.F_SETFL, flags)
os.write(fd, b"cc")
os.close(fd)
END
is "$(rbd export --no-progress log -)" "abbacc" "each byte is where it belongs"
done_testing
