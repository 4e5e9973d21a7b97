/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * define.c - a pool's XML into a struct pool_def.
 *
 * Called by pool.c, for what a user writes as for what the store gives back.
 * The rows of fields.c say which elements count; others are ignored, as libvirt
 * does. What one row cannot say alone (defaults, what goes together) is judged
 * in settle.c. Never looks at other pools, at the disk or at the network.
 */
#include "define.h"

#include <string.h>

/* ---- lists ------------------------------------------------------------------------- */

static void item_begin(struct rows *rows, const struct field *list, unsigned line)
{
	struct reading *r = (struct reading *)rows;

	if (!list || !field_is_list(list))
		return;
	void **items = list_items(list->list, r->def);
	size_t *count = list_count(list->list, r->def), size = list->list->size;

	*items = xrealloc(*items, (*count + 1) * size);
	r->item = (char *)*items + (*count)++ * size;
	memset(r->item, 0, size);
	for (const struct field *f = list; f->list == list->list; f++)
		r->line[f - fields] = 0;
	r->line[list - fields] = line;
	r->list = list;
}

static int item_end(struct rows *rows, struct err *e)
{
	struct reading *r = (struct reading *)rows;
	const struct field *list = r->list;
	char what[64];

	if (!list || strcmp(list->path, rows->path) != 0)
		return 0;
	r->list = NULL;
	for (const struct field *f = list + 1; f->list == list->list; f++) {
		if (!(f->flags & FIELD_NEEDED) || r->line[f - fields])
			continue;
		row_describe(rows, list, what, sizeof what);
		return err_set(e, EINVAL, "bad pool XML in line %u: %s has no %s",
			       r->line[list - fields], what, strchr(f->path, '@') + 1);
	}
	return 0;
}

/* ---- the rest ------------------------------------------------------------------------ */

static void *base_of(struct rows *rows, const struct field *f)
{
	struct reading *r = (struct reading *)rows;

	return f->list ? r->item : (void *)r->def;
}

static bool counts(struct rows *rows, const struct field *f)
{
	const char *type = ((struct reading *)rows)->def->type;

	return !type || field_applies(f, type);
}

/* The type decides which rows count, so it is judged before all others. */
static int type_check(struct rows *rows, struct err *e)
{
	const char *type = ((struct reading *)rows)->def->type;
	const struct backend *b = type ? backend_find(type) : NULL;
	_cleanup_buf_ struct buf known = {0};

	if (b)
		return 0;
	for (size_t i = 0; backends[i]; i++)
		buf_addf(&known, "%s%s", i ? ", " : "", backends[i]->type);
	if (!type)
		return err_set(e, EINVAL, "bad pool XML in line %u: <pool> has no type; give one of "
			       "%s", rows->root_line, known.data);
	return err_set(e, EINVAL, "bad pool XML in line %u: unknown pool type '%.64s'; give one of "
		       "%s", rows->root_line, type, known.data);
}

static const struct rows_owner owner = {
	.root = "pool",
	.fields = fields,
	.base = base_of,
	.counts = counts,
	.begins = item_begin,
	.root_begins = type_check,
	.ends = item_end,
};

int def_parse(const char *xml, size_t len, const char *name, struct pool_def **def, struct err *e)
{
	struct reading r = { .rows.owner = &owner, .def = xcalloc(1, sizeof *r.def) };
	int ret;

	*def = NULL;
	r.rows.line = r.line;
	ret = rows_read(&r.rows, xml, len, e);
	if (ret == 0)
		ret = def_settle(&r, name, e);
	if (ret < 0)
		def_free(r.def);
	else
		*def = r.def;
	return ret;
}
