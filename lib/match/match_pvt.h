/* SPDX-License-Identifier: BSD-3-Clause */
/* match_pvt.h: shared by the .c files of this module. match.c: asking; match_ctl.c: opening and closing; match_rule.c:
 * pattern texts to sets; match_set.c: Hyperscan's compiler; match_cache.c: its output on disk. */
#ifndef MATCH_PVT_H
#define MATCH_PVT_H

#include "psi_hosts.h"
#include "psi_match.h"

#include <hs.h>

/* What is told while opening, and counted. */
struct teller {
	const struct psi_match_config *cfg;
	struct psi_err *err;
	uint32_t bad;
};

/* complain: a line of cfg->file cannot be used. note: for the log. */
void complain(struct teller *t, struct psi_config_at at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void note(struct teller *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The patterns over one field, ready for the compiler. Those with u stand apart, because a database that has one of them
 * must never see a value that is not UTF-8. Pattern i belongs to rule id[i]. */
struct source {
	uint32_t cnt;
	char **text; /* each from malloc */
	uint32_t *flags, *id;
};

/* sources_of takes all patterns over field, with u (utf8) or without, out of cfg's rules. Complains of those whose form is
 * wrong. False without memory. */
bool source_of(struct teller *t, enum psi_rule_field field, bool utf8, struct source *out);
void source_free(struct source *s);

/* shown: how many bytes of a pattern a message has, whole characters. */
#define SHOWN_MAX 80
int shown(const char *text);

extern const char *const field_name[PSI_RULE_FIELD_CNT];

/* set_compile: one database of all patterns, or NULL after telling which are bad. */
hs_database_t *set_compile(struct teller *t, enum psi_rule_field field, const struct source *s);

/* ---- the cache: a file is a header and what hs_serialize_database gave ---- */

#define CACHE_NAME_MAX 64

struct cache_header {
	char magic[8];
	uint32_t version;
	uint32_t header_len;
	uint64_t key[2];     /* of what was compiled, by and for what */
	uint64_t len;	     /* bytes behind the header: all there are */
	uint64_t sum[2];     /* XXH3-128 of those bytes */
	uint64_t header_sum; /* XXH3-64 of the header before this */
};

/* cache_key: of a source, and of Hyperscan and the processor as they are here. */
void cache_key(const struct source *s, uint64_t key[2]);

/* cache_judge: whether len bytes at p are a whole cache file of that key. NULL: yes; else what is wrong, in words. */
const char *cache_judge(const uint8_t *p, size_t len, const uint64_t key[2]);

/* cache_read: the database, or NULL: there is none, or a note says why not. cache_write: replaces the file in one step. */
hs_database_t *cache_read(struct teller *t, const char *name, const uint64_t key[2]);
void
cache_write(struct teller *t, const char *name, const uint64_t key[2], const hs_database_t *db);

/* ---- the object ---- */

/* What a value that was seen lately hits: a line of the cache. Values of most fields repeat, and remembering is several
 * times cheaper than looking. One line a hash: the newer value takes the place of the older. */
#define MEMO_LINES     4096 /* a power of 2 */
#define MEMO_IDS       11   /* patterns of a line; a value that hits more is looked at each time */
#define MEMO_VALUE_MAX 512  /* bytes of a value that is remembered */

struct memo {
	uint64_t key[2]; /* keyed hash of the value, taken for the value */
	uint32_t cnt;
	uint32_t id[MEMO_IDS];
};

struct set {
	hs_database_t *db; /* NULL: no pattern */
	struct memo *memo; /* MEMO_LINES of them */
};

/* Of each rule, 8 bytes. got holds for the flow of that number only. */
struct state {
	uint32_t flow;
	uint8_t need, got; /* bit: enum psi_rule_field */
};

struct psi_match {
	struct set set[PSI_RULE_FIELD_CNT][2]; /* [field][with u] */
	hs_scratch_t *scratch;
	struct state *state; /* of each rule */
	uint32_t flow;	     /* number of the flow being asked about */
	uint8_t first;	     /* fields that may begin a rule, in scan_order */
	uint8_t want;	     /* fields that a rule begun in this flow still needs */
	uint8_t bit;	     /* of the field being scanned */
	uint64_t key;	     /* of the hashes in memo; random */
	uint32_t found_cnt;  /* patterns found in the value being scanned; the first of them: */
	uint32_t found[MEMO_IDS];
	struct psi_match_hits *out;
	uint32_t hit[PSI_MATCH_HITS_MAX]; /* of out: indexes, ascending: rules, then lists */

	uint32_t rule_cnt, list_cnt;
	struct action {
		const char *id;
		enum psi_rule_action what;
		double weight;
	} * action; /* of each rule, then of each list */
	char *ids;
	struct psi_hosts **list;
	struct psi_match_count count;
};

/* The order in which fields are looked at: what most rules begin with, and is short, first. */
extern const uint8_t scan_order[PSI_RULE_FIELD_CNT];

#endif
