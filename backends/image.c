/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * image.c - the table of image formats, and the prober that goes through it.
 *
 * Called by whoever has a volume open and asks what is in it. The readers of
 * the formats (image_*.c) get their bytes only from the source here, which
 * bounds how much is read. Opens no file, follows no name, writes nothing.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "image_parts.h"

#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <unistd.h>

#define MAGIC(at, text) {at, text, sizeof text - 1}

/* One row a format, in the order of the enum, which is the order of probing. */
const struct image_kind image_kinds[IMAGE_FORMAT_COUNT] = {
	[IMAGE_RAW] = {.read = NULL},
	[IMAGE_QCOW] = {{MAGIC(0, "QFI\xfb")}, qcow_is, qcow_read},
	[IMAGE_QCOW2] = {{MAGIC(0, "QFI\xfb")}, NULL, qcow2_read},
	[IMAGE_QED] = {{MAGIC(0, "QED\0")}, NULL, qed_read},
	[IMAGE_VMDK] = {{MAGIC(0, "KDMV"), MAGIC(0, "COWD"),
			 MAGIC(0, "\xbe\xba\xfe\xca\0\0\0\0"),
			 MAGIC(0, "# Disk DescriptorFile")}, NULL, vmdk_read},
	[IMAGE_VHDX] = {{MAGIC(0, "vhdxfile")}, NULL, vhdx_read},
	[IMAGE_LUKS] = {{MAGIC(0, "LUKS\xba\xbe")}, NULL, luks_read},
	[IMAGE_COW] = {{MAGIC(0, "OOOM")}, cow_is, cow_read},
	[IMAGE_BOCHS] = {{MAGIC(0, "Bochs Virtual HD Image")}, NULL, bochs_read},
	[IMAGE_CLOOP] = {{MAGIC(0, "#!/bin/sh\n#V2.0 Format\nmodprobe cloop")}, NULL, cloop_read},
	[IMAGE_VDI] = {{MAGIC(64, "\x7f\x10\xda\xbe")}, NULL, vdi_read},
	[IMAGE_VPC] = {{MAGIC(0, "conectix"), MAGIC(-512, "conectix")}, NULL, vpc_read},
	[IMAGE_DMG] = {{MAGIC(-512, "koly")}, NULL, dmg_read},
	[IMAGE_ISO] = {{MAGIC(32769, "CD001")}, NULL, iso_read},
};

#define X(upper, lower) #lower,
static const char *const format_names[IMAGE_FORMAT_COUNT] = {IMAGE_FORMATS(X)};
const char *const image_feature_names[IMAGE_FEATURE_COUNT] = {IMAGE_FEATURES(X)};
#undef X

const char *image_format_name(enum image_format f)
{
	return (unsigned)f < IMAGE_FORMAT_COUNT ? format_names[f] : "raw";
}

bool image_format_find(const char *name, enum image_format *f)
{
	for (int i = 0; i < IMAGE_FORMAT_COUNT; i++)
		if (!strcmp(format_names[i], name)) {
			*f = i;
			return true;
		}
	return false;
}

const char *image_encryption_name(enum image_encryption c)
{
	switch (c) {
	case IMAGE_AES:
		return "qcow";
	case IMAGE_LUKS1:
		return "luks";
	case IMAGE_LUKS2:
		return "luks2";
	case IMAGE_PLAIN:
		break;
	}
	return NULL;
}

/* ---- the source ----------------------------------------------------------- */

static bool source_page(struct image_source *s, uint64_t off)
{
	uint64_t start = off & ~(uint64_t)(IMAGE_PAGE - 1);
	ssize_t got;

	if (s->page_len && s->page_off == start)
		return off - start < s->page_len;
	if (off >= s->size || s->error || s->pages >= IMAGE_PAGES_MAX)
		return false;
	s->pages++;
	s->page_len = 0;
	/* Always a whole page: all that O_DIRECT accepts. Less is the end. */
	got = s->read(s->arg, s->page, IMAGE_PAGE, start);
	if (got < 0) {
		s->error = (int)-got;
		return false;
	}
	s->page_off = start;
	s->page_len = s->size - start < (uint64_t)got ? s->size - start : (uint64_t)got;
	return off - start < s->page_len;
}

bool source_get(struct image_source *s, uint64_t off, void *to, size_t len)
{
	uint8_t *p = to;

	if (source_has(s, off, len)) {
		while (len && source_page(s, off)) {
			size_t at = off - s->page_off, n = s->page_len - at;

			if (n > len)
				n = len;
			memcpy(p, s->page + at, n);
			p += n;
			off += n;
			len -= n;
		}
		if (!len)
			return true;
		len += p - (uint8_t *)to;
	}
	memset(to, 0, len);
	return false;
}

bool source_has(const struct image_source *s, uint64_t off, uint64_t len)
{
	return off <= s->size && len <= s->size - off;
}

/* ---- what the readers share ------------------------------------------------ */

void image_bad(struct image_info *info, const char *fmt, ...)
{
	struct image_info kept = {.format = info->format, .version = info->version,
				  .problem = info->problem};
	va_list ap;

	if (!kept.problem) {
		char text[256];

		va_start(ap, fmt);
		vsnprintf(text, sizeof text, fmt, ap);
		va_end(ap);
		kept.problem = xstrdup(text);
	}
	info->problem = NULL;
	image_info_release(info);
	*info = kept;
}

bool image_header(struct image_source *s, struct image_info *info, void *to, size_t need)
{
	if (source_get(s, 0, to, need))
		return true;
	image_bad(info, "corrupt header: the file ends after %" PRIu64 " of its %zu bytes",
		  s->size < need ? s->size : 0, need);
	return false;
}

bool image_set_size(struct image_info *info, uint64_t units, uint64_t unit)
{
	uint64_t size;

	if (__builtin_mul_overflow(units, unit, &size) || size > INT64_MAX) {
		image_bad(info, "corrupt header: the size, %" PRIu64 " times %" PRIu64
			  " bytes, is impossible", units, unit);
		return false;
	}
	info->size = size;
	info->size_known = true;
	return true;
}

char *image_name(struct image_source *s, struct image_info *info, uint64_t off,
		 uint64_t len, const char *what)
{
	char name[IMAGE_NAME_MAX + 1];

	if (len > IMAGE_NAME_MAX) {
		image_bad(info, "corrupt header: the %s has %" PRIu64
			  " bytes, more than %d", what, len, IMAGE_NAME_MAX);
		return NULL;
	}
	if (!source_get(s, off, name, len)) {
		image_bad(info, "corrupt header: the %s lies at %" PRIu64
			  ", beyond the end of the file", what, off);
		return NULL;
	}
	name[len] = '\0';
	return *name ? xstrdup(name) : NULL;
}

bool image_table(struct image_source *s, struct image_info *info, const char *what,
		 uint64_t off, uint64_t len, uint64_t slack)
{
	uint64_t end, limit;

	if (off < s->size && !__builtin_add_overflow(off, len, &end)) {
		limit = units_of(s->size, slack);
		if (__builtin_mul_overflow(limit, slack, &limit))
			limit = UINT64_MAX;
		if (end <= limit)
			return true;
	}
	image_bad(info, "corrupt header: the %s (%" PRIu64 " bytes at %" PRIu64
		  ") lies beyond the end of the file", what, len, off);
	return false;
}

void image_info_release(struct image_info *info)
{
	free(info->backing);
	free(info->data_file);
	free(info->problem);
	*info = (struct image_info){0};
}

void image_info_copy(struct image_info *to, const struct image_info *from)
{
	*to = *from;
	to->backing = from->backing ? xstrdup(from->backing) : NULL;
	to->data_file = from->data_file ? xstrdup(from->data_file) : NULL;
	to->problem = from->problem ? xstrdup(from->problem) : NULL;
}

/* ---- probing ----------------------------------------------------------------- */

static bool magic_matches(struct image_source *s, const struct image_magic *m)
{
	uint8_t got[64];
	uint64_t at = m->at;

	if (m->at < 0) {
		uint64_t back = -(uint64_t)m->at;

		if (s->size < back)
			return false;
		at = s->size - back;
	}
	return m->len <= sizeof got && source_get(s, at, got, m->len) &&
	       !memcmp(got, m->bytes, m->len);
}

static bool kind_matches(struct image_source *s, const struct image_kind *k)
{
	for (size_t i = 0; i < sizeof k->magics / sizeof *k->magics && k->magics[i].bytes; i++)
		if (magic_matches(s, &k->magics[i]))
			return !k->is || k->is(s);
	return false;
}

int image_probe_with(image_read_f *read, void *arg, uint64_t size,
		     struct image_info *info, struct err *e)
{
	/* Not on the stack: sanitizers do not align it there. */
	struct image_source *s = aligned_alloc(IMAGE_PAGE, sizeof *s);
	int error;

	if (!s)
		abort();
	s->read = read;
	s->arg = arg;
	s->size = size;
	s->page_off = s->page_len = s->pages = s->error = 0;
	*info = (struct image_info){.format = IMAGE_RAW};
	for (int i = IMAGE_RAW + 1; i < IMAGE_FORMAT_COUNT && !s->error; i++)
		if (kind_matches(s, &image_kinds[i])) {
			info->format = i;
			image_kinds[i].read(s, info);
			break;
		}
	error = s->error;
	free(s);
	if (error) {
		image_info_release(info);
		errno = error;
		return err_sys(e, "cannot read the image's header");
	}
	if (info->format == IMAGE_RAW)
		image_set_size(info, size, 1);
	return 0;
}

static ssize_t fd_read(void *arg, void *page, size_t len, uint64_t off)
{
	const int *fd = arg;
	ssize_t n;

	do
		n = pread(*fd, page, len, (off_t)off);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* Only where SEEK_DATA knows what is in memory and not on the disk yet: elsewhere (ZFS,
 * other hosts, programs) a header just written may be in a hole. */
static bool is_all_hole(int fd)
{
	static const uint32_t magic[] = { 0xef53, 0x58465342, 0x9123683e, 0x01021994 };
	struct statfs fs;

	if (lseek(fd, 0, SEEK_DATA) >= 0 || errno != ENXIO || fstatfs(fd, &fs) < 0)
		return false;
	for (size_t i = 0; i < sizeof(magic) / sizeof(*magic); i++)
		if ((uint32_t)fs.f_type == magic[i])
			return true;    /* ext4, XFS, btrfs, tmpfs */
	return false;
}

int image_probe(int fd, struct image_info *info, struct err *e)
{
	struct stat st;
	uint64_t size;

	if (fstat(fd, &st) < 0)
		return err_sys(e, "cannot stat the image");
	size = st.st_size;
	if (S_ISBLK(st.st_mode)) {
		if (ioctl(fd, BLKGETSIZE64, &size) < 0)
			return err_sys(e, "cannot find the size of the block device");
	} else if (!S_ISREG(st.st_mode)) {
		return err_set(e, EINVAL, "only a regular file or a block device can be an image");
	} else if (size && is_all_hole(fd)) {
		/* To read it would fill the page cache with zeros. */
		*info = (struct image_info){.format = IMAGE_RAW};
		image_set_size(info, size, 1);
		return 0;
	}
	return image_probe_with(fd_read, &fd, size, info, e);
}
