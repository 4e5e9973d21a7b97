/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * image_cache.h - what image_probe() found, kept by the file's identity.
 *
 * For whoever describes many volumes again and again. A result counts for one
 * file (device, inode) in one state (size, mtime, ctime, to the nanosecond).
 * It is kept only if both times are more than IMAGE_CACHE_SETTLED seconds in
 * the past: a change within the clock tick of the last one leaves no trace in
 * them, and FAT counts in twos. Block devices are never kept, since writing
 * them changes no time. Any thread may call; the lock is not held while a file
 * is read. Bounded: the least recently used goes first.
 */
#ifndef POOLFS_IMAGE_CACHE_H
#define POOLFS_IMAGE_CACHE_H

#include "image.h"

enum { IMAGE_CACHE_MAX = 4096, IMAGE_CACHE_SETTLED = 2 };

struct image_cache;
struct image_cache *image_cache_new(unsigned max);      /* max 0: IMAGE_CACHE_MAX */
void image_cache_free(struct image_cache *c);           /* NULL is fine */

/* As image_probe, from the cache where it can be. */
int image_cache_probe(struct image_cache *c, int fd, struct image_info *info,
		      struct err *e);
/* What is known of the file with these attributes, without opening it; false:
 * nothing. *info is to be released after true. */
bool image_cache_find(struct image_cache *c, const struct stat *st, struct image_info *info);

struct image_cache_count {
	uint64_t hits, misses;  /* of find and probe */
	unsigned entries;
};
struct image_cache_count image_cache_count(struct image_cache *c);

#endif
