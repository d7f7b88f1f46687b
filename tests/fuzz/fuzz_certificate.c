/* SPDX-License-Identifier: BSD-3-Clause */
/* Certificate bytes. The first byte says how long the pieces are that the rest is pushed in; the result must be that of
 * one push, keep its promises (strings end, are valid UTF-8 and free of control characters; entries stay inside their
 * buffer), and be the same through the chain splitter, which then gets the raw bytes as a list, too. */
#include "psi_x509_chain.h"

#include <stdlib.h>

#define MUST(cond)               \
	do {                     \
		if (!(cond))     \
			abort(); \
	} while (0)

/* Well-formed UTF-8 (RFC 3629) without C0, DEL, C1: what a terminal may be given. */
static void
check_text(const char *s, size_t cap)
{
	const uint8_t *p = (const uint8_t *)s;

	MUST(memchr(s, 0, cap));
	while (*p) {
		int n = *p < 0x80		  ? 1
			: *p >= 0xc2 && *p < 0xe0 ? 2
			: *p >> 4 == 14		  ? 3
			: *p >= 0xf0 && *p < 0xf5 ? 4
						  : 0;

		MUST(n && *p >= 0x20 && *p != 0x7f);
		MUST(!(p[0] == 0xc2 && p[1] < 0xa0) && !(p[0] == 0xe0 && p[1] < 0xa0) &&
			!(p[0] == 0xed && p[1] > 0x9f));
		MUST(!(p[0] == 0xf0 && p[1] < 0x90) && !(p[0] == 0xf4 && p[1] > 0x8f));
		while (p++, --n)
			MUST(*p >> 6 == 2);
	}
}

static void
check_result(const struct psi_x509 *c)
{
	enum psi_x509_san kind;
	const uint8_t *p;
	uint32_t at = 0, len, cnt = 0;
	char key[48];

	check_text(c->subject, sizeof(c->subject));
	check_text(c->issuer, sizeof(c->issuer));
	check_text(c->sigalg, sizeof(c->sigalg));
	check_text(c->curve, sizeof(c->curve));
	check_text(psi_x509_key_name(c, key, sizeof(key)), sizeof(key));
	MUST(c->serial_len <= sizeof(c->serial) && c->ski_len <= sizeof(c->ski) &&
		c->aki_len <= sizeof(c->aki));
	while (psi_x509_san_next(c, &at, &kind, &p, &len)) {
		MUST(p >= c->san && p + len <= c->san + c->san_len);
		cnt++;
	}
	MUST(at == c->san_len && cnt <= c->san_cnt && c->san_len <= sizeof(c->san));
	MUST((c->err == PSI_OK) == !!(c->note & PSI_X509_WHOLE));
}

static void
read_cert(struct psi_x509_ctx *x, struct psi_x509 *out, const uint8_t *p, size_t len, size_t step)
{
	psi_x509_begin(x, out);
	for (size_t at = 0; at < len; at += step)
		psi_x509_push(x, p + at, (uint32_t)PSI_MIN(step, len - at));
	psi_x509_end(x);
}

static void
same(const struct psi_x509 *a, const struct psi_x509 *b)
{
	MUST(memcmp(a, b, offsetof(struct psi_x509, san)) == 0 &&
		memcmp(a->san, b->san, a->san_len) == 0);
}

static void
read_list(struct psi_x509_ctx *x, struct psi_x509_chain *c, struct psi_x509 *out, uint32_t max,
	const uint8_t *p, size_t len, size_t step)
{
	psi_x509_chain_begin(c, x, out, max);
	for (size_t at = 0; at < len; at += step)
		psi_x509_chain_push(c, p + at, (uint32_t)PSI_MIN(step, len - at));
	psi_x509_chain_end(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct psi_x509_ctx *x;
	static struct psi_x509 whole, pieces, list[2], again[2];
	struct psi_x509_chain c, d;
	uint8_t lens[6];
	size_t step;

	if (!x && !(x = psi_x509_open()))
		return 0;
	if (len < 2 || len > 1 << 20)
		return 0;
	step = data[0] % 67 + 1u;
	data++;
	len--;
	read_cert(x, &whole, data, len, len);
	check_result(&whole);
	read_cert(x, &pieces, data, len, step);
	same(&whole, &pieces);

	/* the same as the only one of a list */
	lens[0] = (uint8_t)((len + 3) >> 16), lens[1] = (uint8_t)((len + 3) >> 8),
	lens[2] = (uint8_t)(len + 3);
	lens[3] = (uint8_t)(len >> 16), lens[4] = (uint8_t)(len >> 8), lens[5] = (uint8_t)len;
	psi_x509_chain_begin(&c, x, list, 2);
	psi_x509_chain_push(&c, lens, 6);
	psi_x509_chain_push(&c, data, (uint32_t)len);
	MUST(psi_x509_chain_end(&c) == PSI_OK && c.cnt == 1 && c.kept == 1);
	same(&whole, &list[0]);

	/* the bytes as a list of their own */
	read_list(x, &c, list, 2, data, len, len);
	read_list(x, &d, again, 2, data, len, step);
	MUST(c.cnt == d.cnt && c.kept == d.kept && c.err == d.err && c.kept <= 2);
	for (uint32_t i = 0; i < c.kept; i++) {
		check_result(&list[i]);
		same(&list[i], &again[i]);
	}
	return 0;
}
