/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * events.c - the text of control/events: what happened to pools, volumes and
 * jobs, one line each, the newest EVENTS_KEPT bytes of it in a ring.
 *
 * Filled from any thread, read by the front, each reader at its own place. A
 * reader costs its own few bytes whether it reads or not; who is too slow is
 * told how many lines were lost. Never waits for a reader or a driver.
 */
#include "pool.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	LINE_BYTES = 4096,              /* two names in octal, a sentence: far less */
	PAUSE_MS = 20,                  /* between two times that readers are woken */
};

static struct {
	pthread_mutex_t lock;           /* all of this; taken last */
	pthread_cond_t grown;
	char *text;                     /* EVENTS_KEPT bytes, once there is one */
	uint64_t start, end;            /* offsets in the whole text; start at a line */
	uint64_t first, number;         /* of the line at start, of the next to come */
	struct timespec when;
	void (*on_new)(void);
	bool thread, news;
} events = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.grown = PTHREAD_COND_INITIALIZER,
	.first = 1,
	.number = 1,
};

/* ---- the ring ---------------------------------------------------------------- */

/* Locked. */
static void ring_put(const char *data, size_t len)
{
	size_t at = events.end % EVENTS_KEPT, part = EVENTS_KEPT - at;

	if (part > len)
		part = len;
	memcpy(events.text + at, data, part);
	memcpy(events.text, data + part, len - part);
	events.end += len;
}

/* Locked. */
static void ring_get(char *data, uint64_t pos, size_t len)
{
	size_t at = pos % EVENTS_KEPT, part = EVENTS_KEPT - at;

	if (part > len)
		part = len;
	memcpy(data, events.text + at, part);
	memcpy(data + part, events.text, len - part);
}

/* Locked. Where the line that holds pos ends, its newline included. */
static uint64_t line_end(uint64_t pos)
{
	while (pos < events.end) {
		size_t at = pos % EVENTS_KEPT, part = EVENTS_KEPT - at;
		const char *nl;

		if (part > events.end - pos)
			part = events.end - pos;
		nl = memchr(events.text + at, '\n', part);
		if (nl)
			return pos + (nl - (events.text + at)) + 1;
		pos += part;
	}
	return pos;
}

/* Locked. The number of the line that begins at pos. */
static uint64_t line_number(uint64_t pos)
{
	uint64_t n = 0;

	if (pos >= events.end)
		return events.number;
	for (;; pos++) {
		char c = events.text[pos % EVENTS_KEPT];

		if (c < '0' || c > '9')
			return n;
		n = n * 10 + (c - '0');
	}
}

static void *tell_thread(void *arg)
{
	const struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000L };

	(void)arg;
	mutex_lock(&events.lock);
	for (;;) {
		while (!events.news)
			pthread_cond_wait(&events.grown, &events.lock);
		events.news = false;
		mutex_unlock(&events.lock);
		events.on_new();
		/* The first event is told at once, a burst in a few pieces. */
		nanosleep(&pause, NULL);
		mutex_lock(&events.lock);
	}
	return NULL;
}

/* tail: what follows the time, without a newline. */
static void event_add(const char *tail)
{
	char line[LINE_BYTES], stamp[32];
	struct tm tm;
	int len;

	mutex_lock(&events.lock);
	if (!events.text)
		events.text = xmalloc(EVENTS_KEPT);
	clock_gettime(CLOCK_REALTIME, &events.when);
	gmtime_r(&events.when.tv_sec, &tm);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	len = snprintf(line, sizeof(line) - 1, "%llu %s.%03ldZ %s",
		       (unsigned long long)events.number, stamp,
		       events.when.tv_nsec / 1000000, tail);
	if ((size_t)len > sizeof(line) - 2)
		len = sizeof(line) - 2;
	line[len++] = '\n';
	while (events.end + len - events.start > EVENTS_KEPT) {
		events.start = line_end(events.start);
		events.first++;
	}
	ring_put(line, len);
	events.number++;
	events.news = true;
	if (events.on_new && !events.thread)
		events.thread = thread_start(tell_thread, NULL);
	pthread_cond_signal(&events.grown);
	mutex_unlock(&events.lock);
}

void events_on_new(void (*f)(void))
{
	mutex_lock(&events.lock);
	events.on_new = f;
	mutex_unlock(&events.lock);
}

uint64_t events_size(struct timespec *when)
{
	uint64_t size;

	mutex_lock(&events.lock);
	size = events.end;
	*when = events.when;
	mutex_unlock(&events.lock);
	return size;
}

uint64_t events_count(void)
{
	uint64_t n;

	mutex_lock(&events.lock);
	n = events.number - 1;
	mutex_unlock(&events.lock);
	return n;
}

/* ---- readers ------------------------------------------------------------------- */

static void rest_drop(struct event_reader *r)
{
	free(r->rest);
	r->rest = NULL;
	r->rest_len = r->rest_at = 0;
}

void event_reader_release(struct event_reader *r)
{
	rest_drop(r);
}

/* Locked. Another place than the one behind the last bytes. */
static void reader_seek(struct event_reader *r, uint64_t off)
{
	int64_t pos = (int64_t)off + r->shift;
	uint64_t end;

	rest_drop(r);
	r->next = off;
	r->number = 0;
	if (pos < (int64_t)events.start || pos >= (int64_t)events.end)
		return;
	if (pos > (int64_t)events.start && events.text[(pos - 1) % EVENTS_KEPT] != '\n') {
		end = line_end(pos);
		r->rest_len = end - pos;
		r->rest = xmalloc(r->rest_len);
		ring_get(r->rest, pos, r->rest_len);
		r->number = line_number(end);
	} else {
		r->number = line_number(pos);
	}
}

/* The offset in the text behind the line that is read in part. */
static int64_t reader_pos(const struct event_reader *r)
{
	return (int64_t)(r->next + r->rest_len - r->rest_at) + r->shift;
}

/* Locked. What was dropped before it was read becomes a line of its own. */
static void reader_lost(struct event_reader *r)
{
	uint64_t from = r->number ? r->number : 1;
	char line[64];
	int len;

	len = snprintf(line, sizeof(line), "lost %llu\n",
		       (unsigned long long)(events.first - from));
	r->rest = xmalloc(len);
	memcpy(r->rest, line, len);
	r->rest_len = len;
	r->rest_at = 0;
	r->number = events.first;
	r->shift = (int64_t)events.start - (int64_t)(r->next + len);
}

static size_t rest_take(struct event_reader *r, char *data, size_t len)
{
	size_t n = r->rest_len - r->rest_at;

	if (n > len)
		n = len;
	if (!n)
		return 0;
	memcpy(data, r->rest + r->rest_at, n);
	r->rest_at += n;
	r->next += n;
	if (r->rest_at == r->rest_len)
		rest_drop(r);
	return n;
}

/* Locked. Whole lines, as many as fit; a line that does not fit into an empty buffer
 * becomes the rest, so that a reader never stands within a line of the ring. */
static size_t lines_take(struct event_reader *r, char *data, size_t len, bool first)
{
	uint64_t pos = reader_pos(r), to = pos;

	while (to < events.end) {
		uint64_t end = line_end(to);

		if (end - pos > len)
			break;
		to = end;
	}
	if (to == pos && first && pos < events.end) {
		r->rest_len = line_end(pos) - pos;
		r->rest = xmalloc(r->rest_len);
		ring_get(r->rest, pos, r->rest_len);
		r->number = line_number(pos + r->rest_len);
		return rest_take(r, data, len);
	}
	if (to == pos)
		return 0;
	ring_get(data, pos, to - pos);
	r->next += to - pos;
	r->number = line_number(to);
	return to - pos;
}

ssize_t events_read(struct event_reader *r, void *data, size_t len, uint64_t off)
{
	char *out = data;
	size_t done;

	/* No text will be so long, and shift can be added to what is below. */
	if (!len || off > INT64_MAX / 2)
		return 0;
	mutex_lock(&events.lock);
	if (off != r->next)
		reader_seek(r, off);
	done = rest_take(r, out, len);
	if (!r->rest && reader_pos(r) < (int64_t)events.start) {
		reader_lost(r);
		done += rest_take(r, out + done, len - done);
	}
	if (!r->rest && reader_pos(r) < (int64_t)events.end)
		done += lines_take(r, out + done, len - done, !done);
	mutex_unlock(&events.lock);
	return done;
}

bool events_ready(const struct event_reader *r)
{
	bool ready;

	mutex_lock(&events.lock);
	ready = r->rest || reader_pos(r) < (int64_t)events.end;
	mutex_unlock(&events.lock);
	return ready;
}

/* ---- what is told ------------------------------------------------------------------ */

void name_escape(struct buf *out, const char *name)
{
	for (const unsigned char *c = (const unsigned char *)name; *c; c++) {
		if (*c <= ' ' || *c == '\\' || *c == 0x7f)
			buf_addf(out, "\\%03o", *c);
		else
			buf_add(out, c, 1);
	}
}

static void tail_begin(struct buf *b, const char *what, const char *pool)
{
	buf_addf(b, "%s ", what);
	name_escape(b, pool);
}

void event_pool(const char *pool, const char *what, const char *detail)
{
	_cleanup_buf_ struct buf b = {0};

	tail_begin(&b, what, pool);
	if (detail && *detail) {
		buf_addf(&b, " %s", detail);
		for (char *c = b.data; *c; c++)
			if ((unsigned char)*c < ' ')
				*c = '?';
	}
	event_add(b.data);
}

void event_volume(const char *pool, enum vol_change what, const char *volume,
		  const char *to, uint64_t size)
{
	static const char *const words[] = {
		[VOL_CREATED] = "volume-created",
		[VOL_DELETED] = "volume-deleted",
		[VOL_RENAMED] = "volume-renamed",
		[VOL_RESIZED] = "volume-resized",
		[VOL_LOST] = "volumes-changed",
	};
	_cleanup_buf_ struct buf b = {0};

	tail_begin(&b, words[what], pool);
	if (volume) {
		buf_addf(&b, " ");
		name_escape(&b, volume);
	}
	if (what == VOL_RENAMED) {
		buf_addf(&b, " ");
		name_escape(&b, to);
	}
	if (what == VOL_CREATED || what == VOL_RESIZED)
		buf_addf(&b, " %llu", (unsigned long long)size);
	event_add(b.data);
}
