/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * copy.h - bytes from one file descriptor to another, by the cheapest way the
 * kernel has, with holes kept.
 *
 * Called by drivers whose volumes are local files. Works on the descriptors
 * alone: never opens, names, syncs or removes a file, never moves an offset
 * that anybody relies on.
 */
#ifndef POOLFS_COPY_H
#define POOLFS_COPY_H

#include "backend.h"

enum { COPY_CALL_MAX = 64 << 20 };      /* bytes of data per copy_range() */

/* Copies a window: shares it (FICLONERANGE) if the file system can, else
 * copies at most COPY_CALL_MAX bytes of data; holes cost nothing, and become
 * holes of the target. Returns bytes done, 0 at the end of the source. */
ssize_t copy_range(int from, uint64_t from_off, int to, uint64_t to_off, size_t len,
		   struct err *e);
/* Copies all of from to the new, empty file to, with progress. ECANCELED. */
int copy_file(int from, int to, struct progress *pr, struct err *e);

/* The next data in [pos, end) of fd: *data..*hole, empty (both end) if there is
 * none. What cannot tell holes is all data. -errno, with a sentence. */
int extent_next(int fd, uint64_t pos, uint64_t end, uint64_t *data, uint64_t *hole,
		struct err *e);
/* Writes all of it; -errno, with a sentence. */
int write_all(int fd, const void *data, size_t len, uint64_t off, struct err *e);
/* The sentence for errno: what the system says. */
int err_errno(struct err *e);

#endif
