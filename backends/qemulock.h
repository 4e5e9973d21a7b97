/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qemulock.h - does a QEMU, anywhere on this host, use this file?
 *
 * QEMU marks an open image by shared locks on single bytes between 100 and
 * 299 (block/file-posix.c: what it may do from 100 on, what others may not
 * from 200 on). Called before data would be lost: by remove, by a rename onto
 * a volume, by shrinking, by wipe. Takes no lock, and follows no symlink.
 */
#ifndef POOLFS_QEMULOCK_H
#define POOLFS_QEMULOCK_H

#include "backend.h"

/* EBUSY, naming the program if it can be found. Locks that belong to fd's own
 * open file description are no obstacle: they are the asker's. */
int qemulock_check(int fd, struct err *e);
/* The same for a name; 0 if it is no regular file or may not be opened. */
int qemulock_check_at(int dirfd, const char *name, struct err *e);

#endif
