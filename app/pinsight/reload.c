/* SPDX-License-Identifier: BSD-3-Clause */
/* A new generation of what the operator gave: built beside the running one, published whole, the old one freed when every
 * loop has passed a turn without it. What is wrong with it changes nothing. */
#include "engine.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define GRACE_MS 10000 /* longer than any turn */

static void
on_news(void *ctx, bool bad, const char *text)
{
	(void)ctx;
	if (bad)
		log_error("policy", "%s", text);
	else
		log_info("policy", "%s", text);
}

struct generation *
generation_open(struct engine *e, struct psi_config *cfg, struct psi_err *err)
{
	static const struct psi_policy_listener listener = {.tell = on_news};
	struct generation *g = calloc(1, sizeof(*g));

	if (!g) {
		psi_err_set(err, -ENOMEM, "no memory");
		return NULL;
	}
	g->policy = psi_policy_open(cfg, &listener, err);
	if (!g->policy) {
		free(g);
		return NULL;
	}
	g->cfg = cfg;
	g->number = ++e->generations;
	return g;
}

void
generation_close(struct engine *e, struct generation *g)
{
	if (!g)
		return;
	psi_policy_close(g->policy);
	if (g->cfg != e->first_cfg)
		psi_config_close(g->cfg);
	free(g);
}

/* Publishes g and waits until nobody works with the one before. */
static void
replace(struct engine *e, struct generation *g)
{
	struct timespec ts = {.tv_nsec = 200000};
	struct generation *old = atomic_load_explicit(&e->gen, memory_order_relaxed);
	uint64_t token;

	pthread_mutex_lock(&e->gen_lock);
	atomic_store_explicit(&e->gen, g, memory_order_release);
	pthread_mutex_unlock(&e->gen_lock);
	token = rte_rcu_qsbr_start(e->rcu);
	for (int i = 0; i < GRACE_MS * 5; i++) {
		if (rte_rcu_qsbr_check(e->rcu, token, false)) {
			generation_close(e, old);
			return;
		}
		clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
	}
	log_error("reload",
		"a core did not answer for %d s: the old generation %llu stays in memory",
		GRACE_MS / 1000, (unsigned long long)old->number);
}

/* For telemetry, too, which reads it on a thread of its own. */
static void
say(struct engine *e, uint64_t *count, const char *what, const char *more)
{
	pthread_mutex_lock(&e->gen_lock);
	++*count;
	snprintf(e->reload_said, sizeof(e->reload_said), "%s%.450s", what, more);
	pthread_mutex_unlock(&e->gen_lock);
}

static bool
refused(struct engine *e, const struct psi_err *err)
{
	log_error("reload", "refused, all stays as it was: %s", err->text);
	say(e, &e->reloads_refused, "refused: ", err->text);
	return false;
}

bool
engine_reload(struct engine *e)
{
	struct psi_err err = {""};
	struct psi_config *cfg = engine_config(e, &err);
	struct generation *g;
	char names[256];
	uint32_t cnt;

	if (!cfg)
		return refused(e, &err);
	g = generation_open(e, cfg, &err);
	if (!g) {
		psi_config_close(cfg);
		return refused(e, &err);
	}
	cnt = psi_config_diff(e->first_cfg, cfg, names, sizeof(names));
	log_level(cfg->log.level);
	psi_eal_log_level(cfg->log.dpdk);
	if (cnt)
		log_warn("reload", "generation %llu is in place; only a restart changes: %s",
			(unsigned long long)g->number, names);
	else
		log_info("reload", "generation %llu is in place", (unsigned long long)g->number);
	say(e, &e->reloads, cnt ? "done; only a restart changes: " : "done", cnt ? names : "");
	replace(e, g);
	return true;
}
