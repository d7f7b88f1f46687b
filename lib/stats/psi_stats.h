/* SPDX-License-Identifier: BSD-3-Clause */
/* psi_stats.h: counters, one block a thread, every one a row of counters.def.
 *
 * Thread: a block has one writer. psi_stat_add is a relaxed load and store, no lock prefix; any other thread may
 * read with psi_stats_sum, which sees each counter whole but no two at the same instant.
 * Out of scope: rates, export; see export. */
#ifndef PSI_STATS_H
#define PSI_STATS_H

#include "psi_base.h"

#include <stdatomic.h>

enum psi_stat {
#define COUNTER(sym, kind, unit, text) PSI_STAT_##sym,
#include "counters.def"
#undef COUNTER
	PSI_STAT_CNT
};

/* What a counter is in the ledger. The sides of each equation are sums over counters of a kind:
 * PKT_IN = PKT_OUT, FLOW_IN = FLOW_OUT (+ flows alive), REC_IN = REC_OUT. INFO counters stand in no equation. */
enum psi_stat_kind {
	PSI_STAT_PKT_IN,
	PSI_STAT_PKT_OUT,
	PSI_STAT_FLOW_IN,
	PSI_STAT_FLOW_OUT,
	PSI_STAT_REC_IN,
	PSI_STAT_REC_OUT,
	PSI_STAT_INFO,
};

/* Aligned so that no two blocks share a pair of cache lines. The owner gives the memory, zeroed. */
struct psi_stats {
	_Atomic uint64_t v[PSI_STAT_CNT];
} __attribute__((aligned(128)));

/* Writer only. Hot. */
static inline void
psi_stat_add(struct psi_stats *s, enum psi_stat c, uint64_t n)
{
	uint64_t v = atomic_load_explicit(&s->v[c], memory_order_relaxed);

	atomic_store_explicit(&s->v[c], v + n, memory_order_relaxed);
}

static inline void
psi_stat_inc(struct psi_stats *s, enum psi_stat c)
{
	psi_stat_add(s, c, 1);
}

/* Any thread. */
static inline uint64_t
psi_stat_get(const struct psi_stats *s, enum psi_stat c)
{
	return atomic_load_explicit(&s->v[c], memory_order_relaxed);
}

/* psi_stats_sum adds block s to out (PSI_STAT_CNT values). Any thread. */
void psi_stats_sum(const struct psi_stats *s, uint64_t *out);

/* The row of a counter. Static storage, never NULL for c < PSI_STAT_CNT. */
const char *psi_stat_name(enum psi_stat c);
const char *psi_stat_unit(enum psi_stat c);
const char *psi_stat_text(enum psi_stat c);
enum psi_stat_kind psi_stat_kind_of(enum psi_stat c);

/* psi_stats_balance: in minus out of one equation, given summed values; flows_alive counts as out for FLOW.
 * 0 when it balances. in_kind is PKT_IN, FLOW_IN or REC_IN. */
int64_t psi_stats_balance(const uint64_t *sum, enum psi_stat_kind in_kind, uint64_t flows_alive);

#endif
