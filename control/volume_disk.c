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

#include <stdio.h>
#include <string.h>

/* <disk type=... ><source ATTRIBUTE=...>. */
static const struct {
	const char *type, *attribute;
} disks[] = {
	[VOL_FILE] = { "file", "file" },
	[VOL_BLOCK] = { "block", "dev" },
	[VOL_NETWORK] = { "network", "name" },
};

/* Who the machine is to the cluster; it gets the secret from its own libvirt. */
static void auth_format(struct writer *w, const struct pool_auth *auth)
{
	if (!auth->type)
		return;
	writer_enter(w, "auth");
	writer_attribute(w, "username", auth->username ? auth->username : "");
	writer_enter(w, "auth/secret");
	writer_attribute(w, "type", auth->type);
	if (auth->secret_uuid[0])
		writer_attribute(w, "uuid", auth->secret_uuid);
	else
		writer_attribute(w, "usage", auth->secret_usage ? auth->secret_usage : "");
}

static void hosts_format(struct writer *w, const struct pool_source *s)
{
	char port[16];

	for (size_t i = 0; i < s->host_count; i++) {
		writer_again(w, "source/host");
		writer_attribute(w, "name", s->hosts[i].name);
		snprintf(port, sizeof port, "%u", s->hosts[i].port);
		if (s->hosts[i].port)
			writer_attribute(w, "port", port);
	}
}

void volume_disk_format(const struct pool_def *pool, const struct vol_desc *d, struct buf *out)
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
	if (d->kind == VOL_NETWORK)
		auth_format(&w, &pool->source.auth);
	writer_enter(&w, "source");
	/* Types are called as libvirt calls their protocols. */
	if (d->kind == VOL_NETWORK)
		writer_attribute(&w, "protocol", pool->type);
	writer_attribute(&w, disks[d->kind].attribute, d->target.path);
	if (d->kind == VOL_NETWORK)
		hosts_format(&w, &pool->source);
	writer_enter(&w, "target");
	/* No virtual machine boots from a CD on virtio. */
	writer_attribute(&w, "dev", cd ? "sda" : "vda");
	writer_attribute(&w, "bus", cd ? "sata" : "virtio");
	if (cd)
		writer_enter(&w, "readonly");
	writer_end(&w);
}
