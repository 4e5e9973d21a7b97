/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * drop.c - unit tests of control/drop.c and scratch.c: names, scratch files with
 * their caps and expiry, the four kinds of rename, handles that write XML.
 *
 * Started by tests/run; prints TAP. Pools are faked here (the fakes take the
 * place of manage.c's functions), and so is the clock of scratch.c, which is
 * therefore included as source.
 */
#define now_ms test_now_ms
#include "../../control/scratch.c"
#undef now_ms

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static uint64_t test_time = 1000;
static const struct caller asker = {.uid = 1, .gid = 2};

uint64_t test_now_ms(void)
{
	return test_time;
}

/* ---- one pool, faked --------------------------------------------------------------- */

static struct {
	char name[256];         /* "" when undefined */
	char xml[1 << 21];
	unsigned defined;       /* calls that succeeded */
	int refuse;
} fake;

int cpool_define(const char *name, const char *xml, size_t len, struct err *e)
{
	if (fake.refuse)
		return err_set(e, fake.refuse, "refused by the fake");
	assert_true(len < sizeof fake.xml);
	snprintf(fake.name, sizeof fake.name, "%s", name);
	memcpy(fake.xml, xml, len);
	fake.xml[len] = '\0';
	fake.defined++;
	return 0;
}

struct cpool *cpool_find(const char *name)
{
	return fake.name[0] && strcmp(name, fake.name) == 0 ? (struct cpool *)&fake : NULL;
}

void cpool_put(struct cpool *cp)
{
	assert_ptr_equal(cp, &fake);
}

void cpool_xml(struct cpool *cp, struct buf *out)
{
	(void)cp;
	buf_add(out, fake.xml, strlen(fake.xml));
}

struct timespec cpool_mtime(struct cpool *cp)
{
	(void)cp;
	return (struct timespec){.tv_sec = 77};
}

int cpool_rename(const char *from, const char *to, struct err *e)
{
	if (strcmp(from, fake.name) != 0)
		return err_set(e, ENOENT, "no such pool");
	snprintf(fake.name, sizeof fake.name, "%s", to);
	return 0;
}

static int clean(void **state)
{
	(void)state;
	fake.name[0] = fake.xml[0] = '\0';
	fake.defined = 0;
	fake.refuse = 0;
	test_time += SCRATCH_SECONDS * 1000ull;
	scratch_put(scratch_find(&drop_pools, "x"));         /* any call lets the old ones go */
	assert_int_equal(scratches.count, 0);
	assert_int_equal(scratches.bytes, 0);
	return 0;
}

/* ---- tests ----------------------------------------------------------------------------- */

static void names(void **state)
{
	static const char *const scratch[] = {
		"a", ".xml", "..xml", ".a.xml", "a.xml~", "a.xml.swp", ".a.xml.swp", "a.xml.part",
		"a.xml.tmp", "a.xml.bak", ".a.xml.kate-swp", "4913", "sedAbCdEf", "#a.xml#",
		".goutputstream-ABCDEF", ".#a.xml", "a.XML", "-rf.xml", "control.xml", "", "xml", " .xml",
		"a\nb.xml", "a.xml.xml", NULL,
	};
	char name[256], long_name[300];

	(void)state;
	for (size_t i = 0; scratch[i]; i++)
		if (drop_is_definition(&drop_pools, scratch[i], name))
			fail_msg("'%s' is no definition", scratch[i]);
	assert_true(drop_is_definition(&drop_pools, "a.xml", name));
	assert_string_equal(name, "a");
	assert_true(drop_is_definition(&drop_pools, "a b.xml.c.xml", name));
	assert_string_equal(name, "a b.xml.c");
	memset(long_name, 'x', sizeof long_name);
	strcpy(long_name + 245, ".xml");
	assert_true(drop_is_definition(&drop_pools, long_name, name));
	assert_int_equal(strlen(name), 245);
	memset(long_name, 'x', sizeof long_name);
	strcpy(long_name + 246, ".xml");
	assert_false(drop_is_definition(&drop_pools, long_name, name));
	memset(long_name, 'x', sizeof long_name);
	strcpy(long_name + 280, ".xml");
	assert_false(drop_is_definition(&drop_pools, long_name, name));
}

static struct scratch *create(const char *name)
{
	struct scratch *s;
	struct err e = {0};

	if (scratch_create(&drop_pools, name, true, 5, 6, 0640, &s, &e) < 0)
		fail_msg("%s", e.text);
	return s;
}

static void add_name(void *arg, const char *name, struct scratch *s)
{
	struct stat st;

	scratch_stat(s, &st);
	buf_addf(arg, "%s:%lld|", name, (long long)st.st_size);
}

static void content(void **state)
{
	struct scratch *s = create("a"), *same;
	struct vol_attr a = {.valid = ATTR_MODE | ATTR_UID | ATTR_GID | ATTR_MTIME | ATTR_ATIME,
			     .mode = 0104755, .uid = 1, .gid = 2, .mtime = {.tv_sec = 3},
			     .atime = {.tv_nsec = UTIME_NOW}};
	struct buf list = {0};
	struct err e = {0};
	struct stat st;
	char data[16];

	(void)state;
	assert_int_equal(scratch_create(&drop_pools, "a", true, 0, 0, 0, &same, &e), -EEXIST);
	assert_int_equal(scratch_create(&drop_pools, "a", false, 0, 0, 0, &same, &e), 0);
	assert_ptr_equal(same, s);
	scratch_put(same);
	scratch_stat(s, &st);
	assert_int_equal(st.st_mode, S_IFREG | 0640);
	assert_int_equal(st.st_uid, 5);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(st.st_size, 0);
	assert_int_equal(scratch_write(s, "xyz", 3, 5, &e), 0);
	assert_int_equal(scratch_read(s, data, sizeof data, 0), 8);
	assert_memory_equal(data, "\0\0\0\0\0xyz", 8);
	assert_int_equal(scratch_read(s, data, sizeof data, 8), 0);
	assert_int_equal(scratch_read(s, data, sizeof data, UINT64_MAX), 0);
	assert_int_equal(scratch_truncate(s, 6, &e), 0);
	assert_int_equal(scratch_truncate(s, 10000, &e), 0);
	assert_int_equal(scratch_read(s, data, 4, 5), 4);
	assert_memory_equal(data, "x\0\0\0", 4);
	scratch_setattr(s, &a);
	scratch_stat(s, &st);
	assert_int_equal(st.st_mode, S_IFREG | 0755);
	assert_int_equal(st.st_mtim.tv_sec, 3);
	assert_true(st.st_atim.tv_sec > 1000000);
	scratch_each(&drop_pools, add_name, &list);
	assert_string_equal(list.data, "a:10000|");
	buf_release(&list);
	assert_int_equal(scratch_truncate(s, 0, &e), 0);
	assert_int_equal(scratches.bytes, 0);
	/* unlinked while open: the content stays, the name is free */
	assert_int_equal(scratch_write(s, "still", 5, 0, &e), 0);
	assert_int_equal(scratch_unlink(&drop_pools, "a", &e), 0);
	assert_int_equal(scratch_unlink(&drop_pools, "a", &e), -ENOENT);
	assert_null(scratch_find(&drop_pools, "a"));
	scratch_put(create("a"));
	assert_int_equal(scratch_read(s, data, sizeof data, 0), 5);
	scratch_stat(s, &st);
	assert_int_equal(st.st_nlink, 0);
	scratch_put(s);
	assert_int_equal(scratches.count, 1);
	assert_int_equal(scratch_create(&drop_pools, "-rf.xml", true, 0, 0, 0, &s, &e), -EINVAL);
	assert_non_null(strstr(e.text, "begins with '-'"));
	assert_int_equal(scratch_create(&drop_pools, "..xml", true, 0, 0, 0, &s, &e), -EINVAL);
	assert_int_equal(scratch_create(&drop_pools, "a\n", true, 0, 0, 0, &s, &e), -EINVAL);
}

static void caps(void **state)
{
	static char big[1 << 20];
	struct scratch *s = create("a"), *many[SCRATCH_FILES_MAX] = {0};
	struct err e = {0};
	unsigned n = 0;
	char name[32];

	(void)state;
	assert_int_equal(scratch_truncate(s, SCRATCH_FILE_MAX, &e), 0);
	assert_int_equal(scratch_truncate(s, SCRATCH_FILE_MAX + 1, &e), -EFBIG);
	assert_int_equal(scratch_write(s, "x", 1, SCRATCH_FILE_MAX, &e), -EFBIG);
	assert_int_equal(scratch_write(s, "x", 1, UINT64_MAX, &e), -EFBIG);
	assert_int_equal(scratch_write(s, "x", 1, SCRATCH_FILE_MAX - 1, &e), 0);
	for (many[n] = s; n < SCRATCH_FILES_MAX - 1; n++) {
		snprintf(name, sizeof name, "n%u", n);
		many[n + 1] = create(name);
	}
	assert_int_equal(scratch_create(&drop_pools, "one more", true, 0, 0, 0, &s, &e), -ENOSPC);
	for (n = 1; scratch_write(many[n], big, sizeof big, 0, &e) == 0; n++)
		assert_true(n < SCRATCH_FILES_MAX - 1);
	assert_int_equal(e.code, ENOSPC);
	assert_int_equal(n - 1, (SCRATCH_TOTAL_MAX - SCRATCH_FILE_MAX) / sizeof big);
	/* what is unlinked but open still counts */
	assert_int_equal(scratch_unlink(&drop_pools, "a", &e), 0);
	assert_int_equal(scratch_write(many[n], big, sizeof big, 0, &e), -ENOSPC);
	scratch_put(many[0]);
	assert_int_equal(scratch_write(many[n], big, sizeof big, 0, &e), 0);
	for (n = 1; n < SCRATCH_FILES_MAX; n++)
		scratch_put(many[n]);
}

static void expiry(void **state)
{
	struct scratch *s = create("held");
	struct buf list = {0};

	(void)state;
	scratch_put(create("old"));
	test_time += SCRATCH_SECONDS * 1000ull - 1;
	scratch_each(&drop_pools, add_name, &list);          /* looking at it keeps nothing */
	assert_string_equal(list.data, "old:0|held:0|");
	buf_release(&list);
	test_time++;
	scratch_each(&drop_pools, add_name, &list);
	assert_string_equal(list.data, "held:0|");
	buf_release(&list);
	test_time += 1000 * 1000 * 1000;
	assert_ptr_equal(scratch_find(&drop_pools, "held"), s);
	scratch_put(s);
	scratch_put(s);                         /* the time begins now */
	test_time += SCRATCH_SECONDS * 1000ull - 1;
	s = scratch_find(&drop_pools, "held");
	assert_non_null(s);
	scratch_put(s);
}

static int move(const char *from, const char *to, unsigned flags, struct err *e)
{
	return drop_rename(&drop_pools, &asker, from, to, flags, e);
}

static void renames(void **state)
{
	struct scratch *s = create("t1");
	struct err e = {0};
	struct stat st;
	char data[64];

	(void)state;
	/* scratch to scratch */
	scratch_write(s, "<pool/>", 7, 0, &e);
	scratch_put(create("t2"));
	assert_int_equal(move("t1", "t2", RENAME_NOREPLACE, &e), -EEXIST);
	assert_int_equal(move("t1", "t2", RENAME_EXCHANGE, &e), -EINVAL);
	assert_int_equal(move("t1", "t2", 0, &e), 0);
	assert_int_equal(move("t2", "t2", 0, &e), 0);
	assert_int_equal(move("t1", "t3", 0, &e), -ENOENT);
	assert_int_equal(move("t2", "-x.xml", 0, &e), -EINVAL);
	assert_non_null(strstr(e.text, "'-x'"));
	/* scratch to definition */
	fake.refuse = EEXIST;
	assert_int_equal(move("t2", "p.xml", 0, &e), -EEXIST);
	assert_string_equal(e.text, "refused by the fake");
	scratch_put(scratch_find(&drop_pools, "t2"));
	fake.refuse = 0;
	assert_int_equal(move("t2", "p.xml", RENAME_NOREPLACE, &e), 0);
	assert_string_equal(fake.name, "p");
	assert_string_equal(fake.xml, "<pool/>");
	assert_null(scratch_find(&drop_pools, "t2"));
	assert_int_equal(scratch_read(s, data, sizeof data, 0), 7);     /* still open */
	scratch_put(s);
	scratch_put(create("t4"));
	assert_int_equal(move("t4", "p.xml", RENAME_NOREPLACE, &e), -EEXIST);
	assert_int_equal(move("t5", "p.xml", 0, &e), -ENOENT);
	/* definition to scratch: a copy */
	assert_int_equal(move("p.xml", "t4", RENAME_NOREPLACE, &e), -EEXIST);
	assert_int_equal(move("q.xml", "t4", 0, &e), -ENOENT);
	assert_int_equal(move("p.xml", "t4", 0, &e), 0);
	assert_int_equal(move("p.xml", "p.xml~", 0, &e), 0);
	assert_string_equal(fake.name, "p");
	s = scratch_find(&drop_pools, "p.xml~");
	scratch_stat(s, &st);
	assert_int_equal(st.st_size, 7);
	assert_int_equal(st.st_mtim.tv_sec, 77);
	assert_int_equal(st.st_uid, 1);
	scratch_put(s);
	assert_int_equal(scratches.count, 2);
	/* definition to definition */
	assert_int_equal(move("p.xml", "q.xml", 0, &e), 0);
	assert_string_equal(fake.name, "q");
}

/* Two drop directories do not see each other's scratch files. */
static void apart(void **state)
{
	const struct drop other = {.kind = drop_pools.kind, .path = "elsewhere"};
	struct scratch *s = create("a"), *t;
	struct buf list = {0};
	struct err e = {0};

	(void)state;
	assert_null(scratch_find(&other, "a"));
	assert_int_equal(scratch_create(&other, "a", true, 0, 0, 0, &t, &e), 0);
	assert_ptr_not_equal(s, t);
	assert_int_equal(scratch_write(t, "xy", 2, 0, &e), 0);
	assert_int_equal(scratch_unlink(&drop_pools, "a", &e), 0);
	assert_int_equal(scratch_unlink(&drop_pools, "a", &e), -ENOENT);
	scratch_each(&drop_pools, add_name, &list);
	assert_null(list.data);
	scratch_each(&other, add_name, &list);
	assert_string_equal(list.data, "a:2|");
	buf_release(&list);
	assert_int_equal(drop_rename(&drop_pools, &asker, "a", "b", 0, &e), -ENOENT);
	assert_int_equal(drop_rename(&other, &asker, "a", "b.xml", 0, &e), 0);
	assert_string_equal(fake.xml, "xy");
	scratch_put(s);
	scratch_put(t);
}

static int put(struct defwriter *w, const char *text, uint64_t off, struct err *e)
{
	return defwriter_write(w, &asker, text, strlen(text), off, e);
}

static void writers(void **state)
{
	struct defwriter *w = defwriter_new(&drop_pools, "p");
	struct err e = {0};

	(void)state;
	assert_int_equal(defwriter_flush(w, &e), 0);
	assert_int_equal(put(w, "", 0, &e), 0);
	assert_int_equal(put(w, "<pool>", 0, &e), 0);
	assert_int_equal(defwriter_size(w), 6);
	assert_int_equal(defwriter_flush(w, &e), -EINVAL);
	assert_int_equal(put(w, "</po", 6, &e), 0);
	assert_int_equal(fake.defined, 0);
	assert_int_equal(put(w, "ol>\n", 10, &e), 0);
	assert_int_equal(fake.defined, 1);
	assert_string_equal(fake.xml, "<pool></pool>");
	assert_int_equal(defwriter_flush(w, &e), 0);
	assert_int_equal(put(w, " <!-- bye -->\r\n", 14, &e), 0);
	assert_int_equal(fake.defined, 1);
	assert_int_equal(put(w, "junk", defwriter_size(w), &e), -EINVAL);
	assert_int_equal(fake.defined, 1);
	assert_int_equal(put(w, "\n", defwriter_size(w), &e), -EINVAL);
	assert_int_equal(defwriter_flush(w, &e), -EINVAL);
	/* starting anew */
	assert_int_equal(put(w, "<a/>", 0, &e), 0);
	assert_int_equal(fake.defined, 2);
	defwriter_truncate(w);
	assert_int_equal(defwriter_size(w), 0);
	assert_int_equal(defwriter_flush(w, &e), 0);
	assert_int_equal(put(w, "<a>", 7, &e), -EINVAL);
	assert_non_null(strstr(e.text, "'p.xml' must be written whole"));
	assert_int_equal(put(w, "<a>", 3, &e), -EINVAL);
	defwriter_truncate(w);
	assert_int_equal(put(w, "<a/>junk", 0, &e), -EINVAL);
	assert_int_equal(fake.defined, 2);
	/* the pool's own refusal is the write's, with its code */
	fake.refuse = EBUSY;
	assert_int_equal(put(w, "<a/>", 0, &e), -EBUSY);
	assert_string_equal(e.text, "refused by the fake");
	assert_int_equal(defwriter_flush(w, &e), -EBUSY);
	assert_int_equal(put(w, " ", 4, &e), -EINVAL);
	fake.refuse = 0;
	assert_int_equal(put(w, "<a/>", 0, &e), 0);
	assert_int_equal(fake.defined, 3);
	defwriter_free(w);
	defwriter_free(NULL);
}

/* 1 MiB, byte by byte. */
static void slow_writer(void **state)
{
	struct defwriter *w = defwriter_new(&drop_pools, "p");
	struct err e = {0};
	uint64_t off = 0;

	(void)state;
	assert_int_equal(put(w, "<pool>", off, &e), 0);
	for (off = 6; off < 1 << 20; off++)
		assert_int_equal(defwriter_write(w, &asker, off % 80 ? "x" : "\n", 1, off, &e), 0);
	assert_int_equal(fake.defined, 0);
	assert_int_equal(put(w, "</pool>", off, &e), 0);
	assert_int_equal(fake.defined, 1);
	assert_int_equal(strlen(fake.xml), (1 << 20) + 7);
	defwriter_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(names, clean), cmocka_unit_test_setup(content, clean),
		cmocka_unit_test_setup(caps, clean), cmocka_unit_test_setup(expiry, clean),
		cmocka_unit_test_setup(renames, clean), cmocka_unit_test_setup(apart, clean),
		cmocka_unit_test_setup(writers, clean),
		cmocka_unit_test_setup_teardown(slow_writer, clean, clean),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("drop", tests, NULL, NULL);
}
