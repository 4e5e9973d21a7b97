/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * verbs.c - unit tests of control/verbs.c: sizes, the splitting of a line into
 * words, and the refusal of what is not known. No pool runs here; what the
 * verbs do to one is in pool.c beside this and in the cases.
 */
#include "../../control/control.h"
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static char *base;
static struct cpool *cp;

static void size_good(const char *text, uint64_t want)
{
	struct err e = {0};
	uint64_t n = 0;

	assert_int_equal(size_parse(text, &n, &e), 0);
	assert_true(n == want);
}

static void size_bad(const char *text, const char *says)
{
	struct err e = {0};
	uint64_t n = 0;

	assert_int_equal(size_parse(text, &n, &e), -EINVAL);
	assert_non_null(strstr(e.text, says));
}

static void test_sizes(void **state)
{
	(void)state;
	size_good("0", 0);
	size_good("512", 512);
	size_good("512B", 512);
	size_good("7bytes", 7);
	size_good("1byte", 1);
	size_good("10G", 10ull << 30);
	size_good("10g", 10ull << 30);
	size_good("10GiB", 10ull << 30);
	size_good("10GB", 10000000000ull);
	size_good("3k", 3072);
	size_good("3KB", 3000);
	size_good("2T", 2ull << 40);
	size_good("1P", 1ull << 50);
	size_good("7E", 7ull << 60);
	size_good("007M", 7ull << 20);
}

static void test_bad_sizes(void **state)
{
	(void)state;
	size_bad("", "whole number");
	size_bad("G", "whole number");
	size_bad("1.5T", "'1.5T'");
	size_bad("1,5T", "whole number");
	size_bad("-1", "whole number");
	size_bad("+1", "whole number");
	size_bad(" 1", "whole number");
	size_bad("1 G", "unit");
	size_bad("10X", "'X'");
	size_bad("10Gi", "'Gi'");
	size_bad("10GiBx", "unit");
	size_bad("0x10", "unit");
	size_bad("8E", "too large");
	size_bad("16E", "too large");
	size_bad("99999999999999999999", "too large");
	size_bad("9223372036854775808", "too large");
}

static void refused(const char *line, int code, const char *says)
{
	struct progress p = {0};
	struct caller who = { .progress = &p };
	struct err e = {0};

	assert_int_equal(verb_run(cp, &who, line, &e), -code);
	if (!strstr(e.text, says))
		fail_msg("'%s': '%s' does not say '%s'", line, e.text, says);
}

static void test_words(void **state)
{
	(void)state;
	refused("", EINVAL, "empty");
	refused("  \t ", EINVAL, "empty");
	refused("strat", EINVAL, "'strat'");
	refused("START", EINVAL, "'START'");
	refused("start now", EINVAL, "'now'");
	refused("\"start\" x", EINVAL, "'x'");
	refused("st\"art\" \"a b\"", EINVAL, "'a b'");
	refused("start \"a \\\"b\\\" \\\\\"", EINVAL, "'a \"b\" \\'");
	refused("start \"\"", EINVAL, "''");
	refused("start a\\ b", EINVAL, "'a\\'");
	refused("resize \"open", EINVAL, "closing quote");
	refused("resize \"open\\", EINVAL, "closing quote");
	refused("wipe a b c d e f g h i", EINVAL, "too many words");
	refused("delete", EINVAL, "delete UUID");
	refused("resize v", EINVAL, "resize VOLUME SIZE");
	refused("build quickly", EINVAL, "'quickly'");
	refused("build overwrite no-overwrite", EINVAL, "'no-overwrite'");
	refused("resize v 1G grow", EINVAL, "'grow'");
	refused("resize v 1.5G", EINVAL, "'1.5G'");
	refused("resize .. 1G", EINVAL, "'..'");
	refused("resize \"\" 1G", EINVAL, "");
	refused("clone a b hard", EINVAL, "'hard'");
	refused("clone a b/c", EINVAL, "b/c");
	refused("wipe v gently", EINVAL, "'gently'");
	refused("delete 1234", EINVAL, "'1234'");
	refused("delete 00000000-0000-4000-8000-000000000000", EINVAL, "repeat");
}

static void test_inactive(void **state)
{
	struct buf b = {0};

	(void)state;
	refused("stop", ENOENT, "not running");
	refused("refresh", ENOENT, "not running");
	refused("resize v 1G", ENOENT, "not running");
	refused("clone a b", ENOENT, "not running");
	refused("clone \"a b\" c linked", ENOENT, "not running");
	refused("wipe v zero", ENOENT, "not running");
	cpool_show_error(cp, &b);
	assert_non_null(strstr(b.data, "not running"));
	buf_release(&b);
}

static void test_cancelled(void **state)
{
	struct progress p = { .cancel = true };
	struct caller who = { .progress = &p };
	struct err e = {0};

	(void)state;
	assert_int_equal(verb_run(cp, &who, "build", &e), -ECANCELED);
}

static void test_listing(void **state)
{
	struct buf b = {0};

	(void)state;
	assert_non_null(cfile_find(CDIR_POOL, "ctl"));
	assert_null(cfile_find(CDIR_CONTROL, "ctl"));
	assert_null(cfile_find(CDIR_CONTROL, "fault"));
	cfile_find(CDIR_POOL, "ctl")->show(cp, NULL, &b);
	for (const struct verb *v = verbs; v->name; v++) {
		assert_non_null(strstr(b.data, v->usage));
		assert_non_null(strstr(b.data, v->help));
		assert_ptr_equal(strstr(v->usage, v->name), v->usage);
	}
	buf_release(&b);
}

static int setup(void **state)
{
	const char *tmp = getenv("TMPDIR");
	struct err e = {0};
	struct control_options o = { .mountpoint = "/nowhere/mount" };
	char *source, *run, *xml;
	int rc;

	(void)state;
	base = xasprintf("%s/poolfs-unit-XXXXXX", tmp ? tmp : "/var/tmp");
	if (!mkdtemp(base))
		return -1;
	source = xasprintf("%s/source", base);
	run = xasprintf("%s/run", base);
	xml = xasprintf("<pool type='dir'><target><path>%s/data</path></target></pool>", base);
	o.source = source;
	o.rundir = run;
	rc = control_init(&o, &e);
	if (!rc)
		rc = cpool_define("p", xml, strlen(xml), &e);
	if (rc)
		print_error("%s\n", e.text);
	cp = cpool_find("p");
	free(source);
	free(run);
	free(xml);
	return rc;
}

static int teardown(void **state)
{
	char *command = xasprintf("rm -rf -- '%s'", base);
	int rc;

	(void)state;
	cpool_put(cp);
	control_end();
	rc = system(command);
	free(command);
	free(base);
	return rc;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_bad_sizes),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_inactive),
		cmocka_unit_test(test_cancelled),
		cmocka_unit_test(test_listing),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("verbs", tests, setup, teardown);
}
