/* SPDX-License-Identifier: BSD-3-Clause */
/* Expected values of the golden frames: what scapy built and tshark read alike (tests/ref/make_frames.py). Expected
 * identities and notes: by hand from psi_net.h and tunnels.def. */
#include "psi_unit.h"

#include "net_pvt.h"

#include <arpa/inet.h>
#include <stdio.h>

struct frame {
	const char *name;
	enum psi_link link;
	enum psi_net_rc rc;
	const char *src;
	uint16_t sport;
	const char *dst;
	uint16_t dport;
	uint32_t seq;
	uint8_t flags;
	uint32_t plen;
	const char *vlan, *tunnel;
	uint8_t note;
	const char *hex;
};

static const struct frame frames[] = {
#define FRAME(name, link, rc, src, sport, dst, dport, seq, flags, plen, vlan, tunnel, note, hex) \
	{#name, PSI_LINK_##link, PSI_NET_##rc, src, sport, dst, dport, seq, flags, plen, vlan,   \
		tunnel, note, hex},
#include "net_frames.def"
#undef FRAME
};

/* The payload of every golden TCP frame that has one (make_frames.py, DATA). */
static const uint8_t data[] = {0x16, 3, 1, 0, 7, 'p', 'i', 'n', 's', 'i', 'g', 'h'};

#define BUF_MAX 16384

static uint32_t
unhex(const struct frame *f, uint8_t *buf)
{
	uint32_t n = (uint32_t)strlen(f->hex) / 2;

	for (uint32_t i = 0; i < n; i++) {
		unsigned int v = 0;

		sscanf(f->hex + 2 * i, "%2x", &v);
		buf[i] = (uint8_t)v;
	}
	return n;
}

static const struct frame *
frame_named(const char *name)
{
	for (size_t i = 0; i < PSI_COUNT(frames); i++)
		if (!strcmp(frames[i].name, name))
			return &frames[i];
	fprintf(stderr, "no frame %s\n", name);
	abort();
}

/* Decodes an exact-size heap copy of the first len bytes; o is filled with a pattern first, so that a byte of the
 * tuple that nobody sets shows. */
static enum psi_net_rc
decode(enum psi_link link, const uint8_t *p, uint32_t len, uint32_t frame_len,
	unsigned int identity, uint8_t fill, struct psi_pkt *o)
{
	uint8_t *c = exact(p, len);
	enum psi_net_rc rc;

	memset(o, fill, sizeof(*o));
	rc = psi_net_decode(link, c, len, frame_len, identity, o);
	free(c);
	return rc;
}

static void
mapped(const char *text, uint8_t *addr)
{
	memset(addr, 0, 16);
	if (strchr(text, ':')) {
		CU_ASSERT_EQUAL(inet_pton(AF_INET6, text, addr), 1);
		return;
	}
	addr[10] = addr[11] = 0xff;
	CU_ASSERT_EQUAL(inet_pton(AF_INET, text, addr + 12), 1);
}

/* A failed check names its frame: CUnit shows only the line. */
#define CHECK(f, cond)                                                       \
	do {                                                                 \
		if (!(cond))                                                 \
			fprintf(stderr, "frame %s: %s\n", (f)->name, #cond); \
		CU_ASSERT(cond);                                             \
	} while (0)

static void
check_ends(const struct frame *f, const struct psi_pkt *o)
{
	uint8_t src[16], dst[16];

	mapped(f->src, src);
	mapped(f->dst, dst);
	CHECK(f, o->sender <= 1);
	CHECK(f, !memcmp(o->tuple.addr[o->sender & 1], src, 16));
	CHECK(f, !memcmp(o->tuple.addr[!o->sender], dst, 16));
	CHECK(f, o->tuple.port[o->sender & 1] == f->sport);
	CHECK(f, o->tuple.port[!o->sender] == f->dport);
	CHECK(f, memcmp(o->tuple.addr[0], o->tuple.addr[1], 16) < 0 ||
			 (!memcmp(o->tuple.addr[0], o->tuple.addr[1], 16) &&
				 o->tuple.port[0] <= o->tuple.port[1]));
	CHECK(f, o->tuple.proto == (f->rc == PSI_NET_TCP ? 6 : 17));
}

/* The list as text, as in the table. */
static void
check_lists(const struct frame *f, const struct psi_pkt *o)
{
	static const char *const kinds[] = {
#define TUNNEL(sym, value, name, id_name, identity) [value] = #sym,
#include "tunnels.def"
#undef TUNNEL
	};
	char text[256] = "";
	size_t n = 0;

	for (int i = 0; i < o->vlan_cnt; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%u", i ? " " : "", o->vlan[i]);
	/* the table may list more than are kept */
	CHECK(f, !strncmp(f->vlan, text, n) && (!f->vlan[n] || o->vlan_cnt == PSI_NET_VLAN_MAX));
	n = 0;
	text[0] = 0;
	for (int i = 0; i < o->tunnel_cnt; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s:%u", i ? " " : "",
			kinds[o->tunnel[i].type], o->tunnel[i].id);
	CHECK(f, !strncmp(f->tunnel, text, n) &&
			 (!f->tunnel[n] || o->tunnel_cnt == PSI_NET_TUNNEL_MAX));
}

static void
test_golden(void)
{
	uint8_t buf[BUF_MAX];
	struct psi_pkt o;

	for (size_t i = 0; i < PSI_COUNT(frames); i++) {
		const struct frame *f = &frames[i];
		uint32_t n = unhex(f, buf);

		CHECK(f, decode(f->link, buf, n, n, PSI_NET_ID_DEFAULT, 0xa5, &o) == f->rc);
		if (f->rc == PSI_NET_TCP || f->rc == PSI_NET_UDP || f->rc == PSI_NET_FRAGMENT) {
			CHECK(f, o.payload_len == f->plen && o.payload_cap == f->plen);
			CHECK(f, o.note == f->note);
		}
		if (f->rc == PSI_NET_TCP || f->rc == PSI_NET_UDP)
			check_ends(f, &o);
		if (f->rc != PSI_NET_MALFORMED)
			check_lists(f, &o);
		if (f->rc != PSI_NET_TCP)
			continue;
		CHECK(f, o.tcp_seq == f->seq && o.tcp_flags == f->flags);
		CHECK(f, !o.payload_len ||
				 (o.payload_len == sizeof(data) &&
					 !memcmp(buf + o.payload_off, data, sizeof(data))));
		/* ack and window of make_frames.py: ACK and WIN, or scapy's defaults in the frames without payload */
		CHECK(f, !o.payload_len || (o.tcp_ack == 0x55667788 && o.tcp_win == 4321));
	}
}

static void
test_fragment_fields(void)
{
	uint8_t buf[BUF_MAX];
	const struct frame *f;
	struct psi_pkt o;
	uint32_t n;
	/* by hand: Ethernet 14, IPv4 20, IPv6 40, destination options 8, fragment header 8 */
	static const struct {
		const char *name;
		uint32_t id, off, more, payload_off;
	} want[] = {
		{"ip4_fragment_first", 777, 0, 1, 34},
		{"ip4_fragment_last", 777, 24, 0, 34},
		{"ip6_fragment_first", 0xabcdef01, 0, 1, 62},
		{"ip6_fragment_last", 0xabcdef01, 24, 0, 70},
	};

	for (size_t i = 0; i < PSI_COUNT(want); i++) {
		f = frame_named(want[i].name);
		n = unhex(f, buf);
		CHECK(f, decode(f->link, buf, n, n, PSI_NET_ID_DEFAULT, 0xa5, &o) ==
				 PSI_NET_FRAGMENT);
		CHECK(f, o.frag_id == want[i].id && o.frag_off == want[i].off &&
				 o.frag_more == want[i].more);
		CHECK(f, o.payload_off == want[i].payload_off && o.l3_off == 14);
	}
}

static void
test_identity(void)
{
	/* by hand from tunnels.def: what both directions share */
	static const struct {
		const char *name;
		uint16_t vlan;
		uint8_t tunnel;
		uint32_t id;
	} want[] = {
		{"ipv4", 0, PSI_TUNNEL_NONE, 0},
		{"vlan", 100, PSI_TUNNEL_NONE, 0},
		{"vlan_priority_only", 0, PSI_TUNNEL_NONE, 0},
		{"qinq_88a8", 100, PSI_TUNNEL_NONE, 0},
		{"vlan_x5", 5, PSI_TUNNEL_NONE, 0},
		{"mpls", 0, PSI_TUNNEL_NONE, 0},
		{"ipip", 0, PSI_TUNNEL_NONE, 0},
		{"gre", 0, PSI_TUNNEL_NONE, 0},
		{"gre_key", 0, PSI_TUNNEL_GRE, 0xcafe0001},
		{"gre_all", 0, PSI_TUNNEL_GRE, 42},
		{"gre_pptp", 0, PSI_TUNNEL_NONE, 0},
		{"nvgre", 0, PSI_TUNNEL_NVGRE, 0x123456},
		{"erspan2", 50, PSI_TUNNEL_ERSPAN, 101},
		{"vxlan", 0, PSI_TUNNEL_VXLAN, 5000},
		{"vxlan_vlan_both", 20, PSI_TUNNEL_VXLAN, 1},
		{"geneve", 0, PSI_TUNNEL_GENEVE, 0xabcdef},
		{"vxlan_gpe_nsh", 0, PSI_TUNNEL_VXLAN_GPE, 77},
		{"gtpu_ext", 0, PSI_TUNNEL_GTPU, 0},
		{"l2tp2", 0, PSI_TUNNEL_L2TP, 0},
		{"l2tp3_ip", 0, PSI_TUNNEL_L2TPV3, 0},
		{"vlan_pppoe6", 35, PSI_TUNNEL_PPPOE, 7},
		{"nested_3", 8, PSI_TUNNEL_GRE, 3},
	};
	uint8_t buf[BUF_MAX];
	struct psi_pkt o;

	for (size_t i = 0; i < PSI_COUNT(want); i++) {
		const struct frame *f = frame_named(want[i].name);
		uint32_t n = unhex(f, buf);

		decode(f->link, buf, n, n, PSI_NET_ID_DEFAULT, 0, &o);
		CHECK(f, o.tuple.vlan == want[i].vlan && o.tuple.tunnel == want[i].tunnel &&
				 o.tuple.tunnel_id == want[i].id);
		decode(f->link, buf, n, n, PSI_NET_ID_VLAN, 0, &o);
		CHECK(f, o.tuple.vlan == want[i].vlan && !o.tuple.tunnel && !o.tuple.tunnel_id);
		decode(f->link, buf, n, n, PSI_NET_ID_TUNNEL, 0, &o);
		CHECK(f, !o.tuple.vlan && o.tuple.tunnel == want[i].tunnel &&
				 o.tuple.tunnel_id == want[i].id);
	}
}

/* What must hold of any result, whatever the bytes. */
static void
check_sane(const struct frame *f, enum psi_net_rc rc, const struct psi_pkt *o, uint32_t frame_len)
{
	CHECK(f, (unsigned int)rc < PSI_NET_RC_CNT);
	CHECK(f, o->vlan_cnt <= PSI_NET_VLAN_MAX && o->tunnel_cnt <= PSI_NET_TUNNEL_MAX);
	if (rc != PSI_NET_TCP && rc != PSI_NET_UDP && rc != PSI_NET_FRAGMENT)
		return;
	CHECK(f, o->payload_cap <= o->payload_len);
	CHECK(f, o->payload_off <= frame_len && o->payload_cap <= frame_len - o->payload_off);
	CHECK(f, o->l3_off < frame_len);
	CHECK(f, o->payload_cap == o->payload_len || (o->note & PSI_PKT_CUT) ||
			 f->link != PSI_LINK_ETHERNET);
}

static void
test_cut_everywhere(void)
{
	uint8_t buf[BUF_MAX];
	struct psi_pkt whole, o;

	for (size_t i = 0; i < PSI_COUNT(frames); i++) {
		const struct frame *f = &frames[i];
		uint32_t n = unhex(f, buf);
		enum psi_net_rc rc,
			rc_whole = decode(f->link, buf, n, n, PSI_NET_ID_DEFAULT, 0, &whole);

		for (uint32_t len = 0; len < n; len++) {
			/* the capture ends */
			rc = decode(f->link, buf, len, len, PSI_NET_ID_DEFAULT, 0, &o);
			check_sane(f, rc, &o, len);
			if (rc == PSI_NET_TCP && rc_whole == PSI_NET_TCP &&
				!strstr(f->name, "total_0")) {
				CHECK(f, !memcmp(&o.tuple, &whole.tuple, sizeof(o.tuple)));
				CHECK(f, o.payload_len == whole.payload_len &&
						 o.tcp_seq == whole.tcp_seq);
				CHECK(f, o.payload_cap ==
						 (len > o.payload_off ? PSI_MIN(len - o.payload_off,
										o.payload_len)
								      : 0));
			}
			/* only the first segment does */
			rc = decode(f->link, buf, len, n, PSI_NET_ID_DEFAULT, 0, &o);
			check_sane(f, rc, &o, n);
			if (rc == PSI_NET_TCP && rc_whole == PSI_NET_TCP)
				CHECK(f, !memcmp(&o, &whole, offsetof(struct psi_pkt, frag_id)));
		}
	}
}

static void
swap(uint8_t *a, uint8_t *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t t = a[i];

		a[i] = b[i];
		b[i] = t;
	}
}

static void
test_both_directions(void)
{
	uint8_t buf[BUF_MAX];
	struct psi_pkt there, back;

	for (size_t i = 0; i < PSI_COUNT(frames); i++) {
		const struct frame *f = &frames[i];
		uint32_t n = unhex(f, buf), addr_len, tcp;

		/* those with payload have no TCP options, so that the header's place is known */
		if (f->rc != PSI_NET_TCP || !f->plen)
			continue;
		decode(f->link, buf, n, n, PSI_NET_ID_DEFAULT, 0x00, &there);
		addr_len = there.note & PSI_PKT_IPV4 ? 4 : 16;
		tcp = there.payload_off - 20;
		swap(buf + there.l3_off + (addr_len == 4 ? 12 : 8),
			buf + there.l3_off + (addr_len == 4 ? 16 : 24), addr_len);
		swap(buf + tcp, buf + tcp + 2, 2);
		decode(f->link, buf, n, n, PSI_NET_ID_DEFAULT, 0xff, &back);
		CHECK(f, !memcmp(&there.tuple, &back.tuple, sizeof(there.tuple)));
		CHECK(f, there.sender + back.sender == 1);
	}
}

static uint32_t seed = 1;

static uint32_t
rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed;
}

/* The plain path and the walk must say the same of any frame. Behind a cooked header, which only the walk reads, the
 * same bytes stand two further back. */
static void
check_twins(const struct frame *f, const uint8_t *buf, uint32_t n)
{
	uint8_t cooked[BUF_MAX] = {0};
	struct psi_pkt a, b;
	enum psi_net_rc ra, rb;

	memcpy(cooked + 14, buf + 12, n - 12);
	ra = decode(PSI_LINK_ETHERNET, buf, n, n, PSI_NET_ID_DEFAULT, 0, &a);
	rb = decode(PSI_LINK_SLL, cooked, n + 2, n + 2, PSI_NET_ID_DEFAULT, 0, &b);
	CHECK(f, ra == rb);
	if (ra != PSI_NET_TCP || rb != PSI_NET_TCP)
		return;
	CHECK(f, a.payload_off + 2 == b.payload_off && a.l3_off + 2 == b.l3_off);
	b.payload_off = a.payload_off;
	b.l3_off = a.l3_off;
	CHECK(f, !memcmp(&a, &b, offsetof(struct psi_pkt, frag_id)));
	CHECK(f, !memcmp(a.vlan, b.vlan, sizeof(a.vlan[0]) * a.vlan_cnt));
}

static void
test_plain_path_is_the_walk(void)
{
	static const char *const names[] = {
		"ipv4", "ipv6", "vlan", "vlan6", "ipv4_padded", "ipv6_padded", "ipv4_syn"};
	uint8_t buf[BUF_MAX];

	for (size_t i = 0; i < PSI_COUNT(names); i++) {
		const struct frame *f = frame_named(names[i]);

		for (int round = 0; round < 20000; round++) {
			uint32_t n = unhex(f, buf), changes = rnd() % 3;

			for (uint32_t k = 0; k < changes; k++)
				buf[12 + rnd() % 46] = (uint8_t)(rnd() % 4 ? rnd() : rnd() % 8);
			check_twins(f, buf, rnd() % 8 ? n : 18 + rnd() % (n - 18));
		}
	}
}

static void
test_order_of_tuple(void)
{
	/* by hand: the lower address first, then the lower port; the port decides between equal addresses */
	static const struct {
		const char *a, *b;
		uint16_t ap, bp;
		uint8_t sender;
	} want[] = {
		{"10.0.0.1", "10.0.0.2", 9, 1, 0},
		{"10.0.0.2", "10.0.0.1", 1, 9, 1},
		{"10.0.0.1", "10.0.0.1", 1, 9, 0},
		{"10.0.0.1", "10.0.0.1", 9, 1, 1},
		{"10.0.0.1", "10.0.0.1", 9, 9, 0},
		{"128.0.0.1", "127.255.255.255", 1, 1, 1},
		{"::1", "::2", 9, 1, 0},
		{"8000::", "7fff::ffff", 9, 1, 1},
		{"2001:db8::8000:0:0:0", "2001:db8::7fff:0:0:0", 9, 1, 1},
		{"fe80::1", "fe80::1", 443, 80, 1},
	};

	for (size_t i = 0; i < PSI_COUNT(want); i++) {
		uint8_t a[16], b[16], wire[32];
		struct psi_tuple t;
		uint32_t sender;

		mapped(want[i].a, a);
		mapped(want[i].b, b);
		if (strchr(want[i].a, ':')) {
			memcpy(wire, a, 16);
			memcpy(wire + 16, b, 16);
			sender = tuple_set6(&t, wire, want[i].ap, want[i].bp);
		} else {
			memcpy(wire, a + 12, 4);
			memcpy(wire + 4, b + 12, 4);
			sender = tuple_set4(&t, wire, want[i].ap, want[i].bp);
		}
		CU_ASSERT_EQUAL(sender, want[i].sender);
		CU_ASSERT(!memcmp(t.addr[sender], a, 16) && !memcmp(t.addr[!sender], b, 16));
		CU_ASSERT(t.port[sender] == want[i].ap && t.port[!sender] == want[i].bp);
	}
}

/* A frame of 9014 bytes in two segments, and the longest IPv4 packet. By hand. */
static void
test_long_frames(void)
{
	static uint8_t buf[BUF_MAX];
	static const uint32_t lens[] = {9000, 65535};
	struct psi_pkt o;

	for (size_t i = 0; i < PSI_COUNT(lens); i++) {
		unhex(frame_named("ipv4"), buf);
		buf[16] = (uint8_t)(lens[i] >> 8);
		buf[17] = (uint8_t)lens[i];
		CU_ASSERT_EQUAL(
			decode(PSI_LINK_ETHERNET, buf, 66, 14 + lens[i], 0, 0, &o), PSI_NET_TCP);
		CU_ASSERT_EQUAL(o.payload_len, lens[i] - 40);
		CU_ASSERT_EQUAL(o.payload_cap, lens[i] - 40);
		CU_ASSERT_EQUAL(o.note, PSI_PKT_IPV4);
		CU_ASSERT_EQUAL(decode(PSI_LINK_ETHERNET, buf, 66, 66, 0, 0, &o), PSI_NET_TCP);
		CU_ASSERT_EQUAL(o.payload_len, lens[i] - 40);
		CU_ASSERT_EQUAL(o.payload_cap, 12);
		CU_ASSERT_EQUAL(o.note, PSI_PKT_IPV4 | PSI_PKT_CUT);
	}
}

static void
test_tunnel_names(void)
{
	CU_ASSERT_STRING_EQUAL(psi_tunnel_name(PSI_TUNNEL_VXLAN), "vxlan");
	CU_ASSERT_STRING_EQUAL(psi_tunnel_id_name(PSI_TUNNEL_GTPU), "teid");
	CU_ASSERT_PTR_NULL(psi_tunnel_id_name(PSI_TUNNEL_IPIP));
}

static CU_TestInfo net_tests[] = {
	{"golden frames", test_golden},
	{"fields of fragments", test_fragment_fields},
	{"identity: VLAN and tunnel, each in or out", test_identity},
	{"cut at every byte", test_cut_everywhere},
	{"both directions make one tuple", test_both_directions},
	{"the plain path says what the walk says", test_plain_path_is_the_walk},
	{"order within the tuple", test_order_of_tuple},
	{"jumbo frames and segments", test_long_frames},
	{"tunnel names", test_tunnel_names},
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo psi_unit_suites[] = {
	{.pName = "net", .pTests = net_tests},
	CU_SUITE_INFO_NULL,
};
