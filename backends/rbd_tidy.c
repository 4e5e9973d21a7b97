/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rbd_tidy.c - finishes what was left for later: deletes what lies in the trash, cuts
 * clones loose from their source, removes copies that died half-made.
 *
 * Called through the row in rbd.c, as a job. What there is to do stands in an object
 * of the RADOS pool, so that it is known after a crash, and on other hosts; what is
 * not noted there is not ours and is left alone.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "rbd.h"

#include <stdlib.h>
#include <string.h>

/* ---- notes: keys and values of one object ------------------------------------------- */

int note_set(struct conn *c, const char *object, const char *key, const char *value)
{
	rados_write_op_t op = rados_create_write_op();
	size_t len = strlen(value);
	int rc;

	rados_write_op_omap_set(op, &key, &value, &len, 1);
	rc = rados_write_op_operate(op, c->io, object, NULL, 0);
	rados_release_write_op(op);
	return rc;
}

int note_remove(struct conn *c, const char *object, const char *key)
{
	rados_write_op_t op = rados_create_write_op();
	int rc;

	rados_write_op_omap_rm_keys(op, &key, 1);
	rc = rados_write_op_operate(op, c->io, object, NULL, 0);
	rados_release_write_op(op);
	return rc;
}

static int notes_page(struct conn *c, const char *object, const char *after, const char *prefix,
		      struct note ***end, bool *more)
{
	rados_read_op_t op = rados_create_read_op();
	rados_omap_iter_t at = NULL;
	unsigned char left = 0;
	size_t len;
	int rc, status = 0;

	rados_read_op_omap_get_vals2(op, after, prefix, 512, &at, &left, &status);
	rc = rados_read_op_operate(op, c->io, object, 0);
	if (rc >= 0)
		rc = status;
	while (rc >= 0) {
		char *key, *value;
		struct note *n;

		rc = rados_omap_get_next(at, &key, &value, &len);
		if (rc < 0 || !key)
			break;
		n = xcalloc(1, sizeof *n);
		n->key = xstrdup(key);
		n->value = xmalloc(len + 1);
		memcpy(n->value, value, len);
		n->value[len] = '\0';
		**end = n;
		*end = &n->next;
	}
	if (at)
		rados_omap_get_end(at);
	rados_release_read_op(op);
	*more = left;
	return rc < 0 ? rc : 0;
}

int notes_read(struct conn *c, const char *object, const char *prefix, struct note **out)
{
	struct note **end = out;
	bool more = true;
	int rc = 0;

	*out = NULL;
	while (rc == 0 && more) {
		struct note **before = end;
		const char *after = "";

		for (struct note *n = *out; n; n = n->next)
			after = n->key;
		rc = notes_page(c, object, after, prefix, &end, &more);
		more = more && end != before;
	}
	if (rc == -ENOENT)
		return 0;
	if (rc < 0) {
		notes_free(*out);
		*out = NULL;
	}
	return rc;
}

void notes_free(struct note *n)
{
	while (n) {
		struct note *next = n->next;

		free(n->key);
		free(n->value);
		free(n);
		n = next;
	}
}

/* ---- work ------------------------------------------------------------------------------- */

enum {
	PARTS = 1000,                   /* of progress, for each thing to do */
	MAKER_LIVES = 1,                /* somebody is at it: nothing to report */
};

struct work {
	struct conn *conn;
	struct progress *progress;
	uint64_t done;                  /* things */
};

static int progressed(uint64_t at, uint64_t total, void *arg)
{
	struct work *w = arg;

	if (total)
		atomic_store(&w->progress->done, w->done * PARTS + at * PARTS / total);
	return 0;
}

/* Nobody of ours has it open, not even for a while yet. */
static int settle(struct conn *c, const char *id)
{
	struct err ignored = { 0 };
	struct image *i = image_find(c, id);
	int rc = 0;

	if (i) {
		rc = image_settle(i, 5000, &ignored);
		image_put(i, false);
	}
	return rc;
}

static int trash_one(struct work *w, const char *id)
{
	struct err ignored = { 0 };
	int rc = settle(w->conn, id);

	if (rc == 0)
		rc = image_needs(w->conn, id, NULL, &ignored);
	if (rc == 0)
		rc = rbd_trash_remove_with_progress(w->conn->io, id, false, progressed, w);
	/* Restored by somebody, or gone: no more ours. */
	return rc == -ENOENT ? 0 : rc;
}

static int flatten_one(struct work *w, const char *id)
{
	struct err ignored = { 0 };
	struct image *i = image_get(w->conn, id, id, false);
	int rc = image_use(i, true, &ignored);

	if (rc == 0) {
		rc = image_lost(i, &ignored);
		if (rc == 0)
			rc = rbd_flatten_with_progress(i->h, progressed, w);
		/* It depends on nothing (any more). */
		if (rc == -EINVAL)
			rc = 0;
		image_unuse(i);
	} else if (rc == -ESTALE) {
		rc = 0;
	}
	image_put(i, false);
	return rc;
}

/* Of another host only the maker himself can know. */
static bool maker_lives(const char *maker)
{
	return strcmp(maker, NOTE_LEFT) != 0 && !identity_dead(maker);
}

/* A copy whose maker has died. */
static int half_made(struct work *w, const char *name, const char *maker)
{
	struct err ignored = { 0 };
	char id[64];
	int rc;

	if (maker_lives(maker))
		return MAKER_LIVES;
	rc = image_id_of(w->conn, name, id, &ignored);
	if (rc == 0)
		rc = image_needs(w->conn, id, NULL, &ignored);
	if (rc == 0)
		rc = rbd_remove(w->conn->io, name);
	return rc == -ENOENT ? 0 : rc;
}

/* The snapshot that a copy began with: "ID.NAME". */
static int snap_one(struct work *w, const char *what, const char *maker)
{
	_cleanup_free_ char *id = xstrdup(what);
	char *name = strchr(id, '.');
	struct err ignored = { 0 };
	struct image *i;
	int rc;

	if (maker_lives(maker))
		return MAKER_LIVES;
	if (!name)
		return -EOPNOTSUPP;
	*name++ = '\0';
	i = image_get(w->conn, id, id, false);
	rc = image_use(i, true, &ignored);
	if (rc == 0) {
		rc = rbd_snap_remove(i->h, name);
		image_unuse(i);
	}
	image_put(i, false);
	return rc == -ENOENT || rc == -ESTALE ? 0 : rc;
}

static int one(struct work *w, const struct note *n)
{
	if (strncmp(n->key, "trash.", 6) == 0)
		return trash_one(w, n->key + 6);
	if (strncmp(n->key, "flatten.", 8) == 0)
		return flatten_one(w, n->key + 8);
	if (strncmp(n->key, "new." TEMP_PREFIX, 4 + strlen(TEMP_PREFIX)) == 0)
		return half_made(w, n->key + 4, n->value);
	if (strncmp(n->key, "snap.", 5) == 0)
		return snap_one(w, n->key + 5, n->value);
	return -EOPNOTSUPP;
}

static bool later_version(const struct note *n)
{
	return strncmp(n->key, "trash.", 6) && strncmp(n->key, "flatten.", 8) &&
	       strncmp(n->key, "new.", 4) && strncmp(n->key, "snap.", 5);
}

/* What somebody still uses stays for another time. */
static bool postponed(int rc)
{
	return rc == -EBUSY || rc == -ENOTEMPTY || rc == -EROFS;
}

/* All of them once. Returns how many are done; *first: the first failure. */
static unsigned pass(struct work *w, struct note *notes, int *first, struct err *e)
{
	unsigned done = 0;

	*first = 0;
	for (struct note *n = notes; n && !atomic_load(&w->progress->cancel); n = n->next) {
		int rc;

		if (!n->value)
			continue;               /* done in an earlier pass */
		rc = one(w, n);
		if (rc == 0) {
			note_remove(w->conn, TODO_OBJECT, n->key);
			free(n->value);
			n->value = NULL;
			w->done++;
			done++;
		} else if (rc < 0 && !*first && !later_version(n)) {
			*first = postponed(rc) ?
				err_set(e, EBUSY, "'%.100s' is still in use (%.100s)", n->value, n->key) :
				rbd_fail(w->conn, rc, e, "'%.100s' of '%.100s'", n->key, n->value);
		}
	}
	return done;
}

int rbdp_tidy(struct pool *p, struct progress *pr, struct err *e)
{
	struct conn *c = ((struct rbdp *)p->priv)->conn;
	struct work w = { .conn = c, .progress = pr };
	struct note *notes, *n;
	uint64_t count = 0;
	int rc = notes_read(c, TODO_OBJECT, "", &notes), first;

	if (rc == -EPERM)               /* may only read, and has left nothing */
		return 0;
	if (rc < 0)
		return rbd_fail(c, rc, e, "cannot read what was left");
	for (n = notes; n; n = n->next)
		count++;
	atomic_store(&pr->total, count * PARTS);
	/* What depends on another goes first, in whatever order they stand. */
	while (pass(&w, notes, &first, e) && first && !atomic_load(&pr->cancel))
		;
	notes_free(notes);
	if (atomic_load(&pr->cancel))
		return err_set(e, ECANCELED, "cancelled");
	return first;
}
