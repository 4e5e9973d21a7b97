#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# control/capabilities.xml is what libvirt's own pool-capabilities says of the types
# that both have, element by element; what differs is named here. It fits libvirt's
# schema, and its words are those that a definition takes.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/libvirt.sh
. "$top/tests/libvirt.sh"
need python3 xmllint
libvirt_start
pf_setup
V pool-capabilities >"$T/theirs.xml"
cat "$C/capabilities.xml" >"$T/ours.xml"
like "$(stat -c %a "$C/capabilities.xml")" '^444$' "everybody may read it, nobody write"

schema=$(find /usr/share/libvirt/schemas -name storagepoolcaps.rng 2>/dev/null | head -n 1)
if [ -n "$schema" ]; then
	ok "it fits libvirt's schema" xmllint --noout --relaxng "$schema" "$T/ours.xml"
else
	skip "it fits libvirt's schema" "there is no storagepoolcaps.rng"
fi

cat >"$T/compare" <<'END'
import sys
import xml.etree.ElementTree as ET

# libvirt cannot say these of itself, or cannot make them
more = {
    ("fs", "sourceFormatType"): {"btrfs"},
    ("disk", "targetFormatType"): {"linux-lvm2"},
    ("rbd", "targetFormatType"): {"raw"},  # theirs is an empty list
    "files": {"vhdx"},
}
less = {"files": {"none"}}  # a volume without a format
ours, theirs = ({p.get("type"): p for p in ET.parse(f).getroot()} for f in sys.argv[1:])
ours_only = [t for t in ours if t not in theirs]
print("types that libvirt does not know:", *ours_only)
for name, pool in ours.items():
    other = theirs.get(name)
    if other is None:
        continue
    told = set()
    for group in ("poolOptions", "volOptions"):
        a, b = pool.find(group), other.find(group)
        if (a is None) != (b is None):
            print(f"{name}: {group} is there: {a is not None}, libvirt: {b is not None}")
        if a is None or b is None:
            continue
        default = [x.find("defaultFormat").get("type") for x in (a, b)]
        if default[0] != default[1]:
            print(f"{name}: default of {group}: {default}")
        for enum in a.findall("enum"):
            kind = enum.get("name")
            same = b.find(f"enum[@name='{kind}']")
            words = [[v.text for v in e.findall("value")] for e in (enum, same)]
            sets = [set(w) for w in words]
            if len(sets[0]) != len(words[0]):
                print(f"{name}: a word comes twice in {kind}")
            files = "files" if {"qcow2", "bochs"} <= sets[0] else None
            plus = more.get((name, kind), set()) | (more[files] if files else set())
            minus = less[files] if files else set()
            if sets[0] != (sets[1] | plus) - minus:
                print(f"{name}: {kind}: only here {sets[0] - sets[1]}, only there {sets[1] - sets[0]}")
        told.update(c.tag for c in a)
        if [c.tag for c in a] != [c.tag for c in b]:
            print(f"{name}: {group} holds {[c.tag for c in a]}, not {[c.tag for c in b]}")
END
is "$(python3 "$T/compare" "$T/ours.xml" "$T/theirs.xml")" "types that libvirt does not know:" \
	"types, defaults and formats are libvirt's, but for those named in this case"

types() { python3 -c 'import sys, xml.etree.ElementTree as ET
for p in ET.parse(sys.argv[1]).getroot():
	print(p.get("type"), p.get("supported"))' "$1"; }
is "$(types "$T/ours.xml" | cut -d' ' -f1 | sort | xargs)" \
	"dir disk fs iscsi logical mpath netfs rbd scsi sheepdog" "all ten types are in it"
is "$(types "$T/ours.xml" | sed -n 's/^dir //p')" yes "dir works"

# What is said to work starts, or fails for its source; what is not, says why.
while read -r type supported; do
	file=$(grep -lE "<pool[^>]* type=['\"]${type}['\"]" "$top"/tests/data/pools/*.xml | head -n 1)
	[ "$type" != dir ] && [ "$supported" = no ] || continue
	sed -E "s,<name>.*</name>,<name>x-$type</name>,;t;" "$file" | sed -E '/<uuid>/d' >"$T/def.xml"
	name=$(python3 -c 'import sys, xml.etree.ElementTree as ET
r = ET.parse(sys.argv[1]).getroot(); print(r.findtext("name") or r.findtext("source/name"))' "$T/def.xml")
	cp "$T/def.xml" "$C/pools/$name.xml" || diag <"$C/error"
	fails_with "not supported" "a pool of type $type, which is not supported, does not start" mkdir "$M/$name"
	why=$(cat "$C/pools/$name/error")
	why=${why#*: }
	ok "and the capabilities give the same reason: $why" grep -qF -- "<!-- $why -->" "$T/ours.xml"
	rm "$C/pools/$name.xml"
done < <(types "$T/ours.xml")
done_testing
