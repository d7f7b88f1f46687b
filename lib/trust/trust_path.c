/* SPDX-License-Identifier: BSD-3-Clause */
/* libcrypto's part. X509_verify_cert runs with a callback that never stops it, so that every complaint is heard, and each
 * complaint becomes a status bit or a finding. Dates and revocation are only noted: they are judged per call. The path
 * is still built for the packet's time, because libcrypto prefers issuers that are valid then. */
#include "trust_pvt.h"

#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/x509v3.h>

#include <time.h>

#define LONG_VALIDITY_S (398ll * 86400)
#define TRIES_MAX	6 /* further paths tried where a list has several issuers of one name */

struct sent {
	X509 *cert[PSI_TRUST_CHAIN_MAX]; /* those that could be read, in the order sent */
	uint32_t cnt;
	STACK_OF(X509) * others; /* all but the first */
	STACK_OF(X509) * path;	 /* that was found; NULL when there was more than one to try */
};

/* The callback's view. */
struct hearing {
	struct verdict *v;
	bool no_roots;
	uint64_t crl_bad; /* bit per depth: the CRL at hand does not count */
	uint64_t
		no_ca; /* bit per depth: said to be no CA, which is said again as its being unfit for the purpose */
};

int64_t
seconds(const ASN1_TIME *at)
{
	struct tm tm;

	return at && ASN1_TIME_to_tm(at, &tm) ? timegm(&tm) : INT64_MIN;
}

static bool
self_issued(const X509 *x)
{
	return X509_NAME_cmp(X509_get_subject_name(x), X509_get_issuer_name(x)) == 0;
}

/* ---- each certificate by itself ---- */

static bool
weak_key(const struct psi_x509 *f)
{
	switch ((enum psi_x509_key)f->key_type) {
	case PSI_KEY_RSA:
	case PSI_KEY_RSA_PSS:
	case PSI_KEY_DSA:
	case PSI_KEY_DH: return f->key_bits && f->key_bits < 2048;
	case PSI_KEY_EC: return f->key_bits && f->key_bits < 224;
	default: return false;
	}
}

/* A root's signature over itself proves nothing, so it cannot be weak. */
static bool
weak_signature(X509 *x)
{
	int md = NID_undef;

	if (self_issued(x))
		return false;
	if (!X509_get_signature_info(x, &md, NULL, NULL, NULL))
		OBJ_find_sigid_algs(X509_get_signature_nid(x), &md, NULL);
	switch (md) {
	case NID_md2:
	case NID_md4:
	case NID_md5:
	case NID_sha:
	case NID_sha1: return true;
	}
	return false;
}

static X509 *
decode(struct psi_trust *t, const struct psi_trust_der *der)
{
	const uint8_t *p = der->p;
	X509 *x;

	psi_x509_begin(t->reader, &t->fields);
	psi_x509_push(t->reader, der->p, der->len);
	psi_x509_end(t->reader);
	x = der->len ? d2i_X509(NULL, &p, (long)der->len) : NULL;
	if (x && p != der->p + der->len) {
		X509_free(x);
		x = NULL;
	}
	return x;
}

/* Reads the list. False when there is no leaf, or no memory. */
static bool
take(struct psi_trust *t, const struct psi_trust_der *chain, uint32_t cnt, struct sent *s,
	struct verdict *v)
{
	s->others = sk_X509_new_null();
	for (uint32_t i = 0; s->others && i < cnt; i++) {
		X509 *x = decode(t, &chain[i]);

		if (!x)
			v->findings |= PSI_TRUST_malformed;
		if (!x && i == 0)
			return false;
		if (!x)
			continue;
		if (i == 0)
			names_of(t, x, v);
		v->findings |= weak_key(&t->fields) ? PSI_TRUST_weak_key : 0;
		v->findings |= weak_signature(x) ? PSI_TRUST_weak_signature : 0;
		v->findings |= i && self_issued(x) ? PSI_TRUST_root_sent : 0;
		s->cert[s->cnt++] = x;
		want_roots(t, x);
		if (i && !sk_X509_push(s->others, x))
			return false;
	}
	return s->cnt > 0;
}

static void
drop_path(struct sent *s)
{
	sk_X509_pop_free(s->path, X509_free);
	s->path = NULL;
}

static void
give(struct sent *s)
{
	drop_path(s);
	sk_X509_free(s->others);
	for (uint32_t i = 0; i < s->cnt; i++)
		X509_free(s->cert[i]);
}

/* ---- the list as a list ---- */

/* Who issued cert[at]? The next one if that fits, else one further on, else one further up; `used` ones are out. */
static uint32_t
issuer_in_list(const struct sent *s, uint32_t at, uint32_t used)
{
	const X509_NAME *name = X509_get_issuer_name(s->cert[at]);

	for (uint32_t k = 1; k < s->cnt; k++) {
		uint32_t i = (at + k) % s->cnt;

		if (!(used & 1u << i) &&
			X509_NAME_cmp(name, X509_get_subject_name(s->cert[i])) == 0)
			return i;
	}
	return NONE;
}

static uint32_t
order(const struct sent *s)
{
	uint32_t findings = 0, used = 1, at = 0;

	while (!self_issued(s->cert[at])) {
		uint32_t next = issuer_in_list(s, at, used);

		if (next == NONE)
			break;
		if (next < at)
			findings |= PSI_TRUST_wrong_order;
		used |= 1u << next;
		at = next;
	}
	if ((uint32_t)__builtin_popcount(used) < s->cnt)
		findings |= PSI_TRUST_extra_certificates;
	return findings;
}

/* ---- the path ---- */

static void
heard_revoked(X509_STORE_CTX *ctx, struct hearing *h, int depth)
{
	X509_CRL *crl = X509_STORE_CTX_get0_current_crl(ctx);
	X509_REVOKED *row = NULL;
	int64_t at;

	if (h->crl_bad & 1ull << (depth & 63))
		return;
	if (!crl || X509_CRL_get0_by_cert(crl, &row, X509_STORE_CTX_get_current_cert(ctx)) != 1 ||
		!row)
		at = INT64_MIN;
	else
		at = seconds(X509_REVOKED_get0_revocationDate(row));
	h->v->revoked_at = PSI_MIN(h->v->revoked_at, at);
}

static void
add(struct verdict *v, uint32_t status, uint32_t findings)
{
	v->status |= status;
	v->findings |= findings;
}

/* Complaints about CRLs. True when err is one. */
static bool
heard_crl(X509_STORE_CTX *ctx, struct hearing *h, int err, int depth)
{
	switch (err) {
	case X509_V_ERR_CERT_REVOKED: heard_revoked(ctx, h, depth); return true;
	case X509_V_ERR_UNABLE_TO_GET_CRL: /* most issuers have none here */
	case X509_V_ERR_CRL_NOT_YET_VALID: /* what it revoked is revoked */
	case X509_V_ERR_CRL_HAS_EXPIRED:
	case X509_V_ERR_ERROR_IN_CRL_LAST_UPDATE_FIELD:
	case X509_V_ERR_ERROR_IN_CRL_NEXT_UPDATE_FIELD: return true;
	case X509_V_ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE:
	case X509_V_ERR_CRL_SIGNATURE_FAILURE:
	case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
	case X509_V_ERR_KEYUSAGE_NO_CRL_SIGN:
	case X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION:
	case X509_V_ERR_DIFFERENT_CRL_SCOPE:
	case X509_V_ERR_CRL_PATH_VALIDATION_ERROR: h->crl_bad |= 1ull << (depth & 63); return true;
	}
	return false;
}

static void
heard(struct hearing *h, int err, int depth)
{
	uint64_t here = 1ull << (depth & 63);
	struct verdict *v = h->v;
	uint32_t no_path = h->no_roots ? PSI_CERT_UNKNOWN : PSI_CERT_INVALID_ISSUER;

	switch (err) {
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
		add(v, no_path, h->no_roots ? 0 : PSI_TRUST_missing_intermediate);
		break;
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN: add(v, no_path, 0); break;
	case X509_V_ERR_CERT_UNTRUSTED:
	case X509_V_ERR_CERT_REJECTED:
	case X509_V_ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY:
		add(v, PSI_CERT_INVALID_ISSUER, 0);
		break;
	case X509_V_ERR_UNABLE_TO_DECRYPT_CERT_SIGNATURE:
	case X509_V_ERR_CERT_SIGNATURE_FAILURE: add(v, PSI_CERT_INVALID_SIGNATURE, 0); break;
	case X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD:
	case X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD:
		add(v, PSI_CERT_UNKNOWN, PSI_TRUST_bad_dates);
		break;
	case X509_V_ERR_INVALID_CA:
	case X509_V_ERR_INVALID_NON_CA:
	case X509_V_ERR_KEYUSAGE_NO_CERTSIGN:
		h->no_ca |= here;
		add(v, PSI_CERT_INVALID_ISSUER, PSI_TRUST_issuer_not_ca);
		break;
	case X509_V_ERR_CERT_CHAIN_TOO_LONG:
	case X509_V_ERR_PATH_LENGTH_EXCEEDED:
		add(v, PSI_CERT_INVALID_ISSUER, PSI_TRUST_path_too_long);
		break;
	case X509_V_ERR_PERMITTED_VIOLATION:
	case X509_V_ERR_EXCLUDED_VIOLATION:
	case X509_V_ERR_SUBTREE_MINMAX:
	case X509_V_ERR_UNSUPPORTED_CONSTRAINT_TYPE:
	case X509_V_ERR_UNSUPPORTED_CONSTRAINT_SYNTAX:
	case X509_V_ERR_UNSUPPORTED_NAME_SYNTAX:
		add(v, PSI_CERT_INVALID_ISSUER, PSI_TRUST_name_constraint);
		break;
	case X509_V_ERR_INVALID_PURPOSE:
		if (!(h->no_ca & here))
			add(v, PSI_CERT_UNKNOWN, PSI_TRUST_wrong_eku);
		break;
	case X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION:
		add(v, PSI_CERT_UNKNOWN, PSI_TRUST_unknown_critical);
		break;
	default: add(v, PSI_CERT_UNKNOWN, PSI_TRUST_other); break;
	}
}

static int
on_verify(int ok, X509_STORE_CTX *ctx)
{
	struct hearing *h = X509_STORE_CTX_get_app_data(ctx);
	int err = X509_STORE_CTX_get_error(ctx), depth = X509_STORE_CTX_get_error_depth(ctx);

	if (ok || err == X509_V_ERR_CERT_HAS_EXPIRED || err == X509_V_ERR_CERT_NOT_YET_VALID)
		return 1;
	if (heard_crl(ctx, h, err, depth))
		return 1;
	if (!h->v->error)
		h->v->error = err;
	heard(h, err, depth);
	return 1;
}

/* The validity of the issuers in the path. */
static void
path_dates(const STACK_OF(X509) * path, struct verdict *v)
{
	v->path_cnt = (uint32_t)sk_X509_num(path);
	for (int i = 1; i < sk_X509_num(path); i++) {
		const X509 *x = sk_X509_value(path, i);
		int64_t from = seconds(X509_get0_notBefore(x)), to = seconds(X509_get0_notAfter(x));

		if (from != INT64_MIN)
			v->path_from = PSI_MAX(v->path_from, from);
		if (to != INT64_MIN)
			v->path_to = PSI_MIN(v->path_to, to);
	}
}

/* The key of the last certificate: pins of applications often name a root, which servers do not send. */
static void
path_root(const STACK_OF(X509) * path, struct verdict *v)
{
	const X509 *x = sk_X509_value(path, sk_X509_num(path) - 1);
	unsigned char *der = NULL;
	int len = x ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der) : 0;
	unsigned int n;

	v->has_root =
		len > 0 && EVP_Digest(der, (size_t)len, v->root_spki, &n, EVP_sha256(), NULL) == 1;
	OPENSSL_free(der);
}

static bool
verify(struct psi_trust *t, enum psi_trust_role role, int64_t time_s, struct sent *s,
	STACK_OF(X509) * others, struct verdict *v)
{
	struct hearing h = {.v = v, .no_roots = t->roots == 0};
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509_VERIFY_PARAM *param;
	bool ok = ctx && X509_STORE_CTX_init(ctx, t->store, s->cert[0], others);

	if (ok) {
		param = X509_STORE_CTX_get0_param(ctx);
		X509_VERIFY_PARAM_set_time(param, (time_t)time_s);
		if (t->crls)
			X509_VERIFY_PARAM_set_flags(
				param, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
		ok = X509_STORE_CTX_set_purpose(ctx, role == PSI_TRUST_SERVER
							     ? X509_PURPOSE_SSL_SERVER
							     : X509_PURPOSE_SSL_CLIENT);
		X509_STORE_CTX_set_verify_cb(ctx, on_verify);
		X509_STORE_CTX_set_app_data(ctx, &h);
	}
	if (ok) {
		/* negative: it could not judge (memory, a key it cannot use) */
		if (X509_verify_cert(ctx) <= 0 && !v->error)
			add(v, PSI_CERT_UNKNOWN, PSI_TRUST_other);
		path_dates(X509_STORE_CTX_get0_chain(ctx), v);
		path_root(X509_STORE_CTX_get0_chain(ctx), v);
		if (others == s->others)
			s->path = X509_STORE_CTX_get1_chain(ctx);
	}
	X509_STORE_CTX_free(ctx);
	return ok;
}

/* Another certificate of the list has the same subject as cert[i]: cross-signing, or a renewed issuer. */
static bool
has_twin(const struct sent *s, uint32_t i)
{
	for (uint32_t k = 1; k < s->cnt; k++)
		if (k != i && X509_NAME_cmp(X509_get_subject_name(s->cert[i]),
				      X509_get_subject_name(s->cert[k])) == 0)
			return true;
	return false;
}

/* libcrypto follows the first issuer whose name fits, and does not come back when that leads nowhere. Where the list has
 * two of a name, the path is tried again without one of them, so that "no path" is true. */
static bool
verify_any(struct psi_trust *t, enum psi_trust_role role, int64_t time_s, struct sent *s,
	struct verdict *v)
{
	struct verdict before = *v;
	uint32_t tries = 0;

	if (!verify(t, role, time_s, s, s->others, v))
		return false;
	for (uint32_t i = 1; i < s->cnt && (v->status & PSI_CERT_INVALID_ISSUER); i++) {
		STACK_OF(X509) * fewer;
		struct verdict again = before;

		if (!has_twin(s, i))
			continue;
		if (tries++ == TRIES_MAX)
			break;
		drop_path(s);
		fewer = sk_X509_dup(s->others);
		if (fewer)
			sk_X509_delete_ptr(fewer, s->cert[i]);
		if (fewer && verify(t, role, time_s, s, fewer, &again) && !again.status)
			*v = again;
		sk_X509_free(fewer);
	}
	return true;
}

/* The leaf's own signature. libcrypto takes a certificate as self-signed by its names alone. */
static void
self_signed(X509 *leaf, struct verdict *v)
{
	if (!self_issued(leaf))
		return;
	if (X509_get0_pubkey(leaf) && X509_verify(leaf, X509_get0_pubkey(leaf)) == 1)
		v->status |= PSI_CERT_SELF_SIGNED;
	else if (v->path_cnt <= 1)
		v->status |= PSI_CERT_INVALID_SIGNATURE;
}

uint32_t
long_validity(bool ca, int64_t from, int64_t to)
{
	/* both ends are part of it: RFC 5280 4.1.2.5 */
	return !ca && to - from + 1 > LONG_VALIDITY_S ? PSI_TRUST_long_validity : 0;
}

static void
leaf_dates(X509 *leaf, struct verdict *v)
{
	int64_t from = seconds(X509_get0_notBefore(leaf)), to = seconds(X509_get0_notAfter(leaf));

	if (from == INT64_MIN || to == INT64_MIN) {
		add(v, PSI_CERT_UNKNOWN, PSI_TRUST_bad_dates);
		return;
	}
	v->leaf_from = from;
	v->leaf_to = to;
	v->findings |= long_validity(X509_check_ca(leaf), from, to);
}

void
path_check(struct psi_trust *t, enum psi_trust_role role, int64_t time_s,
	const struct psi_trust_der *chain, uint32_t cnt, struct verdict *v)
{
	struct sent s = {.cnt = 0};

	*v = (struct verdict){
		.leaf_from = INT64_MIN,
		.leaf_to = INT64_MAX,
		.path_from = INT64_MIN,
		.path_to = INT64_MAX,
		.revoked_at = INT64_MAX,
	};
	if (take(t, chain, cnt, &s, v) && verify_any(t, role, time_s, &s, v)) {
		v->findings |= order(&s);
		self_signed(s.cert[0], v);
		leaf_dates(s.cert[0], v);
		if (!t->roots)
			v->status |= PSI_CERT_UNKNOWN;
	} else {
		v->status = PSI_CERT_UNKNOWN;
	}
	if (!t->roots || v->status & (PSI_CERT_INVALID_ISSUER | PSI_CERT_INVALID_SIGNATURE) ||
		v->findings & PSI_TRUST_other)
		v->has_root = false;
	if (!v->has_root)
		memset(v->root_spki, 0, sizeof(v->root_spki));
	if (s.path)
		kind_learn(t, time_s, s.cert[0], s.others, s.path, v);
	give(&s);
	ERR_clear_error();
}
