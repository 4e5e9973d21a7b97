/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * volumes.c - control/pools/NAME/volumes/: a volume as XML, as a <disk>, and a new
 * one made from XML.
 *
 * Called by the front, and by drop.c through the kind of drop directory that
 * stands here. All of it asks the pool's driver: the caller has entered the run.
 * Changes no volume that is there.
 */
#include "pool.h"
#include "volume_xml.h"

#include <stdlib.h>
#include <string.h>

static const struct {
	const char *ending;
	enum volume_text what;
} endings[] = {
	{ ".xml", VOLUME_XML }, { ".disk", VOLUME_DISK },
};

bool volume_text_name(const char *file, char name[256], enum volume_text *what)
{
	size_t len = strlen(file);

	for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
		size_t end = strlen(endings[i].ending);
		struct err ignored = { 0 };

		if (len <= end || len - end >= 256 || strcmp(file + len - end, endings[i].ending))
			continue;
		memcpy(name, file, len - end);
		name[len - end] = '\0';
		*what = endings[i].what;
		return name_check(NAME_VOLUME, name, &ignored) == 0;
	}
	return false;
}

/* ---- out ----------------------------------------------------------------------- */

int volume_show(struct run *r, const char *name, enum volume_text what, struct buf *out,
		struct stat *st, struct err *e)
{
	struct vol_desc d;
	struct vol_stat vs;
	int rc = vol_stat(run_pool(r), name, &vs, e);

	if (rc < 0)
		return rc;
	/* A link is no volume: what it leads to may be anybody's. */
	if (!S_ISREG(vs.st.st_mode))
		return -(e->code = ENOENT);
	*st = vs.st;
	/* Who may read the volume may read what its header says. */
	st->st_mode = S_IFREG | (vs.st.st_mode & 0444);
	if (!out)
		return 0;
	rc = vol_describe(run_pool(r), name, &d, e);
	if (rc < 0)
		return rc;
	if (d.misplaced)                /* a machine would get another disk */
		rc = err_set(e, ESTALE, "'%s' is not the directory any more with which pool '%s' was "
			     "started; stop the pool and start it again",
			     run_pool(r)->def->target, run_name(r));
	else if (what == VOLUME_XML)
		volume_format(name, &d, out);
	else
		volume_disk_format(run_pool(r)->def, &d, out);
	vol_desc_release(&d);
	return rc;
}

/* ---- in -------------------------------------------------------------------------- */

/* qemu-img would open it through this mount, and wait for the daemon that waits
 * for qemu-img. */
static int backing_outside(struct run *r, const char *backing, struct err *e)
{
	const char *target = run_pool(r)->def->target;
	_cleanup_free_ char *path = NULL;
	struct target_id id;
	struct err inside = { 0 };

	if (backing[0] != '/' && !target)
		return 0;
	path = backing[0] == '/' ? xstrdup(backing) : xasprintf("%s/%s", target, backing);
	if (target_check(path, &id, &inside) >= 0 || inside.code != EINVAL)
		return 0;               /* what else is wrong with it the driver says better */
	return err_set(e, EINVAL, "backing file '%.200s' lies inside this mount: name it by its path "
		       "in the pool's own storage", backing);
}

/* Raw volumes are allocated whole where the XML does not say, as in libvirt. */
static void wishes_take(const struct volume_def *v, const struct caller *who,
			struct vol_create *c)
{
	const struct perms *p = &v->d.target.perms;

	*c = (struct vol_create){
		.capacity = v->d.capacity,
		.mode = p->mode_set ? p->mode : 0600,
		.uid = p->uid_set ? p->uid : who->uid,
		.gid = p->gid_set ? p->gid : who->gid,
		.exact_owner = p->uid_set || p->gid_set,
		.format = v->d.target.format ? v->d.target.format : "raw",
		.allocation = v->d.allocation,
		.backing = v->d.backing.path,
		.backing_format = v->d.backing.format,
		.compat = v->d.compat,
		.cluster_size = v->d.cluster_size,
		.lazy_refcounts = v->d.lazy_refcounts,
		.extended_l2 = v->d.extended_l2,
		.nocow = v->nocow,
		.label = p->label,
		.progress = who->progress,
	};
	if (!v->allocation_set && strcmp(c->format, "raw") == 0)
		c->allocation = c->capacity;
}

static int volume_make(struct run *r, const struct caller *who, const char *name,
		       const struct volume_def *v, struct err *e)
{
	struct job j = {
		.progress = who->progress,
		.pool = run_name(r),
		.verb = "create",
		.subject = name,
	};
	struct vol_create c;
	int rc;

	if (v->encrypted)
		return err_set(e, EOPNOTSUPP, "cannot create '%.200s': poolfs makes no encrypted volumes "
			       "yet; leave <encryption> out", name);
	rc = v->d.backing.path ? backing_outside(r, v->d.backing.path, e) : 0;
	if (rc < 0)
		return rc;
	wishes_take(v, who, &c);
	job_begin(&j);
	rc = vol_create(run_pool(r), name, &c, NULL, e);
	job_end(&j, rc);
	if (rc < 0 && !e->text[0])
		return err_set(e, -rc, "cannot create '%.200s' in pool '%.200s': %s", name, run_name(r),
			       rc == -EEXIST ? "it exists already; rm it, or choose another name" :
			       strerror(-rc));
	/* Durable when the write returns, as a definition is. */
	return rc < 0 ? rc : pool_sync(run_pool(r), e);
}

static int volumes_define(const struct drop *d, const struct caller *who, const char *name,
			  const char *xml, size_t len, struct err *e)
{
	uint64_t begun = now_ns();
	struct volume_def v;
	int rc = volume_parse(xml, len, name, run_pool(d->run)->ops->vol_formats, &v, e);

	if (rc == 0) {
		rc = volume_make(d->run, who, name, &v, e);
		volume_def_release(&v);
	}
	metrics_count(cpool_metrics(run_cpool(d->run)), "create", -rc, 0, now_ns() - begun);
	return rc;
}

/* ---- the drop directory ------------------------------------------------------------ */

static bool volumes_is_definition(const char *name)
{
	struct err ignored = { 0 };

	return name_check(NAME_VOLUME, name, &ignored) == 0;
}

static int volumes_scratch_check(const char *file, struct err *e)
{
	size_t len = strlen(file);
	char stem[256];

	for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
		size_t end = strlen(endings[i].ending);

		if (len < end || strcmp(file + len - end, endings[i].ending))
			continue;
		if (endings[i].what == VOLUME_DISK)
			return err_set(e, EPERM, "'%.200s' cannot be made: each volume has its .disk by "
				       "itself", file);
		if (len - end >= sizeof stem)
			return err_set(e, ENAMETOOLONG, "a volume's name may have 255 bytes");
		memcpy(stem, file, len - end);
		stem[len - end] = '\0';
		if (name_check(NAME_VOLUME, stem, e) < 0)
			return -e->code;
	}
	return name_check(NAME_VOLUME, file, e);
}

static int volumes_show(const struct drop *d, const char *name, struct buf *xml,
			struct timespec *mtime, struct err *e)
{
	struct stat st;
	int rc = volume_show(d->run, name, VOLUME_XML, xml, &st, e);

	if (rc == 0)
		*mtime = st.st_mtim;
	return rc;
}

static int volumes_rename(const struct drop *d, const char *from, const char *to, struct err *e)
{
	(void)to;
	return err_set(e, EPERM, "a volume is renamed in its pool: mv %s/%.200s", run_name(d->run),
		       from);
}

static const struct drop_kind volumes_kind = {
	.is_definition = volumes_is_definition,
	.scratch_check = volumes_scratch_check,
	.define = volumes_define,
	.show = volumes_show,
	.rename = volumes_rename,
};

struct drop *drop_volumes_new(struct run *r)
{
	struct drop *d = xcalloc(1, sizeof *d);

	d->kind = &volumes_kind;
	d->run = run_get(r);
	d->path = xasprintf("control/pools/%s/volumes", run_name(r));
	return d;
}

void drop_volumes_free(struct drop *d)
{
	if (!d)
		return;
	run_put(d->run);
	free((char *)d->path);
	free(d);
}
