/* SPDX-License-Identifier: BSD-3-Clause */
/* An established flow: all that is kept of it lies in its entry, if it is IPv4 outside of tunnels, else there and in 32
 * bytes beside it; a packet of it that holds no surprise touches nothing else. What cannot be written there, or is not what such a flow does all day (a hole, a
 * segment out of turn, a header cut in two, an alert, FIN, RST, SYN, counters that overflow), makes it a connection
 * with all its parts again (thin_wake), which goes to sleep (thin_sleep) when it fits once more.
 *
 * What a sleeping flow no longer knows, and what it is taken to be:
 *  - how far each side has acknowledged: not beyond the highest byte seen of the other, which is a surprise;
 *  - the last windows announced: as large as they get without scaling (they only bound which RST is believed);
 *  - the first sequence number: its low byte, and that it lies no further back than bytes were sent;
 *  - its tags and tunnels but those of its tuple, and when it began but for the moments in w->mark: the record of its
 *    handshake told, and the collector remembers. */
#include "worker_pvt.h"

/* struct thin_side.dir: bytes on the wire; what of them is neither TCP header of 54 bytes (Ethernet, IPv4, TCP) nor
 * application data, signed, because a record is counted when its header comes; bytes of the record at hand that are
 * still to come; whether the place of the next record header is not known. */
enum {
	BYTES_BITS = 27,
	EXCESS_BITS = 21,
	LAG_BITS = 15,
	EXCESS_AT = BYTES_BITS,
	LAG_AT = EXCESS_AT + EXCESS_BITS,
	LOST_AT = LAG_AT + LAG_BITS,
	HEADERS = 54,
};
_Static_assert(LOST_AT == 63, "a direction is 64 bits");

/* struct psi_flow.word, over state and flags: microseconds of the last packet, and each side's packets. */
enum {
	US_AT = 16,
	US_BITS = 10,
	PKTS_AT = US_AT + US_BITS,
	PKTS_BITS = 19,
};
_Static_assert(PKTS_AT + 2 * PKTS_BITS == 64, "state, flags, microseconds and both counts");
_Static_assert(
	__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "state and flags are the low bytes of word");

#define MASK(bits) ((UINT64_C(1) << (bits)) - 1)

enum {
	ACK_BACK =
		32768, /* how far back an acknowledgment is taken to be: half of the window below */
	WINDOW = 65535,
	SEG_MAX = 65535,
	GAP_MAX = 1 << 24, /* dropped by ourselves: a larger one is a surprise */
};

static inline struct thin_side *
side_of(struct psi_worker *w, struct psi_flow *f, unsigned int side)
{
	void *base = f->flags & PSI_FLOW_LEAN ? (void *)f : (void *)&w->thin[f - w->base];

	return (struct thin_side *)base + side;
}

/* Where the parts of struct thin_more are. */
static void
more_at(struct psi_worker *w, struct psi_flow *f, uint32_t *part[THIN_MORE])
{
	part[0] = &side_of(w, f, 0)->more;
	part[1] = &side_of(w, f, 1)->more;
	part[2] = f->flags & PSI_FLOW_LEAN ? &f->lean.user : &side_of(w, f, 0)->last;
}

static struct thin_more
more_read(struct psi_worker *w, struct psi_flow *f)
{
	uint32_t *part[THIN_MORE], v[THIN_MORE];
	struct thin_more more;

	more_at(w, f, part);
	for (unsigned int i = 0; i < THIN_MORE; i++)
		v[i] = *part[i];
	memcpy(&more, v, sizeof(more));
	return more;
}

static void
more_write(struct psi_worker *w, struct psi_flow *f, const struct thin_more *more)
{
	uint32_t *part[THIN_MORE], v[THIN_MORE];

	more_at(w, f, part);
	memcpy(v, more, sizeof(v));
	for (unsigned int i = 0; i < THIN_MORE; i++)
		*part[i] = v[i];
}

/* One direction, unpacked. */
struct dir {
	uint32_t bytes, lag;
	int32_t excess;
	uint32_t lost;
};

static inline struct dir
dir_read(uint64_t v)
{
	return (struct dir){.bytes = (uint32_t)(v & MASK(BYTES_BITS)),
		.excess = (int32_t)((int64_t)(v << (64 - LAG_AT)) >> (64 - EXCESS_BITS)),
		.lag = (uint32_t)(v >> LAG_AT & MASK(LAG_BITS)),
		.lost = (uint32_t)(v >> LOST_AT)};
}

static inline uint64_t
dir_write(const struct dir *d)
{
	return d->bytes | ((uint64_t)(int64_t)d->excess & MASK(EXCESS_BITS)) << EXCESS_AT |
	       (uint64_t)d->lag << LAG_AT | (uint64_t)d->lost << LOST_AT;
}

static inline bool
dir_fits(int64_t bytes, int64_t excess, uint32_t lag)
{
	return bytes <= (int64_t)MASK(BYTES_BITS) && excess < 1 << (EXCESS_BITS - 1) &&
	       excess >= -(1 << (EXCESS_BITS - 1)) && lag <= MASK(LAG_BITS);
}

static inline uint32_t
pkts_at(unsigned int side)
{
	return PKTS_AT + PKTS_BITS * side;
}

static inline uint32_t
pkts_of(const struct psi_flow *f, unsigned int side)
{
	return (uint32_t)(f->word >> pkts_at(side) & MASK(PKTS_BITS));
}

/* ---- a packet ---- */

/* The time of the last packet: ts_ns of this one is that of the worker, or a little less. */
static inline uint64_t
with_time(struct psi_worker *w, struct psi_flow *f, uint64_t word, uint64_t ts_ns)
{
	uint32_t us = (uint32_t)(ts_ns - w->ms_ns) / 1000u;

	if (f->last_ms == (uint32_t)w->now_ms && (word >> US_AT & MASK(US_BITS)) >= us)
		return word;
	f->last_ms = (uint32_t)w->now_ms;
	return (word & ~(MASK(US_BITS) << US_AT)) | (uint64_t)us << US_AT;
}

/* A packet of a direction that was v: the record at hand goes on for lag bytes behind next, app bytes of payload began
 * with it. */
static inline bool
count(struct psi_worker *w, struct psi_flow *f, const struct psi_pkt *p, uint64_t ts_ns,
	uint32_t wire_len, uint64_t v, uint32_t next, uint32_t lag, uint32_t lost, uint32_t app)
{
	unsigned int side = p->sender;
	int64_t excess =
		((int64_t)(v << (64 - LAG_AT)) >> (64 - EXCESS_BITS)) + wire_len - HEADERS - app;

	v = (v & MASK(BYTES_BITS)) + wire_len;
	if (psi_unlikely(!dir_fits((int64_t)v, excess, lag)))
		return false;
	side_of(w, f, 0)[side].dir = v | ((uint64_t)excess & MASK(EXCESS_BITS)) << EXCESS_AT |
				     (uint64_t)lag << LAG_AT | (uint64_t)lost << LOST_AT;
	f->user[side] = next;
	f->word = with_time(w, f, f->word, ts_ns) + (UINT64_C(1) << pkts_at(side));
	return true;
}

/* Payload that goes beyond the record at hand, which ends `at` bytes into it: there are headers. lost: where is not known. */
static __attribute__((noinline)) bool
headers(struct psi_worker *w, struct psi_flow *f, const struct rte_mbuf *m, const struct psi_pkt *p,
	uint64_t ts_ns, uint32_t wire_len, uint32_t at, uint8_t lost)
{
	uint64_t v = side_of(w, f, 0)[p->sender].dir;
	struct psi_tls_skim_side skim = {.lost = lost};
	uint32_t len = p->payload_len, lag;

	if (p->payload_cap != len || p->payload_off + len > m->data_len)
		return false;
	lag = psi_tls_skim_push(
		&skim, rte_pktmbuf_mtod_offset(m, const uint8_t *, p->payload_off + at), len - at);
	if (skim.hdr_have || skim.alert_cnt)
		return false;
	return count(w, f, p, ts_ns, wire_len, v, p->tcp_seq + len + lag, lag, skim.lost,
		(uint32_t)skim.app_bytes);
}

static void
count_gap(struct psi_worker *w, struct psi_flow *f, uint32_t gap)
{
	struct thin_more more = more_read(w, f);

	if (more.gaps < MASK(GAPS_BITS)) /* tcp.shed says that counts are too small */
		more.gaps++;
	more_write(w, f, &more);
	psi_stat_inc(&w->stats, PSI_STAT_stream_gap);
	psi_stat_add(&w->stats, PSI_STAT_stream_gap_bytes, gap);
}

/* Under overload packets were dropped here: what comes behind them is not waited for. If it is within the record at hand,
 * its end is still known. A flow that became a conn for it would cost several times what dropping its packets had saved,
 * and the overload would keep itself alive. */
static __attribute__((noinline)) bool
behind_shed(struct psi_worker *w, struct psi_flow *f, const struct rte_mbuf *m,
	const struct psi_pkt *p, uint64_t ts_ns, uint32_t wire_len)
{
	uint64_t v = side_of(w, f, 0)[p->sender].dir;
	uint32_t next = f->user[p->sender], lag = (uint32_t)(v >> LAG_AT & MASK(LAG_BITS));
	uint32_t at = next - p->tcp_seq, gap = p->tcp_seq - next;
	uint8_t lost = (uint8_t)(v >> LOST_AT);

	if (!shed_lately(&w->shed, &p->tuple, w->now_ns) || p->payload_len > SEG_MAX)
		return false;
	if (at && at < lag)
		return p->payload_len > at ? headers(w, f, m, p, ts_ns, wire_len, at, lost)
					   : count(w, f, p, ts_ns, wire_len, v, next,
						     at - p->payload_len, lost, 0);
	if (!gap || gap > GAP_MAX || !headers(w, f, m, p, ts_ns, wire_len, 0, 1))
		return false;
	count_gap(w, f, gap);
	return true;
}

bool
thin_packet(struct psi_worker *w, struct psi_flow *f, const struct rte_mbuf *m,
	const struct psi_pkt *p, uint64_t ts_ns, uint32_t wire_len)
{
	unsigned int side = p->sender;
	const struct thin_side *t = side_of(w, f, 0);
	uint64_t word = f->word, v = t[side].dir, peer = t[!side].dir;
	uint32_t pkts = (uint32_t)(word >> pkts_at(side) & MASK(PKTS_BITS));
	uint32_t next = f->user[side], lag = (uint32_t)(v >> LAG_AT & MASK(LAG_BITS));
	uint32_t peer_high = f->user[!side] - (uint32_t)(peer >> LAG_AT & MASK(LAG_BITS));
	uint32_t at = next - p->tcp_seq;

	if ((p->tcp_flags & (TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK)) != TCP_ACK)
		return false;
	if (!pkts || pkts == MASK(PKTS_BITS))
		return false;
	if (psi_unlikely(ts_ns < w->ms_ns)) /* of an earlier millisecond than the worker's */
		return false;
	if ((int32_t)(p->tcp_ack - peer_high) > 0 && word >> pkts_at(!side) & MASK(PKTS_BITS) &&
		!shed_lately(&w->shed, &p->tuple, w->now_ns))
		return false;
	if (p->payload_len) { /* in turn, or within the record at hand: then it is not looked at */
		if ((at && at != lag) || p->payload_len > SEG_MAX)
			return behind_shed(w, f, m, p, ts_ns, wire_len);
		if (p->payload_len > at)
			return headers(w, f, m, p, ts_ns, wire_len, at, (uint8_t)(v >> LOST_AT));
		lag = at - p->payload_len;
	}
	return count(w, f, p, ts_ns, wire_len, v, next, lag, (uint32_t)(v >> LOST_AT), 0);
}

/* ---- to sleep ---- */

static int64_t
app_of(const struct conn *c, unsigned int side)
{
	return (int64_t)(c->app[side] + c->skim.side[side].app_bytes);
}

static int64_t
excess_of(const struct conn *c, unsigned int side)
{
	return (int64_t)c->bytes[side] - (int64_t)HEADERS * c->pkts[side] - app_of(c, side);
}

static bool
side_fits(const struct psi_worker *w, const struct conn *c, unsigned int side)
{
	const struct psi_stream_side *s = &c->stream.side[side], *peer = &c->stream.side[!side];
	const struct psi_tls_skim_side *k = &c->skim.side[side];

	if (!c->pkts[side]) /* never seen, so there is nothing of it */
		return !s->note && !s->acked && !c->bytes[side] && !app_of(c, side);
	if (!(s->note & PSI_STREAM_STARTED) || s->note & PSI_STREAM_FIN || !s->acked)
		return false;
	if (s->early_cnt || s->hole_ns || k->hdr_have || k->alert_cnt)
		return false;
	if (peer->note & PSI_STREAM_STARTED && (int32_t)(s->ack - peer->high) > 0 &&
		!shed_lately(&w->shed, &c->first.tuple, w->now_ns))
		return false;
	return c->pkts[side] < MASK(PKTS_BITS) && app_of(c, side) <= (int64_t)1 << 40 &&
	       dir_fits((int64_t)c->bytes[side], excess_of(c, side), s->next - s->high);
}

static bool
counts_fit(const struct psi_worker *w, const struct conn *c)
{
	const struct psi_stream_side *a = &c->stream.side[0], *b = &c->stream.side[1];

	return ((uint64_t)a->gap_cnt + b->gap_cnt <= MASK(GAPS_BITS) ||
		       shed_lately(&w->shed, &c->first.tuple, w->now_ns)) &&
	       a->retrans + b->retrans <= (int)MASK(RETRANS_BITS) &&
	       a->ooo + b->ooo <= (int)MASK(OOO_BITS);
}

static bool
fits(const struct psi_worker *w, const struct conn *c)
{
	if (w->awake || !c->told || !c->is_tls || c->no_room || c->hs != PSI_POOL_NONE ||
		c->lingers || c->flow->state != PSI_FLOW_ESTABLISHED || c->flow->flags ||
		c->first_fin || c->first_rst)
		return false;
	return c->last_ns / 1000000u == w->now_ms && (uint32_t)w->now_ms == c->flow->last_ms &&
	       (c->id & MASK(48)) <= MASK(40) && counts_fit(w, c) && side_fits(w, c, 0) &&
	       side_fits(w, c, 1);
}

/* Writes c into entry and arrays. What does not fit is cut: that of a flow that could not be woken. */
static void
pack(struct psi_worker *w, const struct conn *c)
{
	const struct psi_stream_side *a = &c->stream.side[0], *b = &c->stream.side[1];
	struct psi_flow *f = c->flow;
	uint64_t word = c->last_ns / 1000u % 1000u << US_AT;
	struct thin_more more;

	psi_flow_slim(f);
	f->flags |= FLOW_THIN;
	word |= f->state | (uint64_t)f->flags << 8;
	for (unsigned int side = 0; side < 2; side++) {
		const struct psi_stream_side *s = &c->stream.side[side];
		int64_t top = (1 << (EXCESS_BITS - 1)) - 1, excess = excess_of(c, side);
		struct dir d = {.bytes = (uint32_t)PSI_MIN(c->bytes[side], MASK(BYTES_BITS)),
			.excess = (int32_t)PSI_MAX(PSI_MIN(excess, top), -top - 1),
			.lag = s->next - s->high,
			.lost = c->skim.side[side].lost};

		side_of(w, f, side)->dir = dir_write(&d);
		f->user[side] = s->next;
		word |= PSI_MIN((uint64_t)c->pkts[side], MASK(PKTS_BITS)) << pkts_at(side);
	}
	f->word = word;
	more = (struct thin_more){.id_low = (uint32_t)c->id,
		.id_high = (uint8_t)(c->id >> 32),
		.client = (unsigned int)(c->client + 1) & 3,
		.syn_side = (unsigned int)(c->syn_side + 1) & 3,
		.gaps = (uint32_t)PSI_MIN((uint64_t)a->gap_cnt + b->gap_cnt, MASK(GAPS_BITS)) &
			MASK(GAPS_BITS),
		.retrans = (unsigned int)(a->retrans + b->retrans) & MASK(RETRANS_BITS),
		.ooo = (unsigned int)(a->ooo + b->ooo) & MASK(OOO_BITS),
		.note = {a->note, b->note},
		.start_low = {c->start_low[0], c->start_low[1]}};
	more_write(w, f, &more);
}

bool
thin_sleep(struct psi_worker *w, struct conn *c)
{
	uint32_t i = c->flow->cold;

	if (!fits(w, c))
		return false;
	for (unsigned int side = 0; side < 2 && !c->woken; side++)
		c->start_low[side] = (uint8_t)c->stream.side[side].start;
	pack(w, c);
	psi_pool_give(&w->conns, i);
	return true;
}

/* ---- awake again ---- */

/* When the flow of this number began, or a little before. */
static uint64_t
began_ns(const struct psi_worker *w, uint64_t id)
{
	uint32_t lo = 0, hi = w->mark_cnt;

	while (hi - lo > 1) {
		uint32_t mid = (lo + hi) / 2;

		if (w->mark[mid].id <= id)
			lo = mid;
		else
			hi = mid;
	}
	return w->mark_cnt ? w->mark[lo].ns : 0;
}

static uint64_t
last_ns_of(const struct psi_worker *w, const struct psi_flow *f)
{
	uint64_t ms = w->now_ms - (uint32_t)((uint32_t)w->now_ms - f->last_ms);

	return ms * 1000000u + (f->word >> US_AT & MASK(US_BITS)) * 1000u;
}

static void
unpack_side(struct psi_worker *w, struct conn *c, unsigned int side, uint8_t note)
{
	struct psi_flow *f = c->flow;
	struct psi_stream_side *s = &c->stream.side[side], *peer = &c->stream.side[!side];
	struct dir d = dir_read(side_of(w, f, side)->dir);
	int64_t app;

	c->pkts[side] = pkts_of(f, side);
	if (!c->pkts[side])
		return;
	c->bytes[side] = d.bytes;
	app = (int64_t)d.bytes - (int64_t)HEADERS * c->pkts[side] - d.excess;
	c->app[side] = app > 0 ? (uint64_t)app : 0;
	c->skim.side[side].lost = (uint8_t)d.lost;
	s->next = f->user[side];
	s->high = s->next - d.lag;
	s->start = s->high - d.bytes - 1;
	s->note = note;
	if (!pkts_of(f, !side))
		return;
	peer->acked = 1;
	peer->ack = s->high - ACK_BACK;
	peer->win = WINDOW;
}

/* What a tuple tells of the tags and tunnels around it. */
static void
unpack_first(struct psi_pkt *p, const struct psi_tuple *t)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}; /* RFC 4291 section 2.5.5.2 */

	p->tuple = *t;
	p->note = memcmp(t->addr[0], mapped, sizeof(mapped)) ? 0 : PSI_PKT_IPV4;
	p->vlan_cnt = t->vlan != 0;
	p->vlan[0] = t->vlan;
	p->tunnel_cnt = t->tunnel != 0;
	p->tunnel[0].id = t->tunnel_id;
	p->tunnel[0].type = t->tunnel;
}

static void
unpack(struct psi_worker *w, struct psi_flow *f, struct conn *c)
{
	const struct thin_more more = more_read(w, f);
	const struct psi_tuple tuple = psi_flow_tuple(f);
	uint64_t id = (uint64_t)more.id_high << 32 | more.id_low;

	memset(c, 0, sizeof(*c));
	c->flow = f;
	c->id = (uint64_t)w->cfg.id << 48 | id;
	c->start_ns = began_ns(w, id);
	c->last_ns = last_ns_of(w, f);
	c->hs = c->next = c->prev = PSI_POOL_NONE;
	unpack_first(&c->first, &tuple);
	c->client = (int8_t)(more.client - 1);
	c->syn_side = (int8_t)(more.syn_side - 1);
	c->told = c->is_tls = c->woken = 1;
	for (unsigned int side = 0; side < 2; side++) {
		unpack_side(w, c, side, more.note[side]);
		c->start_low[side] = more.start_low[side];
	}
	c->stream.side[0].gap_cnt = more.gaps;
	c->stream.side[0].retrans = more.retrans;
	c->stream.side[0].ooo = more.ooo;
}

/* The entry is as one that never slept. */
static void
leave(struct psi_flow *f, uint32_t cold)
{
	psi_flow_whole(f);
	f->flags &= (uint8_t)~FLOW_THIN;
	f->user16 = 0;
	f->cold = cold;
	f->user[0] = f->user[1] = 0;
}

struct conn *
thin_wake(struct psi_worker *w, struct psi_flow *f)
{
	uint32_t i = psi_pool_take(&w->conns);
	struct conn *c;

	if (i == PSI_POOL_NONE)
		return NULL;
	c = psi_pool_at(&w->conns, i);
	unpack(w, f, c);
	leave(f, i);
	return c;
}

void
thin_end(struct psi_worker *w, struct psi_flow *f, enum psi_rec_why why)
{
	unpack(w, f, &w->scratch);
	leave(f, PSI_FLOW_COLD_NONE);
	record_make(w, &w->scratch, PSI_REC_END, why);
}

uint64_t
thin_id(struct psi_worker *w, struct psi_flow *f)
{
	const struct thin_more more = more_read(w, f);

	return (uint64_t)w->cfg.id << 48 | (uint64_t)more.id_high << 32 | more.id_low;
}

/* FIN or RST of a flow that cannot wait for stragglers: its end is told at once. */
static void
blind_close(struct psi_worker *w, struct conn *c, const struct psi_pkt *p, uint64_t ts_ns)
{
	bool reset = p->tcp_flags & TCP_RST;
	unsigned int side = p->sender;

	if (reset) {
		c->first_rst = (uint8_t)(1 + side);
		c->rst_ns[side] = ts_ns;
	} else {
		c->first_fin = (uint8_t)(1 + side);
		c->fin_ns[side] = ts_ns;
	}
	leave(c->flow, PSI_FLOW_COLD_NONE);
	c->flow->flags |= (uint8_t)(reset ? FLOW_RST : FLOW_FIN_0 << side);
	record_make(w, c, PSI_REC_END, reset ? PSI_WHY_RST : PSI_WHY_FIN);
	psi_flow_set_state(w->flows, c->flow, PSI_FLOW_CLOSED);
}

void
thin_blind(struct psi_worker *w, struct psi_flow *f, const struct psi_pkt *p, uint64_t ts_ns,
	uint32_t wire_len)
{
	struct conn *c = &w->scratch;
	struct psi_stream_side *s = &c->stream.side[p->sender];
	uint32_t end = p->tcp_seq + p->payload_len;

	psi_stat_inc(&w->stats, PSI_STAT_pkt_no_conn_room);
	unpack(w, f, c);
	conn_count(c, p, wire_len, ts_ns);
	psi_flow_touch(f, w->now_ms);
	if (p->tcp_flags & (TCP_FIN | TCP_RST) &&
		psi_stream_rst_valid(&c->stream, p->sender, p->tcp_seq)) {
		blind_close(w, c, p, ts_ns);
		return;
	}
	if (!(s->note & PSI_STREAM_STARTED)) {
		s->note = PSI_STREAM_STARTED | PSI_STREAM_MIDSTREAM;
		s->next = s->high = end;
	} else if (p->payload_len && (int32_t)(end - s->next) > 0) {
		s->next = s->high = end;
		c->skim.side[p->sender].lost = 1;
	}
	pack(w, c);
}
