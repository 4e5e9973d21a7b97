#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Random operations against shadows, the data passed through where the kernel
# does that, on a disk's file system and on tmpfs at once.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/fsx.sh
. "$top/tests/fsx.sh"
pf_mode passthrough
fsx_targets
fsx_run "passthrough" 15 disk:262144:1 disk:2097152: memory:262144:2
done_testing
