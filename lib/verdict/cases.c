/* SPDX-License-Identifier: BSD-3-Clause */
/* Refused pairs and what is told of them: a finding when a conclusion forms, changes or goes. A pair that is refused ten
 * thousand times changes its mind a few times, and tells no more often than that. */
#include "population_pvt.h"

#include <math.h>

#define SURE		0.75f
#define FOREIGN_DOMAINS 7.3f /* eight, of late */
#define FOREIGN_SURE	0.9f
#define SURER		0.8f /* of a single attempt, that a certificate is bad without showing it */
#define HELD		0.03f /* below what is reported by no more: what was told stands */
#define GONE		0.1f /* of a refusal's weight: nobody has refused for more than three half-lives */
#define MANY_HOSTS	1.5f /* refused under an issuer: it is the client, not the hosts */
#define MANY_CLIENTS \
	9.5f /* that pin a host by the same stack: it is the application, not the client */

static struct pcase *
slot(struct psi_population *p, uint64_t key, bool make)
{
	struct pcase *c = &p->cases[(size_t)(key & (p->case_line_cnt - 1)) * WAYS], *use = NULL;

	for (int i = 0; i < WAYS; i++) {
		if (c[i].key == key)
			return &c[i];
		if (!use || (use->key && (!c[i].key || c[i].used_ns < use->used_ns)))
			use = &c[i];
	}
	if (!make)
		return NULL;
	if (use->key)
		p->count.cases_evicted++;
	else
		p->count.cases++;
	*use = (struct pcase){.key = key};
	p->case_busy[(use - p->cases) / 64] |= 1ull << (use - p->cases) % 64;
	return use;
}

static uint64_t
key_of(const struct psi_pop_who *id, enum psi_finding_kind kind, enum psi_finding_class class)
{
	uint64_t what, k;

	if (class == PSI_FINDING_CERTIFICATE_EXPIRED) /* one case, which may change its mind */
		class = PSI_FINDING_CERTIFICATE_BAD;
	what = pop_mix(kind, class);

	switch (kind) {
	case PSI_SUBJECT_ISSUER: k = pop_mix(what, id->named); break;
	case PSI_SUBJECT_CLIENT: k = pop_mix(pop_mix(what, id->stack), id->issuer); break;
	case PSI_SUBJECT_HOST:
		k = pop_mix(pop_mix(what, class == PSI_FINDING_PINNED ? id->ja4 : 0),
			pop_mix(id->host, id->ctx));
		break;
	default: k = pop_mix(pop_mix(what, id->stack), pop_mix(id->host, id->ctx)); break;
	}
	return k | !k;
}

/* ---- telling ---- */

static void
reason_of(const struct pcase *c, const struct opinion *o, struct psi_finding *f)
{
	const char *s = "";

	switch (f->class) {
	case PSI_FINDING_PINNED:
		s = c->kind == PSI_SUBJECT_HOST
			    ? "This client stack refuses what the host shows on several clients, while others accept it: the application pins this host."
		    : o->signals & (SIG(accepts_issuer) | SIG(accepts_family))
			    ? "This client stack refuses what this host shows and accepts the same issuer for other hosts: it pins this host."
			    : "This client stack refuses what others accept from this host: it accepts only certificates of its own choice.";
		break;
	case PSI_FINDING_DISTRUSTS_CA:
		s = o->evidence & PSI_EVID_all_refuse
			    ? "Nobody accepts what this host shows, as clients do that do not know its CA."
			    : "This client refuses what is issued by this CA, which other clients accept: it does not trust the CA.";
		break;
	case PSI_FINDING_CERTIFICATE_EXPIRED:
		s = "Whoever is shown this host's certificate refuses it: its time is over.";
		break;
	case PSI_FINDING_CERTIFICATE_BAD:
		s = "Nobody who was shown this host's certificate accepts it: the certificate is bad.";
		break;
	case PSI_FINDING_INTERCEPTION_SEEN:
		s = "One CA, which trusted roots do not know, vouches for hosts that have nothing to do with one another: somebody on the way intercepts.";
		break;
	default: break;
	}
	strncpy(f->reason, s, sizeof(f->reason) - 1);
}

static void
tell(struct psi_population *p, struct pcase *c, const struct opinion *o,
	enum psi_finding_class class, float confidence)
{
	struct psi_finding f = {.kind = c->kind,
		.class = class,
		.confidence = confidence,
		.failed = c->failed,
		.first_ns = c->first_ns,
		.last_ns = c->last_ns,
		.evidence = o->evidence};
	struct level at;

	pop_rows_level(p, &c->id, c->id.ctx, false, &at);
	if (c->kind == PSI_SUBJECT_HOST || c->kind == PSI_SUBJECT_HOST_CLIENT) {
		f.sni = c->sni;
		f.sni_len = c->sni_len;
	}
	if (c->kind == PSI_SUBJECT_CLIENT || c->kind == PSI_SUBJECT_HOST_CLIENT) {
		f.client = c->client;
		f.client_ipv4 = c->ipv4;
	}
	if (f.client || class == PSI_FINDING_PINNED) {
		f.ja4 = c->ja4;
		f.ja4_len = c->ja4_len;
	}
	f.issuer = c->issuer;
	f.issuer_len = c->issuer_len;
	if (c->kind == PSI_SUBJECT_HOST_CLIENT && at.leaf)
		f.ok = (uint64_t)lroundf(at.leaf->tries_ok);
	if (c->kind == PSI_SUBJECT_ISSUER) {
		f.ok = c->ok_of;
		f.failed = 0;
	}
	f.seen = f.failed + f.ok;
	if (confidence > 0)
		reason_of(c, o, &f);
	else
		strncpy(f.reason, "Nothing has been seen lately that would confirm this.",
			sizeof(f.reason) - 1);
	c->told_class = (uint8_t) class;
	c->told_confidence = confidence;
	c->told_failed = c->failed;
	p->count.findings++;
	if (p->cfg.finding)
		p->cfg.finding(p->cfg.ctx, &f);
}

static float
log_odds(float prob)
{
	prob = fminf(fmaxf(prob, 0.001f), 0.999f);
	return logf(prob / (1 - prob));
}

/* Whether a conclusion is worth telling beside what was told: it formed, it moved by a factor of e in its odds, the class
 * is another one, or four times as many attempts support it. */
static bool
is_news(const struct psi_population *p, const struct pcase *c, enum psi_finding_class class,
	float confidence, bool last)
{
	if (!c->told_class)
		return confidence >= p->cfg.report_confidence;
	if (confidence < p->cfg.report_confidence - HELD)
		return true;
	return class != (enum psi_finding_class)c->told_class ||
	       fabsf(log_odds(confidence) - log_odds(c->told_confidence)) > 1 ||
	       c->failed >= 4 * c->told_failed || (last && c->failed != c->told_failed);
}

static void
take_back(struct psi_population *p, struct pcase *c, const struct opinion *o)
{
	if (c->told_class && c->told_confidence > 0)
		tell(p, c, o, (enum psi_finding_class)c->told_class, 0);
	c->told_class = 0;
}

/* One attempt may be an accident: a client that was interrupted, a certificate that is bad. */
static bool
may_be_accident(const struct pcase *c, enum psi_finding_class class, float confidence)
{
	if (c->failed > 1 || c->kind == PSI_SUBJECT_ISSUER || class == PSI_FINDING_DISTRUSTS_CA)
		return false;
	if (class == PSI_FINDING_PINNED)
		return c->how == HOW_SILENT || confidence < SURE;
	return confidence < SURER && !(c->fault & ~(unsigned int)FAULT_NONE);
}

static void
conclude(struct psi_population *p, struct pcase *c, const struct opinion *o,
	enum psi_finding_class class, float confidence, bool last)
{
	if (!class) {
		take_back(p, c, o);
		return;
	}
	if (!c->told_class && may_be_accident(c, class, confidence))
		return;
	if (!is_news(p, c, class, confidence, last))
		return;
	if (c->told_class && class != (enum psi_finding_class)c->told_class)
		take_back(p, c, o);
	if (confidence >= p->cfg.report_confidence)
		tell(p, c, o, class, confidence);
	else if (confidence < p->cfg.report_confidence - HELD)
		take_back(p, c, o);
}

/* ---- cases ---- */

static void
name(struct pcase *c, const struct psi_pop_flow *f, const struct psi_pop_who *id)
{
	const uint8_t *ja4;
	uint32_t n = 0;

	c->id = *id;
	c->first_ns = f->rec->start_ns;
	c->ipv4 = f->rec->ipv4;
	memcpy(c->client, f->rec->addr[PSI_C2S], 16);
	pop_host_name(f, c->sni, &c->sni_len);
	ja4 = psi_rec_piece(f->rec, PSI_VAR_JA4, &n);
	c->ja4_len = (uint16_t)PSI_MIN(n, sizeof(c->ja4));
	if (c->ja4_len)
		memcpy(c->ja4, ja4, c->ja4_len);
	c->issuer_len = (uint16_t)PSI_MIN(f->issuer_len, sizeof(c->issuer));
	if (c->issuer_len)
		memcpy(c->issuer, f->issuer, c->issuer_len);
}

static void
touch(struct psi_population *p, struct pcase *c, const struct psi_pop_flow *f, enum how how,
	unsigned int fault, bool counted)
{
	c->used_ns = p->now_ns;
	c->last_ns = PSI_MAX(c->last_ns, f->rec->end_ns);
	c->failed += counted;
	c->how = (uint8_t)how;
	c->fault = (uint8_t)fault;
}

static enum psi_finding_class
class_of(const struct pcase *c, const struct opinion *o)
{
	switch (o->top) {
	case CAUSE_PINNED: return PSI_FINDING_PINNED;
	case CAUSE_CA: return PSI_FINDING_DISTRUSTS_CA;
	case CAUSE_NONE: return PSI_FINDING_NONE;
	case CAUSE_CERT: break;
	case CAUSE_CNT: break;
	}
	return c->fault & FAULT_EXPIRED || o->said == VOTE_EXPIRED ? PSI_FINDING_CERTIFICATE_EXPIRED
								   : PSI_FINDING_CERTIFICATE_BAD;
}

/* Whom a conclusion about a pair speaks of: the pair, the client behind it, or the host. */
static enum psi_finding_kind
kind_of(const struct opinion *o, enum psi_finding_class class)
{
	switch (class) {
	case PSI_FINDING_PINNED:
		return o->kin_clients > MANY_CLIENTS && !(o->signals & SIG(kin_accepts))
			       ? PSI_SUBJECT_HOST
			       : PSI_SUBJECT_HOST_CLIENT;
	case PSI_FINDING_DISTRUSTS_CA:
		return o->hosts_refused > MANY_HOSTS && !(o->signals & SIG(all_refuse))
			       ? PSI_SUBJECT_CLIENT
			       : PSI_SUBJECT_HOST_CLIENT;
	case PSI_FINDING_CERTIFICATE_BAD:
	case PSI_FINDING_CERTIFICATE_EXPIRED: return PSI_SUBJECT_HOST;
	default: return PSI_SUBJECT_HOST_CLIENT;
	}
}

/* The case of a conclusion that speaks of more than the pair: made of the pair's when it is the first. */
static struct pcase *
wider(struct psi_population *p, const struct pcase *c, enum psi_finding_kind kind,
	enum psi_finding_class class)
{
	uint64_t key = key_of(&c->id, kind, class);
	struct pcase *w = slot(p, key, false);

	if (!w) {
		struct pcase own = *c; /* a full line may give up the pair itself for this */

		w = slot(p, key, true);
		*w = own;
		w->key = key;
		w->kind = kind;
		w->told_class = 0;
		w->told_confidence = 0;
		w->failed = w->told_failed = 0;
		c = w;
	}
	w->class = class;
	w->used_ns = p->now_ns;
	w->first_ns = PSI_MIN(w->first_ns, c->first_ns);
	w->last_ns = PSI_MAX(w->last_ns, c->last_ns);
	w->how = c->how;
	w->fault = c->fault;
	return w;
}

/* What one pair says, of itself, of its client or of its host. attempts: new ones since the last time. */
static void
settle(struct psi_population *p, struct pcase *c, const struct opinion *o, uint64_t attempts,
	bool last)
{
	enum psi_finding_class class = class_of(c, o);
	enum psi_finding_kind kind = kind_of(o, class);
	float scope = kind == PSI_SUBJECT_HOST_CLIENT ? o->scope
		      : kind == PSI_SUBJECT_HOST      ? o->host_scope
						      : o->client_scope;
	uint64_t failed = c->failed;
	struct pcase *w = c;

	if (!o->compared || o->attempts < (float)p->cfg.attempts_min - 0.5f)
		return;
	if (kind != PSI_SUBJECT_HOST_CLIENT) {
		if (c->told_class !=
			class) /* what is said of more than the pair says it of the pair, too */
			take_back(p, c, o);
		w = wider(p, c, kind, class);
		w->failed += w->failed ? attempts : failed;
	}
	conclude(p, w, o, class, o->prob[o->top] * scope, last);
}

void
pop_cases_flow(struct psi_population *p, const struct psi_pop_flow *f, const struct psi_pop_who *id,
	enum how how, unsigned int fault, const struct opinion *o, bool counted)
{
	struct pcase *c = slot(p, key_of(id, PSI_SUBJECT_HOST_CLIENT, PSI_FINDING_NONE), true);

	if (!c->last_ns) {
		c->kind = PSI_SUBJECT_HOST_CLIENT;
		name(c, f, id);
		counted = true;
	}
	touch(p, c, f, how, fault, counted);
	settle(p, c, o, counted, false);
}

void
pop_cases_issuer(struct psi_population *p, const struct psi_pop_flow *f,
	const struct psi_pop_who *id, float domains)
{
	static const struct opinion plain;
	struct pcase *c;

	if (domains < FOREIGN_DOMAINS)
		return;
	c = slot(p, key_of(id, PSI_SUBJECT_ISSUER, PSI_FINDING_INTERCEPTION_SEEN), true);
	if (!c->last_ns) {
		c->kind = PSI_SUBJECT_ISSUER;
		c->class = PSI_FINDING_INTERCEPTION_SEEN;
		c->failed = 1; /* told once, however often */
		name(c, f, id);
	}
	c->used_ns = p->now_ns;
	c->last_ns = PSI_MAX(c->last_ns, f->rec->end_ns);
	c->ok_of = (uint64_t)lroundf(domains);
	conclude(p, c, &plain, PSI_FINDING_INTERCEPTION_SEEN, FOREIGN_SURE, false);
}

/* Nobody has refused for so long that what was said no longer holds. */
static void
retire(struct psi_population *p, struct pcase *c)
{
	static const struct opinion none;

	take_back(p, c, &none);
	c->key = 0;
	p->case_busy[(c - p->cases) / 64] &= ~(1ull << (c - p->cases) % 64);
	p->count.cases--;
}

/* One case, if there is one, looked at again: others may have done something since that speaks of it. What is known of
 * more than a pair stands as long as its pairs keep it alive. */
static void
review(struct psi_population *p, uint32_t i, bool last)
{
	struct pcase *c = &p->cases[i];
	struct opinion o;
	struct level at;

	if (!(p->case_busy[i / 64] >> i % 64 & 1))
		return;
	if (pop_share(p, c->last_ns) < GONE) {
		retire(p, c);
		return;
	}
	if (c->kind != PSI_SUBJECT_HOST_CLIENT)
		return;
	pop_rows_level(p, &c->id, c->id.ctx, false, &at);
	if (!at.leaf) /* given up for others: nothing new can be said */
		return;
	pop_judge(p, &c->id, (enum how)c->how, c->fault, &o);
	settle(p, c, &o, 0, last);
}

void
pop_cases_sweep(struct psi_population *p, uint32_t n)
{
	uint32_t all = p->case_line_cnt * WAYS;

	for (; n; n--) {
		review(p, p->sweep, false);
		p->sweep = (p->sweep + 1) & (all - 1);
	}
}

void
psi_population_flush(struct psi_population *p)
{
	for (uint32_t i = 0; i < p->case_line_cnt * WAYS; i++)
		review(p, i, true);
}
