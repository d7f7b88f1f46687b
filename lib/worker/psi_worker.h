/* SPDX-License-Identifier: BSD-3-Clause */
/* psi_worker.h: bursts of packets -> flow records, on one core: decode, flow table, streams, TLS, handoff.
 *
 * Out of scope: where packets come from (port) and what records mean (collector).
 * Thread: one thread a worker; nothing is shared but the handoff queue and the counters. */
#ifndef PSI_WORKER_H
#define PSI_WORKER_H

#include "psi_base.h"
#include "psi_flow.h"
#include "psi_frag.h"
#include "psi_handoff.h"
#include "psi_net.h"
#include "psi_stats.h"
#include "psi_stream.h"

#include <rte_mbuf.h>

#define PSI_WORKER_BURST 32 /* packets a burst at most */

struct psi_worker_config {
	struct psi_flow_config flow; /* hash_key also keys the hashes of chains and hellos */
	struct psi_stream_config stream;
	struct psi_frag_config frag;
	uint32_t
		conn_max; /* connections at once that are more than thin: in their handshake, ending, with a hole */
	uint32_t handshake_max; /* of them, those within their handshake */
	uint32_t chain_max;	/* certificate messages in flight at once */
	uint32_t chain_seg_max; /* mbufs that they hold, all together */
	uint32_t linger_ms; /* how long a closed TLS flow waits for stragglers before it is told */
	unsigned int identity; /* enum psi_net_identity */
	uint8_t id;	       /* goes into flow ids and records */
	bool huge; /* ask for huge pages: for large tables in use, not for a short capture */
	bool report_other; /* make records of flows that are not TLS, too */
};

/* psi_worker_defaults: what `pinsight read` uses; flow.hash_key is fixed, so that output repeats. */
void psi_worker_defaults(struct psi_worker_config *cfg);

struct psi_worker;

/* ---- set-up: the thread that starts the engine ---- */

/* psi_worker_open lays out a worker; out: its queue, outlives it. full: called when the queue is full, to let the
 * collector make room; it returns true to try again. NULL where nobody can wait: records are then dropped, counted.
 * Returns NULL with the reason in err. psi_worker_close frees it; psi_worker_stop first, or held mbufs leak. */
struct psi_worker *psi_worker_open(const struct psi_worker_config *cfg, struct psi_handoff *out,
	bool (*full)(void *ctx), void *ctx, struct psi_err *err);
void psi_worker_close(struct psi_worker *w);

/* ---- the worker's thread ---- */

/* psi_worker_burst takes n <= PSI_WORKER_BURST mbufs, which are the worker's from then on. ts_ns: time of each, never
 * decreasing by more than reordering in the network explains; timeouts follow the largest seen. wire_len: bytes of
 * each on the wire, which a capture may have cut. Hot. */
void psi_worker_burst(struct psi_worker *w, enum psi_link link, struct rte_mbuf **m,
	const uint64_t *ts_ns, const uint32_t *wire_len, uint16_t n);

/* psi_worker_idle: no packets came until now_ns: timeouts run on. For live ports only: a capture's time is that of its
 * packets. Hot. */
void psi_worker_idle(struct psi_worker *w, uint64_t now_ns);

/* psi_worker_pressure says how many packets wait for the worker, in a queue that has room for so many. Call it every four
 * bursts while they come full, and after each burst that does not until psi_worker_pressed says no: once it was half
 * full the worker drops what tells least, counted (pkt_drop_shed_*): docs/design/overload.md. Hot. */
void psi_worker_pressure(struct psi_worker *w, uint32_t waiting, uint32_t room);
bool psi_worker_pressed(const struct psi_worker *w);

/* psi_worker_touch brings all of the flow table into memory, which costs its time once: less than doing so page by page when
 * there are as many flows as pages. Without it memory is taken as flows come. */
void psi_worker_touch(struct psi_worker *w);

/* psi_worker_stop ends every flow, in the order in which they began, cause "engine stop", and gives back all mbufs. */
void psi_worker_stop(struct psi_worker *w);

/* ---- any thread ---- */

/* psi_worker_stats: its counters. */
struct psi_stats *psi_worker_stats(struct psi_worker *w);
/* psi_worker_alive: flows in the table, for the ledger's balance; exact when the worker is idle. */
uint32_t psi_worker_alive(const struct psi_worker *w);

#endif
