/* SPDX-License-Identifier: BSD-3-Clause */
/* Does the NIC keep its word? The first packets of every worker are looked at: of each connection, which queue its packets
 * came from. Two queues for one connection, and the workers hand its packets over from then on; so they do when packets
 * come in tunnels, of which RSS sees the outside only. Costs nothing once the first packets have passed. */
#include "engine.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <errno.h>
#include <stdlib.h>

#define WATCH_FLOWS 4096

#define WATCH_PACKETS 100000 /* of each worker */

/* Any worker may write any word; one that is lost to another connection is no harm. A word: 24 bits of the hash, and
 * the worker + 1 in the lowest byte. */
struct rss_watch {
	_Atomic uint32_t flow[WATCH_FLOWS];
	_Atomic uint32_t whole; /* packets of connections that were seen at this worker before */
	_Atomic uint32_t torn;	/* at another one */
};

static void
steer(struct engine *e)
{
	atomic_store_explicit(&e->steering, true, memory_order_relaxed);
}

/* What stands against leaving it to the port; NULL: nothing. */
static const char *
objection(const struct engine *e, const struct engine_port *p, char *why, size_t cap)
{
	if (p->cfg.port->rss == PSI_CONFIG_RSS_SOFTWARE)
		return "the configuration says so";
	if (p->nic.spread == PSI_NIC_SCATTERED)
		return p->nic.spread_why;
	if (p->nic.queue_cnt < e->worker_cnt) {
		snprintf(why, cap, "it has %u of the %u queues that the workers would need",
			p->nic.queue_cnt, e->worker_cnt);
		return why;
	}
	return NULL;
}

bool
rss_believe(struct engine *e)
{
	e->watch = calloc(1, sizeof(*e->watch));
	for (unsigned int i = 0; e->watch && i < e->worker_cnt; i++)
		e->worker[i].rss_left = WATCH_PACKETS;
	atomic_store_explicit(&e->steering, false, memory_order_release);
	return e->watch != NULL;
}

int
rss_decide(struct engine *e, const struct psi_config *cfg, struct psi_err *err)
{
	if (e->worker_cnt < 2)
		return 0;
	for (unsigned int i = 0; i < e->port_cnt; i++) {
		struct engine_port *p = &e->port[i];
		char why[128];
		const char *text = objection(e, p, why, sizeof(why));

		if (!text) {
			log_info("rss", "port %s: symmetric RSS over %u queues%s%s", p->nic.name,
				p->nic.queue_cnt, p->nic.spread_why[0] ? "; " : "",
				p->nic.spread_why);
			continue;
		}
		if (p->cfg.port->rss == PSI_CONFIG_RSS_HARDWARE)
			return psi_config_err_at(cfg, p->cfg.port->at, err, -ENOTSUP,
				"port %s cannot spread connections over %u workers by itself: %s; "
				"`rss: auto` lets workers do it",
				p->nic.name, e->worker_cnt, text);
		log_info("rss", "port %s: workers hand packets over by software: %s", p->nic.name,
			text);
		steer(e);
	}
	if (atomic_load_explicit(&e->steering, memory_order_relaxed))
		return 0;
	return rss_believe(e) ? 0 : psi_err_set(err, -ENOMEM, "no memory");
}

void
rss_close(struct engine *e)
{
	free(e->watch);
	e->watch = NULL;
}

static void
look(struct rss_watch *r, uint64_t hash, unsigned int worker)
{
	_Atomic uint32_t *slot = &r->flow[hash % WATCH_FLOWS];
	uint32_t mine = (uint32_t)(hash >> 40) << 8 | (worker + 1);
	uint32_t had = atomic_load_explicit(slot, memory_order_relaxed);

	if (had >> 8 != mine >> 8)
		atomic_store_explicit(slot, mine, memory_order_relaxed);
	else
		atomic_fetch_add_explicit(
			had == mine ? &r->whole : &r->torn, 1, memory_order_relaxed);
}

void
rss_watch(struct engine_worker *w, struct rte_mbuf **m, uint16_t n)
{
	struct psi_pkt p;

	for (uint16_t i = 0; i < n; i++)
		if (psi_net_decode(PSI_LINK_ETHERNET, rte_pktmbuf_mtod(m[i], const uint8_t *),
			    m[i]->data_len, m[i]->pkt_len, w->e->identity, &p) == PSI_NET_TCP &&
			!p.tunnel_cnt)
			look(w->e->watch,
				XXH3_64bits_withSeed(&p.tuple, sizeof(p.tuple), w->e->steer_seed),
				w->id);
	w->rss_left -= PSI_MIN(w->rss_left, (uint32_t)n);
}

static bool
tunnels_seen(const struct engine *e)
{
	for (unsigned int i = 0; i < e->worker_cnt; i++)
		if (psi_stat_get(e->worker[i].stats, PSI_STAT_pkt_tunnel))
			return true;
	return false;
}

void
rss_judge(struct engine *e)
{
	uint32_t torn, whole;

	if (!e->watch || atomic_load_explicit(&e->steering, memory_order_relaxed))
		return;
	torn = atomic_load_explicit(&e->watch->torn, memory_order_relaxed);
	whole = atomic_load_explicit(&e->watch->whole, memory_order_relaxed);
	if (torn)
		log_warn("rss",
			"the two directions of connections arrive at different queues (%u packets of %u looked "
			"at): from now on workers hand packets over by software",
			torn, torn + whole);
	else if (tunnels_seen(e))
		log_warn("rss",
			"packets come in tunnels, whose inside RSS does not see: from now on workers "
			"hand packets over by software; `rss: software` does so from the start");
	else
		return;
	steer(e);
}
