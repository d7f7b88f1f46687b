/* SPDX-License-Identifier: BSD-3-Clause */
/* What DPDK's telemetry answers of an engine as large as one can be: over the socket, as dpdk-telemetry.py asks. */
#include "psi_unit.h"
#include "unit_eal.h"

#include "engine.h"

#include <dirent.h>
#include <inttypes.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define COUNTED 1234567890123456789u /* of each counter: as long as they get */

static struct engine e;
static struct psi_handoff queue;
static struct psi_stats stats;
static int sock = -1;
static char reply[1 << 20];

static bool
ask(const char *what)
{
	ssize_t n;

	if (send(sock, what, strlen(what), 0) < 0)
		return false;
	n = recv(sock, reply, sizeof(reply) - 1, 0);
	if (n <= 0)
		return false;
	reply[n] = 0;
	return true;
}

static bool
says(const char *text)
{
	bool found = strstr(reply, text);

	if (!found)
		printf("\n    not in %zu bytes that begin %.100s: %s\n", strlen(reply), reply,
			text);
	return found;
}

static void
test_every_worker(void)
{
	char text[128];

	CU_ASSERT_FATAL(ask("/pinsight/workers"));
	for (unsigned int i = 0; i < ENGINE_WORKER_MAX; i++) {
		snprintf(text, sizeof(text),
			"\"%u\":{\"core\":%u,\"flows_alive\":0,\"queue_bytes\":0,", i, 1000 + i);
		CU_ASSERT(says(text));
	}
}

/* Everything of one: the counter that comes last, too. */
static void
test_one_worker(void)
{
	char text[128];

	CU_ASSERT_FATAL(ask("/pinsight/workers,63"));
	CU_ASSERT(says("\"core\":1063"));
	for (enum psi_stat s = 0; s < PSI_STAT_CNT; s++) {
		snprintf(text, sizeof(text), "\"%s\":%" PRIu64, psi_stat_name(s), COUNTED);
		CU_ASSERT(says(text));
	}
}

static void
test_no_such_worker(void)
{
	static const char *const bad[] = {"64", "-1", "x", "1x", "18446744073709551617"};
	char text[64];

	for (size_t i = 0; i < PSI_COUNT(bad); i++) {
		snprintf(text, sizeof(text), "/pinsight/workers,%s", bad[i]);
		CU_ASSERT_FATAL(ask(text));
		CU_ASSERT_STRING_EQUAL(reply, "{\"/pinsight/workers\":null}");
	}
}

static void
test_stats(void)
{
	char text[128];

	CU_ASSERT_FATAL(ask("/pinsight/stats"));
	for (enum psi_stat s = 0; s < PSI_STAT_CNT; s++) {
		/* of 64 workers, modulo 2^64 */
		snprintf(text, sizeof(text), "\"%s\":%" PRIu64, psi_stat_name(s),
			COUNTED * ENGINE_WORKER_MAX);
		CU_ASSERT(says(text));
	}
}

/* ---- the engine, as far as telemetry looks at it ---- */

static bool
engine_made(void)
{
	struct psi_worker_config cfg;
	struct psi_collector_config cc;
	struct psi_worker *w;

	psi_worker_defaults(&cfg);
	cfg.flow.max = 1024;
	cfg.conn_max = 16;
	cfg.handshake_max = 16;
	cfg.chain_max = 4;
	cfg.stream.early_max = 16;
	cfg.frag.max = 4;
	psi_collector_defaults(&cc);
	cc.chain_max = 4;
	cc.join_max = 16;
	psi_handoff_init(&queue, aligned_alloc(128, 65536), 65536);
	w = psi_worker_open(&cfg, &queue, NULL, NULL, NULL);
	e.collector.c = psi_collector_open(&cc, NULL);
	e.worker = calloc(ENGINE_WORKER_MAX, sizeof(*e.worker));
	e.worker_cnt = ENGINE_WORKER_MAX;
	for (enum psi_stat s = 0; s < PSI_STAT_CNT; s++)
		psi_stat_add(&stats, s, COUNTED);
	for (unsigned int i = 0; e.worker && i < ENGINE_WORKER_MAX; i++)
		e.worker[i] = (struct engine_worker){
			.id = i, .cpu = 1000 + i, .w = w, .stats = &stats, .queue = queue};
	return w && e.collector.c && e.worker;
}

static int
setup(void)
{
	static char arg[][40] = {
		"test", "--no-huge", "--no-pci", "--log-level=error", "-m", "64", ""};
	enum { GIVEN = sizeof(arg) / sizeof(arg[0]), CNT };
	char *argv[CNT + 1] = {NULL};
	struct sockaddr_un to = {.sun_family = AF_UNIX};

	snprintf(arg[GIVEN - 1], sizeof(arg[0]), "--file-prefix=psi-telemetry-%d", getpid());
	for (int i = 0; i < GIVEN; i++)
		argv[i] = arg[i];
	argv[GIVEN] = unit_lcores();
	if (rte_eal_init(CNT, argv) < 0 || !engine_made())
		return 1;
	telemetry_open(&e);
	snprintf(to.sun_path, sizeof(to.sun_path), "%s/dpdk_telemetry.v2",
		rte_eal_get_runtime_dir());
	sock = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	if (sock < 0 || connect(sock, (struct sockaddr *)&to, sizeof(to)) != 0)
		return 1;
	/* it greets first, with its version */
	return recv(sock, reply, sizeof(reply), 0) > 0 ? 0 : 1;
}

/* What DPDK leaves behind of a process. */
static void
remove_folder(const char *path)
{
	DIR *d = opendir(path);

	for (const struct dirent *f; d && (f = readdir(d));)
		unlinkat(dirfd(d), f->d_name, 0);
	if (d)
		closedir(d);
	rmdir(path);
}

static int
teardown(void)
{
	char dir[PATH_MAX];

	telemetry_close();
	close(sock);
	psi_worker_close(e.worker[0].w);
	psi_collector_close(e.collector.c);
	free(e.worker);
	free(queue.mem);
	snprintf(dir, sizeof(dir), "%s", rte_eal_get_runtime_dir());
	rte_eal_cleanup();
	remove_folder(dir);
	return 0;
}

static CU_TestInfo tests[] = {
	{"64 workers are told of", test_every_worker},
	{"one is told of with all it counted", test_one_worker},
	{"a worker that is not there is not told of", test_no_such_worker},
	{"all counters are told", test_stats},
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo psi_unit_suites[] = {
	{.pName = "telemetry", .pInitFunc = setup, .pCleanupFunc = teardown, .pTests = tests},
	CU_SUITE_INFO_NULL,
};
