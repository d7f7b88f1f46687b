/* SPDX-License-Identifier: BSD-3-Clause */
#include "psi_policy.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

/* Which of the two files it is shows when the other is left out. */
static int
trust_error(const struct psi_config *cfg, struct psi_trust_config *tc, struct psi_err *err)
{
	struct psi_trust *without;
	bool roots;

	tc->crls = NULL;
	without = psi_trust_open(tc, NULL);
	roots = !without;
	psi_trust_close(without);
	return psi_config_err(cfg, roots ? &cfg->certificates.roots : &cfg->certificates.crls, err,
		-EINVAL, "%s", err->text);
}

/* The system's roots unless others are named; a system that has none is no reason to stop. */
static int
open_trust(struct psi_policy *p, const struct psi_config *cfg, struct psi_err *err)
{
	struct psi_trust_config tc = {
		.roots = cfg->certificates.roots ? cfg->certificates.roots : "",
		.crls = cfg->certificates.crls && cfg->certificates.crls[0] ? cfg->certificates.crls
									    : NULL,
		.cache_max = cfg->certificates.max,
		.ttl_s = (uint32_t)(cfg->certificates.ttl_ns / 1000000000u),
		.checks_max = cfg->certificates.checks,
	};

	p->trust = psi_trust_open(&tc, err);
	if (!p->trust && strcmp(tc.roots, PSI_TRUST_SYSTEM_ROOTS) == 0 && !tc.crls) {
		tc.roots = "";
		p->trust = psi_trust_open(&tc, err);
	}
	return p->trust ? 0 : trust_error(cfg, &tc, err);
}

static int
open_pins(struct psi_policy *p, const struct psi_config *cfg, struct psi_err *err)
{
	struct psi_pins_config pc = {
		.file = cfg->path,
		.set = cfg->pins,
		.set_cnt = cfg->pins_cnt,
		.own_ca = cfg->interception.ca,
	};

	if (!pc.set_cnt && !pc.own_ca.cnt)
		return 0;
	p->pins = psi_pins_open(&pc, err);
	return p->pins ? 0 : -EINVAL;
}

static void
on_match_news(void *ctx, enum psi_match_news kind, const char *text)
{
	const struct psi_policy_listener *l = ctx;

	if (l && l->tell)
		l->tell(l->ctx, kind == PSI_MATCH_BAD, text);
}

static int
open_match(struct psi_policy *p, const struct psi_config *cfg,
	const struct psi_policy_listener *listener, struct psi_err *err)
{
	struct psi_policy_listener copy = listener ? *listener : (struct psi_policy_listener){0};
	struct psi_match_config mc = {
		.file = cfg->path,
		.rule = cfg->rules,
		.rule_cnt = cfg->rules_cnt,
		.list = cfg->host_lists,
		.list_cnt = cfg->host_lists_cnt,
		.cache_dir = cfg->rules_cache.path,
		.tell = on_match_news,
		.ctx = &copy,
	};

	if (!mc.rule_cnt && !mc.list_cnt)
		return 0;
	p->match = psi_match_open(&mc, err);
	return p->match ? 0 : -EINVAL;
}

/* Every part is tried, so that all that is wrong is told; rules tell of themselves. err keeps the first. */
static int
open_all(struct psi_policy *p, const struct psi_config *cfg,
	const struct psi_policy_listener *listener, struct psi_err *err)
{
	static int (*const open[])(struct psi_policy *, const struct psi_config *,
		struct psi_err *) = {open_trust, open_pins};
	struct psi_err part = {""};
	int rc = 0;

	for (size_t i = 0; i < PSI_COUNT(open); i++) {
		if (open[i](p, cfg, &part) == 0)
			continue;
		if (listener && listener->tell)
			listener->tell(listener->ctx, true, part.text);
		if (rc == 0 && err)
			*err = part;
		rc = -EINVAL;
	}
	if (open_match(p, cfg, listener, &part) != 0) {
		if (rc == 0 && err)
			*err = part;
		rc = -EINVAL;
	}
	return rc;
}

static void
set_population(struct psi_policy *p, const struct psi_config *cfg)
{
	psi_population_defaults(&p->population);
	p->population.row_max = cfg->correlation.enabled ? cfg->correlation.relations_max : 0;
	p->population.case_max = cfg->correlation.cases_max;
	p->population.half_life_ns = cfg->correlation.half_life_ns;
	p->population.retry_ns = cfg->correlation.retry_ns;
	p->population.attempts_min = cfg->correlation.attempts_min;
	p->population.report_confidence = (float)cfg->correlation.report_confidence;
}

struct psi_policy *
psi_policy_open(const struct psi_config *cfg, const struct psi_policy_listener *listener,
	struct psi_err *err)
{
	static _Atomic uint64_t generations;
	struct psi_policy *p = calloc(1, sizeof(*p));

	if (!p) {
		psi_err_set(err, -ENOMEM, "no memory for a policy");
		return NULL;
	}
	/* Nothing is published by it: each number once is all that is asked. */
	p->generation = 1 + atomic_fetch_add_explicit(&generations, 1, memory_order_relaxed);
	set_population(p, cfg);
	if (open_all(p, cfg, listener, err) != 0) {
		psi_policy_close(p);
		return NULL;
	}
	return p;
}

void
psi_policy_close(struct psi_policy *p)
{
	if (!p)
		return;
	psi_match_close(p->match);
	psi_pins_close(p->pins);
	psi_trust_close(p->trust);
	free(p);
}
