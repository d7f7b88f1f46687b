/* SPDX-License-Identifier: BSD-3-Clause */
/* Hardware counters of this thread, where the kernel and the processor give them to us: virtual machines often do not. */
#include "bench_pvt.h"

#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MISS(cache) \
	((cache) | PERF_COUNT_HW_CACHE_OP_READ << 8 | PERF_COUNT_HW_CACHE_RESULT_MISS << 16)

static const struct {
	const char *name;
	uint32_t type;
	uint64_t config;
} rows[CT_CNT] = {
	[CT_CYCLES] = {"core_cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES},
	[CT_INSTRUCTIONS] = {"instructions", PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS},
	[CT_L1D_MISS] = {"l1d_misses", PERF_TYPE_HW_CACHE, MISS(PERF_COUNT_HW_CACHE_L1D)},
	[CT_LLC_MISS] = {"llc_misses", PERF_TYPE_HW_CACHE, MISS(PERF_COUNT_HW_CACHE_LL)},
	[CT_DTLB_MISS] = {"dtlb_misses", PERF_TYPE_HW_CACHE, MISS(PERF_COUNT_HW_CACHE_DTLB)},
};

void
counters_open(struct counters *c)
{
	for (int i = 0; i < CT_CNT; i++) {
		struct perf_event_attr a = {.type = rows[i].type,
			.size = sizeof(a),
			.config = rows[i].config,
			.disabled = 1,
			.exclude_kernel = 1,
			.exclude_hv = 1};

		c->fd[i] = (int)syscall(SYS_perf_event_open, &a, 0, -1, -1, 0);
		c->v[i] = 0;
	}
}

void
counters_run(struct counters *c, bool on)
{
	for (int i = 0; i < CT_CNT; i++)
		if (c->fd[i] >= 0)
			ioctl(c->fd[i], on ? PERF_EVENT_IOC_ENABLE : PERF_EVENT_IOC_DISABLE, 0);
}

void
counters_close(struct counters *c)
{
	for (int i = 0; i < CT_CNT; i++) {
		if (c->fd[i] < 0)
			continue;
		if (read(c->fd[i], &c->v[i], sizeof(c->v[i])) != sizeof(c->v[i]))
			c->v[i] = 0;
		close(c->fd[i]);
	}
}

bool
counters_any(const struct counters *c)
{
	for (int i = 0; i < CT_CNT; i++)
		if (c->fd[i] >= 0)
			return true;
	return false;
}

const char *
counter_name(enum counter c)
{
	return rows[c].name;
}
