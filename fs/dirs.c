/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * dirs.c - listings: opendir, readdir, readdirplus.
 *
 * A listing is a snapshot of names, taken at the first read and again after a
 * rewinddir. The driver lists names only; attributes come with readdirplus,
 * one stat each, and a volume that fails it is shown by its name alone. Those
 * are asked for when the kernel asks, never ahead: it takes what comes for
 * younger than all it did before (docs/performance.md). A listing of a pool keeps it
 * from being stopped until its last name is given.
 */
#include "fs.h"
#include <stdlib.h>
#include <string.h>

struct dirent_kept {
	uint64_t ino;
	size_t name;            /* offset into names */
	mode_t type;
};

/* One reply's entries, and the nodes that the kernel gets with them. */
struct piece {
	char *data;
	size_t used;
	struct node **given;
	size_t ngiven;
};

/* Counted: a read that was given up may still be at work after closedir. */
struct listing {
	atomic_int refs;
	pthread_mutex_t mu;
	bool taken;
	struct buf names;
	struct dirent_kept *entries;
	size_t count, cap;

	struct run *run;                /* of a pool's listing */
	pid_t pid;
	pthread_mutex_t hold_mu;        /* never held while a driver is at work */
	bool held, closed;
	struct holder holder;
};

static void keep(struct listing *l, const char *name, uint64_t ino, mode_t type)
{
	if (l->count == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 32;
		l->entries = xrealloc(l->entries, l->cap * sizeof *l->entries);
	}
	l->entries[l->count++] = (struct dirent_kept){ ino, l->names.len, type };
	buf_add(&l->names, name, strlen(name) + 1);
}

static void listing_put(void *arg)
{
	struct listing *l = arg;

	if (atomic_fetch_sub(&l->refs, 1) != 1)
		return;
	pthread_mutex_destroy(&l->mu);
	pthread_mutex_destroy(&l->hold_mu);
	run_put(l->run);
	buf_release(&l->names);
	free(l->entries);
	free(l);
}

/* A stop that is under way sees it when the call that does this has left the run. */
static void listing_hold(struct listing *l)
{
	pthread_mutex_lock(&l->hold_mu);
	if (l->run && !l->held && !l->closed) {
		run_opened(l->run, &l->holder, "", l->pid);
		l->held = true;
	}
	pthread_mutex_unlock(&l->hold_mu);
}

static void listing_let_go(struct listing *l, bool closed)
{
	pthread_mutex_lock(&l->hold_mu);
	if (l->held)
		run_closed(l->run, &l->holder);
	l->held = false;
	l->closed |= closed;
	pthread_mutex_unlock(&l->hold_mu);
}

/* The number that a stat of the entry will show. */
static void keep_child(struct listing *l, struct req *r, const char *name)
{
	struct node *n;
	struct stat st;

	if (lookup_child(r, r->node, name, &n, &st) < 0)
		return;
	keep(l, name, st.st_ino, st.st_mode & S_IFMT);
	node_put(n, 1);
}

struct walk {
	struct listing *l;
	struct req *r;
};

static bool found_volume(void *arg, const char *name, uint64_t ino, mode_t type)
{
	struct walk *w = arg;

	keep(w->l, name, vol_ino(w->r->run, ino), type);
	return !atomic_load_explicit(&w->r->answered, memory_order_relaxed);
}

/* Names only: a stat of each text would read a header of each volume. */
static bool found_voltext(void *arg, const char *name, uint64_t ino, mode_t type)
{
	static const char *const endings[] = { "xml", "disk" };
	struct walk *w = arg;

	(void)ino;
	for (int i = 0; i < 2 && S_ISREG(type); i++) {
		_cleanup_free_ char *file = xasprintf("%s.%s", name, endings[i]);

		keep(w->l, file, voltext_ino(w->r->node, file), S_IFREG);
	}
	return !atomic_load_explicit(&w->r->answered, memory_order_relaxed);
}

static void found_run(void *arg, struct cpool *cp)
{
	struct walk *w = arg;
	struct run *run = cpool_run(cp);

	if (!run)
		return;
	if (!run_dead(run))
		keep(w->l, cpool_name(cp), vol_ino(run, 0), S_IFDIR);
	run_put(run);
}

static void found_cpool(void *arg, struct cpool *cp)
{
	struct walk *w = arg;
	_cleanup_free_ char *file = xasprintf("%s.xml", cpool_name(cp));

	keep_child(w->l, w->r, file);
	keep_child(w->l, w->r, cpool_name(cp));
}

static void found_autostart(void *arg, struct cpool *cp)
{
	struct walk *w = arg;
	_cleanup_free_ char *file = xasprintf("%s.xml", cpool_name(cp));

	if (cpool_autostart(cp))
		keep_child(w->l, w->r, file);
}

static void found_scratch(void *arg, const char *name, struct scratch *s)
{
	struct walk *w = arg;

	(void)s;
	keep_child(w->l, w->r, name);
}

static void found_link(void *arg, const char *name)
{
	struct walk *w = arg;

	keep_child(w->l, w->r, name);
}

static void found_secret(void *arg, const char *name)
{
	struct walk *w = arg;

	keep_child(w->l, w->r, name);
}

static void found_source(void *arg, const char *type, enum source_kind k)
{
	struct walk *w = arg;

	(void)k;
	keep_child(w->l, w->r, type);
}

static void keep_files(struct listing *l, struct req *r, enum cdir dir)
{
	for (const struct cfile *f = cfiles; f->name; f++)
		if (f->dir == dir && (!f->exists || f->exists()))
			keep_child(l, r, f->name);
}

/* .pool comes first: rm -r must meet it before anything else. */
static int take(struct listing *l, struct req *r)
{
	struct walk w = { l, r };

	l->count = 0;
	l->names.len = 0;
	keep(l, ".", 1, S_IFDIR);
	keep(l, "..", 1, S_IFDIR);
	if (r->node->kind != N_CPOOL && r->node->kind != N_ACTIVE &&
	    r->node->kind != N_ACTIVEPOOL && r->node->kind != N_VOLUMES)
		keep_child(l, r, ".pool");
	switch ((enum kind)r->node->kind) {
	case N_ROOT:
		keep_child(l, r, "control");
		cpool_each(found_run, &w);
		break;
	case N_CONTROL:
		keep_child(l, r, "pools");
		keep_child(l, r, "active");
		keep_child(l, r, "autostart");
		keep_child(l, r, "secrets");
		keep_child(l, r, "sources");
		keep_files(l, r, CDIR_CONTROL);
		break;
	case N_POOLS:
		cpool_each(found_cpool, &w);
		scratch_each(&drop_pools, found_scratch, &w);
		break;
	case N_CPOOL:
		keep_files(l, r, CDIR_POOL);
		keep_child(l, r, "volumes");
		break;
	case N_VOLUMES:
		scratch_each(r->node->drop, found_scratch, &w);
		return pool_list(run_pool(r->run), found_voltext, &w, &r->err);
	case N_ACTIVE:
		cpool_each(found_run, &w);
		break;
	case N_SECRETS:
		secret_each(found_secret, &w);
		break;
	case N_SOURCES:
		source_each(found_source, &w);
		break;
	case N_AUTOSTART:
		cpool_each(found_autostart, &w);
		autolink_each(found_link, &w);
		break;
	case N_POOL:
		return pool_list(run_pool(r->run), found_volume, &w, &r->err);
	default:
		break;
	}
	return 0;
}

/* The entry for readdirplus; an inode number of 0 tells the kernel that there
 * are no attributes, and it asks for them when someone does. */
static struct node *entry_plus(struct req *r, const char *name, const struct dirent_kept *d,
			       struct fuse_entry_param *e)
{
	struct node *n = NULL;
	struct stat st;

	memset(e, 0, sizeof *e);
	e->attr.st_ino = d->ino;
	e->attr.st_mode = d->type;
	if (strcmp(name, ".") && strcmp(name, "..") && r->node->kind != N_VOLUMES &&
	    lookup_child(r, r->node, name, &n, &st) == 0) {
		e->ino = n->id;
		e->attr = st;
		e->attr_timeout = node_timeout(n, false);
		e->entry_timeout = node_timeout(n, true);
	} else {
		report(r->run, r->node->cp, r->op, r->ctx.uid, &r->err);
	}
	r->err.code = 0;
	r->err.text[0] = 0;
	return n;
}

/* True: the last name is in it. */
static bool piece_make(struct req *r, struct listing *l, struct piece *p)
{
	size_t need, i;

	p->data = xmalloc(r->size);
	if (r->plus)                    /* an entry takes 128 bytes and its name */
		p->given = xmalloc((r->size / 128 + 1) * sizeof *p->given);
	for (i = r->off; i < l->count; i++, p->used += need) {
		const struct dirent_kept *d = &l->entries[i];
		const char *name = l->names.data + d->name;
		size_t left = r->size - p->used;
		char *to = p->data + p->used;

		if (r->plus) {
			struct fuse_entry_param e;
			struct node *n;

			need = fuse_add_direntry_plus(r->fr, NULL, 0, name, NULL, 0);
			if (need > left)
				break;
			n = entry_plus(r, name, d, &e);
			fuse_add_direntry_plus(r->fr, to, left, name, &e, i + 1);
			if (n)
				p->given[p->ngiven++] = n;
		} else {
			struct stat st = { .st_ino = d->ino, .st_mode = d->type };

			need = fuse_add_direntry(r->fr, to, left, name, &st, i + 1);
			if (need > left)
				break;
		}
	}
	return i >= l->count;
}

static void do_readdir(struct req *r)
{
	struct listing *l = r->held;
	struct piece p = { 0 };
	int rc = 0;

	/* One that hangs in the driver gets an error when the pool stops. */
	listing_let_go(l, false);
	pthread_mutex_lock(&l->mu);
	if (!l->taken || r->off == 0)
		rc = take(l, r);
	l->taken = rc == 0;
	if (rc == 0 && !piece_make(r, l, &p))
		listing_hold(l);
	pthread_mutex_unlock(&l->mu);
	if (rc < 0) {
		req_fail(r, rc == -ENOENT ? -ESTALE : rc);
	} else if (!req_claim(r) || fuse_reply_buf(r->fr, p.data, p.used)) {
		for (size_t i = 0; i < p.ngiven; i++)
			node_put(p.given[i], 1);
	}
	free(p.given);
	free(p.data);
}

static void readdir_run(fuse_req_t fr, fuse_ino_t ino, size_t size, off_t off,
			struct fuse_file_info *fi, bool plus)
{
	struct req *r = req_new(fr, ino, "list");

	if (!r)
		return;
	r->size = size;
	r->off = off;
	r->plus = plus;
	r->held = (void *)(uintptr_t)fi->fh;
	r->held_put = listing_put;
	atomic_fetch_add(&((struct listing *)r->held)->refs, 1);
	req_run(r, do_readdir, opt.timeout_ms);
}

void op_readdir(fuse_req_t fr, fuse_ino_t ino, size_t size, off_t off,
		struct fuse_file_info *fi)
{
	readdir_run(fr, ino, size, off, fi, false);
}

void op_readdirplus(fuse_req_t fr, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	readdir_run(fr, ino, size, off, fi, true);
}

static void do_opendir(struct req *r)
{
	struct listing *l;

	if ((r->node->run && run_dead(r->node->run)) || node_is_gone(r->node)) {
		req_fail(r, -ESTALE);
		return;
	}
	l = xcalloc(1, sizeof *l);
	l->refs = 1;
	l->pid = r->ctx.pid;
	pthread_mutex_init(&l->mu, NULL);
	pthread_mutex_init(&l->hold_mu, NULL);
	if (r->node->kind == N_POOL) {
		l->run = run_get(r->node->run);
		l->held = run_list_opened(l->run, &l->holder, l->pid);
		if (!l->held) {
			err_set(&r->err, EBUSY, "pool '%s' is being stopped: try again when "
				"that has ended", run_name(l->run));
			req_fail(r, -EBUSY);
			listing_put(l);
			return;
		}
	}
	r->fi.fh = (uintptr_t)l;
	if (!req_claim(r) || fuse_reply_open(r->fr, &r->fi)) {
		listing_let_go(l, true);
		listing_put(l);
	}
}

void op_opendir(fuse_req_t fr, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct req *r = req_new(fr, ino, "opendir");

	if (!r)
		return;
	r->run = NULL;
	r->queue = control_queue;
	r->fi = *fi;
	req_run(r, do_opendir, opt.timeout_ms);
}

void op_releasedir(fuse_req_t fr, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct listing *l = (void *)(uintptr_t)fi->fh;

	(void)ino;
	listing_let_go(l, true);
	listing_put(l);
	fuse_reply_err(fr, 0);
}

static void do_fsyncdir(struct req *r)
{
	int rc = r->node->kind == N_POOL ? pool_sync(run_pool(r->run), &r->err) : 0;

	if (rc < 0)
		req_fail(r, rc);
	else
		req_ok(r);
}

void op_fsyncdir(fuse_req_t fr, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct req *r = req_new(fr, ino, "sync");

	(void)datasync;
	(void)fi;
	if (!r)
		return;
	req_run(r, do_fsyncdir, opt.timeout_ms);
}
