/* SPDX-License-Identifier: BSD-3-Clause */
/* Captures written by hand, as pcap(5) and draft-ietf-opsawg-pcapng describe them. */
#include "psi_unit.h"

#include "port_pvt.h"
#include "psi_port.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define ROOM (RTE_PKTMBUF_HEADROOM + 256)

/* A file of these bytes, in memory; at its start. */
static int
file_of(const void *bytes, size_t len)
{
	int fd = memfd_create("capture", 0);

	CU_ASSERT_FATAL(fd >= 0 && write(fd, bytes, len) == (ssize_t)len);
	CU_ASSERT_FATAL(lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

static struct psi_port *
port_of(const void *bytes, size_t len, struct rte_mempool *pool)
{
	struct psi_err err = {""};
	struct psi_port *p;
	char path[64];
	int fd = file_of(bytes, len);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	p = psi_port_open_pcap(path, pool, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	close(fd);
	return p;
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
	struct rte_mempool *pool = psi_port_pool_open(64, ROOM);
	struct psi_err err = {""};
	struct capture_packet p;
	struct capture_reader *r;
	struct feed *f;

	for (int ng = 0; ng < 2; ng++) {
		f = feed_open(
			ng ? file_of(pcapng, sizeof(pcapng)) : file_of(pcap, sizeof(pcap)), pool);
		CU_ASSERT_PTR_NOT_NULL_FATAL(f);
		r = open_capture(f, &err);
		CU_ASSERT_PTR_NOT_NULL_FATAL(r);
		CU_ASSERT_EQUAL_FATAL(r->next(r, &p, &err), 1);
		CU_ASSERT_EQUAL(p.ts_ns, 0xfffffff0ull * 1000000000 + 7000);
		CU_ASSERT_EQUAL(p.cap_len, 4);
		CU_ASSERT_EQUAL(p.wire_len, 60);
		CU_ASSERT_EQUAL(memcmp(p.data, "\1\2\3\4", 4), 0);
		CU_ASSERT_EQUAL(r->next(r, &p, &err), 0);
		r->close(r);
		feed_close(f);
	}
	psi_port_pool_close(pool);
}

/* Units of time stamps in a pcapng file, if_tsresol and if_tsoffset (draft-ietf-opsawg-pcapng, section 4.2): the
 * negative power of 10, or of 2 with the top bit set. Nanoseconds by hand; parts of one are dropped. */
static void
test_resolution(void)
{
	static const struct {
		uint8_t resol;
		uint64_t stamp;
		int64_t offset_s;
		uint64_t ns;
	} t[] = {
		{0, 5, 0, 5000000000},
		{3, 1500, 0, 1500000000},
		{6, 1500001, 0, 1500001000},
		{6, 2500001, -1, 1500001000},
		{9, 1500000001, 0, 1500000001},
		{9, 500000001, 1, 1500000001},
		{12, 1500000001999, 0, 1500000001},
		{0x80, 5, 0, 5000000000},
		{0x80 | 9, 768, 0, 1500000000},
		{0x80 | 10, 1537, 0, 1500976562},    /* 1.5 s and 976,562.5 ns */
		{0x80 | 20, 1572865, 0, 1500000953}, /* and 953.67 ns */
		{0x80 | 32, 0x180000000, 2, 3500000000},
	};
	struct rte_mempool *pool = psi_port_pool_open(64, ROOM);
	struct psi_err err = {""};

	for (size_t i = 0; i < PSI_COUNT(t); i++) {
		uint64_t off = (uint64_t)t[i].offset_s;
		const uint32_t file[] = {0x0a0d0d0a, 28, 0x1a2b3c4d, 1, 0xffffffff, 0xffffffff, 28,
			1, 44, 1, 65535, 1 << 16 | 9, t[i].resol, 8 << 16 | 14, (uint32_t)off,
			(uint32_t)(off >> 32), 0, 44, 6, 36, 0, (uint32_t)(t[i].stamp >> 32),
			(uint32_t)t[i].stamp, 4, 4, 0x04030201, 36};
		struct feed *f = feed_open(file_of(file, sizeof(file)), pool);
		struct capture_reader *r = f ? open_capture(f, &err) : NULL;
		struct capture_packet p;

		CU_ASSERT_PTR_NOT_NULL_FATAL(r);
		CU_ASSERT_EQUAL_FATAL(r->next(r, &p, &err), 1);
		CU_ASSERT_EQUAL(p.ts_ns, t[i].ns);
		r->close(r);
		feed_close(f);
	}
	psi_port_pool_close(pool);
}

/* ---- captures of many packets: number i has len[i] bytes, each of them i + its place ---- */

#define PACKETS	  64
#define BURST_MAX 32
#define FILE_MAX  (1u << 20)

static uint8_t *
put(uint8_t *at, const void *p, size_t len)
{
	memcpy(at, p, len);
	return at + len;
}

static uint8_t *
put_data(uint8_t *at, uint32_t i, uint32_t len)
{
	for (uint32_t k = 0; k < len; k++)
		*at++ = (uint8_t)(i + k);
	return at;
}

static size_t
make_pcap(uint8_t *file, const uint32_t *len, uint32_t cnt)
{
	static const uint32_t hdr[] = {0xa1b23c4d, 4 << 16 | 2, 0, 0, 262144, 1};
	uint8_t *at = put(file, hdr, sizeof(hdr));

	for (uint32_t i = 0; i < cnt; i++) {
		at = put(at, (uint32_t[]){7, i, len[i], len[i] + 1}, 16);
		at = put_data(at, i, len[i]);
	}
	return (size_t)(at - file);
}

static size_t
make_pcapng(uint8_t *file, const uint32_t *len, uint32_t cnt)
{
	static const uint32_t hdr[] = {
		0x0a0d0d0a, 28, 0x1a2b3c4d, 1, 0xffffffff, 0xffffffff, 28, 1, 20, 1, 262144, 20};
	uint8_t *at = put(file, hdr, sizeof(hdr));

	for (uint32_t i = 0; i < cnt; i++) {
		uint32_t pad = -len[i] & 3, all = 32 + len[i] + pad;

		at = put(at, (uint32_t[]){6, all, 0, 0, i, len[i], len[i] + 1}, 28);
		at = put_data(at, i, len[i]);
		at = put(at, "\0\0\0", pad);
		at = put(at, &all, 4);
	}
	return (size_t)(at - file);
}

/* m is packet i. */
static void
is_packet(const struct rte_mbuf *m, uint32_t i, uint32_t len)
{
	uint32_t k = 0, bad = 0;

	CU_ASSERT_EQUAL(m->pkt_len, len);
	for (; m; m = m->next)
		for (uint32_t j = 0; j < m->data_len; j++, k++)
			bad += *rte_pktmbuf_mtod_offset(m, uint8_t *, j) != (uint8_t)(i + k);
	CU_ASSERT_EQUAL(k, len);
	CU_ASSERT_EQUAL(bad, 0);
}

/* Whether m's bytes are not in the room behind it. */
static bool
is_lent(const struct rte_mbuf *m)
{
	return m->buf_addr != m + 1;
}

/* Reads all of it in bursts of max. What is read stays in m. Returns how many there are. */
static uint32_t
read_all(struct psi_port *p, struct rte_mbuf **m, uint16_t max, const uint32_t *len)
{
	uint64_t ts[PACKETS];
	uint32_t wire[PACKETS], cnt = 0;
	enum psi_link link;
	uint16_t n;

	while ((n = psi_port_rx(p, m + cnt, ts, wire, max, &link)) > 0) {
		for (uint16_t i = 0; i < n; i++) {
			is_packet(m[cnt + i], cnt + i, len[cnt + i]);
			CU_ASSERT_EQUAL(wire[i], len[cnt + i] + 1);
		}
		cnt += n;
	}
	CU_ASSERT_EQUAL(psi_port_status(p, NULL), 1);
	return cnt;
}

static uint32_t
blocks_free(struct rte_mempool *pool)
{
	uint8_t *b[BLOCK_CNT];
	uint32_t n = 0;

	while (pool_has_block(pool))
		b[n++] = pool_block_take(pool);
	for (uint32_t i = 0; i < n; i++)
		pool_block_drop(pool, b[i]);
	return n;
}

/* The end of a block at every place within a record, headers and empty packets included: blocks of 512 bytes, and a
 * first packet that is a byte longer each time. */
static void
test_borders(void)
{
	uint8_t *file = malloc(FILE_MAX);
	struct rte_mempool *pool = pool_open(PACKETS * 4, ROOM, 512, 4);
	uint32_t len[PACKETS];
	struct rte_mbuf *m[PACKETS + BURST_MAX];

	CU_ASSERT_PTR_NOT_NULL_FATAL(pool);
	for (uint32_t shift = 0; shift < 400; shift++) {
		len[0] = shift;
		for (uint32_t i = 1; i < PACKETS; i++)
			len[i] = i % 5 ? (i * 37) % 300 : 0;
		for (int ng = 0; ng < 2; ng++) {
			size_t size = ng ? make_pcapng(file, len, PACKETS)
					 : make_pcap(file, len, PACKETS);
			struct psi_port *p = port_of(file, size, pool);

			CU_ASSERT_EQUAL(read_all(p, m, 1 + shift % BURST_MAX, len), PACKETS);
			rte_pktmbuf_free_bulk(m, PACKETS);
			psi_port_close(p);
			CU_ASSERT_EQUAL(blocks_free(pool), 4);
			CU_ASSERT_EQUAL(rte_mempool_avail_count(pool), PACKETS * 4);
		}
	}
	psi_port_pool_close(pool);
	free(file);
}

/* Whoever holds packets finds in them what was read, however much is read after them: with all blocks held the rest is
 * copied. When they come back packets are lent again. */
static void
test_held(void)
{
	uint8_t *file = malloc(FILE_MAX);
	struct rte_mempool *pool = pool_open(PACKETS * 4, ROOM, 1024, 3);
	uint32_t len[PACKETS], lent = 0;
	struct rte_mbuf *m[PACKETS + BURST_MAX];
	struct psi_port *p;
	size_t size;

	for (uint32_t i = 0; i < PACKETS; i++)
		len[i] = 100 + i * 5; /* more than an mbuf's own room, too */
	size = make_pcap(file, len, PACKETS);
	for (int round = 0; round < 2; round++) {
		p = port_of(file, size, pool);
		CU_ASSERT_EQUAL_FATAL(read_all(p, m, 8, len), PACKETS);
		psi_port_close(p);
		lent = 0;
		for (uint32_t i = 0; i < PACKETS; i++) {
			is_packet(m[i], i, len[i]);
			lent += is_lent(m[i]);
		}
		/* two blocks of 1,024: 7 records of 116 to 146 bytes each, and the half ones; the third was the last */
		CU_ASSERT(lent >= 13 && lent <= 16);
		CU_ASSERT(is_lent(m[0]) && !is_lent(m[PACKETS - 1]));
		CU_ASSERT_EQUAL(m[PACKETS - 1]->nb_segs, 2);
		CU_ASSERT_EQUAL(blocks_free(pool), 1);
		rte_pktmbuf_free_bulk(m, PACKETS);
		CU_ASSERT_EQUAL(blocks_free(pool), 3);
		CU_ASSERT_EQUAL(rte_mempool_avail_count(pool), PACKETS * 4);
	}
	psi_port_pool_close(pool);
	free(file);
}

/* The longest packet there may be, in mbufs that count in 16 bits, across the end of a block of ordinary size; and one
 * that is longer. */
static void
test_longest(void)
{
	static const uint32_t len[] = {200000, CAPTURE_SNAP_MAX, CAPTURE_SNAP_MAX, 65535, 65536, 0};
	uint8_t *file = malloc(FILE_MAX);
	struct rte_mempool *pool = psi_port_pool_open(PACKETS * 4, ROOM);
	struct rte_mbuf *m[PACKETS + BURST_MAX];
	struct psi_err err = {""};
	struct psi_port *p;
	uint64_t ts[2];
	uint32_t wire[2];
	enum psi_link link;
	size_t size;

	for (int ng = 0; ng < 2; ng++) {
		size = ng ? make_pcapng(file, len, PSI_COUNT(len))
			  : make_pcap(file, len, PSI_COUNT(len));
		CU_ASSERT_FATAL(size <= FILE_MAX);
		p = port_of(file, size, pool);
		CU_ASSERT_EQUAL_FATAL(read_all(p, m, 4, len), PSI_COUNT(len));
		CU_ASSERT_EQUAL(m[1]->nb_segs, 5); /* 4 * 65,535 and 4 */
		CU_ASSERT_EQUAL(m[3]->nb_segs, 1);
		CU_ASSERT_EQUAL(m[4]->nb_segs, 2);
		rte_pktmbuf_free_bulk(m, PSI_COUNT(len));
		psi_port_close(p);
	}
	size = make_pcap(file, (uint32_t[]){3, CAPTURE_SNAP_MAX + 1}, 2);
	p = port_of(file, size, pool);
	CU_ASSERT_EQUAL_FATAL(psi_port_rx(p, m, ts, wire, 2, &link), 1);
	rte_pktmbuf_free(m[0]);
	CU_ASSERT(psi_port_status(p, &err) < 0);
	/* libpcap's words */
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text,
		"byte offset 43, behind packet 1: invalid packet capture length 262145, bigger than snaplen of 262144"));
	psi_port_close(p);
	CU_ASSERT_EQUAL(rte_mempool_avail_count(pool), PACKETS * 4);
	psi_port_pool_close(pool);
	free(file);
}

/* ---- the same as libpcap ---- */

static void
same_as_libpcap(const uint8_t *file, size_t size, struct rte_mempool *pool)
{
	struct psi_err err[2] = {{""}, {""}};
	struct capture_packet p[2];
	struct capture_reader *r[2];
	struct feed *f[2];
	int rc[2] = {1, 1};

	for (int i = 0; i < 2; i++) {
		f[i] = feed_open(file_of(file, size), pool);
		CU_ASSERT_PTR_NOT_NULL_FATAL(f[i]);
		r[i] = i ? open_pcap_other(f[i], &err[i]) : open_pcap_file(f[i], &err[i]);
	}
	CU_ASSERT_EQUAL(!r[0], !r[1]);
	while (r[0] && r[1] && rc[0] == 1 && rc[1] == 1) {
		for (int i = 0; i < 2; i++)
			rc[i] = r[i]->next(r[i], &p[i], &err[i]);
		CU_ASSERT_EQUAL(rc[0], rc[1]);
		if (rc[0] != 1 || rc[1] != 1)
			break;
		CU_ASSERT_EQUAL(p[0].ts_ns, p[1].ts_ns);
		CU_ASSERT_EQUAL(p[0].wire_len, p[1].wire_len);
		CU_ASSERT_EQUAL(p[0].link, p[1].link);
		CU_ASSERT_EQUAL_FATAL(p[0].cap_len, p[1].cap_len);
		CU_ASSERT_EQUAL(memcmp(p[0].data, p[1].data, p[0].cap_len), 0);
	}
	CU_ASSERT_STRING_EQUAL(err[0].text, err[1].text);
	for (int i = 0; i < 2; i++) {
		if (r[i])
			r[i]->close(r[i]);
		feed_close(f[i]);
	}
}

/* Into the other byte order, but for the magic number. */
static void
swap_headers(uint8_t *file, const uint32_t *len, uint32_t cnt)
{
	uint8_t *at = file + PCAP_FILE_HDR;
	uint32_t w[4];

	memcpy(file + 4, "\0\2\0\4", 4);
	for (uint32_t i = 0; i <= cnt; i++) {
		uint8_t *words = i ? at : file + 8;

		memcpy(w, words, sizeof(w));
		for (int k = 0; k < 4; k++)
			w[k] = __builtin_bswap32(w[k]);
		memcpy(words, w, sizeof(w));
		if (i)
			at += PCAP_RECORD_HDR + len[i - 1];
	}
}

/* Every kind of header, cut at every length, and with each byte of header and records changed: packets and words of
 * errors are those of libpcap. */
static void
test_as_libpcap(void)
{
	static const uint32_t magic[] = {
		0xa1b2c3d4, 0xa1b23c4d, 0xd4c3b2a1, 0x4d3cb2a1, 0xa1b2cd34};
	static const uint32_t len[] = {0, 20, 1, 40};
	struct rte_mempool *pool = psi_port_pool_open(64, ROOM);
	uint8_t file[512], copy[512];
	size_t size;

	for (size_t k = 0; k < PSI_COUNT(magic); k++) {
		for (uint32_t snap = 0; snap <= 30; snap += 15) { /* 0: none */
			size = make_pcap(file, len, PSI_COUNT(len));
			memcpy(file, &magic[k], 4);
			memcpy(file + 16, &snap, 4);
			if (k == 2 || k == 3)
				swap_headers(file, len, PSI_COUNT(len));
			for (size_t cut = 1; cut <= size; cut++)
				same_as_libpcap(file, cut, pool);
			for (size_t at = 0; at < size; at++) {
				static const uint8_t to[] = {0, 1, 3, 0x7f, 0xff};

				for (size_t j = 0; j < PSI_COUNT(to); j++) {
					memcpy(copy, file, size);
					copy[at] = to[j];
					same_as_libpcap(copy, size, pool);
				}
			}
		}
	}
	psi_port_pool_close(pool);
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
	{"units of time stamps", test_resolution},
	{"records across the ends of blocks", test_borders},
	{"packets that are held", test_held},
	{"the longest packets", test_longest},
	{"pcap as libpcap reads it", test_as_libpcap},
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo psi_unit_suites[] = {
	{.pName = "port", .pTests = tests},
	CU_SUITE_INFO_NULL,
};
