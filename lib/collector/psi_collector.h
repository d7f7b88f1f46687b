/* SPDX-License-Identifier: BSD-3-Clause */
/* psi_collector.h: records of the workers -> chains interned, halves of a flow joined, verdict, events.
 *
 * Out of scope: packets; where events go (the sink's business).
 * Thread: one thread. The sink is called on it and must not block in a live engine. */
#ifndef PSI_COLLECTOR_H
#define PSI_COLLECTOR_H

#include "psi_base.h"
#include "psi_event.h"
#include "psi_handoff.h"
#include "psi_pins_store.h"
#include "psi_policy.h"
#include "psi_population.h"
#include "psi_stats.h"

struct psi_collector_config {
	uint32_t
		chain_max; /* distinct certificate chains remembered; the least recently used goes first */
	uint32_t join_max;	   /* flows whose handshake data waits for their end; likewise */
	struct psi_policy *policy; /* what the operator gave; NULL: nothing. The caller's */
	struct psi_pins_store
		*keys;	 /* where keys are learnt on first use; NULL: they are not. The caller's */
	bool handshakes; /* make tls_handshake events, too */
	struct psi_population_config population; /* row_max 0: no flow is compared with others */
	/* A finished event. It is good during the call only. */
	void (*sink)(void *ctx, const struct psi_event *e);
	/* A mark came by in a queue; NULL: marks are passed over. Good during the call only. */
	void (*mark)(void *ctx, const struct psi_handoff_mark *m);
	void *ctx;
};

/* psi_collector_defaults: what `pinsight read` uses; sink and policy are left NULL. */
void psi_collector_defaults(struct psi_collector_config *cfg);
struct psi_collector;

/* psi_collector_open: NULL with the reason in err. psi_collector_close frees everything. */
struct psi_collector *
psi_collector_open(const struct psi_collector_config *cfg, struct psi_err *err);
void psi_collector_close(struct psi_collector *c);

/* psi_collector_set_policy: from now on p; NULL: nothing. Returns the one before, which the collector no longer knows:
 * the caller closes it. */
struct psi_policy *psi_collector_set_policy(struct psi_collector *c, struct psi_policy *p);

/* psi_collector_poll takes at most max records from a queue. Returns how many it took. */
uint32_t psi_collector_poll(struct psi_collector *c, struct psi_handoff *q, uint32_t max);

/* psi_collector_tick lets the population's time pass where no flow ends: some times a second. */
void psi_collector_tick(struct psi_collector *c, uint64_t now_ns);

/* psi_collector_flush judges what the population has pending, at the end of a capture or of the engine; findings go to the
 * sink. */
void psi_collector_flush(struct psi_collector *c);

/* psi_collector_stats_event makes a stats event of summed counters (PSI_STAT_CNT values) at a time and gives it to
 * the sink. */
void psi_collector_stats_event(
	struct psi_collector *c, const uint64_t *sum, uint32_t flows_alive, uint64_t now_ns);

/* psi_collector_ledger: the same with rates and workers. What is NULL or 0 is left out. */
struct psi_collector_worker {
	uint16_t id, lcore;
	const uint64_t *sum, *before; /* PSI_STAT_CNT values: now, and at the event before */
	uint64_t flows_alive;
	uint64_t queue_len, queue_max; /* bytes in its queue to the collector */
};
struct psi_collector_ledger {
	const uint64_t *sum, *before;
	double interval_s; /* since the event before */
	uint64_t flows_alive, now_ns;
	const struct psi_collector_worker *worker;
	uint32_t worker_cnt;
};
void psi_collector_ledger(struct psi_collector *c, const struct psi_collector_ledger *l);

/* psi_collector_stats: its own counters; any thread may read them. */
struct psi_stats *psi_collector_stats(struct psi_collector *c);

#endif
