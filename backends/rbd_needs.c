/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rbd_needs.c - the other RADOS pools that an image needs: one for its data, those of
 * the images that it is a copy of.
 *
 * Called before librbd opens an image, and before one that is open is read or written.
 * Where such a pool has been deleted, an open waits for a map that has it on the thread
 * that would receive the map: then all of poolfs's pool hangs, and cannot be stopped; and
 * an open image reads zeros. Never opens an image, and never says that one is whole: what
 * cannot be read here is left to librbd to tell.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "rbd.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

enum { GENERATIONS = 32 };

struct needs {
	int64_t data_pool, parent_pool;         /* -1: none */
	char parent[64];                        /* its id */
};

static bool take64(const char **at, const char *end, uint64_t *n)
{
	if (end - *at < 8)
		return false;
	memcpy(n, *at, 8);
	*n = le64toh(*n);
	*at += 8;
	return true;
}

/* A pool, an image's id, a snapshot, and how much of the parent still shows. */
static void take_parent(const char *at, size_t len, struct needs *n)
{
	const char *end = at + len;
	uint64_t pool, snap, overlap;
	uint32_t id_len;

	if (!take64(&at, end, &pool) || end - at < 4)
		return;
	memcpy(&id_len, at, 4);
	id_len = le32toh(id_len);
	at += 4;
	if (id_len >= sizeof n->parent || (size_t)(end - at) < id_len)
		return;
	memcpy(n->parent, at, id_len);
	at += id_len;
	if (take64(&at, end, &snap) && take64(&at, end, &overlap) && overlap)
		n->parent_pool = (int64_t)pool;
}

static void needs_read(rados_ioctx_t io, const char *id, struct needs *n)
{
	static const char head[8] = { -2, -1, -1, -1, -1, -1, -1, -1 };   /* no snapshot */
	_cleanup_free_ char *object = xasprintf("rbd_header.%s", id);
	rados_read_op_t op = rados_create_read_op();
	char *data = NULL, *parent = NULL;
	size_t data_len = 0, parent_len = 0;
	int data_rc = -1, parent_rc = -1;
	uint64_t pool;

	*n = (struct needs){ .data_pool = -1, .parent_pool = -1 };
	rados_read_op_exec(op, "rbd", "get_data_pool", "", 0, &data, &data_len, &data_rc);
	/* A parent in a namespace is none to this call, and left to librbd. */
	rados_read_op_set_flags(op, LIBRADOS_OP_FLAG_FAILOK);
	rados_read_op_exec(op, "rbd", "get_parent", head, sizeof head, &parent, &parent_len,
			   &parent_rc);
	rados_read_op_set_flags(op, LIBRADOS_OP_FLAG_FAILOK);
	if (rados_read_op_operate(op, io, object, 0) >= 0) {
		const char *at = data;

		if (data_rc >= 0 && take64(&at, data + data_len, &pool))
			n->data_pool = (int64_t)pool;
		if (parent_rc >= 0)
			take_parent(parent, parent_len, n);
	}
	rados_release_read_op(op);
	rados_buffer_free(data);
	rados_buffer_free(parent);
}

/* Our map may be older than the pool. */
static bool pool_deleted(struct conn *c, int64_t pool)
{
	return pool_unknown(c, pool) && rados_wait_for_latest_osdmap(c->cluster) == 0 &&
	       pool_unknown(c, pool);
}

static void note_need(struct image *keep, int64_t pool)
{
	unsigned count = keep->need_count;

	if (pool < 0 || pool == keep->conn->id || count == sizeof keep->needs / sizeof *keep->needs)
		return;
	for (unsigned n = 0; n < count; n++)
		if (keep->needs[n] == pool)
			return;
	keep->needs[count] = pool;
	keep->need_count = count + 1;
}

int image_needs(struct conn *c, const char *id, struct image *keep, struct err *e)
{
	rados_ioctx_t io = c->io, parent;
	struct needs n, child;
	int rc = 0;

	if (keep)
		keep->need_count = 0;
	needs_read(io, id, &n);
	for (unsigned i = 0; i < GENERATIONS; i++) {
		if (keep) {
			note_need(keep, n.data_pool);
			note_need(keep, n.parent_pool);
		}
		if (n.data_pool >= 0 && pool_deleted(c, n.data_pool))
			rc = err_set(e, EIO, "the RADOS pool with %s data has been deleted, and the "
				     "data with it", i ? "the parent's" : "its");
		else if (n.parent_pool >= 0 && pool_deleted(c, n.parent_pool))
			rc = err_set(e, EIO, "the RADOS pool of its parent has been deleted, and what "
				     "it shares with that image is lost");
		if (rc < 0 || n.parent_pool < 0 ||
		    rados_ioctx_create2(c->cluster, n.parent_pool, &parent) < 0)
			break;
		if (io != c->io)
			rados_ioctx_destroy(io);
		io = parent;
		child = n;
		needs_read(io, child.parent, &n);
	}
	if (io != c->io)
		rados_ioctx_destroy(io);
	return rc;
}

int image_lost(struct image *i, struct err *e)
{
	struct conn *c = i->conn;
	unsigned count = i->need_count;
	int rc = 0;

	if (conn_gone(c))
		return rbd_absent(c, e);
	for (unsigned n = 0; n < count && rc == 0; n++)
		if (pool_unknown(c, i->needs[n])) {
			rc = image_needs(c, i->id, NULL, e);
			if (rc == 0)            /* it has been flattened meanwhile */
				i->need_count = 0;
		}
	return rc;
}
