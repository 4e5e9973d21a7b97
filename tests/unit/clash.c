/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * clash.c - unit tests of what one definition means for others: pools on one
 * source, types whose driver is not there, and passwords in plain text.
 *
 * Started by tests/run; prints TAP. Works in a directory of its own; touches no
 * device, and starts nothing but pools that must fail to start.
 */
#include "../../control/control.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "base.h"

/* inside NULL: no <source>. target NULL: none. */
static char *pool_xml(const char *type, const char *inside, const char *target)
{
	_cleanup_free_ char *path = target ? xasprintf("<target><path>%s</path></target>", target)
					   : xstrdup("");

	return xasprintf("<pool type='%s'><source>%s</source>%s</pool>", type, inside, path);
}

static int define(const char *name, const char *xml, struct err *e)
{
	memset(e, 0, sizeof *e);
	return cpool_define(name, xml, strlen(xml), e);
}

static char *xml_of(const char *name)
{
	struct cpool *cp = cpool_find(name);
	struct buf out = {0};

	assert_non_null(cp);
	cpool_xml(cp, &out);
	cpool_put(cp);
	return out.data;
}

/* ---- one source -------------------------------------------------------------------------- */

#define DEV(path) "<device path='" path "'/>"
#define HOST(name) "<host name='" name "'/>"
#define FC(n) "<adapter type='fc_host' parent='scsi_host4' wwnn='20000000c9831b4" n "' " \
	      "wwpn='10000000C9831B4" n "'/>"
#define PCI(slot, id) "<adapter type='scsi_host'><parentaddr unique_id='" id "'><address slot='" \
		      slot "'/></parentaddr></adapter>"
#define BY "/dev/disk/by-path"

static const struct pair {
	const char *type, *inside, *target;     /* of the first */
	const char *type2, *inside2, *target2;
	const char *clash;                      /* in the sentence; NULL: none */
} pairs[] = {
	/* One directory, whatever puts files there. */
	{"dir", "", "/x/t", "dir", "", "/x//t/", "directory"},
	{"dir", "", "/x/t", "dir", "", "/x/u", NULL},
	{"dir", "", "/x/t", "fs", DEV("/d"), "/x/t", "directory"},
	{"netfs", HOST("h") "<dir path='/e'/>", "/x/t", "fs", DEV("/d"), "/x/t", "directory"},
	{"netfs", HOST("h") "<dir path='/e'/>", "/x/t", "dir", "", "/x/t", "directory"},
	/* /dev and the like are everybody's. */
	{"disk", DEV("/d1"), "/dev", "disk", DEV("/d2"), "/dev", NULL},
	{"scsi", "<adapter name='host1'/>", BY, "iscsi", HOST("h") DEV("t"), BY, NULL},
	{"mpath", "", "/dev/mapper", "scsi", "<adapter name='host1'/>", "/dev/mapper", NULL},
	/* Devices, across the types that take them. */
	{"fs", DEV("/d1"), "/x/t", "fs", DEV("/d1"), "/x/u", "one of these devices"},
	{"fs", DEV("/d1"), "/x/t", "fs", DEV("//x/../d1"), "/x/u", "one of these devices"},
	{"fs", DEV("/d1"), "/x/t", "logical", DEV("/d0") DEV("/d1"), NULL, "one of these devices"},
	{"logical", DEV("/d1") DEV("/d2"), NULL, "disk", DEV("/d2"), "/dev", "one of these devices"},
	{"logical", DEV("/d1"), NULL, "logical", DEV("/d3"), NULL, NULL},
	{"fs", DEV("t"), "/x/t", "iscsi", HOST("h") DEV("t"), BY, NULL},
	/* A server's directory. */
	{"netfs", HOST("h") "<dir path='/e'/>", "/x/t", "netfs", HOST("H") "<dir path='//e/'/>", "/x/u",
	 "this directory of this server"},
	{"netfs", HOST("h") "<dir path='/e'/>", "/x/t", "netfs", HOST("h") "<dir path='/f'/>", "/x/u",
	 NULL},
	{"netfs", HOST("h") "<dir path='/e'/>", "/x/t", "netfs", HOST("g") HOST("h") "<dir path='/e'/>"
	 "<format type='nfs'/>", "/x/u", "this directory of this server"},
	{"netfs", HOST("h") "<dir path='/e'/>", "/x/t", "netfs", HOST("h") "<dir path='/e'/>"
	 "<format type='cifs'/>", "/x/u", NULL},
	{"netfs", "<host name='h' port='1'/><dir path='/e'/>", "/x/t", "netfs",
	 "<host name='h' port='2'/><dir path='/e'/>", "/x/u", NULL},
	{"netfs", HOST("h") "<dir path='/e'/>", "/x/t", "netfs", HOST("i") "<dir path='/e'/>", "/x/u",
	 NULL},
	/* A target, by whatever portal, for one initiator. */
	{"iscsi", HOST("h") DEV("iqn.t"), BY, "iscsi", HOST("i") DEV("IQN.T"), BY, "this target"},
	{"iscsi", HOST("h") DEV("iqn.t"), BY, "iscsi", HOST("h") DEV("iqn.u"), BY, NULL},
	{"iscsi", HOST("h") DEV("iqn.t"), BY, "iscsi",
	 HOST("h") DEV("iqn.t") "<initiator><iqn name='i'/></initiator>", BY, NULL},
	/* Adapters. */
	{"scsi", "<adapter name='host3'/>", BY, "scsi",
	 "<adapter type='scsi_host' name='scsi_host3'/>", BY, "this adapter"},
	{"scsi", "<adapter name='host3'/>", BY, "scsi", "<adapter name='host33'/>", BY, NULL},
	{"scsi", "<adapter name='x'/>", BY, "scsi", "<adapter name='y'/>", BY, NULL},
	{"scsi", FC("a"), BY, "scsi", FC("A"), BY, "this adapter"},
	{"scsi", FC("a"), BY, "scsi", FC("b"), BY, NULL},
	{"scsi", FC("a"), BY, "scsi", "<adapter name='host4'/>", BY, "this adapter"},
	{"scsi", PCI("1", "2"), BY, "scsi", PCI("1", "2"), BY, "this adapter"},
	{"scsi", PCI("1", "2"), BY, "scsi", PCI("1", "3"), BY, NULL},
	{"scsi", PCI("1", "2"), BY, "scsi", "<adapter name='host1'/>", BY, NULL},
	/* The rest. */
	{"mpath", "", "/dev/mapper", "mpath", "", "/dev/other", "multipath"},
	{"sheepdog", HOST("h"), NULL, "sheepdog", "<host name='h' port='7000'/>", NULL, "this cluster"},
	{"sheepdog", HOST("h"), NULL, "sheepdog", "<host name='h' port='7001'/>", NULL, NULL},
	{"rbd", HOST("h") "<name>r</name>", NULL, "rbd", HOST("h") "<name>r</name>", NULL, NULL},
};

/* Both ways round, as the sentence is the same. */
static void pair_check(const struct pair *p, bool swap)
{
	_cleanup_free_ char *one = pool_xml(p->type, p->inside, p->target);
	_cleanup_free_ char *two = pool_xml(p->type2, p->inside2, p->target2);
	struct err e;
	int rc;

	if (define("a", swap ? two : one, &e) < 0)
		fail_msg("%s", e.text);
	rc = define("b", swap ? one : two, &e);
	if (rc != (p->clash ? -EEXIST : 0) ||
	    (p->clash && (!strstr(e.text, "pool 'a' already uses") || !strstr(e.text, p->clash))))
		fail_msg("%d '%s' of\n%s\n%s", rc, e.text, one, two);
	/* A pool does not clash with itself. */
	if (define("a", swap ? two : one, &e) < 0)
		fail_msg("again: %s", e.text);
	assert_int_equal(cpool_undefine("a", &e), 0);
	if (rc == 0)
		assert_int_equal(cpool_undefine("b", &e), 0);
}

static void sources(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		pair_check(&pairs[i], false);
		pair_check(&pairs[i], true);
	}
}

/* The first block device of the machine, if it has any. */
static char *some_device(void)
{
	DIR *dir = opendir("/sys/block");
	struct dirent *d;
	char *found = NULL;

	while (dir && !found && (d = readdir(dir))) {
		char *path = xasprintf("/dev/%s", d->d_name);
		struct stat st;

		if (d->d_name[0] != '.' && stat(path, &st) == 0 && S_ISBLK(st.st_mode))
			found = path;
		else
			free(path);
	}
	if (dir)
		closedir(dir);
	return found;
}

/* By another name. */
static void aliases(void **state)
{
	_cleanup_free_ char *device = some_device(), *link = xasprintf("%s/by-id", base);
	_cleanup_free_ char *one = NULL, *two = NULL;
	struct err e;

	(void)state;
	if (!device) {
		print_message("# no block device here: nothing to give two names to\n");
		return;
	}
	assert_int_equal(symlink(device, link), 0);
	one = xasprintf("<pool type='fs'><source><device path='%s'/></source><target><path>/x/t</path>"
			"</target></pool>", device);
	two = xasprintf("<pool type='logical'><source><device path='%s'/></source></pool>", link);
	assert_int_equal(define("a", one, &e), 0);
	assert_int_equal(define("b", two, &e), -EEXIST);
	assert_non_null(strstr(e.text, "pool 'a' already uses"));
	assert_non_null(strstr(e.text, link));
	assert_non_null(strstr(e.text, device));
}

/* ---- types whose driver is not there ---------------------------------------------------------- */

static void later(void **state)
{
	static const char inside[] =
		HOST("h") "<device path='/nowhere/d'/><dir path='/e'/><adapter name='host77'/>"
		"<name>p</name>";

	(void)state;
	for (size_t i = 0; backends[i]; i++) {
		const struct backend *b = backends[i];
		_cleanup_free_ char *xml = pool_xml(b->type, inside, "/x/t"), *kept = NULL, *after = NULL;
		struct cpool *cp;
		struct buf why = {0};
		struct err e;

		if (!b->later)
			continue;
		if (define("p", xml, &e) < 0)
			fail_msg("%s: %s", b->type, e.text);
		kept = xml_of("p");
		cp = cpool_find("p");
		assert_int_equal(cpool_start(cp, &e), -EOPNOTSUPP);
		assert_non_null(strstr(e.text, b->later));
		cpool_show_error(cp, &why);
		assert_non_null(strstr(why.data, b->later));
		buf_release(&why);
		assert_int_equal(cpool_state(cp), POOL_FAILED);
		assert_int_equal(cpool_build(cp, BUILD_PLAIN, &e), -EOPNOTSUPP);
		cpool_put(cp);
		/* The definition stays, also over a restart. */
		control_end();
		daemon_begin();
		after = xml_of("p");
		assert_string_equal(after, kept);
		assert_int_equal(cpool_undefine("p", &e), 0);
	}
}

/* ---- passwords in plain text -------------------------------------------------------------------- */

#define CHAP "<pool type='iscsi'><source><host name='h'/><device path='t'/>" \
	     "<auth type='chap' login='u' passwd='%s'/></source>" \
	     "<target><path>/dev/disk/by-path</path></target></pool>"

/* The only secret's text, or NULL; its file is readable by the owner alone. */
static char *secret_read(const char *xml)
{
	const char *usage = strstr(xml, "<secret usage='");
	_cleanup_free_ char *path = NULL;
	char text[64] = "";
	struct stat st;
	FILE *f;

	assert_non_null(usage);
	usage += strlen("<secret usage='");
	path = xasprintf("%s/source/secrets/usage:%.*s", base, (int)strcspn(usage, "'"), usage);
	if (stat(path, &st) < 0)
		return NULL;
	assert_int_equal(st.st_mode & 07777, 0600);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_non_null(fgets(text, sizeof text, f));
	fclose(f);
	return xstrdup(text);
}

static bool source_holds(const char *text)
{
	_cleanup_free_ char *command = xasprintf("grep -rqF --exclude-dir=secrets -- '%s' '%s'", text,
						 base);

	return system(command) == 0;
}

static void password(void **state)
{
	_cleanup_free_ char *in = xasprintf(CHAP, "open sesame"), *again = xasprintf(CHAP, "second");
	_cleanup_free_ char *xml = NULL, *same = NULL, *renamed = NULL, *one = NULL, *two = NULL;
	struct err e;

	(void)state;
	if (define("p", in, &e) < 0)
		fail_msg("%s", e.text);
	xml = xml_of("p");
	assert_null(strstr(xml, "sesame"));
	assert_non_null(strstr(xml, "<auth type='chap' username='u'>\n      <secret usage='poolfs-"));
	one = secret_read(xml);
	assert_string_equal(one, "open sesame");
	assert_false(source_holds("sesame"));

	/* What is read can be written back; a new password replaces the old. */
	assert_int_equal(define("p", xml, &e), 0);
	same = xml_of("p");
	assert_string_equal(same, xml);
	assert_int_equal(define("p", again, &e), 0);
	two = secret_read(xml);
	assert_string_equal(two, "second");

	assert_int_equal(cpool_rename("p", "q", &e), 0);
	renamed = xml_of("q");
	free(two);
	two = secret_read(renamed);
	assert_string_equal(two, "second");
	assert_int_equal(cpool_undefine("q", &e), 0);
	assert_null(secret_read(renamed));
}

/* One that does not need it any more leaves none behind. */
static void password_gone(void **state)
{
	_cleanup_free_ char *in = xasprintf(CHAP, "sesame"), *xml = NULL, *bare = NULL;
	struct err e;

	(void)state;
	assert_int_equal(define("p", in, &e), 0);
	xml = xml_of("p");
	bare = pool_xml("iscsi", HOST("h") DEV("t"), BY);
	assert_int_equal(define("p", bare, &e), 0);
	assert_null(secret_read(xml));
}

/* libvirt's directory of 2012, as it is. */
static void password_loaded(void **state)
{
	_cleanup_free_ char *in = xasprintf(CHAP, "sesame"), *path = xasprintf("%s/source/p.xml", base);
	_cleanup_free_ char *xml = NULL, *text = NULL;
	FILE *f;

	(void)state;
	control_end();
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(in, f);
	fclose(f);
	daemon_begin();
	xml = xml_of("p");
	text = secret_read(xml);
	assert_string_equal(text, "sesame");
	assert_false(source_holds("sesame"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(sources), TEST(aliases), TEST(later), TEST(password), TEST(password_gone),
		TEST(password_loaded),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("clash", tests, NULL, NULL);
}
