#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Autostart is a link: ln sets it, rm clears it, ln -sf renews it. It starts
# beside the mount, tries again what fails, and never delays the mount.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
pf_setup
A=$C/autostart
for name in a b; do pf_define "$name"; done

ok "ln -s sets it" ln -s ../pools/a.xml "$A/a.xml"
is "$(pf_info a autostart)" "yes" "info says so"
ok "in SOURCE, as libvirt has it" [ -L "$SRC/autostart/a.xml" ]
ok "ln -sf onto it" ln -sf ../pools/a.xml "$A/a.xml"
ok "any text that ends in NAME.xml" ln -s "$C/pools/b.xml" "$A/b.xml"
is "$(readlink "$A/b.xml")" "../pools/b.xml" "shows as the usual one"
not_ok "a link to another name is refused" ln -s ../pools/a.xml "$A/c.xml"
not_ok "of an undefined pool, too" ln -s ../pools/nobody.xml "$A/nobody.xml"
is "$(ls "$A")" "a.xml"$'\n'"b.xml" "nothing else is there"
ok "rm clears it" rm "$A/b.xml"
is "$(pf_info b autostart)" "no" "info says so"
ok "nothing has started yet" [ ! -d "$M/a" ]

pf_restart
ok "the next daemon starts it" wait_for 10 [ -d "$M/a" ]
ok "and no other" [ ! -d "$M/b" ]

# A target that comes later: tried again.
pf_define late && ln -s ../pools/late.xml "$A/late.xml"
rmdir "$DATA/late"
pf_restart
ok "the mount does not wait for it" [ -e "$C/version" ]
wait_for 10 grep -q . "$C/pools/late/error"
like "$(cat "$C/pools/late/error")" "late" "the failure is said"
mkdir "$DATA/late"
ok "and it is tried again" wait_for 40 [ -d "$M/late" ]

rmdir "$M/a" "$M/late"
ok "rm of a definition clears it, too" rm "$C/pools/a.xml"
is "$(ls "$A")" "late.xml" "its link is gone"
done_testing
