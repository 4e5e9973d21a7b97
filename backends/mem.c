/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mem.c - memory that is there or ends the daemon, growing texts, the cleanup
 * functions behind the _cleanup_ attributes, and the clock.
 *
 * Called by everybody, on every floor. Never returns NULL and never frees
 * what it did not make.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void *memory_checked(void *p)
{
	if (!p) {
		static const char text[] = "poolfs: out of memory\n";
		ssize_t ignored = write(STDERR_FILENO, text, sizeof text - 1);

		(void)ignored;
		abort();
	}
	return p;
}

void *xmalloc(size_t size)
{
	return memory_checked(malloc(size ? size : 1));
}

void *xcalloc(size_t count, size_t size)
{
	return memory_checked(calloc(count ? count : 1, size ? size : 1));
}

void *xrealloc(void *old, size_t size)
{
	return memory_checked(realloc(old, size ? size : 1));
}

char *xstrdup(const char *text)
{
	return memory_checked(strdup(text));
}

char *xasprintf(const char *fmt, ...)
{
	char *text;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vasprintf(&text, fmt, ap);
	va_end(ap);
	return memory_checked(len < 0 ? NULL : text);
}

/* Room for len more bytes and a NUL. */
static void buf_grow(struct buf *b, size_t len)
{
	size_t need;

	if (__builtin_add_overflow(b->len, len, &need) ||
	    __builtin_add_overflow(need, 1, &need))
		memory_checked(NULL);
	if (need <= b->cap)
		return;
	if (b->cap <= SIZE_MAX / 2 && need < b->cap * 2)
		need = b->cap * 2;
	if (need < 64)
		need = 64;
	b->data = xrealloc(b->data, need);
	b->cap = need;
}

void buf_add(struct buf *b, const void *data, size_t len)
{
	buf_grow(b, len);
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	char *text;
	int len;

	va_start(ap, fmt);
	len = vasprintf(&text, fmt, ap);
	va_end(ap);
	memory_checked(len < 0 ? NULL : text);
	buf_add(b, text, len);
	free(text);
}

void buf_wipe(struct buf *b)
{
	if (b->data)
		explicit_bzero(b->data, b->cap);
	buf_release(b);
}

void buf_release(struct buf *b)
{
	free(b->data);
	*b = (struct buf){0};
}

void cleanup_free(void *p)
{
	free(*(void **)p);
}

void cleanup_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

uint64_t hash_add(uint64_t h, const void *data, size_t len)
{
	for (const unsigned char *p = data; len; len--)
		h = (h ^ *p++) * 0x100000001b3ULL;
	return h;
}

uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}
