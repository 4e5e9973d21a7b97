/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pool-xml.c - fuzz target: a pool's XML. What def_parse takes, xml_gather
 * calls whole, however the document is cut into pieces; what def_format prints
 * of it is taken again and printed the same. Built and run by `make fuzz`.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../../control/control.h"
#include "must.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Is it whole, fed in pieces of such a size? *text: up to the root's end. */
static bool gather(const char *xml, size_t len, size_t piece, struct buf *text)
{
	struct xml_gather *g = xml_gather_new();
	struct err e = {0};
	const char *got;
	size_t got_len;
	int rc = 0;

	for (size_t off = 0; off < len && rc >= 0; off += piece)
		rc = xml_gather_add(g, xml + off, len - off < piece ? len - off : piece, &e);
	must(rc >= 0 || *e.text);
	if (rc >= 0 && xml_gather_end(g, &e) < 0)
		rc = -1;
	if (rc >= 0) {
		got = xml_gather_text(g, &got_len);
		buf_add(text, got, got_len);
	}
	xml_gather_free(g);
	return rc >= 0;
}

static void print_again(struct pool_def *def)
{
	_cleanup_buf_ struct buf once = {0}, twice = {0};
	struct pool_def *again = NULL;
	struct err e = {0};

	if (!*def->uuid)
		memcpy(def->uuid, "12345678-9abc-4def-8123-456789abcdef", sizeof def->uuid);
	/* Where it had a password, control/ makes a secret before it prints. */
	if (def->source.auth.password && !*def->source.auth.secret_uuid &&
	    !def->source.auth.secret_usage)
		def->source.auth.secret_usage = xstrdup("kept");
	def_format(def, NULL, &once);
	if (def_parse(once.data, once.len, NULL, &again, &e) < 0) {
		fprintf(stderr, "%s\n%s\n", e.text, once.data);
		must(!"its own print is taken");
	}
	def_format(again, NULL, &twice);
	if (once.len != twice.len || memcmp(once.data, twice.data, once.len)) {
		fprintf(stderr, "%s\n%s\n", once.data, twice.data);
		must(!"printed the same again");
	}
	def_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	_cleanup_buf_ struct buf whole = {0}, pieces = {0};
	struct pool_def *def = NULL;
	const char *xml = (const char *)data;
	struct err e = {0};
	bool taken = def_parse(xml, len, NULL, &def, &e) == 0;
	bool at_once = gather(xml, len, len ? len : 1, &whole);
	bool by_pieces = gather(xml, len, len ? 1 + data[len / 2] % 7 : 1, &pieces);

	must(taken || *e.text);
	must(at_once == by_pieces);
	must(whole.len == pieces.len && (!whole.len || !memcmp(whole.data, pieces.data, whole.len)));
	must(!taken || (at_once && whole.len));
	if (taken) {
		struct pool_def *copy = def_copy(def);

		def_free(def);
		print_again(copy);
		def_free(copy);
	}
	return 0;
}
