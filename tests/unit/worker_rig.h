/* SPDX-License-Identifier: BSD-3-Clause */
/* A worker and a collector with small pools, fed with frames written by hand. */
#ifndef WORKER_RIG_H
#define WORKER_RIG_H

#include "psi_collector.h"
#include "psi_worker.h"
#include "unit_eal.h"

#include <stdlib.h>

#define RIG_MBUFS  4095
#define RIG_QUEUE  65536u
#define RIG_EVENTS 64

enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };

/* What an event said that the tests ask for. */
struct told {
	char why[16], err[16];
	uint64_t flow_id;
	unsigned int class;
	uint64_t rst; /* 1: a reset is told */
	bool shed;
	char subject[128];
};

struct rig {
	struct psi_worker_config cfg;
	struct psi_worker *worker;
	struct psi_collector *collector;
	struct psi_handoff queue;
	uint64_t sum[PSI_STAT_CNT];
	struct told event[RIG_EVENTS];
	unsigned int event_cnt;
	bool no_events; /* events are not looked into */
	bool mixed;	/* rig_tcp: flows of odd ports are IPv6 */
	uint64_t now_ns;
};

static struct rte_mempool *rig_pool;

static inline bool
rig_eal(void)
{
	rig_pool = unit_pool(RIG_MBUFS);
	return rig_pool;
}

static inline void
rig_text(const struct psi_event_r *f, enum psi_field field, char *out, size_t cap)
{
	struct psi_value v;
	uint32_t n;

	out[0] = 0;
	if (!psi_event_find(f, field, &v))
		return;
	n = PSI_MIN(v.len, (uint32_t)cap - 1);
	memcpy(out, v.p, n);
	out[n] = 0;
}

static inline void
rig_on_event(void *ctx, const struct psi_event *e)
{
	struct rig *r = ctx;
	struct told *t;
	struct psi_event_r f;
	struct psi_value v;

	if (r->no_events || r->event_cnt == RIG_EVENTS)
		return;
	t = &r->event[r->event_cnt++];
	memset(t, 0, sizeof(*t));
	psi_event_fields(e, &f);
	rig_text(&f, PSI_F_FLOW_REASON, t->why, sizeof(t->why));
	rig_text(&f, PSI_F_ERROR, t->err, sizeof(t->err));
	rig_text(&f, PSI_F_TLS_SUBJECT, t->subject, sizeof(t->subject));
	if (psi_event_find(&f, PSI_F_FLOW_ID, &v))
		t->flow_id = psi_value_u64(&v);
	if (psi_event_find(&f, PSI_F_CLASS, &v))
		t->class = (unsigned int)psi_value_u64(&v);
	t->rst = psi_event_find(&f, PSI_F_TCP_RST, &v);
	t->shed = psi_event_find(&f, PSI_F_TCP_SHED, &v);
}

static inline uint32_t
rig_poll(struct rig *r)
{
	return psi_collector_poll(r->collector, &r->queue, UINT32_MAX);
}

static inline bool
rig_make_room(void *ctx)
{
	return rig_poll(ctx) > 0;
}

/* Small pools; the caller changes r->cfg between rig_defaults and rig_open. */
static inline void
rig_defaults(struct rig *r)
{
	memset(r, 0, sizeof(*r));
	psi_worker_defaults(&r->cfg);
	r->cfg.flow.max = 1024;
	r->cfg.conn_max = 256;
	r->cfg.handshake_max = 64;
	r->cfg.chain_max = 8;
	r->cfg.stream.early_max = 64;
	r->cfg.frag.max = 16;
	r->now_ns = 1000000000;
}

/* waits: false where nobody makes room in a full queue. */
static inline bool
rig_open(struct rig *r, bool waits)
{
	struct psi_collector_config cc;

	psi_collector_defaults(&cc);
	cc.chain_max = 4;
	cc.join_max = 16;
	cc.sink = rig_on_event;
	cc.ctx = r;
	psi_handoff_init(&r->queue, aligned_alloc(128, RIG_QUEUE), RIG_QUEUE);
	r->collector = psi_collector_open(&cc, NULL);
	r->worker = psi_worker_open(&r->cfg, &r->queue, waits ? rig_make_room : NULL, r, NULL);
	return r->collector && r->worker;
}

/* Stops and frees all. True when no mbuf is missing and every equation of the ledger holds. */
static inline bool
rig_close(struct rig *r)
{
	bool ok;

	psi_worker_stop(r->worker);
	rig_poll(r);
	psi_stats_sum(psi_worker_stats(r->worker), r->sum);
	psi_stats_sum(psi_collector_stats(r->collector), r->sum);
	ok = rte_mempool_avail_count(rig_pool) == RIG_MBUFS && !psi_worker_alive(r->worker) &&
	     psi_stats_balance(r->sum, PSI_STAT_PKT_IN, 0) == 0 &&
	     psi_stats_balance(r->sum, PSI_STAT_FLOW_IN, 0) == 0 &&
	     psi_stats_balance(r->sum, PSI_STAT_REC_IN, 0) == 0;
	psi_worker_close(r->worker);
	psi_collector_close(r->collector);
	free(r->queue.mem);
	return ok;
}

static inline uint64_t
rig_stat(const struct rig *r, enum psi_stat s)
{
	uint64_t sum[PSI_STAT_CNT] = {0};

	psi_stats_sum(psi_worker_stats(r->worker), sum);
	psi_stats_sum(psi_collector_stats(r->collector), sum);
	return sum[s];
}

/* One frame at r->now_ns, in segments of at most seg_max bytes (0: one). False without mbufs. */
static inline bool
rig_frame(struct rig *r, enum psi_link link, const uint8_t *p, uint32_t len, uint32_t wire,
	uint32_t seg_max)
{
	struct rte_mbuf *first = NULL, *last = NULL, *m;
	uint64_t ts = r->now_ns;
	uint32_t n;

	do {
		n = seg_max ? PSI_MIN(len, seg_max) : len;
		m = rte_pktmbuf_alloc(rig_pool);
		if (!m) {
			rte_pktmbuf_free(first);
			return false;
		}
		memcpy(rte_pktmbuf_mtod(m, uint8_t *), p, n);
		m->data_len = (uint16_t)n;
		if (!first) {
			first = m;
		} else {
			last->next = m;
			first->nb_segs++;
		}
		first->pkt_len += n;
		last = m;
		p += n;
		len -= n;
	} while (len);
	psi_worker_burst(r->worker, link, &first, &ts, &wire, 1);
	return true;
}

/* A TCP segment in raw IPv4 between 192.0.2.1 (side 0: client) and 198.51.100.1 port 443; or, where the rig mixes, that
 * of an odd port in IPv6 between 2001:db8::c000:201 and 2001:db8::c633:6401. */
static inline void
rig_tcp(struct rig *r, uint16_t port, bool from_client, uint8_t flags, uint32_t seq, uint32_t ack,
	const void *data, uint32_t len)
{
	static const uint8_t addr[2][16] = {{0x20, 1, 0x0d, 0xb8, [12] = 192, 0, 2, 1},
		{0x20, 1, 0x0d, 0xb8, [12] = 198, 51, 100, 1}};
	bool v6 = r->mixed && port & 1;
	uint32_t alen = v6 ? 16 : 4, ip = v6 ? 40 : 20;
	uint8_t p[2048] = {0x45, 0, (uint8_t)((40 + len) >> 8),
		(uint8_t)(40 + len), [8] = 64, [9] = 6},
		*src = p + (v6 ? 8 : 12), *tcp = p + ip;
	const uint8_t sp[2] = {(uint8_t)(port >> 8), (uint8_t)port}, dp[2] = {1, 187};

	if (v6)
		memcpy(p,
			(const uint8_t[]){0x60, 0, 0, 0, (uint8_t)((20 + len) >> 8),
				(uint8_t)(20 + len), 6, 64},
			8);
	memcpy(src, addr[!from_client] + 16 - alen, alen);
	memcpy(src + alen, addr[from_client] + 16 - alen, alen);
	memcpy(tcp, from_client ? sp : dp, 2);
	memcpy(tcp + 2, from_client ? dp : sp, 2);
	for (int i = 0; i < 4; i++) {
		tcp[4 + i] = (uint8_t)(seq >> (24 - 8 * i));
		tcp[8 + i] = (uint8_t)(ack >> (24 - 8 * i));
	}
	tcp[12] = 0x50;
	tcp[13] = flags;
	tcp[14] = tcp[15] = 0xff;
	if (len)
		memcpy(tcp + 20, data, len);
	rig_frame(r, PSI_LINK_RAW, p, ip + 20 + len, ip + 20 + len, 0);
	if (r->now_ns)
		r->now_ns += 1000000;
}

#endif
