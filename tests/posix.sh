# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# tests/posix.sh - read after lib.sh by the cases posix-*: asks the questions
# of posix.py on a plain directory and on a pool beside it, with passthrough and
# without, and compares each answer. Where a pool shall differ, the case says so.

# The lines given are what a pool shall answer instead, and are checked as well.
posix_same() { # AREA ["QUESTION: ANSWER OF A POOL"...]
	local area=$1 mode line question want i
	shift
	need_root
	mkdir "$T/plain" "$T/far"
	mount -t tmpfs tmpfs "$T/far" || skip_all "needs a second file system"
	python3 "$top/tests/posix.py" "$area" "$T/plain" "$T/plain" "$T/far" >"$T/plain.out" 2>&1
	tap $? "all of it on a plain directory" || diag <"$T/plain.out"
	for mode in passthrough nopassthrough; do
		pf_mode $mode
		pf_pool p
		pf_pool q
		python3 "$top/tests/posix.py" "$area" "$M/p" "$DATA/p" "$M/q" >"$T/pool.out" 2>&1
		tap $? "$mode: all of it on a pool" || diag <"$T/pool.out"
		i=0
		while IFS= read -r line; do
			i=$((i + 1))
			question=${line%%: *} want=$line
			for want in "$@" "$line"; do
				[ "${want%%: *}" != "$question" ] || break
			done
			is "$(sed -n "${i}p" "$T/pool.out")" "$want" "$mode: $question"
		done <"$T/plain.out"
		is "$(wc -l <"$T/pool.out")" "$i" "$mode: as many answers"
		pf_stop
		tap $? "$mode: the daemon ends well"
	done
}
