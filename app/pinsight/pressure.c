/* SPDX-License-Identifier: BSD-3-Clause */
/* How full the queues in front of a worker are, so that it drops what tells least before they overflow
 * (docs/design/overload.md). Looked at only while bursts come full: a worker that keeps up never gets here. */
#include "engine.h"

#include <rte_ethdev.h>

#define LOOK_EVERY 4 /* full turns: a driver may have to walk its descriptors to count */
#define LOST_NS	   10000000000ull /* how long a port that lost packets is taken to be too slow */
#define FULL	   256

/* A queue that cannot be counted is believed to fill up while it never runs empty, if its port says that it lost packets:
 * a capture that is read as fast as it goes comes in full bursts, too. */
static uint32_t
guessed(const struct engine_worker *w, unsigned int i, uint64_t now)
{
	const struct engine_port *p = &w->e->port[w->rx[i].port];
	uint64_t lost = atomic_load_explicit(&p->lost_ns, memory_order_relaxed);

	if (!lost || now > lost + LOST_NS)
		return 0;
	return (uint32_t)PSI_MIN((uint64_t)w->full_turns * PSI_WORKER_BURST * FULL / 4 /
					 PSI_MAX(w->rx[i].nic->desc_cnt, 1u),
		FULL);
}

static uint32_t
fullest(const struct engine_worker *w, uint64_t now)
{
	const struct engine *e = w->e;
	uint32_t fill = 0;

	for (unsigned int i = 0; i < w->rx_cnt; i++) {
		int n = psi_nic_waiting(w->rx[i].nic, w->rx[i].queue);
		uint32_t room = PSI_MAX(w->rx[i].nic->desc_cnt, 1u);

		fill = PSI_MAX(
			fill, n < 0 ? guessed(w, i, now) : (uint32_t)((uint64_t)n * FULL / room));
	}
	for (unsigned int from = 0; e->steer && from < e->worker_cnt; from++)
		if (from != w->id)
			fill = PSI_MAX(
				fill, rte_ring_count(e->steer[from * e->worker_cnt + w->id]) *
					      FULL / STEER_RING);
	return fill;
}

void
pressure_turn(struct engine_worker *w, bool full, uint64_t now)
{
	w->full_turns = full ? w->full_turns + 1 : w->full_turns - (w->full_turns + 3) / 4;
	if (full && w->full_turns % LOOK_EVERY)
		return;
	if (!full && !psi_worker_pressed(w->w))
		return;
	psi_worker_pressure(
		w->w, generation_of(w->e)->cfg->overload.shed ? fullest(w, now) : 0, FULL);
}
