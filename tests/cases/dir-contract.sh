#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What each operation answers on a dir pool: the table contract/dir.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/contract.sh
. "$(dirname "$0")/../contract.sh"
need python3
pf_setup -o nopassthrough
pf_pool p
contract_same dir
done_testing
