/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * dirpool.c - the directory of a pool whose volumes are its files: opening, watching,
 * listing, usage.
 *
 * Called through the rows of dir.c and its like. Keeps one descriptor of the directory,
 * so that moving it away cannot make the pool touch another's files.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "dirvol.h"
#include "copy.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

bool dirp_in_place(struct pool *p)
{
	struct stat ours, there;

	if (fstat(dirp_fd(p), &ours) < 0)
		return false;
	if (stat(p->def->target, &there) < 0)
		return errno != ENOENT && errno != ENOTDIR;
	return ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

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

	if (rc == 0)
		atomic_store(&d->watch, w);
	/* The directory's own time tells nothing of sizes. */
	if (rc == 0 && d->late)
		p->changed(p->changed_arg, VOL_LOST, NULL, NULL, 0);
	d->late = false;
	return rc;
}

/* The kernel walks over all names that it has cached: 0.2 us each. */
bool dirp_watch_lasts(struct pool *p)
{
	enum { LARGE = 32 << 10 };
	struct dirp *d = p->priv;
	struct stat st;

	d->late = fstat(dirp_fd(p), &st) == 0 && st.st_size >= LARGE;
	return d->late;
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
		if (de->d_type != DT_UNKNOWN && !dirv_is_volume(type))
			continue;
		if (name_check(NAME_VOLUME, de->d_name, &unfit) < 0)
			continue;
		if (de->d_type == DT_UNKNOWN) {
			if (fstatat(fd, de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
			    !dirv_is_volume(st.st_mode))
				continue;
			type = st.st_mode & S_IFMT;
		}
		if (!found(arg, de->d_name, de->d_ino, type))
			break;
	}
	closedir(dir);
	return rc;
}
