/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * store.c - what poolfs keeps on disk: definitions and autostart links in
 * SOURCE, and what runs in a directory below /run.
 *
 * Called by pool.c and its neighbours. A file is written under a temporary name,
 * fsynced, renamed, and its directory fsynced: a reader, a kill -9 and a power
 * cut see the old content or the new one. Never judges a definition.
 */
#include "control.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

struct store {
	char *source, *run;             /* absolute paths */
	int source_fd, run_fd;          /* the lock is on source_fd */
	atomic_uint serial;             /* of temporary names */
};

#define TEMP_PREFIX ".tmp-"
#define AUTOSTART "autostart"
#define SECRETS "secrets"

/* ---- directories ------------------------------------------------------------------ */

static int dir_sync(int fd, const char *path, struct err *e)
{
	if (fsync(fd) == 0 || errno == EINVAL)  /* EINVAL: a file system without */
		return 0;
	return err_sys(e, "cannot make '%s' durable", path);
}

/* A new directory is no more durable than its entry in the one above. */
static int dir_parent_sync(const char *path, struct err *e)
{
	_cleanup_free_ char *parent = xasprintf("%s/..", path);
	_cleanup_close_ int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? err_sys(e, "cannot open '%s'", parent) : dir_sync(fd, parent, e);
}

/* mkdir -p with mode 0700. */
static int dir_make(const char *path, struct err *e)
{
	_cleanup_free_ char *part = xstrdup(path);
	char *end = part;

	while (*end) {
		char kept;

		end += strspn(end, "/");
		end += strcspn(end, "/");
		kept = *end;
		*end = '\0';
		if (mkdir(part, 0700) == 0) {
			if (dir_parent_sync(part, e) < 0)
				return -e->code;
		} else if (errno != EEXIST) {
			int code = errno;
			struct stat st;

			/* What is there needs no permission to be made. */
			if (stat(part, &st) < 0 || !S_ISDIR(st.st_mode)) {
				errno = code;
				return err_sys(e, "cannot make the directory '%s'", part);
			}
		}
		*end = kept;
	}
	return 0;
}

static int dir_open(const char *path, int flags, struct err *e)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags);

	return fd >= 0 ? fd : err_sys(e, "cannot open the directory '%s'", path);
}

/* Readable, and one for each SOURCE: "1f2e3d4c5b6a7988-poolfs". */
static char *source_key(const char *source)
{
	const char *base = strrchr(source, '/') + 1;
	uint64_t hash = 0xcbf29ce484222325;
	char *key;

	for (const char *s = source; *s; s++)
		hash = (hash ^ (unsigned char)*s) * 0x100000001b3;
	key = xasprintf("%016llx-%.64s", (unsigned long long)hash, *base ? base : "root");
	for (char *s = key; *s; s++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", *s))
			*s = '_';
	return key;
}

/* Somebody else's directory could name pools for us to take over. */
static int run_dir_own(int fd, const char *path, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(e, "cannot stat '%s'", path);
	if (st.st_uid != geteuid() || (st.st_mode & 022))
		return err_set(e, EPERM, "the run directory '%s' belongs to or is writable by others; "
			       "remove it, or set XDG_RUNTIME_DIR", path);
	return 0;
}

static int run_dir_open(struct store *s, const char *rundir, struct err *e)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	_cleanup_free_ char *parent = NULL, *key = source_key(s->source);
	_cleanup_close_ int fd = -1;
	int ret;

	if (rundir)
		parent = xstrdup(rundir);
	else if (geteuid() == 0)
		parent = xstrdup("/run/poolfs");
	else if (xdg && xdg[0] == '/')
		parent = xasprintf("%s/poolfs", xdg);
	else
		parent = xasprintf("/tmp/poolfs-%u", (unsigned)geteuid());

	ret = dir_make(parent, e);
	if (ret == 0) {
		/* O_NOFOLLOW for /tmp; a rundir that was given may be a link. */
		fd = dir_open(parent, rundir ? 0 : O_NOFOLLOW, e);
		ret = fd < 0 ? fd : run_dir_own(fd, parent, e);
	}
	if (ret < 0)
		return ret;
	if (mkdirat(fd, key, 0700) < 0 && errno != EEXIST)
		return err_sys(e, "cannot make the directory '%s/%s'", parent, key);
	s->run = xasprintf("%s/%s", parent, key);
	s->run_fd = openat(fd, key, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (s->run_fd < 0)
		return err_sys(e, "cannot open the directory '%s'", s->run);
	return run_dir_own(s->run_fd, s->run, e);
}

/* ---- temporary names ----------------------------------------------------------------- */

/* ".tmp-PID-N" is never the name of a definition, as it begins with a dot. */
static void temp_name(struct store *s, char name[64])
{
	snprintf(name, 64, TEMP_PREFIX "%ld-%u", (long)getpid(), atomic_fetch_add(&s->serial, 1));
}

static bool temp_is(const char *name)
{
	unsigned pid, n;
	int len = 0;

	return sscanf(name, TEMP_PREFIX "%u-%u%n", &pid, &n, &len) == 2 && len && !name[len];
}

/* What a killed daemon left; the lock is ours, so none is in use. What cannot
 * be removed (a read-only SOURCE) does no harm. */
static void temp_sweep(int at, const char *sub)
{
	int fd = openat(at, sub, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((d = readdir(dir)))
		if (temp_is(d->d_name))
			unlinkat(dirfd(dir), d->d_name, 0);
	closedir(dir);
}

/* ---- open and close -------------------------------------------------------------------- */

int store_open(const char *source, const char *rundir, struct store **out, struct err *e)
{
	struct store *s = xcalloc(1, sizeof *s);
	int ret;

	*out = NULL;
	s->source_fd = s->run_fd = -1;
	ret = dir_make(source, e);
	if (ret == 0) {
		s->source = realpath(source, NULL);
		ret = s->source ? 0 : err_sys(e, "cannot resolve '%s'", source);
	}
	if (ret == 0)
		ret = s->source_fd = dir_open(s->source, 0, e);
	if (ret >= 0 && flock(s->source_fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK)
			ret = err_set(e, EBUSY, "'%s' is in use by another poolfs; unmount that one, "
				      "or give another SOURCE", s->source);
		else
			ret = err_sys(e, "cannot lock '%s'", s->source);
	}
	if (ret >= 0)
		ret = run_dir_open(s, rundir, e);
	if (ret < 0) {
		store_close(s);
		return ret;
	}
	temp_sweep(s->source_fd, ".");
	temp_sweep(s->source_fd, AUTOSTART);
	temp_sweep(s->source_fd, SECRETS);
	temp_sweep(s->run_fd, ".");
	*out = s;
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	if (s->run_fd >= 0)
		close(s->run_fd);
	if (s->source_fd >= 0)
		close(s->source_fd);
	free(s->run);
	free(s->source);
	free(s);
}

const char *store_source(const struct store *s)
{
	return s->source;
}

static int kind_fd(struct store *s, enum store_kind k)
{
	return k == STORE_DEFINITION ? s->source_fd : s->run_fd;
}

static const char *kind_path(struct store *s, enum store_kind k)
{
	return k == STORE_DEFINITION ? s->source : s->run;
}

/* ---- files -------------------------------------------------------------------------------- */

/* A durable temporary file; the caller renames or unlinks it. */
static int temp_write(struct store *s, int dir, const char *path, const char *data, size_t len,
		      char temp[64], struct err *e)
{
	_cleanup_close_ int fd = -1;
	int ret = 0;

	temp_name(s, temp);
	fd = openat(dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, "cannot write in '%s'", path);
	while (len && ret == 0) {
		ssize_t done = write(fd, data, len);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0) {
			ret = err_sys(e, "cannot write in '%s'", path);
		} else {
			data += done;
			len -= (size_t)done;
		}
	}
	if (ret == 0 && fsync(fd) < 0)
		ret = err_sys(e, "cannot write in '%s'", path);
	if (ret < 0)
		unlinkat(dir, temp, 0);
	return ret;
}

static int file_write(struct store *s, int dir, const char *path, const char *file,
		      const char *data, size_t len, struct err *e)
{
	char temp[64];
	int ret = temp_write(s, dir, path, data, len, temp, e);

	if (ret < 0)
		return ret;
	if (renameat(dir, temp, dir, file) < 0) {
		ret = err_sys(e, "cannot write '%s/%s'", path, file);
		unlinkat(dir, temp, 0);
		return ret;
	}
	return dir_sync(dir, path, e);
}

/* Not there: success, and nothing to make durable. */
static int file_remove(int dir, const char *path, const char *file, struct err *e)
{
	if (unlinkat(dir, file, 0) == 0)
		return dir_sync(dir, path, e);
	return errno == ENOENT ? 0 : err_sys(e, "cannot remove '%s/%s'", path, file);
}

int store_write(struct store *s, enum store_kind k, const char *name, const char *data, size_t len,
		struct err *e)
{
	_cleanup_free_ char *file = xasprintf("%s.xml", name);

	return file_write(s, kind_fd(s, k), kind_path(s, k), file, data, len, e);
}

int store_remove(struct store *s, enum store_kind k, const char *name, struct err *e)
{
	_cleanup_free_ char *file = xasprintf("%s.xml", name);
	int ret = file_remove(kind_fd(s, k), kind_path(s, k), file, e);
	struct err ignored = {0};

	/* The link last: left behind by a crash or a failure it leads nowhere,
	 * and is no half. */
	if (ret == 0 && k == STORE_DEFINITION)
		store_set_autostart(s, name, false, &ignored);
	return ret;
}

int store_read(struct store *s, enum store_kind k, const char *name, struct buf *out, struct err *e)
{
	_cleanup_free_ char *file = xasprintf("%s.xml", name);
	const char *path = kind_path(s, k);
	_cleanup_close_ int fd = -1;
	char piece[16384];
	struct stat st;
	size_t total = 0;
	ssize_t got;

	fd = openat(kind_fd(s, k), file, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "cannot read '%s/%s'", path, file);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "'%s/%s' is not a regular file", path, file);
	while ((got = read(fd, piece, sizeof piece)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(e, "cannot read '%s/%s'", path, file);
		total += (size_t)got;
		if (total > XML_MAX_BYTES)
			return err_set(e, EFBIG, "'%s/%s' is larger than %d bytes", path, file,
				       XML_MAX_BYTES);
		buf_add(out, piece, (size_t)got);
	}
	buf_add(out, "", 0);
	return 0;
}

static int name_order(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* "NAME.xml" to NAME in place; false for all other files. */
static bool name_cut(char *file)
{
	size_t len = strlen(file);
	struct err e = {0};

	if (file[0] == '.' || len < 5 || strcmp(file + len - 4, ".xml") != 0)
		return false;
	file[len - 4] = '\0';
	if (name_check(NAME_POOL, file, &e) == 0)
		return true;
	log_line(NULL, "load", e.code, e.text);
	return false;
}

int store_each(struct store *s, enum store_kind k, void (*found)(void *arg, const char *name),
	       void *arg, struct err *e)
{
	int fd = openat(kind_fd(s, k), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	size_t count = 0, cap = 0;
	char **names = NULL;
	struct dirent *d;
	int ret = 0;

	if (!dir) {
		ret = err_sys(e, "cannot list '%s'", kind_path(s, k));
		if (fd >= 0)
			close(fd);
		return ret;
	}
	while (errno = 0, (d = readdir(dir))) {
		if (d->d_type == DT_DIR || !name_cut(d->d_name))
			continue;
		if (count == cap) {
			cap = cap ? cap * 2 : 64;
			names = xrealloc(names, cap * sizeof *names);
		}
		names[count++] = xstrdup(d->d_name);
	}
	if (errno)
		ret = err_sys(e, "cannot list '%s'", kind_path(s, k));
	closedir(dir);
	/* Sorted, and after the directory was read: found may change it. */
	if (count)
		qsort(names, count, sizeof *names, name_order);
	for (size_t i = 0; i < count; i++) {
		if (ret == 0)
			found(arg, names[i]);
		free(names[i]);
	}
	free(names);
	return ret;
}

/* ---- autostart links, the mark of what was stopped ------------------------------------------ */

/* A directory in SOURCE. */
static int sub_open(struct store *s, const char *sub, bool make, struct err *e)
{
	int fd;

	if (make && mkdirat(s->source_fd, sub, 0700) == 0) {
		if (dir_sync(s->source_fd, s->source, e) < 0)
			return -e->code;
	} else if (make && errno != EEXIST) {
		return err_sys(e, "cannot make '%s/%s'", s->source, sub);
	}
	fd = openat(s->source_fd, sub, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 ? fd : err_sys(e, "cannot open '%s/%s'", s->source, sub);
}

bool store_autostart(struct store *s, const char *name)
{
	_cleanup_free_ char *link = xasprintf(AUTOSTART "/%s.xml", name);
	const char *file = link + strlen(AUTOSTART "/"), *last;
	char to[PATH_MAX];
	ssize_t len = readlinkat(s->source_fd, link, to, sizeof to - 1);

	if (len < 0)
		return false;
	to[len] = '\0';
	last = strrchr(to, '/');
	return strcmp(last ? last + 1 : to, file) == 0;
}

int store_set_autostart(struct store *s, const char *name, bool on, struct err *e)
{
	_cleanup_free_ char *file = xasprintf("%s.xml", name), *to = xasprintf("../%s.xml", name);
	_cleanup_free_ char *path = xasprintf("%s/" AUTOSTART, s->source);
	_cleanup_close_ int fd = -1;
	char temp[64];
	int ret;

	if (on && store_autostart(s, name))
		return 0;
	fd = sub_open(s, AUTOSTART, on, e);
	if (fd < 0)
		return fd == -ENOENT && !on ? 0 : fd;
	if (!on)
		return file_remove(fd, path, file, e);
	temp_name(s, temp);
	if (symlinkat(to, fd, temp) < 0)
		return err_sys(e, "cannot make a link in '%s'", path);
	if (renameat(fd, temp, fd, file) < 0) {
		ret = err_sys(e, "cannot write '%s/%s'", path, file);
		unlinkat(fd, temp, 0);
		return ret;
	}
	return dir_sync(fd, path, e);
}

int store_set_stopped(struct store *s, const char *name, bool on, struct err *e)
{
	_cleanup_free_ char *file = xasprintf("%s.stopped", name);

	return on ? file_write(s, s->run_fd, s->run, file, "", 0, e)
		  : file_remove(s->run_fd, s->run, file, e);
}

bool store_stopped(struct store *s, const char *name)
{
	_cleanup_free_ char *file = xasprintf("%s.stopped", name);

	return faccessat(s->run_fd, file, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* ---- secrets: here only those that came as plain text in a definition --------------------------- */

int store_set_secret(struct store *s, const char *usage, const char *text, struct err *e)
{
	_cleanup_free_ char *file = xasprintf("usage:%s", usage);
	_cleanup_free_ char *path = xasprintf("%s/" SECRETS, s->source);
	_cleanup_close_ int fd = sub_open(s, SECRETS, text, e);

	if (fd < 0)
		return fd == -ENOENT && !text ? 0 : fd;
	return text ? file_write(s, fd, path, file, text, strlen(text), e)
		    : file_remove(fd, path, file, e);
}

/* ---- rename ------------------------------------------------------------------------------------ */

int store_rename(struct store *s, const char *from, const char *to, struct err *e)
{
	_cleanup_free_ char *old = xasprintf("%s.xml", from), *new = xasprintf("%s.xml", to);
	bool autostart = store_autostart(s, from);
	struct err ignored = {0};
	int ret;

	/* The new link first: until the file moves it leads nowhere. So does one
	 * that a crash just here has left, and it is not this pool's. */
	if (faccessat(s->source_fd, new, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
	    store_set_autostart(s, to, autostart, e) < 0)
		return -e->code;
	if (renameat2(s->source_fd, old, s->source_fd, new, RENAME_NOREPLACE) < 0) {
		if (errno == EEXIST)
			return err_set(e, EEXIST, "'%s/%s' exists already", s->source, new);
		ret = err_sys(e, "cannot rename '%s/%s' to '%s'", s->source, old, new);
		if (autostart)
			store_set_autostart(s, to, false, &ignored);
		return ret;
	}
	ret = dir_sync(s->source_fd, s->source, e);
	if (ret == 0)
		ret = store_set_autostart(s, from, false, e);
	return ret;
}
