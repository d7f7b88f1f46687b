/* SPDX-License-Identifier: BSD-3-Clause */
/* A record needs some hundred lines of memory, most of them found by way of others: the first half of its flow, its chain,
 * the relations of whom it is about. Each step of the way is asked for here for several records before the next step is
 * taken for the first, so that they wait for memory together. Nothing is changed and nothing is decided: what was found
 * here and is gone when its record's turn comes is looked for again. */
#include "collector_pvt.h"

#define LEAF_MAX \
	2048 /* bytes of a leaf's fields that are asked for: what follows, the processor has seen coming */

static void
want(const void *p, size_t len)
{
	for (size_t at = 0; p && at < len; at += 64)
		__builtin_prefetch((const uint8_t *)p + at);
}

static bool
begins(const struct psi_rec *r)
{
	return r->kind & PSI_REC_HANDSHAKE;
}

static void
want_chain(struct psi_collector *c, const struct psi_rec *r)
{
	if (r->has_chain[PSI_S2C])
		chains_want(&c->chains, r->chain_key[PSI_S2C]);
}

static void
want_trust(struct psi_collector *c, const struct ahead *a, unsigned int step)
{
	const struct psi_rec *r = a->p;

	if (begins(r) && r->has_chain[PSI_S2C] && c->cfg.policy && c->cfg.policy->trust)
		psi_trust_want(c->cfg.policy->trust, r->chain_key[PSI_S2C], step);
}

/* ---- the steps ---- */

static void
records(struct psi_collector *c, struct ahead *a)
{
	const struct psi_rec *r = a->p;

	joins_want(&c->joins, r->flow_id);
	if (begins(r))
		want_chain(c, r);
	want_trust(c, a, 0);
}

static void
first_halves(struct psi_collector *c, struct ahead *a)
{
	const struct psi_rec *r = a->p;

	joins_want_first(&c->joins, r->flow_id);
	if (begins(r) && r->has_chain[PSI_S2C])
		chains_want_first(&c->chains, r->chain_key[PSI_S2C]);
	want_trust(c, a, 1);
}

/* The first half of the flow, when a has the second: it holds what there is to know of both. */
static void
second_halves(struct psi_collector *c, struct ahead *a)
{
	const struct psi_rec *r = a->p;
	struct join *j = begins(r) ? NULL : joins_look(&c->joins, r->flow_id);

	a->join = j;
	a->whole = j ? &j->rec : begins(r) ? r : NULL;
	if (!j)
		return;
	want_chain(c, &j->rec);
	want(j->rec.var, j->rec.len - PSI_MIN(j->rec.len, (uint32_t)sizeof(j->rec)));
	if (j->newer)
		__builtin_prefetch(j->newer, 1);
	if (j->older)
		__builtin_prefetch(j->older, 1);
}

static void
chains(struct psi_collector *c, struct ahead *a)
{
	if (a->join && a->whole->has_chain[PSI_S2C])
		chains_want_first(&c->chains, a->whole->chain_key[PSI_S2C]);
	want_trust(c, a, 2);
}

static void
relations(struct psi_collector *c, struct ahead *a)
{
	const struct psi_rec *r = a->whole;
	struct chain *chain;
	struct psi_pop_flow f;

	if (!r)
		return;
	chain = r->has_chain[PSI_S2C] ? chains_look(&c->chains, r->chain_key[PSI_S2C]) : NULL;
	if (chain && a->join) { /* issuers are shared, and at hand */
		want(chain->leaf, PSI_MIN(chain->leaf_len + chain->first_len, (uint32_t)LEAF_MAX));
	}
	if (!c->population)
		return;
	as_population_looks(c, r, chain, &f);
	f.kept = a->join ? &a->join->kept : NULL;
	a->has_pop = psi_population_ahead(c->population, &f, &a->pop);
}

static void
rows(struct psi_collector *c, struct ahead *a)
{
	if (a->has_pop)
		psi_population_ahead_rows(c->population, &a->pop);
}

uint32_t
look_ahead(struct psi_collector *c, const struct psi_handoff *q, struct ahead a[AHEAD_MAX],
	uint32_t max)
{
	static void (*const step[])(struct psi_collector *, struct ahead *) = {
		records, first_halves, second_halves, chains, relations, rows};
	uint64_t pos = psi_handoff_oldest(q);
	uint32_t n = 0;

	for (max = PSI_MIN(max, (uint32_t)AHEAD_MAX);
		n < max && (a[n].p = psi_handoff_look(q, &pos, &a[n].type, &a[n].len)); n++) {
		a[n].has_pop = false;
		want(a[n].p, a[n].len);
	}
	for (size_t s = 0; s < PSI_COUNT(step); s++)
		for (uint32_t i = 0; i < n; i++)
			if (a[i].type == PSI_HANDOFF_FLOW)
				step[s](c, &a[i]);
	return n;
}
