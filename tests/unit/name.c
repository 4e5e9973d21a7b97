/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * name.c - unit test of name_check() and of the sentences of err.c.
 */
#include "../../backends/backend.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void expect(enum name_of of, const char *name, int code)
{
	struct err e = {0};
	int rc = name_check(of, name, &e);

	if (rc != -code)
		fail_msg("name '%s': %d, not %d (%s)", name, rc, -code, e.text);
	if (rc < 0) {
		assert_int_equal(e.code, code);
		assert_true(strlen(e.text) > 0);
		assert_null(strchr(e.text, '\n'));
	}
}

static char *long_name(size_t len)
{
	static char name[1024];

	memset(name, 'a', len);
	name[len] = '\0';
	return name;
}

static void both_refuse(void **state)
{
	static const char *const bad[] = {
		"", ".", "..", "/", "a/b", "/a", "a/", "a\nb", "\x01", "a\x7f", "\t",
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		expect(NAME_POOL, bad[i], EINVAL);
		expect(NAME_VOLUME, bad[i], EINVAL);
	}
	expect(NAME_POOL, long_name(300), ENAMETOOLONG);
	expect(NAME_VOLUME, long_name(300), ENAMETOOLONG);
}

static void pools(void **state)
{
	static const char *const good[] = {
		"default", "a b", "a.xml.b", "Größe", "日本", "\xf0\x9f\x98\x80", "a-", "x,y:z%",
		"controls", "Control", " a", "\xef\xbf\xbd",
	};
	static const char *const bad[] = {
		"control", ".a", ".Trash-0", "-rf", " ", "   ", "\xff", "a\xc3", "\xc0\x80",
		"\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe0\x80\x80", "\xef\xbf\xbe", "\x80",
		"\xf0\x80\x80\x80", "\xe2\x82", "a.xml", "a.xml.xml",
	};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		expect(NAME_POOL, good[i], 0);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		expect(NAME_POOL, bad[i], EINVAL);
	expect(NAME_POOL, long_name(245), 0);
	expect(NAME_POOL, long_name(246), ENAMETOOLONG);
}

static void volumes(void **state)
{
	static const char *const good[] = {
		"a.img", "-rf", ".hidden", ".pools", ".poolfs", "control", " ", "\xff\xfe",
		"a,b:c", "...",
	};
	static const char *const bad[] = {
		".pool", ".snap", ".raw", ".poolfs.", ".poolfs.clone-1",
	};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		expect(NAME_VOLUME, good[i], 0);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		expect(NAME_VOLUME, bad[i], EINVAL);
	expect(NAME_VOLUME, long_name(255), 0);
	expect(NAME_VOLUME, long_name(256), ENAMETOOLONG);
}

static void sentences(void **state)
{
	struct err e = {0};

	(void)state;
	assert_int_equal(err_set(&e, EBUSY, "'%s' is busy", "a\nb\x7f"), -EBUSY);
	assert_string_equal(e.text, "'a?b?' is busy");
	assert_int_equal(err_wrap(&e, "cannot remove '%s'", "x"), -EBUSY);
	assert_string_equal(e.text, "cannot remove 'x': 'a?b?' is busy");
	errno = ENOSPC;
	assert_int_equal(err_sys(&e, "cannot write"), -ENOSPC);
	assert_int_equal(e.code, ENOSPC);
	assert_string_equal(e.text, "cannot write: No space left on device");
	/* The old text as an argument of the new one. */
	err_set(&e, EIO, "again: %s", e.text);
	assert_string_equal(e.text, "again: cannot write: No space left on device");
	err_set(&e, EIO, "%s", long_name(1000));
	assert_int_equal(strlen(e.text), sizeof e.text - 1);
	err_wrap(&e, "%s", long_name(1000));
	assert_int_equal(strlen(e.text), sizeof e.text - 1);
}

static void texts(void **state)
{
	struct buf b = {0};

	(void)state;
	buf_add(&b, "", 0);
	assert_string_equal(b.data, "");
	for (int i = 0; i < 1000; i++)
		buf_addf(&b, "%d ", i);
	buf_add(&b, "end", 3);
	assert_int_equal(b.len, strlen(b.data));
	assert_int_equal(b.len, 10 * 2 + 90 * 3 + 900 * 4 + 3);
	assert_string_equal(b.data + b.len - 7, "999 end");
	buf_release(&b);
	assert_null(b.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_refuse),
		cmocka_unit_test(pools),
		cmocka_unit_test(volumes),
		cmocka_unit_test(sentences),
		cmocka_unit_test(texts),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
