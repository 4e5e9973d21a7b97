/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * module.h - what a driver in a shared object shows, and who loads it.
 *
 * A module is BUILD/backends/NAME.so. It takes what it needs of err.c, mem.c,
 * name.c, attrs.c and backend.c from the program, which shows it the functions
 * named in module.syms and no others. Its row in backend.c says .module.
 */
#ifndef POOLFS_MODULE_H
#define POOLFS_MODULE_H

#include "backend.h"

/* The one symbol of a module: const struct module poolfs_module. */
struct module {
	const char *version;            /* POOLFS_VERSION of its build */
	const struct backend *backend;
	bool (*end)(void);              /* see backends_end; may be NULL */
};

/* NULL: EOPNOTSUPP with a sentence that says what to install. */
const struct backend *module_load(const char *name, struct err *e);
bool modules_end(void);

#endif
