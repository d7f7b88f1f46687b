/* SPDX-License-Identifier: BSD-3-Clause */
/* Cycles (time-stamp counter) per certificate: our reader over one certificate in one piece and in pieces of 100
 * bytes, beside two baselines of the same run: SHA-1 and SHA-256 of the same bytes, which are part of
 * the work, and libcrypto's d2i_X509. Then per chain: a check by libcrypto, and an answer from the cache. */
#include "bench.h"
#include "psi_trust.h"
#include "psi_x509.h"

#include "../unit/trust_certs.h"
#include "../unit/x509_cert.h"

#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/pem.h>
#include <openssl/sha.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BATCH  64
#define ROUNDS 200

struct work {
	struct psi_x509_ctx *reader;
	struct psi_trust *trust;
	const uint8_t *p;
	uint32_t len, step;
	uint64_t key;
};

static struct psi_x509 out;
static const struct psi_trust_der chain[] = {
	{trust_leaf, sizeof(trust_leaf)},
	{trust_inter, sizeof(trust_inter)},
};

static void
ours(struct work *w)
{
	psi_x509_begin(w->reader, &out);
	for (uint32_t at = 0; at < w->len; at += w->step)
		psi_x509_push(w->reader, w->p + at, PSI_MIN(w->step, w->len - at));
	if (psi_x509_end(w->reader) != PSI_OK)
		abort();
}

static void
hashes(struct work *w)
{
	SHA1(w->p, w->len, out.sha1);
	SHA256(w->p, w->len, out.sha256);
}

static void
libcrypto(struct work *w)
{
	const uint8_t *p = w->p;
	X509 *x = d2i_X509(NULL, &p, w->len);

	if (!x)
		abort();
	X509_free(x);
}

/* early: right where the root begins to be valid no kind of leaf is remembered (trust_kind.c), so that libcrypto judges. */
static void
trust(struct work *w, bool fresh, bool early)
{
	struct psi_trust_query q = {.key = {w->key += fresh, 1},
		.sni = (const uint8_t *)"x.a.example",
		.sni_len = 11,
		.time_s = early ? 1577836800 : 1717200000}; /* 2020-01-01, 2024-06-01 */
	struct psi_trust_result r;

	psi_trust_check(w->trust, &q, chain, 2, &r);
	if (r.status != (early ? PSI_CERT_NOT_VALID_YET : PSI_CERT_VALID) || r.findings)
		abort();
}

static void
trust_early(struct work *w)
{
	trust(w, true, true);
}

static void
trust_miss(struct work *w)
{
	trust(w, true, false);
}

static void
trust_hit(struct work *w)
{
	trust(w, false, false);
}

/* The best of ROUNDS batches. */
static double
run(struct work *w, void (*fn)(struct work *))
{
	uint64_t best = UINT64_MAX;

	for (int r = 0; r < ROUNDS; r++) {
		uint64_t t = ticks();

		for (int i = 0; i < BATCH; i++)
			fn(w);
		t = ticks() - t;
		best = PSI_MIN(best, t);
	}
	return (double)best / BATCH;
}

static void
certificate(struct work *w, const char *name, const uint8_t *p, uint32_t len)
{
	double base, whole, pieces, other;

	*w = (struct work){.reader = w->reader, .trust = w->trust, .p = p, .len = len, .step = len};
	base = run(w, hashes);
	whole = run(w, ours);
	w->step = 100;
	pieces = run(w, ours);
	other = run(w, libcrypto);
	printf("%-26s %5u bytes  hashes %6.0f  psi_x509 %6.0f (%.2f)  in pieces of 100 %6.0f (%.2f)  d2i_X509 %7.0f (%.2f)\n",
		name, len, base, whole, whole / base, pieces, pieces / base, other, other / base);
}

/* The root as a PEM file, because that is what psi_trust_open reads. */
static struct psi_trust *
open_trust(void)
{
	char path[] = "/tmp/bench_x509.XXXXXX";
	struct psi_trust_config cfg = {.roots = path, .cache_max = 65536, .ttl_s = 3600};
	const uint8_t *p = trust_root;
	X509 *x = d2i_X509(NULL, &p, sizeof(trust_root));
	int fd = mkstemp(path);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	struct psi_trust *t = NULL;

	if (f && x && PEM_write_X509(f, x) && !fclose(f))
		t = psi_trust_open(&cfg, NULL);
	unlink(path);
	X509_free(x);
	return t;
}

int
main(void)
{
	struct work w = {.reader = psi_x509_open(), .trust = open_trust()};
	double early, miss, hit;

	if (!w.reader || !w.trust)
		return 1;
	printf("cycles per certificate, best of %d batches of %d\n", ROUNDS, BATCH);
	certificate(&w, "leaf, P-256", trust_leaf, sizeof(trust_leaf));
	certificate(&w, "all extensions, P-256", cert_rich, sizeof(cert_rich));
	early = run(&w, trust_early);
	miss = run(&w, trust_miss);
	hit = run(&w, trust_hit);
	printf("chain of 2 below a root: checked %.0f, its leaf of a known kind %.0f, from the cache %.0f\n",
		early, miss, hit);
	psi_trust_close(w.trust);
	psi_x509_close(w.reader);
	return 0;
}
