/* SPDX-License-Identifier: BSD-3-Clause */
#include "flow_pvt.h"

static size_t
round64(size_t n)
{
	return (n + 63) & ~(size_t)63;
}

static uint32_t
bucket_cnt(const struct psi_flow_config *cfg)
{
	return (uint32_t)(((uint64_t)cfg->max + WAYS - 1) / WAYS);
}

/* Times are 32 bits wide and wrap: a timeout must be told from its own past. */
static bool
possible(const struct psi_flow_config *cfg)
{
	for (int s = 0; s < PSI_FLOW_STATE_CNT; s++)
		if (s != PSI_FLOW_FREE && cfg->timeout_ms[s] > INT32_MAX)
			return false;
	return cfg->max > 0 && cfg->max <= FLOW_MAX;
}

size_t
psi_flow_footprint(const struct psi_flow_config *cfg)
{
	size_t n = bucket_cnt(cfg);

	if (!possible(cfg))
		return 0;
	return sizeof(struct psi_flow_table) + n * WAYS * sizeof(struct psi_flow) +
	       n * sizeof(struct tags) + round64(n * sizeof(struct states)) +
	       round64(n * sizeof(uint32_t));
}

/* The words that the hash multiplies with, drawn from 128 random bits by splitmix64 (Steele, Lea and Flood, "Fast
 * splittable pseudorandom number generators", 2014), two streams of it added up. */
static void
expand_key(uint64_t *key, const uint64_t seed[2])
{
	for (unsigned int i = 0; i < KEY_CNT; i++) {
		key[i] = 0;
		for (unsigned int s = 0; s < 2; s++) {
			uint64_t z = seed[s] + (2 * i + s + 1) * 0x9e3779b97f4a7c15u;

			z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
			z = (z ^ z >> 27) * 0x94d049bb133111ebu;
			key[i] += z ^ z >> 31;
		}
	}
	key[KEY_CNT - 1] |= 1; /* the last multiplier, see psi_flow_hash */
}

struct psi_flow_table *
psi_flow_init(void *mem, const struct psi_flow_config *cfg, struct psi_stats *stats,
	psi_flow_gone_fn *gone, void *ctx)
{
	struct psi_flow_table *t = mem;
	size_t n = bucket_cnt(cfg);

	if (!possible(cfg))
		return NULL;
	t->bucket_cnt = (uint32_t)n;
	t->entries = (struct psi_flow *)(void *)(t + 1);
	t->tags = (struct tags *)(void *)(t->entries + n * WAYS);
	t->states = (struct states *)(void *)(t->tags + n);
	t->due = (uint32_t *)(void *)((uint8_t *)t->states + round64(n * sizeof(struct states)));
	memcpy(t->timeout_ms, cfg->timeout_ms, sizeof(t->timeout_ms));
	expand_key(t->key, cfg->hash_key);
	t->stats = stats;
	t->gone = gone;
	t->ctx = ctx;
	return t;
}

/* No way of the bucket is in use: most are not when a small capture ends. */
static bool
is_empty(const struct tags *t)
{
	uint16_t any = 0;

	for (unsigned int w = 0; w < WAYS; w++)
		any |= t->way[w];
	return any < TAG_FLOW;
}

uint32_t
psi_flow_next(const struct psi_flow_table *t, uint32_t i)
{
	uint32_t slots = t->bucket_cnt * WAYS;

	while (i < slots) {
		const struct tags *b = &t->tags[i / WAYS];

		if (i % WAYS == 0 && is_empty(b))
			i += WAYS;
		else if (b->way[i % WAYS] < TAG_FLOW)
			i++;
		else
			return i;
	}
	return slots;
}

void
psi_flow_stop(struct psi_flow_table *t)
{
	uint32_t slots = t->bucket_cnt * WAYS;

	/* no further than there are any: most of the table may never have been touched */
	for (uint32_t i = 0; psi_flow_alive(t) && (i = psi_flow_next(t, i)) < slots; i++) {
		t->gone(t->ctx, &t->entries[i], PSI_FLOW_WHY_STOP);
		psi_flow_free(t, &t->entries[i]);
	}
}
