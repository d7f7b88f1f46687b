/* SPDX-License-Identifier: BSD-3-Clause */
/* cable.h: a receive queue that one core fills and another empties. */
#ifndef CABLE_H
#define CABLE_H

#include "psi_worker.h"

#include <rte_mbuf.h>
#include <stdatomic.h>

struct cable_slot {
	struct rte_mbuf *m;
	uint8_t *data;
	uint64_t ts_ns;
	uint32_t len;
};

struct cable {
	struct cable_slot *slot;
	struct rte_mempool *pool;
	uint32_t size;
	uint64_t sent __attribute__((aligned(128))); /* the sender's */
	_Atomic uint64_t filled;		     /* release: what is in the slots before */
	uint64_t got __attribute__((aligned(128)));  /* the receiver's */
	_Atomic uint64_t taken;			     /* release: the slots before are free again */
};

int cable_open(struct cable *c, uint32_t size, struct rte_mempool *pool, struct psi_err *err);
void cable_close(struct cable *c);

/* The sender: where the next frame goes, NULL while the queue is full; then that it is there. */
uint8_t *cable_place(struct cable *c);
void cable_send(struct cable *c, uint32_t len, uint64_t ts_ns);

/* The receiver. */
uint32_t cable_waiting(const struct cable *c);
uint16_t
cable_rx(struct cable *c, struct rte_mbuf **m, uint64_t *ts_ns, uint32_t *wire, uint16_t max);

#endif
