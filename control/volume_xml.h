/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * volume_xml.h - a volume's XML, in and out, and the <disk> that gives it to a
 * virtual machine.
 *
 * For volumes.c and the tests. libvirt's dialect and order; an element is one
 * row of a table in volume_xml.c, which both directions walk. Knows no pool.
 */
#ifndef POOLFS_VOLUME_XML_H
#define POOLFS_VOLUME_XML_H

#include "control.h"

struct volume_def {
	char *name;
	struct vol_desc d;      /* read: what may be wished for; printed: what is */
	bool capacity_set, allocation_set;
	bool features;          /* <features> was there */
	bool nocow;
	bool encrypted;         /* <encryption> was there */
	const char *formats;    /* while it is read */
	char unit[8];           /* while it is read: of the size to come */
};
void volume_def_release(struct volume_def *v);

/* Reads what a new volume shall be. name: what <name> must be, or be missing.
 * formats: the words of the pool's type, with blanks between; NULL: it has none,
 * and a format is ignored. v is filled anew, and to be released after a success.
 * EINVAL names the line and the word. What only tells of a volume that is there
 * (key, path, times, physical) is ignored, so that a dump can be written back. */
int volume_parse(const char *xml, size_t len, const char *name, const char *formats,
		 struct volume_def *v, struct err *e);
void volume_format(const char *name, const struct vol_desc *d, struct buf *out);
/* The domain's <disk>, to paste into it. pool: whom a volume on the network is asked
 * of; others do without. */
void volume_disk_format(const struct pool_def *pool, const struct vol_desc *d, struct buf *out);

#endif
