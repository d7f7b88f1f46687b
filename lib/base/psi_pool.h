/* SPDX-License-Identifier: BSD-3-Clause */
/* psi_pool.h: a bounded pool of equal objects, addressed by index, in memory that the caller gives.
 * Take and give are a few instructions each; an object is not zeroed. Thread: one owner. Hot. */
#ifndef PSI_POOL_H
#define PSI_POOL_H

#include "psi_base.h"

#define PSI_POOL_NONE UINT32_MAX

struct psi_pool {
	uint8_t *mem;	/* cnt objects of size bytes */
	uint32_t *next; /* next[i]: the free object behind i */
	uint32_t size, cnt, free, used;
};

/* psi_pool_footprint: bytes for cnt objects of size bytes (a multiple of 8).
 * psi_pool_init: lays it out in mem, aligned to 64, the caller's for the pool's life. */
static inline size_t
psi_pool_footprint(uint32_t size, uint32_t cnt)
{
	return (size_t)size * cnt + (size_t)cnt * sizeof(uint32_t);
}

static inline void
psi_pool_init(struct psi_pool *p, void *mem, uint32_t size, uint32_t cnt)
{
	*p = (struct psi_pool){
		.mem = mem, .size = size, .cnt = cnt, .free = cnt ? 0 : PSI_POOL_NONE};
	p->next = (uint32_t *)(void *)(p->mem + (size_t)size * cnt);
	for (uint32_t i = 0; i < cnt; i++)
		p->next[i] = i + 1 < cnt ? i + 1 : PSI_POOL_NONE;
}

static inline void *
psi_pool_at(const struct psi_pool *p, uint32_t i)
{
	PSI_ASSERT(i < p->cnt, "index is of this pool");
	return p->mem + (size_t)i * p->size;
}

/* psi_pool_take: the index of a free object, PSI_POOL_NONE when there is none. */
static inline uint32_t
psi_pool_take(struct psi_pool *p)
{
	uint32_t i = p->free;

	if (i != PSI_POOL_NONE) {
		p->free = p->next[i];
		p->used++;
	}
	return i;
}

static inline void
psi_pool_give(struct psi_pool *p, uint32_t i)
{
	PSI_ASSERT(i < p->cnt && p->used > 0, "only what was taken is given back");
	p->next[i] = p->free;
	p->free = i;
	p->used--;
}

#endif
