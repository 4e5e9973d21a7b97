/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rbd_image.c - the images in use: opened once in this process, kept a while, closed.
 *
 * Called by the other files of the driver. Two handles of one process would fight
 * for the image's lock, so all volumes of an image share one. Each connection has
 * one thread that closes, since a close waits for ever when its OSD is stopped; no
 * request ever does it. Holds no lock while librbd works.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "rbd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the table ------------------------------------------------------------------ */

static struct image *find_locked(struct conn *c, const char *id)
{
	for (struct image *i = c->images; i; i = i->next)
		if (strcmp(i->id, id) == 0)
			return i;
	return NULL;
}

struct image *image_find(struct conn *c, const char *id)
{
	struct image *i;

	pthread_mutex_lock(&c->lock);
	i = find_locked(c, id);
	if (i)
		i->refs++;
	pthread_mutex_unlock(&c->lock);
	return i;
}

struct image *image_get(struct conn *c, const char *id, const char *name, bool volume)
{
	struct image *i;

	pthread_mutex_lock(&c->lock);
	i = find_locked(c, id);
	if (!i) {
		i = xcalloc(1, sizeof *i);
		i->conn = c;
		snprintf(i->id, sizeof i->id, "%s", id);
		i->number = id_number(id);
		i->name = xstrdup(name);
		pthread_mutex_init(&i->lock, NULL);
		pthread_mutex_init(&i->resize, NULL);
		cond_init(&i->written);
		i->next = c->images;
		c->images = i;
	}
	i->refs++;
	i->volumes += volume;
	pthread_mutex_unlock(&c->lock);
	return i;
}

static void free_locked(struct conn *c, struct image *i)
{
	for (struct image **p = &c->images; *p; p = &(*p)->next)
		if (*p == i) {
			*p = i->next;
			break;
		}
	pthread_mutex_destroy(&i->lock);
	pthread_mutex_destroy(&i->resize);
	pthread_cond_destroy(&i->written);
	free(i->objects.bits);
	free(i->name);
	free(i);
}

void image_put(struct image *i, bool volume)
{
	struct conn *c = i->conn;

	pthread_mutex_lock(&c->lock);
	i->volumes -= volume;
	if (volume)
		pthread_cond_broadcast(&c->changed);
	i->used = now_ms();
	if (--i->refs == 0 && i->state == IMAGE_CLOSED)
		free_locked(c, i);
	pthread_mutex_unlock(&c->lock);
}

/* ---- opening ----------------------------------------------------------------------- */

static void header_changed(void *arg)
{
	atomic_store(&((struct image *)arg)->changed, true);
}

/* Without a lock; state is IMAGE_OPENING. */
static int open_handle(struct image *i, struct err *e)
{
	struct conn *c = i->conn;
	rbd_image_info_t info;
	uint64_t features = 0;
	int rc = image_needs(c, i->id, i, e);

	if (rc < 0)
		return rc;
	i->readonly = i->watched = false;
	rc = rbd_open_by_id(c->io, i->id, &i->h, NULL);
	if (rc == -EPERM || rc == -EROFS || rc == -EACCES) {
		i->readonly = true;
		rc = rbd_open_by_id_read_only(c->io, i->id, &i->h, NULL);
	}
	if (rc == -ENOENT && !conn_gone(c))
		return err_set(e, ESTALE, "the image has been removed");
	if (rc < 0)
		return rbd_fail(c, rc, e, "cannot open the image");
	atomic_store(&i->changed, false);
	atomic_store(&i->alone, 0);
	if (!i->readonly)
		i->watched = rbd_update_watch(i->h, &i->watch, header_changed, i) == 0;
	rc = rbd_stat(i->h, &info, sizeof info);
	if (rc == 0)
		rc = rbd_get_features(i->h, &features);
	if (rc < 0) {
		if (i->watched)
			rbd_update_unwatch(i->h, i->watch);
		rbd_close(i->h);
		return rbd_fail(c, rc, e, "cannot open the image");
	}
	i->order = (unsigned)info.order;
	i->has_lock_feature = features & RBD_FEATURE_EXCLUSIVE_LOCK;
	pthread_mutex_lock(&i->lock);
	i->size = i->real = info.size;
	i->sized = true;
	pthread_mutex_unlock(&i->lock);
	return 0;
}

/* Without a lock; state is IMAGE_CLOSING. */
static void close_handle(struct image *i)
{
	struct err ignored = { 0 };

	if (!i->readonly) {
		image_trim(i, &ignored);
		image_flush(i);
	}
	if (i->watched)
		rbd_update_unwatch(i->h, i->watch);
	rbd_close(i->h);
}

static void opened_locked(struct conn *c, struct image *i, bool yes)
{
	i->state = yes ? IMAGE_OPEN : IMAGE_CLOSED;
	i->reopen = false;
	c->open -= !yes;
	pthread_cond_broadcast(&c->changed);
}

static void closed_locked(struct conn *c, struct image *i)
{
	pthread_mutex_lock(&i->lock);
	i->sized = false;
	pthread_mutex_unlock(&i->lock);
	i->state = IMAGE_CLOSED;
	c->open--;
	pthread_cond_broadcast(&c->changed);
}

int image_use(struct image *i, bool write, struct err *e)
{
	uint64_t until = now_ms() + OPEN_WAIT_MS;
	struct conn *c = i->conn;
	int rc = 0;

	pthread_mutex_lock(&c->lock);
	while (rc == 0 && (i->state != IMAGE_OPEN || (i->reopen && !i->uses))) {
		if (c->ending) {
			rc = err_set(e, ESHUTDOWN, "the pool is being stopped");
		} else if (i->state == IMAGE_CLOSED) {
			i->state = IMAGE_OPENING;
			c->open++;              /* now: the closer shall not end before */
			pthread_mutex_unlock(&c->lock);
			rc = open_handle(i, e);
			pthread_mutex_lock(&c->lock);
			opened_locked(c, i, rc == 0);
		} else if (i->state == IMAGE_OPEN && i->readonly) {
			i->state = IMAGE_CLOSING;       /* does not wait: it has no lock */
			pthread_mutex_unlock(&c->lock);
			close_handle(i);
			pthread_mutex_lock(&c->lock);
			closed_locked(c, i);
		} else if (i->state == IMAGE_OPEN) {
			i->reopen = false;
		} else if (!cond_wait_until(&c->changed, &c->lock, until)) {
			rc = err_set(e, ETIMEDOUT, "the image is being %s, and the Ceph cluster does "
				     "not answer", i->state == IMAGE_OPENING ? "opened" : "closed");
		}
	}
	if (rc == 0 && write && i->readonly)
		rc = err_set(e, EROFS, "user '%.100s' may only read RADOS pool '%.100s'", c->user,
			     c->pool);
	if (rc == 0) {
		i->uses++;
		i->used = now_ms();
		/* Too many: the closer looks for one that is not in use. */
		if (c->open > c->open_max)
			pthread_cond_broadcast(&c->changed);
	}
	pthread_mutex_unlock(&c->lock);
	return rc;
}

void image_unuse(struct image *i)
{
	struct conn *c = i->conn;

	pthread_mutex_lock(&c->lock);
	i->used = now_ms();
	if (--i->uses == 0 && (c->ending || c->open > c->open_max || i->reopen))
		pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
}

/* ---- closing: one thread a connection ------------------------------------------------- */

/* Locked. Whose turn it is; *until: when to look again. */
static struct image *close_next(struct conn *c, uint64_t *until)
{
	struct image *oldest = NULL;
	uint64_t now = now_ms();

	*until = now + 60000;
	for (struct image *i = c->images; i; i = i->next) {
		if (i->state != IMAGE_OPEN || i->uses)
			continue;
		if (c->ending || (!i->volumes && i->used + IDLE_MS <= now))
			return i;
		if (!i->volumes && i->used + IDLE_MS < *until)
			*until = i->used + IDLE_MS;
		if (!oldest || i->used < oldest->used)
			oldest = i;
	}
	if (*until > now + 1000)
		*until = now + 1000;
	return c->open > c->open_max ? oldest : NULL;
}

static void *closer_thread(void *arg)
{
	struct conn *c = arg;

	pthread_mutex_lock(&c->lock);
	while (!c->ending || c->open) {
		uint64_t until;
		struct image *i = close_next(c, &until);

		if (!i) {
			cond_wait_until(&c->changed, &c->lock, until);
			continue;
		}
		i->state = IMAGE_CLOSING;
		i->refs++;
		pthread_mutex_unlock(&c->lock);
		close_handle(i);
		pthread_mutex_lock(&c->lock);
		closed_locked(c, i);
		if (--i->refs == 0)
			free_locked(c, i);
	}
	c->closer = false;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	conn_put(c);
	return NULL;
}

void images_begin(struct conn *c)
{
	c->closer = true;
	if (!thread_start(closer_thread, conn_get(c))) {
		c->closer = false;
		conn_put(c);
	}
}

void images_close(struct conn *c, unsigned ms)
{
	uint64_t until = now_ms() + ms;

	pthread_mutex_lock(&c->lock);
	c->ending = true;
	pthread_cond_broadcast(&c->changed);
	while (ms && c->closer && c->open && cond_wait_until(&c->changed, &c->lock, until))
		;
	pthread_mutex_unlock(&c->lock);
}

int image_settle(struct image *i, unsigned ms, struct err *e)
{
	struct conn *c = i->conn;
	uint64_t until = now_ms() + ms;
	bool done;

	pthread_mutex_lock(&c->lock);
	while (i->state != IMAGE_CLOSED && !i->volumes) {
		i->used = 0;            /* it has been idle for long */
		pthread_cond_broadcast(&c->changed);
		if (!cond_wait_until(&c->changed, &c->lock, until))
			break;
	}
	done = i->state == IMAGE_CLOSED;
	pthread_mutex_unlock(&c->lock);
	return done ? 0 : err_set(e, EBUSY, "the image is open");
}

/* ---- others -------------------------------------------------------------------------------- */

void image_refresh(struct image *i)
{
	struct err ignored = { 0 };
	uint64_t size;

	if (!atomic_load(&i->changed) || pthread_mutex_trylock(&i->resize))
		return;                 /* whoever changes the size knows it */
	if (image_use(i, false, &ignored) == 0) {
		atomic_store(&i->changed, false);
		if (rbd_get_size(i->h, &size) == 0) {
			pthread_mutex_lock(&i->lock);
			if (size != i->real)
				i->size = i->real = size;
			pthread_mutex_unlock(&i->lock);
		}
		image_unuse(i);
	}
	pthread_mutex_unlock(&i->resize);
}

static int watchers_read(struct image *i, rbd_image_watcher_t **list, size_t *count)
{
	size_t max = 16;
	int rc;

	do {
		*list = xcalloc(max, sizeof **list);
		*count = max;
		rc = rbd_watchers_list(i->h, *list, count);
		if (rc < 0)
			free(*list);
		max = *count + 16;
	} while (rc == -ERANGE);
	return rc;
}

int image_watchers(struct image *i, struct buf *text, struct err *e)
{
	rbd_image_watcher_t *list;
	size_t count;
	int others = 0, rc = watchers_read(i, &list, &count);

	if (rc < 0)
		return rbd_fail(i->conn, rc, e, "cannot see who has the image open");
	for (size_t n = 0; n < count; n++) {
		if ((uint64_t)list[n].id == i->conn->instance)
			continue;
		if (text && others < 4)
			buf_addf(text, "%s%s", others ? ", " : "", list[n].addr);
		others++;
	}
	rbd_watchers_list_cleanup(list, count);
	free(list);
	return others;
}

static bool is_watching(struct image *i, const char *address)
{
	rbd_image_watcher_t *list;
	bool found = false;
	size_t count;

	if (watchers_read(i, &list, &count) < 0)
		return true;            /* better not to touch it */
	for (size_t n = 0; n < count; n++)
		found |= strcmp(list[n].addr, address) == 0;
	rbd_watchers_list_cleanup(list, count);
	free(list);
	return found;
}

static bool is_own_dead(struct conn *c, const char *address)
{
	for (char **d = c->dead; d && *d; d++)
		if (strcmp(*d, address) == 0)
			return true;
	return false;
}

/* A lock is taken over by librbd itself when its owner watches no more; from a
 * poolfs that died here half a minute earlier. Never from one that lives. */
static int lock_judge(struct image *i, struct err *e)
{
	char *owners[8] = { NULL };
	size_t count = 8;
	rbd_lock_mode_t mode;
	int rc = rbd_lock_get_owners(i->h, &mode, owners, &count);

	if (rc == -ENOENT)
		return 0;
	if (rc < 0)
		return rbd_fail(i->conn, rc, e, "cannot see who has the image's lock");
	for (size_t n = 0; n < count && rc == 0; n++) {
		if (i->conn->address && strcmp(owners[n], i->conn->address) == 0)
			continue;
		if (is_own_dead(i->conn, owners[n]))
			rbd_lock_break(i->h, mode, owners[n]);
		else if (is_watching(i, owners[n]))
			rc = err_set(e, EBUSY, "the image is in use by the Ceph client at %.100s, which "
				     "has its lock", owners[n]);
	}
	rbd_lock_get_owners_cleanup(owners, count);
	return rc;
}

static int judge(struct image *i, struct err *e)
{
	_cleanup_buf_ struct buf who = { 0 };
	uint64_t features;
	int rc;

	if (i->has_lock_feature) {
		rc = lock_judge(i, e);
		if (rc != -EINVAL)
			return rc;
		/* librbd has no lock of it any more. */
		if (rbd_get_features(i->h, &features) < 0 || features & RBD_FEATURE_EXCLUSIVE_LOCK)
			return rbd_fail(i->conn, -EROFS, e, "it is not to be written");
		i->has_lock_feature = false;
	}
	rc = image_watchers(i, &who, e);
	return rc <= 0 ? rc : err_set(e, EBUSY, "the image has no exclusive lock and is open "
				      "elsewhere: by the Ceph client at %.200s", who.data);
}

int image_alone(struct image *i, struct err *e)
{
	uint64_t now = now_ms(), seen = atomic_load(&i->alone), until = now + PASSING_MS;
	int rc;

	if (seen && now - seen < OWNER_MS)
		return 0;
	rc = judge(i, e);
	/* We were writing: it may be a tool that changes the header and goes again. */
	while (rc == -EBUSY && seen && now_ms() < until) {
		usleep(100000);
		now = now_ms();
		rc = judge(i, e);
	}
	atomic_store(&i->alone, rc < 0 ? 0 : now);
	if (rc == 0)
		e->text[0] = '\0';
	return rc;
}

void image_error(struct image *i, int rc)
{
	pthread_mutex_lock(&i->lock);
	i->error = rc;
	i->errors++;
	i->error_seen = false;
	atomic_store(&i->through, true);
	pthread_mutex_unlock(&i->lock);
}
