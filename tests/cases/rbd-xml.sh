#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The example of libvirt's page on pools, with real hosts and a real key, starts
# from the XML alone. A volume's XML and .disk name the image as QEMU's driver
# takes it: what qemu-img reads from there is the volume.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/ceph.sh
. "$(dirname "$0")/../ceph.sh"
need qemu-img python3 xmllint
ceph_shared
pf_setup
volumes=$C/pools/myrbdpool/volumes

cat >"$T/pool.xml" <<END
<pool type="rbd">
  <name>myrbdpool</name>
  <source>
    <name>$rados</name>
    <host name='127.0.0.1' port='${MON_V1##*:}'/>
    <host name='localhost' port='${MON_V2##*:}'/>
    <host name='127.0.0.1' port='${MON_V1##*:}'/>
    <auth username='admin' type='ceph'>
      <secret uuid='$secret'/>
    </auth>
  </source>
</pool>
END
rbd_secret "$ADMIN_KEY"
ok "the page's example is defined" cp "$T/pool.xml" "$C/pools/myrbdpool.xml"
ok "and starts, with no ceph.conf anywhere" mkdir "$M/myrbdpool"
is "$(pf_info myrbdpool state)" "active" "it is active"
not_ok "the key is nowhere in the log" grep -qF "$ADMIN_KEY" "$LOG"
not_ok "nor in the pool's files" grep -rqF "$ADMIN_KEY" "$C/pools/myrbdpool"

head -c 5M /dev/urandom >"$T/in"
ok "cp makes an image" cp "$T/in" "$M/myrbdpool/myvol"
is "$(image_size myvol)" "5242880" "of the right size"

ok "the volume's XML" cp "$volumes/myvol.xml" "$T/vol.xml"
value() { xmllint --xpath "string($2)" "$1"; }
is "$(value "$T/vol.xml" /volume/@type)" "network" "says its type"
is "$(value "$T/vol.xml" /volume/name)" "myvol" "and its name"
is "$(value "$T/vol.xml" /volume/key)" "$rados/myvol" "and its key"
is "$(value "$T/vol.xml" /volume/capacity)" "5242880" "and its capacity"
is "$(value "$T/vol.xml" /volume/target/path)" "$rados/myvol" "and where it is"
is "$(value "$T/vol.xml" /volume/target/format/@type)" "raw" "and that it is raw"

# As libvirt makes QEMU's URL of a <disk>.
ok "the .disk" cp "$volumes/myvol.disk" "$T/disk.xml"
is "$(value "$T/disk.xml" /disk/@type) $(value "$T/disk.xml" /disk/source/@protocol)" "network rbd" "is an rbd disk"
is "$(value "$T/disk.xml" "//auth/secret/@uuid") $(value "$T/disk.xml" "//auth/secret/@type")" "$secret ceph" "names the secret"
url=$(python3 - "$T/disk.xml" "$ADMIN_KEY" <<'END'
import sys, xml.etree.ElementTree as E
disk = E.parse(sys.argv[1]).getroot()
source = disk.find("source")
auth = disk.find(".//auth")
def mon(h):
    return h.get("name") + ("\\:" + h.get("port") if h.get("port") else "")
print("rbd:%s:id=%s:key=%s:auth_supported=cephx\\;none:mon_host=%s:conf=/dev/null" % (
    source.get("name"), auth.get("username"), sys.argv[2].replace(":", "\\:"),
    "\\;".join(mon(h) for h in source.findall("host"))))
END
)
ok "qemu-img reads it from the URL of its .disk" timeout 60 qemu-img convert -f raw -O raw "$url" "$T/out"
ok "the same bytes" cmp "$T/in" "$T/out"
# The short way, as people write it.
path=$(value "$T/vol.xml" /volume/target/path)
rm -f "$T/out"
ok "and by the path of its XML" with_conf timeout 60 qemu-img convert -f raw -O raw "rbd:$path:id=admin" "$T/out"
ok "the same bytes" cmp "$T/in" "$T/out"

printf "<volume><name>fromxml</name><capacity unit='MiB'>32</capacity></volume>\n" >"$volumes/fromxml.xml"
tap $? "a volume from XML" || diag <"$C/error"
is "$(image_size fromxml)" "$((32 << 20))" "is an image of that size"
echo "<volume><name>q</name><capacity>1</capacity><target><format type='qcow2'/></target></volume>" >"$T/q.xml"
fails_with "Invalid" "one in a format of files is refused" cp "$T/q.xml" "$volumes/q.xml"
like "$(cat "$C/error")" "qcow2" "and the reason names it"
done_testing
