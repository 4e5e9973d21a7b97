#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# make install DESTDIR=: everything lies where the usual variables say, works from
# there by PATH and MANPATH, and make uninstall takes just that away again.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
[ -r /dev/fuse ] || skip_all "needs /dev/fuse"
need make mandoc
# As built: nothing is compiled here, and not with other flags.
installing() { # TARGET VARIABLE...
	make -C "$top" --no-print-directory -o "$POOLFS" -o "$PF_BUILD/poolfs" -o "$PF_BUILD/backends/rbd.so" \
		BUILD="$PF_BUILD" "$@" >"$T/make" 2>&1 || { diag <"$T/make"; return 1; }
}
tree() { (cd "$1" && find . -type f -printf '%m %P\n' | sort -k2); }

root=$T/root
mkdir "$root"
ok "make install prefix=/usr DESTDIR=" installing install prefix=/usr DESTDIR="$root"
for file in bin/poolfs lib/systemd/system/poolfs.service lib/systemd/user/poolfs.service \
	share/bash-completion/completions/poolfs share/doc/poolfs/README.md share/doc/poolfs/LICENSE \
	share/man/man8/poolfs.8 share/man/man7/poolfs-control.7 share/man/man5/poolfs-pool.5 \
	share/man/man5/poolfs-volume.5; do
	ok "there is usr/$file" [ -s "$root/usr/$file" ]
done
is "$(tree "$root" | grep -v '^644 ')" "755 usr/bin/poolfs" "only the program is executable"
is "$(find "$root" -type f ! -path "$root/usr/*")" "" "nothing lies outside of prefix"
is "$(find "$root" -type d ! -perm 755)" "" "the directories are everybody's to read"
for unit in system user; do
	is "$(sed -n 's/^ExecStart=\([^ ]*\) .*/\1/p' "$root/usr/lib/systemd/$unit/poolfs.service")" \
		"/usr/bin/poolfs" "the $unit unit starts what was installed"
done
ok "make uninstall" installing uninstall prefix=/usr DESTDIR="$root"
is "$(tree "$root")" "" "leaves no file"
ok "and can be repeated" installing uninstall prefix=/usr DESTDIR="$root"

# Each directory on its own.
mkdir "$T/each"
ok "all variables" installing install DESTDIR="$T/each" prefix=/p bindir=/b libdir=/l mandir=/m docdir=/d \
	unitdir=/u userunitdir=/uu completionsdir=/c
touch "$T/each/d/mine"
is "$(cd "$T/each" && find . -mindepth 1 -maxdepth 1 ! -name l | sort | tr -d './\n')" "bcdmuuu" "are followed"
installing uninstall DESTDIR="$T/each" prefix=/p bindir=/b libdir=/l mandir=/m docdir=/d \
	unitdir=/u userunitdir=/uu completionsdir=/c
is "$(tree "$T/each")" "644 d/mine" "what somebody else put there stays"

# Run from there.
ok "make install prefix=" installing install prefix="$T/opt"
PATH=$T/opt/bin:$PATH
is "$(command -v poolfs)" "$T/opt/bin/poolfs" "found by PATH"
ok "it runs" poolfs --version
for page in 8:poolfs 7:poolfs-control 5:poolfs-pool 5:poolfs-volume; do
	is "$(MANPATH=$T/opt/share/man mandoc -T utf8 "$T/opt/share/man/man${page%%:*}/${page#*:}.${page%%:*}" 2>&1 | head -c 6)" \
		"$(tr a-z A-Z <<<"${page#*:}" | head -c 6)" "the page ${page#*:}(${page%%:*})"
done
# References lead to pages that are there.
for page in "$T"/opt/share/man/man*/poolfs*; do
	for other in $(sed -nE 's/^\.Xr (poolfs[a-z-]*) ([0-9]).*/\2\/\1.\2/p' "$page"); do
		[ -e "$T/opt/share/man/man$other" ] || echo "${page##*/}: $other"
	done
done >"$T/dangling"
is "$(cat "$T/dangling")" "" "no page refers to one that is not there"
POOLFS=poolfs
[ -x "$(command -v poolfs)" ] && POOLFS=$(command -v poolfs)
pf_setup
pf_pool p
ok "and serves" touch "$M/p/v"
done_testing
