/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sources_command.c - what could become pools of type logical, netfs and iscsi, as
 * other programs tell it: pvs, showmount, iscsiadm.
 *
 * Called by backend_discover. The readers take the program's output and cut it into
 * words in place. Nothing is kept: iscsiadm's records are left as they were, pvs takes
 * no lock.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "command.h"
#include "sources.h"

#include <stdlib.h>
#include <string.h>

#define BLANKS " \t"

static int ask(const char *const *argv, struct progress *pr, struct buf *out, struct err *e)
{
	struct command run = {
		.argv = argv, .out = out, .progress = pr, .timeout_ms = DISCOVER_MS,
	};

	buf_add(out, "", 0);            /* so that there is a text */
	return command_run(&run, e);
}

/* The next line without the blanks around it; NULL at the end. */
static char *next_line(char **rest)
{
	char *line = strsep(rest, "\n");
	size_t len;

	if (!line)
		return NULL;
	line += strspn(line, BLANKS);
	for (len = strlen(line); len && strchr(BLANKS "\r", line[len - 1]); len--)
		line[len - 1] = '\0';
	return line;
}

/* ---- logical --------------------------------------------------------------------------- */

struct group {
	const char *name;
	struct pool_device *devices;
	size_t count;
};

static struct group *group_get(struct group **groups, size_t *count, const char *name)
{
	for (size_t i = 0; i < *count; i++)
		if (strcmp((*groups)[i].name, name) == 0)
			return &(*groups)[i];
	*groups = xrealloc(*groups, (*count + 1) * sizeof **groups);
	(*groups)[*count] = (struct group){ .name = name };
	return &(*groups)[(*count)++];
}

/* "/dev/sda1|vg": neither may hold a bar. A device of no group, and one that is
 * missing ("[unknown]"), is left out. */
void pvs_read(char *text, source_found_f *found, void *arg)
{
	struct group *groups = NULL;
	size_t count = 0;

	for (char *line; (line = next_line(&text)); ) {
		char *name = line, *path = strsep(&name, "|");
		struct group *g;

		if (!name || !name[0])
			continue;
		g = group_get(&groups, &count, name);
		if (path[0] != '/')
			continue;
		g->devices = xrealloc(g->devices, (g->count + 1) * sizeof *g->devices);
		g->devices[g->count++] = (struct pool_device){ .path = path };
	}
	for (size_t i = 0; i < count; i++) {
		struct pool_source s = {
			.name = (char *)groups[i].name, .devices = groups[i].devices,
			.device_count = groups[i].count,
		};

		found(arg, &s);
		free(groups[i].devices);
	}
	free(groups);
}

int discover_logical(const struct pool_host *host, struct progress *pr, source_found_f *found,
		     void *arg, struct err *e)
{
	const char *const argv[] = {
		"pvs", "--readonly", "--noheadings", "--separator", "|", "--options",
		"pv_name,vg_name", "--sort", "vg_name,pv_name", NULL,
	};
	_cleanup_buf_ struct buf out = { 0 };
	int rc = ask(argv, pr, &out, e);

	(void)host;
	if (rc == 0)
		pvs_read(out.data, found, arg);
	return rc;
}

/* ---- netfs ----------------------------------------------------------------------------- */

/* "/srv/my exports   10.0.0.0/8,hosts": the clients, behind the last blanks, hold none. */
void showmount_read(char *text, const struct pool_host *host, source_found_f *found, void *arg)
{
	for (char *line; (line = next_line(&text)); ) {
		struct pool_source s = {
			.hosts = (struct pool_host *)host, .host_count = 1, .dir = line,
			.format = (char *)"nfs",
		};
		char *end = line + strlen(line);

		while (end > line && !strchr(BLANKS, end[-1]))
			end--;
		while (end > line && strchr(BLANKS, end[-1]))
			end--;
		*end = '\0';
		if (line[0] == '/')
			found(arg, &s);
	}
}

int discover_netfs(const struct pool_host *host, struct progress *pr, source_found_f *found,
		   void *arg, struct err *e)
{
	const char *const argv[] = {
		"showmount", "--no-headers", "--exports", "--", host->name, NULL,
	};
	_cleanup_buf_ struct buf out = { 0 };
	int rc;

	if (host->port)
		return err_set(e, EINVAL, "the port mapper knows the port; open '%s' without one",
			       host->name);
	rc = ask(argv, pr, &out, e);
	if (rc == 0)
		showmount_read(out.data, host, found, arg);
	return rc;
}

/* ---- iscsi ----------------------------------------------------------------------------- */

/* "10.0.0.1:3260,1 iqn.2003-01.org.example:disk1"; a target comes once for each way
 * that leads to it. */
void iscsiadm_read(char *text, const struct pool_host *host, source_found_f *found, void *arg)
{
	struct group *targets = NULL;
	size_t count = 0;

	for (char *line; (line = next_line(&text)); ) {
		char *name = strpbrk(line, BLANKS);

		if (name && strchr(line, ','))
			group_get(&targets, &count, name + strspn(name, BLANKS));
	}
	for (size_t i = 0; i < count; i++) {
		struct pool_device target = { .path = (char *)targets[i].name };
		struct pool_source s = {
			.hosts = (struct pool_host *)host, .host_count = 1, .devices = &target,
			.device_count = 1,
		};

		found(arg, &s);
	}
	free(targets);
}

int discover_iscsi(const struct pool_host *host, struct progress *pr, source_found_f *found,
		   void *arg, struct err *e)
{
	bool v6 = strchr(host->name, ':');
	_cleanup_free_ char *portal = xasprintf("%s%s%s:%u", v6 ? "[" : "", host->name,
						v6 ? "]" : "", host->port ? host->port : 3260);
	const char *const argv[] = {
		"iscsiadm", "--mode", "discovery", "--type", "sendtargets", "--portal", portal,
		"--op", "nonpersistent", NULL,
	};
	_cleanup_buf_ struct buf out = { 0 };
	int rc = ask(argv, pr, &out, e);

	if (rc == 0)
		iscsiadm_read(out.data, host, found, arg);
	return rc;
}
