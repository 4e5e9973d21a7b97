/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * define.c - unit tests of control/define.c, format.c and fields.c: XML in, XML
 * out, and every document that must be refused.
 *
 * Started by tests/run; prints TAP. Touches no file.
 */
#include "../../control/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define UUID "11111111-2222-4333-8444-555555555555"

static struct pool_def *parse(const char *xml, const char *name)
{
	struct pool_def *def = NULL;
	struct err e = {0};

	if (def_parse(xml, strlen(xml), name, &def, &e) < 0)
		fail_msg("refused: %s", e.text);
	return def;
}

static void refuse_bytes(const char *xml, size_t len, int code, const char *part)
{
	struct pool_def *def = (void *)1;
	struct err e = {0};
	int ret = def_parse(xml, len, "p", &def, &e);

	if (ret != -code || e.code != code || !strstr(e.text, part) || strchr(e.text, '\n'))
		fail_msg("%d '%s', wanted %d '%s', of: %.200s", ret, e.text, code, part, xml);
	assert_null(def);
}

static void refuse(const char *xml, const char *part)
{
	refuse_bytes(xml, strlen(xml), EINVAL, part);
}

static void canonical(void **state)
{
	static const char in[] =
		"<?xml version='1.0' encoding=\"utf-8\"?>\n<!-- WARNING: generated -->\n"
		"<pool type=\"dir\">\r\n  <target><permissions><label>a&amp;'\"&lt;&gt;</label>"
		"<group>0</group><mode>0711</mode><owner>4294967294</owner></permissions>"
		"<path>//var//lib/x&amp;y/</path></target>"
		"<capacity unit='bogus'>garbage</capacity>"
		"<uuid>11111111222243338444555555555555</uuid><name>p</name>"
		"<source><host name='ignored'/></source><novelty x='1'><name>no</name></novelty>"
		"</pool><!-- end -->\n";
	static const char want[] =
		"<pool type='dir'>\n"
		"  <name>p</name>\n"
		"  <uuid>" UUID "</uuid>\n"
		"  <capacity unit='bytes'>3</capacity>\n"
		"  <allocation unit='bytes'>2</allocation>\n"
		"  <available unit='bytes'>18446744073709551615</available>\n"
		"  <source>\n"
		"  </source>\n"
		"  <target>\n"
		"    <path>/var/lib/x&amp;y</path>\n"
		"    <permissions>\n"
		"      <mode>0711</mode>\n"
		"      <owner>4294967294</owner>\n"
		"      <group>0</group>\n"
		"      <label>a&amp;&apos;&quot;&lt;&gt;</label>\n"
		"    </permissions>\n"
		"  </target>\n"
		"</pool>\n";
	struct pool_usage u = {.capacity = 3, .allocation = 2, .available = UINT64_MAX};
	struct pool_def *def = parse(in, "p"), *again, *copy;
	struct buf one = {0}, two = {0}, three = {0};

	(void)state;
	assert_string_equal(def->target, "/var/lib/x&y");
	def_format(def, &u, &one);
	assert_string_equal(one.data, want);
	again = parse(one.data, NULL);
	def_format(again, &u, &two);
	assert_string_equal(two.data, want);
	copy = def_copy(def);
	def_free(def);
	def_format(copy, &u, &three);
	assert_string_equal(three.data, want);
	def_free(again);
	def_free(copy);
	buf_release(&one);
	buf_release(&two);
	buf_release(&three);
}

static void minimal(void **state)
{
	struct pool_def *def = parse("<pool type='dir'><target><path>/</path></target></pool>", "p");
	struct buf out = {0};

	(void)state;
	assert_string_equal(def->name, "p");
	assert_string_equal(def->uuid, "");
	assert_string_equal(def->target, "/");
	assert_false(def->perms.mode_set || def->perms.uid_set || def->perms.gid_set);
	def_format(def, NULL, &out);
	assert_string_equal(out.data,
		"<pool type='dir'>\n  <name>p</name>\n  <capacity unit='bytes'>0</capacity>\n"
		"  <allocation unit='bytes'>0</allocation>\n"
		"  <available unit='bytes'>0</available>\n  <source>\n  </source>\n"
		"  <target>\n    <path>/</path>\n  </target>\n</pool>\n");
	buf_release(&out);
	def_free(def);
	def_free(NULL);
}

#define DIR_POOL(inside) "<pool type='dir'>\n<target><path>/d</path>\n" inside "</target></pool>"

static void permissions(void **state)
{
	struct pool_def *def = parse(DIR_POOL("<permissions><mode>0</mode><owner>-1</owner>"
					      "<group>4294967295</group></permissions>"), "p");
	struct buf out = {0};

	(void)state;
	assert_true(def->perms.mode_set);
	assert_false(def->perms.uid_set || def->perms.gid_set);
	def_format(def, NULL, &out);
	assert_non_null(strstr(out.data, "<permissions>\n      <mode>00</mode>\n    </permissions>"));
	buf_release(&out);
	def_free(def);
	refuse(DIR_POOL("<permissions>\n<mode>0888</mode></permissions>"), "line 4: <mode>: '0888'");
	refuse(DIR_POOL("<permissions><mode>01777</mode></permissions>"), "'01777'");
	refuse(DIR_POOL("<permissions><mode>-7</mode></permissions>"), "'-7'");
	refuse(DIR_POOL("<permissions><owner>root</owner></permissions>"), "<owner>: 'root'");
	refuse(DIR_POOL("<permissions><owner></owner></permissions>"), "<owner>: ''");
	refuse(DIR_POOL("<permissions><group>-2</group></permissions>"), "<group>: '-2'");
	refuse(DIR_POOL("<permissions><group>4294967296</group></permissions>"), "4294967296");
	refuse(DIR_POOL("<permissions><group> 1</group></permissions>"), "' 1'");
}

static void names(void **state)
{
	struct pool_def *def;

	(void)state;
	refuse("<pool type='dir'>\n<name/><target><path>/d</path></target></pool>", "line 2: <name> is ''");
	refuse("<pool type='dir'>\n<name>other</name><target><path>/d</path></target></pool>",
	       "line 2: <name> is 'other', but the file is 'p.xml'");
	refuse("<pool type='dir'><name> p</name><target><path>/d</path></target></pool>", "' p'");
	refuse("<pool type='dir'><name>p</name>\n<name>p</name><target><path>/d</path></target></pool>",
	       "line 2: a second <name>; the first is in line 1");
	for (const char *const *bad = (const char *const[]){"..", "a/b", "-rf", "control", "a&#10;b",
							    "   ", NULL}; *bad; bad++) {
		char *xml = xasprintf("<pool type='dir'>\n<name>%s</name><target><path>/d</path>"
				      "</target></pool>", *bad);
		struct err e = {0};

		assert_int_equal(def_parse(xml, strlen(xml), NULL, &def, &e), -EINVAL);
		assert_non_null(strstr(e.text, "line 2: bad pool name"));
		free(xml);
	}
}

static void paths(void **state)
{
	(void)state;
	refuse("<pool type='dir'/>", "line 1: a dir pool must have 'target/path'");
	refuse("\n<pool type='dir'><target><path></path></target></pool>", "line 2");
	refuse("<pool type='dir'><target>\n<path>rel/x</path></target></pool>",
	       "line 2: <path>: 'rel/x' is not an absolute path");
	refuse("<pool type='dir'><target><path>/a/../b</path></target></pool>", "'..' in the path");
	refuse("<pool type='dir'><target><path>/a/.</path></target></pool>", "'.' in the path");
	refuse("<pool type='dir'><target><path>/a\n</path></target></pool>", "control character");
}

static void types(void **state)
{
	(void)state;
	refuse("<pool>\n<target><path>/d</path></target></pool>", "<pool> has no type");
	refuse("\n\n<pool type='floppy'/>", "line 3: unknown pool type 'floppy'");
	refuse("<pool type='floppy'/>", "dir, fs, netfs, logical, disk, iscsi, scsi, mpath, rbd, "
	       "sheepdog");
	refuse("<volume type='dir'/>", "line 1: the root element is 'volume', not 'pool'");
	/* Each is known to the XML, whether its driver is there or not. */
	for (size_t i = 0; backends[i]; i++) {
		char *xml = xasprintf("<pool type='%s'><source/><target/></pool>", backends[i]->type);
		struct pool_def *def;
		struct err e = {0};

		if (def_parse(xml, strlen(xml), "p", &def, &e) == 0)
			def_free(def);
		else
			assert_non_null(strstr(e.text, "must have '"));
		free(xml);
	}
}

static void uuids(void **state)
{
	char uuid[37] = "untouched", other[37];

	(void)state;
	assert_true(uuid_parse(UUID, uuid));
	assert_string_equal(uuid, UUID);
	assert_true(uuid_parse("\n ABCDEFab-CDEF ABCD-EFAB-cd ef-abcdef  cd \t", uuid));
	assert_string_equal(uuid, "abcdefab-cdef-abcd-efab-cdefabcdefcd");
	for (const char *const *bad = (const char *const[]){
		     "", "-", "1", "11111111-2222-4333-8444-55555555555",
		     "11111111-2222-4333-8444-5555555555555", "1-1111111-2222-4333-8444-555555555555",
		     "g1111111-2222-4333-8444-555555555555", UUID "x", "{" UUID "}", NULL}; *bad; bad++)
		assert_false(uuid_parse(*bad, uuid));
	assert_string_equal(uuid, "abcdefab-cdef-abcd-efab-cdefabcdefcd");
	uuid_make(uuid);
	uuid_make(other);
	assert_string_not_equal(uuid, other);
	assert_int_equal(strlen(uuid), 36);
	assert_int_equal(uuid[14], '4');
	assert_true(uuid_parse(uuid, other));
	assert_string_equal(uuid, other);
	refuse("<pool type='dir'>\n<uuid>12-34</uuid></pool>", "line 2: <uuid>: '12-34' is no uuid");
}

static void hostile(void **state)
{
	static const char laughs[] =
		"<?xml version='1.0'?>\n<!DOCTYPE lolz [\n<!ENTITY a 'ha'>\n<!ENTITY b '&a;&a;&a;'>\n"
		"]>\n<pool type='dir'><name>&b;</name></pool>";
	char *deep = xcalloc(1, 20000), *at = deep, *big;
	size_t len = 64 << 20;

	(void)state;
	refuse(laughs, "line 2: a document type definition (DTD) is refused");
	refuse("<!DOCTYPE pool SYSTEM 'http://127.0.0.1:1/x.dtd'><pool type='dir'/>", "DTD");
	refuse("<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><pool>&e;</pool>", "DTD");
	refuse("<pool type='dir'>\n<name>&passwd;</name></pool>", "line 2: entity 'passwd' not defined");
	refuse("<pool type='dir'><name a='&x;'/></pool>", "entity 'x'");
	at += sprintf(at, "<pool type='dir'>");
	for (int i = 0; i < 200; i++)
		at += sprintf(at, "\n<a>");
	for (int i = 0; i < 200; i++)
		at += sprintf(at, "</a>");
	sprintf(at, "</pool>");
	refuse(deep, "line 33: elements nest deeper than 32");
	free(deep);
	big = xmalloc(len);
	memset(big, ' ', len);
	memcpy(big, "<pool>", 6);
	refuse_bytes(big, len, EFBIG, "larger than 4194304 bytes");
	free(big);
}

static void malformed(void **state)
{
	static const char utf16[] = "\xff\xfe<\0p\0/\0>\0";

	(void)state;
	refuse("", "does not begin with '<'");
	refuse(" \n", "line");
	refuse("garbage", "does not begin with '<'");
	refuse("<pool type='dir'>\n<name>p</pool>", "line 2: opening and ending tag mismatch: name");
	refuse("<pool type='dir'>", "line 1: it ends before the root element is closed");
	refuse(DIR_POOL("") "\ntrailing", "line 4: extra content");
	refuse(DIR_POOL("") "\n<pool type='dir'/>", "line 4: extra content");
	refuse("<pool type=dir/>", "line 1");
	refuse("<pool type='dir' type='fs'/>", "line 1: attribute type redefined");
	refuse("<pool type='dir'>\n\xff</pool>", "line 2: input is not proper UTF-8, indicate encoding");
	refuse("<pool type='dir'>\n&#0;</pool>", "line 2");
	refuse("<?xml version='1.0' encoding='ISO-8859-1'?><pool/>", "'ISO-8859-1' is refused");
	refuse("<?xml version='1.0' encoding='UTF-7'?><pool/>", "'UTF-7' is refused");
	refuse_bytes(utf16, sizeof utf16 - 1, EINVAL, "UTF-8");
	refuse_bytes("<pool type='dir'>\n\0</pool>", 26, EINVAL, "line 2: it holds a NUL byte");
}

static void accepted(void **state)
{
	struct pool_def *def;
	char *big, *at;

	(void)state;
	def_free(parse("\xef\xbb\xbf" DIR_POOL(""), "p"));
	def_free(parse("<?xml version='1.0'?>\r\n<pool type='dir'>\r\n<target>\r\n<path>/d</path>\r\n"
		       "</target>\r\n</pool>\r\n", "p"));
	def_free(parse("\n " DIR_POOL("") "<!-- x -->\n", "p"));
	def_free(parse("<pool type='dir' xmlns:fs='http://libvirt.org/schemas/storagepool/fs/1.0'>"
		       "<target><path>/d</path></target><fs:mount_opts><fs:option name='sync'/>"
		       "</fs:mount_opts></pool>", "p"));
	def_free(parse("<pool type='dir'><fs:name>x</fs:name><target><path>/d</path></target></pool>",
		       "p"));
	def = parse("<pool type='dir'><target><path><![CDATA[/a&b]]>/c<!-- - -->d&#x65;</path>"
		    "<path/></target></pool>", "p");
	assert_string_equal(def->target, "/a&b/cde");
	def_free(def);
	at = big = xmalloc((1 << 20) + 200);
	at += sprintf(at, "<pool type='dir'><!-- ");
	memset(at, '>', 1 << 20);
	at += 1 << 20;
	sprintf(at, " --><target><path>/d</path></target></pool>");
	def_free(parse(big, "p"));
	free(big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(canonical), cmocka_unit_test(minimal), cmocka_unit_test(permissions),
		cmocka_unit_test(names), cmocka_unit_test(paths), cmocka_unit_test(types),
		cmocka_unit_test(uuids), cmocka_unit_test(hostile), cmocka_unit_test(malformed),
		cmocka_unit_test(accepted),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("define", tests, NULL, NULL);
}
