#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Pools of all ten types: the examples of libvirt's page and of both dialects
# define as they are; what is read back is written again and reads the same, in
# place, after undefining, under another daemon, and for the next one.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/xml.sh
. "$top/tests/xml.sh"
need python3
pf_setup

ten="dir disk fs iscsi logical mpath netfs rbd scsi sheepdog"
types() { xml_examples | grep -E "/$1" | while read -r file; do xml_type "$file"; done | sort -u | xargs; }
is "$(types page-)" "$ten" "the page has an example of each type"
is "$(types '[a-oq-z]')" "$ten" "and so have we"

again() { # NAME EXAMPLE FILE
	like "$(cat "$3")" "<pool type='$(xml_type "$2")'" "${2##*/}: the type stays"
	like "$(pf_info "$1" uuid)" "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$" "${2##*/}: has a uuid"
	ok "${2##*/}: what is read can be written in place" xml_define "$3" "$1"
	is "$(xml_read "$1")" "$(cat "$3")" "${2##*/}: and reads the same"
	ok "${2##*/}: undefined" xml_undefine "$1"
	ok "${2##*/}: and defined from what was read" xml_define "$3" "$1"
	is "$(xml_read "$1")" "$(cat "$3")" "${2##*/}: reads the same"
	is "$(cat "$SRC/$1.xml")" "$(cat "$3")" "${2##*/}: and lies so on the disk"
}
xml_each again

# A password in plain text is not given back by anything.
ok "the password of 2012" xml_define "$top/tests/data/pools/iscsi-2012.xml"
is "$(grep -rlF 'open sesame' "$C" "$LOG" "$RUN" 2>/dev/null)" "" "no file of the mount, log or run state has it"
is "$(grep -rlF 'open sesame' "$SRC")" "$(find "$SRC/secrets" -type f)" "one secret has it"
is "$(stat -c %a "$SRC/secrets" "$SRC"/secrets/* | xargs)" "700 600" "that nobody else can read"
xml_undefine i-2012
is "$(find "$SRC/secrets" -type f)" "" "and that goes with the pool"

# All at once, as far as the sources differ, for the next daemon.
while read -r file; do
	case $file in */page-*) ;; *) xml_define "$file" >/dev/null 2>&1 ;; esac
done < <(xml_examples)
like "$(find "$SRC" -maxdepth 1 -name '*.xml' | wc -l)" "^1[5-9]$" "most examples stand side by side"
before=$(cd "$C/pools" && grep -H '' -- *.xml)
pf_restart
is "$(cd "$C/pools" && grep -H '' -- *.xml)" "$before" "after a restart all read the same"
done_testing
