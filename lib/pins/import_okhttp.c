/* SPDX-License-Identifier: BSD-3-Clause */
/* Java and Kotlin source: the calls add("host", "sha256/...", ...) of a CertificatePinner.Builder. The text is split into tokens,
 * so that comments do not count; arguments may be strings, sums of strings, and names that the same file gives a string.
 * OkHttp asks all patterns that fit a host, so the pins of a wildcard hold for the names in it that stand by themselves, too. */
#include "import_pvt.h"

#include <ctype.h>
#include <stdlib.h>

#define TEXT_MAX   512
#define CONSTS_MAX 4096 /* a power of 2, twice what is used of it */
#define CALL_MAX   4096 /* calls, and arguments of one */
#define ARGS_MAX   64

enum token {
	T_END,
	T_NAME,
	T_TEXT,
	T_SIGN, /* anything else: one character */
};

struct lexer {
	const char *p, *end, *line_start;
	uint32_t line;
	/* the token */
	enum token type;
	char sign;
	bool whole; /* T_TEXT: text is all of it */
	uint32_t at_line, at_col;
	char text[TEXT_MAX];
};

struct constant {
	char name[64]; /* empty: a free place */
	char *text;    /* NULL: given twice, and not the same */
};

struct source {
	struct import *im;
	struct lexer x;
	struct constant *constant;
	uint32_t constant_cnt, call_cnt;
};

/* ---- tokens ---- */

static bool
starts(const struct lexer *x, const char *s)
{
	size_t n = strlen(s);

	return (size_t)(x->end - x->p) >= n && memcmp(x->p, s, n) == 0;
}

static void
step(struct lexer *x, size_t n)
{
	while (n-- && x->p < x->end) {
		if (*x->p++ == '\n') {
			x->line++;
			x->line_start = x->p;
		}
	}
}

static void
skip_until(struct lexer *x, const char *s)
{
	while (x->p < x->end && !starts(x, s))
		step(x, 1);
	step(x, strlen(s));
}

static void
skip_space(struct lexer *x)
{
	while (x->p < x->end) {
		if (starts(x, "//"))
			skip_until(x, "\n");
		else if (starts(x, "/*")) {
			step(x, 2);
			skip_until(x, "*/");
		} else if (isspace((unsigned char)*x->p))
			step(x, 1);
		else
			return;
	}
}

static void
put(struct lexer *x, size_t *len, char c)
{
	if (*len < TEXT_MAX - 1)
		x->text[(*len)++] = c;
	else
		x->whole = false;
}

/* A string up to its closing quotes. Escapes of letters that hosts and pins have none of, and Kotlin's templates, make it
 * unknown. */
static void
read_text(struct lexer *x, const char *quotes)
{
	bool raw = quotes[1];
	size_t len = 0;

	x->type = T_TEXT;
	x->whole = true;
	step(x, strlen(quotes));
	while (x->p < x->end && !starts(x, quotes) && (raw || *x->p != '\n')) {
		if (!raw && *x->p == '\\') {
			step(x, 1);
			if (x->p < x->end && !ispunct((unsigned char)*x->p))
				x->whole = false;
		} else if (*x->p == '$') {
			x->whole = false;
		}
		if (x->p < x->end)
			put(x, &len, *x->p ? *x->p : '?');
		step(x, 1);
	}
	step(x, strlen(quotes));
	x->text[len] = 0;
}

static void
next(struct lexer *x)
{
	size_t len = 0;

	skip_space(x);
	x->at_line = x->line;
	x->at_col = (uint32_t)(x->p - x->line_start) + 1;
	x->text[0] = 0;
	x->sign = 0;
	if (x->p == x->end) {
		x->type = T_END;
	} else if (*x->p == '"') {
		read_text(x, starts(x, "\"\"\"") ? "\"\"\"" : "\"");
	} else if (isalnum((unsigned char)*x->p) || *x->p == '_') {
		x->type = T_NAME;
		x->whole = true;
		for (; x->p < x->end && (isalnum((unsigned char)*x->p) || *x->p == '_'); step(x, 1))
			put(x, &len, *x->p);
		x->text[len] = 0;
	} else {
		x->type = T_SIGN;
		x->sign = *x->p;
		step(x, *x->p == '\'' && x->end - x->p >= 3 && x->p[2] == '\'' ? 3 : 1);
	}
}

static void
rewind_to(struct lexer *x, const struct psi_pins_import *in)
{
	x->p = x->line_start = (const char *)in->p;
	x->end = x->p + in->len;
	x->line = 1;
	next(x);
}

/* ---- names that stand for strings ---- */

/* Its place, free or not; NULL for a name too long to be kept. */
static struct constant *
constant_of(const struct source *s, const char *name)
{
	uint32_t len = (uint32_t)strlen(name), i = host_hash(name, len, HOST_EXACT) % CONSTS_MAX;

	if (!len || len >= sizeof(s->constant->name))
		return NULL;
	while (s->constant[i].name[0] && strcmp(s->constant[i].name, name) != 0)
		i = (i + 1) % CONSTS_MAX;
	return &s->constant[i];
}

static void
constant_add(struct source *s, const char *name, const char *text)
{
	struct constant *c = constant_of(s, name);

	if (!c || (!c->name[0] && s->constant_cnt == CONSTS_MAX / 2))
		return;
	if (c->name[0]) {
		if (c->text && strcmp(c->text, text) != 0) {
			free(c->text);
			c->text = NULL;
		}
		return;
	}
	c->text = strdup(text);
	if (!c->text) {
		import_no_memory(s->im);
		return;
	}
	memcpy(c->name, name, strlen(name) + 1);
	s->constant_cnt++;
}

/* TEXT, NAME, A.NAME and sums of them. False, and the lexer somewhere behind, when it is anything else. */
static bool
read_value(struct source *s, char out[TEXT_MAX])
{
	struct lexer *x = &s->x;
	bool known = true;
	size_t len = 0;

	out[0] = 0;
	for (;;) {
		const char *part = NULL;

		if (x->type == T_TEXT) {
			part = x->whole ? x->text : NULL;
			if (part && len + strlen(part) < TEXT_MAX)
				len = (size_t)(stpcpy(out + len, part) - out);
			else
				known = false;
			next(x);
		} else if (x->type == T_NAME) {
			char name[TEXT_MAX];
			const struct constant *c;

			do {
				memcpy(name, x->text, strlen(x->text) + 1);
				next(x);
				if (!(x->type == T_SIGN && x->sign == '.'))
					break;
				next(x);
			} while (x->type == T_NAME);
			c = constant_of(s, name);
			part = c ? c->text : NULL;
			if (part && len + strlen(part) < TEXT_MAX)
				len = (size_t)(stpcpy(out + len, part) - out);
			else
				known = false;
		} else {
			return false;
		}
		if (!(x->type == T_SIGN && x->sign == '+'))
			return known;
		next(x);
	}
}

/* NAME = TEXT and NAME: Type = TEXT. */
static void
collect(struct source *s)
{
	char name[TEXT_MAX] = "", before[TEXT_MAX] = "", value[TEXT_MAX];
	struct lexer *x = &s->x;
	bool typed = false;

	for (rewind_to(x, s->im->in); x->type != T_END && !s->im->rc;) {
		if (x->type == T_NAME) {
			memcpy(before, name, strlen(name) + 1);
			memcpy(name, x->text, strlen(x->text) + 1);
			next(x);
		} else if (x->type == T_SIGN && x->sign == ':') {
			typed = true;
			next(x);
		} else if (x->type == T_SIGN && x->sign == '=') {
			next(x);
			if (x->type == T_TEXT && read_value(s, value))
				constant_add(s, typed ? before : name, value);
			typed = false;
		} else {
			typed = typed && x->type == T_SIGN && x->sign == '?';
			next(x);
		}
	}
}

/* ---- calls ---- */

struct args {
	uint32_t cnt, line, col;
	bool known[ARGS_MAX];
	char text[ARGS_MAX][TEXT_MAX];
};

/* Behind "(": the arguments, up to the closing one. False when there are too many to be what is looked for. */
static bool
read_args(struct source *s, struct args *a)
{
	struct lexer *x = &s->x;
	uint32_t depth = 0;

	a->cnt = 0;
	while (x->type != T_END && a->cnt < ARGS_MAX) {
		a->known[a->cnt] = read_value(s, a->text[a->cnt]);
		while (x->type != T_END &&
			(depth || !(x->type == T_SIGN && strchr(",)", x->sign)))) {
			a->known[a->cnt] = false;
			depth += x->type == T_SIGN && strchr("([{", x->sign) && x->sign;
			depth -= depth && x->type == T_SIGN && strchr(")]}", x->sign) && x->sign;
			next(x);
		}
		a->cnt++;
		if (x->type != T_SIGN || x->sign == ')')
			return x->type == T_SIGN;
		next(x);
	}
	return false;
}

static bool
is_pin(const char *t)
{
	return strncmp(t, "sha256/", 7) == 0 || strncmp(t, "sha1/", 5) == 0;
}

/* The set of a pattern, of those of this file. */
static struct import_set *
set_of(struct source *s, const char *pattern, uint32_t line, uint32_t col)
{
	const char *prefix = strncmp(pattern, "**.", 3) == 0  ? "**."
			     : strncmp(pattern, "*.", 2) == 0 ? "*."
							      : "";
	struct psi_pins_list *l = s->im->list;
	struct import_set *set = set_add(s->im);

	if (!set || !set_host(s->im, set, line, col, prefix, pattern + strlen(prefix)))
		return NULL;
	for (uint32_t i = s->im->first; i + 1 < l->cnt; i++) {
		if (strcmp(l->set[i].host[0], set->host[0]) == 0) {
			set_drop(s->im);
			return &l->set[i];
		}
	}
	return set;
}

static void
take_call(struct source *s, const struct args *a)
{
	struct import *im = s->im;
	uint32_t pins = 0, unknown = 0;
	struct import_set *set;

	for (uint32_t i = 1; i < a->cnt; i++) {
		pins += a->known[i] && is_pin(a->text[i]);
		unknown += !a->known[i];
	}
	if (!pins && !(a->known[0] && unknown && strchr(a->text[0], '.') &&
			     !psi_pins_check_host(a->text[0])))
		return;
	if (!a->known[0]) {
		import_note(im, NULL, a->line,
			"pins are left out: the host that they are for is not written in this file");
		return;
	}
	if (!pins) {
		import_note(im, NULL, a->line, "the pins of '%.100s' are not written in this file",
			a->text[0]);
		return;
	}
	if (++s->call_cnt > CALL_MAX) {
		import_fail(im, a->line, a->col, "more than %d calls", CALL_MAX);
		return;
	}
	set = set_of(s, a->text[0], a->line, a->col);
	for (uint32_t i = 1; set && i < a->cnt && !im->rc; i++)
		if (a->known[i] && is_pin(a->text[i]))
			set_pin(im, set, a->line, a->col, PIN_SPKI, a->text[i]);
	if (set && unknown)
		import_note(im, set, a->line,
			"%u more pins of '%.100s' are not written in this file", unknown,
			a->text[0]);
}

static void
find_calls(struct source *s, struct args *a)
{
	struct lexer *x = &s->x;

	for (rewind_to(x, s->im->in); x->type != T_END && !s->im->rc;) {
		bool add = x->type == T_NAME && strcmp(x->text, "add") == 0;

		a->line = x->at_line;
		a->col = x->at_col;
		next(x);
		if (!add || x->type != T_SIGN || x->sign != '(')
			continue;
		next(x);
		if (read_args(s, a))
			take_call(s, a);
	}
}

/* What a wildcard pins holds for the names in it that have a set of their own. */
static void
spread(struct import *im)
{
	struct psi_pins_list *l = im->list;
	uint32_t n = l->cnt - im->first;
	uint32_t *own = malloc((n + 1) * sizeof(*own));

	if (!own) {
		import_no_memory(im);
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		own[i] = l->set[im->first + i].pin_cnt;
	for (uint32_t i = 0; i < n && !im->rc; i++)
		for (uint32_t k = 0; k < n && !im->rc; k++) {
			struct import_set *to = &l->set[im->first + i],
					  *from = &l->set[im->first + k];

			if (i == k || !pattern_covers(from->host[0], to->host[0]))
				continue;
			for (uint32_t j = 0; j < own[k] && !im->rc; j++)
				set_hash(im, to, 0, PIN_SPKI, from->pin[j].hash);
		}
	free(own);
}

void
import_okhttp(struct import *im)
{
	struct source s = {.im = im};
	struct args *a = malloc(sizeof(*a));

	s.constant = calloc(CONSTS_MAX, sizeof(*s.constant));
	if (!s.constant || !a) {
		import_no_memory(im);
	} else {
		collect(&s);
		find_calls(&s, a);
		if (!im->rc)
			spread(im);
	}
	for (uint32_t i = 0; s.constant && i < CONSTS_MAX; i++)
		free(s.constant[i].text);
	free(s.constant);
	free(a);
}
