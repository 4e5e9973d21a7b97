/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * wrap.h - before and after each call of a driver; shared by backend.c and
 * volume.c, which alone make such calls.
 */
#ifndef POOLFS_WRAP_H
#define POOLFS_WRAP_H

#include "backend.h"

/* What stands before a driver's sentence: "cannot stop" pool 'images'. */
extern const char *const op_phrases[OP_COUNT];
/* The sentence for what the type does not have. */
int op_missing(struct pool *p, enum op op, struct err *e);
/* 0: the driver may be called. */
int op_begin(struct pool *p, enum op op, bool has, struct err *e);
/* The rules for what a driver returns. name NULL: it is about the pool. */
ssize_t op_end(struct pool *p, enum op op, const char *name, ssize_t rc, struct err *e);

/* Runs call unless something before it says no. */
#define WRAP(p, op, name, call) ({ \
	struct pool *wp = (p); \
	ssize_t wrc = op_begin(wp, OP_##op, wp->ops->op != NULL, e); \
	if (wrc == 0) \
		wrc = (call); \
	op_end(wp, OP_##op, (name), wrc, e); \
})

/* Names that come this far were checked before; once more, at little cost,
 * since a driver hands them to openat(2) or to a program. */
#define CHECK_NAME(name) do { \
	int crc = name_check(NAME_VOLUME, (name), e); \
	if (crc < 0) \
		return crc; \
} while (0)

#endif
