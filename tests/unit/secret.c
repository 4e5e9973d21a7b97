/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * secret.c - unit tests of control/secrets.c and libvirt_secret.c: names, what is
 * kept and given back, which secret a pool's <auth> means.
 *
 * Started by tests/run; prints TAP. Plays libvirt's part with files of its own;
 * with a real libvirt the case libvirt-source does it.
 */
#include "../../control/control.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define UUID "2ec115d7-3a88-3ceb-bc12-0ac909a6fd87"
#define OTHER "6d0c6b1e-4c1f-4d0b-9d3a-1f2e3d4c5b6a"

static char base[256];

static void put(const char *name, const char *text, mode_t mode)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", base, name);
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, mode);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static int begin(void **state)
{
	_cleanup_free_ char *source = NULL, *run = NULL, *beside = NULL;
	const char *tmp = getenv("TMPDIR");
	struct control_options o = { .mountpoint = "/nowhere" };
	struct err e = {0};

	(void)state;
	snprintf(base, sizeof base, "%.200s/poolfs-secret.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(base))
		return -1;
	o.source = source = xasprintf("%s/storage", base);
	o.rundir = run = xasprintf("%s/run", base);
	beside = xasprintf("%s/secrets", base);
	if (mkdir(beside, 0700) < 0)
		return -1;
	if (control_init(&o, &e) < 0)
		fail_msg("%s", e.text);
	return 0;
}

static int end(void **state)
{
	_cleanup_free_ char *command = xasprintf("rm -rf '%s'", base);

	(void)state;
	control_end();
	return system(command);
}

static int set(const char *name, const char *text)
{
	struct err e = {0};
	int rc = secret_set(name, text, strlen(text), &e);

	assert_true(rc == 0 || (e.text[0] && e.code == -rc));
	return rc;
}

/* type, and a uuid or "usage:NAME". */
static int get(const char *type, const char *name, struct buf *out, struct err *e)
{
	struct pool_auth auth = { .type = (char *)type };

	memset(e, 0, sizeof *e);
	if (strncmp(name, "usage:", 6) == 0)
		auth.secret_usage = (char *)name + 6;
	else
		snprintf(auth.secret_uuid, sizeof auth.secret_uuid, "%s", name);
	return secret_get(&auth, out, e);
}

static void gives(const char *type, const char *name, const char *text)
{
	struct buf out = {0};
	struct err e;

	if (get(type, name, &out, &e) < 0)
		fail_msg("%s: %s", name, e.text);
	assert_string_equal(out.data, text);
	assert_int_equal(out.len, strlen(text));
	buf_wipe(&out);
}

static void fails(const char *type, const char *name, int code, const char *part)
{
	struct buf out = {0};
	struct err e;

	assert_int_equal(get(type, name, &out, &e), -code);
	if (!strstr(e.text, part))
		fail_msg("%s: %s", name, e.text);
	assert_int_equal(out.len, 0);
	buf_wipe(&out);
}

static void test_names(void **state)
{
	static const char *const good[] = {
		UUID, "usage:x", "usage:client.libvirt secret", "usage:..", "usage:\303\244",
		("usage:" UUID),
	};
	static const char *const bad[] = {
		"", "x", "usage", "usage:", "usage:a/b", "usage:a\nb", "usage:\177", ("." UUID ".swp"), (UUID "~"),
		"2EC115D7-3A88-3CEB-BC12-0AC909A6FD87", "2ec115d73a883cebbc120ac909a6fd87", "usage:x~",
		"usage:x.swp", "#usage:x#", "4913", ".", "..",
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_int_equal(secret_name_check(good[i], &e), 0);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		memset(&e, 0, sizeof e);
		assert_int_equal(secret_name_check(bad[i], &e), -EINVAL);
		assert_true(e.text[0]);
	}
}

static void count(void *arg, const char *name)
{
	(void)name;
	++*(int *)arg;
}

static void test_own(void **state)
{
	char large[SECRET_MAX + 2];
	struct err e = {0};
	int n = 0;

	(void)state;
	assert_int_equal(set(UUID, "key\n"), 0);
	gives("ceph", UUID, "key");
	assert_int_equal(set(UUID, "a longer key"), 0);
	gives("chap", UUID, "a longer key");
	assert_int_equal(set("usage:u", "by usage"), 0);
	gives("ceph", "usage:u", "by usage");
	assert_int_equal(set(UUID, ""), -EINVAL);
	assert_int_equal(set(UUID, "\n"), -EINVAL);
	assert_int_equal(set("u", "key"), -EINVAL);
	assert_int_equal(secret_set(UUID, "a\0b", 3, &e), -EINVAL);
	memset(large, 'x', sizeof large);
	assert_int_equal(secret_set(UUID, large, sizeof large, &e), -EFBIG);
	gives("ceph", UUID, "a longer key");
	large[SECRET_MAX] = '\n';
	assert_int_equal(secret_set("usage:large", large, SECRET_MAX + 1, &e), 0);
	large[SECRET_MAX] = '\0';
	gives("ceph", "usage:large", large);
	secret_each(count, &n);
	assert_int_equal(n, 3);
	assert_true(secret_exists(UUID));
	assert_int_equal(secret_remove(UUID, &e), 0);
	assert_int_equal(secret_remove(UUID, &e), -ENOENT);
	assert_int_equal(secret_remove("../storage", &e), -ENOENT);
	assert_false(secret_exists(UUID));
	fails("ceph", UUID, ENOENT, "write it to control/secrets/" UUID);
	assert_int_equal(secret_remove("usage:u", &e), 0);
	assert_int_equal(secret_remove("usage:large", &e), 0);
}

static void libvirt_has(const char *uuid, const char *usage, const char *value)
{
	_cleanup_free_ char *xml = xasprintf("secrets/%s.xml", uuid);
	_cleanup_free_ char *file = xasprintf("secrets/%s.base64", uuid);
	_cleanup_free_ char *text = xasprintf("<!-- made -->\n<secret ephemeral='no' private='yes'>\n"
					      "  <uuid>%s</uuid>\n  <description>usage</description>\n"
					      "  %s\n</secret>\n", uuid, usage);

	put(xml, text, 0600);
	if (value)
		put(file, value, 0600);
}

static void test_libvirt(void **state)
{
	static const char *const wrong[] = { "!!!!", "QQ", "QQ=", "QQ==QQ==", "Q===", "====", "QUJD\nQUJD" };
	struct err e;

	(void)state;
	libvirt_has(UUID, "<usage type='iscsi'><target>a &amp; b/c</target></usage>", "b3BlbiBzZXNhbWU=");
	libvirt_has(OTHER, "<usage type='ceph'><name>client.x</name></usage>", "QVFCaG1HVmtBQUFBQUE=");
	gives("chap", UUID, "open sesame");
	gives("chap", "usage:a & b/c", "open sesame");
	gives("ceph", OTHER, "QVFCaG1HVmtBQUFBQUE=");
	gives("ceph", "usage:client.x", "QVFCaG1HVmtBQUFBQUE=");
	fails("ceph", "usage:a & b/c", ENOENT, "there is no secret");
	fails("ceph", UUID, EINVAL, "is for 'iscsi', not for 'ceph'");
	fails("chap", "usage:client", ENOENT, "there is no secret");

	assert_int_equal(set("usage:client.x", "own"), 0);
	gives("ceph", "usage:client.x", "own");
	assert_int_equal(secret_remove("usage:client.x", &e), 0);

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		libvirt_has(UUID, "<usage type='iscsi'><target>t</target></usage>", wrong[i]);
		fails("chap", UUID, EINVAL, "is no base64 text");
	}
	/* One that cannot be read hides no other. */
	put("secrets/" UUID ".xml", "<secret><usage", 0600);
	gives("ceph", "usage:client.x", "QVFCaG1HVmtBQUFBQUE=");
	fails("chap", UUID, EINVAL, "cannot read");
	libvirt_has("3d0c6b1e-4c1f-4d0b-9d3a-1f2e3d4c5b6a", "<usage type='ceph'><name>v</name></usage>", NULL);
	fails("ceph", "usage:v", ENOENT, "has no value that can be read");
}

static void test_trust(void **state)
{
	_cleanup_free_ char *dir = xasprintf("%s/secrets", base);

	(void)state;
	assert_int_equal(chmod(dir, 0777), 0);
	fails("ceph", OTHER, EPERM, "writable by others");
	assert_int_equal(chmod(dir, 0700), 0);
	gives("ceph", OTHER, "QVFCaG1HVmtBQUFBQUE=");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_own),
		cmocka_unit_test(test_libvirt),
		cmocka_unit_test(test_trust),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
