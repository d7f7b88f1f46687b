/* SPDX-License-Identifier: BSD-3-Clause */
/* Packet buffers. rte_pktmbuf_pool_create would give each one a page of its own where there are no huge pages, in case a
 * device reads it by its physical address; none can, there. */
#include "nic_pvt.h"

#include <rte_eal.h>
#include <rte_errno.h>

struct rte_mempool *
psi_nic_pool(const char *name, unsigned int cnt, unsigned int cache, uint16_t room, int socket)
{
	unsigned int size = (unsigned int)sizeof(struct rte_mbuf) + room;
	struct rte_pktmbuf_pool_private priv = {.mbuf_data_room_size = room};
	struct rte_mempool *p;
	int rc;

	if (rte_eal_has_hugepages())
		return rte_pktmbuf_pool_create(name, cnt, cache, 0, room, socket);
	p = rte_mempool_create_empty(
		name, cnt, size, cache, sizeof(priv), socket, RTE_MEMPOOL_F_NO_IOVA_CONTIG);
	if (!p)
		return NULL;
	rc = rte_mempool_set_ops_byname(p, RTE_MBUF_DEFAULT_MEMPOOL_OPS, NULL);
	rte_pktmbuf_pool_init(p, &priv);
	if (rc == 0)
		rc = rte_mempool_populate_default(p);
	if (rc < 0) {
		rte_mempool_free(p);
		rte_errno = -rc;
		return NULL;
	}
	rte_mempool_obj_iter(p, rte_pktmbuf_init, NULL);
	return p;
}
