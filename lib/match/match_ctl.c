/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening and closing. All that can be told is told before giving up: bad patterns of every field, bad lines of every list. */
#include "match_pvt.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

/* Patterns and paths are the operator's, but a line stays a line, and tells a terminal nothing else. */
static void
tell(struct teller *t, enum psi_match_news kind, char *text)
{
	for (char *p = text; *p; p++)
		if ((uint8_t)*p < ' ' || *p == 0x7f)
			*p = '?';
	if (t->cfg->tell)
		t->cfg->tell(t->cfg->ctx, kind, text);
}

static void
tell_bad(struct teller *t, char *text)
{
	if (++t->bad <= PSI_MATCH_COMPLAINTS_MAX)
		tell(t, PSI_MATCH_BAD, text);
	if (t->bad == 1)
		psi_err_set(t->err, -EINVAL, "%s", text);
}

void
complain(struct teller *t, struct psi_config_at at, const char *fmt, ...)
{
	char text[sizeof(t->err->text)];
	va_list ap;
	int n;

	n = snprintf(text, sizeof(text) / 2, "%s:%u:%u: ", t->cfg->file ? t->cfg->file : "rules",
		at.line, at.col);
	n = PSI_MIN(PSI_MAX(n, 0), (int)sizeof(text) / 2 - 1);
	va_start(ap, fmt);
	vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, ap);
	va_end(ap);
	tell_bad(t, text);
}

void
note(struct teller *t, const char *fmt, ...)
{
	char text[sizeof(t->err->text)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	tell(t, PSI_MATCH_NOTE, text);
}

static void
bad_name(void *ctx, const char *text)
{
	struct psi_err line;

	psi_err_set(&line, 0, "%s", text);
	tell_bad(ctx, line.text);
}

/* ---- rules ---- */

/* What the configuration's own ranges do not say. */
static void
check_rules(struct teller *t)
{
	for (uint32_t i = 0; i < t->cfg->rule_cnt; i++) {
		const struct psi_config_rule *r = &t->cfg->rule[i];
		uint32_t cnt = 0;

		for (uint32_t f = 0; f < PSI_RULE_FIELD_CNT; f++)
			cnt += r->pattern[f].text != NULL;
		if (!cnt)
			complain(t, r->at,
				"rule %s: no pattern; expected one for any of sni, subject, issuer, san, alpn, ja3, ja4",
				r->id);
	}
}

static void
set_states(struct psi_match *m, const struct psi_match_config *cfg)
{
	for (uint32_t i = 0; i < cfg->rule_cnt; i++) {
		uint32_t need = 0, k = 0;

		for (uint32_t f = 0; f < PSI_RULE_FIELD_CNT; f++)
			need |= cfg->rule[i].pattern[f].text ? 1u << f : 0;
		while (k < PSI_RULE_FIELD_CNT && !(need & 1u << scan_order[k]))
			k++;
		if (k < PSI_RULE_FIELD_CNT)
			m->first |= (uint8_t)(1u << scan_order[k]);
		m->state[i].need = (uint8_t)need;
	}
}

/* The database of one source, from the cache or from the compiler. */
static hs_database_t *
get_set(struct psi_match *m, struct teller *t, enum psi_rule_field field, bool utf8,
	const struct source *s)
{
	bool cached = t->cfg->cache_dir && t->cfg->cache_dir[0];
	char name[CACHE_NAME_MAX];
	hs_database_t *db = NULL;
	uint64_t key[2];

	snprintf(name, sizeof(name), "rules-%s%s.hsdb", field_name[field], utf8 ? "-utf8" : "");
	if (cached) {
		cache_key(s, key);
		db = cache_read(t, name, key);
		m->count.sets_cached += db != NULL;
	}
	if (!db) {
		db = set_compile(t, field, s);
		if (db && cached && !t->cfg->cache_keep)
			cache_write(t, name, key, db);
	}
	return db;
}

static bool
add_set(struct psi_match *m, struct teller *t, enum psi_rule_field field, bool utf8)
{
	struct set *set = &m->set[field][utf8];
	struct source s;
	bool ok = source_of(t, field, utf8, &s);
	size_t bytes = 0;

	if (ok && s.cnt)
		set->db = get_set(m, t, field, utf8, &s);
	source_free(&s);
	if (!set->db)
		return ok;
	set->memo = calloc(MEMO_LINES, sizeof(*set->memo));
	m->count.sets++;
	hs_database_size(set->db, &bytes);
	m->count.set_bytes += bytes;
	return set->memo && hs_alloc_scratch(set->db, &m->scratch) == HS_SUCCESS;
}

static bool
add_sets(struct psi_match *m, struct teller *t)
{
	size_t bytes = 0;

	if (t->cfg->rule_cnt && hs_valid_platform() != HS_SUCCESS) {
		complain(t, t->cfg->rule[0].at,
			"rules need a processor with SSSE3, which this one does not have");
		return true;
	}
	for (uint32_t f = 0; f < PSI_RULE_FIELD_CNT; f++)
		if (!add_set(m, t, (enum psi_rule_field)f, false) ||
			!add_set(m, t, (enum psi_rule_field)f, true))
			return false;
	if (m->scratch)
		hs_scratch_size(m->scratch, &bytes);
	m->count.scratch_bytes = bytes;
	return true;
}

/* ---- host lists ---- */

static void
add_list(struct psi_match *m, struct teller *t, const struct psi_config_host_list *from)
{
	struct psi_hosts *h;
	struct psi_hosts_count c;
	struct psi_err err = {""};
	uint32_t before = t->bad;

	h = psi_hosts_open(from->file, bad_name, t, &err);
	if (!h) {
		if (t->bad == before)
			complain(t, from->at, "host list %s: %s", from->id, err.text);
		return;
	}
	psi_hosts_count(h, &c);
	m->list[m->list_cnt++] = h;
	m->count.names += c.names;
	m->count.names_twice += c.twice;
	m->count.name_bytes += c.bytes;
	note(t, "host list %s: names %u, lines that repeat one %u", from->id, c.names, c.twice);
}

/* ---- both ---- */

/* Ids are copied, one behind the other, to *at. */
static void
set_action(struct action *a, char **at, const char *id, enum psi_rule_action what, double weight)
{
	*a = (struct action){.id = *at, .what = what, .weight = weight};
	*at = stpcpy(*at, id) + 1;
}

static bool
set_actions(struct psi_match *m, const struct psi_match_config *cfg)
{
	const struct psi_config_host_list *l = cfg->list;
	const struct psi_config_rule *r = cfg->rule;
	size_t bytes = 1;
	char *p;

	for (uint32_t i = 0; i < cfg->rule_cnt; i++)
		bytes += strlen(r[i].id) + 1;
	for (uint32_t i = 0; i < cfg->list_cnt; i++)
		bytes += strlen(l[i].id) + 1;
	m->ids = p = malloc(bytes);
	if (!p)
		return false;
	for (uint32_t i = 0; i < cfg->rule_cnt; i++)
		set_action(&m->action[i], &p, r[i].id, r[i].action, r[i].weight);
	for (uint32_t i = 0; i < cfg->list_cnt; i++)
		set_action(&m->action[cfg->rule_cnt + i], &p, l[i].id, l[i].action, l[i].weight);
	return true;
}

static struct psi_match *
make(const struct psi_match_config *cfg)
{
	struct psi_match *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->rule_cnt = m->count.rules = cfg->rule_cnt;
	m->state = calloc(cfg->rule_cnt + 1, sizeof(*m->state));
	m->action = calloc(cfg->rule_cnt + cfg->list_cnt + 1, sizeof(*m->action));
	m->list = calloc(cfg->list_cnt + 1, sizeof(*m->list));
	if (!m->state || !m->action || !m->list || !set_actions(m, cfg) ||
		getrandom(&m->key, sizeof(m->key), 0) != sizeof(m->key)) {
		psi_match_close(m);
		return NULL;
	}
	set_states(m, cfg);
	return m;
}

static bool
within_bounds(const struct psi_match_config *cfg, struct psi_err *err)
{
	if (cfg->rule_cnt <= PSI_MATCH_RULES_MAX && cfg->list_cnt <= PSI_MATCH_LISTS_MAX)
		return true;
	psi_err_set(err, -EINVAL, "%u rules and %u host lists; at most %u and %u are taken",
		cfg->rule_cnt, cfg->list_cnt, PSI_MATCH_RULES_MAX, PSI_MATCH_LISTS_MAX);
	return false;
}

struct psi_match *
psi_match_open(const struct psi_match_config *cfg, struct psi_err *err)
{
	struct psi_err first = {""};
	struct teller t = {.cfg = cfg, .err = &first};
	struct psi_match *m;

	if (!within_bounds(cfg, err))
		return NULL;
	m = make(cfg);
	if (m)
		check_rules(&t);
	if (!m || !add_sets(m, &t)) {
		psi_err_set(err, -ENOMEM, "rules: out of memory for %u rules", cfg->rule_cnt);
		psi_match_close(m);
		return NULL;
	}
	for (uint32_t i = 0; i < cfg->list_cnt; i++)
		add_list(m, &t, &cfg->list[i]);
	if (!t.bad)
		return m;
	if (t.bad == 1)
		psi_err_set(err, -EINVAL, "%s", first.text);
	else
		psi_err_set(err, -EINVAL, "%.400s (and %u more)", first.text, t.bad - 1);
	psi_match_close(m);
	return NULL;
}

void
psi_match_close(struct psi_match *m)
{
	if (!m)
		return;
	for (uint32_t f = 0; f < PSI_RULE_FIELD_CNT; f++)
		for (uint32_t u = 0; u < 2; u++) {
			hs_free_database(m->set[f][u].db);
			free(m->set[f][u].memo);
		}
	hs_free_scratch(m->scratch);
	for (uint32_t i = 0; i < m->list_cnt; i++)
		psi_hosts_close(m->list[i]);
	free(m->list);
	free(m->action);
	free(m->state);
	free(m->ids);
	free(m);
}
