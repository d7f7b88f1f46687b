/* SPDX-License-Identifier: BSD-3-Clause */
/* Kinds of leaves. A CA issues by a template: of two of its leaves, sent with the same issuers, all is the same that
 * decides over the path. What is left is the signature: the second one's verdict is the first one's if both are signed by
 * the path's issuer, or both are not. So when libcrypto has judged a leaf, its kind is kept, and the next of that kind
 * costs one signature. Whatever does not fit
 * exactly goes to libcrypto. A kind is good for times at which no certificate that a path could go through begins or ends to
 * be valid: the choice among issuers of one name depends on that. */
#include "trust_pvt.h"

#include <openssl/ec.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define SETS	  128
#define WAYS	  4 /* kinds in a set; the one not used for longest goes */
#define ASKED_MAX (24u * 1024)
#define EDGE_S \
	2 /* openssl ends a validity a second early: nearer to an end than this, no kind is made */

struct kind {
	uint64_t hash, used;
	int64_t from, to;
	EVP_PKEY_CTX *issuer; /* NULL: the path is the leaf alone, no signature was checked */
	int md;
	bool ca;	     /* the leaf could issue */
	bool judged[2];	     /* by whether the signature verifies */
	struct verdict v[2]; /* likewise; without a leaf's particulars */
	uint32_t len;
	uint8_t bytes[]; /* as asked */
};

struct kinds {
	struct kind *at[SETS][WAYS];
	uint64_t now; /* counts uses */
	EC_GROUP *group[3];
	/* What is asked: role, what the leaf has in common with others of its kind, and the rest of the list. */
	struct leaf leaf;
	uint32_t len; /* 0: not an everyday leaf */
	uint8_t asked[ASKED_MAX];
	/* The ends of validity of what is in the store, when it held so many objects. */
	int64_t *edge;
	uint32_t edge_cnt, objects;
};

struct kinds *
kinds_open(void)
{
	return calloc(1, sizeof(struct kinds));
}

static void
kind_free(struct kind *k)
{
	if (k)
		EVP_PKEY_CTX_free(k->issuer);
	free(k);
}

void
kinds_close(struct kinds *s)
{
	if (!s)
		return;
	for (int i = 0; i < SETS * WAYS; i++)
		kind_free(s->at[i / WAYS][i % WAYS]);
	for (size_t i = 0; i < PSI_COUNT(s->group); i++)
		EC_GROUP_free(s->group[i]);
	free(s->edge);
	free(s);
}

uint32_t
kinds_cnt(const struct kinds *s)
{
	uint32_t n = 0;

	for (int i = 0; i < SETS * WAYS; i++)
		n += s->at[i / WAYS][i % WAYS] != NULL;
	return n;
}

/* ---- what is asked ---- */

static bool
put(struct kinds *s, const uint8_t *p, uint32_t len)
{
	if (len + sizeof(len) > ASKED_MAX - s->len)
		return false;
	memcpy(s->asked + s->len, &len, sizeof(len));
	memcpy(s->asked + s->len + sizeof(len), p, len);
	s->len += (uint32_t)sizeof(len) + len;
	return true;
}

/* False, and nothing asked, when the leaf is no everyday one or the list is too long. */
static bool
ask(struct kinds *s, enum psi_trust_role role, const struct psi_trust_der *chain, uint32_t cnt)
{
	bool ok = cnt && leaf_read(&s->leaf, chain);

	s->asked[0] = (uint8_t)role;
	s->len = 1;
	ok = ok && put(s, s->leaf.same, s->leaf.same_len);
	for (uint32_t i = 1; ok && i < cnt; i++)
		ok = put(s, chain[i].p, chain[i].len);
	if (!ok)
		s->len = 0;
	return ok;
}

static struct kind **
set_of(struct kinds *s, uint64_t hash)
{
	return s->at[hash % SETS];
}

static bool
is_asked(const struct kinds *s, const struct kind *k)
{
	return k->len == s->len && memcmp(k->bytes, s->asked, s->len) == 0;
}

static struct kind **
find(struct kinds *s, uint64_t hash)
{
	struct kind **set = set_of(s, hash);

	for (int i = 0; i < WAYS; i++)
		if (set[i] && set[i]->hash == hash && is_asked(s, set[i]))
			return &set[i];
	return NULL;
}

/* ---- a further leaf ---- */

/* Whether libcrypto would take the key: a point has to be on its curve. */
static bool
key_is_sound(struct kinds *s, const struct leaf *l)
{
	EC_GROUP **g = &s->group[l->curve == NID_secp384r1 ? 1 : l->curve == NID_secp521r1 ? 2 : 0];
	EC_POINT *point;
	bool ok;

	if (l->curve == NID_undef)
		return true;
	if (!*g && !(*g = EC_GROUP_new_by_curve_name(l->curve)))
		return false;
	point = EC_POINT_new(*g);
	ok = point && EC_POINT_oct2point(*g, point, l->point.p, l->point.len, NULL) == 1;
	EC_POINT_free(point);
	return ok;
}

static bool
is_signed(const struct kind *k, const struct leaf *l)
{
	uint8_t hash[SHA512_DIGEST_LENGTH];
	size_t len = 0;

	if (!k->issuer)
		return true;
	switch (k->md) {
	case NID_sha256:
		SHA256(l->signed_part.p, l->signed_part.len, hash);
		len = SHA256_DIGEST_LENGTH;
		break;
	case NID_sha384:
		SHA384(l->signed_part.p, l->signed_part.len, hash);
		len = SHA384_DIGEST_LENGTH;
		break;
	case NID_sha512:
		SHA512(l->signed_part.p, l->signed_part.len, hash);
		len = SHA512_DIGEST_LENGTH;
		break;
	}
	return EVP_PKEY_verify(k->issuer, l->sig.p, l->sig.len, hash, len) == 1;
}

static bool
take_names(const struct leaf *l, struct verdict *v)
{
	v->names = malloc(l->names.len);
	v->names_len = v->names ? leaf_names(l, v->names) : 0;
	return v->names;
}

bool
kind_check(struct psi_trust *t, enum psi_trust_role role, int64_t time_s,
	const struct psi_trust_der *chain, uint32_t cnt, struct verdict *v)
{
	struct kinds *s = t->kinds;
	const struct leaf *l = &s->leaf;
	struct kind **at, *k;
	bool ok;

	if (!ask(s, role, chain, cnt))
		return false;
	at = find(s, XXH3_64bits(s->asked, s->len));
	if (!at)
		return false;
	k = *at;
	k->used = ++s->now;
	if (time_s < k->from || time_s > k->to || !key_is_sound(s, l))
		return false;
	ok = is_signed(k, l);
	if (!k->judged[ok])
		return false;
	*v = k->v[ok];
	if (!take_names(l, v))
		return false;
	v->leaf_from = l->from;
	v->leaf_to = l->to;
	v->findings |= long_validity(k->ca, l->from, l->to);
	t->alike++;
	return true;
}

/* ---- a kind from what libcrypto said ---- */

/* Narrows the time around time_s to where x is as valid, or not, as it is then. */
static bool
narrow(struct kind *k, int64_t time_s, const int64_t edge[2])
{
	for (int i = 0; i < 2; i++) {
		if (edge[i] == INT64_MIN)
			return false;
		if (edge[i] + EDGE_S < time_s)
			k->from = PSI_MAX(k->from, edge[i] + EDGE_S);
		else if (edge[i] - EDGE_S > time_s)
			k->to = PSI_MIN(k->to, edge[i] - EDGE_S);
		else
			return false;
	}
	return true;
}

static void
edges(const X509 *x, int64_t edge[2])
{
	edge[0] = seconds(X509_get0_notBefore(x));
	edge[1] = seconds(X509_get0_notAfter(x));
}

/* Those of the store, worked out anew when something was added to it. */
static bool
store_edges(struct psi_trust *t)
{
	STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(t->store);
	uint32_t cnt = (uint32_t)sk_X509_OBJECT_num(all);
	struct kinds *s = t->kinds;
	int64_t *edge;

	if (s->objects == cnt)
		return true;
	edge = realloc(s->edge, cnt * 2 * sizeof(*edge));
	if (!edge)
		return false;
	s->edge = edge;
	s->edge_cnt = 0;
	for (uint32_t i = 0; i < cnt; i++) {
		const X509_OBJECT *o = sk_X509_OBJECT_value(all, (int)i);

		if (X509_OBJECT_get_type(o) == X509_LU_X509)
			edges(X509_OBJECT_get0_X509(o), &edge[2 * s->edge_cnt++]);
	}
	s->objects = cnt;
	return true;
}

static bool
set_times(struct psi_trust *t, struct kind *k, int64_t time_s, STACK_OF(X509) * others)
{
	int64_t edge[2];

	k->from = INT64_MIN;
	k->to = INT64_MAX;
	if (!store_edges(t))
		return false;
	for (uint32_t i = 0; i < t->kinds->edge_cnt; i++)
		if (!narrow(k, time_s, &t->kinds->edge[2 * i]))
			return false;
	for (int i = 0; i < sk_X509_num(others); i++) {
		edges(sk_X509_value(others, i), edge);
		if (!narrow(k, time_s, edge))
			return false;
	}
	return true;
}

/* How to check the signature that the path's first issuer made. */
static bool
set_issuer(struct kind *k, X509 *leaf, const X509 *issuer)
{
	EVP_PKEY *key = X509_get0_pubkey(issuer);
	const EVP_MD *md;
	int type;

	if (!key || !X509_get_signature_info(leaf, &k->md, &type, NULL, NULL) ||
		EVP_PKEY_get_base_id(key) != type || (type != EVP_PKEY_RSA && type != EVP_PKEY_EC))
		return false;
	md = k->md == NID_sha256   ? EVP_sha256()
	     : k->md == NID_sha384 ? EVP_sha384()
	     : k->md == NID_sha512 ? EVP_sha512()
				   : NULL;
	k->issuer = md ? EVP_PKEY_CTX_new(key, NULL) : NULL;
	return k->issuer && EVP_PKEY_verify_init(k->issuer) == 1 &&
	       (type != EVP_PKEY_RSA ||
		       EVP_PKEY_CTX_set_rsa_padding(k->issuer, RSA_PKCS1_PADDING) == 1) &&
	       EVP_PKEY_CTX_set_signature_md(k->issuer, md) == 1;
}

/* Whether what was said of the leaf can be said of others of its kind. Names of leaves count where an issuer may vouch for
 * some only, and CRLs go by serial number. */
static bool
is_common(
	const struct psi_trust *t, X509 *leaf, const STACK_OF(X509) * path, const struct verdict *v)
{
	const uint32_t own = EXFLAG_INVALID | EXFLAG_SI | EXFLAG_SS | EXFLAG_PROXY;

	if (t->crls || v->names_cut || !v->path_cnt || X509_get_extension_flags(leaf) & own ||
		v->status & PSI_CERT_SELF_SIGNED ||
		v->findings & (PSI_TRUST_malformed | PSI_TRUST_other | PSI_TRUST_bad_dates |
				      PSI_TRUST_name_constraint))
		return false;
	for (int i = 1; i < sk_X509_num(path); i++)
		if (X509_get_ext_by_NID(sk_X509_value(path, i), NID_name_constraints, -1) >= 0)
			return false;
	return true;
}

/* Where a kind goes: where it was, or in place of the one of its set that was not used for longest. */
static struct kind **
place(struct kinds *s, uint64_t hash)
{
	struct kind **set = set_of(s, hash), **at = find(s, hash);

	if (at)
		return at;
	at = set;
	for (int i = 0; i < WAYS; i++) {
		if (!set[i])
			return &set[i];
		if (set[i]->used < (*at)->used)
			at = &set[i];
	}
	return at;
}

static struct kind *
make(struct psi_trust *t, int64_t time_s, X509 *leaf, STACK_OF(X509) * others,
	STACK_OF(X509) * path)
{
	struct kinds *s = t->kinds;
	struct kind *k = calloc(1, sizeof(*k) + s->len);

	if (!k)
		return NULL;
	if (!set_times(t, k, time_s, others) ||
		(sk_X509_num(path) > 1 && !set_issuer(k, leaf, sk_X509_value(path, 1)))) {
		kind_free(k);
		return NULL;
	}
	memcpy(k->bytes, s->asked, s->len);
	k->len = s->len;
	k->hash = XXH3_64bits(s->asked, s->len);
	k->ca = X509_check_ca(leaf);
	return k;
}

void
kind_learn(struct psi_trust *t, int64_t time_s, X509 *leaf, STACK_OF(X509) * others,
	STACK_OF(X509) * path, const struct verdict *v)
{
	struct kinds *s = t->kinds;
	struct kind *k, **at;
	bool ok;

	if (!s->len || !is_common(t, leaf, path, v))
		return;
	at = place(s, XXH3_64bits(s->asked, s->len));
	k = *at;
	if (!k || !is_asked(s, k) || time_s < k->from || time_s > k->to) {
		k = make(t, time_s, leaf, others, path);
		if (!k)
			return;
		kind_free(*at);
		*at = k;
	}
	k->used = ++s->now;
	ok = is_signed(k, &s->leaf);
	k->judged[ok] = true;
	k->v[ok] = *v;
	k->v[ok].findings &= ~(uint32_t)PSI_TRUST_long_validity;
	k->v[ok].names = NULL;
	k->v[ok].names_len = 0;
}
