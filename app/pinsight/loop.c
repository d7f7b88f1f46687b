/* SPDX-License-Identifier: BSD-3-Clause */
/* A core at work: every role on it gets a turn, again and again; when none had anything to do, it rests as the operator
 * wants it to. */
#include "engine.h"

#include <errno.h>
#include <rte_ethdev.h>
#include <rte_interrupts.h>
#include <rte_pause.h>
#include <sched.h>
#include <sys/prctl.h>
#include <time.h>

#define REST_MIN_NS	2000u
#define EPOLL_MS	10 /* how often a core that waits for an interrupt looks after its timeouts */
#define EPOLL_EVENTS	16
#define COLLECTOR_RESTS 4 /* times as long */
#define PAUSES		64

/* ---- resting ---- */

static void
rest(struct engine_loop *l, uint64_t max_ns)
{
	struct timespec ts = {.tv_nsec = (long)l->rest_ns};

	clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
	l->rest_ns = PSI_MIN(l->rest_ns * 2, max_ns);
}

/* Interrupts serve a core that does nothing but read queues of ports which all have them. */
static bool
can_wait(const struct engine_loop *l)
{
	if (l->collector || l->worker_cnt != 1 || l->e->worker_cnt > 1 || !l->worker[0]->rx_cnt)
		return false;
	for (unsigned int i = 0; i < l->worker[0]->rx_cnt; i++)
		if (!l->worker[0]->rx[i].nic->interrupts)
			return false;
	return true;
}

static bool
watch_queues(struct engine_loop *l)
{
	const struct engine_worker *w = l->worker[0];

	for (unsigned int i = 0; i < w->rx_cnt; i++)
		if (rte_eth_dev_rx_intr_ctl_q(w->rx[i].nic->port, w->rx[i].queue,
			    RTE_EPOLL_PER_THREAD, RTE_INTR_EVENT_ADD, NULL) != 0)
			return false;
	return true;
}

/* Armed first, then looked at once more: what came in between is not slept over. */
static void
wait_for_interrupt(struct engine_loop *l)
{
	struct engine_worker *w = l->worker[0];
	struct rte_epoll_event ev[EPOLL_EVENTS];

	for (unsigned int i = 0; i < w->rx_cnt; i++)
		rte_eth_dev_rx_intr_enable(w->rx[i].nic->port, w->rx[i].queue);
	if (!worker_turn(w))
		rte_epoll_wait(RTE_EPOLL_PER_THREAD, ev, EPOLL_EVENTS, EPOLL_MS);
	for (unsigned int i = 0; i < w->rx_cnt; i++)
		rte_eth_dev_rx_intr_disable(w->rx[i].nic->port, w->rx[i].queue);
}

static void
idle(struct engine_loop *l, const struct psi_config *cfg)
{
	enum psi_config_idle_policy how = cfg->idle.policy;

	if (l->empty++ < cfg->idle.after)
		return;
	if (how == PSI_CONFIG_IDLE_INTERRUPT && !l->epoll_ready)
		how = PSI_CONFIG_IDLE_SLEEP;
	switch (how) {
	case PSI_CONFIG_IDLE_BUSY: break;
	case PSI_CONFIG_IDLE_PAUSE:
		for (int i = 0; i < PAUSES; i++)
			rte_pause();
		break;
	case PSI_CONFIG_IDLE_SLEEP:
		/* Without a port to look after, what comes waits in a queue that has room for much. */
		rest(l, cfg->idle.sleep_max_ns * (l->worker_cnt ? 1 : COLLECTOR_RESTS));
		break;
	case PSI_CONFIG_IDLE_INTERRUPT: wait_for_interrupt(l); break;
	}
}

/* ---- set-up, in the thread that will do the work: what it allocates is near to it ---- */

static int
open_roles(struct engine_loop *l)
{
	int rc = 0;

	for (unsigned int i = 0; rc == 0 && i < l->worker_cnt; i++)
		rc = worker_open(l->worker[i], &l->open_err);
	if (rc == 0 && l->collector)
		rc = collector_open(l->collector, &l->open_err);
	return rc;
}

static bool
finished(const struct engine_loop *l)
{
	for (unsigned int i = 0; i < l->worker_cnt; i++)
		if (atomic_load_explicit(&l->worker[i]->state, memory_order_relaxed) != WORKER_DONE)
			return false;
	return !l->collector || atomic_load_explicit(&l->collector->done, memory_order_relaxed);
}

static void
run(struct engine_loop *l)
{
	struct engine *e = l->e;

	l->rest_ns = REST_MIN_NS;
	if (generation_of(e)->cfg->idle.policy == PSI_CONFIG_IDLE_INTERRUPT) {
		l->epoll_ready = can_wait(l) && watch_queues(l);
		log_info("cores", "core %u %s", l->cpu,
			l->epoll_ready ? "can wait for interrupts of its queues"
				       : "cannot wait for interrupts: it sleeps instead");
	}
	rte_rcu_qsbr_thread_register(e->rcu, l->index);
	rte_rcu_qsbr_thread_online(e->rcu, l->index);
	while (!finished(l)) {
		bool busy = false;

		for (unsigned int i = 0; i < l->worker_cnt; i++)
			busy |= worker_turn(l->worker[i]);
		if (l->collector)
			busy |= collector_turn(l->collector);
		if (busy) {
			l->empty = 0;
			l->rest_ns = REST_MIN_NS;
		} else {
			idle(l, generation_of(e)->cfg);
		}
		rte_rcu_qsbr_quiescent(e->rcu, l->index);
	}
	rte_rcu_qsbr_thread_offline(e->rcu, l->index);
	rte_rcu_qsbr_thread_unregister(e->rcu, l->index);
}

int
loop_main(void *arg)
{
	struct engine_loop *l = arg;
	struct timespec ts = {.tv_nsec = 1000000};
	int rc;

	prctl(PR_SET_TIMERSLACK, 1000ul, 0, 0, 0); /* short rests are to be as short as they say */
	rc = open_roles(l);
	atomic_store_explicit(&l->open_rc, rc, memory_order_release);
	while (rc == 0 && !atomic_load_explicit(&l->e->go, memory_order_acquire)) {
		if (atomic_load_explicit(&l->e->stop, memory_order_relaxed))
			return 0; /* another loop could not be set up */
		clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
	}
	if (rc == 0)
		run(l);
	return rc;
}
