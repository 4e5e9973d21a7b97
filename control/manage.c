/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * manage.c - definitions of pools made, changed, renamed and taken away, and
 * loaded when the daemon starts.
 *
 * Called by the front and by drop.c. What a definition is on disk is store.c's,
 * its XML define.c's, the table registry.c's, and a pool's state pool.c's. A
 * change shows to others only after it is durable; none is made half.
 */
#include "pool.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- define ------------------------------------------------------------------------ */

/* Locked. The rules of DESIGN 2.1; fills in a missing uuid. */
static int define_check(struct pool_def *def, const struct target_id *id, struct err *e)
{
	_cleanup_free_ char *normal = registry_own_target(def) ? target_normal(def->target) : NULL;
	struct cpool *cp = registry_get(def->name);

	if (cp && !def->uuid[0])
		memcpy(def->uuid, cp->def->uuid, sizeof(def->uuid));
	else if (cp && strcmp(def->uuid, cp->def->uuid))
		return err_set(e, EEXIST, "pool '%s' is already defined with uuid %s: leave "
			       "<uuid> out, or undefine it first", cp->name, cp->def->uuid);
	if (!def->uuid[0])
		uuid_make(def->uuid);
	for (size_t i = 0; i < pools.count; i++) {
		struct cpool *o = pools.all[i];
		struct run *r = o->run;

		if (o == cp)
			continue;
		if (!strcmp(o->def->uuid, def->uuid))
			return err_set(e, EEXIST, "pool '%s' is already defined with uuid "
				       "%s: leave <uuid> out", o->name, def->uuid);
		if (registry_same_target(normal, o->def) ||
		    (r && registry_same_target(normal, r->def)) ||
		    target_same(id, &o->id) || (r && target_same(id, &r->id)))
			return registry_conflict_error(o->name, false, e);
		if (registry_same_source(def, o->def, o->name, e) < 0 ||
		    (r && registry_same_source(def, r->def, o->name, e) < 0))
			return -e->code;
	}
	return 0;
}

static struct timespec definition_mtime(const char *name)
{
	_cleanup_free_ char *path = xasprintf("%s/%s.xml", store_source(pools.store), name);
	struct timespec now;
	struct stat st;

	if (!stat(path, &st))
		return st.st_mtim;
	clock_gettime(CLOCK_REALTIME, &now);
	return now;
}

static int definition_write(const struct pool_def *def, struct err *e)
{
	_cleanup_buf_ struct buf xml = {0};

	def_format(def, NULL, &xml);
	return store_write(pools.store, STORE_DEFINITION, def->name, xml.data, xml.len, e);
}

/* A failure here leaves a file that means nothing any more: said, not fatal. */
static void tidy(int rc, const char *name, const struct err *e)
{
	if (rc)
		log_line(name, "store", e->code, e->text);
}

/* A crash in an undefine or a rename may have left them: they are not the next
 * pool's of that name. */
static void leftovers_drop(const char *name)
{
	struct err ignored = {0};

	tidy(store_set_autostart(pools.store, name, false, &ignored), name, &ignored);
	tidy(store_set_stopped(pools.store, name, false, &ignored), name, &ignored);
}

int definition_commit(struct pool_def **def, const struct target_id *id, enum origin from,
		      struct err *e)
{
	struct pool_def *old = NULL;
	struct timespec mtime;
	struct cpool *cp;
	struct err ignored = {0};
	bool fresh, drop = false;
	int rc;

	if (!pools.store)
		return err_set(e, EBUSY, "poolfs is ending");
	rc = from == FROM_USER ? store_writable(pools.store, e) : 0;
	if (rc)
		return rc;
	mutex_lock(&pools.lock);
	rc = define_check(*def, id, e);
	fresh = !registry_get((*def)->name);
	mutex_unlock(&pools.lock);
	if (!rc && fresh && from == FROM_USER)
		leftovers_drop((*def)->name);
	if (!rc)
		rc = password_keep(*def, e);
	if (!rc && from == FROM_USER)
		rc = definition_write(*def, e);
	if (rc)
		return rc;
	if (from == FROM_DISK_MEND)
		tidy(definition_write(*def, &ignored), (*def)->name, &ignored);
	mtime = definition_mtime((*def)->name);

	mutex_lock(&pools.lock);
	cp = registry_get((*def)->name);
	if (cp) {
		old = cp->def;
		cpool_set_def(cp, *def);
		drop = !cp->run && password_kept(old) && !password_kept(*def);
	} else {
		cp = cpool_new((*def)->name, *def);
		registry_add(cp);
	}
	cp->persistent = true;
	cp->id = *id;
	cp->mtime = mtime;
	cpool_get(cp);
	mutex_unlock(&pools.lock);
	if (drop)
		tidy(password_drop(old, &ignored), cp->name, &ignored);
	def_free(old);
	*def = NULL;
	cpool_set_error(cp, "");
	event_pool(cp->name, "pool-defined", NULL);
	cpool_put(cp);
	return 0;
}

int cpool_define(const char *name, const char *xml, size_t len, struct err *e)
{
	uint64_t begun = now_ns();
	struct pool_def *def = NULL;
	struct target_id id;
	int rc = name_check(NAME_POOL, name, e);

	if (!rc)
		rc = def_parse(xml, len, name, &def, e);
	if (!rc)
		rc = registry_target(def, &id, e);
	if (!rc)
		rc = registry_conflict(name, &id, NULL, e);
	if (!rc)
		rc = registry_same_device(def, e);
	if (!rc) {
		mutex_lock(&pools.define);
		rc = definition_commit(&def, &id, FROM_USER, e);
		mutex_unlock(&pools.define);
	}
	def_free(def);
	metrics_count_named(name, "define", -rc, now_ns() - begun);
	return rc;
}

/* ---- undefine, rename, autostart ------------------------------------------------------ */

static int undefined_error(const char *name, struct err *e)
{
	return err_set(e, ENOENT, "pool '%s' is not defined", name);
}

int cpool_undefine(const char *name, struct err *e)
{
	struct cpool *cp = cpool_find(name);
	struct store *s = pools.store;
	struct err ignored = {0};
	struct change ch;
	int rc;

	if (!cp)
		return undefined_error(name, e);
	mutex_lock(&pools.define);
	rc = pool_begin(cp, DO_UNDEFINE, NULL, &ch, e);
	if (!rc) {
		rc = store_remove(s, STORE_DEFINITION, name, e);
		if (!rc) {
			tidy(store_set_autostart(s, name, false, &ignored), name, &ignored);
			tidy(store_remove(s, STORE_RUNNING, name, &ignored), name, &ignored);
			tidy(store_set_stopped(s, name, false, &ignored), name, &ignored);
			tidy(password_drop(ch.def, &ignored), name, &ignored);
			mutex_lock(&pools.lock);
			registry_drop(cp);
			mutex_unlock(&pools.lock);
			cpool_put(cp);
		}
		pool_end(&ch, ch.was, NULL);
	}
	if (!rc)
		event_pool(name, "pool-undefined", NULL);
	mutex_unlock(&pools.define);
	cpool_put(cp);
	return rc;
}

/* On disk: the file and its link move, then the file's <name> follows. A crash
 * between the two is mended when it is loaded. That it was stopped stands under
 * the new name before, or a crash would let autostart start it. */
static int rename_store(const struct pool_def *def, const char *from, struct err *e)
{
	bool stopped = store_stopped(pools.store, from);
	struct err ignored = {0};
	int rc = store_set_stopped(pools.store, def->name, stopped, e);

	if (!rc)
		rc = store_rename(pools.store, from, def->name, e);
	if (rc) {
		tidy(store_set_stopped(pools.store, def->name, false, &ignored), from, &ignored);
		return rc;
	}
	rc = definition_write(def, e);
	if (rc) {
		tidy(store_rename(pools.store, def->name, from, &ignored), from, &ignored);
		tidy(store_set_stopped(pools.store, def->name, false, &ignored), from, &ignored);
		return rc;
	}
	tidy(store_set_stopped(pools.store, from, false, &ignored), from, &ignored);
	tidy(store_remove(pools.store, STORE_RUNNING, from, &ignored), from, &ignored);
	return 0;
}

/* Under pools.define, in a change of cp. */
static int rename_commit(struct cpool *cp, const char *to, struct err *e)
{
	struct pool_def *def;
	struct cpool *new, *taken;
	int rc;

	mutex_lock(&pools.lock);
	taken = registry_get(to);
	def = def_copy(cp->def);
	mutex_unlock(&pools.lock);
	free(def->name);
	def->name = xstrdup(to);
	rc = taken ? err_set(e, EEXIST, "pool '%s' is already defined", to) :
		     rename_store(def, cp->name, e);
	if (rc) {
		def_free(def);
		return rc;
	}
	new = cpool_new(to, def);
	new->mtime = definition_mtime(to);
	mutex_lock(&pools.lock);
	new->autostart = cp->autostart;
	new->id = cp->id;
	registry_drop(cp);
	registry_add(new);
	mutex_unlock(&pools.lock);
	cpool_put(cp);
	return 0;
}

static void tell_renamed(const char *from, const char *to)
{
	_cleanup_buf_ struct buf name = {0};

	name_escape(&name, to);
	event_pool(from, "pool-renamed", name.data);
}

int cpool_rename(const char *from, const char *to, struct err *e)
{
	struct cpool *cp;
	struct change ch;
	int rc = name_check(NAME_POOL, to, e);

	if (rc)
		return rc;
	cp = cpool_find(from);
	if (!cp)
		return undefined_error(from, e);
	if (strcmp(from, to)) {
		mutex_lock(&pools.define);
		rc = pool_begin(cp, DO_RENAME, NULL, &ch, e);
		if (!rc) {
			rc = rename_commit(cp, to, e);
			pool_end(&ch, ch.was, NULL);
			if (!rc)
				tell_renamed(from, to);
		}
		mutex_unlock(&pools.define);
	}
	cpool_put(cp);
	return rc;
}

int cpool_set_autostart(const char *name, bool on, struct err *e)
{
	struct cpool *cp;
	int rc;

	/* Found under the lock: no undefine or rename comes in between. */
	mutex_lock(&pools.define);
	cp = cpool_find(name);
	if (!cp)
		rc = undefined_error(name, e);
	else if (on && !cp->persistent)
		rc = err_set(e, EINVAL, "pool '%s' has no definition of its own: define it "
			     "before it can start by itself", name);
	else
		rc = store_set_autostart(pools.store, name, on, e);
	if (!rc) {
		mutex_lock(&pools.lock);
		cp->autostart = on;
		if (!on)
			cp->retry = false;
		mutex_unlock(&pools.lock);
	}
	mutex_unlock(&pools.define);
	cpool_put(cp);
	return rc;
}

/* ---- loading ---------------------------------------------------------------------------- */

int definition_read(const char *name, struct pool_def **def, bool *mend, struct err *e)
{
	_cleanup_buf_ struct buf xml = {0};
	struct err again = {0};
	int rc = store_read(pools.store, STORE_DEFINITION, name, &xml, e);

	*mend = false;
	if (rc)
		return rc;
	rc = def_parse(xml.data ? xml.data : "", xml.len, name, def, e);
	if (rc) {
		/* <name> may be older, after a crash in a rename. */
		if (def_parse(xml.data ? xml.data : "", xml.len, NULL, def, &again))
			return rc;
		free((*def)->name);
		(*def)->name = xstrdup(name);
		*mend = true;
	}
	*mend |= !(*def)->uuid[0] || (*def)->source.auth.password;
	return 0;
}

int definition_load(const char *name, struct err *e)
{
	struct target_id unknown = {0};
	struct pool_def *def = NULL;
	struct cpool *cp;
	bool mend;
	int rc = name_check(NAME_POOL, name, e);

	if (!rc)
		rc = definition_read(name, &def, &mend, e);
	if (rc)
		return rc;
	mutex_lock(&pools.lock);
	rc = define_check(def, &unknown, e);
	mutex_unlock(&pools.lock);
	if (!rc)
		rc = password_keep(def, e);
	if (!rc && mend) {
		struct err ignored = {0};

		tidy(definition_write(def, &ignored), name, &ignored);
	}
	if (rc) {
		def_free(def);
		return rc;
	}
	cp = cpool_new(name, def);
	cp->mtime = definition_mtime(name);
	cp->autostart = store_autostart(pools.store, name);
	mutex_lock(&pools.lock);
	if (!registry_add(cp)) {        /* a listing may give a name twice */
		mutex_unlock(&pools.lock);
		cpool_put(cp);
		return 0;
	}
	mutex_unlock(&pools.lock);
	return 0;
}

int registry_load(struct err *e)
{
	struct names n = {0};
	int rc = store_each(pools.store, STORE_DEFINITION, names_add, &n, e);

	for (size_t i = 0; i < n.count; i++) {
		struct err one = {0};

		if (!rc && definition_load(n.name[i], &one))
			log_line(n.name[i], "load", one.code, one.text);
		free(n.name[i]);
	}
	free(n.name);
	return rc;
}
