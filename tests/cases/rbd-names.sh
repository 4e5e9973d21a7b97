#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# RADOS takes names that no file can have: they are left out of the listing, hide
# nothing else and break nothing; names that a file can have work whatever they
# look like to Ceph.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/ceph.sh
. "$(dirname "$0")/../ceph.sh"
ceph_shared
pf_setup
rbd_pool p
long=$(head -c 255 /dev/zero | tr '\0' n)

/usr/bin/python3 - "$CEPH_CONF" "$rados" "$long" <<'END' || diag <<<"python3-rbd failed"
import sys, rados, rbd
with rados.Rados(conffile=sys.argv[1], rados_id="admin") as c, c.open_ioctx(sys.argv[2]) as io:
    for name in (".", "..", "a/b", "new\nline", ".pool", ".snap", ".raw", sys.argv[3] + "n", "tab\t",
                 "good", "sp ace", "ümläut", "a@b", "-x", "q'uote\"s", ".dot", "100%", "a:b,c", sys.argv[3]):
        rbd.RBD().create(io, name, 1 << 20)
END
is "$(find "$M/p" -maxdepth 1 -mindepth 1 ! -name "$long" ! -name .pool -printf '%f\n' | sort | tr '\n' '|')" \
	"$(printf '%s\n' good "sp ace" "ümläut" "a@b" -x "q'uote\"s" .dot 100% a:b,c | sort | tr '\n' '|')" \
	"names that a file can have are shown, and no other"
ok "a name of 255 bytes, too" [ -f "$M/p/$long" ]
ok "ls -la shows all of them" ls -la "$M/p"
for name in good "sp ace" "ümläut" "a@b" -x "q'uote\"s" .dot 100% a:b,c "$long"; do
	printf '%.20s' "$name" | dd of="$M/p/$name" conv=notrunc,fsync status=none
	is "$(head -c 20 "$M/p/$name" | tr -d '\0')" "$(printf '%.20s' "$name")" "'${name:0:20}' is written and read"
done
ok ".pool is the pool's own" grep -q . "$M/p/.pool"
ok "names in the other direction" cp /etc/hostname "$M/p/neu ü@1,2"
is "$(/usr/bin/python3 - "$CEPH_CONF" "$rados" <<'END'
import sys, rados, rbd
with rados.Rados(conffile=sys.argv[1], rados_id="admin") as c, c.open_ioctx(sys.argv[2]) as io:
    print("neu ü@1,2" in rbd.RBD().list(io), len(rbd.RBD().list(io)))
END
)" "True 20" "are images of just that name, and none of the others was touched"
fails_with "nvalid" "a name that poolfs keeps for itself" touch "$M/p/.poolfs.x"
ok "rm of an odd name" rm "$M/p/a@b" "$M/p/neu ü@1,2"
not_ok "it is gone" [ -e "$M/p/a@b" ]
done_testing
