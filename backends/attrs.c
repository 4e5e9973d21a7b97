/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * attrs.c - mode, owner and times of volumes whose storage has no room for them.
 *
 * Called by drivers through attrs.h. A hash table in memory with a bound; nothing
 * of it survives the pool's stop. Never asks the storage.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "attrs.h"

#include <fcntl.h>
#include <stdlib.h>
#include <time.h>

struct attrs_row {
	uint64_t id;
	struct vol_attr v;
	struct timespec changed;                /* ctime */
	struct attrs_row *next;                 /* of the same slot */
	struct attrs_row *older, *newer;
};

static struct attrs_row **row_at(struct attrs *a, uint64_t id)
{
	struct attrs_row **r = &a->rows[id % a->size];

	while (*r && (*r)->id != id)
		r = &(*r)->next;
	return r;
}

static void row_unlink(struct attrs *a, struct attrs_row *r)
{
	*(r->older ? &r->older->newer : &a->oldest) = r->newer;
	*(r->newer ? &r->newer->older : &a->newest) = r->older;
}

static void row_link(struct attrs *a, struct attrs_row *r)
{
	r->newer = NULL;
	r->older = a->newest;
	*(a->newest ? &a->newest->newer : &a->oldest) = r;
	a->newest = r;
}

static void row_drop(struct attrs *a, struct attrs_row **at)
{
	struct attrs_row *r = *at;

	*at = r->next;
	row_unlink(a, r);
	a->count--;
	free(r);
}

static void table_grow(struct attrs *a)
{
	size_t size = a->size ? a->size * 2 : 64;

	if (a->size && a->count < a->size)
		return;
	free(a->rows);
	a->rows = xcalloc(size, sizeof(struct attrs_row *));
	a->size = size;
	for (struct attrs_row *r = a->oldest; r; r = r->newer) {
		r->next = a->rows[r->id % size];
		a->rows[r->id % size] = r;
	}
}

static bool later(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

/* False: it stays as it was. */
static bool time_take(struct timespec *to, const struct timespec *from, const struct timespec *now)
{
	if (from->tv_nsec == UTIME_OMIT)
		return false;
	*to = from->tv_nsec == UTIME_NOW ? *now : *from;
	return true;
}

void attrs_set(struct attrs *a, uint64_t id, const struct vol_attr *v)
{
	struct attrs_row **at, *r;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	pthread_mutex_lock(&a->lock);
	if (a->count == ATTRS_MAX && !*row_at(a, id))
		row_drop(a, row_at(a, a->oldest->id));
	table_grow(a);
	at = row_at(a, id);
	r = *at;
	if (!r) {
		r = *at = xcalloc(1, sizeof *r);
		r->id = id;
		a->count++;
	} else {
		row_unlink(a, r);
	}
	row_link(a, r);
	r->changed = now;
	if (v->valid & ATTR_MODE)
		r->v.mode = v->mode & 0777;
	if (v->valid & ATTR_UID)
		r->v.uid = v->uid;
	if (v->valid & ATTR_GID)
		r->v.gid = v->gid;
	r->v.valid |= v->valid & (ATTR_MODE | ATTR_UID | ATTR_GID);
	if (v->valid & ATTR_ATIME && time_take(&r->v.atime, &v->atime, &now))
		r->v.valid |= ATTR_ATIME;
	if (v->valid & ATTR_MTIME && time_take(&r->v.mtime, &v->mtime, &now))
		r->v.valid |= ATTR_MTIME;
	pthread_mutex_unlock(&a->lock);
}

void attrs_forget(struct attrs *a, uint64_t id)
{
	struct attrs_row **at;

	pthread_mutex_lock(&a->lock);
	at = a->size ? row_at(a, id) : NULL;
	if (at && *at)
		row_drop(a, at);
	pthread_mutex_unlock(&a->lock);
}

void attrs_apply(struct attrs *a, uint64_t id, struct stat *st)
{
	struct attrs_row *r = NULL;

	st->st_mode = S_IFREG | 0600;
	st->st_uid = 0;
	st->st_gid = 0;
	pthread_mutex_lock(&a->lock);
	if (a->size)
		r = *row_at(a, id);
	if (r) {
		if (r->v.valid & ATTR_MODE)
			st->st_mode = S_IFREG | r->v.mode;
		if (r->v.valid & ATTR_UID)
			st->st_uid = r->v.uid;
		if (r->v.valid & ATTR_GID)
			st->st_gid = r->v.gid;
		if (r->v.valid & ATTR_ATIME)
			st->st_atim = r->v.atime;
		/* Written since: the storage knows better. */
		if (r->v.valid & ATTR_MTIME && !later(&st->st_mtim, &r->changed))
			st->st_mtim = r->v.mtime;
		if (later(&r->changed, &st->st_ctim))
			st->st_ctim = r->changed;
	}
	pthread_mutex_unlock(&a->lock);
}

void attrs_release(struct attrs *a)
{
	while (a->oldest) {
		struct attrs_row *r = a->oldest;

		a->oldest = r->newer;
		free(r);
	}
	free(a->rows);
	a->rows = NULL;
	a->newest = NULL;
	a->count = a->size = 0;
}
