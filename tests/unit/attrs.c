/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * attrs.c - tests of backends/attrs.c: what chmod, chown and utimens set is found
 * again under the volume's number, what was not set is root's, and the table keeps
 * its bound. Run by tests/run; asks no storage.
 */
#include "../../backends/attrs.h"

#include <fcntl.h>
#include <stdarg.h>
#include <setjmp.h>
#include <time.h>
#include <cmocka.h>

static struct stat applied(struct attrs *a, uint64_t id, time_t mtime)
{
	struct stat st = { .st_size = 42 };

	st.st_mtim.tv_sec = st.st_ctim.tv_sec = st.st_atim.tv_sec = mtime;
	attrs_apply(a, id, &st);
	assert_int_equal(st.st_size, 42);
	return st;
}

static void set_mode(struct attrs *a, uint64_t id, mode_t mode)
{
	attrs_set(a, id, &(struct vol_attr){ .valid = ATTR_MODE, .mode = mode });
}

static void untouched_is_roots(void **state)
{
	struct attrs a = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct stat st = applied(&a, 7, 1000);

	(void)state;
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	assert_int_equal(st.st_uid, 0);
	assert_int_equal(st.st_gid, 0);
	assert_int_equal(st.st_mtim.tv_sec, 1000);
	attrs_forget(&a, 7);            /* of a table that has nothing yet */
	attrs_release(&a);
}

static void parts_add_up(void **state)
{
	struct attrs a = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct stat st;

	(void)state;
	set_mode(&a, 1, S_ISUID | 0640);
	attrs_set(&a, 1, &(struct vol_attr){ .valid = ATTR_UID, .uid = 12, .gid = 99 });
	attrs_set(&a, 1, &(struct vol_attr){ .valid = ATTR_GID, .uid = 99, .gid = 13 });
	st = applied(&a, 1, 1000);
	assert_int_equal(st.st_mode, S_IFREG | 0640);
	assert_int_equal(st.st_uid, 12);
	assert_int_equal(st.st_gid, 13);
	assert_true(st.st_ctim.tv_sec >= time(NULL) - 10);
	st = applied(&a, 2, 1000);      /* another's stay as they are */
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	attrs_forget(&a, 1);
	st = applied(&a, 1, 1000);
	assert_int_equal(st.st_uid, 0);
	assert_int_equal(a.count, 0);
	attrs_release(&a);
}

static void times(void **state)
{
	struct attrs a = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct vol_attr v = { .valid = ATTR_ATIME | ATTR_MTIME };
	time_t now = time(NULL);
	struct stat st;

	(void)state;
	v.atime.tv_sec = 2000;
	v.mtime.tv_sec = 3000;
	attrs_set(&a, 1, &v);
	st = applied(&a, 1, 1000);
	assert_int_equal(st.st_atim.tv_sec, 2000);
	assert_int_equal(st.st_mtim.tv_sec, 3000);
	/* Written after that: the storage knows better. */
	st = applied(&a, 1, now + 100);
	assert_int_equal(st.st_mtim.tv_sec, now + 100);
	assert_int_equal(st.st_ctim.tv_sec, now + 100);
	v.atime.tv_nsec = UTIME_OMIT;
	v.mtime.tv_nsec = UTIME_NOW;
	attrs_set(&a, 1, &v);
	st = applied(&a, 1, 1000);
	assert_int_equal(st.st_atim.tv_sec, 2000);
	assert_true(st.st_mtim.tv_sec >= now);
	v = (struct vol_attr){ .valid = ATTR_MTIME, .mtime.tv_nsec = UTIME_OMIT };
	attrs_set(&a, 2, &v);           /* asks for nothing */
	st = applied(&a, 2, 1000);
	assert_int_equal(st.st_mtim.tv_sec, 1000);
	attrs_release(&a);
}

static uint64_t spread(uint64_t id)
{
	return id % 64 ? id : id << 32;
}

/* More than it holds: those set longest ago go, and the rest is found. */
static void bound(void **state)
{
	enum { EXTRA = 100 };
	struct attrs a = { .lock = PTHREAD_MUTEX_INITIALIZER };

	(void)state;
	/* Some that differ by a multiple of the table's size fall into one slot. */
	for (uint64_t id = 1; id <= ATTRS_MAX; id++)
		set_mode(&a, spread(id), 0400 + id % 8);
	assert_int_equal(a.count, ATTRS_MAX);
	set_mode(&a, 1, 0444);          /* the oldest, used again */
	for (uint64_t id = 1; id <= EXTRA; id++)
		set_mode(&a, (id << 40) + 1, 0222);
	assert_int_equal(a.count, ATTRS_MAX);
	assert_int_equal(applied(&a, 1, 0).st_mode, S_IFREG | 0444);
	assert_int_equal(applied(&a, 3, 0).st_mode, S_IFREG | 0600);
	assert_int_equal(applied(&a, spread(64), 0).st_mode, S_IFREG | 0600);
	for (uint64_t id = EXTRA + 2; id <= ATTRS_MAX; id++)
		assert_int_equal(applied(&a, spread(id), 0).st_mode,
				 S_IFREG | (0400 + id % 8));
	for (uint64_t id = 1; id <= EXTRA; id++)
		assert_int_equal(applied(&a, (id << 40) + 1, 0).st_mode, S_IFREG | 0222);
	/* One that is known takes no other's place. */
	set_mode(&a, 1, 0111);
	assert_int_equal(a.count, ATTRS_MAX);
	assert_int_equal(applied(&a, EXTRA + 2, 0).st_mode, S_IFREG | (0400 + (EXTRA + 2) % 8));
	attrs_release(&a);
	assert_int_equal(applied(&a, 1, 0).st_mode, S_IFREG | 0600);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(untouched_is_roots),
		cmocka_unit_test(parts_add_up),
		cmocka_unit_test(times),
		cmocka_unit_test(bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
