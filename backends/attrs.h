/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * attrs.h - mode, owner and times of volumes whose storage has no room for them.
 *
 * For drivers of block devices and images: what chmod, chown and utimens set is
 * kept while the pool runs, by the volume's number (vol_stat.id), so that it goes
 * along with a rename. A volume nobody has touched is root's, 0600. Thread-safe.
 */
#ifndef POOLFS_ATTRS_H
#define POOLFS_ATTRS_H

#include "backend.h"
#include <pthread.h>

enum { ATTRS_MAX = 65536 };     /* volumes; those set longest ago are forgotten */

struct attrs_row;
/* Starts zeroed, but for the lock: PTHREAD_MUTEX_INITIALIZER or pthread_mutex_init. */
struct attrs {
	pthread_mutex_t lock;
	struct attrs_row **rows;
	struct attrs_row *oldest, *newest;
	size_t count, size;
};
void attrs_release(struct attrs *a);
/* Records what a->valid says. UTIME_NOW and UTIME_OMIT are understood. */
void attrs_set(struct attrs *a, uint64_t id, const struct vol_attr *v);
void attrs_forget(struct attrs *a, uint64_t id);
/* Fills st_mode's bits, owner, and the times that were set. st comes with the
 * storage's own times: an mtime that is younger than the utimens wins. */
void attrs_apply(struct attrs *a, uint64_t id, struct stat *st);

#endif
