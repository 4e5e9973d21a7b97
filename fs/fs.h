/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fs.h - the FUSE front, shared by the files of fs/ and by nobody else.
 *
 * How a request goes: loop.c reads it on a thread that may block, because
 * another thread reads on. ops.c and its neighbours find the node, copy what
 * they need into a struct req and hand it to queue.c, which runs it at once,
 * or later when its pool has too many under way. Whoever comes first answers:
 * the work itself, the signal of the waiting program, or the deadline.
 */
#ifndef POOLFS_FS_H
#define POOLFS_FS_H

#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 14)
#include "../control/control.h"
#include <fuse_lowlevel.h>
#include <pthread.h>

/* ---- options (main.c) ---------------------------------------------------- */

struct options {
	char *source, *mountpoint, *rundir;
	char *extra;                    /* options for the kernel's mount, or NULL */
	bool foreground, debug, allow_other, fault, passthrough, shrink, announce;
	int readdirplus;                /* 0 off, 1 always, 2 as the kernel guesses */
	unsigned timeout_ms;            /* for a driver's answer */
	double cache;                   /* seconds names and attributes are kept */
};
extern struct options opt;
extern struct fuse_session *session;

enum {
	POOL_THREADS_MAX = 64,          /* blocking requests of one pool at a time */
	CONTROL_THREADS_MAX = 512,      /* the same of control/: each hanging start holds one */
	POOL_ASYNC_MAX = 4096,          /* submitted and not completed, one pool */
	LOCKED_MS = 800,                /* while the kernel holds the parent's lock */
	GUARD_SECONDS = 5,
};

/* ---- nodes (tree.c) ------------------------------------------------------- */

enum kind {
	N_ROOT, N_CONTROL, N_POOLS, N_ACTIVE, N_AUTOSTART, N_SECRETS,   /* fixed directories */
	N_CPOOL,                /* control/pools/NAME/ */
	N_ACTIVEPOOL,           /* control/active/NAME/ */
	N_POOL,                 /* NAME/ of one run */
	N_VOL,
	N_GUARD,                /* .pool */
	N_CFILE,                /* a row of cfiles[]; a new node for each lookup */
	N_DEF,                  /* control/pools/NAME.xml */
	N_SCRATCH,
	N_AUTOLINK,             /* control/autostart/NAME.xml, or a temporary name */
	N_VOLUMES,              /* control/pools/NAME/volumes/ of one run */
	N_VOLTEXT,              /* VOLUME.xml or VOLUME.disk in it */
	N_SECRET,               /* control/secrets/UUID or usage:NAME */
	N_SOURCES,              /* control/sources/ */
	N_SOURCEHOSTS,          /* TYPE/ in it */
	N_SOURCE,               /* a file in one of them */
};

/* Requests of one pool (or of control/) under way: queue.c. */
struct queue {
	unsigned limit;                 /* of threads; constant */
	pthread_mutex_t mu;
	unsigned threads, async;        /* running now */
	struct req *first, **last;      /* waiting for a place */
};

/* What tells a file from what it was before. */
struct stamp {
	off_t size;
	struct timespec mtime, ctime;
};

struct handle;
struct node {
	/* constant */
	uint64_t id;                    /* FUSE's number, never used again */
	_Atomic(enum kind) kind;
	struct node *parent;            /* counted */
	struct cpool *cp;               /* N_CPOOL, N_ACTIVEPOOL, N_CFILE of a pool; counted */
	const struct cfile *cf;
	struct run *run;                /* N_POOL, N_VOL, N_VOLUMES, N_VOLTEXT; counted */
	struct queue *queue;            /* N_POOL, N_VOLUMES: its own; N_CPOOL: of its verbs */
	struct drop *drop;              /* N_VOLUMES; owned */
	uint64_t ident;                 /* N_VOL: vol_stat.id; of a text: shown.c's, or 0 */

	/* tree.c's lock */
	char *name;
	atomic_uint_fast64_t refs;      /* lookups of the kernel, and ours; from and to 0: locked */
	bool linked;                    /* found by its name */
	struct node *by_id, *by_name;
	struct scratch *scratch;        /* N_SCRATCH; counted */

	/* mu */
	pthread_mutex_t mu;
	struct handle *handles;         /* N_VOL: open ones */
	int backing_id;                 /* kernel passthrough while > 0 */
	bool mode_set;                  /* decided at the first open, as the next */
	atomic_bool passthrough;        /* also read without the lock */
	struct lockers *lockers;        /* locks.c */
	struct stamp seen;              /* last told to the kernel */
	bool seen_set, cache_good;      /* pages match the file of stamp */
	struct stamp stamp;             /* of a text: its own */
	atomic_uint_fast64_t told_size; /* N_VOL: by an event, or known before */
	atomic_uint late;               /* abandoned writes that may still land */
	atomic_uint writers;            /* N_DEF, N_VOLTEXT, N_SECRET: open handles that write */
};

void tree_init(void);
struct node *node_by_id(fuse_ino_t id);         /* counted; NULL: unknown (ESTALE) */
void node_put(struct node *n, uint64_t count);
struct node *node_get(struct node *n);
/* The child called name if it is linked and matches (ident, run, cp as far as
 * not 0), else a new one in its place. Counted. run, cp get counted by it. */
struct node *node_child(struct node *parent, enum kind k, const char *name, uint64_t ident,
			struct run *run, struct cpool *cp, const struct cfile *cf);
struct node *node_find(struct node *parent, const char *name);  /* counted or NULL */
void node_unlink(struct node *parent, const char *name);
void node_rename(struct node *from_dir, const char *from, struct node *to_dir,
		 const char *to, bool exchange);
char *node_name(struct node *n);                /* a copy */
bool node_linked(struct node *n);
bool node_is_gone(struct node *n);     /* a pool's directory in control/pools, but no such pool */
void nodes_forget_attributes(struct run *run);
/* A definition's node becomes a scratch file's (vim's backup). */
void node_become_scratch(struct node *n, struct scratch *s);
/* A number that no node has nor will have. */
uint64_t node_no_id(void);
/* The file row or cpool-less attributes of everything but volumes and their texts. */
/* who NULL: without asking anybody, so that a pool's directory is nobody else's. */
void node_stat(struct node *n, const struct caller *who, struct stat *st);
/* Those of a volume's text: asks the driver. ENOENT: there is no such volume. */
int voltext_stat(struct node *n, struct stat *st, struct err *e);
/* The same, made from those of its volume, and of one that is being written. */
void voltext_show_stat(struct node *n, off_t size, struct stat *st);
void voltext_unmade_stat(struct node *n, struct stat *st);
/* The number that a stat of dir's child, an N_VOLTEXT, will show. */
uint64_t voltext_ino(struct node *dir, const char *file);
/* Is it a drop directory (N_POOLS, N_VOLUMES)? Which one; else NULL. */
const struct drop *node_drop(struct node *dir);
uint64_t vol_ino(struct run *r, uint64_t ino);
void node_told(struct node *n, const struct stat *st);  /* to the kernel */
struct stamp stamp_of(const struct stat *st);
bool stamp_same(const struct stamp *a, const struct stamp *b);
/* Will the kernel find other attributes than it was told? */
bool node_changed(struct node *n, const struct stat *st);
/* Attributes of a volume as the mount shows them. */
void vol_show_stat(struct node *n, struct vol_stat *vs);

/* ---- requests (request.c, queue.c) ----------------------------------------- */

struct change_call;
struct req {
	fuse_req_t fr;
	struct fuse_ctx ctx;
	struct node *node;              /* counted */
	struct run *run;                /* = node->run, or NULL */
	struct queue *queue;
	const char *op;
	void (*fn)(struct req *);       /* does the work; answers; may block */
	void (*late)(struct req *);     /* at the deadline instead of ETIMEDOUT */
	bool writes;                    /* may change data after it was given up */
	bool names;                     /* the same of what name and name2 mean */
	char tells;                     /* answered with success, the kernel tells inotify of it:
	                                 * helper.c's letter */
	bool asks_here;                 /* who->ask; late answers with what is known */
	bool reads;                     /* a volume's data, perhaps into the kernel's pages */
	bool entered;                   /* between run_enter and run_leave */
	struct call call;
	struct progress progress;
	struct err err;

	/* arguments, as the operation needs them */
	char *name, *name2;
	struct node *node2;
	struct handle *h, *h2;
	void *held;                     /* another handle, kept until the end */
	void (*held_put)(void *);
	struct fuse_file_info fi;
	struct stat attr;
	int to_set, mode, flags;
	size_t size;
	uint64_t off, off2;
	uint64_t moved;                 /* bytes, once that is known; for the metrics */
	char *data;
	void *kept;                     /* data lies in that buffer of the loop's */
	bool data_owned, plus;          /* owned: or kept */
	struct flock lock;
	struct io io;
	struct vol *iovol;

	/* request.c's and queue.c's */
	atomic_bool answered, queued, under_io;
	atomic_int refs;
	bool is_async;
	bool ended, expired, counted_late;      /* live_mu, as the next */
	bool unsure, signalled;         /* interrupted perhaps by no signal; by one */
	bool promised;                  /* answered with the promise that it goes on */
	bool lingers;                   /* answered, and still at work on its names */
	uint64_t begun, deadline;
	uint64_t begun_ns;
	struct metrics *metrics;        /* of node's pool, while node is there */
	struct req *next, *live_next, **live_link;
};

/* Takes the node (counted) from the id; on an unknown one answers ESTALE and
 * returns NULL. */
struct req *req_new(fuse_req_t fr, fuse_ino_t ino, const char *op);
/* Memory of the request's own for its data, with what is there; also to read into. */
void req_own_data(struct req *r);
/* queue.c with request.c: it may be given up from here on; false: it was, and must not
 * reach the driver; its end; out of the queue, where it would stay as long as the pool
 * is stalled (false: it is not there). */
void req_live(struct req *r, unsigned deadline_ms);
bool req_begin_io(struct req *r);
void req_finish(struct req *r);
bool req_unqueue(struct req *r);
void req_put(struct req *r);
/* Runs r->fn now, or queues it. deadline_ms 0: none. */
void req_run(struct req *r, void (*fn)(struct req *), unsigned deadline_ms);
/* True for exactly one caller, who then answers, with success. Afterwards r->fr may be
 * used once, for the reply. */
bool req_claim(struct req *r);
bool req_claim_failed(struct req *r, int code);         /* answers an error by itself */
/* Claims and answers. req_fail records r->err when it has a sentence. */
void req_fail(struct req *r, int negative);
void req_ok(struct req *r);
/* From fn: the request does not end when fn returns but with req_end, called by
 * the completion of what fn submits afterwards, perhaps before fn returns. */
void req_async(struct req *r);
/* r->io goes to v now: an interrupt cancels it there. */
void req_set_io(struct req *r, struct vol *v);
void req_end(struct req *r);
void req_extend(struct req *r, unsigned deadline_ms);    /* there was progress */
void requests_init(void);
unsigned requests_live(void);
void requests_cancel(void);              /* those that can be: the daemon ends */
/* The thread that looks at deadlines repeats the number that it was asked last: it
 * is not stuck. */
void clock_ask(unsigned number);
unsigned clock_answered(void);
/* ETIMEDOUT at once, and true, if n is a volume that takes no I/O now. */
bool req_refuse_late(struct req *r, struct node *n);
/* Is a request under way, and not answered, that does what c says? */
bool req_tells(const struct change_call *c);
/* EBUSY, and true, if a request that was answered before its end may still make,
 * remove or rename the volume called name in r->node. */
bool req_refuse_pending(struct req *r, const char *name);
void req_lingers(struct req *r);        /* r is such a request from now on */
/* The kernel is about to drop pages of n, and waits for those that are being
 * read with no signal to end it: wait here before, where one does. */
void req_await_reads(struct req *r, struct node *n);
bool req_reads_pending(struct req *r, struct node *n);
struct queue *queue_new(unsigned limit);
void queue_free(struct queue *q);
extern struct queue *control_queue;
/* May this thread wait for a driver? Only while it serves a request: the clock,
 * an interrupt and the end of asynchronous I/O may not. */
bool thread_may_block(void);
bool thread_run(void *(*f)(void *), void *arg);         /* detached; false: none to be had */
void caller_of(struct req *r, struct caller *who);
/* Logs and keeps a failure that no request carries to anyone. */
void report(struct run *run, struct cpool *cp, const char *op, uid_t uid, const struct err *e);

/* ---- operations, by file ---------------------------------------------------- */

/* lookup.c: names */
void op_lookup(fuse_req_t, fuse_ino_t, const char *);
/* The kernel is told of a volume's attributes, and drops its pages if they have changed:
 * it must not meet one that is being read. False: there is one, and a listing does
 * not wait. */
bool node_tell(struct req *r, struct node *n, const struct stat *st);
void reply_node(struct req *r, struct node *n, const struct stat *st);
int lookup_child(struct req *r, struct node *dir, const char *name, struct node **out,
		 struct stat *st);
double node_timeout(struct node *n, bool name);

/* ops.c: attributes, and the table */
struct vol_attr req_attr(struct req *r);        /* what a setattr asks for, but sizes */
extern const struct fuse_lowlevel_ops poolfs_ops;

/* dirs.c */
void op_opendir(fuse_req_t, fuse_ino_t, struct fuse_file_info *);
void op_readdir(fuse_req_t, fuse_ino_t, size_t, off_t, struct fuse_file_info *);
void op_readdirplus(fuse_req_t, fuse_ino_t, size_t, off_t, struct fuse_file_info *);
void op_releasedir(fuse_req_t, fuse_ino_t, struct fuse_file_info *);
void op_fsyncdir(fuse_req_t, fuse_ino_t, int, struct fuse_file_info *);

/* names.c: what makes, removes and renames */
void op_mkdir(fuse_req_t, fuse_ino_t, const char *, mode_t);
void op_rmdir(fuse_req_t, fuse_ino_t, const char *);
void op_unlink(fuse_req_t, fuse_ino_t, const char *);
void op_rename(fuse_req_t, fuse_ino_t, const char *, fuse_ino_t, const char *, unsigned);
void op_symlink(fuse_req_t, const char *, fuse_ino_t, const char *);
void op_readlink(fuse_req_t, fuse_ino_t);
void op_link(fuse_req_t, fuse_ino_t, fuse_ino_t, const char *);
void op_mknod(fuse_req_t, fuse_ino_t, const char *, mode_t, dev_t);
struct req *req_named(fuse_req_t fr, fuse_ino_t dir, const char *name, const char *op);

/* autolink.c: symbolic links */
bool autolink_exists(const char *name);         /* a temporary name of ln -sf */
int autolink_unlink(struct req *r);
int autolink_rename(struct req *r);
char *autolink_text(const char *name);
void autolink_each(void (*f)(void *, const char *), void *arg);

/* volume.c: open volumes; data.c: their bytes */
struct handle {
	struct node *node;              /* counted */
	struct vol *vol;
	struct holder holder;
	atomic_int refs;
	int flags;                      /* as the caller opened it */
	struct timespec opened;         /* st_ctim then */
	atomic_bool changed;            /* truncated or written through this handle */
	struct handle *next, **link;    /* node->mu */
};
struct handle *handle_get(struct handle *h);
/* The last one closes, on a thread of its own where the caller's may not block. */
void handle_put(struct handle *h);
struct handle *node_any_handle(struct node *n); /* counted or NULL */
void vol_open_request(struct req *r);
void vol_create_request(struct req *r);
/* Removes r->name again, unless somebody has found it meanwhile and uses it. */
void vol_create_undo(struct req *r);
void vol_release_request(struct req *r);
void op_read(fuse_req_t, fuse_ino_t, size_t, off_t, struct fuse_file_info *);
void op_write(fuse_req_t, fuse_ino_t, const char *, size_t, off_t, struct fuse_file_info *);
void op_fsync(fuse_req_t, fuse_ino_t, int, struct fuse_file_info *);
void op_flush(fuse_req_t, fuse_ino_t, struct fuse_file_info *);
void op_fallocate(fuse_req_t, fuse_ino_t, int, off_t, off_t, struct fuse_file_info *);
void op_lseek(fuse_req_t, fuse_ino_t, off_t, int, struct fuse_file_info *);
void op_copy_file_range(fuse_req_t, fuse_ino_t, off_t, struct fuse_file_info *, fuse_ino_t,
			off_t, struct fuse_file_info *, size_t, int);

/* resize.c */
/* An event tells of it, unless the driver watches. */
void node_tell_size(struct node *n, struct pool *p, uint64_t size);
int vol_set_size(struct req *r);        /* by r->h if there is one; r->attr.st_size */
/* Does name still mean r->node's file, and not one that has taken its place? 1, 0
 * or -errno. */
int vol_is_named(struct req *r, const char *name);

/* locks.c: POSIX and OFD locks, held on the volume's own file */
void op_getlk(fuse_req_t, fuse_ino_t, struct fuse_file_info *, struct flock *);
void op_setlk(fuse_req_t, fuse_ino_t, struct fuse_file_info *, struct flock *, int);
void locks_drop_owner(struct node *n, uint64_t owner);
void locks_drop_handle(struct node *n, uint64_t fh);
void locks_free(struct node *n);

/* passthrough.c */
void passthrough_init(struct fuse_conn_info *c);
bool passthrough_on(void);
int passthrough_hook(struct fuse_session *se);
/* > 0, or -errno. */
int backing_open(int fd);
void backing_close(int id);
int reply_open(fuse_req_t fr, struct fuse_file_info *fi, int backing_id, bool parallel);
int reply_create(fuse_req_t fr, const struct fuse_entry_param *e, struct fuse_file_info *fi,
		 int backing_id, bool parallel);

/* ctl.c: control files, definitions, scratch files */
void ctl_open(struct req *r);
void ctl_create(struct req *r);
void ctl_read(struct req *r);
void ctl_write(struct req *r);
void ctl_flush(struct req *r);
void ctl_release(struct req *r);
void ctl_fsync(struct req *r);
void ctl_lseek(struct req *r);
int ctl_setsize(struct req *r);
void ctl_hold(struct req *r, uint64_t fh);      /* r->held */
bool ctl_poll(uint64_t fh, struct fuse_pollhandle *ph); /* may be read now? takes ph */

/* ---- what a lookup has shown (shown.c) ------------------------------------------- */

bool shown_keeps(const struct cfile *cf);
/* Does n stand for one text? */
bool node_is_shown(struct node *n);
/* The child of dir that stands for text, which it takes; uid: who has looked. */
struct node *shown_child(struct node *dir, enum kind k, const char *name,
			 const struct cfile *cf, uid_t uid, struct buf *text);
struct stamp shown_stamp(struct node *n);       /* its size, and when it was first shown */
bool shown_take(struct node *n, const struct caller *who, struct buf *text);
/* Does n stand for this text? */
bool shown_is(struct node *n, const struct buf *text);

/* poll.c: those who wait for control/events */
struct waiter {
	struct fuse_pollhandle *ph;     /* NULL: does not wait */
	struct waiter *next, **link;
};
void op_poll(fuse_req_t, fuse_ino_t, struct fuse_file_info *, struct fuse_pollhandle *);
void poll_wait(struct waiter *w, struct fuse_pollhandle *ph);   /* takes ph */
void poll_forget(struct waiter *w);
void poll_wake(void);           /* there are new events */

/* sources.c: control/sources/ */
struct node *sources_child(struct node *dir, const char *name); /* of control/, too */
void sources_stat(struct node *n, struct stat *st);     /* its mode */
int sources_open(struct req *r, struct node *n, struct buf *text);      /* looks now */

/* secret.c: control/secrets/. text: of one open handle, what was written so far; NULL:
 * there is none. */
struct node *secrets_child(struct node *dir, const char *name);
int secrets_create(struct req *r, struct node **out);
int secrets_open(struct req *r, struct node *n, struct buf *text);
int secrets_write(struct req *r, struct node *n, struct buf *text);
int secrets_truncate(struct req *r, struct buf *text);
int secrets_unlink(struct req *r);

/* announce.c: inotify on the mount, of what did not come through it */
void announce_begin(void);
void announce_end(void);                /* before the unmount; bounded */
/* r->tells: it is about to be answered with success; false: it was answered already. */
void announce_own(struct req *r, bool yes);

/* helper.c: the process that works on the mount for announce.c */
#define HELPER_WORD "--announce-changes-of-a-running-poolfs"
struct change_call {
	char op;                        /* c d make a file, a directory; u r remove one;
	                                 * m renames to `to`; t a touch, as of a write; a of
	                                 * the attributes; l a look, answered as any other */
	char *dir, *name, *to;          /* dir: below the mount; name "": dir itself */
};
int helper_main(const char *mountpoint);
/* errno, or 0; EPIPE: no helper now. true_answer: it was told what is, because that is
 * in use. */
int helper_call(const struct change_call *c, bool *true_answer);
void helper_end(void);
void helper_kill(void);
bool helper_is(const struct fuse_ctx *ctx);
const char *helper_dir(struct node *n); /* such a dir; NULL: none that is announced */
/* True: it was the helper's, and has been answered. */
bool helper_lookup(fuse_req_t fr, fuse_ino_t parent, const char *name);
bool helper_change(fuse_req_t fr, fuse_ino_t parent, const char *name, char op);

/* guard.c: the trip-wire of .pool */
void guard_arm(const struct fuse_ctx *ctx);
bool guard_tripped(const struct fuse_ctx *ctx);
void guard_text(struct node *n, struct buf *out);       /* what .pool says */

/* mount.c, loop.c */
int mount_session(struct err *e);
void mount_end(void);
void mount_cut(void);
void loop_run(void);            /* starts the threads and returns */
bool loop_ended(void);
/* The thread answers and will then wait for nothing: it counts as one that
 * reads. The second takes that back. Elsewhere than in the loop: no effect. */
void loop_answering(void);
void loop_working(void);
/* Keeps the buffer that data was read into, to be returned later; NULL: data is elsewhere. */
void *loop_keep_buffer(const void *data);
void loop_return_buffer(void *buffer);
void mount_ready(void);         /* the kernel has greeted (main.c) */

/* notify.c: the service manager. Without one they do nothing. */
void notify_init(void);
bool notify_wanted(void);
void notify_send(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void notify_ready(void);
void notify_reloading(void);
/* Has a request come through the kernel and been answered within so long? */
bool notify_await_answer(unsigned ms);
void notify_tick(void);         /* looks, and tells */
int notify_pause_ms(void);      /* until the next tick is due; -1: never */
/* What main() does instead, when its first argument is this word. */
#define NOTIFY_ASK_MOUNT "--ask-mount"
int notify_ask_mount(const char *mountpoint);

#endif
