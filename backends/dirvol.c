/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * dirvol.c - volumes that are the files of one local directory.
 *
 * Called through the rows of dir.c and its like. Works below one descriptor
 * of the directory, so that moving it away cannot make it touch another's
 * files. Never follows a symlink, never uses what is not a regular file:
 * sub-directories, FIFOs, sockets and device nodes do not exist here.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "dirvol.h"
#include "copy.h"
#include "local.h"
#include "qemulock.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Before a start this is -1, and every call below answers EBADF. */
int dirp_fd(struct pool *p)
{
	struct dirp *d = p->priv;

	return d->started ? d->fd : -1;
}

/* The directory was removed: if there is a new one at its path, that is the
 * pool's from now on. Nothing is lost, since a removed directory is empty. The
 * descriptor keeps its number, so calls under way need no lock. */
static bool dirp_reattach(struct pool *p)
{
	struct dirp *d = p->priv;
	struct watch *w = atomic_load(&d->watch);
	struct err quiet = { 0 };
	struct stat st;
	bool done;
	int fd;

	if (fstat(dirp_fd(p), &st) < 0 || st.st_nlink > 0)
		return false;
	fd = target_open(p, &quiet);
	if (fd < 0)
		return false;
	done = dup3(fd, dirp_fd(p), O_CLOEXEC) >= 0;
	close(fd);
	if (done && w)
		watch_again(w, dirp_fd(p));
	return done;
}

/* The sentence for errno. ENOENT is daily life and has none, unless it is the
 * directory itself that is gone. */
int dirp_failed(struct pool *p, struct err *e)
{
	int code = errno;
	struct stat st;

	if (code == ENOENT) {
		if (fstat(dirp_fd(p), &st) == 0 && st.st_nlink == 0)
			return err_set(e, ENOENT, "directory '%s' has been removed%s",
				       p->def->target, dirp_reattach(p) ?
				       " and made anew; try again" :
				       "; make it again, or stop the pool");
		return -(e->code = ENOENT);
	}
	errno = code;
	return err_errno(e);
}

static bool is_volume(mode_t mode)
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
	    !is_volume(st.st_mode))
		return err_set(e, EEXIST, "%s that is no volume has the name '%s' in "
			       "'%s'", kind_name(st.st_mode), name, p->def->target);
	return -(e->code = EEXIST);
}

/* ENOENT for what is not there and for what is not shown. */
static int volume_find(struct pool *p, const char *name, struct stat *st, struct err *e)
{
	if (fstatat(dirp_fd(p), name, st, AT_SYMLINK_NOFOLLOW) < 0)
		return dirp_failed(p, e);
	return is_volume(st->st_mode) ? 0 : -(e->code = ENOENT);
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

/* ---- the directory ------------------------------------------------------- */

int target_open(struct pool *p, struct err *e)
{
	const char *target = p->def->target;
	int fd;

	if (!target || target[0] != '/')
		return err_set(e, EINVAL, "target path '%s' is not absolute",
			       target ? target : "");
	fd = open(target, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	if (errno == ENOENT)
		return err_set(e, ENOENT, "directory '%s' does not exist; the verb "
			       "'build' makes it", target);
	if (errno == ENOTDIR)
		return err_set(e, ENOTDIR, "'%s' is not a directory", target);
	return err_sys(e, "cannot open directory '%s'", target);
}

int dirp_attach(struct pool *p, struct err *e)
{
	struct dirp *d = p->priv;
	int fd;

	if (d->started)
		return 0;
	fd = target_open(p, e);
	if (fd < 0)
		return fd;
	d->fd = fd;
	d->started = true;
	return 0;
}

void dirp_detach(struct pool *p)
{
	struct dirp *d = p->priv;

	watch_free(atomic_exchange(&d->watch, NULL));
	if (d->started)
		close(d->fd);
	d->started = false;
}

/* What has ended stays until fini: a call that hangs since then may still come to
 * dirp_reattach. */
int dirp_watch(struct pool *p, struct err *e)
{
	struct dirp *d = p->priv;
	struct watch *w;
	int rc = watch_begin(dirp_fd(p), p->changed, p->changed_arg, atomic_load(&d->watch), &w, e);
	struct stat st;

	if (rc == 0)
		atomic_store(&d->watch, w);
	if (rc == 0 && d->compare &&
	    (fstat(dirp_fd(p), &st) < 0 || st.st_mtim.tv_sec != d->changed.tv_sec ||
	     st.st_mtim.tv_nsec != d->changed.tv_nsec))
		p->changed(p->changed_arg, VOL_LOST, NULL, NULL, 0);
	d->compare = false;
	return rc;
}

/* The kernel walks over all names that it has cached: 0.2 us each. A change within the
 * tick of the one before may leave the directory's time as it is. */
bool dirp_watch_lasts(struct pool *p)
{
	enum { LARGE = 32 << 10, TICK_NS = 20000000 };
	struct dirp *d = p->priv;
	struct timespec now;
	struct stat st;

	clock_gettime(CLOCK_REALTIME, &now);
	if (fstat(dirp_fd(p), &st) < 0 || st.st_size < LARGE)
		return false;
	d->compare = true;
	d->changed = st.st_mtim;
	if ((now.tv_sec - st.st_mtim.tv_sec) * 1000000000LL + now.tv_nsec - st.st_mtim.tv_nsec <
	    TICK_NS)
		d->changed = (struct timespec){ 0 };
	return true;
}

void dirp_unwatch(struct pool *p)
{
	struct dirp *d = p->priv;
	struct watch *w = atomic_load(&d->watch);

	if (w)
		watch_end(w);
}

int dirp_usage(struct pool *p, struct pool_usage *u, struct err *e)
{
	struct statvfs fs;

	dirp_reattach(p);
	if (fstatvfs(dirp_fd(p), &fs) < 0 || fstat(dirp_fd(p), &u->dir) < 0)
		return err_sys(e, "directory '%s'", p->def->target);
	if (u->dir.st_nlink == 0) {
		errno = ENOENT;
		return dirp_failed(p, e);
	}
	u->dir.st_mode &= ~(mode_t)(S_ISUID | S_ISGID);
	u->capacity = (uint64_t)fs.f_blocks * fs.f_frsize;
	u->allocation = u->capacity - (uint64_t)fs.f_bfree * fs.f_frsize;
	u->available = (uint64_t)fs.f_bavail * fs.f_frsize;
	u->files = fs.f_files;
	u->files_free = fs.f_ffree;
	return 0;
}

int dirp_list(struct pool *p, vol_found_f *found, void *arg, struct err *e)
{
	/* One of its own: two lists must not share a position. */
	int fd = openat(dirp_fd(p), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *de;
	struct stat st;
	DIR *dir;
	int rc = 0;

	if (fd < 0)
		return dirp_failed(p, e);
	/* readdir(3) takes a directory that is gone for one that is empty. */
	if (fstat(fd, &st) == 0 && st.st_nlink == 0) {
		close(fd);
		errno = ENOENT;
		return dirp_failed(p, e);
	}
	dir = fdopendir(fd);
	if (!dir) {
		rc = err_errno(e);
		close(fd);
		return rc;
	}
	for (;;) {
		struct err unfit;
		mode_t type;

		errno = 0;
		de = readdir(dir);
		if (!de) {
			if (errno)
				rc = dirp_failed(p, e);
			break;
		}
		type = DTTOIF(de->d_type);
		if (de->d_type != DT_UNKNOWN && !is_volume(type))
			continue;
		if (name_check(NAME_VOLUME, de->d_name, &unfit) < 0)
			continue;
		if (de->d_type == DT_UNKNOWN) {
			if (fstatat(fd, de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
			    !is_volume(st.st_mode))
				continue;
			type = st.st_mode & S_IFMT;
		}
		if (!found(arg, de->d_name, de->d_ino, type))
			break;
	}
	closedir(dir);
	return rc;
}

/* ---- its volumes ---------------------------------------------------------- */

int dirv_stat(struct pool *p, const char *name, struct vol_stat *st, struct err *e)
{
	int rc = local_stat_at(dirp_fd(p), name, st);

	if (rc < 0) {
		errno = -rc;
		return dirp_failed(p, e);
	}
	return is_volume(st->st.st_mode) ? 0 : -(e->code = ENOENT);
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
	if (!is_volume(st.st_mode))
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
		if (!is_volume(b.st_mode))
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
