/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * aio.c - aio read|write FILE COUNT SIZE: COUNT asynchronous O_DIRECT requests
 * of SIZE bytes, all of them outstanding at once, side by side from offset 0.
 *
 * Called by the cases about hanging drivers. Block i holds bytes of value
 * i % 251; read compares, write writes them. Prints "submitted" when the
 * kernel has them all, and at the end "ok N" and, one line each, how many
 * ended otherwise. Uses the system calls, so that it needs no library.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static int judge(const struct io_event *e, size_t size, int writes)
{
	const struct iocb *cb = (const struct iocb *)(size_t)e->obj;
	const unsigned char *data = (const unsigned char *)(size_t)cb->aio_buf;
	unsigned char want = cb->aio_data % 251;

	if ((long long)e->res < 0)
		return (int)-e->res;
	if (e->res != (long long)size)
		return ERANGE;          /* short */
	for (size_t i = 0; !writes && i < size; i++)
		if (data[i] != want)
			return EILSEQ;  /* wrong content */
	return 0;
}

int main(int argc, char **argv)
{
	static unsigned by_errno[4096];
	int writes, fd, count;
	aio_context_t ctx = 0;
	struct io_event *events;
	struct iocb *cbs;
	size_t size;
	char *data;

	if (argc != 5)
		return 2;
	writes = !strcmp(argv[1], "write");
	count = atoi(argv[3]);
	size = strtoul(argv[4], NULL, 10);
	fd = open(argv[2], (writes ? O_RDWR : O_RDONLY) | O_DIRECT);
	if (fd < 0)
		die(argv[2]);
	cbs = calloc(count, sizeof *cbs);
	events = calloc(count, sizeof *events);
	data = aligned_alloc(4096, (size_t)count * size);
	if (!cbs || !events || !data)
		die("memory");
	if (syscall(SYS_io_setup, count, &ctx))
		die("io_setup");
	for (int i = 0; i < count; i++) {
		struct iocb *cb = &cbs[i];

		cb->aio_fildes = fd;
		cb->aio_lio_opcode = writes ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
		cb->aio_buf = (size_t)(data + i * size);
		cb->aio_nbytes = size;
		cb->aio_offset = i * size;
		cb->aio_data = i;
		memset(data + i * size, writes ? i % 251 : 255, size);
		if (syscall(SYS_io_submit, ctx, 1, &cb) != 1)
			die("io_submit");
	}
	puts("submitted");
	fflush(stdout);
	for (int ended = 0; ended < count;) {
		long n = syscall(SYS_io_getevents, ctx, 1, count - ended, events, NULL);

		if (n < 0)
			die("io_getevents");
		for (long i = 0; i < n; i++)
			by_errno[judge(&events[i], size, writes) & 4095]++;
		ended += n;
	}
	printf("ok %u\n", by_errno[0]);
	for (int i = 1; i < 4096; i++)
		if (by_errno[i])
			printf("%s %u\n", strerrorname_np(i), by_errno[i]);
	free(cbs);
	free(events);
	free(data);
	return by_errno[0] == (unsigned)count ? 0 : 1;
}
