# SPDX-License-Identifier: LGPL-2.1-or-later
#
# tests/bench/lib.py - what the scripts of tests/bench share: daemons of their
# own, places to measure in, and the undoing of all that. Read by them, with the
# build's directory as their first argument; does nothing by itself.

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

BUILD = os.path.abspath(sys.argv[1])
POOLFS = BUILD + "/poolfs"
META = BUILD + "/tests/tools/bench-meta"
ROUNDS = max(1, int(os.environ.get("BENCH_ROUNDS", "15")))

undo = []  # what to do at the end, last first


def quiet(*argv):
    return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode


def output(*argv):
    return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                          check=True).stdout


def mounts():
    with open("/proc/self/mountinfo") as f:
        return {line.split()[4]: line.split(" - ")[1].split() for line in f}


def unmount(path):
    if path not in mounts():
        return
    if os.geteuid() == 0:
        quiet("umount", path) and quiet("umount", "-l", path)
    else:
        quiet("fusermount3", "-u", path) and quiet("fusermount3", "-uz", path)


def median(values):
    return statistics.median(values)


def prefer():
    """Above what else runs, and all that is measured alike. Where the kernel groups processes
    by session, the group counts and not the process."""
    if os.geteuid() != 0 or os.nice(0) < 0:  # below one that did it
        return
    group = "/proc/self/autogroup"
    try:
        before = re.search(r"nice (-?\d+)", open(group).read())[1]
        os.nice(-10)
        open(group, "w").write("-10")
        undo.append(lambda: open(group, "w").write(before))
    except OSError:
        pass


class Daemon:
    """A poolfs of its own, in front, with dir pools {name: directory} running."""
    count = 0

    def __init__(self, work, options, pools):
        Daemon.count += 1
        base = f"{work}/d{Daemon.count}"
        self.mount, self.source, self.run = base + "/mnt", base + "/source", base + "/run"
        self.options, self.base = ",".join(["rundir=" + self.run] + options), base
        os.makedirs(self.mount)
        self.start()
        for name, path in pools.items():
            with open(f"{self.mount}/control/pools/{name}.xml", "w") as f:
                f.write(f"<pool type='dir'><name>{name}</name>"
                        f"<target><path>{path}</path></target></pool>\n")
            os.mkdir(f"{self.mount}/{name}")
        self.pools = pools

    def start(self):
        with open(self.base + "/log", "a") as log:
            self.process = subprocess.Popen([POOLFS, "-f", "-o", self.options, self.source,
                                             self.mount], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        undo.append(self.stop)
        while self.mount not in mounts():
            if self.process.poll() is not None:
                sys.exit(f"the daemon did not start:\n{open(self.base + '/log').read()}")
            time.sleep(0.002)
        os.stat(self.mount + "/control/version")

    def stop(self):
        undo.remove(self.stop)
        unmount(self.mount)
        self.process.wait()

    def again(self):
        """A new daemon that has taken the pools over; nothing is cached."""
        self.stop()
        self.start()
        for name in self.pools:
            while not os.path.isdir(f"{self.mount}/{name}"):
                time.sleep(0.002)

    def path(self, name):
        info = open(f"{self.mount}/control/pools/{name}/info").read()
        return re.search(r"^data: (.*)$", info, re.M)[1]


# ---- where to measure ----------------------------------------------------------------

def describe(path):
    real = os.path.realpath(path)
    table = mounts()
    point = max((m for m in table if (real + "/").startswith(m.rstrip("/") + "/")), key=len)
    return table[point][0], table[point][1]


def places(work):
    """{name for the table: directory}: tmpfs and ext4, as far as there are such."""
    found = {}
    if describe("/dev/shm")[0] == "tmpfs":
        shm = tempfile.mkdtemp(prefix="poolfs-bench.", dir="/dev/shm")
        undo.append(lambda: shutil.rmtree(shm))
        found["tmpfs"] = shm
    fs, device = describe(work)
    if fs == "ext4":
        os.mkdir(work + "/ext4")
        found[f"ext4 on {device}"] = work + "/ext4"
    elif os.geteuid() == 0:
        with open(work + "/image", "w") as f:
            f.truncate(2 << 30)
        os.mkdir(work + "/ext4")
        if quiet("mkfs.ext4", "-q", "-F", work + "/image") == 0 and \
                quiet("mount", "-o", "loop", work + "/image", work + "/ext4") == 0:
            undo.append(lambda: unmount(work + "/ext4"))
            found[f"ext4 on a loop device on {fs}"] = work + "/ext4"
    if len(found) < 2:
        print("# only one of tmpfs and ext4 is at hand here")
    return found


# ---- how a script runs ------------------------------------------------------------------

def memory_mib(pid):
    """RSS, PSS and what is its own (anonymous)."""
    text = open(f"/proc/{pid}/smaps_rollup").read()
    return tuple(int(re.search(rf"^{k}: *(\d+) kB", text, re.M)[1]) / 1024
                 for k in ("Rss", "Pss", "Anonymous"))


def memory(pid):
    rss, pss, _ = memory_mib(pid)
    threads = len(os.listdir(f"/proc/{pid}/task"))
    return f"RSS {rss:.1f} MiB, PSS {pss:.1f} MiB, {threads} threads"


def conditions():
    release = {k: v.strip('"') for k, v in re.findall(r"^(\w+)=(.*)$",
                                                      open("/etc/os-release").read(), re.M)}
    return (f"Linux {os.uname().release}, {os.cpu_count()} CPUs, "
            f"{release.get('PRETTY_NAME', '?')}, "
            f"{output(POOLFS, '--version').replace(chr(10), ', ').rstrip(', ')}, "
            f"load {os.getloadavg()[0]:.1f}" +
            ("" if os.geteuid() == 0 else ", not root: no passthrough"))


def run_bench(main):
    """main(a directory of its own); afterwards nothing is left."""
    begun = time.monotonic()
    try:
        work = tempfile.mkdtemp(prefix="poolfs-bench.",
                                dir=os.environ.get("POOLFS_TESTDIR", "/var/tmp"))
        undo.append(lambda: shutil.rmtree(work))
        prefer()
        main(work)
        print(f"\n{time.monotonic() - begun:.0f} seconds")
    finally:
        while undo:
            last = undo[-1]
            last()
            if undo and undo[-1] is last:
                undo.pop()
