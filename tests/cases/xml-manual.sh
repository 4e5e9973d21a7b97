#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# docs/poolfs-pool.5 and the program agree: each example of the page defines as
# it stands there, there is one of each type, and the page names each element
# that is printed and each word that a format may be.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/xml.sh
. "$top/tests/xml.sh"
need python3 mandoc
pf_setup
page=$top/docs/poolfs-pool.5
text=$(mandoc -T utf8 "$page" | sed 's/.\x08//g')

mkdir "$T/examples"
awk -v dir="$T/examples" '
	/^\.Bd -literal/ { n++; on = 1; next }
	/^\.Ed/ { on = 0 }
	on { print > sprintf("%s/%02d.xml", dir, n) }' "$page"
for file in "$T"/examples/*; do
	grep -q '^<pool' "$file" || continue
	name=$(xml_name "$file")
	ok "${file##*/}, a $(xml_type "$file") pool: defined" xml_define "$file" "$name"
	ok "prints what it says" "$top/tests/xml-same" --within "$file" "$C/pools/$name.xml"
	xml_read "$name" >>"$T/printed"
	xml_undefine "$name"
done
is "$(grep -oE "pool type='[a-z]+'" "$T/printed" | sort -u | wc -l)" "10" "one of each type at least"

has() { grep -qwF -- "$1" <<<"$text"; }
for element in $(sed -nE 's/^ *<([a-z:_]+).*/\1/p' "$T/printed" | sort -u); do
	ok "the page has the element $element" has "$element"
done
# What a wrong format is answered with is the list.
for type in fs netfs logical disk; do
	printf "<pool type='%s'><source><format type='?'/></source></pool>\n" "$type" |
		dd of="$C/pools/x.xml" status=none 2>/dev/null
	list=$(sed -n 's/.*give one of //p' "$C/error")
	like "$list" "^[a-z0-9+]+(, [a-z0-9+]+)+$" "$type: a wrong format is answered with a list"
	for word in ${list//,/}; do
		ok "the page has the format $word" has "$word"
	done
	section=$(sed -n "/^ *$type: /,/^ *[a-z]*: /p" <<<"$text")
	for word in ${list//,/}; do
		grep -qwF -- "$word" <<<"$section" || tap 1 "the format $word stands with $type"
	done
done
done_testing
