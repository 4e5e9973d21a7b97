/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * uuid.c - uuids of pools: made, and read in any spelling that libvirt reads.
 *
 * Called by kinds.c for the XML, and by those who need a new one or compare
 * what a user typed. Never remembers any.
 */
#include "control.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

void uuid_make(char uuid[37])
{
	unsigned char b[16];

	if (getrandom(b, sizeof b, 0) != sizeof b)
		abort();                /* so short a request is never cut */
	b[6] = (b[6] & 0x0f) | 0x40;
	b[8] = (b[8] & 0x3f) | 0x80;
	for (size_t i = 0, at = 0; i < sizeof b; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			uuid[at++] = '-';
		uuid[at++] = "0123456789abcdef"[b[i] >> 4];
		uuid[at++] = "0123456789abcdef"[b[i] & 15];
	}
	uuid[36] = '\0';
}

/* libvirt's rule: '-' and ' ' anywhere between pairs of digits, blanks around. */
bool uuid_parse(const char *text, char uuid[37])
{
	char out[37];
	size_t at = 0;

	while (isspace((unsigned char)*text))
		text++;
	for (size_t pair = 0; pair < 16;) {
		if (*text == '-' || *text == ' ') {
			text++;
			continue;
		}
		if (!isxdigit((unsigned char)text[0]) || !isxdigit((unsigned char)text[1]))
			return false;
		if (pair == 4 || pair == 6 || pair == 8 || pair == 10)
			out[at++] = '-';
		out[at++] = (char)tolower((unsigned char)text[0]);
		out[at++] = (char)tolower((unsigned char)text[1]);
		text += 2;
		pair++;
	}
	while (isspace((unsigned char)*text))
		text++;
	if (*text)
		return false;
	out[at] = '\0';
	memcpy(uuid, out, sizeof out);
	return true;
}
