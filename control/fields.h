/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fields.h - the table of all that a <pool> may say, and the table of types.
 *
 * define.c (rows.c) reads with them, format.c prints with them, def_copy and def_free
 * walk them: an element or attribute that poolfs understands is one row in
 * fields.c and one member of struct pool_def. What has no row is ignored.
 */
#ifndef POOLFS_FIELDS_H
#define POOLFS_FIELDS_H

#include "control.h"

struct field;

/* How a kind of value is read, printed and kept. base is the struct pool_def,
 * or the item of the row's list. NULL: does nothing. */
struct field_kind {
	/* text is not empty unless takes_empty. Sets e without the line. */
	int (*read)(const struct field *f, void *base, const char *text, struct err *e);
	/* Adds the value, not escaped; false if it is not set. */
	bool (*print)(const struct field *f, const void *base, const struct pool_usage *u,
		      struct buf *out);
	/* base was copied as a struct: makes this field its own. */
	void (*copy)(const struct field *f, void *base);
	void (*release)(const struct field *f, void *base);
	bool takes_empty;       /* "" is a value (a bad one); else as good as absent */
};

/* kinds.c */
extern const struct field_kind kind_text;       /* char *; offset of it, as below */
extern const struct field_kind kind_name;       /* of the pool */
extern const struct field_kind kind_line;       /* text without control characters */
extern const struct field_kind kind_word;       /* one of words */
extern const struct field_kind kind_argument;   /* a line that is no option: no '-' first */
extern const struct field_kind kind_host;       /* an argument without blanks and '/' */
extern const struct field_kind kind_path;       /* absolute, normalised */
extern const struct field_kind kind_dir;        /* a server's directory, as libvirt has it */
extern const struct field_kind kind_wwn;
extern const struct field_kind kind_format;     /* one of the type's formats */
extern const struct field_kind kind_alias;      /* read only: another spelling of a line */
extern const struct field_kind kind_password;   /* read only: never printed */
extern const struct field_kind kind_uuid;       /* char[37] */
extern const struct field_kind kind_yesno;      /* enum yesno */
extern const struct field_kind kind_number;     /* unsigned, 1 to max; 0: not set */
extern const struct field_kind kind_true;       /* bool, of a mark */
extern const struct field_kind kind_unique_id;  /* unsigned, with parentaddr */
extern const struct field_kind kind_pci;        /* unsigned, to max, with parentaddr */
extern const struct field_kind kind_mode, kind_owner, kind_group;       /* struct perms */
extern const struct field_kind kind_usage;      /* uint64_t of a struct pool_usage */
extern const struct field_kind kind_bytes;      /* the word "bytes" */
extern const struct field_kind kind_mark;       /* nothing */
extern const struct field_kind kind_xmlns;      /* size_t: if not 0, prints words */

/* An element that may come several times: an array in struct pool_def. */
struct field_list {
	size_t items, count;    /* offsets in struct pool_def */
	size_t size;            /* of an item */
	const char *types;      /* as in struct field */
};

enum {
	FIELD_OPEN = 1,         /* the element is printed even when nothing is in it */
	FIELD_NEEDED = 2,       /* each item of the list must have it */
	FIELD_MARK = 4,         /* read when the element begins, without its text */
	FIELD_CLOSED = 8,       /* an element in it that has no row is an error */
};

/* A row stands in the order in which it is printed. path names an element
 * below <pool> ("target/path") or an attribute ("@type", "capacity@unit"); the
 * attributes of an element stand before its text and its children. The rows of
 * a list stand behind the row of its element. */
struct field {
	const char *path;
	const struct field_kind *kind;  /* NULL: an element that only holds others */
	size_t offset;                  /* in struct pool_def, the item, or what kind says */
	/* Pool types, separated by blanks; NULL: all. On others the row is
	 * ignored when read, and not printed. */
	const char *types;
	const struct field_list *list;
	const char *words;              /* what kind says */
	unsigned max, width;
	unsigned flags;
};

extern const struct field fields[];     /* ends with path NULL */
#define FIELDS_MAX 80                      /* rows, the last one too */

/* Does a list of words (NULL: any) hold this one? */
bool words_hold(const char *words, const char *word);
static inline bool field_applies(const struct field *f, const char *type)
{
	return words_hold(f->list ? f->list->types : f->types, type);
}
/* The element of a list, not what is in it. */
static inline bool field_is_list(const struct field *f)
{
	return f->list && !f->kind;
}
static inline void **list_items(const struct field_list *l, const struct pool_def *def)
{
	return (void **)((char *)def + l->items);
}
static inline size_t *list_count(const struct field_list *l, const struct pool_def *def)
{
	return (size_t *)((char *)def + l->count);
}

/* What the types differ in, as far as their XML goes. */
struct pool_type {
	const char *type;
	const char *needs;      /* rows that must be there, separated by blanks */
	const char *formats;    /* of the pool; NULL: the type has none */
	const char *format;     /* the default */
	/* The source's name; a pool name that is missing is made from it, and
	 * the other way round. */
	bool named;
	const char *target;     /* goes before the source's name, whatever is written */
	bool own_target;        /* the target is the pool's own directory */
};
const struct pool_type *pool_type_find(const char *type);       /* of a known type */

/* format.c: one more <source>, below the root of w. */
struct writer;
void source_format(struct writer *w, const struct pool_def *def);

#endif
