/* SPDX-License-Identifier: BSD-3-Clause */
/* psi_frag.h: IP fragments of a worker, put together by rte_ip_frag in bounded memory.
 *
 * Datagrams are told apart by source, destination, protocol (IPv4), identification, innermost VLAN and tunnel; a fragment
 * inside a tunnel is as good as one outside. A datagram whose pieces overlap is given up, with what still comes of it
 * (RFC 5722 for IPv6; the same for IPv4, where end systems disagree on what an overlap means); an exact repetition
 * of a piece is not an overlap (RFC 8200 section 4.5). One that is not whole after the timeout is given up.
 * Out of scope: pieces captured short; datagrams of more than PSI_FRAG_PIECE_MAX pieces.
 * Thread: the worker that owns it. Time is packet time and comes in as an argument. */
#ifndef PSI_FRAG_H
#define PSI_FRAG_H

#include "psi_base.h"
#include "psi_net.h"
#include "psi_stats.h"

#include <rte_mbuf.h>

#define PSI_FRAG_PIECE_MAX RTE_LIBRTE_IP_FRAG_MAX_FRAG

struct psi_frag_config {
	uint32_t max; /* datagrams in work at most; they hold up to PSI_FRAG_PIECE_MAX mbufs each */
	uint32_t
		mbuf_max; /* mbufs that they hold, all together; 0: no bound but that of the pieces */
	uint64_t timeout_ns; /* from the first piece that was seen */
	uint32_t hash_seed;  /* random per start; fixed in tests */
	int socket;	     /* NUMA socket of the memory, or SOCKET_ID_ANY */
	/* NULL: psi_frag_open takes the memory. Else the first fragment does, after this was called and returned true: for
	 * captures, of which most have no fragment and need no DPDK. Without memory fragments count as pkt_drop_frag_full. */
	bool (*prepare)(void);
};

struct psi_frag;

/* ---- set-up: may fail, not hot ---- */

/* psi_frag_open: stats is the worker's block and outlives it. Returns NULL when there is no memory or cfg cannot be met.
 * psi_frag_close frees it and the mbufs that it holds. f may be NULL. */
struct psi_frag *psi_frag_open(const struct psi_frag_config *cfg, struct psi_stats *stats);
void psi_frag_close(struct psi_frag *f);

/* ---- the worker's ---- */

/* psi_frag_put takes the frame m that psi_net_decode called FRAGMENT.
 * pkt: what it said of m.     now_ns: packet time.
 * Owner: m is taken in every case, and written to: no other reference to it may exist. What is returned is the
 * caller's.
 * Returns the datagram, from its IP header on, in one segment as far as the first has room, to be given to
 * psi_net_decode_joined with the same pkt; NULL when m was held or dropped. Each m that is not answered with a datagram
 * is counted in one of the ledger's counters; one that is counts as what the caller finds in the datagram. */
struct rte_mbuf *
psi_frag_put(struct psi_frag *f, struct rte_mbuf *m, const struct psi_pkt *pkt, uint64_t now_ns);

/* psi_frag_expire gives up datagrams whose time is over; psi_frag_put does so too, so that it is only needed to have
 * mbufs back when no fragments come. Returns the datagrams still in work. */
uint32_t psi_frag_expire(struct psi_frag *f, uint64_t now_ns);

/* psi_frag_stop gives up every datagram in work, counted as timed out, and gives all mbufs back. Time may begin anew
 * afterwards. */
void psi_frag_stop(struct psi_frag *f);

#endif
