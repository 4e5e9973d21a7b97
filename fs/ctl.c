/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ctl.c - handles of what is no volume: control files, definitions, scratch
 * files, .pool.
 *
 * What is read is a snapshot taken at open. What is written is judged in the
 * write itself: one line is one verb, and a definition is made in the write
 * that closes its root element, since shells lose the errors of close(2).
 */
#include "fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Counted: a read or write that was given up may outlive the close. */
struct chandle {
	atomic_int refs;
	struct node *node;              /* counted */
	pthread_mutex_t mu;             /* text, writer */
	struct buf text;
	bool shown;                     /* text is the node's, for ever */
	bool foreign;                   /* must not get into the node's pages */
	struct defwriter *writer;
	bool writes;
	struct event_reader events;     /* mu; of a file that grows */
	struct waiter waiter;
};

static void chandle_put(void *arg)
{
	struct chandle *h = arg;

	if (atomic_fetch_sub(&h->refs, 1) != 1)
		return;
	poll_forget(&h->waiter);
	event_reader_release(&h->events);
	if (h->writer)
		defwriter_free(h->writer);
	if (h->node->kind == N_SECRET)
		buf_wipe(&h->text);
	else
		buf_release(&h->text);
	pthread_mutex_destroy(&h->mu);
	node_put(h->node, 1);
	free(h);
}

void ctl_hold(struct req *r, uint64_t fh)
{
	struct chandle *h = (struct chandle *)(uintptr_t)fh;

	atomic_fetch_add(&h->refs, 1);
	r->held = h;
	r->held_put = chandle_put;
}

static void count_writer(struct node *n, int by)
{
	atomic_fetch_add(&n->writers, (unsigned)by);
}

/* Asks the driver. A volume that is there is only read. */
static int fill_voltext(struct req *r, struct node *n, struct chandle *h, bool reads, bool writes)
{
	_cleanup_free_ char *file = node_name(n);
	enum volume_text what;
	struct stat st;
	char name[256];
	int rc;

	if (!volume_text_name(file, name, &what))
		return -ESTALE;
	if (h->shown)
		return 0;
	rc = volume_show(n->run, name, what, reads && !writes ? &h->text : NULL, &st, &r->err);
	h->shown = rc == 0 && !writes && shown_is(n, &h->text);
	if (!writes)
		return rc == -ENOENT && !n->writers ? -ESTALE : rc == -ENOENT ? 0 : rc;
	if (what != VOLUME_XML)
		return err_set(&r->err, EACCES, "'%s' is read-only", file);
	if (rc == 0)
		return err_set(&r->err, EEXIST, "volume '%s' exists already in pool '%s': its XML "
			       "cannot be changed; rm %s/%s deletes it", name, run_name(n->run),
			       run_name(n->run), name);
	if (rc != -ENOENT)
		return rc;
	r->err.text[0] = 0;
	if (node_is_shown(n))           /* it was there a moment ago */
		return -ESTALE;
	h->writer = defwriter_new(node_drop(n->parent), name);
	h->writes = true;
	count_writer(n, 1);
	return 0;
}

static int fill(struct req *r, struct node *n, struct chandle *h, bool reads, bool writes)
{
	_cleanup_free_ char *file = node_name(n);
	struct caller who;
	struct cpool *cp;
	char name[256];

	caller_of(r, &who);
	h->shown = reads && !writes && shown_take(n, &who, &h->text);
	switch ((enum kind)n->kind) {
	case N_GUARD:
		if (writes)
			return err_set(&r->err, EACCES, "'.pool' is read-only");
		guard_text(n, &h->text);
		return 0;
	case N_CFILE:
		if (writes && !n->cf->store)
			return err_set(&r->err, EACCES, "'%s' is read-only", file);
		if (n->cf->grows)
			return 0;
		if (reads && !n->cf->show)
			return err_set(&r->err, EACCES, "'%s' is write-only", file);
		if (reads && !h->shown) {
			n->cf->show(n->cp, &who, &h->text);
			h->shown = shown_is(n, &h->text);
		}
		return 0;
	case N_VOLTEXT:
		return fill_voltext(r, n, h, reads, writes);
	case N_SOURCE:
		return sources_open(r, n, &h->text);
	case N_SECRET:
		if (secrets_open(r, n, &h->text) < 0)
			return -r->err.code;
		h->writes = true;
		count_writer(n, 1);
		return 0;
	case N_DEF:
		if (!drop_is_definition(&drop_pools, file, name))
			return -ESTALE;
		cp = cpool_find(name);
		if (!cp && !n->writers && !writes)
			return -ESTALE;
		if (cp && reads)
			cpool_xml(cp, &h->text);
		if (cp)
			cpool_put(cp);
		if (writes) {
			h->writer = defwriter_new(&drop_pools, name);
			h->writes = true;
			count_writer(n, 1);
		}
		return 0;
	case N_SCRATCH:
		if (r->fi.flags & O_TRUNC)
			return scratch_truncate(n->scratch, 0, &r->err);
		return 0;
	default:
		return -EISDIR;
	}
}

static struct chandle *chandle_new(struct node *n)
{
	struct chandle *h = xcalloc(1, sizeof *h);

	h->refs = 1;
	h->node = node_get(n);
	pthread_mutex_init(&h->mu, NULL);
	return h;
}

static void chandle_drop(struct chandle *h)
{
	if (h->writes)
		count_writer(h->node, -1);
	chandle_put(h);
}

static int open_node(struct req *r, struct node *n, struct chandle **out)
{
	int mode = r->fi.flags & O_ACCMODE;
	struct chandle *h = chandle_new(n);
	int rc = fill(r, n, h, mode != O_WRONLY, mode != O_RDONLY);

	if (rc < 0) {
		chandle_drop(h);
		return rc;
	}
	r->fi.fh = (uintptr_t)h;
	h->foreign = node_is_shown(n) && !h->shown;
	r->fi.direct_io = true;         /* sizes change with every reading */
	r->fi.noflush = mode == O_RDONLY;
	*out = h;
	return 0;
}

void ctl_open(struct req *r)
{
	struct chandle *h;
	int rc = open_node(r, r->node, &h);

	if (rc < 0)
		req_fail(r, rc);
	else if (!req_claim(r) || reply_open(r->fr, &r->fi, 0, false))
		chandle_drop(h);
}

/* "NAME.xml" that is no scratch file's name, but NAME is no pool's either. */
static int judge_name(const char *file, struct err *e)
{
	size_t len = strlen(file);
	_cleanup_free_ char *stem = xstrdup(file);

	if (len > 255)
		return err_set(e, ENAMETOOLONG, "a name may have 245 bytes and '.xml'");
	if (len < 4 || strcmp(file + len - 4, ".xml"))
		return 0;
	stem[len - 4] = 0;
	if (stem[0] == '.' && strcmp(stem, ".") && strcmp(stem, ".."))
		return 0;
	return name_check(NAME_POOL, stem, e);
}

static int create_scratch(struct req *r, struct node **out)
{
	struct scratch *s;
	int rc = scratch_create(node_drop(r->node), r->name, r->fi.flags & O_EXCL, r->ctx.uid,
				r->ctx.gid, r->mode, &s, &r->err);

	if (rc < 0)
		return rc;
	*out = node_child(r->node, N_SCRATCH, r->name, (uintptr_t)s, NULL, r->node->cp, NULL);
	if (!(*out)->scratch)
		node_become_scratch(*out, s);
	else
		scratch_put(s);
	return 0;
}

static int create_in_volumes(struct req *r, struct node **out)
{
	char name[256];

	if (!drop_is_definition(r->node->drop, r->name, name))
		return create_scratch(r, out);
	/* The open that follows asks whether there is such a volume. */
	*out = node_child(r->node, N_VOLTEXT, r->name, 0, r->node->run, r->node->cp, NULL);
	return 0;
}

static int create_in_pools(struct req *r, struct node **out)
{
	char name[256];
	int rc = judge_name(r->name, &r->err);

	if (rc < 0)
		return rc;
	if (!strcmp(r->name, ".pool"))
		return -EEXIST;
	if (drop_is_definition(&drop_pools, r->name, name)) {
		struct cpool *cp = cpool_find(name);

		if (cp)
			cpool_put(cp);
		if (cp && r->fi.flags & O_EXCL)
			return -EEXIST;
		*out = node_child(r->node, N_DEF, r->name, 0, NULL, NULL, NULL);
		return 0;
	}
	return create_scratch(r, out);
}

void ctl_create(struct req *r)
{
	struct fuse_entry_param e = { 0 };
	struct caller who;
	struct chandle *h;
	struct node *n = NULL;
	int rc;

	if (r->node->kind == N_POOLS)
		rc = create_in_pools(r, &n);
	else if (r->node->kind == N_VOLUMES)
		rc = create_in_volumes(r, &n);
	else if (r->node->kind == N_SECRETS)
		rc = secrets_create(r, &n);
	else
		rc = err_set(&r->err, EACCES, "no file '%s' can be made here: volumes are made "
			     "in a running pool's directory, definitions in control/pools",
			     r->name);
	if (rc < 0) {
		req_fail(r, rc);
		return;
	}
	rc = open_node(r, n, &h);
	if (rc < 0) {
		node_put(n, 1);
		req_fail(r, rc);
		return;
	}
	caller_of(r, &who);
	if (n->kind == N_VOLTEXT)
		rc = voltext_stat(n, &e.attr, &r->err);
	else
		node_stat(n, &who, &e.attr);
	if (rc < 0) {
		chandle_drop(h);
		node_put(n, 1);
		req_fail(r, rc);
		return;
	}
	e.ino = n->id;
	if (!req_claim(r) || reply_create(r->fr, &e, &r->fi, 0, false)) {
		chandle_drop(h);
		node_put(n, 1);
	}
}

void ctl_read(struct req *r)
{
	struct chandle *h = r->held;
	_cleanup_free_ char *data = xmalloc(r->size ? r->size : 1);
	ssize_t n = 0;

	if (h->node->kind == N_SCRATCH) {
		n = scratch_read(h->node->scratch, data, r->size, r->off);
	} else if (h->node->kind == N_CFILE && h->node->cf->grows) {
		pthread_mutex_lock(&h->mu);
		n = events_read(&h->events, data, r->size, r->off);
		pthread_mutex_unlock(&h->mu);
	} else if (h->foreign && !r->fi.lock_owner) {   /* into a page, for a mapping */
		n = -ESTALE;
	} else {
		pthread_mutex_lock(&h->mu);
		if (r->off < h->text.len) {
			n = h->text.len - r->off;
			if ((size_t)n > r->size)
				n = r->size;
			memcpy(data, h->text.data + r->off, n);
		}
		pthread_mutex_unlock(&h->mu);
	}
	if (n < 0)
		req_fail(r, n);
	else if (r->moved = n, req_claim(r))
		fuse_reply_buf(r->fr, data, n);
}

bool ctl_poll(uint64_t fh, struct fuse_pollhandle *ph)
{
	struct chandle *h = (struct chandle *)(uintptr_t)fh;
	bool ready;

	/* First in the list: what comes now is not missed. */
	if (ph)
		poll_wait(&h->waiter, ph);
	pthread_mutex_lock(&h->mu);
	ready = events_ready(&h->events);
	pthread_mutex_unlock(&h->mu);
	return ready;
}

/* Each line in turn; the first that fails ends the write. */
static int run_lines(struct req *r, struct node *n)
{
	struct caller who;
	const char *at = r->data, *end = r->data + r->size;
	bool any = false;

	caller_of(r, &who);
	while (at < end) {
		const char *nl = memchr(at, '\n', end - at);
		size_t len = (nl ? nl : end) - at;
		_cleanup_free_ char *line = xmalloc(len + 1);
		int rc;

		memcpy(line, at, len);
		line[len] = 0;
		if (strlen(line) != len)
			return err_set(&r->err, EINVAL, "a NUL byte is no part of a verb");
		if (len && line[len - 1] == '\r')
			line[len - 1] = 0;
		at = nl ? nl + 1 : end;
		if (!line[strspn(line, " \t")] && (any || at < end))
			continue;
		any = true;
		rc = n->cf->store(n->cp, &who, line, &r->err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static void forget_attributes(struct node *n)
{
	struct run *run = n->cp ? cpool_run(n->cp) : NULL;

	if (run)
		nodes_forget_attributes(run);
	run_put(run);
}

void ctl_write(struct req *r)
{
	struct chandle *h = r->held;
	struct caller who;
	int rc;

	switch ((enum kind)h->node->kind) {
	case N_CFILE:
		rc = run_lines(r, h->node);
		forget_attributes(h->node);
		break;
	case N_DEF: case N_VOLTEXT:
		caller_of(r, &who);
		pthread_mutex_lock(&h->mu);
		rc = defwriter_write(h->writer, &who, r->data, r->size, r->off, &r->err);
		pthread_mutex_unlock(&h->mu);
		break;
	case N_SECRET:
		pthread_mutex_lock(&h->mu);
		rc = secrets_write(r, h->node, &h->text);
		pthread_mutex_unlock(&h->mu);
		break;
	case N_SCRATCH:
		if (r->fi.flags & O_APPEND) {
			struct stat st;

			scratch_stat(h->node->scratch, &st);
			r->off = st.st_size;
		}
		rc = scratch_write(h->node->scratch, r->data, r->size, r->off, &r->err);
		break;
	default:
		rc = -EBADF;
	}
	if (rc < 0)
		req_fail(r, rc);
	else if (r->moved = r->size, req_claim(r))
		fuse_reply_write(r->fr, r->size);
}

void ctl_flush(struct req *r)
{
	struct chandle *h = r->held;
	int rc = 0;

	if ((h->node->kind == N_DEF || h->node->kind == N_VOLTEXT) && h->writer) {
		pthread_mutex_lock(&h->mu);
		rc = defwriter_flush(h->writer, &r->err);
		pthread_mutex_unlock(&h->mu);
	}
	if (rc < 0)
		req_fail(r, rc);
	else
		req_ok(r);
}

/* A definition is durable when its write returns; the rest is memory. */
void ctl_fsync(struct req *r)
{
	ctl_flush(r);
}

/* No holes in a text. */
void ctl_lseek(struct req *r)
{
	struct chandle *h = r->held;
	struct caller who;
	struct stat st;

	caller_of(r, &who);
	if (h->node->kind == N_VOLTEXT || h->node->kind == N_SOURCE || node_is_shown(h->node) ||
	    (h->node->kind == N_CFILE && h->node->cf->size))
		st.st_size = h->text.len;
	else
		node_stat(h->node, &who, &st);
	if (r->off >= (uint64_t)st.st_size)
		req_fail(r, -ENXIO);
	else if (req_claim(r))
		fuse_reply_lseek(r->fr, r->flags == SEEK_HOLE ? st.st_size : (off_t)r->off);
}

void ctl_release(struct req *r)
{
	chandle_drop((struct chandle *)(uintptr_t)r->fi.fh);
	req_ok(r);
}

static int set_def_size(struct req *r, struct chandle *h)
{
	uint64_t size = r->attr.st_size, now = 0;

	if (h && h->writer) {
		pthread_mutex_lock(&h->mu);
		now = defwriter_size(h->writer);
		if (!size)
			defwriter_truncate(h->writer);
		pthread_mutex_unlock(&h->mu);
	}
	if (size && size != now)
		return err_set(&r->err, EINVAL, "a definition has the size that its XML has");
	return 0;
}

static int set_secret_size(struct req *r, struct chandle *h)
{
	int rc;

	if (!h)
		return secrets_truncate(r, NULL);
	pthread_mutex_lock(&h->mu);
	rc = secrets_truncate(r, &h->text);
	pthread_mutex_unlock(&h->mu);
	return rc;
}

/* Sizes count; modes and times of control files and definitions are accepted,
 * so that cp -a and editors work, and forgotten. */
int ctl_setsize(struct req *r)
{
	struct vol_attr a = req_attr(r);

	switch ((enum kind)r->node->kind) {
	case N_SCRATCH:
		if (a.valid)
			scratch_setattr(r->node->scratch, &a);
		if (r->to_set & FUSE_SET_ATTR_SIZE)
			return scratch_truncate(r->node->scratch, r->attr.st_size, &r->err);
		return 0;
	case N_DEF: case N_VOLTEXT:
		return r->to_set & FUSE_SET_ATTR_SIZE ? set_def_size(r, r->held) : 0;
	case N_SECRET:
		return r->to_set & FUSE_SET_ATTR_SIZE ? set_secret_size(r, r->held) : 0;
	default:
		return 0;
	}
}
