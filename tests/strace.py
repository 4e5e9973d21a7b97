#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
strace.py TRACE SOURCE RUN - what a daemon did between two marks, in order.

TRACE is what `strace -f -y -xx -s 4096` wrote of poolfs, with reads of and
writes to /dev/fuse. A lookup of "mark-NAME" begins the part NAME. Prints one
line a part, "NAME: WORD...", where a word is create:FILE, write:FILE,
fsync:FILE, rename:FROM>TO, unlink:FILE, symlink:FILE, mkdir:FILE, or
reply:REQUEST=ERROR. Files outside SOURCE and RUN are left out; temporary names
are "temp". A call counts when it has ended, a reply when it begins. Called by
the case durable-strace; it judges nothing.
"""
import re
import struct
import sys

OPCODES = {1: "lookup", 3: "getattr", 4: "setattr", 6: "symlink", 9: "mkdir", 10: "unlink",
           11: "rmdir", 12: "rename", 14: "open", 16: "write", 18: "release", 20: "fsync",
           25: "flush", 35: "create", 45: "rename"}
HEX = re.compile(r"\\x([0-9a-f]{2})")


def raw(text):
    return bytes(int(h, 16) for h in HEX.findall(text))


def plain(text):
    return HEX.sub(lambda m: chr(int(m.group(1), 16)), text)


def whole_calls(path):
    """(when it counts, name, arguments, result), put together from the pieces."""
    begun = {}
    for line in open(path, errors="replace"):
        m = re.match(r"(\d+) +(.*)", line.rstrip("\n"))
        if not m:
            continue
        pid, rest = m.groups()
        if rest.endswith("<unfinished ...>"):
            rest = rest[:-len("<unfinished ...>")]
            begun[pid] = rest
            if rest.startswith("write"):
                yield "begin", rest
            continue
        m = re.match(r"<\.\.\. \w+ resumed>(.*)", rest)
        if m:
            yield "end", begun.pop(pid, "") + m.group(1)
        else:
            if rest.startswith("write"):
                yield "begin", rest
            yield "end", rest


class Words:
    def __init__(self, source, run):
        self.source, self.run, self.asked = source, run, {}

    def file(self, path):
        for top, name in ((self.source, "source"), (self.run, "run")):
            if path == top or path.startswith(top + "/"):
                path = name + path[len(top):]
                path = re.sub(r"^run/[^/]*", "run", path)
                return re.sub(r"\.tmp-\d+-\d+", "temp", path)
        return None

    def at(self, call, n=1):
        """The n-th "dirfd<path>, name" pair of a call, as one path."""
        pairs = re.findall(r'\d+<([^>]*)>, "([^"]*)"', plain(call))
        return self.file("/".join(pairs[n - 1])) if len(pairs) >= n else None

    def of_fd(self, call):
        m = re.match(r"\w+\(\d+<([^>]*)>", plain(call))
        return self.file(m.group(1)) if m else None

    def word(self, when, call):
        """One word, ("mark", name), or None."""
        name = call.split("(", 1)[0]
        failed = re.search(r"= -1 (E\w+)", call)
        fuse = re.match(r"\w+\(\d+<([^>]*)>", plain(call))
        fuse = fuse and fuse.group(1) == "/dev/fuse"
        if name == "read" and fuse and when == "end" and not failed:
            data = raw(call.split(", ", 1)[1])
            if len(data) < 40:
                return None
            opcode, unique = struct.unpack_from("=IQ", data, 4)
            self.asked[unique] = OPCODES.get(opcode, str(opcode))
            text = data[40:].split(b"\0")[0].decode(errors="replace")
            if opcode == 1 and text.startswith("mark-"):
                self.asked.pop(unique)
                return ("mark", text[5:])
            return None
        if name in ("write", "writev") and fuse:
            data = raw(call.split(", ", 1)[1])
            error, unique = struct.unpack_from("=iQ", data, 4) if len(data) >= 16 else (0, 0)
            if when == "begin" and unique in self.asked:
                return "reply:%s=%d" % (self.asked.pop(unique), -error)
            return None
        if when == "begin" or failed:
            return None
        if name == "openat":
            where = self.at(call)
            return where and "O_CREAT" in call and "create:" + where
        if name in ("write", "fsync", "fdatasync"):
            where = self.of_fd(call)
            return where and "%s:%s" % (name, where)
        if name in ("renameat", "renameat2"):
            a, b = self.at(call, 1), self.at(call, 2)
            return a and b and "rename:%s>%s" % (a, b)
        if name in ("unlinkat", "mkdirat"):
            where = self.at(call)
            return where and "%s:%s" % (name[:-2], where)
        if name == "symlinkat":
            m = re.search(r'"[^"]*", \d+<([^>]*)>, "([^"]*)"', plain(call))
            where = m and self.file("/".join(m.groups()))
            return where and "symlink:" + where
        return None


def main():
    words, part, line = Words(*sys.argv[2:4]), None, []
    for when, call in whole_calls(sys.argv[1]):
        word = words.word(when, call)
        if isinstance(word, tuple):
            if part:
                print("%s: %s" % (part, " ".join(line)))
            part, line = word[1], []
        elif word:
            line.append(word)
    if part:
        print("%s: %s" % (part, " ".join(line)))


if __name__ == "__main__":
    main()
