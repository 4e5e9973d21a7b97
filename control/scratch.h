/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * scratch.h - what drop.c needs of scratch files beyond control.h.
 *
 * Private to scratch.c and drop.c.
 */
#ifndef POOLFS_SCRATCH_H
#define POOLFS_SCRATCH_H

#include "control.h"

/* The NAME of "NAME.xml", fit or not; false if file ends otherwise. */
bool stem_cut(const char *file, char stem[256]);
int scratch_rename(const struct drop *d, const char *from, const char *to, bool noreplace,
		   struct err *e);
/* Makes a whole file, or replaces one. */
int scratch_place(const struct drop *d, const char *name, bool noreplace, uid_t uid, gid_t gid, struct timespec mtime,
		  const char *data, size_t len, struct err *e);
/* The whole content, NUL-terminated; the caller frees. */
char *scratch_content(struct scratch *s, size_t *len);
/* Unlinks name if it still is s. */
void scratch_unlink_same(const struct drop *d, const char *name, struct scratch *s);

#endif
