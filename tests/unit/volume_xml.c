/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * volume_xml.c - unit tests of control/volume_xml.c, volume_disk.c and of what
 * writer.c does with bytes that XML cannot hold.
 *
 * Started by tests/run; prints TAP. Pure: no file, no pool.
 */
#include "../../control/volume_xml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define FILES VOL_FORMATS_OF_FILES

static struct err e;
static struct volume_def v;

static int parse_as(const char *xml, const char *name, const char *formats)
{
	e = (struct err){ 0 };
	volume_def_release(&v);
	return volume_parse(xml, strlen(xml), name, formats, &v, &e);
}

static int parse(const char *xml)
{
	return parse_as(xml, "v", FILES);
}

static int clean(void **state)
{
	(void)state;
	volume_def_release(&v);
	return 0;
}

/* A sentence with these words in it. */
static void refused(const char *xml, const char *words)
{
	if (parse(xml) != -EINVAL || !strstr(e.text, words))
		fail_msg("'%s' gave %d '%s', not '%s'", xml, -e.code, e.text, words);
	assert_null(v.name);
}

/* ---- out ---------------------------------------------------------------------- */

static struct vol_desc whole(void)
{
	return (struct vol_desc){
		.kind = VOL_FILE, .key = "/d/v", .capacity = 1073741824, .allocation = 200704,
		.physical = 196624,
		.target = {
			.path = "/d/v", .format = "qcow2",
			.perms = { .mode_set = true, .uid_set = true, .gid_set = true, .mode = 0640,
				   .uid = 7, .gid = 4294967294u, .label = "a:b:c:s0" },
			.times_set = true, .atime = { 5, 0 }, .mtime = { 1700000000, 1 },
			.ctime = { -1, 999999999 },
		},
		.backing = { .path = "/b/base", .format = "raw", .times_set = true,
			     .perms = { .mode_set = true } },
		.encryption = "luks", .compat = "1.1", .cluster_size = 65536, .extended_l2 = true,
	};
}

static void printed(void **state)
{
	static const char want[] =
		"<volume type='file'>\n"
		"  <name>a&amp;b</name>\n"
		"  <key>/d/v</key>\n"
		"  <capacity unit='bytes'>1073741824</capacity>\n"
		"  <allocation unit='bytes'>200704</allocation>\n"
		"  <physical unit='bytes'>196624</physical>\n"
		"  <target>\n"
		"    <path>/d/v</path>\n"
		"    <format type='qcow2'/>\n"
		"    <permissions>\n"
		"      <mode>0640</mode>\n"
		"      <owner>7</owner>\n"
		"      <group>4294967294</group>\n"
		"      <label>a:b:c:s0</label>\n"
		"    </permissions>\n"
		"    <timestamps>\n"
		"      <atime>5</atime>\n"
		"      <mtime>1700000000.000000001</mtime>\n"
		"      <ctime>-1.999999999</ctime>\n"
		"      <btime>0</btime>\n"
		"    </timestamps>\n"
		"    <encryption format='luks'/>\n"
		"    <compat>1.1</compat>\n"
		"    <clusterSize unit='B'>65536</clusterSize>\n"
		"    <features>\n"
		"      <extended_l2/>\n"
		"    </features>\n"
		"  </target>\n"
		"  <backingStore>\n"
		"    <path>/b/base</path>\n"
		"    <format type='raw'/>\n"
		"    <permissions>\n"
		"      <mode>00</mode>\n"
		"    </permissions>\n"
		"    <timestamps>\n"
		"      <atime>0</atime>\n"
		"      <mtime>0</mtime>\n"
		"      <ctime>0</ctime>\n"
		"      <btime>0</btime>\n"
		"    </timestamps>\n"
		"  </backingStore>\n"
		"</volume>\n";
	struct vol_desc d = whole();
	struct buf b = { 0 };

	(void)state;
	volume_format("a&b", &d, &b);
	assert_string_equal(b.data, want);
	b.len = 0;
	d = (struct vol_desc){ .target = { .path = "/d/v", .format = "raw" } };
	volume_format("v", &d, &b);
	assert_string_equal(b.data, "<volume type='file'>\n  <name>v</name>\n"
		"  <capacity unit='bytes'>0</capacity>\n  <allocation unit='bytes'>0</allocation>\n"
		"  <target>\n    <path>/d/v</path>\n    <format type='raw'/>\n  </target>\n</volume>\n");
	buf_release(&b);
}

/* Names in directories and images are bytes; what is printed is XML, always. */
static void any_bytes(void **state)
{
	struct vol_desc d = { .target = { .path = "\xff\x01\xed\xa0\x80\xc0\xaf\xf4\x90\x80\x80\xe2\x82" },
			      .backing = { .path = "<\xc3\xa4\xf0\x9f\x90\xa7\r\n\t\xef\xbf\xbf>" } };
	struct buf b = { 0 };
	const char *path;

	(void)state;
	volume_format("\x7f\xc3", &d, &b);
	assert_non_null(strstr(b.data, "<name>\x7f\xef\xbf\xbd</name>"));
	path = strstr(b.data, "<path>") + 6;
	for (int i = 0; i < 13; i++)
		assert_memory_equal(path + 3 * i, "\xef\xbf\xbd", 3);
	assert_memory_equal(path + 39, "</path>", 7);
	assert_non_null(strstr(b.data, "<path>&lt;\xc3\xa4\xf0\x9f\x90\xa7&#13;\n\t\xef\xbf\xbd\xef\xbf\xbd"
			       "\xef\xbf\xbd&gt;</path>"));
	/* and a parser takes it */
	assert_int_equal(parse_as(b.data, "\x7f\xef\xbf\xbd", FILES), -EINVAL); /* a control character */
	b.data[strcspn(b.data, "\x7f")] = 'x';
	assert_int_equal(parse_as(b.data, "x\xef\xbf\xbd", FILES), -EINVAL);    /* in the path */
	assert_non_null(strstr(e.text, "<path>"));
	buf_release(&b);
}

static void disks(void **state)
{
	struct pool_host hosts[] = { { "mon.example", 6789 }, { "2001:db8::1", 0 } };
	struct pool_def pool = {
		.type = "rbd",
		.source = {
			.hosts = hosts, .host_count = 2,
			.auth = {
				.type = "ceph", .username = "vm",
				.secret_uuid = "2ec115d7-3a88-3ceb-bc12-0ac909a6fd87",
			},
		},
	};
	struct vol_desc d = { .target = { .path = "/d/a&'b", .format = "qcow2" } };
	struct buf b = { 0 };

	(void)state;
	volume_disk_format(&pool, &d, &b);
	assert_string_equal(b.data, "<disk type='file' device='disk'>\n"
		"  <driver name='qemu' type='qcow2'/>\n  <source file='/d/a&amp;&apos;b'/>\n"
		"  <target dev='vda' bus='virtio'/>\n</disk>\n");
	b.len = 0;
	d = (struct vol_desc){ .kind = VOL_BLOCK, .target = { .path = "/dev/vg/v" } };
	volume_disk_format(&pool, &d, &b);
	assert_string_equal(b.data, "<disk type='block' device='disk'>\n"
		"  <driver name='qemu' type='raw'/>\n  <source dev='/dev/vg/v'/>\n"
		"  <target dev='vda' bus='virtio'/>\n</disk>\n");
	b.len = 0;
	d = (struct vol_desc){ .target = { .path = "/d/i", .format = "iso" } };
	volume_disk_format(&pool, &d, &b);
	assert_string_equal(b.data, "<disk type='file' device='cdrom'>\n"
		"  <driver name='qemu' type='raw'/>\n  <source file='/d/i'/>\n"
		"  <target dev='sda' bus='sata'/>\n  <readonly/>\n</disk>\n");
	b.len = 0;
	d = (struct vol_desc){ .kind = VOL_NETWORK, .target = { .path = "p/i", .format = "raw" } };
	volume_disk_format(&pool, &d, &b);
	assert_string_equal(b.data, "<disk type='network' device='disk'>\n"
		"  <driver name='qemu' type='raw'/>\n  <auth username='vm'>\n"
		"    <secret type='ceph' uuid='2ec115d7-3a88-3ceb-bc12-0ac909a6fd87'/>\n"
		"  </auth>\n  <source protocol='rbd' name='p/i'>\n"
		"    <host name='mon.example' port='6789'/>\n    <host name='2001:db8::1'/>\n"
		"  </source>\n  <target dev='vda' bus='virtio'/>\n</disk>\n");
	b.len = 0;
	memset(&pool.source, 0, sizeof pool.source);
	volume_disk_format(&pool, &d, &b);
	assert_null(strstr(b.data, "<auth"));
	assert_non_null(strstr(b.data, "<source protocol='rbd' name='p/i'/>"));
	buf_release(&b);
}

/* ---- in ------------------------------------------------------------------------- */

static void round_trip(void **state)
{
	struct vol_desc d = whole();
	struct buf b = { 0 };

	(void)state;
	volume_format("v", &d, &b);
	assert_int_equal(parse(b.data), 0);
	assert_string_equal(v.name, "v");
	assert_int_equal(v.d.capacity, 1073741824);
	assert_int_equal(v.d.allocation, 200704);
	assert_true(v.capacity_set && v.allocation_set && v.features && v.encrypted && !v.nocow);
	assert_string_equal(v.d.target.format, "qcow2");
	assert_int_equal(v.d.target.perms.mode, 0640);
	assert_int_equal(v.d.target.perms.uid, 7);
	assert_int_equal(v.d.target.perms.gid, 4294967294u);
	assert_string_equal(v.d.target.perms.label, "a:b:c:s0");
	assert_string_equal(v.d.backing.path, "/b/base");
	assert_string_equal(v.d.backing.format, "raw");
	assert_string_equal(v.d.compat, "1.1");
	assert_int_equal(v.d.cluster_size, 65536);
	assert_true(v.d.extended_l2 && !v.d.lazy_refcounts);
	/* what is told is not wished for */
	assert_null(v.d.key);
	assert_null(v.d.target.path);
	assert_int_equal(v.d.physical, 0);
	assert_false(v.d.target.times_set);
	buf_release(&b);
}

static void sizes(void **state)
{
	static const struct {
		const char *unit, *text;
		uint64_t bytes;
	} good[] = {
		{ "", "0", 0 }, { "", "9223372036854775807", INT64_MAX }, { "B", "7", 7 },
		{ "bytes", "7", 7 }, { "k", "7", 7 << 10 }, { "KB", "7", 7000 }, { "KiB", "7", 7 << 10 },
		{ "GiB", "3", 3ull << 30 }, { "gb", "3", 3000000000 }, { "E", "7", 7ull << 60 },
	};
	static const struct {
		const char *unit, *text;
	} bad[] = {
		{ "E", "8" }, { "", "9223372036854775808" }, { "", "18446744073709551616" },
		{ "", "99999999999999999999999" }, { "", "-1" }, { "", "1.5" }, { "", "0x10" },
		{ "", " 7" }, { "", "7 " }, { "", "7G" }, { "", "abc" }, { "XB", "7" }, { "1", "7" },
		{ "K K", "7" }, { "KiBB", "7" }, { "kilometres", "7" },
	};
	char xml[256];

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		snprintf(xml, sizeof xml, "<volume><capacity unit='%s'>%s</capacity></volume>",
			 good[i].unit, good[i].text);
		if (parse(xml) < 0 || v.d.capacity != good[i].bytes)
			fail_msg("%s: %s %llu", xml, e.text, (unsigned long long)v.d.capacity);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		snprintf(xml, sizeof xml, "<volume><name>v</name>\n<allocation unit='%s'>%s</allocation>"
			 "<capacity>1</capacity></volume>", bad[i].unit, bad[i].text);
		refused(xml, "bad volume XML in line 2: <allocation");
	}
	/* a unit counts for its own number only */
	assert_int_equal(parse("<volume><capacity unit='G'></capacity><allocation>1</allocation>"
			       "<capacity>2</capacity></volume>"), 0);
	assert_int_equal(v.d.allocation, 1);
	assert_int_equal(v.d.capacity, 2);
}

static void refusals(void **state)
{
	(void)state;
	refused("<pool/>", "the root element is 'pool', not 'volume'");
	refused("<volume></volume>", "has no <capacity>");
	refused("<volume><capacity/></volume>", "has no <capacity>");
	refused("<volume><name>w</name><capacity>1</capacity></volume>", "<name> is 'w'");
	refused("<volume>\n<capacity>1</capacity>\n<capacity>1</capacity></volume>",
		"line 3: a second <capacity>; the first is in line 2");
	refused("<volume type='floppy'><capacity>1</capacity></volume>", "unknown word 'floppy'; give one "
		"of file, block");
	refused("<volume><capacity>1</capacity><target><format type='xyz'/></target></volume>",
		"<format type>: unknown word 'xyz'; give one of raw, bochs, cloop, cow, dmg, iso, qcow, "
		"qcow2");
	refused("<volume><capacity>1</capacity><target><format type='raw bochs'/></target></volume>",
		"unknown word");
	refused("<volume><backingStore><path>/b</path><format type='xyz'/></backingStore></volume>",
		"unknown word 'xyz'");
	refused("<volume><capacity>1</capacity><backingStore><format type='raw'/></backingStore></volume>",
		"<backingStore> has no <path>");
	refused("<volume><backingStore><path>/a\nb</path></backingStore></volume>", "control character");
	refused("<volume><capacity>1</capacity><target><permissions><mode>0778</mode></permissions></target>"
		"</volume>", "no octal mode");
	refused("<volume><capacity>1</capacity><target><permissions><owner>root</owner></permissions>"
		"</target></volume>", "no numeric id");
	refused("<volume><capacity>1</capacity><target><compat>1.1,backing_file=/x</compat></target>"
		"</volume>", "no version");
	refused("<volume><capacity>1</capacity><target><compat>1.</compat></target></volume>", "no version");
	refused("<volume><capacity>1</capacity><target><features>\n<bogus/></features></target></volume>",
		"line 2: unknown <bogus> in <features>");
	refused("<volume><capacity>1</capacity>", "it ends");
}

static void taken(void **state)
{
	(void)state;
	/* what libvirt ignores is ignored, and what it implies is implied */
	assert_int_equal(parse("<volume type='block'><name></name><key>x</key><physical>junk</physical>"
			       "<capacity>1</capacity><source><device path='/x'/></source><more><name>w</name>"
			       "</more><target><path>/x</path><timestamps><atime>junk</atime></timestamps>"
			       "<features/><nocow/></target></volume>"), 0);
	assert_string_equal(v.name, "v");
	assert_string_equal(v.d.compat, "1.1");
	assert_true(v.nocow && v.features && !v.encrypted && !v.allocation_set);
	assert_null(v.d.target.format);
	assert_int_equal(parse("<volume><backingStore><path>base</path></backingStore></volume>"), 0);
	assert_false(v.capacity_set);
	assert_null(v.d.backing.format);
	assert_int_equal(parse("<volume><capacity>1</capacity><target><permissions><owner>-1</owner>"
			       "<group>4294967295</group></permissions></target></volume>"), 0);
	assert_false(v.d.target.perms.uid_set || v.d.target.perms.gid_set);
}

/* The words of each type: those of its own are taken, those of others not. */
static void formats(void **state)
{
	static const struct {
		const char *type, *good, *bad;
	} types[] = {
		{ "dir", "raw bochs cloop cow dmg iso qcow qcow2 vmdk vpc vdi vhdx qed", "linux" },
		{ "fs", "raw qcow2", "fat16" }, { "netfs", "raw qcow2", "none" },
		{ "disk", "none linux fat16 fat32 linux-swap linux-lvm linux-lvm2 linux-raid extended",
		  "qcow2" },
		{ "rbd", "raw", "qcow2" },
	};
	char word[32], xml[256];

	(void)state;
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		const char *known = backend_find(types[i].type)->vol_formats;

		for (const char *w = types[i].good; ; w += strspn(w, " ")) {
			snprintf(word, sizeof word, "%.*s", (int)strcspn(w, " "), w);
			snprintf(xml, sizeof xml, "<volume><capacity>1</capacity><target><format "
				 "type='%s'/></target></volume>", word);
			if (parse_as(xml, "v", known) < 0 || strcmp(v.d.target.format, word))
				fail_msg("%s: %s: %s", types[i].type, word, e.text);
			w += strcspn(w, " ");
			if (!*w)
				break;
		}
		snprintf(xml, sizeof xml, "<volume><capacity>1</capacity><target><format type='%s'/>"
			 "</target></volume>", types[i].bad);
		assert_int_equal(parse_as(xml, "v", known), -EINVAL);
		assert_non_null(strstr(e.text, types[i].bad));
	}
	/* a type without formats ignores them */
	assert_null(backend_find("logical")->vol_formats);
	assert_int_equal(parse_as(xml, "v", NULL), 0);
	assert_null(v.d.target.format);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(printed, clean), cmocka_unit_test_teardown(any_bytes, clean),
		cmocka_unit_test_teardown(disks, clean), cmocka_unit_test_teardown(round_trip, clean),
		cmocka_unit_test_teardown(sizes, clean), cmocka_unit_test_teardown(refusals, clean),
		cmocka_unit_test_teardown(taken, clean), cmocka_unit_test_teardown(formats, clean),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("volume_xml", tests, NULL, NULL);
}
