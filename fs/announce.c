/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * announce.c - what inotify on the mount would not see otherwise: volumes that others
 * change behind poolfs, pools that start and stop by a verb or by themselves, and that
 * control/events has grown.
 *
 * A reader of events like any other, on a thread of its own; helper.c does what each
 * calls for. What came through the mount the kernel has told of itself: each such
 * request leaves a mark before it is answered, and an event that finds its mark is
 * not announced. So announcing, which changes nothing, cannot make events that are
 * announced. Bounded: of more than CALLS_MAX changes at a time only the directories
 * are touched; what pools do, and control/events, TOUCH_MS later and together. Never
 * waits for a driver, nor on the mount; what cannot be announced is dropped. With
 * noannounce it only lets the kernel find that a pool has stopped.
 */
#include "fs.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	CALLS_MAX = 128,
	DIRS_MAX = 32,                  /* touched as a whole; more: the root */
	BURST_PAUSE_MS = 100,           /* after more than CALLS_MAX */
	TOUCH_MS = 100,
	READ_BYTES = 64 << 10,
	WAIT_ANSWER_MS = 1000,          /* for a request under way, whose event is here */
	MARKS = 4096,
	MARK_MS = 10000,
	MARK_WRITTEN_MS = 1000,         /* its sizes are told late */
	END_SECONDS = 2,
	RETRY_MAX = 8,                  /* a name that the kernel still knows, in one go */
};

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake;
static bool news, ending;               /* mu */
static atomic_bool running;

/* ---- marks ------------------------------------------------------------------------- */

static struct mark {
	uint64_t key, until;
} marks[MARKS];
static pthread_mutex_t marks_mu = PTHREAD_MUTEX_INITIALIZER;

static uint64_t add(uint64_t h, const char *text)
{
	return hash_add(hash_add(h, text, strlen(text)), "/", 1);
}

static uint64_t key_of(char op, const char *dir, const char *name, const char *to)
{
	const char text[2] = { op };
	uint64_t h = add(add(add(add(HASH_BEGIN, text), dir), name), to ? to : "");

	return h ? h : 1;
}

static void mark_set(uint64_t key, unsigned ms)
{
	uint64_t t = now_ms();
	struct mark *at = NULL;

	pthread_mutex_lock(&marks_mu);
	for (unsigned i = 0; i < 16; i++) {
		struct mark *m = &marks[((key ^ key >> 32) + i) % MARKS];

		if (m->until <= t) {
			at = m;
			break;
		}
		if (!at || m->until < at->until)
			at = m;
	}
	*at = (struct mark){ key, t + ms };
	pthread_mutex_unlock(&marks_mu);
}

/* keep: it stands for more than one event. */
static bool mark_take(uint64_t key, bool keep)
{
	uint64_t t = now_ms();
	bool found = false;

	pthread_mutex_lock(&marks_mu);
	for (unsigned i = 0; i < 16 && !found; i++) {
		struct mark *m = &marks[((key ^ key >> 32) + i) % MARKS];

		found = m->key == key && m->until > t;
		if (found && !keep)
			m->until = 0;
	}
	pthread_mutex_unlock(&marks_mu);
	return found;
}

static void own(bool yes, char op, const char *dir, const char *name, const char *to)
{
	uint64_t key = key_of(op, dir, name, to);

	if (yes)
		mark_set(key, op == 't' ? MARK_WRITTEN_MS : MARK_MS);
	else
		mark_take(key, false);
}

void announce_own(struct req *r, bool yes)
{
	const char *dir = r->tells == 't' ? run_name(r->node->run) : helper_dir(r->node);

	if (!atomic_load(&running) || !dir)
		return;
	if (r->tells == 't') {
		_cleanup_free_ char *name = node_name(r->node);

		own(yes, 't', dir, name, NULL);
		return;
	}
	own(yes, r->tells, dir, r->name, r->name2);
	if (r->tells == 'm' && r->flags & RENAME_EXCHANGE) {    /* as drivers tell of it */
		own(yes, 'm', dir, r->name2, r->name);
		own(yes, 'c', dir, r->name2, NULL);
	}
}

/* Did the kernel itself tell of it, or will it in a moment? */
static bool is_own(const struct change_call *c)
{
	uint64_t until = now_ms() + WAIT_ANSWER_MS;

	/* In this order: the mark comes before the answer. */
	while (req_tells(c) && now_ms() < until)
		usleep(2000);
	return mark_take(key_of(c->op, c->dir, c->name, c->to), c->op == 't');
}

/* Its writers' writes are told of by the kernel. */
static bool is_being_written(const char *pool, const char *name)
{
	struct node *root = node_by_id(FUSE_ROOT_ID), *dir = node_find(root, pool), *n = NULL;
	bool yes = false;

	if (dir && dir->kind == N_POOL)
		n = node_find(dir, name);
	if (n) {
		pthread_mutex_lock(&n->mu);
		for (struct handle *h = n->handles; h; h = h->next)
			yes |= (h->flags & O_ACCMODE) != O_RDONLY;
		pthread_mutex_unlock(&n->mu);
		node_put(n, 1);
	}
	if (dir)
		node_put(dir, 1);
	node_put(root, 1);
	return yes;
}

/* ---- what is to be done ---------------------------------------------------------------- */

static struct change_call calls[CALLS_MAX];     /* the thread's, as all here */
static unsigned call_count;
static char *dirs[DIRS_MAX];
static unsigned dir_count;
static struct change_call later[CALLS_MAX];     /* of pools */
static unsigned later_count;

static void dir_touch(const char *dir)
{
	for (unsigned i = 0; i < dir_count; i++)
		if (!strcmp(dirs[i], dir) || !*dirs[i])
			return;
	if (dir_count == DIRS_MAX) {
		while (dir_count)
			free(dirs[--dir_count]);
		dir = "";
	}
	dirs[dir_count++] = xstrdup(dir);
}

static void change(char op, const char *dir, const char *name, const char *to)
{
	struct change_call c = { .op = op, .dir = (char *)dir, .name = (char *)name,
				 .to = (char *)to };

	bool wait = op == 'd' || (op == 'r' && *dir);

	if (is_own(&c))
		return;
	if ((wait ? later_count : call_count) == CALLS_MAX) {
		dir_touch(dir);
		return;
	}
	c.dir = xstrdup(dir);
	c.name = xstrdup(name);
	c.to = to ? xstrdup(to) : NULL;
	if (wait)
		later[later_count++] = c;
	else
		calls[call_count++] = c;
}

static void change_call_free(struct change_call *c)
{
	free(c->dir);
	free(c->name);
	free(c->to);
}

/* EEXIST: the kernel knows the name already. If only for a moment, it is done then;
 * else the name is touched, so that there is an event at least. */
static void perform(struct change_call *c, unsigned *retries)
{
	struct change_call touch = { .op = 'a', .dir = c->dir,
				     .name = c->to ? c->to : c->name };
	bool known;
	int rc = helper_call(c, &known);

	if (rc == EEXIST && !known && *retries) {
		--*retries;
		usleep((unsigned)(opt.cache * 1e6) + 10000);
		rc = helper_call(c, &known);
	}
	if (rc == EEXIST)
		helper_call(&touch, &known);
}

/* True: there was more than could be done. */
static bool perform_all(void)
{
	unsigned retries = RETRY_MAX;
	bool burst = dir_count;

	for (unsigned i = 0; i < call_count; i++) {
		perform(&calls[i], &retries);
		change_call_free(&calls[i]);
	}
	call_count = 0;
	while (dir_count) {
		bool known;
		struct change_call c = { .op = 'a', .dir = dirs[--dir_count], .name = "" };

		helper_call(&c, &known);
		free(c.dir);
	}
	return burst;
}

/* What a user does on the mount is followed by this: not at once, or an unmount right
 * behind would find the mount busy. */
static void perform_later(void)
{
	static const struct change_call grown = { .op = 't', .dir = "control", .name = "events" };
	unsigned retries = 0;
	bool known;

	for (unsigned i = 0; i < later_count; i++) {
		perform(&later[i], &retries);
		change_call_free(&later[i]);
	}
	later_count = 0;
	if (opt.announce)
		helper_call(&grown, &known);
}

/* ---- events ---------------------------------------------------------------------------- */

/* Undoes name_escape, in place. */
static char *unescape(char *text)
{
	char *to = text;

	for (char *c = text; *c; to++) {
		if (c[0] == '\\' && c[1] && c[2] && c[3]) {
			*to = (char)((c[1] - '0') << 6 | (c[2] - '0') << 3 | (c[3] - '0'));
			c += 4;
		} else {
			*to = *c++;
		}
	}
	*to = 0;
	return text;
}

/* mkdir may have succeeded before the start had failed. */
static bool was_seen(const char *pool)
{
	struct node *root = node_by_id(FUSE_ROOT_ID), *n = node_find(root, pool);
	bool yes = n;

	if (n)
		node_put(n, 1);
	node_put(root, 1);
	return yes;
}

/* Does the kernel know control/pools/NAME/volumes? */
static bool volumes_seen(const char *pool)
{
	const char *const path[] = { "control", "pools", pool, "volumes", NULL };
	struct node *n = node_by_id(FUSE_ROOT_ID);

	for (const char *const *name = path; n && *name; name++) {
		struct node *child = node_find(n, *name);

		node_put(n, 1);
		n = child;
	}
	bool yes = n;
	if (n)
		node_put(n, 1);
	return yes;
}

/* The kernel lets go of the names of a pool that has stopped, and so the driver of its
 * storage. It does that for whoever finds them gone, and locks their directory for it:
 * nothing for a thread of the daemon to do. */
static void on_stopped(const char *pool)
{
	_cleanup_free_ char *dir = xasprintf("control/pools/%s", pool);

	if (call_count + 2 > CALLS_MAX)
		perform_all();
	change('r', "", pool, NULL);
	if (volumes_seen(pool))
		change('l', dir, "volumes", NULL);
}

static void on_pool(const char *what, const char *pool, const char *detail)
{
	char op = !strcmp(what, "started") || !strcmp(what, "defined") ? 'd' : 'r';

	if (!strcmp(what, "failed") && !was_seen(pool))
		return;
	if (!strcmp(what, "stopped"))
		on_stopped(pool);
	if (!opt.announce)
		return;
	if (!strcmp(what, "started") || !strcmp(what, "stopped") || !strcmp(what, "failed")) {
		if (strcmp(what, "stopped"))
			change(op, "", pool, NULL);
		change(op, "control/active", pool, NULL);
	} else if (!strcmp(what, "defined") || !strcmp(what, "undefined")) {
		change(op, "control/pools", pool, NULL);
	} else if (!strcmp(what, "renamed") && detail) {
		change('r', "control/pools", pool, NULL);
		change('d', "control/pools", detail, NULL);
	}
}

static void on_volume(const char *what, const char *pool, const char *name, const char *detail)
{
	if (!strcmp(what, "created"))
		change('c', pool, name, NULL);
	else if (!strcmp(what, "deleted"))
		change('u', pool, name, NULL);
	else if (!strcmp(what, "renamed") && detail)
		change('m', pool, name, detail);
	else if (!strcmp(what, "resized") && !is_being_written(pool, name))
		change('t', pool, name, NULL);
}

/* NUMBER TIME WHAT POOL [SUBJECT] [DETAIL], or "lost N". */
static void on_line(char *line)
{
	char *save, *word[6] = { NULL };
	unsigned n = 0;

	for (char *w = strtok_r(line, " ", &save); w && n < 6; w = strtok_r(NULL, " ", &save))
		word[n++] = w;
	if (n == 2 && !strcmp(word[0], "lost"))
		dir_touch("");
	if (n < 4 || (!opt.announce && strcmp(word[2], "pool-stopped")))
		return;
	for (unsigned i = 3; i < n; i++)
		unescape(word[i]);
	if (!strcmp(word[2], "volumes-changed"))
		dir_touch(word[3]);
	else if (!strncmp(word[2], "volume-", 7) && n > 4)
		on_volume(word[2] + 7, word[3], word[4], word[5]);
	else if (!strncmp(word[2], "pool-", 5))
		on_pool(word[2] + 5, word[3], word[4]);
}

static struct event_reader reader;

/* False: there is nothing more. */
static bool read_some(char *data)
{
	ssize_t len = events_read(&reader, data, READ_BYTES, reader.next);
	char *save;

	if (len <= 0)
		return false;
	data[len] = 0;
	for (char *line = strtok_r(data, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		on_line(line);
	return true;
}

/* ---- the thread --------------------------------------------------------------------------- */

static bool is_ending(void)
{
	pthread_mutex_lock(&mu);
	bool yes = ending;
	pthread_mutex_unlock(&mu);
	return yes;
}

static bool wait_for_news(uint64_t touch_due)
{
	bool go;

	pthread_mutex_lock(&mu);
	while (!news && !ending && (!touch_due || now_ms() < touch_due)) {
		if (touch_due)
			cond_wait_until(&wake, &mu, touch_due);
		else
			pthread_cond_wait(&wake, &mu);
	}
	news = false;
	go = !ending;
	pthread_mutex_unlock(&mu);
	return go;
}

static void *announce_thread(void *arg)
{
	char *data = xmalloc(READ_BYTES + 1);
	uint64_t touch_due = 0;

	(void)arg;
	while (wait_for_news(touch_due)) {
		bool burst = false;

		while (!is_ending() && read_some(data)) {
			if (!touch_due)
				touch_due = now_ms() + TOUCH_MS;
			burst |= perform_all();
		}
		if (touch_due && now_ms() >= touch_due) {
			perform_later();
			touch_due = 0;
		}
		if (burst)
			usleep(BURST_PAUSE_MS * 1000);
	}
	helper_end();
	free(data);
	for (unsigned i = 0; i < later_count; i++)
		change_call_free(&later[i]);
	event_reader_release(&reader);
	pthread_mutex_lock(&mu);
	atomic_store(&running, false);
	pthread_cond_broadcast(&wake);
	pthread_mutex_unlock(&mu);
	return NULL;
}

static void announce_wake(void)
{
	poll_wake();
	pthread_mutex_lock(&mu);
	news = true;
	pthread_cond_broadcast(&wake);
	pthread_mutex_unlock(&mu);
}

void announce_begin(void)
{
	cond_init(&wake);
	atomic_store(&running, true);
	if (!thread_run(announce_thread, NULL))
		atomic_store(&running, false);
	events_on_new(atomic_load(&running) ? announce_wake : poll_wake);
}

void announce_end(void)
{
	uint64_t until = now_ms() + END_SECONDS * 1000;

	pthread_mutex_lock(&mu);
	ending = true;
	pthread_cond_broadcast(&wake);
	while (atomic_load(&running) && cond_wait_until(&wake, &mu, until))
		;
	pthread_mutex_unlock(&mu);
	if (atomic_load(&running))
		helper_kill();
}
