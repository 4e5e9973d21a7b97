/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvirt.h - SOURCE as libvirt's own storage directory: who else may write it,
 * and the secrets that libvirt keeps beside it.
 *
 * For store.c and secrets.c. source is an absolute path without symbolic links.
 * Both functions look at the disk each time, and change nothing on it.
 */
#ifndef POOLFS_LIBVIRT_H
#define POOLFS_LIBVIRT_H

#include "control.h"

/* EROFS with a sentence if source is the storage directory of a libvirt daemon,
 * the system's or a user's, that lives; else 0. */
int libvirt_refuse(const char *source, struct err *e);
/* The secret that auth names, from source/../secrets, as a driver wants it: of
 * Ceph the key as Ceph prints it, else the value. ENOENT without a sentence: libvirt
 * keeps none of that name there. */
int libvirt_secret(const char *source, const struct pool_auth *auth, struct buf *out,
		   struct err *e);

#endif
