/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rbd_names.c - makes, renames, removes and wipes images.
 *
 * Called through the row in rbd.c. What is removed goes to Ceph's own trash, which
 * takes milliseconds, with a note that it is ours; rbd_tidy.c deletes it later. Never
 * removes an image that another client has open, or that others depend on.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "rbd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* ---- create ---------------------------------------------------------------------- */

static int create_check(const struct vol_create *c, struct err *e)
{
	if (c->format && strcmp(c->format, "raw") != 0)
		return err_set(e, EINVAL, "an image of an rbd pool is raw, not '%.60s'; write an image "
			       "of that format into it", c->format);
	if (c->backing)
		return err_set(e, EOPNOTSUPP, "an rbd image has no backing file; use the verb clone "
			       "with 'linked'");
	if (c->compat || c->lazy_refcounts || c->extended_l2 || c->nocow || c->label)
		return err_set(e, EOPNOTSUPP, "an rbd image has no %s", c->label ? "SELinux label" :
			       c->nocow ? "<nocow>" : "<compat> and <features>");
	if (c->capacity > SIZE_CAP)
		return err_set(e, EFBIG, "an image may have %llu TiB at most",
			       (unsigned long long)(SIZE_CAP >> 40));
	if (c->cluster_size && (c->cluster_size & (c->cluster_size - 1) ||
				c->cluster_size < 4096 || c->cluster_size > 32 << 20))
		return err_set(e, EINVAL, "<clusterSize> is the size of the image's objects: a power of "
			       "two from 4 KiB to 32 MiB");
	return 0;
}

int rbdv_create(struct pool *p, const char *name, const struct vol_create *c,
		struct vol *v, struct err *e)
{
	struct vol_attr a = {
		.valid = ATTR_MODE | ATTR_UID | ATTR_GID,
		.mode = c->mode, .uid = c->uid, .gid = c->gid,
	};
	struct conn *conn = ((struct rbdp *)p->priv)->conn;
	struct rbdp *d = p->priv;
	rbd_image_options_t o;
	char id[64];
	int rc = create_check(c, e);

	if (rc < 0)
		return rc;
	/* Features and the size of objects as the cluster or the XML would have them. */
	rbd_image_options_create(&o);
	if (c->cluster_size)
		rbd_image_options_set_uint64(o, RBD_IMAGE_OPTION_ORDER,
					     (uint64_t)__builtin_ctzll(c->cluster_size));
	rc = rbd_create4(conn->io, name, c->capacity, o);
	rbd_image_options_destroy(o);
	if (rc == -EEXIST)
		return -(e->code = EEXIST);
	if (rc < 0)
		return rbd_fail(conn, rc, e, "the cluster does not make the image");
	listing_drop(p);
	rc = image_id_of(conn, name, id, e);
	if (rc < 0)                     /* removed again by somebody: it was there */
		return rc == -ENOENT ? err_set(e, ENOENT, "another client has removed it") : rc;
	attrs_set(&d->attrs, id_number(id), &a);
	return v ? rbdv_attach(v, id, true) : 0;
}

/* ---- remove ------------------------------------------------------------------------ */

static void more(struct buf *b, unsigned n, const char *fmt, const char *name)
{
	if (n < 4) {
		buf_addf(b, "%s", n ? ", " : "");
		buf_addf(b, fmt, name);
	} else if (n == 4) {
		buf_addf(b, " ...");
	}
}

static int no_snapshots(struct image *i, struct err *e)
{
	_cleanup_buf_ struct buf names = { 0 };
	rbd_snap_info_t *snaps;
	unsigned found = 0;
	int max = 16, count;

	do {
		snaps = xcalloc((size_t)max, sizeof *snaps);
		count = rbd_snap_list(i->h, snaps, &max);
		if (count < 0)
			free(snaps);
	} while (count == -ERANGE);
	if (count < 0)
		return rbd_fail(i->conn, count, e, "cannot list its snapshots");
	for (int n = 0; n < count; n++) {
		rbd_snap_namespace_type_t kind = RBD_SNAP_NAMESPACE_TYPE_USER;

		rbd_snap_get_namespace_type(i->h, snaps[n].id, &kind);
		if (kind != RBD_SNAP_NAMESPACE_TYPE_TRASH)
			more(&names, found++, "'%.60s'", snaps[n].name);
	}
	rbd_snap_list_end(snaps);
	free(snaps);
	return found ? err_set(e, ENOTEMPTY, "it has snapshots (%s); remove them first: rbd snap "
			       "purge %s/%s", names.data, i->conn->pool, i->name) : 0;
}

/* Copies that depend on it, other than ours that will soon be cut loose. */
static int no_children(struct image *i, struct err *e)
{
	_cleanup_buf_ struct buf names = { 0 };
	struct conn *c = i->conn;
	rbd_linked_image_spec_t *children;
	struct note *notes = NULL;
	size_t max = 16, count;
	unsigned found = 0;
	int rc;

	do {
		children = xcalloc(max, sizeof *children);
		count = max;
		rc = rbd_list_children3(i->h, children, &count);
		if (rc < 0)
			free(children);
		max = count + 16;
	} while (rc == -ERANGE);
	if (rc < 0)
		return rbd_fail(c, rc, e, "cannot list the copies that depend on it");
	if (count)
		notes_read(c, TODO_OBJECT, "", &notes);
	for (size_t n = 0; n < count; n++) {
		bool ours = false;

		/* To be cut loose, or to be deleted itself. */
		for (struct note *t = notes; t && !ours; t = t->next) {
			const char *id = strchr(t->key, '.');

			ours = (strncmp(t->key, "flatten.", 8) == 0 ||
				strncmp(t->key, "trash.", 6) == 0) && id &&
			       strcmp(id + 1, children[n].image_id) == 0;
		}
		if (!ours)
			more(&names, found++, "'%.60s'", children[n].image_name);
	}
	notes_free(notes);
	rbd_linked_image_spec_list_cleanup(children, count);
	free(children);
	return found ? err_set(e, ENOTEMPTY, "copies depend on it (%s); remove them first, or cut them "
			       "loose: rbd flatten %s/NAME", names.data, c->pool) : 0;
}

static int removable(struct image *i, struct err *e)
{
	_cleanup_buf_ struct buf who = { 0 };
	int rc = image_use(i, false, e);

	if (rc < 0)
		return rc;
	rc = image_lost(i, e);
	if (rc == 0)
		rc = image_watchers(i, &who, e);
	if (rc > 0)
		rc = err_set(e, EBUSY, "it is in use by the Ceph client at %.200s", who.data);
	if (rc == 0)
		rc = no_snapshots(i, e);
	if (rc == 0)
		rc = no_children(i, e);
	image_unuse(i);
	return rc;
}

/* In a full pool nothing can be noted, and the trash takes nothing. */
static int remove_now(struct conn *c, const char *name, const char *id, struct err *e)
{
	struct image *i = image_find(c, id);
	int rc = 0;

	if (i) {
		rc = image_settle(i, 5000, e);
		image_put(i, false);
	}
	if (rc < 0)
		return rc;
	rc = rbd_remove(c->io, name);
	return rc < 0 ? rbd_fail(c, rc, e, "cannot remove it") : 0;
}

/* Notes that it is ours to delete, then moves it aside. */
static int trash(struct pool *p, const char *name, const char *id, struct err *e)
{
	struct conn *c = ((struct rbdp *)p->priv)->conn;
	_cleanup_free_ char *key = xasprintf("trash.%s", id);
	int rc = note_set(c, TODO_OBJECT, key, name);

	if (rc == -EDQUOT || rc == -ENOSPC)
		return remove_now(c, name, id, e);
	if (rc < 0)
		return rbd_fail(c, rc, e, "cannot note what is to be deleted");
	rc = rbd_trash_move(c->io, name, 0);
	if (rc == 0) {
		atomic_store(&p->untidy, true);
		return 0;
	}
	note_remove(c, TODO_OBJECT, key);
	if (rc == -ENOENT)
		return rbd_absent(c, e);
	return rbd_fail(c, rc, e, "cannot move it to the trash");
}

/* Half removed, by somebody who was interrupted: only the name is left. */
static int remove_rest(struct conn *c, const char *name, const char *id, struct err *e)
{
	char now[64];
	int rc = image_id_of(c, name, now, e);

	if (rc == 0 && strcmp(now, id) != 0)
		return err_set(e, EBUSY, "another client has just made it anew; try again");
	if (rc == 0)
		rc = rbd_remove(c->io, name);
	return rc < 0 && rc != -ENOENT ? rbd_fail(c, rc, e, "cannot remove it") : 0;
}

int rbdv_remove(struct pool *p, const char *name, struct err *e)
{
	struct rbdp *d = p->priv;
	struct image *i;
	char id[64];
	int rc = image_id_of(d->conn, name, id, e);

	if (rc < 0)
		return rc;
	i = image_get(d->conn, id, name, false);
	rc = removable(i, e);
	if (rc == -ESTALE) {
		rc = remove_rest(d->conn, name, id, e);
	} else if (rc == 0) {
		rc = trash(p, name, id, e);
		if (rc == 0)
			atomic_store(&i->deleted, true);
	}
	image_put(i, false);
	listing_drop(p);
	if (rc == 0)
		attrs_forget(&d->attrs, id_number(id));
	return rc;
}

/* ---- rename ---------------------------------------------------------------------------- */

/* Moves what has the name aside. Not noted yet: should we die, or the rename fail, it is
 * in the trash, and nobody deletes it. */
static int set_aside(struct pool *p, const char *name, const char *id, struct err *e)
{
	struct conn *c = ((struct rbdp *)p->priv)->conn;
	struct image *i = image_get(c, id, name, false);
	int rc = removable(i, e);

	if (rc == -ESTALE)
		rc = remove_rest(c, name, id, e);
	else if (rc == 0 && (rc = rbd_trash_move(c->io, name, 0)) < 0)
		rc = rc == -ENOENT ? 0 : rbd_fail(c, rc, e, "cannot move it to the trash");
	image_put(i, false);
	return rc < 0 ? err_wrap(e, "cannot replace '%.100s'", name) : 0;
}

/* The new one has its name. */
static void replaced(struct pool *p, const char *name, const char *id)
{
	struct rbdp *d = p->priv;
	_cleanup_free_ char *key = xasprintf("trash.%s", id);
	struct image *i = image_find(d->conn, id);

	if (i) {
		atomic_store(&i->deleted, true);
		image_put(i, false);
	}
	attrs_forget(&d->attrs, id_number(id));
	if (note_set(d->conn, TODO_OBJECT, key, name) == 0)
		atomic_store(&p->untidy, true);
}

int rbdv_rename(struct pool *p, const char *from, const char *to, unsigned flags,
		struct err *e)
{
	struct rbdp *d = p->priv;
	struct conn *c = d->conn;
	char id[64], old[64] = "";
	int rc;

	if (flags & RENAME_EXCHANGE)
		return err_set(e, EOPNOTSUPP, "Ceph cannot exchange the names of two images; rename them "
			       "by way of a third name");
	rc = image_id_of(c, from, id, e);
	if (rc == 0 && !(flags & RENAME_NOREPLACE)) {
		rc = image_id_of(c, to, old, e);
		if (rc == -ENOENT)
			rc = 0;
	}
	if (rc < 0)
		return rc;
	if (old[0] && strcmp(id, old) == 0)
		return 0;
	rc = image_needs(c, id, NULL, e);
	if (rc == 0 && old[0])
		rc = set_aside(p, to, old, e);
	if (rc < 0)
		return rc;
	rc = rbd_rename(c->io, from, to);
	listing_drop(p);
	if (rc == 0) {
		if (old[0])
			replaced(p, to, old);
		return 0;
	}
	if (old[0])                     /* comes back */
		rbd_trash_restore(c->io, old, to);
	if (rc == -ENOENT)
		return rbd_absent(c, e);
	if (rc == -EEXIST)
		return -(e->code = EEXIST);
	return rbd_fail(c, rc, e, "to '%.100s'", to);
}

/* ---- wipe -------------------------------------------------------------------------------- */

static int wipe_random(struct image *i, uint64_t size, struct progress *pr, struct err *e)
{
	_cleanup_free_ char *room = xmalloc(COPY_STEP);
	ssize_t rc;

	image_wait_writes(i);           /* or what was to be wiped comes after it */
	for (uint64_t off = 0; off < size; ) {
		size_t len = size - off < COPY_STEP ? (size_t)(size - off) : COPY_STEP;

		if (atomic_load(&pr->cancel))
			return err_set(e, ECANCELED, "cancelled");
		for (size_t at = 0; at < len; ) {
			ssize_t n = getrandom(room + at, len - at, 0);

			if (n <= 0)
				return err_sys(e, "no random bytes");
			at += (size_t)n;
		}
		atomic_fetch_add(&i->writes, 1);
		rc = rbd_write(i->h, off, len, room);
		atomic_fetch_add(&i->writes, 1);
		if (rc != (ssize_t)len)
			return rbd_fail(i->conn, (int)rc, e, "cannot write it");
		off += len;
		atomic_fetch_add(&pr->done, len);
	}
	return 0;
}

static int wipe_trim(struct image *i, uint64_t size, struct progress *pr, struct err *e)
{
	struct err second;
	int rc = image_round(i, e), trimmed;

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&i->lock);
	if (i->real > size)
		size = i->real;
	pthread_mutex_unlock(&i->lock);
	rc = image_zero(i, 0, size, false, pr, e);
	trimmed = image_trim(i, rc < 0 ? &second : e);
	return rc < 0 ? rc : trimmed;
}

int rbdv_wipe(struct pool *p, const char *name, enum wipe how, struct progress *pr,
	      struct err *e)
{
	struct rbdp *d = p->priv;
	struct image *i;
	uint64_t size;
	char id[64];
	int rc = image_id_of(d->conn, name, id, e);

	if (rc < 0)
		return rc;
	i = image_get(d->conn, id, name, false);
	rc = image_use(i, true, e);
	if (rc < 0) {
		image_put(i, false);
		return rc;
	}
	image_refresh(i);
	rc = image_alone(i, e);
	pthread_mutex_lock(&i->lock);
	size = i->size;
	pthread_mutex_unlock(&i->lock);
	atomic_store(&pr->total, size);
	if (rc == 0 && how == WIPE_RANDOM)
		rc = wipe_random(i, size, pr, e);
	else if (rc == 0 && how == WIPE_ZERO)
		rc = image_zero(i, 0, size, true, pr, e);
	else if (rc == 0)
		rc = wipe_trim(i, size, pr, e);
	if (rc == 0) {
		rc = image_flush(i);
		if (rc < 0)
			rc = rbd_fail(i->conn, rc, e, "cannot flush it");
	}
	image_unuse(i);
	image_put(i, false);
	return rc;
}
