/* SPDX-License-Identifier: BSD-3-Clause */
/* Set-up, sizing and stop of a worker: may allocate and fail. */
#include "worker_pvt.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#define HUGE_SIZE ((size_t)1 << 21)
#define HUGE_MIN  HUGE_SIZE /* a smaller area is not worth one */

void
psi_worker_defaults(struct psi_worker_config *cfg)
{
	*cfg = (struct psi_worker_config){
		.flow =
			{
				.max = 1u << 20,
				.timeout_ms =
					{
						[PSI_FLOW_CLOSED] = 10000,
						[PSI_FLOW_HALF_OPEN] = 10000,
						[PSI_FLOW_OTHER] = 60000,
						[PSI_FLOW_ESTABLISHED] = 600000,
						[PSI_FLOW_HANDSHAKE] = 60000,
					},
				.hash_key = {0x9e3779b97f4a7c15ull, 0xd1b54a32d192ed03ull},
			},
		.stream = {.early_max = 4096,
			.early_flow_max = 128,
			.early_flow_bytes = 1u << 20,
			.gap_wait_ms = 3000},
		.frag = {.max = 1024,
			.mbuf_max = 4096,
			.timeout_ns = 30000000000ull,
			.hash_seed = 0x9e3779b9,
			.socket = SOCKET_ID_ANY},
		.conn_max = 1u << 18,
		.handshake_max = 1u << 15,
		.chain_max = 256,
		.chain_seg_max = 3072,
		.linger_ms = 2000,
		.identity = PSI_NET_ID_DEFAULT,
	};
}

/* Zeroed memory that costs nothing until it is touched. A huge page begins at a multiple of its size, and so must an area
 * that is to have no other. */
static void *
area(struct psi_worker *w, size_t len)
{
	bool huge = w->cfg.huge && len >= HUGE_MIN;
	size_t more = huge ? HUGE_SIZE : 0;
	uint8_t *p = mmap(NULL, len + more, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	PSI_ASSERT(w->area_cnt < PSI_COUNT(w->area), "room for every area");
	w->area[w->area_cnt].p = p;
	w->area[w->area_cnt++].len = len + more;
	if (!huge)
		return p;
	p += -(uintptr_t)p % HUGE_SIZE;
	madvise(p, (len + HUGE_SIZE - 1) / HUGE_SIZE * HUGE_SIZE, MADV_HUGEPAGE);
	return p;
}

static int
pool(struct psi_worker *w, struct psi_pool *p, uint32_t size, uint32_t cnt)
{
	void *mem;

	size = (size + 63u) & ~63u;
	mem = area(w, psi_pool_footprint(size, cnt));
	if (!mem)
		return -ENOMEM;
	psi_pool_init(p, mem, size, cnt);
	return 0;
}

static int
lay_out(struct psi_worker *w, struct psi_err *err)
{
	size_t flow_len = psi_flow_footprint(&w->cfg.flow),
	       stream_len = psi_stream_footprint(&w->cfg.stream);
	void *flow_mem, *stream_mem;

	if (!flow_len || !stream_len)
		return psi_err_set(
			err, -EINVAL, "the flow table or stream pool cannot have that size");
	flow_mem = area(w, flow_len);
	stream_mem = area(w, stream_len);
	w->fp = area(w, FP_CACHE * sizeof(*w->fp));
	w->fps = area(w, FP_CACHE * sizeof(*w->fps));
	w->sent = area(w, SENT_CACHE * sizeof(*w->sent));
	if (!flow_mem || !stream_mem || !w->fp || !w->fps || !w->sent ||
		pool(w, &w->conns, sizeof(struct conn), w->cfg.conn_max) != 0 ||
		pool(w, &w->hss, sizeof(struct hs), w->cfg.handshake_max) != 0 ||
		pool(w, &w->chains, sizeof(struct chain), w->cfg.chain_max) != 0)
		return psi_err_set(err, -ENOMEM, "no memory for the tables of a worker");
	w->flows = psi_flow_init(flow_mem, &w->cfg.flow, &w->stats, worker_flow_gone, w);
	w->streams = psi_stream_init(stream_mem, &w->cfg.stream, &conn_stream_ops, &w->stats);
	w->frags = psi_frag_open(&w->cfg.frag, &w->stats);
	if (w->flows) {
		w->base = psi_flow_base(w->flows);
		w->thin = area(w, psi_flow_slots(w->flows) * sizeof(*w->thin));
		if (!w->thin)
			return psi_err_set(err, -ENOMEM, "no memory for the tables of a worker");
	}
	if (!w->flows || !w->streams || !w->frags)
		return psi_err_set(err, -EINVAL, "a worker's tables cannot have that size");
	return 0;
}

struct psi_worker *
psi_worker_open(const struct psi_worker_config *cfg, struct psi_handoff *out,
	bool (*full)(void *ctx), void *ctx, struct psi_err *err)
{
	struct psi_worker *w = aligned_alloc(128, (sizeof(*w) + 127) & ~(size_t)127);

	if (!w) {
		psi_err_set(err, -ENOMEM, "no memory for a worker");
		return NULL;
	}
	memset(w, 0, sizeof(*w));
	w->cfg = *cfg;
	w->out = out;
	w->full = full;
	w->full_ctx = ctx;
	w->linger_first = w->linger_last = PSI_POOL_NONE;
	w->nobody.cold = PSI_FLOW_COLD_NONE;
	w->mark_step = 1;
	memcpy(w->shed.key, cfg->flow.hash_key, sizeof(w->shed.key));
	if (lay_out(w, err) != 0) {
		psi_worker_close(w);
		return NULL;
	}
	return w;
}

void
psi_worker_close(struct psi_worker *w)
{
	if (!w)
		return;
	psi_frag_close(w->frags);
	for (unsigned int i = 0; i < w->area_cnt; i++)
		munmap(w->area[i].p, w->area[i].len);
	free(w);
}

struct told {
	uint64_t id;
	struct psi_flow *flow;
};

static int
by_id(const void *a, const void *b)
{
	const struct told *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

/* The table gives up its entries in its own order, which nobody could explain; flows that are followed are ended before,
 * oldest first. */
static void
end_in_order(struct psi_worker *w)
{
	struct told *all = malloc((psi_flow_alive(w->flows) + 1u) * sizeof(*all));
	uint32_t n = 0, left = psi_flow_alive(w->flows);

	if (!all)
		return; /* psi_flow_stop ends them all the same */
	/* no further than there are any: most of the table may never have been touched */
	for (uint32_t i = 0; left && (i = psi_flow_next(w->flows, i)) < psi_flow_slots(w->flows);
		left--, i++) {
		struct psi_flow *f = psi_flow_at(w->flows, i);
		const struct conn *c = conn_of(w, f);

		if (c)
			all[n++] = (struct told){c->id, f};
		else if (f->flags & FLOW_THIN)
			all[n++] = (struct told){thin_id(w, f), f};
	}
	qsort(all, n, sizeof(*all), by_id);
	for (uint32_t i = 0; i < n; i++) {
		struct conn *c = conn_of(w, all[i].flow);

		if (c)
			conn_end(w, c, PSI_WHY_STOP);
		else
			thin_end(w, all[i].flow, PSI_WHY_STOP);
	}
	free(all);
}

void
psi_worker_touch(struct psi_worker *w)
{
#ifdef MADV_POPULATE_WRITE
	/* the first area that lay_out took; no is an answer, too */
	madvise(w->area[0].p, w->area[0].len, MADV_POPULATE_WRITE);
#else
	(void)w;
#endif
}

void
psi_worker_stop(struct psi_worker *w)
{
	psi_frag_stop(w->frags);
	conn_linger_expire(w, true);
	end_in_order(w);
	psi_flow_stop(w->flows);
	PSI_ASSERT(w->conns.used == 0 && w->hss.used == 0 && w->chains.used == 0,
		"every connection was given back");
	PSI_ASSERT(psi_stream_held(w->streams) == 0, "no segment is held");
	w->now_ns = w->now_ms = w->ms_ns = w->aged_ns =
		0; /* what comes next may have another time */
}

struct psi_stats *
psi_worker_stats(struct psi_worker *w)
{
	return &w->stats;
}

uint32_t
psi_worker_alive(const struct psi_worker *w)
{
	return psi_flow_alive(w->flows);
}
