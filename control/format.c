/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * format.c - a pool's definition as XML, character by character what libvirt
 * prints: two blanks of indent, single quotes, <source> even when empty.
 *
 * Called by pool.c and the control files. It walks the rows of fields.c and
 * opens and closes the elements between them. Never fails, never reads.
 */
#include "fields.h"

#include <assert.h>
#include <string.h>

enum { OPEN_MAX = 8 };

/* What is printed so far, and the elements open in it. */
struct writer {
	struct buf *out;
	const char *open[OPEN_MAX];     /* names, inside the paths of the rows */
	size_t len[OPEN_MAX];
	size_t depth;
	bool tag;                       /* the start tag lacks its '>' */
	bool text;                      /* text was written: the end tag follows it */
};

static void escape(struct buf *out, const char *text, bool attribute)
{
	for (const char *s = text; *s; s++) {
		const char *entity = NULL;

		switch (*s) {
		case '<': entity = "&lt;"; break;
		case '>': entity = "&gt;"; break;
		case '&': entity = "&amp;"; break;
		case '\'': entity = "&apos;"; break;
		case '"': entity = "&quot;"; break;
		case '\r': entity = "&#13;"; break;     /* a parser would drop it */
		case '\n': entity = attribute ? "&#10;" : NULL; break;
		case '\t': entity = attribute ? "&#9;" : NULL; break;
		default: break;
		}
		if (entity)
			buf_add(out, entity, strlen(entity));
		else
			buf_add(out, s, 1);
	}
}

static void tag_finish(struct writer *w)
{
	if (w->tag)
		buf_addf(w->out, ">\n");
	w->tag = false;
}

static void element_open(struct writer *w, const char *name, size_t len)
{
	assert(w->depth < OPEN_MAX && !w->text);
	tag_finish(w);
	buf_addf(w->out, "%*s<%.*s", (int)w->depth * 2, "", (int)len, name);
	w->open[w->depth] = name;
	w->len[w->depth++] = len;
	w->tag = true;
}

static void element_close(struct writer *w)
{
	w->depth--;
	if (w->tag)
		buf_addf(w->out, "/>\n");
	else
		buf_addf(w->out, "%*s</%.*s>\n", w->text ? 0 : (int)w->depth * 2, "",
			 (int)w->len[w->depth], w->open[w->depth]);
	w->tag = w->text = false;
}

/* Makes path ("target/permissions", below the root) the innermost element. */
static void element_enter(struct writer *w, const char *path, size_t len)
{
	size_t depth = 1;
	const char *end = path + len;

	while (path < end) {
		size_t name = strcspn(path, "/@");

		if (depth < w->depth && (w->len[depth] != name ||
					 memcmp(w->open[depth], path, name) != 0))
			while (w->depth > depth)
				element_close(w);
		if (depth == w->depth)
			element_open(w, path, name);
		depth++;
		path += name + (path[name] == '/');
	}
	while (w->depth > depth)
		element_close(w);
}

/* base: the definition, or the item of the row's list. */
static void row_print(struct writer *w, const struct field *f, const void *base,
		      const struct pool_usage *u)
{
	size_t len = strcspn(f->path, "@");
	const char *attribute = f->path[len] ? f->path + len + 1 : NULL;
	_cleanup_buf_ struct buf value = {0};

	if (f->flags & FIELD_OPEN) {
		element_enter(w, f->path, len);
		tag_finish(w);
	}
	if (!f->kind || !f->kind->print || !f->kind->print(f, base, u, &value))
		return;
	element_enter(w, f->path, len);
	if (attribute) {
		buf_addf(w->out, " %s='", attribute);
		escape(w->out, value.data ? value.data : "", true);
		buf_addf(w->out, "'");
	} else {
		buf_addf(w->out, ">");
		escape(w->out, value.data ? value.data : "", false);
		w->tag = false;
		w->text = true;
	}
}

/* f is the row of the list's element; those of what is in it follow. */
static void list_print(struct writer *w, const struct field *f, const struct pool_def *def,
		       const struct pool_usage *u)
{
	const char *name = strrchr(f->path, '/') + 1;
	const char *items = *list_items(f->list, def);
	size_t count = *list_count(f->list, def);

	for (size_t i = 0; i < count; i++) {
		element_enter(w, f->path, (size_t)(name - 1 - f->path));
		element_open(w, name, strlen(name));
		for (const struct field *in = f + 1; in->list == f->list; in++)
			row_print(w, in, items + i * f->list->size, u);
	}
}

void def_format(const struct pool_def *def, const struct pool_usage *u, struct buf *out)
{
	struct writer w = {.out = out};

	element_open(&w, "pool", 4);
	for (const struct field *f = fields; f->path; f++) {
		if (!field_applies(f, def->type))
			continue;
		if (field_is_list(f))
			list_print(&w, f, def, u);
		else if (!f->list)
			row_print(&w, f, def, u);
	}
	while (w.depth)
		element_close(&w);
}
