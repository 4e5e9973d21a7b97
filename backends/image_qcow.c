/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * image_qcow.c - reads the headers of QEMU's own formats: qcow, qcow2
 * (versions 2 and 3) and qed. After docs/interop/qcow2 and qed_spec of QEMU,
 * with the limits that QEMU itself keeps when it opens an image.
 *
 * Called by image.c. Reads no table, only asks where the tables lie: an image
 * that passes here may still be damaged inside, which `qemu-img check` finds.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "image_parts.h"

#include <ctype.h>
#include <inttypes.h>
#include <limits.h>

enum { CRYPT_NONE, CRYPT_AES, CRYPT_LUKS };

/* ---- qcow --------------------------------------------------------------------- */

bool qcow_is(struct image_source *s)
{
	uint8_t version[4];

	return source_get(s, 4, version, sizeof version) && be32(version) == 1;
}

void qcow_read(struct image_source *s, struct image_info *info)
{
	uint8_t h[48];
	uint64_t size, name_off, l1_off, l1_len, per_l1;
	uint32_t name_len, crypt;
	unsigned cluster_bits, l2_bits;

	info->version = 1;
	if (!image_header(s, info, h, sizeof h))
		return;
	name_off = be64(h + 8);
	name_len = be32(h + 16);
	size = be64(h + 24);
	cluster_bits = h[32];
	l2_bits = h[33];
	crypt = be32(h + 36);
	l1_off = be64(h + 40);

	if (cluster_bits < 9 || cluster_bits > 16) {
		image_bad(info, "corrupt header: the cluster size, 2^%u, is not between 512 and 65536",
			  cluster_bits);
		return;
	}
	if (l2_bits < 6 || l2_bits > 13) {
		image_bad(info, "corrupt header: second level tables of 2^%u entries", l2_bits);
		return;
	}
	if (crypt > CRYPT_AES) {
		image_bad(info, "corrupt header: the encryption method %" PRIu32 " is not known", crypt);
		return;
	}
	if (size <= 1) {
		image_bad(info, "corrupt header: a size of %" PRIu64 " bytes", size);
		return;
	}
	per_l1 = UINT64_C(1) << (cluster_bits + l2_bits);
	l1_len = units_of(size, per_l1);
	if (size > INT64_MAX || l1_len > INT_MAX / sizeof(uint64_t)) {
		image_bad(info, "corrupt header: the size, %" PRIu64
			  " bytes, is more than such an image can have", size);
		return;
	}
	if (l1_off < sizeof h) {
		image_bad(info, "corrupt header: its first level table lies in the header");
		return;
	}
	/* The table is not written whole before it is used. */
	if (!image_table(s, info, "first level table", l1_off, 0, 1))
		return;
	if (name_off && name_len) {
		if (name_off < sizeof h) {
			image_bad(info, "corrupt header: the backing file's name lies in the header");
			return;
		}
		info->backing = image_name(s, info, name_off, name_len, "backing file's name");
		if (info->problem)
			return;
	}
	info->features = info->backing ? IMAGE_PARENT : 0;
	info->encryption = crypt == CRYPT_AES ? IMAGE_AES : IMAGE_PLAIN;
	info->cluster_size = UINT64_C(1) << cluster_bits;
	image_set_size(info, size / 512, 512);  /* QEMU knows whole sectors only */
}

/* ---- qcow2 -------------------------------------------------------------------- */

#define BIT(n) (UINT64_C(1) << (n))
enum { QCOW2_HEADER2 = 72, QCOW2_HEADER3 = 104, QCOW2_EXTENSIONS_MAX = 64 };
/* Incompatible features. */
#define QCOW2_DIRTY BIT(0)
#define QCOW2_CORRUPT BIT(1)
#define QCOW2_DATA_FILE BIT(2)
#define QCOW2_COMPRESSION BIT(3)
#define QCOW2_EXTENDED_L2 BIT(4)
#define QCOW2_KNOWN (QCOW2_DIRTY | QCOW2_CORRUPT | QCOW2_DATA_FILE | QCOW2_COMPRESSION | \
		     QCOW2_EXTENDED_L2)
#define QCOW2_LAZY BIT(0)               /* compatible */
#define QCOW2_DATA_RAW BIT(1)           /* autoclear */
/* Header extensions. */
#define EXT_BACKING_FORMAT 0xe2792acaU
#define EXT_DATA_FILE 0x44415441U
#define EXT_CRYPTO 0x0537be77U

struct qcow2 {
	uint64_t name_off, size, l1_off, refcounts_off, snapshots_off;
	uint64_t incompatible, compatible, autoclear, cluster_size;
	uint32_t name_len, cluster_bits, crypt, l1_entries, refcount_clusters, snapshots;
	uint32_t refcount_order, header_len;
	bool crypto_seen;
	uint8_t compression;
};

static bool qcow2_fields(struct image_source *s, struct image_info *info, struct qcow2 *q)
{
	uint8_t h[QCOW2_HEADER3];

	*q = (struct qcow2){.header_len = QCOW2_HEADER2, .refcount_order = 4};
	if (!image_header(s, info, h, 8))
		return false;
	info->version = be32(h + 4);
	if (info->version != 2 && info->version != 3) {
		image_bad(info, "corrupt header: version %u of qcow2 is not known", info->version);
		return false;
	}
	if (!image_header(s, info, h, info->version == 2 ? QCOW2_HEADER2 : QCOW2_HEADER3))
		return false;
	q->name_off = be64(h + 8);
	q->name_len = be32(h + 16);
	q->cluster_bits = be32(h + 20);
	q->size = be64(h + 24);
	q->crypt = be32(h + 32);
	q->l1_entries = be32(h + 36);
	q->l1_off = be64(h + 40);
	q->refcounts_off = be64(h + 48);
	q->refcount_clusters = be32(h + 56);
	q->snapshots = be32(h + 60);
	q->snapshots_off = be64(h + 64);
	if (info->version == 3) {
		q->incompatible = be64(h + 72);
		q->compatible = be64(h + 80);
		q->autoclear = be64(h + 88);
		q->refcount_order = be32(h + 96);
		q->header_len = be32(h + 100);
	}
	return true;
}

static bool qcow2_sane(struct image_source *s, struct image_info *info, struct qcow2 *q)
{
	if (q->cluster_bits < 9 || q->cluster_bits > 21) {
		image_bad(info, "corrupt header: the cluster size, 2^%" PRIu32
			  ", is not between 512 and 2097152", q->cluster_bits);
		return false;
	}
	q->cluster_size = UINT64_C(1) << q->cluster_bits;
	if (q->header_len < (info->version == 3 ? QCOW2_HEADER3 : QCOW2_HEADER2) ||
	    q->header_len > q->cluster_size) {
		image_bad(info, "corrupt header: a length of %" PRIu32 " bytes", q->header_len);
		return false;
	}
	if (q->incompatible & ~QCOW2_KNOWN) {
		image_bad(info, "the image has features that poolfs does not know (0x%" PRIx64 ")",
			  q->incompatible & ~QCOW2_KNOWN);
		return false;
	}
	if (q->header_len > QCOW2_HEADER3 &&
	    !source_get(s, QCOW2_HEADER3, &q->compression, 1)) {
		image_bad(info, "corrupt header: the file ends inside it");
		return false;
	}
	if (q->compression > 1 || !(q->incompatible & QCOW2_COMPRESSION) != !q->compression) {
		image_bad(info, "corrupt header: the compression type %u does not fit its features",
			  q->compression);
		return false;
	}
	if (q->crypt > CRYPT_LUKS) {
		image_bad(info, "corrupt header: the encryption method %" PRIu32 " is not known",
			  q->crypt);
		return false;
	}
	if (q->refcount_order > 6) {
		image_bad(info, "corrupt header: reference counts of 2^%" PRIu32 " bits",
			  q->refcount_order);
		return false;
	}
	if ((q->incompatible & QCOW2_EXTENDED_L2) && q->cluster_bits < 14) {
		image_bad(info, "corrupt header: extended L2 entries with clusters of %" PRIu64 " bytes",
			  q->cluster_size);
		return false;
	}
	return true;
}

static bool overlap(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
	return a_len && b_len && a < b + b_len && b < a + a_len;
}

/* The tables: whole clusters, apart from each other and from the header. */
static bool qcow2_tables(struct image_source *s, struct image_info *info, struct qcow2 *q)
{
	unsigned entry_bits = q->incompatible & QCOW2_EXTENDED_L2 ? 4 : 3;
	uint64_t per_l1 = UINT64_C(1) << (2 * q->cluster_bits - entry_bits);
	uint64_t l1_len = (uint64_t)q->l1_entries * 8;
	uint64_t refcounts_len = q->refcount_clusters * q->cluster_size;

	if (q->size > INT64_MAX || units_of(q->size, per_l1) > (32 << 20) / 8) {
		image_bad(info, "corrupt header: the size, %" PRIu64 " bytes, is more than 2^%u clusters"
			  " of %" PRIu64 " bytes can hold", q->size,
			  22 + q->cluster_bits - entry_bits, q->cluster_size);
		return false;
	}
	if (l1_len > 32 << 20 || units_of(q->size, per_l1) > q->l1_entries) {
		image_bad(info, "corrupt header: an L1 table of %" PRIu32
			  " entries for a size of %" PRIu64 " bytes", q->l1_entries, q->size);
		return false;
	}
	if (!q->refcount_clusters || refcounts_len > 8 << 20) {
		image_bad(info, "corrupt header: a refcount table of %" PRIu32 " clusters",
			  q->refcount_clusters);
		return false;
	}
	if (q->snapshots > 65536) {
		image_bad(info, "corrupt header: %" PRIu32 " snapshots", q->snapshots);
		return false;
	}
	if ((q->l1_off | q->refcounts_off | (q->snapshots ? q->snapshots_off : 0)) &
	    (q->cluster_size - 1)) {
		image_bad(info, "corrupt header: a table does not begin at a cluster");
		return false;
	}
	if ((q->l1_entries &&
	     !image_table(s, info, "L1 table", q->l1_off, l1_len, q->cluster_size)) ||
	    !image_table(s, info, "refcount table", q->refcounts_off, refcounts_len,
			 q->cluster_size) ||
	    (q->snapshots && !image_table(s, info, "snapshot table", q->snapshots_off,
					  (uint64_t)q->snapshots * 40, q->cluster_size)))
		return false;
	if (overlap(0, q->cluster_size, q->l1_off, l1_len) ||
	    overlap(0, q->cluster_size, q->refcounts_off, refcounts_len) ||
	    overlap(q->l1_off, l1_len, q->refcounts_off, refcounts_len) ||
	    (q->snapshots && (q->snapshots_off < q->cluster_size ||
			      overlap(q->snapshots_off, 40, q->l1_off, l1_len) ||
			      overlap(q->snapshots_off, 40, q->refcounts_off, refcounts_len)))) {
		image_bad(info, "corrupt header: two tables, or a table and the header, overlap");
		return false;
	}
	return true;
}

static bool qcow2_extension(struct image_source *s, struct image_info *info, struct qcow2 *q,
			    uint32_t type, uint64_t off, uint32_t len)
{
	char word[sizeof info->backing_format] = "";
	uint8_t place[16];

	switch (type) {
	case EXT_BACKING_FORMAT:
		if (len >= sizeof word || !source_get(s, off, word, len)) {
			image_bad(info, "corrupt header: the backing file's format has %" PRIu32
				  " bytes", len);
			return false;
		}
		for (char *c = word; *c; c++)
			if (!isalnum((unsigned char)*c) && *c != '-' && *c != '_') {
				image_bad(info, "corrupt header: the backing file's format is no word");
				return false;
			}
		memcpy(info->backing_format, word, sizeof word);
		break;
	case EXT_DATA_FILE:
		if (info->data_file || !(q->incompatible & QCOW2_DATA_FILE))
			break;
		info->data_file = image_name(s, info, off, len, "data file's name");
		return !info->problem;
	case EXT_CRYPTO:
		if (q->crypt != CRYPT_LUKS)
			break;
		if (len < sizeof place || !source_get(s, off, place, sizeof place)) {
			image_bad(info, "corrupt header: the place of the encryption header is cut");
			return false;
		}
		q->crypto_seen = true;
		return image_table(s, info, "encryption header", be64(place), be64(place + 8),
				   q->cluster_size);
	}
	return true;
}

/* Between the header and the backing file's name, all in the first cluster. */
static bool qcow2_extensions(struct image_source *s, struct image_info *info, struct qcow2 *q)
{
	uint64_t off = q->header_len;
	uint64_t end = q->name_off && q->name_len ? q->name_off : q->cluster_size;

	for (unsigned i = 0; off < end && end - off >= 8; i++) {
		uint8_t h[8];
		uint32_t type, len;

		if (i == QCOW2_EXTENSIONS_MAX) {
			image_bad(info, "corrupt header: more than %u extensions", i);
			return false;
		}
		if (!source_get(s, off, h, sizeof h)) {
			image_bad(info, "corrupt header: the file ends inside it");
			return false;
		}
		type = be32(h);
		len = be32(h + 4);
		off += sizeof h;
		if (!type)
			break;
		if (len > end - off) {
			image_bad(info, "corrupt header: an extension of %" PRIu32
				  " bytes does not fit into it", len);
			return false;
		}
		if (!qcow2_extension(s, info, q, type, off, len))
			return false;
		off += ((uint64_t)len + 7) & ~UINT64_C(7);
	}
	if (q->crypt == CRYPT_LUKS && !q->crypto_seen) {
		image_bad(info, "corrupt header: it does not say where the encryption header is");
		return false;
	}
	return true;
}

static bool qcow2_backing(struct image_source *s, struct image_info *info, struct qcow2 *q)
{
	if (!q->name_off || !q->name_len) {
		info->backing_format[0] = '\0';
		return true;
	}
	info->backing = image_name(s, info, q->name_off, q->name_len, "backing file's name");
	if (info->backing)
		info->features |= IMAGE_PARENT;
	return !info->problem;
}

void qcow2_read(struct image_source *s, struct image_info *info)
{
	struct qcow2 q;

	if (!qcow2_fields(s, info, &q) || !qcow2_sane(s, info, &q))
		return;
	if (q.name_off && q.name_len &&
	    (q.name_off < q.header_len || q.name_off > q.cluster_size ||
	     q.name_len > q.cluster_size - q.name_off)) {
		image_bad(info, "corrupt header: the backing file's name (%" PRIu32 " bytes at %" PRIu64
			  ") does not lie in the first cluster behind the header", q.name_len, q.name_off);
		return;
	}
	if (!qcow2_tables(s, info, &q) || !qcow2_extensions(s, info, &q) ||
	    !qcow2_backing(s, info, &q))
		return;
	info->compat = info->version == 3 ? "1.1" : "0.10";
	info->cluster_size = q.cluster_size;
	info->encryption = q.crypt == CRYPT_LUKS ? IMAGE_LUKS1 :
			   q.crypt == CRYPT_AES ? IMAGE_AES : IMAGE_PLAIN;
	info->features |= (q.compatible & QCOW2_LAZY ? IMAGE_LAZY_REFCOUNTS : 0) |
			  (q.incompatible & QCOW2_EXTENDED_L2 ? IMAGE_EXTENDED_L2 : 0) |
			  (q.incompatible & QCOW2_DATA_FILE ? IMAGE_DATA_FILE : 0) |
			  (q.incompatible & QCOW2_DIRTY ? IMAGE_DIRTY : 0) |
			  (q.incompatible & QCOW2_CORRUPT ? IMAGE_MARKED_CORRUPT : 0) |
			  (q.compression ? IMAGE_ZSTD : 0) | (q.snapshots ? IMAGE_SNAPSHOTS : 0);
	if ((q.incompatible & QCOW2_DATA_FILE) && (q.autoclear & QCOW2_DATA_RAW))
		info->features |= IMAGE_DATA_FILE_RAW;
	image_set_size(info, q.size / 512, 512);        /* QEMU knows whole sectors only */
}

/* ---- qed ------------------------------------------------------------------------ */

#define QED_BACKING BIT(0)
#define QED_NEED_CHECK BIT(1)
#define QED_BACKING_RAW BIT(2)

void qed_read(struct image_source *s, struct image_info *info)
{
	uint8_t h[64];
	uint64_t features, l1_off, size, entries, per_l1, header_len, table_len;
	uint32_t cluster_size, table_clusters, header_clusters, name_off, name_len;

	if (!image_header(s, info, h, sizeof h))
		return;
	cluster_size = le32(h + 4);
	table_clusters = le32(h + 8);
	header_clusters = le32(h + 12);
	features = le64(h + 16);
	l1_off = le64(h + 40);
	size = le64(h + 48);
	name_off = le32(h + 56);
	name_len = le32(h + 60);

	if (features & ~(QED_BACKING | QED_NEED_CHECK | QED_BACKING_RAW)) {
		image_bad(info, "the image has features that poolfs does not know (0x%" PRIx64 ")",
			  features);
		return;
	}
	if (!is_power_of_2(cluster_size) || cluster_size < 4096 || cluster_size > 64 << 20) {
		image_bad(info, "corrupt header: the cluster size, %" PRIu32
			  ", is no power of two between 4096 and 67108864", cluster_size);
		return;
	}
	if (!is_power_of_2(table_clusters) || table_clusters > 16 || !header_clusters ||
	    header_clusters > UINT32_MAX / cluster_size) {
		image_bad(info, "corrupt header: tables of %" PRIu32 " clusters, a header of %" PRIu32,
			  table_clusters, header_clusters);
		return;
	}
	header_len = (uint64_t)header_clusters * cluster_size;
	table_len = (uint64_t)table_clusters * cluster_size;
	entries = table_len / 8;
	if (size % 512 || __builtin_mul_overflow(entries, cluster_size, &per_l1) ||
	    units_of(size, per_l1) > entries) {
		image_bad(info, "corrupt header: the size, %" PRIu64 " bytes, is impossible", size);
		return;
	}
	if (l1_off % cluster_size || l1_off < header_len) {
		image_bad(info, "corrupt header: its first level table lies in the header, or at no cluster");
		return;
	}
	if (!image_table(s, info, "first level table", l1_off, table_len, cluster_size))
		return;
	if (features & QED_BACKING) {
		if (name_off < sizeof h || name_off > header_len || name_len > header_len - name_off) {
			image_bad(info, "corrupt header: the backing file's name (%" PRIu32 " bytes at %"
				  PRIu32 ") does not lie in it", name_len, name_off);
			return;
		}
		info->backing = image_name(s, info, name_off, name_len, "backing file's name");
		if (info->problem)
			return;
		if (info->backing && (features & QED_BACKING_RAW))
			memcpy(info->backing_format, "raw", sizeof "raw");
	}
	info->features = (info->backing ? IMAGE_PARENT : 0) |
			 (features & QED_NEED_CHECK ? IMAGE_DIRTY : 0);
	info->cluster_size = cluster_size;
	image_set_size(info, size, 1);
}
