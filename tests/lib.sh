# shellcheck shell=bash disable=SC2034,SC2119,SC2120
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# tests/lib.sh - read by every case: checks that print TAP, and a private
# poolfs for the case (own mount, SOURCE, run state and data in a directory of
# its own, outside /tmp, where vim and others behave differently). When the
# case ends, however it ends, nothing of it is left: no mount, no process, no
# loop device, no file. It ends only what it started, by process id.
#
#   $T    the case's directory     $M    the mount point     $C    $M/control
#   $DATA parent of dir pools      $SRC  the definitions     $LOG  daemon's log
#   $RUN  run state                $POOLFS  the binary       $pf_pid the daemon

set -u
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd) || exit 2
: "${POOLFS:=$top/build/poolfs}" "${PF_BUILD:=$top/build}"
unset XDG_RUNTIME_DIR XDG_CONFIG_HOME
export LC_ALL=C TZ=UTC
umask 022
T=$(mktemp -d "${POOLFS_TESTDIR:-/var/tmp}/poolfs-test.XXXXXX") || exit 2
chmod 755 "$T"
M=$T/mnt C=$T/mnt/control SRC=$T/source RUN=$T/run DATA=$T/data LOG=$T/log
mkdir "$M" "$DATA"
pf_pid='' pf_args=() tap_count=0 tap_failed=0 tap_done=
pf_at_end=() # functions that clean up behind the daemon

# ---- TAP ---------------------------------------------------------------------

diag() { sed 's/^/# /' >&2; }

tap() { # OK(0 or not) DESCRIPTION: one line of TAP; its status is OK
	tap_count=$((tap_count + 1))
	local text=${2//#/\\#}
	if [ "$1" -eq 0 ]; then
		echo "ok $tap_count - $text"
	else
		echo "not ok $tap_count - $text"
		tap_failed=$((tap_failed + 1))
		return 1
	fi
}

# ok, not_ok and fails_with run the command in a subshell: what it sets is lost.
ok() { # DESCRIPTION COMMAND...: it succeeds
	local desc=$1 out rc
	shift
	out=$("$@" 2>&1)
	rc=$?
	tap $rc "$desc" || printf '%s\nexit code %s: %s\n' "$out" "$rc" "$*" | diag
}

not_ok() { # DESCRIPTION COMMAND...: it fails, and not by a signal
	local desc=$1 out rc
	shift
	out=$("$@" 2>&1)
	rc=$?
	[ "$rc" -gt 0 ] && [ "$rc" -lt 126 ]
	tap $? "$desc" || printf '%s\nexit code %s: %s\n' "$out" "$rc" "$*" | diag
}

fails_with() { # TEXT DESCRIPTION COMMAND...: it fails, and its output has TEXT
	local want=$1 desc=$2 out rc
	shift 2
	out=$("$@" 2>&1)
	rc=$?
	[ "$rc" -gt 0 ] && [ "$rc" -lt 126 ] && [[ $out == *"$want"* ]]
	tap $? "$desc" || printf '%s\nexit code %s, wanted "%s": %s\n' "$out" "$rc" "$want" "$*" | diag
}

is() { # GOT WANT DESCRIPTION
	[ "$1" = "$2" ]
	tap $? "$3" || printf 'got:  %s\nwant: %s\n' "$1" "$2" | diag
}

like() { # GOT EXTENDED-REGEX DESCRIPTION
	[[ $1 =~ $2 ]]
	tap $? "$3" || printf 'got:  %s\nwant: %s\n' "$1" "$2" | diag
}

skip() { # DESCRIPTION REASON: one check
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - ${1//#/\\#} # SKIP $2"
}

skip_all() { # REASON: the whole case, before its first check
	tap_done=1
	echo "1..0 # SKIP $1"
	exit 0
}

need_root() { [ "$(id -u)" -eq 0 ] || skip_all "needs root"; }

need() { # PROGRAM...
	local program
	for program in "$@"; do
		command -v "$program" >/dev/null || skip_all "needs the program $program"
	done
}

done_testing() {
	if [ -n "$pf_pid" ]; then
		pf_stop
		tap $? "the daemon ends well when unmounted" || tail -n 30 "$LOG" | diag
	fi
	if [ -e "$LOG" ]; then
		! grep -nE 'assert|Sanitizer|BUG|runtime error' "$LOG" >"$T/found"
		tap $? "the daemon's log has no failed assertion" ||
			{ cat "$T/found"; tail -n 100 "$LOG"; } | diag
	fi
	echo "1..$tap_count"
	tap_done=1
	[ "$tap_failed" -eq 0 ]
	exit
}

# ---- the daemon ----------------------------------------------------------------

pf_mounted() { grep -qF -- " ${1:-$M} " /proc/self/mountinfo; }

# In a new mount namespace: lets go of other cases' mounts, whose daemons would
# wait for it. Of our own nothing is mounted yet.
pf_forget_mounts() {
	local mount
	while read -r mount; do
		umount -l "$mount" 2>/dev/null
	done < <(awk '$5 ~ "/poolfs-(test|unit)[.-]" { print $5 }' /proc/self/mountinfo | sort -r)
}

# Waits up to SECONDS (whole or tenths) for COMMAND to succeed.
wait_for() { # SECONDS COMMAND...
	local tries=$((${1%.*} * 20 + 1))
	shift
	until "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || return 1
		sleep 0.05
	done
}

# The daemon is our child: until it was waited for, it stays as a zombie.
pf_gone() { [ -z "$pf_pid" ] || ! grep -qs '^State:[[:space:]]*[^ZX]' "/proc/$pf_pid/status"; }
pf_usable() { pf_gone || { pf_mounted && [ -e "$C/version" ]; }; }

pf_launch() { # starts the daemon with $pf_args, and waits until it serves
	"$POOLFS" -f -o "rundir=$RUN" "${pf_args[@]}" "$SRC" "$M" </dev/null >>"$LOG" 2>&1 &
	pf_pid=$!
	echo "$pf_pid" >"$T/pid"
	wait_for 20 pf_usable
	if pf_gone || ! pf_mounted; then
		{ echo "the daemon did not start"; tail -n 30 "$LOG"; } | diag
		exit 1
	fi
}

pf_setup() { # [OPTION...]: as on the command line, e.g. -o nopassthrough
	if ! [ -r /dev/fuse ] || ! [ -w /dev/fuse ]; then skip_all "needs /dev/fuse"; fi
	[ -x "$POOLFS" ] || { echo "no $POOLFS" >&2; exit 1; }
	pf_args=("$@")
	pf_launch
}

pf_mode() { # passthrough or nopassthrough: pf_setup with the data on that path
	if [ "$1" = passthrough ]; then pf_setup; else pf_setup -o nopassthrough; fi
}

pf_wait_end() { # SECONDS: the daemon's exit code, or 124 after killing it
	local pid=$pf_pid rc
	wait_for "$1" pf_gone
	rc=$?
	pf_pid=''
	if [ $rc -ne 0 ]; then
		kill -9 "$pid"
		wait "$pid" 2>/dev/null
		return 124
	fi
	wait "$pid" 2>/dev/null
}

pf_umount() { # [MOUNTPOINT]
	local m=${1:-$M}
	if [ "$(id -u)" -eq 0 ]; then umount "$m" 2>/dev/null || umount -l "$m"
	else fusermount3 -u "$m" 2>/dev/null || fusermount3 -uz "$m"; fi
}

pf_stop() { # unmounts; status: the daemon's exit code
	[ -n "$pf_pid" ] || return 0
	! pf_mounted || pf_umount 2>/dev/null
	pf_wait_end 20
}

pf_restart() { # a clean end by SIGTERM, and a new daemon
	kill -TERM "$pf_pid"
	pf_wait_end 20 || { tap 1 "the daemon ends at SIGTERM"; tail -n 30 "$LOG" | diag; }
	pf_launch
}

# Ends a strace of the daemon. One that lets go of its threads one by one may wait for
# the helper (fs/helper.c), which waits for a thread that is still stopped: then a kill
# lets go of all at once. Its lines are written by then.
pf_untrace() { # PID of strace, our child
	kill -INT "$1" 2>/dev/null
	wait_for 5 eval "! grep -qs '^State:[[:space:]]*[^ZX]' /proc/$1/status" || kill -9 "$1"
	wait "$1" 2>/dev/null
}

pf_kill9() { # the dead mount stays, for the next pf_launch to clean
	kill -9 "$pf_pid"
	wait "$pf_pid" 2>/dev/null
	pf_pid=''
}

# ---- pools ----------------------------------------------------------------------

pf_xml() { # NAME [TARGET]: a dir pool's XML
	printf "<pool type='dir'>\n  <name>%s</name>\n  <target>\n    <path>%s</path>\n  </target>\n</pool>\n" \
		"$1" "${2:-$DATA/$1}"
}

pf_define() { # NAME [TARGET]
	mkdir -p "${2:-$DATA/$1}" && pf_xml "$@" | cat >"$C/pools/$1.xml"
}

pf_start() { mkdir "$M/$1"; }

pf_pool() { # NAME: defined and running, or the case ends; after a restart it runs by itself
	if [ -e "$C/pools/$1.xml" ]; then
		wait_for 10 [ -d "$M/$1" ] && return
	else
		pf_define "$1" && pf_start "$1" && return
	fi
	diag <"$C/error"
	exit 1
}

pf_info() { sed -n "s/^$2: //p" "$C/pools/$1/info"; }   # POOL KEY

md5() { md5sum <"$1" | cut -d' ' -f1; }

# ---- how it ends -----------------------------------------------------------------

# A case that hangs is ended from outside: first the daemon, so that whoever
# waits for it gets an error, then what the case runs, then the case.
pf_watch() {
	# shellcheck disable=SC2016
	perl -e 'my ($sec, $case, $file) = @ARGV; my $end = time + $sec;
		while (time < $end) { sleep 1; exit unless kill 0, $case; }
		open my $f, "<", $file; my $pid = $f ? <$f> : 0; kill 9, $pid if $pid;
		kill "TERM", $case; # counts when its child has ended
		my %children;
		for my $stat (glob "/proc/[0-9]*/stat") {
			open my $h, "<", $stat or next;
			push @{$children{$2}}, $1 if <$h> =~ /^(\d+) .*\) \S (\d+) /;
		}
		my @ended = ($case);
		while (defined(my $parent = shift @ended)) {
			for my $child (@{$children{$parent} || []}) {
				next if $child == $$;
				push @ended, $child;
				kill 9, $child;
			}
		}' "${PF_TIMEOUT:-300}" "$$" "$T/pid" </dev/null >/dev/null 2>&1 &
	pf_watcher=$!
	disown # so that a case's `wait` does not wait for it
}

pf_finish() {
	local rc=$? loop mount function
	trap - EXIT
	trap '' TERM INT HUP
	cd /
	[ -n "$tap_done" ] || { echo "# ended before its last check" >&2; rc=1; }
	kill "$pf_watcher" 2>/dev/null
	# The deepest mounts first.
	while read -r mount; do
		umount "$mount" 2>/dev/null || umount -l "$mount" 2>/dev/null || fusermount3 -uz "$mount"
	done < <(awk -v t="$T/" 'index($5, t) == 1 { print $5 }' /proc/self/mountinfo | sort -r)
	while read -r loop _; do
		losetup -d "${loop%:}"
	done < <(losetup -a 2>/dev/null | grep -F -- "$T/")
	[ -z "$pf_pid" ] || pf_wait_end 10
	for function in ${pf_at_end[@]+"${pf_at_end[@]}"}; do "$function"; done
	if grep -qF -- " $T/" /proc/self/mountinfo; then
		echo "# a mount is left below $T" >&2
		exit 1
	fi
	rm -rf --one-file-system "$T"
	exit "$rc"
}
pf_watch # before the traps, so that it never runs them
trap pf_finish EXIT
trap 'echo "# ended by a signal, or for its time" >&2; exit 1' TERM INT HUP
