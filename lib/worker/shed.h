/* SPDX-License-Identifier: BSD-3-Clause */
/* shed.h: what a worker drops when packets come faster than it can take them, and in which order.
 *
 * A queue that overflows loses whatever comes next. A worker that is told how full its queue is drops by itself, before
 * a packet costs more than its headers, what tells least:
 *  1. the bulk of connections: payload in the middle, long application-data records, bare acknowledgments; of so many
 *     connections as the fill asks for, each of them whole, and at last of all;
 *  2. then, when that was not enough, IP fragments, and connections from their SYN on, so many as it takes: those that
 *     remain are followed in full;
 *  3. never FIN, RST and alerts.
 * UDP and what is no IP costs nothing behind the decoder, so there is nothing to be gained by dropping it.
 * Thread: the worker's. */
#ifndef SHED_H
#define SHED_H

#include "psi_worker.h"

enum {
	SHED_SHARES = 64, /* connections are dropped by 64ths, chosen by their hash */
	SHED_LEVEL_MAX = SHED_SHARES + 32, /* half of the connections stay, whatever comes */
	SHED_GUARDS = 16384,		   /* connections whose handshake is passing by */
	SHED_GUARDED = 32, /* packets that each may have without one that shows it going on */
};

/* Results of the decoder that only a worker under pressure knows, behind enum psi_net_rc. */
enum shed_rc { SHED_BULK = PSI_NET_RC_CNT, SHED_FRAGMENT, SHED_NEW, SHED_RC_CNT };

struct shed {
	uint32_t
		level; /* 0: nothing; up to SHED_SHARES: of whose bulk; above: all bulk, and connections */
	uint32_t fill;			/* of the queue, as last told; 256 for full */
	int32_t control;		/* the level, finer */
	uint64_t key[2];		/* nobody outside can choose what is dropped */
	uint64_t last_ns;		/* when anything was dropped last; 0: never */
	uint64_t share_ns[SHED_SHARES]; /* the same of each share of the connections */
	uint16_t guard[SHED_GUARDS];	/* part of the hash, and packets left */
	/* What is left of the burst at hand. */
	uint64_t ts_ns[PSI_WORKER_BURST];
	uint32_t wire_len[PSI_WORKER_BURST];
	uint32_t judged; /* a bit each: not again behind the decoder */
};
_Static_assert(PSI_WORKER_BURST <= 32, "bits of judged");

/* shed_control: the next level, from how full the queue is, 256 for full. */
void shed_control(struct shed *s, uint32_t fill);

/* shed_plain: Ethernet frames before they are decoded: only TCP over IPv4 without tags, options or fragments is judged. A
 *   bit each: which are plain, and of them which go.
 * shed_burst does so under pressure: counts and gives back what goes, and moves up the rest, with its times and lengths.
 *   Returns how many. */
struct shed_bits {
	uint32_t plain, bulk, fresh;
};
void shed_plain(struct shed *s, struct rte_mbuf *const *m, uint16_t n, uint64_t now_ns,
	struct shed_bits *out);
uint16_t shed_burst(struct psi_worker *w, struct rte_mbuf **m, const uint64_t **ts_ns,
	const uint32_t **wire_len, uint16_t n);

/* shed_tcp: TCP behind the decoder that was not judged before: 0 if it passes, else SHED_BULK or SHED_NEW. */
unsigned int
shed_tcp(struct shed *s, const struct rte_mbuf *m, const struct psi_pkt *p, uint64_t now_ns);

/* shed_since: whether packets of a connection may have been dropped since start_ns. */
bool shed_since(const struct shed *s, const struct psi_tuple *t, uint64_t start_ns);

/* shed_lately: a hole of this connection need not be waited for: what is missing was most likely dropped here. */
bool shed_lately(const struct shed *s, const struct psi_tuple *t, uint64_t now_ns);

#endif
