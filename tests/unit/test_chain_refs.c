/* SPDX-License-Identifier: BSD-3-Clause */
/* Two holders of one packet's bytes on two threads: a collector frees the references of chains that it was handed over while
 * the worker begins other chains in the same packet, as happens when sides turn out to be the other way round, and gives them
 * up. Nobody's reference is lost. */
#include "psi_unit.h"

#include "worker_pvt.h"
#include "worker_rig.h"

#include <pthread.h>
#include <sched.h>

#define ROUNDS 50
#define HANDED 20000 /* references that the collector has in a round: enough to keep both at it */
#define PIECES 60    /* of a chain, a reference each */

static struct rig rig;
static struct conn conn;
static _Atomic(struct rte_mbuf *)
	turn; /* of which the collector is to free all that it has; NULL: it has */
static _Atomic bool over;

static void *
collector(void *arg)
{
	(void)arg;
	while (!atomic_load_explicit(&over, memory_order_acquire)) {
		struct rte_mbuf *m = atomic_load_explicit(&turn, memory_order_acquire);

		if (!m) {
			sched_yield();
			continue;
		}
		for (int i = 0; i < HANDED; i++)
			rte_pktmbuf_free_seg(m);
		atomic_store_explicit(&turn, NULL, memory_order_release);
	}
	return NULL;
}

static struct hs *
open_connection(void)
{
	struct psi_worker *w = rig.worker;
	struct hs *h;

	conn.hs = psi_pool_take(&w->hss);
	h = psi_pool_at(&w->hss, conn.hs);
	memset(h, 0, sizeof(*h));
	h->chain[0] = h->chain[1] = PSI_POOL_NONE;
	w->cur = &conn;
	return h;
}

/* A chain passes, and is given up before its end. */
static void
begin_and_drop(struct psi_worker *w, struct hs *h, const uint8_t *p)
{
	chain_tls_ops.cert_begin(w, PSI_C2S, 2 * PIECES);
	for (int i = 0; i < PIECES; i++)
		chain_tls_ops.cert_data(w, PSI_C2S, p + i, 1);
	chain_drop(w, h);
}

static void
test_two_threads(void)
{
	uint32_t wrong = 0;
	struct rte_mbuf *m;
	uint8_t *bytes;
	pthread_t thread;
	struct hs *h;

	rig_defaults(&rig);
	CU_ASSERT_FATAL(rig_open(&rig, true));
	h = open_connection();
	m = rte_pktmbuf_alloc(rig_pool);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	bytes = (uint8_t *)rte_pktmbuf_append(m, PIECES);
	rig.worker->cur_ref = m;
	begin_and_drop(rig.worker, h, bytes);
	CU_ASSERT_EQUAL_FATAL(rte_mbuf_refcnt_read(m), 1);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, collector, NULL), 0);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		rte_mbuf_refcnt_set(m, 1 + HANDED);
		atomic_store_explicit(&turn, m, memory_order_release);
		while (atomic_load_explicit(&turn, memory_order_acquire))
			begin_and_drop(rig.worker, h, bytes);
		wrong += rte_mbuf_refcnt_read(m) != 1;
	}
	atomic_store_explicit(&over, true, memory_order_release);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(wrong, 0);
	rte_mbuf_refcnt_set(m, 1);
	rte_pktmbuf_free(m);
	psi_pool_give(&rig.worker->hss, conn.hs);
	rig.worker->cur = NULL;
	CU_ASSERT(rig_close(&rig));
}

static CU_TestInfo tests[] = {
	{"references on two threads", test_two_threads},
	CU_TEST_INFO_NULL,
};

static int
suite_init(void)
{
	return rig_eal() ? 0 : -1;
}

static int
suite_fini(void)
{
	return rte_eal_cleanup();
}

CU_SuiteInfo psi_unit_suites[] = {
	{.pName = "chain_refs",
		.pInitFunc = suite_init,
		.pCleanupFunc = suite_fini,
		.pTests = tests},
	CU_SUITE_INFO_NULL,
};
