/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * durable.h - small files in directories of our own, written whole and durable.
 *
 * For store.c and secrets.c. path is the name of the directory for messages; the
 * work is done by its descriptor. Modes are 0700 and 0600. Who may write what,
 * and two writers of one name, are the caller's concern.
 */
#ifndef POOLFS_DURABLE_H
#define POOLFS_DURABLE_H

#include "control.h"

int dir_make(const char *path, struct err *e);          /* mkdir -p */
int dir_open(const char *path, int flags, struct err *e);
int dir_sync(int fd, const char *path, struct err *e);

/* ".tmp-PID-N": no definition's name, as it begins with a dot, nor a secret's. */
void temp_name(char name[64]);
/* Removes what a killed daemon left in the directory sub of at; the lock on SOURCE
 * is ours, so none is in use. What cannot be removed (a read-only SOURCE) does no
 * harm. */
void temp_sweep(int at, const char *sub);

int file_write(int dir, const char *path, const char *file, const char *data, size_t len,
	       struct err *e);
/* Not there: success, and nothing to make durable. */
int file_remove(int dir, const char *path, const char *file, struct err *e);

#endif
