# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# tests/xml.sh - read by the cases about definitions, after lib.sh: the examples
# in tests/data/pools, defined one at a time in the case's own poolfs. Nothing
# here starts a pool.

xml_examples() { printf '%s\n' "$top"/tests/data/pools/*.xml; }

xml_type() { sed -nE "s/^.*<pool[^>]* type=['\"]([a-z]+)['\"].*/\1/p" "$1" | head -n 1; }

xml_name() { # FILE: the pool's name, from its own or from the source's
	python3 - "$1" <<-'END'
		import sys, xml.etree.ElementTree as ET
		root = ET.parse(sys.argv[1]).getroot()
		print(root.findtext('name') or root.findtext('source/name'))
	END
}

xml_define() { # FILE [NAME]
	local name=${2:-$(xml_name "$1")}
	cp "$1" "$C/pools/$name.xml" || { cat "$C/error"; return 1; }
}

xml_read() { cat "$C/pools/$1.xml"; }
xml_undefine() { rm "$C/pools/$1.xml"; }

# Calls COMMAND NAME EXAMPLE FILE for each example, while poolfs has it defined;
# FILE holds what poolfs prints.
xml_each() { # COMMAND
	local file name
	while read -r file; do
		name=$(xml_name "$file")
		ok "${file##*/} is defined" xml_define "$file" "$name" || continue
		xml_read "$name" >"$T/printed.xml"
		"$1" "$name" "$file" "$T/printed.xml"
		xml_undefine "$name"
	done < <(xml_examples)
}
