/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * name.c - the one place where a name from outside is judged.
 *
 * Called by control/ and fs/ for all that a user typed, by the wrappers once
 * more, and by drivers to hide what cannot be named. Never rewrites a name.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "backend.h"

#include <string.h>

enum { POOL_NAME_MAX = 245, VOLUME_NAME_MAX = 255 };

/* Length of the well-formed character at s (RFC 3629) that XML may hold, or 0. */
static size_t utf8_length(const unsigned char *s)
{
	uint32_t c;
	size_t len;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf) {
		len = 2;
		c = s[0] & 0x1f;
	} else if (s[0] >= 0xe0 && s[0] <= 0xef) {
		len = 3;
		c = s[0] & 0x0f;
	} else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
		len = 4;
		c = s[0] & 0x07;
	} else {
		return 0;
	}
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)      /* the closing NUL as well */
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (len == 3 && (c < 0x800 || (c >= 0xd800 && c <= 0xdfff) || c >= 0xfffe))
		return 0;
	if (len == 4 && (c < 0x10000 || c > 0x10ffff))
		return 0;
	return len;
}

static int pool_name_check(const char *name, struct err *e)
{
	const unsigned char *s = (const unsigned char *)name;

	if (name[0] == '.')
		return err_set(e, EINVAL, "bad pool name '%s': it begins with a dot; "
			       "such names are reserved", name);
	if (name[0] == '-')
		return err_set(e, EINVAL, "bad pool name '%s': it begins with '-' and "
			       "would be taken for an option", name);
	if (strcmp(name, "control") == 0)
		return err_set(e, EINVAL, "bad pool name 'control': it is reserved");
	/* control/pools/ has a directory NAME beside the definitions OTHER.xml. */
	if (strlen(name) >= 4 && strcmp(name + strlen(name) - 4, ".xml") == 0)
		return err_set(e, EINVAL, "bad pool name '%s': it ends in '.xml' and would be "
			       "taken for a definition", name);
	if (name[strspn(name, " ")] == '\0')
		return err_set(e, EINVAL, "bad pool name '%s': it is all blanks", name);
	while (*s) {
		size_t len = utf8_length(s);

		if (len == 0)
			return err_set(e, EINVAL, "bad pool name '%s': it is not "
				       "valid UTF-8", name);
		s += len;
	}
	return 0;
}

static int volume_name_check(const char *name, struct err *e)
{
	if (strcmp(name, ".pool") == 0 || strcmp(name, ".snap") == 0 ||
	    strcmp(name, ".raw") == 0)
		return err_set(e, EINVAL, "bad volume name '%s': it is reserved", name);
	if (strncmp(name, ".poolfs.", 8) == 0)
		return err_set(e, EINVAL, "bad volume name '%s': names that begin with "
			       "'.poolfs.' are reserved", name);
	return 0;
}

int name_check(enum name_of of, const char *name, struct err *e)
{
	const char *what = of == NAME_POOL ? "pool" : "volume";
	size_t max = of == NAME_POOL ? POOL_NAME_MAX : VOLUME_NAME_MAX;

	if (name[0] == '\0')
		return err_set(e, EINVAL, "bad %s name '': it is empty", what);
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return err_set(e, EINVAL, "bad %s name '%s': it means a directory",
			       what, name);
	if (strlen(name) > max)
		return err_set(e, ENAMETOOLONG, "bad %s name '%.32s...': it is longer "
			       "than %zu bytes", what, name, max);
	for (const char *s = name; *s; s++) {
		if (*s == '/')
			return err_set(e, EINVAL, "bad %s name '%s': it contains a "
				       "slash", what, name);
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return err_set(e, EINVAL, "bad %s name '%s': it contains a "
				       "control character", what, name);
	}
	return of == NAME_POOL ? pool_name_check(name, e) : volume_name_check(name, e);
}
