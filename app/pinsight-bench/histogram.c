/* SPDX-License-Identifier: BSD-3-Clause */
#include "histogram.h"
#include "psi_base.h"

/* Values below HIST_SUB have a bin each; above, each power of two has HIST_SUB / 2 of them. */
static uint32_t
bin_of(uint64_t v)
{
	uint32_t shift;

	if (v < HIST_SUB)
		return (uint32_t)v;
	shift = 63u - (uint32_t)__builtin_clzll(v) - 5;
	return shift * (HIST_SUB / 2) + (uint32_t)(v >> shift);
}

static uint64_t
upper(uint32_t bin)
{
	uint32_t shift;

	if (bin < HIST_SUB)
		return bin;
	shift = bin / (HIST_SUB / 2) - 1;
	return ((uint64_t)(bin - shift * (HIST_SUB / 2) + 1) << shift) - 1;
}

void
hist_add(struct histogram *h, uint64_t v)
{
	uint32_t b = bin_of(PSI_MIN(v, ((uint64_t)1 << 40) - 1));

	h->bin[b]++;
	h->cnt++;
	h->max = PSI_MAX(h->max, v);
}

uint64_t
hist_at(const struct histogram *h, double share)
{
	uint64_t want = (uint64_t)(share * (double)h->cnt), seen = 0;

	for (uint32_t b = 0; b < PSI_COUNT(h->bin); b++) {
		seen += h->bin[b];
		if (seen > want)
			return PSI_MIN(upper(b), h->max);
	}
	return h->max;
}

/* A power of two begins a bin. */
uint64_t
hist_below(const struct histogram *h, unsigned int bits)
{
	uint32_t end = bits < 40 ? bin_of((uint64_t)1 << bits) : PSI_COUNT(h->bin);
	uint64_t n = 0;

	for (uint32_t b = 0; b < end; b++)
		n += h->bin[b];
	return n;
}
