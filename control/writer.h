/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * writer.h - XML out, character by character as libvirt prints it: two blanks
 * of indent, single quotes, a newline after each element.
 *
 * For format.c and volume_xml.c, which walk tables of rows (fields.h). Elements
 * are named by paths below the root, and opened and closed between the rows as
 * need be. Whatever bytes a text holds, what comes out is well-formed UTF-8.
 */
#ifndef POOLFS_WRITER_H
#define POOLFS_WRITER_H

#include "fields.h"

enum { WRITER_DEPTH = 8 };

struct writer {
	struct buf *out;
	const char *open[WRITER_DEPTH]; /* names; the caller's, until writer_end */
	size_t len[WRITER_DEPTH];
	size_t depth;
	bool tag;                       /* the start tag lacks its '>' */
	bool text;                      /* text was written: the end tag follows it */
};

void writer_begin(struct writer *w, struct buf *out, const char *root);
void writer_end(struct writer *w);
/* Makes path ("target/permissions", up to a '@') the innermost element. */
void writer_enter(struct writer *w, const char *path);
/* One more element of that name there, beside one that may be open. */
void writer_again(struct writer *w, const char *path);
/* Ends the start tag: the element is not written as "<x/>". */
void writer_open(struct writer *w);
/* Of the innermost element, before writer_open and writer_text. */
void writer_attribute(struct writer *w, const char *name, const char *text);
void writer_text(struct writer *w, const char *text);
/* The row's element or attribute, if its kind has something to print. */
void writer_row(struct writer *w, const struct field *f, const void *base,
		const struct pool_usage *u);

#endif
