/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * secret-get.c - what a driver is given: secret-get SOURCE RUNDIR TYPE UUID|usage:NAME [hold]
 *
 * Prints the secret that a pool's <auth type='TYPE'> with that <secret> gets, as
 * pool_secret gives it to a driver, or the sentence of the failure. With hold it
 * prints its length only, wipes it as a driver must, prints "wiped", and waits for
 * the end of its input. For the cases; never changes SOURCE. A poolfs that has
 * SOURCE mounted must have ended.
 */
#include "../../control/control.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct pool_def def = { .type = "iscsi", .name = "any" };
	struct control_options o = { .mountpoint = "/nowhere" };
	struct buf secret = {0};
	struct err e = {0};
	struct pool pool = { .def = &def };
	int rc;

	if (argc < 5) {
		fprintf(stderr, "usage: secret-get SOURCE RUNDIR TYPE UUID|usage:NAME [hold]\n");
		return 2;
	}
	o.source = argv[1];
	o.rundir = argv[2];
	def.source.auth.type = argv[3];
	if (strncmp(argv[4], "usage:", 6) == 0)
		def.source.auth.secret_usage = argv[4] + 6;
	else
		snprintf(def.source.auth.secret_uuid, sizeof def.source.auth.secret_uuid, "%s", argv[4]);
	log_open(LOG_TO_STDERR, false);
	rc = control_init(&o, &e);
	if (rc == 0)
		rc = pool_secret(&pool, &secret, &e);
	if (rc < 0) {
		printf("%s: %s\n", errno_name(e.code), e.text);
	} else if (argc > 5) {
		char c;

		printf("%zu\n", secret.len);
		buf_wipe(&secret);
		printf("wiped\n");
		fflush(stdout);
		if (read(STDIN_FILENO, &c, 1) < 0)
			rc = -errno;
	} else {
		printf("%s\n", secret.data);
	}
	buf_wipe(&secret);
	control_end();
	return rc < 0;
}
