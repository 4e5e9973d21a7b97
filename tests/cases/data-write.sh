#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Writing in place: dd, shred, fallocate, append, O_DIRECT, mmap and locks do
# on a volume what they do on a file, with passthrough and without.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need python3 flock
head -c 1048576 /dev/urandom >"$T/meg"
blocks() { stat -c %b "$1"; }

for mode in passthrough nopassthrough; do
	pf_mode $mode
	pf_pool p
	v=$M/p/v f=$T/f
	cp "$T/meg" "$v" && cp "$T/meg" "$f"

	for seek in 0 1 100 5000; do
		for file in "$v" "$f"; do
			dd if="$T/meg" of="$file" bs=777 count=3 skip=2 seek=$seek conv=notrunc,fsync status=none || echo fail >>"$T/dd"
		done
		ok "$mode: dd conv=notrunc seek=$seek" cmp "$v" "$f"
	done
	ok "$mode: no dd failed" [ ! -e "$T/dd" ]
	ok "$mode: dd oflag=direct" dd if="$T/meg" of="$v" bs=64k oflag=direct conv=notrunc status=none
	head -c 700001 "$T/meg" >"$T/odd"
	ok "$mode: dd oflag=direct with an odd end" dd if="$T/odd" of="$M/p/odd" bs=64k oflag=direct status=none
	ok "$mode: the same bytes" cmp "$T/odd" "$M/p/odd"
	ok "$mode: dd iflag=direct reads it" cmp <(dd if="$v" bs=64k iflag=direct count=16 status=none) "$T/meg"
	printf abc >>"$v"
	is "$(tail -c 3 "$v")" "abc" "$mode: append"
	printf def >>"$DATA/p/v" # behind its back
	sleep 0.1
	printf ghi >>"$v"
	is "$(tail -c 9 "$DATA/p/v")" "abcdefghi" "$mode: append goes to the true end"
	ok "$mode: two appenders lose nothing" python3 -c 'import os, sys
pids = []
for c in b"xy":
    pid = os.fork()
    if not pid:
        fd = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
        for i in range(500): os.write(fd, bytes([c]) * 10)
        os._exit(0)
    pids.append(pid)
for pid in pids: os.waitpid(pid, 0)
data = open(sys.argv[1], "rb").read()[-10000:]
assert data.count(b"x") == 5000 and data.count(b"y") == 5000' "$v"

	rm -f "$v"
	ok "$mode: fallocate -l" fallocate -l 4M "$v"
	is "$(stat -c %s "$v")" "4194304" "$mode: gives the size"
	[ "$(blocks "$v")" -ge 8192 ]
	tap $? "$mode: and the room"
	dd if=/dev/zero bs=1M count=4 status=none | tr '\0' z | dd of="$v" conv=notrunc status=none
	ok "$mode: fallocate -p" fallocate -p -o 1M -l 1M "$v"
	[ "$(blocks "$v")" -le 6200 ]
	tap $? "$mode: punches"
	ok "$mode: fallocate -z" fallocate -z -o 3M -l 512K "$v"
	is "$(tr -d '\0' <"$v" | wc -c)" "$((4194304 - 1048576 - 524288))" "$mode: what was punched and zeroed reads as zero"
	is "$(stat -c %s "$v")" "4194304" "$mode: the size stays"
	fails_with "not supported" "$mode: fallocate -c is refused" fallocate -c -o 0 -l 4096 "$v"
	is "$(python3 -c 'import os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
print(os.lseek(fd, 0, os.SEEK_HOLE), os.lseek(fd, 1 << 20, os.SEEK_DATA))' "$v")" "1048576 2097152" "$mode: SEEK_HOLE and SEEK_DATA"
	ok "$mode: shred" shred -n 1 -z "$v"
	is "$(tr -d '\0' <"$v" | wc -c)" "0" "$mode: which leaves zeros"

	cp "$T/meg" "$v"
	ok "$mode: mmap, shared" python3 -c 'import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
m = mmap.mmap(fd, 0)
assert m[:100] == open(sys.argv[2], "rb").read(100)
m[4090:4110] = b"=" * 20
m.flush()
assert os.pread(fd, 20, 4090) == b"=" * 20
m.close(); os.close(fd)' "$v" "$T/meg"
	is "$(dd if="$DATA/p/v" bs=1 skip=4090 count=20 status=none)" "====================" "$mode: the file has it"
	ok "$mode: O_TRUNC" eval ": >'$v'"
	is "$(stat -c %s "$v" "$DATA/p/v" | xargs)" "0 0" "$mode: empties it"

	# Locks: of two on the mount, and of one on the mount and one on the file.
	# The holder lets go when the file `held` is gone.
	flock "$v" sh -c ': >"$1"; while [ -e "$1" ]; do sleep 0.05; done' sh "$T/held" &
	wait_for 10 [ -e "$T/held" ]
	not_ok "$mode: a second flock -n is refused" flock -n "$v" true
	rm "$T/held"
	wait $!
	ok "$mode: and then gets it" flock -n "$v" true
	lock='import fcntl, os, struct, sys, time
fd = os.open(sys.argv[1], os.O_RDWR)
l = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 100, 1, 0)
fcntl.fcntl(fd, int(sys.argv[2]), l)
if len(sys.argv) > 3:
    open(sys.argv[3], "w").close()
    while os.path.exists(sys.argv[3]): time.sleep(0.05)'
	for how in "POSIX 6" "OFD 37"; do
		for sides in "$v $DATA/p/v" "$DATA/p/v $v" "$v $v"; do
			python3 -c "$lock" "${sides% *}" "${how#* }" "$T/held" &
			wait_for 10 [ -e "$T/held" ]
			not_ok "$mode: a ${how% *} lock keeps out: ${sides//$T\//}" python3 -c "$lock" "${sides#* }" "${how#* }"
			rm "$T/held"
			wait $!
			ok "$mode: and its end lets in" python3 -c "$lock" "${sides#* }" "${how#* }"
		done
	done

	python3 - "$v" "$DATA/p/v" <<-'END' >"$T/out" 2>&1
		import fcntl, os, sys
		r, w, other = (os.open(f, m) for f, m in ((sys.argv[1], os.O_RDONLY), (sys.argv[1], os.O_RDWR), (sys.argv[2], os.O_RDWR)))
		fcntl.lockf(r, fcntl.LOCK_SH)
		fcntl.lockf(w, fcntl.LOCK_EX | fcntl.LOCK_NB)
		if os.fork() == 0:
		    try: fcntl.lockf(other, fcntl.LOCK_SH | fcntl.LOCK_NB)
		    except OSError: os._exit(3)
		    os._exit(0)
		print(os.waitstatus_to_exitcode(os.wait()[1]))
	END
	is "$(cat "$T/out")" 3 "$mode: a process makes its shared lock exclusive by another descriptor"

	# An open volume that is removed stays readable.
	cp "$T/meg" "$v"
	exec 7<"$v"
	ok "$mode: rm of an open volume" rm "$v"
	is "$(md5sum <&7)" "$(md5sum <"$T/meg")" "$mode: it can still be read"
	exec 7<&-
	: >"$v"
	fails_with "File exists" "$mode: O_EXCL" python3 -c 'import os, sys
os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_EXCL)' "$v"
	chmod 600 "$v" && touch -d '2020-02-02 02:02:02' "$v"
	is "$(stat -c '%a %Y' "$v" "$DATA/p/v" | xargs)" "600 1580608922 600 1580608922" "$mode: chmod and touch"
	fails_with "too long" "$mode: a name of 256 bytes" touch "$M/p/$(head -c 256 /dev/zero | tr '\0' n)"
	ok "$mode: odd names" touch "$M/p/a b" "$M/p/-x" "$M/p/ü,:%#@" "$M/p/$(head -c 255 /dev/zero | tr '\0' n)"
	not_ok "$mode: a control character" touch "$M/p/"$'a\nb'
	rm -f -- "$M/p"/*
	pf_stop
done
done_testing
