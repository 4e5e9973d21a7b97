/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * dirresize.c - changes the size of a directory's volume: of a raw one the
 * file's, of another format the disk's in the image, by qemu-img.
 *
 * Called through the rows of dir.c and its like. Looks at the head of the file
 * for the format, and follows no name in it: an image whose backing file is no
 * plain path is left alone, since qemu-img would go where it leads.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "command.h"
#include "dirvol.h"
#include "image.h"
#include "local.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What qemu-img 7.2 can resize without a secret. */
static bool can_resize(enum image_format f)
{
	return f == IMAGE_QCOW2 || f == IMAGE_QED || f == IMAGE_VHDX;
}

/* The disk's bytes are the file's. */
static bool is_bytes(enum image_format f)
{
	return f == IMAGE_RAW || f == IMAGE_ISO || f == IMAGE_LUKS;
}

static bool plain_path(const char *name)
{
	const char *colon = strchr(name, ':'), *slash = strchr(name, '/');

	return !colon || (slash && slash < colon);
}

static int check_image(const struct image_info *i, uint64_t size, unsigned flags,
		       struct err *e)
{
	const char *format = image_format_name(i->format);

	if (!i->size_known)
		return err_set(e, EINVAL, "it is no whole %s image (%s)", format,
			       i->problem ? i->problem : "its size is not known");
	if (!can_resize(i->format))
		return err_set(e, EOPNOTSUPP, "a %s image cannot be resized; convert it to "
			       "qcow2 or raw with qemu-img first", format);
	/* qemu-img would set that file's length as well, wherever it lies. */
	if (i->features & IMAGE_DATA_FILE)
		return err_set(e, EOPNOTSUPP, "its data is in another file, which its header "
			       "names; use qemu-img resize if you trust the image");
	if (i->backing && !plain_path(i->backing))
		return err_set(e, EOPNOTSUPP, "its backing file is no plain path; use qemu-img "
			       "resize if you trust the image");
	if (size < i->size && !(flags & RESIZE_SHRINK))
		return err_set(e, EPERM, "its disk has %" PRIu64 " bytes, and would lose some; "
			       "add the word 'shrink' if that is meant", i->size);
	if (size % 512)
		return err_set(e, EINVAL, "the size of an image's disk is a multiple of 512");
	return 0;
}

/* qemu-img takes its own locks, and so refuses an image in use. */
static int resize_image(struct pool *p, const char *name, int fd, enum image_format format,
			uint64_t size, unsigned flags, struct err *e)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", p->def->target, name);
	_cleanup_free_ char *bytes = xasprintf("%" PRIu64, size);
	const char *argv[12] = { "qemu-img", "resize", "-q", "-f", image_format_name(format) };
	struct command c = { .argv = argv };
	struct stat opened, named;
	int n = 5;

	/* It goes by the path: that must still mean this file. */
	if (fstat(fd, &opened) < 0 || lstat(path, &named) < 0 ||
	    opened.st_dev != named.st_dev || opened.st_ino != named.st_ino)
		return err_set(e, ESTALE, "'%s' is another file now", path);
	if (flags & RESIZE_SHRINK)
		argv[n++] = "--shrink";
	argv[n++] = "--";
	argv[n++] = path;
	argv[n++] = bytes;
	return command_run(&c, e);
}

static int resize_raw(int fd, uint64_t size, unsigned flags, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(e, "cannot look at it");
	if (size < (uint64_t)st.st_size && !(flags & RESIZE_SHRINK))
		return err_set(e, EPERM, "it has %lld bytes, and would lose some; add the "
			       "word 'shrink' if that is meant", (long long)st.st_size);
	return local_set_size(fd, size, e);
}

int dirv_resize(struct pool *p, const char *name, uint64_t size, unsigned flags,
		struct err *e)
{
	/* For writing only: a file that the daemon may write and not read can
	 * be sized all the same, and is raw as far as anybody knows. */
	_cleanup_close_ int fd = dirv_open_fd(p, name, O_WRONLY, e);
	_cleanup_close_ int rfd = -1;
	struct err quiet = { 0 };
	struct image_info info;
	int rc;

	if (fd < 0)
		return fd;
	rfd = dirv_open_fd(p, name, O_RDONLY | O_NOATIME, &quiet);
	if (rfd == -EPERM)
		rfd = dirv_open_fd(p, name, O_RDONLY, &quiet);
	if (rfd < 0)
		return resize_raw(fd, size, flags, e);
	rc = image_probe(rfd, &info, e);
	if (rc < 0)
		return rc;
	if (is_bytes(info.format)) {
		rc = resize_raw(fd, size, flags, e);
	} else {
		rc = check_image(&info, size, flags, e);
		if (rc == 0)
			rc = resize_image(p, name, fd, info.format, size, flags, e);
	}
	image_info_release(&info);
	return rc;
}
