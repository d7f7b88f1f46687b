/* SPDX-License-Identifier: BSD-3-Clause */
/* Invariants, whenever no function of this file is running, of a side that is STARTED:
 *  - the held segments are in order of sequence, do not overlap, and are never empty;
 *  - each of them begins behind `next`: what is due has been delivered;
 *  - early_cnt is their number; `early` means nothing when it is 0, so that a zero-filled side is a fresh one.
 * psi_stream_syn may move `next` only while nothing is held.
 *
 * Sequence numbers are compared by the sign of their difference (RFC 9293 section 3.4), so all that is compared must
 * lie within 2^31 of each other. What is taken lies in [next - BACK_MAX, next + AHEAD_MAX + LEN_MAX], a FIN not beyond
 * next + AHEAD_MAX, and `high` and fin_seq fall behind `next` by no more than one skip. */
#include "psi_stream.h"

#include "psi_pool.h"

enum {
	AHEAD_MAX = 1 << 30,	   /* the largest window there is (RFC 7323 section 2.3) */
	AHEAD_ACKED_MAX = 1 << 24, /* beyond the peer's acknowledgment, which bounds it better */
	BACK_MAX = 1 << 29,
	LEN_MAX = 1 << 24,
	SKIP_MAX = 1 << 30,
	START_BACK_MAX = 1 << 14, /* see begin */
	START_LOSS_MAX = 1 << 20, /* see trust_ack */
	FIN_AHEAD_MAX = 1 << 20,  /* see psi_stream_fin */
	RST_WINDOW = 65535,	  /* where the peer announced none: the largest without scaling */
	ACKED_SEG_MAX = 16,	  /* segments held behind a hole that the peer has acknowledged */
	ACKED_WAIT_SHARE = 4,	  /* such a hole is waited for this part of gap_wait_ms */
};

/* A held segment. p is NULL for bytes that will not come (psi_stream_missing); ref is then NULL too. */
struct early {
	struct psi_seg seg;
	uint32_t next; /* index of the one behind it, PSI_POOL_NONE at the end */
	uint32_t spare;
};

struct psi_stream_pool {
	struct psi_stream_ops ops;
	struct psi_stream_config cfg;
	struct psi_stats *stats;
	struct psi_pool early;
} __attribute__((aligned(64)));

/* What one call works on. */
struct run {
	struct psi_stream_pool *pool;
	struct psi_stream_side *me, *peer;
	void *ctx;
	unsigned int side;
};

static inline bool
before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline uint32_t
later(uint32_t a, uint32_t b)
{
	return before(a, b) ? b : a;
}

static inline uint32_t
earlier(uint32_t a, uint32_t b)
{
	return before(a, b) ? a : b;
}

static inline struct run
run_of(struct psi_stream_pool *pool, struct psi_stream *s, unsigned int side, void *ctx)
{
	return (struct run){pool, &s->side[side], &s->side[!side], ctx, side};
}

static inline struct early *
at(const struct run *r, uint32_t i)
{
	return psi_pool_at(&r->pool->early, i);
}

size_t
psi_stream_footprint(const struct psi_stream_config *cfg)
{
	return sizeof(struct psi_stream_pool) +
	       psi_pool_footprint(sizeof(struct early), cfg->early_max);
}

struct psi_stream_pool *
psi_stream_init(void *mem, const struct psi_stream_config *cfg, const struct psi_stream_ops *ops,
	struct psi_stats *stats)
{
	struct psi_stream_pool *pool = mem;

	pool->ops = *ops;
	pool->cfg = *cfg;
	pool->stats = stats;
	psi_pool_init(&pool->early, pool + 1, sizeof(struct early), cfg->early_max);
	return pool;
}

/* ---- start and end of a side ---- */

static void
start_at(struct psi_stream_side *me, uint32_t seq, enum psi_stream_note how)
{
	me->start = me->next = me->high = seq;
	me->note = (uint8_t)(me->note | PSI_STREAM_STARTED | how);
}

static inline bool
untouched(const struct psi_stream_side *me)
{
	return me->next == me->start && me->high == me->start && !me->early_cnt;
}

/* Whether a SYN with another number than that of a side which has sent bytes means a new connection. A lone one in a
 * live connection is answered with a challenge by who receives it (RFC 5961 section 4) and may be forged. */
static bool
replaced(struct psi_stream_side *me, const struct psi_stream_side *peer)
{
	me->note |= PSI_STREAM_SYN_AGAIN;
	return !(peer->note & PSI_STREAM_STARTED) || (me->note | peer->note) & PSI_STREAM_FIN ||
	       peer->note & PSI_STREAM_SYN_AGAIN;
}

bool
psi_stream_syn(struct psi_stream *s, unsigned int side, uint32_t seq)
{
	struct psi_stream_side *me = &s->side[side];

	if (!(me->note & PSI_STREAM_STARTED)) {
		start_at(me, seq + 1, PSI_STREAM_SYN);
		return true;
	}
	if (seq + 1 == me->start) { /* sent again, or late */
		me->note = (uint8_t)((me->note & ~PSI_STREAM_MIDSTREAM) | PSI_STREAM_SYN);
		return true;
	}
	if (!untouched(me) || me->note & PSI_STREAM_FIN ||
		s->side[!side].note & PSI_STREAM_SYN_AGAIN)
		return !replaced(me, &s->side[!side]);
	start_at(me, seq + 1, PSI_STREAM_SYN);
	me->note &= (uint8_t)~PSI_STREAM_MIDSTREAM;
	s->side[!side].acked = 0; /* it spoke of the numbers that are gone */
	return true;
}

void
psi_stream_ack(struct psi_stream *s, unsigned int side, uint32_t ack, uint16_t win)
{
	struct psi_stream_side *me = &s->side[side];

	if (!me->acked) {
		me->ack = ack;
		me->acked = 1;
	} else if (before(ack, me->ack) || ack - me->ack > AHEAD_MAX) {
		return; /* old, or out of any window */
	}
	me->ack = ack;
	me->win = win;
}

static void
fin_check(struct psi_stream_side *me)
{
	if (me->note & PSI_STREAM_FIN && !before(me->next, me->fin_seq))
		me->note |= PSI_STREAM_FIN_DONE;
}

/* The first FIN counts. One that stands before bytes already seen is stale or forged, and so is one far ahead. */
void
psi_stream_fin(struct psi_stream *s, unsigned int side, uint32_t seq)
{
	struct psi_stream_side *me = &s->side[side];
	const struct psi_stream_side *peer = &s->side[!side];

	if (me->note & PSI_STREAM_FIN)
		return;
	if (!(me->note & PSI_STREAM_STARTED))
		start_at(me, seq, PSI_STREAM_MIDSTREAM);
	if (before(seq, me->high) || (int32_t)(seq - me->next) > AHEAD_MAX)
		return;
	if (seq - me->high > FIN_AHEAD_MAX && !(peer->acked && seq - peer->ack <= FIN_AHEAD_MAX))
		return;
	me->fin_seq = seq;
	me->note |= PSI_STREAM_FIN;
	fin_check(me);
}

/* What the peer has received lies between its last acknowledgment and the highest byte seen here; a tap that loses
 * packets knows neither end exactly, so the test is the window's (RFC 9293 section 3.10.7.4), not RFC 5961's single
 * number. A window whose scale is not known is taken as it was sent: too small rather than too large. */
bool
psi_stream_rst_valid(const struct psi_stream *s, unsigned int side, uint32_t seq)
{
	const struct psi_stream_side *me = &s->side[side], *peer = &s->side[!side];
	uint32_t lo, hi;

	if (!(me->note & PSI_STREAM_STARTED)) {
		if (!peer->acked)
			return true; /* a refused SYN, or one that nothing is known of */
		return seq - peer->ack <= PSI_MAX(peer->win, 1u);
	}
	if (me->note & PSI_STREAM_FIN && seq - me->fin_seq <= 1)
		return true; /* some stacks do not count their own FIN */
	if (!peer->acked)
		return seq - (me->high - RST_WINDOW) <= 2 * RST_WINDOW;
	lo = earlier(peer->ack, me->high);
	hi = later(me->high, peer->ack + peer->win);
	return !before(seq, lo) && !before(hi, seq);
}

/* ---- delivery ---- */

static void
advance(struct run *r, uint32_t len, uint32_t skip)
{
	r->me->next += len + PSI_MIN(skip, (uint32_t)SKIP_MAX);
	fin_check(r->me);
}

static void
deliver(struct run *r, const struct psi_seg *seg, uint32_t end)
{
	uint32_t len = end - r->me->next;
	const uint8_t *p = seg->p + (r->me->next - seg->seq);

	advance(r, len, r->pool->ops.data(r->ctx, r->side, p, len, seg->ref, seg->ts_ns));
}

static void
declare_gap(struct run *r, uint32_t end, uint64_t ts_ns)
{
	uint32_t len = end - r->me->next;

	r->me->gap_cnt++;
	psi_stat_inc(r->pool->stats, PSI_STAT_stream_gap);
	psi_stat_add(r->pool->stats, PSI_STAT_stream_gap_bytes, len);
	if (r->peer->acked && before(r->me->next, r->peer->ack))
		r->me->note |= PSI_STREAM_ACKED_HOLE;
	advance(r, len, r->pool->ops.gap(r->ctx, r->side, len, ts_ns));
}

static void
drop_first(struct run *r)
{
	uint32_t i = r->me->early;
	struct early *e = at(r, i);

	if (e->seg.p) {
		r->me->early_bytes -= e->seg.len;
		r->pool->ops.release(e->seg.ref);
	}
	r->me->early = e->next;
	r->me->early_cnt--;
	psi_pool_give(&r->pool->early, i);
}

/* Delivers what is held and due, releases what was passed over, and dates the hole that is left. */
static void
drain(struct run *r)
{
	struct psi_stream_side *me = r->me;

	while (me->early_cnt) {
		const struct psi_seg *seg = &at(r, me->early)->seg;
		uint32_t end = seg->seq + seg->len;

		if (before(me->next, seg->seq)) {
			me->hole_ns = seg->ts_ns ? seg->ts_ns : 1;
			return;
		}
		if (before(me->next, end)) {
			if (seg->p)
				deliver(r, seg, end);
			else
				declare_gap(r, end, seg->ts_ns);
		}
		drop_first(r);
	}
	me->hole_ns = 0;
}

/* Gives up the hole at `next`, which ends at the first held segment, or at `limit` if that comes before it. */
static void
give_up(struct run *r, uint32_t limit, uint64_t ts_ns)
{
	if (r->me->early_cnt)
		limit = earlier(limit, at(r, r->me->early)->seg.seq);
	declare_gap(r, limit, ts_ns);
	drain(r);
}

/* Whether the hole has been waited for long enough. One whose bytes the peer has acknowledged went past the tap
 * unseen; it still gets a while, because a tap may show an acknowledgment before the data that it speaks of. */
static bool
overdue(const struct run *r, uint64_t ts_ns)
{
	const struct psi_stream_side *me = r->me;
	const struct psi_stream_config *cfg = &r->pool->cfg;
	uint64_t wait_ns = (uint64_t)cfg->gap_wait_ms * 1000000;

	if (!me->hole_ns)
		return false;
	if (r->peer->acked && before(me->next, r->peer->ack)) {
		if (me->early_cnt >= ACKED_SEG_MAX)
			return true;
		wait_ns /= ACKED_WAIT_SHARE;
	}
	return ts_ns > me->hole_ns && ts_ns - me->hole_ns > wait_ns;
}

void
psi_stream_tick(struct psi_stream_pool *pool, struct psi_stream *s, uint64_t ts_ns, void *ctx)
{
	for (unsigned int side = 0; side < 2; side++) {
		struct run r = run_of(pool, s, side, ctx);

		while (r.me->early_cnt && overdue(&r, ts_ns))
			give_up(&r, at(&r, r.me->early)->seg.seq, ts_ns);
	}
}

/* ---- segments ahead of their turn ---- */

/* Holds the stretch [from,end) of seg in front of node `behind`, after node `prev`. */
static void
link_early(struct run *r, const struct psi_seg *seg, uint32_t from, uint32_t end, uint32_t prev,
	uint32_t behind)
{
	uint32_t i = psi_pool_take(&r->pool->early);
	struct early *e = at(r, i);

	e->seg = *seg;
	e->seg.seq = from;
	e->seg.len = end - from;
	e->next = behind;
	if (seg->p) {
		e->seg.p += from - seg->seq;
		r->me->early_bytes += end - from;
		r->pool->ops.hold(seg->ref);
	}
	if (prev == PSI_POOL_NONE)
		r->me->early = i;
	else
		at(r, prev)->next = i;
	r->me->early_cnt++;
}

enum room { STORED, KNOWN, FLOW_FULL, POOL_FULL };

static enum room
room_for(const struct run *r, const struct psi_seg *seg, uint32_t len)
{
	const struct psi_stream_config *cfg = &r->pool->cfg;

	if (r->me->early_cnt >= cfg->early_flow_max)
		return FLOW_FULL;
	if (seg->p &&
		(len > cfg->early_flow_bytes || r->me->early_bytes > cfg->early_flow_bytes - len))
		return FLOW_FULL;
	return r->pool->early.used < r->pool->early.cnt ? STORED : POOL_FULL;
}

/* Holds the first stretch of [*from,end) that is not held yet and moves *from behind it. */
static enum room
hold_stretch(struct run *r, const struct psi_seg *seg, uint32_t *from, uint32_t end)
{
	uint32_t prev = PSI_POOL_NONE, i = r->me->early_cnt ? r->me->early : PSI_POOL_NONE,
		 stop = end;
	enum room room;

	while (i != PSI_POOL_NONE && !before(*from, at(r, i)->seg.seq)) {
		*from = later(*from, at(r, i)->seg.seq + at(r, i)->seg.len);
		prev = i;
		i = at(r, i)->next;
	}
	if (!before(*from, end))
		return KNOWN;
	if (i != PSI_POOL_NONE)
		stop = earlier(end, at(r, i)->seg.seq);
	room = room_for(r, seg, stop - *from);
	if (room == STORED) {
		link_early(r, seg, *from, stop, prev, i);
		*from = stop;
	}
	return room;
}

/* The first copy wins; a second one with other content is counted and marked. Bytes already delivered are no longer
 * in memory, so only what is held can be compared. */
static void
compare_held(struct run *r, const struct psi_seg *seg, uint32_t end)
{
	uint32_t i = r->me->early;

	for (uint32_t n = r->me->early_cnt; n; n--, i = at(r, i)->next) {
		const struct psi_seg *e = &at(r, i)->seg;
		uint32_t lo = later(e->seq, seg->seq), hi = earlier(e->seq + e->len, end);

		if (!before(e->seq, end))
			return;
		if (!e->p || !before(lo, hi) ||
			!memcmp(e->p + (lo - e->seq), seg->p + (lo - seg->seq), hi - lo))
			continue;
		r->me->note |= PSI_STREAM_CONFLICT;
		psi_stat_inc(r->pool->stats, PSI_STAT_seg_conflict);
		return;
	}
}

/* ---- segments ---- */

/* A side that starts without SYN begins at what comes first, with three exceptions that the peer's acknowledgment
 * allows: it names the first byte that is still to come when data begins a little behind it (the SYN was lost on the
 * tap, or the first segments are out of order), and it tells a keep-alive, whose byte is not data. */
static void
begin(struct run *r, const struct psi_seg *seg)
{
	uint32_t start = seg->seq;

	if (r->peer->acked) {
		if (seg->seq - r->peer->ack <= START_BACK_MAX)
			start = r->peer->ack;
		else if (seg->len == 1 && seg->seq + 1 == r->peer->ack)
			start = r->peer->ack;
	}
	start_at(r->me, start, PSI_STREAM_MIDSTREAM);
}

/* A forged or late SYN-ACK may have moved the start. Data that begins exactly where the peer's acknowledgment says,
 * too far from the start to be what loss leaves, proves it wrong. */
static void
trust_ack(struct run *r, const struct psi_seg *seg)
{
	if (untouched(r->me) && r->peer->acked && r->peer->ack == seg->seq &&
		seg->seq - r->me->start > START_LOSS_MAX && !(r->me->note & PSI_STREAM_FIN))
		start_at(r->me, seg->seq, 0);
}

/* Whether a segment may belong to the connection: not beyond any window, nor older than any. */
static bool
plausible(const struct run *r, const struct psi_seg *seg)
{
	int32_t ahead = (int32_t)(seg->seq - r->me->next);
	uint32_t base;

	if (seg->len > LEN_MAX || ahead < -BACK_MAX || ahead > AHEAD_MAX)
		return false;
	if (ahead <= 0 || !r->peer->acked)
		return true;
	base = later(r->me->next, r->peer->ack);
	return before(seg->seq, base) || seg->seq - base <= AHEAD_ACKED_MAX;
}

/* What became of a segment, bits. */
enum outcome { FRESH = 1, HELD = 2, FULL = 4 };

/* Takes [seg->seq,end): delivers what is due, holds what is early. */
static unsigned int
take(struct run *r, const struct psi_seg *seg, uint32_t end)
{
	struct psi_stream_side *me = r->me;
	uint32_t from = seg->seq, stop;
	unsigned int out = 0;

	while (from = later(from, me->next), before(from, end)) {
		if (from == me->next) {
			stop = me->early_cnt ? earlier(end, at(r, me->early)->seg.seq) : end;
			if (seg->p)
				deliver(r, seg, stop);
			else
				declare_gap(r, stop, seg->ts_ns);
			drain(r);
			out |= FRESH;
			continue;
		}
		if (!me->hole_ns)
			me->hole_ns = seg->ts_ns ? seg->ts_ns : 1;
		switch (hold_stretch(r, seg, &from, end)) {
		case KNOWN: break;
		case STORED: out |= FRESH | HELD; break;
		case POOL_FULL:
			out |= FRESH | FULL;
			if (!overdue(r, seg->ts_ns))
				return out; /* it may be sent again; if not, it becomes part of the hole */
			give_up(r, from, seg->ts_ns);
			break;
		case FLOW_FULL:
			out |= FRESH | FULL;
			give_up(r, from, seg->ts_ns);
			break;
		}
	}
	return out;
}

static void
count(struct run *r, const struct psi_seg *seg, bool early, unsigned int out)
{
	struct psi_stream_side *me = r->me;

	if (out & HELD)
		psi_stat_inc(r->pool->stats, PSI_STAT_seg_early);
	if (out & FULL)
		psi_stat_inc(r->pool->stats, PSI_STAT_seg_early_full);
	if (early && out & FRESH)
		me->ooo = (uint16_t)(me->ooo + (me->ooo != UINT16_MAX));
	if (out & FRESH ||
		(seg->len == 1 && seg->seq + 1 == me->high)) /* the latter: a keep-alive or probe */
		return;
	me->retrans = (uint16_t)(me->retrans + (me->retrans != UINT16_MAX));
	psi_stat_inc(r->pool->stats, PSI_STAT_seg_retrans);
}

/* Common to bytes that came (p) and bytes that will not (p NULL). */
static bool
segment(struct run *r, const struct psi_seg *seg)
{
	struct psi_stream_side *me = r->me;
	uint32_t end = seg->seq + seg->len;
	unsigned int out;
	bool early;

	if (!(me->note & PSI_STREAM_STARTED))
		begin(r, seg);
	else
		trust_ack(r, seg);
	if (!plausible(r, seg))
		return false;
	if (me->note & PSI_STREAM_FIN)
		end = earlier(end, me->fin_seq); /* nothing comes behind a FIN */
	early = before(me->next, seg->seq);
	out = before(me->high, end) ? FRESH : 0;
	if (me->early_cnt && seg->p)
		compare_held(r, seg, end);
	me->high = later(me->high, end);
	out |= take(r, seg, end);
	if (seg->p)
		count(r, seg, early, out);
	return out & FRESH;
}

/* What most segments are: with nothing held and no end in sight, new bytes exactly in turn, or in what the sink skips.
 * The same as `segment` for them, only shorter. */
static inline bool
ordinary(struct run *r, const struct psi_seg *seg)
{
	struct psi_stream_side *me = r->me;
	uint32_t end = seg->seq + seg->len;

	if ((me->note & (PSI_STREAM_STARTED | PSI_STREAM_FIN)) != PSI_STREAM_STARTED ||
		me->early_cnt || seg->len > LEN_MAX || !before(me->high, end))
		return false;
	if (seg->seq == me->next) {
		me->high = end;
		deliver(r, seg, end);
		me->hole_ns = 0;
		return true;
	}
	if (before(me->next, end) || seg->seq != me->high)
		return false;
	me->high = end;
	return true;
}

bool
psi_stream_push(struct psi_stream_pool *pool, struct psi_stream *s, unsigned int side,
	const struct psi_seg *seg, void *ctx)
{
	struct run r = run_of(pool, s, side, ctx);
	bool fresh = seg->len && (ordinary(&r, seg) || segment(&r, seg));

	if (psi_unlikely(psi_stream_waiting(s)))
		psi_stream_tick(pool, s, seg->ts_ns, ctx);
	return fresh;
}

void
psi_stream_missing(struct psi_stream_pool *pool, struct psi_stream *s, unsigned int side,
	uint32_t seq, uint32_t len, uint64_t ts_ns, void *ctx)
{
	struct run r = run_of(pool, s, side, ctx);
	struct psi_seg seg = {.seq = seq, .len = len, .ts_ns = ts_ns};

	if (len)
		segment(&r, &seg);
}

/* ---- the end ---- */

void
psi_stream_flush(struct psi_stream_pool *pool, struct psi_stream *s, uint64_t ts_ns, void *ctx)
{
	for (unsigned int side = 0; side < 2; side++) {
		struct run r = run_of(pool, s, side, ctx);
		uint32_t end = r.me->next;

		while (r.me->early_cnt)
			give_up(&r, at(&r, r.me->early)->seg.seq, ts_ns);
		r.me->hole_ns = 0;
		if (!(r.me->note & PSI_STREAM_STARTED))
			continue;
		/* Of bytes acknowledged behind the last one seen, one may have been a FIN. */
		if (r.me->note & PSI_STREAM_FIN)
			end = r.me->fin_seq;
		else if (r.peer->acked && r.peer->ack - r.me->next <= AHEAD_ACKED_MAX)
			end = r.peer->ack - 1;
		if (before(r.me->next, end))
			declare_gap(&r, end, ts_ns);
	}
}

void
psi_stream_clear(struct psi_stream_pool *pool, struct psi_stream *s)
{
	for (unsigned int side = 0; side < 2; side++) {
		struct run r = run_of(pool, s, side, NULL);

		while (r.me->early_cnt)
			drop_first(&r);
	}
	memset(s, 0, sizeof(*s));
}

uint32_t
psi_stream_held(const struct psi_stream_pool *pool)
{
	return pool->early.used;
}
