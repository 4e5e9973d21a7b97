/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lookup.c - what a name in a directory of the mount stands for now, and how long the
 * kernel may believe it.
 *
 * Called for the kernel's lookups, for listings with attributes, and by what makes a
 * name. Only names of volumes and of their texts ask a driver.
 */
#include "fs.h"
#include <stdlib.h>
#include <string.h>

/* Fixed names stay for an hour; a pool's name for a second (a dead run answers
 * ESTALE, and the kernel asks again); a volume's for opt.cache, which is how
 * long a change made elsewhere may stay unseen; those of a pool's directories in
 * control/ as long (they answer ESTALE, too). A text's attributes do not change, and a
 * read that asked for them would fail when its volume is gone. */
double node_timeout(struct node *n, bool name)
{
	switch ((enum kind)n->kind) {
	case N_ROOT: case N_CONTROL: case N_POOLS: case N_ACTIVE: case N_AUTOSTART:
	case N_SECRETS:
		return 3600;
	case N_GUARD:
		return n->parent->kind == N_POOL ? 1 : 3600;
	case N_CFILE:
		if (name && n->cf->grows)
			return 3600;
		/* fallthrough */
	case N_VOLTEXT:
		return !name && node_is_shown(n) ? 3600 : 0;
	case N_CPOOL: case N_VOLUMES:
		return name ? opt.cache : 0;
	case N_POOL:
		return name ? 1 : opt.cache;
	case N_VOL:
		/* The kernel takes sizes of passed-through files from the file. */
		return !name && n->passthrough ? 0 : opt.cache;
	default:
		return 0;
	}
}

void reply_node(struct req *r, struct node *n, const struct stat *st)
{
	struct fuse_entry_param e = {
		.ino = n->id,
		.attr = *st,
		.attr_timeout = node_timeout(n, false),
		.entry_timeout = node_timeout(n, true),
	};

	if (!req_claim(r) || fuse_reply_entry(r->fr, &e))
		node_put(n, 1);
}

static bool has_guard(enum kind k)
{
	return k == N_ROOT || k == N_CONTROL || k == N_POOLS || k == N_AUTOSTART ||
	       k == N_SECRETS || k == N_POOL;
}

static struct node *fixed_child(struct node *dir, const char *name)
{
	struct node *n = node_find(dir, name);

	if (n && n->kind <= N_SECRETS)
		return n;
	if (n)
		node_put(n, 1);
	return NULL;
}

static struct node *child_scratch(struct node *dir, const char *name)
{
	struct scratch *s = scratch_find(node_drop(dir), name);
	struct node *n;

	if (!s)
		return NULL;
	n = node_child(dir, N_SCRATCH, name, (uintptr_t)s, NULL, dir->cp, NULL);
	if (!n->scratch)
		node_become_scratch(n, s);
	else
		scratch_put(s);
	return n;
}

static struct node *child_of_pools(struct node *dir, const char *name)
{
	char pool[256];
	struct cpool *cp;
	struct node *n;

	if (drop_is_definition(&drop_pools, name, pool)) {
		cp = cpool_find(pool);
		if (cp) {
			cpool_put(cp);
			return node_child(dir, N_DEF, name, 0, NULL, NULL, NULL);
		}
		n = node_find(dir, name);       /* being written, not defined yet */
		if (n && n->kind == N_DEF && n->writers)
			return n;
		if (n)
			node_put(n, 1);
		return NULL;
	}
	cp = cpool_find(name);
	if (cp) {
		n = node_child(dir, N_CPOOL, name, 0, NULL, cp, NULL);
		cpool_put(cp);
		return n;
	}
	return child_scratch(dir, name);
}

/* volumes/ is there while the pool runs, and each run has its own. */
static struct node *child_of_cpool(struct node *dir, const char *name)
{
	struct run *run = cpool_run(dir->cp);
	struct node *n = NULL;

	if (run && !run_dead(run))
		n = node_child(dir, N_VOLUMES, name, 0, run, dir->cp, NULL);
	if (run)
		run_put(run);
	return n;
}

/* Asks the driver. */
static int child_of_volumes(struct req *r, struct node *dir, const char *name,
			    struct node **out, struct stat *st)
{
	_cleanup_buf_ struct buf text = { 0 };
	enum volume_text what;
	char volume[256];
	struct node *n;
	int rc;

	if (!volume_text_name(name, volume, &what)) {
		*out = child_scratch(dir, name);
		if (*out)
			node_stat(*out, NULL, st);
		return *out ? 0 : -ENOENT;
	}
	rc = volume_show(dir->run, volume, what, &text, st, &r->err);
	if (rc == 0) {
		*out = shown_child(dir, N_VOLTEXT, name, NULL, r->ctx.uid, &text);
		voltext_show_stat(*out, shown_stamp(*out).size, st);
		return 0;
	}
	if (rc != -ENOENT)
		return rc;
	r->err.text[0] = 0;
	n = node_find(dir, name);               /* being written, not made yet */
	if (n && n->kind == N_VOLTEXT && n->writers) {
		voltext_unmade_stat(n, st);
		*out = n;
		return 0;
	}
	if (n)
		node_put(n, 1);
	return -ENOENT;
}

static struct node *child_of_run(struct node *dir, enum kind k, const char *name)
{
	struct cpool *cp = cpool_find(name);
	struct run *run = cp ? cpool_run(cp) : NULL;
	struct node *n = NULL;

	if (run && !run_dead(run))
		n = k == N_POOL ? node_child(dir, k, name, 0, run, NULL, NULL)
				: node_child(dir, k, name, 0, NULL, cp, NULL);
	if (run)
		run_put(run);
	if (cp)
		cpool_put(cp);
	return n;
}

static struct node *control_child(struct node *dir, const char *name, const struct caller *who)
{
	struct node *n = fixed_child(dir, name);
	const struct cfile *cf;
	struct cpool *cp;

	if (n)
		return n;
	switch ((enum kind)dir->kind) {
	case N_ROOT:
		return child_of_run(dir, N_POOL, name);
	case N_ACTIVE:
		return child_of_run(dir, N_ACTIVEPOOL, name);
	case N_POOLS:
		return child_of_pools(dir, name);
	case N_CONTROL:
	case N_CPOOL:
		if (dir->kind == N_CPOOL && !strcmp(name, "volumes"))
			return child_of_cpool(dir, name);
		cf = cfile_find(dir->kind == N_CONTROL ? CDIR_CONTROL : CDIR_POOL, name);
		if (!cf || (cf->exists && !cf->exists()))
			return sources_child(dir, name);
		if (shown_keeps(cf)) {
			_cleanup_buf_ struct buf text = { 0 };

			cf->show(dir->cp, who, &text);
			return shown_child(dir, N_CFILE, name, cf, who->uid, &text);
		}
		return node_child(dir, N_CFILE, name, 0, NULL, dir->cp, cf);
	case N_SECRETS:
		return secrets_child(dir, name);
	case N_SOURCES:
	case N_SOURCEHOSTS:
		return sources_child(dir, name);
	case N_AUTOSTART: {
		size_t len = strlen(name);
		_cleanup_free_ char *pool = xstrdup(name);

		if (len > 4 && !strcmp(name + len - 4, ".xml")) {
			pool[len - 4] = 0;
			cp = cpool_find(pool);
			bool on = cp && cpool_autostart(cp);
			if (cp)
				cpool_put(cp);
			if (on)
				return node_child(dir, N_AUTOLINK, name, 0, NULL, NULL, NULL);
		}
		return autolink_exists(name)
			? node_child(dir, N_AUTOLINK, name, 0, NULL, NULL, NULL) : NULL;
	}
	default:
		return NULL;
	}
}

bool node_tell(struct req *r, struct node *n, const struct stat *st)
{
	if (node_changed(n, st)) {
		if (r->plus && req_reads_pending(r, n))
			return false;
		req_await_reads(r, n);
	}
	if (!atomic_load(&r->answered))
		node_told(n, st);
	return true;
}

int lookup_child(struct req *r, struct node *dir, const char *name, struct node **out,
		 struct stat *st)
{
	struct caller who;
	struct node *n;

	if (dir->run && run_dead(dir->run))
		return -ESTALE;
	if (has_guard(dir->kind) && !strcmp(name, ".pool")) {
		n = node_child(dir, N_GUARD, name, 0, dir->run, NULL, NULL);
	} else if (dir->kind == N_POOL) {
		struct vol_stat vs;
		int rc = name_check(NAME_VOLUME, name, &r->err);

		r->err.text[0] = 0;     /* no such volume, whatever the name */
		if (rc < 0)
			return rc == -ENAMETOOLONG ? rc : -ENOENT;
		rc = vol_stat(run_pool(dir->run), name, &vs, &r->err);
		if (rc < 0)
			return rc;
		n = node_child(dir, N_VOL, name, vs.id, dir->run, NULL, NULL);
		vol_show_stat(n, &vs);
		if (!node_tell(r, n, &vs.st)) {
			node_put(n, 1);
			return -ETIMEDOUT;
		}
		*st = vs.st;
		*out = n;
		return 0;
	} else if (dir->kind == N_VOLUMES) {
		return child_of_volumes(r, dir, name, out, st);
	} else {
		if (node_is_gone(dir))
			return -ESTALE;
		caller_of(r, &who);
		n = control_child(dir, name, &who);
	}
	if (!n)
		return -ENOENT;
	caller_of(r, &who);
	node_stat(n, &who, st);
	*out = n;
	return 0;
}

static void do_lookup(struct req *r)
{
	struct node *n;
	struct stat st;
	int rc = lookup_child(r, r->node, r->name, &n, &st);

	if (rc < 0)
		req_fail(r, rc);
	else
		reply_node(r, n, &st);
}

/* The pool does not answer: its info shows what was known. By the clock, beside the
 * work, whose r->err is not ours. */
static void answer_known(struct req *r)
{
	struct caller who;
	struct node *n;
	struct stat st;

	caller_of(r, &who);
	who.ask = ASK_NOBODY;
	n = control_child(r->node, r->name, &who);
	if (n) {
		node_stat(n, &who, &st);
		reply_node(r, n, &st);
	} else if (req_claim_failed(r, ENOENT)) {
		fuse_reply_err(r->fr, ENOENT);
	}
}

void op_lookup(fuse_req_t fr, fuse_ino_t parent, const char *name)
{
	struct req *r;

	if (helper_lookup(fr, parent, name))
		return;
	r = req_new(fr, parent, "lookup");
	if (!r)
		return;
	r->name = xstrdup(name);
	/* Of a run that is over the kernel may know for a moment: no failure of the pool. */
	if (r->node->kind == N_VOL || !strcmp(name, ".pool") || (r->run && run_dead(r->run))) {
		r->run = NULL;          /* asks no driver */
		r->queue = control_queue;
	}
	if (r->node->kind == N_CPOOL) {
		r->asks_here = true;
		r->late = answer_known;
	}
	req_run(r, do_lookup, r->asks_here ? SHOW_WAIT_MS : opt.timeout_ms);
}
