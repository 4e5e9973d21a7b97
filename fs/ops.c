/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ops.c - the table of FUSE operations, and those on attributes.
 *
 * Each function takes the request's arguments over and leaves the work to
 * req_run(), for whatever may ask a driver.
 */
#include "fs.h"
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

static void op_forget(fuse_req_t fr, fuse_ino_t ino, uint64_t times)
{
	struct node *n = node_by_id(ino);

	fuse_reply_none(fr);
	if (n)
		node_put(n, times + 1);
}

static void op_forget_multi(fuse_req_t fr, size_t count, struct fuse_forget_data *f)
{
	for (size_t i = 0; i < count; i++) {
		struct node *n = node_by_id(f[i].ino);

		if (n)
			node_put(n, f[i].nlookup + 1);
	}
	fuse_reply_none(fr);
}

/* ---- attributes -------------------------------------------------------------- */

/* By an open handle where there is one: it is the file even when the name has
 * gone. Else by name, if the name still means the same volume. */
static int volume_stat(struct req *r, struct node *n, struct vol_stat *vs)
{
	struct handle *h = node_any_handle(n);
	int rc;

	if (h) {
		rc = vol_fstat(h->vol, vs, &r->err);
		handle_put(h);
	} else {
		_cleanup_free_ char *name = node_name(n);

		rc = node_linked(n) ? vol_stat(run_pool(n->run), name, vs, &r->err) : -ESTALE;
		if (rc == -ENOENT || (!rc && vs->id != n->ident))
			rc = -ESTALE;
	}
	if (rc < 0)
		return rc;
	vol_show_stat(n, vs);
	node_tell(r, n, &vs->st);
	return 0;
}

static void reply_attr(struct req *r)
{
	struct vol_stat vs;
	struct caller who;
	int rc = 0;

	if (r->node->kind == N_VOL) {
		rc = volume_stat(r, r->node, &vs);
	} else if (r->node->kind == N_VOLTEXT) {
		rc = voltext_stat(r->node, &vs.st, &r->err);
		if (rc == -ENOENT)
			rc = -ESTALE;
	} else {
		caller_of(r, &who);
		node_stat(r->node, &who, &vs.st);
	}
	if (rc < 0)
		req_fail(r, rc);
	else if (req_claim(r))
		fuse_reply_attr(r->fr, &vs.st, node_timeout(r->node, false));
}

/* Nodes of a pool other than volumes must answer though the driver hangs. */
static void no_driver(struct req *r)
{
	if (r->node->kind != N_VOL && r->node->kind != N_VOLTEXT) {
		r->run = NULL;
		r->queue = control_queue;
	}
}

static void do_getattr(struct req *r)
{
	if ((r->node->run && run_dead(r->node->run)) || node_is_gone(r->node))
		req_fail(r, -ESTALE);
	else
		reply_attr(r);
}

static void op_getattr(fuse_req_t fr, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct req *r = req_new(fr, ino, "getattr");

	(void)fi;
	if (!r)
		return;
	no_driver(r);
	req_run(r, do_getattr, opt.timeout_ms);
}

struct vol_attr req_attr(struct req *r)
{
	struct vol_attr a = { 0 };

	if (r->to_set & FUSE_SET_ATTR_MODE) {
		a.valid |= ATTR_MODE;
		a.mode = r->attr.st_mode & 01777;
	}
	if (r->to_set & FUSE_SET_ATTR_UID) {
		a.valid |= ATTR_UID;
		a.uid = r->attr.st_uid;
	}
	if (r->to_set & FUSE_SET_ATTR_GID) {
		a.valid |= ATTR_GID;
		a.gid = r->attr.st_gid;
	}
	if (r->to_set & FUSE_SET_ATTR_ATIME) {
		a.valid |= ATTR_ATIME;
		a.atime = r->attr.st_atim;
		if (r->to_set & FUSE_SET_ATTR_ATIME_NOW)
			a.atime = (struct timespec){ 0, UTIME_NOW };
	}
	if (r->to_set & FUSE_SET_ATTR_MTIME) {
		a.valid |= ATTR_MTIME;
		a.mtime = r->attr.st_mtim;
		if (r->to_set & FUSE_SET_ATTR_MTIME_NOW)
			a.mtime = (struct timespec){ 0, UTIME_NOW };
	}
	return a;
}

/* Deleted or replaced, and still open: through its descriptor. Where a driver has none,
 * nobody will see it. */
static int set_attr_open(struct node *n, const struct vol_attr *a, struct err *e)
{
	struct timespec times[2] = {
		a->valid & ATTR_ATIME ? a->atime : (struct timespec){ 0, UTIME_OMIT },
		a->valid & ATTR_MTIME ? a->mtime : (struct timespec){ 0, UTIME_OMIT },
	};
	struct handle *h = node_any_handle(n);
	int fd = h ? vol_fd(h->vol) : -1, rc = 0;

	if (!h)
		return -ESTALE;

	if (fd >= 0 && a->valid & (ATTR_UID | ATTR_GID))
		rc = fchown(fd, a->valid & ATTR_UID ? a->uid : (uid_t)-1,
			    a->valid & ATTR_GID ? a->gid : (gid_t)-1);
	if (fd >= 0 && rc == 0 && a->valid & ATTR_MODE)
		rc = fchmod(fd, a->mode & 0777);
	if (fd >= 0 && rc == 0 && a->valid & (ATTR_ATIME | ATTR_MTIME))
		rc = futimens(fd, times);
	if (rc < 0)
		rc = err_sys(e, "cannot change a deleted volume");
	handle_put(h);
	return rc;
}

static int set_attr(struct req *r)
{
	struct node *n = r->node;
	struct vol_attr a = req_attr(r);
	_cleanup_free_ char *name = node_name(n);
	int rc;

	if (!a.valid)
		return 0;
	rc = vol_is_named(r, name);
	if (rc < 0)
		return rc;
	if (!rc)
		return set_attr_open(n, &a, &r->err);
	return vol_setattr(run_pool(n->run), name, &a, &r->err);
}

static int set_volume(struct req *r)
{
	int rc;

	if (r->to_set & FUSE_SET_ATTR_SIZE) {
		if (req_refuse_late(r, r->node))
			return 1;
		rc = vol_set_size(r);
		if (rc < 0)
			return rc;
	}
	return set_attr(r);
}

static void do_setattr(struct req *r)
{
	struct node *n = r->node;
	int rc;

	switch ((enum kind)n->kind) {
	case N_VOL:
		rc = set_volume(r);
		if (rc > 0)
			return;
		break;
	case N_CFILE: case N_DEF: case N_SCRATCH: case N_VOLTEXT: case N_SECRET:
		rc = ctl_setsize(r);
		break;
	default:
		rc = err_set(&r->err, EPERM, "these attributes are poolfs's own");
	}
	if (rc == 0 && n->kind == N_VOL && r->to_set & FUSE_SET_ATTR_SIZE)
		req_await_reads(r, n);
	if (rc < 0)
		req_fail(r, rc);
	else
		reply_attr(r);
}

static void op_setattr(fuse_req_t fr, fuse_ino_t ino, struct stat *attr, int to_set,
		       struct fuse_file_info *fi)
{
	struct req *r;

	if (helper_is(fuse_req_ctx(fr))) {      /* nothing is changed */
		op_getattr(fr, ino, fi);
		return;
	}
	r = req_new(fr, ino, "setattr");
	if (!r)
		return;
	if (r->node->kind == N_VOL && to_set & FUSE_SET_ATTR_SIZE)
		r->tells = 't';
	no_driver(r);
	r->attr = *attr;
	r->to_set = to_set;
	r->writes = to_set & FUSE_SET_ATTR_SIZE;
	if (fi) {
		r->fi = *fi;
		if (r->node->kind == N_VOL)
			r->h = handle_get((struct handle *)(uintptr_t)fi->fh);
		else
			ctl_hold(r, fi->fh);
	}
	req_run(r, do_setattr, opt.timeout_ms);
}

/* df NAME: statfs comes with the inode of the directory or of a volume. */
static void do_statfs(struct req *r)
{
	struct statvfs s = { .f_bsize = 4096, .f_frsize = 4096, .f_namemax = 255 };
	struct node *n = r->node;
	struct pool_usage u;

	while (n && n->kind != N_POOL)
		n = n->parent;
	if (n && run_usage(n->run, 1000, &u)) {
		s.f_blocks = u.capacity / 4096;
		s.f_bfree = (u.capacity - u.allocation) / 4096;
		s.f_bavail = u.available / 4096;
		s.f_files = u.files;
		s.f_ffree = s.f_favail = u.files_free;
	}
	if (req_claim(r))
		fuse_reply_statfs(r->fr, &s);
}

static void op_statfs(fuse_req_t fr, fuse_ino_t ino)
{
	struct req *r = req_new(fr, ino ? ino : FUSE_ROOT_ID, "statfs");

	if (!r)
		return;
	r->run = NULL;
	r->queue = control_queue;
	req_run(r, do_statfs, opt.timeout_ms);
}

/* ---- open, create, release: by kind --------------------------------------------- */

static void op_open(fuse_req_t fr, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct req *r = req_new(fr, ino, "open");

	if (!r)
		return;
	r->fi = *fi;
	r->writes = fi->flags & O_TRUNC;
	no_driver(r);
	req_run(r, r->node->kind == N_VOL ? vol_open_request : ctl_open, opt.timeout_ms);
}

static void op_create(fuse_req_t fr, fuse_ino_t parent, const char *name, mode_t mode,
		      struct fuse_file_info *fi)
{
	struct req *r = req_new(fr, parent, "create");

	if (!r)
		return;
	r->name = xstrdup(name);
	r->names = true;
	if (r->node->kind == N_POOL)
		r->tells = 'c';
	r->mode = mode;
	r->fi = *fi;
	req_run(r, r->node->kind == N_POOL ? vol_create_request : ctl_create, LOCKED_MS);
}

static void op_release(fuse_req_t fr, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct req *r = req_new(fr, ino, "release");

	if (!r)
		return;
	r->fi = *fi;
	if (r->node->kind == N_VOL &&
	    (((struct handle *)(uintptr_t)fi->fh)->flags & O_ACCMODE) != O_RDONLY)
		r->tells = 't';
	r->run = NULL;                  /* a stopped pool's too */
	req_run(r, r->node->kind == N_VOL ? vol_release_request : ctl_release, 0);
}

static void op_init(void *user, struct fuse_conn_info *c)
{
	(void)user;
	c->max_background = 65535;      /* one queue for the whole mount */
	c->congestion_threshold = 49151;
	c->want &= ~(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE |
		     FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_FLOCK_LOCKS |
		     FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO);
	if (opt.readdirplus)
		c->want |= c->capable & FUSE_CAP_READDIRPLUS;
	if (opt.readdirplus == 2)
		c->want |= c->capable & FUSE_CAP_READDIRPLUS_AUTO;
	passthrough_init(c);
	mount_ready();
}

const struct fuse_lowlevel_ops poolfs_ops = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.readlink = op_readlink,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.symlink = op_symlink,
	.rename = op_rename,
	.link = op_link,
	.open = op_open,
	.create = op_create,
	.read = op_read,
	.write = op_write,
	.flush = op_flush,
	.release = op_release,
	.fsync = op_fsync,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.releasedir = op_releasedir,
	.fsyncdir = op_fsyncdir,
	.statfs = op_statfs,
	.getlk = op_getlk,
	.setlk = op_setlk,
	.fallocate = op_fallocate,
	.copy_file_range = op_copy_file_range,
	.lseek = op_lseek,
	.poll = op_poll,
};
