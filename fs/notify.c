/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * notify.c - what the service manager hears: ready, status, reloading, stopping,
 * and the watchdog's pings. The protocol of sd_notify(3) in its few lines: one
 * datagram to $NOTIFY_SOCKET. libsystemd would be one more library in each daemon
 * for these, and programs without systemd speak the same protocol.
 *
 * Called by main.c's thread (notify_ready by that of a reload, too), which waits for signals and for nothing else, so that
 * a ping says something only because of the look that goes before it: a small process
 * (this program once more) asks the kernel for the attributes of the mount's root,
 * past its cache, so that the request loop must read that request and answer it; and
 * the clock of deadlines must have turned once. No storage driver has a part in it: a
 * pool that hangs is no reason to kill a daemon that serves the others. It is another
 * process because a thread that waits for its own mount keeps a daemon that was killed
 * from ending. (The kernel could be made to send a request without one, by a
 * "retrieve", but refuses that for directories since 6.18.)
 */
#include "fs.h"
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	STATUS_MS = 5000,               /* how old the status may be */
	SEND_SECONDS = 5,
	LOOK_MS = 100,                  /* until the next look at a ping that is out */
};

static struct sockaddr_un address;
static socklen_t address_len;           /* 0: nobody listens */
static uint64_t watchdog_ms;            /* 0: none */
static unsigned asked;                  /* number of the last look */
static uint64_t asked_at;               /* now_ms() of it */
static bool told;                       /* that it was answered */
static unsigned answered;               /* by the mount: number of the last look */
static pid_t asker;                     /* the process that waits for it; 0: none */
static pthread_mutex_t status_mu = PTHREAD_MUTEX_INITIALIZER;
static char status[96];                 /* as told last */

/* ---- the socket ----------------------------------------------------------------- */

static void address_read(const char *path)
{
	size_t len = strlen(path);

	if ((path[0] != '/' && path[0] != '@') || len < 2 || len >= sizeof(address.sun_path)) {
		log_line("", "notify", EINVAL, "NOTIFY_SOCKET is no address of a socket; "
			 "the service manager is told nothing");
		return;
	}
	address.sun_family = AF_UNIX;
	memcpy(address.sun_path, path, len);
	if (path[0] == '@')             /* abstract: its name begins with a zero byte */
		address.sun_path[0] = 0;
	address_len = offsetof(struct sockaddr_un, sun_path) + len;
}

/* sd_watchdog_enabled(3): WATCHDOG_PID names who is meant. */
static void watchdog_read(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	unsigned long long n;
	char *end;

	if (!usec || (pid && strtoll(pid, NULL, 10) != getpid()))
		return;
	errno = 0;
	n = strtoull(usec, &end, 10);
	if (*usec < '0' || *usec > '9' || *end || errno || n < 1000)
		return;
	watchdog_ms = n / 1000;
}

void notify_init(void)
{
	const char *path = getenv("NOTIFY_SOCKET");

	if (path && *path) {
		address_read(path);
		watchdog_read();
	}
	/* Not for the programs that are run. */
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

bool notify_wanted(void)
{
	return address_len;
}

void notify_send(const char *fmt, ...)
{
	const struct timeval most = { .tv_sec = SEND_SECONDS };
	_cleanup_close_ int fd = -1;
	char text[1024];
	va_list ap;

	if (!address_len)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof most);
	if (sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&address,
		   address_len) < 0)
		log_debug("the service manager's socket: %s", strerror(errno));
}

/* ---- does the daemon answer? ------------------------------------------------------- */

/* In the other process. */
int notify_ask_mount(const char *mountpoint)
{
	struct statx st;

	return statx(AT_FDCWD, mountpoint, AT_STATX_FORCE_SYNC | AT_NO_AUTOMOUNT, STATX_MODE,
		     &st) ? 1 : 0;
}

static void asker_start(void)
{
	char *argv[] = { "poolfs", NOTIFY_ASK_MOUNT, opt.mountpoint, NULL }, *env[] = { NULL };
	posix_spawnattr_t a;
	sigset_t none;

	sigemptyset(&none);
	posix_spawnattr_init(&a);
	posix_spawnattr_setsigmask(&a, &none);
	posix_spawnattr_setflags(&a, POSIX_SPAWN_SETSIGMASK);
	if (posix_spawn(&asker, "/proc/self/exe", NULL, &a, argv, env))
		asker = 0;
	posix_spawnattr_destroy(&a);
}

static void asker_look(void)
{
	int code;

	if (!asker || waitpid(asker, &code, WNOHANG) == 0)
		return;
	asker = 0;
	if (WIFEXITED(code) && WEXITSTATUS(code) == 0)
		answered = asked;
}

/* As long as one waits, there is no other. */
static void ask(void)
{
	asked_at = now_ms();
	told = false;
	if (asker)
		return;
	clock_ask(++asked);
	asker_start();
}

static bool all_answered(void)
{
	asker_look();
	return answered == asked && clock_answered() == asked;
}

bool notify_await_answer(unsigned ms)
{
	uint64_t until = now_ms() + ms;

	ask();
	while (!all_answered() && now_ms() < until) {
		usleep(2000);
		if (!asker && answered != asked)        /* it could not be made */
			ask();
	}
	return all_answered();
}

/* ---- status --------------------------------------------------------------------------- */

struct counts {
	unsigned defined, running, failed;
};

static void count_one(void *arg, struct cpool *cp)
{
	struct counts *c = arg;
	enum pool_state s = cpool_state(cp);

	c->defined++;
	c->running += s == POOL_ACTIVE;
	c->failed += s == POOL_FAILED;
}

/* True: text is another one than told last. */
static bool status_make(char text[sizeof status])
{
	struct counts c = { 0 };
	bool changed;
	int len;

	cpool_each(count_one, &c);
	len = snprintf(text, sizeof status, "%u of %u pools running", c.running, c.defined);
	if (c.failed)
		snprintf(text + len, sizeof status - len, ", %u failed", c.failed);
	pthread_mutex_lock(&status_mu);
	changed = strcmp(text, status);
	memcpy(status, text, sizeof status);
	pthread_mutex_unlock(&status_mu);
	return changed;
}

/* ---- what main.c tells ------------------------------------------------------------------ */

void notify_ready(void)
{
	char text[sizeof status];

	if (!address_len)
		return;
	status_make(text);
	/* Another process than was started, when it went into the background. */
	notify_send("READY=1\nMAINPID=%ld\nSTATUS=%s", (long)getpid(), text);
}

void notify_reloading(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	notify_send("RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=reading definitions again",
		    (unsigned long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

/* Between two looks: WatchdogSec's quarter, so that one that comes late does no harm. */
static uint64_t interval(void)
{
	return watchdog_ms ? watchdog_ms / 4 : STATUS_MS;
}

void notify_tick(void)
{
	char text[sizeof status];
	bool due = address_len && now_ms() - asked_at >= interval();

	if (due && status_make(text))
		notify_send("STATUS=%s", text);
	if (!watchdog_ms) {
		asked_at = due ? now_ms() : asked_at;
		return;
	}
	if (!told && all_answered()) {
		notify_send("WATCHDOG=1");
		told = true;
	}
	if (due)
		ask();
}

int notify_pause_ms(void)
{
	uint64_t past = now_ms() - asked_at, whole = interval();

	if (!address_len)
		return -1;
	if (watchdog_ms && !told)
		whole = whole < LOOK_MS ? whole : LOOK_MS;
	else if (past < whole)
		whole -= past;
	else
		whole = 0;
	return whole < INT_MAX ? (int)whole : INT_MAX;
}
