/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fault.c - makes the Nth call of an operation fail, wait or hang, for tests.
 *
 * Called by the wrappers in backend.c, before a driver sees a call. Requests
 * that were submitted wait in a queue here, with no thread of their own; a
 * thread that looks at the clock and a few that pass requests on come when
 * there is something to do, and go. Never calls io_done() or a driver under
 * its lock, and never looks into a request that is not held here.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "fault.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WORKERS_MAX = 4, DELAY_MAX_MS = 24 * 3600 * 1000 };

enum act { ACT_FAIL, ACT_DELAY, ACT_HANG };

struct rule {
	struct rule *next;
	char *pool;             /* a name or "*" */
	enum op op;
	uint64_t nth;           /* 0: every call */
	enum act act;
	uint64_t value;         /* errno or milliseconds */
	uint64_t calls;
	unsigned held;
};

/* A submitted request that waits, in `held` or in `ready`. */
struct held {
	struct held *prev, *next;
	struct io *io;
	struct rule *rule;      /* while in `held` */
	uint64_t due;           /* of now_ms(); UINT64_MAX: until cleared */
};

/* A thread that hands io to a driver right now. */
struct passing {
	struct passing *next;
	struct io *io;
};

struct queue {
	struct held *first, *last;
};

atomic_bool fault_on;

/* The lock covers all that follows. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_cond_t cleared;          /* clears was raised */
static pthread_cond_t timer_wake;       /* `held` has another first */
static pthread_cond_t passed;           /* a thread is through with its io */
static struct rule *rules, **rules_end = &rules;
static uint64_t clears;                 /* rules of before are gone */
static struct queue held;               /* sorted by due */
static struct queue ready;              /* to be passed on, in order */
static struct passing *passing;
static bool timer_runs;
static unsigned workers;

static void conds_init(void)
{
	cond_init(&cleared);
	cond_init(&timer_wake);
	cond_init(&passed);
}

static void lock_take(void)
{
	pthread_once(&once, conds_init);
	mutex_lock(&lock);
}

static void lock_give(void)
{
	mutex_unlock(&lock);
}

/* Waits until due at most, with the lock held. */
static void wait_until(pthread_cond_t *c, uint64_t due)
{
	if (due == UINT64_MAX)
		pthread_cond_wait(c, &lock);
	else
		cond_wait_until(c, &lock, due);
}

static void thread_begin(void *(*main)(void *))
{
	if (!thread_start(main, NULL))
		abort();
}

/* ---- queues, with the lock held ------------------------------------------ */

static void queue_remove(struct queue *q, struct held *h)
{
	*(h->prev ? &h->prev->next : &q->first) = h->next;
	*(h->next ? &h->next->prev : &q->last) = h->prev;
	h->prev = h->next = NULL;
}

/* From the end, where nearly all belong. */
static void queue_insert(struct queue *q, struct held *h)
{
	struct held *after = q->last;

	while (after && after->due > h->due)
		after = after->prev;
	h->prev = after;
	h->next = after ? after->next : q->first;
	*(h->prev ? &h->prev->next : &q->first) = h;
	*(h->next ? &h->next->prev : &q->last) = h;
}

static struct held *queue_find(struct queue *q, const struct io *io)
{
	struct held *h = q->first;

	while (h && h->io != io)
		h = h->next;
	return h;
}

static void passing_remove(struct passing *me)
{
	struct passing **p = &passing;

	while (*p != me)
		p = &(*p)->next;
	*p = me->next;
}

static bool is_passing(const struct io *io)
{
	for (struct passing *p = passing; p; p = p->next)
		if (p->io == io)
			return true;
	return false;
}

/* ---- threads -------------------------------------------------------------- */

static void *worker_main(void *arg)
{
	(void)arg;
	lock_take();
	while (ready.first) {
		struct held *h = ready.first;
		struct passing me = { .next = passing, .io = h->io };

		queue_remove(&ready, h);
		passing = &me;
		lock_give();
		free(h);
		io_pass(me.io);
		lock_take();
		passing_remove(&me);
		pthread_cond_broadcast(&passed);
	}
	workers--;
	lock_give();
	return NULL;
}

/* A synchronous driver may block the thread that calls it: not the timer. */
static void held_release(struct held *h)
{
	queue_remove(&held, h);
	if (h->rule)
		h->rule->held--;
	h->rule = NULL;
	h->due = 0;             /* so that `ready` keeps its order */
	queue_insert(&ready, h);
	if (workers < WORKERS_MAX) {
		workers++;
		thread_begin(worker_main);
	}
}

/* Lives while something is due some day. */
static void *timer_main(void *arg)
{
	(void)arg;
	lock_take();
	while (held.first && held.first->due != UINT64_MAX) {
		if (held.first->due <= now_ms())
			held_release(held.first);
		else
			wait_until(&timer_wake, held.first->due);
	}
	timer_runs = false;
	lock_give();
	return NULL;
}

/* ---- rules ---------------------------------------------------------------- */

/* Counts the call at each rule it fits; returns the first that acts on it. */
static struct rule *rule_match(const char *pool, enum op op)
{
	struct rule *found = NULL;

	for (struct rule *r = rules; r; r = r->next) {
		if (r->op != op || (strcmp(r->pool, "*") != 0 && strcmp(r->pool, pool) != 0))
			continue;
		r->calls++;
		if (!found && (r->nth == 0 || r->calls == r->nth))
			found = r;
	}
	return found;
}

static int rule_fail(const struct rule *r, struct err *e)
{
	return err_set(e, (int)r->value, "a fault rule makes call %llu of '%s' fail with %s",
		       (unsigned long long)r->calls, op_names[r->op],
		       strerrorname_np((int)r->value));
}

int fault_hit(struct pool *p, enum op op, struct err *e)
{
	struct rule *r;
	uint64_t due, now;
	int rc = 0;

	lock_take();
	r = rule_match(p->def->name, op);
	if (r && r->act == ACT_FAIL) {
		rc = rule_fail(r, e);
	} else if (r) {
		due = r->act == ACT_HANG ? UINT64_MAX : now_ms() + r->value;
		now = clears;
		r->held++;
		while (now == clears && now_ms() < due)
			wait_until(&cleared, due);
		if (now == clears)
			r->held--;      /* else the rule is gone */
	}
	lock_give();
	return rc;
}

bool fault_take(struct pool *p, enum op op, struct io *io)
{
	struct rule *r;
	struct held *h;
	int rc;

	lock_take();
	r = rule_match(p->def->name, op);
	if (!r) {
		lock_give();
		return false;
	}
	if (r->act == ACT_FAIL) {
		rc = rule_fail(r, &io->err);
		lock_give();
		io_done(io, rc);
		return true;
	}
	h = xcalloc(1, sizeof *h);
	h->io = io;
	h->rule = r;
	h->due = r->act == ACT_HANG ? UINT64_MAX : now_ms() + r->value;
	r->held++;
	queue_insert(&held, h);
	if (h->due != UINT64_MAX && !timer_runs) {
		timer_runs = true;
		thread_begin(timer_main);
	} else if (held.first == h) {
		pthread_cond_signal(&timer_wake);
	}
	lock_give();
	return true;
}

bool fault_cancel(struct io *io, bool async)
{
	struct held *h;

	lock_take();
	h = queue_find(&held, io);
	if (h) {
		queue_remove(&held, h);
		h->rule->held--;
		pthread_cond_signal(&timer_wake);
	} else {
		h = queue_find(&ready, io);
		if (h)
			queue_remove(&ready, h);
	}
	/* A driver must not be told of a request before it was given it. */
	while (!h && async && is_passing(io))
		wait_until(&passed, UINT64_MAX);
	lock_give();
	if (!h)
		return false;
	free(h);
	io->err.code = ECANCELED;
	io_done(io, -ECANCELED);
	return true;
}

static void rules_clear(void)
{
	struct rule *r, *next;

	lock_take();
	clears++;
	fault_on = false;
	while (held.first) {
		held.first->rule = NULL;
		held_release(held.first);
	}
	for (r = rules; r; r = next) {
		next = r->next;
		free(r->pool);
		free(r);
	}
	rules = NULL;
	rules_end = &rules;
	pthread_cond_broadcast(&cleared);
	pthread_cond_signal(&timer_wake);
	lock_give();
}

/* Cuts the last word off the *len bytes of line; NULL when there is none. */
static char *word_cut(char *line, size_t *len)
{
	size_t n = *len;

	while (n && strchr(" \t\r\n", line[n - 1]))
		n--;
	line[n] = '\0';
	while (n && !strchr(" \t", line[n - 1]))
		n--;
	*len = n;
	return line[n] ? line + n : NULL;
}

static bool number_parse(const char *text, uint64_t max, uint64_t *value)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*value = strtoull(text, &end, 10);
	return errno == 0 && *end == '\0' && *value <= max;
}

static int errno_parse(const char *name)
{
	for (int code = 1; code < 256; code++) {
		const char *known = strerrorname_np(code);

		if (known && strcmp(known, name) == 0)
			return code;
	}
	return 0;
}

/* Read from the end: the name of a pool may contain blanks. */
static int rule_parse(char *line, struct rule *r, struct err *e)
{
	size_t i, len = strlen(line);
	const char *value = NULL, *act = word_cut(line, &len), *nth, *op;

	if (act && strcmp(act, "hang") != 0) {
		value = act;
		act = word_cut(line, &len);
	}
	nth = word_cut(line, &len);
	op = word_cut(line, &len);
	while (len && strchr(" \t", line[len - 1]))
		len--;
	if (!op || !len)
		return err_set(e, EINVAL, "a fault rule is: POOL OP N fail ERRNO, POOL OP N "
			       "delay MILLISECONDS, POOL OP N hang, or clear");
	if (strcmp(act, "fail") == 0) {
		r->act = ACT_FAIL;
		r->value = errno_parse(value);
		if (!r->value)
			return err_set(e, EINVAL, "unknown error '%s'; write it as in "
				       "'EIO'", value);
	} else if (strcmp(act, "delay") == 0) {
		r->act = ACT_DELAY;
		if (!number_parse(value, DELAY_MAX_MS, &r->value))
			return err_set(e, EINVAL, "bad number of milliseconds '%s'", value);
	} else if (strcmp(act, "hang") == 0) {
		r->act = ACT_HANG;
	} else {
		return err_set(e, EINVAL, "unknown fault '%s'; there are 'fail', 'delay' "
			       "and 'hang'", act);
	}
	if (!number_parse(nth, UINT64_MAX, &r->nth))
		return err_set(e, EINVAL, "bad number of a call '%s'", nth);
	for (i = 0; i < OP_COUNT && strcmp(op_names[i], op) != 0; i++)
		;
	if (i == OP_COUNT)
		return err_set(e, EINVAL, "unknown operation '%s'", op);
	r->op = (enum op)i;
	line[len] = '\0';
	r->pool = xstrdup(line);
	return 0;
}

int fault_rule(const char *line, struct err *e)
{
	_cleanup_free_ char *copy = xstrdup(line + strspn(line, " \t"));
	struct rule *r;
	size_t len = strlen(copy);
	int rc;

	while (len && strchr(" \t\r\n", copy[len - 1]))
		copy[--len] = '\0';
	if (strcmp(copy, "clear") == 0) {
		rules_clear();
		return 0;
	}
	r = xcalloc(1, sizeof *r);
	rc = rule_parse(copy, r, e);
	if (rc < 0) {
		free(r);
		return rc;
	}
	lock_take();
	*rules_end = r;
	rules_end = &r->next;
	fault_on = true;
	lock_give();
	return 0;
}

void fault_show(struct buf *out)
{
	lock_take();
	for (struct rule *r = rules; r; r = r->next) {
		buf_addf(out, "%s %s %llu ", r->pool, op_names[r->op],
			 (unsigned long long)r->nth);
		if (r->act == ACT_FAIL)
			buf_addf(out, "fail %s", strerrorname_np((int)r->value));
		else if (r->act == ACT_DELAY)
			buf_addf(out, "delay %llu", (unsigned long long)r->value);
		else
			buf_addf(out, "hang");
		buf_addf(out, ": %llu calls, %u held\n", (unsigned long long)r->calls,
			 r->held);
	}
	lock_give();
}
