/* SPDX-License-Identifier: BSD-3-Clause */
#include "clock.h"

#include <time.h>

#define LOOKS 8

static uint64_t
real_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* One instant on both clocks. Whoever is interrupted between the two looks would take the interruption for a difference of
 * the clocks: so it counts only between two looks at the counter that are close, else the closest of a few. */
static uint64_t
both(uint64_t *tsc)
{
	uint64_t before = rte_rdtsc(), near = rte_get_tsc_hz() / 100000, best = UINT64_MAX,
		 real = 0;

	for (int i = 0; i < LOOKS && best > near; i++) {
		uint64_t now = real_ns(), after = rte_rdtsc();

		if (after - before < best) {
			best = after - before;
			*tsc = before + best / 2;
			real = now;
		}
		before = after;
	}
	return real;
}

static void
set(struct engine_clock *c, uint64_t tsc, uint64_t ns, uint64_t mult)
{
	uint32_t seq = atomic_load_explicit(&c->seq, memory_order_relaxed);

	atomic_store_explicit(&c->seq, seq + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&c->tsc, tsc, memory_order_relaxed);
	atomic_store_explicit(&c->ns, ns, memory_order_relaxed);
	atomic_store_explicit(&c->mult, mult, memory_order_relaxed);
	atomic_store_explicit(&c->seq, seq + 2, memory_order_release);
}

void
clock_open(struct engine_clock *c)
{
	uint64_t tsc;

	c->nominal = (uint64_t)(1e9 * 4294967296.0 / (double)rte_get_tsc_hz());
	c->sync_real_ns = both(&tsc);
	set(c, tsc, c->sync_real_ns, c->nominal);
}

int64_t
clock_sync(struct engine_clock *c)
{
	uint64_t tsc, real = both(&tsc), ours = clock_of(c, tsc);
	int64_t off = (int64_t)(real - ours);
	double slew = (double)off / (double)CLOCK_SYNC_NS;

	c->sync_real_ns = real;
	if (off > CLOCK_JUMP_NS) {
		set(c, tsc, real, c->nominal);
		return off;
	}
	slew = slew > CLOCK_SLEW_MAX	? CLOCK_SLEW_MAX
	       : slew < -CLOCK_SLEW_MAX ? -CLOCK_SLEW_MAX
					: slew;
	set(c, tsc, ours, (uint64_t)((double)c->nominal * (1 + slew)));
	return off;
}
