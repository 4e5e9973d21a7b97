/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * drop.c - drop directories: which names are definitions, what a rename between
 * definitions and scratch files means, and the handles that write a definition;
 * and the first of them, control/pools.
 *
 * Called by fs/. The scratch files themselves are scratch.c's, the directories of
 * volumes volumes.c's. Never touches the disk: definitions go to who knows all
 * that can be wrong with them.
 */
#include "scratch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool drop_is_definition(const struct drop *d, const char *file, char name[256])
{
	char stem[256];

	if (!stem_cut(file, stem) || !d->kind->is_definition(stem))
		return false;
	memcpy(name, stem, sizeof stem);
	return true;
}

/* ---- rename ------------------------------------------------------------------------------ */

/* The commit of sed -i, rsync, gio and os.replace: its error is rename's. */
static int rename_commit(const struct drop *d, const struct caller *who, const char *from,
			 const char *name, bool noreplace, struct err *e)
{
	_cleanup_free_ char *xml = NULL;
	_cleanup_buf_ struct buf old = {0};
	struct err none = {0};
	struct timespec mtime;
	struct scratch *s;
	size_t len;
	int ret;

	if (noreplace && d->kind->show(d, name, &old, &mtime, &none) == 0)
		return err_set(e, EEXIST, "'%s.xml' exists already", name);
	s = scratch_find(d, from);
	if (!s)
		return err_set(e, ENOENT, "there is no '%s'", from);
	xml = scratch_content(s, &len);
	ret = d->kind->define(d, who, name, xml, len, e);
	if (ret == 0)
		scratch_unlink_same(d, from, s);
	scratch_put(s);
	return ret;
}

/* vim's backup: the editor sees its file moved away, and what it defines stays. */
static int rename_copy(const struct drop *d, const struct caller *who, const char *name,
		       const char *to, bool noreplace, struct err *e)
{
	_cleanup_buf_ struct buf xml = {0};
	struct timespec mtime;
	int ret = d->kind->show(d, name, &xml, &mtime, e);

	if (ret < 0)
		return e->text[0] ? ret : err_set(e, -ret, "there is no '%s.xml'", name);
	return scratch_place(d, to, noreplace, who->uid, who->gid, mtime, xml.data, xml.len, e);
}

int drop_rename(const struct drop *d, const struct caller *who, const char *from, const char *to,
		unsigned flags, struct err *e)
{
	char from_name[256], to_name[256];
	bool from_def = drop_is_definition(d, from, from_name);
	bool to_def = drop_is_definition(d, to, to_name);
	bool noreplace = flags & RENAME_NOREPLACE;

	if (flags & ~(unsigned)RENAME_NOREPLACE)
		return err_set(e, EINVAL, "cannot rename '%s' to '%s': only a plain rename is possible "
			       "in %s", from, to, d->path);
	if (from_def && to_def)
		return d->kind->rename(d, from_name, to_name, e);
	if (from_def)
		return rename_copy(d, who, from_name, to, noreplace, e);
	if (to_def)
		return rename_commit(d, who, from, to_name, noreplace, e);
	return scratch_rename(d, from, to, noreplace, e);
}

/* ---- control/pools ------------------------------------------------------------------------- */

/* Not a definition: ".x.xml.swp", ".goutputstream-X", "x.xml~", "4913", "sedXXXXXX",
 * "x.xml.part"; and with a leading dot ".#x.xml". */
static bool pools_is_definition(const char *name)
{
	struct err ignored = {0};

	return name[0] != '.' && name_check(NAME_POOL, name, &ignored) == 0;
}

/* Any name but one that was meant to be a definition. */
static int pools_scratch_check(const char *file, struct err *e)
{
	char stem[256];

	if (stem_cut(file, stem) && (file[0] != '.' || !stem[0] || !strcmp(stem, ".")) &&
	    name_check(NAME_POOL, stem, e) < 0)
		return -e->code;
	return name_check(NAME_VOLUME, file, e);
}

static int pools_define(const struct drop *d, const struct caller *who, const char *name,
			const char *xml, size_t len, struct err *e)
{
	(void)d, (void)who;
	return cpool_define(name, xml, len, e);
}

static int pools_show(const struct drop *d, const char *name, struct buf *xml,
		      struct timespec *mtime, struct err *e)
{
	struct cpool *cp = cpool_find(name);

	(void)d;
	if (!cp)
		return err_set(e, ENOENT, "pool '%s' is not defined", name);
	cpool_xml(cp, xml);
	*mtime = cpool_mtime(cp);
	cpool_put(cp);
	return 0;
}

static int pools_rename(const struct drop *d, const char *from, const char *to, struct err *e)
{
	(void)d;
	return cpool_rename(from, to, e);
}

static const struct drop_kind pools_kind = {
	.is_definition = pools_is_definition,
	.scratch_check = pools_scratch_check,
	.define = pools_define,
	.show = pools_show,
	.rename = pools_rename,
};
const struct drop drop_pools = {.kind = &pools_kind, .path = "control/pools"};

/* ---- a handle that writes a definition ------------------------------------------------------ */

struct defwriter {
	pthread_mutex_t lock;           /* what follows d; held while define works */
	const struct drop *d;
	char *name;
	struct xml_gather *gather;
	uint64_t size;
	struct err err;                 /* what went wrong; code 0: nothing so far */
};

struct defwriter *defwriter_new(const struct drop *d, const char *name)
{
	struct defwriter *w = xcalloc(1, sizeof *w);

	if (pthread_mutex_init(&w->lock, NULL))
		abort();
	w->d = d;
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

static bool is_blank(const char *data, size_t len)
{
	while (len && strchr(" \t\r\n", *data) && *data)
		data++, len--;
	return len == 0;
}

/* Locked. */
static int defwriter_add(struct defwriter *w, const struct caller *who, const void *data,
			 size_t len, uint64_t off)
{
	const char *xml;
	size_t size;
	int ret;

	/* A shell whose first write failed goes on with the newline. */
	if (off == 0 && !(w->err.code && is_blank(data, len)))
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
		ret = w->d->kind->define(w->d, who, w->name, xml, size, &w->err);
	}
	if (ret == 0)
		w->size += len;
	return ret;
}

int defwriter_write(struct defwriter *w, const struct caller *who, const void *data,
		    size_t len, uint64_t off, struct err *e)
{
	int ret = 0;

	mutex_lock(&w->lock);
	if (len)
		ret = defwriter_add(w, who, data, len, off);
	if (ret < 0)
		*e = w->err;
	mutex_unlock(&w->lock);
	return ret;
}

void defwriter_truncate(struct defwriter *w)
{
	mutex_lock(&w->lock);
	defwriter_restart(w);
	mutex_unlock(&w->lock);
}

int defwriter_flush(struct defwriter *w, struct err *e)
{
	int ret = 0;

	mutex_lock(&w->lock);
	if (w->err.code) {
		*e = w->err;
		ret = -e->code;
	} else if (w->gather) {
		ret = xml_gather_end(w->gather, e);
	}
	mutex_unlock(&w->lock);
	return ret;
}

uint64_t defwriter_size(struct defwriter *w)
{
	uint64_t size;

	mutex_lock(&w->lock);
	size = w->size;
	mutex_unlock(&w->lock);
	return size;
}
