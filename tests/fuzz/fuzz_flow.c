/* SPDX-License-Identifier: BSD-3-Clause */
/* Bytes are read as steps on a small table, which a plain list must agree with: what is found, what is given up and
 * why, how many are alive. */
#include "psi_flow.h"

#include "psi_cursor.h"

#include <stdio.h>
#include <stdlib.h>

enum { KEYS = 256, TABLE_MAX = 200 };

static struct {
	enum psi_flow_state state; /* FREE: not in the table */
	uint64_t last_ms;
} model[KEYS];
static uint32_t alive;
static uint64_t now_ms;
static struct psi_flow_config cfg;

static void
must(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "broken: %s\n", what);
		abort();
	}
}

static bool
past(uint8_t n)
{
	return now_ms - model[n].last_ms > cfg.timeout_ms[model[n].state];
}

static void
on_gone(void *ctx, struct psi_flow *f, enum psi_flow_why why)
{
	uint8_t n = (uint8_t)f->user[0];

	must(model[n].state != PSI_FLOW_FREE && model[n].state == f->state,
		"what is given up was there");
	must(why == PSI_FLOW_WHY_STOP || past(n) == (why == PSI_FLOW_WHY_IDLE),
		"silent ones go as silent");
	if (why == PSI_FLOW_WHY_EVICTED)
		must(*(enum psi_flow_state *)ctx >= model[n].state, "nothing is evicted for less");
	model[n].state = PSI_FLOW_FREE;
	alive--;
}

static void
step(struct psi_flow_table *t, const uint8_t *op, enum psi_flow_state *newcomer)
{
	struct psi_tuple k = {.port = {op[1], 443}, .proto = 6};
	uint32_t hash = psi_flow_hash(t, &k);
	enum psi_flow_state state = (enum psi_flow_state)(1 + op[0] / 8 % (PSI_FLOW_STATE_CNT - 1));
	struct psi_flow *f = psi_flow_find(t, &k, hash);
	bool made = false;

	must((f != NULL) == (model[op[1]].state != PSI_FLOW_FREE), "found when there");
	must(!f || f->user[0] == op[1], "found what was sought");
	now_ms += (uint64_t)op[2] << 4;
	if (op[0] >> 6 == 3) { /* up to 12 days; a table that is aged at all never misses 24 */
		now_ms += (uint64_t)op[2] << 22;
		psi_flow_age_all(t, now_ms);
		f = psi_flow_find(t, &k, hash);
	}
	switch (op[0] & 7) {
	case 0: psi_flow_age_all(t, now_ms); break;
	case 1: psi_flow_age(t, now_ms, op[1] % 4); break;
	case 2:
		if (f)
			psi_flow_free(t, f);
		alive -= f != NULL;
		model[op[1]].state = PSI_FLOW_FREE;
		break;
	case 3:
		psi_flow_prefetch(t, hash);
		if (!psi_flow_prefetch_entry(t, hash))
			psi_flow_prefetch_far(t, hash, op[1] & 1);
		break;
	default:
		*newcomer = state;
		f = psi_flow_get(t, &k, hash, state, now_ms, &made);
		if (made) {
			f->user[0] = op[1];
			alive++;
		} else if (f) {
			psi_flow_touch(f, now_ms);
			psi_flow_set_state(t, f, state);
		}
		if (f) {
			model[op[1]].state = state;
			model[op[1]].last_ms = now_ms;
		}
	}
	must(psi_flow_alive(t) == alive, "the count of the living");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t mem[1 << 15] __attribute__((aligned(64)));
	static struct psi_stats stats;
	struct psi_cursor in = psi_cursor(data, len);
	enum psi_flow_state newcomer = PSI_FLOW_CLOSED;
	struct psi_flow_table *t;
	const uint8_t *op = psi_take(&in, 2);

	if (!op)
		return 0;
	cfg = (struct psi_flow_config){.max = 1 + op[0] % TABLE_MAX,
		.timeout_ms = {0, 100, 300, 1000, 30000, 5000},
		.hash_key = {op[1], 77}};
	memset(mem, 0, sizeof(mem));
	memset(model, 0, sizeof(model));
	alive = 0;
	now_ms = (uint64_t)op[1] << 28;
	must(psi_flow_footprint(&cfg) <= sizeof(mem), "the table fits");
	t = psi_flow_init(mem, &cfg, &stats, on_gone, &newcomer);
	while ((op = psi_take(&in, 3)))
		step(t, op, &newcomer);
	psi_flow_age_all(t, now_ms);
	for (unsigned int n = 0; n < KEYS; n++)
		must(model[n].state == PSI_FLOW_FREE || !past((uint8_t)n),
			"none outlives its timeout");
	psi_flow_stop(t);
	must(alive == 0 && psi_flow_alive(t) == 0, "none outlives the stop");
	return 0;
}
