#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# tests/openmetrics.py FILE check - is FILE a text as OpenMetrics 1.0 wants it, and as
# Prometheus' older text format wants it, too? Says what is wrong, and ends with 1.
# tests/openmetrics.py FILE get NAME [LABEL=VALUE...] - the sum of the samples called
# NAME that have these labels, or "none"; whole numbers as such.
# tests/openmetrics.py FILE values NAME LABEL - the values of a label, sorted, a line each.
# Called by cases of control/metrics. Stricter than promtool: the order of lines,
# suffixes, clashes of names, and that a histogram's figures fit each other.

import math
import re
import sys

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\n"])*)"(,(?=[a-zA-Z_])|$)')
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? ([^ ]+)")
NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|[+-]?Inf|NaN")
# Of what both formats know under one name; a counter's TYPE line differs.
SUFFIXES = {"gauge": [""], "histogram": ["_bucket", "_count", "_sum"]}


class Bad(Exception):
    pass


def unescape(text):
    return re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], text)


def labels_of(text):
    found, at = {}, 0
    while at < len(text):
        m = LABEL.match(text, at)
        if not m:
            raise Bad(f"bad labels: {text[at:]}")
        if m[1] in found:
            raise Bad(f"label {m[1]} comes twice")
        if m[1].startswith("__"):
            raise Bad(f"label {m[1]} is reserved")
        found[m[1]] = unescape(m[2])
        at = m.end()
    return found


class Family:
    def __init__(self, name):
        self.name, self.meta, self.samples = name, {}, []

    def names(self):
        return [self.name + s for s in SUFFIXES[self.meta["TYPE"]]]

    def check(self):
        if "TYPE" not in self.meta or "HELP" not in self.meta:
            raise Bad(f"{self.name} has no TYPE or no HELP")
        unit = self.meta.get("UNIT")
        if unit and not self.name.endswith("_" + unit):
            raise Bad(f"{self.name} does not end in its unit {unit}")
        for unit in ("seconds", "bytes"):
            if self.name.endswith("_" + unit) and self.meta.get("UNIT") != unit:
                raise Bad(f"{self.name} has no unit {unit}")
        if not re.fullmatch(r'(?:[^\\"]|\\[\\n"])*', self.meta["HELP"]):
            raise Bad(f"HELP of {self.name} has something unescaped")
        seen, last = set(), None
        for name, labels, value in self.samples:
            key = (name, tuple(sorted(labels.items())))
            if key in seen:
                raise Bad(f"{key} comes twice")
            seen.add(key)
        if self.meta["TYPE"] == "histogram":
            self.check_histogram()

    def check_histogram(self):
        """One set of labels after the other: buckets, then count and sum."""
        rest = list(self.samples)
        done = set()
        while rest:
            key = tuple(sorted((k, v) for k, v in rest[0][1].items() if k != "le"))
            if key in done:
                raise Bad(f"{self.name}: samples of {key} are not together")
            done.add(key)
            group = []
            while rest and tuple(sorted((k, v) for k, v in rest[0][1].items() if k != "le")) == key:
                group.append(rest.pop(0))
            buckets = [(s[1].get("le"), s[2]) for s in group if s[0] == self.name + "_bucket"]
            if [s[0] for s in group] != [self.name + "_bucket"] * len(buckets) + \
                    [self.name + "_count", self.name + "_sum"]:
                raise Bad(f"{self.name}: buckets, count and sum of {key} are not in order")
            if any("le" in s[1] for s in group[-2:]) or not buckets or buckets[-1][0] != "+Inf":
                raise Bad(f"{self.name}: the last bucket of {key} is not +Inf")
            bounds = [float(b) for b, _ in buckets]
            if bounds != sorted(set(bounds)):
                raise Bad(f"{self.name}: bounds of {key} do not grow")
            for text, bound in zip((b for b, _ in buckets[:-1]), bounds):
                if not re.fullmatch(r"\d+\.\d+|\d+(\.\d+)?e[+-]\d+", text) or bound < 0:
                    raise Bad(f"{self.name}: {text} is no bound as OpenMetrics writes it")
            counts = [c for _, c in buckets]
            if counts != sorted(counts) or any(c != int(c) for c in counts):
                raise Bad(f"{self.name}: buckets of {key} do not add up: {counts}")
            if group[-2][2] != counts[-1]:
                raise Bad(f"{self.name}: the count of {key} is not its last bucket")
            least = sum((b - a) * low for a, b, low in
                        zip([0] + counts, counts, [0] + bounds[:-1]))
            most = sum((b - a) * high for a, b, high in zip([0] + counts, counts, bounds) if b > a)
            if not least * (1 - 1e-9) <= group[-1][2] <= most * (1 + 1e-9):
                raise Bad(f"{self.name}: the sum of {key} is not between {least} and {most}")


def parse(data):
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as e:
        raise Bad(f"no UTF-8: {e}")
    if not text.endswith("\n# EOF\n"):
        raise Bad("the last line is not '# EOF'")
    families = []
    for number, line in enumerate(text[:-len("# EOF\n")].split("\n")[:-1], 1):
        try:
            parse_line(line, families)
        except Bad as e:
            raise Bad(f"line {number}: {e}: {line}")
    names = set()
    for f in families:
        f.check()
        mine = {f.name, *f.names()}
        if mine & names:
            raise Bad(f"{mine & names} belong to two families")
        names |= mine
    return families


def parse_line(line, families):
    m = re.fullmatch(rf"# (TYPE|UNIT|HELP) ({NAME}) (.+)", line)
    if m:
        if not families or families[-1].name != m[2]:
            if any(f.name == m[2] for f in families):
                raise Bad("this family was over already")
            families.append(Family(m[2]))
        f = families[-1]
        if m[1] in f.meta or f.samples:
            raise Bad(f"{m[1]} comes twice, or behind a sample")
        if m[1] == "TYPE" and m[3] not in SUFFIXES:
            raise Bad("this type is not the same in both formats")
        f.meta[m[1]] = m[3]
        return
    m = SAMPLE.fullmatch(line)
    if not m or line.startswith("#"):
        raise Bad("neither a sample nor TYPE, UNIT or HELP")
    f = families[-1] if families else None
    if not f or "TYPE" not in f.meta or m[1] not in f.names():
        raise Bad("a sample of another family")
    if not NUMBER.fullmatch(m[3]):
        raise Bad(f"{m[3]} is no number")
    value = float(m[3])
    if math.isnan(value):
        raise Bad("a figure that is none")
    f.samples.append((m[1], labels_of(m[2] or ""), value))


def main():
    path, verb, *rest = sys.argv[1:]
    with open(path, "rb") as file:
        families = parse(file.read())
    samples = [s for f in families for s in f.samples]
    if verb == "get":
        wanted = [w.split("=", 1) for w in rest[1:]]
        found = [v for n, labels, v in samples
                 if n == rest[0] and all(labels.get(k) == v for k, v in wanted)]
        total = sum(found)
        print("none" if not found else int(total) if total == int(total) else total)
    elif verb == "values":
        for value in sorted({labels[rest[1]] for n, labels, _ in samples
                             if n == rest[0] and rest[1] in labels}):
            print(value)


try:
    main()
except Bad as e:
    sys.exit(f"{sys.argv[1]}: {e}")
