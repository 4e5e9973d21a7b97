#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The whole life of a dir pool by file operations only, beside the same life by virsh
# on libvirt's own daemon. Both pools lie on one file system, their paths differ in
# one word. After each step the results are held against each other: what the
# directory has, states and autostart, sizes, and the XML of pool and volumes.
if [ -z "${PF_NAMESPACE-}" ] && [ "$(id -u)" -eq 0 ]; then
	PF_NAMESPACE=1 exec unshare -m --propagation private "$0"
fi
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/libvirt.sh
. "$top/tests/libvirt.sh"
need qemu-img python3
libvirt_start
# Nobody else fills it, so that both see the same free space.
mount -t tmpfs -o size=300M none "$DATA" || skip_all "tmpfs cannot be mounted"
pf_setup
L_DIR=$DATA/1/life P_DIR=$DATA/2/life
mkdir "$DATA/1" "$DATA/2" "$T/1" "$T/2"
uuid=0d8e3b52-6f0b-4f0e-9a53-0f6d2b1c7e11

# ---- what is compared ---------------------------------------------------------------

same_word() { sed "s|$DATA/[12]/|/DATA/|g"; }
same_xml() { # DESCRIPTION: $T/theirs.xml and $T/ours.xml
	local world
	for world in theirs ours; do
		same_word <"$T/$world.xml" >"$T/$world.same.xml"
	done
	ok "$1" "$top/tests/xml-same" "$T/theirs.same.xml" "$T/ours.same.xml"
}
listing() { # DIR: names, types, owners, modes, sizes, blocks, bytes
	[ -e "$1" ] || { echo "none"; return; }
	(cd "$1" && stat -c '%n %F %U:%G %a %s %b' . * 2>/dev/null | sed 's/^\. \(directory [^ ]* [0-9]*\) .*/. \1/' &&
		find . -type f ! -name '*.qcow2' -exec md5sum {} + | sort -k 2 &&
		for image in *.qcow2; do
			[ ! -e "$image" ] || qemu-img info -U "$image" | grep -v '^disk size'
		done)
}
compat() { qemu-img info -U "$1" | sed -n 's/^ *compat: //p'; } # IMAGE
info() { # KEY: of virsh pool-info, in our words
	V pool-info life --bytes | sed -n "s/^$1: *//p" | sed 's/^running$/active/'
}
both() { # STEP: everything that is comparable now
	local what=$1 key vol
	listing "$L_DIR" | same_word >"$T/theirs.list"
	listing "$P_DIR" | same_word >"$T/ours.list"
	ok "$what: the same on disk" diff "$T/theirs.list" "$T/ours.list"
	[ -e "$C/pools/life.xml" ] || return 0
	# One that did not start is failed, where libvirt only says that it does not run.
	is "$(pf_info life state | sed 's/failed/inactive/') $(pf_info life autostart) $(pf_info life uuid)" \
		"$(info State) $(info Autostart) $(info UUID)" "$what: state, autostart, uuid"
	[ "$(pf_info life state)" = active ] || return 0
	is "$(for vol in "$C/pools/life/volumes/"*.xml; do [ -e "$vol" ] && basename "$vol" .xml; done | sort)" \
		"$(V vol-list life | awk '{ print $1 }' | sort)" "$what: the same volumes"
	V pool-refresh life >/dev/null # ours needs none
	for key in Capacity Allocation Available; do
		is "$(pf_info life "${key,}")" "$(info "$key")" "$what: ${key,} of the pool"
	done
	for vol in $(V vol-list life | awk '{ print $1 }'); do
		V vol-dumpxml "$vol" --pool life | sed '/time>/d' >"$T/theirs.xml"
		sed '/time>/d' "$C/pools/life/volumes/$vol.xml" >"$T/ours.xml"
		same_xml "$what: XML of $vol"
		is "$(stat -c '%s' "$M/life/$vol") $(du -B1 "$M/life/$vol" | cut -f1)" \
			"$(stat -c '%s' "$L_DIR/$vol") $(du -B1 "$L_DIR/$vol" | cut -f1)" "$what: size and room of $vol"
	done
}
do_both() { # STEP VIRSH-COMMAND FILE-COMMAND: the latter in the mount's directory
	local out
	out=$(eval "V $2" 2>&1)
	tap $? "virsh $2" || diag <<<"$out"
	out=$(cd "$M" && eval "$3" 2>&1)
	tap $? "$3" || { echo "$out"; cat "$C/error"; } | diag
	[ -z "$1" ] || both "$1"
}

# ---- the pool -----------------------------------------------------------------------

for world in 1 2; do
	cat >"$T/$world/life.xml" <<-END
		<pool type="dir"><name>life</name><uuid>$uuid</uuid>
		<target><path>$DATA/$world/life/</path>
		<permissions><mode>0750</mode><owner>0</owner><group>0</group></permissions></target></pool>
	END
done
do_both "define" "pool-define $T/1/life.xml" "cp $T/2/life.xml control/pools/"
V pool-dumpxml life >"$T/theirs.xml"
cp "$C/pools/life.xml" "$T/ours.xml"
same_xml "define: XML of the pool"
not_ok "virsh does not start it, as nothing is built" V pool-start life
not_ok "nor does mkdir" mkdir "$M/life"
do_both "build" "pool-build life" "echo build > control/pools/life/ctl"
do_both "start" "pool-start life" "mkdir life"
not_ok "virsh does not start it twice" V pool-start life
not_ok "nor does mkdir" mkdir "$M/life"
do_both "autostart" "pool-autostart life" "ln -s ../pools/life.xml control/autostart/"
is "$(ls "$C/autostart")" "$(V pool-list --autostart --name | awk '{ print $1 }').xml" "autostart: listed"
is "$(readlink "$SRC/autostart/life.xml" | sed 's|.*/||')" "life.xml" "autostart: as libvirt's own on disk"

# ---- volumes ------------------------------------------------------------------------

head -c 3000001 /dev/urandom >"$T/bytes"
do_both "create" "vol-create-as life a.img 10M --allocation 0" "(umask 077 && truncate -s 10M life/a.img)"
do_both "" "vol-create-as life full.img 2M" "(umask 077 && fallocate -l 2M life/full.img)"
# libvirt's own default was 0.10 once, and is 1.1 today; qemu-img's is 1.1.
do_both "create more" "vol-create-as life b.qcow2 1G --format qcow2" \
	"(umask 077 && qemu-img create -q -f qcow2 -o compat=\$(compat $L_DIR/b.qcow2) life/b.qcow2 1G)"
for world in 1 2; do
	cat >"$T/$world/over.xml" <<-END
		<volume><name>over.qcow2</name><capacity unit="GiB">2</capacity>
		<target><format type="qcow2"/><permissions><mode>0640</mode></permissions><compat>1.1</compat></target>
		<backingStore><path>$DATA/$world/life/b.qcow2</path><format type="qcow2"/></backingStore></volume>
	END
done
do_both "create by XML" "vol-create life $T/1/over.xml" \
	"cp $T/2/over.xml control/pools/life/volumes/over.qcow2.xml"
do_both "upload" "vol-upload a.img $T/bytes --pool life" "dd if=$T/bytes of=life/a.img conv=notrunc bs=1M status=none"
is "$(cmp -n 3000001 "$T/bytes" "$M/life/a.img" && echo same)" "same" "upload: what went in"
# libvirt's copy of what is not sparse holds all its room, ours what its source has written.
do_both "clone" "vol-clone full.img c.img --pool life" \
	"(umask 077 && cp life/full.img life/c.img && fallocate -l 2M life/c.img)"
do_both "clone what is sparse" "vol-clone a.img d.img --pool life" \
	"echo clone a.img d.img > control/pools/life/ctl"
do_both "resize" "vol-resize a.img 20M --pool life" "truncate -s 20M life/a.img"
do_both "" "vol-resize b.qcow2 3G --pool life" "echo resize b.qcow2 3G > control/pools/life/ctl"
do_both "shrink" "vol-resize a.img 12M --pool life --shrink" "truncate -s 12M life/a.img"
do_both "" "vol-download a.img $T/1/out --pool life" "cp life/a.img $T/2/out"
is "$(md5 "$T/2/out") $(stat -c %s "$T/2/out")" "$(md5 "$T/1/out") $(stat -c %s "$T/1/out")" "download: the same bytes"
do_both "wipe" "vol-wipe full.img --pool life" "echo wipe full.img zero > control/pools/life/ctl"
is "$(tr -d '\0' <"$M/life/full.img" | wc -c)" "0" "wipe: nothing but zeros"
do_both "delete" "vol-delete a.img --pool life" "rm life/a.img"
fails_with "not found" "virsh does not delete it twice" V vol-delete a.img --pool life
fails_with "No such file" "nor does rm" rm "$M/life/a.img"

# ---- the end ------------------------------------------------------------------------

not_ok "virsh does not undefine what runs" V pool-undefine life
fails_with "busy" "nor does rm" rm "$C/pools/life.xml"
do_both "stop" "pool-destroy life" "rmdir life"
do_both "start again" "pool-start life" "mkdir life"
for vol in $(V vol-list life | awk '{ print $1 }'); do
	do_both "" "vol-delete $vol --pool life" "rm life/$vol"
done
do_both "emptied" "pool-refresh life" "echo refresh > control/pools/life/ctl"
do_both "stopped" "pool-destroy life" "rmdir life"
do_both "autostart off" "pool-autostart life --disable" "rm control/autostart/life.xml"
do_both "delete the pool" "pool-delete life" "echo delete $uuid > control/pools/life/ctl"
do_both "undefine" "pool-undefine life" "rm control/pools/life.xml"
is "$(ls "$C/pools" "$C/autostart" | grep -c life)" "$(V pool-list --all | grep -c life)" "neither knows it any more"
is "$(find "$DATA" -mindepth 1 | sort | xargs)" "$DATA/1 $DATA/2" "and nothing is left of either"
is "$(find "$SRC" -name '*life*')" "" "nor of the definition"
libvirt_end
done_testing
