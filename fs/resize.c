/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * resize.c - what truncate means: the size of a volume, or of the disk in it.
 *
 * A raw volume is its bytes. The file of a qcow2 image and the like is a
 * container: tools that write containers (cp, rsync, qemu-img) set the file's
 * length, people who type truncate -s mean the disk. The two are told apart
 * by what the handle did before; what is neither is refused, naming the verb.
 * Called by ops.c for a setattr with a size.
 */
#include "fs.h"
#include <fcntl.h>
#include <string.h>

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* Did this handle create, truncate or write the file? 1, 0 or -errno. The kernel
 * does not show us the writes that it passes through, but they change the
 * file's times. */
static int has_changed(struct handle *h, struct err *e)
{
	struct vol_stat vs;
	int rc;

	if (atomic_load(&h->changed))
		return 1;
	rc = vol_fstat(h->vol, &vs, e);
	return rc < 0 ? rc : !same_time(&vs.st.st_ctim, &h->opened);
}

static bool alone(struct node *n, struct handle *h)
{
	pthread_mutex_lock(&n->mu);
	bool yes = n->handles == h && (!h || !h->next);
	pthread_mutex_unlock(&n->mu);
	return yes;
}

/* truncate(1) opens with O_NONBLOCK, and truncate(2) not at all; a program that
 * opens a container in another way and cuts or grows it first (dd seek=, a
 * database) means the file. */
static bool means_disk(struct req *r)
{
	return !r->h || r->h->flags & O_NONBLOCK;
}

static int set_container(struct req *r, const char *name, const struct vol_desc *d)
{
	uint64_t size = r->attr.st_size;

	if (size == d->physical)
		return 0;
	if (means_disk(r) && alone(r->node, r->h) && size > d->capacity && size > d->physical)
		return vol_resize(run_pool(r->run), name, size, 0, &r->err);
	return err_set(&r->err, EINVAL, "'%s' is a %s image: to set the size of its disk, write "
		       "'resize %s SIZE' to control/pools/%s/ctl", name, d->target.format, name,
		       run_name(r->run));
}

int vol_is_named(struct req *r, const char *name)
{
	struct node *n = r->node;
	struct vol_stat vs;
	int rc;

	if (!node_linked(n))
		return 0;
	rc = vol_stat(run_pool(r->run), name, &vs, &r->err);
	if (rc == -ENOENT)
		r->err.text[0] = 0;
	else if (rc < 0)
		return rc;
	return rc == 0 && vs.id == n->ident;
}

/* By the name that the volume has now, if it has one. */
void node_tell_size(struct node *n, struct pool *p, uint64_t size)
{
	_cleanup_free_ char *name = NULL;

	if (!node_linked(n))
		return;
	name = node_name(n);
	atomic_store(&n->told_size, size);
	pool_tell(p, VOL_RESIZED, name, NULL, size);
}

static int truncate_open(struct req *r, struct vol *v)
{
	int rc = vol_truncate(v, r->attr.st_size, &r->err);

	if (rc == 0)
		node_tell_size(r->node, v->pool, (uint64_t)r->attr.st_size);
	return rc;
}

/* truncate(2) of a deleted volume that is open, by /proc/PID/fd. */
static int set_size_open(struct req *r)
{
	struct handle *found = NULL;
	int rc;

	pthread_mutex_lock(&r->node->mu);
	for (struct handle *h = r->node->handles; h && !found; h = h->next)
		if ((h->vol->flags & O_ACCMODE) != O_RDONLY)
			found = handle_get(h);
	pthread_mutex_unlock(&r->node->mu);
	if (!found)
		return -ESTALE;
	atomic_store(&found->changed, true);
	rc = truncate_open(r, found->vol);
	handle_put(found);
	return rc;
}

/* True: *rc is the answer, since it is a container, or that cannot be told. */
static bool if_container(struct req *r, const char *name, int *rc)
{
	struct vol_desc d;
	bool is;

	if (!run_pool(r->run)->ops->describe)
		return false;
	*rc = vol_describe(run_pool(r->run), name, &d, &r->err);
	if (*rc < 0)
		return true;
	is = d.target.format && strcmp(d.target.format, "raw") && strcmp(d.target.format, "iso");
	if (is)
		*rc = set_container(r, name, &d);
	vol_desc_release(&d);
	return is;
}

int vol_set_size(struct req *r)
{
	struct node *n = r->node;
	_cleanup_free_ char *name = node_name(n);
	const struct backend *ops = run_pool(n->run)->ops;
	int rc = r->h ? has_changed(r->h, &r->err) : 0, named = 0;

	if (rc < 0)
		return rc;
	if (!rc) {
		named = vol_is_named(r, name);
		if (named < 0)
			return named;
	}
	if (named && if_container(r, name, &rc))
		return rc;
	if (r->h) {
		atomic_store(&r->h->changed, true);
		return truncate_open(r, r->h->vol);
	}
	if (!named)
		return set_size_open(r);
	return vol_resize(run_pool(n->run), name, r->attr.st_size,
			  ops->plain_files || opt.shrink ? RESIZE_SHRINK : 0, &r->err);
}
