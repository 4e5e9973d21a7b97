/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * command.c - unit tests of backends/command.c: what a program is given, what
 * its end means, and that none outlives its time.
 *
 * Started by tests/run; prints TAP. The programs are sh and what it runs; that
 * they get no shell from command.c itself is one of the tests.
 */
#include "../../backends/command.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static struct err e;
static struct buf out;

static int run(struct command c, const char *const *argv)
{
	c.argv = argv;
	c.out = &out;
	out.len = 0;
	buf_add(&out, "", 0);
	e = (struct err){ 0 };
	return command_run(&c, &e);
}
#define SH(text) (const char *const[]){ "sh", "-c", text, NULL }
#define WITH(...) (struct command){ __VA_ARGS__ }
#define PLAIN WITH(.timeout_ms = 0)

static int clean(void **state)
{
	(void)state;
	buf_release(&out);
	return 0;
}

static void what_it_gets(void **state)
{
	int leak = open("/dev/null", O_RDONLY); /* not close-on-exec */
	sigset_t set, old;

	(void)state;
	assert_true(leak >= 0);
	setenv("SECRET", "x", 1);
	assert_int_equal(run(PLAIN, (const char *const[]){ "env", NULL }), 0);
	assert_string_equal(out.data, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:"
			    "/bin\nLC_ALL=C\n");
	/* arguments as they are: nothing is expanded or split */
	assert_int_equal(run(PLAIN, (const char *const[]){ "printf", "%s|", "a b", "$HOME;`id`", "*",
			     "", NULL }), 0);
	assert_string_equal(out.data, "a b|$HOME;`id`|*||");
	assert_int_equal(run(PLAIN, SH("pwd; readlink /proc/self/fd/0; cat; ls /proc/self/fd | wc -l")), 0);
	/* 0, 1, 2, and the one by which ls reads the directory */
	assert_string_equal(out.data, "/\n/dev/null\n4\n");
	close(leak);
	/* default signals, none blocked, and a group of its own */
	sigfillset(&set);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(run(PLAIN, SH("grep -E '^Sig(Blk|Ign)' /proc/self/status | tr -d '\\t\\n'")), 0);
	signal(SIGPIPE, SIG_DFL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	assert_non_null(strstr(out.data, "SigBlk:0000000000000000SigIgn:"));
	/* glibc ignores two of its own, 32 and 33 */
	assert_int_equal(strtoull(strstr(out.data, "SigIgn:") + 7, NULL, 16) & 0x7fffffff, 0);
	assert_int_equal(run(PLAIN, SH("read -r a b c d pgrp rest </proc/self/stat; [ $pgrp = $$ ] && echo own")), 0);
	assert_string_equal(out.data, "own\n");
}

static void how_it_ends(void **state)
{
	int status = -1;

	(void)state;
	assert_int_equal(run(PLAIN, SH("echo out; echo err >&2")), 0);
	assert_string_equal(out.data, "out\n");
	assert_int_equal(run(PLAIN, SH("exit 3")), -EIO);
	assert_string_equal(e.text, "sh failed with exit code 3 and said nothing");
	assert_int_equal(run(PLAIN, SH("printf '\\n \\n  one thing. \\nand more\\n' >&2; exit 1")), -EIO);
	assert_string_equal(e.text, "sh: one thing");
	assert_int_equal(run(PLAIN, SH("echo 'sh: no such pool' >&2; exit 1")), -EIO);
	assert_string_equal(e.text, "sh: no such pool");
	assert_int_equal(run(PLAIN, SH("echo 'bad\\033[1m' >&2; exit 1")), -EIO);
	assert_string_equal(e.text, "sh: bad?[1m");
	assert_int_equal(run(PLAIN, SH("echo reason >&2; kill -SEGV $$")), -EIO);
	assert_non_null(strstr(e.text, "sh died by signal 11"));
	assert_non_null(strstr(e.text, "reason"));
	/* a code that the caller wants to see is no failure; a signal is one */
	assert_int_equal(run(WITH(.status = &status), SH("exit 21")), 0);
	assert_int_equal(status, 21);
	assert_int_equal(run(WITH(.status = &status), SH("kill -KILL $$")), -EIO);
	assert_int_equal(run(PLAIN, (const char *const[]){ "no-such-program", NULL }), -EOPNOTSUPP);
	assert_string_equal(e.text, "the program 'no-such-program' is missing; install it");
	assert_true(command_found("sh"));
	assert_false(command_found("no-such-program"));
	assert_false(command_found("."));
}

static void much_output(void **state)
{
	(void)state;
	/* more than the pipes hold, on both at once */
	assert_int_equal(run(PLAIN, SH("head -c 3000000 /dev/zero | tr '\\0' e >&2 & "
				       "head -c 3000000 /dev/zero | tr '\\0' o; wait")), 0);
	assert_int_equal(out.len, 3000000);
	assert_int_equal(out.data[2999999], 'o');
	assert_int_equal(run(PLAIN, SH("head -c 20000000 /dev/zero")), -EIO);
	assert_non_null(strstr(e.text, "printed more than"));
	assert_true(out.len <= COMMAND_OUT_MAX);
}

/* The pid that the shell wrote: does that process run? Its new parent may take
 * its time to look at a dead one. */
static bool runs(const char *text)
{
	char path[64], line[64] = "";
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/stat", atoi(text));
	f = fopen(path, "r");
	if (!f)
		return false;
	(void)!fgets(line, sizeof line, f);
	fclose(f);
	return line[0] && !strstr(line, ") Z ");
}

static bool gone_soon(const char *pid)
{
	for (int i = 0; i < 200 && runs(pid); i++)
		usleep(50000);
	return !runs(pid);
}

static void deadlines(void **state)
{
	uint64_t begin = now_ms();

	(void)state;
	assert_int_equal(run(WITH(.timeout_ms = 300), SH("sleep 1000 & echo $!; echo why >&2; wait")),
			 -ETIMEDOUT);
	assert_non_null(strstr(e.text, "sh has not ended within 1 seconds and was killed: why"));
	assert_true(now_ms() - begin >= 300);
	assert_true(now_ms() - begin < 20000);
	assert_true(gone_soon(out.data));       /* the whole group */
	/* one that does not want to end */
	assert_int_equal(run(WITH(.timeout_ms = 100), SH("trap '' TERM; sleep 1000 & echo $!; wait; wait")),
			 -ETIMEDOUT);
	assert_true(gone_soon(out.data));
	/* asked to end first, so that it can undo its work */
	assert_int_equal(run(WITH(.timeout_ms = 500), SH("trap 'echo undone; exit 0' TERM; sleep 1000 & wait")),
			 -ETIMEDOUT);
	assert_string_equal(out.data, "undone\n");
}

static void left_behind(void **state)
{
	uint64_t begin = now_ms();
	char pid[16];

	(void)state;
	/* it holds the pipes, and is not waited for */
	assert_int_equal(run(PLAIN, SH("sleep 1000 & echo $!")), 0);
	assert_true(now_ms() - begin < 20000);
	assert_true(runs(out.data));
	snprintf(pid, sizeof pid, "%d", atoi(out.data));
	kill((pid_t)atoi(pid), SIGKILL);
	assert_true(gone_soon(pid));
}

static void *cancel_later(void *arg)
{
	usleep(300000);
	atomic_store((atomic_bool *)arg, true);
	return NULL;
}

static void cancels(void **state)
{
	struct progress pr = { 0 };
	pthread_t t;

	(void)state;
	assert_int_equal(run(WITH(.progress = &pr), SH("echo fine")), 0);
	assert_int_equal(pthread_create(&t, NULL, cancel_later, &pr.cancel), 0);
	assert_int_equal(run(WITH(.progress = &pr), SH("sleep 1000 & echo $!; wait")), -ECANCELED);
	pthread_join(t, NULL);
	assert_true(gone_soon(out.data));
}

struct many {
	pthread_t thread;
	int failures;
};

static void *run_many(void *arg)
{
	struct many *m = arg;

	for (int i = 0; i < 20; i++) {
		struct buf mine = { 0 };
		struct err err = { 0 };
		char text[32], *argv[] = { "echo", text, NULL };

		snprintf(text, sizeof text, "%p %d", arg, i);
		if (command_run(&(struct command){ .argv = (const char *const *)argv, .out = &mine },
				&err) < 0 || mine.len != strlen(text) + 1 ||
		    strncmp(mine.data, text, strlen(text)))
			m->failures++;
		buf_release(&mine);
	}
	return NULL;
}

static void side_by_side(void **state)
{
	struct many m[8] = { 0 };

	(void)state;
	for (int i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&m[i].thread, NULL, run_many, &m[i]), 0);
	for (int i = 0; i < 8; i++) {
		pthread_join(m[i].thread, NULL);
		assert_int_equal(m[i].failures, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(what_it_gets, clean), cmocka_unit_test_teardown(how_it_ends, clean),
		cmocka_unit_test_teardown(much_output, clean), cmocka_unit_test_teardown(deadlines, clean),
		cmocka_unit_test_teardown(left_behind, clean), cmocka_unit_test_teardown(cancels, clean),
		cmocka_unit_test_teardown(side_by_side, clean),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("command", tests, NULL, NULL);
}
