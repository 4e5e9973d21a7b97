#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# rename answers in a pool what it answers in a plain directory: all flags, long
# names, open files, links; and EXDEV between pools.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/posix.sh
. "$top/tests/posix.sh"
need python3
posix_same rename
done_testing
