/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * image-vmdk.c - fuzz target: probing of the four kinds of vmdk.
 * Built and run by `make fuzz`; the body is image.h.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define KINDS IMAGE_VMDK
#include "image.h"
