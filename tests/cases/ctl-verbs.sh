#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The verbs of ctl: each is done, or has failed, when its write returns; what
# is unknown or contradictory is named.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
pf_setup
pf_define p
ctl() { echo "$*" >"$C/pools/p/ctl"; }
refuses() { # REASON-REGEX VERB...
	not_ok "'${*:2}' is refused" ctl "${@:2}"
	like "$(cat "$C/error")" "$1" "and the reason says '$1'"
}

for verb in start stop build delete refresh resize clone wipe; do
	like "$(cat "$C/pools/p/ctl")" "(^|"$'\n'")$verb" "ctl lists $verb"
done
ok "start" ctl start
is "$(pf_info p state)" "active" "has started"
refuses "running|active|start" start
ok "refresh" ctl refresh
refuses "'fly'" fly
refuses "'now'" start now
refuses "resize" resize v
refuses "'10Q'" resize v 10Q
refuses "'v'" resize v 1M

head -c 2000000 /dev/urandom >"$M/p/v"
sum=$(md5 "$M/p/v")
ok "resize, larger" ctl resize v 10M
is "$(stat -c %s "$M/p/v")" "10485760" "has the size"
refuses "shrink" resize v 2000000
ok "resize with shrink" ctl resize v 2000000 shrink
is "$(md5 "$M/p/v")" "$sum" "the content is the old one"
ok "clone" ctl clone v w
is "$(md5 "$M/p/w")" "$sum" "is equal"
refuses "'w'" clone v w
refuses "'none'" clone none x
ok "names in quotes" ctl clone v '"a b"'
is "$(md5 "$M/p/a b")" "$sum" "may have blanks"
ok "wipe zero" ctl wipe w zero
is "$(tr -d '\0' <"$M/p/w" | wc -c) $(stat -c %s "$M/p/w")" "0 2000000" "leaves zeros, and the size"
ok "wipe random" ctl wipe w random
[ "$(md5 "$M/p/w")" != "$sum" ]
tap $? "leaves something else"
ok "wipe trim" ctl wipe w trim
is "$(stat -c '%b %s' "$M/p/w")" "0 2000000" "leaves no blocks, and the size"
refuses "'slowly'" wipe w slowly
is "$(md5 "$M/p/v")" "$sum" "none of it touched the source"

exec 7<"$M/p/v"
refuses "'v'|open" stop
exec 7<&-
ok "stop, when it is closed" wait_for 5 ctl stop
is "$(pf_info p state)" "inactive" "has stopped"
refuses "stopped|inactive|running" stop
refuses "running|inactive|start|stopped" resize v 1M

uuid=$(pf_info p uuid)
refuses "uuid" delete 00000000-0000-0000-0000-000000000000
refuses "empty" delete "$uuid"
rm "$DATA/p"/*
ok "delete of an empty pool, with its uuid" ctl delete "$uuid"
ok "the directory is gone" [ ! -e "$DATA/p" ]
refuses "p" start
ok "build" ctl build
ok "makes it again" [ -d "$DATA/p" ]
ok "start" ctl start
refuses "running|active" build
refuses "running|active|stop" delete "$uuid"
is "$(printf 'stop\nstart\n' >"$C/pools/p/ctl"; pf_info p state)" "active" "two verbs in one write"
refuses "empty" ""
not_ok "a control file is not removed" rm "$C/pools/p/ctl"
not_ok "nor is one made beside it" touch "$C/pools/p/new"
done_testing
