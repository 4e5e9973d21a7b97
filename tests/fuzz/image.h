/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * image.h - the body of the fuzz targets image-*.c, each of which names the
 * formats of its family in KINDS and includes this. An input is an image that
 * is mostly holes: its size (8 bytes, little endian), then pieces of an offset
 * (8 bytes), a length (2 bytes) and that many bytes. It is probed as it is and
 * with each signature of the family put in its place. `image-probe -s` makes
 * such inputs of images.
 */
#include "../../backends/image_parts.h"
#include "must.h"

#include <stdio.h>
#include <stdlib.h>

static const enum image_format kinds[] = {KINDS};

struct input {
	const uint8_t *data;
	size_t len;
	uint64_t size;
	unsigned pages;
	const struct image_magic *magic;        /* laid over it, or NULL */
};

/* Copies the part of data, which lies at off, that falls into the page. */
static void lay(uint8_t *page, uint64_t page_off, const void *data, size_t len, uint64_t off)
{
	uint64_t skip = off < page_off ? page_off - off : 0, at = off < page_off ? 0 : off - page_off;

	if (skip >= len || at >= IMAGE_PAGE)
		return;
	len -= skip;
	memcpy(page + at, (const uint8_t *)data + skip, len < IMAGE_PAGE - at ? len : IMAGE_PAGE - at);
}

static ssize_t input_read(void *arg, void *page, size_t len, uint64_t off)
{
	struct input *in = arg;
	const uint8_t *p = in->data, *end = p + in->len;

	must(len == IMAGE_PAGE && off % IMAGE_PAGE == 0 && off < in->size);
	must(++in->pages <= IMAGE_PAGES_MAX);
	memset(page, 0, len);
	while (end - p >= 10) {
		uint64_t at = le64(p);
		size_t n = le16(p + 8);

		p += 10;
		if (n > (size_t)(end - p))
			n = end - p;
		lay(page, off, p, n, at);
		p += n;
	}
	if (in->magic)
		lay(page, off, in->magic->bytes, in->magic->len,
		    in->magic->at < 0 ? in->size + in->magic->at : (uint64_t)in->magic->at);
	return in->size - off < len ? (ssize_t)(in->size - off) : (ssize_t)len;
}

static void probe(struct input *in)
{
	struct image_info i, copy;
	struct err e = {0};

	in->pages = 0;
	must(image_probe_with(input_read, in, in->size, &i, &e) == 0);
	must(i.format < IMAGE_FORMAT_COUNT);
	must(i.size_known == !i.problem);
	must(i.size <= INT64_MAX);
	must(!i.backing || (*i.backing && strlen(i.backing) <= IMAGE_NAME_MAX));
	must(!i.data_file || (*i.data_file && strlen(i.data_file) <= IMAGE_NAME_MAX));
	must(memchr(i.backing_format, 0, sizeof i.backing_format));
	must(!i.problem || (!i.size && !i.backing && !i.data_file && !i.features &&
			    !i.cluster_size && !i.encryption && !*i.backing_format));
	must(!i.problem || (*i.problem && strlen(i.problem) < 256));
	must(i.features < 1U << IMAGE_FEATURE_COUNT);
	image_info_copy(&copy, &i);
	image_info_release(&i);
	image_info_release(&copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct input in = {.data = data + 8, .len = len - 8};

	if (len < 8)
		return 0;
	in.size = le64(data);
	probe(&in);
	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
		for (const struct image_magic *m = image_kinds[kinds[k]].magics; m->bytes; m++) {
			if (m->at < 0 && in.size < (uint64_t)-m->at)
				continue;
			in.magic = m;
			probe(&in);
		}
	return 0;
}
