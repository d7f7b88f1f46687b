/* SPDX-License-Identifier: BSD-3-Clause */
/* Taking packets from a live port. Hot. */
#include "nic_pvt.h"

#include <rte_ether.h>

/* A device that takes VLAN tags off although nobody asked: back to where they were, for they tell flows apart. */
static struct rte_mbuf *
whole(struct rte_mbuf *m, struct psi_stats *st)
{
	if (rte_vlan_insert(&m) == 0)
		m->ol_flags &= ~(RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED);
	else
		psi_stat_inc(st, PSI_STAT_pkt_vlan_lost);
	return m;
}

/* Out of a buffer for the largest packet into as many as it needs: few large ones are enough then, whatever the worker
 * holds back. */
static uint16_t
copied(struct psi_nic *n, struct rte_mbuf **m, uint16_t cnt, struct psi_stats *st)
{
	uint16_t out = 0;

	for (uint16_t i = 0; i < cnt; i++) {
		struct rte_mbuf *c = rte_pktmbuf_copy(m[i], n->copy, 0, UINT32_MAX);

		if (psi_unlikely(!c)) {
			psi_stat_inc(st, PSI_STAT_pkt_rx);
			psi_stat_add(st, PSI_STAT_pkt_rx_bytes, m[i]->pkt_len);
			psi_stat_inc(st, PSI_STAT_pkt_drop_no_mbuf);
		}
		rte_pktmbuf_free(m[i]);
		if (c)
			m[out++] = c;
	}
	return out;
}

uint16_t
psi_nic_rx(
	struct psi_nic *n, uint16_t queue, struct rte_mbuf **m, uint16_t max, struct psi_stats *st)
{
	uint16_t cnt;

	if (psi_unlikely(atomic_load_explicit(&n->gone, memory_order_relaxed)))
		return 0; /* its registers are not there any more */
	cnt = rte_eth_rx_burst(n->port, queue, m, max);
	for (uint16_t i = 0; i < cnt; i++)
		if (psi_unlikely(m[i]->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED))
			m[i] = whole(m[i], st);
	return n->copy ? copied(n, m, cnt, st) : cnt;
}

int
psi_nic_waiting(const struct psi_nic *n, uint16_t queue)
{
	if (psi_unlikely(atomic_load_explicit(&n->gone, memory_order_relaxed)))
		return 0;
	return rte_eth_rx_queue_count(n->port, queue);
}
