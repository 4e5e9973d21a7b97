/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * dirvol.h - volumes that are the files of one local directory.
 *
 * Drivers whose pools end up as a directory (dir; later fs and netfs, which
 * mount one) make struct dirp the first member of their priv, call
 * dirp_attach() in start and dirp_detach() in fini, and point their rows at
 * the rest. What an open volume does is in local.h.
 */
#ifndef POOLFS_DIRVOL_H
#define POOLFS_DIRVOL_H

#include "backend.h"

struct dirp {
	bool started;
	int fd;                 /* of the directory; constant from start to fini */
};

/* Opens the pool's target; returns the descriptor, or -errno. */
int target_open(struct pool *p, struct err *e);
/* Removes what clones left behind when a daemon died. */
void leftovers_remove(int target);
int dirp_attach(struct pool *p, struct err *e);         /* idempotent */
void dirp_detach(struct pool *p);

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

#endif
