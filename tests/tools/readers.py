#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""readers.py EVENTS READERS LAST SLOW - many readers of control/events at once.

Called by the case events-readers. Each of READERS processes follows EVENTS by poll(2)
and read(2), some in large pieces, some in tiny ones, until it has seen an event whose
words contain LAST. SLOW of them wait until the file SLOW-GO beside the working directory
exists before they read at all. Prints for each reader: the number of events seen, of
events lost, and what was wrong with their numbers; exits 1 if anything was.
"""
import os
import select
import sys
import time

EVENTS, READERS, LAST, SLOW = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])


def say(text):
    os.write(1, (text + "\n").encode())  # in one piece: many write at once


def follow(number):
    fd = os.open(EVENTS, os.O_RDONLY)
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    if number < SLOW:
        while not os.path.exists("slow-go"):
            time.sleep(0.1)
    size = 100 if number % 32 == 6 else (65536, 4096)[number % 2]
    rest, want, seen, lost, deadline = b"", 1, 0, 0, time.time() + 300
    while time.time() < deadline:
        poll.poll(1000)
        data = os.read(fd, size)
        rest += data
        *lines, rest = rest.split(b"\n")
        for line in lines:
            words = line.split()
            if words[0] == b"lost":
                lost += int(words[1])
                want += int(words[1])
                continue
            if int(words[0]) != want:
                return "%d: event %s where %d was to come" % (number, line.decode(), want)
            want += 1
            seen += 1
            if LAST.encode() in words:
                say("%d seen %d lost %d" % (number, seen, lost))
                return None
    return "%d: the last event never came (%d seen)" % (number, seen)


children = []
for i in range(READERS):
    pid = os.fork()
    if pid == 0:
        wrong = follow(i)
        if wrong:
            say("wrong " + wrong)
        os._exit(1 if wrong else 0)
    children.append(pid)
bad = sum(1 for pid in children if os.waitpid(pid, 0)[1])
sys.exit(1 if bad else 0)
