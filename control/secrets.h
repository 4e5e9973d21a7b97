/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * secrets.h - how a file that may hold a secret is read: for secrets.c and
 * libvirt_secret.c only. All others use control.h.
 */
#ifndef POOLFS_SECRETS_H
#define POOLFS_SECRETS_H

#include "control.h"

/* The whole of a regular file into out (released before, NUL-terminated), without
 * the newlines at its end and without a copy left in memory. path names the
 * directory. ENOENT without a sentence; EFBIG. */
int secret_file_read(int dir, const char *path, const char *file, struct buf *out,
		     struct err *e);

#endif
