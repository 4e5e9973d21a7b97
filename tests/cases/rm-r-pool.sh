#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What deletes a whole tree loses not one volume of a running pool, and the
# pool goes on running; deleting single volumes works as always.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need python3 gio find
pf_setup
export HOME=$T XDG_RUNTIME_DIR=$T
count=12000
pf_pool p
(cd "$DATA/p" && seq -f 'v%05g' $count | xargs touch)
P=$M/p

whole() { # DESCRIPTION: every volume is there, and the pool runs
	is "$(find "$DATA/p" -name 'v*' | wc -l)" "$count" "$1: no volume is lost"
	is "$(pf_info p state)" "active" "$1: the pool runs"
	ok "$1: its definition is there" [ -e "$SRC/p.xml" ]
}
spared() { # DESCRIPTION COMMAND...: fails, and leaves all
	not_ok "$@"
	whole "$1"
}
rmtree='import shutil, sys; shutil.rmtree(sys.argv[1], ignore_errors=len(sys.argv) > 2)'

is "$(find "$P" -name 'v*' | wc -l)" "$count" "all volumes are listed"
spared "rm -r" rm -r "$P"
spared "rm -rf" rm -rf "$P"
spared "find -delete" find "$P" -delete
spared "rmtree" python3 -c "$rmtree" "$P"
ok "rmtree with ignore_errors says nothing" python3 -c "$rmtree" "$P" ignore
whole "rmtree with ignore_errors"
spared "gio trash" gio trash "$P"
spared "perl's remove_tree" perl -MFile::Path=remove_tree -e 'remove_tree($ARGV[0], {error => \my $e}); exit(@$e ? 1 : 0)' "$P"
spared "many threads" python3 -c 'import os, sys
from concurrent.futures import ThreadPoolExecutor
os.chdir(sys.argv[1])
def gone(name):
    try: os.unlink(name)
    except OSError as e: return e
first = gone(".pool")
with ThreadPoolExecutor(16) as ex:
    bad = [e for e in ex.map(gone, [n for n in os.listdir() if n != ".pool"]) if e]
sys.exit(1 if first and bad else 0)' "$P"
for top_dir in "$M" "$M/."; do
	not_ok "rm -rf of ${top_dir#"$T/"}" rm -rf "$top_dir"
	whole "rm -rf of ${top_dir#"$T/"}"
done
spared "find -delete on the mount" find "$M" -mindepth 1 -delete
ok "rmtree on the mount" python3 -c "$rmtree" "$M" ignore
whole "rmtree on the mount"

# A file manager's delete is a single rmdir of the directory: it stops.
gio remove "$P" 2>/dev/null
is "$(find "$DATA/p" -name 'v*' | wc -l)" "$count" "gio remove: no volume is lost"
[ -d "$P" ] || pf_start p

ok "rm of one volume" rm "$P/v00001"
ok "rm -f of one" rm -f "$P/v00002"
ok "gio remove of one" gio remove "$P/v00003"
ok "python's unlink of one" python3 -c 'import os, sys; os.unlink(sys.argv[1])' "$P/v00004"
ok "find -name -delete of some" find "$P" -name 'v0001*' -delete
is "$(find "$DATA/p" -name 'v*' | wc -l)" "$((count - 14))" "are gone, and no other"
ok "rm NAME/*" sh -c 'rm "$1"/*' sh "$P"
is "$(find "$DATA/p" -name 'v*' | wc -l)" "0" "removes all"
ok "rmdir stops" rmdir "$P"
done_testing
