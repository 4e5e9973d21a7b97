/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * backend.c - the table of pool types, and the wrappers for what is done to pools.
 *
 * Called by control/ and fs/. With volume.c the only file that calls a driver's
 * function pointers: it checks the rules of backend.h on the way in and out,
 * answers what a type cannot do, asks for faults, and says what was tried.
 * Never waits and never locks on its own behalf.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "command.h"
#include "fault.h"
#include "module.h"
#include "sources.h"
#include "wrap.h"

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

const char *const op_phrases[OP_COUNT] = {
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

int op_missing(struct pool *p, enum op op, struct err *e)
{
	if (p->ops->later)
		return err_set(e, EOPNOTSUPP, "%s", p->ops->later);
	if (p->ops->module && !module_load(p->ops->module, e))
		return -e->code;        /* it was not there when the pool was made */
	return err_set(e, EOPNOTSUPP, "pools of type '%s' have no '%s'", p->ops->type,
		       op_names[op]);
}

/* 0: the driver may be called. */
int op_begin(struct pool *p, enum op op, bool has, struct err *e)
{
	e->code = 0;
	e->text[0] = '\0';
	if (p->ops->later || !has)
		return op_missing(p, op, e);
	return fault_on ? fault_hit(p, op, e) : 0;
}

/* The rules for what a driver returns. name NULL: it is about the pool. */
ssize_t op_end(struct pool *p, enum op op, const char *name, ssize_t rc, struct err *e)
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
		return err_wrap(e, "%s '%.100s' in pool '%.100s'", op_phrases[op], name,
				p->def->name);
	return err_wrap(e, "%s pool '%.100s'", op_phrases[op], p->def->name);
}

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

bool pool_watch_lasts(struct pool *p)
{
	return p->ops->watch_lasts && p->ops->watch_lasts(p);
}

void pool_tell(struct pool *p, enum vol_change what, const char *name, const char *to,
	       uint64_t size)
{
	if (p->changed && !atomic_load(&p->watched))
		p->changed(p->changed_arg, what, name, to, size);
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
