/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * image-made.h - images whose headers are made by hand, for formats that
 * qemu-img cannot create. Shared by tests/unit/image.c, which checks what is
 * found in them, and tests/tools/image-make.c, which writes them to files.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static inline void made_bytes(int fd, uint64_t off, const void *data, size_t len)
{
	if (pwrite(fd, data, len, (off_t)off) != (ssize_t)len)
		perror("pwrite");
}

static inline void made_text(int fd, uint64_t off, const char *text)
{
	made_bytes(fd, off, text, strlen(text));
}

static inline void made_be(int fd, uint64_t off, uint64_t v, int bytes)
{
	uint8_t b[8];

	for (int i = bytes; i--; v >>= 8)
		b[i] = v & 0xff;
	made_bytes(fd, off, b, bytes);
}

static inline void made_le(int fd, uint64_t off, uint64_t v, int bytes)
{
	uint8_t b[8];

	for (int i = 0; i < bytes; i++, v >>= 8)
		b[i] = v & 0xff;
	made_bytes(fd, off, b, bytes);
}

static inline void made_length(int fd, uint64_t size)
{
	if (ftruncate(fd, (off_t)size) < 0)
		perror("ftruncate");
}

/* 20 MiB in 160 extents of 128 KiB. */
static inline void made_bochs_version(int fd, int version)
{
	made_text(fd, 0, "Bochs Virtual HD Image");
	made_text(fd, 32, "Redolog");
	made_text(fd, 48, "Growing");
	made_le(fd, 64, version == 2 ? 0x20000 : 0x10000, 4);
	made_le(fd, 68, 512, 4);
	made_le(fd, 72, 160, 4);
	made_le(fd, 76, 512, 4);
	made_le(fd, 80, 128 << 10, 4);
	made_le(fd, version == 2 ? 88 : 84, 20 << 20, 8);
	made_length(fd, 512 + 1024);
}

static inline void made_bochs(int fd) { made_bochs_version(fd, 2); }
static inline void made_bochs1(int fd) { made_bochs_version(fd, 1); }

/* 10 blocks of 64 KiB. */
static inline void made_cloop(int fd)
{
	made_text(fd, 0, "#!/bin/sh\n#V2.0 Format\n"
		  "modprobe cloop file=$0 && mount -r -t iso9660 /dev/cloop $1\n");
	made_be(fd, 128, 65536, 4);
	made_be(fd, 132, 10, 4);
	for (int i = 0; i <= 10; i++)
		made_be(fd, 136 + 8 * i, 136 + 88 + 100 * i, 8);
	made_length(fd, 136 + 88 + 1000);
}

/* 8 MiB over a backing file; wide: as a 64-bit machine lays it out. */
static inline void made_cow_at(int fd, int size_at)
{
	made_text(fd, 0, "OOOM");
	made_be(fd, 4, 2, 4);
	made_text(fd, 8, "base.img");
	made_be(fd, size_at, 8 << 20, 8);
	made_be(fd, size_at + 8, 512, 4);
	made_length(fd, 4096);
}

static inline void made_cow(int fd) { made_cow_at(fd, 1036); }
static inline void made_cow_wide(int fd) { made_cow_at(fd, 1040); }

static inline void made_cow3(int fd)
{
	made_text(fd, 0, "OOOM");
	made_be(fd, 4, 3, 4);
	made_be(fd, 12, 8 << 20, 8);
	made_be(fd, 20, 512, 4);
	made_text(fd, 32, "base.img");
	made_length(fd, 16384);
}

/* 3 MiB; the data are not there, the trailer is. */
static inline void made_dmg(int fd)
{
	const uint64_t body = 70000;

	made_length(fd, body + 512);
	made_text(fd, body, "koly");
	made_be(fd, body + 4, 4, 4);
	made_be(fd, body + 8, 512, 4);
	made_be(fd, body + 32, 60000, 8);
	made_be(fd, body + 216, 60000, 8);
	made_be(fd, body + 224, 10000, 8);
	made_be(fd, body + 492, 6144, 8);
}

static inline void made_iso(int fd)
{
	made_bytes(fd, 32768, "\1CD001\1", 7);
	made_le(fd, 32768 + 80, 300, 4);
	made_be(fd, 32768 + 84, 300, 4);
	made_length(fd, 300 * 2048);
}

/* ESX: 64 MiB. */
static inline void made_cowd(int fd)
{
	made_text(fd, 0, "COWD");
	made_le(fd, 4, 1, 4);
	made_le(fd, 8, 3, 4);
	made_le(fd, 12, 131072, 4);
	made_le(fd, 16, 1, 4);
	made_le(fd, 20, 4, 4);
	made_le(fd, 24, 32, 4);
	made_length(fd, 4096);
}

/* ESX: 1 GiB, with a directory of one sector. */
static inline void made_sesparse(int fd)
{
	made_le(fd, 0, 0xcafebabe, 8);
	made_le(fd, 8, UINT64_C(0x200000001), 8);
	made_le(fd, 16, 1 << 21, 8);
	made_le(fd, 24, 8, 8);
	made_le(fd, 32, 64, 8);
	made_le(fd, 128, 8, 8);
	made_le(fd, 136, 1, 8);
	made_length(fd, 8192);
}

/* Two extents of 4 GiB, and a hole of 1 GiB, with a parent. */
static inline void made_descriptor(int fd)
{
	made_text(fd, 0, "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=12345678\n"
		  "createType=\"twoGbMaxExtentSparse\"\nparentFileNameHint=\"base.vmdk\"\n"
		  "# Extent description\nRW 8388608 SPARSE \"a-s001.vmdk\"\r\n"
		  "RDONLY 8388608 SPARSE \"a-s002.vmdk\"\nNOACCESS 2097152 ZERO\n"
		  "ddb.virtualHWVersion = \"4\"\n");
}

/* Data from 16 MiB on, to the end of the file: 4 MiB. */
static inline void made_luks2(int fd)
{
	made_bytes(fd, 0, "LUKS\xba\xbe", 6);
	made_be(fd, 6, 2, 2);
	made_be(fd, 8, 16384, 8);
	made_text(fd, 4096, "{\"keyslots\":{\"0\":{\"type\":\"luks2\",\"area\":{\"offset\":\"32768\","
		  "\"size\":\"258048\"},\"note\":\"}\\\"{\"}},\"tokens\":{},\"segments\":{\"0\":{"
		  "\"type\":\"crypt\",\"offset\":\"16777216\",\"iv_tweak\":\"0\",\"size\":\"dynamic\","
		  "\"encryption\":\"aes-xts-plain64\",\"sector_size\":512}},\"digests\":{\"0\":"
		  "{\"keyslots\":[\"0\"],\"segments\":[\"0\"]}},\"config\":{\"json_size\":\"12288\"}}");
	made_length(fd, 20 << 20);
}

/* The one's complement of the sum of all bytes but its own. */
static inline void made_vhd_sum(int fd, uint64_t off, size_t len, size_t at)
{
	uint8_t block[1024];
	uint32_t sum = 0;

	made_be(fd, off + at, 0, 4);
	if (pread(fd, block, len, (off_t)off) != (ssize_t)len)
		perror("pread");
	for (size_t i = 0; i < len; i++)
		sum += block[i];
	made_be(fd, off + at, ~sum, 4);
}

/* A differencing VHD of 32 MiB; its parent's name has an umlaut and a clef. */
static inline void made_vpc_diff(int fd)
{
	static const uint16_t name[] = {'e', 'l', 't', 0xe9, 0xd834, 0xdd1e, '.', 'v', 'h', 'd'};

	made_length(fd, 4096);
	made_text(fd, 0, "conectix");
	made_be(fd, 8, 2, 4);
	made_be(fd, 12, 0x10000, 4);
	made_be(fd, 16, 512, 8);
	made_text(fd, 28, "win ");
	made_be(fd, 48, 32 << 20, 8);
	made_be(fd, 60, 4, 4);
	made_vhd_sum(fd, 0, 512, 64);
	made_text(fd, 512, "cxsparse");
	made_be(fd, 520, UINT64_MAX, 8);
	made_be(fd, 528, 2048, 8);
	made_be(fd, 536, 0x10000, 4);
	made_be(fd, 540, 16, 4);
	made_be(fd, 544, 2 << 20, 4);
	for (size_t i = 0; i < sizeof name / sizeof *name; i++)
		made_be(fd, 512 + 64 + 2 * i, name[i], 2);
	made_vhd_sum(fd, 512, 1024, 36);
}

static const struct made {
	const char *name;
	void (*make)(int fd);
} mades[] = {
	{"bochs", made_bochs}, {"bochs1", made_bochs1}, {"cloop", made_cloop},
	{"cow", made_cow}, {"cow-wide", made_cow_wide}, {"cow3", made_cow3}, {"dmg", made_dmg},
	{"iso", made_iso}, {"cowd", made_cowd}, {"sesparse", made_sesparse},
	{"descriptor", made_descriptor}, {"luks2", made_luks2}, {"vpc-diff", made_vpc_diff},
};
