/* SPDX-License-Identifier: BSD-3-Clause */
#include "psi_unit.h"

#include "psi_stats.h"

static void
test_count_and_sum(void)
{
	static struct psi_stats a, b;
	uint64_t sum[PSI_STAT_CNT] = {0};

	psi_stat_inc(&a, PSI_STAT_pkt_rx);
	psi_stat_add(&b, PSI_STAT_pkt_rx, 41);
	psi_stats_sum(&a, sum);
	psi_stats_sum(&b, sum);
	CU_ASSERT_EQUAL(sum[PSI_STAT_pkt_rx], 42);
	CU_ASSERT_EQUAL(psi_stat_get(&a, PSI_STAT_pkt_rx), 1);
}

static void
test_balance(void)
{
	uint64_t sum[PSI_STAT_CNT] = {0};

	sum[PSI_STAT_pkt_rx] = 10;
	sum[PSI_STAT_pkt_tcp] = 7;
	sum[PSI_STAT_pkt_udp] = 2;
	CU_ASSERT_EQUAL(psi_stats_balance(sum, PSI_STAT_PKT_IN, 0), 1);
	sum[PSI_STAT_pkt_not_ip] = 1;
	CU_ASSERT_EQUAL(psi_stats_balance(sum, PSI_STAT_PKT_IN, 0), 0);
	sum[PSI_STAT_flow_opened] = 3;
	sum[PSI_STAT_flow_closed_rst] = 1;
	CU_ASSERT_EQUAL(psi_stats_balance(sum, PSI_STAT_FLOW_IN, 2), 0);
	CU_ASSERT_EQUAL(psi_stats_balance(sum, PSI_STAT_FLOW_IN, 0), 2);
}

static void
test_rows_are_described(void)
{
	CU_ASSERT_STRING_EQUAL(psi_stat_name(PSI_STAT_pkt_rx), "pkt_rx");
	for (enum psi_stat c = 0; c < PSI_STAT_CNT; c++) {
		CU_ASSERT(strlen(psi_stat_text(c)) > 0);
		CU_ASSERT(strlen(psi_stat_unit(c)) > 0);
	}
	CU_ASSERT_EQUAL(psi_stat_kind_of(PSI_STAT_rec_drop_full), PSI_STAT_REC_OUT);
}

static CU_TestInfo stats_tests[] = {
	{"blocks count and sum", test_count_and_sum},
	{"the ledger balances, or says by how much not", test_balance},
	{"every counter is described", test_rows_are_described},
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo psi_unit_suites[] = {
	{.pName = "stats", .pTests = stats_tests},
	CU_SUITE_INFO_NULL,
};
