/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rbd_head.c - asks for the sizes and times of images without opening them.
 *
 * Called by the other files of the driver. An open costs milliseconds; a call of Ceph's
 * class "rbd" on the header costs a tenth of one, and hundreds go at once. These
 * calls are what the kernel's own client uses, the same from version to version.
 * Never opens an image, never waits longer than the connection's deadline.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "rbd.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	USED_SLOTS = 8192,              /* allocations remembered */
	OBJECTS_MAX = 16 << 20,         /* of an object map that a stat reads */
};

uint64_t id_number(const char *id)
{
	uint64_t h = 14695981039346656037ull;   /* FNV-1a */

	for (; *id; id++)
		h = (h ^ (unsigned char)*id) * 1099511628211ull;
	return h ? h : 1;
}

/* ---- calls of class rbd ---------------------------------------------------------- */

struct reply {
	char *data;
	size_t len;
	int rc;
};

struct asked {
	rados_read_op_t op;
	rados_completion_t done;
	struct reply reply[4];
	char *object;
};

static uint32_t get32(const char *p)
{
	uint32_t n;

	memcpy(&n, p, 4);
	return le32toh(n);
}

static uint64_t get64(const char *p)
{
	uint64_t n;

	memcpy(&n, p, 8);
	return le64toh(n);
}

static void ask(struct asked *a, unsigned slot, const char *method, const void *in, size_t len)
{
	struct reply *r = &a->reply[slot];

	rados_read_op_exec(a->op, "rbd", method, in, len, &r->data, &r->len, &r->rc);
}

static void send_off(struct conn *c, struct asked *a)
{
	rados_aio_create_completion2(NULL, NULL, &a->done);
	if (rados_aio_read_op_operate(a->op, c->io, a->done, a->object, 0) < 0) {
		rados_aio_release(a->done);
		a->done = NULL;
	}
}

static int wait_for(struct asked *a)
{
	int rc = -EIO;

	if (a->done) {
		rados_aio_wait_for_complete(a->done);
		rc = rados_aio_get_return_value(a->done);
		rados_aio_release(a->done);
	}
	rados_release_read_op(a->op);
	free(a->object);
	return rc;
}

static void forget(struct asked *a)
{
	for (int i = 0; i < 4; i++)
		rados_buffer_free(a->reply[i].data);
}

static void ask_id(struct conn *c, struct asked *a, const char *name)
{
	a->op = rados_create_read_op();
	a->object = xasprintf("rbd_id.%s", name);
	ask(a, 0, "get_id", "", 0);
	send_off(c, a);
}

static int take_id(struct asked *a, char id[64])
{
	const struct reply *r = &a->reply[0];
	int rc = wait_for(a);

	if (rc >= 0)
		rc = r->rc;
	if (rc >= 0 && (r->len < 4 || get32(r->data) != r->len - 4 || r->len - 4 >= 64))
		rc = -EIO;
	if (rc >= 0) {
		memcpy(id, r->data + 4, r->len - 4);
		id[r->len - 4] = '\0';
	}
	forget(a);
	return rc < 0 ? rc : 0;
}

int image_id_of(struct conn *c, const char *name, char id[64], struct err *e)
{
	struct asked a = { 0 };
	int rc;

	ask_id(c, &a, name);
	rc = take_id(&a, id);
	if (rc == -ENOENT)
		return -(e->code = ENOENT);
	return rc < 0 ? rbd_fail(c, rc, e, "cannot read its name") : 0;
}

static void ask_header(struct conn *c, struct asked *a, const char *id)
{
	static const uint64_t head = UINT64_MAX - 1;    /* CEPH_NOSNAP, in both byte orders */
	char in[9];
	uint64_t le = htole64(head);

	memcpy(in, &le, 8);
	in[8] = 1;                      /* read-only: the features needed for reading */
	a->op = rados_create_read_op();
	a->object = xasprintf("rbd_header.%s", id);
	ask(a, 0, "get_size", in, 8);
	ask(a, 1, "get_features", in, 9);
	ask(a, 2, "get_flags", in, 8);
	ask(a, 3, "get_modify_timestamp", "", 0);
	send_off(c, a);
}

static int take_header(struct asked *a, struct head *h)
{
	static const size_t least[4] = { 9, 16, 8, 8 };
	const struct reply *r = a->reply;
	int rc = wait_for(a);

	/* The last may be unknown to an old cluster, and fails alone. */
	for (int i = 0; i < 3 && rc >= 0; i++)
		rc = r[i].rc < 0 ? r[i].rc : r[i].len < least[i] ? -EIO : 0;
	if (rc >= 0) {
		h->order = (unsigned char)r[0].data[0];
		h->size = get64(r[0].data + 1);
		h->features = get64(r[1].data);
		h->flags = get64(r[2].data);
		if (r[3].rc >= 0 && r[3].len >= least[3]) {
			h->mtime.tv_sec = get32(r[3].data);
			h->mtime.tv_nsec = get32(r[3].data + 4);
		}
		if (h->order < 12 || h->order > 40 || h->size > INT64_MAX)
			rc = -EIO;
	}
	forget(a);
	return rc < 0 ? rc : 0;
}

/* ---- object maps -------------------------------------------------------------------- */

static void ask_objects(struct conn *c, struct asked *a, const char *id)
{
	a->op = rados_create_read_op();
	a->object = xasprintf("rbd_object_map.%s", id);
	ask(a, 0, "object_map_load", "", 0);
	send_off(c, a);
}

/* A length, a header that says how many, two bits for each object from the highest
 * down, a checksum. */
static int take_objects(struct asked *a, struct objects *o)
{
	const struct reply *r = &a->reply[0];
	uint64_t count, bytes;
	int rc = wait_for(a);

	if (rc >= 0)
		rc = r->rc;
	if (rc >= 0 && (r->len < 18 || get32(r->data) != 14 || r->data[4] != 1))
		rc = -EIO;
	if (rc >= 0) {
		count = get64(r->data + 10);
		bytes = count / 4 + (count % 4 != 0);
		if (count > UINT64_MAX / 2 || bytes > r->len - 18) {
			rc = -EIO;
		} else {
			o->bits = xmalloc(bytes + 1);
			memcpy(o->bits, r->data + 18, bytes);
			o->count = count;
			o->loaded = now_ms();
		}
	}
	forget(a);
	return rc < 0 ? rc : 0;
}

bool object_exists(const struct objects *o, uint64_t number)
{
	return number < o->count && o->bits[number / 4] >> (6 - number % 4 * 2) & 3;
}

uint64_t objects_used(const struct objects *o)
{
	uint64_t used = 0;

	for (uint64_t i = 0; i < o->count; i += 4) {
		if (!o->bits[i / 4])
			continue;
		for (uint64_t n = i; n < i + 4; n++)
			used += object_exists(o, n);
	}
	return used;
}

int objects_read(struct conn *c, const char *id, struct objects *o)
{
	struct asked a = { 0 };

	ask_objects(c, &a, id);
	return take_objects(&a, o);
}

static bool has_objects(const struct head *h)
{
	return h->features & RBD_FEATURE_OBJECT_MAP && !(h->flags & RBD_FLAG_OBJECT_MAP_INVALID) &&
	       h->size >> h->order <= OBJECTS_MAX;
}

/* An image that was not written for a minute uses what it used when that was last
 * read: no need to ask for its object map at each ls -l. */
struct used {
	uint64_t number, size, features, allocation;
	struct timespec mtime;
};

static pthread_mutex_t used_lock = PTHREAD_MUTEX_INITIALIZER;
static struct used *used_table;

static struct used *used_slot(const struct head *h)
{
	if (!used_table)
		used_table = xcalloc(USED_SLOTS, sizeof *used_table);
	return &used_table[id_number(h->id) % USED_SLOTS];
}

static bool quiet(const struct head *h)
{
	return h->mtime.tv_sec && time(NULL) - h->mtime.tv_sec > HEARD_LATE;
}

static bool used_known(struct head *h)
{
	bool known = false;

	if (!quiet(h))
		return false;
	pthread_mutex_lock(&used_lock);
	const struct used *u = used_slot(h);

	if (u->number == id_number(h->id) && u->size == h->size && u->features == h->features &&
	    u->mtime.tv_sec == h->mtime.tv_sec && u->mtime.tv_nsec == h->mtime.tv_nsec) {
		h->allocation = u->allocation;
		known = true;
	}
	pthread_mutex_unlock(&used_lock);
	return known;
}

static void used_keep(const struct head *h)
{
	if (!quiet(h))
		return;
	pthread_mutex_lock(&used_lock);
	*used_slot(h) = (struct used){
		.number = id_number(h->id), .size = h->size, .features = h->features,
		.allocation = h->allocation, .mtime = h->mtime,
	};
	pthread_mutex_unlock(&used_lock);
}

/* ---- many at once ---------------------------------------------------------------------- */

void heads_read(struct conn *c, struct head *h, size_t count)
{
	struct asked *a = xcalloc(count ? count : 1, sizeof *a);

	for (size_t i = 0; i < count; i++) {
		h[i].rc = 0;
		if (!h[i].id[0])
			ask_id(c, &a[i], h[i].name);
	}
	for (size_t i = 0; i < count; i++) {
		if (!h[i].id[0])
			h[i].rc = take_id(&a[i], h[i].id);
		memset(&a[i], 0, sizeof a[i]);
		if (h[i].rc == 0)
			ask_header(c, &a[i], h[i].id);
	}
	for (size_t i = 0; i < count; i++) {
		if (h[i].rc == 0)
			h[i].rc = take_header(&a[i], &h[i]);
		h[i].allocation = h[i].size;
		memset(&a[i], 0, sizeof a[i]);
		h[i].want_allocation = h[i].rc == 0 && h[i].want_allocation &&
				       has_objects(&h[i]) && !used_known(&h[i]);
		if (h[i].want_allocation)
			ask_objects(c, &a[i], h[i].id);
	}
	for (size_t i = 0; i < count; i++) {
		struct objects o = { 0 };

		if (!h[i].want_allocation || take_objects(&a[i], &o) < 0)
			continue;
		h[i].allocation = objects_used(&o) << h[i].order;
		free(o.bits);
		if (h[i].allocation > h[i].size)
			h[i].allocation = h[i].size;
		used_keep(&h[i]);
	}
	free(a);
}
