/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * names.c - what makes, removes and renames: mkdir and rmdir start and stop
 * pools, unlink deletes volumes and undefines pools, links are autolink.c's.
 *
 * The kernel holds the parent directory's lock meanwhile, so each answers
 * within LOCKED_MS, whatever a driver does: mkdir with success (the pool shows
 * `starting`), the others with EINPROGRESS, and the work goes on.
 */
#include "fs.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int refuse_tripped(struct req *r)
{
	if (!guard_tripped(&r->ctx))
		return 0;
	return err_set(&r->err, EPERM, "this process tried to delete '.pool': nothing is "
		       "deleted for it for %d seconds; use rmdir to stop a pool, rm NAME/* "
		       "to delete its volumes", GUARD_SECONDS);
}

struct req *req_named(fuse_req_t fr, fuse_ino_t dir, const char *name, const char *op)
{
	struct req *r = req_new(fr, dir, op);

	if (r)
		r->name = xstrdup(name);
	return r;
}

static void in_progress(struct req *r)
{
	struct err e = { 0 };

	if (!req_claim_failed(r, EINPROGRESS))
		return;
	req_lingers(r);
	err_set(&e, EINPROGRESS, "%s of '%s' takes longer and goes on", r->op, r->name);
	report(r->run, NULL, r->op, r->ctx.uid, &e);
	fuse_reply_err(r->fr, EINPROGRESS);
}

static void done(struct req *r, int rc)
{
	if (rc < 0)
		req_fail(r, rc);
	else
		req_ok(r);
}

/* ---- mkdir: start ------------------------------------------------------------- */

/* The directory of the run that is starting; also called by the clock. */
static void reply_started(struct req *r)
{
	bool active = r->node->kind == N_ACTIVE;
	struct cpool *cp = cpool_find(r->name);
	struct run *run = cp ? cpool_run(cp) : NULL;
	struct fuse_entry_param e = { .attr_timeout = 0 };
	struct node *n;

	if (!run) {
		if (cp)
			cpool_put(cp);
		in_progress(r);
		return;
	}
	n = active ? node_child(r->node, N_ACTIVEPOOL, r->name, 0, NULL, cp, NULL)
		   : node_child(r->node, N_POOL, r->name, 0, run, NULL, NULL);
	/* mkdir(2) shows no attributes: who looks asks the driver, not who starts. */
	node_stat(n, NULL, &e.attr);
	e.ino = n->id;
	e.entry_timeout = node_timeout(n, true);
	if (!req_claim(r) || fuse_reply_entry(r->fr, &e))
		node_put(n, 1);
	run_put(run);
	cpool_put(cp);
}

static void started(void *arg)
{
	reply_started(arg);
}

static void do_mkdir(struct req *r)
{
	struct cpool *cp;
	int rc;

	switch ((enum kind)r->node->kind) {
	case N_ROOT:
	case N_ACTIVE:
		break;
	case N_POOL:
		req_fail(r, err_set(&r->err, EPERM, "pool '%s' has no sub-directories",
				    run_name(r->node->run)));
		return;
	default:
		req_fail(r, err_set(&r->err, EPERM, "no directory can be made here; mkdir "
				    "NAME at the top or in control/active starts a pool"));
		return;
	}
	cp = cpool_find(r->name);
	if (!cp) {
		req_fail(r, err_set(&r->err, ENOENT, "no pool '%s' is defined: write its XML "
				    "to control/pools/%s.xml first", r->name, r->name));
		return;
	}
	rc = cpool_start_tell(cp, started, r, &r->err);
	if (rc < 0) {
		report(NULL, cp, "start", r->ctx.uid, &r->err);
		r->err.text[0] = 0;
		req_fail(r, rc);
	}
	cpool_put(cp);
}

void op_mkdir(fuse_req_t fr, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct req *r;

	(void)mode;
	if (helper_change(fr, parent, name, 'd'))
		return;
	r = req_named(fr, parent, name, "start");
	if (!r)
		return;
	if (r->node->kind == N_ROOT || r->node->kind == N_ACTIVE)
		r->tells = 'd';
	else
		r->op = "mkdir";        /* which is refused */
	r->run = NULL;
	r->queue = control_queue;
	r->late = reply_started;
	req_run(r, do_mkdir, LOCKED_MS);
}

/* ---- rmdir: stop ---------------------------------------------------------------- */

static void do_rmdir(struct req *r)
{
	struct cpool *cp;
	int rc = refuse_tripped(r);

	if (rc == 0 && r->node->kind != N_ROOT && r->node->kind != N_ACTIVE)
		rc = err_set(&r->err, EPERM, "'%s' cannot be removed: to undefine a pool, rm "
			     "its .xml file", r->name);
	if (rc == 0 && r->node->kind == N_ROOT && !strcmp(r->name, "control"))
		rc = err_set(&r->err, EPERM, "'control' cannot be removed");
	if (rc < 0) {
		req_fail(r, rc);
		return;
	}
	cp = cpool_find(r->name);
	if (!cp) {
		req_fail(r, -ENOENT);
		return;
	}
	rc = cpool_stop(cp, &r->err);
	if (rc < 0) {
		report(NULL, cp, "stop", r->ctx.uid, &r->err);
		r->err.text[0] = 0;
	} else {
		node_unlink(r->node, r->name);
	}
	done(r, rc);
	cpool_put(cp);
}

void op_rmdir(fuse_req_t fr, fuse_ino_t parent, const char *name)
{
	struct req *r;

	if (helper_change(fr, parent, name, 'r'))
		return;
	r = req_named(fr, parent, name, "stop");
	if (!r)
		return;
	if (r->node->kind == N_ROOT || r->node->kind == N_ACTIVE)
		r->tells = 'r';
	else
		r->op = "rmdir";
	r->run = NULL;
	r->queue = control_queue;
	r->late = in_progress;
	req_run(r, do_rmdir, LOCKED_MS);
}

/* ---- unlink ------------------------------------------------------------------------ */

static int unlink_voltext(struct req *r)
{
	enum volume_text what;
	struct vol_stat vs;
	char volume[256];

	if (!volume_text_name(r->name, volume, &what))
		return scratch_unlink(node_drop(r->node), r->name, &r->err);
	/* Being written, not made yet. */
	if (vol_stat(run_pool(r->run), volume, &vs, &r->err) == -ENOENT)
		return 0;
	return err_set(&r->err, EPERM, "'%s' cannot be removed: rm %s/%s deletes the volume",
		       r->name, run_name(r->run), volume);
}

/* One that succeeds is counted among those of control/. */
static int undefine(const char *pool, struct req *r)
{
	int rc = cpool_undefine(pool, &r->err);

	metrics_count_named(pool, "undefine", -rc, now_ns() - r->begun_ns);
	return rc;
}

static int unlink_here(struct req *r)
{
	char pool[256];

	switch ((enum kind)r->node->kind) {
	case N_POOL:
		if (name_check(NAME_VOLUME, r->name, &r->err) < 0)
			return -r->err.code;
		return vol_remove(run_pool(r->run), r->name, &r->err);
	case N_POOLS:
		if (drop_is_definition(&drop_pools, r->name, pool))
			return undefine(pool, r);
		if (cfile_find(CDIR_POOL, r->name))
			return -EPERM;
		return scratch_unlink(&drop_pools, r->name, &r->err);
	case N_VOLUMES:
		return unlink_voltext(r);
	case N_AUTOSTART:
		return autolink_unlink(r);
	case N_SECRETS:
		return secrets_unlink(r);
	default:
		return err_set(&r->err, EPERM, "'%s' cannot be removed", r->name);
	}
}

static void do_unlink(struct req *r)
{
	int rc;

	if (!strcmp(r->name, ".pool")) {
		guard_arm(&r->ctx);
		req_fail(r, err_set(&r->err, EPERM, "'.pool' stops rm -r: use rmdir to stop a "
				    "pool, rm NAME/* to delete its volumes"));
		return;
	}
	rc = refuse_tripped(r);
	if (rc == 0 && req_refuse_pending(r, r->name))
		return;
	if (rc == 0)
		rc = unlink_here(r);
	if (rc == 0)
		node_unlink(r->node, r->name);
	done(r, rc);
}

void op_unlink(fuse_req_t fr, fuse_ino_t parent, const char *name)
{
	struct req *r;

	if (helper_change(fr, parent, name, 'u'))
		return;
	r = req_named(fr, parent, name, "delete");
	if (!r)
		return;
	if (r->node->kind == N_POOL)
		r->tells = 'u';
	if (!strcmp(name, ".pool")) {
		r->run = NULL;
		r->queue = control_queue;
	}
	r->late = in_progress;
	r->names = true;
	req_run(r, do_unlink, r->run ? LOCKED_MS : 0);
}

/* ---- rename --------------------------------------------------------------------------- */

static int rename_volume(struct req *r)
{
	struct node *n;
	int rc;

	if (name_check(NAME_VOLUME, r->name, &r->err) < 0 ||
	    name_check(NAME_VOLUME, r->name2, &r->err) < 0)
		return -r->err.code;
	rc = vol_rename(run_pool(r->run), r->name, r->name2, r->flags, &r->err);
	if (rc < 0)
		return rc;
	node_rename(r->node, r->name, r->node, r->name2, r->flags & RENAME_EXCHANGE);
	n = node_find(r->node, r->name2);
	if (n) {
		pthread_mutex_lock(&n->mu);
		for (struct handle *h = n->handles; h; h = h->next)
			run_renamed(r->run, &h->holder, r->name2);
		pthread_mutex_unlock(&n->mu);
		node_put(n, 1);
	}
	return 0;
}

static int rename_definition(struct req *r)
{
	const struct drop *d = node_drop(r->node);
	struct caller who;
	struct node *n;
	char name[256];
	int rc;

	if (d == &drop_pools && (!strcmp(r->name, ".pool") || !strcmp(r->name2, ".pool")))
		return err_set(&r->err, EPERM, "'.pool' cannot be renamed");
	n = node_find(r->node, r->name);
	if (n && n->kind == N_VOLTEXT && !drop_is_definition(d, r->name, name)) {
		node_put(n, 1);
		return err_set(&r->err, EPERM, "'%s' cannot be renamed", r->name);
	}
	if (n && n->kind == N_CPOOL) {
		node_put(n, 1);
		return err_set(&r->err, EBUSY, "rename control/pools/%s.xml to rename the pool",
			       r->name);
	}
	caller_of(r, &who);
	rc = drop_rename(d, &who, r->name, r->name2, r->flags, &r->err);
	/* The kernel moves its own node with the name: a definition that was
	 * copied aside is the copy from now on, and its name gets a new node. */
	if (rc == 0) {
		node_unlink(r->node, r->name2);
		if (n && drop_is_definition(d, r->name, name) &&
		    !drop_is_definition(d, r->name2, name)) {
			struct scratch *s = scratch_find(d, r->name2);

			node_unlink(r->node, r->name);
			if (s)
				node_become_scratch(n, s);
		} else if (drop_is_definition(d, r->name2, name)) {
			node_unlink(r->node, r->name);
		} else {
			node_rename(r->node, r->name, r->node, r->name2, false);
		}
	}
	if (n)
		node_put(n, 1);
	return rc;
}

static int rename_here(struct req *r)
{
	if (r->node->kind == N_ROOT)
		return err_set(&r->err, EBUSY, "'%s' cannot be renamed while it runs: rename "
			       "its .xml in control/pools when it is stopped", r->name);
	if (r->node != r->node2)
		return -EXDEV;
	if (r->flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE))
		return err_set(&r->err, EINVAL, "rename knows no such flags");
	switch ((enum kind)r->node->kind) {
	case N_POOL:
		return rename_volume(r);
	case N_POOLS:
	case N_VOLUMES:
		return rename_definition(r);
	case N_AUTOSTART:
		return autolink_rename(r);
	case N_SECRETS:
		return err_set(&r->err, EPERM, "a secret cannot be renamed: write it under its "
			       "new name, and rm '%s'", r->name);
	default:
		return err_set(&r->err, EPERM, "'%s' cannot be renamed", r->name);
	}
}

static void do_rename(struct req *r)
{
	if (req_refuse_pending(r, r->name) || req_refuse_pending(r, r->name2))
		return;
	done(r, rename_here(r));
}

void op_rename(fuse_req_t fr, fuse_ino_t parent, const char *name, fuse_ino_t to_parent,
	       const char *to, unsigned flags)
{
	struct req *r;

	if (helper_change(fr, parent, name, 'm'))
		return;
	r = req_named(fr, parent, name, "rename");
	if (!r)
		return;
	if (r->node->kind == N_POOL)
		r->tells = 'm';
	r->name2 = xstrdup(to);
	r->flags = flags;
	r->node2 = node_by_id(to_parent);
	r->late = in_progress;
	r->names = true;
	if (r->node != r->node2) {
		r->run = NULL;
		r->queue = control_queue;
	}
	req_run(r, do_rename, r->run ? LOCKED_MS : 0);
}

/* ---- what there is not ----------------------------------------------------------------------- */

static void do_link(struct req *r)
{
	req_fail(r, err_set(&r->err, EPERM, "a volume has one name: use cp, or the verb clone"));
}

void op_link(fuse_req_t fr, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	struct req *r = req_named(fr, parent, name, "link");

	(void)ino;
	if (!r)
		return;
	r->run = NULL;
	req_run(r, do_link, opt.timeout_ms);
}

static void do_mknod(struct req *r)
{
	struct vol_create c = { .mode = r->mode & 0777, .uid = r->ctx.uid, .gid = r->ctx.gid };
	struct node *n;
	struct stat st;
	int rc;

	if (req_refuse_pending(r, r->name))
		return;
	if (r->node->kind != N_POOL || !S_ISREG(r->mode))
		rc = err_set(&r->err, EPERM, "only volumes, which are regular files, can be "
			     "made, and only in a pool");
	else if (name_check(NAME_VOLUME, r->name, &r->err) < 0)
		rc = -r->err.code;
	else
		rc = vol_create(run_pool(r->run), r->name, &c, NULL, &r->err);
	/* Given up meanwhile: nobody knows of the new volume. */
	if (rc == 0 && atomic_load(&r->answered)) {
		vol_create_undo(r);
		rc = -EINTR;
	}
	if (rc == 0)
		rc = lookup_child(r, r->node, r->name, &n, &st);
	if (rc < 0)
		req_fail(r, rc);
	else
		reply_node(r, n, &st);
}

void op_mknod(fuse_req_t fr, fuse_ino_t parent, const char *name, mode_t mode, dev_t dev)
{
	struct req *r;

	(void)dev;
	if (helper_change(fr, parent, name, 'c'))
		return;
	r = req_named(fr, parent, name, "create");
	if (!r)
		return;
	if (r->node->kind == N_POOL)
		r->tells = 'c';
	r->mode = mode;
	r->names = true;
	req_run(r, do_mknod, LOCKED_MS);
}
