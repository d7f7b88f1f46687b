/* SPDX-License-Identifier: BSD-3-Clause */
/* engine.h: the engine as a service: ports, workers and collector on their cores, and what controls them. Shared by the
 * engine's own .c files, cmd_run.c and tests.
 *
 * Threads: control is the process's main thread. Every other core that has something to do runs one loop, which gives
 * each role on it a turn: workers, and on one of them the collector. What crosses threads is atomic here, or goes through
 * a queue; what operators can change while it runs is one generation, published by control and read once a turn. */
#ifndef ENGINE_H
#define ENGINE_H

#include "clock.h"
#include "log.h"
#include "psi_collector.h"
#include "psi_config.h"
#include "psi_nic.h"
#include "psi_policy.h"
#include "psi_ring.h"
#include "psi_worker.h"

#include <pthread.h>
#include <signal.h>
#include <rte_rcu_qsbr.h>
#include <rte_ring.h>

#define ENGINE_WORKER_MAX 64
#define ENGINE_PORT_MAX	  32
#define ENGINE_NODE_MAX	  8    /* NUMA nodes with packet buffers of their own */
#define STEER_RING	  2048 /* packets on their way from one worker to another, for each pair */

/* What a reload replaces. Read-only once published; freed when every loop has passed a turn without it. */
struct generation {
	uint64_t number;
	struct psi_config *cfg;
	struct psi_policy *policy;
};

/* ---- roles ---- */

enum worker_state {
	WORKER_RUNS,
	WORKER_RECEIVED, /* takes nothing from ports any more */
	WORKER_DONE,	 /* its flows are ended and told */
};

struct engine_worker {
	struct engine *e;
	unsigned int id, cpu;
	bool with_collector; /* on the same loop: it can make room in the queue by itself */
	struct psi_worker *w;
	struct psi_handoff queue;
	void *queue_mem;
	struct {
		struct psi_nic *nic;
		uint16_t queue;
		uint16_t port; /* index in e->port */
	} rx[ENGINE_PORT_MAX];
	unsigned int rx_cnt;
	struct psi_stats *stats; /* w's, also for what happens in front of it */
	struct rte_mbuf *
		*steer_out; /* ENGINE bursts, one a worker; NULL where there is one worker */
	uint64_t last_ns;   /* time of the last packet */
	uint64_t turn_ns;   /* when the turn before began */
	uint64_t busy_ns;   /* on packets, not yet counted */
	bool turn_busy;
	bool burst_full;	/* of this turn's bursts one was */
	uint32_t full_turns;	/* such turns in a row, roughly */
	uint64_t mark;		/* last one sent to the collector */
	uint32_t rss_left;	/* packets that are still looked at to judge RSS */
	_Atomic uint32_t state; /* enum worker_state */
};

struct engine_collector {
	struct engine *e;
	struct psi_collector *c;
	struct psi_ring_w *ring;
	struct psi_pins_store *keys;	 /* keys on first use; NULL: none are learnt */
	const struct psi_policy *policy; /* what c works with */
	uint64_t beat_ns, stats_ns;	 /* of the last heartbeat, the last stats event */
	/* A stats event in the making: a mark from each worker, and what was taken of its queue until then. */
	uint64_t mark, mark_ns;
	unsigned int marks_missing;
	unsigned int polling; /* worker whose queue is being read */
	uint64_t poll_base, taken[ENGINE_WORKER_MAX];
	struct snapshot *now, *before; /* worker_cnt + 1 each: the last is the sum */
	uint64_t verdicts[PSI_CLASS_CNT];
	_Atomic bool done;
};

struct snapshot {
	uint64_t sum[PSI_STAT_CNT];
	uint64_t flows_alive, taken;
	uint64_t queue_len;
	bool came;
};

/* A core at work. */
struct engine_loop {
	struct engine *e;
	unsigned int index, cpu, lcore;
	struct engine_worker *worker[ENGINE_WORKER_MAX];
	unsigned int worker_cnt;
	struct engine_collector *collector; /* NULL: not here */
	/* Waiting. */
	uint32_t empty;	  /* turns in a row without work */
	uint64_t rest_ns; /* the next rest */
	bool epoll_ready;
	_Atomic int open_rc; /* 1: still to be set up; 0; -errno, see open_err */
	struct psi_err open_err;
};

/* ---- the whole ---- */

struct engine_port {
	struct psi_nic nic;
	struct psi_nic_config cfg;
	struct psi_nic_counters seen; /* what was counted of it so far */
	_Atomic uint64_t lost_ns;     /* when it was last seen to have lost packets */
	int link;		      /* as last told: -1 not yet */
	bool gone;
};

struct engine {
	const char *config_path;
	const struct psi_config_override *ov;
	uint32_t ov_cnt;
	void (*on_problem)(void *ctx, const struct psi_config_problem *p);
	struct psi_config
		*first_cfg; /* what it was started with, and what only a restart changes */
	struct engine_clock clock;
	_Atomic(struct generation *) gen;
	pthread_mutex_t
		gen_lock; /* for telemetry, which has a thread of its own; held to publish, not to read */
	struct rte_rcu_qsbr *rcu; /* one id a loop */
	struct engine_port port[ENGINE_PORT_MAX];
	unsigned int port_cnt;
	struct engine_worker *worker; /* worker_cnt */
	unsigned int worker_cnt;
	struct engine_collector collector;
	struct engine_loop *loop; /* loop_cnt */
	unsigned int loop_cnt;
	int control_cpu;
	struct rte_mempool *pool[ENGINE_NODE_MAX + 1]; /* by node; the last: any */
	unsigned int pool_mbufs;
	uint16_t mbuf_room;
	struct rte_ring **steer; /* from worker i to j: [i * worker_cnt + j] */
	uint64_t steer_seed;
	_Atomic bool steering;	 /* packets are handed to the worker of their flow */
	struct rss_watch *watch; /* NULL: nothing to watch */
	unsigned int identity;	 /* enum psi_net_identity */
	struct psi_stats stats;	 /* control's: what the ports count */
	_Atomic uint64_t mark;	 /* number of the mark that workers are to send */
	_Atomic bool go;	 /* all is set up */
	_Atomic bool stop;
	uint64_t started_ns, generations, reloads, reloads_refused;
	char reload_said[512]; /* result of the last reload */
	unsigned int launched; /* loops */
	bool eal_up, pdump, clock_behind;
	uint64_t shed_seen, shed_since; /* overload, as last told */
	_Atomic bool counted;		/* at the end: the ports were looked at once more */
	sigset_t stop_signals;
};

/* engine_config reads the configuration anew, from where it came. NULL: every problem was reported. */
struct psi_config *engine_config(const struct engine *e, struct psi_err *err);
/* engine_block_signals: for engine_run to wait for. Before anything that makes threads. */
void engine_block_signals(void);

/* engine.c: engine_open sets all up and starts the loops; engine_close after engine_run. Control only. engine_run
 * returns when a signal said so and all is stopped: true when every packet, flow and record is accounted for. */
int engine_open(struct engine *e, struct psi_config *cfg, struct psi_err *err);
bool engine_run(struct engine *e);
void engine_close(struct engine *e);

/* layout.c: which core does what, as e->loop and e->worker; the result as DPDK's --lcores. */
int layout_make(struct engine *e, const struct psi_config *cfg, struct psi_err *err);
void layout_lcores(const struct engine *e, char *out, size_t cap);

/* sizes.c: what the configuration leaves open. */
void sizes_worker(const struct engine *e, const struct psi_config *cfg, unsigned int id,
	struct psi_worker_config *out);
unsigned int sizes_identity(const struct psi_config *cfg); /* enum psi_net_identity */
uint32_t sizes_mbufs(const struct engine *e, const struct psi_config *cfg);
uint16_t sizes_mbuf_room(const struct psi_config *cfg);
unsigned int sizes_mem_mb(const struct engine *e, const struct psi_config *cfg);

/* loop.c */
int loop_main(void *loop);

/* lcore_worker.c: a turn of a worker: whether there was something to do. */
int worker_open(struct engine_worker *w, struct psi_err *err);
void worker_close(struct engine_worker *w);
bool worker_turn(struct engine_worker *w);

/* pressure.c: after each turn; full: packets may still wait. */
void pressure_turn(struct engine_worker *w, bool full, uint64_t now);

/* lcore_collector.c */
int collector_open(struct engine_collector *c, struct psi_err *err);
void collector_close(struct engine_collector *c);
bool collector_turn(struct engine_collector *c);
/* collector_drain takes what one worker's queue holds: for a worker on the same loop. */
uint32_t collector_drain(struct engine_collector *c, unsigned int worker);

/* steer.c: packets to the worker of their flow. steer_split leaves those of worker w in m and sends the others on;
 * returns how many stay. steer_take: packets that others sent to w, at most PSI_WORKER_BURST, beginning with those of
 * worker *from, which moves on. */
int steer_open(struct engine *e, struct psi_err *err);
void steer_close(struct engine *e);
uint16_t steer_split(struct engine_worker *w, struct rte_mbuf **m, uint16_t n);
uint16_t steer_take(struct engine_worker *w, unsigned int from, struct rte_mbuf **m);
bool steer_pending(const struct engine_worker *w);

/* rss.c: do both directions of connections arrive at one worker? rss_decide: what ports promised, and the operator wants;
 * rss_watch: what arrives; rss_judge: control, once a second. */
int rss_decide(struct engine *e, const struct psi_config *cfg, struct psi_err *err);
bool rss_believe(struct engine *e); /* leave it to the ports, and watch; false without memory */
void rss_close(struct engine *e);
void rss_watch(struct engine_worker *w, struct rte_mbuf **m, uint16_t n);
void rss_judge(struct engine *e);

/* reload.c */
struct generation *generation_open(struct engine *e, struct psi_config *cfg, struct psi_err *err);
void generation_close(struct engine *e, struct generation *g);
bool engine_reload(struct engine *e);

/* telemetry.c */
void telemetry_open(struct engine *e);
void telemetry_close(void); /* before what it tells of goes */

/* What every thread but control knows of the operator's wishes at the moment. Good until the end of the turn. */
static inline const struct generation *
generation_of(struct engine *e)
{
	return atomic_load_explicit(&e->gen, memory_order_acquire);
}

#endif
