#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A definition may come from any tool: each one that can see a write error
# fails on bad XML, nothing is defined then, and control/error names the line;
# good XML defines with each of them, new and over an old definition.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need rsync gio python3
vim=$(command -v vim || command -v vim.tiny || command -v vim.nox) || skip_all "needs the program vim"
pf_setup
P=$C/pools
export HOME=$T XDG_RUNTIME_DIR=$T

# Each writes the file $1 to $2.
by_cat() { cat "$1" >"$2"; }
by_echo() { echo "$(<"$1")" >"$2"; }
by_cp() { cp "$1" "$2"; }
by_tee() { tee "$2" <"$1" >/dev/null; }
by_dd() { dd if="$1" of="$2" status=none; }
by_dd_bytes() { dd if="$1" of="$2" bs=1 status=none; }
by_sh() { sh -c 'echo "$(cat "$1")" >"$2"' sh "$1" "$2"; }
by_install() { install -m 600 "$1" "$2"; }
by_mv() { cp "$1" "$T/moved" && mv -f "$T/moved" "$2"; }
by_scratch() { cp "$1" "$P/.new.tmp" && mv -f "$P/.new.tmp" "$2"; }
by_rsync() { rsync "$1" "$2"; }
by_rsync_inplace() { rsync --inplace "$1" "$2"; }
by_gio() { gio copy "$1" "$2"; }
by_python_with() { python3 -c 'import sys
with open(sys.argv[2], "w") as f: f.write(open(sys.argv[1]).read())' "$1" "$2"; }
by_python_pathlib() { python3 -c 'import sys, pathlib
pathlib.Path(sys.argv[2]).write_text(pathlib.Path(sys.argv[1]).read_text())' "$1" "$2"; }
by_python_shutil() { python3 -c 'import sys, shutil; shutil.copy(*sys.argv[1:])' "$1" "$2"; }
by_vim() { "$vim" -u NONE -es -c 'silent! %delete' -c "read $1" -c 'write!' -c 'qall!' "$2" </dev/null; }
tools="cat echo cp tee dd dd_bytes sh install mv scratch rsync rsync_inplace gio
	python_with python_pathlib python_shutil vim"

pf_xml x /nowhere/x >"$T/good"
printf "<pool type='dir'>\n  <target>\n    <path>nowhere</path>\n  </target>\n</pool>\n" >"$T/bad"
printf "<pool type='dir'>\n  <target>\n    <path>/nowhere</target>\n</pool>\n" >"$T/broken"
head -n 3 "$T/good" >"$T/short"

for tool in $tools; do
	for kind in bad broken; do
		not_ok "$tool fails on $kind XML" "by_$tool" "$T/$kind" "$P/x.xml"
		ok "$tool: nothing is defined by it" [ ! -e "$P/x" ]
		like "$(cat "$C/error")" "line 3" "$tool: control/error names the line"
		rm -f "$P"/.x.xml* "$P"/.new.tmp "$P"/x.xml~ "$P"/.goutput* "$P"/x.xml 2>/dev/null
	done
	ok "$tool defines" "by_$tool" "$T/good" "$P/x.xml"
	ok "$tool: the pool is there" grep -q '/nowhere/x<' "$P/x.xml"
	uuid=$(pf_info x uuid)
	sed 's,/nowhere/x,/nowhere/y,' "$T/good" >"$T/again"
	ok "$tool redefines" "by_$tool" "$T/again" "$P/x.xml"
	ok "$tool: the definition is the new one" grep -q '/nowhere/y<' "$P/x.xml"
	case $tool in
	install | mv) ;; # they unlink first: another pool, another uuid
	*) is "$(pf_info x uuid)" "$uuid" "$tool: the pool keeps its uuid" ;;
	esac
	not_ok "$tool fails on bad XML over a good definition" "by_$tool" "$T/bad" "$P/x.xml"
	case $tool in
	install | mv) ;;
	*) ok "$tool: the old definition stays" grep -q '/nowhere/y<' "$P/x.xml" ;;
	esac
	rm -f "$P"/.x.xml* "$P"/.new.tmp "$P"/x.xml~ "$P"/.goutput* "$P"/x.xml 2>/dev/null
	is "$(find "$SRC" -name '*.xml')" "" "$tool: rm undefines"
done

# What is written without looking at errors still defines, and never half.
ok "python without with" python3 -c 'import sys
open(sys.argv[2], "w").write(open(sys.argv[1]).read())' "$T/good" "$P/x.xml"
ok "defines" grep -q '/nowhere/x<' "$P/x.xml"
ok "sed -i" sed -i 's,/nowhere/x,/nowhere/z,' "$P/x.xml"
ok "redefines" grep -q '/nowhere/z<' "$P/x.xml"
not_ok "sed -i that breaks the XML fails" sed -i 's,<path>,<pfad>,' "$P/x.xml"
like "$(cat "$C/error")" "line [0-9]+" "and control/error names the line"
ok "the definition stays" grep -q '/nowhere/z<' "$P/x.xml"
ok "vim edits in place" "$vim" -u NONE -es -c '%s,/nowhere/z,/nowhere/v,' -c 'wq' "$P/x.xml"
ok "the edit counts" grep -q '/nowhere/v<' "$P/x.xml"
for tool in cat cp tee dd rsync gio python_with; do
	not_ok "$tool fails on an incomplete document" "by_$tool" "$T/short" "$P/s.xml"
	rm -f "$P/s.xml" "$P"/.s.xml* 2>/dev/null
	is "$(find "$SRC" -name 's.xml')" "" "$tool: nothing is defined by it"
done
done_testing
