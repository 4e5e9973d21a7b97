/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * define.c - a pool's XML into a struct pool_def, and what else makes, copies
 * and frees one.
 *
 * Called by pool.c, for what a user writes as for what the store gives back.
 * The rows of fields.c say which elements count; others are ignored, as libvirt
 * does. Never looks at other pools, at the disk or at the network.
 */
#include "fields.h"
#include "xml.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* ---- uuid --------------------------------------------------------------------- */

void uuid_make(char uuid[37])
{
	unsigned char b[16];

	if (getrandom(b, sizeof b, 0) != sizeof b)
		abort();                /* so short a request is never cut */
	b[6] = (b[6] & 0x0f) | 0x40;
	b[8] = (b[8] & 0x3f) | 0x80;
	for (size_t i = 0, at = 0; i < sizeof b; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			uuid[at++] = '-';
		uuid[at++] = "0123456789abcdef"[b[i] >> 4];
		uuid[at++] = "0123456789abcdef"[b[i] & 15];
	}
	uuid[36] = '\0';
}

/* libvirt's rule: '-' and ' ' anywhere between pairs of digits, blanks around. */
bool uuid_parse(const char *text, char uuid[37])
{
	char out[37];
	size_t at = 0;

	while (isspace((unsigned char)*text))
		text++;
	for (size_t pair = 0; pair < 16;) {
		if (*text == '-' || *text == ' ') {
			text++;
			continue;
		}
		if (!isxdigit((unsigned char)text[0]) || !isxdigit((unsigned char)text[1]))
			return false;
		if (pair == 4 || pair == 6 || pair == 8 || pair == 10)
			out[at++] = '-';
		out[at++] = (char)tolower((unsigned char)text[0]);
		out[at++] = (char)tolower((unsigned char)text[1]);
		text += 2;
		pair++;
	}
	while (isspace((unsigned char)*text))
		text++;
	if (*text)
		return false;
	out[at] = '\0';
	memcpy(uuid, out, sizeof out);
	return true;
}

/* ---- copy and free ---------------------------------------------------------------- */

struct pool_def *def_copy(const struct pool_def *def)
{
	struct pool_def *copy = xmalloc(sizeof *copy);

	*copy = *def;
	for (const struct field *f = fields; f->path; f++)
		if (f->kind && f->kind->copy)
			f->kind->copy(f, copy);
	return copy;
}

void def_free(struct pool_def *def)
{
	if (!def)
		return;
	for (const struct field *f = fields; f->path; f++)
		if (f->kind && f->kind->release)
			f->kind->release(f, def);
	free(def);
}

/* ---- reading ------------------------------------------------------------------------ */

struct reading {
	struct xml_scan scan;
	struct pool_def *def;
	char path[128];                 /* "target/permissions", below the root */
	const struct field *row;        /* whose text is being gathered, or NULL */
	unsigned row_depth, row_line;
	struct buf text;
	unsigned skip;                  /* depth of an unknown element we are in, or 0 */
	unsigned root_line;
	unsigned line[FIELDS_MAX];      /* where each row was found; 0: not yet */
};

/* "<name>", "<target><path>", "type='...'" for sentences. */
static void row_describe(const struct field *f, char *text, size_t size)
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
	if (f->kind->read(f, r->def, text, e) < 0)
		return err_wrap(e, "bad pool XML in line %u: %s", line, what);
	return 0;
}

/* The type decides which rows count, so it is judged before all others. */
static int type_check(struct reading *r, struct err *e)
{
	const struct backend *b = r->def->type ? backend_find(r->def->type) : NULL;
	_cleanup_buf_ struct buf known = {0};

	if (b && b->later)
		return err_set(e, EOPNOTSUPP, "cannot define a pool of type '%s' (line %u): %s",
			       b->type, r->root_line, b->later);
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
		if (r->def->type && !types_hold(f->types, r->def->type))
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

static int read_start(void *arg, const char *name, const struct xml_attr *attrs, size_t count,
		      struct err *e)
{
	struct reading *r = arg;
	unsigned line = xml_scan_line(&r->scan), depth = r->scan.depth;
	const struct field *row;
	int ret = 0;

	if (r->skip)
		return 0;
	if (depth == 1) {
		r->root_line = line;
		if (strcmp(name, "pool") != 0)
			return err_set(e, EINVAL, "bad pool XML in line %u: the root element is "
				       "'%.64s', not 'pool'", line, name);
	} else {
		size_t len = strlen(r->path);

		if (len + 1 + strlen(name) + 1 > sizeof r->path) {
			r->skip = depth;
			return 0;
		}
		snprintf(r->path + len, sizeof r->path - len, "%s%s", len ? "/" : "", name);
		if (!path_known(r)) {
			r->path[len] = '\0';
			r->skip = depth;
			return 0;
		}
	}
	for (size_t i = 0; i < count && ret == 0; i++) {
		row = row_find(r, attrs[i].name);
		if (row)
			ret = row_read(r, row, line, attrs[i].value, e);
	}
	if (ret == 0 && depth == 1)
		return type_check(r, e);
	row = row_find(r, NULL);
	if (row && row->kind) {
		r->row = row;
		r->row_depth = depth;
		r->row_line = line;
		r->text.len = 0;
	}
	return ret;
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
	slash = strrchr(r->path, '/');
	*(slash ? slash : r->path) = '\0';
	return ret;
}

static int name_settle(struct reading *r, const char *name, struct err *e)
{
	unsigned line = 0;

	for (const struct field *f = fields; f->path; f++)
		if (strcmp(f->path, "name") == 0)
			line = r->line[f - fields];
	if (!r->def->name) {
		if (!name)
			return err_set(e, EINVAL, "bad pool XML in line %u: <pool> has no <name>",
				       r->root_line);
		r->def->name = xstrdup(name);
	} else if (name && strcmp(r->def->name, name) != 0) {
		return err_set(e, EINVAL, "bad pool XML in line %u: <name> is '%.245s', but the file is "
			       "'%s.xml'; make them the same or leave <name> out", line,
			       r->def->name, name);
	}
	if (name_check(NAME_POOL, r->def->name, e) < 0)
		return err_wrap(e, "bad pool XML in line %u", line ? line : r->root_line);
	return 0;
}

static int read_finish(struct reading *r, const char *name, struct err *e)
{
	for (const struct field *f = fields; f->path; f++) {
		if (!f->needed || !types_hold(f->needed, r->def->type) || r->line[f - fields])
			continue;
		return err_set(e, EINVAL, "bad pool XML in line %u: a %s pool must have '%s'",
			       r->root_line, r->def->type, f->path);
	}
	return name_settle(r, name, e);
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
			ret = read_finish(&r, name, e);
		xml_scan_release(&r.scan);
	}
	buf_release(&r.text);
	if (ret < 0)
		def_free(r.def);
	else
		*def = r.def;
	return ret;
}
