/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * backend.c - the table of pool types, and the wrappers around their drivers.
 *
 * Called by control/ and fs/. The only file that calls a driver's function
 * pointers: it checks the rules of backend.h on the way in and out, answers
 * what a type cannot do, asks for faults, and says what was tried. Never waits
 * and never locks on its own behalf.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "command.h"
#include "fault.h"
#include "module.h"
#include "sources.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the types ------------------------------------------------------------ */

extern const struct backend dir_backend;

#define LATER(name, formats, ...) \
	static const struct backend name##_backend = { \
		.type = #name, \
		.vol_formats = formats, \
		.later = "pools of type '" #name "' come in a later version", \
		__VA_ARGS__ \
	}
LATER(fs, VOL_FORMATS_OF_FILES, .discover = discover_fs, .discover_runs = "blkid");
LATER(netfs, VOL_FORMATS_OF_FILES, .discover = discover_netfs, .discover_host = true,
      .discover_runs = "showmount");
LATER(logical, NULL, .discover = discover_logical, .discover_runs = "pvs");
LATER(disk, "none linux fat16 fat32 linux-swap linux-lvm linux-lvm2 linux-raid extended",
      .discover = discover_disk, .discover_runs = "blkid");
LATER(iscsi, NULL, .discover = discover_iscsi, .discover_host = true,
      .discover_runs = "iscsiadm");
LATER(scsi, NULL, .discover = discover_scsi);
LATER(mpath, NULL);
LATER(sheepdog, NULL);

static int rbd_usable(struct err *e)
{
	return module_load("rbd", e) ? 0 : -EOPNOTSUPP;
}

/* The driver itself is a module: see module.h. */
static const struct backend rbd_backend = {
	.type = "rbd",
	.module = "rbd",
	.vol_formats = "raw",
	.usable = rbd_usable,
};

const struct backend *const backends[] = {
	&dir_backend,
	&fs_backend,
	&netfs_backend,
	&logical_backend,
	&disk_backend,
	&iscsi_backend,
	&scsi_backend,
	&mpath_backend,
	&rbd_backend,
	&sheepdog_backend,
	NULL,
};

const struct backend *backend_find(const char *type)
{
	for (const struct backend *const *b = backends; *b; b++)
		if (strcmp((*b)->type, type) == 0)
			return *b;
	return NULL;
}

#define X(name) [OP_##name] = #name,
const char *const op_names[OP_COUNT] = { POOLFS_OPS(X) };
#undef X

/* What stands before a driver's sentence: "cannot stop pool 'images'". */
static const char *const phrases[OP_COUNT] = {
	[OP_check] = "cannot check",
	[OP_build] = "cannot build",
	[OP_start] = "cannot start",
	[OP_stop] = "cannot stop",
	[OP_erase] = "cannot delete the storage of",
	[OP_usage] = "cannot tell the usage of",
	[OP_list] = "cannot list the volumes of",
	[OP_sync] = "cannot bring to stable storage the names of",
	[OP_stat] = "cannot look at",
	[OP_tidy] = "cannot finish what was left for later in",
	[OP_readlink] = "cannot read the link",
	[OP_describe] = "cannot describe",
	[OP_create] = "cannot create",
	[OP_remove] = "cannot remove",
	[OP_rename] = "cannot rename",
	[OP_setattr] = "cannot change the attributes of",
	[OP_resize] = "cannot resize",
	[OP_clone] = "cannot clone",
	[OP_wipe] = "cannot wipe",
	[OP_open] = "cannot open",
	[OP_close] = "cannot close",
	[OP_fstat] = "cannot look at",
	[OP_read] = "cannot read",
	[OP_write] = "cannot write",
	[OP_flush] = "cannot flush",
	[OP_truncate] = "cannot set the size of",
	[OP_allocate] = "cannot allocate or discard space of",
	[OP_seek] = "cannot look for data and holes of",
	[OP_copy] = "cannot copy to",
};

/* ---- before and after each call ------------------------------------------- */

static int op_missing(struct pool *p, enum op op, struct err *e)
{
	if (p->ops->later)
		return err_set(e, EOPNOTSUPP, "%s", p->ops->later);
	if (p->ops->module && !module_load(p->ops->module, e))
		return -e->code;        /* it was not there when the pool was made */
	return err_set(e, EOPNOTSUPP, "pools of type '%s' have no '%s'", p->ops->type,
		       op_names[op]);
}

/* 0: the driver may be called. */
static int op_begin(struct pool *p, enum op op, bool has, struct err *e)
{
	e->code = 0;
	e->text[0] = '\0';
	if (p->ops->later || !has)
		return op_missing(p, op, e);
	return fault_on ? fault_hit(p, op, e) : 0;
}

/* The rules for what a driver returns. name NULL: it is about the pool. */
static ssize_t op_end(struct pool *p, enum op op, const char *name, ssize_t rc,
		      struct err *e)
{
	if (rc >= 0) {
		e->code = 0;
		e->text[0] = '\0';
		return rc;
	}
	assert(e->code > 0 && e->code == -rc);
	/* ENOENT, EEXIST and the like of daily life come without a sentence. */
	if (!e->text[0])
		return rc;
	/* Long names must not push the reason out of the text. */
	if (name)
		return err_wrap(e, "%s '%.100s' in pool '%.100s'", phrases[op], name,
				p->def->name);
	return err_wrap(e, "%s pool '%.100s'", phrases[op], p->def->name);
}

/* Runs call unless something before it says no. */
#define WRAP(p, op, name, call) ({ \
	struct pool *wp = (p); \
	ssize_t wrc = op_begin(wp, OP_##op, wp->ops->op != NULL, e); \
	if (wrc == 0) \
		wrc = (call); \
	op_end(wp, OP_##op, (name), wrc, e); \
})

/* Names that come this far were checked before; once more, at little cost,
 * since a driver hands them to openat(2) or to a program. */
#define CHECK_NAME(name) do { \
	int crc = name_check(NAME_VOLUME, (name), e); \
	if (crc < 0) \
		return crc; \
} while (0)

struct pool *backend_pool_new(const struct backend *b, const struct pool_def *def)
{
	struct pool *p = xcalloc(1, sizeof *p);
	struct err missing;

	p->ops = b->module ? module_load(b->module, &missing) : b;
	if (!p->ops)
		p->ops = b;     /* each call says what is missing */
	p->def = def;
	p->priv = xcalloc(1, p->ops->priv_size);
	return p;
}

void backend_pool_free(struct pool *p)
{
	if (!p)
		return;
	if (p->ops->fini)
		p->ops->fini(p);
	free(p->priv);
	free(p);
}

bool backends_end(void)
{
	return modules_end();
}

/* ---- pools ---------------------------------------------------------------- */

int pool_check(struct pool *p, bool *active, struct err *e)
{
	*active = false;
	return (int)WRAP(p, check, NULL, p->ops->check(p, active, e));
}

int pool_build(struct pool *p, enum build mode, struct err *e)
{
	return (int)WRAP(p, build, NULL, p->ops->build(p, mode, e));
}

int pool_start(struct pool *p, struct err *e)
{
	return (int)WRAP(p, start, NULL, p->ops->start(p, e));
}

int pool_stop(struct pool *p, struct err *e)
{
	return (int)WRAP(p, stop, NULL, p->ops->stop(p, e));
}

int pool_erase(struct pool *p, struct err *e)
{
	return (int)WRAP(p, erase, NULL, p->ops->erase(p, e));
}

int pool_usage(struct pool *p, struct pool_usage *u, struct err *e)
{
	memset(u, 0, sizeof *u);
	return (int)WRAP(p, usage, NULL, p->ops->usage(p, u, e));
}

int pool_list(struct pool *p, vol_found_f *found, void *arg, struct err *e)
{
	return (int)WRAP(p, list, NULL, p->ops->list(p, found, arg, e));
}

int pool_tidy(struct pool *p, struct progress *pr, struct err *e)
{
	if (!p->ops->tidy)
		return 0;
	return (int)WRAP(p, tidy, NULL, p->ops->tidy(p, pr, e));
}

int pool_watch(struct pool *p, struct err *e)
{
	int rc = -EOPNOTSUPP;

	*e = (struct err){ .code = EOPNOTSUPP };
	if (p->ops->watch)
		rc = p->ops->watch(p, e);
	atomic_store(&p->watched, rc == 0);
	return rc;
}

void pool_unwatch(struct pool *p)
{
	if (atomic_exchange(&p->watched, false))
		p->ops->unwatch(p);
}

void pool_tell(struct pool *p, enum vol_change what, const char *name, const char *to,
	       uint64_t size)
{
	if (p->changed && !atomic_load(&p->watched))
		p->changed(p->changed_arg, what, name, to, size);
}

/* The same with the size that the volume has now. */
static void tell_size(struct pool *p, enum vol_change what, const char *name)
{
	struct err ignored = {0};
	struct vol_stat st;

	if (p->changed && !atomic_load(&p->watched) && p->ops->stat &&
	    !p->ops->stat(p, name, &st, &ignored))
		p->changed(p->changed_arg, what, name, NULL, (uint64_t)st.st.st_size);
}

int backend_usable(const struct backend *b, struct err *e)
{
	*e = (struct err){ 0 };
	if (b->later)
		return err_set(e, EOPNOTSUPP, "%s", b->later);
	return b->usable ? b->usable(e) : 0;
}

int backend_can_discover(const struct backend *b, struct err *e)
{
	if (!b->discover)
		return err_set(e, EOPNOTSUPP, "sources of '%s' pools cannot be discovered", b->type);
	for (const char *at = b->discover_runs; at && *at; at += strspn(at, " ")) {
		char program[64];
		size_t len = strcspn(at, " ");

		snprintf(program, sizeof program, "%.*s", (int)len, at);
		if (!command_found(program))
			return err_set(e, EOPNOTSUPP, "sources of '%s' pools cannot be discovered: "
				       "the program '%s' is missing; install it", b->type, program);
		at += len;
	}
	return 0;
}

int backend_discover(const struct backend *b, const struct pool_host *host, struct progress *pr,
		     source_found_f *found, void *arg, struct err *e)
{
	int rc = backend_can_discover(b, e);

	if (rc < 0)
		return rc;
	assert(b->discover_host == (host != NULL));
	rc = b->discover(host, pr, found, arg, e);
	assert(rc >= 0 || (e->code == -rc && e->text[0]));
	if (rc < 0 && host)
		return err_wrap(e, "cannot discover sources of '%s' pools on host '%.100s'",
				b->type, host->name);
	return rc < 0 ? err_wrap(e, "cannot discover sources of '%s' pools", b->type) : 0;
}

static secret_f *secret_hook;

void backend_set_secrets(secret_f *f)
{
	secret_hook = f;
}

int pool_secret(struct pool *p, struct buf *out, struct err *e)
{
	if (!p->def->source.auth.type)
		return err_set(e, ENOENT, "pool '%s' has no <auth> in its source", p->def->name);
	if (!secret_hook)
		return err_set(e, ENOENT, "no secrets are kept here");
	return secret_hook(&p->def->source.auth, out, e);
}

int pool_sync(struct pool *p, struct err *e)
{
	if (!p->ops->sync)
		return 0;
	return (int)WRAP(p, sync, NULL, p->ops->sync(p, e));
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
	if (rc == 0)
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
	int rc = (int)WRAP(v->pool, truncate, v->name, v->pool->ops->truncate(v, size, e));

	if (rc == 0)
		pool_tell(v->pool, VOL_RESIZED, v->name, NULL, size);
	return rc;
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
			       phrases[OP_allocate], v->name, (unsigned)mode);
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
