/* SPDX-License-Identifier: BSD-3-Clause */
/* A leaf of a known kind is not judged by libcrypto. Here every answer is held against one that is: of a second object which
 * forgets the kinds before each question. */
#include "psi_unit.h"

#include "trust_pvt.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <unistd.h>

#define DAY	     86400
#define T_2024_06_01 1717200000 /* date -u -d 2024-06-01 +%s */
#define HOST	     "www.a.example"

/* Making what is tested: outside of a test CUnit cannot be told. */
#define MUST(cond)               \
	do {                     \
		if (!(cond))     \
			abort(); \
	} while (0)

enum { ROOT_KEY, ISSUER_KEY, LEAF_KEY, OTHER_KEY, RSA_KEY, KEY_CNT };

static EVP_PKEY *key[KEY_CNT];
static struct psi_trust_der root, inter;
static char root_file[] = "/tmp/test_kinds.XXXXXX";
static uint64_t next_key = 1;

/* ---- certificates ---- */

/* What a certificate is like. NULL: without that extension. */
struct recipe {
	const char *subject, *issuer;
	int owner, signer;
	long serial;
	int64_t from, to;
	const char *san, *eku, *usage, *constraints, *name_constraints, *comment;
	bool ids; /* key identifiers */
	bool bad; /* its signature does not verify */
};

static const struct recipe usual = {
	.subject = "www.a.example",
	.issuer = "Inter",
	.owner = LEAF_KEY,
	.signer = ISSUER_KEY,
	.serial = 77,
	.from = T_2024_06_01 - 30 * DAY,
	.to = T_2024_06_01 + 60 * DAY,
	.san = "DNS:" HOST,
	.eku = "serverAuth",
	.usage = "critical,digitalSignature",
	.constraints = "critical,CA:FALSE",
	.ids = true,
};

static void
extend(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;

	if (!value)
		return;
	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	MUST(e);
	X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
}

static void
set_name(X509_NAME *n, const char *cn)
{
	X509_NAME_add_entry_by_NID(
		n, NID_commonName, MBSTRING_UTF8, (const uint8_t *)cn, -1, -1, 0);
}

static struct psi_trust_der
der_of(X509 *x)
{
	unsigned char *p = NULL;
	int n = i2d_X509(x, &p);
	struct psi_trust_der d = {exact(p, (size_t)n), (uint32_t)n};

	OPENSSL_free(p);
	return d;
}

static struct psi_trust_der
mint(const struct recipe *r)
{
	X509 *x = X509_new(), *issuer = X509_new();
	struct psi_trust_der d;

	X509_set_pubkey(issuer, key[r->signer]); /* for the key identifier */
	extend(issuer, issuer, NID_subject_key_identifier, "hash");
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), r->serial);
	set_name(X509_get_issuer_name(x), r->issuer);
	set_name(X509_get_subject_name(x), r->subject);
	ASN1_TIME_set(X509_getm_notBefore(x), (time_t)r->from);
	ASN1_TIME_set(X509_getm_notAfter(x), (time_t)r->to);
	X509_set_pubkey(x, key[r->owner]);
	extend(x, issuer, NID_basic_constraints, r->constraints);
	extend(x, issuer, NID_key_usage, r->usage);
	extend(x, issuer, NID_ext_key_usage, r->eku);
	if (r->ids)
		extend(x, issuer, NID_subject_key_identifier, "hash");
	if (r->ids)
		extend(x, issuer, NID_authority_key_identifier, "keyid:always");
	extend(x, issuer, NID_subject_alt_name, r->san);
	extend(x, issuer, NID_name_constraints, r->name_constraints);
	extend(x, issuer, NID_netscape_comment, r->comment);
	MUST(X509_sign(x, key[r->signer], EVP_sha256()) > 0);
	d = der_of(x);
	if (r->bad)
		((uint8_t *)(uintptr_t)d.p)[d.len - 1] ^= 1;
	X509_free(x);
	X509_free(issuer);
	return d;
}

static struct psi_trust_der
mint_ca(const char *subject, int owner, const char *issuer, int signer, int from_day, int to_day,
	const char *name_constraints)
{
	struct recipe r = {.subject = subject,
		.owner = owner,
		.issuer = issuer,
		.signer = signer,
		.serial = 1000,
		.from = T_2024_06_01 + from_day * DAY,
		.to = T_2024_06_01 + to_day * DAY,
		.constraints = "critical,CA:TRUE",
		.usage = "critical,keyCertSign,cRLSign",
		.ids = true,
		.name_constraints = name_constraints};

	return mint(&r);
}

/* A value of DER in its shortest form. */
static size_t
wrap(uint8_t *to, uint8_t tag, const void *p, size_t len)
{
	size_t n = 0;

	to[n++] = tag;
	if (len >= 0x100)
		to[n++] = 0x82, to[n++] = (uint8_t)(len >> 8);
	else if (len >= 0x80)
		to[n++] = 0x81;
	to[n++] = (uint8_t)len;
	memcpy(to + n, p, len);
	return n + len;
}

/* A signed part of any bytes, signed by the issuer (ECDSA with SHA-256): of these nobody can say that they are not his. */
static struct psi_trust_der
sign(const uint8_t *tbs, size_t len)
{
	static const uint8_t alg[] = {
		0x30, 10, 0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
	uint8_t sig[200] = {0}, all[8192], cert[8200];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t sig_len = sizeof(sig) - 1, n = len;

	MUST(len < 4096 && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key[ISSUER_KEY]) == 1);
	MUST(EVP_DigestSign(ctx, sig + 1, &sig_len, tbs, len) == 1);
	EVP_MD_CTX_free(ctx);
	memcpy(all, tbs, len);
	memcpy(all + n, alg, sizeof(alg));
	n += sizeof(alg);
	n += wrap(all + n, 0x03, sig, sig_len + 1);
	n = wrap(cert, 0x30, all, n);
	return (struct psi_trust_der){exact(cert, n), (uint32_t)n};
}

/* Where the signed part of a certificate that mint made begins and ends. */
static const uint8_t *
signed_part(const struct psi_trust_der *d, size_t *len)
{
	const uint8_t *p = d->p + 4;

	MUST(d->p[1] == 0x82 && p[0] == 0x30 && p[1] == 0x82);
	*len = 4u + (size_t)(p[2] << 8 | p[3]);
	return p;
}

static void
drop(struct psi_trust_der d)
{
	free((void *)(uintptr_t)d.p);
}

/* ---- two that must agree ---- */

struct pair {
	struct psi_trust *t, *plain;
};

static struct psi_trust *
open_one(const char *roots)
{
	struct psi_trust_config cfg = {.roots = roots, .cache_max = 4};
	struct psi_trust *t = psi_trust_open(&cfg, NULL);

	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	return t;
}

static struct pair
open_pair(const char *roots)
{
	return (struct pair){open_one(roots), open_one(roots)};
}

static void
close_pair(struct pair p)
{
	psi_trust_close(p.t);
	psi_trust_close(p.plain);
}

static struct psi_trust_result
ask_one(struct psi_trust *t, int64_t time_s, const char *sni, const struct psi_trust_der *chain,
	uint32_t cnt)
{
	struct psi_trust_query q = {.key = {next_key, ~next_key},
		.time_s = time_s,
		.sni = (const uint8_t *)sni,
		.sni_len = (uint32_t)strlen(sni)};
	struct psi_trust_result r;

	psi_trust_check(t, &q, chain, cnt, &r);
	return r;
}

static struct psi_trust_result
ask_both(struct pair p, int64_t time_s, const char *sni, const struct psi_trust_der *chain,
	uint32_t cnt)
{
	struct psi_trust_result a, b;

	kinds_close(p.plain->kinds);
	p.plain->kinds = kinds_open();
	CU_ASSERT_PTR_NOT_NULL_FATAL(p.plain->kinds);
	for (int i = 0; i < 4;
		i++) { /* the answer at other times, too: once more from the cache of chains */
		int64_t at = time_s + (i == 1 ? 400 * DAY : i == 2 ? -400 * DAY : 0);
		const char *host = i == 3 ? "x.b.example" : sni;

		a = ask_one(p.t, at, host, chain, cnt);
		b = ask_one(p.plain, at, host, chain, cnt);
		CU_ASSERT_EQUAL(a.status, b.status);
		CU_ASSERT_EQUAL(a.findings, b.findings);
		CU_ASSERT_EQUAL(a.error, b.error);
		CU_ASSERT_EQUAL(a.path_cnt, b.path_cnt);
		CU_ASSERT_EQUAL(a.has_root, b.has_root);
		CU_ASSERT_EQUAL(memcmp(a.root_spki_sha256, b.root_spki_sha256, 32), 0);
	}
	a = ask_one(p.t, time_s, sni, chain, cnt);
	next_key++;
	return a;
}

static struct psi_trust_result
ask_leaf(struct pair p, struct psi_trust_der leaf)
{
	struct psi_trust_der chain[2] = {leaf, inter};
	struct psi_trust_result r = ask_both(p, T_2024_06_01, HOST, chain, 2);

	drop(leaf);
	return r;
}

static uint64_t
alike(struct pair p)
{
	struct psi_trust_count n;

	psi_trust_count(p.plain, &n);
	CU_ASSERT_EQUAL(n.alike, 0);
	psi_trust_count(p.t, &n);
	return n.alike;
}

/* ---- tests ---- */

static int
set_up(void)
{
	FILE *f = fdopen(mkstemp(root_file), "w");
	const uint8_t *p;
	X509 *x;

	for (int i = 0; i < KEY_CNT; i++)
		key[i] = i == RSA_KEY ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
	root = mint_ca("Root", ROOT_KEY, "Root", ROOT_KEY, -1500, 3000, NULL);
	inter = mint_ca("Inter", ISSUER_KEY, "Root", ROOT_KEY, -1000, 2000, NULL);
	p = root.p;
	x = d2i_X509(NULL, &p, root.len);
	if (!f || !x || !PEM_write_X509(f, x) || fclose(f))
		return 1;
	X509_free(x);
	return 0;
}

static int
tear_down(void)
{
	for (int i = 0; i < KEY_CNT; i++)
		EVP_PKEY_free(key[i]);
	drop(root);
	drop(inter);
	return unlink(root_file);
}

/* Serial number, subject, names and dates differ: all but the first are answered from the kind. */
static void
test_many_of_a_kind(void)
{
	struct pair p = open_pair(root_file);
	char subject[32], san[64];

	for (int i = 0; i < 40; i++) {
		struct recipe r = usual;

		snprintf(subject, sizeof(subject), "h%d.example", i * i);
		snprintf(san, sizeof(san), "DNS:h%d.example,DNS:" HOST ",IP:10.0.0.%d", i * i, i);
		r.subject = subject;
		r.san = i % 3 ? san : "URI:x:y,DNS:*.a.example";
		r.serial = 1 + i * 123456789l;
		r.from -= i * 3600;
		r.to += i * 7 * 3600;
		CU_ASSERT_EQUAL(ask_leaf(p, mint(&r)).status, PSI_CERT_VALID);
	}
	CU_ASSERT_EQUAL(alike(p), 39);
	close_pair(p);
}

/* What libcrypto looks at makes another kind; nothing of it may be taken for the usual. */
static void
test_what_makes_a_difference(void)
{
	static const struct {
		struct recipe r; /* what is set differs from the usual */
		uint32_t status, findings;
	} t[] = {
		{{.eku = "clientAuth"}, PSI_CERT_UNKNOWN, PSI_TRUST_wrong_eku},
		{{.eku = "serverAuth,clientAuth"}, PSI_CERT_VALID, 0},
		{{.usage = "keyCertSign"}, PSI_CERT_UNKNOWN, PSI_TRUST_wrong_eku},
		{{.constraints = "CA:TRUE"}, PSI_CERT_VALID, 0},
		{{.issuer = "Nobody"}, PSI_CERT_INVALID_ISSUER,
			PSI_TRUST_missing_intermediate | PSI_TRUST_extra_certificates},
		{{.signer = OTHER_KEY}, PSI_CERT_INVALID_ISSUER, PSI_TRUST_missing_intermediate},
		{{.bad = true}, PSI_CERT_INVALID_SIGNATURE, 0},
		{{.owner = RSA_KEY}, PSI_CERT_VALID, 0},
		{{.san = "DNS:other.example"}, PSI_CERT_VALID, PSI_TRUST_name_mismatch},
		{{.san = "email:a@b.example", .subject = HOST}, PSI_CERT_VALID,
			PSI_TRUST_name_in_cn_only},
		{{.san = "critical,DNS:" HOST}, PSI_CERT_VALID, 0},
		{{.to = T_2024_06_01 - DAY}, PSI_CERT_EXPIRED, 0},
		{{.from = T_2024_06_01 + DAY}, PSI_CERT_NOT_VALID_YET, 0},
		{{.to = T_2024_06_01 + 500 * DAY}, PSI_CERT_VALID, PSI_TRUST_long_validity},
		{{.serial = -5}, PSI_CERT_VALID, 0},
		{{.subject = "INTER "}, PSI_CERT_VALID, 0}, /* for openssl the issuer's own name */
		{{.comment = "of another kind"}, PSI_CERT_VALID, 0},
	};
	struct pair p = open_pair(root_file);

	ask_leaf(p, mint(&usual));
	for (size_t i = 0; i < PSI_COUNT(t); i++)
		for (int again = 0; again < 3; again++) {
			const struct recipe *d = &t[i].r;
			struct recipe r = usual;
			struct psi_trust_result got;

#define TAKE(field)   \
	if (d->field) \
	r.field = d->field
			TAKE(subject);
			TAKE(issuer);
			TAKE(owner);
			TAKE(signer);
			TAKE(serial);
			TAKE(from);
			TAKE(to);
			TAKE(san);
			TAKE(eku);
			TAKE(usage);
			TAKE(constraints);
			TAKE(comment);
			TAKE(bad);
			got = ask_leaf(p, mint(&r));
			if (r.subject[0] == 'I') /* what it is taken for is openssl's business */
				continue;
			CU_ASSERT_EQUAL(got.status, t[i].status);
			CU_ASSERT_EQUAL(got.findings, t[i].findings);
			got = ask_leaf(p, mint(&usual));
			CU_ASSERT(got.status == PSI_CERT_VALID && !got.findings);
		}
	CU_ASSERT(alike(p) > PSI_COUNT(t) * 3);
	close_pair(p);
}

static uint32_t
random_below(uint32_t n)
{
	static uint64_t x = 88172645463325252ull;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)(x >> 11) % n;
}

/* Any bytes changed, under a signature that is good, and under one that no longer is. */
static void
test_mutations(void)
{
	struct pair p = open_pair(root_file);
	struct recipe rsa = usual;
	struct psi_trust_der base[2];
	size_t len;

	rsa.owner = RSA_KEY;
	base[0] = mint(&usual);
	base[1] = mint(&rsa);
	for (int i = 0; i < 800; i++) {
		const struct psi_trust_der *b = &base[i & 1];
		const uint8_t *part = signed_part(b, &len);
		uint8_t *tbs = exact(part, len);

		for (uint32_t k = random_below(3); i > 1 && k < 3; k++) {
			uint32_t at = 4 + random_below((uint32_t)len - 4);

			tbs[at] = random_below(2) ? (uint8_t)random_below(256)
						  : tbs[at] ^ (uint8_t)(1 << random_below(8));
		}
		if (i % 4 < 2) {
			ask_leaf(p, sign(tbs, len));
		} else {
			struct psi_trust_der d = {exact(b->p, b->len), b->len};

			memcpy((uint8_t *)(uintptr_t)d.p + (part - b->p), tbs, len);
			ask_leaf(p, d);
		}
		free(tbs);
	}
	CU_ASSERT(alike(p) > 100);
	drop(base[0]);
	drop(base[1]);
	close_pair(p);
}

/* Two issuers of one name and key: which one the path goes through depends on the time. */
static void
test_time_moves(void)
{
	struct psi_trust_der old = mint_ca("Inter", ISSUER_KEY, "Root", ROOT_KEY, -1000, 10, NULL);
	struct psi_trust_der young = mint_ca("Inter", ISSUER_KEY, "Root", ROOT_KEY, -5, 2000, NULL);
	static const int day[] = {0, 1, 20, 0, 30, -20, 9, 11, -6, -4, 0, 1500, 2500, -1200, 0};
	struct pair p = open_pair(root_file);
	struct psi_trust_result r;

	for (size_t i = 0; i < PSI_COUNT(day); i++)
		for (int k = 0; k < 3; k++) {
			struct recipe leaf = usual;
			struct psi_trust_der chain[3];

			leaf.serial = (long)i * 10 + k;
			chain[0] = mint(&leaf);
			chain[1] = old;
			chain[2] = young;
			r = ask_both(
				p, T_2024_06_01 + day[i] * DAY + (k == 2 ? -1 : 0), HOST, chain, 3);
			if (day[i] == 0)
				CU_ASSERT(r.status == PSI_CERT_VALID);
			ask_both(p, old.p ? T_2024_06_01 + 10 * DAY + k : 0, HOST, chain, 2);
			drop(chain[0]);
		}
	CU_ASSERT(alike(p) > 10);
	drop(old);
	drop(young);
	close_pair(p);
}

/* The same bytes under other roots are another matter; so they are below an issuer that may vouch for some names only. */
static void
test_not_elsewhere(void)
{
	struct psi_trust_der bound = mint_ca(
		"Inter", ISSUER_KEY, "Root", ROOT_KEY, -100, 100, "permitted;DNS:a.example");
	struct pair p = open_pair(root_file), none = open_pair("");
	struct psi_trust_der chain[2];
	struct recipe r = usual;

	for (int i = 0; i < 3; i++) {
		r.serial = i;
		chain[0] = mint(&r);
		chain[1] = inter;
		CU_ASSERT_EQUAL(ask_both(p, T_2024_06_01, HOST, chain, 2).status, PSI_CERT_VALID);
		CU_ASSERT_EQUAL(
			ask_both(none, T_2024_06_01, HOST, chain, 2).status, PSI_CERT_UNKNOWN);
		drop(chain[0]);
	}
	CU_ASSERT(alike(p) == 2 && alike(none) == 2);
	r.san = "DNS:a.example";
	for (int i = 0; i < 4; i++) {
		chain[0] = mint(&r);
		chain[1] = bound;
		CU_ASSERT_EQUAL(ask_both(p, T_2024_06_01, HOST, chain, 2).status,
			i < 2 ? PSI_CERT_VALID : PSI_CERT_INVALID_ISSUER);
		r.san = i ? "DNS:b.example" : r.san;
		drop(chain[0]);
	}
	CU_ASSERT_EQUAL(alike(p), 2);
	drop(bound);
	close_pair(p);
	close_pair(none);
}

/* More kinds than there is room for: those not used go, the answers stay right. */
static void
test_flood(void)
{
	struct pair p = open_pair(root_file);
	char comment[32];

	for (int i = 0; i < 700; i++) {
		struct recipe r = usual;
		struct psi_trust_der chain[2];

		snprintf(comment, sizeof(comment), "kind %d", i);
		r.comment = comment;
		chain[0] = mint(&r);
		chain[1] = inter;
		CU_ASSERT_EQUAL(ask_one(p.t, T_2024_06_01, HOST, chain, 2).status, PSI_CERT_VALID);
		next_key++;
		drop(chain[0]);
		ask_leaf(p, mint(&usual)); /* in use all the time */
	}
	CU_ASSERT_EQUAL(alike(p), 699);
	CU_ASSERT(kinds_cnt(p.t->kinds) > 350 && kinds_cnt(p.t->kinds) <= 512);
	close_pair(p);
}

/* Every prefix, and every length made longer, from exact-size copies: nothing beyond is read. */
static void
test_broken_off(void)
{
	struct psi_trust_der leaf = mint(&usual);
	static struct leaf l;

	CU_ASSERT_TRUE(leaf_read(&l, &leaf));
	for (uint32_t n = 0; n < leaf.len; n++) {
		struct psi_trust_der part = {exact(leaf.p, n), n};
		struct psi_trust_der more = {exact(leaf.p, leaf.len), leaf.len};

		CU_ASSERT_FALSE(leaf_read(&l, &part));
		((uint8_t *)(uintptr_t)more.p)[n]++;
		leaf_read(&l, &more);
		drop(part);
		drop(more);
	}
	drop(leaf);
}

static CU_TestInfo tests[] = {
	{"leaves of one kind cost one signature", test_many_of_a_kind},
	{"what makes a difference", test_what_makes_a_difference},
	{"any bytes changed", test_mutations},
	{"time moves", test_time_moves},
	{"other roots, bounded issuers", test_not_elsewhere},
	{"more kinds than there is room for", test_flood},
	{"broken off", test_broken_off},
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo psi_unit_suites[] = {
	{.pName = "trust kinds", .pInitFunc = set_up, .pCleanupFunc = tear_down, .pTests = tests},
	CU_SUITE_INFO_NULL,
};
