/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * image_cache.c - a hash table of probed images, with a list by last use.
 *
 * Called by whoever describes volumes, from any thread. Never reads a file
 * while it holds its lock, and never keeps what may have changed unseen.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "image_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum { BUCKETS = 1024 };

struct stamp {
	dev_t dev;
	ino_t ino;
	uint64_t size;
	struct timespec mtime, ctime;
};

struct entry {
	struct stamp stamp;
	struct image_info info;
	struct entry *next;             /* in its bucket */
	struct entry *newer, *older;    /* by use */
};

struct image_cache {
	pthread_mutex_t lock;           /* of all below */
	unsigned max, entries;
	uint64_t hits, misses;
	struct entry *newest, *oldest;
	struct entry *buckets[BUCKETS];
};

struct image_cache *image_cache_new(unsigned max)
{
	struct image_cache *c = xcalloc(1, sizeof *c);

	pthread_mutex_init(&c->lock, NULL);
	c->max = max ? max : IMAGE_CACHE_MAX;
	return c;
}

static struct stamp stamp_of(const struct stat *st)
{
	return (struct stamp){st->st_dev, st->st_ino, st->st_size, st->st_mtim, st->st_ctim};
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool same_file(const struct stamp *a, const struct stamp *b)
{
	return a->dev == b->dev && a->ino == b->ino;
}

static bool same_state(const struct stamp *a, const struct stamp *b)
{
	return same_file(a, b) && a->size == b->size && same_time(a->mtime, b->mtime) &&
	       same_time(a->ctime, b->ctime);
}

/* So long ago that a further change would show. A time in the future (another
 * machine's clock) is no such time. */
static bool settled(struct timespec t)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	now.tv_sec -= IMAGE_CACHE_SETTLED;
	return t.tv_sec < now.tv_sec || (t.tv_sec == now.tv_sec && t.tv_nsec < now.tv_nsec);
}

static struct entry **bucket_of(struct image_cache *c, const struct stamp *s)
{
	uint64_t h = ((uint64_t)s->ino ^ (uint64_t)s->dev << 32) * UINT64_C(0x9e3779b97f4a7c15);

	return &c->buckets[h >> 54];
}

static void use_unlink(struct image_cache *c, struct entry *n)
{
	*(n->newer ? &n->newer->older : &c->newest) = n->older;
	*(n->older ? &n->older->newer : &c->oldest) = n->newer;
}

static void use_link(struct image_cache *c, struct entry *n)
{
	n->newer = NULL;
	n->older = c->newest;
	*(c->newest ? &c->newest->newer : &c->oldest) = n;
	c->newest = n;
}

/* link: what points to the entry in its bucket. */
static void entry_drop(struct image_cache *c, struct entry **link)
{
	struct entry *n = *link;

	*link = n->next;
	use_unlink(c, n);
	image_info_release(&n->info);
	free(n);
	c->entries--;
}

static struct entry **entry_link(struct image_cache *c, const struct stamp *s)
{
	struct entry **link = bucket_of(c, s);

	while (*link && !same_file(&(*link)->stamp, s))
		link = &(*link)->next;
	return link;
}

bool image_cache_find(struct image_cache *c, const struct stat *st, struct image_info *info)
{
	struct stamp s = stamp_of(st);
	struct entry **link, *n;
	bool found = false;

	pthread_mutex_lock(&c->lock);
	link = entry_link(c, &s);
	n = *link;
	if (n && same_state(&n->stamp, &s)) {
		use_unlink(c, n);
		use_link(c, n);
		image_info_copy(info, &n->info);
		found = true;
		c->hits++;
	} else {
		if (n)
			entry_drop(c, link);
		c->misses++;
	}
	pthread_mutex_unlock(&c->lock);
	return found;
}

static void image_cache_put(struct image_cache *c, const struct stamp *s,
			    const struct image_info *info)
{
	struct entry **link, *n;

	pthread_mutex_lock(&c->lock);
	link = entry_link(c, s);
	if (*link)                      /* another thread was first */
		entry_drop(c, link);
	n = xcalloc(1, sizeof *n);
	n->stamp = *s;
	image_info_copy(&n->info, info);
	link = bucket_of(c, s);
	n->next = *link;
	*link = n;
	use_link(c, n);
	c->entries++;
	while (c->entries > c->max)
		entry_drop(c, entry_link(c, &c->oldest->stamp));
	pthread_mutex_unlock(&c->lock);
}

int image_cache_probe(struct image_cache *c, int fd, struct image_info *info, struct err *e)
{
	struct stat before, after;
	struct stamp s, then;
	bool keep;
	int rc;

	if (fstat(fd, &before) < 0)
		return err_sys(e, "cannot stat the image");
	if (!S_ISREG(before.st_mode))
		return image_probe(fd, info, e);
	if (image_cache_find(c, &before, info))
		return 0;
	s = stamp_of(&before);
	/* Judged before reading: a change while that lasts must show. */
	keep = settled(s.mtime) && settled(s.ctime);
	rc = image_probe(fd, info, e);
	if (rc || !keep || fstat(fd, &after) < 0)
		return rc;
	then = stamp_of(&after);
	if (same_state(&s, &then))
		image_cache_put(c, &s, info);
	return 0;
}

struct image_cache_count image_cache_count(struct image_cache *c)
{
	struct image_cache_count n;

	pthread_mutex_lock(&c->lock);
	n = (struct image_cache_count){c->hits, c->misses, c->entries};
	pthread_mutex_unlock(&c->lock);
	return n;
}

void image_cache_free(struct image_cache *c)
{
	if (!c)
		return;
	while (c->newest)
		entry_drop(c, entry_link(c, &c->newest->stamp));
	pthread_mutex_destroy(&c->lock);
	free(c);
}
