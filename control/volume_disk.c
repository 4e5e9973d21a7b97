/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * volume_disk.c - the <disk> element by which a virtual machine gets a volume.
 *
 * Called by volumes.c for VOLUME.disk. It goes by the kind of the volume, never
 * by the type of its pool; who pastes it changes target and bus as he likes.
 * Names the storage itself, not this mount: the machine lives without poolfs.
 */
#include "volume_xml.h"
#include "writer.h"

#include <string.h>

/* <disk type=... ><source ATTRIBUTE=...>. A volume on the network has its hosts
 * to tell as well: that row comes with the first type that has such volumes. */
static const struct {
	const char *type, *attribute;
} disks[] = {
	[VOL_FILE] = { "file", "file" },
	[VOL_BLOCK] = { "block", "dev" },
	[VOL_NETWORK] = { "network", "name" },
};

void volume_disk_format(const struct vol_desc *d, struct buf *out)
{
	const char *format = d->target.format ? d->target.format : "raw";
	bool cd = strcmp(format, "iso") == 0;
	struct writer w;

	writer_begin(&w, out, "disk");
	writer_attribute(&w, "type", disks[d->kind].type);
	writer_attribute(&w, "device", cd ? "cdrom" : "disk");
	writer_enter(&w, "driver");
	writer_attribute(&w, "name", "qemu");
	writer_attribute(&w, "type", cd ? "raw" : format);
	writer_enter(&w, "source");
	writer_attribute(&w, disks[d->kind].attribute, d->target.path);
	writer_enter(&w, "target");
	/* No virtual machine boots from a CD on virtio. */
	writer_attribute(&w, "dev", cd ? "sda" : "vda");
	writer_attribute(&w, "bus", cd ? "sata" : "virtio");
	if (cd)
		writer_enter(&w, "readonly");
	writer_end(&w);
}
