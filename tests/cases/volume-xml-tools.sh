#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A volume may be made from XML by any tool: each one that can see a write error
# fails on bad XML, and no volume is made; good XML makes it with each of them,
# and the tool's own scratch files never become volumes.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
need rsync gio python3
vim=$(command -v vim || command -v vim.tiny || command -v vim.nox) || skip_all "needs the program vim"
pf_setup
pf_pool p
X=$C/pools/p/volumes
export HOME=$T XDG_RUNTIME_DIR=$T

# Each writes the file $1 to $2. shellcheck thinks that nobody calls them.
# shellcheck disable=SC2317
{
	by_cat() { cat "$1" >"$2"; }
	by_echo() { echo "$(<"$1")" >"$2"; }
	by_cp() { cp "$1" "$2"; }
	by_cp_a() { cp -a "$1" "$2"; }
	by_tee() { tee "$2" <"$1" >/dev/null; }
	by_dd() { dd if="$1" of="$2" status=none; }
	by_dd_bytes() { dd if="$1" of="$2" bs=1 status=none; }
	by_install() { install -m 600 "$1" "$2"; }
	by_mv() { cp "$1" "$T/moved" && mv -f "$T/moved" "$2"; }
	by_mv_within() { cp "$1" "${2%/*}/.new.tmp" && mv "${2%/*}/.new.tmp" "$2"; }
	by_rsync() { rsync -a "$1" "$2"; }
	by_rsync_inplace() { rsync --inplace "$1" "$2"; }
	by_gio() { gio copy "$1" "$2"; }
	by_tar() { cp "$1" "$T/${2##*/}" && tar -C "$T" -cf - "${2##*/}" | tar -C "${2%/*}" -xf -; }
	by_vim() { "$vim" -u NONE -es -c "0read $1" -c 'silent! g/^$/d' -c 'wq' "$2"; }
	by_python() { python3 -c 'import sys
with open(sys.argv[2], "w") as f: f.write(open(sys.argv[1]).read())' "$1" "$2"; }
	by_replace() { python3 -c 'import os, sys
new = sys.argv[2] + ".tmp"
with open(new, "w") as f: f.write(open(sys.argv[1]).read())
os.replace(new, sys.argv[2])' "$1" "$2"; }
}
tools="cat echo cp cp_a tee dd dd_bytes install mv mv_within rsync rsync_inplace gio tar vim python replace"

echo "<volume>
  <capacity unit='KiB'>8</capacity>
</volume>" >"$T/good"
sed 's/8/eight/' "$T/good" >"$T/bad"
sed 's,</cap.*,,' "$T/good" >"$T/broken"
head -n 2 "$T/good" >"$T/short"
tidy() { rm -f "$X"/.[!.]* "$X"/*~ "$X"/*.tmp 2>/dev/null; }

for tool in $tools; do
	for kind in bad broken short; do
		# bash loses the error of close(2); vim tells of none in ex mode.
		case $tool-$kind in echo-short | vim-*) continue ;; esac
		not_ok "$tool fails on $kind XML" "by_$tool" "$T/$kind" "$X/v.xml"
		is "$(ls -A "$DATA/p")" "" "$tool: no volume is made by it"
		tidy
	done
	like "$(cat "$C/error")" "[a-z]{4}" "$tool: control/error has a sentence"
	ok "$tool makes a volume" "by_$tool" "$T/good" "$X/v.xml"
	is "$(stat -c %s "$M/p/v")" 8192 "$tool: of the size that the XML says"
	tidy
	is "$(ls -A "$DATA/p")" v "$tool: and nothing else"
	is "$(ls -A "$X" | xargs)" "v.disk v.xml" "$tool: volumes/ has it"
	fails_with "File exists" "$tool: a second one is refused" cp "$T/good" "$X/v.xml"
	rm "$M/p/v"
	is "$(ls -A "$X")" "" "$tool: rm of the volume takes its texts away"
done

# Reading and copying as with any files.
for v in a b c; do cp "$T/good" "$X/$v.xml"; done
cp -a "$X" "$T/copy"
is "$(ls "$T/copy" | xargs)" "a.disk a.xml b.disk b.xml c.disk c.xml" "cp -a takes all away"
ok "rsync too" rsync -a "$X/" "$T/copied/"
for file in "$X"/*; do
	cmp -s "$file" "$T/copy/${file##*/}" && cmp -s "$file" "$T/copied/${file##*/}" || echo "${file##*/}"
done >"$T/differ"
is "$(cat "$T/differ")" "" "what they took is what is there"
rm "$M/p"/[abc]
# shellcheck disable=SC2016
ok "and brings them back as new volumes" sh -c 'for f in "$1"/*.xml; do cp "$f" "$2" || exit 1; done' sh "$T/copy" "$X"
is "$(ls "$M/p" | xargs)" "a b c" "all of them"
ok "rm -r of volumes/ deletes none" eval "! rm -rf '$X' 2>/dev/null"
is "$(ls "$M/p" | xargs)" "a b c" "they are there"
ok "find -delete deletes none" eval "! find '$X' -delete 2>/dev/null"
is "$(ls "$M/p" | xargs)" "a b c" "they are there"
done_testing
