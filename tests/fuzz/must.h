/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* must.h - what a fuzz target claims; if it does not hold, that is a finding. */
#ifndef POOLFS_FUZZ_MUST_H
#define POOLFS_FUZZ_MUST_H

#include <stdio.h>
#include <stdlib.h>

#define must(what) do { \
	if (!(what)) { \
		fprintf(stderr, "does not hold: %s\n", #what); \
		abort(); \
	} \
} while (0)

#endif
