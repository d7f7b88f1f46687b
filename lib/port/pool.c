/* SPDX-License-Identifier: BSD-3-Clause */
/* Packet buffers for captures: a mempool made by hand, since DPDK makes one only after loading every driver it has,
 * which costs more than reading a small capture does. A stack: what was given back last is in the cache. An element is
 * made when it is taken for the first time, so that a capture which needs few touches little memory. */
#include "psi_port.h"

#include <stdlib.h>

#define ELT_HDR RTE_CACHE_LINE_SIZE /* struct rte_mempool_objhdr at its end */

struct stack {
	uint8_t *mem; /* the elements, each behind its header */
	uint32_t made, cnt;
	void *free[];
};

static void *
element(const struct rte_mempool *mp, uint32_t i)
{
	const struct stack *s = mp->pool_data;

	return s->mem + (size_t)i * (ELT_HDR + mp->elt_size) + ELT_HDR;
}

static void *
make(struct rte_mempool *mp, uint32_t i)
{
	void *m = element(mp, i);
	struct rte_mempool_objhdr *h = rte_mempool_get_header(m);

	*h = (struct rte_mempool_objhdr){.mp = mp, .iova = (uintptr_t)m};
	rte_pktmbuf_init(mp, NULL, m, i);
	return m;
}

static int
take(struct rte_mempool *mp, void **obj, unsigned int n)
{
	struct stack *s = mp->pool_data;

	if (n > s->cnt + (mp->size - s->made))
		return -ENOBUFS;
	for (unsigned int i = 0; i < n; i++)
		obj[i] = s->cnt ? s->free[--s->cnt] : make(mp, s->made++);
	return 0;
}

static int
give(struct rte_mempool *mp, void *const *obj, unsigned int n)
{
	struct stack *s = mp->pool_data;

	for (unsigned int i = 0; i < n; i++)
		s->free[s->cnt++] = obj[i];
	return 0;
}

static unsigned int
left(const struct rte_mempool *mp)
{
	const struct stack *s = mp->pool_data;

	return s->cnt + (mp->size - s->made);
}

/* DPDK's table of such functions has no entry for "made elsewhere". */
static int
no_alloc(struct rte_mempool *mp)
{
	(void)mp;
	return -ENOTSUP;
}

static int
ops_index(void)
{
	static const struct rte_mempool_ops ops = {.name = "psi_capture",
		.alloc = no_alloc,
		.enqueue = give,
		.dequeue = take,
		.get_count = left};
	static int index = -1;

	if (index < 0)
		index = rte_mempool_register_ops(&ops);
	return index;
}

struct rte_mempool *
psi_port_pool_open(uint32_t cnt, uint16_t room)
{
	struct rte_pktmbuf_pool_private priv = {.mbuf_data_room_size = room};
	size_t elt = sizeof(struct rte_mbuf) + RTE_ALIGN_CEIL(room, RTE_CACHE_LINE_SIZE);
	size_t size =
		sizeof(struct rte_mempool) + RTE_ALIGN_CEIL(sizeof(priv), RTE_CACHE_LINE_SIZE);
	struct rte_mempool *mp = aligned_alloc(RTE_CACHE_LINE_SIZE, size);
	struct stack *s = calloc(1, sizeof(*s) + cnt * sizeof(s->free[0]));
	int ops = ops_index();

	if (s)
		s->mem = aligned_alloc(RTE_CACHE_LINE_SIZE, cnt * (ELT_HDR + elt));
	if (!mp || !s || !s->mem || ops < 0) {
		free(s ? s->mem : NULL);
		free(s);
		free(mp);
		return NULL;
	}
	memset(mp, 0, size);
	snprintf(mp->name, sizeof(mp->name), "captures");
	mp->pool_data = s;
	mp->socket_id = SOCKET_ID_ANY;
	mp->size = mp->populated_size = cnt;
	mp->elt_size = (uint32_t)elt;
	mp->header_size = ELT_HDR;
	mp->private_data_size = sizeof(priv);
	mp->ops_index = ops;
	mp->flags = RTE_MEMPOOL_F_SP_PUT | RTE_MEMPOOL_F_SC_GET | RTE_MEMPOOL_F_NO_IOVA_CONTIG |
		    RTE_MEMPOOL_F_POOL_CREATED;
	rte_pktmbuf_pool_init(mp, &priv);
	return mp;
}

void
psi_port_pool_close(struct rte_mempool *mp)
{
	struct stack *s = mp ? mp->pool_data : NULL;

	if (s)
		free(s->mem);
	free(s);
	free(mp);
}
