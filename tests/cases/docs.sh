#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The manual and the program agree, both ways: each control file and directory, verb,
# key of info, event, metric and option that is there is an item of the manual, and each
# item of the manual is there. The pages are clean, and references lead somewhere.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need mandoc
pf_setup -o fault
pf_pool p
control=$top/docs/poolfs-control.7 daemon=$top/docs/poolfs.8

# mandoc knows only the pages that are installed here.
lint() { mandoc -T lint -W style "$1" 2>/dev/null | grep -vE 'referenced manual not found|longer than 80'; }
for file in "$top"/docs/*.[1-8]; do
	is "$(lint "$file")" "" "${file##*/} is clean"
done

section() { # PAGE TITLE: its source
	awk -v title="$2" '/^\.Sh / { on = substr($0, 5) == title } on' "$1"
}
items() { # MACRO...: the words of the items, from source
	sed -nE "s/^\.It ($1) +(.*)/\2/p" | sed -E 's/ (Ns|Op|Ar|No) .*//' | tr -d ','
}
both() { # WHAT, two lists in files: each word of one is in the other
	local word
	while read -r word; do
		ok "the manual has the $1 $word" grep -qxF -- "$word" "$T/manual"
	done < <(sort -u "$T/program")
	is "$(sort -u "$T/manual" | grep -vxF -f "$T/program")" "" "and no $1 that is not there"
	ok "there are some" [ -s "$T/program" ]
}

# Files: a page says control/pools/NAME/info, the mount has control/pools/p/info.
(cd "$M" && find control -mindepth 1 ! -name .pool ! -path 'control/active/*' \
	! -path 'control/pools/p/volumes/*' \( -type d -printf '%p/\n' -o -printf '%p\n' \)) |
	sed -E 's,^control/pools/p(/|\.xml),control/pools/NAME\1,' |
	grep -vxE 'control/pools/|control/pools/NAME/|control/sources/[a-z]+/?' >"$T/program"
items Pa <"$control" | tr ' ' '\n' | grep '^control/' | grep -vE '^control/sources/.' >"$T/manual"
both file
# Which of the sources this machine has depends on its programs.
items Pa <"$control" | tr ' ' '\n' | sed -n 's,^control/sources/\([a-z]\),\1,p' >"$T/manual"
(cd "$C/sources" && ls -p) >"$T/program"
is "$(grep -vxF -f "$T/manual" "$T/program")" "" "the manual has each of control/sources"

sed -nE 's/^([a-z]+).*/\1/p' "$C/pools/p/ctl" >"$T/program"
section "$control" VERBS | items Ic | cut -d' ' -f1 >"$T/manual"
both verb
for verb in $(sort -u "$T/program"); do
	ok "with an example: $verb" eval "section '$control' VERBS | grep '^\.Dl' | grep -q '$verb'"
done

sed -n 's/:.*//p' "$C/pools/p/info" >"$T/program"
section "$control" DEFINITIONS | items Cm | tr ' ' '\n' | grep . >"$T/manual"
both "key of info"

# Events are words in the source, and there only.
grep -hoE '"(pool|volume|volumes|job)-[a-z]+"' "$top"/control/*.c | tr -d '"' >"$T/program"
section "$control" EVENTS | items Cm | tr ' ' '\n' | grep -- - >"$T/manual"
both event

sed -n 's/^# TYPE \([^ ]*\) .*/\1/p' "$C/metrics" >"$T/program"
section "$control" METRICS | items Li | tr ' ' '\n' | grep . >"$T/manual"
both metric
for operation in $(sed -nE 's/^[a-z_]+_count\{.*operation="([a-z]+)".*/\1/p' "$C/metrics" | sort -u); do
	ok "the manual has the operation $operation" eval "section '$control' METRICS | grep -qw '$operation'"
done

"$POOLFS" --help | sed -nE '/^Options for -o/,$s/^  ([a-z_]+).*/\1/p' >"$T/program"
section "$daemon" "MOUNT OPTIONS" | items Cm | cut -d' ' -f1 >"$T/manual"
both option
"$POOLFS" --help | sed -nE '/^Options for -o/q; s/^  (-[a-z]), .*/\1/p' >"$T/program"
section "$daemon" DESCRIPTION | sed -nE 's/^\.It Fl ([a-z]).*/-\1/p' | grep -vx -- -o >"$T/manual"
both flag

# README's links lead somewhere.
for link in $(sed -nE 's/.*\]\(([^):]+)\).*/\1/p' "$top/README.md"); do
	ok "README.md: $link is there" [ -e "$top/$link" ]
done
done_testing
