/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rbd_ahead.c - a listing's names, and the headers that are read ahead of who walks
 * through them: ls -l asks for one after the other.
 *
 * Called by rbd_list.c. While some are being asked for, a thread reads the next, so that
 * the cluster and the walker work at the same time. What was read ahead is used once,
 * and for a tenth of a second. A listing is counted: its thread may outlive the pool.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "rbd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	AHEAD_MIN = 32,
	AHEAD_MAX = 256,                /* headers read at once */
	LISTING_MS = 10000,             /* how long names are good for reading ahead */
};

struct place {
	char *name, *id;                /* constant */
	struct head head;               /* its name is NULL */
	uint64_t read;                  /* now_ms() when that began; 0: it was not, or is used */
	bool asked;                     /* somebody is just reading it */
};

struct listing {
	atomic_int refs;
	struct conn *conn;              /* counted */
	uint64_t taken;                 /* now_ms() */
	size_t count;                   /* constant once it is shared, as what is above */

	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct place *places;
	size_t next;                    /* the name that ls will ask for, or the one before,
	                                 * once more */
	size_t batch;                   /* how many were read at once last, */
	size_t end;                     /* and up to where */
	size_t hits;                    /* since then */
	bool reading, dropped;
};

struct listing *listing_new(struct conn *c, size_t max, uint64_t taken)
{
	struct listing *l = xcalloc(1, sizeof *l);

	atomic_init(&l->refs, 1);
	l->conn = conn_get(c);
	l->taken = taken;
	l->places = xcalloc(max + 1, sizeof *l->places);
	pthread_mutex_init(&l->lock, NULL);
	cond_init(&l->changed);
	return l;
}

void listing_add(struct listing *l, const char *name, const char *id)
{
	struct place *p = &l->places[l->count++];

	p->name = xstrdup(name);
	p->id = xstrdup(id);
}

struct listing *listing_get(struct listing *l)
{
	if (l)
		atomic_fetch_add(&l->refs, 1);
	return l;
}

void listing_put(struct listing *l)
{
	if (!l || atomic_fetch_sub(&l->refs, 1) != 1)
		return;
	for (size_t i = 0; i < l->count; i++) {
		free(l->places[i].name);
		free(l->places[i].id);
	}
	free(l->places);
	pthread_cond_destroy(&l->changed);
	pthread_mutex_destroy(&l->lock);
	conn_put(l->conn);
	free(l);
}

void listing_end(struct listing *l)
{
	if (!l)
		return;
	pthread_mutex_lock(&l->lock);
	l->dropped = true;
	pthread_mutex_unlock(&l->lock);
	listing_put(l);
}

/* Locked. Where name stands, if it is the next one or was just asked for; else count. */
static size_t place_of(struct listing *l, const char *name)
{
	size_t i;

	for (i = l->next ? l->next - 1 : 0; i < l->count && i <= l->next; i++)
		if (strcmp(l->places[i].name, name) == 0)
			return i;
	for (i = 0; i < l->count && i < 2; i++)         /* a walk begins */
		if (strcmp(l->places[i].name, name) == 0)
			return i;
	return l->count;
}

/* Locked, on return as well. Reads a batch that begins with first; it is told of by
 * 'asked' meanwhile. */
static void read_batch(struct listing *l, size_t first)
{
	struct head *heads;
	uint64_t begun = now_ms();
	size_t count;

	/* As far as it was of use the last time, and further. */
	count = l->hits * 2 < AHEAD_MIN ? AHEAD_MIN : l->hits * 2 < AHEAD_MAX ? l->hits * 2 : AHEAD_MAX;
	if (count > l->count - first)
		count = l->count - first;
	l->hits = 0;
	l->batch = count;
	l->end = first + count;
	heads = xcalloc(count, sizeof *heads);
	for (size_t i = 0; i < count; i++) {
		struct place *p = &l->places[first + i];

		p->asked = true;
		heads[i].name = p->name;
		heads[i].want_allocation = true;
		/* By id is quicker; but an image of that name may be another by now. */
		if (begun - l->taken < FRESH_MS)
			snprintf(heads[i].id, sizeof heads[i].id, "%s", p->id);
	}
	pthread_mutex_unlock(&l->lock);
	heads_read(l->conn, heads, count);
	pthread_mutex_lock(&l->lock);
	for (size_t i = 0; i < count; i++) {
		struct place *p = &l->places[first + i];

		heads[i].name = NULL;
		p->head = heads[i];
		p->read = begun;
		p->asked = false;
	}
	pthread_cond_broadcast(&l->changed);
	free(heads);
}

static void *ahead_thread(void *arg)
{
	struct listing *l = arg;

	pthread_mutex_lock(&l->lock);
	if (l->end < l->count && !l->dropped)
		read_batch(l, l->end);
	l->reading = false;
	pthread_mutex_unlock(&l->lock);
	listing_put(l);
	return NULL;
}

/* Locked. The walk has come near the end of what was read. */
static void read_on(struct listing *l, size_t i)
{
	if (l->reading || l->end >= l->count || i + l->batch / 2 < l->end || i >= l->end)
		return;
	l->reading = true;
	if (!thread_start(ahead_thread, listing_get(l))) {
		l->reading = false;
		listing_put(l);
	}
}

bool listing_head(struct listing *l, const char *name, struct head *h)
{
	bool found = false;
	size_t i;

	pthread_mutex_lock(&l->lock);
	i = place_of(l, name);
	if (i < l->count && !l->dropped && now_ms() - l->taken < LISTING_MS) {
		struct place *p = &l->places[i];

		l->next = i + 1;
		while (p->asked)
			pthread_cond_wait(&l->changed, &l->lock);
		if (p->read && p->read > atomic_load(&l->conn->resized) &&
		    now_ms() - p->read < FRESH_MS && !l->dropped) {
			l->hits++;
			read_on(l, i);
		} else {
			read_batch(l, i);
		}
		*h = p->head;
		p->read = 0;
		found = !l->dropped;
	}
	pthread_mutex_unlock(&l->lock);
	return found;
}
