/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rows.c - reads a document by a table of rows.
 *
 * Called by define.c for a pool and by volume_xml.c for a volume. What has no row is
 * ignored, as libvirt does; what comes twice is refused, where libvirt would take the
 * first and say nothing. Does not know what a row means.
 */
#include "rows.h"

#include <stdlib.h>
#include <string.h>

void row_describe(const struct rows *r, const struct field *f, char *text, size_t size)
{
	const char *name = strrchr(f->path, '/');
	size_t len;

	name = name ? name + 1 : f->path;
	len = strcspn(name, "@");
	if (len)
		snprintf(text, size, "<%.*s%s%s>", (int)len, name, name[len] ? " " : "",
			 name[len] ? name + len + 1 : "");
	else
		snprintf(text, size, "<%s %s>", r->owner->root, name + 1);
}

unsigned row_line(const struct rows *r, const char *path)
{
	for (const struct field *f = r->owner->fields; f->path; f++)
		if (strcmp(f->path, path) == 0)
			return r->line[f - r->owner->fields];
	abort();                /* a path that has no row */
}

static int row_read(struct rows *r, const struct field *f, unsigned line, const char *text,
		    struct err *e)
{
	unsigned *seen = &r->line[f - r->owner->fields];
	char what[64];

	if (!f->kind || !f->kind->read || (!text[0] && !f->kind->takes_empty))
		return 0;
	row_describe(r, f, what, sizeof what);
	if (*seen)
		return err_set(e, EINVAL, "bad %s XML in line %u: a second %s; the first is in "
			       "line %u", r->owner->root, line, what, *seen);
	*seen = line;
	if (f->kind->read(f, r->owner->base(r, f), text, e) < 0)
		return err_wrap(e, "bad %s XML in line %u: %s", r->owner->root, line, what);
	return 0;
}

/* The row of the element at r->path, or of its attribute. */
static const struct field *row_find(struct rows *r, const char *attribute)
{
	size_t len = strlen(r->path);

	for (const struct field *f = r->owner->fields; f->path; f++) {
		if (strncmp(f->path, r->path, len) != 0)
			continue;
		if (attribute ? f->path[len] != '@' || strcmp(f->path + len + 1, attribute) != 0
			      : f->path[len] != '\0')
			continue;
		if (!r->owner->counts || r->owner->counts(r, f))
			return f;
	}
	return NULL;
}

/* Is there any row at, in or below the element at r->path? */
static bool path_known(struct rows *r)
{
	size_t len = strlen(r->path);

	for (const struct field *f = r->owner->fields; f->path; f++)
		if (strncmp(f->path, r->path, len) == 0 && strchr("/@", f->path[len]))
			return true;    /* or at its end */
	return false;
}

static int unknown_in(struct rows *r, const struct field *parent, unsigned line,
		      const char *name, struct err *e)
{
	_cleanup_buf_ struct buf known = { 0 };
	size_t len = strlen(parent->path);
	char what[64];

	for (const struct field *f = parent + 1; f->path && !strncmp(f->path, parent->path, len); f++)
		buf_addf(&known, "%s%s", known.len ? ", " : "", f->path + len + 1);
	row_describe(r, parent, what, sizeof what);
	return err_set(e, EINVAL, "bad %s XML in line %u: unknown <%.64s> in %s; give one of %s",
		       r->owner->root, line, name, what, known.data);
}

/* Enters the element; 0 if nothing in it is of interest. */
static int path_enter(struct rows *r, const char *name, unsigned line, struct err *e)
{
	const struct field *parent = row_find(r, NULL);
	size_t len = strlen(r->path);

	if (len + 1 + strlen(name) + 1 <= sizeof r->path) {
		snprintf(r->path + len, sizeof r->path - len, "%s%s", len ? "/" : "", name);
		if (path_known(r))
			return 1;
		r->path[len] = '\0';
	}
	return parent && parent->flags & FIELD_CLOSED ? unknown_in(r, parent, line, name, e) : 0;
}

/* What the row of an element that begins is for. */
static int row_begin(struct rows *r, const struct field *row, unsigned line, struct err *e)
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
	struct rows *r = arg;
	unsigned line = xml_scan_line(&r->scan), depth = r->scan.depth;
	const struct field *row = NULL;
	int rc = 1;

	if (r->skip)
		return 0;
	if (depth == 1) {
		r->root_line = line;
		if (strcmp(name, r->owner->root) != 0)
			return err_set(e, EINVAL, "bad %s XML in line %u: the root element is '%.64s', "
				       "not '%s'", r->owner->root, line, name, r->owner->root);
	} else {
		rc = path_enter(r, name, line, e);
	}
	if (rc <= 0) {
		r->skip = depth;
		return rc;
	}
	row = depth > 1 ? row_find(r, NULL) : NULL;
	if (r->owner->begins)
		r->owner->begins(r, row, line);
	rc = 0;
	for (size_t i = 0; i < count && rc == 0; i++) {
		const struct field *f = row_find(r, attrs[i].name);

		if (f)
			rc = row_read(r, f, line, attrs[i].value, e);
	}
	if (rc == 0 && depth == 1)
		return r->owner->root_begins ? r->owner->root_begins(r, e) : 0;
	return rc == 0 && row ? row_begin(r, row, line, e) : rc;
}

static void read_text(void *arg, const char *text, size_t len)
{
	struct rows *r = arg;

	if (r->row && !r->skip)
		buf_add(&r->text, text, len);
}

/* scan.depth is already that of the parent. */
static int read_end(void *arg, struct err *e)
{
	struct rows *r = arg;
	unsigned depth = r->scan.depth + 1;
	char *slash;
	int rc = 0;

	if (r->skip) {
		if (r->skip == depth)
			r->skip = 0;
		return 0;
	}
	if (r->row && r->row_depth == depth) {
		buf_add(&r->text, "", 0);
		rc = row_read(r, r->row, r->row_line, r->text.data, e);
		r->row = NULL;
	}
	if (rc == 0 && r->owner->ends)
		rc = r->owner->ends(r, e);
	slash = strrchr(r->path, '/');
	*(slash ? slash : r->path) = '\0';
	return rc;
}

int rows_read(struct rows *r, const char *xml, size_t len, struct err *e)
{
	static const struct xml_events events = {
		.start = read_start, .text = read_text, .end = read_end,
	};
	int rc;

	if (len > XML_MAX_BYTES)
		return err_set(e, EFBIG, "the XML is larger than %d bytes", XML_MAX_BYTES);
	xml_scan_init(&r->scan, &events, r);
	rc = xml_scan_feed(&r->scan, xml, len, true, e);
	xml_scan_release(&r->scan);
	buf_release(&r->text);
	return rc;
}
