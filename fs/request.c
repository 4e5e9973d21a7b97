/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * request.c - the life of one request: answered once, by whoever comes first.
 *
 * Three may answer: the work when it ends, the kernel's INTERRUPT (EINTR), and
 * the deadline. req_claim() decides. A driver's call cannot be taken back, so
 * the work of a request that was answered early goes on, and what it brings is
 * dropped; a write of that kind keeps its volume from further I/O until it has
 * ended. Never calls a driver itself.
 */
#include "fs.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <assert.h>
#include <unistd.h>

struct queue *control_queue;

static pthread_mutex_t live_mu = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t live_cv;
static struct req *live;                /* with a deadline, or interruptible */
static unsigned live_count;
static atomic_uint lingering;           /* requests that still work on names */
static bool clock_asleep;
static unsigned clock_question, clock_reply;
bool thread_run(void *(*f)(void *), void *arg)
{
	pthread_attr_t a;
	pthread_t t;
	int rc;

	pthread_attr_init(&a);
	pthread_attr_setstacksize(&a, 256 << 10);
	pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
	rc = pthread_create(&t, &a, f, arg);
	pthread_attr_destroy(&a);
	return !rc;
}

static struct queue *queue_of(struct node *n)
{
	for (struct node *d = n; d; d = d->parent)
		if (d->kind == N_POOL || d->kind == N_VOLUMES)
			return d->queue;
	return control_queue;
}

struct req *req_new(fuse_req_t fr, fuse_ino_t ino, const char *op)
{
	struct node *n = node_by_id(ino);
	struct req *r;

	if (!n) {
		fuse_reply_err(fr, ESTALE);
		return NULL;
	}
	r = xcalloc(1, sizeof *r);
	r->fr = fr;
	r->ctx = *fuse_req_ctx(fr);
	r->node = n;
	r->run = n->run;
	/* Who announces takes no place from a pool's users. */
	r->queue = helper_is(&r->ctx) ? control_queue : queue_of(n);
	r->op = op;
	r->refs = 1;
	r->begun_ns = now_ns();
	if (n->kind == N_POOL || n->kind == N_VOL)
		r->metrics = cpool_metrics(run_cpool(n->run));
	return r;
}

void req_put(struct req *r)
{
	if (atomic_fetch_sub(&r->refs, 1) != 1)
		return;
	if (r->h)
		handle_put(r->h);
	if (r->h2)
		handle_put(r->h2);
	if (r->held)
		r->held_put(r->held);
	if (r->data_owned && r->node->kind == N_SECRET)
		explicit_bzero(r->data, r->size);
	if (r->node2)
		node_put(r->node2, 1);
	node_put(r->node, 1);
	free(r->name);
	free(r->name2);
	if (r->kept)
		loop_return_buffer(r->kept);
	else if (r->data_owned)
		free(r->data);
	free(r);
}

/* It is about to be answered so. Before the answer: who has it finds it counted. */
static void count(struct req *r, int code)
{
	uint64_t ns = now_ns() - r->begun_ns;

	if (!strcmp(r->op, "start") || !strcmp(r->op, "stop"))
		metrics_count_named(r->name, r->op, code, ns);
	else
		metrics_count(r->metrics, r->to_set & FUSE_SET_ATTR_SIZE ? "truncate" : r->op,
			      code, code ? 0 : r->moved, ns);
}

bool req_claim_failed(struct req *r, int code)
{
	bool tells = r->tells && !code;

	if (tells)                      /* before: see announce.c */
		announce_own(r, true);
	if (atomic_exchange(&r->answered, true)) {
		if (tells)
			announce_own(r, false);
		return false;
	}
	/* Waits for an interrupt callback that is just running. */
	fuse_req_interrupt_func(r->fr, NULL, NULL);
	count(r, code);
	return true;
}

bool req_claim(struct req *r)
{
	return req_claim_failed(r, 0);
}

/* It was answered, and what it does to a name of a pool may still come. */
static void linger_locked(struct req *r)
{
	if (r->ended || r->lingers || !r->names || r->node->kind != N_POOL)
		return;
	r->lingers = true;
	atomic_fetch_add(&lingering, 1);
}

void req_lingers(struct req *r)
{
	pthread_mutex_lock(&live_mu);
	linger_locked(r);
	pthread_mutex_unlock(&live_mu);
}

/* Called once by whoever answers in the work's place, with a reference. */
static void given_up(struct req *r)
{
	struct vol *v = NULL;

	atomic_store(&r->progress.cancel, true);
	pthread_mutex_lock(&live_mu);
	if (r->under_io && !r->ended) {
		if (r->writes && r->node->kind == N_VOL) {
			r->counted_late = true;
			atomic_fetch_add(&r->node->late, 1);
		}
		v = r->iovol;
		linger_locked(r);
	}
	pthread_mutex_unlock(&live_mu);
	if (v)
		vol_cancel(v, &r->io);
	if (r->queued && req_unqueue(r))
		req_finish(r);
}

/* Has the thread that asked got a signal? The kernel also interrupts a request for
 * other work it has for that thread (io_uring's, as in QEMU; a debugger; a stop),
 * and no program expects EINTR from that. What cannot be told is a signal. */
static bool signal_waits(pid_t thread)
{
	uint64_t private = 0, shared = 0, blocked = 0;
	char path[32], line[128];
	unsigned found = 0;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/status", (int)thread);
	f = thread > 0 ? fopen(path, "re") : NULL;
	if (!f)
		return true;
	while (found < 3 && fgets(line, sizeof line, f))
		found += sscanf(line, "SigPnd: %" SCNx64, &private) == 1 ||
			 sscanf(line, "ShdPnd: %" SCNx64, &shared) == 1 ||
			 sscanf(line, "SigBlk: %" SCNx64, &blocked) == 1;
	fclose(f);
	return found < 3 || ((private | shared) & ~blocked);
}

/* The kernel tells of an interrupt once: the clock looks for signals from here on. */
static bool only_work(struct req *r)
{
	if (signal_waits(r->ctx.pid))
		return false;
	pthread_mutex_lock(&live_mu);
	r->unsure = true;
	if (clock_asleep)
		pthread_cond_signal(&live_cv);
	pthread_mutex_unlock(&live_mu);
	return true;
}

static _Thread_local struct req *registering;   /* calls fuse_req_interrupt_func */
static _Thread_local bool came_first;           /* its interrupt, before it */

/* With the request's own lock of libfuse held: whoever claims r waits for it
 * before he lets go of r, so r is still there, and the reference keeps it. */
static void on_interrupt(fuse_req_t fr, void *data)
{
	struct req *r = data;

	/* libfuse lets go of that lock after we return: a reply would free it. */
	if (registering == r) {
		came_first = true;
		return;
	}
	if (only_work(r))
		return;
	atomic_fetch_add(&r->refs, 1);
	if (!atomic_exchange(&r->answered, true)) {
		count(r, EINTR);
		given_up(r);
		fuse_reply_err(fr, EINTR);
	}
	req_put(r);
}

static void interrupt(struct req *r)
{
	if (req_claim_failed(r, EINTR)) {
		given_up(r);
		fuse_reply_err(r->fr, EINTR);
	}
}

static void register_interrupt(struct req *r)
{
	registering = r;
	came_first = false;
	fuse_req_interrupt_func(r->fr, on_interrupt, r);
	registering = NULL;
	if (came_first && !only_work(r))
		interrupt(r);
}

void caller_of(struct req *r, struct caller *who)
{
	who->uid = r->ctx.uid;
	who->gid = r->ctx.gid;
	who->pid = r->ctx.pid;
	who->progress = &r->progress;
	who->ask = r->asks_here ? ASK_HERE : ASK_APART;
}

void report(struct run *run, struct cpool *cp, const char *op, uid_t uid, const struct err *e)
{
	if (!e->text[0])
		return;
	if (!cp && run)
		cp = run_cpool(run);
	log_line(cp ? cpool_name(cp) : "", op, e->code, e->text);
	if (cp)
		cpool_set_error(cp, e->text);
	reason_set(uid, e->text);
}

static void req_report(struct req *r)
{
	report(r->run, r->node->cp, r->op, r->ctx.uid, &r->err);
}

void req_fail(struct req *r, int negative)
{
	assert(negative < 0);
	if (r->err.text[0])
		req_report(r);
	if (req_claim_failed(r, -negative))
		fuse_reply_err(r->fr, -negative);
}

void req_ok(struct req *r)
{
	if (req_claim(r))
		fuse_reply_err(r->fr, 0);
}

/* ---- deadlines ------------------------------------------------------------- */

void req_live(struct req *r, unsigned deadline_ms)
{
	r->begun = r->begun_ns / 1000000;
	r->deadline = deadline_ms ? r->begun + deadline_ms : 0;
	register_interrupt(r);          /* first: the clock may answer it from here on */
	pthread_mutex_lock(&live_mu);
	r->live_next = live;
	r->live_link = &live;
	if (live)
		live->live_link = &r->live_next;
	live = r;
	live_count++;
	metrics_under_way(r->metrics, 1);
	if (clock_asleep && (r->deadline || r->unsure))
		pthread_cond_signal(&live_cv);
	pthread_mutex_unlock(&live_mu);
}

static void live_remove(struct req *r)
{
	pthread_mutex_lock(&live_mu);
	r->ended = true;
	if (r->counted_late)
		atomic_fetch_sub(&r->node->late, 1);
	if (r->lingers)
		atomic_fetch_sub(&lingering, 1);
	*r->live_link = r->live_next;
	if (r->live_next)
		r->live_next->live_link = r->live_link;
	live_count--;
	metrics_under_way(r->metrics, -1);
	pthread_mutex_unlock(&live_mu);
}

void req_extend(struct req *r, unsigned deadline_ms)
{
	pthread_mutex_lock(&live_mu);
	if (r->deadline)
		r->deadline = now_ms() + deadline_ms;
	pthread_mutex_unlock(&live_mu);
}

unsigned requests_live(void)
{
	pthread_mutex_lock(&live_mu);
	unsigned n = live_count;
	pthread_mutex_unlock(&live_mu);
	return n;
}

void requests_cancel(void)
{
	pthread_mutex_lock(&live_mu);
	for (struct req *r = live; r; r = r->live_next)
		atomic_store(&r->progress.cancel, true);
	pthread_mutex_unlock(&live_mu);
}

static void expire(struct req *r)
{
	struct err e = { 0 };           /* r->err is the work's */

	if (r->late && (!r->queued || r->asks_here)) {
		pthread_mutex_lock(&live_mu);
		r->promised = true;
		pthread_mutex_unlock(&live_mu);
		r->late(r);
		return;
	}
	if (!req_claim_failed(r, ETIMEDOUT))
		return;
	given_up(r);
	if (!r->run)
		err_set(&e, ETIMEDOUT, "%s took too long", r->op);
	else if (r->queued)
		err_set(&e, ETIMEDOUT, "pool '%s' does not answer and has %u requests waiting",
			run_name(r->run), POOL_THREADS_MAX);
	else
		err_set(&e, ETIMEDOUT, "pool '%s' has not answered %s in time",
			run_name(r->run), r->op);
	report(r->run, r->node->cp, r->op, r->ctx.uid, &e);
	fuse_reply_err(r->fr, ETIMEDOUT);
}

/* One thread looks at all deadlines, and for signals, every 50 ms while there are any. */
static void *clock_run(void *arg)
{
	struct req *due[64];
	unsigned idle = 0;

	(void)arg;
	pthread_mutex_lock(&live_mu);
	for (;;) {
		unsigned n = 0;
		bool waiting = false;
		uint64_t now = now_ms();

		clock_reply = clock_question;
		for (struct req *r = live; r && n < 64; r = r->live_next) {
			if (!r->deadline && !r->unsure)
				continue;
			waiting = true;
			if (atomic_load(&r->answered) || r->expired)
				continue;
			if (r->unsure && signal_waits(r->ctx.pid)) {
				r->unsure = false;
				r->signalled = true;
				atomic_fetch_add(&r->refs, 1);
				due[n++] = r;
				continue;
			}
			if (!r->deadline)
				continue;
			/* What is too much for a stalled pool is refused at
			 * once: it had one tick, should the pool recover. */
			if (r->deadline <= now ||
			    (r->queued && r->run && run_stalled(r->run))) {
				r->expired = true;
				atomic_fetch_add(&r->refs, 1);
				due[n++] = r;
			}
		}
		pthread_mutex_unlock(&live_mu);
		for (unsigned i = 0; i < n; i++) {
			if (due[i]->signalled)
				interrupt(due[i]);
			else
				expire(due[i]);
			req_put(due[i]);
		}
		idle = waiting ? 0 : idle + 1;
		if (idle < 20 && n < 64)
			usleep(50000);
		pthread_mutex_lock(&live_mu);
		if (idle >= 20) {
			clock_asleep = true;
			while (!live) {
				clock_reply = clock_question;
				pthread_cond_wait(&live_cv, &live_mu);
			}
			clock_asleep = false;
			idle = 0;
		}
	}
	return NULL;
}

void clock_ask(unsigned number)
{
	pthread_mutex_lock(&live_mu);
	clock_question = number;
	if (clock_asleep)
		pthread_cond_signal(&live_cv);
	pthread_mutex_unlock(&live_mu);
}

unsigned clock_answered(void)
{
	pthread_mutex_lock(&live_mu);
	unsigned number = clock_reply;
	pthread_mutex_unlock(&live_mu);
	return number;
}

void requests_init(void)
{
	pthread_cond_init(&live_cv, NULL);
	control_queue = queue_new(CONTROL_THREADS_MAX);
	if (!thread_run(clock_run, NULL))
		abort();
}

/* ---- for queue.c, and looking around ------------------------------------------- */

void req_finish(struct req *r)
{
	if (r->entered)
		run_leave(&r->call);
	live_remove(r);
	req_put(r);
}

/* The driver comes next: not for a request that was given up. */
bool req_begin_io(struct req *r)
{
	pthread_mutex_lock(&live_mu);
	bool go = !atomic_load(&r->answered) || r->promised;
	r->under_io = go;
	pthread_mutex_unlock(&live_mu);
	return go;
}

void req_set_io(struct req *r, struct vol *v)
{
	pthread_mutex_lock(&live_mu);
	r->iovol = v;
	pthread_mutex_unlock(&live_mu);
}

bool req_tells(const struct change_call *c)
{
	bool found = false;

	pthread_mutex_lock(&live_mu);
	for (struct req *o = live; o && !found; o = o->live_next) {
		const char *dir = o->tells == c->op && o->name && !atomic_load(&o->answered) ?
			helper_dir(o->node) : NULL;

		found = dir && !strcmp(dir, c->dir) && !strcmp(o->name, c->name) &&
			(!c->to || (o->name2 && !strcmp(o->name2, c->to)));
	}
	pthread_mutex_unlock(&live_mu);
	return found;
}

/* Only what came before r: that is not waiting in the queue for r's place. */
bool req_reads_pending(struct req *r, struct node *n)
{
	bool found = false;

	pthread_mutex_lock(&live_mu);
	for (struct req *l = live; l && !found; l = l->live_next)
		found = l->node == n && l->reads && l->begun <= r->begun &&
			!atomic_load(&l->answered);
	pthread_mutex_unlock(&live_mu);
	return found;
}

void req_await_reads(struct req *r, struct node *n)
{
	unsigned pause = 200;

	while (!atomic_load(&r->answered) && req_reads_pending(r, n)) {
		usleep(pause);
		if (pause < 20000)
			pause *= 2;
	}
}

bool req_refuse_late(struct req *r, struct node *n)
{
	if (n->kind != N_VOL || !atomic_load(&n->late))
		return false;
	_cleanup_free_ char *name = node_name(n);
	req_fail(r, err_set(&r->err, ETIMEDOUT,
			    "volume '%s' takes no I/O until a write that was given up has ended",
			    name));
	return true;
}

/* The late removal of a volume that was deleted and made anew would take the new
 * one, and a late rename may replace one. */
bool req_refuse_pending(struct req *r, const char *name)
{
	const char *what = NULL;

	if (!atomic_load(&lingering))
		return false;
	pthread_mutex_lock(&live_mu);
	for (struct req *o = live; o && !what; o = o->live_next)
		if (o->lingers && o != r && o->node == r->node &&
		    (!strcmp(o->name, name) || (o->name2 && !strcmp(o->name2, name))))
			what = o->op;
	pthread_mutex_unlock(&live_mu);
	if (!what)
		return false;
	req_fail(r, err_set(&r->err, EBUSY, "'%s' is not free before a %s that was given up has "
			    "ended", name, what));
	return true;
}
