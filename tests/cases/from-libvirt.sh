#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# docs/from-libvirt.md: each of its commands is run, virsh's on libvirt's own daemon
# and the file operations on a mount, row by row. After each row both have made the
# same files and the same pools; where both print something, what virsh tells is in
# what the files tell. And no command that virsh has is missing. In a mount namespace
# of its own, so that libvirt's daemon sees the file system made here.
if [ -z "${PF_NAMESPACE-}" ] && [ "$(id -u)" -eq 0 ]; then
	PF_NAMESPACE=1 exec unshare -m --propagation private "$0"
fi
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/libvirt.sh
. "$top/tests/libvirt.sh"
uri="storage:///system?socket=$L/sock/libvirt-sock"
page=$top/docs/from-libvirt.md
need qemu-img
libvirt_start
# One file system for both, which nobody else fills, with a size of its own.
mount -t tmpfs -o size=300M none "$DATA" || skip_all "tmpfs cannot be mounted"
pf_setup

# ---- every command is there ------------------------------------------------------------

for command in $(V help pool | awk '/^ +[a-z]+-/ { print $1 }') \
	$(V help volume | awk '/^ +[a-z]+-/ { print $1 }'); do
	ok "the page has $command" grep -qE "\`virsh $command( |\`)" "$page"
done

# ---- two worlds ------------------------------------------------------------------------

theirs=$DATA/theirs ours=$DATA/ours
for world in "$theirs" "$ours"; do
	mkdir -p "$world/user" "$world/srv/images" "$world/srv/three"
	cat >"$world/user/images.xml" <<-END
		<pool type='dir'>
		  <name>images</name>
		  <uuid>7d3a6d86-9c57-4d8c-8a1e-5b8f1c2e0a41</uuid>
		  <target>
		    <path>$world/srv/images</path>
		  </target>
		</pool>
	END
	pf_xml three "$world/srv/three" >"$world/user/three.xml"
	echo "<source><host name='127.0.0.1'/></source>" >"$world/user/host.xml"
	cat >"$world/user/over.xml" <<-END
		<volume>
		  <name>over.qcow2</name>
		  <capacity unit='M'>1024</capacity>
		  <target><format type='qcow2'/><permissions><mode>0640</mode></permissions></target>
		  <backingStore><path>$world/srv/images/disk.qcow2</path><format type='qcow2'/></backingStore>
		</volume>
	END
	cat >"$world/user/second.xml" <<-END
		<volume>
		  <name>second.img</name>
		  <capacity unit='M'>10</capacity><allocation>0</allocation>
		</volume>
	END
done
head -c 3000001 /dev/urandom | tee "$theirs/user/data" >"$ours/user/data"
head -c 102400 /dev/urandom | tee "$theirs/user/piece" >"$ours/user/piece"

# What pool-edit and $EDITOR run.
cat >"$T/editor" <<'END'
#!/bin/sh
exec sed -i 's|</path>|</path><permissions><mode>0750</mode></permissions>|' "$1"
END
chmod +x "$T/editor"

# What they made: files with size and content, then pools.
files_of() { # WORLD
	(cd "$1" && find srv user -printf '%p %y\n' | sort &&
		find srv user -type f ! -name '*.xml' ! -name '*.qcow2' -exec md5sum {} + | sort -k 2 &&
		find srv -name '*.qcow2' -exec qemu-img info -U {} \; | grep -E '^(image|file format|virtual)')
}
state_of_theirs() {
	files_of "$theirs"
	V pool-list --all | awk '{ print $1, $2, $3 }' | sort
}
state_of_ours() {
	local name
	files_of "$ours"
	for name in "$C"/pools/*.xml; do
		[ -e "$name" ] || continue
		name=${name##*/} name=${name%.xml}
		echo "$name $(pf_info "$name" state) $(pf_info "$name" autostart)"
	done
}

run_theirs() { # COMMAND: in /, as virsh needs no place
	(
		cd / && virsh() { V "$@"; } && export HOME=$theirs/user EDITOR=$T/editor
		eval "${1//\/srv\//$theirs/srv/}"
	)
}
run_ours() {
	(
		cd "$M" && umask 077 && export HOME=$ours/user EDITOR=$T/editor
		eval "${1//\/srv\//$ours/srv/}"
	)
}

# What a reader wants to know: names, paths, uuids, modes, sizes. Of a pool's XML not the
# sizes, which poolfs's has not; no times, as the two are made one after the other.
facts_of() { # FILE
	sed -E "s|$theirs/|/|g; s|$ours/|/|g; /time>/d" "$1" |
		grep -oE '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|/srv/[^ <]+|[a-z]+\.(img|qcow2)|\b(images|two|three|four|qcow2)\b|\b[0-9]{4,}\b' |
		sort -u
}

commands_of() { grep -oE '`[^`]+`' <<<"$1" | tr -d '`'; }

# An endless one: both while a pool starts and stops.
follow() { # THEIRS OURS
	local told=0
	# shellcheck disable=SC2016 # the process's own id
	run_theirs 'echo $BASHPID >"$T/pid.theirs"; exec '"${1/virsh/virsh -q -c \"\$uri\"}" >"$T/said.theirs" 2>&1 </dev/null &
	# shellcheck disable=SC2016
	run_ours 'echo $BASHPID >"$T/pid.ours"; exec '"$2" >"$T/said.ours" 2>&1 </dev/null &
	# Neither says when it is ready: start and stop until both have told of it.
	for _ in {1..60}; do
		V "pool-start two; pool-destroy two" >/dev/null
		mkdir "$M/two" && rmdir "$M/two"
		if grep -q two "$T/said.theirs" && grep -q two "$T/said.ours"; then
			told=1
			break
		fi
		sleep 0.2
	done
	kill "$(cat "$T/pid.theirs")" "$(cat "$T/pid.ours")"
	wait "$(cat "$T/pid.theirs")" "$(cat "$T/pid.ours")" 2>/dev/null
	is "$told" 1 "$1: both tell of a pool that starts and stops" ||
		cat "$T/said.theirs" "$T/said.ours" | diag
}

discover() { # THEIRS OURS: without a server both refuse
	run_theirs "$1" >"$T/said.theirs" 2>&1
	local first=$?
	run_ours "$2" >"$T/said.ours" 2>&1
	is "$(($? != 0))" "$((first != 0))" "$1: both find, or both find nothing" ||
		cat "$T/said.theirs" "$T/said.ours" | diag
	[ "$first" -ne 0 ] || is "$(facts_of "$T/said.ours")" "$(facts_of "$T/said.theirs")" "$1: the same"
}

rows=0
while IFS='|' read -r _ left right _ <&3; do
	mapfile -t first < <(commands_of "$left")
	mapfile -t second < <(commands_of "$right")
	title=${first[0]-}
	[[ $title == virsh* ]] || continue
	rows=$((rows + 1))
	if [[ $title == *pool-event* ]]; then
		follow "$title" "${second[0]}"
		continue
	elif [[ $title == *find-storage* ]]; then
		discover "$title" "${second[0]}"
		continue
	fi
	: >"$T/said.theirs"
	: >"$T/said.ours"
	for command in "${first[@]}"; do
		run_theirs "$command" >>"$T/said.theirs" 2>&1
		tap $? "$command" || diag <"$T/said.theirs"
	done
	for command in "${second[@]}"; do
		run_ours "$command" >>"$T/said.ours" 2>&1
		tap $? "  $command" || cat "$T/said.ours" "$C/error" | diag
	done
	state_of_theirs >"$T/state.theirs"
	state_of_ours >"$T/state.ours"
	ok "  both have made the same" diff "$T/state.theirs" "$T/state.ours"
	# Where files print nothing virsh only says what it did.
	[ -s "$T/said.ours" ] || continue
	[[ $title != *pool-dumpxml* ]] || sed -i -E '/<(capacity|allocation|available)/d' "$T/said.theirs"
	[[ $title != *vol-list* ]] || sed -i -E 's| /[^ ]+||g' "$T/said.theirs"
	[[ $title != *" --details" ]] || sed -i -E 's/[0-9.]+ [KMGT]iB//g' "$T/said.theirs"
	facts_of "$T/said.theirs" >"$T/facts.theirs"
	ok "  and what virsh tells is told" grep -q . "$T/said.theirs"
	is "$(facts_of "$T/said.ours" | comm -13 - "$T/facts.theirs")" "" "  by both" ||
		cat "$T/said.theirs" "$T/said.ours" | diag
done 3<"$page"
[ "$rows" -ge 45 ]
tap $? "the page has its rows: $rows"
is "$(ls "$C/pools")" "" "at the end nothing is defined"
libvirt_end
done_testing
