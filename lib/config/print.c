/* SPDX-License-Identifier: BSD-3-Clause */
/* The effective configuration as YAML, with where each value came from. */
#include "config_pvt.h"

/* ---- one value ---- */

/* What would end a line, turn the direction of writing or not show at all on a terminal. */
static bool
needs_escape(uint32_t cp)
{
	return cp < 0x20 || (cp >= 0x7f && cp <= 0x9f) || (cp >= 0x200b && cp <= 0x200f) ||
	       (cp >= 0x2028 && cp <= 0x202e) || (cp >= 0x2060 && cp <= 0x2069) || cp == 0xfeff;
}

/* In double quotes always: "no", "1e3" and "a: b" are texts, too. */
static void
put_text(FILE *out, const char *text)
{
	size_t left = strlen(text), n;
	uint32_t cp = 0;

	putc('"', out);
	for (; left; text += n, left -= n) {
		n = cfg_utf8_next((const uint8_t *)text, left, &cp);
		if (!n) { /* in the name of a file only: values are checked */
			putc('?', out);
			n = 1;
			continue;
		}
		if (needs_escape(cp))
			fprintf(out, "\\u%04x", cp);
		else
			fprintf(out, "%s%.*s", cp == '"' || cp == '\\' ? "\\" : "", (int)n, text);
	}
	putc('"', out);
}

static void
put_texts(FILE *out, const struct psi_config_strs *s)
{
	putc('[', out);
	for (uint32_t i = 0; i < s->cnt; i++) {
		fputs(i ? ", " : "", out);
		put_text(out, s->v[i]);
	}
	putc(']', out);
}

static void
put_cores(FILE *out, const struct psi_config_core_list *c)
{
	fputs(c->cnt ? "[" : "auto", out);
	for (uint32_t i = 0; i < c->cnt; i++)
		fprintf(out, "%s%u", i ? ", " : "", c->v[i]);
	fputs(c->cnt ? "]" : "", out);
}

static double
number_of(enum key_type type, const void *p)
{
	switch (type) {
	case TYPE_SIZE:
	case TYPE_SIZE_AUTO:
	case TYPE_DURATION: return (double)*(const uint64_t *)p;
	case TYPE_RATIO:
	case TYPE_NUMBER: return *(const double *)p;
	case TYPE_CORE: return *(const int32_t *)p;
	default: return *(const uint32_t *)p;
	}
}

/* What a member says when nothing was given and there is no default. */
static bool
is_none(enum key_type type, const void *p)
{
	return ((type == TYPE_TEXT || type == TYPE_PATH) && !*(const char *const *)p) ||
	       (type == TYPE_PATTERN && !((const struct psi_config_pattern *)p)->text);
}

static void
put_value(FILE *out, const struct key *k, const void *p)
{
	char text[64];

	switch (k->type) {
	case TYPE_BOOL: fputs(*(const bool *)p ? "true" : "false", out); return;
	case TYPE_CHOICE: fputs(cfg_words_of(k->words)->v[*(const uint32_t *)p].word, out); return;
	case TYPE_TEXT:
	case TYPE_PATH: put_text(out, *(const char *const *)p); return;
	case TYPE_PATTERN: put_text(out, ((const struct psi_config_pattern *)p)->text); return;
	case TYPE_TEXTS:
	case TYPE_PATHS: put_texts(out, p); return;
	case TYPE_CORES: put_cores(out, p); return;
	case TYPE_DATE: cfg_date_print(*(const int64_t *)p, text, sizeof(text)); break;
	default: cfg_number_print(k->type, number_of(k->type, p), text, sizeof(text)); break;
	}
	fputs(text, out);
}

/* ---- all of them ---- */

static const void *
member(const void *of, size_t off)
{
	return (const uint8_t *)of + off;
}

/* Whether a key has another value than it would have without being given. */
static bool
changed(const struct config *c, const struct key *k)
{
	struct config none = {.arena = {.blocks = NULL}};
	struct psi_config_source src = {0};
	struct problems pr = {.src = &src};
	struct value_ctx x = {&none.arena, &pr, "", NULL};
	const void *now = member(&c->pub, k->off);
	bool same;

	if (!c->key[k - cfg_keys].name)
		return false;
	cfg_value_default(&x, k, (uint8_t *)&none.pub + k->off);
	same = cfg_value_equal(k->type, now, member(&none.pub, k->off));
	cfg_arena_free(&none.arena);
	return !same;
}

static uint32_t
entries(const struct config *c, uint32_t list)
{
	return *(const uint32_t *)member(&c->pub, cfg_lists[list].cnt_off);
}

static void
put_origin(FILE *out, const struct origin *o, bool tell)
{
	if (tell && o->at.line)
		fprintf(out, "  # line %u", o->at.line);
	else if (tell)
		fprintf(out, "  # %s", o->name);
	putc('\n', out);
}

static void
put_entry(FILE *out, const struct list *l, const void *entry)
{
	uint32_t cnt;
	const struct key *v = cfg_fields_of(l, &cnt);
	const char *lead = "  - ";

	for (uint32_t i = 0; i < cnt; i++) {
		if (is_none(v[i].type, member(entry, v[i].off)))
			continue;
		fprintf(out, "%s%s: ", lead, v[i].name);
		put_value(out, &v[i], member(entry, v[i].off));
		putc('\n', out);
		lead = "    ";
	}
}

static void
put_list(const struct config *c, uint32_t idx, FILE *out)
{
	const struct list *l = &cfg_lists[idx];
	const uint8_t *entry = *(const uint8_t *const *)member(&c->pub, l->v_off);
	uint32_t n = entries(c, idx);

	fprintf(out, "%s:%s", l->name, n ? "" : " []");
	put_origin(out, &c->list[idx], n > 0);
	for (uint32_t i = 0; i < n; i++, entry += l->size)
		put_entry(out, l, entry);
}

static void
put_section(const struct config *c, const char *section, FILE *out)
{
	uint32_t cnt;
	const struct key *v = cfg_keys_of(section, &cnt);

	fprintf(out, "%s:\n", section);
	for (uint32_t i = 0; i < cnt; i++) {
		const void *p = member(&c->pub, v[i].off);

		fprintf(out, is_none(v[i].type, p) ? "  # %s: none" : "  %s: ", v[i].name);
		if (!is_none(v[i].type, p))
			put_value(out, &v[i], p);
		put_origin(out, &c->key[v + i - cfg_keys], changed(c, &v[i]));
	}
}

bool
psi_config_print(const struct psi_config *cfg, FILE *out)
{
	const struct config *c = (const struct config *)(const void *)cfg;

	if (*cfg->path) {
		fputs("# ", out);
		put_text(out, cfg->path);
		fputs(" and the defaults; a line that is named is one of that file\n", out);
	}
#define SECTION(s, text) put_section(c, #s, out);
#define KEY(s, k, type, def, min, max, unit, when, text)
#define CHOICE(s, k, words, def, when, text)
#define END(s)
#define OBJECTS(l, item, max, when, text) put_list(c, LIST_##l, out);
#define FIELD(item, k, type, def, min, max, unit, text)
#define CHOICE_FIELD(item, k, words, def, text)
#define END_OBJECTS(l)
#include "config_keys.def"
	return fflush(out) == 0 && !ferror(out);
}

uint32_t
psi_config_changed(const struct psi_config *cfg)
{
	const struct config *c = (const struct config *)(const void *)cfg;
	uint32_t n = 0;

	for (uint32_t i = 0; i < KEY_CNT; i++)
		n += changed(c, &cfg_keys[i]);
	for (uint32_t i = 0; i < LIST_CNT; i++)
		n += entries(c, i) > 0;
	return n;
}
