#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The end of an image: librbd cuts an asynchronous write across it short and says
# success; here it is ENOSPC, and no byte is thought to be written that is not.
# The handle that made or truncated the volume extends it.
# shellcheck disable=SC2016 source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/ceph.sh
. "$(dirname "$0")/../ceph.sh"
need python3
ceph_shared
pf_setup
rbd_pool p
rbd create --size 1M v

python3 - "$M/p" >"$T/out" 2>&1 <<'END'
import errno, os, sys
MIB = 1 << 20
def answer(what, f):
    try:
        print(what, "=", f())
    except OSError as e:
        print(what, "=", errno.errorcode[e.errno])
for direct in (0, os.O_DIRECT):
    fd = os.open(sys.argv[1] + "/v", os.O_RDWR | direct)
    import mmap
    page = mmap.mmap(-1, 8192)
    page.write(b"A" * 8192)
    answer("write at the end", lambda: os.pwritev(fd, [page], MIB))
    answer("write past the end", lambda: os.pwritev(fd, [page], 5 * MIB))
    def across():
        # What fits may be written and counted, as on a block device; not more.
        n = os.pwritev(fd, [page], MIB - 4096)
        return "whole" if n > 4096 else "fits"
    answer("write across the end", across)
    answer("fsync", lambda: os.fsync(fd))
    answer("size", lambda: os.fstat(fd).st_size)
    answer("read at the end", lambda: len(os.pread(fd, 4096, MIB)) if not direct else os.preadv(fd, [page], MIB))
    answer("read across the end", lambda: os.preadv(fd, [page], MIB - 4096))
    os.close(fd)
answer("append", lambda: os.write(os.open(sys.argv[1] + "/v", os.O_WRONLY | os.O_APPEND), b"x"))
END
for n in 1 8; do
	is "$(sed -n "${n}p" "$T/out")" "write at the end = ENOSPC" "a write at the end"
	is "$(sed -n "$((n + 1))p" "$T/out")" "write past the end = ENOSPC" "a write past it"
	like "$(sed -n "$((n + 2))p" "$T/out")" "= (ENOSPC|fits)$" "a write across it"
	is "$(sed -n "$((n + 3)),$((n + 6))p" "$T/out" | xargs)" \
		"fsync = None size = 1048576 read at the end = 0 read across the end = 4096" "and afterwards"
	[ "$n" = 8 ] || [ "$(wc -l <"$T/out")" -ge 15 ] || diag <"$T/out"
done
is "$(tail -n 1 "$T/out")" "append = ENOSPC" "append"
is "$(image_size v)" "1048576" "the image is as large as before"

# The handle that makes the volume extends it, in any order.
ok "the handle that creates extends" python3 - "$M/p/new" <<'END'
import os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT | os.O_EXCL)
os.pwrite(fd, b"far", 3000000)
assert os.fstat(fd).st_size == 3000003, os.fstat(fd).st_size
os.pwrite(fd, b"near", 10)
assert os.pread(fd, 100, 0) == b"\0" * 10 + b"near" + b"\0" * 86
assert os.pread(fd, 100, 2999999) == b"\0far"
os.fsync(fd)
os.close(fd)
assert os.stat(sys.argv[1]).st_size == 3000003
END
is "$(image_size new)" "3000003" "the image is cut to what was written"
ok "the handle that truncates extends" python3 - "$M/p/new" <<'END'
import os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
os.ftruncate(fd, 4000000)
os.pwrite(fd, b"end", 4000000)
assert os.fstat(fd).st_size == 4000003
os.close(fd)
END
wait_for 5 eval '[ "$(image_size new)" = 4000003 ]'
tap $? "the image has that size" || image_size new | diag

# Shrinking is asked for twice; growing is not.
fails_with "not permitted" "truncate to less is refused" truncate -s 1M "$M/p/new"
like "$(cat "$C/error")" "shrink" "and the reason says how"
ok "the verb shrinks when told so" ctl resize new 1M shrink
is "$(stat -c %s "$M/p/new") $(image_size new)" "1048576 1048576" "it has"
ok "truncate to more" truncate -s 10M "$M/p/new"
is "$(image_size new)" "10485760" "grows the image"
is "$(tail -c +1048577 "$M/p/new" | tr -d '\0' | wc -c)" "0" "and what is new reads as zero"
# O_TRUNC means new content, as on a block device; what was there is not seen again.
ok "a shorter text over a longer" eval "printf hello >'$M/p/new'"
is "$(head -c 5 "$M/p/new")" "hello" "is there"
is "$(tr -d '\0' <"$M/p/new" | head -c 100)" "hello" "and nothing of the old"
done_testing
