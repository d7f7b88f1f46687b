/* SPDX-License-Identifier: BSD-3-Clause */
/* Packet buffers for captures: a mempool made by hand, since DPDK makes one only after loading every driver it has,
 * which costs more than reading a small capture does. A stack: what was given back last is in the cache. An element is
 * made when it is taken for the first time, so that a capture which needs few touches little memory.
 *
 * An mbuf either has its bytes in the room behind it, as any, or they are lent: its buf_addr points into a block of a
 * capture's bytes, without head- or tailroom, until it comes back. One thread has it all, so that counting who uses a
 * block is an addition. */
#include "port_pvt.h"

#include <stdlib.h>

#define ELT_HDR RTE_CACHE_LINE_SIZE /* struct rte_mempool_objhdr at its end */

static void *
element(const struct rte_mempool *mp, uint32_t i)
{
	const struct pool_stack *s = mp->pool_data;

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
	struct pool_stack *s = mp->pool_data;

	if (n > s->cnt + (mp->size - s->made))
		return -ENOBUFS;
	for (unsigned int i = 0; i < n; i++)
		obj[i] = s->cnt ? s->free[--s->cnt] : make(mp, s->made++);
	return 0;
}

static void
unuse_block(struct pool_stack *s, size_t off)
{
	size_t i = off >> s->block_shift;

	if (--s->block_use[i] == 0)
		s->free_block[s->free_block_cnt++] = (uint8_t)i;
}

static int
give(struct rte_mempool *mp, void *const *obj, unsigned int n)
{
	struct pool_stack *s = mp->pool_data;

	for (unsigned int i = 0; i < n; i++) {
		struct rte_mbuf *m = obj[i];
		size_t off = (uintptr_t)m->buf_addr - (uintptr_t)s->blocks;

		if (off < s->blocks_len) {
			unuse_block(s, off);
			m->buf_addr = m + 1;
			m->buf_len = rte_pktmbuf_data_room_size(mp);
		}
		s->free[s->cnt++] = m;
	}
	return 0;
}

static unsigned int
left(const struct rte_mempool *mp)
{
	const struct pool_stack *s = mp->pool_data;

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

/* ---- blocks ---- */

uint8_t *
pool_block_take(struct rte_mempool *mp)
{
	struct pool_stack *s = mp->pool_data;
	uint8_t i;

	if (!s->free_block_cnt)
		return NULL;
	i = s->free_block[--s->free_block_cnt];
	s->block_use[i] = 1;
	return s->blocks + ((size_t)i << s->block_shift);
}

void
pool_block_drop(struct rte_mempool *mp, uint8_t *block)
{
	struct pool_stack *s = mp->pool_data;

	unuse_block(s, (size_t)(block - s->blocks));
}

/* ---- set-up ---- */

static struct pool_stack *
stack_open(uint32_t cnt, size_t elt, uint32_t block_bytes, uint32_t block_cnt)
{
	struct pool_stack *s = calloc(1, sizeof(*s) + cnt * sizeof(s->free[0]));

	if (!s)
		return NULL;
	s->mem = aligned_alloc(RTE_CACHE_LINE_SIZE, cnt * (ELT_HDR + elt));
	s->block_shift = (uint32_t)__builtin_ctz(block_bytes);
	s->blocks_len = (size_t)block_cnt << s->block_shift;
	s->blocks = aligned_alloc(RTE_CACHE_LINE_SIZE, s->blocks_len);
	while (s->free_block_cnt < block_cnt) { /* the first one is taken first */
		s->free_block[s->free_block_cnt] = (uint8_t)(block_cnt - 1 - s->free_block_cnt);
		s->free_block_cnt++;
	}
	return s;
}

static void
stack_close(struct pool_stack *s)
{
	if (!s)
		return;
	free(s->blocks);
	free(s->mem);
	free(s);
}

struct rte_mempool *
pool_open(uint32_t cnt, uint16_t room, uint32_t block_bytes, uint32_t block_cnt)
{
	struct rte_pktmbuf_pool_private priv = {.mbuf_data_room_size = room};
	size_t elt = sizeof(struct rte_mbuf) + RTE_ALIGN_CEIL(room, RTE_CACHE_LINE_SIZE);
	size_t size =
		sizeof(struct rte_mempool) + RTE_ALIGN_CEIL(sizeof(priv), RTE_CACHE_LINE_SIZE);
	struct rte_mempool *mp = aligned_alloc(RTE_CACHE_LINE_SIZE, size);
	struct pool_stack *s = stack_open(cnt, elt, block_bytes, block_cnt);
	int ops = ops_index();

	PSI_ASSERT(block_cnt <= BLOCK_CNT && (block_bytes & (block_bytes - 1)) == 0,
		"blocks are few, and their size is a power of two");
	if (!mp || !s || !s->mem || !s->blocks || ops < 0) {
		stack_close(s);
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

struct rte_mempool *
psi_port_pool_open(uint32_t cnt, uint16_t room)
{
	return pool_open(cnt, room, BLOCK_BYTES, BLOCK_CNT);
}

void
psi_port_pool_close(struct rte_mempool *mp)
{
	if (mp)
		stack_close(mp->pool_data);
	free(mp);
}
