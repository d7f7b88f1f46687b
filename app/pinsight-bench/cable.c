/* SPDX-License-Identifier: BSD-3-Clause */
/* A receive queue between two cores, as a card's is: descriptors with a buffer each, which the receiver provides. The
 * sender writes frames into the buffers, then length and time into the descriptor; the receiver takes the buffer and puts
 * a fresh one in its place. The packet buffers' own headers and pool stay with the receiver. */
#include "cable.h"

#include <errno.h>
#include <stdlib.h>

int
cable_open(struct cable *c, uint32_t size, struct rte_mempool *pool, struct psi_err *err)
{
	memset(c, 0, sizeof(*c));
	c->pool = pool;
	c->size = size;
	c->slot = calloc(size, sizeof(*c->slot));
	if (!c->slot)
		return psi_err_set(err, -ENOMEM, "no memory for a queue of %u packets", size);
	for (uint32_t i = 0; i < size; i++) {
		c->slot[i].m = rte_pktmbuf_alloc(pool);
		if (!c->slot[i].m)
			return psi_err_set(err, -ENOMEM,
				"the packet pool is too small for a queue of %u", size);
		c->slot[i].data = rte_pktmbuf_mtod(c->slot[i].m, uint8_t *);
	}
	return 0;
}

void
cable_close(struct cable *c)
{
	for (uint32_t i = 0; c->slot && i < c->size; i++)
		rte_pktmbuf_free(c->slot[i].m);
	free(c->slot);
	c->slot = NULL;
}

uint8_t *
cable_place(struct cable *c)
{
	uint64_t taken = atomic_load_explicit(&c->taken, memory_order_acquire);

	return c->sent - taken < c->size ? c->slot[c->sent % c->size].data : NULL;
}

/* A card puts packets and descriptors into the last-level cache, not into that of a core: so does a line that was
 * written here. A hint, and no operation where the processor does not know it. */
static inline void
demote(const void *p)
{
#ifdef __x86_64__
	__asm__ volatile("cldemote (%0)" : : "r"(p) : "memory");
#else
	(void)p;
#endif
}

void
cable_send(struct cable *c, uint32_t len, uint64_t ts_ns)
{
	struct cable_slot *s = &c->slot[c->sent++ % c->size];

	s->len = len;
	s->ts_ns = ts_ns;
	for (uint32_t off = 0; off < len; off += 64)
		demote(s->data + off);
	demote(s);
	atomic_store_explicit(&c->filled, c->sent, memory_order_release);
}

uint32_t
cable_waiting(const struct cable *c)
{
	return (uint32_t)(atomic_load_explicit(&c->filled, memory_order_acquire) - c->got);
}

uint16_t
cable_rx(struct cable *c, struct rte_mbuf **m, uint64_t *ts_ns, uint32_t *wire, uint16_t max)
{
	struct rte_mbuf *fresh[PSI_WORKER_BURST];
	uint32_t waiting = cable_waiting(c);
	uint16_t n = (uint16_t)PSI_MIN(waiting, max);

	if (!n || rte_pktmbuf_alloc_bulk(c->pool, fresh, n) != 0)
		return 0;
	for (uint16_t i = 0; i < n; i++) {
		struct cable_slot *s = &c->slot[c->got++ % c->size];

		m[i] = s->m;
		rte_prefetch0(s->data);
		m[i]->data_len = (uint16_t)s->len;
		m[i]->pkt_len = wire[i] = s->len;
		ts_ns[i] = s->ts_ns;
		s->m = fresh[i];
		s->data = rte_pktmbuf_mtod(fresh[i], uint8_t *);
	}
	atomic_store_explicit(&c->taken, c->got, memory_order_release); /* pairs with cable_place */
	return n;
}
