/* SPDX-License-Identifier: BSD-3-Clause */
#include "worker_pvt.h"

#include <rte_byteorder.h>

/* How full a queue is, of 256. Bulk goes between the first two, which leaves half of a queue to bursts; connections only
 * where that did not help. */
enum { FILL_BULK = 128, FILL_ALL_BULK = 208, FILL_CONNS = 224 };
enum {
	CONNS_UP = 4,  /* shares a step while the queue is nearly full */
	CONNS_FALL = 4 /* part of them a step when it is half empty */
};

/* The length of an alert in TLS 1.3: level, description, content type and tag (RFC 8446 sections 5.2, 6; RFC 5116). */
#define ALERT_13 (2 + 1 + 16)

static uint32_t
bulk_share(uint32_t fill)
{
	if (fill <= FILL_BULK)
		return 0;
	return PSI_MIN(
		(fill - FILL_BULK) * SHED_SHARES / (FILL_ALL_BULK - FILL_BULK) + 1, SHED_SHARES);
}

/* Bulk follows the fill up at once, so that the queue stays where it is; down by a quarter at a time, so that it does not
 * swing. Connections are slow to be given up: a queue that was filled by a pause of the worker is empty again before. */
uint32_t
shed_level(uint32_t level, uint32_t fill)
{
	uint32_t bulk = PSI_MIN(level, SHED_SHARES), conns = level - bulk;

	if (fill >= FILL_CONNS)
		return PSI_MIN(SHED_SHARES + conns + CONNS_UP, SHED_LEVEL_MAX);
	if (conns && fill < FILL_BULK)
		return SHED_SHARES + conns - (conns + CONNS_FALL - 1) / CONNS_FALL;
	if (conns)
		return level - 1;
	bulk -= (bulk + 3) / 4;
	return PSI_MAX(bulk, bulk_share(fill));
}

void
psi_worker_pressure(struct psi_worker *w, uint32_t waiting, uint32_t room)
{
	uint32_t fill = room ? (uint32_t)((uint64_t)PSI_MIN(waiting, room) * 256 / room) : 0;

	w->shed.level = shed_level(w->shed.level, fill);
}

bool
psi_worker_pressed(const struct psi_worker *w)
{
	return w->shed.level > 0;
}

/* ---- packets ---- */

/* What a packet is, by itself. */
enum kind {
	KIND_BULK,   /* nobody will miss it */
	KIND_MIDDLE, /* bulk, unless a handshake is passing by */
	KIND_START,  /* shows that one is */
	KIND_END,    /* of a connection, or says why */
};

static enum kind
kind_of(uint8_t tcp_flags, const uint8_t *b, uint32_t cap, uint32_t len)
{
	uint32_t record;

	if (tcp_flags & (TCP_FIN | TCP_RST))
		return KIND_END;
	if (tcp_flags & TCP_SYN)
		return KIND_START;
	if (cap < 5 || b[1] != 3 || b[2] > 4)
		return KIND_MIDDLE;
	record = (uint32_t)b[3] << 8 | b[4];
	switch (b[0]) { /* a TLS record header (RFC 8446 section 5.1) */
	case PSI_CT_CHANGE_CIPHER_SPEC:
	case PSI_CT_HANDSHAKE: return KIND_START;
	case PSI_CT_ALERT: return KIND_END;
	case PSI_CT_APPLICATION_DATA:
		if (record == ALERT_13)
			return KIND_END;
		return len < record + 5 ? KIND_BULK : KIND_MIDDLE;
	default: return KIND_MIDDLE;
	}
}

/* Whether the packet is of a handshake: begun by a SYN or a handshake record, over with the first record that does not
 * fit into a packet, which passes (data tell that a handshake is over: without them its state would stay, and cost more
 * than the packet), and after so many packets in any case. Two connections that meet in one place: the later one has
 * it. */
static bool
guarded(struct shed *s, uint32_t hash, enum kind kind)
{
	uint16_t *g = &s->guard[(hash >> 6) % SHED_GUARDS], tag = (uint16_t)(hash >> 20 << 6);

	if (kind == KIND_START)
		*g = tag | SHED_GUARDED;
	else if ((*g & ~63u) != tag || !(*g & 63))
		return false;
	else if (kind == KIND_BULK)
		*g = 0;
	else
		(*g)--;
	return true;
}
_Static_assert(SHED_GUARDED < 64, "six bits");

/* The same for both directions; of IPv6 the last four bytes of an address do. */
static uint32_t
hash_of(const struct shed *s, uint32_t a, uint32_t b, uint16_t port_a, uint16_t port_b)
{
	uint64_t x = (uint64_t)(a ^ b) << 32 | (a + b),
		 y = (uint64_t)(port_a ^ port_b) << 32 | (uint32_t)(port_a + port_b);
	unsigned __int128 v = (unsigned __int128)(x + s->key[0]) * (y + s->key[1]);
	uint64_t h = ((uint64_t)v ^ (uint64_t)(v >> 64)) * 0x9e3779b97f4a7c15u;

	return (uint32_t)(h >> 32);
}

static uint32_t
hash_of_tuple(const struct shed *s, const struct psi_tuple *t)
{
	uint32_t a, b;

	memcpy(&a, t->addr[0] + 12, sizeof(a));
	memcpy(&b, t->addr[1] + 12, sizeof(b));
	return hash_of(s, a, b, t->port[0], t->port[1]);
}

static unsigned int
judge(struct shed *s, enum kind kind, uint32_t hash, uint64_t now_ns)
{
	uint32_t share = hash % SHED_SHARES;
	bool handshake;

	if (kind == KIND_END)
		return 0;
	handshake = guarded(s, hash, kind);
	if (share + (handshake ? SHED_SHARES : 0) >= s->level)
		return 0;
	s->last_ns = s->share_ns[share] = now_ns;
	return handshake ? SHED_NEW : SHED_BULK;
}

/* Where things are in a plain frame: Ethernet, IPv4 without options, TCP. */
enum {
	ETHER_TYPE = 12,
	IP = 14,
	IP_LEN = 16,
	IP_FRAG = 20,
	IP_PROTO = 23,
	IP_ADDR = 26,
	TCP = 34,
	TCP_OFF = 46,
	TCP_BITS = 47,
	PLAIN_MIN = 54
};

static bool
is_plain(const uint8_t *p, uint32_t len)
{
	return len >= PLAIN_MIN && p[ETHER_TYPE] == 8 && !p[ETHER_TYPE + 1] && p[IP] == 0x45 &&
	       p[IP_PROTO] == 6 && !(p[IP_FRAG] & 0x3f) && !p[IP_FRAG + 1];
}

static uint16_t
be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

unsigned int
shed_plain(struct shed *s, const struct rte_mbuf *m, uint64_t now_ns)
{
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);
	uint32_t off, end, addr[2];

	s->judged = false;
	if (!is_plain(p, m->data_len))
		return 0;
	off = TCP + (p[TCP_OFF] >> 4) * 4u;
	end = IP + be16(p + IP_LEN);
	if (off < PLAIN_MIN || end < off || m->data_len < off)
		return 0; /* the decoder says what is wrong */
	s->judged = true;
	memcpy(addr, p + IP_ADDR, sizeof(addr));
	return judge(s, kind_of(p[TCP_BITS], p + off, PSI_MIN(end, m->data_len) - off, end - off),
		hash_of(s, addr[0], addr[1], be16(p + TCP), be16(p + TCP + 2)), now_ns);
}

unsigned int
shed_tcp(struct shed *s, const struct rte_mbuf *m, const struct psi_pkt *p, uint64_t now_ns)
{
	uint32_t cap = p->payload_off < m->data_len
			       ? PSI_MIN(p->payload_cap, m->data_len - p->payload_off)
			       : 0;

	if (s->judged)
		return 0;
	return judge(s,
		kind_of(p->tcp_flags, rte_pktmbuf_mtod_offset(m, const uint8_t *, p->payload_off),
			cap, p->payload_len),
		hash_of_tuple(s, &p->tuple), now_ns);
}

bool
shed_since(const struct shed *s, const struct psi_tuple *t, uint64_t start_ns)
{
	return psi_unlikely(s->last_ns && s->last_ns >= start_ns) &&
	       s->share_ns[hash_of_tuple(s, t) % SHED_SHARES] >= start_ns;
}
