/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * control.h - what the FUSE front (fs/) may ask of the middle floor.
 *
 * control/ knows definitions, their XML, the state of pools, the control
 * files with their verbs, errors and events, and what is kept on disk. It
 * knows nothing of FUSE. Its functions may be called from any thread and
 * hold no lock while a driver works; those that may block for long say so.
 * Errors are as in backend.h: 0 or -errno plus a sentence in *err.
 */
#ifndef POOLFS_CONTROL_H
#define POOLFS_CONTROL_H

#include "../backends/backend.h"
#include <pthread.h>

/* ---- definitions: XML in and out (define.c, format.c) ------------------- */

enum {
	XML_MAX_BYTES = 4 << 20,        /* a larger document: EFBIG */
	XML_MAX_DEPTH = 32,             /* libvirt's deepest is 8 */
};

/* Parses a whole document into a new definition. name: what <name> must be (it
 * may be left out), or NULL to take <name> as it is. A missing uuid leaves
 * (*def)->uuid empty. EINVAL names the line and the word. No network, no DTD,
 * no entities but the five of XML. */
int def_parse(const char *xml, size_t len, const char *name, struct pool_def **def,
	      struct err *e);
/* libvirt's canonical order, two blanks of indent, single quotes; ends in a
 * newline. u NULL: capacity, allocation, available are printed as 0. */
void def_format(const struct pool_def *def, const struct pool_usage *u, struct buf *out);
struct pool_def *def_copy(const struct pool_def *def);
void def_free(struct pool_def *def);    /* NULL is fine */
void uuid_make(char uuid[37]);          /* random, version 4 */
/* Reads any spelling libvirt reads; false if it is none. */
bool uuid_parse(const char *text, char uuid[37]);

/* Feeds a document piece by piece and tells when its root element has closed,
 * in linear time and bounded memory. */
struct xml_gather;
struct xml_gather *xml_gather_new(void);
void xml_gather_free(struct xml_gather *g);
/* Returns 1 when the root element is closed by this piece and only blanks and
 * comments follow it, 0 when more must come, -errno when the document is bad
 * (or complete already, and this piece is more than blanks and comments). */
int xml_gather_add(struct xml_gather *g, const char *data, size_t len, struct err *e);
/* Nothing more comes: 0 when nothing came or the document is whole, else
 * -errno and what is missing or was wrong. */
int xml_gather_end(struct xml_gather *g, struct err *e);
/* The document, up to the end of its root element; "" once it was bad. */
const char *xml_gather_text(struct xml_gather *g, size_t *len);

/* ---- state on disk (store.c) -------------------------------------------- */

/* SOURCE: NAME.xml, autostart/NAME.xml (a symlink), secrets/. Run state: one
 * directory per SOURCE below /run/poolfs or $XDG_RUNTIME_DIR/poolfs:
 *   NAME.xml       the definition with which NAME runs now
 *   NAME.stopped   stopped by the user since boot: no autostart
 * Everything is written to a temporary name, fsynced, renamed, and the
 * directory fsynced. Called with no lock held; the caller keeps two writers
 * of one name apart. */
struct store;
/* Makes SOURCE if missing (0700), takes its lock (flock on the directory):
 * EBUSY if another daemon has it. rundir NULL: the default. Removes left-over
 * temporary files. */
int store_open(const char *source, const char *rundir, struct store **s, struct err *e);
void store_close(struct store *s);
const char *store_source(const struct store *s);        /* absolute path */

enum store_kind { STORE_DEFINITION, STORE_RUNNING };
int store_write(struct store *s, enum store_kind k, const char *name, const char *data,
		size_t len, struct err *e);
/* Not there: success. The autostart link of a definition goes with it, after it. */
int store_remove(struct store *s, enum store_kind k, const char *name, struct err *e);
bool store_exists(struct store *s, enum store_kind k, const char *name);
int store_read(struct store *s, enum store_kind k, const char *name, struct buf *out,
	       struct err *e);
/* Durable rename of a definition and of its autostart link; EEXIST. */
int store_rename(struct store *s, const char *from, const char *to, struct err *e);
/* Calls found for each NAME.xml (NAME without the ending). */
int store_each(struct store *s, enum store_kind k,
	       void (*found)(void *arg, const char *name), void *arg, struct err *e);
int store_set_autostart(struct store *s, const char *name, bool on, struct err *e);
bool store_autostart(struct store *s, const char *name);
int store_set_stopped(struct store *s, const char *name, bool on, struct err *e);
bool store_stopped(struct store *s, const char *name);
/* May SOURCE be changed now? EROFS with a sentence while it is the storage directory
 * of a libvirt daemon that lives (libvirt.c). All that changes it asks by itself. */
int store_writable(struct store *s, struct err *e);
/* A directory in SOURCE, 0700 if it is made: a descriptor, which the caller closes. */
#define STORE_SECRETS "secrets"
int store_sub_open(struct store *s, const char *sub, bool make, struct err *e);

/* ---- log and reasons (log.c) -------------------------------------------- */

enum log_to { LOG_TO_STDERR, LOG_TO_SYSLOG };
void log_open(enum log_to to, bool debug);
/* One line: "2026-01-02T03:04:05Z POOL OP ERRNO-NAME sentence", kept in a ring
 * of 1,000, and copied to stderr or syslog. A line like the one before is
 * only counted. pool and op may be NULL or "". code 0: a plain message. */
void log_line(const char *pool, const char *op, int code, const char *text);
void log_show(struct buf *out);
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
const char *errno_name(int code);               /* "EINVAL"; "E<n>" if unknown */
/* The last failure of a user; bounded in number of users. */
void reason_set(uid_t uid, const char *text);
void reason_show(uid_t uid, struct buf *out);   /* "" if none; else text + "\n" */

/* ---- events (events.c) ------------------------------------------------------ */

/* The file control/events: an endless text of which the newest EVENTS_KEPT bytes are
 * kept. One line an event:
 *    NUMBER TIME WHAT POOL [SUBJECT] [DETAIL]
 * NUMBER counts from 1; TIME as 2026-01-02T03:04:05.678Z; names have blanks, control
 * characters and backslashes as \ooo. Offsets are those of the whole text. */
enum { EVENTS_KEPT = 2 << 20 };
void event_pool(const char *pool, const char *what, const char *detail);
/* volume-created POOL VOLUME SIZE, volume-deleted POOL VOLUME, volume-renamed POOL
 * VOLUME NEW, volume-resized POOL VOLUME SIZE, volumes-changed POOL. */
void event_volume(const char *pool, enum vol_change what, const char *volume,
		  const char *to, uint64_t size);
/* The size of the text, and when it last grew. */
uint64_t events_size(struct timespec *when);
/* One reader's place; starts zeroed. What it has not read and is kept no more becomes
 * a line "lost N", N being the count of events. Not thread-safe. */
struct event_reader {
	uint64_t next;                  /* file offset behind the last bytes read */
	int64_t shift;                  /* file offset + shift = offset in the text */
	uint64_t number;                /* of the event that comes next; 0: the first */
	char *rest;                     /* of a line that was read in part */
	size_t rest_len, rest_at;
};
ssize_t events_read(struct event_reader *r, void *data, size_t len, uint64_t off);
bool events_ready(const struct event_reader *r);        /* a read at next finds bytes */
void event_reader_release(struct event_reader *r);
uint64_t events_count(void);                    /* since the daemon began */
/* As names stand in events and jobs. */
void name_escape(struct buf *out, const char *name);
/* f is called after events were added, on a thread of its own that may block; a burst
 * is one call. Once, before the first event. */
void events_on_new(void (*f)(void));

/* ---- jobs (jobs.c) ------------------------------------------------------------ */

/* A long operation under way, on its caller's stack. control/jobs lists it, events
 * tell of its start, each tenth of its way and its end; cancelling it sets
 * progress->cancel. subject: a volume, or "" */
struct job {
	struct progress *progress;
	const char *pool, *verb, *subject;
	bool lasting;                   /* cannot be cancelled, and is nothing to tell of
	                                 * before it has a total */
	/* jobs.c's */
	uint64_t id;
	int told;                       /* percent; -1: not even its start */
	struct job *next, **link;
};
void job_begin(struct job *j);          /* the first fields are set */
/* rc as the operation returned it. */
void job_end(struct job *j, int rc);
unsigned jobs_count(void);
/* One a line: ID POOL VERB SUBJECT PERCENT% */
void jobs_show(struct buf *out);
int jobs_command(const char *line, struct err *e);      /* "cancel ID" */

/* ---- metrics (metrics.c, metrics_text.c) ------------------------------------------- */

/* The counters of one pool; NULL stands for those of control/. */
struct metrics;
struct cpool;
struct metrics *cpool_metrics(struct cpool *cp);        /* lives as long as cp */
/* An operation was answered, after ns nanoseconds: code 0, or a positive errno. bytes:
 * what it moved. op: a row of the table there, all other words are not counted. No lock,
 * no wait; memory is taken at the first of its kind only. */
void metrics_count(struct metrics *m, const char *op, int code, uint64_t bytes, uint64_t ns);
/* Of the pool called so, or of control/ if there is none. */
void metrics_count_named(const char *pool, const char *op, int code, uint64_t ns);
void metrics_under_way(struct metrics *m, int by);      /* requests: +1, -1 */
void metrics_show(struct buf *out);
uint64_t metrics_size(void);            /* of the last text: a new one costs more */
uint64_t now_ns(void);                  /* the clock of now_ms */

/* ---- secrets (secrets.c) -------------------------------------------------------- */

/* SOURCE/secrets, 0600: a file UUID, or usage:NAME. Never shown again. name_check for
 * them: EINVAL with a sentence. set: durable when it returns; one final newline is
 * no part of it; at most SECRET_MAX bytes. */
enum { SECRET_MAX = 64 << 10 };
int secret_name_check(const char *name, struct err *e);
int secret_set(const char *name, const char *data, size_t len, struct err *e);
int secret_remove(const char *name, struct err *e);     /* ENOENT */
void secret_each(void (*f)(void *arg, const char *name), void *arg);
bool secret_exists(const char *name);
/* For drivers, by uuid or by usage; also those that libvirt keeps beside its own
 * storage directory, if SOURCE is that. */
int secret_get(const struct pool_auth *auth, struct buf *out, struct err *e);

/* ---- sources (sources.c) -------------------------------------------------------- */

/* control/sources/TYPE, a file, or a directory TYPE/ with a file for each host that
 * may be named. Neither source_find nor source_host_ok asks anybody. */
enum source_kind { SOURCE_NONE, SOURCE_HERE, SOURCE_HOST };
enum source_kind source_find(const char *type); /* NONE: a program is missing here */
void source_each(void (*f)(void *arg, const char *type, enum source_kind k), void *arg);
bool source_host_ok(const char *host);          /* "HOST", "HOST:PORT", "[IPV6]:PORT" */
/* libvirt's <sources>. Looks now: may block for DISCOVER_MS, less when pr is cancelled.
 * host: as in source_host_ok, NULL for a SOURCE_HERE. */
int source_show(const char *type, const char *host, struct progress *pr, struct buf *out,
		struct err *e);

/* ---- pools (pool.c) ------------------------------------------------------ */

enum pool_state { POOL_INACTIVE, POOL_STARTING, POOL_ACTIVE, POOL_STOPPING, POOL_FAILED };
const char *pool_state_name(enum pool_state s);

/* A defined pool, counted. Its name never changes while it is in the registry
 * except by cpool_rename, which makes a new object. */
struct cpool;
/* One run of a pool, from start to stop, counted; never starts again. */
struct run;

struct control_options {
	const char *source, *rundir;    /* rundir NULL: default */
	const char *mountpoint;         /* absolute: targets inside it are refused */
	bool fault;                     /* control/fault exists */
};
/* Opens the store and loads the definitions; a bad one is logged and left. */
int control_init(const struct control_options *o, struct err *e);
/* After the mount is usable: takes over what ran (those pools show `starting`
 * at once) and autostarts the rest, in threads of its own. */
void control_begin(void);
/* The daemon ends: no more starts; pools go on running (their state stays on
 * disk, so that the next daemon takes them over). Bounded in time. */
void control_end(void);
/* Reads SOURCE again, on a thread of its own: what was written, changed, removed or
 * linked there by hand counts as a new daemon would see it. done, if not NULL, is
 * called at the end. A call while one is under way: it is done once more. */
void control_reload(void (*done)(void));
const char *control_source(void);
bool control_fault_enabled(void);

struct cpool *cpool_find(const char *name);     /* counted; NULL if not defined */
struct cpool *cpool_get(struct cpool *cp);
void cpool_put(struct cpool *cp);
const char *cpool_name(const struct cpool *cp);
enum pool_state cpool_state(struct cpool *cp);
bool cpool_gone(struct cpool *cp);      /* undefined, or renamed */
/* Calls f for each defined pool, sorted by name, on a snapshot: no lock held. */
void cpool_each(void (*f)(void *arg, struct cpool *cp), void *arg);
/* When its definition was last written (st_mtime of NAME.xml). */
struct timespec cpool_mtime(struct cpool *cp);
/* The persistent definition as canonical XML. */
void cpool_xml(struct cpool *cp, struct buf *out);

/* Durable when they return. cpool_define: rules for uuid, name and duplicate
 * targets as DESIGN 2.1; redefinition of a running pool counts from its next
 * start. EEXIST, EINVAL, EBUSY as fits. */
int cpool_define(const char *name, const char *xml, size_t len, struct err *e);
int cpool_undefine(const char *name, struct err *e);    /* EBUSY while running */
int cpool_rename(const char *from, const char *to, struct err *e);
int cpool_set_autostart(const char *name, bool on, struct err *e);
bool cpool_autostart(struct cpool *cp);

/* These block until the pool has started or stopped, or has failed to.
 * Starting what runs, stopping what is stopped: EEXIST (mkdir says so), ENOENT
 * (rmdir says so); EBUSY while another transition is under way. Stop with a
 * volume open or a long operation under way: EBUSY, naming it. */
int cpool_start(struct cpool *cp, struct err *e);
/* The same; started is called, after a success only, as soon as the pool is active. What
 * is left to be done then only holds up calls of its driver. */
int cpool_start_tell(struct cpool *cp, void (*started)(void *arg), void *arg, struct err *e);
int cpool_stop(struct cpool *cp, struct err *e);
int cpool_build(struct cpool *cp, enum build mode, struct err *e);
int cpool_erase(struct cpool *cp, const char *uuid, struct err *e);
/* The pool's last failure; text may be "". Kept until the next start or define
 * that succeeds, or the next failure. */
void cpool_set_error(struct cpool *cp, const char *text);
void cpool_show_error(struct cpool *cp, struct buf *out);

/* The current run, counted, or NULL when the pool is inactive or failed. A run
 * exists from `starting` on. */
struct run *cpool_run(struct cpool *cp);
struct run *run_get(struct run *r);
void run_put(struct run *r);
struct cpool *run_cpool(struct run *r);         /* not counted; lives as long as r */
const char *run_name(struct run *r);            /* name of its pool */
bool run_dead(struct run *r);                   /* stopped, or failed to start */
uint16_t run_serial(struct run *r);             /* for inode numbers: distinct among
                                                 * running pools, from the uuid, 1..32767 */
/* How the bytes of volumes travel, for info: "passthrough", or "daemon" (what
 * it says until this is called). */
void run_set_path(struct run *r, const char *text);

/* Brackets each use of a run's driver. run_enter waits while the pool is
 * starting or stopping (the caller's thread blocks) and fails with the errno of
 * a start that failed, or with ESTALE once the run has been stopped. Never
 * nested: a stop waits for the outer call, the inner one for the stop. what: a
 * word for messages, static. */
struct call {
	struct run *run;
	const char *what;
	uint64_t since;                 /* now_ms() */
	struct call *next, **link;      /* pool.c's */
};
int run_enter(struct run *r, struct call *c, const char *what, struct err *e);
void run_leave(struct call *c);
struct pool *run_pool(struct run *r);           /* between enter and leave */
/* A call has been waiting for the driver for more than 5 seconds. */
bool run_stalled(struct run *r);
/* As run_enter and run_leave, for work that lasts (clone, wipe): a stop is
 * refused with EBUSY, naming what. */
int run_enter_long(struct run *r, struct call *c, const char *what, struct err *e);

/* Open volumes, so that stop can say who has one. Between enter and leave. */
struct holder {
	char *name;                     /* of the volume; owned by pool.c */
	pid_t pid;
	struct holder *next, **link;
};
void run_opened(struct run *r, struct holder *h, const char *volume, pid_t pid);
void run_closed(struct run *r, struct holder *h);
void run_renamed(struct run *r, struct holder *h, const char *volume);
/* A listing of the pool that has begun and not ended: after a stop the kernel would end
 * it without an error, and who compares two trees would take the rest for deleted. False:
 * the pool is being stopped. */
bool run_list_opened(struct run *r, struct holder *h, pid_t pid);
/* Is volume open in this run? (the front's handles) One just closed gets a
 * moment to be released. */
bool run_is_open(struct run *r, const char *volume);

/* Capacity and directory attributes. Asks the driver on a thread of its own
 * and waits at most wait_ms; if it does not answer, the last known values
 * (false: none known). Never blocks longer. */
bool run_usage(struct run *r, unsigned wait_ms, struct pool_usage *u);

/* ---- control files (files.c, verbs.c) ------------------------------------ */

/* The directories that hold them. */
enum cdir { CDIR_CONTROL, CDIR_POOL };  /* control/, control/pools/NAME/ */

/* Who asks the driver for what a file shows: a thread apart, for which show waits at
 * most SHOW_WAIT_MS; the thread that calls show, if somebody else answers for it after
 * so long (two switches of threads less); or nobody: what is known is shown. */
enum ask { ASK_APART, ASK_HERE, ASK_NOBODY };
enum { SHOW_WAIT_MS = 500 };

/* Who asks, and how a long verb is told to give up. */
struct caller {
	uid_t uid;
	gid_t gid;
	pid_t pid;
	struct progress *progress;      /* never NULL in store */
	enum ask ask;
};

struct cfile {
	enum cdir dir;
	const char *name;
	mode_t mode;                    /* 0444, 0644, 0200 ... */
	/* The whole content; cp is NULL in CDIR_CONTROL. Bounded in time, but ASK_HERE. */
	void (*show)(struct cpool *cp, const struct caller *who, struct buf *out);
	/* One line, without its newline; NULL: not writable. May block as long
	 * as the verb takes. */
	int (*store)(struct cpool *cp, const struct caller *who, const char *line,
		     struct err *e);
	bool (*exists)(void);           /* NULL: always */
	bool grows;                     /* events: no show; read by events_read, polled */
	uint64_t (*size)(void);         /* for stat; NULL: the length of what show shows */
};
extern const struct cfile cfiles[];             /* ends with name NULL */
const struct cfile *cfile_find(enum cdir dir, const char *name);

/* Verbs of ctl (verbs.c). */
struct verb {
	const char *name;
	int min_args, max_args;
	const char *usage;              /* "resize VOLUME SIZE [shrink]" */
	const char *help;               /* one line */
	int (*run)(struct cpool *cp, const struct caller *who, int argc, char **argv,
		   struct err *e);
};
extern const struct verb verbs[];               /* ends with name NULL */
/* Splits at blanks; "double quotes" keep blanks in a name, backslash escapes
 * inside them. Unknown verbs, too few or many words: EINVAL naming the word. */
int verb_run(struct cpool *cp, const struct caller *who, const char *line, struct err *e);
/* "10G", "512", "1.5T" refused: digits and one of libvirt's units (K, M, G, T,
 * P, E and KiB.. = 1024^n; KB.. = 1000^n; B, byte, bytes). */
int size_parse(const char *text, uint64_t *bytes, struct err *e);

/* ---- drop directories (drop.c, scratch.c) ---------------------------------- */

/* A directory in which writing a whole NAME.xml makes something, and any other
 * name is a scratch file: control/pools, and the volumes/ of each running pool. */
struct drop {
	const struct drop_kind *kind;
	const char *path;               /* below the mount; also what keeps scratch
	                                 * files of two directories apart */
	struct run *run;                /* of volumes/; counted */
};
struct drop_kind {
	bool (*is_definition)(const char *name);        /* NAME of "NAME.xml" */
	/* May a scratch file be called so? EINVAL and the like. */
	int (*scratch_check)(const char *file, struct err *e);
	/* These may ask a driver, if those of the kind do: between enter and leave. */
	int (*define)(const struct drop *d, const struct caller *who, const char *name,
		      const char *xml, size_t len, struct err *e);
	/* As it reads now, for a copy; ENOENT. */
	int (*show)(const struct drop *d, const char *name, struct buf *xml,
		    struct timespec *mtime, struct err *e);
	int (*rename)(const struct drop *d, const char *from, const char *to, struct err *e);
};
extern const struct drop drop_pools;
/* volumes.c; d->run is counted. */
struct drop *drop_volumes_new(struct run *r);
void drop_volumes_free(struct drop *d);         /* NULL is fine */

enum {
	SCRATCH_FILE_MAX = 4 << 20,     /* bytes of one scratch file: EFBIG */
	SCRATCH_TOTAL_MAX = 64 << 20,   /* of all: ENOSPC */
	SCRATCH_FILES_MAX = 1024,
	SCRATCH_SECONDS = 600,          /* unused for so long: gone */
};
/* "NAME.xml" with a fit NAME: copies NAME (at least 256 bytes) and returns
 * true. False for all that is scratch: another ending, `~`, of pools also a
 * leading dot ... */
bool drop_is_definition(const struct drop *d, const char *file, char name[256]);

/* A scratch file: counted, private memory with a name in a drop directory. */
struct scratch;
struct scratch *scratch_find(const struct drop *d, const char *name);   /* counted or NULL */
/* EEXIST if taken and excl. */
int scratch_create(const struct drop *d, const char *name, bool excl, uid_t uid, gid_t gid,
		   mode_t mode, struct scratch **s, struct err *e);
void scratch_put(struct scratch *s);
void scratch_stat(struct scratch *s, struct stat *st);          /* all but st_ino */
void scratch_setattr(struct scratch *s, const struct vol_attr *a);
ssize_t scratch_read(struct scratch *s, void *data, size_t len, uint64_t off);
int scratch_write(struct scratch *s, const void *data, size_t len, uint64_t off,
		  struct err *e);
int scratch_truncate(struct scratch *s, uint64_t size, struct err *e);
int scratch_unlink(const struct drop *d, const char *name, struct err *e);      /* ENOENT */
void scratch_each(const struct drop *d,
		  void (*f)(void *arg, const char *name, struct scratch *s), void *arg);

/* rename in a drop directory, all four kinds:
 *  scratch -> scratch: renamed (replacing, unless noreplace)
 *  scratch -> NAME.xml: defines NAME, then the scratch is gone; on an error it
 *      stays. noreplace and NAME there: EEXIST
 *  NAME.xml -> scratch: a copy; the definition stays
 *  NAME.xml -> OTHER.xml: of pools cpool_rename; OTHER defined: EEXIST
 * Without RENAME_EXCHANGE (EINVAL). */
int drop_rename(const struct drop *d, const struct caller *who, const char *from,
		const char *to, unsigned flags, struct err *e);

/* One open handle that writes NAME.xml; d outlives it. Writes must follow each
 * other from offset 0; the definition is made in the write that closes the root
 * element and its error is that write's error. Blanks and comments may follow. */
struct defwriter;
struct defwriter *defwriter_new(const struct drop *d, const char *name);
void defwriter_free(struct defwriter *w);
int defwriter_write(struct defwriter *w, const struct caller *who, const void *data,
		    size_t len, uint64_t off, struct err *e);
void defwriter_truncate(struct defwriter *w);   /* starts anew */
/* Incomplete document: EINVAL. Nothing written, or all well: 0. */
int defwriter_flush(struct defwriter *w, struct err *e);
uint64_t defwriter_size(struct defwriter *w);   /* bytes written so far */

/* ---- volumes as text (volumes.c) --------------------------------------------- */

enum volume_text { VOLUME_XML, VOLUME_DISK };
/* control/pools/NAME/volumes/VOLUME.xml or VOLUME.disk: their content, and owner,
 * mode and times as they are shown. Asks the driver: between enter and leave.
 * ENOENT without a sentence: there is no such volume. out may be NULL. */
int volume_show(struct run *r, const char *name, enum volume_text what, struct buf *out,
		struct stat *st, struct err *e);
/* VOLUME of "VOLUME.xml" or "VOLUME.disk"; false if file ends otherwise or VOLUME is
 * no name that a volume may have. */
bool volume_text_name(const char *file, char name[256], enum volume_text *what);

#endif
