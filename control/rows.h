/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rows.h - a document that is read by a table of rows: which row an element or an
 * attribute is for, its text, and where it was found.
 *
 * For define.c and volume_xml.c, which say where the values go.
 */
#ifndef POOLFS_ROWS_H
#define POOLFS_ROWS_H

#include "fields.h"
#include "xml.h"

struct rows;
struct rows_owner {
	const char *root;               /* the root element */
	const struct field *fields;     /* ends with path NULL */
	/* Where the value of f goes. */
	void *(*base)(struct rows *r, const struct field *f);
	/* The next may be NULL. Does f count in this document? */
	bool (*counts)(struct rows *r, const struct field *f);
	/* An element begins, before its attributes; its row or NULL. */
	void (*begins)(struct rows *r, const struct field *f, unsigned line);
	/* The root's attributes have been read. */
	int (*root_begins)(struct rows *r, struct err *e);
	/* The element at r->path ends. */
	int (*ends)(struct rows *r, struct err *e);
};

struct rows {
	/* the owner's, before rows_read */
	const struct rows_owner *owner;
	unsigned *line;                 /* of each row; 0: not found yet */
	/* for the owner to read */
	char path[128];                 /* "target/permissions", below the root */
	unsigned root_line;
	/* rows.c's */
	struct xml_scan scan;
	const struct field *row;        /* whose text is being gathered, or NULL */
	unsigned row_depth, row_line;
	struct buf text;
	unsigned skip;                  /* depth of an unknown element we are in, or 0 */
};

/* Reads a whole document. -EFBIG if it is too large; what is wrong otherwise is EINVAL
 * with its line. */
int rows_read(struct rows *r, const char *xml, size_t len, struct err *e);
/* "<name>", "<host port>", "<pool type>" for sentences. */
void row_describe(const struct rows *r, const struct field *f, char *text, size_t size);
/* Where the row with this path was found; 0: nowhere. */
unsigned row_line(const struct rows *r, const char *path);

#endif
