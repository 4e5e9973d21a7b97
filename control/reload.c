/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * reload.c - SOURCE read again while the daemon runs: what somebody wrote, changed,
 * removed or linked there by hand counts as a new daemon would see it.
 *
 * Called by the front's main when it is told to (SIGHUP). A definition that cannot be
 * read leaves the pool as it was; a pool that runs goes on running, with what it was
 * started with. Writes nothing but what a load writes: a uuid that was missing.
 */
#include "pool.h"
#include <stdlib.h>
#include <string.h>

static struct {
	pthread_mutex_t lock;           /* all of this; taken alone */
	bool running, again;
	void (*done)(void);
} reload = { .lock = PTHREAD_MUTEX_INITIALIZER };

struct summary {
	unsigned defined, changed, gone, bad;
};

/* ---- one pool, under pools.define --------------------------------------------------- */

/* Its file is gone. What runs is shown until it has stopped. */
static void pool_gone(struct cpool *cp, struct summary *s)
{
	struct err ignored = {0};
	struct change ch;

	mutex_lock(&pools.lock);
	if (!cp->persistent || cp->gone) {
		mutex_unlock(&pools.lock);
		return;
	}
	cp->persistent = cp->autostart = cp->retry = false;
	mutex_unlock(&pools.lock);
	s->gone++;
	log_line(cp->name, "reload", 0, "its definition is gone");
	event_pool(cp->name, "pool-undefined", NULL);
	/* EBUSY: it runs, or is being changed; the end of that drops it. */
	if (pool_begin(cp, DO_UNDEFINE, NULL, &ch, &ignored))
		return;
	if (store_remove(pools.store, STORE_RUNNING, cp->name, &ignored))
		log_line(cp->name, "reload", ignored.code, ignored.text);
	pool_end(&ch, POOL_INACTIVE, NULL);
}

/* Does it say what the pool has? A uuid that was left out is the pool's own. */
static bool definition_same(struct cpool *cp, struct pool_def *def)
{
	_cleanup_buf_ struct buf old = {0}, new = {0};
	bool persistent;

	mutex_lock(&pools.lock);
	if (!def->uuid[0])
		memcpy(def->uuid, cp->def->uuid, sizeof(def->uuid));
	def_format(cp->def, NULL, &old);
	persistent = cp->persistent;
	mutex_unlock(&pools.lock);
	def_format(def, NULL, &new);
	return persistent && !def->source.auth.password && !strcmp(old.data, new.data);
}

static int pool_changed(struct cpool *cp, struct summary *s, struct err *e)
{
	struct target_id unknown = {0};
	struct pool_def *def = NULL;
	bool mend;
	int rc = definition_read(cp->name, &def, &mend, e);

	if (!rc && (!definition_same(cp, def) || mend)) {
		rc = definition_commit(&def, &unknown, mend ? FROM_DISK_MEND : FROM_DISK, e);
		if (!rc) {
			s->changed++;
			log_line(cp->name, "reload", 0, "its definition has changed");
		}
	}
	def_free(def);
	if (rc)
		cpool_set_error(cp, e->text);
	return rc;
}

static void autostart_again(const char *name)
{
	bool on = store_autostart(pools.store, name), changed;
	struct cpool *cp;

	mutex_lock(&pools.lock);
	cp = registry_get(name);
	changed = cp && cp->autostart != on;
	if (changed) {
		cp->autostart = on;
		cp->retry &= on;
	}
	mutex_unlock(&pools.lock);
	if (changed)
		log_line(name, "reload", 0, on ? "autostart is on" : "autostart is off");
}

/* ---- all of them ------------------------------------------------------------------------ */

static void gone_one(void *arg, struct cpool *cp)
{
	mutex_lock(&pools.define);
	if (pools.store && !store_exists(pools.store, STORE_DEFINITION, cp->name))
		pool_gone(cp, arg);
	mutex_unlock(&pools.define);
}

/* Read under the lock: nobody defines it anew between the reading and the taking. */
static void load_again(const char *name, struct summary *s)
{
	struct err e = {0};
	struct cpool *cp;
	int rc = 0;

	mutex_lock(&pools.define);
	cp = cpool_find(name);
	if (!pools.store || !store_exists(pools.store, STORE_DEFINITION, name)) {
		/* taken away since it was listed */
	} else if (cp) {
		rc = pool_changed(cp, s, &e);
	} else {
		rc = definition_load(name, &e);
		if (!rc) {
			s->defined++;
			log_line(name, "reload", 0, "defined");
			event_pool(name, "pool-defined", NULL);
		}
	}
	if (pools.store)
		autostart_again(name);
	mutex_unlock(&pools.define);
	cpool_put(cp);
	if (rc) {
		s->bad++;
		log_line(name, "reload", e.code, e.text);
	}
}

static void reload_once(void)
{
	_cleanup_free_ char *text = NULL;
	struct summary s = {0};
	struct names n = {0};
	struct err e = {0};

	/* First what is gone: a renamed file has the uuid of the old one. */
	cpool_each(gone_one, &s);
	mutex_lock(&pools.define);
	if (pools.store && store_each(pools.store, STORE_DEFINITION, names_add, &n, &e))
		log_line(NULL, "reload", e.code, e.text);
	mutex_unlock(&pools.define);
	for (size_t i = 0; i < n.count; i++) {
		load_again(n.name[i], &s);
		free(n.name[i]);
	}
	free(n.name);
	text = xasprintf("definitions read again: %u new, %u changed, %u gone, %u bad", s.defined,
			 s.changed, s.gone, s.bad);
	log_line(NULL, "reload", 0, text);
	begin_again();
}

static void reload_run(void)
{
	void (*done)(void);
	bool again;

	do {
		reload_once();
		mutex_lock(&reload.lock);
		again = reload.running = reload.again;
		reload.again = false;
		done = reload.done;
		mutex_unlock(&reload.lock);
	} while (again);
	if (done)
		done();
}

void control_reload(void (*done)(void))
{
	bool failed = false;

	mutex_lock(&reload.lock);
	reload.done = done;
	reload.again = reload.running;
	if (!reload.running) {
		reload.running = begin_thread(reload_run);
		failed = !reload.running;
	}
	mutex_unlock(&reload.lock);
	if (!failed)
		return;
	log_line(NULL, "reload", EAGAIN, "cannot start a thread: nothing was read");
	if (done)
		done();
}
