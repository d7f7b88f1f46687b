/* SPDX-License-Identifier: BSD-3-Clause */
/* A whole conversation: pieces with two bytes before each, big-endian: the side (bit 15), a hole instead of bytes (bit
 * 14), and a length. */
#include "tls_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
hole_in(struct fuzz_run *r, unsigned int side, uint32_t len)
{
	uint32_t s = PSI_MIN(len, r->skip[side]);

	r->holes = true;
	r->skip[side] -= s;
	if (len > s || !len)
		psi_tls_gap(&r->t, side, len - s, 1, &fuzz_ops, r, &r->skip[side]);
}

static void
conversation(struct fuzz_run *r, const uint8_t *p, size_t len, bool bytes)
{
	while (len >= 2) {
		unsigned int side = p[0] >> 7;
		uint32_t n = (uint32_t)(p[0] & 0x3f) << 8 | p[1];
		bool hole = p[0] & 0x40;

		p += 2;
		len -= 2;
		if (hole) {
			hole_in(r, side, n);
			continue;
		}
		n = (uint32_t)PSI_MIN((size_t)n, len);
		fuzz_feed(r, side, p, n, bytes);
		p += n;
		len -= n;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	fuzz_both(data, len, conversation);
	return 0;
}
