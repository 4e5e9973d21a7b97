/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * volume.c - open volumes: open, create, release, and what the kernel may cache.
 *
 * How a volume's data goes is decided at its first open and kept until the
 * last handle is gone, because the kernel refuses a mixture (EIO): kernel
 * passthrough where there is a local file behind it, else the kernel's page
 * cache with requests to the daemon; O_DIRECT opens then skip the cache.
 */
#include "fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct handle *handle_get(struct handle *h)
{
	atomic_fetch_add(&h->refs, 1);
	return h;
}

static void *handle_close(void *arg)
{
	struct handle *h = arg;
	struct err e = { 0 };

	if (vol_close(h->vol, &e) < 0)
		report(h->node->run, NULL, "close", 0, &e);
	run_closed(h->node->run, &h->holder);
	node_put(h->node, 1);
	free(h);
	return NULL;
}

void handle_put(struct handle *h)
{
	if (atomic_fetch_sub(&h->refs, 1) != 1)
		return;
	loop_working();
	if (thread_may_block() || !thread_run(handle_close, h))
		handle_close(h);
}

struct handle *node_any_handle(struct node *n)
{
	pthread_mutex_lock(&n->mu);
	struct handle *h = n->handles ? handle_get(n->handles) : NULL;
	pthread_mutex_unlock(&n->mu);
	return h;
}

/* The first open decides; see the head of this file. */
static void decide_locked(struct node *n, struct vol *v)
{
	int fd = passthrough_on() ? vol_fd(v) : -1;

	if (n->mode_set)
		return;
	n->mode_set = true;
	n->backing_id = fd >= 0 ? backing_open(fd) : 0;
	n->passthrough = n->backing_id > 0;
	run_set_path(n->run, n->passthrough ? "passthrough" : "daemon");
}

static struct handle *handle_new(struct req *r, struct node *n, struct vol *v,
				 const struct vol_stat *vs)
{
	struct handle *h = xcalloc(1, sizeof *h);
	_cleanup_free_ char *name = node_name(n);

	h->node = node_get(n);
	h->vol = v;
	h->refs = 1;
	h->flags = r->fi.flags;
	h->opened = vs->st.st_ctim;
	v->shrink = opt.shrink;
	run_opened(n->run, &h->holder, name, r->ctx.pid);
	pthread_mutex_lock(&n->mu);
	decide_locked(n, v);
	if (!n->handles)
		atomic_store(&n->told_size, (uint64_t)vs->st.st_size);
	h->next = n->handles;
	h->link = &n->handles;
	if (h->next)
		h->next->link = &h->next;
	n->handles = h;
	pthread_mutex_unlock(&n->mu);
	return h;
}

/* Out of the node's sight; requests under way may still hold it. */
static void handle_drop(struct handle *h)
{
	struct node *n = h->node;
	int id = 0;

	pthread_mutex_lock(&n->mu);
	*h->link = h->next;
	if (h->next)
		h->next->link = h->link;
	if (!n->handles) {
		id = n->backing_id;
		n->backing_id = 0;
		n->mode_set = false;
		n->passthrough = false;
	}
	pthread_mutex_unlock(&n->mu);
	locks_drop_handle(n, (uintptr_t)h);     /* after: none is added any more */
	if (id > 0)
		backing_close(id);
	handle_put(h);
}

/* May the kernel keep the pages of an earlier open? Only if the file is the
 * one of then, by size and both times, and those were old enough then that a
 * later change cannot have left them equal. Tells whether the attributes the
 * kernel has are wrong: an open by itself does not refresh them. */
static void judge_cache(struct node *n, const struct stat *now, bool direct, bool *keep,
			bool *stale)
{
	struct stamp is = stamp_of(now);
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	pthread_mutex_lock(&n->mu);
	*keep = n->cache_good && stamp_same(&n->stamp, &is);
	*stale = n->seen_set && !stamp_same(&n->seen, &is);
	/* A direct open has no use for pages, and does not make old ones new. */
	if (direct) {
		*keep = true;
	} else {
		n->stamp = is;
		n->cache_good = t.tv_sec - now->st_ctim.tv_sec > 1;
	}
	pthread_mutex_unlock(&n->mu);
}

static void answer_open(struct req *r, struct node *n, struct handle *h,
			const struct stat *st, struct fuse_entry_param *e)
{
	bool keep, stale, parallel;
	int id;

	pthread_mutex_lock(&n->mu);
	id = n->backing_id;
	pthread_mutex_unlock(&n->mu);
	parallel = id <= 0 && r->fi.flags & O_DIRECT;
	judge_cache(n, st, parallel, &keep, &stale);
	r->fi.fh = (uintptr_t)h;
	r->fi.keep_cache = id <= 0 && keep;
	r->fi.direct_io = parallel;
	if (id <= 0 && (!keep || r->fi.flags & O_TRUNC))
		req_await_reads(r, n);
	/* The kernel's own handle would append, or insist on whole sectors, for
	 * ever, whatever fcntl says later: dd oflag=direct drops O_DIRECT for an
	 * odd end. A virtual machine opens for both and is not held up. */
	if (id > 0 && (r->fi.flags & O_APPEND ||
		       (r->fi.flags & O_DIRECT && (r->fi.flags & O_ACCMODE) == O_WRONLY)))
		r->fi.direct_io = true;
	if (stale && !e)
		fuse_lowlevel_notify_inval_inode(session, n->id, -1, 0);
	if (!req_claim(r) || (e ? reply_create(r->fr, e, &r->fi, id > 0 ? id : 0, parallel)
				: reply_open(r->fr, &r->fi, id > 0 ? id : 0, parallel))) {
		handle_drop(h);
		if (e)
			node_put(n, 1);
	}
}

enum { OPEN_FLAGS = O_ACCMODE | O_APPEND | O_DIRECT };

/* O_TRUNC. With O_RDONLY another handle must do it. */
static int vol_empty(struct vol *v, struct err *e)
{
	struct err quiet = { 0 };
	struct vol_stat a, b;
	struct vol *w;
	int rc;

	if ((v->flags & O_ACCMODE) != O_RDONLY)
		return vol_truncate(v, 0, e);
	rc = vol_open(v->pool, v->name, O_WRONLY, &w, e);
	if (rc < 0)
		return rc;
	rc = vol_fstat(v, &a, e);
	if (rc == 0)
		rc = vol_fstat(w, &b, e);
	if (rc == 0)
		rc = a.id == b.id ? vol_truncate(w, 0, e) : -ESTALE;
	vol_close(w, &quiet);
	return rc;
}

static int open_checked(struct req *r, struct node *n, struct vol **v, struct vol_stat *vs)
{
	_cleanup_free_ char *name = node_name(n);
	struct err quiet = { 0 };
	int rc;

	/* ESTALE makes the kernel look the name up again. */
	if (!node_linked(n))
		return -ESTALE;
	rc = vol_open(run_pool(n->run), name, r->fi.flags & OPEN_FLAGS, v, &r->err);
	if (rc == -ENOENT) {
		r->err.text[0] = 0;
		return -ESTALE;
	}
	if (rc < 0)
		return rc;
	rc = vol_fstat(*v, vs, &r->err);
	if (rc == 0 && vs->id != n->ident)
		rc = -ESTALE;
	if (rc == 0 && r->fi.flags & O_TRUNC) {
		/* Who gave up may have tried again, with success. */
		rc = atomic_load(&r->answered) ? -EINTR : vol_empty(*v, &r->err);
		if (rc == 0)
			rc = vol_fstat(*v, vs, &r->err);
	}
	if (rc < 0)
		vol_close(*v, &quiet);
	return rc;
}

void vol_open_request(struct req *r)
{
	struct vol_stat vs;
	struct handle *h;
	struct vol *v;
	int rc;

	if (r->fi.flags & O_TRUNC && req_refuse_late(r, r->node))
		return;
	rc = open_checked(r, r->node, &v, &vs);
	if (rc < 0) {
		req_fail(r, rc);
		return;
	}
	h = handle_new(r, r->node, v, &vs);
	h->changed = r->fi.flags & O_TRUNC;
	if (r->fi.flags & O_TRUNC)
		node_tell_size(r->node, v->pool, (uint64_t)vs.st.st_size);
	vol_show_stat(r->node, &vs);
	answer_open(r, r->node, h, &vs.st, NULL);
}

/* Always exclusive. A volume that has come into being since the kernel looked is
 * opened by the kernel's own second try, at ESTALE: only so are its permissions
 * checked, and a creation given up long ago empties nobody's new volume. */
static int create(struct req *r, struct vol **v)
{
	struct pool *p = run_pool(r->run);
	struct vol_create c = {
		.mode = r->mode & 0777,
		.uid = r->ctx.uid,
		.gid = r->ctx.gid,
		.flags = r->fi.flags & OPEN_FLAGS,
	};
	int rc;

	for (int i = 0; i < 8; i++) {
		struct err quiet = { 0 };
		struct vol_stat vs;

		rc = vol_create(p, r->name, &c, v, &r->err);
		if (rc != -EEXIST || r->fi.flags & O_EXCL)
			return rc;
		if (vol_stat(p, r->name, &vs, &quiet) == 0) {
			r->err.text[0] = 0;
			return -ESTALE;
		}
		if (r->err.text[0])     /* it is no volume */
			return rc;
	}
	return rc;
}

void vol_create_undo(struct req *r)
{
	struct err quiet = { 0 };
	struct vol_stat vs;
	bool used = false;
	struct node *n;

	if (vol_stat(run_pool(r->run), r->name, &vs, &quiet) < 0 || vs.st.st_size)
		return;
	n = node_find(r->node, r->name);
	if (n) {
		pthread_mutex_lock(&n->mu);
		used = n->handles;
		pthread_mutex_unlock(&n->mu);
		node_put(n, 1);
	}
	if (!used)
		vol_remove(run_pool(r->run), r->name, &quiet);
}

void vol_create_request(struct req *r)
{
	struct fuse_entry_param e = { 0 };
	struct err quiet = { 0 };
	struct vol_stat vs;
	struct node *n;
	struct handle *h;
	struct vol *v;
	int rc;

	if (name_check(NAME_VOLUME, r->name, &r->err) < 0) {
		req_fail(r, -r->err.code);
		return;
	}
	if (req_refuse_pending(r, r->name))
		return;
	rc = create(r, &v);
	if (rc == 0) {
		rc = vol_fstat(v, &vs, &r->err);
		/* Given up meanwhile: nobody was told of the new volume. */
		if (rc == 0 && atomic_load(&r->answered))
			rc = -EINTR;
		if (rc < 0) {
			vol_close(v, &quiet);
			vol_create_undo(r);
		}
	}
	if (rc < 0) {
		req_fail(r, rc);
		return;
	}
	n = node_child(r->node, N_VOL, r->name, vs.id, r->run, NULL, NULL);
	h = handle_new(r, n, v, &vs);
	h->changed = true;
	vol_show_stat(n, &vs);
	e.ino = n->id;
	e.attr = vs.st;
	e.attr_timeout = node_timeout(n, false);
	e.entry_timeout = node_timeout(n, true);
	node_told(n, &vs.st);
	answer_open(r, n, h, &vs.st, &e);
}

/* What grew as it was written, where nobody watches: told when it is closed. As long as
 * h is there the pool does not stop. */
static void tell_grown(struct handle *h)
{
	struct pool *p = h->vol->pool;
	struct node *n = h->node;
	struct err quiet = { 0 };
	struct vol_stat vs;

	if (run_dead(n->run) || !h->changed || atomic_load(&p->watched) || !node_linked(n) ||
	    vol_fstat(h->vol, &vs, &quiet) < 0)
		return;
	if (atomic_load(&n->told_size) != (uint64_t)vs.st.st_size)
		node_tell_size(n, p, (uint64_t)vs.st.st_size);
}

void vol_release_request(struct req *r)
{
	tell_grown((struct handle *)(uintptr_t)r->fi.fh);
	handle_drop((struct handle *)(uintptr_t)r->fi.fh);
	req_ok(r);
}
