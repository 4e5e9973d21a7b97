/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * local.c - volumes that are a local file: read, write, flush, size, holes,
 * attributes and wiping of an open one.
 *
 * Called through the rows of drivers (see local.h). Every function works on
 * v->fd alone, so calls on one volume may run side by side.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "local.h"
#include "copy.h"
#include "qemulock.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* splitmix64's end: spreads small differences over all bits. */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

static struct timespec time_of(struct statx_timestamp t)
{
	return (struct timespec){ .tv_sec = t.tv_sec, .tv_nsec = t.tv_nsec };
}

/* statx, for the time of birth: ext4 and xfs give a new file the inode number
 * of the one just deleted. */
static int stat_get(int dirfd, const char *name, int flags, struct vol_stat *out)
{
	struct statx x;
	struct stat *st = &out->st;

	if (statx(dirfd, name, flags | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT,
		  STATX_BASIC_STATS | STATX_BTIME, &x) < 0)
		return -errno;
	memset(out, 0, sizeof *out);
	st->st_dev = makedev(x.stx_dev_major, x.stx_dev_minor);
	st->st_ino = x.stx_ino;
	st->st_mode = x.stx_mode & (S_IFMT | 0777);
	st->st_nlink = x.stx_nlink;
	st->st_uid = x.stx_uid;
	st->st_gid = x.stx_gid;
	st->st_size = (off_t)x.stx_size;
	st->st_blksize = x.stx_blksize;
	st->st_blocks = (blkcnt_t)x.stx_blocks;
	st->st_atim = time_of(x.stx_atime);
	st->st_mtim = time_of(x.stx_mtime);
	st->st_ctim = time_of(x.stx_ctime);
	out->id = mix(mix(x.stx_ino) ^ st->st_dev);
	if (x.stx_mask & STATX_BTIME)
		out->id = mix(out->id ^ mix((uint64_t)x.stx_btime.tv_sec) ^
			      x.stx_btime.tv_nsec);
	return 0;
}

int local_stat_at(int dirfd, const char *name, struct vol_stat *st)
{
	return stat_get(dirfd, name, 0, st);
}

int local_stat_fd(int fd, struct vol_stat *st)
{
	return stat_get(fd, "", AT_EMPTY_PATH, st);
}

int local_close(struct vol *v, struct err *e)
{
	int fd = v->fd;

	v->fd = -1;
	/* Linux has closed it whatever it answers; EINTR says nothing. */
	if (fd >= 0 && close(fd) < 0 && errno != EINTR)
		return err_errno(e);
	return 0;
}

int local_fstat(struct vol *v, struct vol_stat *st, struct err *e)
{
	int rc = local_stat_fd(v->fd, st);

	return rc < 0 ? err_set(e, -rc, "%s", strerror(-rc)) : 0;
}

ssize_t local_read(struct vol *v, void *data, size_t len, uint64_t off, struct err *e)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(v->fd, (char *)data + done, len - done,
				  (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e);
		if (n == 0)
			break;
		done += n;
	}
	return (ssize_t)done;
}

/* With O_APPEND the file was opened so, and the kernel ignores the offset. */
ssize_t local_write(struct vol *v, const void *data, size_t len, uint64_t off,
		    struct err *e)
{
	int rc = write_all(v->fd, data, len, off, e);

	return rc < 0 ? rc : (ssize_t)len;
}

int local_flush(struct vol *v, bool data_only, struct err *e)
{
	if ((data_only ? fdatasync(v->fd) : fsync(v->fd)) < 0)
		return err_errno(e);
	return 0;
}

int local_set_size(int fd, uint64_t size, struct err *e)
{
	struct stat st;
	int rc;

	if (size > INT64_MAX)
		return err_set(e, EFBIG, "no file can be that large");
	if (fstat(fd, &st) < 0)
		return err_errno(e);
	if (size < (uint64_t)st.st_size) {
		rc = qemulock_check(fd, e);
		if (rc < 0)
			return rc;
	}
	while (ftruncate(fd, (off_t)size) < 0)
		if (errno != EINTR)
			return err_errno(e);
	return 0;
}

int local_truncate(struct vol *v, uint64_t size, struct err *e)
{
	return local_set_size(v->fd, size, e);
}

int local_allocate(struct vol *v, int mode, uint64_t off, uint64_t len, struct err *e)
{
	if (off > INT64_MAX || len > INT64_MAX - off)
		return err_set(e, EFBIG, "no file can be that large");
	while (fallocate(v->fd, mode, (off_t)off, (off_t)len) < 0) {
		if (errno == EINTR)
			continue;
		if (errno == EOPNOTSUPP)
			return err_set(e, EOPNOTSUPP, "the file system that holds it "
				       "cannot do this");
		return err_errno(e);
	}
	return 0;
}

int local_seek(struct vol *v, uint64_t off, int whence, uint64_t *found, struct err *e)
{
	off_t at;

	if (off > INT64_MAX)
		return -(e->code = ENXIO);
	at = lseek(v->fd, (off_t)off, whence);
	if (at < 0 && errno == ENXIO)
		return -(e->code = ENXIO);
	if (at < 0)
		return err_errno(e);
	*found = at;
	return 0;
}

ssize_t local_copy(struct vol *from, uint64_t from_off, struct vol *to, uint64_t to_off,
		   size_t len, struct err *e)
{
	if (to->flags & O_APPEND)
		return err_set(e, EBADF, "the target was opened to append");
	return copy_range(from->fd, from_off, to->fd, to_off, len, e);
}

int local_fd(struct vol *v)
{
	return v->fd;
}

static int random_fill(char *data, size_t len, struct err *e)
{
	while (len) {
		ssize_t n = getrandom(data, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e);
		data += n;
		len -= n;
	}
	return 0;
}

/* Writes over what is allocated in [pos, end), and over nothing else. */
static int data_overwrite(int fd, uint64_t pos, uint64_t end, bool random, char *block,
			  size_t size, struct progress *pr, struct err *e)
{
	while (pos < end) {
		uint64_t data, hole;
		int rc;

		if (pr->cancel)
			return err_set(e, ECANCELED, "cancelled; part of it is wiped");
		rc = extent_next(fd, pos, end, &data, &hole, e);
		if (rc < 0)
			return rc;
		if (hole - data > size)
			hole = data + size;
		if (random && (rc = random_fill(block, hole - data, e)) < 0)
			return rc;
		rc = write_all(fd, block, hole - data, data, e);
		if (rc < 0)
			return rc;
		pos = hole;
		pr->done = pos;
	}
	return 0;
}

static int data_punch(int fd, uint64_t end, struct progress *pr, struct err *e)
{
	const uint64_t step = 1 << 30;

	for (uint64_t pos = 0; pos < end; pos += step) {
		/* To the end of the last block, or that block would stay. */
		uint64_t len = end - pos < step ? (end - pos + 4095) & ~4095ull : step;

		if (pr->cancel)
			return err_set(e, ECANCELED, "cancelled; part of it is wiped");
		if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)pos,
			      (off_t)len) < 0) {
			if (errno == EOPNOTSUPP)
				return err_set(e, EOPNOTSUPP, "the file system that holds "
					       "it has no discard; use 'zero'");
			return err_errno(e);
		}
		pr->done = pos + step < end ? pos + step : end;
	}
	return 0;
}

int local_wipe(int fd, enum wipe how, struct progress *pr, struct err *e)
{
	const size_t size = 1 << 20;
	_cleanup_free_ char *block = NULL;
	struct stat st;
	int rc;

	if (fstat(fd, &st) < 0)
		return err_errno(e);
	rc = qemulock_check(fd, e);
	if (rc < 0)
		return rc;
	pr->total = st.st_size;
	if (how == WIPE_TRIM) {
		rc = data_punch(fd, st.st_size, pr, e);
	} else {
		block = xcalloc(1, size);
		rc = data_overwrite(fd, 0, st.st_size, how == WIPE_RANDOM, block, size,
				    pr, e);
	}
	if (rc < 0)
		return rc;
	return fdatasync(fd) < 0 ? err_errno(e) : 0;
}
