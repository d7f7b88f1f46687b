/* SPDX-License-Identifier: BSD-3-Clause */
/* Events are added up here: flows in trouble by (host, client, stack), findings by their subject, the rest as counts. */
#include "report_pvt.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#define FINDINGS_MAX 32768u
#define PAIRS_MAX    131072u
#define NAMES_MAX    (64u << 20)
#define ACCEPTED_MAX 524288u

static void
defaults(struct psi_report_config *c)
{
	c->findings_max = c->findings_max ? c->findings_max : FINDINGS_MAX;
	c->pairs_max = c->pairs_max ? c->pairs_max : PAIRS_MAX;
	c->names_max = c->names_max ? c->names_max : NAMES_MAX;
	c->accepted_max = c->accepted_max ? c->accepted_max : ACCEPTED_MAX;
}

struct psi_report *
psi_report_open(const struct psi_report_config *cfg, struct psi_err *err)
{
	struct psi_report *r = calloc(1, sizeof(*r));

	if (!r)
		goto nomem;
	r->cfg = *cfg;
	defaults(&r->cfg);
	r->sum.min_confidence = cfg->min_confidence;
	if (getrandom(r->key.b, sizeof(r->key.b), 0) != (ssize_t)sizeof(r->key.b)) {
		psi_err_set(err, -errno, "no random numbers from the system");
		free(r);
		return NULL;
	}
	rpt_names_init(&r->names, &r->key, r->cfg.names_max);
	rpt_tab_init(&r->findings, &r->key, sizeof(struct rpt_finding),
		sizeof(((struct rpt_finding *)0)->key), r->cfg.findings_max);
	rpt_tab_init(&r->pairs, &r->key, sizeof(struct rpt_pair),
		sizeof(((struct rpt_pair *)0)->key), r->cfg.pairs_max);
	if (rpt_counts_init(&r->accepted, r->cfg.accepted_max) != 0)
		goto nomem;
	return r;
nomem:
	psi_err_set(err, -ENOMEM, "no memory for a report");
	free(r);
	return NULL;
}

void
psi_report_close(struct psi_report *r)
{
	if (!r)
		return;
	rpt_names_fini(&r->names);
	rpt_tab_fini(&r->findings);
	rpt_tab_fini(&r->pairs);
	rpt_tab_fini(&r->building);
	rpt_counts_fini(&r->accepted);
	free(r->member);
	free(r->row);
	free(r);
}

/* ---- names of hosts ---- */

#define HOST_MAX NAME_LEN_MAX

/* Hosts are compared without regard to case and to a closing dot. Returns the length. */
static size_t
fold_host(char *out, struct psi_report_text t)
{
	size_t n = PSI_MIN(t.len, (size_t)HOST_MAX);

	for (size_t i = 0; i < n; i++)
		out[i] = (char)(t.p[i] >= 'A' && t.p[i] <= 'Z' ? t.p[i] + 32 : t.p[i]);
	if (n > 1 && out[n - 1] == '.')
		n--;
	return n;
}

/* A flow without a name is known by the server's address: "192.0.2.1:443", "[2001:db8::1]:443". */
static size_t
addr_host(char *out, const struct psi_report_event *e)
{
	char a[FMT_MAX];

	rpt_addr(a, &e->server);
	return (size_t)snprintf(
		out, HOST_MAX, e->server.len == 16 ? "[%s]:%u" : "%s:%u", a, e->server_port);
}

static bool
host_passes(const struct psi_report_filter *f, const char *host, size_t len)
{
	const char *want = f->host.p;
	size_t n = f->host.len;

	if (!n)
		return true;
	if (want[0] != '.')
		return len == n && memcmp(host, want, n) == 0;
	if (len == n - 1)
		return memcmp(host, want + 1, len) == 0;
	return len >= n && memcmp(host + len - n, want, n) == 0;
}

static bool
client_passes(const struct psi_report_filter *f, const struct psi_report_ip *ip)
{
	unsigned int bytes = f->client_bits / 8, rest = f->client_bits % 8;

	if (!f->client.len)
		return true;
	if (ip->len != f->client.len || memcmp(ip->b, f->client.b, bytes) != 0)
		return false;
	return !rest || (ip->b[bytes] ^ f->client.b[bytes]) >> (8 - rest) == 0;
}

static void
span(struct psi_report_sum *s, uint64_t first_ns, uint64_t last_ns)
{
	if (!s->first_ns || first_ns < s->first_ns)
		s->first_ns = first_ns;
	s->last_ns = PSI_MAX(s->last_ns, last_ns);
}

/* ---- flows ---- */

static uint64_t
evidence_bits(const struct psi_report_event *e)
{
	uint64_t bits = 0;

	for (uint32_t i = 0; i < e->evidence_cnt; i++)
		for (uint64_t bit = 1; bit; bit <<= 1) {
			const char *name = psi_evidence_name(bit);

			if (name && strlen(name) == e->evidence[i].len &&
				memcmp(name, e->evidence[i].p, e->evidence[i].len) == 0)
				bits |= bit;
		}
	return bits;
}

static void
pair_server(struct rpt_pair *p, const struct psi_report_ip *ip)
{
	for (unsigned int i = 0; i < p->servers; i++)
		if (rpt_same_ip(&p->server[i], ip))
			return;
	if (ip->len && p->servers < PAIR_SERVERS)
		p->server[p->servers++] = *ip;
}

static void
pair_add(struct psi_report *r, struct rpt_pair *p, const struct psi_report_event *e, bool made)
{
	p->n++;
	/* Called so for its pinset. Where other flows made it so, their finding has the newer word. */
	p->pinned += e->class == PSI_CLASS_PINNED && e->pinset.len;
	p->first_ns = made ? e->time_ns : PSI_MIN(p->first_ns, e->time_ns);
	p->last_ns = PSI_MAX(p->last_ns, e->time_ns);
	p->evidence |= evidence_bits(e);
	pair_server(p, &e->server);
	if (e->issuer.len)
		p->issuer = rpt_names_id(&r->names, e->issuer.p, e->issuer.len);
	if (e->pinset.len)
		p->pinset = rpt_names_id(&r->names, e->pinset.p, e->pinset.len);
	if (made || e->confidence > p->confidence ||
		(e->class == PSI_CLASS_PINNED && p->class != PSI_CLASS_PINNED)) {
		p->confidence = e->confidence;
		p->class = (uint8_t)e->class;
		p->reason = rpt_names_id(&r->names, e->reason.p, e->reason.len);
	}
}

static void
trouble(struct psi_report *r, const struct psi_report_event *e, const char *host, size_t len,
	enum pair_group group)
{
	struct rpt_pair key, *p;
	bool made;

	memset(&key, 0, sizeof(key));
	key.key.host = rpt_names_id(&r->names, host, len);
	key.key.ja4 = rpt_names_id(&r->names, e->ja4.p, e->ja4.len);
	key.key.client = e->client;
	key.key.group = (uint8_t)group;
	key.key.is_addr = !e->host.len;
	if (key.key.host == NAME_NONE || key.key.ja4 == NAME_NONE ||
		!(p = rpt_tab_get(&r->pairs, &key.key, &made))) {
		r->sum.left_flows++;
		return;
	}
	pair_add(r, p, e, made);
}

static void
accept_flow(struct psi_report *r, const struct psi_report_event *e, const char *host, size_t len)
{
	r->sum.accepted++;
	rpt_counts_add(&r->accepted, rpt_hash(&r->key, host, len));
	rpt_counts_add(&r->accepted, rpt_hash(&r->key, &e->client, sizeof(e->client)));
}

static void
take_flow(struct psi_report *r, const struct psi_report_event *e)
{
	struct psi_report_sum *s = &r->sum;
	char host[HOST_MAX + 1];
	size_t len = e->host.len ? fold_host(host, e->host) : addr_host(host, e);
	unsigned int bin = PSI_REPORT_BIN_OTHER;

	if (e->time_ns < r->cfg.filter.since_ns || !host_passes(&r->cfg.filter, host, len) ||
		!client_passes(&r->cfg.filter, &e->client)) {
		s->filtered++;
		return;
	}
	s->flows++;
	s->classes[e->class]++;
	span(s, e->time_ns, e->time_ns);
	if (psi_class_is_refusal(e->class)) {
		s->refused++;
		bin = PSI_REPORT_BIN_REFUSED;
		trouble(r, e, host, len, PAIR_REFUSED);
	} else if (e->class == PSI_CLASS_CLIENT_CERTIFICATE ||
		   e->class == PSI_CLASS_HANDSHAKE_FAILURE) {
		s->failed++;
		bin = PSI_REPORT_BIN_FAILED;
		trouble(r, e, host, len,
			e->class == PSI_CLASS_CLIENT_CERTIFICATE ? PAIR_CLIENT_CERT : PAIR_FAILED);
	} else if (e->class == PSI_CLASS_NORMAL) {
		bin = PSI_REPORT_BIN_OK;
		accept_flow(r, e, host, len);
	} else {
		s->undecided++;
	}
	rpt_times_add(&r->times, e->time_ns, bin);
}

/* ---- findings ---- */

static bool
text_is(struct psi_report_text t, const char *s)
{
	return t.len == strlen(s) && memcmp(t.p, s, t.len) == 0;
}

static enum psi_report_section section_of(struct psi_report_text class)
{
#define FINDING(name, section)    \
	if (text_is(class, name)) \
		return PSI_REPORT_##section;
#include "report_findings.def"
#undef FINDING
	return PSI_REPORT_INTERCEPTION;
}

/* Taken back: no longer believed, by its confidence or by name. */
static bool
is_expired(const struct psi_report_event *e)
{
	for (uint32_t i = 0; i < e->evidence_cnt; i++)
		if (text_is(e->evidence[i], "expired"))
			return true;
	return e->confidence <= 0;
}

static void
finding_set(struct psi_report *r, struct rpt_finding *f, const struct psi_report_event *e)
{
	f->time_ns = e->time_ns;
	f->seen = e->seen;
	f->failed = e->failed;
	f->ok = e->ok;
	f->first_ns = e->first_ns;
	f->last_ns = e->last_ns;
	f->confidence = e->confidence;
	f->reason = rpt_names_id(&r->names, e->reason.p, e->reason.len);
	f->expired = is_expired(e);
	f->evidence_cnt = 0;
	for (uint32_t i = 0; i < e->evidence_cnt; i++)
		f->evidence[f->evidence_cnt++] =
			rpt_names_id(&r->names, e->evidence[i].p, e->evidence[i].len);
}

static void
take_finding(struct psi_report *r, const struct psi_report_event *e)
{
	char host[HOST_MAX + 1];
	size_t len = fold_host(host, e->host);
	struct rpt_finding key, *f;
	bool made;

	if (e->last_ns < r->cfg.filter.since_ns ||
		(len && !host_passes(&r->cfg.filter, host, len)) ||
		(e->client.len && !client_passes(&r->cfg.filter, &e->client))) {
		r->sum.filtered++;
		return;
	}
	memset(&key, 0, sizeof(key));
	key.key.class = rpt_names_id(&r->names, e->finding.p, e->finding.len);
	key.key.host = rpt_names_id(&r->names, host, len);
	key.key.ja4 = rpt_names_id(&r->names, e->ja4.p, e->ja4.len);
	key.key.issuer = rpt_names_id(&r->names, e->issuer.p, e->issuer.len);
	key.key.client = e->client;
	if (key.key.class == NAME_NONE || key.key.host == NAME_NONE || key.key.ja4 == NAME_NONE ||
		key.key.issuer == NAME_NONE || !(f = rpt_tab_get(&r->findings, &key.key, &made))) {
		r->sum.left_findings++;
		return;
	}
	if (!made) {
		r->sum.older++;
		if (e->time_ns < f->time_ns)
			return;
	}
	f->section = (uint8_t)section_of(e->finding);
	finding_set(r, f, e);
	span(&r->sum, e->first_ns, e->last_ns);
}

void
psi_report_take(struct psi_report *r, const struct psi_report_event *e)
{
	r->sum.events[e->kind]++;
	switch (e->kind) {
	case PSI_REPORT_FLOW: take_flow(r, e); break;
	case PSI_REPORT_FINDING: take_finding(r, e); break;
	case PSI_REPORT_GAP: r->sum.lost += e->lost; break;
	case PSI_REPORT_HANDSHAKE:
	case PSI_REPORT_STATS:
	case PSI_REPORT_OTHER:
	case PSI_REPORT_KIND_CNT: break;
	}
}

void
psi_report_bad(struct psi_report *r)
{
	r->sum.bad++;
}

const struct psi_report_sum *
psi_report_sum(const struct psi_report *r)
{
	return &r->sum;
}

const struct psi_report_times *
psi_report_times(const struct psi_report *r)
{
	return &r->times;
}
