/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * files.c - the table of control files: what each shows, and what a line
 * written to it does.
 *
 * The front looks a file up by directory and name and calls show at open and
 * store at write; a new control file is a row here. Nothing here waits for a
 * driver longer than SHOW_WAIT_MS, but the verbs do, and who asks it himself.
 */
#include "pool.h"
#include <libxml/xmlversion.h>
#include <stdlib.h>
#include <string.h>

#ifndef POOLFS_VERSION
#define POOLFS_VERSION "0.1.0"
#endif

/* ---- control/ ----------------------------------------------------------------- */

static void show_reason(struct cpool *cp, const struct caller *who, struct buf *out)
{
	(void)cp;
	reason_show(who->uid, out);
}

static void show_log(struct cpool *cp, const struct caller *who, struct buf *out)
{
	(void)cp;
	(void)who;
	log_show(out);
}

static void show_version(struct cpool *cp, const struct caller *who, struct buf *out)
{
	(void)cp;
	(void)who;
	buf_addf(out, "poolfs %s\nlibxml2 %s\n", POOLFS_VERSION, LIBXML_DOTTED_VERSION);
}

static void show_fault(struct cpool *cp, const struct caller *who, struct buf *out)
{
	(void)cp;
	(void)who;
	fault_show(out);
}

static int store_fault(struct cpool *cp, const struct caller *who, const char *line,
		       struct err *e)
{
	(void)cp;
	(void)who;
	return fault_rule(line, e);
}

static void show_jobs(struct cpool *cp, const struct caller *who, struct buf *out)
{
	(void)cp;
	(void)who;
	jobs_show(out);
}

static int store_jobs(struct cpool *cp, const struct caller *who, const char *line,
		      struct err *e)
{
	(void)cp;
	(void)who;
	return jobs_command(line, e);
}

static void show_metrics(struct cpool *cp, const struct caller *who, struct buf *out)
{
	(void)cp;
	(void)who;
	metrics_show(out);
}

/* ---- control/pools/NAME/ --------------------------------------------------------- */

static void show_ctl(struct cpool *cp, const struct caller *who, struct buf *out)
{
	(void)cp;
	(void)who;
	for (const struct verb *v = verbs; v->name; v++)
		buf_addf(out, "%-34s %s\n", v->usage, v->help);
}

static void show_error(struct cpool *cp, const struct caller *who, struct buf *out)
{
	(void)who;
	cpool_show_error(cp, out);
}

/* What info shows, taken in one moment. */
struct facts {
	enum pool_state state;
	struct pool_def *def, *next;    /* in force; written, for the next start, or NULL:
	                                 * the same */
	bool autostart, persistent;
	struct run *run;                /* counted */
	char *error;
};

static void facts_take(struct cpool *cp, struct facts *f)
{
	memset(f, 0, sizeof(*f));
	mutex_lock(&pools.lock);
	f->state = cp->state;
	if (!cp->run || cp->run->def_number != cp->def_number)
		f->next = def_copy(cp->def);
	f->autostart = cp->autostart;
	f->persistent = cp->persistent;
	f->error = xstrdup(cp->error);
	if (cp->run)
		f->run = run_get(cp->run);
	mutex_unlock(&pools.lock);
	f->def = f->run ? f->run->def : f->next;        /* that of a run is constant */
}

static void facts_release(struct facts *f)
{
	def_free(f->next);
	free(f->error);
	run_put(f->run);
}

static bool facts_pending(const struct facts *f)
{
	_cleanup_buf_ struct buf now = {0}, next = {0};

	if (!f->run || !f->next)
		return false;
	def_format(f->def, NULL, &now);
	def_format(f->next, NULL, &next);
	return strcmp(now.data, next.data);
}

static void add_number(struct buf *out, const char *key, bool known, uint64_t value)
{
	if (known)
		buf_addf(out, "%s: %llu\n", key, (unsigned long long)value);
	else
		buf_addf(out, "%s: unknown\n", key);
}

static void show_info(struct cpool *cp, const struct caller *who, struct buf *out)
{
	bool usage_known = false, volumes_known = false;
	_cleanup_free_ char *path = NULL;
	const char *state;
	struct pool_usage u = {0};
	uint64_t volumes = 0;
	struct facts f;

	facts_take(cp, &f);
	state = pool_state_name(f.state);
	if (f.run) {
		/* What starts or stops answers no question. */
		run_info(f.run, f.state != POOL_ACTIVE ? ASK_NOBODY : who ? who->ask : ASK_APART,
			 &u, &usage_known, &volumes, &volumes_known);
		path = run_path(f.run);
		if (f.state == POOL_ACTIVE && run_stalled(f.run))
			state = "stalled";
	}
	buf_addf(out, "name: %s\ntype: %s\nuuid: %s\nstate: %s\n", cp->name, f.def->type,
		 f.def->uuid, state);
	add_number(out, "capacity", usage_known, u.capacity);
	add_number(out, "allocation", usage_known, u.allocation);
	add_number(out, "available", usage_known, u.available);
	add_number(out, "volumes", volumes_known, volumes);
	buf_addf(out, "autostart: %s\npersistent: %s\npending: %s\n",
		 f.autostart ? "yes" : "no", f.persistent ? "yes" : "no",
		 facts_pending(&f) ? "yes" : "no");
	buf_addf(out, "target: %s\n", f.def->target ? f.def->target : "none");
	buf_addf(out, "data: %s\n", path ? path : "none");
	buf_addf(out, "error:%s%s\n", f.error[0] ? " " : "", f.error);
	facts_release(&f);
}

/* ---- the table ---------------------------------------------------------------------- */

const struct cfile cfiles[] = {
	{ .dir = CDIR_CONTROL, .name = "capabilities.xml", .mode = 0444,
	  .show = capabilities_show, .size = capabilities_size },
	{ CDIR_CONTROL, "error", 0444, .show = show_reason },
	{ CDIR_CONTROL, "events", 0444, .grows = true },
	{ CDIR_CONTROL, "jobs", 0644, .show = show_jobs, .store = store_jobs },
	{ CDIR_CONTROL, "log", 0444, .show = show_log },
	{ CDIR_CONTROL, "metrics", 0444, .show = show_metrics, .size = metrics_size },
	{ CDIR_CONTROL, "version", 0444, .show = show_version },
	{ CDIR_CONTROL, "fault", 0644, .show = show_fault, .store = store_fault,
	  .exists = control_fault_enabled },
	{ CDIR_POOL, "ctl", 0644, .show = show_ctl, .store = verb_run },
	{ CDIR_POOL, "info", 0444, .show = show_info },
	{ CDIR_POOL, "error", 0444, .show = show_error },
	{ .name = NULL },
};

const struct cfile *cfile_find(enum cdir dir, const char *name)
{
	for (const struct cfile *f = cfiles; f->name; f++)
		if (f->dir == dir && !strcmp(f->name, name))
			return f->exists && !f->exists() ? NULL : f;
	return NULL;
}
