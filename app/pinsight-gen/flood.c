/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets that no connection comes of, from clients drawn at random. */
#include "gen_pvt.h"

uint32_t
flood_next(struct psi_gen *g, uint8_t *f, uint64_t *flow)
{
	uint64_t v = gen_u64(&g->rand);
	uint32_t off = frame_payload_off(false), room = g->cfg.frame - PSI_GEN_FCS, n;
	struct seg syn = {.flags = SYN, .seq = (uint32_t)(v >> 8), .id = (uint16_t)v};
	uint16_t id = (uint16_t)(v >> 16);
	struct ends e;

	if (g->cfg.flows)
		v = gen_mix(gen_below(&g->rand, g->cfg.flows) + g->cfg.seed);
	client_ends(&e, v >> 40, (uint32_t)v & 0xffffff, (uint32_t)(v >> 32) & 63, false);
	*flow = g->made;
	if (g->cfg.kind == PSI_GEN_SYN_FLOOD)
		return frame_tcp(f, &e, &syn, g->cfg.checksums);
	n = room - (off - 12); /* a UDP header is 12 bytes shorter than TCP's */
	memcpy(f + off - 12, g->play.filler + (v & (FILLER - 1)), n);
	e.port[1] = 9; /* discard, RFC 863 */
	n = frame_udp(f, &e, n, id, g->cfg.checksums);
	if (g->cfg.kind == PSI_GEN_FRAG_FLOOD) {
		f[ETH_LEN + 6] = 0x20; /* more fragments, which never come */
		f[ETH_LEN + 7] = 0;
		if (g->cfg.checksums)
			frame_checksums(f, n);
	}
	return n;
}
