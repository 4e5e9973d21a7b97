/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * volume-xml.c - fuzz target: a volume's XML. What volume_parse takes is printed as
 * XML that it takes again and prints the same; and whatever bytes a volume's
 * description holds, what is printed of it is well-formed. Built and run by
 * `make fuzz`.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../../control/volume_xml.h"
#include "must.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct pool_def pool = { .type = "rbd" };

static void print_again(const struct volume_def *v)
{
	_cleanup_buf_ struct buf once = {0}, twice = {0}, disk = {0};
	struct volume_def again;
	struct vol_desc d;
	struct err e = {0};

	volume_format(v->name, &v->d, &once);
	if (volume_parse(once.data, once.len, v->name, VOL_FORMATS_OF_FILES, &again, &e) < 0) {
		fprintf(stderr, "%s\n%s\n", e.text, once.data);
		must(!"its own print is taken");
	}
	volume_format(again.name, &again.d, &twice);
	must(once.len == twice.len && !memcmp(once.data, twice.data, once.len));
	d = again.d;
	d.target.path = again.name;
	volume_disk_format(&pool, &d, &disk);
	volume_def_release(&again);
}

static bool whole(const struct buf *xml)
{
	struct xml_gather *g = xml_gather_new();
	struct err e = {0};
	int rc = xml_gather_add(g, xml->data, xml->len, &e);

	xml_gather_free(g);
	return rc == 1;
}

/* The input as the bytes of an image's header and of a directory's entry. */
static void print_bytes(const char *data, size_t len)
{
	_cleanup_buf_ struct buf xml = {0}, disk = {0};
	_cleanup_free_ char *text = strndup(data, len < 1024 ? len : 1024);
	struct vol_desc d = {
		.key = text, .encryption = text,
		.target = {.path = text, .format = text, .perms = {.label = text}},
		.backing = {.path = text, .format = text, .times_set = true},
	};

	volume_format(text, &d, &xml);
	volume_disk_format(&pool, &d, &disk);
	must(whole(&xml) && whole(&disk));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *xml = (const char *)data;
	struct volume_def v;
	struct err e = {0};

	print_bytes(xml, len);
	if (volume_parse(xml, len, "v", VOL_FORMATS_OF_FILES, &v, &e) < 0) {
		must(e.text[0] && !strchr(e.text, '\n'));
		return 0;
	}
	must(v.name && !strcmp(v.name, "v"));
	print_again(&v);
	volume_def_release(&v);
	return 0;
}
