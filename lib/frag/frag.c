/* SPDX-License-Identifier: BSD-3-Clause */
/* rte_ip_frag keeps the pieces and chains them; it knows neither tunnels nor overlaps, takes repetitions for
 * errors, believes lengths that the capture does not hold, and wants the IPv6 fragment header right behind the fixed
 * one. So every piece is checked here first, against the pieces known of its datagram, and reaches rte_ip_frag under a
 * name of ours in place of addresses and identification: the slot of the datagram and the slot's use count. Two
 * datagrams never share a name, and nothing that a sender chooses decides where rte_ip_frag looks. */
#define ALLOW_EXPERIMENTAL_API /* rte_ip_frag_table_del_expired_entries: mbufs come back when fragments stop coming */
#include "psi_frag.h"

#include "psi_pool.h"

#include <rte_ip.h>
#include <rte_ip_frag.h>
#include <rte_jhash.h>
#include <rte_malloc.h>

#include <stdlib.h>

/* rte_ip_frag keeps a place each for the first and the last piece. */
#define MIDDLE_MAX (PSI_FRAG_PIECE_MAX - 2)

#define BUCKET_ENTRIES 4
#define V6_FRAG_LEN    8
#define IP_HDR_MAX     60

struct key {
	uint8_t addr[2][16]; /* source, destination; IPv4 in the first 4 bytes */
	uint32_t id;
	uint32_t tunnel_id;
	uint16_t vlan;
	uint8_t tunnel;
	uint8_t proto; /* IPv4: the protocol; IPv6: 0, since only the first piece has it for sure (RFC 8200 section 4.5) */
	uint32_t v6;
};
_Static_assert(sizeof(struct key) == 48, "no padding: compared and hashed as bytes");

/* A piece: [off, end) of the datagram's payload. */
struct piece {
	uint32_t off, end;
};

/* One datagram in work. Slots in use hang in their bucket's chain and in the list by age, oldest first. */
struct slot {
	struct key key;
	struct piece piece[PSI_FRAG_PIECE_MAX];
	uint32_t piece_cnt, middle_cnt;
	uint32_t total; /* payload length, 0 until the last piece was seen */
	uint32_t use;	/* how many datagrams had this slot; part of the name */
	uint32_t bucket, chain, older, younger;
	uint32_t held; /* mbufs */
	bool given_up; /* further pieces are dropped until the timeout */
	uint64_t start_ns;
};

struct psi_frag {
	struct psi_stats *stats;
	struct rte_ip_frag_tbl *tbl;
	struct rte_ip_frag_death_row dead;
	struct psi_pool pool; /* of struct slot */
	uint32_t *bucket;     /* first slot of the chain */
	uint32_t bucket_mask, seed;
	uint32_t held, held_max; /* mbufs of all slots */
	uint32_t oldest, youngest;
	uint64_t timeout_ns;
	struct psi_frag_config
		late; /* prepare is not NULL: what alloc_all is still to be called with */
};

/* The headers that rte_ip_frag is shown: real lengths and offsets, names of ours. */
struct shown_v6 {
	struct rte_ipv6_hdr ip;
	struct rte_ipv6_fragment_ext frag;
} __attribute__((packed));

/* ---- set-up ---- */

static bool
alloc_all(struct psi_frag *f, const struct psi_frag_config *cfg)
{
	uint32_t buckets = rte_align32pow2(cfg->max);
	void *slots = rte_zmalloc_socket(
		"psi_frag", psi_pool_footprint(sizeof(struct slot), cfg->max), 64, cfg->socket);

	if (slots)
		psi_pool_init(&f->pool, slots, sizeof(struct slot), cfg->max);
	f->bucket = rte_malloc_socket("psi_frag", buckets * sizeof(uint32_t), 64, cfg->socket);
	/* twice as many entries as datagrams, so that its buckets hardly ever fill */
	f->tbl = rte_ip_frag_table_create(PSI_MAX(buckets / BUCKET_ENTRIES, 1u), BUCKET_ENTRIES,
		cfg->max, cfg->timeout_ns, cfg->socket);
	if (!slots || !f->bucket || !f->tbl)
		return false;
	f->bucket_mask = buckets - 1;
	for (uint32_t b = 0; b < buckets; b++)
		f->bucket[b] = PSI_POOL_NONE;
	return true;
}

static void
free_all(struct psi_frag *f)
{
	if (f->tbl)
		rte_ip_frag_table_destroy(f->tbl);
	rte_free(f->bucket);
	rte_free(f->pool.mem);
	f->tbl = NULL;
	f->bucket = NULL;
	f->pool = (struct psi_pool){0};
}

struct psi_frag *
psi_frag_open(const struct psi_frag_config *cfg, struct psi_stats *stats)
{
	struct psi_frag *f;

	if (!cfg->max || cfg->max > 1u << 24 || !cfg->timeout_ns ||
		cfg->timeout_ns > UINT64_MAX / 4)
		return NULL;
	f = calloc(1, sizeof(*f));
	if (!f)
		return NULL;
	f->stats = stats;
	f->seed = cfg->hash_seed;
	f->held_max = cfg->mbuf_max ? cfg->mbuf_max : UINT32_MAX;
	f->timeout_ns = cfg->timeout_ns;
	f->oldest = f->youngest = PSI_POOL_NONE;
	if (cfg->prepare) {
		f->late = *cfg;
	} else if (!alloc_all(f, cfg)) {
		psi_frag_close(f);
		return NULL;
	}
	return f;
}

/* The memory that was not taken at once: tried when the first fragment comes, and no more. */
static bool
alloc_late(struct psi_frag *f)
{
	struct psi_frag_config cfg = f->late;

	f->late.prepare = NULL;
	if (!cfg.prepare || !cfg.prepare())
		return false;
	if (alloc_all(f, &cfg))
		return true;
	free_all(f);
	return false;
}

void
psi_frag_close(struct psi_frag *f)
{
	if (!f)
		return;
	free_all(f);
	free(f);
}

/* ---- slots ---- */

static struct slot *
slot_at(struct psi_frag *f, uint32_t i)
{
	return psi_pool_at(&f->pool, i);
}

static void
slot_free(struct psi_frag *f, uint32_t i)
{
	struct slot *s = slot_at(f, i);
	uint32_t *link = &f->bucket[s->bucket];

	while (*link != i)
		link = &slot_at(f, *link)->chain;
	*link = s->chain;
	f->held -= s->held;
	*(s->older == PSI_POOL_NONE ? &f->oldest : &slot_at(f, s->older)->younger) = s->younger;
	*(s->younger == PSI_POOL_NONE ? &f->youngest : &slot_at(f, s->younger)->older) = s->older;
	psi_pool_give(&f->pool, i);
}

/* slot_find: the slot of the datagram, a new one if there is none, PSI_POOL_NONE when all are in use. */
static uint32_t
slot_find(struct psi_frag *f, const struct key *key, uint64_t now_ns)
{
	uint32_t b = rte_jhash(key, sizeof(*key), f->seed) & f->bucket_mask, i;
	struct slot *s;

	for (i = f->bucket[b]; i != PSI_POOL_NONE; i = slot_at(f, i)->chain)
		if (!memcmp(&slot_at(f, i)->key, key, sizeof(*key)))
			return i;
	i = psi_pool_take(&f->pool);
	if (i == PSI_POOL_NONE)
		return i;
	s = slot_at(f, i);
	*s = (struct slot){.key = *key,
		.use = s->use + 1,
		.bucket = b,
		.chain = f->bucket[b],
		.older = f->youngest,
		.younger = PSI_POOL_NONE,
		.start_ns = now_ns};
	f->bucket[b] = i;
	*(f->youngest == PSI_POOL_NONE ? &f->oldest : &slot_at(f, f->youngest)->younger) = i;
	f->youngest = i;
	return i;
}

/* The list is in order of arrival, and so of age as long as packet time does not go back; where it does, an old
 * datagram waits for the one before it. */
uint32_t
psi_frag_expire(struct psi_frag *f, uint64_t now_ns)
{
	if (psi_unlikely(!f->tbl))
		return 0;
	while (f->oldest != PSI_POOL_NONE) {
		struct slot *s = slot_at(f, f->oldest);

		if (s->start_ns + f->timeout_ns >= now_ns)
			break;
		if (!s->given_up)
			psi_stat_inc(f->stats, PSI_STAT_frag_timeout);
		slot_free(f, f->oldest);
	}
	rte_ip_frag_table_del_expired_entries(f->tbl, &f->dead, now_ns);
	rte_ip_frag_free_death_row(&f->dead, 0);
	return f->pool.used;
}

/* rte_ip_frag stops expiring when its row of the dead is full; some 30 datagrams fit. */
void
psi_frag_stop(struct psi_frag *f)
{
	for (uint32_t k = 0; k <= f->pool.cnt; k += RTE_IP_FRAG_DEATH_ROW_LEN / 2)
		psi_frag_expire(f, UINT64_MAX);
}

/* ---- pieces ---- */

static struct rte_mbuf *
drop(struct psi_frag *f, struct rte_mbuf *m, enum psi_stat why)
{
	rte_pktmbuf_free(m);
	psi_stat_inc(f->stats, why);
	return NULL;
}

/* give_up: what is held of the datagram goes with the timeout; the slot stays so long, to know further pieces by. */
static struct rte_mbuf *
give_up(struct psi_frag *f, struct slot *s, struct rte_mbuf *m, enum psi_stat why)
{
	s->given_up = true;
	psi_stat_inc(f->stats, PSI_STAT_frag_given_up);
	return drop(f, m, why);
}

/* check: is this piece one that the datagram can take? PSI_STAT_pkt_fragment when it is, else what to count. */
static enum psi_stat
check(const struct slot *s, const struct piece *n, bool more)
{
	for (uint32_t k = 0; k < s->piece_cnt; k++) {
		const struct piece *p = &s->piece[k];

		if (p->off == n->off && p->end == n->end && more == (p->end != s->total))
			return PSI_STAT_pkt_drop_frag_repeat;
		if ((n->off < p->end && p->off < n->end) || (!more && p->end > n->end))
			return PSI_STAT_pkt_drop_frag_overlap;
	}
	if (s->total && (!more || n->end > s->total)) /* a second end, or bytes behind the end */
		return PSI_STAT_pkt_drop_frag_overlap;
	return more && n->off && s->middle_cnt == MIDDLE_MAX ? PSI_STAT_pkt_drop_frag_limit
							     : PSI_STAT_pkt_fragment;
}

static void
note_piece(struct slot *s, const struct piece *n, bool more)
{
	s->piece[s->piece_cnt++] = *n;
	if (!more)
		s->total = n->end;
	else if (n->off)
		s->middle_cnt++;
}

/* ---- frames ---- */

static void
key_of(const uint8_t *ip, const struct psi_pkt *pkt, struct key *key)
{
	memset(key, 0, sizeof(*key));
	if (pkt->note & PSI_PKT_IPV4) {
		memcpy(key->addr[0], ip + 12, 4);
		memcpy(key->addr[1], ip + 16, 4);
		key->proto = ip[9];
	} else {
		memcpy(key->addr, ip + 8, 32);
		key->v6 = 1;
	}
	key->id = pkt->frag_id;
	key->vlan = pkt->tuple.vlan;
	key->tunnel = pkt->tuple.tunnel;
	key->tunnel_id = pkt->tuple.tunnel_id;
}

/* well_formed: the piece is all there, ends on a multiple of 8 unless it is the last (RFC 791 section 3.2, RFC 8200
 * section 4.5), and the datagram fits its length field. */
static bool
well_formed(const struct rte_mbuf *m, const struct psi_pkt *pkt)
{
	return pkt->payload_len && pkt->payload_cap == pkt->payload_len &&
	       pkt->payload_off <= m->data_len && !(pkt->frag_more && pkt->payload_len % 8) &&
	       pkt->payload_len <= UINT16_MAX - IP_HDR_MAX &&
	       pkt->frag_off + pkt->payload_len <= UINT16_MAX;
}

/* cut_to leaves pkt_len bytes of the frame: padding goes, be it in segments of its own. */
static void
cut_to(struct rte_mbuf *m, uint32_t pkt_len)
{
	struct rte_mbuf *s = m;
	uint32_t left = pkt_len;

	for (m->nb_segs = 1; left > s->data_len; m->nb_segs++) {
		left -= s->data_len;
		s = s->next;
	}
	rte_pktmbuf_free(s->next);
	s->next = NULL;
	s->data_len = (uint16_t)left;
	m->pkt_len = pkt_len;
}

/* strip leaves of the frame the IP header, the IPv6 fragment header, and the piece. Extension headers in front of the
 * fragment header say nothing that we want; the fixed header moves over them. */
static void
strip(struct rte_mbuf *m, const struct psi_pkt *pkt)
{
	uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *);
	uint32_t hdr = pkt->l3_off;

	cut_to(m, pkt->payload_off + pkt->payload_len);
	if (!(pkt->note & PSI_PKT_IPV4)) {
		hdr = pkt->payload_off - V6_FRAG_LEN - (uint32_t)sizeof(struct rte_ipv6_hdr);
		memmove(p + hdr, p + pkt->l3_off, sizeof(struct rte_ipv6_hdr));
		p[hdr + 6] = IPPROTO_FRAGMENT;
	}
	rte_pktmbuf_adj(m, (uint16_t)hdr);
	m->l2_len = 0;
	m->l3_len = pkt->payload_off - hdr;
}

/* join: gives the piece to rte_ip_frag under the slot's name. NULL when it was taken, or not: see the dead. */
static struct rte_mbuf *
join(struct psi_frag *f, struct slot *s, uint32_t name, struct rte_mbuf *m,
	const struct psi_pkt *pkt)
{
	if (pkt->note & PSI_PKT_IPV4) {
		struct rte_ipv4_hdr shown = *rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);

		shown.src_addr = name;
		shown.dst_addr = s->use;
		shown.packet_id = 0;
		shown.total_length = rte_cpu_to_be_16((uint16_t)(m->l3_len + pkt->payload_len));
		return rte_ipv4_frag_reassemble_packet(f->tbl, &f->dead, m, s->start_ns, &shown);
	}
	struct shown_v6 shown = *rte_pktmbuf_mtod(m, struct shown_v6 *);

	memset(shown.ip.src_addr, 0, sizeof(shown.ip.src_addr));
	memset(shown.ip.dst_addr, 0, sizeof(shown.ip.dst_addr));
	memcpy(shown.ip.src_addr, &name, sizeof(name));
	memcpy(shown.ip.dst_addr, &s->use, sizeof(s->use));
	shown.frag.id = 0;
	shown.ip.payload_len = rte_cpu_to_be_16((uint16_t)(V6_FRAG_LEN + pkt->payload_len));
	return rte_ipv6_frag_reassemble_packet(
		f->tbl, &f->dead, m, s->start_ns, &shown.ip, &shown.frag);
}

/* pull_up moves bytes of the following segments behind those of the first while there is room: headers must be
 * contiguous, and whoever comes behind is better off with one segment. */
static void
pull_up(struct rte_mbuf *m)
{
	struct rte_mbuf *n;

	while ((n = m->next)) {
		uint16_t take = (uint16_t)PSI_MIN(rte_pktmbuf_tailroom(m), n->data_len);

		memcpy(rte_pktmbuf_mtod_offset(m, uint8_t *, m->data_len),
			rte_pktmbuf_mtod(n, uint8_t *), take);
		m->data_len = (uint16_t)(m->data_len + take);
		n->data_len = (uint16_t)(n->data_len - take);
		n->data_off = (uint16_t)(n->data_off + take);
		if (n->data_len)
			return;
		m->next = n->next;
		m->nb_segs--;
		rte_pktmbuf_free_seg(n);
	}
}

/* put_room_before: bytes that are lent (a capture's) have no room behind them, or that of a trailer that was cut off. An mbuf that has goes in front; with
 * none left the datagram stays as it is, and is seen as far as its first piece goes. */
static struct rte_mbuf *
put_room_before(struct rte_mbuf *m)
{
	struct rte_mbuf *n = rte_pktmbuf_alloc(m->pool);

	if (!n)
		return m;
	n->next = m;
	n->nb_segs = (uint16_t)(m->nb_segs + 1);
	n->pkt_len = m->pkt_len;
	m->nb_segs = 1;
	return n;
}

/* was_refused: rte_ip_frag had no place for m, and has put it on the row of the dead. */
static bool
was_refused(const struct psi_frag *f, const struct rte_mbuf *m)
{
	for (uint32_t k = 0; k < f->dead.cnt; k++)
		if (f->dead.row[k] == m)
			return true;
	return false;
}

/* add: the piece is good. Returns the datagram when it was the last one missing. */
static struct rte_mbuf *
add(struct psi_frag *f, uint32_t i, struct rte_mbuf *m, const struct psi_pkt *pkt)
{
	struct slot *s = slot_at(f, i);
	struct rte_mbuf *whole;
	bool refused;

	strip(m, pkt);
	s->held += m->nb_segs;
	f->held += m->nb_segs;
	whole = join(f, s, i, m, pkt);
	if (whole) {
		slot_free(f, i);
		return whole;
	}
	refused = was_refused(f, m);
	rte_ip_frag_free_death_row(&f->dead, 0);
	if (refused) {
		s->given_up = true;
		psi_stat_inc(f->stats, PSI_STAT_frag_given_up);
	}
	psi_stat_inc(f->stats, refused ? PSI_STAT_pkt_drop_frag_full : PSI_STAT_pkt_fragment);
	return NULL;
}

/* What a transport header and what is looked at behind it may take. */
#define HEADERS_MAX 256

/* finish: a datagram whose first header is longer than the others' may still not fit its length field. */
static struct rte_mbuf *
finish(struct psi_frag *f, struct rte_mbuf *whole, bool v6)
{
	if (whole->pkt_len > UINT16_MAX + (v6 ? sizeof(struct rte_ipv6_hdr) : 0))
		return drop(f, whole, PSI_STAT_pkt_drop_frag_malformed);
	psi_stat_inc(f->stats, PSI_STAT_frag_joined);
	if (whole->next && rte_pktmbuf_tailroom(whole) < HEADERS_MAX)
		whole = put_room_before(whole);
	pull_up(whole);
	return whole;
}

struct rte_mbuf *
psi_frag_put(struct psi_frag *f, struct rte_mbuf *m, const struct psi_pkt *pkt, uint64_t now_ns)
{
	struct piece n = {pkt->frag_off, pkt->frag_off + pkt->payload_len};
	enum psi_stat verdict;
	struct rte_mbuf *whole;
	struct key key;
	struct slot *s;
	uint32_t i;

	if (psi_unlikely(!f->tbl) && !alloc_late(f))
		return drop(f, m, PSI_STAT_pkt_drop_frag_full);
	psi_frag_expire(f, now_ns);
	if (!well_formed(m, pkt))
		return drop(f, m, PSI_STAT_pkt_drop_frag_malformed);
	key_of(rte_pktmbuf_mtod_offset(m, const uint8_t *, pkt->l3_off), pkt, &key);
	i = slot_find(f, &key, now_ns);
	if (i == PSI_POOL_NONE)
		return drop(f, m, PSI_STAT_pkt_drop_frag_full);
	s = slot_at(f, i);
	if (s->given_up)
		return drop(f, m, PSI_STAT_pkt_drop_frag_given_up);
	verdict = check(s, &n, pkt->frag_more);
	if (verdict == PSI_STAT_pkt_drop_frag_repeat)
		return drop(f, m, verdict);
	if (verdict != PSI_STAT_pkt_fragment)
		return give_up(f, s, m, verdict);
	if (f->held + m->nb_segs > f->held_max)
		return give_up(f, s, m, PSI_STAT_pkt_drop_frag_full);
	note_piece(s, &n, pkt->frag_more);
	whole = add(f, i, m, pkt);
	return whole ? finish(f, whole, key.v6) : NULL;
}
