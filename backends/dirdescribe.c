/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * dirdescribe.c - what poolfs knows of a volume that is a file: attributes,
 * what its header says, and the file behind it.
 *
 * Called through the describe row of dir.c and its like. The header comes from
 * strangers. The name in it is looked at only inside the file systems on which
 * the pool's own path lies, so that it leads to no dead server, and outside the
 * pool's directory only if the volume's owner could look there as well as the
 * daemon. Reads heads by the prober's rules; never writes, never follows a chain.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "dirvol.h"
#include "image_cache.h"
#include "local.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

/* One for the whole daemon: it knows files, not pools. */
static struct image_cache *cache;

static void cache_make(void)
{
	cache = image_cache_new(0);
}

static struct image_cache *cache_get(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, cache_make);
	return cache;
}

/* ---- attributes --------------------------------------------------------------------- */

static void target_set_stat(struct vol_target *t, const struct stat *st)
{
	t->perms.mode_set = t->perms.uid_set = t->perms.gid_set = true;
	t->perms.mode = st->st_mode & 0777;
	t->perms.uid = st->st_uid;
	t->perms.gid = st->st_gid;
	t->times_set = true;
	t->atime = st->st_atim;
	t->mtime = st->st_mtim;
	t->ctime = st->st_ctim;
}

/* By a path below /proc for descriptors that are only a place (O_PATH). */
static char *label_get(int fd)
{
	char label[256], path[64];
	ssize_t n;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	n = getxattr(path, "security.selinux", label, sizeof label - 1);
	if (n <= 0)
		return NULL;
	label[n] = '\0';
	return xstrdup(label);
}

/* Looking at a volume is no use of it: its time of access stays if it may. */
static int open_quietly(struct pool *p, const char *name, struct err *e)
{
	int fd = dirv_open_fd(p, name, O_RDONLY | O_NOATIME, e);

	return fd == -EPERM ? dirv_open_fd(p, name, O_RDONLY, e) : fd;
}

/* ---- the file behind it -------------------------------------------------------------- */

/* QEMU's words for what is no path: "nbd://...", "json:{...}", "file:x". */
static bool is_protocol(const char *name)
{
	return name[strcspn(name, ":/")] == ':';
}

/* Length of the directories that both paths begin with, as text. */
static size_t common_length(const char *target, const char *path)
{
	size_t common = 0;

	for (size_t i = 0; ; i++) {
		bool end_target = !target[i] || target[i] == '/';

		if (end_target && path[i] == '/')
			common = i;
		if (!target[i] || target[i] != path[i])
			return common;
	}
}

/* A place (O_PATH), or -1: not there, on another file system, or such that the
 * kernel cannot promise (before 5.6). */
static int place_open(struct pool *p, const char *path, bool inside)
{
	size_t common = common_length(p->def->target, path);
	_cleanup_free_ char *start = common ? strndup(path, common) : xstrdup("/");
	_cleanup_close_ int base = -1;
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS,
	};

	if (inside) {
		how.flags |= O_NOFOLLOW;
		return (int)syscall(SYS_openat2, dirp_fd(p), strrchr(path, '/') + 1, &how, sizeof how);
	}
	base = open(start ? start : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	path += common + strspn(path + common, "/");
	if (base < 0 || !*path)
		return -1;
	return (int)syscall(SYS_openat2, base, path, &how, sizeof how);
}

/* The format by content, as libvirt has it where the header does not say. */
static char *format_by_content(int place, const struct stat *st)
{
	struct image_info info;
	struct err quiet = { 0 };
	char *format = NULL, path[64];
	_cleanup_close_ int fd = -1;

	if (!S_ISREG(st->st_mode))
		return NULL;
	snprintf(path, sizeof path, "/proc/self/fd/%d", place);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOATIME | O_CLOEXEC);
	if (fd < 0 && errno == EPERM)
		fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || image_cache_probe(cache_get(), fd, &info, &quiet) < 0)
		return NULL;
	format = xstrdup(info.format == IMAGE_LUKS ? "raw" : image_format_name(info.format));
	image_info_release(&info);
	return format;
}

static void backing_describe(struct pool *p, const struct stat *volume,
			     const struct image_info *info, struct vol_target *t)
{
	const char *name = info->backing;
	_cleanup_close_ int place = -1;
	struct stat st;
	bool inside;

	if (info->backing_format[0])
		t->format = xstrdup(info->backing_format);
	if (is_protocol(name)) {
		t->path = xstrdup(name);
		return;
	}
	t->path = name[0] == '/' ? xstrdup(name) : xasprintf("%s/%s", p->def->target, name);
	/* A plain file of this directory can be seen by whoever sees the pool. */
	inside = common_length(p->def->target, t->path) == strlen(p->def->target) &&
		 !strchr(t->path + strlen(p->def->target) + 1, '/');
	if (!inside && volume->st_uid != 0 && volume->st_uid != geteuid())
		return;
	place = place_open(p, t->path, inside);
	if (place < 0 || fstat(place, &st) < 0 || (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)))
		return;
	target_set_stat(t, &st);
	t->perms.label = label_get(place);
	if (!t->format)
		t->format = format_by_content(place, &st);
}

/* ---- the volume ------------------------------------------------------------------------- */

/* libvirt's words: LUKS is a raw volume that is encrypted; versions and clusters
 * are told of qcow2 only. */
static void header_describe(const struct image_info *info, struct vol_desc *d)
{
	const char *encryption = image_encryption_name(info->encryption);

	d->target.format = xstrdup(info->format == IMAGE_LUKS ? "raw" :
				   image_format_name(info->format));
	if (info->size_known)
		d->capacity = info->size;
	if (encryption)
		d->encryption = xstrdup(encryption);
	if (info->format != IMAGE_QCOW2)
		return;
	if (info->compat && strcmp(info->compat, "0.10") != 0)
		d->compat = xstrdup(info->compat);
	d->cluster_size = info->cluster_size;
	d->lazy_refcounts = info->features & IMAGE_LAZY_REFCOUNTS;
	d->extended_l2 = info->features & IMAGE_EXTENDED_L2;
}

int dirv_describe(struct pool *p, const char *name, struct vol_desc *d, struct err *e)
{
	_cleanup_close_ int fd = open_quietly(p, name, e);
	struct image_info info;
	struct stat st;
	int rc;

	/* Not even the owner may read it: what stat tells is told. */
	if (fd == -EACCES || fd == -EPERM) {
		if (fstatat(dirp_fd(p), name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return dirp_failed(p, e);
	} else if (fd < 0) {
		return fd;
	} else if (fstat(fd, &st) < 0) {
		return err_sys(e, "cannot look at it");
	}
	d->kind = VOL_FILE;
	d->target.path = xasprintf("%s/%s", p->def->target, name);
	d->key = xstrdup(d->target.path);
	d->misplaced = !dirp_in_place(p);
	d->capacity = d->physical = (uint64_t)st.st_size;
	d->allocation = (uint64_t)st.st_blocks * 512;
	target_set_stat(&d->target, &st);
	if (fd < 0)
		return 0;
	d->target.perms.label = label_get(fd);
	rc = image_cache_probe(cache_get(), fd, &info, e);
	if (rc < 0)
		return rc;
	header_describe(&info, d);
	if (info.backing)
		backing_describe(p, &st, &info, &d->backing);
	image_info_release(&info);
	return 0;
}
