/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening a configuration: file, environment and command line in this order, each over the one before. */
#include "config_pvt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- problems ---- */

static void
tell(struct problems *pr, const char *origin, struct psi_config_at at, const char *text)
{
	struct psi_config_problem p = {origin, at, text};

	if (pr->cnt == 1 && at.line)
		psi_err_set(pr->err, 0, "%s:%u:%u: %s", origin, at.line, at.col, text);
	else if (pr->cnt == 1)
		psi_err_set(pr->err, 0, "%s: %s", origin, text);
	if (pr->src->report)
		pr->src->report(pr->src->ctx, &p);
}

void
cfg_problem(struct problems *pr, const char *origin, struct psi_config_at at, const char *fmt, ...)
{
	char text[768];
	va_list ap;

	if (cfg_problems_full(pr))
		return;
	if (++pr->cnt > PSI_CONFIG_ERROR_MAX) {
		tell(pr, origin, at, "more is wrong from here on; mend what was told first");
		return;
	}
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	tell(pr, origin, at, text);
}

/* ---- the file ---- */

/* The whole file. A pipe or a device is no reason to refuse, but there is an end to what is taken. */
static char *
read_file(struct problems *pr, const char *path, size_t *len)
{
	static const struct psi_config_at nowhere;
	size_t room = 65536, n;
	FILE *f = fopen(path, "rb");
	char *buf = f ? malloc(room) : NULL, *more;

	*len = 0;
	while (buf && (n = fread(buf + *len, 1, room - *len, f)) > 0) {
		*len += n;
		if (*len < room)
			continue;
		more = room < PSI_CONFIG_FILE_MAX ? realloc(buf, room * 2) : NULL;
		if (!more) {
			cfg_problem(pr, path, nowhere, "larger than the %u MiB that are read",
				PSI_CONFIG_FILE_MAX >> 20);
			free(buf);
			fclose(f);
			return NULL;
		}
		buf = more;
		room *= 2;
	}
	if (!buf || ferror(f)) {
		cfg_problem(pr, path, nowhere, "cannot read it: %s", strerror(errno));
		free(buf);
		buf = NULL;
	}
	if (f)
		fclose(f);
	return buf;
}

static void
take_text(struct config *c, struct problems *pr, const char *text, size_t len)
{
	const char *slash = strrchr(c->pub.path, '/');
	struct value_ctx x = {&c->arena, pr, c->pub.path, NULL};
	struct node *root = cfg_tree_read(&c->arena, pr, x.origin, text, len, true);

	if (slash)
		x.dir = cfg_arena_text(&c->arena, c->pub.path, (size_t)(slash - c->pub.path) + 1);
	if (root)
		cfg_bind_tree(c, &x, root);
}

static void
take_file(struct config *c, struct problems *pr, const struct psi_config_source *src)
{
	size_t len = src->len;
	char *text;

	if (src->text) {
		take_text(c, pr, src->text, len);
		return;
	}
	text = read_file(pr, src->path, &len);
	if (text)
		take_text(c, pr, text, len);
	free(text);
}

/* ---- open, close ---- */

static void
take_all(struct config *c, struct problems *pr, const struct psi_config_source *src)
{
	if (!cfg_bind_defaults(c, pr))
		return;
	if (src->path || src->text)
		take_file(c, pr, src);
	for (int env = 1; env >= 0; env--)
		for (uint32_t i = 0; i < src->ov_cnt; i++)
			if (src->ov[i].env == env)
				cfg_override_take(c, pr, &src->ov[i]);
	if (!pr->cnt)
		cfg_bind_check(c, pr);
}

struct psi_config *
psi_config_load(const struct psi_config_source *src, struct psi_err *err)
{
	struct problems pr = {.src = src, .err = err};
	struct config *c = calloc(1, sizeof(*c));

	if (c)
		c->pub.path = cfg_arena_text(
			&c->arena, src->path ? src->path : "", src->path ? strlen(src->path) : 0);
	if (!c || !c->pub.path) {
		psi_err_set(err, -ENOMEM, "no memory for the configuration");
		free(c);
		return NULL;
	}
	take_all(c, &pr, src);
	if (c->arena.failed) /* what is missing would else count as not given */
		psi_err_set(err, -ENOMEM, "no memory for the configuration");
	else if (!pr.cnt)
		return &c->pub;
	psi_config_close(&c->pub);
	return NULL;
}

struct psi_config *
psi_config_open(const char *path, const struct psi_config_override *ov, uint32_t ov_cnt,
	struct psi_err *err)
{
	struct psi_config_source src = {.path = path, .ov = ov, .ov_cnt = ov_cnt};

	return psi_config_load(&src, err);
}

void
psi_config_close(struct psi_config *cfg)
{
	struct config *c = (struct config *)cfg;

	if (!c)
		return;
	cfg_arena_free(&c->arena);
	free(c);
}

/* ---- an open config ---- */

static const struct config *
config_of(const struct psi_config *cfg)
{
	return (const struct config *)(const void *)cfg;
}

static int
say(struct psi_err *err, int rc, const struct origin *o, const char *key, const char *text)
{
	const char *colon = *key ? ": " : "";

	if (!o->name)
		return psi_err_set(err, rc, "%s%s%s", key, colon, text);
	if (!o->at.line)
		return psi_err_set(err, rc, "%s: %s%s%s", o->name, key, colon, text);
	return psi_err_set(
		err, rc, "%s:%u:%u: %s%s%s", o->name, o->at.line, o->at.col, key, colon, text);
}

int
psi_config_err(const struct psi_config *cfg, const void *value, struct psi_err *err, int rc,
	const char *fmt, ...)
{
	size_t off = (size_t)((const uint8_t *)value - (const uint8_t *)cfg);
	char text[sizeof(err->text)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (uint32_t i = 0; i < KEY_CNT; i++)
		if (cfg_keys[i].off == off)
			return say(err, rc, &config_of(cfg)->key[i], cfg_keys[i].path, text);
	for (uint32_t i = 0; i < LIST_CNT; i++)
		if (cfg_lists[i].v_off == off)
			return say(err, rc, &config_of(cfg)->list[i], cfg_lists[i].name, text);
	return psi_err_set(err, rc, "%s", text);
}

int
psi_config_err_at(const struct psi_config *cfg, struct psi_config_at at, struct psi_err *err,
	int rc, const char *fmt, ...)
{
	struct origin o = {at.line ? cfg->path : "--set or environment", at};
	char text[sizeof(err->text)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return say(err, rc, &o, "", text);
}

/* ---- differences ---- */

static bool
lists_equal(const struct list *l, const struct psi_config *a, const struct psi_config *b)
{
	const uint8_t *x = *(const uint8_t *const *)((const uint8_t *)a + l->v_off);
	const uint8_t *y = *(const uint8_t *const *)((const uint8_t *)b + l->v_off);
	uint32_t n = *(const uint32_t *)((const uint8_t *)a + l->cnt_off), cnt;
	const struct key *v = cfg_fields_of(l, &cnt);

	if (n != *(const uint32_t *)((const uint8_t *)b + l->cnt_off))
		return false;
	for (uint32_t i = 0; i < n; i++, x += l->size, y += l->size)
		for (uint32_t j = 0; j < cnt; j++)
			if (!cfg_value_equal(v[j].type, x + v[j].off, y + v[j].off))
				return false;
	return true;
}

static void
name_it(const char *name, uint32_t nth, char *text, size_t size)
{
	size_t used = size ? strnlen(text, size) : 0; /* text may be NULL when size is 0 */

	if (used < size)
		snprintf(text + used, size - used, "%s%s", nth ? ", " : "", name);
}

uint32_t
psi_config_diff(const struct psi_config *old, const struct psi_config *now, char *text, size_t size)
{
	uint32_t n = 0;

	if (size)
		*text = '\0';
	for (uint32_t i = 0; i < KEY_CNT; i++) {
		const struct key *k = &cfg_keys[i];

		if (!k->reload && !cfg_value_equal(k->type, (const uint8_t *)old + k->off,
					  (const uint8_t *)now + k->off))
			name_it(k->path, n++, text, size);
	}
	for (uint32_t i = 0; i < LIST_CNT; i++)
		if (!cfg_lists[i].reload && !lists_equal(&cfg_lists[i], old, now))
			name_it(cfg_lists[i].name, n++, text, size);
	return n;
}
