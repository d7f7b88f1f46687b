/* SPDX-License-Identifier: BSD-3-Clause */
/* DPDK for tests: no huge pages, no root, one lcore; and a pool of mbufs without a cache, so that each one missing shows. */
#ifndef UNIT_EAL_H
#define UNIT_EAL_H

#include <rte_eal.h>
#include <rte_mbuf.h>

#include <sched.h>
#include <stdio.h>

/* The lcore may run wherever this process may, as in psi_eal_init: with "-l 0" all tests that run at the same time share
 * core 0, and one with a low priority may not get any of it for a minute. */
static inline char *
unit_lcores(void)
{
	static char text[5120] = "--lcores=0@(";
	size_t n = strlen(text);
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return strcpy(text, "--lcores=0@0");
	for (int cpu = 0; cpu < CPU_SETSIZE && n + 8 < sizeof(text); cpu++)
		if (CPU_ISSET(cpu, &set))
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%d",
				text[n - 1] == '(' ? "" : ",", cpu);
	snprintf(text + n, sizeof(text) - n, ")");
	return text;
}

/* unit_pool starts DPDK, once a process. Returns the pool, NULL when either failed. */
static inline struct rte_mempool *
unit_pool(unsigned int mbufs)
{
	static char arg[][24] = {"test", "--no-huge", "--no-shconf", "--no-pci", "--no-telemetry",
		"--log-level=error", "-m", "64"};
	enum { GIVEN = sizeof(arg) / sizeof(arg[0]), CNT };
	char *argv[CNT + 1] = {NULL};

	for (int i = 0; i < GIVEN; i++)
		argv[i] = arg[i];
	argv[GIVEN] = unit_lcores();
	if (rte_eal_init(CNT, argv) < 0)
		return NULL;
	return rte_pktmbuf_pool_create(
		"test", mbufs, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
}

#endif
