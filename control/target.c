/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * target.c - where the target path of a pool leads, and whether that is inside
 * the daemon's own mount.
 *
 * Called by registry.c when a pool is defined and by pool.c before it starts.
 * Never touches anything inside the own mount, since the request could come
 * back to the thread that waits for it: paths are resolved component by
 * component here, and other places where the mount shows (bind mounts) are
 * taken from mountinfo. Never called with a lock held.
 */
#include "pool.h"
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINKS_MAX = 40 };

/* Constant between control_init and control_end: the mount point as it was
 * given and with its parent resolved. */
static char *mount_given, *mount_real;

char *target_normal(const char *path)
{
	char *out = xmalloc(strlen(path) + 2);
	size_t n = 0;

	while (*path) {
		size_t len = strcspn(path, "/");

		if (len == 2 && !memcmp(path, "..", 2)) {
			while (n && out[--n] != '/')
				;
		} else if (len && !(len == 1 && *path == '.')) {
			out[n++] = '/';
			memcpy(out + n, path, len);
			n += len;
		}
		path += len;
		path += strspn(path, "/");
	}
	if (!n)
		out[n++] = '/';
	out[n] = 0;
	return out;
}

/* ---- where the own mount shows ------------------------------------------- */

struct own {
	char **path;
	size_t count;
};

static void own_add(struct own *own, const char *path)
{
	own->path = xrealloc(own->path, (own->count + 1) * sizeof(*own->path));
	own->path[own->count++] = xstrdup(path);
}

static void own_release(struct own *own)
{
	for (size_t i = 0; i < own->count; i++)
		free(own->path[i]);
	free(own->path);
}

static bool own_has(const struct own *own, const char *path)
{
	for (size_t i = 0; i < own->count; i++)
		if (!strcmp(own->path[i], path))
			return true;
	return false;
}

/* mountinfo writes blanks and backslashes as octal. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' &&
		    s[2] <= '7' && s[3] >= '0' && s[3] <= '7') {
			*to++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = 0;
}

/* One line: "ID PARENT MAJ:MIN ROOT MOUNTPOINT OPTIONS [TAGS] - TYPE ...". */
static bool mountinfo_line(char *line, char **dev, char **at, bool *fuse)
{
	char *save = NULL, *dash = strstr(line, " - ");

	*fuse = dash && !strncmp(dash + 3, "fuse", 4);
	strtok_r(line, " ", &save);
	strtok_r(NULL, " ", &save);
	*dev = strtok_r(NULL, " ", &save);
	strtok_r(NULL, " ", &save);
	*at = strtok_r(NULL, " ", &save);
	if (!*dev || !*at)
		return false;
	unescape(*at);
	return true;
}

/* Places of the own mount besides the two above, as of the last change of any mount:
 * the file tells poll(2) of one. Reading it anew for each start was half of the start. */
static struct {
	pthread_mutex_t mu;
	FILE *f;
	struct own places;
} mountinfo = { .mu = PTHREAD_MUTEX_INITIALIZER };

static void mountinfo_close(void)
{
	if (mountinfo.f)
		fclose(mountinfo.f);
	mountinfo.f = NULL;
	own_release(&mountinfo.places);
	mountinfo.places = (struct own){0};
}

static bool mountinfo_changed(void)
{
	struct pollfd p = {.events = POLLPRI};

	if (!mountinfo.f)
		return (mountinfo.f = fopen("/proc/self/mountinfo", "re"));
	p.fd = fileno(mountinfo.f);
	return poll(&p, 1, 0) != 0;
}

static void mountinfo_read(void)
{
	struct own *own = &mountinfo.places;
	_cleanup_free_ char *line = NULL;
	char dev[64] = "", *d, *at;
	size_t cap = 0;
	bool fuse;

	own_release(own);
	*own = (struct own){0};
	/* First the device of the own mount, then all that show it. */
	rewind(mountinfo.f);
	while (getline(&line, &cap, mountinfo.f) > 0)
		if (mountinfo_line(line, &d, &at, &fuse) && fuse &&
		    (!strcmp(at, mount_given) || !strcmp(at, mount_real)))
			snprintf(dev, sizeof(dev), "%s", d);
	rewind(mountinfo.f);
	while (*dev && getline(&line, &cap, mountinfo.f) > 0)
		if (mountinfo_line(line, &d, &at, &fuse) && !strcmp(d, dev))
			own_add(own, at);
}

static void own_find(struct own *own)
{
	if (!mount_given)
		return;
	own_add(own, mount_given);
	own_add(own, mount_real);
	mutex_lock(&mountinfo.mu);
	if (mountinfo_changed())
		mountinfo_read();
	for (size_t i = 0; i < mountinfo.places.count; i++)
		own_add(own, mountinfo.places.path[i]);
	mutex_unlock(&mountinfo.mu);
}

void target_set_mount(const char *mountpoint)
{
	_cleanup_free_ char *parent = NULL;
	char *slash;

	free(mount_given);
	free(mount_real);
	mount_given = mount_real = NULL;
	mutex_lock(&mountinfo.mu);
	mountinfo_close();
	mutex_unlock(&mountinfo.mu);
	if (!mountpoint)
		return;
	mount_given = target_normal(mountpoint);
	/* Only the parent is resolved: the mount point itself may be dead. */
	slash = strrchr(mount_given, '/');
	parent = slash == mount_given ? xstrdup("/") : xstrdup(mount_given);
	if (slash != mount_given)
		parent[slash - mount_given] = 0;
	char *real = realpath(parent, NULL);

	if (real)
		mount_real = xasprintf("%s%s", strcmp(real, "/") ? real : "", slash);
	else
		mount_real = xstrdup(mount_given);
	free(real);
}

/* ---- resolving ------------------------------------------------------------ */

/* The walk: what is resolved so far ("" for the root), and what is left. */
struct walk {
	char done[PATH_MAX], todo[2 * PATH_MAX];
	bool missing;           /* nothing is there from here on */
	int links;
};

static int walk_link(struct walk *w, const char *at, const char *path, struct err *e)
{
	char text[PATH_MAX], rest[2 * PATH_MAX];
	ssize_t n = readlink(at, text, sizeof(text) - 1);

	if (n < 0)
		return err_sys(e, "cannot read the link '%s'", at);
	text[n] = 0;
	snprintf(rest, sizeof(rest), "%s", w->todo);
	if (++w->links > LINKS_MAX || (size_t)n + strlen(rest) + 2 > sizeof(w->todo))
		return err_set(e, ELOOP, "target path '%s' has too many symbolic links", path);
	memcpy(w->todo, text, (size_t)n);
	w->todo[n] = '/';
	memcpy(w->todo + n + 1, rest, strlen(rest) + 1);
	if (text[0] == '/')
		w->done[0] = 0;
	return 0;
}

static int walk_step(struct walk *w, const struct own *own, const char *path, struct err *e)
{
	char name[NAME_MAX + 1], at[PATH_MAX + NAME_MAX + 2];
	size_t skip = strspn(w->todo, "/"), len = strcspn(w->todo + skip, "/");
	struct stat st;

	if (len > NAME_MAX || strlen(w->done) + len + 2 > PATH_MAX)
		return err_set(e, ENAMETOOLONG, "target path '%s' is too long", path);
	memcpy(name, w->todo + skip, len);
	name[len] = 0;
	memmove(w->todo, w->todo + skip + len, strlen(w->todo + skip + len) + 1);
	if (!strcmp(name, "") || !strcmp(name, "."))
		return 0;
	if (!strcmp(name, "..")) {
		char *slash = strrchr(w->done, '/');

		if (slash)
			*slash = 0;
		return 0;
	}
	snprintf(at, sizeof(at), "%s/%s", w->done, name);
	if (own_has(own, at))
		return err_set(e, EINVAL, "target path '%s' lies inside the mount itself: "
			       "choose a directory outside of it", path);
	if (!w->missing && lstat(at, &st) < 0)
		w->missing = true;
	if (!w->missing && S_ISLNK(st.st_mode))
		return walk_link(w, at, path, e);
	memcpy(w->done, at, strlen(at) + 1);
	return 0;
}

int target_check(const char *path, struct target_id *id, struct err *e)
{
	struct own own = {0};
	struct walk w = {0};
	struct stat st;
	int rc = 0;

	memset(id, 0, sizeof(*id));
	if (!path)
		return 0;
	if (strlen(path) >= PATH_MAX)
		return err_set(e, ENAMETOOLONG, "target path is longer than %d bytes",
			       PATH_MAX - 1);
	own_find(&own);
	/* Textually first: ".." behind a link must not lead in unseen. */
	_cleanup_free_ char *normal = target_normal(path);

	memcpy(w.todo, normal, strlen(normal) + 1);
	w.missing = true;
	while (!rc && *w.todo)
		rc = walk_step(&w, &own, path, e);

	memset(&w, 0, sizeof(w));
	memcpy(w.todo, path, strlen(path) + 1);
	while (!rc && *w.todo)
		rc = walk_step(&w, &own, path, e);
	own_release(&own);
	if (rc)
		return rc;
	if (!w.missing && stat(*w.done ? w.done : "/", &st) == 0 && S_ISDIR(st.st_mode)) {
		id->known = true;
		id->dev = st.st_dev;
		id->ino = st.st_ino;
	}
	return 0;
}
