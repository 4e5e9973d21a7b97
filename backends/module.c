/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * module.c - drivers that live in a shared object of their own, since what they
 * link against is large and often not there (rbd: Ceph's libraries).
 *
 * Called by backend.c only. A module is loaded when its type is first used, and
 * stays until the daemon ends. Looked for beside the program, then where it was
 * installed; a failure is not remembered, so that installing a package helps at
 * once. Never unloads, and calls no driver.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "module.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const struct module *loaded[4];
static const char *loaded_name[4];

/* Where modules may be, by name of the program; the last place is the build's. */
static bool module_path(const char *name, unsigned place, char path[PATH_MAX])
{
	static const char *const beside[] = { "backends/%s.so", "../lib/poolfs/%s.so" };
	char self[PATH_MAX], file[64];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	char *slash;

	if (place == 2) {
		snprintf(path, PATH_MAX, POOLFS_LIBDIR "/poolfs/%s.so", name);
		return true;
	}
	if (n <= 0)
		return false;
	self[n] = '\0';
	slash = strrchr(self, '/');
	if (!slash)
		return false;
	slash[1] = '\0';
	snprintf(file, sizeof file, beside[place], name);
	return snprintf(path, PATH_MAX, "%s%s", self, file) < PATH_MAX;
}

struct loading {
	const char *path;
	char *why;
	void *so;
};

static void *load_thread(void *arg)
{
	struct loading *l = arg;

	l->so = dlopen(l->path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (!l->so)
		snprintf(l->why, 256, "%s", dlerror());
	return NULL;
}

/* On a thread with a stack of the usual size: what Ceph's library does when it is
 * loaded does not fit into that of a request. */
static void *load(const char *path, char why[256])
{
	struct loading l = { .path = path, .why = why };
	pthread_attr_t a;
	pthread_t t;

	pthread_attr_init(&a);
	pthread_attr_setstacksize(&a, 8 << 20);
	if (pthread_create(&t, &a, load_thread, &l) == 0)
		pthread_join(t, NULL);
	pthread_attr_destroy(&a);
	return l.so;
}

/* Locked. */
static const struct module *module_open(const char *name, struct err *e)
{
	const struct module *m;
	char path[PATH_MAX];
	char why[256] = "no thread to load it";
	bool found = false;
	void *so;

	for (unsigned place = 0; place < 3 && !found; place++)
		found = module_path(name, place, path) && access(path, R_OK) == 0;
	if (!found) {
		err_set(e, EOPNOTSUPP, "this poolfs was built without %s: build it where the "
			"packages lib%s-dev and librados-dev are installed", name, name);
		return NULL;
	}
	so = load(path, why);
	if (!so) {
		err_set(e, EOPNOTSUPP, "%s cannot be used before the package lib%s1 is "
			"installed: %.200s", name, name, why);
		return NULL;
	}
	m = dlsym(so, "poolfs_module");
	if (!m || strcmp(m->version, POOLFS_VERSION) != 0) {
		err_set(e, EOPNOTSUPP, "'%.300s' belongs to another version of poolfs; install "
			"the one of version %s", path, POOLFS_VERSION);
		return NULL;
	}
	return m;
}

const struct backend *module_load(const char *name, struct err *e)
{
	const struct module *m = NULL;
	size_t i;

	*e = (struct err){ 0 };
	pthread_mutex_lock(&lock);
	for (i = 0; loaded_name[i] && !m; i++)
		if (strcmp(loaded_name[i], name) == 0)
			m = loaded[i];
	if (!m) {
		m = module_open(name, e);
		if (m) {
			loaded[i] = m;
			loaded_name[i] = name;
		}
	}
	pthread_mutex_unlock(&lock);
	return m ? m->backend : NULL;
}

bool modules_end(void)
{
	bool left = false;

	for (size_t i = 0; i < sizeof loaded / sizeof *loaded; i++) {
		const struct module *m;

		pthread_mutex_lock(&lock);
		m = loaded[i];
		pthread_mutex_unlock(&lock);
		if (m && m->end)
			left |= m->end();
	}
	return left;
}
