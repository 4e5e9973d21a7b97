/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rbd_queue.c - what is under way on an open image: reads, writes and flushes.
 *
 * Called by rbd_io.c, between image_use and the end of each. A write is answered when
 * librbd has it, as a disk with a cache does; how much may wait to be stored is bounded,
 * and after a failure writes are answered when they are stored, until a flush succeeds.
 * librbd promises no order among what it has at the same time: whatever overlaps an
 * earlier write is held back until that has ended, and a flush until all have.
 *
 * librbd's own write-behind is not used: it sometimes calls a flush well after a write
 * that failed.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "rbd.h"

#include <stdlib.h>

struct pending {
	/* image->lock */
	struct pending *next;
	struct io *io;                  /* NULL: it has been answered */
	struct pending *ready;
	bool waits;                     /* for earlier ones; librbd does not have it */
	bool given_up;
	/* constant */
	uint64_t number;
	bool behind;                    /* a write that is answered early */
	struct image *image;
	enum io_op kind;
	uint64_t off;
	size_t len;
	char *data;
	void (*release)(void *owner);   /* of the data of a write answered early */
	void *owner;
	uint64_t writes;                /* image->writes when librbd got the flush */
};

static const char *const failed[] = {
	[IO_READ] = "cannot read it", [IO_WRITE] = "cannot write it", [IO_FLUSH] = "cannot flush it",
};

/* ---- order: with the image's lock held --------------------------------------- */

static bool must_wait(struct pending *op)
{
	for (struct pending *o = op->image->ops; o && o != op; o = o->next)
		if (o->kind == IO_WRITE && (op->kind == IO_FLUSH ||
		    (o->off < op->off + op->len && op->off < o->off + o->len)))
			return true;
	return false;
}

/* May it be answered before it is stored? Then it counts. */
static bool take_behind(struct image *i, const struct io *io, size_t len)
{
	if (io->op != IO_WRITE || !io->owner || i->through || i->behind_count == BEHIND_COUNT ||
	    i->behind + len > BEHIND_MAX)
		return false;
	if (atomic_fetch_add(&i->conn->behind, len) + len > BEHIND_ALL) {
		atomic_fetch_sub(&i->conn->behind, len);
		return false;
	}
	i->behind += len;
	i->behind_count++;
	return true;
}

static void add(struct image *i, struct pending *op)
{
	struct pending **last = &i->ops;

	while (*last)
		last = &(*last)->next;
	op->number = ++i->op_count;
	*last = op;
	op->waits = must_wait(op);
}

static void drop(struct image *i, struct pending *op)
{
	struct pending **p = &i->ops;

	while (*p != op)
		p = &(*p)->next;
	*p = op->next;
	if (op->kind == IO_WRITE)
		pthread_cond_broadcast(&i->written);
	if (op->behind) {
		i->behind -= op->len;
		i->behind_count--;
		atomic_fetch_sub(&i->conn->behind, op->len);
	}
}

/* Those that need not wait any more, as a list of its own. */
static struct pending *ready(struct image *i)
{
	struct pending *list = NULL, **last = &list;

	for (struct pending *o = i->ops; o; o = o->next)
		if (o->waits && !must_wait(o)) {
			o->waits = false;
			o->ready = NULL;
			*last = o;
			last = &o->ready;
		}
	return list;
}

bool image_writing(struct image *i)
{
	struct pending *o;

	pthread_mutex_lock(&i->lock);
	for (o = i->ops; o && o->kind != IO_WRITE; o = o->next)
		;
	pthread_mutex_unlock(&i->lock);
	return o;
}

void image_wait_writes(struct image *i)
{
	uint64_t until;
	struct pending *o;

	pthread_mutex_lock(&i->lock);
	until = i->op_count;
	do {
		for (o = i->ops; o && (o->kind != IO_WRITE || o->number > until); o = o->next)
			;
		if (o)
			pthread_cond_wait(&i->written, &i->lock);
	} while (o);
	pthread_mutex_unlock(&i->lock);
}

/* ---- the end of each ------------------------------------------------------------ */

static void hand_over(struct pending *op);

static void op_ended(struct pending *op, ssize_t rc)
{
	struct image *i = op->image;
	bool given_up;
	struct io *io;
	struct pending *next;

	if (op->kind == IO_WRITE) {
		/* Once more, and before anybody hears of it: a flush that began since it was
		 * counted may not have covered it. */
		atomic_fetch_add(&i->writes, 1);
		if (rc >= 0)
			rc = (ssize_t)op->len;
		else if (!(op->io && op->io->err.text[0]))
			image_error(i, (int)rc);
	} else if (op->kind == IO_FLUSH) {
		image_flushed(i, op->writes, (int)rc);
	} else if (rc >= 0 && i->conn->gone) {
		rc = -ESTALE;           /* these are no zeros that anybody wrote */
	}
	pthread_mutex_lock(&i->lock);
	drop(i, op);
	io = op->io;
	given_up = op->given_up;
	next = ready(i);
	pthread_mutex_unlock(&i->lock);
	while (next) {
		struct pending *o = next;

		next = o->ready;
		hand_over(o);
	}
	if (op->owner)
		op->release(op->owner);
	if (io && op->kind == IO_FLUSH)
		rc = given_up ? -(io->err.code = EINTR) : volume_errors(io->vol, &io->err);
	else if (io && rc < 0 && !io->err.text[0])
		rc = rbd_fail(i->conn, (int)rc, &io->err, "%s", failed[op->kind]);
	free(op);
	image_unuse(i);
	if (io)
		io_done(io, rc);
}

/* What librbd calls wrong may be behind the end, if somebody has made it smaller. To
 * ask for the size may have to wait, so that it has a thread. */
static void *behind_thread(void *arg)
{
	struct pending *op = arg;
	ssize_t rc = -EIO;
	uint64_t size;

	if (rbd_get_size(op->image->h, &size) == 0 && op->off >= size) {
		/* Of one answered already no sentence of its own can tell. */
		rc = op->kind == IO_READ ? 0 : op->io ? -ENOSPC : -EIO;
		if (rc < 0 && op->io)
			err_set(&op->io->err, ENOSPC, "it ends at byte %llu now: somebody has made "
				"it smaller", (unsigned long long)size);
	}
	op_ended(op, rc);
	return NULL;
}

/* On a thread of librbd's: waits for nothing. */
static void aio_ended(rbd_completion_t done, void *arg)
{
	ssize_t rc = rbd_aio_get_return_value(done);
	struct pending *op = arg;

	rbd_aio_release(done);
	if (rc != -EINVAL || op->kind == IO_FLUSH || !thread_start(behind_thread, op))
		op_ended(op, rc);
}

static void hand_over(struct pending *op)
{
	struct image *i = op->image;
	rbd_completion_t done;
	int rc = rbd_aio_create_completion(op, aio_ended, &done);

	if (rc == 0) {
		if (op->kind == IO_READ)
			rc = rbd_aio_read(i->h, op->off, op->len, op->data, done);
		else if (op->kind == IO_WRITE)
			rc = rbd_aio_write(i->h, op->off, op->len, op->data, done);
		else {
			op->writes = atomic_load(&i->writes);
			rc = rbd_aio_flush(i->h, done);
		}
		if (rc < 0)
			rbd_aio_release(done);
	}
	if (rc < 0)
		op_ended(op, rc);
}

void image_submit(struct image *i, struct io *io, size_t len)
{
	struct pending *op = xcalloc(1, sizeof *op);
	bool behind, waits;

	op->image = i;
	op->io = io;
	op->kind = io->op;
	op->off = io->off;
	op->len = len;
	op->data = io->data;
	pthread_mutex_lock(&i->lock);
	/* Locked: who finds it counted finds it in the list, and can wait for it. */
	if (op->kind == IO_WRITE)
		atomic_fetch_add(&i->writes, 1);
	behind = take_behind(i, io, len);
	if (behind) {
		op->behind = true;
		op->release = io->release;
		op->owner = io->owner;
		io->owner = NULL;
		op->io = NULL;
	}
	add(i, op);
	waits = op->waits;
	pthread_mutex_unlock(&i->lock);
	if (!waits)
		hand_over(op);          /* which may be its end */
	if (behind)
		io_done(io, (ssize_t)len);
}

void image_cancel(struct image *i, struct io *io)
{
	struct pending *o;
	bool ends;

	pthread_mutex_lock(&i->lock);
	for (o = i->ops; o && o->io != io; o = o->next)
		;
	ends = o && o->waits && o->kind != IO_WRITE;
	if (ends)
		drop(i, o);
	else if (o)
		o->given_up = true;     /* what it would tell is for the next to hear */
	pthread_mutex_unlock(&i->lock);
	if (!ends)
		return;
	free(o);
	image_unuse(i);
	io_done(io, -(io->err.code = EINTR));
}
