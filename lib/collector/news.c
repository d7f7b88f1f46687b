/* SPDX-License-Identifier: BSD-3-Clause */
/* Findings that one flow suffices for: what the operator's pins and the keys seen before say of the certificates that a
 * host shows. Each is told once a day, however many flows show it. */
#include "collector_pvt.h"

#define DAY_NS (24ull * 3600 * 1000000000)

/* The columns: which finding, how sure, what it rests on, what a person reads. */
struct news {
	enum psi_finding_class class;
	float confidence;
	const char *evidence, *reason;
};

static const struct news backup = {PSI_FINDING_BACKUP_PIN_IN_USE, 1.0f, "pinset_backup",
	"The host shows a key that its pinset lists as a backup: the primary is no longer in use, or soon will not be."};
static const struct news outdated = {PSI_FINDING_KEY_CHANGED, 1.0f, "pinset_mismatch",
	"The host shows a certificate that trusted roots vouch for, but none of the keys of its pinset: the pinset is out of date, or somebody had a certificate issued."};
static const struct news foreign = {PSI_FINDING_INTERCEPTION_SEEN, 0.9f, "pinset_mismatch",
	"The host shows none of the keys of its pinset, under a CA that neither trusted roots nor the list of own inspection CAs know."};
static const struct news rotated = {PSI_FINDING_KEY_CHANGED, 1.0f, "key_rotated",
	"The host shows a key that it had not shown before, from the same issuer: a renewal."};
static const struct news moved = {PSI_FINDING_KEY_CHANGED, 1.0f, "issuer_changed",
	"The host shows a new key from another issuer, which trusted roots vouch for: it has changed its CA, or its provider."};
static const struct news intercepted = {PSI_FINDING_INTERCEPTION_SEEN, 0.9f, "issuer_changed",
	"The host shows a new key from another issuer that neither trusted roots nor the list of own inspection CAs know: somebody else intercepts."};

/* Whether it was told of this host within a day. A place is shared by few hosts; one that loses it is told again. */
static bool
is_told(struct psi_collector *c, const struct news *n, const uint8_t *host, uint32_t len)
{
	uint64_t h = 14695981039346656037ull ^ c->cfg.population.seed; /* FNV-1a */
	struct told *t;

	for (uint32_t i = 0; i < len; i++)
		h = (h ^ (host[i] | (host[i] >= 'A' && host[i] <= 'Z' ? 0x20 : 0))) *
		    1099511628211ull;
	h = (h ^ (uint64_t)(n->evidence[0] + 256 * (int)n->class)) * 1099511628211ull;
	t = &c->told[h >> 32 & (TOLD_CNT - 1)];
	if (t->key == h && c->now_ns < t->at_ns + DAY_NS)
		return true;
	*t = (struct told){.key = h, .at_ns = c->now_ns};
	return false;
}

static void
say(struct psi_collector *c, const struct flow_view *v, const struct news *n)
{
	const struct psi_rec *r = v->rec;
	struct psi_finding f = {.kind = PSI_SUBJECT_HOST,
		.class = n->class,
		.confidence = n->confidence,
		.seen = 1,
		.first_ns = r->start_ns,
		.last_ns = r->end_ns};
	const struct chain *chain = v->chain[PSI_S2C];

	f.sni = (const char *)host_of(r, &f.sni_len);
	if (!f.sni || is_told(c, n, (const uint8_t *)f.sni, f.sni_len))
		return;
	if (chain && chain->issuer) {
		f.issuer = chain->issuer;
		f.issuer_len = chain->issuer_len;
	}
	memcpy(f.reason, n->reason, PSI_MIN(strlen(n->reason), sizeof(f.reason) - 1));
	tell_finding(c, &f, n->evidence);
}

void
tell_news(struct psi_collector *c, const struct flow_view *v)
{
	bool trusted = v->cert_status & PSI_CERT_VALID;

	if (v->pin.pin == PSI_PIN_BACKUP_MATCH)
		say(c, v, &backup);
	if (v->pin.pin == PSI_PIN_MISMATCH && !v->own_ca)
		say(c, v, trusted ? &outdated : &foreign);
	if (v->news == PSI_PINS_NEWS_ROTATED)
		say(c, v, &rotated);
	if (v->news == PSI_PINS_NEWS_ISSUER_CHANGED)
		say(c, v, trusted ? &moved : &intercepted);
}
