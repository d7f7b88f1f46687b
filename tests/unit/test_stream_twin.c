/* SPDX-License-Identifier: BSD-3-Clause */
/* Known streams are cut, repeated, overlapped, changed, lost and put out of order, and what comes out is compared with
 * what must come out: first with the plain rule "the first copy of a byte that arrives wins", which needs no
 * reassembler at all; then, under every kind of bound, with the slow twin of tests/ref. */
#include "psi_unit.h"

#include "../ref/stream_pair.h"

enum { SEGS = 200, STREAM_MAX = 600, PUSH_MAX = 90 };

static uint32_t rand_state;

static uint32_t
rnd(uint32_t below)
{
	rand_state ^= rand_state << 13; /* xorshift32 (Marsaglia, 2003) */
	rand_state ^= rand_state >> 17;
	rand_state ^= rand_state << 5;
	return (uint32_t)((uint64_t)rand_state * below >> 32);
}

/* What happens to a stream on its way. */
static struct {
	uint8_t bytes[STREAM_MAX];
	uint32_t len;
	struct twin_seg seg[SEGS];
	uint8_t copy[SEGS][PUSH_MAX];
	uint32_t cnt;
} wire;

static void
add_seg(uint32_t off, uint32_t len, bool changed)
{
	struct twin_seg *s;

	if (wire.cnt == SEGS)
		return;
	s = &wire.seg[wire.cnt];
	*s = (struct twin_seg){off, len, wire.copy[wire.cnt], 0, 0};
	memcpy(wire.copy[wire.cnt], wire.bytes + off, len);
	if (changed)
		wire.copy[wire.cnt][rnd(len)] ^= (uint8_t)(1 + rnd(255));
	wire.cnt++;
}

static void
swap(struct twin_seg *a, struct twin_seg *b)
{
	struct twin_seg t = *a;

	*a = *b;
	*b = t;
}

/* Cuts a random stream into segments; of a hundred so many are lost, sent twice, changed in the second copy or
 * displaced, each by up to `far` places. */
static void
make_wire(uint32_t lost, uint32_t again, uint32_t changed, uint32_t displaced, uint32_t far)
{
	uint32_t big = rnd(2) ? PUSH_MAX : 8;

	wire.len = 1 + rnd(STREAM_MAX);
	wire.cnt = 0;
	for (uint32_t i = 0; i < wire.len; i++)
		wire.bytes[i] = (uint8_t)rnd(40);
	for (uint32_t off = 0, len; off < wire.len; off += len) {
		len = 1 + rnd(big);
		len = PSI_MIN(len, wire.len - off);
		if (rnd(100) >= lost)
			add_seg(off, len, false);
		while (rnd(100) < again) {
			uint32_t from = rnd(off + len);

			add_seg(from, 1 + rnd(PSI_MIN(wire.len - from, PUSH_MAX)),
				rnd(100) < changed);
		}
	}
	for (uint32_t i = 0; i < wire.cnt; i++) {
		uint32_t to = i + rnd(far + 1);

		if (rnd(100) < displaced && to < wire.cnt)
			swap(&wire.seg[i], &wire.seg[to]);
	}
	for (uint32_t i = 0; i < wire.cnt; i++)
		wire.seg[i].ref = (int)i;
}

/* No bound is reached and the sink takes everything. Truth: cells filled by the first segment to arrive. */
static void
test_first_copy_wins(void)
{
	static struct pair a;
	struct psi_stream_config cfg = {SEGS * 8, SEGS * 8, 1 << 20, 1000};
	unsigned int gaps = 0, conflicts = 0;

	rand_state = 20260101;
	for (unsigned int round = 0; round < 3000; round++) {
		uint32_t truth[STREAM_MAX], expected[STREAM_MAX], n = 0, top = 0;

		make_wire(round % 3 * 5, round % 5 * 10, 50, round % 7 * 15, 1 + round % 11);
		memset(truth, 0xff, sizeof(truth));
		CU_ASSERT_FATAL(pair_open(&a, &cfg,
			rnd(2) ? rnd(UINT32_MAX) : (uint32_t)-1 - rnd(STREAM_MAX), false));
		for (uint32_t i = 0; i < wire.cnt; i++) {
			const struct twin_seg *s = &wire.seg[i];

			for (uint32_t o = s->off; o < s->off + s->len; o++)
				if (truth[o] == UINT32_MAX)
					truth[o] = i << 8 | s->bytes[o - s->off];
			top = PSI_MAX(top, s->off + s->len);
			pair_push(&a, 0, s);
		}
		pair_flush(&a, 0);
		for (uint32_t o = 0; o < top; o++) {
			if (truth[o] != UINT32_MAX)
				expected[n++] = truth[o];
			else if (n && o && truth[o - 1] == UINT32_MAX)
				expected[n - 1]++;
			else
				expected[n++] = 0x80000001;
		}
		CU_ASSERT_EQUAL(a.fast[0].cnt, n);
		CU_ASSERT_EQUAL(memcmp(a.fast[0].log, expected, n * sizeof(expected[0])), 0);
		gaps += a.s.side[0].gap_cnt;
		conflicts += (a.s.side[0].note & PSI_STREAM_CONFLICT) != 0;
		CU_ASSERT(pair_close(&a));
	}
	CU_ASSERT(gaps > 1000 && conflicts > 300); /* the rounds were not idle */
}

/* Both sides, every bound, acknowledgments, missing bytes, a sink that skips, time that passes. */
static void
one_round(struct pair *a, unsigned int round)
{
	uint32_t acked[2] = {0, 0};
	uint64_t ts = rnd(2) ? 0 : 1700000000000000000u;
	const char *differs = NULL;

	for (uint32_t i = 0; i < wire.cnt && !differs; i++) {
		struct twin_seg s = wire.seg[i];
		unsigned int side = rnd(8) == 0;

		ts += rnd(20) ? rnd(30) * 1000000u : rnd(3000) * 1000000u;
		s.ts = rnd(30) ? ts : ts - PSI_MIN(ts, 500000000u);
		if (!rnd(25))
			s.bytes = NULL;
		pair_push(a, side, &s);
		if (!rnd(3)) {
			uint32_t ack = rnd(s.off + s.len + 1);

			acked[side] = PSI_MAX(acked[side], ack);
			pair_ack(a, side, acked[side]);
		}
		if (!rnd(5)) {
			psi_stream_tick(a->pool, &a->s, ts, a);
			pair_tick(a, ts);
		}
		differs = pair_differs(a);
	}
	if (!differs) {
		pair_flush(a, ts);
		differs = pair_differs(a);
	}
	CU_ASSERT_PTR_NULL(differs);
	if (differs)
		fprintf(stderr, "\nround %u: %s\n", round, differs);
}

static void
test_against_twin(void)
{
	static struct pair a;
	uint64_t full = 0, gaps = 0, conflicts = 0;

	rand_state = 20260202;
	for (unsigned int round = 0; round < 4000; round++) {
		struct psi_stream_config cfg = {rnd(2) ? 1 + rnd(12) : 400,
			(uint16_t)(rnd(2) ? rnd(12) : 400), rnd(2) ? rnd(400) : 100000,
			1 + rnd(800)};

		make_wire(round % 4 * 5, round % 5 * 10, 50, round % 7 * 15, 1 + round % 11);
		CU_ASSERT_FATAL(pair_open(&a, &cfg, rnd(UINT32_MAX), round % 3 == 0));
		one_round(&a, round);
		full += psi_stat_get(&a.stats, PSI_STAT_seg_early_full);
		gaps += psi_stat_get(&a.stats, PSI_STAT_stream_gap);
		conflicts += psi_stat_get(&a.stats, PSI_STAT_seg_conflict);
		CU_ASSERT(pair_close(&a));
	}
	CU_ASSERT(full > 1000 && gaps > 1000 && conflicts > 300); /* the rounds were not idle */
}

static CU_TestInfo twin_tests[] = {
	{"the first copy of a byte wins", test_first_copy_wins},
	{"the same as the slow twin, whatever happens", test_against_twin},
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo psi_unit_suites[] = {
	{.pName = "stream against known streams", .pTests = twin_tests},
	CU_SUITE_INFO_NULL,
};
