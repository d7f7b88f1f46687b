/* SPDX-License-Identifier: BSD-3-Clause */
/* The tunnels. What UDP ports announce is only believed when the header looks right, because any client may have been
 * given that port; what nothing announces (behind MPLS, GTP-U, L2TPv3) is told by its look. */
#include "net_pvt.h"

/* GTP-U extension headers followed; 3GPP TS 29.281 defines seven kinds. */
#define GTPU_EXT_MAX 16

enum identity { IDENTITY_none, IDENTITY_kind, IDENTITY_id };

void
enter(struct walk *w, enum psi_tunnel kind, uint32_t id, bool has_id)
{
	static const uint8_t identity_of[] = {
#define TUNNEL(sym, value, name, id_name, identity) [value] = IDENTITY_##identity,
#include "tunnels.def"
#undef TUNNEL
	};
	struct psi_pkt *o = w->o;

	w->in_udp = false;
	if (o->tunnel_cnt < PSI_NET_TUNNEL_MAX) {
		o->tunnel[o->tunnel_cnt].type = (uint8_t)kind;
		o->tunnel[o->tunnel_cnt++].id = id;
	}
	if (identity_of[kind] == IDENTITY_none || (identity_of[kind] == IDENTITY_id && !has_id))
		return;
	w->tunnel = (uint8_t)kind;
	w->tunnel_id = identity_of[kind] == IDENTITY_id ? id : 0;
}

/* refuse: this is not the tunnel that its announcer promised. */
static int
refuse(const struct walk *w)
{
	return w->in_udp ? DONE(PSI_NET_UDP) : no_flow(w);
}

/* Says yes when the capture ends before it can be told, so that the IP layer names the end. What encloses the packet
 * bounds its length only when that is an IP header: a frame may have been cut. */
bool
ip_at(const struct walk *w)
{
	uint32_t have = w->have - w->off, room = w->in_ip ? w->end - w->off : UINT32_MAX, len;
	const uint8_t *h = w->p + w->off;

	if (!have)
		return false;
	if (h[0] >> 4 == 4) {
		len = have >= 4 ? psi_be16(h + 2) : 0;
		return (h[0] & 15) >= 5 && (!len || (len >= 20 && len <= room));
	}
	len = have >= 6 ? psi_be16(h + 4) : 0;
	return h[0] >> 4 == 6 && room >= 40 && len <= room - 40;
}

bool
ether_at(const struct walk *w, uint32_t n)
{
	const uint8_t *h = need(w, n + 15);
	int next;

	if (!h)
		return false;
	next = by_ethertype(w, psi_be16(h + n + 12));
	if (next == L_ipv4 || next == L_ipv6)
		return h[n + 14] >> 4 == (next == L_ipv4 ? 4 : 6);
	return next < L_CNT ||
	       psi_be16(h + n + 12) == 0x0806; /* ARP: no flow, but an Ethernet frame */
}

/* RFC 3032. Nothing says what is labelled: IP by its look, else a pseudowire's Ethernet frame, without control word
 * (RFC 4448 makes it optional) or with (first nibble 0, RFC 4385). Without is tried first: a tagged frame without one
 * looks right in both ways, its tag being as long as the control word. */
int
layer_mpls(struct walk *w)
{
	const uint8_t *h = need(w, 4);

	if (!h)
		return w->in_udp ? DONE(PSI_NET_UDP) : lack(w, 4);
	enter(w, PSI_TUNNEL_MPLS, psi_be32(h) >> 12, true);
	w->off += 4;
	if (!(h[2] & 1))
		return L_mpls;
	h = need(w, 1);
	if (!h)
		return lack(w, 1);
	if (ip_at(w))
		return by_nibble(w);
	if (ether_at(w, 0))
		return L_ether;
	if (*h >> 4 || !ether_at(w, 4))
		return no_flow(w);
	w->off += 4;
	return L_ether;
}

/* RFC 2516: version and type 1, code 0 is session data. The length is left to IP to say. */
int
layer_pppoe(struct walk *w)
{
	const uint8_t *h = need(w, 6);

	if (!h)
		return lack(w, 6);
	if (h[0] != 0x11 || h[1] != 0)
		return no_flow(w);
	enter(w, PSI_TUNNEL_PPPOE, psi_be16(h + 2), true);
	w->off += 6;
	return L_ppp;
}

/* The next-protocol numbers that NSH and VXLAN-GPE share. */
static int
by_nsh_proto(const struct walk *w, uint32_t proto)
{
	static const uint8_t next[] = {
		[1] = L_ipv4, [2] = L_ipv6, [3] = L_ether, [4] = L_nsh, [5] = L_mpls};

	return proto && proto < PSI_COUNT(next) ? next[proto] : no_flow(w);
}

/* RFC 8300: version 0, length in units of 4. */
int
layer_nsh(struct walk *w)
{
	const uint8_t *h = need(w, 8);
	uint32_t len;

	if (!h)
		return lack(w, 8);
	len = (h[1] & 0x3f) * 4u;
	if (h[0] & 0xc0 || len < 8)
		return DONE(PSI_NET_MALFORMED);
	if (!need(w, len))
		return lack(w, len);
	w->off += len;
	return by_nsh_proto(w, h[3]);
}

/* Provider backbone bridging: an I-TAG, then the customer's frame. */
int
layer_pbb(struct walk *w)
{
	if (!need(w, 4))
		return lack(w, 4);
	w->off += 4;
	return L_ether;
}

/* The tag that a fabric extender puts in front of the EtherType: ports, no VLAN. */
int
layer_vntag(struct walk *w)
{
	const uint8_t *h = need(w, 6);

	if (!h)
		return lack(w, 6);
	w->off += 6;
	return by_ethertype(w, psi_be16(h + 4));
}

/* Security group tag: version 1, options in units of 4, EtherType. */
int
layer_cmd(struct walk *w)
{
	const uint8_t *h = need(w, 2);
	uint32_t len;

	if (!h)
		return lack(w, 2);
	len = 2 + h[1] * 4u + 2;
	if (h[0] != 1)
		return no_flow(w);
	if (!need(w, len))
		return lack(w, len);
	w->off += len;
	return by_ethertype(w, psi_be16(h + len - 2));
}

/* What a router redirects to a proxy: version 2 puts four bytes in front of the IPv4 packet, version 1 none. Those four
 * begin with a type of 0 or 1, which no IPv4 header does. */
int
layer_wccp(struct walk *w)
{
	const uint8_t *h = need(w, 4);

	if (!h)
		return lack(w, 4);
	if (h[0] >> 4 != 4)
		w->off += 4;
	return L_ipv4;
}

int
layer_ipip(struct walk *w)
{
	enter(w, PSI_TUNNEL_IPIP, 0, false);
	return L_ipv4;
}

int
layer_ip6ip(struct walk *w)
{
	enter(w, PSI_TUNNEL_IPIP, 0, false);
	return L_ipv6;
}

/* RFC 3378: version 3 and twelve reserved bits. */
int
layer_etherip(struct walk *w)
{
	const uint8_t *h = need(w, 2);

	if (!h)
		return lack(w, 2);
	if (h[0] != 0x30)
		return no_flow(w);
	w->off += 2;
	return L_ether;
}

/* Version 1 of GRE (RFC 2637, PPTP): the key holds a length and a call id, one a direction; the sequence number is
 * there when there is a payload. */
static int
gre_pptp(struct walk *w, const uint8_t *h)
{
	uint32_t len = 8 + (h[0] & 0x10 ? 4 : 0) + (h[1] & 0x80 ? 4 : 0);

	if (psi_be16(h + 2) != 0x880b || !(h[0] & 0x10))
		return no_flow(w);
	if (!need(w, len))
		return lack(w, len);
	enter(w, PSI_TUNNEL_GRE, psi_be16(h + 6), false);
	w->off += len;
	return L_ppp;
}

/* gre_next: enters the kind of tunnel that the flags and the protocol make of a version 0 header; off is behind it.
 * NVGRE is what RFC 7637 says: a key, nothing else, and Ethernet. ERSPAN names itself by its own header, but for
 * type I, which has none and no sequence number either. */
static int
gre_next(struct walk *w, uint8_t flags, uint32_t proto, uint32_t key)
{
	if (proto == 0x88be && !(flags & 0x10)) {
		enter(w, PSI_TUNNEL_ERSPAN, 0, false);
		return L_ether;
	}
	if (proto == 0x6558 && flags == 0x20)
		enter(w, PSI_TUNNEL_NVGRE, key >> 8, true);
	else if (proto != 0x88be && proto != 0x22eb)
		enter(w, PSI_TUNNEL_GRE, key, flags & 0x20);
	return by_ethertype(w, proto);
}

/* RFC 2784 and 2890: checksum 0x80, key 0x20, sequence 0x10, each of them four bytes. Routing (0x40) is gone. */
int
layer_gre(struct walk *w)
{
	const uint8_t *h = need(w, 4);
	uint32_t len, key = 0, proto;

	if (!h)
		return w->in_udp ? DONE(PSI_NET_UDP) : lack(w, 4);
	proto = psi_be16(h + 2);
	if (w->in_udp && (h[0] & 0x4f || h[1] || by_ethertype(w, proto) >= L_CNT))
		return DONE(PSI_NET_UDP);
	len = 4 + (h[0] & 0x80 ? 4 : 0) + (h[0] & 0x20 ? 4 : 0) + (h[0] & 0x10 ? 4 : 0);
	if (!need(w, len))
		return lack(w, len);
	if ((h[1] & 7) == 1 && len >= 8)
		return gre_pptp(w, h);
	if ((h[1] & 7) || (h[0] & 0x40))
		return no_flow(w);
	if (h[0] & 0x20)
		key = psi_be32(h + (h[0] & 0x80 ? 8 : 4));
	w->off += len;
	return gre_next(w, h[0] & 0xb0, proto, key);
}

/* draft-foschiano-erspan-03 section 4.2: version 1 is type II. */
int
layer_erspan2(struct walk *w)
{
	const uint8_t *h = need(w, 8);

	if (!h)
		return lack(w, 8);
	if (h[0] >> 4 != 1)
		return no_flow(w);
	enter(w, PSI_TUNNEL_ERSPAN, psi_be16(h + 2) & 0x3ff, true);
	w->off += 8;
	return L_ether;
}

/* Section 4.3: version 2 is type III; its last bit says that 8 bytes more follow. Frame type 0 is Ethernet, 2 IP. */
int
layer_erspan3(struct walk *w)
{
	const uint8_t *h = need(w, 12);
	uint32_t len, type;

	if (!h)
		return lack(w, 12);
	if (h[0] >> 4 != 2)
		return no_flow(w);
	len = h[11] & 1 ? 20 : 12;
	type = psi_be16(h + 10) >> 10 & 31;
	if (!need(w, len))
		return lack(w, len);
	enter(w, PSI_TUNNEL_ERSPAN, psi_be16(h + 2) & 0x3ff, true);
	w->off += len;
	return type == 0 ? L_ether : type == 2 ? by_nibble(w) : no_flow(w);
}

/* RFC 7348: flag I; the bits of the group policy extension (G, D, A) are let pass, the others must be zero. */
int
layer_vxlan(struct walk *w)
{
	const uint8_t *h = need(w, 8);

	if (!h || (h[0] & 0x7f) != 8 || w->end - w->off < 8 + 14)
		return refuse(w);
	enter(w, PSI_TUNNEL_VXLAN, psi_be24(h + 4), true);
	w->off += 8;
	return L_ether;
}

/* draft-ietf-nvo3-vxlan-gpe: version 0, flags I and P, no OAM; without P it is VXLAN. */
int
layer_vxlan_gpe(struct walk *w)
{
	const uint8_t *h = need(w, 8);
	int next;

	if (!h || (h[0] & 0xf9) != 8)
		return refuse(w);
	next = h[0] & 4 ? by_nsh_proto(w, h[3]) : L_ether;
	if (next >= L_CNT)
		return refuse(w);
	enter(w, PSI_TUNNEL_VXLAN_GPE, psi_be24(h + 4), true);
	w->off += 8;
	return next;
}

/* RFC 8926: version 0, options in units of 4, no control packet, reserved bits zero. */
int
layer_geneve(struct walk *w)
{
	const uint8_t *h = need(w, 8);
	uint32_t len;
	int next;

	if (!h || h[0] >> 6 || h[1] & 0xbf || h[7])
		return refuse(w);
	len = 8 + (h[0] & 0x3f) * 4u;
	next = by_ethertype(w, psi_be16(h + 2));
	if (next >= L_CNT || len > w->end - w->off)
		return refuse(w);
	if (!need(w, len))
		return lack(w, len);
	enter(w, PSI_TUNNEL_GENEVE, psi_be24(h + 4), true);
	w->off += len;
	return next;
}

/* gtpu_len: the length of the header at h with its extension headers, 0 when they are cut off or lead nowhere. */
static uint32_t
gtpu_len(const struct walk *w, const uint8_t *h)
{
	uint32_t len = 12, ext;

	if (!(h[0] & 7))
		return 8;
	if (!need(w, 12))
		return 0;
	ext = h[0] & 4 ? h[11] : 0;
	for (int i = 0; ext && i < GTPU_EXT_MAX; i++) {
		if (!need(w, len + 4) || !h[len] || !need(w, len + h[len] * 4u))
			return 0;
		len += h[len] * 4u;
		ext = h[len - 1];
	}
	return ext ? 0 : len;
}

/* 3GPP TS 29.281: version 1, protocol type GTP, spare bit 0, message 255 is user data: an IP packet, or an Ethernet
 * frame in a 5G session of that type; nothing tells which, but its look. */
int
layer_gtpu(struct walk *w)
{
	const uint8_t *h = need(w, 8);
	uint32_t len;

	if (!h || (h[0] & 0xf8) != 0x30 || h[1] != 0xff || psi_be16(h + 2) > w->end - w->off - 8)
		return refuse(w);
	len = gtpu_len(w, h);
	if (!len)
		return refuse(w);
	w->off += len;
	if (!ip_at(w) && !ether_at(w, 0))
		return refuse(w);
	enter(w, PSI_TUNNEL_GTPU, psi_be32(h + 4), true);
	return ip_at(w) ? by_nibble(w) : L_ether;
}

/* RFC 2661 (version 2): optional length, sequence numbers and padding; PPP behind. Control messages (0x80) and what
 * has a reserved bit set are plain UDP. */
static int
l2tp_v2(struct walk *w, const uint8_t *h)
{
	uint32_t ids = h[0] & 0x40 ? 4 : 2, len = ids + 4 + (h[0] & 8 ? 4 : 0);

	if (h[0] & 0xb4 || h[1] & 0xf0 || !need(w, len + 2))
		return refuse(w);
	if (h[0] & 2)
		len += 2u + psi_be16(h + len);
	if (!need(w, len))
		return refuse(w);
	enter(w, PSI_TUNNEL_L2TP, psi_be16(h + ids + 2), true);
	w->off += len;
	return L_ppp;
}

int
layer_l2tp(struct walk *w)
{
	const uint8_t *h = need(w, 4);

	if (!h)
		return refuse(w);
	if ((h[1] & 15) == 2)
		return l2tp_v2(w, h);
	if (h[0] || h[1] != 3)
		return refuse(w);
	w->off += 4; /* RFC 3931 section 4.1.2.1 */
	return L_l2tpv3;
}

/* RFC 3931 section 4.1.1.1: a session id, then a cookie of 0, 4 or 8 bytes and a sublayer of 0 or 4 that only the two
 * ends know of: the first place where an Ethernet frame shows is taken. Session 0 is control. */
int
layer_l2tpv3(struct walk *w)
{
	const uint8_t *h = need(w, 4);

	if (!h)
		return w->in_udp ? DONE(PSI_NET_UDP) : lack(w, 4);
	if (!psi_be32(h))
		return refuse(w);
	for (uint32_t len = 4; len <= 16; len += 4)
		if (ether_at(w, len)) {
			enter(w, PSI_TUNNEL_L2TPV3, psi_be32(h), true);
			w->off += len;
			return L_ether;
		}
	return refuse(w);
}
