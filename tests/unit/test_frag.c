/* SPDX-License-Identifier: BSD-3-Clause */
/* Datagrams are written by hand, cut by the test itself, and must come back byte for byte. What becomes of each piece
 * of a sequence is written by hand from psi_frag.h. Every test ends with all mbufs back and a balanced ledger. */
#include "psi_unit.h"

#include "psi_frag.h"
#include "unit_eal.h"

#include <stdio.h>

#define MBUFS	   1023
#define TIMEOUT_NS 1000u
#define ID	   0x0badcafe

static struct rte_mempool *pool;
static struct psi_stats stats;
static struct psi_frag *frag;
static uint32_t mbuf_max; /* of what begin opens */

static int
suite_init(void)
{
	pool = unit_pool(MBUFS);
	return !pool;
}

static int
suite_fini(void)
{
	return rte_eal_cleanup();
}

static void
begin(uint32_t max)
{
	struct psi_frag_config cfg = {.max = max,
		.mbuf_max = mbuf_max,
		.timeout_ns = TIMEOUT_NS,
		.hash_seed = 1,
		.socket = SOCKET_ID_ANY};

	memset(&stats, 0, sizeof(stats));
	frag = psi_frag_open(&cfg, &stats);
	CU_ASSERT_PTR_NOT_NULL_FATAL(frag);
}

static void
end(void)
{
	uint64_t sum[PSI_STAT_CNT] = {0};

	psi_frag_close(frag);
	psi_stats_sum(&stats, sum);
	CU_ASSERT_EQUAL(psi_stats_balance(sum, PSI_STAT_PKT_IN, 0), 0);
	CU_ASSERT_EQUAL(rte_mempool_avail_count(pool), MBUFS);
}

/* ---- frames, by hand ---- */

struct cut {
	bool v6;
	uint16_t vlan;	  /* 0: no tag */
	uint32_t vni;	  /* 0: no VXLAN around */
	uint32_t dstopts; /* bytes of destination options in front of the IPv6 fragment header */
	uint32_t pad;	  /* bytes behind the packet */
	uint32_t id;
};

static void
put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t
ether(uint8_t *p, uint16_t vlan, uint16_t type)
{
	memset(p, 2, 12);
	if (vlan) {
		put16(p + 12, 0x8100);
		put16(p + 14, vlan);
		p += 4;
	}
	put16(p + 12, type);
	return vlan ? 18 : 14;
}

/* IPv4 of 20 bytes in front of len bytes. frag: the flags and offset field. */
static uint32_t
ipv4(uint8_t *p, uint32_t len, uint32_t id, uint32_t frag_field, uint8_t proto, uint8_t host)
{
	static const uint8_t h[20] = {0x45, [8] = 64, [12] = 192, 0, 2, 0, 198, 51, 100, 7};

	memcpy(p, h, 20);
	put16(p + 2, 20 + len);
	put16(p + 4, id);
	put16(p + 6, frag_field);
	p[9] = proto;
	p[15] = host;
	return 20;
}

static uint32_t
ipv6(uint8_t *p, const struct cut *c, uint32_t off, bool more, uint32_t len)
{
	uint32_t n = 40;

	memset(p, 0, 40);
	p[0] = 0x60;
	put16(p + 4, c->dstopts + 8 + len);
	p[6] = c->dstopts ? 60 : 44;
	p[7] = 64;
	p[8] = p[24] = 0x20;
	p[23] = 1;
	p[39] = 2;
	if (c->dstopts) {
		memset(p + n, 0, c->dstopts); /* Pad1 all over */
		p[n] = 44;
		p[n + 1] = (uint8_t)(c->dstopts / 8 - 1);
		n += c->dstopts;
	}
	p[n] = 6;
	p[n + 1] = 0;
	put16(p + n + 2, off | more);
	put16(p + n + 4, c->id >> 16);
	put16(p + n + 6, c->id & 0xffff);
	return n + 8;
}

/* The frame of the piece [off, off+len) of payload. Returns its length. */
static uint32_t
frame(uint8_t *p, const struct cut *c, const uint8_t *payload, uint32_t off, uint32_t len,
	bool more)
{
	uint32_t ip_len = (c->v6 ? 48 + c->dstopts : 20) + len, n = 0;

	if (c->vni) {
		n += ether(p, 0, 0x0800);
		n += ipv4(p + n, 8 + 8 + (c->vlan ? 18 : 14) + ip_len, 1, 0, 17, 200);
		put16(p + n, 50000);
		put16(p + n + 2, 4789);
		put16(p + n + 4, 8 + 8 + (c->vlan ? 18 : 14) + ip_len);
		put16(p + n + 6, 0);
		n += 8;
		memset(p + n, 0, 8);
		p[n] = 8;
		put16(p + n + 5, c->vni);
		n += 8;
	}
	n += ether(p + n, c->vlan, c->v6 ? 0x86dd : 0x0800);
	if (c->v6)
		n += ipv6(p + n, c, off, more, len);
	else
		n += ipv4(p + n, len, c->id & 0xffff, off / 8 | (more ? 0x2000 : 0), 6, 1);
	memcpy(p + n, payload + off, len);
	memset(p + n + len, 0xee, c->pad);
	return n + len + c->pad;
}

/* A TCP segment of n bytes, header included: port 1000 to 443, sequence 0x01020304, ACK, every byte told by its place. */
static void
segment(uint8_t *p, uint32_t n)
{
	static const uint8_t h[20] = {
		1000 >> 8, 1000 & 255, 443 >> 8, 443 & 255, 1, 2, 3, 4, [12] = 0x50, 0x10};

	for (uint32_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i * 7 + i / 256);
	memcpy(p, h, 20);
}

/* ---- feeding ---- */

static struct psi_pkt pkt; /* of the last frame fed */

static bool
	lent; /* frames are in memory of their own, without room before or behind them, as a capture's are */

static void
free_lent(void *addr, void *opaque)
{
	(void)addr;
	free(opaque);
}

static void
lend(struct rte_mbuf *m, const uint8_t *p, uint16_t n)
{
	uint16_t len = (uint16_t)(n + sizeof(struct rte_mbuf_ext_shared_info) + 8);
	uint8_t *own = malloc(len);
	struct rte_mbuf_ext_shared_info *info =
		rte_pktmbuf_ext_shinfo_init_helper(own, &len, free_lent, own);

	rte_pktmbuf_attach_extbuf(m, memcpy(own, p, n), (uintptr_t)own, n, info);
	rte_pktmbuf_append(m, n);
}

/* split: bytes of the first segment, 0 for one segment. */
static struct rte_mbuf *
feed_split(const uint8_t *p, uint32_t n, uint32_t split, uint64_t now_ns)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool), *tail;
	uint32_t first = split ? split : n;

	if (lent)
		lend(m, p, (uint16_t)first);
	else
		memcpy(rte_pktmbuf_append(m, (uint16_t)first), p, first);
	if (first < n) {
		tail = rte_pktmbuf_alloc(pool);
		memcpy(rte_pktmbuf_append(tail, (uint16_t)(n - first)), p + first, n - first);
		rte_pktmbuf_chain(m, tail);
	}
	psi_stat_inc(&stats, PSI_STAT_pkt_rx);
	CU_ASSERT_EQUAL(psi_net_decode(PSI_LINK_ETHERNET, rte_pktmbuf_mtod(m, uint8_t *),
				m->data_len, m->pkt_len, PSI_NET_ID_DEFAULT, &pkt),
		PSI_NET_FRAGMENT);
	m = psi_frag_put(frag, m, &pkt, now_ns);
	if (m)
		psi_stat_inc(&stats, PSI_STAT_pkt_tcp);
	return m;
}

static struct rte_mbuf *
feed(const struct cut *c, const uint8_t *payload, uint32_t off, uint32_t len, bool more,
	uint64_t now_ns)
{
	uint8_t buf[2048];
	uint32_t n = frame(buf, c, payload, off, len, more);

	return feed_split(buf, n, 0, now_ns);
}

/* The datagram is what was cut: a whole packet, its payload byte for byte, and a TCP segment for the decoder. */
static void
check_datagram(struct rte_mbuf *m, const struct cut *c, const uint8_t *payload, uint32_t n)
{
	uint32_t hdr = c->v6 ? 40 : 20;
	uint8_t buf[16384];
	const uint8_t *p;

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL(m->pkt_len, hdr + n);
	p = rte_pktmbuf_read(m, 0, m->pkt_len, buf);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL(memcmp(p + hdr, payload, n), 0);
	rte_mbuf_sanity_check(m, 1);
	CU_ASSERT_EQUAL(psi_net_decode_joined(rte_pktmbuf_mtod(m, uint8_t *), m->data_len,
				m->pkt_len, PSI_NET_ID_DEFAULT, &pkt),
		PSI_NET_TCP);
	CU_ASSERT_EQUAL(pkt.tcp_seq, 0x01020304);
	CU_ASSERT_EQUAL(pkt.payload_len, n - 20);
	CU_ASSERT_EQUAL(pkt.payload_cap, n - 20);
	CU_ASSERT_EQUAL(pkt.payload_off, hdr + 20);
	CU_ASSERT_EQUAL(pkt.note, c->v6 ? 0 : PSI_PKT_IPV4);
	CU_ASSERT_EQUAL(pkt.tuple.vlan, c->vlan);
	CU_ASSERT_EQUAL(pkt.tuple.tunnel, c->vni ? PSI_TUNNEL_VXLAN : PSI_TUNNEL_NONE);
	CU_ASSERT_EQUAL(pkt.tuple.tunnel_id, c->vni);
	rte_pktmbuf_free(m);
}

/* ---- tests ---- */

/* Cuts n bytes into pieces that end at the given places and feeds them in every order. */
static void
every_order(const struct cut *c, uint32_t n, const uint32_t *ends, uint32_t cnt)
{
	uint8_t payload[4096], order[PSI_FRAG_PIECE_MAX];
	uint32_t orders = 1;

	segment(payload, n);
	for (uint32_t i = 2; i <= cnt; i++)
		orders *= i;
	for (uint32_t o = 0; o < orders; o++) {
		struct rte_mbuf *m = NULL;
		uint32_t code = o;

		for (uint32_t i = 0; i < cnt; i++)
			order[i] = (uint8_t)i;
		for (uint32_t i = cnt; i > 1;
			i--) { /* the o-th permutation, in the factorial number system */
			uint32_t k = code % i;
			uint8_t t = order[k];

			code /= i;
			order[k] = order[i - 1];
			order[i - 1] = t;
		}
		for (uint32_t i = 0; i < cnt; i++) {
			uint32_t k = order[i], off = k ? ends[k - 1] : 0;

			CU_ASSERT_PTR_NULL(m);
			m = feed(c, payload, off, ends[k] - off, k + 1 < cnt, 1);
		}
		check_datagram(m, c, payload, n);
	}
	CU_ASSERT_EQUAL(psi_stat_get(&stats, PSI_STAT_frag_joined), orders);
	CU_ASSERT_EQUAL(psi_stat_get(&stats, PSI_STAT_pkt_fragment), orders * (cnt - 1));
}

static void
test_every_order(void)
{
	static const uint32_t ends[] = {24, 64, 72, 99}, tiny[] = {8, 16, 24, 32, 33},
			      two[] = {1480, 1500};
	/* the eight of rte_ip_frag, and a first piece that leaves the TCP header to the second */
	static const uint32_t eight[] = {16, 24, 32, 40, 48, 56, 64, 65};

	for (int i = 0; i < 4; i++) {
		struct cut c = {.v6 = i & 1, .id = ID};

		lent = i & 2;
		begin(4), every_order(&c, 99, ends, 4), end();
		begin(4), every_order(&c, 33, tiny, 5), end();
		begin(4), every_order(&c, 1500, two, 2), end();
		c.pad = 6;
		begin(4), every_order(&c, 99, ends, 4), end();
		begin(4), every_order(&c, 33, tiny, 5),
			end(); /* room of 6 bytes where the trailer was */
		c.vlan = 5;
		c.vni = 77;
		begin(4), every_order(&c, 99, ends, 4), end();
	}
	lent = false;
	begin(4), every_order(&(struct cut){.id = ID}, 65, eight, 8), end();
	begin(4), every_order(&(struct cut){.v6 = true, .dstopts = 16, .id = ID}, 99, ends, 4),
		end();
}

/* What becomes of a sequence of pieces. result: h held, J joined, r repeat, o overlap, g given up before, l limit,
 * m malformed. */
struct step {
	uint32_t off, len;
	bool more;
	char result;
};

static char
result_of(const struct rte_mbuf *m, const uint64_t *before)
{
	static const struct {
		enum psi_stat stat;
		char letter;
	} by[] = {{PSI_STAT_pkt_fragment, 'h'}, {PSI_STAT_pkt_drop_frag_repeat, 'r'},
		{PSI_STAT_pkt_drop_frag_overlap, 'o'}, {PSI_STAT_pkt_drop_frag_given_up, 'g'},
		{PSI_STAT_pkt_drop_frag_limit, 'l'}, {PSI_STAT_pkt_drop_frag_malformed, 'm'},
		{PSI_STAT_pkt_drop_frag_full, 'f'}};

	if (m)
		return 'J';
	for (size_t i = 0; i < PSI_COUNT(by); i++)
		if (psi_stat_get(&stats, by[i].stat) != before[by[i].stat])
			return by[i].letter;
	return '?';
}

static void
play(const char *name, const struct cut *c, const struct step *s, uint32_t cnt)
{
	static uint8_t payload[65536 + 64]; /* some pieces reach beyond what IP can say */

	segment(payload, sizeof(payload));
	begin(4);
	for (uint32_t i = 0; i < cnt; i++) {
		uint64_t before[PSI_STAT_CNT] = {0};
		struct rte_mbuf *m;
		char got;

		psi_stats_sum(&stats, before);
		m = feed(c, payload, s[i].off, s[i].len, s[i].more, 1);
		got = result_of(m, before);
		if (got != s[i].result)
			fprintf(stderr, "%s, v6 %d, step %u: %c\n", name, c->v6, i, got);
		CU_ASSERT_EQUAL(got, s[i].result);
		rte_pktmbuf_free(m);
	}
	end();
}

static void
test_overlaps(void)
{
	static const struct {
		const char *name;
		struct step s[12];
	} seq[] = {
		{"plain", {{0, 24, 1, 'h'}, {24, 16, 0, 'J'}}},
		{"exact repeats are no overlap", {{0, 24, 1, 'h'}, {0, 24, 1, 'r'}, {48, 8, 0, 'h'},
							 {48, 8, 0, 'r'}, {24, 24, 1, 'J'}}},
		{"second ends inside the first",
			{{0, 24, 1, 'h'}, {8, 8, 1, 'o'}, {24, 8, 0, 'g'}}},
		{"second begins inside the first",
			{{0, 24, 1, 'h'}, {16, 24, 1, 'o'}, {40, 8, 0, 'g'}, {0, 24, 1, 'g'}}},
		{"second covers the first", {{8, 8, 1, 'h'}, {0, 24, 1, 'o'}, {24, 8, 0, 'g'}}},
		{"same start, longer", {{8, 8, 1, 'h'}, {8, 16, 1, 'o'}}},
		{"same end, earlier start", {{16, 8, 1, 'h'}, {8, 16, 1, 'o'}}},
		{"overlap that would fill a hole: the sum is right, the pieces are not",
			{{0, 8, 1, 'h'}, {8, 16, 1, 'h'}, {16, 8, 1, 'o'}, {32, 8, 0, 'g'}}},
		{"two ends", {{24, 8, 0, 'h'}, {48, 8, 0, 'o'}, {0, 24, 1, 'g'}}},
		{"an end before a piece that is known", {{24, 8, 1, 'h'}, {8, 8, 0, 'o'}}},
		{"a piece behind the end", {{24, 8, 0, 'h'}, {32, 8, 1, 'o'}}},
		{"the end again, as if more followed", {{24, 8, 0, 'h'}, {24, 8, 1, 'o'}}},
		{"a piece again, as if it were the end", {{24, 8, 1, 'h'}, {24, 8, 0, 'o'}}},
		{"first again with other length", {{0, 8, 1, 'h'}, {0, 16, 1, 'o'}}},
		{"seven pieces between first and last are one too many",
			{{8, 8, 1, 'h'}, {16, 8, 1, 'h'}, {24, 8, 1, 'h'}, {32, 8, 1, 'h'},
				{40, 8, 1, 'h'}, {48, 8, 1, 'h'}, {0, 8, 1, 'h'}, {56, 8, 1, 'l'},
				{64, 8, 0, 'g'}}},
		{"not a multiple of eight, and not the last", {{0, 20, 1, 'm'}, {0, 24, 1, 'h'}}},
		{"empty", {{8, 0, 1, 'm'}, {8, 0, 0, 'm'}}},
		{"beyond 65535 bytes",
			{{65528, 8, 0, 'm'}, {65520, 24, 0, 'm'}, {65528, 8, 1, 'm'}}},
	};

	for (size_t i = 0; i < PSI_COUNT(seq); i++) {
		uint32_t cnt = 0;

		while (seq[i].s[cnt].result)
			cnt++;
		for (int v6 = 0; v6 < 2; v6++)
			play(seq[i].name, &(struct cut){.v6 = v6, .id = ID}, seq[i].s, cnt);
	}
}

/* 65520 is the last offset of an IPv4 datagram that fits its length field with a header of 20: 65535 - 20 - 65512. */
static void
test_longest(void)
{
	static const struct step fits[] = {{65512, 3, 0, 'h'}},
				 beyond[] = {{65512, 8, 1, 'h'}, {65520, 16, 0, 'm'}};

	play("fits", &(struct cut){.id = ID}, fits, 1);
	play("beyond", &(struct cut){.id = ID}, beyond, 2);
}

/* Pieces of up to 1400 bytes, in two segments that part in the header's neighbourhood and in the payload. */
static void
test_segments(void)
{
	struct cut c = {.v6 = true, .dstopts = 8, .pad = 30, .id = ID};
	uint8_t payload[4200], buf[2048];

	segment(payload, sizeof(payload));
	/* Ethernet 14, IPv6 40, options 8, fragment header 8: the headers end at 70 */
	for (uint32_t split = 70; split < 1500; split += 17) {
		struct rte_mbuf *m = NULL;

		begin(4);
		for (uint32_t off = 0; off < 4200; off += 1400) {
			uint32_t n = frame(buf, &c, payload, off, 1400, off < 2800);

			CU_ASSERT_PTR_NULL(m);
			m = feed_split(buf, n, PSI_MIN(split, n - 1), 1);
		}
		check_datagram(m, &c, payload, 4200);
		end();
	}
}

static void
test_cut_short(void)
{
	uint8_t payload[64], buf[2048];
	struct cut c = {.id = ID};

	segment(payload, 64);
	begin(4);
	CU_ASSERT_PTR_NULL(feed_split(buf, frame(buf, &c, payload, 0, 32, true) - 1, 0, 1));
	CU_ASSERT_EQUAL(psi_stat_get(&stats, PSI_STAT_pkt_drop_frag_malformed), 1);
	end();
}

/* The same addresses and identification in another VLAN, another tunnel, another protocol version or with another
 * identification is another datagram. */
static void
test_told_apart(void)
{
	static const struct cut who[] = {{.id = ID}, {.id = ID + 1}, {.id = ID, .vlan = 1},
		{.id = ID, .vlan = 2}, {.id = ID, .vni = 1}, {.id = ID, .vni = 2},
		{.id = ID, .v6 = true}, {.id = ID, .v6 = true, .vlan = 1},
		{.id = ID, .v6 = true, .vni = 9}, {.id = ID + 0x10000, .v6 = true}};
	uint8_t payload[PSI_COUNT(who)][80];

	begin(PSI_COUNT(who));
	for (size_t i = 0; i < PSI_COUNT(who); i++) {
		segment(payload[i], 80);
		payload[i][20] = payload[i][79] = (uint8_t)i;
		CU_ASSERT_PTR_NULL(feed(&who[i], payload[i], 0, 40, true, 1));
	}
	for (size_t i = 0; i < PSI_COUNT(who); i++)
		CU_ASSERT_PTR_NULL(feed(&who[i], payload[i], 40, 8, true, 2));
	for (size_t i = 0; i < PSI_COUNT(who); i++)
		check_datagram(
			feed(&who[i], payload[i], 48, 32, false, 3), &who[i], payload[i], 80);
	end();
}

/* The outer packet is in pieces, and the TCP segment in a VXLAN tunnel inside it. */
static void
test_outer_fragments(void)
{
	uint8_t outer[512], inner[100], buf[2048];
	struct rte_mbuf *m = NULL;
	uint32_t n, cut;

	segment(inner, sizeof(inner));
	n = frame(outer, &(struct cut){.vni = 77}, inner, 0, sizeof(inner), false);
	/* Ethernet 14, IPv4 20: what is behind them is the payload to be cut; the first piece holds UDP only */
	for (uint32_t off = 0; off < n - 34; off += cut) {
		cut = off ? PSI_MIN(56u, n - 34 - off) : 8;
		memcpy(buf, outer, 34);
		put16(buf + 16, 20 + cut);
		put16(buf + 18, 4711);
		put16(buf + 20, off / 8 | (off + cut < n - 34 ? 0x2000u : 0));
		memcpy(buf + 34, outer + 34 + off, cut);
		CU_ASSERT_PTR_NULL(m);
		if (!off)
			begin(4);
		m = feed_split(buf, 34 + cut, 0, 1);
	}
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL(psi_net_decode_joined(rte_pktmbuf_mtod(m, uint8_t *), m->data_len,
				m->pkt_len, PSI_NET_ID_DEFAULT, &pkt),
		PSI_NET_TCP);
	CU_ASSERT_EQUAL(pkt.payload_len, sizeof(inner) - 20);
	CU_ASSERT_EQUAL(pkt.tuple.tunnel_id, 77);
	CU_ASSERT_EQUAL(pkt.tunnel_cnt, 1);
	rte_pktmbuf_free(m);
	end();
}

static void
test_timeout(void)
{
	struct cut c = {.id = ID};
	uint8_t payload[64];

	segment(payload, 64);
	begin(4);
	/* in time: the timeout itself is still in time */
	CU_ASSERT_PTR_NULL(feed(&c, payload, 0, 32, true, 100));
	check_datagram(feed(&c, payload, 32, 32, false, 100 + TIMEOUT_NS), &c, payload, 64);
	/* too late: the second piece begins a datagram of its own, which the first then completes */
	CU_ASSERT_PTR_NULL(feed(&c, payload, 0, 32, true, 5000));
	CU_ASSERT_PTR_NULL(feed(&c, payload, 32, 32, false, 5000 + TIMEOUT_NS + 1));
	CU_ASSERT_EQUAL(psi_stat_get(&stats, PSI_STAT_frag_timeout), 1);
	check_datagram(feed(&c, payload, 0, 32, true, 5000 + TIMEOUT_NS + 2), &c, payload, 64);
	/* no fragments come any more: expire gives the mbufs back */
	CU_ASSERT_PTR_NULL(feed(&c, payload, 0, 32, true, 20000));
	CU_ASSERT_EQUAL(rte_mempool_avail_count(pool), MBUFS - 1);
	CU_ASSERT_EQUAL(psi_frag_expire(frag, 20000 + TIMEOUT_NS), 1);
	CU_ASSERT_EQUAL(psi_frag_expire(frag, 20000 + TIMEOUT_NS + 1), 0);
	CU_ASSERT_EQUAL(rte_mempool_avail_count(pool), MBUFS);
	CU_ASSERT_EQUAL(psi_stat_get(&stats, PSI_STAT_frag_timeout), 2);
	end();
}

/* Given up for an overlap: remembered until the timeout, not longer, and counted once. */
static void
test_given_up_ends(void)
{
	struct cut c = {.v6 = true, .id = ID};
	uint8_t payload[64];

	segment(payload, 64);
	begin(4);
	CU_ASSERT_PTR_NULL(feed(&c, payload, 0, 32, true, 1));
	CU_ASSERT_PTR_NULL(feed(&c, payload, 24, 16, true, 2));
	CU_ASSERT_PTR_NULL(feed(&c, payload, 32, 32, false, 1 + TIMEOUT_NS));
	CU_ASSERT_EQUAL(psi_stat_get(&stats, PSI_STAT_pkt_drop_frag_given_up), 1);
	CU_ASSERT_PTR_NULL(feed(&c, payload, 0, 32, true, 2 + TIMEOUT_NS));
	check_datagram(feed(&c, payload, 32, 32, false, 3 + TIMEOUT_NS), &c, payload, 64);
	CU_ASSERT_EQUAL(psi_stat_get(&stats, PSI_STAT_frag_given_up), 1);
	CU_ASSERT_EQUAL(psi_stat_get(&stats, PSI_STAT_frag_timeout), 0);
	end();
}

/* A flood of first pieces holds max mbufs, no more; those in work are not disturbed; room comes with the timeout. */
static void
test_full(void)
{
	struct cut c = {.v6 = true, .id = 0};
	uint8_t payload[64];

	segment(payload, 64);
	begin(100);
	for (; c.id < 300; c.id++)
		CU_ASSERT_PTR_NULL(feed(&c, payload, 0, 32, true, 1));
	CU_ASSERT_EQUAL(rte_mempool_avail_count(pool), MBUFS - 100);
	CU_ASSERT_EQUAL(psi_stat_get(&stats, PSI_STAT_pkt_fragment), 100);
	CU_ASSERT_EQUAL(psi_stat_get(&stats, PSI_STAT_pkt_drop_frag_full), 200);
	c.id = 7;
	check_datagram(feed(&c, payload, 32, 32, false, 2), &c, payload, 64);
	c.id = 500;
	CU_ASSERT_PTR_NULL(feed(&c, payload, 0, 32, true, 3));
	CU_ASSERT_EQUAL(psi_stat_get(&stats, PSI_STAT_pkt_drop_frag_full), 200);
	c.id = 1000;
	CU_ASSERT_PTR_NULL(feed(&c, payload, 0, 32, true, 3000));
	CU_ASSERT_EQUAL(psi_frag_expire(frag, 3000), 1);
	CU_ASSERT_EQUAL(psi_stat_get(&stats, PSI_STAT_frag_timeout), 100);
	end();
}

/* Time may go back after a stop, and all mbufs are there again, more of them than fit one row of rte_ip_frag's dead. */
static void
test_stop(void)
{
	struct cut c = {.id = 0};
	uint8_t payload[64];

	segment(payload, 64);
	begin(300);
	for (; c.id < 300; c.id++) {
		CU_ASSERT_PTR_NULL(feed(&c, payload, 0, 8, true, 1u << 30));
		CU_ASSERT_PTR_NULL(feed(&c, payload, 16, 8, true, 1u << 30));
	}
	psi_frag_stop(frag);
	CU_ASSERT_EQUAL(rte_mempool_avail_count(pool), MBUFS);
	CU_ASSERT_EQUAL(psi_stat_get(&stats, PSI_STAT_frag_timeout), 300);
	c.id = 7;
	CU_ASSERT_PTR_NULL(feed(&c, payload, 0, 32, true, 1));
	check_datagram(feed(&c, payload, 32, 32, false, 2), &c, payload, 64);
	end();
}

static void
test_refuses_config(void)
{
	struct psi_frag_config cfg = {.max = 0, .timeout_ns = 1, .socket = SOCKET_ID_ANY};

	CU_ASSERT_PTR_NULL(psi_frag_open(&cfg, &stats));
	cfg.max = 1;
	cfg.timeout_ns = 0;
	CU_ASSERT_PTR_NULL(psi_frag_open(&cfg, &stats));
	psi_frag_close(NULL);
}

/* Two mbufs at most: the third datagram finds no room until one of the others is whole. */
static void
test_mbuf_max(void)
{
	uint8_t payload[64];
	struct cut c[4] = {{.id = 1}, {.id = 2}, {.id = 3}, {.id = 4}};

	segment(payload, 64);
	mbuf_max = 2;
	begin(8);
	mbuf_max = 0;
	CU_ASSERT_PTR_NULL(feed(&c[0], payload, 0, 32, true, 1));
	CU_ASSERT_PTR_NULL(feed(&c[1], payload, 0, 32, true, 1));
	CU_ASSERT_PTR_NULL(feed(&c[2], payload, 0, 32, true, 1));
	CU_ASSERT_EQUAL(psi_stat_get(&stats, PSI_STAT_pkt_drop_frag_full), 1);
	CU_ASSERT_PTR_NULL(feed(&c[2], payload, 32, 32, false, 1));
	CU_ASSERT_EQUAL(psi_stat_get(&stats, PSI_STAT_pkt_drop_frag_given_up), 1);
	CU_ASSERT_PTR_NULL(feed(&c[0], payload, 32, 32, false, 1));
	CU_ASSERT_EQUAL(psi_stat_get(&stats, PSI_STAT_pkt_drop_frag_full), 2);
	CU_ASSERT_EQUAL(rte_mempool_avail_count(pool), MBUFS - 2);
	psi_frag_expire(frag, TIMEOUT_NS + 2);
	CU_ASSERT_PTR_NULL(feed(&c[3], payload, 0, 32, true, TIMEOUT_NS + 2));
	check_datagram(feed(&c[3], payload, 32, 32, false, TIMEOUT_NS + 2), &c[3], payload, 64);
	end();
}

static int prepared;
static bool may_start;

static bool
prepare(void)
{
	prepared++;
	return may_start;
}

/* Nothing is asked before the first fragment; then once, whatever the answer. */
static void
test_late(void)
{
	struct psi_frag_config cfg = {
		.max = 8, .timeout_ns = TIMEOUT_NS, .socket = SOCKET_ID_ANY, .prepare = prepare};
	struct cut c = {.id = 1};
	uint8_t payload[64];

	segment(payload, 64);
	for (int i = 0; i < 2; i++) {
		may_start = i == 1;
		prepared = 0;
		memset(&stats, 0, sizeof(stats));
		frag = psi_frag_open(&cfg, &stats);
		CU_ASSERT_PTR_NOT_NULL_FATAL(frag);
		CU_ASSERT_EQUAL(psi_frag_expire(frag, 1), 0);
		psi_frag_stop(frag);
		CU_ASSERT_EQUAL(prepared, 0);
		CU_ASSERT_PTR_NULL(feed(&c, payload, 0, 32, true, 1));
		if (may_start) {
			check_datagram(feed(&c, payload, 32, 32, false, 2), &c, payload, 64);
		} else {
			CU_ASSERT_PTR_NULL(feed(&c, payload, 32, 32, false, 2));
			CU_ASSERT_EQUAL(psi_stat_get(&stats, PSI_STAT_pkt_drop_frag_full), 2);
		}
		CU_ASSERT_EQUAL(prepared, 1);
		psi_frag_stop(frag);
		end();
	}
}

static CU_TestInfo frag_tests[] = {
	{"memory only when the first one comes", test_late},
	{"mbufs held are bounded", test_mbuf_max},
	{"pieces in every order, IPv4 and IPv6", test_every_order},
	{"overlaps, repeats, impossible pieces", test_overlaps},
	{"the longest datagram", test_longest},
	{"fragments in two segments", test_segments},
	{"captured short", test_cut_short},
	{"datagrams told apart by tag and tunnel", test_told_apart},
	{"a tunnel in pieces", test_outer_fragments},
	{"timeout by packet time", test_timeout},
	{"a datagram given up is remembered, and forgotten", test_given_up_ends},
	{"full", test_full},
	{"stop, and time begins anew", test_stop},
	{"set-up refuses nonsense", test_refuses_config},
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo psi_unit_suites[] = {
	{.pName = "frag",
		.pInitFunc = suite_init,
		.pCleanupFunc = suite_fini,
		.pTests = frag_tests},
	CU_SUITE_INFO_NULL,
};
