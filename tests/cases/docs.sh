#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The manual and the program agree: each verb and each control file that is
# there is in the manual, each option of --help too; the pages are clean.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need mandoc
pf_setup
pf_pool p
page=$(mandoc -T utf8 "$top/docs/poolfs.8" | sed 's/.\x08//g')

for file in "$top"/docs/*.[1-8]; do
	is "$(mandoc -T lint -W warning "$file" 2>&1)" "" "${file##*/} is clean"
done
has() { grep -qE -- "(^|[^a-z])$1([^a-z]|$)" <<<"$page"; }
for verb in $(sed -nE 's/^([a-z]+).*/\1/p' "$C/pools/p/ctl" | sort -u); do
	ok "the manual has the verb $verb" has "$verb"
done
for file in "$C"/* "$C/pools/p"/*; do
	ok "the manual has the file ${file##*/}" has "${file##*/}"
done
for key in $(sed -n 's/:.*//p' "$C/pools/p/info"); do
	ok "the manual has the key $key of info" has "$key"
done
for option in $("$POOLFS" --help | sed -nE 's/^ +(-o )?([a-z_]{4,}).*/\2/p'); do
	ok "the manual has the option $option" has "$option"
done
# README's links lead somewhere.
for link in $(sed -nE 's/.*\]\(([^):]+)\).*/\1/p' "$top/README.md"); do
	ok "README.md: $link is there" [ -e "$top/$link" ]
done
done_testing
