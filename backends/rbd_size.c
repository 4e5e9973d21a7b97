/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rbd_size.c - the size of an image: truncate, the verb resize, and growing.
 *
 * Called through the row in rbd.c and by rbd_io.c. What cp writes arrives in pieces
 * and each resize costs as much as many of them: a volume that is being filled grows
 * in large steps, and gives back the rest when it is flushed and closed. Shrinks
 * nothing that anybody else has open.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "rbd.h"

#include <fcntl.h>
#include <string.h>

enum { STEP_MIN = 64 << 20, RELEASE_MS = 1000 };
#define STEP_MAX ((uint64_t)4 << 30)

/* librbd calls it without looking whether there is one. */
static int no_progress(uint64_t done, uint64_t total, void *arg)
{
	(void)done, (void)total, (void)arg;
	return 0;
}

/* Between use and unuse, with i->resize held. */
static int set_real(struct image *i, uint64_t size, struct err *e)
{
	int rc;

	/* librbd stores what it holds before it cuts, and would keep a failure of that
	 * to itself. */
	if (size < i->real)
		image_flush(i);
	rc = rbd_resize2(i->h, size, true, no_progress, NULL);
	atomic_store(&i->conn->resized, now_ms());      /* what was read ahead is old */
	if (rc == -EROFS || rc == -EBUSY)
		return err_set(e, EBUSY, "another Ceph client has the image's lock, or it is the "
			       "copy that mirroring keeps");
	if (rc < 0)
		return rbd_fail(i->conn, rc, e, "cannot set the image's size to %llu bytes",
				(unsigned long long)size);
	pthread_mutex_lock(&i->lock);
	i->real = size;
	if (i->size > size)
		i->size = size;
	atomic_fetch_add(&i->writes, 1);        /* what was known of holes is old */
	pthread_mutex_unlock(&i->lock);
	return 0;
}

static void sizes(struct image *i, uint64_t *size, uint64_t *real)
{
	pthread_mutex_lock(&i->lock);
	*size = i->size;
	*real = i->real;
	pthread_mutex_unlock(&i->lock);
}

static void show(struct image *i, uint64_t size)
{
	pthread_mutex_lock(&i->lock);
	i->size = size;
	pthread_mutex_unlock(&i->lock);
}

uint64_t image_size(struct image *i)
{
	pthread_mutex_lock(&i->lock);
	uint64_t size = i->size;
	pthread_mutex_unlock(&i->lock);
	return size;
}

/* Between use and unuse, with i->resize held: what others made of it counts. */
static int adopt(struct image *i, struct err *e)
{
	uint64_t size;
	int rc = rbd_get_size(i->h, &size);

	if (rc < 0)
		return rbd_fail(i->conn, rc, e, "cannot read its size");
	pthread_mutex_lock(&i->lock);
	if (size != i->real)
		i->size = i->real = size;
	pthread_mutex_unlock(&i->lock);
	return 0;
}

int image_trim(struct image *i, struct err *e)
{
	uint64_t size, real;
	int rc = 0;

	sizes(i, &size, &real);
	if (size == real)
		return 0;
	pthread_mutex_lock(&i->resize);
	rc = adopt(i, e);
	sizes(i, &size, &real);
	if (rc == 0 && size != real)
		rc = set_real(i, size, e);
	pthread_mutex_unlock(&i->resize);
	return rc;
}

int image_round(struct image *i, struct err *e)
{
	uint64_t size, real, object = (uint64_t)1 << i->order;
	int rc = 0;

	pthread_mutex_lock(&i->resize);
	sizes(i, &size, &real);
	if (size % object && size == real)
		rc = set_real(i, size - size % object + object, e);
	pthread_mutex_unlock(&i->resize);
	return rc;
}

/* Another handle of ours may be just a reader: its file shrinks as any file does.
 * volumes: those of ours that may have it open. */
static int may_shrink(struct image *i, unsigned volumes, struct err *e)
{
	_cleanup_buf_ struct buf who = { 0 };
	uint64_t until = now_ms() + RELEASE_MS;
	unsigned open;
	int rc;

	/* One just closed gets a moment: the kernel tells of a close afterwards. */
	pthread_mutex_lock(&i->conn->lock);
	while (i->volumes > volumes && cond_wait_until(&i->conn->changed, &i->conn->lock, until))
		;
	open = i->volumes;
	pthread_mutex_unlock(&i->conn->lock);
	if (open > volumes)
		return err_set(e, EBUSY, "it cannot be made smaller while another program has it "
			       "open");
	rc = image_watchers(i, &who, e);
	if (rc > 0)
		return err_set(e, EBUSY, "it cannot be made smaller while the Ceph client at %.200s "
			       "has it open", who.data);
	return rc;
}

static int check_size(uint64_t size, struct err *e)
{
	return size <= SIZE_CAP ? 0 : err_set(e, EFBIG, "an image may have %llu TiB at most",
					      (unsigned long long)(SIZE_CAP >> 40));
}

/* With i->resize held: to the size exactly. */
static int set_size(struct image *i, uint64_t size, bool shrink, unsigned volumes,
		    struct err *e)
{
	uint64_t now, real;
	int rc = check_size(size, e);

	if (rc == 0)
		rc = adopt(i, e);
	sizes(i, &now, &real);
	if (rc == 0 && size < now && !shrink)
		return err_set(e, EPERM, "%llu bytes are less than the %llu it has, and the rest would "
			       "be lost: mount with the option shrink, or write 'resize VOLUME SIZE "
			       "shrink' to the pool's ctl", (unsigned long long)size,
			       (unsigned long long)now);
	if (rc == 0 && size < now)
		rc = may_shrink(i, volumes, e);
	if (rc == 0)
		rc = image_alone(i, e);
	if (rc == 0 && size != real)
		rc = set_real(i, size, e);
	if (rc == 0)
		show(i, size);
	return rc;
}

/* The data of a volume that was opened to be written anew goes now. */
int volume_empty(struct vol *v, struct err *e)
{
	struct rbdv *r = v->priv;
	struct image *i = r->image;
	int rc = 0;

	pthread_mutex_lock(&i->resize);
	if (r->empties) {
		rc = set_size(i, 0, true, 1, e);
		if (rc == 0) {
			r->floor = 0;
			r->empties = false;
		}
	}
	pthread_mutex_unlock(&i->resize);
	return rc;
}

/* Room for len bytes at *off, or at the end. */
static int grow(struct vol *v, uint64_t *off, size_t len, struct err *e)
{
	struct image *i = ((struct rbdv *)v->priv)->image;
	uint64_t size, real, end, want, step;
	int rc;

	pthread_mutex_lock(&i->resize);
	rc = adopt(i, e);
	sizes(i, &size, &real);
	if (v->flags & O_APPEND)
		*off = size;            /* two may append at the same time */
	end = *off + len;
	if (rc == 0)
		rc = check_size(end, e);
	if (rc == 0 && end > real) {
		step = real < STEP_MIN ? STEP_MIN : real < STEP_MAX ? real : STEP_MAX;
		want = end + step <= SIZE_CAP ? end + step : SIZE_CAP;
		rc = set_real(i, want, e);
	}
	if (rc == 0 && end > size)
		show(i, end);
	pthread_mutex_unlock(&i->resize);
	return rc;
}

int volume_room(struct vol *v, uint64_t *off, size_t len, struct err *e)
{
	struct rbdv *r = v->priv;
	struct image *i = r->image;
	uint64_t size, real, end;
	int rc = image_alone(i, e);

	if (rc == 0 && r->empties)
		rc = volume_empty(v, e);
	if (rc < 0)
		return rc;
	image_refresh(i);               /* librbd says nothing of what it cuts off */
	sizes(i, &size, &real);
	if (v->flags & O_APPEND)
		*off = size;
	if (len > UINT64_MAX - *off)
		return err_set(e, EFBIG, "no image is that large");
	end = *off + len;
	if (end <= size)
		return 0;
	if (!r->grows)
		return err_set(e, ENOSPC, "it ends at byte %llu; an image grows by 'truncate -s SIZE' "
			       "or the verb resize, or when it is written anew",
			       (unsigned long long)size);
	return grow(v, off, len, e);
}

int volume_extend(struct vol *v, uint64_t end, struct err *e)
{
	struct image *i = ((struct rbdv *)v->priv)->image;
	uint64_t size, real;
	int rc = 0;

	pthread_mutex_lock(&i->resize);
	sizes(i, &size, &real);
	if (end > size)
		rc = set_size(i, end, false, 1, e);
	pthread_mutex_unlock(&i->resize);
	return rc;
}

/* ---- truncate and resize -------------------------------------------------------------- */

int rbdv_truncate(struct vol *v, uint64_t size, struct err *e)
{
	struct rbdv *r = v->priv;
	struct image *i = r->image;
	uint64_t now, real;
	int rc = image_use(i, true, e);

	if (rc < 0)
		return rc;
	image_refresh(i);
	sizes(i, &now, &real);
	if (size == 0 && now != 0) {
		/* As on a block device; the first write means it. */
		r->empties = r->grows = true;
		image_unuse(i);
		return 0;
	}
	rc = r->empties ? image_alone(i, e) : 0;
	if (rc == 0 && r->empties)
		rc = volume_empty(v, e);
	if (rc == 0) {
		pthread_mutex_lock(&i->resize);
		/* What this handle made itself it may also make smaller, but not what was
		 * there before. */
		rc = set_size(i, size, v->shrink || (r->grows && size >= r->floor), 1, e);
		if (rc == 0 && !r->grows)
			r->floor = size < now ? size : now;
		pthread_mutex_unlock(&i->resize);
	}
	if (rc == 0)
		r->grows = true;
	image_unuse(i);
	return rc;
}

int rbdv_resize(struct pool *p, const char *name, uint64_t size, unsigned flags,
		struct err *e)
{
	struct rbdp *d = p->priv;
	struct image *i;
	char id[64];
	int rc = image_id_of(d->conn, name, id, e);

	if (rc < 0)
		return rc;
	if (size == 0 && !(flags & RESIZE_SHRINK))
		return 0;               /* as on a block device */
	i = image_get(d->conn, id, name, false);
	rc = image_use(i, true, e);
	if (rc == 0) {
		image_refresh(i);
		pthread_mutex_lock(&i->resize);
		rc = set_size(i, size, flags & RESIZE_SHRINK, 0, e);
		pthread_mutex_unlock(&i->resize);
		image_unuse(i);
	}
	image_put(i, false);
	return rc;
}
