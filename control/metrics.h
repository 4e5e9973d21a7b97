/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * metrics.h - what metrics.c counts and metrics_text.c prints. Private to these
 * two, registry.c and the unit test: all others use control.h.
 *
 * A pool has a struct metrics as long as it is in memory, and in it room for each
 * operation that was ever asked of it. All counters are relaxed atomics: no lock,
 * and after the first operation of a kind no allocation. Nothing here is reset.
 */
#ifndef POOLFS_METRICS_H
#define POOLFS_METRICS_H

#include "control.h"

enum {
	METRICS_ROWS_MAX = 500,         /* pools with counters of their own */
	LATENCY_BOUNDS = 12,            /* 10 us * 4^n, up to 42 s; one bucket more */
	SIZE_BOUNDS = 6,                /* 512 B, 4 KiB * 4^n, up to 1 MiB */
	FAILURE_BOUNDS = 4,             /* 1 ms, 100 ms, 1 s, 10 s */
	METRICS_OPS = 32,
	METRICS_ERRORS = 31,            /* the last one: any other */
};

struct failures {
	atomic_uint_fast64_t buckets[FAILURE_BOUNDS + 1], ns;
};
struct operation {
	atomic_uint_fast64_t latency[LATENCY_BOUNDS + 1], ns;
	atomic_uint_fast64_t sizes[SIZE_BOUNDS + 1], bytes;
	_Atomic(struct failures *) failures;            /* METRICS_ERRORS of them, or NULL */
};
struct metrics {
	atomic_bool row;                /* one of METRICS_ROWS_MAX */
	atomic_uint under_way;
	_Atomic(struct operation *) ops[METRICS_OPS];   /* NULL: never asked for */
};

/* Of a pool: NULL when there are METRICS_ROWS_MAX already. */
struct metrics *metrics_new(void);
void metrics_leave(struct metrics *m);  /* its row is free for another; NULL is fine */
void metrics_free(struct metrics *m);
/* Of control/, and of all pools without a row: never freed. */
struct metrics *metrics_control(void);
struct metrics *metrics_others(void);

/* The tables, by index; moves: has sizes. */
const char *metrics_op_name(unsigned op);
bool metrics_op_moves(unsigned op);
const char *metrics_error_name(unsigned error);
/* Upper bounds of the buckets, as they are printed. */
extern const char *const latency_bounds[LATENCY_BOUNDS];
extern const char *const size_bounds[SIZE_BOUNDS];
extern const char *const failure_bounds[FAILURE_BOUNDS];
unsigned latency_bucket(uint64_t ns);
unsigned size_bucket(uint64_t bytes);
unsigned failure_bucket(uint64_t ns);
/* A label's value: \ and " and newline escaped. */
void label_escape(struct buf *out, const char *value);

#endif
