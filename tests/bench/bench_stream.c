/* SPDX-License-Identifier: BSD-3-Clause */
/* Cycles (time-stamp counter) per segment of psi_stream over connections in cache: in order, in what the sink skips,
 * each second one early, each one sent twice; beside a baseline that gives the same segments straight to the sink. The
 * payload is not read. */
#include "bench.h"
#include "psi_stream.h"

#include <stdio.h>
#include <stdlib.h>

enum { CONNS = 64, SEGS = 64, LEN = 1400, RUNS = 4000 };

static uint8_t payload[LEN * 4];
static struct psi_stats stats;
static struct psi_stream conn[CONNS];
static struct psi_stream_pool *pool;
static uint64_t bytes, refs;
static uint32_t skip;

static __attribute__((noinline)) uint32_t
on_data(void *ctx, unsigned int side, const uint8_t *p, uint32_t len, void *ref, uint64_t ts_ns)
{
	bytes += len;
	return skip;
}

static uint32_t
on_gap(void *ctx, unsigned int side, uint32_t len, uint64_t ts_ns)
{
	fprintf(stderr, "a gap: this benchmark loses nothing\n");
	exit(1);
}

static void
count_ref(void *ref)
{
	refs++;
}

static const struct psi_stream_ops ops = {on_data, on_gap, count_ref, count_ref};

/* The i-th segment of a connection, as a way of sending has it. */
typedef void send_fn(struct psi_stream *s, uint32_t i);

static void
push(struct psi_stream *s, uint32_t i)
{
	struct psi_seg seg = {payload, LEN, i * LEN, payload, i};

	psi_stream_push(pool, s, 0, &seg, NULL);
}

static void
straight(struct psi_stream *s, uint32_t i)
{
	on_data(NULL, 0, payload, LEN, payload, i);
}

static void
swapped(struct psi_stream *s, uint32_t i)
{
	push(s, i ^ 1);
}

static void
twice(struct psi_stream *s, uint32_t i)
{
	push(s, i);
	push(s, i);
}

static void
acked(struct psi_stream *s, uint32_t i)
{
	psi_stream_ack(s, 0, 77, 1000);
	push(s, i);
	psi_stream_ack(s, 1, i * LEN, 1000);
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Of many short runs a twentieth was faster: whatever else the machine does only ever makes a run slower. */
static double
measure(send_fn *send_seg, uint32_t skipped)
{
	static double run[RUNS];

	skip = skipped;
	for (int r = 0; r < RUNS; r++) {
		uint64_t from_tick;

		for (int c = 0; c < CONNS; c++) {
			psi_stream_clear(pool, &conn[c]);
			psi_stream_syn(&conn[c], 0, UINT32_MAX);
		}
		from_tick = ticks();
		for (uint32_t i = 0; i < SEGS; i++)
			for (int c = 0; c < CONNS; c++)
				send_seg(&conn[c], i);
		run[r] = (double)(ticks() - from_tick) / (CONNS * SEGS);
	}
	qsort(run, RUNS, sizeof(run[0]), by_value);
	return run[RUNS / 20];
}

int
main(void)
{
	struct psi_stream_config cfg = {4096, 128, 1 << 20, 3000};
	size_t len = (psi_stream_footprint(&cfg) + 63) / 64 * 64;
	double base;

	pool = aligned_alloc(64, len);
	if (!pool)
		return 1;
	memset(pool, 0, len);
	psi_stream_init(pool, &cfg, &ops, &stats);
	base = measure(straight, 0);
	printf("%zu bytes a connection, %d connections in turn, %d segments each\n",
		sizeof(struct psi_stream), CONNS, SEGS);
	printf("  %-44s %6.1f cycles\n", "baseline: straight to the sink", base);
	printf("  %-44s %6.1f cycles\n", "in order", measure(push, 0));
	printf("  %-44s %6.1f cycles\n", "in order, an acknowledgment each way", measure(acked, 0));
	printf("  %-44s %6.1f cycles\n", "in what the sink skips (9 of 10 segments)",
		measure(push, 9 * LEN));
	printf("  %-44s %6.1f cycles\n", "each second one early", measure(swapped, 0));
	printf("  %-44s %6.1f cycles, two segments\n", "each sent twice", measure(twice, 0));
	return bytes == 42 || refs == 42;
}
