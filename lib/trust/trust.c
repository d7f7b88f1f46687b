/* SPDX-License-Identifier: BSD-3-Clause */
/* The cache: entries in one array, a chained hash table of their indices, a list from newest to oldest. The key is a
 * keyed hash already, so its low bits are the bucket. */
#include "trust_pvt.h"

#include <stdlib.h>

static uint32_t *
bucket_of(const struct psi_trust *t, const uint64_t key[2])
{
	return &t->bucket[key[0] & t->bucket_mask];
}

static uint32_t
lookup(struct psi_trust *t, const struct psi_trust_query *q)
{
	uint32_t i = *bucket_of(t, q->key);

	for (; i != NONE; i = t->entry[i].hash_next) {
		const struct entry *e = &t->entry[i];

		if (e->key[0] == q->key[0] && e->key[1] == q->key[1] && e->role == q->role)
			return i;
	}
	return NONE;
}

static void
list_drop(struct psi_trust *t, uint32_t i)
{
	struct entry *e = &t->entry[i];

	*(e->newer == NONE ? &t->newest : &t->entry[e->newer].older) = e->older;
	*(e->older == NONE ? &t->oldest : &t->entry[e->older].newer) = e->newer;
}

static void
list_front(struct psi_trust *t, uint32_t i)
{
	struct entry *e = &t->entry[i];

	e->moved_at = t->hits + t->misses;
	e->newer = NONE;
	e->older = t->newest;
	*(t->newest == NONE ? &t->oldest : &t->entry[t->newest].newer) = i;
	t->newest = i;
}

/* Takes the oldest entry out of table and list, and frees what it holds. */
static uint32_t
evict(struct psi_trust *t)
{
	uint32_t i = t->oldest;
	uint32_t *link = bucket_of(t, t->entry[i].key);

	while (*link != i)
		link = &t->entry[*link].hash_next;
	*link = t->entry[i].hash_next;
	list_drop(t, i);
	free(t->entry[i].v.names);
	t->evicted++;
	return i;
}

static uint32_t
insert(struct psi_trust *t, const struct psi_trust_query *q)
{
	uint32_t i = t->used < t->max ? t->used++ : evict(t);
	uint32_t *b = bucket_of(t, q->key);

	t->entry[i] =
		(struct entry){.key = {q->key[0], q->key[1]}, .role = q->role, .hash_next = *b};
	*b = i;
	list_front(t, i);
	return i;
}

/* Packet time may go backwards, from one capture to the next: then the answer is as old as one too far ahead. */
static bool
fresh(const struct psi_trust *t, const struct entry *e, int64_t time_s)
{
	return !t->ttl_s || (time_s >= e->checked_s - t->ttl_s && time_s < e->checked_s + t->ttl_s);
}

/* What depends on the flow. */
static void
judge(const struct verdict *v, const struct psi_trust_query *q, struct psi_trust_result *out)
{
	const uint32_t leaf_bad = PSI_CERT_EXPIRED | PSI_CERT_NOT_VALID_YET;
	uint32_t leaf = 0, path = 0;

	leaf |= q->time_s > v->leaf_to ? PSI_CERT_EXPIRED : 0;
	leaf |= q->time_s < v->leaf_from ? PSI_CERT_NOT_VALID_YET : 0;
	path |= q->time_s > v->path_to ? PSI_CERT_EXPIRED : 0;
	path |= q->time_s < v->path_from ? PSI_CERT_NOT_VALID_YET : 0;
	*out = (struct psi_trust_result){
		.status = v->status | leaf | path,
		.findings = v->findings,
		.error = v->error,
		.path_cnt = v->path_cnt,
		.has_root = v->has_root,
	};
	memcpy(out->root_spki_sha256, v->root_spki, sizeof(v->root_spki));
	if (path & ~leaf & leaf_bad)
		out->findings |= PSI_TRUST_issuer_dates;
	if (q->time_s >= v->revoked_at)
		out->status |= PSI_CERT_REVOKED;
	if (!(out->status & ~(uint32_t)PSI_CERT_SELF_SIGNED))
		out->status |= PSI_CERT_VALID;
	if (q->sni_len && v->path_cnt)
		out->findings |= names_judge(v, q->sni, q->sni_len);
}

bool
psi_trust_find(struct psi_trust *t, const struct psi_trust_query *q, struct psi_trust_result *out)
{
	uint32_t i = lookup(t, q);

	if (i == NONE || !fresh(t, &t->entry[i], q->time_s))
		return false;
	/* One that moved a short while ago stays where it is: to move it costs the lines of four others. */
	if (t->hits++ + t->misses - t->entry[i].moved_at >= t->max / 4) {
		list_drop(t, i);
		list_front(t, i);
	}
	judge(&t->entry[i].v, q, out);
	return true;
}

void
psi_trust_want(const struct psi_trust *t, const uint64_t key[2], unsigned int step)
{
	const uint32_t *first = bucket_of(t, key);
	const struct entry *e;

	if (step == 0) {
		__builtin_prefetch(first);
		return;
	}
	if (*first == NONE)
		return;
	e = &t->entry[*first];
	for (uint32_t at = 0; step == 1 && at < sizeof(*e); at += 64)
		__builtin_prefetch((const uint8_t *)e + at);
	if (step == 2)
		__builtin_prefetch(e->v.names);
}

/* False when this second's checks are used up. */
static bool
may_check(struct psi_trust *t, int64_t time_s)
{
	if (t->second != time_s) {
		t->second = time_s;
		t->checks = 0;
	}
	if (t->checks_max && t->checks == t->checks_max) {
		t->refused++;
		return false;
	}
	t->checks++;
	return true;
}

bool
psi_trust_check(struct psi_trust *t, const struct psi_trust_query *q,
	const struct psi_trust_der *chain, uint32_t cnt, struct psi_trust_result *out)
{
	struct entry *e;
	uint32_t i;

	if (psi_trust_find(t, q, out))
		return true;
	*out = (struct psi_trust_result){.status = PSI_CERT_NOT_CHECKED};
	if (!may_check(t, q->time_s))
		return false;
	t->misses++;
	i = lookup(t, q);
	if (i == NONE) {
		i = insert(t, q);
	} else {
		free(t->entry[i].v.names);
		list_drop(t, i);
		list_front(t, i);
	}
	e = &t->entry[i];
	e->checked_s = q->time_s;
	cnt = PSI_MIN(cnt, (uint32_t)PSI_TRUST_CHAIN_MAX);
	if (!kind_check(t, q->role, q->time_s, chain, cnt, &e->v))
		path_check(t, q->role, q->time_s, chain, cnt, &e->v);
	judge(&e->v, q, out);
	return true;
}

void
psi_trust_count(const struct psi_trust *t, struct psi_trust_count *out)
{
	*out = (struct psi_trust_count){
		.roots = t->roots,
		.crls = t->crls,
		.cached = t->used,
		.hits = t->hits,
		.misses = t->misses,
		.evicted = t->evicted,
		.refused = t->refused,
		.alike = t->alike,
	};
}

const char *
psi_trust_finding_name(uint32_t bit)
{
	switch (bit) {
#define FINDING(sym, value, text) \
	case value:               \
		return #sym;
#include "trust_findings.def"
#undef FINDING
	}
	return NULL;
}

const char *
psi_trust_finding_text(uint32_t bit)
{
	switch (bit) {
#define FINDING(sym, value, text) \
	case value:               \
		return text;
#include "trust_findings.def"
#undef FINDING
	}
	return NULL;
}
