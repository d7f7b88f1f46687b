/* SPDX-License-Identifier: BSD-3-Clause */
/* A receive queue in memory. Filling it is what a network card does by DMA, while the clock stands; taking from it is
 * what a driver does in its receive function, and is timed: lengths come from a descriptor, the mbuf is made ready, the
 * first line of the packet is asked for, and a fresh mbuf goes into the place. */
#include "bench_pvt.h"

#include <errno.h>
#include <stdlib.h>

int
nic_open(struct nic *n, const struct psi_gen_config *cfg, uint32_t size, struct rte_mempool *pool,
	struct psi_err *err)
{
	memset(n, 0, sizeof(*n));
	n->size = size;
	n->pool = pool;
	n->slot = calloc(size, sizeof(*n->slot));
	n->len = calloc(size, sizeof(*n->len));
	n->ts_ns = calloc(size, sizeof(*n->ts_ns));
	if (!n->slot || !n->len || !n->ts_ns)
		return psi_err_set(err, -ENOMEM, "no memory for a queue of %u packets", size);
	if (rte_pktmbuf_alloc_bulk(pool, n->slot, size) != 0)
		return psi_err_set(
			err, -ENOMEM, "the packet pool is too small for a queue of %u", size);
	n->gen = psi_gen_open(cfg, err);
	return n->gen ? 0 : -EINVAL;
}

void
nic_close(struct nic *n)
{
	if (n->slot && n->size && n->slot[0])
		rte_pktmbuf_free_bulk(n->slot, n->size);
	psi_gen_close(n->gen);
	free(n->slot);
	free(n->len);
	free(n->ts_ns);
}

uint32_t
nic_fill(struct nic *n)
{
	struct psi_gen_packet p;

	for (n->cnt = 0; n->cnt < n->size; n->cnt++) {
		if (!psi_gen_next(n->gen, rte_pktmbuf_mtod(n->slot[n->cnt], uint8_t *), &p))
			break;
		n->len[n->cnt] = (uint16_t)p.len;
		n->ts_ns[n->cnt] = p.ts_ns;
		n->bytes += p.len + PSI_GEN_WIRE;
	}
	n->head = 0;
	return n->cnt;
}

uint16_t
nic_rx(struct nic *n, struct rte_mbuf **m, uint64_t *ts_ns, uint32_t *wire, uint16_t max)
{
	struct rte_mbuf *fresh[PSI_WORKER_BURST];
	uint16_t cnt = (uint16_t)PSI_MIN(n->cnt - n->head, max);

	if (!cnt || rte_pktmbuf_alloc_bulk(n->pool, fresh, cnt) != 0)
		return 0;
	for (uint16_t i = 0; i < cnt; i++) {
		uint32_t at = n->head + i;
		struct rte_mbuf *b = n->slot[at];

		n->slot[at] = fresh[i];
		b->data_len = n->len[at];
		b->pkt_len = n->len[at];
		rte_prefetch0(rte_pktmbuf_mtod(b, void *));
		m[i] = b;
		ts_ns[i] = n->ts_ns[at];
		wire[i] = n->len[at];
	}
	n->head += cnt;
	return cnt;
}
