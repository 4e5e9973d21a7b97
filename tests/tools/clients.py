#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""clients.py MOUNT DATA CLIENTS SECONDS SEED - many clients of the control directory.

Called by the case clients and the soak of that name. Each of CLIENTS processes does
random things to the same few pools: defines, undefines and renames them, starts and
stops them in every way, reads every control file, writes verbs, right and wrong ones,
clones and cancels, sets autostart, lists all. What an operation answers does not matter,
unless it is an errno that nothing here may give; that it answers does: one that takes
more than STUCK seconds is printed. Prints the number of operations and of each errno;
exits 1 when one was stuck or unfit.
"""
import collections
import errno
import os
import random
import sys
import time

M, DATA, CLIENTS, SECONDS, SEED = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
C = M + "/control"
POOLS = ["pool%d" % i for i in range(6)]
STUCK = 60
FIT = {errno.ENOENT, errno.EEXIST, errno.EBUSY, errno.EINVAL, errno.ESTALE, errno.EPERM,
       errno.EINPROGRESS, errno.EACCES, errno.ECANCELED, errno.ENOTEMPTY, errno.EXDEV,
       errno.ETIMEDOUT, errno.EINTR, errno.EOPNOTSUPP, errno.ENOTDIR, errno.EISDIR,
       errno.ENOSPC}


def write(path, text, flags=os.O_CREAT):
    fd = os.open(path, os.O_WRONLY | flags, 0o644)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def read(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        for _ in range(64):
            if not os.read(fd, 65536):
                break
    finally:
        os.close(fd)


def define(r):
    pool = r.choice(POOLS)
    target = "%s/%s" % (DATA, r.choice(POOLS + [pool] * 6))
    text = "<pool type='dir'><target><path>%s</path></target></pool>" % target
    if r.random() < 0.2:
        text = text[:r.randrange(len(text))]
    if r.random() < 0.3:
        scratch = "%s/pools/.new%d" % (C, r.randrange(1000))
        write(scratch, text)
        os.rename(scratch, "%s/pools/%s.xml" % (C, pool))
    else:
        write("%s/pools/%s.xml" % (C, pool), text)


def verb(r):
    pool = r.choice(POOLS)
    line = r.choice(["start", "stop", "build", "refresh", "resize v%d %dK", "clone v%d v%d",
                     "wipe v%d zero", "nonsense %d", "delete x%d", "clone v%d w%d linked"])
    while "%d" in line:
        line = line.replace("%d", str(r.randrange(8)), 1)
    write("%s/pools/%s/ctl" % (C, pool), line + "\n", 0)


def look(r):
    for name in r.sample(["log", "error", "events", "jobs", "version", "metrics",
                          "capabilities.xml"], 2):
        read(C + "/" + name)
    for name in r.sample(["info", "ctl", "error"], 1):
        read("%s/pools/%s/%s" % (C, r.choice(POOLS), name))


def walk(r):
    for _, _, _ in os.walk(r.choice([C + "/pools", C + "/active", M + "/" + r.choice(POOLS)])):
        pass


def volume(r):
    path = "%s/%s/v%d" % (M, r.choice(POOLS), r.randrange(8))
    what = r.randrange(4)
    if what == 0:
        write(path, "x" * r.randrange(100000))
    elif what == 1:
        os.unlink(path)
    elif what == 2:
        os.rename(path, path + "x")
    else:
        read(path)


ACTIONS = [
    define, define, look, look, walk, verb, verb, volume, volume,
    lambda r: os.mkdir(M + "/" + r.choice(POOLS)),
    lambda r: os.mkdir(C + "/active/" + r.choice(POOLS)),
    lambda r: os.rmdir(M + "/" + r.choice(POOLS)),
    lambda r: os.rmdir(C + "/active/" + r.choice(POOLS)),
    lambda r: os.unlink("%s/pools/%s.xml" % (C, r.choice(POOLS))),
    lambda r: os.rename("%s/pools/%s.xml" % (C, r.choice(POOLS)),
                        "%s/pools/%s.xml" % (C, r.choice(POOLS))),
    lambda r: os.symlink("../pools/pool0.xml", C + "/autostart/pool0.xml"),
    lambda r: os.unlink(C + "/autostart/pool0.xml"),
    lambda r: write(C + "/jobs", "cancel %d" % r.randrange(1000), 0),
]


def client(number):
    r = random.Random("%d %d" % (SEED, number))
    seen, bad, end = collections.Counter(), 0, time.monotonic() + SECONDS
    while time.monotonic() < end:
        action, begun, code = r.choice(ACTIONS), time.monotonic(), 0
        try:
            action(r)
        except OSError as e:
            code = e.errno
        seen[code] += 1
        took = time.monotonic() - begun
        if code in (errno.ENOTCONN, errno.ECONNABORTED):
            os.write(2, ("client %d: the daemon has died\n" % number).encode())
            return 1
        if took > STUCK or (code and code not in FIT):
            bad += 1
            os.write(2, ("client %d: %s: errno %d after %.1f s\n"
                         % (number, getattr(action, "__name__", "?"), code, took)).encode())
    os.write(1, ("%s\n" % " ".join("%d:%d" % x for x in seen.items())).encode())
    return bad


children = []
for i in range(CLIENTS):
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(1 if client(i) else 0)
        finally:
            os._exit(2)
    children.append(pid)
sys.exit(1 if sum(1 for pid in children if os.waitpid(pid, 0)[1]) else 0)
