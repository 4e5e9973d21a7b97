/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * image_parts.h - what the readers of the image formats (image_*.c) share:
 * the bounded source of bytes, numbers in both byte orders, and the one way
 * to say that a header is unfit. Nobody else includes it, but fuzz targets.
 */
#ifndef POOLFS_IMAGE_PARTS_H
#define POOLFS_IMAGE_PARTS_H

#include "image.h"

#include <string.h>

/* The bytes of one image while it is probed. Counts what it reads, and gives
 * nothing more once IMAGE_PAGES_MAX is reached. */
struct image_source {
	_Alignas(IMAGE_PAGE) uint8_t page[IMAGE_PAGE];
	image_read_f *read;
	void *arg;
	uint64_t size;
	uint64_t page_off;      /* of the page that is held; page_len 0: none is */
	size_t page_len;
	unsigned pages;         /* read so far */
	int error;              /* a read failed: positive errno */
};

/* All len bytes, or false and zeroes. */
bool source_get(struct image_source *s, uint64_t off, void *to, size_t len);
/* Is [off, off+len) inside the image? No overflow. */
bool source_has(const struct image_source *s, uint64_t off, uint64_t len);

/* A format: its signatures, what else must hold, and its reader. The reader
 * finds *info zeroed but for the format, and sets what it knows. */
struct image_magic {
	int64_t at;             /* negative: from the end */
	const char *bytes;
	size_t len;
};
struct image_kind {
	struct image_magic magics[5];   /* any of them; ends with bytes NULL */
	bool (*is)(struct image_source *s);     /* NULL: the signature will do */
	void (*read)(struct image_source *s, struct image_info *info);
};
extern const struct image_kind image_kinds[IMAGE_FORMAT_COUNT];

bool qcow_is(struct image_source *s);
bool cow_is(struct image_source *s);
void qcow_read(struct image_source *s, struct image_info *info);
void qcow2_read(struct image_source *s, struct image_info *info);
void qed_read(struct image_source *s, struct image_info *info);
void vmdk_read(struct image_source *s, struct image_info *info);
void vhdx_read(struct image_source *s, struct image_info *info);
void vpc_read(struct image_source *s, struct image_info *info);
void vdi_read(struct image_source *s, struct image_info *info);
void luks_read(struct image_source *s, struct image_info *info);
void cow_read(struct image_source *s, struct image_info *info);
void bochs_read(struct image_source *s, struct image_info *info);
void cloop_read(struct image_source *s, struct image_info *info);
void dmg_read(struct image_source *s, struct image_info *info);
void iso_read(struct image_source *s, struct image_info *info);

/* The header is unfit: only the format, its version and this sentence stay.
 * The first call counts. fmt begins with "corrupt header: " or says what
 * poolfs does not know. */
void image_bad(struct image_info *info, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* The first need bytes of a header; false after image_bad: it is cut short. */
bool image_header(struct image_source *s, struct image_info *info, void *to, size_t need);
/* Sets the size, or says that it cannot be: more than 2^63-1 bytes. */
bool image_set_size(struct image_info *info, uint64_t units, uint64_t unit);
/* A name of len bytes at off, up to its first NUL; NULL after image_bad if it
 * is too long or not there, NULL without if it is empty. what: for the sentence. */
char *image_name(struct image_source *s, struct image_info *info, uint64_t off,
		 uint64_t len, const char *what);
/* Is the table at off inside the image? At its end a file may lack what was
 * never written, up to the next multiple of slack. Else image_bad. */
bool image_table(struct image_source *s, struct image_info *info, const char *what,
		 uint64_t off, uint64_t len, uint64_t slack);

static inline bool is_power_of_2(uint64_t v) { return v && !(v & (v - 1)); }
/* How many units of size unit hold v; unit is not 0. */
static inline uint64_t units_of(uint64_t v, uint64_t unit) { return v / unit + (v % unit != 0); }

static inline uint16_t be16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }
static inline uint32_t be32(const uint8_t *p) { return (uint32_t)be16(p) << 16 | be16(p + 2); }
static inline uint64_t be64(const uint8_t *p) { return (uint64_t)be32(p) << 32 | be32(p + 4); }
static inline uint16_t le16(const uint8_t *p) { return (uint16_t)(p[1] << 8 | p[0]); }
static inline uint32_t le32(const uint8_t *p) { return (uint32_t)le16(p + 2) << 16 | le16(p); }
static inline uint64_t le64(const uint8_t *p) { return (uint64_t)le32(p + 4) << 32 | le32(p); }

#endif
