/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rbd_conn.c - the connection to a cluster: settings, connecting, letting go; the
 * sentences for what librados returns, and the threads of the driver.
 *
 * Called by the other files of the driver. Each run of a pool has a connection of its
 * own, made from the XML and the secret alone: no ceph.conf is read unless the XML asks
 * for it. Whatever librados waits for has a deadline, or a thread of its own that can
 * be left behind. Never asks for an image.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "rbd.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* ---- errors ---------------------------------------------------------- */

static const char *reason(struct conn *c, int code, char text[256])
{
	switch (code) {
	case ETIMEDOUT:
		snprintf(text, 256, "the Ceph cluster did not answer within %u seconds",
			 c->timeout);
		return text;
	case ESHUTDOWN:
		return "the cluster has shut this client out (it is blocklisted); stop the pool "
		       "and start it again";
	case EPERM:
		snprintf(text, 256, "the cluster does not let user '%.60s' do that in RADOS pool "
			 "'%.60s', or that pool, or one that the image needs, has been deleted",
			 c->user, c->pool);
		return text;
	case EROFS:
		return "Ceph lets nobody write the image now: another client has its lock, or it is "
		       "the copy that mirroring keeps";
	case EDQUOT:
		snprintf(text, 256, "RADOS pool '%.100s' has reached its quota", c->pool);
		return text;
	case ENOSPC:
		return "the Ceph cluster is full";
	default:
		return strerror(code);
	}
}

static int fail_gone(struct conn *c, struct err *e)
{
	return err_set(e, ESTALE, "RADOS pool '%.100s' has been deleted, with all its images; stop "
		       "this pool", c->pool);
}

int rbd_fail(struct conn *c, int rc, struct err *e, const char *fmt, ...)
{
	char text[256], what[300];
	va_list args;

	va_start(args, fmt);
	vsnprintf(what, sizeof what, fmt, args);
	va_end(args);
	/* Not ENOENT: a backup would take its source for empty. */
	if (c->gone)
		return fail_gone(c, e);
	if (rc >= 0 || rc < -4095)      /* nothing that a file system could answer */
		rc = -EIO;
	return err_set(e, -rc, "%s: %s", what, reason(c, -rc, text));
}

bool pool_unknown(struct conn *c, int64_t id)
{
	char name[1];                   /* too short for any: -ERANGE */

	return rados_pool_reverse_lookup(c->cluster, id, name, sizeof name) == -ENOENT;
}

bool conn_gone(struct conn *c)
{
	if (!c->gone && c->pooled && pool_unknown(c, c->id))
		c->gone = true;
	return c->gone;
}

int rbd_absent(struct conn *c, struct err *e)
{
	if (conn_gone(c))
		return fail_gone(c, e);
	return -(e->code = ENOENT);
}

/* ---- connections ---------------------------------------------------------------- */

static pthread_mutex_t conns_lock = PTHREAD_MUTEX_INITIALIZER;
static struct conn *conns;

struct conn *conn_new(const struct pool_def *def)
{
	struct conn *c = xcalloc(1, sizeof *c);

	atomic_init(&c->refs, 1);
	c->pool = xstrdup(def->source.name ? def->source.name : "");
	c->user = xstrdup(def->source.auth.username ? def->source.auth.username : "admin");
	c->open_max = OPEN_MAX;
	c->timeout = OP_TIMEOUT;
	pthread_mutex_init(&c->lock, NULL);
	cond_init(&c->changed);
	pthread_mutex_lock(&conns_lock);
	c->next = conns;
	conns = c;
	pthread_mutex_unlock(&conns_lock);
	return c;
}

struct conn *conn_get(struct conn *c)
{
	atomic_fetch_add(&c->refs, 1);
	return c;
}

void conn_put(struct conn *c)
{
	pthread_mutex_lock(&conns_lock);
	bool last = atomic_fetch_sub(&c->refs, 1) == 1;

	for (struct conn **p = &conns; last && *p; p = &(*p)->next)
		if (*p == c) {
			*p = c->next;
			break;
		}
	pthread_mutex_unlock(&conns_lock);
	if (!last)
		return;
	if (c->pooled)
		rados_ioctx_destroy(c->io);
	if (c->cluster)
		rados_shutdown(c->cluster);
	for (char **d = c->dead; d && *d; d++)
		free(*d);
	free(c->dead);
	rados_buffer_free(c->address);
	free(c->pool);
	free(c->user);
	pthread_cond_destroy(&c->changed);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* librados prints to our standard error unless a file of settings forbids it:
 * setting the same one by one has no effect. */
static int be_quiet(struct conn *c, struct err *e)
{
	static const char text[] = "[global]\nlog_to_stderr = false\nerr_to_stderr = false\n";
	_cleanup_close_ int fd = memfd_create("poolfs-ceph-settings", MFD_CLOEXEC);
	char path[40];
	int rc;

	if (fd < 0 || write(fd, text, sizeof text - 1) != (ssize_t)sizeof text - 1)
		return err_sys(e, "cannot make a file of settings");
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	rc = rados_conf_read_file(c->cluster, path);
	return rc < 0 ? rbd_fail(c, rc, e, "cannot set up librados") : 0;
}

static int set_option(struct conn *c, const char *name, const char *value, struct err *e)
{
	int rc;

	if (!value)
		value = "";             /* librados aborts at NULL */
	if (strcmp(name, "poolfs_open_images") == 0) {
		char *end;
		unsigned long n = strtoul(value, &end, 10);

		if (*end || n < 1 || n > 100000)
			return err_set(e, EINVAL, "the option poolfs_open_images is '%.40s'; give a "
				       "number from 1 to 100000", value);
		c->open_max = (unsigned)n;
		return 0;
	}
	if (strcmp(name, "conf") == 0) {
		rc = rados_conf_read_file(c->cluster, value);
		return rc < 0 ? err_set(e, -rc, "cannot read Ceph's settings from '%.200s': %s",
					value, strerror(-rc)) : 0;
	}
	rc = rados_conf_set(c->cluster, name, value);
	if (rc == -ENOENT)
		return err_set(e, EINVAL, "Ceph has no setting '%.100s'; correct the name in "
			       "<rbd:config_opts>", name);
	if (rc < 0)
		return err_set(e, EINVAL, "Ceph's setting '%.100s' cannot be '%.100s': %s", name,
			       value, strerror(-rc));
	return 0;
}

/* Key and user. The key goes to librados as it is. */
static int set_auth(struct conn *c, struct pool *p, struct err *e)
{
	_cleanup_buf_ struct buf key = { 0 };
	int rc;

	if (!p->def->source.auth.type)
		return set_option(c, "auth_client_required", "none", e);
	rc = pool_secret(p, &key, e);
	if (rc < 0)
		return rc;
	buf_add(&key, "", 0);
	rc = rados_conf_set(c->cluster, "key", key.data);
	buf_wipe(&key);
	return rc < 0 ? rbd_fail(c, rc, e, "the secret is no key of Ceph's") : 0;
}

static int set_options(struct conn *c, struct pool *p, struct err *e)
{
	static const char *const defaults[][2] = {
		/* The first is the only one that ends a wait for a monitor at the begin. */
		{ "client_mount_timeout", "10" },
		{ "rados_mon_op_timeout", "10" },
		{ "rados_osd_op_timeout", "20" },
		/* librbd's write-behind now and then calls a flush well after a write that
		 * failed, and the data is gone: seen in a full pool, 2 of 300 times. */
		{ "rbd_cache", "false" },
		/* Requests come from many threads already; two make small reads slower. It must
		 * never wait for itself: rbd_needs.c. */
		{ "librados_thread_count", "1" },
		/* The time of the last change, to the second; no writes for reads. */
		{ "rbd_mtime_update_interval", "1" },
		{ "rbd_atime_update_interval", "0" },
	};
	const struct pool_def *def = p->def;
	char number[16] = "";
	int rc;

	for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++) {
		rc = set_option(c, defaults[i][0], defaults[i][1], e);
		if (rc < 0)
			return rc;
	}
	rc = set_auth(c, p, e);
	for (size_t i = 0; i < def->config_opt_count && rc == 0; i++)
		rc = set_option(c, def->config_opts[i].name, def->config_opts[i].value, e);
	if (rc == 0 && rados_conf_get(c->cluster, "rados_osd_op_timeout", number,
				      sizeof number) == 0 && atoi(number) > 0)
		c->timeout = (unsigned)atoi(number);
	return rc;
}

/* Of each answer librados makes memory anew. If malloc gives that back to the system
 * each time, each of its pages costs a fault: a tenth of the speed of large reads. */
static void keep_memory(void)
{
	mallopt(M_MMAP_THRESHOLD, 8 << 20);
	mallopt(M_TRIM_THRESHOLD, 16 << 20);
}

int conn_set_up(struct conn *c, struct pool *p, struct err *e)
{
	int rc = rados_create(&c->cluster, c->user);

	keep_memory();
	if (rc < 0) {
		c->cluster = NULL;
		return rbd_fail(c, rc, e, "cannot set up librados for user '%.100s'", c->user);
	}
	rc = be_quiet(c, e);
	return rc < 0 ? rc : set_options(c, p, e);
}

size_t conns_all(struct conn ***all)
{
	size_t count = 0;

	pthread_mutex_lock(&conns_lock);
	for (struct conn *c = conns; c; c = c->next)
		count++;
	*all = xcalloc(count + 1, sizeof **all);
	count = 0;
	for (struct conn *c = conns; c; c = c->next)
		if (atomic_load(&c->pooled))
			(*all)[count++] = conn_get(c);
	pthread_mutex_unlock(&conns_lock);
	return count;
}

/* ---- connecting: on a thread, since one step of it knows no deadline --------------- */

struct attempt {
	struct conn *conn;
	struct pool_source source;              /* hosts of its own: it may be abandoned */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool ended, abandoned;
	const char *step;
	bool greeted;                   /* a monitor is there */
	int rc;
};

/* Threads of attempts that nobody waits for any more. */
enum { LEFT_MAX = 8 };
static atomic_uint left_behind;

static void attempt_free(struct attempt *a)
{
	pthread_cond_destroy(&a->changed);
	pthread_mutex_destroy(&a->lock);
	conn_put(a->conn);
	for (size_t i = 0; i < a->source.host_count; i++)
		free(a->source.hosts[i].name);
	free(a->source.hosts);
	free(a);
}

static void step(struct attempt *a, const char *name)
{
	pthread_mutex_lock(&a->lock);
	a->step = name;
	pthread_mutex_unlock(&a->lock);
}

static void *attempt_thread(void *arg)
{
	struct attempt *a = arg;
	struct conn *c = a->conn;
	int rc = hosts_set(c->cluster, &a->source);
	bool abandoned;

	if (rc == 0) {
		step(a, "connect");
		rc = rados_connect(c->cluster);
		/* One that refuses a key looks to librados as one that is silent. */
		if (rc == -ETIMEDOUT)
			a->greeted = hosts_greet(&a->source);
	}
	if (rc == 0) {
		step(a, "pool");
		rc = rados_ioctx_create(c->cluster, c->pool, &c->io);
		c->id = rc == 0 ? rados_ioctx_get_id(c->io) : 0;
		c->pooled = rc == 0;
	}
	if (rc == 0) {
		rbd_image_spec_t one;
		size_t max = 1;

		/* A full pool answers at once, and lets things be removed. */
		rados_set_pool_full_try(c->io);
		c->instance = rados_get_instance_id(c->cluster);
		rados_getaddrs(c->cluster, &c->address);
		step(a, "list");
		rc = rbd_list2(c->io, &one, &max);
		if (rc == 1)
			rbd_image_spec_cleanup(&one);
		rc = rc > 0 || rc == -ERANGE ? 0 : rc;
	}
	pthread_mutex_lock(&a->lock);
	a->ended = true;
	a->rc = rc;
	abandoned = a->abandoned;
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->lock);
	if (abandoned) {
		attempt_free(a);
		atomic_fetch_sub(&left_behind, 1);
	}
	return NULL;
}

static int connect_failed(struct conn *c, int rc, const char *at, bool greeted,
			  const char *hosts, struct err *e)
{
	if (strcmp(at, "pool") == 0 && rc == -ENOENT)
		return err_set(e, ENOENT, "the cluster has no RADOS pool '%.100s'", c->pool);
	if (strcmp(at, "pool") == 0)
		return rbd_fail(c, rc, e, "RADOS pool '%.100s'", c->pool);
	if (strcmp(at, "list") == 0)
		return rbd_fail(c, rc, e, "cannot list the images of RADOS pool '%.100s'", c->pool);
	switch (-rc) {
	case EHOSTUNREACH:
		return err_set(e, EHOSTUNREACH, "the host %.200s cannot be found; correct its name in "
			       "<host>", hosts);
	case ETIMEDOUT:
		if (greeted)
			return err_set(e, EACCES, "the monitor at %.150s answers, but does not let in user "
				       "'%.60s': his key is another one, or the monitors have no "
				       "majority", hosts, c->user);
		return err_set(e, ETIMEDOUT, "no monitor of the Ceph cluster answers at %.200s; look "
			       "whether it runs there, and at <host>", hosts);
	case EACCES:
		return err_set(e, EACCES, "the Ceph cluster at %.150s refuses user '%.100s' with this "
			       "key", hosts, c->user);
	case EOPNOTSUPP:
		return err_set(e, EACCES, "the Ceph cluster at %.150s takes no such key, or none at "
			       "all, from user '%.60s'; look at <auth> and its secret", hosts,
			       c->user);
	case EINVAL:
	case ENOENT:
		return err_set(e, -rc, "the host %.150s cannot be found, or the secret of user "
			       "'%.60s' is no key of Ceph's", hosts, c->user);
	default:
		return rbd_fail(c, rc, e, "cannot connect to the Ceph cluster at %.200s", hosts);
	}
}

static unsigned mount_timeout(struct conn *c)
{
	char number[16] = "";

	rados_conf_get(c->cluster, "client_mount_timeout", number, sizeof number);
	return atoi(number) > 0 ? (unsigned)atoi(number) : MOUNT_TIMEOUT;
}

int conn_open(struct conn *c, const struct pool_def *def, struct err *e)
{
	_cleanup_buf_ struct buf hosts = { 0 };
	uint64_t until = now_ms() + 1000ull * (mount_timeout(c) + c->timeout + 5);
	struct attempt *a;
	const char *at;
	bool greeted;
	int rc;

	if (atomic_load(&left_behind) >= LEFT_MAX)
		return err_set(e, EAGAIN, "%u earlier attempts to connect still wait for a Ceph "
			       "cluster that hangs; try again when it answers", LEFT_MAX);
	a = xcalloc(1, sizeof *a);
	hosts_text(&def->source, NULL, &hosts);
	a->conn = conn_get(c);
	a->source.host_count = def->source.host_count;
	a->source.hosts = xcalloc(def->source.host_count, sizeof *a->source.hosts);
	for (size_t i = 0; i < def->source.host_count; i++) {
		a->source.hosts[i] = def->source.hosts[i];
		a->source.hosts[i].name = xstrdup(def->source.hosts[i].name);
	}
	a->step = "hosts";
	pthread_mutex_init(&a->lock, NULL);
	cond_init(&a->changed);
	if (!thread_start(attempt_thread, a)) {
		attempt_free(a);
		return err_set(e, EAGAIN, "cannot start a thread");
	}
	pthread_mutex_lock(&a->lock);
	while (!a->ended && cond_wait_until(&a->changed, &a->lock, until))
		;
	a->abandoned = !a->ended;
	at = a->step;
	greeted = a->ended && a->greeted;
	rc = a->ended ? a->rc : -ETIMEDOUT;
	if (a->abandoned) {             /* it frees itself, should it ever end */
		atomic_fetch_add(&left_behind, 1);
		pthread_mutex_unlock(&a->lock);
		return connect_failed(c, rc, at, greeted, hosts.data, e);
	}
	pthread_mutex_unlock(&a->lock);
	attempt_free(a);
	return rc < 0 ? connect_failed(c, rc, at, greeted, hosts.data, e) : 0;
}
