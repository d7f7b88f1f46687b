/* SPDX-License-Identifier: BSD-3-Clause */
/* A second reassembler, slow and simple: one cell a byte, no lists, no sequence numbers, offsets from the first byte
 * only. It states the rules of docs/design/stream.md once more, byte by byte, so that the fast one can be held to
 * them. One struct twin a side; those of a pool share the count of pieces held. */
#ifndef STREAM_TWIN_H
#define STREAM_TWIN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { TWIN_CELLS = 1024 };

struct twin_cell {
	uint32_t piece; /* which held piece covers this byte, 0 none */
	uint64_t ts;	/* when that came */
	int ref;	/* its segment */
	int byte;	/* -1: known to be missing */
};

struct twin {
	struct twin_cell cell[TWIN_CELLS];
	uint32_t next;
	uint32_t acked; /* by the peer, offset; 0 for not at all */
	uint64_t hole_since;
	uint32_t pieces, bytes, last_piece;
	uint32_t *pool_used;
	uint32_t pool_max, piece_max, byte_max;
	uint64_t wait;
	bool conflict, acked_hole;
	unsigned int gaps;
	/* what comes out; both answer how many bytes to pass over */
	uint32_t (*byte_out)(void *ctx, int ref, int byte, bool last);
	uint32_t (*gap_out)(void *ctx, uint32_t len);
	void *ctx;
};

/* A piece of a segment; bytes NULL for missing ones. */
struct twin_seg {
	uint32_t off, len;
	const uint8_t *bytes;
	int ref;
	uint64_t ts;
};

static inline bool
twin_held(const struct twin *t, uint32_t off)
{
	return off < TWIN_CELLS && t->cell[off].piece != 0;
}

static inline uint32_t
twin_first_held(const struct twin *t)
{
	uint32_t off = t->next;

	while (off < TWIN_CELLS && !twin_held(t, off))
		off++;
	return off;
}

static inline void
twin_gap(struct twin *t, uint32_t end)
{
	uint32_t len = end - t->next;

	t->gaps++;
	t->acked_hole |= t->acked > t->next;
	t->next = end;
	t->next += t->gap_out(t->ctx, len);
}

/* Gives out [from,end), which all comes from one piece of one segment. */
static inline void
twin_out(struct twin *t, uint32_t end, const struct twin_seg *seg)
{
	uint32_t from = t->next, skip = 0;

	if (!seg->bytes) {
		twin_gap(t, end);
		return;
	}
	for (uint32_t off = from; off < end; off++)
		skip = t->byte_out(t->ctx, seg->ref, seg->bytes[off - seg->off], off + 1 == end);
	t->next = end + skip;
}

/* Forgets the piece that the byte at off belongs to. */
static inline void
twin_forget(struct twin *t, uint32_t off)
{
	uint32_t piece = t->cell[off].piece;

	t->pieces--;
	--*t->pool_used;
	for (uint32_t i = 0; i < TWIN_CELLS; i++)
		if (t->cell[i].piece == piece) {
			t->bytes -= t->cell[i].byte >= 0;
			t->cell[i].piece = 0;
		}
}

/* Gives out what is held and due; forgets what was passed over. */
static inline void
twin_settle(struct twin *t)
{
	for (;;) {
		uint8_t bytes[TWIN_CELLS];
		uint32_t first = 0, end;

		while (first < TWIN_CELLS && !twin_held(t, first))
			first++;
		if (first == TWIN_CELLS) {
			t->hole_since = 0;
			return;
		}
		if (first > t->next) {
			t->hole_since = t->cell[first].ts ? t->cell[first].ts : 1;
			return;
		}
		for (end = first; twin_held(t, end) && t->cell[end].piece == t->cell[first].piece;
			end++)
			bytes[end] = (uint8_t)t->cell[end].byte;
		if (end > t->next) {
			struct twin_seg seg = {
				t->next, end - t->next, bytes + t->next, t->cell[first].ref, 0};

			if (t->cell[first].byte < 0)
				seg.bytes = NULL;
			twin_out(t, end, &seg);
		}
		twin_forget(t, first);
	}
}

static inline bool
twin_overdue(const struct twin *t, uint64_t ts)
{
	uint64_t wait = t->wait;

	if (!t->hole_since)
		return false;
	if (t->acked > t->next) {
		if (t->pieces >= 16)
			return true;
		wait /= 4;
	}
	return ts > t->hole_since + wait;
}

static inline void
twin_give_up(struct twin *t, uint32_t limit)
{
	uint32_t first = twin_first_held(t);

	twin_gap(t, first < limit ? first : limit);
	twin_settle(t);
}

static inline void
twin_tick(struct twin *t, uint64_t ts)
{
	while (t->pieces && twin_overdue(t, ts))
		twin_give_up(t, TWIN_CELLS);
}

static inline void
twin_hold(struct twin *t, const struct twin_seg *seg, uint32_t from, uint32_t end)
{
	t->last_piece++;
	t->pieces++;
	++*t->pool_used;
	for (uint32_t off = from; off < end; off++)
		t->cell[off] = (struct twin_cell){t->last_piece, seg->ts, seg->ref,
			seg->bytes ? seg->bytes[off - seg->off] : -1};
	if (seg->bytes)
		t->bytes += end - from;
}

static inline void
twin_push(struct twin *t, const struct twin_seg *seg)
{
	uint32_t end = seg->off + seg->len, pos = seg->off, stop;

	for (uint32_t off = pos; off < end && seg->bytes; off++)
		if (off >= t->next && twin_held(t, off) && t->cell[off].byte >= 0 &&
			t->cell[off].byte != seg->bytes[off - seg->off])
			t->conflict = true;
	for (;;) {
		if (pos < t->next)
			pos = t->next;
		while (pos < end && twin_held(t, pos))
			pos++;
		if (pos >= end)
			break;
		for (stop = pos; stop < end && !twin_held(t, stop); stop++)
			;
		if (pos == t->next) {
			twin_out(t, stop, seg);
			twin_settle(t);
			continue;
		}
		if (!t->hole_since)
			t->hole_since = seg->ts ? seg->ts : 1;
		if (t->pieces >= t->piece_max ||
			(seg->bytes && t->bytes + stop - pos > t->byte_max)) {
			twin_give_up(t, pos);
		} else if (*t->pool_used < t->pool_max) {
			twin_hold(t, seg, pos, stop);
		} else if (twin_overdue(t, seg->ts)) {
			twin_give_up(t, pos);
		} else {
			break;
		}
	}
}

static inline void
twin_flush(struct twin *t)
{
	while (t->pieces)
		twin_give_up(t, TWIN_CELLS);
	t->hole_since = 0;
	if (t->acked > t->next + 1)
		twin_gap(t, t->acked - 1);
}

#endif
