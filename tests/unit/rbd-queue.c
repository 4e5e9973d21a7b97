/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rbd-queue.c - unit tests of backends/rbd_queue.c and rbd_io.c: the order of what
 * overlaps, flushes, errors of writes that were answered early, cancelling, bounds.
 *
 * Started by tests/run; prints TAP. librbd is faked here: it keeps each operation until
 * the test ends it, in an order of the test's own, and a write changes the image only
 * then. So the two files are included as source. Never talks to a cluster.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#if !__has_include(<rbd/librbd.h>)
int main(void)
{
	puts("1..0 # SKIP needs librbd-dev");
	return 0;
}
#else
#include "../../backends/rbd_io.c"
#include "../../backends/rbd_queue.c"

enum { SIZE = 64 };

static struct conn conn = { .lock = PTHREAD_MUTEX_INITIALIZER };
static struct image image;
static struct rbdp rbdp = { .conn = &conn };
static struct pool pool = { .priv = &rbdp };
static unsigned char disk[SIZE];

/* ---- librbd: what it has, in a list of the test's ------------------------------ */

struct fake {
	enum io_op kind;
	uint64_t off;
	size_t len;
	char *data;
	struct pending *op;
	rbd_callback_t ended;
	ssize_t rc;
};

enum { FAKES_MAX = 512 };
static struct fake *fakes[FAKES_MAX];
static size_t fake_count;
static bool zeroed, zeroed_early;
static pthread_mutex_t fake_lock = PTHREAD_MUTEX_INITIALIZER;

int rbd_aio_create_completion(void *arg, rbd_callback_t ended, rbd_completion_t *c)
{
	struct fake *f = xcalloc(1, sizeof *f);

	f->op = arg;
	f->ended = ended;
	*c = f;
	return 0;
}

void rbd_aio_release(rbd_completion_t c) { free(c); }
ssize_t rbd_aio_get_return_value(rbd_completion_t c) { return ((struct fake *)c)->rc; }
int rbd_aio_wait_for_complete(rbd_completion_t c) { return (int)((struct fake *)c)->rc; }

static int take(enum io_op kind, uint64_t off, size_t len, char *data, rbd_completion_t c)
{
	struct fake *f = c;

	f->kind = kind;
	f->off = off;
	f->len = len;
	f->data = data;
	pthread_mutex_lock(&fake_lock);
	assert_true(fake_count < FAKES_MAX);
	fakes[fake_count++] = f;
	pthread_mutex_unlock(&fake_lock);
	return 0;
}

int rbd_aio_read(rbd_image_t h, uint64_t off, size_t len, char *data, rbd_completion_t c)
{
	(void)h;
	return take(IO_READ, off, len, data, c);
}

int rbd_aio_write(rbd_image_t h, uint64_t off, size_t len, const char *data, rbd_completion_t c)
{
	(void)h;
	return take(IO_WRITE, off, len, (char *)data, c);
}

int rbd_aio_flush(rbd_image_t h, rbd_completion_t c)
{
	(void)h;
	return take(IO_FLUSH, 0, 0, NULL, c);
}

/* Called by a thread that must have waited until the list is empty. */
int rbd_aio_write_zeroes(rbd_image_t h, uint64_t off, size_t len, rbd_completion_t c, int flags,
			 int more)
{
	(void)h, (void)off, (void)len, (void)c, (void)flags, (void)more;
	pthread_mutex_lock(&fake_lock);
	zeroed = true;
	zeroed_early = fake_count > 0;
	pthread_mutex_unlock(&fake_lock);
	return 0;
}

int rbd_flush(rbd_image_t h) { (void)h; return 0; }
int rbd_get_size(rbd_image_t h, uint64_t *size) { (void)h; *size = SIZE; return 0; }
ssize_t rbd_write(rbd_image_t h, uint64_t off, size_t len, const char *data)
{
	(void)h, (void)off, (void)data;
	return (ssize_t)len;
}

/* Ends the nth; 0: well. The image is read and changed now, as late as can be. */
static void end_fake(size_t n, ssize_t rc)
{
	struct fake *f;

	pthread_mutex_lock(&fake_lock);
	assert_true(n < fake_count);
	f = fakes[n];
	fakes[n] = fakes[--fake_count];
	pthread_mutex_unlock(&fake_lock);
	if (rc == 0 && f->kind == IO_WRITE && f->off < SIZE)
		memcpy(disk + f->off, f->data, f->len < SIZE - f->off ? f->len : SIZE - f->off);
	if (rc == 0 && f->kind == IO_READ)
		memcpy(f->data, disk + f->off, f->len);
	f->rc = rc == 0 && f->kind == IO_READ ? (ssize_t)f->len : rc;
	f->ended(f, f->op);
}

/* Which of librbd's is the write of that byte? */
static size_t fake_at(enum io_op kind, uint64_t off)
{
	for (size_t n = 0; n < fake_count; n++)
		if (fakes[n]->kind == kind && fakes[n]->off == off)
			return n;
	fail_msg("librbd does not have it");
	return 0;
}

/* ---- the driver's other files ------------------------------------------------------ */

int image_use(struct image *i, bool write, struct err *e)
{
	(void)write, (void)e;
	pthread_mutex_lock(&conn.lock);
	i->uses++;
	pthread_mutex_unlock(&conn.lock);
	return 0;
}

void image_unuse(struct image *i)
{
	pthread_mutex_lock(&conn.lock);
	assert_true(i->uses > 0);
	i->uses--;
	pthread_mutex_unlock(&conn.lock);
}

void image_error(struct image *i, int rc)
{
	pthread_mutex_lock(&i->lock);
	i->error = rc;
	i->errors++;
	i->error_seen = false;
	atomic_store(&i->through, true);
	pthread_mutex_unlock(&i->lock);
}

struct image *image_get(struct conn *c, const char *id, const char *name, bool volume)
{
	(void)c, (void)id, (void)name, (void)volume;
	return &image;
}

int rbd_fail(struct conn *c, int rc, struct err *e, const char *fmt, ...)
{
	(void)c, (void)fmt;
	return err_set(e, -rc, "refused");
}

int rbd_absent(struct conn *c, struct err *e) { (void)c; return -(e->code = ENOENT); }
int image_lost(struct image *i, struct err *e) { return i->conn->gone ? -(e->code = ESTALE) : 0; }
void image_put(struct image *i, bool volume) { (void)i, (void)volume; }
int image_trim(struct image *i, struct err *e) { (void)i, (void)e; return 0; }
void image_refresh(struct image *i) { (void)i; }
int image_alone(struct image *i, struct err *e) { (void)i, (void)e; return 0; }
uint64_t image_size(struct image *i) { return i->size; }
void heads_read(struct conn *c, struct head *h, size_t count) { (void)c, (void)h, (void)count; }
int volume_empty(struct vol *v, struct err *e) { (void)v, (void)e; return 0; }
int volume_extend(struct vol *v, uint64_t end, struct err *e)
{
	(void)v, (void)end, (void)e;
	return 0;
}

int rbdv_truncate(struct vol *v, uint64_t size, struct err *e)
{
	(void)v, (void)size, (void)e;
	return 0;
}

int volume_room(struct vol *v, uint64_t *off, size_t len, struct err *e)
{
	(void)v, (void)off, (void)len, (void)e;
	return 0;
}

/* ---- requests ------------------------------------------------------------------------- */

struct asked {
	struct io io;                   /* first: done gets its address */
	bool ended;
	ssize_t result;
	unsigned char want[SIZE];       /* of a read and a flush: what was answered before */
};

static int released;

static void asked_done(struct io *io, ssize_t result)
{
	struct asked *a = (struct asked *)io;

	assert_false(a->ended);
	a->ended = true;
	a->result = result;
}

void io_done(struct io *io, ssize_t result) { io->done(io, result); }

static void data_release(void *data)
{
	released++;
	free(data);
}

static struct asked *ask_io(struct vol *v, enum io_op op, uint64_t off, size_t len, int fill)
{
	struct asked *a = xcalloc(1, sizeof *a);

	a->io = (struct io){ .op = op, .off = off, .len = len, .vol = v, .done = asked_done,
			     .release = data_release };
	if (op != IO_FLUSH) {
		a->io.data = xmalloc(len);
		memset(a->io.data, fill, len);
		a->io.owner = a->io.data;
	}
	rbdv_submit(v, &a->io);
	return a;
}

static ssize_t result_of(struct asked *a)
{
	ssize_t rc = a->result;

	assert_true(a->ended);
	if (a->io.owner)
		free(a->io.owner);
	free(a);
	return rc;
}

static ssize_t flush_now(struct vol *v)
{
	struct asked *a = ask_io(v, IO_FLUSH, 0, 0, 0);

	while (!a->ended)
		end_fake(fake_at(IO_FLUSH, 0), 0);
	return result_of(a);
}

static struct vol *handle(void)
{
	struct vol *v = xcalloc(1, sizeof *v);

	v->pool = &pool;
	v->name = (char *)"v";
	rbdv_attach(v, "id", false);
	return v;
}

static void handle_end(struct vol *v)
{
	struct err e = { 0 };

	rbdv_close(v, &e);
	free(v);
}

static int begin(void **state)
{
	(void)state;
	memset(&image, 0, sizeof image);
	memset(disk, 0, sizeof disk);
	image.conn = &conn;
	image.state = IMAGE_OPEN;
	image.size = image.real = SIZE;
	pthread_mutex_init(&image.lock, NULL);
	cond_init(&image.written);
	atomic_store(&conn.behind, 0);
	zeroed = zeroed_early = false;
	released = 0;
	return 0;
}

static int end(void **state)
{
	(void)state;
	assert_null(image.ops);
	assert_int_equal(image.uses, 0);
	assert_int_equal(image.behind, 0);
	assert_int_equal(image.behind_count, 0);
	assert_int_equal(atomic_load(&conn.behind), 0);
	assert_int_equal(fake_count, 0);
	pthread_cond_destroy(&image.written);
	pthread_mutex_destroy(&image.lock);
	return 0;
}

/* ---- tests -------------------------------------------------------------------------------- */

/* Bytes only grow: whoever sees less than was answered before he asked has been passed. */
static void check_ended(struct asked **all, size_t *count)
{
	for (size_t n = 0; n < *count; ) {
		struct asked *a = all[n];
		unsigned char *data = a->io.op == IO_READ ? a->io.data : disk + a->io.off;
		size_t len = a->io.op == IO_READ ? a->io.len : SIZE;

		if (!a->ended) {
			n++;
			continue;
		}
		for (size_t i = 0; i < len && a->io.op != IO_WRITE; i++)
			if (data[i] < a->want[a->io.off + i])
				fail_msg("a %s has been passed at byte %zu", a->io.op == IO_READ ?
					 "read" : "flush", i);
		assert_true(result_of(a) >= 0);
		all[n] = all[--*count];
	}
}

/* Operations of all kinds that overlap, ended in any order. */
static void test_order(void **state)
{
	unsigned seed = 1;

	(void)state;
	for (int round = 0; round < 300; round++) {
		struct vol *one = handle(), *two = handle();
		unsigned char last[SIZE] = { 0 };
		struct asked *all[FAKES_MAX];
		size_t count = 0;
		int fill = 0, writes = 0;

		memset(disk, 0, sizeof disk);
		for (int left = 120; left || fake_count; ) {
			if (left && rand_r(&seed) % 3) {
				unsigned kind = rand_r(&seed) % 8;
				uint64_t off = rand_r(&seed) % (SIZE - 8);
				size_t len = 1 + rand_r(&seed) % 8;
				enum io_op op = kind < 4 ? IO_WRITE : kind < 6 ? IO_READ : IO_FLUSH;
				unsigned char before[SIZE];

				left--;
				memcpy(before, last, SIZE);
				if (op == IO_WRITE) {
					writes++;
					memset(last + off, ++fill, len);
				}
				all[count] = ask_io(rand_r(&seed) % 2 ? one : two, op,
						    op == IO_FLUSH ? 0 : off, len, fill);
				memcpy(all[count++]->want, before, SIZE);
			} else if (fake_count) {
				end_fake(rand_r(&seed) % fake_count, 0);
			}
			check_ended(all, &count);
		}
		assert_int_equal(count, 0);
		assert_memory_equal(disk, last, SIZE);
		assert_int_equal(released, writes);
		released = 0;
		handle_end(one);
		handle_end(two);
	}
}

/* A flush counts a write that came while it waited; the next one must not believe that. */
static void test_flush_after_flush(void **state)
{
	struct vol *v = handle();
	struct asked *first, *second;

	(void)state;
	assert_int_equal(result_of(ask_io(v, IO_WRITE, 0, 4, 1)), 4);
	first = ask_io(v, IO_FLUSH, 0, 0, 0);
	assert_int_equal(result_of(ask_io(v, IO_WRITE, 0, 4, 2)), 4);
	end_fake(fake_at(IO_WRITE, 0), 0);
	end_fake(fake_at(IO_FLUSH, 0), 0);
	assert_int_equal(result_of(first), 0);
	second = ask_io(v, IO_FLUSH, 0, 0, 0);
	assert_false(second->ended);
	end_fake(fake_at(IO_WRITE, 0), 0);
	assert_int_equal(disk[0], 2);
	end_fake(fake_at(IO_FLUSH, 0), 0);
	assert_int_equal(result_of(second), 0);
	/* With nothing to store librbd is not asked, */
	assert_int_equal(result_of(ask_io(v, IO_FLUSH, 0, 0, 0)), 0);
	/* but it is when the write has ended since: it may have a cache. */
	assert_int_equal(result_of(ask_io(v, IO_WRITE, 0, 4, 3)), 4);
	first = ask_io(v, IO_FLUSH, 0, 0, 0);
	assert_int_equal(result_of(ask_io(v, IO_WRITE, 8, 4, 4)), 4);
	end_fake(fake_at(IO_WRITE, 0), 0);
	end_fake(fake_at(IO_FLUSH, 0), 0);
	end_fake(fake_at(IO_WRITE, 8), 0);
	assert_int_equal(result_of(first), 0);
	second = ask_io(v, IO_FLUSH, 0, 0, 0);
	assert_false(second->ended);
	end_fake(fake_at(IO_FLUSH, 0), 0);
	assert_int_equal(result_of(second), 0);
	handle_end(v);
}

/* Each handle hears once of a write that failed after it was answered; one that is opened
 * later does if no program has. After it none is answered early, until a flush succeeds. */
static void test_errors(void **state)
{
	struct vol *one = handle(), *two = handle(), *later;
	struct asked *a, *flush;

	(void)state;
	assert_int_equal(result_of(ask_io(one, IO_WRITE, 0, 4, 1)), 4);
	flush = ask_io(two, IO_FLUSH, 0, 0, 0);
	end_fake(0, -ENOSPC);
	end_fake(fake_at(IO_FLUSH, 0), 0);
	assert_int_equal(result_of(flush), -ENOSPC);
	later = handle();
	assert_int_equal(flush_now(later), 0);
	assert_int_equal(flush_now(one), -ENOSPC);
	assert_int_equal(flush_now(one), 0);
	assert_int_equal(flush_now(two), 0);

	assert_int_equal(result_of(ask_io(one, IO_WRITE, 0, 4, 1)), 4);
	end_fake(0, -ETIMEDOUT);
	a = ask_io(one, IO_WRITE, 8, 4, 1);
	assert_false(a->ended);
	end_fake(0, -EDQUOT);
	assert_int_equal(result_of(a), -EDQUOT);
	handle_end(one);                /* a release has no program that hears */
	handle_end(two);
	handle_end(later);
	later = handle();
	assert_int_equal(flush_now(later), -EDQUOT);
	assert_int_equal(flush_now(later), 0);
	assert_int_equal(result_of(ask_io(later, IO_WRITE, 8, 4, 1)), 4);
	end_fake(0, 0);
	assert_int_equal(released, 3);
	flush_now(later);
	handle_end(later);
}

/* What waits and changes nothing ends at once; a flush that is under way leaves what it
 * would have told to the next one. */
static void test_cancel(void **state)
{
	struct vol *v = handle();
	struct asked *read, *flush, *under_way, *write, *behind_it;

	(void)state;
	assert_int_equal(result_of(ask_io(v, IO_WRITE, 0, 4, 1)), 4);
	read = ask_io(v, IO_READ, 0, 4, 0);
	flush = ask_io(v, IO_FLUSH, 0, 0, 0);
	rbdv_cancel(v, &read->io);
	assert_int_equal(result_of(read), -EINTR);
	rbdv_cancel(v, &flush->io);
	assert_int_equal(result_of(flush), -EINTR);
	end_fake(0, -EIO);
	write = ask_io(v, IO_WRITE, 4, 4, 1);
	behind_it = ask_io(v, IO_WRITE, 4, 4, 2);
	rbdv_cancel(v, &write->io);
	rbdv_cancel(v, &behind_it->io);
	assert_false(write->ended || behind_it->ended);
	end_fake(0, 0);
	end_fake(0, 0);
	assert_int_equal(result_of(write), 4);
	assert_int_equal(result_of(behind_it), 4);
	assert_int_equal(disk[4], 2);
	under_way = ask_io(v, IO_FLUSH, 0, 0, 0);
	rbdv_cancel(v, &under_way->io);
	assert_false(under_way->ended);
	end_fake(0, 0);
	assert_int_equal(result_of(under_way), -EINTR);
	assert_int_equal(flush_now(v), -EIO);
	handle_end(v);
}

/* Answered early are so many writes and so many bytes of an image, so many of a pool. */
static void test_bounds(void **state)
{
	struct vol *v = handle();
	struct asked *more;

	(void)state;
	image.size = (uint64_t)1 << 40;
	for (int n = 0; n < BEHIND_COUNT; n++)
		assert_int_equal(result_of(ask_io(v, IO_WRITE, 1000 + (uint64_t)n * 8, 8, 1)), 8);
	more = ask_io(v, IO_WRITE, 100, 8, 1);
	assert_false(more->ended);
	while (fake_count)
		end_fake(0, 0);
	assert_int_equal(result_of(more), 8);

	assert_int_equal(result_of(ask_io(v, IO_WRITE, 1000, BEHIND_MAX, 1)), BEHIND_MAX);
	more = ask_io(v, IO_WRITE, 100, 1, 1);
	assert_false(more->ended);
	while (fake_count)
		end_fake(0, 0);
	assert_int_equal(result_of(more), 1);

	atomic_store(&conn.behind, BEHIND_ALL - 4);
	more = ask_io(v, IO_WRITE, 100, 8, 1);
	assert_false(more->ended);
	assert_int_equal(result_of(ask_io(v, IO_WRITE, 200, 4, 1)), 4);
	while (fake_count)
		end_fake(0, 0);
	assert_int_equal(result_of(more), 8);
	assert_int_equal(atomic_load(&conn.behind), BEHIND_ALL - 4);
	atomic_store(&conn.behind, 0);
	image.size = SIZE;
	flush_now(v);
	handle_end(v);
}

static void *zero_thread(void *arg)
{
	struct err e = { 0 };

	assert_int_equal(image_zero(arg, 0, 4, false, NULL, &e), 0);
	return NULL;
}

/* Zeroing, and what else goes to librbd directly, comes after what was written before. */
static void test_wait(void **state)
{
	struct vol *v = handle();
	pthread_t thread;

	(void)state;
	assert_int_equal(result_of(ask_io(v, IO_WRITE, 0, 4, 1)), 4);
	assert_int_equal(result_of(ask_io(v, IO_WRITE, 2, 4, 1)), 4);
	assert_int_equal(pthread_create(&thread, NULL, zero_thread, &image), 0);
	for (int n = 0; n < 2; n++) {
		usleep(20000);          /* it would come too early now */
		end_fake(0, 0);
	}
	pthread_join(thread, NULL);
	assert_true(zeroed);
	assert_false(zeroed_early);
	flush_now(v);
	handle_end(v);
}

/* Of a RADOS pool that is gone librbd reads zeros. */
static void test_gone(void **state)
{
	struct vol *v = handle();
	struct asked *read = ask_io(v, IO_READ, 0, 4, 0), *late;

	(void)state;
	conn.gone = true;
	end_fake(fake_at(IO_READ, 0), 0);
	assert_int_equal(result_of(read), -ESTALE);
	late = ask_io(v, IO_READ, 0, 4, 0);
	assert_int_equal(fake_count, 0);
	assert_true(result_of(late) < 0);
	conn.gone = false;
	handle_end(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order, begin, end),
		cmocka_unit_test_setup_teardown(test_flush_after_flush, begin, end),
		cmocka_unit_test_setup_teardown(test_errors, begin, end),
		cmocka_unit_test_setup_teardown(test_cancel, begin, end),
		cmocka_unit_test_setup_teardown(test_bounds, begin, end),
		cmocka_unit_test_setup_teardown(test_wait, begin, end),
		cmocka_unit_test_setup_teardown(test_gone, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
#endif
