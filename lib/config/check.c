/* SPDX-License-Identifier: BSD-3-Clause */
/* What one key alone cannot show: which keys go together, names that stand twice. */
#include "config_pvt.h"

#include <stdlib.h>

struct check {
	struct config *c;
	struct problems *pr;
};

static void
wrong(struct check *k, enum list_idx list, struct psi_config_at at, const char *what,
	const char *name)
{
	cfg_problem(k->pr, k->c->list[list].name, at, "%s: %s%s%s%s", cfg_lists[list].name, what,
		name ? " '" : "", name ? name : "", name ? "'" : "");
}

/* ---- names of entries: each its own ---- */

struct named {
	const char *name;
	struct psi_config_at at;
	uint32_t idx; /* of equal ones the later is wrong */
};

static int
by_name(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int d = strcmp(x->name, y->name);

	return d ? d : (x->idx > y->idx) - (x->idx < y->idx);
}

static void
names_differ(struct check *k, enum list_idx list, struct named *v, uint32_t cnt)
{
	qsort(v, cnt, sizeof(*v), by_name);
	for (uint32_t i = 1; i < cnt; i++)
		if (strcmp(v[i].name, v[i - 1].name) == 0)
			wrong(k, list, v[i].at, "a second entry is called", v[i].name);
}

#define NAMES_DIFFER(k, list, member)                                                      \
	do {                                                                               \
		uint32_t n_ = (k)->c->pub.list##_cnt;                                      \
		struct named *v_ = cfg_arena_get(&(k)->c->arena, n_ * sizeof(*v_));        \
		for (uint32_t i_ = 0; v_ && i_ < n_; i_++)                                 \
			v_[i_] = (struct named){                                           \
				(k)->c->pub.list[i_].member, (k)->c->pub.list[i_].at, i_}; \
		if (v_)                                                                    \
			names_differ((k), LIST_##list, v_, n_);                            \
	} while (0)

/* ---- lists ---- */

static void
ports(struct check *k)
{
	for (uint32_t i = 0; i < k->c->pub.ports_cnt; i++) {
		/* the arena's, not constant for us */
		struct psi_config_port *p =
			(struct psi_config_port *)(uintptr_t)&k->c->pub.ports[i];

		if (!p->device == !p->interface) {
			wrong(k, LIST_ports, p->at,
				p->device ? "both device and interface; expected one of them"
					  : "neither device nor interface; expected one of them",
				NULL);
			return;
		}
		if (!p->name)
			p->name = p->device ? p->device : p->interface;
	}
	NAMES_DIFFER(k, ports, name);
}

static void
pins(struct check *k)
{
	for (uint32_t i = 0; i < k->c->pub.pins_cnt; i++) {
		const struct psi_config_pinset *p = &k->c->pub.pins[i];

		bool none = !p->spki_sha256.cnt && !p->backup_spki_sha256.cnt &&
			    !p->ca_spki_sha256.cnt && !p->cert_sha256.cnt;

		if (none && p->action != PSI_PIN_UNPINNED)
			wrong(k, LIST_pins, p->at,
				"no pin; expected one of spki_sha256, backup_spki_sha256, ca_spki_sha256, cert_sha256 in",
				p->name);
		if (!none && p->action == PSI_PIN_UNPINNED)
			wrong(k, LIST_pins, p->at,
				"pins where \"action: unpinned\" says that there are none in",
				p->name);
	}
	NAMES_DIFFER(k, pins, name);
}

/* A weight that nothing uses would be a wish that nobody hears. */
static void
weight(struct check *k, enum list_idx list, struct psi_config_at at, enum psi_rule_action action,
	double w, const char *name)
{
	if (action != PSI_RULE_WEIGHT && w != 1)
		wrong(k, list, at, "a weight without \"action: weight\" in", name);
}

static void
rules(struct check *k)
{
	for (uint32_t i = 0; i < k->c->pub.rules_cnt; i++) {
		const struct psi_config_rule *r = &k->c->pub.rules[i];
		uint32_t n = 0;

		for (uint32_t f = 0; f < PSI_RULE_FIELD_CNT; f++)
			n += r->pattern[f].text != NULL;
		if (!n)
			wrong(k, LIST_rules, r->at,
				"no pattern; expected one of sni, subject, issuer, san, alpn, ja3, ja4 in",
				r->id);
		weight(k, LIST_rules, r->at, r->action, r->weight, r->id);
	}
	NAMES_DIFFER(k, rules, id);
}

static void
host_lists(struct check *k)
{
	for (uint32_t i = 0; i < k->c->pub.host_lists_cnt; i++) {
		const struct psi_config_host_list *h = &k->c->pub.host_lists[i];

		weight(k, LIST_host_lists, h->at, h->action, h->weight, h->id);
	}
	NAMES_DIFFER(k, host_lists, id);
}

/* ---- bounds that lie within one another ---- */

static void
at_most(struct check *k, enum key_idx inner, enum key_idx outer)
{
	const uint8_t *pub = (const uint8_t *)&k->c->pub;
	uint32_t in = *(const uint32_t *)(pub + cfg_keys[inner].off);
	uint32_t out = *(const uint32_t *)(pub + cfg_keys[outer].off);
	const struct origin *o = &k->c->key[inner];

	if (in <= out)
		return;
	if (!o->name)
		o = &k->c->key[outer];
	cfg_problem(k->pr, o->name, o->at, "%s is %u, and %s, of which it is a part, %u",
		cfg_keys[inner].path, in, cfg_keys[outer].path, out);
}

void
cfg_bind_check(struct config *c, struct problems *pr)
{
	struct check k = {c, pr};

	ports(&k);
	pins(&k);
	rules(&k);
	host_lists(&k);
	at_most(&k, KEY_flows_connections, KEY_flows_max);
	at_most(&k, KEY_flows_handshakes, KEY_flows_connections);
	at_most(&k, KEY_streams_early_segments_flow, KEY_streams_early_segments);
}
