/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine under load, in this process: a thread feeds DPDK's ring port with the bundled recording again and again, each
 * time with other addresses, and waits when the port is full; so every packet that is missing in the end was lost by
 * the engine.
 *
 *     engine_ring SCENARIO DEMO.PCAP [RING]
 *
 * Expected: 904 packets and 62 TLS connections a round (capinfos, tshark: demo.golden.jsonl). Exit status 0: as expected;
 * what was not is said on standard error. */
#include "engine.h"

#include <dirent.h>
#include <pcap/pcap.h>
#include <rte_ring.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PACKETS	   904
#define FLOWS	   62
#define QUEUES	   2
#define PACKET_MAX 2048

static struct engine e;
static int failures;

#define CHECK(cond, ...)                                                           \
	do {                                                                       \
		if (!(cond)) {                                                     \
			failures++;                                                \
			fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #cond); \
			fprintf(stderr, __VA_ARGS__);                              \
			fputc('\n', stderr);                                       \
		}                                                                  \
	} while (0)

static struct {
	uint8_t bytes[PACKET_MAX];
	uint32_t len;
	struct psi_pkt pkt;
} packet[PACKETS];

static int order[PACKETS]; /* in which they are fed */

/* For two queues: connections go on side by side, and what one side says on all of them stands together, so that sides
 * change a dozen times a round and not with every other packet. Within a connection nothing changes places. */
static void
order_by_sender(void)
{
	static unsigned int phase[PACKETS];
	int n = 0;

	for (int i = 0; i < PACKETS; i++) {
		for (int j = i; j-- > 0;)
			if (memcmp(&packet[i].pkt.tuple, &packet[j].pkt.tuple,
				    sizeof(struct psi_tuple)) == 0) {
				phase[i] = phase[j];
				break;
			}
		phase[i] += phase[i] % 2 != packet[i].pkt.sender;
	}
	for (unsigned int p = 0; n < PACKETS; p++)
		for (int i = 0; i < PACKETS; i++)
			if (phase[i] == p)
				order[n++] = i;
}

static struct {
	struct rte_mempool *pool;
	struct rte_ring *queue[QUEUES];
	_Atomic uint64_t fed, rounds;
	_Atomic bool end;
	bool by_sender; /* each direction to a queue of its own, one behind the other: the engine never waits for a packet
			 * that is on the other way */
	uint64_t ahead; /* packets that may be on their way */
	pthread_t thread;
} feeder;

static void
load(const char *path)
{
	char text[PCAP_ERRBUF_SIZE];
	pcap_t *p = pcap_open_offline(path, text);
	struct pcap_pkthdr *h;
	const uint8_t *bytes;
	int n = 0;

	if (!p) {
		fprintf(stderr, "%s\n", text);
		exit(1);
	}
	for (; n < PACKETS && pcap_next_ex(p, &h, &bytes) == 1 && h->caplen <= PACKET_MAX; n++) {
		memcpy(packet[n].bytes, bytes, h->caplen);
		packet[n].len = h->caplen;
		psi_net_decode(PSI_LINK_ETHERNET, bytes, h->caplen, h->caplen, PSI_NET_ID_DEFAULT,
			&packet[n].pkt);
	}
	pcap_close(p);
	if (n != PACKETS) {
		fprintf(stderr, "%s: %d packets, not %d\n", path, n, PACKETS);
		exit(1);
	}
}

/* Both addresses alike, so that the two directions of a connection still agree, and sort as before. */
static void
readdress(uint8_t *frame, const struct psi_pkt *p, uint64_t round)
{
	uint8_t *ip = frame + p->l3_off, *addr[2] = {ip + 13, ip + 17};

	if (ip[0] >> 4 == 6) {
		addr[0] = ip + 12;
		addr[1] = ip + 28;
	}
	for (int i = 0; i < 2; i++) {
		addr[i][0] ^= (uint8_t)round;
		addr[i][1] ^= (uint8_t)(round >> 8);
	}
}

/* ---- waiting and looking ---- */

static void
nap(void)
{
	struct timespec ts = {.tv_nsec = 1000000};

	clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
}

static uint64_t
counter(enum psi_stat s)
{
	uint64_t v = 0;

	for (unsigned int i = 0; i < e.worker_cnt; i++)
		v += psi_stat_get(e.worker[i].stats, s);
	return v;
}

static void
wait_for_taken(uint64_t ahead)
{
	while (feeder.fed > counter(PSI_STAT_pkt_rx) + ahead && !feeder.end)
		sched_yield();
}

/* ---- feeding ---- */

static void *
feed(void *arg)
{
	unsigned int last = 0;

	for (uint64_t round = 0; !feeder.end; round++) {
		for (int k = 0; k < PACKETS; k++) {
			int i = order[k];
			unsigned int to = feeder.by_sender ? packet[i].pkt.sender : 0;
			struct rte_mbuf *m;

			wait_for_taken(to == last ? feeder.ahead : 0);
			last = feeder.by_sender ? to : 0;
			while (!(m = rte_pktmbuf_alloc(feeder.pool)))
				sched_yield();
			memcpy(rte_pktmbuf_append(m, (uint16_t)packet[i].len), packet[i].bytes,
				packet[i].len);
			readdress(rte_pktmbuf_mtod(m, uint8_t *), &packet[i].pkt, round);
			while (rte_ring_sp_enqueue(feeder.queue[to], m) != 0)
				sched_yield();
			feeder.fed++;
		}
		feeder.rounds++;
	}
	return arg;
}

static uint64_t
final(enum psi_stat s)
{
	return e.collector.before[e.worker_cnt].sum[s];
}

static long
memory_kib(void)
{
	long pages = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f && fscanf(f, "%ld %ld", &pages, &resident) != 2)
		resident = 0;
	if (f)
		fclose(f);
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static void
wait_rounds(uint64_t n)
{
	uint64_t until = feeder.rounds + n;

	while (feeder.rounds < until)
		nap();
}

/* Nothing of what was fed is on its way any more. */
static void
end_feeding(void)
{
	feeder.end = true;
	pthread_join(feeder.thread, NULL);
	while (counter(PSI_STAT_pkt_rx) < feeder.fed)
		nap();
}

/* ---- scenarios: run beside the engine; the last thing each does is to end it ---- */

/* Reloads as fast as they are taken up, under full load. */
static void *
reload_scenario(void *arg)
{
	uint64_t before, rounds;
	long memory = 0;

	wait_rounds(300); /* tables are as full as they get */
	before = e.reloads;
	rounds = feeder.rounds;
	for (int i = 0; i < 1000; i++) {
		kill(getpid(), SIGHUP);
		while (e.reloads < before + (uint64_t)i + 1)
			nap();
		if (i == 100)
			memory = memory_kib();
	}
	fprintf(stderr,
		"1,000 reloads beside %llu packets; memory %ld KiB after 100, %ld after all\n",
		(unsigned long long)(feeder.rounds - rounds) * PACKETS, memory, memory_kib());
	CHECK(memory_kib() - memory < 8192, "%ld KiB more", memory_kib() - memory);
	CHECK(e.reloads_refused == 0, "%s", e.reload_said);
	end_feeding();
	kill(getpid(), SIGTERM);
	return arg;
}

static void *
spread_scenario(void *arg)
{
	wait_rounds(20);
	end_feeding();
	kill(getpid(), SIGTERM);
	return arg;
}

/* The engine believes that the port spreads well, and finds out that it does not. */
static void *
watch_scenario(void *arg)
{
	uint64_t told;

	while (!atomic_load(&e.steering))
		nap();
	wait_rounds(2); /* connections that were torn have ended */
	told = counter(PSI_STAT_pkt_steered);
	wait_rounds(10);
	CHECK(counter(PSI_STAT_pkt_steered) > told + 10 * PACKETS / 4,
		"packets are not handed over");
	end_feeding();
	kill(getpid(), SIGTERM);
	return arg;
}

static void *
stop_scenario(void *arg)
{
	wait_rounds(100);
	kill(getpid(), SIGTERM);
	return arg;
}

static _Atomic bool held;

/* Whatever thread it interrupts stays in here for as long as that. */
static void
hold(int sig)
{
	(void)sig;
	while (held)
		nap();
}

/* A thread of this process by part of its name; DPDK gives each core's one. */
static int
thread_of(const char *name)
{
	DIR *d = opendir("/proc/self/task");
	char path[300], comm[32] = "";
	int tid = 0;

	for (struct dirent *t; d && !tid && (t = readdir(d));) {
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", t->d_name);
		f = fopen(path, "re");
		if (f && fgets(comm, sizeof(comm), f) && strstr(comm, name))
			tid = atoi(t->d_name);
		if (f)
			fclose(f);
	}
	if (d)
		closedir(d);
	CHECK(tid, "no thread %s", name);
	return tid;
}

/* Worker 1 does not take what worker 0 hands over: dropped, counted, nothing else. */
static void *
overload_scenario(void *arg)
{
	wait_rounds(20);
	held = true;
	syscall(SYS_tgkill, getpid(), thread_of("-worker-2"), SIGUSR1);
	while (counter(PSI_STAT_pkt_drop_steer_full) < 1000)
		nap();
	held = false;
	end_feeding();
	kill(getpid(), SIGTERM);
	return arg;
}

/* Until a signal, or for ever: tests/run/kill_test.py. */
static void *
serve_scenario(void *arg)
{
	return arg;
}

/* ---- */

/* The files that DPDK leaves in the folder that it made for this process. */
static void
forget_dpdk(const char *folder)
{
	DIR *d = opendir(folder);

	for (struct dirent *f; d && (f = readdir(d));)
		unlinkat(dirfd(d), f->d_name, 0);
	if (d)
		closedir(d);
	rmdir(folder);
}

static const struct {
	const char *name;
	void *(*run)(void *);
	bool by_sender, believe, drops, leaves;
} scenarios[] = {
	{"reload", reload_scenario},
	{"spread", spread_scenario},
	{"directions", spread_scenario, .by_sender = true},
	{"watch", watch_scenario, .by_sender = true, .believe = true},
	{"stop", stop_scenario, .leaves = true},
	{"overload", overload_scenario, .drops = true},
	{"serve", serve_scenario, .leaves = true},
};

static void
on_problem(void *ctx, const struct psi_config_problem *p)
{
	fprintf(stderr, "%s: %s\n", p->origin, p->text);
}

static bool
open_engine(const char *path)
{
	static char ring[1200], prefix[64];
	static const char *const fixed[] = {"ports=[{device: net_ring0, name: ring}]",
		"eal.memory=256MiB", "eal.huge_pages=no", "flows.max=16384",
		"flows.connections=8192", "flows.handshakes=4096", "flows.linger=300ms",
		"ring.size=1MiB", "mempool.mbufs=32767", "stats.interval=1s", "idle.sleep_max=50us",
		"telemetry.enabled=false", "log.level=warn", "correlation.enabled=false"};
	static struct psi_config_override ov[PSI_COUNT(fixed) + 4];
	static char workers[64];
	struct psi_err err = {""};
	struct psi_config *cfg;
	cpu_set_t set;
	int first = 0, last;

	sched_getaffinity(0, sizeof(set), &set);
	while (!CPU_ISSET(first, &set))
		first++;
	for (last = CPU_SETSIZE - 1; !CPU_ISSET(last, &set);)
		last--;
	if (path)
		snprintf(ring, sizeof(ring), "ring.path=%s", path);
	else
		snprintf(ring, sizeof(ring), "ring.path=/dev/shm/pinsight-test-%d.ring", getpid());
	snprintf(prefix, sizeof(prefix), "eal.file_prefix=pinsight-test-%d", getpid());
	snprintf(workers, sizeof(workers), "cores.workers=[%d, %d]", first, last);
	for (size_t i = 0; i < PSI_COUNT(fixed); i++)
		ov[e.ov_cnt++].text = fixed[i];
	ov[e.ov_cnt++].text = ring;
	ov[e.ov_cnt++].text = prefix;
	ov[e.ov_cnt++].text = "certificates.roots=\"\"";
	ov[e.ov_cnt++].text = workers;
	e.ov = ov;
	e.on_problem = on_problem;
	cfg = engine_config(&e, &err);
	signal(SIGUSR1, hold);
	engine_block_signals();
	if (cfg && engine_open(&e, cfg, &err) == 0)
		return true;
	fprintf(stderr, "%s\n", err.text);
	return false;
}

static void
open_feeder(void)
{
	char name[64];

	feeder.pool =
		psi_nic_pool("feeder", 8191, 0, RTE_PKTMBUF_HEADROOM + PACKET_MAX, SOCKET_ID_ANY);
	for (int q = 0; q < QUEUES; q++) { /* the names that the ring port gives them */
		snprintf(name, sizeof(name), "ETH_RXTX%d_net_ring0", q);
		feeder.queue[q] = rte_ring_lookup(name);
	}
	if (!feeder.pool || !feeder.queue[0] || !feeder.queue[1]) {
		fprintf(stderr, "no feeder\n");
		exit(1);
	}
}

static void
check_end(size_t s, bool balanced)
{
	uint64_t left = rte_ring_count(feeder.queue[0]) + rte_ring_count(feeder.queue[1]);
	uint64_t flows = 0;

	for (int c = 0; c < PSI_CLASS_CNT; c++)
		flows += e.collector.verdicts[c];
	CHECK(balanced, "the ledger");
	CHECK(final(PSI_STAT_pkt_rx) + left == feeder.fed, "%llu received, %llu left, %llu fed",
		(unsigned long long) final(PSI_STAT_pkt_rx), (unsigned long long)left,
		(unsigned long long)feeder.fed);
	CHECK(scenarios[s].leaves || left == 0, "%llu left", (unsigned long long)left);
	CHECK(final(PSI_STAT_pkt_drop_no_mbuf) == 0, "no buffers");
	CHECK(final(PSI_STAT_rec_drop_full) == 0, "%llu records dropped",
		(unsigned long long) final(PSI_STAT_rec_drop_full));
	CHECK(!final(PSI_STAT_pkt_drop_steer_full) == !scenarios[s].drops,
		"%llu dropped between workers",
		(unsigned long long) final(PSI_STAT_pkt_drop_steer_full));
	CHECK(final(PSI_STAT_pkt_steered) > 0, "nothing was handed over");
	if (!scenarios[s].leaves && !scenarios[s].drops && !scenarios[s].believe)
		CHECK(flows == feeder.rounds * FLOWS, "%llu connections of %llu rounds",
			(unsigned long long)flows, (unsigned long long)feeder.rounds);
	fprintf(stderr,
		"%s: %llu packets, %llu connections, %llu handed over, %llu dropped in between\n",
		scenarios[s].name, (unsigned long long)feeder.fed, (unsigned long long)flows,
		(unsigned long long) final(PSI_STAT_pkt_steered),
		(unsigned long long) final(PSI_STAT_pkt_drop_steer_full));
}

int
main(int argc, char **argv)
{
	char ring[1300], dpdk[300];
	pthread_t t;
	size_t s = 0;

	while (argc > 2 && s < PSI_COUNT(scenarios) && strcmp(argv[1], scenarios[s].name) != 0)
		s++;
	if (argc < 3 || s == PSI_COUNT(scenarios)) {
		fprintf(stderr, "usage: engine_ring SCENARIO DEMO.PCAP [RING]\n");
		return 2;
	}
	load(argv[2]);
	if (!open_engine(argc > 3 ? argv[3] : NULL))
		return 1;
	open_feeder();
	feeder.by_sender = scenarios[s].by_sender;
	for (int i = 0; i < PACKETS; i++)
		order[i] = i;
	if (feeder.by_sender)
		order_by_sender();
	feeder.ahead = scenarios[s].drops ? UINT64_MAX / 2 : STEER_RING / 2;
	if (scenarios[s].drops && e.loop_cnt < 2) {
		fprintf(stderr, "skipped: one core\n");
		_exit(77);
	}
	if (scenarios[s].believe && !rss_believe(&e))
		return 1;
	pthread_create(&feeder.thread, NULL, feed, NULL);
	pthread_create(&t, NULL, scenarios[s].run, NULL);
	CHECK(engine_run(&e), "the ledger");
	pthread_join(t, NULL);
	if (!feeder.end) { /* it may wait for room that nobody makes any more */
		feeder.end = true;
		while (pthread_tryjoin_np(feeder.thread, NULL) != 0) {
			void *m = NULL;

			if (rte_ring_dequeue(feeder.queue[0], &m) == 0)
				rte_pktmbuf_free(m), feeder.fed--;
			if (rte_ring_dequeue(feeder.queue[1], &m) == 0)
				rte_pktmbuf_free(m), feeder.fed--;
		}
	}
	check_end(s, true);
	snprintf(ring, sizeof(ring), "%s", generation_of(&e)->cfg->ring.path);
	snprintf(dpdk, sizeof(dpdk), "%s", rte_eal_get_runtime_dir());
	engine_close(&e);
	forget_dpdk(dpdk);
	if (argc <= 3) {
		unlink(ring);
		strcat(ring, ".lock");
		unlink(ring);
	}
	return failures ? 1 : 0;
}
