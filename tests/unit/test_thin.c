/* SPDX-License-Identifier: BSD-3-Clause */
/* Established flows that are kept in their entry only, against a worker in which each of them stays a connection: the
 * same traffic, with everything that a network does to it, must make the same records. */
#include "psi_unit.h"

#include "worker_pvt.h"
#include "worker_rig.h"

enum { FLOWS = 24, STREAM = 200000, STEPS = 60000, RECORDS = 8192 };

static struct rig rig[2]; /* 0: as it is; 1: its twin, in which nothing is made thin */
static uint8_t stream[STREAM];
static struct psi_rec end_rec[2][RECORDS];
static uint32_t end_cnt[2];
static uint64_t rng;

static const uint8_t client_hello[] = {
	22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 3, [43] = 0, 0, 2, 0xc0, 0x2f, 1, 0};
static const uint8_t server_hello[] = {22, 3, 3, 0, 42, 2, 0, 0, 38, 3, 3, [43] = 0, 0xc0, 0x2f, 0};
/* ChangeCipherSpec, Finished (RFC 5246 section 7.1, RFC 5288: 16 bytes, nonce of 8, tag of 16). */
static const uint8_t finished[] = {20, 3, 3, 0, 1, 1, 22, 3, 3, 0, 40, [50] = 0};

/* One side of a connection: what it has sent, from `first` on; `lost` bytes of it went by unseen. */
struct side {
	uint32_t first, sent, acked;
};

static struct flow {
	struct side side[2];
	uint16_t port;
	bool fin[2];
} flow[FLOWS];
static uint16_t next_port;

static uint32_t
rnd(uint32_t n)
{
	rng = rng * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(rng >> 33) % n;
}

static int
suite_init(void)
{
	uint32_t at = 0;

	/* Records as both sides send them: data, of all lengths, and few that are no data. */
	rng = 4711;
	while (at + 5 < STREAM) {
		uint32_t len = rnd(4) ? rnd(300) : rnd(9000), kind = rnd(500);

		stream[at] = kind == 0 ? 21 : kind == 1 ? 22 : 23;
		stream[at + 1] = stream[at + 2] = 3;
		stream[at + 3] = (uint8_t)(len >> 8);
		stream[at + 4] = (uint8_t)len;
		at += 5 + len;
	}
	return !rig_eal();
}

static int
suite_fini(void)
{
	return rte_eal_cleanup();
}

static void
take(unsigned int r)
{
	enum psi_handoff_type type;
	uint32_t len;
	struct psi_rec *rec;

	while ((rec = psi_handoff_peek(&rig[r].queue, &type, &len))) {
		CU_ASSERT_EQUAL_FATAL(type, PSI_HANDOFF_FLOW);
		if (rec->kind == PSI_REC_END && end_cnt[r] < RECORDS)
			memcpy(&end_rec[r][end_cnt[r]++], rec, PSI_REC_END_LEN);
		psi_stat_inc(psi_collector_stats(rig[r].collector), PSI_STAT_rec_taken);
		psi_handoff_consume(&rig[r].queue);
	}
}

static void
both(const struct flow *f, bool client, uint8_t flags, uint32_t seq, uint32_t ack, const void *p,
	uint32_t len)
{
	for (unsigned int r = 0; r < 2; r++) {
		rig_tcp(&rig[r], f->port, client, flags, seq, ack, p, len);
		rig[r].now_ns -= 1000000;
		take(r);
	}
}

static void
pass(uint64_t ns)
{
	rig[0].now_ns += ns;
	rig[1].now_ns += ns;
}

static uint32_t
seq_of(const struct flow *f, unsigned int side, uint32_t at)
{
	return f->side[side].first + at;
}

/* len bytes of a side's stream from at on. */
static void
send(struct flow *f, unsigned int side, uint32_t at, uint32_t len, uint8_t flags)
{
	both(f, side == 0, ACK | flags, seq_of(f, side, at), seq_of(f, !side, f->side[!side].acked),
		stream + at, len);
}

static void
begin(struct flow *f)
{
	uint32_t c = rnd(UINT32_MAX), s = rnd(UINT32_MAX);

	*f = (struct flow){.port = ++next_port};
	both(f, true, SYN, c - 1, 0, NULL, 0);
	both(f, false, SYN | ACK, s - 1, c, NULL, 0);
	both(f, true, ACK, c, s, client_hello, sizeof(client_hello));
	c += sizeof(client_hello);
	both(f, false, ACK, s, c, server_hello, sizeof(server_hello));
	s += sizeof(server_hello);
	both(f, false, ACK, s, c, finished, sizeof(finished));
	s += sizeof(finished);
	both(f, true, ACK, c, s, finished, sizeof(finished));
	f->side[0].first = c + sizeof(finished);
	f->side[1].first = s;
}

static void
finish(struct flow *f, unsigned int how)
{
	unsigned int side = how & 1;

	if (how & 2) {
		send(f, side, f->side[side].sent, 0, FIN);
		f->fin[side] = true;
		if (!f->fin[!side])
			return;
	} else {
		both(f, side == 0, RST, seq_of(f, side, f->side[side].sent), 0, NULL, 0);
	}
	begin(f);
}

/* One thing that happens to a flow. */
static void
step(struct flow *f)
{
	unsigned int side = rnd(2), what = rnd(100);
	struct side *s = &f->side[side];
	uint32_t len = rnd(3) ? 1 + rnd(1400) : 1 + rnd(20), a, b;

	if (s->sent + 4000 > STREAM) {
		finish(f, rnd(4));
		return;
	}
	if (f->fin[side])
		return;
	a = s->sent;
	if (what < 60) {
		s->sent += len;
		s->acked = rnd(2) ? s->sent : s->acked;
		send(f, side, a, len, 0);
	} else if (what < 75) { /* the other side acknowledges */
		s->acked = s->sent;
		send(f, !side, f->side[!side].sent, 0, 0);
	} else if (what < 80) { /* sent again */
		b = PSI_MIN(a, len);
		send(f, side, a - b, b, 0);
	} else if (what < 86) { /* two change places */
		s->sent += 2 * len;
		send(f, side, a + len, len, 0);
		send(f, side, a, len, 0);
	} else if (what < 88) { /* one is lost; the next comes, and in time it is acknowledged */
		s->sent += 2 * len;
		send(f, side, a + len, len, 0);
	} else if (what < 89) { /* a SYN, late */
		both(f, true, SYN,
			f->side[0].first - 1 - (uint32_t)(sizeof(client_hello) + sizeof(finished)),
			0, NULL, 0);
	} else if (what < 90) {
		finish(f, rnd(4));
	}
}

/* Flows that are kept in their entry alone, and beside it. */
static void
count_kinds(uint64_t *lean, uint64_t *thin)
{
	for (uint32_t i = 0; i < psi_flow_slots(rig[0].worker->flows); i++) {
		const struct psi_flow *f = psi_flow_at(rig[0].worker->flows, i);

		if (f && f->flags & FLOW_THIN)
			++*(f->flags & PSI_FLOW_LEAN ? lean : thin);
	}
}

static void
test_twin(void)
{
	uint64_t asleep = 0, lean = 0, thin = 0;

	for (unsigned int r = 0; r < 2; r++) {
		rig_defaults(&rig[r]);
		rig[r].cfg.flow.max = 65536;
		rig[r].cfg.conn_max = 4096;
		rig[r].cfg.stream.early_max = 4000;
		rig[r].cfg.id = 3;
		rig[r].mixed = true; /* an IPv4 flow is kept otherwise than an IPv6 one */
		CU_ASSERT_FATAL(rig_open(&rig[r], false));
		end_cnt[r] = 0;
	}
	rig[1].worker->awake = true;
	rng = 42;
	for (unsigned int i = 0; i < FLOWS; i++)
		begin(&flow[i]);
	for (unsigned int n = 0; n < STEPS; n++) {
		step(&flow[rnd(FLOWS)]);
		pass(rnd(10) ? 0 : rnd(3000) * 1000u);
		asleep += rig[1].worker->conns.used - rig[0].worker->conns.used;
	}
	count_kinds(&lean, &thin);
	CU_ASSERT(lean > 0 && thin > 0);
	/* The ends of some flows are told by idleness, of the others by the stop. */
	pass(400000000000);
	for (unsigned int i = 0; i < FLOWS / 2; i++)
		send(&flow[i], 1, flow[i].side[1].sent, 0, 0);
	pass(400000000000);
	for (unsigned int r = 0; r < 2; r++) {
		psi_worker_idle(rig[r].worker, rig[r].now_ns);
		take(r);
		psi_worker_stop(rig[r].worker);
		take(r);
	}
	CU_ASSERT(asleep > (uint64_t)STEPS * FLOWS / 4);
	CU_ASSERT_EQUAL_FATAL(end_cnt[0], end_cnt[1]);
	CU_ASSERT(end_cnt[0] > FLOWS && end_cnt[0] < RECORDS);
	for (uint32_t i = 0; i < end_cnt[0]; i++) {
		CU_ASSERT(end_rec[0][i].start_ns <= end_rec[1][i].start_ns);
		CU_ASSERT(end_rec[1][i].start_ns - end_rec[0][i].start_ns < 1000000000);
		end_rec[0][i].start_ns = end_rec[1][i].start_ns;
		CU_ASSERT_EQUAL(memcmp(&end_rec[0][i], &end_rec[1][i], PSI_REC_END_LEN), 0);
	}
	for (unsigned int r = 0; r < 2; r++)
		CU_ASSERT(rig_close(&rig[r]));
}

static void
open_small(uint32_t conn_max)
{
	for (unsigned int r = 0; r < 2; r++) {
		rig_defaults(&rig[r]);
		rig[r].cfg.conn_max = conn_max;
		CU_ASSERT_FATAL(rig_open(&rig[r], false));
		end_cnt[r] = 0;
	}
}

static void
close_both(void)
{
	for (unsigned int r = 0; r < 2; r++) {
		psi_worker_stop(rig[r].worker);
		take(r);
		CU_ASSERT(rig_close(&rig[r]));
	}
}

/* An established flow has no connection; one is taken for as long as a hole is waited for. */
static void
test_pool(void)
{
	struct flow *f = &flow[0];

	open_small(64);
	begin(f);
	CU_ASSERT_EQUAL(rig[0].worker->conns.used, 1);
	send(f, 0, 0, 1400, 0);
	send(f, 1, 0, 1400, 0);
	CU_ASSERT_EQUAL(rig[0].worker->conns.used, 0);
	send(f, 1, 14000, 1400, 0); /* no record is that long: its header is in the hole */
	CU_ASSERT_EQUAL(rig[0].worker->conns.used, 1);
	for (uint32_t at = 1400; at < 14000; at += 1400)
		send(f, 1, at, 1400, 0);
	CU_ASSERT_EQUAL(rig[0].worker->conns.used, 0);
	both(f, true, RST, seq_of(f, 0, 1400), 0, NULL, 0);
	CU_ASSERT_EQUAL(rig[0].worker->conns.used, 1);
	close_both();
	CU_ASSERT_EQUAL_FATAL(end_cnt[0], 1);
	CU_ASSERT_EQUAL(end_rec[0][0].why, PSI_WHY_RST);
	CU_ASSERT_EQUAL(end_rec[0][0].pkts[PSI_S2C], 14); /* SYN, two of the handshake, data */
	CU_ASSERT_EQUAL(end_rec[0][0].bytes[PSI_S2C],
		14 * 40 + sizeof(server_hello) + sizeof(finished) + 11 * 1400);
}

/* Nothing to be taken: packets are counted, nothing more is read, and FIN or RST end the flow at once. */
static void
test_no_room(void)
{
	struct flow *f = &flow[0], *other = &flow[1];

	open_small(1);
	for (unsigned int reset = 0; reset < 2; reset++) {
		begin(f);
		send(f, 0, 0, 1400, 0);
		send(f, 1, 0, 1400, 0);
		CU_ASSERT_EQUAL(rig[0].worker->conns.used, 0);
		*other = (struct flow){.port = ++next_port};
		both(other, true, ACK, 1, 1, client_hello, sizeof(client_hello));
		CU_ASSERT_EQUAL(rig[0].worker->conns.used, 1);
		send(f, 1, 2800, 1000, 0);
		both(f, true, RST, seq_of(f, 0, 100000000), 0, NULL,
			0); /* nobody would believe it */
		CU_ASSERT_EQUAL(end_cnt[0], reset);
		both(f, true, reset ? RST : FIN | ACK, seq_of(f, 0, 1400), seq_of(f, 1, 3800), NULL,
			0);
		CU_ASSERT_EQUAL_FATAL(end_cnt[0], reset + 1);
		CU_ASSERT_EQUAL(end_rec[0][reset].why, reset ? PSI_WHY_RST : PSI_WHY_FIN);
		/* A SYN gets no connection of so small a pool, so the two are not counted. */
		CU_ASSERT_EQUAL(end_rec[0][reset].pkts[PSI_C2S], 5);
		CU_ASSERT_EQUAL(end_rec[0][reset].bytes[PSI_S2C],
			4 * 40 + sizeof(server_hello) + sizeof(finished) + 2400);
		both(other, true, RST, 51, 0, NULL, 0);
		pass(5000000000);
		psi_worker_idle(rig[0].worker, rig[0].now_ns);
		psi_worker_idle(rig[1].worker, rig[1].now_ns);
		take(0);
		take(1);
		CU_ASSERT_EQUAL(rig[0].worker->conns.used, 0);
	}
	CU_ASSERT_EQUAL(rig_stat(&rig[0], PSI_STAT_pkt_no_conn_room), 6);
	close_both();
}

static CU_TestInfo tests[] = {
	{"a connection only when needed", test_pool},
	{"no room to wake up", test_no_room},
	{"against a worker without thin flows", test_twin},
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo psi_unit_suites[] = {
	{.pName = "thin", .pInitFunc = suite_init, .pCleanupFunc = suite_fini, .pTests = tests},
	CU_SUITE_INFO_NULL,
};
