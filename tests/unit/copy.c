/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * copy.c - unit test of backends/copy.c: bytes equal, holes kept, bounded.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../../backends/copy.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { MIB = 1 << 20 };

static int temp_file(const char *dir)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof path, "%s/poolfs-unit-XXXXXX", dir);
	fd = mkstemp(path);
	assert_true(fd >= 0);
	unlink(path);
	return fd;
}

static const char *temp_dir(void)
{
	const char *dir = getenv("TMPDIR");

	return dir && *dir ? dir : "/var/tmp";
}

static void put(int fd, char c, size_t len, off_t off)
{
	char *data = malloc(len);

	memset(data, c, len);
	assert_int_equal(pwrite(fd, data, len, off), len);
	free(data);
}

static char *slurp(int fd, size_t *len)
{
	struct stat st;
	char *data;

	assert_int_equal(fstat(fd, &st), 0);
	*len = st.st_size;
	data = malloc(*len + 1);
	assert_int_equal(pread(fd, data, *len, 0), *len);
	return data;
}

static uint64_t blocks(int fd)
{
	struct stat st;

	fsync(fd);      /* delayed allocation counts late */
	assert_int_equal(fstat(fd, &st), 0);
	return st.st_blocks;
}

static void assert_same(int a, int b)
{
	size_t la, lb;
	char *da = slurp(a, &la), *db = slurp(b, &lb);

	assert_int_equal(la, lb);
	assert_int_equal(memcmp(da, db, la), 0);
	free(da);
	free(db);
}

static void clone_keeps_holes(void **state)
{
	int from = temp_file(temp_dir()), to = temp_file(temp_dir());
	struct progress pr = {0};
	struct err e = {0};

	(void)state;
	put(from, 'a', MIB, 0);
	put(from, 'b', 5000, 100 * MIB + 123);
	assert_int_equal(ftruncate(from, 200 * MIB + 777), 0);
	assert_int_equal(copy_file(from, to, &pr, &e), 0);
	assert_same(from, to);
	assert_true(blocks(to) <= blocks(from) + 64);
	assert_int_equal(pr.total, 200 * MIB + 777);
	assert_int_equal(pr.done, pr.total);
	close(from);
	close(to);
}

/* Also where copy_file_range does not reach: another file system. */
static void clone_across(void **state)
{
	int from = temp_file(temp_dir()), to;
	struct progress pr = {0};
	struct err e = {0};

	(void)state;
	if (access("/dev/shm", W_OK) < 0)
		skip();
	to = temp_file("/dev/shm");
	put(from, 'x', 3 * MIB + 17, 4096);
	put(from, 'y', 10, 30 * MIB);
	assert_int_equal(copy_file(from, to, &pr, &e), 0);
	assert_same(from, to);
	assert_true(blocks(to) < 8 * MIB / 512);
	assert_int_equal(ftruncate(to, 0), 0);
	assert_int_equal(copy_range(from, 0, to, 0, 64 * MIB, &e), 30 * MIB + 10);
	assert_same(from, to);
	close(from);
	close(to);
}

static void clone_cancelled(void **state)
{
	int from = temp_file("/dev/shm"), to = temp_file(temp_dir());
	struct progress pr = { .cancel = true };
	struct err e = {0};

	(void)state;
	put(from, 'a', MIB, 0);
	assert_int_equal(copy_file(from, to, &pr, &e), -ECANCELED);
	assert_int_equal(e.code, ECANCELED);
	close(from);
	close(to);
}

static void empty_source(void **state)
{
	int from = temp_file(temp_dir()), to = temp_file(temp_dir());
	struct progress pr = {0};
	struct err e = {0};

	(void)state;
	assert_int_equal(copy_file(from, to, &pr, &e), 0);
	assert_int_equal(copy_range(from, 0, to, 0, 4096, &e), 0);
	put(from, 'a', 10, 0);
	assert_int_equal(copy_range(from, 10, to, 0, 4096, &e), 0);
	assert_int_equal(copy_range(from, 500, to, 0, 4096, &e), 0);
	assert_int_equal(copy_range(from, 4, to, 3, 4096, &e), 6);
	close(from);
	close(to);
}

/* Holes of the source are punched into old data of the target. */
static void range_punches(void **state)
{
	int from = temp_file(temp_dir()), to = temp_file(temp_dir());
	struct err e = {0};
	size_t len;
	char *data;

	(void)state;
	put(from, 'a', MIB, 0);
	put(from, 'b', MIB, 9 * MIB);
	assert_int_equal(ftruncate(from, 12 * MIB), 0);
	put(to, 'z', 20 * MIB, 0);
	assert_int_equal(copy_range(from, 0, to, 4 * MIB, 12 * MIB, &e), 12 * MIB);
	data = slurp(to, &len);
	assert_int_equal(len, 20 * MIB);
	for (size_t i = 0; i < len; i++) {
		char want = i < 4 * MIB || i >= 16 * MIB ? 'z' : i < 5 * MIB ? 'a' :
			    i >= 13 * MIB && i < 14 * MIB ? 'b' : 0;

		if (data[i] != want)
			fail_msg("byte %zu is '%c', not '%c'", i, data[i], want);
	}
	free(data);
	assert_true(blocks(to) <= 10 * MIB / 512 + 64);
	close(from);
	close(to);
}

/* The hole at the end of a window makes the target longer, at no cost. */
static void range_extends(void **state)
{
	int from = temp_file(temp_dir()), to = temp_file(temp_dir());
	struct err e = {0};

	(void)state;
	put(from, 'a', 100, 0);
	assert_int_equal(ftruncate(from, 1000 * MIB + 5), 0);
	/* 64 MiB bounds data; holes are done in one go. */
	assert_int_equal(copy_range(from, 0, to, 0, 2000u * MIB, &e), 1000 * MIB + 5);
	assert_same(from, to);
	assert_true(blocks(to) <= 64);
	assert_int_equal(ftruncate(to, 0), 0);
	assert_int_equal(copy_range(from, 8192, to, 8192, 4096, &e), 4096);
	assert_int_equal(lseek(to, 0, SEEK_END), 12288);
	assert_true(blocks(to) <= 16);
	close(from);
	close(to);
}

static void range_bounded(void **state)
{
	int from = temp_file(temp_dir()), to = temp_file(temp_dir());
	struct err e = {0};
	uint64_t at = 0;
	ssize_t n;

	(void)state;
	for (int i = 0; i < 70; i++)
		put(from, 'a' + i % 26, MIB, (off_t)i * MIB);
	n = copy_range(from, 0, to, 0, 70 * MIB, &e);
	/* All of it where the file system shares blocks. */
	assert_true(n == COPY_CALL_MAX || n == 70 * MIB);
	for (at = n; at < 70 * MIB; at += n) {
		n = copy_range(from, at, to, at, 70 * MIB - at, &e);
		assert_true(n > 0);
	}
	assert_same(from, to);
	close(from);
	close(to);
}

static void range_of_one_file(void **state)
{
	int fd = temp_file(temp_dir());
	struct err e = {0};
	char got[6] = "";

	(void)state;
	assert_int_equal(pwrite(fd, "abcdef", 6, 0), 6);
	assert_int_equal(copy_range(fd, 0, fd, 3, 4, &e), -EINVAL);
	assert_true(strlen(e.text) > 0);
	assert_int_equal(copy_range(fd, 0, fd, 3, 3, &e), 3);
	assert_int_equal(pread(fd, got, 6, 0), 6);
	assert_memory_equal(got, "abcabc", 6);
	close(fd);
}

/* Random windows against a copy in memory. */
static void range_random(void **state)
{
	enum { SIZE = 1 << 18 };
	int from = temp_file(temp_dir()), to = temp_file(temp_dir());
	char *src = calloc(1, SIZE), *dst = calloc(1, 2 * SIZE), *got;
	size_t dst_len = 0, len;
	struct err e = {0};

	(void)state;
	srandom(7);
	for (int i = 0; i < 12; i++) {
		size_t off = random() % (SIZE - 20000), n = random() % 20000;

		memset(src + off, 'A' + i, n);
		assert_int_equal(pwrite(from, src + off, n, off), n);
	}
	assert_int_equal(ftruncate(from, SIZE), 0);
	for (int i = 0; i < 400; i++) {
		size_t a = random() % SIZE, b = random() % SIZE, n = random() % 50000;
		size_t want = n < SIZE - a ? n : SIZE - a;

		if (random() % 2)
			a &= ~4095u, b &= ~4095u, want = n < SIZE - a ? n : SIZE - a;
		assert_int_equal(copy_range(from, a, to, b, n, &e), want);
		memcpy(dst + b, src + a, want);
		if (want && b + want > dst_len)
			dst_len = b + want;
	}
	got = slurp(to, &len);
	assert_int_equal(len, dst_len);
	assert_int_equal(memcmp(got, dst, len), 0);
	free(src);
	free(dst);
	free(got);
	close(from);
	close(to);
}

static void errors_reported(void **state)
{
	int from = temp_file(temp_dir()), to = open("/dev/null", O_RDONLY);
	struct progress pr = {0};
	struct err e = {0};

	(void)state;
	put(from, 'a', 4096, 0);
	assert_true(copy_range(from, 0, to, 0, 4096, &e) < 0);
	assert_true(e.code > 0 && e.text[0]);
	assert_true(copy_file(from, to, &pr, &e) < 0);
	assert_int_equal(copy_range(from, 0, -1, 0, 10, &e), -EBADF);
	close(from);
	close(to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clone_keeps_holes),
		cmocka_unit_test(clone_across),
		cmocka_unit_test(clone_cancelled),
		cmocka_unit_test(empty_source),
		cmocka_unit_test(range_punches),
		cmocka_unit_test(range_extends),
		cmocka_unit_test(range_bounded),
		cmocka_unit_test(range_of_one_file),
		cmocka_unit_test(range_random),
		cmocka_unit_test(errors_reported),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
