/* SPDX-License-Identifier: BSD-3-Clause */
/* The walk: one layer after another until TCP, UDP or an end. Link layers, IP and transport; tunnels are in tunnel.c. */
#include "net_pvt.h"

#define IPPROTO_V6_EXT_HOPOPTS 0

/* The switches are made of the rows of net_layers.def; a value that stands twice does not compile. */
int
by_ethertype(const struct walk *w, uint32_t type)
{
	switch (type) {
#define LAYER(name)
#define ETHERTYPE(value, name) \
	case value:            \
		return L_##name;
#define PPPTYPE(value, name)
#define IPPROTO(value, name)
#define UDPPORT(value, name)
#include "net_layers.def"
#undef ETHERTYPE
#undef PPPTYPE
	}
	return no_flow(w);
}

int
by_ppptype(const struct walk *w, uint32_t type)
{
	switch (type) {
#define ETHERTYPE(value, name)
#define PPPTYPE(value, name) \
	case value:          \
		return L_##name;
#include "net_layers.def"
#undef PPPTYPE
#undef IPPROTO
	}
	return no_flow(w);
}

int
by_ipproto(const struct walk *w, uint32_t proto)
{
	switch (proto) {
#define PPPTYPE(value, name)
#define IPPROTO(value, name) \
	case value:          \
		return L_##name;
#include "net_layers.def"
#undef IPPROTO
#undef UDPPORT
	}
	return DONE(PSI_NET_OTHER_IP);
}

static int
by_udpport(uint32_t port)
{
	switch (port) {
#define IPPROTO(value, name)
#define UDPPORT(value, name) \
	case value:          \
		return L_##name;
#include "net_layers.def"
#undef LAYER
	}
	return DONE(PSI_NET_UDP);
}

enum psi_net_rc
walk_run(struct walk *w, int first)
{
	static int (*const layers[])(struct walk *) = {
#define LAYER(name) [L_##name] = layer_##name,
#undef UDPPORT
#define UDPPORT(value, name)
#include "net_layers.def"
#undef LAYER
#undef ETHERTYPE
#undef PPPTYPE
#undef IPPROTO
#undef UDPPORT
	};
	int next = first;

	for (int depth = 0; depth < PSI_NET_LAYER_MAX; depth++) {
		next = layers[next](w);
		if (next >= L_CNT)
			return (enum psi_net_rc)(next - L_CNT);
	}
	return PSI_NET_DEPTH;
}

/* ---- link layers ---- */

/* Below 0x600 it is the length of an 802.3 frame, and LLC follows. */
static int
type_or_len(const struct walk *w, uint32_t v)
{
	return v < 0x600 ? L_llc : by_ethertype(w, v);
}

int
layer_ether(struct walk *w)
{
	const uint8_t *h = need(w, 14);

	if (!h)
		return lack(w, 14);
	w->off += 14;
	return type_or_len(w, psi_be16(h + 12));
}

/* IEEE 802.2 with SNAP (RFC 1042): the EtherType stands behind AA-AA-03-00-00-00. */
int
layer_llc(struct walk *w)
{
	static const uint8_t snap[6] = {0xaa, 0xaa, 3};
	const uint8_t *h = need(w, 8);

	if (!h || memcmp(h, snap, 6) != 0)
		return no_flow(w);
	w->off += 8;
	return by_ethertype(w, psi_be16(h + 6));
}

/* VID 0 is a priority tag: kept in the list, but it names no VLAN (IEEE 802.1Q section 9.6). */
int
layer_vlan(struct walk *w)
{
	const uint8_t *h = need(w, 4);
	uint16_t vid;

	if (!h)
		return lack(w, 4);
	vid = psi_be16(h) & 0xfff;
	if (w->o->vlan_cnt < PSI_NET_VLAN_MAX)
		w->o->vlan[w->o->vlan_cnt++] = vid;
	if (vid)
		w->vlan = vid;
	w->off += 4;
	return type_or_len(w, psi_be16(h + 2));
}

/* The protocol field of a cooked frame is an EtherType, or a small number for what has none. */
int
layer_sll(struct walk *w)
{
	const uint8_t *h = need(w, 16);

	if (!h)
		return lack(w, 16);
	w->off += 16;
	return by_ethertype(w, psi_be16(h + 14));
}

int
layer_sll2(struct walk *w)
{
	const uint8_t *h = need(w, 20);

	if (!h)
		return lack(w, 20);
	w->off += 20;
	return by_ethertype(w, psi_be16(h));
}

int
by_nibble(const struct walk *w)
{
	const uint8_t *h = need(w, 1);

	if (!h)
		return lack(w, 1);
	return *h >> 4 == 4 ? L_ipv4 : *h >> 4 == 6 ? L_ipv6 : no_flow(w);
}

int
layer_raw(struct walk *w)
{
	return by_nibble(w);
}

/* The address family is in the byte order of the machine that captured, and AF_INET6 has a number of its own on
 * Linux, NetBSD, FreeBSD and Darwin. All are below 256, so that the order shows itself. */
int
layer_null(struct walk *w)
{
	const uint8_t *h = need(w, 4);
	uint32_t family;

	if (!h)
		return lack(w, 4);
	w->off += 4;
	family = psi_be32(h);
	if (family & 0xff000000)
		family = __builtin_bswap32(family);
	switch (family) {
	case 2: return L_ipv4;
	case 10:
	case 24:
	case 28:
	case 30: return L_ipv6;
	}
	return no_flow(w);
}

/* RFC 1661 and RFC 1662: address and control FF 03 may be there, the protocol may be compressed to one byte, which is
 * then odd. 0F 00 and 8F 00 are Cisco's HDLC, with an EtherType. */
int
layer_ppp(struct walk *w)
{
	const uint8_t *h = need(w, 4);

	if (!h)
		return lack(w, 4);
	if ((h[0] == 0x0f || h[0] == 0x8f) && h[1] == 0) {
		w->off += 4;
		return by_ethertype(w, psi_be16(h + 2));
	}
	if (h[0] == 0xff && h[1] == 3) {
		w->off += 2;
		h += 2;
	}
	if (h[0] & 1) {
		w->off += 1;
		return by_ppptype(w, h[0]);
	}
	w->off += 2;
	return by_ppptype(w, psi_be16(h));
}

/* ---- IP ---- */

/* ip_span: the IP packet at off says that it is len bytes long, header included. What the enclosing headers hold
 * beyond is padding; what they do not hold was cut off (ERSPAN and sFlow cut on purpose). */
static void
ip_span(struct walk *w, uint32_t len)
{
	if (len > w->mem - w->off)
		w->o->note |= PSI_PKT_CUT;
	else if (len < w->mem - w->off)
		w->o->note |= PSI_PKT_PADDED;
	trim(w, len);
}

/* set_identity: what of tags and tunnels belongs to the tuple. */
static void
set_identity(struct walk *w)
{
	struct psi_tuple *t = &w->o->tuple;
	bool by_tunnel = w->identity & PSI_NET_ID_TUNNEL;

	t->tunnel_id = by_tunnel ? w->tunnel_id : 0;
	t->tunnel = by_tunnel ? w->tunnel : PSI_TUNNEL_NONE;
	t->vlan = w->identity & PSI_NET_ID_VLAN ? w->vlan : 0;
}

/* fragment: a piece of a datagram at off; the caller has set frag_id. */
static int
fragment(struct walk *w, uint32_t frag_off, bool more)
{
	w->o->frag_off = frag_off;
	w->o->frag_more = more;
	w->o->payload_off = w->off;
	w->o->payload_len = w->end - w->off;
	w->o->payload_cap = w->mem - w->off;
	set_identity(w);
	return DONE(PSI_NET_FRAGMENT);
}

int
layer_ipv4(struct walk *w)
{
	const uint8_t *h = need(w, 20);
	uint32_t hdr_len, len, frag;

	if (!h)
		return lack(w, 20);
	hdr_len = (h[0] & 15) * 4u;
	len = psi_be16(h + 2);
	if (!len) /* a sender that leaves segmentation to its NIC */
		len = w->end - w->off;
	if (h[0] >> 4 != 4 || hdr_len < 20 || len < hdr_len)
		return DONE(PSI_NET_MALFORMED);
	w->o->l3_off = w->off;
	w->o->note |= PSI_PKT_IPV4;
	w->v6 = false;
	w->in_ip = true;
	w->in_udp = false;
	ip_span(w, len);
	if (!need(w, hdr_len))
		return lack(w, hdr_len);
	w->off += hdr_len;
	frag = psi_be16(h + 6);
	if (frag & 0x3fff) {
		w->o->frag_id = psi_be16(h + 4);
		return fragment(w, (frag & 0x1fff) * 8, frag & 0x2000);
	}
	return by_ipproto(w, h[9]);
}

/* Payload length 0 in front of hop-by-hop options announces a jumbogram (RFC 2675), which does not fit a frame that
 * any of our ports delivers. Otherwise it is a sender that leaves segmentation to its NIC. */
int
layer_ipv6(struct walk *w)
{
	const uint8_t *h = need(w, 40);
	uint32_t len;

	if (!h)
		return lack(w, 40);
	if (h[0] >> 4 != 6)
		return DONE(PSI_NET_MALFORMED);
	w->o->l3_off = w->off;
	w->o->note &= (uint8_t)~PSI_PKT_IPV4;
	w->v6 = true;
	w->in_ip = true;
	w->in_udp = false;
	len = psi_be16(h + 4);
	if (!len && h[6] == IPPROTO_V6_EXT_HOPOPTS)
		return DONE(PSI_NET_OTHER_IP);
	ip_span(w, len ? len + 40 : w->end - w->off);
	w->off += 40;
	return by_ipproto(w, h[6]);
}

/* Options of any kind: next header, length in units of 8 behind the first 8. Order and repetition are not judged. */
int
layer_ip6_ext(struct walk *w)
{
	const uint8_t *h = need(w, 8);
	uint32_t len;

	if (!w->v6)
		return DONE(PSI_NET_OTHER_IP);
	if (!h)
		return lack(w, 8);
	len = (h[1] + 1) * 8u;
	if (!need(w, len))
		return lack(w, len);
	w->off += len;
	return by_ipproto(w, h[0]);
}

/* An atomic fragment, offset 0 and no more to come, is a whole packet (RFC 6946). */
int
layer_ip6_frag(struct walk *w)
{
	const uint8_t *h = need(w, 8);
	uint32_t frag;

	if (!w->v6)
		return DONE(PSI_NET_OTHER_IP);
	if (!h)
		return lack(w, 8);
	w->off += 8;
	frag = psi_be16(h + 2);
	if (!(frag & 0xfff9))
		return by_ipproto(w, h[0]);
	w->o->frag_id = psi_be32(h + 4);
	return fragment(w, frag & 0xfff8, frag & 1);
}

/* Authentication only: the payload is in clear. The length is in units of 4 behind the first 8. */
int
layer_ah(struct walk *w)
{
	const uint8_t *h = need(w, 12);
	uint32_t len;

	if (!h)
		return lack(w, 12);
	len = (h[1] + 2) * 4u;
	if (len < 12)
		return DONE(PSI_NET_MALFORMED);
	if (!need(w, len))
		return lack(w, len);
	w->off += len;
	return by_ipproto(w, h[0]);
}

/* ---- transport ---- */

static void
set_tuple(struct walk *w, const uint8_t *ports, uint8_t proto)
{
	const uint8_t *ip = w->p + w->o->l3_off;
	struct psi_tuple *t = &w->o->tuple;
	uint16_t sport = psi_be16(ports), dport = psi_be16(ports + 2);

	w->o->sender = (uint8_t)(w->v6 ? tuple_set6(t, ip + 8, sport, dport)
				       : tuple_set4(t, ip + 12, sport, dport));
	set_identity(w);
	t->proto = proto;
}

/* set_payload: what stands hdr_len behind off. A capture may end inside TCP options: the payload is then empty, and
 * its offset that of the capture's end. */
static void
set_payload(struct walk *w, uint32_t hdr_len)
{
	w->o->payload_off = PSI_MIN(w->off + hdr_len, w->mem);
	w->o->payload_len = w->end - w->off - hdr_len;
	w->o->payload_cap = w->mem - w->o->payload_off;
}

int
layer_tcp(struct walk *w)
{
	const uint8_t *h = need(w, 20);
	uint32_t hdr_len;

	if (!h)
		return lack(w, 20);
	hdr_len = (h[12] >> 4) * 4u;
	if (hdr_len < 20 || hdr_len > w->end - w->off)
		return DONE(PSI_NET_MALFORMED);
	set_tuple(w, h, 6);
	tcp_set(w->o, h);
	set_payload(w, hdr_len);
	return DONE(PSI_NET_TCP);
}

/* Length 0 is what senders write that leave segmentation to their NIC (and RFC 2675); bytes behind the UDP length are
 * options (RFC 9868) or filling. */
int
layer_udp(struct walk *w)
{
	const uint8_t *h = need(w, 8);
	uint32_t len;
	int next;

	if (!h)
		return lack(w, 8);
	len = psi_be16(h + 4);
	if (!len)
		len = w->end - w->off;
	if (len < 8 || len > w->end - w->off)
		return DONE(PSI_NET_MALFORMED);
	trim(w, len);
	set_tuple(w, h, 17);
	set_payload(w, 8);
	next = by_udpport(psi_be16(h + 2));
	if (next < L_CNT) {
		w->off += 8;
		w->in_udp = true;
	}
	return next;
}
