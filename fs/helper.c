/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * helper.c - the process that makes inotify speak on the mount, and the answers that
 * it gets.
 *
 * FUSE has no message that raises an inotify event: only a call on the mount itself
 * does. So a process of its own (never a thread of the daemon: one stuck in its own
 * mount would keep /dev/fuse open for ever when the daemon is killed) makes a file,
 * a directory, removes one, renames or touches one, and the daemon, which knows it by
 * its process id, answers "done" and does nothing: no driver is called, no node made.
 * The kernel gets a number that stands for nothing and asks anew at the next look.
 * Touching is the exception: its answer is what a stat would say.
 *
 * It holds nothing of the mount but while it works, so that an unmount is not busy,
 * checks each time that the mount is still the one that it was begun for, and ends
 * when its socket closes. Called by announce.c, and by the request handlers.
 */
#include "fs.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	ANSWER_MS = 10000,              /* a helper that takes longer is ended */
	END_MS = 1000,                  /* what its end may take */
	AGAIN_MS = 3000,                /* between two starts */
	MESSAGE_MAX = 8192,
};
#define PROBE ".poolfs.probe"
extern char **environ;

/* ---- the process -------------------------------------------------------------------- */

/* The first message has looked at PROBE, and the daemon has seen it: this is it. The
 * device's number is asked of nobody. */
static int begin_on(int root, uint64_t *dev)
{
	struct statx x;
	struct stat st;
	uint64_t is;

	if (statx(root, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, 0, &x) < 0)
		return errno;
	is = (uint64_t)x.stx_dev_major << 32 | x.stx_dev_minor;
	if (!*dev) {
		*dev = is;
		return fstatat(root, PROBE, &st, AT_SYMLINK_NOFOLLOW) == 0 ? EEXIST : 0;
	}
	return is == *dev ? 0 : ESTALE;
}

static int perform(int root, char op, const char *path, const char *to)
{
	struct timespec times[2] = { { 0, op == 't' ? UTIME_OMIT : UTIME_NOW },
				     { 0, UTIME_NOW } };
	struct stat st;
	int rc;

	switch (op) {
	case 'c':
		rc = mknodat(root, path, S_IFREG | 0600, 0);
		break;
	case 'd':
		rc = mkdirat(root, path, 0700);
		break;
	case 'u':
		rc = unlinkat(root, path, 0);
		break;
	case 'r':
		rc = unlinkat(root, path, AT_REMOVEDIR);
		break;
	case 'm':
		rc = renameat2(root, path, root, to, RENAME_NOREPLACE);
		break;
	case 'a': case 't':
		rc = utimensat(root, path, times, AT_SYMLINK_NOFOLLOW);
		break;
	case 'l':
		rc = fstatat(root, path, &st, AT_SYMLINK_NOFOLLOW);
		break;
	default:                        /* the probe */
		return 0;
	}
	return rc < 0 ? errno : 0;
}

/* message: an operation's letter, a path below the mount, and another, each with NUL. */
int helper_main(const char *mountpoint)
{
	static char message[MESSAGE_MAX];
	uint64_t dev = 0;
	ssize_t len;

	prctl(PR_SET_NAME, "poolfs-announce");
	prctl(PR_SET_PDEATHSIG, SIGKILL);       /* even while it is stopped */
	close_range(3, ~0U, 0);
	if (chdir("/") < 0)
		_exit(1);
	while ((len = recv(0, message, sizeof message - 1, 0)) > 1) {
		int root, rc;

		message[len] = 0;
		root = open(mountpoint, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		rc = root < 0 ? errno : begin_on(root, &dev);
		if (rc == 0)
			rc = perform(root, message[0], message + 1,
				     message + 1 + strlen(message + 1) + 1);
		if (root >= 0)
			close(root);
		if (send(0, &rc, sizeof rc, MSG_NOSIGNAL) != sizeof rc)
			break;
	}
	_exit(0);
}

/* ---- its life, and what it is told --------------------------------------------------- */

static atomic_int helper;               /* process id; 0: none */
static int sock = -1;                   /* announce.c's thread */
static pid_t ended;                     /* not waited for yet; the same */
static uint64_t started;
static bool given_up;                   /* another mount is there; the same */

/* What it does just now. */
static struct {
	pthread_mutex_t mu;
	char op;                        /* 0: nothing */
	const char *dir, *name, *to;
	bool probed, true_answer;
} now = { .mu = PTHREAD_MUTEX_INITIALIZER };

static bool reap(void)
{
	int status;

	if (ended && waitpid(ended, &status, WNOHANG) == 0)
		return false;
	ended = 0;
	return true;
}

/* Its number is nobody else's before it has been waited for. */
static void drop(bool force)
{
	pid_t pid = atomic_exchange(&helper, 0);

	if (sock >= 0)
		close(sock);
	sock = -1;
	if (!pid)
		return;
	if (force)
		kill(pid, SIGKILL);
	ended = pid;
}

void helper_end(void)
{
	uint64_t until = now_ms() + END_MS;

	drop(false);
	if (loop_ended())               /* unmounted: nothing waits for it */
		return;
	for (bool killed = false; !reap() && now_ms() < until; usleep(2000))
		if (!killed && now_ms() + END_MS / 2 > until)
			killed = kill(ended, SIGKILL) == 0;
}

/* From another thread: announce.c's waits for an answer and does not end. */
void helper_kill(void)
{
	pid_t pid = atomic_load(&helper);

	if (pid)
		kill(pid, SIGKILL);
}

static bool spawn(int fd)
{
	char *argv[] = { "poolfs", HELPER_WORD, opt.mountpoint, NULL };
	posix_spawn_file_actions_t a;
	posix_spawnattr_t attr;
	sigset_t all, none;
	pid_t pid;
	int rc;

	sigfillset(&all);
	sigemptyset(&none);
	posix_spawn_file_actions_init(&a);
	posix_spawn_file_actions_adddup2(&a, fd, 0);
	posix_spawn_file_actions_addopen(&a, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&a, 2, "/dev/null", O_WRONLY, 0);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK |
				 POSIX_SPAWN_SETPGROUP);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setsigmask(&attr, &none);
	rc = posix_spawn(&pid, "/proc/self/exe", &a, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&a);
	if (rc)
		return false;
	atomic_store(&helper, pid);
	return true;
}

/* The errno of the call; EPIPE: there is no helper. */
static int ask(const struct change_call *c)
{
	static char message[MESSAGE_MAX];
	struct pollfd p = { .fd = sock, .events = POLLIN };
	int len, rc;

	len = snprintf(message, sizeof message, "%c%s%s%s%c%s%s%s", c->op, c->dir,
		       *c->dir && *c->name ? "/" : "", *c->dir || *c->name ? c->name : ".", 0,
		       c->to ? c->dir : "", c->to && *c->dir ? "/" : "", c->to ? c->to : "");
	if (len >= MESSAGE_MAX)
		return ENAMETOOLONG;
	pthread_mutex_lock(&now.mu);
	now.op = c->op;
	now.dir = c->dir;
	now.name = c->name;
	now.to = c->to;
	now.true_answer = false;
	pthread_mutex_unlock(&now.mu);
	if (send(sock, message, len, MSG_NOSIGNAL) != len || poll(&p, 1, ANSWER_MS) <= 0 ||
	    recv(sock, &rc, sizeof rc, 0) != sizeof rc)
		rc = EPIPE;
	pthread_mutex_lock(&now.mu);
	now.op = 0;
	now.dir = now.name = now.to = NULL;
	pthread_mutex_unlock(&now.mu);
	if (rc == EPIPE || rc == ESTALE || rc == ENOTCONN)
		drop(true);
	return rc;
}

static bool begin(void)
{
	const struct change_call probe = { .op = 'p', .dir = "", .name = "" };
	int pair[2];
	bool ok;

	if (atomic_load(&helper))
		return true;
	if (given_up || !reap() || (started && now_ms() - started < AGAIN_MS) ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return false;
	started = now_ms();
	sock = pair[0];
	ok = spawn(pair[1]);
	close(pair[1]);
	if (!ok) {
		drop(false);
		return false;
	}
	pthread_mutex_lock(&now.mu);
	now.probed = false;
	pthread_mutex_unlock(&now.mu);
	if (ask(&probe) == 0) {
		pthread_mutex_lock(&now.mu);
		given_up = !now.probed;
		pthread_mutex_unlock(&now.mu);
	}
	if (given_up)
		drop(true);
	return atomic_load(&helper);
}

int helper_call(const struct change_call *c, bool *true_answer)
{
	int rc = begin() ? ask(c) : EPIPE;

	pthread_mutex_lock(&now.mu);
	*true_answer = now.true_answer;
	pthread_mutex_unlock(&now.mu);
	return rc;
}

/* ---- its requests ------------------------------------------------------------------------ */

bool helper_is(const struct fuse_ctx *ctx)
{
	return ctx->pid > 0 && ctx->pid == atomic_load(&helper);
}

const char *helper_dir(struct node *n)
{
	switch ((enum kind)n->kind) {
	case N_ROOT:
		return "";
	case N_ACTIVE:
		return "control/active";
	case N_POOLS:
		return "control/pools";
	case N_POOL:
		return run_name(n->run);
	default:
		return NULL;
	}
}

/* Is there such a directory now? */
static bool exists(struct node *dir, const char *name)
{
	struct cpool *cp = cpool_find(name);
	struct run *run = cp ? cpool_run(cp) : NULL;
	bool yes = cp && (dir->kind == N_POOLS || (run && !run_dead(run)));

	if (run)
		run_put(run);
	if (cp)
		cpool_put(cp);
	return yes;
}

/* Does a process stand in it, or have it open? The kernel drops what it knows of a
 * name that it is told is not there, and getcwd(2) would fail. */
static bool in_use(struct node *dir, const char *name)
{
	struct node *n = node_find(dir, name);
	bool yes = false;

	if (!n)
		return false;
	if (n->kind == N_VOL) {
		pthread_mutex_lock(&n->mu);
		yes = n->handles;
		pthread_mutex_unlock(&n->mu);
	} else {
		yes = n->kind != N_POOL || !run_dead(n->run);
	}
	node_put(n, 1);
	return yes;
}

static void reply_fake(fuse_req_t fr, mode_t type)
{
	struct fuse_entry_param e = { .ino = node_no_id() };

	e.attr.st_ino = e.ino;
	e.attr.st_mode = type | 0700;
	e.attr.st_nlink = 1;
	e.attr.st_uid = geteuid();
	e.attr.st_gid = getegid();
	fuse_reply_entry(fr, &e);
}

enum what { NOT_OURS, FIRST_NAME, SECOND_NAME };

/* now.mu held. */
static enum what match(struct node *dir, const char *name)
{
	const char *path = helper_dir(dir);

	if (!now.op || !path || strcmp(path, now.dir))
		return NOT_OURS;
	return !strcmp(name, now.name) ? FIRST_NAME :
	       now.to && !strcmp(name, now.to) ? SECOND_NAME : NOT_OURS;
}

static enum what current(struct node *dir, const char *name, char *op)
{
	pthread_mutex_lock(&now.mu);
	enum what w = match(dir, name);
	*op = now.op;
	if (now.op == 'p' && dir->kind == N_ROOT && !strcmp(name, PROBE))
		now.probed = true;
	pthread_mutex_unlock(&now.mu);
	return w;
}

/* Nobody may be told that what is in use is not there, nor rename what is away. */
static bool must_be_true(struct node *dir, const char *name, char op)
{
	bool yes = (op == 'c' && in_use(dir, name)) ||
		   (op == 'd' && exists(dir, name) && in_use(dir, name)) ||
		   (op == 'r' && exists(dir, name));

	if (yes) {
		pthread_mutex_lock(&now.mu);
		now.true_answer = true;
		pthread_mutex_unlock(&now.mu);
	}
	return yes;
}

bool helper_lookup(fuse_req_t fr, fuse_ino_t parent, const char *name)
{
	struct node *dir;
	bool mine = false;
	enum what w;
	char op;

	if (!helper_is(fuse_req_ctx(fr)) || !(dir = node_by_id(parent)))
		return false;
	w = current(dir, name, &op);
	if (w == SECOND_NAME || (w == FIRST_NAME && (op == 'c' || op == 'd'))) {
		mine = w == SECOND_NAME || !must_be_true(dir, name, op);
		if (mine)
			fuse_reply_err(fr, ENOENT);
	} else if (w == FIRST_NAME && (op == 'u' || op == 'm' || op == 'r')) {
		mine = !must_be_true(dir, name, op);
		if (mine)
			reply_fake(fr, op == 'r' ? S_IFDIR : S_IFREG);
	}
	node_put(dir, 1);
	return mine;
}

/* It makes nothing, removes nothing and renames nothing. */
bool helper_change(fuse_req_t fr, fuse_ino_t parent, const char *name, char op)
{
	struct node *dir;
	bool fits;
	char is;

	if (!helper_is(fuse_req_ctx(fr)))
		return false;
	dir = node_by_id(parent);
	fits = dir && current(dir, name, &is) == FIRST_NAME && is == op &&
	       !(op == 'r' && exists(dir, name));
	if (!fits)
		fuse_reply_err(fr, EBUSY);
	else if (op == 'c' || op == 'd')
		reply_fake(fr, op == 'c' ? S_IFREG : S_IFDIR);
	else
		fuse_reply_err(fr, 0);
	if (dir)
		node_put(dir, 1);
	return true;
}
