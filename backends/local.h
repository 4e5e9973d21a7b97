/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * local.h - volumes that are a local file: the operations on an open one.
 *
 * Drivers (dir; later fs, netfs and those with block devices) open the file
 * in a way of their own, put it into v->fd, and point their rows at these.
 * They need nothing of the pool, and never look at a path.
 */
#ifndef POOLFS_LOCAL_H
#define POOLFS_LOCAL_H

#include "backend.h"

/* For all that opens a file of a pool: nothing is followed, nothing blocks. */
#define LOCAL_OPEN_FLAGS (O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

/* -errno, without a sentence. st->st.st_mode keeps the true type (the caller
 * judges it), and loses the set-id bits. id tells apart files that had one
 * inode number one after the other. */
int local_stat_at(int dirfd, const char *name, struct vol_stat *st);
int local_stat_fd(int fd, struct vol_stat *st);

int local_close(struct vol *v, struct err *e);
int local_fstat(struct vol *v, struct vol_stat *st, struct err *e);
ssize_t local_read(struct vol *v, void *data, size_t len, uint64_t off, struct err *e);
ssize_t local_write(struct vol *v, const void *data, size_t len, uint64_t off,
		    struct err *e);
int local_flush(struct vol *v, bool data_only, struct err *e);
int local_truncate(struct vol *v, uint64_t size, struct err *e);
int local_allocate(struct vol *v, int mode, uint64_t off, uint64_t len, struct err *e);
int local_seek(struct vol *v, uint64_t off, int whence, uint64_t *found, struct err *e);
ssize_t local_copy(struct vol *from, uint64_t from_off, struct vol *to, uint64_t to_off,
		   size_t len, struct err *e);
int local_fd(struct vol *v);

/* Sets the size; EBUSY if that cuts a file that a QEMU uses. */
int local_set_size(int fd, uint64_t size, struct err *e);
int local_wipe(int fd, enum wipe how, struct progress *pr, struct err *e);

#endif
