/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * dir.c - pools of type dir: the volumes are the files of a directory.
 *
 * Called through the row dir_backend by the wrappers only. What it does with
 * the files is in dirvol.c and local.c; here the directory itself is looked
 * for, made and removed. Never mounts, never touches what is in it.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "dirvol.h"
#include "local.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int dirp_check(struct pool *p, bool *active, struct err *e)
{
	int fd = target_open(p, e);

	*active = fd >= 0;
	if (fd >= 0)
		close(fd);
	return fd >= 0 || fd == -ENOENT || fd == -ENOTDIR ? 0 : fd;
}

/* Calls may still be using the descriptor: it goes in fini. */
static int dirp_stop(struct pool *p, struct err *e)
{
	(void)p, (void)e;
	return 0;
}

static bool is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Makes path and its parents; *made: length of the first one made, 0 if none. */
static int path_make(char *path, size_t *made, struct err *e)
{
	char *end = path;

	*made = 0;
	do {
		bool last;

		end += 1 + strcspn(end + 1, "/");
		last = *end == '\0';
		*end = '\0';
		if (mkdir(path, last ? 0700 : 0755) == 0) {
			if (!*made)
				*made = end - path;
		} else {
			/* EROFS comes before EEXIST on some file systems. */
			int code = errno == EEXIST ? ENOTDIR : errno;

			if (!is_directory(path))
				return err_set(e, code, "cannot make directory '%s': %s",
					       path, strerror(code));
		}
		if (last)
			return 0;
		*end = '/';
	} while (true);
}

static void path_unmake(char *path, size_t made)
{
	for (size_t len = strlen(path); made && len >= made; ) {
		path[len] = '\0';
		rmdir(path);    /* fails for what was not reached */
		while (len > 0 && path[--len] != '/')
			;
	}
}

static int dirp_build(struct pool *p, enum build mode, struct err *e)
{
	const struct perms *pm = &p->def->perms;
	_cleanup_free_ char *path = NULL;
	size_t made;
	int rc, fd;

	if (mode != BUILD_PLAIN)
		return err_set(e, EINVAL, "a dir pool has no device to format; use 'build' "
			       "without 'overwrite' or 'no-overwrite'");
	if (!p->def->target || p->def->target[0] != '/')
		return err_set(e, EINVAL, "target path '%s' is not absolute",
			       p->def->target ? p->def->target : "");
	path = xstrdup(p->def->target);
	rc = path_make(path, &made, e);
	if (rc < 0)
		goto undo;
	rc = fd = target_open(p, e);
	if (fd < 0)
		goto undo;
	rc = 0;
	if ((pm->uid_set || pm->gid_set) &&
	    fchown(fd, pm->uid_set ? pm->uid : (uid_t)-1,
		   pm->gid_set ? pm->gid : (gid_t)-1) < 0)
		rc = err_sys(e, "cannot change the owner of '%s'", path);
	else if ((pm->mode_set || made) &&
		 fchmod(fd, pm->mode_set ? pm->mode & 07777 : 0711) < 0)
		rc = err_sys(e, "cannot change the mode of '%s'", path);
	close(fd);
	if (rc == 0)
		return 0;
undo:
	path_unmake(path, made);
	return rc;
}

static int dirp_erase(struct pool *p, struct err *e)
{
	int rc, fd = target_open(p, e);
	struct progress pr = { 0 };

	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return fd;
	rc = leftovers_remove(fd, &pr, e);
	close(fd);
	if (rc < 0)
		return rc;
	if (rmdir(p->def->target) == 0 || errno == ENOENT)
		return 0;
	if (errno == ENOTEMPTY || errno == EEXIST)
		return err_set(e, ENOTEMPTY, "directory '%s' is not empty; move or remove "
			       "what is in it first", p->def->target);
	return err_sys(e, "cannot remove directory '%s'", p->def->target);
}

static int dirp_sync(struct pool *p, struct err *e)
{
	struct dirp *d = p->priv;

	if (fsync(d->started ? d->fd : -1) < 0)
		return err_sys(e, "cannot write directory '%s' to its disk", p->def->target);
	return 0;
}

const struct backend dir_backend = {
	.type = "dir",
	.priv_size = sizeof(struct dirp),
	.plain_files = true,
	.vol_formats = VOL_FORMATS_OF_FILES,
	.check = dirp_check,
	.build = dirp_build,
	.start = dirp_attach,
	.stop = dirp_stop,
	.erase = dirp_erase,
	.fini = dirp_detach,
	.usage = dirp_usage,
	.list = dirp_list,
	.sync = dirp_sync,
	.watch = dirp_watch,
	.unwatch = dirp_unwatch,
	.watch_lasts = dirp_watch_lasts,
	.tidy = dirp_tidy,
	.stat = dirv_stat,
	.readlink = dirv_readlink,
	.describe = dirv_describe,
	.create = dirv_create,
	.remove = dirv_remove,
	.rename = dirv_rename,
	.setattr = dirv_setattr,
	.resize = dirv_resize,
	.clone = dirv_clone,
	.wipe = dirv_wipe,
	.open = dirv_open,
	.close = local_close,
	.fstat = local_fstat,
	.read = local_read,
	.write = local_write,
	.flush = local_flush,
	.truncate = local_truncate,
	.allocate = local_allocate,
	.seek = local_seek,
	.copy = local_copy,
	.fd = local_fd,
};
