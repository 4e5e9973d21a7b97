#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""lives.py MOUNT DATA OP... - the life of the pool p, again and again, with
the first, second, third ... call of the driver's OP failing, until none does.

Called by the case fault-each-call; DATA is the pool's own directory. Each time
there must be a reason in the pool's error, and the pool must afterwards be
stoppable and leave nothing behind. Prints one line for each OP: its name, how
many calls failed, and what was wrong. OP none: one life without a fault.
"""
import ctypes
import mmap
import os
import re
import sys
import time

M, DATA, OPS = sys.argv[1], sys.argv[2], sys.argv[3:]
P, C = M + "/p", M + "/control"
XML = "<pool type='dir'><name>p</name><target><path>%s</path></target></pool>" % DATA
CONTENT = os.urandom(100000)
libc = ctypes.CDLL(None, use_errno=True)


def put(path, text):
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def get(path):
    with open(path, "rb", buffering=0) as f:
        return f.readall()


def error():
    return get(C + "/pools/p/error").decode()


def state():
    return re.search("state: (.*)", get(C + "/pools/p/info").decode())[1]


def verb(line):
    put(C + "/pools/p/ctl", line + "\n")


class opened:
    def __init__(self, path, flags):
        self.fd = os.open(path, flags)

    def __enter__(self):
        return self.fd

    def __exit__(self, *_):
        os.close(self.fd)


def allocate(fd, mode, length):
    if libc.fallocate(fd, mode, ctypes.c_long(0), ctypes.c_long(length)):
        raise OSError(ctypes.get_errno(), "fallocate")


def define():
    fd = os.open(C + "/pools/p.xml", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        os.write(fd, XML.encode())
    finally:
        os.close(fd)


def create():
    os.close(os.open(P + "/v", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
    os.mknod(P + "/n")
    os.unlink(P + "/n")
    os.symlink("v", DATA + "/l")


def attributes():
    os.chmod(P + "/v", 0o600)
    os.utime(P + "/v", (1, 2))
    os.readlink(P + "/l")
    os.statvfs(P)


def write():
    with opened(P + "/v", os.O_RDWR) as fd:
        for off in range(0, len(CONTENT), 65536):
            os.pwrite(fd, CONTENT[off:off + 65536], off)
        os.fsync(fd)


def read():
    assert get(P + "/v") == CONTENT
    with opened(P + "/v", os.O_RDONLY | os.O_DIRECT) as fd:
        os.preadv(fd, [mmap.mmap(-1, 4096)], 0)


def resize():
    verb("resize v 200000")
    os.truncate(P + "/v", 150000)
    with opened(P + "/v", os.O_RDWR) as fd:
        os.ftruncate(fd, 160000)
        allocate(fd, 0, 170000)
        allocate(fd, 3, 4096)
        assert os.lseek(fd, 0, os.SEEK_DATA) == 4096


def rename():
    os.rename(P + "/v", P + "/w")
    os.rename(P + "/w", P + "/v")
    with opened(P, os.O_RDONLY) as fd:
        os.fsync(fd)


def names():
    assert {"v", "l", ".pool"} == {e.name for e in os.scandir(P) if e.stat(follow_symlinks=False)}


def clone():
    verb("clone v c")
    assert get(P + "/c") == get(P + "/v")


def describe():
    assert b"<name>v</name>" in get(C + "/pools/p/volumes/v.xml")
    os.listdir(C + "/pools/p/volumes")
    fd = os.open(C + "/pools/p/volumes/x.xml", os.O_WRONLY | os.O_CREAT)
    try:
        os.write(fd, b"<volume><name>x</name><capacity>5000</capacity></volume>")
    finally:
        os.close(fd)
    os.unlink(P + "/x")


def wipe():
    verb("wipe c zero")


def copy():
    with opened(P + "/v", os.O_RDONLY) as v, opened(P + "/d", os.O_CREAT | os.O_WRONLY) as d:
        while os.copy_file_range(v, d, 1 << 20):
            pass
    assert get(P + "/d") == get(P + "/v")


def delete():
    for name in "vcdl":
        os.unlink(P + "/" + name)


def start():
    os.mkdir(P)


def stop():
    os.rmdir(P)


STEPS = (define, start, create, attributes, write, read, resize, rename, names, clone, describe, wipe,
         copy,
         delete, stop)


def life(op):
    """Returns the step that failed, or None; and the pool's error before stop."""
    reason = ""
    for step in STEPS:
        if step is stop:
            if op in ("close", "usage"):  # what nobody waits for
                time.sleep(0.1)
            reason = error()
        try:
            step()
        except (OSError, AssertionError) as e:
            return "%s: %r" % (step.__name__, e), error()
    return None, reason


def stopped():
    for _ in range(400):
        if state() in ("inactive", "failed"):
            return True
        try:
            os.rmdir(P)
        except OSError:
            time.sleep(0.05)
    return False


def again():
    """To a stopped, empty pool, whatever went before; what was wrong, or ''."""
    put(C + "/fault", "clear\n")
    if not stopped():
        return "it does not stop: " + error()
    hidden = [n for n in os.listdir(DATA) if n.startswith(".")]
    for name in os.listdir(DATA):
        os.unlink(DATA + "/" + name)
    return "left behind: %s" % hidden if hidden else ""


def calls(op):
    found = re.search(r"^p %s .*: (\d+) calls" % op, get(C + "/fault").decode(), re.M)
    return int(found[1]) if found else 0


def lives(op):
    wrong = []
    for n in range(1, 1000):
        put(C + "/fault", "p %s %d fail EIO\n" % (op, n))
        failed, reason = life(op)
        reached = calls(op) >= n
        left = again()
        if left:
            wrong.append("call %d (%s): %s" % (n, failed, left.strip()))
        if not reached:
            if failed:
                wrong.append("no fault, but %s" % failed)
            return n - 1, wrong
        if "fault rule makes call %d of '%s' fail with EIO" % (n, op) not in reason:
            wrong.append("call %d (%s): the reason is '%s'" % (n, failed, reason.strip()))


for op in OPS:
    if op == "none":
        failed, reason = life(op)
        print("none 0", failed or again() or reason.strip(), flush=True)
    else:
        n, wrong = lives(op)
        print(op, n, "; ".join(wrong), flush=True)
