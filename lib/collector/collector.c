/* SPDX-License-Identifier: BSD-3-Clause */
#include "collector_pvt.h"

#include <errno.h>
#include <stdlib.h>

void
psi_collector_defaults(struct psi_collector_config *cfg)
{
	*cfg = (struct psi_collector_config){.chain_max = 65536, .join_max = 262144};
	psi_population_defaults(&cfg->population);
}

void
tell_finding(struct psi_collector *c, const struct psi_finding *f, const char *also)
{
	struct psi_event_w w;

	psi_event_begin(&w, c->buf, PSI_EVENT_MAX, PSI_EVENT_FINDING);
	encode_finding(&w, f, also);
	psi_stat_inc(&c->stats, PSI_STAT_finding_out);
	psi_stat_inc(&c->stats, PSI_STAT_event_out);
	c->cfg.sink(c->cfg.ctx, psi_event_end(&w, ++c->seq, c->now_ns));
}

/* The population says something of many flows. */
static void
on_finding(void *ctx, const struct psi_finding *f)
{
	tell_finding(ctx, f, NULL);
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
	if (p && c->population)
		psi_population_tune(c->population, &p->population);
	return before;
}

/* What the population wants to know of a chain: the same whichever flow shows it. */
static void
look_at_chain(const struct psi_collector *c, struct chain *chain)
{
	static const uint8_t none[32];
	struct psi_pop_flow *f = &chain->seen;

	chain->is_seen = true;
	if (!chain->issuer)
		return;
	if (memcmp(chain->pin->spki_sha256, none, sizeof(none)) != 0)
		f->spki = chain->pin->spki_sha256;
	f->issuer = chain->issuer;
	f->issuer_len = chain->issuer_len;
	f->cert_cnt = chain->cert_cnt;
	/* RFC 8446 section 4.4.2: header, empty context, list length; a length and empty extensions each */
	f->cert_msg_len = chain->cut ? 0 : 4 + 1 + 3;
	for (uint32_t i = 0; f->cert_msg_len && i < chain->cert_cnt; i++)
		f->cert_msg_len += 3 + chain->cert[i]->der_len + 2;
	f->cert_name = (const uint8_t *)chain->name;
	f->cert_name_len = chain->name_len;
	psi_population_chain(c->population, f, &chain->hashed);
	f->chain = &chain->hashed;
}

void
as_population_looks(const struct psi_collector *c, const struct psi_rec *r, struct chain *chain,
	struct psi_pop_flow *f)
{
	if (chain && !chain->is_seen)
		look_at_chain(c, chain);
	if (chain)
		*f = chain->seen;
	else
		memset(f, 0, sizeof(*f));
	f->rec = r;
}

/* What the population wants to know of a flow. */
static void
as_population_sees(const struct psi_collector *c, const struct flow_view *v, struct psi_pop_flow *f)
{
	as_population_looks(c, v->rec, v->chain[PSI_S2C], f);
	f->ahead = v->ahead;
	f->kept = v->join ? &v->join->kept : NULL;
	f->cert_status = v->cert_status;
	f->name_mismatch = v->cert_findings & PSI_TRUST_name_mismatch;
	f->wrong_use = v->cert_findings & PSI_TRUST_wrong_eku;
	f->own_ca = v->own_ca;
	f->weight = v->pin.action == PSI_PIN_IGNORE && v->pin.pin != PSI_PIN_NONE
			    ? 0
			    : (float)v->hits.weight;
}

/* A flow that goes on waits for its end with what is known of its certificates. Data that went both ways already is what
 * others are compared with from now on. */
static void
keep(struct psi_collector *c, const struct psi_rec *r, const struct psi_pop_ahead *ahead)
{
	struct join *j = joins_put(&c->joins, r);
	struct psi_pop_flow f;
	struct flow_view v;

	if (!c->population || r->kind & PSI_REC_AGAIN)
		return;
	know(c, &v, r, j, ahead);
	if (v.hits.ignore)
		return;
	as_population_sees(c, &v, &f);
	psi_population_used(c->population, &f);
}

/* j: what waited for it; NULL: nothing did. */
static void
tell(struct psi_collector *c, const struct psi_rec *r, struct join *j,
	const struct psi_pop_ahead *ahead, enum psi_event_type type)
{
	struct psi_verdict_known known;
	struct psi_verdict verdict;
	struct flow_view v;
	struct psi_event_w w;

	c->now_ns = PSI_MAX(c->now_ns, r->end_ns);
	know(c, &v, r, j, ahead);
	if (v.hits.ignore) {
		if (type == PSI_EVENT_TLS_FLOW)
			psi_stat_inc(&c->stats, PSI_STAT_flow_ignored);
		return;
	}
	known = (struct psi_verdict_known){.cert_status = v.cert_status, .pin = v.pin.pin};
	psi_verdict_flow(r, &known, &verdict);
	if (c->population && type == PSI_EVENT_TLS_FLOW) {
		struct psi_pop_flow f;

		as_population_sees(c, &v, &f);
		psi_population_flow(c->population, &f, &verdict);
	}
	v.verdict = &verdict;
	psi_event_begin(&w, c->buf, PSI_EVENT_MAX, type);
	encode_flow(&w, &v);
	psi_stat_inc(&c->stats, PSI_STAT_event_out);
	c->cfg.sink(c->cfg.ctx, psi_event_end(&w, ++c->seq, r->end_ns));
	if (type == PSI_EVENT_TLS_FLOW) {
		learn_key(c, &v);
		tell_news(c, &v);
	}
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
drop_join(struct psi_collector *c, uint64_t flow_id)
{
	struct join *j = joins_take(&c->joins, flow_id);

	if (j)
		joins_free(&c->joins, j);
}

/* What was known of its handshake had to be given up, or never arrived. */
static void
tell_end_alone(struct psi_collector *c, const struct psi_rec *end)
{
	struct psi_rec r = {0}; /* nothing but an end is there */

	memcpy(&r, end, PSI_REC_END_LEN);
	r.len = sizeof(r);
	r.err = PSI_E_FULL;
	tell(c, &r, NULL, NULL, PSI_EVENT_TLS_FLOW);
}

/* ahead: of the flow as far as it is known before this record; NULL: not worked out. */
static void
on_flow(struct psi_collector *c, const struct psi_rec *r, const struct psi_pop_ahead *ahead)
{
	struct join *j;

	psi_stat_inc(&c->stats, PSI_STAT_rec_taken);
	if (r->kind & PSI_REC_HANDSHAKE) {
		if (c->cfg.handshakes && !(r->kind & PSI_REC_AGAIN))
			tell(c, r, NULL, NULL, PSI_EVENT_TLS_HANDSHAKE);
		if (!(r->kind & PSI_REC_END)) {
			keep(c, r, ahead);
			return;
		}
		tell(c, r, NULL, ahead, PSI_EVENT_TLS_FLOW);
		if (r->kind & PSI_REC_AGAIN)
			drop_join(c, r->flow_id);
		return;
	}
	j = joins_take(&c->joins, r->flow_id);
	if (!j) {
		tell_end_alone(c, r);
		return;
	}
	merge(&j->rec, r);
	tell(c, &j->rec, j, j->kept.who.known ? ahead : NULL, PSI_EVENT_TLS_FLOW);
	joins_free(&c->joins, j);
}

static void
take(struct psi_collector *c, struct ahead *a)
{
	switch (a->type) {
	case PSI_HANDOFF_FLOW: on_flow(c, a->p, a->has_pop ? &a->pop : NULL); break;
	case PSI_HANDOFF_CHAIN: chains_add(&c->chains, a->p); break;
	case PSI_HANDOFF_MARK:
		if (c->cfg.mark)
			c->cfg.mark(c->cfg.ctx, a->p);
		break;
	}
}

uint32_t
psi_collector_poll(struct psi_collector *c, struct psi_handoff *q, uint32_t max)
{
	struct ahead a[AHEAD_MAX];
	uint32_t n = 0, cnt;

	while (n < max && (cnt = look_ahead(c, q, a, max - n)) > 0) {
		for (uint32_t i = 0; i < cnt; i++) {
			take(c, &a[i]);
			psi_handoff_consume(q);
		}
		n += cnt;
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
