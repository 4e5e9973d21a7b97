#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Somebody deletes the RADOS pool below a running pool. To Ceph's libraries it is empty
# then, and its images are holes; here it is an error, so that no backup takes that for
# the truth. Nor does one of the same name that comes later take its place unasked.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/ceph.sh
. "$(dirname "$0")/../ceph.sh"
need rsync
ceph_shared
pf_setup
other=$rados-other
# shellcheck disable=SC2317
also_end() { cluster unpool "$other"; }
pf_at_end=(also_end "${pf_at_end[@]}")
cluster pool "$other" || exit 1
rbd_pool p
xml_name=$other rbd_pool q
head -c 8M /dev/urandom >"$T/in"
cp "$T/in" "$M/p/v" && cp "$T/in" "$M/p/w" && cp "$T/in" "$M/q/v"
mkdir "$T/backup"
ok "a backup is made" rsync -a --delete "$M/p/" "$T/backup"
cat >"$T/reader.py" <<'END'
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECT)
room = mmap.mmap(-1, 1 << 20)
os.preadv(fd, [room], 0)
print("ready", flush=True)
sys.stdin.readline()
try:
    print(os.preadv(fd, [room], 1 << 20), "bytes")
except OSError as e:
    print(e.strerror)
END
mkfifo "$T/go"
/usr/bin/python3 "$T/reader.py" "$M/p/v" <"$T/go" >"$T/reader" 2>&1 &
reader=$!
exec 8>"$T/go" 9<>"$M/p/w"
wait_for 20 grep -q ready "$T/reader"
head -c 4096 /dev/urandom >&9
cluster unpool "$rados"

gone="RADOS pool '$rados' has been deleted"
fails_with "Stale file handle" "its directory cannot be listed" ls "$M/p"
like "$(cat "$C/error")" "$gone.*stop this pool" "and it is said why"
fails_with "Stale file handle" "a volume is not said to be missing" stat "$M/p/v"
fails_with "Stale file handle" "none is made" touch "$M/p/new"
fails_with "Stale file handle" "none is removed" rm "$M/p/v"
fails_with "Stale file handle" "none is opened" head -c 1 "$M/p/v"
echo >&8
wait "$reader"
is "$(tail -n 1 "$T/reader")" "Stale file handle" "who has one open reads no zeros"
head -c 4096 /dev/urandom >&9 2>/dev/null
not_ok "what is written is not said to be stored" sync "/proc/$$/fd/9"
exec 9>&-
not_ok "the backup that is made next fails" rsync -a --delete "$M/p/" "$T/backup"
is "$(md5 "$T/backup/v") $(md5 "$T/backup/w")" "$(md5 "$T/in") $(md5 "$T/in")" "and deletes nothing"
like "$(cat "$C/pools/p/info")" "$gone" "info says so"
ok "another pool on the cluster goes on" cmp "$T/in" "$M/q/v"

cluster pool "$rados" || exit 1
rbd create --size 1M fresh
fails_with "Stale file handle" "one of the same name is not taken for it" ls "$M/p"
fails_with "Stale file handle" "nor written to" touch "$M/p/new"
is "$(images)" fresh "it is as it was made"
ok "the pool stops" rbd_stop p
ok "and starts with the new one" mkdir "$M/p"
is "$(ls "$M/p")" fresh "which it shows"
ok "the pool stops again" rbd_stop p
cluster unpool "$rados"
fails_with "No such file" "without any it does not start" mkdir "$M/p"
like "$(cat "$C/error")" "no RADOS pool '$rados'" "and it is said why"
done_testing
