/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * backend.h - the one contract between poolfs and its storage drivers.
 *
 * The author of a driver reads this file and nothing else. A driver is one .c
 * file that ends in `const struct backend NAME_backend = { ... };` and one row
 * in backend.c. Nobody but the wrappers in backend.c calls its functions.
 *
 * Rules for every operation
 *  - It blocks as it likes. Each call runs on a thread of its own; no lock of
 *    poolfs is held, so calls on one pool and on one volume run side by side.
 *    What a driver shares between calls it locks itself.
 *  - It returns 0 (or a count where stated), or -errno after err_set(),
 *    err_sys() or err_wrap() put one sentence into *err. A failure that is
 *    part of daily life (ENOENT from stat or open, EEXIST from an exclusive
 *    create) may leave err->text empty: then nothing is logged.
 *  - It never logs, never prints, never exits. Out of memory aborts (xmalloc).
 *  - Sizes and offsets are bytes. Names were checked by name_check(); a driver
 *    refuses with EINVAL what its storage cannot hold and never rewrites one.
 *  - A NULL operation means "not on this type": the wrapper answers EOPNOTSUPP
 *    with a sentence.
 *  - What it made and could not finish, it undoes.
 */
#ifndef POOLFS_BACKEND_H
#define POOLFS_BACKEND_H

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* ---- errors (err.c) ---------------------------------------------------- */

/* On the caller's stack; err.code is a positive errno; err.text is one
 * sentence without newline or full stop, or empty. */
struct err {
	int code;
	char text[512];
};

/* Fills *e and returns -code. The text is lower case, error first, with the
 * subject in 'quotes', and says what to do where that is not obvious. Control
 * characters that a name may carry are replaced by '?'. */
int err_set(struct err *e, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The same with code = errno and ": strerror" behind the text. */
int err_sys(struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Puts "fmt: " before the text that is there; returns -e->code. */
int err_wrap(struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* ---- memory and text (mem.c) ------------------------------------------- */

/* These abort when memory is out, and never return NULL. */
void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *old, size_t size);
char *xstrdup(const char *text);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* A growing text. data is always NUL-terminated once anything was added
 * (the NUL not counted in len), NULL before that. Start with {0}. */
struct buf {
	char *data;
	size_t len, cap;
};
void buf_add(struct buf *b, const void *data, size_t len);
void buf_addf(struct buf *b, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void buf_release(struct buf *b);
void buf_wipe(struct buf *b);           /* overwrites, then releases */

void cleanup_free(void *p);     /* of a char ** or the like */
void cleanup_close(int *fd);    /* if >= 0; keeps errno */
#define _cleanup_free_ __attribute__((cleanup(cleanup_free)))
#define _cleanup_close_ __attribute__((cleanup(cleanup_close)))
#define _cleanup_buf_ __attribute__((cleanup(buf_release)))

/* Monotonic milliseconds. */
uint64_t now_ms(void);
/* FNV-1a: goes on from h, at first HASH_BEGIN. The same for ever: it is in names and inode
 * numbers. */
#define HASH_BEGIN 0xcbf29ce484222325ULL
uint64_t hash_add(uint64_t h, const void *data, size_t len);

/* ---- locks and threads (thread.c) --------------------------------------- */

/* These abort on an error. */
void mutex_lock(pthread_mutex_t *m);
void mutex_unlock(pthread_mutex_t *m);
void cond_init(pthread_cond_t *c);      /* on the monotonic clock */
/* False when now_ms() has reached until. */
bool cond_wait_until(pthread_cond_t *c, pthread_mutex_t *m, uint64_t until);
/* A detached thread that no signal reaches; false if there can be none. */
bool thread_start(void *(*f)(void *), void *arg);

/* ---- names (name.c) ---------------------------------------------------- */

/* The one place where a name from outside is judged. Refuses with EINVAL or
 * ENAMETOOLONG: the empty name, ".", "..", '/', bytes below 0x20 and 0x7f.
 * A pool name may moreover not begin with '.', be "control", be longer than
 * 245 bytes, or consist of blanks only, and must be valid UTF-8 (it goes into
 * XML). A leading '-' is refused for pools (a start option in too many
 * scripts), allowed for volumes. A volume name may be 255 bytes and is any
 * other bytes; it may not be ".pool", ".snap", ".raw" nor begin with
 * ".poolfs." (the drivers' own hidden files). */
enum name_of { NAME_POOL, NAME_VOLUME };
int name_check(enum name_of of, const char *name, struct err *e);

/* ---- a pool ------------------------------------------------------------ */

/* What <permissions> says; the *_set flags tell what was given. */
struct perms {
	bool mode_set, uid_set, gid_set;
	mode_t mode;
	uid_t uid;
	gid_t gid;
	char *label;            /* SELinux; kept and printed, NULL if none */
};

enum yesno { YESNO_UNSET, YESNO_YES, YESNO_NO };

/* What <source> says. Which parts a type has, must have and gets by default is
 * in docs/poolfs-pool.5; the others are NULL, 0 or empty lists. Texts hold no
 * control characters. A driver refuses at start what it cannot use. */
struct pool_host {
	char *name;             /* never NULL; no blanks, no leading '-' */
	unsigned port;          /* 0: the type's own */
};
struct pool_device {
	char *path;             /* never NULL; of iscsi the target's name */
	enum yesno part_separator;
};
struct pool_option {            /* value NULL in mount options */
	char *name, *value;
};
/* scsi_host has a name, or parentaddr and what follows it; fc_host has wwnn and
 * wwpn, and perhaps a parent by one of three names. */
struct pool_adapter {
	char *type;             /* "scsi_host", "fc_host"; NULL: no adapter */
	char *name;             /* "host0", "scsi_host0" */
	bool parentaddr;
	unsigned unique_id, domain, bus, slot, function;
	char *wwnn, *wwpn;      /* 16 hexadecimal digits */
	char *parent, *parent_wwnn, *parent_wwpn, *parent_fabric_wwn;
	enum yesno managed;
};
struct pool_auth {
	char *type;             /* "chap", "ceph"; NULL: no authentication */
	char *username;
	char secret_uuid[37];   /* "", or ... */
	char *secret_usage;     /* ... NULL */
	char *password;         /* control/'s, while it defines; drivers see NULL */
};
struct pool_source {
	struct pool_host *hosts;
	size_t host_count;
	struct pool_device *devices;
	size_t device_count;
	char *dir;              /* as the server names it */
	struct pool_adapter adapter;
	char *name;             /* volume group, RADOS pool ... */
	char *initiator;        /* the own iSCSI name */
	char *format;           /* a word of the type's list */
	struct pool_auth auth;
	unsigned protocol;      /* NFS version; 0: not given */
	char *vendor, *product;
};

/* One pool's definition, from its XML. Owned by control/, constant from the
 * moment a driver sees it. Strings are NULL when not given. */
struct pool_def {
	char *type;             /* <pool type='...'>: a row of backends[] */
	char *name;
	char uuid[37];          /* lower case, canonical */
	enum yesno cow;         /* copy on write, of dir and fs on btrfs */
	struct pool_source source;
	char *target;           /* target path, absolute, no trailing slash */
	struct perms perms;     /* of the target: used by build */
	char *refresh_allocation;       /* how rbd tells it: "default", "capacity" */
	struct pool_option *mount_opts;         /* of fs, netfs: mount -o */
	size_t mount_opt_count;
	struct pool_option *config_opts;        /* of rbd: Ceph's settings */
	size_t config_opt_count;
};

/* Told of each change of a volume, whoever made it, where the driver watches. to: the new
 * name, of VOL_RENAMED; size: of VOL_CREATED and VOL_RESIZED. VOL_LOST: changes were
 * missed, name is NULL. Never blocks. */
enum vol_change { VOL_CREATED, VOL_DELETED, VOL_RENAMED, VOL_RESIZED, VOL_LOST };
typedef void vol_changed_f(void *arg, enum vol_change what, const char *name,
			   const char *to, uint64_t size);

/* A pool as its driver sees it: made by backend_pool_new() for a start, a
 * build or a check, and freed by backend_pool_free() after the last call. */
struct backend;
struct pool {
	const struct backend *ops;
	const struct pool_def *def;
	void *priv;             /* ops->priv_size bytes, zeroed */
	atomic_bool untidy;     /* set by the driver: tidy has something to do */
	/* control/'s: who is told of changes; while not watched, the wrappers tell. */
	vol_changed_f *changed;
	void *changed_arg;
	atomic_bool watched;
};

/* For a driver that cannot watch, of a change that is not the whole of a call (a volume
 * that grew as it was written), and for the front, which knows what a volume that was
 * truncated by a handle is called by now. Nothing while the driver watches. */
void pool_tell(struct pool *p, enum vol_change what, const char *name, const char *to,
	       uint64_t size);

/* The secret that def->source.auth names, without a final newline: for start.
 * Not to be kept longer than needed, nor put into argv or a message; the caller
 * wipes it with buf_wipe. ENOENT with a sentence that says where to put it. */
int pool_secret(struct pool *p, struct buf *out, struct err *e);
/* Where they come from: set once by control/, before the first start. */
typedef int secret_f(const struct pool_auth *auth, struct buf *out, struct err *e);
void backend_set_secrets(secret_f *f);

/* Bytes, and what stat(2) of the pool's directory shall show. dir.st_mode 0:
 * the driver has no such directory, poolfs makes the attributes up. */
struct pool_usage {
	uint64_t capacity, allocation, available;
	uint64_t files, files_free;     /* inodes; 0 where meaningless */
	struct stat dir;
};

/* ---- a volume ---------------------------------------------------------- */

/* A volume's attributes. In st: st_size = capacity, st_blocks = allocation in
 * 512-byte units, st_mode = S_IFREG or S_IFLNK with permission bits only (no
 * set-id bits), st_ino stable for the life of the volume and unique in the
 * pool, times, owner, st_nlink, st_blksize. id changes when another volume
 * has taken the same name (a file replaced behind poolfs's back). */
struct vol_stat {
	struct stat st;
	uint64_t id;
};

/* An open volume. The wrapper makes and frees it; the driver fills fd or priv. */
struct vol {
	struct pool *pool;
	int flags;              /* as opened: O_ACCMODE, O_APPEND, O_DIRECT */
	int fd;                 /* -1 unless the driver put one there */
	char *name;             /* as opened: for messages; a rename leaves it */
	bool shrink;            /* truncate may make it smaller: the user's option */
	void *priv;
};

struct progress;

/* What create is asked for. capacity 0: an empty file, or a placeholder where
 * the type has no size 0. What stands below flags comes from a volume's XML:
 * NULL, 0 and false mean "not given", a type refuses what it cannot do, and
 * nobody sees the volume before it is whole. */
struct vol_create {
	uint64_t capacity;
	mode_t mode;            /* permission bits, umask already applied */
	uid_t uid;
	gid_t gid;
	int flags;              /* for the handle, if one is wanted */

	const char *format;     /* NULL: raw */
	uint64_t allocation;    /* bytes to hold from the start; 0: sparse */
	const char *backing;    /* a path, absolute or from the pool's target */
	const char *backing_format;     /* NULL: by content, and only raw is believed */
	const char *compat;     /* qcow2: "0.10", "1.1" */
	uint64_t cluster_size;  /* bytes */
	bool lazy_refcounts, extended_l2;       /* qcow2 */
	bool nocow;             /* no copy on write: btrfs */
	bool exact_owner;       /* uid and gid were asked for by the user */
	const char *label;      /* SELinux */
	struct progress *progress;      /* NULL: cannot be given up */
};

/* What is known of a file: a volume's own, or the one behind it. */
struct vol_target {
	char *path;             /* NULL: there is none */
	char *format;           /* a word, or NULL: not known */
	struct perms perms;
	bool times_set;
	struct timespec atime, mtime, ctime;
};

/* What describe tells of a volume, for its XML. Starts zeroed; strings are NULL
 * when there is nothing to say, and any bytes when they come from an image. */
enum vol_kind { VOL_FILE, VOL_BLOCK, VOL_NETWORK };
struct vol_desc {
	enum vol_kind kind;
	char *key;
	uint64_t capacity;      /* the guest's view: the virtual size */
	uint64_t allocation, physical;
	struct vol_target target, backing;
	char *encryption;       /* "luks", "qcow" */
	char *compat;
	uint64_t cluster_size;
	bool lazy_refcounts, extended_l2;
	bool misplaced;         /* the path names another file now, or none */
};
void vol_desc_release(struct vol_desc *d);

/* What setattr shall change; the fields named in valid count. */
enum { ATTR_MODE = 1, ATTR_UID = 2, ATTR_GID = 4, ATTR_ATIME = 8, ATTR_MTIME = 16 };
struct vol_attr {
	unsigned valid;
	mode_t mode;
	uid_t uid;
	gid_t gid;
	struct timespec atime, mtime;   /* tv_nsec may be UTIME_NOW */
};

enum { RESIZE_SHRINK = 1 };     /* resize: smaller is meant */
enum { CLONE_LINKED = 1 };      /* clone: may depend on its source */
enum wipe { WIPE_ZERO, WIPE_TRIM, WIPE_RANDOM };
enum build { BUILD_PLAIN, BUILD_OVERWRITE, BUILD_NO_OVERWRITE };

/* Shared by a long operation and those who watch it. The driver sets total
 * once and raises done; when cancel becomes true it undoes its work and
 * returns ECANCELED. Never NULL in a driver's call. */
struct progress {
	atomic_bool cancel;
	atomic_uint_fast64_t done, total;       /* bytes */
};

/* ---- asynchronous I/O -------------------------------------------------- */

enum io_op { IO_READ, IO_WRITE, IO_FLUSH };

/* One request. The submitter owns it and its buffer until done is called,
 * which happens exactly once, on any thread, perhaps before submit returns.
 * result: bytes (0 for a flush), or -errno with the sentence in io->err.
 * A read shorter than len means the end of the volume, nothing else. */
struct io {
	enum io_op op;
	void *data;
	size_t len;
	uint64_t off;
	struct vol *vol;        /* set by vol_submit */
	void (*done)(struct io *io, ssize_t result);
	void *driver;           /* for the driver, while it has the request */
	/* A driver that ends a write before it is stored takes the data along: it sets
	 * owner to NULL before io_done, and calls release(owner) when it needs them no
	 * more. owner NULL: the data are the caller's. */
	void *owner;
	void (*release)(void *owner);
	struct err err;
};
/* What a driver with submit calls at the end; the only caller of io->done. */
void io_done(struct io *io, ssize_t result);

/* ---- the operations ---------------------------------------------------- */

/* Called by list for each volume; ino and type (S_IFREG, S_IFLNK) as stat
 * would say. Returns false when no more are wanted. */
typedef bool vol_found_f(void *arg, const char *name, uint64_t ino, mode_t type);

/* Called by discover; s is valid during the call. What is not set gets the type's
 * default, and so does a format that is no word of the type. */
typedef void source_found_f(void *arg, const struct pool_source *s);
enum { DISCOVER_MS = 20000 };

struct backend {
	const char *type;       /* <pool type='...'> */
	const char *later;      /* not NULL: there is no driver yet; pools are
	                         * defined, a start is refused with this sentence */
	const char *module;     /* not NULL: only the name of a type whose driver is
	                         * in backends/MODULE.so (module.h) */
	size_t priv_size;
	bool plain_files;       /* volumes shrink and grow by themselves, as files do */
	/* What <target><format> of a volume's XML may say, with blanks between;
	 * create judges which can be made. NULL: the type has no formats. */
	const char *vol_formats;

	/* Is what start would set up there already (after a restart of the
	 * daemon)? Sets *active; fails only if it cannot tell. Required. */
	int (*check)(struct pool *p, bool *active, struct err *e);
	/* Make the pool's storage. Idempotent for BUILD_PLAIN. */
	int (*build)(struct pool *p, enum build mode, struct err *e);
	/* Idempotent; a start of what already runs takes it over. Required. */
	int (*start)(struct pool *p, struct err *e);
	/* Undo start. May be called while calls hang that began long ago:
	 * what they use is freed in fini, not here. Idempotent. */
	int (*stop)(struct pool *p, struct err *e);
	/* Delete the pool's own storage; the pool is stopped. ENOTEMPTY rather
	 * than the loss of a volume, where the type can tell. */
	int (*erase)(struct pool *p, struct err *e);
	/* Release priv; no call runs any more. Cannot fail. */
	void (*fini)(struct pool *p);

	int (*usage)(struct pool *p, struct pool_usage *u, struct err *e);
	/* Names that are there now. Opens no volume, reads no header. */
	int (*list)(struct pool *p, vol_found_f *found, void *arg, struct err *e);
	int (*stat)(struct pool *p, const char *name, struct vol_stat *st, struct err *e);
	/* All names made, removed and changed are on stable storage (fsync of
	 * the directory). NULL: they always are. */
	int (*sync)(struct pool *p, struct err *e);
	/* What remove and clone leave for later, when they set p->untidy: deletes
	 * what was moved aside, cuts copies loose from their source. Runs as a job,
	 * one at a time, and after each start, for what an earlier daemon left
	 * (half-made copies, too). Idempotent; ECANCELED when the pool stops. */
	int (*tidy)(struct pool *p, struct progress *pr, struct err *e);
	/* Calls p->changed for all changes, its own included, in order and each once,
	 * until unwatch; then no call runs any more. NULL, or a failure: the wrappers
	 * tell of what goes through them. Called between start and stop. */
	int (*watch)(struct pool *p, struct err *e);
	void (*unwatch)(struct pool *p);
	/* Would watch take more than a moment? Then who starts the pool is answered before
	 * it, and all calls but watch wait for it; watch tells VOL_LOST if names or sizes
	 * may have changed since this was asked. NULL: no. */
	bool (*watch_lasts)(struct pool *p);
	/* What could become a pool of this type: calls found for each. host: whom to
	 * ask (port 0: the type's own), NULL for this machine. Changes nothing, needs
	 * no driver, ends within DISCOVER_MS, and when pr is cancelled. */
	int (*discover)(const struct pool_host *host, struct progress *pr,
			source_found_f *found, void *arg, struct err *e);
	bool discover_host;     /* needs a host */
	const char *discover_runs;      /* programs, with blanks between; may be NULL */
	/* Does all that the driver needs exist on this machine (libraries, programs)?
	 * Fast, at any time. NULL: yes, it does. */
	int (*usable)(struct err *e);
	/* Text of a symbolic link, NUL-terminated; ENAMETOOLONG if it does not fit. */
	int (*readlink)(struct pool *p, const char *name, char *to, size_t size, struct err *e);
	/* Exclusive: EEXIST if the name is taken. With v not NULL the new
	 * volume is returned open. */
	int (*create)(struct pool *p, const char *name, const struct vol_create *c,
		      struct vol *v, struct err *e);
	/* May read the head of the volume, nothing else, and follows no name
	 * in it out of the pool's own file system. Unfit content is no failure. */
	int (*describe)(struct pool *p, const char *name, struct vol_desc *d, struct err *e);
	/* EBUSY if in use elsewhere (name the user), ENOTEMPTY if something
	 * depends on it. */
	int (*remove)(struct pool *p, const char *name, struct err *e);
	/* flags: 0, RENAME_NOREPLACE or RENAME_EXCHANGE. A replaced volume
	 * counts as removed. */
	int (*rename)(struct pool *p, const char *from, const char *to, unsigned flags,
		      struct err *e);
	int (*setattr)(struct pool *p, const char *name, const struct vol_attr *a,
		       struct err *e);
	/* The verb resize, and truncate without a handle. */
	int (*resize)(struct pool *p, const char *name, uint64_t size, unsigned flags,
		      struct err *e);
	int (*clone)(struct pool *p, const char *from, const char *to, unsigned flags,
		     struct progress *pr, struct err *e);
	int (*wipe)(struct pool *p, const char *name, enum wipe how, struct progress *pr,
		    struct err *e);

	/* flags: O_ACCMODE, O_APPEND, O_DIRECT, O_TRUNC. ENOENT, ESTALE as fits. */
	int (*open)(struct pool *p, const char *name, int flags, struct vol *v,
		    struct err *e);
	/* v is gone afterwards, whatever is returned. */
	int (*close)(struct vol *v, struct err *e);
	int (*fstat)(struct vol *v, struct vol_stat *st, struct err *e);
	ssize_t (*read)(struct vol *v, void *data, size_t len, uint64_t off, struct err *e);
	/* All of it, or an error: never a short count without one. With
	 * O_APPEND in v->flags the offset is the driver's to choose. */
	ssize_t (*write)(struct vol *v, const void *data, size_t len, uint64_t off,
			 struct err *e);
	/* All that was written is on stable storage; reports earlier write errors. */
	int (*flush)(struct vol *v, bool data_only, struct err *e);
	int (*truncate)(struct vol *v, uint64_t size, struct err *e);
	/* mode as in fallocate(2): 0, KEEP_SIZE, PUNCH_HOLE|KEEP_SIZE,
	 * ZERO_RANGE with or without KEEP_SIZE. Punched ranges read as zero. */
	int (*allocate)(struct vol *v, int mode, uint64_t off, uint64_t len, struct err *e);
	/* whence: SEEK_DATA or SEEK_HOLE; ENXIO past the end. */
	int (*seek)(struct vol *v, uint64_t off, int whence, uint64_t *found, struct err *e);
	/* Copy between two volumes of this type, perhaps of two pools. Returns
	 * bytes done (short is fine; 0 at the end of the source). EOPNOTSUPP:
	 * the caller copies by read and write. Bounded in time by itself. */
	ssize_t (*copy)(struct vol *from, uint64_t from_off, struct vol *to, uint64_t to_off,
			size_t len, struct err *e);
	/* A local file descriptor that serves the volume's bytes, for the
	 * kernel's passthrough and for file locks; -1 if there is none. Stays
	 * the driver's; valid until close. Never blocks. */
	int (*fd)(struct vol *v);
	/* Optional: asynchronous read, write, flush (see struct io). Without it
	 * the wrapper calls read, write and flush and then io_done. */
	void (*submit)(struct vol *v, struct io *io);
	/* Optional with submit: io is wanted no more. It still ends in io_done,
	 * as soon as the driver can. It may have ended already: look it up
	 * among the outstanding ones, and do not follow the pointer before. */
	void (*cancel)(struct vol *v, struct io *io);

	/* Snapshots come as rows of their own behind this line: snapshot_list,
	 * snapshot_create, snapshot_remove, and a name for open. A driver that
	 * has none stays as it is. */
};

/* vol_formats of all types whose volumes are files. */
#define VOL_FORMATS_OF_FILES "raw bochs cloop cow dmg iso qcow qcow2 qed vdi vhdx vmdk vpc " \
	"dir fat ploop vhd"

extern const struct backend *const backends[];  /* ends with NULL */
const struct backend *backend_find(const char *type);   /* NULL if unknown */

/* ---- the wrappers: what everybody else calls (backend.c) ---------------- */

/* The names of the operations, for fault rules and messages. */
#define POOLFS_OPS(X) \
	X(check) X(build) X(start) X(stop) X(erase) X(usage) X(list) X(sync) X(tidy) X(stat) \
	X(readlink) X(describe) X(create) X(remove) X(rename) X(setattr) X(resize) X(clone) \
	X(wipe) X(open) X(close) X(fstat) X(read) X(write) X(flush) X(truncate) \
	X(allocate) X(seek) X(copy)
#define X(name) OP_##name,
enum op { POOLFS_OPS(X) OP_COUNT };
#undef X
extern const char *const op_names[OP_COUNT];

struct pool *backend_pool_new(const struct backend *b, const struct pool_def *def);
void backend_pool_free(struct pool *p);         /* calls fini */
/* The daemon ends with pools still running: lets go of what would keep other hosts
 * waiting. Bounded in time. True: a library has threads of its own at work, and
 * must not meet the end of its own data: leave by _exit. */
bool backends_end(void);

int pool_check(struct pool *p, bool *active, struct err *e);
int pool_build(struct pool *p, enum build mode, struct err *e);
int pool_start(struct pool *p, struct err *e);
int pool_stop(struct pool *p, struct err *e);
int pool_erase(struct pool *p, struct err *e);
int pool_usage(struct pool *p, struct pool_usage *u, struct err *e);
int pool_list(struct pool *p, vol_found_f *found, void *arg, struct err *e);
int pool_sync(struct pool *p, struct err *e);
/* 0 at once if the type has nothing to tidy. */
int pool_tidy(struct pool *p, struct progress *pr, struct err *e);
/* EOPNOTSUPP without a sentence if the type cannot watch. changed is set. */
int pool_watch(struct pool *p, struct err *e);
void pool_unwatch(struct pool *p);
bool pool_watch_lasts(struct pool *p);
/* 0, or EOPNOTSUPP and why not. */
int backend_usable(const struct backend *b, struct err *e);     /* to start pools */
int backend_can_discover(const struct backend *b, struct err *e);
int backend_discover(const struct backend *b, const struct pool_host *host, struct progress *pr,
		     source_found_f *found, void *arg, struct err *e);
int vol_stat(struct pool *p, const char *name, struct vol_stat *st, struct err *e);
int vol_readlink(struct pool *p, const char *name, char *to, size_t size, struct err *e);
/* opened NULL: create only. */
int vol_create(struct pool *p, const char *name, const struct vol_create *c,
	       struct vol **opened, struct err *e);
/* d is filled anew, and to be released after a success. */
int vol_describe(struct pool *p, const char *name, struct vol_desc *d, struct err *e);
int vol_remove(struct pool *p, const char *name, struct err *e);
int vol_rename(struct pool *p, const char *from, const char *to, unsigned flags,
	       struct err *e);
int vol_setattr(struct pool *p, const char *name, const struct vol_attr *a, struct err *e);
int vol_resize(struct pool *p, const char *name, uint64_t size, unsigned flags,
	       struct err *e);
int vol_clone(struct pool *p, const char *from, const char *to, unsigned flags,
	      struct progress *pr, struct err *e);
int vol_wipe(struct pool *p, const char *name, enum wipe how, struct progress *pr,
	     struct err *e);
int vol_open(struct pool *p, const char *name, int flags, struct vol **v, struct err *e);
int vol_close(struct vol *v, struct err *e);
int vol_fstat(struct vol *v, struct vol_stat *st, struct err *e);
ssize_t vol_read(struct vol *v, void *data, size_t len, uint64_t off, struct err *e);
ssize_t vol_write(struct vol *v, const void *data, size_t len, uint64_t off, struct err *e);
int vol_flush(struct vol *v, bool data_only, struct err *e);
int vol_truncate(struct vol *v, uint64_t size, struct err *e);
int vol_allocate(struct vol *v, int mode, uint64_t off, uint64_t len, struct err *e);
int vol_seek(struct vol *v, uint64_t off, int whence, uint64_t *found, struct err *e);
ssize_t vol_copy(struct vol *from, uint64_t from_off, struct vol *to, uint64_t to_off,
		 size_t len, struct err *e);
int vol_fd(struct vol *v);
/* To be used through submit: the driver has one, or there are fault rules, which
 * hold what is submitted without a thread. */
bool vol_is_async(struct vol *v);
void vol_submit(struct vol *v, struct io *io);
void vol_cancel(struct vol *v, struct io *io);

/* ---- faults (fault.c) -------------------------------------------------- */

/* For tests and debugging: makes the Nth call of one operation fail, wait or
 * hang, on any type, before the driver sees it. Off (and free) until the first
 * rule. Rules, one a line:
 *    POOL OP N fail ERRNO-NAME       the Nth call from now (0: every call)
 *    POOL OP N delay MILLISECONDS
 *    POOL OP N hang                  until the rule is cleared; then it goes on
 *    clear                           drops all rules, lets the hanging go on
 * POOL is a name or '*', OP a row of POOLFS_OPS. A read, write or flush under
 * a delay or hang rule is held as an asynchronous driver would hold it: no
 * thread waits, and any number may be outstanding. */
int fault_rule(const char *line, struct err *e);
/* The rules with the number of calls seen and of those held now. */
void fault_show(struct buf *out);
extern atomic_bool fault_on;

#endif
