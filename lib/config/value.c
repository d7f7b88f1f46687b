/* SPDX-License-Identifier: BSD-3-Clause */
/* One value as an operator writes it -> what the program works with, or what is wrong with it. */
#include "config_pvt.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- numbers ---- */

struct unit {
	const char *name;
	double factor;
};

/* K and KiB are 1024 as everywhere with memory; kB is 1000. */
static const struct unit size_units[] = {
	{"B", 1},
	{"K", 0x1p10},
	{"KiB", 0x1p10},
	{"kB", 1e3},
	{"M", 0x1p20},
	{"MiB", 0x1p20},
	{"MB", 1e6},
	{"G", 0x1p30},
	{"GiB", 0x1p30},
	{"GB", 1e9},
	{"T", 0x1p40},
	{"TiB", 0x1p40},
	{"TB", 1e12},
	{NULL, 0},
};
static const struct unit time_units[] = {
	{"ns", 1},
	{"us", 1e3},
	{"ms", 1e6},
	{"s", 1e9},
	{"m", 60e9},
	{"min", 60e9},
	{"h", 3600e9},
	{"d", 86400e9},
	{NULL, 0},
};

/* [0-9]+ with _ between digits as in YAML 1.1, then perhaps a fraction; *end: what follows. Not strtod, which would take
 * "inf", "0x10" and the locale's comma. Digits beyond the 18th change nothing that anyone could mean. */
static bool
digits(const char *s, bool fraction, double *out, const char **end)
{
	double v = 0, scale = 1;
	const char *p = s;
	unsigned int n = 0;

	for (; (*p >= '0' && *p <= '9') || (*p == '_' && p > s && p[1] >= '0' && p[1] <= '9');
		p++) {
		if (*p == '_')
			continue;
		if (++n > 18)
			return false;
		v = v * 10 + (*p - '0');
	}
	if (!n || (n > 1 && *s == '0'))
		return false;
	if (fraction && *p == '.' && p[1] >= '0' && p[1] <= '9') {
		for (p++; *p >= '0' && *p <= '9' && n <= 18; p++, n++) {
			v = v * 10 + (*p - '0');
			scale *= 10;
		}
	}
	*out = v / scale;
	*end = p;
	return true;
}

static bool
with_unit(const char *text, const struct unit *units, double *out, const char *example,
	struct psi_err *why)
{
	const char *rest;

	if (!digits(text, true, out, &rest))
		return false;
	while (*rest == ' ')
		rest++;
	if (!*rest && *out == 0)
		return true;
	if (!*rest) {
		psi_err_set(why, 0, "%s has no unit: %s", text, example);
		return false;
	}
	for (; units->name; units++) {
		if (strcmp(rest, units->name) == 0) {
			*out *= units->factor;
			return true;
		}
	}
	psi_err_set(why, 0, "'%s' is no unit: %s", rest, example);
	return false;
}

static bool
parse_size(const char *text, double *out, struct psi_err *why)
{
	if (!with_unit(
		    text, size_units, out, "write B, KiB, MiB, GiB or TiB after the number", why))
		return false;
	if (*out == floor(*out))
		return true;
	psi_err_set(why, 0, "%s is no whole number of bytes", text);
	return false;
}

static bool
parse_mode(const char *text, double *out)
{
	uint32_t v = 0;

	if (text[0] != '0' || strlen(text) != 4)
		return false;
	for (const char *p = text; *p; p++) {
		if (*p < '0' || *p > '7')
			return false;
		v = v << 3 | (uint32_t)(*p - '0');
	}
	*out = v;
	return true;
}

bool
number_parse(enum key_type type, const char *text, double *out, struct psi_err *why)
{
	bool is_auto = strcmp(text, "auto") == 0;
	const char *rest = "";

	*out = 0;
	switch (type) {
	case TYPE_COUNT_AUTO:
		if (is_auto)
			return true;
		return digits(text, false, out, &rest) && !*rest;
	case TYPE_COUNT: return digits(text, false, out, &rest) && !*rest;
	case TYPE_SIZE_AUTO:
		if (is_auto)
			return true;
		return parse_size(text, out, why);
	case TYPE_SIZE: return parse_size(text, out, why);
	case TYPE_DURATION:
		return with_unit(text, time_units, out,
			"write ns, us, ms, s, m, h or d after the number", why);
	case TYPE_RATIO:
		if (!digits(text, true, out, &rest))
			return false;
		if (strcmp(rest, "%") == 0)
			*out /= 100;
		return !*rest || strcmp(rest, "%") == 0;
	case TYPE_NUMBER: return digits(text, true, out, &rest) && !*rest;
	case TYPE_MODE: return parse_mode(text, out);
	case TYPE_CORE:
		*out = PSI_CONFIG_CORE_AUTO;
		if (is_auto)
			return true;
		return digits(text, false, out, &rest) && !*rest;
	default: return false;
	}
}

/* ---- one scalar ---- */

static bool
no_number(const struct value_ctx *x, const struct key *k, const char *path, const struct node *n,
	const struct psi_err *why)
{
	if (why->text[0])
		problem(x->pr, x->origin, n->at, "%s: %s", path, why->text);
	else if (!n->plain)
		problem(x->pr, x->origin, n->at, "%s: a text in quotes; expected %s", path,
			type_expected(k->type));
	else
		problem(x->pr, x->origin, n->at, "%s: '%.80s'; expected %s", path, n->text,
			type_expected(k->type));
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
	number_parse(k->type, k->min, &min, NULL);
	number_parse(k->type, k->max, &max, NULL);
	if (v >= min && v <= max)
		return true;
	problem(x->pr, x->origin, n->at, "%s: %s is too %s; expected %s to %s%s%s", path, n->text,
		v < min ? "small" : "large", k->min, k->max, *k->unit ? " " : "", k->unit);
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
		!number_parse(k->type, n->text, &v, &why))
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
	const struct words *w = words_of(k->words);
	struct nearest near = {.word = n->text};
	char all[256];
	size_t used = 0;

	for (uint32_t i = 0; i < w->cnt; i++) {
		if (strcmp(n->text, w->v[i].word) == 0) {
			*(uint32_t *)dst = i;
			return true;
		}
		nearest_try(&near, w->v[i].word);
		used += (size_t)snprintf(all + used, sizeof(all) - used, "%s%s",
			i == 0		  ? ""
			: i + 1 == w->cnt ? " or "
					  : ", ",
			w->v[i].word);
	}
	problem(x->pr, x->origin, n->at, "%s: '%.80s'; expected %s%s%s%s", path, n->text, all,
		near.best ? "; did you mean " : "", near.best ? near.best : "",
		near.best ? "?" : "");
	return false;
}

/* ---- texts ---- */

static bool
text_good(const struct value_ctx *x, const char *path, const struct node *n, enum key_type type,
	size_t min, size_t max)
{
	size_t len = strlen(n->text);

	for (const char *p = n->text; *p; p++) {
		if ((uint8_t)*p < 0x20 || *p == 0x7f) {
			problem(x->pr, x->origin, n->at,
				"%s: control character \\x%02x; expected %s", path, (uint8_t)*p,
				type_expected(type));
			return false;
		}
	}
	if (len >= min && len <= max)
		return true;
	if (!len)
		problem(x->pr, x->origin, n->at, "%s: an empty text; expected %s", path,
			type_expected(type));
	else
		problem(x->pr, x->origin, n->at, "%s: a text of %zu bytes; expected %zu to %zu",
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
	p = arena_get(x->a, dir_len + strlen(text) + 1);
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
	problem(x->pr, x->origin, n->at, "%s: %u entries; expected %u to %u", path, cnt, min, max);
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
	struct psi_config_at *at = arena_get(x->a, cnt * sizeof(*at));
	const char **v = arena_get(x->a, cnt * sizeof(*v));

	if (!entries_good(x, k, path, n, cnt) || !at || !v)
		return false;
	for (; i < cnt; c = c->next, i++) {
		if (c->kind != NODE_SCALAR || node_is_null(c)) {
			problem(x->pr, x->origin, c->at, "%s: %s; expected %s", path,
				c->kind == NODE_SCALAR ? "an entry without value"
						       : node_words[c->kind],
				type_expected(type));
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

	while (digits(text, false, &from, &text)) {
		to = from;
		if (*text == '-' && !digits(text + 1, false, &to, &text))
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
		problem(x->pr, x->origin, c->at, "%s: '%.80s'; expected %s, each 0 to 1023", path,
			c->kind == NODE_SCALAR ? c->text : node_words[c->kind],
			type_expected(k->type));
		return false;
	}
	if (!cnt) {
		problem(x->pr, x->origin, n->at, "%s: an empty list; expected %s", path,
			type_expected(k->type));
		return false;
	}
	kept = arena_get(x->a, cnt * sizeof(*v));
	if (!kept)
		return false;
	memcpy(kept, v, cnt * sizeof(*v));
	*(struct psi_config_core_list *)dst = (struct psi_config_core_list){cnt, kept};
	return true;
}

/* ---- dates: RFC 3339 full-date ---- */

static bool
two(const char *p, uint32_t *v)
{
	if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
		return false;
	*v = (uint32_t)(p[0] - '0') * 10 + (uint32_t)(p[1] - '0');
	return true;
}

/* Days from 1970-01-01 of the proleptic Gregorian calendar, years counted from March. */
static int64_t
days(int64_t y, uint32_t m, uint32_t d)
{
	int64_t yoe, doy;

	y -= m <= 2;
	yoe = y % 400;
	doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	return y / 400 * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static bool
set_date(const struct value_ctx *x, const struct key *k, const char *path, const struct node *n,
	void *dst)
{
	static const uint32_t month[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	uint32_t c, y, m, d;
	bool leap;

	*(int64_t *)dst = PSI_CONFIG_NEVER;
	if (strcmp(n->text, "never") == 0)
		return true;
	if (strlen(n->text) != 10 || !two(n->text, &c) || !two(n->text + 2, &y) ||
		n->text[4] != '-' || !two(n->text + 5, &m) || n->text[7] != '-' ||
		!two(n->text + 8, &d))
		return no_number(x, k, path, n, &(struct psi_err){""});
	y += c * 100;
	leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
	if (m < 1 || m > 12 || d < 1 || d > month[m - 1] + (m == 2 && leap)) {
		problem(x->pr, x->origin, n->at, "%s: there is no day %s", path, n->text);
		return false;
	}
	*(int64_t *)dst = days(y, m, d) * 86400;
	return true;
}

/* ---- any ---- */

static bool
takes_list(enum key_type t)
{
	return t == TYPE_TEXTS || t == TYPE_PATHS || t == TYPE_CORES;
}

bool
value_set(const struct value_ctx *x, const struct key *k, const char *path, const struct node *n,
	void *dst)
{
	if (node_is_null(n)) {
		problem(x->pr, x->origin, n->at, "%s: no value; expected %s, or leave the key out",
			path, type_expected(k->type));
		return false;
	}
	if (n->kind == NODE_MAP || (n->kind == NODE_LIST && !takes_list(k->type))) {
		problem(x->pr, x->origin, n->at, "%s: %s; expected %s", path, node_words[n->kind],
			type_expected(k->type));
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
	case TYPE_DATE: return set_date(x, k, path, n, dst);
	default: return set_number(x, k, path, n, dst);
	}
}

bool
value_default(const struct value_ctx *x, const struct key *k, void *dst)
{
	struct node n = {.kind = NODE_SCALAR, .plain = true, .text = k->def};

	if (!*k->def || strcmp(k->def, "required") == 0)
		return true; /* zeroed memory is none */
	return value_set(x, k, k->path, &n, dst);
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
value_equal(enum key_type type, const void *a, const void *b)
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
		return ca->cnt == cb->cnt && memcmp(ca->v, cb->v, ca->cnt * sizeof(*ca->v)) == 0;
	case TYPE_SIZE:
	case TYPE_SIZE_AUTO:
	case TYPE_DURATION:
	case TYPE_DATE: return memcmp(a, b, 8) == 0;
	case TYPE_RATIO:
	case TYPE_NUMBER: return *(const double *)a == *(const double *)b;
	default: return memcmp(a, b, 4) == 0;
	}
}
