/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sources.c - the block devices and adapters of this machine that could become
 * pools of type disk, fs and scsi.
 *
 * Called by backend_discover. It reads /sys and /proc, and asks blkid for the
 * content of each device that nobody uses. A device is in use when it, or a
 * partition of it, is mounted here, holds swap, or has a holder (LVM, MD, crypt).
 * Never opens a device itself: to open one exclusively would fail the mount that
 * somebody begins in that moment.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "command.h"
#include "sources.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define SYS_BLOCK "/sys/class/block"

/* ---- reading --------------------------------------------------------------------- */

/* The first line of a small file, "" if there is none. */
static void line_read(char *line, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void line_read(char *line, size_t size, const char *fmt, ...)
{
	char path[PATH_MAX];
	va_list args;
	FILE *f;

	va_start(args, fmt);
	vsnprintf(path, sizeof path, fmt, args);
	va_end(args);
	f = fopen(path, "re");
	if (!f || !fgets(line, (int)size, f))
		line[0] = '\0';
	if (f)
		fclose(f);
	line[strcspn(line, "\n")] = '\0';
}

static int names_sort(const struct dirent **a, const struct dirent **b)
{
	return strverscmp((*a)->d_name, (*b)->d_name);
}

static int name_shown(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

/* Sorted as people count; the number, or -1 if there is no such directory. */
static int dir_read(const char *path, struct dirent ***names)
{
	*names = NULL;
	return scandir(path, names, name_shown, names_sort);
}

static void dir_free(struct dirent **names, int count)
{
	for (int i = 0; i < count; i++)
		free(names[i]);
	free(names);
}

static bool dir_is_empty(const char *path)
{
	struct dirent **names;
	int count = dir_read(path, &names);

	dir_free(names, count);
	return count <= 0;
}

/* ---- what is in use ------------------------------------------------------------------ */

struct numbers {
	dev_t *dev;
	size_t count;
};

static void numbers_add(struct numbers *n, dev_t dev)
{
	n->dev = xrealloc(n->dev, (n->count + 1) * sizeof *n->dev);
	n->dev[n->count++] = dev;
}

static bool numbers_have(const struct numbers *n, dev_t dev)
{
	for (size_t i = 0; i < n->count; i++)
		if (n->dev[i] == dev)
			return true;
	return false;
}

/* A path of /proc, where blanks are \040. Only those in /dev are looked at: a
 * stat of another may wait for a dead server. */
static void used_path(struct numbers *n, char *path)
{
	char *to = path;
	struct stat st;

	if (strncmp(path, "/dev/", 5))
		return;
	for (const char *s = path; *s; to++) {
		unsigned code;

		if (s[0] == '\\' && sscanf(s + 1, "%3o", &code) == 1) {
			*to = (char)code;
			s += 4;
		} else {
			*to = *s++;
		}
	}
	*to = '\0';
	if (stat(path, &st) == 0 && S_ISBLK(st.st_mode))
		numbers_add(n, st.st_rdev);
}

/* By number and by name: a btrfs shows a number of its own. */
static void used_mounts(struct numbers *n)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t room = 0;

	while (f && getline(&line, &room, f) > 0) {
		char *rest = strstr(line, " - "), *source;
		unsigned major, minor;

		if (sscanf(line, "%*u %*u %u:%u", &major, &minor) == 2)
			numbers_add(n, makedev(major, minor));
		/* " - TYPE SOURCE OPTIONS" */
		source = rest ? strchr(rest + 3, ' ') : NULL;
		if (!source)
			continue;
		source++;
		source[strcspn(source, " \n")] = '\0';
		used_path(n, source);
	}
	free(line);
	if (f)
		fclose(f);
}

static void used_swaps(struct numbers *n)
{
	FILE *f = fopen("/proc/swaps", "re");
	char *line = NULL;
	size_t room = 0;

	while (f && getline(&line, &room, f) > 0) {
		line[strcspn(line, " \t\n")] = '\0';
		used_path(n, line);
	}
	free(line);
	if (f)
		fclose(f);
}

/* The second and later devices of a mounted btrfs stand in no other list. */
static bool used_by_btrfs(const char *name)
{
	struct dirent **ids;
	int count = dir_read("/sys/fs/btrfs", &ids);
	bool used = false;

	for (int i = 0; i < count && !used; i++) {
		_cleanup_free_ char *path = xasprintf("/sys/fs/btrfs/%s/devices/%s", ids[i]->d_name,
						      name);

		used = access(path, F_OK) == 0;
	}
	dir_free(ids, count);
	return used;
}

/* ---- block devices ------------------------------------------------------------------- */

/* One entry of /sys/class/block. */
struct device {
	const char *name;               /* of the kernel */
	char *path;                     /* below /dev; owned */
	dev_t number;
	bool partition, mapped;         /* a device mapper's */
};

/* False: no storage for a pool (empty, of memory, an optical drive, a floppy). */
static bool device_read(const char *name, struct device *d)
{
	static const char *const unfit[] = { "ram", "zram", "fd", "sr" };
	char text[256];
	unsigned major, minor;

	*d = (struct device){ .name = name };
	for (size_t i = 0; i < sizeof unfit / sizeof *unfit; i++) {
		size_t len = strlen(unfit[i]);

		if (strncmp(name, unfit[i], len) == 0 && name[len] >= '0' && name[len] <= '9')
			return false;
	}
	line_read(text, sizeof text, SYS_BLOCK "/%s/size", name);
	if (strtoull(text, NULL, 10) == 0)
		return false;
	line_read(text, sizeof text, SYS_BLOCK "/%s/hidden", name);
	if (text[0] == '1')
		return false;
	line_read(text, sizeof text, SYS_BLOCK "/%s/dev", name);
	if (sscanf(text, "%u:%u", &major, &minor) != 2)
		return false;
	d->number = makedev(major, minor);
	line_read(text, sizeof text, SYS_BLOCK "/%s/partition", name);
	d->partition = text[0];
	line_read(text, sizeof text, SYS_BLOCK "/%s/dm/name", name);
	d->mapped = text[0];
	d->path = xasprintf("/dev/%s%s", d->mapped ? "mapper/" : "", d->mapped ? text : name);
	/* "cciss!c0d0": the kernel's way to write a slash */
	for (char *s = d->path; !d->mapped && *s; s++)
		if (*s == '!')
			*s = '/';
	return true;
}

static bool device_used(const struct device *d, const struct numbers *used)
{
	_cleanup_free_ char *holders = xasprintf(SYS_BLOCK "/%s/holders", d->name);
	_cleanup_free_ char *dir = xasprintf(SYS_BLOCK "/%s", d->name);
	bool is = numbers_have(used, d->number) || !dir_is_empty(holders) ||
		  used_by_btrfs(d->name);
	struct dirent **names;
	int count;

	if (is || d->partition)
		return is;
	/* Its partitions are directories in its own. */
	count = dir_read(dir, &names);
	for (int i = 0; i < count && !is; i++) {
		struct device part;

		if (strncmp(names[i]->d_name, d->name, strlen(d->name)) ||
		    !device_read(names[i]->d_name, &part))
			continue;
		is = part.partition && device_used(&part, used);
		free(part.path);
	}
	dir_free(names, count);
	return is;
}

/* What a device holds: "" for nothing known. */
struct content {
	char type[32], usage[32], table[32];
};

static void content_line(struct content *c, const char *line)
{
	static const struct { const char *key; size_t at; } keys[] = {
		{ "TYPE=", offsetof(struct content, type) },
		{ "USAGE=", offsetof(struct content, usage) },
		{ "PTTYPE=", offsetof(struct content, table) },
	};

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		size_t len = strlen(keys[i].key);

		if (strncmp(line, keys[i].key, len) == 0)
			snprintf((char *)c + keys[i].at, sizeof c->type, "%.31s", line + len);
	}
}

static int content_read(const char *path, struct progress *pr, uint64_t deadline,
			struct content *c, struct err *e)
{
	const char *const argv[] = {
		"blkid", "-p", "-s", "TYPE", "-s", "USAGE", "-s", "PTTYPE", "-o", "export",
		path, NULL,
	};
	uint64_t now = now_ms();
	_cleanup_buf_ struct buf out = { 0 };
	int status;             /* 2: holds nothing, or cannot be read; 8: holds several things */
	struct command run = {
		.argv = argv, .out = &out, .status = &status, .progress = pr,
		.timeout_ms = now < deadline ? (unsigned)(deadline - now) : 1,
	};
	int rc = command_run(&run, e);
	char *rest = out.data;

	*c = (struct content){ 0 };
	if (rc < 0)
		return err_wrap(e, "'%.200s'", path);
	for (char *line; rest && (line = strsep(&rest, "\n")); )
		content_line(c, line);
	return 0;
}

typedef const char *content_judge_f(const struct device *d, const struct content *c);

/* The words of libblkid that are not those of <format>. */
static const char *format_word(const char *word)
{
	static const char *const words[][2] = { { "sgi", "dvh" }, { "hfsplus", "hfs+" } };

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strcmp(word, words[i][0]) == 0)
			return words[i][1];
	return word;
}

/* A whole disk that is blank or has a table. What holds a file system, or is part of
 * something greater, is no disk to make partitions on. */
static const char *judge_disk(const struct device *d, const struct content *c)
{
	char uuid[64] = "";

	if (d->mapped)
		line_read(uuid, sizeof uuid, SYS_BLOCK "/%s/dm/uuid", d->name);
	if (d->partition || c->usage[0] || (d->mapped && strncmp(uuid, "mpath-", 6)))
		return NULL;
	return format_word(c->table);
}

static const char *judge_fs(const struct device *d, const struct content *c)
{
	(void)d;
	return strcmp(c->usage, "filesystem") ? NULL : format_word(c->type);
}

static int devices_each(content_judge_f *judge, bool partitions, struct progress *pr,
			source_found_f *found, void *arg, struct err *e)
{
	uint64_t deadline = now_ms() + DISCOVER_MS;
	struct numbers used = { 0 };
	struct dirent **names;
	int count = dir_read(SYS_BLOCK, &names), rc = 0;

	if (count < 0)
		return err_sys(e, "cannot read '%s'", SYS_BLOCK);
	used_mounts(&used);
	used_swaps(&used);
	for (int i = 0; i < count && rc == 0; i++) {
		const char *format = NULL;
		struct content c;
		struct device d;

		if (!device_read(names[i]->d_name, &d))
			continue;
		if ((partitions || !d.partition) && !device_used(&d, &used)) {
			rc = content_read(d.path, pr, deadline, &c, e);
			format = rc == 0 ? judge(&d, &c) : NULL;
		}
		if (format) {
			struct pool_device dev = { .path = d.path };
			struct pool_source s = {
				.devices = &dev, .device_count = 1, .format = (char *)format,
			};

			found(arg, &s);
		}
		free(d.path);
	}
	dir_free(names, count);
	free(used.dev);
	return rc;
}

int discover_disk(const struct pool_host *host, struct progress *pr, source_found_f *found,
		  void *arg, struct err *e)
{
	(void)host;
	return devices_each(judge_disk, false, pr, found, arg, e);
}

int discover_fs(const struct pool_host *host, struct progress *pr, source_found_f *found,
		void *arg, struct err *e)
{
	(void)host;
	return devices_each(judge_fs, true, pr, found, arg, e);
}

/* ---- adapters -------------------------------------------------------------------------- */

/* "0x5001a4a9d3f1c2b0", without the 0x */
static bool wwn_read(char wwn[17], const char *host, const char *which)
{
	char line[64];
	const char *digits = line;

	line_read(line, sizeof line, "%s/%s", host, which);
	if (strncmp(line, "0x", 2) == 0)
		digits += 2;
	if (strspn(digits, "0123456789abcdefABCDEF") != 16 || digits[16])
		return false;
	memcpy(wwn, digits, 17);
	return true;
}

static void adapter_found(const char *class, const char *host, source_found_f *found, void *arg)
{
	_cleanup_free_ char *dir = xasprintf("%s/%s", class, host);
	_cleanup_free_ char *name = xasprintf("scsi_%s", host);
	struct pool_source s = { .adapter = { .type = (char *)"scsi_host", .name = name } };
	char wwnn[17], wwpn[17];

	if (wwn_read(wwnn, dir, "node_name") && wwn_read(wwpn, dir, "port_name"))
		s.adapter = (struct pool_adapter){
			.type = (char *)"fc_host", .wwnn = wwnn, .wwpn = wwpn,
		};
	else if (strstr(class, "fc_host"))
		return;
	found(arg, &s);
}

/* A Fibre Channel adapter is told twice, since both ways to name it are used. */
int adapters_each(const char *sys, source_found_f *found, void *arg, struct err *e)
{
	static const char *const classes[] = { "scsi_host", "fc_host" };

	(void)e;
	for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
		_cleanup_free_ char *class = xasprintf("%s/class/%s", sys, classes[i]);
		struct dirent **names;
		int count = dir_read(class, &names);    /* -1: no such adapter */

		for (int n = 0; n < count; n++)
			adapter_found(class, names[n]->d_name, found, arg);
		dir_free(names, count);
	}
	return 0;
}

int discover_scsi(const struct pool_host *host, struct progress *pr, source_found_f *found,
		  void *arg, struct err *e)
{
	(void)host;
	(void)pr;
	return adapters_each("/sys", found, arg, e);
}
