/* SPDX-License-Identifier: BSD-3-Clause */
/* Overload through the engine's own turns: a port of DPDK (net_ring) that is filled by hand, a worker that reads it. What
 * must come out is what docs/design/overload.md promises; the frames are written by hand (RFC 791, 9293, 5246). */
#include "psi_unit.h"
#include "unit_eal.h"

#include "engine.h"
#include "worker_pvt.h"

#include <rte_eth_ring.h>
#include <rte_ethdev.h>

enum { ROOM = 1024, MBUFS = 8191, CONNS = 300, BURST = PSI_WORKER_BURST };
enum { FIN = 1, SYN = 2, ACK = 16 };

static struct rte_mempool *pool;
static struct rte_ring *ring;
static uint16_t port;
static struct engine e;
static struct engine_worker w;
static struct generation gen;
static uint32_t seq[CONNS]; /* of the server's next segment */
static uint64_t lost, dear; /* packets; of flows that took a connection */

static const uint8_t client_hello[] = {
	22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 3, [43] = 0, 0, 2, 0xc0, 0x2f, 1, 0};
static const uint8_t server_hello[] = {22, 3, 3, 0, 42, 2, 0, 0, 38, 3, 3, [43] = 0, 0xc0, 0x2f, 0};
static const uint8_t done[] = {22, 3, 3, 0, 4, 14, 0, 0, 0};
static const uint8_t finished[] = {20, 3, 3, 0, 1, 1, 22, 3, 3, 0, 40, [50] = 0};
static const uint8_t small[] = {23, 3, 3, 0, 5, 1, 2, 3, 4, 5};

static int
suite_init(void)
{
	struct rte_eth_conf conf = {0};
	int id;

	pool = unit_pool(MBUFS);
	/* one more than fit: a ring keeps a place free */
	ring = pool ? rte_ring_create("wire", 2 * ROOM, SOCKET_ID_ANY, 0) : NULL;
	id = ring ? rte_eth_from_ring(ring) : -1;
	if (id < 0)
		return 1;
	port = (uint16_t)id;
	return rte_eth_dev_configure(port, 1, 1, &conf) != 0 ||
	       rte_eth_rx_queue_setup(port, 0, ROOM, SOCKET_ID_ANY, NULL, pool) != 0 ||
	       rte_eth_tx_queue_setup(port, 0, ROOM, SOCKET_ID_ANY, NULL) != 0 ||
	       rte_eth_dev_start(port) != 0;
}

static int
suite_fini(void)
{
	return rte_eth_dev_stop(port) | rte_eal_cleanup();
}

static uint32_t
count_ring(void *queue)
{
	(void)queue;
	return rte_ring_count(ring);
}

static uint64_t
stat(enum psi_stat s)
{
	return psi_stat_get(w.stats, s);
}

/* ---- the wire ---- */

static void
put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* A segment between 192.0.2.1, at a port, and 198.51.100.1 port 443; lost when the queue is full. */
static void
put(uint16_t client_port, bool from_client, uint8_t flags, uint32_t number, uint32_t ack,
	const void *data, uint32_t len)
{
	static const uint8_t addr[2][4] = {{192, 0, 2, 1}, {198, 51, 100, 1}};
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	uint8_t *p;

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	p = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(54 + len));
	memset(p, 0, 54);
	p[12] = 8;
	p[14] = 0x45;
	put16(p + 16, 40 + len);
	p[22] = 64;
	p[23] = 6;
	memcpy(p + 26, addr[!from_client], 4);
	memcpy(p + 30, addr[from_client], 4);
	put16(p + 34, from_client ? client_port : 443);
	put16(p + 36, from_client ? 443 : client_port);
	put16(p + 38, number >> 16);
	put16(p + 40, number & 0xffff);
	put16(p + 42, ack >> 16);
	put16(p + 44, ack & 0xffff);
	p[46] = 0x50;
	p[47] = flags;
	put16(p + 48, 65535);
	if (len)
		memcpy(p + 54, data, len);
	if (rte_ring_count(ring) < ROOM && rte_ring_enqueue(ring, m) == 0)
		return;
	lost++;
	rte_pktmbuf_free(m);
}

static void
turn(void)
{
	w.w->followed = 0;
	worker_turn(&w);
	dear += w.w->followed;
}

static void
take_all(void)
{
	while (rte_ring_count(ring))
		turn();
}

static void
establish(uint16_t p)
{
	put(p, true, SYN, 100, 0, NULL, 0);
	put(p, false, SYN | ACK, 500, 101, NULL, 0);
	put(p, true, ACK, 101, 501, client_hello, sizeof(client_hello));
	put(p, false, ACK, 501, 151, server_hello, sizeof(server_hello));
	put(p, false, ACK, 548, 151, done, sizeof(done));
	put(p, true, ACK, 151, 557, finished, sizeof(finished));
	put(p, false, ACK, 557, 202, finished, sizeof(finished));
	put(p, true, ACK, 202, 608, small, sizeof(small));
	put(p, false, ACK, 608, 212, small, sizeof(small));
}

/* The next record of so many connections, in turn. */
static void
records(unsigned int cnt)
{
	static unsigned int next;

	for (; cnt--; next++) {
		unsigned int i = next % CONNS;

		put((uint16_t)(1 + i), false, ACK, seq[i], 212, small, sizeof(small));
		seq[i] += sizeof(small);
	}
}

/* ---- a worker ---- */

static void
begin(bool counts)
{
	struct psi_config_override ov[] = {{.text = "flows.max=4096"},
		{.text = "flows.connections=1024"}, {.text = "flows.handshakes=1024"}};
	struct psi_err err = {""};

	memset(&e, 0, sizeof(e));
	memset(&w, 0, sizeof(w));
	gen.cfg = psi_config_open(NULL, ov, PSI_COUNT(ov), &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(gen.cfg);
	atomic_store(&e.gen, &gen);
	clock_open(&e.clock);
	e.worker = &w;
	e.worker_cnt = e.port_cnt = 1;
	e.port[0].nic = (struct psi_nic){.port = port, .queue_cnt = 1, .desc_cnt = ROOM};
	w.e = &e;
	w.rx[0].nic = &e.port[0].nic;
	w.rx_cnt = 1;
	CU_ASSERT_EQUAL_FATAL(worker_open(&w, &err), 0);
	rte_eth_fp_ops[port].rx_queue_count = counts ? count_ring : NULL;
	lost = 0;
	for (unsigned int i = 0; i < CONNS; i++) {
		establish((uint16_t)(1 + i));
		take_all();
		seq[i] = 618;
	}
	CU_ASSERT_EQUAL(stat(PSI_STAT_flow_tls), CONNS);
	CU_ASSERT_EQUAL_FATAL(w.w->conns.used, 0); /* all of them thin */
}

static void
end(void)
{
	take_all();
	psi_worker_stop(w.w);
	worker_close(&w);
	psi_config_close(gen.cfg);
	CU_ASSERT_EQUAL(rte_mempool_avail_count(pool), MBUFS);
}

/* Twice of what is taken, until so much was dropped. */
static void
overload(void)
{
	uint64_t before = stat(PSI_STAT_pkt_drop_shed_bulk);

	for (int i = 0; i < 1000 && stat(PSI_STAT_pkt_drop_shed_bulk) < before + 4 * ROOM; i++) {
		records(2 * BURST);
		turn();
	}
	CU_ASSERT_FATAL(stat(PSI_STAT_pkt_drop_shed_bulk) >= before + 4 * ROOM);
	CU_ASSERT(psi_worker_pressed(w.w));
}

/* Few packets a turn, of all connections: it is over soon, while they go on. */
static void
few(void)
{
	uint64_t dropped;

	while (rte_ring_count(ring) >= BURST)
		turn();
	for (int i = 0; i < 60; i++) {
		records(5);
		turn();
	}
	CU_ASSERT(!psi_worker_pressed(w.w));
	dropped = stat(PSI_STAT_pkt_drop_shed_bulk);
	for (int i = 0; i < 200; i++) {
		records(5);
		turn();
	}
	CU_ASSERT_EQUAL(stat(PSI_STAT_pkt_drop_shed_bulk), dropped);
}

/* ---- tests ---- */

static void
drop_shares(uint32_t level)
{
	w.w->shed.level = level;
	w.w->shed.control = (int32_t)level * 8;
}

/* Dropping begins before the queue overflows, but not for a burst that fills half of it. */
static void
test_begins(void)
{
	begin(true);
	for (int i = 0; i < 20; i++) {
		records(ROOM / 2);
		take_all();
	}
	CU_ASSERT_EQUAL(stat(PSI_STAT_pkt_drop_shed_bulk), 0);
	while (!lost) {
		records(2 * BURST);
		turn();
	}
	CU_ASSERT(stat(PSI_STAT_pkt_drop_shed_bulk) > 0);
	end();
}

static void
test_ends(void)
{
	begin(true);
	overload();
	few();
	overload(); /* and again */
	few();
	drop_shares(SHED_LEVEL_MAX); /* however few full bursts there were */
	w.full_turns = 0;
	few();
	end();
}

/* What follows the holes takes no connection: else packets would be dearer behind an overload than before. */
static void
test_stays_cheap(void)
{
	begin(true);
	dear = 0;
	overload();
	few();
	CU_ASSERT(stat(PSI_STAT_stream_gap) >= CONNS / 2);
	CU_ASSERT_EQUAL(dear, 0);
	CU_ASSERT_EQUAL(stat(PSI_STAT_seg_early), 0);
	end();
}

/* While all bulk is dropped connections begin, and are taken for what they are. */
static void
test_handshakes(void)
{
	begin(true);
	for (uint16_t p = 5000; p < 5020; p++) {
		drop_shares(SHED_SHARES);
		records(5);
		establish(p);
		turn();
	}
	CU_ASSERT_EQUAL(stat(PSI_STAT_flow_tls), CONNS + 20);
	CU_ASSERT_EQUAL(stat(PSI_STAT_pkt_drop_shed_bulk), 20 * 5);
	CU_ASSERT_EQUAL(stat(PSI_STAT_pkt_drop_shed_new), 0);
	end();
}

/* A driver that does not count its queue: full bursts alone mean nothing. */
static void
test_guessed(void)
{
	begin(false);
	for (int i = 0; i < 400; i++) {
		records(2 * BURST);
		turn();
	}
	CU_ASSERT_EQUAL(stat(PSI_STAT_pkt_drop_shed_bulk), 0);
	take_all();
	atomic_store(&e.port[0].lost_ns, clock_ns(&e.clock)); /* the port says that it lost some */
	overload();
	few();
	end();
}

static CU_TestInfo tests[] = {
	{"dropping begins when the queue fills", test_begins},
	{"and ends when packets become few", test_ends},
	{"connections stay cheap behind it", test_stays_cheap},
	{"handshakes are followed meanwhile", test_handshakes},
	{"a queue that cannot be counted", test_guessed},
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo psi_unit_suites[] = {
	{.pName = "pressure", .pInitFunc = suite_init, .pCleanupFunc = suite_fini, .pTests = tests},
	CU_SUITE_INFO_NULL,
};
