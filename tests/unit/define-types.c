/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * define-types.c - unit tests of the XML of the ten types: what each prints,
 * its defaults and its formats, what it must have, and what is refused.
 *
 * Started by tests/run; prints TAP. Touches no file.
 */
#include "../../control/fields.h"
#include "../../control/xml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "defs.h"

/* What is printed between the sizes and </pool>, from a copy of the definition;
 * what is printed prints the same again. */
static void prints(const char *xml, const char *want)
{
	struct pool_def *def = parse(xml), *copy = def_copy(def), *again;
	struct buf out = {0}, second = {0};
	const char *begin;
	char *end;

	def_free(def);
	def_format(copy, NULL, &out);
	again = parse(out.data);
	def_format(again, NULL, &second);
	assert_string_equal(second.data, out.data);
	begin = strstr(out.data, "</available>\n");
	assert_non_null(begin);
	begin += strlen("</available>\n");
	end = strstr(out.data, "</pool>");
	*end = '\0';
	assert_string_equal(begin, want);
	def_free(copy);
	def_free(again);
	buf_release(&out);
	buf_release(&second);
}

#define TARGET "<target><path>/t</path></target>"
#define TARGET_OUT "  <target>\n    <path>/t</path>\n  </target>\n"
#define SOURCE_OUT(x) "  <source>\n" x "  </source>\n"

/* ---- what is printed ------------------------------------------------------------------ */

static void defaults(void **state)
{
	(void)state;
	prints("<pool type='fs'><name>p</name><source><device path='/d'/></source>" TARGET "</pool>",
	       SOURCE_OUT("    <device path='/d'/>\n    <format type='auto'/>\n") TARGET_OUT);
	prints("<pool type='netfs'><name>p</name><source><host name='h'/><dir path='/x'/><format/>"
	       "</source>" TARGET "</pool>",
	       SOURCE_OUT("    <host name='h'/>\n    <dir path='/x'/>\n    <format type='auto'/>\n")
	       TARGET_OUT);
	prints("<pool type='disk'><name>p</name><source><device path='/d'/></source>" TARGET "</pool>",
	       SOURCE_OUT("    <device path='/d'/>\n    <format type='unknown'/>\n") TARGET_OUT);
	/* The names of pool and source default to each other; the target follows. */
	prints("<pool type='logical'><name>vg</name><target><path>/other</path></target></pool>",
	       SOURCE_OUT("    <name>vg</name>\n    <format type='lvm2'/>\n")
	       "  <target>\n    <path>/dev/vg</path>\n  </target>\n");
	prints("<pool type='logical'><source><name>vg2</name></source></pool>",
	       SOURCE_OUT("    <name>vg2</name>\n    <format type='lvm2'/>\n")
	       "  <target>\n    <path>/dev/vg2</path>\n  </target>\n");
	prints("<pool type='sheepdog'><name>p</name><source><host name='h'/></source></pool>",
	       SOURCE_OUT("    <host name='h'/>\n    <name>p</name>\n"));
	prints("<pool type='rbd'><source><host name='h' port='0'/><name>r</name></source></pool>",
	       SOURCE_OUT("    <host name='h'/>\n    <name>r</name>\n"));
}

static void order(void **state)
{
	(void)state;
	prints("<pool type='iscsi'>" TARGET "<source><product name='P'/><vendor name='V'/>"
	       "<auth username='u' type='chap'><secret usage='s'/></auth>"
	       "<initiator><iqn name='iqn.i'/></initiator><device path='iqn.t'/>"
	       "<host port='3260' name='b'/><host name='a'/></source><name>p</name></pool>",
	       SOURCE_OUT("    <host name='b' port='3260'/>\n    <host name='a'/>\n"
			  "    <device path='iqn.t'/>\n"
			  "    <initiator>\n      <iqn name='iqn.i'/>\n    </initiator>\n"
			  "    <auth type='chap' username='u'>\n      <secret usage='s'/>\n    </auth>\n"
			  "    <vendor name='V'/>\n    <product name='P'/>\n") TARGET_OUT);
	prints("<pool type='netfs'><name>p</name><source><protocol ver='3'/><format type='nfs'/>"
	       "<dir path='//x//y/'/><host name='h'/></source>" TARGET "</pool>",
	       SOURCE_OUT("    <host name='h'/>\n    <dir path='//x/y'/>\n    <format type='nfs'/>\n"
			  "    <protocol ver='3'/>\n") TARGET_OUT);
}

/* A document with everything in it: each type keeps what it has. */
static void others(void **state)
{
	static const char all[] =
		"<pool type='%s'><name>p</name><source><host name='HOST'/><device path='/DEVICE'/>"
		"<dir path='/DIR'/><adapter name='ADAPTER'/><name>NAME</name>"
		"<initiator><iqn name='IQN'/></initiator>"
		"<auth type='ceph' username='AUTH'><secret usage='x'/></auth>"
		"<protocol ver='3'/><vendor name='VENDOR'/><product name='PRODUCT'/></source>"
		"<target><path>/TARGET</path><permissions><label>LABEL</label></permissions>"
		"<encryption format='luks'><secret type='passphrase' usage='ENC'/></encryption></target>"
		"<refresh><volume allocation='default'/></refresh>"
		"<f:mount_opts xmlns:f='" XML_NS_FS "'><f:option name='MOUNT'/></f:mount_opts>"
		"<r:config_opts xmlns:r='" XML_NS_RBD "'><r:option name='CONFIG' value='x'/>"
		"</r:config_opts></pool>";
	static const struct {
		const char *type, *has;
	} types[] = {
		{"dir", "VENDOR PRODUCT TARGET LABEL"},
		{"fs", "DEVICE VENDOR PRODUCT TARGET LABEL MOUNT"},
		{"netfs", "HOST DIR VENDOR PRODUCT TARGET LABEL MOUNT"},
		{"logical", "DEVICE NAME VENDOR PRODUCT LABEL"},
		{"disk", "DEVICE VENDOR PRODUCT TARGET LABEL"},
		{"iscsi", "HOST DEVICE IQN AUTH VENDOR PRODUCT TARGET LABEL"},
		{"scsi", "ADAPTER VENDOR PRODUCT TARGET LABEL"},
		{"mpath", "TARGET LABEL"},
		{"rbd", "HOST NAME AUTH CONFIG"},
		{"sheepdog", "HOST NAME"},
	};
	static const char *const words[] = {
		"HOST", "DEVICE", "DIR", "ADAPTER", "NAME", "IQN", "AUTH", "VENDOR", "PRODUCT", "TARGET",
		"LABEL", "ENC", "MOUNT", "CONFIG",
	};

	(void)state;
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		_cleanup_free_ char *xml = xasprintf(all, types[i].type);
		struct pool_def *def = parse(xml);
		struct buf out = {0};

		def_format(def, NULL, &out);
		for (size_t w = 0; w < sizeof words / sizeof words[0]; w++)
			if (!strstr(out.data, words[w]) != !words_hold(types[i].has, words[w]))
				fail_msg("%s: %s in:\n%s", types[i].type, words[w], out.data);
		assert_int_equal(!!strstr(out.data, "<refresh>"), !strcmp(types[i].type, "rbd"));
		def_free(def);
		buf_release(&out);
	}
}

static void namespaces(void **state)
{
	(void)state;
#define FS(attributes, inside) "<pool type='fs' " attributes "><name>p</name>" \
	"<source><device path='/d'/></source>" TARGET inside "</pool>"
	struct pool_def *def = parse(FS("xmlns:x='" XML_NS_FS "'", "<x:mount_opts><x:option name='a'/>"
					"<x:option name='b=c,d'/></x:mount_opts>"));
	struct buf out = {0};

	assert_int_equal(def->mount_opt_count, 2);
	assert_string_equal(def->mount_opts[1].name, "b=c,d");
	def_format(def, NULL, &out);
	assert_non_null(strstr(out.data, "<pool type='fs' xmlns:fs='" XML_NS_FS "'>\n"));
	assert_non_null(strstr(out.data, "  <fs:mount_opts>\n    <fs:option name='a'/>\n"
			       "    <fs:option name='b=c,d'/>\n  </fs:mount_opts>\n</pool>\n"));
	buf_release(&out);
	def_free(def);
	/* The name of the namespace counts, not the prefix. */
	for (const char *const *x = (const char *const[]){
		     FS("xmlns:fs='http://example.com/fs'", "<fs:mount_opts><fs:option name='a'/>"
			"</fs:mount_opts>"),
		     FS("", "<fs:mount_opts><fs:option name='a'/></fs:mount_opts>"),
		     FS("", "<mount_opts><option name='a'/></mount_opts>"),
		     FS("xmlns:fs='" XML_NS_FS "'", "<fs:mount_opts><option name='a'/></fs:mount_opts>"),
		     NULL}; *x; x++) {
		def = parse(*x);
		assert_int_equal(def->mount_opt_count, 0);
		def_free(def);
	}
	refuse(FS("xmlns:fs='" XML_NS_FS "'", "\n<fs:mount_opts>\n<fs:option/></fs:mount_opts>"),
	       "line 3: <fs:option> has no name");
}

/* ---- formats -------------------------------------------------------------------------- */

static void formats(void **state)
{
	static const struct {
		const char *type, *inside, *formats;
	} types[] = {
		{"fs", "<device path='/d'/>", "auto ext2 ext3 ext4 ufs iso9660 udf gfs gfs2 vfat hfs+ "
		 "xfs btrfs ocfs2 vmfs"},
		{"netfs", "<host name='h'/><dir path='/x'/>", "auto nfs glusterfs cifs"},
		{"logical", "", "lvm2 unknown"},
		{"disk", "<device path='/d'/>", "dos dvh gpt mac bsd pc98 sun lvm2 unknown"},
	};
	static const char *const wrong[] = {"ntfs", "EXT4", "", " ", "auto ext2", "dos dvh", "raw"};

	(void)state;
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		const char *list = types[i].formats;

		for (const char *f = list; *f; f += strspn(f, " ")) {
			int len = (int)strcspn(f, " ");
			_cleanup_free_ char *xml = xasprintf(
				"<pool type='%s'><name>p</name><source>%s<format type='%.*s'/></source>" TARGET
				"</pool>", types[i].type, types[i].inside, len, f);
			struct pool_def *def = parse(xml);

			assert_int_equal(strlen(def->source.format), len);
			assert_memory_equal(def->source.format, f, len);
			def_free(def);
			f += len;
		}
		for (size_t w = 0; w < sizeof wrong / sizeof wrong[0]; w++) {
			_cleanup_free_ char *xml = xasprintf(
				"<pool type='%s'><name>p</name><source>%s\n<format type='%s'/></source>" TARGET
				"</pool>", types[i].type, types[i].inside, wrong[w]);
			_cleanup_free_ char *part = xasprintf("unknown word '%s'", wrong[w]);

			if (!wrong[w][0])       /* as good as absent */
				continue;
			refuse(xml, part);
			refuse(xml, "line 2: <format type>: ");
			for (const char *f = list; *f; f += strcspn(f, " "), f += strspn(f, " ")) {
				_cleanup_free_ char *one = strndup(f, strcspn(f, " "));

				refuse(xml, one);
			}
		}
	}
	/* The other types have no format, and do not look at one. */
	def_free(parse("<pool type='dir'><name>p</name><source><format type='x'/></source>" TARGET
		       "</pool>"));
}

/* ---- what must be there ------------------------------------------------------------------ */

static void needed(void **state)
{
	(void)state;
#define NEEDS(type, inside, what) \
	refuse("\n<pool type='" type "'><name>p</name>" inside "</pool>", \
	       "line 2: a " type " pool must have '" what "'")
	NEEDS("dir", "", "target/path");
	NEEDS("fs", TARGET, "source/device");
	NEEDS("fs", "<source><device path='/d'/></source>", "target/path");
	NEEDS("netfs", "<source><dir path='/x'/></source>" TARGET, "source/host");
	NEEDS("netfs", "<source><host name='h'/></source>" TARGET, "source/dir@path");
	NEEDS("disk", TARGET, "source/device");
	NEEDS("iscsi", TARGET, "source/host");
	NEEDS("scsi", TARGET, "source/adapter");
	NEEDS("mpath", "<target/>", "target/path");
	NEEDS("rbd", "<source><host name='h'/></source>", "source/name");
	NEEDS("rbd", "<source><name>n</name></source>", "source/host");
	NEEDS("sheepdog", "", "source/host");
	refuse("<pool type='logical'/>", "<pool> has no <name>");
	/* A portal without a target is libvirt's to define, and nobody's to start. */
	def_free(parse("<pool type='iscsi'><name>p</name><source><host name='h'/></source>" TARGET
		       "</pool>"));
}

#define NET(inside) "<pool type='netfs'><name>p</name><source><dir path='/x'/>\n" inside \
		    "</source>" TARGET "</pool>"

static void hosts(void **state)
{
	(void)state;
	refuse(NET("<host/>"), "line 2: <host> has no name");
	refuse(NET("<host name='a'/><host name=''/>"), "line 2: <host> has no name");
	refuse(NET("<host name='a b'/>"), "'a b' is no host");
	refuse(NET("<host name='a/b'/>"), "'a/b' is no host");
	refuse(NET("<host name='-oProxyCommand=x'/>"), "begins with '-'");
	refuse(NET("<host name='a&#10;b'/>"), "control character");
	refuse(NET("<host name='a' port='-1'/>"), "line 2: <host port>: '-1' is no number up to 65535");
	refuse(NET("<host name='a' port='65536'/>"), "65536");
	refuse(NET("<host name='a' port=' 1'/>"), "' 1'");
	refuse(NET("<host name='a' port='nfs'/>"), "'nfs'");
	refuse(NET("<host name='a'/>\n<dir path='/y'/>"), "line 3: a second <dir path>");
	refuse("<pool type='fs'><name>p</name><source><device/></source>" TARGET "</pool>",
	       "<device> has no path");
	refuse("<pool type='fs'><name>p</name><source><device path='/d' part_separator='maybe'/>"
	       "</source>" TARGET "</pool>", "unknown word 'maybe'; give one of yes, no");
	refuse(NET("<host name='a'/><protocol ver='4.1'/>"), "'4.1' is no version of NFS");
	refuse(NET("<host name='a'/><protocol ver='3'/><format type='cifs'/>"),
	       "line 2: <protocol ver> is for the formats 'auto' and 'nfs', not for 'cifs'");
	refuse("<pool type='netfs'><name>p</name><source><host name='h'/><dir path='-x'/></source>"
	       TARGET "</pool>", "begins with '-'");
	refuse("<pool type='scsi'><name>p</name><features><cow state='yes'/></features></pool>",
	       "<cow> is for pools of type 'dir' and 'fs' only");
}

static void dirs(void **state)
{
	static const char *const paths[][2] = {
		{"/a//b///c/", "/a/b/c"}, {"///a", "/a"}, {"//a//b/", "//a/b"}, {"/", "/"}, {"//", "//"},
		{"///", "/"}, {"a//b/", "a/b"}, {"share", "share"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
		_cleanup_free_ char *xml = xasprintf(
			"<pool type='netfs'><name>p</name><source><host name='h'/><dir path='%s'/>"
			"</source>" TARGET "</pool>", paths[i][0]);
		struct pool_def *def = parse(xml);

		assert_string_equal(def->source.dir, paths[i][1]);
		def_free(def);
	}
}

static void volume_groups(void **state)
{
	(void)state;
	for (const char *const *bad = (const char *const[]){"a/b", "..", ".", "../etc", NULL}; *bad;
	     bad++) {
		_cleanup_free_ char *xml = xasprintf("<pool type='logical'><name>p</name><source>\n"
						     "<name>%s</name></source></pool>", *bad);

		refuse(xml, "line 2: ");
		refuse(xml, "is no name of a volume group");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults), cmocka_unit_test(order), cmocka_unit_test(others),
		cmocka_unit_test(namespaces), cmocka_unit_test(formats), cmocka_unit_test(needed),
		cmocka_unit_test(hosts), cmocka_unit_test(dirs), cmocka_unit_test(volume_groups),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("define-types", tests, NULL, NULL);
}
