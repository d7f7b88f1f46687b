/* SPDX-License-Identifier: BSD-3-Clause */
/* DPDK for tests: no huge pages, no root, one lcore; and a pool of mbufs without a cache, so that each one missing shows. */
#ifndef UNIT_EAL_H
#define UNIT_EAL_H

#include <rte_eal.h>
#include <rte_mbuf.h>

/* unit_pool starts DPDK, once a process. Returns the pool, NULL when either failed. */
static inline struct rte_mempool *
unit_pool(unsigned int mbufs)
{
	static char arg[][24] = {"test", "--no-huge", "--no-shconf", "--no-pci", "--no-telemetry",
		"--log-level=error", "-m", "64", "-l", "0"};
	enum { CNT = sizeof(arg) / sizeof(arg[0]) };
	char *argv[CNT + 1] = {NULL};

	for (int i = 0; i < CNT; i++)
		argv[i] = arg[i];
	if (rte_eal_init(CNT, argv) < 0)
		return NULL;
	return rte_pktmbuf_pool_create(
		"test", mbufs, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
}

#endif
