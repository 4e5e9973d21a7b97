# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Completion of poolfs(8) for bash: options, the options of -o (also behind a comma),
# then directories: SOURCE, MOUNTPOINT. Read by bash-completion at the first Tab behind
# `poolfs`, or by hand: . docs/poolfs.bash. Never starts poolfs. There is none for verbs:
# they are words of an `echo`, typed before the file that they go to.

_poolfs() {
	local cur=${COMP_WORDS[COMP_CWORD]} start=$COMP_CWORD key='' lead=''
	local options='allow_other fault noannounce nopassthrough readdirplus= rundir= shrink timeout=
		ro noexec noatime nofail _netdev'

	COMPREPLY=()
	# bash makes three words of KEY=VALUE.
	while ((start > 1)) && [[ ${COMP_WORDS[start]} == = || ${COMP_WORDS[start - 1]} == = ]]; do
		((start--))
	done
	if [[ $cur == = ]]; then
		key=${COMP_WORDS[COMP_CWORD - 1]} cur=''
	elif [[ ${COMP_WORDS[COMP_CWORD - 1]} == = && $cur != *,* ]]; then
		key=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	key=${key#-o} key=${key##*,}

	if [[ ${COMP_WORDS[start - 1]} != -o && ${COMP_WORDS[start]} != -o?* ]]; then
		if [[ $cur == -* ]]; then
			mapfile -t COMPREPLY < <(compgen -W '-f --foreground -d --debug -o -h --help -V --version' -- "$cur")
		else
			mapfile -t COMPREPLY < <(compgen -d -- "$cur")
			compopt -o filenames 2>/dev/null
		fi
		return
	fi
	case $key in
	readdirplus) mapfile -t COMPREPLY < <(compgen -W 'off auto always' -- "$cur") ;;
	rundir)
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		compopt -o filenames 2>/dev/null
		;;
	'')
		if [[ $cur == *,* ]]; then lead=${cur%,*},; elif [[ $cur == -o* ]]; then lead=-o; fi
		mapfile -t COMPREPLY < <(compgen -P "$lead" -W "$options" -- "${cur#"$lead"}")
		[[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
		;;
	esac
	return 0
}
complete -F _poolfs poolfs
