/* SPDX-License-Identifier: BSD-3-Clause */
/* The ring by itself: events as the collector makes them, over and over into a ring in shared memory, beside copying the
 * same bytes into a buffer of the same size. */
#include "bench_pvt.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define KEEP	 1024u
#define RING	 (64u << 20)
#define KEEP_MEM (KEEP * 8192u)

struct kept {
	uint8_t *mem;
	const struct psi_event *e[KEEP];
	uint32_t cnt, used;
};

static void
keep(void *ctx, const struct psi_event *e)
{
	struct kept *k = ctx;

	if (k->cnt == KEEP || KEEP_MEM - k->used < e->len)
		return;
	memcpy(k->mem + k->used, e, e->len);
	k->e[k->cnt++] = (const struct psi_event *)(const void *)(k->mem + k->used);
	k->used += e->len;
}

/* Events of real handshakes. */
static int
make_events(const struct options *o, struct kept *k, struct psi_err *err)
{
	struct rte_mempool *pool = packet_pool("ring", 16383 + 2 * o->ring, err);
	struct rte_mbuf *m[PSI_WORKER_BURST];
	uint64_t ts[PSI_WORKER_BURST];
	uint32_t wire[PSI_WORKER_BURST];
	struct engine *e = calloc(1, sizeof(*e));
	struct nic n;
	uint16_t cnt;

	if (!pool || !e || nic_open(&n, &o->gen, o->ring, pool, err) != 0 ||
		engine_open(e, ST_COLLECTOR, o, 0, err) != 0)
		return -ENOMEM;
	e->on_event = keep;
	e->ctx = k;
	while (k->cnt < KEEP && nic_fill(&n))
		while ((cnt = nic_rx(&n, m, ts, wire, PSI_WORKER_BURST)) > 0)
			engine_burst(e, m, ts, wire, cnt);
	if (!engine_close(e, err))
		return -EIO;
	free(e);
	nic_close(&n);
	rte_mempool_free(pool);
	return 0;
}

static double
copy_ns(const struct kept *k, uint8_t *to, uint64_t events)
{
	uint64_t from = cpu_ns(), at = 0;

	for (uint64_t i = 0; i < events; i++) {
		const struct psi_event *e = k->e[i % KEEP];

		if (RING - at < e->len)
			at = 0;
		memcpy(to + at, e, e->len);
		at += e->len;
	}
	return (double)(cpu_ns() - from) / (double)events;
}

static double
write_ns(struct kept *k, struct psi_ring_w *w, uint64_t events, uint64_t *seq)
{
	uint64_t from = cpu_ns();

	for (uint64_t i = 0; i < events; i++) {
		struct psi_event *e =
			(struct psi_event *)(void *)(k->mem +
						     ((const uint8_t *)k->e[i % KEEP] - k->mem));

		e->seq = ++*seq;
		psi_ring_write(w, e);
	}
	return (double)(cpu_ns() - from) / (double)events;
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void
report(const struct options *o, const struct kept *k, double base, double ring)
{
	double bytes = (double)k->used / k->cnt;

	if (o->json)
		printf("{\"type\": \"ring\", \"event_bytes\": %.1f, \"copy_ns\": %.2f, \"ring_ns\": %.2f, \"ratio\": %.3f, "
		       "\"events_per_s\": %.0f, \"load\": %.2f}\n",
			bytes, base, ring, ring / base, 1e9 / ring, load_average());
	else
		printf("ring: events of %.0f bytes, 64 MiB of shared memory\n"
		       "  copied into a buffer %8.1f ns\n  into the ring        %8.1f ns  %.2f times that, %.2f M events/s\n",
			bytes, base, ring, ring / base, 1e3 / ring);
}

int
run_ring(const struct options *o, struct psi_err *err)
{
	char path[64], lock[80];
	struct psi_ring_config rc = {
		.path = path, .size = RING, .mode = 0600, .generation = 1, .now_ns = 1};
	struct kept *k = calloc(1, sizeof(*k));
	double base[REPS_MAX], ring[REPS_MAX];
	uint8_t *to = malloc(RING);
	struct psi_ring_w *w;
	uint64_t seq = 0;

	snprintf(path, sizeof(path), "/dev/shm/pinsight-bench.%d.ring", (int)getpid());
	snprintf(lock, sizeof(lock), "%s.lock", path);
	if (!k || !to || !(k->mem = aligned_alloc(8, KEEP_MEM)))
		return psi_err_set(err, -ENOMEM, "no memory for events");
	if (make_events(o, k, err) != 0)
		return -EIO;
	if (psi_ring_create(&w, &rc, err) != 0)
		return -EIO;
	memset(to, 0, RING);
	write_ns(k, w, o->packets, &seq);
	for (uint32_t r = 0; r < o->reps; r++) {
		base[r] = copy_ns(k, to, o->packets);
		ring[r] = write_ns(k, w, o->packets, &seq);
	}
	qsort(base, o->reps, sizeof(base[0]), by_value);
	qsort(ring, o->reps, sizeof(ring[0]), by_value);
	report(o, k, base[o->reps / 2], ring[o->reps / 2]);
	psi_ring_close(w);
	unlink(path);
	unlink(lock);
	free(k->mem);
	free(k);
	free(to);
	return 0;
}
