/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guard.c - the trip-wire of .pool against rm -r.
 *
 * What deletes a tree meets .pool first. Its unlink fails, and for some
 * seconds after that neither the process (all its threads) nor, where the
 * kernel names no process, the user can unlink or rmdir anything in this
 * mount. Each refused attempt extends the time. Called by names.c.
 */
#include "fs.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Names the pool, and where to read on: to tell more would mean to ask the
 * driver for each ls -l. */
void guard_text(struct node *n, struct buf *out)
{
	const char *pool = n->run ? run_name(n->run) : NULL;

	if (pool)
		buf_addf(out, "pool: %s\ninfo: control/pools/%s/info\n"
			 "definition: control/pools/%s.xml\n\n", pool, pool, pool);
	buf_addf(out, "This file stops rm -r, so that no tool deletes the volumes of a pool by\n"
		 "deleting its directory. To stop a pool: rmdir NAME. To delete one volume:\n"
		 "rm NAME/VOLUME. To delete all: rm NAME/*\n");
}

enum { TRAPS = 64 };
static struct trap {
	pid_t group;            /* 0: by user */
	uid_t uid;
	uint64_t until;
} traps[TRAPS];
static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static atomic_uint armed;

/* The header's pid is a thread's. */
static pid_t thread_group(pid_t pid)
{
	char path[64], line[128];
	pid_t group = pid;
	FILE *f;

	if (pid <= 0)
		return 0;
	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return pid;
	while (fgets(line, sizeof line, f))
		if (!strncmp(line, "Tgid:", 5)) {
			group = atoi(line + 5);
			break;
		}
	fclose(f);
	return group;
}

static struct trap *find(pid_t group, uid_t uid, uint64_t now)
{
	for (struct trap *t = traps; t < traps + TRAPS; t++)
		if (t->until > now && t->group == group && (group || t->uid == uid))
			return t;
	return NULL;
}

void guard_arm(const struct fuse_ctx *ctx)
{
	pid_t group = thread_group(ctx->pid);
	uint64_t now = now_ms();
	struct trap *t;

	pthread_mutex_lock(&mu);
	t = find(group, ctx->uid, now);
	for (struct trap *i = traps; !t && i < traps + TRAPS; i++)
		if (i->until <= now)
			t = i;
	if (!t) {                       /* all in use: the oldest gives way */
		t = traps;
		for (struct trap *i = traps; i < traps + TRAPS; i++)
			if (i->until < t->until)
				t = i;
	}
	*t = (struct trap){ group, ctx->uid, now + GUARD_SECONDS * 1000 };
	atomic_store(&armed, 1);
	pthread_mutex_unlock(&mu);
}

bool guard_tripped(const struct fuse_ctx *ctx)
{
	uint64_t now = now_ms();
	bool any = false;
	struct trap *t;
	pid_t group;

	if (!atomic_load(&armed))
		return false;
	group = thread_group(ctx->pid);
	pthread_mutex_lock(&mu);
	t = find(group, ctx->uid, now);
	if (t)
		t->until = now + GUARD_SECONDS * 1000;
	for (struct trap *i = traps; i < traps + TRAPS; i++)
		any |= i->until > now;
	if (!any)
		atomic_store(&armed, 0);
	pthread_mutex_unlock(&mu);
	return t != NULL;
}
