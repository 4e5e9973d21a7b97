/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shown.c - what the lookup of a pool's read-only control file has shown.
 *
 * open(2) of such a file looks it up first, which needs its size and so its whole
 * text: for info the driver is asked. The open that follows takes that text, once and
 * at once, so that nobody reads what is older than his own lookup. Called by tree.c and
 * ctl.c; never for a file that is written, that grows, or that tells its size.
 */
#include "fs.h"
#include <stdlib.h>

struct shown {
	struct buf text;
	uint64_t when;
	uid_t uid;
};
enum { SHOWN_MS = 50 };

bool shown_keeps(const struct cfile *cf)
{
	return cf->dir == CDIR_POOL && !cf->store && !cf->size && !cf->grows;
}

static struct shown *shown_swap(struct node *n, struct shown *s)
{
	pthread_mutex_lock(&n->mu);
	struct shown *old = n->shown;
	n->shown = s;
	pthread_mutex_unlock(&n->mu);
	return old;
}

static void shown_free(struct shown *s)
{
	if (s)
		buf_release(&s->text);
	free(s);
}

void shown_keep(struct node *n, const struct caller *who, struct buf *text)
{
	struct shown *s;

	if (!shown_keeps(n->cf))
		return;
	s = xmalloc(sizeof *s);
	*s = (struct shown){ .text = *text, .when = now_ms(), .uid = who->uid };
	*text = (struct buf){ 0 };
	shown_free(shown_swap(n, s));
}

void shown_forget(struct node *n)
{
	shown_free(n->shown);
}

bool shown_take(struct node *n, const struct caller *who, struct buf *text)
{
	struct shown *s = shown_swap(n, NULL);
	bool fits = s && s->uid == who->uid && now_ms() - s->when <= SHOWN_MS;

	if (fits) {
		*text = s->text;
		s->text = (struct buf){ 0 };
	}
	shown_free(s);
	return fits;
}
