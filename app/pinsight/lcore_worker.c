/* SPDX-License-Identifier: BSD-3-Clause */
/* A worker's turns: packets from its queue of every port, and from other workers; then, when the engine stops, what is
 * left, and the end of its flows. One clock read a turn. */
#include "engine.h"

#include <errno.h>
#include <rte_pause.h>
#include <stdlib.h>

#define BURST PSI_WORKER_BURST

/* At the end no more packets are taken than ports could hold back, or traffic would keep us for ever. */
#define LAST_PACKETS 65536

/* The queue to the collector is full. On the same loop the collector takes its turn; else a packet does not wait for
 * it, but the end does, for then there is time. */
static bool
on_full(void *ctx)
{
	struct engine_worker *w = ctx;

	if (w->with_collector)
		return collector_drain(&w->e->collector, w->id) > 0;
	if (!atomic_load_explicit(&w->e->stop, memory_order_relaxed) ||
		atomic_load_explicit(&w->e->collector.done, memory_order_acquire))
		return false;
	rte_pause();
	return true;
}

static uint64_t
power_of_two(uint64_t n)
{
	uint64_t p = 65536;

	while (p < n)
		p *= 2;
	return p;
}

/* On the worker's own core, so that its memory is near to it. */
int
worker_open(struct engine_worker *w, struct psi_err *err)
{
	const struct psi_config *cfg = generation_of(w->e)->cfg;
	uint64_t bytes = power_of_two(cfg->collector.queue);
	struct psi_worker_config wc;

	sizes_worker(w->e, cfg, w->id, &wc);
	w->queue_mem = aligned_alloc(128, bytes);
	if (w->e->worker_cnt > 1)
		w->steer_out = calloc((size_t)w->e->worker_cnt * BURST, sizeof(*w->steer_out));
	if (!w->queue_mem || (w->e->worker_cnt > 1 && !w->steer_out))
		return psi_err_set(err, -ENOMEM, "no memory for the queue of worker %u", w->id);
	psi_handoff_init(&w->queue, w->queue_mem, bytes);
	w->w = psi_worker_open(&wc, &w->queue, on_full, w, err);
	if (!w->w)
		return psi_err_wrap(err, -ENOMEM, "worker %u", w->id);
	w->stats = psi_worker_stats(w->w);
	return 0;
}

void
worker_close(struct engine_worker *w)
{
	psi_worker_close(w->w);
	free(w->queue_mem);
	free(w->steer_out);
	w->w = NULL;
	w->queue_mem = NULL;
	w->steer_out = NULL;
}

static void
work_on(struct engine_worker *w, struct rte_mbuf **m, uint16_t n, uint64_t now)
{
	uint64_t ts[BURST];
	uint32_t wire[BURST];

	/* Who came first matters to the verdict: packets of one turn are 1 ns apart. */
	now = PSI_MAX(now, w->last_ns + 1);
	w->last_ns = now + n;
	for (uint16_t i = 0; i < n; i++) {
		ts[i] = now + i;
		wire[i] = m[i]->pkt_len;
	}
	psi_worker_burst(w->w, PSI_LINK_ETHERNET, m, ts, wire, n);
}

/* From the ports: how many packets there were. */
static unsigned int
receive(struct engine_worker *w, uint64_t now)
{
	bool steering = atomic_load_explicit(&w->e->steering, memory_order_relaxed);
	struct rte_mbuf *m[BURST];
	unsigned int sum = 0;

	for (unsigned int i = 0; i < w->rx_cnt; i++) {
		uint16_t n = psi_nic_rx(w->rx[i].nic, w->rx[i].queue, m, BURST, w->stats);

		sum += n;
		w->burst_full |= n == BURST;
		if (n && steering)
			n = steer_split(w, m, n);
		else if (n && psi_unlikely(w->rss_left))
			rss_watch(w, m, n);
		if (n)
			work_on(w, m, n, now);
	}
	return sum;
}

/* From the other workers. */
static unsigned int
take_over(struct engine_worker *w, uint64_t now)
{
	struct rte_mbuf *m[BURST];
	unsigned int sum = 0;

	for (unsigned int from = 0; w->e->steer && from < w->e->worker_cnt; from++) {
		uint16_t n = steer_take(w, from, m);

		sum += n;
		w->burst_full |= n == BURST;
		if (n)
			work_on(w, m, n, now);
	}
	return sum;
}

/* Its counters of this instant, in their place among its records. False: the queue has no room now. */
static bool
send_mark(struct engine_worker *w, uint64_t number)
{
	uint32_t len = sizeof(struct psi_handoff_mark) + PSI_STAT_CNT * sizeof(uint64_t);
	struct psi_handoff_mark *m = psi_handoff_reserve(&w->queue, len);

	if (!m)
		return false;
	memset(m, 0, len);
	m->number = number;
	m->flows_alive = psi_worker_alive(w->w);
	psi_stats_sum(w->stats, m->sum);
	psi_handoff_commit(&w->queue, PSI_HANDOFF_MARK, len);
	return true;
}

static bool
all_received(const struct engine *e)
{
	for (unsigned int i = 0; i < e->worker_cnt; i++)
		if (atomic_load_explicit(&e->worker[i].state, memory_order_acquire) == WORKER_RUNS)
			return false;
	return true;
}

/* The last packets of the ports; those of other workers as long as any of them still receives; then the flows end. */
static bool
stop_turn(struct engine_worker *w, uint64_t now)
{
	uint32_t state = atomic_load_explicit(&w->state, memory_order_relaxed);

	if (state == WORKER_RUNS) {
		while (psi_worker_pressed(w->w)) /* no more come than are taken below */
			psi_worker_pressure(w->w, 0, 1);
		for (unsigned int left = LAST_PACKETS, n; left > 0; left -= PSI_MIN(left, n)) {
			n = receive(w, now);
			if (!n)
				break;
			take_over(w, now);
		}
		atomic_store_explicit(&w->state, WORKER_RECEIVED, memory_order_release);
		return true;
	}
	if (take_over(w, now) || !all_received(w->e) || steer_pending(w))
		return false; /* nothing but waiting: the others' turn */
	psi_worker_stop(w->w);
	atomic_store_explicit(&w->state, WORKER_DONE, memory_order_release);
	return true;
}

/* Time on packets is what passes from the start of a turn that had some to the start of the next. */
static void
account(struct engine_worker *w, uint64_t now)
{
	if (w->turn_busy)
		w->busy_ns += now - w->turn_ns;
	if (w->busy_ns >= 1000000) {
		psi_stat_add(w->stats, PSI_STAT_busy_us, w->busy_ns / 1000);
		w->busy_ns %= 1000;
	}
	w->turn_ns = now;
}

bool
worker_turn(struct engine_worker *w)
{
	uint64_t now = clock_ns(&w->e->clock), mark;
	bool busy;

	if (psi_unlikely(atomic_load_explicit(&w->state, memory_order_relaxed) == WORKER_DONE))
		return false;
	account(w, now);
	if (psi_unlikely(atomic_load_explicit(&w->e->stop, memory_order_relaxed)))
		return stop_turn(w, now);
	w->burst_full = false;
	busy = receive(w, now) + take_over(w, now) > 0;
	if (psi_unlikely(w->burst_full || w->full_turns || psi_worker_pressed(w->w)))
		pressure_turn(w, w->burst_full, now);
	if (!busy)
		psi_worker_idle(w->w, now);
	mark = atomic_load_explicit(&w->e->mark, memory_order_relaxed);
	if (psi_unlikely(mark != w->mark) && send_mark(w, mark))
		w->mark = mark;
	w->turn_busy = busy;
	return busy;
}
