/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * secrets.c - keys and passwords: SOURCE/secrets/UUID and SOURCE/secrets/usage:NAME.
 *
 * Called by the front for control/secrets, by password.c, and by drivers through
 * the hook of pool_secret. A secret goes in by secret_set and comes out by
 * secret_get only, for a driver; what held one is wiped. Never logs one, never
 * puts one into a sentence, an argument or the environment.
 */
#include "secrets.h"
#include "durable.h"
#include "libvirt.h"
#include "pool.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define USAGE "usage:"

/* ---- names ------------------------------------------------------------------------- */

/* Of an editor or a downloader: a usage may well be called so, but hardly is, and the
 * copy of a secret under such a name would stay. */
static bool scratch_like(const char *name)
{
	static const char *const endings[] = { "~", ".swp", ".swo", ".swx", ".tmp", ".part", ".bak" };
	size_t len = strlen(name);

	for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
		size_t tail = strlen(endings[i]);

		if (len > tail && strcmp(name + len - tail, endings[i]) == 0)
			return true;
	}
	return name[0] == '.' || name[0] == '#';
}

int secret_name_check(const char *name, struct err *e)
{
	size_t len = strlen(name);
	char uuid[37];

	if (uuid_parse(name, uuid)) {
		if (strcmp(name, uuid) == 0)
			return 0;
		return err_set(e, EINVAL, "write the uuid of a secret as '%s'", uuid);
	}
	if (scratch_like(name))
		return err_set(e, EINVAL, "'%.64s' is an editor's or a copier's scratch name, and a "
			       "secret is never kept twice: write it with echo, cat or cp to its own "
			       "name", name);
	if (strncmp(name, USAGE, strlen(USAGE)) != 0)
		return err_set(e, EINVAL, "a secret is called by its UUID, or '" USAGE "NAME', not "
			       "'%.64s'", name);
	if (len == strlen(USAGE))
		return err_set(e, EINVAL, "the usage behind '" USAGE "' is empty");
	if (len > NAME_MAX)
		return err_set(e, EINVAL, "a usage may have %d bytes; name the secret by its uuid",
			       (int)(NAME_MAX - strlen(USAGE)));
	for (const char *s = name; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f || *s == '/')
			return err_set(e, EINVAL, "a usage may have no '/' and no control characters: "
				       "name the secret by its uuid");
	return 0;
}

/* ---- files --------------------------------------------------------------------------- */

static int ending_error(struct err *e)
{
	return err_set(e, EBUSY, "poolfs is ending");
}

static char *secrets_path(void)
{
	return xasprintf("%s/" STORE_SECRETS, store_source(pools.store));
}

int secret_file_read(int dir, const char *path, const char *file, struct buf *out, struct err *e)
{
	_cleanup_close_ int fd = openat(dir, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY |
					O_CLOEXEC);
	struct stat st;
	size_t len = 0;
	char *data;

	if (fd < 0)
		return errno == ENOENT ? -ENOENT : err_sys(e, "cannot read '%s/%s'", path, file);
	if (fstat(fd, &st) < 0)
		return err_sys(e, "cannot read '%s/%s'", path, file);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "'%s/%s' is not a regular file", path, file);
	if (st.st_size > SECRET_MAX)
		return err_set(e, EFBIG, "'%s/%s' is larger than %d bytes", path, file, SECRET_MAX);
	/* Of its full size at once: a buffer that grew would leave what it was. */
	data = xmalloc(SECRET_MAX + 1);
	while (len < SECRET_MAX) {
		ssize_t got = read(fd, data + len, SECRET_MAX - len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			int ret = err_sys(e, "cannot read '%s/%s'", path, file);

			explicit_bzero(data, len);
			free(data);
			return ret;
		}
		if (got == 0)
			break;
		len += (size_t)got;
	}
	while (len && data[len - 1] == '\n')
		data[--len] = '\0';
	data[len] = '\0';
	buf_wipe(out);
	*out = (struct buf){ .data = data, .len = len, .cap = SECRET_MAX + 1 };
	return 0;
}

int secret_set(const char *name, const char *data, size_t len, struct err *e)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int dir = -1;
	struct stat st;
	int ret = secret_name_check(name, e);

	if (ret < 0)
		return ret;
	if (!pools.store)
		return ending_error(e);
	if (len && data[len - 1] == '\n')
		len--;
	if (!len)
		return err_set(e, EINVAL, "the secret '%s' would be empty; rm removes it", name);
	if (len > SECRET_MAX)
		return err_set(e, EFBIG, "a secret may have %d bytes", SECRET_MAX);
	if (memchr(data, '\0', len))
		return err_set(e, EINVAL, "a secret is a text without NUL bytes: write a key as "
			       "Ceph prints it");
	ret = store_writable(pools.store, e);
	if (ret < 0)
		return ret;
	path = secrets_path();
	dir = store_sub_open(pools.store, STORE_SECRETS, true, e);
	if (dir < 0)
		return dir;
	if (fstat(dir, &st) == 0 && (st.st_mode & 077) && fchmod(dir, 0700) < 0)
		return err_sys(e, "others may look into '%s', and that cannot be changed", path);
	return file_write(dir, path, name, data, len, e);
}

int secret_remove(const char *name, struct err *e)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int dir = -1;
	struct err ignored = {0};
	int ret;

	/* A name that cannot be has no file. */
	if (secret_name_check(name, &ignored) < 0)
		return -ENOENT;
	if (!pools.store)
		return ending_error(e);
	path = secrets_path();
	dir = store_sub_open(pools.store, STORE_SECRETS, false, &ignored);
	if (dir < 0 || faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return -ENOENT;
	ret = store_writable(pools.store, e);
	return ret < 0 ? ret : file_remove(dir, path, name, e);
}

bool secret_exists(const char *name)
{
	struct err ignored = {0};
	_cleanup_close_ int dir = -1;
	struct stat st;

	if (secret_name_check(name, &ignored) < 0 || !pools.store)
		return false;
	dir = store_sub_open(pools.store, STORE_SECRETS, false, &ignored);
	return dir >= 0 && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(st.st_mode);
}

void secret_each(void (*f)(void *arg, const char *name), void *arg)
{
	struct err ignored = {0};
	struct dirent *d;
	DIR *list;
	int dir;

	dir = pools.store ? store_sub_open(pools.store, STORE_SECRETS, false, &ignored) : -1;
	list = dir < 0 ? NULL : fdopendir(dir);
	if (!list) {
		if (dir >= 0)
			close(dir);
		return;
	}
	while ((d = readdir(list)))
		if (d->d_name[0] != '.' && secret_exists(d->d_name))
			f(arg, d->d_name);
	closedir(list);
}

/* ---- for drivers ------------------------------------------------------------------------- */

static int own_read(const char *name, struct buf *out, struct err *e)
{
	_cleanup_free_ char *path = secrets_path();
	struct err ignored = {0};
	_cleanup_close_ int dir = -1;

	if (secret_name_check(name, &ignored) < 0)
		return -ENOENT;
	dir = store_sub_open(pools.store, STORE_SECRETS, false, e);
	if (dir == -ENOENT)
		e->text[0] = '\0';
	return dir < 0 ? dir : secret_file_read(dir, path, name, out, e);
}

int secret_get(const struct pool_auth *auth, struct buf *out, struct err *e)
{
	_cleanup_free_ char *name = NULL;
	int ret;

	if (!pools.store)
		return ending_error(e);
	name = auth->secret_usage ? xasprintf(USAGE "%s", auth->secret_usage)
				  : xstrdup(auth->secret_uuid);
	ret = own_read(name, out, e);
	if (ret == -ENOENT)
		ret = libvirt_secret(store_source(pools.store), auth, out, e);
	if (ret == -ENOENT && !e->text[0])
		return err_set(e, ENOENT, "there is no secret '%s': write it to control/secrets/%s",
			       name, name);
	if (ret == 0 && !out->len)
		return err_set(e, EINVAL, "the secret '%s' is empty: write it to control/secrets/%s",
			       name, name);
	return ret;
}
