/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rbd_hosts.c - the monitors of a cluster, as the XML names them.
 *
 * Called by rbd_conn.c, on the thread that connects: the name service may take its
 * time. Never asks more of a monitor than whether it is one.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "rbd.h"

#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* As librados wants it; those that the name service does not know are left out,
 * since librados gives up at the first. Without one that it knows: all of them. */
void hosts_text(const struct pool_source *s, const bool *known, struct buf *out)
{
	for (size_t i = 0; i < s->host_count; i++) {
		const struct pool_host *h = &s->hosts[i];
		bool bare6 = strchr(h->name, ':') && h->name[0] != '[';

		if (known && !known[i])
			continue;
		buf_addf(out, "%s%s%s%s", out->len ? "," : "", bare6 ? "[" : "", h->name,
			 bare6 ? "]" : "");
		if (h->port)
			buf_addf(out, ":%u", h->port);
	}
	buf_add(out, "", 0);
}

static struct addrinfo *host_find(const struct pool_host *h, unsigned port)
{
	struct addrinfo want = { .ai_socktype = SOCK_STREAM }, *found = NULL;
	_cleanup_free_ char *name = xstrdup(h->name);
	size_t len = strlen(name);
	char number[16];

	if (name[0] == '[' && len > 2 && name[len - 1] == ']') {
		name[len - 1] = '\0';
		memmove(name, name + 1, len - 1);
	}
	snprintf(number, sizeof number, "%u", port);
	return getaddrinfo(name, number, &want, &found) == 0 ? found : NULL;
}

/* Does a monitor greet there? */
static bool greets(const struct addrinfo *a)
{
	_cleanup_close_ int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char text[6];

	if (fd < 0 || (connect(fd, a->ai_addr, a->ai_addrlen) < 0 && errno != EINPROGRESS))
		return false;
	return poll(&p, 1, 2000) == 1 && recv(fd, text, sizeof text, 0) == sizeof text &&
	       memcmp(text, "ceph v", sizeof text) == 0;
}

bool hosts_greet(const struct pool_source *s)
{
	static const unsigned usual[] = { 3300, 6789 };
	bool found = false;

	for (size_t i = 0; i < s->host_count && !found; i++)
		for (int n = 0; n < (s->hosts[i].port ? 1 : 2) && !found; n++) {
			struct addrinfo *a = host_find(&s->hosts[i], s->hosts[i].port ? s->hosts[i].port
								    : usual[n]);

			found = a && greets(a);
			if (a)
				freeaddrinfo(a);
		}
	return found;
}

/* The name service may take its time, as all that follows. */
int hosts_set(rados_t cluster, const struct pool_source *s)
{
	_cleanup_buf_ struct buf text = { 0 };
	size_t count = s->host_count, found = 0;
	_cleanup_free_ bool *known = xcalloc(count + 1, sizeof *known);

	for (size_t i = 0; i < count; i++) {
		struct addrinfo *at = host_find(&s->hosts[i], 0);

		known[i] = at;
		found += known[i];
		if (at)
			freeaddrinfo(at);
	}
	hosts_text(s, known, &text);
	return found ? rados_conf_set(cluster, "mon_host", text.data) : -EHOSTUNREACH;
}
