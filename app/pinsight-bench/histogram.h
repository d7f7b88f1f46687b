/* SPDX-License-Identifier: BSD-3-Clause */
/* histogram.h: percentiles of many values in little memory: below 64 exact, above within 1 part in 32; values of 2^40 and
 * more count as that. Thread: one owner. */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>

#define HIST_SUB 64

struct histogram {
	uint64_t cnt, max;
	uint64_t bin[36 * HIST_SUB];
};

void hist_add(struct histogram *h, uint64_t v);
/* hist_at: a value that `share` (0..1) of all do not exceed; never below the true one. */
uint64_t hist_at(const struct histogram *h, double share);
/* hist_below: how many are less than 2^bits, exactly; bits up to 40. */
uint64_t hist_below(const struct histogram *h, unsigned int bits);

#endif
