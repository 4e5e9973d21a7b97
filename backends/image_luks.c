/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * image_luks.c - reads the headers of LUKS 1 and 2: where the encrypted data
 * begin, hence how large the disk in the image is. LUKS 2 says that in JSON,
 * for which there is a small reader here: it takes one character after the
 * other from the bounded source and keeps nothing but one short word.
 *
 * Called by image.c. Reads no key slot, needs no key.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "image_parts.h"

#include <inttypes.h>

enum { JSON_MAX = 64 << 10, JSON_DEPTH = 16, JSON_WORD = 32 };

struct json {
	struct image_source *s;
	uint64_t off, end;
	unsigned depth;
};

static int json_peek(struct json *j)
{
	uint8_t c;

	return j->off < j->end && source_get(j->s, j->off, &c, 1) ? c : 0;
}

static int json_next(struct json *j)
{
	int c;

	while ((c = json_peek(j)) == ' ' || c == '\n' || c == '\t' || c == '\r')
		j->off++;
	return c;
}

static bool json_eat(struct json *j, char c)
{
	if (json_next(j) != c)
		return false;
	j->off++;
	return true;
}

/* A string; what fits of it, "" for one too long to be of interest. Escapes
 * are kept as they are: no word of interest has one. */
static bool json_string(struct json *j, char word[JSON_WORD])
{
	size_t n = 0;
	int c;

	if (!json_eat(j, '"'))
		return false;
	while ((c = json_peek(j)) && c != '"') {
		j->off++;
		if (n < JSON_WORD)
			word[n++] = (char)c;
		if (c == '\\' && json_peek(j)) {
			if (n < JSON_WORD)
				word[n++] = (char)json_peek(j);
			j->off++;
		}
	}
	word[n < JSON_WORD ? n : 0] = '\0';
	return json_eat(j, '"');
}

static bool json_skip(struct json *j);

/* Called for each member of an object, before its value, which it reads. */
typedef bool json_member_f(struct json *j, const char *key, void *arg);

static bool json_object(struct json *j, json_member_f *member, void *arg)
{
	char key[JSON_WORD];
	bool ok = false;

	if (!json_eat(j, '{') || ++j->depth > JSON_DEPTH)
		return false;
	if (json_eat(j, '}')) {
		ok = true;
	} else {
		do {
			if (!json_string(j, key) || !json_eat(j, ':') ||
			    !(member ? member(j, key, arg) : json_skip(j)))
				return false;
		} while (json_eat(j, ','));
		ok = json_eat(j, '}');
	}
	j->depth--;
	return ok;
}

static bool json_skip(struct json *j)
{
	char word[JSON_WORD];
	int c = json_next(j);

	if (c == '"')
		return json_string(j, word);
	if (c == '{')
		return json_object(j, NULL, NULL);
	if (c == '[') {
		j->off++;
		if (++j->depth > JSON_DEPTH)
			return false;
		if (!json_eat(j, ']')) {
			do
				if (!json_skip(j))
					return false;
			while (json_eat(j, ','));
			if (!json_eat(j, ']'))
				return false;
		}
		j->depth--;
		return true;
	}
	if (!c || strchr(",:]}", c))
		return false;
	while ((c = json_peek(j)) && !strchr(",:]} \n\t\r", c))
		j->off++;
	return true;
}

static bool number(const char *word, uint64_t *n)
{
	*n = 0;
	if (!*word)
		return false;
	for (; *word; word++)
		if (*word < '0' || *word > '9' || __builtin_mul_overflow(*n, 10, n) ||
		    __builtin_add_overflow(*n, *word - '0', n))
			return false;
	return true;
}

/* ---- LUKS 2 ----------------------------------------------------------------------- */

struct segments {
	unsigned count;
	bool bad, dynamic, crypt;
	uint64_t off, len;
};

static bool segment_member(struct json *j, const char *key, void *arg)
{
	struct segments *g = arg;
	char word[JSON_WORD];

	if (strcmp(key, "type") && strcmp(key, "offset") && strcmp(key, "size"))
		return json_skip(j);
	if (!json_string(j, word))
		return false;
	if (!strcmp(key, "type"))
		g->crypt = !strcmp(word, "crypt");
	else if (!strcmp(key, "offset"))
		g->bad |= !number(word, &g->off);
	else if (!strcmp(word, "dynamic"))
		g->dynamic = true;
	else
		g->bad |= !number(word, &g->len);
	return true;
}

static bool segments_member(struct json *j, const char *key, void *arg)
{
	struct segments *g = arg;

	(void)key;
	g->count++;
	return json_object(j, segment_member, g);
}

static bool root_member(struct json *j, const char *key, void *arg)
{
	return strcmp(key, "segments") ? json_skip(j) : json_object(j, segments_member, arg);
}

static void luks2_read(struct image_source *s, struct image_info *info)
{
	struct json j = {.s = s, .off = 4096};
	struct segments g = {0};
	uint8_t h[512];
	uint64_t header_len;

	if (!image_header(s, info, h, sizeof h))
		return;
	header_len = be64(h + 8);
	if (!is_power_of_2(header_len) || header_len < 16 << 10 || header_len > 4 << 20 ||
	    be64(h + 256)) {
		image_bad(info, "corrupt header: a length of %" PRIu64 " bytes at %" PRIu64,
			  header_len, be64(h + 256));
		return;
	}
	if (!source_has(s, 0, header_len)) {
		image_bad(info, "corrupt header: the file ends inside it");
		return;
	}
	j.end = header_len < JSON_MAX ? header_len : JSON_MAX;
	if (!json_object(&j, root_member, &g)) {
		image_bad(info, j.off >= JSON_MAX ? "its JSON is longer than what poolfs reads" :
			  "corrupt header: its JSON is broken at byte %" PRIu64, j.off);
		return;
	}
	if (g.count > 1) {
		image_bad(info, "the image is being re-encrypted (it has %u segments)", g.count);
		return;
	}
	if (!g.count || g.bad || !g.crypt || g.off % 512 || g.off < header_len) {
		image_bad(info, "corrupt header: it does not say where the encrypted data begin");
		return;
	}
	if (g.off > s->size || (!g.dynamic && g.len > s->size - g.off)) {
		image_bad(info, "corrupt header: the encrypted data, at %" PRIu64
			  ", lie beyond the end of the file", g.off);
		return;
	}
	info->encryption = IMAGE_LUKS2;
	image_set_size(info, g.dynamic ? s->size - g.off : g.len, 1);
}

void luks_read(struct image_source *s, struct image_info *info)
{
	uint8_t h[592];
	uint64_t payload;

	if (!image_header(s, info, h, 8))
		return;
	info->version = be16(h + 6);
	if (info->version == 2) {
		luks2_read(s, info);
		return;
	}
	if (info->version != 1) {
		image_bad(info, "corrupt header: version %u of LUKS is not known", info->version);
		return;
	}
	if (!image_header(s, info, h, sizeof h))
		return;
	payload = (uint64_t)be32(h + 104) * 512;
	if (payload < sizeof h || payload > s->size) {
		image_bad(info, "corrupt header: the encrypted data, at %" PRIu64
			  ", do not lie behind it in the file", payload);
		return;
	}
	info->encryption = IMAGE_LUKS1;
	image_set_size(info, s->size - payload, 1);
}
