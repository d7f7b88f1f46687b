/* SPDX-License-Identifier: BSD-3-Clause */
/* One connection, frame by frame: three-way handshake, the turns of its script cut into segments, acknowledgements
 * (every second segment, and when an answer is complete), requests and answers of its own, and the recorded end. */
#include "gen_pvt.h"

#define RECORD_MAX 16384u /* bytes of plain text in a record */
#define RECORD_ADD 17u	  /* content type and tag of AES-GCM, TLS 1.3 */

enum { CLIENT, SERVER };

static uint32_t
emit(struct conn *c, const struct play *p, uint8_t *f, unsigned int from, uint8_t flags,
	uint32_t seq, uint32_t len)
{
	struct seg s = {.from = from,
		.flags = flags,
		.seq = seq,
		.ack = c->seq[!from],
		.len = len,
		.id = (uint16_t)(c->key + c->made)};

	c->acked[!from] = c->seq[!from];
	if (from != c->unacked_from)
		c->unacked = 0;
	c->made++;
	return frame_tcp(f, &c->ends, &s, p->checksums);
}

/* ---- bytes ---- */

static void
patch_bytes(const struct conn *c, const struct patch *p, uint8_t out[PATCH_LEN_MAX])
{
	static const char hex[] = "0123456789abcdef";

	switch (p->kind) {
	case PATCH_DIGITS:
		for (int i = 0; i < 8; i++)
			out[i] = (uint8_t)hex[c->chain >> (28 - 4 * i) & 15];
		return;
	case PATCH_SERIAL: gen_bytes(c->chain, p->kind, out, 8); return;
	case PATCH_SIGNATURE: memcpy(out, c->sig, p->len); return;
	default: gen_bytes(c->key, p->kind, out, p->len); return;
	}
}

void
conn_script_bytes(const struct conn *c, uint32_t at, uint32_t len, uint8_t *out)
{
	const struct script *s = c->script;
	uint8_t v[PATCH_LEN_MAX];

	memcpy(out, s->bytes + at, len);
	for (uint32_t i = 0; i < s->patch_cnt; i++) {
		const struct patch *p = &s->patch[i];
		uint32_t from = PSI_MAX(p->at, at), to = PSI_MIN(p->at + p->len, at + len);

		if (from >= to || (p->kind == PATCH_SIGNATURE && !c->sig))
			continue;
		patch_bytes(c, p, v);
		memcpy(out + (from - at), v + (from - p->at), to - from);
	}
}

/* len bytes from `at` of a request or answer: application data records over filler. */
static void
app_bytes(const struct conn *c, const struct play *p, uint32_t at, uint32_t len, uint8_t *out)
{
	const uint32_t whole = 5 + RECORD_MAX + RECORD_ADD;
	uint32_t rec = at / whole * whole;

	memcpy(out, p->filler + ((c->key + at) & (FILLER - 1)), len);
	for (; rec < at + len; rec += whole) {
		uint32_t n = PSI_MIN(whole, c->app_len - rec) - 5;
		const uint8_t h[5] = {23, 3, 3, (uint8_t)(n >> 8), (uint8_t)n};

		for (uint32_t i = 0; i < 5; i++)
			if (rec + i >= at && rec + i < at + len)
				out[rec + i - at] = h[i];
	}
}

/* ---- turns ---- */

/* Which of n segments is sent k-th. */
static uint32_t
pick(const struct conn *c, enum psi_gen_order order, uint32_t k, uint32_t n)
{
	uint32_t stride;

	if (order == PSI_GEN_IN_ORDER || n < 2)
		return k;
	if (order == PSI_GEN_REVERSED)
		return n - 1 - k;
	/* a stride prime to n visits all: 7919 is a prime, and n is smaller or not a multiple of it */
	stride = n % 7919 ? 7919 : 7907;
	return (uint32_t)(((uint64_t)k * stride + c->key % n) % n);
}

/* One segment of a turn of len bytes; *done when it was the last. */
static uint32_t
turn(struct conn *c, const struct play *p, uint8_t *f, unsigned int from, uint32_t at, uint32_t len,
	bool app, bool *done)
{
	uint32_t n = (len + p->mss - 1) / p->mss, k = pick(c, p->order, c->segs, n),
		 off = k * p->mss;
	uint32_t seg = PSI_MIN(p->mss, len - off), total;
	uint8_t *to = f + frame_payload_off(c->ends.v6);

	if (app)
		app_bytes(c, p, off, seg, to);
	else
		conn_script_bytes(c, at + off, seg, to);
	total = emit(
		c, p, f, from, (uint8_t)(ACK | (k == n - 1 ? PSH : 0)), c->seq[from] + off, seg);
	c->unacked++;
	c->unacked_from = (uint8_t)from;
	*done = ++c->segs == n;
	if (*done) {
		c->segs = 0;
		c->seq[from] += len;
	}
	return total;
}

/* How many bytes the next request or answer has, record headers included: between 300 and 30,000 of plain text, small
 * ones more often; requests fit a segment. */
static uint32_t
app_len(struct conn *c, bool large)
{
	static const uint16_t step[8] = {
		300, 533, 949, 1687, 3000, 5335, 9487, 16870}; /* factor 100^(1/8) */
	uint32_t i = gen_below(&c->rand, 8), plain = 250 + gen_below(&c->rand, 850);

	if (large)
		plain = step[i] + gen_below(&c->rand, (i < 7 ? step[i + 1] : 30000u) - step[i]);
	return plain + (plain + RECORD_MAX - 1) / RECORD_MAX * (5 + RECORD_ADD);
}

/* The next segment of requests and answers; *done when there were enough. One in sixteen sends much and gets little. */
static uint32_t
app_turn(struct conn *c, const struct play *p, uint8_t *f, bool *done)
{
	uint32_t n;
	bool end;

	if (!c->app_len) {
		if (!c->app_from)
			c->app_req = (uint16_t)(gen_below(&c->rand, 16) == 0);
		c->app_len = app_len(c, c->app_from != c->app_req);
	}
	n = turn(c, p, f, c->app_from, 0, c->app_len, true, &end);
	*done = false;
	if (end) {
		c->app_len = 0;
		c->app_from ^= 1;
		*done = !c->app_from && c->made >= c->budget;
	}
	return n;
}

static bool
next_is(const struct conn *c, unsigned int from)
{
	const struct step *st = &c->script->step[c->step];

	return c->step < c->script->step_cnt && st->kind == STEP_DATA && st->from == from;
}

/* An acknowledgement that is due before the next step; 0 when there is none. */
static uint32_t
ack_due(struct conn *c, const struct play *p, uint8_t *f)
{
	unsigned int from = c->unacked_from;
	uint32_t n = c->unacked, seq = c->seq[from];
	bool idle = !c->segs; /* a turn is complete */
	uint32_t len;

	if (!n || (n < 2 && !idle) || p->mss < 536)
		return 0;
	if (n < 2 && idle && (from == CLIENT || next_is(c, !from)))
		return 0; /* the answer acknowledges it */
	if (!idle)	  /* what stands in front of the first hole; in order, all that was sent */
		c->seq[from] += p->order == PSI_GEN_IN_ORDER ? c->segs * p->mss : 0;
	c->unacked = 0;
	len = emit(c, p, f, !from, ACK, c->seq[!from], 0);
	c->seq[from] = seq;
	return len;
}

static uint32_t
open_frame(struct conn *c, const struct play *p, uint8_t *f)
{
	uint32_t n;

	switch (c->syn++) {
	case 0:
		n = emit(c, p, f, CLIENT, SYN, c->seq[CLIENT], 0);
		c->seq[CLIENT]++;
		return n;
	case 1:
		n = emit(c, p, f, SERVER, SYN | ACK, c->seq[SERVER], 0);
		c->seq[SERVER]++;
		return n;
	default: return emit(c, p, f, CLIENT, ACK, c->seq[CLIENT], 0);
	}
}

/* FIN or RST. */
static uint32_t
end_frame(struct conn *c, const struct play *p, uint8_t *f, const struct step *st)
{
	uint32_t n = emit(c, p, f, st->from, st->flags, c->seq[st->from], 0);

	c->unacked = 0;
	if (st->flags & FIN) {
		c->seq[st->from]++;
		c->fin |= (uint8_t)(1 << st->from);
	} else {
		c->fin = 0; /* nobody acknowledges any more */
	}
	return n;
}

/* The last FIN is acknowledged, unless somebody reset. */
static uint32_t
last_ack(struct conn *c, const struct play *p, uint8_t *f)
{
	for (unsigned int from = 0; from < 2; from++) {
		if (c->fin & 1 << from && c->acked[from] != c->seq[from]) {
			c->fin = 0;
			return emit(c, p, f, !from, ACK, c->seq[!from], 0);
		}
	}
	return 0;
}

uint32_t
conn_next(struct conn *c, struct play *p, uint8_t *f)
{
	const struct script *s = c->script;
	uint32_t n;
	bool done = true;

	p->part = PSI_GEN_HANDSHAKE;
	if (c->syn < 3)
		return open_frame(c, p, f);
	if (c->step < s->step_cnt && s->step[c->step].kind == STEP_APP)
		p->part = PSI_GEN_BULK;
	n = ack_due(c, p, f);
	if (n)
		return n;
	while (c->step < s->step_cnt) {
		const struct step *st = &s->step[c->step];

		if (c->open_only && st->kind != STEP_DATA)
			return 0;
		p->part = st->kind == STEP_DATA	 ? PSI_GEN_HANDSHAKE
			  : st->kind == STEP_APP ? PSI_GEN_BULK
						 : PSI_GEN_END;
		if (st->kind == STEP_APP && !c->app_len && !c->app_from && c->made >= c->budget) {
			c->step++;
			continue;
		}
		switch (st->kind) {
		case STEP_DATA: n = turn(c, p, f, st->from, st->at, st->len, false, &done); break;
		case STEP_APP: n = app_turn(c, p, f, &done); break;
		case STEP_FIN:
		case STEP_RST: n = end_frame(c, p, f, st); break;
		}
		if (done)
			c->step++;
		return n;
	}
	p->part = PSI_GEN_END;
	return last_ack(c, p, f);
}
