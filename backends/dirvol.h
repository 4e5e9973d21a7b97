/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * dirvol.h - volumes that are the files of one local directory.
 *
 * Drivers whose pools end up as a directory (dir; later fs and netfs, which
 * mount one) make struct dirp the first member of their priv, call
 * dirp_attach() in start and dirp_detach() in fini, and point their rows at
 * the rest: dirp_ (dirpool.c) is the directory, dirv_ (dirvol.c) a volume. What an open volume does is in local.h.
 */
#ifndef POOLFS_DIRVOL_H
#define POOLFS_DIRVOL_H

#include "backend.h"
#include "watch.h"

struct dirp {
	bool started;
	int fd;                 /* of the directory; its number stays from start to fini */
	_Atomic(struct watch *) watch;          /* from the first watch to fini */
	bool late;              /* who started it has his answer before the watch */
};

/* Opens the pool's target; returns the descriptor, or -errno. */
int target_open(struct pool *p, struct err *e);
/* False: the target's path leads elsewhere now (the directory was moved away, or something
 * was mounted there), so that a path made from it would name another file. */
bool dirp_in_place(struct pool *p);
int dirp_attach(struct pool *p, struct err *e);         /* idempotent */
void dirp_detach(struct pool *p);

int dirp_watch(struct pool *p, struct err *e);
void dirp_unwatch(struct pool *p);
bool dirp_watch_lasts(struct pool *p);

int dirp_usage(struct pool *p, struct pool_usage *u, struct err *e);
int dirp_list(struct pool *p, vol_found_f *found, void *arg, struct err *e);
int dirv_stat(struct pool *p, const char *name, struct vol_stat *st, struct err *e);
int dirv_readlink(struct pool *p, const char *name, char *to, size_t size, struct err *e);
int dirv_create(struct pool *p, const char *name, const struct vol_create *c,
		struct vol *v, struct err *e);
int dirv_remove(struct pool *p, const char *name, struct err *e);
int dirv_rename(struct pool *p, const char *from, const char *to, unsigned flags,
		struct err *e);
int dirv_setattr(struct pool *p, const char *name, const struct vol_attr *a,
		 struct err *e);
int dirv_resize(struct pool *p, const char *name, uint64_t size, unsigned flags,
		struct err *e);
int dirv_clone(struct pool *p, const char *from, const char *to, unsigned flags,
	       struct progress *pr, struct err *e);
int dirv_wipe(struct pool *p, const char *name, enum wipe how, struct progress *pr,
	      struct err *e);
int dirv_open(struct pool *p, const char *name, int flags, struct vol *v, struct err *e);

/* dirimage.c: what needs to know of formats */
int dirv_create_image(struct pool *p, const char *name, const struct vol_create *c,
		      struct vol *v, struct err *e);
int dirv_describe(struct pool *p, const char *name, struct vol_desc *d, struct err *e);

/* dirtidy.c: the hidden files. Removes them, but for those that are being made;
 * total and done of pr are the bytes of deleted volumes. */
int leftovers_remove(int target, struct progress *pr, struct err *e);
int dirp_tidy(struct pool *p, struct progress *pr, struct err *e);
/* Takes long to unlink; gives it a hidden name, -1 and errno if it cannot. */
bool dirv_is_large(const struct stat *st);
int dirv_move_aside(int dir, const char *name);

/* ---- for these files among themselves -------------------------------------- */

#define CLONE_PREFIX ".poolfs.clone-"
enum { DIRV_TEMP_SIZE = sizeof CLONE_PREFIX + 12 };

int dirp_fd(struct pool *p);            /* -1 before the start */
bool dirv_is_volume(mode_t mode);       /* a regular file or a symlink */
/* The sentence for errno; ENOENT of a volume has none. */
int dirp_failed(struct pool *p, struct err *e);
/* A hidden new file, locked so that a start lets it be. Returns its descriptor. */
int dirv_temp(int dir, char name[DIRV_TEMP_SIZE], struct err *e);
/* Renames to a name that is free; -1 and errno, EEXIST. */
int dirv_move_new(int dir, const char *from, const char *to);
/* EEXIST; says what is there if the user cannot see it. */
int dirv_taken(struct pool *p, const char *name, struct err *e);
int dirv_own(int fd, uid_t uid, gid_t gid, mode_t mode, struct err *e);
/* Opens a regular file of the pool; returns the descriptor. */
int dirv_open_fd(struct pool *p, const char *name, int flags, struct err *e);

#endif
