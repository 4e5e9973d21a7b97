/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bench-meta.c - times of what is too short for a shell or python to measure.
 *
 * Called by tests/bench/run. Prints microseconds, and judges nothing:
 *   bench-meta run COMMAND...     from exec to exit, output to /dev/null
 *   bench-meta names DIR          two figures: reading all names of DIR, then
 *                                 a stat of each, in the order they came
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000ull + t.tv_nsec / 1000;
}

static void fail(const char *what)
{
	fprintf(stderr, "bench-meta: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void run(char **argv)
{
	posix_spawn_file_actions_t a;
	uint64_t begin;
	int status = 0;
	pid_t pid;

	posix_spawn_file_actions_init(&a);
	posix_spawn_file_actions_addopen(&a, 1, "/dev/null", O_WRONLY, 0);
	begin = now_us();
	errno = posix_spawnp(&pid, argv[0], &a, NULL, argv, environ);
	if (errno || waitpid(pid, &status, 0) != pid)
		fail(argv[0]);
	printf("%llu\n", (unsigned long long)(now_us() - begin));
	if (status) {
		fprintf(stderr, "bench-meta: '%s' failed\n", argv[0]);
		exit(1);
	}
}

static void names(const char *path)
{
	uint64_t begin = now_us(), listed;
	DIR *dir = opendir(path);
	char **all = NULL;
	size_t n = 0;
	struct dirent *d;
	struct stat st;

	if (!dir)
		fail(path);
	while ((d = readdir(dir))) {
		if (!(n & (n - 1)))
			all = realloc(all, (n ? n * 2 : 1) * sizeof *all);
		if (!all || !(all[n++] = strdup(d->d_name)))
			abort();
	}
	listed = now_us();
	for (size_t i = 0; i < n; i++)
		if (fstatat(dirfd(dir), all[i], &st, AT_SYMLINK_NOFOLLOW))
			fail(all[i]);
	printf("%llu %llu\n", (unsigned long long)(listed - begin),
	       (unsigned long long)(now_us() - listed));
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "run")) {
		run(argv + 2);
	} else if (argc == 3 && !strcmp(argv[1], "names")) {
		names(argv[2]);
	} else {
		fprintf(stderr, "usage: bench-meta run COMMAND... | names DIR\n");
		return 2;
	}
	return 0;
}
