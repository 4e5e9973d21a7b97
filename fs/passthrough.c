/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * passthrough.c - what libfuse's releases do differently about INIT and OPEN.
 *
 * Kernel passthrough (Linux 6.9): reads and writes of an open volume go to the
 * local file behind it without the daemon. libfuse knows it from 3.17 on. On
 * older ones the session's I/O hooks add the flags to the INIT reply, and the
 * OPEN reply is written by hand. libfuse 3.14 moreover forgets to tell the
 * kernel about parallel directory operations; the hook does it for all.
 * Constants: <linux/fuse.h> of Linux 6.9 (protocol 7.40).
 */
#include "fs.h"
#include <linux/fuse.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <fcntl.h>
#include <unistd.h>

#define HAVE_PASSTHROUGH (FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17))

#ifndef FOPEN_PASSTHROUGH
#define FOPEN_PASSTHROUGH (1 << 7)
#endif
#ifndef FOPEN_PARALLEL_DIRECT_WRITES
#define FOPEN_PARALLEL_DIRECT_WRITES (1 << 6)
#endif
#ifndef FUSE_INIT_EXT
#define FUSE_INIT_EXT (1 << 30)
#endif
enum { HI_PASSTHROUGH = 1 << (37 - 32) };       /* FUSE_PASSTHROUGH in flags2 */

struct backing_map {
	int32_t fd;
	uint32_t flags;
	uint64_t padding;
};
#define BACKING_OPEN _IOW(229, 1, struct backing_map)
#define BACKING_CLOSE _IOW(229, 2, uint32_t)

/* struct fuse_init_in and fuse_init_out of 7.40, as far as used */
struct init_in {
	uint32_t major, minor, max_readahead, flags, flags2;
};
struct init_out {
	uint32_t major, minor, max_readahead, flags;
	uint16_t max_background, congestion_threshold;
	uint32_t max_write, time_gran;
	uint16_t max_pages, map_alignment;
	uint32_t flags2, max_stack_depth;
};

static bool offered, agreed;
static atomic_bool refused;             /* the kernel does not let us: say so once */
static uint64_t init_unique;
static atomic_bool init_done;

static ssize_t hook_read(int fd, void *data, size_t len, void *user)
{
	ssize_t n = read(fd, data, len);
	const struct fuse_in_header *h = data;

	(void)user;
	if (!atomic_load_explicit(&init_done, memory_order_relaxed) && !init_unique &&
	    n >= (ssize_t)(sizeof *h + sizeof(struct init_in)) && h->opcode == FUSE_INIT) {
		const struct init_in *in = (const void *)(h + 1);

		init_unique = h->unique;
		offered = in->flags & FUSE_INIT_EXT && in->flags2 & HI_PASSTHROUGH;
	}
	return n;
}

static ssize_t hook_writev(int fd, struct iovec *v, int n, void *user)
{
	const struct fuse_out_header *h = v[0].iov_base;

	(void)user;
	if (!atomic_load_explicit(&init_done, memory_order_relaxed) && init_unique &&
	    h->unique == init_unique && !h->error && n == 2 &&
	    v[1].iov_len >= sizeof(struct init_out)) {
		struct init_out *o = v[1].iov_base;

		o->flags |= FUSE_PARALLEL_DIROPS;
		if (!HAVE_PASSTHROUGH && opt.passthrough && offered) {
			o->flags |= FUSE_INIT_EXT;
			o->flags2 |= HI_PASSTHROUGH;
			o->max_stack_depth = 1;
			agreed = true;
		}
		atomic_store(&init_done, true);
	}
	return writev(fd, v, n);
}

static ssize_t hook_splice(int in, off_t *in_off, int out, off_t *out_off, size_t len,
			   unsigned flags, void *user)
{
	(void)user;
	return splice(in, in_off, out, out_off, len, flags);
}

int passthrough_hook(struct fuse_session *se)
{
	static const struct fuse_custom_io io = {
		.read = hook_read,
		.writev = hook_writev,
		.splice_receive = hook_splice,
		.splice_send = hook_splice,
	};

	return fuse_session_custom_io(se, &io, fuse_session_fd(se));
}

void passthrough_init(struct fuse_conn_info *c)
{
#if HAVE_PASSTHROUGH
	if (opt.passthrough && c->capable_ext & FUSE_CAP_PASSTHROUGH) {
		fuse_set_feature_flag(c, FUSE_CAP_PASSTHROUGH);
		c->max_backing_stack_depth = 1;
		agreed = true;
	}
#else
	(void)c;
#endif
}

bool passthrough_on(void)
{
	return agreed && !atomic_load(&refused);
}

int backing_open(int fd)
{
	struct backing_map m = { .fd = fd };
	int id = ioctl(fuse_session_fd(session), BACKING_OPEN, &m);

	if (id > 0)
		return id;
	/* Not for this user at all; other failures are this file's alone. */
	if (errno == EPERM && !atomic_exchange(&refused, true))
		log_line("", "", 0, "kernel passthrough needs CAP_SYS_ADMIN: data goes "
			 "through the daemon");
	return -errno;
}

void backing_close(int id)
{
	uint32_t i = id;

	ioctl(fuse_session_fd(session), BACKING_CLOSE, &i);
}

#if HAVE_PASSTHROUGH

static void fill(struct fuse_file_info *fi, int backing_id, bool parallel)
{
	fi->backing_id = backing_id;
	fi->parallel_direct_writes = parallel;
}

int reply_open(fuse_req_t fr, struct fuse_file_info *fi, int backing_id, bool parallel)
{
	fill(fi, backing_id, parallel);
	return fuse_reply_open(fr, fi);
}

int reply_create(fuse_req_t fr, const struct fuse_entry_param *e, struct fuse_file_info *fi,
		 int backing_id, bool parallel)
{
	fill(fi, backing_id, parallel);
	return fuse_reply_create(fr, e, fi);
}

#else

/* struct fuse_open_out with the field that older headers call padding */
struct open_out {
	uint64_t fh;
	uint32_t open_flags;
	int32_t backing_id;
};

static struct open_out open_out(const struct fuse_file_info *fi, int backing_id, bool parallel)
{
	return (struct open_out){
		.fh = fi->fh,
		.open_flags = (fi->direct_io ? FOPEN_DIRECT_IO : 0) |
			      (fi->keep_cache ? FOPEN_KEEP_CACHE : 0) |
			      (fi->noflush ? FOPEN_NOFLUSH : 0) |
			      (parallel ? FOPEN_PARALLEL_DIRECT_WRITES : 0) |
			      (backing_id > 0 ? FOPEN_PASSTHROUGH : 0),
		.backing_id = backing_id,
	};
}

int reply_open(fuse_req_t fr, struct fuse_file_info *fi, int backing_id, bool parallel)
{
	struct open_out o = open_out(fi, backing_id, parallel);

	return fuse_reply_buf(fr, (char *)&o, sizeof o);
}

static uint64_t whole(double seconds)
{
	return seconds > 0 ? (uint64_t)seconds : 0;
}

static uint32_t rest(double seconds)
{
	return seconds > 0 ? (uint32_t)((seconds - (uint64_t)seconds) * 1e9) : 0;
}

int reply_create(fuse_req_t fr, const struct fuse_entry_param *e, struct fuse_file_info *fi,
		 int backing_id, bool parallel)
{
	struct {
		struct fuse_entry_out e;
		struct open_out o;
	} out;
	struct fuse_attr *a = &out.e.attr;
	const struct stat *st = &e->attr;

	memset(&out, 0, sizeof out);
	out.e.nodeid = e->ino;
	out.e.generation = e->generation;
	out.e.entry_valid = whole(e->entry_timeout);
	out.e.entry_valid_nsec = rest(e->entry_timeout);
	out.e.attr_valid = whole(e->attr_timeout);
	out.e.attr_valid_nsec = rest(e->attr_timeout);
	a->ino = st->st_ino;
	a->size = st->st_size;
	a->blocks = st->st_blocks;
	a->atime = st->st_atim.tv_sec;
	a->atimensec = st->st_atim.tv_nsec;
	a->mtime = st->st_mtim.tv_sec;
	a->mtimensec = st->st_mtim.tv_nsec;
	a->ctime = st->st_ctim.tv_sec;
	a->ctimensec = st->st_ctim.tv_nsec;
	a->mode = st->st_mode;
	a->nlink = st->st_nlink;
	a->uid = st->st_uid;
	a->gid = st->st_gid;
	a->blksize = st->st_blksize;
	out.o = open_out(fi, backing_id, parallel);
	return fuse_reply_buf(fr, (char *)&out, sizeof out);
}

#endif
