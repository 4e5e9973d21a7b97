#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The two halves of kill9.sh, which calls this and kills the daemon meanwhile.

  kill9.py work MNT DATA STATE JOURNAL SEED PART PARTS
      changes its part of the pools at random until the mount dies: defines,
      redefines, renames, undefines, starts, stops, sets and clears autostart.
      Writes each change into JOURNAL before it is asked for, and when it is
      confirmed. Exits 1 if something fails while the mount lives.
  kill9.py check MNT DATA SOURCE STATE JOURNAL...
      after the restart: each pool is what it was before the change that was
      under way, or what it is after it, and nothing else; writes STATE.

It never looks into the daemon's own files, but for leftovers in SOURCE.
"""
import errno
import json
import os
import random
import re
import sys
import time

POOLS = 48
DEAD = (errno.ENOTCONN, errno.ECONNABORTED, errno.ECONNREFUSED, errno.ENODEV, errno.EIO)
# one pool: which name it has (None: not defined), its version, how it runs
# ("fresh": defined and never started since), autostart
NONE = {"name": None, "version": 0, "run": "no", "auto": False}


def xml(name, index, version, data):
    """Its version stands in it twice, far apart, with much between."""
    filler = "<!-- %s -->\n" % ("x" * 60) * (version % 100)
    return ("<pool type='dir'>\n  <name>%s</name>\n  <target>\n    <path>%s/t%d</path>\n%s"
            "    <permissions>\n      <mode>0755</mode>\n      <owner>%d</owner>\n"
            "      <group>%d</group>\n    </permissions>\n  </target>\n</pool>\n"
            % (name, data, index, filler, version, version))


class Work:
    def __init__(self, mnt, data, state, journal):
        self.mnt, self.data = mnt, data
        self.pools = json.load(open(state))
        self.journal = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

    def say(self, what):
        os.write(self.journal, (json.dumps(what) + "\n").encode())

    def path(self, *parts):
        return os.path.join(self.mnt, *parts)

    def wait(self, name, state):
        for _ in range(600):
            info = open(self.path("control/pools", name, "info")).read()
            if "state: %s\n" % state in info:
                return
            time.sleep(0.05)
        raise RuntimeError("pool %s does not become %s" % (name, state))

    def define(self, index, name, version):
        fd = os.open(self.path("control/pools", name + ".xml"),
                     os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            text = xml(name, index, version, self.data).encode()
            step = random.choice([len(text), 1000, 4096])
            for at in range(0, len(text), step):
                os.write(fd, text[at:at + step])
        finally:
            os.close(fd)

    def start(self, name, how):
        os.mkdir(self.path(how, name))
        self.wait(name, "active")

    def stop(self, name, how):
        try:
            os.rmdir(self.path(how, name))
        except OSError as e:
            if e.errno != errno.EINPROGRESS:
                raise
        self.wait(name, "inactive")

    def change(self, index):
        """What it shall be next, and how."""
        old = self.pools[index]
        new, name = dict(old), old["name"]
        how = random.choice(["", "control/active"])
        if name is None:
            new.update(name=random.choice("ab") + str(index), version=old["version"] + 1, run="fresh")
            return new, lambda: self.define(index, new["name"], new["version"])
        pick = random.random()
        link = self.path("control/autostart", name + ".xml")
        if pick < 0.5:
            new["version"] += 1
            return new, lambda: self.define(index, name, new["version"])
        if pick < 0.7 and old["run"] != "yes":
            new["run"] = "yes"
            return new, lambda: self.start(name, how)
        if pick < 0.7:
            new["run"] = "no"
            return new, lambda: self.stop(name, how)
        if pick < 0.8:
            new["auto"] = not old["auto"]
            if old["auto"]:
                return new, lambda: os.unlink(link)
            return new, lambda: os.symlink("../pools/%s.xml" % name, link)
        if old["run"] == "yes":
            new["version"] += 1
            return new, lambda: self.define(index, name, new["version"])
        if pick < 0.92:
            new["name"] = ("b" if name[0] == "a" else "a") + str(index)
            return new, lambda: os.rename(self.path("control/pools", name + ".xml"),
                                          self.path("control/pools", new["name"] + ".xml"))
        new = dict(NONE, version=old["version"])
        return new, lambda: os.unlink(self.path("control/pools", name + ".xml"))

    def loop(self, part, parts):
        while True:
            index = random.randrange(part, POOLS, parts)
            new, run = self.change(index)
            self.say([index, new])
            try:
                run()
            except OSError as e:
                if e.errno in DEAD:
                    time.sleep(0.2)
                    if not os.path.exists(self.path("control/version")):
                        return 0
                print("pool %d, from %s to %s: %s" % (index, self.pools[index], new, e))
                return 1
            self.say("done")
            self.pools[index] = new


def observe(mnt, data, index):
    found = dict(NONE, version=None)
    for name in ("a%d" % index, "b%d" % index):
        path = os.path.join(mnt, "control/pools", name)
        link = os.path.lexists(os.path.join(mnt, "control/autostart", name + ".xml"))
        try:
            text = open(path + ".xml").read()
        except FileNotFoundError:
            if link:
                found["run"] = "an autostart link without a definition"
            if os.path.isdir(os.path.join(mnt, name)):
                found["run"] = "runs without a definition"
            continue
        if found["name"]:
            found["run"] = "two names"
        owner, group = re.findall(r"<(?:owner|group)>(\d+)<", text)
        if owner != group or "<name>%s</name>" % name not in text or \
                "<path>%s/t%d</path>" % (data, index) not in text:
            found["run"] = "not whole: " + text
        for _ in range(600):
            state = re.search("state: (.*)", open(path + "/info").read()).group(1)
            if state not in ("starting", "stopping"):
                break
            time.sleep(0.05)
        there = os.path.isdir(os.path.join(mnt, name))
        if (state == "active") != there:
            found["run"] = "%s, directory %s" % (state, there)
        else:
            found["run"] = {"active": "yes", "inactive": "no"}.get(state, state)
        found.update(name=name, version=int(owner), auto=link)
        if there:                       # and it works
            with open(os.path.join(mnt, name, "v"), "w+") as f:
                f.write("bytes of %d" % index)
            if open("%s/t%d/v" % (data, index)).read() != "bytes of %d" % index:
                found["run"] = "runs on something else"
            os.unlink(os.path.join(mnt, name, "v"))
    return found


def agrees(found, want):
    if found["name"] != want["name"] or found["auto"] != want["auto"]:
        return False
    if want["name"] is None:
        return found["run"] == "no"
    if found["version"] != want["version"]:
        return False
    if want["run"] == "fresh":          # autostart may have started it
        return found["run"] == "no" or want["auto"] and found["run"] == "yes"
    return found["run"] == want["run"]


def check(mnt, data, source, state, journals):
    pools = json.load(open(state))
    pending, changes, bad = {}, 0, 0
    for journal in journals:
        last = None
        for line in open(journal):
            what = json.loads(line)
            if what == "done":
                pools[last[0]] = last[1]
                last = None
                changes += 1
            else:
                last = what
        if last:
            pending[last[0]] = last[1]
    # libvirt's way: autostart of what was never stopped by hand
    taken = 0
    for index, want in enumerate(pools):
        found = observe(mnt, data, index)
        may = [want] + ([pending[index]] if index in pending else [])
        fit = [w for w in may if agrees(found, w)]
        if not fit:
            bad += 1
            print("pool %d is %s, and may be %s" % (index, found, " or ".join(map(str, may))))
        taken += len(may) == 2 and bool(fit) and fit[0] is may[1]
        run = found["run"]
        if fit and fit[0]["run"] == "fresh" and run == "no":
            run = "fresh"
        pools[index] = dict(found, run=run, version=max(w["version"] for w in may))
        if found["name"]:
            pools[index]["version"] = found["version"]
    left = [f for f in os.listdir(source) if not f.endswith(".xml") and f != "autostart"]
    if left:
        bad += 1
        print("left in SOURCE: %s" % left)
    # What the mount shows is what a fresh daemon would read.
    names = sorted(f for f in os.listdir(source) if f.endswith(".xml"))
    want = sorted(p["name"] + ".xml" for p in pools if p["name"])
    if names != want:
        bad += 1
        print("SOURCE has %s, and should have %s" % (names, want))
    json.dump(pools, open(state, "w"))
    print("%d changes confirmed, %d under way, %d of these had happened, %d wrong"
          % (changes, len(pending), taken, bad))
    return 1 if bad else 0


def main():
    mnt, data = sys.argv[2:4]
    if sys.argv[1] == "check":
        return check(mnt, data, sys.argv[4], sys.argv[5], sys.argv[6:])
    state, journal, seed, part, parts = sys.argv[4:]
    random.seed(int(seed) * 1000 + int(part))
    return Work(mnt, data, state, journal).loop(int(part), int(parts))


if __name__ == "__main__":
    sys.exit(main())
