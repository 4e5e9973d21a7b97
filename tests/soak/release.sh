#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The suite on another release of Debian: its root is made by debootstrap from the mirror
# that this machine uses, these sources are copied into it, and `make check` runs there
# whole (as root, on this machine's kernel, in namespaces of its own for mounts and
# processes, so that nothing of it outlives this script). Called by soak/run.
#
#   RELEASE=trixie     which one: by default Debian 13, with libfuse 3.17 and Ceph 18
#   RELEASE_ROOT=DIR   keeps the root there and uses it again; else it is thrown away
#   RELEASE_MAKE=''    more words for make: CASES=first-life, SANITIZE=address,undefined
PF_TIMEOUT=7200
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_root
need debootstrap unshare git
release=${RELEASE:-trixie}
root=${RELEASE_ROOT:-$T/root}

# Runs in a new mount namespace; what the machine mounted elsewhere is let go there.
# shellcheck disable=SC2016
enter='
	set -e
	mount --bind "$1" "$1"
	cd "$1"
	mkdir -p .old
	mount --rbind /dev dev
	mount -t proc proc proc
	mount --rbind /sys sys
	mount -t tmpfs -o mode=755 tmpfs run
	mkdir run/lock
	pivot_root . .old
	cd /
	umount -l /.old
	exec env -i HOME=/srv TERM=dumb LANG=C.UTF-8 POOLFS_STRICT=1 \
		PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin bash -c "$2" </dev/null'
inside() { # COMMAND
	unshare --mount --propagation private --pid --fork --kill-child bash -c "$enter" bash "$root" "$1"
}

if [ ! -e "$root/etc/os-release" ]; then
	# shellcheck disable=SC2016
	mirror=$(apt-get indextargets --format '$(ORIGIN) $(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
		sed -nE 's/^Debian [^- ]+ //p' | head -n 1)
	debootstrap --variant=minbase --include=make,ca-certificates "$release" "$root" "${mirror:-}" >"$T/debootstrap" 2>&1
	tap $? "a root of $release" || tail -n 20 "$T/debootstrap" | diag
fi
if ! inside true 2>"$T/enter"; then
	tap 1 "it can be entered"
	diag <"$T/enter"
	done_testing
fi
rm -rf "$root/srv/poolfs"
mkdir -p "$root/srv/poolfs"
# What git knows, as it is in the work tree.
git -C "$top" ls-files -z | tar -C "$top" --null -T - -c | tar -C "$root/srv/poolfs" -x --no-same-owner
tap $? "the sources are there" || done_testing

inside "cd /srv/poolfs && make check WERROR=-Werror ${RELEASE_MAKE:-}" >"$T/out" 2>&1
rc=$?
line=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$T/out" | tail -n 1)
[ $rc -eq 0 ] && [[ $line == *" 0 failed,"* ]]
tap $? "make check there: ${line:-no summary, exit code $rc}" || { grep -E -B 4 '^not ok|^#|^died|Dubious|error:' "$T/out"
	tail -n 30 "$T/out"; } | diag
# shellcheck disable=SC2016
inside '. /etc/os-release; echo "$PRETTY_NAME $(cat /etc/debian_version): $(dpkg-query -W -f "\${Package} \${Version}  " \
	libfuse3-dev gcc libvirt-daemon ceph-osd)"' 2>&1 | diag
done_testing
