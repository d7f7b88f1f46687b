/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust_pvt.h"

#include <stdlib.h>

static uint8_t
lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

static bool
same(const uint8_t *a, uint32_t a_len, const uint8_t *b, uint32_t b_len)
{
	if (a_len != b_len)
		return false;
	for (uint32_t i = 0; i < a_len; i++)
		if (lower(a[i]) != lower(b[i]))
			return false;
	return true;
}

/* Two labels or more, none of them empty: what may stand behind "*.". */
static bool
is_domain(const uint8_t *p, uint32_t len)
{
	uint32_t dots = 0;

	if (!len || p[0] == '.' || p[len - 1] == '.')
		return false;
	for (uint32_t i = 0; i < len; i++) {
		if (p[i] == '*' || (p[i] == '.' && p[i - 1] == '.'))
			return false;
		dots += p[i] == '.';
	}
	return dots > 0;
}

bool
psi_trust_name_matches(
	const uint8_t *presented, uint32_t presented_len, const uint8_t *host, uint32_t host_len)
{
	const uint8_t *dot;
	uint32_t label;

	if (host_len && host[host_len - 1] == '.')
		host_len--;
	if (!host_len || !presented_len)
		return false;
	if (presented_len < 2 || presented[0] != '*')
		return same(presented, presented_len, host, host_len);
	if (presented[1] != '.' || !is_domain(presented + 2, presented_len - 2))
		return false;
	dot = memchr(host, '.', host_len);
	if (!dot || dot == host)
		return false;
	label = (uint32_t)(dot - host);
	return same(presented + 1, presented_len - 1, dot, host_len - label);
}

uint32_t
name_put(uint8_t *to, uint32_t at, const uint8_t *p, uint32_t len)
{
	uint16_t n = (uint16_t)len;

	memcpy(to + at, &n, 2);
	memcpy(to + at + 2, p, len);
	return at + 2 + len;
}

/* The most specific common name, as UTF-8. Its bytes are OPENSSL_free'd by the caller. */
static int
common_name(const X509 *leaf, unsigned char **utf8)
{
	const X509_NAME *name = X509_get_subject_name(leaf);
	int last = -1, i = -1;

	while ((i = X509_NAME_get_index_by_NID(name, NID_commonName, i)) >= 0)
		last = i;
	if (last < 0)
		return -1;
	return ASN1_STRING_to_UTF8(utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, last)));
}

void
names_of(const struct psi_trust *t, const X509 *leaf, struct verdict *v)
{
	const struct psi_x509 *f = &t->fields;
	unsigned char *cn = NULL;
	enum psi_x509_san kind;
	const uint8_t *p;
	uint32_t at = 0, len;
	int cn_len = common_name(leaf, &cn);

	/* no DNS name is longer than its entry among the fields, and a common name here at most 255 bytes */
	v->names = malloc(f->san_len + 2u + 255);
	v->names_cut = (f->note & PSI_X509_SAN_CUT) || f->err || !v->names;
	if (!v->names) {
		OPENSSL_free(cn);
		return;
	}
	while (psi_x509_san_next(f, &at, &kind, &p, &len))
		if (kind == PSI_SAN_DNS) {
			v->names_len = name_put(v->names, v->names_len, p, len);
			v->has_dns = true;
		}
	if (!v->has_dns && cn_len > 0 && cn_len <= 255)
		v->names_len = name_put(v->names, v->names_len, cn, (uint32_t)cn_len);
	OPENSSL_free(cn);
}

uint32_t
names_judge(const struct verdict *v, const uint8_t *host, uint32_t len)
{
	for (uint32_t at = 0; at < v->names_len;) {
		uint16_t n;

		memcpy(&n, v->names + at, 2);
		if (psi_trust_name_matches(v->names + at + 2, n, host, len))
			return v->has_dns ? 0 : PSI_TRUST_name_in_cn_only;
		at += 2u + n;
	}
	return v->names_cut ? 0 : PSI_TRUST_name_mismatch;
}
