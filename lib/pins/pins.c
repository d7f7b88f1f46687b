/* SPDX-License-Identifier: BSD-3-Clause */
#include "pins_pvt.h"

static uint32_t
lookup(const struct psi_pins *p, const char *name, uint32_t len, enum host_kind kind)
{
	uint32_t i = host_hash(name, len, kind) & p->host_mask;

	for (; p->host[i].name; i = (i + 1) & p->host_mask) {
		const struct host *h = &p->host[i];

		if (h->len == len && h->kind == kind && memcmp(h->name, name, len) == 0)
			return h->set;
	}
	return NONE;
}

/* From the longest suffix to the shortest: the name itself and what lies behind each dot. */
static uint32_t
find_wildcard(const struct psi_pins *p, const char *name, uint32_t len)
{
	uint32_t set = lookup(p, name, len, HOST_TREE);
	bool first = true;

	for (uint32_t i = 0; set == NONE && i + 1 < len; i++) {
		if (name[i] != '.')
			continue;
		if (first && i)
			set = lookup(p, name + i + 1, len - i - 1, HOST_LABEL);
		if (set == NONE)
			set = lookup(p, name + i + 1, len - i - 1, HOST_TREE);
		first = false;
	}
	return set;
}

uint32_t
psi_pins_find(struct psi_pins *p, const uint8_t *host, uint32_t host_len)
{
	char name[PSI_PINS_HOST_MAX + 1];
	uint32_t len = host_fold(host, host_len, name);
	uint32_t set;

	if (!len || !p->set_cnt)
		return NONE;
	set = lookup(p, name, len, HOST_EXACT);
	if (set == NONE)
		set = find_wildcard(p, name, len);
	if (set == NONE && p->regexes)
		set = regexes_find(p->regexes, name, len);
	return set;
}

/* The first of the set's pins that are not below hash. */
static uint32_t
lower_bound(const struct pinset *s, const uint8_t hash[32])
{
	uint32_t lo = 0, hi = s->pin_cnt;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (memcmp(s->pin[mid].hash, hash, 32) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Whether the set pins hash, and as what: bits by enum pin_kind. */
static unsigned int
kinds_of(const struct pinset *s, const uint8_t hash[32])
{
	static const uint8_t unread[32];
	unsigned int kinds = 0;

	if (memcmp(hash, unread, 32) == 0)
		return 0;
	for (uint32_t i = lower_bound(s, hash);
		i < s->pin_cnt && memcmp(s->pin[i].hash, hash, 32) == 0; i++)
		kinds |= 1u << s->pin[i].kind;
	return kinds;
}

#define KEY_KINDS (1u << PIN_SPKI | 1u << PIN_CA | 1u << PIN_BACKUP)

/* What the certificate at depth is by the set: the kinds that count there. */
static unsigned int
kinds_at(const struct pinset *s, const struct psi_pins_chain *c, uint32_t depth)
{
	unsigned int kinds;

	if (depth == c->cnt)
		return kinds_of(s, c->root_spki_sha256) & KEY_KINDS;
	kinds = kinds_of(s, c->cert[depth].spki_sha256) & KEY_KINDS;
	if (depth == 0)
		kinds &= ~(1u << PIN_CA);
	return kinds | (kinds_of(s, c->cert[depth].sha256) & 1u << PIN_CERT);
}

/* The first certificate that a pin in use names, else the first that a backup pin names. */
static void
compare(const struct pinset *s, const struct psi_pins_chain *c, struct psi_pin_result *out)
{
	uint32_t end = c->cnt + c->has_root;

	out->pin = c->cut ? PSI_PIN_NOT_VISIBLE : PSI_PIN_MISMATCH;
	for (uint32_t i = 0; i < end; i++) {
		unsigned int kinds = kinds_at(s, c, i);

		if (kinds & ~(1u << PIN_BACKUP)) {
			out->pin = PSI_PIN_MATCH;
			out->depth = i;
			return;
		}
		if (kinds && out->pin != PSI_PIN_BACKUP_MATCH) {
			out->pin = PSI_PIN_BACKUP_MATCH;
			out->depth = i;
		}
	}
}

void
psi_pins_check(struct psi_pins *p, const uint8_t *host, uint32_t host_len,
	const struct psi_pins_chain *chain, int64_t time_s, struct psi_pin_result *out)
{
	uint32_t i = psi_pins_find(p, host, host_len);
	const struct pinset *s;

	*out = (struct psi_pin_result){.pin = PSI_PIN_NONE};
	if (i == NONE || !p->set[i].pin_cnt)
		return;
	s = &p->set[i];
	out->set = s->name;
	out->set_idx = i;
	out->action = s->action;
	if (time_s >= s->expires_s)
		out->pin = PSI_PIN_EXPIRED;
	else if (!chain->cnt)
		out->pin = PSI_PIN_NOT_VISIBLE;
	else
		compare(s, chain, out);
}
