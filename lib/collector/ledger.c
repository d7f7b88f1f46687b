/* SPDX-License-Identifier: BSD-3-Clause */
/* The ledger as an event. */
#include "collector_pvt.h"

static uint64_t
rate(uint64_t now, uint64_t before, double s)
{
	return now > before && s > 0 ? (uint64_t)((double)(now - before) / s + 0.5) : 0;
}

/* How much is told of a worker. What is zero is left out anyway: a dozen or two workers have room for all in an event. */
enum detail { ALL, LOAD_AND_LOSSES, PLACE, DETAIL_CNT };

/* Whether somebody would look for this counter first: what a worker takes, and what it drops. */
static bool
told_of(enum psi_stat s, enum detail d)
{
	return d == ALL ||
	       (d == LOAD_AND_LOSSES && (s == PSI_STAT_pkt_rx || s == PSI_STAT_pkt_rx_bytes ||
						strstr(psi_stat_name(s), "drop")));
}

static void
put_worker(struct psi_event_w *w, const struct psi_collector_ledger *l,
	const struct psi_collector_worker *k, enum detail d)
{
	psi_event_open(w, PSI_F_STATS_WORKERS);
	psi_event_put_u64(w, PSI_F_WORKER_ID, k->id);
	psi_event_put_u64(w, PSI_F_WORKER_LCORE, k->lcore);
	psi_event_put_u64(w, PSI_F_WORKER_FLOWS, k->flows_alive);
	psi_event_put_u64(w, PSI_F_WORKER_QUEUE, k->queue_len);
	psi_event_put_u64(w, PSI_F_WORKER_QUEUE_MAX, k->queue_max);
	if (l->interval_s > 0 && k->before)
		psi_event_put_f64(w, PSI_F_WORKER_LOAD,
			(double)(k->sum[PSI_STAT_busy_us] - k->before[PSI_STAT_busy_us]) / 1e6 /
				l->interval_s);
	if (d != ALL)
		psi_event_put_u64(w, PSI_F_WORKER_ABRIDGED, 1);
	for (enum psi_stat s = 0; s < PSI_STAT_CNT; s++)
		if (k->sum[s] && told_of(s, d))
			psi_event_put_count(w, PSI_F_WORKER_COUNTERS, psi_stat_name(s), k->sum[s]);
	for (enum psi_stat s = 0; k->before && s < PSI_STAT_CNT; s++)
		if (k->sum[s] != k->before[s] && told_of(s, d))
			psi_event_put_count(w, PSI_F_WORKER_RATES, psi_stat_name(s),
				rate(k->sum[s], k->before[s], l->interval_s));
	psi_event_close(w);
}

/* Each worker gets its share of the room that is left, and as much detail as fits. */
static void
put_workers(struct psi_event_w *w, const struct psi_collector_ledger *l)
{
	for (uint32_t i = 0; i < l->worker_cnt; i++) {
		const struct psi_event_w before = *w;
		uint32_t share = (w->cap - w->at) / (l->worker_cnt - i);

		for (enum detail d = ALL; d < DETAIL_CNT; d++) {
			*w = before;
			put_worker(w, l, &l->worker[i], d);
			if (w->cut == before.cut && w->at - before.at <= share)
				break;
		}
	}
}

void
psi_collector_ledger(struct psi_collector *c, const struct psi_collector_ledger *l)
{
	struct psi_event_w w;

	psi_event_begin(&w, c->buf, PSI_EVENT_MAX, PSI_EVENT_STATS);
	if (l->interval_s > 0)
		psi_event_put_f64(&w, PSI_F_STATS_INTERVAL, l->interval_s);
	psi_event_put_u64(&w, PSI_F_STATS_FLOWS_ALIVE, l->flows_alive);
	psi_event_put_u64(
		&w, PSI_F_STATS_LOST_PKTS, (uint64_t)psi_stats_balance(l->sum, PSI_STAT_PKT_IN, 0));
	psi_event_put_u64(&w, PSI_F_STATS_LOST_FLOWS,
		(uint64_t)psi_stats_balance(l->sum, PSI_STAT_FLOW_IN, l->flows_alive));
	psi_event_put_u64(
		&w, PSI_F_STATS_LOST_RECS, (uint64_t)psi_stats_balance(l->sum, PSI_STAT_REC_IN, 0));
	for (enum psi_stat s = 0; s < PSI_STAT_CNT; s++)
		psi_event_put_count(&w, PSI_F_STATS_COUNTERS, psi_stat_name(s), l->sum[s]);
	for (enum psi_stat s = 0; l->before && l->interval_s > 0 && s < PSI_STAT_CNT; s++)
		psi_event_put_count(&w, PSI_F_STATS_RATES, psi_stat_name(s),
			rate(l->sum[s], l->before[s], l->interval_s));
	put_workers(&w, l);
	psi_stat_inc(&c->stats, PSI_STAT_event_out);
	c->cfg.sink(c->cfg.ctx, psi_event_end(&w, ++c->seq, l->now_ns));
}

void
psi_collector_stats_event(
	struct psi_collector *c, const uint64_t *sum, uint32_t flows_alive, uint64_t now_ns)
{
	struct psi_collector_ledger l = {.sum = sum, .flows_alive = flows_alive, .now_ns = now_ns};

	psi_collector_ledger(c, &l);
}
