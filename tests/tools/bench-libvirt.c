/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bench-libvirt.c - the same work by libvirt's calls over one open connection and
 * by file operations on a mount of poolfs, by turns in short slices.
 *
 * Called by tests/bench/libvirt; judges nothing.
 *   bench-libvirt URI list POOL TIMES     the volumes of POOL by libvirt, so often
 *   bench-libvirt URI MOUNT THEIRS OURS ROUNDS POOLS VOLUMES
 * THEIRS and OURS are empty directories on one file system. Prints a line for
 * each task and round: NAME COUNT microseconds-of-libvirt microseconds-of-poolfs.
 * In C, and with libvirt's own client library, so that libvirt is not charged for
 * a binding. The library is loaded when it runs: no header is needed, and the
 * few functions used have had the same form since 0.10.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct vol_info {
	int type;
	unsigned long long capacity, allocation;
};
struct pool_info {
	int state;
	unsigned long long capacity, allocation, available;
};

static struct {
	void *(*ConnectOpen)(const char *);
	int (*ConnectClose)(void *);
	const char *(*GetLastErrorMessage)(void);
	void *(*StoragePoolDefineXML)(void *, const char *, unsigned);
	void *(*StoragePoolLookupByName)(void *, const char *);
	int (*StoragePoolCreate)(void *, unsigned);
	int (*StoragePoolDestroy)(void *);
	int (*StoragePoolUndefine)(void *);
	int (*StoragePoolGetInfo)(void *, struct pool_info *);
	int (*StoragePoolListVolumes)(void *, char **, int);
	int (*StoragePoolListAllVolumes)(void *, void ***, unsigned);
	int (*StoragePoolFree)(void *);
	void *(*StorageVolCreateXML)(void *, const char *, unsigned);
	const char *(*StorageVolGetName)(void *);
	int (*StorageVolGetInfo)(void *, struct vol_info *);
	char *(*StorageVolGetXMLDesc)(void *, unsigned);
	int (*StorageVolResize)(void *, unsigned long long, unsigned);
	int (*StorageVolDelete)(void *, unsigned);
	int (*StorageVolFree)(void *);
} vir;

static const char *mount, *theirs, *ours;
static int pools, volumes;
static void *connection, **pool_of;     /* of the small pools */
static void *big, **vol_of;             /* the pool with many volumes */

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000ull + t.tv_nsec / 1000;
}

#define must(x) ((x) ? (void)0 : fail(#x, __LINE__))
static void fail(const char *what, int line)
{
	int code = errno;

	fprintf(stderr, "bench-libvirt:%d: %s: %s (libvirt: %s)\n", line, what, strerror(code),
		vir.GetLastErrorMessage ? vir.GetLastErrorMessage() : "not loaded");
	exit(1);
}

static void load(void)
{
	void *library = dlopen("libvirt.so.0", RTLD_NOW);

	if (!library) {
		fprintf(stderr, "bench-libvirt: %s\n", dlerror());
		exit(77);
	}
#define get(name) must((*(void **)&vir.name = dlsym(library, "vir" #name)))
	get(ConnectOpen);
	get(ConnectClose);
	get(GetLastErrorMessage);
	get(StoragePoolDefineXML);
	get(StoragePoolLookupByName);
	get(StoragePoolCreate);
	get(StoragePoolDestroy);
	get(StoragePoolUndefine);
	get(StoragePoolGetInfo);
	get(StoragePoolListVolumes);
	get(StoragePoolListAllVolumes);
	get(StoragePoolFree);
	get(StorageVolCreateXML);
	get(StorageVolGetName);
	get(StorageVolGetInfo);
	get(StorageVolGetXMLDesc);
	get(StorageVolResize);
	get(StorageVolDelete);
	get(StorageVolFree);
}

static char *text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static char *text(const char *fmt, ...)
{
	static char ring[4][1024];
	static int next;
	char *to = ring[next++ % 4];
	va_list args;

	va_start(args, fmt);
	vsnprintf(to, sizeof ring[0], fmt, args);
	va_end(args);
	return to;
}

static char *pool_xml(const char *name, const char *target)
{
	return text("<pool type='dir'><name>%s</name><target><path>%s</path></target></pool>\n",
		    name, target);
}

static void file_write(const char *path, const char *data)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	must(fd >= 0);
	must(write(fd, data, strlen(data)) == (ssize_t)strlen(data));
	must(!close(fd));
}

static size_t file_read(const char *path)
{
	char data[16384];
	int fd = open(path, O_RDONLY);
	size_t all = 0;
	ssize_t n;

	must(fd >= 0);
	while ((n = read(fd, data, sizeof data)) > 0)
		all += n;
	must(n == 0 && all > 0);
	close(fd);
	return all;
}

/* ---- the tasks: each does items from..to-1 of its count, for one side -------------- */

static void define(bool we, int from, int to)
{
	for (int i = from; i < to; i++) {
		char *name = text("small%d", i);

		if (we)
			file_write(text("%s/control/pools/%s.xml", mount, name),
				   pool_xml(name, text("%s/%s", ours, name)));
		else
			must((pool_of[i] = vir.StoragePoolDefineXML(connection,
				pool_xml(name, text("%s/%s", theirs, name)), 0)));
	}
}

static void start(bool we, int from, int to)
{
	for (int i = from; i < to; i++)
		must(we ? !mkdir(text("%s/small%d", mount, i), 0755)
			: !vir.StoragePoolCreate(pool_of[i], 0));
}

static void info(bool we, int from, int to)
{
	struct pool_info now;

	for (int i = from; i < to; i++) {
		if (we)
			file_read(text("%s/control/pools/small%d/info", mount, i));
		else
			must(!vir.StoragePoolGetInfo(pool_of[i], &now));
	}
}

static void stop(bool we, int from, int to)
{
	for (int i = from; i < to; i++)
		must(we ? !rmdir(text("%s/small%d", mount, i))
			: !vir.StoragePoolDestroy(pool_of[i]));
}

static void undefine(bool we, int from, int to)
{
	for (int i = from; i < to; i++) {
		if (we) {
			must(!unlink(text("%s/control/pools/small%d.xml", mount, i)));
		} else {
			must(!vir.StoragePoolUndefine(pool_of[i]));
			vir.StoragePoolFree(pool_of[i]);
		}
	}
}

static char *volume(int i)
{
	return text("%s/big/volume-%05d.img", mount, i);
}

/* libvirt calls fsync on each new volume; so do we. */
static void create(bool we, int from, int to)
{
	for (int i = from; i < to; i++) {
		if (we) {
			int fd = open(volume(i), O_WRONLY | O_CREAT | O_EXCL, 0600);

			must(fd >= 0 && !ftruncate(fd, 1 << 20) && !fsync(fd) && !close(fd));
		} else {
			void *v = vir.StorageVolCreateXML(big, text(
				"<volume><name>volume-%05d.img</name><capacity>1048576</capacity>"
				"<allocation>0</allocation></volume>", i), 0);

			must(v);
			vir.StorageVolFree(v);
		}
	}
}

static void names(bool we, int from, int to)
{
	(void)from, (void)to;
	if (we) {
		DIR *dir = opendir(text("%s/big", mount));
		int n = 0;

		must(dir);
		for (struct dirent *d; (d = readdir(dir));)
			n += d->d_name[0] != '.';
		closedir(dir);
		must(n == volumes);
	} else {
		char **all = calloc(volumes + 1, sizeof *all);

		must(all && vir.StoragePoolListVolumes(big, all, volumes + 1) == volumes);
		for (int i = 0; i < volumes; i++)
			free(all[i]);
		free(all);
	}
}

/* Of all that there are: capacity and allocation. */
static void list_info(bool we, int from, int to)
{
	(void)from, (void)to;
	if (we) {
		DIR *dir = opendir(text("%s/big", mount));
		struct stat st;
		int n = 0;

		must(dir);
		for (struct dirent *d; (d = readdir(dir));) {
			if (d->d_name[0] == '.')
				continue;
			must(!fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW));
			n += st.st_size == 1 << 20;
		}
		closedir(dir);
		must(n == volumes);
	} else {
		struct vol_info now;
		void **all;
		int n = vir.StoragePoolListAllVolumes(big, &all, 0);

		must(n == volumes);
		for (int i = 0; i < n; i++) {
			must(!vir.StorageVolGetInfo(all[i], &now) && now.capacity == 1 << 20);
			vir.StorageVolFree(all[i]);
		}
		free(all);
	}
}

/* Of one volume after the other, by handles and by names. */
static void vol_info(bool we, int from, int to)
{
	struct vol_info now;
	struct stat st;

	for (int i = from; i < to; i++)
		must(we ? !stat(volume(i), &st) && st.st_size == 1 << 20
			: !vir.StorageVolGetInfo(vol_of[i], &now) && now.capacity == 1 << 20);
}

static void vol_xml(bool we, int from, int to)
{
	for (int i = from; i < to; i++) {
		if (we) {
			file_read(text("%s/control/pools/big/volumes/volume-%05d.img.xml", mount, i));
		} else {
			char *xml = vir.StorageVolGetXMLDesc(vol_of[i], 0);

			must(xml);
			free(xml);
		}
	}
}

static void resize(bool we, int from, int to)
{
	for (int i = from; i < to; i++)
		must(we ? !truncate(volume(i), 2 << 20)
			: !vir.StorageVolResize(vol_of[i], 2 << 20, 0));
}

static void delete(bool we, int from, int to)
{
	for (int i = from; i < to; i++) {
		must(we ? !unlink(volume(i)) : !vir.StorageVolDelete(vol_of[i], 0));
		if (!we)
			vir.StorageVolFree(vol_of[i]);
	}
}

static void big_start(bool we, int from, int to)
{
	(void)from, (void)to;
	must(we ? !mkdir(text("%s/big", mount), 0755) : !vir.StoragePoolCreate(big, 0));
}

static void big_stop(bool we, int from, int to)
{
	(void)from, (void)to;
	must(we ? !rmdir(text("%s/big", mount)) : !vir.StoragePoolDestroy(big));
}

/* ---- turns ----------------------------------------------------------------------- */

enum { SLICE = 200 };

/* count items in slices, each by one side and then by the other; who is first
 * changes from slice to slice and from round to round. */
static void turns(const char *name, void (*task)(bool we, int from, int to), int count)
{
	static unsigned turn;
	uint64_t took[2] = {0};

	for (int from = 0; from < count; from += SLICE) {
		int to = from + SLICE < count ? from + SLICE : count;
		bool first = turn++ & 1;

		for (int side = 0; side < 2; side++) {
			bool we = side ? !first : first;
			uint64_t begin = now_us();

			task(we, from, to);
			took[we] += now_us() - begin;
		}
	}
	printf("%s %d %llu %llu\n", name, count, (unsigned long long)took[0],
	       (unsigned long long)took[1]);
	fflush(stdout);
}

/* In the order of their names, whatever the daemon's hash table says. */
static void handles(void)
{
	void **all;
	int n = vir.StoragePoolListAllVolumes(big, &all, 0), i;

	must(n == volumes);
	for (int k = 0; k < n; k++) {
		must(sscanf(vir.StorageVolGetName(all[k]), "volume-%d.img", &i) == 1 && i < n);
		vol_of[i] = all[k];
	}
	free(all);
}

static void list(const char *pool, int times)
{
	void *p = vir.StoragePoolLookupByName(connection, pool), **all;

	must(p);
	for (; times > 0; times--) {
		int n = vir.StoragePoolListAllVolumes(p, &all, 0);

		must(n > 0);
		while (n > 0)
			vir.StorageVolFree(all[--n]);
		free(all);
	}
	vir.StoragePoolFree(p);
	vir.ConnectClose(connection);
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[2], "list")) {
		load();
		must((connection = vir.ConnectOpen(argv[1])));
		list(argv[3], atoi(argv[4]));
		return 0;
	}
	if (argc != 8) {
		fprintf(stderr, "usage: bench-libvirt URI MOUNT THEIRS OURS ROUNDS POOLS VOLUMES\n");
		return 2;
	}
	load();
	mount = argv[2];
	theirs = argv[3];
	ours = argv[4];
	pools = atoi(argv[6]);
	volumes = atoi(argv[7]);
	pool_of = calloc(pools, sizeof *pool_of);
	vol_of = calloc(volumes, sizeof *vol_of);
	must(pool_of && vol_of && (connection = vir.ConnectOpen(argv[1])));

	for (int i = 0; i < pools; i++)
		must(!mkdir(text("%s/small%d", theirs, i), 0755) &&
		     !mkdir(text("%s/small%d", ours, i), 0755));
	must(!mkdir(text("%s/big", theirs), 0755) && !mkdir(text("%s/big", ours), 0755));
	must((big = vir.StoragePoolDefineXML(connection, pool_xml("big", text("%s/big", theirs)), 0)));
	file_write(text("%s/control/pools/big.xml", mount), pool_xml("big", text("%s/big", ours)));
	big_start(false, 0, 1);
	big_start(true, 0, 1);

	for (int round = atoi(argv[5]); round > 0; round--) {
		turns("define", define, pools);
		turns("start", start, pools);
		turns("info", info, pools);
		turns("stop", stop, pools);
		turns("undefine", undefine, pools);

		turns("create", create, volumes);
		handles();
		turns("names", names, 1);
		turns("list-info", list_info, 1);
		turns("vol-info", vol_info, volumes);
		turns("vol-xml", vol_xml, volumes / 10);
		turns("big-stop", big_stop, 1);
		usleep(500000);         /* both have dropped what they knew */
		turns("big-start", big_start, 1);
		turns("resize", resize, volumes);
		turns("delete", delete, volumes);
	}
	big_stop(true, 0, 1);
	vir.StoragePoolFree(big);
	vir.ConnectClose(connection);
	return 0;
}
