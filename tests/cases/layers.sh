#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The floors: backends/ knows neither control/ nor fs/, control/ not fs/, and
# only the wrappers call a driver. Each file says its licence, and none names
# a place that only a developer's machine has.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
cd "$top" || exit 1

files=$(git ls-files -co --exclude-standard 2>/dev/null || true)
[ -n "$files" ] || files=$(find . \( -name .git -o -name build -o -name 'pools*' \) -prune -o -type f -print)

up=$(grep -nE '#[[:space:]]*include[[:space:]]*".*(control|fs)/' backends/*.[ch]
	grep -nE '#[[:space:]]*include[[:space:]]*".*fs/' control/*.[ch]
	grep -nE '#[[:space:]]*include[[:space:]]*<(fuse|libxml)' backends/*.[ch]
	grep -nE '#[[:space:]]*include[[:space:]]*<fuse' control/*.[ch])
is "$up" "" "no include runs up the floors"
is "$(grep -nE -- '->ops->[a-z]+\(' backends/*.c control/*.c fs/*.c | grep -vE '^backends/(backend|volume)\.c:')" "" \
	"only backend.c and volume.c call a driver's functions"

bare=$(for file in $files; do
	case $file in
	*.c | *.h | *.sh | *.md | *.[1-8] | *Makefile | */run | */deps | */skips | */demo)
		head -n 3 "$file" | grep -q 'SPDX-License-Identifier: LGPL-2.1-or-later' || echo "$file" ;;
	esac
done)
is "$bare" "" "each file begins with its licence"
# shellcheck disable=SC2086
is "$(grep -nIE -- "/hom[e]/[a-z]|/roo[t]/|(^|[[:space:]\"'=(:])$top(/|\$)" $files | grep -v '^LICENSE')" "" "no path of one machine"
is "$(for file in tests/cases/*.sh tests/run tests/deps .ci/run; do [ -x "$file" ] || echo "$file"; done)" "" \
	"each case can be run"
done_testing
