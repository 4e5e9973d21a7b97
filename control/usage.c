/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * usage.c - how full a running pool is, and how many volumes it has.
 *
 * Called by the front for statfs and by files.c for info. The driver is asked
 * on a thread of its own, one per run and only on demand, so that a pool that
 * hangs costs its caller a short wait once, and nothing after that; on that of
 * a caller who may hang, if there is none yet. Never keeps the driver's answer
 * from whoever asks next.
 */
#include "pool.h"
#include <string.h>
#include <time.h>

static bool count_one(void *arg, const char *name, uint64_t ino, mode_t type)
{
	(void)name;
	(void)ino;
	(void)type;
	++*(uint64_t *)arg;
	return true;
}

static void probe_report(struct run *r, const char *op, const struct err *e)
{
	if (!e->text[0])
		return;
	log_line(run_name(r), op, e->code, e->text);
	cpool_set_error(r->cp, e->text);
}

/* Asks the driver once; number: of the wish that this answers. */
static void probe_once(struct run *r, uint64_t number, bool count)
{
	struct pool_usage u = {0};
	struct err e = {0};
	uint64_t n = 0;
	struct call c;
	int urc, lrc = -1;
	bool in;

	urc = run_enter(r, &c, "usage", &e);
	in = !urc;
	if (in && (urc = pool_usage(r->pool, &u, &e)))
		probe_report(r, "usage", &e);
	mutex_lock(&r->lock);
	if (!urc) {
		r->probe.usage = u;
		r->probe.usage_known = true;
		r->probe.told = time(NULL);
	}
	r->probe.used = number;
	pthread_cond_broadcast(&r->changed);
	mutex_unlock(&r->lock);

	memset(&e, 0, sizeof(e));
	if (in && count && (lrc = pool_list(r->pool, count_one, &n, &e)))
		probe_report(r, "list", &e);
	mutex_lock(&r->lock);
	if (!lrc) {
		r->probe.volumes = n;
		r->probe.volumes_known = true;
	}
	if (count)
		r->probe.counted = number;
	pthread_cond_broadcast(&r->changed);
	mutex_unlock(&r->lock);
	if (in)
		run_leave(&c);
}

/* Locked, but while it asks; for all wishes made by now. True: there are new ones, which
 * want what is there now. */
static bool probe_pass(struct run *r)
{
	struct probe *p = &r->probe;
	uint64_t number = p->asked;
	bool count = p->count;

	p->since = now_ms();
	p->count = false;
	mutex_unlock(&r->lock);
	probe_once(r, number, count);
	mutex_lock(&r->lock);
	return p->asked != p->used || p->count;
}

static void *probe_thread(void *arg)
{
	struct run *r = arg;

	mutex_lock(&r->lock);
	while (probe_pass(r))
		;
	r->probe.running = false;
	mutex_unlock(&r->lock);
	run_put(r);
	return NULL;
}

/* Locked; the caller has a reference, too. */
static bool probe_start(struct run *r)
{
	run_get(r);
	r->probe.running = thread_start(probe_thread, r);
	if (!r->probe.running)
		atomic_fetch_sub(&r->refs, 1);
	return r->probe.running;
}

static void probe_wait(struct run *r, bool here, unsigned wait_ms, bool count)
{
	uint64_t until = now_ms() + wait_ms, mine;
	struct probe *p = &r->probe;

	while (r->unwatched && r->state == POOL_ACTIVE && cond_wait_until(&r->changed, &r->lock, until))
		;
	/* What starts or stops answers no question. */
	if (r->state != POOL_ACTIVE || (p->running && now_ms() - p->since > PROBE_LATE_MS))
		return;
	mine = ++p->asked;
	p->count |= count;
	if (!p->running && here) {
		p->running = true;
		p->running = probe_pass(r) && probe_start(r);
		return;
	}
	if (!p->running) {
		p->since = now_ms();
		if (!probe_start(r))
			return;
	}
	while ((p->used < mine || (count && p->counted < mine)) &&
	       cond_wait_until(&r->changed, &r->lock, until))
		;
}

bool run_usage(struct run *r, unsigned wait_ms, struct pool_usage *u)
{
	bool known;

	mutex_lock(&r->lock);
	probe_wait(r, false, wait_ms, false);
	known = r->probe.usage_known;
	*u = r->probe.usage;
	mutex_unlock(&r->lock);
	return known;
}

void run_take_sample(struct run *r, struct run_sample *s)
{
	mutex_lock(&r->lock);
	*s = (struct run_sample){
		.known = r->probe.usage_known,
		.usage = r->probe.usage,
		.told = r->probe.told,
	};
	for (struct holder *h = r->holders; h; h = h->next)
		s->open += *h->name != 0;
	mutex_unlock(&r->lock);
}

void run_info(struct run *r, enum ask ask, struct pool_usage *u, bool *u_known,
	      uint64_t *volumes, bool *volumes_known)
{
	mutex_lock(&r->lock);
	if (ask != ASK_NOBODY)
		probe_wait(r, ask == ASK_HERE, SHOW_WAIT_MS, true);
	*u = r->probe.usage;
	*u_known = r->probe.usage_known;
	*volumes = r->probe.volumes;
	*volumes_known = r->probe.volumes_known;
	mutex_unlock(&r->lock);
}
