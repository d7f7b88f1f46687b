/* SPDX-License-Identifier: BSD-3-Clause */
/* Captures -> what the population saw of each refused flow, for those who learn or check its weights.
 * One JSON object a line: the flow, the signals (weights.def) that held when it ended and
 * those that hold at the end of the capture, and the probabilities that follow today.
 *
 *     population_samples CAPTURE... */
#include "collector_pvt.h"
#include "population_pvt.h"
#include "psi_port.h"
#include "psi_worker.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#define SAMPLE_MAX  1000000u
#define QUEUE_BYTES (4u << 20)

struct sample {
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];
	uint16_t sport, dport;
	struct psi_pop_who id;
	enum how how;
	unsigned int fault;
	struct opinion then;
	enum psi_class alone;
};

struct run {
	struct rte_mempool *pool;
	struct psi_handoff queue;
	void *queue_mem;
	struct psi_config *cfg;
	struct psi_policy *policy;
	struct psi_collector *collector;
	struct psi_worker *worker;
	struct sample *sample;
	uint32_t cnt;
};

static const char *const signal_name[SIG_CNT] = {
#define WEIGHT(sym, pinned, ca, cert, none, evidence, text) #sym,
#include "weights.def"
#undef WEIGHT
};

static void
on_event(void *ctx, const struct psi_event *e)
{
	(void)ctx;
	(void)e;
}

static void
address(char *s, const struct psi_rec *r, enum psi_dir d)
{
	inet_ntop(
		r->ipv4 ? AF_INET : AF_INET6, r->addr[d] + (r->ipv4 ? 12 : 0), s, INET6_ADDRSTRLEN);
}

static void
on_sample(void *ctx, const struct psi_pop_flow *f, const struct psi_pop_who *id, enum how how,
	unsigned int fault, const struct opinion *o)
{
	struct run *r = ctx;
	struct sample *s = &r->sample[r->cnt];

	if (r->cnt == SAMPLE_MAX)
		return;
	r->cnt++;
	address(s->src, f->rec, PSI_C2S);
	address(s->dst, f->rec, PSI_S2C);
	s->sport = f->rec->port[PSI_C2S];
	s->dport = f->rec->port[PSI_S2C];
	s->id = *id;
	s->how = how;
	s->fault = fault;
	s->then = *o;
}

static bool
make_room(void *ctx)
{
	struct run *r = ctx;

	return psi_collector_poll(r->collector, &r->queue, UINT32_MAX) > 0;
}

static int
open_engine(struct run *r, struct psi_err *err)
{
	static const struct psi_policy_listener nobody;
	struct psi_worker_config wc;
	struct psi_collector_config cc;

	if (psi_eal_init("population_samples", 96, err) != 0)
		return -1;
	r->pool = rte_pktmbuf_pool_create(
		"packets", 16383, 256, 0, RTE_PKTMBUF_HEADROOM + 2048, SOCKET_ID_ANY);
	r->queue_mem = aligned_alloc(128, QUEUE_BYTES);
	r->sample = calloc(SAMPLE_MAX, sizeof(*r->sample));
	r->cfg = psi_config_open(NULL, NULL, 0, err);
	r->policy = r->cfg ? psi_policy_open(r->cfg, &nobody, err) : NULL;
	if (!r->pool || !r->queue_mem || !r->sample || !r->policy)
		return -1;
	psi_handoff_init(&r->queue, r->queue_mem, QUEUE_BYTES);
	psi_collector_defaults(&cc);
	cc.policy = r->policy;
	cc.sink = on_event;
	r->collector = psi_collector_open(&cc, err);
	psi_worker_defaults(&wc);
	r->worker = psi_worker_open(&wc, &r->queue, make_room, r, err);
	if (!r->collector || !r->worker)
		return -1;
	r->collector->population->sample = on_sample;
	r->collector->population->sample_ctx = r;
	return 0;
}

static int
read_file(struct run *r, const char *path, struct psi_err *err)
{
	struct rte_mbuf *m[PSI_WORKER_BURST];
	uint64_t ts[PSI_WORKER_BURST];
	uint32_t wire[PSI_WORKER_BURST];
	struct psi_port *port = psi_port_open_pcap(path, r->pool, err);
	enum psi_link link;
	uint16_t n;

	if (!port)
		return -1;
	while ((n = psi_port_rx(port, m, ts, wire, PSI_WORKER_BURST, &link)) > 0) {
		psi_worker_burst(r->worker, link, m, ts, wire, n);
		make_room(r);
	}
	psi_port_close(port);
	return 0;
}

static void
print_opinion(const char *name, const struct opinion *o)
{
	const char *comma = "";

	printf("\"%s\":{\"signals\":[", name);
	for (int i = 0; i < SIG_CNT; i++) {
		if (o->signals & 1ull << i) {
			printf("%s\"%s\"", comma, signal_name[i]);
			comma = ",";
		}
	}
	printf("],\"compared\":%s,\"attempts\":%.3f,\"scope\":%.3f,\"pinned\":%.4f,\"unknown_ca\":%.4f,\"certificate\":%.4f,\"nothing\":%.4f}",
		o->compared ? "true" : "false", (double)o->attempts, (double)o->scope,
		(double)o->prob[CAUSE_PINNED], (double)o->prob[CAUSE_CA],
		(double)o->prob[CAUSE_CERT], (double)o->prob[CAUSE_NONE]);
}

int
main(int argc, char **argv)
{
	static struct run r;
	struct psi_err err = {""};
	struct opinion now;
	int rc = open_engine(&r, &err);

	for (int i = 1; rc == 0 && i < argc; i++)
		rc = read_file(&r, argv[i], &err);
	if (rc != 0) {
		fprintf(stderr, "population_samples: %s\n", err.text);
		return 1;
	}
	psi_worker_stop(r.worker);
	make_room(&r);
	for (uint32_t i = 0; i < r.cnt; i++) {
		const struct sample *s = &r.sample[i];

		pop_judge(r.collector->population, &s->id, s->how, s->fault, &now);
		printf("{\"src_ip\":\"%s\",\"src_port\":%u,\"dest_ip\":\"%s\",\"dest_port\":%u,",
			s->src, s->sport, s->dst, s->dport);
		print_opinion("then", &s->then);
		printf(",");
		print_opinion("now", &now);
		printf("}\n");
	}
	return 0;
}
