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
#include "xml.h"

#include <stdlib.h>
#include <string.h>

/* ---- rows ------------------------------------------------------------------------ */

void row_describe(const struct field *f, char *text, size_t size)
{
	const char *name = strrchr(f->path, '/');
	size_t len;

	name = name ? name + 1 : f->path;
	len = strcspn(name, "@");
	if (len)
		snprintf(text, size, "<%.*s%s%s>", (int)len, name, name[len] ? " " : "",
			 name[len] ? name + len + 1 : "");
	else
		snprintf(text, size, "<pool %s>", name + 1);
}

unsigned row_line(const struct reading *r, const char *path)
{
	for (const struct field *f = fields; f->path; f++)
		if (strcmp(f->path, path) == 0)
			return r->line[f - fields];
	abort();                /* a path that has no row */
}

static int row_read(struct reading *r, const struct field *f, unsigned line, const char *text,
		    struct err *e)
{
	unsigned *seen = &r->line[f - fields];
	char what[64];

	if (!f->kind || !f->kind->read || (!text[0] && !f->kind->takes_empty))
		return 0;
	row_describe(f, what, sizeof what);
	/* libvirt would take the first and say nothing. */
	if (*seen)
		return err_set(e, EINVAL, "bad pool XML in line %u: a second %s; the first is in "
			       "line %u", line, what, *seen);
	*seen = line;
	if (f->kind->read(f, f->list ? r->item : (void *)r->def, text, e) < 0)
		return err_wrap(e, "bad pool XML in line %u: %s", line, what);
	return 0;
}

/* The row of the element at r->path, or of its attribute. */
static const struct field *row_find(struct reading *r, const char *attribute)
{
	size_t len = strlen(r->path);

	for (const struct field *f = fields; f->path; f++) {
		if (strncmp(f->path, r->path, len) != 0)
			continue;
		if (attribute ? f->path[len] != '@' || strcmp(f->path + len + 1, attribute) != 0
			      : f->path[len] != '\0')
			continue;
		if (r->def->type && !field_applies(f, r->def->type))
			continue;
		return f;
	}
	return NULL;
}

/* Is there any row at, in or below the element at r->path? */
static bool path_known(struct reading *r)
{
	size_t len = strlen(r->path);

	for (const struct field *f = fields; f->path; f++)
		if (strncmp(f->path, r->path, len) == 0 &&
		    (f->path[len] == '\0' || f->path[len] == '/' || f->path[len] == '@'))
			return true;
	return false;
}

/* ---- lists ------------------------------------------------------------------------- */

static void item_begin(struct reading *r, const struct field *list, unsigned line)
{
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

static int item_end(struct reading *r, struct err *e)
{
	const struct field *list = r->list;
	char what[64];

	r->list = NULL;
	for (const struct field *f = list + 1; f->list == list->list; f++) {
		if (!(f->flags & FIELD_NEEDED) || r->line[f - fields])
			continue;
		row_describe(list, what, sizeof what);
		return err_set(e, EINVAL, "bad pool XML in line %u: %s has no %s",
			       r->line[list - fields], what, strchr(f->path, '@') + 1);
	}
	return 0;
}

/* ---- the parser's events --------------------------------------------------------------- */

/* The type decides which rows count, so it is judged before all others. */
static int type_check(struct reading *r, struct err *e)
{
	const struct backend *b = r->def->type ? backend_find(r->def->type) : NULL;
	_cleanup_buf_ struct buf known = {0};

	if (b)
		return 0;
	for (size_t i = 0; backends[i]; i++)
		buf_addf(&known, "%s%s", i ? ", " : "", backends[i]->type);
	if (!r->def->type)
		return err_set(e, EINVAL, "bad pool XML in line %u: <pool> has no type; give one of "
			       "%s", r->root_line, known.data);
	return err_set(e, EINVAL, "bad pool XML in line %u: unknown pool type '%.64s'; give one of "
		       "%s", r->root_line, r->def->type, known.data);
}

/* Enters the element; false if nothing in it is of interest. */
static bool path_enter(struct reading *r, const char *name)
{
	size_t len = strlen(r->path);

	if (len + 1 + strlen(name) + 1 > sizeof r->path)
		return false;
	snprintf(r->path + len, sizeof r->path - len, "%s%s", len ? "/" : "", name);
	if (path_known(r))
		return true;
	r->path[len] = '\0';
	return false;
}

/* What the row of an element that begins is for. */
static int row_begin(struct reading *r, const struct field *row, unsigned line, struct err *e)
{
	if (row->flags & FIELD_MARK)
		return row_read(r, row, line, "", e);
	if (row->kind) {
		r->row = row;
		r->row_depth = r->scan.depth;
		r->row_line = line;
		r->text.len = 0;
	}
	return 0;
}

static int read_start(void *arg, const char *name, const struct xml_attr *attrs, size_t count,
		      struct err *e)
{
	struct reading *r = arg;
	unsigned line = xml_scan_line(&r->scan), depth = r->scan.depth;
	const struct field *row = NULL;
	int ret = 0;

	if (r->skip)
		return 0;
	if (depth == 1) {
		r->root_line = line;
		if (strcmp(name, "pool") != 0)
			return err_set(e, EINVAL, "bad pool XML in line %u: the root element is "
				       "'%.64s', not 'pool'", line, name);
	} else if (!path_enter(r, name)) {
		r->skip = depth;
		return 0;
	} else {
		row = row_find(r, NULL);
	}
	if (row && field_is_list(row))
		item_begin(r, row, line);
	for (size_t i = 0; i < count && ret == 0; i++) {
		const struct field *f = row_find(r, attrs[i].name);

		if (f)
			ret = row_read(r, f, line, attrs[i].value, e);
	}
	if (ret == 0 && depth == 1)
		return type_check(r, e);
	return ret == 0 && row ? row_begin(r, row, line, e) : ret;
}

static void read_text(void *arg, const char *text, size_t len)
{
	struct reading *r = arg;

	if (r->row && !r->skip)
		buf_add(&r->text, text, len);
}

/* scan.depth is already that of the parent. */
static int read_end(void *arg, struct err *e)
{
	struct reading *r = arg;
	unsigned depth = r->scan.depth + 1;
	char *slash;
	int ret = 0;

	if (r->skip) {
		if (r->skip == depth)
			r->skip = 0;
		return 0;
	}
	if (r->row && r->row_depth == depth) {
		buf_add(&r->text, "", 0);
		ret = row_read(r, r->row, r->row_line, r->text.data, e);
		r->row = NULL;
	}
	if (ret == 0 && r->list && strcmp(r->list->path, r->path) == 0)
		ret = item_end(r, e);
	slash = strrchr(r->path, '/');
	*(slash ? slash : r->path) = '\0';
	return ret;
}

int def_parse(const char *xml, size_t len, const char *name, struct pool_def **def, struct err *e)
{
	static const struct xml_events events = {
		.start = read_start, .text = read_text, .end = read_end,
	};
	struct reading r = {.def = xcalloc(1, sizeof *r.def)};
	int ret;

	*def = NULL;
	if (len > XML_MAX_BYTES) {
		ret = err_set(e, EFBIG, "the XML is larger than %d bytes", XML_MAX_BYTES);
	} else {
		xml_scan_init(&r.scan, &events, &r);
		ret = xml_scan_feed(&r.scan, xml, len, true, e);
		if (ret == 0)
			ret = def_settle(&r, name, e);
		xml_scan_release(&r.scan);
	}
	buf_release(&r.text);
	if (ret < 0)
		def_free(r.def);
	else
		*def = r.def;
	return ret;
}
