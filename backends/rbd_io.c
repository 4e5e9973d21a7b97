/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rbd_io.c - open volumes: their bytes, by librbd's asynchronous calls.
 *
 * Called through the row in rbd.c. No thread waits for a request: librbd's own call
 * back ends it. A write is stored when it ends; of one that failed each handle hears.
 * Sizes are checked before every call, since librbd drops in silence what lies behind
 * the end.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "rbd.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- open and close ------------------------------------------------------------- */

int rbdv_attach(struct vol *v, const char *id, bool grows)
{
	struct rbdp *d = v->pool->priv;
	struct rbdv *r = xcalloc(1, sizeof *r);

	r->image = image_get(d->conn, id, v->name, true);
	r->grows = grows;
	pthread_mutex_lock(&r->image->lock);
	/* A failed write that nobody has heard of is the next one's to hear. */
	r->errors = r->image->errors - (r->image->errors && !r->image->error_seen);
	pthread_mutex_unlock(&r->image->lock);
	v->priv = r;
	return 0;
}

/* The image itself is opened when it is first used. */
int rbdv_open(struct pool *p, const char *name, int flags, struct vol *v, struct err *e)
{
	struct rbdp *d = p->priv;
	struct head h = { .name = (char *)name };
	struct image *i;

	heads_read(d->conn, &h, 1);
	if (h.rc == -ENOENT)
		return -(e->code = ENOENT);
	if (h.rc < 0)
		return rbd_fail(d->conn, h.rc, e, "cannot read its header");
	rbdv_attach(v, h.id, false);
	i = ((struct rbdv *)v->priv)->image;
	/* A handle without a watch hears of no new size. */
	pthread_mutex_lock(&d->conn->lock);
	if (i->state == IMAGE_OPEN && !i->watched && image_size(i) != h.size)
		i->reopen = true;
	pthread_mutex_unlock(&d->conn->lock);
	if (flags & O_TRUNC && (flags & O_ACCMODE) != O_RDONLY) {
		int rc = rbdv_truncate(v, 0, e);

		if (rc < 0) {
			struct err ignored = { 0 };

			rbdv_close(v, &ignored);
			return rc;
		}
	}
	return 0;
}

/* The failed writes that this handle has not been told of. */
static int errors_tell(struct rbdv *r, struct err *e)
{
	struct image *i = r->image;
	int rc = 0;

	pthread_mutex_lock(&i->lock);
	if (r->errors != i->errors) {
		r->errors = i->errors;
		i->error_seen = true;
		rc = i->error;
	}
	pthread_mutex_unlock(&i->lock);
	return rc < 0 ? rbd_fail(i->conn, rc, e, "data that was written before could not be "
				 "stored, and is lost") : 0;
}

static bool is_open(struct image *i)
{
	pthread_mutex_lock(&i->conn->lock);
	bool open = i->state == IMAGE_OPEN;
	pthread_mutex_unlock(&i->conn->lock);
	return open;
}

int rbdv_close(struct vol *v, struct err *e)
{
	struct rbdv *r = v->priv;
	struct image *i = r->image;
	int rc = 0;

	/* What a mapping wrote comes after the last flush, and nobody else would hear. */
	if (is_open(i) && (r->grows || image_unflushed(i)) && image_use(i, false, e) == 0) {
		rc = r->grows ? image_trim(i, e) : 0;
		image_flush(i);
		image_unuse(i);
	}
	if (rc == 0)
		rc = errors_tell(r, e);
	/* Deleted while it was open: now it can go. */
	if (atomic_load(&i->deleted))
		atomic_store(&v->pool->untidy, true);
	image_put(i, true);
	free(r);
	v->priv = NULL;
	return rc;
}

/* ---- read, write, flush ------------------------------------------------------------ */

static void flush_ended(struct image *i, uint64_t writes, int rc)
{
	if (rc < 0)
		image_error(i, rc);
	/* Also after a failure: librbd has dropped what it could not store. */
	if (atomic_load(&i->flushed) < writes)
		atomic_store(&i->flushed, writes);
}

bool image_unflushed(struct image *i)
{
	return atomic_load(&i->writes) != atomic_load(&i->flushed);
}

int image_flush(struct image *i)
{
	uint64_t writes = atomic_load(&i->writes);
	int rc = image_unflushed(i) ? rbd_flush(i->h) : 0;

	flush_ended(i, writes, rc);
	return rc;
}

/* Clips to the end; 0: nothing is left. */
size_t image_clip(struct image *i, uint64_t off, size_t len)
{
	uint64_t size;

	image_refresh(i);
	pthread_mutex_lock(&i->lock);
	size = i->size;
	pthread_mutex_unlock(&i->lock);
	if (off >= size)
		return 0;
	return len < size - off ? len : (size_t)(size - off);
}

static const char *const failed[] = {
	[IO_READ] = "cannot read it", [IO_WRITE] = "cannot write it", [IO_FLUSH] = "cannot flush it",
};

static void io_ended(struct image *i, struct io *io, ssize_t rc)
{
	struct rbdv *r = io->vol->priv;

	if (io->op == IO_WRITE) {
		/* Once more, and before anybody hears of it: a flush that began since it was
		 * counted may not have covered it. */
		atomic_fetch_add(&i->writes, 1);
		if (rc >= 0)
			rc = (ssize_t)io->len;
	}
	if (io->err.text[0]) {
		;                       /* nothing was lost that others must know of */
	} else if (io->op == IO_FLUSH) {
		flush_ended(i, (uintptr_t)io->driver, (int)rc);
		rc = errors_tell(r, &io->err);
	} else if (rc < 0) {
		if (io->op == IO_WRITE)
			image_error(i, (int)rc);
		rc = rbd_fail(i->conn, (int)rc, &io->err, "%s", failed[io->op]);
	}
	image_unuse(i);
	io_done(io, rc);
}

/* What librbd calls wrong may be behind the end, if somebody has made it smaller. To
 * ask for the size may have to wait, so that it has a thread. */
static void *behind_thread(void *arg)
{
	struct io *io = arg;
	struct image *i = ((struct rbdv *)io->vol->priv)->image;
	ssize_t rc = -EINVAL;
	uint64_t size;

	if (rbd_get_size(i->h, &size) == 0 && io->off >= size)
		rc = io->op == IO_READ ? 0 :
			err_set(&io->err, ENOSPC, "it ends at byte %llu now: somebody has made it "
				"smaller", (unsigned long long)size);
	io_ended(i, io, rc);
	return NULL;
}

/* On a thread of librbd's: waits for nothing. */
static void aio_ended(rbd_completion_t done, void *arg)
{
	struct io *io = arg;
	ssize_t rc = rbd_aio_get_return_value(done);

	rbd_aio_release(done);
	if (rc != -EINVAL || io->op == IO_FLUSH || !thread_start(behind_thread, io))
		io_ended(((struct rbdv *)io->vol->priv)->image, io, rc);
}

/* Hands it to librbd; 0, or it did not take it. */
static int hand_over(struct image *i, struct io *io, size_t len)
{
	rbd_completion_t done;
	int rc = rbd_aio_create_completion(io, aio_ended, &done);

	if (rc < 0)
		return rc;
	if (io->op == IO_READ)
		rc = rbd_aio_read(i->h, io->off, len, io->data, done);
	else if (io->op == IO_WRITE)
		rc = rbd_aio_write(i->h, io->off, len, io->data, done);
	else
		rc = rbd_aio_flush(i->h, done);
	if (rc < 0)
		rbd_aio_release(done);
	return rc;
}

void rbdv_submit(struct vol *v, struct io *io)
{
	struct rbdv *r = v->priv;
	struct image *i = r->image;
	size_t len = io->len;
	int rc;

	/* A reader's close asks for nothing to be stored. */
	if (io->op == IO_FLUSH && !(r->grows && is_open(i)) && !image_unflushed(i)) {
		io_done(io, errors_tell(r, &io->err));
		return;
	}
	rc = image_use(i, io->op == IO_WRITE, &io->err);
	if (rc < 0) {
		io_done(io, rc);
		return;
	}
	if (io->op == IO_WRITE) {
		rc = volume_room(v, &io->off, len, &io->err);
		if (rc == 0)
			atomic_fetch_add(&i->writes, 1);
	} else if (io->op == IO_FLUSH) {
		rc = r->grows ? image_trim(i, &io->err) : 0;
		io->driver = (void *)(uintptr_t)atomic_load(&i->writes);
	} else {
		len = image_clip(i, io->off, len);
	}
	if (rc == 0 && (len || io->op == IO_FLUSH)) {
		rc = hand_over(i, io, len);
		if (rc == 0)
			return;
		rc = rbd_fail(i->conn, rc, &io->err, "%s", failed[io->op]);
	}
	image_unuse(i);
	io_done(io, rc);
}

int image_write(struct image *i, const char *data, size_t len, uint64_t off, struct err *e)
{
	ssize_t n;

	atomic_fetch_add(&i->writes, 1);
	n = rbd_write(i->h, off, len, data);
	atomic_fetch_add(&i->writes, 1);        /* see io_ended */
	if (n == (ssize_t)len)
		return 0;
	image_error(i, n < 0 ? (int)n : -EIO);
	return rbd_fail(i->conn, (int)n, e, "%s", failed[IO_WRITE]);
}

/* ---- space ------------------------------------------------------------------------------ */

int image_zero(struct image *i, uint64_t off, uint64_t len, bool thick, struct progress *pr,
	       struct err *e)
{
	uint64_t piece = thick ? 64 << 20 : PIECE_MAX;
	int flags = thick ? RBD_WRITE_ZEROES_FLAG_THICK_PROVISION : 0;

	while (len) {
		uint64_t n = len < piece ? len : piece;
		rbd_completion_t done;
		int rc;

		if (pr && atomic_load(&pr->cancel))
			return err_set(e, ECANCELED, "cancelled");
		atomic_fetch_add(&i->writes, 1);
		/* Not rbd_discard: it keeps what does not fill a block. */
		rbd_aio_create_completion(NULL, NULL, &done);
		rc = rbd_aio_write_zeroes(i->h, off, n, done, flags, 0);
		if (rc == 0) {
			rbd_aio_wait_for_complete(done);
			rc = (int)rbd_aio_get_return_value(done);
		}
		rbd_aio_release(done);
		atomic_fetch_add(&i->writes, 1);        /* see io_ended */
		if (rc < 0) {
			image_error(i, rc);
			return rbd_fail(i->conn, rc, e, "cannot zero it");
		}
		off += n;
		len -= n;
		if (pr)
			atomic_fetch_add(&pr->done, n);
	}
	return 0;
}

int rbdv_allocate(struct vol *v, int mode, uint64_t off, uint64_t len, struct err *e)
{
	struct rbdv *r = v->priv;
	struct image *i = r->image;
	bool zero = mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE);
	int rc;

	if (len > INT64_MAX || off > INT64_MAX - len)
		return err_set(e, EFBIG, "no image is that large");
	if (mode == FALLOC_FL_KEEP_SIZE)
		return 0;               /* RADOS reserves nothing, and has no holes to fill */
	rc = image_use(i, true, e);
	if (rc < 0)
		return rc;
	rc = image_alone(i, e);
	if (rc == 0 && r->empties)
		rc = volume_empty(v, e);
	if (rc == 0 && !(mode & FALLOC_FL_KEEP_SIZE))
		rc = volume_extend(v, off + len, e);
	if (rc == 0 && zero)
		rc = image_zero(i, off, image_clip(i, off, len), false, NULL, e);
	image_unuse(i);
	return rc;
}
