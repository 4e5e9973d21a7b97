/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * metrics.c - unit tests of control/metrics.c and metrics_text.c: which bucket a
 * value falls into, what is counted where, that the number of rows is bounded, how
 * labels are escaped, and the lines of a histogram.
 *
 * Started by tests/run; prints TAP. Makes pools in a SOURCE of its own.
 */
#include "../../control/metrics.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static char source[] = "/var/tmp/poolfs-unit.XXXXXX";

static void shell(const char *verb)
{
	char command[128];

	snprintf(command, sizeof command, "%s '%s'", verb, source);
	assert_int_equal(system(command), 0);
}

static int begin(void **state)
{
	(void)state;
	return !mkdtemp(source);
}

static int end(void **state)
{
	(void)state;
	shell("rm -rf");
	return 0;
}

/* ---- buckets ------------------------------------------------------------------------ */

/* The printed bounds are those that count, from both sides. */
static void bounds(void **state)
{
	(void)state;
	for (unsigned i = 0; i < LATENCY_BOUNDS; i++) {
		uint64_t ns = (uint64_t)(strtod(latency_bounds[i], NULL) * 1e9 + 0.5);

		assert_int_equal(latency_bucket(ns), i);
		assert_int_equal(latency_bucket(ns + 1), i + 1);
	}
	for (unsigned i = 0; i < SIZE_BOUNDS; i++) {
		uint64_t bytes = (uint64_t)strtod(size_bounds[i], NULL);

		assert_int_equal(size_bucket(bytes), i);
		assert_int_equal(size_bucket(bytes + 1), i + 1);
	}
	for (unsigned i = 0; i < FAILURE_BOUNDS; i++) {
		uint64_t ns = (uint64_t)(strtod(failure_bounds[i], NULL) * 1e9 + 0.5);

		assert_int_equal(failure_bucket(ns), i);
		assert_int_equal(failure_bucket(ns + 1), i + 1);
	}
	assert_int_equal(latency_bucket(0), 0);
	assert_int_equal(size_bucket(0), 0);
	assert_int_equal(latency_bucket(UINT64_MAX), LATENCY_BOUNDS);
	assert_int_equal(size_bucket(UINT64_MAX), SIZE_BOUNDS);
	assert_int_equal(failure_bucket(UINT64_MAX), FAILURE_BOUNDS);
}

/* No word twice, none that Prometheus' text could not hold as it is. */
static void words(void **state)
{
	(void)state;
	for (unsigned i = 0; i < METRICS_OPS; i++) {
		const char *name = metrics_op_name(i);

		assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz"), strlen(name));
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(name, metrics_op_name(j));
	}
	for (unsigned i = 0; i < METRICS_ERRORS; i++)
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(metrics_error_name(i), metrics_error_name(j));
	for (const struct verb *v = verbs; v->name; v++) {
		bool found = false;

		for (unsigned i = 0; i < METRICS_OPS; i++)
			found |= !strcmp(v->name, metrics_op_name(i));
		assert_true(found);
	}
}

static void escape(void **state)
{
	struct buf b = {0};

	(void)state;
	label_escape(&b, "a\"b\\c\nd \xc3\xa9{},=");
	assert_string_equal(b.data, "a\\\"b\\\\c\\nd \xc3\xa9{},=");
	buf_release(&b);
}

/* ---- what is counted ------------------------------------------------------------------ */

/* The value of the line that begins so; -1: there is none. */
static double value(const char *line)
{
	struct buf b = {0};
	double result = -1;
	const char *at;

	metrics_show(&b);
	at = b.data;
	while (at && strncmp(at, line, strlen(line))) {
		at = strchr(at, '\n');
		at = at ? at + 1 : NULL;
	}
	if (at) {
		assert_int_equal(at[strlen(line)], ' ');
		result = strtod(at + strlen(line), NULL);
	}
	assert_string_equal(b.data + b.len - 6, "# EOF\n");
	buf_release(&b);
	return result;
}

#define CONTROL(op) "{pool=\"control\",operation=\"" op "\""

static void counts(void **state)
{
	(void)state;
	assert_float_equal(value("poolfs_operation_duration_seconds_count" CONTROL("copy") "}"), -1, 0);
	metrics_count(NULL, "copy", 0, 4096, 10000);
	metrics_count(NULL, "copy", 0, 0, 10001);
	metrics_count(NULL, "copy", EIO, 77, 2000000000);
	metrics_count(NULL, "copy", 4095, 0, 1);
	metrics_count(NULL, "nothing", 0, 1, 1);
	assert_float_equal(value("poolfs_operation_duration_seconds_count" CONTROL("copy") "}"), 4, 0);
	assert_float_equal(value("poolfs_operation_duration_seconds_sum" CONTROL("copy") "}"),
			   2.000020002, 1e-12);
	assert_float_equal(value("poolfs_operation_duration_seconds_bucket" CONTROL("copy")
				 ",le=\"1e-05\"}"), 2, 0);
	assert_float_equal(value("poolfs_operation_duration_seconds_bucket" CONTROL("copy")
				 ",le=\"4e-05\"}"), 3, 0);
	assert_float_equal(value("poolfs_operation_duration_seconds_bucket" CONTROL("copy")
				 ",le=\"0.65536\"}"), 3, 0);
	assert_float_equal(value("poolfs_operation_duration_seconds_bucket" CONTROL("copy")
				 ",le=\"2.62144\"}"), 4, 0);
	assert_float_equal(value("poolfs_operation_duration_seconds_bucket" CONTROL("copy")
				 ",le=\"+Inf\"}"), 4, 0);
	/* What failed moved nothing. */
	assert_float_equal(value("poolfs_operation_size_bytes_sum" CONTROL("copy") "}"), 4096, 0);
	assert_float_equal(value("poolfs_operation_size_bytes_count" CONTROL("copy") "}"), 2, 0);
	assert_float_equal(value("poolfs_failure_duration_seconds_count" CONTROL("copy")
				 ",error=\"EIO\"}"), 1, 0);
	assert_float_equal(value("poolfs_failure_duration_seconds_bucket" CONTROL("copy")
				 ",error=\"EIO\",le=\"1.0\"}"), 0, 0);
	assert_float_equal(value("poolfs_failure_duration_seconds_bucket" CONTROL("copy")
				 ",error=\"EIO\",le=\"10.0\"}"), 1, 0);
	assert_float_equal(value("poolfs_failure_duration_seconds_count" CONTROL("copy")
				 ",error=\"other\"}"), 1, 0);
	metrics_count(NULL, "open", 0, 5, 1);
	assert_float_equal(value("poolfs_operation_size_bytes_count" CONTROL("open") "}"), -1, 0);
	metrics_under_way(NULL, 1);
	assert_float_equal(value("poolfs_requests{pool=\"control\"}"), 1, 0);
	metrics_under_way(NULL, -1);
	assert_float_equal(value("poolfs_requests{pool=\"control\"}"), 0, 0);
	assert_true(metrics_size() > 1000);
}

enum { THREADS = 8, EACH = 20000 };

static void *count_many(void *arg)
{
	(void)arg;
	for (int i = 0; i < EACH; i++)
		metrics_count(NULL, "fsync", i % 2 ? ENOSPC : 0, 0, 1000);
	return NULL;
}

/* Also the first of its kind, from several threads. */
static void threads(void **state)
{
	pthread_t t[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, count_many, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	assert_float_equal(value("poolfs_operation_duration_seconds_count" CONTROL("fsync") "}"),
			   THREADS * EACH, 0);
	assert_float_equal(value("poolfs_operation_duration_seconds_sum" CONTROL("fsync") "}"),
			   THREADS * EACH * 1e-6, 1e-9);
	assert_float_equal(value("poolfs_failure_duration_seconds_count" CONTROL("fsync")
				 ",error=\"ENOSPC\"}"), THREADS * EACH / 2, 0);
}

/* ---- pools --------------------------------------------------------------------------------- */

static void define(const char *name)
{
	_cleanup_free_ char *xml = xasprintf("<pool type='dir'><target><path>%s/%s</path></target>"
					     "</pool>", source, name);
	struct err e = {0};

	if (cpool_define(name, xml, strlen(xml), &e))
		fail_msg("%s", e.text);
}

static void count_in(const char *name, const char *op, int times)
{
	struct cpool *cp = cpool_find(name);

	assert_non_null(cp);
	for (int i = 0; i < times; i++)
		metrics_count(cpool_metrics(cp), op, 0, 100, 1000);
	cpool_put(cp);
}

static double reads(const char *pool)
{
	_cleanup_free_ char *line = xasprintf("poolfs_operation_size_bytes_count{pool=\"%s\","
					      "operation=\"read\"}", pool);

	return value(line);
}

static void pools_come_and_go(void **state)
{
	_cleanup_free_ char *from = xasprintf("%s/source", source);
	_cleanup_free_ char *run = xasprintf("%s/run", source);
	struct control_options o = { .source = from, .rundir = run, .mountpoint = "/nonexistent" };
	struct err e = {0};
	char name[32];

	(void)state;
	log_open(LOG_TO_STDERR, false);
	assert_int_equal(control_init(&o, &e), 0);
	define("a");
	define("b");
	count_in("a", "read", 3);
	count_in("b", "read", 4);
	assert_float_equal(reads("a"), 3, 0);
	assert_float_equal(reads("b"), 4, 0);
	assert_float_equal(value("poolfs_pool_state{pool=\"a\",type=\"dir\",state=\"inactive\"}"), 1, 0);
	assert_float_equal(value("poolfs_pools{state=\"inactive\"}"), 2, 0);
	/* Defined anew it keeps them; gone and back it does not. */
	define("a");
	assert_float_equal(reads("a"), 3, 0);
	assert_int_equal(cpool_undefine("a", &e), 0);
	assert_float_equal(reads("a"), -1, 0);
	define("a");
	assert_float_equal(reads("a"), -1, 0);

	/* Two rows are taken: the last two pools get none, and are summed. */
	for (int i = 0; i < METRICS_ROWS_MAX; i++) {
		snprintf(name, sizeof name, "p%d", i);
		define(name);
		count_in(name, "read", 2);
	}
	assert_float_equal(reads("p0"), 2, 0);
	snprintf(name, sizeof name, "p%d", METRICS_ROWS_MAX - 3);
	assert_float_equal(reads(name), 2, 0);
	snprintf(name, sizeof name, "p%d", METRICS_ROWS_MAX - 2);
	assert_float_equal(reads(name), -1, 0);
	assert_float_equal(reads(".others"), 4, 0);
	assert_float_equal(value("poolfs_pools{state=\"inactive\"}"), METRICS_ROWS_MAX + 2, 0);
	/* The sum never falls, and a row that is free goes to the next who comes. */
	assert_int_equal(cpool_undefine(name, &e), 0);
	assert_float_equal(reads(".others"), 4, 0);
	assert_int_equal(cpool_undefine("p7", &e), 0);
	define("new");
	count_in("new", "read", 5);
	assert_float_equal(reads("new"), 5, 0);
	control_end();
	assert_float_equal(reads("new"), -1, 0);
	assert_float_equal(reads("b"), -1, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bounds),
		cmocka_unit_test(words),
		cmocka_unit_test(escape),
		cmocka_unit_test(counts),
		cmocka_unit_test(threads),
		cmocka_unit_test(pools_come_and_go),
	};

	return cmocka_run_group_tests_name("metrics", tests, begin, end);
}
