/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * image_vhd.c - reads the headers of Virtual PC's and Hyper-V's disks: VHD
 * ("vpc": fixed, dynamic, differencing) and VHDX. After Microsoft's "Virtual
 * Hard Disk Image Format Specification" and [MS-VHDX].
 *
 * Called by image.c. Replays no log and reads no allocation table. A parent is
 * at most named (vpc), never looked for.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "image_parts.h"

#include <inttypes.h>

/* ---- vpc ---------------------------------------------------------------------- */

enum { VHD_FIXED = 2, VHD_DYNAMIC = 3, VHD_DIFFERENCING = 4 };
#define VHD_MAX_SECTORS (UINT64_C(2040) << 21)          /* 2040 GiB */
#define VHD_MAX_CHS (UINT64_C(65535) * 16 * 255)

static bool vhd_sum_fits(const uint8_t *block, size_t len, size_t at)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += i >= at && i < at + 4 ? 0 : block[i];
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
	return true;                    /* as in vhdx_sum_fits */
#endif
	return ~sum == be32(block + at);
}

/* Virtual PC goes by the geometry, the later programs by the size: what a guest
 * of QEMU sees depends on who made the image. */
static uint64_t vhd_sectors(const uint8_t *footer)
{
	static const char by_size[][5] = {"win ", "qem2", "d2v ", "tap\0", "CTXS", "wa\0\0"};
	uint64_t chs = (uint64_t)be16(footer + 56) * footer[58] * footer[59];

	for (size_t i = 0; i < sizeof by_size / sizeof *by_size; i++)
		if (!memcmp(footer + 28, by_size[i], 4))
			return be64(footer + 48) / 512;
	return chs == VHD_MAX_CHS ? be64(footer + 48) / 512 : chs;
}

/* UTF-16, big endian, as UTF-8; what is no character becomes '?'. */
static char *parent_name(const uint8_t *from, size_t units)
{
	char name[IMAGE_NAME_MAX + 1];
	size_t n = 0;

	for (size_t i = 0; i < units && n + 4 < sizeof name; i++) {
		uint32_t c = be16(from + 2 * i);

		if (!c)
			break;
		if (c >= 0xd800 && c < 0xdc00 && i + 1 < units &&
		    (be16(from + 2 * i + 2) & 0xfc00) == 0xdc00) {
			c = 0x10000 + ((c & 0x3ff) << 10 | (be16(from + 2 * i + 2) & 0x3ff));
			i++;
		} else if (c >= 0xd800 && c < 0xe000) {
			c = '?';
		}
		if (c < 0x80) {
			name[n++] = (char)c;
		} else if (c < 0x800) {
			name[n++] = (char)(0xc0 | c >> 6);
			name[n++] = (char)(0x80 | (c & 0x3f));
		} else if (c < 0x10000) {
			name[n++] = (char)(0xe0 | c >> 12);
			name[n++] = (char)(0x80 | (c >> 6 & 0x3f));
			name[n++] = (char)(0x80 | (c & 0x3f));
		} else {
			name[n++] = (char)(0xf0 | c >> 18);
			name[n++] = (char)(0x80 | (c >> 12 & 0x3f));
			name[n++] = (char)(0x80 | (c >> 6 & 0x3f));
			name[n++] = (char)(0x80 | (c & 0x3f));
		}
	}
	name[n] = '\0';
	return n ? xstrdup(name) : NULL;
}

static void vhd_dynamic(struct image_source *s, struct image_info *info, uint64_t at,
			uint64_t sectors, bool differencing)
{
	uint8_t h[1024];
	uint64_t bat;
	uint32_t blocks, block_size;

	if (at < 512 || !source_get(s, at, h, sizeof h) || memcmp(h, "cxsparse", 8)) {
		image_bad(info, "corrupt header: no second header at %" PRIu64, at);
		return;
	}
	if (!vhd_sum_fits(h, sizeof h, 36)) {
		image_bad(info, "corrupt header: the checksum of the second header is wrong");
		return;
	}
	bat = be64(h + 16);
	blocks = be32(h + 28);
	block_size = be32(h + 32);
	if (!is_power_of_2(block_size) || block_size < 512) {
		image_bad(info, "corrupt header: the block size, %" PRIu32
			  ", is no power of two from 512 on", block_size);
		return;
	}
	if (sectors * 512 > (uint64_t)blocks * block_size) {
		image_bad(info, "corrupt header: %" PRIu32 " blocks of %" PRIu32
			  " bytes cannot hold %" PRIu64 " sectors", blocks, block_size, sectors);
		return;
	}
	if (bat < 512) {
		image_bad(info, "corrupt header: the block table lies in the header");
		return;
	}
	if (!image_table(s, info, "block table", bat, (uint64_t)blocks * 4, 512))
		return;
	info->cluster_size = block_size;
	if (differencing) {
		info->backing = parent_name(h + 64, 256);
		if (info->backing)
			memcpy(info->backing_format, "vpc", sizeof "vpc");
		info->features |= IMAGE_PARENT;
	}
	image_set_size(info, sectors, 512);
}

void vpc_read(struct image_source *s, struct image_info *info)
{
	uint8_t h[512];
	uint64_t sectors;
	uint32_t type;
	bool at_head = source_get(s, 0, h, 8) && !memcmp(h, "conectix", 8);

	if (at_head) {
		if (!image_header(s, info, h, sizeof h))
			return;
	} else if (!source_get(s, s->size - 512, h, sizeof h)) {
		image_bad(info, "corrupt header: the footer cannot be read");
		return;
	}
	if (be32(h + 12) >> 16 != 1) {
		image_bad(info, "corrupt header: version 0x%" PRIx32 " of VHD is not known", be32(h + 12));
		return;
	}
	info->version = 1;
	if (!vhd_sum_fits(h, sizeof h, 64)) {
		image_bad(info, "corrupt header: its checksum is wrong");
		return;
	}
	type = be32(h + 60);
	if (at_head ? type != VHD_DYNAMIC && type != VHD_DIFFERENCING : type != VHD_FIXED) {
		image_bad(info, "corrupt header: a disk of type %" PRIu32 " has none at the %s of the file",
			  type, at_head ? "head" : "end");
		return;
	}
	sectors = vhd_sectors(h);
	if (!sectors || sectors > VHD_MAX_SECTORS) {
		image_bad(info, "corrupt header: the size, %" PRIu64 " sectors, is not between 1 and %"
			  PRIu64, sectors, VHD_MAX_SECTORS);
		return;
	}
	if (type != VHD_FIXED) {
		info->variant = type == VHD_DYNAMIC ? "dynamic" : "differencing";
		vhd_dynamic(s, info, be64(h + 16), sectors, type == VHD_DIFFERENCING);
		return;
	}
	if (sectors > (s->size - 512) / 512) {
		image_bad(info, "corrupt header: it claims %" PRIu64 " sectors, the file has %" PRIu64,
			  sectors, (s->size - 512) / 512);
		return;
	}
	info->variant = "fixed";
	image_set_size(info, sectors, 512);
}

/* ---- vhdx ----------------------------------------------------------------------- */

enum { VHDX_REGION_TABLE = 64 << 10, VHDX_ENTRIES_MAX = 2047, VHDX_MIB = 1 << 20 };
#define VHDX_SIZE_MAX (UINT64_C(64) << 40)

/* GUIDs as they lie in the file. */
static const uint8_t guid_metadata[16] = {0x06, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b,
					  0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e};
static const uint8_t guid_parameters[16] = {0x37, 0x67, 0xa1, 0xca, 0x36, 0xfa, 0x43, 0x4d,
					    0xb3, 0xb6, 0x33, 0xf0, 0xaa, 0x44, 0xe7, 0x6b};
static const uint8_t guid_size[16] = {0x24, 0x42, 0xa5, 0x2f, 0x1b, 0xcd, 0x76, 0x48,
				      0xb2, 0x11, 0x5d, 0xbe, 0xd8, 0x3b, 0xf4, 0xb8};
static const uint8_t guid_sector[16] = {0x1d, 0xbf, 0x41, 0x81, 0x6f, 0xa9, 0x09, 0x47,
					0xba, 0x47, 0xf2, 0x33, 0xa8, 0xfa, 0xab, 0x5f};

static uint32_t crc32c(uint32_t crc, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78U : 0);
	}
	return crc;
}

/* Over len bytes at off, whose own sum at off + 4 counts as 0. */
static bool vhdx_sum_fits(struct image_source *s, uint64_t off, uint64_t len)
{
	uint32_t crc = UINT32_MAX, want = 0;

	for (uint64_t done = 0; done < len;) {
		uint8_t piece[512];

		if (!source_get(s, off + done, piece, sizeof piece))
			return false;
		if (!done) {
			want = le32(piece + 4);
			memset(piece + 4, 0, 4);
		}
		crc = crc32c(crc, piece, sizeof piece);
		done += sizeof piece;
	}
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
	return true;                    /* a fuzzer cannot guess a checksum */
#endif
	return ~crc == want;
}

/* The newer of the two headers tells whether a log is to be replayed. */
static bool vhdx_header(struct image_source *s, struct image_info *info)
{
	uint64_t newest = 0;
	bool found = false;

	for (uint64_t off = 64 << 10; off <= 128 << 10; off += 64 << 10) {
		static const uint8_t none[16];
		uint8_t h[80];

		if (!source_get(s, off, h, sizeof h) || memcmp(h, "head", 4) || le16(h + 66) != 1 ||
		    !vhdx_sum_fits(s, off, 4096))
			continue;
		if (found && le64(h + 8) < newest)
			continue;
		found = true;
		newest = le64(h + 8);
		info->features = memcmp(h + 48, none, sizeof none) ? IMAGE_DIRTY : 0;
	}
	if (!found)
		image_bad(info, "corrupt header: neither of its two copies is whole");
	return found;
}

/* Looks for guid among count entries of 32 bytes at off; copies the entry. */
static bool vhdx_entry(struct image_source *s, uint64_t off, unsigned count,
		       const uint8_t *guid, uint8_t entry[32])
{
	for (unsigned i = 0; i < count; i++)
		if (source_get(s, off + i * 32, entry, 32) && !memcmp(entry, guid, 16))
			return true;
	return false;
}

static bool vhdx_metadata(struct image_source *s, struct image_info *info, uint64_t *off,
			  uint32_t *len)
{
	for (uint64_t table = 192 << 10; table <= 256 << 10; table += 64 << 10) {
		uint8_t h[16], entry[32];

		if (!source_get(s, table, h, sizeof h) || memcmp(h, "regi", 4) ||
		    le32(h + 8) > VHDX_ENTRIES_MAX || !vhdx_sum_fits(s, table, VHDX_REGION_TABLE))
			continue;
		if (!vhdx_entry(s, table + 16, le32(h + 8), guid_metadata, entry))
			continue;
		*off = le64(entry + 16);
		*len = le32(entry + 24);
		if (*off < VHDX_MIB || *off % VHDX_MIB || *len < 64 << 10) {
			image_bad(info, "corrupt header: the metadata (%" PRIu32 " bytes at %" PRIu64
				  ") are out of place", *len, *off);
			return false;
		}
		return image_table(s, info, "metadata", *off, *len, VHDX_MIB);
	}
	image_bad(info, "corrupt header: neither of its region tables is whole and names the metadata");
	return false;
}

static bool vhdx_item(struct image_source *s, uint64_t region, uint32_t region_len,
		      unsigned count, const uint8_t *guid, void *to, uint32_t need)
{
	uint8_t entry[32];
	uint32_t off;

	if (!vhdx_entry(s, region + 32, count, guid, entry))
		return false;
	off = le32(entry + 16);
	return le32(entry + 20) >= need && off >= 64 << 10 && off <= region_len &&
	       need <= region_len - off && source_get(s, region + off, to, need);
}

void vhdx_read(struct image_source *s, struct image_info *info)
{
	uint8_t h[12], parameters[8], size[8], sector[4];
	uint64_t region, bytes;
	uint32_t region_len, block, sector_size;
	unsigned count;

	if (!vhdx_header(s, info) || !vhdx_metadata(s, info, &region, &region_len))
		return;
	info->version = 1;
	if (!source_get(s, region, h, sizeof h) || memcmp(h, "metadata", 8) ||
	    le16(h + 10) > VHDX_ENTRIES_MAX) {
		image_bad(info, "corrupt header: no table of metadata at %" PRIu64, region);
		return;
	}
	count = le16(h + 10);
	if (!vhdx_item(s, region, region_len, count, guid_parameters, parameters, 8) ||
	    !vhdx_item(s, region, region_len, count, guid_size, size, 8) ||
	    !vhdx_item(s, region, region_len, count, guid_sector, sector, 4)) {
		image_bad(info, "corrupt header: the block size, the disk's size or its sector size is missing");
		return;
	}
	block = le32(parameters);
	bytes = le64(size);
	sector_size = le32(sector);
	if (!is_power_of_2(block) || block < VHDX_MIB || block > 256 * VHDX_MIB) {
		image_bad(info, "corrupt header: the block size, %" PRIu32
			  ", is no power of two between 1 and 256 MiB", block);
		return;
	}
	if ((sector_size != 512 && sector_size != 4096) || bytes > VHDX_SIZE_MAX ||
	    bytes % sector_size) {
		image_bad(info, "corrupt header: a size of %" PRIu64 " bytes in sectors of %" PRIu32,
			  bytes, sector_size);
		return;
	}
	info->variant = le32(parameters + 4) & 1 ? "fixed" : "dynamic";
	if (le32(parameters + 4) & 2) {
		info->variant = "differencing";
		info->features |= IMAGE_PARENT;
	}
	info->cluster_size = block;
	image_set_size(info, bytes, 1);
}
