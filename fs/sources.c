/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sources.c - the nodes of control/sources/: a file for each type that this machine
 * can tell of, a directory for each whose sources other hosts have.
 *
 * Called by ops.c, dirs.c and ctl.c. Any host that may be named has its file, which no
 * listing shows. Only an open looks for sources: names and attributes ask nobody, and
 * all files have the size 0, as in /proc.
 */
#include "fs.h"
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

struct node *sources_child(struct node *dir, const char *name)
{
	enum source_kind k;

	switch ((enum kind)dir->kind) {
	case N_CONTROL:
		return strcmp(name, "sources")
			? NULL : node_child(dir, N_SOURCES, name, 0, NULL, NULL, NULL);
	case N_SOURCES:
		k = source_find(name);
		return k == SOURCE_NONE ? NULL
			: node_child(dir, k == SOURCE_HOST ? N_SOURCEHOSTS : N_SOURCE, name, 0,
				     NULL, NULL, NULL);
	case N_SOURCEHOSTS:
		return source_host_ok(name)
			? node_child(dir, N_SOURCE, name, 0, NULL, NULL, NULL) : NULL;
	default:
		return NULL;
	}
}

/* Whoever may open them makes the daemon run programs and ask hosts: nobody but the
 * mount's owner. */
void sources_stat(struct node *n, struct stat *st)
{
	st->st_mode = n->kind == N_SOURCE ? S_IFREG | 0400 : S_IFDIR | 0700;
}

int sources_open(struct req *r, struct node *n, struct buf *text)
{
	_cleanup_free_ char *name = node_name(n), *type = NULL;

	if ((r->fi.flags & O_ACCMODE) != O_RDONLY)
		return err_set(&r->err, EACCES, "'%s' is read-only", name);
	if (n->parent->kind == N_SOURCES)
		return source_show(name, NULL, &r->progress, text, &r->err);
	type = node_name(n->parent);
	return source_show(type, name, &r->progress, text, &r->err);
}
