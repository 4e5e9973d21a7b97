/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rbd.h - what the files of the rbd driver share, and nobody else.
 *
 * rbd.c has the row and the pool, rbd_conn.c the connection, rbd_peers.c the other
 * daemons; rbd_head.c asks for sizes and times without opening, rbd_list.c lists,
 * rbd_ahead.c reads ahead of who walks through the list;
 * rbd_image.c has the open images, rbd_io.c and rbd_queue.c their bytes, rbd_size.c their sizes;
 * rbd_names.c, rbd_copy.c, rbd_clone.c and rbd_tidy.c make, remove and copy. All of it is one
 * module (module.h) and the only code of poolfs that links against Ceph.
 */
#ifndef POOLFS_RBD_H
#define POOLFS_RBD_H

#include "attrs.h"
#include "backend.h"

#include <pthread.h>
#include <rados/librados.h>
#include <rbd/librbd.h>

enum {
	MOUNT_TIMEOUT = 10,             /* seconds; defaults of the three deadlines */
	OP_TIMEOUT = 20,
	OPEN_WAIT_MS = 30000,           /* for an image that is being opened or closed */
	IDLE_MS = 3000,                 /* an image nobody has open is closed after that */
	OPEN_MAX = 256,                 /* images open at a time, if the XML does not say */
	OWNER_MS = 1000,                /* how long we believe to be alone on an image */
	PASSING_MS = 3000,              /* and wait for another who has it for a moment */
	FRESH_MS = 100,                 /* how old an attribute may be */
	HEARD_LATE = 61,                /* other clients note a change once in 60 seconds */
	PIECE_MAX = 1 << 30,            /* of one zeroing: librbd counts in 32 bits */
	COPY_STEP = 4 << 20,
	/* Bytes and writes that are answered and not stored yet: of an image, of a pool. */
	BEHIND_MAX = 16 << 20, BEHIND_COUNT = 128, BEHIND_ALL = 64 << 20,
};
#define SIZE_CAP ((uint64_t)256 << 40)  /* larger ones take minutes to remove */
/* Hidden, since name_check() refuses it: a copy that is not whole yet. */
#define TEMP_PREFIX ".poolfs."

/* ---- the connection: one for each run (rbd_conn.c) ---------------------- */

struct image;
/* Counted: by the pool, its images' closer, and calls that outlive a stop. */
struct conn {
	atomic_int refs;
	/* constant after conn_new */
	rados_t cluster;
	rados_ioctx_t io;
	uint64_t instance;              /* our number among the cluster's clients */
	char *address;                  /* as watchers and lock owners are shown */
	char *pool, *user;
	char **dead;                    /* addresses of our own that died; ends with NULL */
	unsigned open_max;
	unsigned timeout;               /* seconds of one operation */
	atomic_bool pooled;             /* io is usable */
	atomic_bool gone;               /* the RADOS pool has been deleted */
	int64_t id;                     /* its number, which no other is ever given */
	atomic_size_t behind;           /* bytes answered and not stored yet */
	atomic_uint_fast64_t resized;   /* now_ms() when we last gave an image another size */

	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct image *images;           /* all that are known */
	unsigned open;                  /* of them, with those being opened and closed */
	bool ending, closer;
	struct conn *next;              /* rbd_conn.c's list of all */
};
struct conn *conn_new(const struct pool_def *def);
/* Hosts (rbd_hosts.c): as librados wants them; with known, only those. */
void hosts_text(const struct pool_source *s, const bool *known, struct buf *out);
/* Names them to librados; asks the name service, and may wait for it. */
int hosts_set(rados_t cluster, const struct pool_source *s);
/* Does a monitor greet at one of them? */
bool hosts_greet(const struct pool_source *s);
/* User, key and settings, from the XML. */
int conn_set_up(struct conn *c, struct pool *p, struct err *e);
/* Connects. Bounded in time; what hangs is left to a thread of its own. */
int conn_open(struct conn *c, const struct pool_def *def, struct err *e);
struct conn *conn_get(struct conn *c);
/* Those that are connected, counted; the caller frees the array. */
size_t conns_all(struct conn ***all);
void conn_put(struct conn *c);

struct listing;
struct rbdp {
	struct conn *conn;              /* from start to fini */
	struct attrs attrs;
	pthread_mutex_t lock;           /* of what follows */
	struct listing *listing;        /* the last one, or NULL; counted */
	uint64_t names;                 /* counts own changes of names */
};

/* Sets the sentence for what librbd or librados returned: "fmt: reason". */
int rbd_fail(struct conn *c, int rc, struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Has somebody deleted the RADOS pool? Then librados answers as if it were there and
 * empty, and librbd reads zeros. By the last map, at once; but never where librbd or
 * librados calls us: they may hold the map's lock. */
bool conn_gone(struct conn *c);
/* Has the last map no RADOS pool of that number? Where conn_gone may be called. */
bool pool_unknown(struct conn *c, int64_t id);
/* There is no such thing: -ENOENT without a sentence, or what rbd_fail says of a pool
 * that is gone. */
int rbd_absent(struct conn *c, struct err *e);
/* (rbd_peers.c) Who we are on this machine: boot, process ids' name space, process, its start. */
char *self_identity(void);
/* Is that a process of this boot and name space, and gone? */
bool identity_dead(const char *identity);
/* Tells others who we are, and finds out who has died here. */
void clients_note(struct conn *c);

/* ---- what is written down for later: omap of one object (rbd_tidy.c) ------ */

#define TODO_OBJECT "poolfs.todo"
#define CLIENTS_OBJECT "poolfs.clients"
/* In the place of a maker's identity: he has given it up. */
#define NOTE_LEFT "left"
int note_set(struct conn *c, const char *object, const char *key, const char *value);
int note_remove(struct conn *c, const char *object, const char *key);
struct note {
	char *key, *value;
	struct note *next;
};
/* Those whose key begins with prefix. A missing object has none. */
int notes_read(struct conn *c, const char *object, const char *prefix, struct note **out);
void notes_free(struct note *n);

/* ---- headers, without opening (rbd_head.c) -------------------------------- */

struct head {
	char *name;             /* asked for by name ... */
	char id[64];            /* ... or by id, if this is not "" */
	int rc;                 /* -ENOENT: there is none */
	uint64_t size, features, flags;
	unsigned order;
	struct timespec mtime;
	uint64_t allocation;    /* size if it cannot be told */
	bool want_allocation;
};
/* All of them at once, pipelined. */
void heads_read(struct conn *c, struct head *h, size_t count);
/* Which image is called so? -ENOENT without a sentence. */
int image_id_of(struct conn *c, const char *name, char id[64], struct err *e);
uint64_t id_number(const char *id);

/* Which objects of an image there are: two bits each, from its object map. */
struct objects {
	uint64_t count, loaded;         /* loaded: now_ms() */
	unsigned char *bits;            /* NULL: not known */
};
bool object_exists(const struct objects *o, uint64_t number);
uint64_t objects_used(const struct objects *o);
int objects_read(struct conn *c, const char *id, struct objects *o);

/* A listing, whose headers are read ahead of who walks through it (rbd_ahead.c). Counted;
 * conn: gets counted as well. */
struct listing *listing_new(struct conn *c, size_t max, uint64_t taken);
void listing_add(struct listing *l, const char *name, const char *id);
struct listing *listing_get(struct listing *l);         /* may be NULL */
void listing_put(struct listing *l);
void listing_end(struct listing *l);                    /* and nothing of it is used again */
/* False: it does not know, since nobody walks there. */
bool listing_head(struct listing *l, const char *name, struct head *h);

/* ---- names and attributes (rbd_list.c) ------------------------------------- */

int rbdp_list(struct pool *p, vol_found_f *found, void *arg, struct err *e);
int rbdv_stat(struct pool *p, const char *name, struct vol_stat *st, struct err *e);
int rbdv_fstat(struct vol *v, struct vol_stat *st, struct err *e);
int rbdv_describe(struct pool *p, const char *name, struct vol_desc *d, struct err *e);
int rbdv_setattr(struct pool *p, const char *name, const struct vol_attr *a, struct err *e);
/* Names have changed: what was kept of them is of no use. */
void listing_drop(struct pool *p);

/* ---- images (rbd_image.c) --------------------------------------------------- */

enum image_state { IMAGE_CLOSED, IMAGE_OPENING, IMAGE_OPEN, IMAGE_CLOSING };

/* One for each image that anybody has open or uses, by id; librbd's handle is
 * opened at the first use, and at most one in this process. */
struct image {
	struct conn *conn;
	char id[64];
	uint64_t number;
	char *name;                     /* when it was first opened: for messages */

	/* conn->lock */
	struct image *next;
	enum image_state state;
	unsigned refs;                  /* volumes, and calls */
	unsigned uses;                  /* calls inside librbd */
	unsigned volumes;               /* open ones */
	bool reopen;
	uint64_t used;                  /* now_ms() of the last use */

	/* while it is open */
	rbd_image_t h;
	uint64_t watch;
	bool readonly, watched;
	unsigned order;
	atomic_bool has_lock_feature;   /* it may be taken away */
	_Atomic int64_t needs[8];       /* other RADOS pools, by id (rbd_needs.c) ... */
	atomic_uint need_count;         /* ... as far as they find room */
	atomic_bool changed;            /* the header, by anybody */
	atomic_bool deleted;            /* it is in the trash, to be removed when closed */
	atomic_uint_fast64_t alone;     /* now_ms() when we last saw no other user */

	/* lock; order: resize before it */
	pthread_mutex_t lock;
	uint64_t size;                  /* as it is shown */
	uint64_t real;                  /* at least that: room to grow */
	bool sized;                     /* both are known */
	int error;                      /* -errno of the last write that failed ... */
	uint64_t errors;                /* ... and how many did */
	bool error_seen;
	struct pending *ops;               /* under way, in the order they came (rbd_queue.c) */
	uint64_t op_count;              /* that ever were */
	size_t behind;                  /* of them, bytes of writes answered early ... */
	unsigned behind_count;          /* ... and how many those are */
	pthread_cond_t written;         /* a write has ended */
	atomic_bool through;            /* a write failed: none is answered early */
	atomic_uint_fast64_t writes;    /* begun, and once more when they end */
	atomic_uint_fast64_t flushed;   /* writes at the begin of the last flush */
	struct objects objects;         /* for seek */
	uint64_t objects_writes;

	pthread_mutex_t resize;         /* held while the size is being changed */
};
/* Counted; never fails. volume: for an open volume. */
struct image *image_get(struct conn *c, const char *id, const char *name, bool volume);
void image_put(struct image *i, bool volume);
struct image *image_find(struct conn *c, const char *id);       /* counted or NULL */
/* Opens it if need be, brackets each call of librbd. write: EROFS and the like. */
int image_use(struct image *i, bool write, struct err *e);
void image_unuse(struct image *i);
/* Between the two: may we write, or has somebody else this image? EBUSY. */
int image_alone(struct image *i, struct err *e);
/* Other clients that watch it; their addresses into text, may be NULL. */
int image_watchers(struct image *i, struct buf *text, struct err *e);
/* The size that others gave it, if they did. */
void image_refresh(struct image *i);
/* A write or flush has failed; all volumes of the image shall hear of it. */
void image_error(struct image *i, int rc);
/* Stores what has been written; a failure goes to all volumes as well. Between use and
 * unuse, as the next two. */
int image_flush(struct image *i);
/* Until what was written before has reached the cluster, or failed. */
void image_wait_writes(struct image *i);
/* Is one under way? */
bool image_writing(struct image *i);
/* A flush has ended that began after so many writes. */
void image_flushed(struct image *i, uint64_t writes, int rc);
bool image_unflushed(struct image *i);
/* As it is shown. */
uint64_t image_size(struct image *i);
/* Closes it if nobody uses it; waits until ms. */
int image_settle(struct image *i, unsigned ms, struct err *e);
/* All of a connection's, at its end; waits at most ms. */
void images_close(struct conn *c, unsigned ms);
void images_begin(struct conn *c);

/* (rbd_needs.c) Before librbd opens it, for whatever reason: -EIO if another RADOS pool
 * that it needs, for its data or as a clone, has been deleted. keep: the image to note
 * those pools in, or NULL. */
int image_needs(struct conn *c, const char *id, struct image *keep, struct err *e);
/* Of an open image: the error if its RADOS pool or one that it needs has been deleted since,
 * of which librbd would read zeros; it asks nobody as long as all is well. Where conn_gone
 * may be called. */
int image_lost(struct image *i, struct err *e);

/* ---- open volumes (rbd_io.c) -------------------------------------------------- */

struct rbdv {
	struct image *image;
	atomic_bool grows;              /* this handle made or emptied it */
	atomic_bool empties;            /* the data goes at the first write */
	uint64_t floor;                 /* image->resize: bytes that were there before */
	uint64_t errors;                /* image->errors that it has been told of */
};
int rbdv_attach(struct vol *v, const char *id, bool grows);
int rbdv_open(struct pool *p, const char *name, int flags, struct vol *v, struct err *e);
int rbdv_close(struct vol *v, struct err *e);
int rbdv_allocate(struct vol *v, int mode, uint64_t off, uint64_t len, struct err *e);
int rbdv_seek(struct vol *v, uint64_t off, int whence, uint64_t *found, struct err *e);
/* rbd_copy.c */
ssize_t rbdv_copy(struct vol *from, uint64_t from_off, struct vol *to, uint64_t to_off,
		  size_t len, struct err *e);
void rbdv_submit(struct vol *v, struct io *io);
void rbdv_cancel(struct vol *v, struct io *io);
/* The failed writes that this handle has not been told of. */
int volume_errors(struct vol *v, struct err *e);
/* Ends in io_done and image_unuse; len: of io's what is there. */
void image_submit(struct image *i, struct io *io, size_t len);
void image_cancel(struct image *i, struct io *io);
/* How much of that is there, by the size of now. Between use and unuse, as what follows. */
size_t image_clip(struct image *i, uint64_t off, size_t len);
int image_write(struct image *i, const char *data, size_t len, uint64_t off, struct err *e);
/* [off, end) of i: the next data. Between use and unuse. */
int image_data(struct image *i, uint64_t off, uint64_t end, uint64_t *data, uint64_t *hole,
	       struct err *e);
int image_zero(struct image *i, uint64_t off, uint64_t len, bool thick, struct progress *pr,
	       struct err *e);

/* ---- sizes (rbd_size.c) --------------------------------------------------------- */

int rbdv_truncate(struct vol *v, uint64_t size, struct err *e);
int rbdv_resize(struct pool *p, const char *name, uint64_t size, unsigned flags,
		struct err *e);
/* Before a write of [*off, *off + len): makes room, or says why there is none. */
int volume_room(struct vol *v, uint64_t *off, size_t len, struct err *e);
/* The data of a volume that was opened to be written anew goes now. */
int volume_empty(struct vol *v, struct err *e);
/* Makes it at least that large, as fallocate does. Between use and unuse. */
int volume_extend(struct vol *v, uint64_t end, struct err *e);
/* Room to the end of its last object, so that this can be discarded as a whole. */
int image_round(struct image *i, struct err *e);
/* Gives back what growing took too much. */
int image_trim(struct image *i, struct err *e);

/* ---- names (rbd_names.c, rbd_clone.c, rbd_tidy.c) ---------------------------------- */

int rbdv_create(struct pool *p, const char *name, const struct vol_create *c,
		struct vol *v, struct err *e);
int rbdv_remove(struct pool *p, const char *name, struct err *e);
int rbdv_rename(struct pool *p, const char *from, const char *to, unsigned flags,
		struct err *e);
int rbdv_clone(struct pool *p, const char *from, const char *to, unsigned flags,
	       struct progress *pr, struct err *e);
int rbdv_wipe(struct pool *p, const char *name, enum wipe how, struct progress *pr,
	      struct err *e);
int rbdp_tidy(struct pool *p, struct progress *pr, struct err *e);

#endif
