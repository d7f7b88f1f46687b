/* SPDX-License-Identifier: BSD-3-Clause */
/* config_pvt.h: text -> tree of nodes (yaml.c) -> values (value.c) -> struct (bind.c), by the table (keys.c). */
#ifndef CONFIG_PVT_H
#define CONFIG_PVT_H

#include "psi_config.h"

#include <stdarg.h>

/* cfg_utf8_next: length of the character at p and its code point; 0 when it is none (RFC 3629). */
size_t cfg_utf8_next(const uint8_t *p, size_t left, uint32_t *cp);

/* ---- memory: freed all at once with the config ---- */

struct arena {
	struct arena_block *blocks;
	bool failed; /* it had no memory once: something is missing */
};

/* cfg_arena_get: zeroed, aligned to 8; NULL without memory. cfg_arena_text: a NUL-terminated copy. */
void *cfg_arena_get(struct arena *a, size_t len);
char *cfg_arena_text(struct arena *a, const char *p, size_t len);
void cfg_arena_free(struct arena *a);

/* ---- problems ---- */

struct problems {
	const struct psi_config_source *src;
	struct psi_err *err; /* gets the first */
	uint32_t cnt;
};

/* cfg_problem tells one, up to PSI_CONFIG_ERROR_MAX. */
void cfg_problem(struct problems *pr, const char *origin, struct psi_config_at at, const char *fmt,
	...) __attribute__((format(printf, 4, 5)));
static inline bool
cfg_problems_full(const struct problems *pr)
{
	return pr->cnt > PSI_CONFIG_ERROR_MAX;
}

/* ---- the tree ---- */

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };
static const char *const node_words[] = {"a value", "a list", "a mapping of keys"};

struct node {
	struct psi_config_at at;
	enum node_kind kind;
	bool plain;	    /* a scalar without quotes */
	const char *text;   /* of a scalar, NUL-terminated, holds no NUL */
	struct node *child; /* of a list or map: the first */
	struct node *next;  /* in the list or map that it stands in */
	const char *key;    /* in a map; else NULL */
	struct psi_config_at key_at;
};

/* cfg_tree_read: the tree of text; in_file false: places are 0. Returns NULL after a problem. An empty text is an empty
 * mapping. */
struct node *cfg_tree_read(struct arena *a, struct problems *pr, const char *origin,
	const char *text, size_t len, bool in_file);
bool cfg_node_is_null(const struct node *n);

/* ---- the table ---- */

enum key_type {
#define TYPE(sym, expected) TYPE_##sym,
#include "config_types.def"
#undef TYPE
	TYPE_CNT
};
const char *cfg_type_expected(enum key_type t);

/* The name of a member that DECL of psi_config.h declares. */
#define NAME_BOOL(n)	   n
#define NAME_COUNT(n)	   n
#define NAME_COUNT_AUTO(n) n
#define NAME_SIZE(n)	   n
#define NAME_SIZE_AUTO(n)  n
#define NAME_DURATION(n)   n##_ns
#define NAME_RATIO(n)	   n
#define NAME_NUMBER(n)	   n
#define NAME_MODE(n)	   n
#define NAME_TEXT(n)	   n
#define NAME_PATH(n)	   n
#define NAME_TEXTS(n)	   n
#define NAME_PATHS(n)	   n
#define NAME_CORE(n)	   n
#define NAME_CORES(n)	   n
#define NAME_DATE(n)	   n##_s
#define NAME_PATTERN(n)	   n

struct word {
	const char *word, *text;
};
struct words {
	const char *name;
	uint32_t cnt;
	const struct word *v;
};

struct key {
	const char *owner; /* section, or the C struct of a list's entries */
	const char *name;
	const char *path; /* "ring.size"; of a list's field its name */
	enum key_type type;
	const char *def, *min, *max, *unit, *text;
	const char *words; /* C type of config_words.def */
	bool reload;
	size_t off; /* in struct psi_config, or in the entry */
};

struct list {
	const char *name, *item, *text;
	uint32_t max;
	bool reload;
	size_t size, v_off, cnt_off;
};

enum key_idx {
#define SECTION(s, text)
#define KEY(s, k, type, def, min, max, unit, when, text) KEY_##s##_##k,
#define CHOICE(s, k, words, def, when, text)		 KEY_##s##_##k,
#define END(s)
#define OBJECTS(l, item, max, when, text)
#define FIELD(item, k, type, def, min, max, unit, text)
#define CHOICE_FIELD(item, k, words, def, text)
#define END_OBJECTS(l)
#include "config_keys.def"
#undef OBJECTS
#undef KEY
#undef CHOICE
	KEY_CNT
};
enum list_idx {
#define OBJECTS(l, item, max, when, text) LIST_##l,
#define KEY(s, k, type, def, min, max, unit, when, text)
#define CHOICE(s, k, words, def, when, text)
#include "config_keys.def"
#undef SECTION
#undef KEY
#undef CHOICE
#undef END
#undef OBJECTS
#undef FIELD
#undef CHOICE_FIELD
#undef END_OBJECTS
	LIST_CNT
};

extern const struct key cfg_keys[KEY_CNT];
extern const struct list cfg_lists[LIST_CNT];
extern const struct key cfg_fields[];
extern const uint32_t cfg_field_cnt;

const struct words *cfg_words_of(const char *name);
/* cfg_keys_of: those of a section, cfg_fields_of: those of a list, as a range of the table; cnt 0: there is no such. */
const struct key *cfg_keys_of(const char *section, uint32_t *cnt);
const struct key *cfg_fields_of(const struct list *l, uint32_t *cnt);

/* nearest: keeps in best the candidate that is likest to word, if it is like it at all. */
struct nearest {
	const char *word, *best;
	uint32_t distance;
};
void cfg_nearest_try(struct nearest *n, const char *candidate);

/* ---- values ---- */

struct value_ctx {
	struct arena *a;
	struct problems *pr;
	const char *origin;
	const char *dir; /* of relative paths, with a final slash; NULL: leave them */
};

/* cfg_value_set parses n as k's type into dst. path: what messages call it. Returns false after a problem.
 * cfg_value_default: the same with the table's default, which a test shows to be good. */
bool cfg_value_set(const struct value_ctx *x, const struct key *k, const char *path,
	const struct node *n, void *dst);
bool cfg_value_default(const struct value_ctx *x, const struct key *k, void *dst);
/* cfg_value_equal: whether two values of that type are the same, places aside. */
bool cfg_value_equal(enum key_type type, const void *a, const void *b);

/* cfg_number_parse: of the types that are one number. why: what is wrong, a sentence's end; empty: see cfg_type_expected.
 * cfg_number_digits: the digits that text begins with, and what follows. cfg_date_parse: the same of a day. _print: the reverse. */
bool cfg_number_parse(enum key_type type, const char *text, double *out, struct psi_err *why);
bool cfg_number_digits(const char *text, bool fraction, double *out, const char **end);
bool cfg_date_parse(const char *text, int64_t *out, struct psi_err *why);
void cfg_number_print(enum key_type type, double v, char *out, size_t size);
void cfg_date_print(int64_t v, char *out, size_t size);

/* ---- the whole ---- */

/* Where a key's or list's value came from. name NULL: the default. */
struct origin {
	const char *name;
	struct psi_config_at at;
};

struct config {
	struct psi_config pub; /* first: the pointer that callers have */
	struct arena arena;
	struct origin key[KEY_CNT];
	struct origin list[LIST_CNT];
};

/* cfg_bind_tree puts every value of the tree into c. cfg_bind_defaults: before. cfg_bind_check: what concerns several keys. */
bool cfg_bind_defaults(struct config *c, struct problems *pr);
void cfg_bind_tree(struct config *c, const struct value_ctx *x, const struct node *root);
void
cfg_bind_one(struct config *c, const struct value_ctx *x, const char *path, const struct node *n);
void cfg_bind_check(struct config *c, struct problems *pr);
/* cfg_override_take: one key of the environment or the command line. */
void cfg_override_take(struct config *c, struct problems *pr, const struct psi_config_override *ov);

#endif
