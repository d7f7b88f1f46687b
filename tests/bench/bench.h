/* SPDX-License-Identifier: BSD-3-Clause */
/* bench.h: clocks for benchmarks. Figures are for comparison within one run: see each file's baseline. */
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>
#include <time.h>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

/* ticks: the time-stamp counter, or the generic timer where there is none. */
static inline uint64_t
ticks(void)
{
#if defined(__x86_64__)
	return __rdtsc();
#else
	uint64_t v;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(v));
	return v;
#endif
}

/* seconds: a clock of clock_gettime(2). */
static inline double
seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

#endif
