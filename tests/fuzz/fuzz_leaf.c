/* SPDX-License-Identifier: BSD-3-Clause */
/* A leaf that trust_leaf.c takes for an everyday one: libcrypto must be able to decode what is not compared with other leaves
 * of its kind, and find nothing there that matters to a path; dates and names must be those that are read otherwise. */
#include "trust_pvt.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <stdlib.h>

#define MUST(cond)               \
	do {                     \
		if (!(cond))     \
			abort(); \
	} while (0)

static void
check_key(X509 *x, const struct leaf *l)
{
	EC_GROUP *group = l->curve == NID_undef ? NULL : EC_GROUP_new_by_curve_name(l->curve);
	EC_POINT *point = group ? EC_POINT_new(group) : NULL;
	bool sound = !group || (point && EC_POINT_oct2point(group, point, l->point.p, l->point.len,
						 NULL) == 1);

	MUST((X509_get0_pubkey(x) != NULL) == sound);
	EC_POINT_free(point);
	EC_GROUP_free(group);
}

/* The extension can be decoded if there is one of its kind, and not two. */
static void *
extension(X509 *x, int nid)
{
	int critical;
	void *v = X509_get_ext_d2i(x, nid, &critical, NULL);

	MUST(v || critical < 0);
	return v;
}

static void
check_names(const struct leaf *l, const uint8_t *p, size_t len)
{
	static struct psi_x509_ctx *reader;
	static struct psi_x509 f;
	static uint8_t a[65536], b[65536];
	enum psi_x509_san kind;
	const uint8_t *name;
	uint32_t at = 0, name_len, n = 0;

	if (!reader)
		reader = psi_x509_open();
	MUST(reader);
	psi_x509_begin(reader, &f);
	psi_x509_push(reader, p, (uint32_t)len);
	if (psi_x509_end(reader) != PSI_OK)
		return;
	while (psi_x509_san_next(&f, &at, &kind, &name, &name_len))
		if (kind == PSI_SAN_DNS)
			n = name_put(b, n, name, name_len);
	MUST(!(f.note & PSI_X509_SAN_CUT) && f.not_before == l->from && f.not_after == l->to);
	MUST(leaf_names(l, a) == n && memcmp(a, b, n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct leaf l;
	struct psi_trust_der der = {data, (uint32_t)len};
	const uint8_t *p = data;
	time_t some = 1717200000;
	X509 *x;

	if (len > 65536 || !leaf_read(&l, &der))
		return 0;
	/* What all leaves of a kind have in common may be broken: then libcrypto refuses the first of them. */
	x = d2i_X509(NULL, &p, (long)len);
	if (x) {
		MUST(p == data + len);
		check_key(x, &l);
		ASN1_OCTET_STRING_free(extension(x, NID_subject_key_identifier));
		GENERAL_NAMES_free(extension(x, NID_subject_alt_name));
		MUST(X509_NAME_cmp(X509_get_subject_name(x), X509_get_issuer_name(x)) != 0);
		MUST(!(X509_get_extension_flags(x) & EXFLAG_SI));
		MUST(seconds(X509_get0_notBefore(x)) == l.from &&
			seconds(X509_get0_notAfter(x)) == l.to);
		MUST(X509_cmp_time(X509_get0_notBefore(x), &some) != 0 &&
			X509_cmp_time(X509_get0_notAfter(x), &some) != 0);
		check_names(&l, data, len);
	}
	X509_free(x);
	ERR_clear_error();
	return 0;
}
