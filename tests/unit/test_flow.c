/* SPDX-License-Identifier: BSD-3-Clause */
/* Expected values are counted by hand or follow from a model that the test keeps itself. */
#include "psi_unit.h"

#include "../../lib/flow/flow_pvt.h"

#include <netinet/in.h>

static struct psi_stats stats;
static struct psi_flow_table *t;

/* What the table said that it gave up. */
static struct {
	unsigned int why[3], state[PSI_FLOW_STATE_CNT];
	struct psi_tuple last;
} gone;

static void
on_gone(void *ctx, struct psi_flow *f, enum psi_flow_why why)
{
	CU_ASSERT_PTR_EQUAL(ctx, &gone);
	CU_ASSERT_NOT_EQUAL(f->state, PSI_FLOW_FREE);
	gone.why[why]++;
	gone.state[f->state]++;
	gone.last = f->tuple;
}

static struct psi_flow_config
config(uint32_t max)
{
	return (struct psi_flow_config){
		.max = max,
		.timeout_ms = {0, 1000, 2000, 3000, 60000, 10000},
		.hash_key = {0x0123456789abcdefu, 0xfedcba9876543210u},
	};
}

static void
fresh_with(const struct psi_flow_config *cfg)
{
	size_t len = psi_flow_footprint(cfg);
	void *mem;

	CU_ASSERT_FATAL(len > 0);
	free(t);
	mem = aligned_alloc(64, len);
	CU_ASSERT_PTR_NOT_NULL_FATAL(mem);
	memset(mem, 0, len);
	memset(&stats, 0, sizeof(stats));
	memset(&gone, 0, sizeof(gone));
	t = psi_flow_init(mem, cfg, &stats, on_gone, &gone);
	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
}

static void
fresh(uint32_t max)
{
	struct psi_flow_config cfg = config(max);

	fresh_with(&cfg);
}

/* The n-th of many flows: IPv4, as a scan or a crowd of clients would have them. */
static struct psi_tuple
tuple(uint32_t n)
{
	struct psi_tuple k = {.port = {(uint16_t)(1024 + n % 50000), 443}, .proto = IPPROTO_TCP};
	uint32_t a = htonl(0x0a000000 + n / 50000), b = htonl(0xc0a80001);

	k.addr[0][10] = k.addr[0][11] = k.addr[1][10] = k.addr[1][11] = 0xff;
	memcpy(&k.addr[0][12], &a, 4);
	memcpy(&k.addr[1][12], &b, 4);
	return k;
}

static struct psi_flow *
find(const struct psi_tuple *k)
{
	return psi_flow_find(t, k, psi_flow_hash(t, k));
}

static struct psi_flow *
get(uint32_t n, enum psi_flow_state state, uint64_t now_ms)
{
	struct psi_tuple k = tuple(n);
	bool made;

	return psi_flow_get(t, &k, psi_flow_hash(t, &k), state, now_ms, &made);
}

static bool
known(uint32_t n)
{
	struct psi_tuple k = tuple(n);

	return find(&k) != NULL;
}

/* What is told of the ways of bucket b: how many are strangers, how many of those tags it has. */
static unsigned int
strangers(uint32_t b)
{
	unsigned int n = 0;

	for (unsigned int w = 0; w < WAYS; w++)
		n += !!(t->states[b].way[w] & STRANGER);
	return n;
}

static unsigned int
tagged(uint32_t b, uint16_t tag)
{
	unsigned int n = 0;

	for (unsigned int w = 0; w < WAYS; w++)
		n += t->tags[b].way[w] == tag;
	return n;
}

/* The invariants of flow_pvt.h, over the whole table. */
static void
check(void)
{
	uint32_t alive = 0;

	for (uint32_t b = 0; b < t->bucket_cnt; b++) {
		CU_ASSERT(!strangers(b) || !tagged((b ? b : t->bucket_cnt) - 1, TAG_FREE));
		CU_ASSERT(strangers(b) || !tagged((b ? b : t->bucket_cnt) - 1, TAG_LEFT));
		for (unsigned int w = 0; w < WAYS; w++) {
			const struct psi_flow *f = &t->entries[(size_t)b * WAYS + w];
			uint16_t tag = t->tags[b].way[w];
			uint32_t home;

			CU_ASSERT_EQUAL(
				tag == TAG_FREE || tag == TAG_LEFT, f->state == PSI_FLOW_FREE);
			CU_ASSERT_EQUAL(t->states[b].way[w] & ~STRANGER, f->state);
			if (f->state == PSI_FLOW_FREE)
				continue;
			alive++;
			home = bucket_of(t, psi_flow_hash(t, &f->tuple));
			CU_ASSERT_EQUAL(
				t->states[b].way[w] & STRANGER ? (home + 1) % t->bucket_cnt : home,
				b);
			CU_ASSERT_EQUAL(tag_of(psi_flow_hash(t, &f->tuple)), tag);
		}
	}
	CU_ASSERT_EQUAL(psi_flow_alive(t), alive);
}

static void
test_get_find_free(void)
{
	struct psi_tuple k = tuple(1), other;
	struct psi_flow *f;
	bool made = false;

	fresh(100);
	CU_ASSERT_PTR_NULL(find(&k));
	f = psi_flow_get(t, &k, psi_flow_hash(t, &k), PSI_FLOW_HANDSHAKE, 77, &made);
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT(made);
	CU_ASSERT_EQUAL(f->cold, PSI_FLOW_COLD_NONE);
	CU_ASSERT_EQUAL(f->last_ms, 77);
	CU_ASSERT_EQUAL(f->flags | f->user[0] | f->user[1], 0);
	CU_ASSERT_EQUAL((uintptr_t)f % 64, 0);
	CU_ASSERT_PTR_EQUAL(find(&k), f);
	f->user[0] = 5;
	CU_ASSERT_PTR_EQUAL(
		psi_flow_get(t, &k, psi_flow_hash(t, &k), PSI_FLOW_HALF_OPEN, 78, &made), f);
	CU_ASSERT(!made);
	CU_ASSERT_EQUAL(f->state, PSI_FLOW_HANDSHAKE);
	CU_ASSERT_EQUAL(psi_flow_alive(t), 1);
	/* Each byte of the tuple tells flows apart, even under the same hash. */
	for (size_t i = 0; i < sizeof(k); i++) {
		other = k;
		((uint8_t *)&other)[i] ^= 1;
		CU_ASSERT_PTR_NULL(psi_flow_find(t, &other, psi_flow_hash(t, &k)));
		CU_ASSERT_NOT_EQUAL(psi_flow_hash(t, &other), psi_flow_hash(t, &k));
	}
	psi_flow_free(t, f);
	CU_ASSERT_PTR_NULL(find(&k));
	CU_ASSERT_EQUAL(psi_flow_alive(t), 0);
	f = psi_flow_get(t, &k, psi_flow_hash(t, &k), PSI_FLOW_HALF_OPEN, 80, &made);
	CU_ASSERT(made && f && f->user[0] == 0); /* nothing of the one before is left */
	CU_ASSERT_EQUAL(gone.why[0] + gone.why[1] + gone.why[2], 0);
	check();
}

static void
test_config(void)
{
	struct psi_flow_config cfg = config(0);

	CU_ASSERT_EQUAL(psi_flow_footprint(&cfg), 0);
	cfg.max = (1u << 28) + 1;
	CU_ASSERT_EQUAL(psi_flow_footprint(&cfg), 0);
	cfg.max = UINT32_MAX;
	CU_ASSERT_EQUAL(psi_flow_footprint(&cfg), 0);
	cfg = config(100);
	cfg.timeout_ms[PSI_FLOW_OTHER] = 0x80000000;
	CU_ASSERT_EQUAL(psi_flow_footprint(&cfg), 0);
	CU_ASSERT_PTR_NULL(psi_flow_init(t, &cfg, &stats, on_gone, &gone));
	/* Memory of a flow: the entry, its tag, a byte of state, an eighth; and less than 1 KiB for the table. */
	cfg = config(1 << 20);
	CU_ASSERT(psi_flow_footprint(&cfg) <= (size_t)(67.125 * (1 << 20)) + 1024);
	CU_ASSERT(psi_flow_footprint(&cfg) >= (size_t)(67.125 * (1 << 20)));
	fresh(33);
	CU_ASSERT_EQUAL(psi_flow_buckets(t), 2);
}

/* A table and a plain list of what is in it, over random gets and frees. */
static void
test_model(void)
{
	enum { KEYS = 3000, STEPS = 200000 };
	static bool in[KEYS];
	uint32_t x = 1, alive = 0;

	memset(in, 0, sizeof(in));
	fresh(16 * KEYS); /* so large that no bucket runs over */
	for (unsigned int i = 0; i < STEPS; i++) {
		uint32_t n = (x = x * 1664525u + 1013904223u) >> 8;
		struct psi_tuple k = tuple(n % KEYS);
		struct psi_flow *f = find(&k);

		CU_ASSERT_EQUAL(f != NULL, in[n % KEYS]);
		if (f && n / KEYS % 2) {
			CU_ASSERT_EQUAL(f->user[0], n % KEYS);
			psi_flow_free(t, f);
			in[n % KEYS] = false;
			alive--;
		} else if (!f) {
			f = get(n % KEYS, PSI_FLOW_OTHER, i);
			CU_ASSERT_PTR_NOT_NULL_FATAL(f);
			f->user[0] = n % KEYS;
			in[n % KEYS] = true;
			alive++;
		}
	}
	CU_ASSERT_EQUAL(psi_flow_alive(t), alive);
	CU_ASSERT_EQUAL(gone.why[PSI_FLOW_WHY_EVICTED], 0);
	check();
}

/* What a full bucket gives up, one after another. One bucket of 32, so every flow is in it. */
static void
test_eviction_order(void)
{
	/* Flow n, made at time n; 7 or fewer of a state, all of which are then looked at. */
	static const struct {
		enum psi_flow_state state;
		uint32_t from, end;
	} made[] = {
		{PSI_FLOW_CLOSED, 26, 32},
		{PSI_FLOW_HALF_OPEN, 0, 7},
		{PSI_FLOW_OTHER, 19, 26},
		{PSI_FLOW_ESTABLISHED, 7, 13},
		{PSI_FLOW_HANDSHAKE, 13, 19},
	};
	uint32_t newcomer = 100;

	fresh(32);
	for (uint32_t n = 0; n < 32; n++)
		for (unsigned int i = 0; i < PSI_COUNT(made); i++)
			if (n >= made[i].from && n < made[i].end)
				CU_ASSERT_PTR_NOT_NULL(get(n, made[i].state, n));
	for (unsigned int i = 0; i + 1 < PSI_COUNT(made); i++)
		for (uint32_t n = made[i].from; n < made[i].end; n++, newcomer++) {
			struct psi_tuple k = tuple(n);

			CU_ASSERT_PTR_NOT_NULL(get(newcomer, PSI_FLOW_HANDSHAKE, newcomer));
			CU_ASSERT_EQUAL(memcmp(&gone.last, &k, sizeof(k)), 0);
		}
	CU_ASSERT_EQUAL(gone.why[PSI_FLOW_WHY_EVICTED], 26);
	CU_ASSERT_EQUAL(psi_stat_get(&stats, PSI_STAT_flow_evicted_handshake), 0);
	/* Nothing but handshakes is left. The oldest of eight goes: never one of the seven youngest. */
	for (uint32_t n = 0; n < 1000; n++) {
		CU_ASSERT_PTR_NOT_NULL(get(newcomer + n, PSI_FLOW_HANDSHAKE, newcomer + n));
		for (uint32_t i = 0; i < 7; i++)
			CU_ASSERT(known(newcomer + n - i));
	}
	CU_ASSERT_EQUAL(psi_stat_get(&stats, PSI_STAT_flow_evicted_handshake), 1000);
	CU_ASSERT_EQUAL(psi_flow_alive(t), 32);
	check();
}

static void
test_eviction_refused(void)
{
	fresh(32);
	for (uint32_t n = 0; n < 32; n++)
		get(n, PSI_FLOW_ESTABLISHED, 0);
	for (enum psi_flow_state s = PSI_FLOW_CLOSED; s < PSI_FLOW_ESTABLISHED; s++)
		CU_ASSERT_PTR_NULL(get(100, s, 1));
	CU_ASSERT_EQUAL(gone.why[PSI_FLOW_WHY_EVICTED], 0);
	for (uint32_t n = 0; n < 32; n++)
		CU_ASSERT(known(n));
	CU_ASSERT_PTR_NOT_NULL(get(100, PSI_FLOW_ESTABLISHED, 2));
	CU_ASSERT_EQUAL(gone.state[PSI_FLOW_ESTABLISHED], 1);
	check();
}

/* One that was just active stays, though it was made first. */
static void
test_eviction_spares_the_active(void)
{
	fresh(32);
	for (uint32_t n = 0; n < 32; n++)
		get(n, PSI_FLOW_ESTABLISHED, 0);
	for (uint32_t n = 100; n < 200; n++) {
		psi_flow_touch(get(0, PSI_FLOW_ESTABLISHED, n), n);
		CU_ASSERT_PTR_NOT_NULL(get(n, PSI_FLOW_ESTABLISHED, n));
	}
	CU_ASSERT(known(0));
	CU_ASSERT_EQUAL(gone.why[PSI_FLOW_WHY_EVICTED], 100);
}

/* Past its timeout even a handshake goes before anything else, and as silent, not as evicted. */
static void
test_eviction_past_timeout(void)
{
	fresh(32);
	get(0, PSI_FLOW_HANDSHAKE, 0);
	for (uint32_t n = 1; n < 32; n++)
		get(n, PSI_FLOW_CLOSED, 10000);
	CU_ASSERT_PTR_NOT_NULL(get(100, PSI_FLOW_HALF_OPEN, 10001));
	CU_ASSERT(!known(0));
	CU_ASSERT_EQUAL(gone.why[PSI_FLOW_WHY_IDLE], 1);
	CU_ASSERT_EQUAL(gone.why[PSI_FLOW_WHY_EVICTED], 0);
	CU_ASSERT_EQUAL(psi_stat_get(&stats, PSI_STAT_flow_evicted_handshake), 0);
	CU_ASSERT_EQUAL(psi_flow_alive(t), 32);
	check();
}

static void
test_timeouts(void)
{
	/* The last millisecond in which a flow of the state is alive; see config. */
	static const uint32_t last[] = {0, 1000, 2000, 3000, 60000, 10000};

	fresh(64);
	for (enum psi_flow_state s = PSI_FLOW_CLOSED; s < PSI_FLOW_STATE_CNT; s++) {
		get(s, s, 0);
		CU_ASSERT_EQUAL(psi_flow_age_all(t, last[s]), 0);
		CU_ASSERT(known(s));
		CU_ASSERT_EQUAL(psi_flow_age_all(t, last[s] + 1), 1);
		CU_ASSERT(!known(s));
		CU_ASSERT_EQUAL(gone.state[s], 1);
		fresh(64);
	}
	psi_flow_set_state(t, get(1, PSI_FLOW_ESTABLISHED, 0),
		PSI_FLOW_CLOSED); /* a shorter time counts at once */
	CU_ASSERT_EQUAL(psi_flow_age_all(t, 1001), 1);
	psi_flow_set_state(t, get(1, PSI_FLOW_HALF_OPEN, 2000), PSI_FLOW_ESTABLISHED);
	CU_ASSERT_EQUAL(psi_flow_age_all(t, 62000), 0);
	psi_flow_touch(get(1, PSI_FLOW_ESTABLISHED, 62000), 62000);
	psi_flow_age_all(t, 62001);
	for (uint32_t b = 0; b < psi_flow_buckets(t);
		b++) /* no bucket is looked at before its time */
		CU_ASSERT(t->due[b] >= 122000 / 256);
	CU_ASSERT_EQUAL(psi_flow_age_all(t, 122000), 0);
	CU_ASSERT_EQUAL(psi_flow_age_all(t, 122001), 1);
	CU_ASSERT_EQUAL(gone.why[PSI_FLOW_WHY_IDLE], 2);
}

/* A budget of buckets a call: all are reached in turn, none more than once a round. */
static void
test_age_by_budget(void)
{
	uint32_t given_up = 0, made, in_last = 0;

	fresh(800);
	for (uint32_t n = 0; !in_last; n++)
		in_last = get(n, PSI_FLOW_HALF_OPEN, 0) >= &t->entries[(size_t)24 * WAYS];
	made = psi_flow_alive(t);
	CU_ASSERT_FATAL(made > 1);
	gone.why[PSI_FLOW_WHY_EVICTED] = 0;
	CU_ASSERT_EQUAL(psi_flow_age(t, 5000, 0), 0);
	for (int i = 0; i < 8; i++) /* 24 of 25 buckets */
		given_up += psi_flow_age(t, 5000, 3);
	CU_ASSERT_EQUAL(given_up, made - in_last);
	CU_ASSERT_EQUAL(psi_flow_alive(t), in_last);
	CU_ASSERT_EQUAL(psi_flow_age(t, 5000, 3), in_last);
	CU_ASSERT_EQUAL(gone.why[PSI_FLOW_WHY_IDLE], made);
	get(1, PSI_FLOW_HALF_OPEN, 5000);
	CU_ASSERT_EQUAL(psi_flow_age(t, 9000, UINT32_MAX), 1); /* no more than one round */
	check();
}

/* 2^32 ms are 49.7 days. */
static void
test_time_wraps(void)
{
	static const uint64_t at[] = {0xfffff000u, 0x1fffffff0u, 0x7ffffffff000u, (1ull << 40) - 1};

	for (unsigned int i = 0; i < PSI_COUNT(at); i++) {
		fresh(64);
		get(1, PSI_FLOW_ESTABLISHED, at[i]);
		for (uint32_t ms = 0; ms <= 60000; ms += 1000)
			CU_ASSERT_EQUAL(psi_flow_age_all(t, at[i] + ms), 0);
		CU_ASSERT_EQUAL(psi_flow_age_all(t, at[i] + 60001), 1);
		get(2, PSI_FLOW_HALF_OPEN, at[i] + 60001);
		CU_ASSERT_EQUAL(psi_flow_age_all(t, at[i] + 60001 + 0x80000000u),
			1); /* a jump of 25 days */
		get(3, PSI_FLOW_HALF_OPEN, at[i] + (1ull << 34));
		CU_ASSERT_EQUAL(psi_flow_age_all(t, at[i] + (1ull << 34) + (1ull << 38) + 9999),
			1); /* of 9 years */
		check();
	}
}

/* A bucket that was looked at is left alone until something in it can have timed out, whatever happens meanwhile. The
 * model is a list of deadlines. */
static void
test_age_model(void)
{
	enum { KEYS = 400, STEPS = 20000 };
	static uint64_t last[KEYS];
	static enum psi_flow_state state[KEYS];
	uint64_t now = 1700000000000u;
	struct psi_flow_config cfg = config(16 * KEYS);
	uint32_t x = 7;

	fresh_with(&cfg);
	memset(state, 0, sizeof(state));
	for (unsigned int i = 0; i < STEPS; i++) {
		uint32_t n = (x = x * 1664525u + 1013904223u) >> 8, expired = 0;
		enum psi_flow_state s = (enum psi_flow_state)(1 + n / KEYS % 5);
		struct psi_flow *f = get(n % KEYS, s, now);

		CU_ASSERT_PTR_NOT_NULL_FATAL(f);
		psi_flow_touch(f, now);
		psi_flow_set_state(t, f, s);
		last[n % KEYS] = now;
		state[n % KEYS] = s;
		now += n / KEYS % 301;
		for (unsigned int k = 0; k < KEYS; k++)
			if (state[k] != PSI_FLOW_FREE && now - last[k] > cfg.timeout_ms[state[k]]) {
				state[k] = PSI_FLOW_FREE;
				expired++;
			}
		CU_ASSERT_EQUAL(psi_flow_age_all(t, now), expired);
	}
	check();
}

static void
test_stop(void)
{
	uint32_t seen = 0;

	fresh(800);
	for (uint32_t n = 0; n < 200; n++)
		get(n, PSI_FLOW_ESTABLISHED, 0);
	for (uint32_t i = psi_flow_next(t, 0); i < psi_flow_slots(t);
		i = psi_flow_next(t, i + 1), seen++)
		CU_ASSERT_PTR_NOT_NULL(psi_flow_at(t, i));
	CU_ASSERT_EQUAL(seen, 200);
	psi_flow_stop(t);
	CU_ASSERT_EQUAL(psi_flow_next(t, 0), psi_flow_slots(t));
	CU_ASSERT_EQUAL(gone.why[PSI_FLOW_WHY_STOP], 200);
	CU_ASSERT_EQUAL(psi_flow_alive(t), 0);
	check();
}

/* ---- attacks ---- */

/* Live handshakes in a table half full, then floods of what an attacker can send without an answer. */
static void
test_syn_flood(void)
{
	enum { LIVE = 500 };
	unsigned int lost = 0;

	fresh(8000);
	for (uint32_t n = 0; n < LIVE; n++)
		CU_ASSERT_PTR_NOT_NULL(get(n, PSI_FLOW_HANDSHAKE, 0));
	for (uint32_t n = 0; n < 100000; n++)
		get(LIVE + n, PSI_FLOW_HALF_OPEN, 1 + n / 1000);
	for (uint32_t n = 0; n < LIVE; n++)
		lost += !known(n);
	CU_ASSERT_EQUAL(lost, 0);
	CU_ASSERT_EQUAL(gone.state[PSI_FLOW_HANDSHAKE], 0);
	CU_ASSERT(gone.state[PSI_FLOW_HALF_OPEN] >
		  90000);		    /* it was a flood: the table ran over many times */
	for (uint32_t n = 0; n < LIVE; n++) /* and new handshakes find room in it */
		CU_ASSERT_PTR_NOT_NULL(get(200000 + n, PSI_FLOW_HANDSHAKE, 200));
	CU_ASSERT_EQUAL(gone.state[PSI_FLOW_HANDSHAKE], 0);
	check();
}

static void
test_full_table(void)
{
	enum { LIVE = 400 };

	fresh(800);
	for (uint32_t n = 0; psi_flow_alive(t) < 790; n++)
		get(1000 + n, PSI_FLOW_ESTABLISHED, 0);
	for (uint32_t n = 0; n < LIVE;
		n++) { /* handshakes put established flows out, not each other */
		struct psi_flow *f = get(n, PSI_FLOW_HANDSHAKE, 1);

		CU_ASSERT_PTR_NOT_NULL(f);
	}
	for (uint32_t n = 0; n < 100000; n++) {
		get(200000 + n, PSI_FLOW_HALF_OPEN, 2);
		get(300000 + n, PSI_FLOW_OTHER, 2);
	}
	/* 400 in 25 buckets of 32: a bucket that got more than its 32 gave up some. */
	for (uint32_t n = 0, lost = 0; n < LIVE; n++) {
		lost += !known(n);
		if (n == LIVE - 1)
			CU_ASSERT_EQUAL(
				lost, psi_stat_get(&stats, PSI_STAT_flow_evicted_handshake));
	}
	CU_ASSERT(psi_flow_alive(t) <= 800);
	check();
}

/* Flows that all fall into one bucket of a table whose key is known, sent to one whose key is not. */
static void
test_collision_attack(void)
{
	enum { CROWD = 4000, BUCKETS = 1000 };
	static uint32_t attack[CROWD];
	static unsigned int load[BUCKETS];
	struct psi_flow_config cfg = config(BUCKETS * WAYS);
	uint32_t cnt = 0, target = 0;
	unsigned int most = 0;

	fresh_with(&cfg);
	for (uint32_t n = 0; cnt < CROWD; n++) {
		struct psi_tuple k = tuple(n);

		if (bucket_of(t, psi_flow_hash(t, &k)) == target)
			attack[cnt++] = n;
	}
	cfg.hash_key[1] ^= 1; /* one bit of the key */
	fresh_with(&cfg);
	memset(load, 0, sizeof(load));
	for (uint32_t i = 0; i < CROWD; i++) {
		struct psi_tuple k = tuple(attack[i]);
		unsigned int n = ++load[bucket_of(t, psi_flow_hash(t, &k))];

		most = PSI_MAX(most, n);
	}
	/* Thrown at random, 4,000 into 1,000: Poisson with mean 4, of which more than 17 has a chance below 1e-6. */
	CU_ASSERT(most <= 17);
	CU_ASSERT(most >= 8);
}

/* CRC32C bit by bit (RFC 3720 appendix B.4), to show that the attack below is one. */
static uint32_t
crc32c(const void *p, size_t len)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < len; i++) {
		crc ^= ((const uint8_t *)p)[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

/* CRC32 is linear: tuples that differ by a multiple of its polynomial collide, whatever it starts with. */
static void
test_crc_collisions(void)
{
	/* The polynomial with its leading term, bits in the order in which the CRC reads them, in an IPv6 address. */
	enum { N = 1 << 12 };
	static uint32_t hashes[N];
	struct psi_tuple k = tuple(1);
	unsigned int equal = 0;
	uint32_t crc = 0;

	fresh(8000);
	for (uint32_t n = 0; n < N; n++) {
		for (unsigned int bit = 0; bit < 12; bit++) {
			uint64_t poly = (0x82f63b78ull << 1 | 1) << bit, word;

			memcpy(&word, &k.addr[0][0], 8);
			if ((n ^ (n - 1)) >> bit & 1) {
				word ^= poly;
				memcpy(&k.addr[0][0], &word, 8);
			}
		}
		hashes[n] = psi_flow_hash(t, &k);
		if (!n)
			crc = crc32c(&k, sizeof(k));
		CU_ASSERT_EQUAL(crc32c(&k, sizeof(k)), crc);
	}
	for (uint32_t i = 0; i < N; i++)
		for (uint32_t j = 0; j < i; j++)
			equal += hashes[i] == hashes[j];
	CU_ASSERT(equal <= 3); /* 2^23 pairs of 32 bits: 0.002 expected */
}

/* Buckets and tags fill evenly for tuples that differ in little: a scan of ports, a crowd behind one address. */
static void
test_hash_is_even(void)
{
	enum { N = 1 << 16, CELLS = 256 };
	static unsigned int high[CELLS], low[CELLS];

	for (unsigned int shape = 0; shape < 4; shape++) {
		double chi_high = 0, chi_low = 0;

		fresh(8000);
		memset(high, 0, sizeof(high));
		memset(low, 0, sizeof(low));
		for (uint32_t n = 0; n < N; n++) {
			struct psi_tuple k = tuple(0);
			uint32_t h;

			memcpy(shape == 0    ? (void *)&k.port[0]
				: shape == 1 ? (void *)&k.addr[0][14]
				: shape == 2 ? (void *)&k.addr[1][0]
					     : (void *)&k.tunnel_id,
				&n, 2);
			h = psi_flow_hash(t, &k);
			high[h >> 24]++;
			low[h & 0xff]++;
		}
		for (unsigned int i = 0; i < CELLS; i++) {
			double d = high[i] - (double)N / CELLS, e = low[i] - (double)N / CELLS;

			chi_high += d * d / ((double)N / CELLS);
			chi_low += e * e / ((double)N / CELLS);
		}
		/* Chi-squared, 255 degrees of freedom: above 350 has a chance below 1e-4. */
		CU_ASSERT(chi_high < 350);
		CU_ASSERT(chi_low < 350);
	}
}

static void
test_prefetch_is_harmless(void)
{
	fresh(8);
	for (uint32_t n = 0; n < 8; n++)
		get(n, PSI_FLOW_OTHER, 0);
	for (uint32_t n = 0; n < 100; n++) {
		psi_flow_prefetch(t, n * 0x01234567);
		psi_flow_prefetch_entry(t, n * 0x01234567);
		CU_ASSERT_PTR_NOT_NULL(psi_flow_prefetch_far(t, n * 0x01234567, true));
		CU_ASSERT_PTR_NULL(psi_flow_prefetch_far(t, n * 0x01234567, false));
	}
	CU_ASSERT_EQUAL(bucket_of(t, UINT32_MAX), 0);
	fresh(96);
	CU_ASSERT_EQUAL(bucket_of(t, UINT32_MAX), 2);
	CU_ASSERT_EQUAL(tag_of(0xffff0000), 2); /* never that of a free way */
	CU_ASSERT_EQUAL(tag_of(0xffff0001), 3);
	CU_ASSERT_EQUAL(tag_of(0xffff0002), 2);
	CU_ASSERT_EQUAL(tag_of(0x0000ffff), 0xffff);
}

/* A lean entry is found by its tuple and no other, whatever the caller writes in it. */
static void
test_lean(void)
{
	struct psi_tuple k = tuple(7), other, back;
	struct psi_flow *f, *g;

	fresh(32);
	f = get(7, PSI_FLOW_ESTABLISHED, 5);
	g = get(8, PSI_FLOW_ESTABLISHED, 5);
	CU_ASSERT_FATAL(f && g);
	CU_ASSERT(psi_flow_slim(f));
	CU_ASSERT(psi_flow_slim(f));
	memset(f->lean.side[0].user, 0xa5, sizeof(f->lean.side[0].user));
	memset(f->lean.side[1].user, 0x5a, sizeof(f->lean.side[1].user));
	f->lean.user = UINT32_MAX;
	f->user16 = 0xffff;
	f->user[0] = f->user[1] = f->cold = UINT32_MAX;
	CU_ASSERT_PTR_EQUAL(find(&k), f);
	CU_ASSERT_EQUAL(f->last_ms, 5);
	CU_ASSERT_PTR_EQUAL(get(7, PSI_FLOW_HALF_OPEN, 6), f);
	for (size_t i = 0; i < sizeof(k); i++) {
		other = k;
		((uint8_t *)&other)[i] ^= 1;
		CU_ASSERT_PTR_NULL(psi_flow_find(t, &other, psi_flow_hash(t, &k)));
	}
	back = psi_flow_tuple(f);
	CU_ASSERT_EQUAL(memcmp(&back, &k, sizeof(k)), 0);
	psi_flow_whole(f);
	CU_ASSERT_EQUAL(memcmp(&f->tuple, &k, sizeof(k)), 0);
	CU_ASSERT_EQUAL(f->flags & PSI_FLOW_LEAN, 0);
	psi_flow_whole(g); /* never was one */
	back = tuple(8);
	CU_ASSERT_EQUAL(memcmp(&g->tuple, &back, sizeof(back)), 0);
	check();
	/* one that says more than an IPv4 flow does */
	for (size_t i = 0; i < 40; i++) {
		bool free_byte = i < 12 || (i >= 16 && i < 28) || i >= 36;

		other = k;
		((uint8_t *)&other)[i] ^= 1;
		fresh(32);
		f = psi_flow_get(
			t, &other, psi_flow_hash(t, &other), PSI_FLOW_OTHER, 0, &(bool){0});
		CU_ASSERT_EQUAL(psi_flow_slim(f), !free_byte);
		CU_ASSERT_PTR_EQUAL(find(&other), f);
	}
}

/* The numbers of cnt flows of one bucket of a fresh table. */
static void
crowd(uint32_t bucket, uint32_t *no, uint32_t cnt)
{
	for (uint32_t n = 0; cnt; n++) {
		struct psi_tuple k = tuple(n);

		if (bucket_of(t, psi_flow_hash(t, &k)) == bucket) {
			*no++ = n;
			cnt--;
		}
	}
}

/* A crowded bucket's flows go to the next one, are found there, and nothing is given up before both are full. */
static void
test_next_bucket(void)
{
	uint32_t no[70];

	for (uint32_t home = 0; home < 3; home++) {
		uint32_t after = (home + 1) % 3, away = 0;

		fresh(96);
		crowd(home, no, 70);
		/* 28 at home leave 4 free ways; from then on the next bucket has more */
		for (uint32_t i = 0; i < 40; i++)
			CU_ASSERT_PTR_NOT_NULL(get(no[i], PSI_FLOW_ESTABLISHED, i));
		CU_ASSERT_EQUAL(strangers(after), 12);
		CU_ASSERT_EQUAL(tagged(home, TAG_LEFT), 4);
		check();
		for (uint32_t i = 0; i < 40; i++) {
			struct psi_tuple k = tuple(no[i]);
			struct psi_flow *f;

			CU_ASSERT(known(no[i]));
			f = psi_flow_prefetch_entry(t, psi_flow_hash(t, &k));
			CU_ASSERT_EQUAL(f == NULL, i >= 28);
			if (!f)
				f = psi_flow_prefetch_far(t, psi_flow_hash(t, &k), false);
			CU_ASSERT_PTR_EQUAL(f, find(&k));
		}
		CU_ASSERT(!known(no[40]));
		/* one leaves home: the others are found all the same, and the next comes in its place */
		psi_flow_free(t, get(no[3], PSI_FLOW_ESTABLISHED, 41));
		CU_ASSERT_EQUAL(tagged(home, TAG_LEFT), 5);
		check();
		for (uint32_t i = 0; i < 40; i++)
			CU_ASSERT_EQUAL(known(no[i]), i != 3);
		get(no[3], PSI_FLOW_ESTABLISHED, 42);
		CU_ASSERT_EQUAL(strangers(after), 12);
		psi_flow_set_state(t, get(no[39], PSI_FLOW_OTHER, 42), PSI_FLOW_ESTABLISHED);
		CU_ASSERT_EQUAL(strangers(after), 12);
		check();
		for (uint32_t i = 40; i < 64; i++)
			get(no[i], PSI_FLOW_ESTABLISHED, 43);
		CU_ASSERT_EQUAL(gone.why[PSI_FLOW_WHY_EVICTED], 0);
		CU_ASSERT_EQUAL(psi_flow_alive(t), 64);
		CU_ASSERT_EQUAL(strangers(after), 32);
		check();
		/* a lower one in the next bucket goes before a higher one at home, and in its place comes a stranger */
		away = no[39];
		psi_flow_set_state(t, get(away, PSI_FLOW_ESTABLISHED, 44), PSI_FLOW_OTHER);
		CU_ASSERT_PTR_NULL(get(no[64], PSI_FLOW_HALF_OPEN, 45));
		CU_ASSERT_PTR_NOT_NULL(get(no[64], PSI_FLOW_ESTABLISHED, 45));
		CU_ASSERT(!known(away) && known(no[64]));
		CU_ASSERT_EQUAL(strangers(after), 32);
		check();
		/* the silent of the next bucket go before what is evicted */
		for (unsigned int w = 0; w < WAYS; w++)
			psi_flow_touch(&t->entries[home * WAYS + w], 60000);
		CU_ASSERT_PTR_NOT_NULL(get(no[65], PSI_FLOW_HALF_OPEN, 60100));
		CU_ASSERT_EQUAL(gone.why[PSI_FLOW_WHY_EVICTED], 1);
		CU_ASSERT_EQUAL(gone.why[PSI_FLOW_WHY_IDLE], 32);
		CU_ASSERT_EQUAL(strangers(after), 1);
		check();
		/* the last stranger goes: all are at home, though the bucket was full */
		psi_flow_free(t, get(no[0], PSI_FLOW_ESTABLISHED, 60100));
		CU_ASSERT_EQUAL(tagged(home, TAG_LEFT), 1);
		psi_flow_free(t, get(no[65], PSI_FLOW_ESTABLISHED, 60100));
		CU_ASSERT_EQUAL(tagged(home, TAG_FREE), 1);
		check();
	}
}

/* A table filled to 85 %: what the next bucket saves. 27.2 flows a bucket in the mean, Poisson: 2.0 % of them are beyond
 * 32 (docs/design/flow.md), and a bucket is full in about one case of five. */
static void
test_filling(void)
{
	enum { SLOTS = 32000, FLOWS = SLOTS * 85 / 100 };

	fresh(SLOTS);
	for (uint32_t n = 0; n < FLOWS; n++)
		CU_ASSERT_PTR_NOT_NULL(get(n, PSI_FLOW_ESTABLISHED, 0));
	CU_ASSERT(gone.why[PSI_FLOW_WHY_EVICTED] < FLOWS * 4 / 1000);
	CU_ASSERT_EQUAL(psi_flow_alive(t) + gone.why[PSI_FLOW_WHY_EVICTED], FLOWS);
	check();
}

static CU_TestInfo table_tests[] = {
	{"get, find, free", test_get_find_free},
	{"lean entries", test_lean},
	{"sizes", test_config},
	{"random steps against a model", test_model},
	{"prefetch, and the edges of the hash", test_prefetch_is_harmless},
	{"everything goes at the stop", test_stop},
	CU_TEST_INFO_NULL,
};

static CU_TestInfo age_tests[] = {
	{"a timeout for each state", test_timeouts},
	{"a budget of buckets", test_age_by_budget},
	{"time wraps", test_time_wraps},
	{"random steps against a model", test_age_model},
	CU_TEST_INFO_NULL,
};

static CU_TestInfo full_tests[] = {
	{"the next bucket", test_next_bucket},
	{"filled to 85 %", test_filling},
	{"order of eviction", test_eviction_order},
	{"nothing is given up for less", test_eviction_refused},
	{"the active are spared", test_eviction_spares_the_active},
	{"past the timeout first", test_eviction_past_timeout},
	{"SYN flood", test_syn_flood},
	{"full table", test_full_table},
	{"collisions under another key", test_collision_attack},
	{"collisions of CRC32", test_crc_collisions},
	{"evenness", test_hash_is_even},
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo psi_unit_suites[] = {
	{.pName = "table", .pTests = table_tests},
	{.pName = "ageing", .pTests = age_tests},
	{.pName = "full", .pTests = full_tests},
	CU_SUITE_INFO_NULL,
};
