/* SPDX-License-Identifier: BSD-3-Clause */
/* What a handshake costs the parser, and a record of application data, beside a baseline that adds up the same bytes.
 * Handshakes come in segments of 1448 bytes and into a fresh state each; certificates go to functions that do nothing.
 * Nanoseconds, best of many rounds of a batch. */
#include "bench.h"
#include "psi_tls.h"

#include <stdio.h>

#define BATCH  64
#define ROUNDS 300
#define SEG    1448

struct flight {
	unsigned int side;
	uint32_t len;
	uint8_t b[8192];
};

static struct flight full12[4], full13[3], data[1];
static struct psi_tls state[BATCH];

static void
put(struct flight *f, const void *p, uint32_t n)
{
	memcpy(f->b + f->len, p, n);
	f->len += n;
}

static void
record(struct flight *f, uint8_t type, uint32_t len)
{
	uint8_t h[5] = {type, 3, 3, (uint8_t)(len >> 8), (uint8_t)len};

	put(f, h, 5);
	memset(f->b + f->len, 0xee, len);
	f->len += len;
}

/* A record with one message, whose body is zeros but for what is given. */
static void
message(struct flight *f, uint8_t type, uint32_t len, const void *body, uint32_t body_len)
{
	uint8_t h[9] = {22, 3, 3, (uint8_t)((len + 4) >> 8), (uint8_t)(len + 4), type, 0,
		(uint8_t)(len >> 8), (uint8_t)len};

	put(f, h, 9);
	memset(f->b + f->len, 0, len);
	memcpy(f->b + f->len, body, body_len);
	f->len += len;
}

/* The size and make of a browser's: 16 suites, SNI, two names of ALPN, groups, signature schemes, versions, key share,
 * the rest padding. */
static void
client_hello(struct flight *f)
{
	uint8_t b[508] = {3, 3};
	uint32_t n = 35;
	static const uint8_t ext[] = {0, 0, 0, 18, 0, 16, 0, 0, 13, 'p', 'i', 'n', '.', 'e', 'x',
		'a', 'm', 'p', 'l', 'e', '.', 'c', 0, 16, 0, 14, 0, 12, 2, 'h', '2', 8, 'h', 't',
		't', 'p', '/', '1', '.', '1', 0, 10, 0, 10, 0, 8, 0x1a, 0x1a, 0, 29, 0, 23, 0, 24,
		0, 13, 0, 18, 0, 16, 4, 3, 8, 4, 4, 1, 5, 3, 8, 5, 5, 1, 8, 6, 6, 1, 0, 11, 0, 2, 1,
		0, 0, 43, 0, 5, 4, 3, 4, 3, 3, 0, 35, 0, 0, 0, 23, 0, 0, 0, 51, 0, 38, 0, 36, 0, 29,
		0, 32};

	b[n++] = 0, b[n++] = 32;
	for (unsigned int i = 0; i < 16; i++)
		b[n++] = 0xc0, b[n++] = (uint8_t)(0x20 + i);
	b[n++] = 1, b[n++] = 0;
	b[n] = (uint8_t)((sizeof(b) - n - 2) >> 8), b[n + 1] = (uint8_t)(sizeof(b) - n - 2);
	n += 2;
	memcpy(b + n, ext, sizeof(ext));
	n += sizeof(ext) + 32;
	b[n] = 0, b[n + 1] = 21, b[n + 2] = (uint8_t)((sizeof(b) - n - 4) >> 8),
	b[n + 3] = (uint8_t)(sizeof(b) - n - 4);
	message(f, 1, sizeof(b), b, sizeof(b));
}

static void
build(void)
{
	static const uint8_t sh12[] = {3, 3, [35] = 0xc0, 0x2f, 0, 0, 5, 0xff, 1, 0, 1, 0},
			     sh13[] = {3, 3, [35] = 0x13, 1, 0, 0, 46, 0, 43, 0, 2, 3, 4, 0, 51, 0,
				     36, 0, 29, 0, 32},
			     ske[40] = {3, 0, 29, 32, [36] = 4, 1, 1, 0},
			     ccs[] = {20, 3, 3, 0, 1, 1};
	uint8_t cert[3] = {0, 4200 >> 8, 4200 & 0xff};

	full12[1].side = full12[3].side = full13[1].side = 1;
	client_hello(&full12[0]);
	message(&full12[1], 2, sizeof(sh12), sh12, sizeof(sh12));
	message(&full12[1], 11, 4203, cert, 3);
	message(&full12[1], 12, 4 + 32 + 4 + 256, ske, sizeof(ske));
	message(&full12[1], 14, 0, ske, 0);
	message(&full12[2], 16, 33, ske, 0);
	put(&full12[2], ccs, sizeof(ccs));
	record(&full12[2], 22, 40);
	put(&full12[3], ccs, sizeof(ccs));
	record(&full12[3], 22, 40);
	client_hello(&full13[0]);
	message(&full13[1], 2, 40 + 46, sh13, sizeof(sh13));
	put(&full13[1], ccs, sizeof(ccs));
	record(&full13[1], 23, 4600);
	put(&full13[2], ccs, sizeof(ccs));
	record(&full13[2], 23, 53);
	record(&data[0], 23, 4096);
}

static void
cert_begin(void *ctx, enum psi_dir dir, uint32_t len)
{
}

static void
cert_data(void *ctx, enum psi_dir dir, const uint8_t *p, uint32_t len)
{
}

static void
cert_end(void *ctx, enum psi_dir dir, bool whole)
{
}

static const struct psi_tls_ops ops = {cert_begin, cert_data, cert_end};

static void
parse(struct psi_tls *t, const struct flight *f)
{
	uint32_t skip = 0;

	for (uint32_t at = 0; at < f->len; at += PSI_MIN(SEG, f->len - at)) {
		uint32_t n = PSI_MIN(SEG, f->len - at), s = PSI_MIN(skip, n);

		skip -= s;
		if (s < n)
			psi_tls_push(t, f->side, f->b + at + s, n - s, 1, &ops, NULL, &skip);
	}
}

static uint64_t
add_up(const struct flight *f)
{
	uint64_t sum = 0, v;

	for (uint32_t i = 0; i + 8 <= f->len; i += 8) {
		memcpy(&v, f->b + i, 8);
		sum += v;
	}
	return sum;
}

static double
run(const struct flight *f, size_t n, bool baseline, bool fresh)
{
	double best = 1e18;
	volatile uint64_t sink = 0;

	for (int r = 0; r < ROUNDS; r++) {
		double t = (seconds(CLOCK_MONOTONIC) * 1e9);

		for (int i = 0; i < BATCH; i++) {
			if (fresh && !baseline)
				psi_tls_init(&state[i]);
			for (size_t k = 0; k < n; k++)
				if (baseline)
					sink += add_up(&f[k]);
				else
					parse(&state[i], &f[k]);
		}
		best = PSI_MIN(best, ((seconds(CLOCK_MONOTONIC) * 1e9) - t) / BATCH);
	}
	(void)sink;
	return best;
}

static void
line(const char *what, const struct flight *f, size_t n, bool fresh)
{
	double base = run(f, n, true, fresh), own = run(f, n, false, fresh);
	uint32_t bytes = 0;

	for (size_t k = 0; k < n; k++)
		bytes += f[k].len;
	printf("  %-28s %5u bytes %8.1f ns, adding them up %7.1f ns: ratio %.2f\n", what, bytes,
		own, base, own / base);
}

int
main(void)
{
	build();
	printf("tls: batches of %d, state of %zu bytes a handshake\n", BATCH,
		sizeof(struct psi_tls));
	line("TLS 1.2 handshake", full12, PSI_COUNT(full12), true);
	if (state[0].messages != 0x5578 || state[0].note & PSI_TLS_MALFORMED)
		printf("  (not read as meant: %x %x)\n", state[0].messages, state[0].note);
	line("TLS 1.3 handshake", full13, PSI_COUNT(full13), true);
	if (state[0].version != 0x304 || state[0].note & PSI_TLS_MALFORMED)
		printf("  (not read as meant: %x %x)\n", state[0].version, state[0].note);
	line("record of application data", data, PSI_COUNT(data), false);
	return 0;
}
