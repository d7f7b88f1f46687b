/* SPDX-License-Identifier: BSD-3-Clause */
/* Software in the place of RSS: the worker that receives a packet finds out whose flow it is of, and hands it over.
 *
 * The owner is a keyed hash of the flow's tuple, the same for both directions, inside tunnels and outside. Fragments have
 * no ports: they go by their addresses, so that all pieces of a datagram meet; the datagram then stays with the worker
 * that joined it. One queue for each pair of workers, with one writer and one reader: packets of a flow that arrived at
 * one worker stay in order. A full queue drops, counted. */
#include "engine.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

int
steer_open(struct engine *e, struct psi_err *err)
{
	unsigned int n = e->worker_cnt;
	char name[32];

	if (n < 2)
		return 0;
	if (getrandom(&e->steer_seed, sizeof(e->steer_seed), 0) < 0)
		e->steer_seed = rte_rdtsc();
	e->steer = calloc((size_t)n * n, sizeof(*e->steer));
	if (!e->steer)
		return psi_err_set(err, -ENOMEM, "no memory");
	for (unsigned int i = 0; i < n * n; i++) {
		if (i / n == i % n)
			continue;
		snprintf(name, sizeof(name), "steer_%u_%u", i / n, i % n);
		e->steer[i] = rte_ring_create(
			name, STEER_RING, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
		if (!e->steer[i])
			return psi_err_set(
				err, -ENOMEM, "no memory for the queues between %u workers", n);
	}
	return 0;
}

void
steer_close(struct engine *e)
{
	for (unsigned int i = 0; e->steer && i < e->worker_cnt * e->worker_cnt; i++)
		rte_ring_free(e->steer[i]);
	free(e->steer);
	e->steer = NULL;
}

/* The addresses of a fragment in an order that is the same for both directions. */
static uint64_t
address_hash(const struct rte_mbuf *m, uint32_t l3_off, uint64_t seed)
{
	const uint8_t *p = rte_pktmbuf_mtod_offset(m, const uint8_t *, l3_off);
	uint8_t pair[32];
	uint32_t len = 4, off = 12;

	if (l3_off >= m->data_len)
		return 0;
	if (p[0] >> 4 == 6) {
		len = 16;
		off = 8;
	}
	if (m->data_len - l3_off < off + 2 * len)
		return 0;
	p += off;
	if (memcmp(p, p + len, len) <= 0) {
		memcpy(pair, p, 2 * len);
	} else {
		memcpy(pair, p + len, len);
		memcpy(pair + len, p, len);
	}
	return XXH3_64bits_withSeed(pair, 2 * len, seed);
}

/* owner_of: the worker of a packet's flow; the one that has it where there is no flow. */
static unsigned int
owner_of(const struct engine_worker *w, const struct rte_mbuf *m)
{
	const struct engine *e = w->e;
	struct psi_pkt p;
	uint64_t h;

	switch (psi_net_decode(PSI_LINK_ETHERNET, rte_pktmbuf_mtod(m, const uint8_t *), m->data_len,
		m->pkt_len, e->identity, &p)) {
	case PSI_NET_TCP: h = XXH3_64bits_withSeed(&p.tuple, sizeof(p.tuple), e->steer_seed); break;
	case PSI_NET_FRAGMENT: h = address_hash(m, p.l3_off, e->steer_seed); break;
	default: return w->id;
	}
	return (unsigned int)(((h >> 32) * e->worker_cnt) >> 32);
}

static void
send(struct engine_worker *w, unsigned int to, uint16_t cnt)
{
	struct rte_mbuf **m = w->steer_out + (size_t)to * PSI_WORKER_BURST;
	struct rte_ring *r = w->e->steer[w->id * w->e->worker_cnt + to];
	uint16_t sent = (uint16_t)rte_ring_sp_enqueue_burst(r, (void **)m, cnt, NULL);

	psi_stat_add(w->stats, PSI_STAT_pkt_steered, sent);
	for (uint16_t i = sent; i < cnt; i++) {
		psi_stat_inc(w->stats, PSI_STAT_pkt_rx);
		psi_stat_add(w->stats, PSI_STAT_pkt_rx_bytes, m[i]->pkt_len);
		psi_stat_inc(w->stats, PSI_STAT_pkt_drop_steer_full);
		rte_pktmbuf_free(m[i]);
	}
}

uint16_t
steer_split(struct engine_worker *w, struct rte_mbuf **m, uint16_t n)
{
	uint16_t cnt[ENGINE_WORKER_MAX] = {0}, mine = 0;

	for (uint16_t i = 0; i < n; i++) {
		unsigned int to = owner_of(w, m[i]);

		if (to == w->id)
			m[mine++] = m[i];
		else
			w->steer_out[(size_t)to * PSI_WORKER_BURST + cnt[to]++] = m[i];
	}
	for (unsigned int to = 0; mine < n && to < w->e->worker_cnt; to++)
		if (cnt[to])
			send(w, to, cnt[to]);
	return mine;
}

uint16_t
steer_take(struct engine_worker *w, unsigned int from, struct rte_mbuf **m)
{
	struct rte_ring *r = w->e->steer[from * w->e->worker_cnt + w->id];

	return r ? (uint16_t)rte_ring_sc_dequeue_burst(r, (void **)m, PSI_WORKER_BURST, NULL) : 0;
}

bool
steer_pending(const struct engine_worker *w)
{
	for (unsigned int i = 0; w->e->steer && i < w->e->worker_cnt; i++)
		if (i != w->id && rte_ring_count(w->e->steer[i * w->e->worker_cnt + w->id]))
			return true;
	return false;
}
