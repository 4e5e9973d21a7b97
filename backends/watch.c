/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * watch.c - what happens to the files of a local directory, by inotify.
 *
 * Called by drivers through watch.h; calls them back on its one thread. Sub-
 * directories, other things that are no volumes and the drivers' hidden files are
 * left out; a rename from a hidden name is a creation, one to it a deletion.
 *
 * Sizes: a watch with IN_MODIFY, or any event of a file's content, costs each write of
 * 4 KiB a quarter of its speed and more, and a volume that is being written would be
 * told of without end. So after the first one the directory is watched for changes of
 * names only, which costs writes nothing; TICK_MS later the watch is whole again, and
 * the sizes known are compared. Of a directory with more than SLOTS_MAX volumes, one
 * that changes only while another is being written may be missed until its next write.
 * A volume whose size was not known yet may be told of though it was only written
 * over. Opens nothing but a list of the directory, and blocks only in lstat(2).
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "watch.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/vfs.h>
#include <unistd.h>

enum {
	TICK_MS = 250,
	HALF_MS = 50,           /* for the other half of a rename, when no event waits */
	HALF_BUSY_MS = 1000,    /* when others do */
	END_MS = 1000,          /* for a look at a file under way */
	BUCKETS = 1024,
	SLOTS_MAX = 4096,       /* sizes kept, of one directory */
	MASK = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |
	       IN_MOVE_SELF | IN_DELETE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK,
};

/* A name of the directory. */
struct slot {
	struct slot *next;
	uint64_t size;
	bool told;              /* size is what was told last; else what it was once */
	bool check;             /* has changed */
	bool other;             /* no volume */
	bool guessed;           /* its creation was told by check_exchange */
	char name[];
};

struct watch {
	/* mu */
	int fd, wd;             /* wd -1: the directory has gone */
	unsigned calls;         /* under way */
	bool busy, dead;        /* busy: in the hands of the thread */
	bool orphan;            /* which frees it then */
	struct watch *next;

	/* constant */
	vol_changed_f *changed;
	void *arg;
	struct watch *before;   /* NULL; has ended, freed with this one */

	/* the thread's */
	struct slot *slots[BUCKETS];
	unsigned count, hand;
	bool filled, muted;
	unsigned round;         /* of each(), the last that it had part in */
	uint64_t tick;          /* when; 0: none */
	char *from;             /* IN_MOVED_FROM without its other half */
	uint32_t cookie;
	uint64_t from_due;
	char *last_from, *last_to;      /* the rename just told */
};

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t idle = PTHREAD_COND_INITIALIZER;
static struct watch *watches;
static int inotify = -1;
static bool quiet;                      /* the thread's: no event has waited */
static _Thread_local bool is_thread;

/* ---- telling ------------------------------------------------------------------- */

static void tell(struct watch *w, enum vol_change what, const char *name, const char *to,
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

/* ---- sizes ----------------------------------------------------------------------- */

static struct slot **slot_at(struct watch *w, const char *name)
{
	uint64_t h = 0xcbf29ce484222325ULL;
	struct slot **s;

	for (const char *c = name; *c; c++)
		h = (h ^ (unsigned char)*c) * 0x100000001b3ULL;
	for (s = &w->slots[(h ^ h >> 32) % BUCKETS]; *s && strcmp((*s)->name, name);
	     s = &(*s)->next)
		;
	return s;
}

static void slot_drop(struct watch *w, struct slot **at)
{
	struct slot *s = *at;

	if (!s)
		return;
	*at = s->next;
	w->count--;
	free(s);
}

static struct slot *slot_get(struct watch *w, const char *name)
{
	struct slot **at = slot_at(w, name), *s;
	size_t len = strlen(name) + 1;

	if (*at)
		return *at;
	s = xcalloc(1, sizeof(*s) + len);
	memcpy(s->name, name, len);
	*at = s;
	/* Full: the next one in turn gives way, unless it is to be looked at. */
	for (unsigned tries = 0; w->count >= SLOTS_MAX && tries < BUCKETS; tries++) {
		struct slot **old = &w->slots[w->hand++ % BUCKETS];

		while (*old && ((*old)->check || *old == s))
			old = &(*old)->next;
		slot_drop(w, old);
	}
	w->count++;
	return s;
}

static void slots_clear(struct watch *w)
{
	for (unsigned i = 0; i < BUCKETS; i++)
		while (w->slots[i])
			slot_drop(w, &w->slots[i]);
	w->filled = false;
}

/* 1: a volume; 0: something else; -1: nothing is there. */
static int look(struct watch *w, const char *name, uint64_t *size)
{
	struct stat st;

	*size = 0;
	if (fstatat(w->fd, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
		return -1;
	if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
		return 0;
	*size = (uint64_t)st.st_size;
	return 1;
}

/* The sizes before the watch is muted: what differs later was changed meanwhile. */
static void fill(struct watch *w)
{
	int fd = w->filled ? -1 : openat(w->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;
	struct err e;

	w->filled = true;
	if (!dir && fd >= 0)
		close(fd);
	while (dir && w->count < SLOTS_MAX && (de = readdir(dir))) {
		uint64_t size;
		struct slot *s;

		/* Of a directory not even lstat: it may be where we are mounted. */
		if (de->d_type == DT_DIR || name_check(NAME_VOLUME, de->d_name, &e) < 0 ||
		    *slot_at(w, de->d_name) || look(w, de->d_name, &size) <= 0)
			continue;
		s = slot_get(w, de->d_name);
		s->size = size;
	}
	if (dir)
		closedir(dir);
}

/* True: it was told. */
static bool check(struct watch *w, struct slot *s)
{
	bool known = s->told || !s->check;
	uint64_t size;

	s->check = false;
	if (s->other || look(w, s->name, &size) <= 0 || (known && size == s->size))
		return false;
	s->size = size;
	s->told = true;
	tell(w, VOL_RESIZED, s->name, NULL, size);
	return true;
}

/* With IN_MODIFY or without. */
static void listen_to(struct watch *w, bool muted)
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

static void on_data(struct watch *w, const char *name)
{
	struct slot *s = slot_get(w, name);

	s->check = true;
	if (!w->tick) {
		check(w, s);
		w->tick = now_ms() + TICK_MS;
	}
	if (!w->muted) {
		fill(w);
		listen_to(w, true);
	}
}

static void on_tick(struct watch *w)
{
	bool all = w->muted, any = false;

	if (all)
		listen_to(w, false);    /* first: what comes after the look is an event */
	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct slot *s = w->slots[i]; s; s = s->next)
			if (all || s->check)
				any |= check(w, s);
	/* It may go on like this: then once in TICK_MS. */
	w->tick = any ? now_ms() + TICK_MS : 0;
}

/* ---- names ----------------------------------------------------------------------- */

static bool fits(const char *name)
{
	struct err e;

	return name_check(NAME_VOLUME, name, &e) == 0;
}

static void rename_forget(struct watch *w)
{
	free(w->last_from);
	free(w->last_to);
	w->last_from = w->last_to = NULL;
}

static void on_created(struct watch *w, const char *name)
{
	struct slot *s;
	uint64_t size;
	int is;

	if (!fits(name))
		return;
	is = look(w, name, &size);
	if (is >= 0) {
		s = slot_get(w, name);
		s->size = size;
		s->told = is;
		s->other = !is;
		s->check = s->guessed = false;
	}
	if (is)                         /* gone already: its deletion comes, too */
		tell(w, VOL_CREATED, name, NULL, size);
}

static void on_deleted(struct watch *w, const char *name)
{
	struct slot **s = slot_at(w, name);
	bool other = *s && (*s)->other;

	if (!fits(name))
		return;
	slot_drop(w, s);
	if (!other)
		tell(w, VOL_DELETED, name, NULL, 0);
}

/* The other half of it was not here. */
static void flush_from(struct watch *w)
{
	char *from = w->from;

	w->from = NULL;
	w->from_due = 0;
	if (from) {
		rename_forget(w);
		on_deleted(w, from);
	}
	free(from);
}

/* Two files that change places are two renames, and no file is gone. */
static void check_exchange(struct watch *w, const char *from, const char *to)
{
	bool back = w->last_from && !strcmp(from, w->last_to) && !strcmp(to, w->last_from);
	uint64_t size;

	rename_forget(w);
	if (back && look(w, from, &size) == 1) {
		on_created(w, from);
		slot_get(w, from)->guessed = true;
		return;
	}
	w->last_from = xstrdup(from);
	w->last_to = xstrdup(to);
}

static void on_renamed(struct watch *w, const char *from, const char *to)
{
	struct slot **old = slot_at(w, from), *s = *old;
	struct slot was = { 0 };

	if (!fits(from)) {
		on_created(w, to);
		return;
	}
	if (!fits(to)) {
		on_deleted(w, from);
		return;
	}
	if (s)
		was = *s;
	slot_drop(w, old);
	slot_drop(w, slot_at(w, to));
	if (s) {
		s = slot_get(w, to);
		s->size = was.size;
		s->told = was.told;
		s->check = was.check;
		s->other = was.other;
	}
	if (was.other)
		return;
	tell(w, VOL_RENAMED, from, to, 0);
	check_exchange(w, from, to);
}

/* It was there and back, and what was taken for the other half was made by then. */
static bool was_guessed(struct watch *w, const char *name)
{
	struct slot *s = *slot_at(w, name);
	bool yes = s && s->guessed;

	if (yes)
		s->guessed = false;
	return yes;
}

static void on_name(struct watch *w, const struct inotify_event *v)
{
	if (v->mask & IN_MOVED_TO && w->from && w->cookie == v->cookie) {
		_cleanup_free_ char *from = w->from;

		w->from = NULL;
		w->from_due = 0;
		on_renamed(w, from, v->name);
		return;
	}
	flush_from(w);
	if (v->mask & IN_MOVED_FROM) {
		w->from = xstrdup(v->name);
		w->cookie = v->cookie;
		w->from_due = now_ms() + HALF_MS;
		return;
	}
	rename_forget(w);
	if (v->mask & IN_CREATE && was_guessed(w, v->name))
		return;
	if (v->mask & (IN_CREATE | IN_MOVED_TO)) {
		on_created(w, v->name);
	} else {
		on_deleted(w, v->name);
	}
}

static void on_lost(struct watch *w)
{
	free(w->from);
	w->from = NULL;
	w->from_due = 0;
	rename_forget(w);
	slots_clear(w);
	tell(w, VOL_LOST, NULL, NULL, 0);
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
		on_lost(w);
}

static void on_event(struct watch *w, const struct inotify_event *v)
{
	if (v->mask & IN_Q_OVERFLOW)
		on_lost(w);
	else if (v->mask & (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT))
		on_self(w, v->mask);
	else if (v->len && v->mask & (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO) &&
		 !(v->mask & IN_ISDIR))
		on_name(w, v);
	else if (v->len && v->mask & IN_MODIFY && !(v->mask & IN_ISDIR) && fits(v->name))
		on_data(w, v->name);
}

static void watch_destroy(struct watch *w)
{
	slots_clear(w);
	rename_forget(w);
	free(w->from);
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
		flush_from(w);
	if (w->tick && w->tick <= now)
		on_tick(w);
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
		tell(w, VOL_LOST, NULL, NULL, 0);
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
