/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fields.c - the rows of a pool's XML, what its types differ in, and the copy
 * and the end of what was read by them.
 *
 * Walked by define.c and format.c. The order is that of libvirt's own output;
 * which type has which element is what libvirt's schema says. The kinds of value are
 * in kinds.c. Never looks at the storage itself.
 */
#include "fields.h"
#include "xml.h"

#include <stdlib.h>
#include <string.h>

/* ---- the types --------------------------------------------------------------------- */

static const struct pool_type types[] = {
	{.type = "dir", .needs = "target/path", .own_target = true},
	{.type = "fs", .needs = "source/device target/path", .own_target = true,
	 .formats = "auto ext2 ext3 ext4 ufs iso9660 udf gfs gfs2 vfat hfs+ xfs ocfs2 vmfs btrfs",
	 .format = "auto"},
	{.type = "netfs", .needs = "source/host source/dir@path target/path", .own_target = true,
	 .formats = "auto nfs glusterfs cifs", .format = "auto"},
	{.type = "logical", .named = true, .target = "/dev/", .formats = "lvm2 unknown",
	 .format = "lvm2"},
	{.type = "disk", .needs = "source/device target/path",
	 .formats = "dos dvh gpt mac bsd pc98 sun lvm2 unknown", .format = "unknown"},
	{.type = "iscsi", .needs = "source/host target/path"},
	{.type = "scsi", .needs = "source/adapter target/path"},
	{.type = "mpath", .needs = "target/path"},
	{.type = "rbd", .needs = "source/name source/host", .named = true},
	{.type = "sheepdog", .needs = "source/host", .named = true},
};

const struct pool_type *pool_type_find(const char *type)
{
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		if (strcmp(types[i].type, type) == 0)
			return &types[i];
	abort();                /* backends[] has a type that is not above */
}

/* ---- the lists ----------------------------------------------------------------------- */

#define DEF(member) offsetof(struct pool_def, member)
#define HOST(member) offsetof(struct pool_host, member)
#define DEVICE(member) offsetof(struct pool_device, member)
#define OPTION(member) offsetof(struct pool_option, member)
#define USAGE(member) offsetof(struct pool_usage, member)

static const struct field_list hosts = {
	DEF(source.hosts), DEF(source.host_count), sizeof(struct pool_host),
	"netfs iscsi rbd sheepdog",
};
static const struct field_list devices = {
	DEF(source.devices), DEF(source.device_count), sizeof(struct pool_device),
	"fs logical disk iscsi",
};
static const struct field_list mount_opts = {
	DEF(mount_opts), DEF(mount_opt_count), sizeof(struct pool_option), "fs netfs",
};
static const struct field_list config_opts = {
	DEF(config_opts), DEF(config_opt_count), sizeof(struct pool_option), "rbd",
};

/* ---- the rows --------------------------------------------------------------------------- */

#define AUTH_TYPES "iscsi rbd"
#define VENDOR_TYPES "dir fs netfs logical disk iscsi scsi"
#define TARGET_TYPES "dir fs netfs logical disk iscsi scsi mpath"

#define ROW(element, kind_of, at, ...) {.path = element, .kind = &kind_of, .offset = at, __VA_ARGS__}
#define LIST(element, list_of) {.path = element, .list = &list_of}
#define ADAPTER(attribute, kind_of, member, ...) \
	ROW("source/adapter" attribute, kind_of, DEF(source.adapter.member), .types = "scsi", \
	    __VA_ARGS__)
#define PCI(attribute, member, most, digits) \
	ADAPTER("/parentaddr/address@" attribute, kind_pci, member, .max = most, .width = digits)

const struct field fields[] = {
	ROW("@type", kind_text, DEF(type)),
	ROW("@xmlns:fs", kind_xmlns, DEF(mount_opt_count), .words = XML_NS_FS),
	ROW("@xmlns:rbd", kind_xmlns, DEF(config_opt_count), .words = XML_NS_RBD),
	ROW("name", kind_name, DEF(name)),
	ROW("uuid", kind_uuid, DEF(uuid), .words = ", or leave it out to get one"),
	ROW("capacity@unit", kind_bytes, 0),
	ROW("capacity", kind_usage, USAGE(capacity)),
	ROW("allocation@unit", kind_bytes, 0),
	ROW("allocation", kind_usage, USAGE(allocation)),
	ROW("available@unit", kind_bytes, 0),
	ROW("available", kind_usage, USAGE(available)),
	ROW("features/cow@state", kind_yesno, DEF(cow)),

	{.path = "source", .flags = FIELD_OPEN},
	LIST("source/host", hosts),
	ROW("source/host@name", kind_host, HOST(name), .list = &hosts, .flags = FIELD_NEEDED),
	ROW("source/host@port", kind_number, HOST(port), .list = &hosts, .max = 65535),
	LIST("source/device", devices),
	ROW("source/device@path", kind_argument, DEVICE(path), .list = &devices,
	    .flags = FIELD_NEEDED),
	ROW("source/device@part_separator", kind_yesno, DEVICE(part_separator), .list = &devices),
	ROW("source/dir@path", kind_dir, DEF(source.dir), .types = "netfs"),
	ADAPTER("", kind_mark, type, .flags = FIELD_MARK),
	ADAPTER("@type", kind_word, type, .words = "scsi_host fc_host"),
	ADAPTER("@name", kind_argument, name),
	ADAPTER("@parent", kind_line, parent),
	ADAPTER("@parent_wwnn", kind_wwn, parent_wwnn),
	ADAPTER("@parent_wwpn", kind_wwn, parent_wwpn),
	ADAPTER("@parent_fabric_wwn", kind_wwn, parent_fabric_wwn),
	ADAPTER("@managed", kind_yesno, managed),
	ADAPTER("@wwnn", kind_wwn, wwnn),
	ADAPTER("@wwpn", kind_wwn, wwpn),
	ADAPTER("/parentaddr", kind_true, parentaddr, .flags = FIELD_MARK),
	ADAPTER("/parentaddr@unique_id", kind_unique_id, unique_id, .max = INT32_MAX),
	ADAPTER("/parentaddr/address", kind_mark, domain, .flags = FIELD_MARK),
	PCI("domain", domain, 0xffff, 4),
	PCI("bus", bus, 0xff, 2),
	PCI("slot", slot, 0x1f, 2),
	PCI("function", function, 7, 1),
	ROW("source/name", kind_argument, DEF(source.name), .types = "logical rbd sheepdog"),
	ROW("source/initiator/iqn@name", kind_argument, DEF(source.initiator), .types = "iscsi"),
	ROW("source/format@type", kind_format, DEF(source.format), .types = "fs netfs logical disk"),
	ROW("source/auth", kind_mark, 0, .types = AUTH_TYPES, .flags = FIELD_MARK),
	ROW("source/auth@type", kind_word, DEF(source.auth.type), .types = AUTH_TYPES,
	    .words = "chap ceph"),
	ROW("source/auth@username", kind_line, DEF(source.auth.username), .types = AUTH_TYPES),
	/* The dialect of 2012; read only. */
	ROW("source/auth@login", kind_alias, DEF(source.auth.username), .types = AUTH_TYPES),
	ROW("source/auth@passwd", kind_password, DEF(source.auth.password), .types = AUTH_TYPES),
	ROW("source/auth/secret@uuid", kind_uuid, DEF(source.auth.secret_uuid), .types = AUTH_TYPES),
	ROW("source/auth/secret@usage", kind_line, DEF(source.auth.secret_usage),
	    .types = AUTH_TYPES),
	ROW("source/protocol@ver", kind_number, DEF(source.protocol), .types = "netfs", .max = 99,
	    .words = "no version of NFS; write a whole number, and a minor version as the mount "
		     "option 'nfsvers=4.1'"),
	ROW("source/vendor@name", kind_text, DEF(source.vendor), .types = VENDOR_TYPES),
	ROW("source/product@name", kind_text, DEF(source.product), .types = VENDOR_TYPES),

	ROW("target/path", kind_path, DEF(target), .types = TARGET_TYPES),
	ROW("target/permissions/mode", kind_mode, DEF(perms), .types = TARGET_TYPES),
	ROW("target/permissions/owner", kind_owner, DEF(perms), .types = TARGET_TYPES),
	ROW("target/permissions/group", kind_group, DEF(perms), .types = TARGET_TYPES),
	ROW("target/permissions/label", kind_text, DEF(perms.label), .types = TARGET_TYPES),

	ROW("refresh/volume@allocation", kind_word, DEF(refresh_allocation), .types = "rbd",
	    .words = "default capacity"),
	LIST("fs:mount_opts/fs:option", mount_opts),
	ROW("fs:mount_opts/fs:option@name", kind_argument, OPTION(name), .list = &mount_opts,
	    .flags = FIELD_NEEDED),
	LIST("rbd:config_opts/rbd:option", config_opts),
	ROW("rbd:config_opts/rbd:option@name", kind_line, OPTION(name), .list = &config_opts,
	    .flags = FIELD_NEEDED),
	ROW("rbd:config_opts/rbd:option@value", kind_line, OPTION(value), .list = &config_opts,
	    .flags = FIELD_NEEDED),
	{0},
};
_Static_assert(sizeof fields / sizeof fields[0] <= FIELDS_MAX, "raise FIELDS_MAX");

/* ---- copy and free ------------------------------------------------------------------ */

/* Calls one function of each row's kind for each of its values. */
static void values_walk(struct pool_def *def, bool copy)
{
	for (const struct field *f = fields; f->path; f++) {
		void (*act)(const struct field *, void *) =
			!f->kind ? NULL : copy ? f->kind->copy : f->kind->release;
		char *items = f->list ? *list_items(f->list, def) : NULL;
		size_t count = f->list ? *list_count(f->list, def) : 0;

		if (act && !f->list)
			act(f, def);
		for (size_t i = 0; act && i < count; i++)
			act(f, items + i * f->list->size);
	}
}

struct pool_def *def_copy(const struct pool_def *def)
{
	struct pool_def *copy = xmalloc(sizeof *copy);

	*copy = *def;
	for (const struct field *f = fields; f->path; f++) {
		size_t size = field_is_list(f) ? *list_count(f->list, copy) * f->list->size : 0;
		void *items;

		if (!size)
			continue;
		items = xmalloc(size);
		memcpy(items, *list_items(f->list, copy), size);
		*list_items(f->list, copy) = items;
	}
	values_walk(copy, true);
	return copy;
}

void def_free(struct pool_def *def)
{
	if (!def)
		return;
	values_walk(def, false);
	for (const struct field *f = fields; f->path; f++)
		if (field_is_list(f))
			free(*list_items(f->list, def));
	free(def);
}
