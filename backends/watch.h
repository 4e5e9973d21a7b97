/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * watch.h - what happens to the files of a local directory, as changes of volumes.
 *
 * Drivers whose volumes are the files of a directory (dir; later fs) call these
 * from watch, unwatch and fini. One inotify instance and one thread serve all
 * pools, since a user may have 128 instances only.
 */
#ifndef POOLFS_WATCH_H
#define POOLFS_WATCH_H

#include "backend.h"

struct watch;
/* From here on changed(arg, ...) is called as backend.h says. dir: a descriptor of
 * the directory, which stays the caller's. EOPNOTSUPP on file systems of other hosts,
 * where a look at a size may hang, and theirs would hold up those of all pools.
 * before: NULL, or one that has ended and whose pointer somebody may still have: it
 * is freed with this one. */
int watch_begin(int dir, vol_changed_f *changed, void *arg, struct watch *before,
		struct watch **w, struct err *e);
/* dir means another directory now, by the same path: VOL_LOST, and on with that. */
void watch_again(struct watch *w, int dir);
/* No call runs any more, and none will come. Idempotent. */
void watch_end(struct watch *w);
void watch_free(struct watch *w);       /* ends it as well; NULL is fine */

#endif
