/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sources.c - control/sources/: what could become a pool, as libvirt's <sources>.
 *
 * Called by the front: the names at any time, source_show when a file is opened. It
 * judges the host's name, asks the type's discover, and prints what that finds by the
 * rows of fields.c. Keeps nothing: each open looks anew.
 */
#include "writer.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	DISCOVERIES_MAX = 16,   /* at a time: each may run a program and hold a thread */
	HOST_MAX = 253,         /* of DNS */
	LABEL_MAX = 63,
};

/* ---- names --------------------------------------------------------------------------- */

static enum source_kind kind_of(const struct backend *b)
{
	struct err ignored;

	if (!b || backend_can_discover(b, &ignored) < 0)
		return SOURCE_NONE;
	return b->discover_host ? SOURCE_HOST : SOURCE_HERE;
}

enum source_kind source_find(const char *type)
{
	return kind_of(backend_find(type));
}

void source_each(void (*f)(void *arg, const char *type, enum source_kind k), void *arg)
{
	for (const struct backend *const *b = backends; *b; b++) {
		enum source_kind k = kind_of(*b);

		if (k != SOURCE_NONE)
			f(arg, (*b)->type, k);
	}
}

/* An IPv6 address, perhaps with "%eth0" of a link-local one. */
static bool is_ipv6(const char *name)
{
	struct in6_addr address;
	char text[INET6_ADDRSTRLEN + 1];
	size_t len = strcspn(name, "%");

	if (len >= sizeof text)
		return false;
	memcpy(text, name, len);
	text[len] = '\0';
	for (const char *s = name + len + (name[len] == '%'); *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("._-", *s))
			return false;
	return inet_pton(AF_INET6, text, &address) == 1 && (!name[len] || name[len + 1]);
}

/* Labels as in DNS, and '_', which some have. It goes into a program's arguments, and
 * a name that begins with a dot is a file manager's question. */
static bool is_dns_name(const char *name)
{
	size_t label = 0;

	if (strlen(name) > HOST_MAX)
		return false;
	for (const char *s = name; *s; s++) {
		if (*s == '.' ? label == 0 : !isalnum((unsigned char)*s) && *s != '_' &&
					     (*s != '-' || label == 0))
			return false;
		label = *s == '.' ? 0 : label + 1;
		if (label > LABEL_MAX)
			return false;
	}
	return name[0] && (label > 0 || name[1]);
}

static bool port_parse(const char *text, unsigned *port)
{
	size_t len = strlen(text);

	if (len == 0 || len > 5 || text[0] == '0' || strspn(text, "0123456789") != len)
		return false;
	*port = (unsigned)strtoul(text, NULL, 10);
	return *port <= 65535;
}

/* text is cut into the two. */
static bool host_parse(char *text, struct pool_host *host)
{
	char *colon = strchr(text, ':'), *end;

	*host = (struct pool_host){ .name = text };
	if (text[0] == '[') {
		host->name = text + 1;
		end = strchr(text, ']');
		if (!end || (end[1] && (end[1] != ':' || !port_parse(end + 2, &host->port))))
			return false;
		*end = '\0';
		return is_ipv6(host->name);
	}
	if (colon && strchr(colon + 1, ':'))
		return is_ipv6(text);
	if (colon) {
		*colon = '\0';
		if (!port_parse(colon + 1, &host->port))
			return false;
	}
	return is_dns_name(text);
}

bool source_host_ok(const char *host)
{
	_cleanup_free_ char *text = xstrdup(host);
	struct pool_host parsed;

	return host_parse(text, &parsed);
}

/* ---- what is there ------------------------------------------------------------------------ */

struct finding {
	struct writer w;
	const char *type;
};

static void found(void *arg, const struct pool_source *s)
{
	struct finding *f = arg;
	const struct pool_type *t = pool_type_find(f->type);
	struct pool_def def = { .type = (char *)f->type, .source = *s };

	if (t->formats && (!s->format || !s->format[0] || !words_hold(t->formats, s->format)))
		def.source.format = (char *)t->format;
	source_format(&f->w, &def);
}

static int discover(const struct backend *b, const struct pool_host *host, struct progress *pr,
		    struct buf *out, struct err *e)
{
	struct finding f = { .type = b->type };
	int rc;

	writer_begin(&f.w, out, "sources");
	writer_open(&f.w);
	rc = backend_discover(b, host, pr, found, &f, e);
	writer_end(&f.w);
	if (rc < 0)
		buf_release(out);
	return rc;
}

int source_show(const char *type, const char *host, struct progress *pr, struct buf *out,
		struct err *e)
{
	static atomic_uint running;
	const struct backend *b = backend_find(type);
	_cleanup_free_ char *text = host ? xstrdup(host) : NULL;
	struct pool_host parsed;
	int rc;

	if (!b || (b->discover && b->discover_host != (host != NULL)) ||
	    (host && !host_parse(text, &parsed)))
		return err_set(e, ENOENT, "there are no sources of that name");
	if (atomic_fetch_add(&running, 1) >= DISCOVERIES_MAX)
		rc = err_set(e, EBUSY, "%d other discoveries are under way; try again later",
			     DISCOVERIES_MAX);
	else
		rc = discover(b, host ? &parsed : NULL, pr, out, e);
	atomic_fetch_sub(&running, 1);
	return rc;
}
