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
kind_of(const struct rte_mbuf *m, const struct psi_pkt *p)
{
	const uint8_t *b = rte_pktmbuf_mtod_offset(m, const uint8_t *, p->payload_off);

	if (p->tcp_flags & (TCP_FIN | TCP_RST))
		return KIND_END;
	if (p->tcp_flags & TCP_SYN)
		return KIND_START;
	if (p->payload_cap < 5 || p->payload_off + 5u > m->data_len || b[1] != 3 || b[2] > 4)
		return KIND_MIDDLE;
	switch (b[0]) { /* a TLS record header (RFC 8446 section 5.1) */
	case PSI_CT_CHANGE_CIPHER_SPEC:
	case PSI_CT_HANDSHAKE: return KIND_START;
	case PSI_CT_ALERT: return KIND_END;
	case PSI_CT_APPLICATION_DATA:
		return (b[3] << 8 | b[4]) == ALERT_13		  ? KIND_END
		       : p->payload_len < (b[3] << 8 | b[4]) + 5u ? KIND_BULK
								  : KIND_MIDDLE;
	default: return KIND_MIDDLE;
	}
}

/* Whether the packet is of a handshake: begun by a SYN or a handshake record, over with the first record that does not
 * fit into a packet, and after so many packets in any case. Two connections that meet in one place: the later one has
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
	return kind != KIND_BULK;
}
_Static_assert(SHED_GUARDED < 64, "six bits");

unsigned int
shed_tcp(struct shed *s, const struct rte_mbuf *m, const struct psi_pkt *p, uint32_t hash,
	uint64_t now_ns)
{
	uint32_t share = hash % SHED_SHARES;
	enum kind kind = kind_of(m, p);
	bool handshake;

	if (kind == KIND_END)
		return 0;
	handshake = guarded(s, hash, kind);
	if (share + (handshake ? SHED_SHARES : 0) >= s->level)
		return 0;
	s->last_ns = s->share_ns[share] = now_ns;
	return handshake ? SHED_NEW : SHED_BULK;
}
