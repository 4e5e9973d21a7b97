/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * main.c - the command line, the daemon's beginning and its end.
 *
 * poolfs returns when the mount is usable, or with mount(8)'s exit codes when
 * it cannot be. No thread is made before the fork.
 */
#include "fs.h"
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_USAGE = 1, EXIT_SYSTEM = 2, EXIT_INTERRUPT = 8, EXIT_MOUNT = 32 };
enum {
	END_MS = 5000,                  /* what a stop waits for requests under way */
	CANCEL_MS = 3000,               /* for what is cancelled then: more than a program's grace */
	READY_MS = 30000,               /* the kernel's first request; until the mount answers */
};

struct options opt = {
	.passthrough = true,
	.announce = true,
	.readdirplus = 2,
	.timeout_ms = 30000,
	.cache = 0.05,
};

static const char help[] =
	"usage: poolfs [-f] [-d] [-o OPTION[,OPTION...]] [SOURCE] MOUNTPOINT\n"
	"Storage pools as directories, their volumes as files.\n"
	"\n"
	"SOURCE is the directory that keeps the definitions (default: /etc/poolfs for root,\n"
	"$XDG_CONFIG_HOME/poolfs otherwise).\n"
	"\n"
	"  -f, --foreground   stay in front, log to standard error\n"
	"  -d, --debug        the same, and say more\n"
	"  -h, --help         this text\n"
	"  -V, --version      the version\n"
	"\n"
	"Options for -o:\n"
	"  allow_other        other users may use the mount; the kernel checks permissions\n"
	"  noannounce         inotify on the mount sees only what comes through it\n"
	"  nopassthrough      data always goes through the daemon\n"
	"  readdirplus=MODE   off, auto (default) or always\n"
	"  rundir=DIR         state of this boot (default: /run/poolfs or $XDG_RUNTIME_DIR/poolfs)\n"
	"  shrink             truncate may shrink volumes that are no plain files\n"
	"  timeout=SECONDS    how long a driver may take to answer (default: 30)\n"
	"  fault              control/fault makes drivers fail, wait or hang, for tests\n"
	"Generic mount options (ro, noexec, noatime, _netdev, nofail, x-...) are accepted.\n";

static bool starts(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

/* What mount(8) and fstab carry along and the kernel or nobody needs here. dev
 * and suid are never honoured. */
static bool generic(const char *o)
{
	static const char *const known[] = {
		"rw", "dev", "nodev", "suid", "nosuid", "exec", "auto", "noauto", "user",
		"nouser", "users", "owner", "group", "defaults", "_netdev", "nofail", "async",
		"atime", "relatime", "norelatime", "strictatime", "nodiratime", "diratime",
		"default_permissions", "silent", "loud", "iversion", "noiversion", "mand",
		"nomand", "remount", NULL,
	};

	for (int i = 0; known[i]; i++)
		if (!strcmp(o, known[i]))
			return true;
	return starts(o, "x-") || starts(o, "X-") || starts(o, "comment=") ||
	       starts(o, "fsname=") || starts(o, "subtype=") || starts(o, "uhelper=") ||
	       starts(o, "helper=");
}

static void add_extra(const char *o)
{
	char *all = opt.extra ? xasprintf("%s,%s", opt.extra, o) : xstrdup(o);

	free(opt.extra);
	opt.extra = all;
}

static bool number(const char *text, unsigned long max, unsigned long *out)
{
	char *end;

	errno = 0;
	*out = strtoul(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && !errno && *out <= max;
}

static int option(const char *o)
{
	unsigned long n;

	if (!*o || generic(o))
		return 0;
	if (!strcmp(o, "ro") || !strcmp(o, "noexec") || !strcmp(o, "noatime") ||
	    !strcmp(o, "sync") || !strcmp(o, "dirsync") || starts(o, "context=") ||
	    starts(o, "max_read="))
		add_extra(o);
	else if (!strcmp(o, "allow_other"))
		opt.allow_other = true;
	else if (!strcmp(o, "nopassthrough"))
		opt.passthrough = false;
	else if (!strcmp(o, "noannounce"))
		opt.announce = false;
	else if (!strcmp(o, "passthrough"))
		opt.passthrough = true;
	else if (!strcmp(o, "shrink"))
		opt.shrink = true;
	else if (!strcmp(o, "fault"))
		opt.fault = true;
	else if (!strcmp(o, "readdirplus=off"))
		opt.readdirplus = 0;
	else if (!strcmp(o, "readdirplus=always"))
		opt.readdirplus = 1;
	else if (!strcmp(o, "readdirplus=auto"))
		opt.readdirplus = 2;
	else if (starts(o, "rundir="))
		opt.rundir = xstrdup(o + 7);
	else if (starts(o, "timeout=") && number(o + 8, 86400, &n) && n > 0)
		opt.timeout_ms = n * 1000;
	else {
		fprintf(stderr, "poolfs: option '%s' is not known or has no fit value; "
			"poolfs --help lists them\n", o);
		return EXIT_USAGE;
	}
	return 0;
}

static int option_list(const char *list)
{
	_cleanup_free_ char *copy = xstrdup(list);
	char *save, *o;
	int rc;

	for (o = strtok_r(copy, ",", &save); o; o = strtok_r(NULL, ",", &save)) {
		rc = option(o);
		if (rc)
			return rc;
	}
	return 0;
}

static int usage_error(const char *what, const char *word)
{
	fprintf(stderr, "poolfs: %s%s%s; poolfs --help says how\n", what, *word ? " " : "", word);
	return EXIT_USAGE;
}

/* Options may stand behind the operands: mount(8) puts them there. */
static int parse(int argc, char **argv)
{
	const char *operand[2];
	int operands = 0, rc;
	bool only_operands = false;

	for (int i = 1; i < argc; i++) {
		const char *a = argv[i];

		if (only_operands || a[0] != '-' || !a[1]) {
			if (operands == 2)
				return usage_error("too many words:", a);
			operand[operands++] = a;
		} else if (!strcmp(a, "--")) {
			only_operands = true;
		} else if (!strcmp(a, "-h") || !strcmp(a, "--help")) {
			fputs(help, stdout);
			exit(0);
		} else if (!strcmp(a, "-V") || !strcmp(a, "--version")) {
			printf("poolfs %s\nlibfuse %s\n", POOLFS_VERSION, fuse_pkgversion());
			exit(0);
		} else if (!strcmp(a, "-f") || !strcmp(a, "--foreground")) {
			opt.foreground = true;
		} else if (!strcmp(a, "-d") || !strcmp(a, "--debug")) {
			opt.foreground = opt.debug = true;
		} else if (starts(a, "-o")) {
			if (!a[2] && i + 1 == argc)
				return usage_error("-o wants options", "");
			rc = option_list(a[2] ? a + 2 : argv[++i]);
			if (rc)
				return rc;
		} else {
			return usage_error("unknown option", a);
		}
	}
	if (!operands)
		return usage_error("no mount point given", "");
	if (operands == 2 && strcmp(operand[0], "none"))
		opt.source = xstrdup(operand[0]);
	opt.mountpoint = xstrdup(operand[operands - 1]);
	return 0;
}

static void default_source(void)
{
	const char *base = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	if (opt.source)
		return;
	if (geteuid() == 0)
		opt.source = xstrdup("/etc/poolfs");
	else if (base && base[0] == '/')
		opt.source = xasprintf("%s/poolfs", base);
	else
		opt.source = xasprintf("%s/.config/poolfs", home && home[0] == '/' ? home : "");
}

/* Without asking a mount point that may be dead: only its parent is resolved. */
static int absolute_mountpoint(struct err *e)
{
	_cleanup_free_ char *copy = xstrdup(opt.mountpoint);
	char parent[PATH_MAX], *slash, *whole;
	size_t len = strlen(copy);

	while (len > 1 && copy[len - 1] == '/')
		copy[--len] = 0;
	slash = strrchr(copy, '/');
	const char *base = slash ? slash + 1 : copy;
	const char *dir = !slash ? "." : slash == copy ? "/" : copy;
	if (!strcmp(base, ".") || !strcmp(base, "..") || !*base) {
		if (!realpath(opt.mountpoint, parent))
			return err_sys(e, "mount point '%s'", opt.mountpoint);
		whole = xstrdup(parent);
	} else {
		if (slash && slash != copy)
			*slash = 0;
		if (!realpath(dir, parent))
			return err_sys(e, "mount point '%s'", opt.mountpoint);
		whole = xasprintf("%s/%s", strcmp(parent, "/") ? parent : "", base);
	}
	free(opt.mountpoint);
	opt.mountpoint = whole;
	return 0;
}

/* ---- readiness: the parent waits for it ----------------------------------------- */

static int ready_fd = -1;
static pthread_mutex_t ready_mu = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ready_cv = PTHREAD_COND_INITIALIZER;
static bool ready;

void mount_ready(void)
{
	pthread_mutex_lock(&ready_mu);
	ready = true;
	pthread_cond_broadcast(&ready_cv);
	pthread_mutex_unlock(&ready_mu);
}

static bool await_ready(void)
{
	struct timespec until;
	bool yes;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += READY_MS / 1000;
	pthread_mutex_lock(&ready_mu);
	while (!ready && !pthread_cond_timedwait(&ready_cv, &ready_mu, &until))
		;
	yes = ready;
	pthread_mutex_unlock(&ready_mu);
	return yes;
}

static void tell_parent(int code)
{
	unsigned char c = code;

	if (ready_fd < 0)
		return;
	if (write(ready_fd, &c, 1) < 0) {
		/* the parent is gone: nobody waits */
	}
	close(ready_fd);
	ready_fd = -1;
}

static void go_behind(void)
{
	unsigned char code = EXIT_SYSTEM;
	int p[2];
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) || (pid = fork()) < 0) {
		perror("poolfs: cannot go into the background");
		exit(EXIT_SYSTEM);
	}
	if (pid) {
		close(p[1]);
		if (read(p[0], &code, 1) < 0)
			code = EXIT_SYSTEM;
		_exit(code);
	}
	close(p[0]);
	ready_fd = p[1];
	setsid();
}

static void close_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; null >= 0 && fd < 3; fd++)
		dup2(null, fd);
	if (null > 2)
		close(null);
}

static int fail(int code, const struct err *e)
{
	fprintf(stderr, "poolfs: %s\n", e->text);
	notify_send("STATUS=%s\nERRNO=%d", e->text, e->code);
	tell_parent(code);
	return code;
}

static void raise_limits(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l))
		return;
	l.rlim_cur = l.rlim_max;
	setrlimit(RLIMIT_NOFILE, &l);
}

static void wait_for_requests(void)
{
	uint64_t until = now_ms() + END_MS;

	while ((requests_live() || !loop_ended()) && now_ms() < until) {
		/* Nothing under way, and the kernel still holds the connection:
		 * somebody has a file open or a directory as his own. */
		if (!requests_live() && now_ms() + END_MS > until + 300)
			break;
		usleep(10000);
	}
	if (!requests_live())
		return;
	/* A copy is undone, and a program that was run does not outlive us. */
	requests_cancel();
	until = now_ms() + CANCEL_MS;
	while (requests_live() && now_ms() < until)
		usleep(10000);
}

/* ---- signals ---------------------------------------------------------------------- */

/* A hangup ends what stays in front of a terminal; else it is a word from the service
 * manager, or from who has changed a definition by hand. */
static bool terminal_has(void)
{
	int fd = opt.foreground ? open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC) : -1;

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int signal_wait(const sigset_t *signals)
{
	for (;;) {
		int pause = notify_pause_ms(), sig;
		struct timespec t = { pause / 1000, pause % 1000 * 1000000L };

		sig = sigtimedwait(signals, NULL, pause < 0 ? NULL : &t);
		if (sig > 0)
			return sig;
		if (errno == EAGAIN)
			notify_tick();
	}
}

static void wait_for_end(const sigset_t *signals, bool terminal)
{
	while (signal_wait(signals) == SIGHUP && !terminal) {
		notify_reloading();
		control_reload(notify_ready);
	}
}

static int serve(sigset_t *signals)
{
	bool terminal = terminal_has(), left;
	struct control_options c = { .source = opt.source, .rundir = opt.rundir };
	struct err e = { 0 };

	if (absolute_mountpoint(&e) < 0)
		return fail(EXIT_MOUNT, &e);
	c.mountpoint = opt.mountpoint;
	c.fault = opt.fault;
	if (control_init(&c, &e) < 0)
		return fail(EXIT_MOUNT, &e);
	tree_init();
	if (mount_session(&e) < 0) {
		mount_end();
		return fail(EXIT_MOUNT, &e);
	}
	requests_init();
	announce_begin();
	loop_run();
	control_begin();
	if (!await_ready() || (notify_wanted() && !notify_await_answer(READY_MS))) {
		err_set(&e, ETIMEDOUT, "the mount does not answer");
		announce_end();
		mount_end();
		return fail(EXIT_MOUNT, &e);
	}
	if (!opt.foreground) {
		log_open(LOG_TO_SYSLOG, false);
		close_terminal();
	}
	tell_parent(0);
	notify_ready();
	wait_for_end(signals, terminal);
	notify_send("STOPPING=1\nSTATUS=waiting for requests under way");
	announce_end();
	mount_end();
	wait_for_requests();
	control_end();
	left = backends_end();
	log_line("", "", 0, "poolfs ends");
	if (requests_live()) {          /* something hangs: do not wait for it */
		mount_cut();
		_exit(0);
	}
	if (left) {
		fflush(NULL);
		_exit(0);
	}
	return 0;
}

int main(int argc, char **argv)
{
	sigset_t signals;
	int rc;

	if (argc == 3 && !strcmp(argv[1], HELPER_WORD))
		return helper_main(argv[2]);
	if (argc == 3 && !strcmp(argv[1], NOTIFY_ASK_MOUNT))
		return notify_ask_mount(argv[2]);
	rc = parse(argc, argv);
	if (rc)
		return rc;
	default_source();
	if (!opt.foreground)
		go_behind();
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	umask(0);
	/* Threads that come and go would each take an arena of their own in turn, and keep in
	 * each what the largest listing took. */
	mallopt(M_ARENA_MAX, 2);
	/* A listing, which is large, goes back as a whole, whichever thread made it. */
	mallopt(M_MMAP_THRESHOLD, 128 << 10);
	mallopt(M_TRIM_THRESHOLD, 512 << 10);
	raise_limits();
	log_open(LOG_TO_STDERR, opt.debug);
	notify_init();
	rc = serve(&signals);
	fflush(NULL);
	return rc;
}
