/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * image-vhd.c - fuzz target: probing of vpc and vhdx.
 * Built and run by `make fuzz`; the body is image.h.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define KINDS IMAGE_VPC, IMAGE_VHDX
#include "image.h"
