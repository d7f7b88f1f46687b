/* SPDX-License-Identifier: BSD-3-Clause */
/* A worker and the collector behind it, at the bounds of every pool, and in what no recording holds. Frames are
 * written by hand (RFC 791, RFC 9293, RFC 5246); every test ends with all mbufs back and a balanced ledger. */
#include "psi_unit.h"

#include "worker_rig.h"

static struct rig rig;

/* A ClientHello of TLS 1.2 with one cipher suite and no extensions; the answer to it; an alert. */
static const uint8_t client_hello[] = {
	22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 3, [43] = 0, 0, 2, 0xc0, 0x2f, 1, 0};
static const uint8_t server_hello[] = {22, 3, 3, 0, 42, 2, 0, 0, 38, 3, 3, [43] = 0, 0xc0, 0x2f, 0};
/* A list of one certificate, which is an empty SEQUENCE of wrong length; ServerHelloDone. */
static const uint8_t flight[] = {
	22, 3, 3, 0, 13, 11, 0, 0, 9, 0, 0, 6, 0, 0, 3, 0x30, 1, 0, 22, 3, 3, 0, 4, 14, 0, 0, 0};
static const uint8_t unknown_ca[] = {21, 3, 3, 0, 2, 2, 48};
static const uint8_t http[] = "GET / HTTP/1.1\r\n\r\n";
_Static_assert(sizeof(client_hello) == 50 && sizeof(server_hello) == 47, "as their lengths say");

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
begin(bool waits)
{
	CU_ASSERT_FATAL(rig_open(&rig, waits));
}

static void
end(void)
{
	CU_ASSERT(rig_close(&rig));
}

static void
hello(uint16_t port)
{
	rig_tcp(&rig, port, true, SYN, 100, 0, NULL, 0);
	rig_tcp(&rig, port, false, SYN | ACK, 500, 101, NULL, 0);
	rig_tcp(&rig, port, true, ACK, 101, 501, client_hello, sizeof(client_hello));
}

/* The answer, the client's alert and its reset. */
static void
refuse(uint16_t port)
{
	rig_tcp(&rig, port, false, ACK, 501, 151, server_hello, sizeof(server_hello));
	rig_tcp(&rig, port, false, ACK, 548, 151, flight, sizeof(flight));
	rig_tcp(&rig, port, true, ACK, 151, 575, unknown_ca, sizeof(unknown_ca));
	rig_tcp(&rig, port, true, RST, 158, 0, NULL, 0);
}

static void
refused(uint16_t port)
{
	hello(port);
	refuse(port);
}

static const struct told *
only_event(void)
{
	CU_ASSERT_EQUAL_FATAL(rig.event_cnt, 1);
	return &rig.event[0];
}

/* ---- bounds ---- */

static void
test_syn_flood(void)
{
	rig_defaults(&rig);
	rig.cfg.flow.max = 64;
	begin(true);
	hello(7);
	for (uint32_t port = 1024; port < 9000; port++)
		rig_tcp(&rig, (uint16_t)port, true, SYN, port, 0, NULL, 0);
	CU_ASSERT(rig_stat(&rig, PSI_STAT_flow_closed_evicted) > 0);
	CU_ASSERT_EQUAL(rig_stat(&rig, PSI_STAT_flow_evicted_handshake), 0);
	refuse(7);
	end();
	CU_ASSERT_EQUAL(only_event()->class, PSI_CLASS_UNKNOWN_CA);
	CU_ASSERT_STRING_EQUAL(only_event()->err, "SUCCESS");
}

/* The table's memory comes all at once in the middle of a handshake: nothing in it is lost. */
static void
test_touch(void)
{
	rig_defaults(&rig);
	begin(true);
	hello(7);
	psi_worker_touch(rig.worker);
	refuse(7);
	refused(8);
	end();
	CU_ASSERT_EQUAL_FATAL(rig.event_cnt, 2);
	CU_ASSERT_EQUAL(rig.event[0].class, PSI_CLASS_UNKNOWN_CA);
	CU_ASSERT_EQUAL(rig.event[1].class, PSI_CLASS_UNKNOWN_CA);
}

/* Where half the connections are taken, a SYN leaves nothing behind; what comes of it is followed from its payload on. */
static void
test_syn_without_room(void)
{
	rig_defaults(&rig);
	rig.cfg.conn_max = 16;
	begin(true);
	for (uint32_t port = 1024; port < 1124; port++)
		rig_tcp(&rig, (uint16_t)port, true, SYN, port, 0, NULL, 0);
	CU_ASSERT_EQUAL(rig_stat(&rig, PSI_STAT_flow_opened), 8);
	CU_ASSERT_EQUAL(rig_stat(&rig, PSI_STAT_pkt_no_flow), 92);
	refused(7);
	CU_ASSERT_EQUAL(rig_stat(&rig, PSI_STAT_flow_opened), 9);
	end();
	CU_ASSERT_EQUAL(only_event()->class, PSI_CLASS_UNKNOWN_CA);
	CU_ASSERT_STRING_EQUAL(only_event()->err, "SUCCESS");
}

/* No room for a handshake: the flow is still told, with what the engine could not do. */
static void
test_no_handshake_room(void)
{
	rig_defaults(&rig);
	rig.cfg.handshake_max = 1;
	begin(true);
	hello(7);
	refused(8);
	rig_tcp(&rig, 9, true, SYN, 100, 0, NULL, 0);
	rig_tcp(&rig, 9, true, ACK, 101, 501, http, sizeof(http) - 1);
	end();
	CU_ASSERT_EQUAL(rig.sum[PSI_STAT_flow_no_handshake_room], 2);
	CU_ASSERT_EQUAL(rig.sum[PSI_STAT_flow_tls], 2);
	CU_ASSERT_EQUAL_FATAL(rig.event_cnt, 2);
	CU_ASSERT_STRING_EQUAL(rig.event[0].err, "FULL");
	CU_ASSERT_STRING_EQUAL(rig.event[0].why, "rst");
	CU_ASSERT_EQUAL(rig.event[0].rst, 1);
	CU_ASSERT_EQUAL(rig.event[0].class, PSI_CLASS_INCOMPLETE);
	CU_ASSERT_STRING_EQUAL(rig.event[1].err, "SUCCESS");
}

/* Room that comes back in the middle of a handshake is of no use to it: half of one would be told as the whole. */
static void
test_handshake_room_later(void)
{
	rig_defaults(&rig);
	rig.cfg.handshake_max = 1;
	begin(true);
	hello(7);
	hello(8);
	rig_tcp(&rig, 7, true, RST, 151, 0, NULL, 0);
	rig.now_ns += 5000000000;
	rig_tcp(&rig, 8, false, ACK, 501, 151, server_hello, sizeof(server_hello));
	rig_tcp(&rig, 8, true, ACK, 151, 548, unknown_ca, sizeof(unknown_ca));
	end();
	CU_ASSERT_EQUAL_FATAL(rig.event_cnt, 2);
	CU_ASSERT_STRING_EQUAL(rig.event[1].err, "FULL");
}

static void
test_no_conn_room(void)
{
	rig_defaults(&rig);
	rig.cfg.conn_max = 2;
	begin(true);
	for (uint16_t port = 1; port <= 5; port++)
		refused(port);
	CU_ASSERT_EQUAL(rig_stat(&rig, PSI_STAT_flow_no_conn_room), 3);
	end();
	CU_ASSERT_EQUAL(rig.event_cnt, 2);
}

/* A full table of flows that are worth more: the packet is dropped and counted. */
static void
test_table_full(void)
{
	rig_defaults(&rig);
	rig.cfg.flow.max = 32;
	begin(true);
	for (uint16_t port = 1; port <= 32; port++)
		hello(port);
	rig_tcp(&rig, 99, true, SYN, 1, 0, NULL, 0);
	CU_ASSERT_EQUAL(rig_stat(&rig, PSI_STAT_pkt_drop_flow_full), 1);
	hello(100); /* its SYNs find no room, its data does */
	CU_ASSERT_EQUAL(rig_stat(&rig, PSI_STAT_pkt_drop_flow_full), 3);
	CU_ASSERT_EQUAL(rig_stat(&rig, PSI_STAT_flow_evicted_handshake), 1);
	end();
	CU_ASSERT_EQUAL(rig.event_cnt, 33);
}

/* A Certificate message of 2000 bytes, of which the segment holds the first. */
static void
certificate_begins(uint16_t port)
{
	uint8_t p[100] = {
		22, 3, 3, 0x07, 0xd4, 11, 0, 0x07, 0xd0, 0, 0x07, 0xcd, 0, 0x07, 0xca, 0x30};

	hello(port);
	rig_tcp(&rig, port, false, ACK, 501, 151, server_hello, sizeof(server_hello));
	rig_tcp(&rig, port, false, ACK, 548, 151, p, sizeof(p));
}

static void
test_no_chain_room(void)
{
	rig_defaults(&rig);
	rig.cfg.chain_max = 1;
	begin(true);
	certificate_begins(1);
	certificate_begins(2);
	CU_ASSERT_EQUAL(rig_stat(&rig, PSI_STAT_chain_truncated), 1);
	CU_ASSERT_EQUAL(rte_mempool_avail_count(rig_pool), RIG_MBUFS - 1);
	end();
	CU_ASSERT_EQUAL(rig.event_cnt, 2);
}

/* However many certificates are on their way, the mbufs that they hold are bounded. */
static void
test_chain_segs(void)
{
	uint8_t more[20] = {1, 2, 3};

	rig_defaults(&rig);
	rig.cfg.chain_seg_max = 10;
	begin(true);
	for (uint16_t port = 1; port <= 4; port++) {
		certificate_begins(port);
		for (uint32_t i = 0; i < 5; i++)
			rig_tcp(&rig, port, false, ACK, 648 + i * 20, 151, more, sizeof(more));
	}
	CU_ASSERT_EQUAL(rte_mempool_avail_count(rig_pool), RIG_MBUFS - 10);
	end();
	CU_ASSERT_EQUAL(rig.sum[PSI_STAT_chain_truncated], 3);
}

static void
test_early_full(void)
{
	rig_defaults(&rig);
	rig.cfg.stream.early_max = 4;
	begin(true);
	rig_tcp(&rig, 1, true, SYN, 100, 0, NULL, 0);
	for (uint32_t i = 1; i < 20; i++)
		rig_tcp(&rig, 1, true, ACK, 101 + i * 10, 501, http, 8);
	CU_ASSERT_EQUAL(rte_mempool_avail_count(rig_pool), RIG_MBUFS - 4);
	end();
}

/* Where nobody can make room, records and chains are dropped, counted, and hold no mbuf. */
static void
test_queue_full(void)
{
	uint8_t cert[18] = {22, 3, 3, 0, 13, 11, 0, 0, 9, 0, 0, 6, 0, 0, 3, 0x30, 1, 0};

	rig_defaults(&rig);
	rig.cfg.handshake_max = 256;
	begin(false);
	for (uint16_t port = 1; port <= 200; port++) {
		hello(port);
		rig_tcp(&rig, port, false, ACK, 501, 151, server_hello, sizeof(server_hello));
		cert[17] = (uint8_t)port; /* each another chain */
		rig_tcp(&rig, port, false, ACK, 548, 151, cert, sizeof(cert));
		rig_tcp(&rig, port, true, ACK, 151, 566, unknown_ca, sizeof(unknown_ca));
		rig_tcp(&rig, port, true, RST, 158, 0, NULL, 0);
	}
	end();
	CU_ASSERT(rig.sum[PSI_STAT_rec_drop_full] > 0);
	CU_ASSERT_EQUAL(rig.sum[PSI_STAT_chain_drop_full] + rig.sum[PSI_STAT_chain_sent], 200);
	CU_ASSERT(rig.sum[PSI_STAT_chain_drop_full] > 0);
}

/* ---- life of a connection ---- */

/* What comes behind a reset may show that the flow was never TLS. */
static void
test_other_behind_close(void)
{
	for (int report = 0; report < 2; report++) {
		rig_defaults(&rig);
		rig.cfg.report_other = report;
		begin(true);
		for (uint16_t port = 1; port <= 3; port++) {
			rig_tcp(&rig, port, true, SYN, 100, 0, NULL, 0);
			rig_tcp(&rig, port, true, RST, 101, 0, NULL, 0);
			rig_tcp(&rig, port, true, ACK, 101, 501, http, sizeof(http) - 1);
		}
		CU_ASSERT_EQUAL(rig_stat(&rig, PSI_STAT_flow_not_tls), 3);
		rig.now_ns += 5000000000;
		refused(9);
		end();
		CU_ASSERT_EQUAL(rig.sum[PSI_STAT_flow_closed_rst], 4);
		CU_ASSERT_EQUAL(rig.event_cnt, report ? 4 : 1);
	}
}

/* A stream that shows only at its end, when the hole before it is given up, that it is TLS. */
static void
test_tls_at_the_end(void)
{
	rig_defaults(&rig);
	begin(true);
	rig_tcp(&rig, 1, true, SYN, 100, 0, NULL, 0);
	rig_tcp(&rig, 1, true, ACK, 201, 0, client_hello, sizeof(client_hello));
	end();
	CU_ASSERT_EQUAL(rig.sum[PSI_STAT_flow_tls], 1);
	CU_ASSERT_EQUAL(rig.event_cnt, 1);
}

/* Packets without a time stamp (pcapng's simple packet blocks): an end is an end at time 0, too. */
static void
test_no_time(void)
{
	rig_defaults(&rig);
	rig.now_ns = 0;
	begin(true);
	refused(1);
	hello(2);
	rig_tcp(&rig, 2, true, FIN | ACK, 151, 501, NULL, 0);
	rig_tcp(&rig, 2, false, FIN | ACK, 501, 152, NULL, 0);
	end();
	CU_ASSERT_EQUAL_FATAL(rig.event_cnt, 2);
	CU_ASSERT_EQUAL(rig.event[0].class, PSI_CLASS_UNKNOWN_CA);
	CU_ASSERT_EQUAL(rig.event[0].rst, 1);
	CU_ASSERT_STRING_EQUAL(rig.event[1].why, "fin");
	CU_ASSERT_EQUAL(rig.sum[PSI_STAT_flow_closed_fin], 1);
}

/* Ports used again soon after an end: the event says how the connection ended, as the ledger does. */
static void
test_reused_after_close(void)
{
	rig_defaults(&rig);
	begin(true);
	refused(1);
	rig_tcp(&rig, 1, true, SYN, 70000, 0, NULL, 0);
	CU_ASSERT_EQUAL(rig_stat(&rig, PSI_STAT_flow_closed_rst), 1);
	end();
	CU_ASSERT_STRING_EQUAL(only_event()->why, "rst");
}

/* Time that goes back, between connections and within one. */
static void
test_time_back(void)
{
	rig_defaults(&rig);
	begin(true);
	rig.now_ns = 2000000000000000000;
	refused(1);
	rig.now_ns = 1000000000000000000;
	refused(2);
	hello(3);
	rig.now_ns = 0;
	rig_tcp(&rig, 3, true, RST, 151, 0, NULL, 0);
	end();
	CU_ASSERT_EQUAL(rig.event_cnt, 3);
	CU_ASSERT_EQUAL(rig.sum[PSI_STAT_flow_closed_rst], 3);
}

/* Events come in the order in which flows ended. */
static void
test_order(void)
{
	rig_defaults(&rig);
	begin(true);
	for (uint16_t port = 1; port <= 5; port++)
		hello(port);
	for (uint16_t port = 5; port >= 2; port--)
		rig_tcp(&rig, port, true, RST, 151, 0, NULL, 0);
	end();
	CU_ASSERT_EQUAL_FATAL(rig.event_cnt, 5);
	for (unsigned int i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(rig.event[i].flow_id, 5 - i);
	CU_ASSERT_EQUAL(rig.event[4].flow_id, 1);
}

/* The end of a flow whose handshake record was lost: not a flow without TLS, but one that the engine lost sight of. */
static void
test_end_alone(void)
{
	struct psi_rec *r;

	rig_defaults(&rig);
	begin(true);
	r = psi_handoff_reserve(&rig.queue, PSI_REC_MAX);
	memset(r, 0xff, PSI_REC_MAX); /* nothing behind an end's own bytes is read */
	memset(r, 0, PSI_REC_END_LEN);
	r->len = PSI_REC_END_LEN;
	r->kind = PSI_REC_END;
	r->why = PSI_WHY_FIN;
	r->flow_id = 77;
	r->flags = PSI_FLAG_VALID;
	r->pkts[0] = r->pkts[1] = 9;
	psi_handoff_commit(&rig.queue, PSI_HANDOFF_FLOW, r->len);
	psi_stat_inc(psi_worker_stats(rig.worker), PSI_STAT_rec_made);
	end();
	CU_ASSERT_EQUAL(only_event()->class, PSI_CLASS_INCOMPLETE);
	CU_ASSERT_STRING_EQUAL(only_event()->err, "FULL");
}

/* ---- certificates ---- */

static void
send_chain(const uint8_t *body, uint32_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(rig_pool);
	struct psi_handoff_chain *c =
		psi_handoff_reserve(&rig.queue, sizeof(*c) + sizeof(c->seg[0]));

	memset(c, 0, sizeof(*c));
	c->key[0] = c->key[1] = body[len - 1] + 1u;
	c->len = len;
	c->seg_cnt = 1;
	c->seg[0].p = memcpy(rte_pktmbuf_mtod(m, uint8_t *), body, len);
	c->seg[0].ref = m;
	c->seg[0].len = len;
	psi_handoff_commit(&rig.queue, PSI_HANDOFF_CHAIN, sizeof(*c) + sizeof(c->seg[0]));
	rig_poll(&rig);
}

/* A certificate that claims to be longer than the message it stands in, and is broken before that shows. */
static void
test_lying_chain(void)
{
	static const uint8_t malformed[] = {0, 0, 12, 0xff, 0xff, 0xff, 0x05, 0x00, 1, 1, 1, 1, 1,
		1, 1},
			     empty[] = {
				     0, 0, 12, 0xff, 0xff, 0xff, 0x30, 0x00, 1, 1, 1, 1, 1, 1, 2};

	rig_defaults(&rig);
	begin(true);
	send_chain(malformed, sizeof(malformed));
	send_chain(empty, sizeof(empty));
	end();
	CU_ASSERT(rig.sum[PSI_STAT_cert_malformed] > 0);
}

/* An SSLv2 SERVER-HELLO (draft-hickman-netscape-ssl-00 section 2.7) carries its certificate bare: the list around it
 * is ours, and must still be there when the collector reads it. */
static void
test_v2_chain(void)
{
	static const uint8_t ch[] = {0x80, 28, 1, 0, 2, 0, 3, 0, 0, 0, 16, 1, 0, 0x80, 1, 2, 3, 4,
		5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
	/* A certificate with the subject CN=v2 and nothing behind it. */
	static const uint8_t cert[] = {0x30, 46, 0x30, 44, 0x02, 1, 1, 0x30, 0, 0x30, 0, 0x30, 30,
		0x17, 13, '2', '6', '0', '1', '0', '1', '0', '0', '0', '0', '0', '0', 'Z', 0x17, 13,
		'2', '7', '0', '1', '0', '1', '0', '0', '0', '0', '0', '0', 'Z', 0x30, 0, 0, 0, 0};
	uint8_t sh[128] = {0x80, 0, 4, 0, 1, 0, 2, 0, sizeof(cert), 0, 3, 0, 16};
	uint32_t len = 13 + sizeof(cert) + 3 + 16;
	uint64_t sent;

	memcpy(sh + 13, cert, sizeof(cert));
	sh[1] = (uint8_t)(len - 2);
	sh[13 + sizeof(cert)] = 1;
	sh[13 + sizeof(cert) + 2] = 0x80;
	rig_defaults(&rig);
	begin(false);
	for (uint16_t port = 1; port <= 2; port++) {
		rig_tcp(&rig, port, true, SYN, 100, 0, NULL, 0);
		rig_tcp(&rig, port, false, SYN | ACK, 500, 101, NULL, 0);
		rig_tcp(&rig, port, true, ACK, 101, 501, ch, sizeof(ch));
		rig_tcp(&rig, port, false, ACK, 501, 131, sh, len);
	}
	sent = rig_stat(&rig, PSI_STAT_chain_sent);
	end();
	CU_ASSERT_EQUAL(sent, 1);
	CU_ASSERT_EQUAL(rig.sum[PSI_STAT_cert_parsed] + rig.sum[PSI_STAT_cert_malformed], 1);
	CU_ASSERT_EQUAL(rig.event_cnt, 2);
}

static CU_TestInfo tests[] = {
	{"a SYN flood leaves a live handshake alone", test_syn_flood},
	{"the table's memory taken at once", test_touch},
	{"a SYN without room leaves nothing", test_syn_without_room},
	{"without room for a handshake the flow is told all the same", test_no_handshake_room},
	{"room that comes back in mid-handshake is not used", test_handshake_room_later},
	{"without room for a connection", test_no_conn_room},
	{"a full flow table", test_table_full},
	{"without room for a chain", test_no_chain_room},
	{"mbufs held for chains are bounded", test_chain_segs},
	{"without room for early segments", test_early_full},
	{"a full queue", test_queue_full},
	{"data behind the end that is not TLS", test_other_behind_close},
	{"TLS that shows only at the end", test_tls_at_the_end},
	{"no time stamps", test_no_time},
	{"ports used again", test_reused_after_close},
	{"time going back", test_time_back},
	{"events in the order of ends", test_order},
	{"an end without its handshake", test_end_alone},
	{"a chain that lies about lengths", test_lying_chain},
	{"a chain of SSLv2", test_v2_chain},
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo psi_unit_suites[] = {
	{.pName = "worker", .pInitFunc = suite_init, .pCleanupFunc = suite_fini, .pTests = tests},
	CU_SUITE_INFO_NULL,
};
