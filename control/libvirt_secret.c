/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvirt_secret.c - the secrets that libvirt keeps beside its storage directory:
 * ../secrets/UUID.xml, which says what each is for, and UUID.base64, its value.
 *
 * Called by secrets.c for what SOURCE itself does not hold. Nobody is asked and
 * nothing is kept: each look reads the files anew, and wipes what it read. A value
 * that libvirt has encrypted with a key of its own (since 12.1), or has only in
 * memory, is not to be had here. Never writes anything.
 */
#include "libvirt.h"
#include "secrets.h"
#include "xml.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- UUID.xml -------------------------------------------------------------------- */

/* <secret><usage type='ceph'><name>, type='iscsi'><target>, type='volume'><volume>. */
struct usage {
	struct xml_scan scan;
	bool in_usage, in_id;
	char *type;
	struct buf id;
};

static int usage_start(void *arg, const char *name, const struct xml_attr *attrs, size_t count,
		       struct err *e)
{
	struct usage *u = arg;

	(void)e;
	if (u->scan.depth == 2)
		u->in_usage = strcmp(name, "usage") == 0;
	u->in_id = u->in_usage && u->scan.depth == 3;
	for (size_t i = 0; u->in_usage && u->scan.depth == 2 && i < count; i++)
		if (strcmp(attrs[i].name, "type") == 0 && !u->type)
			u->type = xstrdup(attrs[i].value);
	return 0;
}

static void usage_text(void *arg, const char *text, size_t len)
{
	struct usage *u = arg;

	if (u->in_id)
		buf_add(&u->id, text, len);
}

static int usage_end(void *arg, struct err *e)
{
	struct usage *u = arg;

	(void)e;
	u->in_id = false;
	return 0;
}

static void usage_release(struct usage *u)
{
	free(u->type);
	buf_release(&u->id);
}

/* -ENOENT without a sentence: there is no such secret. */
static int usage_read(int dir, const char *path, const char *uuid, struct usage *u, struct err *e)
{
	static const struct xml_events events = {
		.start = usage_start, .text = usage_text, .end = usage_end,
	};
	_cleanup_free_ char *file = xasprintf("%s.xml", uuid);
	_cleanup_buf_ struct buf xml = {0};
	int ret = secret_file_read(dir, path, file, &xml, e);

	memset(u, 0, sizeof *u);
	if (ret < 0)
		return ret;
	xml_scan_init(&u->scan, &events, u);
	ret = xml_scan_feed(&u->scan, xml.data, xml.len, true, e);
	xml_scan_release(&u->scan);
	if (ret < 0)
		return err_wrap(e, "cannot read '%s/%s'", path, file);
	return 0;
}

/* What libvirt calls the use of such a secret. */
static const char *usage_word(const struct pool_auth *auth)
{
	return strcmp(auth->type, "chap") == 0 ? "iscsi" : auth->type;
}

static bool usage_is(const struct usage *u, const struct pool_auth *auth)
{
	return u->type && strcmp(u->type, usage_word(auth)) == 0;
}

/* ---- which one ------------------------------------------------------------------------ */

static int find_by_uuid(int dir, const char *path, const struct pool_auth *auth, struct err *e)
{
	struct usage u;
	int ret = usage_read(dir, path, auth->secret_uuid, &u, e);

	/* As libvirt judges it: a disk's passphrase is nobody's password. */
	if (ret == 0 && !usage_is(&u, auth))
		ret = err_set(e, EINVAL, "libvirt's secret '%s' is for '%s', not for '%s': name "
			      "another one, or write this one to control/secrets/%s",
			      auth->secret_uuid, u.type ? u.type : "nothing", usage_word(auth),
			      auth->secret_uuid);
	usage_release(&u);
	return ret;
}

/* One that cannot be read hides no other. */
static int find_by_usage(int dir, const char *path, const struct pool_auth *auth, char uuid[37],
			 struct err *e)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;
	int ret = -ENOENT;

	if (!list) {
		ret = err_sys(e, "cannot list '%s'", path);
		if (fd >= 0)
			close(fd);
		return ret;
	}
	while (ret == -ENOENT && (d = readdir(list))) {
		size_t len = strlen(d->d_name);
		struct err ignored = {0};
		char canonical[37];
		struct usage u;

		if (len != 40 || strcmp(d->d_name + 36, ".xml") != 0)
			continue;
		memcpy(uuid, d->d_name, 36);
		uuid[36] = '\0';
		if (!uuid_parse(uuid, canonical) || strcmp(uuid, canonical) != 0)
			continue;
		if (usage_read(dir, path, uuid, &u, &ignored) == 0 && usage_is(&u, auth) &&
		    u.id.data && strcmp(u.id.data, auth->secret_usage) == 0)
			ret = 0;
		usage_release(&u);
	}
	closedir(list);
	return ret;
}

/* ---- UUID.base64 -------------------------------------------------------------------------- */

static int digit(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* In place; false if it is none. The text stays longer than what it stands for. */
static bool base64_decode(struct buf *b)
{
	unsigned bits = 0, have = 0;
	size_t out = 0, in = 0, padding = 0;

	for (; in < b->len && b->data[in] != '='; in++) {
		int value = digit(b->data[in]);

		if (value < 0)
			return false;
		bits = (bits << 6 | (unsigned)value) & 0xffffff;
		have += 6;
		if (have >= 8) {
			have -= 8;
			b->data[out++] = (char)(bits >> have & 0xff);
		}
	}
	while (in + padding < b->len && b->data[in + padding] == '=')
		padding++;
	if (in + padding != b->len || b->len % 4 || padding > 2)
		return false;
	explicit_bzero(b->data + out, b->len - out);
	b->len = out;
	return true;
}

static int value_read(int dir, const char *path, const char *uuid, const struct pool_auth *auth,
		      struct buf *out, struct err *e)
{
	_cleanup_free_ char *file = xasprintf("%s.base64", uuid);
	int ret = secret_file_read(dir, path, file, out, e);
	struct buf check = {0};
	bool good;

	if (ret == -ENOENT)
		return err_set(e, ENOENT, "libvirt's secret '%s' has no value that can be read in "
			       "'%s' (it was never set, is ephemeral or encrypted): write it to "
			       "control/secrets/%s%s", uuid, path,
			       auth->secret_usage ? "usage:" : "",
			       auth->secret_usage ? auth->secret_usage : uuid);
	if (ret < 0)
		return ret;
	/* Ceph prints its keys in base64, too: there it is the value itself. */
	check.data = xmalloc(out->len + 1);
	check.cap = out->len + 1;
	memcpy(check.data, out->data, out->len + 1);
	check.len = out->len;
	good = base64_decode(&check) && check.len;
	if (good && strcmp(auth->type, "ceph") != 0)
		good = base64_decode(out);
	buf_wipe(&check);
	if (!good) {
		buf_wipe(out);
		return err_set(e, EINVAL, "'%s/%s' is no base64 text: set the secret anew with virsh "
			       "secret-set-value", path, file);
	}
	return 0;
}

/* ---- the secret ------------------------------------------------------------------------------ */

/* Somebody else's directory beside SOURCE would make its keys ours. */
static int directory_trusted(int fd, const char *path, const char *source, struct err *e)
{
	struct stat st, of;

	if (fstat(fd, &st) < 0 || stat(source, &of) < 0)
		return err_sys(e, "cannot stat '%s'", path);
	if ((st.st_uid != geteuid() && st.st_uid != of.st_uid) || (st.st_mode & 022))
		return err_set(e, EPERM, "'%s' belongs to or is writable by others: no secret is "
			       "taken from there", path);
	return 0;
}

int libvirt_secret(const char *source, const struct pool_auth *auth, struct buf *out,
		   struct err *e)
{
	static const char ending[] = "/storage";
	size_t len = strlen(source), tail = sizeof ending - 1;
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int dir = -1;
	char uuid[37];
	int ret;

	if (len < tail || strcmp(source + len - tail, ending) != 0)
		return -ENOENT;
	path = xasprintf("%.*s/secrets", (int)(len - tail), source);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return errno == ENOENT || errno == ENOTDIR ? -ENOENT :
		       err_sys(e, "cannot open '%s'", path);
	ret = directory_trusted(dir, path, source, e);
	if (ret == 0 && auth->secret_usage) {
		ret = find_by_usage(dir, path, auth, uuid, e);
	} else if (ret == 0) {
		memcpy(uuid, auth->secret_uuid, sizeof uuid);
		ret = find_by_uuid(dir, path, auth, e);
	}
	return ret == 0 ? value_read(dir, path, uuid, auth, out, e) : ret;
}
