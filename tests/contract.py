#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""contract.py MOUNT POOL - what each operation answers on a pool of any type.

Called by contract.sh, which compares the answers, one a line, with the table of
the pool's type in contract/TYPE. An answer is "ok", what was seen, or the name of
the errno. It makes volumes in the empty, running POOL and removes them again; it
knows nothing of types.
"""
import ctypes
import errno
import os
import stat
import subprocess
import sys
import time

mount, pool = sys.argv[1:]
here, control = f"{mount}/{pool}", f"{mount}/control/pools/{pool}"
libc = ctypes.CDLL(None, use_errno=True)
MIB = 1 << 20
data = bytes(range(256)) * 4096


def answer(question, f, *args):
    try:
        result = f(*args)
    except OSError as e:
        result = errno.errorcode.get(e.errno, e.errno)
    print(f"{question}: {'ok' if result is None else result}", flush=True)


def at(name):
    return f"{here}/{name}"


def fd_of(name, flags=os.O_RDWR):
    return os.open(at(name), flags, 0o644)


def with_fd(name, f, flags=os.O_RDWR):
    fd = fd_of(name, flags)
    try:
        return f(fd)
    finally:
        os.close(fd)


def call(name, *args):
    """A function of libc that returns -1 and errno."""
    result = getattr(libc, name)(*args)
    if result < 0:
        raise OSError(ctypes.get_errno(), name)


def long(n):
    return ctypes.c_long(n)


def size(name):
    return os.stat(at(name)).st_size


def content(name, off=0, length=MIB):
    return with_fd(name, lambda fd: os.pread(fd, length, off), os.O_RDONLY)


def is_zero(bytes_):
    return "zero" if bytes_ and not any(bytes_) else "not zero"


def make(name, length=MIB, fill=True):
    fd = fd_of(name, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    os.ftruncate(fd, length)
    if fill:
        os.pwrite(fd, data[:length], 0)
    os.close(fd)


def gone(*names):
    for name in names:
        for _ in range(200):  # one just closed may still be on its way
            try:
                os.unlink(at(name))
            except FileNotFoundError:
                pass
            except OSError as e:
                if e.errno != errno.EBUSY:
                    raise
                time.sleep(0.05)
                continue
            break


def verb(line):
    with open(control + "/ctl", "wb", buffering=0) as f:
        f.write(line.encode() + b"\n")


def fallocate(mode, off, length):
    return lambda fd: call("fallocate", fd, mode, long(off), long(length))


def rename2(a, b, flags):
    call("renameat2", -100, at(a).encode(), -100, at(b).encode(), flags)


def names():
    return " ".join(sorted(n for n in os.listdir(here) if n != ".pool")) or "none"


KEEP, PUNCH, ZERO = 1, 3, 16

# ---- names --------------------------------------------------------------------------
answer("the volumes of an empty pool", names)
answer("create", make, "v")
answer("create what is there", make, "v")
answer("open what is not there", fd_of, "none")
answer("the volumes", names)
for name in ("a b", "-x", "ü,:%#@", ".dot", "n" * 255):
    answer(f"create and remove '{name[:8]}'", lambda: (make(name, 4096), gone(name)) and None)
answer("a name of 256 bytes", make, "n" * 256)
answer("a name with a newline", make, "a\nb")
answer("a reserved name", make, ".snap")
answer("mkdir", os.mkdir, at("dir"))
answer("symlink", lambda: (os.symlink("v", at("link")), os.unlink(at("link"))) and None)
answer("hard link", os.link, at("v"), at("hard"))
answer("mkfifo", os.mkfifo, at("fifo"))
# By another process: who does that may remove nothing for some time.
answer("unlink of .pool", lambda: subprocess.run(["unlink", at(".pool")], stderr=subprocess.PIPE)
       .stderr.decode().rpartition(": ")[2].strip())

# ---- bytes --------------------------------------------------------------------------
answer("size", size, "v")
answer("type and mode", lambda: f"{stat.S_IFMT(os.stat(at('v')).st_mode):o} "
       f"{os.stat(at('v')).st_mode & 0o7777:o}")
answer("links", lambda: os.stat(at("v")).st_nlink)
answer("read what was written", lambda: content("v") == data)
answer("read at the end", lambda: len(content("v", MIB)))
answer("read across the end", lambda: len(content("v", MIB - 10, 100)))
answer("write inside", with_fd, "v", lambda fd: os.pwrite(fd, b"inside", 1000))
answer("read it", lambda: content("v", 1000, 6))
answer("a handle for reading writes", with_fd, "v", lambda fd: os.pwrite(fd, b"x", 0), os.O_RDONLY)
answer("a handle for writing reads", with_fd, "v", lambda fd: os.pread(fd, 1, 0), os.O_WRONLY)
answer("write at the end", with_fd, "v", lambda fd: os.pwrite(fd, b"end", MIB))
answer("size then", size, "v")
answer("write far past the end", with_fd, "v", lambda fd: os.pwrite(fd, b"far", 3 * MIB))
answer("append", with_fd, "v", lambda fd: os.write(fd, b"more"), os.O_WRONLY | os.O_APPEND)
answer("size then", size, "v")
answer("fsync", with_fd, "v", os.fsync)
answer("fdatasync", with_fd, "v", os.fdatasync)
answer("fsync of the pool", with_fd, ".", os.fsync, os.O_RDONLY)
gone("v")

# ---- sizes --------------------------------------------------------------------------
make("v")
answer("truncate to more", os.truncate, at("v"), 2 * MIB)
answer("size then", size, "v")
answer("what is new", lambda: is_zero(content("v", MIB)))
answer("truncate to the same", os.truncate, at("v"), 2 * MIB)
answer("truncate to less", os.truncate, at("v"), MIB)
answer("size then", lambda: size("v") // MIB)
answer("truncate to odd", lambda: (os.truncate(at("v"), 2 * MIB + 1001), size("v"))[1])
answer("truncate to 0", os.truncate, at("v"), 0)
answer("O_TRUNC", lambda: os.close(fd_of("v", os.O_WRONLY | os.O_TRUNC)))
answer("size then", size, "v")
gone("v")


def grows():
    fd = fd_of("v", os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, b"first", 0)
    os.pwrite(fd, b"last", 5 * MIB)
    seen = os.fstat(fd).st_size
    os.close(fd)
    return seen, os.stat(at("v")).st_size, is_zero(content("v", MIB))


answer("the handle that creates extends", grows)
gone("v")
make("v")


def extends():
    fd = fd_of("v")
    os.ftruncate(fd, 2 * MIB)
    os.pwrite(fd, b"last", 2 * MIB)
    os.close(fd)
    return size("v")


answer("the handle that truncates extends", extends)
gone("v")

# ---- space --------------------------------------------------------------------------
make("v")
answer("punch a hole", with_fd, "v", fallocate(PUNCH, 5000, 3000))
answer("it is zero, its neighbours are not", lambda: content("v")[:5000] == data[:5000] and
       is_zero(content("v", 5000, 3000)) == "zero" and content("v")[8000:] == data[8000:])
answer("zero a range", with_fd, "v", fallocate(ZERO | KEEP, 100, 50))
answer("it is zero", lambda: is_zero(content("v", 100, 50)))
answer("allocate inside", with_fd, "v", fallocate(0, 0, MIB))
answer("the size stays", lambda: size("v") == MIB)
answer("allocate beyond", with_fd, "v", fallocate(0, 0, 2 * MIB))
answer("size then", size, "v")
answer("collapse a range", with_fd, "v", fallocate(8, 0, 4096))
answer("SEEK_DATA at 0", with_fd, "v", lambda fd: os.lseek(fd, 0, os.SEEK_DATA))
answer("SEEK_HOLE at the end", with_fd, "v", lambda fd: os.lseek(fd, size("v"), os.SEEK_HOLE))
gone("v")

# ---- attributes -----------------------------------------------------------------------
make("v")
answer("chmod", lambda: (os.chmod(at("v"), 0o640), f"{os.stat(at('v')).st_mode & 0o7777:o}")[1])
answer("utimens", lambda: (os.utime(at("v"), (1000, 2000)), int(os.stat(at("v")).st_mtime))[1])
answer("set-id bits", lambda: (os.chmod(at("v"), 0o4640), f"{os.stat(at('v')).st_mode & 0o7777:o}")[1])
answer("an extended attribute", os.getxattr, at("v"), "user.x")
answer("statfs", lambda: os.statvfs(here).f_blocks > 0)

# ---- renaming and removing ----------------------------------------------------------------
answer("rename", os.rename, at("v"), at("w"))
answer("the volumes", names)
answer("the bytes are the same", lambda: content("w") == data)
answer("rename of what is not there", os.rename, at("none"), at("x"))
make("v", MIB, False)
answer("rename without replacing", rename2, "w", "v", 1)
answer("exchange", rename2, "w", "v", 2)
answer("rename to another pool", os.rename, at("v"), f"{mount}/other/v")
answer("rename out of a handle's sight", lambda: with_fd("w", lambda fd: (
    os.rename(at("w"), at("x")), os.pwrite(fd, b"still", 0), content("x", 0, 5))[2]))
gone("v", "w", "x")
make("v")
make("w", MIB, False)
answer("rename over a volume", os.rename, at("v"), at("w"))
answer("the volumes", names)
gone("v", "w")
make("v")


def open_removed():
    fd = fd_of("v", os.O_RDONLY)
    try:
        os.unlink(at("v"))
        return os.pread(fd, 3, 1) == data[1:4]
    finally:
        os.close(fd)


answer("remove while open, and read", open_removed)
gone("v")
answer("remove what is not there", os.unlink, at("v"))

# ---- copies and verbs -------------------------------------------------------------------------
make("v")


def copied():
    make("w", MIB, False)
    a, b = fd_of("v"), fd_of("w")
    done = 0
    while done < MIB:
        n = os.copy_file_range(a, b, MIB - done, done, done)
        if not n:
            break
        done += n
    os.close(a)
    os.close(b)
    return content("w") == data


answer("copy_file_range", copied)
gone("w")
answer("verb resize to more", lambda: (verb("resize v 2M"), size("v"))[1])
answer("verb resize to less", verb, "resize v 1M")
answer("verb resize to less, meant", lambda: (verb("resize v 1M shrink"), size("v"))[1])
answer("the bytes are the same", lambda: content("v") == data)
answer("verb clone", lambda: (verb("clone v w"), content("w") == data)[1])
answer("verb clone onto a volume", verb, "clone v w")
gone("w")
answer("verb clone linked", lambda: (verb("clone v w linked"), "made")[1])
gone("w")
answer("verb wipe zero", lambda: (verb("wipe v zero"), is_zero(content("v")), size("v"))[1:])
answer("verb wipe random", lambda: (verb("wipe v random"), is_zero(content("v")))[1])
answer("verb wipe trim", lambda: (verb("wipe v trim"), is_zero(content("v")), size("v"))[1:])
answer("verb refresh", verb, "refresh")
answer("verb build of a running pool", verb, "build")
answer("volume XML", lambda: b"<name>v</name>" in open(control + "/volumes/v.xml", "rb").read())
answer("volume .disk", lambda: b"<disk" in open(control + "/volumes/v.disk", "rb").read())
gone("v")
answer("the volumes at the end", names)
