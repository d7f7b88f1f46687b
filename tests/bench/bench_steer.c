/* SPDX-License-Identifier: BSD-3-Clause */
/* Cycles a packet of software steering between two workers, on one core: finding the owner of each packet of a burst and
 * handing half of them over (split), taking those back out (take); beside it the decoding alone, which is the largest part
 * of it, and one read of the engine's clock. Frames lie in cache. */
#include "bench.h"

#include "../unit/unit_eal.h"
#include "engine.h"

#include <stdio.h>
#include <stdlib.h>

#define BURST  PSI_WORKER_BURST
#define FRAMES 1024
#define ROUNDS 2000

static struct rte_mbuf *frame[FRAMES];
static struct engine e;
static struct psi_stats stats[2];

/* Ethernet, IPv4, TCP, 6 bytes of payload: 60 bytes; addresses and ports as they come. */
static void
lay(struct rte_mempool *pool)
{
	static const uint8_t head[] = {
		2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 46, 0, 0, 0x40, 0, 64, 6};

	for (int i = 0; i < FRAMES; i++) {
		uint8_t *p;

		frame[i] = rte_pktmbuf_alloc(pool);
		p = (uint8_t *)rte_pktmbuf_append(frame[i], 60);
		if (!p)
			abort();
		memset(p, 0, 60);
		memcpy(p, head, sizeof(head));
		for (int k = 26; k < 38; k++)
			p[k] = (uint8_t)rand();
		p[46] = 0x50;
		p[47] = 0x10;
	}
}

static void
open_workers(void)
{
	struct psi_err err;

	e.worker_cnt = 2;
	e.worker = aligned_alloc(128, 2 * ((sizeof(*e.worker) + 127) & ~(size_t)127));
	memset(e.worker, 0, 2 * sizeof(*e.worker));
	e.identity = PSI_NET_ID_DEFAULT;
	for (unsigned int i = 0; i < 2; i++) {
		e.worker[i].e = &e;
		e.worker[i].id = i;
		e.worker[i].stats = &stats[i];
		e.worker[i].steer_out = calloc(2 * BURST, sizeof(void *));
	}
	if (steer_open(&e, &err) != 0)
		abort();
}

struct cost {
	uint64_t split, take;
};

static struct cost
steer_all(void)
{
	struct rte_mbuf *m[BURST], *taken[BURST];
	struct cost c = {0};

	for (int k = 0; k < FRAMES; k += BURST) {
		uint64_t t = ticks(), u;

		memcpy(m, frame + k, sizeof(m));
		steer_split(&e.worker[0], m, BURST);
		u = ticks();
		while (steer_take(&e.worker[1], 0, taken) > 0)
			;
		c.split += u - t;
		c.take += ticks() - u;
	}
	return c;
}

static uint64_t
decode_all(void)
{
	uint64_t t = ticks();

	for (int k = 0; k < FRAMES; k++) {
		struct psi_pkt p;

		psi_net_decode(PSI_LINK_ETHERNET, rte_pktmbuf_mtod(frame[k], const uint8_t *), 60,
			60, PSI_NET_ID_DEFAULT, &p);
		__asm__ volatile("" : : "r"(&p) : "memory");
	}
	return ticks() - t;
}

static uint64_t
clock_all(void)
{
	uint64_t t = ticks();

	for (int k = 0; k < FRAMES; k++) {
		uint64_t v = clock_ns(&e.clock);

		__asm__ volatile("" : : "r"(v));
	}
	return ticks() - t;
}

int
main(void)
{
	struct rte_mempool *pool = unit_pool(2047);
	struct cost best = {UINT64_MAX, UINT64_MAX};
	uint64_t decode = UINT64_MAX, clock = UINT64_MAX;

	if (!pool)
		return 1;
	lay(pool);
	open_workers();
	clock_open(&e.clock);
	for (int r = 0; r < ROUNDS; r++) {
		struct cost c = steer_all();
		uint64_t d = decode_all(), k = clock_all();

		best.split = PSI_MIN(best.split, c.split);
		best.take = PSI_MIN(best.take, c.take);
		decode = PSI_MIN(decode, d);
		clock = PSI_MIN(clock, k);
	}
	printf("cycles (time-stamp counter), best of %d rounds of %d packets, bursts of %d\n",
		ROUNDS, FRAMES, BURST);
	printf("  %6.1f  decode, a packet (baseline)\n", (double)decode / FRAMES);
	printf("  %6.1f  split: decode, owner, half of them handed over\n",
		(double)best.split / FRAMES);
	printf("  %6.1f  take, a packet of all\n", (double)best.take / FRAMES);
	printf("  %6.1f  a read of the clock\n", (double)clock / FRAMES);
	return 0;
}
