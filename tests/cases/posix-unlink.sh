#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# unlink, also of open files, which stay usable: as in a plain directory.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/posix.sh
. "$top/tests/posix.sh"
need python3
posix_same unlink
done_testing
