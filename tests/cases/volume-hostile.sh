#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A directory full of what should not be in one: truncated and lying images, names
# of all kinds, pipes, sockets, links. None hides another volume, none stops the
# pool, none is opened by a listing, and each volume's XML is well-formed.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need qemu-img python3 strace xmllint
I=$DATA/p
mkdir "$I"
cd "$I" || exit 1
patch() { # FILE SOURCE OFFSET HEX
	cp "$2" "$1"
	python3 -c 'import sys; f = open(sys.argv[1], "r+b"); f.seek(int(sys.argv[2])); f.write(bytes.fromhex(sys.argv[3]))' "$1" "$3" "$4"
}
qemu-img create -q -f qcow2 good.qcow2 20M
head -c 40 good.qcow2 >cut.qcow2
patch size.qcow2 good.qcow2 24 ffffffffffffffff
patch cluster.qcow2 good.qcow2 20 0000003f
qemu-img create -q -f qcow2 -u -b self.qcow2 -F qcow2 temp.qcow2 20M && mv temp.qcow2 self.qcow2
qemu-img create -q -f qcow2 -u -b /etc/shadow -F raw shadow.qcow2 20M
qemu-img create -q -f qcow2 -u -b /etc/shadow -F raw foreign.qcow2 20M
qemu-img create -q -f qcow2 -u -b "$T/secret/x" -F raw hidden.qcow2 20M
patch nofmt.qcow2 hidden.qcow2 96 0000000000000000
qemu-img create -q -f qcow2 -u -b 'json:{"driver":"nbd","host":"example.com"}' -F raw json.qcow2 20M
qemu-img create -q -f qcow2 -u -b fifo -F raw pipe.qcow2 20M
qemu-img create -q -f qcow2 -u -b "$(printf '\377\001<&')" -F raw bytes.qcow2 20M
qemu-img create -q -f qcow2 -u -b /dev/zero -F raw device.qcow2 20M
qemu-img create -q -f qcow2 -u -b "$(head -c 1000 /dev/zero | tr '\0' /)x" -F raw slashes.qcow2 20M
[ "$(id -u)" -ne 0 ] || chown 1234 foreign.qcow2
mkfifo fifo
python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("socket")'
ln -s /nowhere dangling
ln -s good.qcow2 link
ln -s loop loop
ln -s /etc dirlink
mkdir sub
: >unreadable
chmod 0 unreadable
truncate -s 8E large 2>/dev/null || truncate -s 15T large
names=('a b' ' lead' 'trail ' 'tab	no' 'ü' "$(printf 'e\314\201')" "$(printf 'bad\377utf')" '-rf' '$(id)' '"q"' "'" '&amp;'
	'<x>' '*' '?' '\' 'a.xml' 'a.disk' 'a' '.dot' '..two' '%n%s' "$(head -c 255 /dev/zero | tr '\0' n)"
	"$(python3 -c 'print("ü" * 127)')")
for name in "${names[@]}"; do echo x >"./$name"; done
touch $'new\nline' 2>/dev/null

pf_setup
pf_pool p
X=$C/pools/p/volumes
cd /

# ---- listings -----------------------------------------------------------------------

opened() { # COMMAND: names that the daemon opens or reads while it runs
	strace -f -qq -y -e trace=open,openat,openat2,read,pread64,preadv -o "$T/strace" -p "$pf_pid" &
	local tracer=$!
	wait_for 20 grep -qs "TracerPid:[[:space:]]*[1-9]" "/proc/$pf_pid/status"
	sleep 0.5
	"$@" >"$T/listed" 2>&1
	sleep 0.2
	pf_untrace "$tracer"
	grep -E "AT_FDCWD|$I" "$T/strace" | grep -E 'qcow2|fifo|socket|large|unreadable|"a' | head -n 5
}
if strace -qq -o /dev/null true 2>/dev/null; then
	is "$(opened ls "$X")" "" "ls of volumes/ opens nothing"
	ok "and lists" grep -qx 'cut.qcow2.xml' "$T/listed"
	is "$(opened ls -l "$M/p")" "" "ls -l of the pool opens nothing"
	is "$(opened find "$X" -name '*.xml')" "" "find in volumes/ opens nothing"
	opened cat "$X/cut.qcow2.xml" >"$T/seen"
	ok "reading one volume's XML does open that volume" grep -q cut.qcow2 "$T/seen"
	ok "and no other" eval "! grep -v cut.qcow2 '$T/seen'"
else
	skip "what a listing opens" "strace cannot trace here"
fi

# ---- nothing hides anything --------------------------------------------------------------

python3 - "$I" "$M/p" "$X" >"$T/compare" <<'END'
import os, stat, sys
data, pool, texts = (os.fsencode(a) for a in sys.argv[1:])
real = {n for n in os.listdir(data) if stat.S_ISREG(os.lstat(os.path.join(data, n)).st_mode)}
links = {n for n in os.listdir(data) if stat.S_ISLNK(os.lstat(os.path.join(data, n)).st_mode)}
fit = {n for n in real if not any(c < 32 or c == 127 for c in n)}
print("pool", sorted(set(os.listdir(pool)) ^ (fit | links | {b".pool"})))
print("texts", sorted(set(os.listdir(texts)) ^ {n + e for n in fit for e in (b".xml", b".disk")}))
print("count", len(fit) >= 35, len(real) - len(fit))
END
is "$(cat "$T/compare")" "pool []
texts []
count True 2" "all volumes are there but those two with a control character in their name, and nothing else"

# ---- each has an XML -------------------------------------------------------------------------

python3 - "$X" >"$T/parsed" <<'END'
import os, sys
import xml.etree.ElementTree as ET
texts = os.fsencode(sys.argv[1])
for name in sorted(os.listdir(texts)):
    path = os.path.join(texts, name)
    try:
        data = open(path, "rb").read()
        assert len(data) == os.stat(path).st_size, "size"
        root = ET.fromstring(data)
        if name.endswith(b".xml"):
            want = name[:-4].decode("utf-8", "replace")
            assert root.findtext("name") == want, (root.findtext("name"), want)
            assert root.find("capacity").text.isdigit()
    except Exception as error:
        print(name, repr(error))
END
is "$(cat "$T/parsed")" "" "each one's XML can be read, is well-formed, and has its name and a size"
text() { xmllint --xpath "string(/volume/$2)" "$X/$1.xml"; }
for bad in cut size cluster; do
	is "$(text $bad.qcow2 target/format/@type) $(text $bad.qcow2 capacity)" "qcow2 $(stat -c %s "$I/$bad.qcow2")" \
		"$bad.qcow2: the format, and the file's own size, since that in the header is unfit"
done
is "$(text large capacity)" "$(stat -c %s "$I/large")" "a file of that size is as large"
is "$(text self.qcow2 backingStore/path)" "$I/self.qcow2" "a backing file that is the volume itself is named"
is "$(text pipe.qcow2 backingStore/path) $(text pipe.qcow2 backingStore/permissions/mode)" "$I/fifo " "a pipe behind it is named, no more"
is "$(text json.qcow2 backingStore/path)" 'json:{"driver":"nbd","host":"example.com"}' "what is no path stays as it is"
is "$(text device.qcow2 backingStore/permissions/mode)" "" "a device behind it is named, no more"
is "$(text shadow.qcow2 backingStore/path)" "/etc/shadow" "a backing file /etc/shadow is named"
if [ "$(id -u)" -eq 0 ]; then
	is "$(text foreign.qcow2 backingStore/path) $(text foreign.qcow2 backingStore/permissions/mode)" "/etc/shadow " \
		"and not looked at for a volume whose owner could not look there"
fi
# The content of a file outside the pool never shows; nor is it opened where the header says what it is.
mkdir "$T/secret"
echo geheim >"$T/secret/x"
chmod 700 "$T/secret"
opened cat "$X/hidden.qcow2.xml" >/dev/null
is "$(grep -c secret/x "$T/strace" | sed 's/[1-9][0-9]*/opened/')" \
	"$(grep -cE 'openat2.*secret/x.*O_PATH' "$T/strace" | sed 's/[1-9][0-9]*/opened/')" \
	"the file behind a volume is a place to look at (O_PATH), and is not opened"

# ---- and the pool goes on -------------------------------------------------------------------------

is "$(pf_info p state)" active "the pool runs"
ok "refresh" eval "echo refresh >'$C/pools/p/ctl'"
for verb in "clone cut.qcow2 copy" "wipe copy zero" "resize good.qcow2 30M"; do
	echo "$verb" >"$C/pools/p/ctl" 2>/dev/null
done
is "$(pf_info p state)" active "still"
cd "$M/p" || exit 1
ok "a name of 255 bytes: its XML, of 259" [ -s "$X/${names[22]}.xml" ]
ok "and its volume goes" rm "${names[22]}"
not_ok "with its XML" cat "$X/${names[22]}.xml"
cd /
pf_restart
wait_for 10 [ -d "$M/p" ]
ok "a restart takes the pool over" cat "$X/good.qcow2.xml"
done_testing
