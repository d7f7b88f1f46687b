/* SPDX-License-Identifier: BSD-3-Clause */
/* psi_stream.h: the TCP segments of one connection, as a witness sees them -> spans of bytes in order.
 *
 * Followed: RFC 9293 section 3.4 (sequence arithmetic) and 3.10.7 (what a receiver accepts), RFC 7323
 * section 2.3 (the largest window). A span points into its segment and is good for the call only. A segment ahead of its turn is
 * held by reference, up to the caps. Where two segments carry the same bytes the first copy seen wins; other content
 * in the second is counted and marked, as far as the first copy is still in memory. A hole is given up when the
 * bytes, segments or time waiting behind it pass a bound, or when the stream ends; the sink is told and goes on
 * behind it. The sink can answer "I do not need the next n bytes": they are passed over without being waited for,
 * which is how an established TLS flow costs nothing but its record headers.
 * Out of scope: what the bytes mean, and who is the client: a side is 0 or 1, whoever that is. References are opaque.
 * Thread: the worker that owns the pool. */
#ifndef PSI_STREAM_H
#define PSI_STREAM_H

#include "psi_base.h"
#include "psi_stats.h"

/* A piece of a packet's payload in contiguous memory, the caller's. */
struct psi_seg {
	const uint8_t *p;
	uint32_t len;
	uint32_t seq; /* sequence number of p[0] */
	void *ref;    /* what hold and release are called with: an mbuf */
	uint64_t ts_ns;
};

/* What the stream calls. None of them may call the stream. */
struct psi_stream_ops {
	/* The next bytes of a side, in order, never empty. ref and ts_ns are those of the segment they lie in.
	 * Returns how many bytes behind them the sink does not need, 0 for none. */
	uint32_t (*data)(void *ctx, unsigned int side, const uint8_t *p, uint32_t len, void *ref,
		uint64_t ts_ns);
	/* len bytes were lost; the next data begins behind them. Returns as data does. */
	uint32_t (*gap)(void *ctx, unsigned int side, uint32_t len, uint64_t ts_ns);
	/* ref must stay in memory until the matching release. */
	void (*hold)(void *ref);
	void (*release)(void *ref);
};

/* Bounds. Reaching one declares the hole lost (or, for the pool, refuses to hold) and is counted. */
struct psi_stream_config {
	uint32_t early_max;	   /* segments held over all streams of the pool */
	uint16_t early_flow_max;   /* segments held per side of one stream */
	uint32_t early_flow_bytes; /* bytes held per side of one stream */
	uint32_t gap_wait_ms; /* how long a hole is waited for, by the stream's own packet times */
};

struct psi_stream_pool; /* the early segments of all streams of one worker, and the ops */

/* psi_stream_footprint: bytes of a pool. psi_stream_init: lays it out in mem (zeroed, aligned to 64, the caller's).
 * stats: the worker's block. Returns the pool, inside mem. Set-up only. */
size_t psi_stream_footprint(const struct psi_stream_config *cfg);
struct psi_stream_pool *psi_stream_init(void *mem, const struct psi_stream_config *cfg,
	const struct psi_stream_ops *ops, struct psi_stats *stats);

/* What is known of a side. Bits; append, never renumber. */
enum psi_stream_note {
	PSI_STREAM_SYN = 1,	  /* its SYN was seen: the first byte is known */
	PSI_STREAM_STARTED = 2,	  /* `next` means something */
	PSI_STREAM_MIDSTREAM = 4, /* started without SYN, see psi_stream_push */
	PSI_STREAM_FIN = 8,	  /* its FIN was seen, fin_seq says where */
	PSI_STREAM_FIN_DONE = 16, /* every byte up to the FIN was delivered, passed over or lost */
	PSI_STREAM_CONFLICT = 32, /* the same bytes were seen with different content */
	PSI_STREAM_ACKED_HOLE = 64, /* the peer acknowledged bytes that were never seen */
	PSI_STREAM_SYN_AGAIN = 128, /* it sent a SYN with another number after bytes */
};

/* One side. All fields are the stream's; the caller may read those with a comment. */
struct psi_stream_side {
	uint32_t start; /* sequence number of the first byte */
	uint32_t next;	/* sequence number of the next byte that the sink wants */
	uint32_t high;	/* one past the highest byte seen */
	uint32_t
		ack; /* highest acknowledgment that this side sent; 0 until it sent one (see acked) */
	uint32_t fin_seq;
	uint32_t early; /* index of the first held segment, in order of sequence */
	uint32_t early_bytes;
	uint32_t gap_cnt; /* holes given up */
	uint16_t retrans; /* segments that brought nothing new, stays at its maximum */
	uint16_t ooo;	  /* segments ahead of their turn, stays at its maximum */
	uint16_t early_cnt;
	uint16_t win;  /* last window that this side announced, as sent: its scale is not known */
	uint8_t note;  /* enum psi_stream_note */
	uint8_t acked; /* ack means something */
	uint8_t spare[6];
	uint64_t hole_ns; /* since when the current hole is waited for, 0 without one */
};

/* One connection. Zero-filled is a fresh one; psi_stream_clear must be called before the memory is used again. */
struct psi_stream {
	struct psi_stream_side side[2];
};

/* ---- hot ---- */

/* psi_stream_syn: side sent SYN with this sequence number (SYN-ACK likewise). A SYN with another number before any
 * byte was delivered moves the start (the last one counts). After that it is ignored, for it may be forged, unless
 * something speaks for it: a FIN was seen, the other side sent a new SYN too, or was never seen at all. Then the
 * connection has ended and been replaced by a new one: returns false, the caller closes the flow and opens another.
 * A reset is the caller's to remember: what comes with a SYN after it is a new connection. */
bool psi_stream_syn(struct psi_stream *s, unsigned int side, uint32_t seq);

/* psi_stream_ack: side acknowledged ack and announced win. Call for every packet with ACK, before _push. */
void psi_stream_ack(struct psi_stream *s, unsigned int side, uint32_t ack, uint16_t win);

/* psi_stream_push: payload of side. A side without SYN starts at the first segment, or a little before it where the
 * peer's acknowledgment says so. ctx goes to the ops. The sink may have been called any number of times when it
 * returns. Returns true when the segment brought something new. */
bool psi_stream_push(struct psi_stream_pool *pool, struct psi_stream *s, unsigned int side,
	const struct psi_seg *seg, void *ctx);

/* psi_stream_missing: len bytes from seq on were on the wire but not captured (a snap length): they will not come. */
void psi_stream_missing(struct psi_stream_pool *pool, struct psi_stream *s, unsigned int side,
	uint32_t seq, uint32_t len, uint64_t ts_ns, void *ctx);

/* psi_stream_fin: side sent FIN, seq is that of the byte behind its last payload byte. Call after _push. The first
 * plausible one counts; bytes behind it are ignored. */
void psi_stream_fin(struct psi_stream *s, unsigned int side, uint32_t seq);

/* psi_stream_rst_valid: whether an RST of side with this sequence number lies in the peer's window, as far as that is
 * known: a blind one must not end the flow. */
bool psi_stream_rst_valid(const struct psi_stream *s, unsigned int side, uint32_t seq);

/* psi_stream_tick: gives up the holes that have waited too long at ts_ns. _push does the same with its segment's time;
 * call it for packets without payload, so that the peer's acknowledgments move time on too. */
void psi_stream_tick(struct psi_stream_pool *pool, struct psi_stream *s, uint64_t ts_ns, void *ctx);

/* psi_stream_waiting: whether a call of _tick could do anything. */
static inline bool
psi_stream_waiting(const struct psi_stream *s)
{
	return s->side[0].early_cnt || s->side[1].early_cnt;
}

/* psi_stream_flush: no more segments will come. What is held is delivered with its holes declared; so is the
 * hole behind the last byte seen, when the FIN or the peer's acknowledgment shows that there is one. */
void
psi_stream_flush(struct psi_stream_pool *pool, struct psi_stream *s, uint64_t ts_ns, void *ctx);

/* psi_stream_clear: releases what is held, calls no sink, and zeroes s. */
void psi_stream_clear(struct psi_stream_pool *pool, struct psi_stream *s);

/* psi_stream_held: segments held over all streams of the pool. */
uint32_t psi_stream_held(const struct psi_stream_pool *pool);

#endif
