/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fields.h - the table of all that a <pool> may say.
 *
 * define.c reads with it, format.c prints with it, def_copy and def_free walk
 * it: an element or attribute that poolfs understands is one row in fields.c
 * and one member of struct pool_def. What has no row is ignored.
 */
#ifndef POOLFS_FIELDS_H
#define POOLFS_FIELDS_H

#include "control.h"

struct field;

/* How a kind of value is read, printed and kept. NULL: does nothing. */
struct field_kind {
	/* text is not empty unless takes_empty. Sets e without the line. */
	int (*read)(const struct field *f, struct pool_def *def, const char *text,
		    struct err *e);
	/* Adds the value, not escaped; false if it is not set. */
	bool (*print)(const struct field *f, const struct pool_def *def,
		      const struct pool_usage *u, struct buf *out);
	/* to was copied as a struct: makes this field its own. */
	void (*copy)(const struct field *f, struct pool_def *to);
	void (*release)(const struct field *f, struct pool_def *def);
	bool takes_empty;       /* "" is a value (a bad one); else as good as absent */
};

enum {
	FIELD_OPEN = 1,         /* the element is printed even when nothing is in it */
};

/* A row stands in the order in which it is printed. path names an element
 * below <pool> ("target/path") or an attribute ("@type", "capacity@unit"); the
 * attributes of an element stand before its text and its children. */
struct field {
	const char *path;
	const struct field_kind *kind;  /* NULL: an element that only holds others */
	size_t offset;                  /* in struct pool_def, or what kind says */
	/* Pool types, separated by blanks; NULL: all. On others the row is
	 * ignored when read, and not printed. */
	const char *types;
	const char *needed;             /* types that must have it; NULL: none */
	unsigned flags;
};

extern const struct field fields[];     /* ends with path NULL */
#define FIELDS_MAX 64                      /* rows, the last one too */

/* Does the list of types (NULL: all) hold this one? */
bool types_hold(const char *types, const char *type);

#endif
