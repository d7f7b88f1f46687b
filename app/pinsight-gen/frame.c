/* SPDX-License-Identifier: BSD-3-Clause */
/* Ethernet, IPv4 (RFC 791), IPv6 (RFC 8200), TCP (RFC 9293) and UDP (RFC 768) headers. */
#include "gen_pvt.h"

#define IP4_LEN 20
#define IP6_LEN 40
#define UDP_LEN 8
#define SYN_OPT 8

static void
put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void
put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static uint32_t
get16(const uint8_t *p)
{
	return (uint32_t)(p[0] << 8 | p[1]);
}

/* RFC 1071, in 32-bit steps; folded and complemented by the caller. */
static uint64_t
sum(uint64_t s, const uint8_t *p, uint32_t len)
{
	uint32_t v;

	for (; len >= 4; p += 4, len -= 4) {
		memcpy(&v, p, 4);
		s += __builtin_bswap32(v);
	}
	if (len & 2) {
		s += get16(p) << 16;
		p += 2;
	}
	if (len & 1)
		s += (uint64_t)p[0] << (len & 2 ? 8 : 24);
	return s;
}

static uint32_t
folded(uint64_t s)
{
	s = (s >> 32) + (s & 0xffffffff);
	s = (s >> 32) + (s & 0xffffffff);
	s = (s >> 16) + (s & 0xffff);
	s = (s >> 16) + (s & 0xffff);
	return (uint32_t)s ^ 0xffff;
}

void
frame_checksums(uint8_t *f, uint32_t len)
{
	uint8_t *ip = f + ETH_LEN, *l4;
	bool v6 = get16(f + 12) == 0x86dd;
	uint32_t l4_len, proto = v6 ? ip[6] : ip[9], at, c;
	uint64_t s;

	if (!v6) {
		put16(ip + 10, 0);
		put16(ip + 10, folded(sum(0, ip, IP4_LEN)));
		if (get16(ip + 6) & 0x3fff)
			return; /* a fragment: the rest is the datagram's */
	}
	l4 = ip + (v6 ? IP6_LEN : IP4_LEN);
	l4_len = v6 ? get16(ip + 4) : get16(ip + 2) - IP4_LEN;
	at = proto == 6 ? 16 : 6;
	put16(l4 + at, 0);
	s = v6 ? sum(0, ip + 8, 32) : sum(0, ip + 12, 8);
	c = folded(sum(s + proto + l4_len, l4, l4_len));
	put16(l4 + at, proto == 17 && !c ? 0xffff : c);
}

/* Ethernet and IP; returns where the next header goes. */
static uint8_t *
put_ip(uint8_t *f, const struct ends *e, unsigned int from, uint32_t proto, uint32_t len,
	uint16_t id)
{
	/* locally administered addresses; one switch port a side */
	static const uint8_t mac[2][6] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};
	uint8_t *ip = f + ETH_LEN;

	memcpy(f, mac[!from], 6);
	memcpy(f + 6, mac[from], 6);
	if (e->v6) {
		put16(f + 12, 0x86dd);
		put32(ip, 0x60000000);
		put16(ip + 4, len);
		ip[6] = (uint8_t)proto;
		ip[7] = 64;
		memcpy(ip + 8, e->addr[from], 16);
		memcpy(ip + 24, e->addr[!from], 16);
		return ip + IP6_LEN;
	}
	put16(f + 12, 0x0800);
	put16(ip, 0x4500);
	put16(ip + 2, IP4_LEN + len);
	put16(ip + 4, id);
	put16(ip + 6, 0); /* may be fragmented: so that it can be */
	ip[8] = 64;
	ip[9] = (uint8_t)proto;
	put16(ip + 10, 0);
	memcpy(ip + 12, e->addr[from] + 12, 4);
	memcpy(ip + 16, e->addr[!from] + 12, 4);
	return ip + IP4_LEN;
}

static uint32_t
finish(uint8_t *f, uint32_t len, bool checksums)
{
	if (checksums)
		frame_checksums(f, len);
	if (len >= 60)
		return len;
	memset(f + len, 0, 60 - len);
	return 60;
}

uint32_t
frame_payload_off(bool v6)
{
	return ETH_LEN + (v6 ? IP6_LEN : IP4_LEN) + TCP_LEN;
}

uint32_t
frame_tcp(uint8_t *f, const struct ends *e, const struct seg *s, bool checksums)
{
	static const uint8_t syn_opt[SYN_OPT] = {2, 4, 1460 >> 8, 1460 & 255, 1, 1, 4, 2};
	uint32_t opt = s->flags & SYN ? SYN_OPT : 0, len = TCP_LEN + opt + s->len;
	uint8_t *t = put_ip(f, e, s->from, 6, len, s->id);

	put16(t, e->port[s->from]);
	put16(t + 2, e->port[!s->from]);
	put32(t + 4, s->seq);
	put32(t + 8, s->flags & ACK ? s->ack : 0);
	t[12] = (uint8_t)((TCP_LEN + opt) << 2);
	t[13] = s->flags;
	put16(t + 14, s->flags & RST ? 0 : 65535);
	put32(t + 16, 0);
	memcpy(t + TCP_LEN, syn_opt, opt);
	return finish(f, (uint32_t)(t - f) + len, checksums);
}

uint32_t
frame_udp(uint8_t *f, const struct ends *e, uint32_t len, uint16_t id, bool checksums)
{
	uint8_t *u = put_ip(f, e, 0, 17, UDP_LEN + len, id);

	put16(u, e->port[0]);
	put16(u + 2, e->port[1]);
	put16(u + 4, UDP_LEN + len);
	put16(u + 6, 0);
	return finish(f, (uint32_t)(u - f) + UDP_LEN + len, checksums);
}

uint32_t
frame_fragment(
	const uint8_t *f, uint32_t len, uint32_t max, uint32_t n, uint8_t *out, bool checksums)
{
	uint32_t body = get16(f + ETH_LEN + 2) - IP4_LEN, piece = (max - IP4_LEN) & ~7u;
	uint32_t off = n * piece, left = off < body ? body - off : 0;

	if (!left)
		return 0;
	piece = PSI_MIN(piece, left);
	memcpy(out, f, ETH_LEN + IP4_LEN);
	memcpy(out + ETH_LEN + IP4_LEN, f + ETH_LEN + IP4_LEN + off, piece);
	put16(out + ETH_LEN + 2, IP4_LEN + piece);
	put16(out + ETH_LEN + 6, off >> 3 | (piece < left ? 0x2000 : 0));
	return finish(out, ETH_LEN + IP4_LEN + piece, checksums);
}

static void
mapped(uint8_t out[16], uint32_t v4)
{
	memset(out, 0, 10);
	out[10] = out[11] = 0xff;
	put32(out + 12, v4);
}

void
ends_v4(struct ends *e, uint32_t client, uint32_t server, uint16_t cport, uint16_t sport)
{
	e->v6 = false;
	mapped(e->addr[0], client);
	mapped(e->addr[1], server);
	e->port[0] = cport;
	e->port[1] = sport;
}
