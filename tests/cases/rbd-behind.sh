#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What the rbd tool does to images behind poolfs while they are listed, open and
# being written: ls and the next open are right, an open handle stays with its
# image under whatever name, and no byte goes to another.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/ceph.sh
. "$(dirname "$0")/../ceph.sh"
need python3
ceph_shared
pf_setup
rbd_pool p
look() { # name=size of each
	sleep 0.1
	# shellcheck disable=SC2012
	ls -l "$M/p" | awk 'NR > 1 { print $9 "=" $5 }' | xargs
}
text() { head -c "${2:-3}" "$M/p/$1"; }

# Listed.
is "$(look)" "" "an empty pool"
rbd create --size 1M a
is "$(look)" "a=1048576" "created"
rbd resize --no-progress --size 3M a
is "$(look)" "a=3145728" "grown"
rbd resize --no-progress --allow-shrink --size 2M a
is "$(look)" "a=2097152" "cut"
rbd snap create --no-progress a@one
is "$(look)" "a=2097152" "a snapshot is no volume"
rbd snap rm --no-progress a@one
rbd mv a b
is "$(look)" "b=2097152" "renamed"
rbd rm --no-progress b
is "$(look)" "" "removed"
for i in 1 2 3 4 5 6 7 8; do
	rbd create --size "${i}M" again
	[ "$(stat -c %s "$M/p/again")" = $((i << 20)) ] || echo "$i" >>"$T/stale"
	rbd rm --no-progress again
	[ ! -e "$M/p/again" ] || sleep 0.1
	[ ! -e "$M/p/again" ] || echo "$i there" >>"$T/stale"
done
ok "made and removed again, each size is right" [ ! -e "$T/stale" ] || diag <"$T/stale"

# Open for reading.
printf one >"$T/one" && truncate -s 1M "$T/one"
printf two >"$T/two" && truncate -s 1M "$T/two"
rbd import --no-progress "$T/one" a
exec 7<"$M/p/a"
is "$(head -c 3 <&7)" "one" "read while open"
rbd resize --no-progress --size 5M a
ok "grown while open: the handle reads what is new" wait_for 5 python3 -c 'import os, sys
assert len(os.pread(7, 4096, 4 << 20)) == 4096'
rbd mv a b
rbd import --no-progress "$T/two" a
is "$(text a)" "two" "renamed while open, another took the name: the next open reads that"
is "$(python3 -c 'import os; print(os.pread(7, 3, 0).decode())' 2>&1 | tail -n 1)" "one" \
	"the open handle reads its own image" 
is "$(text b)" "one" "which has the new name"
exec 7<&-

# Open for writing.
exec 8<>"$M/p/b"
printf ONE >&8
rbd mv b c
rbd import --no-progress "$T/two" b
python3 -c 'import os
os.pwrite(8, b"more", 100)
os.fsync(8)' 2>"$T/err"
tap $? "renamed while it is written: the handle goes on" || diag <"$T/err"
is "$(rbd export --no-progress c - | head -c 104 | tr -d '\0')" "ONEmore" "to the same image"
is "$(image_md5 b)" "$(md5 "$T/two")" "and not to the one that took its name"
rbd snap create --no-progress c@snap
python3 -c 'import os
os.pwrite(8, b"later", 100)
os.fsync(8)'
tap $? "a snapshot while it is open: writes go on"
is "$(rbd export --no-progress c@snap - | head -c 105 | tr -d '\0')" "ONEmore" "the snapshot has what was there"
is "$(rbd export --no-progress c - | head -c 105 | tr -d '\0')" "ONElater" "the image what came after"
ok "cut while it is open" rbd resize --no-progress --allow-shrink --size 4096B c
fails_with "No space left" "a write past the new end is refused" python3 -c 'import os
os.pwrite(8, b"x", 100000)'
is "$(stat -c %s "$M/p/c")" "4096" "the new size shows"
rbd snap rm --no-progress c@snap
not_ok "Ceph keeps what poolfs has open for writing" rbd rm --no-progress c
exec 8>&-

# Removed under an open reader: it may read on or fail, and must not read others.
rbd import --no-progress "$T/one" r
exec 7<"$M/p/r"
is "$(head -c 3 <&7)" "one" "open for reading"
if rbd rm --no-progress r >/dev/null 2>&1; then
	rbd import --no-progress "$T/two" r
	wait_for 5 eval '[ "$(text r)" = two ]'
	tap $? "removed while open, made anew: the next open reads the new one"
	got=$(python3 -c 'import os; print(os.pread(7, 3, 0).decode())' 2>/dev/null)
	[[ $got != *two* ]]
	tap $? "the old handle never does ('${got//$'\0'/0}')"
else
	is "$(text r)" "one" "removing is refused while it is open"
	is "$(text r)" "one" "and it can still be read"
fi
exec 7<&-

# All of it while a program writes, each block with its number, fsynced.
rbd create --size 64M w
cat >"$T/writer.py" <<'END'
import os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
n = 0
while not os.path.exists(sys.argv[2]):
    os.pwrite(fd, b"%08d" % n * 512, (n % 1024) * 4096)
    if n % 10 == 0:
        os.fsync(fd)
        open(sys.argv[2] + ".begun", "w").close()
    n += 1
os.fsync(fd)
print(n)
END
python3 "$T/writer.py" "$M/p/w" "$T/enough" >"$T/count" 2>"$T/err" &
writer=$!
wait_for 60 [ -e "$T/enough.begun" ]     # who comes first has the image
for i in 1 2 3; do
	rbd snap create --no-progress "w@s$i" || echo "snap $i" >>"$T/tool"
	rbd resize --no-progress --size "$((64 + i))M" w || echo "resize $i" >>"$T/tool"
	rbd mv w w2 || echo "mv" >>"$T/tool"
	rbd create --size 8M w || echo "create" >>"$T/tool"
	ls -l "$M/p" >/dev/null
	rbd rm --no-progress w || echo "rm" >>"$T/tool"
	rbd mv w2 w || echo "mv back" >>"$T/tool"
	rbd snap rm --no-progress "w@s$i" || echo "snap rm" >>"$T/tool"
done
: >"$T/enough"
wait $writer
tap $? "a program writes while the image is snapshotted, resized and renamed" || diag <"$T/err"
ok "the tool was never refused" [ ! -e "$T/tool" ] || diag <"$T/tool"
rbd export --no-progress w "$T/w"
ok "every block is there" python3 - "$T/w" "$(cat "$T/count")" <<'END'
import sys
data, n = open(sys.argv[1], "rb").read(), int(sys.argv[2])
assert len(data) == 67 << 20, len(data)
for i in range(max(0, n - 1024), n):
    at = (i % 1024) * 4096
    assert data[at:at + 4096] == b"%08d" % i * 512, i
END
echo "# $(cat "$T/count") writes" >&2
done_testing
