/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * log.c - unit tests of control/log.c: the ring, what goes to stderr, names of
 * errno values, and the reasons kept for users.
 *
 * Started by tests/run; prints TAP. Its stderr goes to a file of its own.
 */
#include "../../control/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static FILE *captured;

static int capture(void **state)
{
	(void)state;
	captured = tmpfile();
	return !captured || dup2(fileno(captured), STDERR_FILENO) < 0;
}

static char *stderr_text(void)
{
	static char text[65536];
	ssize_t len = pread(fileno(captured), text, sizeof text - 1, 0);

	assert_true(len >= 0);
	text[len] = '\0';
	return text;
}

static size_t count_lines(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

static void lines(void **state)
{
	struct buf out = {0};
	const char *err;

	(void)state;
	log_open(LOG_TO_STDERR, false);
	log_line("images", "start", EIO, "cannot start: \x1b[31mred\x1b[0m\nsecond \xc2\x9bx \xc3\xa9");
	log_line(NULL, "", 0, "ready");
	log_line(NULL, NULL, 0, "ready");
	log_line(NULL, NULL, 0, "ready");
	log_line("a", NULL, 0, "ready");
	log_debug("not shown %d", 1);
	log_show(&out);
	assert_int_equal(count_lines(out.data), 3);
	/* 2026-01-02T03:04:05Z */
	assert_int_equal(out.data[4], '-');
	assert_int_equal(out.data[10], 'T');
	assert_memory_equal(out.data + 19, "Z images start EIO cannot start: ?[31mred?[0m?second "
			    "??x \xc3\xa9\n", strlen("Z images start EIO cannot start: ?[31mred?[0m?"
						     "second ??x \xc3\xa9\n"));
	assert_non_null(strstr(out.data, "Z ready (3 times, last 2"));
	err = stderr_text();
	assert_int_equal(count_lines(err), 4);
	assert_non_null(strstr(err, "the line before came 3 times\n"));
	assert_null(strstr(err, "not shown"));
	log_open(LOG_TO_STDERR, true);
	log_debug("shown %d", 2);
	assert_non_null(strstr(stderr_text(), "Z shown 2\n"));
	buf_release(&out);
}

static void ring(void **state)
{
	struct buf out = {0};
	char text[2000];

	(void)state;
	for (int i = 0; i < 2500; i++) {
		snprintf(text, sizeof text, "line %d", i);
		log_line(NULL, NULL, 0, text);
	}
	log_show(&out);
	assert_int_equal(count_lines(out.data), 1000);
	assert_null(strstr(out.data, " line 1499\n"));
	assert_non_null(strstr(out.data, " line 1500\n"));
	assert_non_null(strstr(out.data, " line 2499\n"));
	buf_release(&out);
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	log_line(text, text, EINVAL, text);
	log_show(&out);
	assert_int_equal(count_lines(out.data), 1000);
	buf_release(&out);
}

static void names(void **state)
{
	(void)state;
	assert_string_equal(errno_name(EINVAL), "EINVAL");
	assert_string_equal(errno_name(EOPNOTSUPP), "EOPNOTSUPP");
	assert_string_equal(errno_name(EAGAIN), "EAGAIN");
	assert_string_equal(errno_name(9999), "E9999");
}

static const char *reason_of(uid_t uid)
{
	static char text[1024];
	struct buf out = {0};

	reason_show(uid, &out);
	snprintf(text, sizeof text, "%s", out.data);
	buf_release(&out);
	return text;
}

static void reasons(void **state)
{
	char text[4000];

	(void)state;
	assert_string_equal(reason_of(0), "");
	reason_set(0, "no\nroom");
	reason_set(1000, "other");
	assert_string_equal(reason_of(0), "no?room\n");
	assert_string_equal(reason_of(1000), "other\n");
	reason_set(0, "");
	assert_string_equal(reason_of(0), "");
	for (uid_t uid = 1; uid <= 1000; uid++) {
		snprintf(text, sizeof text, "of %u", uid);
		reason_set(uid, text);
		reason_set(0, "kept");          /* used all the time */
	}
	assert_string_equal(reason_of(0), "kept\n");
	assert_string_equal(reason_of(1000), "of 1000\n");
	assert_string_equal(reason_of(746), "of 746\n");
	assert_string_equal(reason_of(745), "");
	memset(text, 'y', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	reason_set(7, text);
	assert_int_equal(strlen(reason_of(7)), 512);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines), cmocka_unit_test(ring), cmocka_unit_test(names),
		cmocka_unit_test(reasons),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("log", tests, capture, NULL);
}
