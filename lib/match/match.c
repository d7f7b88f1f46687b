/* SPDX-License-Identifier: BSD-3-Clause */
/* Hot: once per flow. A rule hits when the last of its fields is found; the fields that no rule of this flow needs any
 * more are not looked at. Hyperscan tells matches in an order of its own, so what hits is kept sorted. */
#include "match_pvt.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

const uint8_t scan_order[PSI_RULE_FIELD_CNT] = {PSI_RULE_SNI, PSI_RULE_JA4, PSI_RULE_JA3,
	PSI_RULE_ALPN, PSI_RULE_ISSUER, PSI_RULE_SUBJECT, PSI_RULE_SAN};

/* Keeps the lowest PSI_MATCH_HITS_MAX of all that hit. */
static void
hit(struct psi_match *m, uint32_t idx)
{
	const struct action *a = &m->action[idx];
	struct psi_match_hits *out = m->out;
	uint32_t i;

	m->count.hits++;
	out->ignore |= a->what == PSI_RULE_IGNORE;
	if (a->what == PSI_RULE_WEIGHT)
		out->weight = PSI_MIN(
			out->weight * a->weight, 1e100); /* never inf, whose 0th is no number */
	if (out->cnt < PSI_MATCH_HITS_MAX) {
		i = out->cnt++;
	} else {
		out->more++;
		i = PSI_MATCH_HITS_MAX - 1;
		if (m->hit[i] < idx)
			return;
	}
	for (; i && m->hit[i - 1] > idx; i--)
		m->hit[i] = m->hit[i - 1];
	m->hit[i] = idx;
}

/* Pattern id is in a value of the field being scanned. */
static void
found(struct psi_match *m, uint32_t id)
{
	struct state *s = &m->state[id];

	if (s->flow != m->flow) {
		s->flow = m->flow;
		s->got = 0;
	}
	if (s->got & m->bit)
		return; /* in an earlier value of the same field, too */
	s->got |= m->bit;
	if (s->got == s->need)
		hit(m, id);
	else
		m->want |= s->need;
}

static int
on_match(unsigned int id, unsigned long long from, unsigned long long to, unsigned int flags,
	void *ctx)
{
	struct psi_match *m = ctx;

	if (m->found_cnt < MEMO_IDS)
		m->found[m->found_cnt] = id;
	m->found_cnt++;
	found(m, id);
	return 0;
}

/* Well-formed UTF-8 (RFC 3629). */
static bool
is_utf8(const uint8_t *p, uint32_t len)
{
	for (uint32_t i = 0, n; i < len; i += n) {
		uint8_t c = p[i], low = 0x80, high = 0xbf;

		n = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
		if (!n || n > len - i)
			return false;
		if (c == 0xe0)
			low = 0xa0;
		else if (c == 0xed)
			high = 0x9f;
		else if (c == 0xf0)
			low = 0x90;
		else if (c == 0xf4)
			high = 0x8f;
		for (uint32_t k = 1; k < n; k++, low = 0x80, high = 0xbf)
			if (p[i + k] < low || p[i + k] > high)
				return false;
	}
	return true;
}

static void
scan(struct psi_match *m, const struct set *set, const uint8_t *p, uint32_t len)
{
	hs_error_t rc;

	m->found_cnt = 0;
	m->count.scans++;
	rc = hs_scan(set->db, (const char *)p, len, 0, m->scratch, on_match, m);
	PSI_ASSERT(rc == HS_SUCCESS, "scratch is ours alone and made for every database");
}

/* What is in the value, from memory or by looking. */
static void
look(struct psi_match *m, const struct set *set, const uint8_t *p, uint32_t len)
{
	struct memo *line;
	XXH128_hash_t h;

	if (len > MEMO_VALUE_MAX) {
		scan(m, set, p, len);
		return;
	}
	h = XXH3_128bits_withSeed(p, len, m->key);
	line = &set->memo[h.low64 % MEMO_LINES];
	if (line->key[0] == h.low64 && line->key[1] == h.high64) {
		m->count.remembered++;
		for (uint32_t i = 0; i < line->cnt; i++)
			found(m, line->id[i]);
		return;
	}
	scan(m, set, p, len);
	if (m->found_cnt > MEMO_IDS)
		return;
	line->key[0] = h.low64;
	line->key[1] = h.high64;
	line->cnt = m->found_cnt;
	memcpy(line->id, m->found, m->found_cnt * sizeof(*m->found));
}

static void
scan_field(struct psi_match *m, enum psi_rule_field field, const struct psi_match_values *in)
{
	const struct set *set = m->set[field];
	uint32_t cnt = PSI_MIN(in->cnt, (uint32_t)PSI_MATCH_VALUES_MAX);

	m->bit = (uint8_t)(1u << field);
	m->count.values_skipped += in->cnt - cnt;
	for (uint32_t i = 0; i < cnt; i++) {
		const uint8_t *p = in->v[i].p;
		uint32_t len = in->v[i].len;

		if (len > PSI_MATCH_VALUE_MAX) {
			m->count.values_skipped++;
			continue;
		}
		if ((field == PSI_RULE_SNI || field == PSI_RULE_SAN) && len && p[len - 1] == '.')
			len--;
		if (!len)
			continue;
		if (set[0].db)
			look(m, &set[0], p, len);
		if (set[1].db && is_utf8(p, len))
			look(m, &set[1], p, len);
		else if (set[1].db)
			m->count.not_utf8++;
	}
}

static void
find_host(struct psi_match *m, const struct psi_match_values *sni)
{
	struct psi_host host;

	if (!sni->cnt || !psi_host_set(&host, sni->v[0].p, sni->v[0].len))
		return;
	for (uint32_t i = 0; i < m->list_cnt; i++)
		if (psi_hosts_find(m->list[i], &host))
			hit(m, m->rule_cnt + i);
}

/* A new number makes what all rules have got void; after four billion flows numbers begin anew. */
static void
next_flow(struct psi_match *m)
{
	if (psi_unlikely(++m->flow == 0)) {
		for (uint32_t i = 0; i < m->rule_cnt; i++)
			m->state[i].flow = 0;
		m->flow = 1;
	}
	m->want = 0;
	m->count.flows++;
}

void
psi_match_flow(struct psi_match *m, const struct psi_match_input *in, struct psi_match_hits *out)
{
	out->cnt = out->more = 0;
	out->weight = 1;
	out->ignore = false;
	m->out = out;
	next_flow(m);
	for (uint32_t i = 0; i < PSI_RULE_FIELD_CNT; i++) {
		enum psi_rule_field field = scan_order[i];

		if ((m->first | m->want) & 1u << field)
			scan_field(m, field, &in->field[field]);
	}
	if (m->list_cnt)
		find_host(m, &in->field[PSI_RULE_SNI]);
	for (uint32_t i = 0; i < out->cnt; i++)
		out->id[i] = m->action[m->hit[i]].id;
	out->weight = PSI_MIN(out->weight, PSI_MATCH_WEIGHT_MAX);
	m->count.ignored += out->ignore;
}

void
psi_match_count(const struct psi_match *m, struct psi_match_count *out)
{
	*out = m->count;
}
