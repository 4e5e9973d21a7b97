/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * registry.c - the table of pools, and which of them uses a directory.
 *
 * The front finds and walks pools here; manage.c and begin.c put them in and
 * take them out. Looks at the target of a pool only with no lock held, and
 * never changes anything on disk.
 */
#include "pool.h"
#include <stdlib.h>
#include <string.h>

struct pools pools = {
	.define = PTHREAD_MUTEX_INITIALIZER,
	.lock = PTHREAD_MUTEX_INITIALIZER,
};

/* ---- the table ---------------------------------------------------------------- */

/* Locked. The place of name, or where it would go. */
static size_t registry_place(const char *name, bool *found)
{
	size_t low = 0, high = pools.count;

	*found = false;
	while (low < high) {
		size_t mid = (low + high) / 2;
		int d = strcmp(name, pools.all[mid]->name);

		if (!d) {
			*found = true;
			return mid;
		}
		if (d < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

struct cpool *registry_get(const char *name)
{
	bool found;
	size_t at = registry_place(name, &found);

	return found ? pools.all[at] : NULL;
}

bool registry_add(struct cpool *cp)
{
	bool found;
	size_t at = registry_place(cp->name, &found);

	if (found)
		return false;
	if (pools.count == pools.cap) {
		pools.cap = pools.cap ? pools.cap * 2 : 16;
		pools.all = xrealloc(pools.all, pools.cap * sizeof(*pools.all));
	}
	memmove(pools.all + at + 1, pools.all + at,
		(pools.count - at) * sizeof(*pools.all));
	pools.all[at] = cp;
	pools.count++;
	cp->gone = false;
	return true;
}

void registry_drop(struct cpool *cp)
{
	bool found;
	size_t at = registry_place(cp->name, &found);

	if (!found || pools.all[at] != cp)
		return;
	pools.count--;
	memmove(pools.all + at, pools.all + at + 1,
		(pools.count - at) * sizeof(*pools.all));
	cp->gone = true;
}

struct cpool *cpool_new(const char *name, struct pool_def *def)
{
	struct cpool *cp = xcalloc(1, sizeof(*cp));

	atomic_init(&cp->refs, 1);
	cp->name = xstrdup(name);
	cp->def = def;
	cp->persistent = true;
	cp->error = xstrdup("");
	return cp;
}

struct cpool *cpool_get(struct cpool *cp)
{
	atomic_fetch_add(&cp->refs, 1);
	return cp;
}

void cpool_put(struct cpool *cp)
{
	if (!cp || atomic_fetch_sub(&cp->refs, 1) != 1)
		return;
	def_free(cp->def);
	free(cp->error);
	free(cp->name);
	free(cp);
}

struct cpool *cpool_find(const char *name)
{
	struct cpool *cp;

	mutex_lock(&pools.lock);
	cp = registry_get(name);
	if (cp)
		cpool_get(cp);
	mutex_unlock(&pools.lock);
	return cp;
}

void cpool_each(void (*f)(void *arg, struct cpool *cp), void *arg)
{
	struct cpool **all;
	size_t n;

	mutex_lock(&pools.lock);
	n = pools.count;
	all = xmalloc((n + 1) * sizeof(*all));
	for (size_t i = 0; i < n; i++)
		all[i] = cpool_get(pools.all[i]);
	mutex_unlock(&pools.lock);
	for (size_t i = 0; i < n; i++) {
		f(arg, all[i]);
		cpool_put(all[i]);
	}
	free(all);
}

/* ---- who uses a directory -------------------------------------------------------- */

bool registry_same_target(const char *normal, const struct pool_def *def)
{
	_cleanup_free_ char *other = NULL;

	if (!normal || !def->target)
		return false;
	other = target_normal(def->target);
	return !strcmp(normal, other);
}

int registry_conflict_error(const char *other, bool runs, struct err *e)
{
	if (runs)
		return err_set(e, EBUSY, "running pool '%s' uses this directory already: "
			       "stop it first", other);
	return err_set(e, EEXIST, "pool '%s' already uses this directory", other);
}

/* Locked. A pool whose hint says that it uses id; the caller frees both texts. */
static bool conflict_hint(const char *name, const struct target_id *id, bool runs,
			  char **other, char **target)
{
	for (size_t i = 0; i < pools.count; i++) {
		struct cpool *cp = pools.all[i];
		const struct pool_def *def = NULL;

		if (!strcmp(cp->name, name))
			continue;
		if (cp->run && target_same(&cp->run->id, id))
			def = cp->run->def;
		else if (!runs && target_same(&cp->id, id))
			def = cp->def;
		if (!def || !def->target)
			continue;
		*other = xstrdup(cp->name);
		*target = xstrdup(def->target);
		return true;
	}
	return false;
}

static void conflict_forget(const char *other, const struct target_id *id)
{
	struct cpool *cp;

	mutex_lock(&pools.lock);
	cp = registry_get(other);
	if (cp && cp->run && target_same(&cp->run->id, id))
		cp->run->id.known = false;
	if (cp && target_same(&cp->id, id))
		cp->id.known = false;
	mutex_unlock(&pools.lock);
}

int registry_conflict(const char *name, const struct target_id *id, struct run *starting,
		      struct err *e)
{
	for (;;) {
		_cleanup_free_ char *other = NULL, *target = NULL;
		struct err ignored = {0};
		struct target_id now;
		bool hint;

		mutex_lock(&pools.lock);
		hint = id->known && conflict_hint(name, id, starting, &other, &target);
		if (!hint && starting)
			starting->id = *id;
		mutex_unlock(&pools.lock);
		if (!hint)
			return 0;
		/* The other's directory may be gone and its inode used again. */
		if (!target_check(target, &now, &ignored) && target_same(&now, id))
			return registry_conflict_error(other, starting, e);
		conflict_forget(other, id);
	}
}

/* ---- names, gathered before they are worked on ------------------------------------ */

void names_add(void *arg, const char *name)
{
	struct names *n = arg;

	n->name = xrealloc(n->name, (n->count + 1) * sizeof(*n->name));
	n->name[n->count++] = xstrdup(name);
}
