/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * jobs.c - the list of long operations under way: what control/jobs shows, how one
 * is cancelled, and the events that tell of their start, progress and end.
 *
 * A job lives on the stack of whoever does the work, who brackets it by job_begin
 * and job_end; a thread looks at all of them now and then, as long as there is one.
 * Never does the work itself, never waits for it.
 */
#include "pool.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	LOOK_MS = 200,
	STEP_PERCENT = 10,              /* between two events of one job */
};

static struct {
	pthread_mutex_t lock;           /* all of this; events may be told under it */
	struct job *first;
	uint64_t ids;
	pthread_cond_t come;
	bool watching;
} jobs = { .lock = PTHREAD_MUTEX_INITIALIZER, .come = PTHREAD_COND_INITIALIZER };

static int job_percent(const struct job *j)
{
	uint64_t total = atomic_load(&j->progress->total), done = atomic_load(&j->progress->done);

	if (!total)
		return 0;
	return done >= total ? 100 : (int)((double)done / (double)total * 100);
}

static bool job_shown(const struct job *j)
{
	return !j->lasting || atomic_load(&j->progress->total);
}

/* Locked. "job-WHAT POOL ID VERB [SUBJECT] [LAST]" */
static void job_tell(const struct job *j, const char *what, const char *last)
{
	_cleanup_buf_ struct buf b = {0};

	buf_addf(&b, "%llu %s", (unsigned long long)j->id, j->verb);
	if (j->subject[0]) {
		buf_addf(&b, " ");
		name_escape(&b, j->subject);
	}
	if (last)
		buf_addf(&b, " %s", last);
	event_pool(j->pool, what, b.data);
}

/* Locked. */
static void job_look(struct job *j)
{
	int percent = job_percent(j);
	char text[16];

	if (!job_shown(j))
		return;
	if (j->told < 0) {
		job_tell(j, "job-started", NULL);
		j->told = 0;
	}
	if (percent < j->told + STEP_PERCENT || percent >= 100)
		return;
	j->told = percent - percent % STEP_PERCENT;
	snprintf(text, sizeof(text), "%d%%", percent);
	job_tell(j, "job-progress", text);
}

static void *watch_thread(void *arg)
{
	const struct timespec pause = { .tv_nsec = LOOK_MS * 1000000L };

	(void)arg;
	mutex_lock(&jobs.lock);
	for (;;) {
		while (!jobs.first)
			pthread_cond_wait(&jobs.come, &jobs.lock);
		mutex_unlock(&jobs.lock);
		nanosleep(&pause, NULL);
		mutex_lock(&jobs.lock);
		for (struct job *j = jobs.first; j; j = j->next)
			job_look(j);
	}
	return NULL;
}

/* What ends before the thread looks is no news, unless somebody cancelled it. */
void job_begin(struct job *j)
{
	mutex_lock(&jobs.lock);
	j->id = ++jobs.ids;
	j->told = -1;
	j->link = &jobs.first;
	while (*j->link)
		j->link = &(*j->link)->next;
	j->next = NULL;
	*j->link = j;
	if (!jobs.watching)
		jobs.watching = thread_start(watch_thread, NULL);
	pthread_cond_signal(&jobs.come);
	mutex_unlock(&jobs.lock);
}

/* rc: as the work returned it. */
void job_end(struct job *j, int rc)
{
	mutex_lock(&jobs.lock);
	*j->link = j->next;
	if (j->next)
		j->next->link = j->link;
	if (j->told >= 0)
		job_tell(j, "job-ended", rc < 0 ? errno_name(-rc) : "done");
	mutex_unlock(&jobs.lock);
}

unsigned jobs_count(void)
{
	unsigned n = 0;

	mutex_lock(&jobs.lock);
	for (struct job *j = jobs.first; j; j = j->next)
		n += job_shown(j);
	mutex_unlock(&jobs.lock);
	return n;
}

void jobs_show(struct buf *out)
{
	mutex_lock(&jobs.lock);
	for (struct job *j = jobs.first; j; j = j->next) {
		if (!job_shown(j))
			continue;
		buf_addf(out, "%llu ", (unsigned long long)j->id);
		name_escape(out, j->pool);
		buf_addf(out, " %s ", j->verb);
		name_escape(out, j->subject[0] ? j->subject : "-");
		buf_addf(out, " %d%%%s\n", job_percent(j),
			 atomic_load(&j->progress->cancel) ? " cancelling" : "");
	}
	mutex_unlock(&jobs.lock);
}

static int job_cancel(uint64_t id, struct err *e)
{
	struct job *j;
	int rc = 0;

	mutex_lock(&jobs.lock);
	for (j = jobs.first; j && (j->id != id || !job_shown(j)); j = j->next)
		;
	if (!j) {
		rc = err_set(e, ENOENT, "no job %llu is under way: read jobs for those that are",
			     (unsigned long long)id);
	} else if (j->lasting) {
		rc = err_set(e, EPERM, "job %llu tidies up after what was done already: it "
			     "cannot be cancelled", (unsigned long long)id);
	} else {
		job_look(j);            /* its end shall be told, so its start comes first */
		atomic_store(&j->progress->cancel, true);
	}
	mutex_unlock(&jobs.lock);
	return rc;
}

int jobs_command(const char *line, struct err *e)
{
	unsigned long long id;
	char verb[16], more;
	int n = sscanf(line, "%15s %llu %c", verb, &id, &more);

	if (n < 1 || strcmp(verb, "cancel"))
		return err_set(e, EINVAL, "unknown line '%.100s': write 'cancel ID'", line);
	if (n != 2)
		return err_set(e, EINVAL, "'cancel' takes the number that begins a line of jobs");
	return job_cancel(id, e);
}
