/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fields.c - the rows of a pool's XML, and the kinds of value they hold.
 *
 * Walked by define.c and format.c. The order is that of libvirt's own output,
 * and so are the rules of each kind, except where libvirt's would hide a
 * mistake (relative paths, ".."). Never looks at the storage itself.
 */
#include "fields.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMBER(f, def, type) ((type *)((char *)(def) + (f)->offset))
#define MEMBER_CONST(f, def, type) ((const type *)((const char *)(def) + (f)->offset))

bool types_hold(const char *types, const char *type)
{
	size_t len = strlen(type);

	if (!types)
		return true;
	for (const char *t = types; *t; t += strspn(t, " ")) {
		size_t word = strcspn(t, " ");

		if (word == len && memcmp(t, type, len) == 0)
			return true;
		t += word;
	}
	return false;
}

/* ---- text ------------------------------------------------------------------ */

static int text_read(const struct field *f, struct pool_def *def, const char *text, struct err *e)
{
	char **to = MEMBER(f, def, char *);

	(void)e;
	free(*to);
	*to = xstrdup(text);
	return 0;
}

static bool text_print(const struct field *f, const struct pool_def *def,
		       const struct pool_usage *u, struct buf *out)
{
	const char *text = *MEMBER_CONST(f, def, char *);

	(void)u;
	if (text)
		buf_add(out, text, strlen(text));
	return text;
}

static void text_copy(const struct field *f, struct pool_def *to)
{
	char **text = MEMBER(f, to, char *);

	*text = *text ? xstrdup(*text) : NULL;
}

static void text_release(const struct field *f, struct pool_def *def)
{
	free(*MEMBER(f, def, char *));
}

static const struct field_kind kind_text = {
	.read = text_read, .print = text_print, .copy = text_copy, .release = text_release,
};

/* ---- an absolute path: no "//", no slash at the end, no "." and ".." ---------- */

static int path_read(const struct field *f, struct pool_def *def, const char *text, struct err *e)
{
	_cleanup_free_ char *path = xmalloc(strlen(text) + 2);
	size_t len = 0;

	if (text[0] != '/')
		return err_set(e, EINVAL, "'%s' is not an absolute path; begin it with '/'", text);
	for (const char *s = text; *s;) {
		size_t word;

		s += strspn(s, "/");
		word = strcspn(s, "/");
		if ((word == 1 && s[0] == '.') || (word == 2 && s[0] == '.' && s[1] == '.'))
			return err_set(e, EINVAL, "'%.*s' in the path '%s' is refused; write the "
				       "path without it", (int)word, s, text);
		if (word == 0)
			break;
		path[len++] = '/';
		memcpy(path + len, s, word);
		len += word;
		s += word;
	}
	if (len == 0)
		path[len++] = '/';
	path[len] = '\0';
	if (len >= PATH_MAX)
		return err_set(e, EINVAL, "the path '%.32s...' is longer than %d bytes", path,
			       PATH_MAX - 1);
	/* They would break the lines of info and of the log. */
	for (const char *s = path; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return err_set(e, EINVAL, "the path '%s' contains a control character",
				       path);
	return text_read(f, def, path, e);
}

static const struct field_kind kind_path = {
	.read = path_read, .print = text_print, .copy = text_copy, .release = text_release,
};

/* ---- uuid -------------------------------------------------------------------- */

static int uuid_read(const struct field *f, struct pool_def *def, const char *text, struct err *e)
{
	if (!uuid_parse(text, MEMBER(f, def, char)))
		return err_set(e, EINVAL, "'%.64s' is no uuid; write 32 hexadecimal digits, or "
			       "leave it out to get one", text);
	return 0;
}

static bool uuid_print(const struct field *f, const struct pool_def *def,
		       const struct pool_usage *u, struct buf *out)
{
	const char *uuid = MEMBER_CONST(f, def, char);

	(void)u;
	buf_add(out, uuid, strlen(uuid));
	return uuid[0];
}

static const struct field_kind kind_uuid = {.read = uuid_read, .print = uuid_print};

/* ---- permissions: offset is that of a struct perms ------------------------------ */

static int mode_read(const struct field *f, struct pool_def *def, const char *text, struct err *e)
{
	struct perms *p = MEMBER(f, def, struct perms);
	unsigned long mode;
	char *end;

	errno = 0;
	mode = strtoul(text, &end, 8);
	if (text[0] < '0' || text[0] > '7' || *end || errno || mode > 0777)
		return err_set(e, EINVAL, "'%.64s' is no octal mode; write one from 0 to 0777", text);
	p->mode = (mode_t)mode;
	p->mode_set = true;
	return 0;
}

static bool mode_print(const struct field *f, const struct pool_def *def,
		       const struct pool_usage *u, struct buf *out)
{
	const struct perms *p = MEMBER_CONST(f, def, struct perms);

	(void)u;
	if (p->mode_set)
		buf_addf(out, "0%o", (unsigned)p->mode);        /* 0 gives "00", as in libvirt */
	return p->mode_set;
}

/* "-1" and its unsigned spelling mean: not set. */
static int id_read(const char *text, bool *set, uint32_t *id, struct err *e)
{
	const char *digits = text[0] == '-' ? text + 1 : text;
	long long value;
	char *end;

	errno = 0;
	value = strtoll(text, &end, 10);
	if (digits[0] < '0' || digits[0] > '9' || *end || errno || value < -1 ||
	    value > UINT32_MAX)
		return err_set(e, EINVAL, "'%.64s' is no numeric id; write one from 0 to 4294967294, "
			       "or -1 for none", text);
	*set = value >= 0 && value < UINT32_MAX;
	*id = *set ? (uint32_t)value : 0;
	return 0;
}

static int owner_read(const struct field *f, struct pool_def *def, const char *text, struct err *e)
{
	struct perms *p = MEMBER(f, def, struct perms);

	return id_read(text, &p->uid_set, &p->uid, e);
}

static bool owner_print(const struct field *f, const struct pool_def *def,
			const struct pool_usage *u, struct buf *out)
{
	const struct perms *p = MEMBER_CONST(f, def, struct perms);

	(void)u;
	if (p->uid_set)
		buf_addf(out, "%u", p->uid);
	return p->uid_set;
}

static int group_read(const struct field *f, struct pool_def *def, const char *text, struct err *e)
{
	struct perms *p = MEMBER(f, def, struct perms);

	return id_read(text, &p->gid_set, &p->gid, e);
}

static bool group_print(const struct field *f, const struct pool_def *def,
			const struct pool_usage *u, struct buf *out)
{
	const struct perms *p = MEMBER_CONST(f, def, struct perms);

	(void)u;
	if (p->gid_set)
		buf_addf(out, "%u", p->gid);
	return p->gid_set;
}

static const struct field_kind kind_mode = {.read = mode_read, .print = mode_print};
static const struct field_kind kind_owner = {
	.read = owner_read, .print = owner_print, .takes_empty = true,
};
static const struct field_kind kind_group = {
	.read = group_read, .print = group_print, .takes_empty = true,
};

/* ---- sizes: printed only; offset is that in struct pool_usage --------------------- */

static bool usage_print(const struct field *f, const struct pool_def *def,
			const struct pool_usage *u, struct buf *out)
{
	(void)def;
	buf_addf(out, "%llu", u ? (unsigned long long)*MEMBER_CONST(f, u, uint64_t) : 0);
	return true;
}

static bool bytes_print(const struct field *f, const struct pool_def *def,
			const struct pool_usage *u, struct buf *out)
{
	(void)f, (void)def, (void)u;
	buf_addf(out, "bytes");
	return true;
}

static const struct field_kind kind_usage = {.print = usage_print};
static const struct field_kind kind_bytes = {.print = bytes_print};

/* ---- the table ---------------------------------------------------------------------- */

#define DEF(member) offsetof(struct pool_def, member)
#define USAGE(member) offsetof(struct pool_usage, member)

const struct field fields[] = {
	{.path = "@type", .kind = &kind_text, .offset = DEF(type)},
	{.path = "name", .kind = &kind_text, .offset = DEF(name)},
	{.path = "uuid", .kind = &kind_uuid, .offset = DEF(uuid)},
	{.path = "capacity@unit", .kind = &kind_bytes},
	{.path = "capacity", .kind = &kind_usage, .offset = USAGE(capacity)},
	{.path = "allocation@unit", .kind = &kind_bytes},
	{.path = "allocation", .kind = &kind_usage, .offset = USAGE(allocation)},
	{.path = "available@unit", .kind = &kind_bytes},
	{.path = "available", .kind = &kind_usage, .offset = USAGE(available)},
	{.path = "source", .flags = FIELD_OPEN},
	{.path = "target/path", .kind = &kind_path, .offset = DEF(target), .types = "dir",
	 .needed = "dir"},
	{.path = "target/permissions/mode", .kind = &kind_mode, .offset = DEF(perms),
	 .types = "dir"},
	{.path = "target/permissions/owner", .kind = &kind_owner, .offset = DEF(perms),
	 .types = "dir"},
	{.path = "target/permissions/group", .kind = &kind_group, .offset = DEF(perms),
	 .types = "dir"},
	{.path = "target/permissions/label", .kind = &kind_text, .offset = DEF(perms.label),
	 .types = "dir"},
	{0},
};
_Static_assert(sizeof fields / sizeof fields[0] <= FIELDS_MAX, "raise FIELDS_MAX");
