/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * loop.c - the threads that read requests from the kernel.
 *
 * One rule: while a thread works on a request, another one reads. So a request
 * may be worked on where it was read, without a hand-over, and may block; how
 * many of one pool may do so is request.c's to say. libfuse's own loop is
 * not used because its end waits for every thread, and one may hang in a
 * driver for ever.
 */
#include "fs.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { IDLE_MAX = 4 };

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static unsigned readers;                /* reading, or about to */
static atomic_bool ended;

static void *loop_thread(void *arg);

static void spawn_locked(void)
{
	pthread_attr_t a;
	pthread_t t;

	pthread_attr_init(&a);
	pthread_attr_setstacksize(&a, 256 << 10);
	pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
	readers++;
	if (pthread_create(&t, &a, loop_thread, NULL)) {
		readers--;
		if (!readers)
			log_line("", "", EAGAIN, "no thread can be made to read requests");
	}
	pthread_attr_destroy(&a);
}

static void *loop_thread(void *arg)
{
	struct fuse_buf buf = { .mem = NULL };

	(void)arg;
	for (;;) {
		int n = fuse_session_receive_buf(session, &buf);
		bool enough;

		if (n == -EINTR || n == -EAGAIN)
			continue;
		if (n <= 0) {           /* unmounted, or the connection was aborted */
			if (!atomic_exchange(&ended, true))
				kill(getpid(), SIGUSR1);
			break;
		}
		pthread_mutex_lock(&mu);
		if (--readers == 0)
			spawn_locked();
		pthread_mutex_unlock(&mu);
		fuse_session_process_buf(session, &buf);
		pthread_mutex_lock(&mu);
		enough = readers >= IDLE_MAX;
		readers += !enough;
		pthread_mutex_unlock(&mu);
		if (enough)
			break;
	}
	free(buf.mem);
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
