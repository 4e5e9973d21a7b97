/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rbd_list.c - lists images, and tells the attributes of one.
 *
 * Called through the row in rbd.c. Never opens an image.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "rbd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void listing_drop(struct pool *p)
{
	struct rbdp *d = p->priv;
	struct listing *l;

	pthread_mutex_lock(&d->lock);
	l = d->listing;
	d->listing = NULL;
	d->names++;
	pthread_mutex_unlock(&d->lock);
	listing_end(l);
}

static uint64_t names_now(struct rbdp *d)
{
	pthread_mutex_lock(&d->lock);
	uint64_t names = d->names;
	pthread_mutex_unlock(&d->lock);
	return names;
}

static int list_images(struct conn *c, rbd_image_spec_t **specs, size_t *count)
{
	size_t max = 256;
	int rc;

	do {                            /* -ERANGE sets max to what is needed now */
		*specs = xcalloc(max, sizeof **specs);
		*count = max;
		rc = rbd_list2(c->io, *specs, count);
		if (rc < 0)
			free(*specs);
		max = *count + 64;
	} while (rc == -ERANGE);
	return rc < 0 ? rc : 0;
}

int rbdp_list(struct pool *p, vol_found_f *found, void *arg, struct err *e)
{
	struct rbdp *d = p->priv;
	struct listing *l, *before = NULL;
	uint64_t taken = now_ms(), names = names_now(d);
	rbd_image_spec_t *specs;
	bool more = true;
	size_t count;
	int rc = list_images(d->conn, &specs, &count);

	if (rc == 0 && conn_gone(d->conn)) {
		rbd_image_spec_list_cleanup(specs, count);
		free(specs);
		rc = -ESTALE;
	}
	if (rc < 0)
		return rbd_fail(d->conn, rc, e, "RADOS pool '%.100s'", d->conn->pool);
	l = listing_new(d->conn, count, taken);
	for (size_t i = 0; i < count; i++) {
		struct err unfit;

		/* Names that no file can have; images of the format that Ceph has given
		 * up have no id. */
		if (name_check(NAME_VOLUME, specs[i].name, &unfit) < 0 || !specs[i].id[0] ||
		    strlen(specs[i].id) >= 64)
			continue;
		listing_add(l, specs[i].name, specs[i].id);
		if (more)
			more = found(arg, specs[i].name, id_number(specs[i].id), S_IFREG);
	}
	rbd_image_spec_list_cleanup(specs, count);
	free(specs);
	pthread_mutex_lock(&d->lock);
	if (names == d->names) {
		before = d->listing;
		d->listing = l;
		l = NULL;
	}
	pthread_mutex_unlock(&d->lock);
	listing_end(before);
	listing_put(l);
	return 0;
}

static void head_read(struct rbdp *d, const char *name, struct head *h)
{
	struct head one = { .name = (char *)name, .want_allocation = true };
	struct listing *l;
	bool found;

	pthread_mutex_lock(&d->lock);
	l = listing_get(d->listing);
	pthread_mutex_unlock(&d->lock);
	found = l && listing_head(l, name, h);
	listing_put(l);
	if (!found) {
		heads_read(d->conn, &one, 1);
		*h = one;
		h->name = NULL;
	}
}

/* ---- attributes ------------------------------------------------------------------------------ */

/* An open image knows better: it may be growing. */
static void size_of_open(struct conn *c, struct head *h)
{
	struct image *i = image_find(c, h->id);

	if (!i)
		return;
	pthread_mutex_lock(&c->lock);
	bool open = i->state == IMAGE_OPEN && i->watched;
	bool closing = i->state == IMAGE_CLOSING && i->watched;
	pthread_mutex_unlock(&c->lock);
	if (open || closing) {
		if (open)
			image_refresh(i);
		pthread_mutex_lock(&i->lock);
		if (i->sized)
			h->size = i->size;
		pthread_mutex_unlock(&i->lock);
	}
	image_put(i, false);
}

static void head_stat(struct pool *p, struct head *h, struct vol_stat *st)
{
	struct rbdp *d = p->priv;
	bool whole = p->def->refresh_allocation && !strcmp(p->def->refresh_allocation, "capacity");

	size_of_open(d->conn, h);
	if (h->allocation > h->size || whole)
		h->allocation = h->size;
	st->id = id_number(h->id);
	st->st.st_ino = st->id;
	st->st.st_size = (off_t)h->size;
	st->st.st_blocks = (blkcnt_t)((h->allocation + 511) / 512);
	st->st.st_blksize = 1 << (h->order < 22 ? h->order : 22);
	st->st.st_nlink = 1;
	st->st.st_mtim = st->st.st_atim = st->st.st_ctim = h->mtime;
	/* Other clients note when they write at most once in 60 seconds: up to then the
	 * image may have changed. Who goes by ctime must not take it for unchanged. */
	st->st.st_ctim.tv_sec += HEARD_LATE;
	attrs_apply(&d->attrs, st->id, &st->st);
}

int rbdv_stat(struct pool *p, const char *name, struct vol_stat *st, struct err *e)
{
	struct rbdp *d = p->priv;
	struct head h;

	head_read(d, name, &h);
	if (h.rc == -ENOENT)
		return rbd_absent(d->conn, e);
	if (h.rc < 0)
		return rbd_fail(d->conn, h.rc, e, "cannot read its header");
	head_stat(p, &h, st);
	return 0;
}

int rbdv_fstat(struct vol *v, struct vol_stat *st, struct err *e)
{
	struct rbdp *d = v->pool->priv;
	struct rbdv *r = v->priv;
	struct head h = { .want_allocation = true };

	snprintf(h.id, sizeof h.id, "%s", r->image->id);
	heads_read(d->conn, &h, 1);
	if (h.rc == -ENOENT && !conn_gone(d->conn))
		return err_set(e, ESTALE, "the image has been removed");
	if (h.rc < 0)
		return rbd_fail(d->conn, h.rc, e, "cannot read its header");
	head_stat(v->pool, &h, st);
	return 0;
}

int rbdv_describe(struct pool *p, const char *name, struct vol_desc *v, struct err *e)
{
	struct rbdp *d = p->priv;
	struct vol_stat st = { 0 };
	int rc = rbdv_stat(p, name, &st, e);

	if (rc < 0)
		return rc;
	v->kind = VOL_NETWORK;
	v->key = xasprintf("%s/%s", d->conn->pool, name);
	v->target.path = xstrdup(v->key);
	v->target.format = xstrdup("raw");
	v->capacity = (uint64_t)st.st.st_size;
	v->allocation = (uint64_t)st.st.st_blocks * 512;
	if (v->allocation > v->capacity)
		v->allocation = v->capacity;
	v->physical = v->capacity;
	v->target.perms = (struct perms){
		.mode_set = true, .uid_set = true, .gid_set = true,
		.mode = st.st.st_mode & 0777, .uid = st.st.st_uid, .gid = st.st.st_gid,
	};
	v->target.times_set = true;
	v->target.atime = st.st.st_atim;
	v->target.mtime = st.st.st_mtim;
	v->target.ctime = st.st.st_ctim;
	return 0;
}

int rbdv_setattr(struct pool *p, const char *name, const struct vol_attr *a, struct err *e)
{
	struct rbdp *d = p->priv;
	char id[64];
	int rc = image_id_of(d->conn, name, id, e);

	if (rc == 0)
		attrs_set(&d->attrs, id_number(id), a);
	return rc;
}
