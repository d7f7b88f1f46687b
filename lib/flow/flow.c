/* SPDX-License-Identifier: BSD-3-Clause */
#include "flow_pvt.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

static inline uint64_t
word(const struct psi_tuple *key, size_t off)
{
	uint64_t v;

	memcpy(&v, (const uint8_t *)key + off, sizeof(v));
	return v;
}

/* NH (Black et al., "UMAC: fast and secure message authentication", 1999) over the tuple as six words: the chance that
 * two given tuples meet in its 128 bits is 2^-64 for whoever does not know the key. The last four bytes of the fifth
 * word are read again in the sixth. Then one more keyed multiplication spreads the sum over the bits that are used. */
uint32_t
psi_flow_hash(const struct psi_flow_table *t, const struct psi_tuple *key)
{
	const uint64_t *k = t->key;
	unsigned __int128 sum, fold;

	sum = (unsigned __int128)(word(key, 0) + k[0]) * (word(key, 16) + k[1]);
	sum += (unsigned __int128)(word(key, 8) + k[2]) * (word(key, 24) + k[3]);
	sum += (unsigned __int128)(word(key, 32) + k[4]) * (word(key, 36) + k[5]);
	fold = (unsigned __int128)((uint64_t)sum ^ (uint64_t)(sum >> 64) ^ k[6]) * k[7];
	return (uint32_t)((uint64_t)fold ^ (uint64_t)(fold >> 64)) ^
	       (uint32_t)((uint64_t)fold >> 32);
}

/* Bit w is set when way w has this tag. */
static inline unsigned int
match(const struct tags *tags, uint16_t tag)
{
#ifdef __SSE2__
	__m128i line = _mm_load_si128((const __m128i *)(const void *)tags->way);
	__m128i eq = _mm_cmpeq_epi16(line, _mm_set1_epi16((short)tag));

	return (unsigned int)_mm_movemask_epi8(_mm_packs_epi16(eq, _mm_setzero_si128()));
#else
	unsigned int mask = 0;

	for (unsigned int w = 0; w < WAYS; w++)
		mask |= (unsigned int)(tags->way[w] == tag) << w;
	return mask;
#endif
}

static inline bool
same(const struct psi_tuple *a, const struct psi_tuple *b)
{
	return !((word(a, 0) ^ word(b, 0)) | (word(a, 8) ^ word(b, 8)) |
		 (word(a, 16) ^ word(b, 16)) | (word(a, 24) ^ word(b, 24)) |
		 (word(a, 32) ^ word(b, 32)) | (word(a, 36) ^ word(b, 36)));
}

void
psi_flow_prefetch(const struct psi_flow_table *t, uint32_t hash)
{
	__builtin_prefetch(&t->tags[bucket_of(t, hash)]);
}

/* Where the tags know nothing of the flow, the entry that it would be given. */
void
psi_flow_prefetch_entry(const struct psi_flow_table *t, uint32_t hash)
{
	uint32_t b = bucket_of(t, hash);
	unsigned int mask = match(&t->tags[b], tag_of(hash));

	if (!mask)
		mask = match(&t->tags[b], TAG_FREE);
	if (mask)
		__builtin_prefetch(
			&t->entries[(size_t)b * WAYS + (unsigned int)__builtin_ctz(mask)]);
}

struct psi_flow *
psi_flow_find(struct psi_flow_table *t, const struct psi_tuple *key, uint32_t hash)
{
	uint32_t b = bucket_of(t, hash);
	struct psi_flow *bucket = &t->entries[(size_t)b * WAYS];

	for (unsigned int mask = match(&t->tags[b], tag_of(hash)); mask; mask &= mask - 1) {
		struct psi_flow *f = &bucket[__builtin_ctz(mask)];

		if (psi_likely(same(&f->tuple, key)))
			return f;
	}
	return NULL;
}

/* ---- timeouts ---- */

static inline uint32_t
idle_ms(const struct psi_flow *f, uint64_t now_ms)
{
	return (uint32_t)now_ms - f->last_ms;
}

/* When f will have outlived its timeout, unless it is touched before. */
static inline uint32_t
due_of(const struct psi_flow_table *t, const struct psi_flow *f)
{
	uint64_t last_ms = t->now_ms - idle_ms(f, t->now_ms);

	return (uint32_t)((last_ms + t->timeout_ms[f->state]) >> DUE_SHIFT);
}

static inline bool
due_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline void
bring_forward(struct psi_flow_table *t, size_t b, uint32_t due)
{
	if (due_before(due, t->due[b]))
		t->due[b] = due;
}

static inline size_t
index_of(const struct psi_flow_table *t, const struct psi_flow *f)
{
	return (size_t)(f - t->entries);
}

void
psi_flow_set_state(struct psi_flow_table *t, struct psi_flow *f, enum psi_flow_state state)
{
	PSI_ASSERT(f->state != PSI_FLOW_FREE && state != PSI_FLOW_FREE,
		"a flow is freed by psi_flow_free only");
	f->state = (uint8_t)state;
	bring_forward(t, index_of(t, f) / WAYS, due_of(t, f));
}

void
psi_flow_free(struct psi_flow_table *t, struct psi_flow *f)
{
	size_t i = index_of(t, f);

	PSI_ASSERT(f->state != PSI_FLOW_FREE, "a flow is freed once");
	f->state = PSI_FLOW_FREE;
	t->tags[i / WAYS].way[i % WAYS] = TAG_FREE;
	t->alive--;
}

/* Looks at one bucket and dates its next look. */
static uint32_t
age_bucket(struct psi_flow_table *t, uint32_t b)
{
	uint32_t due = (uint32_t)(t->now_ms >> DUE_SHIFT) + DUE_NEVER, gone = 0;

	for (unsigned int w = 0; w < WAYS; w++) {
		struct psi_flow *f = &t->entries[(size_t)b * WAYS + w];

		if (t->tags[b].way[w] == TAG_FREE)
			continue;
		if (idle_ms(f, t->now_ms) > t->timeout_ms[f->state]) {
			t->gone(t->ctx, f, PSI_FLOW_WHY_IDLE);
			psi_flow_free(t, f);
			gone++;
		} else if (due_before(due_of(t, f), due)) {
			due = due_of(t, f);
		}
	}
	t->due[b] = due;
	return gone;
}

uint32_t
psi_flow_age(struct psi_flow_table *t, uint64_t now_ms, uint32_t budget)
{
	uint32_t now = (uint32_t)(now_ms >> DUE_SHIFT), gone = 0;

	t->now_ms = now_ms;
	for (uint32_t n = PSI_MIN(budget, t->bucket_cnt); n; n--) {
		if (!due_before(now, t->due[t->age_next]))
			gone += age_bucket(t, t->age_next);
		if (++t->age_next == t->bucket_cnt)
			t->age_next = 0;
	}
	return gone;
}

uint32_t
psi_flow_age_all(struct psi_flow_table *t, uint64_t now_ms)
{
	return psi_flow_age(t, now_ms, t->bucket_cnt);
}

/* ---- making room ---- */

/* The least valuable entry of a full bucket: one past its timeout, else of the lowest state, of those the one silent
 * for longest. *past tells which. */
static struct psi_flow *
victim(struct psi_flow_table *t, uint32_t b, bool *past)
{
	struct psi_flow *least = NULL;
	uint64_t least_worth = UINT64_MAX;

	for (unsigned int w = 0; w < WAYS; w++) {
		struct psi_flow *f = &t->entries[(size_t)b * WAYS + w];
		uint32_t idle = idle_ms(f, t->now_ms);
		uint64_t state = idle > t->timeout_ms[f->state] ? PSI_FLOW_FREE : f->state;
		uint64_t worth = state << 32 | (UINT32_MAX - idle);

		if (!least || worth < least_worth) {
			least = f;
			least_worth = worth;
		}
	}
	*past = least_worth >> 32 == PSI_FLOW_FREE;
	return least;
}

/* Frees a way of bucket b for a flow of that state; NULL when all in it are worth more. */
static struct psi_flow *
make_room(struct psi_flow_table *t, uint32_t b, enum psi_flow_state state)
{
	bool past;
	struct psi_flow *f = victim(t, b, &past);

	if (!past) {
		if (f->state > state)
			return NULL;
		if (f->state == PSI_FLOW_HANDSHAKE)
			psi_stat_inc(t->stats, PSI_STAT_flow_evicted_handshake);
	}
	t->gone(t->ctx, f, past ? PSI_FLOW_WHY_IDLE : PSI_FLOW_WHY_EVICTED);
	psi_flow_free(t, f);
	return f;
}

struct psi_flow *
psi_flow_get(struct psi_flow_table *t, const struct psi_tuple *key, uint32_t hash,
	enum psi_flow_state state, uint64_t now_ms, bool *made)
{
	struct psi_flow *f = psi_flow_find(t, key, hash);
	uint32_t b = bucket_of(t, hash);
	unsigned int mask = match(&t->tags[b], TAG_FREE);

	t->now_ms = now_ms;
	*made = false;
	if (f)
		return f;
	f = mask ? &t->entries[(size_t)b * WAYS + (unsigned int)__builtin_ctz(mask)]
		 : make_room(t, b, state);
	if (!f)
		return NULL;
	*f = (struct psi_flow){.tuple = *key,
		.cold = PSI_FLOW_COLD_NONE,
		.last_ms = (uint32_t)now_ms,
		.state = (uint8_t)state,
		.tag = tag_of(hash)};
	t->tags[b].way[index_of(t, f) % WAYS] = f->tag;
	bring_forward(t, b, due_of(t, f));
	t->alive++;
	*made = true;
	return f;
}

uint32_t
psi_flow_alive(const struct psi_flow_table *t)
{
	return t->alive;
}
