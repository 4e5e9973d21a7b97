/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pool.c - the one state machine of pools: start, stop, build, erase, and
 * what a pool says about itself.
 *
 * Called by the front, by the verbs and by begin.c. A pool's state changes in
 * pool_begin and pool_end and nowhere else; between the two it is busy, which
 * keeps other changes out while no lock is held, so that whoever only looks is
 * answered at once. Done first, then recorded; stopped first, then forgotten.
 */
#include "pool.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const state_names[] = {
	[POOL_INACTIVE] = "inactive",
	[POOL_STARTING] = "starting",
	[POOL_ACTIVE] = "active",
	[POOL_STOPPING] = "stopping",
	[POOL_FAILED] = "failed",
};

const char *pool_state_name(enum pool_state s)
{
	return state_names[s];
}

/* ---- the state machine --------------------------------------------------------- */

/* What a busy pool is being done to. */
static const char *const busy_words[] = {
	[DO_START] = "started",
	[DO_STOP] = "stopped",
	[DO_BUILD] = "built",
	[DO_ERASE] = "deleted",
	[DO_UNDEFINE] = "undefined",
	[DO_RENAME] = "renamed",
};

/* Locked. */
static int begin_allowed(struct cpool *cp, enum doing what, struct err *e)
{
	if (cp->gone)
		return err_set(e, ENOENT, "pool '%s' is not defined any more", cp->name);
	if (cp->busy)
		return err_set(e, EBUSY, "pool '%s' is being %s: try again when that has ended",
			       cp->name, cp->busy);
	if (pools.ending || !pools.store)
		return err_set(e, EBUSY, "poolfs is ending");
	switch (what) {
	case DO_START:
		if (cp->state == POOL_ACTIVE)
			return err_set(e, EEXIST, "pool '%s' is running already", cp->name);
		return 0;
	case DO_STOP:
		/* One that ran and cannot be taken over can be given up. */
		if (cp->state != POOL_ACTIVE && !cp->retry && !cp->recorded)
			return err_set(e, ENOENT, "pool '%s' is not running", cp->name);
		return 0;
	default:
		if (cp->state == POOL_ACTIVE)
			return err_set(e, EBUSY, "pool '%s' is running: stop it first",
				       cp->name);
		return 0;
	}
}

/* Locked. Distinct among the pools that run, and mostly the same each time. */
static uint16_t serial_free(const char *uuid)
{
	uint16_t serial = run_serial_first(uuid);
	size_t i;

	do {
		for (i = 0; i < pools.count; i++)
			if (pools.all[i]->run && pools.all[i]->run->serial == serial)
				break;
		if (i < pools.count)
			serial = serial % 32767 + 1;
	} while (i < pools.count);
	return serial;
}

int pool_begin(struct cpool *cp, enum doing what, const struct pool_def *def,
	       struct change *ch, struct err *e)
{
	int rc;

	memset(ch, 0, sizeof(*ch));
	mutex_lock(&pools.lock);
	rc = begin_allowed(cp, what, e);
	if (rc) {
		mutex_unlock(&pools.lock);
		return rc;
	}
	ch->cp = cpool_get(cp);
	ch->was = cp->state;
	cp->busy = busy_words[what];
	pools.changes++;
	if (what == DO_START) {
		struct pool_def *live = def_copy(def ? def : cp->def);

		cp->state = POOL_STARTING;
		cp->run = run_new(cp, live, serial_free(live->uuid));
		cp->run->def_number = def ? 0 : cp->def_number;
	} else if (what == DO_STOP) {
		cp->state = POOL_STOPPING;
		if (cp->run)
			run_set_state(cp->run, POOL_STOPPING, NULL);
	} else {
		ch->def = def_copy(cp->def);
	}
	if (cp->run)
		ch->run = run_get(cp->run);
	mutex_unlock(&pools.lock);
	return 0;
}

void pool_end(struct change *ch, enum pool_state now, const struct err *why)
{
	struct cpool *cp = ch->cp;
	struct run *over = NULL;
	bool dropped = false;

	mutex_lock(&pools.lock);
	assert(cp->busy);
	cp->busy = NULL;
	cp->state = now;
	if (cp->run)
		run_set_state(cp->run, cp->gone ? POOL_INACTIVE : now, why);
	/* Gone: the daemon ended meanwhile; the pool runs on without it. */
	if (now != POOL_ACTIVE || cp->gone) {
		over = cp->run;
		cp->run = NULL;
	}
	/* Its definition went while it ran, or while it failed to start: nothing is left
	 * to be shown. What ran and cannot be taken over stays, to be given up. */
	if ((now == POOL_INACTIVE || (now == POOL_FAILED && !cp->recorded)) &&
	    !cp->persistent && !cp->gone) {
		registry_drop(cp);
		dropped = true;
	}
	if (!--pools.changes)
		pthread_cond_broadcast(&pools.idle);
	/* Who reads it finds the run dead, and no later start was told of before. */
	if (over && now == POOL_FAILED)
		event_pool(cp->name, "pool-failed", why ? why->text : NULL);
	else if (over && now == POOL_INACTIVE)
		event_pool(cp->name, "pool-stopped", NULL);
	mutex_unlock(&pools.lock);
	run_put(over);
	run_put(ch->run);
	def_free(ch->def);
	if (dropped)
		cpool_put(cp);
	cpool_put(ch->cp);
}

/* ---- start and stop ---------------------------------------------------------------- */

/* After the driver has started it. The stopped mark goes last: as long as it is
 * there, a crash leaves a pool that is stopped. */
static int record(struct run *r, struct err *e)
{
	_cleanup_buf_ struct buf xml = {0};
	int rc;

	def_format(r->def, NULL, &xml);
	rc = store_write(pools.store, STORE_RUNNING, run_name(r), xml.data, xml.len, e);
	return rc ? rc : store_set_stopped(pools.store, run_name(r), false, e);
}

/* After the driver has stopped it; both are tried. */
static int forget(struct cpool *cp, struct err *e)
{
	struct err second = {0};
	bool persistent;
	int rc = 0, rc2;

	mutex_lock(&pools.lock);
	persistent = cp->persistent;
	mutex_unlock(&pools.lock);
	if (persistent)
		rc = store_set_stopped(pools.store, cp->name, true, e);
	rc2 = store_remove(pools.store, STORE_RUNNING, cp->name, &second);
	if (!rc && rc2) {
		*e = second;
		rc = rc2;
	}
	if (rc)
		err_wrap(e, "pool '%s' has stopped, but that could not be recorded", cp->name);
	return rc;
}

static int launch(struct run *r, bool takeover, struct err *e)
{
	struct err ignored = {0};
	struct target_id id;
	bool active = false;
	int rc = registry_target(r->def, &id, e);

	if (!rc)
		rc = registry_conflict(run_name(r), &id, r, e);
	if (rc)
		return rc;
	/* The driver's start takes over what is there; this is for the log. */
	if (takeover && pool_check(r->pool, &active, &ignored))
		log_line(run_name(r), "check", ignored.code, ignored.text);
	rc = pool_start(r->pool, e);
	if (rc)
		return rc;
	/* What is taken over stands recorded, with this very definition. */
	rc = takeover ? 0 : record(r, e);
	if (rc) {
		pool_stop(r->pool, &ignored);
		return err_wrap(e, "cannot record that pool '%s' runs", run_name(r));
	}
	log_line(run_name(r), "start", 0, active ? "taken over" : "started");
	return 0;
}

int pool_launch(struct change *ch, bool takeover, void (*started)(void *arg), void *arg,
		struct err *e)
{
	struct cpool *cp = ch->cp;
	int rc = launch(ch->run, takeover, e);
	bool lasts = false;
	struct call watch;
	struct run *run;

	cpool_set_error(cp, rc ? e->text : "");
	mutex_lock(&pools.lock);
	if (!rc) {
		cp->retry = false;
		cp->recorded = true;
	}
	mutex_unlock(&pools.lock);
	run = run_get(ch->run);
	if (!rc) {
		event_pool(cp->name, "pool-started", NULL);
		lasts = pool_watch_lasts(run->pool);
		if (lasts)
			run_watch_begin(run, &watch);
		else
			run_watch(run);
	}
	pool_end(ch, rc ? POOL_FAILED : POOL_ACTIVE, rc ? e : NULL);
	if (!rc && started)
		started(arg);
	if (lasts)
		run_watch_end(&watch);
	/* What an earlier daemon left half done. */
	if (!rc)
		tidy_start(run);
	run_put(run);
	return rc;
}

int cpool_start(struct cpool *cp, struct err *e)
{
	return cpool_start_tell(cp, NULL, NULL, e);
}

int cpool_start_tell(struct cpool *cp, void (*started)(void *arg), void *arg, struct err *e)
{
	struct change ch;
	int rc = pool_begin(cp, DO_START, NULL, &ch, e);

	if (rc)
		return rc;
	/* Who starts it by hand sees to it from now on. */
	mutex_lock(&pools.lock);
	cp->retry = false;
	mutex_unlock(&pools.lock);
	return pool_launch(&ch, false, started, arg, e);
}

/* The driver's part of a stop; what fails leaves the run as it was. */
static int run_end(struct run *r, struct err *e)
{
	int rc = run_quiesce(r, e);

	if (rc)
		return rc;
	tidy_stop(r, now_ms() + CALL_HUNG_MS);
	pool_unwatch(r->pool);
	rc = pool_stop(r->pool, e);
	if (rc)
		run_watch(r);
	return rc;
}

int cpool_stop(struct cpool *cp, struct err *e)
{
	struct run *r = cpool_run(cp);
	struct change ch;
	int rc;

	if (r)
		run_settle(r);
	run_put(r);
	rc = pool_begin(cp, DO_STOP, NULL, &ch, e);
	if (rc)
		return rc;
	if (ch.run)
		rc = run_end(ch.run, e);
	if (rc) {
		r = ch.run ? run_get(ch.run) : NULL;
		cpool_set_error(cp, e->text);
		pool_end(&ch, ch.was, NULL);
		if (r)
			tidy_start(r);
		run_put(r);
		return rc;
	}
	rc = forget(cp, e);
	cpool_set_error(cp, rc ? e->text : "");
	mutex_lock(&pools.lock);
	cp->retry = cp->recorded = false;
	mutex_unlock(&pools.lock);
	log_line(cp->name, "stop", 0, "stopped");
	pool_end(&ch, POOL_INACTIVE, NULL);
	return rc;
}

/* ---- build and erase ------------------------------------------------------------------ */

/* The driver's view of a pool that does not run. */
static int change_prepare(struct change *ch, struct pool **p, struct err *e)
{
	struct target_id id;
	int rc = registry_target(ch->def, &id, e);

	if (!rc)
		rc = registry_conflict(ch->cp->name, &id, NULL, e);
	if (!rc)
		*p = backend_pool_new(backend_find(ch->def->type), ch->def);
	return rc;
}

static void change_finish(struct change *ch, struct pool *p, int rc, const struct err *e)
{
	if (p)
		backend_pool_free(p);
	if (rc)
		cpool_set_error(ch->cp, e->text);
	pool_end(ch, ch->was, NULL);
}

int cpool_build(struct cpool *cp, enum build mode, struct err *e)
{
	struct pool *p = NULL;
	struct change ch;
	int rc = pool_begin(cp, DO_BUILD, NULL, &ch, e);

	if (rc)
		return rc;
	rc = change_prepare(&ch, &p, e);
	if (!rc)
		rc = pool_build(p, mode, e);
	change_finish(&ch, p, rc, e);
	return rc;
}

int cpool_erase(struct cpool *cp, const char *uuid, struct err *e)
{
	struct pool *p = NULL;
	struct change ch;
	char given[37];
	int rc;

	if (!uuid_parse(uuid, given))
		return err_set(e, EINVAL, "'%s' is no uuid: repeat the one that info shows",
			       uuid);
	rc = pool_begin(cp, DO_ERASE, NULL, &ch, e);
	if (rc)
		return rc;
	if (strcmp(given, ch.def->uuid))
		rc = err_set(e, EINVAL, "uuid %s is not that of pool '%s': repeat the one that "
			     "info shows", given, cp->name);
	if (!rc)
		rc = change_prepare(&ch, &p, e);
	if (!rc)
		rc = pool_erase(p, e);
	change_finish(&ch, p, rc, e);
	return rc;
}

/* ---- what a pool says about itself ------------------------------------------------------- */

const char *cpool_name(const struct cpool *cp)
{
	return cp->name;
}

enum pool_state cpool_state(struct cpool *cp)
{
	enum pool_state s;

	mutex_lock(&pools.lock);
	s = cp->state;
	mutex_unlock(&pools.lock);
	return s;
}

bool cpool_gone(struct cpool *cp)
{
	bool gone;

	mutex_lock(&pools.lock);
	gone = cp->gone;
	mutex_unlock(&pools.lock);
	return gone;
}

struct timespec cpool_mtime(struct cpool *cp)
{
	struct timespec t;

	mutex_lock(&pools.lock);
	t = cp->mtime;
	mutex_unlock(&pools.lock);
	return t;
}

void cpool_xml(struct cpool *cp, struct buf *out)
{
	struct pool_def *def;

	mutex_lock(&pools.lock);
	def = def_copy(cp->def);
	mutex_unlock(&pools.lock);
	def_format(def, NULL, out);
	def_free(def);
}

bool cpool_autostart(struct cpool *cp)
{
	bool on;

	mutex_lock(&pools.lock);
	on = cp->autostart;
	mutex_unlock(&pools.lock);
	return on;
}

void cpool_set_error(struct cpool *cp, const char *text)
{
	char *old, *new = xstrdup(text);

	mutex_lock(&pools.lock);
	old = cp->error;
	cp->error = new;
	mutex_unlock(&pools.lock);
	free(old);
}

void cpool_show_error(struct cpool *cp, struct buf *out)
{
	mutex_lock(&pools.lock);
	if (cp->error[0])
		buf_addf(out, "%s\n", cp->error);
	mutex_unlock(&pools.lock);
}

struct run *cpool_run(struct cpool *cp)
{
	struct run *r = NULL;

	mutex_lock(&pools.lock);
	if (cp->run)
		r = run_get(cp->run);
	mutex_unlock(&pools.lock);
	return r;
}
