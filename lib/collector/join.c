/* SPDX-License-Identifier: BSD-3-Clause */
/* The first half of a flow waits here for the second: handshake data, kept until the flow's end or until it is the
 * least recently made one and there is no more room. Memory is cut from huge pages and kept by size: what was freed last,
 * and is in a cache, is used next. */
#include "collector_pvt.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Sizes in units, and the longest. */
static const uint8_t size_class[] = {8, 12, 18};
_Static_assert(JOIN_SIZES > 19 && JOIN_SIZES < 256, "the longest is longer than those");

static uint32_t
class_of(uint32_t units)
{
	for (unsigned int i = 0; i < PSI_COUNT(size_class); i++)
		if (units <= size_class[i])
			return size_class[i];
	return JOIN_SIZES - 1;
}

static uint32_t
class_sum(void)
{
	uint32_t sum = JOIN_SIZES - 1;

	for (unsigned int i = 0; i < PSI_COUNT(size_class); i++)
		sum += size_class[i];
	return sum;
}

/* Memory in huge pages, if the system has some to give. */
static void *
huge(size_t len)
{
	void *p = aligned_alloc(JOIN_SLAB, (len + JOIN_SLAB - 1) & ~(size_t)(JOIN_SLAB - 1));

	if (p)
		madvise(p, len, MADV_HUGEPAGE); /* no is an answer, too */
	return p;
}

int
joins_open(struct joins *s, uint32_t max, struct psi_stats *stats)
{
	s->stats = stats;
	s->max = max;
	for (s->bucket_cnt = 1024; s->bucket_cnt < max && s->bucket_cnt < 1u << 31;)
		s->bucket_cnt *= 2;
	/* room for so many of each class: those that were freed stay what they are, and whoever sends many of one class
	 * must not leave too little for another */
	s->slab_max = (uint32_t)PSI_MIN(
		UINT32_MAX, 1 + (uint64_t)max * class_sum() / (JOIN_SLAB / JOIN_UNIT - JOIN_SIZES));
	s->bucket = huge((size_t)s->bucket_cnt * sizeof(*s->bucket));
	if (!s->bucket)
		return -ENOMEM;
	memset(s->bucket, 0, (size_t)s->bucket_cnt * sizeof(*s->bucket));
	return 0;
}

static struct join **
bucket_of(const struct joins *s, uint64_t flow_id)
{
	return &s->bucket[flow_id * 0x9e3779b97f4a7c15ull >> 20 & (s->bucket_cnt - 1)];
}

static struct join **
slot(struct joins *s, uint64_t flow_id)
{
	struct join **p = bucket_of(s, flow_id);

	while (*p && (*p)->flow_id != flow_id)
		p = &(*p)->hash_next;
	return p;
}

static struct join *
take(struct joins *s, struct join **p)
{
	struct join *j = *p;

	*p = j->hash_next;
	*(j->newer ? &j->newer->older : &s->newest) = j->older;
	*(j->older ? &j->older->newer : &s->oldest) = j->newer;
	s->cnt--;
	return j;
}

/* ---- memory ---- */

static bool
add_slab(struct joins *s)
{
	struct slab *n;

	if (s->slab_cnt == s->slab_max)
		return false;
	n = huge(JOIN_SLAB);
	if (!n)
		return false;
	n->before = s->slab;
	s->slab = n;
	s->slab_cnt++;
	s->slab_at = JOIN_UNIT;
	return true;
}

static struct join *
cut(struct joins *s, uint32_t n)
{
	struct join *j;

	if ((!s->slab || s->slab_at + n * JOIN_UNIT > JOIN_SLAB) && !add_slab(s))
		return NULL;
	j = (struct join *)(void *)((uint8_t *)s->slab + s->slab_at);
	s->slab_at += n * JOIN_UNIT;
	j->units = n;
	return j;
}

static struct join *
reuse(struct joins *s, uint32_t n)
{
	struct join *j = s->spare[n];

	if (j)
		s->spare[n] = j->older;
	return j;
}

/* Memory for a record of that length: one of that class that was freed, a new one, or a longer one that was freed. */
static struct join *
room(struct joins *s, uint32_t rec_len)
{
	uint32_t n = class_of(
		(uint32_t)(offsetof(struct join, rec) + rec_len + JOIN_UNIT - 1) / JOIN_UNIT);
	struct join *j = reuse(s, n);

	if (!j)
		j = cut(s, n);
	while (!j && ++n < JOIN_SIZES)
		j = reuse(s, n);
	return j;
}

void
joins_free(struct joins *s, struct join *j)
{
	j->older = s->spare[j->units];
	s->spare[j->units] = j;
}

/* ---- */

struct join *
joins_put(struct joins *s, const struct psi_rec *r)
{
	struct join **p = slot(s, r->flow_id), *j;

	if (*p)
		joins_free(s, take(s, p));
	if (s->cnt == s->max && s->oldest) {
		joins_free(s, take(s, slot(s, s->oldest->flow_id)));
		psi_stat_inc(s->stats, PSI_STAT_join_evicted);
		p = slot(s, r->flow_id);
	}
	j = room(s, r->len);
	if (!j) {
		psi_stat_inc(s->stats, PSI_STAT_join_evicted);
		return NULL;
	}
	memcpy(&j->rec, r, r->len);
	j->flow_id = r->flow_id;
	j->trust_generation = 0;
	psi_pop_kept_none(&j->kept);
	j->hash_next = *p;
	*p = j;
	j->newer = NULL;
	j->older = s->newest;
	*(s->newest ? &s->newest->newer : &s->oldest) = j;
	s->newest = j;
	s->cnt++;
	return j;
}

struct join *
joins_take(struct joins *s, uint64_t flow_id)
{
	struct join **p = slot(s, flow_id);

	return *p ? take(s, p) : NULL;
}

struct join *
joins_look(struct joins *s, uint64_t flow_id)
{
	return *slot(s, flow_id);
}

void
joins_want(const struct joins *s, uint64_t flow_id)
{
	__builtin_prefetch(bucket_of(s, flow_id));
}

void
joins_want_first(const struct joins *s, uint64_t flow_id)
{
	const struct join *j = *bucket_of(s, flow_id);

	for (uint32_t at = 0; j && at < sizeof(*j); at += 64)
		__builtin_prefetch((const uint8_t *)j + at, 1);
}

void
joins_close(struct joins *s)
{
	while (s->slab) {
		struct slab *before = s->slab->before;

		free(s->slab);
		s->slab = before;
	}
	free(s->bucket);
}
