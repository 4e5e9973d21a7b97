/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * gather.c - gathers a document from the pieces of write(2) and tells in which
 * piece its root element closes.
 *
 * Called by drop.c. libxml2's push parser (xml.c) judges the document; a small
 * lexer in front of it only decides when to feed: whenever a piece of markup has
 * ended. Fed byte by byte, the parser would look through all it holds again for
 * each byte of a long comment or text. Never defines anything, and never looks
 * at what the elements mean.
 */
#include "xml.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum lex {
	LEX_TEXT,       /* outside markup */
	LEX_LT,         /* after "<" */
	LEX_BANG,       /* after "<!", up to what tells the kinds apart */
	LEX_COMMENT,
	LEX_CDATA,
	LEX_PI,
	LEX_TAG,
};

struct xml_gather {
	struct xml_scan scan;
	struct buf doc;         /* up to the end of the root element, no BOM */
	size_t fed;             /* of doc, what scan has seen */
	uint64_t total;         /* all bytes, those behind the root as well */
	unsigned line;
	enum lex lex;
	bool tagged;            /* a tag was seen; the parser may lag behind by one */
	char quote;             /* LEX_TAG: inside an attribute's value */
	unsigned run;           /* '-' or ']' in a row, or '?' seen */
	char bang[8];           /* LEX_BANG: what came after "<!" */
	unsigned bang_len;
	unsigned bom;           /* bytes of a BOM seen; 3: over */
	struct err err;         /* once bad, always bad */
};

struct xml_gather *xml_gather_new(void)
{
	struct xml_gather *g = xcalloc(1, sizeof *g);

	xml_scan_init(&g->scan, NULL, NULL);
	g->line = 1;
	return g;
}

void xml_gather_free(struct xml_gather *g)
{
	if (!g)
		return;
	xml_scan_release(&g->scan);
	buf_release(&g->doc);
	free(g);
}

static int gather_fail(struct xml_gather *g, const char *what)
{
	return err_set(&g->err, EINVAL, "bad XML in line %u: %s", g->line, what);
}

static int gather_feed(struct xml_gather *g)
{
	const char *data = g->doc.data + g->fed;
	size_t len = g->doc.len - g->fed;

	g->fed = g->doc.len;
	return xml_scan_feed(&g->scan, data, len, false, &g->err);
}

/* What a person would have to change in a document the lexer cannot follow. */
static int gather_reject(struct xml_gather *g, const char *what)
{
	if (!g->scan.closed && gather_feed(g) < 0)
		return -g->err.code;    /* the parser says it better */
	return gather_fail(g, what);
}

static int lex_text(struct xml_gather *g, char c)
{
	if (c == '<') {
		g->lex = LEX_LT;
		return 0;
	}
	if ((g->tagged && !g->scan.closed) || c == ' ' || c == '\t' || c == '\r' || c == '\n')
		return 0;
	if (g->scan.closed)
		return gather_fail(g, "something follows the root element; only blanks and "
				   "comments may");
	return gather_fail(g, "it does not begin with '<'; write XML in UTF-8");
}

static int lex_lt(struct xml_gather *g, char c)
{
	g->run = 0;
	g->quote = 0;
	g->bang_len = 0;
	if (c == '!')
		g->lex = LEX_BANG;
	else if (g->scan.closed)
		return gather_fail(g, "something follows the root element; only blanks and "
				   "comments may");
	else if (c == '?')
		g->lex = LEX_PI;
	else if (c == '>')
		return gather_reject(g, "'<>' is no element");
	else
		g->lex = LEX_TAG;
	return 0;
}

/* Is what came after "<!" so far the beginning of word? */
static bool bang_begins(struct xml_gather *g, const char *word)
{
	return g->bang_len <= strlen(word) && memcmp(g->bang, word, g->bang_len) == 0;
}

static int lex_bang(struct xml_gather *g, char c)
{
	static const char comment[] = "--", cdata[] = "[CDATA[";
	bool inside = g->tagged && !g->scan.closed;

	g->bang[g->bang_len++] = c;
	if (bang_begins(g, comment)) {
		if (g->bang_len == sizeof comment - 1)
			g->lex = LEX_COMMENT;
	} else if (inside && bang_begins(g, cdata)) {
		if (g->bang_len == sizeof cdata - 1)
			g->lex = LEX_CDATA;
	} else if (g->bang[0] == 'D' && !g->scan.closed) {
		return gather_fail(g, "a document type definition (DTD) is refused; "
				   "leave <!DOCTYPE> out");
	} else {
		return gather_reject(g, "'<!' begins neither a comment nor text");
	}
	return 0;
}

/* Inside markup. Returns true when c ends it. */
static bool lex_ends(struct xml_gather *g, char c)
{
	char twice = g->lex == LEX_COMMENT ? '-' : ']';

	switch (g->lex) {
	case LEX_COMMENT:
	case LEX_CDATA:
		if (c == '>' && g->run >= 2)
			return true;
		g->run = c == twice ? g->run + 1 : 0;
		return false;
	case LEX_PI:
		if (c == '>' && g->run)
			return true;
		g->run = c == '?';
		return false;
	default:
		if (g->quote) {
			if (c == g->quote)
				g->quote = 0;
		} else if (c == '"' || c == '\'') {
			g->quote = c;
		} else {
			return c == '>';
		}
		return false;
	}
}

static int lex_byte(struct xml_gather *g, char c)
{
	switch (g->lex) {
	case LEX_TEXT:
		return lex_text(g, c);
	case LEX_LT:
		return lex_lt(g, c);
	case LEX_BANG:
		return lex_bang(g, c);
	case LEX_TAG:
		/* Neither a tag nor a value may hold one: a '>' or a quote was
		 * forgotten, and without this the error would come at the end. */
		if (c == '<')
			return gather_reject(g, "'<' inside a tag");
		break;
	default:
		break;
	}
	if (!lex_ends(g, c))
		return 0;
	if (g->lex == LEX_TAG)
		g->tagged = true;
	g->lex = LEX_TEXT;
	return g->scan.closed ? 0 : gather_feed(g);
}

/* Editors of other systems begin a text with U+FEFF. False: c belongs to one. */
static bool bom_skipped(struct xml_gather *g, char c)
{
	if (g->bom < 3 && g->total == g->bom && c == "\xef\xbb\xbf"[g->bom]) {
		g->bom++;
		return false;
	}
	return true;
}

int xml_gather_add(struct xml_gather *g, const char *data, size_t len, struct err *e)
{
	bool was_closed = g->scan.closed;

	for (size_t i = 0; i < len && g->err.code == 0; i++) {
		if (g->total >= XML_MAX_BYTES) {
			err_set(&g->err, EFBIG, "the XML is larger than %d bytes", XML_MAX_BYTES);
			break;
		}
		if (bom_skipped(g, data[i])) {
			if (!g->scan.closed)
				buf_add(&g->doc, &data[i], 1);
			lex_byte(g, data[i]);
		}
		g->total++;
		if (data[i] == '\n')
			g->line++;
	}
	if (g->err.code) {
		/* Nobody will ask for it; a handle may stay open for long. */
		buf_release(&g->doc);
		*e = g->err;
		return -e->code;
	}
	return g->scan.closed && !was_closed;
}

int xml_gather_end(struct xml_gather *g, struct err *e)
{
	if (g->err.code) {
		*e = g->err;
		return -e->code;
	}
	if (g->total == 0 || (g->scan.closed && g->lex == LEX_TEXT))
		return 0;
	if (g->scan.closed)
		return err_set(e, EINVAL, "bad XML in line %u: a comment behind the root element "
			       "is not closed", g->line);
	if (!g->tagged)
		return err_set(e, EINVAL, "the XML ends in line %u without an element", g->line);
	return err_set(e, EINVAL, "the XML is incomplete: it ends in line %u before the root element "
		       "is closed", g->line);
}

const char *xml_gather_text(struct xml_gather *g, size_t *len)
{
	*len = g->doc.len;
	return g->doc.data ? g->doc.data : "";
}
