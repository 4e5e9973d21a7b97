/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * watch_parts.h - what watch.c and watch_changes.c share about a watch. Private to the
 * two; all others use watch.h.
 */
#ifndef POOLFS_WATCH_PARTS_H
#define POOLFS_WATCH_PARTS_H

#include "watch.h"

#include <sys/inotify.h>

enum { BUCKETS = 1024 };

/* A name of the directory. */
struct slot {
	struct slot *next;
	uint64_t size;
	bool told;              /* size is what was told last; else what it was once */
	bool check;             /* has changed */
	bool other;             /* no volume */
	bool guessed;           /* its creation was told by check_exchange */
	char name[];
};

struct watch {
	/* mu */
	int fd, wd;             /* wd -1: the directory has gone */
	unsigned calls;         /* under way */
	bool busy, dead;        /* busy: in the hands of the thread */
	bool orphan;            /* which frees it then */
	struct watch *next;

	/* constant */
	vol_changed_f *changed;
	void *arg;
	struct watch *before;   /* NULL; has ended, freed with this one */

	/* the thread's */
	struct slot *slots[BUCKETS];
	unsigned count, hand;
	bool filled, muted;
	unsigned round;         /* of each(), the last that it had part in */
	uint64_t tick;          /* when; 0: none */
	char *from;             /* IN_MOVED_FROM without its other half */
	uint32_t cookie;
	uint64_t from_due;
	char *last_from, *last_to;      /* the rename just told */
};

/* watch.c: tells, unless the watch has ended. */
void watch_tell(struct watch *w, enum vol_change what, const char *name, const char *to,
		uint64_t size);
/* With IN_MODIFY or without. */
void watch_listen(struct watch *w, bool muted);

/* watch_changes.c, on the thread: an event of a name, of the data of a name; events have
 * been lost; the times in the watch have come. */
void change_name(struct watch *w, const struct inotify_event *v);
void change_data(struct watch *w, const char *name);
void change_lost(struct watch *w);
void change_tick(struct watch *w);
void change_flush(struct watch *w);     /* the other half of a rename will not come */
void changes_forget(struct watch *w);

#endif
