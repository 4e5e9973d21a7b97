/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * loop.c - the threads that read requests from the kernel.
 *
 * One rule: while a thread works on a request, another one reads. So a request
 * may be worked on where it was read, without a hand-over, and may block; how
 * many of one pool may do so is queue.c's to say. libfuse's own loop is
 * not used because its end waits for every thread, and one may hang in a
 * driver for ever.
 *
 * The kernel wakes readers in turn, so few of them read while one request
 * follows the other: each of many would come from a cold cache. Others wait
 * here for a while, since a thread costs more to make than to wake.
 */
#include "fs.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	READERS_CALM = 2,               /* that go on reading */
	READERS_BUSY = 4,               /* the same, while there were too few of late */
	BUSY_REQUESTS = 64,             /* what "of late" means */
	PARKED_MAX = 8,
	PARKED_SECONDS = 2,
	SPARE_MAX = 4,
};

/* A thread that waits to read, on its own stack. */
struct parked {
	pthread_cond_t wake;
	bool woken;
	struct parked *next;
};

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static unsigned readers;                /* reading, or about to without waiting */
static unsigned busy;                   /* requests until it counts as calm */
static struct parked *parked;           /* the last one first: its cache is warm */
static unsigned parked_count;
static atomic_bool ended;
static _Thread_local bool in_loop, counted;     /* counted: among the readers */

/* What a request has kept of them goes round: new memory costs a fault a page. */
static void *spare[SPARE_MAX];
static unsigned spare_count;
static _Thread_local struct fuse_buf *reading;  /* what this thread reads into */

static void *loop_thread(void *arg);

static void spawn_locked(void)
{
	readers++;
	if (!thread_run(loop_thread, NULL)) {
		readers--;
		if (!readers)
			log_line("", "", EAGAIN, "no thread can be made to read requests");
	}
}

/* This thread works now: another one must read. */
static void leave_readers(void)
{
	pthread_mutex_lock(&mu);
	counted = false;
	if (--readers == 0) {
		busy = BUSY_REQUESTS;
		if (parked) {
			struct parked *p = parked;

			parked = p->next;
			parked_count--;
			p->woken = true;
			readers++;
			pthread_cond_signal(&p->wake);
		} else {
			spawn_locked();
		}
	}
	pthread_mutex_unlock(&mu);
}

static bool wait_parked(void)
{
	struct parked me = { .next = parked }, **p;
	struct timespec until;

	pthread_cond_init(&me.wake, NULL);
	parked = &me;
	parked_count++;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PARKED_SECONDS;
	while (!me.woken && !pthread_cond_timedwait(&me.wake, &mu, &until))
		;
	if (!me.woken) {
		for (p = &parked; *p != &me; p = &(*p)->next)
			;
		*p = me.next;
		parked_count--;
	}
	pthread_cond_destroy(&me.wake);
	return me.woken;
}

/* False: enough others read; this thread ends. */
static bool join_readers(void)
{
	bool yes = true;

	pthread_mutex_lock(&mu);
	busy -= busy > 0;
	if (!counted) {
		if (readers < (busy ? READERS_BUSY : READERS_CALM))
			readers++;
		else
			yes = !atomic_load(&ended) && parked_count < PARKED_MAX && wait_parked();
	}
	counted = yes;
	pthread_mutex_unlock(&mu);
	return yes;
}

void loop_answering(void)
{
	if (!in_loop || counted)
		return;
	pthread_mutex_lock(&mu);
	counted = true;
	readers++;
	pthread_mutex_unlock(&mu);
}

void loop_working(void)
{
	if (in_loop && counted)
		leave_readers();
}

void *loop_keep_buffer(const void *data)
{
	char *mem = reading ? reading->mem : NULL;

	if (!mem || (const char *)data < mem || (const char *)data >= mem + reading->size)
		return NULL;
	reading->mem = NULL;
	return mem;
}

void loop_return_buffer(void *mem)
{
	pthread_mutex_lock(&mu);
	if (spare_count < SPARE_MAX && !atomic_load(&ended)) {
		spare[spare_count++] = mem;
		mem = NULL;
	}
	pthread_mutex_unlock(&mu);
	free(mem);
}

/* NULL: libfuse makes one. */
static void *spare_take(void)
{
	void *mem;

	pthread_mutex_lock(&mu);
	mem = spare_count ? spare[--spare_count] : NULL;
	pthread_mutex_unlock(&mu);
	return mem;
}

static void *loop_thread(void *arg)
{
	struct fuse_buf buf = { .mem = NULL };

	(void)arg;
	in_loop = counted = true;
	reading = &buf;
	do {
		int n;

		if (!buf.mem)
			buf.mem = spare_take();
		do
			n = fuse_session_receive_buf(session, &buf);
		while (n == -EINTR || n == -EAGAIN);
		if (n <= 0) {           /* unmounted, or the connection was aborted */
			if (!atomic_exchange(&ended, true))
				kill(getpid(), SIGUSR1);
			break;
		}
		leave_readers();
		fuse_session_process_buf(session, &buf);
	} while (join_readers());
	reading = NULL;
	free(buf.mem);
	free(spare_take());             /* it has become calm */
	return NULL;
}

void loop_run(void)
{
	pthread_mutex_lock(&mu);
	spawn_locked();
	spawn_locked();
	pthread_mutex_unlock(&mu);
}

bool loop_ended(void)
{
	return atomic_load(&ended);
}
