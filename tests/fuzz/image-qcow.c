/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * image-qcow.c - fuzz target: probing of qcow, qcow2 and qed.
 * Built and run by `make fuzz`; the body is image.h.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define KINDS IMAGE_QCOW, IMAGE_QCOW2, IMAGE_QED
#include "image.h"
