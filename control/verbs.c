/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * verbs.c - the table of verbs that a pool's ctl takes, one line each.
 *
 * The front calls verb_run in the write that brings the line; a verb is done
 * or has failed when it returns, and what failed stands in the pool's error.
 * A new verb is a function and a row. Never rewrites a word it does not know.
 */
#include "control.h"
#include <stdlib.h>
#include <string.h>

enum { WORDS_MAX = 8 };

/* ---- helpers ---------------------------------------------------------------------- */

static int word_error(const char *word, const char *verb, struct err *e)
{
	return err_set(e, EINVAL, "unknown word '%s' after '%s': read ctl for what is known",
		       word, verb);
}

/* The run of a pool, counted, entered. */
static int verb_enter(struct cpool *cp, struct run **r, struct call *c, const char *what,
		      bool lasts, struct err *e)
{
	int rc;

	*r = cpool_run(cp);
	if (!*r)
		return err_set(e, ENOENT, "pool '%s' is not running: start it first",
			       cpool_name(cp));
	rc = lasts ? run_enter_long(*r, c, what, e) : run_enter(*r, c, what, e);
	if (rc)
		run_put(*r);
	return rc;
}

static void verb_leave(struct run *r, struct call *c)
{
	run_leave(c);
	run_put(r);
}

/* ENOENT with a sentence: to a verb it is a failure, not daily life. */
static int volume_stat(struct run *r, const char *name, struct vol_stat *st, struct err *e)
{
	int rc = vol_stat(run_pool(r), name, st, e);

	if (rc && !e->text[0])
		return err_set(e, -rc, rc == -ENOENT ? "no volume '%s' in pool '%s'" :
			       "cannot look at volume '%s' of pool '%s'", name, run_name(r));
	return rc;
}

static int say(int rc, const char *what, const char *name, struct err *e)
{
	if (rc && !e->text[0])
		return err_sys((errno = -rc, e), "cannot %s volume '%s'", what, name);
	return rc;
}

static bool unit_factor(const char *unit, uint64_t *factor)
{
	static const char letters[] = "KMGTPE";
	const char *l;
	uint64_t base;

	*factor = 1;
	if (!*unit || !strcasecmp(unit, "b") || !strcasecmp(unit, "byte") ||
	    !strcasecmp(unit, "bytes"))
		return true;
	l = strchr(letters, *unit >= 'a' && *unit <= 'z' ? *unit - 32 : *unit);
	if (!l)
		return false;
	if (!unit[1] || !strcasecmp(unit + 1, "ib"))
		base = 1024;
	else if (!strcasecmp(unit + 1, "b"))
		base = 1000;
	else
		return false;
	for (; l >= letters; l--)
		*factor *= base;
	return true;
}

int size_parse(const char *text, uint64_t *bytes, struct err *e)
{
	uint64_t n = 0, factor;
	const char *p = text;

	for (; *p >= '0' && *p <= '9'; p++) {
		if (__builtin_mul_overflow(n, (uint64_t)10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n))
			return err_set(e, EINVAL, "size '%s' is too large", text);
	}
	if (p == text || *p == '.' || *p == ',')
		return err_set(e, EINVAL, "size '%s' is no whole number: write '1536M' for "
			       "one and a half 'G'", text);
	if (!unit_factor(p, &factor))
		return err_set(e, EINVAL, "unknown unit '%s' in size '%s': K, M, G, T, P, E or "
			       "KB, MB ... are known", p, text);
	if (__builtin_mul_overflow(n, factor, &n) || n > INT64_MAX)
		return err_set(e, EINVAL, "size '%s' is too large", text);
	*bytes = n;
	return 0;
}

/* ---- the verbs ---------------------------------------------------------------------- */

static int verb_start(struct cpool *cp, const struct caller *who, int argc, char **argv,
		      struct err *e)
{
	(void)who;
	(void)argc;
	(void)argv;
	return cpool_start(cp, e);
}

static int verb_stop(struct cpool *cp, const struct caller *who, int argc, char **argv,
		     struct err *e)
{
	(void)who;
	(void)argc;
	(void)argv;
	return cpool_stop(cp, e);
}

static int verb_build(struct cpool *cp, const struct caller *who, int argc, char **argv,
		      struct err *e)
{
	enum build mode = BUILD_PLAIN;

	(void)who;
	if (argc > 1 && !strcmp(argv[1], "overwrite"))
		mode = BUILD_OVERWRITE;
	else if (argc > 1 && !strcmp(argv[1], "no-overwrite"))
		mode = BUILD_NO_OVERWRITE;
	else if (argc > 1)
		return word_error(argv[1], argv[0], e);
	return cpool_build(cp, mode, e);
}

static int verb_delete(struct cpool *cp, const struct caller *who, int argc, char **argv,
		       struct err *e)
{
	(void)who;
	(void)argc;
	return cpool_erase(cp, argv[1], e);
}

static bool list_one(void *arg, const char *name, uint64_t ino, mode_t type)
{
	(void)arg;
	(void)name;
	(void)ino;
	(void)type;
	return true;
}

/* A listing is always live: this shows whether it can be had, and reports; a
 * failure stops nothing. */
static int verb_refresh(struct cpool *cp, const struct caller *who, int argc, char **argv,
			struct err *e)
{
	struct call c;
	struct run *r;
	int rc;

	(void)who;
	(void)argc;
	rc = verb_enter(cp, &r, &c, argv[0], false, e);
	if (rc)
		return rc;
	rc = pool_list(run_pool(r), list_one, NULL, e);
	verb_leave(r, &c);
	return rc;
}

static int verb_resize(struct cpool *cp, const struct caller *who, int argc, char **argv,
		       struct err *e)
{
	unsigned flags = 0;
	struct vol_stat st;
	struct call c;
	uint64_t size = 0;
	struct run *r;
	int rc;

	(void)who;
	rc = name_check(NAME_VOLUME, argv[1], e);
	if (!rc)
		rc = size_parse(argv[2], &size, e);
	if (!rc && argc > 3) {
		if (strcmp(argv[3], "shrink"))
			return word_error(argv[3], argv[0], e);
		flags = RESIZE_SHRINK;
	}
	if (!rc)
		rc = verb_enter(cp, &r, &c, "resize", false, e);
	if (rc)
		return rc;
	rc = volume_stat(r, argv[1], &st, e);
	if (!rc && size < (uint64_t)st.st.st_size && run_is_open(r, argv[1]))
		rc = err_set(e, EBUSY, "volume '%s' is open: close it before it shrinks",
			     argv[1]);
	if (!rc)
		rc = say(vol_resize(run_pool(r), argv[1], size, flags, e), "resize", argv[1], e);
	verb_leave(r, &c);
	return rc;
}

static int verb_clone(struct cpool *cp, const struct caller *who, int argc, char **argv,
		      struct err *e)
{
	struct job j = {
		.progress = who->progress,
		.pool = cpool_name(cp),
		.verb = argv[0],
		.subject = argv[2],
	};
	unsigned flags = 0;
	struct vol_stat st;
	struct call c;
	struct run *r;
	int rc;

	rc = name_check(NAME_VOLUME, argv[1], e);
	if (!rc)
		rc = name_check(NAME_VOLUME, argv[2], e);
	if (!rc && argc > 3) {
		if (strcmp(argv[3], "linked"))
			return word_error(argv[3], argv[0], e);
		flags = CLONE_LINKED;
	}
	if (!rc)
		rc = verb_enter(cp, &r, &c, "clone", true, e);
	if (rc)
		return rc;
	rc = volume_stat(r, argv[1], &st, e);
	if (!rc) {
		rc = vol_stat(run_pool(r), argv[2], &st, e);
		if (!rc)
			rc = err_set(e, EEXIST, "volume '%s' exists already in pool '%s'",
				     argv[2], run_name(r));
		else if (rc == -ENOENT)
			rc = 0;
	}
	if (!rc) {
		job_begin(&j);
		rc = say(vol_clone(run_pool(r), argv[1], argv[2], flags, who->progress, e),
			 "clone", argv[1], e);
		job_end(&j, rc);
	}
	verb_leave(r, &c);
	return rc;
}

static int wipe_parse(const char *word, enum wipe *how, struct err *e)
{
	static const struct {
		const char *word;
		enum wipe how;
	} ways[] = {
		{ "zero", WIPE_ZERO }, { "trim", WIPE_TRIM }, { "random", WIPE_RANDOM },
	};

	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		if (!strcmp(word, ways[i].word)) {
			*how = ways[i].how;
			return 0;
		}
	}
	return word_error(word, "wipe", e);
}

static int verb_wipe(struct cpool *cp, const struct caller *who, int argc, char **argv,
		     struct err *e)
{
	struct job j = {
		.progress = who->progress,
		.pool = cpool_name(cp),
		.verb = argv[0],
		.subject = argv[1],
	};
	struct vol_stat st;
	enum wipe how = WIPE_ZERO;
	struct call c;
	struct run *r;
	int rc;

	(void)argc;
	rc = name_check(NAME_VOLUME, argv[1], e);
	if (!rc)
		rc = wipe_parse(argv[2], &how, e);
	if (!rc)
		rc = verb_enter(cp, &r, &c, "wipe", true, e);
	if (rc)
		return rc;
	rc = volume_stat(r, argv[1], &st, e);
	if (!rc && run_is_open(r, argv[1]))
		rc = err_set(e, EBUSY, "volume '%s' is open: close it before it is wiped",
			     argv[1]);
	if (!rc) {
		job_begin(&j);
		rc = say(vol_wipe(run_pool(r), argv[1], how, who->progress, e), "wipe", argv[1],
			 e);
		job_end(&j, rc);
	}
	verb_leave(r, &c);
	return rc;
}

/* ---- the table ----------------------------------------------------------------------- */

const struct verb verbs[] = {
	{ "start", 0, 0, "start", "start the pool", verb_start },
	{ "stop", 0, 0, "stop", "stop the pool; nothing is deleted", verb_stop },
	{ "build", 0, 1, "build [overwrite|no-overwrite]",
	  "make the storage of the stopped pool", verb_build },
	{ "delete", 1, 1, "delete UUID",
	  "delete the storage of the stopped pool; UUID is the pool's, from info", verb_delete },
	{ "refresh", 0, 0, "refresh", "look at the storage anew", verb_refresh },
	{ "resize", 2, 3, "resize VOLUME SIZE [shrink]",
	  "change a volume's capacity; SIZE as 10G", verb_resize },
	{ "clone", 2, 3, "clone SRC DST [linked]",
	  "copy a volume; linked: one that depends on its source", verb_clone },
	{ "wipe", 2, 2, "wipe VOLUME zero|trim|random", "overwrite a volume's content",
	  verb_wipe },
	{ NULL, 0, 0, NULL, NULL, NULL },
};

/* ---- one line --------------------------------------------------------------------------- */

/* Splits in place: words hold the result, text is what they point into. */
static int line_split(char *text, char *words[WORDS_MAX], int *count, struct err *e)
{
	char *in = text, *out;
	bool quoted = false;

	*count = 0;
	for (;;) {
		in += strspn(in, " \t");
		if (!*in)
			return 0;
		if (*count == WORDS_MAX)
			return err_set(e, EINVAL, "too many words: '%s' and what follows", in);
		words[(*count)++] = out = in;
		for (; *in && (quoted || (*in != ' ' && *in != '\t')); in++) {
			if (*in == '"') {
				quoted = !quoted;
				continue;
			}
			if (quoted && *in == '\\') {
				if (!*++in)
					break;
			}
			*out++ = *in;
		}
		if (quoted)
			return err_set(e, EINVAL, "no closing quote after '%s'",
				       (*out = 0, words[*count - 1]));
		if (*in)
			in++;
		*out = 0;
	}
}

static int verb_dispatch(struct cpool *cp, const struct caller *who, int count,
			 char **words, struct err *e)
{
	const struct verb *v = verbs;
	uint64_t begun = now_ns();
	int rc;

	if (!count)
		return err_set(e, EINVAL, "empty line: write a verb, for example 'start'");
	while (v->name && strcmp(v->name, words[0]))
		v++;
	if (!v->name)
		return err_set(e, EINVAL, "unknown verb '%s': read ctl for the list", words[0]);
	if (count - 1 < v->min_args)
		return err_set(e, EINVAL, "too few words for '%s': write '%s'", v->name,
			       v->usage);
	if (count - 1 > v->max_args)
		return err_set(e, EINVAL, "unknown word '%s' after '%s': write '%s'",
			       words[v->max_args + 1], v->name, v->usage);
	if (atomic_load(&who->progress->cancel))
		return err_set(e, ECANCELED, "'%s' was cancelled", v->name);
	/* Of the line before, if one write brought several. */
	atomic_store(&who->progress->done, 0);
	atomic_store(&who->progress->total, 0);
	rc = v->run(cp, who, count, words, e);
	/* "delete" is what rm does to a volume. */
	metrics_count(cpool_metrics(cp), v->run == verb_delete ? "erase" : v->name, -rc, 0,
		      now_ns() - begun);
	return rc;
}

int verb_run(struct cpool *cp, const struct caller *who, const char *line, struct err *e)
{
	_cleanup_free_ char *text = xstrdup(line);
	char *words[WORDS_MAX];
	int count, rc;

	rc = line_split(text, words, &count, e);
	if (!rc)
		rc = verb_dispatch(cp, who, count, words, e);
	if (rc)
		cpool_set_error(cp, e->text);
	return rc;
}
