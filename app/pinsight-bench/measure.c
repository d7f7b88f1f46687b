/* SPDX-License-Identifier: BSD-3-Clause */
/* One stage after the other, each in turns with the baseline: so that whatever else the machine does meanwhile hits both.
 * What counts is the CPU time of the thread, in ticks of the time-stamp counter; the share of time that others had the
 * CPU is told. */
#include "bench_pvt.h"

#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_pause.h>

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum task { TASK_OPEN, TASK_BASE, TASK_STAGE };

/* A worker's core with its own traffic. */
struct lane {
	struct rte_mempool *pool;
	unsigned int pool_size;
	struct nic base_nic, nic;
	struct engine base, engine;
	struct tally tally;
	uint64_t packets; /* of a repetition, or to warm up */
	const struct options *o;
	enum task task;
	long rss_kb;
	bool failed;
};

static struct lane *lanes;
static _Atomic uint32_t waiting, round_no;

/* All lanes work at the same time, so that they share caches and memory as they would. Release and acquire pair on
 * round_no. */
static void
barrier(uint32_t cnt)
{
	uint32_t now = atomic_load_explicit(&round_no, memory_order_acquire), tries = 0;

	if (cnt < 2)
		return;
	if (atomic_fetch_add_explicit(&waiting, 1, memory_order_acq_rel) + 1 == cnt) {
		atomic_store_explicit(&waiting, 0, memory_order_relaxed);
		atomic_store_explicit(&round_no, now + 1, memory_order_release);
		return;
	}
	while (atomic_load_explicit(&round_no, memory_order_acquire) == now) {
		if (++tries % 1024 == 0)
			sched_yield();
		rte_pause();
	}
}

/* Everything that lies in the queue, through the engine. */
static void
process(struct engine *e, struct nic *n, uint16_t burst)
{
	struct rte_mbuf *m[PSI_WORKER_BURST];
	uint64_t ts[PSI_WORKER_BURST];
	uint32_t wire[PSI_WORKER_BURST];
	uint16_t cnt;

	while ((cnt = nic_rx(n, m, ts, wire, burst)) > 0)
		engine_burst(e, m, ts, wire, cnt);
}

static void
timed(struct lane *l, struct engine *e, struct nic *n, struct counters *c, bool count)
{
	bool alone = e->stage == ST_ALONE;
	uint64_t tsc, cpu;

	if (alone)
		process(e, n, (uint16_t)l->o->burst);
	if (count)
		counters_run(c, true);
	cpu = cpu_ns();
	tsc = rte_rdtsc();
	if (alone)
		engine_drain(e);
	else
		process(e, n, (uint16_t)l->o->burst);
	l->tally.tsc += rte_rdtsc() - tsc;
	l->tally.cpu_ns += cpu_ns() - cpu;
	if (count)
		counters_run(c, false);
}

static void
repetition(struct lane *l, struct engine *e, struct nic *n)
{
	struct counters c;
	uint64_t events = e->events, conns = psi_gen_begun(n->gen), bytes = n->bytes;
	bool count;

	memset(&l->tally, 0, sizeof(l->tally));
	counters_open(&c);
	count = counters_any(&c);
	while (l->tally.packets < l->packets) {
		uint32_t cnt = nic_fill(n);

		if (!cnt)
			l->failed = true;
		barrier(l->o->workers);
		if (cnt)
			timed(l, e, n, &c, count);
		l->tally.packets += cnt ? cnt : l->packets;
	}
	counters_close(&c);
	memcpy(l->tally.v, c.v, sizeof(c.v));
	l->tally.bytes = n->bytes - bytes;
	l->tally.conns = psi_gen_begun(n->gen) - conns;
	l->tally.events = e->events - events;
}

static void
open_flows(struct lane *l)
{
	long before = rss_kb();

	while (psi_gen_opening(l->nic.gen)) {
		if (!nic_fill(&l->nic))
			break;
		process(&l->engine, &l->nic, (uint16_t)l->o->burst);
		if (l->engine.stage == ST_ALONE)
			engine_drain(&l->engine);
	}
	l->rss_kb = rss_kb() - before;
}

/* Flows that were not taken for what they are would make fine figures. The queue that holds the end of the last
 * handshake goes on with packets of any flow, and one that the table had no room for is then taken for TLS once more. */
static int
check_opened(const struct lane *l, struct psi_err *err)
{
	const struct psi_stats *s;
	uint64_t tls, evicted;

	if (!l->engine.worker || l->o->scenario != SC_ESTABLISHED)
		return 0;
	s = psi_worker_stats(l->engine.worker);
	tls = psi_stat_get(s, PSI_STAT_flow_tls);
	evicted = psi_stat_get(s, PSI_STAT_flow_closed_evicted);
	return tls >= l->o->gen.flows && tls <= l->o->gen.flows + evicted
		       ? 0
		       : psi_err_set(err, -EIO, "%llu of %u flows were taken for TLS",
				 (unsigned long long)tls, l->o->gen.flows);
}

static int
lane_main(void *arg)
{
	struct lane *l = arg;

	switch (l->task) {
	case TASK_OPEN: open_flows(l); break;
	case TASK_BASE: repetition(l, &l->base, &l->base_nic); break;
	case TASK_STAGE: repetition(l, &l->engine, &l->nic); break;
	}
	return 0;
}

/* The same task on all lanes; lane 0 is this thread's. */
static bool
run_all(const struct options *o, enum task task, uint64_t packets)
{
	bool ok = true;

	for (uint32_t i = 0; i < o->workers; i++) {
		lanes[i].task = task;
		lanes[i].packets = packets;
	}
	for (uint32_t i = 1; i < o->workers; i++)
		rte_eal_remote_launch(lane_main, &lanes[i], i);
	lane_main(&lanes[0]);
	rte_eal_mp_wait_lcore();
	for (uint32_t i = 0; i < o->workers; i++)
		ok = ok && !lanes[i].failed;
	return ok;
}

/* ---- one stage ---- */

static int
lane_open(
	struct lane *l, const struct options *o, enum stage stage, uint32_t id, struct psi_err *err)
{
	struct psi_gen_config cfg = o->gen, base;
	char name[32];

	l->o = o;
	l->failed = false;
	snprintf(name, sizeof(name), "lane%u.%d", id, (int)stage);
	/* what is in the queues, and what a worker may hold: see psi_worker_defaults */
	l->pool_size = 16383 + 2 * o->ring;
	l->pool = packet_pool(name, l->pool_size, err);
	if (!l->pool)
		return -ENOMEM;
	cfg.seed += id;
	base = cfg;
	if (o->scenario == SC_ESTABLISHED) /* the same frames, of flows that nobody opened */
		base.open = PSI_GEN_OPEN_NONE;
	if (nic_open(&l->base_nic, &base, o->ring, l->pool, err) != 0 ||
		nic_open(&l->nic, stage <= ST_DECODE ? &base : &cfg, o->ring, l->pool, err) != 0)
		return -ENOMEM;
	if (engine_open(&l->base, ST_RECEIVE, o, id, err) != 0 ||
		engine_open(&l->engine, stage, o, id, err) != 0)
		return -ENOMEM;
	return 0;
}

static int
lane_close(struct lane *l, struct psi_err *err)
{
	bool ok = engine_close(&l->engine, err) & engine_close(&l->base, err);

	nic_close(&l->base_nic);
	nic_close(&l->nic);
	if (ok && rte_mempool_avail_count(l->pool) != l->pool_size)
		ok = psi_err_set(err, 0, "%u packet buffers were not given back",
			l->pool_size - rte_mempool_avail_count(l->pool));
	rte_mempool_free(l->pool);
	return ok ? 0 : -EIO;
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double
cycles_of(const struct tally *t)
{
	return t->packets ? (double)t->cpu_ns * machine.tsc_ghz / (double)t->packets : 0;
}

static void
add_repetition(struct result *r, const struct options *o)
{
	double cycles = 0;

	for (uint32_t i = 0; i < o->workers; i++) {
		const struct tally *t = &lanes[i].tally;

		cycles += cycles_of(t) / o->workers;
		r->sum.packets += t->packets;
		r->sum.bytes += t->bytes;
		r->sum.conns += t->conns;
		r->sum.events += t->events;
		r->sum.tsc += t->tsc;
		r->sum.cpu_ns += t->cpu_ns;
		for (int c = 0; c < CT_CNT; c++)
			r->sum.v[c] += t->v[c];
	}
	if (r->reps < REPS_MAX)
		r->cycles[r->reps++] = cycles;
}

static void
sum_up(struct result *r, const struct options *o)
{
	double sorted[REPS_MAX];
	double wall = (double)r->sum.tsc / machine.tsc_ghz;

	memcpy(sorted, r->cycles, sizeof(sorted));
	qsort(sorted, r->reps, sizeof(sorted[0]), by_value);
	r->lowest = sorted[0];
	r->highest = sorted[r->reps - 1];
	r->median = r->reps & 1 ? sorted[r->reps / 2]
				: (sorted[r->reps / 2 - 1] + sorted[r->reps / 2]) / 2;
	r->taken = wall > (double)r->sum.cpu_ns ? 1 - (double)r->sum.cpu_ns / wall : 0;
	r->mpps = r->median > 0 ? o->workers * machine.tsc_ghz * 1e3 / r->median : 0;
}

static int
stage_run(const struct options *o, struct result *base, struct result *r, struct psi_err *err)
{
	uint32_t i;
	int rc = 0;

	for (i = 0; i < o->workers && rc == 0; i++)
		rc = lane_open(&lanes[i], o, r->stage, i, err);
	if (rc != 0)
		return rc;
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K%s ...", stage_name(r->stage));
	if (!run_all(o, TASK_OPEN, 0))
		return psi_err_set(err, -EIO, "the traffic ended");
	for (i = 0; i < o->workers; i++) {
		r->rss_kb += lanes[i].rss_kb;
		if (check_opened(&lanes[i], err) != 0)
			return -EIO;
	}
	r->flow_bytes = lanes[0].engine.worker || lanes[0].engine.flows
				? (double)engine_flow_bytes(&lanes[0].engine) / o->gen.flows
				: 0;
	for (uint32_t k = 0; k < o->workers; k++)
		lanes[k].engine.pressed = r->stage == ST_SHED;
	/* uncounted: until connections have begun to end, too, which is told of them two seconds later */
	run_all(o, TASK_STAGE, PSI_MAX(o->packets, (uint64_t)(o->warm * o->gen.pps)));
	for (uint32_t rep = 0; rep < o->reps; rep++) {
		if (!run_all(o, TASK_BASE, o->packets))
			return psi_err_set(err, -EIO, "the traffic ended");
		add_repetition(base, o);
		if (!run_all(o, TASK_STAGE, o->packets))
			return psi_err_set(err, -EIO, "the traffic ended");
		add_repetition(r, o);
	}
	if (isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
	for (i = 0; i < o->workers; i++)
		if (lane_close(&lanes[i], err) != 0)
			rc = -EIO;
	return rc == 0 ? 0 : psi_err_wrap(err, rc, "stage %s", stage_name(r->stage));
}

int
measure(const struct options *o, struct result *res, uint32_t *cnt, struct psi_err *err)
{
	int rc = 0;

	memset(res, 0, ST_CNT * sizeof(*res));
	*cnt = 1;
	lanes = calloc(o->workers, sizeof(*lanes));
	if (!lanes)
		return psi_err_set(err, -ENOMEM, "no memory");
	for (int s = ST_DECODE; s < ST_CNT && rc == 0; s++) {
		if (!(o->stages & 1u << s))
			continue;
		res[*cnt].stage = (enum stage)s;
		rc = stage_run(o, &res[0], &res[*cnt], err);
		++*cnt;
	}
	for (uint32_t i = 0; i < *cnt && rc == 0; i++)
		sum_up(&res[i], o);
	free(lanes);
	return rc;
}
