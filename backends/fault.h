/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fault.h - between the wrappers (backend.c) and the faults (fault.c).
 *
 * Nobody else includes it: rules are given and shown through backend.h.
 */
#ifndef POOLFS_FAULT_H
#define POOLFS_FAULT_H

#include "backend.h"

/* Asked before each call, when fault_on. Waits if a rule says so; 0: go on. */
int fault_hit(struct pool *p, enum op op, struct err *e);
/* Asked before each submit, when fault_on. True: it has the request, and ends
 * it or hands it to io_pass() later. Never waits. */
bool fault_take(struct pool *p, enum op op, struct io *io);
/* Ends io with ECANCELED if it is held here (true). False: it is not, and a
 * driver with submit may be told, since it has seen io if it ever will. io is
 * compared, never followed. */
bool fault_cancel(struct io *io, bool async);

/* backend.c: gives io to its driver, without asking for faults again. */
void io_pass(struct io *io);

#endif
