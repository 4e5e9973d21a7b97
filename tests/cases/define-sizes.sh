#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A definition in 1 MiB and in single bytes, and what may stand around it: a
# byte order mark, CRLF, no newline at the end, comments before and behind;
# anything else behind it fails. What is read can be written back.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
pf_setup
P=$C/pools

write() { cat >"$P/x.xml"; }
xml=$(pf_xml x /nowhere)
{ echo "<!--"; head -c 1000000 /dev/zero | tr '\0' x; echo "-->"; echo "$xml"; } >"$T/large"
ok "1 MB defines" dd if="$T/large" of="$P/x.xml" bs=1M status=none
ok "in one pool" grep -q '<path>/nowhere<' "$P/x.xml"
ok "1 MB in pieces of 4 KiB" dd if="$T/large" of="$P/x.xml" bs=4k status=none
ok "byte by byte" dd if=<(echo "$xml") of="$P/x.xml" bs=1 status=none
for kind in "no newline:%s" "CRLF:%s\r\n" "a byte order mark:\xef\xbb\xbf%s\n" "an XML declaration:<?xml version='1.0' encoding='UTF-8'?>\n%s\n" \
	"a comment before:<!-- a < b -->\n%s\n" "a comment behind:%s\n<!-- </pool> -->\n" "blank lines behind:%s\n\n \n"; do
	# shellcheck disable=SC2059
	ok "${kind%%:*}" write < <(printf "${kind#*:}" "$xml")
done
for kind in "a second document:%s\n%s\n" "text behind:%s garbage\n" "text before:garbage %s\n" "nothing but blanks:  \n"; do
	# shellcheck disable=SC2059
	not_ok "${kind%%:*} is refused" write < <(printf "${kind#*:}" "${xml//\/nowhere//other}" "$xml")
done
ok "and the definition stays" grep -q '<path>/nowhere<' "$P/x.xml"

garbage_later() { { pf_xml l /nowhere/l; sleep 0.3; echo garbage; } >"$P/l.xml"; }
not_ok "what comes behind it in a later write fails" garbage_later
ok "but the pool is defined" [ -e "$P/l/info" ]

cat "$P/x.xml" >"$T/one"
ok "what is read can be written" cp "$T/one" "$P/x.xml"
is "$(cat "$P/x.xml")" "$(cat "$T/one")" "and reads the same again"
is "$(stat -c %s "$P/x.xml")" "$(stat -c %s "$T/one")" "its size is its length"
is "$(tar -C "$P" -cf - x.xml | tar -xOf -)" "$(cat "$T/one")" "tar gets all of it"

: >"$P/empty.xml"
ok "an empty file defines nothing" [ ! -e "$P/empty" ]
is "$(find "$SRC" -name 'empty*')" "" "nor is it kept"
ok "without a name the file's counts" write < <(echo "$xml" | grep -v '<name>')
fails_with "Invalid argument" "another name is refused" cp <(pf_xml y /nowhere) "$P/x.xml"
like "$(cat "$C/error")" "'y'" "and said"
done_testing
