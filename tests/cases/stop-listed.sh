#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A pool is not stopped in the middle of a listing: the kernel ends the listing of a
# directory that was removed without an error, and a program that compares two trees
# (rsync --delete) would take the names that it was not given for deleted ones.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need python3

pf_setup
pf_pool p
python3 - "$DATA/p" <<'END'
import sys
for i in range(5000):
    open(f"{sys.argv[1]}/a-volume-with-a-long-name-{i:05d}", "w").close()
END

# Lists p as far as the FIRSTth name (0: only opens it), runs a command, and prints its
# exit code and how many volumes the listing had in all, or the errno that it ended with.
listed() { # FIRST COMMAND
	python3 - "$M/p" "$@" <<'END'
import os, subprocess, sys
path, first, command = sys.argv[1], int(sys.argv[2]), sys.argv[3]
fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
names = os.scandir(fd)
n = 0
for i in range(first):
    n += next(names).name != ".pool"
rc = subprocess.run(command, shell=True, stderr=subprocess.DEVNULL).returncode
try:
    n += sum(name.name != ".pool" for name in names)
    print(rc, n)
except OSError as e:
    print(rc, e.errno)
END
}

export M C
ls "$M/p" >/dev/null
# shellcheck disable=SC2016
for how in 'rmdir "$M/p"' 'rmdir "$C/active/p"' 'echo stop >"$C/pools/p/ctl"'; do
	for first in 0 100; do
		like "$(listed $first "$how")" '^[12] 5000$' \
			"$how, $first names into a listing: refused, and the listing is whole"
	done
done
like "$(cat "$C/pools/p/error")" "is being listed by 'python3'" "the sentence says who lists"
like "$(cat "$C/metrics")" 'poolfs_pool_open_volumes\{pool="p"\} 0' "a listing counts as no open volume"

# What has all names, or was closed early, is in nobody's way.
# shellcheck disable=SC2016
is "$(listed 5001 'rmdir "$M/p"')" "0 5000" "a program that has all names keeps no pool"
pf_start p
python3 -c 'import os, sys; next(os.scandir(sys.argv[1]))' "$M/p" 2>/dev/null
ok "nor does one that ended in the middle" rmdir "$M/p"
pf_start p
cd "$M/p" || exit 1
ok "nor does a shell that stands in it" rmdir "$M/p"
cd / || exit 1
done_testing
