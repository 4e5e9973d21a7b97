/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * command.c - runs a program, gathers what it says, and ends it in time.
 *
 * Called by drivers, on a thread that may block. It watches the two pipes and
 * the process (a pidfd) at once, so that neither a talkative program nor one
 * that leaves a child behind with the pipes open can hold it. Never uses a
 * shell, never looks at the daemon's own environment.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "command.h"

#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <pthread.h>
#include <unistd.h>

#define COMMAND_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

enum {
	TICK_MS = 100,                  /* how soon a cancel is seen */
	LEFT_OVER_MS = 200,             /* for output that comes after the end */
	GRACE_MS = 2000,                /* between asking it to end and killing it */
	ERRORS_MAX = 4096,              /* of its standard error */
};

/* ---- looking for it ---------------------------------------------------------- */

static bool program_find(const char *program, char path[256])
{
	for (const char *dir = COMMAND_PATH; *dir; ) {
		size_t len = strcspn(dir, ":");
		struct stat st;

		snprintf(path, 256, "%.*s/%s", (int)len, dir, program);
		if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0 && stat(path, &st) == 0 &&
		    S_ISREG(st.st_mode))
			return true;
		dir += len + (dir[len] == ':');
	}
	return false;
}

bool command_found(const char *program)
{
	char path[256];

	return program_find(program, path);
}

/* ---- starting it -------------------------------------------------------------- */

static void must(int rc)
{
	if (rc)
		abort();        /* these fail for want of memory only */
}

/* errs and out are the writing ends. */
static int program_spawn(const char *path, const char *const *argv, int out, int errs, pid_t *pid)
{
	static const char *const env[] = { "PATH=" COMMAND_PATH, "LC_ALL=C", NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t set;
	int rc;

	must(posix_spawn_file_actions_init(&files));
	must(posix_spawn_file_actions_addchdir_np(&files, "/"));
	must(posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0));
	must(posix_spawn_file_actions_adddup2(&files, out, 1));
	must(posix_spawn_file_actions_adddup2(&files, errs, 2));
	/* Each descriptor is close-on-exec; a library's might not be. */
	must(posix_spawn_file_actions_addclosefrom_np(&files, 3));
	must(posix_spawnattr_init(&attr));
	must(posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
				      POSIX_SPAWN_SETSIGMASK));
	must(posix_spawnattr_setpgroup(&attr, 0));
	sigfillset(&set);
	must(posix_spawnattr_setsigdefault(&attr, &set));
	sigemptyset(&set);
	must(posix_spawnattr_setsigmask(&attr, &set));
	rc = posix_spawn(pid, path, &files, &attr, (char *const *)argv, (char *const *)env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return rc;
}

/* ---- while it runs --------------------------------------------------------------- */

struct running {
	const struct command *c;
	pid_t pid;
	int pidfd;                      /* -1: the kernel has none, we look now and then */
	int out, errs;                  /* reading ends; -1 when they have ended */
	struct buf said;                /* on standard error, at most ERRORS_MAX */
	bool too_much;
	bool ended;
	int status;                     /* of waitpid */
};

/* Has it ended? It stays a zombie, so that its group can still be named. */
static void look(struct running *r)
{
	siginfo_t i = { 0 };

	if (r->ended)
		return;
	if (waitid(P_PID, (id_t)r->pid, &i, WEXITED | WNOHANG | WNOWAIT) < 0)
		r->ended = errno == ECHILD;
	else
		r->ended = i.si_pid == r->pid;
}

static void reap(struct running *r)
{
	pid_t got;

	do
		got = waitpid(r->pid, &r->status, 0);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		r->status = 127 << 8;   /* someone else has done it: we cannot know */
}

/* One piece; closes *fd at the end of it. */
static void drain(struct running *r, int *fd, struct buf *to, size_t max)
{
	char piece[16384];
	ssize_t n = read(*fd, piece, sizeof piece);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		close(*fd);
		*fd = -1;
		return;
	}
	if (to && to->len + (size_t)n <= max)
		buf_add(to, piece, (size_t)n);
	else if (to == r->c->out && to)
		r->too_much = true;
	else if (to && to->len < max)
		buf_add(to, piece, max - to->len);
}

/* Waits for something, at most ms, and takes it in. */
static void step(struct running *r, int ms)
{
	struct pollfd p[3] = {
		{ .fd = r->out, .events = POLLIN },
		{ .fd = r->errs, .events = POLLIN },
		{ .fd = r->ended ? -1 : r->pidfd, .events = POLLIN },
	};
	int rc;

	if (r->pidfd < 0 && !r->ended && ms > 10)
		ms = 10;
	rc = poll(p, 3, ms);
	if (rc > 0 && p[0].revents)
		drain(r, &r->out, r->c->out, COMMAND_OUT_MAX);
	if (rc > 0 && p[1].revents)
		drain(r, &r->errs, &r->said, ERRORS_MAX);
	if (r->pidfd < 0 || (rc > 0 && p[2].revents))
		look(r);
}

/* Until it has ended and all is read, or until the deadline (0: none). False:
 * it is still running. */
static bool run_until(struct running *r, uint64_t deadline, bool cancellable)
{
	uint64_t left_over = 0;

	for (;;) {
		uint64_t now = now_ms();

		if (r->ended && r->out < 0 && r->errs < 0)
			return true;
		/* A child of its own may hold the pipes for as long as it lives. */
		if (r->ended && !left_over)
			left_over = now + LEFT_OVER_MS;
		if (r->ended && now >= left_over)
			return true;
		if (!r->ended && deadline && now >= deadline)
			return false;
		if (!r->ended && cancellable && r->c->progress &&
		    atomic_load(&r->c->progress->cancel))
			return false;
		step(r, deadline && !r->ended && deadline - now < TICK_MS ? (int)(deadline - now)
								       : TICK_MS);
	}
}

static void *reap_late(void *arg)
{
	pid_t pid = (pid_t)(intptr_t)arg;

	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return NULL;
}

/* A program in an uninterruptible wait does not even die: it is left behind. */
static void put_an_end(struct running *r)
{
	pthread_t t;

	kill(-r->pid, SIGTERM);
	if (!run_until(r, now_ms() + GRACE_MS, false)) {
		kill(-r->pid, SIGKILL);
		run_until(r, now_ms() + GRACE_MS, false);
	}
	if (r->ended) {
		kill(-r->pid, SIGKILL);         /* what it has left behind */
		reap(r);
		return;
	}
	if (pthread_create(&t, NULL, reap_late, (void *)(intptr_t)r->pid) == 0)
		pthread_detach(t);
}

/* ---- what it said ------------------------------------------------------------------ */

/* The first line that is not blank, without "PROGRAM: " in front; "" if none. */
static void first_line(const struct buf *said, const char *program, char *line, size_t size)
{
	const char *text = said->data ? said->data : "";
	size_t name = strlen(program), len;

	line[0] = '\0';
	for (;; text += *text == '\n') {
		text += strspn(text, " \t\r");
		len = strcspn(text, "\n");
		while (len && strchr(" \t\r", text[len - 1]))
			len--;
		if (len || !text[0])
			break;
	}
	if (len > name + 2 && strncmp(text, program, name) == 0 && text[name] == ':' &&
	    text[name + 1] == ' ') {
		text += name + 2;
		len -= name + 2;
	}
	while (len && text[len - 1] == '.')
		len--;
	snprintf(line, size, "%.*s", len < size ? (int)len : (int)size - 1, text);
}

static int judge(struct running *r, struct err *e)
{
	const char *program = r->c->argv[0];
	char line[400];

	first_line(&r->said, program, line, sizeof line);
	if (WIFSIGNALED(r->status))
		return err_set(e, EIO, "%s died by signal %d (%s)%s%s", program,
			       WTERMSIG(r->status), strsignal(WTERMSIG(r->status)),
			       line[0] ? ": " : "", line);
	if (r->c->status)
		*r->c->status = WEXITSTATUS(r->status);
	else if (WEXITSTATUS(r->status) && line[0])
		return err_set(e, EIO, "%s: %s", program, line);
	else if (WEXITSTATUS(r->status))
		return err_set(e, EIO, "%s failed with exit code %d and said nothing", program,
			       WEXITSTATUS(r->status));
	if (r->too_much)
		return err_set(e, EIO, "%s printed more than %d bytes", program, COMMAND_OUT_MAX);
	return 0;
}

static int run_spawned(struct running *r, struct err *e)
{
	const struct command *c = r->c;
	unsigned timeout = c->timeout_ms ? c->timeout_ms : c->progress ? 0 : COMMAND_TIMEOUT_MS;
	char line[400];

	if (run_until(r, timeout ? now_ms() + timeout : 0, true)) {
		reap(r);
		return judge(r, e);
	}
	first_line(&r->said, c->argv[0], line, sizeof line);
	if (c->progress && atomic_load(&c->progress->cancel)) {
		put_an_end(r);
		return err_set(e, ECANCELED, "%s was cancelled", c->argv[0]);
	}
	put_an_end(r);
	return err_set(e, ETIMEDOUT, "%s has not ended within %u seconds and was killed%s%s",
		       c->argv[0], (timeout + 999) / 1000, line[0] ? ": " : "", line);
}

int command_run(const struct command *c, struct err *e)
{
	struct running r = { .c = c, .pidfd = -1, .out = -1, .errs = -1 };
	int out[2], errs[2], rc;
	char path[256];

	assert(!strchr(c->argv[0], '/'));
	if (!program_find(c->argv[0], path))
		return err_set(e, EOPNOTSUPP, "the program '%s' is missing; install it", c->argv[0]);
	if (pipe2(out, O_CLOEXEC) < 0)
		return err_sys(e, "cannot run %s", c->argv[0]);
	if (pipe2(errs, O_CLOEXEC) < 0) {
		rc = err_sys(e, "cannot run %s", c->argv[0]);
		close(out[0]);
		close(out[1]);
		return rc;
	}
	rc = program_spawn(path, c->argv, out[1], errs[1], &r.pid);
	close(out[1]);
	close(errs[1]);
	r.out = out[0];
	r.errs = errs[0];
	if (rc) {
		rc = err_set(e, rc == EACCES || rc == ENOENT ? EIO : rc, "cannot run '%s': %s", path,
			     strerror(rc));
	} else {
		fcntl(r.out, F_SETFL, O_NONBLOCK);
		fcntl(r.errs, F_SETFL, O_NONBLOCK);
		r.pidfd = (int)syscall(SYS_pidfd_open, r.pid, 0);
		rc = run_spawned(&r, e);
	}
	buf_release(&r.said);
	if (r.out >= 0)
		close(r.out);
	if (r.errs >= 0)
		close(r.errs);
	if (r.pidfd >= 0)
		close(r.pidfd);
	return rc;
}
