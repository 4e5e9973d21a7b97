/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bench-io.c - how fast several files can be read or overwritten, by turns.
 *
 * Called by tests/bench/run, which makes the files. Each round runs a short
 * slice on every file one after the other, so that whatever else the machine
 * does hits all of them alike; the table of rounds goes to stdout, a line a
 * round, a figure (operations in a second) a file. Depth: threads with one
 * call each for buffered I/O, the kernel's native AIO for O_DIRECT, which is
 * what QEMU does. It judges nothing, and changes no file's size.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { DEPTH_MAX = 64 };

static bool writes, scattered, direct;
static unsigned depth = 1, slice_ms = 100;
static size_t block = 4096;
static char *buffers[DEPTH_MAX];

/* one slice */
static int fd;
static uint64_t blocks;                 /* in the file */
static uint64_t first;                  /* sequential: where to begin */
static atomic_uint_fast64_t issued, ended;
static uint64_t stop_at;

static void fail(const char *what)
{
	fprintf(stderr, "bench-io: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/* Made and touched before the first slice. */
static void buffers_make(void)
{
	for (unsigned i = 0; i < depth; i++) {
		if (posix_memalign((void **)&buffers[i], 4096, block))
			abort();
		memset(buffers[i], 0x5a, block);
	}
}

static uint64_t next_offset(uint64_t *seed)
{
	uint64_t n = atomic_fetch_add_explicit(&issued, 1, memory_order_relaxed);

	if (!scattered)
		return (first + n) % blocks * block;
	*seed ^= *seed << 13;           /* xorshift */
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed % blocks * block;
}

/* ---- one call after the other ------------------------------------------------- */

static void *caller(void *arg)
{
	char *data = *(char **)arg;
	uint64_t seed = 0x9e3779b97f4a7c15ull * ((uintptr_t)data + now_ns()), n = 0;

	do {
		uint64_t off = next_offset(&seed);
		ssize_t rc = writes ? pwrite(fd, data, block, off) : pread(fd, data, block, off);

		if (rc != (ssize_t)block)
			fail(writes ? "write" : "read");
		n++;
	} while (now_ns() < stop_at);
	atomic_fetch_add(&ended, n);
	return NULL;
}

static void by_threads(void)
{
	pthread_t t[DEPTH_MAX];

	if (depth == 1) {
		caller(&buffers[0]);
		return;
	}
	for (unsigned i = 0; i < depth; i++)
		if (pthread_create(&t[i], NULL, caller, &buffers[i]))
			fail("thread");
	for (unsigned i = 0; i < depth; i++)
		pthread_join(t[i], NULL);
}

/* ---- many at once, one thread --------------------------------------------------- */

static void by_aio(void)
{
	static struct iocb cb[DEPTH_MAX];
	struct io_event ev[DEPTH_MAX];
	struct iocb *todo[DEPTH_MAX];
	uint64_t seed = 0x9e3779b97f4a7c15ull * now_ns();
	aio_context_t ctx = 0;
	unsigned flying = 0, n = depth;

	if (syscall(SYS_io_setup, DEPTH_MAX, &ctx))
		fail("io_setup");
	for (unsigned i = 0; i < depth; i++) {
		cb[i] = (struct iocb){
			.aio_fildes = fd,
			.aio_lio_opcode = writes ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD,
			.aio_buf = (uintptr_t)buffers[i],
			.aio_nbytes = block,
		};
		todo[i] = &cb[i];
	}
	do {
		for (unsigned i = 0; i < n; i++)
			todo[i]->aio_offset = next_offset(&seed);
		for (unsigned done = 0; done < n; ) {
			long rc = syscall(SYS_io_submit, ctx, n - done, todo + done);

			if (rc < 0)
				fail("io_submit");
			done += rc;
		}
		flying += n;
		n = 0;
		while (flying && (!n || now_ns() >= stop_at)) {
			long rc = syscall(SYS_io_getevents, ctx, 1, DEPTH_MAX - n, ev, NULL);

			for (long i = 0; i < rc; i++) {
				if (ev[i].res != (int64_t)block) {
					errno = ev[i].res < 0 ? -ev[i].res : EIO;
					fail("aio");
				}
				todo[n++] = (struct iocb *)(uintptr_t)ev[i].obj;
			}
			flying -= rc > 0 ? rc : 0;
			atomic_fetch_add(&ended, rc > 0 ? rc : 0);
		}
	} while (now_ns() < stop_at);
	syscall(SYS_io_destroy, ctx);
}

/* ---- slices ------------------------------------------------------------------------ */

/* drop: the mount's own pages, or reads would come from the page cache, where
 * every file system is as fast as the next. Pages below the mount stay. */
static double slice(const char *path, bool drop, uint64_t *at)
{
	struct stat st;
	uint64_t begin;

	fd = open(path, (writes ? O_RDWR : O_RDONLY) | (direct ? O_DIRECT : 0) | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		fail(path);
	blocks = st.st_size / block;
	if (drop)
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	first = *at;
	issued = ended = 0;
	begin = now_ns();
	stop_at = begin + slice_ms * 1000000ull;
	if (direct && depth > 1)
		by_aio();
	else
		by_threads();
	begin = now_ns() - begin;
	*at = (first + issued) % blocks;
	close(fd);
	return ended * 1e9 / begin;
}

int main(int argc, char **argv)
{
	unsigned rounds = 5, files;
	uint64_t at[16] = { 0 };
	double got[16];
	int c;

	while ((c = getopt(argc, argv, "b:wRDq:t:n:")) != -1) {
		switch (c) {
		case 'b': block = strtoul(optarg, NULL, 10); break;
		case 'w': writes = true; break;
		case 'R': scattered = true; break;
		case 'D': direct = true; break;
		case 'q': depth = strtoul(optarg, NULL, 10); break;
		case 't': slice_ms = strtoul(optarg, NULL, 10); break;
		case 'n': rounds = strtoul(optarg, NULL, 10); break;
		default: return 2;
		}
	}
	files = argc - optind;
	if (!files || files > 16 || !depth || depth > DEPTH_MAX || block < 512) {
		fprintf(stderr, "usage: bench-io [-b BYTES] [-w] [-R] [-D] [-q DEPTH] [-t MS] "
			"[-n ROUNDS] FILE...\n"
			"-w overwrite, -R random, -D O_DIRECT; the first FILE's pages stay cached\n");
		return 2;
	}
	buffers_make();
	for (unsigned f = 0; f < files; f++)    /* not counted: whatever is only slow once */
		slice(argv[optind + f], false, &at[f]);
	for (unsigned r = 0; r < rounds; r++) {
		/* Another begins each round: no file always follows the same one. */
		for (unsigned i = 0; i < files; i++) {
			unsigned f = (i + r) % files;

			got[f] = slice(argv[optind + f], f && !writes && !direct, &at[f]);
		}
		for (unsigned f = 0; f < files; f++)
			printf("%s%.1f", f ? " " : "", got[f]);
		printf("\n");
	}
	return 0;
}
