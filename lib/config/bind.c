/* SPDX-License-Identifier: BSD-3-Clause */
/* The tree -> the struct, by the table: which keys there are, each once, what is required, what must fit together. */
#include "config_pvt.h"

#include <stdio.h>

#define FIELDS_MAX 64 /* of a list's entry */

static void *
member(void *of, size_t off)
{
	return (uint8_t *)of + off;
}

bool
cfg_bind_defaults(struct config *c, struct problems *pr)
{
	struct value_ctx x = {&c->arena, pr, "config_keys.def", NULL};

	for (uint32_t i = 0; i < KEY_CNT; i++)
		if (!cfg_value_default(&x, &cfg_keys[i], member(&c->pub, cfg_keys[i].off)))
			return false;
	return true;
}

/* ---- names ---- */

static const struct key *
find_key(const struct key *v, uint32_t cnt, const char *name)
{
	for (uint32_t i = 0; i < cnt; i++)
		if (strcmp(v[i].name, name) == 0)
			return &v[i];
	return NULL;
}

static const struct list *
find_list(const char *name)
{
	for (uint32_t i = 0; i < LIST_CNT; i++)
		if (strcmp(cfg_lists[i].name, name) == 0)
			return &cfg_lists[i];
	return NULL;
}

static bool
is_section(const char *name)
{
	uint32_t cnt;

	cfg_keys_of(name, &cnt);
	return cnt > 0;
}

/* what: at most 80 bytes of it are shown. suggestion: NULL when nothing is like it. */
static void
no_such(const struct value_ctx *x, struct psi_config_at at, const char *kind, const char *what,
	const char *suggestion)
{
	if (suggestion)
		cfg_problem(x->pr, x->origin, at, "%.80s: there is no such %s; did you mean %s?",
			what, kind, suggestion);
	else
		cfg_problem(x->pr, x->origin, at, "%.80s: there is no such %s", what, kind);
}

/* The key of that name in whichever section has one: a key in the wrong section is a common slip. */
static const char *
in_another_section(const char *name)
{
	for (uint32_t i = 0; i < KEY_CNT; i++)
		if (strcmp(cfg_keys[i].name, name) == 0)
			return cfg_keys[i].path;
	return NULL;
}

static void
unknown_key(const struct value_ctx *x, const struct node *n, const char *owner, const struct key *v,
	uint32_t cnt)
{
	struct nearest near = {.word = n->key};
	char what[128], other[128];
	const char *suggestion = NULL;

	for (uint32_t i = 0; i < cnt; i++)
		cfg_nearest_try(&near, v[i].name);
	snprintf(what, sizeof(what), "%s.%s", owner, n->key);
	snprintf(other, sizeof(other), "%s.%s", owner, near.best ? near.best : "");
	if (near.best)
		suggestion = other;
	else if (is_section(owner))
		suggestion = in_another_section(n->key);
	no_such(x, n->key_at, "key", what, suggestion);
}

static void
unknown_section(const struct value_ctx *x, const struct node *n)
{
	struct nearest near = {.word = n->key};
	const char *dot = strchr(n->key, '.');

	for (uint32_t i = 0; i < KEY_CNT; i++) {
		cfg_nearest_try(&near, cfg_keys[i].owner);
		if (strcmp(cfg_keys[i].path, n->key) == 0) {
			cfg_problem(x->pr, x->origin, n->key_at,
				"%s: expected \"%.*s:\" and, indented in the next line, \"%s: ...\"",
				n->key, (int)(dot - n->key), n->key, dot + 1);
			return;
		}
	}
	for (uint32_t i = 0; i < LIST_CNT; i++)
		cfg_nearest_try(&near, cfg_lists[i].name);
	no_such(x, n->key_at, "section", n->key, near.best);
}

static void
twice(const struct value_ctx *x, const struct node *n, const char *path, struct psi_config_at first)
{
	cfg_problem(x->pr, x->origin, n->key_at, "%s: given twice; the first is in line %u", path,
		first.line);
}

/* ---- entries of lists ---- */

static bool
field_set(const struct value_ctx *x, const struct list *l, const struct key *k,
	const struct node *n, void *entry)
{
	char path[128];

	snprintf(path, sizeof(path), "%s[].%s", l->name, k->name);
	return cfg_value_set(x, k, path, n, member(entry, k->off));
}

/* Each key of an entry once; *seen: the node of each field. */
static bool
entry_keys(const struct value_ctx *x, const struct list *l, const struct node *n, void *entry,
	const struct key *v, uint32_t cnt, const struct node **seen)
{
	char name[64];
	bool good = true;

	snprintf(name, sizeof(name), "%s[]", l->name);
	for (const struct node *f = n->child; f && !cfg_problems_full(x->pr); f = f->next) {
		const struct key *k = find_key(v, cnt, f->key);

		if (!k) {
			unknown_key(x, f, name, v, cnt);
		} else if (seen[k - v]) {
			snprintf(name, sizeof(name), "%s[].%s", l->name, k->name);
			twice(x, f, name, seen[k - v]->key_at);
		} else {
			seen[k - v] = f;
			good = field_set(x, l, k, f, entry) && good;
			continue;
		}
		good = false;
	}
	return good;
}

static bool
entry_set(const struct value_ctx *x, const struct list *l, const struct node *n, void *entry)
{
	uint32_t cnt, before = x->pr->cnt;
	const struct key *v = cfg_fields_of(l, &cnt);
	const struct node *seen[FIELDS_MAX] = {NULL};

	*(struct psi_config_at *)entry = n->at;
	PSI_ASSERT(cnt <= FIELDS_MAX, "FIELDS_MAX suffices for every list");
	for (uint32_t i = 0; i < cnt; i++)
		cfg_value_default(x, &v[i], member(entry, v[i].off));
	if (n->kind != NODE_MAP) {
		cfg_problem(x->pr, x->origin, n->at,
			"%s[]: %s; expected \"%s: ...\" and other keys", l->name,
			node_words[n->kind], v[0].name);
		return false;
	}
	entry_keys(x, l, n, entry, v, cnt, seen);
	for (uint32_t i = 0; i < cnt; i++)
		if (!seen[i] && strcmp(v[i].def, "required") == 0)
			cfg_problem(x->pr, x->origin, n->at,
				"%s[]: no %s; expected \"%s: ...\", %s", l->name, v[i].name,
				v[i].name, cfg_type_expected(v[i].type));
	return x->pr->cnt == before;
}

static void
list_set(struct config *c, const struct value_ctx *x, const struct list *l, const struct node *n)
{
	uint32_t cnt = 0;
	uint8_t *v;

	for (const struct node *e = n->child; e && n->kind == NODE_LIST; e = e->next)
		cnt++;
	if (n->kind != NODE_LIST && !cfg_node_is_null(n)) {
		cfg_problem(x->pr, x->origin, n->at,
			"%s: %s; expected a list, each entry begun by \"- \"", l->name,
			node_words[n->kind]);
		return;
	}
	if (cnt > l->max) {
		cfg_problem(x->pr, x->origin, n->at, "%s: %u entries; expected at most %u", l->name,
			cnt, l->max);
		return;
	}
	v = cfg_arena_get(&c->arena, cnt * l->size);
	if (!v)
		return;
	*(const void **)member(&c->pub, l->v_off) = v;
	*(uint32_t *)member(&c->pub, l->cnt_off) = cnt;
	c->list[l - cfg_lists] = (struct origin){x->origin, n->at};
	for (const struct node *e = n->child; e && !cfg_problems_full(x->pr);
		e = e->next, v += l->size)
		entry_set(x, l, e, v);
}

/* ---- sections ---- */

static void
section_set(struct config *c, const struct value_ctx *x, const struct node *s)
{
	uint32_t cnt;
	const struct key *v = cfg_keys_of(s->key, &cnt);
	const struct node *seen[KEY_CNT] = {NULL};

	if (s->kind != NODE_MAP) {
		if (!cfg_node_is_null(s))
			cfg_problem(x->pr, x->origin, s->at,
				"%s: %s; expected its keys, each in a line of its own, indented",
				s->key, node_words[s->kind]);
		return;
	}
	for (const struct node *n = s->child; n && !cfg_problems_full(x->pr); n = n->next) {
		const struct key *k = find_key(v, cnt, n->key);

		if (!k) {
			unknown_key(x, n, s->key, v, cnt);
		} else if (seen[k - v]) {
			twice(x, n, k->path, seen[k - v]->key_at);
		} else {
			seen[k - v] = n;
			cfg_value_set(x, k, k->path, n, member(&c->pub, k->off));
			c->key[k - cfg_keys] = (struct origin){x->origin, n->at};
		}
	}
}

/* A section or list may stand once. There are few, so that a look back costs nothing. */
static const struct node *
earlier(const struct node *root, const struct node *n)
{
	for (const struct node *s = root->child; s != n; s = s->next)
		if (strcmp(s->key, n->key) == 0)
			return s;
	return NULL;
}

void
cfg_bind_tree(struct config *c, const struct value_ctx *x, const struct node *root)
{
	const struct node *first;

	if (root->kind != NODE_MAP) {
		if (!cfg_node_is_null(root))
			cfg_problem(x->pr, x->origin, root->at,
				"%s; expected sections such as \"ring:\"", node_words[root->kind]);
		return;
	}
	for (const struct node *s = root->child; s && !cfg_problems_full(x->pr); s = s->next) {
		bool section = is_section(s->key);
		const struct list *l = section ? NULL : find_list(s->key);

		if (!section && !l)
			unknown_section(x, s);
		else if ((first = earlier(root, s)))
			twice(x, s, s->key, first->key_at);
		else if (section)
			section_set(c, x, s);
		else
			list_set(c, x, l, s);
	}
}

void
cfg_bind_one(struct config *c, const struct value_ctx *x, const char *path, const struct node *n)
{
	const struct list *l = find_list(path);
	struct nearest near = {.word = path};

	if (l) {
		list_set(c, x, l, n);
		return;
	}
	for (uint32_t i = 0; i < KEY_CNT; i++) {
		const struct key *k = &cfg_keys[i];

		cfg_nearest_try(&near, k->path);
		if (strcmp(k->path, path) != 0)
			continue;
		if (cfg_value_set(x, k, k->path, n, member(&c->pub, k->off)))
			c->key[i] = (struct origin){x->origin, n->at};
		return;
	}
	for (uint32_t i = 0; i < LIST_CNT; i++)
		cfg_nearest_try(&near, cfg_lists[i].name);
	no_such(x, n->at, "key", path, near.best);
}
