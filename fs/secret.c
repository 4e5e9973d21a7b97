/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * secret.c - the files of control/secrets: written, removed, never read.
 *
 * Called by ops.c, dirs.c, names.c and ctl.c, as for control's other files. Each
 * write makes all that was written so far through its handle the secret, so that
 * its error is that write's. What held a piece of one is wiped: the handle's text
 * when it closes, the request's copy when it ends (request.c), and the buffer it
 * was read into at once (data.c). Never shows a secret to anyone, root included.
 */
#include "fs.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

struct node *secrets_child(struct node *dir, const char *name)
{
	struct node *n;

	if (secret_exists(name))
		return node_child(dir, N_SECRET, name, 0, NULL, NULL, NULL);
	n = node_find(dir, name);       /* opened, not written yet */
	if (n && n->kind == N_SECRET && n->writers)
		return n;
	if (n)
		node_put(n, 1);
	return NULL;
}

int secrets_create(struct req *r, struct node **out)
{
	int rc = secret_name_check(r->name, &r->err);

	if (rc < 0)
		return rc;
	if (r->fi.flags & O_EXCL && secret_exists(r->name))
		return -EEXIST;
	*out = node_child(r->node, N_SECRET, r->name, 0, NULL, NULL, NULL);
	return 0;
}

int secrets_open(struct req *r, struct node *n, struct buf *text)
{
	_cleanup_free_ char *name = node_name(n);

	if ((r->fi.flags & O_ACCMODE) != O_WRONLY)
		return err_set(&r->err, EACCES, "the secret '%s' is shown to nobody: it can be "
			       "written anew, and removed", name);
	if (r->fi.flags & O_APPEND)
		return err_set(&r->err, EINVAL, "the secret '%s' is written whole: use '>', not "
			       "'>>'", name);
	/* Room for the largest at once: a text that grew would leave what it was. */
	text->cap = SECRET_MAX + 2;
	text->data = xmalloc(text->cap);
	text->data[0] = '\0';
	return 0;
}

int secrets_write(struct req *r, struct node *n, struct buf *text)
{
	_cleanup_free_ char *name = node_name(n);
	size_t before = text->len;
	int rc;

	if (!node_linked(n))
		return err_set(&r->err, ESTALE, "the secret '%s' was removed while it was being "
			       "written", name);
	if (r->off != before)
		return err_set(&r->err, EINVAL, "the secret '%s' is written from its beginning, "
			       "without gaps", name);
	/* One byte more, for the newline that is no part of it. */
	if (r->size > SECRET_MAX + 1 - before)
		return err_set(&r->err, EFBIG, "a secret may have %d bytes", SECRET_MAX);
	buf_add(text, r->data, r->size);
	rc = secret_set(name, text->data, text->len, &r->err);
	if (rc < 0) {
		explicit_bzero(text->data + before, text->len - before);
		text->len = before;
	}
	return rc;
}

/* What is there stays until the first write: nothing else can be a secret. */
int secrets_truncate(struct req *r, struct buf *text)
{
	uint64_t size = r->attr.st_size;

	if (size && (!text || size != text->len))
		return err_set(&r->err, EINVAL, "a secret has the size that was written");
	if (!size && text) {
		explicit_bzero(text->data, text->len);
		text->len = 0;
	}
	return 0;
}

int secrets_unlink(struct req *r)
{
	int rc = secret_remove(r->name, &r->err);
	struct node *n = rc == -ENOENT ? node_find(r->node, r->name) : NULL;

	if (n && n->writers)            /* opened, not written yet */
		rc = 0;
	if (n)
		node_put(n, 1);
	return rc;
}
