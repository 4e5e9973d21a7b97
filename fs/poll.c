/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * poll.c - who waits for control/events to grow: poll(2) and its relatives.
 *
 * The kernel asks once for each wait and is told once when there is more to read,
 * on the thread that control/ has for that. Telling is one write to /dev/fuse,
 * which waits for nobody. All other files are always ready.
 */
#include "fs.h"
#include <poll.h>
#include <stdlib.h>

static pthread_mutex_t waiting_mu = PTHREAD_MUTEX_INITIALIZER;
static struct waiter *waiting;          /* with a handle of the kernel's */

/* waiting_mu held. */
static struct fuse_pollhandle *take_locked(struct waiter *w)
{
	struct fuse_pollhandle *ph = w->ph;

	if (ph) {
		*w->link = w->next;
		if (w->next)
			w->next->link = w->link;
		w->ph = NULL;
	}
	return ph;
}

static void put_locked(struct waiter *w, struct fuse_pollhandle *ph)
{
	w->ph = ph;
	w->next = waiting;
	w->link = &waiting;
	if (w->next)
		w->next->link = &w->next;
	waiting = w;
}

void poll_wait(struct waiter *w, struct fuse_pollhandle *ph)
{
	struct fuse_pollhandle *old;

	pthread_mutex_lock(&waiting_mu);
	old = take_locked(w);
	put_locked(w, ph);
	pthread_mutex_unlock(&waiting_mu);
	if (old)
		fuse_pollhandle_destroy(old);
}

void poll_forget(struct waiter *w)
{
	struct fuse_pollhandle *ph;

	pthread_mutex_lock(&waiting_mu);
	ph = take_locked(w);
	pthread_mutex_unlock(&waiting_mu);
	if (ph)
		fuse_pollhandle_destroy(ph);
}

/* Under the lock: the session outlives what it holds, and a waiter goes through here. */
void poll_wake(void)
{
	pthread_mutex_lock(&waiting_mu);
	while (waiting) {
		struct fuse_pollhandle *ph = take_locked(waiting);

		fuse_lowlevel_notify_poll(ph);
		fuse_pollhandle_destroy(ph);
	}
	pthread_mutex_unlock(&waiting_mu);
}

void op_poll(fuse_req_t fr, fuse_ino_t ino, struct fuse_file_info *fi,
	     struct fuse_pollhandle *ph)
{
	struct node *n = node_by_id(ino);
	unsigned ready = POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM;

	if (n && n->kind == N_CFILE && n->cf->grows)
		ready = ctl_poll(fi->fh, ph) ? POLLIN | POLLRDNORM : 0;
	else if (ph)
		fuse_pollhandle_destroy(ph);
	if (n)
		node_put(n, 1);
	fuse_reply_poll(fr, ready);
}
