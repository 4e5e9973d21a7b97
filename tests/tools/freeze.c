/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * freeze.c - stops every thread of a process but the first, as if they had all
 * locked each other out, and lets them go on when a file appears.
 *
 *   freeze PID STOPPED GO      makes the file STOPPED, waits for the file GO
 *
 * For notify.sh: the main thread goes on, so whatever it says about the others it
 * has to find out. Only ptrace(2); never kills.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static int stop_thread(pid_t tid)
{
	int status;

	if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) || ptrace(PTRACE_INTERRUPT, tid, NULL, NULL))
		return errno == ESRCH ? 0 : -1;         /* it has just ended */
	return waitpid(tid, &status, __WALL) == tid || errno == ECHILD ? 1 : -1;
}

int main(int argc, char **argv)
{
	char path[64];
	pid_t pid, tid;
	int stopped, count = 0;
	struct dirent *d;
	DIR *dir;

	if (argc != 4)
		return 2;
	pid = atoi(argv[1]);
	snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	/* A thread that was not stopped yet may make others: until none is new. */
	do {
		stopped = 0;
		dir = opendir(path);
		while (dir && (d = readdir(dir))) {
			int rc = 0;

			tid = atoi(d->d_name);
			if (tid && tid != pid)
				rc = stop_thread(tid);
			if (rc < 0 && errno != EPERM) { /* EPERM: is ours already */
				perror("freeze");
				return 1;
			}
			stopped += rc > 0;
		}
		if (!dir)
			return 1;
		closedir(dir);
		count += stopped;
	} while (stopped);
	close(open(argv[2], O_CREAT | O_WRONLY, 0600));
	printf("%d threads\n", count);
	fflush(stdout);
	while (access(argv[3], F_OK))
		usleep(20000);
	return 0;       /* who traced ends: the threads go on */
}
