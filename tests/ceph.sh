# shellcheck shell=bash disable=SC2034,SC2119,SC2120,SC2154
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# tests/ceph.sh - read after lib.sh by the cases rbd-*: a cluster (shared by all
# that harm it not, or the case's own), rbd pools on it, and Ceph's own tools to
# look at them from outside. What it made goes when the case ends.
#
#   $ceph  the cluster's directory     $rados  the RADOS pool for this case
#   and what the cluster's env says: CEPH_CONF, MON_V1, USER_KEY ...

ceph='' rados=''
secret=2ec115d7-3a88-3ceb-bc12-0ac909a6fd87

need_ceph() {
	need ceph-mon ceph-mgr ceph-osd rbd
	/usr/bin/python3 -c 'import rados, rbd' 2>/dev/null || skip_all "needs python3-rados and python3-rbd"
	[ -e "$PF_BUILD/backends/rbd.so" ] || skip_all "this build has no rbd"
}

cluster() { # VERB [WORD...]: of tests/ceph
	local verb=$1
	shift
	"$top/tests/ceph" "$verb" "$ceph" "$@"
}

ceph_use() { # DIR
	ceph=$1
	# shellcheck disable=SC1091
	. "$ceph/env"
}

# The suite's cluster, or when run by hand one like it. The daemon shall not see
# where its files are, so nothing of it is exported.
ceph_shared() {
	need_ceph
	if [ -z "${POOLFS_CEPH:-}" ]; then
		ceph_own
		return
	fi
	ceph_shared_up
	pf_at_end+=(ceph_shared_end)
	if ! cluster pool "$rados"; then
		echo "# the cluster of the rbd cases has failed; another takes its place" >&2
		ceph_shared_up "$FSID"
		cluster pool "$rados" || exit 1
	fi
}
# Started by who comes first. One whose OSD fails by itself (a store in memory, of a release
# that is no longer cared for) is not to take all the cases behind it along: the report has
# how it ended.
ceph_shared_up() { # [FSID]: of the cluster that has failed
	local lock dir=$POOLFS_CEPH/c
	exec {lock}>"$POOLFS_CEPH/lock"
	flock "$lock"
	if [ $# -gt 0 ] && grep -qxF "FSID=$1" "$dir/env"; then
		"$top/tests/ceph" tell "$dir" 2>&1 | diag
		"$top/tests/ceph" stop "$dir"
	fi
	# What is there without env has not come up.
	if [ ! -e "$dir/env" ] && ! { "$top/tests/ceph" stop "$dir" && "$top/tests/ceph" start "$dir"; }; then
		echo "# the cluster did not start" >&2
		exit 1
	fi
	exec {lock}>&-
	ceph_use "$dir"
	rados=t$$
}
ceph_shared_end() { cluster unpool "$rados"; }

ceph_own() { # [OPTION...]: as tests/ceph start has them
	need_ceph
	pf_at_end+=(ceph_own_end)
	"$top/tests/ceph" start "$T/ceph" "$@" || exit 1
	ceph_use "$T/ceph"
	rados=rbd
}
ceph_own_end() { "$top/tests/ceph" stop "$T/ceph"; }

# As a user of the cluster's own files would call them.
with_conf() { CEPH_CONF=$CEPH_CONF "$@"; }
rbd() { CEPH_ARGS="--rbd_default_pool=$rados" with_conf timeout 100 rbd "$@"; }
images() { rbd ls | sort | xargs; }
image_md5() { rbd export --no-progress "$1" - | md5sum | cut -d' ' -f1; }
image_size() { rbd info --format json "$1" | sed -E 's/.*"size":([0-9]+).*/\1/'; }
# Of the headers in use: who has them open for writing, poolfs as well.
watchers() { rbd status --format json "$1" | grep -o '"address"' | wc -l; }

# The XML of a pool of images. Settings of Ceph follow, each NAME=VALUE; what is
# set in xml_host, xml_user and xml_name counts instead of the cluster's.
rbd_xml() { # NAME [SETTING...]
	local name=$1 setting host=${xml_host:-$MON_V1}
	shift
	printf "<pool type='rbd' xmlns:rbd='http://libvirt.org/schemas/storagepool/rbd/1.0'>\n"
	printf "  <name>%s</name>\n  <source>\n" "$name"
	printf "    <host name='%s' port='%s'/>\n" "${host%:*}" "${host##*:}"
	printf "    <name>%s</name>\n" "${xml_name:-$rados}"
	printf "    <auth type='ceph' username='%s'>\n      <secret uuid='%s'/>\n    </auth>\n" \
		"${xml_user:-$USER_ID}" "$secret"
	printf "  </source>\n"
	if [ $# -gt 0 ]; then
		printf "  <rbd:config_opts>\n"
		for setting; do
			printf "    <rbd:option name='%s' value='%s'/>\n" "${setting%%=*}" "${setting#*=}"
		done
		printf "  </rbd:config_opts>\n"
	fi
	printf "</pool>\n"
}

rbd_secret() { printf '%s\n' "${1:-$USER_KEY}" >"$C/secrets/$secret"; }       # [KEY]

rbd_define() { # NAME [SETTING...]
	rbd_xml "$@" >"$C/pools/$1.xml"
}

rbd_pool() { # NAME [SETTING...]: defined and running, or the case ends
	rbd_secret && rbd_define "$@" && mkdir "$M/$1" && return
	diag <"$C/error"
	tail -n 5 "$LOG" | diag
	exit 1
}

# rmdir answers after a second at most, and the stop goes on behind it.
rbd_stopped() { rmdir "$M/$1" 2>/dev/null; [ ! -d "$M/$1" ]; }
rbd_stop() { # NAME [SECONDS]
	wait_for "${2:-30}" rbd_stopped "$1"
}

ctl() { echo "$*" >"$C/pools/${ctl_pool:-p}/ctl"; }

now_ms() { date +%s%3N; }
# Runs COMMAND, a program for at most a minute: what it took goes to $ms, its end
# to $rc, its words to $out.
took() { # COMMAND...
	local begun limit=(timeout -k 1 60)
	[ "$(type -t "$1")" != function ] || limit=()
	begun=$(now_ms)
	out=$(${limit[@]+"${limit[@]}"} "$@" 2>&1)
	rc=$?
	ms=$(($(now_ms) - begun))
}
within() { # SECONDS DESCRIPTION: of what took() ran
	[ "$ms" -lt $(($1 * 1000)) ]
	tap $? "$2 ($ms ms)" || echo "exit code $rc: $out" | diag
}

# Another program that has an image open (tools/rbd-hold.py); its process id goes
# to $holder. let_go ends it well.
hold() { # IMAGE open|write|lock
	rm -f "$T/hold.in" "$T/hold.out"
	mkfifo "$T/hold.in"
	"$top/tests/tools/rbd-hold.py" "$CEPH_CONF" "$rados" "$1" "$2" <"$T/hold.in" >"$T/hold.out" 2>&1 &
	holder=$!
	exec {hold_fd}>"$T/hold.in"
	wait_for 30 grep -q ready "$T/hold.out" || diag <"$T/hold.out"
}
let_go() {
	exec {hold_fd}>&-
	wait "$holder"
}

# The pool p with the volumes v, of 24 MiB, and w, and a quota below that: soon it is full.
# What v holds is in $T/in.
rbd_nearly_full() {
	rbd_pool p
	head -c 24M /dev/urandom >"$T/in"
	cp "$T/in" "$M/p/v"
	rbd create --size 64M w
	cluster quota "$rados" $((20 << 20))
}
