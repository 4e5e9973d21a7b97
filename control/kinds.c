/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kinds.c - the kinds of value that a pool's XML holds: how each is read from
 * text, printed, copied and freed.
 *
 * Used by the rows of fields.c alone. The rules are libvirt's, except where
 * they would hide a mistake (relative paths, "..", control characters). Never
 * looks at the storage itself, and never puts a password into a sentence.
 */
#include "fields.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMBER(f, base, type) ((type *)((char *)(base) + (f)->offset))
#define MEMBER_CONST(f, base, type) ((const type *)((const char *)(base) + (f)->offset))

/* ---- text ------------------------------------------------------------------ */

static int text_read(const struct field *f, void *base, const char *text, struct err *e)
{
	char **to = MEMBER(f, base, char *);

	(void)e;
	free(*to);
	*to = xstrdup(text);
	return 0;
}

static bool text_print(const struct field *f, const void *base, const struct pool_usage *u,
		       struct buf *out)
{
	const char *text = *MEMBER_CONST(f, base, char *);

	(void)u;
	if (text)
		buf_add(out, text, strlen(text));
	return text;
}

static void text_copy(const struct field *f, void *base)
{
	char **text = MEMBER(f, base, char *);

	*text = *text ? xstrdup(*text) : NULL;
}

static void text_release(const struct field *f, void *base)
{
	free(*MEMBER(f, base, char *));
}

#define KIND_TEXT(name, how) \
	const struct field_kind name = { \
		.read = how, .print = text_print, .copy = text_copy, .release = text_release, \
	}
KIND_TEXT(kind_text, text_read);

/* Empty, it names no pool: settle.c's name_check says so. */
const struct field_kind kind_name = {
	.read = text_read, .print = text_print, .copy = text_copy, .release = text_release,
	.takes_empty = true,
};

/* They would break the lines of info, of the log and of what programs print. */
static bool has_control(const char *text)
{
	for (const char *s = text; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return true;
	return false;
}

static int line_read(const struct field *f, void *base, const char *text, struct err *e)
{
	if (has_control(text))
		return err_set(e, EINVAL, "'%.128s' contains a control character", text);
	return text_read(f, base, text, e);
}
KIND_TEXT(kind_line, line_read);

/* It will stand in the argument list of some program. */
static int argument_read(const struct field *f, void *base, const char *text, struct err *e)
{
	if (text[0] == '-')
		return err_set(e, EINVAL, "'%.128s' begins with '-', as an option does", text);
	return line_read(f, base, text, e);
}
KIND_TEXT(kind_argument, argument_read);

static int host_read(const struct field *f, void *base, const char *text, struct err *e)
{
	if (strpbrk(text, " /"))
		return err_set(e, EINVAL, "'%.128s' is no host; write a name or an address", text);
	return argument_read(f, base, text, e);
}
KIND_TEXT(kind_host, host_read);

static int wwn_read(const struct field *f, void *base, const char *text, struct err *e)
{
	size_t digits = strspn(text, "0123456789abcdefABCDEF");

	if (digits != 16 || text[digits])
		return err_set(e, EINVAL, "'%.64s' is no world wide name; write 16 hexadecimal "
			       "digits", text);
	return text_read(f, base, text, e);
}
KIND_TEXT(kind_wwn, wwn_read);

/* Another spelling, printed and freed by the row of today's. */
const struct field_kind kind_alias = {.read = line_read};

static void password_release(const struct field *f, void *base)
{
	char *text = *MEMBER(f, base, char *);

	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}
const struct field_kind kind_password = {
	.read = text_read, .copy = text_copy, .release = password_release,
};

/* ---- one of a list of words --------------------------------------------------- */

bool words_hold(const char *words, const char *word)
{
	size_t len = strlen(word);

	if (!words)
		return true;
	for (const char *w = words; *w; w += strspn(w, " ")) {
		size_t length = strcspn(w, " ");

		if (length == len && memcmp(w, word, len) == 0)
			return true;
		w += length;
	}
	return false;
}

static int word_judge(const char *words, const char *text, struct err *e)
{
	_cleanup_buf_ struct buf list = {0};

	/* A blank would match two words that stand together. */
	if (!strchr(text, ' ') && words_hold(words, text))
		return 0;
	for (const char *w = words; *w; w++)
		buf_addf(&list, *w == ' ' ? ", " : "%c", *w);
	return err_set(e, EINVAL, "unknown word '%.64s'; give one of %s", text, list.data);
}

static int word_read(const struct field *f, void *base, const char *text, struct err *e)
{
	int rc = word_judge(f->words, text, e);

	return rc < 0 ? rc : text_read(f, base, text, e);
}
KIND_TEXT(kind_word, word_read);

static int format_read(const struct field *f, void *base, const char *text, struct err *e)
{
	const struct pool_def *def = base;
	const struct pool_type *t = pool_type_find(def->type);

	if (word_judge(t->formats, text, e) < 0)
		return err_wrap(e, "format of %s pools", t->type);
	return text_read(f, base, text, e);
}
KIND_TEXT(kind_format, format_read);

static int yesno_read(const struct field *f, void *base, const char *text, struct err *e)
{
	int rc = word_judge("yes no", text, e);

	if (rc == 0)
		*MEMBER(f, base, enum yesno) = text[0] == 'y' ? YESNO_YES : YESNO_NO;
	return rc;
}

static bool yesno_print(const struct field *f, const void *base, const struct pool_usage *u,
			struct buf *out)
{
	enum yesno value = *MEMBER_CONST(f, base, enum yesno);

	(void)u;
	buf_addf(out, "%s", value == YESNO_YES ? "yes" : "no");
	return value != YESNO_UNSET;
}
const struct field_kind kind_yesno = {.read = yesno_read, .print = yesno_print};

/* ---- paths --------------------------------------------------------------------- */

/* No "//", no slash at the end, no "." and "..". */
static int path_read(const struct field *f, void *base, const char *text, struct err *e)
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
	if (has_control(path))
		return err_set(e, EINVAL, "the path '%s' contains a control character", path);
	return text_read(f, base, path, e);
}
KIND_TEXT(kind_path, path_read);

/* A path as a server names it, perhaps relative: libvirt's rules, by which "//"
 * becomes "/" except at the very beginning, and a slash at the end goes. */
static int dir_read(const struct field *f, void *base, const char *text, struct err *e)
{
	_cleanup_free_ char *path = xmalloc(strlen(text) + 1);
	size_t len = 0;

	if (strspn(text, "/") == 2)
		path[len++] = *text++;
	while (*text) {
		if (*text != '/') {
			path[len++] = *text++;
			continue;
		}
		text += strspn(text, "/");
		if (*text || len < 2)
			path[len++] = '/';
	}
	path[len] = '\0';
	return argument_read(f, base, path, e);
}
KIND_TEXT(kind_dir, dir_read);

/* ---- uuid -------------------------------------------------------------------- */

static int uuid_read(const struct field *f, void *base, const char *text, struct err *e)
{
	if (!uuid_parse(text, MEMBER(f, base, char)))
		return err_set(e, EINVAL, "'%.64s' is no uuid; write 32 hexadecimal digits%s", text,
			       f->words ? f->words : "");
	return 0;
}

static bool uuid_print(const struct field *f, const void *base, const struct pool_usage *u,
		       struct buf *out)
{
	const char *uuid = MEMBER_CONST(f, base, char);

	(void)u;
	buf_add(out, uuid, strlen(uuid));
	return uuid[0];
}
const struct field_kind kind_uuid = {.read = uuid_read, .print = uuid_print};

/* ---- numbers ----------------------------------------------------------------- */

static int number_parse(const char *text, int base, unsigned max, unsigned *value, struct err *e)
{
	unsigned long long number;
	char *end;

	errno = 0;
	number = strtoull(text, &end, base);
	if (!isdigit((unsigned char)text[0]) || *end || errno || number > max)
		return err_set(e, EINVAL, "'%.64s' is no number up to %u", text, max);
	*value = (unsigned)number;
	return 0;
}

static int number_read(const struct field *f, void *base, const char *text, struct err *e)
{
	int rc = number_parse(text, 10, f->max, MEMBER(f, base, unsigned), e);

	return rc < 0 && f->words ? err_set(e, EINVAL, "'%.64s' is %s", text, f->words) : rc;
}

static bool number_print(const struct field *f, const void *base, const struct pool_usage *u,
			 struct buf *out)
{
	unsigned value = *MEMBER_CONST(f, base, unsigned);

	(void)u;
	buf_addf(out, "%u", value);
	return value;
}
const struct field_kind kind_number = {.read = number_read, .print = number_print};

static int true_read(const struct field *f, void *base, const char *text, struct err *e)
{
	(void)text, (void)e;
	*MEMBER(f, base, bool) = true;
	return 0;
}
const struct field_kind kind_true = {.read = true_read, .takes_empty = true};

static bool unique_id_print(const struct field *f, const void *base, const struct pool_usage *u,
			    struct buf *out)
{
	const struct pool_def *def = base;

	(void)u;
	buf_addf(out, "%u", *MEMBER_CONST(f, base, unsigned));
	return def->source.adapter.parentaddr;
}
const struct field_kind kind_unique_id = {
	.read = number_read, .print = unique_id_print, .takes_empty = true,
};

static int pci_read(const struct field *f, void *base, const char *text, struct err *e)
{
	return number_parse(text, 0, f->max, MEMBER(f, base, unsigned), e);
}

static bool pci_print(const struct field *f, const void *base, const struct pool_usage *u,
		      struct buf *out)
{
	const struct pool_def *def = base;

	(void)u;
	buf_addf(out, "0x%0*x", (int)f->width, *MEMBER_CONST(f, base, unsigned));
	return def->source.adapter.parentaddr;
}
const struct field_kind kind_pci = {.read = pci_read, .print = pci_print};

/* ---- permissions: offset is that of a struct perms ------------------------------ */

static int mode_read(const struct field *f, void *base, const char *text, struct err *e)
{
	struct perms *p = MEMBER(f, base, struct perms);
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

static bool mode_print(const struct field *f, const void *base, const struct pool_usage *u,
		       struct buf *out)
{
	const struct perms *p = MEMBER_CONST(f, base, struct perms);

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

static int owner_read(const struct field *f, void *base, const char *text, struct err *e)
{
	struct perms *p = MEMBER(f, base, struct perms);

	return id_read(text, &p->uid_set, &p->uid, e);
}

static bool owner_print(const struct field *f, const void *base, const struct pool_usage *u,
			struct buf *out)
{
	const struct perms *p = MEMBER_CONST(f, base, struct perms);

	(void)u;
	if (p->uid_set)
		buf_addf(out, "%u", p->uid);
	return p->uid_set;
}

static int group_read(const struct field *f, void *base, const char *text, struct err *e)
{
	struct perms *p = MEMBER(f, base, struct perms);

	return id_read(text, &p->gid_set, &p->gid, e);
}

static bool group_print(const struct field *f, const void *base, const struct pool_usage *u,
			struct buf *out)
{
	const struct perms *p = MEMBER_CONST(f, base, struct perms);

	(void)u;
	if (p->gid_set)
		buf_addf(out, "%u", p->gid);
	return p->gid_set;
}

const struct field_kind kind_mode = {.read = mode_read, .print = mode_print};
const struct field_kind kind_owner = {
	.read = owner_read, .print = owner_print, .takes_empty = true,
};
const struct field_kind kind_group = {
	.read = group_read, .print = group_print, .takes_empty = true,
};

/* ---- printed only, or marks only ------------------------------------------------- */

/* offset is that in struct pool_usage */
static bool usage_print(const struct field *f, const void *base, const struct pool_usage *u,
			struct buf *out)
{
	(void)base;
	buf_addf(out, "%llu", u ? (unsigned long long)*MEMBER_CONST(f, u, uint64_t) : 0);
	return true;
}
const struct field_kind kind_usage = {.print = usage_print};

static bool bytes_print(const struct field *f, const void *base, const struct pool_usage *u,
			struct buf *out)
{
	(void)f, (void)base, (void)u;
	buf_addf(out, "bytes");
	return true;
}
const struct field_kind kind_bytes = {.print = bytes_print};

static int mark_read(const struct field *f, void *base, const char *text, struct err *e)
{
	(void)f, (void)base, (void)text, (void)e;
	return 0;
}
const struct field_kind kind_mark = {.read = mark_read, .takes_empty = true};

static bool xmlns_print(const struct field *f, const void *base, const struct pool_usage *u,
			struct buf *out)
{
	(void)u;
	buf_addf(out, "%s", f->words);
	return *MEMBER_CONST(f, base, size_t) > 0;
}
const struct field_kind kind_xmlns = {.print = xmlns_print};
