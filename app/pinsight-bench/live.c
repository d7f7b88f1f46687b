/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine at work in real time: one core makes traffic at a rate and puts it into a queue, as a network card does;
 * another runs worker, collector and ring. A packet that finds the queue full is lost, and counted by what it was.
 *
 * Latency is the time from a packet's place in the queue to the event that tells what it completed: a handshake event
 * names the last packet that it knows of, whose time stamp is when it was put into the queue. */
#include "bench_pvt.h"

#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_pause.h>
#include <rte_ring.h>

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#define BUCKET_MS 10

/* In an mbuf's private area. */
struct mark {
	uint64_t ts_ns;
};

/* Written by the core that sends, read when it is done. */
struct sent {
	uint64_t offered[PSI_GEN_PART_CNT], lost[PSI_GEN_PART_CNT];
	uint64_t last_loss_ns, late_ns, begun;
};

struct live {
	const struct options *o;
	struct rte_mempool *pool;
	struct rte_ring *queue;
	struct psi_gen *gen;
	struct engine *engine;
	uint64_t tsc0, base_ns;
	double pps; /* 0: as fast as the queue takes them, without loss */
	uint64_t until_ns;
	struct sent sent;
	struct histogram hist;
	uint64_t told, done, idle_tsc; /* idle: nothing in the queue */
	_Atomic bool stop;
};

static uint64_t
now_ns(const struct live *l)
{
	return l->base_ns + (uint64_t)((double)(rte_rdtsc() - l->tsc0) / machine.tsc_ghz);
}

/* ---- the core that sends ---- */

static struct rte_mbuf *
prepare(struct live *l, struct psi_gen_packet *p)
{
	struct rte_mbuf *m;

	while (!(m = rte_pktmbuf_alloc(l->pool)))
		if (atomic_load_explicit(&l->stop, memory_order_relaxed))
			return NULL;
	if (!psi_gen_next(l->gen, rte_pktmbuf_mtod(m, uint8_t *), p)) {
		rte_pktmbuf_free(m);
		return NULL;
	}
	m->data_len = (uint16_t)p->len;
	m->pkt_len = p->len;
	return m;
}

static void
put(struct live *l, struct rte_mbuf *m, const struct psi_gen_packet *p, uint64_t now)
{
	struct mark *k = rte_mbuf_to_priv(m);

	k->ts_ns = now;
	l->sent.offered[p->part]++;
	while (rte_ring_sp_enqueue(l->queue, m) != 0) {
		if (l->pps > 0 || now >= l->until_ns) {
			l->sent.lost[p->part]++;
			l->sent.last_loss_ns = now;
			rte_pktmbuf_free(m);
			return;
		}
		rte_pause();
		now = now_ns(l);
		k->ts_ns = now;
	}
}

static int
sender(void *arg)
{
	struct live *l = arg;
	uint64_t start = now_ns(l), now = start, n = 0;
	struct psi_gen_packet p;
	struct rte_mbuf *m;

	while ((m = prepare(l, &p))) {
		uint64_t due = l->pps > 0 ? start + (uint64_t)((double)n * 1e9 / l->pps) : 0;

		while ((now = now_ns(l)) < due)
			rte_pause();
		if (now >= l->until_ns) {
			rte_pktmbuf_free(m);
			break;
		}
		l->sent.late_ns = due ? PSI_MAX(l->sent.late_ns, now - due) : 0;
		put(l, m, &p, now);
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
	hist_add(&l->hist, now_ns(l) - psi_value_u64(&v));
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
		unsigned int n = rte_ring_sc_dequeue_burst(l->queue, (void **)m, l->o->burst, NULL);

		if (!n) {
			if (last)
				return;
			/* once more behind the flag: what was put before it was raised */
			last = atomic_load_explicit(&l->stop, memory_order_acquire);
			continue;
		}
		for (unsigned int i = 0; i < n; i++) {
			ts[i] = ((struct mark *)rte_mbuf_to_priv(m[i]))->ts_ns;
			wire[i] = m[i]->pkt_len;
		}
		l->idle_tsc += rte_rdtsc() - waits;
		engine_burst(l->engine, m, ts, wire, (uint16_t)n);
		l->done += n;
		waits = rte_rdtsc();
	}
}

/* One stretch of time at a rate; returns packets a second that were worked off. */
static double
stretch(struct live *l, double pps, double seconds)
{
	uint64_t start = now_ns(l);

	memset(&l->sent, 0, sizeof(l->sent));
	memset(&l->hist, 0, sizeof(l->hist));
	l->told = l->done = l->idle_tsc = 0;
	l->pps = pps;
	l->until_ns = start + (uint64_t)(seconds * 1e9);
	l->sent.begun = psi_gen_begun(l->gen);
	atomic_store_explicit(&l->stop, false, memory_order_relaxed);
	rte_eal_remote_launch(sender, l, 1);
	work(l);
	rte_eal_wait_lcore(1);
	l->sent.begun = psi_gen_begun(l->gen) - l->sent.begun;
	return (double)l->done / ((double)(now_ns(l) - start) / 1e9);
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
		       "\"sender_late_us\": %.1f, \"machine_load\": %.2f}\n",
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
}

static double
share(uint64_t part, uint64_t of)
{
	return of ? (double)part / (double)of : 0;
}

static void
report_overload(const struct live *l, double factor, double capacity, double done)
{
	const struct sent *s = &l->sent;
	double recover = s->last_loss_ns && l->until_ns > s->last_loss_ns
				 ? l->o->seconds - (double)(l->until_ns - s->last_loss_ns) / 1e9
				 : 0;

	if (l->o->json)
		printf("{\"type\": \"overload\", \"factor\": %.3f, \"capacity_pps\": %.0f, \"offered_pps\": %.0f, "
		       "\"done_pps\": %.0f, \"lost\": %.5f, \"lost_handshake\": %.5f, \"lost_bulk\": %.5f, "
		       "\"lost_end\": %.5f, \"begun\": %llu, \"told\": %llu, \"last_loss_s\": %.3f, \"p99_us\": %.1f, "
		       "\"machine_load\": %.2f}\n",
			factor, capacity, (double)sum(s->offered) / l->o->seconds, done,
			share(sum(s->lost), sum(s->offered)),
			share(s->lost[PSI_GEN_HANDSHAKE], s->offered[PSI_GEN_HANDSHAKE]),
			share(s->lost[PSI_GEN_BULK], s->offered[PSI_GEN_BULK]),
			share(s->lost[PSI_GEN_END], s->offered[PSI_GEN_END]),
			(unsigned long long)s->begun, (unsigned long long)l->told, recover,
			(double)hist_at(&l->hist, .99) / 1e3, load_average());
	else
		printf("%7.2f %9.3f %9.3f %8.2f %% %8.2f %% %8.2f %% %10llu %10llu %11.1f %10.3f\n",
			factor, (double)sum(s->offered) / l->o->seconds / 1e6, done / 1e6,
			100 * share(sum(s->lost), sum(s->offered)),
			100 * share(s->lost[PSI_GEN_HANDSHAKE], s->offered[PSI_GEN_HANDSHAKE]),
			100 * share(s->lost[PSI_GEN_BULK], s->offered[PSI_GEN_BULK]),
			(unsigned long long)s->begun, (unsigned long long)l->told,
			(double)hist_at(&l->hist, .99) / 1e3, recover);
	fflush(stdout);
}

static void
overload(struct live *l, double capacity)
{
	/* at last as at first: does it recover? */
	static const double factor[] = {0.5, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 0.5};

	if (!l->o->json)
		printf("overload: it takes %.3f Mpps. What is lost is lost in the queue of %u packets\n"
		       "%7s %9s %9s %10s %10s %10s %10s %10s %11s %10s\n",
			capacity / 1e6, l->o->ring, "offered", "Mpps", "Mpps", "lost", "handshake",
			"bulk", "connect.", "handshakes", "p99 to the", "last loss");
	if (!l->o->json)
		printf("%7s %9s %9s %10s %10s %10s %10s %10s %11s %10s\n", "/takes", "offered",
			"done", "", "packets", "packets", "begun", "told", "ring, us", "after, s");
	for (size_t i = 0; i < PSI_COUNT(factor); i++) {
		double done = stretch(l, factor[i] * capacity, l->o->seconds);

		report_overload(l, factor[i], capacity, done);
	}
}

/* The median of three short runs as fast as it goes, behind a first one that fills caches and tables. */
static double
find_capacity(struct live *l, double *idle)
{
	double v[3], seconds = PSI_MIN(l->o->seconds, 1.0);

	stretch(l, 0, seconds);
	*idle = 0;
	for (int i = 0; i < 3; i++) {
		v[i] = stretch(l, 0, seconds);
		*idle += (double)l->idle_tsc / machine.tsc_ghz / 1e9 / seconds / 3;
	}
	return fmax(fmin(v[0], v[1]), fmin(fmax(v[0], v[1]), v[2]));
}

static int
open_live(struct live *l, const struct options *o, struct psi_err *err)
{
	l->o = o;
	l->pool = packet_pool("live", 16383 + 2 * o->ring, err);
	l->queue = rte_ring_create("queue", rte_align32pow2(o->ring + 1), SOCKET_ID_ANY,
		RING_F_SP_ENQ | RING_F_SC_DEQ);
	l->gen = psi_gen_open(&o->gen, err);
	l->engine = calloc(1, sizeof(*l->engine));
	if (!l->pool || !l->gen)
		return -ENOMEM;
	if (!l->queue || !l->engine)
		return psi_err_set(err, -ENOMEM, "no memory for a queue");
	if (engine_open(l->engine, ST_RING, o, 0, err) != 0)
		return -ENOMEM;
	l->engine->on_event = on_event;
	l->engine->ctx = l;
	l->tsc0 = rte_rdtsc();
	l->base_ns = o->gen.start_ns;
	return 0;
}

/* What was sent since the last stretch began, and what of it came through the engine. */
static int
close_live(struct live *l, struct psi_err *err)
{
	const struct options *o = l->o;
	uint64_t sent = sum(l->sent.offered), done = l->done;
	bool ok = engine_close(l->engine, err);

	if (ok && rte_mempool_avail_count(l->pool) != l->pool->size)
		ok = psi_err_set(err, 0, "packet buffers were not given back");
	if (ok && o->mode == MODE_TRIAL)
		printf("sent %llu received %llu\n", (unsigned long long)sent,
			(unsigned long long)done);
	else if (ok && !o->json)
		puts("the ledger balances; no packet buffer is missing\n");
	psi_gen_close(l->gen);
	rte_ring_free(l->queue);
	rte_mempool_free(l->pool);
	free(l->engine);
	free(l);
	return ok ? 0 : -EIO;
}

int
run_live(const struct options *o, struct psi_err *err)
{
	struct live *l = calloc(1, sizeof(*l));
	double capacity, idle;

	if (!l)
		return psi_err_set(err, -ENOMEM, "no memory");
	if (machine.cores < 2 && !o->json)
		puts("one core only: the sender and the engine take turns on it, figures mean little");
	if (open_live(l, o, err) != 0)
		return -ENOMEM;
	if (o->mode == MODE_TRIAL) {
		stretch(l, o->rate, o->seconds);
		return close_live(l, err);
	}
	capacity = find_capacity(l, &idle);
	if (idle > 0.1 && !o->json)
		printf("the engine waited for the sender %.0f %% of the time: the highest rate is the sender's\n",
			idle * 100);
	if (o->json)
		printf("{\"type\": \"capacity\", \"pps\": %.0f, \"idle\": %.3f}\n", capacity, idle);
	if (o->mode == MODE_OVERLOAD) {
		overload(l, capacity);
	} else {
		stretch(l, o->load * capacity, o->seconds);
		report_latency(l, capacity);
	}
	return close_live(l, err);
}
