/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * log.c - the last 1,000 messages, their copy on stderr or in syslog, the last
 * failure of each user, and the names of errno values.
 *
 * Called by control/ and fs/, never by a driver. Its locks are held for moments:
 * a message is written out after they are released. Never fails.
 */
#include "control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

enum {
	RING_LINES = 1000,
	LINE_MAX_BYTES = 1200,          /* two names and a sentence */
	REASON_USERS = 256,
};

struct line {
	time_t first, last;
	unsigned long count;
	char *text;                     /* without the time */
};

static struct {
	pthread_mutex_t lock;           /* all below */
	struct line lines[RING_LINES];
	unsigned long long next;        /* lines made so far; the newest is next - 1 */
	enum log_to to;
	bool debug;
} ring = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct reason {
	uid_t uid;
	unsigned long long used;        /* 0: free */
	char text[sizeof ((struct err *)0)->text];
};

static struct {
	pthread_mutex_t lock;
	struct reason *users;           /* REASON_USERS of them, once there is one */
	unsigned long long clock;
} reasons = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* A terminal obeys control characters, also those that UTF-8 spells C2 80..9F. */
static void text_clean(char *text)
{
	for (unsigned char *c = (unsigned char *)text; *c; c++) {
		if (*c < 0x20 || *c == 0x7f)
			*c = '?';
		else if (c[0] == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f)
			c[0] = c[1] = '?';
	}
}

static const char *time_text(time_t t, char text[32])
{
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return text;
}

static void line_emit(enum log_to to, int priority, time_t when, const char *text)
{
	char stamp[32], line[LINE_MAX_BYTES + 64];
	ssize_t ignored;
	int len;

	if (to == LOG_TO_SYSLOG) {
		syslog(priority, "%s", text);
		return;
	}
	/* One write(2): lines of two threads do not mix. */
	len = snprintf(line, sizeof line, "%s %s\n", time_text(when, stamp), text);
	ignored = write(STDERR_FILENO, line, (size_t)len);
	(void)ignored;
}

void log_open(enum log_to to, bool debug)
{
	if (to == LOG_TO_SYSLOG)
		openlog("poolfs", LOG_PID, LOG_DAEMON);
	mutex_lock(&ring.lock);
	ring.to = to;
	ring.debug = debug;
	mutex_unlock(&ring.lock);
}

void log_line(const char *pool, const char *op, int code, const char *text)
{
	char line[LINE_MAX_BYTES], repeated[64] = "";
	time_t now = time(NULL), then = 0;
	const char *name = code ? errno_name(code) : "";
	struct line *last, *l;
	enum log_to to;

	pool = pool ? pool : "";
	op = op ? op : "";
	snprintf(line, sizeof line, "%s%s%s%s%s%s%s", pool, *pool ? " " : "", op, *op ? " " : "",
		 name, *name ? " " : "", text);
	text_clean(line);

	mutex_lock(&ring.lock);
	to = ring.to;
	last = ring.next ? &ring.lines[(ring.next - 1) % RING_LINES] : NULL;
	if (last && strcmp(last->text, line) == 0) {
		last->last = now;
		last->count++;
		mutex_unlock(&ring.lock);
		return;
	}
	if (last && last->count > 1) {
		snprintf(repeated, sizeof repeated, "the line before came %lu times", last->count);
		then = last->last;
	}
	l = &ring.lines[ring.next++ % RING_LINES];
	free(l->text);
	*l = (struct line){.first = now, .last = now, .count = 1, .text = xstrdup(line)};
	mutex_unlock(&ring.lock);

	if (*repeated)
		line_emit(to, LOG_INFO, then, repeated);
	line_emit(to, code ? LOG_ERR : LOG_INFO, now, line);
}

void log_show(struct buf *out)
{
	char first[32], last[32];

	mutex_lock(&ring.lock);
	for (unsigned long long i = ring.next > RING_LINES ? ring.next - RING_LINES : 0;
	     i < ring.next; i++) {
		const struct line *l = &ring.lines[i % RING_LINES];

		buf_addf(out, "%s %s", time_text(l->first, first), l->text);
		if (l->count > 1)
			buf_addf(out, " (%lu times, last %s)", l->count, time_text(l->last, last));
		buf_addf(out, "\n");
	}
	mutex_unlock(&ring.lock);
}

void log_debug(const char *fmt, ...)
{
	char line[LINE_MAX_BYTES];
	enum log_to to;
	bool debug;
	va_list ap;

	mutex_lock(&ring.lock);
	to = ring.to;
	debug = ring.debug;
	mutex_unlock(&ring.lock);
	if (!debug)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	text_clean(line);
	line_emit(to, LOG_DEBUG, time(NULL), line);
}

/* ---- names of errno values -------------------------------------------------------- */

const char *errno_name(int code)
{
	static _Thread_local char unknown[16];
	const char *name = strerrorname_np(code);

	if (name)
		return name;
	snprintf(unknown, sizeof unknown, "E%d", code);
	return unknown;
}

/* ---- the last failure of a user ------------------------------------------------------ */

/* Locked. With make, takes the place of the user who has been quiet longest. */
static struct reason *reason_of(uid_t uid, bool make)
{
	struct reason *oldest;

	if (!reasons.users) {
		if (!make)
			return NULL;
		reasons.users = xcalloc(REASON_USERS, sizeof *reasons.users);
	}
	oldest = reasons.users;
	for (struct reason *r = reasons.users; r < reasons.users + REASON_USERS; r++) {
		if (r->used && r->uid == uid)
			return r;
		if (r->used < oldest->used)
			oldest = r;
	}
	if (!make)
		return NULL;
	oldest->uid = uid;
	return oldest;
}

void reason_set(uid_t uid, const char *text)
{
	struct reason *r;

	mutex_lock(&reasons.lock);
	r = reason_of(uid, true);
	r->used = ++reasons.clock;
	snprintf(r->text, sizeof r->text, "%s", text);
	text_clean(r->text);
	mutex_unlock(&reasons.lock);
}

void reason_show(uid_t uid, struct buf *out)
{
	struct reason *r;

	mutex_lock(&reasons.lock);
	r = reason_of(uid, false);
	if (r && r->text[0])
		buf_addf(out, "%s\n", r->text);
	else
		buf_add(out, "", 0);
	mutex_unlock(&reasons.lock);
}
