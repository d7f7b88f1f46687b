/* SPDX-License-Identifier: BSD-3-Clause */
#include "collector_pvt.h"

#include <errno.h>
#include <stdlib.h>

#define OCSP_REVOKED 2 /* of struct psi_rec */

void
psi_collector_defaults(struct psi_collector_config *cfg)
{
	*cfg = (struct psi_collector_config){.chain_max = 65536, .join_max = 262144};
	psi_population_defaults(&cfg->population);
}

void
psi_collector_population(struct psi_collector_config *cfg, const struct psi_config *from)
{
	psi_population_defaults(&cfg->population);
	cfg->population.row_max =
		from->correlation.enabled ? (uint32_t)from->correlation.relations_max : 0;
	cfg->population.case_max = (uint32_t)from->correlation.cases_max;
	cfg->population.half_life_ns = from->correlation.half_life_ns;
	cfg->population.retry_ns = from->correlation.retry_ns;
	cfg->population.attempts_min = (uint32_t)from->correlation.attempts_min;
	cfg->population.report_confidence = (float)from->correlation.report_confidence;
}

/* The population says something of many flows. */
static void
on_finding(void *ctx, const struct psi_finding *f)
{
	struct psi_collector *c = ctx;
	struct psi_event_w w;

	psi_event_begin(&w, c->buf, PSI_EVENT_MAX, PSI_EVENT_FINDING);
	encode_finding(&w, f);
	psi_stat_inc(&c->stats, PSI_STAT_finding_out);
	psi_stat_inc(&c->stats, PSI_STAT_event_out);
	c->cfg.sink(c->cfg.ctx, psi_event_end(&w, ++c->seq, c->now_ns));
}

static int
open_population(struct psi_collector *c, struct psi_err *err)
{
	struct psi_population_config cfg = c->cfg.population;

	if (!cfg.row_max)
		return 0;
	cfg.finding = on_finding;
	cfg.ctx = c;
	c->population = psi_population_open(&cfg, err);
	return c->population ? 0 : -1;
}

struct psi_collector *
psi_collector_open(const struct psi_collector_config *cfg, struct psi_err *err)
{
	struct psi_collector *c = aligned_alloc(128, (sizeof(*c) + 127) & ~(size_t)127);

	if (!c) {
		psi_err_set(err, -ENOMEM, "no memory for the collector");
		return NULL;
	}
	memset(c, 0, sizeof(*c));
	c->cfg = *cfg;
	if (chains_open(&c->chains, cfg->chain_max, &c->stats) != 0 ||
		joins_open(&c->joins, cfg->join_max, &c->stats) != 0) {
		psi_err_set(err, -ENOMEM, "no memory for the collector's tables");
		psi_collector_close(c);
		return NULL;
	}
	if (open_population(c, err) != 0) {
		psi_collector_close(c);
		return NULL;
	}
	return c;
}

void
psi_collector_close(struct psi_collector *c)
{
	if (!c)
		return;
	if (c->chains.bucket)
		chains_close(&c->chains);
	if (c->joins.bucket)
		joins_close(&c->joins);
	psi_population_close(c->population);
	free(c);
}

struct psi_policy *
psi_collector_set_policy(struct psi_collector *c, struct psi_policy *p)
{
	struct psi_policy *before = c->cfg.policy;

	c->cfg.policy = p;
	return before;
}

/* Without anything to check against: whether the leaf's time had come and had not passed. */
static uint32_t
status_by_dates(const struct chain *c, int64_t now)
{
	uint32_t st = 0;

	if (c->not_after != INT64_MIN && now > c->not_after)
		st |= PSI_CERT_EXPIRED;
	if (c->not_before != INT64_MIN && now < c->not_before)
		st |= PSI_CERT_NOT_VALID_YET;
	return st;
}

/* The status of the server's chain, each distinct one checked once and then remembered. */
static void
check(struct psi_collector *c, const struct psi_rec *r, const struct chain *chain,
	struct psi_trust_result *out)
{
	struct psi_trust_query q = {
		.role = PSI_TRUST_SERVER, .time_s = (int64_t)(r->start_ns / 1000000000ull)};
	struct psi_trust *trust = c->cfg.policy ? c->cfg.policy->trust : NULL;
	struct psi_trust_der der[CHAIN_CERT_MAX];
	const uint8_t *p = chain ? chain->der : NULL;

	*out = (struct psi_trust_result){.status = PSI_CERT_NOT_CHECKED};
	if (!chain || !chain->cert_cnt || chain->raw)
		return;
	if (!trust) {
		out->status = status_by_dates(chain, q.time_s);
		return;
	}
	memcpy(q.key, chain->key, sizeof(q.key));
	q.sni = psi_rec_piece(r, PSI_VAR_SNI, &q.sni_len);
	if (!psi_trust_find(trust, &q, out)) {
		for (uint32_t i = 0; i < chain->cert_cnt; p += chain->der_len[i++])
			der[i] = (struct psi_trust_der){.p = p, .len = chain->der_len[i]};
		psi_trust_check(trust, &q, der, chain->cert_cnt, out);
	}
	/* The issuer may be among what was not kept: that there is none must not be said. */
	if (chain->cut && out->findings & PSI_TRUST_missing_intermediate) {
		out->status = (out->status & ~(uint32_t)PSI_CERT_INVALID_ISSUER) | PSI_CERT_UNKNOWN;
		out->findings &= ~(uint32_t)PSI_TRUST_missing_intermediate;
	}
}

/* A stapled answer that says "revoked" of the leaf's serial number counts, though nobody checked its signature: the
 * finding says so. It is not in what is remembered of the chain, since the next flow may show another answer. */
static void
heed_staple(const struct psi_rec *r, const struct chain *chain, struct psi_trust_result *t)
{
	if (r->ocsp.status != OCSP_REVOKED || !chain || !chain->serial_len ||
		chain->serial_len != r->ocsp.serial_len ||
		memcmp(chain->serial, r->ocsp.serial, r->ocsp.serial_len) != 0)
		return;
	t->status = (t->status & ~(uint32_t)PSI_CERT_VALID) | PSI_CERT_REVOKED;
	t->findings |= PSI_TRUST_revoked_by_staple;
}

/* What the population wants to know of a flow. */
static struct psi_pop_flow
as_population_sees(const struct flow_view *v)
{
	const struct chain *chain = v->chain[PSI_S2C];
	struct psi_pop_flow f = {.rec = v->rec,
		.cert_status = v->trust.status,
		.name_mismatch = v->trust.findings & PSI_TRUST_name_mismatch,
		.wrong_use = v->trust.findings & PSI_TRUST_wrong_eku,
		.again = v->rec->kind & PSI_REC_AGAIN,
		.weight = 1};

	if (!chain || !chain->who)
		return f;
	f.spki = chain->has_spki ? chain->spki : NULL;
	f.issuer = chain->who;
	f.issuer_len = chain->issuer_len;
	f.cert_name = (const uint8_t *)chain->who + chain->issuer_len;
	f.cert_name_len = chain->name_len;
	return f;
}

static void
look(struct psi_collector *c, const struct psi_rec *r, struct flow_view *v)
{
	for (int d = 0; d < PSI_DIR_CNT; d++)
		v->chain[d] = r->has_chain[d] ? chains_find(&c->chains, r->chain_key[d]) : NULL;
	check(c, r, v->chain[PSI_S2C], &v->trust);
	heed_staple(r, v->chain[PSI_S2C], &v->trust);
}

/* Data went both ways on a connection that goes on: others are compared with that from now on. */
static void
tell_population(struct psi_collector *c, const struct psi_rec *r)
{
	struct flow_view v = {.rec = r};
	struct psi_pop_flow f;

	if (!c->population)
		return;
	look(c, r, &v);
	f = as_population_sees(&v);
	psi_population_used(c->population, &f);
}

static void
tell(struct psi_collector *c, const struct psi_rec *r, enum psi_event_type type)
{
	struct psi_verdict_known known = {0};
	struct psi_verdict verdict;
	struct flow_view v = {.rec = r, .verdict = &verdict};
	struct psi_event_w w;

	c->now_ns = PSI_MAX(c->now_ns, r->end_ns);
	look(c, r, &v);
	known.cert_status = v.trust.status;
	psi_verdict_flow(r, &known, &verdict);
	if (c->population && type == PSI_EVENT_TLS_FLOW) {
		struct psi_pop_flow f = as_population_sees(&v);

		psi_population_flow(c->population, &f, &verdict);
	}
	psi_event_begin(&w, c->buf, PSI_EVENT_MAX, type);
	encode_flow(&w, &v);
	psi_stat_inc(&c->stats, PSI_STAT_event_out);
	c->cfg.sink(c->cfg.ctx, psi_event_end(&w, ++c->seq, r->end_ns));
}

/* The end of a flow whose handshake was told before: its counters and its end complete what waited. */
static void
merge(struct psi_rec *into, const struct psi_rec *end)
{
	uint64_t hs_ns = into->tcp.hs_ns;

	into->kind |= end->kind;
	into->why = end->why;
	into->end_ns = end->end_ns;
	memcpy(into->bytes, end->bytes, sizeof(into->bytes));
	memcpy(into->pkts, end->pkts, sizeof(into->pkts));
	memcpy(into->app_bytes, end->app_bytes, sizeof(into->app_bytes));
	into->tcp = end->tcp;
	into->tcp.hs_ns = hs_ns;
	for (int d = 0; d < PSI_DIR_CNT; d++) {
		for (unsigned int i = 0;
			i < end->end_alerts[d] && into->alert_cnt < PSI_REC_ALERT_MAX; i++)
			into->alert[into->alert_cnt++] = (struct psi_rec_alert){
				.dir = (uint8_t)d, .encrypted = 1, .closing = 1};
		if (end->end_alerts[d])
			into->messages |=
				d == PSI_C2S ? PSI_MSG_CLIENT_ALERT : PSI_MSG_SERVER_ALERT;
	}
}

static void
on_flow(struct psi_collector *c, struct psi_rec *r)
{
	struct join *j;

	psi_stat_inc(&c->stats, PSI_STAT_rec_taken);
	if (r->kind & PSI_REC_HANDSHAKE) {
		if (c->cfg.handshakes && !(r->kind & PSI_REC_AGAIN))
			tell(c, r, PSI_EVENT_TLS_HANDSHAKE);
		if (r->kind & PSI_REC_END)
			tell(c, r, PSI_EVENT_TLS_FLOW);
		else {
			if (!(r->kind & PSI_REC_AGAIN))
				tell_population(c, r);
			joins_put(&c->joins, r);
		}
		if (!(r->kind & PSI_REC_END) || !(r->kind & PSI_REC_AGAIN))
			return;
		j = joins_take(&c->joins, r->flow_id);
		if (j)
			joins_free(j);
		return;
	}
	j = joins_take(&c->joins, r->flow_id);
	if (!j) { /* what was known of its handshake had to be given up, or never arrived */
		r->err = PSI_E_FULL;
		tell(c, r, PSI_EVENT_TLS_FLOW);
		return;
	}
	merge(&j->rec, r);
	j->rec.kind |= PSI_REC_AGAIN;
	tell(c, &j->rec, PSI_EVENT_TLS_FLOW);
	joins_free(j);
}

uint32_t
psi_collector_poll(struct psi_collector *c, struct psi_handoff *q, uint32_t max)
{
	enum psi_handoff_type type;
	uint32_t n, len;
	void *p;

	for (n = 0; n < max && (p = psi_handoff_peek(q, &type, &len)); n++) {
		switch (type) {
		case PSI_HANDOFF_FLOW: on_flow(c, p); break;
		case PSI_HANDOFF_CHAIN: chains_add(&c->chains, p); break;
		case PSI_HANDOFF_MARK:
			if (c->cfg.mark)
				c->cfg.mark(c->cfg.ctx, p);
			break;
		}
		psi_handoff_consume(q);
	}
	return n;
}

void
psi_collector_tick(struct psi_collector *c, uint64_t now_ns)
{
	c->now_ns = PSI_MAX(c->now_ns, now_ns);
	if (c->population)
		psi_population_tick(c->population, now_ns);
}

void
psi_collector_flush(struct psi_collector *c)
{
	if (c->population)
		psi_population_flush(c->population);
}

struct psi_stats *
psi_collector_stats(struct psi_collector *c)
{
	return &c->stats;
}
