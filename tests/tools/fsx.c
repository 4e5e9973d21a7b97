/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fsx.c - random operations on two volumes against shadows in memory.
 *
 *   fsx [-b] [-s SEED] [-n OPS] [-t SECONDS] [-l BYTES] [-r REALDIR] DIR NAME
 *
 * Works on DIR/NAME.a and DIR/NAME.b; REALDIR is the directory behind DIR.
 * -b: volumes that no write extends and that shrink only while nobody has them open.
 * Called by the cases fsx-* and rbd-fsx, and by tests/soak. One seed is one sequence of
 * operations. At the first wrong byte, size or errno it prints where, the last
 * 50 operations and the seed, and exits 1. It never touches other files.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <linux/falloc.h>

enum { MAIN, OTHER, DIRECT, HANDLES };
static const char *const handle_names[] = { "main", "other", "direct", "-" };
enum { PAGE = 4096, HISTORY = 50 };

struct file {
	char *name, *moved;             /* it has the one or the other */
	bool is_moved;
	int fd[HANDLES];
	char *shadow, *map;
	size_t size;
};
static struct file files[2];
static struct file *cur;
static const char *dir, *real_dir;
static size_t limit = 256 << 10;
static char *buf;
static uint64_t seed, state;
static long count;
static bool no_zero, no_punch, block;

static struct past {
	long number;
	const char *op;
	int file, handle;
	size_t off, len, from, size;
} history[HISTORY];
static struct past *now;

/* ---- chance ------------------------------------------------------------------ */

static uint64_t chance(void)            /* splitmix64 */
{
	uint64_t x = state += 0x9e3779b97f4a7c15;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

static size_t below(size_t n)
{
	return n ? chance() % n : 0;
}

/* Often at the edges where things go wrong: pages, requests, the end. */
static size_t some_offset(size_t max)
{
	size_t off = below(max + 1);

	switch (below(6)) {
	case 0:
		off &= ~(size_t)(PAGE - 1);
		break;
	case 1:
		off = cur->size < max ? cur->size : max;
		break;
	case 2:
		off |= PAGE - 1;
		break;
	}
	return off > max ? max : off;
}

static size_t some_length(size_t max)
{
	size_t len;

	switch (below(8)) {
	case 0:
		len = PAGE * (1 + below(4));
		break;
	case 1:
		len = 1 + below(max);
		break;
	case 2:
		len = 1 + below(16);
		break;
	default:
		len = 1 + below(64 << 10);
	}
	return len > max ? max : len;
}

/* ---- saying what is wrong ------------------------------------------------------ */

static void bad(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
static void bad(const char *fmt, ...)
{
	va_list ap;

	printf("MISMATCH at operation %ld (%s), seed %llu: ", count, now ? now->op : "set-up",
	       (unsigned long long)seed);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\nthe last operations:\n");
	for (int i = 1; i <= HISTORY; i++) {
		struct past *p = &history[(count + i) % HISTORY];

		if (p->op)
			printf("%8ld %-9s %c %-6s off 0x%zx len 0x%zx from 0x%zx size 0x%zx\n",
			       p->number, p->op, 'a' + p->file, handle_names[p->handle], p->off,
			       p->len, p->from, p->size);
	}
	printf("again: -s %llu -n %ld -l %zu\n", (unsigned long long)seed, count + 1, limit);
	exit(1);
}

static void note(int handle, size_t off, size_t len, size_t from)
{
	now->handle = handle;
	now->off = off;
	now->len = len;
	now->from = from;
}

static void same(struct file *f, const char *got, size_t off, size_t len, const char *how)
{
	const char *want = f->shadow + off;
	size_t first = 0, last = len, differ = 0;

	if (!memcmp(got, want, len))
		return;
	while (got[first] == want[first])
		first++;
	while (got[last - 1] == want[last - 1])
		last--;
	for (size_t i = first; i < last; i++)
		differ += got[i] != want[i];
	bad("%s of %s (0x%zx bytes at 0x%zx): offset 0x%zx has 0x%02x and not 0x%02x; %zu bytes "
	    "differ up to 0x%zx, the file has 0x%zx", how, f->name, len, off, off + first,
	    got[first] & 255, want[first] & 255, differ, off + last, f->size);
}

static void same_size(struct file *f, int fd, const char *how)
{
	struct stat st;

	if (fstat(fd, &st))
		bad("fstat of %s: %s", f->name, strerror(errno));
	if ((size_t)st.st_size != f->size)
		bad("%s of %s: size 0x%zx and not 0x%zx", how, f->name, (size_t)st.st_size,
		    f->size);
}

/* ---- files ------------------------------------------------------------------------ */

static char *path_of(struct file *f, const char *in)
{
	static char path[2][4096];
	static int turn;

	turn = !turn;
	snprintf(path[turn], sizeof path[0], "%s/%s", in, f->is_moved ? f->moved : f->name);
	return path[turn];
}

static int reopen(struct file *f, int handle, int extra)
{
	if (f->fd[handle] >= 0 && close(f->fd[handle]))
		bad("close of %s: %s", f->name, strerror(errno));
	f->fd[handle] = open(path_of(f, dir), O_RDWR | extra | (handle == DIRECT ? O_DIRECT : 0));
	if (f->fd[handle] < 0)
		bad("open of %s: %s", f->name, strerror(errno));
	return f->fd[handle];
}

static void unmap(struct file *f)
{
	if (f->map && munmap(f->map, limit))
		bad("munmap: %s", strerror(errno));
	f->map = NULL;
}

/* The shadow after bytes came to off..off+len; what lies before reads as zero. */
static void grown(struct file *f, size_t end)
{
	if (end > f->size)
		f->size = end;
}

static void fill(size_t len)
{
	uint64_t x = chance() | 1;

	for (size_t i = 0; i < len; i++)
		buf[i] = (char)(x >> (i % 7 * 8)) + (char)(i >> 9);
}

static int some_handle(void)
{
	return below(2) ? MAIN : OTHER;
}

/* Up to where something may be written. */
static size_t room(void)
{
	return block ? cur->size : limit;
}

static void close_all(struct file *f)
{
	for (int h = 0; h < HANDLES; h++) {
		if (close(f->fd[h]))
			bad("close of %s: %s", f->name, strerror(errno));
		f->fd[h] = -1;
	}
}

/* ---- operations: each notes what it will do, does it, and follows in the shadow ----- */

static void do_write(void)
{
	size_t off = some_offset(room() - 1), len = some_length(room() - off);
	int h = some_handle();

	note(h, off, len, 0);
	fill(len);
	if (pwrite(cur->fd[h], buf, len, off) != (ssize_t)len)
		bad("write: %s", strerror(errno));
	memcpy(cur->shadow + off, buf, len);
	grown(cur, off + len);
}

static void do_append(void)
{
	size_t len = some_length(limit - cur->size), off = cur->size;
	enum { OWN, KEPT, CHANGED } how = below(3);
	int fd = cur->fd[OTHER];

	note(OTHER, off, len, how);
	if (!len || block)
		return;
	fill(len);
	if (how == OWN)
		fd = open(path_of(cur, dir), O_WRONLY | O_APPEND);
	else if (how == KEPT)           /* and it appends no more afterwards */
		fd = reopen(cur, OTHER, O_APPEND);
	else
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_APPEND);
	if (fd < 0 || write(fd, buf, len) != (ssize_t)len)
		bad("append: %s", strerror(errno));
	if (how == OWN)
		close(fd);
	else
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_APPEND);
	memcpy(cur->shadow + off, buf, len);
	grown(cur, off + len);
}

static void read_check(int fd, int h, size_t off, size_t len, const char *how)
{
	size_t want = off >= cur->size ? 0 : len < cur->size - off ? len : cur->size - off;
	ssize_t n;

	note(h, off, len, 0);
	n = pread(fd, buf, len, off);
	if (n < 0)
		bad("%s: %s", how, strerror(errno));
	if ((size_t)n != want)
		bad("%s of 0x%zx bytes at 0x%zx gave 0x%zx and not 0x%zx; the file has 0x%zx",
		    how, len, off, (size_t)n, want, cur->size);
	same(cur, buf, off, want, how);
}

static void do_read(void)
{
	size_t off = some_offset(limit - 1);
	int h = some_handle();

	read_check(cur->fd[h], h, off, some_length(limit - off), "read");
}

static void do_direct_read(void)
{
	size_t off = below(limit / PAGE) * PAGE, len = PAGE * (1 + below(32));

	read_check(cur->fd[DIRECT], DIRECT, off, len > limit - off ? limit - off : len,
		   "direct read");
}

static void do_direct_write(void)
{
	size_t off = below(room() / PAGE) * PAGE, len = PAGE * (1 + below(32));

	if (len > room() - off)
		len = (room() - off) / PAGE * PAGE;
	note(DIRECT, off, len, 0);
	if (!len)
		return;
	fill(len);
	if (pwrite(cur->fd[DIRECT], buf, len, off) != (ssize_t)len)
		bad("direct write: %s", strerror(errno));
	memcpy(cur->shadow + off, buf, len);
	grown(cur, off + len);
}

static void do_truncate(void)
{
	size_t size = some_offset(limit);
	int h = below(3), rc;

	if (block && !size)
		size = 1;
	if (block && size < cur->size) {
		h = DIRECT;
		unmap(cur);
		close_all(cur);
	}
	note(h, size, 0, 0);
	if (h == DIRECT)        /* by its name */
		rc = truncate(path_of(cur, dir), size);
	else
		rc = ftruncate(cur->fd[h], size);
	if (rc)
		bad("truncate: %s", strerror(errno));
	for (h = 0; h < HANDLES; h++)
		if (cur->fd[h] < 0)
			reopen(cur, h, 0);
	if (size < cur->size)
		memset(cur->shadow + size, 0, cur->size - size);
	cur->size = size;
}

static void do_empty(void)              /* by O_TRUNC */
{
	note(MAIN, 0, 0, 0);
	if (block)
		return;
	reopen(cur, MAIN, O_TRUNC);
	memset(cur->shadow, 0, cur->size);
	cur->size = 0;
}

static void space(int mode, const char *what, bool *missing)
{
	size_t off = some_offset(room() - 1), len = some_length(room() - off);
	int h = some_handle();

	note(h, off, len, 0);
	if (fallocate(cur->fd[h], mode, off, len)) {
		if (errno != EOPNOTSUPP || !missing || !*missing)
			bad("%s: %s", what, strerror(errno));
		return;
	}
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) {
		size_t end = off + len < cur->size ? off + len : cur->size;

		if (off < end)
			memset(cur->shadow + off, 0, end - off);
	}
	if (!(mode & FALLOC_FL_KEEP_SIZE))
		grown(cur, off + len);
}

static void do_punch(void)
{
	space(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, "punch hole", &no_punch);
}

static void do_zero(void)
{
	space(FALLOC_FL_ZERO_RANGE | (below(2) ? FALLOC_FL_KEEP_SIZE : 0), "zero range", &no_zero);
}

static void do_allocate(void)
{
	space(below(2) ? FALLOC_FL_KEEP_SIZE : 0, "fallocate", NULL);
}

static void copy(struct file *from)
{
	size_t in = below(from->size + 1), out = some_offset(room() - 1);
	size_t len = some_length(room() - out), done = 0;
	int h = some_handle();

	if (from->size - in < len)
		len = from->size - in;
	if (from == cur && in < out + len && out < in + len)
		len = in < out ? out - in : in - out;
	note(h, out, len, in);
	while (done < len) {
		off_t a = in + done, b = out + done;
		ssize_t n = copy_file_range(from->fd[MAIN], &a, cur->fd[h], &b, len - done, 0);

		if (n <= 0)
			bad("copy_file_range after 0x%zx bytes: %s", done,
			    n ? strerror(errno) : "0 bytes before the end of the source");
		memcpy(cur->shadow + out + done, from->shadow + in + done, n);
		done += n;
		grown(cur, out + done);
	}
}

static void do_copy(void)
{
	copy(cur);
}

static void do_copy_other(void)
{
	copy(&files[cur == files]);
}

static bool mapped(void)
{
	if (!cur->map) {
		cur->map = mmap(NULL, limit, PROT_READ | PROT_WRITE, MAP_SHARED, cur->fd[MAIN], 0);
		if (cur->map == MAP_FAILED)
			bad("mmap: %s", strerror(errno));
	}
	return cur->size > 0;
}

static void do_mmap_read(void)
{
	size_t off = below(cur->size), len;

	note(MAIN, 0, 0, 0);
	if (!mapped())
		return;
	len = some_length(cur->size - off);
	note(MAIN, off, len, 0);
	memcpy(buf, cur->map + off, len);
	same(cur, buf, off, len, "mmap read");
}

static void do_mmap_write(void)
{
	size_t off = below(cur->size), len, page = off & ~(size_t)(PAGE - 1);

	note(MAIN, 0, 0, 0);
	if (!mapped())
		return;
	len = some_length(cur->size - off);
	note(MAIN, off, len, 0);
	fill(len);
	memcpy(cur->map + off, buf, len);
	if (msync(cur->map + page, off + len - page, MS_SYNC))
		bad("msync: %s", strerror(errno));
	memcpy(cur->shadow + off, buf, len);
}

static void do_unmap(void)
{
	note(HANDLES, 0, 0, 0);
	unmap(cur);
}

static void do_reopen(void)
{
	int h = below(HANDLES + 2);

	note(h < HANDLES ? h : HANDLES, 0, 0, 0);
	if (h < HANDLES) {
		reopen(cur, h, 0);
		return;
	}
	unmap(cur);             /* or the kernel would keep the handle */
	close_all(cur);
	for (h = 0; h < HANDLES; h++)
		reopen(cur, (h + count) % HANDLES, 0);
}

static void do_fsync(void)
{
	int h = below(HANDLES);

	note(h, 0, 0, 0);
	if (below(2) ? fsync(cur->fd[h]) : fdatasync(cur->fd[h]))
		bad("fsync: %s", strerror(errno));
}

static void do_rename(void)             /* while open */
{
	char *from = path_of(cur, dir), *to;
	struct stat st;

	note(HANDLES, 0, 0, 0);
	cur->is_moved = !cur->is_moved;
	to = path_of(cur, dir);
	if (rename(from, to) == 0)
		return;
	if (errno != EINPROGRESS)
		bad("rename: %s", strerror(errno));
	/* It takes longer than a directory may be kept waiting, and goes on. */
	for (int i = 0; i < 600 && (stat(to, &st) || stat(from, &st) == 0); i++)
		usleep(100000);
	if (stat(to, &st))
		bad("rename went on, and has not ended in a minute");
}

static void do_seek(void)               /* what is called a hole must be zero */
{
	size_t pos = below(cur->size + 1);
	off_t data;

	note(MAIN, pos, 0, 0);
	data = lseek(cur->fd[MAIN], pos, SEEK_DATA);
	if (data < 0 && errno != ENXIO)
		bad("SEEK_DATA: %s", strerror(errno));
	if (data < 0 || (size_t)data > cur->size)
		data = cur->size;
	for (size_t i = pos; i < (size_t)data; i++)
		if (cur->shadow[i])
			bad("SEEK_DATA from 0x%zx says 0x%zx, but 0x%zx has data", pos,
			    (size_t)data, i);
}

static void do_size(void)
{
	struct stat st;

	note(HANDLES, 0, 0, 0);
	for (int h = 0; h < HANDLES; h++)
		same_size(cur, cur->fd[h], "fstat");
	if (stat(path_of(cur, dir), &st) || (size_t)st.st_size != cur->size)
		bad("stat: size 0x%zx and not 0x%zx", (size_t)st.st_size, cur->size);
	if (lseek(cur->fd[OTHER], 0, SEEK_END) != (off_t)cur->size)
		bad("SEEK_END does not say 0x%zx", cur->size);
}

/* The whole file by each way there is. */
static void do_check(void)
{
	for (int h = 0; h < HANDLES; h++)
		read_check(cur->fd[h], h, 0, limit, "check");
	if (real_dir) {
		int fd = open(path_of(cur, real_dir), O_RDONLY);

		if (fd < 0)
			bad("open of the file behind it: %s", strerror(errno));
		same_size(cur, fd, "the file behind it");
		read_check(fd, HANDLES, 0, limit, "the file behind it");
		close(fd);
	}
}

/* Another program writes the file behind it; what is opened afterwards sees it. */
static void do_outside(void)
{
	size_t off = some_offset(limit - 1), len = some_length(limit - off), size;
	int fd;

	note(HANDLES, off, len, 0);
	fill(len);
	size = below(4) ? cur->size : below(limit + 1);
	if (!real_dir)
		return;
	unmap(cur);
	close_all(cur);
	fd = open(path_of(cur, real_dir), O_WRONLY);
	if (fd < 0 || pwrite(fd, buf, len, off) != (ssize_t)len)
		bad("writing the file behind it: %s", strerror(errno));
	memcpy(cur->shadow + off, buf, len);
	grown(cur, off + len);
	if (size != cur->size && size != 0 && size != off) {
		if (ftruncate(fd, size))
			bad("truncating the file behind it: %s", strerror(errno));
		if (size < cur->size)
			memset(cur->shadow + size, 0, cur->size - size);
		cur->size = size;
	}
	close(fd);
	for (int h = 0; h < HANDLES; h++)
		reopen(cur, h, 0);
}

static const struct {
	const char *name;
	unsigned weight;
	void (*run)(void);
} ops[] = {
	{ "write", 100, do_write },
	{ "append", 20, do_append },
	{ "read", 100, do_read },
	{ "dread", 40, do_direct_read },
	{ "dwrite", 40, do_direct_write },
	{ "truncate", 50, do_truncate },
	{ "empty", 3, do_empty },
	{ "punch", 30, do_punch },
	{ "zero", 30, do_zero },
	{ "allocate", 20, do_allocate },
	{ "copy", 30, do_copy },
	{ "copyother", 30, do_copy_other },
	{ "mapread", 60, do_mmap_read },
	{ "mapwrite", 40, do_mmap_write },
	{ "unmap", 10, do_unmap },
	{ "reopen", 20, do_reopen },
	{ "fsync", 3, do_fsync },
	{ "rename", 5, do_rename },
	{ "seek", 20, do_seek },
	{ "size", 30, do_size },
	{ "check", 8, do_check },
	{ "outside", 8, do_outside },
};
enum { OPS = sizeof ops / sizeof *ops };

static void one(void)
{
	static unsigned total;
	size_t pick;
	int i = 0;

	if (!total)
		for (i = 0; i < OPS; i++)
			total += ops[i].weight;
	cur = &files[below(5) == 0];
	for (pick = below(total), i = 0; pick >= ops[i].weight; i++)
		pick -= ops[i].weight;
	now = &history[count % HISTORY];
	*now = (struct past){ .number = count, .op = ops[i].name, .file = cur - files };
	ops[i].run();
	now->size = cur->size;
	same_size(cur, cur->fd[count % HANDLES], "fstat");
}

/* ---- the rest ------------------------------------------------------------------------- */

/* Asks the directory behind, so that a refusal of the mount alone is a mismatch. */
static bool lacks(const char *in, int mode)
{
	char path[4096];
	bool no;
	int fd;

	snprintf(path, sizeof path, "%s/fsx-probe.%d", in, (int)getpid());
	fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		bad("%s: %s", path, strerror(errno));
	no = fallocate(fd, mode | FALLOC_FL_KEEP_SIZE, 0, PAGE) && errno == EOPNOTSUPP;
	close(fd);
	unlink(path);
	return no;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void file_init(struct file *f, const char *name, char letter)
{
	if (asprintf(&f->name, "%s.%c", name, letter) < 0 ||
	    asprintf(&f->moved, "%s.%c.moved", name, letter) < 0)
		abort();
	f->shadow = calloc(1, limit);
	if (!f->shadow)
		abort();
	int fd = open(path_of(f, dir), O_RDWR | O_CREAT | O_TRUNC, 0644);
	if (fd < 0)
		bad("%s/%s: %s", dir, f->name, strerror(errno));
	if (block) {
		f->size = limit;
		if (ftruncate(fd, limit))
			bad("truncate of %s: %s", f->name, strerror(errno));
	}
	close(fd);
	for (int h = 0; h < HANDLES; h++) {
		f->fd[h] = -1;
		reopen(f, h, 0);
	}
}

int main(int argc, char **argv)
{
	double start = seconds(), end = 0;
	long most = 0;
	int o;

	seed = (uint64_t)time(NULL) * 1000003 + getpid();
	while ((o = getopt(argc, argv, "bs:n:t:l:r:")) != -1) {
		switch (o) {
		case 'b': block = true; break;
		case 's': seed = strtoull(optarg, NULL, 0); break;
		case 'n': most = atol(optarg); break;
		case 't': end = start + atof(optarg); break;
		case 'l': limit = strtoull(optarg, NULL, 0); break;
		case 'r': real_dir = optarg; break;
		default: most = 0, end = 0, argc = 0;   /* to the usage */
		}
	}
	if (argc - optind != 2 || limit < PAGE || limit % PAGE || (!most && end == 0)) {
		fprintf(stderr, "usage: fsx [-b] [-s SEED] [-n OPS] [-t SECONDS] [-l BYTES, of whole "
			"pages] [-r REALDIR] DIR NAME\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	state = seed;
	dir = argv[optind];
	buf = aligned_alloc(PAGE, limit + PAGE);
	if (!buf)
		abort();
	no_punch = lacks(real_dir ? real_dir : dir, FALLOC_FL_PUNCH_HOLE);
	no_zero = lacks(real_dir ? real_dir : dir, FALLOC_FL_ZERO_RANGE);
	file_init(&files[0], argv[optind + 1], 'a');
	file_init(&files[1], argv[optind + 1], 'b');
	for (; !most || count < most; count++) {
		if (end > 0 && seconds() >= end)
			break;
		one();
	}
	for (cur = files; cur < files + 2; cur++)
		do_check();
	printf("%ld operations, %.0f seconds, 0 mismatches, seed %llu, limit %zu%s\n", count,
	       seconds() - start, (unsigned long long)seed, limit,
	       no_zero ? ", no zero range here" : "");
	for (cur = files; cur < files + 2; cur++) {
		unmap(cur);
		for (int h = 0; h < HANDLES; h++)
			close(cur->fd[h]);
		unlink(path_of(cur, dir));
	}
	return 0;
}
