/* SPDX-License-Identifier: BSD-3-Clause */
/* The collector's turns: records of all workers in, events into the ring, a heartbeat, a stats event now and then. */
#include "engine.h"

#include <errno.h>
#include <stdlib.h>

#define RECORDS_A_TURN 256 /* of one worker, before the next one's */
#define BEAT_NS	       100000000ull
#define MARKS_WAIT_NS  1000000000ull /* a worker that sends no mark for so long is told as it is */

static void
on_event(void *ctx, const struct psi_event *e)
{
	struct engine_collector *k = ctx;
	struct psi_event_r fields;
	struct psi_value v;

	if (e->type == PSI_EVENT_TLS_FLOW) {
		psi_event_fields(e, &fields);
		if (psi_event_find(&fields, PSI_F_CLASS, &v) && psi_value_u64(&v) < PSI_CLASS_CNT)
			k->verdicts[psi_value_u64(&v)]++;
	}
	psi_ring_write(k->ring, e);
}

static uint64_t
taken_now(const struct engine_collector *k)
{
	return psi_stat_get(psi_collector_stats(k->c), PSI_STAT_rec_taken);
}

/* A worker's counters came by: all that it had made until then has been taken, and that is what is told of it. */
static void
on_mark(void *ctx, const struct psi_handoff_mark *m)
{
	struct engine_collector *k = ctx;
	struct snapshot *s = &k->now[k->polling];

	if (m->number != k->mark || s->came)
		return;
	memcpy(s->sum, m->sum, sizeof(s->sum));
	s->flows_alive = m->flows_alive;
	s->sum[PSI_STAT_rec_taken] = k->taken[k->polling] + taken_now(k) - k->poll_base;
	s->came = true;
	k->marks_missing--;
}

static int
open_keys(struct engine_collector *k, const struct psi_config *cfg, struct psi_err *err)
{
	struct psi_pins_store_config kc = {.path = cfg->pins_learn.store,
		.hosts_max = cfg->pins_learn.hosts_max,
		.mode = PSI_PINS_STORE_WRITE};

	if (!cfg->pins_learn.enabled)
		return 0;
	k->keys = psi_pins_store_open(&kc, err);
	return k->keys ? 0 : psi_err_wrap(err, -EINVAL, "pins_learn.store");
}

/* What was learnt goes to disk as often as stats events are made: one append, bounded by what was new. */
static void
save_keys(struct engine_collector *k)
{
	struct psi_err err = {""};

	if (k->keys && psi_pins_flush(k->keys, &err) != 0)
		log_error("pins", "%s; it will be tried again", err.text);
}

int
collector_open(struct engine_collector *k, struct psi_err *err)
{
	struct engine *e = k->e;
	const struct generation *g = generation_of(e);
	struct psi_collector_config cc;
	struct psi_ring_config rc = {.path = g->cfg->ring.path,
		.size = g->cfg->ring.size,
		.mode = g->cfg->ring.mode,
		.generation = clock_ns(&e->clock)};
	int rc_ring;

	rc.now_ns = rc.generation;
	psi_collector_defaults(&cc);
	cc.chain_max = g->cfg->certificates.max;
	cc.join_max = g->cfg->collector.joins;
	cc.handshakes = g->cfg->events.handshakes;
	cc.population = g->policy->population;
	cc.population.seed = rc.generation;
	cc.population.at_once = true;
	cc.policy = g->policy;
	cc.sink = on_event;
	cc.mark = on_mark;
	cc.ctx = k;
	k->policy = g->policy;
	k->now = calloc(e->worker_cnt + 1, sizeof(*k->now));
	k->before = calloc(e->worker_cnt + 1, sizeof(*k->before));
	if (!k->now || !k->before)
		return psi_err_set(err, -ENOMEM, "no memory for the collector");
	rc_ring = psi_ring_create(&k->ring, &rc, err);
	if (rc_ring != 0)
		return psi_err_wrap(err, rc_ring, "ring");
	if (open_keys(k, g->cfg, err) != 0)
		return -EINVAL;
	cc.keys = k->keys;
	k->c = psi_collector_open(&cc, err);
	k->stats_ns = k->beat_ns = rc.now_ns;
	return k->c ? 0 : -ENOMEM;
}

void
collector_close(struct engine_collector *k)
{
	psi_collector_close(k->c);
	psi_pins_store_close(k->keys);
	psi_ring_close(k->ring);
	free(k->now);
	free(k->before);
	k->c = NULL;
	k->keys = NULL;
	k->ring = NULL;
	k->now = k->before = NULL;
}

/* Before any record is taken in a turn of the loop: what was taken with before may be freed since the last turn, and a
 * worker on the same loop may drain its queue before the collector's own turn comes. */
static void
heed_policy(struct engine_collector *k)
{
	const struct generation *g = generation_of(k->e);

	if (psi_unlikely(g->policy != k->policy)) {
		psi_collector_set_policy(k->c, g->policy);
		k->policy = g->policy;
	}
}

static uint32_t
poll_worker(struct engine_collector *k, unsigned int i, uint32_t max)
{
	uint32_t n;

	heed_policy(k);
	k->polling = i;
	k->poll_base = taken_now(k);
	n = psi_collector_poll(k->c, &k->e->worker[i].queue, max);
	k->taken[i] += taken_now(k) - k->poll_base;
	return n;
}

uint32_t
collector_drain(struct engine_collector *k, unsigned int worker)
{
	return poll_worker(k, worker, UINT32_MAX);
}

/* ---- stats events ---- */

static uint64_t
fill_of(const struct psi_handoff *q)
{
	uint64_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed),
		 head = atomic_load_explicit(&q->head, memory_order_relaxed);

	return tail > head ? tail - head : 0;
}

/* A worker of which no mark came: what its counters say, which need not balance to the last packet while it runs. */
static void
read_directly(struct engine_collector *k, unsigned int i)
{
	struct snapshot *s = &k->now[i];

	memset(s->sum, 0, sizeof(s->sum));
	psi_stats_sum(k->e->worker[i].stats, s->sum);
	s->sum[PSI_STAT_rec_taken] = k->taken[i];
	s->flows_alive = psi_worker_alive(k->e->worker[i].w);
}

static void
add_up(struct engine_collector *k)
{
	struct engine *e = k->e;
	struct snapshot *all = &k->now[e->worker_cnt];
	uint64_t own[PSI_STAT_CNT] = {0};

	memset(all, 0, sizeof(*all));
	psi_stats_sum(psi_collector_stats(k->c), own);
	own[PSI_STAT_rec_taken] = 0; /* stands with the workers */
	psi_stats_sum(&e->stats, own);
	memcpy(all->sum, own, sizeof(own));
	for (unsigned int i = 0; i < e->worker_cnt; i++) {
		struct snapshot *s = &k->now[i];

		if (!s->came)
			read_directly(k, i);
		s->queue_len = fill_of(&e->worker[i].queue);
		all->flows_alive += s->flows_alive;
		for (enum psi_stat c = 0; c < PSI_STAT_CNT; c++)
			all->sum[c] += s->sum[c];
	}
}

static void
stats_event(struct engine_collector *k, uint64_t now)
{
	struct engine *e = k->e;
	struct psi_collector_worker w[ENGINE_WORKER_MAX];
	struct psi_collector_ledger l = {.worker = w, .worker_cnt = e->worker_cnt, .now_ns = now};
	struct snapshot *old = k->before;

	add_up(k);
	for (unsigned int i = 0; i < e->worker_cnt; i++)
		w[i] = (struct psi_collector_worker){.id = (uint16_t)i,
			.lcore = (uint16_t)e->worker[i].cpu,
			.sum = k->now[i].sum,
			.before = k->before[i].sum,
			.flows_alive = k->now[i].flows_alive,
			.queue_len = k->now[i].queue_len,
			.queue_max = e->worker[i].queue.size};
	l.sum = k->now[e->worker_cnt].sum;
	l.before = k->before[e->worker_cnt].sum;
	l.flows_alive = k->now[e->worker_cnt].flows_alive;
	l.interval_s = (double)(now - k->stats_ns) / 1e9;
	psi_collector_ledger(k->c, &l);
	k->before = k->now;
	k->now = old;
	k->stats_ns = now;
}

/* Asks the workers for their counters, and makes the event when all have answered. */
static void
stats_turn(struct engine_collector *k, uint64_t interval_ns, uint64_t now)
{
	if (k->mark_ns) {
		if (k->marks_missing && now - k->mark_ns < MARKS_WAIT_NS)
			return;
		stats_event(k, now);
		save_keys(k);
		k->mark_ns = 0;
	} else if (now - k->stats_ns >= interval_ns) {
		for (unsigned int i = 0; i < k->e->worker_cnt; i++)
			k->now[i].came = false;
		k->marks_missing = k->e->worker_cnt;
		k->mark_ns = now;
		atomic_store_explicit(&k->e->mark, ++k->mark, memory_order_relaxed);
	}
}

/* ---- a turn ---- */

static bool
workers_done(const struct engine *e)
{
	for (unsigned int i = 0; i < e->worker_cnt; i++)
		if (atomic_load_explicit(&e->worker[i].state, memory_order_acquire) != WORKER_DONE)
			return false;
	return true;
}

static void
finish(struct engine_collector *k, uint64_t now)
{
	for (unsigned int i = 0; i < k->e->worker_cnt; i++) {
		collector_drain(k, i);
		k->now[i].came = false;
	}
	psi_collector_flush(k->c);
	stats_event(k, now);
	atomic_store_explicit(&k->done, true, memory_order_release);
}

bool
collector_turn(struct engine_collector *k)
{
	const struct generation *g = generation_of(k->e);
	uint64_t now = clock_ns(&k->e->clock);
	bool done = workers_done(
		k->e); /* looked at before the queues: what was made until then is seen */
	uint32_t n = 0;

	if (atomic_load_explicit(&k->done, memory_order_relaxed))
		return false;
	for (unsigned int i = 0; i < k->e->worker_cnt; i++)
		n += poll_worker(k, i, RECORDS_A_TURN);
	if (now - k->beat_ns >= BEAT_NS) {
		psi_ring_beat(k->ring, now);
		psi_collector_tick(k->c, now);
		k->beat_ns = now;
	}
	stats_turn(k, g->cfg->stats.interval_ns, now);
	if (psi_unlikely(done) && atomic_load_explicit(&k->e->counted, memory_order_acquire))
		finish(k, now);
	return n > 0;
}
