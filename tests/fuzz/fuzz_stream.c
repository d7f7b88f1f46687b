/* SPDX-License-Identifier: BSD-3-Clause */
/* Bytes are read as what a connection does. First byte even: segments, acknowledgments and time near the start of the
 * stream, given to psi_stream and to its slow twin, which must agree after each. Odd: anything at any sequence number,
 * where references must balance and every span must be readable. */
#include "../ref/stream_pair.h"

#include "psi_cursor.h"

enum { OPS_MAX = 300 };

/* Each segment's bytes in a piece of heap of exactly its length. */
static uint8_t *segs[OPS_MAX];
static unsigned int seg_cnt;

static uint8_t *
new_seg(uint32_t off, uint32_t len, uint8_t change)
{
	uint8_t *p = malloc(len ? len : 1);

	if (!p)
		abort();
	for (uint32_t i = 0; i < len; i++)
		p[i] = (uint8_t)((off + i) * 5 % 23);
	if (len)
		p[change % len] ^= change;
	segs[seg_cnt++] = p;
	return p;
}

static void
free_segs(void)
{
	while (seg_cnt)
		free(segs[--seg_cnt]);
}

static void
must(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "broken: %s\n", what);
		abort();
	}
}

static struct pair a;

static bool
read_config(struct psi_cursor *in, struct psi_stream_config *cfg)
{
	const uint8_t *c = psi_take(in, 4);

	if (!c)
		return false;
	*cfg = (struct psi_stream_config){c[0], c[1] & 63, (uint32_t)c[2] * 4, c[3]};
	return true;
}

static void
against_twin(struct psi_cursor in, bool records)
{
	struct psi_stream_config cfg;
	const uint8_t *op;
	uint64_t ts = 0;

	if (!read_config(&in, &cfg) || !pair_open(&a, &cfg, UINT32_MAX - 100, records))
		return;
	while (seg_cnt < OPS_MAX && (op = psi_take(&in, 5))) {
		unsigned int side = op[0] & 1;
		uint32_t off = ((uint32_t)op[1] << 8 | op[2]) % (TWIN_CELLS / 2), len = op[3];
		struct twin_seg seg = {off, len, NULL, (int)seg_cnt, ts};

		ts += (uint64_t)(op[0] >> 4) * 10000000;
		switch (op[0] >> 1 & 7) {
		case 0: pair_ack(&a, side, off); break;
		case 1:
			psi_stream_tick(a.pool, &a.s, ts, &a);
			pair_tick(&a, ts);
			break;
		case 2:
			if (len)
				pair_push(&a, side, &seg);
			break;
		default:
			seg.bytes = new_seg(off, len, op[4]);
			if (len)
				pair_push(&a, side, &seg);
		}
		must(!pair_differs(&a), pair_differs(&a));
	}
	pair_flush(&a, ts);
	must(!pair_differs(&a), pair_differs(&a));
	must(pair_close(&a), "references");
}

/* ---- anything goes ---- */

static uint32_t read_sum, skip_next;

static uint32_t
any_data(void *ctx, unsigned int side, const uint8_t *p, uint32_t len, void *ref, uint64_t ts_ns)
{
	must(len > 0, "a span has bytes");
	for (uint32_t i = 0; i < len; i++)
		read_sum += p[i];
	return skip_next;
}

static uint32_t
any_gap(void *ctx, unsigned int side, uint32_t len, uint64_t ts_ns)
{
	must(len > 0, "a gap has bytes");
	return skip_next;
}

static void
one_op(struct psi_stream_pool *pool, struct psi_stream *s, const uint8_t *op, uint64_t *ts)
{
	unsigned int side = op[0] & 1;
	uint32_t seq = psi_be32(op + 1), len = op[5];
	struct psi_seg seg = {NULL, len, seq, &a.refs[seg_cnt], *ts};

	*ts += (uint64_t)op[6] * 10000000;
	skip_next = op[6] < 200 ? op[6] & 15 : seq;
	switch (op[0] >> 1 & 15) {
	case 0: psi_stream_syn(s, side, seq); break;
	case 1: psi_stream_ack(s, side, seq, (uint16_t)(len << 8)); break;
	case 2: psi_stream_fin(s, side, seq); break;
	case 3: psi_stream_rst_valid(s, side, seq); break;
	case 4: psi_stream_missing(pool, s, side, seq, len << (op[6] & 31), *ts, NULL); break;
	case 5: psi_stream_tick(pool, s, *ts, NULL); break;
	case 6: psi_stream_flush(pool, s, *ts, NULL); break;
	case 7: psi_stream_clear(pool, s); break;
	case 8: /* the same far from zero, where the difference of two numbers changes its sign */
		seg.seq ^= 0x80000000;
		/* fall through */
	default: seg.p = new_seg(seq, len, op[6]); psi_stream_push(pool, s, side, &seg, NULL);
	}
}

static void
anything(struct psi_cursor in)
{
	static const struct psi_stream_ops ops = {any_data, any_gap, pair_hold, pair_release};
	struct psi_stream_config cfg;
	struct psi_stream_pool *pool;
	struct psi_stats stats = {0};
	struct psi_stream s = {0};
	const uint8_t *op;
	uint64_t ts = 0;
	size_t len;

	if (!read_config(&in, &cfg))
		return;
	memset(&a, 0, sizeof(a));
	len = (psi_stream_footprint(&cfg) + 63) / 64 * 64;
	pool = aligned_alloc(64, len);
	must(pool != NULL, "memory");
	memset(pool, 0, len);
	psi_stream_init(pool, &cfg, &ops, &stats);
	while (seg_cnt < OPS_MAX && (op = psi_take(&in, 7))) {
		one_op(pool, &s, op, &ts);
		for (unsigned int i = 0; i < 2; i++)
			must(s.side[i].early_cnt > 0 || s.side[i].early_bytes == 0,
				"bytes held are in segments");
		must(psi_stream_held(pool) == (uint32_t)s.side[0].early_cnt + s.side[1].early_cnt,
			"the pool's count is that of the sides");
	}
	psi_stream_flush(pool, &s, ts, NULL);
	must(psi_stream_held(pool) == 0, "nothing is held after a flush");
	psi_stream_clear(pool, &s);
	for (unsigned int i = 0; i < OPS_MAX; i++)
		must(a.refs[i] == 0, "references balance");
	free(pool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct psi_cursor in = psi_cursor(data, len);
	uint8_t mode;

	if (!psi_take8(&in, &mode))
		return 0;
	if (mode & 1)
		anything(in);
	else
		against_twin(in, mode & 2);
	free_segs();
	return 0;
}
