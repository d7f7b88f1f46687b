/* SPDX-License-Identifier: BSD-3-Clause */
/* The first byte of the input chooses one of two games; each ends with all mbufs back and a balanced ledger.
 * Even: steps of 3 bytes, each of them one piece of one of eight datagrams, whose bytes tell their place. A twin that keeps
 *   a map of bytes says what must become of it, and a datagram must come out byte for byte.
 * Odd: frames of any bytes, each behind its length; what the decoder calls a fragment is taken. */
#include "../unit/unit_eal.h"
#include "psi_frag.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define MBUFS	   1023
#define TIMEOUT_NS 100
#define SPACE	   512 /* bytes of a datagram's payload at most */
#define DATAGRAMS  8

/* What the twin knows of a datagram. */
struct twin {
	uint8_t owner[SPACE]; /* 1 + number of the piece that brought the byte */
	uint32_t off[16], len[16];
	bool more[16];
	uint32_t cnt, middle, end; /* end: 0 unknown */
	bool busy, given_up;
	uint64_t start_ns;
};

static struct rte_mempool *pool;
static struct psi_stats stats;
static struct psi_frag *frag;
static struct twin twins[DATAGRAMS];

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static void
start(void)
{
	struct psi_frag_config cfg = {
		.max = 64, .timeout_ns = TIMEOUT_NS, .hash_seed = 1, .socket = SOCKET_ID_ANY};

	pool = unit_pool(MBUFS);
	frag = psi_frag_open(&cfg, &stats);
	must(pool && frag);
}

static uint8_t
byte_at(uint32_t d, uint32_t i)
{
	return (uint8_t)(i * 31 + i / 256 + d * 57);
}

/* The raw IP packet of a piece; even datagrams are IPv4, odd ones IPv6. */
static struct rte_mbuf *
packet(uint32_t d, uint32_t off, uint32_t len, bool more)
{
	uint8_t p[48 + SPACE] = {0};
	uint32_t hdr = d & 1 ? 48 : 20, field = d & 1 ? off | more : off / 8 | (more ? 0x2000 : 0);
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

	must(m != NULL);
	if (d & 1) {
		p[0] = 0x60;
		p[4] = (uint8_t)((8 + len) >> 8);
		p[5] = (uint8_t)(8 + len);
		p[6] = 44;
		p[40] = 6;
		p[47] = (uint8_t)d;
	} else {
		p[0] = 0x45;
		p[2] = (uint8_t)((20 + len) >> 8);
		p[3] = (uint8_t)(20 + len);
		p[5] = (uint8_t)d;
		p[9] = 6;
	}
	p[d & 1 ? 42 : 6] = (uint8_t)(field >> 8);
	p[d & 1 ? 43 : 7] = (uint8_t)field;
	for (uint32_t i = 0; i < len; i++)
		p[hdr + i] = byte_at(d, off + i);
	memcpy(rte_pktmbuf_append(m, (uint16_t)(hdr + len)), p, hdr + len);
	return m;
}

static bool
same_piece(const struct twin *t, uint32_t k, uint32_t off, uint32_t len, bool more)
{
	return t->off[k] == off && t->len[k] == len && t->more[k] == more;
}

/* disagrees: the piece brings a byte that is there, or one behind the end, or an end that is none. */
static bool
disagrees(const struct twin *t, uint32_t off, uint32_t len, bool more)
{
	for (uint32_t i = off; i < off + len; i++)
		if (t->owner[i] || (t->end && i >= t->end))
			return true;
	for (uint32_t i = off + len; !more && i < SPACE; i++)
		if (t->owner[i])
			return true;
	return !more && t->end;
}

/* Returns the length of the datagram when the piece completes it, else 0. */
static uint32_t
twin_put(struct twin *t, uint32_t off, uint32_t len, bool more, uint64_t now)
{
	uint32_t have = 0;

	if (t->busy && t->start_ns + TIMEOUT_NS < now)
		memset(t, 0, sizeof(*t));
	if (!len || (more && len % 8))
		return 0;
	if (!t->busy)
		*t = (struct twin){.busy = true, .start_ns = now};
	for (uint32_t k = 0; k < t->cnt; k++)
		if (same_piece(t, k, off, len, more))
			return 0;
	t->given_up |= disagrees(t, off, len, more) ||
		       (more && off && t->middle == PSI_FRAG_PIECE_MAX - 2);
	if (t->given_up)
		return 0;
	t->off[t->cnt] = off;
	t->len[t->cnt] = len;
	t->more[t->cnt++] = more;
	memset(t->owner + off, (int)t->cnt, len);
	t->middle += more && off;
	t->end = more ? t->end : off + len;
	for (uint32_t i = 0; i < SPACE; i++)
		have += t->owner[i] != 0;
	if (!t->end || have < t->end)
		return 0;
	memset(t, 0, sizeof(*t));
	return have;
}

static struct rte_mbuf *
put(struct rte_mbuf *m, const struct psi_pkt *pkt, uint64_t now)
{
	psi_stat_inc(&stats, PSI_STAT_pkt_rx);
	m = psi_frag_put(frag, m, pkt, now);
	if (m)
		psi_stat_inc(&stats, PSI_STAT_pkt_other_ip);
	return m;
}

static void
check_datagram(struct rte_mbuf *m, uint32_t d, uint32_t len)
{
	uint32_t hdr = d & 1 ? 40 : 20;
	uint8_t buf[40 + SPACE];
	const uint8_t *p = rte_pktmbuf_read(m, 0, hdr + len, buf);

	must(p && m->pkt_len == hdr + len);
	for (uint32_t i = 0; i < len; i++)
		must(p[hdr + i] == byte_at(d, i));
	rte_mbuf_sanity_check(m, 1);
	rte_pktmbuf_free(m);
}

/* A step: datagram, more, time (byte 0), offset / 8 (byte 1), length (byte 2). */
static uint64_t
play_pieces(const uint8_t *data, size_t len, uint64_t now)
{
	memset(twins, 0, sizeof(twins));
	for (; len >= 3; data += 3, len -= 3) {
		uint32_t d = data[0] & 7, off = data[1] % 32 * 8u, n = data[2], whole;
		bool more = data[0] & 8;
		struct rte_mbuf *m;
		struct psi_pkt pkt;

		now += data[0] >> 4;
		if (!more && !off)
			continue; /* not a fragment */
		m = packet(d, off, n, more);
		if (psi_net_decode(PSI_LINK_RAW, rte_pktmbuf_mtod(m, uint8_t *), m->data_len,
			    m->pkt_len, PSI_NET_ID_DEFAULT, &pkt) != PSI_NET_FRAGMENT)
			abort();
		whole = twin_put(&twins[d], off, n, more, now);
		m = put(m, &pkt, now);
		must(!m == !whole);
		if (m)
			check_datagram(m, d, whole);
	}
	return now;
}

static uint64_t
play_frames(const uint8_t *data, size_t len, uint64_t now)
{
	for (; len > 2; now += 7) {
		uint32_t n = PSI_MIN((uint32_t)data[0], (uint32_t)len - 2);
		struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
		struct psi_pkt pkt;
		enum psi_net_rc rc;

		must(m != NULL);
		memcpy(rte_pktmbuf_append(m, (uint16_t)n), data + 2, n);
		rc = psi_net_decode(data[1] & 1 ? PSI_LINK_ETHERNET : PSI_LINK_RAW,
			rte_pktmbuf_mtod(m, uint8_t *), n, n, PSI_NET_ID_DEFAULT, &pkt);
		while (m && rc == PSI_NET_FRAGMENT) {
			m = put(m, &pkt, now);
			if (m)
				rc = psi_net_decode_joined(rte_pktmbuf_mtod(m, uint8_t *),
					m->data_len, m->pkt_len, PSI_NET_ID_DEFAULT, &pkt);
		}
		rte_pktmbuf_free(m);
		data += 2 + n;
		len -= 2 + n;
	}
	return now;
}

/* One table for all inputs, since setting one up takes longer than most of them; each begins with the table empty. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint64_t sum[PSI_STAT_CNT] = {0};
	static uint64_t now;

	if (!pool)
		start();
	if (!len || len > 4096)
		return 0;
	memset(&stats, 0, sizeof(stats));
	if (data[0] & 1)
		now = play_frames(data + 1, len - 1, now);
	else
		now = play_pieces(data + 1, len - 1, now);
	psi_frag_stop(frag);
	psi_stats_sum(&stats, sum);
	must(psi_stats_balance(sum, PSI_STAT_PKT_IN, 0) == 0);
	must(rte_mempool_avail_count(pool) == MBUFS);
	return 0;
}
