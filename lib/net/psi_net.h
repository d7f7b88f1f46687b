/* SPDX-License-Identifier: BSD-3-Clause */
/* psi_net.h: from the bytes of a frame to its innermost TCP or UDP flow: addresses, ports, TCP fields, payload span.
 *
 * Reads Ethernet, Linux cooked v1/v2, raw IP, null/loopback and PPP frames; VLAN tags, MPLS, PPPoE; IPv4 (RFC 791)
 * and IPv6 (RFC 8200) with their extension headers; the tunnels of net_layers.def. Checksums are not verified: a
 * tap sees packets before the sender's NIC has filled them in. Lengths of 0 that such a NIC would fill in (IPv4 total
 * length, IPv6 payload length, UDP length) mean: as much as the frame holds.
 * Out of scope: fragments are told apart, not put together; QUIC.
 * Thread: pure functions, no state; any thread. Hot. Never reads outside [p, p+len). */
#ifndef PSI_NET_H
#define PSI_NET_H

#include "psi_base.h"

#define PSI_NET_VLAN_MAX \
	4 /* VLAN tags kept, outermost first; further ones are followed but not kept */
#define PSI_NET_TUNNEL_MAX 4  /* tunnel headers kept, likewise */
#define PSI_NET_LAYER_MAX  16 /* headers walked before TCP or UDP; more is DROP_DEPTH */

/* How the first byte of a frame is to be read. */
enum psi_link {
	PSI_LINK_ETHERNET,
	PSI_LINK_SLL,  /* Linux cooked v1 */
	PSI_LINK_SLL2, /* Linux cooked v2 */
	PSI_LINK_RAW,  /* IPv4 or IPv6, told by the version nibble */
	PSI_LINK_NULL, /* BSD loopback, 4 bytes of address family in either byte order */
	PSI_LINK_PPP,  /* PPP, with or without HDLC framing */
};

/* What became of a frame. */
enum psi_net_rc {
	PSI_NET_TCP,	  /* all fields of struct psi_pkt are set but frag_id and frag_off */
	PSI_NET_UDP,	  /* likewise, and but the tcp_ fields */
	PSI_NET_FRAGMENT, /* an IP fragment: frag_*, l3_off, note, vlan, tunnel are set, payload_* is its
			    * piece of the datagram; of the tuple only vlan, tunnel, tunnel_id */
	PSI_NET_OTHER_IP,  /* IP, but no TCP or UDP inside */
	PSI_NET_NOT_IP,	   /* no IP inside */
	PSI_NET_SHORT,	   /* the capture, or its contiguous start, ends inside a header */
	PSI_NET_MALFORMED, /* a header contradicts itself */
	PSI_NET_DEPTH,	   /* more layers than PSI_NET_LAYER_MAX */
	PSI_NET_RC_CNT
};

/* Kinds of tunnel, with the meaning of the id kept for each. Values leave the machine: append, never renumber. */
enum psi_tunnel {
#define TUNNEL(sym, value, name, id_name, identity) PSI_TUNNEL_##sym = value,
#include "tunnels.def"
#undef TUNNEL
};

/* psi_tunnel_name: "vxlan"; psi_tunnel_id_name: what its id is called ("vni"), NULL when it has none. */
const char *psi_tunnel_name(enum psi_tunnel t);
const char *psi_tunnel_id_name(enum psi_tunnel t);

/* Who talks to whom, the same for both directions: the lower (address, port) pair comes first. Compared as bytes, so
 * every byte is always set. 44 bytes leave 20 of a cache line for the state of a flow. */
struct psi_tuple {
	uint8_t addr[2][16]; /* IPv4 as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2) */
	uint16_t port[2];    /* host order */
	uint32_t
		tunnel_id; /* of the innermost tunnel that tells flows apart (tunnels.def), 0 if none or left out */
	uint16_t vlan;	/* innermost VLAN id, 0 if none or if identity leaves it out */
	uint8_t tunnel; /* enum psi_tunnel, likewise */
	uint8_t proto;	/* IPPROTO_TCP or IPPROTO_UDP */
};
_Static_assert(sizeof(struct psi_tuple) == 44, "no padding: compared and hashed as bytes");

/* What a packet is, beside its bytes. */
enum psi_pkt_note {
	PSI_PKT_CUT = 1,    /* captured shorter than its IP length says */
	PSI_PKT_PADDED = 2, /* bytes behind the IP packet, not payload */
	PSI_PKT_IPV4 = 4,   /* the innermost IP header is IPv4 */
};

struct psi_pkt {
	struct psi_tuple tuple;
	uint8_t sender; /* 0 or 1: which of tuple.addr sent it */
	uint8_t note;	/* enum psi_pkt_note bits */
	uint8_t tcp_flags; /* FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128 (RFC 9293 section 3.1) */
	uint8_t vlan_cnt;   /* valid elements of vlan */
	uint8_t tunnel_cnt; /* valid elements of tunnel */
	uint8_t frag_more;  /* FRAGMENT: the more-fragments bit */
	uint16_t tcp_win;   /* as sent, not scaled */
	uint32_t tcp_seq, tcp_ack;
	uint32_t payload_off; /* from the start of the frame, <= its length */
	uint32_t payload_len; /* bytes that the IP header promises */
	uint32_t payload_cap; /* bytes that were captured, <= payload_len */
	uint32_t l3_off;      /* of the innermost IP header, from the start of the frame */
	uint32_t frag_id;     /* FRAGMENT: identification */
	uint32_t frag_off;    /* FRAGMENT: offset in bytes */
	uint16_t vlan[PSI_NET_VLAN_MAX]; /* ids, outermost first */
	struct {
		uint32_t id;
		uint8_t type;	      /* enum psi_tunnel */
	} tunnel[PSI_NET_TUNNEL_MAX]; /* outermost first */
};

/* What belongs to the identity of a flow. */
enum psi_net_identity {
	PSI_NET_ID_VLAN = 1, /* the innermost VLAN id that is not 0 */
	PSI_NET_ID_TUNNEL =
		2, /* kind and id of the innermost tunnel, as far as both directions share them */
};
#define PSI_NET_ID_DEFAULT (PSI_NET_ID_VLAN | PSI_NET_ID_TUNNEL)

/* psi_net_decode reads one frame.
 * p, len: the contiguous start of the frame. frame_len: bytes of the whole frame in memory, >= len, which may go on
 *   in further segments; headers must lie within [p, p+len), the payload need not.
 * identity: enum psi_net_identity bits.
 * out: filled as far as the result says; read during the call only, no pointer into p is kept.
 * Returns the result. out->l3_off is 0 when no IP header was reached (and in a raw IP frame). */
enum psi_net_rc psi_net_decode(enum psi_link link, const uint8_t *p, uint32_t len,
	uint32_t frame_len, unsigned int identity, struct psi_pkt *out);

/* psi_net_decode_joined goes on where psi_net_decode said FRAGMENT, once the datagram has been put together.
 * p, len, pkt_len: the datagram, from its IP header; as for psi_net_decode.
 * pkt: as psi_net_decode left it for any of the fragments: its tags and tunnels stand in front of the datagram's. The
 *   offsets are from p afterwards.
 * Returns the result; FRAGMENT again when the datagram holds a fragment inside a tunnel. */
enum psi_net_rc psi_net_decode_joined(const uint8_t *p, uint32_t len, uint32_t pkt_len,
	unsigned int identity, struct psi_pkt *pkt);

#endif
