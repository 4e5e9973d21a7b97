/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * watch.c - unit tests of backends/watch.c: what a driver is told when files of
 * its directory come, go, grow and change names.
 *
 * Started by tests/run; prints TAP. Works in a directory of its own. What is told is
 * compared after a file that marks the end has been seen, since one thread tells all
 * in order; nothing depends on how fast it is.
 */
#include "../../backends/watch.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static char *base;
static int dir = -1;
static struct watch *w;
static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static struct buf told;
static unsigned marks;

static void changed(void *arg, enum vol_change what, const char *name, const char *to,
		    uint64_t size)
{
	struct buf *b = arg;

	pthread_mutex_lock(&mu);
	switch (what) {
	case VOL_CREATED: buf_addf(b, "+%s %llu\n", name, (unsigned long long)size); break;
	case VOL_DELETED: buf_addf(b, "-%s\n", name); break;
	case VOL_RENAMED: buf_addf(b, "%s>%s\n", name, to); break;
	case VOL_RESIZED: buf_addf(b, "=%s %llu\n", name, (unsigned long long)size); break;
	case VOL_LOST: buf_addf(b, "lost\n"); break;
	}
	pthread_mutex_unlock(&mu);
}

static bool has(const char *text)
{
	bool yes;

	pthread_mutex_lock(&mu);
	yes = told.data && strstr(told.data, text);
	pthread_mutex_unlock(&mu);
	return yes;
}

static void wait_for(const char *text)
{
	for (int i = 0; i < 3000 && !has(text); i++)
		usleep(10000);
	if (!has(text))
		fail_msg("not told in 30 s: '%s'; but: %s", text, told.data ? told.data : "");
}

static void file(const char *name, size_t size)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	close(fd);
}

/* All that was told, but sizes of files being made, which depend on who is faster. */
static char *all_told(void)
{
	char *text, name[32], line[64];

	snprintf(name, sizeof(name), "mark%u", ++marks);
	snprintf(line, sizeof(line), "+%s ", name);
	file(name, 0);
	wait_for(line);
	pthread_mutex_lock(&mu);
	*strstr(told.data, line) = 0;
	text = xstrdup(told.data);
	buf_release(&told);
	pthread_mutex_unlock(&mu);
	unlinkat(dir, name, 0);
	snprintf(line, sizeof(line), "-%s\n", name);
	wait_for(line);
	pthread_mutex_lock(&mu);
	buf_release(&told);
	pthread_mutex_unlock(&mu);
	return text;
}

#define assert_told(want) do { \
	_cleanup_free_ char *text_ = all_told(); \
	assert_string_equal(text_, want); \
} while (0)

static int begin(void **state)
{
	const char *tmp = getenv("TMPDIR");
	struct err e = {0};

	(void)state;
	base = xasprintf("%s/poolfs-unit-XXXXXX", tmp ? tmp : "/var/tmp");
	if (!mkdtemp(base))
		return -1;
	dir = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || watch_begin(dir, changed, &told, NULL, &w, &e)) {
		fprintf(stderr, "# %s\n", e.text);
		return -1;
	}
	return 0;
}

static int end(void **state)
{
	_cleanup_free_ char *command = xasprintf("rm -rf -- '%s'", base);

	(void)state;
	watch_free(w);
	w = NULL;
	close(dir);
	buf_release(&told);
	free(base);
	return system(command);
}

static void test_names(void **state)
{
	(void)state;
	assert_int_equal(symlinkat("abc", dir, "link"), 0);
	wait_for("+link 3\n");
	assert_int_equal(renameat(dir, "link", dir, "other"), 0);
	assert_int_equal(unlinkat(dir, "other", 0), 0);
	assert_told("+link 3\nlink>other\n-other\n");
}

static void test_outside(void **state)
{
	_cleanup_free_ char *in = xasprintf("%s/sub", base);
	int sub;

	(void)state;
	assert_int_equal(mkdir(in, 0700), 0);
	sub = open(in, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(sub >= 0);
	assert_int_equal(symlinkat("abcd", sub, "x"), 0);
	assert_told("");                        /* directories, and what is in them */
	assert_int_equal(renameat(sub, "x", dir, "y"), 0);
	wait_for("+y 4\n");
	assert_int_equal(renameat(dir, "y", sub, "z"), 0);
	wait_for("-y\n");                       /* no mark needed: half a rename ends by time */
	assert_told("+y 4\n-y\n");
	assert_int_equal(unlinkat(sub, "z", 0), 0);
	close(sub);
	assert_int_equal(rmdir(in), 0);
	assert_told("");
}

static void test_hidden(void **state)
{
	(void)state;
	file(".poolfs.clone-1", 5000);
	assert_int_equal(renameat(dir, ".poolfs.clone-1", dir, "v"), 0);
	assert_told("+v 5000\n");
	assert_int_equal(renameat(dir, "v", dir, ".poolfs.gone-1"), 0);
	assert_told("-v\n");
	assert_int_equal(unlinkat(dir, ".poolfs.gone-1", 0), 0);
	assert_int_equal(mkfifoat(dir, "fifo", 0600), 0);
	assert_told("");
	assert_int_equal(renameat(dir, "fifo", dir, "pipe"), 0);
	assert_int_equal(unlinkat(dir, "pipe", 0), 0);
	assert_told("");
}

static void test_replace(void **state)
{
	(void)state;
	assert_int_equal(symlinkat("a", dir, "a"), 0);
	assert_int_equal(symlinkat("bb", dir, "b"), 0);
	assert_told("+a 1\n+b 2\n");
	assert_int_equal(renameat(dir, "a", dir, "b"), 0);
	assert_told("a>b\n");
	assert_int_equal(symlinkat("ccc", dir, "c"), 0);
	assert_told("+c 3\n");
	/* Two places exchanged: nobody may think that one of them is gone. */
	assert_int_equal(renameat2(dir, "b", dir, "c", RENAME_EXCHANGE), 0);
	assert_told("b>c\nc>b\n+c 1\n");
	assert_int_equal(unlinkat(dir, "b", 0), 0);
	assert_int_equal(unlinkat(dir, "c", 0), 0);
	assert_told("-b\n-c\n");
}

/* There and back, and then a new one, all before the thread has looked: that is no
 * exchange, or at least tells of no file twice. */
static void test_there_and_back(void **state)
{
	(void)state;
	assert_int_equal(symlinkat("a", dir, "a"), 0);
	assert_told("+a 1\n");
	pthread_mutex_lock(&mu);                /* the thread waits as it tells */
	assert_int_equal(renameat(dir, "a", dir, "b"), 0);
	assert_int_equal(renameat(dir, "b", dir, "a"), 0);
	assert_int_equal(symlinkat("bb", dir, "b"), 0);
	pthread_mutex_unlock(&mu);
	assert_told("a>b\nb>a\n+b 2\n");
	assert_int_equal(unlinkat(dir, "b", 0), 0);
	assert_int_equal(symlinkat("bbb", dir, "b"), 0);
	assert_told("-b\n+b 3\n");
	assert_int_equal(unlinkat(dir, "a", 0), 0);
	assert_int_equal(unlinkat(dir, "b", 0), 0);
	assert_told("-a\n-b\n");
}

static void test_sizes(void **state)
{
	unsigned lines = 0;
	uint64_t begun;
	char *text;
	int fd;

	(void)state;
	fd = openat(dir, "v", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	begun = now_ms();
	for (int i = 0; i < 2000; i++) {
		assert_int_equal(write(fd, "0123456789", 10), 10);
		usleep(500);
	}
	wait_for("=v 20000\n");                 /* while it stays open */
	begun = now_ms() - begun;
	text = all_told();
	for (char *c = text; *c; c++)
		lines += *c == '\n';
	assert_in_range(lines, 2, 4 + begun / 200);
	free(text);
	/* The same bytes again: no other size. */
	assert_int_equal(pwrite(fd, "x", 1, 0), 1);
	close(fd);
	fd = openat(dir, "v", O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "x", 1, 0), 1);
	close(fd);
	usleep(600000);
	assert_told("");
	assert_int_equal(renameat(dir, "v", dir, "w"), 0);
	fd = openat(dir, "w", O_WRONLY | O_TRUNC | O_CLOEXEC);
	close(fd);
	wait_for("=w 0\n");
	assert_int_equal(unlinkat(dir, "w", 0), 0);
	assert_told("v>w\n=w 0\n-w\n");
}

/* While one is written without pause, the directory is watched without IN_MODIFY:
 * what happens to another then is found all the same, though it stays open. */
static void test_two_writers(void **state)
{
	int a, b;

	(void)state;
	watch_free(w);                          /* a: with sizes that nobody was told */
	file("a", 4096);
	file("b", 100);
	struct err e = {0};
	assert_int_equal(watch_begin(dir, changed, &told, NULL, &w, &e), 0);
	a = openat(dir, "a", O_WRONLY | O_CLOEXEC);
	b = openat(dir, "b", O_WRONLY | O_CLOEXEC);
	for (int i = 0; i < 300; i++) {
		assert_int_equal(pwrite(a, "x", 1, i), 1);
		if (i == 150)
			assert_int_equal(ftruncate(b, 777), 0);
		usleep(2000);
	}
	wait_for("=b 777\n");
	close(a);
	close(b);
	assert_int_equal(unlinkat(dir, "a", 0), 0);
	assert_int_equal(unlinkat(dir, "b", 0), 0);
	char *text = all_told();

	assert_null(strstr(text, "=b 100"));
	free(text);
}

static void test_again(void **state)
{
	_cleanup_free_ char *moved = xasprintf("%s-moved", base);
	int fd;

	(void)state;
	assert_int_equal(rename(base, moved), 0);
	wait_for("lost\n");
	assert_told("lost\n");                  /* still the same directory */
	assert_int_equal(mkdir(base, 0700), 0);
	fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0 && dup3(fd, dir, O_CLOEXEC) >= 0);
	close(fd);
	watch_again(w, dir);
	assert_told("lost\n");                  /* the mark is in the new one */
	assert_int_equal(rmdir(moved), 0);
}

/* Ends while changes come, and none after that. */
static void test_end(void **state)
{
	size_t before;

	(void)state;
	for (int i = 0; i < 500; i++) {
		char name[32];

		snprintf(name, sizeof(name), "e%d", i);
		file(name, 0);
	}
	watch_end(w);
	pthread_mutex_lock(&mu);
	before = told.len;
	pthread_mutex_unlock(&mu);
	file("after", 0);
	usleep(300000);
	pthread_mutex_lock(&mu);
	assert_int_equal(told.len, before);
	buf_release(&told);
	pthread_mutex_unlock(&mu);
	watch_end(w);
	watch_free(w);
	w = NULL;
}

static void test_refused(void **state)
{
	struct err e = {0};
	struct watch *other;

	(void)state;
	assert_int_equal(watch_begin(dir, changed, &told, NULL, &w, &e), 0);
	assert_int_equal(watch_begin(dir, changed, &told, NULL, &other, &e), -EBUSY);
	file("one", 0);
	wait_for("+one 0\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_outside),
		cmocka_unit_test(test_hidden),
		cmocka_unit_test(test_replace),
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_two_writers),
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_end),
		cmocka_unit_test(test_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("watch", tests, begin, end);
}
