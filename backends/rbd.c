/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rbd.c - pools of type rbd: the volumes are the images of a RADOS pool.
 *
 * Called through the row rbd_backend by the wrappers only. Here are the row and the
 * pool as a whole: start, stop, usage, the end of the daemon. Never touches a volume.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "rbd.h"
#include "module.h"

#include <stdlib.h>
#include <string.h>

enum { END_MS = 5000 };         /* for what is not stored yet when the daemon ends */

/* ---- the pool ---------------------------------------------------------------------------- */

/* A connection does not outlive its daemon. */
static int rbdp_check(struct pool *p, bool *active, struct err *e)
{
	(void)p, (void)e;
	*active = false;
	return 0;
}

static int rbdp_start(struct pool *p, struct err *e)
{
	struct rbdp *d = p->priv;
	struct conn *c;
	int rc;

	if (d->conn)
		return 0;
	if (!p->def->source.name || !p->def->source.host_count)
		return err_set(e, EINVAL, "the source of an rbd pool needs a <name> and a <host>");
	c = conn_new(p->def);
	rc = conn_set_up(c, p, e);
	if (rc == 0)
		rc = conn_open(c, p->def, e);
	if (rc < 0) {
		conn_put(c);
		return rc;
	}
	clients_note(c);
	images_begin(c);
	d->conn = c;
	return 0;
}

static void *forget_thread(void *arg)
{
	struct conn *c = arg;

	note_remove(c, CLIENTS_OBJECT, c->address);
	conn_put(c);
	return NULL;
}

/* Images that hang stay behind, on a thread that ends when they do. */
static int rbdp_stop(struct pool *p, struct err *e)
{
	struct rbdp *d = p->priv;

	(void)e;
	if (!d->conn)
		return 0;
	images_close(d->conn, 5000);
	/* On a thread, since the cluster may be gone. Who finds the note thinks that we
	 * died, and shuts out an address that nobody has any more. */
	if (d->conn->address && !thread_start(forget_thread, conn_get(d->conn)))
		conn_put(d->conn);
	return 0;
}

static void rbdp_fini(struct pool *p)
{
	struct rbdp *d = p->priv;

	listing_drop(p);
	if (d->conn) {
		images_close(d->conn, 0);
		conn_put(d->conn);
	}
	attrs_release(&d->attrs);
}

/* ---- usage --------------------------------------------------------------------------------- */

/* The number behind "key": after at, in JSON that a monitor wrote. */
static bool json_number(const char *at, const char *end, const char *key, uint64_t *n)
{
	size_t len = strlen(key);

	for (; at + len < end; at++)
		if (memcmp(at, key, len) == 0) {
			*n = strtoull(at + len, NULL, 10);
			return true;
		}
	return false;
}

/* What the pool holds, and what fits in it still: after replication. */
static bool usage_of_pool(struct conn *c, const char *json, size_t len, struct pool_usage *u)
{
	_cleanup_free_ char *name = xasprintf("{\"name\":\"%s\",", c->pool);
	const char *at = memmem(json, len, name, strlen(name)), *end;
	uint64_t stored, left;

	if (!at)
		return false;
	end = memmem(at + 1, (size_t)(json + len - at - 1), "{\"name\":", 8);
	if (!end)
		end = json + len;
	if (!json_number(at, end, "\"stored\":", &stored) ||
	    !json_number(at, end, "\"max_avail\":", &left))
		return false;
	u->allocation = stored;
	u->available = left;
	u->capacity = stored + left;
	return true;
}

static int rbdp_usage(struct pool *p, struct pool_usage *u, struct err *e)
{
	static const char *const df = "{\"prefix\":\"df\",\"format\":\"json\"}";
	struct conn *c = ((struct rbdp *)p->priv)->conn;
	struct rados_cluster_stat_t whole;
	struct rados_pool_stat_t mine;
	size_t len = 0, status_len = 0;
	char *json = NULL, *status = NULL;
	const char *command[] = { df };
	bool told;
	int rc;

	rc = rados_mon_command(c->cluster, command, 1, "", 0, &json, &len, &status, &status_len);
	told = rc >= 0 && usage_of_pool(c, json, len, u);
	rados_buffer_free(json);
	rados_buffer_free(status);
	if (told)
		return 0;
	rc = rados_cluster_stat(c->cluster, &whole);
	if (rc >= 0)
		rc = rados_ioctx_pool_stat(c->io, &mine);
	if (rc < 0) {
		conn_gone(c);           /* for the sentence */
		return rbd_fail(c, rc, e, "RADOS pool '%.100s'", c->pool);
	}
	u->allocation = mine.num_bytes;
	u->available = whole.kb_avail * 1024;
	u->capacity = u->allocation + u->available;
	return 0;
}

/* ---- the row, the module --------------------------------------------------------------------- */

static const struct backend rbd_backend = {
	.type = "rbd",
	.priv_size = sizeof(struct rbdp),
	.vol_formats = "raw",
	.check = rbdp_check,
	.start = rbdp_start,
	.stop = rbdp_stop,
	.fini = rbdp_fini,
	.usage = rbdp_usage,
	.list = rbdp_list,
	.tidy = rbdp_tidy,
	.stat = rbdv_stat,
	.describe = rbdv_describe,
	.create = rbdv_create,
	.remove = rbdv_remove,
	.rename = rbdv_rename,
	.setattr = rbdv_setattr,
	.resize = rbdv_resize,
	.clone = rbdv_clone,
	.wipe = rbdv_wipe,
	.open = rbdv_open,
	.close = rbdv_close,
	.fstat = rbdv_fstat,
	.truncate = rbdv_truncate,
	.allocate = rbdv_allocate,
	.seek = rbdv_seek,
	.copy = rbdv_copy,
	.submit = rbdv_submit,
	.cancel = rbdv_cancel,
};

/* Locks that we leave behind keep others waiting for half a minute. */
static bool end(void)
{
	_cleanup_free_ struct conn **all = NULL;
	size_t count = conns_all(&all);
	uint64_t now, until = now_ms() + END_MS;

	for (size_t i = 0; i < count; i++)
		images_close(all[i], 0);
	/* Not let go of: the process ends, and no shutdown shall hang in its way. */
	for (size_t i = 0; i < count; i++) {
		now = now_ms();
		images_close(all[i], now < until ? (unsigned)(until - now) : 0);
	}
	/* Its threads would outlive their data. */
	return true;
}

const struct module poolfs_module = {
	.version = POOLFS_VERSION,
	.backend = &rbd_backend,
	.end = end,
};
