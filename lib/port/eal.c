/* SPDX-License-Identifier: BSD-3-Clause */
/* DPDK's environment for reading captures: plain memory, one lcore, silent. What DPDK would print is kept and shown
 * only when it refuses to start. */
#include "nic_pvt.h"
#include "psi_port.h"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <stdlib.h>
#include <unistd.h>

/* DPDK wants a folder of its own for run-time files; a user without one gets a private one. */
void
eal_runtime_dir(void)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");
	struct stat st;

	if (dir && stat(dir, &st) != 0)
		unsetenv("XDG_RUNTIME_DIR"); /* DPDK then takes /tmp */
}

/* One lcore that may run wherever this process may: "0@(0,1,...)". DPDK would else pin it to one CPU, and several
 * programs reading captures would share that one. */
static void
lcore_map(char *out, size_t cap)
{
	cpu_set_t set;
	size_t n = (size_t)snprintf(out, cap, "0@(");

	if (sched_getaffinity(0, sizeof(set), &set) != 0) {
		snprintf(out, cap, "0@0");
		return;
	}
	for (int cpu = 0; cpu < CPU_SETSIZE && n + 8 < cap; cpu++)
		if (CPU_ISSET(cpu, &set))
			n += (size_t)snprintf(
				out + n, cap - n, "%s%d", out[n - 1] == '(' ? "" : ",", cpu);
	snprintf(out + n, cap - n, ")");
}

/* What DPDK prints of its own accord, such as its usage when it refuses an argument, is not for our users. */
int
eal_init_quietly(int argc, char **argv)
{
	int out = dup(STDOUT_FILENO), null = open("/dev/null", O_WRONLY), rc;

	fflush(stdout);
	if (out >= 0 && null >= 0)
		dup2(null, STDOUT_FILENO);
	rc = rte_eal_init(argc, argv);
	fflush(stdout);
	if (out >= 0 && null >= 0)
		dup2(out, STDOUT_FILENO);
	if (out >= 0)
		close(out);
	if (null >= 0)
		close(null);
	return rc;
}

int
psi_eal_init(const char *program, unsigned int mem_mb, struct psi_err *err)
{
	char name[64], mem[16], lcores[5120], said[2048] = "";
	char *argv[] = {name, (char[]){"--no-huge"}, (char[]){"--no-pci"}, (char[]){"--no-shconf"},
		(char[]){"--no-telemetry"}, (char[]){"--lcores"}, lcores, (char[]){"-m"}, mem,
		(char[]){"--log-level"}, (char[]){"*:error"}, NULL};
	FILE *log = fmemopen(said, sizeof(said), "w");
	int rc;

	eal_runtime_dir();
	lcore_map(lcores, sizeof(lcores));
	snprintf(name, sizeof(name), "%s", program);
	snprintf(mem, sizeof(mem), "%u", mem_mb);
	if (log)
		rte_openlog_stream(log);
	rc = eal_init_quietly((int)PSI_COUNT(argv) - 1, argv);
	if (log) {
		fflush(log);
		rte_openlog_stream(NULL); /* back to the default */
		fclose(log);
	}
	if (rc >= 0)
		return 0;
	said[sizeof(said) - 1] = 0;
	return psi_err_set(err, -EIO, "DPDK does not start (%s)%s%s", rte_strerror(rte_errno),
		said[0] ? ": " : "", said);
}
