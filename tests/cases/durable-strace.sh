#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What was confirmed survives a power cut: for each change of a definition the
# file's own fsync comes before its rename, the directory's after it, and only
# then the reply. Seen with strace. And where fsync fails, the change does.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need strace python3
pf_setup -o noannounce # whose own requests would stand between

trace() { # OPTION...: of the daemon, until trace_end
	: >"$T/strace.err"
	strace -f -y -xx -s 4096 -o "$T/trace" -p "$pf_pid" \
		-e trace=read,write,writev,openat,fsync,fdatasync,renameat,renameat2,unlinkat,symlinkat,mkdirat \
		"$@" 2>"$T/strace.err" &
	tracer=$!
	if ! wait_for 20 grep -q attached "$T/strace.err"; then
		kill $tracer 2>/dev/null
		skip_all "cannot trace the daemon: $(tail -n 1 "$T/strace.err")"
	fi
}
trace_end() { pf_untrace $tracer; }
mark() { ! stat "$M/mark-$1" >/dev/null 2>&1; }
did() { sed -n "s/^$1: //p" "$T/words" | sed 's/reply:release=0 //g'; } # comes when it likes
write_whole() { pf_xml "$@" | dd of="$C/pools/$1.xml" bs=64k iflag=fullblock status=none; } # one write

mkdir "$DATA/a" "$DATA/c"
trace
mark define
write_whole a
mark redefine
write_whole a "$DATA/c"
mark autostart
ln -s ../pools/a.xml "$C/autostart/a.xml"
mark start
mkdir "$M/a"
mark stop
rmdir "$M/a"
mark rename
mv "$C/pools/a.xml" "$C/pools/b.xml"
mark byrename
pf_xml c "$DATA/a" >"$C/pools/c.part"
mv "$C/pools/c.part" "$C/pools/c.xml"
mark noauto
rm "$C/autostart/b.xml"
mark undefine
rm "$C/pools/b.xml"
mark end
trace_end
python3 "$top/tests/strace.py" "$T/trace" "$SRC" "$RUN" >"$T/words"
diag <"$T/words"
is "$(ls "$C/pools"/*.xml)" "$C/pools/c.xml" "all of it was done"

# One file made durable, whole: nothing of it may come in another order.
made() { echo "create:$1/temp write:$1/temp fsync:$1/temp rename:$1/temp>$1/$2 fsync:$1"; }
quiet='(reply:(lookup|getattr|open|create|setattr|flush|release|[0-9]+)=[0-9]+ )*'
like "$(did define)" "^$quiet$(made source a.xml) reply:write=0( |$)" "define"
like "$(did redefine)" "^$quiet$(made source a.xml) reply:write=0( |$)" "redefine"
like "$(did autostart)" \
	"^$quiet(mkdir:source/autostart fsync:source )?symlink:source/autostart/temp rename:source/autostart/temp>source/autostart/a.xml fsync:source/autostart $quiet*reply:symlink=0( |$)" \
	"autostart"
like "$(did start)" "^$quiet$(made run a.xml) reply:mkdir=0( |$)" "start: recorded before it is confirmed"
like "$(did stop)" \
	"^${quiet}create:run/temp fsync:run/temp rename:run/temp>run/a.stopped fsync:run unlink:run/a.xml fsync:run reply:rmdir=0( |$)" \
	"stop: the mark first, then the record"
like "$(did rename)" \
	" symlink:source/autostart/temp .*fsync:source/autostart rename:source/a.xml>source/b.xml fsync:source .*$(made source b.xml) .*reply:rename=0( |$)" \
	"rename: the new link, the file, its name in it"
like "$(did rename)" \
	"rename:run/temp>run/b.stopped fsync:run .*rename:source/a.xml>source/b.xml .*unlink:run/a.stopped fsync:run .*reply:rename=0" \
	"rename: that it was stopped goes before, and from the old name after"
like "$(did rename)" "fsync:source .*unlink:source/autostart/a.xml fsync:source/autostart .*reply:rename=0" \
	"rename: the old link goes last"
like "$(did byrename)" "$(made source c.xml) reply:rename=0( |$)" "define by renaming a scratch file"
like "$(did noauto)" "^${quiet}unlink:source/autostart/b.xml fsync:source/autostart reply:unlink=0( |$)" \
	"autostart cleared"
like "$(did undefine)" "^${quiet}unlink:source/b.xml fsync:source .*reply:unlink=0( |$)" "undefine"
for part in define redefine autostart start stop rename byrename noauto undefine; do
	like "$(did $part)" "^(.*reply:(write|symlink|mkdir|rmdir|rename|unlink)=0)[^>]*$" \
		"$part: nothing is renamed after the reply"
done

# fsync fails: so does the change, and the old definition stays.
old=$(<"$C/pools/c.xml")
trace -e inject=fsync:error=EIO
fails_with "nput/output error" "redefine, fsync failing" write_whole c "$DATA/c"
fails_with "nput/output error" "define, fsync failing" write_whole d "$DATA/c"
trace_end
like "$(<"$C/error")" "cannot write in '$SRC'" "the reason is said"
is "$(<"$C/pools/c.xml")" "$old" "the old definition stays"
ok "the new one is not there" [ ! -e "$C/pools/d.xml" ]
is "$(cd "$SRC" && find . -name '.tmp*')" "" "no temporary file is left"
pf_restart
is "$(<"$C/pools/c.xml")" "$old" "and after a restart"
done_testing
