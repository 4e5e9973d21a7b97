/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * copy.c - fd to fd copying: FICLONE and FICLONERANGE, then copy_file_range,
 * then read and write; always extent by extent, so that holes stay holes.
 *
 * Called by local.c (copy of a range) and dir.c (clone of a volume).
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "copy.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
	STEP = 8 << 20,         /* between two looks at progress->cancel */
	BLOCK = 1 << 20,        /* of read and write */
};

int err_errno(struct err *e)
{
	return err_set(e, errno, "%s", strerror(errno));
}

int write_all(int fd, const void *data, size_t len, uint64_t off, struct err *e)
{
	const char *at = data;

	while (len) {
		ssize_t n = pwrite(fd, at, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e);
		if (n == 0)
			return err_set(e, EIO, "the file takes no more bytes");
		at += n;
		off += n;
		len -= n;
	}
	return 0;
}

int extent_next(int fd, uint64_t pos, uint64_t end, uint64_t *data, uint64_t *hole,
		struct err *e)
{
	off_t d = lseek(fd, (off_t)pos, SEEK_DATA), h;

	*data = *hole = end;
	if (d < 0 && errno == ENXIO)
		return 0;
	if (d < 0 && errno != EINVAL && errno != EOPNOTSUPP)
		return err_errno(e);
	if (d < 0)
		d = (off_t)pos;
	else if ((uint64_t)d >= end)
		return 0;
	*data = d;
	h = lseek(fd, d, SEEK_HOLE);
	if (h > d && (uint64_t)h < end)
		*hole = h;
	return 0;
}

/* Copies data; returns less than len only where the source ends. */
static ssize_t data_copy(int from, uint64_t from_off, int to, uint64_t to_off, size_t len,
			 struct err *e)
{
	size_t done = 0;
	_cleanup_free_ char *block = NULL;

	while (done < len) {
		off_t in = from_off + done, out = to_off + done;
		ssize_t n = copy_file_range(from, &in, to, &out, len - done, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == ENOSPC || errno == EIO || errno == EDQUOT ||
			      errno == EFBIG))
			return err_errno(e);
		if (n <= 0)
			break;  /* other file system, old kernel, or the end */
		done += n;
	}
	while (done < len) {
		size_t want = len - done < BLOCK ? len - done : BLOCK;
		ssize_t n;
		int rc;

		if (!block)
			block = xmalloc(BLOCK);
		n = pread(from, block, want, (off_t)(from_off + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e);
		if (n == 0)
			break;
		rc = write_all(to, block, n, to_off + done, e);
		if (rc < 0)
			return rc;
		done += n;
	}
	return (ssize_t)done;
}

/* Where the target has data, it shall have none: a hole, or else zeros. */
static int hole_punch(int to, uint64_t off, uint64_t len, struct err *e)
{
	uint64_t pos = off, end = off + len, data, hole;
	_cleanup_free_ char *zeros = NULL;
	int rc;

	rc = extent_next(to, pos, end, &data, &hole, e);
	if (rc < 0 || data == end)
		return rc;
	if (fallocate(to, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off,
		      (off_t)len) == 0)
		return 0;
	if (errno != EOPNOTSUPP && errno != ENOSYS && errno != ENODEV)
		return err_errno(e);
	zeros = xcalloc(1, BLOCK);
	while (pos < end) {
		rc = extent_next(to, pos, end, &data, &hole, e);
		if (rc < 0)
			return rc;
		for (pos = data; pos < hole; ) {
			size_t n = hole - pos < BLOCK ? hole - pos : BLOCK;

			rc = write_all(to, zeros, n, pos, e);
			if (rc < 0)
				return rc;
			pos += n;
		}
	}
	return 0;
}

/* A hole of the source at off..off+len of the target, which may be shorter. */
static int hole_make(int to, uint64_t off, uint64_t len, struct err *e)
{
	struct stat st;

	if (fstat(to, &st) < 0)
		return err_errno(e);
	if (S_ISREG(st.st_mode) && off >= (uint64_t)st.st_size)
		return 0;       /* whoever extends the file makes this hole */
	if (S_ISREG(st.st_mode) && off + len > (uint64_t)st.st_size)
		len = st.st_size - off;
	return hole_punch(to, off, len, e);
}

/* The target reaches end at least. Never by ftruncate, which would cut off
 * what another writer appends between our look at the size and the call. */
static int size_reach(int to, uint64_t end, uint64_t hole_start, struct err *e)
{
	struct stat st;
	int rc;

	if (fstat(to, &st) < 0)
		return err_errno(e);
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size >= end)
		return 0;
	rc = write_all(to, "", 1, end - 1, e);
	if (rc == 0)    /* give the byte's block back; no harm if that fails */
		(void)!fallocate(to, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				 (off_t)hole_start, (off_t)(end - hole_start));
	return rc;
}

static bool range_clone(int from, uint64_t from_off, int to, uint64_t to_off, uint64_t len)
{
	struct file_clone_range r = {
		.src_fd = from, .src_offset = from_off, .src_length = len,
		.dest_offset = to_off,
	};

	return ioctl(to, FICLONERANGE, &r) == 0;
}

ssize_t copy_range(int from, uint64_t from_off, int to, uint64_t to_off, size_t len,
		   struct err *e)
{
	uint64_t pos, end, budget = COPY_CALL_MAX, tail = UINT64_MAX;
	struct stat a, b;
	int rc;

	if (fstat(from, &a) < 0 || fstat(to, &b) < 0)
		return err_errno(e);
	if (from_off > INT64_MAX || to_off > INT64_MAX)
		return err_set(e, EINVAL, "an offset is beyond 8 EiB");
	if (from_off >= (uint64_t)a.st_size && S_ISREG(a.st_mode))
		return 0;
	if (len > INT64_MAX - from_off)
		len = INT64_MAX - from_off;
	if (len > INT64_MAX - to_off)
		len = INT64_MAX - to_off;
	if (S_ISREG(a.st_mode) && len > (uint64_t)a.st_size - from_off)
		len = a.st_size - from_off;
	if (len == 0)
		return 0;
	if (a.st_dev == b.st_dev && a.st_ino == b.st_ino &&
	    from_off < to_off + len && to_off < from_off + len)
		return err_set(e, EINVAL, "the two ranges overlap");
	if (range_clone(from, from_off, to, to_off, len))
		return (ssize_t)len;

	pos = from_off;
	end = from_off + len;
	while (pos < end && budget) {
		uint64_t data, hole;
		ssize_t n;

		rc = extent_next(from, pos, end, &data, &hole, e);
		if (rc < 0)
			goto failed;
		if (data > pos) {
			rc = hole_make(to, to_off + (pos - from_off), data - pos, e);
			if (rc < 0)
				goto failed;
			tail = pos;
			pos = data;
		}
		if (hole == data)
			continue;
		if (hole - data > budget)
			hole = data + budget;
		n = data_copy(from, data, to, to_off + (data - from_off), hole - data, e);
		rc = (int)(n < 0 ? n : 0);
		if (rc < 0)
			goto failed;
		if (n > 0)
			tail = UINT64_MAX;
		pos += n;
		budget -= n;
		if ((uint64_t)n < hole - data)
			break;  /* the source was cut meanwhile */
	}
	if (tail != UINT64_MAX) {
		rc = size_reach(to, to_off + (pos - from_off), to_off + (tail - from_off), e);
		if (rc < 0)
			return rc;
	}
	return (ssize_t)(pos - from_off);
failed:
	/* What was copied counts, and the error comes again at the next call;
	 * except where a hole would still have to be made real. */
	return pos > from_off && tail == UINT64_MAX ? (ssize_t)(pos - from_off) : rc;
}

int copy_file(int from, int to, struct progress *pr, struct err *e)
{
	uint64_t pos = 0, size, data, hole;
	struct stat st;
	int rc;

	if (fstat(from, &st) < 0)
		return err_errno(e);
	size = st.st_size;
	pr->total = size;
	if (ioctl(to, FICLONE, from) == 0) {
		pr->done = size;
		return 0;
	}
	if (ftruncate(to, (off_t)size) < 0)
		return err_errno(e);
	while (pos < size) {
		ssize_t n;

		if (pr->cancel)
			return err_set(e, ECANCELED, "cancelled");
		rc = extent_next(from, pos, size, &data, &hole, e);
		if (rc < 0)
			return rc;
		if (hole - data > STEP)
			hole = data + STEP;
		n = data_copy(from, data, to, data, hole - data, e);
		if (n < 0)
			return (int)n;
		if ((uint64_t)n < hole - data)
			return err_set(e, EIO, "the source became shorter meanwhile");
		pos = hole;
		pr->done = pos;
	}
	return pr->cancel ? err_set(e, ECANCELED, "cancelled") : 0;
}
