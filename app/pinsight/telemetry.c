/* SPDX-License-Identifier: BSD-3-Clause */
/* What `dpdk-telemetry.py -f pinsight` can ask of the engine. DPDK calls these on a thread of its own: counters are read as
 * they are, and the generation under its lock. */
#include "engine.h"

#include <errno.h>
#include <rte_telemetry.h>
#include <stdlib.h>

static struct engine *engine; /* NULL: there is none any more */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void
add_counters(struct rte_tel_data *d, const uint64_t *sum, bool zeros)
{
	for (enum psi_stat s = 0; s < PSI_STAT_CNT; s++)
		if (sum[s] || zeros)
			rte_tel_data_add_dict_u64(d, psi_stat_name(s), sum[s]);
}

static int
on_version(const char *cmd, const char *params, struct rte_tel_data *d)
{
	return rte_tel_data_string(d, PSI_VERSION);
}

static int
tell_stats(struct rte_tel_data *d)
{
	uint64_t sum[PSI_STAT_CNT] = {0}, alive = 0;

	for (unsigned int i = 0; i < engine->worker_cnt; i++) {
		psi_stats_sum(engine->worker[i].stats, sum);
		alive += psi_worker_alive(engine->worker[i].w);
	}
	psi_stats_sum(psi_collector_stats(engine->collector.c), sum);
	psi_stats_sum(&engine->stats, sum);
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_u64(d, "flows_alive", alive);
	add_counters(d, sum, true);
	return 0;
}

static void
add_worker(struct rte_tel_data *d, const struct engine_worker *w)
{
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_int(d, "core", (int)w->cpu);
	rte_tel_data_add_dict_u64(d, "flows_alive", psi_worker_alive(w->w));
	rte_tel_data_add_dict_u64(d, "queue_bytes",
		atomic_load_explicit(&w->queue.tail, memory_order_relaxed) -
			atomic_load_explicit(&w->queue.head, memory_order_relaxed));
}

/* Every worker, with what tells a busy one: DPDK cuts answers off behind 16 KiB, and says nothing of it. */
static int
tell_workers(struct rte_tel_data *d)
{
	rte_tel_data_start_dict(d);
	for (unsigned int i = 0; i < engine->worker_cnt; i++) {
		const struct engine_worker *w = &engine->worker[i];
		struct rte_tel_data *one = rte_tel_data_alloc();
		char name[16];

		if (!one)
			return -1;
		add_worker(one, w);
		rte_tel_data_add_dict_u64(one, "pkt_rx", psi_stat_get(w->stats, PSI_STAT_pkt_rx));
		snprintf(name, sizeof(name), "%u", i);
		rte_tel_data_add_dict_container(d, name, one, 0);
	}
	return 0;
}

static int
tell_worker(struct rte_tel_data *d, unsigned int i)
{
	uint64_t sum[PSI_STAT_CNT] = {0};

	if (i >= engine->worker_cnt)
		return -1;
	psi_stats_sum(engine->worker[i].stats, sum);
	add_worker(d, &engine->worker[i]);
	add_counters(d, sum, true);
	return 0;
}

static int
tell_ports(struct rte_tel_data *d)
{
	rte_tel_data_start_dict(d);
	for (unsigned int i = 0; i < engine->port_cnt; i++) {
		const struct engine_port *p = &engine->port[i];
		struct rte_tel_data *one = rte_tel_data_alloc();
		char name[16];

		if (!one)
			return -1;
		rte_tel_data_start_dict(one);
		rte_tel_data_add_dict_string(one, "name", p->nic.name);
		rte_tel_data_add_dict_string(one, "driver", p->nic.driver);
		rte_tel_data_add_dict_int(one, "queues", p->nic.queue_cnt);
		rte_tel_data_add_dict_string(one, "link",
			p->link == 1   ? "up"
			: p->link == 0 ? "down"
				       : "gone");
		snprintf(name, sizeof(name), "%u", i);
		rte_tel_data_add_dict_container(d, name, one, 0);
	}
	return 0;
}

static int
tell_config(struct rte_tel_data *d)
{
	const struct generation *g;

	pthread_mutex_lock(&engine->gen_lock);
	g = atomic_load_explicit(&engine->gen, memory_order_acquire);
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_string(d, "file", g->cfg->path);
	rte_tel_data_add_dict_u64(d, "generation", g->number);
	rte_tel_data_add_dict_u64(d, "reloads", engine->reloads);
	rte_tel_data_add_dict_u64(d, "reloads_refused", engine->reloads_refused);
	rte_tel_data_add_dict_string(d, "last_reload", engine->reload_said);
	rte_tel_data_add_dict_string(d, "ring", g->cfg->ring.path);
	rte_tel_data_add_dict_int(d, "workers", (int)engine->worker_cnt);
	rte_tel_data_add_dict_string(d, "steering",
		atomic_load_explicit(&engine->steering, memory_order_relaxed) ? "software"
									      : "none");
	pthread_mutex_unlock(&engine->gen_lock);
	return 0;
}

/* While the engine is taken apart, there is no answer. */
static int
ask(int (*tell)(struct rte_tel_data *d), struct rte_tel_data *d)
{
	int rc;

	pthread_mutex_lock(&lock);
	rc = engine ? tell(d) : -1;
	pthread_mutex_unlock(&lock);
	return rc;
}

static int
on_stats(const char *cmd, const char *params, struct rte_tel_data *d)
{
	return ask(tell_stats, d);
}

static int
on_workers(const char *cmd, const char *params, struct rte_tel_data *d)
{
	unsigned long i;
	char *end;
	int rc;

	if (!params || !*params)
		return ask(tell_workers, d);
	errno = 0;
	i = strtoul(params, &end, 10);
	if (*params < '0' || *params > '9' || *end || errno || i >= ENGINE_WORKER_MAX)
		return -1;
	pthread_mutex_lock(&lock);
	rc = engine ? tell_worker(d, (unsigned int)i) : -1;
	pthread_mutex_unlock(&lock);
	return rc;
}

static int
on_ports(const char *cmd, const char *params, struct rte_tel_data *d)
{
	return ask(tell_ports, d);
}

static int
on_config(const char *cmd, const char *params, struct rte_tel_data *d)
{
	return ask(tell_config, d);
}

void
telemetry_close(void)
{
	pthread_mutex_lock(&lock);
	engine = NULL;
	pthread_mutex_unlock(&lock);
}

void
telemetry_open(struct engine *e)
{
	engine = e;
	rte_telemetry_register_cmd("/pinsight/version", on_version, "The engine's version.");
	rte_telemetry_register_cmd("/pinsight/stats", on_stats,
		"All counters since the start, by the names of docs/counters.md.");
	rte_telemetry_register_cmd("/pinsight/workers", on_workers,
		"Each worker: core, flows, queue, packets. With a worker's number: all its counters.");
	rte_telemetry_register_cmd("/pinsight/ports", on_ports, "Ports: driver, queues, link.");
	rte_telemetry_register_cmd("/pinsight/config", on_config,
		"Which configuration is in place, and what became of the last reload.");
}
