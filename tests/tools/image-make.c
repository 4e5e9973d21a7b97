/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * image-make.c - image-make DIRECTORY: writes each image of image-made.h to
 * DIRECTORY/made-NAME, and prints the names. For cases, and for the seeds of
 * the fuzz targets.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "image-made.h"

#include <fcntl.h>

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 2 && i < sizeof mades / sizeof *mades; i++) {
		char path[4096];
		int fd;

		snprintf(path, sizeof path, "%s/made-%s", argv[1], mades[i].name);
		fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
		if (fd < 0) {
			perror(path);
			return 1;
		}
		mades[i].make(fd);
		close(fd);
		puts(path);
	}
	return argc != 2;
}
