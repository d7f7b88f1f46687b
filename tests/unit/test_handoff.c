/* SPDX-License-Identifier: BSD-3-Clause */
#include "psi_unit.h"

#include "psi_handoff.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>

#define SIZE 65536

static struct psi_handoff q;
static uint8_t *mem;

static int
setup(void)
{
	mem = aligned_alloc(128, SIZE);
	return mem ? 0 : 1;
}

static int
teardown(void)
{
	free(mem);
	return 0;
}

static void
fresh(void)
{
	CU_ASSERT_EQUAL_FATAL(psi_handoff_init(&q, mem, SIZE), 0);
}

static void
test_sizes_are_checked(void)
{
	CU_ASSERT_EQUAL(psi_handoff_init(&q, mem, 1000), -EINVAL);
	CU_ASSERT_EQUAL(psi_handoff_init(&q, mem, SIZE / 2), -EINVAL);
	CU_ASSERT_EQUAL(psi_handoff_init(&q, mem, SIZE), 0);
}

static bool
put(uint32_t no, uint32_t len)
{
	uint8_t *p = psi_handoff_reserve(&q, len);

	if (!p)
		return false;
	memset(p, (int)(no & 0xff), len);
	memcpy(p, &no, sizeof(no));
	psi_handoff_commit(&q, PSI_HANDOFF_FLOW, len);
	return true;
}

/* True when the oldest record is number `no` of `len` bytes, whole. */
static bool
take(uint32_t no, uint32_t len)
{
	enum psi_handoff_type type;
	uint32_t got_len, got_no;
	const uint8_t *p = psi_handoff_peek(&q, &type, &got_len);
	bool ok = p && type == PSI_HANDOFF_FLOW && got_len == len;

	if (!ok)
		return false;
	memcpy(&got_no, p, sizeof(got_no));
	ok = got_no == no && (uintptr_t)p % 8 == 0;
	for (uint32_t i = 4; i < len; i++)
		ok &= p[i] == (no & 0xff);
	psi_handoff_consume(&q);
	return ok;
}

static void
test_in_order_and_whole(void)
{
	enum psi_handoff_type type;
	uint32_t len;

	fresh();
	CU_ASSERT_PTR_NULL(psi_handoff_peek(&q, &type, &len));
	/* Lengths that do not divide the ring, for long enough to wrap a thousand times. */
	for (uint32_t i = 0; i < 20000; i++) {
		uint32_t n = 4 + i * 7919 % 6000;

		CU_ASSERT_FATAL(put(i, n));
		CU_ASSERT_FATAL(take(i, n));
	}
	CU_ASSERT_PTR_NULL(psi_handoff_peek(&q, &type, &len));
}

static void
test_full_refuses_and_loses_nothing(void)
{
	uint32_t in = 0, out = 0;

	fresh();
	for (int round = 0; round < 50; round++) {
		while (put(in, 1000))
			in++;
		CU_ASSERT(in - out >= SIZE / 1024 - 2); /* nearly all of it was used */
		for (int i = 0; i < 20; i++, out++)
			CU_ASSERT_FATAL(take(out, 1000));
	}
	while (out < in) {
		CU_ASSERT_FATAL(take(out, 1000));
		out++;
	}
}

static void
test_reservation_can_shrink_or_lapse(void)
{
	fresh();
	CU_ASSERT_PTR_NOT_NULL(psi_handoff_reserve(&q, 5000));
	CU_ASSERT_PTR_NOT_NULL(psi_handoff_reserve(&q, 6000));
	CU_ASSERT(put(1, 40)); /* the two before left no trace */
	CU_ASSERT(take(1, 40));
	CU_ASSERT_PTR_NULL(
		psi_handoff_reserve(&q, SIZE)); /* with its header, larger than the ring */
}

#define THREAD_CNT 200000

static void *
reader(void *arg)
{
	uint32_t *bad = arg;

	for (uint32_t i = 0; i < THREAD_CNT;) {
		enum psi_handoff_type type;
		uint32_t len;

		if (!psi_handoff_peek(&q, &type, &len)) {
			sched_yield(); /* both may share a core */
			continue;
		}
		if (!take(i, 4 + i % 300))
			(*bad)++;
		i++;
	}
	return NULL;
}

static void
test_two_threads(void)
{
	uint32_t bad = 0;
	pthread_t t;

	fresh();
	CU_ASSERT_EQUAL_FATAL(pthread_create(&t, NULL, reader, &bad), 0);
	for (uint32_t i = 0; i < THREAD_CNT;)
		if (put(i, 4 + i % 300))
			i++;
		else
			sched_yield();
	pthread_join(t, NULL);
	CU_ASSERT_EQUAL(bad, 0);
}

/* Several records are looked at where they lie, over the ring's end as well, and then consumed without another look. */
static void
test_look_ahead(void)
{
	static const uint32_t len[] = {24, 5000, 700, 9};
	uint32_t made = 0, got_len, no;
	enum psi_handoff_type type;
	const uint8_t *p;
	uint64_t pos;

	fresh();
	for (uint32_t round = 0; round < 200; round++) {
		while (made < 4 * (round + 1) && put(made, len[made % 4]))
			made++;
		pos = psi_handoff_oldest(&q);
		for (uint32_t i = 4 * round; i < made; i++) {
			p = psi_handoff_look(&q, &pos, &type, &got_len);
			CU_ASSERT_FATAL(p && type == PSI_HANDOFF_FLOW && got_len == len[i % 4]);
			memcpy(&no, p, sizeof(no));
			CU_ASSERT_EQUAL_FATAL(no, i);
		}
		CU_ASSERT_EQUAL(made, 4 * (round + 1));
		CU_ASSERT_PTR_NULL(psi_handoff_look(&q, &pos, &type, &got_len));
		for (uint32_t i = 4 * round; i < made; i++)
			psi_handoff_consume(&q);
		CU_ASSERT_PTR_NULL(psi_handoff_peek(&q, &type, &got_len));
	}
}

static CU_TestInfo tests[] = {
	{"sizes are checked", test_sizes_are_checked},
	{"records come out whole and in order", test_in_order_and_whole},
	{"a full queue refuses and loses nothing", test_full_refuses_and_loses_nothing},
	{"a reservation can shrink or lapse", test_reservation_can_shrink_or_lapse},
	{"records are looked at ahead of their turn", test_look_ahead},
	{"one thread writes, another reads", test_two_threads},
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo psi_unit_suites[] = {
	{.pName = "handoff", .pInitFunc = setup, .pCleanupFunc = teardown, .pTests = tests},
	CU_SUITE_INFO_NULL,
};
