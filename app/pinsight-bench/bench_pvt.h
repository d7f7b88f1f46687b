/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_pvt.h: shared by the benchmark's own .c files. */
#ifndef BENCH_PVT_H
#define BENCH_PVT_H

#include "histogram.h"
#include "psi_collector.h"
#include "psi_export.h"
#include "psi_gen.h"
#include "psi_policy.h"
#include "psi_ring.h"
#include "psi_worker.h"

#include <rte_cycles.h>
#include <rte_mbuf.h>
#include <stdio.h>
#include <time.h>

#define LANES_MAX 64
#define REPS_MAX  101
#define SET_MAX	  32

/* ---- what is asked for ---- */

enum scenario {
	SC_ESTABLISHED,
	SC_HTTPS,
	SC_HANDSHAKES,
	SC_NEW_FLOWS,
	SC_SYN_FLOOD,
	SC_UDP_FLOOD,
	SC_CNT
};

/* Each does what the one before does, and more; RING and JSON both stand on COLLECTOR. */
enum stage {
	ST_RECEIVE,   /* take a burst and free it: the baseline */
	ST_DECODE,    /* and read its headers */
	ST_FLOW,      /* and find or make the flow */
	ST_WORKER,    /* all that a worker does; its records are thrown away */
	ST_COLLECTOR, /* and the collector's work; its events are thrown away */
	ST_RING,      /* and each event into the ring */
	ST_JSON,      /* or each event as JSON */
	ST_ALONE, /* the collector's work alone, over what a worker made while the clock stood */
	ST_SHED,  /* a worker that drops all bulk, as under overload */
	ST_CNT
};

enum mode { MODE_STAGES, MODE_LATENCY, MODE_OVERLOAD, MODE_TRIAL, MODE_RING, MODE_PORT, MODE_PCAP };

struct options {
	enum scenario scenario;
	enum mode mode;
	struct psi_gen_config gen;
	uint32_t stages; /* bit per enum stage */
	uint32_t burst, ring, workers, reps, live;
	uint64_t packets; /* a repetition and stage */
	double load, seconds, rate;
	const char *port,
		*eal;	   /* PORT: a DPDK port, and DPDK's own options; PCAP: port is a file */
	double warm;	   /* seconds of packet time before anything counts */
	const char *sweep; /* "flows=10k,1M"; NULL: none */
	const char *
		roots; /* PEM that chains are checked against; NULL: the generator's own CA; "": none */
	const char *config, *set[SET_MAX]; /* of the collector's policy */
	uint32_t set_cnt;
	bool json, pin, no_huge;
};

/* ---- eal.c ---- */
struct machine {
	char cpu[96];
	double tsc_ghz;
	unsigned int cores;
	bool huge;
	unsigned int pool_mb;
};
extern struct machine machine;
/* Starts DPDK with so many lcores and so much memory, in huge pages if there are as many free. */
int
machine_start(const struct options *o, unsigned int lcores, unsigned int mb, struct psi_err *err);
double load_average(void);
long rss_kb(void);
void machine_print(const struct options *o);
struct rte_mempool *packet_pool(const char *name, unsigned int mbufs, struct psi_err *err);

/* ---- nic.c: a receive queue that a generator fills while the clock stands ---- */
struct nic {
	struct rte_mempool *pool;
	struct psi_gen *gen;
	uint32_t size, head, cnt;
	struct rte_mbuf **slot;
	uint16_t *len; /* as a descriptor tells it */
	uint64_t *ts_ns;
	uint64_t bytes; /* on the wire, filled so far */
};
int nic_open(struct nic *n, const struct psi_gen_config *cfg, uint32_t size,
	struct rte_mempool *pool, struct psi_err *err);
void nic_close(struct nic *n);
/* Fills the queue; how many frames are in it. */
uint32_t nic_fill(struct nic *n);
/* Takes at most max; what a driver does for it is done here: descriptors read, mbufs made ready, others put in place. */
uint16_t nic_rx(struct nic *n, struct rte_mbuf **m, uint64_t *ts_ns, uint32_t *wire, uint16_t max);

/* ---- engine.c: a pipeline up to a stage ---- */
struct engine {
	enum stage stage;
	struct psi_stats stats; /* of the stages below a worker */
	struct psi_flow_table *flows;
	void *flow_mem;
	size_t flow_len;
	uint64_t aged_ms;
	struct psi_worker_config wc;
	struct psi_worker *worker;
	struct psi_collector *collector;
	struct psi_config *cfg;
	struct psi_policy *policy;
	struct psi_ring_w *ring;
	char ring_path[64];
	char *json;
	struct psi_json *json_writer;
	struct psi_handoff queue;
	void *queue_mem;
	bool pressed;	    /* its queue is said to be full */
	uint64_t discarded; /* records thrown away */
	uint64_t events, event_bytes, json_bytes;
	uint64_t sum; /* so that nothing is optimised away */
	uint64_t last_ns;
	void (*on_event)(void *ctx, const struct psi_event *e); /* besides; NULL: nobody */
	void *ctx;
	struct psi_pkt pkt[PSI_WORKER_BURST];
	uint32_t hash[PSI_WORKER_BURST];
	uint8_t rc[PSI_WORKER_BURST];
};
int engine_open(struct engine *e, enum stage stage, const struct options *o, unsigned int id,
	struct psi_err *err);
void engine_burst(struct engine *e, struct rte_mbuf **m, const uint64_t *ts, const uint32_t *wire,
	uint16_t n);
/* ALONE: what the timed part is. */
void engine_drain(struct engine *e);
/* Ends every flow and closes all. False, with the reason in err, when the ledger does not balance. */
bool engine_close(struct engine *e, struct psi_err *err);
const char *stage_name(enum stage s);
size_t engine_flow_bytes(const struct engine *e);

/* ---- perf.c ---- */
enum counter { CT_CYCLES, CT_INSTRUCTIONS, CT_L1D_MISS, CT_LLC_MISS, CT_DTLB_MISS, CT_CNT };
struct counters {
	int fd[CT_CNT]; /* -1: not available */
	uint64_t v[CT_CNT];
};
void counters_open(struct counters *c);
void counters_run(struct counters *c, bool on);
void counters_close(struct counters *c);
bool counters_any(const struct counters *c);
const char *counter_name(enum counter c);

/* ---- measure.c ---- */
struct tally {
	uint64_t packets, bytes, conns, events, tsc, cpu_ns;
	uint64_t v[CT_CNT];
};

/* One stage under one set of options: per repetition, then summed up. */
struct result {
	enum stage stage;
	uint32_t reps;
	double cycles[REPS_MAX]; /* a packet, CPU time */
	double median, lowest, highest;
	double taken; /* share of the time that others had the CPU */
	double mpps;  /* all workers together */
	struct tally sum;
	long rss_kb;	   /* grown while flows were opened */
	double flow_bytes; /* of tables and pools, a flow that there is room for */
	bool has[CT_CNT];
};
int measure(const struct options *o, struct result *res, uint32_t *cnt, struct psi_err *err);

/* ---- report.c ---- */
void report_rows(const struct options *o, const struct result *res, uint32_t cnt);
struct histogram;
void report_histogram(const struct options *o, const struct histogram *h); /* of nanoseconds */
const char *scenario_name(enum scenario s);

/* ---- live.c, ring.c, port.c ---- */
int run_port(const struct options *o, struct psi_err *err);
int run_pcap(const struct options *o, struct psi_err *err);
int run_live(const struct options *o, struct psi_err *err);
int run_ring(const struct options *o, struct psi_err *err);

static inline uint64_t
cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

#endif
