/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * image_misc.c - reads the headers of the smaller formats: VirtualBox's vdi,
 * User Mode Linux's cow, bochs, cloop, Apple's dmg and ISO 9660.
 *
 * Called by image.c. Reads no table and unpacks nothing (a dmg's and a cloop's
 * data are compressed).
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "image_parts.h"

#include <inttypes.h>

/* ---- vdi ------------------------------------------------------------------------ */

void vdi_read(struct image_source *s, struct image_info *info)
{
	static const char *const types[] = {NULL, "dynamic", "static", "undo", "differencing"};
	uint8_t h[400];
	uint64_t size, map_len;
	uint32_t type, map, data, block, extra, blocks;

	if (!image_header(s, info, h, sizeof h))
		return;
	if (le32(h + 68) != 0x00010001) {
		image_bad(info, "corrupt header: version %u.%u of VDI is not known", le16(h + 70), le16(h + 68));
		return;
	}
	info->version = 1;
	type = le32(h + 76);
	map = le32(h + 340);
	data = le32(h + 344);
	size = le64(h + 368);
	block = le32(h + 376);
	extra = le32(h + 380);
	blocks = le32(h + 384);
	if (type < 1 || type > 4) {
		image_bad(info, "corrupt header: the type %" PRIu32 " of image is not known", type);
		return;
	}
	if (le32(h + 360) != 512 || !is_power_of_2(block) || block < 512 || extra) {
		image_bad(info, "corrupt header: sectors of %" PRIu32 " bytes in blocks of %" PRIu32
			  " and %" PRIu32, le32(h + 360), block, extra);
		return;
	}
	if (size > (uint64_t)blocks * block) {
		image_bad(info, "corrupt header: %" PRIu32 " blocks of %" PRIu32
			  " bytes cannot hold %" PRIu64 " bytes", blocks, block, size);
		return;
	}
	map_len = (uint64_t)blocks * 4;
	if (map < sizeof h || map % 512 || data % 512 || data < map + map_len) {
		image_bad(info, "corrupt header: the block map at %" PRIu32 " and the data at %" PRIu32
			  " overlap, or are out of place", map, data);
		return;
	}
	if (!image_table(s, info, "block map", map, map_len, 512))
		return;
	info->variant = types[type];
	info->features = type > 2 ? IMAGE_PARENT : 0;   /* known by uuid only */
	info->cluster_size = block;
	/* QEMU rounds up to whole sectors. */
	image_set_size(info, units_of(size, 512), 512);
}

/* ---- cow ------------------------------------------------------------------------ */

bool cow_is(struct image_source *s)
{
	uint8_t version[4];

	return !source_get(s, 4, version, sizeof version) ||
	       (be32(version) >= 1 && be32(version) <= 3);
}

void cow_read(struct image_source *s, struct image_info *info)
{
	uint8_t h[1056];
	uint64_t size, map;
	uint32_t sector, name_off = 8;

	if (!image_header(s, info, h, 8))
		return;
	info->version = be32(h + 4);
	if (info->version != 2 && info->version != 3) {
		image_bad(info, "corrupt header: version %u of COW is not known", info->version);
		return;
	}
	if (!image_header(s, info, h, sizeof h))
		return;
	if (info->version == 3) {
		size = be64(h + 12);
		sector = be32(h + 20);
		name_off = 32;
		map = 32 + 4096;
	} else if (be32(h + 1044) != 512 && be32(h + 1048) == 512) {
		/* Written on a machine that aligns 64 bits to 8 bytes. */
		size = be64(h + 1040);
		sector = be32(h + 1048);
		map = 1056;
	} else {
		size = be64(h + 1036);
		sector = be32(h + 1044);
		map = 1048;
	}
	if (!is_power_of_2(sector) || sector < 512 || sector > 65536) {
		image_bad(info, "corrupt header: sectors of %" PRIu32 " bytes", sector);
		return;
	}
	if (size > INT64_MAX || !source_has(s, map, units_of(units_of(size, sector), 8))) {
		image_bad(info, "corrupt header: for a size of %" PRIu64
			  " bytes the file is too small", size);
		return;
	}
	/* The name is text up to a NUL. */
	if (source_get(s, name_off, h, IMAGE_NAME_MAX + 1) &&
	    !memchr(h, '\0', IMAGE_NAME_MAX + 1)) {
		image_bad(info, "corrupt header: the backing file's name has more than %d bytes",
			  IMAGE_NAME_MAX);
		return;
	}
	info->backing = image_name(s, info, name_off, IMAGE_NAME_MAX, "backing file's name");
	if (info->problem)
		return;
	info->features = info->backing ? IMAGE_PARENT : 0;
	image_set_size(info, size, 1);
}

/* ---- bochs ---------------------------------------------------------------------- */

void bochs_read(struct image_source *s, struct image_info *info)
{
	static const char *const subtypes[] = {"Growing", "Undoable", "Volatile"};
	uint8_t h[104];
	uint64_t size;
	uint32_t version, header, entries, bitmap, extent;

	if (!image_header(s, info, h, sizeof h))
		return;
	version = le32(h + 64);
	header = le32(h + 68);
	entries = le32(h + 72);
	bitmap = le32(h + 76);
	extent = le32(h + 80);
	if (memcmp(h + 32, "Redolog", 8)) {
		image_bad(info, "corrupt header: only images of type 'Redolog' are known");
		return;
	}
	if (version != 0x00020000 && version != 0x00010000) {
		image_bad(info, "corrupt header: version 0x%" PRIx32 " of bochs is not known", version);
		return;
	}
	info->version = version >> 16;
	size = le64(h + (info->version == 2 ? 88 : 84));
	for (size_t i = 0; i < sizeof subtypes / sizeof *subtypes; i++)
		if (!strncmp((char *)h + 48, subtypes[i], 16))
			info->variant = subtypes[i];
	if (!info->variant) {
		image_bad(info, "corrupt header: the kind of redolog is not known");
		return;
	}
	if (!is_power_of_2(extent) || extent < 512 || extent > 8 << 20 ||
	    bitmap < units_of(extent, 512 * 8)) {
		image_bad(info, "corrupt header: extents of %" PRIu32 " bytes with maps of %" PRIu32,
			  extent, bitmap);
		return;
	}
	if (size % 512 || size / 512 > (uint64_t)entries * extent / 512 || size > INT64_MAX) {
		image_bad(info, "corrupt header: %" PRIu32 " extents of %" PRIu32
			  " bytes cannot hold %" PRIu64 " bytes", entries, extent, size);
		return;
	}
	if (header < sizeof h) {
		image_bad(info, "corrupt header: a length of %" PRIu32 " bytes", header);
		return;
	}
	if (!image_table(s, info, "catalogue", header, (uint64_t)entries * 4, 512))
		return;
	info->cluster_size = extent;
	image_set_size(info, size, 1);
}

/* ---- cloop ---------------------------------------------------------------------- */

void cloop_read(struct image_source *s, struct image_info *info)
{
	uint8_t h[136];
	uint32_t block, blocks;

	if (!image_header(s, info, h, sizeof h))
		return;
	info->version = 2;
	block = be32(h + 128);
	blocks = be32(h + 132);
	if (!block || block % 512 || block > 64 << 20) {
		image_bad(info, "corrupt header: the block size, %" PRIu32
			  ", is no multiple of 512 up to 67108864", block);
		return;
	}
	if (!image_table(s, info, "block table", sizeof h, ((uint64_t)blocks + 1) * 8, 1))
		return;
	info->cluster_size = block;
	image_set_size(info, blocks, block);
}

/* ---- dmg ------------------------------------------------------------------------- */

void dmg_read(struct image_source *s, struct image_info *info)
{
	static const struct {
		unsigned off, len;
		const char *what;
	} parts[] = {{24, 32, "data"}, {40, 48, "resources"}, {216, 224, "list of blocks"}};
	uint64_t sectors, body = s->size - 512;
	uint8_t h[512];

	if (!source_get(s, body, h, sizeof h)) {
		image_bad(info, "corrupt header: it cannot be read");
		return;
	}
	info->version = be32(h + 4);
	if (info->version != 4 || be32(h + 8) != sizeof h) {
		image_bad(info, "corrupt header: version %u of DMG is not known", info->version);
		return;
	}
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		uint64_t off = be64(h + parts[i].off), len = be64(h + parts[i].len);

		if (len && (off > body || len > body - off)) {
			image_bad(info, "corrupt header: the %s (%" PRIu64 " bytes at %" PRIu64
				  ") lie beyond the end of the file", parts[i].what, len, off);
			return;
		}
	}
	sectors = be64(h + 492);
	if (!sectors) {
		image_bad(info, "corrupt header: it says no size");
		return;
	}
	image_set_size(info, sectors, 512);
}

/* ---- iso ------------------------------------------------------------------------- */

/* The disk is the file, as it is for a raw image: a file that is longer or
 * shorter than its file system is still read as it is. */
void iso_read(struct image_source *s, struct image_info *info)
{
	uint8_t d[8];

	if (!source_get(s, 32768, d, sizeof d) || !source_has(s, 32768, 2048)) {
		image_bad(info, "corrupt header: the file ends in the first volume descriptor");
		return;
	}
	info->version = d[6];
	if (d[6] != 1) {
		image_bad(info, "corrupt header: version %u of the volume descriptor is not known", d[6]);
		return;
	}
	image_set_size(info, s->size, 1);
}
