/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * image.c - unit test of backends/image.h and image_cache.h: headers made by
 * hand (image-made.h and a qcow2 here), cut anywhere, with any byte changed,
 * with the fields that a hostile image would choose; bounded reading; and the
 * cache. What qemu-img makes is compared in tests/cases/image-probe.sh.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../../backends/image_cache.h"
#include "../../backends/image_parts.h"
#include "../tools/image-made.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <cmocka.h>

static int memory_file(void)
{
	int fd = memfd_create("image", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static struct image_info probe(int fd)
{
	struct image_info info;
	struct err e = {0};

	assert_int_equal(image_probe(fd, &info, &e), 0);
	return info;
}

/* What holds of every answer, whatever the file. */
static void assert_sane(const struct image_info *i)
{
	assert_true(i->format < IMAGE_FORMAT_COUNT);
	assert_true(i->size_known == !i->problem);
	assert_true(i->size <= INT64_MAX);
	assert_false(i->backing && (!*i->backing || strlen(i->backing) > IMAGE_NAME_MAX));
	assert_false(i->data_file && (!*i->data_file || strlen(i->data_file) > IMAGE_NAME_MAX));
	assert_non_null(memchr(i->backing_format, 0, sizeof i->backing_format));
	if (i->problem) {
		assert_false(i->size || i->backing || i->data_file || i->features);
		assert_false(i->cluster_size || i->encryption || *i->backing_format);
	}
}

static void is_bad(int fd, enum image_format format, const char *text)
{
	struct image_info i = probe(fd);

	assert_sane(&i);
	assert_string_equal(image_format_name(i.format), image_format_name(format));
	if (!i.problem || !strstr(i.problem, text))
		fail_msg("wanted '%s', got '%s'", text, i.problem ? i.problem : "no problem");
	image_info_release(&i);
}

/* ---- what is made by hand ------------------------------------------------------- */

static const struct {
	const char *name;
	enum image_format format;
	uint64_t size, cluster_size;
	unsigned features;
	const char *variant, *backing, *backing_format;
} wanted[] = {
	{"bochs", IMAGE_BOCHS, 20 << 20, 128 << 10, 0, "Growing", NULL, ""},
	{"bochs1", IMAGE_BOCHS, 20 << 20, 128 << 10, 0, "Growing", NULL, ""},
	{"cloop", IMAGE_CLOOP, 655360, 65536, 0, NULL, NULL, ""},
	{"cow", IMAGE_COW, 8 << 20, 0, IMAGE_PARENT, NULL, "base.img", ""},
	{"cow-wide", IMAGE_COW, 8 << 20, 0, IMAGE_PARENT, NULL, "base.img", ""},
	{"cow3", IMAGE_COW, 8 << 20, 0, IMAGE_PARENT, NULL, "base.img", ""},
	{"dmg", IMAGE_DMG, 3 << 20, 0, 0, NULL, NULL, ""},
	{"iso", IMAGE_ISO, 614400, 0, 0, NULL, NULL, ""},
	{"cowd", IMAGE_VMDK, 64 << 20, 512, 0, "vmfsSparse", NULL, ""},
	{"sesparse", IMAGE_VMDK, 1 << 30, 4096, 0, "seSparse", NULL, ""},
	{"descriptor", IMAGE_VMDK, UINT64_C(9) << 30, 0, IMAGE_PARENT | IMAGE_EXTENTS,
	 "twoGbMaxExtentSparse", "base.vmdk", "vmdk"},
	{"luks2", IMAGE_LUKS, 4 << 20, 0, 0, NULL, NULL, ""},
	{"vpc-diff", IMAGE_VPC, 32 << 20, 2 << 20, IMAGE_PARENT, "differencing",
	 "elt\xc3\xa9\xf0\x9d\x84\x9e.vhd", "vpc"},
};

static void test_made(void **state)
{
	(void)state;
	assert_int_equal(sizeof wanted / sizeof *wanted, sizeof mades / sizeof *mades);
	for (size_t n = 0; n < sizeof mades / sizeof *mades; n++) {
		struct image_info i;
		int fd = memory_file();

		assert_string_equal(mades[n].name, wanted[n].name);
		mades[n].make(fd);
		i = probe(fd);
		assert_sane(&i);
		if (i.problem)
			fail_msg("%s: %s", mades[n].name, i.problem);
		assert_string_equal(image_format_name(i.format),
				    image_format_name(wanted[n].format));
		assert_int_equal(i.size, wanted[n].size);
		assert_int_equal(i.cluster_size, wanted[n].cluster_size);
		assert_int_equal(i.features, wanted[n].features);
		assert_string_equal(i.variant ? i.variant : "", wanted[n].variant ? wanted[n].variant : "");
		assert_string_equal(i.backing ? i.backing : "", wanted[n].backing ? wanted[n].backing : "");
		assert_string_equal(i.backing_format, wanted[n].backing_format);
		assert_int_equal(i.encryption,
				 strcmp(mades[n].name, "luks2") ? IMAGE_PLAIN : IMAGE_LUKS2);
		image_info_release(&i);
		close(fd);
	}
}

/* ---- a qcow2, field by field ---------------------------------------------------- */

enum { CLUSTER = 65536 };

/* 1 GiB, version 3, backing file "base", format "qcow2". */
static void make_qcow2(int fd)
{
	made_length(fd, 4 * CLUSTER);
	made_bytes(fd, 0, "QFI\xfb", 4);
	made_be(fd, 4, 3, 4);
	made_be(fd, 8, 144, 8);
	made_be(fd, 16, 4, 4);
	made_be(fd, 20, 16, 4);
	made_be(fd, 24, 1 << 30, 8);
	made_be(fd, 36, 2, 4);
	made_be(fd, 40, 3 * CLUSTER, 8);
	made_be(fd, 48, 1 * CLUSTER, 8);
	made_be(fd, 56, 1, 4);
	made_be(fd, 96, 4, 4);
	made_be(fd, 100, 112, 4);
	made_be(fd, 112, 0xe2792aca, 4);
	made_be(fd, 116, 5, 4);
	made_text(fd, 120, "qcow2");
	made_text(fd, 144, "base");
}

static void test_qcow2_fields(void **state)
{
	static const struct {
		unsigned off;
		uint64_t value;
		int bytes;
		const char *problem;    /* NULL: none */
	} cases[] = {
		{0, 0x514649fb, 4, NULL},
		{4, 4, 4, "version 4"},
		{4, 0xffffffff, 4, "version 4294967295"},
		{8, 0, 8, NULL},                                /* no backing file */
		{8, 110, 8, "does not lie in the first cluster"},
		{8, UINT64_MAX, 8, "does not lie in the first cluster"},
		{8, UINT64_MAX - 3, 8, "does not lie in the first cluster"},
		{8, CLUSTER, 8, "does not lie in the first cluster"},
		{16, 0, 4, NULL},
		{16, 1024, 4, "1024 bytes, more than 1023"},
		{16, 0xffffffff, 4, "does not lie in the first cluster"},
		{20, 8, 4, "2^8, is not between"},
		{20, 22, 4, "2^22, is not between"},
		{20, 63, 4, "2^63, is not between"},
		{20, 0xffffffff, 4, "2^4294967295, is not between"},
		{24, 0, 8, NULL},
		{24, UINT64_MAX, 8, "18446744073709551615 bytes, is more than"},
		{24, INT64_MAX, 8, "is more than"},
		{24, UINT64_C(1) << 62, 8, "is more than"},
		{24, (1 << 30) + 1, 8, "L1 table of 2 entries"},
		{32, 3, 4, "encryption method 3"},
		{32, 1, 4, NULL},
		{32, 2, 4, "where the encryption header is"},
		{36, 1, 4, "L1 table of 1 entries"},
		{36, 0xffffffff, 4, "L1 table of 4294967295 entries"},
		{36, 8193, 4, "L1 table (65544 bytes at 196608) lies beyond"},
		{40, 0, 8, "overlap"},
		{40, CLUSTER, 8, "overlap"},
		{40, 1000, 8, "does not begin at a cluster"},
		{40, 4 * CLUSTER, 8, "lies beyond the end"},
		{40, UINT64_MAX << 16, 8, "lies beyond the end"},
		{48, 0, 8, "overlap"},
		{48, UINT64_MAX << 16, 8, "lies beyond the end"},
		{56, 0, 4, "refcount table of 0 clusters"},
		{56, 3, 4, "overlap"},
		{56, 0xffffffff, 4, "refcount table of 4294967295 clusters"},
		{60, 0xffffffff, 4, "4294967295 snapshots"},
		{60, 1, 4, "overlap"},                          /* at 0 */
		{72, 1, 8, NULL},                               /* dirty */
		{72, 2, 8, NULL},                               /* marked corrupt */
		{72, 8, 8, "compression type 0"},
		{72, 1 << 5, 8, "does not know (0x20)"},
		{72, UINT64_C(1) << 63, 8, "does not know (0x8000000000000000)"},
		{80, UINT64_MAX, 8, NULL},
		{96, 7, 4, "2^7 bits"},
		{100, 103, 4, "length of 103"},
		{100, CLUSTER + 8, 4, "length of 65544"},
		{100, 0xffffffff, 4, "length of 4294967295"},
		{104, UINT64_C(1) << 56, 8, "compression type 1"},
		{116, 0xffffffff, 4, "extension of 4294967295 bytes does not fit"},
		{116, 16, 4, "format has 16 bytes"},
		{120, 0x2e2e2f, 3, "is no word"},
	};

	(void)state;
	for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
		int fd = memory_file();

		make_qcow2(fd);
		made_be(fd, cases[n].off, cases[n].value, cases[n].bytes);
		if (cases[n].problem) {
			is_bad(fd, IMAGE_QCOW2, cases[n].problem);
		} else {
			struct image_info i = probe(fd);

			if (i.problem)
				fail_msg("field %u: %s", cases[n].off, i.problem);
			assert_sane(&i);
			assert_int_equal(i.format, IMAGE_QCOW2);
			assert_int_equal(i.size, cases[n].off == 24 ? cases[n].value : 1 << 30);
			image_info_release(&i);
		}
		close(fd);
	}
}

static void test_qcow2_values(void **state)
{
	struct image_info i;
	int fd = memory_file();

	(void)state;
	make_qcow2(fd);
	made_be(fd, 72, 1 | 2 | 1 << 4, 8);
	made_be(fd, 80, 1, 8);
	made_be(fd, 36, 4, 4);          /* an L1 entry of extended L2 covers half */
	i = probe(fd);
	assert_null(i.problem);
	assert_int_equal(i.features, IMAGE_DIRTY | IMAGE_MARKED_CORRUPT | IMAGE_EXTENDED_L2 |
			 IMAGE_LAZY_REFCOUNTS | IMAGE_PARENT);
	assert_string_equal(i.backing, "base");
	assert_string_equal(i.backing_format, "qcow2");
	assert_string_equal(i.compat, "1.1");
	assert_int_equal(i.cluster_size, CLUSTER);
	image_info_release(&i);
	close(fd);
}

/* Extensions without end: 8,000 empty ones. */
static void test_qcow2_extensions(void **state)
{
	int fd = memory_file();

	(void)state;
	make_qcow2(fd);
	made_be(fd, 8, 0, 8);
	for (int n = 0; n < 8000; n++)
		made_be(fd, 112 + 8 * n, UINT64_C(0x1234567800000000), 8);
	is_bad(fd, IMAGE_QCOW2, "more than 64 extensions");
	close(fd);
}

static void test_other_formats(void **state)
{
	static const struct {
		const char *made;
		unsigned off;
		uint64_t value;
		int bytes;
		enum image_format format;
		const char *problem;
	} cases[] = {           /* values big endian here */
		{"bochs", 88, UINT64_MAX, 8, IMAGE_BOCHS, "cannot hold"},
		{"bochs", 72, UINT32_MAX, 4, IMAGE_BOCHS, "beyond the end"},
		{"bochs", 80, 0, 4, IMAGE_BOCHS, "extents of 0 bytes"},
		{"bochs", 64, 7, 4, IMAGE_BOCHS, "version"},
		{"cloop", 128, 0, 4, IMAGE_CLOOP, "block size, 0"},
		{"cloop", 132, UINT32_MAX, 4, IMAGE_CLOOP, "beyond the end"},
		{"cow", 1036, UINT64_MAX, 8, IMAGE_COW, "too small"},
		{"cow", 1044, 0, 4, IMAGE_COW, "sectors of 0"},
		{"dmg", 70000 + 492, UINT64_MAX, 8, IMAGE_DMG, "is impossible"},
		{"dmg", 70000 + 216, UINT64_MAX, 8, IMAGE_DMG, "beyond the end"},
		{"dmg", 70000 + 32, UINT64_MAX, 8, IMAGE_DMG, "beyond the end"},
		{"cowd", 16, 0, 4, IMAGE_VMDK, "grain size, 0"},
		{"cowd", 12, UINT32_MAX, 4, IMAGE_VMDK, "grain directory of 32 entries"},
		{"cowd", 20, UINT32_MAX, 4, IMAGE_VMDK, "beyond the end"},
		{"sesparse", 16, UINT64_MAX, 8, IMAGE_VMDK, "grain directory of 1 sectors"},
		{"sesparse", 128, UINT64_MAX, 8, IMAGE_VMDK, "lies at sector"},
		{"sesparse", 136, UINT64_MAX, 8, IMAGE_VMDK, "sectors"},
		{"luks2", 8, UINT64_MAX, 8, IMAGE_LUKS, "length of"},
		{"luks2", 4097, 0x7b7b, 2, IMAGE_LUKS, "JSON is broken"},
		{"luks2", 6, 3, 2, IMAGE_LUKS, "version 3"},
		{"luks2", 6, 1, 2, IMAGE_LUKS, "at 0, do not lie behind it"},
		{"vpc-diff", 48, 1, 8, IMAGE_VPC, "checksum"},
		{"vpc-diff", 512 + 28, 1, 4, IMAGE_VPC, "checksum of the second header"},
	};

	(void)state;
	for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
		int fd = memory_file();

		for (size_t m = 0; m < sizeof mades / sizeof *mades; m++)
			if (!strcmp(mades[m].name, cases[n].made))
				mades[m].make(fd);
		made_be(fd, cases[n].off, cases[n].value, cases[n].bytes);
		is_bad(fd, cases[n].format, cases[n].problem);
		close(fd);
	}
}

static void test_descriptor(void **state)
{
	static const struct {
		const char *text, *problem;
	} cases[] = {
		{"# Disk DescriptorFile\nRW 99999999999999999999 FLAT \"x\"\n", "more than 2^64"},
		{"# Disk DescriptorFile\nRW 18446744073709551615 ZERO\nRW 1 ZERO\n", "more than 2^64"},
		{"# Disk DescriptorFile\nRW 18446744073709551615 ZERO\n", "is impossible"},
		{"# Disk DescriptorFile\nRW x FLAT\n", "no size"},
		{"# Disk DescriptorFile\n", "no extent"},
	};
	int fd;

	(void)state;
	for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
		fd = memory_file();
		made_text(fd, 0, cases[n].text);
		is_bad(fd, IMAGE_VMDK, cases[n].problem);
		close(fd);
	}
	for (size_t len = 1020; len < 1400; len += 40) {        /* of the parent's name */
		char name[1401];

		memset(name, 'n', len);
		name[len] = '\0';
		fd = memory_file();
		dprintf(fd, "# Disk DescriptorFile\nparentCID=1\nparentFileNameHint=\"%s\"\nRW 1 ZERO\n", name);
		if (len <= IMAGE_NAME_MAX) {
			struct image_info i = probe(fd);

			assert_null(i.problem);
			assert_int_equal(strlen(i.backing), len);
			image_info_release(&i);
		} else {
			is_bad(fd, IMAGE_VMDK, "more than 1023 bytes");
		}
		close(fd);
	}
}

/* ---- cut anywhere, any byte changed ----------------------------------------------- */

static void make_any(int fd, size_t n)
{
	if (n < sizeof mades / sizeof *mades)
		mades[n].make(fd);
	else
		make_qcow2(fd);
}

static void test_cut(void **state)
{
	(void)state;
	for (size_t n = 0; n <= sizeof mades / sizeof *mades; n++) {
		int fd = memory_file();
		struct image_info whole;
		struct stat st;

		make_any(fd, n);
		whole = probe(fd);
		assert_int_equal(fstat(fd, &st), 0);
		for (uint64_t len = st.st_size > 2000 ? 2000 : st.st_size; len-- > 0;) {
			struct image_info i;

			made_length(fd, len);
			i = probe(fd);
			assert_sane(&i);
			/* A signature at the end or far behind is lost, others stay. */
			if (len < 4 || whole.format == IMAGE_DMG || whole.format == IMAGE_ISO)
				assert_int_equal(i.format, IMAGE_RAW);
			else if (len >= 40)
				assert_int_equal(i.format, whole.format);
			if (i.format != IMAGE_RAW && len < 72)
				assert_non_null(i.problem);
			image_info_release(&i);
		}
		image_info_release(&whole);
		close(fd);
	}
}

static void test_any_byte(void **state)
{
	static const uint8_t values[] = {0x00, 0xff, 0x7f, 0x80, 0x01};

	(void)state;
	for (size_t n = 0; n <= sizeof mades / sizeof *mades; n++) {
		int fd = memory_file();
		uint64_t at = 0;
		struct stat st;

		make_any(fd, n);
		assert_int_equal(fstat(fd, &st), 0);
		for (int part = 0; part < 3; part++) {  /* head, JSON or ISO, trailer */
			at = part == 0 ? 0 : part == 1 ? 4096 : st.st_size - 512;
			for (uint64_t end = at + 1200; at < end && at < (uint64_t)st.st_size; at++) {
				uint8_t was;

				assert_int_equal(pread(fd, &was, 1, at), 1);
				for (size_t v = 0; v < sizeof values; v++) {
					struct image_info i;

					made_bytes(fd, at, values + v, 1);
					i = probe(fd);
					assert_sane(&i);
					image_info_release(&i);
				}
				made_bytes(fd, at, &was, 1);
			}
		}
		close(fd);
	}
}

/* ---- what is read ------------------------------------------------------------------ */

struct reads {
	int fd, fail_at, count;
};

static ssize_t counted(void *arg, void *page, size_t len, uint64_t off)
{
	struct reads *r = arg;

	assert_int_equal(len, IMAGE_PAGE);
	assert_int_equal(off % IMAGE_PAGE, 0);
	if (++r->count == r->fail_at)
		return -ENOTCONN;
	return pread(r->fd, page, len, (off_t)off);
}

static void *deep_json(void *arg)
{
	const int *fd = arg;

	is_bad(*fd, IMAGE_LUKS, "JSON is broken");
	return NULL;
}

static void test_bounded(void **state)
{
	struct reads r = {.fd = memory_file()};
	struct image_info i;
	struct err e = {0};
	pthread_attr_t small;
	pthread_t thread;
	char *text;

	(void)state;
	made_length(r.fd, UINT64_C(1) << 40);
	assert_int_equal(image_probe_with(counted, &r, UINT64_C(1) << 40, &i, &e), 0);
	assert_int_equal(i.format, IMAGE_RAW);
	assert_int_equal(i.size, UINT64_C(1) << 40);
	assert_in_range(r.count, 1, 3);
	image_info_release(&i);

	/* Two region tables full of entries, none of them of use. */
	made_text(r.fd, 0, "vhdxfile");
	for (int copy = 0; copy < 2; copy++) {
		made_text(r.fd, (192 + 64 * copy) << 10, "regi");
		made_le(r.fd, ((192 + 64 * copy) << 10) + 8, 2047, 4);
	}
	r.count = 0;
	assert_int_equal(image_probe_with(counted, &r, UINT64_C(1) << 40, &i, &e), 0);
	assert_int_equal(i.format, IMAGE_VHDX);
	assert_non_null(i.problem);
	assert_in_range(r.count, 1, IMAGE_PAGES_MAX);
	image_info_release(&i);

	/* A header of 4 MiB whose JSON never ends. */
	made_length(r.fd, 0);
	made_luks2(r.fd);
	made_be(r.fd, 8, 4 << 20, 8);
	text = malloc(4 << 20);
	memset(text, ' ', 4 << 20);
	made_bytes(r.fd, 4097, text, 3 << 20);
	free(text);
	r.count = 0;
	assert_int_equal(image_probe_with(counted, &r, 20 << 20, &i, &e), 0);
	assert_non_null(strstr(i.problem, "JSON"));
	assert_in_range(r.count, 1, IMAGE_PAGES_MAX);
	image_info_release(&i);

	/* More data than a size can be, and nothing of the header is left. */
	made_length(r.fd, 0);
	made_luks2(r.fd);
	r.count = 0;
	assert_int_equal(image_probe_with(counted, &r, UINT64_MAX, &i, &e), 0);
	assert_int_equal(i.format, IMAGE_LUKS);
	assert_non_null(i.problem);
	assert_sane(&i);
	image_info_release(&i);

	/* JSON so deep that a reader without a limit would overrun the stack
	 * of one of the daemon's threads. */
	made_luks2(r.fd);
	for (int n = 0; n < 12000; n++)
		made_text(r.fd, 4096 + 5 * n, "{\"a\":");
	assert_int_equal(pthread_attr_init(&small), 0);
	assert_int_equal(pthread_attr_setstacksize(&small, 256 << 10), 0);
	assert_int_equal(pthread_create(&thread, &small, deep_json, &r.fd), 0);
	pthread_join(thread, NULL);
	pthread_attr_destroy(&small);
	close(r.fd);
}

/* No reader comes near the limit; it holds even so. */
static void test_limit(void **state)
{
	struct reads r = {.fd = memory_file()};
	struct image_source *s = aligned_alloc(IMAGE_PAGE, sizeof *s);
	uint8_t byte;
	int got = 0;

	(void)state;
	memset(s, 0, sizeof *s);
	s->read = counted;
	s->arg = &r;
	s->size = 1000 * IMAGE_PAGE;
	made_length(r.fd, s->size);
	for (uint64_t off = 0; off < s->size; off += IMAGE_PAGE)
		got += source_get(s, off, &byte, 1);
	assert_int_equal(got, IMAGE_PAGES_MAX);
	assert_int_equal(r.count, IMAGE_PAGES_MAX);
	assert_false(source_get(s, s->size, &byte, 1));
	assert_true(source_get(s, s->size, &byte, 0));
	assert_false(source_has(s, UINT64_MAX, 2));
	assert_false(source_has(s, 1, UINT64_MAX));
	free(s);
	close(r.fd);
}

static void test_read_fails(void **state)
{
	(void)state;
	for (size_t n = 0; n <= sizeof mades / sizeof *mades; n++) {
		struct reads r = {.fd = memory_file()};
		struct stat st;
		int rc;

		make_any(r.fd, n);
		assert_int_equal(fstat(r.fd, &st), 0);
		do {
			struct image_info i;
			struct err e = {0};

			r.count = 0;
			r.fail_at++;
			rc = image_probe_with(counted, &r, st.st_size, &i, &e);
			if (!rc) {
				image_info_release(&i);
				break;
			}
			assert_int_equal(rc, -ENOTCONN);
			assert_non_null(strstr(e.text, "header"));
		} while (r.fail_at < 1000);
		assert_in_range(r.fail_at, 2, 100);
		close(r.fd);
	}
}

static void test_kinds(void **state)
{
	struct image_info i;
	struct err e = {0};
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	assert_int_equal(image_probe(fds[0], &i, &e), -EINVAL);
	close(fds[0]);
	close(fds[1]);
	fds[0] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(image_probe(fds[0], &i, &e), -EINVAL);
	close(fds[0]);
	fds[0] = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	assert_int_equal(image_probe(fds[0], &i, &e), -EINVAL);
	close(fds[0]);
	fds[0] = memory_file();         /* empty */
	i = probe(fds[0]);
	assert_int_equal(i.format, IMAGE_RAW);
	assert_true(i.size_known && i.size == 0);
	image_info_release(&i);
	close(fds[0]);
}

/* The signature at the head, which a guest cannot change, is what counts. */
static void test_precedence(void **state)
{
	struct image_info i;
	int fd = memory_file();

	(void)state;
	make_qcow2(fd);
	made_text(fd, 32769, "CD001");
	made_text(fd, 4 * CLUSTER - 512, "conectix");
	i = probe(fd);
	assert_int_equal(i.format, IMAGE_QCOW2);
	assert_null(i.problem);
	image_info_release(&i);
	close(fd);
}

static void test_names(void **state)
{
	enum image_format f;

	(void)state;
	for (int i = 0; i < IMAGE_FORMAT_COUNT; i++) {
		assert_true(image_format_find(image_format_name(i), &f));
		assert_int_equal(f, i);
	}
	assert_false(image_format_find("parallels", &f));
	assert_false(image_format_find("", &f));
}

static int disk_file(char path[64])
{
	const char *dir = getenv("TMPDIR");
	int fd;

	snprintf(path, 64, "%.30s/poolfs-unit-XXXXXX", dir && *dir ? dir : "/var/tmp");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	unlink(path);
	return fd;
}

/* O_DIRECT takes aligned pages only, also at an odd end (where it is to be had). */
static void test_direct(void **state)
{
	char path[64], self[64];
	struct image_info i;
	int fd = disk_file(path), direct;

	(void)state;
	make_qcow2(fd);
	made_length(fd, 3 * CLUSTER + 777);
	assert_int_equal(fsync(fd), 0);
	snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
	direct = open(self, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (direct >= 0) {
		i = probe(direct);
		assert_int_equal(i.format, IMAGE_QCOW2);
		assert_null(i.problem);
		image_info_release(&i);
		close(direct);
	}
	close(fd);
}

/* ---- the cache ---------------------------------------------------------------------- */

static void cached(struct image_cache *c, int fd, enum image_format format, bool hit)
{
	uint64_t hits = image_cache_count(c).hits;
	struct image_info i;
	struct err e = {0};

	assert_int_equal(image_cache_probe(c, fd, &i, &e), 0);
	assert_int_equal(i.format, format);
	assert_int_equal(image_cache_count(c).hits - hits, hit);
	image_info_release(&i);
}

static void *hammer(void *arg)
{
	void **args = arg;
	const int *fds = args[1];

	for (int n = 0; n < 3000; n++) {
		struct image_info i;
		struct err e = {0};

		if (image_cache_probe(args[0], fds[n % 6], &i, &e) ||
		    i.format != (n % 6 ? IMAGE_QCOW2 : IMAGE_RAW))
			return arg;
		image_info_release(&i);
	}
	return NULL;
}

static void test_cache(void **state)
{
	struct image_cache *c = image_cache_new(4);
	struct image_info i;
	pthread_t threads[4];
	char path[64];
	struct stat st;
	void *args[2], *failed;
	int fds[6];

	(void)state;
	for (int n = 0; n < 6; n++) {
		fds[n] = disk_file(path);
		if (n)
			make_qcow2(fds[n]);
	}
	/* Just written: nothing is kept, so a change within a tick is seen. */
	cached(c, fds[0], IMAGE_RAW, false);
	make_qcow2(fds[0]);
	cached(c, fds[0], IMAGE_QCOW2, false);
	made_length(fds[0], 0);
	cached(c, fds[0], IMAGE_RAW, false);
	assert_int_equal(image_cache_count(c).entries, 0);
	assert_int_equal(fstat(fds[0], &st), 0);
	assert_false(image_cache_find(c, &st, &i));

	usleep(1000 * (1000 * IMAGE_CACHE_SETTLED + 300));
	for (int n = 0; n < 4; n++)
		cached(c, fds[n], n ? IMAGE_QCOW2 : IMAGE_RAW, false);
	for (int n = 0; n < 4; n++)
		cached(c, fds[n], n ? IMAGE_QCOW2 : IMAGE_RAW, true);
	assert_int_equal(fstat(fds[1], &st), 0);
	assert_true(image_cache_find(c, &st, &i));
	assert_string_equal(i.backing, "base");
	image_info_release(&i);
	/* The fifth takes the place of the one that waited longest: 0. */
	cached(c, fds[4], IMAGE_QCOW2, false);
	assert_int_equal(image_cache_count(c).entries, 4);
	cached(c, fds[1], IMAGE_QCOW2, true);
	cached(c, fds[0], IMAGE_RAW, false);
	cached(c, fds[2], IMAGE_QCOW2, false);

	args[0] = c;
	args[1] = fds;
	for (int n = 0; n < 4; n++)
		assert_int_equal(pthread_create(&threads[n], NULL, hammer, args), 0);
	for (int n = 0; n < 4; n++) {
		pthread_join(threads[n], &failed);
		assert_null(failed);
	}
	assert_in_range(image_cache_count(c).entries, 1, 4);

	/* A change is seen at once, also one that keeps size and mtime. */
	image_cache_free(c);
	c = image_cache_new(0);
	cached(c, fds[1], IMAGE_QCOW2, false);
	cached(c, fds[1], IMAGE_QCOW2, true);
	assert_int_equal(fstat(fds[1], &st), 0);
	made_text(fds[1], 0, "....");
	assert_int_equal(futimens(fds[1], (struct timespec[]){st.st_atim, st.st_mtim}), 0);
	cached(c, fds[1], IMAGE_RAW, false);
	assert_int_equal(image_cache_count(c).entries, 0);
	image_cache_free(c);
	image_cache_free(NULL);
	for (int n = 0; n < 6; n++)
		close(fds[n]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_made),
		cmocka_unit_test(test_qcow2_fields),
		cmocka_unit_test(test_qcow2_values),
		cmocka_unit_test(test_qcow2_extensions),
		cmocka_unit_test(test_other_formats),
		cmocka_unit_test(test_descriptor),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_any_byte),
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_read_fails),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_precedence),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_direct),
		cmocka_unit_test(test_cache),
	};

	return cmocka_run_group_tests_name("image", tests, NULL, NULL);
}
