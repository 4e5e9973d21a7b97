#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Who may do what: by default only the mounting user; with allow_other the
# kernel checks modes, control/ is the owner's, and set-id bits do not count.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need_root
need setpriv
other() { setpriv --reuid=12345 --regid=12345 --clear-groups "$@"; }

pf_setup
pf_pool p
fails_with "ermission denied" "another user sees nothing" other ls "$M"
pf_stop

pf_setup -o allow_other,fault
pf_pool p
chmod 755 "$DATA/p"
echo secret >"$DATA/p/private" && chmod 600 "$DATA/p/private"
echo public >"$DATA/p/public" && chmod 644 "$DATA/p/public"
sleep 0.1
ok "with allow_other the mount can be listed" other ls "$M"
ok "and the pool, as its target says" other ls "$M/p"
is "$(other cat "$M/p/public")" "public" "a volume that all may read"
fails_with "ermission denied" "one that is private" other cat "$M/p/private"
fails_with "ermission denied" "writing another's volume" other sh -c 'echo x >"$1"' sh "$M/p/public"
fails_with "ermission denied" "creating in a pool that is not theirs" other touch "$M/p/new"
for what in "rm -f $M/p/public" "mv $M/p/public $M/p/x" "mkdir $M/q" "rmdir $M/p" "rmdir $C/active/p" \
	"ln -s ../pools/p.xml $C/autostart/p.xml" "rm -f $C/pools/p.xml" "chmod 777 $M/p/public" "truncate -s 0 $M/p/public"; do
	# shellcheck disable=SC2086
	not_ok "not theirs: ${what//$T\//}" other $what
done
not_ok "not theirs: ctl" other sh -c 'echo stop >"$1"' sh "$C/pools/p/ctl"
not_ok "not theirs: defining" other sh -c 'cat >"$1"' sh "$C/pools/q.xml" < <(pf_xml q /nowhere)
is "$(pf_info p state)" "active" "the pool runs on"
is "$(stat -c %u "$C")" "0" "control belongs to the owner of the mount"

# What a directory's mode is must be asked for: until it is known, it is private.
pf_define s && chmod 700 "$DATA/s" && echo x >"$DATA/s/v" && chmod 644 "$DATA/s/v"
echo 's usage 0 hang' >"$C/fault"
pf_start s
fails_with "ermission denied" "a pool whose mode is not known yet" other cat "$M/s/v"
echo clear >"$C/fault"

chmod 777 "$DATA/p"
sleep 0.1
ok "a pool that all may write to" other sh -c 'echo mine >"$1"' sh "$M/p/theirs"
is "$(stat -c '%u %g' "$DATA/p/theirs")" "12345 12345" "the volume is theirs"
ok "they may remove it" other rm "$M/p/theirs"

cp /bin/true "$DATA/p/setid" && chmod 6755 "$DATA/p/setid"
mknod "$DATA/p/device" c 1 3
sleep 0.1
is "$(stat -c %a "$M/p/setid")" "755" "set-id bits are not shown"
ok "device nodes are not shown" [ ! -e "$M/p/device" ]
like "$(grep " $M " /proc/self/mountinfo)" "nosuid,nodev" "the mount is nosuid,nodev"
is "$(stat -c '%a' "$SRC")" "700" "the definitions are the owner's"
done_testing
