/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * queue.c - where requests run: on the thread that read them, or, when a pool has too
 * many under way, on one that has become free.
 *
 * Called by the operations (req_run) and by what ends asynchronously (req_end). Each pool
 * has a queue, and what belongs to none has control_queue. Answers nothing itself, but
 * that a pool cannot be entered.
 */
#include "fs.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local struct queue *serving;     /* whose requests this thread works on */

bool thread_may_block(void)
{
	return serving;
}

struct queue *queue_new(unsigned limit)
{
	struct queue *q = xcalloc(1, sizeof *q);

	q->limit = limit;
	pthread_mutex_init(&q->mu, NULL);
	q->last = &q->first;
	return q;
}

void queue_free(struct queue *q)
{
	if (!q)
		return;
	assert(!q->first && !q->threads && !q->async);
	pthread_mutex_destroy(&q->mu);
	free(q);
}

/* Out of the queue, where it would stay as long as the pool is stalled. */
bool req_unqueue(struct req *r)
{
	struct queue *q = r->queue;
	struct req **p;
	bool found;

	pthread_mutex_lock(&q->mu);
	for (p = &q->first; *p && *p != r; p = &(*p)->next)
		;
	found = *p;
	if (found) {
		*p = r->next;
		if (!*p)
			q->last = p;
	}
	pthread_mutex_unlock(&q->mu);
	return found;
}

/* True: the request is over. False: its completion calls req_end. */
static bool work(struct req *r)
{
	int rc = 0;
	bool async;

	r->queued = false;
	if (atomic_load(&r->answered))
		return true;
	if (r->run) {           /* waits while the pool starts or stops */
		rc = run_enter(r->run, &r->call, r->op, &r->err);
		r->entered = rc == 0;
	}
	if (rc < 0) {
		req_fail(r, rc);
		return true;
	}
	if (!req_begin_io(r))
		return true;
	atomic_fetch_add(&r->refs, 1);  /* an asynchronous end may come before fn returns */
	r->fn(r);
	async = r->is_async;
	req_put(r);
	return !async;
}

void req_async(struct req *r)
{
	r->is_async = true;
	pthread_mutex_lock(&r->queue->mu);
	r->queue->async++;
	pthread_mutex_unlock(&r->queue->mu);
}

static struct req *pop_locked(struct queue *q)
{
	struct req *r = q->async < POOL_ASYNC_MAX ? q->first : NULL;

	if (r) {
		q->first = r->next;
		if (!q->first)
			q->last = &q->first;
	}
	return r;
}

/* Runs r and then what waits in its queue, on this thread. */
static void serve(struct req *r)
{
	struct queue *q = r->queue;
	struct node *keep = node_get(r->node);  /* keeps q */

	serving = q;
	while (r) {
		loop_working();
		if (work(r))
			req_finish(r);
		pthread_mutex_lock(&q->mu);
		r = pop_locked(q);
		if (!r)
			q->threads--;
		pthread_mutex_unlock(&q->mu);
	}
	serving = NULL;
	node_put(keep, 1);
}

static void *serve_thread(void *arg)
{
	serve(arg);
	return NULL;
}

enum { KEEP_MIN = 256 << 10 };           /* less is copied quicker than it is mapped */

void req_own_data(struct req *r)
{
	char *mine;

	if (r->data_owned)
		return;
	r->data_owned = true;
	/* A secret's is wiped as a whole. */
	if (r->size >= KEEP_MIN && r->node->kind != N_SECRET)
		r->kept = loop_keep_buffer(r->data);
	if (r->kept)
		return;
	mine = xmalloc(r->size ? r->size : 1);
	if (r->data)
		memcpy(mine, r->data, r->size);
	r->data = mine;
}

void req_run(struct req *r, void (*fn)(struct req *), unsigned deadline_ms)
{
	struct queue *q = r->queue;
	bool full, gone;

	r->fn = fn;
	if (opt.debug)
		log_debug("node %llu %s %s by process %d", (unsigned long long)r->node->id, r->op,
			  r->name ? r->name : "", (int)r->ctx.pid);
	req_live(r, deadline_ms);
	pthread_mutex_lock(&q->mu);
	full = q->threads >= q->limit || q->async >= POOL_ASYNC_MAX;
	if (!full)
		q->threads++;
	pthread_mutex_unlock(&q->mu);
	if (!full) {
		serve(r);
		return;
	}
	if (r->data)                    /* the thread's buffer is used again */
		req_own_data(r);
	pthread_mutex_lock(&q->mu);
	if (q->threads < q->limit && q->async < POOL_ASYNC_MAX) {
		q->threads++;           /* a place became free meanwhile */
		pthread_mutex_unlock(&q->mu);
		serve(r);
		return;
	}
	r->next = NULL;
	r->queued = true;
	gone = atomic_load(&r->answered);       /* else who answers finds it here */
	if (!gone) {
		*q->last = r;
		q->last = &r->next;
	}
	pthread_mutex_unlock(&q->mu);
	if (gone)
		req_finish(r);
}

void req_end(struct req *r)
{
	struct queue *q = r->queue;
	struct node *keep = node_get(r->node);
	struct req *next = NULL;

	req_finish(r);
	pthread_mutex_lock(&q->mu);
	q->async--;
	/* This thread, if it serves q, looks there itself. If it does not, it is
	 * a driver's or the clock's, and must not wait. */
	if (serving != q && q->threads < q->limit) {
		next = pop_locked(q);
		q->threads += next != NULL;
	}
	pthread_mutex_unlock(&q->mu);
	if (next && !thread_run(serve_thread, next))
		serve(next);
	node_put(keep, 1);
}
