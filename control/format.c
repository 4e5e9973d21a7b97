/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * format.c - a pool's definition as XML, character by character what libvirt
 * prints: <source> even when empty, a list as one element after the other.
 *
 * Called by pool.c and the control files. It walks the rows of fields.c; what
 * XML looks like is writer.c's. Never fails, never reads.
 */
#include "writer.h"

#include <string.h>

/* f is the row of the list's element; those of what is in it follow. */
static void list_print(struct writer *w, const struct field *f, const struct pool_def *def,
		       const struct pool_usage *u)
{
	const char *items = *list_items(f->list, def);
	size_t count = *list_count(f->list, def);

	for (size_t i = 0; i < count; i++) {
		writer_again(w, f->path);
		for (const struct field *in = f + 1; in->list == f->list; in++)
			writer_row(w, in, items + i * f->list->size, u);
	}
}

/* All rows, or those below <source>. */
static void rows_print(struct writer *w, const struct pool_def *def, const struct pool_usage *u,
		       bool source)
{
	for (const struct field *f = fields; f->path; f++) {
		if (!field_applies(f, def->type) || (source && strncmp(f->path, "source/", 7)))
			continue;
		if (field_is_list(f))
			list_print(w, f, def, u);
		else if (!f->list)
			writer_row(w, f, def, u);
	}
}

void def_format(const struct pool_def *def, const struct pool_usage *u, struct buf *out)
{
	struct writer w;

	writer_begin(&w, out, "pool");
	rows_print(&w, def, u, false);
	writer_end(&w);
}

void source_format(struct writer *w, const struct pool_def *def)
{
	writer_again(w, "source");
	writer_open(w);
	rows_print(w, def, NULL, true);
}
