/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * store.c - what poolfs keeps on disk: definitions and autostart links in
 * SOURCE, and what runs in a directory below /run.
 *
 * Called by pool.c and its neighbours. Files are written by durable.c: a reader, a
 * kill -9 and a power cut see the old content or the new one. Changes nothing in
 * SOURCE while that is a living libvirt daemon's. Never judges a definition.
 */
#include "durable.h"
#include "libvirt.h"

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
	char *rundir;                   /* run's parent */
	int rundir_flags;               /* to open it with */
	int source_fd, run_fd;          /* the lock is on source_fd */
};

#define AUTOSTART "autostart"

/* Readable, and one for each SOURCE: "1f2e3d4c5b6a7988-poolfs". */
static char *source_key(const char *source)
{
	const char *base = strrchr(source, '/') + 1;
	uint64_t hash = hash_add(HASH_BEGIN, source, strlen(source));
	char *key;

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

static char *run_dir_parent(const char *rundir)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");

	if (rundir)
		return xstrdup(rundir);
	if (geteuid() == 0)
		return xstrdup("/run/poolfs");
	if (xdg && xdg[0] == '/')
		return xasprintf("%s/poolfs", xdg);
	return xasprintf("/tmp/poolfs-%u", (unsigned)geteuid());
}

/* The descriptor, or -errno. Makes what is missing. */
static int run_dir_open(const struct store *s, struct err *e)
{
	const char *key = s->run + strlen(s->rundir) + 1;
	_cleanup_close_ int above = -1;
	int fd, ret = dir_make(s->rundir, e);

	if (ret == 0) {
		above = dir_open(s->rundir, s->rundir_flags, e);
		ret = above < 0 ? above : run_dir_own(above, s->rundir, e);
	}
	if (ret < 0)
		return ret;
	if (mkdirat(above, key, 0700) < 0 && errno != EEXIST)
		return err_sys(e, "cannot make the directory '%s'", s->run);
	fd = openat(above, key, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_sys(e, "cannot open the directory '%s'", s->run);
	ret = run_dir_own(fd, s->run, e);
	if (ret < 0)
		close(fd);
	return ret < 0 ? ret : fd;
}

/* $XDG_RUNTIME_DIR is emptied at its user's last logout, which a daemon may outlive. The
 * descriptor keeps its number, so calls under way need no lock. */
static int run_dir_renew(struct store *s, struct err *e)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (s->run[0] != '/' || fstat(s->run_fd, &st) < 0 || st.st_nlink > 0)
		return 0;
	fd = run_dir_open(s, e);
	if (fd < 0)
		return err_wrap(e, "the run directory was removed, and cannot be made again");
	return dup3(fd, s->run_fd, O_CLOEXEC) < 0 ? err_sys(e, "cannot use '%s'", s->run) : 0;
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
	if (ret >= 0) {
		_cleanup_free_ char *key = source_key(s->source);

		s->rundir = run_dir_parent(rundir);
		/* For /tmp; one that was given may be a link. */
		s->rundir_flags = rundir ? 0 : O_NOFOLLOW;
		s->run = xasprintf("%s/%s", s->rundir, key);
		ret = s->run_fd = run_dir_open(s, e);
	}
	if (ret < 0) {
		store_close(s);
		return ret;
	}
	temp_sweep(s->source_fd, ".");
	temp_sweep(s->source_fd, AUTOSTART);
	temp_sweep(s->source_fd, STORE_SECRETS);
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
	free(s->rundir);
	free(s->source);
	free(s);
}

const char *store_source(const struct store *s)
{
	return s->source;
}

int store_writable(struct store *s, struct err *e)
{
	return libvirt_refuse(s->source, e);
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

int store_write(struct store *s, enum store_kind k, const char *name, const char *data, size_t len,
		struct err *e)
{
	_cleanup_free_ char *file = xasprintf("%s.xml", name);

	if ((k == STORE_DEFINITION ? store_writable(s, e) : run_dir_renew(s, e)) < 0)
		return -e->code;
	return file_write(kind_fd(s, k), kind_path(s, k), file, data, len, e);
}

int store_remove(struct store *s, enum store_kind k, const char *name, struct err *e)
{
	_cleanup_free_ char *file = xasprintf("%s.xml", name);
	struct err ignored = {0};
	int ret;

	if (k == STORE_DEFINITION && store_writable(s, e) < 0)
		return -e->code;
	ret = file_remove(kind_fd(s, k), kind_path(s, k), file, e);
	/* The link last: left behind by a crash or a failure it leads nowhere,
	 * and is no half. */
	if (ret == 0 && k == STORE_DEFINITION)
		store_set_autostart(s, name, false, &ignored);
	return ret;
}

bool store_exists(struct store *s, enum store_kind k, const char *name)
{
	_cleanup_free_ char *file = xasprintf("%s.xml", name);
	struct stat st;

	/* Only what is known to be gone is gone. */
	return fstatat(kind_fd(s, k), file, &st, 0) == 0 || errno != ENOENT;
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

int store_sub_open(struct store *s, const char *sub, bool make, struct err *e)
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

/* Wherever it leads. Only what is known to be gone is gone. */
static bool link_exists(struct store *s, const char *file)
{
	_cleanup_free_ char *link = xasprintf(AUTOSTART "/%s", file);

	return faccessat(s->source_fd, link, F_OK, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
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
	if (!on && !link_exists(s, file))
		return 0;
	if (store_writable(s, e) < 0)
		return -e->code;
	fd = store_sub_open(s, AUTOSTART, on, e);
	if (fd < 0)
		return fd == -ENOENT && !on ? 0 : fd;
	if (!on)
		return file_remove(fd, path, file, e);
	temp_name(temp);
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

	if (on && run_dir_renew(s, e) < 0)
		return -e->code;
	return on ? file_write(s->run_fd, s->run, file, "", 0, e)
		  : file_remove(s->run_fd, s->run, file, e);
}

bool store_stopped(struct store *s, const char *name)
{
	_cleanup_free_ char *file = xasprintf("%s.stopped", name);

	return faccessat(s->run_fd, file, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* ---- rename ------------------------------------------------------------------------------------ */

int store_rename(struct store *s, const char *from, const char *to, struct err *e)
{
	_cleanup_free_ char *old = xasprintf("%s.xml", from), *new = xasprintf("%s.xml", to);
	bool autostart = store_autostart(s, from);
	struct err ignored = {0};
	int ret;

	if (store_writable(s, e) < 0)
		return -e->code;
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
