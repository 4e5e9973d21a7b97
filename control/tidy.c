/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tidy.c - what a driver leaves for later (deleting what is large, cutting a copy
 * loose from its source) and who tells of changes of a run's volumes.
 *
 * Called by run.c when a call has left something, and by pool.c around start and
 * stop. One thread a run does the driver's later work, as a job; a stop ends it, and
 * the next start goes on with it. Never holds a lock while the driver works.
 */
#include "pool.h"
#include <string.h>

enum { RETRY_MS = 30000 };      /* after a failure */

/* ---- later work ------------------------------------------------------------------ */

/* One pass. said: what was logged last; what stays as it is is not said again. */
static int tidy_pass(struct run *r, struct err *said)
{
	struct job j = {
		.progress = &r->tidy,
		.pool = run_name(r),
		.verb = "tidy",
		.subject = "",
		.lasting = true,
	};
	struct err e = {0};
	int rc;

	atomic_store(&r->tidy.done, 0);
	atomic_store(&r->tidy.total, 0);
	job_begin(&j);
	rc = pool_tidy(r->pool, &r->tidy, &e);
	job_end(&j, rc);
	if (rc < 0 && rc != -ECANCELED && (e.code != said->code || strcmp(e.text, said->text)))
		log_line(run_name(r), "tidy", e.code, e.text);
	*said = e;
	return rc;
}

/* Locked. True: another pass is due. */
static bool tidy_wait(struct run *r, bool failed)
{
	uint64_t until = now_ms() + RETRY_MS;

	while (failed && !atomic_load(&r->tidy.cancel) &&
	       cond_wait_until(&r->changed, &r->lock, until))
		;
	return !atomic_load(&r->tidy.cancel) &&
	       (failed || atomic_load(&r->pool->untidy));
}

static void *tidy_thread(void *arg)
{
	struct run *r = arg;
	struct err said = {0};
	bool again = true;

	while (again) {
		bool failed;

		atomic_store(&r->pool->untidy, false);
		failed = tidy_pass(r, &said) < 0;
		mutex_lock(&r->lock);
		again = tidy_wait(r, failed);
		if (!again) {
			r->tidying = false;
			pthread_cond_broadcast(&r->changed);
		}
		mutex_unlock(&r->lock);
	}
	run_put(r);
	return NULL;
}

void tidy_start(struct run *r)
{
	if (!r->pool->ops->tidy)
		return;
	mutex_lock(&r->lock);
	if (!r->tidying && r->state == POOL_ACTIVE) {
		atomic_store(&r->tidy.cancel, false);
		run_get(r);
		r->tidying = thread_start(tidy_thread, r);
		if (!r->tidying)        /* not the last one: the caller has his own */
			atomic_fetch_sub(&r->refs, 1);
	}
	mutex_unlock(&r->lock);
}

void tidy_stop(struct run *r, uint64_t until)
{
	mutex_lock(&r->lock);
	atomic_store(&r->tidy.cancel, true);
	pthread_cond_broadcast(&r->changed);
	while (r->tidying && cond_wait_until(&r->changed, &r->lock, until))
		;
	mutex_unlock(&r->lock);
}

/* ---- changes of volumes -------------------------------------------------------------- */

/* On the driver's thread, or that of the call which made the change; none of them is
 * under way any more when the run is freed. */
static void changed(void *arg, enum vol_change what, const char *name, const char *to,
		    uint64_t size)
{
	event_volume(run_name(arg), what, name, to, size);
}

void run_watch(struct run *r)
{
	struct err e = {0};

	r->pool->changed = changed;
	r->pool->changed_arg = r;
	if (pool_watch(r->pool, &e) && e.text[0])
		log_line(run_name(r), "watch", e.code, e.text);
}
