#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""fsop.py OP FILE [FILE2] - does one operation on files, as one system call.

Used by the cases about hanging drivers, which must know what a program waits
in, and want neither a shell nor a tool that does more. Prints what the call
returned, or the name of its errno (exit code 1). Never tries again.
"""
import ctypes
import errno
import fcntl
import mmap
import os
import signal
import sys

SIZE = 65536


def opened(path, flags=os.O_RDWR):
    return os.open(path, flags)


def aligned():
    return mmap.mmap(-1, SIZE)


def text(path, line):
    fd = opened(path, os.O_WRONLY)
    os.write(fd, line.encode() + b"\n")


def allocate(path):
    libc = ctypes.CDLL(None, use_errno=True)
    fd = opened(path)
    if libc.fallocate(fd, 0, ctypes.c_long(0), ctypes.c_long(SIZE)):
        raise OSError(ctypes.get_errno(), "fallocate")


def punch(path):
    libc = ctypes.CDLL(None, use_errno=True)
    fd = opened(path)
    if libc.fallocate(fd, 3, ctypes.c_long(0), ctypes.c_long(4096)):
        raise OSError(ctypes.get_errno(), "fallocate")


def cached(path):
    # The kernel's wait for a page of its cache ends by a fatal signal only.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return len(os.pread(opened(path), SIZE, 0))


def mapped(path):
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return mmap.mmap(opened(path), SIZE)[0]


def willneed(path):
    fd = opened(path)
    for off in range(0, os.fstat(fd).st_size, 131072):  # the kernel takes no more at once
        os.posix_fadvise(fd, off, 131072, os.POSIX_FADV_WILLNEED)


def close(path):
    os.close(opened(path))


OPS = {
    "stat": os.stat,
    "list": os.listdir,
    "statfs": lambda p: os.statvfs(p).f_blocks,
    "readlink": os.readlink,
    "create": lambda p: os.open(p, os.O_CREAT | os.O_EXCL | os.O_WRONLY),
    "mknod": os.mknod,
    "remove": os.unlink,
    "rename": os.rename,
    "mkdir": os.mkdir,
    "rmdir": os.rmdir,
    "setattr": lambda p: os.chmod(p, 0o640),
    "resize": lambda p: os.truncate(p, SIZE + 4096),
    "open": opened,
    "trunc": lambda p: opened(p, os.O_WRONLY | os.O_TRUNC),
    "close": close,
    "read": cached,
    "readdirect": lambda p: os.preadv(opened(p, os.O_RDWR | os.O_DIRECT), [aligned()], 0),
    "map": mapped,
    "willneed": willneed,
    "write": lambda p: os.pwrite(opened(p), b"w" * SIZE, 0),
    "writedirect": lambda p: os.pwritev(opened(p, os.O_RDWR | os.O_DIRECT), [aligned()], 0),
    "fsync": lambda p: os.fsync(opened(p, os.O_RDONLY)),
    "truncate": lambda p: os.ftruncate(opened(p), SIZE),
    "allocate": allocate,
    "punch": punch,
    "seek": lambda p: os.lseek(opened(p), 0, os.SEEK_DATA),
    "copy": lambda p, q: os.copy_file_range(opened(p), opened(q), SIZE),
    "lock": lambda p: fcntl.lockf(opened(p), fcntl.LOCK_EX),
    "trylock": lambda p: fcntl.lockf(opened(p), fcntl.LOCK_EX | fcntl.LOCK_NB),
    "verb": text,
}

try:
    print(OPS[sys.argv[1]](*sys.argv[2:]))
    sys.stdout.flush()
except OSError as e:
    print(errno.errorcode.get(e.errno, e.errno), file=sys.stderr)
    sys.exit(1)
