/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * image.h - what an image file says of itself: its format, the size of the
 * disk in it, its backing file. For whoever describes or resizes a volume.
 *
 * An image comes from strangers, and a guest may have written any byte of a
 * raw one. So nothing in it is believed before it is checked, no name in it is
 * opened or followed, and no memory is asked for by a number that it claims.
 * Probing reads at most IMAGE_PAGES_MAX aligned pages of IMAGE_PAGE bytes
 * (768 KiB in all; three pages of a raw file), uses less than 16 KiB of stack,
 * and never writes. It looks at content only: who knows a volume's format from
 * elsewhere believes that first, since whoever writes the first sector of a
 * raw volume chooses what is found here.
 */
#ifndef POOLFS_IMAGE_H
#define POOLFS_IMAGE_H

#include "backend.h"

enum {
	IMAGE_PAGE = 4096,
	IMAGE_PAGES_MAX = 192,
	IMAGE_NAME_MAX = 1023,          /* bytes of a name in an image, as in QEMU */
};

/* The order in which they are tried; what nothing claims is raw. Signatures
 * that only the image's maker writes come before those in places where a guest
 * may write (an ISO's at 32 KiB, a fixed VHD's at the end). */
#define IMAGE_FORMATS(X) \
	X(RAW, raw) X(QCOW, qcow) X(QCOW2, qcow2) X(QED, qed) X(VMDK, vmdk) \
	X(VHDX, vhdx) X(LUKS, luks) X(COW, cow) X(BOCHS, bochs) X(CLOOP, cloop) \
	X(VDI, vdi) X(VPC, vpc) X(DMG, dmg) X(ISO, iso)
#define X(upper, lower) IMAGE_##upper,
enum image_format { IMAGE_FORMATS(X) IMAGE_FORMAT_COUNT };
#undef X

/* Bits of image_info.features, by the names of image_feature_names[]. */
#define IMAGE_FEATURES(X) \
	X(LAZY_REFCOUNTS, lazy_refcounts)       /* qcow2 */ \
	X(EXTENDED_L2, extended_l2) \
	X(DATA_FILE, data_file)                 /* the guest's data is in another file, */ \
	X(DATA_FILE_RAW, data_file_raw)         /* which can be used as a raw image */ \
	X(ZSTD, zstd)                           /* clusters are compressed so, not by zlib */ \
	X(SNAPSHOTS, snapshots) \
	X(DIRTY, dirty)                         /* not closed well: wants repair (qcow2, qed, vhdx) */ \
	X(MARKED_CORRUPT, marked_corrupt)       /* QEMU found damage and said so in the header */ \
	X(PARENT, parent)                       /* depends on another image, named or not */ \
	X(EXTENTS, extents)                     /* vmdk: data lies in other files */
#define X(upper, lower) IMAGE_BIT_##upper,
enum { IMAGE_FEATURES(X) IMAGE_FEATURE_COUNT };
#undef X
#define X(upper, lower) IMAGE_##upper = 1 << IMAGE_BIT_##upper,
enum { IMAGE_FEATURES(X) };
#undef X
extern const char *const image_feature_names[IMAGE_FEATURE_COUNT];

enum image_encryption { IMAGE_PLAIN, IMAGE_AES, IMAGE_LUKS1, IMAGE_LUKS2 };

/* backing and data_file are bytes as they stand in the image, without NUL,
 * 1..IMAGE_NAME_MAX long: not necessarily UTF-8, perhaps "json:..." or
 * "nbd:...", perhaps a path that the asker may not read. Text to show. */
struct image_info {
	enum image_format format;
	bool size_known;                /* false: see problem */
	uint64_t size;                  /* of the disk in the image, bytes */
	unsigned version;               /* of the format; 0 if it has none */
	const char *compat;             /* qcow2: "0.10" or "1.1"; else NULL */
	const char *variant;            /* "fixed", "monolithicSparse", ...; NULL */
	uint64_t cluster_size;          /* unit of allocation; 0: none */
	unsigned features;
	enum image_encryption encryption;
	char backing_format[16];        /* a word, or "" */
	char *backing, *data_file;      /* NULL: none */
	char *problem;                  /* NULL, or one sentence: "corrupt header: ..." */
};

/* What is in fd, a regular file or a block device, open for reading, perhaps
 * with O_DIRECT; its offset is not used. An unfit header is a success: the
 * format, no size, a problem, and nothing else that the header says. Fails
 * only if fd is of another kind (EINVAL) or cannot be read (EIO and the like).
 * *info needs no preparation, and is to be released after a success. */
int image_probe(int fd, struct image_info *info, struct err *e);

/* The same for anything that has pages: reads len (IMAGE_PAGE) bytes at off, a
 * multiple of it; returns how many there are before the end, or -errno. */
typedef ssize_t image_read_f(void *arg, void *page, size_t len, uint64_t off);
int image_probe_with(image_read_f *read, void *arg, uint64_t size,
		     struct image_info *info, struct err *e);

void image_info_release(struct image_info *info);
void image_info_copy(struct image_info *to, const struct image_info *from);

const char *image_format_name(enum image_format f);
bool image_format_find(const char *name, enum image_format *f);
const char *image_encryption_name(enum image_encryption c);     /* "qcow", "luks", "luks2", NULL */

#endif
