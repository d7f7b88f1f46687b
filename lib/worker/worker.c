/* SPDX-License-Identifier: BSD-3-Clause */
/* A burst, in stages: decode all, ask for all buckets, ask for all entries, then act packet by packet. */
#include "worker_pvt.h"

#include <netinet/in.h>
#include <rte_prefetch.h>

#define AHEAD	   4 /* packets whose headers are asked for before they are read */
#define CONN_AHEAD 6 /* the same for connections */
#define HS_AHEAD   3 /* and for what these point to */

/* What each result of the decoder counts as. */
static const enum psi_stat rc_stat[SHED_RC_CNT] = {
	[PSI_NET_TCP] = PSI_STAT_pkt_tcp,
	[PSI_NET_UDP] = PSI_STAT_pkt_udp,
	[PSI_NET_FRAGMENT] = PSI_STAT_pkt_fragment,
	[PSI_NET_OTHER_IP] = PSI_STAT_pkt_other_ip,
	[PSI_NET_NOT_IP] = PSI_STAT_pkt_not_ip,
	[PSI_NET_SHORT] = PSI_STAT_pkt_drop_short,
	[PSI_NET_MALFORMED] = PSI_STAT_pkt_drop_malformed,
	[PSI_NET_DEPTH] = PSI_STAT_pkt_drop_depth,
	[SHED_BULK] = PSI_STAT_pkt_drop_shed_bulk,
	[SHED_FRAGMENT] = PSI_STAT_pkt_drop_shed_fragment,
	[SHED_NEW] = PSI_STAT_pkt_drop_shed_new,
};

/* How a flow ended that is only waiting to be forgotten. */
static enum psi_stat
closed_stat(const struct psi_flow *f)
{
	return f->flags & FLOW_RST ? PSI_STAT_flow_closed_rst : PSI_STAT_flow_closed_fin;
}

/* The table gives up an entry by itself. */
void
worker_flow_gone(void *ctx, struct psi_flow *f, enum psi_flow_why why)
{
	static const struct {
		enum psi_stat stat;
		enum psi_rec_why why;
	} by[] = {
		[PSI_FLOW_WHY_IDLE] = {PSI_STAT_flow_closed_idle, PSI_WHY_IDLE},
		[PSI_FLOW_WHY_EVICTED] = {PSI_STAT_flow_closed_evicted, PSI_WHY_EVICTED},
		[PSI_FLOW_WHY_STOP] = {PSI_STAT_flow_closed_stop, PSI_WHY_STOP},
	};
	struct psi_worker *w = ctx;
	struct conn *c = conn_of(w, f);

	psi_stat_inc(&w->stats, f->state == PSI_FLOW_CLOSED ? closed_stat(f) : by[why].stat);
	if (c)
		conn_end(w, c, by[why].why);
	else if (f->flags & FLOW_THIN)
		thin_end(w, f, by[why].why);
}

static inline void
set_now(struct psi_worker *w, uint64_t ns)
{
	if (ns <= w->now_ns)
		return;
	w->now_ns = ns;
	if (ns - w->ms_ns < 1000000u)
		return;
	w->now_ms = ns / 1000000u;
	w->ms_ns = w->now_ms * 1000000u;
}

/* Timeouts follow packet time. Every second of it the whole table has been looked at once, a share a burst. */
static void
age(struct psi_worker *w)
{
	uint64_t ms = (w->now_ns - w->aged_ns) / 1000000u;

	conn_linger_expire(w, false);
	if (!ms)
		return;
	w->aged_ns = w->now_ns;
	psi_frag_expire(w->frags, w->now_ns);
	if (ms >= 1000)
		psi_flow_age_all(w->flows, w->now_ms);
	else
		psi_flow_age(w->flows, w->now_ms,
			(uint32_t)((uint64_t)psi_flow_buckets(w->flows) * ms / 1000u) + 1);
}

/* A flow that is not followed: it only waits for its end. */
static void
other_packet(struct psi_worker *w, struct psi_flow *f, const struct psi_pkt *p)
{
	if (p->tcp_flags & TCP_FIN)
		f->flags |= (uint8_t)(FLOW_FIN_0 << p->sender);
	if (p->tcp_flags & TCP_RST)
		f->flags |= FLOW_RST;
	if (f->state != PSI_FLOW_CLOSED &&
		((f->flags & FLOW_RST) ||
			(f->flags & (FLOW_FIN_0 | FLOW_FIN_1)) == (FLOW_FIN_0 | FLOW_FIN_1)))
		psi_flow_set_state(w->flows, f, PSI_FLOW_CLOSED);
}

static void
fin(struct psi_worker *w, struct conn *c, const struct psi_pkt *p, uint64_t ts_ns)
{
	unsigned int side = p->sender;

	psi_stream_fin(&c->stream, side, p->tcp_seq + p->payload_len + !!(p->tcp_flags & TCP_SYN));
	c->flow->flags |= (uint8_t)(FLOW_FIN_0 << side);
	if (!c->first_fin)
		c->first_fin = (uint8_t)(1 + side);
	if (!c->fin_ns[side])
		c->fin_ns[side] = ts_ns;
	if (c->fin_ns[0] && c->fin_ns[1])
		conn_closing(w, c, ts_ns);
}

static void
rst(struct psi_worker *w, struct conn *c, const struct psi_pkt *p, uint64_t ts_ns)
{
	unsigned int side = p->sender;

	if (!psi_stream_rst_valid(&c->stream, side, p->tcp_seq)) {
		psi_stat_inc(&w->stats, PSI_STAT_rst_ignored);
		return;
	}
	c->flow->flags |= FLOW_RST;
	if (!c->first_rst)
		c->first_rst = (uint8_t)(1 + side);
	if (!c->rst_ns[side])
		c->rst_ns[side] = ts_ns;
	conn_closing(w, c, ts_ns);
}

/* Replaces f, whose ports began a new connection. */
static void
reused(struct psi_worker *w, struct psi_flow *f)
{
	struct conn *c = conn_of(w, f);

	if (c)
		conn_end(w, c, PSI_WHY_REUSED);
	psi_stat_inc(&w->stats,
		f->state == PSI_FLOW_CLOSED ? closed_stat(f) : PSI_STAT_flow_closed_reused);
	psi_flow_free(w->flows, f);
}

/* A SYN of a flow that was thin: its number is that of the first one if it may be. */
static void
recall_start(struct conn *c, const struct psi_pkt *p)
{
	struct psi_stream_side *s = &c->stream.side[p->sender];
	uint32_t start = p->tcp_seq + 1;

	if ((uint8_t)start == c->start_low[p->sender] && s->high - start <= c->bytes[p->sender])
		s->start = start;
}

/* begins_anew: a SYN that cannot belong to the connection that f was: its ports are used again. The stream is told of
 * a SYN that can. */
static bool
begins_anew(const struct psi_flow *f, struct conn *c, const struct psi_pkt *p)
{
	bool first = !(p->tcp_flags & (TCP_ACK | TCP_RST));

	if (!(p->tcp_flags & TCP_SYN))
		return false;
	if (c && c->woken)
		recall_start(c, p);
	if (!c)
		return first && (f->state == PSI_FLOW_CLOSED || f->state == PSI_FLOW_OTHER);
	if (first && c->lingers && p->tcp_seq + 1 != c->stream.side[p->sender].start)
		return true;
	return !psi_stream_syn(&c->stream, p->sender, p->tcp_seq);
}

/* Whether a packet of no known flow opens one. What a SYN tells is in its connection, and it gets that only while there
 * is plenty of room: a flood must not take it all. An entry without one would hold nothing that payload does not bring. */
static inline bool
opens(const struct psi_worker *w, const struct psi_pkt *p)
{
	return p->payload_len || (p->tcp_flags & TCP_SYN && w->conns.used < w->conns.cnt / 2);
}

/* The entry of a packet's flow: f if it has one, else made if the packet is worth it; NULL if it is not or there is no
 * room. */
static struct psi_flow *
flow_of(struct psi_worker *w, struct psi_flow *f, const struct psi_pkt *p, uint32_t hash,
	uint64_t ts_ns)
{
	struct conn *c = f ? conn_of(w, f) : NULL;
	bool made = false;

	if (f && begins_anew(f, c, p)) {
		reused(w, f);
		f = NULL;
	}
	if (f)
		return f;
	if (!opens(w, p)) {
		psi_stat_inc(&w->stats, PSI_STAT_pkt_no_flow);
		return NULL;
	}
	f = psi_flow_get(w->flows, &p->tuple, hash,
		p->payload_len ? PSI_FLOW_HANDSHAKE : PSI_FLOW_HALF_OPEN, w->now_ms, &made);
	if (!f)
		return NULL;
	psi_stat_inc(&w->stats, PSI_STAT_flow_opened);
	c = conn_open(w, f, p, ts_ns);
	if (c && (p->tcp_flags & TCP_SYN))
		psi_stream_syn(&c->stream, p->sender, p->tcp_seq);
	return f;
}

/* A packet of a flow that is not thin. False when there was no room for its flow. */
static __attribute__((noinline)) bool
followed(struct psi_worker *w, struct psi_flow *f, struct rte_mbuf *m, const struct psi_pkt *p,
	uint32_t hash, uint64_t ts_ns, uint32_t wire_len)
{
	uint64_t no_flow = psi_stat_get(&w->stats, PSI_STAT_pkt_no_flow);
	struct conn *c;

	w->followed++;
	f = flow_of(w, f, p, hash, ts_ns);
	if (!f)
		return psi_stat_get(&w->stats, PSI_STAT_pkt_no_flow) != no_flow;
	psi_flow_touch(f, w->now_ms);
	c = conn_of(w, f);
	if (!c) {
		other_packet(w, f, p);
		return true;
	}
	conn_count(c, p, wire_len, ts_ns);
	if (p->tcp_flags & TCP_ACK)
		psi_stream_ack(&c->stream, p->sender, p->tcp_ack, p->tcp_win);
	if (p->payload_len)
		conn_payload(w, c, m, p, ts_ns);
	else if (psi_unlikely(psi_stream_waiting(&c->stream)))
		conn_tick(w, c, ts_ns);
	c = conn_of(w, f); /* a flow that turned out not to be TLS has none any more */
	if (!c) {
		other_packet(w, f, p);
		return true;
	}
	if (p->tcp_flags & TCP_FIN)
		fin(w, c, p, ts_ns);
	if (p->tcp_flags & TCP_RST)
		rst(w, c, p, ts_ns);
	if (c->told)
		thin_sleep(w, c);
	return true;
}

/* True when the packet was dealt with, false when there was no room for its flow. */
static inline bool
tcp_packet(
	struct psi_worker *w, struct rte_mbuf *m, unsigned int i, uint64_t ts_ns, uint32_t wire_len)
{
	const struct psi_pkt *p = &w->pkt[i];
	struct psi_flow *f = w->likely[i];

	if (psi_unlikely(!psi_flow_is(f, &p->tuple)))
		f = psi_flow_find(w->flows, &p->tuple, w->hash[i]);
	if (psi_likely(f && f->flags & FLOW_THIN)) {
		if (psi_likely(thin_packet(w, f, m, p, ts_ns, wire_len)))
			return true;
		if (!thin_wake(w, f)) {
			thin_blind(w, f, p, ts_ns, wire_len);
			return true;
		}
	}
	return followed(w, f, m, p, w->hash[i], ts_ns, wire_len);
}

/* Too many come: true when this one goes no further. */
static __attribute__((noinline)) bool
shed_decoded(struct psi_worker *w, const struct rte_mbuf *m, unsigned int i)
{
	unsigned int rc = shed_tcp(&w->shed, m, &w->pkt[i], w->now_ns);

	if (rc)
		w->rc[i] = (uint8_t)rc;
	return rc;
}

/* One frame decoded; a fragment is held, or answered with the datagram that it completed, in its place. */
static void
decode(struct psi_worker *w, enum psi_link link, struct rte_mbuf **m, unsigned int i)
{
	struct psi_pkt *p = &w->pkt[i];

	w->rc[i] = (uint8_t)psi_net_decode(link, rte_pktmbuf_mtod(m[i], const uint8_t *),
		m[i]->data_len, m[i]->pkt_len, w->cfg.identity, p);
	if (psi_unlikely(p->note & PSI_PKT_CUT))
		psi_stat_inc(&w->stats, PSI_STAT_pkt_truncated);
	if (psi_unlikely(w->rc[i] == PSI_NET_FRAGMENT && w->shed.level > SHED_SHARES))
		w->rc[i] = SHED_FRAGMENT;
	while (psi_unlikely(w->rc[i] == PSI_NET_FRAGMENT) && m[i]) {
		m[i] = psi_frag_put(w->frags, m[i], p, w->now_ns);
		if (m[i])
			w->rc[i] = (uint8_t)psi_net_decode_joined(
				rte_pktmbuf_mtod(m[i], const uint8_t *), m[i]->data_len,
				m[i]->pkt_len, w->cfg.identity, p);
	}
	if (w->rc[i] == PSI_NET_TCP) {
		if (psi_unlikely(w->shed.level) && !(w->shed.judged >> i & 1) &&
			shed_decoded(w, m[i], i))
			return;
		w->hash[i] = psi_flow_hash(w->flows, &p->tuple);
		psi_flow_prefetch(w->flows, w->hash[i]);
	}
}

/* One packet's turn. Returns 1 for TCP that was dealt with, which is counted by the burst. */
static inline unsigned int
act(struct psi_worker *w, struct rte_mbuf *m, unsigned int i, uint64_t ts_ns, uint32_t wire_len)
{
	set_now(w, ts_ns);
	if (psi_unlikely(w->rc[i] != PSI_NET_TCP)) {
		psi_stat_inc(&w->stats, rc_stat[w->rc[i]]);
		return 0;
	}
	if (psi_unlikely(w->pkt[i].tunnel_cnt))
		psi_stat_inc(&w->stats, PSI_STAT_pkt_tunnel);
	if (psi_likely(tcp_packet(w, m, i, ts_ns, wire_len)))
		return 1;
	psi_stat_inc(&w->stats, PSI_STAT_pkt_drop_flow_full);
	return 0;
}

/* ---- memory asked for early ---- */

/* What a packet's entry has no room for, when it can be no lean one. */
static inline void
ask_thin(struct psi_worker *w, unsigned int i)
{
	const struct psi_pkt *p = &w->pkt[i];

	if (psi_unlikely(!(p->note & PSI_PKT_IPV4) || p->tunnel_cnt))
		__builtin_prefetch(&w->thin[w->likely[i] - w->base], 1);
}

/* The entries of n packets. Those that their own buckets do not know wait until all the others are asked for: by then
 * the tags of the next buckets are there. A flow that is not known, and is not going to be, needs no memory. */
static void
ask_entries(struct psi_worker *w, unsigned int n)
{
	uint8_t far[PSI_WORKER_BURST];
	unsigned int far_cnt = 0;

	for (unsigned int i = 0; i < n; i++) {
		if (w->rc[i] != PSI_NET_TCP)
			continue;
		w->likely[i] = psi_flow_prefetch_entry(w->flows, w->hash[i]);
		if (psi_likely(w->likely[i]))
			ask_thin(w, i);
		else
			far[far_cnt++] = (uint8_t)i;
	}
	for (unsigned int k = 0; k < far_cnt; k++) {
		unsigned int i = far[k];

		w->likely[i] = psi_flow_prefetch_far(w->flows, w->hash[i], opens(w, &w->pkt[i]));
		if (w->likely[i])
			ask_thin(w, i);
		else
			w->likely[i] = &w->nobody;
	}
}

static inline void
ask_mem(const void *p, size_t len)
{
	for (size_t off = 0; off < len; off += 64)
		rte_prefetch0((const uint8_t *)p + off);
}

/* What packet i will need behind its flow's entry, which is there by now. A thin flow needs no more. */
static inline void
ask_conn(struct psi_worker *w, unsigned int i)
{
	const struct psi_pkt *p = &w->pkt[i];
	const struct psi_flow *f = w->likely[i];
	bool ends = p->tcp_flags & (TCP_FIN | TCP_SYN | TCP_RST);
	const struct conn *c;

	if (f->flags & FLOW_THIN)
		return;
	c = conn_of(w, f);
	if (c)
		ask_mem(c, CONN_HOT);
	if (c && (ends || p->payload_len))
		psi_flow_prefetch_state(w->flows, f);
}

/* The same behind its connection: the handshake that its payload goes on with. */
static inline void
ask_hs(struct psi_worker *w, unsigned int i)
{
	const struct conn *c = w->pkt[i].payload_len ? conn_of(w, w->likely[i]) : NULL;
	const struct hs *h = c ? hs_of(w, c) : NULL;

	if (!h)
		return;
	ask_mem(h, HS_HOT);
	ask_mem(&h->tls.side[w->pkt[i].sender], sizeof(h->tls.side[0]));
}

/* In the burst, a few packets before their turn. */
static inline void
ask_ahead(struct psi_worker *w, unsigned int i, unsigned int n)
{
	unsigned int conn = i + CONN_AHEAD, hs = i + HS_AHEAD;

	if (conn < n && w->rc[conn] == PSI_NET_TCP)
		ask_conn(w, conn);
	if (hs < n && w->rc[hs] == PSI_NET_TCP)
		ask_hs(w, hs);
}

/* ---- a burst ---- */

/* Nobody else holds it, and it is of one piece: what its second cache line says is known. */
static inline bool
is_plain(const struct rte_mbuf *m)
{
	return m->nb_segs == 1 && rte_mbuf_refcnt_read(m) == 1 && RTE_MBUF_DIRECT(m);
}

/* Gives packets back to their pool many at a time, and most without reading their second cache line. */
void
worker_give_back(struct rte_mbuf **m, unsigned int n)
{
	struct rte_mempool *pool = NULL;
	void *plain[PSI_WORKER_BURST];
	unsigned int cnt = 0;

	for (unsigned int i = 0; i < n; i++) {
		if (psi_unlikely(!m[i])) /* a fragment, held */
			continue;
		if (psi_unlikely(!is_plain(m[i]))) {
			rte_pktmbuf_free(m[i]);
			continue;
		}
		if (psi_unlikely(m[i]->pool != pool)) {
			if (cnt)
				rte_mempool_put_bulk(pool, plain, cnt);
			pool = m[i]->pool;
			cnt = 0;
		}
		plain[cnt++] = m[i];
	}
	if (cnt)
		rte_mempool_put_bulk(pool, plain, cnt);
}

void
psi_worker_burst(struct psi_worker *w, enum psi_link link, struct rte_mbuf **m,
	const uint64_t *ts_ns, const uint32_t *wire_len, uint16_t n)
{
	bool ahead = w->followed != 0; /* while all flows are thin it would bring nothing */
	unsigned int tcp = 0;
	uint64_t bytes = 0;

	PSI_ASSERT(n <= PSI_WORKER_BURST, "a burst is at most PSI_WORKER_BURST packets");
	if (!n)
		return;
	set_now(w, ts_ns[0]);
	if (!w->aged_ns)
		w->aged_ns = w->now_ns;
	age(w);
	w->shed.judged = 0;
	if (psi_unlikely(w->shed.level && link == PSI_LINK_ETHERNET))
		n = shed_burst(w, m, &ts_ns, &wire_len, n);
	for (unsigned int i = 0; i < n; i++) {
		if (i + AHEAD < n)
			rte_prefetch0(rte_pktmbuf_mtod(m[i + AHEAD], const void *));
		decode(w, link, m, i);
		bytes += wire_len[i];
	}
	ask_entries(w, n);
	w->followed = 0;
	for (unsigned int i = 0; i < n; i++) {
		if (psi_unlikely(ahead))
			ask_ahead(w, i, n);
		if (m[i]) /* else a fragment, counted by frag; a time of 0 stands for "never" from here on */
			tcp += act(w, m[i], i, PSI_MAX(ts_ns[i], 1u), wire_len[i]);
	}
	psi_stat_add(&w->stats, PSI_STAT_pkt_rx, n);
	psi_stat_add(&w->stats, PSI_STAT_pkt_rx_bytes, bytes);
	psi_stat_add(&w->stats, PSI_STAT_pkt_tcp, tcp);
	worker_give_back(m, n);
}

void
psi_worker_idle(struct psi_worker *w, uint64_t now_ns)
{
	if (!w->aged_ns) /* nothing came yet, so there is nothing to age */
		return;
	set_now(w, now_ns);
	age(w);
}

void *
out_reserve(struct psi_worker *w, uint32_t len)
{
	void *p = psi_handoff_reserve(w->out, len);

	while (!p && w->full && w->full(w->full_ctx))
		p = psi_handoff_reserve(w->out, len);
	return p;
}
