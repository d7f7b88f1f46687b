/* SPDX-License-Identifier: BSD-3-Clause */
#include "psi_stats.h"

static const struct {
	const char *name, *unit, *text;
	enum psi_stat_kind kind;
} rows[] = {
#define COUNTER(sym, k, u, t) {#sym, u, t, PSI_STAT_##k},
#include "counters.def"
#undef COUNTER
};
_Static_assert(PSI_COUNT(rows) == PSI_STAT_CNT, "one row a counter");

void
psi_stats_sum(const struct psi_stats *s, uint64_t *out)
{
	for (int c = 0; c < PSI_STAT_CNT; c++)
		out[c] += psi_stat_get(s, c);
}

const char *
psi_stat_name(enum psi_stat c)
{
	return rows[c].name;
}

const char *
psi_stat_unit(enum psi_stat c)
{
	return rows[c].unit;
}

const char *
psi_stat_text(enum psi_stat c)
{
	return rows[c].text;
}

enum psi_stat_kind
psi_stat_kind_of(enum psi_stat c)
{
	return rows[c].kind;
}

int64_t
psi_stats_balance(const uint64_t *sum, enum psi_stat_kind in_kind, uint64_t flows_alive)
{
	uint64_t in = 0, out = in_kind == PSI_STAT_FLOW_IN ? flows_alive : 0;

	for (int c = 0; c < PSI_STAT_CNT; c++) {
		if (rows[c].kind == in_kind)
			in += sum[c];
		else if (rows[c].kind == in_kind + 1) /* each _OUT stands behind its _IN */
			out += sum[c];
	}
	return (int64_t)(in - out);
}
