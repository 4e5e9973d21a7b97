#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What deletes a whole tree loses no definition, whether it is pointed at
# control, control/pools or control/pools/NAME; in control/active it stops,
# and there it can lose nothing.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need python3 gio
pf_setup
export HOME=$T XDG_RUNTIME_DIR=$T
for name in a b c stopped; do pf_define "$name"; done
for name in a b c; do
	pf_start "$name"
	head -c 1000 /dev/urandom >"$M/$name/v"
done
ln -s ../pools/a.xml "$C/autostart/a.xml"

whole() {
	is "$(cd "$SRC" && echo *.xml)" "a.xml b.xml c.xml stopped.xml" "$1: no definition is lost"
	is "$(cd "$DATA" && echo */v)" "a/v b/v c/v" "$1: no volume is lost"
	is "$(readlink "$C/autostart/a.xml")" "../pools/a.xml" "$1: autostart is as it was"
}
rmtree='import shutil, sys; shutil.rmtree(sys.argv[1], ignore_errors=True)'
for dir in "$C" "$C/pools" "$C/pools/a" "$C/pools/stopped" "$C/autostart"; do
	show=${dir#"$M/"}
	not_ok "rm -r $show" rm -r "$dir" </dev/null
	whole "rm -r $show"
	not_ok "rm -rf $show" rm -rf "$dir"
	whole "rm -rf $show"
	not_ok "find $show -delete" find "$dir" -delete
	whole "find $show -delete"
	ok "rmtree of $show" python3 -c "$rmtree" "$dir"
	whole "rmtree of $show"
	not_ok "gio trash $show" gio trash "$dir"
	not_ok "gio remove $show" gio remove "$dir"
	whole "gio remove $show"
	not_ok "mv of $show" mv "$dir" "$M/elsewhere"
	whole "mv of $show"
done

# A tree's delete that met the root's guard must not go on into active/.
for name in a b c; do [ -d "$M/$name" ] || pf_start "$name"; done
is "$(ls "$C/active")" "a"$'\n'"b"$'\n'"c" "active has the running pools"
is "$(find "$C/active/a" -mindepth 1)" "" "each an empty directory"
ok "rm -r control/active/a" rm -r "$C/active/a"
is "$(pf_info a state)" "inactive" "stops it"
ok "rmdir control/active/b" rmdir "$C/active/b"
is "$(pf_info b state)" "inactive" "stops it"
ok "gio remove control/active/c" gio remove "$C/active/c"
is "$(pf_info c state)" "inactive" "stops it"
ok "mkdir control/active/a" mkdir "$C/active/a"
is "$(pf_info a state)" "active" "starts it"
ok "and its volume is there" [ -s "$M/a/v" ]
whole "after all"

ok "rm of the autostart link clears it" rm "$C/autostart/a.xml"
is "$(pf_info a autostart)" "no" "info says so"
ok "rm of one definition undefines" rm "$C/pools/stopped.xml"
is "$(cd "$SRC" && echo *.xml)" "a.xml b.xml c.xml" "that one only"
done_testing
