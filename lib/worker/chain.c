/* SPDX-License-Identifier: BSD-3-Clause */
/* Certificates on their way by. A message's bytes stay in their mbufs, referenced; at its end they are hashed under
 * the key of this start, and only a chain not sent lately goes to the collector, as those references. */
#include "worker_pvt.h"

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>
#ifdef __x86_64__
#include <xxh_x86dispatch.h> /* the widest vectors that this processor has */
#endif

#define SENT_AGAIN_NS \
	60000000000ull /* a chain is sent again after this long, in case the collector forgot it */

static struct hs *
cur_hs(struct psi_worker *w)
{
	return hs_of(w, w->cur);
}

static struct chain *
chain_of(struct psi_worker *w, const struct hs *h, enum psi_dir dir)
{
	return h->chain[dir] == PSI_POOL_NONE ? NULL : psi_pool_at(&w->chains, h->chain[dir]);
}

static void
chain_free(struct psi_worker *w, struct hs *h, enum psi_dir dir, bool release)
{
	struct chain *c = chain_of(w, h, dir);

	if (!c)
		return;
	w->chain_segs -= c->seg_cnt;
	for (uint16_t i = 0; release && i < c->seg_cnt; i++)
		rte_pktmbuf_free_seg(c->seg[i].ref);
	psi_pool_give(&w->chains, h->chain[dir]);
	h->chain[dir] = PSI_POOL_NONE;
}

void
chain_drop(struct psi_worker *w, struct hs *h)
{
	chain_free(w, h, PSI_C2S, true);
	chain_free(w, h, PSI_S2C, true);
}

static void
cert_begin(void *ctx, enum psi_dir dir, uint32_t len)
{
	struct psi_worker *w = ctx;
	struct hs *h = cur_hs(w);
	struct chain *c;

	if (h->has_chain[dir] || h->chain[dir] != PSI_POOL_NONE)
		return; /* the first counts: what a renegotiation shows is another matter */
	h->chain[dir] = psi_pool_take(&w->chains);
	c = chain_of(w, h, dir);
	if (!c) {
		h->chain_cut[dir] = 1;
		psi_stat_inc(&w->stats, PSI_STAT_chain_truncated);
		return;
	}
	c->len = 0;
	c->want = len;
	c->seg_cnt = 0;
	c->head_len = 0;
	c->cut = 0;
	c->raw = (uint8_t)(h->tls.raw_key >> dir & 1);
}

static bool
in_mbuf(const struct rte_mbuf *m, const uint8_t *p)
{
	const uint8_t *start = rte_pktmbuf_mtod(m, const uint8_t *);

	return p >= start && p < start + m->data_len;
}

static void
cert_data(void *ctx, enum psi_dir dir, const uint8_t *p, uint32_t len)
{
	struct psi_worker *w = ctx;
	struct chain *c = chain_of(w, cur_hs(w), dir);

	if (!c || c->cut)
		return;
	/* What the parser writes itself, around the bare certificate of SSLv2, is gone when this call returns. */
	if (!in_mbuf(w->cur_ref, p)) {
		if (c->seg_cnt ||
			c->head_len + len >
				sizeof(c->head)) { /* two messages mixed up: sides were taken for each other */
			c->cut = 1;
			return;
		}
		memcpy(c->head + c->head_len, p, len);
		c->head_len = (uint8_t)(c->head_len + len);
		c->len += len;
		return;
	}
	/* A record header between two spans of one mbuf makes them two pieces: that is what there is room for. */
	if (c->seg_cnt == PSI_HANDOFF_SEG_MAX || w->chain_segs == w->cfg.chain_seg_max) {
		c->cut = 1;
		psi_stat_inc(&w->stats, PSI_STAT_chain_truncated);
		return;
	}
	w->chain_segs++;
	rte_mbuf_refcnt_update((struct rte_mbuf *)w->cur_ref, 1);
	c->seg[c->seg_cnt].p = p;
	c->seg[c->seg_cnt].ref = w->cur_ref;
	c->seg[c->seg_cnt].len = len;
	c->seg_cnt++;
	c->len += len;
}

/* The keyed hash of a chain. */
static void
chain_key(const struct psi_worker *w, const struct chain *c, uint64_t key[2])
{
	XXH3_state_t s;
	XXH128_hash_t h;

	XXH3_INITSTATE(&s);
	XXH3_128bits_reset_withSeed(&s, w->cfg.flow.hash_key[0] ^ w->cfg.flow.hash_key[1]);
	XXH3_128bits_update(&s, c->head, c->head_len);
	for (uint16_t i = 0; i < c->seg_cnt; i++)
		XXH3_128bits_update(&s, c->seg[i].p, c->seg[i].len);
	h = XXH3_128bits_digest(&s);
	key[0] = h.low64;
	key[1] = h.high64 ^ c->raw; /* the same bytes read otherwise are another chain */
}

/* True when this worker sent the chain lately. */
static bool
sent_lately(const struct psi_worker *w, const uint64_t key[2])
{
	const struct sent_entry *e = &w->sent[key[0] % SENT_CACHE];

	return e->key[0] == key[0] && e->key[1] == key[1] && w->cur_ns - e->ts_ns < SENT_AGAIN_NS;
}

/* Hands the references over. False when the queue has no room: they are still ours then. */
static bool
chain_send(struct psi_worker *w, const struct chain *c, const uint64_t key[2])
{
	uint32_t len =
		(uint32_t)(sizeof(struct psi_handoff_chain) + c->seg_cnt * sizeof(c->seg[0]));
	struct psi_handoff_chain *m = out_reserve(w, len);

	_Static_assert(sizeof(((struct psi_handoff_chain *)0)->seg[0]) == sizeof(c->seg[0]),
		"copied as bytes");
	if (!m) {
		psi_stat_inc(&w->stats, PSI_STAT_chain_drop_full);
		return false;
	}
	memcpy(m->key, key, sizeof(m->key));
	m->len = c->len;
	m->seg_cnt = c->seg_cnt;
	m->cut = c->cut;
	m->raw = c->raw;
	m->head_len = c->head_len;
	memcpy(m->head, c->head, sizeof(m->head));
	memcpy(m->seg, c->seg, c->seg_cnt * sizeof(c->seg[0]));
	psi_handoff_commit(w->out, PSI_HANDOFF_CHAIN, len);
	w->sent[key[0] % SENT_CACHE] =
		(struct sent_entry){.key = {key[0], key[1]}, .ts_ns = w->cur_ns};
	psi_stat_inc(&w->stats, PSI_STAT_chain_sent);
	return true;
}

static void
cert_end(void *ctx, enum psi_dir dir, bool whole)
{
	struct psi_worker *w = ctx;
	struct hs *h = cur_hs(w);
	struct chain *c = chain_of(w, h, dir);
	bool given = false;

	if (!c)
		return;
	if (!whole && !c->cut) {
		c->cut = 1;
		psi_stat_inc(&w->stats, PSI_STAT_chain_truncated);
	}
	h->chain_cut[dir] = c->cut;
	if (c->seg_cnt) {
		chain_key(w, c, h->chain_key[dir]);
		h->has_chain[dir] = 1;
		if (!sent_lately(w, h->chain_key[dir]))
			given = chain_send(w, c, h->chain_key[dir]);
	}
	chain_free(w, h, dir, !given);
}

const struct psi_tls_ops chain_tls_ops = {
	.cert_begin = cert_begin, .cert_data = cert_data, .cert_end = cert_end};
