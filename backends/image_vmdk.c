/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * image_vmdk.c - reads VMware's formats: the sparse extent with its descriptor
 * inside (KDMV: monolithicSparse, streamOptimized and parts of split disks),
 * ESX's COWD and SESparse extents, and the descriptor as a file of its own,
 * whose extents are other files. After VMware's "Virtual Disk Format 5.0" and
 * what QEMU accepts.
 *
 * Called by image.c. Opens no extent and no parent: sizes of a descriptor are
 * what its lines say.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "image_parts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <strings.h>

enum {
	DESCRIPTOR_MAX = 64 << 10,      /* bytes */
	LINE_MAX_BYTES = IMAGE_NAME_MAX + 64,
};

/* ---- the descriptor ---------------------------------------------------------- */

static const char *const create_types[] = {
	"monolithicSparse", "monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat",
	"streamOptimized", "vmfs", "vmfsSparse", "vmfsThin", "seSparse", "fullDevice",
	"partitionedDevice", "vmfsRaw", "vmfsRDM", "vmfsPassthroughRawDeviceMap",
	"vmfsRawDeviceMap", "vmfsEagerZeroedThick", "vmfsPreallocated", "custom",
};

struct descriptor {
	uint64_t sectors;               /* of all extents */
	unsigned extents;
	bool has_parent, files;         /* files: not only this file itself */
	const char *type;
};

/* The text between quotes behind KEY=, or NULL; ends the text in place. */
static char *quoted(char *line, const char *key)
{
	size_t len = strlen(key);
	char *from, *to;

	if (strncasecmp(line, key, len))
		return NULL;
	from = line + len + strspn(line + len, " \t");
	if (*from++ != '=')
		return NULL;
	from += strspn(from, " \t");
	if (*from++ != '"')
		return NULL;
	to = strchr(from, '"');
	if (!to)
		return NULL;
	*to = '\0';
	return from;
}

/* ACCESS SECTORS TYPE "FILE" [OFFSET] */
static bool extent_line(struct image_info *info, struct descriptor *d, const char *line)
{
	static const char *const accesses[] = {"RW", "RDONLY", "NOACCESS"};
	uint64_t sectors = 0;
	const char *p = NULL;

	for (size_t i = 0; i < sizeof accesses / sizeof *accesses; i++) {
		size_t len = strlen(accesses[i]);

		if (!strncmp(line, accesses[i], len) && (line[len] == ' ' || line[len] == '\t'))
			p = line + len;
	}
	if (!p)
		return true;
	p += strspn(p, " \t");
	if (*p < '0' || *p > '9') {
		image_bad(info, "corrupt header: an extent of the descriptor has no size");
		return false;
	}
	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(sectors, 10, &sectors) ||
		    __builtin_add_overflow(sectors, *p - '0', &sectors))
			goto large;
	if (__builtin_add_overflow(d->sectors, sectors, &d->sectors))
		goto large;
	d->extents++;
	p += strspn(p, " \t");
	if (strncmp(p, "ZERO", 4))
		d->files = true;
	return true;
large:
	image_bad(info, "corrupt header: the extents of the descriptor add up to more than 2^64 sectors");
	return false;
}

static bool descriptor_line(struct image_info *info, struct descriptor *d, char *line, bool cut)
{
	char *text;

	line += strspn(line, " \t");
	if (cut && !strncasecmp(line, "parentFileNameHint", 18)) {
		image_bad(info, "corrupt header: the parent's name has more than %d bytes",
			  IMAGE_NAME_MAX);
		return false;
	}
	if ((text = quoted(line, "createType"))) {
		for (size_t i = 0; i < sizeof create_types / sizeof *create_types; i++)
			if (!strcasecmp(text, create_types[i]))
				d->type = create_types[i];
	} else if (!strncasecmp(line, "parentCID", 9)) {
		text = line + 9 + strspn(line + 9, " \t=");
		d->has_parent = strncasecmp(text, "ffffffff", 8) != 0;
	} else if ((text = quoted(line, "parentFileNameHint"))) {
		if (strlen(text) > IMAGE_NAME_MAX) {
			image_bad(info, "corrupt header: the parent's name has more than %d bytes",
				  IMAGE_NAME_MAX);
			return false;
		}
		if (*text && !info->backing)
			info->backing = xstrdup(text);
	} else {
		return extent_line(info, d, line);
	}
	return true;
}

/* Line by line; ends at a NUL or behind len bytes. */
static bool descriptor_read(struct image_source *s, struct image_info *info,
			    struct descriptor *d, uint64_t off, uint64_t len)
{
	char line[LINE_MAX_BYTES + 1], piece[512];
	size_t used = 0, at = 0, have = 0;
	bool cut = false;

	*d = (struct descriptor){0};
	if (len > DESCRIPTOR_MAX) {
		image_bad(info, "the descriptor has %" PRIu64 " bytes, more than the %d that poolfs reads",
			  len, DESCRIPTOR_MAX);
		return false;
	}
	for (;;) {
		char c = '\0';

		if (at == have && len) {
			have = len < sizeof piece ? len : sizeof piece;
			if (!source_get(s, off, piece, have)) {
				image_bad(info, "corrupt header: the descriptor lies beyond the end of the file");
				return false;
			}
			off += have;
			len -= have;
			at = 0;
		}
		if (at < have)
			c = piece[at++];
		if (c == '\n' || c == '\r' || !c) {
			line[used] = '\0';
			if (used && line[0] != '#' && !descriptor_line(info, d, line, cut))
				return false;
			used = 0;
			cut = false;
			if (!c)
				break;
		} else if (used < LINE_MAX_BYTES) {
			line[used++] = c;
		} else {
			cut = true;
		}
	}
	info->variant = d->type;
	if (d->has_parent) {
		info->features |= IMAGE_PARENT;
		if (info->backing)
			memcpy(info->backing_format, "vmdk", sizeof "vmdk");
	} else {
		free(info->backing);    /* a hint without a parent says nothing */
		info->backing = NULL;
	}
	return true;
}

static void descriptor_file(struct image_source *s, struct image_info *info)
{
	struct descriptor d;

	if (!descriptor_read(s, info, &d, 0, s->size))
		return;
	if (!d.extents) {
		image_bad(info, "corrupt header: the descriptor names no extent");
		return;
	}
	if (d.files)
		info->features |= IMAGE_EXTENTS;
	image_set_size(info, d.sectors, 512);
}

/* ---- KDMV: hosted sparse extents ---------------------------------------------- */

#define FLAG_RGD 2U
#define FLAG_COMPRESSED 0x10000U
#define GD_AT_END UINT64_MAX
#define GRAIN_MAX 0x200000U             /* sectors: 1 GiB */
#define TABLES_MAX (32U << 20)

static bool sectors_fit(struct image_source *s, struct image_info *info, const char *what,
			uint64_t sector, uint64_t bytes)
{
	if (!sector || sector > UINT64_MAX / 512) {
		image_bad(info, "corrupt header: the %s lies at sector %" PRIu64, what, sector);
		return false;
	}
	return image_table(s, info, what, sector * 512, bytes, 512);
}

static void sparse_read(struct image_source *s, struct image_info *info)
{
	static const uint8_t newlines[] = {'\n', ' ', '\r', '\n'};
	uint8_t h[79];
	uint64_t capacity, grain, desc_off, desc_len, rgd, gd, tables, per_table;
	uint32_t flags, entries;
	struct descriptor d = {0};

	if (!image_header(s, info, h, sizeof h))
		return;
	info->version = le32(h + 4);
	if (info->version < 1 || info->version > 3) {
		image_bad(info, "corrupt header: version %u of VMDK is not known", info->version);
		return;
	}
	if (le64(h + 56) == GD_AT_END) {
		/* Written in one go: the true header is the footer, between two
		 * markers, in the last three sectors. */
		if (s->size < 2048 || !source_get(s, s->size - 1024, h, sizeof h) ||
		    memcmp(h, "KDMV", 4) || le64(h + 56) == GD_AT_END) {
			image_bad(info, "corrupt header: the footer is missing at the end of the file");
			return;
		}
	}
	flags = le32(h + 8);
	capacity = le64(h + 12);
	grain = le64(h + 20);
	desc_off = le64(h + 28);
	desc_len = le64(h + 36);
	entries = le32(h + 44);
	rgd = le64(h + 48);
	gd = le64(h + 56);

	if (memcmp(h + 73, newlines, sizeof newlines)) {
		image_bad(info, "corrupt header: its line ends were changed, as by a transfer as text");
		return;
	}
	if (desc_off && desc_len) {
		uint64_t at, len;

		if (__builtin_mul_overflow(desc_off, 512, &at) ||
		    __builtin_mul_overflow(desc_len, 512, &len)) {
			image_bad(info, "corrupt header: the descriptor lies at sector %" PRIu64, desc_off);
			return;
		}
		if (!descriptor_read(s, info, &d, at, len))
			return;
	}
	if (!capacity && d.extents) {   /* the header is a stub; the descriptor has it all */
		info->features |= d.files ? IMAGE_EXTENTS : 0;
		image_set_size(info, d.sectors, 512);
		return;
	}
	if (!is_power_of_2(grain) || grain > GRAIN_MAX) {
		image_bad(info, "corrupt header: the grain size, %" PRIu64
			  " sectors, is no power of two up to %u", grain, GRAIN_MAX);
		return;
	}
	if (!entries || entries > 512) {
		image_bad(info, "corrupt header: grain tables of %" PRIu32 " entries", entries);
		return;
	}
	per_table = grain * entries;
	tables = units_of(capacity, per_table);
	if (!capacity || tables > TABLES_MAX) {
		image_bad(info, "corrupt header: the size, %" PRIu64 " sectors, is impossible", capacity);
		return;
	}
	if (!sectors_fit(s, info, "grain directory", gd, tables * 4) ||
	    ((flags & FLAG_RGD) &&
	     !sectors_fit(s, info, "second grain directory", rgd, tables * 4)))
		return;
	if (!info->variant && (flags & FLAG_COMPRESSED))
		info->variant = "streamOptimized";
	info->cluster_size = grain * 512;
	image_set_size(info, capacity, 512);
}

/* ---- ESX ------------------------------------------------------------------------ */

static void cowd_read(struct image_source *s, struct image_info *info)
{
	uint8_t h[44];
	uint32_t sectors, grain, gd, entries;

	if (!image_header(s, info, h, sizeof h))
		return;
	info->version = le32(h + 4);
	sectors = le32(h + 12);
	grain = le32(h + 16);
	gd = le32(h + 20);
	entries = le32(h + 24);
	if (info->version != 1) {
		image_bad(info, "corrupt header: version %u of COWD is not known", info->version);
		return;
	}
	if (!is_power_of_2(grain) || grain > GRAIN_MAX) {
		image_bad(info, "corrupt header: the grain size, %" PRIu32
			  " sectors, is no power of two up to %u", grain, GRAIN_MAX);
		return;
	}
	/* A grain table has 4,096 entries. */
	if (!sectors || units_of(sectors, (uint64_t)grain * 4096) > entries) {
		image_bad(info, "corrupt header: a grain directory of %" PRIu32
			  " entries for %" PRIu32 " sectors", entries, sectors);
		return;
	}
	if (!sectors_fit(s, info, "grain directory", gd, (uint64_t)entries * 4))
		return;
	info->variant = "vmfsSparse";
	info->cluster_size = (uint64_t)grain * 512;
	image_set_size(info, sectors, 512);
}

static void sesparse_read(struct image_source *s, struct image_info *info)
{
	uint8_t h[208];
	uint64_t version, capacity, grain, table, gd, gd_len;

	if (!image_header(s, info, h, sizeof h))
		return;
	version = le64(h + 8);
	capacity = le64(h + 16);
	grain = le64(h + 24);
	table = le64(h + 32);
	gd = le64(h + 128);
	gd_len = le64(h + 136);
	if (version != UINT64_C(0x0000000200000001)) {
		image_bad(info, "corrupt header: version 0x%" PRIx64 " of SESparse is not known", version);
		return;
	}
	info->version = 2;
	if (grain != 8 || table != 64) {
		image_bad(info, "corrupt header: grains of %" PRIu64 " sectors, grain tables of %" PRIu64,
			  grain, table);
		return;
	}
	/* A grain table of 64 sectors has 4,096 entries of 8 bytes; the
	 * directory, in sectors, 64 entries in each. */
	if (!capacity || gd_len > TABLES_MAX / 64 ||
	    units_of(capacity, 8 * 4096) > gd_len * 64) {
		image_bad(info, "corrupt header: a grain directory of %" PRIu64
			  " sectors for %" PRIu64 " sectors", gd_len, capacity);
		return;
	}
	if (!sectors_fit(s, info, "grain directory", gd, gd_len * 512))
		return;
	info->variant = "seSparse";
	info->cluster_size = grain * 512;
	image_set_size(info, capacity, 512);
}

void vmdk_read(struct image_source *s, struct image_info *info)
{
	uint8_t magic[4];

	if (!image_header(s, info, magic, sizeof magic))
		return;
	if (!memcmp(magic, "KDMV", 4))
		sparse_read(s, info);
	else if (!memcmp(magic, "COWD", 4))
		cowd_read(s, info);
	else if (magic[0] == '#')
		descriptor_file(s, info);
	else
		sesparse_read(s, info);
}
