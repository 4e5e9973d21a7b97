/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * drop.c - the drop directory control/pools: which names are definitions, what a
 * rename between definitions and scratch files means, and the handles that write
 * a definition.
 *
 * Called by fs/. The scratch files themselves are scratch.c's. Never touches the
 * disk: definitions go to cpool_define, which knows all that can be wrong.
 */
#include "scratch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool drop_is_definition(const char *file, char name[256])
{
	struct err ignored = {0};
	char stem[256];

	/* Not a definition: ".x.xml.swp", ".goutputstream-X", "x.xml~", "4913",
	 * "sedXXXXXX", "x.xml.part"; and with a leading dot ".#x.xml". */
	if (file[0] == '.' || !stem_cut(file, stem) || name_check(NAME_POOL, stem, &ignored) < 0)
		return false;
	memcpy(name, stem, sizeof stem);
	return true;
}

/* ---- rename ------------------------------------------------------------------------------ */

/* The commit of sed -i, rsync, gio and os.replace: its error is rename's. */
static int rename_commit(const char *from, const char *name, bool noreplace, struct err *e)
{
	struct cpool *cp = noreplace ? cpool_find(name) : NULL;
	_cleanup_free_ char *xml = NULL;
	struct scratch *s;
	size_t len;
	int ret;

	if (cp) {
		cpool_put(cp);
		return err_set(e, EEXIST, "pool '%s' is already defined", name);
	}
	s = scratch_find(from);
	if (!s)
		return err_set(e, ENOENT, "there is no '%s'", from);
	xml = scratch_content(s, &len);
	ret = cpool_define(name, xml, len, e);
	if (ret == 0)
		scratch_unlink_same(from, s);
	scratch_put(s);
	return ret;
}

/* vim's backup: the editor sees its file moved away, and the pool stays. */
static int rename_copy(const char *name, const char *to, bool noreplace, uid_t uid, gid_t gid,
		       struct err *e)
{
	struct cpool *cp = cpool_find(name);
	_cleanup_buf_ struct buf xml = {0};
	struct timespec mtime;

	if (!cp)
		return err_set(e, ENOENT, "pool '%s' is not defined", name);
	cpool_xml(cp, &xml);
	mtime = cpool_mtime(cp);
	cpool_put(cp);
	return scratch_place(to, noreplace, uid, gid, mtime, xml.data, xml.len, e);
}

int drop_rename(const char *from, const char *to, unsigned flags, uid_t uid, gid_t gid,
		struct err *e)
{
	char from_name[256], to_name[256];
	bool from_def = drop_is_definition(from, from_name), to_def = drop_is_definition(to, to_name);
	bool noreplace = flags & RENAME_NOREPLACE;

	if (flags & ~(unsigned)RENAME_NOREPLACE)
		return err_set(e, EINVAL, "cannot rename '%s' to '%s': only a plain rename is possible "
			       "in control/pools", from, to);
	if (from_def && to_def)
		return cpool_rename(from_name, to_name, e);
	if (from_def)
		return rename_copy(from_name, to, noreplace, uid, gid, e);
	if (to_def)
		return rename_commit(from, to_name, noreplace, e);
	return scratch_rename(from, to, noreplace, e);
}

/* ---- a handle that writes a definition ------------------------------------------------------ */

struct defwriter {
	pthread_mutex_t lock;           /* all below; held while cpool_define works */
	char *name;
	struct xml_gather *gather;
	uint64_t size;
	struct err err;                 /* what went wrong; code 0: nothing so far */
};

static void lock(pthread_mutex_t *m)
{
	if (pthread_mutex_lock(m))
		abort();
}

static void unlock(pthread_mutex_t *m)
{
	if (pthread_mutex_unlock(m))
		abort();
}

struct defwriter *defwriter_new(const char *name)
{
	struct defwriter *w = xcalloc(1, sizeof *w);

	if (pthread_mutex_init(&w->lock, NULL))
		abort();
	w->name = xstrdup(name);
	return w;
}

void defwriter_free(struct defwriter *w)
{
	if (!w)
		return;
	xml_gather_free(w->gather);
	pthread_mutex_destroy(&w->lock);
	free(w->name);
	free(w);
}

/* Locked. */
static void defwriter_restart(struct defwriter *w)
{
	xml_gather_free(w->gather);
	w->gather = NULL;
	w->size = 0;
	w->err.code = 0;
}

/* Locked. */
static int defwriter_add(struct defwriter *w, const void *data, size_t len, uint64_t off)
{
	const char *xml;
	size_t size;
	int ret;

	if (off == 0)
		defwriter_restart(w);
	if (w->err.code)
		return err_set(&w->err, EINVAL, "%s", w->err.text);
	if (off != w->size)
		return err_set(&w->err, EINVAL, "'%s.xml' must be written whole, from its first byte "
			       "to its last; this write is at %" PRIu64 " and not at %" PRIu64,
			       w->name, off, w->size);
	if (!w->gather)
		w->gather = xml_gather_new();
	ret = xml_gather_add(w->gather, data, len, &w->err);
	if (ret > 0) {
		xml = xml_gather_text(w->gather, &size);
		ret = cpool_define(w->name, xml, size, &w->err);
	}
	if (ret == 0)
		w->size += len;
	return ret;
}

int defwriter_write(struct defwriter *w, const void *data, size_t len, uint64_t off, struct err *e)
{
	int ret = 0;

	lock(&w->lock);
	if (len)
		ret = defwriter_add(w, data, len, off);
	if (ret < 0)
		*e = w->err;
	unlock(&w->lock);
	return ret;
}

void defwriter_truncate(struct defwriter *w)
{
	lock(&w->lock);
	defwriter_restart(w);
	unlock(&w->lock);
}

int defwriter_flush(struct defwriter *w, struct err *e)
{
	int ret = 0;

	lock(&w->lock);
	if (w->err.code) {
		*e = w->err;
		ret = -e->code;
	} else if (w->gather) {
		ret = xml_gather_end(w->gather, e);
	}
	unlock(&w->lock);
	return ret;
}

uint64_t defwriter_size(struct defwriter *w)
{
	uint64_t size;

	lock(&w->lock);
	size = w->size;
	unlock(&w->lock);
	return size;
}
