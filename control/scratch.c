/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * scratch.c - the private files that editors and file managers leave between
 * the definitions of a drop directory.
 *
 * Called by fs/ and drop.c. They live in memory, capped in size and number, and
 * are gone when nobody has used or held them for ten minutes. Never written to
 * the disk, and never looked at as definitions here.
 */
#include "scratch.h"

#include <stdlib.h>
#include <string.h>

bool stem_cut(const char *file, char stem[256])
{
	size_t len = strlen(file);

	if (len < 4 || len - 4 >= 256 || strcmp(file + len - 4, ".xml") != 0)
		return false;
	memcpy(stem, file, len - 4);
	stem[len - 4] = '\0';
	return true;
}

/* scratches.lock guards all fields but refs' last drop, which it guards too. */
struct scratch {
	struct scratch *next;
	char *dir;                      /* path of its drop directory; constant */
	char *name;                     /* NULL: unlinked, lives until the last put */
	unsigned refs;                  /* of callers; the list holds none */
	char *data;
	size_t size, cap;               /* cap counts against SCRATCH_TOTAL_MAX */
	mode_t mode;
	uid_t uid;
	gid_t gid;
	struct timespec atime, mtime, ctime;
	uint64_t used;                  /* now_ms() */
};

static struct {
	pthread_mutex_t lock;
	struct scratch *first;          /* those with a name */
	size_t count;                   /* all, unlinked ones too */
	size_t bytes;
} scratches = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void scratch_free(struct scratch *s)
{
	scratches.count--;
	scratches.bytes -= s->cap;
	free(s->dir);
	free(s->name);
	free(s->data);
	free(s);
}

/* Takes *link out of the list. Locked. */
static void scratch_drop(struct scratch **link)
{
	struct scratch *s = *link;

	*link = s->next;
	s->next = NULL;
	free(s->name);
	s->name = NULL;
	clock_gettime(CLOCK_REALTIME, &s->ctime);
	if (s->refs == 0)
		scratch_free(s);
}

/* Locks, and lets go of what nobody has used for long. */
static void scratches_enter(void)
{
	uint64_t now = now_ms();
	struct scratch **link = &scratches.first;

	mutex_lock(&scratches.lock);
	while (*link) {
		struct scratch *s = *link;

		if (s->refs == 0 && now >= s->used + SCRATCH_SECONDS * 1000ull)
			scratch_drop(link);
		else
			link = &s->next;
	}
}

static void scratches_leave(void)
{
	mutex_unlock(&scratches.lock);
}

/* Locked. */
static struct scratch **scratch_link(const struct drop *d, const char *name)
{
	struct scratch **link = &scratches.first;

	while (*link && (strcmp((*link)->name, name) != 0 || strcmp((*link)->dir, d->path) != 0))
		link = &(*link)->next;
	return link;
}

static void scratch_changed(struct scratch *s)
{
	clock_gettime(CLOCK_REALTIME, &s->mtime);
	s->ctime = s->mtime;
	s->used = now_ms();
}

struct scratch *scratch_find(const struct drop *d, const char *name)
{
	struct scratch *s;

	scratches_enter();
	s = *scratch_link(d, name);
	if (s) {
		s->refs++;
		s->used = now_ms();
	}
	scratches_leave();
	return s;
}

/* Locked. The new file has one reference. */
static int scratch_new(const struct drop *d, const char *name, uid_t uid, gid_t gid, mode_t mode,
		       struct scratch **out, struct err *e)
{
	struct scratch *s;

	if (scratches.count >= SCRATCH_FILES_MAX)
		return err_set(e, ENOSPC, "cannot make '%s': there are %d scratch files already; "
			       "remove some", name, SCRATCH_FILES_MAX);
	s = xcalloc(1, sizeof *s);
	s->dir = xstrdup(d->path);
	s->name = xstrdup(name);
	s->refs = 1;
	s->mode = mode & 0777;
	s->uid = uid;
	s->gid = gid;
	scratch_changed(s);
	s->atime = s->mtime;
	s->next = scratches.first;
	scratches.first = s;
	scratches.count++;
	*out = s;
	return 0;
}

int scratch_create(const struct drop *d, const char *name, bool excl, uid_t uid, gid_t gid,
		   mode_t mode, struct scratch **out, struct err *e)
{
	struct scratch *s;
	int ret = d->kind->scratch_check(name, e);

	if (ret < 0)
		return ret;
	scratches_enter();
	s = *scratch_link(d, name);
	if (!s) {
		ret = scratch_new(d, name, uid, gid, mode, &s, e);
	} else if (excl) {
		ret = err_set(e, EEXIST, "'%s' exists already", name);
	} else {
		s->refs++;
		s->used = now_ms();
	}
	scratches_leave();
	if (ret == 0)
		*out = s;
	return ret;
}

void scratch_put(struct scratch *s)
{
	if (!s)
		return;
	scratches_enter();
	s->used = now_ms();
	if (--s->refs == 0 && !s->name)
		scratch_free(s);
	scratches_leave();
}

void scratch_stat(struct scratch *s, struct stat *st)
{
	scratches_enter();
	*st = (struct stat){
		.st_mode = S_IFREG | s->mode,
		.st_nlink = s->name ? 1 : 0,
		.st_uid = s->uid,
		.st_gid = s->gid,
		.st_size = (off_t)s->size,
		.st_blocks = (blkcnt_t)((s->size + 511) / 512),
		.st_blksize = 4096,
		.st_atim = s->atime,
		.st_mtim = s->mtime,
		.st_ctim = s->ctime,
	};
	scratches_leave();
}

static void time_set(struct timespec *to, const struct timespec *from, const struct timespec *now)
{
	if (from->tv_nsec != UTIME_OMIT)
		*to = from->tv_nsec == UTIME_NOW ? *now : *from;
}

void scratch_setattr(struct scratch *s, const struct vol_attr *a)
{
	scratches_enter();
	clock_gettime(CLOCK_REALTIME, &s->ctime);
	s->used = now_ms();
	if (a->valid & ATTR_MODE)
		s->mode = a->mode & 0777;
	if (a->valid & ATTR_UID)
		s->uid = a->uid;
	if (a->valid & ATTR_GID)
		s->gid = a->gid;
	if (a->valid & ATTR_ATIME)
		time_set(&s->atime, &a->atime, &s->ctime);
	if (a->valid & ATTR_MTIME)
		time_set(&s->mtime, &a->mtime, &s->ctime);
	scratches_leave();
}

ssize_t scratch_read(struct scratch *s, void *data, size_t len, uint64_t off)
{
	scratches_enter();
	s->used = now_ms();
	if (off >= s->size)
		len = 0;
	else if (len > s->size - off)
		len = s->size - off;
	if (len)
		memcpy(data, s->data + off, len);
	scratches_leave();
	return (ssize_t)len;
}

/* Locked. Makes the file hold size bytes, zeroes in what is new. */
static int scratch_resize(struct scratch *s, uint64_t size, struct err *e)
{
	size_t cap = size <= 4096 ? 4096 : s->cap;

	if (size > SCRATCH_FILE_MAX)
		return err_set(e, EFBIG, "a scratch file holds at most %d bytes", SCRATCH_FILE_MAX);
	while (cap < size)
		cap = cap < 4096 ? 4096 : cap * 2;
	if (size == 0)
		cap = 0;
	if (cap > s->cap && cap - s->cap > SCRATCH_TOTAL_MAX - scratches.bytes)
		return err_set(e, ENOSPC, "the scratch files hold %d bytes already; "
			       "remove some", SCRATCH_TOTAL_MAX);
	if (cap == 0) {
		free(s->data);
		s->data = NULL;
	} else if (cap != s->cap) {
		s->data = xrealloc(s->data, cap);
	}
	scratches.bytes = scratches.bytes - s->cap + cap;
	s->cap = cap;
	if (size > s->size)
		memset(s->data + s->size, 0, (size_t)size - s->size);
	s->size = (size_t)size;
	return 0;
}

/* Locked. */
static int scratch_put_bytes(struct scratch *s, const void *data, size_t len, uint64_t off,
			     struct err *e)
{
	int ret = 0;

	if (len == 0)
		return 0;
	if (off > SCRATCH_FILE_MAX || len > SCRATCH_FILE_MAX)
		ret = scratch_resize(s, UINT64_MAX, e);         /* EFBIG */
	else if (off + len > s->size)
		ret = scratch_resize(s, off + len, e);
	if (ret < 0)
		return ret;
	memcpy(s->data + off, data, len);
	scratch_changed(s);
	return 0;
}

int scratch_write(struct scratch *s, const void *data, size_t len, uint64_t off, struct err *e)
{
	int ret;

	scratches_enter();
	ret = scratch_put_bytes(s, data, len, off, e);
	scratches_leave();
	return ret;
}

int scratch_truncate(struct scratch *s, uint64_t size, struct err *e)
{
	int ret;

	scratches_enter();
	ret = scratch_resize(s, size, e);
	if (ret == 0)
		scratch_changed(s);
	scratches_leave();
	return ret;
}

int scratch_unlink(const struct drop *d, const char *name, struct err *e)
{
	struct scratch **link;
	int ret = 0;

	scratches_enter();
	link = scratch_link(d, name);
	if (*link)
		scratch_drop(link);
	else
		ret = err_set(e, ENOENT, "there is no '%s'", name);
	scratches_leave();
	return ret;
}

void scratch_each(const struct drop *d,
		  void (*f)(void *arg, const char *name, struct scratch *s), void *arg)
{
	struct {
		char *name;
		struct scratch *s;
	} *all;
	size_t count = 0;

	/* Being listed is no use: else a shell in a loop kept all for ever. */
	scratches_enter();
	all = xcalloc(scratches.count, sizeof *all);
	for (struct scratch *s = scratches.first; s; s = s->next) {
		if (strcmp(s->dir, d->path) != 0)
			continue;
		s->refs++;
		all[count].name = xstrdup(s->name);
		all[count++].s = s;
	}
	scratches_leave();
	for (size_t i = 0; i < count; i++)
		f(arg, all[i].name, all[i].s);
	mutex_lock(&scratches.lock);
	for (size_t i = 0; i < count; i++) {
		if (--all[i].s->refs == 0 && !all[i].s->name)
			scratch_free(all[i].s);
		free(all[i].name);
	}
	mutex_unlock(&scratches.lock);
	free(all);
}

/* ---- for drop.c ---------------------------------------------------------------------------- */

int scratch_rename(const struct drop *d, const char *from, const char *to, bool noreplace,
		   struct err *e)
{
	struct scratch **link;
	int ret = d->kind->scratch_check(to, e);

	if (ret < 0)
		return ret;
	scratches_enter();
	link = scratch_link(d, to);
	if (!*scratch_link(d, from)) {
		ret = err_set(e, ENOENT, "there is no '%s'", from);
	} else if (*link && noreplace) {
		ret = err_set(e, EEXIST, "'%s' exists already", to);
	} else if (strcmp(from, to) != 0) {
		struct scratch *s;

		if (*link)
			scratch_drop(link);
		s = *scratch_link(d, from);
		free(s->name);
		s->name = xstrdup(to);
		s->used = now_ms();
		clock_gettime(CLOCK_REALTIME, &s->ctime);
	}
	scratches_leave();
	return ret;
}

/* Locked. The old one goes only when the new one is whole. */
static int scratch_place_locked(const struct drop *d, const char *name, uid_t uid, gid_t gid,
				struct timespec mtime, const char *data, size_t len,
				struct err *e)
{
	struct scratch *s, *old = *scratch_link(d, name), **link;
	int ret = scratch_new(d, name, uid, gid, 0600, &s, e);

	if (ret < 0)
		return ret;
	s->refs = 0;
	ret = scratch_put_bytes(s, data, len, 0, e);
	s->mtime = mtime;
	if (ret < 0) {
		scratch_drop(&scratches.first);         /* s: new ones come first */
		return ret;
	}
	for (link = &s->next; old && *link; link = &(*link)->next)
		if (*link == old) {
			scratch_drop(link);
			break;
		}
	return 0;
}

int scratch_place(const struct drop *d, const char *name, bool noreplace, uid_t uid, gid_t gid,
		  struct timespec mtime, const char *data, size_t len, struct err *e)
{
	int ret = d->kind->scratch_check(name, e);

	if (ret < 0)
		return ret;
	scratches_enter();
	if (noreplace && *scratch_link(d, name))
		ret = err_set(e, EEXIST, "'%s' exists already", name);
	else
		ret = scratch_place_locked(d, name, uid, gid, mtime, data, len, e);
	scratches_leave();
	return ret;
}

char *scratch_content(struct scratch *s, size_t *len)
{
	char *data;

	mutex_lock(&scratches.lock);
	*len = s->size;
	data = xmalloc(s->size + 1);
	if (s->size)
		memcpy(data, s->data, s->size);
	data[s->size] = '\0';
	mutex_unlock(&scratches.lock);
	return data;
}

void scratch_unlink_same(const struct drop *d, const char *name, struct scratch *s)
{
	struct scratch **link;

	mutex_lock(&scratches.lock);
	link = scratch_link(d, name);
	if (*link == s)
		scratch_drop(link);
	mutex_unlock(&scratches.lock);
}
