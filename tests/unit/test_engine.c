/* SPDX-License-Identifier: BSD-3-Clause */
#include "psi_unit.h"
#include "unit_eal.h"

#include "engine.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- clock ---- */

/* off_ns: how far the engine's clock is ahead of the system's. */
static void
clock_ahead(struct engine_clock *c, int64_t off_ns)
{
	clock_open(c);
	atomic_store(&c->ns, (uint64_t)((int64_t)atomic_load(&c->ns) + off_ns));
}

static uint64_t
system_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Between two looks at the system's clock, however long the test was kept waiting there. */
static void
test_clock_agrees(void)
{
	struct engine_clock c = {0};
	uint64_t before, ours;

	clock_open(&c);
	before = system_ns();
	ours = clock_ns(&c);
	CU_ASSERT(ours > before - 10000000 && ours < system_ns() + 10000000);
}

static void
test_clock_never_goes_back(void)
{
	struct engine_clock c = {0};
	uint64_t before, after, tsc, began = system_ns();
	int64_t off;

	clock_ahead(&c, 3600ll * 1000000000); /* the system's clock was set back by an hour */
	before = clock_ns(&c);
	off = clock_sync(&c);
	after = clock_ns(&c);
	CU_ASSERT(off < -3599ll * 1000000000 && off > -3601ll * 1000000000);
	CU_ASSERT(after >= before);
	CU_ASSERT(after - before < system_ns() - began + 10000000);
	/* From here a second of the counter is nine tenths of a second of time. */
	tsc = atomic_load(&c.tsc);
	CU_ASSERT_EQUAL(
		(clock_of(&c, tsc + rte_get_tsc_hz()) - clock_of(&c, tsc) + 500) / 1000, 900000);
	/* What another core read before the change is not before it. */
	CU_ASSERT_EQUAL(clock_of(&c, tsc - 1000), clock_of(&c, tsc));
}

static void
test_clock_follows_a_jump(void)
{
	struct engine_clock c = {0};
	int64_t off;

	clock_ahead(&c, -5ll * 1000000000); /* the system's clock was set forward by 5 s */
	off = clock_sync(&c);
	CU_ASSERT(off > 4900000000ll && off < 5100000000ll);
	CU_ASSERT(llabs(clock_sync(&c)) < 100000000);
}

static void
test_clock_turns_its_rate(void)
{
	struct engine_clock c = {0};
	uint64_t tsc, second;

	clock_ahead(&c, -10000000); /* behind by 10 ms: made up for within the next second */
	clock_sync(&c);
	tsc = atomic_load(&c.tsc);
	second = clock_of(&c, tsc + rte_get_tsc_hz()) - clock_of(&c, tsc);
	CU_ASSERT(second > 1005000000 && second < 1015000000);
}

/* ---- RSS ---- */

static void
test_rss_key(void)
{
	/* The key of Microsoft's "Verifying the RSS Hash Calculation", which many drivers come with. */
	static const uint8_t microsoft[40] = {0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41,
		0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30,
		0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe,
		0xac, 0x01, 0xfa};
	uint8_t key[52];

	psi_rss_key(key, sizeof(key));
	CU_ASSERT_EQUAL(key[0], 0x6d);
	CU_ASSERT_EQUAL(key[51], 0x5a);
	CU_ASSERT_TRUE(psi_rss_key_symmetric(key, 40));
	CU_ASSERT_TRUE(psi_rss_key_symmetric(key, 52));
	CU_ASSERT_FALSE(psi_rss_key_symmetric(key, 39));
	CU_ASSERT_FALSE(psi_rss_key_symmetric(microsoft, 40));
	key[20] ^= 1; /* one bit is enough */
	CU_ASSERT_FALSE(psi_rss_key_symmetric(key, 40));
}

/* ---- layout and sizes ---- */

static struct psi_config *
config(const char *a, const char *b)
{
	struct psi_config_override ov[2] = {{.text = a}, {.text = b}};
	struct psi_err err = {""};
	struct psi_config *c = psi_config_open(NULL, ov, a ? b ? 2 : 1 : 0, &err);

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	return c;
}

/* The layout on the first n of this process's cores; 0: as many as there are. */
static int
layout(struct engine *e, unsigned int n, const struct psi_config *cfg, struct psi_err *err)
{
	cpu_set_t all, few;
	int rc;

	memset(e, 0, sizeof(*e));
	sched_getaffinity(0, sizeof(all), &all);
	CPU_ZERO(&few);
	for (int i = 0; i < CPU_SETSIZE && (unsigned int)CPU_COUNT(&few) < n; i++)
		if (CPU_ISSET(i, &all))
			CPU_SET(i, &few);
	if (n)
		sched_setaffinity(0, sizeof(few), &few);
	rc = layout_make(e, cfg, err);
	sched_setaffinity(0, sizeof(all), &all);
	return rc;
}

static void
forget(struct engine *e, struct psi_config *cfg)
{
	free(e->worker);
	free(e->loop);
	psi_config_close(cfg);
}

static void
test_one_core(void)
{
	struct psi_config *cfg = config(NULL, NULL);
	struct psi_err err = {""};
	static struct engine e;

	CU_ASSERT_EQUAL_FATAL(layout(&e, 1, cfg, &err), 0);
	CU_ASSERT_EQUAL(e.loop_cnt, 1);
	CU_ASSERT_EQUAL(e.worker_cnt, 1);
	CU_ASSERT_TRUE(e.worker[0].with_collector);
	CU_ASSERT_PTR_NOT_NULL(e.loop[0].collector);
	CU_ASSERT_EQUAL(e.loop[0].worker_cnt, 1);
	CU_ASSERT_EQUAL((unsigned int)e.control_cpu, e.loop[0].cpu);
	forget(&e, cfg);
}

static void
test_two_cores(void)
{
	struct psi_config *cfg = config(NULL, NULL);
	struct psi_err err = {""};
	static struct engine e;
	cpu_set_t all;

	sched_getaffinity(0, sizeof(all), &all);
	if (CPU_COUNT(&all) >= 2) {
		CU_ASSERT_EQUAL_FATAL(layout(&e, 2, cfg, &err), 0);
		CU_ASSERT_EQUAL(e.loop_cnt, 2);
		CU_ASSERT_EQUAL(e.worker_cnt, 1);
		CU_ASSERT_FALSE(e.worker[0].with_collector);
		CU_ASSERT_NOT_EQUAL(e.worker[0].cpu, (unsigned int)e.control_cpu);
		forget(&e, cfg);
		return;
	}
	psi_config_close(cfg);
}

static void
test_cores_that_are_not_there(void)
{
	static const char *const keys[] = {
		"cores.workers=1023", "cores.collector=1023", "cores.control=1023"};

	for (size_t i = 0; i < PSI_COUNT(keys); i++) {
		struct psi_config *cfg = config(keys[i], NULL);
		struct psi_err err = {""};
		static struct engine e;

		CU_ASSERT_EQUAL(layout(&e, 0, cfg, &err), -EINVAL);
		CU_ASSERT_PTR_NOT_NULL(
			strstr(err.text, "core 1023 is not one that this process may use"));
		CU_ASSERT_EQUAL(strncmp(err.text, "--set cores.", 12), 0);
		forget(&e, cfg);
	}
}

static void
test_sizes(void)
{
	struct psi_config *cfg = config("ports=[{device: net_null0, mtu: 9600}]", NULL);
	struct psi_err err = {""};
	static struct engine e;
	uint32_t n;

	CU_ASSERT_EQUAL_FATAL(layout(&e, 1, cfg, &err), 0);
	n = sizes_mbufs(&e, cfg);
	CU_ASSERT_EQUAL(n & (n + 1), 0); /* 2^n - 1 */
	/* Descriptors, and what docs/design/worker.md says that a worker may hold. */
	CU_ASSERT(n >= 1024 + 4096 + 4096 + 3072 + 32);
	CU_ASSERT(sizes_mbuf_room(cfg) >= 9600 + 14 + 4);
	CU_ASSERT((uint64_t)sizes_mem_mb(&e, cfg) << 20 > (uint64_t)n * sizes_mbuf_room(cfg));
	forget(&e, cfg);
	cfg = config("mempool.mbufs=5000", "mempool.mbuf_size=4096B");
	CU_ASSERT_EQUAL(sizes_mbufs(&e, cfg), 5000);
	CU_ASSERT_EQUAL(sizes_mbuf_room(cfg), 4096);
	psi_config_close(cfg);
}

/* ---- messages ---- */

static void
test_log_is_one_line(void)
{
	char got[256] = "";
	int fd[2], err = dup(STDERR_FILENO);
	ssize_t n;

	unsetenv("JOURNAL_STREAM");
	CU_ASSERT_EQUAL_FATAL(pipe(fd), 0);
	dup2(fd[1], STDERR_FILENO);
	log_level(PSI_CONFIG_LEVEL_WARN);
	log_info("part", "not this");
	log_warn("part", "a\nb\033[31m %d", 7);
	dup2(err, STDERR_FILENO);
	close(fd[1]);
	n = read(fd[0], got, sizeof(got) - 1);
	close(fd[0]);
	close(err);
	CU_ASSERT_FATAL(n > 25);
	/* 2026-11-22T08:30:00.123Z, then what was said: RFC 3339 is 24 bytes with ms. */
	CU_ASSERT_STRING_EQUAL(got + 24, " warn  part: a b [31m 7\n");
}

/* ---- who writes the ring ---- */

static void
test_ring_owner(void)
{
	char folder[] = "/tmp/test_engine.XXXXXX", path[64];
	struct psi_ring_config rc = {
		.path = path, .size = PSI_RING_SIZE_MIN, .generation = 1, .now_ns = 1};
	struct psi_ring_engine who;
	struct psi_err err = {""};
	struct psi_ring_w *w;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/ring", folder);
	CU_ASSERT_EQUAL(psi_ring_ask(path, &who, &err), -ESRCH);
	CU_ASSERT_EQUAL_FATAL(psi_ring_create(&w, &rc, &err), 0);
	CU_ASSERT_EQUAL(psi_ring_ask(path, &who, &err), 0);
	CU_ASSERT_EQUAL(who.pid, (int)getpid());
	CU_ASSERT_EQUAL(who.reloads, 0);
	psi_ring_tell(w, 12, "refused: a rather long reason");
	psi_ring_tell(w, 13, "done");
	CU_ASSERT_EQUAL(psi_ring_ask(path, &who, &err), 0);
	CU_ASSERT_EQUAL(who.reloads, 13);
	CU_ASSERT_STRING_EQUAL(who.said, "done");
	psi_ring_close(w);
	CU_ASSERT_EQUAL(psi_ring_ask(path, &who, &err),
		-ESRCH); /* the line is there, but nobody holds it */
	unlink(path);
	strcat(path, ".lock");
	unlink(path);
	CU_ASSERT_EQUAL(rmdir(folder), 0);
}

/* ---- reload ---- */

static void
no_event(void *ctx, const struct psi_event *e)
{
	(void)ctx;
	(void)e;
}

/* A worker on the collector's core drains its queue before the collector's own turn; the generation before may be gone. */
static void
test_drain_takes_the_new_policy(void)
{
	static struct psi_policy old, new;
	struct generation g = {.policy = &new};
	static struct engine_worker w;
	static struct engine e = {.worker = &w, .worker_cnt = 1};
	struct psi_collector_config cc;
	void *mem = aligned_alloc(128, 65536);

	psi_collector_defaults(&cc);
	cc.population.row_max = 0;
	cc.sink = no_event;
	cc.policy = &old;
	e.collector.e = &e;
	e.collector.c = psi_collector_open(&cc, NULL);
	e.collector.policy = &old;
	CU_ASSERT_FATAL(e.collector.c && mem);
	psi_handoff_init(&w.queue, mem, 65536);
	atomic_store(&e.gen, &g);
	collector_drain(&e.collector, 0);
	CU_ASSERT_PTR_EQUAL(e.collector.policy, &new);
	CU_ASSERT_PTR_EQUAL(psi_collector_set_policy(e.collector.c, NULL), &new);
	psi_collector_close(e.collector.c);
	free(mem);
}

/* ---- the ledger ---- */

static uint64_t told[PSI_EVENT_MAX / 8];

static void
keep_event(void *ctx, const struct psi_event *e)
{
	(void)ctx;
	memcpy(told, e, e->len);
}

struct worker_told {
	unsigned int counters, rates;
	bool abridged, received, dropped;
	uint64_t id;
};

static struct worker_told
read_worker(const struct psi_value *v)
{
	struct worker_told t = {.id = UINT64_MAX};
	struct psi_event_r in;
	struct psi_value f;

	psi_event_enter(v, &in);
	while (psi_event_next(&in, &f)) {
		t.id = f.id == PSI_F_WORKER_ID ? psi_value_u64(&f) : t.id;
		t.abridged |= f.id == PSI_F_WORKER_ABRIDGED && psi_value_u64(&f);
		t.counters += f.id == PSI_F_WORKER_COUNTERS;
		t.rates += f.id == PSI_F_WORKER_RATES;
		/* a count: 8 bytes of value, then the name */
		if (f.id == PSI_F_WORKER_COUNTERS) {
			t.received |= f.len == 14 && memcmp(f.p + 8, "pkt_rx", 6) == 0;
			t.dropped |= f.len == 27 && memcmp(f.p + 8, "pkt_drop_steer_full", 19) == 0;
		}
	}
	return t;
}

/* Of cnt workers whose every counter has moved, what is told: returns how many are abridged. */
static unsigned int
tell_workers(unsigned int cnt)
{
	static uint64_t sum[PSI_STAT_CNT], before[PSI_STAT_CNT];
	static struct psi_collector_worker w[ENGINE_WORKER_MAX];
	struct psi_collector_ledger l = {
		.sum = sum, .before = before, .interval_s = 1, .worker = w, .worker_cnt = cnt};
	struct psi_collector_config cc;
	struct psi_collector *c;
	unsigned int seen = 0, totals = 0, abridged = 0;
	struct psi_event_r in;
	struct psi_value v;

	for (int i = 0; i < PSI_STAT_CNT; i++)
		sum[i] = 1000 + (uint64_t)i;
	for (unsigned int i = 0; i < cnt; i++)
		w[i] = (struct psi_collector_worker){
			.id = (uint16_t)i, .sum = sum, .before = before, .queue_max = 1};
	psi_collector_defaults(&cc);
	cc.population.row_max = 0;
	cc.sink = keep_event;
	c = psi_collector_open(&cc, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	psi_collector_ledger(c, &l);
	psi_collector_close(c);
	CU_ASSERT_FALSE(((struct psi_event *)(void *)told)->flags & PSI_EVENT_CUT);
	psi_event_fields((struct psi_event *)(void *)told, &in);
	while (psi_event_next(&in, &v)) {
		struct worker_told t;

		totals += v.id == PSI_F_STATS_COUNTERS;
		if (v.id != PSI_F_STATS_WORKERS)
			continue;
		t = read_worker(&v);
		CU_ASSERT_EQUAL(t.id, seen++);
		CU_ASSERT_EQUAL(t.abridged, t.counters < PSI_STAT_CNT);
		CU_ASSERT_EQUAL(t.counters, t.rates);
		/* What it takes and drops comes before the rest; without room for that, its place only. */
		CU_ASSERT(t.received == t.dropped && (t.received || (cnt > 48 && !t.counters)));
		abridged += t.abridged;
	}
	CU_ASSERT_EQUAL(seen, cnt);
	CU_ASSERT_EQUAL(totals, PSI_STAT_CNT);
	return abridged;
}

static void
test_every_worker_is_told(void)
{
	CU_ASSERT_EQUAL(tell_workers(1), 0);
	CU_ASSERT_EQUAL(tell_workers(4), 0);
	CU_ASSERT(tell_workers(48) > 0);
	/* All counters of 64 workers are twelve times what an event holds. */
	CU_ASSERT_EQUAL(tell_workers(ENGINE_WORKER_MAX), ENGINE_WORKER_MAX);
}

static int
setup(void)
{
	return unit_pool(63) ? 0 : 1; /* the counter's rate is DPDK's to measure */
}

static CU_TestInfo tests[] = {
	{"the clock agrees with the system's", test_clock_agrees},
	{"it never goes back", test_clock_never_goes_back},
	{"it follows a jump forward", test_clock_follows_a_jump},
	{"it makes up for small differences", test_clock_turns_its_rate},
	{"the RSS key is the same both ways", test_rss_key},
	{"one core does everything", test_one_core},
	{"two cores share the work", test_two_cores},
	{"cores that are not there are refused", test_cores_that_are_not_there},
	{"what is left open is computed", test_sizes},
	{"a message is one line", test_log_is_one_line},
	{"the ring says who writes it", test_ring_owner},
	{"a queue drained early is drained with the new policy", test_drain_takes_the_new_policy},
	{"every worker is told of, however many", test_every_worker_is_told},
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo psi_unit_suites[] = {
	{.pName = "engine", .pInitFunc = setup, .pTests = tests},
	CU_SUITE_INFO_NULL,
};
