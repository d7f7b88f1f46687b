/* SPDX-License-Identifier: BSD-3-Clause */
/* The counted relations: one hash table of lines, eight keys in a cache line of their own, the rows beside it. A line that
 * is full gives up its least recently touched row, so nothing is ever allocated, moved or scanned. Hot: once per flow. */
#include "population_pvt.h"

#include <math.h>

/* What a key stands for; part of its hash. */
enum relation {
	REL_LEAF = 1,
	REL_EVERYONE,
	REL_CLIENT,
	REL_KIN,
	REL_KINDS,
	REL_STACK_ISSUER,
	REL_CLIENT_ISSUER,
	REL_STACK_ALL,
	REL_DOMAIN,
	REL_DOMAINS,
	REL_REACH,
	REL_REACHED,
	REL_ISSUER_DOMAIN,
	REL_ISSUER,
	REL_SHAPE,
	REL_PAIR_ISSUER,
	REL_HOST_ISSUER,
};

__extension__ typedef unsigned __int128 u128;

uint64_t
pop_mix(uint64_t a, uint64_t b)
{
	u128 m = (u128)(a ^ 0x9e3779b97f4a7c15ull) * (b ^ 0xd1b54a32d192ed03ull);

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

uint64_t
pop_hash(uint64_t seed, const void *p, size_t len)
{
	const uint8_t *b = p;
	uint64_t h = pop_mix(seed, len + 1), w;

	for (; len >= 8; len -= 8, b += 8) {
		memcpy(&w, b, 8);
		h = pop_mix(h, w);
	}
	w = 0;
	if (len)
		memcpy(&w, b, len);
	return pop_mix(h, w);
}

/* What a thing of then still weighs; 0 when it never was. */
float
pop_share(const struct psi_population *p, uint64_t at_ns)
{
	if (!at_ns)
		return 0;
	if (at_ns >= p->now_ns)
		return 1;
	return exp2f(-(float)(p->now_ns - at_ns) / (float)p->cfg.half_life_ns);
}

/* Brings a row's masses to now. */
static struct row *
age(const struct psi_population *p, struct row *r)
{
	float left;

	if (r->at_ns >= p->now_ns)
		return r;
	left = pop_share(p, r->at_ns);
	r->ok *= left;
	r->ref *= left;
	for (int v = 0; v < VOTE_CNT; v++) /* the tries too: they share the place */
		r->vote[v] *= left;
	r->at_ns = p->now_ns;
	return r;
}

static uint64_t
key_of(const struct psi_population *p, enum relation rel, uint64_t who, uint64_t what)
{
	uint64_t key = pop_mix(pop_mix(p->cfg.seed + rel, who), what);

	return key | !key;
}

/* Brings the lines of all rows of a flow nearer before the first is used, and then the rows that are there: two waits for
 * memory instead of one for each of some forty lines. */
void
pop_rows_prefetch(const struct psi_population *p, const struct ids *id)
{
	const uint64_t none = pop_mix(id->host, 0), shown = pop_mix(id->host, id->ctx);
	const uint64_t named = pop_mix(id->host, id->named);
	const struct {
		enum relation rel;
		uint64_t who, what;
	} row[] = {
		{REL_LEAF, id->stack, none},
		{REL_EVERYONE, 0, none},
		{REL_CLIENT, id->client, none},
		{REL_KIN, id->ja4, none},
		{REL_KINDS, 0, none},
		{REL_LEAF, id->stack, shown},
		{REL_EVERYONE, 0, shown},
		{REL_CLIENT, id->client, shown},
		{REL_KIN, id->ja4, shown},
		{REL_KINDS, 0, shown},
		{REL_STACK_ISSUER, id->stack, id->issuer},
		{REL_CLIENT_ISSUER, id->client, id->issuer_any},
		{REL_DOMAIN, pop_mix(id->stack, id->issuer), id->domain},
		{REL_DOMAINS, id->stack, id->issuer},
		{REL_REACH, id->stack, id->domain},
		{REL_REACHED, id->stack, 0},
		{REL_PAIR_ISSUER, id->stack, named},
		{REL_HOST_ISSUER, id->host, named},
		{REL_STACK_ALL, id->stack, 0},
	};
	uint64_t key[PSI_COUNT(row)];

	for (size_t i = 0; i < PSI_COUNT(row); i++) {
		key[i] = key_of(p, row[i].rel, row[i].who, row[i].what);
		__builtin_prefetch(&p->line[key[i] & (p->line_cnt - 1)]);
	}
	for (size_t i = 0; i < PSI_COUNT(row); i++) {
		uint64_t at = key[i] & (p->line_cnt - 1);

		for (int w = 0; w < WAYS; w++)
			if (p->line[at].key[w] == key[i] || !p->line[at].key[w]) {
				__builtin_prefetch(&p->row[at * WAYS + (uint64_t)w], 1);
				break;
			}
	}
}

/* The row of a key; NULL when there is none and none is to be made. */
static struct row *
row_of(struct psi_population *p, enum relation rel, uint64_t who, uint64_t what, bool make)
{
	uint64_t key = key_of(p, rel, who, what);
	struct row_line *l = &p->line[key & (p->line_cnt - 1)];
	struct row *r = &p->row[(size_t)(key & (p->line_cnt - 1)) * WAYS];
	int use = -1;

	for (int i = 0; i < WAYS; i++) {
		if (l->key[i] == key)
			return age(p, &r[i]);
		if (!l->key[i] && use < 0)
			use = i;
	}
	if (!make)
		return NULL;
	if (use < 0) {
		use = 0;
		for (int i = 1; i < WAYS; i++)
			if (r[i].at_ns < r[use].at_ns)
				use = i;
		p->count.rows_evicted++;
	} else {
		p->count.rows++;
	}
	l->key[use] = key;
	r[use] = (struct row){.at_ns = p->now_ns};
	return &r[use];
}

void
pop_rows_level(
	struct psi_population *p, const struct ids *id, uint64_t ctx, bool make, struct level *out)
{
	uint64_t what = pop_mix(id->host, ctx);

	out->leaf = row_of(p, REL_LEAF, id->stack, what, make);
	out->everyone = row_of(p, REL_EVERYONE, 0, what, make);
	out->client = row_of(p, REL_CLIENT, id->client, what, make);
	out->kin = row_of(p, REL_KIN, id->ja4, what, make);
	out->kinds = row_of(p, REL_KINDS, 0, what, make);
}

void
pop_rows_issuer(struct psi_population *p, const struct ids *id, bool make, struct issuer_rows *out)
{
	out->stack = row_of(p, REL_STACK_ISSUER, id->stack, id->issuer, make);
	out->client = row_of(p, REL_CLIENT_ISSUER, id->client, id->issuer_any, make);
	out->domain = row_of(p, REL_DOMAIN, pop_mix(id->stack, id->issuer), id->domain, make);
	out->domains = row_of(p, REL_DOMAINS, id->stack, id->issuer, make);
	out->reach = row_of(p, REL_REACH, id->stack, id->domain, make);
	out->reached = row_of(p, REL_REACHED, id->stack, 0, make);
	out->pair = row_of(p, REL_PAIR_ISSUER, id->stack, pop_mix(id->host, id->named), make);
	out->host = row_of(p, REL_HOST_ISSUER, id->host, id->named, make);
	out->all = row_of(p, REL_STACK_ALL, id->stack, 0, make);
}

void
pop_rows_foreign(
	struct psi_population *p, const struct ids *id, struct row **domain, struct row **all)
{
	*domain = row_of(p, REL_ISSUER_DOMAIN, id->named, id->domain, true);
	*all = row_of(p, REL_ISSUER, id->named, 0, true);
}

struct row *
pop_rows_shape(struct psi_population *p, uint64_t host, uint32_t msg_len, bool make)
{
	return row_of(p, REL_SHAPE, host, msg_len, make);
}
