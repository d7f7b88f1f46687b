/* SPDX-License-Identifier: BSD-3-Clause */
/* config_pvt.h: text -> tree of nodes (yaml.c) -> values (value.c) -> struct (bind.c), by the table (keys.c). */
#ifndef CONFIG_PVT_H
#define CONFIG_PVT_H

#include "psi_config.h"

#include <stdarg.h>

/* ---- memory: freed all at once with the config ---- */

struct arena {
	struct arena_block *blocks;
};

/* arena_get: zeroed, aligned to 8; NULL without memory. arena_text: a NUL-terminated copy. */
void *arena_get(struct arena *a, size_t len);
char *arena_text(struct arena *a, const char *p, size_t len);
void arena_free(struct arena *a);

/* ---- problems ---- */

struct problems {
	const struct psi_config_source *src;
	struct psi_err *err; /* gets the first */
	uint32_t cnt;
};

/* problem tells one, up to PSI_CONFIG_ERROR_MAX. */
void problem(struct problems *pr, const char *origin, struct psi_config_at at, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
static inline bool
problems_full(const struct problems *pr)
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

/* tree_read: the tree of text; in_file false: places are 0. Returns NULL after a problem. An empty text is an empty
 * mapping. */
struct node *tree_read(struct arena *a, struct problems *pr, const char *origin, const char *text,
	size_t len, bool in_file);
bool node_is_null(const struct node *n);

/* ---- the table ---- */

enum key_type {
#define TYPE(sym, expected) TYPE_##sym,
#include "config_types.def"
#undef TYPE
	TYPE_CNT
};
const char *type_expected(enum key_type t);

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

extern const struct key config_keys[KEY_CNT];
extern const struct list config_lists[LIST_CNT];
extern const struct key config_fields[];
extern const uint32_t config_field_cnt;

const struct words *words_of(const char *name);
/* keys_of: those of a section, fields_of: those of a list, as a range of the table; cnt 0: there is no such. */
const struct key *keys_of(const char *section, uint32_t *cnt);
const struct key *fields_of(const struct list *l, uint32_t *cnt);

/* nearest: keeps in best the candidate that is likest to word, if it is like it at all. */
struct nearest {
	const char *word, *best;
	uint32_t distance;
};
void nearest_try(struct nearest *n, const char *candidate);

/* ---- values ---- */

struct value_ctx {
	struct arena *a;
	struct problems *pr;
	const char *origin;
	const char *dir; /* of relative paths, with a final slash; NULL: leave them */
};

/* value_set parses n as k's type into dst. path: what messages call it. Returns false after a problem.
 * value_default: the same with the table's default, which a test shows to be good. */
bool value_set(const struct value_ctx *x, const struct key *k, const char *path,
	const struct node *n, void *dst);
bool value_default(const struct value_ctx *x, const struct key *k, void *dst);
/* value_equal: whether two values of that type are the same, places aside. */
bool value_equal(enum key_type type, const void *a, const void *b);
/* number_parse: of the types that are one number. why: what is wrong, a sentence's end. */
bool number_parse(enum key_type type, const char *text, double *out, struct psi_err *why);

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

/* bind_tree puts every value of the tree into c. bind_defaults: before. bind_check: what concerns several keys. */
bool bind_defaults(struct config *c, struct problems *pr);
void bind_tree(struct config *c, const struct value_ctx *x, const struct node *root);
void bind_one(struct config *c, const struct value_ctx *x, const char *path, const struct node *n);
void bind_check(struct config *c, struct problems *pr);

#endif
