/* SPDX-License-Identifier: BSD-3-Clause */
/* Small TCP packets over many flows, each a few bytes of memory: tuple and first sequence numbers follow from a flow's
 * number. */
#include "gen_pvt.h"

#include <errno.h>
#include <stdlib.h>

/* The part of a record that a flow in TLS is always in: so long a record (RFC 8446 section 5.1, and AES-GCM's tag). */
#define RECORD (5 + 16384 + 17)

struct small {
	uint32_t sent[2]; /* payload bytes of each side since the flow was opened */
	uint32_t made;	  /* packets */
};

int
small_open(struct psi_gen *g, struct psi_err *err)
{
	const struct psi_gen_config *c = &g->cfg;

	/* written now: memory in use must not grow by it while a benchmark measures what flows take */
	g->small = aligned_alloc(64, (c->flows * sizeof(*g->small) + 63) & ~(size_t)63);
	if (!g->small)
		return psi_err_set(err, -ENOMEM, "no memory for %u flows", c->flows);
	memset(g->small, 0, c->flows * sizeof(*g->small));
	if (c->flow_packets) {
		g->slots = PSI_MIN(c->live ? c->live : c->flows, c->flows);
		g->slot = malloc(g->slots * sizeof(*g->slot));
		if (!g->slot)
			return psi_err_set(err, -ENOMEM, "no memory for %u flows", c->flows);
		for (; g->small_begun < g->slots; g->small_begun++)
			g->slot[g->small_begun] = g->small_begun;
	}
	if (c->zipf > 0)
		zipf_init(&g->zipf, c->flows, c->zipf);
	g->opening = c->open == PSI_GEN_OPEN_TLS;
	return g->opening ? mix_open(g, err) : 0;
}

void
small_close(struct psi_gen *g)
{
	free(g->small);
	free(g->slot);
}

/* Every flow's handshake is as long as any other's, and its first sequence numbers are the halves of its key, so one
 * flow tells where all of them stand. */
void
small_opened(struct psi_gen *g, const struct conn *c)
{
	g->small_seq[0] = c->seq[0] - (uint32_t)c->key;
	g->small_seq[1] = c->seq[1] - (uint32_t)(c->key >> 32);
}

/* The number of a flow by its popularity, scattered so that the popular ones are no neighbours. */
static uint32_t
drawn(struct psi_gen *g)
{
	uint32_t n = g->cfg.flows;

	if (g->cfg.zipf <= 0)
		return gen_below(&g->rand, n);
	return (uint32_t)((uint64_t)zipf_next(&g->zipf, &g->rand) * 2654435761u % n);
}

/* Payload: random bytes, or, in a flow opened with TLS, what a long record has at that place. */
static void
payload(const struct psi_gen *g, uint64_t key, uint32_t sent, uint32_t len, uint8_t *p)
{
	static const uint8_t head[5] = {23, 3, 3, (RECORD - 5) >> 8, (RECORD - 5) & 255};

	memcpy(p, g->play.filler + ((key + sent) & (FILLER - 1)), len);
	if (g->cfg.open != PSI_GEN_OPEN_TLS)
		return;
	for (uint32_t i = 0; i < len; i++) {
		uint32_t at = (sent + i) % RECORD;

		if (at < sizeof(head))
			p[i] = head[at];
		else if (at + len - i <= RECORD)
			break;
	}
}

static uint32_t
packet(struct psi_gen *g, uint32_t no, uint8_t *f)
{
	struct small *s = &g->small[no];
	uint64_t key = conn_key(g, no);
	uint32_t off = frame_payload_off(false), len = g->cfg.frame - PSI_GEN_FCS - off;
	unsigned int from = gen_below(&g->rand, 2);
	struct seg seg = {.from = from, .flags = ACK, .id = (uint16_t)(key + s->made)};
	uint32_t first[2] = {
		(uint32_t)key + g->small_seq[0], (uint32_t)(key >> 32) + g->small_seq[1]};
	uint32_t made = s->made++;
	struct ends e;

	client_ends(&e, no, no / 60000, no % 64, false);
	if (g->cfg.open == PSI_GEN_OPEN_SYN && made < 3) {
		seg.from = made == 1;
		seg.flags = made == 0 ? SYN : made == 1 ? SYN | ACK : ACK;
		len = 0;
	}
	if (len) {
		seg.flags |= PSH;
		payload(g, key, s->sent[from], len, f + off);
	}
	seg.len = len;
	/* a SYN takes a number of its own */
	seg.seq = first[seg.from] + s->sent[seg.from] +
		  (g->cfg.open == PSI_GEN_OPEN_SYN && made > seg.from);
	seg.ack = first[!seg.from] + s->sent[!seg.from] +
		  (g->cfg.open == PSI_GEN_OPEN_SYN && made > !seg.from);
	s->sent[from] += len;
	return frame_tcp(f, &e, &seg, g->cfg.checksums);
}

/* Flows that come to an end: a slot is drawn, and whoever ends leaves it to the next flow, or closes it. */
static uint32_t
next_flow(struct psi_gen *g)
{
	uint32_t slot = gen_below(&g->rand, g->slots), no = g->slot[slot];

	if (g->small[no].made + 1 == g->cfg.flow_packets)
		g->slot[slot] =
			g->small_begun < g->cfg.flows ? g->small_begun++ : g->slot[--g->slots];
	return no;
}

uint32_t
small_next(struct psi_gen *g, uint8_t *f, uint64_t *flow)
{
	uint32_t no, n;

	if (g->opening) {
		n = mix_next(g, f, flow);
		if (n)
			return n;
		g->opening = false;
	}
	if (g->slot && !g->slots)
		return 0;
	no = g->slot ? next_flow(g) : drawn(g);
	*flow = no;
	return packet(g, no, f);
}
