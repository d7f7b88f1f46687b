/* SPDX-License-Identifier: BSD-3-Clause */
/* Captures written by hand, as pcap(5) and draft-ietf-opsawg-pcapng describe them. */
#include "psi_unit.h"

#include "port_pvt.h"

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

static CU_TestInfo tests[] = {
	{"time stamps after 2038", test_after_2038},
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo psi_unit_suites[] = {
	{.pName = "port", .pTests = tests},
	CU_SUITE_INFO_NULL,
};
