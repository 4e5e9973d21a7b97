/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * xml.h - libxml2, locked down: one streaming parse for all XML from outside.
 *
 * For gather.c (which only wants to know when the root element closes) and
 * define.c (which also listens to the elements). No tree is built, so memory is
 * bounded by the piece that is fed. A DTD is refused as soon as it begins; there
 * are no entities but the five of XML, no network and no other file.
 */
#ifndef POOLFS_XML_H
#define POOLFS_XML_H

#include "control.h"
#include <libxml/parser.h>

/* An attribute as it is met; value is valid during the call only. */
struct xml_attr {
	const char *name;
	char *value;
};

/* libvirt's namespaces inside a <pool>. */
#define XML_NS_FS "http://libvirt.org/schemas/storagepool/fs/1.0"
#define XML_NS_RBD "http://libvirt.org/schemas/storagepool/rbd/1.0"

/* What a listener may hear; any may be NULL. Elements of the two namespaces
 * come as "fs:option" and "rbd:option", whatever prefix the document chose, and
 * others with a prefix as ":option". A negative return ends the parse; err was
 * set. */
struct xml_events {
	int (*start)(void *arg, const char *name, const struct xml_attr *attrs, size_t count,
		     struct err *e);
	void (*text)(void *arg, const char *text, size_t len);
	int (*end)(void *arg, struct err *e);
};

struct xml_scan {
	xmlParserCtxt *ctxt;
	const struct xml_events *on;    /* may be NULL */
	void *arg;
	unsigned depth;                 /* elements open now */
	bool opened, closed;            /* the root element has begun, has ended */
	bool fed;
	struct err err;                 /* the first thing wrong; code 0: none yet */
};

void xml_scan_init(struct xml_scan *s, const struct xml_events *on, void *arg);
void xml_scan_release(struct xml_scan *s);
/* The first piece must hold the whole XML declaration, if there is one. last:
 * the document ends here. Errors are EINVAL and name the line; once bad, a scan
 * stays bad. */
int xml_scan_feed(struct xml_scan *s, const char *data, size_t len, bool last, struct err *e);
/* Where the parser is now, from 1. */
unsigned xml_scan_line(struct xml_scan *s);

#endif
