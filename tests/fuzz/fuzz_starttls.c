/* SPDX-License-Identifier: BSD-3-Clause */
/* A dialogue: pieces with two bytes before each, big-endian: the side (bit 15), a hole instead of bytes (bit 14), and a
 * length. Fed as given and byte by byte, TLS must begin at the same place. */
#include "psi_tls.h"
#include "psi_tls_start.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct run {
	struct psi_tls_start s;
	uint32_t seen[2], at[2];
	bool over;
};

static void
feed(struct run *r, unsigned int side, const uint8_t *p, size_t len)
{
	const uint8_t *held;
	uint32_t consumed, n;
	uint8_t *q;
	int rc;

	r->seen[side] += (uint32_t)len;
	if (r->over || !len || psi_tls_start_done(&r->s, side))
		return;
	q = (uint8_t *)malloc(len);
	memcpy(q, p, len);
	rc = psi_tls_start_push(&r->s, side, q, (uint32_t)len, &consumed);
	free(q);
	if (consumed > len || (rc == PSI_E_AGAIN && consumed != len) ||
		(rc == PSI_OK) != psi_tls_start_done(&r->s, side))
		abort();
	r->over = rc == PSI_E_NOT_TLS;
	if (rc != PSI_OK)
		return;
	n = psi_tls_start_held(&r->s, side, &held);
	if (n > 4 || (n && psi_tls_probe(held, n) == PSI_E_NOT_TLS))
		abort();
	r->at[side] = r->seen[side] - (uint32_t)len + consumed - n;
}

static void
hole(struct run *r, unsigned int side, uint32_t len)
{
	r->seen[side] += len;
	if (r->over || psi_tls_start_done(&r->s, side))
		return;
	r->over = psi_tls_start_gap(&r->s, side, len) == PSI_E_NOT_TLS;
}

static void
dialogue(struct run *r, const uint8_t *p, size_t len, bool bytes)
{
	*r = (struct run){.over = false};
	psi_tls_start_init(&r->s);
	while (len >= 2) {
		unsigned int side = p[0] >> 7;
		uint32_t n = (uint32_t)(p[0] & 0x3f) << 8 | p[1];
		bool lost = p[0] & 0x40;

		p += 2;
		len -= 2;
		if (lost) {
			hole(r, side, n);
			continue;
		}
		n = (uint32_t)PSI_MIN((size_t)n, len);
		for (uint32_t i = 0; bytes && i < n; i++)
			feed(r, side, p + i, 1);
		if (!bytes)
			feed(r, side, p, n);
		p += n;
		len -= n;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct run a, b;

	if (len > PSI_TLS_START_BYTES)
		return 0; /* that bound is kept at the end of a piece */
	dialogue(&a, data, len, false);
	dialogue(&b, data, len, true);
	if (a.over != b.over || a.at[0] != b.at[0] || a.at[1] != b.at[1] ||
		a.s.proto != b.s.proto || a.s.via != b.s.via || a.s.asked != b.s.asked ||
		a.s.target_len != b.s.target_len ||
		memcmp(a.s.target, b.s.target, a.s.target_len) != 0) {
		fprintf(stderr, "the same bytes, cut otherwise, say something else\n");
		abort();
	}
	return 0;
}
