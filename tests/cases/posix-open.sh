#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The flags of open, modes, and what reads, writes, mmap and truncate then
# answer: as in a plain directory, but for what a pool does not have.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/posix.sh
. "$top/tests/posix.sh"
need python3
posix_same open "O_TMPFILE: ENOTSUP" "mkdir: EPERM" "symlink: EPERM" "link: EPERM" \
	"mkfifo: EPERM" "setxattr: ENOTSUP"
done_testing
