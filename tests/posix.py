#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
posix.py AREA DIR REAL OTHER - what rename, unlink, open or times answer in DIR.

Prints one line an answer, "what was asked: what came". Called by posix.sh for
the cases posix-*, once with a plain directory and once with a pool, and both
must say the same; it knows nothing of poolfs and judges nothing. REAL is the
directory behind DIR (DIR itself for a plain one), where links are made; OTHER
is a second directory. Both are empty at first, and are left empty.
"""
import ctypes
import errno
import fcntl
import mmap
import os
import stat
import sys
import time

AREAS = {}
libc = ctypes.CDLL(None, use_errno=True)
NOREPLACE, EXCHANGE, WHITEOUT = 1, 2, 4
KEEP, PUNCH, ZERO = 1, 2, 16
DIR = REAL = OTHER = ""


def area(f):
    AREAS[f.__name__] = f
    return f


def p(name):
    return os.path.join(DIR, name)


def ask(what, f, *args):
    """Prints what f answers; its value is f's, or None."""
    got = None
    try:
        got = f(*args)
        shown = got if got is not None else "done"
    except OSError as e:
        shown = errno.errorcode.get(e.errno, e.errno)
    except ValueError as e:
        shown = str(e)
    print("%s: %s" % (what, shown), flush=True)
    return got


def check(rc):
    if rc < 0:
        raise OSError(ctypes.get_errno(), "")


def renameat2(a, b, flags):
    check(libc.renameat2(-100, p(a).encode(), -100, p(b).encode(), flags))


def fallocate(fd, mode, off, length):
    check(libc.fallocate(fd, mode, ctypes.c_long(off), ctypes.c_long(length)))


def put(name, text, where=None):
    with open(os.path.join(where or DIR, name), "wb") as f:
        f.write(text.encode())


def get(name, where=None):
    with open(os.path.join(where or DIR, name), "rb") as f:
        return f.read().decode(errors="replace")


def rm(*names):
    for name in names:
        try:
            os.unlink(os.path.join(REAL, name))
        except FileNotFoundError:
            pass


def names():
    return sorted(n for n in os.listdir(DIR) if n != ".pool")


def opened(name, flags, mode=0o644):
    return os.open(p(name), flags, mode)


def tried(name, flags, mode=0o644):
    os.close(opened(name, flags, mode))


# ---- rename --------------------------------------------------------------------

@area
def rename():
    put("a", "1")
    ino = os.stat(p("a")).st_ino
    ask("to a free name", os.rename, p("a"), p("b"))
    ask("the old name is gone", os.stat, p("a"))
    ask("the same file", lambda: os.stat(p("b")).st_ino == ino)
    ask("the listing", names)
    ask("onto itself", os.rename, p("b"), p("b"))
    ask("still there", get, "b")
    ask("of what is missing", os.rename, p("none"), p("c"))
    ask("of what is missing, onto one", os.rename, p("none"), p("b"))
    ask("the one is untouched", get, "b")
    put("a", "2")
    fd = opened("b", os.O_RDWR)
    ask("onto an existing one", os.rename, p("a"), p("b"))
    ask("it is the new one", get, "b")
    ask("the replaced one has no name", lambda: os.fstat(fd).st_nlink)
    ask("and can be read", os.pread, fd, 10, 0)
    ask("and written", os.pwrite, fd, b"xyz", 0)
    ask("which does no harm", get, "b")
    os.close(fd)
    ask("the listing after that", names)

    put("a", "A")
    put("b", "B")
    inodes = [os.stat(p(n)).st_ino for n in "ab"]
    ask("NOREPLACE onto one", renameat2, "a", "b", NOREPLACE)
    ask("NOREPLACE onto itself", renameat2, "a", "a", NOREPLACE)
    ask("NOREPLACE of what is missing", renameat2, "none", "c", NOREPLACE)
    ask("both are as they were", lambda: get("a") + get("b"))
    ask("EXCHANGE", renameat2, "a", "b", EXCHANGE)
    ask("the contents", lambda: get("a") + get("b"))
    ask("the inodes", lambda: [os.stat(p(n)).st_ino for n in "ba"] == inodes)
    ask("EXCHANGE with itself", renameat2, "a", "a", EXCHANGE)
    ask("EXCHANGE with what is missing", renameat2, "a", "none", EXCHANGE)
    ask("EXCHANGE of what is missing", renameat2, "none", "a", EXCHANGE)
    ask("EXCHANGE and NOREPLACE", renameat2, "a", "b", EXCHANGE | NOREPLACE)
    ask("an unknown flag", renameat2, "a", "b", 64)
    ask("NOREPLACE onto a free name", renameat2, "a", "c", NOREPLACE)
    ask("the listing after all", names)

    # An open file goes on under its new name, an exchanged one too.
    a, b = opened("c", os.O_RDWR), opened("b", os.O_RDWR)
    os.rename(p("c"), p("d"))
    ask("write to an open one", os.pwrite, a, b"after", 0)
    ask("under its new name", get, "d")
    ask("its size by the name", lambda: os.stat(p("d")).st_size)
    renameat2("d", "b", EXCHANGE)
    os.pwrite(a, b"first", 0)
    os.pwrite(b, b"second", 0)
    ask("two open ones exchanged", lambda: get("b") + get("d"))
    os.ftruncate(b, 3)
    ask("and cut", lambda: (get("d"), os.stat(p("d")).st_size, os.fstat(b).st_size))
    os.close(a)
    os.close(b)
    os.rename(p("b"), p("x"))
    put("b", "a new one")
    ask("the freed name is another file", lambda: os.stat(p("b")).st_ino != os.stat(p("x")).st_ino)

    for length in (255, 256, 1000, 5000):
        ask("to %d bytes" % length, os.rename, p("x"), p("n" * length))
        ask("of %d bytes" % length, os.rename, p("n" * length), p("x"))
    ask("of a file's child", os.rename, p("b/c"), p("y"))
    ask("to a file's child", os.rename, p("b"), p("x/y"))
    ask("of a name with a slash", os.rename, p("b/"), p("y"))
    ask("to a name with a slash", os.rename, p("b"), p("y/"))
    ask("of .", os.rename, p("."), p("y"))
    ask("to .", os.rename, p("b"), p("."))
    ask("to ..", os.rename, p("b"), p(".."))
    ask("to the empty name", os.rename, p("b"), "")
    ask("to another directory", os.rename, p("b"), os.path.join(OTHER, "b"))
    ask("to a directory that is not there", os.rename, p("b"), p("none/b"))
    for name in ("two words", "-rf", "*", "\u00e4", "\udcff\udcfe", "a" + "\\" + "b"):
        ask("to %a and back" % name, lambda: (os.rename(p("b"), p(name)), names(),
                                             os.rename(p(name), p("b"))) and "done")
    rm("b", "d", "x")

    os.symlink("nowhere", os.path.join(REAL, "link"))
    ask("of a symbolic link", os.rename, p("link"), p("link2"))
    ask("which is as it was", os.readlink, p("link2"))
    put("f", "file")
    ask("onto a symbolic link", os.rename, p("f"), p("link2"))
    ask("which is gone", lambda: stat.S_ISREG(os.lstat(p("link2")).st_mode))
    put("f", "one")
    os.link(os.path.join(REAL, "f"), os.path.join(REAL, "g"))
    ask("two names of one file", os.rename, p("f"), p("g"))
    ask("and both stay", names)
    rm("f", "g", "link2")


# ---- unlink ----------------------------------------------------------------------

@area
def unlink():
    put("a", "bytes")
    ask("of one", os.unlink, p("a"))
    ask("it is gone", os.stat, p("a"))
    ask("again", os.unlink, p("a"))
    ask("the listing", names)
    ask("of 256 bytes", os.unlink, p("n" * 256))
    put("a", "bytes")
    ask("of a file's child", os.unlink, p("a/b"))
    ask("with a slash", os.unlink, p("a/"))
    ask("rmdir of a file", os.rmdir, p("a"))
    ask("of the empty name", os.unlink, "")
    ask("of .", os.unlink, p("."))
    ask("it is still there", get, "a")

    fd, second = opened("a", os.O_RDWR), opened("a", os.O_RDONLY)
    ino = os.fstat(fd).st_ino
    ask("of an open one", os.unlink, p("a"))
    ask("its links", lambda: os.fstat(fd).st_nlink)
    ask("its links by a second handle", lambda: os.fstat(second).st_nlink)
    ask("its size", lambda: os.fstat(fd).st_size)
    ask("its inode", lambda: os.fstat(fd).st_ino == ino)
    ask("read", os.pread, fd, 100, 0)
    ask("write", os.pwrite, fd, b"more bytes", 3)
    ask("read by the second", os.pread, second, 100, 0)
    ask("grow", os.ftruncate, fd, 10000)
    ask("the size then", lambda: os.fstat(second).st_size)
    ask("cut", os.ftruncate, fd, 7)
    ask("what is left", os.pread, second, 100, 0)
    ask("fallocate", fallocate, fd, 0, 0, 8192)
    ask("punch", fallocate, fd, KEEP | PUNCH, 0, 4)
    ask("bytes then", os.pread, fd, 8, 0)
    ask("size then", lambda: os.fstat(fd).st_size)
    ask("seek to data", os.lseek, fd, 0, os.SEEK_DATA)
    ask("seek to the end", os.lseek, fd, 0, os.SEEK_END)
    ask("fsync", os.fsync, fd)
    ask("fchmod", os.fchmod, fd, 0o600)
    ask("its mode", lambda: oct(os.fstat(fd).st_mode))
    ask("futimens", lambda: os.utime(fd, ns=(10 ** 9, 2 * 10 ** 9)))
    ask("its time", lambda: os.fstat(fd).st_mtime_ns)
    with mmap.mmap(fd, 4096) as m:
        m[0:5] = b"paged"
        m.flush()
        ask("mmap", os.pread, second, 5, 0)
    put("b", "")
    out = opened("b", os.O_RDWR)
    ask("copy from it", os.copy_file_range, fd, out, 5, 0, 0)
    ask("the copy", get, "b")
    ask("lock", fcntl.lockf, fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(out)

    # Another one takes the name (and perhaps the inode number).
    put("a", "the new one")
    ask("the name is another file", lambda: os.stat(p("a")).st_nlink)
    ask("the old one is as it was", os.pread, fd, 5, 0)
    os.pwrite(fd, b"OLD", 0)
    ask("the new one, too", get, "a")
    ask("the old one's size", lambda: os.fstat(fd).st_size)
    ask("truncate by the name", os.truncate, p("a"), 3)
    ask("cuts the new one", get, "a")
    ask("and not the old", lambda: os.fstat(fd).st_size)
    os.unlink(p("a"))
    ask("the new one is gone", os.stat, p("a"))
    ask("the old one is there", os.pread, fd, 5, 0)
    os.close(fd)
    os.close(second)
    for i in range(20):                 # at once, as ext4 uses numbers again
        put("r", str(i))
        fd = opened("r", os.O_RDONLY)
        os.unlink(p("r"))
        put("r", "next %d" % i)
        if os.pread(fd, 10, 0) != str(i).encode() or get("r") != "next %d" % i:
            ask("round %d" % i, lambda: (os.pread(fd, 10, 0), get("r")))
        os.close(fd)
        os.unlink(p("r"))

    put("t", "target")
    os.symlink("t", os.path.join(REAL, "link"))
    ask("of a symbolic link", os.unlink, p("link"))
    ask("not of what it names", get, "t")
    os.link(os.path.join(REAL, "t"), os.path.join(REAL, "u"))
    time.sleep(0.3)
    ask("links of a file with two names", lambda: os.stat(p("t")).st_nlink)
    ask("of one of them", os.unlink, p("u"))
    time.sleep(0.3)
    ask("links then", lambda: os.stat(p("t")).st_nlink)
    ask("the other", get, "t")
    rm("b", "t")
    ask("nothing is left", names)


# ---- open -------------------------------------------------------------------------

@area
def open_():
    ask("of what is missing", tried, "a", os.O_RDWR)
    ask("of 255 bytes that are missing", tried, "n" * 255, os.O_RDWR)
    ask("of 256 bytes", tried, "n" * 256, os.O_RDWR)
    ask("stat of 256 bytes", os.stat, p("n" * 256))
    ask("O_CREAT of 256 bytes", tried, "n" * 256, os.O_RDWR | os.O_CREAT)
    ask("O_CREAT of 255 bytes", tried, "n" * 255, os.O_RDWR | os.O_CREAT)
    ask("O_EXCL", tried, "a", os.O_RDWR | os.O_CREAT | os.O_EXCL)
    ask("O_EXCL again", tried, "a", os.O_RDWR | os.O_CREAT | os.O_EXCL)
    put("a", "0123456789")
    ask("O_CREAT of one that is there", tried, "a", os.O_RDWR | os.O_CREAT)
    ask("its bytes", get, "a")
    ask("of a file's child", tried, "a/b", os.O_RDONLY)
    ask("O_CREAT of a file's child", tried, "a/b", os.O_RDWR | os.O_CREAT)
    ask("with a slash", tried, "a/", os.O_RDONLY)
    ask("O_CREAT with a slash", tried, "b/", os.O_RDWR | os.O_CREAT)
    ask("O_DIRECTORY of a file", tried, "a", os.O_RDONLY | os.O_DIRECTORY)
    ask("O_DIRECTORY of the directory", tried, ".", os.O_RDONLY | os.O_DIRECTORY)
    ask("the directory for writing", tried, ".", os.O_RDWR)
    ask("O_CREAT of the directory", tried, ".", os.O_RDONLY | os.O_CREAT)
    ask("O_TRUNC and O_RDONLY", lambda: (tried("a", os.O_RDONLY | os.O_TRUNC), get("a"))[1])
    put("a", "0123456789")
    ask("O_TRUNC", lambda: (tried("a", os.O_WRONLY | os.O_TRUNC), os.stat(p("a")).st_size)[1])
    put("a", "0123456789")
    fd = opened("a", os.O_RDONLY)
    tried("a", os.O_WRONLY | os.O_TRUNC)
    ask("O_TRUNC seen by another handle", lambda: (os.fstat(fd).st_size, os.pread(fd, 10, 0)))
    ask("write to O_RDONLY", os.write, fd, b"x")
    ask("ftruncate of O_RDONLY", os.ftruncate, fd, 0)
    ask("fallocate of O_RDONLY", fallocate, fd, 0, 0, 10)
    os.close(fd)
    fd = opened("a", os.O_WRONLY)
    ask("read of O_WRONLY", os.read, fd, 1)
    ask("copy from O_WRONLY", os.copy_file_range, fd, fd, 1, 0, 5)
    os.close(fd)
    fd = opened("a", os.O_PATH)
    ask("O_PATH", lambda: os.fstat(fd).st_size)
    ask("read of O_PATH", os.read, fd, 1)
    os.close(fd)
    for flag in ("O_SYNC", "O_DSYNC", "O_NOATIME", "O_NONBLOCK", "O_DIRECT"):
        ask(flag, tried, "a", os.O_RDWR | getattr(os, flag))

    os.symlink("a", os.path.join(REAL, "link"))
    os.symlink("none", os.path.join(REAL, "dangling"))
    put("a", "through")
    ask("of a symbolic link", get, "link")
    ask("O_NOFOLLOW of it", tried, "link", os.O_RDONLY | os.O_NOFOLLOW)
    ask("O_NOFOLLOW of a file", tried, "a", os.O_RDONLY | os.O_NOFOLLOW)
    ask("O_EXCL of a symbolic link", tried, "link", os.O_RDWR | os.O_CREAT | os.O_EXCL)
    ask("O_EXCL of a dangling one", tried, "dangling", os.O_RDWR | os.O_CREAT | os.O_EXCL)
    ask("of a dangling one", tried, "dangling", os.O_RDONLY)
    rm("link", "dangling")

    # O_APPEND, also changed while open
    put("a", "start")
    fd, two = opened("a", os.O_RDWR | os.O_APPEND), opened("a", os.O_WRONLY | os.O_APPEND)
    os.write(fd, b"-one")
    os.write(two, b"-two")
    ask("pwrite of O_APPEND", os.pwrite, fd, b"-three", 0)
    ask("appended", get, "a")
    ask("size after it", lambda: (os.fstat(two).st_size, os.stat(p("a")).st_size))
    ask("position after it", os.lseek, two, 0, os.SEEK_CUR)
    fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) & ~os.O_APPEND)
    ask("flags without O_APPEND", lambda: bool(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_APPEND))
    os.pwrite(fd, b"START", 0)
    ask("written in place", get, "a")
    ask("copy in place", lambda: (os.copy_file_range(two, fd, 2, 0, 6), None)[1])
    ask("copy to it", os.copy_file_range, fd, fd, 2, 0, 6)
    ask("copied", get, "a")
    ask("copy to one with O_APPEND", os.copy_file_range, fd, two, 2, 0, 6)
    fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_APPEND)
    os.pwrite(fd, b"!", 0)
    ask("appended again", get, "a")
    put("a", "cut")
    os.write(fd, b"+")
    ask("after a cut", get, "a")
    with open(os.path.join(REAL, "a"), "ab") as f:
        f.write(b"outside")
    os.write(two, b"+")
    ask("after another program", lambda: get("a", REAL))
    os.close(fd)
    os.close(two)

    # bytes
    fd, two = opened("a", os.O_RDWR | os.O_TRUNC), opened("a", os.O_RDWR)
    ask("write of nothing, far out", lambda: (os.pwrite(fd, b"", 1000), os.fstat(fd).st_size))
    ask("write past the end", os.pwrite, fd, b"end", 5000)
    ask("the gap is zero", lambda: os.pread(two, 6000, 0) == bytes(5000) + b"end")
    ask("read past the end", os.pread, two, 10, 9000)
    ask("a negative offset", os.pread, fd, 1, -1)
    ask("ftruncate to less than nothing", os.ftruncate, fd, -1)
    ask("ftruncate to too much", os.ftruncate, fd, 2 ** 63 - 1)
    ask("write at the very end", os.pwrite, fd, b"x", 2 ** 63 - 1)
    ask("fallocate of nothing", fallocate, fd, 0, 0, 0)
    ask("fallocate of too much", fallocate, fd, 0, 2 ** 62, 2 ** 62)
    ask("fallocate punch without keep", fallocate, fd, PUNCH, 0, 4096)
    ask("fallocate of unknown mode", fallocate, fd, 1 << 20, 0, 4096)
    ask("truncate of what is missing", os.truncate, p("none"), 0)
    ask("truncate of the directory", os.truncate, DIR, 0)
    ask("truncate of a file's child", os.truncate, p("a/b"), 0)
    ask("truncate", os.truncate, p("a"), 2)
    ask("seen by the handle", lambda: (os.fstat(two).st_size, os.pread(two, 10, 0)))
    ask("copy onto itself, overlapping", os.copy_file_range, fd, fd, 2, 0, 1)
    ask("a seek to data past the end", os.lseek, fd, 100, os.SEEK_DATA)
    ask("a seek to a hole past the end", os.lseek, fd, 100, os.SEEK_HOLE)
    os.ftruncate(fd, 0)
    os.pwrite(fd, b"d", 1 << 20)
    ask("a hole", lambda: [os.lseek(fd, at, how) for at in (0, 1 << 20)
                           for how in (os.SEEK_DATA, os.SEEK_HOLE)])
    ask("blocks of it", lambda: os.fstat(two).st_blocks <= 64)

    # mmap and the other ways
    os.ftruncate(fd, 8192)
    with mmap.mmap(fd, 8192) as m, mmap.mmap(two, 8192, mmap.MAP_PRIVATE) as own:
        os.pwrite(two, b"by write", 0)
        ask("mmap after a write", lambda: m[0:8])
        ask("a private one after a write", lambda: own[0:8])
        m[4096:4101] = b"paged"
        ask("read after mmap", os.pread, two, 5, 4096)
        m.flush()
        ask("behind it after msync", lambda: get("a", REAL)[4096:4101])
        own[0:3] = b"OWN"
        ask("a private change stays so", os.pread, fd, 8, 0)
        fallocate(two, KEEP | PUNCH, 4096, 4096)
        ask("mmap after punch", lambda: m[4096:4101])
        os.ftruncate(two, 4096)
        os.ftruncate(two, 8192)
        os.pwrite(two, b"later", 8000)
        ask("mmap after a cut and a write", lambda: m[8000:8005])
    os.close(fd)
    os.close(two)

    # modes
    for umask in (0o022, 0o077, 0, 0o777):
        old = os.umask(umask)
        for mode in (0o666, 0o777, 0o640, 0):
            rm("m")
            fd = ask("mode %o with umask %o" % (mode, umask), lambda: opened(
                "m", os.O_RDWR | os.O_CREAT | os.O_EXCL, mode) and None)
            ask("gives", lambda: oct(os.stat(p("m")).st_mode))
        os.umask(old)
    rm("m")
    fd = opened("m", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o400)
    ask("a read-only one, to who made it", os.write, fd, b"x")
    ask("fchmod", os.fchmod, fd, 0o611)
    ask("mode then", lambda: (oct(os.stat(p("m")).st_mode), oct(os.fstat(fd).st_mode)))
    ask("chown", os.chown, p("m"), 12, 34)
    ask("owner then", lambda: (os.fstat(fd).st_uid, os.fstat(fd).st_gid))
    ask("lchown of one of them", os.lchown, p("m"), -1, 56)
    ask("owner after it", lambda: (os.stat(p("m")).st_uid, os.stat(p("m")).st_gid))
    os.close(fd)
    ask("mknod of a file", os.mknod, p("k"), 0o640 | stat.S_IFREG)
    ask("is one", lambda: oct(os.stat(p("k")).st_mode))
    ask("mknod of one that is there", os.mknod, p("k"), 0o640 | stat.S_IFREG)
    ask("rmdir of the missing", os.rmdir, p("none"))
    ask("readlink of a file", os.readlink, p("k"))
    ask("O_TMPFILE", tried, ".", os.O_RDWR | os.O_TMPFILE)
    ask("mkdir", os.mkdir, p("sub"))
    ask("symlink", os.symlink, "a", p("sym"))
    ask("link", os.link, p("a"), p("hard"))
    ask("mkfifo", os.mkfifo, p("fifo"))
    ask("setxattr", os.setxattr, p("a"), "user.x", b"1")
    if os.path.isdir(os.path.join(REAL, "sub")):
        os.rmdir(os.path.join(REAL, "sub"))
    rm("a", "m", "k", "n" * 255, "sym", "hard", "fifo")
    ask("nothing is left", names)


# ---- times ---------------------------------------------------------------------------

OLD = 1000000000 * 10 ** 9 + 123456789          # 2001


def changed(name, f, *args, which=("atime", "mtime", "ctime")):
    """Which times of name f changes, at once and a moment later."""
    os.utime(p(name), ns=(OLD, OLD))
    before = os.stat(p(name))
    time.sleep(0.02)
    start = time.time_ns() - 15 * 10 ** 6       # clocks of files are coarse
    f(*args)
    after = os.stat(p(name))
    time.sleep(0.15)
    later = os.stat(p(name))
    said = []
    for one in which:
        a, b, c = (getattr(s, "st_%s_ns" % one) for s in (before, after, later))
        said.append("%s %s" % (one, "stays" if a == c else "is now" if c >= start else "is odd"))
        if b != c and one != "atime":
            said.append("but only later")
    return ", ".join(said)


@area
def times():
    put("a", "x" * 10000)
    fd = opened("a", os.O_RDWR)

    ask("write", changed, "a", os.pwrite, fd, b"y", 0)
    ask("write of nothing", changed, "a", os.pwrite, fd, b"", 0)
    ask("append", changed, "a", os.pwrite, fd, b"y", 10000)
    ask("ftruncate, shorter", changed, "a", os.ftruncate, fd, 9000)
    ask("ftruncate, the same", changed, "a", os.ftruncate, fd, 9000)
    ask("ftruncate, longer", changed, "a", os.ftruncate, fd, 10000)
    ask("truncate, shorter", changed, "a", os.truncate, p("a"), 9000)
    ask("truncate, the same", changed, "a", os.truncate, p("a"), 9000)
    ask("fallocate", changed, "a", fallocate, fd, 0, 0, 20000)
    ask("fallocate within", changed, "a", fallocate, fd, KEEP, 0, 100)
    ask("punch", changed, "a", fallocate, fd, KEEP | PUNCH, 0, 4096)
    ask("copy_file_range", changed, "a", os.copy_file_range, fd, fd, 100, 6000, 8192)
    ask("chmod", changed, "a", os.chmod, p("a"), 0o600)
    ask("fchmod", changed, "a", os.fchmod, fd, 0o644)
    ask("chown", changed, "a", os.chown, p("a"), 1, 1)
    ask("chown of nothing", changed, "a", os.chown, p("a"), -1, -1)
    ask("fsync", changed, "a", os.fsync, fd)
    ask("stat", changed, "a", os.stat, p("a"))
    ask("open and close", changed, "a", tried, "a", os.O_RDWR)
    ask("open and close with O_NOATIME", changed, "a", tried, "a", os.O_RDWR | os.O_NOATIME)
    ask("O_CREAT of one that is there", changed, "a", tried, "a", os.O_RDWR | os.O_CREAT)
    ask("O_TRUNC", changed, "a", tried, "a", os.O_WRONLY | os.O_TRUNC)
    ask("O_TRUNC of an empty one", changed, "a", tried, "a", os.O_WRONLY | os.O_TRUNC)
    put("a", "x" * 10000)
    ask("rename", changed, "a", lambda: (os.rename(p("a"), p("b")), os.rename(p("b"), p("a"))))
    put("b", "other")
    ask("exchange, one", changed, "a", lambda: (renameat2("a", "b", EXCHANGE),
                                                renameat2("a", "b", EXCHANGE)))
    ask("lock", changed, "a", fcntl.lockf, fd, fcntl.LOCK_EX)
    ask("lseek", changed, "a", os.lseek, fd, 0, os.SEEK_HOLE)

    def by_mmap():
        with mmap.mmap(fd, 8192) as m:
            m[0:3] = b"map"
            m.flush()
        time.sleep(0.2)                         # the kernel tells when it likes
    ask("mmap and msync", lambda: changed("a", by_mmap, which=("mtime", "ctime")))

    # reading, as relatime has it: an old atime is renewed, a new one is not
    ask("read by a new handle", changed, "a", get, "a")
    os.utime(p("a"), ns=(OLD + 5, OLD))
    ask("read of nothing", changed, "a", os.pread, fd, 0, 0)

    # set by hand: to the nanosecond, before 1970, after 2038
    for atime, mtime in ((OLD, OLD + 1), (0, 1), (-10 ** 9, -5 * 10 ** 9), (2 ** 31 * 10 ** 9 + 7,
                                                                      2 ** 32 * 10 ** 9)):
        os.utime(p("a"), ns=(atime, mtime))
        ask("utimensat %d %d" % (atime, mtime), lambda: (
            os.stat(p("a")).st_atime_ns, os.stat(p("a")).st_mtime_ns, os.fstat(fd).st_mtime_ns))
    os.utime(fd, ns=(OLD, OLD + 3))
    ask("futimens", lambda: (os.stat(p("a")).st_atime_ns, os.stat(p("a")).st_mtime_ns))
    NOW, OMIT = (1 << 30) - 1, (1 << 30) - 2

    class Spec(ctypes.Structure):
        _fields_ = [("sec", ctypes.c_long), ("nsec", ctypes.c_long)]

    def utimensat(name, atime, mtime, flags=0):
        check(libc.utimensat(-100, p(name).encode(), (Spec * 2)(atime, mtime), flags))

    ask("both now", changed, "a", utimensat, "a", (0, NOW), (0, NOW))
    ask("without times", changed, "a", os.utime, p("a"))
    ask("both omitted", changed, "a", utimensat, "a", (0, OMIT), (0, OMIT))
    ask("mtime omitted", changed, "a", utimensat, "a", (0, NOW), (0, OMIT))
    ask("atime omitted", changed, "a", utimensat, "a", (0, OMIT), (0, NOW))
    utimensat("a", (0, OMIT), (77, 88))
    ask("one set, one omitted", lambda: (os.stat(p("a")).st_atime_ns, os.stat(p("a")).st_mtime_ns))
    ask("nanoseconds out of range", utimensat, "a", (0, 10 ** 9), (0, 0))
    ask("of the missing", utimensat, "none", (0, NOW), (0, NOW))
    ask("of a file's child", utimensat, "a/b", (0, NOW), (0, NOW))
    os.symlink("none", os.path.join(REAL, "link"))
    ask("of a dangling link", utimensat, "link", (0, NOW), (0, NOW))
    ask("of the link itself", utimensat, "link", (5, 0), (6, 0), 0x100)
    ask("the link's", lambda: os.lstat(p("link")).st_mtime_ns)
    rm("link")

    # the writer's own stat, by name and by handle, agree at once
    two = opened("a", os.O_RDONLY)
    os.pwrite(fd, b"z", 20000)
    ask("all see the same", lambda: len({(s.st_size, s.st_mtime_ns, s.st_ctime_ns) for s in
                                         (os.stat(p("a")), os.fstat(fd), os.fstat(two))}))
    ask("as behind it", lambda: (os.stat(p("a")).st_mtime_ns ==
                                 os.stat(os.path.join(REAL, "a")).st_mtime_ns))
    os.close(two)
    os.close(fd)

    def of_dir(f, *args):
        before = os.stat(DIR).st_mtime_ns
        time.sleep(0.02)
        f(*args)
        time.sleep(0.3)
        return os.stat(DIR).st_mtime_ns != before
    ask("the directory: create", of_dir, put, "c", "")
    ask("the directory: write", of_dir, put, "c", "more")
    ask("the directory: rename", of_dir, os.rename, p("c"), p("d"))
    ask("the directory: unlink", of_dir, os.unlink, p("d"))
    rm("a", "b")
    ask("nothing is left", names)


def main():
    global DIR, REAL, OTHER
    which, DIR, REAL, OTHER = sys.argv[1:]
    os.umask(0o022)
    AREAS[which if which in AREAS else which + "_"]()


if __name__ == "__main__":
    main()
