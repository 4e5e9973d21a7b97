#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Which times each operation changes, and times set by hand: as in a plain
# directory.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/posix.sh
. "$top/tests/posix.sh"
need python3
# The kernel does not tell a file system of a chown that changes nothing.
posix_same times "chown of nothing: atime stays, mtime stays, ctime stays"
done_testing
