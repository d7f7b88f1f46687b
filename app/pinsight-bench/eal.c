/* SPDX-License-Identifier: BSD-3-Clause */
/* DPDK for the benchmark: no NIC; huge pages where enough are free; and what the machine is. */
#include "bench_pvt.h"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#define ARGS_MAX 64

struct machine machine;

static long
read_number(const char *path)
{
	FILE *f = fopen(path, "r");
	long v = 0;

	if (!f)
		return 0;
	if (fscanf(f, "%ld", &v) != 1)
		v = 0;
	fclose(f);
	return v;
}

static void
read_cpu(char *out, size_t cap)
{
	FILE *f = fopen("/proc/cpuinfo", "r");
	char line[256];

	snprintf(out, cap, "unknown processor");
	while (f && fgets(line, sizeof(line), f)) {
		char *v = strchr(line, ':');

		if (strncmp(line, "model name", 10) == 0 && v) {
			snprintf(out, cap, "%.*s", (int)strcspn(v + 2, "\n"), v + 2);
			break;
		}
	}
	if (f)
		fclose(f);
}

/* Each lcore may run on any CPU of ours, or, pinned, on one of its own. */
static void
lcore_map(char *out, size_t cap, unsigned int lcores, bool pin)
{
	cpu_set_t set;
	char cpus[1024] = "";
	size_t n = 0, at = 0;
	unsigned int own[LANES_MAX], own_cnt = 0;

	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		CPU_SET(0, &set);
	for (unsigned int c = 0; c < CPU_SETSIZE && n + 8 < sizeof(cpus); c++) {
		if (!CPU_ISSET(c, &set))
			continue;
		n += (size_t)snprintf(cpus + n, sizeof(cpus) - n, "%s%u", n ? "," : "", c);
		if (own_cnt < LANES_MAX)
			own[own_cnt++] = c;
	}
	machine.cores = (unsigned int)CPU_COUNT(&set);
	for (unsigned int l = 0; l < lcores && at + sizeof(cpus) < cap; l++) {
		if (pin)
			at += (size_t)snprintf(
				out + at, cap - at, "%s%u@%u", l ? "," : "", l, own[l % own_cnt]);
		else
			at += (size_t)snprintf(
				out + at, cap - at, "%s%u@(%s)", l ? "," : "", l, cpus);
	}
}

/* The words of --eal behind ours. They stay in use as long as DPDK does. */
static int
add_words(char **argv, int argc, const char *words)
{
	static char copy[4096];
	char *save = NULL;

	snprintf(copy, sizeof(copy), "%s", words ? words : "");
	for (char *w = strtok_r(copy, " ", &save); w && argc + 1 < ARGS_MAX;
		w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	return argc;
}

int
machine_start(const struct options *o, unsigned int lcores, unsigned int mb, struct psi_err *err)
{
	static char in_memory[] = "--in-memory", no_huge[] = "--no-huge",
		    no_shconf[] = "--no-shconf", map[LANES_MAX * 64 + 2048], mem[16];
	long free_mb = 2 * read_number("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
	char *argv[ARGS_MAX] = {(char[]){"pinsight-bench"}, (char[]){"--no-pci"},
		(char[]){"--no-telemetry"}, (char[]){"--lcores"}, map, (char[]){"-m"}, mem,
		(char[]){"--log-level"}, (char[]){"*:error"}};
	int argc = 9;

	read_cpu(machine.cpu, sizeof(machine.cpu));
	lcore_map(map, sizeof(map), lcores, o->pin);
	snprintf(mem, sizeof(mem), "%u", mb);
	machine.huge = !o->no_huge && free_mb >= (long)mb;
	machine.pool_mb = mb;
	argv[argc++] = machine.huge ? in_memory : no_huge;
	if (!machine.huge)
		argv[argc++] = no_shconf;
	argc = add_words(argv, argc, o->eal);
	if (rte_eal_init(argc, argv) < 0)
		return psi_err_set(err, -EIO, "DPDK does not start: %s", rte_strerror(rte_errno));
	machine.tsc_ghz = (double)rte_get_tsc_hz() / 1e9;
	return 0;
}

double
load_average(void)
{
	double l = 0;

	return getloadavg(&l, 1) == 1 ? l : -1;
}

long
rss_kb(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long all, rss = 0;

	if (f && fscanf(f, "%ld %ld", &all, &rss) != 2)
		rss = 0;
	if (f)
		fclose(f);
	return rss * (sysconf(_SC_PAGESIZE) / 1024);
}

struct rte_mempool *
packet_pool(const char *name, unsigned int mbufs, struct psi_err *err)
{
	struct rte_mempool *p = rte_pktmbuf_pool_create(
		name, mbufs, 256, 0, RTE_PKTMBUF_HEADROOM + 2048, SOCKET_ID_ANY);

	if (!p)
		psi_err_set(err, -ENOMEM, "no memory for %u packet buffers", mbufs);
	return p;
}
