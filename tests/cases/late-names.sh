#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A creation, removal or rename that was given up ends later: who has tried again
# meanwhile loses nothing by that. No operation by a name touches a file that has
# taken the name of the one that was meant.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/hang.sh
. "$(dirname "$0")/../hang.sh"
need python3
pf_setup -o fault,timeout=60
hang_pools
p=$M/p

# ---- creation ---------------------------------------------------------------------

put() { echo "$1" >"$2"; }
fails_with "timed out" "a creation that hangs" eval "fault 'p create 1 hang'; put first '$p/new' 2>&1"
echo mine >"$DATA/p/new"
fault clear
sleep 0.5
is "$(cat "$p/new")" mine "its end empties nobody's new volume"

fails_with "timed out" "a creation that hangs when the file is there" eval \
	"fault 'p fstat 1 hang'; put first '$p/new2' 2>&1"
fails_with "busy" "the name is not free meanwhile" mv "$p/v6" "$p/new2"
like "$(cat "$C/error")" "'new2' is not free before a create that was given up has ended" "and the reason says so"
put mine "$DATA/p/new2"
fault clear
sleep 0.5
is "$(cat "$p/new2")" mine "its end removes no volume that has content"

fails_with "timed out" "a third one" eval "fault 'p fstat 1 hang'; put first '$p/new3' 2>&1"
fault clear
wait_for 10 [ ! -e "$DATA/p/new3" ]
tap $? "an empty one goes again"

# The kernel has looked before the file was there: it looks again.
fault "p stat 1 fail ENOENT"
ok "a volume that came into being meanwhile is opened" put other "$p/new"
is "$(cat "$p/new")" other "and emptied, as asked"
mkdir "$DATA/p/sub"
not_ok "a directory has the name" put x "$p/sub"
like "$(cat "$C/error")" "a directory that is no volume has the name 'sub'" "the reason"

# ---- removal and rename ---------------------------------------------------------------

fails_with "in progress" "a removal that hangs" eval "fault 'p remove 1 hang'; rm '$p/v1' 2>&1"
fails_with "busy" "what it may still remove is not removed twice" rm "$p/v1"
fails_with "busy" "nor replaced" mv "$p/v2" "$p/v1"
ok "another name is free" mv "$p/v2" "$p/v2b"
fault clear
wait_for 10 [ ! -e "$DATA/p/v1" ]
tap $? "it goes on"
wait_for 10 put again "$p/v1"
tap $? "then the name is free"

fails_with "in progress" "a rename that hangs" eval "fault 'p rename 1 hang'; mv '$p/v3' '$p/v7' 2>&1"
fails_with "busy" "its new name is not free" put x "$p/v7"
fails_with "busy" "nor its old one" rm "$p/v3"
fault clear
wait_for 10 [ -e "$DATA/p/v7" ]
tap $? "it goes on"
wait_for 10 rm "$p/v7"
tap $? "then the name is free"

# ---- by the name, and not the file that was meant ----------------------------------------

python3 - "$p/d" <<'END' >"$T/out" 2>&1
import os, sys
path = sys.argv[1]
open(path, "w").write("old content")
fd = os.open(path, os.O_RDWR)
os.unlink(path)
open(path, "w").write("new content")
os.chmod(path, 0o600)
os.truncate("/proc/self/fd/%d" % fd, 3)
os.chmod("/proc/self/fd/%d" % fd, 0o444)
print(open(path).read(), oct(os.stat(path).st_mode & 0o777), os.pread(fd, 99, 0))
END
is "$(cat "$T/out")" "new content 0o600 b'old'" "truncate(2) and chmod(2) of a deleted, open volume leave its successor alone"
done_testing
