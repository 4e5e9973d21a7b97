/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * volume.c - the wrappers for what is done to volumes: by name, open, and
 * asynchronously.
 *
 * Called by control/ and fs/; as backend.c, whose rules for a call these are.
 * What changes a volume is told of here, unless its driver watches.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "fault.h"
#include "wrap.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The same with the size that the volume has now. */
static void tell_size(struct pool *p, enum vol_change what, const char *name)
{
	struct err ignored = {0};
	struct vol_stat st;

	if (p->changed && !atomic_load(&p->watched) && p->ops->stat &&
	    !p->ops->stat(p, name, &st, &ignored))
		p->changed(p->changed_arg, what, name, NULL, (uint64_t)st.st.st_size);
}

/* ---- volumes by name ------------------------------------------------------ */

static void stat_assert(const struct vol_stat *st)
{
	assert(S_ISREG(st->st.st_mode) || S_ISLNK(st->st.st_mode));
	assert(!(st->st.st_mode & ~(mode_t)(S_IFMT | 0777)));
	assert(st->st.st_size >= 0);
	(void)st;
}

int vol_stat(struct pool *p, const char *name, struct vol_stat *st, struct err *e)
{
	int rc;

	CHECK_NAME(name);
	memset(st, 0, sizeof *st);
	rc = (int)WRAP(p, stat, name, p->ops->stat(p, name, st, e));
	if (rc == 0)
		stat_assert(st);
	return rc;
}

int vol_readlink(struct pool *p, const char *name, char *to, size_t size, struct err *e)
{
	assert(size > 0);
	CHECK_NAME(name);
	return (int)WRAP(p, readlink, name, p->ops->readlink(p, name, to, size, e));
}

static struct vol *vol_new(struct pool *p, const char *name, int flags)
{
	struct vol *v = xcalloc(1, sizeof *v);

	v->pool = p;
	v->flags = flags & (O_ACCMODE | O_APPEND | O_DIRECT);
	v->fd = -1;
	v->name = xstrdup(name);
	return v;
}

static void vol_free(struct vol *v)
{
	if (v) {
		free(v->name);
		free(v);
	}
}

int vol_create(struct pool *p, const char *name, const struct vol_create *c,
	       struct vol **opened, struct err *e)
{
	struct vol *v;
	int rc;

	if (opened)
		*opened = NULL;
	CHECK_NAME(name);
	v = opened ? vol_new(p, name, c->flags) : NULL;
	rc = (int)WRAP(p, create, name, p->ops->create(p, name, c, v, e));
	if (rc < 0)
		vol_free(v);
	else if (opened)
		*opened = v;
	/* The file of an image has another size than its disk. */
	if (rc == 0 && c->format && strcmp(c->format, "raw"))
		tell_size(p, VOL_CREATED, name);
	else if (rc == 0)
		pool_tell(p, VOL_CREATED, name, NULL, c->capacity);
	return rc;
}

void vol_desc_release(struct vol_desc *d)
{
	struct vol_target *targets[] = { &d->target, &d->backing };

	for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
		free(targets[i]->path);
		free(targets[i]->format);
		free(targets[i]->perms.label);
	}
	free(d->key);
	free(d->encryption);
	free(d->compat);
	memset(d, 0, sizeof *d);
}

int vol_describe(struct pool *p, const char *name, struct vol_desc *d, struct err *e)
{
	int rc;

	memset(d, 0, sizeof *d);
	CHECK_NAME(name);
	rc = (int)WRAP(p, describe, name, p->ops->describe(p, name, d, e));
	if (rc < 0)
		vol_desc_release(d);
	else
		assert(d->target.path);
	return rc;
}

int vol_remove(struct pool *p, const char *name, struct err *e)
{
	int rc;

	CHECK_NAME(name);
	rc = (int)WRAP(p, remove, name, p->ops->remove(p, name, e));
	if (rc == 0)
		pool_tell(p, VOL_DELETED, name, NULL, 0);
	return rc;
}

int vol_rename(struct pool *p, const char *from, const char *to, unsigned flags,
	       struct err *e)
{
	int rc;

	CHECK_NAME(from);
	CHECK_NAME(to);
	if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE) ||
	    flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
		return err_set(e, EINVAL, "cannot rename '%.100s': unknown flags 0x%x", from,
			       flags);
	rc = (int)WRAP(p, rename, from, p->ops->rename(p, from, to, flags, e));
	if (rc == 0 && flags & RENAME_EXCHANGE)
		pool_tell(p, VOL_LOST, NULL, NULL, 0);
	else if (rc == 0)
		pool_tell(p, VOL_RENAMED, from, to, 0);
	return rc;
}

int vol_setattr(struct pool *p, const char *name, const struct vol_attr *a, struct err *e)
{
	CHECK_NAME(name);
	return (int)WRAP(p, setattr, name, p->ops->setattr(p, name, a, e));
}

int vol_resize(struct pool *p, const char *name, uint64_t size, unsigned flags,
	       struct err *e)
{
	int rc;

	CHECK_NAME(name);
	rc = (int)WRAP(p, resize, name, p->ops->resize(p, name, size, flags, e));
	if (rc == 0)
		tell_size(p, VOL_RESIZED, name);
	return rc;
}

int vol_clone(struct pool *p, const char *from, const char *to, unsigned flags,
	      struct progress *pr, struct err *e)
{
	int rc;

	assert(pr);
	CHECK_NAME(from);
	CHECK_NAME(to);
	rc = (int)WRAP(p, clone, from, p->ops->clone(p, from, to, flags, pr, e));
	if (rc == 0)
		tell_size(p, VOL_CREATED, to);
	return rc;
}

int vol_wipe(struct pool *p, const char *name, enum wipe how, struct progress *pr,
	     struct err *e)
{
	assert(pr);
	CHECK_NAME(name);
	return (int)WRAP(p, wipe, name, p->ops->wipe(p, name, how, pr, e));
}

/* ---- open volumes --------------------------------------------------------- */

int vol_open(struct pool *p, const char *name, int flags, struct vol **v, struct err *e)
{
	int rc;

	*v = NULL;
	CHECK_NAME(name);
	flags &= O_ACCMODE | O_APPEND | O_DIRECT | O_TRUNC;
	*v = vol_new(p, name, flags);
	rc = (int)WRAP(p, open, name, p->ops->open(p, name, flags, *v, e));
	if (rc < 0) {
		vol_free(*v);
		*v = NULL;
	}
	return rc;
}

int vol_close(struct vol *v, struct err *e)
{
	struct err first;
	int rc, before;

	/* A fault is reported, but the volume is gone all the same. */
	before = op_begin(v->pool, OP_close, true, e);
	first = *e;
	e->code = 0;
	e->text[0] = '\0';
	rc = v->pool->ops->close ? v->pool->ops->close(v, e) : 0;
	if (before < 0) {
		*e = first;
		rc = before;
	}
	rc = (int)op_end(v->pool, OP_close, v->name, rc, e);
	vol_free(v);
	return rc;
}

int vol_fstat(struct vol *v, struct vol_stat *st, struct err *e)
{
	int rc;

	memset(st, 0, sizeof *st);
	rc = (int)WRAP(v->pool, fstat, v->name, v->pool->ops->fstat(v, st, e));
	if (rc == 0)
		stat_assert(st);
	return rc;
}

ssize_t vol_read(struct vol *v, void *data, size_t len, uint64_t off, struct err *e)
{
	ssize_t n = WRAP(v->pool, read, v->name, v->pool->ops->read(v, data, len, off, e));

	assert(n < 0 || (size_t)n <= len);
	return n;
}

ssize_t vol_write(struct vol *v, const void *data, size_t len, uint64_t off, struct err *e)
{
	ssize_t n = WRAP(v->pool, write, v->name,
			 v->pool->ops->write(v, data, len, off, e));

	assert(n < 0 || (size_t)n == len);
	return n;
}

int vol_flush(struct vol *v, bool data_only, struct err *e)
{
	return (int)WRAP(v->pool, flush, v->name, v->pool->ops->flush(v, data_only, e));
}

int vol_truncate(struct vol *v, uint64_t size, struct err *e)
{
	return (int)WRAP(v->pool, truncate, v->name, v->pool->ops->truncate(v, size, e));
}

int vol_allocate(struct vol *v, int mode, uint64_t off, uint64_t len, struct err *e)
{
	switch (mode) {
	case 0:
	case FALLOC_FL_KEEP_SIZE:
	case FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE:
	case FALLOC_FL_ZERO_RANGE:
	case FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE:
		break;
	default:
		return err_set(e, EOPNOTSUPP, "%s '%.100s': unknown mode 0x%x",
			       op_phrases[OP_allocate], v->name, (unsigned)mode);
	}
	return (int)WRAP(v->pool, allocate, v->name,
			 v->pool->ops->allocate(v, mode, off, len, e));
}

int vol_seek(struct vol *v, uint64_t off, int whence, uint64_t *found, struct err *e)
{
	assert(whence == SEEK_DATA || whence == SEEK_HOLE);
	return (int)WRAP(v->pool, seek, v->name,
			 v->pool->ops->seek(v, off, whence, found, e));
}

ssize_t vol_copy(struct vol *from, uint64_t from_off, struct vol *to, uint64_t to_off,
		 size_t len, struct err *e)
{
	ssize_t n;

	if (from->pool->ops != to->pool->ops)
		return err_set(e, EOPNOTSUPP, "'%.100s' and '%.100s' are in pools of "
			       "different types", from->name, to->name);
	n = WRAP(to->pool, copy, to->name,
		 to->pool->ops->copy(from, from_off, to, to_off, len, e));
	assert(n < 0 || (size_t)n <= len);
	return n;
}

int vol_fd(struct vol *v)
{
	return v->pool->ops->fd ? v->pool->ops->fd(v) : -1;
}

/* ---- asynchronous I/O ------------------------------------------------------ */

static enum op io_op(const struct io *io)
{
	return io->op == IO_READ ? OP_read : io->op == IO_WRITE ? OP_write : OP_flush;
}

static bool io_supported(const struct vol *v, enum io_op op)
{
	const struct backend *b = v->pool->ops;

	return b->submit || (op == IO_READ ? b->read != NULL :
			     op == IO_WRITE ? b->write != NULL : b->flush != NULL);
}

bool vol_is_async(struct vol *v)
{
	return v->pool->ops->submit || fault_on;
}

void io_done(struct io *io, ssize_t result)
{
	assert(result < 0 || (size_t)result <= (io->op == IO_FLUSH ? 0 : io->len));
	assert(result < 0 || io->op != IO_WRITE || (size_t)result == io->len);
	result = op_end(io->vol->pool, io_op(io), io->vol->name, result, &io->err);
	io->driver = NULL;
	io->done(io, result);
}

void io_pass(struct io *io)
{
	struct vol *v = io->vol;
	const struct backend *b = v->pool->ops;

	if (b->submit)
		b->submit(v, io);
	else if (io->op == IO_READ)
		io_done(io, b->read(v, io->data, io->len, io->off, &io->err));
	else if (io->op == IO_WRITE)
		io_done(io, b->write(v, io->data, io->len, io->off, &io->err));
	else
		io_done(io, b->flush(v, false, &io->err));
}

void vol_submit(struct vol *v, struct io *io)
{
	io->vol = v;
	io->driver = NULL;
	io->err.code = 0;
	io->err.text[0] = '\0';
	if (v->pool->ops->later || !io_supported(v, io->op))
		io_done(io, op_missing(v->pool, io_op(io), &io->err));
	else if (!fault_on || !fault_take(v->pool, io_op(io), io))
		io_pass(io);
}

void vol_cancel(struct vol *v, struct io *io)
{
	const struct backend *b = v->pool->ops;
	bool async = b->submit && b->cancel;

	if (!fault_cancel(io, async) && async)
		b->cancel(v, io);
}
