# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# tests/libvirt.sh - read by the cases that compare with libvirt, after lib.sh:
# its own daemon in a throw-away instance, which sees private directories
# instead of /etc/libvirt, /run and the like, and has the drivers of storage and
# secrets only. A case that runs in a mount namespace of its own (PF_NAMESPACE)
# sees them too, and they stay from one daemon to the next.
#
#   libvirt_start   starts it, or skips the case     V COMMAND...   virsh
#   libvirt_end     ends it; also at the end of the case

L=$T/libvirt libvirtd=''

libvirt_start() {
	local driver private=(unshare --mount)
	[ -z "${PF_NAMESPACE-}" ] || private=(env)
	need_root
	need libvirtd virsh unshare
	driver=$(find /usr/lib -path '*/libvirt/connection-driver/libvirt_driver_storage.so' 2>/dev/null | head -n 1)
	[ -n "$driver" ] || skip_all "needs libvirt's storage driver"
	mkdir -p "$L/drivers" "$L/sock"
	# Of an encrypted volume it asks the secrets.
	ln -sf "$driver" "${driver%storage.so}secret.so" "$L/drivers/"
	cat >"$L/conf" <<-END
		listen_tls = 0
		listen_tcp = 0
		auth_unix_ro = "none"
		auth_unix_rw = "none"
		unix_sock_dir = "$L/sock"
		log_outputs = "3:file:$L/log"
	END
	# shellcheck disable=SC2016
	LIBVIRT_DRIVER_DIR=$L/drivers PF_NAMESPACE=${PF_NAMESPACE-} "${private[@]}" sh -c '
		if [ ! -e "$1/own" ]; then
			# Or daemons of other cases would wait for this namespace to end.
			awk "\$5 ~ \"/poolfs-test[.]\" { print \$5 }" /proc/self/mountinfo | sort -r |
				while read -r mount; do umount -l "$mount"; done
			for dir in /run /etc/libvirt /var/lib /var/cache /var/log; do
				[ ! -d "$dir" ] || mount -t tmpfs -o mode=755 none "$dir" || exit 1
			done
			[ -z "$PF_NAMESPACE" ] || touch "$1/own"
		fi
		exec libvirtd --config "$1/conf" --pid-file "$1/pid"' sh "$L" </dev/null >"$L/out" 2>&1 &
	libvirtd=$!
	trap 'rc=$?; libvirt_end; (exit "$rc"); pf_finish' EXIT
	wait_for 30 V pool-list --all && return
	cat "$L/out" "$L/log" | diag
	skip_all "libvirt's daemon does not start here"
}

V() { command virsh -q -c "storage:///system?socket=$L/sock/libvirt-sock" "$@"; }

libvirt_end() {
	[ -n "$libvirtd" ] || return 0
	kill "$libvirtd"
	wait "$libvirtd"
	libvirtd=''
}
