/* SPDX-License-Identifier: BSD-3-Clause */
/* The benchmark's percentiles, against sorting. */
#include "histogram.h"
#include "psi_base.h"
#include "psi_unit.h"

#include <stdlib.h>

static struct histogram h;

static int
by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void
test_small_values_are_exact(void)
{
	memset(&h, 0, sizeof(h));
	for (uint64_t v = 0; v < 64; v++)
		hist_add(&h, v);
	CU_ASSERT_EQUAL(h.cnt, 64);
	CU_ASSERT_EQUAL(hist_at(&h, 0), 0);
	CU_ASSERT_EQUAL(hist_at(&h, 0.5), 32);
	CU_ASSERT_EQUAL(hist_at(&h, 0.99), 63);
	CU_ASSERT_EQUAL(hist_at(&h, 1), 63);
}

/* Random values of all sizes: never below what sorting says, and above by at most one part in 32. */
static void
test_large_values_are_close(void)
{
	enum { N = 100000 };
	static uint64_t v[N];
	static const double share[] = {0.001, 0.1, 0.5, 0.9, 0.99, 0.999};
	uint64_t x = 88172645463325252u;

	memset(&h, 0, sizeof(h));
	for (int i = 0; i < N; i++) {
		x ^= x << 13; /* xorshift64, Marsaglia 2003 */
		x ^= x >> 7;
		x ^= x << 17;
		v[i] = x >> (24 + x % 40);
		hist_add(&h, v[i]);
	}
	qsort(v, N, sizeof(v[0]), by_value);
	for (size_t i = 0; i < PSI_COUNT(share); i++) {
		uint64_t want = v[(int)(share[i] * N)], got = hist_at(&h, share[i]);

		CU_ASSERT(got >= want);
		CU_ASSERT(got <= want + want / 32);
	}
	CU_ASSERT_EQUAL(h.max, v[N - 1]);
}

static void
test_huge_values_stay_inside(void)
{
	memset(&h, 0, sizeof(h));
	hist_add(&h, UINT64_MAX);
	hist_add(&h, (uint64_t)1 << 40);
	CU_ASSERT_EQUAL(h.cnt, 2);
	CU_ASSERT_EQUAL(h.max, UINT64_MAX);
	CU_ASSERT(hist_at(&h, 0.5) >= ((uint64_t)1 << 40) - 1);
}

/* Each side of every power of two: 2^k - 1 and 2^k, once each, and 0. */
static void
test_powers_of_two_are_exact(void)
{
	memset(&h, 0, sizeof(h));
	hist_add(&h, 0);
	for (unsigned int k = 1; k < 40; k++) {
		hist_add(&h, ((uint64_t)1 << k) - 1);
		hist_add(&h, (uint64_t)1 << k);
	}
	CU_ASSERT_EQUAL(hist_below(&h, 0), 1);
	for (unsigned int k = 1; k < 40; k++)
		CU_ASSERT_EQUAL(hist_below(&h, k), 2 * k);
	CU_ASSERT_EQUAL(hist_below(&h, 40), h.cnt);
}

static CU_TestInfo tests[] = {
	{"small values are exact", test_small_values_are_exact},
	{"large values are close", test_large_values_are_close},
	{"huge values stay inside", test_huge_values_stay_inside},
	{"powers of two are exact", test_powers_of_two_are_exact},
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo psi_unit_suites[] = {
	{.pName = "histogram", .pTests = tests},
	CU_SUITE_INFO_NULL,
};
