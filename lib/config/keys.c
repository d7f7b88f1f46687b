/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of keys as data, and the nearest to a word that is not in it. */
#include "config_pvt.h"

#include <ctype.h>

/* ---- the members of entries are of the types that their rows say ---- */

#define SECTION(s, text)
#define KEY(s, k, type, def, min, max, unit, when, text)
#define CHOICE(s, k, words, def, when, text)
#define END(s)
#define OBJECTS(l, item, max, when, text)
#define FIELD(item, k, type, def, min, max, unit, text)                                            \
	_Static_assert(                                                                            \
		__builtin_types_compatible_p(__typeof__(((struct item *)0)->NAME_##type(k)),       \
			__typeof__(((struct { PSI_CONFIG_DECL_##type(k); } *)0)->NAME_##type(k))), \
		"struct " #item ": " #k " is a " #type);
#define CHOICE_FIELD(item, k, words, def, text)                                              \
	_Static_assert(                                                                      \
		__builtin_types_compatible_p(__typeof__(((struct item *)0)->k), enum words), \
		"struct " #item ": " #k " is an enum " #words);
#define END_OBJECTS(l)
#include "config_keys.def"
#undef KEY
#undef CHOICE
#undef OBJECTS
#undef FIELD
#undef CHOICE_FIELD

/* ---- rows ---- */

#define RELOAD	true
#define RESTART false

const struct key cfg_keys[KEY_CNT] = {
#define OBJECTS(l, item, max, when, text)
#define FIELD(item, k, type, def, min, max, unit, text)
#define CHOICE_FIELD(item, k, words, def, text)
#define KEY(s, k, type, def, min, max, unit, when, text)                        \
	{#s, #k, #s "." #k, TYPE_##type, def, min, max, unit, text, NULL, when, \
		offsetof(struct psi_config, s.NAME_##type(k))},
#define CHOICE(s, k, words, def, when, text)                                  \
	{#s, #k, #s "." #k, TYPE_CHOICE, def, "", "", "", text, #words, when, \
		offsetof(struct psi_config, s.k)},
#include "config_keys.def"
#undef KEY
#undef CHOICE
#undef OBJECTS
#undef FIELD
#undef CHOICE_FIELD
};

const struct list cfg_lists[LIST_CNT] = {
#define KEY(s, k, type, def, min, max, unit, when, text)
#define CHOICE(s, k, words, def, when, text)
#define FIELD(item, k, type, def, min, max, unit, text)
#define CHOICE_FIELD(item, k, words, def, text)
#define OBJECTS(l, item, max, when, text)                                                 \
	{#l, #item, text, max, when, sizeof(struct item), offsetof(struct psi_config, l), \
		offsetof(struct psi_config, l##_cnt)},
#include "config_keys.def"
#undef OBJECTS
#undef FIELD
#undef CHOICE_FIELD
};

const struct key cfg_fields[] = {
#define OBJECTS(l, item, max, when, text)
#define FIELD(item, k, type, def, min, max, unit, text)                      \
	{#item, #k, #k, TYPE_##type, def, min, max, unit, text, NULL, false, \
		offsetof(struct item, NAME_##type(k))},
#define CHOICE_FIELD(item, k, words, def, text)                            \
	{#item, #k, #k, TYPE_CHOICE, def, "", "", "", text, #words, false, \
		offsetof(struct item, k)},
#include "config_keys.def"
};
const uint32_t cfg_field_cnt = PSI_COUNT(cfg_fields);

#define WORDS(type)	      static const struct word words_##type[] = {
#define WORD(sym, word, text) {word, text},
#define END_WORDS \
	}         \
	;
#include "config_words.def"
#undef WORDS
#undef WORD
#undef END_WORDS

static const struct words all_words[] = {
#define WORDS(type) {#type, PSI_COUNT(words_##type), words_##type},
#define WORD(sym, word, text)
#define END_WORDS
#include "config_words.def"
};

const struct words *
cfg_words_of(const char *name)
{
	for (size_t i = 0; i < PSI_COUNT(all_words); i++)
		if (strcmp(all_words[i].name, name) == 0)
			return &all_words[i];
	PSI_ASSERT(false, "config_words.def has every set that config_keys.def names");
	return NULL;
}

const char *
cfg_type_expected(enum key_type t)
{
	switch (t) {
#define TYPE(sym, expected) \
	case TYPE_##sym:    \
		return expected;
#include "config_types.def"
#undef TYPE
	case TYPE_CNT: break;
	}
	return "";
}

/* ---- finding ---- */

static const struct key *
range(const struct key *v, uint32_t v_cnt, const char *owner, uint32_t *cnt)
{
	uint32_t from = 0, to;

	while (from < v_cnt && strcmp(v[from].owner, owner) != 0)
		from++;
	for (to = from; to < v_cnt && strcmp(v[to].owner, owner) == 0; to++)
		;
	*cnt = to - from;
	return v + from;
}

const struct key *
cfg_keys_of(const char *section, uint32_t *cnt)
{
	return range(cfg_keys, KEY_CNT, section, cnt);
}

const struct key *
cfg_fields_of(const struct list *l, uint32_t *cnt)
{
	return range(cfg_fields, cfg_field_cnt, l->item, cnt);
}

#define WORD_MAX 48 /* characters that are compared; no key is that long */

/* Edits (insert, delete, change, swap two neighbours) from a to b, letter case and "-" for "_" aside. */
static uint32_t
distance(const char *a, const char *b)
{
	uint32_t rows[3][WORD_MAX + 1], *before = rows[0], *last = rows[1], *now = rows[2], *t;
	size_t n = strlen(a), m = strlen(b);

	if (n > WORD_MAX || m > WORD_MAX)
		return UINT32_MAX;
	for (uint32_t j = 0; j <= m; j++)
		last[j] = j;
	for (uint32_t i = 1; i <= n; i++) {
		now[0] = i;
		for (uint32_t j = 1; j <= m; j++) {
			char x = (char)tolower((unsigned char)a[i - 1]);
			uint32_t cost = (x == '-' ? '_' : x) != b[j - 1];

			now[j] = PSI_MIN(PSI_MIN(last[j] + 1, now[j - 1] + 1), last[j - 1] + cost);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = PSI_MIN(now[j], before[j - 2] + 1);
		}
		t = before;
		before = last;
		last = now;
		now = t;
	}
	return last[m];
}

/* A third of the word may be wrong, or be its beginning. */
void
cfg_nearest_try(struct nearest *n, const char *candidate)
{
	size_t len = strlen(n->word);
	uint32_t d = distance(n->word, candidate);

	if (d > PSI_MAX(len, strlen(candidate)) / 3 && len >= 3 &&
		strncmp(n->word, candidate, len) == 0)
		d = (uint32_t)PSI_MAX(len, strlen(candidate)) / 3;
	if (d > PSI_MAX(len, strlen(candidate)) / 3)
		return;
	if (!n->best || d < n->distance) {
		n->best = candidate;
		n->distance = d;
	}
}
