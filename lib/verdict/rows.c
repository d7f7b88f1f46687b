/* SPDX-License-Identifier: BSD-3-Clause */
/* The counted relations: one hash table of lines, eight tags and ages in a cache line of their own, the rows beside it. A
 * line that is full gives up its least recently touched row, so nothing is ever allocated, moved or scanned. Hot: once per
 * record of a flow. */
#include "population_pvt.h"

#include <endian.h>
#include <math.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* What a key stands for; part of its hash. */
enum relation {
	REL_LEAF = 1,
	REL_CLIENT,
	REL_KIN,
	REL_CLIENT_ISSUER,
	REL_DOMAIN,
	REL_REACH,
	REL_ISSUER_DOMAIN,
	REL_ISSUER,
	REL_SHAPE,
	REL_PAIR_ISSUER,
	REL_HOST_ISSUER,
	REL_COUNTS_OTHER, /* those behind it do */
	REL_EVERYONE,
	REL_STACK_ISSUER,
	REL_STACK_ALL,
};

/* The last len bytes, less than 8, of all, and zeros above. They are not gathered in memory: a word read where bytes have
 * just been written waits for them. */
static uint64_t
last_word(const uint8_t *b, size_t len, size_t all)
{
	uint64_t w = 0;

	if (all >= 8 && len) {
		memcpy(&w, b + len - 8, 8);
		return le64toh(w) >> (64 - 8 * len);
	}
	for (size_t i = len; i; i--)
		w = w << 8 | b[i - 1];
	return w;
}

uint64_t
pop_hash(uint64_t seed, const void *p, size_t len)
{
	const uint8_t *b = p;
	uint64_t h = pop_mix(seed, len + 1), w;
	size_t all = len;

	for (; len >= 8; len -= 8, b += 8) {
		memcpy(&w, b, 8);
		h = pop_mix(h, w);
	}
	return pop_mix(h, last_word(b, len, all));
}

/* What a thing of then still weighs; 0 when it never was. */
float
pop_share(struct psi_population *p, uint64_t at_ns)
{
	if (!at_ns)
		return 0;
	if (at_ns >= p->now_ns || p->now_ns - at_ns <= p->fresh_ns)
		return 1;
	if (p->share.at_ns != at_ns || p->share.now_ns != p->now_ns) {
		p->share.at_ns = at_ns;
		p->share.now_ns = p->now_ns;
		p->share.left = exp2f(-(float)(p->now_ns - at_ns) / p->half_life);
	}
	return p->share.left;
}

/* Brings a row's masses to now. */
static void
age(struct psi_population *p, struct row *r)
{
	float left;

	if (r->at_ns >= p->now_ns)
		return;
	left = pop_share(p, r->at_ns);
	r->at_ns = p->now_ns;
	if (left == 1)
		return;
	r->own.ok *= left;
	r->own.ref *= left;
	r->tries_ok *= left;
	r->tries_ref *= left;
	if (!(r->key & KEY_OTHER))
		return;
	r->other.ok *= left;
	r->other.ref *= left;
	for (int v = 0; v < VOTE_CNT; v++)
		r->vote[v] *= left;
}

static uint64_t
key_of(const struct psi_population *p, enum relation rel, uint64_t who, uint64_t what)
{
	/* who is a keyed hash or 0, so that nobody can make two keys meet */
	uint64_t key = pop_mix(p->cfg.seed + who + rel * 0x2545f4914f6cdd1dull, what);

	return rel > REL_COUNTS_OTHER ? key | KEY_OTHER : key & ~KEY_OTHER;
}

static uint32_t
tag_of(uint64_t key)
{
	uint32_t tag = (uint32_t)(key >> 32);

	return tag | !tag;
}

/* Bit i is set when way i has this tag. */
static inline uint32_t
match(const uint32_t tags[WAYS], uint32_t tag)
{
	uint32_t mask = 0;
#ifdef __SSE2__
	const __m128i *line = (const __m128i *)(const void *)tags;
	__m128i t = _mm_set1_epi32((int)tag);

	mask = (uint32_t)_mm_movemask_epi8(
		_mm_packs_epi16(_mm_packs_epi32(_mm_cmpeq_epi32(_mm_load_si128(line), t),
					_mm_cmpeq_epi32(_mm_load_si128(line + 1), t)),
			_mm_setzero_si128()));
#else
	for (unsigned int i = 0; i < WAYS; i++)
		mask |= (uint32_t)(tags[i] == tag) << i;
#endif
	return mask;
}

static uint64_t
line_of(const struct psi_population *p, uint64_t key)
{
	return key & (p->line_cnt - 1);
}

/* The way that was not touched for longest. Where the units of time do not tell one from another, the rows do: what this
 * flow has just made or found is not given up for what it makes next. */
static int
victim(const struct row_line *l, const struct row *r, uint32_t now)
{
	uint32_t oldest = 0;
	int use = 0;

	for (int i = 0; i < WAYS; i++)
		if (now - l->used[i] > oldest) {
			oldest = now - l->used[i];
			use = i;
		}
	for (int i = 1; !oldest && i < WAYS; i++)
		if (r[i].at_ns < r[use].at_ns)
			use = i;
	return use;
}

/* A row for a key that has none. */
static struct row *
make_row(struct psi_population *p, struct row_line *l, struct row *r, uint64_t key, uint32_t now)
{
	uint32_t gap = match(l->tag, 0);
	int use = gap ? __builtin_ctz(gap) : victim(l, r, now);

	if (gap)
		p->count.rows++;
	else
		p->count.rows_evicted++;
	l->tag[use] = tag_of(key);
	l->used[use] = now;
	r[use] = (struct row){.at_ns = p->now_ns, .key = key};
	return &r[use];
}

/* The row of a key, aged; NULL when there is none and none is to be made. */
static struct row *
row_of(struct psi_population *p, uint64_t key, bool make)
{
	struct row_line *l = &p->line[line_of(p, key)];
	struct row *r = &p->row[line_of(p, key) * WAYS];
	uint32_t now = (uint32_t)(p->now_ns >> USED_SHIFT);

	for (uint32_t left = match(l->tag, tag_of(key)); left; left &= left - 1) {
		int i = __builtin_ctz(left);

		if (r[i].key != key)
			continue;
		l->used[i] = now;
		age(p, &r[i]);
		return &r[i];
	}
	return make ? make_row(p, l, r, key, now) : NULL;
}

/* ---- the relations of a flow ---- */

static void
level_keys(
	const struct psi_population *p, const struct psi_pop_who *id, uint64_t ctx, uint64_t key[4])
{
	uint64_t what = pop_mix(id->host, ctx);

	key[0] = key_of(p, REL_LEAF, id->stack, what);
	key[1] = key_of(p, REL_EVERYONE, 0, what);
	key[2] = key_of(p, REL_CLIENT, id->client, what);
	key[3] = key_of(p, REL_KIN, id->ja4, what);
}

static void
issuer_keys(const struct psi_population *p, const struct psi_pop_who *id, uint64_t key[7])
{
	key[0] = key_of(p, REL_STACK_ISSUER, id->stack, id->issuer);
	key[1] = key_of(p, REL_CLIENT_ISSUER, id->client, id->issuer_any);
	key[2] = key_of(p, REL_STACK_ALL, id->stack, 0);
	key[3] = key_of(p, REL_DOMAIN, pop_mix(id->stack, id->issuer), id->domain);
	key[4] = key_of(p, REL_REACH, id->stack, id->domain);
	key[5] = key_of(p, REL_PAIR_ISSUER, id->stack, pop_mix(id->host, id->named));
	key[6] = key_of(p, REL_HOST_ISSUER, id->host, id->named);
}

void
pop_rows_keys(
	const struct psi_population *p, const struct psi_pop_who *id, uint64_t key[PSI_POP_ROWS])
{
	level_keys(p, id, 0, key);
	level_keys(p, id, id->ctx, key + 4);
	issuer_keys(p, id, key + 8);
}

void
pop_rows_want_lines(const struct psi_population *p, const uint64_t *key, uint32_t cnt)
{
	for (uint32_t i = 0; i < cnt; i++)
		__builtin_prefetch(&p->line[line_of(p, key[i])], 1);
}

void
pop_rows_want_rows(const struct psi_population *p, const uint64_t *key, uint32_t cnt)
{
	for (uint32_t i = 0; i < cnt; i++) {
		uint64_t at = line_of(p, key[i]);
		uint32_t way = match(p->line[at].tag, tag_of(key[i]));

		if (way || (way = match(p->line[at].tag, 0)))
			__builtin_prefetch(&p->row[at * WAYS + (uint64_t)__builtin_ctz(way)], 1);
	}
}

/* The lines of all keys are asked for before the first is looked at, and then the rows that they name: two waits for
 * memory instead of two for each. */
static void
want(const struct psi_population *p, const uint64_t *key, uint32_t cnt)
{
	pop_rows_want_lines(p, key, cnt);
	pop_rows_want_rows(p, key, cnt);
}

static void
rows_of(struct psi_population *p, const uint64_t *key, uint32_t cnt, bool make, struct row **out)
{
	want(p, key, cnt);
	for (uint32_t i = 0; i < cnt; i++)
		out[i] = row_of(p, key[i], make);
}

void
pop_rows_level(struct psi_population *p, const struct psi_pop_who *id, uint64_t ctx, bool make,
	struct level *out)
{
	uint64_t key[PSI_COUNT(out->row)];

	level_keys(p, id, ctx, key);
	rows_of(p, key, PSI_COUNT(key), make, out->row);
}

void
pop_rows_find(struct psi_population *p, const struct psi_pop_who *id, struct flow_rows *out)
{
	uint64_t key[PSI_POP_ROWS];

	pop_rows_keys(p, id, key);
	rows_of(p, key, PSI_POP_ROWS, false, out->row);
}

void
pop_rows_want_kept(const struct psi_population *p, const struct psi_pop_kept *kept)
{
	for (uint32_t i = 0; i < PSI_COUNT(kept->row); i++)
		__builtin_prefetch(&p->row[kept->row[i]], 1);
}

/* All where they were at the last record of the flow. Their lines are not looked at, nor told that they were touched: a
 * row that makes room is the one for which no flow has begun for longest. */
static bool
rows_kept(struct psi_population *p, const struct psi_pop_kept *kept, const uint64_t *key,
	struct row **out)
{
	if (!kept || !kept->has_rows)
		return false;
	for (uint32_t i = 0; i < PSI_POP_ROWS; i++) {
		out[i] = &p->row[kept->row[i]];
		if (out[i]->key != key[i])
			return false;
	}
	for (uint32_t i = 0; i < PSI_POP_ROWS; i++)
		age(p, out[i]);
	return true;
}

void
pop_rows_make(struct psi_population *p, const struct psi_pop_flow *f, const struct psi_pop_who *id,
	struct flow_rows *out)
{
	bool asked = f->ahead && memcmp(&f->ahead->who, id, sizeof(*id)) == 0;
	uint64_t here[PSI_POP_ROWS];
	const uint64_t *key = asked ? f->ahead->key : here;

	if (!asked)
		pop_rows_keys(p, id, here);
	if (rows_kept(p, f->kept, key, out->row))
		return;
	if (!asked)
		want(p, key, PSI_POP_ROWS);
	for (uint32_t i = 0; i < PSI_POP_ROWS; i++)
		out->row[i] = row_of(p, key[i], true);
	if (!f->kept)
		return;
	f->kept->has_rows = true;
	for (uint32_t i = 0; i < PSI_POP_ROWS; i++)
		f->kept->row[i] = (uint32_t)(out->row[i] - p->row);
}

void
pop_rows_foreign(struct psi_population *p, const struct psi_pop_who *id, struct row **domain,
	struct row **all)
{
	*domain = row_of(p, key_of(p, REL_ISSUER_DOMAIN, id->named, id->domain), true);
	*all = row_of(p, key_of(p, REL_ISSUER, id->named, 0), true);
}

uint64_t
pop_rows_shape_key(const struct psi_population *p, uint64_t host, uint32_t msg_len)
{
	return key_of(p, REL_SHAPE, host, msg_len);
}

struct row *
pop_rows_shape(struct psi_population *p, uint64_t host, uint32_t msg_len)
{
	return row_of(p, pop_rows_shape_key(p, host, msg_len), false);
}

struct row *
pop_rows_make_shape(
	struct psi_population *p, uint64_t host, uint32_t msg_len, struct psi_pop_kept *kept)
{
	uint64_t key = pop_rows_shape_key(p, host, msg_len);
	struct row *r = kept ? &p->row[kept->row[PSI_POP_ROWS]] : NULL;

	if (!r || r->key != key)
		r = row_of(p, key, true);
	if (kept)
		kept->row[PSI_POP_ROWS] = (uint32_t)(r - p->row);
	return r;
}
