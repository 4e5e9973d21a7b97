/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * gather.c - unit tests of control/gather.c: where a document ends, however it is
 * cut, in linear time; and what is refused at once.
 *
 * Started by tests/run; prints TAP. Touches no file.
 */
#include "../../control/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

static const char document[] =
	"\xef\xbb\xbf<?xml version='1.0' encoding='UTF-8'?>\r\n<!-- <pool> -- ></pool> -->\n"
	"<?pi <pool/> ?>\n<pool type='dir' a=\"/pool>\" b='/>\"'>\n"
	"<name>\xc3\xa9 &amp; &#x3c; ]]&gt;</name><e/><e  x='>'/>\n"
	"<![CDATA[</pool><!-- ]] ]> ]]]><!----><!-- - - -></pool>- -->\n</pool  >";

/* libxml2 refuses "--" inside a comment, so the one above has none. */
static char *document_clean(void)
{
	char *text = xstrdup(document), *dashes = strstr(text, "> -- >");

	dashes[2] = dashes[3] = '.';
	return text;
}

static int feed(struct xml_gather *g, const char *text, struct err *e)
{
	return xml_gather_add(g, text, strlen(text), e);
}

static void check_whole(struct xml_gather *g, const char *text)
{
	struct err e = {0};
	size_t len;
	const char *got = xml_gather_text(g, &len);

	assert_int_equal(len, strlen(text) - 3);
	assert_memory_equal(got, text + 3, len);
	assert_int_equal(xml_gather_end(g, &e), 0);
}

static void cuts(void **state)
{
	char *text = document_clean();
	size_t len = strlen(text);
	struct err e = {0};

	(void)state;
	for (size_t cut = 0; cut <= len; cut++) {
		struct xml_gather *g = xml_gather_new();
		int one = xml_gather_add(g, text, cut, &e);

		if (one < 0)
			fail_msg("cut at %zu: %s", cut, e.text);
		assert_int_equal(one, cut == len);
		assert_int_equal(xml_gather_add(g, text + cut, len - cut, &e), cut != len);
		check_whole(g, text);
		assert_int_equal(feed(g, "\r\n<!-- <x> ", &e), 0);
		assert_int_equal(xml_gather_end(g, &e), -EINVAL);
		assert_int_equal(feed(g, "--><!-", &e), 0);
		assert_int_equal(feed(g, "--->  ", &e), 0);
		check_whole(g, text);
		assert_int_equal(feed(g, " x", &e), -EINVAL);
		assert_non_null(strstr(e.text, "follows the root element"));
		assert_int_equal(feed(g, " ", &e), -EINVAL);
		xml_gather_free(g);
	}
	struct xml_gather *g = xml_gather_new();

	for (size_t i = 0; i < len; i++)
		assert_int_equal(xml_gather_add(g, text + i, 1, &e), i == len - 1);
	check_whole(g, text);
	xml_gather_free(g);
	free(text);
}

static void smallest(void **state)
{
	(void)state;
	for (const char *const *t = (const char *const[]){"<a/>", "<a></a>", "<a>x</a>",
							  "<a\n>text<b/></a>", "<a><![CDATA[x]]></a>",
							  "\n<a><b></b></a >", NULL}; *t; t++) {
		struct xml_gather *g = xml_gather_new();
		struct err e = {0};

		for (const char *s = *t; *s; s++)
			if (xml_gather_add(g, s, 1, &e) != (s[1] == '\0'))
				fail_msg("'%s' at %zu: %s", *t, (size_t)(s - *t), e.text);
		assert_int_equal(xml_gather_end(g, &e), 0);
		xml_gather_free(g);
	}
}

/* The last piece is the one that must be refused: the shell loses later errors. */
static void refuse(const char *whole, const char *part)
{
	for (int bytes = 0; bytes < 2; bytes++) {
		struct xml_gather *g = xml_gather_new();
		struct err e = {0};
		int ret = 0;

		if (bytes)
			for (const char *s = whole; *s && ret >= 0; s++)
				ret = xml_gather_add(g, s, 1, &e);
		else
			ret = feed(g, whole, &e);
		if (ret != -EINVAL || !strstr(e.text, part))
			fail_msg("%d '%s', wanted '%s', of: %s", ret, e.text, part, whole);
		assert_int_equal(feed(g, "<a/>", &e), -EINVAL);
		assert_int_equal(xml_gather_end(g, &e), -EINVAL);
		xml_gather_free(g);
	}
}

static void refused(void **state)
{
	char deep[1000] = "";

	(void)state;
	refuse("garbage\n", "line 1: it does not begin with '<'");
	refuse("\n\n\xff\xfe<", "line 3");
	refuse("<!D", "(DTD) is refused");
	refuse("<?xml version='1.0'?>\n<!DOCTYPE a [<!ENTITY x 'y'>", "line 2: a document type");
	refuse("<a>\n<!DOCTYPE a>", "line 2");
	refuse("<a>\n<b></a>", "line 2: opening and ending tag mismatch");
	refuse("</a>", "line 1");
	refuse("<>", "line 1");
	refuse("<a x=1>", "line 1");
	refuse("<a x='1'\n<b>", "line 2");
	refuse("<a>&undefined;</a>", "entity 'undefined'");
	refuse("<![CDATA[x]]>", "line 1");
	refuse("<a><!ELEMENT", "line 1");
	refuse("<a><b>\xff</b>", "line 1");
	refuse("<?xml version='1.0' encoding='latin1'?>", "'latin1' is refused");
	refuse("<a/><?pi?>", "follows the root element");
	refuse("<a/>\n\n<b/>", "line 3: something follows the root element");
	refuse("<a/></a>", "follows the root element");
	refuse("<a/><![CDATA[", "neither a comment");
	for (int i = 0; i < 200; i++)
		strcat(deep, "<a>");
	refuse(deep, "deeper than 32");
}

static void incomplete(void **state)
{
	struct xml_gather *g = xml_gather_new();
	struct err e = {0};

	(void)state;
	assert_int_equal(xml_gather_end(g, &e), 0);
	assert_int_equal(feed(g, "\n", &e), 0);
	assert_int_equal(xml_gather_end(g, &e), -EINVAL);
	assert_non_null(strstr(e.text, "without an element"));
	assert_int_equal(feed(g, "<a>", &e), 0);
	assert_int_equal(xml_gather_end(g, &e), -EINVAL);
	assert_non_null(strstr(e.text, "incomplete: it ends in line 2"));
	assert_int_equal(feed(g, "</a>", &e), 1);
	assert_int_equal(xml_gather_end(g, &e), 0);
	xml_gather_free(g);
	xml_gather_free(NULL);
}

enum { MIB = 1 << 20 };

/* before, then filler again and again for a MiB, then after, byte by byte. */
static void linear_one(const char *before, const char *filler, const char *after)
{
	struct xml_gather *g = xml_gather_new();
	clock_t start = clock();
	struct err e = {0};
	size_t unit = strlen(filler);

	assert_int_equal(feed(g, before, &e), 0);
	for (size_t i = 0; i < MIB; i++)
		if (xml_gather_add(g, filler + i % unit, 1, &e) != 0)
			fail_msg("'%s' at %zu: %s", filler, i, e.text);
	while ((MIB % unit) != 0 && unit)       /* finish the last filler */
		fail_msg("filler '%s' must divide a MiB", filler);
	assert_int_equal(feed(g, after, &e), 1);
	/* Quadratic ways take minutes; this leaves room for sanitizers. */
	if (clock() - start > 20 * CLOCKS_PER_SEC)
		fail_msg("'%s' took too long", filler);
	xml_gather_free(g);
}

static void linear(void **state)
{
	(void)state;
	linear_one("<a><!--", "x", "--></a>");
	linear_one("<a><!--", ">", "--></a>");
	linear_one("<a><!--", "<", "--></a>");
	linear_one("<!--", "\n", "--><a/>");
	linear_one("<a>", "text", "</a>");
	linear_one("<a>", "\n", "</a>");
	linear_one("<a>", "]>", "</a>");
	linear_one("<a><![CDATA[", ">", "]]></a>");
	linear_one("<a><?p ", ">", "?></a>");
	linear_one("<a x='", ">", "'/>");
	linear_one("<a>", "<b/>", "</a>");
	linear_one("<a>", "<b></b>\n", "</a>");
	linear_one("", "\n", "<a/>");
}

static void large(void **state)
{
	struct xml_gather *g = xml_gather_new();
	char piece[1 << 16];
	struct err e = {0};
	int ret, fed = 0;
	size_t len;

	(void)state;
	memset(piece, 'x', sizeof piece);
	assert_int_equal(feed(g, "<a><!--", &e), 0);
	do
		ret = xml_gather_add(g, piece, sizeof piece, &e);
	while (ret == 0 && ++fed < 1024);       /* 64 MiB */
	assert_int_equal(ret, -EFBIG);
	assert_int_equal(fed, XML_MAX_BYTES / sizeof piece - 1);
	xml_gather_text(g, &len);
	assert_int_equal(len, 0);
	xml_gather_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cuts), cmocka_unit_test(smallest), cmocka_unit_test(refused),
		cmocka_unit_test(incomplete), cmocka_unit_test(linear), cmocka_unit_test(large),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("gather", tests, NULL, NULL);
}
