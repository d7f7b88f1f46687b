/* SPDX-License-Identifier: BSD-3-Clause */
/* The input directs the bundled recording through a worker with tiny pools and the collector behind it: which frames,
 * in what order, with which bytes changed, cut to what length, at what time. Whatever comes, the ledger balances and
 * no mbuf is missing at the end.
 * Byte 0: bounds, see play. Then steps of 4 bytes: what, and three numbers. */
#include "../unit/worker_rig.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define FRAMES	  4096
#define FRAME_MAX 2048
#define STEPS_MAX 256

static struct frame {
	const uint8_t *p;
	uint32_t len;
	uint64_t ts_ns;
} frames[FRAMES];
static uint32_t frame_cnt;

static void
must(bool ok)
{
	if (!ok)
		abort();
}

/* The recording: pcap, this machine's byte order, microseconds. */
static void
load(const char *path)
{
	FILE *f = fopen(path, "rb");
	static uint8_t all[1 << 20];
	size_t n, at = 24;

	must(f != NULL);
	n = fread(all, 1, sizeof(all), f);
	fclose(f);
	while (at + 16 <= n && frame_cnt < FRAMES) {
		uint32_t h[4];

		memcpy(h, all + at, sizeof(h));
		at += 16;
		must(h[2] <= n - at);
		if (h[2] <= FRAME_MAX)
			frames[frame_cnt++] = (struct frame){
				all + at, h[2], h[0] * 1000000000ull + h[1] * 1000ull};
		at += h[2];
	}
	must(frame_cnt > 100);
}

/* Frame i with byte `at` changed (0: none), cut to `cap` bytes (0: whole), in segments. */
static void
feed(struct rig *r, uint32_t i, uint32_t at, uint8_t value, uint32_t cap, uint32_t seg_max)
{
	const struct frame *f = &frames[i % frame_cnt];
	uint8_t copy[FRAME_MAX];

	memcpy(copy, f->p, f->len);
	if (at)
		copy[at % f->len] ^= value;
	cap = cap ? PSI_MIN(cap, f->len) : f->len;
	must(rig_frame(r, PSI_LINK_ETHERNET, copy, cap, f->len, seg_max));
}

/* The queue is found so full, this many times. */
static void
press(struct rig *r, uint8_t fill, unsigned int times)
{
	while (times--)
		psi_worker_pressure(r->worker, fill, 255);
}

static void
step(struct rig *r, const uint8_t *s, uint32_t *at)
{
	uint32_t n = 1 + s[1] % 64;

	switch (s[0] & 7) {
	case 0:
	case 1: /* on through the recording; the rest of s[0]: size of segments */
		for (; n; n--)
			feed(r, (*at)++, 0, 0, 0, (s[0] >> 3) * 16u);
		break;
	case 2: *at = s[1] << 8 | s[2]; break;
	case 3: feed(r, (*at)++, 1 + s[1] + (s[3] & 7) * 256u, s[2], 0, 0); break;
	case 4: feed(r, (*at)++, 0, 0, 1 + s[1] * 4u, 0); break;
	case 5: /* every other one is lost */
		for (; n; n--, *at += 2)
			feed(r, *at, 0, 0, 0, 0);
		break;
	case 6: /* backwards */
		for (; n; n--)
			feed(r, *at + n, 0, 0, 0, 0);
		*at += 1 + s[1] % 64;
		break;
	case 7:
		if (s[0] & 8)
			press(r, s[1], s[2] % 64);
		else
			r->now_ns += ((uint64_t)s[1] << (s[2] % 56)) * (s[3] & 1 ? -1ull : 1);
		break;
	}
	r->now_ns += 1000000u * (s[3] >> 4);
}

static void
play(const uint8_t *data, size_t len)
{
	static struct rig r;
	uint8_t how = data[0];
	uint32_t at = 0;

	rig_defaults(&r);
	r.no_events = true;
	r.cfg.flow.max = how & 1 ? 32 : 256;
	r.cfg.conn_max = how & 2 ? 4 : 64;
	r.cfg.handshake_max = how & 4 ? 2 : 64;
	r.cfg.chain_max = how & 8 ? 1 : 16;
	r.cfg.chain_seg_max = how & 8 ? 3 : 256;
	r.cfg.stream.early_max = how & 16 ? 2 : 64;
	r.cfg.report_other = how & 32;
	r.now_ns = how & 128 ? 0 : frames[0].ts_ns;
	must(rig_open(&r, !(how & 64)));
	data++;
	len--;
	for (size_t n = 0; len >= 4 && n < STEPS_MAX; n++, data += 4, len -= 4)
		step(&r, data, &at);
	must(rig_close(&r));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (!rig_pool) {
		load(DEMO_PCAP);
		must(rig_eal());
	}
	if (len)
		play(data, len);
	return 0;
}
