#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# control/secrets: every ordinary tool writes a secret and removes it, each write
# is judged and durable by itself, names are checked, and nobody reads one back,
# root included.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/xml.sh
. "$top/tests/xml.sh"
need python3 strace rsync
S=$C/secrets
U=2ec115d7-3a88-3ceb-bc12-0ac909a6fd87 V=6d0c6b1e-4c1f-4d0b-9d3a-1f2e3d4c5b6a
pf_setup

has() { cat "$SRC/secrets/$1" 2>&1; }
reason() { cat "$C/error"; }
python() { python3 -c "import os, sys
path = sys.argv[1]
$1" "$2"; }

# ---- written by every tool --------------------------------------------------------

is "$(stat -c '%A %s' "$S")" "drwx------ 0" "the directory is its owner's"
is "$(ls -A "$S")" ".pool" "and has nothing but the guard"
ok "echo" bash -c 'echo "$1" >"$2"' - "key of echo" "$S/$U"
is "$(has $U)" "key of echo" "is the secret, without its newline"
is "$(stat -c %s "$SRC/secrets/$U")" 11 "to the byte"
is "$(stat -c %a "$SRC/secrets" "$SRC/secrets/$U" | xargs)" "700 600" "kept where nobody else can read"
is "$(stat -c '%A %s' "$S/$U")" "--w------- 0" "shown without a length"
ok "printf without a newline, anew" bash -c 'printf "$1" >"$2"' - "key of printf" "$S/$U"
is "$(has $U)" "key of printf" "replaces it"
echo "key of a file" >"$T/key"
ok "cp" cp "$T/key" "$S/usage:client.libvirt secret"
is "$(has "usage:client.libvirt secret")" "key of a file" "by a usage with blanks"
ok "cp -p" cp -p "$T/key" "$S/$V"
is "$(has $V)" "key of a file" "is the secret"
ok "cat" bash -c 'cat "$1" >"$2"' - "$T/key" "$S/usage:cat"
ok "tee" bash -c 'tee "$2" <"$1" >/dev/null' - "$T/key" "$S/usage:tee"
ok "dd" dd if="$T/key" of="$S/usage:dd" status=none
ok "dd, byte by byte" dd if="$T/key" of="$S/usage:ddb" bs=1 status=none
ok "dd conv=notrunc,fsync" dd if="$T/key" of="$S/usage:dd" conv=notrunc,fsync status=none
ok "install" install -m 600 "$T/key" "$S/usage:install"
ok "rsync --inplace" rsync --inplace "$T/key" "$S/usage:rsync"
ok "python" python 'open(path, "w").write("key of a file\n")' "$S/usage:python"
ok "python, a descriptor" python 'fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
for piece in b"key", b" of a ", b"file": os.write(fd, piece)' "$S/usage:fd"
for name in cat tee dd ddb install rsync python fd; do
	is "$(has "usage:$name")" "key of a file" "$name's is the secret"
done
is "$(ls "$S" | sort)" "$(ls "$SRC/secrets" | sort)" "the listing has them all"
head -c 65536 /dev/zero | tr '\0' k >"$T/large"
ok "one of 64 KiB" cp "$T/large" "$S/usage:large"
is "$(stat -c %s "$SRC/secrets/usage:large")" 65536 "is whole"

# ---- each write by itself ------------------------------------------------------------

exec 3>"$S/$U"
is "$(has $U)" "key of printf" "opened to be written: the old one stays"
printf 'one' >&3
is "$(has $U)" "one" "a write makes what was written the secret"
printf 'two\n' >&3
is "$(has $U)" "onetwo" "the next one adds to it"
exec 3>&-
ok ": > changes nothing" bash -c ': >"$1"' - "$S/$U"
ok "truncate to 0 neither" truncate -s 0 "$S/$U"
is "$(has $U)" "onetwo" "the secret stays"
ok "touch of a new name" touch "$S/usage:touched"
ok "makes none" [ ! -e "$S/usage:touched" ]
ok "ftruncate starts anew" python 'fd = os.open(path, os.O_WRONLY)
os.write(fd, b"first"); os.ftruncate(fd, 0); os.lseek(fd, 0, 0); os.write(fd, b"second")' "$S/$U"
is "$(has $U)" "second" "and the last is the secret"

fails_with "Invalid argument" "an empty one" bash -c 'echo >"$1"' - "$S/$U"
like "$(reason)" "'$U' would be empty" "the reason is said"
fails_with "Invalid argument" "one with a NUL byte" dd if=/dev/zero of="$S/$U" bs=4 count=1 status=none
cat "$T/large" "$T/key" >"$T/larger"
fails_with "File too large" "one that is too large" dd if="$T/larger" of="$S/$U" bs=1M status=none
fails_with "Invalid argument" "a size" truncate -s 10 "$S/$U"
fails_with "Invalid argument" "a gap" dd if="$T/key" of="$S/$U" bs=1 seek=5 count=1 conv=notrunc status=none
fails_with "Invalid argument" ">>" bash -c 'echo more >>"$1"' - "$S/$U"
like "$(reason)" "use '>', not '>>'" "the reason is said"
is "$(has $U)" "second" "after all of that the secret is what it was"

# ---- never read -----------------------------------------------------------------------

fails_with "ermission denied" "cat" cat "$S/$U"
like "$(reason)" "'$U' is shown to nobody" "the reason is said"
fails_with "ermission denied" "cp" cp "$S/$U" "$T/stolen"
fails_with "ermission denied" "mv to elsewhere" mv "$S/$U" "$T/stolen"
fails_with "ermission denied" "for reading and writing" bash -c 'exec 3<>"$1"' - "$S/$U"
fails_with "ermission denied" "the same, of a new one" python 'os.open(path, os.O_RDWR | os.O_CREAT)' "$S/usage:new"
ok "which is not made" [ ! -e "$S/usage:new" ]
fails_with "ermission denied" "sed -i" sed -i s/a/b/ "$S/$U"
ok "grep -r finds none" bash -c '! grep -rs second "$1"' - "$S"
ok "chmod is taken and ignored" chmod 644 "$S/$U"
ok "so are times" touch -d 2001-01-01 "$S/$U"
is "$(stat -c %A "$S/$U")" "--w-------" "the mode stays"
is "$(has $U)" "second" "nothing has changed it"
ok "nothing was stolen" [ ! -s "$T/stolen" ]

# ---- names ------------------------------------------------------------------------------

for name in key usage: usage "${U^^}" "${U//-/}" "{$U}" "$U.xml" usage:$'a\tb'; do
	fails_with "Invalid argument" "the name '$name'" bash -c 'echo key >"$1"' - "$S/$name"
done
fails_with "Invalid argument" "the uuid in capitals" bash -c 'echo key >"$1"' - "$S/${U^^}"
like "$(reason)" "write the uuid of a secret as '$U'" "the reason says how"
for name in ".$U.swp" "$U~" 4913 "#$U#" ".goutputstream-AB12CD" "usage:x~" "usage:x.swp" ".usage:x.Ab3dEf"; do
	fails_with "Invalid argument" "the scratch name '$name'" bash -c 'echo key >"$1"' - "$S/$name"
done
like "$(reason)" "scratch name" "the reason says so"
fails_with "not permitted" "cp -b" cp -b "$T/key" "$S/$U"
fails_with "not permitted" "mv" mv "$S/$U" "$S/usage:moved"
like "$(reason)" "a secret cannot be renamed: write it under its new name, and rm '$U'" "the reason says what to do"
not_ok "ln" ln "$S/$U" "$S/usage:linked"
not_ok "ln -s" ln -s "$U" "$S/usage:linked"
not_ok "mkdir" mkdir "$S/usage:dir"
long=usage:$(head -c 249 "$T/large")
ok "a name of 255 bytes" bash -c 'echo key >"$1"' - "$S/$long"
not_ok "one of 256" bash -c 'echo key >"$1"' - "$S/${long}k"
ok "rm" rm "$S/$long"
is "$(has $U)" "second" "the secret is what it was"

# ---- removed ------------------------------------------------------------------------------

not_ok "rm -r of the directory" rm -rf "$S"
is "$(has $U)" "second" "loses nothing"
ok "rm" rm "$S/$U"
ok "removes it" [ ! -e "$SRC/secrets/$U" ]
not_ok "once" rm "$S/$U"
fails_with "Stale" "what is written after an rm is lost" \
	bash -c 'exec 3>"$1"; echo one >&3; rm "$1"; printf two >&3' - "$S/$U"
ok "and makes no secret" [ ! -e "$S/$U" ]

# The password in a definition of 2012 is such a secret, too.
ok "the password of 2012" xml_define "$top/tests/data/pools/iscsi-2012.xml"
name=$(cd "$S" && echo usage:poolfs-*)
is "$(has "$name")" "open sesame" "is a secret as others are"
ok "that can be changed" bash -c 'echo "new sesame" >"$1"' - "$S/$name"
is "$(has "$name")" "new sesame" "like others"

# ---- durable -------------------------------------------------------------------------------

strace -f -y -xx -s 4096 -o "$T/trace" -p "$pf_pid" \
	-e trace=read,write,writev,openat,fsync,fdatasync,renameat,renameat2,unlinkat,mkdirat 2>"$T/strace.err" &
tracer=$!
if wait_for 20 grep -q attached "$T/strace.err"; then
	mark() { ! stat "$M/mark-$1" >/dev/null 2>&1; }
	mark set
	echo "durable" >"$S/$V"
	mark remove
	rm "$S/$V"
	mark end
	pf_untrace $tracer
	python3 "$top/tests/strace.py" "$T/trace" "$SRC" "$RUN" >"$T/words"
	dir=source/secrets
	like "$(sed -n 's/^set: //p' "$T/words")" \
		"create:$dir/temp write:$dir/temp fsync:$dir/temp rename:$dir/temp>$dir/$V fsync:$dir reply:write=0( |$)" \
		"written, fsynced, renamed, the directory fsynced, and then confirmed"
	like "$(sed -n 's/^remove: //p' "$T/words")" "unlink:$dir/$V fsync:$dir .*reply:unlink=0( |$)" "removed the same way"
	: >"$T/strace.err" # or the last one's word would count
	strace -f -o /dev/null -p "$pf_pid" -e trace=fsync -e inject=fsync:error=EIO 2>"$T/strace.err" &
	tracer=$!
	wait_for 20 grep -q attached "$T/strace.err"
	fails_with "nput/output error" "where fsync fails" bash -c 'echo other >"$1"' - "$S/usage:cat"
	pf_untrace $tracer
	is "$(has usage:cat)" "key of a file" "the old one stays"
	is "$(ls -A "$SRC/secrets" | grep '^\.')" "" "and no temporary file"
else
	kill $tracer 2>/dev/null
	skip "written, fsynced, renamed" "cannot trace the daemon"
fi
echo "after all" >"$S/$U"
touch "$SRC/secrets/.tmp-1-1"
pf_kill9
pf_launch
is "$(has $U)" "after all" "a kill -9 loses none"
ok "the next daemon lists it" [ -e "$S/$U" ]
ok "and removes what one left" [ ! -e "$SRC/secrets/.tmp-1-1" ]

# ---- other users ------------------------------------------------------------------------------

if [ "$(id -u)" -eq 0 ]; then
	chmod 711 "$T"
	pf_stop
	pf_setup -o allow_other
	as() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
	ok "with allow_other another user gets to control" as ls "$C/version"
	fails_with "ermission denied" "but not into secrets" as ls "$S"
	fails_with "ermission denied" "nor by name" as cat "$S/$U"
	fails_with "ermission denied" "nor to write one" as bash -c 'echo mine >"$1"' - "$S/usage:mine"
	is "$(has $U)" "after all" "the secret is what it was"
fi
done_testing
