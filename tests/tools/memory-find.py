#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
memory-find.py PID TEXT... - which of the texts are in a process's memory.

Reads /proc/PID/mem as a core dump would have it: what is readable and private,
or a mapped file; not the reservations of sanitizers, which are terabytes of
nothing. Prints each TEXT that was found, once. For the case secrets-hidden;
the process goes on running meanwhile. Never writes.
"""
import sys

LARGE = 1 << 30
PIECE = 1 << 24


def pieces(pid, overlap):
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            span, mode = line.split()[:2]
            start, end = (int(x, 16) for x in span.split("-"))
            if "r" not in mode or end - start > LARGE or "[v" in line:
                continue
            for at in range(start, end, PIECE):
                try:
                    mem.seek(at)
                    yield mem.read(min(PIECE + overlap, end - at))
                except OSError:     # unmapped meanwhile, or never backed
                    pass


def main():
    pid, texts = sys.argv[1], sorted(set(sys.argv[2:]))
    left = {t: t.encode() for t in texts}
    for data in pieces(pid, max(map(len, texts))):
        for text, raw in list(left.items()):
            if raw in data:
                print(text)
                del left[text]


main()
