/* SPDX-License-Identifier: BSD-3-Clause */
#include "flow_pvt.h"

#include <stdatomic.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* The sixth word: the last four bytes of the fifth and the four behind it, without reading across both, which were
 * written a moment ago. */
static inline uint64_t
last_word(uint64_t fifth, const struct psi_tuple *key)
{
	uint32_t end;

	memcpy(&end, &key->vlan, sizeof(end));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return fifth >> 32 | (uint64_t)end << 32;
#else
	return fifth << 32 | end;
#endif
}

/* NH (Black et al., "UMAC: fast and secure message authentication", 1999) over the tuple as six words: the chance that
 * two given tuples meet in its 128 bits is 2^-64 for whoever does not know the key. Then one more keyed multiplication
 * spreads the sum over the bits that are used. */
uint32_t
psi_flow_hash(const struct psi_flow_table *t, const struct psi_tuple *key)
{
	const uint64_t *k = t->key;
	uint64_t fifth = psi_flow_word(key, 32), sixth = last_word(fifth, key);
	unsigned __int128 sum, fold;

	sum = (unsigned __int128)(psi_flow_word(key, 0) + k[0]) * (psi_flow_word(key, 16) + k[1]);
	sum += (unsigned __int128)(psi_flow_word(key, 8) + k[2]) * (psi_flow_word(key, 24) + k[3]);
	sum += (unsigned __int128)(fifth + k[4]) * (sixth + k[5]);
	fold = (unsigned __int128)((uint64_t)sum ^ (uint64_t)(sum >> 64) ^ k[6]) * k[7];
	return (uint32_t)((uint64_t)fold ^ (uint64_t)(fold >> 64)) ^
	       (uint32_t)((uint64_t)fold >> 32);
}

/* Bit w is set when way w has this tag. */
static inline uint32_t
match(const struct tags *tags, uint16_t tag)
{
	uint32_t mask = 0;
#ifdef __SSE2__
	const __m128i *line = (const __m128i *)(const void *)tags->way;
	__m128i t = _mm_set1_epi16((short)tag);

	for (unsigned int i = 0; i < WAYS / 16; i++) {
		__m128i lo = _mm_cmpeq_epi16(_mm_load_si128(line + 2 * i), t);
		__m128i hi = _mm_cmpeq_epi16(_mm_load_si128(line + 2 * i + 1), t);

		mask |= (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(lo, hi)) << 16 * i;
	}
#else
	for (unsigned int w = 0; w < WAYS; w++)
		mask |= (uint32_t)(tags->way[w] == tag) << w;
#endif
	return mask;
}

/* Ways that a flow can have. */
static inline uint32_t
free_ways(const struct tags *tags)
{
	return match(tags, TAG_FREE) | match(tags, TAG_LEFT);
}

/* No flow of bucket b is in another one. */
static inline bool
all_at_home(const struct psi_flow_table *t, uint32_t b)
{
	return match(&t->tags[b], TAG_FREE) != 0;
}

static inline bool
has_strangers(const struct states *s)
{
	uint64_t any = 0, v;

	for (unsigned int i = 0; i < WAYS; i += 8) {
		memcpy(&v, &s->way[i], 8);
		any |= v;
	}
	return any & UINT64_C(0x0101010101010101) * STRANGER;
}

/* The lowest state in a full bucket; *mask: which ways have it. */
static inline unsigned int
lowest(const struct states *s, uint32_t *mask)
{
	unsigned int low = PSI_FLOW_STATE_CNT;

	for (unsigned int w = 0; w < WAYS; w++)
		low = PSI_MIN(low, s->way[w] & (STRANGER - 1u));
	*mask = 0;
	for (unsigned int w = 0; w < WAYS; w++)
		*mask |= (uint32_t)((s->way[w] & (STRANGER - 1u)) == low) << w;
	return low;
}

void
psi_flow_prefetch(const struct psi_flow_table *t, uint32_t hash)
{
	__builtin_prefetch(&t->tags[bucket_of(t, hash)]);
}

/* The first of the ways in mask, of bucket b; of none its first. */
static inline struct psi_flow *
ask_way(const struct psi_flow_table *t, uint32_t b, uint32_t mask)
{
	struct psi_flow *f = &t->entries[(size_t)b * WAYS];

	if (mask)
		f += __builtin_ctz(mask);
	__builtin_prefetch(f, 1);
	return f;
}

/* What is written when a flow is made in bucket b. */
static struct psi_flow *
ask_new(const struct psi_flow_table *t, uint32_t b)
{
	__builtin_prefetch(&t->states[b]);
	__builtin_prefetch(&t->due[b]);
	return ask_way(t, b, free_ways(&t->tags[b]));
}

struct psi_flow *
psi_flow_prefetch_entry(const struct psi_flow_table *t, uint32_t hash)
{
	uint32_t b = bucket_of(t, hash);
	uint32_t mask = match(&t->tags[b], tag_of(hash));

	if (psi_likely(mask))
		return ask_way(t, b, mask);
	if (!all_at_home(t, b))
		__builtin_prefetch(&t->tags[bucket_after(t, b)]);
	return NULL;
}

struct psi_flow *
psi_flow_prefetch_far(const struct psi_flow_table *t, uint32_t hash, bool make)
{
	uint32_t b = bucket_of(t, hash);

	if (!all_at_home(t, b)) {
		uint32_t after = bucket_after(t, b);
		uint32_t mask = match(&t->tags[after], tag_of(hash));

		if (mask)
			return ask_way(t, after, mask);
		b = free_ways(&t->tags[b]) ? b : after;
	}
	return make ? ask_new(t, b) : NULL;
}

static inline struct psi_flow *
find_in(const struct psi_flow_table *t, uint32_t b, const struct psi_tuple *key, uint32_t hash)
{
	struct psi_flow *bucket = &t->entries[(size_t)b * WAYS];

	for (uint32_t mask = match(&t->tags[b], tag_of(hash)); mask; mask &= mask - 1) {
		struct psi_flow *f = &bucket[__builtin_ctz(mask)];

		if (psi_likely(psi_flow_is(f, key)))
			return f;
	}
	return NULL;
}

struct psi_flow *
psi_flow_find(struct psi_flow_table *t, const struct psi_tuple *key, uint32_t hash)
{
	uint32_t b = bucket_of(t, hash);
	struct psi_flow *f = find_in(t, b, key, hash);

	return f || all_at_home(t, b) ? f : find_in(t, bucket_after(t, b), key, hash);
}

/* ---- lean entries ---- */

bool
psi_flow_slim(struct psi_flow *f)
{
	if (!(f->flags & PSI_FLOW_LEAN) && !psi_flow_may_lean(&f->tuple))
		return false;
	f->flags |= PSI_FLOW_LEAN;
	return true;
}

void
psi_flow_whole(struct psi_flow *f)
{
	f->tuple = psi_flow_tuple(f);
	f->flags &= (uint8_t)~PSI_FLOW_LEAN;
}

struct psi_tuple
psi_flow_tuple(const struct psi_flow *f)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	struct psi_tuple t = f->tuple;

	if (!(f->flags & PSI_FLOW_LEAN))
		return t;
	memcpy(t.addr[0], mapped, sizeof(mapped));
	memcpy(t.addr[1], mapped, sizeof(mapped));
	t.tunnel_id = 0;
	return t;
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

/* stranger: STRANGER or 0. */
static inline void
set_state(struct psi_flow_table *t, size_t i, enum psi_flow_state state, uint8_t stranger)
{
	t->entries[i].state = (uint8_t)state;
	t->states[i / WAYS].way[i % WAYS] = (uint8_t)state | stranger;
}

static inline uint8_t
stranger_at(const struct psi_flow_table *t, size_t i)
{
	return t->states[i / WAYS].way[i % WAYS] & STRANGER;
}

void
psi_flow_prefetch_state(const struct psi_flow_table *t, const struct psi_flow *f)
{
	size_t b = index_of(t, f) / WAYS;

	__builtin_prefetch(&t->states[b], 1);
	__builtin_prefetch(&t->due[b], 1);
}

void
psi_flow_set_state(struct psi_flow_table *t, struct psi_flow *f, enum psi_flow_state state)
{
	size_t i = index_of(t, f);

	PSI_ASSERT(f->state != PSI_FLOW_FREE && state != PSI_FLOW_FREE,
		"a flow is freed by psi_flow_free only");
	set_state(t, i, state, stranger_at(t, i));
	bring_forward(t, i / WAYS, due_of(t, f));
}

/* The last stranger of bucket b went: the one before has all of its flows at home. */
static void
all_came_home(struct psi_flow_table *t, uint32_t b)
{
	struct tags *tags = &t->tags[bucket_before(t, b)];

	for (uint32_t mask = match(tags, TAG_LEFT); mask; mask &= mask - 1)
		tags->way[__builtin_ctz(mask)] = TAG_FREE;
}

/* Only the owner writes, so that no locked addition is needed. */
static inline void
count_alive(struct psi_flow_table *t, int by)
{
	uint32_t n = atomic_load_explicit(&t->alive, memory_order_relaxed);

	atomic_store_explicit(&t->alive, n + (uint32_t)by, memory_order_relaxed);
}

void
psi_flow_free(struct psi_flow_table *t, struct psi_flow *f)
{
	size_t i = index_of(t, f);
	uint32_t b = (uint32_t)(i / WAYS);
	uint8_t stranger = stranger_at(t, i);
	bool at_home = all_at_home(t, b) || !has_strangers(&t->states[bucket_after(t, b)]);

	PSI_ASSERT(f->state != PSI_FLOW_FREE, "a flow is freed once");
	set_state(t, i, PSI_FLOW_FREE, 0);
	t->tags[b].way[i % WAYS] = at_home ? TAG_FREE : TAG_LEFT;
	count_alive(t, -1);
	if (stranger && !has_strangers(&t->states[b]))
		all_came_home(t, b);
}

/* Looks at one bucket and dates its next look. */
static uint32_t
age_bucket(struct psi_flow_table *t, uint32_t b)
{
	uint32_t due = (uint32_t)(t->now_ms >> DUE_SHIFT) + DUE_NEVER, gone = 0;

	for (unsigned int w = 0; w < WAYS; w++) {
		struct psi_flow *f = &t->entries[(size_t)b * WAYS + w];

		if (t->tags[b].way[w] < TAG_FLOW)
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

/* Of the ways in mask, the one silent for longest; of many, among a few from a random place on. */
static uint32_t
oldest(const struct psi_flow_table *t, uint32_t b, uint32_t mask, uint32_t hash)
{
	unsigned int turn = hash % WAYS, way = 0;
	uint32_t rest = turn ? mask >> turn | mask << (WAYS - turn) : mask, longest = 0;

	for (unsigned int n = 0; rest && n < VICTIM_LOOKS; n++, rest &= rest - 1) {
		unsigned int w = ((unsigned int)__builtin_ctz(rest) + turn) % WAYS;
		uint32_t idle = idle_ms(&t->entries[(size_t)b * WAYS + w], t->now_ms);

		if (!n || idle > longest) {
			way = w;
			longest = idle;
		}
	}
	return way;
}

/* Whether bucket b has a free way, now that what is past its timeout is given up. */
static bool
has_room(struct psi_flow_table *t, uint32_t b)
{
	if (free_ways(&t->tags[b]))
		return true;
	return !due_before((uint32_t)(t->now_ms >> DUE_SHIFT), t->due[b]) && age_bucket(t, b);
}

/* The bucket, b or the one after it, both full, of which something is given up for a flow of that state: the one with
 * the lowest, but b when what is lowest there is worth next to nothing. The oldest of that state goes. Returns
 * false when all in them are worth more. */
static bool
make_room(struct psi_flow_table *t, uint32_t *b, uint32_t hash, enum psi_flow_state state)
{
	uint32_t mask, other_mask, after = bucket_after(t, *b);
	unsigned int low = lowest(&t->states[*b], &mask), other;
	struct psi_flow *f;

	if (low > PSI_FLOW_HALF_OPEN) {
		other = lowest(&t->states[after], &other_mask);
		if (other < low) {
			low = other;
			mask = other_mask;
			*b = after;
		}
	}
	if (low > state)
		return false;
	if (low == PSI_FLOW_HANDSHAKE)
		psi_stat_inc(t->stats, PSI_STAT_flow_evicted_handshake);
	f = &t->entries[(size_t)*b * WAYS + oldest(t, *b, mask, hash)];
	t->gone(t->ctx, f, PSI_FLOW_WHY_EVICTED);
	psi_flow_free(t, f);
	return true;
}

/* Where a new flow goes: its own bucket, or, if that is nearly full, the next one while that is less so. *b: which. */
static bool
find_room(struct psi_flow_table *t, uint32_t *b, uint32_t hash, enum psi_flow_state state)
{
	uint32_t after = bucket_after(t, *b);
	int room = __builtin_popcount(free_ways(&t->tags[*b]));

	if (room > CROWDED)
		return true;
	if (__builtin_popcount(free_ways(&t->tags[after])) > room) {
		*b = after;
		return true;
	}
	if (has_room(t, *b))
		return true;
	if (has_room(t, after)) {
		*b = after;
		return true;
	}
	return make_room(t, b, hash, state);
}

/* Bucket b has flows elsewhere from now on. */
static void
some_left(struct psi_flow_table *t, uint32_t b)
{
	struct tags *tags = &t->tags[b];

	for (uint32_t mask = match(tags, TAG_FREE); mask; mask &= mask - 1)
		tags->way[__builtin_ctz(mask)] = TAG_LEFT;
}

struct psi_flow *
psi_flow_get(struct psi_flow_table *t, const struct psi_tuple *key, uint32_t hash,
	enum psi_flow_state state, uint64_t now_ms, bool *made)
{
	struct psi_flow *f = psi_flow_find(t, key, hash);
	uint32_t home = bucket_of(t, hash), b = home;
	size_t i;

	t->now_ms = now_ms;
	*made = false;
	if (f)
		return f;
	if (!find_room(t, &b, hash, state))
		return NULL;
	i = (size_t)b * WAYS + (unsigned int)__builtin_ctz(free_ways(&t->tags[b]));
	f = &t->entries[i];
	*f = (struct psi_flow){
		.tuple = *key, .last_ms = (uint32_t)now_ms, .cold = PSI_FLOW_COLD_NONE};
	t->tags[b].way[i % WAYS] = tag_of(hash);
	set_state(t, i, state, b == home ? 0 : STRANGER);
	if (b != home)
		some_left(t, home);
	bring_forward(t, b, due_of(t, f));
	count_alive(t, 1);
	*made = true;
	return f;
}

struct psi_flow *
psi_flow_base(const struct psi_flow_table *t)
{
	return t->entries;
}

uint32_t
psi_flow_slots(const struct psi_flow_table *t)
{
	return t->bucket_cnt * WAYS;
}

struct psi_flow *
psi_flow_at(struct psi_flow_table *t, uint32_t i)
{
	PSI_ASSERT(i < psi_flow_slots(t), "an entry of this table");
	return t->tags[i / WAYS].way[i % WAYS] < TAG_FLOW ? NULL : &t->entries[i];
}

uint32_t
psi_flow_buckets(const struct psi_flow_table *t)
{
	return t->bucket_cnt;
}

uint32_t
psi_flow_alive(const struct psi_flow_table *t)
{
	return atomic_load_explicit(&t->alive, memory_order_relaxed);
}
