/* SPDX-License-Identifier: BSD-3-Clause */
/* One value as an operator writes it -> what the program works with, or what is wrong with it. */
#include "config_pvt.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* ---- one scalar ---- */

static bool
no_number(const struct value_ctx *x, const struct key *k, const char *path, const struct node *n,
	const struct psi_err *why)
{
	if (why->text[0])
		cfg_problem(x->pr, x->origin, n->at, "%s: %s", path, why->text);
	else if (!n->plain)
		cfg_problem(x->pr, x->origin, n->at, "%s: a text in quotes; expected %s", path,
			cfg_type_expected(k->type));
	else
		cfg_problem(x->pr, x->origin, n->at, "%s: '%.80s'; expected %s", path, n->text,
			cfg_type_expected(k->type));
	return false;
}

static bool
is_auto(const struct key *k, const char *text)
{
	return (k->type == TYPE_COUNT_AUTO || k->type == TYPE_SIZE_AUTO || k->type == TYPE_CORE) &&
	       strcmp(text, "auto") == 0;
}

static bool
in_range(const struct value_ctx *x, const struct key *k, const char *path, const struct node *n,
	double v)
{
	double min, max;

	if (is_auto(k, n->text))
		return true;
	cfg_number_parse(k->type, k->min, &min, NULL);
	cfg_number_parse(k->type, k->max, &max, NULL);
	if (v >= min && v <= max)
		return true;
	cfg_problem(x->pr, x->origin, n->at, "%s: %s is too %s; expected %s to %s%s%s", path,
		n->text, v < min ? "small" : "large", k->min, k->max, *k->unit ? " " : "", k->unit);
	return false;
}

static void
store_number(enum key_type type, double v, void *dst)
{
	switch (type) {
	case TYPE_SIZE:
	case TYPE_SIZE_AUTO:
	case TYPE_DURATION: *(uint64_t *)dst = (uint64_t)v; break;
	case TYPE_RATIO:
	case TYPE_NUMBER: *(double *)dst = v; break;
	case TYPE_CORE: *(int32_t *)dst = (int32_t)v; break;
	default: *(uint32_t *)dst = (uint32_t)v; break;
	}
}

static bool
set_number(const struct value_ctx *x, const struct key *k, const char *path, const struct node *n,
	void *dst)
{
	bool with_units = k->type == TYPE_SIZE || k->type == TYPE_SIZE_AUTO ||
			  k->type == TYPE_DURATION || k->type == TYPE_MODE || k->type == TYPE_RATIO;
	struct psi_err why = {""};
	double v;

	if ((!n->plain && !with_units && !is_auto(k, n->text)) ||
		!cfg_number_parse(k->type, n->text, &v, &why))
		return no_number(x, k, path, n, &why);
	if (!in_range(x, k, path, n, v))
		return false;
	store_number(k->type, v, dst);
	return true;
}

static bool
set_bool(const struct value_ctx *x, const struct key *k, const char *path, const struct node *n,
	void *dst)
{
	static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};

	for (size_t i = 0; i < PSI_COUNT(words) && n->plain; i++) {
		if (strcasecmp(n->text, words[i]) == 0) {
			*(bool *)dst = i % 2;
			return true;
		}
	}
	return no_number(x, k, path, n, &(struct psi_err){""});
}

static bool
set_choice(const struct value_ctx *x, const struct key *k, const char *path, const struct node *n,
	void *dst)
{
	const struct words *w = cfg_words_of(k->words);
	struct nearest near = {.word = n->text};
	char all[256];
	size_t used = 0;

	for (uint32_t i = 0; i < w->cnt; i++) {
		if (strcmp(n->text, w->v[i].word) == 0) {
			*(uint32_t *)dst = i;
			return true;
		}
		cfg_nearest_try(&near, w->v[i].word);
		used += (size_t)snprintf(all + used, sizeof(all) - used, "%s%s",
			i == 0		  ? ""
			: i + 1 == w->cnt ? " or "
					  : ", ",
			w->v[i].word);
	}
	cfg_problem(x->pr, x->origin, n->at, "%s: '%.80s'; expected %s%s%s%s", path, n->text, all,
		near.best ? "; did you mean " : "", near.best ? near.best : "",
		near.best ? "?" : "");
	return false;
}

/* ---- texts ---- */

static bool
text_good(const struct value_ctx *x, const char *path, const struct node *n, enum key_type type,
	size_t min, size_t max)
{
	size_t len = strlen(n->text), c_len;
	uint32_t cp = 0;

	for (size_t i = 0; i < len; i += c_len) {
		c_len = cfg_utf8_next((const uint8_t *)n->text + i, len - i, &cp);
		if (c_len && cp >= 0x20 && (cp < 0x7f || cp > 0x9f))
			continue;
		cfg_problem(x->pr, x->origin, n->at,
			"%s: a byte 0x%02x that is no character; expected %s", path,
			(uint8_t)n->text[i], cfg_type_expected(type));
		return false;
	}
	if (len >= min && len <= max)
		return true;
	if (!len)
		cfg_problem(x->pr, x->origin, n->at, "%s: an empty text; expected %s", path,
			cfg_type_expected(type));
	else
		cfg_problem(x->pr, x->origin, n->at, "%s: a text of %zu bytes; expected %zu to %zu",
			path, len, min, max);
	return false;
}

/* A path of the file is taken from the file's folder, so that it means the same wherever the program is started. */
static const char *
path_of(const struct value_ctx *x, const char *text)
{
	size_t dir_len = x->dir ? strlen(x->dir) : 0;
	char *p;

	if (!dir_len || !*text || *text == '/')
		return text;
	p = cfg_arena_get(x->a, dir_len + strlen(text) + 1);
	if (p) {
		memcpy(p, x->dir, dir_len);
		strcpy(p + dir_len, text);
	}
	return p ? p : text;
}

static bool
set_text(const struct value_ctx *x, const struct key *k, const char *path, const struct node *n,
	void *dst)
{
	if (!text_good(x, path, n, k->type, (size_t)strtoul(k->min, NULL, 10),
		    (size_t)strtoul(k->max, NULL, 10)))
		return false;
	if (k->type == TYPE_PATTERN)
		*(struct psi_config_pattern *)dst = (struct psi_config_pattern){n->text, n->at};
	else
		*(const char **)dst = k->type == TYPE_PATH ? path_of(x, n->text) : n->text;
	return true;
}

static uint32_t
children(const struct node *n)
{
	uint32_t cnt = 0;

	for (const struct node *c = n->child; c; c = c->next)
		cnt++;
	return cnt;
}

static bool
entries_good(const struct value_ctx *x, const struct key *k, const char *path, const struct node *n,
	uint32_t cnt)
{
	uint32_t min = (uint32_t)strtoul(k->min, NULL, 10),
		 max = (uint32_t)strtoul(k->max, NULL, 10);

	if (cnt >= min && cnt <= max)
		return true;
	cfg_problem(
		x->pr, x->origin, n->at, "%s: %u entries; expected %u to %u", path, cnt, min, max);
	return false;
}

/* One text alone is a list of one. */
static bool
set_texts(const struct value_ctx *x, const struct key *k, const char *path, const struct node *n,
	void *dst)
{
	const struct node *c = n->kind == NODE_LIST ? n->child : n;
	uint32_t cnt = n->kind == NODE_LIST ? children(n) : 1, i = 0;
	enum key_type type = k->type == TYPE_PATHS ? TYPE_PATH : TYPE_TEXT;
	struct psi_config_at *at = cfg_arena_get(x->a, cnt * sizeof(*at));
	const char **v = cfg_arena_get(x->a, cnt * sizeof(*v));

	if (!entries_good(x, k, path, n, cnt) || !at || !v)
		return false;
	for (; i < cnt; c = c->next, i++) {
		if (c->kind != NODE_SCALAR || cfg_node_is_null(c)) {
			cfg_problem(x->pr, x->origin, c->at, "%s: %s; expected %s", path,
				c->kind == NODE_SCALAR ? "an entry without value"
						       : node_words[c->kind],
				cfg_type_expected(type));
			return false;
		}
		if (!text_good(x, path, c, type, 1, 4096))
			return false;
		v[i] = type == TYPE_PATH ? path_of(x, c->text) : c->text;
		at[i] = c->at;
	}
	*(struct psi_config_strs *)dst = (struct psi_config_strs){cnt, v, at};
	return true;
}

/* ---- cores: 3, 2-5, 2,4-6 or a list of those ---- */

#define CORES_MAX 1024

static bool
add_cores(const char *text, uint16_t *v, uint32_t *cnt)
{
	double from, to;

	while (cfg_number_digits(text, false, &from, &text)) {
		to = from;
		if (*text == '-' && !cfg_number_digits(text + 1, false, &to, &text))
			return false;
		if (to < from || to > 1023 || *cnt + (to - from) + 1 > CORES_MAX)
			return false;
		for (; from <= to; from++)
			v[(*cnt)++] = (uint16_t)from;
		if (!*text)
			return true;
		if (*text++ != ',')
			return false;
		while (*text == ' ')
			text++;
	}
	return false;
}

static bool
set_cores(const struct value_ctx *x, const struct key *k, const char *path, const struct node *n,
	void *dst)
{
	uint16_t v[CORES_MAX], *kept;
	uint32_t cnt = 0;
	const struct node *c = n->kind == NODE_LIST ? n->child : n;

	*(struct psi_config_core_list *)dst = (struct psi_config_core_list){0, NULL};
	if (n->kind == NODE_SCALAR && strcmp(n->text, "auto") == 0)
		return true;
	for (; c; c = n->kind == NODE_LIST ? c->next : NULL) {
		if (c->kind == NODE_SCALAR && add_cores(c->text, v, &cnt))
			continue;
		cfg_problem(x->pr, x->origin, c->at, "%s: '%.80s'; expected %s, each 0 to 1023",
			path, c->kind == NODE_SCALAR ? c->text : node_words[c->kind],
			cfg_type_expected(k->type));
		return false;
	}
	if (!cnt) {
		cfg_problem(x->pr, x->origin, n->at, "%s: an empty list; expected %s", path,
			cfg_type_expected(k->type));
		return false;
	}
	kept = cfg_arena_get(x->a, cnt * sizeof(*v));
	if (!kept)
		return false;
	memcpy(kept, v, cnt * sizeof(*v));
	*(struct psi_config_core_list *)dst = (struct psi_config_core_list){cnt, kept};
	return true;
}

/* ---- any ---- */

static bool
takes_list(enum key_type t)
{
	return t == TYPE_TEXTS || t == TYPE_PATHS || t == TYPE_CORES;
}

bool
cfg_value_set(const struct value_ctx *x, const struct key *k, const char *path,
	const struct node *n, void *dst)
{
	struct psi_err why = {""};

	if (cfg_node_is_null(n)) {
		cfg_problem(x->pr, x->origin, n->at,
			"%s: no value; expected %s, or leave the key out", path,
			cfg_type_expected(k->type));
		return false;
	}
	if (n->kind == NODE_MAP || (n->kind == NODE_LIST && !takes_list(k->type))) {
		cfg_problem(x->pr, x->origin, n->at, "%s: %s; expected %s", path,
			node_words[n->kind], cfg_type_expected(k->type));
		return false;
	}
	switch (k->type) {
	case TYPE_BOOL: return set_bool(x, k, path, n, dst);
	case TYPE_CHOICE: return set_choice(x, k, path, n, dst);
	case TYPE_TEXT:
	case TYPE_PATH:
	case TYPE_PATTERN: return set_text(x, k, path, n, dst);
	case TYPE_TEXTS:
	case TYPE_PATHS: return set_texts(x, k, path, n, dst);
	case TYPE_CORES: return set_cores(x, k, path, n, dst);
	case TYPE_DATE: return cfg_date_parse(n->text, dst, &why) || no_number(x, k, path, n, &why);
	default: return set_number(x, k, path, n, dst);
	}
}

bool
cfg_value_default(const struct value_ctx *x, const struct key *k, void *dst)
{
	struct node n = {.kind = NODE_SCALAR, .plain = true, .text = k->def};

	if (!*k->def || strcmp(k->def, "required") == 0)
		return true; /* zeroed memory is none */
	return cfg_value_set(x, k, k->path, &n, dst);
}

/* ---- comparing ---- */

static bool
texts_equal(const struct psi_config_strs *a, const struct psi_config_strs *b)
{
	if (a->cnt != b->cnt)
		return false;
	for (uint32_t i = 0; i < a->cnt; i++)
		if (strcmp(a->v[i], b->v[i]) != 0)
			return false;
	return true;
}

static bool
text_equal(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

bool
cfg_value_equal(enum key_type type, const void *a, const void *b)
{
	const struct psi_config_core_list *ca = a, *cb = b;

	switch (type) {
	case TYPE_BOOL: return *(const bool *)a == *(const bool *)b;
	case TYPE_TEXT:
	case TYPE_PATH: return text_equal(*(const char *const *)a, *(const char *const *)b);
	case TYPE_PATTERN:
		return text_equal(((const struct psi_config_pattern *)a)->text,
			((const struct psi_config_pattern *)b)->text);
	case TYPE_TEXTS:
	case TYPE_PATHS: return texts_equal(a, b);
	case TYPE_CORES:
		return ca->cnt == cb->cnt &&
		       (!ca->cnt || memcmp(ca->v, cb->v, ca->cnt * sizeof(*ca->v)) == 0);
	case TYPE_SIZE:
	case TYPE_SIZE_AUTO:
	case TYPE_DURATION:
	case TYPE_DATE: return memcmp(a, b, 8) == 0;
	case TYPE_RATIO:
	case TYPE_NUMBER: return *(const double *)a == *(const double *)b;
	default: return memcmp(a, b, 4) == 0;
	}
}
