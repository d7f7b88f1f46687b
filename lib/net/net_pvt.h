/* SPDX-License-Identifier: BSD-3-Clause */
/* net_pvt.h: the walk over the headers of a frame, shared by decode.c, walk.c and tunnel.c.
 *
 * Invariant, true between layers: off <= have <= mem <= end, and have <= the caller's len. A layer asks need() for its
 * header, judges it, advances off over it and names the layer behind. Nothing else reads the frame. */
#ifndef PSI_NET_PVT_H
#define PSI_NET_PVT_H

#include "psi_net.h"

#include "psi_cursor.h"

enum layer {
#define LAYER(name) L_##name,
#define ETHERTYPE(value, name)
#define PPPTYPE(value, name)
#define IPPROTO(value, name)
#define UDPPORT(value, name)
#include "net_layers.def"
#undef LAYER
#undef ETHERTYPE
#undef PPPTYPE
#undef IPPROTO
#undef UDPPORT
	L_CNT
};

/* What a layer answers: the layer behind it, or DONE with a result. */
#define DONE(rc) (L_CNT + (int)(rc))

struct walk {
	const uint8_t *p; /* the frame */
	uint32_t off;	  /* next header */
	uint32_t have;	  /* headers are read below this */
	uint32_t mem;	  /* bytes in memory of what the enclosing headers hold */
	uint32_t
		end; /* end that the enclosing IP headers promise; beyond mem when the capture is cut */
	bool in_ip; /* an IP header was seen */
	bool in_udp; /* the layer was reached by its UDP port: told from plain UDP by its look only */
	bool v6;     /* the innermost IP header is IPv6 */
	uint8_t tunnel; /* innermost tunnel that tells flows apart, with its id */
	uint16_t vlan;	/* innermost VLAN id, 0 none */
	uint32_t tunnel_id;
	unsigned int identity;
	struct psi_pkt *o;
};

/* need: the next header, n bytes of it, or NULL. */
static inline const uint8_t *
need(const struct walk *w, uint32_t n)
{
	return n <= w->have - w->off ? w->p + w->off : NULL;
}

/* lack: what it means that need(n) failed: the IP length leaves no room for the header, or the capture ends. */
static inline int
lack(const struct walk *w, uint32_t n)
{
	return DONE(w->in_ip && n > w->end - w->off ? PSI_NET_MALFORMED : PSI_NET_SHORT);
}

/* no_flow: an end without TCP or UDP. */
static inline int
no_flow(const struct walk *w)
{
	return DONE(w->in_ip ? PSI_NET_OTHER_IP : PSI_NET_NOT_IP);
}

/* trim: an enclosed length says that the packet ends n bytes behind off, n <= end - off. */
static inline void
trim(struct walk *w, uint32_t n)
{
	w->end = w->off + n;
	w->mem = PSI_MIN(w->mem, w->end);
	w->have = PSI_MIN(w->have, w->end);
}

/* The layer that a value announces; no_flow when none does. */
int by_ethertype(const struct walk *w, uint32_t type);
int by_ppptype(const struct walk *w, uint32_t type);
int by_ipproto(const struct walk *w, uint32_t proto);

/* enter: a tunnel header was read. has_id: id means something. */
void enter(struct walk *w, enum psi_tunnel kind, uint32_t id, bool has_id);

/* For payloads that nothing announces: does what stands at off look like an IP packet; does what stands n bytes behind
 * off look like an Ethernet frame of a type that we know? */
bool ip_at(const struct walk *w);
bool ether_at(const struct walk *w, uint32_t n);

/* by_nibble: IPv4 or IPv6 by the version nibble at off. */
int by_nibble(const struct walk *w);

/* walk_run reads layers, beginning with first, until one is DONE. */
enum psi_net_rc walk_run(struct walk *w, int first);

#define LAYER(name) int layer_##name(struct walk *w);
#define ETHERTYPE(value, name)
#define PPPTYPE(value, name)
#define IPPROTO(value, name)
#define UDPPORT(value, name)
#include "net_layers.def"
#undef LAYER
#undef ETHERTYPE
#undef PPPTYPE
#undef IPPROTO
#undef UDPPORT

static inline uint64_t
be64(const uint8_t *p)
{
	return (uint64_t)psi_be32(p) << 32 | psi_be32(p + 4);
}

/* two: eight bytes, the first four of them those of a. The hash of a tuple reads it in words of eight, which must
 * not come right behind stores of fewer: the processor would wait for these to reach the cache. */
static inline uint64_t
two(uint32_t a, uint32_t b)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return a | (uint64_t)b << 32;
#else
	return b | (uint64_t)a << 32;
#endif
}

static inline uint32_t
two16(uint16_t a, uint16_t b)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return a | (uint32_t)b << 16;
#else
	return b | (uint32_t)a << 16;
#endif
}

static inline uint16_t
two8(uint8_t a, uint8_t b)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return (uint16_t)(a | b << 8);
#else
	return (uint16_t)(b | a << 8);
#endif
}

/* tuple_ports: ports and tunnel_id, the latter 0. */
static inline void
tuple_ports(struct psi_tuple *t, uint16_t port0, uint16_t port1)
{
	uint64_t word = two(two16(port0, port1), 0);

	memcpy(t->port, &word, sizeof(word));
}

/* tuple_set4, tuple_set6: writes the canonical tuple's addresses and ports, and a tunnel_id of 0; returns which side is
 * the sender. a: the source address on the wire, the destination's right behind it. Who sends is as random as it gets:
 * no branch on it. */
static inline uint32_t
tuple_set4(struct psi_tuple *t, const uint8_t *a, uint16_t sport, uint16_t dport)
{
	uint64_t src = (uint64_t)psi_be32(a) << 16 | sport,
		 dst = (uint64_t)psi_be32(a + 4) << 16 | dport, word;
	uint32_t sender = src > dst, swap = 0 - sender, from, to, flip;

	memcpy(&from, a, 4);
	memcpy(&to, a + 4, 4);
	flip = (from ^ to) & swap;
	memset(t->addr[0], 0, 8);
	memset(t->addr[1], 0, 8);
	word = two(two16(0, 0xffff), from ^ flip); /* RFC 4291 section 2.5.5.2 */
	memcpy(t->addr[0] + 8, &word, 8);
	word = two(two16(0, 0xffff), to ^ flip);
	memcpy(t->addr[1] + 8, &word, 8);
	flip = (uint32_t)(sport ^ dport) & swap;
	tuple_ports(t, (uint16_t)(sport ^ flip), (uint16_t)(dport ^ flip));
	return sender;
}

static inline uint32_t
tuple_set6(struct psi_tuple *t, const uint8_t *a, uint16_t sport, uint16_t dport)
{
	uint64_t s0 = be64(a), s1 = be64(a + 8), d0 = be64(a + 16), d1 = be64(a + 24);
	uint32_t sender = s0 != d0 ? s0 > d0 : s1 != d1 ? s1 > d1 : sport > dport;
	uint32_t flip = (uint32_t)(sport ^ dport) & (0 - sender);

	memcpy(t->addr[sender], a, 16);
	memcpy(t->addr[!sender], a + 16, 16);
	tuple_ports(t, (uint16_t)(sport ^ flip), (uint16_t)(dport ^ flip));
	return sender;
}

/* tcp_set: the TCP fields of a header at h, 20 bytes of it readable. */
static inline void
tcp_set(struct psi_pkt *o, const uint8_t *h)
{
	o->tcp_seq = psi_be32(h + 4);
	o->tcp_ack = psi_be32(h + 8);
	o->tcp_flags = h[13];
	o->tcp_win = psi_be16(h + 14);
}

#endif
