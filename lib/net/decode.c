/* SPDX-License-Identifier: BSD-3-Clause */
/* The way in, and the straight path of the plain packet. Whatever is not plain in every respect is left to the walk,
 * which begins again at the first byte: errors are told in one place only. */
#include "net_pvt.h"

#define IP_TCP	  6
#define ETHER_LEN 14
#define VLAN_LEN  4
#define TCP_LEN	  20 /* without options */
#define IPV4_LEN  20
#define IPV6_LEN  40

/* The longest frame that is believed; keeps sums of offsets and lengths far from 2^32. */
#define FRAME_MAX (1u << 24)

/* plain_end: what the tuple ends with, in one word. */
static inline void
plain_end(struct psi_tuple *t, uint16_t vlan)
{
	uint32_t word = two16(vlan, two8(PSI_TUNNEL_NONE, IP_TCP));

	memcpy(&t->vlan, &word, sizeof(word));
}

/* plain_tcp: all of a packet but its addresses and tags. The TCP header at h, off bytes into the frame, is hdr_len bytes
 * long and room bytes from the end of the IP packet. */
static inline void
plain_tcp(const uint8_t *h, uint32_t off, uint32_t hdr_len, uint32_t room, struct psi_pkt *o)
{
	o->tunnel_cnt = o->frag_more = 0;
	tcp_set(o, h);
	o->payload_off = off + hdr_len;
	o->payload_len = o->payload_cap = room - hdr_len;
}

static inline uint32_t
tcp_hdr_len(const uint8_t *h)
{
	return h[12] >> 2 & 60;
}

/* The IP packet at h, off bytes into the frame: len bytes of it can be read, frame_len are there, at least those of both
 * headers. False, and nothing written, when it is not plain. */
static inline bool
plain_ipv4(const uint8_t *h, uint32_t off, uint32_t frame_len, uint16_t vlan, struct psi_pkt *o)
{
	const uint8_t *tcp = h + IPV4_LEN;
	uint32_t ip_len = psi_be16(h + 2), hdr_len = tcp_hdr_len(tcp);

	/* no options; no fragment (MF and offset; DF does not matter), TCP */
	if (psi_unlikely(h[0] != 0x45 || (psi_be32(h + 6) & 0x3fff00ff) != IP_TCP))
		return false;
	if (psi_unlikely(ip_len > frame_len || hdr_len < TCP_LEN || hdr_len + IPV4_LEN > ip_len))
		return false;
	plain_tcp(tcp, off + IPV4_LEN, hdr_len, ip_len - IPV4_LEN, o);
	o->sender = (uint8_t)tuple_set4(&o->tuple, h + 12, psi_be16(tcp), psi_be16(tcp + 2));
	plain_end(&o->tuple, vlan);
	o->note = PSI_PKT_IPV4 | (ip_len < frame_len ? PSI_PKT_PADDED : 0);
	o->l3_off = off;
	return true;
}

static inline bool
plain_ipv6(const uint8_t *h, uint32_t off, uint32_t frame_len, uint16_t vlan, struct psi_pkt *o)
{
	const uint8_t *tcp = h + IPV6_LEN;
	uint32_t room = psi_be16(h + 4), hdr_len = tcp_hdr_len(tcp);

	if (psi_unlikely(h[0] >> 4 != 6 || h[6] != IP_TCP))
		return false;
	if (psi_unlikely(IPV6_LEN + room > frame_len || hdr_len < TCP_LEN || hdr_len > room))
		return false;
	plain_tcp(tcp, off + IPV6_LEN, hdr_len, room, o);
	o->sender = (uint8_t)tuple_set6(&o->tuple, h + 8, psi_be16(tcp), psi_be16(tcp + 2));
	plain_end(&o->tuple, vlan);
	o->note = IPV6_LEN + room < frame_len ? PSI_PKT_PADDED : 0;
	o->l3_off = off;
	return true;
}

/* Apart, so that the plain path keeps its few registers. */
static __attribute__((noinline)) enum psi_net_rc
walk(enum psi_link link, const uint8_t *p, uint32_t len, uint32_t frame_len, unsigned int identity,
	struct psi_pkt *o)
{
	static const uint8_t first[] = {
		[PSI_LINK_ETHERNET] = L_ether,
		[PSI_LINK_SLL] = L_sll,
		[PSI_LINK_SLL2] = L_sll2,
		[PSI_LINK_RAW] = L_raw,
		[PSI_LINK_NULL] = L_null,
		[PSI_LINK_PPP] = L_ppp,
	};
	struct walk w = {.p = p, .identity = identity, .o = o};

	PSI_ASSERT((unsigned int)link < PSI_COUNT(first), "link is one of enum psi_link");
	w.mem = w.end = PSI_MIN(frame_len, FRAME_MAX);
	w.have = PSI_MIN(len, w.mem);
	o->note = o->vlan_cnt = o->tunnel_cnt = o->frag_more = 0;
	o->l3_off = o->payload_off = o->payload_len = o->payload_cap = 0;
	return walk_run(&w, first[link]);
}

/* IPv6, or behind one 802.1Q tag: as straight, but out of the way of the plainest of all. */
static __attribute__((noinline)) enum psi_net_rc
less_plain(enum psi_link link, const uint8_t *p, uint32_t len, uint32_t frame_len,
	unsigned int identity, struct psi_pkt *o)
{
	uint32_t off = ETHER_LEN, type;
	uint16_t vlan = 0;

	if (link != PSI_LINK_ETHERNET || len < ETHER_LEN + VLAN_LEN + IPV6_LEN + TCP_LEN)
		return walk(link, p, len, frame_len, identity, o);
	type = psi_be16(p + 12);
	o->vlan_cnt = 0;
	if (type == 0x8100) {
		vlan = psi_be16(p + 14) & 0xfff;
		o->vlan[0] = vlan;
		o->vlan_cnt = 1;
		type = psi_be16(p + 16);
		off += VLAN_LEN;
	}
	if (!(identity & PSI_NET_ID_VLAN))
		vlan = 0;
	if (type == 0x0800 && plain_ipv4(p + off, off, frame_len - off, vlan, o))
		return PSI_NET_TCP;
	if (type == 0x86dd && plain_ipv6(p + off, off, frame_len - off, vlan, o))
		return PSI_NET_TCP;
	return walk(link, p, len, frame_len, identity, o);
}

enum psi_net_rc
psi_net_decode(enum psi_link link, const uint8_t *p, uint32_t len, uint32_t frame_len,
	unsigned int identity, struct psi_pkt *out)
{
	PSI_ASSERT(len <= frame_len, "the contiguous start is part of the frame");
	if (psi_likely(link == PSI_LINK_ETHERNET && len >= ETHER_LEN + IPV4_LEN + TCP_LEN &&
		       psi_be16(p + 12) == 0x0800 &&
		       plain_ipv4(p + ETHER_LEN, ETHER_LEN, frame_len - ETHER_LEN, 0, out))) {
		out->vlan_cnt = 0;
		return PSI_NET_TCP;
	}
	return less_plain(link, p, len, frame_len, identity, out);
}

enum psi_net_rc
psi_net_decode_joined(const uint8_t *p, uint32_t len, uint32_t pkt_len, unsigned int identity,
	struct psi_pkt *pkt)
{
	struct walk w = {.p = p, .identity = identity, .o = pkt};

	PSI_ASSERT(len <= pkt_len, "the contiguous start is part of the packet");
	w.mem = w.end = PSI_MIN(pkt_len, FRAME_MAX);
	w.have = PSI_MIN(len, w.mem);
	w.vlan = pkt->tuple.vlan;
	w.tunnel = pkt->tuple.tunnel;
	w.tunnel_id = pkt->tuple.tunnel_id;
	pkt->note = pkt->frag_more = 0;
	pkt->l3_off = pkt->payload_off = pkt->payload_len = pkt->payload_cap = 0;
	return walk_run(&w, L_raw);
}

static const struct {
	const char *name, *id_name;
} tunnels[] = {
#define TUNNEL(sym, value, name, id_name, identity) [value] = {name, id_name},
#include "tunnels.def"
#undef TUNNEL
};

const char *
psi_tunnel_name(enum psi_tunnel t)
{
	return tunnels[t].name;
}

const char *
psi_tunnel_id_name(enum psi_tunnel t)
{
	return tunnels[t].id_name;
}
