/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * locks.c - POSIX and OFD locks, held on the volume's own file.
 *
 * QEMU on the real path and qemu-img on the mount must see each other, so a
 * lock taken on the mount is taken on the file: for each owner (a process's
 * files, or one open file description) with an open file description of its
 * own, since that is what the kernel tells owners apart by. The first owner to
 * lock through a handle gets that handle's: so a driver that asks whether
 * others hold locks, before it shrinks the file, does not meet the asker's. A
 * volume without a local file has its locks on anonymous memory: they hold
 * within this mount. flock(2) is not seen here: the kernel keeps it to the
 * mount.
 */
#include "fs.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct locker {
	struct locker *next;
	uint64_t owner, fh;
	uint64_t home;          /* the handle whose descriptor fd is; 0: fd is ours */
	int fd;
};

struct lockers {                /* node->mu */
	struct locker *first;
	int memory;             /* the file where the volume has none, or -1 */
};

static int reopen(int fd)
{
	char path[64];
	int mine;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	mine = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (mine < 0)
		mine = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return mine < 0 ? -errno : mine;
}

static bool handle_taken(const struct lockers *all, uint64_t fh)
{
	for (struct locker *l = all->first; l; l = l->next)
		if (l->home == fh)
			return true;
	return false;
}

/* Fills in l->fd and l->home. */
static int locker_open(struct lockers *all, struct locker *l, struct req *r)
{
	int fd = r->h ? vol_fd(r->h->vol) : -1;

	/* One for reading only takes no write lock, which the owner may want by
	 * another handle. */
	if (fd >= 0 && (r->h->vol->flags & O_ACCMODE) != O_RDONLY &&
	    !handle_taken(all, r->fi.fh)) {
		l->home = r->fi.fh;
		return l->fd = fd;
	}
	if (fd < 0) {
		if (all->memory < 0)
			all->memory = memfd_create("poolfs-locks", MFD_CLOEXEC);
		fd = all->memory;
	}
	return l->fd = fd < 0 ? -ENOLCK : reopen(fd);
}

static int locker_fd_locked(struct node *n, struct req *r)
{
	struct lockers *all = n->lockers;
	struct locker *l;

	if (!all) {
		all = n->lockers = xcalloc(1, sizeof *all);
		all->memory = -1;
	}
	for (l = all->first; l && l->owner != r->fi.lock_owner; l = l->next)
		;
	if (!l) {
		struct locker new = { .owner = r->fi.lock_owner };
		int rc = locker_open(all, &new, r);

		if (rc < 0)
			return rc;
		l = xmalloc(sizeof *l);
		*l = new;
		l->next = all->first;
		all->first = l;
	}
	l->fh = r->fi.fh;
	return l->fd;
}

static void locker_free(struct locker *l)
{
	struct flock all = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	if (l->home)
		fcntl(l->fd, F_OFD_SETLK, &all);
	else
		close(l->fd);
	free(l);
}

/* A request that was given up may come after its handle's end: what it left here
 * would be a descriptor that means another file by then. */
static bool is_open_locked(struct node *n, const struct handle *h)
{
	for (struct handle *i = n->handles; i; i = i->next)
		if (i == h)
			return true;
	return false;
}

/* Never waits: F_OFD_SETLK or F_OFD_GETLK. */
static int apply(struct req *r, int cmd)
{
	struct node *n = r->node;
	int fd, rc;

	pthread_mutex_lock(&n->mu);
	fd = !r->h || is_open_locked(n, r->h) ? locker_fd_locked(n, r) : -EBADF;
	r->lock.l_pid = 0;
	rc = fd < 0 ? fd : fcntl(fd, cmd, &r->lock) ? -errno : 0;
	pthread_mutex_unlock(&n->mu);
	return rc;
}

static void do_getlk(struct req *r)
{
	int rc = apply(r, F_OFD_GETLK);

	if (rc < 0)
		req_fail(r, rc);
	else if (req_claim(r))
		fuse_reply_lock(r->fr, &r->lock);
}

/* ---- waiting locks: tried again by one thread, 50 times a second ----------------- */

static pthread_mutex_t waiting_mu = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t waiting_cv = PTHREAD_COND_INITIALIZER;
static struct req *waiting;
static bool retrying;

/* True when the request is over. */
static bool try_lock(struct req *r)
{
	int rc;

	if (atomic_load(&r->answered))
		return true;
	rc = apply(r, F_OFD_SETLK);
	if (rc == -EAGAIN || rc == -EACCES)
		return false;
	if (rc < 0) {
		req_fail(r, rc);
	} else if (req_claim(r)) {
		fuse_reply_err(r->fr, 0);
	} else {                        /* a signal came first */
		r->lock.l_type = F_UNLCK;
		apply(r, F_OFD_SETLK);
	}
	return true;
}

static void *retry_run(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&waiting_mu);
	for (;;) {
		struct req *all = waiting, *again = NULL;

		waiting = NULL;
		pthread_mutex_unlock(&waiting_mu);
		while (all) {
			struct req *r = all;

			all = r->next;
			if (try_lock(r)) {
				req_end(r);
			} else {
				r->next = again;
				again = r;
			}
		}
		if (again)
			usleep(20000);
		pthread_mutex_lock(&waiting_mu);
		while (again) {
			struct req *r = again;

			again = r->next;
			r->next = waiting;
			waiting = r;
		}
		while (!waiting)
			pthread_cond_wait(&waiting_cv, &waiting_mu);
	}
	return NULL;
}

static void wait_lock(struct req *r)
{
	pthread_t t;

	req_async(r);
	pthread_mutex_lock(&waiting_mu);
	if (!retrying) {
		if (pthread_create(&t, NULL, retry_run, NULL))
			abort();
		pthread_detach(t);
		retrying = true;
	}
	r->next = waiting;
	waiting = r;
	pthread_cond_signal(&waiting_cv);
	pthread_mutex_unlock(&waiting_mu);
}

static void do_setlk(struct req *r)
{
	if (try_lock(r))
		return;
	if (r->flags)
		wait_lock(r);
	else
		req_fail(r, -EAGAIN);
}

static struct req *lock_req(fuse_req_t fr, fuse_ino_t ino, struct fuse_file_info *fi,
			    struct flock *lock)
{
	struct req *r = req_new(fr, ino, "lock");

	if (!r)
		return NULL;
	r->fi = *fi;
	r->lock = *lock;
	r->lock.l_whence = SEEK_SET;
	if (r->node->kind == N_VOL)
		r->h = handle_get((struct handle *)(uintptr_t)fi->fh);
	r->run = NULL;                  /* a wait for a lock is not a stall */
	return r;
}

void op_getlk(fuse_req_t fr, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock)
{
	struct req *r = lock_req(fr, ino, fi, lock);

	if (r)
		req_run(r, do_getlk, opt.timeout_ms);
}

void op_setlk(fuse_req_t fr, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock,
	      int sleep)
{
	struct req *r = lock_req(fr, ino, fi, lock);

	if (!r)
		return;
	r->flags = sleep;
	req_run(r, do_setlk, sleep ? 0 : opt.timeout_ms);
}

/* ---- the end of locks -------------------------------------------------------------- */

static void drop(struct node *n, bool by_owner, uint64_t key)
{
	struct locker **p, *l;

	pthread_mutex_lock(&n->mu);
	p = n->lockers ? &n->lockers->first : NULL;
	while (p && *p) {
		l = *p;
		if (by_owner ? l->owner != key : l->fh != key && l->home != key) {
			p = &l->next;
			continue;
		}
		*p = l->next;
		locker_free(l);
	}
	pthread_mutex_unlock(&n->mu);
}

void locks_drop_owner(struct node *n, uint64_t owner)
{
	drop(n, true, owner);
}

void locks_drop_handle(struct node *n, uint64_t fh)
{
	drop(n, false, fh);
}

void locks_free(struct node *n)
{
	while (n->lockers->first) {
		struct locker *l = n->lockers->first;

		n->lockers->first = l->next;
		locker_free(l);
	}
	if (n->lockers->memory >= 0)
		close(n->lockers->memory);
	free(n->lockers);
}
