/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rbd_peers.c - which daemons use a RADOS pool, and which of them have died on
 * this machine.
 *
 * Called by rbd.c at a start, and by rbd_tidy.c. A daemon that dies leaves locks that
 * others would wait for half a minute: each writes down who it is, in an object of
 * the RADOS pool, and the next on the same machine knows for certain that it is dead.
 * Never takes one for dead that may live.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "rbd.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* UNKNOWN: another user's, which /proc may hide. 0: it has ended. */
#define UNKNOWN UINT64_MAX
static uint64_t process_start(int pid)
{
	char path[40], text[1024], *end;
	_cleanup_close_ int fd = -1;
	unsigned long long start = 0;
	ssize_t n;

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (n <= 0)
		return UNKNOWN;
	text[n] = '\0';
	end = strrchr(text, ')');
	if (!end || end[1] != ' ')
		return UNKNOWN;
	if (end[2] == 'Z' || end[2] == 'X')
		return 0;
	end += 2;
	for (int i = 0; i < 19 && end; i++) {
		end = strchr(end, ' ');
		end = end ? end + 1 : NULL;
	}
	if (end)
		sscanf(end, "%llu", &start);
	return start;
}

/* Process numbers mean something in one boot and one name space of them. */
static void identity_room(char room[128])
{
	char boot[64] = "", ns[48] = "";
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, boot, 36);

	if (fd >= 0)
		close(fd);
	boot[n > 0 ? n : 0] = '\0';
	n = readlink("/proc/self/ns/pid", ns, sizeof ns - 1);
	ns[n > 0 ? n : 0] = '\0';
	snprintf(room, 128, "%s %s", boot, ns);
}

char *self_identity(void)
{
	char room[128];

	identity_room(room);
	return xasprintf("%s %d %llu", room, (int)getpid(),
			 (unsigned long long)process_start(getpid()));
}

bool identity_dead(const char *identity)
{
	unsigned long long start;
	char room[128];
	uint64_t now;
	size_t len;
	int pid;

	identity_room(room);
	len = strlen(room);
	if (strncmp(identity, room, len) != 0 ||
	    sscanf(identity + len, " %d %llu", &pid, &start) != 2 || !start)
		return false;
	if (kill(pid, 0) < 0 && errno == ESRCH)
		return true;
	now = process_start(pid);
	return now != UNKNOWN && now != start;
}

/* Tells the cluster's other daemons of ours who we are, and finds out which of them
 * have died on this machine: their locks need not be waited for. */
void clients_note(struct conn *c)
{
	_cleanup_free_ char *self = self_identity();
	struct note *notes = NULL;
	size_t count = 0;

	if (!c->address || notes_read(c, CLIENTS_OBJECT, "", &notes) < 0)
		return;
	for (struct note *n = notes; n; n = n->next) {
		if (!identity_dead(n->value))
			continue;
		c->dead = xrealloc(c->dead, (count + 2) * sizeof *c->dead);
		c->dead[count++] = xstrdup(n->key);
		c->dead[count] = NULL;
		/* It is dead for certain: the cluster need not wait for a sign of life
		 * from who had an image open. */
		rados_blocklist_add(c->cluster, n->key, 3600);
		note_remove(c, CLIENTS_OBJECT, n->key);
	}
	notes_free(notes);
	note_set(c, CLIENTS_OBJECT, c->address, self);
}
