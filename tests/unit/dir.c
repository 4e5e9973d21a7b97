/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * dir.c - unit test of the dir driver, through the wrappers, on a directory
 * of its own that also holds what must stay invisible.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../../backends/backend.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

enum { MIB = 1 << 20 };

static char target[2048];
static struct pool_def def = { .type = "dir", .name = "p", .target = target };
static struct pool *pool;
static struct err e;

/* Stands before libc's: plays a file system that knows no flags. */
static bool no_flags, no_links;

int renameat2(int d1, const char *a, int d2, const char *b, unsigned flags)
{
	if (no_flags && flags) {
		errno = EINVAL;
		return -1;
	}
	return (int)syscall(SYS_renameat2, d1, a, d2, b, flags);
}

int linkat(int d1, const char *a, int d2, const char *b, int flags)
{
	if (no_links) {
		errno = EPERM;
		return -1;
	}
	return (int)syscall(SYS_linkat, d1, a, d2, b, flags);
}

static const char *at(const char *name)
{
	static char path[4][4096];
	static int i;

	i = (i + 1) % 4;
	snprintf(path[i], sizeof path[i], "%s/%s", target, name);
	return path[i];
}

static void put(const char *name, const char *text)
{
	int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void assert_content(const char *name, const char *text)
{
	char got[256] = "";
	struct vol *v;
	ssize_t n;

	assert_int_equal(vol_open(pool, name, O_RDONLY, &v, &e), 0);
	n = vol_read(v, got, sizeof got - 1, 0, &e);
	assert_int_equal(n, strlen(text));
	assert_string_equal(got, text);
	assert_int_equal(vol_close(v, &e), 0);
}

static void create(const char *name, uint64_t capacity, struct vol **v)
{
	struct vol_create c = { .capacity = capacity, .mode = 0640, .uid = geteuid(),
				.gid = getegid(), .flags = O_RDWR };

	if (vol_create(pool, name, &c, v, &e) < 0)
		fail_msg("%s", e.text);
}

/* rm -rf of one level; also things that poolfs does not show. */
static void empty(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *de;

	while (dir && (de = readdir(dir)))
		if (strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0 &&
		    unlinkat(dirfd(dir), de->d_name, 0) < 0)
			unlinkat(dirfd(dir), de->d_name, AT_REMOVEDIR);
	if (dir)
		closedir(dir);
}

static int setup(void **state)
{
	const char *dir = getenv("TMPDIR");

	(void)state;
	no_flags = no_links = false;
	snprintf(target, sizeof target, "%s/poolfs-unit-XXXXXX",
		 dir && *dir ? dir : "/var/tmp");
	if (!mkdtemp(target))
		return -1;
	pool = backend_pool_new(backend_find("dir"), &def);
	return pool_start(pool, &e);
}

static int teardown(void **state)
{
	(void)state;
	pool_stop(pool, &e);
	backend_pool_free(pool);
	empty(target);
	rmdir(target);
	return 0;
}

static bool name_add(void *arg, const char *name, uint64_t ino, mode_t type)
{
	struct vol_stat st;

	assert_int_equal(vol_stat(pool, name, &st, &e), 0);
	assert_int_equal(st.st.st_ino, ino);
	assert_int_equal(st.st.st_mode & S_IFMT, type);
	buf_addf(arg, "%s ", name);
	return true;
}

static bool one_only(void *arg, const char *name, uint64_t ino, mode_t type)
{
	(void)name, (void)ino, (void)type;
	++*(int *)arg;
	return false;
}

static int count_names(const char *list)
{
	int n = 0;

	for (; *list; list++)
		n += *list == ' ';
	return n;
}

/* Sub-directory, FIFO, socket or device, and hidden and unfit names. */
static void invisible_made(void)
{
	assert_int_equal(mkdir(at("sub"), 0755), 0);
	assert_int_equal(mkfifo(at("fifo"), 0644), 0);
	if (geteuid() == 0)
		assert_int_equal(mknod(at("dev"), S_IFCHR | 0600, 1 << 8 | 3), 0);
	assert_int_equal(mknod(at("sock"), S_IFSOCK | 0600, 0), 0);
	put(".pool", "x");
	put(".raw", "x");
	put(".poolfs.tmp", "x");
	put("bad\nname", "x");
}

static void what_is_shown(void **state)
{
	static const char *const hidden[] = { "sub", "fifo", "sock", "dev", "nosuch" };
	struct buf b = {0};
	struct vol_stat st;
	char text[16];
	struct vol *v;
	int n = 0;

	(void)state;
	invisible_made();
	put("a", "1");
	put("b c", "2");
	assert_int_equal(symlink("/etc/passwd", at("link")), 0);
	assert_int_equal(chmod(at("a"), 06755), 0);
	assert_int_equal(pool_list(pool, name_add, &b, &e), 0);
	assert_int_equal(count_names(b.data), 4);       /* "b c" has one of its own */
	assert_non_null(strstr(b.data, "link "));
	buf_release(&b);
	assert_int_equal(pool_list(pool, one_only, &n, &e), 0);
	assert_int_equal(n, 1);
	assert_int_equal(vol_stat(pool, "a", &st, &e), 0);
	assert_int_equal(st.st.st_mode, S_IFREG | 0755);
	assert_int_equal(st.st.st_size, 1);
	for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++) {
		struct progress pr = {0};
		struct vol_attr a = { .valid = ATTR_MODE, .mode = 0600 };

		assert_int_equal(vol_stat(pool, hidden[i], &st, &e), -ENOENT);
		assert_string_equal(e.text, "");
		assert_int_equal(vol_open(pool, hidden[i], O_RDONLY, &v, &e), -ENOENT);
		assert_int_equal(vol_open(pool, hidden[i], O_RDWR, &v, &e), -ENOENT);
		assert_int_equal(vol_remove(pool, hidden[i], &e), -ENOENT);
		assert_int_equal(vol_setattr(pool, hidden[i], &a, &e), -ENOENT);
		assert_int_equal(vol_resize(pool, hidden[i], 1, 0, &e), -ENOENT);
		assert_int_equal(vol_rename(pool, hidden[i], "x", 0, &e), -ENOENT);
		assert_int_equal(vol_clone(pool, hidden[i], "x", 0, &pr, &e), -ENOENT);
		assert_int_equal(vol_wipe(pool, hidden[i], WIPE_ZERO, &pr, &e), -ENOENT);
	}
	/* Reserved names do not even reach the driver. */
	assert_int_equal(vol_stat(pool, ".pool", &st, &e), -EINVAL);
	assert_int_equal(vol_stat(pool, "../x", &st, &e), -EINVAL);
	/* A symlink shows, and is not followed. */
	assert_int_equal(vol_stat(pool, "link", &st, &e), 0);
	assert_true(S_ISLNK(st.st.st_mode));
	assert_int_equal(vol_readlink(pool, "link", text, sizeof text, &e), 0);
	assert_string_equal(text, "/etc/passwd");
	assert_int_equal(vol_readlink(pool, "link", text, 11, &e), -ENAMETOOLONG);
	assert_int_equal(vol_readlink(pool, "a", text, sizeof text, &e), -EINVAL);
	assert_int_equal(vol_open(pool, "link", O_RDONLY, &v, &e), -ELOOP);
	assert_int_equal(vol_resize(pool, "link", 0, RESIZE_SHRINK, &e), -ELOOP);
	assert_int_equal(vol_remove(pool, "link", &e), 0);
}

static void creating(void **state)
{
	struct vol_create c = { .capacity = 10ull << 30, .mode = 04604, .uid = geteuid(),
				.gid = getegid(), .flags = O_WRONLY };
	struct vol_stat st;
	mode_t mask = umask(077);
	struct vol *v;

	(void)state;
	assert_int_equal(vol_create(pool, "a", &c, &v, &e), 0);
	umask(mask);
	assert_int_equal(vol_fstat(v, &st, &e), 0);
	assert_int_equal(st.st.st_mode, S_IFREG | 0604);
	assert_int_equal(st.st.st_size, 10ull << 30);
	assert_int_equal(st.st.st_blocks, 0);
	assert_int_equal(v->flags, O_WRONLY);
	assert_true(vol_fd(v) >= 0);
	assert_int_equal(vol_close(v, &e), 0);
	assert_int_equal(vol_create(pool, "a", &c, &v, &e), -EEXIST);
	assert_string_equal(e.text, "");
	assert_null(v);
	assert_int_equal(mkdir(at("sub"), 0755), 0);
	assert_int_equal(vol_create(pool, "sub", &c, NULL, &e), -EEXIST);
	assert_non_null(strstr(e.text, "a directory that is no volume"));
	/* Undone when it cannot be finished. */
	c.capacity = UINT64_MAX;
	assert_int_equal(vol_create(pool, "big", &c, &v, &e), -EFBIG);
	assert_true(e.text[0]);
	assert_int_equal(access(at("big"), F_OK), -1);
	if (geteuid() == 0) {
		c = (struct vol_create){ .mode = 0600, .uid = 1234, .gid = 4321 };
		assert_int_equal(vol_create(pool, "owned", &c, NULL, &e), 0);
		assert_int_equal(vol_stat(pool, "owned", &st, &e), 0);
		assert_int_equal(st.st.st_uid, 1234);
		assert_int_equal(st.st.st_gid, 4321);
		/* A set-group-id directory gives its own group. */
		assert_int_equal(chown(target, 0, 777), 0);
		assert_int_equal(chmod(target, 02755), 0);
		assert_int_equal(vol_create(pool, "grouped", &c, NULL, &e), 0);
		assert_int_equal(vol_stat(pool, "grouped", &st, &e), 0);
		assert_int_equal(st.st.st_gid, 777);
	}
}

static void reading_and_writing(void **state)
{
	char data[64] = "", text[] = "0123456789";
	struct vol *v, *w;
	uint64_t found;

	(void)state;
	create("a", 0, &v);
	assert_int_equal(vol_write(v, text, 10, 1 << 20, &e), 10);
	assert_int_equal(vol_read(v, data, 64, (1 << 20) + 4, &e), 6);
	assert_memory_equal(data, "456789", 6);
	assert_int_equal(vol_read(v, data, 64, 1 << 21, &e), 0);
	assert_int_equal(vol_flush(v, true, &e), 0);
	assert_int_equal(vol_flush(v, false, &e), 0);
	assert_int_equal(vol_seek(v, 0, SEEK_DATA, &found, &e), 0);
	assert_int_equal(found, 1 << 20);
	assert_int_equal(vol_seek(v, 1 << 20, SEEK_HOLE, &found, &e), 0);
	assert_int_equal(found, (1 << 20) + 10);
	assert_int_equal(vol_seek(v, 1 << 22, SEEK_DATA, &found, &e), -ENXIO);
	assert_int_equal(vol_allocate(v, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1 << 20,
				      4096, &e), 0);
	assert_int_equal(vol_read(v, data, 10, 1 << 20, &e), 10);
	assert_memory_equal(data, "\0\0\0\0\0\0\0\0\0\0", 10);
	assert_int_equal(vol_allocate(v, FALLOC_FL_COLLAPSE_RANGE, 0, 4096, &e), -EOPNOTSUPP);
	assert_int_equal(vol_allocate(v, 0, 0, 8192, &e), 0);
	assert_int_equal(vol_truncate(v, 5, &e), 0);
	/* O_APPEND: the offset is not the caller's. */
	assert_int_equal(vol_open(pool, "a", O_WRONLY | O_APPEND | O_DIRECT, &w, &e), 0);
	assert_int_equal(w->flags, O_WRONLY | O_APPEND | O_DIRECT);
	assert_int_equal(vol_write(w, "end", 3, 0, &e), 3);
	assert_int_equal(vol_copy(v, 0, w, 0, 3, &e), -EBADF);
	assert_int_equal(vol_read(w, data, 3, 0, &e), -EBADF);
	assert_int_equal(vol_read(v, data, 64, 0, &e), 8);
	assert_memory_equal(data, "\0\0\0\0\0end", 8);
	assert_int_equal(vol_close(w, &e), 0);
	/* Deleted while open: stays readable. */
	assert_int_equal(vol_remove(pool, "a", &e), 0);
	assert_int_equal(vol_read(v, data, 64, 0, &e), 8);
	assert_int_equal(vol_close(v, &e), 0);
	assert_int_equal(vol_open(pool, "a", O_RDONLY, &v, &e), -ENOENT);
	assert_string_equal(e.text, "");
	put("b", "text");
	assert_int_equal(vol_open(pool, "b", O_RDONLY | O_TRUNC, &v, &e), 0);
	assert_int_equal(vol_close(v, &e), 0);
	assert_content("b", "");
	put("b", "text");
	assert_int_equal(vol_open(pool, "b", O_RDWR | O_TRUNC, &v, &e), 0);
	assert_int_equal(vol_close(v, &e), 0);
	assert_content("b", "");
}

static void copying(void **state)
{
	struct vol *a, *b;
	struct vol_stat st;

	(void)state;
	create("a", 32 * MIB, &a);
	create("b", 0, &b);
	assert_int_equal(vol_write(a, "data", 4, 16 * MIB, &e), 4);
	assert_int_equal(vol_copy(a, 0, b, 0, 100 * MIB, &e), 32 * MIB);
	assert_int_equal(vol_flush(b, false, &e), 0);
	assert_int_equal(vol_fstat(b, &st, &e), 0);
	assert_int_equal(st.st.st_size, 32 * MIB);
	assert_true(st.st.st_blocks < 256);
	assert_int_equal(vol_copy(a, 40 * MIB, b, 0, 1, &e), 0);
	assert_int_equal(vol_close(a, &e), 0);
	assert_int_equal(vol_close(b, &e), 0);
}

static void identity(void **state)
{
	struct vol_stat a, b;
	struct vol *v;

	(void)state;
	create("a", 0, &v);
	assert_int_equal(vol_stat(pool, "a", &a, &e), 0);
	assert_int_equal(vol_fstat(v, &b, &e), 0);
	assert_true(a.id == b.id);
	assert_int_equal(vol_write(v, "x", 1, 0, &e), 1);
	assert_int_equal(chmod(at("a"), 0600), 0);
	assert_int_equal(vol_rename(pool, "a", "b", 0, &e), 0);
	assert_int_equal(vol_stat(pool, "b", &b, &e), 0);
	assert_true(a.id == b.id);
	assert_int_equal(vol_close(v, &e), 0);
	/* ext4 gives the next file the same inode number. */
	assert_int_equal(unlink(at("b")), 0);
	usleep(20000);
	put("b", "y");
	assert_int_equal(vol_stat(pool, "b", &b, &e), 0);
	assert_true(a.id != b.id);
}

static void renaming_as(bool flags_known)
{
	put("a", "A");
	put("b", "B");
	assert_int_equal(mkdir(at("sub"), 0755), 0);
	assert_int_equal(mkfifo(at("fifo"), 0644), 0);
	assert_int_equal(vol_rename(pool, "nosuch", "b", 0, &e), -ENOENT);
	assert_int_equal(vol_rename(pool, "a", "b", RENAME_NOREPLACE, &e), -EEXIST);
	assert_string_equal(e.text, "");
	assert_int_equal(vol_rename(pool, "a", "sub", 0, &e), -EEXIST);
	assert_non_null(strstr(e.text, "a directory that is no volume"));
	assert_int_equal(vol_rename(pool, "a", "fifo", 0, &e), -EEXIST);
	assert_non_null(strstr(e.text, "a FIFO that is no volume"));
	assert_int_equal(vol_rename(pool, "a", "fifo", RENAME_NOREPLACE, &e), -EEXIST);
	assert_int_equal(vol_rename(pool, "a", "fifo", RENAME_EXCHANGE, &e), -EEXIST);
	assert_int_equal(vol_rename(pool, "a", "nosuch", RENAME_EXCHANGE, &e), -ENOENT);
	assert_int_equal(vol_rename(pool, "a", "b", RENAME_WHITEOUT, &e), -EINVAL);
	assert_int_equal(vol_rename(pool, "a", "b", RENAME_EXCHANGE, &e),
			 flags_known ? 0 : -EOPNOTSUPP);
	assert_true(flags_known || e.text[0]);
	assert_content("a", flags_known ? "B" : "A");
	if (flags_known)
		assert_int_equal(vol_rename(pool, "a", "b", RENAME_EXCHANGE, &e), 0);
	assert_int_equal(vol_rename(pool, "a", "c", 0, &e), 0);
	assert_int_equal(vol_rename(pool, "c", "d", RENAME_NOREPLACE, &e), 0);
	assert_content("d", "A");
	assert_int_equal(access(at("c"), F_OK), -1);
	assert_int_equal(vol_rename(pool, "d", "b", 0, &e), 0);
	assert_content("b", "A");
	assert_int_equal(access(at("d"), F_OK), -1);
	assert_int_equal(vol_rename(pool, "b", "b", 0, &e), 0);
	assert_int_equal(symlink("x", at("l")), 0);
	assert_int_equal(vol_rename(pool, "l", "m", 0, &e), 0);
	assert_int_equal(access(at("l"), F_OK), -1);
	empty(target);
}

static void renaming(void **state)
{
	(void)state;
	renaming_as(true);
	no_flags = true;
	renaming_as(false);
	no_links = true;
	renaming_as(false);
}

static void attributes(void **state)
{
	struct vol_attr a = {
		.valid = ATTR_MODE | ATTR_ATIME | ATTR_MTIME, .mode = 06751,
		.atime = { 1000, 5 }, .mtime = { 2000, 6 },
	};
	struct vol_stat st;

	(void)state;
	put("a", "A");
	assert_int_equal(vol_setattr(pool, "a", &a, &e), 0);
	assert_int_equal(vol_stat(pool, "a", &st, &e), 0);
	assert_int_equal(st.st.st_mode, S_IFREG | 0751);
	assert_int_equal(st.st.st_atim.tv_sec, 1000);
	assert_int_equal(st.st.st_mtim.tv_sec, 2000);
	assert_int_equal(st.st.st_mtim.tv_nsec, 6);
	a = (struct vol_attr){ .valid = ATTR_ATIME, .atime = { 0, UTIME_NOW } };
	assert_int_equal(vol_setattr(pool, "a", &a, &e), 0);
	assert_int_equal(vol_stat(pool, "a", &st, &e), 0);
	assert_true(st.st.st_atim.tv_sec > 2000);
	assert_int_equal(st.st.st_mtim.tv_sec, 2000);
	/* The link itself, never what it points to. */
	assert_int_equal(symlink(at("a"), at("l")), 0);
	a = (struct vol_attr){ .valid = ATTR_MTIME, .mtime = { 77, 0 } };
	assert_int_equal(vol_setattr(pool, "l", &a, &e), 0);
	assert_int_equal(vol_stat(pool, "a", &st, &e), 0);
	assert_int_equal(st.st.st_mtim.tv_sec, 2000);
	assert_int_equal(vol_stat(pool, "l", &st, &e), 0);
	assert_int_equal(st.st.st_mtim.tv_sec, 77);
	a = (struct vol_attr){ .valid = ATTR_MODE, .mode = 0 };
	assert_int_equal(vol_setattr(pool, "l", &a, &e), -EOPNOTSUPP);
	assert_int_equal(vol_stat(pool, "a", &st, &e), 0);
	assert_int_equal(st.st.st_mode, S_IFREG | 0751);
}

static int qemu_lock(const char *name)
{
	struct flock lk = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 101,
			    .l_len = 1 };
	int fd = open(at(name), O_RDWR | O_CLOEXEC);

	assert_int_equal(fcntl(fd, F_OFD_SETLK, &lk), 0);
	return fd;
}

static void resizing_and_locks(void **state)
{
	struct progress pr = {0};
	struct vol *v;
	int fd;

	(void)state;
	create("a", 100, &v);
	put("b", "B");
	assert_int_equal(vol_resize(pool, "a", 5 * MIB, 0, &e), 0);
	assert_int_equal(vol_resize(pool, "a", 100, 0, &e), -EPERM);
	assert_non_null(strstr(e.text, "shrink"));
	assert_int_equal(vol_resize(pool, "a", 100, RESIZE_SHRINK, &e), 0);
	fd = qemu_lock("a");
	assert_int_equal(vol_resize(pool, "a", 50, RESIZE_SHRINK, &e), -EBUSY);
	assert_true(e.text[0]);
	assert_int_equal(vol_resize(pool, "a", 200, 0, &e), 0);
	assert_int_equal(vol_truncate(v, 100, &e), -EBUSY);
	assert_int_equal(vol_remove(pool, "a", &e), -EBUSY);
	assert_int_equal(vol_rename(pool, "b", "a", 0, &e), -EBUSY);
	assert_int_equal(vol_wipe(pool, "a", WIPE_ZERO, &pr, &e), -EBUSY);
	assert_int_equal(vol_rename(pool, "a", "c", 0, &e), 0);
	assert_int_equal(vol_rename(pool, "c", "a", 0, &e), 0);
	close(fd);
	/* Locks of the handle itself are no obstacle to it. */
	fd = vol_fd(v);
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &(struct flock){ .l_type = F_RDLCK,
			       .l_start = 100, .l_len = 1 }), 0);
	assert_int_equal(vol_truncate(v, 10, &e), 0);
	assert_int_equal(vol_remove(pool, "a", &e), -EBUSY);
	assert_int_equal(vol_close(v, &e), 0);
	assert_int_equal(vol_remove(pool, "a", &e), 0);
}

static int hidden_left(void)
{
	DIR *dir = opendir(target);
	struct dirent *de;
	int n = 0;

	while ((de = readdir(dir)))
		n += strncmp(de->d_name, ".poolfs.", 8) == 0;
	closedir(dir);
	return n;
}

static void *cancel_main(void *arg)
{
	struct progress *pr = arg;

	while (pr->done == 0 && !pr->cancel)
		usleep(100);
	pr->cancel = true;
	return NULL;
}

static void cloning(void **state)
{
	struct progress pr = {0};
	struct vol_stat a, b;
	struct vol *v;
	pthread_t t;
	char *block = malloc(MIB);
	int rc;

	(void)state;
	create("a", 50 * MIB, &v);
	assert_int_equal(vol_write(v, "data", 4, 10 * MIB, &e), 4);
	assert_int_equal(chmod(at("a"), 0604), 0);
	assert_int_equal(vol_clone(pool, "a", "b", 0, &pr, &e), 0);
	assert_int_equal(pr.done, 50 * MIB);
	assert_int_equal(pr.total, 50 * MIB);
	assert_int_equal(vol_stat(pool, "a", &a, &e), 0);
	assert_int_equal(vol_stat(pool, "b", &b, &e), 0);
	assert_int_equal(b.st.st_size, 50 * MIB);
	assert_int_equal(b.st.st_mode, S_IFREG | 0604);
	assert_true(b.st.st_blocks < 256);
	assert_true(a.id != b.id);
	assert_int_equal(vol_clone(pool, "a", "b", 0, &pr, &e), -EEXIST);
	assert_int_equal(vol_clone(pool, "a", "c", CLONE_LINKED, &pr, &e), -EOPNOTSUPP);
	assert_non_null(strstr(e.text, "linked"));
	assert_int_equal(mkdir(at("sub"), 0755), 0);
	assert_int_equal(vol_clone(pool, "a", "sub", 0, &pr, &e), -EEXIST);
	assert_non_null(strstr(e.text, "a directory"));
	pr = (struct progress){ .cancel = true };
	assert_int_equal(vol_clone(pool, "a", "c", 0, &pr, &e), -ECANCELED);
	/* In the middle. */
	memset(block, 'x', MIB);
	for (int i = 0; i < 200; i++)
		assert_int_equal(vol_write(v, block, MIB, (uint64_t)i * MIB, &e), MIB);
	pr = (struct progress){0};
	assert_int_equal(pthread_create(&t, NULL, cancel_main, &pr), 0);
	rc = vol_clone(pool, "a", "c", 0, &pr, &e);
	pr.cancel = true;
	pthread_join(t, NULL);
	/* Sharing blocks it is done before one can cancel. */
	if (rc != 0) {
		assert_int_equal(rc, -ECANCELED);
		assert_int_equal(vol_stat(pool, "c", &b, &e), -ENOENT);
	}
	assert_int_equal(hidden_left(), 0);
	assert_int_equal(vol_close(v, &e), 0);
	free(block);
}

static void leftovers(void **state)
{
	struct pool *p = backend_pool_new(backend_find("dir"), &def);
	struct progress pr = {0};
	int fd;

	(void)state;
	put(".poolfs.clone-abc", "x");
	put(".poolfs.gone-abc", "x");
	put(".poolfs.clone-def", "x");
	put(".poolfs.other", "x");
	put("poolfs.clone-x", "x");
	fd = open(at(".poolfs.clone-def"), O_RDWR);
	assert_int_equal(flock(fd, LOCK_EX), 0);        /* a clone under way */
	assert_int_equal(pool_start(p, &e), 0);
	assert_int_equal(pool_tidy(p, &pr, &e), 0);
	assert_int_equal(hidden_left(), 2);
	assert_int_equal(access(at(".poolfs.gone-abc"), F_OK), -1);
	assert_int_equal(access(at(".poolfs.clone-abc"), F_OK), -1);
	assert_int_equal(access(at("poolfs.clone-x"), F_OK), 0);
	close(fd);
	backend_pool_free(p);
}

static void wiping(void **state)
{
	struct progress pr = {0};
	struct vol_stat st;
	char *data = malloc(4 * MIB);
	struct vol *v;
	bool zero = true;

	(void)state;
	create("a", 64 * MIB + 100, &v);
	memset(data, 's', 4 * MIB);
	assert_int_equal(vol_write(v, data, 3 * MIB + 11, 5 * MIB, &e), 3 * MIB + 11);
	assert_int_equal(vol_write(v, "tail", 4, 64 * MIB + 96, &e), 4);
	assert_int_equal(vol_wipe(pool, "a", WIPE_RANDOM, &pr, &e), 0);
	assert_int_equal(pr.done, 64 * MIB + 100);
	assert_int_equal(vol_read(v, data, 3 * MIB, 5 * MIB, &e), 3 * MIB);
	for (int i = 0; i < 3 * MIB && zero; i++)
		zero = data[i] == 's';
	assert_false(zero);
	assert_int_equal(vol_wipe(pool, "a", WIPE_ZERO, &pr, &e), 0);
	assert_int_equal(vol_read(v, data, 4 * MIB, 5 * MIB, &e), 4 * MIB);
	for (int i = 0; i < 4 * MIB; i++)
		assert_int_equal(data[i], 0);
	assert_int_equal(vol_fstat(v, &st, &e), 0);
	assert_int_equal(st.st.st_size, 64 * MIB + 100);
	assert_true(st.st.st_blocks >= 3 * MIB / 512);  /* overwritten, not dropped */
	assert_true(st.st.st_blocks <= 4 * MIB / 512);  /* and no hole was filled */
	assert_int_equal(vol_wipe(pool, "a", WIPE_TRIM, &pr, &e), 0);
	assert_int_equal(vol_fstat(v, &st, &e), 0);
	assert_int_equal(st.st.st_size, 64 * MIB + 100);
	assert_int_equal(st.st.st_blocks, 0);
	assert_int_equal(vol_write(v, "x", 1, 0, &e), 1);
	pr = (struct progress){ .cancel = true };
	assert_int_equal(vol_wipe(pool, "a", WIPE_ZERO, &pr, &e), -ECANCELED);
	assert_int_equal(vol_wipe(pool, "a", WIPE_TRIM, &pr, &e), -ECANCELED);
	assert_int_equal(vol_close(v, &e), 0);
	free(data);
}

static void pools(void **state)
{
	struct pool_def d = def;
	char path[4096];
	struct pool_usage u;
	struct stat st;
	struct pool *p;
	bool active;

	(void)state;
	assert_int_equal(pool_usage(pool, &u, &e), 0);
	assert_true(u.capacity > 0 && u.available <= u.capacity - u.allocation);
	assert_true(S_ISDIR(u.dir.st_mode));
	snprintf(path, sizeof path, "%s/x/y/z", target);
	d.target = path;
	p = backend_pool_new(backend_find("dir"), &d);
	assert_int_equal(pool_check(p, &active, &e), 0);
	assert_false(active);
	assert_int_equal(pool_start(p, &e), -ENOENT);
	assert_non_null(strstr(e.text, "build"));
	assert_int_equal(pool_usage(p, &u, &e), -EBADF);        /* not started */
	assert_int_equal(pool_build(p, BUILD_OVERWRITE, &e), -EINVAL);
	assert_int_equal(pool_build(p, BUILD_PLAIN, &e), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0711);
	assert_int_equal(chmod(path, 0700), 0);
	assert_int_equal(pool_build(p, BUILD_PLAIN, &e), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	d.perms = (struct perms){ .mode_set = true, .mode = 0750 };
	assert_int_equal(pool_build(p, BUILD_PLAIN, &e), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0750);
	assert_int_equal(pool_check(p, &active, &e), 0);
	assert_true(active);
	assert_int_equal(pool_start(p, &e), 0);
	assert_int_equal(pool_start(p, &e), 0);
	assert_int_equal(pool_stop(p, &e), 0);
	strcat(path, "/file");
	assert_int_equal(close(open(path, O_CREAT | O_WRONLY, 0600)), 0);
	/* A file is no directory, and parents are undone. */
	strcpy(path + strlen(path), "/q");
	assert_int_equal(pool_build(p, BUILD_PLAIN, &e), -ENOTDIR);
	path[strlen(path) - 2] = '\0';
	assert_int_equal(pool_build(p, BUILD_PLAIN, &e), -ENOTDIR);
	path[strlen(path) - 5] = '\0';
	assert_int_equal(pool_erase(p, &e), -ENOTEMPTY);
	assert_non_null(strstr(e.text, "not empty"));
	empty(path);
	assert_int_equal(pool_erase(p, &e), 0);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(pool_erase(p, &e), 0);
	backend_pool_free(p);
	rmdir(at("x/y"));
	d.target = "relative";
	p = backend_pool_new(backend_find("dir"), &d);
	assert_int_equal(pool_start(p, &e), -EINVAL);
	assert_int_equal(pool_build(p, BUILD_PLAIN, &e), -EINVAL);
	backend_pool_free(p);
}

static void build_undone(void **state)
{
	struct pool_def d = def;
	char path[4096];
	struct pool *p;

	(void)state;
	/* The last name is too long: its new parents go again. */
	snprintf(path, sizeof path, "%s/new/%0300d", target, 1);
	d.target = path;
	p = backend_pool_new(backend_find("dir"), &d);
	assert_int_equal(pool_build(p, BUILD_PLAIN, &e), -ENAMETOOLONG);
	assert_true(e.text[0]);
	assert_int_equal(access(at("new"), F_OK), -1);
	backend_pool_free(p);
}

static void directory_gone(void **state)
{
	struct vol_create c = { .mode = 0600 };
	struct progress pr = {0};
	struct pool_usage u;
	struct vol_stat st;
	struct vol *v;
	int n = 0;

	(void)state;
	create("a", 0, &v);
	empty(target);
	assert_int_equal(rmdir(target), 0);
	assert_int_equal(vol_create(pool, "b", &c, NULL, &e), -ENOENT);
	assert_non_null(strstr(e.text, "has been removed"));
	assert_int_equal(vol_stat(pool, "a", &st, &e), -ENOENT);
	assert_non_null(strstr(e.text, "has been removed"));
	assert_int_equal(pool_list(pool, one_only, &n, &e), -ENOENT);
	assert_int_equal(pool_usage(pool, &u, &e), -ENOENT);
	assert_true(e.text[0]);
	assert_int_equal(vol_rename(pool, "a", "b", 0, &e), -ENOENT);
	assert_int_equal(vol_remove(pool, "a", &e), -ENOENT);
	assert_int_equal(vol_clone(pool, "a", "b", 0, &pr, &e), -ENOENT);
	assert_int_equal(vol_write(v, "x", 1, 0, &e), 1);
	assert_int_equal(vol_close(v, &e), 0);

	/* Made anew: the pool goes on there. */
	assert_int_equal(mkdir(target, 0755), 0);
	assert_int_equal(pool_usage(pool, &u, &e), 0);
	assert_int_equal(vol_create(pool, "b", &c, NULL, &e), 0);
	assert_int_equal(vol_stat(pool, "b", &st, &e), 0);
	assert_int_equal(faccessat(AT_FDCWD, target, F_OK, 0), 0);
	empty(target);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(what_is_shown), T(creating), T(reading_and_writing), T(copying),
		T(identity), T(renaming), T(attributes), T(resizing_and_locks), T(cloning),
		T(leftovers), T(wiping), T(pools), T(build_undone), T(directory_gone),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
