/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rbd_copy.c - where an image has data, and copies of pieces of images.
 *
 * Called through the row in rbd.c, and by rbd_clone.c. What there is says the image's
 * object map; without one all of it counts as data. A copy keeps holes, and makes new
 * ones where it finds zeros. Never copies more at a time than a request may last.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "rbd.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COPY_CALL_MAX = 64 << 20 };      /* bytes of data that one copy call moves */

/* ---- data and holes ------------------------------------------------------------------------ */

/* Locked. */
static bool objects_good(struct image *i, uint64_t now, uint64_t writes)
{
	return i->objects.bits && i->objects_writes == writes && now - i->objects.loaded < FRESH_MS;
}

/* The object map as it is now; false if there is none to go by. */
static bool objects_load(struct image *i)
{
	uint64_t features = 0, flags = 0, overlap, writes = atomic_load(&i->writes);
	struct objects o = { 0 };
	bool good;

	pthread_mutex_lock(&i->lock);
	good = objects_good(i, now_ms(), writes);
	pthread_mutex_unlock(&i->lock);
	if (good)
		return true;
	/* A copy's objects may still be its parent's. */
	if (rbd_get_overlap(i->h, &overlap) == 0 && overlap)
		return false;
	/* Nor is an object of a striped one a piece of it. */
	if (rbd_get_features(i->h, &features) < 0 || !(features & RBD_FEATURE_OBJECT_MAP) ||
	    features & RBD_FEATURE_STRIPINGV2 ||
	    rbd_get_flags(i->h, &flags) < 0 || flags & RBD_FLAG_OBJECT_MAP_INVALID)
		return false;
	/* What waits to be stored is in no map. */
	image_flush(i);
	if (objects_read(i->conn, i->id, &o) < 0)
		return false;
	pthread_mutex_lock(&i->lock);
	free(i->objects.bits);
	i->objects = o;
	i->objects_writes = writes;
	pthread_mutex_unlock(&i->lock);
	return true;
}

int image_data(struct image *i, uint64_t off, uint64_t end, uint64_t *data, uint64_t *hole,
	       struct err *e)
{
	uint64_t n, last;

	(void)e;
	*data = off;
	*hole = end;
	if (off >= end || !objects_load(i))
		return 0;
	pthread_mutex_lock(&i->lock);
	last = (end - 1) >> i->order;
	for (n = off >> i->order; n <= last && !object_exists(&i->objects, n); n++)
		;
	if (n > last)
		*data = end;
	else if (n << i->order > off)
		*data = n << i->order;
	for (; n <= last && object_exists(&i->objects, n); n++)
		;
	if (n <= last)
		*hole = n << i->order;
	pthread_mutex_unlock(&i->lock);
	return 0;
}

int rbdv_seek(struct vol *v, uint64_t off, int whence, uint64_t *found, struct err *e)
{
	struct image *i = ((struct rbdv *)v->priv)->image;
	uint64_t size, data, hole;
	int rc = image_use(i, false, e);

	if (rc < 0)
		return rc;
	image_refresh(i);
	pthread_mutex_lock(&i->lock);
	size = i->size;
	pthread_mutex_unlock(&i->lock);
	if (off >= size)
		rc = -(e->code = ENXIO);
	if (rc == 0)
		rc = image_data(i, off, size, &data, &hole, e);
	if (rc == 0 && whence == SEEK_DATA && data >= size)
		rc = -(e->code = ENXIO);
	if (rc == 0)
		*found = whence == SEEK_DATA ? data : data > off ? off : hole;
	image_unuse(i);
	return rc;
}

/* ---- copies ------------------------------------------------------------------------------------ */

static bool all_zero(const char *data, size_t len)
{
	return !len || (data[0] == 0 && memcmp(data, data + 1, len - 1) == 0);
}

/* One piece of data, or a whole hole. fresh: behind what the target had before. */
static ssize_t copy_piece(struct image *from, uint64_t from_off, struct vol *to, uint64_t to_off,
			  size_t len, char *room, uint64_t fresh, struct err *e)
{
	struct image *i = ((struct rbdv *)to->priv)->image;
	uint64_t data, hole;
	int rc = image_data(from, from_off, from_off + len, &data, &hole, e);
	bool zero = data > from_off;
	ssize_t n;

	if (rc < 0)
		return rc;
	len = zero ? data - from_off : hole - from_off;
	if (!zero) {
		len = len < COPY_STEP ? len : COPY_STEP;
		n = rbd_read(from->h, from_off, len, room);
		if (n >= 0 && (rc = image_lost(from, e)) < 0)
			return rc;
		if (n < 0)
			return rbd_fail(from->conn, (int)n, e, "cannot read the source");
		len = (size_t)n;
		zero = all_zero(room, len);
	}
	rc = volume_room(to, &to_off, len, e);
	if (rc < 0 || !len)
		return rc;
	if (!zero)
		rc = image_write(i, room, len, to_off, e);
	else if (to_off < fresh)
		rc = image_zero(i, to_off, len, false, NULL, e);
	return rc < 0 ? rc : (ssize_t)len;
}

ssize_t rbdv_copy(struct vol *from, uint64_t from_off, struct vol *to, uint64_t to_off,
		  size_t len, struct err *e)
{
	struct image *a = ((struct rbdv *)from->priv)->image, *b = ((struct rbdv *)to->priv)->image;
	_cleanup_free_ char *room = NULL;
	size_t done = 0, moved = 0;
	uint64_t fresh;
	ssize_t n = image_use(a, false, e);

	if (n < 0)
		return n;
	n = image_use(b, true, e);
	if (n < 0) {
		image_unuse(a);
		return n;
	}
	image_wait_writes(a);
	len = image_clip(a, from_off, len);
	room = xmalloc(COPY_STEP);
	pthread_mutex_lock(&b->lock);
	fresh = ((struct rbdv *)to->priv)->empties ? 0 : b->size;
	pthread_mutex_unlock(&b->lock);
	while (done < len && moved < COPY_CALL_MAX) {
		n = copy_piece(a, from_off + done, to, to_off + done, len - done, room, fresh, e);
		if (n <= 0)
			break;
		done += (size_t)n;
		moved += n < COPY_STEP ? (size_t)n : COPY_STEP;
	}
	image_unuse(b);
	image_unuse(a);
	return done ? (ssize_t)done : n < 0 ? n : 0;
}
