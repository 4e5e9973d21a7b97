/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qemulock.c - unit test of backends/qemulock.c: what a QEMU in another
 * process holds, what the asker's own handle holds, what others hold.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../../backends/qemulock.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char path[4096];

static int setup(void **state)
{
	const char *dir = getenv("TMPDIR");
	int fd;

	(void)state;
	snprintf(path, sizeof path, "%s/poolfs-unit-XXXXXX", dir && *dir ? dir : "/var/tmp");
	fd = mkstemp(path);
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return unlink(path);
}

static int lock_bytes(int fd, int cmd, short type, off_t start, off_t len)
{
	struct flock lk = {
		.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len,
	};

	return fcntl(fd, cmd, &lk);
}

/* A child that holds a lock; ends when `end` is closed. */
static pid_t holder(int cmd, short type, off_t start, off_t len, int *end)
{
	int ready[2], stop[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	assert_int_equal(pipe2(stop, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int fd = open(path, O_RDWR);

		close(stop[1]);
		if (fd < 0 || lock_bytes(fd, cmd, type, start, len) < 0)
			_exit(1);
		(void)!write(ready[1], "x", 1);
		(void)!read(stop[0], &c, 1);
		_exit(0);
	}
	close(ready[1]);
	close(stop[0]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	*end = stop[1];
	return pid;
}

static int probe(struct err *e)
{
	e->code = 0;
	e->text[0] = '\0';
	return qemulock_check_at(AT_FDCWD, path, e);
}

static void expect_busy(int cmd, short type, off_t byte)
{
	char number[32];
	struct err e;
	int end;
	pid_t pid = holder(cmd, type, byte, 1, &end);

	assert_int_equal(probe(&e), -EBUSY);
	assert_int_equal(e.code, EBUSY);
	snprintf(number, sizeof number, "process %d ", (int)pid);
	if (access("/proc/self/fdinfo", R_OK) == 0 && !strstr(e.text, number))
		fail_msg("'%s' does not name %s", e.text, number);
	close(end);
	waitpid(pid, NULL, 0);
	assert_int_equal(probe(&e), 0);
}

static void held_elsewhere(void **state)
{
	(void)state;
	expect_busy(F_OFD_SETLK, F_RDLCK, 100);
	expect_busy(F_OFD_SETLK, F_RDLCK, 203);
	expect_busy(F_OFD_SETLK, F_RDLCK, 299);
	expect_busy(F_OFD_SETLK, F_WRLCK, 201);
	expect_busy(F_SETLK, F_RDLCK, 101);     /* a QEMU without OFD locks */
}

static void held_by_others(void **state)
{
	struct err e;
	pid_t pid;
	int end;

	(void)state;
	assert_int_equal(probe(&e), 0);
	pid = holder(F_SETLK, F_WRLCK, 0, 0, &end);     /* the whole file */
	assert_int_equal(probe(&e), 0);
	close(end);
	waitpid(pid, NULL, 0);
	pid = holder(F_OFD_SETLK, F_WRLCK, 0, 100, &end);
	assert_int_equal(probe(&e), 0);
	close(end);
	waitpid(pid, NULL, 0);
	pid = holder(F_OFD_SETLK, F_WRLCK, 300, 100, &end);
	assert_int_equal(probe(&e), 0);
	close(end);
	waitpid(pid, NULL, 0);
}

/* qemu-img through the mount holds its locks on the very descriptor that then
 * shrinks the file. */
static void held_by_the_asker(void **state)
{
	int fd = open(path, O_RDWR), other = open(path, O_RDONLY), copy = dup(fd);
	struct err e;

	(void)state;
	assert_int_equal(lock_bytes(fd, F_OFD_SETLK, F_RDLCK, 100, 2), 0);
	assert_int_equal(lock_bytes(fd, F_OFD_SETLK, F_RDLCK, 201, 1), 0);
	assert_int_equal(qemulock_check(fd, &e), 0);
	assert_int_equal(qemulock_check(copy, &e), 0);
	assert_int_equal(qemulock_check(other, &e), -EBUSY);
	assert_non_null(strstr(e.text, "through this mount"));
	assert_int_equal(probe(&e), -EBUSY);
	/* The probe's own close has dropped nothing. */
	assert_int_equal(probe(&e), -EBUSY);
	close(copy);
	close(fd);
	assert_int_equal(qemulock_check(other, &e), 0);
	close(other);
}

static void no_file(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(qemulock_check_at(AT_FDCWD, "/nonexistent/x", &e), 0);
	assert_int_equal(qemulock_check_at(AT_FDCWD, "/dev/null", &e), 0);
	assert_int_equal(qemulock_check_at(AT_FDCWD, "/", &e), 0);
}

/* The real thing, where it is installed. */
static void a_real_qemu(void **state)
{
	int in[2], out[2];
	struct err e;
	char text[64];
	pid_t pid;
	ssize_t n;

	(void)state;
	assert_int_equal(truncate(path, 1 << 20), 0);
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		execlp("qemu-io", "qemu-io", "-f", "raw", path, (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	n = read(out[0], text, sizeof text);    /* its prompt: the file is open */
	if (n > 0) {
		assert_int_equal(probe(&e), -EBUSY);
		assert_non_null(strstr(e.text, "qemu"));
	}
	close(in[1]);
	close(out[0]);
	waitpid(pid, NULL, 0);
	assert_int_equal(probe(&e), 0);
	if (n <= 0)
		skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(held_elsewhere),
		cmocka_unit_test(held_by_others),
		cmocka_unit_test(held_by_the_asker),
		cmocka_unit_test(no_file),
		cmocka_unit_test(a_real_qemu),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
