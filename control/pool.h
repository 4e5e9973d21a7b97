/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pool.h - what registry.c, pool.c, run.c, begin.c and files.c share about
 * pools. Private to these files: all others use control.h.
 *
 * Locks, in the order in which they may be taken together:
 *   pools.define   keeps writers of definitions apart; held while the store
 *                  writes, never while a driver works or a target is looked at
 *   pools.lock     the registry and every field of a cpool not marked otherwise
 *   run->lock      calls, holders, state and usage of one run
 * The last two are held for moments only: nothing that may block is done.
 */
#ifndef POOLFS_POOL_H
#define POOLFS_POOL_H

#include "control.h"

enum {
	CALL_STALLED_MS = 5000,         /* a pool with an older call is stalled */
	CALL_HUNG_MS = 10000,           /* stop waits no longer for an older one */
	PROBE_LATE_MS = 1000,           /* nobody waits for an older usage probe */
	CLOSE_GRACE_MS = 500,           /* close(2) returns before its release comes */
	END_WAIT_MS = 2000,             /* control_end waits for starts and stops */
};

/* ---- where a pool's target lies (target.c) ------------------------------- */

/* Which directory a path led to when it was last looked at: a hint only, since
 * a directory may be removed and its inode number used again. */
struct target_id {
	bool known;
	dev_t dev;
	ino_t ino;
};
/* Remembers the own mount, without touching it. NULL forgets it. */
void target_set_mount(const char *mountpoint);
/* Textual: no "//", ".", ".." nor trailing slash; the caller frees. */
char *target_normal(const char *path);
/* Resolves path component by component and never enters the own mount: EINVAL
 * if it leads there. Fills id if there is a directory. May block as any
 * lstat(2) may: no lock may be held. path NULL: 0, unknown. */
int target_check(const char *path, struct target_id *id, struct err *e);
static inline bool target_same(const struct target_id *a, const struct target_id *b)
{
	return a->known && b->known && a->dev == b->dev && a->ino == b->ino;
}

/* ---- pools ---------------------------------------------------------------- */

struct cpool {
	atomic_uint refs;
	char *name;                     /* constant */
	struct pool_def *def;           /* replaced as a whole; never seen by a driver */
	uint64_t def_number;            /* another one for each, never 0 */
	bool persistent;                /* false: runs, but NAME.xml is gone */
	bool autostart;
	bool gone;                      /* not in the registry any more */
	bool retry;                     /* begin.c goes on trying to start it */
	bool recorded;                  /* the store says that it runs, or ran */
	enum pool_state state;          /* only pool_begin and pool_end write it */
	const char *busy;               /* "started", "built" ...: a change is under way */
	struct run *run;                /* counted; from starting to the end of stopping */
	char *error;
	struct timespec mtime;
	struct target_id id;            /* of def->target */
	struct metrics *metrics;        /* from registry_add on; NULL: counted with others */
};

struct pools {
	pthread_mutex_t define;
	pthread_mutex_t lock;
	pthread_cond_t idle;            /* changes went to 0 */
	struct cpool **all;             /* sorted by name; each counted */
	size_t count, cap;
	unsigned changes;               /* between pool_begin and pool_end */
	bool ending;
	bool fault;
	struct store *store;            /* constant between init and end */
};
extern struct pools pools;

/* registry.c; pools.lock held where it says so */
struct cpool *registry_get(const char *name);   /* locked; not counted */
struct cpool *cpool_new(const char *name, struct pool_def *def);        /* takes def */
void cpool_set_def(struct cpool *cp, struct pool_def *def);     /* locked; takes def */
bool registry_add(struct cpool *cp);            /* locked; takes the reference */
void registry_drop(struct cpool *cp);           /* locked; the caller puts it */
/* Is the target a directory of the pool's own, which no other pool may use? */
bool registry_own_target(const struct pool_def *def);
/* As target_check; id stays unknown if the target is not the pool's own. */
int registry_target(const struct pool_def *def, struct target_id *id, struct err *e);
/* normal: from target_normal, or NULL (never the same). */
bool registry_same_target(const char *normal, const struct pool_def *def);
int registry_conflict_error(const char *other, bool runs, struct err *e);
/* Does a pool other than name use the directory id? EEXIST if one is defined
 * so. For a run that starts: EBUSY if one runs there; else the run has the
 * directory from now on. May block as target_check: no lock may be held. */
int registry_conflict(const char *name, const struct target_id *id, struct run *starting,
		      struct err *e);

/* EEXIST if the two have a source in common, by the rules of their types; name:
 * of the pool that has other. Compares texts only. */
int registry_same_source(const struct pool_def *def, const struct pool_def *other,
			 const char *name, struct err *e);
/* The same for block devices by two names (/dev/sda, /dev/disk/by-id/...), with
 * all other pools. Looks at /dev: no lock may be held. */
int registry_same_device(const struct pool_def *def, struct err *e);

/* What store_each finds: names_add with a struct names; the owner frees all. */
struct names {
	char **name;
	size_t count;
};
void names_add(void *arg, const char *name);

/* password.c; under pools.define. keep: a plain-text password becomes a secret,
 * before the definition is written: with a crash in between, a pool defined
 * anew has the new password already, which is the one that works. */
int password_keep(struct pool_def *def, struct err *e);
bool password_kept(const struct pool_def *def);
int password_drop(const struct pool_def *def, struct err *e);   /* not there: 0 */

/* All definitions of the store (manage.c); a bad one is logged and left. */
int registry_load(struct err *e);
/* Of one file that has no pool yet. The file's name decides. */
int definition_load(const char *name, struct err *e);
/* mend: something is to be written back (a uuid, a password that went). */
int definition_read(const char *name, struct pool_def **def, bool *mend, struct err *e);
/* Under pools.define. Takes *def when it succeeds. From disk: the file is there
 * already, and its autostart link is its own. */
enum origin { FROM_USER, FROM_DISK, FROM_DISK_MEND };
int definition_commit(struct pool_def **def, const struct target_id *id, enum origin from,
		      struct err *e);
/* begin.c: what autostarts and does not run, unless it was stopped; targets that are
 * not known yet are looked at. */
void begin_again(void);
/* A thread for f that control_end waits for, for a while; false: none to be had. */
bool begin_thread(void (*f)(void));

/* ---- the state machine (pool.c) ------------------------------------------- */

enum doing { DO_START, DO_STOP, DO_BUILD, DO_ERASE, DO_UNDEFINE, DO_RENAME };
struct change {
	struct cpool *cp;               /* counted */
	struct run *run;                /* counted; NULL when there is none */
	struct pool_def *def;           /* owned: of a build or an erase */
	enum pool_state was;
};
/* Enters a change, which keeps all others out: EBUSY if there is one already,
 * EEXIST or ENOENT if it has nothing to do. def: start with this one instead
 * of the pool's own (copied). On 0, pool_end must follow. */
int pool_begin(struct cpool *cp, enum doing what, const struct pool_def *def,
	       struct change *ch, struct err *e);
/* why: of a start that failed, given to all who wait for it. */
void pool_end(struct change *ch, enum pool_state now, const struct err *why);
/* The work of a start between the two, and pool_end. Blocks. started, if not NULL, is
 * called when the pool runs, before what may wait till then. */
int pool_launch(struct change *ch, bool takeover, void (*started)(void *arg), void *arg,
		struct err *e);

/* ---- runs (run.c) ----------------------------------------------------------- */

struct call_list {
	struct call *first, **last;
};

struct probe {
	bool running, count;            /* count: the names as well */
	uint64_t since;                 /* the one under way began */
	uint64_t asked, used, counted;  /* numbers of wishes made and fulfilled */
	bool usage_known, volumes_known;
	struct pool_usage usage;
	time_t told;                    /* usage, when */
	uint64_t volumes;
};

struct run {
	atomic_uint refs;
	atomic_bool dead;
	struct cpool *cp;               /* counted; constant, as the next three */
	struct pool_def *def;
	uint64_t def_number;            /* of the pool's that it is a copy of, or 0; pools.lock */
	struct pool *pool;
	uint16_t serial;
	struct target_id id;            /* pools.lock */
	pthread_mutex_t lock;           /* all that follows */
	pthread_cond_t changed;
	enum pool_state state;          /* follows the pool's; INACTIVE, FAILED: dead */
	struct err why;                 /* of a start that failed */
	struct call_list calls;         /* oldest first */
	struct call_list longs;
	struct holder *holders;
	char *path;
	struct probe probe;
	bool unwatched;                 /* runs, but calls wait until changes are watched */
	bool told_stalled;
	bool tidying;                   /* a thread of tidy.c is at work */
	struct progress tidy;
};

struct run *run_new(struct cpool *cp, struct pool_def *def, uint16_t serial);
uint16_t run_serial_first(const char *uuid);
void run_set_state(struct run *r, enum pool_state s, const struct err *why);
/* Gives volumes just closed a moment to be released. */
void run_settle(struct run *r);
/* While stopping: waits until no call is in the driver but hung ones; EBUSY
 * when a volume is open or a long call is under way. */
int run_quiesce(struct run *r, struct err *e);
char *run_path(struct run *r);          /* the caller frees */
/* tidy.c: the driver's later work begins, if it is not under way, and ends. */
void tidy_start(struct run *r);
/* Gives it up, and waits for that until then (now_ms). */
void tidy_stop(struct run *r, uint64_t until);
/* Between the driver's start and its stop: who tells of changes of volumes. */
void run_watch(struct run *r);
/* That may take long: from now on it counts as a call, for which others wait; and does it. */
void run_watch_begin(struct run *r, struct call *c);
void run_watch_end(struct call *c);
/* usage.c: what is known without asking, for the metrics. */
struct run_sample {
	bool known;
	struct pool_usage usage;
	time_t told;
	unsigned open;                  /* handles of volumes */
};
void run_take_sample(struct run *r, struct run_sample *s);
/* usage.c: as run_usage, and the number of volumes; each false when not known. */
void run_info(struct run *r, enum ask ask, struct pool_usage *u, bool *u_known,
	      uint64_t *volumes, bool *volumes_known);
/* capabilities.c: of cfiles[] */
void capabilities_show(struct cpool *cp, const struct caller *who, struct buf *out);
uint64_t capabilities_size(void);       /* when last shown; 0 before */

#endif
