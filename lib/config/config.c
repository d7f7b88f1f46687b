/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening a configuration: file, environment and command line in this order, each over the one before. */
#include "config_pvt.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- memory ---- */

#define BLOCK_LEN 65536

struct arena_block {
	struct arena_block *next;
	size_t used, len;
	uint64_t mem[];
};

void *
arena_get(struct arena *a, size_t len)
{
	struct arena_block *b = a->blocks;
	void *p;

	len = (len + 7) & ~(size_t)7;
	if (!b || b->len - b->used < len) {
		size_t room = PSI_MAX(len, (size_t)BLOCK_LEN);

		b = calloc(1, sizeof(*b) + room);
		if (!b)
			return NULL;
		b->len = room;
		b->next = a->blocks;
		a->blocks = b;
	}
	p = (uint8_t *)b->mem + b->used;
	b->used += len;
	return p;
}

char *
arena_text(struct arena *a, const char *p, size_t len)
{
	char *t = arena_get(a, len + 1);

	if (t && len)
		memcpy(t, p, len);
	return t;
}

void
arena_free(struct arena *a)
{
	struct arena_block *next;

	for (struct arena_block *b = a->blocks; b; b = next) {
		next = b->next;
		free(b);
	}
	a->blocks = NULL;
}

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
problem(struct problems *pr, const char *origin, struct psi_config_at at, const char *fmt, ...)
{
	char text[768];
	va_list ap;

	if (problems_full(pr))
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
		more = room <= PSI_CONFIG_FILE_MAX ? realloc(buf, room * 2) : NULL;
		if (!more) {
			problem(pr, path, nowhere, "larger than the %u MiB that are read",
				PSI_CONFIG_FILE_MAX >> 20);
			free(buf);
			fclose(f);
			return NULL;
		}
		buf = more;
		room *= 2;
	}
	if (!buf || ferror(f)) {
		problem(pr, path, nowhere, "cannot read it: %s", strerror(errno));
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
	struct node *root = tree_read(&c->arena, pr, x.origin, text, len, true);

	if (slash)
		x.dir = arena_text(&c->arena, c->pub.path, (size_t)(slash - c->pub.path) + 1);
	if (root)
		bind_tree(c, &x, root);
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

/* ---- overrides ---- */

/* RING_SIZE for ring.size. */
static bool
env_is(const char *name, size_t len, const char *path)
{
	for (size_t i = 0; i < len; i++, path++)
		if (!*path || name[i] != (*path == '.' ? '_' : (char)toupper((unsigned char)*path)))
			return false;
	return !*path;
}

static bool
env_has_section(const char *name, size_t len, const char *section)
{
	size_t n = strlen(section);

	return len > n && name[n] == '_' && env_is(name, n, section);
}

static const char env_prefix[] = "PINSIGHT_";
#define ENV_PREFIX_LEN (sizeof(env_prefix) - 1)

/* Other programs of the project have variables of their own, so that a name counts from its section on. */
static bool
env_concerns(const char *name, size_t len)
{
	for (uint32_t i = 0; i < KEY_CNT; i++)
		if (env_has_section(name, len, config_keys[i].owner))
			return true;
	for (uint32_t i = 0; i < LIST_CNT; i++)
		if (env_is(name, len, config_lists[i].name))
			return true;
	return false;
}

uint32_t
psi_config_env(char *const *env, struct psi_config_override *ov, uint32_t max)
{
	uint32_t cnt = 0;

	for (; env && *env; env++) {
		const char *name = *env + ENV_PREFIX_LEN, *eq = strchr(*env, '=');

		if (!eq || strncmp(*env, env_prefix, ENV_PREFIX_LEN) != 0 ||
			!env_concerns(name, (size_t)(eq - name)))
			continue;
		if (cnt < max)
			ov[cnt] = (struct psi_config_override){*env, true};
		cnt++;
	}
	return cnt;
}

/* What a variable is called among the keys; an unknown one is brought into the form of a path, for the nearest. */
static const char *
env_path(struct arena *a, const char *name, size_t len)
{
	char *p;

	for (uint32_t i = 0; i < KEY_CNT; i++)
		if (env_is(name, len, config_keys[i].path))
			return config_keys[i].path;
	for (uint32_t i = 0; i < LIST_CNT; i++)
		if (env_is(name, len, config_lists[i].name))
			return config_lists[i].name;
	p = arena_text(a, name, len);
	for (size_t i = 0; p && i < len; i++)
		p[i] = (char)tolower((unsigned char)name[i]);
	for (uint32_t i = 0; p && i < KEY_CNT; i++) {
		size_t n = strlen(config_keys[i].owner);

		if (env_has_section(name, len, config_keys[i].owner)) {
			p[n] = '.';
			break;
		}
	}
	return p;
}

static bool
is_texts(const char *path)
{
	for (uint32_t i = 0; i < KEY_CNT; i++)
		if (strcmp(config_keys[i].path, path) == 0)
			return config_keys[i].type == TYPE_TEXTS ||
			       config_keys[i].type == TYPE_PATHS;
	return false;
}

/* a,b -> a list of two. */
static struct node *
split(struct arena *a, const char *value)
{
	struct node *list = arena_get(a, sizeof(*list)), **last;

	if (!list)
		return NULL;
	list->kind = NODE_LIST;
	for (last = &list->child; *value; last = &(*last)->next) {
		size_t n = strcspn(value, ",");

		*last = arena_get(a, sizeof(**last));
		if (!*last)
			return NULL;
		(*last)->text = arena_text(a, value, n);
		if (!(*last)->text)
			return NULL;
		value += n + (value[n] == ',');
	}
	return list;
}

static struct node *
override_node(struct arena *a, struct problems *pr, const char *origin, const char *path,
	const char *value)
{
	struct node *n;

	if (*value && strchr("[{\"'", *value))
		return tree_read(a, pr, origin, value, strlen(value), false);
	if (is_texts(path))
		return split(a, value);
	n = arena_get(a, sizeof(*n));
	if (n) {
		n->plain = true;
		n->text = arena_text(a, value, strlen(value));
	}
	return n && n->text ? n : NULL;
}

static void
take_override(struct config *c, struct problems *pr, const struct psi_config_override *ov)
{
	const char *eq = strchr(ov->text, '='), *path;
	size_t len = eq ? (size_t)(eq - ov->text) : strlen(ov->text);
	char *origin = arena_get(&c->arena, len + 16);
	struct value_ctx x = {&c->arena, pr, origin, NULL};
	struct node *n;

	if (!origin)
		return;
	snprintf(
		origin, len + 16, "%s %.*s", ov->env ? "environment" : "--set", (int)len, ov->text);
	if (!eq) {
		problem(pr, origin, (struct psi_config_at){0, 0},
			"no value; expected KEY=VALUE, such as ring.size=64MiB");
		return;
	}
	path = ov->env ? env_path(&c->arena, ov->text + ENV_PREFIX_LEN, len - ENV_PREFIX_LEN)
		       : arena_text(&c->arena, ov->text, len);
	n = path ? override_node(&c->arena, pr, origin, path, eq + 1) : NULL;
	if (n)
		bind_one(c, &x, path, n);
}

/* ---- open, close ---- */

static void
take_all(struct config *c, struct problems *pr, const struct psi_config_source *src)
{
	if (!bind_defaults(c, pr))
		return;
	if (src->path || src->text)
		take_file(c, pr, src);
	for (int env = 1; env >= 0; env--)
		for (uint32_t i = 0; i < src->ov_cnt; i++)
			if (src->ov[i].env == env)
				take_override(c, pr, &src->ov[i]);
	if (!pr->cnt)
		bind_check(c, pr);
}

struct psi_config *
psi_config_load(const struct psi_config_source *src, struct psi_err *err)
{
	struct problems pr = {.src = src, .err = err};
	struct config *c = calloc(1, sizeof(*c));

	if (c)
		c->pub.path = arena_text(
			&c->arena, src->path ? src->path : "", src->path ? strlen(src->path) : 0);
	if (!c || !c->pub.path) {
		psi_err_set(err, -ENOMEM, "no memory for the configuration");
		free(c);
		return NULL;
	}
	take_all(c, &pr, src);
	if (!pr.cnt)
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
	arena_free(&c->arena);
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
		if (config_keys[i].off == off)
			return say(err, rc, &config_of(cfg)->key[i], config_keys[i].path, text);
	for (uint32_t i = 0; i < LIST_CNT; i++)
		if (config_lists[i].v_off == off)
			return say(err, rc, &config_of(cfg)->list[i], config_lists[i].name, text);
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
	const struct key *v = fields_of(l, &cnt);

	if (n != *(const uint32_t *)((const uint8_t *)b + l->cnt_off))
		return false;
	for (uint32_t i = 0; i < n; i++, x += l->size, y += l->size)
		for (uint32_t j = 0; j < cnt; j++)
			if (!value_equal(v[j].type, x + v[j].off, y + v[j].off))
				return false;
	return true;
}

static void
name_it(const char *name, uint32_t nth, char *text, size_t size)
{
	size_t used = strnlen(text, size);

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
		const struct key *k = &config_keys[i];

		if (!k->reload && !value_equal(k->type, (const uint8_t *)old + k->off,
					  (const uint8_t *)now + k->off))
			name_it(k->path, n++, text, size);
	}
	for (uint32_t i = 0; i < LIST_CNT; i++)
		if (!config_lists[i].reload && !lists_equal(&config_lists[i], old, now))
			name_it(config_lists[i].name, n++, text, size);
	return n;
}
