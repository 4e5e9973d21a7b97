/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * define.h - what define.c and settle.c share about a document being read.
 * Private to the two; all others use def_parse in control.h.
 */
#ifndef POOLFS_DEFINE_H
#define POOLFS_DEFINE_H

#include "fields.h"
#include "xml.h"

struct reading {
	struct xml_scan scan;
	struct pool_def *def;
	char path[128];                 /* "target/permissions", below the root */
	const struct field *row;        /* whose text is being gathered, or NULL */
	unsigned row_depth, row_line;
	struct buf text;
	const struct field *list;       /* the element of a list we are in, or NULL */
	void *item;                     /* what its rows fill */
	unsigned skip;                  /* depth of an unknown element we are in, or 0 */
	unsigned root_line;
	unsigned line[FIELDS_MAX];      /* where each row was found; 0: not yet */
};

/* "<name>", "<host port>", "<pool type>" for sentences. */
void row_describe(const struct field *f, char *text, size_t size);
/* Where the row with this path was found; 0: nowhere. */
unsigned row_line(const struct reading *r, const char *path);

/* The document has ended: defaults, and what goes together (settle.c). name as
 * in def_parse. */
int def_settle(struct reading *r, const char *name, struct err *e);

#endif
