#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""rbd-hold.py CONF POOL IMAGE open|write|lock - has an image open, as a virtual
machine would: open only for writing, with the lock that the first write takes,
or with the lock that it gives to nobody. Used by the cases rbd-*, which wait for
its line "ready" and end it by closing its standard input, or by SIGKILL. What it
writes is its own bytes again.
"""
import sys

import rados
import rbd

conf, pool, name, how = sys.argv[1:]
with rados.Rados(conffile=conf, rados_id="admin") as cluster, cluster.open_ioctx(pool) as io:
    with rbd.Image(io, name) as image:
        if how == "lock":
            image.lock_acquire(rbd.RBD_LOCK_MODE_EXCLUSIVE)
        if how != "open":
            image.write(image.read(0, 4096), 0)
            image.flush()
        print("ready", flush=True)
        sys.stdin.read()
