/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mount.c - the session with the kernel: mount, first handshake, unmount.
 *
 * Called by main.c. A mount point left dead by a daemon that was killed is
 * cleaned first. Unmounting is lazy: open files may outlive the name.
 */
#include "fs.h"
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

struct fuse_session *session;
static bool mounted;
extern char **environ;

static void run_fusermount(const char *mountpoint)
{
	char *argv[] = { "fusermount3", "-u", "-z", "-q", "--", (char *)mountpoint, NULL };
	int status;
	pid_t pid;

	if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) == 0)
		waitpid(pid, &status, 0);
}

static void detach(const char *mountpoint)
{
	if (umount2(mountpoint, MNT_DETACH | UMOUNT_NOFOLLOW) && errno == EPERM)
		run_fusermount(mountpoint);
}

static int check_mountpoint(struct err *e)
{
	struct statx st;

	for (int i = 0; i < 8; i++) {
		/* Past the kernel's cache, which still knows the root of a dead mount. */
		if (statx(AT_FDCWD, opt.mountpoint, AT_STATX_FORCE_SYNC, STATX_TYPE, &st) == 0)
			return S_ISDIR(st.stx_mode) ? 0
				: err_set(e, ENOTDIR, "mount point '%s' is no directory",
					  opt.mountpoint);
		if (errno != ENOTCONN && errno != ECONNABORTED)
			break;
		detach(opt.mountpoint);         /* one dead mount may hide another */
	}
	return err_sys(e, "mount point '%s' cannot be used", opt.mountpoint);
}

/* libfuse splits options at commas. */
static void escape(struct buf *b, const char *text)
{
	for (; *text; text++) {
		if (*text == ',' || *text == '\\')
			buf_add(b, "\\", 1);
		buf_add(b, text, 1);
	}
}

int mount_session(struct err *e)
{
	_cleanup_buf_ struct buf o = { 0 };
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	int rc = check_mountpoint(e);

	if (rc < 0)
		return rc;
	buf_addf(&o, "-osubtype=poolfs,nosuid,nodev,fsname=");
	escape(&o, control_source());
	if (opt.allow_other)
		buf_addf(&o, ",allow_other,default_permissions");
	if (opt.extra)
		buf_addf(&o, ",%s", opt.extra);
	fuse_opt_add_arg(&args, "poolfs");
	fuse_opt_add_arg(&args, o.data);
	session = fuse_session_new(&args, &poolfs_ops, sizeof poolfs_ops, NULL);
	fuse_opt_free_args(&args);
	if (!session)
		return err_set(e, EINVAL, "the mount options are not understood");
	if (fuse_session_mount(session, opt.mountpoint))
		return err_set(e, EIO, "cannot mount on '%s': see the line above; is the "
			       "fuse module there, and fusermount3 installed?", opt.mountpoint);
	mounted = true;
	if (passthrough_hook(session))
		return err_set(e, EIO, "libfuse takes no I/O hooks");
	return 0;
}

/* Lets go of the connection: who waits on the mount gets an error, even if the
 * process cannot end because a thread of it hangs in the kernel. The number
 * stays taken, since other threads may still write replies. */
void mount_cut(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null >= 0)
		dup2(null, fuse_session_fd(session));
}

/* No request of this mount may be needed any more to end the process. */
void mount_end(void)
{
	if (mounted && !loop_ended())
		detach(opt.mountpoint);
	mounted = false;
}
