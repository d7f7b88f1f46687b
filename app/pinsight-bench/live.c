/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine at work in time: traffic comes at a rate into a queue, as from a network card; worker, collector and ring
 * take it from there. A packet that finds the queue full is lost, and counted by what it was.
 *
 * Latency is measured in real time: one core sends, another works. Overload takes a sender of several times the speed of
 * the engine, which no core is; there one core does both in turns, and time is the CPU time of the engine: it stands while
 * the packets are made that have come during its last bursts, and while the machine does something else.
 *
 * Latency is the time from a packet's place in the queue to the event that tells what it completed: a handshake event
 * names the last packet that it knows of, whose time stamp is when it was put into the queue. */
#include "bench_pvt.h"
#include "cable.h"

#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_pause.h>

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define BURSTS_A_TURN 4
#define TURN_MAX_NS \
	100000u /* a fifth is usual; what is longer the hypervisor took, which CPU time does not tell */
#define WARM_S	 2.5  /* a connection is told of two seconds after its end */
#define SETTLE_S 0.05 /* what a stretch leaves behind is over */

/* Written by the core that sends, read when it is done. */
struct sent {
	uint64_t offered[PSI_GEN_PART_CNT], lost[PSI_GEN_PART_CNT];
	uint64_t last_loss_ns, late_ns, begun;
};

struct live {
	const struct options *o;
	struct rte_mempool *pool;
	struct cable queue;
	struct psi_gen *gen;
	struct engine *engine;
	uint64_t tsc0, base_ns;
	double pps; /* 0: as fast as the queue takes them, without loss */
	uint64_t until_ns;
	struct sent sent;
	struct histogram hist;
	uint64_t told, whole;	 /* handshakes, those of them without a hole */
	uint64_t done, idle_tsc; /* idle: nothing in the queue */
	bool in_turns;		 /* time is turn_ns, and within a turn what has passed since tsc0 */
	uint64_t turn_ns, cut_ns;
	bool shed;	   /* the engine is told how full the queue is */
	uint32_t full_cnt; /* full bursts */
	_Atomic bool stop;
};

static uint64_t
now_ns(const struct live *l)
{
	uint64_t from = l->in_turns ? l->turn_ns : l->base_ns;

	return from + (uint64_t)((double)(rte_rdtsc() - l->tsc0) / machine.tsc_ghz);
}

/* ---- the core that sends ---- */

/* The frame is in its place in the queue, or aside while that is full; there it is lost, unless time does not matter. */
static void
put(struct live *l, const uint8_t *frame, const struct psi_gen_packet *p, uint64_t now)
{
	uint8_t *place;

	l->sent.offered[p->part]++;
	while (!(place = cable_place(&l->queue))) {
		if (l->pps > 0 || now >= l->until_ns) {
			l->sent.lost[p->part]++;
			l->sent.last_loss_ns = now;
			return;
		}
		rte_pause();
		now = now_ns(l);
	}
	if (place != frame)
		memcpy(place, frame, p->len);
	cable_send(&l->queue, p->len, now);
}

static int
sender(void *arg)
{
	struct live *l = arg;
	uint64_t start = now_ns(l), now = start, n = 0;
	uint8_t aside[PSI_GEN_FRAME_MAX];
	struct psi_gen_packet p;

	while (now < l->until_ns) {
		uint64_t due = l->pps > 0 ? start + (uint64_t)((double)n * 1e9 / l->pps) : 0;
		uint8_t *frame = cable_place(&l->queue);

		if (!frame)
			frame = aside;
		if (!psi_gen_next(l->gen, frame, &p))
			break;
		while ((now = now_ns(l)) < due)
			rte_pause();
		l->sent.late_ns = due ? PSI_MAX(l->sent.late_ns, now - due) : 0;
		put(l, frame, &p, now);
		n++;
	}
	atomic_store_explicit(&l->stop, true, memory_order_release);
	return 0;
}

/* ---- the core that works ---- */

static void
on_event(void *ctx, const struct psi_event *e)
{
	struct live *l = ctx;
	struct psi_event_r fields;
	struct psi_value v;

	if (e->type != PSI_EVENT_TLS_HANDSHAKE)
		return;
	psi_event_fields(e, &fields);
	if (!psi_event_find(&fields, PSI_F_FLOW_END, &v))
		return;
	l->told++;
	l->whole += !(psi_event_find(&fields, PSI_F_TCP_GAPS, &v) && psi_value_u64(&v));
	psi_event_find(&fields, PSI_F_FLOW_END, &v);
	hist_add(&l->hist, now_ns(l) - psi_value_u64(&v));
}

/* As the engine does between turns: app/pinsight/pressure.c. */
static void
look(struct live *l, bool full)
{
	struct psi_worker *w = l->engine->worker;

	if (!l->shed || (full && ++l->full_cnt % 4))
		return;
	if (full || psi_worker_pressed(w))
		psi_worker_pressure(w, cable_waiting(&l->queue), l->o->ring);
}

static void
work(struct live *l)
{
	struct rte_mbuf *m[PSI_WORKER_BURST];
	uint64_t ts[PSI_WORKER_BURST];
	uint32_t wire[PSI_WORKER_BURST];
	uint64_t waits = rte_rdtsc();
	bool last = false;

	for (;;) {
		uint16_t n = cable_rx(&l->queue, m, ts, wire, (uint16_t)l->o->burst);

		if (!n) {
			if (last)
				return;
			/* once more behind the flag: what was put before it was raised */
			last = atomic_load_explicit(&l->stop, memory_order_acquire);
			continue;
		}
		l->idle_tsc += rte_rdtsc() - waits;
		engine_burst(l->engine, m, ts, wire, n);
		l->done += n;
		look(l, n == l->o->burst);
		waits = rte_rdtsc();
	}
}

/* ---- both in turns ---- */

/* What has come until now. */
static void
arrive(struct live *l, uint64_t start, uint64_t *n)
{
	uint8_t aside[PSI_GEN_FRAME_MAX];
	struct psi_gen_packet p;

	for (;;) {
		uint64_t due =
			l->pps > 0 ? start + (uint64_t)((double)*n * 1e9 / l->pps) : l->turn_ns;
		uint8_t *frame = cable_place(&l->queue);

		if (due > l->turn_ns || due >= l->until_ns || (!frame && l->pps == 0))
			return;
		if (!frame)
			frame = aside;
		if (!psi_gen_next(l->gen, frame, &p))
			return;
		put(l, frame, &p, due);
		(*n)++;
	}
}

/* Some bursts at a time, as caches and predictors of a core that does nothing else would have it. */
static void
work_in_turns(struct live *l, uint64_t pause_ns)
{
	struct rte_mbuf *m[PSI_WORKER_BURST];
	uint64_t ts[PSI_WORKER_BURST], start = l->turn_ns, n = 0, cpu;
	uint32_t wire[PSI_WORKER_BURST];
	uint16_t cnt;

	l->turn_ns += pause_ns;
	do {
		arrive(l, start, &n);
		cpu = cpu_ns();
		l->tsc0 = rte_rdtsc();
		for (unsigned int i = 0; i < BURSTS_A_TURN; i++) {
			cnt = cable_rx(&l->queue, m, ts, wire, (uint16_t)l->o->burst);
			if (cnt)
				engine_burst(l->engine, m, ts, wire, cnt);
			l->done += cnt;
			look(l, cnt == l->o->burst);
			if (cnt < l->o->burst)
				break;
		}
		cpu = cpu_ns() - cpu;
		l->cut_ns += cpu - PSI_MIN(cpu, TURN_MAX_NS);
		l->turn_ns += PSI_MIN(cpu, TURN_MAX_NS);
	} while (cnt || l->turn_ns < l->until_ns);
}

/* One stretch of time at a rate, in turns with a pause of the engine at its beginning; returns packets a second that were
 * worked off. */
static double
stretch(struct live *l, double pps, double seconds, uint64_t pause_ns)
{
	uint64_t start = l->in_turns ? l->turn_ns : now_ns(l);

	memset(&l->sent, 0, sizeof(l->sent));
	memset(&l->hist, 0, sizeof(l->hist));
	l->told = l->whole = l->done = l->idle_tsc = l->cut_ns = 0;
	l->pps = pps;
	l->until_ns = start + (uint64_t)(seconds * 1e9);
	l->sent.begun = psi_gen_begun(l->gen);
	if (l->in_turns) {
		work_in_turns(l, pause_ns);
	} else {
		atomic_store_explicit(&l->stop, false, memory_order_relaxed);
		rte_eal_remote_launch(sender, l, 1);
		work(l);
		rte_eal_wait_lcore(1);
	}
	l->sent.begun = psi_gen_begun(l->gen) - l->sent.begun;
	return (double)l->done / ((double)((l->in_turns ? l->turn_ns : now_ns(l)) - start) / 1e9);
}

/* ---- reports ---- */

static uint64_t
sum(const uint64_t *v)
{
	return v[PSI_GEN_BULK] + v[PSI_GEN_HANDSHAKE] + v[PSI_GEN_END];
}

static void
report_latency(const struct live *l, double capacity)
{
	const struct histogram *h = &l->hist;

	if (l->o->json)
		printf("{\"type\": \"latency\", \"load\": %.3f, \"capacity_pps\": %.0f, \"events\": %llu, \"lost\": %llu, "
		       "\"p50_us\": %.2f, \"p90_us\": %.2f, \"p99_us\": %.2f, \"p999_us\": %.2f, \"max_us\": %.2f, "
		       "\"sender_late_us\": %.1f, \"machine_load\": %.2f, ",
			l->o->load, capacity, (unsigned long long)h->cnt,
			(unsigned long long)sum(l->sent.lost), (double)hist_at(h, .5) / 1e3,
			(double)hist_at(h, .9) / 1e3, (double)hist_at(h, .99) / 1e3,
			(double)hist_at(h, .999) / 1e3, (double)h->max / 1e3,
			(double)l->sent.late_ns / 1e3, load_average());
	else
		printf("latency, last packet of a pattern to the ring, at %.0f %% of %.2f Mpps: %llu events, %llu of %llu packets lost\n"
		       "  p50 %.1f us   p90 %.1f us   p99 %.1f us   p99.9 %.1f us   longest %.1f us\n"
		       "  (the sending core itself was up to %.1f us late)\n",
			l->o->load * 100, capacity / 1e6, (unsigned long long)h->cnt,
			(unsigned long long)sum(l->sent.lost),
			(unsigned long long)sum(l->sent.offered), (double)hist_at(h, .5) / 1e3,
			(double)hist_at(h, .9) / 1e3, (double)hist_at(h, .99) / 1e3,
			(double)hist_at(h, .999) / 1e3, (double)h->max / 1e3,
			(double)l->sent.late_ns / 1e3);
	report_histogram(l->o, h);
	if (l->o->json)
		puts("}");
}

static double
share(uint64_t part, uint64_t of)
{
	return of ? (double)part / (double)of : 0;
}

/* Packets that the engine dropped by itself, by cause. */
static void
shed_counts(const struct live *l, uint64_t v[2])
{
	const struct psi_stats *st = psi_worker_stats(l->engine->worker);

	v[0] = psi_stat_get(st, PSI_STAT_pkt_drop_shed_bulk);
	v[1] = psi_stat_get(st, PSI_STAT_pkt_drop_shed_new);
}

/* What one stretch came to. */
struct row {
	double factor, capacity, seconds, done;
	bool shed;
	struct sent sent;
	uint64_t told, whole, p99_ns, dropped[2];
	double last_loss_s; /* 0: none */
	double cut_s;	    /* of turns that were longer than the engine makes them */
};

static void
report_overload(const struct options *o, const struct row *r)
{
	const struct sent *s = &r->sent;
	uint64_t offered = sum(s->offered);

	if (o->json)
		printf("{\"type\": \"overload\", \"shed\": %s, \"factor\": %.3f, \"capacity_pps\": %.0f, "
		       "\"offered_pps\": %.0f, \"done_pps\": %.0f, \"lost\": %.5f, \"lost_handshake\": %.5f, "
		       "\"lost_bulk\": %.5f, \"lost_end\": %.5f, \"shed_bulk\": %.5f, \"shed_new\": %.5f, "
		       "\"begun\": %llu, \"told\": %llu, \"whole\": %llu, \"last_loss_s\": %.4f, \"p99_us\": %.1f, "
		       "\"cut_s\": %.4f, \"machine_load\": %.2f}\n",
			r->shed ? "true" : "false", r->factor, r->capacity,
			(double)offered / r->seconds, r->done, share(sum(s->lost), offered),
			share(s->lost[PSI_GEN_HANDSHAKE], s->offered[PSI_GEN_HANDSHAKE]),
			share(s->lost[PSI_GEN_BULK], s->offered[PSI_GEN_BULK]),
			share(s->lost[PSI_GEN_END], s->offered[PSI_GEN_END]),
			share(r->dropped[0], offered), share(r->dropped[1], offered),
			(unsigned long long)s->begun, (unsigned long long)r->told,
			(unsigned long long)r->whole, r->last_loss_s, (double)r->p99_ns / 1e3,
			r->cut_s, load_average());
	else
		printf("%7.2f %8.3f %8.3f %8.2f %% %8.2f %% %8.2f %% %8.2f %% %8.2f %% %9llu %9llu %9llu %9.1f %9.4f\n",
			r->factor, (double)offered / r->seconds / 1e6, r->done / 1e6,
			100 * share(sum(s->lost), offered),
			100 * share(s->lost[PSI_GEN_HANDSHAKE], s->offered[PSI_GEN_HANDSHAKE]),
			100 * share(s->lost[PSI_GEN_BULK], s->offered[PSI_GEN_BULK]),
			100 * share(r->dropped[0], offered), 100 * share(r->dropped[1], offered),
			(unsigned long long)s->begun, (unsigned long long)r->told,
			(unsigned long long)r->whole, (double)r->p99_ns / 1e3, r->last_loss_s);
	fflush(stdout);
}

static void
overload_head(const struct options *o, bool shed)
{
	printf("overload, %s. What is lost is lost in the queue of %u packets\n"
	       "%7s %8s %8s %10s %10s %10s %10s %10s %9s %9s %9s %9s %9s\n"
	       "%7s %8s %8s %10s %10s %10s %10s %10s %9s %9s %9s %9s %9s\n",
		shed ? "the engine drops in its own order" : "the engine drops nothing", o->ring,
		"offered", "Mpps", "Mpps", "lost", "handshake", "bulk",
		"dropped:", "dropped:", "connect.", "handsh.", "without", "p99 to", "last loss",
		"/takes", "offered", "done", "", "packets", "packets", "bulk", "new", "begun",
		"told", "a hole", "ring, us", "after, s");
}

/* At a multiple of what the engine takes, which is measured each time just before: a virtual machine is faster and slower
 * by the second. It begins with a pause of the engine that fills the queue: does it come out of that? */
static void
overload_row(struct live *l, bool shed, double factor, struct row *r)
{
	uint64_t before[2];

	l->shed = false;
	while (psi_worker_pressed(l->engine->worker))
		psi_worker_pressure(l->engine->worker, 0, 1);
	stretch(l, 0, SETTLE_S, 0);
	*r = (struct row){.factor = factor,
		.shed = shed,
		.seconds = l->o->seconds,
		.capacity = stretch(l, 0, SETTLE_S, 0)};
	l->shed = shed;
	shed_counts(l, before);
	r->done = stretch(
		l, factor * r->capacity, r->seconds, (uint64_t)(2e9 * l->o->ring / r->capacity));
	shed_counts(l, r->dropped);
	for (int k = 0; k < 2; k++)
		r->dropped[k] -= before[k];
	r->done *= 1 - share(r->dropped[0] + r->dropped[1], l->done);
	r->sent = l->sent;
	r->told = l->told;
	r->whole = l->whole;
	r->p99_ns = hist_at(&l->hist, .99);
	r->cut_s = (double)l->cut_ns / 1e9;
	if (r->sent.last_loss_ns && l->until_ns > r->sent.last_loss_ns)
		r->last_loss_s = r->seconds - (double)(l->until_ns - r->sent.last_loss_ns) / 1e9;
}

static int
by_told(const void *a, const void *b)
{
	const struct row *r = a, *s = b;
	double x = share(r->told, r->sent.begun), y = share(s->told, s->sent.begun);

	return (x > y) - (x < y);
}

/* Every repetition goes through all rates, so that a slow minute does not make a row; of each row the median counts. */
static int
overload(struct live *l, struct psi_err *err)
{
	/* at last as at first: does it recover? */
	static const double factor[] = {0.5, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 4.0, 0.5};
	enum { FACTORS = PSI_COUNT(factor) };
	const struct options *o = l->o;
	struct row *rows = calloc((size_t)2 * FACTORS * o->reps, sizeof(*rows));

	if (!rows)
		return psi_err_set(err, -ENOMEM, "no memory for %u repetitions", o->reps);
	for (uint32_t rep = 0; rep < o->reps; rep++) {
		if (!o->json && isatty(STDERR_FILENO))
			fprintf(stderr, "repetition %u of %u\r", rep + 1, o->reps);
		for (uint32_t i = 0; i < 2 * FACTORS; i++)
			overload_row(l, i < FACTORS, factor[i % FACTORS], &rows[i * o->reps + rep]);
	}
	for (uint32_t i = 0; i < 2 * FACTORS; i++) {
		qsort(&rows[i * o->reps], o->reps, sizeof(*rows), by_told);
		if (!o->json && i % FACTORS == 0)
			overload_head(o, i < FACTORS);
		report_overload(o, &rows[i * o->reps + o->reps / 2]);
	}
	free(rows);
	return 0;
}

/* Memory is touched for the first time by a page fault of up to a millisecond, which is not what is measured here: all of
 * it is asked for now, if we may. Then connections begin and end. */
static void
warm_up(struct live *l)
{
	mlockall(MCL_CURRENT);
	stretch(l, 0, WARM_S, 0);
}

/* The median of three short runs as fast as it goes, behind a first one that fills caches and tables. */
static double
find_capacity(struct live *l, double *idle)
{
	double v[3], seconds = PSI_MIN(l->o->seconds, 1.0);

	warm_up(l);
	*idle = 0;
	for (int i = 0; i < 3; i++) {
		v[i] = stretch(l, 0, seconds, 0);
		*idle += (double)l->idle_tsc / machine.tsc_ghz / 1e9 / seconds / 3;
	}
	return fmax(fmin(v[0], v[1]), fmin(fmax(v[0], v[1]), v[2]));
}

static int
open_live(struct live *l, const struct options *o, struct psi_err *err)
{
	l->o = o;
	l->pool = packet_pool("live", 16383 + 2 * o->ring, err);
	l->gen = psi_gen_open(&o->gen, err);
	l->engine = calloc(1, sizeof(*l->engine));
	if (!l->pool || !l->gen)
		return -ENOMEM;
	if (!l->engine)
		return psi_err_set(err, -ENOMEM, "no memory for an engine");
	if (cable_open(&l->queue, o->ring, l->pool, err) != 0)
		return -ENOMEM;
	if (engine_open(l->engine, ST_RING, o, 0, err) != 0)
		return -ENOMEM;
	l->engine->on_event = on_event;
	l->engine->ctx = l;
	l->tsc0 = rte_rdtsc();
	l->base_ns = o->gen.start_ns;
	l->in_turns = o->mode == MODE_OVERLOAD;
	l->turn_ns = l->base_ns;
	return 0;
}

/* What was sent since the last stretch began, and what of it came through the engine. */
static int
close_live(struct live *l, struct psi_err *err)
{
	const struct options *o = l->o;
	uint64_t sent = sum(l->sent.offered), done = l->done;
	bool ok = engine_close(l->engine, err);

	cable_close(&l->queue);
	if (ok && rte_mempool_avail_count(l->pool) != l->pool->size)
		ok = psi_err_set(err, 0, "packet buffers were not given back");
	if (ok && o->mode == MODE_TRIAL)
		printf("sent %llu received %llu\n", (unsigned long long)sent,
			(unsigned long long)done);
	else if (ok && !o->json)
		puts("the ledger balances; no packet buffer is missing\n");
	psi_gen_close(l->gen);
	rte_mempool_free(l->pool);
	free(l->engine);
	free(l);
	return ok ? 0 : -EIO;
}

int
run_live(const struct options *o, struct psi_err *err)
{
	struct live *l = aligned_alloc(128, (sizeof(*l) + 127) & ~(size_t)127);
	double capacity, idle;

	if (!l)
		return psi_err_set(err, -ENOMEM, "no memory");
	memset(l, 0, sizeof(*l));
	if (machine.cores < 2 && o->mode != MODE_OVERLOAD && !o->json)
		puts("one core only: the sender and the engine take turns on it, figures mean little");
	if (open_live(l, o, err) != 0)
		return -ENOMEM;
	if (o->mode == MODE_TRIAL) {
		warm_up(l);
		stretch(l, o->rate, o->seconds, 0);
		return close_live(l, err);
	}
	capacity = find_capacity(l, &idle);
	if (idle > 0.1 && !o->json)
		printf("the engine waited for the sender %.0f %% of the time: the highest rate is the sender's\n",
			idle * 100);
	if (o->json)
		printf("{\"type\": \"capacity\", \"pps\": %.0f, \"idle\": %.3f}\n", capacity, idle);
	if (o->mode == MODE_OVERLOAD) {
		if (overload(l, err) != 0)
			return -ENOMEM;
	} else {
		stretch(l, o->load * capacity, o->seconds, 0);
		report_latency(l, capacity);
	}
	return close_live(l, err);
}
