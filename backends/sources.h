/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sources.h - what this machine, or a host that is asked, has to offer for pools.
 *
 * The functions stand in the rows of backend.c, as discover of their types; none
 * needs the type's driver. They only look: nothing is opened for writing, mounted,
 * activated or logged into.
 */
#ifndef POOLFS_SOURCES_H
#define POOLFS_SOURCES_H

#include "backend.h"

#define DISCOVER(name) \
	int name(const struct pool_host *host, struct progress *pr, source_found_f *found, \
		 void *arg, struct err *e)
/* sources.c: block devices and adapters, by /sys */
DISCOVER(discover_disk);
DISCOVER(discover_fs);
DISCOVER(discover_scsi);
/* sources_command.c: what programs tell */
DISCOVER(discover_logical);
DISCOVER(discover_netfs);
DISCOVER(discover_iscsi);

/* Adapters below sys ("/sys"). */
int adapters_each(const char *sys, source_found_f *found, void *arg, struct err *e);
/* What the programs print, line by line. */
void showmount_read(char *text, const struct pool_host *host, source_found_f *found, void *arg);
void iscsiadm_read(char *text, const struct pool_host *host, source_found_f *found, void *arg);
void pvs_read(char *text, source_found_f *found, void *arg);

#endif
