/* SPDX-License-Identifier: BSD-3-Clause */
/* The table's layout, for flow.c, flow_ctl.c and the white-box test. */
#ifndef FLOW_PVT_H
#define FLOW_PVT_H

#include "psi_flow.h"

enum {
	WAYS = 32,
	TAG_FREE = 0,	 /* no flow has this tag, nor the next */
	TAG_LEFT = 1,	 /* free as well, but flows of this bucket are in the next one */
	TAG_FLOW = 2,	 /* the lowest of a flow */
	STRANGER = 0x80, /* beside a state: the flow is of the bucket before */
	CROWDED = 4,	 /* free ways at which a bucket begins to share with the next */
	DUE_SHIFT = 8,	 /* due times are kept in units of 256 ms: 32 bits of them last 34 years */
	DUE_NEVER = 1 << 30,
	KEY_CNT = 8,
	VICTIM_LOOKS = 8,   /* entries whose age is compared when one has to go */
	FLOW_MAX = 1 << 28, /* 32 bits of hash fill that many evenly, 16 GiB of entries */
};

struct tags {
	uint16_t way[WAYS];
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct tags) == 64, "one cache line a bucket");

/* The states of a bucket's entries once more, so that room is made without reading all of them. */
struct states {
	uint8_t way[WAYS];
} __attribute__((aligned(32)));

/* In memory: this, then the entries, the tags, the states, the due times. Way w of bucket b is entry b * WAYS + w.
 * Invariants: tags[b].way[w] is TAG_FREE or TAG_LEFT exactly when that entry's state is PSI_FLOW_FREE, else the tag of
 * its hash;
 * states[b].way[w] is the entry's state, and STRANGER when its flow is of bucket b - 1;
 * where there are strangers, no tag of the bucket before is TAG_FREE; where there are none, none of it is TAG_LEFT;
 * due[b] is not later than the first moment at which an entry of b could have outlived its timeout. */
struct psi_flow_table {
	struct psi_flow *entries;
	struct tags *tags;
	struct states *states;
	uint32_t *due; /* low 32 bits of milliseconds >> DUE_SHIFT */
	uint32_t bucket_cnt;
	_Atomic uint32_t alive; /* written by the owner alone; telemetry reads it */
	uint64_t key[KEY_CNT];
	uint64_t now_ms;   /* the latest that was heard of */
	uint32_t age_next; /* the bucket that psi_flow_age looks at next */
	uint32_t timeout_ms[PSI_FLOW_STATE_CNT];
	struct psi_stats *stats;
	psi_flow_gone_fn *gone;
	void *ctx;
} __attribute__((aligned(64)));

static inline uint32_t
bucket_of(const struct psi_flow_table *t, uint32_t hash)
{
	return (uint32_t)((uint64_t)hash * t->bucket_cnt >> 32);
}

/* Where the flows of b go when it is full; b itself when there is no other. */
static inline uint32_t
bucket_after(const struct psi_flow_table *t, uint32_t b)
{
	return b + 1 == t->bucket_cnt ? 0 : b + 1;
}

static inline uint32_t
bucket_before(const struct psi_flow_table *t, uint32_t b)
{
	return b ? b - 1 : t->bucket_cnt - 1;
}

/* The bucket is chosen by the upper bits, so the lower ones are as good as independent of it. */
static inline uint16_t
tag_of(uint32_t hash)
{
	uint16_t tag = (uint16_t)hash;

	return tag < TAG_FLOW ? (uint16_t)(tag + TAG_FLOW) : tag;
}

#endif
