/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rbd_io.c - open volumes: open, close, and their bytes.
 *
 * Called through the row in rbd.c. No thread waits for a read, a write or a flush:
 * rbd_queue.c ends them. Of a write that failed each handle hears at its next flush
 * or close. Sizes are checked before every call, since librbd drops in silence what
 * lies behind the end.
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
		return rbd_absent(d->conn, e);
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

/* heard: by a program, not by the log alone. */
static int tell_errors(struct vol *v, bool heard, struct err *e)
{
	struct rbdv *r = v->priv;
	struct image *i = r->image;
	int rc = 0;

	pthread_mutex_lock(&i->lock);
	if (r->errors != i->errors) {
		r->errors = i->errors;
		i->error_seen |= heard;
		rc = i->error;
	}
	pthread_mutex_unlock(&i->lock);
	return rc < 0 ? rbd_fail(i->conn, rc, e, "data that was written before could not be "
				 "stored, and is lost") : 0;
}

/* The failed writes that this handle has not been told of. */
int volume_errors(struct vol *v, struct err *e)
{
	return tell_errors(v, true, e);
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
		rc = tell_errors(v, false, e);  /* a release has no program that asks */
	/* Deleted while it was open: now it can go. */
	if (atomic_load(&i->deleted))
		atomic_store(&v->pool->untidy, true);
	image_put(i, true);
	free(r);
	v->priv = NULL;
	return rc;
}

/* ---- read, write, flush ------------------------------------------------------------ */

void image_flushed(struct image *i, uint64_t writes, int rc)
{
	if (rc < 0)
		image_error(i, rc);
	else
		atomic_store(&i->through, false);
	/* Also after a failure: librbd has dropped what it could not store. */
	if (atomic_load(&i->flushed) < writes)
		atomic_store(&i->flushed, writes);
}

/* A flush may have counted a write that began while it waited, and is under way still. */
bool image_unflushed(struct image *i)
{
	return image_writing(i) || atomic_load(&i->writes) != atomic_load(&i->flushed);
}

int image_flush(struct image *i)
{
	uint64_t writes;
	int rc;

	image_wait_writes(i);
	writes = atomic_load(&i->writes);
	rc = image_unflushed(i) ? rbd_flush(i->h) : 0;
	image_flushed(i, writes, rc);
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

void rbdv_submit(struct vol *v, struct io *io)
{
	struct rbdv *r = v->priv;
	struct image *i = r->image;
	size_t len = io->len;
	int rc;

	/* A reader's close asks for nothing to be stored. */
	if (io->op == IO_FLUSH && !(r->grows && is_open(i)) && !image_unflushed(i)) {
		io_done(io, volume_errors(v, &io->err));
		return;
	}
	/* What is under way at that moment may still read zeros; who reads on hears of it. */
	rc = io->op == IO_FLUSH ? 0 : image_lost(i, &io->err);
	if (rc == 0)
		rc = image_use(i, io->op == IO_WRITE, &io->err);
	if (rc < 0) {
		io_done(io, rc);
		return;
	}
	if (io->op == IO_WRITE)
		rc = volume_room(v, &io->off, len, &io->err);
	else if (io->op == IO_FLUSH)
		rc = r->grows ? image_trim(i, &io->err) : 0;
	else
		len = image_clip(i, io->off, len);
	if (rc == 0 && (len || io->op == IO_FLUSH)) {
		image_submit(i, io, len);
		return;
	}
	image_unuse(i);
	io_done(io, rc);
}

void rbdv_cancel(struct vol *v, struct io *io)
{
	image_cancel(((struct rbdv *)v->priv)->image, io);
}

/* Afterwards it is stored. */
int image_write(struct image *i, const char *data, size_t len, uint64_t off, struct err *e)
{
	ssize_t n;

	image_wait_writes(i);
	atomic_fetch_add(&i->writes, 1);
	n = rbd_write(i->h, off, len, data);
	atomic_fetch_add(&i->writes, 1);        /* as in rbd_queue.c */
	if (n == (ssize_t)len)
		return 0;
	image_error(i, n < 0 ? (int)n : -EIO);
	return rbd_fail(i->conn, (int)n, e, "cannot write it");
}

/* ---- space ------------------------------------------------------------------------------ */

int image_zero(struct image *i, uint64_t off, uint64_t len, bool thick, struct progress *pr,
	       struct err *e)
{
	uint64_t piece = thick ? 64 << 20 : PIECE_MAX;
	int flags = thick ? RBD_WRITE_ZEROES_FLAG_THICK_PROVISION : 0;

	image_wait_writes(i);
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
		atomic_fetch_add(&i->writes, 1);        /* as in rbd_queue.c */
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
