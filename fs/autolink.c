/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * autolink.c - symbolic links: those of control/autostart, which make a pool start with
 * the mount, the temporary names that `ln -sf` gives them, and reading any.
 *
 * Called by ops.c's table, and by names.c for unlink and rename. Makes no link anywhere
 * else.
 */
#include "fs.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int autostart_name(const char *file, char name[256])
{
	size_t len = strlen(file);

	if (len <= 4 || len > 255 || strcmp(file + len - 4, ".xml"))
		return -ENOENT;
	memcpy(name, file, len - 4);
	name[len - 4] = 0;
	return 0;
}

/* ln -sf makes a link under a temporary name and renames it. */
enum { AUTOLINKS = 64 };
static struct autolink {
	char *name, *text;
	uint64_t until;
} autolinks[AUTOLINKS];
static pthread_mutex_t autolink_mu = PTHREAD_MUTEX_INITIALIZER;

static struct autolink *autolink_find(const char *name)
{
	for (struct autolink *l = autolinks; l < autolinks + AUTOLINKS; l++) {
		if (l->name && l->until <= now_ms()) {
			free(l->name);
			free(l->text);
			l->name = l->text = NULL;
		}
		if (l->name ? name && !strcmp(l->name, name) : !name)
			return l;
	}
	return NULL;
}

bool autolink_exists(const char *name)
{
	pthread_mutex_lock(&autolink_mu);
	bool yes = autolink_find(name) != NULL;
	pthread_mutex_unlock(&autolink_mu);
	return yes;
}

char *autolink_text(const char *name)
{
	pthread_mutex_lock(&autolink_mu);
	struct autolink *l = autolink_find(name);
	char *text = l ? xstrdup(l->text) : xasprintf("../pools/%s", name);
	pthread_mutex_unlock(&autolink_mu);
	return text;
}

void autolink_each(void (*f)(void *, const char *), void *arg)
{
	for (int i = 0; i < AUTOLINKS; i++) {
		pthread_mutex_lock(&autolink_mu);
		_cleanup_free_ char *name = autolinks[i].name ? xstrdup(autolinks[i].name) : NULL;
		pthread_mutex_unlock(&autolink_mu);
		if (name)
			f(arg, name);
	}
}

static void autolink_drop(const char *name)
{
	pthread_mutex_lock(&autolink_mu);
	struct autolink *l = autolink_find(name);
	if (l)
		l->until = 0;
	autolink_find(name);
	pthread_mutex_unlock(&autolink_mu);
}

/* The pool that a link's text means: any path that ends in NAME.xml. */
static int autolink_means(const char *text, char pool[256], struct err *e)
{
	const char *base = strrchr(text, '/');

	if (autostart_name(base ? base + 1 : text, pool) < 0)
		return err_set(e, EINVAL, "an autostart link leads to ../pools/NAME.xml, not to "
			       "'%s'", text);
	return 0;
}

static int autostart_set(const char *file, const char *text, struct err *e)
{
	char pool[256], meant[256];
	struct cpool *cp;
	bool is;

	if (autostart_name(file, pool) < 0)
		return err_set(e, EINVAL, "an autostart link is called NAME.xml");
	if (autolink_means(text, meant, e) < 0)
		return -e->code;
	if (strcmp(pool, meant))
		return err_set(e, EINVAL, "link '%s' would lead to the pool '%s'", file, meant);
	cp = cpool_find(pool);
	if (!cp)
		return err_set(e, ENOENT, "no pool '%s' is defined", pool);
	is = cpool_autostart(cp);
	cpool_put(cp);
	return is ? -EEXIST : cpool_set_autostart(pool, true, e);
}

static int symlink_here(struct req *r)
{
	char pool[256];
	struct autolink *l;
	int rc;

	if (r->node->kind != N_AUTOSTART)
		return err_set(&r->err, EPERM, "symbolic links are made in control/autostart only");
	if (autostart_name(r->name, pool) == 0)
		return autostart_set(r->name, r->name2, &r->err);
	rc = autolink_means(r->name2, pool, &r->err);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&autolink_mu);
	if (autolink_find(r->name)) {
		rc = -EEXIST;
	} else if (!(l = autolink_find(NULL))) {
		rc = err_set(&r->err, ENOSPC, "too many temporary links: remove some");
	} else {
		l->name = xstrdup(r->name);
		l->text = xstrdup(r->name2);
		l->until = now_ms() + 60000;
	}
	pthread_mutex_unlock(&autolink_mu);
	return rc;
}

int autolink_rename(struct req *r)
{
	_cleanup_free_ char *text = NULL;
	int rc;

	if (!autolink_exists(r->name))
		return err_set(&r->err, EPERM, "'%s' cannot be renamed: rm it, then ln -s anew",
			       r->name);
	text = autolink_text(r->name);
	rc = autostart_set(r->name2, text, &r->err);
	if (rc < 0 && !(rc == -EEXIST && !(r->flags & RENAME_NOREPLACE)))
		return rc;
	autolink_drop(r->name);
	node_unlink(r->node, r->name2);
	node_rename(r->node, r->name, r->node, r->name2, false);
	return 0;
}

int autolink_unlink(struct req *r)
{
	char pool[256];

	if (autolink_exists(r->name)) {
		autolink_drop(r->name);
		return 0;
	}
	if (autostart_name(r->name, pool) < 0)
		return -ENOENT;
	return cpool_set_autostart(pool, false, &r->err);
}

static void do_symlink(struct req *r)
{
	struct node *n;
	struct stat st;
	int rc = symlink_here(r);

	if (rc == 0)
		rc = lookup_child(r, r->node, r->name, &n, &st);
	if (rc < 0)
		req_fail(r, rc);
	else
		reply_node(r, n, &st);
}

void op_symlink(fuse_req_t fr, const char *text, fuse_ino_t parent, const char *name)
{
	struct req *r = req_named(fr, parent, name, "autostart");

	if (!r)
		return;
	r->name2 = xstrdup(text);
	req_run(r, do_symlink, r->node->kind == N_POOL ? LOCKED_MS : 0);
}

static void do_readlink(struct req *r)
{
	_cleanup_free_ char *name = node_name(r->node), *text = NULL;
	int rc = 0;

	if (r->node->kind == N_VOL) {
		text = xmalloc(4097);
		rc = vol_readlink(run_pool(r->run), name, text, 4097, &r->err);
	} else {
		text = autolink_text(name);
	}
	if (rc < 0)
		req_fail(r, rc);
	else if (req_claim(r))
		fuse_reply_readlink(r->fr, text);
}

void op_readlink(fuse_req_t fr, fuse_ino_t ino)
{
	struct req *r = req_new(fr, ino, "readlink");

	if (r)
		req_run(r, do_readlink, opt.timeout_ms);
}
