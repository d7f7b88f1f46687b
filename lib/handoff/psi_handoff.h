/* SPDX-License-Identifier: BSD-3-Clause */
/* psi_handoff.h: the queue from one worker to the collector: records of variable length, first in, first out.
 *
 * A ring of bytes with one writer and one reader, no lock: the writer publishes `tail`, the reader gives back `head`.
 * A record lies in one piece; what does not fit before the ring's end begins anew at its start. A full queue refuses,
 * and the worker counts that: it never waits.
 * Thread: _reserve, _commit: the worker. _look, _peek, _consume: the collector. Set-up before either starts. */
#ifndef PSI_HANDOFF_H
#define PSI_HANDOFF_H

#include "psi_base.h"
#include "psi_rec.h"

#include <stdatomic.h>

enum psi_handoff_type {
	PSI_HANDOFF_FLOW = 1,  /* a struct psi_rec */
	PSI_HANDOFF_CHAIN = 2, /* a struct psi_handoff_chain */
	PSI_HANDOFF_MARK =
		3, /* a struct psi_handoff_mark: where the worker stood between the records around it */
};

#define PSI_HANDOFF_SEG_MAX \
	64 /* pieces of one Certificate message: chain_segments_max of the design */

/* A Certificate message that the collector may not have seen: its body, as spans of mbufs. The collector owns one
 * reference for each span and frees it. */
struct psi_handoff_chain {
	uint64_t key[2]; /* keyed hash of the body */
	uint32_t len;	 /* bytes of head and all spans */
	uint16_t seg_cnt;
	uint8_t cut; /* 1: the body goes on, but not all of it could be kept */
	uint8_t head_len;
	uint8_t head[8]; /* the body's first head_len bytes, which stand in no mbuf */
	uint8_t raw;	 /* 1: it holds a raw public key (RFC 7250), not certificates */
	struct {
		const uint8_t *p;
		void *ref; /* struct rte_mbuf */
		uint32_t len;
	} seg[];
};

/* A worker's counters at one instant, PSI_STAT_CNT of them: with what the collector took until it came by, they give a
 * ledger that balances while packets go on. */
struct psi_handoff_mark {
	uint64_t number; /* as asked for */
	uint64_t flows_alive;
	uint64_t sum[];
};

struct psi_handoff {
	uint8_t *mem; /* size bytes, a power of two */
	uint64_t size;
	/* Writer's line. tail: release by _commit, acquire by _peek. */
	_Atomic uint64_t tail __attribute__((aligned(128)));
	uint64_t head_seen; /* writer's copy of head, refreshed only when the ring looks full */
	uint64_t
		reserved; /* bytes that the next commit publishes, skipped ones at the ring's end included */
	uint64_t asked; /* up to where the caches were asked for memory */
	/* Reader's line. head: release by _consume, acquire by _reserve. */
	_Atomic uint64_t head __attribute__((aligned(128)));
};

/* psi_handoff_init: lays the queue over mem (size bytes, a power of two >= 64 KiB, aligned to 64, the caller's).
 * Returns 0, or -EINVAL. */
int psi_handoff_init(struct psi_handoff *h, void *mem, size_t size);

/* psi_handoff_reserve: room for len bytes, 8-aligned, or NULL when the queue is full. Reserve again to give it up.
 * psi_handoff_commit: publishes the first len bytes of it (len at most what was reserved) as one record. */
void *psi_handoff_reserve(struct psi_handoff *h, uint32_t len);
void psi_handoff_commit(struct psi_handoff *h, enum psi_handoff_type type, uint32_t len);

/* psi_handoff_look: the record at *pos, all of which stay in place, and *pos moves to the next; NULL behind the newest.
 * psi_handoff_oldest gives the place of the oldest. */
uint64_t psi_handoff_oldest(const struct psi_handoff *h);
void *psi_handoff_look(
	const struct psi_handoff *h, uint64_t *pos, enum psi_handoff_type *type, uint32_t *len);

/* psi_handoff_peek: the oldest record, or NULL when there is none; it stays in place until _consume. */
void *psi_handoff_peek(struct psi_handoff *h, enum psi_handoff_type *type, uint32_t *len);
void psi_handoff_consume(struct psi_handoff *h);

#endif
