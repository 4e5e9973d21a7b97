/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * watch.c - what happens to the files of a local directory, by inotify.
 *
 * Called by drivers through watch.h; calls them back on its one thread. What an event
 * means says watch_changes.c. Here are the one inotify instance, the thread that reads
 * it, and the ends of watches, which wait for nothing that may hang in a file system.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "watch_parts.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

enum {
	HALF_BUSY_MS = 1000,    /* for the other half of a rename, when other events wait */
	END_MS = 1000,          /* for a look at a file under way */
	MASK = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |
	       IN_MOVE_SELF | IN_DELETE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK,
};

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t idle = PTHREAD_COND_INITIALIZER;
static struct watch *watches;
static int inotify = -1;
static bool quiet;                      /* the thread's: no event has waited */
static _Thread_local bool is_thread;

/* ---- telling ------------------------------------------------------------------- */

void watch_tell(struct watch *w, enum vol_change what, const char *name, const char *to,
		uint64_t size)
{
	bool dead;

	pthread_mutex_lock(&mu);
	dead = w->dead;
	w->calls += !dead;
	pthread_mutex_unlock(&mu);
	if (dead)
		return;
	w->changed(w->arg, what, name, to, size);
	pthread_mutex_lock(&mu);
	w->calls--;
	pthread_cond_broadcast(&idle);
	pthread_mutex_unlock(&mu);
}

void watch_listen(struct watch *w, bool muted)
{
	char path[64];

	w->muted = muted;
	pthread_mutex_lock(&mu);
	if (!w->dead && w->wd >= 0) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", w->fd);
		if (inotify_add_watch(inotify, path, muted ? MASK : MASK | IN_MODIFY) != w->wd)
			w->wd = -1;
	}
	pthread_mutex_unlock(&mu);
}

/* ---- the thread -------------------------------------------------------------------- */

/* The directory's own end: its descriptor is kept, so that it may come late. */
static void on_self(struct watch *w, uint32_t mask)
{
	if (mask & IN_IGNORED) {
		pthread_mutex_lock(&mu);
		w->wd = -1;
		pthread_mutex_unlock(&mu);
	}
	if (mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT))
		change_lost(w);
}

static void on_event(struct watch *w, const struct inotify_event *v)
{
	if (v->mask & IN_Q_OVERFLOW)
		change_lost(w);
	else if (v->mask & (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT))
		on_self(w, v->mask);
	else if (v->len && v->mask & (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO) &&
		 !(v->mask & IN_ISDIR))
		change_name(w, v);
	else if (v->len && v->mask & IN_MODIFY && !(v->mask & IN_ISDIR))
		change_data(w, v->name);
}

static void watch_destroy(struct watch *w)
{
	changes_forget(w);
	if (w->fd >= 0)
		close(w->fd);
	free(w);
}

/* f for each that fits (wd -1: all), without the lock: only this thread may, and who
 * ends a watch leaves it whole while it is busy. */
static void each(int wd, void (*f)(struct watch *, const struct inotify_event *),
		 const struct inotify_event *v)
{
	static unsigned round;
	struct watch *w;

	round++;
	pthread_mutex_lock(&mu);
	for (w = watches; w; ) {
		if (w->round == round || (wd >= 0 && w->wd != wd)) {
			w = w->next;
			continue;
		}
		w->round = round;
		w->busy = true;
		pthread_mutex_unlock(&mu);
		f(w, v);
		pthread_mutex_lock(&mu);
		w->busy = false;
		pthread_cond_broadcast(&idle);
		if (w->orphan)
			watch_destroy(w);
		else if (!w->dead) {
			w = w->next;
			continue;
		}
		w = watches;            /* it was ended: w->next may be gone, too */
	}
	pthread_mutex_unlock(&mu);
}

static void on_time(struct watch *w, const struct inotify_event *v)
{
	uint64_t now = now_ms();

	(void)v;
	if (w->from_due && w->from_due + (quiet ? 0 : HALF_BUSY_MS) <= now)
		change_flush(w);
	if (w->tick && w->tick <= now)
		change_tick(w);
}

/* Until something is due; -1: nothing is. */
static int pause_ms(void)
{
	uint64_t now = now_ms(), first = UINT64_MAX;

	pthread_mutex_lock(&mu);
	for (struct watch *w = watches; w; w = w->next) {
		if (w->tick && w->tick < first)
			first = w->tick;
		if (w->from_due && w->from_due < first)
			first = w->from_due;
	}
	pthread_mutex_unlock(&mu);
	if (first == UINT64_MAX)
		return -1;
	return first <= now ? 0 : (int)(first - now);
}

static void *watch_thread(void *arg)
{
	union {
		struct inotify_event event;
		char bytes[32 << 10];
	} *b = xmalloc(sizeof(*b));

	(void)arg;
	is_thread = true;
	for (;;) {
		struct pollfd p = { .fd = inotify, .events = POLLIN };
		ssize_t len = 0;

		if (poll(&p, 1, pause_ms()) > 0)
			len = read(inotify, b, sizeof(*b));
		quiet = len <= 0;
		for (ssize_t at = 0; at < len; ) {
			const struct inotify_event *v = (const void *)(b->bytes + at);

			each(v->wd, on_event, v);
			at += sizeof(*v) + v->len;
		}
		each(-1, on_time, NULL);
	}
	return NULL;
}

/* mu held. */
static int thread_begin(struct err *e)
{
	if (inotify >= 0)
		return 0;
	inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (inotify < 0)
		return err_sys(e, "no inotify instance is to be had: see "
			       "/proc/sys/fs/inotify/max_user_instances");
	if (thread_start(watch_thread, NULL))
		return 0;
	close(inotify);
	inotify = -1;
	return err_set(e, EAGAIN, "no thread is to be had that looks at changes");
}

/* ---- for drivers ----------------------------------------------------------------------- */

/* Of another host, or of a program. */
static bool is_remote(int fd)
{
	static const uint32_t magic[] = {
		0x6969, 0x517b, 0xff534d42, 0xfe534d42, 0x65735546, 0x01021997, 0x00c36400,
		0x5346414f, 0x6b414653, 0x73757245, 0x0bd00bd0, 0x47504653, 0x7461636f,
		0x01161970, 0x786f4256, 0x564c,
	};
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return false;
	for (size_t i = 0; i < sizeof(magic) / sizeof(*magic); i++)
		if ((uint32_t)fs.f_type == magic[i])
			return true;
	return false;
}

int watch_begin(int dir, vol_changed_f *changed, void *arg, struct watch *before,
		struct watch **out, struct err *e)
{
	struct watch *w;
	char path[64];
	int rc = 0;

	if (is_remote(dir))
		return err_set(e, EOPNOTSUPP, "what other programs change is not seen on a "
			       "network file system");
	w = xcalloc(1, sizeof(*w));
	w->changed = changed;
	w->arg = arg;
	w->before = before;
	w->wd = -1;
	w->fd = fcntl(dir, F_DUPFD_CLOEXEC, 3);
	if (w->fd < 0)
		rc = err_sys(e, "cannot watch the directory");
	pthread_mutex_lock(&mu);
	if (rc == 0)
		rc = thread_begin(e);
	if (rc == 0) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", w->fd);
		w->wd = inotify_add_watch(inotify, path, MASK | IN_MODIFY);
		if (w->wd < 0)
			rc = err_sys(e, "cannot watch the directory: see "
				     "/proc/sys/fs/inotify/max_user_watches");
	}
	for (struct watch *i = watches; rc == 0 && i; i = i->next)
		if (i->wd == w->wd)
			rc = err_set(e, EBUSY, "another pool watches the directory");
	if (rc == 0) {
		w->next = watches;
		watches = w;
	}
	pthread_mutex_unlock(&mu);
	if (rc < 0)
		watch_destroy(w);
	else
		*out = w;
	return rc;
}

void watch_again(struct watch *w, int dir)
{
	char path[64];
	bool told = false;

	pthread_mutex_lock(&mu);
	if (!w->dead && dup3(dir, w->fd, O_CLOEXEC) >= 0) {
		if (w->wd >= 0)
			inotify_rm_watch(inotify, w->wd);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", w->fd);
		w->wd = inotify_add_watch(inotify, path, MASK | IN_MODIFY);
		told = true;
	}
	pthread_mutex_unlock(&mu);
	if (told)
		watch_tell(w, VOL_LOST, NULL, NULL, 0);
}

void watch_end(struct watch *w)
{
	struct timespec until;
	struct watch **at;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += END_MS / 1000;
	pthread_mutex_lock(&mu);
	for (at = &watches; *at && *at != w; at = &(*at)->next)
		;
	if (*at)
		*at = w->next;
	if (!w->dead && w->wd >= 0)
		inotify_rm_watch(inotify, w->wd);
	w->dead = true;
	while (w->calls && !is_thread)
		pthread_cond_wait(&idle, &mu);
	/* It may hang in the file system; what it finds is told nobody. */
	while (w->busy && !is_thread && !pthread_cond_timedwait(&idle, &mu, &until))
		;
	if (!w->busy && w->fd >= 0) {
		close(w->fd);
		w->fd = -1;
	}
	pthread_mutex_unlock(&mu);
}

void watch_free(struct watch *w)
{
	bool busy;

	if (!w)
		return;
	watch_free(w->before);
	watch_end(w);
	pthread_mutex_lock(&mu);
	busy = w->busy;
	w->orphan = busy;
	pthread_mutex_unlock(&mu);
	if (!busy)
		watch_destroy(w);
}
