/* SPDX-License-Identifier: BSD-3-Clause */
/* What comes out of a stream is written down as text: bytes as they are, '_' for each lost one, '.' for each one that
 * the sink said it does not need. Expected texts were worked out by hand from the segments, under "the first copy
 * wins". Property tests against a slow twin are in test_stream_twin.c. */
#include "psi_unit.h"

#include "psi_stream.h"

#include <stdio.h>

#define ISN	999 /* the first byte is 1000 */
#define MS	1000000ull
#define WAIT_MS 100

static struct psi_stats stats;
static struct psi_stream s;
static struct psi_stream_pool *pool;
static uint64_t now_ns;
static int holds; /* hold minus release */

/* What the sink got. */
static struct {
	char text[2][4096];
	uint32_t len[2];
	uint32_t skip_at, skip; /* answered once, when text of side 0 has grown to skip_at */
	void *last_ref;
	uint64_t last_ts;
	unsigned int gaps;
} got;

static void
put(unsigned int side, const void *p, int fill, uint32_t len)
{
	if (len > sizeof(got.text[0]) - 1 - got.len[side])
		len = (uint32_t)sizeof(got.text[0]) - 1 - got.len[side];
	if (p)
		memcpy(got.text[side] + got.len[side], p, len);
	else
		memset(got.text[side] + got.len[side], fill, len);
	got.len[side] += len;
}

static uint32_t
answer(unsigned int side)
{
	uint32_t skip = got.skip;

	if (!skip || side || got.len[0] < got.skip_at)
		return 0;
	got.skip = 0;
	put(side, NULL, '.', skip);
	return skip;
}

static uint32_t
on_data(void *ctx, unsigned int side, const uint8_t *p, uint32_t len, void *ref, uint64_t ts_ns)
{
	CU_ASSERT(len > 0);
	CU_ASSERT_PTR_EQUAL(ctx, &got);
	put(side, p, 0, len);
	got.last_ref = ref;
	got.last_ts = ts_ns;
	return answer(side);
}

static uint32_t
on_gap(void *ctx, unsigned int side, uint32_t len, uint64_t ts_ns)
{
	CU_ASSERT(len > 0);
	got.gaps++;
	put(side, NULL, '_', len);
	return answer(side);
}

static void
on_hold(void *ref)
{
	holds++;
}

static void
on_release(void *ref)
{
	holds--;
}

static const struct psi_stream_ops ops = {on_data, on_gap, on_hold, on_release};

static void
fresh_pool(uint32_t early_max, uint16_t flow_max, uint32_t flow_bytes)
{
	struct psi_stream_config cfg = {early_max, flow_max, flow_bytes, WAIT_MS};

	free(pool);
	pool = aligned_alloc(64, (psi_stream_footprint(&cfg) + 63) / 64 * 64);
	CU_ASSERT_PTR_NOT_NULL_FATAL(pool);
	memset(pool, 0, psi_stream_footprint(&cfg));
	memset(&stats, 0, sizeof(stats));
	memset(&s, 0, sizeof(s));
	memset(&got, 0, sizeof(got));
	holds = 0;
	now_ns = 0;
	CU_ASSERT_PTR_EQUAL_FATAL(psi_stream_init(pool, &cfg, &ops, &stats), pool);
}

static void
fresh(void)
{
	fresh_pool(64, 32, 2048);
}

static bool
push_at(unsigned int side, uint32_t seq, const char *text)
{
	struct psi_seg seg = {(const uint8_t *)text, (uint32_t)strlen(text), seq,
		(void *)(uintptr_t)text, now_ns};

	return psi_stream_push(pool, &s, side, &seg, &got);
}

/* off: from the first byte of the stream */
static bool
push(unsigned int off, const char *text)
{
	return push_at(0, ISN + 1 + off, text);
}

static void
begin(void)
{
	fresh();
	CU_ASSERT(psi_stream_syn(&s, 0, ISN));
}

/* Checks what side 0 delivered, then that nothing stays held. */
static void
expect(const char *text)
{
	got.text[0][got.len[0]] = 0;
	CU_ASSERT_STRING_EQUAL(got.text[0], text);
	if (strcmp(got.text[0], text))
		fprintf(stderr, "\nwant %s\ngot  %s\n", text, got.text[0]);
}

static void
finish(const char *text)
{
	psi_stream_flush(pool, &s, now_ns, &got);
	expect(text);
	psi_stream_clear(pool, &s);
	CU_ASSERT_EQUAL(psi_stream_held(pool), 0);
	CU_ASSERT_EQUAL(holds, 0);
	CU_ASSERT_EQUAL(s.side[0].note, 0);
}

static uint64_t
stat(enum psi_stat c)
{
	return psi_stat_get(&stats, c);
}

static void
test_in_order(void)
{
	begin();
	CU_ASSERT(push(0, "abc"));
	CU_ASSERT(push(3, "def"));
	CU_ASSERT(!push(3, ""));
	CU_ASSERT_EQUAL(s.side[0].note, PSI_STREAM_SYN | PSI_STREAM_STARTED);
	finish("abcdef");
	CU_ASSERT_EQUAL(
		stat(PSI_STAT_seg_early) + stat(PSI_STAT_seg_retrans) + stat(PSI_STAT_stream_gap),
		0);
}

static void
test_early_held(void)
{
	static const char last[] = "ghi";

	begin();
	now_ns = 5 * MS;
	CU_ASSERT(push(6, last));
	now_ns = 6 * MS;
	CU_ASSERT(push(3, "def"));
	expect("");
	CU_ASSERT_EQUAL(psi_stream_held(pool), 2);
	CU_ASSERT_EQUAL(holds, 2);
	CU_ASSERT_EQUAL(s.side[0].early_bytes, 6);
	now_ns = 7 * MS;
	CU_ASSERT(push(0, "abc"));
	expect("abcdefghi");
	CU_ASSERT_PTR_EQUAL(
		got.last_ref, last); /* a held segment comes with its own reference and time */
	CU_ASSERT_EQUAL(got.last_ts, 5 * MS);
	CU_ASSERT_EQUAL(s.side[0].ooo, 2);
	CU_ASSERT_EQUAL(s.side[0].hole_ns, 0);
	CU_ASSERT_EQUAL(stat(PSI_STAT_seg_early), 2);
	CU_ASSERT_EQUAL(s.side[0].early_bytes, 0);
	finish("abcdefghi");
}

static void
test_sides_are_apart(void)
{
	begin();
	CU_ASSERT(psi_stream_syn(&s, 1, 7));
	push(0, "abc");
	CU_ASSERT(push_at(1, 8, "xyz"));
	got.text[1][got.len[1]] = 0;
	CU_ASSERT_STRING_EQUAL(got.text[1], "xyz");
	finish("abc");
}

static void
test_wrap(void)
{
	fresh();
	CU_ASSERT(psi_stream_syn(&s, 0, UINT32_MAX - 3));
	push_at(0, 2, "fgh");
	push_at(0, UINT32_MAX - 2, "abcde");
	push_at(0, UINT32_MAX - 2, "abc");
	CU_ASSERT_EQUAL(s.side[0].next, 5);
	CU_ASSERT_EQUAL(s.side[0].retrans, 1);
	psi_stream_fin(&s, 0, 5);
	CU_ASSERT(s.side[0].note & PSI_STREAM_FIN_DONE);
	finish("abcdefgh");
}

/* Each way in which a second segment can lie to the first (the relations of Shankar and Paxson, "Active Mapping",
 * 2003, and of Novak and Sturges, "Target-Based TCP Stream Reassembly", 2007). The first is held at [10,14) behind a
 * hole; the second has other bytes; then [0,10) arrives. What the first covered must be the first's. */
static const struct {
	const char *relation;
	unsigned int off;
	const char *second;
	const char *text;
	bool conflict;
} overlaps[] = {
	{"before, touching", 6, "6789", "0123456789AAAA", false},
	{"before, apart", 4, "4567", "0123456789AAAA", false},
	{"behind, touching", 14, "BBBB", "0123456789AAAABBBB", false},
	{"behind, apart", 16, "BBBB", "0123456789AAAA__BBBB", false},
	{"the same range", 10, "BBBB", "0123456789AAAA", true},
	{"the same range, same bytes", 10, "AAAA", "0123456789AAAA", false},
	{"same start, shorter", 10, "BB", "0123456789AAAA", true},
	{"same start, longer", 10, "BBBBBB", "0123456789AAAABB", true},
	{"same start, longer, same bytes", 10, "AAAABB", "0123456789AAAABB", false},
	{"same end, shorter", 12, "BB", "0123456789AAAA", true},
	{"same end, longer", 8, "89BBBB", "0123456789AAAA", true},
	{"inside", 11, "BB", "0123456789AAAA", true},
	{"around", 8, "89BBBBBB", "0123456789AAAABB", true},
	{"around, same bytes inside", 8, "89AAAABB", "0123456789AAAABB", false},
	{"over its start", 8, "89BB", "0123456789AAAA", true},
	{"over its start by one same byte", 8, "89A", "0123456789AAAA", false},
	{"over its end", 12, "BBBB", "0123456789AAAABB", true},
	{"over its end by one same byte", 13, "ABBB", "0123456789AAAABBB", false},
};

static void
test_overlap_held(void)
{
	for (unsigned int i = 0; i < PSI_COUNT(overlaps); i++) {
		begin();
		push(10, "AAAA");
		push(overlaps[i].off, overlaps[i].second);
		CU_ASSERT_EQUAL(!!(s.side[0].note & PSI_STREAM_CONFLICT), overlaps[i].conflict);
		CU_ASSERT_EQUAL(stat(PSI_STAT_seg_conflict), overlaps[i].conflict);
		push(0, "0123456789");
		CU_ASSERT_EQUAL(stat(PSI_STAT_seg_conflict), overlaps[i].conflict);
		finish(overlaps[i].text);
	}
}

/* The same with the first already delivered: the same bytes come out. A conflict cannot be seen any more. */
static void
test_overlap_delivered(void)
{
	for (unsigned int i = 0; i < PSI_COUNT(overlaps); i++) {
		begin();
		push(0, "0123456789AAAA");
		push(overlaps[i].off, overlaps[i].second);
		CU_ASSERT_EQUAL(s.side[0].note & PSI_STREAM_CONFLICT, 0);
		finish(overlaps[i].text);
	}
}

/* One segment over several held ones fills each hole between them, once. */
static void
test_overlap_many(void)
{
	begin();
	push(2, "AA");
	push(6, "BB");
	push(10, "CC");
	CU_ASSERT(push(1, "bcdefghijklmn"));
	CU_ASSERT_EQUAL(psi_stream_held(pool), 7);
	CU_ASSERT_EQUAL(holds, 7);
	CU_ASSERT_EQUAL(stat(PSI_STAT_seg_conflict), 1);
	CU_ASSERT(!push(1, "bAAefBBijCCmn"));
	CU_ASSERT_EQUAL(s.side[0].retrans, 1);
	push(0, "a");
	finish("abAAefBBijCCmn");
}

static void
test_retrans(void)
{
	begin();
	push(0, "abcdef");
	CU_ASSERT(!push(0, "abcdef"));
	CU_ASSERT(!push(2, "cd"));
	CU_ASSERT(push(4, "efgh"));
	CU_ASSERT_EQUAL(s.side[0].retrans, 2);
	CU_ASSERT_EQUAL(stat(PSI_STAT_seg_retrans), 2);
	CU_ASSERT_EQUAL(s.side[0].ooo, 0);
	push(10, "kl");
	CU_ASSERT(!push(10, "kl"));
	CU_ASSERT_EQUAL(s.side[0].retrans, 3);
	finish("abcdefgh__kl");
}

/* RFC 9293 section 3.8.4: a keep-alive may carry one byte of garbage in front of what comes next. Section 3.8.6.1: a
 * zero-window probe carries one byte of new data, again and again. */
static void
test_keep_alive_and_probe(void)
{
	begin();
	push(0, "abc");
	CU_ASSERT(!push(2, "\xff"));
	CU_ASSERT(!push(2, "\xff"));
	CU_ASSERT(push(3, "d"));
	CU_ASSERT(!push(3, "d"));
	CU_ASSERT(push(3, "def"));
	CU_ASSERT_EQUAL(s.side[0].retrans, 0);
	CU_ASSERT_EQUAL(s.side[0].ooo, 0);
	finish("abcdef");
}

static void
test_gap_by_segments(void)
{
	static const char *const text[] = {"b", "d", "f", "h"};

	fresh_pool(64, 3, 2048);
	psi_stream_syn(&s, 0, ISN);
	for (unsigned int i = 0; i < 4; i++)
		push(1 + 2 * i, text[i]);
	expect("_b");
	CU_ASSERT_EQUAL(psi_stream_held(pool), 3);
	CU_ASSERT_EQUAL(stat(PSI_STAT_stream_gap), 1);
	CU_ASSERT_EQUAL(stat(PSI_STAT_seg_early_full), 1);
	finish("_b_d_f_h");
	CU_ASSERT_EQUAL(stat(PSI_STAT_stream_gap), 4);
	CU_ASSERT_EQUAL(stat(PSI_STAT_stream_gap_bytes), 4);
}

static void
test_gap_by_bytes(void)
{
	fresh_pool(64, 32, 5);
	psi_stream_syn(&s, 0, ISN);
	push(2, "cde");
	expect("");
	push(6, "ghi"); /* three and three are more than five */
	expect("__cde");
	push(5, "f");
	expect("__cdefghi");
	push(10, "longer than five");
	finish("__cdefghi_longer than five");
}

static void
test_gap_by_time(void)
{
	begin();
	now_ns = 1000 * MS;
	push(2, "cd");
	now_ns += WAIT_MS * MS;
	push(6, "gh");
	expect("");
	now_ns += 1;
	push(8, "ij"); /* its own packet moves time on */
	expect("__cd");
	CU_ASSERT_EQUAL(s.side[0].gap_cnt, 1);
	CU_ASSERT_EQUAL(s.side[0].hole_ns, 1100 * MS); /* the second hole began with "gh" */
	now_ns = 1200 * MS;
	psi_stream_tick(pool, &s, now_ns, &got);
	expect("__cd");
	psi_stream_tick(pool, &s, now_ns + 1, &got); /* so does any packet of the connection */
	expect("__cd__ghij");
	CU_ASSERT(!psi_stream_waiting(&s));
	push(1, "b"); /* too late */
	CU_ASSERT_EQUAL(s.side[0].retrans, 1);
	finish("__cd__ghij");
}

/* The filling segment counts even when it is the one that shows that time has passed. Time that runs backwards, as in
 * a capture merged badly, gives nothing up. */
static void
test_gap_time_edges(void)
{
	begin();
	now_ns = 1000 * MS;
	push(2, "cd");
	now_ns = 500 * MS;
	push(4, "ef");
	now_ns = 5000 * MS;
	push(0, "ab");
	finish("abcdef");
	CU_ASSERT_EQUAL(got.gaps, 0);
}

static void
test_pool_full(void)
{
	fresh_pool(1, 32, 2048);
	psi_stream_syn(&s, 0, ISN);
	psi_stream_syn(&s, 1, ISN);
	now_ns = MS;
	CU_ASSERT(push_at(1, ISN + 3, "cd"));
	CU_ASSERT(push(2, "cd")); /* not held */
	CU_ASSERT_EQUAL(stat(PSI_STAT_seg_early_full), 1);
	CU_ASSERT_EQUAL(stat(PSI_STAT_seg_early), 1);
	push(0, "ab");
	expect("ab");
	push(2, "cd"); /* sent again */
	expect("abcd");
	now_ns = 2 * MS;
	push(6, "gh"); /* not held, and never sent again */
	expect("abcd");
	now_ns = 3 * MS + WAIT_MS * MS;
	push(8, "ij");
	expect("abcd____ij"); /* a full pool does not stop a stream for good */
	got.text[1][got.len[1]] = 0;
	CU_ASSERT_STRING_EQUAL(got.text[1], "__cd");
	finish("abcd____ij");
}

/* What the peer acknowledged it has received: if we have not seen it, the tap lost it. */
static void
test_acked_hole(void)
{
	begin();
	now_ns = 1000 * MS;
	push(0, "ab");
	push(4, "ef");
	psi_stream_ack(&s, 1, ISN + 1 + 6, 100);
	psi_stream_tick(pool, &s, now_ns, &got);
	expect("ab"); /* the tap may have shown the acknowledgment first */
	now_ns += (WAIT_MS / 4) * MS + 1;
	psi_stream_tick(pool, &s, now_ns, &got);
	expect("ab__ef");
	CU_ASSERT(s.side[0].note & PSI_STREAM_ACKED_HOLE);
	CU_ASSERT_EQUAL(s.side[1].note, 0);
	finish("ab__ef");
}

static void
test_acked_hole_by_segments(void)
{
	static const char byte[] = "x";

	begin();
	psi_stream_ack(&s, 1, ISN + 1 + 4, 100);
	for (unsigned int i = 0; i < 16; i++) {
		expect("");
		push(2 + i, byte);
	}
	finish("__xxxxxxxxxxxxxxxx");
}

static void
test_unacked_hole_is_no_acked_hole(void)
{
	begin();
	psi_stream_ack(&s, 1, ISN + 1 + 2, 100);
	push(0, "ab");
	push(4, "ef");
	finish("ab__ef");
	CU_ASSERT_EQUAL(got.gaps, 1);
}

static void
test_acked_tail(void)
{
	begin();
	push(0, "ab");
	psi_stream_ack(&s, 1, ISN + 1 + 6, 100); /* four bytes, or three and a FIN, not seen */
	psi_stream_flush(pool, &s, now_ns, &got);
	CU_ASSERT(s.side[0].note & PSI_STREAM_ACKED_HOLE);
	finish("ab___");
	begin();
	push(0, "ab");
	psi_stream_ack(&s, 1, ISN + 1 + 3, 100); /* a FIN not seen */
	finish("ab");
	begin();
	push(0, "ab");
	psi_stream_ack(&s, 1, ISN + 1 + 2, 100);
	finish("ab");
}

static void
test_skip(void)
{
	begin();
	got.skip_at = 3;
	got.skip = 5;
	push(0, "abc");
	CU_ASSERT_EQUAL(s.side[0].next, ISN + 1 + 8);
	CU_ASSERT(push(3, "defg"));
	CU_ASSERT(!push(3, "defg"));
	CU_ASSERT(push(7, "hij"));
	finish("abc.....ij");
}

static void
test_skip_over_held(void)
{
	begin();
	push(4, "ef");	/* inside what will be passed over */
	push(7, "hij"); /* over its end */
	push(12, "mn"); /* behind it */
	got.skip_at = 1;
	got.skip = 8;
	push(0, "abcd");
	CU_ASSERT_EQUAL(psi_stream_held(pool), 0); /* the last of them is due at once */
	CU_ASSERT(!push(10, "kl"));
	finish("abcd........mn");
}

/* The answer to the first piece of a segment decides about its other pieces. */
static void
test_skip_within_segment(void)
{
	begin();
	push(2, "CD");
	got.skip_at = 2;
	got.skip = 4;
	push(0, "abcdefgh");
	finish("ab....gh");
}

static void
test_skip_after_gap(void)
{
	begin();
	got.skip_at = 2;
	got.skip = 2;
	push(2, "cdef");
	finish("__..ef");
}

/* Lost bytes that nobody wanted are no gap. */
static void
test_skip_lost(void)
{
	begin();
	got.skip_at = 1;
	got.skip = 9;
	push(0, "a");
	CU_ASSERT(push(5, "f"));
	CU_ASSERT_EQUAL(psi_stream_held(pool), 0);
	push(10, "k");
	finish("a.........k");
	CU_ASSERT_EQUAL(got.gaps, 0);
	CU_ASSERT_EQUAL(stat(PSI_STAT_stream_gap), 0);
}

static void
test_skip_huge(void)
{
	begin();
	got.skip_at = 1;
	put(1, NULL, ' ', sizeof(got.text[0])); /* side 1 takes no more text */
	got.skip = UINT32_MAX;
	push(0, "a");
	CU_ASSERT_EQUAL(s.side[0].next, ISN + 2 + (1u << 30)); /* cut to the largest window */
	psi_stream_clear(pool, &s);
}

static void
test_missing(void)
{
	begin();
	push(0, "ab");
	psi_stream_missing(
		pool, &s, 0, ISN + 1 + 2, 4, now_ns, &got); /* a snap length cut them off */
	expect("ab____");
	push(8, "ij");
	psi_stream_missing(pool, &s, 0, ISN + 1 + 10, 2, now_ns, &got);
	push(12, "mn");
	CU_ASSERT_EQUAL(holds, 2); /* what is missing holds no reference */
	expect("ab____");
	push(6, "gh");
	expect("ab____ghij__mn");
	psi_stream_missing(pool, &s, 0, ISN + 1, 14, now_ns, &got); /* all of it is known */
	psi_stream_missing(pool, &s, 0, ISN + 1, 0, now_ns, &got);
	finish("ab____ghij__mn");
}

/* ---- beginnings ---- */

static void
test_midstream(void)
{
	fresh();
	CU_ASSERT(push(0, "abc")); /* the first byte seen is the first */
	CU_ASSERT_EQUAL(s.side[0].note, PSI_STREAM_STARTED | PSI_STREAM_MIDSTREAM);
	CU_ASSERT(push(3, "def"));
	CU_ASSERT(!push_at(0, ISN - 5, "zzzzz")); /* comes too late to be put in front */
	finish("abcdef");
}

/* The peer's acknowledgment tells where the next byte is: a first segment a little behind it is early. */
static void
test_midstream_acked(void)
{
	fresh();
	psi_stream_ack(&s, 1, ISN + 1, 100);
	push(3, "def");
	expect("");
	push(0, "abc");
	expect("abcdef");
	finish("abcdef");
	fresh();
	psi_stream_ack(&s, 1, ISN + 1 - 16385,
		100); /* so far behind: bytes in flight when the capture began */
	push(0, "abc");
	expect("abc");
	finish("abc");
	CU_ASSERT_EQUAL(got.gaps, 0);
	fresh();
	psi_stream_ack(&s, 1, ISN + 1 + 3, 100); /* what comes first is sent again */
	push(0, "abc");
	finish("abc");
}

static void
test_midstream_keep_alive(void)
{
	fresh();
	psi_stream_ack(&s, 1, ISN + 2, 100);
	CU_ASSERT(!push(0, "\xff"));
	CU_ASSERT(push(1, "abc"));
	finish("abc");
}

static void
test_late_syn(void)
{
	fresh();
	push(0, "abc");
	CU_ASSERT(psi_stream_syn(&s, 0, ISN)); /* reordered behind its data */
	CU_ASSERT_EQUAL(s.side[0].note, PSI_STREAM_STARTED | PSI_STREAM_SYN);
	push(3, "def");
	CU_ASSERT(psi_stream_syn(&s, 0, ISN)); /* sent again */
	finish("abcdef");
}

/* RFC 7413: data in the SYN. A server that does not take it acknowledges the SYN only, and the data comes again. */
static void
test_syn_with_data(void)
{
	begin();
	CU_ASSERT(push(0, "abc"));
	psi_stream_syn(&s, 1, 5000);
	psi_stream_ack(&s, 1, ISN + 1, 100);
	CU_ASSERT(psi_stream_syn(&s, 0, ISN));
	CU_ASSERT(!push(0, "abc"));
	CU_ASSERT(push(3, "def"));
	CU_ASSERT_EQUAL(s.side[0].note & PSI_STREAM_CONFLICT, 0);
	finish("abcdef");
}

static void
test_syn_ack_again(void)
{
	begin();
	psi_stream_syn(&s, 1, 5000);
	CU_ASSERT(psi_stream_syn(&s, 1, 77)); /* before data the last one counts */
	CU_ASSERT(push_at(1, 78, "abc"));
	got.text[1][got.len[1]] = 0;
	CU_ASSERT_STRING_EQUAL(got.text[1], "abc");
	CU_ASSERT(psi_stream_syn(&s, 1, 6000)); /* after that it is ignored */
	CU_ASSERT(push_at(1, 81, "def"));
	got.text[1][got.len[1]] = 0;
	CU_ASSERT_STRING_EQUAL(got.text[1], "abcdef");
	finish("");
}

/* A forged SYN-ACK after the true one: the client's acknowledgment and the server's data agree against it. */
static void
test_syn_ack_forged(void)
{
	begin();
	psi_stream_syn(&s, 1, 5000);
	psi_stream_syn(&s, 1, 3000000000u);
	psi_stream_ack(&s, 0, 5001, 100);
	CU_ASSERT(push_at(1, 5001, "abc"));
	got.text[1][got.len[1]] = 0;
	CU_ASSERT_STRING_EQUAL(got.text[1], "abc");
	finish("");
}

static void
test_port_reuse(void)
{
	begin();
	push(0, "abc");
	CU_ASSERT(!psi_stream_syn(&s, 0, ISN + 100000));
	begin();
	push(3, "def"); /* seen, though not delivered */
	CU_ASSERT(!psi_stream_syn(&s, 0, ISN + 100000));
	finish("___def");
	begin();
	psi_stream_fin(&s, 0, ISN + 1);
	CU_ASSERT(!psi_stream_syn(&s, 0, ISN + 100000));
	begin();
	psi_stream_ack(&s, 1, ISN + 1, 100);
	CU_ASSERT(psi_stream_syn(&s, 0, ISN + 100000)); /* nothing came of the first */
	psi_stream_ack(&s, 1, ISN + 100001, 100);
	CU_ASSERT(psi_stream_syn(&s, 0, ISN + 100000));
	CU_ASSERT_EQUAL(s.side[1].ack, ISN + 100001);
	CU_ASSERT(psi_stream_syn(&s, 0, ISN)); /* nor of the second */
	psi_stream_ack(&s, 1, ISN + 1, 100);
	CU_ASSERT_EQUAL(s.side[1].ack,
		ISN + 1); /* not old: it speaks of other numbers than the one before */
	CU_ASSERT(psi_stream_syn(&s, 0, ISN + 100000));
	push(100000, "abc");
	finish("abc");
}

/* A SYN in a live connection ends nothing until the other side answers it with a SYN of its own. */
static void
test_blind_syn(void)
{
	begin();
	psi_stream_syn(&s, 1, 5000);
	push(0, "abc");
	push_at(1, 5001, "xyz");
	CU_ASSERT(psi_stream_syn(&s, 0, ISN + 100000));
	CU_ASSERT(psi_stream_syn(&s, 0, ISN + 200000));
	CU_ASSERT(push(3, "def"));
	CU_ASSERT(psi_stream_syn(&s, 1, 5000)); /* the old one again is no answer */
	CU_ASSERT(!psi_stream_syn(&s, 1, 9000));
	finish("abcdef");
	begin();
	psi_stream_syn(&s, 1, 5000);
	push(0, "abc");
	CU_ASSERT(psi_stream_syn(&s, 0, ISN + 100000));
	CU_ASSERT(!psi_stream_syn(&s, 1, 9000)); /* of whom no byte was seen before */
	finish("abc");
	begin();
	psi_stream_syn(&s, 1, 5000);
	push(0, "abc");
	psi_stream_fin(&s, 1, 5001);
	CU_ASSERT(!psi_stream_syn(&s, 0, ISN + 100000)); /* the connection was ending */
	finish("abc");
}

static void
test_simultaneous_open(void)
{
	begin();
	psi_stream_syn(&s, 1, 5000);
	CU_ASSERT(psi_stream_syn(&s, 0, ISN)); /* the SYN-ACK of each repeats its SYN */
	CU_ASSERT(psi_stream_syn(&s, 1, 5000));
	push(0, "abc");
	finish("abc");
}

static void
test_far_ahead(void)
{
	begin();
	push(0, "abc");
	CU_ASSERT(!push((1u << 30) + 10, "x")); /* beyond the largest window */
	CU_ASSERT(!push(3 - (1u << 30), "x"));	/* older than any */
	psi_stream_ack(&s, 1, ISN + 4, 100);
	CU_ASSERT(!push((1u << 24) + 10, "x")); /* with an acknowledgment we know better */
	CU_ASSERT_EQUAL(psi_stream_held(pool), 0);
	finish("abc");
	begin();
	push(0, "abc");
	psi_stream_ack(&s, 1, ISN + 1 + (1u << 25),
		100); /* a tap that lost 32 MiB finds its place again */
	CU_ASSERT(push((1u << 25), "x"));
	CU_ASSERT_EQUAL(psi_stream_held(pool), 1);
	psi_stream_clear(pool, &s);
	CU_ASSERT_EQUAL(holds, 0);
}

/* ---- ends ---- */

static void
test_fin(void)
{
	begin();
	push(3, "def");
	psi_stream_fin(&s, 0, ISN + 1 + 6);
	CU_ASSERT_EQUAL(s.side[0].note & (PSI_STREAM_FIN | PSI_STREAM_FIN_DONE), PSI_STREAM_FIN);
	push(0, "abc");
	CU_ASSERT(s.side[0].note & PSI_STREAM_FIN_DONE);
	CU_ASSERT(!push(6, "ghi")); /* nothing comes behind a FIN */
	psi_stream_ack(&s, 1, ISN + 1 + 7, 100);
	psi_stream_fin(&s, 0, ISN + 1 + 6);
	finish("abcdef");
}

static void
test_fin_with_hole(void)
{
	begin();
	push(0, "abc");
	psi_stream_fin(&s, 0, ISN + 1 + 5);
	psi_stream_flush(pool, &s, now_ns, &got);
	CU_ASSERT(s.side[0].note & PSI_STREAM_FIN_DONE);
	finish("abc__");
}

static void
test_fin_stale_or_forged(void)
{
	begin();
	push(0, "abc");
	psi_stream_fin(&s, 0, ISN + 1 + 1);
	CU_ASSERT_EQUAL(s.side[0].note & PSI_STREAM_FIN, 0);
	psi_stream_ack(&s, 1, ISN + 1, 100);
	psi_stream_fin(&s, 0, ISN + 1 + 1);
	CU_ASSERT_EQUAL(s.side[0].note & PSI_STREAM_FIN, 0);
	psi_stream_fin(&s, 0, ISN + 1 + 0x40000000);
	CU_ASSERT_EQUAL(s.side[0].note & PSI_STREAM_FIN, 0);
	push(3, "def");
	psi_stream_fin(&s, 0, ISN + 1 + 6);
	CU_ASSERT(s.side[0].note & PSI_STREAM_FIN_DONE);
	finish("abcdef");
}

/* Found by fuzzing: a FIN two thirds of the way round made old segments look due. */
static void
test_fin_far_ahead(void)
{
	begin();
	psi_stream_ack(&s, 1, ISN + 1 + 0x64000000, 100);
	psi_stream_fin(&s, 0, ISN + 1 + 0x64000000);
	CU_ASSERT_EQUAL(s.side[0].note & PSI_STREAM_FIN, 0);
	CU_ASSERT(!push(0xa0000000, "x"));
	CU_ASSERT_EQUAL(s.side[0].next, ISN + 1);
	finish("");
}

static void
test_fin_first_seen(void)
{
	fresh();
	psi_stream_fin(&s, 0, 5);
	CU_ASSERT_EQUAL(s.side[0].note,
		PSI_STREAM_STARTED | PSI_STREAM_MIDSTREAM | PSI_STREAM_FIN | PSI_STREAM_FIN_DONE);
	finish("");
}

static void
test_fin_inside_skip(void)
{
	begin();
	got.skip_at = 1;
	got.skip = 100;
	push(0, "a");
	psi_stream_fin(&s, 0, ISN + 1 + 50);
	CU_ASSERT(s.side[0].note & PSI_STREAM_FIN_DONE);
	psi_stream_clear(pool, &s);
}

static void
test_rst(void)
{
	fresh();
	CU_ASSERT(psi_stream_rst_valid(&s, 0, 12345)); /* nothing is known that speaks against it */
	psi_stream_syn(&s, 1, 5000);
	CU_ASSERT(psi_stream_rst_valid(&s, 0, 0)); /* a SYN refused */
	begin();
	psi_stream_ack(&s, 1, ISN + 1, 1000);
	push(0, "abcdefghij");
	CU_ASSERT(psi_stream_rst_valid(&s, 0, ISN + 11)); /* exactly what comes next */
	CU_ASSERT(psi_stream_rst_valid(&s, 0, ISN + 1));  /* what the peer waits for */
	CU_ASSERT(psi_stream_rst_valid(&s, 0, ISN + 1001));
	CU_ASSERT(!psi_stream_rst_valid(&s, 0, ISN + 1002));
	CU_ASSERT(!psi_stream_rst_valid(&s, 0, ISN));
	CU_ASSERT(!psi_stream_rst_valid(&s, 0, ISN + 0x80000000));
	psi_stream_ack(&s, 1, ISN + 11, 0);
	CU_ASSERT(psi_stream_rst_valid(&s, 0, ISN + 11)); /* in a closed window as well */
	CU_ASSERT(!psi_stream_rst_valid(&s, 0, ISN + 10));
	psi_stream_fin(&s, 0, ISN + 11);
	CU_ASSERT(psi_stream_rst_valid(&s, 0, ISN + 12));
	CU_ASSERT(psi_stream_rst_valid(&s, 0, ISN + 11));
	CU_ASSERT(!psi_stream_rst_valid(&s, 0, ISN + 13));
	psi_stream_clear(pool, &s);
}

static void
test_rst_one_sided(void)
{
	begin();
	push(0, "abcdefghij");
	CU_ASSERT(psi_stream_rst_valid(&s, 0, ISN + 11));
	CU_ASSERT(psi_stream_rst_valid(&s, 0, ISN + 11 + 65535));
	CU_ASSERT(!psi_stream_rst_valid(&s, 0, ISN + 12 + 65535));
	psi_stream_ack(&s, 0, 7000,
		500); /* the other side was never seen, but what it sent was acknowledged */
	CU_ASSERT(psi_stream_rst_valid(&s, 1, 7000));
	CU_ASSERT(psi_stream_rst_valid(&s, 1, 7500));
	CU_ASSERT(!psi_stream_rst_valid(&s, 1, 7501));
	CU_ASSERT(!psi_stream_rst_valid(&s, 1, 6999));
	psi_stream_clear(pool, &s);
}

/* An acknowledgment is taken unless it is old or out of any window. */
static void
test_ack(void)
{
	fresh();
	psi_stream_ack(&s, 0, UINT32_MAX, 1);
	psi_stream_ack(&s, 0, 5, 2);
	CU_ASSERT_EQUAL(s.side[0].ack, 5);
	psi_stream_ack(&s, 0, 3, 9);
	CU_ASSERT_EQUAL(s.side[0].ack, 5);
	CU_ASSERT_EQUAL(s.side[0].win, 2);
	psi_stream_ack(&s, 0, 6 + (1u << 30), 9);
	CU_ASSERT_EQUAL(s.side[0].ack, 5);
}

static CU_TestInfo delivery_tests[] = {
	{"in order", test_in_order},
	{"early segments wait, by reference", test_early_held},
	{"the sides are apart", test_sides_are_apart},
	{"sequence numbers wrap", test_wrap},
	{"every overlap with a held segment", test_overlap_held},
	{"every overlap with delivered bytes", test_overlap_delivered},
	{"one segment over many held ones", test_overlap_many},
	{"retransmissions", test_retrans},
	{"keep-alives and zero-window probes", test_keep_alive_and_probe},
	CU_TEST_INFO_NULL,
};

static CU_TestInfo gap_tests[] = {
	{"bound of segments", test_gap_by_segments},
	{"bound of bytes", test_gap_by_bytes},
	{"bound of time", test_gap_by_time},
	{"bound of time, edges", test_gap_time_edges},
	{"the pool is full", test_pool_full},
	{"acknowledged and never seen", test_acked_hole},
	{"acknowledged and never seen, by segments", test_acked_hole_by_segments},
	{"acknowledged up to the hole", test_unacked_hole_is_no_acked_hole},
	{"acknowledged behind the end", test_acked_tail},
	{"the sink skips", test_skip},
	{"the sink skips held segments", test_skip_over_held},
	{"the sink skips the rest of a segment", test_skip_within_segment},
	{"the sink skips after a gap", test_skip_after_gap},
	{"the sink skips what is lost", test_skip_lost},
	{"the sink skips absurdly much", test_skip_huge},
	{"captured too short", test_missing},
	CU_TEST_INFO_NULL,
};

static CU_TestInfo ends_tests[] = {
	{"midstream", test_midstream},
	{"midstream, start told by the peer", test_midstream_acked},
	{"midstream, a keep-alive first", test_midstream_keep_alive},
	{"SYN behind its data", test_late_syn},
	{"SYN with data", test_syn_with_data},
	{"several SYN-ACKs", test_syn_ack_again},
	{"a forged SYN-ACK", test_syn_ack_forged},
	{"ports used again", test_port_reuse},
	{"a blind SYN", test_blind_syn},
	{"simultaneous open", test_simultaneous_open},
	{"beyond any window", test_far_ahead},
	{"FIN in its place", test_fin},
	{"FIN behind a hole", test_fin_with_hole},
	{"FIN stale or forged", test_fin_stale_or_forged},
	{"FIN far ahead", test_fin_far_ahead},
	{"FIN first", test_fin_first_seen},
	{"FIN in what is skipped", test_fin_inside_skip},
	{"RST", test_rst},
	{"RST, one side seen", test_rst_one_sided},
	{"acknowledgments", test_ack},
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo psi_unit_suites[] = {
	{.pName = "delivery", .pTests = delivery_tests},
	{.pName = "gaps", .pTests = gap_tests},
	{.pName = "ends", .pTests = ends_tests},
	CU_SUITE_INFO_NULL,
};
