#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# control/metrics: Prometheus' own programs take it without a word, and so does a
# stricter parser; the figures are what was done, by pool and operation; a pool keeps
# its counters over stop and start, and loses them with its definition; names are
# escaped; a thousand pools make 500 rows and one for the rest.
# shellcheck disable=SC2016,SC2317
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/hang.sh
. "$top/tests/hang.sh"
need promtool python3
pf_setup -o nopassthrough,fault,timeout=8
text=$T/metrics

taken() { cat "$C/metrics" >"$text"; }
parsed() { "$top/tests/openmetrics.py" "$text" "$@"; }
promtool_silent() { local said; said=$(promtool check metrics <"$text" 2>&1) && [ -z "$said" ]; }
# Prometheus' reader of OpenMetrics wants a time with each sample.
openmetrics_read() {
	awk '/^#/ { print; next } { print $0, 1700000000 }' "$text" >"$T/timed" &&
		promtool tsdb create-blocks-from openmetrics "$T/timed" "$T/blocks"
}
valid() { # WHEN
	taken
	ok "$1: promtool accepts it and says nothing" promtool_silent
	ok "$1: it is OpenMetrics" parsed check
}
# "none" or a figure, of the text taken last.
ops() { parsed get poolfs_operation_duration_seconds_count "pool=$1" "operation=$2"; }
failed() { parsed get poolfs_failure_duration_seconds_count "pool=$1" "operation=$2" ${3:+"error=$3"}; }
bytes() { parsed get poolfs_operation_size_bytes_sum "pool=$1" "operation=$2"; }

valid "no pool"
is "$(parsed values poolfs_pools state | tr '\n' ' ')" "active failed inactive stalled starting stopping " \
	"each state has its row"
is "$(stat -c %s "$C/metrics" | head -c 1 | tr '1-9' x)" "x" "stat shows some size"

# ---- what was done is what is told ---------------------------------------------------
pf_pool p
pf_pool q
: >"$M/p/v"
dd if=/dev/zero of="$M/p/v" bs=4k count=10 conv=notrunc,fsync status=none
dd if="$M/p/v" of=/dev/null bs=4k count=7 iflag=direct status=none
dd if="$M/p/v" of=/dev/null bs=10000 count=1 skip=40000 iflag=skip_bytes status=none
: >"$M/q/a"; : >"$M/q/b"; : >"$M/q/c"
printf 123456789 >>"$M/q/a"
rm "$M/q/a" "$M/q/b"
mv "$M/q/c" "$M/q/d"
truncate -s 1M "$M/q/d"
truncate -s 2M "$M/q/d"
dd if="$M/q/d" of=/dev/null bs=1M count=2 iflag=direct status=none
echo "resize d 3M" >"$C/pools/q/ctl"
echo "clone d e" >"$C/pools/q/ctl"
echo "<volume><name>x</name><capacity>4096</capacity></volume>" >"$C/pools/q/volumes/x.xml"
valid "two pools"
ok "Prometheus' reader of OpenMetrics takes it" openmetrics_read
is "$(ops p write) $(bytes p write)" "10 40960" "p: writes and their bytes"
is "$(parsed get poolfs_operation_size_bytes_bucket pool=p operation=write le=512.0
	) $(parsed get poolfs_operation_size_bytes_bucket pool=p operation=write le=4096.0)" "0 10" \
	"p: all of 4096 bytes"
is "$(parsed get poolfs_operation_size_bytes_bucket pool=p operation=read le=4096.0)" "8" \
	"p: direct reads, and one of the rest of a page"
is "$(bytes p read)" "$((7 * 4096 + 4096))" "p: bytes read"
is "$(ops p fsync) $(ops p create) $(ops p start) $(ops p define)" "1 1 1 1" "p: fsync, create, start, define"
is "$(ops q create) $(ops q delete) $(ops q rename) $(ops q truncate)" "4 2 1 2" \
	"q: create (one by XML), delete, rename, truncate"
is "$(ops q write) $(bytes q write)" "1 9" "q: one write"
is "$(bytes q read)" "2097152" "q: bytes read"
is "$(ops q resize) $(ops q clone)" "1 1" "q: the verbs"
is "$(ops p delete) $(ops p clone) $(ops q fsync)" "none none none" "what was not done has no row"
is "$(failed q create) $(failed p write) $(failed p read)" "none none none" "nothing failed"
is "$(parsed get poolfs_pools state=active)" "2" "two pools run"
is "$(parsed get poolfs_pool_state pool=p type=dir state=active)" "1" "p is one of them"

# ---- failures --------------------------------------------------------------------------
fault p write 1 fail ENOSPC
not_ok "a write fails" dd if=/dev/zero of="$M/p/v" bs=4k count=1 conv=notrunc status=none
fault p read 1 fail EIO
not_ok "a read fails" dd if="$M/p/v" of=/dev/null bs=4k count=1 iflag=direct status=none
exec 9<"$M/q/d"
not_ok "q does not stop" rmdir "$M/q"
taken
is "$(parsed get poolfs_pool_open_volumes pool=q)" "1" "an open volume is told"
exec 9<&-
not_ok "nobody does not start" mkdir "$M/nobody"
not_ok "q is not undefined" rm "$C/pools/q.xml"
not_ok "a second pool with p's directory" sh -c 'echo "$1" >"$2"' sh "$(pf_xml r "$DATA/p")" "$C/pools/r.xml"
not_ok "no such volume" sh -c 'echo "resize none 1M" >"$1"' sh "$C/pools/p/ctl"
valid "failures"
is "$(failed p write ENOSPC) $(ops p write) $(bytes p write)" "1 11 40960" "a failed write is counted, not its bytes"
is "$(failed p read EIO) $(failed q stop EBUSY) $(failed q undefine EBUSY)" "1 1 1" "so are a read, a stop, an undefine"
is "$(failed control start ENOENT) $(failed control define EEXIST)" "1 1" "what has no pool is control's"
is "$(failed p resize ENOENT) $(ops p resize)" "1 1" "a verb that failed"

# The deadline and a signal answer in the driver's place.
reads=$(ops p read)
fault p read 1 hang
not_ok "a read meets the deadline" dd if="$M/p/v" of=/dev/null bs=4k count=1 iflag=direct status=none
fault p read 1 hang
waits dd if="$M/p/v" of=/dev/null bs=4k count=1 iflag=direct status=none
ok "another read hangs" wait_for 2 held_is 1
taken
kill -KILL "$waiter"
ok "its program ends" wait_for 10 ended "$waiter"
is "$(parsed get poolfs_requests pool=p)" "1" "it was under way"
taken
is "$(failed p read ETIMEDOUT) $(failed p read EINTR) $(($(ops p read) - reads))" "1 1 2" "ETIMEDOUT and EINTR"
like "$(parsed get poolfs_failure_duration_seconds_sum pool=p operation=read error=ETIMEDOUT)" \
	'^([89]|[0-9]{2})(\.|$)' "the time is what the reader waited"
is "$(parsed get poolfs_failure_duration_seconds_bucket pool=p operation=read error=ETIMEDOUT le=1.0)" "0" \
	"and so is its bucket"
fault clear
ok "none is under way" wait_for 10 eval 'taken; [ "$(parsed get poolfs_requests pool=p)" = 0 ]'

# ---- a pool's counters live as long as its definition -----------------------------------
writes=$(ops p write)
ok "p stops" rmdir "$M/p"
taken
is "$(ops p write) $(ops p stop)" "$writes 1" "stopped it keeps its figures"
is "$(parsed get poolfs_pool_open_volumes pool=p) $(parsed get poolfs_pool_state pool=p state=inactive)" "none 1" \
	"what only a running pool has is gone"
ok "p starts" mkdir "$M/p"
printf x >>"$M/p/v"
taken
is "$(ops p write) $(ops p start)" "$((writes + 1)) 2" "and goes on with them"
full() { taken; [ "$(parsed get poolfs_pool_capacity_bytes pool=p)" = "$(pf_info p capacity)" ]; }
ok "capacity is told as info has it" wait_for 20 full
ok "p stops and goes" sh -c 'rmdir "$1" && rm "$2"' sh "$M/p" "$C/pools/p.xml"
taken
is "$(ops p write) $(ops p start) $(ops control undefine)" "none none 1" "with the definition they go"

# ---- names ------------------------------------------------------------------------------
odd='q"u\o {t}=,é'
mkdir "$DATA/odd"
pf_xml "$odd" "$DATA/odd" >"$C/pools/$odd.xml"
pf_start "$odd"
printf x >"$M/$odd/v"
valid "a name with quotes, backslash, braces and UTF-8"
is "$(ops "$odd" write) $(parsed get poolfs_pool_state "pool=$odd" state=active)" "1 1" "it is its pool's"

# ---- many pools: q and the odd one have a row, 498 are left -------------------------------
many() { # makes m1 to m1000; the first and last ten run, with 10 reads each
	python3 - "$C" "$M" "$DATA" <<-'EOF'
		import os, sys
		control, mount, data = sys.argv[1:]
		for i in range(1, 1001):
		    with open(f"{control}/pools/m{i}.xml", "w") as f:
		        f.write(f"<pool type='dir'><target><path>{data}/m{i}</path></target></pool>")
		    if 10 < i <= 990:
		        continue
		    os.mkdir(f"{data}/m{i}")
		    open(f"{data}/m{i}/v", "wb").write(bytes(1000))
		    os.mkdir(f"{mount}/m{i}")
		    fd = os.open(f"{mount}/m{i}/v", os.O_RDONLY | os.O_DIRECT)
		    for _ in range(10):
		        assert len(os.pread(fd, 4096, 0)) == 1000
		    os.close(fd)
	EOF
}
ok "a thousand pools" many
valid "a thousand pools"
ok "cp takes it whole, whatever size stat showed" sh -c 'cp "$1" "$2" && tail -n 1 "$2" | grep -qx "# EOF"' \
	sh "$C/metrics" "$T/copied"
is "$(parsed get poolfs_pools state=active) $(parsed get poolfs_pools state=inactive)" "22 980" "all are counted by state"
is "$(parsed values poolfs_pool_state pool | wc -l)" "500" "500 have rows"
is "$(ops m1 read) $(bytes m1 read) $(ops m1000 read)" "10 10000 none" "the first is one of them, the last is not"
is "$(ops .others read) $(bytes .others read)" "100 100000" "the rest is summed"
is "$(parsed get poolfs_pool_open_volumes pool=.others)" "0" "so are the gauges"
ok "one of the first goes" rm "$C/pools/m20.xml"
mkdir "$DATA/new"
ok "another comes, and is started" eval 'pf_define new && pf_start new'
taken
is "$(parsed values poolfs_pool_state pool | grep -cx new)" "1" "it has the row that became free"
is "$(ops .others read)" "100" "the sum stays"
done_testing
