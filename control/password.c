/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * password.c - what becomes of a password that a definition holds as plain text,
 * as iSCSI's did in the XML of 2012 (passwd='...').
 *
 * Called by manage.c while it defines, loads and undefines. The password becomes a
 * secret (secrets.c), and the definition names that secret: so it is never
 * printed, nor written to NAME.xml. Reads no secret.
 */
#include "pool.h"

#include <stdlib.h>
#include <string.h>

/* By uuid, so that a pool that was renamed still finds it. */
static char *password_usage(const struct pool_def *def)
{
	return xasprintf("poolfs-%s", def->uuid);
}

bool password_kept(const struct pool_def *def)
{
	_cleanup_free_ char *own = password_usage(def);

	return def->source.auth.secret_usage && !strcmp(def->source.auth.secret_usage, own);
}

int password_keep(struct pool_def *def, struct err *e)
{
	struct pool_auth *a = &def->source.auth;
	_cleanup_free_ char *usage = password_usage(def), *name = xasprintf("usage:%s", usage);
	int rc;

	if (!a->password)
		return 0;
	rc = secret_set(name, a->password, strlen(a->password), e);
	if (rc)
		return err_wrap(e, "cannot keep the password of pool '%s'", def->name);
	explicit_bzero(a->password, strlen(a->password));
	free(a->password);
	a->password = NULL;
	a->secret_usage = xstrdup(usage);
	return 0;
}

int password_drop(const struct pool_def *def, struct err *e)
{
	_cleanup_free_ char *usage = password_usage(def), *name = xasprintf("usage:%s", usage);
	int rc = password_kept(def) ? secret_remove(name, e) : 0;

	return rc == -ENOENT ? 0 : rc;
}
