/* SPDX-License-Identifier: BSD-3-Clause */
/* A connection of the bundled recording as turns: what one side says before the other does, and how it ends. Pure
 * acknowledgements are left out, and made anew when the connection is played. */
#include "gen_pvt.h"
#include "psi_cursor.h"

#include <errno.h>
#include <stdlib.h>

#define BYTES_MAX (64u * 1024)

const struct template_info template_info[] = {
#define TEMPLATE(p, g, stack_, case_, app_, path_, tls_, truth_, expected_) \
	{p, g, stack_, case_, app_, path_, tls_, truth_, expected_},
#include "templates.def"
#undef TEMPLATE
};
const uint32_t template_cnt = PSI_COUNT(template_info);

/* One TCP packet of the recording. */
struct packet {
	uint16_t sport, dport;
	uint32_t seq, len;
	uint8_t flags;
	const uint8_t *payload;
};

/* The next packet of a little-endian Ethernet pcap; its TCP part if it has one, else sport is 0. */
static bool
next_packet(struct psi_cursor *c, struct packet *p)
{
	const uint8_t *h = psi_take(c, 16), *b, *t;
	uint32_t len, ip, l4, end;

	memset(p, 0, sizeof(*p));
	if (!h)
		return false;
	len = (uint32_t)h[8] | (uint32_t)h[9] << 8 | (uint32_t)h[10] << 16 | (uint32_t)h[11] << 24;
	b = psi_take(c, len);
	if (!b)
		return false;
	if (len < ETH_LEN + 40)
		return true;
	ip = ETH_LEN;
	if (psi_be16(b + 12) == 0x0800 && b[ip + 9] == 6) {
		l4 = ip + (b[ip] & 15) * 4u;
		end = ip + psi_be16(b + ip + 2);
	} else if (psi_be16(b + 12) == 0x86dd && b[ip + 6] == 6) {
		l4 = ip + 40;
		end = l4 + psi_be16(b + ip + 4);
	} else {
		return true;
	}
	if (end > len || l4 + TCP_LEN > end)
		return true;
	t = b + l4;
	p->sport = psi_be16(t);
	p->dport = psi_be16(t + 2);
	p->seq = psi_be32(t + 4);
	p->flags = t[13];
	p->payload = t + (t[12] >> 4) * 4u;
	if (p->payload > b + end)
		p->payload = b + end;
	p->len = (uint32_t)(b + end - p->payload);
	return true;
}

static struct step *
add_step(struct script *s, enum step_kind kind, unsigned int from)
{
	struct step *st = &s->step[s->step_cnt];

	if (s->step_cnt == STEP_MAX)
		return NULL;
	s->step_cnt++;
	*st = (struct step){.kind = kind, .from = (uint8_t)from, .at = s->len};
	return st;
}

/* Appends what is new in a packet. False when something is missing or there is too much. */
static bool
add_packet(
	struct script *s, const struct packet *p, unsigned int from, uint32_t next[2], bool fin[2])
{
	struct step *st = s->step_cnt ? &s->step[s->step_cnt - 1] : NULL;

	if (p->flags & SYN) {
		next[from] = p->seq + 1;
		return true;
	}
	if (p->len && p->seq == next[from]) {
		if (s->len + p->len > BYTES_MAX)
			return false;
		if (!st || st->kind != STEP_DATA || st->from != from)
			st = add_step(s, STEP_DATA, from);
		if (!st)
			return false;
		memcpy(s->bytes + s->len, p->payload, p->len);
		s->len += p->len;
		st->len += p->len;
		next[from] += p->len;
	} else if (p->len && (int32_t)(p->seq - next[from]) > 0) {
		return false;
	}
	if (p->flags & FIN && !fin[from]) {
		fin[from] = true;
		st = add_step(s, STEP_FIN, from);
		if (st)
			st->flags = FIN | ACK;
	}
	if (p->flags & RST) {
		st = add_step(s, STEP_RST, from);
		if (st)
			st->flags = p->flags & (RST | ACK);
	}
	return st || !(p->flags & (FIN | RST));
}

struct script *
template_load(const struct template_info *info, struct psi_err *err)
{
	struct psi_cursor c = psi_cursor(gen_demo_pcap, gen_demo_pcap_len);
	struct script *s = calloc(1, sizeof(*s));
	uint32_t next[2] = {0};
	bool fin[2] = {false}, ok = true;
	struct packet p;

	if (!s || !(s->bytes = malloc(BYTES_MAX))) {
		psi_err_set(err, -ENOMEM, "no memory for recorded connections");
		script_free(s);
		return NULL;
	}
	s->info = info;
	psi_take(&c, 24);
	while (ok && next_packet(&c, &p))
		if (p.sport == info->port || p.dport == info->port)
			ok = add_packet(s, &p, p.dport == info->port, next, fin);
	if (ok && s->step_cnt)
		return s;
	psi_err_set(err, -EINVAL, "the recording has no whole connection of port %u", info->port);
	script_free(s);
	return NULL;
}

void
script_free(struct script *s)
{
	if (s)
		free(s->bytes);
	free(s);
}
