/* SPDX-License-Identifier: BSD-3-Clause */
/* The first half of a flow waits here for the second: handshake data, kept until the flow's end or until it is the
 * least recently made one and there is no more room. */
#include "collector_pvt.h"

#include <errno.h>
#include <stdlib.h>

int
joins_open(struct joins *s, uint32_t max, struct psi_stats *stats)
{
	s->stats = stats;
	s->max = max;
	s->bucket_cnt = max < 1024 ? 1024 : max;
	s->bucket = calloc(s->bucket_cnt, sizeof(*s->bucket));
	return s->bucket ? 0 : -ENOMEM;
}

static struct join **
slot(struct joins *s, uint64_t flow_id)
{
	struct join **p = &s->bucket[(flow_id * 0x9e3779b97f4a7c15ull >> 20) % s->bucket_cnt];

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

void
joins_put(struct joins *s, const struct psi_rec *r)
{
	struct join **p = slot(s, r->flow_id), *j;

	if (*p)
		joins_free(take(s, p));
	if (s->cnt == s->max && s->oldest) {
		joins_free(take(s, slot(s, s->oldest->flow_id)));
		psi_stat_inc(s->stats, PSI_STAT_join_evicted);
		p = slot(s, r->flow_id);
	}
	j = malloc(offsetof(struct join, rec) + r->len);
	if (!j) {
		psi_stat_inc(s->stats, PSI_STAT_join_evicted);
		return;
	}
	memcpy(&j->rec, r, r->len);
	j->flow_id = r->flow_id;
	j->hash_next = NULL;
	*p = j;
	j->newer = NULL;
	j->older = s->newest;
	*(s->newest ? &s->newest->newer : &s->oldest) = j;
	s->newest = j;
	s->cnt++;
}

struct join *
joins_take(struct joins *s, uint64_t flow_id)
{
	struct join **p = slot(s, flow_id);

	return *p ? take(s, p) : NULL;
}

void
joins_free(struct join *j)
{
	free(j);
}

void
joins_close(struct joins *s)
{
	while (s->oldest)
		joins_free(take(s, slot(s, s->oldest->flow_id)));
	free(s->bucket);
}
