/* SPDX-License-Identifier: BSD-3-Clause */
/* clock.h: ns since 1970 from the processor's time stamp counter, without a system call. The control thread compares it
 * with the system's clock once a second and turns its rate a little, so that time never goes back.
 * Thread: clock_open, clock_sync: control. clock_ns: any. */
#ifndef CLOCK_H
#define CLOCK_H

#include "psi_base.h"

#include <rte_cycles.h>
#include <stdatomic.h>

/* Written by one thread between two steps of seq, which is odd meanwhile. */
struct engine_clock {
	_Atomic uint32_t seq __attribute__((aligned(128)));
	_Atomic uint64_t tsc, ns; /* the same instant on both clocks */
	_Atomic uint64_t mult;	  /* ns = (ticks * mult) >> 32 */
	/* Control's own. */
	uint64_t nominal;      /* mult by the counter's rate as DPDK measured it */
	uint64_t sync_real_ns; /* the system's clock at the last look */
};

/* Within how much of the right rate time may run to catch up: 10 %. A clock that is set back by an hour is caught up with
 * in ten. One that is set forward by more than a second is followed at once. */
#define CLOCK_SLEW_MAX 0.1
#define CLOCK_JUMP_NS  1000000000ll
#define CLOCK_SYNC_NS  1000000000ull

void clock_open(struct engine_clock *c);
/* clock_sync: the system's clock less ours, in ns, before it was brought closer. */
int64_t clock_sync(struct engine_clock *c);

static inline uint64_t
clock_of(const struct engine_clock *c, uint64_t tsc)
{
	uint32_t seq;
	uint64_t tsc0, ns, mult;

	do {
		seq = atomic_load_explicit(&c->seq, memory_order_acquire);
		tsc0 = atomic_load_explicit(&c->tsc, memory_order_relaxed);
		ns = atomic_load_explicit(&c->ns, memory_order_relaxed);
		mult = atomic_load_explicit(&c->mult, memory_order_relaxed);
		atomic_thread_fence(memory_order_acquire);
	} while (psi_unlikely(
		seq % 2 || seq != atomic_load_explicit(&c->seq, memory_order_relaxed)));
	if (psi_unlikely(tsc < tsc0)) /* another core's counter, or a look just before the change */
		return ns;
	return ns + (uint64_t)(((unsigned __int128)(tsc - tsc0) * mult) >> 32);
}

static inline uint64_t
clock_ns(const struct engine_clock *c)
{
	return clock_of(c, rte_rdtsc());
}

#endif
