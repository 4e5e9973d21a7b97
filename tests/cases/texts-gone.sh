#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# texts-gone.sh - a text that is open is read to its end when its volume or pool is gone
# meanwhile; and it is not changed by somebody who opens the same file late, by an old
# descriptor, and maps it. Called by tests/run.
. "$(dirname "$0")/../lib.sh"

need python3
pf_setup
pf_pool p
truncate -s 1M "$DATA/p/v"
xml=$C/pools/p/volumes/v.xml
size=$(stat -c %s "$xml")

exec 5<"$xml" 6<"$xml"
head -c 5 <&6 >/dev/null
rm "$M/p/v"
sleep 0.3       # longer than the kernel keeps a volume's attributes
is "$(wc -c <&5) $(wc -c <&6)" "$size $((size - 5))" "a text of a volume that is gone is read to its end"
exec 5<&- 6<&-

truncate -s 1M "$DATA/p/v"
exec 5<"$xml" 6<"$C/pools/p/info"
size="$(stat -c %s "$xml") $(stat -c %s "$C/pools/p/info")"
rmdir "$M/p"
rm "$C/pools/p.xml"
sleep 0.3
is "$(wc -c <&5) $(wc -c <&6)" "$size" "and of a pool that has been undefined"
exec 5<&- 6<&-

# A private mapping reads into the kernel's pages, which belong to all. Where that would be
# another text than theirs, it gets an error.
pf_pool q
cat >"$T/map.py" <<'P'
import mmap, os, sys, time
pool = sys.argv[1]
def fail(verb):
    try:
        with open(pool + "/ctl", "w") as f:
            f.write(verb)
    except OSError:
        pass
def now():
    with open(pool + "/error") as f:
        return f.read()
def text_of(fd):
    return os.pread(fd, 1000, 0).decode()
def mapped(fd):         # the signal that ends who does it, or 0
    pid = os.fork()
    if pid == 0:
        text = mmap.mmap(fd, 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)[:]
        os._exit(0 if b"bbbb" in text else 1)
    return os.waitpid(pid, 0)[1] & 127
for verb, opened in ("aaaa", True), ("cccc", False):
    fail(verb)
    path = os.open(pool + "/error", os.O_PATH)
    if opened:
        early = os.open(pool + "/error", os.O_RDONLY)
        first = text_of(early)
    time.sleep(0.2)     # what the lookup has shown is too old for an open
    fail("bbbb")
    late = os.open("/proc/self/fd/%d" % path, os.O_RDONLY)
    print("bbbb" in text_of(late), mapped(late), text_of(early) == first, "bbbb" in text_of(late), end=" ")
    fail(verb)
    print(verb in now(), verb in now())
P
is "$(python3 "$T/map.py" "$C/pools/q")" "True 7 True True True True
True 7 True True True True" "what is mapped late is never what another descriptor reads"
done_testing
