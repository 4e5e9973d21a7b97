/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * capabilities.c - control/capabilities.xml: which types of pool work here, and the
 * formats of their sources and volumes, in libvirt's <storagepoolCapabilities>.
 *
 * Called by files.c. All of it comes from the tables of fields.c and backend.c; a
 * comment says why a type does not work, or cannot be discovered, on this machine.
 * Starts nothing and asks no driver for more than whether its parts are installed.
 */
#include "pool.h"
#include "writer.h"

#include <stdlib.h>
#include <string.h>

/* Where the writer puts what: <poolOptions> or <volOptions>. */
struct options {
	const char *standard, *list, *value, *name;
};
#define OPTIONS(element, of) { \
	"pool/" element "/defaultFormat", "pool/" element "/enum", "pool/" element "/enum/value", of }
static const struct options of_source = OPTIONS("poolOptions", "sourceFormatType");
static const struct options of_volumes = OPTIONS("volOptions", "targetFormatType");

/* words: with blanks between; standard NULL: the first of them. */
static void options_print(struct writer *w, const struct options *o, const char *words,
			  const char *standard)
{
	_cleanup_free_ char *list = xstrdup(words ? words : "");
	char *rest = list;
	bool begun = false;

	for (char *word; (word = strsep(&rest, " ")); ) {
		if (!word[0])
			continue;
		if (!begun) {
			writer_enter(w, o->standard);
			writer_attribute(w, "type", standard ? standard : word);
			writer_enter(w, o->list);
			writer_attribute(w, "name", o->name);
			begun = true;
		}
		writer_open(w);
		writer_again(w, o->value);
		writer_text(w, word);
	}
}

/* Behind the start tag of <pool>; a comment holds no "--". */
static void reason_print(struct writer *w, const struct err *why)
{
	_cleanup_free_ char *text = xstrdup(why->text);

	for (char *s; (s = strstr(text, "--")); )
		*s = ' ';
	buf_addf(w->out, "    <!-- %s -->\n", text);
}

static void type_print(struct writer *w, const struct backend *b)
{
	const struct pool_type *t = pool_type_find(b->type);
	struct err unusable, blind;
	bool usable = backend_usable(b, &unusable) == 0;

	writer_again(w, "pool");
	writer_attribute(w, "type", b->type);
	writer_attribute(w, "supported", usable ? "yes" : "no");
	writer_open(w);
	if (!usable)
		reason_print(w, &unusable);
	if (b->discover && backend_can_discover(b, &blind) < 0)
		reason_print(w, &blind);
	options_print(w, &of_source, t->formats, t->format);
	options_print(w, &of_volumes, b->vol_formats, NULL);
}

/* To look whether a type works may load its libraries: not for ls -l. */
static atomic_uint_fast64_t size;

uint64_t capabilities_size(void)
{
	return size;
}

void capabilities_show(struct cpool *cp, const struct caller *who, struct buf *out)
{
	struct writer w;

	(void)cp;
	(void)who;
	writer_begin(&w, out, "storagepoolCapabilities");
	for (const struct backend *const *b = backends; *b; b++)
		type_print(&w, *b);
	writer_end(&w);
	size = out->len;
}
