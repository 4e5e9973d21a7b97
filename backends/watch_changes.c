/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * watch_changes.c - which changes of volumes the events of a directory mean.
 *
 * Called by watch.c on its thread. Sub-directories, other things that are no volumes and
 * the drivers' hidden files are left out; a rename from a hidden name is a creation, one
 * to it a deletion.
 *
 * Sizes: a watch with IN_MODIFY, or any event of a file's content, costs each write of
 * 4 KiB a quarter of its speed and more, and a volume that is being written would be
 * told of without end. So after the first one the directory is watched for changes of
 * names only, which costs writes nothing; TICK_MS later the watch is whole again, and
 * the sizes known are compared. Of a directory with more than SLOTS_MAX volumes, one
 * that changes only while another is being written may be missed until its next write.
 * A volume whose size was not known yet may be told of though it was only written
 * over. Opens nothing but a list of the directory, and blocks only in lstat(2).
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "watch_parts.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	TICK_MS = 250,
	HALF_MS = 50,           /* for the other half of a rename, when no event waits */
	SLOTS_MAX = 4096,       /* sizes kept, of one directory */
};

/* ---- sizes ----------------------------------------------------------------------- */

static bool fits(const char *name)
{
	struct err e;

	return name_check(NAME_VOLUME, name, &e) == 0;
}

static struct slot **slot_at(struct watch *w, const char *name)
{
	uint64_t h = hash_add(HASH_BEGIN, name, strlen(name));
	struct slot **s;

	for (s = &w->slots[(h ^ h >> 32) % BUCKETS]; *s && strcmp((*s)->name, name);
	     s = &(*s)->next)
		;
	return s;
}

static void slot_drop(struct watch *w, struct slot **at)
{
	struct slot *s = *at;

	if (!s)
		return;
	*at = s->next;
	w->count--;
	free(s);
}

static struct slot *slot_get(struct watch *w, const char *name)
{
	struct slot **at = slot_at(w, name), *s;
	size_t len = strlen(name) + 1;

	if (*at)
		return *at;
	s = xcalloc(1, sizeof(*s) + len);
	memcpy(s->name, name, len);
	*at = s;
	/* Full: the next one in turn gives way, unless it is to be looked at. */
	for (unsigned tries = 0; w->count >= SLOTS_MAX && tries < BUCKETS; tries++) {
		struct slot **old = &w->slots[w->hand++ % BUCKETS];

		while (*old && ((*old)->check || *old == s))
			old = &(*old)->next;
		slot_drop(w, old);
	}
	w->count++;
	return s;
}

static void slots_clear(struct watch *w)
{
	for (unsigned i = 0; i < BUCKETS; i++)
		while (w->slots[i])
			slot_drop(w, &w->slots[i]);
	w->filled = false;
}

/* 1: a volume; 0: something else; -1: nothing is there. */
static int look(struct watch *w, const char *name, uint64_t *size)
{
	struct stat st;

	*size = 0;
	if (fstatat(w->fd, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
		return -1;
	if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
		return 0;
	*size = (uint64_t)st.st_size;
	return 1;
}

/* The sizes before the watch is muted: what differs later was changed meanwhile. */
static void fill(struct watch *w)
{
	int fd = w->filled ? -1 : openat(w->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;
	struct err e;

	w->filled = true;
	if (!dir && fd >= 0)
		close(fd);
	while (dir && w->count < SLOTS_MAX && (de = readdir(dir))) {
		uint64_t size;
		struct slot *s;

		/* Of a directory not even lstat: it may be where we are mounted. */
		if (de->d_type == DT_DIR || name_check(NAME_VOLUME, de->d_name, &e) < 0 ||
		    *slot_at(w, de->d_name) || look(w, de->d_name, &size) <= 0)
			continue;
		s = slot_get(w, de->d_name);
		s->size = size;
	}
	if (dir)
		closedir(dir);
}

/* True: it was told. */
static bool check(struct watch *w, struct slot *s)
{
	bool known = s->told || !s->check;
	uint64_t size;

	s->check = false;
	if (s->other || look(w, s->name, &size) <= 0 || (known && size == s->size))
		return false;
	s->size = size;
	s->told = true;
	watch_tell(w, VOL_RESIZED, s->name, NULL, size);
	return true;
}

void change_data(struct watch *w, const char *name)
{
	struct slot *s = fits(name) ? slot_get(w, name) : NULL;

	if (!s)
		return;
	s->check = true;
	if (!w->tick) {
		check(w, s);
		w->tick = now_ms() + TICK_MS;
	}
	if (!w->muted) {
		fill(w);
		watch_listen(w, true);
	}
}

void change_tick(struct watch *w)
{
	bool all = w->muted, any = false;

	if (all)
		watch_listen(w, false);    /* first: what comes after the look is an event */
	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct slot *s = w->slots[i]; s; s = s->next)
			if (all || s->check)
				any |= check(w, s);
	/* It may go on like this: then once in TICK_MS. */
	w->tick = any ? now_ms() + TICK_MS : 0;
}

/* ---- names ----------------------------------------------------------------------- */

static void rename_forget(struct watch *w)
{
	free(w->last_from);
	free(w->last_to);
	w->last_from = w->last_to = NULL;
}

static void on_created(struct watch *w, const char *name)
{
	struct slot *s;
	uint64_t size;
	int is;

	if (!fits(name))
		return;
	is = look(w, name, &size);
	if (is >= 0) {
		s = slot_get(w, name);
		s->size = size;
		s->told = is;
		s->other = !is;
		s->check = s->guessed = false;
	}
	if (is)                         /* gone already: its deletion comes, too */
		watch_tell(w, VOL_CREATED, name, NULL, size);
}

static void on_deleted(struct watch *w, const char *name)
{
	struct slot **s = slot_at(w, name);
	bool other = *s && (*s)->other;

	if (!fits(name))
		return;
	slot_drop(w, s);
	if (!other)
		watch_tell(w, VOL_DELETED, name, NULL, 0);
}

/* The other half of it was not here. */
void change_flush(struct watch *w)
{
	char *from = w->from;

	w->from = NULL;
	w->from_due = 0;
	if (from) {
		rename_forget(w);
		on_deleted(w, from);
	}
	free(from);
}

/* Two files that change places are two renames, and no file is gone. */
static void check_exchange(struct watch *w, const char *from, const char *to)
{
	bool back = w->last_from && !strcmp(from, w->last_to) && !strcmp(to, w->last_from);
	uint64_t size;

	rename_forget(w);
	if (back && look(w, from, &size) == 1) {
		on_created(w, from);
		slot_get(w, from)->guessed = true;
		return;
	}
	w->last_from = xstrdup(from);
	w->last_to = xstrdup(to);
}

static void on_renamed(struct watch *w, const char *from, const char *to)
{
	struct slot **old = slot_at(w, from), *s = *old;
	struct slot was = { 0 };

	if (!fits(from)) {
		on_created(w, to);
		return;
	}
	if (!fits(to)) {
		on_deleted(w, from);
		return;
	}
	if (s)
		was = *s;
	slot_drop(w, old);
	slot_drop(w, slot_at(w, to));
	if (s) {
		s = slot_get(w, to);
		s->size = was.size;
		s->told = was.told;
		s->check = was.check;
		s->other = was.other;
	}
	if (was.other)
		return;
	watch_tell(w, VOL_RENAMED, from, to, 0);
	check_exchange(w, from, to);
}

/* It was there and back, and what was taken for the other half was made by then. */
static bool was_guessed(struct watch *w, const char *name)
{
	struct slot *s = *slot_at(w, name);
	bool yes = s && s->guessed;

	if (yes)
		s->guessed = false;
	return yes;
}

void change_name(struct watch *w, const struct inotify_event *v)
{
	if (v->mask & IN_MOVED_TO && w->from && w->cookie == v->cookie) {
		_cleanup_free_ char *from = w->from;

		w->from = NULL;
		w->from_due = 0;
		on_renamed(w, from, v->name);
		return;
	}
	change_flush(w);
	if (v->mask & IN_MOVED_FROM) {
		w->from = xstrdup(v->name);
		w->cookie = v->cookie;
		w->from_due = now_ms() + HALF_MS;
		return;
	}
	rename_forget(w);
	if (v->mask & IN_CREATE && was_guessed(w, v->name))
		return;
	if (v->mask & (IN_CREATE | IN_MOVED_TO)) {
		on_created(w, v->name);
	} else {
		on_deleted(w, v->name);
	}
}

void change_lost(struct watch *w)
{
	free(w->from);
	w->from = NULL;
	w->from_due = 0;
	rename_forget(w);
	slots_clear(w);
	watch_tell(w, VOL_LOST, NULL, NULL, 0);
}

void changes_forget(struct watch *w)
{
	slots_clear(w);
	rename_forget(w);
	free(w->from);
}
