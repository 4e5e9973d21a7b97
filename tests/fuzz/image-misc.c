/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * image-misc.c - fuzz target: probing of luks, vdi, cow, bochs, cloop, dmg and iso.
 * Built and run by `make fuzz`; the body is image.h.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define KINDS IMAGE_LUKS, IMAGE_VDI, IMAGE_COW, IMAGE_BOCHS, IMAGE_CLOOP, IMAGE_DMG, IMAGE_ISO
#include "image.h"
