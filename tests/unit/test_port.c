/* SPDX-License-Identifier: BSD-3-Clause */
/* Captures written by hand, as pcap(5) and draft-ietf-opsawg-pcapng describe them. */
#include "psi_unit.h"

#include "port_pvt.h"
#include "psi_port.h"

static struct capture_reader *
reader(const void *bytes, size_t len, struct capture_reader *(*open)(FILE *, struct psi_err *))
{
	struct psi_err err = {""};
	FILE *f = fmemopen((void *)(uintptr_t)bytes, len, "rb");
	struct capture_reader *r;

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	r = open(f, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	return r;
}

static int
next(struct capture_reader *r, struct capture_packet *p)
{
	struct psi_err err = {""};

	return r->next(r, p, &err);
}

/* Seconds are unsigned in both formats: 2^31, in January 2038, is no boundary. */
static void
test_after_2038(void)
{
	static const uint32_t pcap[] = {
		0xa1b2c3d4, 4 << 16 | 2, 0, 0, 65535, 1, 0xfffffff0, 7, 4, 60, 0x04030201};
	static const uint32_t pcapng[] = {0x0a0d0d0a, 28, 0x1a2b3c4d, 1, 0xffffffff, 0xffffffff, 28,
		1, 20, 1, 65535, 20, 6, 36, 0, 0xfffffff0ull * 1000000 >> 32,
		(uint32_t)(0xfffffff0ull * 1000000 + 7), 4, 60, 0x04030201, 36};
	struct capture_packet p;
	struct capture_reader *r;

	for (int ng = 0; ng < 2; ng++) {
		r = ng ? reader(pcapng, sizeof(pcapng), open_pcapng_file)
		       : reader(pcap, sizeof(pcap), open_pcap_file);
		CU_ASSERT_EQUAL_FATAL(next(r, &p), 1);
		CU_ASSERT_EQUAL(p.ts_ns, 0xfffffff0ull * 1000000000 + 7000);
		CU_ASSERT_EQUAL(p.cap_len, 4);
		CU_ASSERT_EQUAL(p.wire_len, 60);
		CU_ASSERT_EQUAL(memcmp(p.data, "\1\2\3\4", 4), 0);
		CU_ASSERT_EQUAL(next(r, &p), 0);
		r->close(r);
	}
}

/* No environment of DPDK is started here: the pool must do without. Every mbuf is written to its last byte, and none is
 * given out twice. */
static void
test_pool(void)
{
	struct rte_mempool *pool = psi_port_pool_open(5, RTE_PKTMBUF_HEADROOM + 100);
	struct rte_mbuf *m[5], *again;

	CU_ASSERT_PTR_NOT_NULL_FATAL(pool);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 5; i++) {
			m[i] = rte_pktmbuf_alloc(pool);
			CU_ASSERT_PTR_NOT_NULL_FATAL(m[i]);
			CU_ASSERT_EQUAL_FATAL(rte_pktmbuf_tailroom(m[i]), 100);
			memset(rte_pktmbuf_append(m[i], 100), i, 100);
		}
		CU_ASSERT_PTR_NULL(rte_pktmbuf_alloc(pool));
		CU_ASSERT_EQUAL(rte_mempool_avail_count(pool), 0);
		for (int i = 0; i < 5; i++) {
			CU_ASSERT_EQUAL(*rte_pktmbuf_mtod(m[i], uint8_t *), i);
			CU_ASSERT_EQUAL(*rte_pktmbuf_mtod_offset(m[i], uint8_t *, 99), i);
		}
		m[0]->next = m[1]; /* a chain goes back whole */
		m[0]->nb_segs = 2;
		for (int i = 0; i < 5; i++)
			if (i != 1)
				rte_pktmbuf_free(m[i]);
		CU_ASSERT_EQUAL(rte_mempool_avail_count(pool), 5);
	}
	again = rte_pktmbuf_alloc(pool);
	CU_ASSERT_PTR_EQUAL(again, m[4]); /* the last one back is the first one out */
	CU_ASSERT_EQUAL(again->pkt_len, 0);
	CU_ASSERT_EQUAL(again->nb_segs, 1);
	rte_pktmbuf_free(again);
	psi_port_pool_close(pool);
	psi_port_pool_close(NULL);
}

static CU_TestInfo tests[] = {
	{"a pool without DPDK's environment", test_pool},
	{"time stamps after 2038", test_after_2038},
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo psi_unit_suites[] = {
	{.pName = "port", .pTests = tests},
	CU_SUITE_INFO_NULL,
};
