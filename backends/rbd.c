/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rbd.c - pools of type rbd: the volumes are the images of a RADOS pool.
 *
 * Called through the row rbd_backend by the wrappers only. Here are the row, the
 * connection to the cluster, and the pool as a whole. Each run has a connection of
 * its own, made from the XML and the secret alone: no ceph.conf is read unless the
 * XML asks for it. Whatever librados waits for has a deadline, or a thread of its
 * own that can be left behind.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "rbd.h"
#include "module.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* ---- errors, threads ---------------------------------------------------------- */

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
			 "'%.60s', or that pool has been deleted", c->user, c->pool);
		return text;
	case EDQUOT:
		snprintf(text, 256, "RADOS pool '%.100s' has reached its quota", c->pool);
		return text;
	case ENOSPC:
		return "the Ceph cluster is full";
	default:
		return strerror(code);
	}
}

int rbd_fail(struct conn *c, int rc, struct err *e, const char *fmt, ...)
{
	char text[256], what[300];
	va_list args;

	va_start(args, fmt);
	vsnprintf(what, sizeof what, fmt, args);
	va_end(args);
	if (rc >= 0 || rc < -4095)      /* nothing that a file system could answer */
		rc = -EIO;
	return err_set(e, -rc, "%s: %s", what, reason(c, -rc, text));
}

bool rbd_wait(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t until)
{
	uint64_t now = now_ms();
	struct timespec t;

	if (now >= until)
		return false;
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += (time_t)((until - now) / 1000);
	t.tv_nsec += (long)((until - now) % 1000) * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	pthread_cond_timedwait(cond, lock, &t);
	return true;
}

static void cond_init(pthread_cond_t *c)
{
	pthread_condattr_t a;

	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_cond_init(c, &a);
	pthread_condattr_destroy(&a);
}

bool thread_begin(void *(*f)(void *), void *arg)
{
	sigset_t all, old;
	pthread_t t;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&t, NULL, f, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc == 0)
		pthread_detach(t);
	return rc == 0;
}

/* ---- connections ---------------------------------------------------------------- */

static pthread_mutex_t conns_lock = PTHREAD_MUTEX_INITIALIZER;
static struct conn *conns;

static struct conn *conn_new(const struct pool_def *def)
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

/* As librados wants it; those that the name service does not know are left out,
 * since librados gives up at the first. Without one that it knows: all of them. */
static void hosts_text(const struct pool_source *s, const bool *known, struct buf *out)
{
	for (size_t i = 0; i < s->host_count; i++) {
		const struct pool_host *h = &s->hosts[i];
		bool bare6 = strchr(h->name, ':') && h->name[0] != '[';

		if (known && !known[i])
			continue;
		buf_addf(out, "%s%s%s%s", out->len ? "," : "", bare6 ? "[" : "", h->name,
			 bare6 ? "]" : "");
		if (h->port)
			buf_addf(out, ":%u", h->port);
	}
	buf_add(out, "", 0);
}

static struct addrinfo *host_find(const struct pool_host *h, unsigned port)
{
	struct addrinfo want = { .ai_socktype = SOCK_STREAM }, *found = NULL;
	_cleanup_free_ char *name = xstrdup(h->name);
	size_t len = strlen(name);
	char number[16];

	if (name[0] == '[' && len > 2 && name[len - 1] == ']') {
		name[len - 1] = '\0';
		memmove(name, name + 1, len - 1);
	}
	snprintf(number, sizeof number, "%u", port);
	return getaddrinfo(name, number, &want, &found) == 0 ? found : NULL;
}

/* Does a monitor greet there? */
static bool greets(const struct addrinfo *a)
{
	_cleanup_close_ int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char text[6];

	if (fd < 0 || (connect(fd, a->ai_addr, a->ai_addrlen) < 0 && errno != EINPROGRESS))
		return false;
	return poll(&p, 1, 2000) == 1 && recv(fd, text, sizeof text, 0) == sizeof text &&
	       memcmp(text, "ceph v", sizeof text) == 0;
}

static bool any_greets(const struct pool_source *s)
{
	static const unsigned usual[] = { 3300, 6789 };
	bool found = false;

	for (size_t i = 0; i < s->host_count && !found; i++)
		for (int n = 0; n < (s->hosts[i].port ? 1 : 2) && !found; n++) {
			struct addrinfo *a = host_find(&s->hosts[i], s->hosts[i].port ? s->hosts[i].port
								    : usual[n]);

			found = a && greets(a);
			if (a)
				freeaddrinfo(a);
		}
	return found;
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
		/* Writes are acknowledged early: what fsync says counts. */
		{ "rbd_cache_writethrough_until_flush", "false" },
		{ "rbd_cache_size", "16777216" },
		{ "rbd_cache_max_dirty", "12582912" },
		{ "rbd_cache_target_dirty", "8388608" },
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

/* The name service may take its time, as all that follows. */
static int set_hosts(struct attempt *a)
{
	_cleanup_buf_ struct buf text = { 0 };
	size_t count = a->source.host_count, found = 0;
	_cleanup_free_ bool *known = xcalloc(count + 1, sizeof *known);

	for (size_t i = 0; i < count; i++) {
		struct addrinfo *at = host_find(&a->source.hosts[i], 0);

		known[i] = at;
		found += known[i];
		if (at)
			freeaddrinfo(at);
	}
	hosts_text(&a->source, known, &text);
	return found ? rados_conf_set(a->conn->cluster, "mon_host", text.data) : -EHOSTUNREACH;
}

static void *attempt_thread(void *arg)
{
	struct attempt *a = arg;
	struct conn *c = a->conn;
	int rc = set_hosts(a);
	bool abandoned;

	if (rc == 0) {
		step(a, "connect");
		rc = rados_connect(c->cluster);
		/* One that refuses a key looks to librados as one that is silent. */
		if (rc == -ETIMEDOUT)
			a->greeted = any_greets(&a->source);
	}
	if (rc == 0) {
		c->connected = true;
		step(a, "pool");
		rc = rados_ioctx_create(c->cluster, c->pool, &c->io);
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
	if (abandoned)
		attempt_free(a);
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

static int conn_open(struct conn *c, const struct pool_def *def, struct err *e)
{
	_cleanup_buf_ struct buf hosts = { 0 };
	struct attempt *a = xcalloc(1, sizeof *a);
	uint64_t until = now_ms() + 1000ull * (mount_timeout(c) + c->timeout + 5);
	const char *at;
	bool greeted;
	int rc;

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
	if (!thread_begin(attempt_thread, a)) {
		attempt_free(a);
		return err_set(e, EAGAIN, "cannot start a thread");
	}
	pthread_mutex_lock(&a->lock);
	while (!a->ended && rbd_wait(&a->changed, &a->lock, until))
		;
	a->abandoned = !a->ended;
	at = a->step;
	greeted = a->ended && a->greeted;
	rc = a->ended ? a->rc : -ETIMEDOUT;
	if (a->abandoned) {             /* it frees itself, should it ever end */
		pthread_mutex_unlock(&a->lock);
		return connect_failed(c, rc, at, greeted, hosts.data, e);
	}
	pthread_mutex_unlock(&a->lock);
	attempt_free(a);
	return rc < 0 ? connect_failed(c, rc, at, greeted, hosts.data, e) : 0;
}

/* ---- who we are ----------------------------------------------------------------------- */

static uint64_t process_start(int pid)
{
	char path[40], text[1024], *end;
	_cleanup_close_ int fd = -1;
	unsigned long long start = 0;
	ssize_t n;

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	end = strrchr(text, ')');
	if (!end || end[1] != ' ' || end[2] == 'Z')
		return 0;
	end += 2;
	for (int i = 0; i < 19 && end; i++) {
		end = strchr(end, ' ');
		end = end ? end + 1 : NULL;
	}
	if (end)
		sscanf(end, "%llu", &start);
	return start;
}

/* Process numbers mean something in one boot and one name space of them. */
static void identity_room(char room[128])
{
	char boot[64] = "", ns[48] = "";
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, boot, 36);

	if (fd >= 0)
		close(fd);
	boot[n > 0 ? n : 0] = '\0';
	n = readlink("/proc/self/ns/pid", ns, sizeof ns - 1);
	ns[n > 0 ? n : 0] = '\0';
	snprintf(room, 128, "%s %s", boot, ns);
}

char *self_identity(void)
{
	char room[128];

	identity_room(room);
	return xasprintf("%s %d %llu", room, (int)getpid(),
			 (unsigned long long)process_start(getpid()));
}

bool identity_dead(const char *identity)
{
	unsigned long long start;
	char room[128];
	size_t len;
	int pid;

	identity_room(room);
	len = strlen(room);
	if (strncmp(identity, room, len) != 0 ||
	    sscanf(identity + len, " %d %llu", &pid, &start) != 2 || !start)
		return false;
	return process_start(pid) != start;
}

/* Tells the cluster's other daemons of ours who we are, and finds out which of them
 * have died on this machine: their locks need not be waited for. */
static void clients_note(struct conn *c)
{
	_cleanup_free_ char *self = self_identity();
	struct note *notes = NULL;
	size_t count = 0;

	if (!c->address || notes_read(c, CLIENTS_OBJECT, "", &notes) < 0)
		return;
	for (struct note *n = notes; n; n = n->next) {
		if (!identity_dead(n->value))
			continue;
		c->dead = xrealloc(c->dead, (count + 2) * sizeof *c->dead);
		c->dead[count++] = xstrdup(n->key);
		c->dead[count] = NULL;
		/* It is dead for certain: the cluster need not wait for a sign of life
		 * from who had an image open. */
		rados_blocklist_add(c->cluster, n->key, 3600);
		note_remove(c, CLIENTS_OBJECT, n->key);
	}
	notes_free(notes);
	note_set(c, CLIENTS_OBJECT, c->address, self);
}

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
	rc = rados_create(&c->cluster, c->user);
	if (rc < 0) {
		c->cluster = NULL;
		rc = rbd_fail(c, rc, e, "cannot set up librados for user '%.100s'", c->user);
	}
	if (rc == 0)
		rc = be_quiet(c, e);
	if (rc == 0)
		rc = set_options(c, p, e);
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

/* Images that hang stay behind, on a thread that ends when they do. */
static int rbdp_stop(struct pool *p, struct err *e)
{
	struct rbdp *d = p->priv;

	(void)e;
	if (!d->conn)
		return 0;
	images_close(d->conn, 5000);
	if (d->conn->address)
		note_remove(d->conn, CLIENTS_OBJECT, d->conn->address);
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
	if (rc < 0)
		return rbd_fail(c, rc, e, "RADOS pool '%.100s'", c->pool);
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
	.read = rbdv_read,
	.write = rbdv_write,
	.flush = rbdv_flush,
	.truncate = rbdv_truncate,
	.allocate = rbdv_allocate,
	.seek = rbdv_seek,
	.copy = rbdv_copy,
	.submit = rbdv_submit,
};

/* Locks that we leave behind keep others waiting for half a minute. */
static bool end(void)
{
	struct conn *all[64];
	size_t count = 0;

	pthread_mutex_lock(&conns_lock);
	for (struct conn *c = conns; c && count < 64; c = c->next)
		if (c->pooled)
			all[count++] = conn_get(c);
	pthread_mutex_unlock(&conns_lock);
	for (size_t i = 0; i < count; i++)
		images_close(all[i], 0);
	for (size_t i = 0; i < count; i++) {
		images_close(all[i], i ? 500 : 3000);
		conn_put(all[i]);
	}
	/* Its threads would outlive their data. */
	return true;
}

const struct module poolfs_module = {
	.version = POOLFS_VERSION,
	.backend = &rbd_backend,
	.end = end,
};
