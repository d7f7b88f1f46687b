/* SPDX-License-Identifier: BSD-3-Clause */
#include "worker_pvt.h"

#include <rte_prefetch.h>

/* The law of PIE (RFC 8033 section 4.2) over shares of connections in the place of a probability: the level follows what
 * the queue holds beyond a little, summed up, so that it comes to rest where just the excess is dropped; and how fast the
 * queue grows or shrinks, so that it does not swing. As there (section 5.1), it begins only when the queue has filled. */
enum {
	FILL_BEGIN = 128, /* of 256: a queue is there for bursts */
	FILL_WANTED = 32,
	SWIFT = 4, /* weight of a change of the fill, of the fill itself 1 */
	UNIT = 8,  /* of control, a share */
	CONNS_UP =
		1, /* share a step: a queue that was filled by a pause is empty before it costs many */
};

#define LATELY_NS 4000000000u

/* The length of an alert in TLS 1.3: level, description, content type and tag (RFC 8446 sections 5.2, 6; RFC 5116). */
#define ALERT_13 (2 + 1 + 16)

void
shed_control(struct shed *s, uint32_t fill)
{
	int32_t most = PSI_MAX(s->control, SHED_SHARES * UNIT) + CONNS_UP * UNIT,
		next = s->control + (int32_t)fill - FILL_WANTED +
		       SWIFT * ((int32_t)fill - (int32_t)s->fill);

	s->fill = fill;
	if (!s->level && fill <= FILL_BEGIN)
		return;
	most = PSI_MIN(most, SHED_LEVEL_MAX * UNIT);
	s->control = PSI_MAX(PSI_MIN(next, most), 0);
	s->level = ((uint32_t)s->control + UNIT - 1) / UNIT;
}

void
psi_worker_pressure(struct psi_worker *w, uint32_t waiting, uint32_t room)
{
	shed_control(
		&w->shed, room ? (uint32_t)((uint64_t)PSI_MIN(waiting, room) * 256 / room) : 0);
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

static uint16_t
be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t
be32(const uint8_t *p)
{
	return (uint32_t)be16(p) << 16 | be16(p + 2);
}

static bool
is_plain(const uint8_t *p, uint32_t len)
{
	return len >= PLAIN_MIN && be32(p + ETHER_TYPE) >> 8 == 0x080045 &&
	       (be32(p + IP_FRAG) & 0x3fff00ff) == 6;
}

/* Whether a packet is to be looked at: of a share that is dropped, or the first of a handshake. Most of the others cost
 * no more than their hash. */
static bool
concerned(const struct shed *s, uint32_t hash, uint8_t tcp_flags)
{
	return (hash % SHED_SHARES < s->level) | ((tcp_flags & TCP_SYN) != 0);
}

static uint32_t
hash_of_plain(const struct shed *s, const uint8_t *p)
{
	uint32_t addr[2];

	memcpy(addr, p + IP_ADDR, sizeof(addr));
	return hash_of(s, addr[0], addr[1], be16(p + TCP), be16(p + TCP + 2));
}

/* Where TCP's payload begins and ends. False when that is not for a glance to say: the decoder knows whether there is any,
 * and that a total length of 0 is a sender's which leaves segmentation to its NIC. */
static bool
payload_of(const uint8_t *p, uint32_t len, uint32_t *off, uint32_t *end)
{
	*off = TCP + (p[TCP_OFF] >> 4) * 4u;
	*end = IP + be16(p + IP_LEN);
	return *off >= PLAIN_MIN && *end >= *off && len >= *off;
}

void
shed_plain(struct shed *s, struct rte_mbuf *const *m, uint16_t n, uint64_t now_ns,
	struct shed_bits *out)
{
	uint32_t hash[PSI_WORKER_BURST], some = 0;

	/* two lines: behind TCP's options the record header is in the second */
	for (uint16_t i = 0; i < n; i++) {
		rte_prefetch0(rte_pktmbuf_mtod(m[i], const uint8_t *));
		rte_prefetch0(rte_pktmbuf_mtod_offset(m[i], const uint8_t *, 64));
	}
	memset(out, 0, sizeof(*out));
	for (uint16_t i = 0; i < n; i++) {
		const uint8_t *p = rte_pktmbuf_mtod(m[i], const uint8_t *);

		if (psi_unlikely(!is_plain(p, m[i]->data_len)))
			continue;
		hash[i] = hash_of_plain(s, p);
		out->plain |= 1u << i;
		some |= (uint32_t)concerned(s, hash[i], p[TCP_BITS]) << i;
	}
	for (; some; some &= some - 1) {
		unsigned int i = (unsigned int)__builtin_ctz(some), rc;
		const uint8_t *p = rte_pktmbuf_mtod(m[i], const uint8_t *);
		uint32_t off, end;

		if (psi_unlikely(!payload_of(p, m[i]->data_len, &off, &end))) {
			out->plain &= ~(1u << i);
			continue;
		}
		rc = judge(s,
			kind_of(p[TCP_BITS], p + off, PSI_MIN(end, m[i]->data_len) - off,
				end - off),
			hash[i], now_ns);
		out->bulk |= (uint32_t)(rc == SHED_BULK) << i;
		out->fresh |= (uint32_t)(rc == SHED_NEW) << i;
	}
}

uint16_t
shed_burst(struct psi_worker *w, struct rte_mbuf **m, const uint64_t **ts_ns,
	const uint32_t **wire_len, uint16_t n)
{
	struct rte_mbuf *out[PSI_WORKER_BURST];
	struct shed *s = &w->shed;
	struct shed_bits is;
	uint16_t cnt = 0, left = 0;
	uint32_t gone, kept;
	uint64_t bytes = 0;

	shed_plain(s, m, n, w->now_ns, &is);
	s->judged = is.plain;
	gone = is.bulk | is.fresh;
	if (!gone)
		return n;
	kept = (uint32_t)((UINT64_C(1) << n) - 1) & ~gone;
	for (; gone; gone &= gone - 1) {
		unsigned int i = (unsigned int)__builtin_ctz(gone);

		bytes += (*wire_len)[i];
		out[cnt++] = m[i];
	}
	s->judged = 0;
	for (; kept; kept &= kept - 1, left++) {
		unsigned int i = (unsigned int)__builtin_ctz(kept);

		s->judged |= (is.plain >> i & 1) << left;
		s->ts_ns[left] = (*ts_ns)[i];
		s->wire_len[left] = (*wire_len)[i];
		m[left] = m[i];
	}
	*ts_ns = s->ts_ns;
	*wire_len = s->wire_len;
	psi_stat_add(&w->stats, PSI_STAT_pkt_rx, cnt);
	psi_stat_add(&w->stats, PSI_STAT_pkt_rx_bytes, bytes);
	psi_stat_add(&w->stats, PSI_STAT_pkt_drop_shed_bulk, (uint64_t)__builtin_popcount(is.bulk));
	psi_stat_add(&w->stats, PSI_STAT_pkt_drop_shed_new, (uint64_t)__builtin_popcount(is.fresh));
	worker_give_back(out, cnt);
	return left;
}

unsigned int
shed_tcp(struct shed *s, const struct rte_mbuf *m, const struct psi_pkt *p, uint64_t now_ns)
{
	uint32_t hash = hash_of_tuple(s, &p->tuple), cap;

	if (!concerned(s, hash, p->tcp_flags))
		return 0;
	cap = p->payload_off < m->data_len ? PSI_MIN(p->payload_cap, m->data_len - p->payload_off)
					   : 0;
	return judge(s,
		kind_of(p->tcp_flags, rte_pktmbuf_mtod_offset(m, const uint8_t *, p->payload_off),
			cap, p->payload_len),
		hash, now_ns);
}

bool
shed_since(const struct shed *s, const struct psi_tuple *t, uint64_t start_ns)
{
	return psi_unlikely(s->last_ns && s->last_ns >= start_ns) &&
	       s->share_ns[hash_of_tuple(s, t) % SHED_SHARES] >= start_ns;
}

bool
shed_lately(const struct shed *s, const struct psi_tuple *t, uint64_t now_ns)
{
	return psi_unlikely(s->last_ns) && now_ns - s->last_ns < LATELY_NS &&
	       now_ns - s->share_ns[hash_of_tuple(s, t) % SHED_SHARES] < LATELY_NS;
}
