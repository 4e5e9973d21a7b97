/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvirt.c - is SOURCE the storage directory of a libvirt daemon that lives?
 *
 * Called by store.c before each change of SOURCE. libvirt's storage driver, in
 * libvirtd as in virtstoraged, holds a lock on driver.pid in its state directory
 * as long as it runs, and reads its definitions only when it begins: what somebody
 * else writes meanwhile it neither sees nor spares. Before 5.6 there was only the
 * daemon's own pid file, locked in the same way. A daemon whose /run is not ours
 * (in a container) is not seen. Never takes such a lock itself, not even for a
 * moment: a daemon that starts just then would fail.
 */
#include "libvirt.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Does somebody hold it? *pid: who, 0 if that cannot be told. */
static bool lock_held(const char *path, pid_t *pid)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	*pid = 0;
	if (fd < 0)     /* what cannot be looked at may well be locked */
		return errno == EACCES;
	if (fcntl(fd, F_GETLK, &lock) < 0 || lock.l_type == F_UNLCK)
		return false;
	*pid = lock.l_pid > 0 ? lock.l_pid : 0;
	return true;
}

/* state: where the daemon keeps what runs; driver: the storage driver's part of it. */
static bool daemon_lives(const char *state, const char *driver, pid_t *pid)
{
	_cleanup_free_ char *own = xasprintf("%s/%s/driver.pid", state, driver);
	_cleanup_free_ char *whole = xasprintf("%s/libvirtd.pid", state);

	return lock_held(own, pid) || lock_held(whole, pid);
}

static bool same_directory(const struct stat *a, const char *path)
{
	struct stat b;

	return stat(path, &b) == 0 && a->st_dev == b.st_dev && a->st_ino == b.st_ino;
}

/* 1, 0, or -1: source is not the system's. */
static int system_lives(const struct stat *source, pid_t *pid)
{
	static const struct { const char *config, *run; } places[] = {
		{ "/etc/libvirt/storage", "/run" },
		{ "/etc/libvirt/storage", "/var/run" },
		{ "/usr/local/etc/libvirt/storage", "/usr/local/var/run" },
		{ "/usr/local/etc/libvirt/storage", "/var/run" },
	};
	int lives = -1;

	for (size_t i = 0; i < sizeof places / sizeof *places && lives <= 0; i++)
		if (same_directory(source, places[i].config))
			lives = daemon_lives(places[i].run, "libvirt/storage", pid);
	return lives;
}

/* The session daemon of the directory's owner, wherever XDG_CONFIG_HOME is. */
static bool session_lives(const char *path, const struct stat *source, pid_t *pid)
{
	static const char config[] = "/.config/libvirt/storage";
	_cleanup_free_ char *usual = xasprintf("/run/user/%u/libvirt", (unsigned)source->st_uid);
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	size_t len = strlen(path), tail = sizeof config - 1;

	if (daemon_lives(usual, "storage/run", pid))
		return true;
	if (xdg && xdg[0] == '/' && source->st_uid == geteuid()) {
		_cleanup_free_ char *own = xasprintf("%s/libvirt", xdg);

		if (daemon_lives(own, "storage/run", pid))
			return true;
	}
	/* Without XDG_RUNTIME_DIR it keeps its state in its cache. */
	if (len > tail && strcmp(path + len - tail, config) == 0) {
		_cleanup_free_ char *cache = xasprintf("%.*s/.cache/libvirt", (int)(len - tail), path);

		return daemon_lives(cache, "storage/run", pid);
	}
	return false;
}

int libvirt_refuse(const char *source, struct err *e)
{
	static const char ending[] = "/libvirt/storage";
	size_t len = strlen(source), tail = sizeof ending - 1;
	char who[32] = "";
	struct stat st;
	int lives;
	pid_t pid;

	if (stat(source, &st) < 0)
		return 0;
	lives = system_lives(&st, &pid);
	if (lives < 0)
		lives = len > tail && strcmp(source + len - tail, ending) == 0 &&
			session_lives(source, &st, &pid);
	if (!lives)
		return 0;
	if (pid)
		snprintf(who, sizeof who, ", process %ld,", (long)pid);
	return err_set(e, EROFS, "'%s' is libvirt's, and its daemon%s runs: change it with virsh, "
		       "or stop the daemon first", source, who);
}
