/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * metrics.c - counts operations: how many, how long, how large, how they failed.
 *
 * The front tells of each request when it is answered, the verbs and manage.c
 * of what they did; metrics_text.c prints it. Both labels are words of a fixed
 * table, and so is the number of pools, so the text is bounded. metrics_count takes
 * no lock and never waits; nothing here fails.
 */
#include "metrics.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- the tables ----------------------------------------------------------------- */

/* The front's words for requests, and the verbs. What comes most is looked at first;
 * the first OPS_MOVING move bytes. */
enum { OPS_MOVING = 3 };
static const char *const ops[] = {
	"read", "write", "copy", "lookup", "getattr", "open", "close", "list", "create",
	"delete", "fsync", "truncate", "rename", "setattr", "fallocate", "seek", "lock",
	"readlink", "link", "sync", "statfs", "start", "stop", "build", "erase", "refresh",
	"resize", "clone", "wipe", "define", "undefine", "autostart",
};
_Static_assert(sizeof(ops) / sizeof(*ops) == METRICS_OPS, "METRICS_OPS");

static const int errors[] = {
	EPERM, ENOENT, EINTR, EIO, ENXIO, EBADF, EAGAIN, ENOMEM, EACCES, EBUSY, EEXIST, EXDEV,
	ENODEV, ENOTDIR, EISDIR, EINVAL, EFBIG, ENOSPC, EROFS, ERANGE, ENAMETOOLONG, ENOTEMPTY,
	EPROTO, EOPNOTSUPP, ESTALE, EDQUOT, ETIMEDOUT, ECANCELED, EINPROGRESS, EHOSTUNREACH,
};
_Static_assert(sizeof(errors) / sizeof(*errors) + 1 == METRICS_ERRORS, "METRICS_ERRORS");

const char *const latency_bounds[LATENCY_BOUNDS] = {
	"1e-05", "4e-05", "0.00016", "0.00064", "0.00256", "0.01024", "0.04096", "0.16384",
	"0.65536", "2.62144", "10.48576", "41.94304",
};
const char *const size_bounds[SIZE_BOUNDS] = {
	"512.0", "4096.0", "16384.0", "65536.0", "262144.0", "1.048576e+06",
};
const char *const failure_bounds[FAILURE_BOUNDS] = { "0.001", "0.1", "1.0", "10.0" };

const char *metrics_op_name(unsigned op)
{
	return ops[op];
}

bool metrics_op_moves(unsigned op)
{
	return op < OPS_MOVING;
}

const char *metrics_error_name(unsigned error)
{
	return error < METRICS_ERRORS - 1 ? errno_name(errors[error]) : "other";
}

static unsigned op_find(const char *name)
{
	unsigned i = 0;

	while (i < METRICS_OPS && (*ops[i] != *name || strcmp(ops[i], name)))
		i++;
	return i;
}

static unsigned error_find(int code)
{
	unsigned i = 0;

	while (i < METRICS_ERRORS - 1 && errors[i] != code)
		i++;
	return i;
}

/* The least n with value <= unit * 4^n, at most max. */
static unsigned bucket_of_4(uint64_t value, uint64_t unit, unsigned max)
{
	uint64_t units = value / unit + (value % unit != 0);
	unsigned n = units <= 1 ? 0 : (unsigned)(65 - __builtin_clzll(units - 1)) / 2;

	return n < max ? n : max;
}

unsigned latency_bucket(uint64_t ns)
{
	return bucket_of_4(ns, 10000, LATENCY_BOUNDS);
}

unsigned size_bucket(uint64_t bytes)
{
	return bytes <= 512 ? 0 : 1 + bucket_of_4(bytes, 4096, SIZE_BOUNDS - 1);
}

unsigned failure_bucket(uint64_t ns)
{
	static const uint64_t bounds[FAILURE_BOUNDS] = {
		1000000, 100000000, 1000000000, 10000000000,
	};
	unsigned i = 0;

	while (i < FAILURE_BOUNDS && ns > bounds[i])
		i++;
	return i;
}

/* ---- counting ---------------------------------------------------------------------- */

static struct metrics of_control, of_others;
static atomic_uint rows;

static void add(atomic_uint_fast64_t *to, uint64_t n)
{
	atomic_fetch_add_explicit(to, n, memory_order_relaxed);
}

/* Cold: the first operation of its kind. Of two that come at once one stays. */
static struct operation *operation_make(struct metrics *m, unsigned op)
{
	struct operation *new = xcalloc(1, sizeof(*new)), *old = NULL;

	if (atomic_compare_exchange_strong(&m->ops[op], &old, new))
		return new;
	free(new);
	return old;
}

static struct failures *failures_make(struct operation *o)
{
	struct failures *new = xcalloc(METRICS_ERRORS, sizeof(*new)), *old = NULL;

	if (atomic_compare_exchange_strong(&o->failures, &old, new))
		return new;
	free(new);
	return old;
}

void metrics_count(struct metrics *m, const char *name, int code, uint64_t bytes, uint64_t ns)
{
	unsigned op = op_find(name);
	struct operation *o;
	struct failures *f;

	if (op == METRICS_OPS)
		return;
	m = m ? m : &of_control;
	o = atomic_load_explicit(&m->ops[op], memory_order_acquire);
	if (!o)
		o = operation_make(m, op);
	add(&o->latency[latency_bucket(ns)], 1);
	add(&o->ns, ns);
	if (!code && op < OPS_MOVING) {
		add(&o->sizes[size_bucket(bytes)], 1);
		add(&o->bytes, bytes);
	}
	if (!code)
		return;
	f = atomic_load_explicit(&o->failures, memory_order_acquire);
	if (!f)
		f = failures_make(o);
	f += error_find(code);
	add(&f->buckets[failure_bucket(ns)], 1);
	add(&f->ns, ns);
}

void metrics_count_named(const char *pool, const char *op, int code, uint64_t ns)
{
	struct cpool *cp = cpool_find(pool);

	metrics_count(cp ? cpool_metrics(cp) : NULL, op, code, 0, ns);
	cpool_put(cp);
}

void metrics_under_way(struct metrics *m, int by)
{
	atomic_fetch_add_explicit(&(m ? m : &of_control)->under_way, (unsigned)by,
				  memory_order_relaxed);
}

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- rows --------------------------------------------------------------------------------- */

struct metrics *metrics_control(void)
{
	return &of_control;
}

struct metrics *metrics_others(void)
{
	return &of_others;
}

struct metrics *metrics_new(void)
{
	struct metrics *m;

	if (atomic_fetch_add(&rows, 1) >= METRICS_ROWS_MAX) {
		atomic_fetch_sub(&rows, 1);
		return NULL;
	}
	m = xcalloc(1, sizeof(*m));
	atomic_store(&m->row, true);
	return m;
}

void metrics_leave(struct metrics *m)
{
	if (m && atomic_exchange(&m->row, false))
		atomic_fetch_sub(&rows, 1);
}

void metrics_free(struct metrics *m)
{
	if (!m)
		return;
	metrics_leave(m);
	for (unsigned i = 0; i < METRICS_OPS; i++) {
		struct operation *o = atomic_load(&m->ops[i]);

		if (o)
			free(atomic_load(&o->failures));
		free(o);
	}
	free(m);
}
