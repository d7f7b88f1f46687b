/* SPDX-License-Identifier: BSD-3-Clause */
/* Cycles (time-stamp counter) per find and touch of random flows in a table of so many live ones, in bursts of 32 with
 * both prefetches, beside a baseline that makes the same keys in the same order and looks at each once. Then what a new
 * flow, a miss, ageing and a full table cost, and how many flows a table of a size holds.
 * bench_flow [FLOWS...], 10 K, 1 M and 10 M without. */
#include "bench.h"
#include "psi_flow.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { BURST = 32, BURSTS = 64, WARM = 1000, RUNS = 2000 };

static struct psi_stats stats;
static struct psi_tuple key[BURST];
static uint32_t hash[BURST];
static uint64_t seed, checksum;

static void
on_gone(void *ctx, struct psi_flow *f, enum psi_flow_why why)
{
	++*(uint64_t *)ctx;
}

/* The n-th flow: a client of many, to one of 64 servers. */
static inline void
make_key(struct psi_tuple *k, uint32_t n)
{
	static const struct psi_tuple base = {
		.addr = {{[10] = 0xff, 0xff, 10}, {[10] = 0xff, 0xff, 192, 168}},
		.port = {0, 443},
		.proto = 6};
	uint32_t client = n / 60000;

	*k = base;
	memcpy(&k->addr[0][13], &client, 3);
	k->addr[1][15] = (uint8_t)(n & 63);
	k->port[0] = (uint16_t)(1024 + n % 60000);
}

static inline uint32_t
random_below(uint32_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((seed >> 32) * n >> 32);
}

static void
look_at(const struct psi_tuple *k)
{
	uint64_t w[5];

	memcpy(w, k, sizeof(w));
	checksum += w[0] ^ w[1] ^ w[2] ^ w[3] ^ w[4] ^ k->vlan;
}

/* What a stage does with a burst of keys. */
typedef void stage_fn(struct psi_flow_table *t, uint64_t now_ms);

static void
baseline(struct psi_flow_table *t, uint64_t now_ms)
{
	for (int i = 0; i < BURST; i++)
		look_at(&key[i]);
}

static void
ask(struct psi_flow_table *t)
{
	int far[BURST], far_cnt = 0;

	for (int i = 0; i < BURST; i++) {
		hash[i] = psi_flow_hash(t, &key[i]);
		psi_flow_prefetch(t, hash[i]);
	}
	for (int i = 0; i < BURST; i++)
		if (!psi_flow_prefetch_entry(t, hash[i]))
			far[far_cnt++] = i;
	for (int k = 0; k < far_cnt; k++)
		psi_flow_prefetch_far(t, hash[far[k]], true);
}

static void
hash_only(struct psi_flow_table *t, uint64_t now_ms)
{
	for (int i = 0; i < BURST; i++)
		checksum += psi_flow_hash(t, &key[i]);
}

static void
find(struct psi_flow_table *t, uint64_t now_ms)
{
	ask(t);
	for (int i = 0; i < BURST; i++) {
		struct psi_flow *f = psi_flow_find(t, &key[i], hash[i]);

		if (f) {
			psi_flow_touch(f, now_ms);
			f->user[0]++;
		}
	}
}

static void
find_unasked(struct psi_flow_table *t, uint64_t now_ms)
{
	for (int i = 0; i < BURST; i++) {
		struct psi_flow *f = psi_flow_find(t, &key[i], psi_flow_hash(t, &key[i]));

		if (f) {
			psi_flow_touch(f, now_ms);
			f->user[0]++;
		}
	}
}

static void
find_and_age(struct psi_flow_table *t, uint64_t now_ms)
{
	psi_flow_age(t, now_ms, 16);
	find(t, now_ms);
}

static void
open_and_free(struct psi_flow_table *t, uint64_t now_ms)
{
	bool made;

	ask(t);
	for (int i = 0; i < BURST; i++) {
		struct psi_flow *f =
			psi_flow_get(t, &key[i], hash[i], PSI_FLOW_HANDSHAKE, now_ms, &made);

		if (f && made)
			psi_flow_free(t, f);
	}
}

static void
open_half(struct psi_flow_table *t, uint64_t now_ms)
{
	bool made;

	ask(t);
	for (int i = 0; i < BURST; i++)
		psi_flow_get(t, &key[i], hash[i], PSI_FLOW_HALF_OPEN, now_ms, &made);
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Cycles per key of a stage over random keys of [from, from + n): the twentieth part of many short runs was faster, the
 * rest not: whatever else the machine does meanwhile only ever makes a run slower. */
static double
measure(struct psi_flow_table *t, stage_fn *stage, uint32_t from, uint32_t n)
{
	static double run[RUNS];

	seed = 42;
	for (int r = -WARM; r < RUNS; r++) {
		uint64_t from_tick = ticks();

		for (int b = 0; b < BURSTS; b++) {
			for (int i = 0; i < BURST; i++)
				make_key(&key[i], from + random_below(n));
			stage(t, 1000);
		}
		if (r >= 0)
			run[r] = (double)(ticks() - from_tick) / (BURSTS * BURST);
	}
	qsort(run, RUNS, sizeof(run[0]), by_value);
	return run[RUNS / 20];
}

static void *
area(size_t len)
{
	size_t huge = 2u << 20;
	void *p = aligned_alloc(huge, (len + huge - 1) / huge * huge);

	if (!p) {
		fprintf(stderr, "no memory for %zu bytes\n", len);
		exit(1);
	}
	madvise(p, len, MADV_HUGEPAGE);
	memset(p, 0, len);
	return p;
}

static struct psi_flow_table *
table(uint32_t max, size_t *len, uint64_t *gone)
{
	struct psi_flow_config cfg = {.max = max,
		.timeout_ms = {0, 1000, 5000, 30000, 300000, 30000},
		.hash_key = {0x243f6a8885a308d3u, 0x13198a2e03707344u}};

	*len = psi_flow_footprint(&cfg);
	*gone = 0;
	return psi_flow_init(area(*len), &cfg, &stats, on_gone, gone);
}

static void
fill(struct psi_flow_table *t, uint32_t flows)
{
	bool made;

	for (uint32_t n = 0; n < flows; n++) {
		make_key(&key[0], n);
		psi_flow_get(
			t, &key[0], psi_flow_hash(t, &key[0]), PSI_FLOW_ESTABLISHED, 1000, &made);
	}
}

static void
row(const char *what, double cycles, double base)
{
	printf("  %-46s %7.1f cycles  %+7.1f  %5.1f x\n", what, cycles, cycles - base,
		cycles / base);
}

static void
speed(uint32_t flows, uint32_t percent)
{
	size_t len;
	uint64_t gone;
	uint32_t other = 2000000000;
	struct psi_flow_table *t = table((uint32_t)((uint64_t)flows * 100 / percent), &len, &gone);
	double base;

	fill(t, flows);
	printf("%u flows in a table %u %% full: %.1f bytes a live flow, %llu given up while filling\n",
		flows, percent, (double)len / psi_flow_alive(t), (unsigned long long)gone);
	base = measure(t, baseline, 0, flows);
	row("baseline: the key is made and looked at", base, base);
	row("hash", measure(t, hash_only, 0, flows), base);
	row("find and touch, bursts of 32, prefetched", measure(t, find, 0, flows), base);
	row("the same, and 16 buckets aged a burst", measure(t, find_and_age, 0, flows), base);
	row("find and touch, one after another", measure(t, find_unasked, 0, flows), base);
	row("find nothing", measure(t, find, other, flows), base);
	row("a new flow, and its end", measure(t, open_and_free, other, flows), base);
	fill(t, flows * 2);
	row("table full of better: a SYN refused", measure(t, open_half, other, flows), base);
	free(t);
}

/* How full a table can be: random flows of equal worth, what share of them is put out by others. */
static void
capacity(uint32_t max)
{
	printf("a table of %u: share of flows given up for want of room in their bucket\n", max);
	for (uint32_t percent = 50; percent <= 100; percent += 5) {
		size_t len;
		uint64_t gone;
		uint32_t flows = (uint32_t)((uint64_t)max * percent / 100);
		struct psi_flow_table *t = table(max, &len, &gone);

		fill(t, flows);
		printf("  %3u %% %6.1f bytes a flow  %8.4f %%\n", percent, (double)len / flows,
			100.0 * (double)gone / flows);
		free(t);
	}
}

int
main(int argc, char **argv)
{
	static const uint32_t flows[] = {10000, 1000000, 10000000};

	for (int i = 1; i < argc; i++)
		speed((uint32_t)strtoul(argv[i], NULL, 10), 75);
	for (unsigned int i = 0; argc == 1 && i < PSI_COUNT(flows); i++)
		speed(flows[i], 75);
	capacity(1 << 20);
	return checksum == 42;
}
