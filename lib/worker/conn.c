/* SPDX-License-Identifier: BSD-3-Clause */
/* A connection from its first packet to its records: payload goes through the stream to the TLS parser, or, once the
 * handshake is decided, to the skimmer that reads record headers only. */
#include "worker_pvt.h"

#include <rte_prefetch.h>

#define HOLE_MAX (1u << 24) /* what the stream takes at once */

/* So that the begin of a thin flow is told, roughly, though it does not remember it: every mark_step-th of all, and
 * every second of them forgotten when there are too many. */
static void
mark(struct psi_worker *w, uint64_t ts_ns)
{
	uint32_t n = 0;

	if (w->next_id & (w->mark_step - 1))
		return;
	if (w->mark_cnt == PSI_COUNT(w->mark)) {
		w->mark_step *= 2;
		for (uint32_t i = 0; i < w->mark_cnt; i++)
			if (!(w->mark[i].id & (w->mark_step - 1)))
				w->mark[n++] = w->mark[i];
		w->mark_cnt = n;
		if (w->next_id & (w->mark_step - 1))
			return;
	}
	w->mark[w->mark_cnt].id = w->next_id;
	w->mark[w->mark_cnt++].ns = ts_ns;
}

void
conn_count(struct conn *c, const struct psi_pkt *p, uint32_t wire_len, uint64_t ts_ns)
{
	c->pkts[p->sender]++;
	c->bytes[p->sender] += wire_len;
	if (ts_ns > c->last_ns)
		c->last_ns = ts_ns;
}

struct conn *
conn_open(struct psi_worker *w, struct psi_flow *f, const struct psi_pkt *p, uint64_t ts_ns)
{
	uint32_t i = psi_pool_take(&w->conns);
	struct conn *c;

	if (i == PSI_POOL_NONE) {
		if (p->payload_len) {
			psi_stat_inc(&w->stats, PSI_STAT_flow_no_conn_room);
			psi_flow_set_state(w->flows, f, PSI_FLOW_OTHER);
		}
		return NULL;
	}
	c = psi_pool_at(&w->conns, i);
	memset(c, 0, sizeof(*c));
	c->flow = f;
	c->id = (uint64_t)w->cfg.id << 48 | ++w->next_id;
	c->start_ns = c->last_ns = ts_ns;
	mark(w, ts_ns);
	c->hs = c->next = c->prev = PSI_POOL_NONE;
	c->first = *p;
	c->client = c->syn_side = -1;
	if (p->tcp_flags & TCP_SYN)
		c->syn_side = (int8_t)(p->tcp_flags & TCP_ACK ? !p->sender : p->sender);
	f->cold = i;
	return c;
}

/* A connection's handshake state, made at its first payload. */
static struct hs *
hs_open(struct psi_worker *w, struct conn *c)
{
	struct hs *h;

	c->hs = psi_pool_take(&w->hss);
	if (c->hs == PSI_POOL_NONE)
		return NULL;
	h = psi_pool_at(&w->hss, c->hs);
	psi_tls_start_init(&h->start);
	psi_tls_init(&h->tls);
	h->chain[0] = h->chain[1] = PSI_POOL_NONE;
	h->begun = 0;
	memset(h->has_chain, 0, sizeof(h->has_chain));
	memset(h->chain_cut, 0, sizeof(h->chain_cut));
	return h;
}

static void
hs_close(struct psi_worker *w, struct conn *c)
{
	struct hs *h = hs_of(w, c);

	if (!h)
		return;
	chain_drop(w, h);
	psi_pool_give(&w->hss, c->hs);
	c->hs = PSI_POOL_NONE;
}

/* ---- the stream's sink ---- */

/* TLS bytes of a side. Returns how many behind them need not be seen. */
static uint32_t
to_tls(struct psi_worker *w, struct hs *h, unsigned int side, const uint8_t *p, uint32_t len,
	uint64_t ts_ns)
{
	uint32_t skip = 0;

	if (len && psi_tls_push(&h->tls, side, p, len, ts_ns, &chain_tls_ops, w, &skip) ==
			   PSI_E_NOT_TLS)
		w->cur->not_tls |= (uint8_t)(1 << side);
	return skip;
}

/* Bytes of a side whose TLS has not begun yet: another protocol may stand in front. */
static uint32_t
to_start(struct psi_worker *w, struct hs *h, unsigned int side, const uint8_t *p, uint32_t len,
	uint64_t ts_ns)
{
	const uint8_t *held;
	uint32_t consumed, n;

	switch (psi_tls_start_push(&h->start, side, p, len, &consumed)) {
	case PSI_OK: break;
	case PSI_E_AGAIN: return 0;
	default:
		if (h->tls.messages) /* one side is TLS: what the other says is for the parser to judge */
			return to_tls(w, h, side, p, len, ts_ns);
		w->cur->not_tls = 3;
		return 0;
	}
	h->begun |= (uint8_t)(1 << side);
	if (psi_tls_start_plain(&h->start))
		h->tls.note |= PSI_TLS_STARTTLS;
	n = psi_tls_start_held(&h->start, side, &held);
	to_tls(w, h, side, held, n, ts_ns);
	return to_tls(w, h, side, p + consumed, len - consumed, ts_ns);
}

static uint32_t
on_data(void *ctx, unsigned int side, const uint8_t *p, uint32_t len, void *ref, uint64_t ts_ns)
{
	struct psi_worker *w = ctx;
	struct hs *h = hs_of(w, w->cur);

	if (!h)
		return psi_tls_skim_push(&w->cur->skim.side[side], p, len);
	w->cur_ref = ref;
	if (h->begun >> side & 1)
		return to_tls(w, h, side, p, len, ts_ns);
	return to_start(w, h, side, p, len, ts_ns);
}

static uint32_t
on_gap(void *ctx, unsigned int side, uint32_t len, uint64_t ts_ns)
{
	struct psi_worker *w = ctx;
	struct hs *h = hs_of(w, w->cur);
	uint32_t skip = 0;

	if (!h)
		return psi_tls_skim_gap(&w->cur->skim.side[side]);
	if (!(h->begun >> side & 1)) {
		int rc = psi_tls_start_gap(&h->start, side, len);

		if (rc == PSI_E_NOT_TLS && !h->tls.messages)
			w->cur->not_tls = 3;
		if (rc != PSI_OK)
			return 0;
		h->begun |= (uint8_t)(1 << side);
	}
	if (psi_tls_gap(&h->tls, side, len, ts_ns, &chain_tls_ops, w, &skip) == PSI_E_NOT_TLS)
		w->cur->not_tls |= (uint8_t)(1 << side);
	return skip;
}

static void
hold(void *ref)
{
	rte_mbuf_refcnt_update((struct rte_mbuf *)ref, 1);
}

static void
release(void *ref)
{
	rte_pktmbuf_free_seg((struct rte_mbuf *)ref);
}

const struct psi_stream_ops conn_stream_ops = {
	.data = on_data, .gap = on_gap, .hold = hold, .release = release};

/* ---- what payload leads to ---- */

static void
linger_unlink(struct psi_worker *w, struct conn *c)
{
	if (c->prev == PSI_POOL_NONE)
		w->linger_first = c->next;
	else
		((struct conn *)psi_pool_at(&w->conns, c->prev))->next = c->next;
	if (c->next == PSI_POOL_NONE)
		w->linger_last = c->prev;
	else
		((struct conn *)psi_pool_at(&w->conns, c->next))->prev = c->prev;
	c->lingers = 0;
}

/* Nothing of it is kept any more but the hot entry. */
static void
forget(struct psi_worker *w, struct conn *c)
{
	if (c->lingers)
		linger_unlink(w, c);
	psi_stream_clear(w->streams, &c->stream);
	hs_close(w, c);
	psi_pool_give(&w->conns, c->flow->cold);
	c->flow->cold = PSI_FLOW_COLD_NONE;
}

/* Not to be followed any further. A closed flow stays closed. */
static void
set_other(struct psi_worker *w, struct conn *c)
{
	if (c->flow->state != PSI_FLOW_CLOSED)
		psi_flow_set_state(w->flows, c->flow, PSI_FLOW_OTHER);
}

/* Not TLS: forgotten, unless such flows are to be told as well. */
static void
give_up(struct psi_worker *w, struct conn *c)
{
	psi_stat_inc(&w->stats, PSI_STAT_flow_not_tls);
	set_other(w, c);
	if (!w->cfg.report_other) {
		forget(w, c);
		return;
	}
	psi_stream_clear(w->streams, &c->stream);
	hs_close(w, c);
}

/* The handshake is told, and its state given back; from here on record headers are all that is read. */
static void
decided(struct psi_worker *w, struct conn *c, struct hs *h)
{
	record_make(w, c, PSI_REC_HANDSHAKE, PSI_WHY_OPEN);
	psi_tls_skim_init(&c->skim, &h->tls);
	hs_close(w, c);
	psi_flow_set_state(w->flows, c->flow, PSI_FLOW_ESTABLISHED);
}

static void
set_tls(struct psi_worker *w, struct conn *c)
{
	if (!c->is_tls)
		psi_stat_inc(&w->stats, PSI_STAT_flow_tls);
	c->is_tls = 1;
}

/* What the bytes so far tell of the flow. */
static enum psi_tls_phase
recognise(struct psi_worker *w, struct conn *c, const struct hs *h)
{
	enum psi_tls_phase phase = psi_tls_phase(&h->tls);

	if (h->tls.client >= 0)
		c->client = h->tls.client;
	if (phase != PSI_TLS_PHASE_UNKNOWN)
		set_tls(w, c);
	return phase;
}

static void
judge(struct psi_worker *w, struct conn *c)
{
	struct hs *h = hs_of(w, c);
	enum psi_tls_phase phase;

	if (!h)
		return;
	phase = recognise(w, c, h);
	if (!c->is_tls) {
		if (c->not_tls)
			give_up(w, c);
		return;
	}
	if (!c->lingers && phase == PSI_TLS_PHASE_DECIDED)
		decided(w, c, h);
}

/* There is no room to read a handshake. A flow that begins as TLS does (RFC 8446 section 5.1) is kept to be told with
 * its ends and counts, and nothing else; of another nothing can be said. */
static void
no_hs_room(struct psi_worker *w, struct conn *c, const struct rte_mbuf *m, const struct psi_pkt *p)
{
	const uint8_t *b = rte_pktmbuf_mtod_offset(m, const uint8_t *, p->payload_off);
	bool there = p->payload_cap >= 6 && p->payload_off + 6u <= m->data_len;

	psi_stat_inc(&w->stats, PSI_STAT_flow_no_handshake_room);
	set_other(w, c);
	if (!there || b[0] != PSI_CT_HANDSHAKE || b[1] != 3 || (b[5] != 1 && b[5] != 2)) {
		forget(w, c);
		return;
	}
	set_tls(w, c);
	c->no_room = 1;
	c->client = (int8_t)(b[5] == 1 ? p->sender : !p->sender); /* ClientHello or ServerHello */
}

/* What is missing of an established connection was dropped here and will not come. */
static void
skip_hole(struct psi_worker *w, struct conn *c, unsigned int side, uint32_t seq, uint64_t ts_ns)
{
	const struct psi_stream_side *s = &c->stream.side[side];

	while (s->note & PSI_STREAM_STARTED && (int32_t)(seq - s->next) > 0) {
		uint32_t from = s->next;

		psi_stream_missing(w->streams, &c->stream, side, from,
			PSI_MIN(seq - from, HOLE_MAX), ts_ns, w);
		if (s->next == from)
			break;
	}
}

void
conn_payload(struct psi_worker *w, struct conn *c, struct rte_mbuf *m, const struct psi_pkt *p,
	uint64_t ts_ns)
{
	uint32_t off = p->payload_off, left = p->payload_cap;
	struct psi_seg seg = {.seq = p->tcp_seq + !!(p->tcp_flags & TCP_SYN), .ts_ns = ts_ns};

	if (c->flow->state == PSI_FLOW_OTHER || c->no_room || (c->not_tls && !c->is_tls))
		return;
	if (c->flow->state == PSI_FLOW_HALF_OPEN)
		psi_flow_set_state(w->flows, c->flow, PSI_FLOW_HANDSHAKE);
	if (c->hs == PSI_POOL_NONE && !c->told && !hs_open(w, c)) {
		no_hs_room(w, c, m, p);
		return;
	}
	w->cur = c;
	w->cur_ns = ts_ns;
	if (c->told && c->hs == PSI_POOL_NONE && shed_lately(&w->shed, &p->tuple, w->now_ns))
		skip_hole(w, c, p->sender, seg.seq, ts_ns);
	for (; m && left; m = m->next) {
		if (off >= m->data_len) {
			off -= m->data_len;
			continue;
		}
		seg.p = rte_pktmbuf_mtod_offset(m, const uint8_t *, off);
		seg.len = PSI_MIN(left, m->data_len - off);
		seg.ref = m;
		psi_stream_push(w->streams, &c->stream, p->sender, &seg, w);
		seg.seq += seg.len;
		left -= seg.len;
		off = 0;
	}
	if (p->payload_len > p->payload_cap)
		psi_stream_missing(w->streams, &c->stream, p->sender, seg.seq,
			p->payload_len - p->payload_cap, ts_ns, w);
	judge(w, c);
}

/* Time has moved on while segments wait for a hole to fill. */
void
conn_tick(struct psi_worker *w, struct conn *c, uint64_t ts_ns)
{
	if (c->flow->state == PSI_FLOW_OTHER)
		return;
	w->cur = c;
	w->cur_ns = ts_ns;
	psi_stream_tick(w->streams, &c->stream, ts_ns, w);
	judge(w, c);
}

/* ---- the end ---- */

/* Both sides said FIN, or one reset. What the flow shows is told at once; its end a little later, so that stragglers
 * (an alert behind a reset, a reset behind a FIN) are still told with it. */
void
conn_closing(struct psi_worker *w, struct conn *c, uint64_t ts_ns)
{
	uint32_t i = c->flow->cold;

	if (c->lingers)
		return;
	if (c->is_tls && !c->told)
		record_make(w, c, PSI_REC_HANDSHAKE, PSI_WHY_OPEN);
	psi_flow_set_state(w->flows, c->flow, PSI_FLOW_CLOSED);
	c->lingers = 1;
	c->closed_ns = ts_ns;
	c->next = PSI_POOL_NONE;
	c->prev = w->linger_last;
	if (w->linger_last == PSI_POOL_NONE)
		w->linger_first = i;
	else
		((struct conn *)psi_pool_at(&w->conns, w->linger_last))->next = i;
	w->linger_last = i;
}

/* A closed flow ended as it was closed, whatever makes it be forgotten. */
static enum psi_rec_why
conn_closed_why(const struct conn *c)
{
	return c->first_rst ? PSI_WHY_RST : PSI_WHY_FIN;
}

/* Tells the end and gives everything back but the hot entry. What waited for a hole to fill is read first. */
void
conn_end(struct psi_worker *w, struct conn *c, enum psi_rec_why why)
{
	w->cur = c;
	w->cur_ns = c->last_ns;
	if (c->hs != PSI_POOL_NONE || c->told)
		psi_stream_flush(w->streams, &c->stream, c->last_ns, w);
	if (c->hs != PSI_POOL_NONE)
		recognise(w, c, hs_of(w, c));
	if (c->lingers)
		why = conn_closed_why(c);
	if (c->is_tls || (w->cfg.report_other && c->not_tls))
		record_make(w, c,
			PSI_REC_END | (c->hs != PSI_POOL_NONE || !c->told ? PSI_REC_HANDSHAKE : 0),
			why);
	forget(w, c);
}

/* Lingering connections have not been looked at for long: while one is told of, the next one's entry is asked for, and
 * the whole of that behind it. */
static void
ask_ahead(struct psi_worker *w, const struct conn *c)
{
	if (c->next == PSI_POOL_NONE)
		return;
	c = psi_pool_at(&w->conns, c->next);
	rte_prefetch0(c->flow);
	if (c->next == PSI_POOL_NONE)
		return;
	c = psi_pool_at(&w->conns, c->next);
	for (size_t off = 0; off < sizeof(*c); off += 64)
		rte_prefetch0((const uint8_t *)c + off);
}

void
conn_linger_expire(struct psi_worker *w, bool all)
{
	uint64_t limit = (uint64_t)w->cfg.linger_ms * 1000000u;

	while (w->linger_first != PSI_POOL_NONE) {
		struct conn *c = psi_pool_at(&w->conns, w->linger_first);

		if (!all && w->now_ns - c->closed_ns <= limit)
			return;
		ask_ahead(w, c);
		conn_end(w, c, PSI_WHY_OPEN);
	}
}
