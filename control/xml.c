/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * xml.c - the one place where libxml2 is set up for text from outside.
 *
 * Called by gather.c and define.c. It listens with handlers of its own that
 * build nothing, counts depth, and stops the parser at the first thing refused.
 * Never opens a file or a socket, never prints, never loads a DTD.
 */
#include "xml.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int scan_fail(struct xml_scan *s, const char *what)
{
	if (s->err.code == 0)
		err_set(&s->err, EINVAL, "bad XML in line %u: %s", xml_scan_line(s), what);
	xmlStopParser(s->ctxt);
	return -s->err.code;
}

/* As xml.h says; no field of ours begins with ':'. */
static char *name_join(const xmlChar *prefix, const xmlChar *name, const xmlChar *uri)
{
	const char *known = prefix ? "" : NULL;

	if (uri && strcmp((const char *)uri, XML_NS_FS) == 0)
		known = "fs";
	else if (uri && strcmp((const char *)uri, XML_NS_RBD) == 0)
		known = "rbd";
	return known ? xasprintf("%s:%s", known, (const char *)name) : xstrdup((const char *)name);
}

static void on_start(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri,
		     int nb_namespaces, const xmlChar **namespaces, int nb_attributes,
		     int nb_defaulted, const xmlChar **attributes)
{
	struct xml_scan *s = ctx;
	struct xml_attr *attrs;
	size_t count = 0;
	char *joined;

	(void)nb_namespaces, (void)namespaces, (void)nb_defaulted;
	if (s->err.code)
		return;
	s->opened = true;
	if (s->depth >= XML_MAX_DEPTH) {
		char what[64];

		snprintf(what, sizeof what, "elements nest deeper than %d", XML_MAX_DEPTH);
		scan_fail(s, what);
		return;
	}
	s->depth++;
	if (!s->on || !s->on->start)
		return;

	attrs = xcalloc((size_t)nb_attributes, sizeof *attrs);
	for (int i = 0; i < nb_attributes; i++) {
		const xmlChar **a = attributes + 5 * i;
		size_t len = (size_t)(a[4] - a[3]);

		if (a[1])               /* with a prefix: not ours */
			continue;
		attrs[count].name = (const char *)a[0];
		attrs[count].value = xmalloc(len + 1);
		memcpy(attrs[count].value, a[3], len);
		attrs[count++].value[len] = '\0';
	}
	joined = name_join(prefix, name, uri);
	if (s->on->start(s->arg, joined, attrs, count, &s->err) < 0)
		xmlStopParser(s->ctxt);
	free(joined);
	while (count)
		free(attrs[--count].value);
	free(attrs);
}

static void on_end(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
	struct xml_scan *s = ctx;

	(void)name, (void)prefix, (void)uri;
	if (s->err.code)
		return;
	s->depth--;
	s->closed = s->depth == 0;
	if (s->on && s->on->end && s->on->end(s->arg, &s->err) < 0)
		xmlStopParser(s->ctxt);
}

static void on_text(void *ctx, const xmlChar *text, int len)
{
	struct xml_scan *s = ctx;

	if (s->err.code == 0 && s->on && s->on->text)
		s->on->text(s->arg, (const char *)text, (size_t)len);
}

/* Called before anything inside the DTD is looked at. */
static void on_dtd(void *ctx, const xmlChar *name, const xmlChar *external, const xmlChar *system)
{
	(void)name, (void)external, (void)system;
	scan_fail(ctx, "a document type definition (DTD) is refused; leave <!DOCTYPE> out");
}

static void on_error(struct xml_scan *s, const xmlError *error)
{
	char text[256];
	size_t len;

	/* Lesser ones are of namespaces, which mean nothing here. */
	if (error->level < XML_ERR_FATAL || s->err.code)
		return;
	if (error->code == XML_ERR_NO_MEMORY)
		abort();
	/* The push parser takes a document that lacks its end for one with more. */
	snprintf(text, sizeof text, "%s",
		 error->code == XML_ERR_DOCUMENT_END && !s->closed ?
			 "it ends before the root element is closed" :
		 error->message ? error->message : "malformed");
	len = strcspn(text, "\n");
	while (len && strchr(" .!", text[len - 1]))
		len--;
	text[len] = '\0';
	/* "Opening and ..." but not "EntityRef: ..." */
	if (isupper((unsigned char)text[0]) && !strstr(text, "Ref:"))
		text[0] = (char)tolower((unsigned char)text[0]);
	err_set(&s->err, EINVAL, "bad XML in line %d: %s", error->line > 0 ? error->line : 1, text);
}

#if LIBXML_VERSION >= 21200
static void on_xml_error(void *ctx, const xmlError *error)
#else
static void on_xml_error(void *ctx, xmlError *error)
#endif
{
	on_error(ctx, error);
}

void xml_scan_init(struct xml_scan *s, const struct xml_events *on, void *arg)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	xmlSAXHandler sax = {
		.initialized = XML_SAX2_MAGIC,
		.internalSubset = on_dtd,
		.externalSubset = on_dtd,
		.startElementNs = on_start,
		.endElementNs = on_end,
		.characters = on_text,
		.ignorableWhitespace = on_text,
		.cdataBlock = on_text,
		.serror = on_xml_error,
	};

	pthread_once(&once, xmlInitParser);
	*s = (struct xml_scan){.on = on, .arg = arg};
	s->ctxt = xmlCreatePushParserCtxt(&sax, s, NULL, 0, NULL);
	if (!s->ctxt)
		abort();                /* nothing but memory can be missing */
	/* NOENT: without it "&amp;" reaches an attribute as "&#38;". There is
	 * nothing to expand, as a DTD never gets in. IGNORE_ENC: no converters;
	 * encoding_check() has seen to it that the text is UTF-8. */
	xmlCtxtUseOptions(s->ctxt, XML_PARSE_NONET | XML_PARSE_NOENT | XML_PARSE_IGNORE_ENC);
}

void xml_scan_release(struct xml_scan *s)
{
	if (s->ctxt)
		xmlFreeParserCtxt(s->ctxt);
	s->ctxt = NULL;
}

unsigned xml_scan_line(struct xml_scan *s)
{
	int line = s->ctxt->input ? s->ctxt->input->line : 0;

	return line > 0 ? (unsigned)line : 1;
}

/* The value of encoding='...' in the XML declaration; false if there is none. */
static bool encoding_find(const char *text, char encoding[40])
{
	const char *word;
	size_t size;

	if (strncmp(text, "<?xml", 5) != 0 || !isspace((unsigned char)text[5]))
		return false;
	word = strstr(text, "encoding");
	if (!word || word > strchrnul(text, '>'))
		return false;
	word += strlen("encoding");
	word += strspn(word, " \t\r\n=");
	if (*word != '\'' && *word != '"')
		return false;           /* the parser will say what is wrong */
	size = strcspn(word + 1, "'\"");
	snprintf(encoding, 40, "%.*s", (int)(size < 39 ? size : 39), word + 1);
	return true;
}

/* UTF-16 and the like, and a declared encoding other than UTF-8, are refused
 * rather than guessed at. Looks at the start of the document. */
static int encoding_check(const char *data, size_t len, struct err *e)
{
	char start[512], encoding[40];

	if (len >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0)
		data += 3, len -= 3;
	if (len == 0 || (data[0] != '<' && !isspace((unsigned char)data[0])))
		return err_set(e, EINVAL, "bad XML in line 1: it does not begin with '<'; "
			       "write XML in UTF-8");
	/* More does not fit between "<?xml" and the encoding in earnest. */
	len = len < sizeof start ? len : sizeof start - 1;
	memcpy(start, data, len);
	start[len] = '\0';
	if (!encoding_find(start, encoding) || strcasecmp(encoding, "UTF-8") == 0 ||
	    strcasecmp(encoding, "US-ASCII") == 0)
		return 0;
	return err_set(e, EINVAL, "bad XML in line 1: encoding '%s' is refused; write it in UTF-8",
		       encoding);
}

int xml_scan_feed(struct xml_scan *s, const char *data, size_t len, bool last, struct err *e)
{
	if (s->err.code == 0 && !s->fed) {
		s->fed = true;
		encoding_check(data, len, &s->err);
	}
	if (s->err.code == 0 && memchr(data, '\0', len)) {
		unsigned line = xml_scan_line(s);

		for (; *data; data++)
			line += *data == '\n';
		err_set(&s->err, EINVAL, "bad XML in line %u: it holds a NUL byte; write XML in "
			"UTF-8", line);
	}
	if (s->err.code == 0)
		xmlParseChunk(s->ctxt, data, (int)len, last);
	if (s->err.code == 0 && !s->ctxt->wellFormed)
		scan_fail(s, "it is malformed");
	if (s->err.code == 0)
		return 0;
	*e = s->err;
	return -e->code;
}
