/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine up to a stage. Below a worker the stages are its own first steps, done here by the same functions in the same
 * order; from the worker on it is the engine itself. */
#include "bench_pvt.h"

#include <errno.h>
#include <limits.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define QUEUE_BYTES (32u << 20)
#define RING_BYTES  (64u << 20)
#define HUGE_PAGE   ((size_t)1 << 21)

static const char *const names[ST_CNT] = {[ST_RECEIVE] = "receive",
	[ST_DECODE] = "decode",
	[ST_FLOW] = "flow",
	[ST_WORKER] = "worker",
	[ST_COLLECTOR] = "collector",
	[ST_RING] = "ring",
	[ST_JSON] = "json",
	[ST_ALONE] = "collector-alone",
	[ST_SHED] = "shed"};

const char *
stage_name(enum stage s)
{
	return names[s];
}

/* ---- below a worker ---- */

static void
decode(struct engine *e, struct rte_mbuf **m, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		e->rc[i] = (uint8_t)psi_net_decode(PSI_LINK_ETHERNET,
			rte_pktmbuf_mtod(m[i], const uint8_t *), m[i]->data_len, m[i]->pkt_len,
			e->wc.identity, &e->pkt[i]);
		e->sum += e->pkt[i].payload_off;
	}
}

static void
flow_gone(void *ctx, struct psi_flow *f, enum psi_flow_why why)
{
	struct engine *e = ctx;

	psi_stat_inc(&e->stats, why == PSI_FLOW_WHY_IDLE      ? PSI_STAT_flow_closed_idle
				: why == PSI_FLOW_WHY_EVICTED ? PSI_STAT_flow_closed_evicted
							      : PSI_STAT_flow_closed_stop);
}

static void
ask_entries(struct engine *e, uint16_t n)
{
	uint16_t far[PSI_WORKER_BURST], far_cnt = 0;

	for (uint16_t i = 0; i < n; i++)
		if (e->rc[i] == PSI_NET_TCP && !psi_flow_prefetch_entry(e->flows, e->hash[i]))
			far[far_cnt++] = i;
	for (uint16_t k = 0; k < far_cnt; k++)
		psi_flow_prefetch_far(e->flows, e->hash[far[k]], true);
}

static void
find_flows(struct engine *e, const uint64_t *ts, uint16_t n)
{
	uint64_t now_ms = ts[0] / 1000000u;
	bool made;

	if (now_ms > e->aged_ms) {
		if (e->aged_ms)
			psi_flow_age(e->flows, now_ms, psi_flow_buckets(e->flows) / 1000u + 1);
		e->aged_ms = now_ms;
	}
	for (uint16_t i = 0; i < n; i++)
		if (e->rc[i] == PSI_NET_TCP) {
			e->hash[i] = psi_flow_hash(e->flows, &e->pkt[i].tuple);
			psi_flow_prefetch(e->flows, e->hash[i]);
		}
	ask_entries(e, n);
	for (uint16_t i = 0; i < n; i++) {
		struct psi_flow *f = NULL;

		if (e->rc[i] == PSI_NET_TCP)
			f = psi_flow_find(e->flows, &e->pkt[i].tuple, e->hash[i]);
		if (!f && e->rc[i] == PSI_NET_TCP) {
			f = psi_flow_get(e->flows, &e->pkt[i].tuple, e->hash[i],
				PSI_FLOW_ESTABLISHED, now_ms, &made);
			if (f)
				psi_stat_inc(&e->stats, PSI_STAT_flow_opened);
		}
		if (f)
			psi_flow_touch(f, now_ms);
	}
}

/* ---- a worker's records ---- */

static void
discard(struct engine *e)
{
	enum psi_handoff_type type;
	uint32_t len;
	void *p;

	while ((p = psi_handoff_peek(&e->queue, &type, &len))) {
		const struct psi_handoff_chain *c = p;

		if (type == PSI_HANDOFF_CHAIN)
			for (uint16_t i = 0; i < c->seg_cnt; i++)
				rte_pktmbuf_free_seg(c->seg[i].ref);
		else if (type == PSI_HANDOFF_FLOW)
			e->discarded++;
		psi_handoff_consume(&e->queue);
	}
}

static bool
make_room(void *ctx)
{
	struct engine *e = ctx;
	uint64_t before = e->discarded;

	if (e->collector)
		return psi_collector_poll(e->collector, &e->queue, UINT32_MAX) > 0;
	discard(e);
	return e->discarded > before;
}

static void
on_event(void *ctx, const struct psi_event *ev)
{
	struct engine *e = ctx;
	int n;

	e->events++;
	e->event_bytes += ev->len;
	if (e->ring)
		psi_ring_write(e->ring, ev);
	if (e->json) {
		n = psi_json_write(e->json_writer, ev, e->json, PSI_JSON_MAX);
		e->json_bytes += n > 0 ? (uint64_t)n : 0;
	}
	if (e->on_event)
		e->on_event(e->ctx, ev);
}

void
engine_burst(
	struct engine *e, struct rte_mbuf **m, const uint64_t *ts, const uint32_t *wire, uint16_t n)
{
	e->last_ns = ts[n - 1];
	if (e->worker) {
		if (e->pressed)
			psi_worker_pressure(e->worker, 1, 1);
		psi_worker_burst(e->worker, PSI_LINK_ETHERNET, m, ts, wire, n);
		if (!e->collector)
			discard(e);
		else if (e->stage != ST_ALONE)
			psi_collector_poll(e->collector, &e->queue, UINT32_MAX);
		return;
	}
	psi_stat_add(&e->stats, PSI_STAT_pkt_rx, n);
	psi_stat_add(&e->stats, PSI_STAT_pkt_tcp, n);
	if (e->stage >= ST_DECODE)
		decode(e, m, n);
	if (e->stage >= ST_FLOW)
		find_flows(e, ts, n);
	rte_pktmbuf_free_bulk(m, n);
}

void
engine_drain(struct engine *e)
{
	psi_collector_poll(e->collector, &e->queue, UINT32_MAX);
}

/* ---- set-up ---- */

/* Room for the flows of a scenario. Tables four fifths full, as docs/design/flow.md advises. */
static void
sizes(struct engine *e, const struct options *o)
{
	uint32_t flows = o->gen.flows;

	psi_worker_defaults(&e->wc);
	e->wc.huge = !o->no_huge;
	if (o->mode == MODE_LATENCY || o->mode == MODE_OVERLOAD || o->mode == MODE_TRIAL)
		return; /* as the engine has it */
	if (o->scenario == SC_ESTABLISHED) {
		e->wc.flow.max = (uint32_t)((uint64_t)flows * 5 / 4 + 1024);
		e->wc.conn_max = flows + 1024;
	} else {
		/* closed connections wait two seconds for stragglers, at whatever rate they come; no more than there
		 * are packets */
		uint64_t packets = o->packets * (o->reps + 1) + (uint64_t)(o->warm * o->gen.pps);

		e->wc.flow.max = (uint32_t)PSI_MIN(1u << 22, 65536 + packets);
		e->wc.conn_max = (uint32_t)PSI_MIN(1u << 20, 65536 + packets);
	}
}

/* The table alone, in huge pages as a worker has it. */
static int
open_flows(struct engine *e, struct psi_err *err)
{
	uint8_t *p;

	e->flow_len = psi_flow_footprint(&e->wc.flow) + HUGE_PAGE;
	p = mmap(NULL, e->flow_len, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return psi_err_set(err, -ENOMEM, "no memory for %u flows", e->wc.flow.max);
	e->flow_mem = p;
	p += -(uintptr_t)p % HUGE_PAGE;
	if (e->wc.huge)
		madvise(p, e->flow_len - HUGE_PAGE, MADV_HUGEPAGE);
	e->flows = psi_flow_init(p, &e->wc.flow, &e->stats, flow_gone, e);
	return e->flows ? 0
			: psi_err_set(err, -EINVAL, "no table can have room for %u flows",
				  e->wc.flow.max);
}

/* The generator's own CA as a file, for the policy to read. */
static int
own_ca(const struct options *o, char *path, size_t cap, struct psi_err *err)
{
	uint32_t len;
	const uint8_t *p = psi_gen_ca(o->gen.kind, &len);
	X509 *x = d2i_X509(NULL, &p, len);
	FILE *f;
	int fd;
	bool ok;

	snprintf(path, cap, "/tmp/pinsight-bench.XXXXXX");
	fd = mkstemp(path);
	f = fd >= 0 ? fdopen(fd, "w") : NULL;
	ok = x && f && PEM_write_X509(f, x) == 1;
	if (f && fclose(f) != 0)
		ok = false;
	X509_free(x);
	return ok ? 0 : psi_err_set(err, -EIO, "%s: %s", path, strerror(errno));
}

/* As the engine has it: a configuration file if there is one, what --set says, and the traffic's own CA to trust. */
static int
open_policy(struct engine *e, const struct options *o, struct psi_err *err)
{
	struct psi_config_override ov[SET_MAX + 1];
	char path[64] = "", roots[PATH_MAX + 32];
	uint32_t cnt = 0;

	if (!o->roots && own_ca(o, path, sizeof(path), err) != 0)
		return -EIO;
	snprintf(roots, sizeof(roots), "certificates.roots='%s'", o->roots ? o->roots : path);
	ov[cnt++] = (struct psi_config_override){.text = roots};
	for (uint32_t i = 0; i < o->set_cnt; i++)
		ov[cnt++] = (struct psi_config_override){.text = o->set[i]};
	e->cfg = psi_config_open(o->config, ov, cnt, err);
	if (e->cfg)
		e->policy = psi_policy_open(e->cfg, NULL, err);
	if (path[0])
		unlink(path);
	return e->policy ? 0 : -EINVAL;
}

static int
open_collector(struct engine *e, const struct options *o, struct psi_err *err)
{
	struct psi_collector_config cc;
	struct psi_ring_config rc = {.path = e->ring_path,
		.size = RING_BYTES,
		.mode = 0600,
		.generation = 1,
		.now_ns = 1};

	if (open_policy(e, o, err) != 0)
		return -EINVAL;
	psi_collector_defaults(&cc);
	cc.population.at_once = true; /* as a live engine */
	cc.policy = e->policy;
	cc.sink = on_event;
	cc.ctx = e;
	cc.handshakes = o->mode == MODE_LATENCY || o->mode == MODE_OVERLOAD;
	if (o->scenario == SC_ESTABLISHED)
		cc.join_max = o->gen.flows + 1024;
	else
		cc.join_max = e->wc.conn_max;
	e->collector = psi_collector_open(&cc, err);
	if (!e->collector)
		return -ENOMEM;
	snprintf(e->ring_path, sizeof(e->ring_path), "/dev/shm/pinsight-bench.%d.ring",
		(int)getpid());
	if (e->stage == ST_RING && psi_ring_create(&e->ring, &rc, err) != 0)
		return -EIO;
	if (e->stage == ST_JSON &&
		!((e->json = malloc(PSI_JSON_MAX)) && (e->json_writer = psi_json_open())))
		return psi_err_set(err, -ENOMEM, "no memory for JSON");
	return 0;
}

int
engine_open(struct engine *e, enum stage stage, const struct options *o, unsigned int id,
	struct psi_err *err)
{
	memset(e, 0, sizeof(*e));
	e->stage = stage;
	sizes(e, o);
	if (stage == ST_FLOW)
		return open_flows(e, err);
	if (stage < ST_WORKER)
		return 0;
	e->queue_mem = aligned_alloc(128, QUEUE_BYTES);
	if (e->queue_mem) /* in use from now on, not while the memory of flows is measured */
		memset(e->queue_mem, 0, QUEUE_BYTES);
	if (!e->queue_mem || psi_handoff_init(&e->queue, e->queue_mem, QUEUE_BYTES) != 0)
		return psi_err_set(err, -ENOMEM, "no memory for a queue");
	if (stage > ST_WORKER && stage != ST_SHED && open_collector(e, o, err) != 0)
		return -EINVAL;
	e->wc.id = (uint8_t)id;
	e->worker = psi_worker_open(&e->wc, &e->queue, make_room, e, err);
	return e->worker ? 0 : -ENOMEM;
}

/* What an established flow takes of tables and pools. */
size_t
engine_flow_bytes(const struct engine *e)
{
	return psi_flow_footprint(&e->wc.flow);
}

static bool
balanced(const uint64_t *sum, uint64_t alive, struct psi_err *err)
{
	int64_t p = psi_stats_balance(sum, PSI_STAT_PKT_IN, 0),
		f = psi_stats_balance(sum, PSI_STAT_FLOW_IN, alive),
		r = psi_stats_balance(sum, PSI_STAT_REC_IN, 0);

	if (p || f || r)
		psi_err_set(err, 0,
			"the ledger does not balance: %lld packets, %lld flows, %lld records are missing",
			(long long)p, (long long)f, (long long)r);
	return !p && !f && !r;
}

bool
engine_close(struct engine *e, struct psi_err *err)
{
	uint64_t sum[PSI_STAT_CNT] = {0};
	bool ok;

	if (e->worker) {
		psi_worker_stop(e->worker);
		if (e->collector)
			psi_collector_poll(e->collector, &e->queue, UINT32_MAX);
		else
			discard(e);
		psi_stats_sum(psi_worker_stats(e->worker), sum);
		if (e->collector)
			psi_stats_sum(psi_collector_stats(e->collector), sum);
		sum[PSI_STAT_rec_taken] += e->discarded;
	} else {
		if (e->flows)
			psi_flow_stop(e->flows);
		psi_stats_sum(&e->stats, sum);
	}
	ok = balanced(sum, e->worker ? psi_worker_alive(e->worker) : 0, err);
	psi_worker_close(e->worker);
	psi_collector_close(e->collector);
	psi_policy_close(e->policy);
	psi_config_close(e->cfg);
	psi_ring_close(e->ring);
	if (e->ring) {
		char lock[80];

		unlink(e->ring_path);
		snprintf(lock, sizeof(lock), "%s.lock", e->ring_path);
		unlink(lock);
	}
	if (e->flow_mem)
		munmap(e->flow_mem, e->flow_len);
	free(e->queue_mem);
	psi_json_close(e->json_writer);
	free(e->json);
	return ok;
}
