#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Completion in a real, interactive bash, by keys on a terminal of its own; and each
# option that --help has is offered.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need python3
mkdir -p "$T/here/one" "$T/here/two" "$T/bin"
# What comes behind `poolfs` is written down, a word a line.
printf '#!/bin/sh\nprintf "%%s\\n" "$@" >"%s"\n' "$T/words" >"$T/bin/poolfs"
chmod +x "$T/bin/poolfs"

typed() { # KEYS: the words of the command that was run, with blanks between
	rm -f "$T/words"
	python3 - "$T" "$top/docs/poolfs.bash" "$1" >"$T/screen" 2>&1 <<'END'
import os, pty, select, sys, time
t, script, keys = sys.argv[1:]
pid, fd = pty.fork()
if pid == 0:
    os.chdir(t + "/here")
    os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"],
               {"PATH": t + "/bin:" + os.environ["PATH"], "TERM": "dumb", "PS1": "ready> ",
                "INPUTRC": "/dev/null", "HISTFILE": ""})
out = b""
def until(text, seconds=20):
    global out
    end = time.time() + seconds
    while text not in out and time.time() < end:
        if select.select([fd], [], [], 0.1)[0]:
            try:
                out += os.read(fd, 65536)
            except OSError:
                return
    out = out[out.index(text) + len(text):] if text in out else out
until(b"ready> ")
os.write(fd, b". '%s'\n" % script.encode())
until(b"ready> ")
os.write(fd, b"poolfs " + keys.encode())
os.write(fd, b"\n")
end = time.time() + 20
while not os.path.exists(t + "/words") and time.time() < end:
    if select.select([fd], [], [], 0.1)[0]:
        out += os.read(fd, 65536)
os.write(fd, b"exit\n")
until(b"exit", 2)
sys.stdout.buffer.write(out)
END
	tr '\n' ' ' <"$T/words" 2>/dev/null
}
tab=$'\t'
is "$(typed "--ver$tab")" "--version " "a long option"
is "$(typed "-f -o all$tab" )" "-f -o allow_other " "an option of -o"
is "$(typed "-o allow_other,nopass$tab")" "-o allow_other,nopassthrough " "behind a comma"
is "$(typed "-oallow_other,shr$tab")" "-oallow_other,shrink " "without a blank"
is "$(typed "-o readdirplus=al$tab")" "-o readdirplus=always " "the value of an option"
is "$(typed "-o readdi${tab}of$tab")" "-o readdirplus=off " "a name and its value: no blank comes in between"
is "$(typed "-o readdirplus=off,shr$tab")" "-o readdirplus=off,shrink " "behind a value"
is "$(typed "-o rundir=on$tab")" "-o rundir=one/ " "a directory as a value"
is "$(typed "-o fault on$tab tw$tab")" "-o fault one/ two/ " "SOURCE and MOUNTPOINT"
is "$(typed "-o nonsen$tab")" "-o nonsen " "what there is not"

# shellcheck source=docs/poolfs.bash
. "$top/docs/poolfs.bash"
COMP_WORDS=(poolfs -o '') COMP_CWORD=2
_poolfs
offered=" ${COMPREPLY[*]} "
COMP_WORDS=(poolfs -) COMP_CWORD=1
_poolfs
offered+="${COMPREPLY[*]} "
for option in $("$POOLFS" --help | sed -nE 's/^  ([a-z]+=?).*/\1/p; s/^  (-[a-z]), (--[a-z]+).*/\1 \2/p; s/^  ([a-z]+_[a-z]+).*/\1/p'); do
	[[ $offered == *" $option "* || $offered == *" $option"* ]]
	tap $? "it offers $option"
done
done_testing
