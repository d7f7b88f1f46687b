/* SPDX-License-Identifier: BSD-3-Clause */
/* psi_match.h: the operator's rules and host lists -> what a flow's names hit, and what is then done with the flow.
 *
 * A rule has a pattern (Hyperscan's dialect of PCRE) for one or more fields and hits when each of them is found in a
 * value of its field. A host list holds exact and suffix names and hits on the SNI (psi_hosts.h).
 * Pattern text: "/.../flags", flags any of i (letter case does not matter), s (. is a newline too), u (text is UTF-8);
 * a text that does not begin with a slash is a pattern without flags. It is searched for anywhere in the value: ^ and $
 * tie it to the ends. Over SNI and SAN letter case never matters (RFC 4343), and one final dot of the value is not seen.
 * A field that is absent or empty hits nothing, and a pattern that could match nothing at all is refused. A pattern
 * with u is not looked for in values that are not UTF-8.
 * Compiled databases are kept in a folder, one file a field, and compiled anew when anything that went into them changed.
 * Whoever can write to that folder can do in this process what he likes: see docs/design/match.md.
 * Out of scope: what a tag means; reading YAML.
 * Thread: one object, one thread, opening aside: psi_match_open may run anywhere, and takes seconds. */
#ifndef PSI_MATCH_H
#define PSI_MATCH_H

#include "psi_base.h"
#include "psi_config.h"

#define PSI_MATCH_PATTERN_MAX 8192 /* bytes of a pattern */
#define PSI_MATCH_RULES_MAX   1000000
#define PSI_MATCH_LISTS_MAX   256  /* host lists */
#define PSI_MATCH_VALUE_MAX   8192 /* bytes of a value; a longer one is not looked at, and counted */
#define PSI_MATCH_VALUES_MAX \
	256 /* of one field of a flow; the rest is not looked at, and counted */
#define PSI_MATCH_HITS_MAX	 32   /* ids told of one flow; all count */
#define PSI_MATCH_WEIGHT_MAX	 10.0 /* of the product */
#define PSI_MATCH_COMPLAINTS_MAX 100  /* told by one psi_match_open */

enum psi_match_news {
	PSI_MATCH_BAD, /* a rule or a line of a host list cannot be used: opening will fail */
	PSI_MATCH_NOTE, /* what an operator may want in the log: compiled, cache replaced, names loaded */
};

struct psi_match_config {
	const char *file; /* that the rules come from, for messages */
	const struct psi_config_rule *rule;
	uint32_t rule_cnt;
	const struct psi_config_host_list *list;
	uint32_t list_cnt;
	const char *cache_dir; /* of this set of rules alone; NULL or "": no cache */
	bool cache_keep;       /* use it, write nothing */
	/* One line of text a call, without newline. NULL: nobody listens. */
	void (*tell)(void *ctx, enum psi_match_news kind, const char *text);
	void *ctx;
};

/* The values of a field, hostile bytes; cnt 0: absent. Read during the call only. */
struct psi_match_value {
	const uint8_t *p;
	uint32_t len;
};

struct psi_match_values {
	const struct psi_match_value *v;
	uint32_t cnt;
};

struct psi_match_input {
	struct psi_match_values field[PSI_RULE_FIELD_CNT];
};

struct psi_match_hits {
	uint32_t cnt;  /* of id */
	uint32_t more; /* that did not fit */
	const char
		*id[PSI_MATCH_HITS_MAX]; /* rules, then lists, in the order given; the object's */
	double weight; /* product of those that hit, at most PSI_MATCH_WEIGHT_MAX; 1: none */
	bool ignore;   /* one that hit says so */
};

/* What an object is made of, and what it did. */
struct psi_match_count {
	uint32_t rules, sets; /* sets: compiled databases */
	uint32_t sets_cached; /* of those, taken from the cache */
	uint64_t set_bytes, scratch_bytes;
	uint32_t names, names_twice; /* of all host lists; the latter were there before */
	uint64_t name_bytes;
	uint64_t flows, hits, ignored;
	uint64_t scans, remembered; /* values looked at, and those whose answer was still known */
	uint64_t values_skipped;    /* too long, or too many */
	uint64_t not_utf8;	    /* values not shown to the patterns with u of their field */
};

struct psi_match;

/* psi_match_open compiles or loads everything, reads the host lists, and says by tell what is wrong: every bad pattern and
 * line, up to PSI_MATCH_COMPLAINTS_MAX. Returns NULL when there was one, or without memory; err then has the first
 * and how many there are. A cache that cannot be used costs time and a note, nothing else. No file is read later.
 * Ids are copied; cfg is not kept. psi_match_close frees it; NULL is fine. */
struct psi_match *psi_match_open(const struct psi_match_config *cfg, struct psi_err *err);
void psi_match_close(struct psi_match *m);

/* psi_match_flow: what hits. Allocates nothing. The same input gives the same answer, order included. */
void
psi_match_flow(struct psi_match *m, const struct psi_match_input *in, struct psi_match_hits *out);

void psi_match_count(const struct psi_match *m, struct psi_match_count *out);

#endif
