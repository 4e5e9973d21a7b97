/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * settle.c - the end of reading a pool's XML: what must be there, what goes
 * together, and the defaults.
 *
 * Called by define.c when all rows are read. The rules are libvirt's, so that
 * what passes here passes there, and its canonical form is ours; the sentences
 * are poolfs's. Never looks at other pools or at the storage.
 */
#include "define.h"

#include <stdlib.h>
#include <string.h>

#define BAD "bad pool XML in line %u: "

/* ---- what must be there ------------------------------------------------------------ */

static int needs_check(struct reading *r, const struct pool_type *t, struct err *e)
{
	char path[64];

	for (const char *n = t->needs ? t->needs : ""; *n; n += strspn(n, " ")) {
		size_t len = strcspn(n, " ");

		snprintf(path, sizeof path, "%.*s", (int)len, n);
		if (!row_line(&r->rows, path))
			return err_set(e, EINVAL, BAD "a %s pool must have '%s'", r->rows.root_line,
				       t->type, path);
		n += len;
	}
	return 0;
}

/* ---- names -------------------------------------------------------------------------- */

static int name_settle(struct reading *r, const struct pool_type *t, const char *name,
		       struct err *e)
{
	unsigned line = row_line(&r->rows, "name");
	struct pool_def *def = r->def;

	if (!def->name) {
		const char *other = name ? name : t->named ? def->source.name : NULL;

		if (!other)
			return err_set(e, EINVAL, BAD "<pool> has no <name>", r->rows.root_line);
		def->name = xstrdup(other);
	} else if (name && strcmp(def->name, name) != 0) {
		return err_set(e, EINVAL, BAD "<name> is '%.245s', but the file is '%s.xml'; make "
			       "them the same or leave <name> out", line, def->name, name);
	}
	if (name_check(NAME_POOL, def->name, e) < 0)
		return err_wrap(e, "bad pool XML in line %u", line ? line : r->rows.root_line);
	if (t->named && !def->source.name)
		def->source.name = xstrdup(def->name);
	/* It becomes part of a path and of many a program's arguments. */
	if (t->target && (strchr(def->source.name, '/') || !strcmp(def->source.name, "..") ||
			  !strcmp(def->source.name, ".")))
		return err_set(e, EINVAL, BAD "'%.128s' is no name of a volume group",
			       row_line(&r->rows, "source/name") ? row_line(&r->rows, "source/name") : r->rows.root_line,
			       def->source.name);
	if (t->target) {
		free(def->target);
		def->target = xasprintf("%s%s", t->target, def->source.name);
	}
	return 0;
}

/* ---- adapter ------------------------------------------------------------------------ */

static void forget(char **text)
{
	free(*text);
	*text = NULL;
}

/* Without a type it is the adapter of 2012, which has a name and nothing else. */
static int adapter_type(struct reading *r, unsigned line, struct err *e)
{
	struct pool_adapter *a = &r->def->source.adapter;

	if (a->type)
		return 0;
	if (a->wwnn || a->wwpn || a->parent || a->parentaddr)
		return err_set(e, EINVAL, BAD "<adapter> has no type; give 'scsi_host' or 'fc_host'",
			       line);
	a->type = xstrdup("scsi_host");
	return 0;
}

static int adapter_scsi_host(struct reading *r, unsigned line, struct err *e)
{
	struct pool_adapter *a = &r->def->source.adapter;

	forget(&a->wwnn);
	forget(&a->wwpn);
	forget(&a->parent);
	forget(&a->parent_wwnn);
	forget(&a->parent_wwpn);
	forget(&a->parent_fabric_wwn);
	a->managed = YESNO_UNSET;
	if (!a->name == !a->parentaddr)
		return err_set(e, EINVAL, BAD "<adapter> must have either a name, such as 'host0', "
			       "or <parentaddr>", line);
	if (!a->parentaddr)
		return 0;
	if (!row_line(&r->rows, "source/adapter/parentaddr/address"))
		return err_set(e, EINVAL, BAD "<parentaddr> has no <address>", line);
	if (!a->domain && !a->bus && !a->slot)
		return err_set(e, EINVAL, BAD "<address> is that of no device; give domain, bus, slot "
			       "and function", line);
	if (!row_line(&r->rows, "source/adapter/parentaddr@unique_id"))
		return err_set(e, EINVAL, BAD "<parentaddr> has no unique_id", line);
	return 0;
}

static int adapter_fc_host(struct reading *r, unsigned line, struct err *e)
{
	struct pool_adapter *a = &r->def->source.adapter;

	forget(&a->name);
	a->parentaddr = false;
	if (!a->wwnn || !a->wwpn)
		return err_set(e, EINVAL, BAD "an <adapter> of type 'fc_host' must have wwnn and wwpn",
			       line);
	if (!a->parent_wwnn != !a->parent_wwpn)
		return err_set(e, EINVAL, BAD "<adapter> must have both parent_wwnn and parent_wwpn, "
			       "or none of them", line);
	return 0;
}

static int adapter_settle(struct reading *r, struct err *e)
{
	unsigned line = row_line(&r->rows, "source/adapter");
	int ret;

	if (!line)
		return 0;
	ret = adapter_type(r, line, e);
	if (ret < 0)
		return ret;
	return strcmp(r->def->source.adapter.type, "fc_host") == 0 ? adapter_fc_host(r, line, e)
								   : adapter_scsi_host(r, line, e);
}

/* ---- the rest of the source ----------------------------------------------------------- */

static int auth_settle(struct reading *r, struct err *e)
{
	struct pool_auth *a = &r->def->source.auth;
	unsigned line = row_line(&r->rows, "source/auth");
	int secrets = !!a->secret_uuid[0] + !!a->secret_usage + !!a->password;

	if (!line)
		return 0;
	if (!a->type)
		return err_set(e, EINVAL, BAD "<auth> has no type; give 'chap' or 'ceph'", line);
	if (row_line(&r->rows, "source/auth@login") && row_line(&r->rows, "source/auth@username"))
		return err_set(e, EINVAL, BAD "<auth> has a username and, in the old spelling, a login; "
			       "leave one out", line);
	if (!a->username)
		return err_set(e, EINVAL, BAD "<auth> has no username", line);
	if (secrets != 1)
		return err_set(e, EINVAL, BAD "<auth> must have one <secret>, by uuid or by usage",
			       line);
	return 0;
}

static int protocol_settle(struct reading *r, struct err *e)
{
	const char *format = r->def->source.format;

	if (!r->def->source.protocol || !strcmp(format, "auto") || !strcmp(format, "nfs"))
		return 0;
	return err_set(e, EINVAL, BAD "<protocol ver> is for the formats 'auto' and 'nfs', not for "
		       "'%s'", row_line(&r->rows, "source/protocol@ver"), format);
}

int def_settle(struct reading *r, const char *name, struct err *e)
{
	const struct pool_type *t = pool_type_find(r->def->type);
	struct pool_def *def = r->def;
	int ret;

	if (def->cow && !words_hold("dir fs", def->type))
		return err_set(e, EINVAL, BAD "<cow> is for pools of type 'dir' and 'fs' only",
			       row_line(&r->rows, "features/cow@state"));
	ret = needs_check(r, t, e);
	if (ret == 0)
		ret = name_settle(r, t, name, e);
	if (ret == 0)
		ret = adapter_settle(r, e);
	if (ret == 0)
		ret = auth_settle(r, e);
	if (ret < 0)
		return ret;
	if (t->format && !def->source.format)
		def->source.format = xstrdup(t->format);
	return protocol_settle(r, e);
}
