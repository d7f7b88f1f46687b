/* SPDX-License-Identifier: BSD-3-Clause */
/* What waits for the end of its flow: found as long as it waits, and room for as many as were promised, of whatever length
 * they come. */
#include "psi_unit.h"

#include "collector_pvt.h"

static struct psi_stats stats;
static struct joins s;
static struct psi_rec *r;

static void
begin(uint32_t max)
{
	memset(&s, 0, sizeof(s));
	memset(&stats, 0, sizeof(stats));
	CU_ASSERT_EQUAL_FATAL(joins_open(&s, max, &stats), 0);
	r = calloc(1, PSI_REC_MAX);
	psi_rec_begin(r);
}

static void
end(void)
{
	joins_close(&s);
	free(r);
}

static struct join *
put(uint64_t id, uint32_t var_len)
{
	r->flow_id = id;
	r->len = (uint32_t)sizeof(*r) + var_len;
	return joins_put(&s, r);
}

/* Traffic changes: as many as may wait, of one length after the other, each time all of them. What was freed of one length
 * must leave room for the next. */
static void
test_lengths(void)
{
	const uint32_t max = 2000;
	uint32_t without = 0;

	begin(max);
	for (uint32_t var_len = 0; var_len <= PSI_REC_VAR_MAX; var_len += JOIN_UNIT) {
		for (uint32_t i = 0; i < max; i++)
			without += !put(i, var_len);
		for (uint32_t i = 0; i < max; i++) {
			struct join *j = joins_take(&s, i);

			if (j)
				joins_free(&s, j);
		}
		CU_ASSERT_EQUAL(s.cnt, 0);
	}
	CU_ASSERT_EQUAL(without, 0);
	CU_ASSERT_EQUAL(psi_stat_get(&stats, PSI_STAT_join_evicted), 0);
	end();
}

/* A flow is told again before its end: the new record waits in the place of the old one, and all others still do. As many
 * flows as places in the table, so that many share one. */
static void
test_again(void)
{
	const uint32_t max = 1024;
	uint32_t found = 0;

	begin(max);
	for (uint32_t i = 0; i < max; i++)
		put(i, 0);
	for (uint32_t i = 0; i < max; i++)
		put(i, 512);
	for (uint32_t i = 0; i < max; i++) {
		const struct join *j = joins_look(&s, i);

		found += j && j->flow_id == i && j->rec.len == sizeof(*r) + 512;
	}
	CU_ASSERT_EQUAL(found, max);
	CU_ASSERT_EQUAL(s.cnt, max);
	end();
}

/* The one that waits longest makes room, and is counted. */
static void
test_full(void)
{
	begin(8);
	for (uint32_t i = 0; i < 12; i++)
		put(i, 0);
	for (uint32_t i = 0; i < 12; i++)
		CU_ASSERT_EQUAL(joins_look(&s, i) != NULL, i >= 4);
	CU_ASSERT_EQUAL(psi_stat_get(&stats, PSI_STAT_join_evicted), 4);
	end();
}

static CU_TestInfo tests[] = {
	{"records of any length", test_lengths},
	{"a flow told again", test_again},
	{"more flows than may wait", test_full},
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo psi_unit_suites[] = {
	{.pName = "join", .pTests = tests},
	CU_SUITE_INFO_NULL,
};
