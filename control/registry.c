/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * registry.c - the table of pools, and which of them use one directory or one
 * source.
 *
 * The front finds and walks pools here; manage.c and begin.c put them in and
 * take them out. Looks at the target of a pool and at devices only with no lock
 * held, and never changes anything on disk.
 */
#include "fields.h"
#include "metrics.h"
#include "pool.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

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
	if (!cp->metrics)
		cp->metrics = metrics_new();
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
	metrics_leave(cp->metrics);
}

void cpool_set_def(struct cpool *cp, struct pool_def *def)
{
	cp->def = def;
	cp->def_number++;
}

struct cpool *cpool_new(const char *name, struct pool_def *def)
{
	struct cpool *cp = xcalloc(1, sizeof(*cp));

	atomic_init(&cp->refs, 1);
	cp->name = xstrdup(name);
	cpool_set_def(cp, def);
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
	metrics_free(cp->metrics);
	free(cp->error);
	free(cp->name);
	free(cp);
}

struct metrics *cpool_metrics(struct cpool *cp)
{
	return cp->metrics ? cp->metrics : metrics_others();
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

bool registry_own_target(const struct pool_def *def)
{
	return def->target && pool_type_find(def->type)->own_target;
}

int registry_target(const struct pool_def *def, struct target_id *id, struct err *e)
{
	int rc = target_check(def->target, id, e);

	/* /dev/disk/by-path is everybody's. */
	if (!registry_own_target(def))
		id->known = false;
	return rc;
}

bool registry_same_target(const char *normal, const struct pool_def *def)
{
	_cleanup_free_ char *other = NULL;

	if (!normal || !registry_own_target(def))
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

/* ---- who uses a source: one row for each set of types that may clash -------------------- */

static bool same_path(const char *a, const char *b)
{
	_cleanup_free_ char *one = target_normal(a), *two = target_normal(b);

	return !strcmp(one, two);
}

static bool same_device(const struct pool_source *a, const struct pool_source *b)
{
	for (size_t i = 0; i < a->device_count; i++)
		for (size_t j = 0; j < b->device_count; j++)
			if (same_path(a->devices[i].path, b->devices[j].path))
				return true;
	return false;
}

/* A host in common; port: what it is when it is not given, 0: any. */
static bool same_host(const struct pool_source *a, const struct pool_source *b, unsigned port)
{
	for (size_t i = 0; i < a->host_count; i++)
		for (size_t j = 0; j < b->host_count; j++) {
			unsigned one = a->hosts[i].port ? a->hosts[i].port : port;
			unsigned two = b->hosts[j].port ? b->hosts[j].port : port;

			if (!strcasecmp(a->hosts[i].name, b->hosts[j].name) &&
			    (one == two || !one || !two))
				return true;
		}
	return false;
}

/* auto is nfs, as far as a server is concerned. */
static bool same_export(const struct pool_source *a, const struct pool_source *b)
{
	const char *one = strcmp(a->format, "auto") ? a->format : "nfs";
	const char *two = strcmp(b->format, "auto") ? b->format : "nfs";

	return !strcmp(one, two) && same_path(a->dir, b->dir) && same_host(a, b, 0);
}

/* One initiator has one session with a target, by whatever portal. */
static bool same_session(const struct pool_source *a, const struct pool_source *b)
{
	if (!a->initiator != !b->initiator ||
	    (a->initiator && strcasecmp(a->initiator, b->initiator)))
		return false;
	for (size_t i = 0; i < a->device_count; i++)
		for (size_t j = 0; j < b->device_count; j++)
			if (!strcasecmp(a->devices[i].path, b->devices[j].path))
				return true;
	return false;
}

/* The number in "host5", "scsi_host5" and "fc_host5"; -1 if there is none. */
static long host_number(const char *name)
{
	const char *digits = name ? strstr(name, "host") : NULL;
	char *end;
	long number;

	if (!digits || !isdigit((unsigned char)digits[4]))
		return -1;
	number = strtol(digits + 4, &end, 10);
	return *end ? -1 : number;
}

static bool same_adapter(const struct pool_source *one, const struct pool_source *two)
{
	const struct pool_adapter *a = &one->adapter, *b = &two->adapter;
	long number;

	if (a->wwnn && b->wwnn)
		return !strcasecmp(a->wwnn, b->wwnn) && !strcasecmp(a->wwpn, b->wwpn);
	if (a->parentaddr && b->parentaddr)
		return a->domain == b->domain && a->bus == b->bus && a->slot == b->slot &&
		       a->function == b->function && a->unique_id == b->unique_id;
	/* A virtual adapter's parent sees its LUNs as well. */
	number = host_number(a->wwnn ? a->parent : a->name);
	return number >= 0 && number == host_number(b->wwnn ? b->parent : b->name);
}

static bool same_cluster(const struct pool_source *a, const struct pool_source *b)
{
	return same_host(a, b, 7000);
}

static bool same_always(const struct pool_source *a, const struct pool_source *b)
{
	(void)a, (void)b;
	return true;
}

/* dir has a target only; two pools on one RADOS pool do each other no harm. */
static const struct {
	const char *types;
	bool (*same)(const struct pool_source *a, const struct pool_source *b);
	const char *what;
} clashes[] = {
	{"fs logical disk", same_device, "one of these devices"},
	{"netfs", same_export, "this directory of this server"},
	{"iscsi", same_session, "this target with this initiator"},
	{"scsi", same_adapter, "this adapter"},
	{"mpath", same_always, "the multipath devices of this host"},
	{"sheepdog", same_cluster, "this cluster"},
};

int registry_same_source(const struct pool_def *def, const struct pool_def *other,
			 const char *name, struct err *e)
{
	for (size_t i = 0; i < sizeof(clashes) / sizeof(clashes[0]); i++)
		if (words_hold(clashes[i].types, def->type) &&
		    words_hold(clashes[i].types, other->type) &&
		    clashes[i].same(&def->source, &other->source))
			return err_set(e, EEXIST, "pool '%s' already uses %s: undefine it first",
				       name, clashes[i].what);
	return 0;
}

static bool device_number(const char *path, dev_t *number)
{
	struct stat st;

	if (path[0] != '/' || stat(path, &st) || !S_ISBLK(st.st_mode))
		return false;
	*number = st.st_rdev;
	return true;
}

struct device_search {
	const struct pool_def *def;
	struct err *e;
	int rc;
};

static void device_compare(struct device_search *s, const struct pool_def *other,
			   const char *name)
{
	dev_t one, two;

	if (!other || !words_hold(clashes[0].types, other->type))
		return;
	for (size_t i = 0; i < s->def->source.device_count; i++)
		for (size_t j = 0; j < other->source.device_count; j++)
			if (!s->rc && device_number(s->def->source.devices[i].path, &one) &&
			    device_number(other->source.devices[j].path, &two) && one == two)
				s->rc = err_set(s->e, EEXIST, "pool '%s' already uses '%s', as '%s': "
						"undefine it first", name,
						s->def->source.devices[i].path,
						other->source.devices[j].path);
}

static void device_search_one(void *arg, struct cpool *cp)
{
	struct device_search *s = arg;
	struct pool_def *def, *live;

	if (s->rc || !strcmp(cp->name, s->def->name))
		return;
	mutex_lock(&pools.lock);
	def = def_copy(cp->def);
	live = cp->run ? def_copy(cp->run->def) : NULL;
	mutex_unlock(&pools.lock);
	device_compare(s, def, cp->name);
	device_compare(s, live, cp->name);
	def_free(def);
	def_free(live);
}

int registry_same_device(const struct pool_def *def, struct err *e)
{
	struct device_search s = { .def = def, .e = e };

	if (words_hold(clashes[0].types, def->type))
		cpool_each(device_search_one, &s);
	return s.rc;
}

/* ---- names, gathered before they are worked on ------------------------------------ */

void names_add(void *arg, const char *name)
{
	struct names *n = arg;

	n->name = xrealloc(n->name, (n->count + 1) * sizeof(*n->name));
	n->name[n->count++] = xstrdup(name);
}
