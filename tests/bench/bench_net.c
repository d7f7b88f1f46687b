/* SPDX-License-Identifier: BSD-3-Clause */
/* Cycles (time-stamp counter) per packet of psi_net_decode over frames that lie in cache, in bursts of 32, beside a
 * baseline that loads the same header bytes and stores a result of the same size. */
#include "bench.h"
#include "psi_net.h"

#include <stdio.h>
#include <stdlib.h>

#define BURST  32
#define FRAMES 1024
#define ROUNDS 2000

struct frame {
	const char *name, *link, *hex;
};

static const struct frame frames[] = {
#define FRAME(name, link, rc, src, sport, dst, dport, seq, flags, plen, vlan, tunnel, note, hex) \
	{#name, #link, hex},
#include "../unit/net_frames.def"
#undef FRAME
};

static uint8_t mem[FRAMES][256] __attribute__((aligned(64)));
static struct psi_pkt out[BURST];

/* lay: FRAMES copies of a golden frame, the source ports different so that the branch predictor learns no flow. */
static uint32_t
lay(const char *name)
{
	const struct frame *f = NULL;
	uint32_t n;

	for (size_t i = 0; i < PSI_COUNT(frames); i++)
		if (!strcmp(frames[i].name, name))
			f = &frames[i];
	if (!f || strlen(f->hex) / 2 > sizeof(mem[0]))
		abort();
	n = (uint32_t)strlen(f->hex) / 2;
	for (uint32_t k = 0; k < FRAMES; k++) {
		struct psi_pkt o;

		for (uint32_t i = 0; i < n; i++) {
			unsigned int v;

			sscanf(f->hex + 2 * i, "%2x", &v);
			mem[k][i] = (uint8_t)v;
		}
		if (psi_net_decode(PSI_LINK_ETHERNET, mem[k], n, n, 0, &o) != PSI_NET_TCP)
			abort();
		for (int i = 0; i < 4; i++) /* either direction, many flows */
			mem[k][o.l3_off + (o.note & PSI_PKT_IPV4 ? 12 : 20) + (uint32_t)i] =
				(uint8_t)rand();
	}
	return n;
}

static double
run(uint32_t n, bool decode)
{
	uint64_t best = UINT64_MAX;

	for (int r = 0; r < ROUNDS; r++) {
		uint64_t t = ticks();

		for (int k = 0; k < FRAMES; k += BURST)
			for (int i = 0; i < BURST; i++) {
				const uint8_t *p = mem[k + i];

				if (decode)
					psi_net_decode(PSI_LINK_ETHERNET, p, n, n,
						PSI_NET_ID_DEFAULT, &out[i]);
				else
					memcpy(&out[i], p, 64);
				__asm__ volatile("" : : "r"(&out[i]) : "memory");
			}
		t = ticks() - t;
		best = PSI_MIN(best, t);
	}
	return (double)best / FRAMES;
}

int
main(void)
{
	static const char *const names[] = {"ipv4", "ipv6", "vlan", "vlan6", "qinq_88a8",
		"ipv4_options", "mpls", "pppoe", "gre_key", "vxlan", "gtpu_ext", "nested_3"};

	printf("%-14s %8s %8s %6s  (cycles a packet, best of %d rounds, bursts of %d)\n", "frame",
		"decode", "baseline", "ratio", ROUNDS, BURST);
	for (size_t i = 0; i < PSI_COUNT(names); i++) {
		uint32_t n = lay(names[i]);
		double base = run(n, false), cost = run(n, true);

		printf("%-14s %8.1f %8.1f %6.1f\n", names[i], cost, base, cost / base);
	}
	return 0;
}
