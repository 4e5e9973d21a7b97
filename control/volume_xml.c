/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * volume_xml.c - what a <volume> may say: its rows, their kinds, and the two
 * walks over them.
 *
 * Called by volumes.c. The order and the rules are libvirt's; where libvirt takes
 * the first of two elements, or rounds, a sentence is better. Looks at no file,
 * and does not know which format a driver can make.
 */
#include "volume_xml.h"
#include "rows.h"
#include "writer.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define MEMBER(f, base, type) ((type *)((char *)(base) + (f)->offset))
#define MEMBER_CONST(f, base, type) ((const type *)((const char *)(base) + (f)->offset))

/* ---- words ------------------------------------------------------------------------ */

static const char *const kinds[] = {
	[VOL_FILE] = "file", [VOL_BLOCK] = "block", [VOL_NETWORK] = "network",
};

static int word_refuse(const char *words, const char *text, struct err *e)
{
	_cleanup_buf_ struct buf list = { 0 };

	for (const char *w = words; *w; w++)
		buf_addf(&list, *w == ' ' ? ", " : "%c", *w);
	return err_set(e, EINVAL, "unknown word '%.64s'; give one of %s", text, list.data);
}

static bool word_fits(const char *words, const char *text)
{
	return !strchr(text, ' ') && words_hold(words, text);
}

/* Which it will be is the pool's to say: a dump of another kind may come in. */
static int type_read(const struct field *f, void *base, const char *text, struct err *e)
{
	(void)base;
	return word_fits(f->words, text) ? 0 : word_refuse(f->words, text, e);
}

static bool type_print(const struct field *f, const void *base, const struct pool_usage *u,
		       struct buf *out)
{
	(void)u;
	buf_addf(out, "%s", kinds[*MEMBER_CONST(f, base, enum vol_kind)]);
	return true;
}
static const struct field_kind kind_type = { .read = type_read, .print = type_print };

static int format_read(const struct field *f, void *base, const char *text, struct err *e)
{
	const char *formats = ((struct volume_def *)base)->formats;

	if (!formats)
		return 0;
	if (!word_fits(formats, text))
		return word_refuse(formats, text, e);
	return kind_line.read(f, base, text, e);
}

static bool text_print(const struct field *f, const void *base, const struct pool_usage *u,
		       struct buf *out)
{
	return kind_text.print(f, base, u, out);
}

static void text_release(const struct field *f, void *base)
{
	free(*MEMBER(f, base, char *));
}
static const struct field_kind kind_volume_format = {
	.read = format_read, .print = text_print, .release = text_release,
};
/* What tells of a volume that is there. */
static const struct field_kind kind_told = { .print = text_print, .release = text_release };

/* libvirt's rule: digits, a point, digits. What is not 1.1 at least is told of
 * by saying nothing. */
static int compat_read(const struct field *f, void *base, const char *text, struct err *e)
{
	const char *p = text;

	while (isdigit((unsigned char)*p))
		p++;
	if (p == text || *p != '.' || !p[1] || p[1 + strspn(p + 1, "0123456789")])
		return err_set(e, EINVAL, "'%.32s' is no version; write 0.10 or 1.1", text);
	return kind_line.read(f, base, text, e);
}
static const struct field_kind kind_compat = {
	.read = compat_read, .print = text_print, .release = text_release,
};

/* ---- sizes: the unit comes before its number ------------------------------------------ */

static int unit_read(const struct field *f, void *base, const char *text, struct err *e)
{
	struct volume_def *v = base;
	_cleanup_free_ char *one = xasprintf("1%s", text);
	uint64_t bytes;

	(void)f;
	if (strlen(text) >= sizeof v->unit || isdigit((unsigned char)text[0]) ||
	    size_parse(one, &bytes, e) < 0)
		return err_set(e, EINVAL, "unknown unit '%.32s'; give one of B, bytes, K, M, G, T, P, E, "
			       "KiB .. EiB (1024 each), KB .. EB (1000 each)", text);
	memcpy(v->unit, text, strlen(text) + 1);
	return 0;
}

/* width 1: 0 is worth telling. */
static bool unit_print(const struct field *f, const void *base, const struct pool_usage *u,
		       struct buf *out)
{
	(void)u;
	buf_addf(out, "%s", f->words);
	return f->width || *MEMBER_CONST(f, base, uint64_t);
}
static const struct field_kind kind_unit = { .read = unit_read, .print = unit_print };

static int size_read(const struct field *f, void *base, const char *text, struct err *e)
{
	struct volume_def *v = base;
	_cleanup_free_ char *size = xasprintf("%s%s", text, v->unit);
	int rc;

	if (strlen(text) > 100 && !text[strspn(text, "0123456789")])
		return err_set(e, EINVAL, "the size '%.32s...' is too large", text);
	if (!text[0] || text[strspn(text, "0123456789")])
		return err_set(e, EINVAL, "'%.64s' is no number; write whole bytes, or another unit by "
			       "unit='G'", text);
	rc = size_parse(size, MEMBER(f, base, uint64_t), e);
	v->unit[0] = '\0';
	return rc;
}

static bool size_print(const struct field *f, const void *base, const struct pool_usage *u,
		       struct buf *out)
{
	uint64_t size = *MEMBER_CONST(f, base, uint64_t);

	(void)u;
	buf_addf(out, "%llu", (unsigned long long)size);
	return f->width || size;
}
static const struct field_kind kind_size = { .read = size_read, .print = size_print };
static const struct field_kind kind_size_told = { .print = size_print };
static const struct field_kind kind_unit_told = { .print = unit_print };

/* ---- times, of a struct vol_target ------------------------------------------------------- */

static bool time_add(const struct vol_target *t, const struct timespec *at, struct buf *out)
{
	buf_addf(out, "%lld", (long long)at->tv_sec);
	if (at->tv_nsec)
		buf_addf(out, ".%09ld", at->tv_nsec);
	return t->times_set;
}

/* max: offset in struct vol_target. */
static bool time_print(const struct field *f, const void *base, const struct pool_usage *u,
		       struct buf *out)
{
	const struct vol_target *t = MEMBER_CONST(f, base, struct vol_target);

	(void)u;
	return time_add(t, (const struct timespec *)((const char *)t + f->max), out);
}
static const struct field_kind kind_time = { .print = time_print };

/* libvirt never knows it, and says so. */
static bool btime_print(const struct field *f, const void *base, const struct pool_usage *u,
			struct buf *out)
{
	(void)u;
	buf_addf(out, "0");
	return MEMBER_CONST(f, base, struct vol_target)->times_set;
}
static const struct field_kind kind_btime = { .print = btime_print };

/* ---- elements that say all by being there --------------------------------------------------- */

static int flag_read(const struct field *f, void *base, const char *text, struct err *e)
{
	(void)text, (void)e;
	*MEMBER(f, base, bool) = true;
	return 0;
}

static bool flag_print(const struct field *f, const void *base, const struct pool_usage *u,
		       struct buf *out)
{
	(void)u, (void)out;
	return *MEMBER_CONST(f, base, bool);
}
static const struct field_kind kind_flag = {
	.read = flag_read, .print = flag_print, .takes_empty = true,
};
/* A wish that leaves no trace. */
static const struct field_kind kind_wish = { .read = flag_read, .takes_empty = true };

/* ---- the table -------------------------------------------------------------------------------- */

#define ROW(p, k, member, ...) \
	{ .path = (p), .kind = &(k), .offset = offsetof(struct volume_def, member), __VA_ARGS__ }
#define SIZE(p, member, ...) \
	ROW(p "@unit", kind_unit, member, __VA_ARGS__), ROW(p, kind_size, member, __VA_ARGS__)
#define PERMISSIONS(p, target) \
	ROW(p "/permissions/mode", kind_mode, target.perms), \
	ROW(p "/permissions/owner", kind_owner, target.perms), \
	ROW(p "/permissions/group", kind_group, target.perms), \
	ROW(p "/permissions/label", kind_line, target.perms.label)
#define TIMES(p, target) \
	ROW(p "/timestamps/atime", kind_time, target, .max = offsetof(struct vol_target, atime)), \
	ROW(p "/timestamps/mtime", kind_time, target, .max = offsetof(struct vol_target, mtime)), \
	ROW(p "/timestamps/ctime", kind_time, target, .max = offsetof(struct vol_target, ctime)), \
	ROW(p "/timestamps/btime", kind_btime, target)

static const struct field rows[] = {
	ROW("@type", kind_type, d.kind, .words = "file block dir network netdir ploop"),
	ROW("name", kind_line, name),
	ROW("key", kind_told, d.key),
	SIZE("capacity", d.capacity, .words = "bytes", .width = 1),
	SIZE("allocation", d.allocation, .words = "bytes", .width = 1),
	ROW("physical@unit", kind_unit_told, d.physical, .words = "bytes"),
	ROW("physical", kind_size_told, d.physical),
	ROW("target/path", kind_told, d.target.path),
	ROW("target/format@type", kind_volume_format, d.target.format),
	PERMISSIONS("target", d.target),
	TIMES("target", d.target),
	ROW("target/encryption", kind_wish, encrypted, .flags = FIELD_MARK),
	ROW("target/encryption@format", kind_line, d.encryption),
	ROW("target/compat", kind_compat, d.compat),
	SIZE("target/clusterSize", d.cluster_size, .words = "B"),
	ROW("target/features", kind_flag, features, .flags = FIELD_MARK | FIELD_CLOSED),
	ROW("target/features/lazy_refcounts", kind_flag, d.lazy_refcounts, .flags = FIELD_MARK),
	ROW("target/features/extended_l2", kind_flag, d.extended_l2, .flags = FIELD_MARK),
	ROW("target/nocow", kind_wish, nocow, .flags = FIELD_MARK),
	ROW("backingStore/path", kind_line, d.backing.path),
	ROW("backingStore/format@type", kind_volume_format, d.backing.format),
	PERMISSIONS("backingStore", d.backing),
	TIMES("backingStore", d.backing),
	{ .path = NULL },
};
enum { ROWS = sizeof rows / sizeof *rows - 1 };

void volume_def_release(struct volume_def *v)
{
	free(v->name);
	vol_desc_release(&v->d);
	memset(v, 0, sizeof *v);
}

/* ---- out ---------------------------------------------------------------------------------------- */

void volume_format(const char *name, const struct vol_desc *d, struct buf *out)
{
	/* The name and the texts stay the caller's. */
	struct volume_def v = { .name = (char *)name, .d = *d, .features = d->compat };
	struct writer w;

	writer_begin(&w, out, "volume");
	for (size_t i = 0; i < ROWS; i++)
		writer_row(&w, &rows[i], &v, NULL);
	writer_end(&w);
}

/* ---- in ------------------------------------------------------------------------------------------ */

struct reading {
	struct rows rows;
	struct volume_def *v;
	unsigned line[ROWS];
};

static void *base_of(struct rows *r, const struct field *f)
{
	(void)f;
	return ((struct reading *)r)->v;
}

/* A unit is for the number of its own element. */
static void element_begins(struct rows *r, const struct field *f, unsigned line)
{
	(void)f, (void)line;
	((struct reading *)r)->v->unit[0] = '\0';
}

static const struct rows_owner owner = {
	.root = "volume",
	.fields = rows,
	.base = base_of,
	.begins = element_begins,
};

/* What one row cannot say alone. */
static int settle(struct reading *r, const char *name, struct err *e)
{
	struct volume_def *v = r->v;

	if (v->name && strcmp(v->name, name) != 0)
		return err_set(e, EINVAL, "bad volume XML in line %u: <name> is '%.200s', but the file "
			       "is '%.200s.xml'; make them the same or leave <name> out",
			       row_line(&r->rows, "name"), v->name, name);
	v->capacity_set = row_line(&r->rows, "capacity");
	v->allocation_set = row_line(&r->rows, "allocation");
	if (!v->capacity_set && !v->d.backing.path)
		return err_set(e, EINVAL, "bad volume XML in line %u: <volume> has no <capacity>; only "
			       "one with a <backingStore> can do without", r->rows.root_line);
	if (v->d.backing.format && !v->d.backing.path)
		return err_set(e, EINVAL, "bad volume XML in line %u: <backingStore> has no <path>",
			       row_line(&r->rows, "backingStore/format@type"));
	if (v->features && !v->d.compat)
		v->d.compat = xstrdup("1.1");
	if (!v->name)
		v->name = xstrdup(name);
	return 0;
}

int volume_parse(const char *xml, size_t len, const char *name, const char *formats,
		 struct volume_def *v, struct err *e)
{
	struct reading r = { .rows.owner = &owner, .v = v };
	int rc;

	memset(v, 0, sizeof *v);
	v->formats = formats;
	r.rows.line = r.line;
	rc = rows_read(&r.rows, xml, len, e);
	if (rc == 0)
		rc = settle(&r, name, e);
	if (rc < 0)
		volume_def_release(v);
	return rc;
}
