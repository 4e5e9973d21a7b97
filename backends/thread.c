/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * thread.c - locks, waits with an end, and detached threads, for all floors.
 *
 * What cannot fail but by a bug aborts; that there is no thread to be had is told.
 */
#include "backend.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>

void mutex_lock(pthread_mutex_t *m)
{
	if (pthread_mutex_lock(m))
		abort();
}

void mutex_unlock(pthread_mutex_t *m)
{
	if (pthread_mutex_unlock(m))
		abort();
}

void cond_init(pthread_cond_t *c)
{
	pthread_condattr_t a;

	if (pthread_condattr_init(&a) || pthread_condattr_setclock(&a, CLOCK_MONOTONIC) ||
	    pthread_cond_init(c, &a))
		abort();
	pthread_condattr_destroy(&a);
}

bool cond_wait_until(pthread_cond_t *c, pthread_mutex_t *m, uint64_t until)
{
	uint64_t now = now_ms();
	struct timespec t;

	if (now >= until)
		return false;
	/* now_ms() may be coarser than the clock: wait relative to the clock. */
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += (time_t)((until - now) / 1000);
	t.tv_nsec += (long)((until - now) % 1000) * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	pthread_cond_timedwait(c, m, &t);
	return true;
}

bool thread_start(void *(*f)(void *), void *arg)
{
	sigset_t all, old;
	pthread_t t;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&t, NULL, f, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!rc)
		pthread_detach(t);
	return !rc;
}
