#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# tests/notify.py ADDRESS FILE - the service manager's end of sd_notify(3): binds the
# datagram socket ADDRESS (a path, or @NAME for an abstract one) and writes each line
# of what comes to FILE, behind the sender's process id. Called by the cases; ends
# with who called it.
import os
import socket
import struct
import sys

address, path = sys.argv[1:]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
s.settimeout(0.5)
parent = os.getppid()
s.bind("\0" + address[1:] if address[0] == "@" else address)
with open(path, "w", buffering=1) as out:
    out.write("listening\n")
    while os.getppid() == parent:
        try:
            data, extra, _, _ = s.recvmsg(65536, 1024)
        except TimeoutError:
            continue
        pid = struct.unpack("3i", extra[0][2][:12])[0]
        for line in data.decode().split("\n"):
            out.write("%d %s\n" % (pid, line))
