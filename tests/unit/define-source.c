/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * define-source.c - unit tests of adapters and authentication in a pool's XML,
 * in the dialect of 2012 and in today's.
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
#include "defs.h"

#define SCSI(inside) "<pool type='scsi'><name>p</name><source>\n" inside \
		     "</source><target><path>/dev/disk/by-path</path></target></pool>"
#define ISCSI(inside) "<pool type='iscsi'><name>p</name><source><host name='h'/>\n" inside \
		      "</source><target><path>/dev/disk/by-path</path></target></pool>"

/* The element is printed so, and read back. */
static void prints(const char *xml, const char *want)
{
	struct pool_def *def = parse(xml), *again;
	struct buf out = {0}, second = {0};

	def_format(def, NULL, &out);
	if (!strstr(out.data, want))
		fail_msg("wanted: %s\nin: %s", want, out.data);
	again = parse(out.data);
	def_format(again, NULL, &second);
	assert_string_equal(second.data, out.data);
	def_free(def);
	def_free(again);
	buf_release(&out);
	buf_release(&second);
}

/* ---- adapters ------------------------------------------------------------------------- */

static void adapters(void **state)
{
	struct pool_def *def;

	(void)state;
	prints(SCSI("<adapter name='host0'/>"), "    <adapter type='scsi_host' name='host0'/>\n");
	prints(SCSI("<adapter type='scsi_host' name='a&amp;b' wwnn='20000000c9831b4b' parent='x'/>"),
	       "    <adapter type='scsi_host' name='a&amp;b'/>\n");
	prints(SCSI("<adapter type='scsi_host'><parentaddr unique_id='0'><address bus='0x1F' "
		    "slot='9'/></parentaddr></adapter>"),
	       "    <adapter type='scsi_host'>\n      <parentaddr unique_id='0'>\n"
	       "        <address domain='0x0000' bus='0x1f' slot='0x09' function='0x0'/>\n"
	       "      </parentaddr>\n    </adapter>\n");
	prints(SCSI("<adapter type='fc_host' wwpn='10000000C9831B4B' wwnn='20000000c9831b4b' "
		    "managed='no' parent='scsi_host5' name='x'/>"),
	       "    <adapter type='fc_host' parent='scsi_host5' managed='no' "
	       "wwnn='20000000c9831b4b' wwpn='10000000C9831B4B'/>\n");
	prints(SCSI("<adapter type='fc_host' wwpn='10000000c9831b4b' wwnn='20000000c9831b4b' "
		    "parent_fabric_wwn='20000000c9831b4c' parent_wwpn='10000000c9831b4d' "
		    "parent_wwnn='20000000c9831b4d'/>"),
	       "    <adapter type='fc_host' parent_wwnn='20000000c9831b4d' "
	       "parent_wwpn='10000000c9831b4d' parent_fabric_wwn='20000000c9831b4c' "
	       "wwnn='20000000c9831b4b' wwpn='10000000c9831b4b'/>\n");
	def = parse(SCSI("<adapter type='scsi_host'><parentaddr unique_id='7'><address domain='1' "
			 "bus='2' slot='3' function='4'/></parentaddr></adapter>"));
	assert_true(def->source.adapter.parentaddr);
	assert_int_equal(def->source.adapter.unique_id, 7);
	assert_int_equal(def->source.adapter.domain, 1);
	assert_int_equal(def->source.adapter.function, 4);
	def_free(def);
}

static void adapters_bad(void **state)
{
	(void)state;
	refuse(SCSI("<adapter/>"), "line 2: <adapter> must have either a name");
	refuse(SCSI("<adapter type='scsi_host'/>"), "must have either a name");
	refuse(SCSI("<adapter type='ide' name='x'/>"),
	       "unknown word 'ide'; give one of scsi_host, fc_host");
	refuse(SCSI("<adapter wwnn='20000000c9831b4b'/>"), "<adapter> has no type");
	refuse(SCSI("<adapter name='h'><parentaddr unique_id='1'><address slot='1'/></parentaddr>"
		    "</adapter>"), "<adapter> has no type");
	refuse(SCSI("<adapter type='scsi_host' name='h'><parentaddr unique_id='1'><address slot='1'/>"
		    "</parentaddr></adapter>"), "either");
	refuse(SCSI("<adapter type='scsi_host'><parentaddr unique_id='1'/></adapter>"),
	       "<parentaddr> has no <address>");
	refuse(SCSI("<adapter type='scsi_host'><parentaddr><address slot='1'/></parentaddr></adapter>"),
	       "<parentaddr> has no unique_id");
	refuse(SCSI("<adapter type='scsi_host'><parentaddr unique_id='1'><address function='1'/>"
		    "</parentaddr></adapter>"), "is that of no device");
	refuse(SCSI("<adapter type='scsi_host'><parentaddr unique_id='-1'><address slot='1'/>"
		    "</parentaddr></adapter>"), "'-1'");
	refuse(SCSI("<adapter type='scsi_host'><parentaddr unique_id='1'>\n<address slot='0x20'/>"
		    "</parentaddr></adapter>"), "line 3: <address slot>: '0x20' is no number up to 31");
	refuse(SCSI("<adapter type='scsi_host'><parentaddr unique_id='1'><address domain='65536'/>"
		    "</parentaddr></adapter>"), "up to 65535");
	refuse(SCSI("<adapter type='fc_host' wwnn='20000000c9831b4b'/>"), "must have wwnn and wwpn");
	refuse(SCSI("<adapter type='fc_host' wwnn='20000000c9831b4' wwpn='10000000c9831b4b'/>"),
	       "<adapter wwnn>: '20000000c9831b4' is no world wide name");
	refuse(SCSI("<adapter type='fc_host' wwnn='20000000c9831b4b' wwpn='10000000c9831b4bg'/>"),
	       "no world wide name");
	refuse(SCSI("<adapter type='fc_host' wwnn='20000000c9831b4b' wwpn='10000000c9831b4b' "
		    "parent_wwnn='10000000c9831b4b'/>"), "both parent_wwnn and parent_wwpn");
	refuse(SCSI("<adapter name='a'/>\n<adapter name='b'/>"), "line 3: a second <adapter name>");
}

/* ---- authentication ----------------------------------------------------------------------- */

static void auth(void **state)
{
	(void)state;
	prints(ISCSI("<auth type='chap' username='u'><secret type='iscsi' usage='a b'/></auth>"),
	       "    <auth type='chap' username='u'>\n      <secret usage='a b'/>\n    </auth>\n");
	prints(ISCSI("<auth username='u' type='ceph'><secret uuid='2EC115D73A883CEBBC120AC909A6FD87'/>"
		     "</auth>"), "<secret uuid='2ec115d7-3a88-3ceb-bc12-0ac909a6fd87'/>");
	refuse(ISCSI("<auth/>"), "line 2: <auth> has no type");
	refuse(ISCSI("<auth type='none' username='u'/>"), "unknown word 'none'; give one of chap, ceph");
	refuse(ISCSI("<auth type='chap'><secret usage='s'/></auth>"), "<auth> has no username");
	refuse(ISCSI("<auth type='chap' username='u'/>"), "must have one <secret>");
	refuse(ISCSI("<auth type='chap' username='u'><secret/></auth>"), "must have one <secret>");
	refuse(ISCSI("<auth type='chap' username='u'><secret usage='s' "
		     "uuid='2ec115d7-3a88-3ceb-bc12-0ac909a6fd87'/></auth>"), "must have one <secret>");
	refuse(ISCSI("<auth type='chap' username='u'><secret uuid='x'/></auth>"), "'x' is no uuid");
}

static void auth_2012(void **state)
{
	struct pool_def *def = parse(ISCSI("<auth type='chap' login='u' passwd='open sesame'/>"));
	struct pool_def *copy = def_copy(def);
	struct buf out = {0};

	(void)state;
	def_free(def);
	assert_string_equal(copy->source.auth.username, "u");
	assert_string_equal(copy->source.auth.password, "open sesame");
	def_format(copy, NULL, &out);
	assert_null(strstr(out.data, "sesame"));
	assert_null(strstr(out.data, "passwd"));
	assert_null(strstr(out.data, "login"));
	assert_non_null(strstr(out.data, "<auth type='chap' username='u'"));
	buf_release(&out);
	def_free(copy);
	/* login is a username in all else. */
	prints(ISCSI("<auth type='ceph' login='u'><secret usage='s'/></auth>"),
	       "    <auth type='ceph' username='u'>\n      <secret usage='s'/>\n    </auth>\n");
	refuse(ISCSI("<auth type='chap' login='u' username='v' passwd='sesame'/>"), "leave one out");
	refuse(ISCSI("<auth type='chap' username='v' login='u' passwd='sesame'/>"), "leave one out");
	refuse(ISCSI("<auth type='chap' passwd='sesame'/>"), "<auth> has no username");
	refuse(ISCSI("<auth type='chap' login='u' passwd='sesame'><secret usage='s'/></auth>"),
	       "must have one <secret>");
	refuse(ISCSI("<auth type='chap' login='u' passwd=''/>"), "must have one <secret>");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adapters), cmocka_unit_test(adapters_bad), cmocka_unit_test(auth),
		cmocka_unit_test(auth_2012),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("define-source", tests, NULL, NULL);
}
