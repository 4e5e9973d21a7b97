#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The whole life of a pool by hand: define, start, put a file in and take it
# out, look at it, rename, grow, cut, delete, stop, start again, undefine.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
pf_setup

is "$(ls "$M")" "control" "at first there is only control"
mkdir "$DATA/images"
ok "writing NAME.xml defines" cp <(pf_xml images) "$C/pools/images.xml"
ok "the definition can be read back" grep -q "<path>$DATA/images</path>" "$C/pools/images.xml"
is "$(pf_info images state)" "inactive" "a defined pool is not running"
fails_with "No such file" "mkdir of an undefined name starts nothing" mkdir "$M/nobody"
ok "mkdir starts" mkdir "$M/images"
is "$(pf_info images state)" "active" "info says so"
is "$(ls "$M")" "control"$'\n'"images" "the running pool is there"

head -c 3000001 /dev/urandom >"$T/in"
ok "cp in" cp "$T/in" "$M/images/a.img"
ok "cp out" cp "$M/images/a.img" "$T/out"
is "$(md5 "$T/out")" "$(md5 "$T/in")" "what comes out is what went in"
is "$(md5 "$DATA/images/a.img")" "$(md5 "$T/in")" "and what lies in the directory"
is "$(ls "$M/images")" "a.img" "ls shows the volume, and hides the guard"
is "$(ls -AU "$M/images" | head -n 1)" ".pool" "the guard is listed first"
is "$(stat -c '%s %b' "$M/images/a.img")" "$(stat -c '%s %b' "$DATA/images/a.img")" "size and allocation"
is "$(df --output=size "$M/images" | tail -n 1)" "$(df --output=size "$DATA/images" | tail -n 1)" \
	"df shows the pool's own capacity"
is "$(stat -f -c %b "$M")" "0" "the root has none"

ok "mv renames" mv "$M/images/a.img" "$M/images/b.img"
ok "truncate -s 10G" truncate -s 10G "$M/images/b.img"
is "$(stat -c %s "$M/images/b.img")" "10737418240" "the new size"
like "$(ls -ls "$M/images/b.img")" "^29[0-9][0-9] " "which takes no room"
ok "truncate makes a file" truncate -s 1M "$M/images/c.img"
ok "cut back" truncate -s 3000001 "$M/images/b.img"
is "$(md5 "$M/images/b.img")" "$(md5 "$T/in")" "the content is the old one"
fails_with "Operation not permitted" "no directory inside a pool" mkdir "$M/images/sub"
ok "rm" rm "$M/images/c.img"
ok "which is gone from the directory" [ ! -e "$DATA/images/c.img" ]

fails_with "busy" "a running pool is not undefined" rm "$C/pools/images.xml"
ok "rmdir stops" rmdir "$M/images"
is "$(ls "$M")" "control" "the directory is gone"
ok "no data is touched" cmp "$T/in" "$DATA/images/b.img"
ok "it starts again" mkdir "$M/images"
ok "with its volume" cmp "$T/in" "$M/images/b.img"
ok "and stops again" rmdir "$M/images"
ok "rm undefines" rm "$C/pools/images.xml"
is "$(ls "$C/pools")" "" "no definition is left"
is "$(find "$SRC" -name "*.xml")" "" "nor on the disk"
ok "the data stays" cmp "$T/in" "$DATA/images/b.img"
done_testing
