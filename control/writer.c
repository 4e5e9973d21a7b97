/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * writer.c - elements, attributes and text as libvirt prints them.
 *
 * Called by format.c and volume_xml.c. It keeps the stack of open elements, and
 * closes what a path does not share with the one before. Never fails, knows no
 * element by name.
 */
#include "writer.h"

#include <assert.h>
#include <string.h>

/* ---- text ------------------------------------------------------------------------ */

/* Bytes of the character at s if XML may hold it, else 0. */
static size_t character(const unsigned char *s)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len = *s < 0x80 ? 1 : *s >= 0xf0 && *s < 0xf8 ? 4 : *s >= 0xe0 ? 3 : 2;
	uint32_t c = len == 1 ? *s : *s & (0x7f >> len);

	if ((*s >= 0x80 && *s < 0xc0) || *s >= 0xf8)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) || (c & 0xfffe) == 0xfffe)
		return 0;
	return c >= 0x20 || c == '\t' || c == '\n' || c == '\r' ? len : 0;
}

static void escape(struct buf *out, const char *text, bool attribute)
{
	size_t len;

	for (const char *s = text; *s; s += len) {
		const char *entity = NULL;

		len = character((const unsigned char *)s);
		if (!len) {
			/* Names in images and directories are bytes; XML is not. */
			entity = "\xef\xbf\xbd";
			len = 1;
		}
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
			buf_add(out, s, len);
	}
}

/* ---- elements ----------------------------------------------------------------------- */

void writer_open(struct writer *w)
{
	if (w->tag)
		buf_addf(w->out, ">\n");
	w->tag = false;
}

static void element_open(struct writer *w, const char *name, size_t len)
{
	assert(w->depth < WRITER_DEPTH && !w->text);
	writer_open(w);
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

static void enter(struct writer *w, const char *path, size_t len)
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

void writer_enter(struct writer *w, const char *path)
{
	enter(w, path, strcspn(path, "@"));
}

void writer_again(struct writer *w, const char *path)
{
	const char *name = strrchr(path, '/');

	enter(w, path, name ? (size_t)(name - path) : 0);
	name = name ? name + 1 : path;
	element_open(w, name, strlen(name));
}

void writer_attribute(struct writer *w, const char *name, const char *text)
{
	assert(w->tag);
	buf_addf(w->out, " %s='", name);
	escape(w->out, text, true);
	buf_addf(w->out, "'");
}

void writer_text(struct writer *w, const char *text)
{
	assert(w->tag);
	buf_addf(w->out, ">");
	escape(w->out, text, false);
	w->tag = false;
	w->text = true;
}

void writer_begin(struct writer *w, struct buf *out, const char *root)
{
	*w = (struct writer){ .out = out };
	element_open(w, root, strlen(root));
}

void writer_end(struct writer *w)
{
	while (w->depth)
		element_close(w);
}

void writer_row(struct writer *w, const struct field *f, const void *base,
		const struct pool_usage *u)
{
	const char *attribute = strchr(f->path, '@');
	_cleanup_buf_ struct buf value = { 0 };

	if (f->flags & FIELD_OPEN) {
		writer_enter(w, f->path);
		writer_open(w);
	}
	if (!f->kind || !f->kind->print || !f->kind->print(f, base, u, &value))
		return;
	writer_enter(w, f->path);
	if (attribute)
		writer_attribute(w, attribute + 1, value.data ? value.data : "");
	else if (!(f->flags & FIELD_MARK))
		writer_text(w, value.data ? value.data : "");
}
