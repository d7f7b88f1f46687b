/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine over a DPDK port, a virtual one or a card: stages in turns with receiving and freeing alone, each for a
 * number of seconds; and what libpcap takes to read a file, for comparison with what reads it and does more. */
#include "bench_pvt.h"

#include <rte_ethdev.h>

#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>

#define DESCRIPTORS 1024

static int
open_port(const char *name, struct rte_mempool *pool, uint16_t *id, struct psi_err *err)
{
	struct rte_eth_conf conf = {0};
	int rc;

	if (rte_eth_dev_get_port_by_name(name, id) != 0)
		return psi_err_set(err, -ENODEV,
			"there is no DPDK port '%s'; name one with --eal='--vdev=...'", name);
	rc = rte_eth_dev_configure(*id, 1, 1, &conf);
	if (rc == 0)
		rc = rte_eth_rx_queue_setup(*id, 0, DESCRIPTORS, SOCKET_ID_ANY, NULL, pool);
	if (rc == 0)
		rc = rte_eth_tx_queue_setup(*id, 0, DESCRIPTORS, SOCKET_ID_ANY, NULL);
	if (rc == 0)
		rc = rte_eth_dev_start(*id);
	return rc == 0 ? 0
		       : psi_err_set(
				 err, rc, "the port '%s' does not start: %s", name, strerror(-rc));
}

/* So many seconds of a stage; cycles of CPU time a packet. */
static double
listen_for(struct engine *e, uint16_t port, double seconds, uint64_t base_ns, double *mpps)
{
	struct rte_mbuf *m[PSI_WORKER_BURST];
	uint64_t ts[PSI_WORKER_BURST], start = rte_rdtsc(), cpu = cpu_ns(), now = start, n = 0;
	uint64_t end = start + (uint64_t)(seconds * machine.tsc_ghz * 1e9);
	uint32_t wire[PSI_WORKER_BURST];

	for (; now < end; now = rte_rdtsc()) {
		uint16_t cnt = rte_eth_rx_burst(port, 0, m, PSI_WORKER_BURST);

		if (!cnt)
			continue;
		for (uint16_t i = 0; i < cnt; i++) {
			ts[i] = base_ns + (uint64_t)((double)now / machine.tsc_ghz);
			wire[i] = m[i]->pkt_len;
		}
		engine_burst(e, m, ts, wire, cnt);
		n += cnt;
	}
	*mpps = (double)n / ((double)(now - start) / machine.tsc_ghz) * 1e3;
	return n ? (double)(cpu_ns() - cpu) * machine.tsc_ghz / (double)n : 0;
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static int
one_stage(const struct options *o, enum stage s, uint16_t port, struct psi_err *err)
{
	struct engine *e = calloc(2, sizeof(*e));
	double base[REPS_MAX], own[REPS_MAX], mpps;

	if (!e || engine_open(&e[0], ST_RECEIVE, o, 0, err) != 0 ||
		engine_open(&e[1], s, o, 0, err) != 0)
		return -ENOMEM;
	listen_for(&e[1], port, o->seconds / 2, o->gen.start_ns, &mpps);
	for (uint32_t r = 0; r < o->reps; r++) {
		base[r] = listen_for(&e[0], port, o->seconds / 4, o->gen.start_ns, &mpps);
		own[r] = listen_for(&e[1], port, o->seconds, o->gen.start_ns, &mpps);
	}
	qsort(base, o->reps, sizeof(base[0]), by_value);
	qsort(own, o->reps, sizeof(own[0]), by_value);
	if (o->json)
		printf("{\"type\": \"port\", \"port\": \"%s\", \"stage\": \"%s\", \"cycles\": %.2f, \"baseline\": %.2f, "
		       "\"mpps\": %.4f, \"load\": %.2f}\n",
			o->port, stage_name(s), own[o->reps / 2], base[o->reps / 2],
			machine.tsc_ghz * 1e3 / own[o->reps / 2], load_average());
	else
		printf("%-12s %9.1f cycles a packet, receiving alone %9.1f: %5.2f times; %.3f M packets a CPU second\n",
			stage_name(s), own[o->reps / 2], base[o->reps / 2],
			own[o->reps / 2] / base[o->reps / 2],
			machine.tsc_ghz * 1e3 / own[o->reps / 2]);
	if (!engine_close(&e[1], err) || !engine_close(&e[0], err))
		return -EIO;
	free(e);
	return 0;
}

int
run_port(const struct options *o, struct psi_err *err)
{
	struct rte_mempool *pool = packet_pool("port", 32767, err);
	uint16_t port;
	int rc;

	if (!pool)
		return -ENOMEM;
	rc = open_port(o->port, pool, &port, err);
	for (int s = ST_RECEIVE; s < ST_ALONE && rc == 0; s++)
		if (o->stages & 1u << s)
			rc = one_stage(o, (enum stage)s, port, err);
	if (rc != -ENODEV)
		rte_eth_dev_stop(port);
	return rc;
}

int
run_pcap(const struct options *o, struct psi_err *err)
{
	char text[PCAP_ERRBUF_SIZE];
	pcap_t *p = pcap_open_offline(o->port, text);
	struct pcap_pkthdr *h;
	const u_char *data;
	uint64_t n = 0, bytes = 0, cpu = cpu_ns();
	int rc;

	if (!p)
		return psi_err_set(err, -EIO, "%s", text);
	while ((rc = pcap_next_ex(p, &h, &data)) == 1) {
		n++;
		bytes += h->caplen;
	}
	if (rc == PCAP_ERROR)
		return psi_err_set(err, -EIO, "%s: %s", o->port, pcap_geterr(p));
	pcap_close(p);
	printf(o->json ? "{\"type\": \"pcap\", \"packets\": %llu, \"bytes\": %llu, \"cpu_s\": %.6f}\n"
		       : "%llu packets, %llu bytes, %.6f s of CPU time to read them with libpcap\n",
		(unsigned long long)n, (unsigned long long)bytes, (double)(cpu_ns() - cpu) / 1e9);
	return 0;
}
