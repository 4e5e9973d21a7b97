/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qemulock.c - probes QEMU's lock bytes and names who holds them.
 *
 * Called by dir.c and local.c. Closing the descriptor that qemulock_check_at()
 * opens would drop this process's classic POSIX locks on the file: the daemon
 * must hold none but open-file-description locks, which it does for this and
 * other reasons.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "qemulock.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LOCK_FIRST = 100, LOCK_LAST = 299, SEARCH_MS = 300 };

/* Is a line "lock: 1: OFDLCK ADVISORY READ -1 08:02:INODE 100 100" in text? */
static bool text_has_lock(char *text, uint64_t ino)
{
	char *save, *line;

	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		unsigned long long i, from, to;

		if (strncmp(line, "lock:", 5) != 0)
			continue;
		/* An open end reads "EOF": such a lock is none of QEMU's. */
		if (sscanf(line, "lock: %*s %*s %*s %*s %*s %*[^:]:%*[^:]:%llu %llu %llu",
			   &i, &from, &to) == 3 &&
		    i == ino && from >= LOCK_FIRST && to <= LOCK_LAST)
			return true;
	}
	return false;
}

static bool process_has_lock(int proc, const char *pid, uint64_t ino)
{
	char path[64];
	struct dirent *de;
	bool found = false;
	DIR *dir;
	int fd;

	snprintf(path, sizeof path, "%.20s/fdinfo", pid);
	fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return false;
	}
	while (!found && (de = readdir(dir))) {
		char text[4096];
		ssize_t n;
		_cleanup_close_ int info = -1;

		if (!isdigit((unsigned char)de->d_name[0]))
			continue;
		info = openat(dirfd(dir), de->d_name, O_RDONLY | O_CLOEXEC);
		n = info < 0 ? -1 : read(info, text, sizeof text - 1);
		if (n <= 0)
			continue;
		text[n] = '\0';
		found = text_has_lock(text, ino);
	}
	closedir(dir);
	return found;
}

/* The kernel gives no pid for an open-file-description lock (it may have many
 * owners), so look through /proc. Bounded in time; 0 if nobody is found. */
static pid_t holder_find(uint64_t ino)
{
	uint64_t until = now_ms() + SEARCH_MS;
	pid_t pid = 0;
	struct dirent *de;
	DIR *dir = opendir("/proc");

	if (!dir)
		return 0;
	while (!pid && now_ms() < until && (de = readdir(dir)))
		if (isdigit((unsigned char)de->d_name[0]) &&
		    process_has_lock(dirfd(dir), de->d_name, ino))
			pid = atoi(de->d_name);
	closedir(dir);
	return pid;
}

static void process_name(pid_t pid, char *name, size_t size)
{
	char path[64];
	ssize_t n;
	_cleanup_close_ int fd = -1;

	snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, name, size - 1);
	if (n < 0)
		n = 0;
	name[n] = '\0';
	name[strcspn(name, "\n")] = '\0';
}

int qemulock_check(int fd, struct err *e)
{
	/* A write lock meets every other lock. F_OFD_GETLK asks in the name of
	 * the open file description, and is allowed on a read-only one. */
	struct flock lk = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET,
		.l_start = LOCK_FIRST, .l_len = LOCK_LAST - LOCK_FIRST + 1,
	};
	char name[32];
	struct stat st;
	pid_t pid;

	if (fcntl(fd, F_OFD_GETLK, &lk) < 0 || lk.l_type == F_UNLCK)
		return 0;       /* no lock, or a file system without locks */
	/* A lock on the whole file, as databases and mail programs take it, is
	 * not QEMU's, and does not stand in the way of rm on any file system. */
	if (lk.l_start < LOCK_FIRST || lk.l_len == 0 ||
	    lk.l_start + lk.l_len - 1 > LOCK_LAST)
		return 0;
	pid = lk.l_pid;
	if (pid <= 0)
		pid = fstat(fd, &st) < 0 ? 0 : holder_find(st.st_ino);
	if (pid <= 0)
		return err_set(e, EBUSY, "a virtual machine or a qemu tool has it open; "
			       "end that first");
	if (pid == getpid())
		return err_set(e, EBUSY, "a qemu tool has it open through this mount; "
			       "end that first");
	process_name(pid, name, sizeof name);
	return err_set(e, EBUSY, "process %d ('%s') has it open; end that first",
		       (int)pid, name);
}

int qemulock_check_at(int dirfd, const char *name, struct err *e)
{
	const int flags = O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	struct stat st;
	_cleanup_close_ int fd = -1;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return 0;
	fd = openat(dirfd, name, O_RDONLY | flags);
	if (fd < 0)
		fd = openat(dirfd, name, O_WRONLY | flags);
	return fd < 0 ? 0 : qemulock_check(fd, e);
}
