#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What a kill -9 in the midst of a rename or an undefine leaves on disk (an
# autostart link that leads nowhere, the mark of a stopped pool) belongs to no
# later pool of that name, be it defined or renamed to it.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
pf_setup
for name in a stays; do pf_define $name; done
pf_start stays
rmdir "$M/stays" # so that its mark shows where marks are kept
pf_kill9
marks=$(dirname "$(find "$RUN" -name stays.stopped)")
ok "where the marks are" [ -e "$marks/stays.stopped" ]
for name in byrename bydefine; do
	mkdir -p "$SRC/autostart" "$DATA/$name"
	ln -s "../$name.xml" "$SRC/autostart/$name.xml"
	: >"$marks/$name.stopped"
done
pf_launch
is "$(ls "$C/autostart")" "" "a link that leads nowhere is not shown"
ok "rename to a name with leftovers" mv "$C/pools/a.xml" "$C/pools/byrename.xml"
ok "define one with leftovers" pf_define bydefine
for name in byrename bydefine; do
	is "$(pf_info $name autostart)" "no" "$name: no autostart"
done
pf_restart
is "$(ls "$C/autostart")" "" "nor after a restart"
for name in byrename bydefine; do
	is "$(pf_info $name autostart)" "no" "$name: no autostart after a restart"
	is "$(pf_info $name state)" "inactive" "$name: and it was not started"
done

# Nor does an old mark keep the new pool from its autostart.
for name in byrename bydefine; do ln -s "../pools/$name.xml" "$C/autostart/$name.xml"; done
pf_restart
for name in byrename bydefine; do
	ok "$name: autostart, once asked for, starts it" wait_for 20 [ -d "$M/$name" ]
done
ok "what was stopped by hand stays stopped" [ ! -d "$M/stays" ]
done_testing
