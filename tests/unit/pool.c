/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pool.c - unit tests of the state machine of pools, of the registry and of
 * takeover, with real dir pools in a directory of their own.
 *
 * The daemon's end and the next one's begin are played in one process. What
 * needs a mount is in the cases.
 */
#include "../../control/control.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "base.h"

/* ---- helpers ------------------------------------------------------------------ */

static char *path_of(const char *name)
{
	return xasprintf("%s/%s", base, name);
}

static void make_dir(const char *name)
{
	_cleanup_free_ char *path = path_of(name);

	assert_int_equal(mkdir(path, 0755), 0);
}

static void make_file(const char *name, size_t size)
{
	_cleanup_free_ char *path = path_of(name);
	int fd = open(path, O_CREAT | O_WRONLY, 0644);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	close(fd);
}

static bool exists(const char *name)
{
	_cleanup_free_ char *path = path_of(name);

	return access(path, F_OK) == 0;
}

static int define_at(const char *name, const char *extra, const char *target, struct err *e)
{
	_cleanup_free_ char *xml = xasprintf("<pool type='dir'>%s<target><path>%s</path>"
					     "</target></pool>", extra, target);

	memset(e, 0, sizeof(*e));
	return cpool_define(name, xml, strlen(xml), e);
}

static int define(const char *name, const char *dir, struct err *e)
{
	_cleanup_free_ char *target = path_of(dir);

	return define_at(name, "", target, e);
}

static int start(const char *name, struct err *e)
{
	struct cpool *cp = cpool_find(name);
	int rc;

	assert_non_null(cp);
	memset(e, 0, sizeof(*e));
	rc = cpool_start(cp, e);
	cpool_put(cp);
	return rc;
}

static int stop(const char *name, struct err *e)
{
	struct cpool *cp = cpool_find(name);
	int rc;

	assert_non_null(cp);
	memset(e, 0, sizeof(*e));
	rc = cpool_stop(cp, e);
	cpool_put(cp);
	return rc;
}

static int verb(const char *name, const char *line, struct err *e)
{
	struct progress p = {0};
	struct caller who = { .progress = &p };
	struct cpool *cp = cpool_find(name);
	int rc;

	assert_non_null(cp);
	memset(e, 0, sizeof(*e));
	rc = verb_run(cp, &who, line, e);
	cpool_put(cp);
	return rc;
}

static enum pool_state state_of(const char *name)
{
	struct cpool *cp = cpool_find(name);
	enum pool_state s;

	assert_non_null(cp);
	s = cpool_state(cp);
	cpool_put(cp);
	return s;
}

/* Does a control file of the pool contain text? */
static bool shows(const char *name, const char *file, const char *text)
{
	struct cpool *cp = cpool_find(name);
	struct buf b = {0};
	bool found;

	assert_non_null(cp);
	cfile_find(CDIR_POOL, file)->show(cp, NULL, &b);
	found = b.data && strstr(b.data, text);
	if (!found)
		print_message("# %s of '%s' lacks '%s':\n%s", file, name, text,
			      b.data ? b.data : "");
	buf_release(&b);
	cpool_put(cp);
	return found;
}

static void fault(const char *line)
{
	struct err e = {0};

	assert_int_equal(fault_rule(line, &e), 0);
}

static bool wait_state(const char *name, enum pool_state want, unsigned ms)
{
	uint64_t until = now_ms() + ms;

	while (state_of(name) != want) {
		if (now_ms() > until)
			return false;
		usleep(5000);
	}
	return true;
}

/* ---- start and stop -------------------------------------------------------------- */

static void test_start_stop(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(define("a", "data", &e), 0);
	assert_int_equal(state_of("a"), POOL_INACTIVE);
	assert_true(shows("a", "info", "data: none\n"));
	assert_int_equal(stop("a", &e), -ENOENT);

	/* a start that fails, then succeeds */
	assert_true(start("a", &e) < 0);
	assert_int_equal(state_of("a"), POOL_FAILED);
	assert_true(shows("a", "error", e.text));
	assert_true(shows("a", "info", "state: failed\n"));
	make_dir("data");
	make_file("data/v1", 1 << 20);
	make_file("data/v2", 4096);
	assert_int_equal(start("a", &e), 0);
	assert_int_equal(state_of("a"), POOL_ACTIVE);
	assert_true(shows("a", "info", "state: active\n"));
	assert_true(shows("a", "info", "volumes: 2\n"));
	assert_true(shows("a", "info", "data: daemon\n"));
	assert_true(shows("a", "info", "pending: no\n"));
	assert_true(shows("a", "info", "error:\n"));
	assert_false(shows("a", "info", "unknown"));

	assert_int_equal(start("a", &e), -EEXIST);
	assert_int_equal(cpool_undefine("a", &e), -EBUSY);
	assert_int_equal(cpool_rename("a", "b", &e), -EBUSY);
	assert_int_equal(verb("a", "build", &e), -EBUSY);
	assert_int_equal(stop("a", &e), 0);
	assert_int_equal(state_of("a"), POOL_INACTIVE);
	assert_true(exists("data/v1"));
	assert_int_equal(cpool_undefine("a", &e), 0);
	assert_null(cpool_find("a"));
	assert_int_equal(cpool_undefine("a", &e), -ENOENT);
}

static void test_run(void **state)
{
	struct pool_usage u;
	struct cpool *cp;
	struct run *r;
	struct call c;
	struct err e;
	uint16_t serial;

	(void)state;
	make_dir("data");
	assert_int_equal(define("a", "data", &e), 0);
	cp = cpool_find("a");
	assert_null(cpool_run(cp));
	assert_int_equal(start("a", &e), 0);
	r = cpool_run(cp);
	assert_non_null(r);
	assert_string_equal(run_name(r), "a");
	assert_ptr_equal(run_cpool(r), cp);
	assert_false(run_dead(r));
	serial = run_serial(r);
	assert_in_range(serial, 1, 32767);
	assert_true(run_usage(r, 2000, &u));
	assert_true(u.capacity > 0 && S_ISDIR(u.dir.st_mode));
	assert_int_equal(run_enter(r, &c, "look", &e), 0);
	assert_non_null(run_pool(r));
	run_leave(&c);
	run_set_path(r, "passthrough");
	assert_true(shows("a", "info", "data: passthrough\n"));

	assert_int_equal(stop("a", &e), 0);
	assert_true(run_dead(r));
	assert_int_equal(run_enter(r, &c, "look", &e), -ESTALE);
	assert_int_equal(start("a", &e), 0);
	struct run *second = cpool_run(cp);

	assert_true(second != r);
	assert_int_equal(run_serial(second), serial);
	run_put(second);
	run_put(r);
	cpool_put(cp);
}

static void test_holder(void **state)
{
	struct holder h, h2;
	struct cpool *cp;
	struct run *r;
	struct call c;
	struct err e;
	char pid[32];

	(void)state;
	make_dir("data");
	make_file("data/v", 8192);
	assert_int_equal(define("a", "data", &e), 0);
	assert_int_equal(start("a", &e), 0);
	cp = cpool_find("a");
	r = cpool_run(cp);
	run_opened(r, &h, "other", 0);
	run_opened(r, &h2, "v", getpid());
	assert_true(run_is_open(r, "v"));
	assert_int_equal(stop("a", &e), -EBUSY);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	assert_non_null(strstr(e.text, "'v'"));
	assert_non_null(strstr(e.text, pid));
	assert_non_null(strstr(e.text, "1 more"));
	assert_int_equal(state_of("a"), POOL_ACTIVE);
	assert_true(shows("a", "error", "'v'"));

	assert_int_equal(verb("a", "resize v 4096 shrink", &e), -EBUSY);
	assert_int_equal(verb("a", "resize v 1M", &e), 0);
	assert_int_equal(verb("a", "wipe v zero", &e), -EBUSY);
	run_renamed(r, &h2, "w");
	assert_false(run_is_open(r, "v"));
	run_closed(r, &h2);
	run_closed(r, &h);

	assert_int_equal(run_enter_long(r, &c, "clone", &e), 0);
	assert_int_equal(stop("a", &e), -EBUSY);
	assert_non_null(strstr(e.text, "'clone'"));
	run_leave(&c);
	assert_int_equal(stop("a", &e), 0);
	run_put(r);
	cpool_put(cp);
}

static void test_verbs(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(define("a", "data", &e), 0);
	assert_int_equal(verb("a", "build", &e), 0);
	assert_true(exists("data"));
	assert_int_equal(verb("a", "start", &e), 0);
	make_file("data/v 1", 8192);
	assert_int_equal(verb("a", "refresh", &e), 0);
	assert_int_equal(verb("a", "clone \"v 1\" w", &e), 0);
	assert_true(exists("data/w"));
	assert_int_equal(verb("a", "clone \"v 1\" w", &e), -EEXIST);
	assert_int_equal(verb("a", "clone x y", &e), -ENOENT);
	assert_non_null(strstr(e.text, "'x'"));
	assert_int_equal(verb("a", "resize x 1M", &e), -ENOENT);
	assert_int_equal(verb("a", "wipe x zero", &e), -ENOENT);
	assert_int_equal(verb("a", "resize w 1M", &e), 0);
	assert_int_equal(verb("a", "resize w 512 shrink", &e), 0);
	assert_int_equal(verb("a", "wipe w zero", &e), 0);
	assert_int_equal(verb("a", "wipe w random", &e), 0);
	assert_int_equal(verb("a", "stop", &e), 0);
	assert_int_equal(verb("a", "delete 00000000-0000-4000-8000-000000000000", &e), -EINVAL);
	assert_true(exists("data/w"));
}

/* ---- definitions ------------------------------------------------------------------- */

static void test_duplicates(void **state)
{
	_cleanup_free_ char *data = path_of("data"), *odd = path_of("//data//");
	_cleanup_free_ char *link = path_of("link"), *inside = path_of("mount/deep/er");
	_cleanup_free_ char *mount = path_of("mount"), *into = path_of("into");
	_cleanup_free_ char *sneaky = path_of("into/deep");
	const char *uuid = "<uuid>11111111-2222-4333-8444-555555555555</uuid>";
	const char *other = "<uuid>21111111-2222-4333-8444-555555555555</uuid>";
	struct err e;

	(void)state;
	make_dir("data");
	assert_int_equal(symlink(data, link), 0);
	assert_int_equal(symlink(mount, into), 0);
	assert_int_equal(define_at("a", uuid, data, &e), 0);
	assert_int_equal(define_at("a", "", data, &e), 0);
	assert_true(shows("a", "info", "uuid: 11111111-2222-4333-8444-555555555555\n"));
	assert_int_equal(define_at("a", uuid, data, &e), 0);
	assert_int_equal(define_at("a", other, data, &e), -EEXIST);
	assert_int_equal(define_at("b", uuid, "/nowhere/b", &e), -EEXIST);
	assert_int_equal(define_at("b", "", data, &e), -EEXIST);
	assert_non_null(strstr(e.text, "pool 'a' already uses this directory"));
	assert_int_equal(define_at("b", "", odd, &e), -EEXIST);
	assert_int_equal(define_at("b", "", link, &e), -EEXIST);
	assert_int_equal(define_at("b", "", mount, &e), -EINVAL);
	assert_int_equal(define_at("b", "", inside, &e), -EINVAL);
	assert_non_null(strstr(e.text, "inside the mount"));
	assert_int_equal(define_at("b", "", into, &e), -EINVAL);
	assert_int_equal(define_at("b", "", sneaky, &e), -EINVAL);
	assert_null(cpool_find("b"));

	/* another directory that got the inode of one that is gone */
	assert_int_equal(rmdir(data), 0);
	make_dir("data2");
	assert_int_equal(define("b", "data2", &e), 0);
	assert_int_equal(define_at("..", "", "/x", &e), -EINVAL);
	assert_int_equal(cpool_define("c", "<pool", 5, &e), -EINVAL);
	assert_null(cpool_find("c"));

	/* a link into the mount, made after the definition */
	assert_int_equal(define("c", "later", &e), 0);
	_cleanup_free_ char *later = path_of("later");

	assert_int_equal(symlink(inside, later), 0);
	assert_int_equal(start("c", &e), -EINVAL);
	/* and one to the directory of a pool that runs */
	assert_int_equal(start("b", &e), 0);
	assert_int_equal(unlink(later), 0);
	assert_int_equal(symlink("data2", later), 0);
	assert_int_equal(start("c", &e), -EBUSY);
	assert_non_null(strstr(e.text, "'b'"));
}

static void test_redefine(void **state)
{
	struct err e;

	(void)state;
	make_dir("data");
	make_dir("data2");
	assert_int_equal(define("a", "data", &e), 0);
	assert_int_equal(start("a", &e), 0);
	assert_int_equal(define("a", "data2", &e), 0);
	assert_true(shows("a", "info", "pending: yes\n"));
	assert_true(shows("a", "info", "/data\n"));
	assert_int_equal(define("b", "data", &e), -EEXIST);
	assert_int_equal(define("b", "data2", &e), -EEXIST);
	assert_int_equal(stop("a", &e), 0);
	assert_true(shows("a", "info", "pending: no\n"));
	assert_true(shows("a", "info", "/data2\n"));
	assert_int_equal(define("b", "data", &e), 0);
	assert_int_equal(start("a", &e), 0);
}

static void test_rename(void **state)
{
	struct cpool *old;
	struct err e;
	char uuid[37];
	struct buf b = {0};

	(void)state;
	make_dir("data");
	assert_int_equal(define("a", "data", &e), 0);
	assert_int_equal(define("c", "data2", &e), 0);
	assert_int_equal(cpool_set_autostart("a", true, &e), 0);
	assert_int_equal(cpool_set_autostart("nobody", true, &e), -ENOENT);
	old = cpool_find("a");
	cpool_xml(old, &b);
	memcpy(uuid, strstr(b.data, "<uuid>") + 6, 36);
	uuid[36] = 0;
	buf_release(&b);
	assert_int_equal(cpool_rename("a", "c", &e), -EEXIST);
	assert_int_equal(cpool_rename("nobody", "d", &e), -ENOENT);
	assert_int_equal(cpool_rename("a", "control", &e), -EINVAL);
	assert_int_equal(cpool_rename("a", "b", &e), 0);
	assert_null(cpool_find("a"));
	assert_int_equal(cpool_start(old, &e), -ENOENT);
	cpool_put(old);
	assert_true(shows("b", "info", uuid));
	assert_true(shows("b", "info", "autostart: yes\n"));
	assert_int_equal(start("b", &e), 0);

	control_end();
	daemon_begin();
	assert_null(cpool_find("a"));
	assert_true(shows("b", "info", uuid));
	assert_true(shows("b", "info", "autostart: yes\n"));
	assert_true(shows("b", "info", "name: b\n"));
}

static void count_one(void *arg, struct cpool *cp)
{
	char *last = arg;

	assert_true(strcmp(last, cpool_name(cp)) < 0);
	snprintf(last, 64, "%s", cpool_name(cp));
}

static void test_sorted(void **state)
{
	char last[64] = "", name[16], dir[24];
	struct err e;

	(void)state;
	for (int i = 0; i < 60; i++) {
		snprintf(name, sizeof(name), "p%d", i * 37 % 60);
		snprintf(dir, sizeof(dir), "d-%s", name);
		assert_int_equal(define(name, dir, &e), 0);
	}
	cpool_each(count_one, last);
	assert_string_equal(last, "p9");
}

/* ---- a driver that fails or hangs ----------------------------------------------------- */

static void *start_thread(void *arg)
{
	struct err e;

	return (void *)(intptr_t)start(arg, &e);
}

static void *stop_thread(void *arg)
{
	struct err e;

	return (void *)(intptr_t)stop(arg, &e);
}

static void *enter_thread(void *arg)
{
	struct cpool *cp = cpool_find(arg);
	struct run *r = cpool_run(cp);
	struct err e = {0};
	struct call c;
	int rc = -ENXIO;

	if (r) {
		rc = run_enter(r, &c, "look", &e);
		if (!rc)
			run_leave(&c);
	}
	run_put(r);
	cpool_put(cp);
	return (void *)(intptr_t)rc;
}

static int result(pthread_t t)
{
	void *rc;

	assert_int_equal(pthread_join(t, &rc), 0);
	return (int)(intptr_t)rc;
}

static pthread_t spawn(void *(*f)(void *), const char *name)
{
	pthread_t t;

	assert_int_equal(pthread_create(&t, NULL, f, (void *)name), 0);
	return t;
}

static void test_hang(void **state)
{
	pthread_t starter, waiter, stopper;
	uint64_t began;
	struct err e;

	(void)state;
	make_dir("data");
	make_dir("data2");
	assert_int_equal(define("a", "data", &e), 0);
	assert_int_equal(define("b", "data2", &e), 0);

	/* a start that hangs is felt by nobody else */
	fault("a start 1 hang");
	starter = spawn(start_thread, "a");
	assert_true(wait_state("a", POOL_STARTING, 2000));
	waiter = spawn(enter_thread, "a");
	began = now_ms();
	assert_int_equal(start("a", &e), -EBUSY);
	assert_int_equal(stop("a", &e), -EBUSY);
	assert_int_equal(cpool_undefine("a", &e), -EBUSY);
	assert_true(shows("a", "info", "state: starting\n"));
	assert_int_equal(start("b", &e), 0);
	assert_int_equal(define("a", "data3", &e), 0);
	assert_int_equal(stop("b", &e), 0);
	assert_in_range(now_ms() - began, 0, 1500);
	fault("clear");
	assert_int_equal(result(starter), 0);
	assert_int_equal(result(waiter), 0);

	/* a stop that fails leaves it running */
	fault("a stop 1 fail EIO");
	assert_int_equal(stop("a", &e), -EIO);
	assert_int_equal(state_of("a"), POOL_ACTIVE);
	assert_true(shows("a", "error", e.text));
	fault("clear");

	/* those who come while it stops wait for the end */
	fault("a stop 1 hang");
	stopper = spawn(stop_thread, "a");
	assert_true(wait_state("a", POOL_STOPPING, 2000));
	waiter = spawn(enter_thread, "a");
	usleep(50000);
	fault("clear");
	assert_int_equal(result(stopper), 0);
	assert_int_equal(result(waiter), -ESTALE);

	/* those who wait for a start get its errno */
	assert_int_equal(define("a", "data", &e), 0);
	fault("a start 1 delay 300");
	fault("a start 2 fail EACCES");
	assert_int_equal(start("a", &e), 0);
	assert_int_equal(stop("a", &e), 0);
	assert_int_equal(start("a", &e), -EACCES);
	assert_int_equal(state_of("a"), POOL_FAILED);
	fault("clear");
	assert_int_equal(start("a", &e), 0);
}

/* Everything at once: whatever each call answers, all must end, and well. */
static void *together_thread(void *arg)
{
	static const char *const names[] = { "a", "b", "c" };
	unsigned seed = (unsigned)(intptr_t)arg;
	struct buf b = {0};

	for (int i = 0; i < 150; i++) {
		const char *name = names[rand_r(&seed) % 3];
		struct cpool *cp = cpool_find(name);
		struct err e = {0};
		struct run *r = NULL;
		struct holder h;
		struct call c;

		switch (rand_r(&seed) % 7) {
		case 0:
			define(name, name, &e);
			break;
		case 1:
			cpool_undefine(name, &e);
			break;
		case 2:
			if (cp)
				cpool_stop(cp, &e);
			break;
		case 3:
			if (cp && (r = cpool_run(cp)) && !run_enter(r, &c, "look", &e)) {
				run_opened(r, &h, "v", getpid());
				run_closed(r, &h);
				run_leave(&c);
			}
			break;
		case 4:
			if (cp)
				cfile_find(CDIR_POOL, "info")->show(cp, NULL, &b);
			break;
		case 5:
			cpool_set_autostart(name, i & 1, &e);
			break;
		default:
			if (cp)
				cpool_start(cp, &e);
		}
		run_put(r);
		cpool_put(cp);
	}
	buf_release(&b);
	return NULL;
}

static void test_together(void **state)
{
	pthread_t t[6];
	struct err e;

	(void)state;
	make_dir("a");
	make_dir("b");
	make_dir("c");
	for (intptr_t i = 0; i < 6; i++)
		t[i] = spawn(together_thread, (const char *)(i + 1));
	for (int i = 0; i < 6; i++)
		result(t[i]);
	define("a", "a", &e);
	if (state_of("a") != POOL_ACTIVE)
		assert_int_equal(start("a", &e), 0);
	assert_int_equal(stop("a", &e), 0);
}

static void test_usage_hang(void **state)
{
	struct pool_usage u;
	struct cpool *cp;
	struct run *r;
	uint64_t began;
	struct err e;

	(void)state;
	make_dir("data");
	assert_int_equal(define("a", "data", &e), 0);
	assert_int_equal(start("a", &e), 0);
	cp = cpool_find("a");
	r = cpool_run(cp);
	fault("a usage 1 hang");
	began = now_ms();
	assert_false(run_usage(r, 100, &u));
	assert_in_range(now_ms() - began, 90, 600);
	usleep(1100000);
	began = now_ms();
	for (int i = 0; i < 100; i++)
		run_usage(r, 100, &u);
	assert_true(shows("a", "info", "capacity: unknown\n"));
	assert_in_range(now_ms() - began, 0, 90);
	assert_false(run_stalled(r));
	usleep(4200000);
	assert_true(run_stalled(r));
	assert_true(shows("a", "info", "state: stalled\n"));
	fault("clear");
	for (int i = 0; i < 400 && !run_usage(r, 100, &u); i++)
		usleep(5000);
	assert_true(run_usage(r, 2000, &u));
	assert_true(shows("a", "info", "state: active\n"));

	/* a stop waits for it until it counts as hung, and no longer */
	fault("a list 1 hang");
	assert_true(shows("a", "info", "state: active\n"));
	began = now_ms();
	assert_int_equal(stop("a", &e), 0);
	assert_in_range(now_ms() - began, 8000, 11000);
	assert_int_equal(state_of("a"), POOL_INACTIVE);
	assert_int_equal(start("a", &e), 0);
	run_put(r);
	cpool_put(cp);
}

/* ---- the next daemon --------------------------------------------------------------------- */

static void test_takeover(void **state)
{
	_cleanup_free_ char *gone = path_of("source/gone.xml");
	_cleanup_free_ char *data = path_of("data-ran"), *aside = path_of("aside");
	struct cpool *cp;
	struct err e;

	(void)state;
	make_dir("data-ran");
	make_dir("data-off");
	make_dir("data-gone");
	assert_int_equal(define("ran", "data-ran", &e), 0);
	assert_int_equal(define("off", "data-off", &e), 0);
	assert_int_equal(define("gone", "data-gone", &e), 0);
	assert_int_equal(define("auto", "data-auto", &e), 0);
	assert_int_equal(cpool_set_autostart("off", true, &e), 0);
	assert_int_equal(cpool_set_autostart("auto", true, &e), 0);
	assert_int_equal(start("ran", &e), 0);
	assert_int_equal(start("off", &e), 0);
	assert_int_equal(start("gone", &e), 0);
	assert_int_equal(stop("off", &e), 0);
	assert_int_equal(define("ran", "data-new", &e), 0);

	control_end();
	assert_int_equal(unlink(gone), 0);
	assert_int_equal(rename(data, aside), 0);
	daemon_begin();
	assert_int_equal(state_of("ran"), POOL_INACTIVE);
	fault("* start 1 delay 200");
	control_begin();
	assert_int_equal(state_of("ran"), POOL_STARTING);
	assert_int_equal(state_of("gone"), POOL_STARTING);
	assert_true(wait_state("gone", POOL_ACTIVE, 3000));
	assert_true(wait_state("ran", POOL_FAILED, 3000));
	assert_int_equal(state_of("off"), POOL_INACTIVE);
	assert_true(shows("gone", "info", "persistent: no\n"));
	assert_int_equal(cpool_set_autostart("gone", true, &e), -EINVAL);

	/* what failed is tried again; by now its new definition counts */
	make_dir("data-new");
	make_dir("data-auto");
	assert_true(wait_state("ran", POOL_ACTIVE, 8000));
	assert_true(wait_state("auto", POOL_ACTIVE, 8000));
	assert_true(shows("ran", "info", "pending: no\n"));
	assert_int_equal(stop("gone", &e), 0);
	assert_null(cpool_find("gone"));

	/* one that cannot be taken over can be given up */
	control_end();
	_cleanup_free_ char *data_new = path_of("data-new");

	assert_int_equal(rmdir(data_new), 0);
	daemon_begin();
	control_begin();
	assert_true(wait_state("ran", POOL_FAILED, 3000));
	assert_true(wait_state("auto", POOL_ACTIVE, 3000));
	assert_int_equal(stop("ran", &e), 0);
	assert_int_equal(stop("ran", &e), -ENOENT);
	make_dir("data-new");
	usleep(1300000);
	assert_int_equal(state_of("ran"), POOL_INACTIVE);

	/* clearing autostart ends the tries, and so does a start by hand */
	assert_int_equal(define("late", "data-late", &e), 0);
	assert_int_equal(define("hand", "data-hand", &e), 0);
	assert_int_equal(cpool_set_autostart("late", true, &e), 0);
	assert_int_equal(cpool_set_autostart("hand", true, &e), 0);
	control_end();
	daemon_begin();
	control_begin();
	assert_true(wait_state("late", POOL_FAILED, 3000));
	assert_true(wait_state("hand", POOL_FAILED, 3000));
	assert_int_equal(state_of("off"), POOL_INACTIVE);
	assert_int_equal(cpool_set_autostart("late", false, &e), 0);
	assert_true(start("hand", &e) < 0);
	make_dir("data-late");
	make_dir("data-hand");
	usleep(1300000);
	assert_int_equal(state_of("late"), POOL_FAILED);
	assert_int_equal(state_of("hand"), POOL_FAILED);
	cp = cpool_find("off");
	assert_true(cpool_autostart(cp));
	cpool_put(cp);
}

static void test_end_bounded(void **state)
{
	uint64_t began;
	pthread_t t;
	struct err e;

	(void)state;
	make_dir("data");
	assert_int_equal(define("a", "data", &e), 0);
	fault("a start 1 hang");
	t = spawn(start_thread, "a");
	assert_true(wait_state("a", POOL_STARTING, 2000));
	began = now_ms();
	control_end();
	assert_in_range(now_ms() - began, 1500, 3500);
	fault("clear");
	assert_int_equal(result(t), 0);
	/* quiet now: the lock on SOURCE can be given back */
	control_end();
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_start_stop),
		TEST(test_run),
		TEST(test_holder),
		TEST(test_verbs),
		TEST(test_duplicates),
		TEST(test_redefine),
		TEST(test_rename),
		TEST(test_sorted),
		TEST(test_hang),
		TEST(test_together),
		TEST(test_usage_hang),
		TEST(test_takeover),
		TEST(test_end_bounded),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
