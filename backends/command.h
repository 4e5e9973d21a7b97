/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * command.h - the one way to run a program.
 *
 * For drivers. The program gets its arguments as they are (never a shell), the
 * working directory "/", no input, no descriptor of the daemon, default
 * signals, a process group of its own, and an environment that holds PATH and
 * LC_ALL=C only. It is looked for in the directories of PATH, and nowhere else.
 * What is secret goes into a file: arguments can be seen by everybody.
 */
#ifndef POOLFS_COMMAND_H
#define POOLFS_COMMAND_H

#include "backend.h"

enum {
	COMMAND_OUT_MAX = 16 << 20,     /* more on its standard output is a failure */
	COMMAND_TIMEOUT_MS = 60000,     /* where nothing else is said */
};

struct command {
	/* argv[0] is a name without '/'; ends with NULL. Names and paths from
	 * outside stand behind "--" or begin with '/'. */
	const char *const *argv;
	unsigned timeout_ms;            /* 0: COMMAND_TIMEOUT_MS, or none with progress */
	struct progress *progress;      /* its cancel ends the program; may be NULL */
	struct buf *out;                /* gets standard output; NULL: it is dropped */
	int *status;                    /* gets the exit code, which then is no failure */
};

/* Waits for its end; what it started and left behind is not waited for. 0, or
 *   EOPNOTSUPP  it is not installed: says so
 *   EIO         it failed: the first line of its standard error, without its own
 *               name in front, or what it ended with. A signal is a failure
 *   ETIMEDOUT, ECANCELED  it and all it started in its group was ended: first
 *               asked to (it may undo what it began), then killed */
int command_run(const struct command *c, struct err *e);
/* Is there such a program? */
bool command_found(const char *program);

#endif
