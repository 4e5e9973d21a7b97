#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The case clients for SOAK_SECONDS (half an hour): 64
# clients on the control directory. CLIENTS_SEED: for what they do.
export CLIENTS_SECONDS=${SOAK_SECONDS:-1800} CLIENTS=64
export PF_TIMEOUT=$((CLIENTS_SECONDS * 2 + 600))
exec "$(dirname "$0")/../cases/clients.sh"
