/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_fuzz.h: what the fuzz targets of tls share. A conversation is a list of pieces, each of a side, or a hole. It is
 * fed in the pieces as given, and byte by byte; what the parser then knows must be the same. (Not with a hole: where
 * reading begins again depends on what is in sight.) Each piece is an exact-size heap copy. */
#ifndef TLS_FUZZ_H
#define TLS_FUZZ_H

#include "psi_tls.h"

#include <stdio.h>
#include <stdlib.h>

struct fuzz_run {
	struct psi_tls t;
	uint32_t skip[2];
	uint64_t certs; /* a hash of all that the certificate calls said, pieces joined */
	int open;
	bool holes;
};

static void
fuzz_mix(struct fuzz_run *r, uint32_t v)
{
	r->certs = (r->certs ^ v) * 0x100000001b3ull;
}

static void
fuzz_cert_begin(void *ctx, enum psi_dir dir, uint32_t len)
{
	struct fuzz_run *r = (struct fuzz_run *)ctx;

	if (r->open & 1 << dir)
		abort(); /* begun twice */
	r->open |= 1 << dir;
	fuzz_mix(r, 0x100 + dir);
	fuzz_mix(r, len);
}

static void
fuzz_cert_data(void *ctx, enum psi_dir dir, const uint8_t *p, uint32_t len)
{
	struct fuzz_run *r = (struct fuzz_run *)ctx;

	if (!(r->open & 1 << dir) || !len)
		abort();
	for (uint32_t i = 0; i < len; i++)
		fuzz_mix(r, p[i]);
}

static void
fuzz_cert_end(void *ctx, enum psi_dir dir, bool whole)
{
	struct fuzz_run *r = (struct fuzz_run *)ctx;

	if (!(r->open & 1 << dir))
		abort();
	r->open &= ~(1 << dir);
	fuzz_mix(r, 0x200 + whole);
}

static const struct psi_tls_ops fuzz_ops = {fuzz_cert_begin, fuzz_cert_data, fuzz_cert_end};

static void
fuzz_piece(struct fuzz_run *r, unsigned int side, const uint8_t *p, size_t len)
{
	size_t s = PSI_MIN(len, (size_t)r->skip[side]);
	uint8_t *q;

	r->skip[side] -= (uint32_t)s;
	p += s;
	len -= s;
	if (!len)
		return;
	q = (uint8_t *)malloc(len);
	memcpy(q, p, len);
	psi_tls_push(&r->t, side, q, (uint32_t)len, 1, &fuzz_ops, r, &r->skip[side]);
	free(q);
}

static void
fuzz_feed(struct fuzz_run *r, unsigned int side, const uint8_t *p, size_t len, bool bytes)
{
	if (!bytes)
		fuzz_piece(r, side, p, len);
	else
		for (size_t i = 0; i < len; i++)
			fuzz_piece(r, side, p + i, 1);
}

static void
fuzz_bounds(const struct fuzz_run *r)
{
	const struct psi_tls *t = &r->t;

	if (t->alert_cnt > PSI_TLS_ALERT_MAX || t->seq_len > PSI_TLS_SEQ_MAX ||
		t->alpn_len > PSI_TLS_ALPN_MAX || t->alpn_sel_len > PSI_TLS_ALPN_MAX ||
		t->server_ext_cnt > PSI_COUNT(t->server_ext))
		abort();
	for (int l = 0; l < PSI_TLS_LIST_CNT; l++)
		if (t->hello.list[l].at + t->hello.list[l].cnt > PSI_TLS_LIST_MAX)
			abort();
	for (unsigned int i = 0; i < t->alpn_len; i += 1u + t->client_alpns[i])
		if (i + 1u + t->client_alpns[i] > t->alpn_len)
			abort();
	psi_tls_phase(t);
}

static bool
fuzz_side_same(const struct psi_tls_side *a, const struct psi_tls_side *b)
{
	return a->ccs == b->ccs && a->fin == b->fin && a->err == b->err &&
	       a->rec_version == b->rec_version && a->enc_cnt == b->enc_cnt &&
	       a->enc_max == b->enc_max && a->enc_at_sh == b->enc_at_sh &&
	       a->enc_bytes == b->enc_bytes && a->app_bytes == b->app_bytes &&
	       memcmp(a->enc_len, b->enc_len, sizeof(a->enc_len)) == 0 &&
	       memcmp(a->enc_peer, b->enc_peer, sizeof(a->enc_peer)) == 0 &&
	       memcmp(a->enc_type, b->enc_type, sizeof(a->enc_type)) == 0;
}

/* Feeds what `conversation` makes of the input in both ways, and compares. */
static void
fuzz_both(const uint8_t *data, size_t len,
	void (*conversation)(struct fuzz_run *, const uint8_t *, size_t, bool))
{
	static struct fuzz_run r[2];

	for (int i = 0; i < 2; i++) {
		r[i] = (struct fuzz_run){.certs = 1};
		psi_tls_init(&r[i].t);
		conversation(&r[i], data, len, i);
		fuzz_bounds(&r[i]);
	}
	if (r[0].holes)
		return;
	if (memcmp(&r[0].t, &r[1].t, offsetof(struct psi_tls, side)) != 0 ||
		!fuzz_side_same(&r[0].t.side[0], &r[1].t.side[0]) ||
		!fuzz_side_same(&r[0].t.side[1], &r[1].t.side[1]) || r[0].certs != r[1].certs) {
		fprintf(stderr, "the same bytes, cut otherwise, say something else\n");
		abort();
	}
}

#endif
