# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# tests/contract.sh - read after lib.sh by the cases *-contract, one for each type:
# asks the questions of contract.py of the running pool p, whose type has its
# answers in contract/TYPE. A type that answers a question otherwise than files do
# is seen in its table.

contract_same() { # TYPE
	local line question got
	pf_pool other # p may not be renamed into it
	python3 "$top/tests/contract.py" "$M" p >"$T/answers" 2>"$T/err"
	tap $? "all questions were asked" || diag <"$T/err"
	exec 9<"$T/answers"
	while IFS= read -r line; do
		[[ $line != \#* ]] || continue
		question=${line%%: *}
		IFS= read -r got <&9
		is "$got" "$line" "$question"
	done <"$top/tests/contract/$1"
	exec 9<&-
	is "$(wc -l <"$T/answers")" "$(grep -vc '^#' "$top/tests/contract/$1")" "as many answers as questions"
}
