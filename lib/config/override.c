/* SPDX-License-Identifier: BSD-3-Clause */
/* Single keys from the environment and the command line: their names -> paths, their values -> nodes. */
#include "config_pvt.h"

#include <ctype.h>
#include <stdio.h>

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
		if (env_has_section(name, len, cfg_keys[i].owner))
			return true;
	for (uint32_t i = 0; i < LIST_CNT; i++)
		if (env_is(name, len, cfg_lists[i].name))
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
		if (env_is(name, len, cfg_keys[i].path))
			return cfg_keys[i].path;
	for (uint32_t i = 0; i < LIST_CNT; i++)
		if (env_is(name, len, cfg_lists[i].name))
			return cfg_lists[i].name;
	p = cfg_arena_text(a, name, len);
	for (size_t i = 0; p && i < len; i++)
		p[i] = (char)tolower((unsigned char)name[i]);
	for (uint32_t i = 0; p && i < KEY_CNT; i++) {
		size_t n = strlen(cfg_keys[i].owner);

		if (env_has_section(name, len, cfg_keys[i].owner)) {
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
		if (strcmp(cfg_keys[i].path, path) == 0)
			return cfg_keys[i].type == TYPE_TEXTS || cfg_keys[i].type == TYPE_PATHS;
	return false;
}

/* a,b -> a list of two. */
static struct node *
split(struct arena *a, const char *value)
{
	struct node *list = cfg_arena_get(a, sizeof(*list)), **last;

	if (!list)
		return NULL;
	list->kind = NODE_LIST;
	for (last = &list->child; *value; last = &(*last)->next) {
		size_t n = strcspn(value, ",");

		*last = cfg_arena_get(a, sizeof(**last));
		if (!*last)
			return NULL;
		(*last)->text = cfg_arena_text(a, value, n);
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
		return cfg_tree_read(a, pr, origin, value, strlen(value), false);
	if (is_texts(path))
		return split(a, value);
	n = cfg_arena_get(a, sizeof(*n));
	if (n) {
		n->plain = true;
		n->text = cfg_arena_text(a, value, strlen(value));
	}
	return n && n->text ? n : NULL;
}

void
cfg_override_take(struct config *c, struct problems *pr, const struct psi_config_override *ov)
{
	const char *eq = strchr(ov->text, '='), *path;
	size_t len = eq ? (size_t)(eq - ov->text) : strlen(ov->text);
	char *origin = cfg_arena_get(&c->arena, len + 16);
	struct value_ctx x = {&c->arena, pr, origin, NULL};
	struct node *n;

	if (!origin)
		return;
	snprintf(
		origin, len + 16, "%s %.*s", ov->env ? "environment" : "--set", (int)len, ov->text);
	if (!eq) {
		cfg_problem(pr, origin, (struct psi_config_at){0, 0},
			"no value; expected KEY=VALUE, such as ring.size=64MiB");
		return;
	}
	path = ov->env ? env_path(&c->arena, ov->text + ENV_PREFIX_LEN, len - ENV_PREFIX_LEN)
		       : cfg_arena_text(&c->arena, ov->text, len);
	n = path ? override_node(&c->arena, pr, origin, path, eq + 1) : NULL;
	if (n)
		cfg_bind_one(c, &x, path, n);
}
