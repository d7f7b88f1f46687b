/* SPDX-License-Identifier: BSD-3-Clause */
/* What is known of a flow beside its record: its chains and their status, the operator's pins and rules, and the keys
 * that its host has shown before. */
#include "collector_pvt.h"

#define OCSP_REVOKED 2 /* of struct psi_rec */
#define VALUE_MAX \
	512 /* of all fields of a flow, for rules: of one, psi_match looks at 256 and counts the rest */

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

static uint32_t
certificates(const struct chain *chain, struct psi_trust_der *der)
{
	for (uint32_t i = 0; i < chain->cert_cnt; i++)
		der[i] = (struct psi_trust_der){
			.p = cert_der(chain->cert[i]), .len = chain->cert[i]->der_len};
	return chain->cert_cnt;
}

/* What is to be said of a chain now: what was said at the first record of the flow, else what is remembered of the chain,
 * else what libcrypto says. */
static void
ask_trust(const struct psi_policy *policy, struct flow_view *v, const struct psi_trust_query *q)
{
	struct psi_trust_result *out = v->join ? &v->join->trust : &v->trust_here;
	struct psi_trust_der der[CHAIN_CERT_MAX];
	uint32_t cnt;

	if ((!v->join || v->join->trust_generation != policy->generation) &&
		!psi_trust_find(policy->trust, q, out)) {
		cnt = certificates(v->chain[PSI_S2C], der);
		if (!psi_trust_check(policy->trust, q, der, cnt, out))
			return; /* not now */
	}
	if (v->join)
		v->join->trust_generation = policy->generation;
	v->trust = out;
	v->cert_status = out->status;
	v->cert_findings = out->findings;
}

/* The status of the server's chain. */
static void
check_chain(struct psi_collector *c, struct flow_view *v)
{
	struct psi_trust_query q = {
		.role = PSI_TRUST_SERVER, .time_s = (int64_t)(v->rec->start_ns / 1000000000ull)};
	const struct psi_policy *policy = c->cfg.policy;
	const struct chain *chain = v->chain[PSI_S2C];

	v->cert_status = PSI_CERT_NOT_CHECKED;
	if (!chain || !chain->cert_cnt || chain->raw)
		return;
	if (!policy || !policy->trust) {
		v->cert_status = status_by_dates(chain, q.time_s);
		return;
	}
	memcpy(q.key, chain->key, sizeof(q.key));
	q.sni = psi_rec_piece(v->rec, PSI_VAR_SNI, &q.sni_len);
	ask_trust(policy, v, &q);
	/* The issuer may be among what was not kept: that there is none must not be said. */
	if (chain->cut && v->cert_findings & PSI_TRUST_missing_intermediate) {
		v->cert_status =
			(v->cert_status & ~(uint32_t)PSI_CERT_INVALID_ISSUER) | PSI_CERT_UNKNOWN;
		v->cert_findings &= ~(uint32_t)PSI_TRUST_missing_intermediate;
	}
}

/* A stapled answer that says "revoked" of the leaf's serial number counts, though nobody checked its signature: the
 * finding says so. It is not in what is remembered of the chain, since the next flow may show another answer. */
static void
heed_staple(struct flow_view *v)
{
	const struct chain *chain = v->chain[PSI_S2C];
	const struct psi_rec *r = v->rec;

	if (r->ocsp.status != OCSP_REVOKED || !chain || !chain->serial_len ||
		chain->serial_len != r->ocsp.serial_len ||
		memcmp(chain->serial, r->ocsp.serial, r->ocsp.serial_len) != 0)
		return;
	v->cert_status = (v->cert_status & ~(uint32_t)PSI_CERT_VALID) | PSI_CERT_REVOKED;
	v->cert_findings |= PSI_TRUST_revoked_by_staple;
}

/* ---- pins ---- */

/* The host that a flow is for: the name asked for, else that asked of a proxy, without its port. */
const uint8_t *
host_of(const struct psi_rec *r, uint32_t *len)
{
	const uint8_t *host = psi_rec_piece(r, PSI_VAR_SNI, len), *colon;

	if (host)
		return host;
	host = psi_rec_piece(r, PSI_VAR_CONNECT_TARGET, len);
	colon = host ? memrchr(host, ':', *len) : NULL;
	if (colon)
		*len = (uint32_t)(colon - host);
	return host;
}

/* Whether the chain was issued by the operator himself: worked out once per chain and policy. */
static bool
is_own_ca(struct psi_collector *c, struct chain *chain)
{
	struct psi_policy *p = c->cfg.policy;
	struct psi_trust_der der[CHAIN_CERT_MAX];
	struct psi_pins_der list[CHAIN_CERT_MAX];
	uint32_t cnt;

	if (!p || !p->pins || !psi_pins_own_ca_cnt(p->pins) || !chain || chain->raw)
		return false;
	if (chain->own_ca_generation != p->generation) {
		cnt = certificates(chain, der);
		for (uint32_t i = 0; i < cnt; i++)
			list[i] = (struct psi_pins_der){der[i].p, der[i].len};
		chain->own_ca = psi_pins_own_ca(p->pins, list, cnt);
		chain->own_ca_generation = p->generation;
	}
	return chain->own_ca;
}

static void
check_pins(struct psi_collector *c, struct flow_view *v)
{
	struct psi_policy *p = c->cfg.policy;
	const struct chain *chain = v->chain[PSI_S2C];
	struct psi_pins_chain shown = {.cert = NULL};
	const uint8_t *host;
	uint32_t len;

	if (!p || !p->pins)
		return;
	if (chain && !(v->rec->evidence & PSI_EVID_resumed)) {
		shown.cert = chain->pin;
		shown.cnt = chain->cert_cnt;
		shown.cut = chain->cut || v->rec->chain_cut[PSI_S2C];
		shown.has_root = v->trust && v->trust->has_root;
		if (shown.has_root)
			memcpy(shown.root_spki_sha256, v->trust->root_spki_sha256,
				sizeof(shown.root_spki_sha256));
	}
	host = host_of(v->rec, &len);
	psi_pins_check(p->pins, host, host ? len : 0, &shown,
		(int64_t)(v->rec->start_ns / 1000000000ull), &v->pin);
}

void
learn_key(struct psi_collector *c, struct flow_view *v)
{
	static const uint8_t none[32];
	const struct chain *chain = v->chain[PSI_S2C];
	struct psi_pins_seen seen = {
		.own_ca = v->own_ca, .time_s = (int64_t)(v->rec->start_ns / 1000000000ull)};

	if (!c->cfg.keys || !chain || !chain->cert_cnt || chain->raw)
		return;
	seen.host = host_of(v->rec, &seen.host_len);
	if (!seen.host || memcmp(chain->pin[0].spki_sha256, none, sizeof(none)) == 0)
		return;
	seen.spki_sha256 = chain->pin[0].spki_sha256;
	seen.issuer = chain->issuer;
	seen.issuer_sha256 = chain->cert_cnt > 1 ? chain->pin[1].spki_sha256 : NULL;
	seen.root_sha256 = v->trust && v->trust->has_root ? v->trust->root_spki_sha256 : NULL;
	v->news = psi_pins_learn(c->cfg.keys, &seen, NULL);
}

/* ---- rules ---- */

struct values {
	struct psi_match_value at[VALUE_MAX];
	uint32_t cnt;
};

static void
add(struct values *o, const uint8_t *p, uint32_t len)
{
	if (p && o->cnt < VALUE_MAX)
		o->at[o->cnt++] = (struct psi_match_value){p, len};
}

static struct psi_match_values
piece(const struct psi_rec *r, enum psi_rec_var var, struct values *o)
{
	uint32_t len, first = o->cnt;
	const uint8_t *p = psi_rec_piece(r, var, &len);

	add(o, p, len);
	return (struct psi_match_values){o->at + first, o->cnt - first};
}

/* Protocols offered, and the one chosen. */
static struct psi_match_values
protocols(const struct psi_rec *r, struct values *o)
{
	uint32_t len, first = o->cnt;
	const uint8_t *p = psi_rec_piece(r, PSI_VAR_CLIENT_ALPNS, &len);
	struct psi_event_r names = {p, p + len};
	struct psi_value value;

	while (p && psi_event_next(&names, &value))
		add(o, value.p, value.len);
	piece(r, PSI_VAR_ALPN, o);
	return (struct psi_match_values){o->at + first, o->cnt - first};
}

/* The leaf's own fields stand in the chain, ready to be read. */
static struct psi_match_values
leaf_values(const struct chain *chain, enum psi_field f, struct values *o)
{
	struct psi_event_r r = {chain->leaf, chain->leaf + chain->leaf_len};
	uint32_t first = o->cnt;
	struct psi_value value;

	while (psi_event_next(&r, &value))
		if (value.id == f)
			add(o, value.p, value.len);
	return (struct psi_match_values){o->at + first, o->cnt - first};
}

static void
match_rules(struct psi_collector *c, struct flow_view *v)
{
	const struct chain *chain = v->chain[PSI_S2C];
	struct psi_match_input in = {0};
	struct values values;

	if (!c->cfg.policy || !c->cfg.policy->match)
		return;
	values.cnt = 0;
	in.field[PSI_RULE_SNI] = piece(v->rec, PSI_VAR_SNI, &values);
	in.field[PSI_RULE_JA3] = piece(v->rec, PSI_VAR_JA3, &values);
	in.field[PSI_RULE_JA4] = piece(v->rec, PSI_VAR_JA4, &values);
	in.field[PSI_RULE_ALPN] = protocols(v->rec, &values);
	if (chain && chain->leaf_len) {
		in.field[PSI_RULE_SUBJECT] = leaf_values(chain, PSI_F_TLS_SUBJECT, &values);
		in.field[PSI_RULE_ISSUER] = leaf_values(chain, PSI_F_TLS_ISSUERDN, &values);
		in.field[PSI_RULE_SAN] = leaf_values(chain, PSI_F_TLS_SAN, &values);
	}
	psi_match_flow(c->cfg.policy->match, &in, &v->hits);
}

void
know(struct psi_collector *c, struct flow_view *v, const struct psi_rec *r, struct join *j,
	const struct psi_pop_ahead *ahead)
{
	/* one by one: to clear all of it, the room for hits included, takes longer than the rest */
	v->rec = r;
	v->join = j;
	v->ahead = ahead;
	v->trust = NULL;
	v->cert_findings = 0;
	v->pin = (struct psi_pin_result){.pin = PSI_PIN_NONE};
	v->hits.cnt = v->hits.more = 0;
	v->hits.ignore = false;
	v->news = PSI_PINS_NEWS_NONE;
	for (int d = 0; d < PSI_DIR_CNT; d++)
		v->chain[d] =
			v->rec->has_chain[d] ? chains_find(&c->chains, v->rec->chain_key[d]) : NULL;
	v->hits.weight = 1;
	check_chain(c, v);
	heed_staple(v);
	v->own_ca = is_own_ca(c, v->chain[PSI_S2C]);
	check_pins(c, v);
	match_rules(c, v);
}
