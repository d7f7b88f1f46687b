/* SPDX-License-Identifier: BSD-3-Clause */
/* Setting the engine up and taking it apart, in the order in which things depend on each other. */
#include "engine.h"

#include <errno.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_pdump.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct psi_config *
engine_config(const struct engine *e, struct psi_err *err)
{
	struct psi_config_source src = {
		.path = e->config_path, .ov = e->ov, .ov_cnt = e->ov_cnt, .report = e->on_problem};

	return psi_config_load(&src, err);
}

/* ---- memory for packets ---- */

static unsigned int
pool_index(int socket)
{
	return socket >= 0 && socket < ENGINE_NODE_MAX ? (unsigned int)socket : ENGINE_NODE_MAX;
}

/* The buffers of a NUMA node, made when the first port on it asks for them. */
static struct rte_mempool *
pool_of(struct engine *e, const struct psi_config *cfg, int socket, struct psi_err *err)
{
	struct rte_mempool **p = &e->pool[pool_index(socket)];
	char name[32];

	if (*p)
		return *p;
	snprintf(name, sizeof(name), "packets%u", pool_index(socket));
	*p = psi_nic_pool(name, e->pool_mbufs, cfg->mempool.cache,
		(uint16_t)(RTE_PKTMBUF_HEADROOM + e->mbuf_room), socket);
	if (!*p) {
		psi_err_set(err, -ENOMEM,
			"no memory for %u packet buffers of %u bytes on NUMA node %d (%s); `eal.memory` or "
			"`mempool.mbufs` change that",
			e->pool_mbufs, e->mbuf_room, socket, rte_strerror(rte_errno));
		return NULL;
	}
	if (socket < 0)
		log_info("memory", "%u packet buffers of %u bytes", e->pool_mbufs, e->mbuf_room);
	else
		log_info("memory", "%u packet buffers of %u bytes on NUMA node %d", e->pool_mbufs,
			e->mbuf_room, socket);
	return *p;
}

/* ---- ports ---- */

static int
open_port(struct engine *e, const struct psi_config *cfg, unsigned int i, struct psi_err *err)
{
	struct engine_port *p = &e->port[i];
	struct rte_mempool *pool;
	int rc;

	p->cfg = (struct psi_nic_config){.port = &cfg->ports[i],
		.index = i,
		.workers = e->worker_cnt,
		.interrupts = cfg->idle.policy == PSI_CONFIG_IDLE_INTERRUPT};
	p->link = -1;
	rc = psi_nic_attach(&p->nic, &p->cfg, err);
	if (rc != 0)
		return rc;
	e->port_cnt++;
	pool = pool_of(e, cfg, p->nic.socket, err);
	if (!pool)
		return -ENOMEM;
	rc = psi_nic_start(&p->nic, &p->cfg, pool, err);
	if (rc != 0)
		return rc;
	log_info("port", "%s: driver %s, %u queue%s of %u descriptors, NUMA node %d%s%s",
		p->nic.name, p->nic.driver, p->nic.queue_cnt, p->nic.queue_cnt == 1 ? "" : "s",
		p->nic.desc_cnt, p->nic.socket, p->nic.promiscuous ? ", promiscuous" : "",
		p->nic.interrupts ? ", interrupts" : "");
	return 0;
}

/* Queue q of every port goes to worker q. */
static void
hand_out_queues(struct engine *e)
{
	for (unsigned int p = 0; p < e->port_cnt; p++) {
		for (uint16_t q = 0; q < e->port[p].nic.queue_cnt; q++) {
			struct engine_worker *w = &e->worker[q];

			w->rx[w->rx_cnt].nic = &e->port[p].nic;
			w->rx[w->rx_cnt].queue = q;
			w->rx[w->rx_cnt++].port = (uint16_t)p;
		}
	}
}

static int
open_ports(struct engine *e, const struct psi_config *cfg, struct psi_err *err)
{
	int rc = 0;

	e->pool_mbufs = sizes_mbufs(e, cfg);
	e->mbuf_room = sizes_mbuf_room(cfg);
	for (unsigned int i = 0; rc == 0 && i < cfg->ports_cnt; i++)
		rc = open_port(e, cfg, i, err);
	if (rc == 0)
		hand_out_queues(e);
	return rc;
}

/* ---- the environment ---- */

static int
open_eal(struct engine *e, const struct psi_config *cfg, struct psi_err *err)
{
	char lcores[2048];
	struct psi_eal_config ec = {.cfg = cfg, .lcores = lcores, .mem_mb = sizes_mem_mb(e, cfg)};
	struct psi_eal_news news;
	int rc;

	layout_lcores(e, lcores, sizeof(lcores));
	ec.log = log_stream();
	if (!ec.log)
		return psi_err_set(err, -ENOMEM, "no memory");
	rc = psi_eal_start(&ec, &news, err);
	if (rc != 0)
		return rc;
	e->eal_up = true;
	log_info("memory", "%u MiB for packets%s", ec.mem_mb, news.huge ? " in huge pages" : "");
	if (news.note[0])
		log_warn("memory", "%s", news.note);
	if (news.shared && rte_pdump_init() != 0)
		log_warn("telemetry", "dpdk-pdump will not work (%s)", rte_strerror(rte_errno));
	e->pdump = news.shared;
	return 0;
}

static int
open_rcu(struct engine *e, struct psi_err *err)
{
	size_t size = rte_rcu_qsbr_get_memsize(e->loop_cnt);

	e->rcu = rte_zmalloc("rcu", size, RTE_CACHE_LINE_SIZE);
	if (!e->rcu || rte_rcu_qsbr_init(e->rcu, e->loop_cnt) != 0)
		return psi_err_set(err, -ENOMEM, "no memory");
	return 0;
}

/* ---- loops ---- */

static void
say_layout(const struct engine *e)
{
	for (unsigned int i = 0; i < e->loop_cnt; i++) {
		const struct engine_loop *l = &e->loop[i];
		char text[256] = "";
		size_t n = 0;

		for (unsigned int k = 0; k < l->worker_cnt && n < sizeof(text) - 16; k++)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%sworker %u",
				k ? ", " : "", l->worker[k]->id);
		log_info("cores", "core %u: %s%s%s%s", l->cpu, text,
			l->collector && l->worker_cnt ? ", " : "", l->collector ? "collector" : "",
			e->control_cpu == (int)l->cpu ? ", control" : "");
	}
}

/* Starts the loops, and waits until each has set up what it works with. */
static int
start_loops(struct engine *e, struct psi_err *err)
{
	struct timespec ts = {.tv_nsec = 1000000};
	int rc = 0;

	for (unsigned int i = 0; i < e->loop_cnt; i++) {
		atomic_store_explicit(&e->loop[i].open_rc, 1, memory_order_relaxed);
		if (rte_eal_remote_launch(loop_main, &e->loop[i], e->loop[i].lcore) != 0)
			return psi_err_set(err, -EIO, "core %u does not start", e->loop[i].cpu);
		e->launched++;
	}
	for (unsigned int i = 0; i < e->loop_cnt; i++) {
		while (atomic_load_explicit(&e->loop[i].open_rc, memory_order_acquire) == 1)
			clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
		if (rc == 0 && e->loop[i].open_rc != 0) {
			rc = e->loop[i].open_rc;
			*err = e->loop[i].open_err;
		}
	}
	return rc;
}

static int
open_all(struct engine *e, struct psi_config *cfg, struct psi_err *err)
{
	struct generation *g;
	int rc;

	if ((rc = layout_make(e, cfg, err)) != 0)
		return rc;
	if (!cfg->ports_cnt)
		return psi_err_set(err, -EINVAL,
			"no port to watch: --interface eth0 watches an interface, as `ports: [{interface: eth0}]` in "
			"the configuration does; `pinsight doctor` finds those that are here");
	if ((rc = open_eal(e, cfg, err)) != 0)
		return rc;
	clock_open(&e->clock);
	e->started_ns = clock_ns(&e->clock);
	if ((rc = open_rcu(e, err)) != 0 || (rc = open_ports(e, cfg, err)) != 0 ||
		(rc = steer_open(e, err)) != 0 || (rc = rss_decide(e, cfg, err)) != 0)
		return rc;
	g = generation_open(e, cfg, err);
	if (!g)
		return -EINVAL;
	atomic_store_explicit(&e->gen, g, memory_order_release);
	e->identity = sizes_identity(cfg);
	say_layout(e);
	return start_loops(e, err);
}

int
engine_open(struct engine *e, struct psi_config *cfg, struct psi_err *err)
{
	int rc;

	pthread_mutex_init(&e->gen_lock, NULL);
	e->first_cfg = cfg;
	log_level(cfg->log.level);
	rc = open_all(e, cfg, err);
	if (rc != 0) {
		engine_close(e);
		return rc;
	}
	psi_ring_tell(e->collector.ring, e->reloads, "");
	telemetry_open(e);
	atomic_store_explicit(&e->go, true, memory_order_release);
	return 0;
}

void
engine_close(struct engine *e)
{
	telemetry_close();
	atomic_store_explicit(&e->stop, true, memory_order_relaxed);
	for (unsigned int i = 0; i < e->launched; i++)
		rte_eal_wait_lcore(e->loop[i].lcore);
	for (unsigned int i = 0; i < e->port_cnt; i++)
		psi_nic_stop(&e->port[i].nic);
	collector_close(&e->collector);
	for (unsigned int i = 0; i < e->worker_cnt; i++)
		worker_close(&e->worker[i]);
	for (unsigned int i = 0; i < e->port_cnt; i++)
		psi_nic_close(&e->port[i].nic);
	rss_close(e);
	steer_close(e);
	generation_close(e, atomic_load_explicit(&e->gen, memory_order_relaxed));
	psi_config_close(e->first_cfg);
	for (unsigned int i = 0; i <= ENGINE_NODE_MAX; i++)
		rte_mempool_free(e->pool[i]);
	rte_free(e->rcu);
	if (e->pdump)
		rte_pdump_uninit();
	free(e->worker);
	free(e->loop);
	if (e->eal_up)
		rte_eal_cleanup();
}
