/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * data.c - the bytes of open files: read, write, fsync, fallocate, lseek, copy.
 *
 * A driver that blocks is called on the request's own thread, with that
 * thread's buffer. An asynchronous one gets the request with a buffer of its
 * own, and no thread waits. Files of control/ are ctl.c's.
 */
#include "fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct handle *vol_handle(const struct fuse_file_info *fi)
{
	return handle_get((struct handle *)(uintptr_t)fi->fh);
}

/* One buffer a thread, freed with it. */
static pthread_key_t buffer_key;
static pthread_once_t buffer_once = PTHREAD_ONCE_INIT;

static void buffer_init(void)
{
	if (pthread_key_create(&buffer_key, free))
		abort();
}

struct buffer {
	size_t size;
	char data[];
};

static char *thread_buffer(size_t size)
{
	struct buffer *b;

	pthread_once(&buffer_once, buffer_init);
	b = pthread_getspecific(buffer_key);
	if (!b || b->size < size) {
		free(b);
		b = xmalloc(sizeof *b + size);
		b->size = size;
		pthread_setspecific(buffer_key, b);
	}
	return b->data;
}

static struct req *data_req(fuse_req_t fr, fuse_ino_t ino, const struct fuse_file_info *fi,
			    const char *op)
{
	struct req *r = req_new(fr, ino, op);

	if (!r)
		return NULL;
	r->fi = *fi;
	if (r->node->kind == N_VOL) {
		r->h = vol_handle(fi);
	} else {
		/* Only the write that makes a volume asks a driver: op_write. */
		r->run = NULL;
		r->queue = control_queue;
		ctl_hold(r, fi->fh);
	}
	return r;
}

/* ---- read and write ------------------------------------------------------------- */

static void io_ended(struct io *io, ssize_t result)
{
	struct req *r = (struct req *)((char *)io - offsetof(struct req, io));

	if (r->data_owned && !io->owner) {      /* the driver has taken it along */
		r->kept = r->data = NULL;
		r->data_owned = false;
	}
	r->moved = result > 0 ? result : 0;
	if (result < 0) {
		r->err = io->err;
		req_fail(r, result);
	} else if (req_claim(r)) {
		if (io->op == IO_READ)
			fuse_reply_buf(r->fr, io->data, result);
		else if (io->op == IO_WRITE)
			fuse_reply_write(r->fr, result);
		else
			fuse_reply_err(r->fr, 0);
	}
	req_end(r);
}

static void submit(struct req *r, enum io_op op)
{
	r->io = (struct io){
		.op = op,
		.data = r->data,
		.len = r->size,
		.off = r->off,
		.done = io_ended,
		.owner = r->kept ? r->kept : r->data_owned ? r->data : NULL,
		.release = r->kept ? loop_return_buffer : free,
	};
	req_async(r);
	req_set_io(r, r->h->vol);
	vol_submit(r->h->vol, &r->io);
}

static void do_read(struct req *r)
{
	ssize_t n;
	char *data;

	if (req_refuse_late(r, r->node))
		return;
	if (vol_is_async(r->h->vol)) {
		req_own_data(r);
		submit(r, IO_READ);
		return;
	}
	data = thread_buffer(r->size);
	n = vol_read(r->h->vol, data, r->size, r->off, &r->err);
	r->moved = n > 0 ? n : 0;
	loop_answering();
	if (n < 0)
		req_fail(r, n);
	else if (req_claim(r))
		fuse_reply_buf(r->fr, data, n);
}

void op_read(fuse_req_t fr, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct req *r = data_req(fr, ino, fi, "read");

	if (!r)
		return;
	r->size = size;
	r->off = off;
	r->reads = r->h && !(fi->flags & O_DIRECT);
	req_run(r, r->h ? do_read : ctl_read, opt.timeout_ms);
}

/* fcntl(F_SETFL) changes O_APPEND of an open file; the kernel tells with each
 * write. */
static void follow_append(struct req *r)
{
	struct vol *v = r->h->vol;
	int fd = vol_fd(v), flags;

	if (!((v->flags ^ r->fi.flags) & O_APPEND))
		return;
	flags = fd < 0 ? 0 : fcntl(fd, F_GETFL);
	if (flags < 0 || (fd >= 0 && fcntl(fd, F_SETFL, (flags & ~O_APPEND) |
						    (r->fi.flags & O_APPEND))))
		return;
	v->flags = (v->flags & ~O_APPEND) | (r->fi.flags & O_APPEND);
}

static void do_write(struct req *r)
{
	ssize_t n;

	if (req_refuse_late(r, r->node))
		return;
	follow_append(r);
	r->h->changed = true;
	if (vol_is_async(r->h->vol)) {
		req_own_data(r);
		submit(r, IO_WRITE);
		return;
	}
	n = vol_write(r->h->vol, r->data, r->size, r->off, &r->err);
	r->moved = n > 0 ? n : 0;
	loop_answering();
	if (n < 0)
		req_fail(r, n);
	else if (req_claim(r))
		fuse_reply_write(r->fr, n);
}

void op_write(fuse_req_t fr, fuse_ino_t ino, const char *data, size_t size, off_t off,
	      struct fuse_file_info *fi)
{
	struct req *r = data_req(fr, ino, fi, "write");

	if (!r)
		return;
	r->data = (char *)data;
	r->size = size;
	r->off = off;
	r->writes = true;
	if (r->node->kind == N_SECRET) {        /* of which no copy stays: request.c */
		req_own_data(r);
		explicit_bzero((char *)data, size);
	}
	/* A verb lasts as long as it lasts, and takes its own pool's places. */
	if (!r->h && r->node->parent && r->node->parent->queue)
		r->queue = r->node->parent->queue;
	if (r->node->kind == N_VOLTEXT)
		r->run = r->node->run;
	req_run(r, r->h ? do_write : ctl_write, r->h ? opt.timeout_ms : 0);
}

/* ---- flush and fsync ---------------------------------------------------------------- */

static void do_fsync(struct req *r)
{
	int rc;

	if (vol_is_async(r->h->vol)) {
		submit(r, IO_FLUSH);
		return;
	}
	rc = vol_flush(r->h->vol, r->flags, &r->err);
	if (rc < 0)
		req_fail(r, rc);
	else
		req_ok(r);
}

void op_fsync(fuse_req_t fr, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct req *r = data_req(fr, ino, fi, "fsync");

	if (!r)
		return;
	r->flags = datasync;
	req_run(r, r->h ? do_fsync : ctl_fsync, opt.timeout_ms);
}

void op_flush(fuse_req_t fr, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct req *r = data_req(fr, ino, fi, "close");

	if (!r)
		return;
	if (r->h)
		locks_drop_owner(r->node, fi->lock_owner);
	if (r->h && r->h->vol->pool->ops->plain_files) {
		r->run = NULL;          /* nothing to ask a plain file for */
		r->queue = control_queue;
		req_run(r, req_ok, opt.timeout_ms);
		return;
	}
	req_run(r, r->h ? do_fsync : ctl_flush, opt.timeout_ms);
}

/* ---- space ---------------------------------------------------------------------------- */

enum { ALLOCATE_STEP = 1 << 30 };

/* In steps, so that it can be given up; what was allocated by then stays. */
static int preallocate(struct req *r)
{
	_cleanup_free_ char *name = node_name(r->node);
	struct job j = {
		.progress = &r->progress,
		.pool = run_name(r->run),
		.verb = "preallocate",
		.subject = name,
	};
	uint64_t done = 0;
	int rc = 0;

	atomic_store(&r->progress.total, r->off2);
	job_begin(&j);
	while (done < r->off2 && rc == 0) {
		uint64_t left = r->off2 - done;
		bool last = left <= ALLOCATE_STEP;

		/* The size changes when there is room for all of it. */
		rc = vol_allocate(r->h->vol, last ? r->flags : FALLOC_FL_KEEP_SIZE,
				  r->off + done, last ? left : ALLOCATE_STEP, &r->err);
		done += last ? left : ALLOCATE_STEP;
		atomic_store(&r->progress.done, done);
		req_extend(r, opt.timeout_ms);
		if (rc == 0 && done < r->off2 && atomic_load(&r->progress.cancel))
			rc = err_set(&r->err, ECANCELED, "preallocation of '%s' was cancelled",
				     name);
	}
	job_end(&j, rc);
	return rc;
}

static void do_fallocate(struct req *r)
{
	bool plain = !(r->flags & ~FALLOC_FL_KEEP_SIZE);
	int rc;

	if (req_refuse_late(r, r->node))
		return;
	rc = plain && r->off2 > ALLOCATE_STEP ? preallocate(r) :
	     vol_allocate(r->h->vol, r->flags, r->off, r->off2, &r->err);
	if (rc < 0)
		req_fail(r, rc);
	else
		req_ok(r);
}

static void refuse_no_volume(struct req *r)
{
	req_fail(r, -EOPNOTSUPP);
}

void op_fallocate(fuse_req_t fr, fuse_ino_t ino, int mode, off_t off, off_t len,
		  struct fuse_file_info *fi)
{
	struct req *r = data_req(fr, ino, fi, "fallocate");

	if (!r)
		return;
	r->flags = mode;
	r->off = off;
	r->off2 = len;
	r->writes = true;
	req_run(r, r->h ? do_fallocate : refuse_no_volume, opt.timeout_ms);
}

static void do_lseek(struct req *r)
{
	uint64_t found;
	int rc = vol_seek(r->h->vol, r->off, r->flags, &found, &r->err);

	if (rc < 0)
		req_fail(r, rc);
	else if (req_claim(r))
		fuse_reply_lseek(r->fr, found);
}

void op_lseek(fuse_req_t fr, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi)
{
	struct req *r = data_req(fr, ino, fi, "seek");

	if (!r)
		return;
	r->off = off;
	r->flags = whence;
	req_run(r, r->h ? do_lseek : ctl_lseek, opt.timeout_ms);
}

/* ---- copies ------------------------------------------------------------------------------ */

static void do_copy(struct req *r)
{
	struct call other;
	struct run *from = r->h2->node->run;
	bool two = from != r->run;
	ssize_t n;
	int rc;

	if (req_refuse_late(r, r->node) || req_refuse_late(r, r->node2))
		return;
	rc = two ? run_enter(from, &other, "copy", &r->err) : 0;
	if (rc < 0) {
		req_fail(r, rc);
		return;
	}
	/* To a handle that appends the kernel does not even ask. */
	r->fi.flags &= ~O_APPEND;
	follow_append(r);
	n = vol_copy(r->h2->vol, r->off2, r->h->vol, r->off, r->size, &r->err);
	r->moved = n > 0 ? n : 0;
	if (two)
		run_leave(&other);
	r->h->changed = true;
	if (n < 0) {
		if (n == -EOPNOTSUPP)   /* the kernel copies by itself */
			r->err.text[0] = 0;
		req_fail(r, n);
	} else if (req_claim(r)) {
		fuse_reply_write(r->fr, n);
	}
}

enum { COPY_MAX = 1 << 30 };

static void refuse_copy(struct req *r)
{
	req_fail(r, -EXDEV);
}

void op_copy_file_range(fuse_req_t fr, fuse_ino_t in, off_t in_off, struct fuse_file_info *in_fi,
			fuse_ino_t out, off_t out_off, struct fuse_file_info *out_fi,
			size_t len, int flags)
{
	struct req *r = data_req(fr, out, out_fi, "copy");

	(void)flags;
	if (!r)
		return;
	r->node2 = node_by_id(in);
	r->off = out_off;
	r->off2 = in_off;
	/* The answer has 32 bits, and a short one is as good. */
	r->size = len < COPY_MAX ? len : COPY_MAX;
	r->writes = true;
	if (!r->h || !r->node2 || r->node2->kind != N_VOL) {
		req_run(r, refuse_copy, opt.timeout_ms);
		return;
	}
	r->h2 = vol_handle(in_fi);
	req_run(r, do_copy, opt.timeout_ms);
}
