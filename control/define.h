/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * define.h - what define.c and settle.c share about a document being read.
 * Private to the two; all others use def_parse in control.h.
 */
#ifndef POOLFS_DEFINE_H
#define POOLFS_DEFINE_H

#include "rows.h"

struct reading {
	struct rows rows;
	struct pool_def *def;
	const struct field *list;       /* the element of a list we are in, or NULL */
	void *item;                     /* what its rows fill */
	unsigned line[FIELDS_MAX];
};

/* The document has ended: defaults, and what goes together (settle.c). name as
 * in def_parse. */
int def_settle(struct reading *r, const char *name, struct err *e);

#endif
