/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * dirimage.c - makes a volume of a directory from what its XML asks for: raw by
 * poolfs itself, other formats by qemu-img, or by qcow-create where that is
 * missing.
 *
 * Called by dirv_create. The file is made under a hidden name beside its place,
 * gets its owner and mode, goes to the disk, and only then takes its name: what
 * shows is whole. A backing file is looked at, and never followed further.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "command.h"
#include "copy.h"
#include "dirvol.h"
#include "image.h"
#include "local.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>
#include <unistd.h>

/* ---- what can be made ------------------------------------------------------------ */

/* program NULL: poolfs makes it. An iso is an empty file for one to be copied
 * into, as in libvirt. */
static const struct maker {
	const char *format, *program;
	bool backing;
} makers[] = {
	{ "raw", NULL, false },
	{ "iso", NULL, false },
	{ "qcow2", "qemu-img", true },
	{ "qcow", "qemu-img", true },
	{ "qed", "qemu-img", true },
	{ "vmdk", "qemu-img", true },
	{ "vdi", "qemu-img", false },
	{ "vpc", "qemu-img", false },
	{ "vhdx", "qemu-img", false },
};
enum { MAKERS = sizeof makers / sizeof *makers };

static int maker_find(const char *format, const struct maker **found, struct err *e)
{
	_cleanup_buf_ struct buf list = { 0 };

	for (size_t i = 0; i < MAKERS; i++) {
		if (strcmp(makers[i].format, format) == 0) {
			*found = &makers[i];
			return 0;
		}
		buf_addf(&list, "%s%s", i ? ", " : "", makers[i].format);
	}
	return err_set(e, EINVAL, "poolfs can make no volume of the format '%.32s', only of %s",
		       format, list.data);
}

/* What only some formats know is refused on the others, not forgotten. */
static int wishes_check(const struct maker *m, const struct vol_create *c, struct err *e)
{
	bool qcow2 = strcmp(m->format, "qcow2") == 0;
	const char *wish = c->compat ? "compat" : c->cluster_size ? "clusterSize" :
			   c->lazy_refcounts ? "lazy_refcounts" :
			   c->extended_l2 ? "extended_l2" : NULL;

	if (c->backing && !m->backing)
		return err_set(e, EINVAL, "a volume of the format '%s' has no backing file; qcow2, "
			       "qcow, qed and vmdk may have one", m->format);
	if (wish && !qcow2)
		return err_set(e, EINVAL, "a volume of the format '%s' has no '%s'; only qcow2 has",
			       m->format, wish);
	if (c->compat && strcmp(c->compat, "0.10") && strcmp(c->compat, "1.1"))
		return err_set(e, EINVAL, "unknown compat '%.16s': 0.10 and 1.1 are known",
			       c->compat);
	return 0;
}

/* ---- the backing file ---------------------------------------------------------------- */

/* What qemu-img would take for a protocol: "nbd:...", "json:...". */
static bool is_protocol(const char *path)
{
	size_t colon = strcspn(path, ":/");

	return path[colon] == ':';
}

/* A backing file without a format: what is in it decides only if that says raw.
 * Else a guest that writes a header into its raw disk would choose how the disk
 * is read, and which file stands behind it; and raw, which libvirt takes always,
 * would show an image's container as the guest's disk. */
static int backing_by_content(int fd, const char *path, const char **format, struct err *e)
{
	struct image_info info;
	int rc = image_probe(fd, &info, e);

	if (rc < 0)
		return err_wrap(e, "backing file '%.100s'", path);
	*format = "raw";
	if (info.format != IMAGE_RAW)
		rc = err_set(e, EINVAL, "backing file '%.100s' looks like %s: say so by <format "
			     "type='%s'/> in <backingStore>, or say 'raw' if that is only its "
			     "content", path, image_format_name(info.format),
			     image_format_name(info.format));
	image_info_release(&info);
	return rc;
}

static int backing_check(struct pool *p, const struct vol_create *c, const char **format,
			 struct err *e)
{
	_cleanup_close_ int fd = -1;
	enum image_format known;
	struct stat st;

	if (is_protocol(c->backing))
		return err_set(e, EINVAL, "backing file '%.100s' is no path; write an absolute one, or "
			       "'./%.100s' for one in the pool", c->backing, c->backing);
	if (strlen(c->backing) > IMAGE_NAME_MAX)
		return err_set(e, ENAMETOOLONG, "the path of the backing file has more than %d bytes",
			       IMAGE_NAME_MAX);
	/* Before: opening a device may do something. */
	if (fstatat(dirp_fd(p), c->backing, &st, 0) < 0)
		return err_sys(e, "backing file '%.100s'", c->backing);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_set(e, EINVAL, "backing file '%.100s' is neither a file nor a block device",
			       c->backing);
	fd = openat(dirp_fd(p), c->backing, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "backing file '%.100s' cannot be read", c->backing);
	*format = c->backing_format;
	if (!*format)
		return backing_by_content(fd, c->backing, format, e);
	if (!image_format_find(*format, &known))
		return err_set(e, EINVAL, "unknown format '%.32s' of the backing file", *format);
	if (known == IMAGE_ISO)
		*format = "raw";        /* as QEMU has it */
	return 0;
}

/* ---- raw -------------------------------------------------------------------------------- */

/* For file systems that cannot allocate. */
static int zeros_write(int fd, uint64_t len, struct progress *pr, struct err *e)
{
	static const char zeros[1 << 18];
	int rc = 0;

	for (uint64_t at = 0; at < len && rc == 0; at += sizeof zeros) {
		uint64_t left = len - at;

		if (pr && atomic_load(&pr->cancel))
			return err_set(e, ECANCELED, "cancelled");
		rc = write_all(fd, zeros, left < sizeof zeros ? left : sizeof zeros, at, e);
	}
	return rc;
}

static int make_raw(int fd, const struct vol_create *c, struct err *e)
{
	uint64_t allocation = c->allocation < c->capacity ? c->allocation : c->capacity;
	int rc = local_set_size(fd, c->capacity, e);

	if (rc < 0 || !allocation)
		return rc;
	do
		rc = fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)allocation);
	while (rc < 0 && errno == EINTR && !(c->progress && atomic_load(&c->progress->cancel)));
	if (rc < 0 && errno == EOPNOTSUPP)
		return zeros_write(fd, allocation, c->progress, e);
	return rc < 0 ? err_sys(e, "cannot allocate %llu bytes", (unsigned long long)allocation) : 0;
}

/* ---- other formats ------------------------------------------------------------------------ */

static void option_add(struct buf *options, const char *name, const char *value)
{
	buf_addf(options, "%s%s=%s", options->len ? "," : "", name, value);
}

static int make_qemu(const struct vol_create *c, const char *path, const char *backing_format,
		     struct err *e)
{
	const char *argv[16] = { "qemu-img", "create", "-q", "-f", c->format };
	_cleanup_buf_ struct buf options = { 0 };
	char size[32], cluster[32];
	size_t n = 5;

	if (c->backing) {
		argv[n++] = "-F";
		argv[n++] = backing_format;
		argv[n++] = "-b";
		argv[n++] = c->backing;
	}
	snprintf(cluster, sizeof cluster, "%llu", (unsigned long long)c->cluster_size);
	if (c->compat)
		option_add(&options, "compat", c->compat);
	if (c->cluster_size)
		option_add(&options, "cluster_size", cluster);
	if (c->lazy_refcounts)
		option_add(&options, "lazy_refcounts", "on");
	if (c->extended_l2)
		option_add(&options, "extended_l2", "on");
	/* Of the others, qemu-img can allocate only what is fully so, or nothing. */
	if (strcmp(c->format, "qcow2") == 0 && c->capacity && c->allocation >= c->capacity &&
	    !c->backing)
		option_add(&options, "preallocation", "falloc");
	if (options.len) {
		argv[n++] = "-o";
		argv[n++] = options.data;
	}
	argv[n++] = "--";
	argv[n++] = path;
	snprintf(size, sizeof size, "%llu", (unsigned long long)c->capacity);
	if (c->capacity || !c->backing)
		argv[n++] = size;
	return command_run(&(struct command){ .argv = argv, .progress = c->progress }, e);
}

/* Of Xen's tools: counts in MiB, and knows one format. */
static int make_qcow_create(const struct vol_create *c, const char *path, struct err *e)
{
	const char *argv[5] = { "qcow-create" };
	char size[32];

	if (strcmp(c->format, "qcow") != 0 || !command_found("qcow-create"))
		return err_set(e, EOPNOTSUPP, "the program 'qemu-img' is missing; install it to make "
			       "volumes of the format '%s'", c->format);
	if (!c->capacity)
		return err_set(e, EINVAL, "qcow-create must be told the capacity");
	snprintf(size, sizeof size, "%llu",
		 (unsigned long long)(c->capacity / (1 << 20) + !!(c->capacity % (1 << 20))));
	argv[1] = size;
	argv[2] = path;
	argv[3] = c->backing;
	return command_run(&(struct command){ .argv = argv, .progress = c->progress }, e);
}

static int make_image(struct pool *p, int fd, const char *temp, const struct maker *m,
		      const struct vol_create *c, struct err *e)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", p->def->target, temp);
	const char *backing_format = NULL;
	struct image_info made;
	struct stat ours, there;
	int rc;

	if (c->backing) {
		rc = backing_check(p, c, &backing_format, e);
		if (rc < 0)
			return rc;
	}
	/* The program goes by the path: it must lead to the pool's directory. */
	if (fstat(fd, &ours) < 0 || stat(path, &there) < 0 || ours.st_dev != there.st_dev ||
	    ours.st_ino != there.st_ino)
		return err_set(e, ESTALE, "'%s' is not the directory any more with which the pool was "
			       "started; stop the pool and start it again", p->def->target);
	rc = command_found(m->program) ? make_qemu(c, path, backing_format, e)
				       : make_qcow_create(c, path, e);
	if (rc < 0)
		return rc;
	rc = image_probe(fd, &made, e);
	if (rc < 0)
		return rc;
	if (strcmp(image_format_name(made.format), m->format) != 0)
		rc = err_set(e, EIO, "%s succeeded, and made no image of the format '%s'",
			     m->program, m->format);
	else if (!made.size_known || made.size < c->capacity)   /* it may round up */
		rc = err_set(e, EFBIG, "the format '%s' cannot hold %llu bytes, though %s said "
			     "nothing", m->format, (unsigned long long)c->capacity, m->program);
	image_info_release(&made);
	return rc;
}

/* ---- the whole ------------------------------------------------------------------------------ */

/* A wish: only btrfs knows it, and only of an empty file. */
static void set_nocow(int fd)
{
	int flags;

	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0) {
		flags |= FS_NOCOW_FL;
		(void)!ioctl(fd, FS_IOC_SETFLAGS, &flags);
	}
}

static int set_owner_and_label(int fd, const struct vol_create *c, struct err *e)
{
	int rc;

	/* Strictly what was asked for; dirv_own lets an unprivileged one pass. */
	if (c->exact_owner && fchown(fd, c->uid, c->gid) < 0)
		return err_sys(e, "cannot give it to owner %u and group %u", c->uid, c->gid);
	rc = c->exact_owner ? 0 : dirv_own(fd, c->uid, c->gid, c->mode, e);
	if (rc == 0 && c->exact_owner && fchmod(fd, c->mode & 0777) < 0)
		rc = err_sys(e, "cannot set its mode");
	/* A file system without labels, and a user who may set none, are no
	 * reason to refuse XML that comes from another host. */
	if (rc == 0 && c->label && fsetxattr(fd, "security.selinux", c->label,
					     strlen(c->label) + 1, 0) < 0 &&
	    errno != EOPNOTSUPP && errno != EPERM && errno != EACCES)
		rc = err_sys(e, "cannot set its label '%.64s'", c->label);
	return rc;
}

int dirv_create_image(struct pool *p, const char *name, const struct vol_create *c,
		      struct vol *v, struct err *e)
{
	const struct maker *m = NULL;
	_cleanup_close_ int fd = -1;
	char temp[DIRV_TEMP_SIZE];
	int rc, dir = dirp_fd(p);

	rc = maker_find(c->format, &m, e);
	if (rc == 0)
		rc = wishes_check(m, c, e);
	if (rc < 0)
		return rc;
	if (faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return dirv_taken(p, name, e);
	fd = dirv_temp(dir, temp, e);
	if (fd < 0)
		return fd;
	if (c->nocow)
		set_nocow(fd);
	rc = m->program ? make_image(p, fd, temp, m, c, e) : make_raw(fd, c, e);
	if (rc == 0)
		rc = set_owner_and_label(fd, c, e);
	if (rc == 0 && fsync(fd) < 0)
		rc = err_sys(e, "cannot write it to its disk");
	if (rc == 0 && c->progress && atomic_load(&c->progress->cancel))
		rc = err_set(e, ECANCELED, "cancelled");
	if (rc == 0 && dirv_move_new(dir, temp, name) < 0)
		rc = errno == EEXIST ? dirv_taken(p, name, e) : dirp_failed(p, e);
	if (rc < 0) {
		unlinkat(dir, temp, 0);
		return rc;
	}
	return v ? dirv_open(p, name, c->flags, v, e) : 0;
}
