/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * base.h - a control floor in a directory of its own, for unit tests that define and
 * start pools. Included behind cmocka.h.
 */
#ifndef POOLFS_UNIT_BASE_H
#define POOLFS_UNIT_BASE_H

#include "../../backends/fault.h"
#include "../../control/control.h"

static char *base;

static void daemon_begin(void)
{
	_cleanup_free_ char *source = xasprintf("%s/source", base);
	_cleanup_free_ char *run = xasprintf("%s/run", base), *mount = xasprintf("%s/mount", base);
	struct control_options o = {
		.source = source, .rundir = run, .mountpoint = mount, .fault = true,
	};
	struct err e = {0};

	if (control_init(&o, &e))
		fail_msg("%s", e.text);
}

static int setup(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	base = xasprintf("%s/poolfs-unit-XXXXXX", tmp ? tmp : "/var/tmp");
	if (!mkdtemp(base))
		return -1;
	daemon_begin();
	return 0;
}

static int teardown(void **state)
{
	_cleanup_free_ char *command = xasprintf("rm -rf -- '%s'", base);
	struct err e = {0};

	(void)state;
	fault_rule("clear", &e);
	control_end();
	free(base);
	return system(command);
}

#endif
