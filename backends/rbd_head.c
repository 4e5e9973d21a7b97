/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rbd_head.c - asks for the sizes and times of images without opening them.
 *
 * Called by the other files of the driver. An open costs milliseconds; to read what a
 * header object says costs a tenth of one, and hundreds go at once.
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
	OBJECTS_HEADER = 18,            /* bytes before them */
};

uint64_t id_number(const char *id)
{
	uint64_t h = hash_add(HASH_BEGIN, id, strlen(id));

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
	struct reply reply;
	char *room;                     /* ours, that the reply's data is in */
	rados_omap_iter_t values;
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

static void ask(struct asked *a, const char *method)
{
	struct reply *r = &a->reply;

	rados_read_op_exec(a->op, "rbd", method, "", 0, &r->data, &r->len, &r->rc);
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
	if (a->values)
		rados_omap_get_end(a->values);
	if (!a->room)
		rados_buffer_free(a->reply.data);
	free(a->room);
}

static void ask_id(struct conn *c, struct asked *a, const char *name)
{
	a->op = rados_create_read_op();
	a->object = xasprintf("rbd_id.%s", name);
	ask(a, "get_id");
	send_off(c, a);
}

static int take_id(struct asked *a, char id[64])
{
	const struct reply *r = &a->reply;
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
		return rbd_absent(c, e);
	return rc < 0 ? rbd_fail(c, rc, e, "cannot read its name") : 0;
}

/* What a header keeps under names of its own, little-endian; cls_rbd's format 2. To read
 * them as they are costs the OSD less than four calls of the class. */
static const char *const header_keys[] = { "size", "order", "features", "flags",
					   "modify_timestamp" };
enum { HEADER_KEYS = sizeof header_keys / sizeof *header_keys };

static void ask_header(struct conn *c, struct asked *a, const char *id)
{
	static const size_t lengths[HEADER_KEYS] = { 4, 5, 8, 5, 16 };

	a->op = rados_create_read_op();
	a->object = xasprintf("rbd_header.%s", id);
	rados_read_op_omap_get_vals_by_keys2(a->op, header_keys, HEADER_KEYS, lengths, &a->values,
					     &a->reply.rc);
	send_off(c, a);
}

/* Which of header_keys it is; -1: none, or shorter than it has to be. */
static int header_key(const char *key, size_t len, size_t value_len)
{
	static const size_t least[HEADER_KEYS] = { 8, 1, 8, 8, 8 };

	for (int i = 0; i < HEADER_KEYS; i++)
		if (strlen(header_keys[i]) == len && !memcmp(header_keys[i], key, len))
			return value_len < least[i] ? -1 : i;
	return -1;
}

/* Flags that are not set and times before Ceph 12 are not there. */
static int take_header(struct asked *a, struct head *h)
{
	int rc = wait_for(a);
	unsigned seen = 0;

	if (rc >= 0)
		rc = a->reply.rc;
	while (rc >= 0) {
		char *key, *value;
		size_t key_len, len;
		int k;

		rc = rados_omap_get_next2(a->values, &key, &value, &key_len, &len);
		if (rc < 0 || !key)
			break;
		k = header_key(key, key_len, len);
		if (k >= 0)
			seen |= 1u << k;
		switch (k) {
		case 0: h->size = get64(value); break;
		case 1: h->order = (unsigned char)value[0]; break;
		case 2: h->features = get64(value); break;
		case 3: h->flags = get64(value); break;
		case 4:
			h->mtime.tv_sec = get32(value);
			h->mtime.tv_nsec = get32(value + 4);
			break;
		}
	}
	if (rc >= 0 && ((seen & 7) != 7 || h->order < 12 || h->order > 40 || h->size > INT64_MAX))
		rc = -EIO;
	forget(a);
	return rc < 0 ? rc : 0;
}

/* ---- object maps -------------------------------------------------------------------- */

static void ask_objects(struct conn *c, struct asked *a, const char *id)
{
	a->op = rados_create_read_op();
	a->object = xasprintf("rbd_object_map.%s", id);
	ask(a, "object_map_load");
	send_off(c, a);
}

/* The class hands out what the object has in it: where the size is known, that can be
 * read without having the class take it apart and put it together. */
static void ask_objects_of(struct conn *c, struct asked *a, const struct head *h)
{
	uint64_t count = h->size >> h->order;
	size_t len = OBJECTS_HEADER + (size_t)(count / 4) + 1;

	a->op = rados_create_read_op();
	a->object = xasprintf("rbd_object_map.%s", h->id);
	a->room = a->reply.data = xmalloc(len);
	rados_read_op_read(a->op, 0, len, a->room, &a->reply.len, &a->reply.rc);
	send_off(c, a);
}

/* A length, a header that says how many, two bits for each object from the highest
 * down, a checksum. */
static int take_objects(struct asked *a, struct objects *o)
{
	const struct reply *r = &a->reply;
	uint64_t count, bytes;
	int rc = wait_for(a);

	if (rc >= 0)
		rc = r->rc;
	if (rc >= 0 && (r->len < OBJECTS_HEADER || get32(r->data) != 14 || r->data[4] != 1))
		rc = -EIO;
	if (rc >= 0) {
		count = get64(r->data + 10);
		bytes = count / 4 + (count % 4 != 0);
		if (count > UINT64_MAX / 2 || bytes > r->len - OBJECTS_HEADER) {
			rc = -EIO;
		} else {
			o->bits = xmalloc(bytes + 1);
			memcpy(o->bits, r->data + OBJECTS_HEADER, bytes);
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
			ask_objects_of(c, &a[i], &h[i]);
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
