#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Where qemu-img is missing: raw volumes need no program, qcow-create makes qcow,
# and what cannot be made says which program is missing. The case runs in a mount
# namespace of its own, in which qemu-img is hidden and qcow-create is a small
# script of the case.
# shellcheck source=tests/lib.sh
if [ -z "${PF_HIDDEN-}" ]; then
	. "$(dirname "$0")/../lib.sh"
	need_root
	need qemu-img unshare
	ok "in a namespace of its own" env PF_HIDDEN="$(command -v qemu-img)" unshare --mount "$0"
	done_testing
fi
. "$(dirname "$0")/../lib.sh"
pf_forget_mounts

cp "$PF_HIDDEN" "$T/qemu-img" || exit 1
mkdir "$T/bin"
# As Xen's: SIZE in MiB, a file, perhaps the one behind it.
cat >"$T/bin/qcow-create" <<END
#!/bin/sh
echo "\$*" >>"$T/called"
[ "\$2" != "\${2%broken*}" ] && exit 1
exec "$T/qemu-img" create -q -f qcow \${3:+-F raw -b "\$3"} "\$2" "\$1M"
END
chmod 755 "$T/bin/qcow-create"
mount --bind /dev/null "$PF_HIDDEN" || exit 1
mount --bind "$T/bin" /usr/local/bin || exit 1
pf_setup
pf_pool p
X=$C/pools/p/volumes
xml() { printf "<volume><capacity>%s</capacity><target><format type='%s'/></target>%s</volume>" "$1" "$2" "${3-}"; }

ok "raw needs no program" cp <(xml 1000000 raw) "$X/a.raw.xml"
is "$(stat -c %s "$DATA/p/a.raw")" 1000000 "and has its size"
ok "qcow by qcow-create" cp <(xml 10485761 qcow) "$X/a.qcow.xml"
like "$(cat "$T/called")" "^11 $DATA/p/\\.poolfs\\." "which counts in MiB, and works under a hidden name"
like "$(cat "$X/a.qcow.xml")" "<capacity unit='bytes'>11534336<.*<format type='qcow'/>" "the volume's XML says so"
ok "with a file behind it" cp <(xml 1000000 qcow "<backingStore><path>$DATA/p/a.raw</path><format type='raw'/></backingStore>") "$X/b.qcow.xml"
like "$(cat "$X/b.qcow.xml")" "<backingStore>.*<path>$DATA/p/a.raw<" "which is in its XML"
fails_with "not supported" "qcow2 cannot be made" cp <(xml 10485761 qcow2) "$X/a.qcow2.xml"
like "$(cat "$C/error")" "cannot create 'a.qcow2' in pool 'p': the program 'qemu-img' is missing" "and the reason says what to install"
is "$(ls -A "$DATA/p" | xargs)" "a.qcow a.raw b.qcow" "and nothing is left of it"
rm "$T/bin/qcow-create"
fails_with "not supported" "without qcow-create, nor qcow" cp <(xml 10485761 qcow) "$X/c.qcow.xml"
is "$(ls -A "$DATA/p" | xargs)" "a.qcow a.raw b.qcow" "and nothing is left of it"
pf_stop
umount "$PF_HIDDEN" /usr/local/bin
done_testing
