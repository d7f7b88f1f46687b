/* SPDX-License-Identifier: BSD-3-Clause */
/* Flows by time, in a fixed number of bins that grow wider as the time to be shown does. */
#include "report_pvt.h"

static void
bin_add(uint64_t *to, const uint64_t *n)
{
	for (unsigned int k = 0; k < PSI_REPORT_BIN_CNT; k++)
		to[k] += n[k];
}

/* Twice as wide: two neighbours become one. Bins begin at multiples of their width. */
static void
widen(struct psi_report_times *t)
{
	uint64_t first = t->start_s / t->width_s, odd = first & 1;
	struct psi_report_times w = {.width_s = t->width_s * 2};

	w.start_s = first / 2 * w.width_s;
	for (uint32_t i = 0; i < t->used; i++)
		bin_add(w.n[(i + odd) / 2], t->n[i]);
	w.used = (uint32_t)((t->used + odd + 1) / 2);
	*t = w;
}

/* Room in front for a time before the first bin. */
static void
shift(struct psi_report_times *t, uint64_t by)
{
	memmove(t->n + by, t->n, t->used * sizeof(t->n[0]));
	memset(t->n, 0, by * sizeof(t->n[0]));
	t->start_s -= by * t->width_s;
	t->used += (uint32_t)by;
}

void
rpt_times_add(struct psi_report_times *t, uint64_t time_ns, unsigned int what)
{
	uint64_t s = time_ns / 1000000000u, at, before;

	if (!t->used) {
		t->width_s = 1;
		t->start_s = s;
		t->used = 1;
	}
	for (;; widen(t)) {
		at = s / t->width_s;
		before = t->start_s / t->width_s;
		if (at >= before && at - before < PSI_REPORT_BINS)
			break;
		if (at < before && before - at + t->used <= PSI_REPORT_BINS) {
			shift(t, before - at);
			before = at;
			break;
		}
	}
	t->n[at - before][what]++;
	t->used = PSI_MAX(t->used, (uint32_t)(at - before + 1));
}
