/* SPDX-License-Identifier: BSD-3-Clause */
/* What was added up becomes rows. A finding makes or joins the row of its host or client. Flows that were refused go to
 * the row of the finding that explains them; what no finding explains is suspected, so that nothing vanishes. */
#include "report_pvt.h"

#include <errno.h>
#include <stdlib.h>

/* A row in the making. */
struct building {
	struct rpt_row_key key;
	struct psi_report_row row;
	uint32_t reason, issuer, pinset, evidence[PSI_REPORT_EVIDENCE_MAX];
	double reason_conf; /* of what the reason comes from */
	uint64_t flow_evidence;
};

/* That a client refused is as sure as the verdict of the flow, why it did is not: what is only suspected has half of
 * the confidence. */
#define SUSPECTED_SHARE 0.5

static struct building *
building_get(struct psi_report *r, const struct rpt_row_key *key)
{
	bool made;
	struct building *b = rpt_tab_get(&r->building, key, &made);

	if (b && made) {
		b->row.section = (enum psi_report_section)key->section;
		b->row.basis = PSI_REPORT_BY_FLOWS;
		b->reason_conf = -1;
	}
	return b;
}

static void
add_evidence(struct building *b, uint32_t id)
{
	for (uint32_t i = 0; i < b->row.evidence_cnt; i++)
		if (b->evidence[i] == id)
			return;
	if (b->row.evidence_cnt < PSI_REPORT_EVIDENCE_MAX)
		b->evidence[b->row.evidence_cnt++] = id;
}

static void
add_span(struct psi_report_row *row, uint64_t first_ns, uint64_t last_ns)
{
	if (!row->first_ns || first_ns < row->first_ns)
		row->first_ns = first_ns;
	row->last_ns = PSI_MAX(row->last_ns, last_ns);
}

/* Room for every member was made before: each finding and each pair adds one at most. */
static void
add_member(struct psi_report *r, const struct building *b, uint32_t ja4,
	const struct psi_report_ip *client)
{
	struct rpt_member *m = &r->member[r->member_cnt++];

	PSI_ASSERT(r->member_cnt <= r->member_max, "a finding and a pair add one member each");
	memset(m, 0, sizeof(*m));
	m->row = (uint32_t)(((const uint8_t *)b - r->building.rec) / r->building.rec_size);
	m->ja4 = ja4;
	m->client = *client;
}

/* ---- findings ---- */

static void
finding_key(const struct rpt_finding *f, struct rpt_row_key *k)
{
	memset(k, 0, sizeof(*k));
	k->section = f->section;
	k->class = f->key.class;
	if (f->section == PSI_REPORT_DISTRUST && f->key.client.len) {
		k->client = f->key.client; /* at whichever host it showed */
		return;
	}
	k->host = f->key.host;
	if (!f->key.host)
		k->client = f->key.client;
	if (f->section == PSI_REPORT_INTERCEPTION || (!k->host && !k->client.len))
		k->issuer = f->key.issuer;
}

static void
add_finding(struct psi_report *r, const struct rpt_finding *f)
{
	struct rpt_row_key k;
	struct building *b;

	finding_key(f, &k);
	b = building_get(r, &k);
	if (!b) {
		r->sum.left_findings++;
		return;
	}
	b->row.basis = PSI_REPORT_BY_FINDING;
	b->row.tries += f->seen;
	b->row.tries_failed += f->failed;
	b->row.tries_ok += f->ok;
	b->row.confidence = PSI_MAX(b->row.confidence, f->confidence);
	add_span(&b->row, f->first_ns, f->last_ns);
	for (unsigned int i = 0; i < f->evidence_cnt; i++)
		add_evidence(b, f->evidence[i]);
	if (f->key.issuer)
		b->issuer = f->key.issuer;
	if (f->confidence > b->reason_conf) {
		b->reason_conf = f->confidence;
		b->reason = f->reason;
	}
	if (f->key.client.len || f->key.ja4)
		add_member(r, b, f->key.ja4, &f->key.client);
}

/* With a filter by client, a finding on a host counts when that client has trouble there; and so the other way round. */
static bool
is_asked_for(const struct psi_report *r, const struct rpt_finding *f)
{
	const struct psi_report_filter *want = &r->cfg.filter;

	if (want->client.len && !f->key.client.len) {
		for (uint32_t i = 0; i < r->pairs.cnt; i++)
			if (((struct rpt_pair *)rpt_tab_at(&r->pairs, i))->key.host == f->key.host)
				return true;
		return false;
	}
	if (want->host.len && !f->key.host) {
		for (uint32_t i = 0; i < r->pairs.cnt; i++)
			if (rpt_same_ip(&((struct rpt_pair *)rpt_tab_at(&r->pairs, i))->key.client,
				    &f->key.client))
				return true;
		return false;
	}
	return true;
}

/* ---- flows ---- */

/* Findings by host, then those without one by client: what a pair looks through. */
struct index {
	const struct rpt_finding **v;
	uint32_t cnt;
};

static int
by_subject(const void *a, const void *b)
{
	const struct rpt_finding *x = *(const struct rpt_finding *const *)a,
				 *y = *(const struct rpt_finding *const *)b;

	if (x->key.host != y->key.host)
		return x->key.host < y->key.host ? -1 : 1;
	if (!x->key.host) {
		int c = memcmp(&x->key.client, &y->key.client, sizeof(x->key.client));

		if (c)
			return c;
	}
	return x->section < y->section ? -1 : x->section > y->section;
}

/* The first finding of a subject: of a host, else (host 0) of a client. idx->cnt when there is none. */
static uint32_t
first_of(const struct index *idx, uint32_t host, const struct psi_report_ip *client)
{
	uint32_t lo = 0, hi = idx->cnt;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		const struct rpt_finding *f = idx->v[mid];
		bool before = f->key.host < host ||
			      (!host && f->key.host == 0 &&
				      memcmp(&f->key.client, client, sizeof(*client)) < 0);

		if (before)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool
explains(const struct rpt_finding *f, const struct rpt_pair *p)
{
	if (f->section != PSI_REPORT_PINNED && f->section != PSI_REPORT_DISTRUST &&
		f->section != PSI_REPORT_BAD_CERTIFICATE)
		return false;
	if (f->key.client.len && !rpt_same_ip(&f->key.client, &p->key.client))
		return false;
	if (f->key.ja4 && f->key.ja4 != p->key.ja4)
		return false;
	return f->key.host || !f->key.issuer || !p->issuer || f->key.issuer == p->issuer;
}

static const struct rpt_finding *
explanation(const struct index *idx, const struct rpt_pair *p)
{
	for (uint32_t i = p->key.host ? first_of(idx, p->key.host, &p->key.client) : idx->cnt;
		i < idx->cnt && idx->v[i]->key.host == p->key.host; i++)
		if (explains(idx->v[i], p))
			return idx->v[i];
	for (uint32_t i = first_of(idx, 0, &p->key.client);
		i < idx->cnt && !idx->v[i]->key.host &&
		rpt_same_ip(&idx->v[i]->key.client, &p->key.client);
		i++)
		if (explains(idx->v[i], p))
			return idx->v[i];
	return NULL;
}

/* What the operator's pins prove of one client joins what many flows show of others. */
static const struct rpt_finding *
pinned_host(const struct index *idx, const struct rpt_pair *p)
{
	for (uint32_t i = p->key.host ? first_of(idx, p->key.host, &p->key.client) : idx->cnt;
		i < idx->cnt && idx->v[i]->key.host == p->key.host; i++)
		if (idx->v[i]->section == PSI_REPORT_PINNED)
			return idx->v[i];
	return NULL;
}

static void
add_server(struct psi_report_row *row, const struct psi_report_ip *ip)
{
	for (uint32_t i = 0; i < row->server_egs; i++)
		if (rpt_same_ip(&row->server_eg[i], ip))
			return;
	if (ip->len && row->server_egs < PSI_REPORT_EXAMPLES)
		row->server_eg[row->server_egs++] = *ip;
}

/* The flow itself shows what is wrong with the certificate. */
#define CERT_IS_BAD                                                                        \
	(PSI_EVID_cert_expired | PSI_EVID_cert_not_valid_yet | PSI_EVID_cert_self_signed | \
		PSI_EVID_cert_bad_signature)

/* The row of a pair that no finding explains. */
static void
pair_key(const struct rpt_pair *p, struct rpt_row_key *k)
{
	memset(k, 0, sizeof(*k));
	k->section = p->key.group == PAIR_CLIENT_CERT ? PSI_REPORT_CLIENT_CERTIFICATE
		     : p->key.group == PAIR_FAILED    ? PSI_REPORT_HANDSHAKE_FAILURE
		     : p->pinned		      ? PSI_REPORT_PINNED
		     : p->evidence & CERT_IS_BAD      ? PSI_REPORT_BAD_CERTIFICATE
						      : PSI_REPORT_SUSPECTED;
	k->host = p->key.host;
	k->is_addr = p->key.is_addr;
}

static void
add_cause(struct building *b, const struct rpt_pair *p)
{
	double conf = p->confidence;

	if (b->row.basis == PSI_REPORT_BY_FINDING) /* what the finding says stands */
		return;
	if (b->row.section == PSI_REPORT_PINNED)
		b->row.basis = PSI_REPORT_BY_PINSET;
	else if (b->row.section == PSI_REPORT_SUSPECTED)
		conf *= SUSPECTED_SHARE;
	b->row.confidence = PSI_MAX(b->row.confidence, conf);
	b->flow_evidence |= p->evidence;
	if (p->issuer && p->issuer != NAME_NONE)
		b->issuer = p->issuer;
	if (conf > b->reason_conf) {
		b->reason_conf = conf;
		b->reason = p->reason;
		b->row.class.p = psi_class_name((enum psi_class)p->class);
	}
}

static void
add_pair(struct psi_report *r, const struct index *idx, const struct rpt_pair *p)
{
	const struct rpt_finding *f = p->key.group == PAIR_REFUSED ? explanation(idx, p) : NULL;
	struct building *b;
	struct rpt_row_key k;

	if (!f && p->pinned)
		f = pinned_host(idx, p);
	if (f)
		finding_key(f, &k);
	else
		pair_key(p, &k);
	b = building_get(r, &k);
	if (!b) {
		r->sum.left_flows += p->n;
		return;
	}
	b->row.host_is_addr = k.is_addr;
	b->row.refused += p->n;
	if (p->pinset && p->pinset != NAME_NONE)
		b->pinset = p->pinset;
	add_span(&b->row, p->first_ns, p->last_ns);
	for (unsigned int i = 0; i < p->servers; i++)
		add_server(&b->row, &p->server[i]);
	add_cause(b, p);
	add_member(r, b, p->key.ja4, &p->key.client);
}

/* ---- who refused ---- */

static int
by_client(const void *a, const void *b)
{
	const struct rpt_member *x = a, *y = b;

	if (x->row != y->row)
		return x->row < y->row ? -1 : 1;
	return memcmp(&x->client, &y->client, sizeof(x->client));
}

static int
by_stack(const void *a, const void *b)
{
	const struct rpt_member *x = a, *y = b;

	if (x->row != y->row)
		return x->row < y->row ? -1 : 1;
	return x->ja4 < y->ja4 ? -1 : x->ja4 > y->ja4;
}

/* With duplicates side by side, each distinct one is counted where it begins. */
static void
count_members(struct psi_report *r)
{
	struct rpt_member *m = r->member;

	if (!r->member_cnt)
		return;
	qsort(m, r->member_cnt, sizeof(*m), by_client);
	for (uint32_t i = 0; i < r->member_cnt; i++) {
		struct psi_report_row *row =
			&((struct building *)rpt_tab_at(&r->building, m[i].row))->row;

		if (!m[i].client.len || (i && by_client(&m[i - 1], &m[i]) == 0))
			continue;
		if (row->client_egs < PSI_REPORT_EXAMPLES)
			row->client_eg[row->client_egs++] = m[i].client;
		row->clients++;
	}
	qsort(m, r->member_cnt, sizeof(*m), by_stack);
	for (uint32_t i = 0; i < r->member_cnt; i++) {
		struct psi_report_row *row =
			&((struct building *)rpt_tab_at(&r->building, m[i].row))->row;

		if (!m[i].ja4 || (i && by_stack(&m[i - 1], &m[i]) == 0))
			continue;
		if (row->stack_egs < PSI_REPORT_EXAMPLES)
			row->stack_eg[row->stack_egs++] = rpt_names_text(&r->names, m[i].ja4);
		row->stacks++;
	}
}

/* ---- the finished rows ---- */

static void
put_flow_evidence(struct psi_report_row *row, uint64_t bits)
{
	for (; bits && row->evidence_cnt < PSI_REPORT_EVIDENCE_MAX; bits &= bits - 1) {
		const char *name = psi_evidence_name(bits & (0 - bits));

		if (name)
			row->evidence[row->evidence_cnt++] =
				(struct psi_report_text){name, strlen(name)};
	}
}

static void
finish_row(const struct psi_report *r, struct building *b)
{
	struct psi_report_row *row = &b->row;

	row->host = rpt_names_text(&r->names, b->key.host);
	row->client = b->key.client;
	row->reason = rpt_names_text(&r->names, b->reason);
	row->issuer = rpt_names_text(&r->names, b->issuer);
	row->pinset = rpt_names_text(&r->names, b->pinset);
	if (b->key.class)
		row->class = rpt_names_text(&r->names, b->key.class);
	else
		row->class.len = strlen(row->class.p);
	for (uint32_t i = 0; i < row->evidence_cnt; i++)
		row->evidence[i] = rpt_names_text(&r->names, b->evidence[i]);
	put_flow_evidence(row, b->flow_evidence);
	row->accepted = row->host.len ? rpt_counts_get(&r->accepted,
						rpt_hash(&r->key, row->host.p, row->host.len))
				      : rpt_counts_get(&r->accepted, rpt_hash(&r->key, &row->client,
									     sizeof(row->client)));
	row->seen = row->refused + row->accepted;
}

static int
by_text(struct psi_report_text a, struct psi_report_text b)
{
	int c = memcmp(a.p, b.p, PSI_MIN(a.len, b.len));

	return c ? c : a.len < b.len ? -1 : a.len > b.len;
}

#define DESCENDING(x, y)                           \
	do {                                       \
		if ((x) != (y))                    \
			return (x) > (y) ? -1 : 1; \
	} while (0)

/* What to look at first: where most clients are hit. Names last, so that the order does not depend on the hash. */
static int
by_need(const void *a, const void *b)
{
	const struct psi_report_row *x = a, *y = b;
	int c;

	if (x->section != y->section)
		return x->section < y->section ? -1 : 1;
	DESCENDING(x->clients, y->clients);
	DESCENDING(PSI_MAX(x->refused, x->tries_failed), PSI_MAX(y->refused, y->tries_failed));
	DESCENDING(x->confidence, y->confidence);
	if ((c = by_text(x->host, y->host)))
		return c;
	if ((c = memcmp(&x->client, &y->client, sizeof(x->client))))
		return c;
	if ((c = by_text(x->class, y->class)))
		return c;
	return by_text(x->issuer, y->issuer);
}

static int
finish_rows(struct psi_report *r)
{
	uint32_t n = 0, s = 0;

	r->row = calloc(r->building.cnt ? r->building.cnt : 1, sizeof(*r->row));
	if (!r->row)
		return -ENOMEM;
	for (uint32_t i = 0; i < r->building.cnt; i++) {
		struct building *b = rpt_tab_at(&r->building, i);

		finish_row(r, b);
		if (b->row.confidence < r->cfg.min_confidence)
			r->sum.below++;
		else
			r->row[n++] = b->row;
	}
	qsort(r->row, n, sizeof(*r->row), by_need);
	for (uint32_t i = 0; i < n; i++)
		while (s <= r->row[i].section)
			r->row_begin[s++] = i;
	while (s <= PSI_REPORT_SECTION_CNT)
		r->row_begin[s++] = n;
	return 0;
}

int
psi_report_finish(struct psi_report *r)
{
	struct index idx = {0};
	int rc = -ENOMEM;

	r->member_max = r->findings.cnt + r->pairs.cnt;
	r->member = calloc(r->member_max ? r->member_max : 1, sizeof(*r->member));
	idx.v = calloc(r->findings.cnt ? r->findings.cnt : 1, sizeof(struct rpt_finding *));
	if (!r->member || !idx.v)
		goto out;
	rpt_tab_init(&r->building, &r->key, sizeof(struct building), sizeof(struct rpt_row_key),
		PSI_MAX(r->member_max, 1u));
	for (uint32_t i = 0; i < r->findings.cnt; i++) {
		struct rpt_finding *f = rpt_tab_at(&r->findings, i);

		if (f->expired) {
			r->sum.expired++;
		} else if (is_asked_for(r, f)) {
			idx.v[idx.cnt++] = f;
			add_finding(r, f);
		} else {
			r->sum.filtered++;
		}
	}
	qsort(idx.v, idx.cnt, sizeof(struct rpt_finding *), by_subject);
	for (uint32_t i = 0; i < r->pairs.cnt; i++)
		add_pair(r, &idx, rpt_tab_at(&r->pairs, i));
	count_members(r);
	r->sum.forgotten = r->accepted.forgotten;
	rc = finish_rows(r);
out:
	free(idx.v);
	return rc;
}

const struct psi_report_row *
psi_report_rows(const struct psi_report *r, enum psi_report_section s, uint32_t *cnt)
{
	*cnt = r->row_begin[s + 1] - r->row_begin[s];
	return r->row + r->row_begin[s];
}
