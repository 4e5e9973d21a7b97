/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sources.c - unit tests of what control/sources/ tells: the output of the programs
 * that are asked, adapters in a tree like /sys, and the names of hosts.
 *
 * Started by tests/run; prints TAP. The outputs are recorded from pvs 2.03, showmount
 * 2.6 and iscsiadm 2.1; no program is run and no host is asked.
 */
#include "../../backends/sources.h"
#include "../../control/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static struct buf told;

static const char *or_dash(const char *text)
{
	return text ? text : "-";
}

static void tell(void *arg, const struct pool_source *s)
{
	(void)arg;
	for (size_t i = 0; i < s->host_count; i++)
		buf_addf(&told, "host %s %u ", s->hosts[i].name, s->hosts[i].port);
	for (size_t i = 0; i < s->device_count; i++)
		buf_addf(&told, "device %s ", s->devices[i].path);
	if (s->dir)
		buf_addf(&told, "dir %s ", s->dir);
	if (s->name)
		buf_addf(&told, "name %s ", s->name);
	if (s->adapter.type)
		buf_addf(&told, "adapter %s %s %s %s ", s->adapter.type, or_dash(s->adapter.name),
			 or_dash(s->adapter.wwnn), or_dash(s->adapter.wwpn));
	buf_addf(&told, "\n");
}

static int clean(void **state)
{
	(void)state;
	buf_release(&told);
	return 0;
}

static const char *said(void)
{
	return told.data ? told.data : "";
}

static void volume_groups(void **state)
{
	char text[] = "  /dev/loop0|data \n  /dev/sdb1|other\n  /dev/sdc|data\n  /dev/sdd|\n"
		      "  [unknown]|data\n  [unknown]|gone\n";
	char none[] = "";

	(void)state;
	pvs_read(none, tell, NULL);
	assert_string_equal(said(), "");
	pvs_read(text, tell, NULL);
	assert_string_equal(said(), "device /dev/loop0 device /dev/sdc name data \n"
			    "device /dev/sdb1 name other \nname gone \n");
}

static void exports(void **state)
{
	const struct pool_host host = { .name = (char *)"h" };
	char text[] = "/srv            *\n/tmp/my exports 10.0.0.0/8,client.example\n"
		      "/\t(everyone)\nrubbish\n\n/\n";

	(void)state;
	showmount_read(text, &host, tell, NULL);
	assert_string_equal(said(), "host h 0 dir /srv \nhost h 0 dir /tmp/my exports \n"
			    "host h 0 dir / \n");
}

static void targets(void **state)
{
	const struct pool_host host = { .name = (char *)"h", .port = 3261 };
	char text[] = "10.0.0.1:3260,1 iqn.2003-01.org.example:a\n"
		      "[fe80::1]:3260,1 iqn.2003-01.org.example:a\n"
		      "10.0.0.1:3260,1 iqn.2003-01.org.example:b\nno portal\n";

	(void)state;
	iscsiadm_read(text, &host, tell, NULL);
	assert_string_equal(said(), "host h 3261 device iqn.2003-01.org.example:a \n"
			    "host h 3261 device iqn.2003-01.org.example:b \n");
}

static void file_make(const char *root, const char *path, const char *text)
{
	_cleanup_free_ char *command = xasprintf(
		"mkdir -p '%s/%s' && rmdir '%s/%s' && printf '%%s\\n' '%s' >'%s/%s'",
		root, path, root, path, text, root, path);

	assert_int_equal(system(command), 0);
}

static void adapters(void **state)
{
	char root[] = "/tmp/poolfs-unit.XXXXXX";
	_cleanup_free_ char *remove = NULL;
	struct err e;

	(void)state;
	assert_non_null(mkdtemp(root));
	remove = xasprintf("rm -r '%s'", root);
	assert_int_equal(adapters_each(root, tell, NULL, &e), 0);
	assert_string_equal(said(), "");
	for (const char *const *h = (const char *const[]){ "host10", "host2", "host0", NULL }; *h; h++) {
		_cleanup_free_ char *path = xasprintf("class/scsi_host/%s/state", *h);

		file_make(root, path, "running");
	}
	file_make(root, "class/fc_host/host2/node_name", "0x20000025b5aa0001");
	file_make(root, "class/fc_host/host2/port_name", "0x10000025b5aa0001");
	/* without a link its names are all ones, or too short: it has none */
	file_make(root, "class/fc_host/host10/node_name", "0x0");
	file_make(root, "class/fc_host/host10/port_name", "0x0");
	assert_int_equal(adapters_each(root, tell, NULL, &e), 0);
	assert_int_equal(system(remove), 0);
	assert_string_equal(said(), "adapter scsi_host scsi_host0 - - \n"
			    "adapter scsi_host scsi_host2 - - \n"
			    "adapter scsi_host scsi_host10 - - \n"
			    "adapter fc_host - 20000025b5aa0001 10000025b5aa0001 \n");
}

static void hosts(void **state)
{
	static const char *const good[] = {
		"a", "server", "Server-1.example.org", "example.org.", "10.0.0.1", "10.0.0.1:3260",
		"host:1", "host:65535", "a_b", "::1", "fe80::1%eth0", "[::1]", "[fe80::1]:3260",
		"2001:db8::1",
	};
	static const char *const bad[] = {
		"", ".", "..", ".pool", ".hidden", "-x", "--help", "a..b", "a.-b", "a b", "a/b",
		"a;b", "$(id)", "a\nb", "host:", "host:0", "host:65536", "host:080", "host:x",
		"host:1:2", "[::1", "[::1]x", "[::1]:", "[host]:1", "[]", ":1", ":", "::1:x",
		"fe80::1%", "fe80::1%a b", "h\303\266st",
	};
	char label[80], name[300];

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		if (!source_host_ok(good[i]))
			fail_msg("'%s' is refused", good[i]);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (source_host_ok(bad[i]))
			fail_msg("'%s' is taken", bad[i]);
	snprintf(label, sizeof label, "%063d", 0);
	assert_true(source_host_ok(label));
	snprintf(label, sizeof label, "%064d", 0);
	assert_false(source_host_ok(label));
	for (size_t i = 0; i < sizeof name - 1; i++)
		name[i] = i % 2 ? '.' : 'a';
	name[253] = '\0';
	assert_true(source_host_ok(name));
	name[253] = '.';
	name[254] = 'a';
	name[255] = '\0';
	assert_false(source_host_ok(name));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(volume_groups, clean),
		cmocka_unit_test_teardown(exports, clean),
		cmocka_unit_test_teardown(targets, clean),
		cmocka_unit_test_teardown(adapters, clean),
		cmocka_unit_test(hosts),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("sources", tests, NULL, NULL);
}
