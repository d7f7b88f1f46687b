/* SPDX-License-Identifier: BSD-3-Clause */
/* What the main thread does while the engine runs: signals, ports that come and go, what ports count, the clock. */
#include "engine.h"

#include "psi_export.h"

#include <errno.h>
#include <rte_launch.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define TICK_NS	 200000000
#define AGAIN_NS 1000000000ull /* a second signal that counts as one */

void
engine_block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static int
next_signal(void)
{
	struct timespec ts = {.tv_nsec = TICK_NS};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	return sigtimedwait(&set, NULL, &ts);
}

/* ---- ports ---- */

static void
look_at_link(struct engine_port *p)
{
	uint32_t mbps;
	int link = psi_nic_link(&p->nic, &mbps);

	if (link == p->link)
		return;
	if (link == -ENODEV)
		log_error("port",
			"%s is gone: nothing comes from it any more; a restart takes it up when it is back",
			p->nic.name);
	else if (link == 0)
		log_warn("port", "%s: link down", p->nic.name);
	else if (mbps)
		log_info("port", "%s: link up, %u Mbit/s", p->nic.name, mbps);
	else
		log_info("port", "%s: link up", p->nic.name);
	p->link = link;
}

/* A counter of the port's that began anew counts from there. */
static void
more(struct psi_stats *st, enum psi_stat s, uint64_t *seen, uint64_t now)
{
	psi_stat_add(st, s, now >= *seen ? now - *seen : now);
	*seen = now;
}

static void
count_port(struct engine *e, struct engine_port *p)
{
	struct psi_nic_counters c;

	if (psi_nic_counters(&p->nic, &c) != 0)
		return;
	if (c.missed > p->seen.missed)
		atomic_store_explicit(&p->lost_ns, clock_ns(&e->clock), memory_order_relaxed);
	more(&e->stats, PSI_STAT_nic_rx, &p->seen.rx, c.rx);
	more(&e->stats, PSI_STAT_nic_missed, &p->seen.missed, c.missed);
	more(&e->stats, PSI_STAT_nic_errors, &p->seen.errors, c.errors);
	more(&e->stats, PSI_STAT_nic_no_mbuf, &p->seen.no_mbuf, c.no_mbuf);
}

static void
look_at_ports(struct engine *e)
{
	for (unsigned int i = 0; i < e->port_cnt; i++) {
		look_at_link(&e->port[i]);
		if (e->port[i].link != -ENODEV)
			count_port(e, &e->port[i]);
	}
}

/* ---- overload ---- */

/* Told when it begins, and when there was none for a second. */
static void
look_at_overload(struct engine *e)
{
	static const enum psi_stat kind[] = {PSI_STAT_pkt_drop_shed_bulk,
		PSI_STAT_pkt_drop_shed_fragment, PSI_STAT_pkt_drop_shed_new};
	uint64_t sum = 0;

	for (unsigned int i = 0; i < e->worker_cnt; i++)
		for (size_t k = 0; k < PSI_COUNT(kind); k++)
			sum += psi_stat_get(e->worker[i].stats, kind[k]);
	if (sum > e->shed_seen && !e->shed_since) {
		log_warn("overload",
			"more packets come than the workers can take: what tells least is dropped first, counted as pkt_drop_shed_*");
		e->shed_since = e->shed_seen + 1;
	} else if (sum == e->shed_seen && e->shed_since) {
		log_info("overload", "over: %llu packets were dropped",
			(unsigned long long)(sum - (e->shed_since - 1)));
		e->shed_since = 0;
	}
	e->shed_seen = sum;
}

/* ---- the clock ---- */

static void
look_at_clock(struct engine *e)
{
	int64_t off = clock_sync(&e->clock);

	if (off > CLOCK_JUMP_NS)
		log_warn("clock", "the system's clock went forward by %.1f s; followed",
			(double)off / 1e9);
	else if (off < -CLOCK_JUMP_NS && !e->clock_behind)
		log_warn("clock",
			"the system's clock went back by %.1f s; time goes on more slowly until they meet",
			(double)-off / 1e9);
	e->clock_behind = off < -CLOCK_JUMP_NS;
}

/* ---- running and stopping ---- */

static void
reload(struct engine *e)
{
	engine_reload(e);
	psi_ring_tell(e->collector.ring, e->reloads + e->reloads_refused, e->reload_said);
}

static bool
all_received(const struct engine *e)
{
	for (unsigned int i = 0; i < e->worker_cnt; i++)
		if (atomic_load_explicit(&e->worker[i].state, memory_order_acquire) == WORKER_RUNS)
			return false;
	return true;
}

static void
stop(struct engine *e, int sig)
{
	struct timespec ts = {.tv_nsec = 10000000};

	uint64_t since = clock_ns(&e->clock);

	log_info("stop", "%s: taking the last packets, ending all flows", strsignal(sig));
	atomic_store_explicit(&e->stop, true, memory_order_relaxed);
	while (!atomic_load_explicit(&e->collector.done, memory_order_acquire)) {
		int again = sigtimedwait(&e->stop_signals, NULL, &ts);

		/* timeout(1) and a shell's Ctrl-C may send the same signal twice. */
		if (again > 0 && clock_ns(&e->clock) - since > AGAIN_NS) {
			log_error("stop",
				"%s again: stopping at once, flows that had not ended are lost",
				strsignal(again));
			_exit(1);
		}
		if (!e->counted && all_received(e)) {
			look_at_ports(e);
			atomic_store_explicit(&e->counted, true, memory_order_release);
		}
	}
}

static bool
tell_ledger(struct engine *e)
{
	const struct snapshot *all = &e->collector.before[e->worker_cnt];
	struct psi_ledger l = {
		.sum = all->sum, .flows_alive = all->flows_alive, .classes = e->collector.verdicts};
	bool ok;

	l.colour = isatty(STDERR_FILENO) && !getenv("NO_COLOR");
	ok = psi_ledger_print(stderr, &l);
	if (ok)
		log_info("stop", "every packet, flow and record is accounted for");
	else
		log_error("stop",
			"the ledger does not balance: please report it with the lines above");
	return ok;
}

bool
engine_run(struct engine *e)
{
	uint64_t second_ns = 0, now;
	int sig;

	log_info("engine", "running; `pinsight events` shows what it sees");
	sigemptyset(&e->stop_signals);
	sigaddset(&e->stop_signals, SIGINT);
	sigaddset(&e->stop_signals, SIGTERM);
	for (;;) {
		sig = next_signal();
		if (sig == SIGINT || sig == SIGTERM)
			break;
		if (sig == SIGHUP)
			reload(e);
		now = clock_ns(&e->clock);
		if (now - second_ns < CLOCK_SYNC_NS)
			continue;
		second_ns = now;
		look_at_clock(e);
		look_at_ports(e);
		look_at_overload(e);
		rss_judge(e);
	}
	stop(e, sig);
	return tell_ledger(e);
}
