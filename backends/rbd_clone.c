/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rbd_clone.c - copies of a whole image: by Ceph's clone, else byte by byte.
 *
 * Called through the row in rbd.c. A clone is there at once and shares what its
 * source had; unless it is to stay linked, rbd_tidy.c cuts it loose later. The copy
 * bears a hidden name until it is whole, with a note by which a later daemon finds
 * what this one could not finish. Leaves no snapshot that anybody sees.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "rbd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static uint64_t random_number(void)
{
	uint64_t n;

	if (getrandom(&n, sizeof n, 0) != sizeof n)
		n = now_ms();
	return n;
}

/* A snapshot that goes at once: Ceph keeps it hidden as long as the clone needs it. The
 * source is known by its name of now, which no other image with that snapshot has. */
static int clone_shared(struct image *from, const char *name, const char *temp, struct err *e)
{
	_cleanup_free_ char *snap = xasprintf("poolfs-%016llx", (unsigned long long)random_number());
	_cleanup_free_ char *key = xasprintf("snap.%s.%s", from->id, snap);
	_cleanup_free_ char *self = self_identity();
	struct conn *c = from->conn;
	rbd_image_options_t o;
	int rc, gone;

	/* What this daemon wrote, and has not stored; and no room to grow. */
	if (!from->readonly) {
		rc = image_trim(from, e);
		if (rc < 0)
			return rc;
		rc = image_flush(from);
		if (rc < 0)
			return rbd_fail(c, rc, e, "cannot store what was written to the source");
	}
	rc = note_set(c, TODO_OBJECT, key, self);
	if (rc == 0)
		rc = rbd_snap_create(from->h, snap);
	if (rc < 0) {
		/* Too late an answer may still have made it. */
		if (rc == -ETIMEDOUT)
			note_set(c, TODO_OBJECT, key, NOTE_LEFT);
		else
			note_remove(c, TODO_OBJECT, key);
		return rbd_fail(c, rc, e, "cannot take a snapshot of the source");
	}
	rbd_image_options_create(&o);
	rbd_image_options_set_uint64(o, RBD_IMAGE_OPTION_CLONE_FORMAT, 2);
	rc = rbd_clone3(c->io, name, snap, c->io, temp, o);
	rbd_image_options_destroy(o);
	gone = rbd_snap_remove(from->h, snap);
	if (gone < 0)
		note_set(c, TODO_OBJECT, key, NOTE_LEFT);
	else
		note_remove(c, TODO_OBJECT, key);
	if (rc < 0)
		return rbd_fail(c, rc, e, "cannot clone the source");
	return gone < 0 ? rbd_fail(c, gone, e, "cannot hide the snapshot '%s'", snap) : 0;
}

static int copy_bytes(struct image *from, struct image *to, uint64_t size, struct progress *pr,
		      struct err *e)
{
	_cleanup_free_ char *room = xmalloc(COPY_STEP);

	for (uint64_t off = 0; off < size; ) {
		uint64_t data, hole, len;
		ssize_t n;

		if (atomic_load(&pr->cancel))
			return err_set(e, ECANCELED, "cancelled");
		image_data(from, off, size, &data, &hole, e);
		len = hole - data < COPY_STEP ? hole - data : COPY_STEP;
		n = len ? rbd_read(from->h, data, len, room) : 0;
		if (n > 0 && (room[0] || memcmp(room, room + 1, (size_t)n - 1))) {
			ssize_t done = rbd_write(to->h, data, (size_t)n, room);

			n = done < 0 ? done : n;
		}
		if (n < 0)
			return rbd_fail(from->conn, (int)n, e, "cannot copy the bytes");
		if (n < (ssize_t)len)
			return err_set(e, EIO, "the source became smaller");
		atomic_store(&pr->done, data + len);
		off = data + len;
	}
	return 0;
}

static int clone_bytes(struct image *from, const char *temp, struct progress *pr, struct err *e)
{
	struct conn *c = from->conn;
	rbd_image_options_t o;
	struct image *to;
	uint64_t size;
	char id[64];
	int rc;

	image_wait_writes(from);        /* some were answered before they are stored */
	size = image_size(from);
	rbd_image_options_create(&o);
	rbd_image_options_set_uint64(o, RBD_IMAGE_OPTION_ORDER, from->order);
	rc = rbd_create4(c->io, temp, size, o);
	rbd_image_options_destroy(o);
	if (rc < 0)
		return rbd_fail(c, rc, e, "the cluster does not make the image");
	rc = image_id_of(c, temp, id, e);
	if (rc < 0)
		return rc;
	atomic_store(&pr->total, size);
	to = image_get(c, id, temp, false);
	rc = image_use(to, true, e);
	if (rc == 0) {
		rc = copy_bytes(from, to, size, pr, e);
		if (rc == 0) {
			rc = rbd_flush(to->h);
			rc = rc < 0 ? rbd_fail(c, rc, e, "cannot store the copy") : 0;
		}
		image_unuse(to);
	}
	image_put(to, false);
	return rc;
}

/* Can Ceph clone it? */
static bool shareable(struct image *from)
{
	uint64_t features;

	return rbd_get_features(from->h, &features) == 0 && features & RBD_FEATURE_LAYERING;
}

static int make(struct image *from, const char *name, const char *temp, bool linked,
		struct progress *pr, struct err *e)
{
	if (shareable(from)) {
		int rc = clone_shared(from, name, temp, e);

		/* May only read the source, or its kind of image cannot. */
		if (rc != -EPERM && rc != -EROFS && rc != -EINVAL && rc != -EOPNOTSUPP)
			return rc;
		rbd_remove(from->conn->io, temp);
	}
	if (linked)
		return err_set(e, EOPNOTSUPP, "Ceph cannot clone this image; clone it without 'linked'");
	e->text[0] = '\0';
	return clone_bytes(from, temp, pr, e);
}

/* The copy gets its name; a note says that it still hangs on its source. */
static int finish(struct pool *p, const char *temp, const char *to, bool linked, struct err *e)
{
	struct conn *c = ((struct rbdp *)p->priv)->conn;
	_cleanup_free_ char *key = NULL;
	char id[64];
	int rc = image_id_of(c, temp, id, e);

	if (rc < 0)
		return rc;
	key = xasprintf("flatten.%s", id);
	rc = linked ? 0 : note_set(c, TODO_OBJECT, key, to);
	if (rc == 0)
		rc = rbd_rename(c->io, temp, to);
	if (rc == 0) {
		if (!linked)
			atomic_store(&p->untidy, true);
		return 0;
	}
	if (!linked)
		note_remove(c, TODO_OBJECT, key);
	if (rc == -EEXIST)
		return -(e->code = EEXIST);
	return rbd_fail(c, rc, e, "cannot give the copy its name");
}

/* True: nothing is left of it. */
static bool undo(struct conn *c, const char *temp)
{
	struct err ignored = { 0 };
	struct image *i;
	char id[64];
	int rc = image_id_of(c, temp, id, &ignored);

	if (rc < 0)
		return rc == -ENOENT;
	i = image_find(c, id);
	if (i) {
		image_settle(i, 10000, &ignored);
		image_put(i, false);
	}
	rc = rbd_remove(c->io, temp);
	return rc == 0 || rc == -ENOENT;
}

int rbdv_clone(struct pool *p, const char *from, const char *to, unsigned flags,
	       struct progress *pr, struct err *e)
{
	struct rbdp *d = p->priv;
	struct conn *c = d->conn;
	_cleanup_free_ char *temp = NULL, *key = NULL, *self = NULL;
	bool linked = flags & CLONE_LINKED;
	struct image *i;
	char id[64];
	int rc = image_id_of(c, to, id, e);

	if (rc == 0)
		return -(e->code = EEXIST);
	if (rc != -ENOENT)
		return rc;
	rc = image_id_of(c, from, id, e);
	if (rc < 0)
		return rc;
	temp = xasprintf(TEMP_PREFIX "clone-%016llx", (unsigned long long)random_number());
	key = xasprintf("new.%s", temp);
	self = self_identity();
	rc = note_set(c, TODO_OBJECT, key, self);
	if (rc < 0)
		return rbd_fail(c, rc, e, "cannot note what is begun");
	i = image_get(c, id, from, false);
	rc = image_use(i, false, e);
	if (rc == 0) {
		image_refresh(i);
		rc = image_lost(i, e);
		if (rc == 0)
			rc = make(i, from, temp, linked, pr, e);
		image_unuse(i);
	}
	image_put(i, false);
	if (rc == 0 && atomic_load(&pr->cancel))
		rc = err_set(e, ECANCELED, "cancelled");
	if (rc == 0)
		rc = finish(p, temp, to, linked, e);
	if (rc == 0 || undo(c, temp)) {
		note_remove(c, TODO_OBJECT, key);
	} else {
		note_set(c, TODO_OBJECT, key, NOTE_LEFT);
		atomic_store(&p->untidy, true);
	}
	listing_drop(p);
	return rc;
}
