/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shown.c - texts that a lookup has made: a pool's read-only control files, and its
 * volumes as XML and <disk>.
 *
 * open(2) of such a file looks it up first, which needs its size and so its whole text,
 * and for that the driver. Each text is a node of its own (the name gets another one
 * when the text has changed), so that what the kernel keeps of it, its size and the pages
 * of mappings, is never another text's. The open that follows takes the text, at once and
 * as often as it was looked up, so that nobody reads what is older than his own lookup; an
 * open that finds none here makes its own.
 * Called by lookup.c, tree.c and ctl.c; never for a file that is written, that grows, or
 * that tells its size.
 */
#include "fs.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	SHOWN_MS = 50,
	KEPT = 64,                      /* texts that no open has taken yet */
};

static struct shown {
	uint64_t id;                    /* the node's; 0: none */
	struct buf text;
	uint64_t when;
	uid_t uid;
	unsigned lookups;               /* whose opens have not come */
} kept[KEPT];
static unsigned next;
static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;

bool shown_keeps(const struct cfile *cf)
{
	return cf->dir == CDIR_POOL && !cf->store && !cf->size && !cf->grows;
}

bool node_is_shown(struct node *n)
{
	return n->ident && (n->kind == N_CFILE || n->kind == N_VOLTEXT);
}

/* Not 0. */
static uint64_t text_hash(const struct buf *text)
{
	uint64_t h = hash_add(HASH_BEGIN, text->data, text->len);

	h = (h ^ h >> 32) * 0x9e3779b97f4a7c15ULL;
	return h ^ h >> 29 ? h ^ h >> 29 : 1;
}

static void keep(struct node *n, uid_t uid, struct buf *text)
{
	struct shown *s = NULL;

	pthread_mutex_lock(&mu);
	for (unsigned i = 0; i < KEPT && !s; i++)
		if (kept[i].id == n->id && kept[i].uid == uid)
			s = &kept[i];
	if (!s) {
		s = &kept[next++ % KEPT];
		s->lookups = 0;
	}
	buf_release(&s->text);
	*s = (struct shown){ n->id, *text, now_ms(), uid, s->lookups + 1 };
	pthread_mutex_unlock(&mu);
	*text = (struct buf){ 0 };
}

struct node *shown_child(struct node *dir, enum kind k, const char *name,
			 const struct cfile *cf, uid_t uid, struct buf *text)
{
	struct node *n = node_child(dir, k, name, text_hash(text), dir->run, dir->cp, cf);

	pthread_mutex_lock(&n->mu);
	if (!n->stamp.mtime.tv_sec) {
		n->stamp.size = (off_t)text->len;
		clock_gettime(CLOCK_REALTIME, &n->stamp.mtime);
		n->stamp.ctime = n->stamp.mtime;
	}
	pthread_mutex_unlock(&n->mu);
	keep(n, uid, text);
	return n;
}

bool shown_is(struct node *n, const struct buf *text)
{
	return node_is_shown(n) && n->ident == text_hash(text);
}

struct stamp shown_stamp(struct node *n)
{
	pthread_mutex_lock(&n->mu);
	struct stamp s = n->stamp;
	pthread_mutex_unlock(&n->mu);
	return s;
}

bool shown_take(struct node *n, const struct caller *who, struct buf *text)
{
	bool fits = false;

	if (!node_is_shown(n))
		return false;
	pthread_mutex_lock(&mu);
	for (unsigned i = 0; i < KEPT && !fits; i++) {
		struct shown *s = &kept[i];

		if (s->id != n->id || s->uid != who->uid)
			continue;
		fits = now_ms() - s->when <= SHOWN_MS;
		if (fits && --s->lookups) {
			buf_add(text, s->text.data, s->text.len);
			break;
		}
		if (fits)
			*text = s->text;
		else
			buf_release(&s->text);
		*s = (struct shown){ 0 };
		break;
	}
	pthread_mutex_unlock(&mu);
	return fits;
}
