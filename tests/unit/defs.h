/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * defs.h - a pool's XML in a unit test: taken, or refused with a sentence.
 * Included behind cmocka.h.
 */
#ifndef POOLFS_UNIT_DEFS_H
#define POOLFS_UNIT_DEFS_H

#include "../../control/control.h"

static struct pool_def *parse(const char *xml)
{
	struct pool_def *def = NULL;
	struct err e = {0};

	if (def_parse(xml, strlen(xml), NULL, &def, &e) < 0)
		fail_msg("refused: %s, of: %s", e.text, xml);
	return def;
}

static void refuse(const char *xml, const char *part)
{
	struct pool_def *def = (void *)1;
	struct err e = {0};
	int ret = def_parse(xml, strlen(xml), NULL, &def, &e);

	if (ret != -EINVAL || e.code != EINVAL || !strstr(e.text, part) || strchr(e.text, '\n'))
		fail_msg("%d '%s', wanted '%s', of: %s", ret, e.text, part, xml);
	if (strstr(e.text, "sesame"))
		fail_msg("a password in: %s", e.text);
	assert_null(def);
}

#endif
