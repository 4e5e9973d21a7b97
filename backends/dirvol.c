/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * dirvol.c - volumes that are the files of one local directory.
 *
 * Called through the rows of dir.c and its like. Works below dirpool.c's descriptor
 * of the directory. Never follows a symlink, never uses what is not a regular file:
 * sub-directories, FIFOs, sockets and device nodes do not exist here.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "dirvol.h"
#include "copy.h"
#include "local.h"
#include "qemulock.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

bool dirv_is_volume(mode_t mode)
{
	return S_ISREG(mode) || S_ISLNK(mode);
}

static const char *kind_name(mode_t mode)
{
	return S_ISDIR(mode) ? "a directory" : S_ISFIFO(mode) ? "a FIFO" :
	       S_ISSOCK(mode) ? "a socket" : "a device node";
}

/* EEXIST; says what is there if the user cannot see it. */
int dirv_taken(struct pool *p, const char *name, struct err *e)
{
	struct stat st;

	if (fstatat(dirp_fd(p), name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    !dirv_is_volume(st.st_mode))
		return err_set(e, EEXIST, "%s that is no volume has the name '%s' in "
			       "'%s'", kind_name(st.st_mode), name, p->def->target);
	return -(e->code = EEXIST);
}

/* ENOENT for what is not there and for what is not shown. */
static int volume_find(struct pool *p, const char *name, struct stat *st, struct err *e)
{
	if (fstatat(dirp_fd(p), name, st, AT_SYMLINK_NOFOLLOW) < 0)
		return dirp_failed(p, e);
	return dirv_is_volume(st->st_mode) ? 0 : -(e->code = ENOENT);
}

/* Opens a regular file; returns the descriptor. */
int dirv_open_fd(struct pool *p, const char *name, int flags, struct err *e)
{
	struct stat st;
	int rc, fd;

	/* Before: opening a device may do something. After: it may have changed. */
	rc = volume_find(p, name, &st, e);
	if (rc < 0)
		return rc;
	if (S_ISLNK(st.st_mode))
		return err_set(e, ELOOP, "it is a symbolic link, and those are never "
			       "followed");
	fd = openat(dirp_fd(p), name, flags | LOCAL_OPEN_FLAGS);
	if (fd < 0) {
		if (errno == EWOULDBLOCK)
			return err_set(e, EBUSY, "another program holds a lease on it");
		return dirp_failed(p, e);
	}
	rc = fstat(fd, &st) < 0 ? err_errno(e) :
	     S_ISREG(st.st_mode) ? 0 : -(e->code = ENOENT);
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
}

int dirv_stat(struct pool *p, const char *name, struct vol_stat *st, struct err *e)
{
	int rc = local_stat_at(dirp_fd(p), name, st);

	if (rc < 0) {
		errno = -rc;
		return dirp_failed(p, e);
	}
	return dirv_is_volume(st->st.st_mode) ? 0 : -(e->code = ENOENT);
}

int dirv_readlink(struct pool *p, const char *name, char *to, size_t size,
		  struct err *e)
{
	struct stat st;
	ssize_t n;
	int rc = volume_find(p, name, &st, e);

	if (rc < 0)
		return rc;
	n = readlinkat(dirp_fd(p), name, to, size);
	if (n < 0)
		return dirp_failed(p, e);
	if ((size_t)n >= size)
		return err_set(e, ENAMETOOLONG, "the link's text is longer than %zu bytes",
			       size - 1);
	to[n] = '\0';
	return 0;
}

/* Owner and exact mode for a file of our own. What the file system cannot
 * keep (vfat) it refuses with EPERM, and so does the kernel an ordinary user. */
int dirv_own(int fd, uid_t uid, gid_t gid, mode_t mode, struct err *e)
{
	bool root = geteuid() == 0;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(e);
	/* A group other than ours came from a set-group-id directory: it stays. */
	if (st.st_gid != getegid())
		gid = st.st_gid;
	if ((uid != st.st_uid || gid != st.st_gid) && fchown(fd, uid, gid) < 0 &&
	    (errno != EPERM || root))
		return err_sys(e, "cannot set its owner");
	if (fchmod(fd, mode & 0777) < 0 && errno != EPERM)
		return err_sys(e, "cannot set its mode");
	return 0;
}

int dirv_create(struct pool *p, const char *name, const struct vol_create *c,
		struct vol *v, struct err *e)
{
	int rc, fd, append = c->flags & O_APPEND;

	if (c->format)
		return dirv_create_image(p, name, c, v, e);
	/* Readable and writable whatever the handle asks: capacity must be set,
	 * and the kernel has judged what the handle may do. */
	fd = openat(dirp_fd(p), name, O_RDWR | O_CREAT | O_EXCL | append |
		    LOCAL_OPEN_FLAGS, 0600);
	if (fd < 0)
		return errno == EEXIST ? dirv_taken(p, name, e) : dirp_failed(p, e);
	rc = dirv_own(fd, c->uid, c->gid, c->mode, e);
	if (rc == 0 && c->capacity)
		rc = local_set_size(fd, c->capacity, e);
	if (rc < 0) {
		struct stat ours, there;

		/* Another file may have been moved to the name. */
		if (fstat(fd, &ours) == 0 &&
		    fstatat(dirp_fd(p), name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
		    ours.st_dev == there.st_dev && ours.st_ino == there.st_ino)
			unlinkat(dirp_fd(p), name, 0);
		close(fd);
		return rc;
	}
	if (v)
		v->fd = fd;
	else
		close(fd);
	return 0;
}

int dirv_remove(struct pool *p, const char *name, struct err *e)
{
	struct stat st;
	int rc = volume_find(p, name, &st, e);

	if (rc == 0)
		rc = qemulock_check_at(dirp_fd(p), name, e);
	if (rc < 0)
		return rc;
	if (dirv_is_large(&st) && dirv_move_aside(dirp_fd(p), name) == 0) {
		atomic_store(&p->untidy, true);
		return 0;
	}
	return unlinkat(dirp_fd(p), name, 0) < 0 ? dirp_failed(p, e) : 0;
}

/* Renames to a name that is free; EEXIST. Knows how to where the file system
 * (NFS, vfat) has no RENAME_NOREPLACE. */
int dirv_move_new(int dir, const char *from, const char *to)
{
	struct stat st;

	if (renameat2(dir, from, dir, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	if (linkat(dir, from, dir, to, 0) == 0)
		return unlinkat(dir, from, 0);
	if (errno != EPERM && errno != EOPNOTSUPP && errno != EMLINK && errno != ENOSYS)
		return -1;
	if (fstatat(dir, to, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		errno = EEXIST;
		return -1;
	}
	return errno == ENOENT ? renameat(dir, from, dir, to) : -1;
}

static int dirv_exchange(struct pool *p, const char *from, const char *to, struct err *e)
{
	struct stat st;
	int dir = dirp_fd(p);

	if (fstatat(dir, to, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return dirp_failed(p, e);
	if (!dirv_is_volume(st.st_mode))
		return dirv_taken(p, to, e);
	if (renameat2(dir, from, dir, to, RENAME_EXCHANGE) == 0)
		return 0;
	if (errno == EINVAL || errno == ENOSYS)
		return err_set(e, EOPNOTSUPP, "the file system of '%s' cannot exchange "
			       "two files", p->def->target);
	return dirp_failed(p, e);
}

int dirv_rename(struct pool *p, const char *from, const char *to, unsigned flags,
		struct err *e)
{
	int rc, dir = dirp_fd(p);
	struct stat a, b;

	rc = volume_find(p, from, &a, e);
	if (rc < 0)
		return rc;
	if (flags & RENAME_EXCHANGE)
		return dirv_exchange(p, from, to, e);
	if (flags & RENAME_NOREPLACE) {
		if (dirv_move_new(dir, from, to) == 0)
			return 0;
		return errno == EEXIST ? dirv_taken(p, to, e) : dirp_failed(p, e);
	}
	/* Onto a free name never with a plain rename: something invisible may
	 * take it meanwhile, and would be lost. */
	for (int tries = 0; tries < 16; tries++) {
		if (fstatat(dir, to, &b, AT_SYMLINK_NOFOLLOW) < 0) {
			if (errno != ENOENT)
				return dirp_failed(p, e);
			if (dirv_move_new(dir, from, to) == 0)
				return 0;
			if (errno == EEXIST)
				continue;
			return dirp_failed(p, e);
		}
		if (!dirv_is_volume(b.st_mode))
			return dirv_taken(p, to, e);
		if (a.st_dev != b.st_dev || a.st_ino != b.st_ino) {
			rc = qemulock_check_at(dir, to, e);
			if (rc < 0)
				return err_wrap(e, "cannot replace '%s'", to);
		}
		return renameat(dir, from, dir, to) < 0 ? dirp_failed(p, e) : 0;
	}
	return err_set(e, EBUSY, "another program keeps making and removing '%s'", to);
}

int dirv_setattr(struct pool *p, const char *name, const struct vol_attr *a,
		 struct err *e)
{
	struct timespec times[2] = {
		a->valid & ATTR_ATIME ? a->atime : (struct timespec){ 0, UTIME_OMIT },
		a->valid & ATTR_MTIME ? a->mtime : (struct timespec){ 0, UTIME_OMIT },
	};
	int rc, dir = dirp_fd(p);
	struct stat st;

	rc = volume_find(p, name, &st, e);
	if (rc < 0)
		return rc;
	if (a->valid & (ATTR_UID | ATTR_GID) &&
	    fchownat(dir, name, a->valid & ATTR_UID ? a->uid : (uid_t)-1,
		     a->valid & ATTR_GID ? a->gid : (gid_t)-1, AT_SYMLINK_NOFOLLOW) < 0)
		return dirp_failed(p, e);
	if (a->valid & ATTR_MODE &&
	    fchmodat(dir, name, a->mode & 0777, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno == EOPNOTSUPP && S_ISLNK(st.st_mode))
			return err_set(e, EOPNOTSUPP, "a symbolic link has no mode");
		return dirp_failed(p, e);
	}
	if (a->valid & (ATTR_ATIME | ATTR_MTIME) &&
	    utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return dirp_failed(p, e);
	return 0;
}

/* Who tidies holds the lock for a moment, and may have been quicker. */
static bool temp_held(int fd)
{
	struct stat st;

	(void)!flock(fd, LOCK_EX);
	return fstat(fd, &st) < 0 || st.st_nlink > 0;
}

/* A hidden new file, locked so that a start lets it be. Returns its descriptor. */
int dirv_temp(int dir, char name[DIRV_TEMP_SIZE], struct err *e)
{
	for (int tries = 0; tries < 100; tries++) {
		uint64_t number;
		int fd;

		if (getrandom(&number, sizeof number, 0) != sizeof number)
			number = now_ms() + tries;
		snprintf(name, DIRV_TEMP_SIZE, CLONE_PREFIX "%012llx",
			 (unsigned long long)(number & 0xffffffffffff));
		fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | LOCAL_OPEN_FLAGS, 0600);
		if (fd >= 0 && temp_held(fd))
			return fd;
		if (fd >= 0)
			close(fd);
		else if (errno != EEXIST)
			break;
	}
	return err_sys(e, "cannot make a temporary file beside it");
}

int dirv_clone(struct pool *p, const char *from, const char *to, unsigned flags,
	       struct progress *pr, struct err *e)
{
	_cleanup_close_ int source = -1, temp = -1;
	char name[DIRV_TEMP_SIZE];
	int rc, dir = dirp_fd(p);
	struct stat st;

	if (flags & CLONE_LINKED)
		return err_set(e, EOPNOTSUPP, "a file of a dir pool cannot depend on "
			       "another; clone it without 'linked'");
	source = dirv_open_fd(p, from, O_RDONLY, e);
	if (source < 0)
		return source;
	if (fstat(source, &st) < 0)
		return err_errno(e);
	if (faccessat(dir, to, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return dirv_taken(p, to, e);
	temp = dirv_temp(dir, name, e);
	if (temp < 0)
		return temp;
	rc = copy_file(source, temp, pr, e);
	if (rc == 0)
		rc = dirv_own(temp, st.st_uid, st.st_gid, st.st_mode, e);
	if (rc == 0 && fsync(temp) < 0)
		rc = err_errno(e);
	if (rc == 0 && pr->cancel)
		rc = err_set(e, ECANCELED, "cancelled");
	if (rc == 0 && dirv_move_new(dir, name, to) < 0)
		rc = errno == EEXIST ? dirv_taken(p, to, e) : dirp_failed(p, e);
	if (rc < 0)
		unlinkat(dir, name, 0);
	return rc;
}

int dirv_wipe(struct pool *p, const char *name, enum wipe how, struct progress *pr,
	      struct err *e)
{
	_cleanup_close_ int fd = dirv_open_fd(p, name, O_RDWR, e);

	return fd < 0 ? fd : local_wipe(fd, how, pr, e);
}

/* O_DIRECT stays in v->flags: the buffers of requests are not aligned. */
int dirv_open(struct pool *p, const char *name, int flags, struct vol *v,
	      struct err *e)
{
	int fd = dirv_open_fd(p, name, flags & (O_ACCMODE | O_APPEND), e), rc = 0;

	if (fd < 0)
		return fd;
	if (flags & O_TRUNC && (flags & O_ACCMODE) == O_RDONLY) {
		_cleanup_close_ int w = dirv_open_fd(p, name, O_WRONLY, e);

		rc = w < 0 ? w : local_set_size(w, 0, e);
	} else if (flags & O_TRUNC) {
		rc = local_set_size(fd, 0, e);
	}
	if (rc < 0) {
		close(fd);
		return rc;
	}
	v->fd = fd;
	return 0;
}
