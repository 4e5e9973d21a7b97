#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# watch-without.sh - where no inotify watch is to be had, events still tell of what goes
# through the mount, each once and by the name that the volume has then, and the log says
# why others' changes are missing. The case runs in a user namespace whose limit is 0.
# shellcheck source=tests/lib.sh
if [ -z "${PF_INSIDE-}" ]; then
	. "$(dirname "$0")/../lib.sh"
	need_root
	need unshare qemu-img
	unshare --user --map-root-user --mount \
		sh -c 'echo 0 >/proc/sys/user/max_inotify_watches' 2>/dev/null ||
		skip_all "needs user namespaces with a limit of inotify watches"
	ok "in a namespace without watches" env PF_INSIDE=yes \
		unshare --user --map-root-user --mount --propagation private "$0"
	done_testing
fi
. "$(dirname "$0")/../lib.sh"
echo 0 >/proc/sys/user/max_inotify_watches
pf_setup
pf_pool p
D=$DATA/p M1=$M/p
skipped=$(wc -l <"$C/events")
tells() { # WANT DESCRIPTION: since the last look; a volume made and removed is its end
	local all
	: >"$M1/end$skipped"
	rm "$M1/end$skipped"
	wait_for 10 grep -q "volume-deleted p end$skipped\$" "$C/events"
	all=$(tail -n "+$((skipped + 1))" "$C/events" | cut -d' ' -f3-)
	skipped=$((skipped + $(wc -l <<<"$all")))
	# On a slow machine a clone takes long enough to be told of as a job, too.
	is "$(grep -vE ' end[0-9]|^job-' <<<"$all" | xargs)" "$1" "$2"
}

ok "the log says why" grep -q "p watch ENOSPC .*max_user_watches" "$LOG"
: >"$M1/a"
tells "volume-created p a 0" "created"
truncate -s 1M "$M1/a"
tells "volume-resized p a 1048576" "truncated"
exec 3<>"$M1/a"
mv "$M1/a" "$M1/b"
tells "volume-renamed p a b" "renamed while it is open"
python3 -c 'import os; os.ftruncate(3, 5000)'
tells "volume-resized p b 5000" "truncated by its handle: by its new name"
: >"$M1/b"
tells "volume-resized p b 0" "emptied by an open"
rm "$M1/b"
tells "volume-deleted p b" "removed while it is open"
python3 -c 'import os; os.ftruncate(3, 6000)'
tells "" "truncated by its handle: it has no name"
exec 3>&-
head -c 7000 /dev/zero >"$M1/g"
tells "volume-created p g 0 volume-resized p g 7000" "grown by writing: told when it is closed"
head -c 7000 /dev/zero | dd of="$M1/g" conv=notrunc status=none
tells "" "written, and of the same size as before"
rm "$M1/g"
tells "volume-deleted p g" "and removed"
echo "<volume><name>q</name><capacity unit='M'>10</capacity><target><format type='qcow2'/></target></volume>" \
	>"$C/pools/p/volumes/q.xml"
tells "volume-created p q $(stat -c %s "$D/q")" "made by XML: with the size of its file"
echo "clone q r" >"$C/pools/p/ctl"
tells "volume-created p r $(stat -c %s "$D/r")" "cloned"
rm "$M1/q"
mv "$M1/r" "$M1/s"
tells "volume-deleted p q volume-renamed p r s" "removed and renamed"
: >"$D/behind"
tells "" "what others do is not told"
is "$(stat -c %s "$M1/behind")" 0 "but seen"
done_testing
