/* SPDX-License-Identifier: BSD-3-Clause */
/* Hyperscan's compiler. It stops at the first bad pattern; an operator wants to hear of all. So when it fails each pattern is
 * compiled by itself: hs_expression_info would be faster, but lets some through that the compiler refuses, and the
 * other way round. */
#include "match_pvt.h"

#include <errno.h>
#include <time.h>

#define MANY 1000 /* patterns that take about a second, so that waiting is explained */

static void
complain_of(struct teller *t, enum psi_rule_field field, const struct source *s, uint32_t i,
	const char *why)
{
	const struct psi_config_rule *r = &t->cfg->rule[s->id[i]];
	const char *hint =
		strstr(why, "ALLOWEMPTY")
			? " (here: it would hit every flow; ask for at least one character)"
			: "";

	complain(t, r->pattern[field].at, "rule %s: %s: %.*s: Hyperscan: %s%s", r->id,
		field_name[field], shown(r->pattern[field].text), r->pattern[field].text, why,
		hint);
}

static void
find_bad(struct teller *t, enum psi_rule_field field, const struct source *s, const char *all)
{
	uint32_t before = t->bad;

	if (s->cnt >= MANY)
		note(t, "rules: a pattern is bad; compiling the %u over %s one by one to tell which",
			s->cnt, field_name[field]);
	for (uint32_t i = 0; i < s->cnt && t->bad < PSI_MATCH_COMPLAINTS_MAX; i++) {
		hs_compile_error_t *e = NULL;
		hs_database_t *db = NULL;

		if (hs_compile(s->text[i], s->flags[i], HS_MODE_BLOCK, NULL, &db, &e) != HS_SUCCESS)
			complain_of(t, field, s, i, e ? e->message : "no reason given");
		hs_free_compile_error(e);
		hs_free_database(db);
	}
	if (t->bad == before)
		complain(t, t->cfg->rule[s->id[0]].at,
			"the %u patterns over %s, together with this one: Hyperscan: %s", s->cnt,
			field_name[field], all);
}

static double
now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

hs_database_t *
set_compile(struct teller *t, enum psi_rule_field field, const struct source *s)
{
	hs_compile_error_t *e = NULL;
	hs_database_t *db = NULL;
	double start = now_s();

	if (s->cnt >= MANY)
		note(t, "rules: compiling %u patterns over %s", s->cnt, field_name[field]);
	if (hs_compile_multi((const char *const *)s->text, s->flags, s->id, s->cnt, HS_MODE_BLOCK,
		    NULL, &db, &e) != HS_SUCCESS) {
		find_bad(t, field, s, e ? e->message : "no reason given");
		hs_free_compile_error(e);
		return NULL;
	}
	if (s->cnt >= MANY)
		note(t, "rules: compiled in %.1f s", now_s() - start);
	return db;
}
