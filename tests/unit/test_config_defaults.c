/* SPDX-License-Identifier: BSD-3-Clause */
/* What the configuration gives by default is what the modules have by default, where they say so themselves. */
#include "psi_unit.h"

#include "psi_collector.h"
#include "psi_config.h"
#include "psi_ring.h"
#include "psi_worker.h"

#include "pinsight.h"

static struct psi_config *c;

static int
set_up(void)
{
	c = psi_config_open(NULL, NULL, 0, NULL);
	return !c;
}

static int
tear_down(void)
{
	psi_config_close(c);
	return 0;
}

static void
test_worker(void)
{
	static const unsigned int identity[] = {
		[PSI_CONFIG_IDENTITY_BOTH] = PSI_NET_ID_VLAN | PSI_NET_ID_TUNNEL,
		[PSI_CONFIG_IDENTITY_VLAN] = PSI_NET_ID_VLAN,
		[PSI_CONFIG_IDENTITY_TUNNEL] = PSI_NET_ID_TUNNEL,
		[PSI_CONFIG_IDENTITY_NONE] = 0};
	struct psi_worker_config w;

	psi_worker_defaults(&w);
	CU_ASSERT_EQUAL(c->flows.max, w.flow.max);
	CU_ASSERT_EQUAL(
		c->flows.closed_timeout_ns, w.flow.timeout_ms[PSI_FLOW_CLOSED] * 1000000ull);
	CU_ASSERT_EQUAL(
		c->flows.half_open_timeout_ns, w.flow.timeout_ms[PSI_FLOW_HALF_OPEN] * 1000000ull);
	CU_ASSERT_EQUAL(c->flows.other_timeout_ns, w.flow.timeout_ms[PSI_FLOW_OTHER] * 1000000ull);
	CU_ASSERT_EQUAL(c->flows.established_timeout_ns,
		w.flow.timeout_ms[PSI_FLOW_ESTABLISHED] * 1000000ull);
	CU_ASSERT_EQUAL(
		c->flows.handshake_timeout_ns, w.flow.timeout_ms[PSI_FLOW_HANDSHAKE] * 1000000ull);
	CU_ASSERT_EQUAL(c->flows.connections, w.conn_max);
	CU_ASSERT_EQUAL(c->flows.handshakes, w.handshake_max);
	CU_ASSERT_EQUAL(c->flows.linger_ns, w.linger_ms * 1000000ull);
	CU_ASSERT_EQUAL(identity[c->flows.identity], w.identity);
	CU_ASSERT_EQUAL(c->streams.early_segments, w.stream.early_max);
	CU_ASSERT_EQUAL(c->streams.early_segments_flow, w.stream.early_flow_max);
	CU_ASSERT_EQUAL(c->streams.early_bytes_flow, w.stream.early_flow_bytes);
	CU_ASSERT_EQUAL(c->streams.gap_wait_ns, w.stream.gap_wait_ms * 1000000ull);
	CU_ASSERT_EQUAL(c->fragments.datagrams, w.frag.max);
	CU_ASSERT_EQUAL(c->fragments.mbufs, w.frag.mbuf_max);
	CU_ASSERT_EQUAL(c->fragments.timeout_ns, w.frag.timeout_ns);
	CU_ASSERT_EQUAL(c->certificates.messages, w.chain_max);
	CU_ASSERT_EQUAL(c->certificates.segments, w.chain_seg_max);
	CU_ASSERT_EQUAL(c->events.not_tls, w.report_other);
}

static void
test_collector(void)
{
	struct psi_collector_config cc;

	psi_collector_defaults(&cc);
	CU_ASSERT_EQUAL(c->certificates.max, cc.chain_max);
	CU_ASSERT_EQUAL(c->collector.joins, cc.join_max);
	CU_ASSERT_EQUAL(c->events.handshakes, cc.handshakes);
	CU_ASSERT_STRING_EQUAL(c->certificates.roots, PSI_TRUST_SYSTEM_ROOTS);
	CU_ASSERT(c->correlation.enabled);
	CU_ASSERT_EQUAL(c->correlation.relations_max, cc.population.row_max);
	CU_ASSERT_EQUAL(c->correlation.cases_max, cc.population.case_max);
	CU_ASSERT_EQUAL(c->correlation.half_life_ns, cc.population.half_life_ns);
	CU_ASSERT_EQUAL(c->correlation.retry_ns, cc.population.retry_ns);
	CU_ASSERT_EQUAL(c->correlation.attempts_min, cc.population.attempts_min);
	CU_ASSERT_EQUAL((float)c->correlation.report_confidence, cc.population.report_confidence);
}

static void
test_ring(void)
{
	CU_ASSERT_STRING_EQUAL(c->ring.path, RING_PATH);
	CU_ASSERT(c->ring.size >= PSI_RING_SIZE_MIN && c->ring.size <= PSI_RING_SIZE_MAX);
}

static struct CU_TestInfo tests[] = {
	{"worker", test_worker},
	{"collector", test_collector},
	{"ring", test_ring},
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo psi_unit_suites[] = {
	{.pName = "defaults", .pInitFunc = set_up, .pCleanupFunc = tear_down, .pTests = tests},
	CU_SUITE_INFO_NULL,
};
