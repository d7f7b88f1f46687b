/* SPDX-License-Identifier: BSD-3-Clause */
/* The generator as its callers see it: configuration checked, one frame after the other, each with its time. */
#include "gen_pvt.h"

#include <errno.h>
#include <stdlib.h>

#define START_NS \
	1796083200000000000u /* 2026-12-01: within the validity of every certificate that is sent */

void
psi_gen_defaults(struct psi_gen_config *cfg, enum psi_gen_kind kind)
{
	*cfg = (struct psi_gen_config){
		.kind = kind,
		.seed = 1,
		.flows = 1000,
		.live = 100,
		.train = 1,
		.frame = 64,
		.mss = 1460,
		.chains = 1000,
		.tls13 = 0.7,
		.hosts = 64,
		.clients = 50,
		.pinned = 0.05,
		.unknown_ca = 0.1,
		.checksums = true,
		.start_ns = START_NS,
		.pps = 100000,
		.burst = 1,
	};
	if (kind == PSI_GEN_HTTPS)
		cfg->flow_packets = 330;
	if (kind == PSI_GEN_TCP) {
		cfg->live = 0;
		cfg->flow_packets = 10;
		cfg->open = PSI_GEN_OPEN_SYN;
	}
	if (kind >= PSI_GEN_SYN_FLOOD) {
		cfg->flows = 0;
		cfg->packets = 10000;
	}
	if (kind == PSI_GEN_FRAG_FLOOD)
		cfg->frame = 1514;
}

/* ---- the configuration ---- */

#define STAMPED_MIN 102 /* bytes of a frame with room for a stamp behind IPv6 and TCP */

static int
check_share(double v, const char *name, struct psi_err *err)
{
	return v >= 0 && v <= 1
		       ? 0
		       : psi_err_set(err, -EINVAL, "%s is a share, 0 to 1, not %g", name, v);
}

static int
check_shares(const struct psi_gen_config *c, struct psi_err *err)
{
	if (check_share(c->tls13, "tls13", err) || check_share(c->ipv6, "ipv6", err) ||
		check_share(c->pinned, "pinned", err) ||
		check_share(c->unknown_ca, "unknown-ca", err))
		return -EINVAL;
	if (c->pinned + c->unknown_ca > 1)
		return psi_err_set(err, -EINVAL,
			"pinned and unknown-ca are shares of the same connections: together at most 1, not %g",
			c->pinned + c->unknown_ca);
	return 0;
}

static bool
never_ends(const struct psi_gen_config *c)
{
	return c->kind >= PSI_GEN_SYN_FLOOD || (c->kind == PSI_GEN_TCP && !c->flow_packets);
}

static int
check(const struct psi_gen_config *c, struct psi_err *err)
{
	bool flood = c->kind >= PSI_GEN_SYN_FLOOD;

	if (c->kind >= PSI_GEN_KIND_CNT)
		return psi_err_set(err, -EINVAL, "there is no such kind of traffic");
	if (!flood && (!c->flows || c->flows > 1u << 28))
		return psi_err_set(err, -EINVAL, "flows: 1 to %u", 1u << 28);
	if (c->live > 1u << 24 || (!flood && c->kind != PSI_GEN_TCP && !c->live))
		return psi_err_set(err, -EINVAL, "live: 1 to %u connections at once", 1u << 24);
	if (c->frame < 64 || c->frame > 1518)
		return psi_err_set(
			err, -EINVAL, "frame: 64 to 1518 bytes, FCS included, not %u", c->frame);
	if (c->stamp && (c->frame < STAMPED_MIN || (!flood && c->kind != PSI_GEN_TCP)))
		return psi_err_set(err, -EINVAL,
			"stamp: for tcp and floods, whose payload means nothing, in frames of %d bytes or more",
			STAMPED_MIN);
	if (c->mss < 1 || c->mss > 1460)
		return psi_err_set(err, -EINVAL, "mss: 1 to 1460 bytes, not %u", c->mss);
	if (c->fragment && (c->fragment < 28 || c->fragment > 1500))
		return psi_err_set(err, -EINVAL, "fragment: 28 to 1500 bytes, not %u", c->fragment);
	if (!c->chains || !c->hosts || !c->clients || c->clients > 1u << 24 || c->hosts > 100000)
		return psi_err_set(
			err, -EINVAL, "chains, hosts (at most 100000) and clients are at least 1");
	if (c->zipf < 0 || c->zipf > 5 ||
		(c->zipf > 0 && (c->kind != PSI_GEN_TCP || c->flow_packets)))
		return psi_err_set(err, -EINVAL,
			"zipf: 0 to 5, for TCP flows without an end of their own (flow-packets 0)");
	if (!(c->pps > 0) == !(c->gbps > 0) || c->pps > 1e9 || c->gbps > 10000)
		return psi_err_set(
			err, -EINVAL, "the rate: pps (at most 10^9) or gbps, one of them");
	if (!c->burst || c->burst > 65536)
		return psi_err_set(err, -EINVAL, "burst: 1 to 65536 frames");
	if (never_ends(c) && !c->packets)
		return psi_err_set(
			err, -EINVAL, "this traffic never ends by itself: say how many packets");
	return check_shares(c, err);
}

/* ---- life ---- */

static int
make_filler(struct psi_gen *g, struct psi_err *err)
{
	g->play.filler = malloc(FILLER + PSI_GEN_FRAME_MAX);
	if (!g->play.filler)
		return psi_err_set(err, -ENOMEM, "no memory for payload");
	gen_bytes(g->cfg.seed, 1u << 20, g->play.filler, FILLER);
	memcpy(g->play.filler + FILLER, g->play.filler, PSI_GEN_FRAME_MAX);
	return 0;
}

struct psi_gen *
psi_gen_open(const struct psi_gen_config *cfg, struct psi_err *err)
{
	struct psi_gen *g;
	int rc;

	if (check(cfg, err) != 0)
		return NULL;
	g = calloc(1, sizeof(*g));
	if (!g) {
		psi_err_set(err, -ENOMEM, "no memory for a generator");
		return NULL;
	}
	g->cfg = *cfg;
	if (cfg->kind == PSI_GEN_TCP && cfg->open == PSI_GEN_OPEN_TLS && !cfg->live)
		g->cfg.live = PSI_MIN(cfg->flows, 256u);
	g->rand.s = gen_mix(cfg->seed);
	g->play.mss = PSI_MIN(cfg->mss, cfg->ipv6 > 0 ? 1440u : 1460u);
	g->play.order = cfg->order;
	g->play.checksums = cfg->checksums;
	rc = make_filler(g, err);
	if (rc == 0 && cfg->kind == PSI_GEN_TCP)
		rc = small_open(g, err);
	else if (rc == 0 && cfg->kind < PSI_GEN_SYN_FLOOD)
		rc = mix_open(g, err);
	if (rc == 0)
		return g;
	psi_gen_close(g);
	return NULL;
}

void
psi_gen_close(struct psi_gen *g)
{
	if (!g)
		return;
	mix_close(g);
	small_close(g);
	free(g->play.filler);
	free(g);
}

bool
psi_gen_opening(const struct psi_gen *g)
{
	return g->opening;
}

uint64_t
psi_gen_begun(const struct psi_gen *g)
{
	return g->begun ? g->begun : g->small_begun;
}

const uint8_t *
psi_gen_ca(enum psi_gen_kind kind, uint32_t *len)
{
	bool proxy = kind == PSI_GEN_CLIENTS;
	const uint8_t *p = proxy ? gen_proxy_der : gen_chain_der;
	const uint8_t *end = p + (proxy ? gen_proxy_der_len : gen_chain_der_len);

	/* the last of the list */
	for (;; p += 3 + *len) {
		*len = (uint32_t)(p[0] << 16 | p[1] << 8 | p[2]);
		if (p + 3 + *len >= end)
			return p + 3;
	}
}

/* ---- frames ---- */

static uint32_t
whole_frame(struct psi_gen *g, uint8_t *f, uint64_t *flow)
{
	switch (g->cfg.kind) {
	case PSI_GEN_TCP: return small_next(g, f, flow);
	case PSI_GEN_SYN_FLOOD:
	case PSI_GEN_UDP_FLOOD:
	case PSI_GEN_FRAG_FLOOD: return flood_next(g, f, flow);
	default: return mix_next(g, f, flow);
	}
}

/* The next frame, or the next fragment of one. IPv6 is sent whole: its fragments are the sender's own business. */
static uint32_t
piece(struct psi_gen *g, uint8_t *f, uint64_t *flow)
{
	uint32_t n;

	if (!g->cfg.fragment)
		return whole_frame(g, f, flow);
	if (g->whole_len) {
		*flow = g->whole_flow;
		n = frame_fragment(
			g->whole, g->whole_len, g->cfg.fragment, g->piece++, f, g->cfg.checksums);
		if (n)
			return n;
		g->whole_len = 0;
	}
	n = whole_frame(g, f, flow);
	if (n < ETH_LEN + 20 || f[12] != 8 ||
		(uint32_t)(f[ETH_LEN + 2] << 8 | f[ETH_LEN + 3]) <= g->cfg.fragment)
		return n;
	memcpy(g->whole, f, n);
	g->whole_len = n;
	g->whole_flow = *flow;
	g->piece = 1;
	return frame_fragment(g->whole, n, g->cfg.fragment, 0, f, g->cfg.checksums);
}

/* When frame number `made` is due: all of a burst at once. */
static uint64_t
due(struct psi_gen *g, uint32_t len)
{
	const struct psi_gen_config *c = &g->cfg;

	if (g->made % c->burst == 0) {
		double ns = c->pps > 0 ? (double)g->made * 1e9 / c->pps
				       : (double)g->wire_at * 8 / c->gbps;

		g->burst_ns = c->start_ns + (uint64_t)ns;
	}
	g->wire_at += len + PSI_GEN_WIRE;
	return g->burst_ns;
}

/* Time and number into the last bytes of the frame. */
static void
stamp(struct psi_gen *g, uint8_t *f, const struct psi_gen_packet *p)
{
	struct psi_gen_stamp s = {.magic = "PSISTAMP",
		.no = __builtin_bswap64(g->made),
		.ns = __builtin_bswap64(p->ts_ns)};

	if (p->len < frame_payload_off(false) + sizeof(s))
		return;
	memcpy(f + p->len - sizeof(s), &s, sizeof(s));
	if (g->cfg.checksums)
		frame_checksums(f, p->len);
}

bool
psi_gen_next(struct psi_gen *g, uint8_t *frame, struct psi_gen_packet *p)
{
	if (g->cfg.packets && g->made == g->cfg.packets)
		return false;
	g->play.part = PSI_GEN_BULK;
	p->len = piece(g, frame, &p->flow);
	p->part = g->play.part;
	if (!p->len)
		return false;
	p->ts_ns = due(g, p->len);
	if (g->cfg.stamp && p->part == PSI_GEN_BULK) /* a handshake stays what it is */
		stamp(g, frame, p);
	g->made++;
	return true;
}
