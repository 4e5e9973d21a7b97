/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run.c - one run of a pool: who is inside its driver, which volumes are open,
 * and whether it has stalled.
 *
 * The front brackets each driver call by run_enter and run_leave; pool.c moves
 * a run's state. A run, its definition and its driver's memory live until the
 * last reference is gone, so a call that hangs for ever after a stop finds
 * all that it uses. Never calls a driver with a lock held.
 */
#include "pool.h"
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- life -------------------------------------------------------------------- */

uint16_t run_serial_first(const char *uuid)
{
	uint32_t h = 2166136261u;       /* FNV-1a */

	for (; *uuid; uuid++)
		h = (h ^ (unsigned char)*uuid) * 16777619u;
	return (uint16_t)(h % 32767 + 1);
}

struct run *run_new(struct cpool *cp, struct pool_def *def, uint16_t serial)
{
	struct run *r = xcalloc(1, sizeof(*r));

	atomic_init(&r->refs, 1);
	atomic_init(&r->dead, false);
	r->cp = cpool_get(cp);
	r->def = def;
	r->pool = backend_pool_new(backend_find(def->type), def);
	r->serial = serial;
	if (pthread_mutex_init(&r->lock, NULL))
		abort();
	cond_init(&r->changed);
	r->state = POOL_STARTING;
	r->calls.last = &r->calls.first;
	r->longs.last = &r->longs.first;
	r->path = xstrdup("daemon");
	return r;
}

struct run *run_get(struct run *r)
{
	atomic_fetch_add(&r->refs, 1);
	return r;
}

void run_put(struct run *r)
{
	if (!r || atomic_fetch_sub(&r->refs, 1) != 1)
		return;
	assert(!r->calls.first && !r->longs.first && !r->holders);
	backend_pool_free(r->pool);
	def_free(r->def);
	cpool_put(r->cp);
	pthread_cond_destroy(&r->changed);
	pthread_mutex_destroy(&r->lock);
	free(r->path);
	free(r);
}

struct cpool *run_cpool(struct run *r)
{
	return r->cp;
}

const char *run_name(struct run *r)
{
	return r->cp->name;
}

bool run_dead(struct run *r)
{
	return atomic_load(&r->dead);
}

uint16_t run_serial(struct run *r)
{
	return r->serial;
}

struct pool *run_pool(struct run *r)
{
	return r->pool;
}

void run_set_path(struct run *r, const char *text)
{
	char *old, *new = xstrdup(text);

	mutex_lock(&r->lock);
	old = r->path;
	r->path = new;
	mutex_unlock(&r->lock);
	free(old);
}

char *run_path(struct run *r)
{
	char *text;

	mutex_lock(&r->lock);
	text = xstrdup(r->path);
	mutex_unlock(&r->lock);
	return text;
}

void run_set_state(struct run *r, enum pool_state s, const struct err *why)
{
	mutex_lock(&r->lock);
	r->state = s;
	if (why)
		r->why = *why;
	if (s == POOL_INACTIVE || s == POOL_FAILED)
		atomic_store(&r->dead, true);
	pthread_cond_broadcast(&r->changed);
	mutex_unlock(&r->lock);
}

/* ---- calls ------------------------------------------------------------------- */

/* Locked. */
static void call_add(struct run *r, struct call *c, struct call_list *l, const char *what)
{
	c->run = run_get(r);
	c->what = what;
	c->since = now_ms();
	c->next = NULL;
	c->link = l->last;
	*l->last = c;
	l->last = &c->next;
}

static int enter(struct run *r, struct call *c, struct call_list *l, const char *what,
		 struct err *e)
{
	int rc = 0;

	mutex_lock(&r->lock);
	while (r->state == POOL_STARTING || r->state == POOL_STOPPING ||
	       (r->unwatched && r->state == POOL_ACTIVE))
		pthread_cond_wait(&r->changed, &r->lock);
	if (r->state == POOL_ACTIVE) {
		call_add(r, c, l, what);
	} else if (r->state == POOL_FAILED && r->why.code) {
		*e = r->why;
		rc = -e->code;
	} else {
		rc = err_set(e, ESTALE, "pool '%s' has been stopped", run_name(r));
	}
	mutex_unlock(&r->lock);
	return rc;
}

int run_enter(struct run *r, struct call *c, const char *what, struct err *e)
{
	return enter(r, c, &r->calls, what, e);
}

int run_enter_long(struct run *r, struct call *c, const char *what, struct err *e)
{
	return enter(r, c, &r->longs, what, e);
}

void run_watch_begin(struct run *r, struct call *c)
{
	mutex_lock(&r->lock);
	call_add(r, c, &r->calls, "watch");
	r->unwatched = true;
	mutex_unlock(&r->lock);
}

void run_watch_end(struct call *c)
{
	struct run *r = c->run;
	bool over;

	run_watch(r);
	mutex_lock(&r->lock);
	r->unwatched = false;
	over = r->state != POOL_ACTIVE && r->state != POOL_STOPPING;
	pthread_cond_broadcast(&r->changed);
	mutex_unlock(&r->lock);
	if (over)                       /* it hung, and the stop did not wait for it */
		pool_unwatch(r->pool);
	run_leave(c);
}

/* Locked. Told once for each time it stalls. */
static void tell_stalled(struct run *r, bool stalled)
{
	if (stalled == r->told_stalled || r->state != POOL_ACTIVE)
		return;
	r->told_stalled = stalled;
	event_pool(run_name(r), stalled ? "pool-stalled" : "pool-recovered",
		   stalled ? r->calls.first->what : NULL);
}

void run_leave(struct call *c)
{
	struct run *r = c->run;

	/* What the call left for later; not while the pool stops. */
	if (atomic_load(&r->pool->untidy))
		tidy_start(r);
	mutex_lock(&r->lock);
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	else if (r->calls.last == &c->next)
		r->calls.last = c->link;
	else
		r->longs.last = c->link;
	if (r->told_stalled && !r->calls.first)
		tell_stalled(r, false);
	if (r->state == POOL_STOPPING)
		pthread_cond_broadcast(&r->changed);
	mutex_unlock(&r->lock);
	c->run = NULL;
	run_put(r);
}

bool run_stalled(struct run *r)
{
	bool stalled;

	mutex_lock(&r->lock);
	stalled = r->calls.first && now_ms() - r->calls.first->since > CALL_STALLED_MS;
	tell_stalled(r, stalled);
	mutex_unlock(&r->lock);
	return stalled;
}

/* ---- open volumes -------------------------------------------------------------- */

/* Locked. */
static void holder_add(struct run *r, struct holder *h, const char *volume, pid_t pid)
{
	h->name = xstrdup(volume);
	h->pid = pid;
	h->next = r->holders;
	h->link = &r->holders;
	if (h->next)
		h->next->link = &h->next;
	r->holders = h;
}

void run_opened(struct run *r, struct holder *h, const char *volume, pid_t pid)
{
	mutex_lock(&r->lock);
	holder_add(r, h, volume, pid);
	mutex_unlock(&r->lock);
}

/* No volume has an empty name. */
bool run_list_opened(struct run *r, struct holder *h, pid_t pid)
{
	bool fits;

	mutex_lock(&r->lock);
	fits = r->state != POOL_STOPPING;
	if (fits)
		holder_add(r, h, "", pid);
	mutex_unlock(&r->lock);
	return fits;
}

void run_closed(struct run *r, struct holder *h)
{
	mutex_lock(&r->lock);
	*h->link = h->next;
	if (h->next)
		h->next->link = h->link;
	pthread_cond_broadcast(&r->changed);
	mutex_unlock(&r->lock);
	free(h->name);
	h->name = NULL;
}

void run_renamed(struct run *r, struct holder *h, const char *volume)
{
	char *old, *new = xstrdup(volume);

	mutex_lock(&r->lock);
	old = h->name;
	h->name = new;
	mutex_unlock(&r->lock);
	free(old);
}

static bool holder_find(struct run *r, const char *volume)
{
	struct holder *h;

	for (h = r->holders; h && strcmp(h->name, volume); h = h->next)
		;
	return h;
}

bool run_is_open(struct run *r, const char *volume)
{
	uint64_t until = now_ms() + CLOSE_GRACE_MS;
	bool open;

	mutex_lock(&r->lock);
	while ((open = holder_find(r, volume)) && cond_wait_until(&r->changed, &r->lock, until))
		;
	mutex_unlock(&r->lock);
	return open;
}

void run_settle(struct run *r)
{
	uint64_t until = now_ms() + CLOSE_GRACE_MS;

	mutex_lock(&r->lock);
	while (r->holders && cond_wait_until(&r->changed, &r->lock, until))
		;
	mutex_unlock(&r->lock);
}

/* "'cp' (1234)", or the number alone when the process is gone. */
static void process_name(pid_t pid, char *out, size_t size)
{
	char path[64], comm[64] = "";
	_cleanup_close_ int fd = -1;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && read(fd, comm, sizeof(comm) - 1) > 0) {
		comm[strcspn(comm, "\n")] = 0;
		snprintf(out, size, "'%s' (process %d)", comm, (int)pid);
	} else {
		snprintf(out, size, "process %d", (int)pid);
	}
}

static int busy_open(struct run *r, const char *volume, pid_t pid, size_t more,
		     struct err *e)
{
	char who[128] = "another program", others[64] = "";

	if (pid > 0)
		process_name(pid, who, sizeof(who));
	if (more)
		snprintf(others, sizeof(others), ", and %zu more open %s", more,
			 more == 1 ? "file is" : "files are");
	if (!*volume)
		return err_set(e, EBUSY, "pool '%s' is being listed by %s: wait until it has all "
			       "names, or end it", run_name(r), who);
	return err_set(e, EBUSY, "volume '%s' of pool '%s' is open in %s%s: close it first",
		       volume, run_name(r), who, others);
}

int run_quiesce(struct run *r, struct err *e)
{
	_cleanup_free_ char *volume = NULL;
	const char *work = NULL;
	size_t more = 0;
	pid_t pid = 0;

	mutex_lock(&r->lock);
	for (;;) {
		struct call *c = r->calls.first;

		if (r->longs.first) {
			work = r->longs.first->what;
			break;
		}
		if (r->holders) {
			volume = xstrdup(r->holders->name);
			pid = r->holders->pid;
			for (struct holder *h = r->holders->next; h; h = h->next)
				more++;
			break;
		}
		while (c && now_ms() - c->since >= CALL_HUNG_MS)
			c = c->next;
		if (!c)
			break;
		cond_wait_until(&r->changed, &r->lock, c->since + CALL_HUNG_MS);
	}
	mutex_unlock(&r->lock);
	if (work)
		return err_set(e, EBUSY, "a '%s' is under way in pool '%s': wait for its end "
			       "or interrupt it", work, run_name(r));
	if (volume)
		return busy_open(r, volume, pid, more, e);
	return 0;
}
