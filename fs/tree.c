/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tree.c - nodes: FUSE's numbers and the names they stand for.
 *
 * A number is given once and never again, so a process left inside a stopped
 * pool meets ESTALE and not the volumes of the next run. A volume's node
 * belongs to one file (ident): when another file takes the name behind
 * poolfs's back, the name gets a new node. Called by all of fs/; never calls
 * a driver.
 */
#include "fs.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t tree_mu = PTHREAD_MUTEX_INITIALIZER;
static struct node **by_id, **by_name;
static size_t buckets, count;
static uint64_t next_id = FUSE_ROOT_ID;
static struct timespec born;            /* times of what has none */

static size_t name_slot(const struct node *parent, const char *name)
{
	uint64_t h = hash_add(HASH_BEGIN, &parent->id, sizeof parent->id);

	h = hash_add(h, name, strlen(name));
	return (h ^ h >> 32) & (buckets - 1);
}

static void grow(void)
{
	size_t old = buckets;
	struct node **ids = by_id, **names = by_name;

	if (count < buckets)
		return;
	buckets = buckets ? buckets * 2 : 256;
	by_id = xcalloc(buckets, sizeof *by_id);
	by_name = xcalloc(buckets, sizeof *by_name);
	for (size_t i = 0; i < old; i++) {
		for (struct node *n = ids[i], *next; n; n = next) {
			next = n->by_id;
			n->by_id = by_id[n->id & (buckets - 1)];
			by_id[n->id & (buckets - 1)] = n;
		}
		for (struct node *n = names[i], *next; n; n = next) {
			size_t s = name_slot(n->parent, n->name);

			next = n->by_name;
			n->by_name = by_name[s];
			by_name[s] = n;
		}
	}
	free(ids);
	free(names);
}

static struct node *find_locked(struct node *parent, const char *name)
{
	for (struct node *n = by_name[name_slot(parent, name)]; n; n = n->by_name)
		if (n->parent == parent && !strcmp(n->name, name))
			return n;
	return NULL;
}

static void unlink_locked(struct node *n)
{
	struct node **p;

	if (!n->linked)
		return;
	for (p = &by_name[name_slot(n->parent, n->name)]; *p != n; p = &(*p)->by_name)
		;
	*p = n->by_name;
	n->linked = false;
}

static void link_locked(struct node *n)
{
	size_t s = name_slot(n->parent, n->name);

	n->by_name = by_name[s];
	by_name[s] = n;
	n->linked = true;
}

static struct node *make_locked(struct node *parent, enum kind k, const char *name)
{
	struct node *n = xcalloc(1, sizeof *n);

	grow();
	n->id = next_id++;
	n->kind = k;
	n->name = xstrdup(name);
	n->refs = 1;
	pthread_mutex_init(&n->mu, NULL);
	n->by_id = by_id[n->id & (buckets - 1)];
	by_id[n->id & (buckets - 1)] = n;
	count++;
	if (parent) {
		n->parent = parent;
		parent->refs++;
	}
	return n;
}

void tree_init(void)
{
	static const struct { enum kind k; const char *name; } fixed[] = {
		{ N_POOLS, "pools" }, { N_ACTIVE, "active" }, { N_AUTOSTART, "autostart" },
		{ N_SECRETS, "secrets" },
	};
	struct node *root, *control;

	clock_gettime(CLOCK_REALTIME, &born);
	root = make_locked(NULL, N_ROOT, "");
	control = make_locked(root, N_CONTROL, "control");
	link_locked(control);
	for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
		link_locked(make_locked(control, fixed[i].k, fixed[i].name));
}

uint64_t node_no_id(void)
{
	pthread_mutex_lock(&tree_mu);
	uint64_t id = next_id++;
	pthread_mutex_unlock(&tree_mu);
	return id;
}

struct node *node_by_id(fuse_ino_t id)
{
	struct node *n;

	pthread_mutex_lock(&tree_mu);
	for (n = by_id[id & (buckets - 1)]; n && n->id != id; n = n->by_id)
		;
	if (n)
		n->refs++;
	pthread_mutex_unlock(&tree_mu);
	return n;
}

struct node *node_get(struct node *n)
{
	atomic_fetch_add(&n->refs, 1);
	return n;
}

/* Not the last reference: no lock. It is true while somebody else has one. */
static bool put_some(struct node *n, uint64_t times)
{
	uint64_t now = atomic_load(&n->refs);

	while (now > times)
		if (atomic_compare_exchange_weak(&n->refs, &now, now - times))
			return true;
	return false;
}

void node_put(struct node *n, uint64_t times)
{
	while (n && !put_some(n, times)) {
		struct node *parent = n->parent, **p;

		pthread_mutex_lock(&tree_mu);
		uint64_t before = atomic_fetch_sub(&n->refs, times);
		assert(before >= times);
		if (before != times) {
			pthread_mutex_unlock(&tree_mu);
			return;
		}
		unlink_locked(n);
		for (p = &by_id[n->id & (buckets - 1)]; *p != n; p = &(*p)->by_id)
			;
		*p = n->by_id;
		count--;
		pthread_mutex_unlock(&tree_mu);
		if (n->run)
			run_put(n->run);
		if (n->cp)
			cpool_put(n->cp);
		if (n->scratch)
			scratch_put(n->scratch);
		if (n->lockers)
			locks_free(n);
		queue_free(n->queue);
		drop_volumes_free(n->drop);
		pthread_mutex_destroy(&n->mu);
		free(n->name);
		free(n);
		n = parent;
		times = 1;
	}
}

struct node *node_find(struct node *parent, const char *name)
{
	pthread_mutex_lock(&tree_mu);
	struct node *n = find_locked(parent, name);
	if (n)
		n->refs++;
	pthread_mutex_unlock(&tree_mu);
	return n;
}

struct node *node_child(struct node *parent, enum kind k, const char *name, uint64_t ident,
			struct run *run, struct cpool *cp, const struct cfile *cf)
{
	/* Writers of one node wait for each other, and tail -F for a new number. What
	 * the kernel knows by its number it looks up once for an open, not twice. */
	bool fresh = k == N_CFILE && !cf->grows && !ident;
	struct node *n;

	pthread_mutex_lock(&tree_mu);
	n = fresh ? NULL : find_locked(parent, name);
	if (n && (n->kind != k || n->ident != ident || n->run != run || n->cp != cp)) {
		unlink_locked(n);
		n = NULL;
	}
	if (n) {
		n->refs++;
	} else {
		n = make_locked(parent, k, name);
		n->ident = ident;
		n->cf = cf;
		n->run = run ? run_get(run) : NULL;
		n->cp = cp ? cpool_get(cp) : NULL;
		if (k == N_POOL || k == N_CPOOL || k == N_VOLUMES)
			n->queue = queue_new(POOL_THREADS_MAX);
		if (k == N_VOLUMES)
			n->drop = drop_volumes_new(run);
		if (!fresh)
			link_locked(n);
	}
	pthread_mutex_unlock(&tree_mu);
	return n;
}

void node_unlink(struct node *parent, const char *name)
{
	pthread_mutex_lock(&tree_mu);
	struct node *n = find_locked(parent, name);
	if (n)
		unlink_locked(n);
	pthread_mutex_unlock(&tree_mu);
}

static void rename_locked(struct node *n, struct node *dir, const char *to)
{
	assert(n->parent == dir);
	free(n->name);
	n->name = xstrdup(to);
	link_locked(n);
}

/* Within one directory: poolfs moves nothing between two. */
void node_rename(struct node *from_dir, const char *from, struct node *to_dir, const char *to,
		 bool exchange)
{
	struct node *a, *b;

	assert(from_dir == to_dir);
	pthread_mutex_lock(&tree_mu);
	a = find_locked(from_dir, from);
	b = find_locked(to_dir, to);
	if (a)
		unlink_locked(a);
	if (b)
		unlink_locked(b);
	if (a)
		rename_locked(a, to_dir, to);
	if (b && exchange)
		rename_locked(b, from_dir, from);
	pthread_mutex_unlock(&tree_mu);
}

char *node_name(struct node *n)
{
	pthread_mutex_lock(&tree_mu);
	char *name = xstrdup(n->name);
	pthread_mutex_unlock(&tree_mu);
	return name;
}

/* It stands for a pool that has been undefined, or renamed. */
bool node_is_gone(struct node *n)
{
	return n->kind == N_CPOOL && cpool_gone(n->cp);
}

bool node_linked(struct node *n)
{
	pthread_mutex_lock(&tree_mu);
	bool yes = n->linked;
	pthread_mutex_unlock(&tree_mu);
	return yes;
}

void node_become_scratch(struct node *n, struct scratch *s)
{
	struct scratch *old;

	pthread_mutex_lock(&tree_mu);
	n->kind = N_SCRATCH;
	old = n->scratch;               /* another lookup of it came first */
	n->scratch = old ? old : s;
	pthread_mutex_unlock(&tree_mu);
	if (old)
		scratch_put(s);
}

/* What the kernel knows of a run's volumes may be wrong: a verb has been at work. */
void nodes_forget_attributes(struct run *run)
{
	uint64_t *ids = NULL;
	size_t n = 0, room = 0;

	pthread_mutex_lock(&tree_mu);
	for (size_t i = 0; i < buckets; i++)
		for (struct node *v = by_id[i]; v; v = v->by_id) {
			if (v->kind != N_VOL || v->run != run)
				continue;
			if (n == room)
				ids = xrealloc(ids, (room = room ? room * 2 : 64) * sizeof *ids);
			ids[n++] = v->id;
		}
	pthread_mutex_unlock(&tree_mu);
	for (size_t i = 0; i < n; i++)
		fuse_lowlevel_notify_inval_inode(session, ids[i], -1, 0);
	free(ids);
}

const struct drop *node_drop(struct node *dir)
{
	return dir->kind == N_POOLS ? &drop_pools : dir->kind == N_VOLUMES ? dir->drop : NULL;
}

/* ---- attributes ---------------------------------------------------------------- */

/* Inode numbers people see: stable as long as they can be, and .pool's the
 * lowest of its directory, because rm -r may go by them. What belongs to a
 * running pool has the run's serial in the upper 16 bits; the rest has 0. */
uint64_t vol_ino(struct run *r, uint64_t ino)
{
	return (uint64_t)run_serial(r) << 48 | ((ino + 16) & 0xffffffffffffULL);
}

static uint64_t name_ino(enum kind k, const char *pool, const char *name)
{
	uint64_t h = HASH_BEGIN;

	h = hash_add(h, &k, sizeof k);
	h = hash_add(h, pool, strlen(pool) + 1);
	h = hash_add(h, name, strlen(name));
	return 1ULL << 40 | (h & 0xffffffffffULL);
}

uint64_t voltext_ino(struct node *dir, const char *file)
{
	return name_ino(N_VOLTEXT, cpool_name(dir->cp), file);
}

static uint64_t plain_ino(struct node *n, const char *name)
{
	const char *pool = n->cp ? cpool_name(n->cp) : "";

	switch ((enum kind)n->kind) {
	case N_ROOT:
		return 1;
	case N_GUARD:
		if (n->parent->kind == N_POOL)
			return (uint64_t)run_serial(n->parent->run) << 48 | 2;
		return 2 + n->parent->kind;
	case N_CONTROL: case N_POOLS: case N_ACTIVE: case N_AUTOSTART: case N_SECRETS:
		return 32 + n->kind;
	case N_POOL:
		return (uint64_t)run_serial(n->run) << 48 | 3;
	case N_SOURCE:                  /* a host's name may come twice */
		return name_ino(N_SOURCE, n->parent->name, name);
	default:
		return name_ino(n->kind, pool, name);
	}
}

static void pool_dir_stat(struct node *n, struct stat *st)
{
	struct pool_usage u;

	/* Not known yet, and perhaps private: nobody else's for now. */
	if (!run_usage(n->run, 100, &u))
		return;
	st->st_mode = S_IFDIR | 0755;
	if (!u.dir.st_mode)
		return;
	st->st_mode = S_IFDIR | (u.dir.st_mode & 01777);
	st->st_uid = u.dir.st_uid;
	st->st_gid = u.dir.st_gid;
	st->st_atim = u.dir.st_atim;
	st->st_mtim = u.dir.st_mtim;
	st->st_ctim = u.dir.st_ctim;
}

static void def_stat(struct node *n, const char *file, struct stat *st)
{
	char name[256];
	struct cpool *cp = drop_is_definition(&drop_pools, file, name) ? cpool_find(name) : NULL;

	st->st_mode = S_IFREG | 0644;
	if (!cp)
		return;
	_cleanup_buf_ struct buf b = { 0 };
	cpool_xml(cp, &b);
	st->st_size = b.len;
	st->st_mtim = st->st_ctim = cpool_mtime(cp);
	cpool_put(cp);
	(void)n;
}

static void text_stat(const char *text, mode_t mode, struct stat *st)
{
	st->st_mode = mode;
	st->st_size = strlen(text);
}

void node_stat(struct node *n, const struct caller *who, struct stat *st)
{
	_cleanup_buf_ struct buf b = { 0 };
	_cleanup_free_ char *name = node_name(n), *link = NULL;

	memset(st, 0, sizeof *st);
	st->st_ino = plain_ino(n, name);
	st->st_nlink = 1;
	st->st_uid = geteuid();
	st->st_gid = getegid();
	st->st_blksize = 4096;
	st->st_atim = st->st_mtim = st->st_ctim = born;
	switch ((enum kind)n->kind) {
	case N_ROOT: case N_CONTROL: case N_POOLS: case N_ACTIVE: case N_AUTOSTART:
	case N_CPOOL: case N_ACTIVEPOOL: case N_VOLUMES:
		st->st_mode = S_IFDIR | 0755;   /* st_nlink 1: "not counted" */
		break;
	case N_SECRETS:
		st->st_mode = S_IFDIR | 0700;
		break;
	case N_SECRET:                  /* its length is a hint, too */
		st->st_mode = S_IFREG | 0200;
		break;
	case N_SOURCES: case N_SOURCEHOSTS: case N_SOURCE:
		sources_stat(n, st);
		break;
	case N_POOL:
		st->st_nlink = 2;
		st->st_mode = S_IFDIR | 0700;
		if (who)
			pool_dir_stat(n, st);
		break;
	case N_GUARD:
		guard_text(n, &b);
		text_stat(b.data, S_IFREG | 0444, st);
		break;
	case N_CFILE:
		st->st_mode = S_IFREG | n->cf->mode;
		if (n->cf->grows) {
			st->st_size = events_size(&st->st_mtim);
			if (!st->st_mtim.tv_sec)
				st->st_mtim = born;
			st->st_ctim = st->st_mtim;
			break;
		}
		if (node_is_shown(n)) {
			struct stamp s = shown_stamp(n);

			st->st_size = s.size;
			st->st_mtim = s.mtime;
			st->st_ctim = s.ctime;
			break;
		}
		if (n->cf->show && !n->cf->size)
			n->cf->show(n->cp, who, &b);
		st->st_size = n->cf->size ? n->cf->size() : b.len;
		clock_gettime(CLOCK_REALTIME, &st->st_mtim);
		st->st_ctim = st->st_mtim;
		break;
	case N_DEF:
		def_stat(n, name, st);
		break;
	case N_SCRATCH: {
		uint64_t ino = st->st_ino;

		scratch_stat(n->scratch, st);
		st->st_ino = ino;
		break;
	}
	case N_AUTOLINK:
		link = autolink_text(name);
		text_stat(link ? link : "", S_IFLNK | 0777, st);
		break;
	case N_VOL: case N_VOLTEXT:
		assert(!"a volume's attributes come from its driver");
	}
	st->st_blocks = (st->st_size + 511) / 512;
}

struct stamp stamp_of(const struct stat *st)
{
	return (struct stamp){ st->st_size, st->st_mtim, st->st_ctim };
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

bool stamp_same(const struct stamp *a, const struct stamp *b)
{
	return a->size == b->size && same_time(&a->mtime, &b->mtime) &&
	       same_time(&a->ctime, &b->ctime);
}

bool node_changed(struct node *n, const struct stat *st)
{
	struct stamp is = stamp_of(st);

	pthread_mutex_lock(&n->mu);
	bool yes = n->seen_set && !stamp_same(&n->seen, &is);
	pthread_mutex_unlock(&n->mu);
	return yes;
}

void node_told(struct node *n, const struct stat *st)
{
	pthread_mutex_lock(&n->mu);
	n->seen = stamp_of(st);
	n->seen_set = true;
	pthread_mutex_unlock(&n->mu);
}

void voltext_show_stat(struct node *n, off_t size, struct stat *st)
{
	_cleanup_free_ char *file = node_name(n);

	st->st_ino = voltext_ino(n->parent, file);
	st->st_nlink = 1;
	st->st_blksize = 4096;
	st->st_size = size;
	st->st_blocks = (size + 511) / 512;
	st->st_dev = st->st_rdev = 0;
}

void voltext_unmade_stat(struct node *n, struct stat *st)
{
	memset(st, 0, sizeof *st);
	st->st_mode = S_IFREG | 0644;
	st->st_uid = geteuid();
	st->st_gid = getegid();
	st->st_atim = st->st_mtim = st->st_ctim = born;
	voltext_show_stat(n, 0, st);
}

int voltext_stat(struct node *n, struct stat *st, struct err *e)
{
	_cleanup_free_ char *file = node_name(n);
	_cleanup_buf_ struct buf b = { 0 };
	bool shown = node_is_shown(n);
	enum volume_text what;
	char name[256];
	int rc;

	if (!volume_text_name(file, name, &what))
		return -ENOENT;
	rc = volume_show(n->run, name, what, shown ? NULL : &b, st, e);
	if (rc == -ENOENT && n->writers) {
		e->code = 0;
		voltext_unmade_stat(n, st);
		return 0;
	}
	if (rc < 0)
		return rc;
	voltext_show_stat(n, shown ? shown_stamp(n).size : (off_t)b.len, st);
	return 0;
}

void vol_show_stat(struct node *n, struct vol_stat *vs)
{
	vs->st.st_ino = vol_ino(n->run, vs->st.st_ino);
	vs->st.st_mode &= S_IFMT | 01777;
	vs->st.st_dev = 0;
	vs->st.st_rdev = 0;
}
