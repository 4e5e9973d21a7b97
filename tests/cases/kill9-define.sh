#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# kill -9 of the daemon while many definitions are written: after the restart
# each is old or new, whole, never missing and never mixed, and what define
# confirmed is there.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
pf_setup
count=1000
define() { # VERSION: rewrites all, noting what was confirmed
	local i
	for ((i = 0; i < count; i++)); do
		pf_xml "p$i" "/nowhere/$1/p$i" 2>/dev/null >"$C/pools/p$i.xml" || return 1
		echo "p$i" >>"$T/confirmed.$1"
	done 2>/dev/null
}
define 0
is "$(ls "$C/pools"/*.xml | wc -l)" "$count" "all defined"
mkdir "$DATA/runs"
pf_define runs && pf_start runs

for version in 1 2 3; do
	: >"$T/confirmed.$version"
	define $version &
	writer=$!
	# Let it come to somewhere in the middle.
	wait_for 60 eval "[ \$(wc -l <'$T/confirmed.$version') -gt $((version * 200)) ]"
	pf_kill9
	wait $writer
	pf_launch
	ls "$C/pools" >/dev/null
	# FILE:VERSION/POOL of each
	grep -Ho '<path>/nowhere/[0-9]/p[0-9]*</path>' "$C/pools"/p*.xml |
		sed -E 's,.*/(p[0-9]+)\.xml:<path>/nowhere/([0-9]/p[0-9]+)<.*,\1:\2,' >"$T/now"
	is "$(grep -cE "^(p[0-9]+):[0-$version]/\\1\$" "$T/now")" "$count" \
		"kill $version: each definition is whole, old or new"
	is "$(sed "s,.*,&:$version/&," "$T/confirmed.$version" | grep -vxF -f "$T/now")" "" \
		"kill $version: what was confirmed is there ($(wc -l <"$T/confirmed.$version"))"
	ok "kill $version: what ran is running" wait_for 10 [ -d "$M/runs" ]
	is "$(find "$SRC" -type f ! -name '*.xml' | wc -l)" "0" "kill $version: no temporary file is left"
done
done_testing
