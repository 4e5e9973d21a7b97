/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * dirtidy.c - the hidden files of a directory pool: large volumes that were deleted,
 * and what copies left behind when the daemon died.
 *
 * A large file takes long to unlink, while the kernel holds the lock of the mount's
 * directory; so it only gets a hidden name at first. Tidying removes it later, as a
 * job. Who has such a file open reads on: nothing is cut.
 */
#include "copy.h"
#include "dirvol.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#define GONE_PREFIX ".poolfs.gone-"

enum { LARGE = 1 << 30 };       /* bytes on disk; below, unlink(2) is quick enough */

bool dirv_is_large(const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_nlink == 1 &&
	       (uint64_t)st->st_blocks * 512 >= LARGE;
}

int dirv_move_aside(int dir, const char *name)
{
	char gone[sizeof GONE_PREFIX + 16];
	uint64_t number;

	for (int tries = 0; tries < 100; tries++) {
		if (getrandom(&number, sizeof number, 0) != sizeof number)
			number = now_ms() + tries;
		snprintf(gone, sizeof gone, GONE_PREFIX "%016llx", (unsigned long long)number);
		if (dirv_move_new(dir, name, gone) == 0)
			return 0;
		if (errno != EEXIST)
			break;
	}
	return -1;
}

static bool has_prefix(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

typedef void leftover_f(int dir, const char *name, struct progress *pr);

static void leftover_count(int dir, const char *name, struct progress *pr)
{
	struct stat st;

	if (has_prefix(name, GONE_PREFIX) &&
	    fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		atomic_fetch_add(&pr->total, (uint64_t)st.st_blocks * 512);
}

/* A copy under way is locked by who makes it, from the moment after its creation:
 * dirv_temp looks whether it came too late. */
static void copy_remove(int dir, const char *name)
{
	_cleanup_close_ int file = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
						     O_CLOEXEC);

	if (file >= 0 && flock(file, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
		return;
	unlinkat(dir, name, 0);
}

static void leftover_remove(int dir, const char *name, struct progress *pr)
{
	struct stat st = { 0 };

	if (has_prefix(name, CLONE_PREFIX))
		copy_remove(dir, name);
	if (!has_prefix(name, GONE_PREFIX))
		return;
	(void)!fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW);
	if (unlinkat(dir, name, 0) == 0)
		atomic_fetch_add(&pr->done, (uint64_t)st.st_blocks * 512);
}

static int leftovers_each(int target, leftover_f *f, struct progress *pr, struct err *e)
{
	int fd = openat(target, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *de;
	DIR *dir;
	int rc = 0;

	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		rc = err_errno(e);
		if (fd >= 0)
			close(fd);
		return rc;
	}
	while ((de = readdir(dir)) && rc == 0) {
		if (atomic_load(&pr->cancel))
			rc = err_set(e, ECANCELED, "cancelled");
		else
			f(fd, de->d_name, pr);
	}
	closedir(dir);
	return rc;
}

int leftovers_remove(int target, struct progress *pr, struct err *e)
{
	int rc = leftovers_each(target, leftover_count, pr, e);

	return rc < 0 ? rc : leftovers_each(target, leftover_remove, pr, e);
}

int dirp_tidy(struct pool *p, struct progress *pr, struct err *e)
{
	return leftovers_remove(dirp_fd(p), pr, e);
}
