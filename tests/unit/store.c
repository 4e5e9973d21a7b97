/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * store.c - unit tests of control/store.c: whole files or none, no temporary
 * name left, one daemon per SOURCE, links and marks.
 *
 * Started by tests/run; prints TAP. Works in a directory of its own below
 * $TMPDIR or /tmp.
 */
#include "../../control/control.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static char base[256];
static char *source, *run;

static int begin(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	snprintf(base, sizeof base, "%.200s/poolfs-store.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(base))
		return -1;
	source = xasprintf("%s/etc/sub/source", base);
	run = xasprintf("%s/run", base);
	return 0;
}

static int end(void **state)
{
	_cleanup_free_ char *command = xasprintf("rm -rf '%s'", base);

	(void)state;
	free(source);
	free(run);
	return system(command);
}

static struct store *must_open(void)
{
	struct store *s;
	struct err e = {0};

	if (store_open(source, run, &s, &e) < 0)
		fail_msg("%s", e.text);
	return s;
}

static void put(struct store *s, const char *name, const char *text)
{
	struct err e = {0};

	if (store_write(s, STORE_DEFINITION, name, text, strlen(text), &e) < 0)
		fail_msg("%s", e.text);
}

static void check_text(struct store *s, const char *name, const char *text)
{
	struct buf out = {0};
	struct err e = {0};

	if (store_read(s, STORE_DEFINITION, name, &out, &e) < 0)
		fail_msg("%s", e.text);
	assert_string_equal(out.data, text);
	buf_release(&out);
}

/* The files in a directory, sorted or not: only the count and names matter. */
static size_t count_files(const char *dir, const char *part)
{
	DIR *d = opendir(dir);
	struct dirent *f;
	size_t n = 0;

	assert_non_null(d);
	while ((f = readdir(d)))
		n += f->d_name[0] != '.' || f->d_name[1] == 't' ? strstr(f->d_name, part) != NULL : 0;
	closedir(d);
	return n;
}

static void files(void **state)
{
	struct store *s = must_open();
	_cleanup_free_ char *path = xasprintf("%s/a.xml", source);
	struct buf out = {0};
	struct err e = {0};
	struct stat st;

	(void)state;
	assert_string_equal(store_source(s), source);
	assert_int_equal(stat(source, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	put(s, "a", "one");
	put(s, "a", "second");
	check_text(s, "a", "second");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(count_files(source, ""), 1);
	/* the two kinds are apart */
	assert_int_equal(store_read(s, STORE_RUNNING, "a", &out, &e), -ENOENT);
	assert_non_null(strstr(e.text, "a.xml"));
	assert_int_equal(store_write(s, STORE_RUNNING, "a", "r", 1, &e), 0);
	assert_int_equal(store_remove(s, STORE_RUNNING, "a", &e), 0);
	assert_int_equal(store_remove(s, STORE_RUNNING, "a", &e), 0);
	check_text(s, "a", "second");
	/* not a regular file, too large */
	path[strlen(path) - 5] = 'f';
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(store_read(s, STORE_DEFINITION, "f", &out, &e), -EINVAL);
	unlink(path);
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(truncate(path, XML_MAX_BYTES + 1), 0);
	assert_int_equal(store_read(s, STORE_DEFINITION, "f", &out, &e), -EFBIG);
	buf_release(&out);
	unlink(path);
	assert_int_equal(store_remove(s, STORE_DEFINITION, "a", &e), 0);
	store_close(s);
	store_close(NULL);
}

static void lock_conflict(void **state)
{
	struct store *s = must_open(), *second;
	struct err e = {0};

	(void)state;
	assert_int_equal(store_open(source, run, &second, &e), -EBUSY);
	assert_non_null(strstr(e.text, "is in use by another poolfs"));
	assert_null(second);
	store_close(s);
	s = must_open();
	store_close(s);
}

static void add_name(void *arg, const char *name)
{
	buf_addf(arg, "%s|", name);
}

static void each(void **state)
{
	struct store *s = must_open();
	_cleanup_free_ char *dir = xasprintf("%s/dir.xml", source);
	_cleanup_free_ char *note = xasprintf("%s/note.txt", source);
	struct buf out = {0};
	struct err e = {0};

	(void)state;
	put(s, "b", "x");
	put(s, "a b", "x");
	put(s, "c.xml.d", "x");
	put(s, "-bad", "x");
	mkdir(dir, 0700);
	close(open(note, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(store_each(s, STORE_DEFINITION, add_name, &out, &e), 0);
	assert_string_equal(out.data, "a b|b|c.xml.d|");
	buf_release(&out);
	assert_int_equal(store_each(s, STORE_RUNNING, add_name, &out, &e), 0);
	assert_null(out.data);
	rmdir(dir);
	unlink(note);
	for (const char *const *n = (const char *const[]){"b", "a b", "c.xml.d", "-bad", NULL}; *n; n++)
		assert_int_equal(store_remove(s, STORE_DEFINITION, *n, &e), 0);
	store_close(s);
}

static void autostart(void **state)
{
	struct store *s = must_open();
	_cleanup_free_ char *dir = xasprintf("%s/autostart", source);
	_cleanup_free_ char *link = xasprintf("%s/a.xml", dir);
	struct err e = {0};
	char to[64] = "";

	(void)state;
	assert_int_equal(store_set_autostart(s, "a", false, &e), 0);
	assert_false(store_autostart(s, "a"));
	put(s, "a", "x");
	assert_int_equal(store_set_autostart(s, "a", true, &e), 0);
	assert_int_equal(store_set_autostart(s, "a", true, &e), 0);
	assert_true(store_autostart(s, "a"));
	assert_int_equal(readlink(link, to, sizeof to - 1), 8);
	assert_string_equal(to, "../a.xml");
	assert_int_equal(count_files(dir, ""), 1);
	/* libvirt's own links are absolute; another pool's link is none */
	unlink(link);
	assert_int_equal(symlink("/etc/libvirt/storage/a.xml", link), 0);
	assert_true(store_autostart(s, "a"));
	unlink(link);
	assert_int_equal(symlink("../b.xml", link), 0);
	assert_false(store_autostart(s, "a"));
	assert_int_equal(store_set_autostart(s, "a", true, &e), 0);
	assert_true(store_autostart(s, "a"));
	assert_int_equal(store_remove(s, STORE_DEFINITION, "a", &e), 0);
	assert_false(store_autostart(s, "a"));
	assert_int_equal(count_files(dir, ""), 0);
	store_close(s);
}

static void rename_both(void **state)
{
	struct store *s = must_open();
	struct err e = {0};

	(void)state;
	put(s, "a", "of a");
	put(s, "b", "of b");
	assert_int_equal(store_set_autostart(s, "a", true, &e), 0);
	assert_int_equal(store_rename(s, "a", "b", &e), -EEXIST);
	assert_true(store_autostart(s, "a"));
	assert_false(store_autostart(s, "b"));
	check_text(s, "b", "of b");
	assert_int_equal(store_rename(s, "a", "c", &e), 0);
	check_text(s, "c", "of a");
	assert_true(store_autostart(s, "c"));
	assert_false(store_autostart(s, "a"));
	assert_int_equal(store_rename(s, "b", "d", &e), 0);
	assert_false(store_autostart(s, "d"));
	assert_int_equal(store_rename(s, "gone", "x", &e), -ENOENT);
	store_remove(s, STORE_DEFINITION, "c", &e);
	store_remove(s, STORE_DEFINITION, "d", &e);
	store_close(s);
}

static void marks(void **state)
{
	struct store *s = must_open();
	struct err e = {0};

	(void)state;
	assert_false(store_stopped(s, "a"));
	assert_int_equal(store_set_stopped(s, "a", true, &e), 0);
	assert_int_equal(store_set_stopped(s, "a", true, &e), 0);
	assert_true(store_stopped(s, "a"));
	store_close(s);
	s = must_open();
	assert_true(store_stopped(s, "a"));
	assert_int_equal(store_set_stopped(s, "a", false, &e), 0);
	assert_int_equal(store_set_stopped(s, "a", false, &e), 0);
	assert_false(store_stopped(s, "a"));
	store_close(s);
}

/* A writer killed at any moment leaves the old text or the new one. */
static void killed(void **state)
{
	enum { TEXT = 20000 };
	char *a = xmalloc(TEXT + 1), *b = xmalloc(TEXT + 1);
	struct err e = {0};
	struct store *s;

	(void)state;
	memset(a, 'a', TEXT);
	memset(b, 'b', TEXT);
	a[TEXT] = b[TEXT] = '\0';
	for (int i = 0; i < 30; i++) {
		pid_t pid = fork();
		struct buf out = {0};

		assert_true(pid >= 0);
		if (pid == 0) {
			if (store_open(source, run, &s, &e) < 0)
				_exit(1);
			for (;;) {
				store_write(s, STORE_DEFINITION, "k", a, TEXT, &e);
				store_write(s, STORE_DEFINITION, "k", b, TEXT, &e);
			}
		}
		usleep(3000 + (useconds_t)i * 500);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		s = must_open();
		assert_int_equal(count_files(source, ".tmp-"), 0);
		if (store_read(s, STORE_DEFINITION, "k", &out, &e) == 0) {
			assert_int_equal(out.len, TEXT);
			assert_string_equal(out.data, out.data[0] == 'a' ? a : b);
		} else {
			assert_int_equal(e.code, ENOENT);
		}
		buf_release(&out);
		store_close(s);
	}
	s = must_open();
	store_remove(s, STORE_DEFINITION, "k", &e);
	store_close(s);
	free(a);
	free(b);
}

/* Left-overs go, and only they. */
static void sweep(void **state)
{
	struct store *s = must_open();
	_cleanup_free_ char *ours = xasprintf("%s/.tmp-12-3", source);
	_cleanup_free_ char *other = xasprintf("%s/.tmp-note", source);

	(void)state;
	store_close(s);
	close(open(ours, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	close(open(other, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	store_close(must_open());
	assert_int_equal(access(ours, F_OK), -1);
	assert_int_equal(access(other, F_OK), 0);
	unlink(other);
}

static void directories(void **state)
{
	_cleanup_free_ char *file = xasprintf("%s/file", base), *open_run = xasprintf("%s/w", base);
	_cleanup_free_ char *below = xasprintf("%s/file/x", base);
	_cleanup_free_ char *link = xasprintf("%s/link", base);
	struct err e = {0};
	struct store *s;

	(void)state;
	close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(store_open(file, run, &s, &e), -ENOTDIR);
	assert_int_equal(store_open(below, run, &s, &e), -ENOTDIR);
	assert_int_equal(store_open("", run, &s, &e), -ENOENT);
	mkdir(open_run, 0700);
	chmod(open_run, 0777);
	assert_int_equal(store_open(source, open_run, &s, &e), -EPERM);
	assert_non_null(strstr(e.text, "writable by others"));
	/* the same SOURCE by another name is the same store */
	assert_int_equal(symlink(source, link), 0);
	assert_int_equal(store_open(link, run, &s, &e), 0);
	assert_string_equal(store_source(s), source);
	assert_int_equal(count_files(run, "-source"), 1);
	store_close(s);
}

static void read_only(void **state)
{
	struct store *s = must_open();
	struct err e = {0};

	(void)state;
	put(s, "a", "kept");
	store_close(s);
	if (mount(source, source, NULL, MS_BIND, NULL) < 0)
		skip();                         /* not root, or no mounts here */
	if (mount(NULL, source, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) < 0) {
		umount(source);
		skip();
	}
	s = must_open();
	check_text(s, "a", "kept");
	assert_int_equal(store_write(s, STORE_DEFINITION, "a", "new", 3, &e), -EROFS);
	assert_non_null(strstr(e.text, "cannot write in '"));
	assert_int_equal(store_remove(s, STORE_DEFINITION, "a", &e), -EROFS);
	assert_int_equal(store_rename(s, "a", "b", &e), -EROFS);
	assert_int_equal(store_set_autostart(s, "a", true, &e), -EROFS);
	assert_int_equal(store_set_stopped(s, "a", true, &e), 0);
	assert_int_equal(store_set_stopped(s, "a", false, &e), 0);
	check_text(s, "a", "kept");
	store_close(s);
	umount(source);
	s = must_open();
	store_remove(s, STORE_DEFINITION, "a", &e);
	store_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files), cmocka_unit_test(lock_conflict), cmocka_unit_test(each),
		cmocka_unit_test(autostart), cmocka_unit_test(rename_both), cmocka_unit_test(marks),
		cmocka_unit_test(killed), cmocka_unit_test(sweep), cmocka_unit_test(directories),
		cmocka_unit_test(read_only),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("store", tests, begin, end);
}
