/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * durable.c - files that a reader, a kill -9 and a power cut see whole or not at
 * all: written under a temporary name, fsynced, renamed, their directory fsynced.
 *
 * Called by store.c and secrets.c, which know what the files are. Never reads one.
 */
#include "durable.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEMP_PREFIX ".tmp-"

static atomic_uint serial;              /* of temporary names */

/* ---- directories ------------------------------------------------------------------ */

int dir_sync(int fd, const char *path, struct err *e)
{
	if (fsync(fd) == 0 || errno == EINVAL)  /* EINVAL: a file system without */
		return 0;
	return err_sys(e, "cannot make '%s' durable", path);
}

/* A new directory is no more durable than its entry in the one above. */
static int dir_parent_sync(const char *path, struct err *e)
{
	_cleanup_free_ char *parent = xasprintf("%s/..", path);
	_cleanup_close_ int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? err_sys(e, "cannot open '%s'", parent) : dir_sync(fd, parent, e);
}

int dir_make(const char *path, struct err *e)
{
	_cleanup_free_ char *part = xstrdup(path);
	char *end = part;

	while (*end) {
		char kept;

		end += strspn(end, "/");
		end += strcspn(end, "/");
		kept = *end;
		*end = '\0';
		if (mkdir(part, 0700) == 0) {
			if (dir_parent_sync(part, e) < 0)
				return -e->code;
		} else if (errno != EEXIST) {
			int code = errno;
			struct stat st;

			/* What is there needs no permission to be made. */
			if (stat(part, &st) < 0 || !S_ISDIR(st.st_mode)) {
				errno = code;
				return err_sys(e, "cannot make the directory '%s'", part);
			}
		}
		*end = kept;
	}
	return 0;
}

int dir_open(const char *path, int flags, struct err *e)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags);

	return fd >= 0 ? fd : err_sys(e, "cannot open the directory '%s'", path);
}

/* ---- temporary names ----------------------------------------------------------------- */

void temp_name(char name[64])
{
	snprintf(name, 64, TEMP_PREFIX "%ld-%u", (long)getpid(), atomic_fetch_add(&serial, 1));
}

static bool temp_is(const char *name)
{
	unsigned pid, n;
	int len = 0;

	return sscanf(name, TEMP_PREFIX "%u-%u%n", &pid, &n, &len) == 2 && len && !name[len];
}

void temp_sweep(int at, const char *sub)
{
	int fd = openat(at, sub, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((d = readdir(dir)))
		if (temp_is(d->d_name))
			unlinkat(dirfd(dir), d->d_name, 0);
	closedir(dir);
}

/* ---- files -------------------------------------------------------------------------------- */

/* The caller renames or unlinks it. */
static int temp_write(int dir, const char *path, const char *data, size_t len, char temp[64],
		      struct err *e)
{
	_cleanup_close_ int fd = -1;
	int ret = 0;

	temp_name(temp);
	fd = openat(dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, "cannot write in '%s'", path);
	while (len && ret == 0) {
		ssize_t done = write(fd, data, len);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0) {
			ret = err_sys(e, "cannot write in '%s'", path);
		} else {
			data += done;
			len -= (size_t)done;
		}
	}
	if (ret == 0 && fsync(fd) < 0)
		ret = err_sys(e, "cannot write in '%s'", path);
	if (ret < 0)
		unlinkat(dir, temp, 0);
	return ret;
}

int file_write(int dir, const char *path, const char *file, const char *data, size_t len,
	       struct err *e)
{
	char temp[64];
	int ret = temp_write(dir, path, data, len, temp, e);

	if (ret < 0)
		return ret;
	if (renameat(dir, temp, dir, file) < 0) {
		ret = err_sys(e, "cannot write '%s/%s'", path, file);
		unlinkat(dir, temp, 0);
		return ret;
	}
	return dir_sync(dir, path, e);
}

int file_remove(int dir, const char *path, const char *file, struct err *e)
{
	if (unlinkat(dir, file, 0) == 0)
		return dir_sync(dir, path, e);
	return errno == ENOENT ? 0 : err_sys(e, "cannot remove '%s/%s'", path, file);
}
