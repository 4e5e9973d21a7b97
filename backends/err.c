/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * err.c - an errno and one sentence, filled where the cause is known.
 *
 * Called by everybody, on every floor. Never allocates, never logs, never
 * reads errno except in err_sys(), and keeps it as it was.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "backend.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Names of volumes and words of programs end up in a log of lines. */
static void text_clean(char *text)
{
	for (unsigned char *c = (unsigned char *)text; *c; c++)
		if (*c < 0x20 || *c == 0x7f)
			*c = '?';
}

static void text_put(struct err *e, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));
static void text_put(struct err *e, const char *fmt, va_list ap)
{
	/* The arguments may point into the old text. */
	char text[sizeof e->text];

	vsnprintf(text, sizeof text, fmt, ap);
	text_clean(text);
	memcpy(e->text, text, sizeof text);
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;

	assert(code > 0);
	e->code = code;
	va_start(ap, fmt);
	text_put(e, fmt, ap);
	va_end(ap);
	errno = saved;
	return -code;
}

int err_sys(struct err *e, const char *fmt, ...)
{
	int code = errno;
	va_list ap;
	size_t len;

	assert(code > 0);
	e->code = code;
	va_start(ap, fmt);
	text_put(e, fmt, ap);
	va_end(ap);
	len = strlen(e->text);
	snprintf(e->text + len, sizeof e->text - len, ": %s", strerror(code));
	errno = code;
	return -code;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	int saved = errno;
	char old[sizeof e->text];
	va_list ap;
	size_t len;

	memcpy(old, e->text, sizeof old);
	va_start(ap, fmt);
	text_put(e, fmt, ap);
	va_end(ap);
	len = strlen(e->text);
	snprintf(e->text + len, sizeof e->text - len, ": %s", old);
	errno = saved;
	return -e->code;
}
