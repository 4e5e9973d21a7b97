/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * image-probe.c - image-probe FILE...: what backends/image.h finds in each
 * file, as "key: value" lines with a blank line between files. A key that has
 * nothing to say is left out. Bytes of names that are not printable ASCII come
 * as \xNN. For tests; opens the FILEs and nothing else.
 *   image-probe -s FILE >SEED   what the prober reads of it, as an input of the
 *                               fuzz targets (tests/fuzz/image.h)
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../../backends/image.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void print_text(const char *key, const char *text)
{
	if (!text)
		return;
	printf("%s: ", key);
	for (; *text; text++) {
		if (*text >= ' ' && *text < 0x7f && *text != '\\')
			putchar(*text);
		else
			printf("\\x%02x", (unsigned char)*text);
	}
	putchar('\n');
}

static void show(const struct image_info *i)
{
	print_text("format", image_format_name(i->format));
	if (i->size_known)
		printf("size: %" PRIu64 "\n", i->size);
	if (i->version)
		printf("version: %u\n", i->version);
	print_text("compat", i->compat);
	print_text("variant", i->variant);
	if (i->cluster_size)
		printf("cluster-size: %" PRIu64 "\n", i->cluster_size);
	for (int f = 0; f < IMAGE_FEATURE_COUNT; f++)
		if (i->features & 1U << f)
			print_text("feature", image_feature_names[f]);
	print_text("encryption", image_encryption_name(i->encryption));
	print_text("backing", i->backing);
	print_text("backing-format", *i->backing_format ? i->backing_format : NULL);
	print_text("data-file", i->data_file);
	print_text("problem", i->problem);
}

static void put_le(uint64_t v, int bytes)
{
	for (; bytes--; v >>= 8)
		putchar(v & 0xff);
}

/* Each page that is read, without the zeroes around what is in it. */
static ssize_t record(void *arg, void *page, size_t len, uint64_t off)
{
	ssize_t n = pread(*(int *)arg, page, len, off);
	size_t from = 0, to = n > 0 ? n : 0;
	const char *p = page;

	while (to > from && !p[to - 1])
		to--;
	while (from < to && !p[from])
		from++;
	if (to > from) {
		put_le(off + from, 8);
		put_le(to - from, 2);
		fwrite(p + from, 1, to - from, stdout);
	}
	return n;
}

static int seed(int fd, struct image_info *i, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(e, "stat");
	put_le(st.st_size, 8);
	return image_probe_with(record, &fd, st.st_size, i, e);
}

int main(int argc, char **argv)
{
	bool as_seed = argc > 1 && !strcmp(argv[1], "-s");
	int failed = 0;

	for (int n = 1 + as_seed; n < argc; n++) {
		int fd = open(argv[n], O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		struct image_info i;
		struct err e = {0};

		if (n > 1 + as_seed)
			putchar('\n');
		if (fd < 0) {
			perror(argv[n]);
			failed = 1;
			continue;
		}
		if ((as_seed ? seed(fd, &i, &e) : image_probe(fd, &i, &e)) < 0) {
			fprintf(stderr, "%s: %s\n", argv[n], e.text);
			failed = 1;
		} else {
			if (!as_seed)
				show(&i);
			image_info_release(&i);
		}
		close(fd);
	}
	return failed;
}
