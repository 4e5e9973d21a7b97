/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fault.c - unit test of the faults and of the asynchronous contract: any
 * number of requests outstanding without a thread each, every one ended
 * exactly once, cancelled ones at once, on a synchronous driver (dir) and on
 * an asynchronous one that this test brings along.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../../backends/backend.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { COUNT = 1000, SIZE = 4096 };

/* ---- requests that count their endings ------------------------------------ */

struct request {
	struct io io;           /* first: done gets its address */
	ssize_t result;
	atomic_int ended;
	char data[SIZE];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended = PTHREAD_COND_INITIALIZER;
static int ended_count;

static void request_done(struct io *io, ssize_t result)
{
	struct request *r = (struct request *)io;

	r->result = result;
	r->ended++;
	pthread_mutex_lock(&lock);
	ended_count++;
	pthread_cond_broadcast(&ended);
	pthread_mutex_unlock(&lock);
}

static int ended_now(void)
{
	int n;

	pthread_mutex_lock(&lock);
	n = ended_count;
	pthread_mutex_unlock(&lock);
	return n;
}

static void wait_ended(int count)
{
	struct timespec until;
	int rc = 0, n;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 30;
	pthread_mutex_lock(&lock);
	while (ended_count < count && rc == 0)
		rc = pthread_cond_timedwait(&ended, &lock, &until);
	n = ended_count;
	pthread_mutex_unlock(&lock);
	if (rc)
		fail_msg("only %d of %d requests have ended", n, count);
}

static int thread_count(void)
{
	char line[256];
	int n = -1;
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "Threads: %d", &n) == 1)
			break;
	if (f)
		fclose(f);
	return n;
}

/* ---- an asynchronous driver: one thread ends what is submitted ------------ */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct io *queue[COUNT];
	int count, seen, cancels;
	bool stop, paused;
} later = { .lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER };

static void *later_main(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&later.lock);
	while (!later.stop || later.count) {
		struct io *io;

		if (!later.count || (later.paused && !later.stop)) {
			pthread_cond_wait(&later.wake, &later.lock);
			continue;
		}
		io = later.queue[--later.count];
		pthread_mutex_unlock(&later.lock);
		if (io->op == IO_READ)
			memset(io->data, (int)(io->off % 251), io->len);
		io_done(io, io->op == IO_FLUSH ? 0 : (ssize_t)io->len);
		pthread_mutex_lock(&later.lock);
	}
	pthread_mutex_unlock(&later.lock);
	return NULL;
}

static void later_submit(struct vol *v, struct io *io)
{
	(void)v;
	pthread_mutex_lock(&later.lock);
	later.queue[later.count++] = io;
	later.seen++;
	pthread_cond_signal(&later.wake);
	pthread_mutex_unlock(&later.lock);
}

static void later_cancel(struct vol *v, struct io *io)
{
	bool found = false;

	(void)v;
	pthread_mutex_lock(&later.lock);
	later.cancels++;
	for (int i = 0; i < later.count; i++)
		if (later.queue[i] == io) {
			later.queue[i] = later.queue[--later.count];
			found = true;
			break;
		}
	pthread_mutex_unlock(&later.lock);
	if (found)
		io_done(io, err_set(&io->err, ECANCELED, "given up"));
}

static int later_check(struct pool *p, bool *active, struct err *e)
{
	(void)p, (void)e;
	*active = true;
	return 0;
}

static int later_start(struct pool *p, struct err *e)
{
	(void)p, (void)e;
	return 0;
}

static int later_open(struct pool *p, const char *name, int flags, struct vol *v,
		      struct err *e)
{
	(void)p, (void)name, (void)flags, (void)v, (void)e;
	return 0;
}

static const struct backend later_backend = {
	.type = "later",
	.check = later_check,
	.start = later_start,
	.open = later_open,
	.submit = later_submit,
	.cancel = later_cancel,
};

/* ---- the scene ------------------------------------------------------------- */

static char target[4096];
static struct pool_def def = { .type = "dir", .name = "a pool", .target = target };
static struct pool *pool;
static struct vol *vol;
static struct request *requests;

static void rule(const char *text)
{
	struct err e = {0};

	if (fault_rule(text, &e) < 0)
		fail_msg("rule '%s': %s", text, e.text);
}

static void assert_shown(const char *text)
{
	struct buf b = {0};

	fault_show(&b);
	if (strcmp(b.data ? b.data : "", text) != 0)
		fail_msg("shown: '%s', not '%s'", b.data ? b.data : "", text);
	buf_release(&b);
}

static void byte_of(char *data, int i)
{
	for (int k = 0; k < SIZE; k++)
		data[k] = (char)(i * 31 + k * 7);
}

static int setup(void **state)
{
	struct vol_create c = { .mode = 0600, .uid = geteuid(), .gid = getegid(),
				.flags = O_RDWR };
	const char *dir = getenv("TMPDIR");
	struct err e;

	(void)state;
	snprintf(target, sizeof target, "%s/poolfs-unit-XXXXXX",
		 dir && *dir ? dir : "/var/tmp");
	if (!mkdtemp(target))
		return -1;
	pool = backend_pool_new(backend_find("dir"), &def);
	if (pool_start(pool, &e) < 0 || vol_create(pool, "v", &c, &vol, &e) < 0)
		return -1;
	requests = calloc(COUNT, sizeof *requests);
	for (int i = 0; i < COUNT; i++) {
		char data[SIZE];

		byte_of(data, i);
		if (vol_write(vol, data, SIZE, (uint64_t)i * SIZE, &e) != SIZE)
			return -1;
	}
	return 0;
}

static int teardown(void **state)
{
	struct err e;

	(void)state;
	vol_close(vol, &e);
	vol_remove(pool, "v", &e);
	backend_pool_free(pool);
	free(requests);
	return rmdir(target);
}

static int each_setup(void **state)
{
	struct err e;

	(void)state;
	fault_rule("clear", &e);
	memset(requests, 0, COUNT * sizeof *requests);
	ended_count = 0;
	return 0;
}

/* Reads, with every tenth a write of what is there and every hundredth a flush. */
static void submit_all(struct vol *v)
{
	for (int i = 0; i < COUNT; i++) {
		struct request *r = &requests[i];

		r->io = (struct io){
			.op = i % 100 == 99 ? IO_FLUSH : i % 10 == 5 ? IO_WRITE : IO_READ,
			.data = r->data, .len = SIZE, .off = (uint64_t)i * SIZE,
			.done = request_done,
		};
		if (r->io.op == IO_WRITE)
			byte_of(r->data, i + 1);
		vol_submit(v, &r->io);
	}
}

static bool is_cancelled(int i)
{
	return i % 7 == 3;
}

static void assert_results(void)
{
	char want[SIZE], got[SIZE];
	struct err e;

	for (int i = 0; i < COUNT; i++) {
		struct request *r = &requests[i];

		if (r->ended != 1)
			fail_msg("request %d ended %d times", i, (int)r->ended);
		if (is_cancelled(i)) {
			assert_int_equal(r->result, -ECANCELED);
			assert_int_equal(r->io.err.code, ECANCELED);
			byte_of(want, i);
			if (r->io.op == IO_WRITE) {
				assert_int_equal(vol_read(vol, got, SIZE, r->io.off, &e), SIZE);
				assert_memory_equal(got, want, SIZE);
			}
		} else if (r->io.op == IO_FLUSH) {
			assert_int_equal(r->result, 0);
		} else if (r->io.op == IO_READ) {
			assert_int_equal(r->result, SIZE);
			byte_of(want, i);
			assert_memory_equal(r->data, want, SIZE);
		} else {
			assert_int_equal(r->result, SIZE);
			assert_int_equal(vol_read(vol, got, SIZE, r->io.off, &e), SIZE);
			assert_memory_equal(got, r->data, SIZE);
			byte_of(want, i);       /* as it was, for the next test */
			assert_int_equal(vol_write(vol, want, SIZE, r->io.off, &e), SIZE);
		}
	}
}

/* ---- tests ------------------------------------------------------------------ */

static void rules_read(void **state)
{
	static const char *const bad[] = {
		"", "hang", "* read 0", "* read 0 fail", "* read 0 fail NOSUCH",
		"* read 0 delay x", "* read 0 delay -1", "* nosuch 0 hang", "* read x hang",
		"* read 0 explode 1", "read 0 hang", "* read -1 hang", "   clear  now",
		"* read 99999999999999999999999 hang", "* read 1 2 hang",
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		e = (struct err){0};
		if (fault_rule(bad[i], &e) != -EINVAL || !e.text[0])
			fail_msg("rule '%s' was taken", bad[i]);
	}
	assert_false(fault_on);
	rule("* read 3 fail EIO\n");
	rule("a pool  with blanks\twrite 0 hang");
	rule("  x clone 1 delay 250 ");
	assert_true(fault_on);
	assert_shown("* read 3 fail EIO: 0 calls, 0 held\n"
		     "a pool  with blanks write 0 hang: 0 calls, 0 held\n"
		     "x clone 1 delay 250: 0 calls, 0 held\n");
	rule(" clear\n");
	assert_false(fault_on);
	assert_shown("");
}

static void the_nth_fails(void **state)
{
	char data[16];
	struct err e;
	struct vol *v;

	(void)state;
	rule("a pool read 3 fail EILSEQ");
	rule("another read 1 fail ENOSPC");
	for (int i = 1; i <= 5; i++) {
		ssize_t n = vol_read(vol, data, 16, 0, &e);

		assert_int_equal(n, i == 3 ? -EILSEQ : 16);
		assert_int_equal(e.code, i == 3 ? EILSEQ : 0);
		if (i == 3)
			assert_non_null(strstr(e.text, "cannot read 'v' in pool 'a pool': "));
	}
	assert_shown("a pool read 3 fail EILSEQ: 5 calls, 0 held\n"
		     "another read 1 fail ENOSPC: 0 calls, 0 held\n");
	rule("* open 0 fail EMFILE");
	assert_int_equal(vol_open(pool, "v", O_RDONLY, &v, &e), -EMFILE);
	assert_null(v);
	rule("clear");
	/* A failed close closes. */
	assert_int_equal(vol_open(pool, "v", O_RDONLY, &v, &e), 0);
	rule("* close 1 fail EIO");
	assert_int_equal(vol_close(v, &e), -EIO);
	assert_non_null(strstr(e.text, "cannot close 'v'"));
}

static void submitted_fails(void **state)
{
	(void)state;
	rule("* read 2 fail ENODATA");
	for (int i = 0; i < 3; i++) {
		struct request *r = &requests[i];

		r->io = (struct io){ .op = IO_READ, .data = r->data, .len = SIZE,
				     .done = request_done };
		vol_submit(vol, &r->io);
		assert_int_equal(r->ended, 1);
		assert_int_equal(r->result, i == 1 ? -ENODATA : SIZE);
		assert_int_equal(r->io.err.code, i == 1 ? ENODATA : 0);
	}
}

static void assert_hanging(struct vol *v)
{
	int cancelled = 0, before = thread_count();

	rule("a pool read 0 hang");
	rule("a pool write 0 hang");
	rule("a pool flush 0 hang");
	submit_all(v);
	assert_shown("a pool read 0 hang: 890 calls, 890 held\n"
		     "a pool write 0 hang: 100 calls, 100 held\n"
		     "a pool flush 0 hang: 10 calls, 10 held\n");
	usleep(50000);
	assert_int_equal(ended_now(), 0);
	assert_true(thread_count() <= before + 1);
	for (int i = 0; i < COUNT; i++)
		if (is_cancelled(i)) {
			vol_cancel(v, &requests[i].io);
			cancelled++;
			/* At once: here even before cancel returns. */
			assert_int_equal(requests[i].ended, 1);
		}
	assert_int_equal(ended_now(), cancelled);
	/* Once more is harmless. */
	vol_cancel(v, &requests[3].io);
	assert_int_equal(ended_now(), cancelled);
	rule("clear");
	wait_ended(COUNT);
	usleep(20000);
	assert_int_equal(ended_now(), COUNT);
	assert_shown("");
}

static void a_thousand_hang(void **state)
{
	(void)state;
	assert_false(vol_is_async(vol));
	rule("other read 0 hang");
	assert_true(vol_is_async(vol));
	rule("clear");
	assert_false(vol_is_async(vol));
	assert_hanging(vol);
	assert_results();
}

static void a_thousand_delayed(void **state)
{
	uint64_t begun = now_ms();
	int before = thread_count();

	(void)state;
	rule("a pool read 0 delay 3000");
	submit_all(vol);
	/* Writes and flushes are through already. */
	assert_int_equal(ended_now(), 110);
	assert_shown("a pool read 0 delay 3000: 890 calls, 890 held\n");
	assert_true(thread_count() <= before + 2);
	for (int i = 0; i < COUNT; i++)
		if (is_cancelled(i) && requests[i].io.op == IO_READ)
			vol_cancel(vol, &requests[i].io);
	wait_ended(COUNT);
	assert_true(now_ms() - begun >= 3000);
	assert_shown("a pool read 0 delay 3000: 890 calls, 0 held\n");
	for (int i = 0; i < COUNT; i++) {
		char want[SIZE];
		struct request *r = &requests[i];
		struct err e;

		assert_int_equal(r->ended, 1);
		byte_of(want, i);
		if (r->io.op == IO_WRITE)
			vol_write(vol, want, SIZE, r->io.off, &e);
		if (r->io.op != IO_READ)
			continue;
		assert_int_equal(r->result, is_cancelled(i) ? -ECANCELED : SIZE);
		if (!is_cancelled(i))
			assert_memory_equal(r->data, want, SIZE);
	}
}

/* A shorter delay is not kept waiting by a longer one, nor by a hanging one. */
static void delays_in_order(void **state)
{
	static const char *const rules[] = {
		"* read 0 hang", "* write 0 delay 60000", "* flush 0 delay 50",
	};

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct request *r = &requests[i];

		rule(rules[i]);
		r->io = (struct io){ .op = (enum io_op)i, .data = r->data, .len = SIZE,
				     .off = SIZE, .done = request_done };
		byte_of(r->data, 1);
		vol_submit(vol, &r->io);
	}
	wait_ended(1);
	assert_int_equal(requests[2].ended, 1);
	assert_int_equal(requests[2].result, 0);
	rule("clear");
	wait_ended(3);
	assert_int_equal(requests[0].result, SIZE);
	assert_int_equal(requests[1].result, SIZE);
}

static void *stat_main(void *arg)
{
	struct vol_stat st;
	struct err e;

	(void)arg;
	return vol_stat(pool, "v", &st, &e) == 0 ? (void *)1 : NULL;
}

/* Calls that are not submitted wait in their own thread. */
static void calls_hang(void **state)
{
	pthread_t threads[20];
	uint64_t begun;
	struct vol_stat st;
	struct err e;

	(void)state;
	rule("* stat 0 hang");
	for (int i = 0; i < 20; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, stat_main, NULL), 0);
	for (int i = 0; i < 1000; i++) {
		struct buf b = {0};
		bool all;

		fault_show(&b);
		all = strcmp(b.data, "* stat 0 hang: 20 calls, 20 held\n") == 0;
		buf_release(&b);
		if (all)
			break;
		usleep(5000);
	}
	assert_shown("* stat 0 hang: 20 calls, 20 held\n");
	rule("clear");
	for (int i = 0; i < 20; i++) {
		void *ok;

		pthread_join(threads[i], &ok);
		assert_non_null(ok);
	}
	rule("* stat 1 delay 120");
	begun = now_ms();
	assert_int_equal(vol_stat(pool, "v", &st, &e), 0);
	assert_true(now_ms() - begun >= 120);
	begun = now_ms();
	assert_int_equal(vol_stat(pool, "v", &st, &e), 0);
	assert_shown("* stat 1 delay 120: 2 calls, 0 held\n");
}

static void an_asynchronous_driver(void **state)
{
	struct pool_def d = { .type = "later", .name = "a pool" };
	struct pool *p = backend_pool_new(&later_backend, &d);
	pthread_t thread;
	struct vol *v;
	struct err e;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, later_main, NULL), 0);
	assert_int_equal(pool_start(p, &e), 0);
	assert_int_equal(vol_open(p, "v", O_RDWR, &v, &e), 0);
	assert_true(vol_is_async(v));
	assert_int_equal(vol_fd(v), -1);
	/* What it has not: a sentence. */
	assert_int_equal(vol_truncate(v, 0, &e), -EOPNOTSUPP);
	assert_non_null(strstr(e.text, "'later'"));

	/* Without faults, a thousand in the driver's own queue. */
	pthread_mutex_lock(&later.lock);
	later.paused = true;
	pthread_mutex_unlock(&later.lock);
	submit_all(v);
	assert_int_equal(ended_now(), 0);
	for (int i = 0; i < COUNT; i++)
		if (is_cancelled(i))
			vol_cancel(v, &requests[i].io);
	assert_int_equal(ended_now(), 143);
	pthread_mutex_lock(&later.lock);
	assert_int_equal(later.seen, COUNT);
	assert_int_equal(later.cancels, 143);
	later.paused = false;
	pthread_cond_signal(&later.wake);
	pthread_mutex_unlock(&later.lock);
	wait_ended(COUNT);

	/* Held before it: the driver sees only those not cancelled. */
	each_setup(NULL);
	pthread_mutex_lock(&later.lock);
	later.seen = 0;
	pthread_mutex_unlock(&later.lock);
	assert_hanging(v);
	pthread_mutex_lock(&later.lock);
	assert_int_equal(later.seen, COUNT - 143);
	later.stop = true;
	pthread_cond_signal(&later.wake);
	pthread_mutex_unlock(&later.lock);
	for (int i = 0; i < COUNT; i++) {
		assert_int_equal(requests[i].ended, 1);
		assert_int_equal(requests[i].result, is_cancelled(i) ? -ECANCELED :
				 requests[i].io.op == IO_FLUSH ? 0 : SIZE);
	}
	pthread_join(thread, NULL);
	assert_int_equal(vol_close(v, &e), 0);
	backend_pool_free(p);
}

static void *cancel_main(void *arg)
{
	for (int i = 0; i < COUNT; i++)
		vol_cancel(arg, &requests[i].io);
	return NULL;
}

/* Cancel against clear and against the end of a delay: each ends once. */
static void cancel_races(void **state)
{
	(void)state;
	for (int round = 0; round < 10; round++) {
		pthread_t threads[3];

		each_setup(NULL);
		rule(round % 2 ? "* read 0 delay 1" : "* read 0 hang");
		submit_all(vol);
		for (int i = 0; i < 3; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, cancel_main, vol),
					 0);
		rule("clear");
		for (int i = 0; i < 3; i++)
			pthread_join(threads[i], NULL);
		wait_ended(COUNT);
		usleep(2000);
		for (int i = 0; i < COUNT; i++) {
			struct request *r = &requests[i];

			assert_int_equal(r->ended, 1);
			if (r->io.op == IO_READ && r->result != -ECANCELED)
				assert_int_equal(r->result, SIZE);
		}
	}
}

static void types(void **state)
{
	struct pool_def d = { .type = "scsi", .name = "r" };
	struct pool *p;
	struct err e;
	int n = 0;

	(void)state;
	while (backends[n])
		n++;
	assert_int_equal(n, 10);
	assert_null(backend_find("nosuch"));
	p = backend_pool_new(backend_find("scsi"), &d);
	assert_int_equal(pool_start(p, &e), -EOPNOTSUPP);
	assert_string_equal(e.text, "cannot start pool 'r': pools of type 'scsi' come in a "
			    "later version");
	backend_pool_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(rules_read, each_setup),
		cmocka_unit_test_setup(the_nth_fails, each_setup),
		cmocka_unit_test_setup(submitted_fails, each_setup),
		cmocka_unit_test_setup(a_thousand_hang, each_setup),
		cmocka_unit_test_setup(a_thousand_delayed, each_setup),
		cmocka_unit_test_setup(delays_in_order, each_setup),
		cmocka_unit_test_setup(calls_hang, each_setup),
		cmocka_unit_test_setup(an_asynchronous_driver, each_setup),
		cmocka_unit_test_setup(cancel_races, each_setup),
		cmocka_unit_test_setup(types, each_setup),
	};
	struct err e;
	int failed;

	cmocka_set_message_output(CM_OUTPUT_TAP);
	failed = cmocka_run_group_tests(tests, setup, teardown);
	fault_rule("clear", &e);
	return failed;
}
