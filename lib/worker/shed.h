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
	uint64_t key[2];		/* nobody outside can choose what is dropped */
	bool judged;			/* the packet at hand */
	uint64_t last_ns;		/* when anything was dropped last; 0: never */
	uint64_t share_ns[SHED_SHARES]; /* the same of each share of the connections */
	uint16_t guard[SHED_GUARDS];	/* part of the hash, and packets left */
};

/* shed_level: the next level, from the one before and how full the queue is, 256 for full. */
uint32_t shed_level(uint32_t level, uint32_t fill);

/* A packet under pressure: 0 if it passes, else SHED_BULK or SHED_NEW: it is not to be looked at.
 * shed_plain: an Ethernet frame before it is decoded: only TCP over IPv4 without tags, options or fragments is judged, and
 *   what passes is judged no more.
 * shed_tcp: what is TCP behind the decoder; what shed_plain has judged passes. */
unsigned int shed_plain(struct shed *s, const struct rte_mbuf *m, uint64_t now_ns);
unsigned int
shed_tcp(struct shed *s, const struct rte_mbuf *m, const struct psi_pkt *p, uint64_t now_ns);

/* shed_since: whether packets of a connection may have been dropped since start_ns. */
bool shed_since(const struct shed *s, const struct psi_tuple *t, uint64_t start_ns);

/* shed_lately: a hole need not be waited for: what is missing was dropped here. */
static inline bool
shed_lately(const struct shed *s, uint64_t now_ns)
{
	return s->last_ns && now_ns - s->last_ns < 4000000000u;
}

#endif
