/* SPDX-License-Identifier: BSD-3-Clause */
/* What a worker drops under pressure, and in which order. The depth of the queue is made up; packets are written by hand
 * (RFC 791, 9293, 5246, 8446); what must pass and what must go is what docs/design/overload.md promises. */
#include "psi_unit.h"

#include "worker_pvt.h"
#include "worker_rig.h"

enum { ROOM = 1024, FLOWS = 200 };

static struct rig rig;

static const uint8_t client_hello[] = {
	22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 3, [43] = 0, 0, 2, 0xc0, 0x2f, 1, 0};
static const uint8_t server_hello[] = {22, 3, 3, 0, 42, 2, 0, 0, 38, 3, 3, [43] = 0, 0xc0, 0x2f, 0};
static const uint8_t done[] = {22, 3, 3, 0, 4, 14, 0, 0, 0};
static const uint8_t finished[] = {20, 3, 3, 0, 1, 1, 22, 3, 3, 0, 40, [50] = 0};
static const uint8_t alert[] = {21, 3, 3, 0, 2, 1, 0};
static const uint8_t alert13[24] = {23, 3, 3, 0, 19};
static const uint8_t record[] = {23, 3, 3, 0x10, 0, 1, 2, 3, 4, 5}; /* of 4096 bytes */
static const uint8_t small[] = {23, 3, 3, 0, 5, 1, 2, 3, 4, 5};
static const uint8_t middle[100] = {1, 2, 3};

static int
suite_init(void)
{
	return !rig_eal();
}

static int
suite_fini(void)
{
	return rte_eal_cleanup();
}

static void
begin(void)
{
	rig_defaults(&rig);
	CU_ASSERT_FATAL(rig_open(&rig, true));
}

static void
end(void)
{
	CU_ASSERT(rig_close(&rig));
}

static void
press(uint32_t waiting, unsigned int times)
{
	while (times--)
		psi_worker_pressure(rig.worker, waiting, ROOM);
}

static uint64_t
bulk(void)
{
	return rig_stat(&rig, PSI_STAT_pkt_drop_shed_bulk);
}

static uint64_t
fresh(void)
{
	return rig_stat(&rig, PSI_STAT_pkt_drop_shed_new);
}

/* One packet of many connections: of how many it was dropped as bulk, and as new. */
static void
all_send(uint8_t flags, const void *data, uint32_t len, uint64_t *as_bulk, uint64_t *as_new)
{
	uint64_t b = bulk(), n = fresh();

	for (uint16_t port = 1; port <= FLOWS; port++)
		rig_tcp(&rig, port, true, flags, 101, 501, data, len);
	*as_bulk = bulk() - b;
	*as_new = fresh() - n;
}

/* As if the queue had asked for it. */
static void
drop_shares(uint32_t level)
{
	rig.worker->shed.level = level;
	rig.worker->shed.control = (int32_t)level * 8;
}

static void
drop_nothing(void)
{
	for (unsigned int i = 0; psi_worker_pressed(rig.worker); i++) {
		CU_ASSERT_FATAL(i < 100);
		press(0, 1);
	}
}

/* ---- levels ---- */

/* A queue and a worker, in packets and units of time: working on one takes 8, dropping one 2, and of 20 packets 19 are
 * bulk. What can be reached at a rate of f, 1 being all that can be worked on: w worked on, f - w dropped, and
 * 8 w + 2 (f - w) = 8, so w = (8 - 2 f) / 6. */
struct plant {
	struct shed s;
	double queue, lost, worked, dropped, time;
	uint32_t highest;
};

static void
run(struct plant *p, double rate, unsigned int steps)
{
	p->lost = p->worked = p->dropped = p->time = 0;
	p->highest = 0;
	while (steps--) {
		double taken = p->queue < 128 ? p->queue : 128,
		       bulk = taken * 0.95 * (p->s.level < 64 ? p->s.level : 64) / 64,
		       fresh = taken * 0.05 * (p->s.level < 64 ? 0 : p->s.level - 64) / 64,
		       time = 8 * (taken - bulk - fresh) + 2 * (bulk + fresh) + 1;

		p->time += time;
		p->worked += taken - bulk - fresh;
		p->dropped += bulk + fresh;
		p->queue += time * rate / 8 - taken;
		p->lost += p->queue > ROOM ? p->queue - ROOM : 0;
		p->queue = p->queue > ROOM ? ROOM : p->queue;
		shed_control(&p->s, (uint32_t)(p->queue * 256 / ROOM));
		p->highest = PSI_MAX(p->highest, p->s.level);
	}
}

/* Below what can be taken: a queue that a pause filled is emptied, and nothing is dropped from then on. */
static void
test_pause(void)
{
	static const double rate[] = {0.3, 0.5, 0.8, 0.9, 0.97};

	for (size_t i = 0; i < PSI_COUNT(rate); i++) {
		static struct plant p;

		memset(&p, 0, sizeof(p));
		p.queue = ROOM;
		run(&p, rate[i], 80);
		CU_ASSERT_EQUAL(p.s.level, 0);
		CU_ASSERT(p.highest <= SHED_SHARES + 8); /* few connections */
		run(&p, rate[i], 10000);
		CU_ASSERT(p.dropped == 0 && p.lost == 0);
	}
}

/* Above: the queue comes to rest, just what is too much is dropped, and all of it bulk. */
static void
test_excess(void)
{
	static const double rate[] = {1.01, 1.1, 1.25, 1.5, 2};

	for (size_t i = 0; i < PSI_COUNT(rate); i++) {
		static struct plant p;

		memset(&p, 0, sizeof(p));
		p.queue = ROOM;
		run(&p, rate[i], 1000);
		run(&p, rate[i], 10000);
		CU_ASSERT(p.lost == 0);
		CU_ASSERT(p.highest <= SHED_SHARES);
		CU_ASSERT(p.queue < ROOM / 2.0);
		CU_ASSERT(8 * p.worked / p.time > 0.97 * (8 - 2 * rate[i]) / 6);
		run(&p, 0.9, 100); /* and recovery */
		CU_ASSERT_EQUAL(p.s.level, 0);
	}
}

/* Beyond what dropping all bulk makes up for (8 = f (0.05 * 8 + 0.95 * 2), so f = 3.5), connections go, half of them at
 * most; and come back. */
static void
test_too_much(void)
{
	static struct plant p;

	run(&p, 3.3, 1000);
	run(&p, 3.3, 1000);
	CU_ASSERT(p.highest <= SHED_SHARES && p.lost == 0);
	run(&p, 8, 1000);
	CU_ASSERT_EQUAL(p.s.level, SHED_LEVEL_MAX);
	CU_ASSERT(p.lost > 0);
	run(&p, 0.5, 40);
	CU_ASSERT_EQUAL(p.s.level, 0);
}

/* A burst that fills half of a queue costs nothing, however often it comes. */
static void
test_half_full(void)
{
	static struct shed s;

	for (int i = 0; i < 1000; i++) {
		shed_control(&s, i % 8 * 128 / 7);
		CU_ASSERT_EQUAL(s.level, 0);
	}
	shed_control(&s, 140);
	CU_ASSERT(s.level > 0);
}

/* ---- packets ---- */

static void
test_order(void)
{
	uint64_t b, n, most;

	begin();
	drop_shares(SHED_SHARES);
	all_send(ACK, NULL, 0, &b, &n);
	CU_ASSERT(b == FLOWS && n == 0);
	all_send(ACK, middle, sizeof(middle), &b, &n);
	CU_ASSERT(b == FLOWS && n == 0);
	all_send(ACK, record, sizeof(record), &b, &n);
	CU_ASSERT(b == FLOWS && n == 0);
	all_send(ACK, small, sizeof(small), &b, &n);
	CU_ASSERT(b == FLOWS && n == 0);
	all_send(ACK, alert, sizeof(alert), &b, &n);
	CU_ASSERT(b == 0 && n == 0);
	all_send(ACK, alert13, sizeof(alert13), &b, &n);
	CU_ASSERT(b == 0 && n == 0);
	all_send(SYN, NULL, 0, &b, &n);
	CU_ASSERT(b == 0 && n == 0);
	all_send(ACK, client_hello, sizeof(client_hello), &b, &n);
	CU_ASSERT(b == 0 && n == 0);
	press(ROOM, 100); /* half of the connections, the same ones each time */
	all_send(SYN, NULL, 0, &b, &n);
	CU_ASSERT(b == 0 && n > FLOWS / 3 && n < FLOWS * 2 / 3);
	most = n;
	all_send(ACK, client_hello, sizeof(client_hello), &b, &n);
	CU_ASSERT(b == 0 && n == most);
	all_send(FIN | ACK, NULL, 0, &b, &n);
	CU_ASSERT(b == 0 && n == 0);
	all_send(RST, NULL, 0, &b, &n);
	CU_ASSERT(b == 0 && n == 0);
	all_send(ACK, alert, sizeof(alert), &b, &n);
	CU_ASSERT(b == 0 && n == 0);
	end();
}

/* A share of the connections, and of one connection everything or nothing, in both directions. */
static void
test_share(void)
{
	uint64_t b, n, once, before;

	begin();
	drop_shares(SHED_SHARES / 2);
	all_send(ACK, middle, sizeof(middle), &once, &n);
	CU_ASSERT(once > FLOWS / 4 && once < FLOWS * 3 / 4);
	all_send(ACK, middle, sizeof(middle), &b, &n);
	CU_ASSERT_EQUAL(b, once);
	for (uint16_t port = 1; port <= FLOWS; port++) {
		before = bulk();
		rig_tcp(&rig, port, true, ACK, 101, 501, middle, sizeof(middle));
		once = bulk() - before;
		rig_tcp(&rig, port, false, ACK, 501, 101, middle, sizeof(middle));
		CU_ASSERT_EQUAL(bulk() - before, 2 * once);
	}
	end();
}

/* The later segments of a handshake begin with no record; they are no bulk until application data flows. */
static void
test_guard(void)
{
	begin();
	drop_shares(SHED_SHARES);
	rig_tcp(&rig, 7, true, SYN, 100, 0, NULL, 0);
	rig_tcp(&rig, 7, false, ACK, 501, 101, server_hello, sizeof(server_hello));
	rig_tcp(&rig, 7, false, ACK, 548, 101, middle, sizeof(middle));
	CU_ASSERT_EQUAL(bulk(), 0);
	rig_tcp(&rig, 7, false, ACK, 648, 101, record, sizeof(record));
	CU_ASSERT_EQUAL(bulk(),
		0); /* the first of bulk: without it a handshake is never known to be over */
	rig_tcp(&rig, 7, false, ACK, 658, 101, middle, sizeof(middle));
	CU_ASSERT_EQUAL(bulk(), 1);
	rig_tcp(&rig, 8, true, SYN, 100, 0, NULL, 0); /* not TLS: protected for so long only */
	for (uint32_t i = 0; i < 100; i++)
		rig_tcp(&rig, 8, true, ACK, 101 + 100 * i, 501, middle, sizeof(middle));
	CU_ASSERT_EQUAL(bulk(), 1 + 100 - SHED_GUARDED);
	end();
}

/* A plain Ethernet frame is judged before it is decoded, one with a tag behind the decoder: the same comes out. */
static void
test_plain(void)
{
	static const uint8_t ip[] = {
		0x45, 0, 0, 50, 0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, 1, 198, 51, 100, 1};
	uint8_t plain[14 + 50] = {[12] = 8}, tagged[18 + 50] = {[12] = 0x81, 0, 0, 0, 8, 0};
	uint64_t before, once, dropped = 0;

	begin();
	drop_shares(SHED_SHARES / 2);
	for (uint16_t port = 1; port <= FLOWS; port++) {
		memcpy(plain + 14, ip, sizeof(ip));
		memcpy(plain + 34, (uint8_t[]){(uint8_t)(port >> 8), (uint8_t)port, 1, 187}, 4);
		plain[46] = 0x50;
		plain[47] = ACK;
		memcpy(plain + 54, small, sizeof(small));
		memcpy(tagged + 18, plain + 14, 50);
		before = bulk();
		rig_frame(&rig, PSI_LINK_ETHERNET, plain, sizeof(plain), sizeof(plain), 0);
		once = bulk() - before;
		dropped += once;
		rig_frame(&rig, PSI_LINK_ETHERNET, tagged, sizeof(tagged), sizeof(tagged), 0);
		CU_ASSERT_EQUAL(bulk() - before, 2 * once);
		/* no total length, as senders have it that leave segmentation to their NIC */
		plain[17] = 0;
		before = bulk();
		rig_frame(&rig, PSI_LINK_ETHERNET, plain, sizeof(plain), sizeof(plain), 0);
		CU_ASSERT_EQUAL(bulk() - before, once);
		plain[17] = 50;
		plain[47] = tagged[18 + 33] = FIN | ACK; /* an end passes, of whichever */
		before = bulk();
		rig_frame(&rig, PSI_LINK_ETHERNET, plain, sizeof(plain), sizeof(plain), 0);
		rig_frame(&rig, PSI_LINK_ETHERNET, tagged, sizeof(tagged), sizeof(tagged), 0);
		CU_ASSERT_EQUAL(bulk() - before, 0);
	}
	CU_ASSERT(dropped > FLOWS / 4 && dropped < FLOWS * 3 / 4);
	for (uint32_t len = 0; len <= sizeof(plain);
		len++) /* cut anywhere: nothing is read behind the end */
		rig_frame(&rig, PSI_LINK_ETHERNET, plain, PSI_MAX(len, 1u), sizeof(plain), 0);
	end();
}

/* Frames that carry no TCP. */
static void
test_others(void)
{
	uint8_t udp[60] = {
		0x45, 0, 0, 60, [8] = 64, [9] = 17, [12] = 192, 0, 2, 1, 198, 51, 100, 1};
	uint8_t piece[60] = {
		0x45, 0, 0, 60, [6] = 0x20, 0, 64, 6, [12] = 192, 0, 2, 1, 198, 51, 100, 1};

	begin();
	drop_shares(SHED_LEVEL_MAX);
	rig_frame(&rig, PSI_LINK_RAW, udp, sizeof(udp), sizeof(udp), 0);
	CU_ASSERT_EQUAL(rig_stat(&rig, PSI_STAT_pkt_udp), 1);
	rig_frame(&rig, PSI_LINK_RAW, piece, sizeof(piece), sizeof(piece), 0);
	CU_ASSERT_EQUAL(rig_stat(&rig, PSI_STAT_pkt_drop_shed_fragment), 1);
	end();
}

/* ---- what is told ---- */

static void
establish(uint16_t port)
{
	rig_tcp(&rig, port, true, SYN, 100, 0, NULL, 0);
	rig_tcp(&rig, port, false, SYN | ACK, 500, 101, NULL, 0);
	rig_tcp(&rig, port, true, ACK, 101, 501, client_hello, sizeof(client_hello));
	rig_tcp(&rig, port, false, ACK, 501, 151, server_hello, sizeof(server_hello));
	rig_tcp(&rig, port, false, ACK, 548, 151, done, sizeof(done));
	rig_tcp(&rig, port, true, ACK, 151, 557, finished, sizeof(finished));
	rig_tcp(&rig, port, false, ACK, 557, 202, finished, sizeof(finished));
	rig_tcp(&rig, port, true, ACK, 202, 608, small, sizeof(small));
	rig_tcp(&rig, port, false, ACK, 608, 212, small, sizeof(small));
}

/* Bulk of an established connection goes; behind it, its records are found again, its alert and its end are told, and
 * nothing is waited for: no early segment is held. */
static void
test_followed_on(void)
{
	begin();
	establish(9);
	drop_shares(SHED_SHARES);
	for (uint32_t i = 0; i < 10; i++)
		rig_tcp(&rig, 9, false, ACK, 618 + 100 * i, 212, middle, sizeof(middle));
	CU_ASSERT_EQUAL(bulk(), 10);
	drop_nothing();
	rig_tcp(&rig, 9, false, ACK, 1618, 212, small, sizeof(small));
	CU_ASSERT_EQUAL(rig_stat(&rig, PSI_STAT_stream_gap), 1);
	CU_ASSERT_EQUAL(rig_stat(&rig, PSI_STAT_stream_gap_bytes), 1000);
	CU_ASSERT_EQUAL(rig_stat(&rig, PSI_STAT_seg_early), 0);
	CU_ASSERT_EQUAL(psi_stream_held(rig.worker->streams), 0);
	rig_tcp(&rig, 9, false, ACK, 1628, 212, small,
		sizeof(small)); /* in turn again: no other gap */
	rig_tcp(&rig, 9, true, ACK, 212, 1638, alert, sizeof(alert));
	rig_tcp(&rig, 9, true, FIN | ACK, 219, 1638, NULL, 0);
	rig_tcp(&rig, 9, false, FIN | ACK, 1638, 220, NULL, 0);
	CU_ASSERT_EQUAL(rig_stat(&rig, PSI_STAT_stream_gap), 1);
	end();
	CU_ASSERT_EQUAL(rig.sum[PSI_STAT_flow_closed_fin], 1);
	CU_ASSERT_EQUAL_FATAL(rig.event_cnt, 1);
	CU_ASSERT(rig.event[0].shed);
}

/* What follows a hole of our own, in the midst of a record or behind it, costs no connection: else an overload would make
 * packets dearer and so keep itself alive. */
static void
test_stays_thin(void)
{
	begin();
	establish(12);
	/* every conn is taken, so that a packet which wants one is counted */
	for (uint16_t port = 1000; rig.worker->conns.used < rig.worker->conns.cnt && port < 3000;
		port++)
		rig_tcp(&rig, port, true, ACK, 101, 501, client_hello, sizeof(client_hello));
	CU_ASSERT_EQUAL(rig.worker->conns.used, rig.worker->conns.cnt);
	drop_shares(SHED_SHARES);
	rig_tcp(&rig, 12, false, ACK, 618, 212, middle, sizeof(middle));
	CU_ASSERT_EQUAL(bulk(), 1);
	drop_nothing();
	rig_tcp(&rig, 12, false, ACK, 718, 212, record,
		sizeof(record)); /* a hole, then 10 of 4101 bytes */
	CU_ASSERT_EQUAL(rig_stat(&rig, PSI_STAT_stream_gap), 1);
	CU_ASSERT_EQUAL(rig_stat(&rig, PSI_STAT_stream_gap_bytes), 100);
	rig_tcp(&rig, 12, true, ACK, 212, 4819, NULL, 0); /* of what was dropped, too */
	rig_tcp(&rig, 12, false, ACK, 2000, 212, middle,
		sizeof(middle));			    /* in the midst of the record */
	rig_tcp(&rig, 12, false, ACK, 4814, 212, small, 5); /* its last bytes */
	rig_tcp(&rig, 12, false, ACK, 4819, 212, small, sizeof(small)); /* a record in turn */
	CU_ASSERT_EQUAL(rig_stat(&rig, PSI_STAT_stream_gap), 1);
	CU_ASSERT_EQUAL(rig_stat(&rig, PSI_STAT_pkt_no_conn_room), 0);
	end();
}

/* A connection that begins when all is over says nothing of it. */
static void
test_not_marked(void)
{
	begin();
	drop_shares(SHED_SHARES);
	rig_tcp(&rig, 10, false, ACK, 618, 212, middle, sizeof(middle));
	drop_nothing();
	establish(11);
	end();
	CU_ASSERT_EQUAL_FATAL(rig.event_cnt, 1);
	CU_ASSERT(!rig.event[0].shed);
}

static CU_TestInfo tests[] = {
	{"a pause is made up for, then nothing is dropped", test_pause},
	{"just the excess is dropped", test_excess},
	{"connections only where bulk is not enough", test_too_much},
	{"half of a queue is for bursts", test_half_full},
	{"bulk, then new connections, never ends", test_order},
	{"a connection is dropped or kept", test_share},
	{"a handshake is no bulk", test_guard},
	{"plain frames as others", test_plain},
	{"what carries no TCP", test_others},
	{"followed on behind what was dropped", test_followed_on},
	{"no connection for what follows a hole of our own", test_stays_thin},
	{"only who may have lost something says so", test_not_marked},
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo psi_unit_suites[] = {
	{.pName = "shed", .pInitFunc = suite_init, .pCleanupFunc = suite_fini, .pTests = tests},
	CU_SUITE_INFO_NULL,
};
