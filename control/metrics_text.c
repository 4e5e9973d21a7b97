/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * metrics_text.c - the text of control/metrics, in OpenMetrics.
 *
 * The text is valid in Prometheus' older format, too, which node_exporter and
 * `promtool check metrics` read: so it has gauges and histograms only, since the
 * two formats want a counter's TYPE line under different names. Asks drivers for
 * nothing that it waits for: how full a pool is was told earlier.
 */
#include "metrics.h"
#include "pool.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifndef POOLFS_VERSION
#define POOLFS_VERSION "0.1.0"
#endif

enum { PROBES_MAX = 16 };       /* pools asked anew, behind each reading */

#define LLU(n) ((unsigned long long)(n))

/* ---- rows ------------------------------------------------------------------------- */

enum { STATE_STALLED = POOL_FAILED + 1, STATES };

/* What one value of the label pool stands for. */
struct row {
	char *label;                    /* escaped */
	char *type;                     /* NULL: control/, or many pools */
	struct cpool *cp;               /* counted: m is its; or NULL */
	struct metrics *m;
	unsigned state;
	bool runs;
	struct run_sample is;
};

struct rows {
	struct row *row;
	size_t count;
	struct row others;
	unsigned pools[STATES];
	struct run **runs;              /* active ones; counted */
	size_t run_count, cap;
};

void label_escape(struct buf *out, const char *value)
{
	for (; *value; value++) {
		if (*value == '\n') {
			buf_add(out, "\\n", 2);
			continue;
		}
		if (*value == '\\' || *value == '"')
			buf_add(out, "\\", 1);
		buf_add(out, value, 1);
	}
}

static struct row *row_add(struct rows *all, const char *name, struct metrics *m)
{
	struct buf label = {0};
	struct row *row;

	if (all->count == all->cap) {
		all->cap = all->cap ? all->cap * 2 : 16;
		all->row = xrealloc(all->row, all->cap * sizeof(*all->row));
	}
	row = &all->row[all->count++];
	label_escape(&label, name);
	*row = (struct row){ .label = label.data, .m = m };
	return row;
}

static void others_add(struct row *o, const struct run_sample *is)
{
	o->runs = true;
	o->is.open += is->open;
	if (!is->known)
		return;
	/* As old as the oldest of them. */
	if (!o->is.known || is->told < o->is.told)
		o->is.told = is->told;
	o->is.known = true;
	o->is.usage.capacity += is->usage.capacity;
	o->is.usage.allocation += is->usage.allocation;
	o->is.usage.available += is->usage.available;
}

static void pool_take(void *arg, struct cpool *cp)
{
	struct rows *all = arg;
	struct run_sample is = {0};
	struct run *run = NULL;
	unsigned state;
	char *type;

	mutex_lock(&pools.lock);
	state = cp->state;
	type = xstrdup(cp->run ? cp->run->def->type : cp->def->type);
	if (cp->run)
		run = run_get(cp->run);
	mutex_unlock(&pools.lock);
	if (run && state == POOL_ACTIVE && run_stalled(run))
		state = STATE_STALLED;
	if (run)
		run_take_sample(run, &is);
	all->pools[state]++;
	if (cp->metrics && atomic_load(&cp->metrics->row)) {
		struct row *row = row_add(all, cp->name, cp->metrics);

		row->cp = cpool_get(cp);
		row->type = type;
		row->state = state;
		row->runs = run;
		row->is = is;
		type = NULL;
	} else if (run) {
		others_add(&all->others, &is);
	}
	free(type);
	run_put(run);
}

static void rows_take(struct rows *all)
{
	struct row *o;

	row_add(all, "control", metrics_control());
	cpool_each(pool_take, all);
	/* No pool's name begins with a dot. */
	o = row_add(all, ".others", metrics_others());
	o->runs = all->others.runs;
	o->is = all->others.is;
}

static void rows_release(struct rows *all)
{
	for (size_t i = 0; i < all->count; i++) {
		free(all->row[i].label);
		free(all->row[i].type);
		cpool_put(all->row[i].cp);
	}
	free(all->row);
}

/* ---- how full: asked for the next reading ------------------------------------------- */

static void run_gather(void *arg, struct cpool *cp)
{
	struct rows *all = arg;
	struct run *run = cpool_state(cp) == POOL_ACTIVE ? cpool_run(cp) : NULL;

	if (!run)
		return;
	all->runs = xrealloc(all->runs, (all->run_count + 1) * sizeof(*all->runs));
	all->runs[all->run_count++] = run;
}

/* Some pools in turn, so that a thousand of them do not make a thousand threads;
 * whoever hangs is asked once only. */
static void probes_start(void)
{
	static atomic_uint turn;
	struct rows all = {0};
	struct pool_usage unused;
	unsigned from = atomic_fetch_add(&turn, PROBES_MAX);

	cpool_each(run_gather, &all);
	for (size_t i = 0; i < all.run_count && i < PROBES_MAX; i++)
		run_usage(all.runs[(from + i) % all.run_count], 0, &unused);
	for (size_t i = 0; i < all.run_count; i++)
		run_put(all.runs[i]);
	free(all.runs);
}

/* ---- text ---------------------------------------------------------------------------- */

static void family(struct buf *out, const char *name, const char *type, const char *unit,
		   const char *help)
{
	buf_addf(out, "# TYPE poolfs_%s %s\n", name, type);
	if (unit)
		buf_addf(out, "# UNIT poolfs_%s %s\n", name, unit);
	buf_addf(out, "# HELP poolfs_%s %s\n", name, help);
}

static uint64_t load(atomic_uint_fast64_t *n)
{
	return atomic_load_explicit(n, memory_order_relaxed);
}

/* labels: all but le. The count is that of the buckets as they are read here. */
static void histogram(struct buf *out, const char *name, const char *labels,
		      atomic_uint_fast64_t *buckets, const char *const *bounds, unsigned n,
		      const char *sum)
{
	uint64_t count = 0;

	for (unsigned i = 0; i <= n; i++) {
		count += load(&buckets[i]);
		buf_addf(out, "poolfs_%s_bucket{%s,le=\"%s\"} %llu\n", name, labels,
			 i < n ? bounds[i] : "+Inf", LLU(count));
	}
	buf_addf(out, "poolfs_%s_count{%s} %llu\npoolfs_%s_sum{%s} %s\n", name, labels,
		 LLU(count), name, labels, sum);
}

static const char *seconds(uint64_t ns, char text[40])
{
	snprintf(text, 40, "%llu.%09llu", LLU(ns / 1000000000), LLU(ns % 1000000000));
	return text;
}

/* f for each row and operation that was ever asked for. */
typedef void each_f(struct buf *out, const char *labels, unsigned op, struct operation *o);

static void each_operation(struct buf *out, const struct rows *all, each_f *f)
{
	for (size_t i = 0; i < all->count; i++)
		for (unsigned op = 0; op < METRICS_OPS; op++) {
			struct operation *o = atomic_load(&all->row[i].m->ops[op]);
			_cleanup_free_ char *labels = NULL;

			if (!o)
				continue;
			labels = xasprintf("pool=\"%s\",operation=\"%s\"", all->row[i].label,
					   metrics_op_name(op));
			f(out, labels, op, o);
		}
}

static void print_duration(struct buf *out, const char *labels, unsigned op, struct operation *o)
{
	char sum[40];

	(void)op;
	histogram(out, "operation_duration_seconds", labels, o->latency, latency_bounds,
		  LATENCY_BOUNDS, seconds(load(&o->ns), sum));
}

static void print_size(struct buf *out, const char *labels, unsigned op, struct operation *o)
{
	char sum[40];

	if (!metrics_op_moves(op))
		return;
	snprintf(sum, sizeof(sum), "%llu", LLU(load(&o->bytes)));
	histogram(out, "operation_size_bytes", labels, o->sizes, size_bounds, SIZE_BOUNDS, sum);
}

static void print_failures(struct buf *out, const char *labels, unsigned op, struct operation *o)
{
	struct failures *all = atomic_load(&o->failures);
	char sum[40];

	(void)op;
	for (unsigned i = 0; all && i < METRICS_ERRORS; i++) {
		_cleanup_free_ char *more = NULL;
		uint64_t count = 0;

		for (unsigned b = 0; b <= FAILURE_BOUNDS; b++)
			count += load(&all[i].buckets[b]);
		if (!count)
			continue;
		more = xasprintf("%s,error=\"%s\"", labels, metrics_error_name(i));
		histogram(out, "failure_duration_seconds", more, all[i].buckets, failure_bounds,
			  FAILURE_BOUNDS, seconds(load(&all[i].ns), sum));
	}
}

static void print_operations(struct buf *out, const struct rows *all)
{
	family(out, "operation_duration_seconds", "histogram", "seconds",
	       "How long operations took until they were answered, failed ones too.");
	each_operation(out, all, print_duration);
	family(out, "operation_size_bytes", "histogram", "bytes",
	       "Bytes that operations moved through the daemon.");
	each_operation(out, all, print_size);
	family(out, "failure_duration_seconds", "histogram", "seconds",
	       "How long operations took that failed, by what they were answered.");
	each_operation(out, all, print_failures);
}

static const char *state_name(unsigned state)
{
	return state == STATE_STALLED ? "stalled" : pool_state_name(state);
}

/* One gauge of a pool that runs. */
enum figure { CAPACITY, ALLOCATION, AVAILABLE, TOLD, OPEN };

static void print_figure(struct buf *out, const struct rows *all, const char *name,
			 enum figure which)
{
	for (size_t i = 0; i < all->count; i++) {
		const struct row *r = &all->row[i];
		uint64_t n = r->is.open;

		if (!r->runs || (which != OPEN && !r->is.known))
			continue;
		switch (which) {
		case CAPACITY: n = r->is.usage.capacity; break;
		case ALLOCATION: n = r->is.usage.allocation; break;
		case AVAILABLE: n = r->is.usage.available; break;
		case TOLD: n = r->is.told; break;
		case OPEN: break;
		}
		buf_addf(out, "poolfs_%s{pool=\"%s\"} %llu\n", name, r->label, LLU(n));
	}
}

static void print_pools(struct buf *out, const struct rows *all)
{
	family(out, "pools", "gauge", NULL, "Defined pools, by their state.");
	for (unsigned s = 0; s < STATES; s++)
		buf_addf(out, "poolfs_pools{state=\"%s\"} %u\n", state_name(s), all->pools[s]);
	family(out, "pool_state", "gauge", NULL, "1, with the state of a pool and its type.");
	for (size_t i = 0; i < all->count; i++)
		if (all->row[i].type)
			buf_addf(out, "poolfs_pool_state{pool=\"%s\",type=\"%s\",state=\"%s\"} 1\n",
				 all->row[i].label, all->row[i].type, state_name(all->row[i].state));
	family(out, "requests", "gauge", NULL,
	       "Requests under way, those given up and still at work too.");
	for (size_t i = 0; i < all->count; i++)
		buf_addf(out, "poolfs_requests{pool=\"%s\"} %u\n", all->row[i].label,
			 atomic_load_explicit(&all->row[i].m->under_way, memory_order_relaxed));
	family(out, "pool_open_volumes", "gauge", NULL, "Open files of volumes.");
	print_figure(out, all, "pool_open_volumes", OPEN);
	family(out, "pool_capacity_bytes", "gauge", "bytes", "Size of a running pool.");
	print_figure(out, all, "pool_capacity_bytes", CAPACITY);
	family(out, "pool_allocation_bytes", "gauge", "bytes", "What is used of it.");
	print_figure(out, all, "pool_allocation_bytes", ALLOCATION);
	family(out, "pool_available_bytes", "gauge", "bytes", "What is free in it.");
	print_figure(out, all, "pool_available_bytes", AVAILABLE);
	family(out, "pool_usage_timestamp_seconds", "gauge", "seconds",
	       "When the pool told the last three, in Unix time.");
	print_figure(out, all, "pool_usage_timestamp_seconds", TOLD);
}

/* ---- the process ------------------------------------------------------------------------ */

static time_t begun;

__attribute__((constructor)) static void begin(void)
{
	begun = time(NULL);
}

static unsigned entries(const char *path)
{
	DIR *d = opendir(path);
	unsigned n = 0;

	if (!d)
		return 0;
	for (struct dirent *e; (e = readdir(d)); )
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static unsigned long long resident(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	unsigned long long size, pages = 0;

	if (!f)
		return 0;
	if (fscanf(f, "%llu %llu", &size, &pages) != 2)
		pages = 0;
	fclose(f);
	return pages * (unsigned long long)sysconf(_SC_PAGESIZE);
}

/* Not process_*: node_exporter has those of its own. */
static void print_process(struct buf *out)
{
	family(out, "jobs", "gauge", NULL, "Long operations under way, as in control/jobs.");
	buf_addf(out, "poolfs_jobs %u\n", jobs_count());
	family(out, "events", "gauge", NULL, "Events told since the daemon began.");
	buf_addf(out, "poolfs_events %llu\n", LLU(events_count()));
	family(out, "process_resident_memory_bytes", "gauge", "bytes", "Memory of the daemon.");
	buf_addf(out, "poolfs_process_resident_memory_bytes %llu\n", resident());
	family(out, "process_threads", "gauge", NULL, "Threads of the daemon.");
	buf_addf(out, "poolfs_process_threads %u\n", entries("/proc/self/task"));
	family(out, "process_open_fds", "gauge", NULL, "File descriptors of the daemon.");
	buf_addf(out, "poolfs_process_open_fds %u\n", entries("/proc/self/fd"));
	family(out, "process_start_time_seconds", "gauge", "seconds",
	       "When the daemon began, in Unix time.");
	buf_addf(out, "poolfs_process_start_time_seconds %lld\n", (long long)begun);
	family(out, "build_info", "gauge", NULL, "1, with the version.");
	buf_addf(out, "poolfs_build_info{version=\"%s\"} 1\n", POOLFS_VERSION);
}

/* ---- the whole ------------------------------------------------------------------------------ */

static atomic_size_t last_size;

void metrics_show(struct buf *out)
{
	struct rows all = {0};

	probes_start();
	rows_take(&all);
	print_operations(out, &all);
	print_pools(out, &all);
	print_process(out);
	buf_addf(out, "# EOF\n");
	rows_release(&all);
	atomic_store(&last_size, out->len);
}

uint64_t metrics_size(void)
{
	_cleanup_buf_ struct buf first = {0};

	if (!atomic_load(&last_size))
		metrics_show(&first);
	return atomic_load(&last_size);
}
