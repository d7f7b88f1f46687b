/* SPDX-License-Identifier: BSD-3-Clause */
/* A connection given to psi_stream and, offset by offset, to its twin; what both give out is written down and
 * compared. Used by the property test and by the fuzz target. */
#ifndef STREAM_PAIR_H
#define STREAM_PAIR_H

#include "psi_stream.h"
#include "stream_twin.h"

#include <stdio.h>
#include <stdlib.h>

/* Takes bytes one by one and writes down what it got. As a reader of records (a byte of length, then so many bytes
 * that it does not look at) it passes over what it does not need, so that its answers do not depend on how the bytes
 * are cut. */
struct sink {
	uint32_t log[4 * TWIN_CELLS];
	uint32_t cnt, body;
	bool records;
};

static inline void
sink_note(struct sink *k, uint32_t what)
{
	if (k->cnt < sizeof(k->log) / sizeof(k->log[0]))
		k->log[k->cnt] = what;
	k->cnt++;
}

static inline uint32_t
sink_byte(struct sink *k, int ref, int byte, bool last)
{
	uint32_t skip;

	if (k->body) {
		k->body--; /* in a segment with a header before or behind: not looked at, where it comes from even less */
	} else {
		sink_note(k, (uint32_t)ref << 8 | (uint32_t)byte);
		if (k->records)
			k->body = (uint32_t)byte;
	}
	if (!last)
		return 0;
	skip = k->body;
	k->body = 0;
	return skip;
}

static inline uint32_t
sink_gap(struct sink *k, uint32_t len)
{
	sink_note(k, 0x80000000 | len);
	k->body = 0;
	return k->records ? len % 7 : 0;
}

struct pair {
	struct psi_stream s;
	struct psi_stream_pool *pool;
	struct psi_stats stats;
	struct twin twin[2];
	uint32_t twin_used, start[2];
	struct sink fast[2], slow[2];
	int refs[4096]; /* a segment's reference is one of these; its value: hold minus release */
};

static inline uint32_t
pair_data(void *ctx, unsigned int side, const uint8_t *p, uint32_t len, void *ref, uint64_t ts_ns)
{
	struct pair *a = ctx;
	uint32_t skip = 0;

	for (uint32_t i = 0; i < len; i++)
		skip = sink_byte(&a->fast[side], (int)((int *)ref - a->refs), p[i], i + 1 == len);
	return skip;
}

static inline uint32_t
pair_gap(void *ctx, unsigned int side, uint32_t len, uint64_t ts_ns)
{
	return sink_gap(&((struct pair *)ctx)->fast[side], len);
}

static inline void
pair_hold(void *ref)
{
	++*(int *)ref;
}

static inline void
pair_release(void *ref)
{
	--*(int *)ref;
}

static inline uint32_t
pair_twin_byte(void *ctx, int ref, int byte, bool last)
{
	return sink_byte(ctx, ref, byte, last);
}

static inline uint32_t
pair_twin_gap(void *ctx, uint32_t len)
{
	return sink_gap(ctx, len);
}

static inline bool
pair_open(struct pair *a, const struct psi_stream_config *cfg, uint32_t isn, bool records)
{
	static const struct psi_stream_ops ops = {pair_data, pair_gap, pair_hold, pair_release};
	size_t len = (psi_stream_footprint(cfg) + 63) / 64 * 64;

	memset(a, 0, sizeof(*a));
	a->pool = aligned_alloc(64, len);
	if (!a->pool)
		return false;
	memset(a->pool, 0, len);
	psi_stream_init(a->pool, cfg, &ops, &a->stats);
	for (unsigned int side = 0; side < 2; side++) {
		a->start[side] = isn + 1 + side * 0x55555555;
		psi_stream_syn(&a->s, side, a->start[side] - 1);
		a->fast[side].records = a->slow[side].records = records;
		a->twin[side].pool_used = &a->twin_used;
		a->twin[side].pool_max = cfg->early_max;
		a->twin[side].piece_max = cfg->early_flow_max;
		a->twin[side].byte_max = cfg->early_flow_bytes;
		a->twin[side].wait = (uint64_t)cfg->gap_wait_ms * 1000000;
		a->twin[side].byte_out = pair_twin_byte;
		a->twin[side].gap_out = pair_twin_gap;
		a->twin[side].ctx = &a->slow[side];
	}
	return true;
}

static inline void
pair_tick(struct pair *a, uint64_t ts)
{
	twin_tick(&a->twin[0], ts);
	twin_tick(&a->twin[1], ts);
}

/* The bytes must stay where they are until pair_close. */
static inline void
pair_push(struct pair *a, unsigned int side, const struct twin_seg *seg)
{
	struct psi_seg fast = {
		seg->bytes, seg->len, a->start[side] + seg->off, &a->refs[seg->ref], seg->ts};

	if (seg->bytes) {
		psi_stream_push(a->pool, &a->s, side, &fast, a);
		twin_push(&a->twin[side], seg);
		pair_tick(a, seg->ts);
	} else {
		psi_stream_missing(a->pool, &a->s, side, fast.seq, seg->len, seg->ts, a);
		twin_push(&a->twin[side], seg);
	}
}

/* The peer of side acknowledges its bytes up to off. */
static inline void
pair_ack(struct pair *a, unsigned int side, uint32_t off)
{
	psi_stream_ack(&a->s, !side, a->start[side] + off, 1000);
	if (off > a->twin[side].acked)
		a->twin[side].acked = off;
}

/* NULL when all is the same on both, else what is not. */
static inline const char *
pair_differs(const struct pair *a)
{
	for (unsigned int side = 0; side < 2; side++) {
		const struct psi_stream_side *f = &a->s.side[side];
		const struct twin *t = &a->twin[side];

		if (f->next - a->start[side] != t->next)
			return "next";
		if (f->early_cnt != t->pieces || f->early_bytes != t->bytes)
			return "what is held";
		if (f->gap_cnt != t->gaps)
			return "gaps";
		if (f->hole_ns != t->hole_since)
			return "age of the hole";
		if (!(f->note & PSI_STREAM_CONFLICT) != !t->conflict)
			return "conflict";
		if (!(f->note & PSI_STREAM_ACKED_HOLE) != !t->acked_hole)
			return "acknowledged hole";
		if (a->fast[side].cnt != a->slow[side].cnt ||
			memcmp(a->fast[side].log, a->slow[side].log, sizeof(a->fast[side].log)) !=
				0)
			return "bytes given out";
	}
	return psi_stream_held(a->pool) == a->twin_used ? NULL : "use of the pool";
}

static inline void
pair_flush(struct pair *a, uint64_t ts)
{
	psi_stream_flush(a->pool, &a->s, ts, a);
	twin_flush(&a->twin[0]);
	twin_flush(&a->twin[1]);
}

/* Gives everything back; false when a reference is still held, or was released too often. */
static inline bool
pair_close(struct pair *a)
{
	bool ok;

	psi_stream_clear(a->pool, &a->s);
	ok = psi_stream_held(a->pool) == 0;
	for (unsigned int i = 0; i < sizeof(a->refs) / sizeof(a->refs[0]); i++)
		ok &= a->refs[i] == 0;
	free(a->pool);
	return ok;
}

#endif
