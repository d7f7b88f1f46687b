/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames through a DPDK port. Each burst leaves at its time by the time-stamp counter; when the port takes less than is
 * due, what is late stays late and is counted, so that an overload shows. */
#include "pinsight_gen.h"

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_pause.h>

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define BURST	 64
#define RING	 1024
#define ARG_MAX_ 64
#define LATE_NS	 1000

struct tx {
	uint16_t port;
	struct rte_mempool *pool;
	double tsc_per_ns;
	uint64_t start_tsc, start_ns;
	uint64_t late, late_max_ns, refused, bursts;
	struct rte_mbuf *m[BURST];
	uint16_t cnt;
	uint64_t due_ns;
};

/* The words of --eal, split at blanks. */
static int
start_eal(const char *words, char **copy, struct psi_err *err)
{
	char *argv[ARG_MAX_ + 2] = {(char[]){"pinsight-gen"}}, *save = NULL;
	int argc = 1;

	*copy = strdup(words ? words : ""); /* in use as long as DPDK is */
	for (char *w = *copy ? strtok_r(*copy, " ", &save) : NULL; w && argc < ARG_MAX_;
		w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	if (!*copy || rte_eal_init(argc, argv) < 0)
		return psi_err_set(err, -EIO,
			"DPDK does not start (%s): what it wants is said above; give it with --eal='...'",
			rte_strerror(rte_errno));
	return 0;
}

static void
name_ports(char *out, size_t cap)
{
	char name[RTE_ETH_NAME_MAX_LEN];
	uint16_t id;
	size_t n = 0;

	out[0] = 0;
	RTE_ETH_FOREACH_DEV(id)
	{
		if (rte_eth_dev_get_name_by_port(id, name) == 0 && n + sizeof(name) + 2 < cap)
			n += (size_t)snprintf(out + n, cap - n, "%s%s", n ? ", " : "", name);
	}
}

static int
open_port(struct tx *t, const char *name, struct psi_err *err)
{
	struct rte_eth_conf conf = {0};
	char have[512];
	int rc;

	if (rte_eth_dev_get_port_by_name(name, &t->port) != 0) {
		name_ports(have, sizeof(have));
		return psi_err_set(err, -ENODEV, "there is no DPDK port '%s'; there are: %s", name,
			have[0] ? have
				: "none (a NIC must be bound to vfio-pci, a vdev named with --eal)");
	}
	t->pool = rte_pktmbuf_pool_create(
		"gen", 8191, 256, 0, RTE_PKTMBUF_HEADROOM + 2048, SOCKET_ID_ANY);
	if (!t->pool)
		return psi_err_set(err, -ENOMEM,
			"no memory for packet buffers: more huge pages, or --eal='... -m 64'");
	rc = rte_eth_dev_configure(t->port, 0, 1, &conf);
	/* some drivers have no port without a receive queue */
	if (rc != 0 && rte_eth_dev_configure(t->port, 1, 1, &conf) == 0)
		rc = rte_eth_rx_queue_setup(t->port, 0, RING, SOCKET_ID_ANY, NULL, t->pool);
	if (rc == 0)
		rc = rte_eth_tx_queue_setup(t->port, 0, RING, SOCKET_ID_ANY, NULL);
	if (rc == 0)
		rc = rte_eth_dev_start(t->port);
	return rc == 0 ? 0
		       : psi_err_set(err, rc, "the port '%s' does not start: %s", name,
				 rte_strerror(-rc));
}

/* Sends what is gathered, at its time. */
static void
flush(struct tx *t)
{
	uint64_t due = t->start_tsc + (uint64_t)((double)(t->due_ns - t->start_ns) * t->tsc_per_ns),
		 now;
	uint16_t sent = 0;

	if (!t->cnt)
		return;
	while ((now = rte_rdtsc()) < due)
		rte_pause();
	if ((double)(now - due) > LATE_NS * t->tsc_per_ns) {
		uint64_t ns = (uint64_t)((double)(now - due) / t->tsc_per_ns);

		t->late++;
		t->late_max_ns = PSI_MAX(t->late_max_ns, ns);
	}
	t->bursts++;
	while (sent < t->cnt && !stop_asked) {
		uint16_t n = rte_eth_tx_burst(t->port, 0, t->m + sent, (uint16_t)(t->cnt - sent));

		t->refused += !n;
		sent = (uint16_t)(sent + n);
	}
	if (sent < t->cnt)
		rte_pktmbuf_free_bulk(t->m + sent, (unsigned int)(t->cnt - sent));
	t->cnt = 0;
}

static bool
gather(struct tx *t, struct psi_gen *g, struct psi_gen_packet *p)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(t->pool);

	while (!m && !stop_asked) { /* all on their way: the port will give some back */
		rte_eth_tx_done_cleanup(t->port, 0, 0);
		m = rte_pktmbuf_alloc(t->pool);
	}
	if (!m || !psi_gen_next(g, rte_pktmbuf_mtod(m, uint8_t *), p)) {
		rte_pktmbuf_free(m);
		return false;
	}
	if (t->cnt && (t->cnt == BURST || p->ts_ns != t->due_ns))
		flush(t);
	t->due_ns = p->ts_ns;
	m->data_len = (uint16_t)p->len;
	m->pkt_len = p->len;
	t->m[t->cnt++] = m;
	return true;
}

static void
report(const struct tx *t, const struct done *d)
{
	double s = (double)(rte_rdtsc() - t->start_tsc) / t->tsc_per_ns / 1e9;

	fprintf(stderr,
		"sent %llu frames in %.3f s: %.3f Mpps, %.3f Gbit/s on the wire\n"
		"%llu of %llu bursts left more than %d ns late, the latest %.1f us; the port had no room %llu times\n",
		(unsigned long long)d->frames, s, (double)d->frames / s / 1e6,
		(double)(d->bytes + d->frames * PSI_GEN_WIRE) * 8 / s / 1e9,
		(unsigned long long)t->late, (unsigned long long)t->bursts, LATE_NS,
		(double)t->late_max_ns / 1e3, (unsigned long long)t->refused);
}

int
to_port(const struct job *j, struct psi_gen *g, struct done *d, struct psi_err *err)
{
	struct tx t = {.start_ns = j->gen.start_ns};
	struct psi_gen_packet p;
	char *words;
	int rc = start_eal(j->eal, &words, err);

	if (rc == 0)
		rc = open_port(&t, j->port, err);
	if (rc != 0)
		return rc;
	t.tsc_per_ns = (double)rte_get_tsc_hz() / 1e9;
	t.start_tsc = rte_rdtsc();
	while (!stop_asked && gather(&t, g, &p)) {
		d->frames++;
		d->bytes += p.len;
		d->last_ns = p.ts_ns;
		if (j->seconds > 0 && (double)(p.ts_ns - t.start_ns) > j->seconds * 1e9)
			break;
		if (d->frames % 65536 == 0)
			progress(j, d->frames, false);
	}
	flush(&t);
	progress(j, d->frames, true);
	if (!j->quiet)
		report(&t, d);
	rte_eth_dev_stop(t.port);
	rte_eth_dev_close(t.port);
	rte_eal_cleanup();
	free(words);
	return 0;
}
