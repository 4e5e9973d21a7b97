/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * begin.c - the daemon's begin and end, as far as pools go: the store opened,
 * the definitions loaded, what ran taken over, what shall start by itself
 * started, with growing pauses as long as it fails.
 *
 * Called by the front's main. Starts run on threads of their own, a bounded
 * number at a time, so that the mount never waits for them; one thread hands
 * them out and ends when there is nothing left to try. Never stops a pool.
 */
#include "pool.h"
#include <stdlib.h>
#include <string.h>

enum {
	PAUSE_FIRST_MS = 1000,
	PAUSE_MAX_MS = 60000,
	STARTS_MAX = 64,                /* at a time */
};

/* One pool that shall run. begun: ch is in pool_begin already (a takeover). */
struct attempt {
	struct cpool *cp;
	struct change ch;
	bool begun;
	uint64_t due;
	unsigned pause;
	struct attempt *next;
};

static struct {
	pthread_mutex_t lock;           /* all of this; taken alone */
	pthread_cond_t changed;
	bool ready, ending, scheduling;
	unsigned threads, starts;
	struct attempt *attempts;
} begin = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* ---- tries ----------------------------------------------------------------------- */

static void attempt_free(struct attempt *j)
{
	cpool_put(j->cp);
	free(j);
}

/* Is the pool still to be started? Somebody may have decided otherwise. */
static bool attempt_wanted(struct attempt *j)
{
	bool wanted;

	mutex_lock(&pools.lock);
	wanted = j->cp->retry && !j->cp->gone && !pools.ending;
	mutex_unlock(&pools.lock);
	return wanted;
}

/* One try. True: try again later. */
static bool attempt_try(struct attempt *j)
{
	bool takeover = j->begun;
	struct err e = {0};
	int rc;

	if (!takeover) {
		if (!attempt_wanted(j))
			return false;
		rc = pool_begin(j->cp, DO_START, NULL, &j->ch, &e);
		if (rc)
			return rc == -EBUSY && attempt_wanted(j);
	}
	j->begun = false;
	rc = pool_launch(&j->ch, takeover, NULL, NULL, &e);
	if (rc)
		log_line(j->cp->name, "start", e.code, e.text);
	/* What this version cannot do it cannot do in a minute either. */
	return rc && rc != -EOPNOTSUPP && attempt_wanted(j);
}

static void *attempt_thread(void *arg)
{
	struct attempt *j = arg;
	bool again = attempt_try(j);

	if (!again) {
		attempt_free(j);
		j = NULL;
	}
	mutex_lock(&begin.lock);
	if (j) {
		j->due = now_ms() + j->pause;
		j->pause = j->pause * 2 < PAUSE_MAX_MS ? j->pause * 2 : PAUSE_MAX_MS;
		j->next = begin.attempts;
		begin.attempts = j;
	}
	begin.starts--;
	begin.threads--;
	pthread_cond_broadcast(&begin.changed);
	mutex_unlock(&begin.lock);
	return NULL;
}

/* ---- handing out ------------------------------------------------------------------ */

/* Locked. The job that is due first, or NULL. */
static struct attempt **attempt_first(void)
{
	struct attempt **first = NULL;

	for (struct attempt **j = &begin.attempts; *j; j = &(*j)->next)
		if (!first || (*j)->due < (*first)->due)
			first = j;
	return first;
}

/* Locked. */
static void attempt_hand_out(struct attempt **at)
{
	struct attempt *j = *at;

	*at = j->next;
	begin.starts++;
	begin.threads++;
	if (thread_start(attempt_thread, j))
		return;
	begin.starts--;
	begin.threads--;
	j->due = now_ms() + j->pause;
	j->next = begin.attempts;
	begin.attempts = j;
}

/* The daemon ends before these were tried; on disk they stay what they are. */
static void attempts_drop(struct attempt *j)
{
	const struct err why = { EBUSY, "poolfs is ending" };

	while (j) {
		struct attempt *next = j->next;

		if (j->begun)
			pool_end(&j->ch, POOL_FAILED, &why);
		attempt_free(j);
		j = next;
	}
}

static void *schedule_thread(void *arg)
{
	struct attempt *left;

	(void)arg;
	mutex_lock(&begin.lock);
	while (!begin.ending && (begin.attempts || begin.starts)) {
		struct attempt **at = attempt_first();

		if (!at || begin.starts >= STARTS_MAX)
			pthread_cond_wait(&begin.changed, &begin.lock);
		else if (!cond_wait_until(&begin.changed, &begin.lock, (*at)->due))
			attempt_hand_out(at);
	}
	left = begin.attempts;
	begin.attempts = NULL;
	begin.scheduling = false;
	mutex_unlock(&begin.lock);
	attempts_drop(left);
	mutex_lock(&begin.lock);
	begin.threads--;
	pthread_cond_broadcast(&begin.changed);
	mutex_unlock(&begin.lock);
	return NULL;
}

static void *counted_thread(void *arg)
{
	void (*f)(void) = (void (*)(void))arg;

	f();
	mutex_lock(&begin.lock);
	begin.threads--;
	pthread_cond_broadcast(&begin.changed);
	mutex_unlock(&begin.lock);
	return NULL;
}

bool begin_thread(void (*f)(void))
{
	bool yes;

	mutex_lock(&begin.lock);
	yes = !begin.ending;
	if (yes) {
		begin.threads++;
		yes = thread_start(counted_thread, (void *)f);
		begin.threads -= !yes;
	}
	mutex_unlock(&begin.lock);
	return yes;
}

/* ---- where the targets lie ----------------------------------------------------------- */

static void identify_one(void *arg, struct cpool *cp)
{
	_cleanup_free_ char *target = NULL;
	struct err ignored = {0};
	struct target_id id;
	bool wanted;

	(void)arg;
	mutex_lock(&pools.lock);
	wanted = !pools.ending && !cp->id.known && registry_own_target(cp->def);
	if (wanted)
		target = xstrdup(cp->def->target);
	mutex_unlock(&pools.lock);
	if (!wanted || target_check(target, &id, &ignored))
		return;
	mutex_lock(&pools.lock);
	if (!cp->id.known && registry_own_target(cp->def) && !strcmp(cp->def->target, target))
		cp->id = id;
	mutex_unlock(&pools.lock);
}

/* Not at loading: a dead file server would hold up the mount. */
static void identify_all(void)
{
	cpool_each(identify_one, NULL);
}

/* ---- begin ------------------------------------------------------------------------------ */

static void attempt_add(struct attempt **list, struct cpool *cp, const struct change *ch)
{
	struct attempt *j = xcalloc(1, sizeof(*j));

	j->cp = cpool_get(cp);
	if (ch) {
		j->ch = *ch;
		j->begun = true;
	}
	j->due = now_ms();
	j->pause = PAUSE_FIRST_MS;
	j->next = *list;
	*list = j;
}

/* The pool that ran under this definition; one without a file of its own any
 * more is shown as long as it runs. Counted. */
static struct cpool *adopt_pool(const char *name, const struct pool_def *live)
{
	struct cpool *cp = cpool_find(name);

	if (cp)
		return cp;
	cp = cpool_new(name, def_copy(live));
	cp->persistent = false;
	cpool_get(cp);
	mutex_lock(&pools.lock);
	registry_add(cp);
	mutex_unlock(&pools.lock);
	return cp;
}

static int adopt(const char *name, struct attempt **list, struct err *e)
{
	_cleanup_buf_ struct buf xml = {0};
	struct pool_def *live = NULL;
	struct change ch;
	struct cpool *cp;
	int rc;

	/* Stopped, but a crash came before it was forgotten. */
	if (store_stopped(pools.store, name))
		return store_remove(pools.store, STORE_RUNNING, name, e);
	rc = name_check(NAME_POOL, name, e);
	if (!rc)
		rc = store_read(pools.store, STORE_RUNNING, name, &xml, e);
	if (!rc)
		rc = def_parse(xml.data ? xml.data : "", xml.len, name, &live, e);
	if (!rc && !backend_find(live->type))
		rc = err_set(e, EINVAL, "pool type '%s' is not known here", live->type);
	if (!rc) {
		if (!live->uuid[0])
			uuid_make(live->uuid);
		cp = adopt_pool(name, live);
		rc = pool_begin(cp, DO_START, live, &ch, e);
		if (!rc) {
			mutex_lock(&pools.lock);
			cp->retry = cp->recorded = true;
			mutex_unlock(&pools.lock);
			attempt_add(list, cp, &ch);
		}
		cpool_put(cp);
	}
	def_free(live);
	return rc;
}

static void autostart_one(void *arg, struct cpool *cp)
{
	bool wanted;

	mutex_lock(&pools.lock);
	wanted = cp->autostart && !cp->retry &&
		 (cp->state == POOL_INACTIVE || cp->state == POOL_FAILED);
	mutex_unlock(&pools.lock);
	if (!wanted || store_stopped(pools.store, cp->name))
		return;
	mutex_lock(&pools.lock);
	cp->retry = true;
	mutex_unlock(&pools.lock);
	attempt_add(arg, cp, NULL);
}

/* Takes the list. */
static void attempts_begin(struct attempt *list)
{
	struct attempt **last = &list;

	while (*last)
		last = &(*last)->next;
	begin_thread(identify_all);
	mutex_lock(&begin.lock);
	if (list && !begin.ending) {
		if (!begin.scheduling) {
			begin.threads++;
			begin.scheduling = thread_start(schedule_thread, NULL);
			begin.threads -= !begin.scheduling;
		}
		if (begin.scheduling) {
			*last = begin.attempts;
			begin.attempts = list;
			list = NULL;
			pthread_cond_broadcast(&begin.changed);
		}
	}
	mutex_unlock(&begin.lock);
	if (list)
		log_line(NULL, "begin", EAGAIN, "cannot start a thread: no pool is started");
	attempts_drop(list);
}

void control_begin(void)
{
	struct attempt *attempts = NULL;
	struct names n = {0};
	struct err e = {0};

	if (store_each(pools.store, STORE_RUNNING, names_add, &n, &e))
		log_line(NULL, "takeover", e.code, e.text);
	for (size_t i = 0; i < n.count; i++) {
		if (adopt(n.name[i], &attempts, &e))
			log_line(n.name[i], "takeover", e.code, e.text);
		free(n.name[i]);
	}
	free(n.name);
	cpool_each(autostart_one, &attempts);
	attempts_begin(attempts);
}

void begin_again(void)
{
	struct attempt *attempts = NULL;

	cpool_each(autostart_one, &attempts);
	attempts_begin(attempts);
}

/* ---- init and end --------------------------------------------------------------------------- */

int control_init(const struct control_options *o, struct err *e)
{
	struct err readonly = {0};
	int rc;

	if (!begin.ready) {
		cond_init(&begin.changed);
		cond_init(&pools.idle);
		begin.ready = true;
	}
	rc = store_open(o->source, o->rundir, &pools.store, e);
	if (rc)
		return rc;
	if (store_writable(pools.store, &readonly))
		log_line(NULL, "load", 0, readonly.text);
	backend_set_secrets(secret_get);
	target_set_mount(o->mountpoint);
	mutex_lock(&begin.lock);
	begin.ending = false;
	mutex_unlock(&begin.lock);
	mutex_lock(&pools.lock);
	pools.ending = false;
	pools.fault = o->fault;
	mutex_unlock(&pools.lock);
	rc = registry_load(e);
	if (rc)
		control_end();
	return rc;
}

/* Empties the registry. A pool in the midst of a change is left to it. until: later
 * work that a driver cannot interrupt goes on behind that, and in the next daemon. */
static void registry_close(uint64_t until)
{
	struct cpool **all;
	size_t n;

	mutex_lock(&pools.lock);
	all = pools.all;
	n = pools.count;
	pools.all = NULL;
	pools.count = pools.cap = 0;
	for (size_t i = 0; i < n; i++)
		all[i]->gone = true;
	mutex_unlock(&pools.lock);
	for (size_t i = 0; i < n; i++) {
		struct run *r = NULL;

		mutex_lock(&pools.lock);
		if (!all[i]->busy) {
			r = all[i]->run;
			all[i]->run = NULL;
		}
		mutex_unlock(&pools.lock);
		/* Nobody enters it any more; the driver does not stop. */
		if (r) {
			run_set_state(r, POOL_INACTIVE, NULL);
			pool_unwatch(r->pool);
			tidy_stop(r, until);
		}
		run_put(r);
		cpool_put(all[i]);
	}
	free(all);
}

void control_end(void)
{
	uint64_t until = now_ms() + END_WAIT_MS;
	bool quiet;

	mutex_lock(&pools.lock);
	pools.ending = true;
	mutex_unlock(&pools.lock);
	mutex_lock(&begin.lock);
	begin.ending = true;
	pthread_cond_broadcast(&begin.changed);
	while (begin.threads && cond_wait_until(&begin.changed, &begin.lock, until))
		;
	quiet = !begin.threads;
	mutex_unlock(&begin.lock);
	mutex_lock(&pools.lock);
	while (pools.changes && cond_wait_until(&pools.idle, &pools.lock, until))
		;
	quiet &= !pools.changes;
	mutex_unlock(&pools.lock);

	registry_close(now_ms() + END_WAIT_MS);
	/* What still hangs may yet want to write: then the lock on SOURCE goes
	 * with the process. */
	if (!quiet || !pools.store)
		return;
	store_close(pools.store);
	pools.store = NULL;
	target_set_mount(NULL);
}

const char *control_source(void)
{
	return store_source(pools.store);
}

bool control_fault_enabled(void)
{
	return pools.fault;
}
