/* SPDX-License-Identifier: BSD-3-Clause */
/* Chains of every kind are in tests/replay/trust_diff.py; here: the cache, what depends on the call, names, loading. */
#include "psi_unit.h"

#include "trust_certs.h"
#include "trust_pvt.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* date -u -d DAY +%s */
#define T_2023_12_31 1703980800
#define T_2024_02_01 1706745600
#define T_2024_06_01 1717200000
#define T_2024_12_31 1735603200
#define T_2031_01_01 1924992000
#define ROOT_SPKI    94

static char folder[] = "/tmp/test_trust.XXXXXX";
static char roots[64], crls[64], junk[64];

static bool
write_file(const char *path, const void *p, size_t len)
{
	FILE *f = fopen(path, "wb");

	return f && fwrite(p, 1, len, f) == len && fclose(f) == 0;
}

static int
set_up(void)
{
	const uint8_t *p = trust_root;
	X509 *x = d2i_X509(NULL, &p, sizeof(trust_root));
	FILE *f;

	if (!x || !mkdtemp(folder))
		return 1;
	snprintf(roots, sizeof(roots), "%s/roots.pem", folder);
	snprintf(crls, sizeof(crls), "%s/crl.der", folder);
	snprintf(junk, sizeof(junk), "%s/junk", folder);
	f = fopen(roots, "w");
	if (!f || !PEM_write_X509(f, x) || fclose(f))
		return 1;
	X509_free(x);
	return !write_file(crls, trust_crl, sizeof(trust_crl)) || !write_file(junk, "junk", 4);
}

static int
tear_down(void)
{
	unlink(roots);
	unlink(crls);
	unlink(junk);
	return rmdir(folder);
}

static struct psi_trust *
open_with(const char *root_path, const char *crl_path, uint32_t max, uint32_t ttl_s)
{
	struct psi_trust_config cfg = {
		.roots = root_path, .crls = crl_path, .cache_max = max, .ttl_s = ttl_s};
	struct psi_err err = {""};
	struct psi_trust *t = psi_trust_open(&cfg, &err);

	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	return t;
}

static const struct psi_trust_der good[] = {
	{trust_leaf, sizeof(trust_leaf)},
	{trust_inter, sizeof(trust_inter)},
};

static struct psi_trust_result
ask(struct psi_trust *t, uint64_t key, int64_t time_s, const char *sni,
	const struct psi_trust_der *chain, uint32_t cnt)
{
	struct psi_trust_query q = {.key = {key, ~key}, .role = PSI_TRUST_SERVER, .time_s = time_s};
	struct psi_trust_result r;

	q.sni = (const uint8_t *)sni;
	q.sni_len = (uint32_t)strlen(sni);
	psi_trust_check(t, &q, chain, cnt, &r);
	return r;
}

static bool
cached(struct psi_trust *t, uint64_t key, int64_t time_s)
{
	struct psi_trust_query q = {.key = {key, ~key}, .role = PSI_TRUST_SERVER, .time_s = time_s};
	struct psi_trust_result r;

	return psi_trust_find(t, &q, &r);
}

/* One chain, checked once, judged for many flows. */
static void
test_judged_per_call(void)
{
	struct psi_trust *t = open_with(roots, NULL, 8, 0);
	struct psi_trust_count n;
	struct psi_trust_result r;

	r = ask(t, 1, T_2024_06_01, "x.a.example", good, 2);
	CU_ASSERT(r.status == PSI_CERT_VALID && r.findings == 0 && r.path_cnt == 3 && r.error == 0);
	r = ask(t, 1, T_2023_12_31, "x.a.example", NULL, 0);
	CU_ASSERT(r.status == PSI_CERT_NOT_VALID_YET && r.findings == 0);
	r = ask(t, 1, T_2024_12_31, "x.a.example", NULL, 0);
	CU_ASSERT_EQUAL(r.status, PSI_CERT_VALID); /* the last second is part of it */
	r = ask(t, 1, T_2024_12_31 + 1, "x.a.example", NULL, 0);
	CU_ASSERT(r.status == PSI_CERT_EXPIRED && r.findings == 0);
	r = ask(t, 1, T_2024_06_01, "y.x.a.example", NULL, 0);
	CU_ASSERT(r.status == PSI_CERT_VALID && r.findings == PSI_TRUST_name_mismatch);
	r = ask(t, 1, T_2024_06_01, "", NULL, 0);
	CU_ASSERT(r.status == PSI_CERT_VALID && r.findings == 0);
	psi_trust_count(t, &n);
	CU_ASSERT(n.misses == 1 && n.hits == 5 && n.cached == 1 && n.roots == 1);
	psi_trust_close(t);
}

/* Roots of a folder wait until a chain names them: by the issuer of what was sent, or because it was sent itself. The
 * answers are those of the file. */
static void
test_folder(void)
{
	static const struct psi_trust_der root[] = {{trust_root, sizeof(trust_root)}};
	struct psi_trust_result a, b;
	struct psi_trust_count n;

	for (int i = 0; i < 3; i++) {
		struct psi_trust *one = open_with(roots, NULL, 8, 0);
		struct psi_trust *all = open_with(folder, NULL, 8, 0);

		psi_trust_count(all, &n);
		CU_ASSERT_EQUAL(n.roots, 1);
		for (int again = 0; again < 2; again++) {
			const struct psi_trust_der *chain = i == 2 ? root : good;

			a = ask(one, 1 + (unsigned int)again, T_2024_06_01, "x.a.example", chain,
				i == 0 ? 2 : 1);
			b = ask(all, 1 + (unsigned int)again, T_2024_06_01, "x.a.example", chain,
				i == 0 ? 2 : 1);
			CU_ASSERT_EQUAL(a.status, b.status);
			CU_ASSERT_EQUAL(a.findings, b.findings);
			CU_ASSERT_EQUAL(a.error, b.error);
			CU_ASSERT_EQUAL(a.path_cnt, b.path_cnt);
			CU_ASSERT_EQUAL(a.has_root, b.has_root);
			CU_ASSERT_EQUAL(memcmp(a.root_spki_sha256, b.root_spki_sha256, 32), 0);
			if (i == 0)
				CU_ASSERT_EQUAL(b.status, PSI_CERT_VALID);
		}
		psi_trust_close(one);
		psi_trust_close(all);
	}
}

/* An issuer's name in BER, of indefinite length (X.690 section 8.1.3.6), is the root's to libcrypto: so a root that waits
 * is found by it, too. The signature is by another key, so that the status tells whether it was. */
static void
test_name_in_ber(void)
{
	const uint8_t *p = trust_root, *q = trust_leaf;
	X509 *root = d2i_X509(NULL, &p, sizeof(trust_root));
	X509 *x = d2i_X509(NULL, &q, sizeof(trust_leaf));
	EVP_PKEY *key = EVP_EC_gen("P-256");
	struct psi_trust *one = open_with(roots, NULL, 8, 0), *all = open_with(folder, NULL, 8, 0);
	uint8_t ber[64] = {0x30, 0x80}, *sent = NULL;
	struct psi_trust_der chain = {0};
	struct psi_trust_result a, b;
	X509_NAME *name;
	size_t len;

	CU_ASSERT_FATAL(X509_NAME_get0_der(X509_get_subject_name(root), &p, &len) == 1);
	CU_ASSERT_FATAL(len < 60 && p[1] == len - 2);
	memcpy(ber + 2, p + 2, len - 2);
	p = ber;
	name = d2i_X509_NAME(NULL, &p, (long)len + 2);
	CU_ASSERT_FATAL(name && X509_set_issuer_name(x, name) && X509_sign(x, key, EVP_sha256()));
	chain.len = (uint32_t)i2d_X509(x, &sent);
	chain.p = sent;
	a = ask(one, 1, T_2024_06_01, "x.a.example", &chain, 1);
	b = ask(all, 1, T_2024_06_01, "x.a.example", &chain, 1);
	CU_ASSERT_EQUAL(a.status, PSI_CERT_INVALID_SIGNATURE);
	CU_ASSERT(b.status == a.status && b.findings == a.findings && b.path_cnt == a.path_cnt);
	psi_trust_close(one);
	psi_trust_close(all);
	OPENSSL_free(sent);
	X509_NAME_free(name);
	EVP_PKEY_free(key);
	X509_free(x);
	X509_free(root);
}

/* The root is not among what was sent. Its key's hash by hand: of trust_root, the SubjectPublicKeyInfo is the 91 bytes from
 * 0x30 0x59 on (X.690), which begin at byte 94 there:
 *   openssl x509 -inform der -in root.der -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 */
static void
test_root_of_path(void)
{
	struct psi_trust *t = open_with(roots, NULL, 8, 0);
	struct psi_trust_result r;
	uint8_t want[32];

	CU_ASSERT_FATAL(trust_root[ROOT_SPKI] == 0x30 && trust_root[ROOT_SPKI + 1] == 0x59);
	CU_ASSERT_FATAL(
		EVP_Digest(trust_root + ROOT_SPKI, 91, want, NULL, EVP_sha256(), NULL) == 1);
	r = ask(t, 1, T_2024_06_01, "", good, 2);
	CU_ASSERT(r.has_root && memcmp(r.root_spki_sha256, want, 32) == 0);
	r = ask(t, 1, T_2031_01_01, "", NULL, 0); /* dates change nothing of the path */
	CU_ASSERT(r.has_root && memcmp(r.root_spki_sha256, want, 32) == 0);
	r = ask(t, 2, T_2024_06_01, "", good, 1); /* the intermediate is missing */
	CU_ASSERT(r.status == PSI_CERT_INVALID_ISSUER && !r.has_root);
	psi_trust_close(t);
	t = open_with("", NULL, 8, 0);
	CU_ASSERT_FALSE(ask(t, 1, T_2024_06_01, "", good, 2).has_root);
	psi_trust_close(t);
}

static void
test_revocation(void)
{
	struct psi_trust *t = open_with(roots, crls, 8, 0);
	struct psi_trust_count n;

	psi_trust_count(t, &n);
	CU_ASSERT(n.roots == 1 && n.crls == 1);
	CU_ASSERT_EQUAL(ask(t, 1, T_2024_06_01, "", good, 2).status, PSI_CERT_REVOKED);
	CU_ASSERT_EQUAL(ask(t, 1, T_2024_02_01, "", good, 2).status, PSI_CERT_VALID);
	CU_ASSERT_EQUAL(
		ask(t, 1, T_2031_01_01, "", good, 2).status, PSI_CERT_REVOKED | PSI_CERT_EXPIRED);
	psi_trust_close(t);
}

static void
test_cache_is_lru(void)
{
	struct psi_trust *t = open_with(roots, NULL, 3, 0);
	struct psi_trust_count n;

	for (uint64_t k = 1; k <= 3; k++)
		ask(t, k, T_2024_06_01, "", good, 2);
	CU_ASSERT(cached(t, 1, T_2024_06_01)); /* 2 is now the oldest */
	ask(t, 4, T_2024_06_01, "", good, 2);
	CU_ASSERT(cached(t, 1, T_2024_06_01) && !cached(t, 2, T_2024_06_01));
	CU_ASSERT(cached(t, 3, T_2024_06_01) && cached(t, 4, T_2024_06_01));
	for (uint64_t k = 100; k < 200; k++)
		CU_ASSERT_EQUAL(ask(t, k, T_2024_06_01, "", good, 2).status, PSI_CERT_VALID);
	CU_ASSERT(
		cached(t, 197, 0) && cached(t, 198, 0) && cached(t, 199, 0) && !cached(t, 196, 0));
	psi_trust_count(t, &n);
	CU_ASSERT(n.cached == 3 && n.evicted == 101);
	psi_trust_close(t);
}

/* Same bytes, two roles: a server's certificate is no client's. */
static void
test_roles_are_apart(void)
{
	struct psi_trust *t = open_with(roots, NULL, 8, 0);
	struct psi_trust_query q = {
		.key = {1, ~1ull}, .role = PSI_TRUST_CLIENT, .time_s = T_2024_06_01};
	struct psi_trust_result r;

	CU_ASSERT_EQUAL(ask(t, 1, T_2024_06_01, "", good, 2).status, PSI_CERT_VALID);
	CU_ASSERT_FALSE(psi_trust_find(t, &q, &r));
	psi_trust_check(t, &q, good, 2, &r);
	CU_ASSERT(r.status == PSI_CERT_UNKNOWN && r.findings == PSI_TRUST_wrong_eku);
	CU_ASSERT_EQUAL(ask(t, 1, T_2024_06_01, "", NULL, 0).status, PSI_CERT_VALID);
	psi_trust_close(t);
}

static void
test_answers_age(void)
{
	struct psi_trust *t = open_with(roots, NULL, 8, 60);
	struct psi_trust_count n;

	ask(t, 1, T_2024_06_01, "", good, 2);
	CU_ASSERT(cached(t, 1, T_2024_06_01 + 59) && !cached(t, 1, T_2024_06_01 + 60));
	CU_ASSERT(cached(t, 1, T_2024_06_01 - 60) && !cached(t, 1, T_2024_06_01 - 61));
	/* checked anew, in the same place; what was sent this time counts */
	CU_ASSERT_EQUAL(ask(t, 1, T_2024_06_01 + 60, "", good, 1).status, PSI_CERT_INVALID_ISSUER);
	CU_ASSERT(cached(t, 1, T_2024_06_01 + 119));
	psi_trust_count(t, &n);
	CU_ASSERT(n.cached == 1 && n.misses == 2 && n.evicted == 0);
	psi_trust_close(t);
}

static void
test_checks_are_bounded(void)
{
	struct psi_trust_config cfg = {.roots = roots, .cache_max = 8, .checks_max = 2};
	struct psi_trust *t = psi_trust_open(&cfg, NULL);
	struct psi_trust_count n;

	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	CU_ASSERT_EQUAL(ask(t, 1, T_2024_06_01, "", good, 2).status, PSI_CERT_VALID);
	CU_ASSERT_EQUAL(ask(t, 2, T_2024_06_01, "", good, 2).status, PSI_CERT_VALID);
	CU_ASSERT_EQUAL(ask(t, 3, T_2024_06_01, "", good, 2).status, PSI_CERT_NOT_CHECKED);
	CU_ASSERT(!cached(t, 3, T_2024_06_01) &&
		  cached(t, 1, T_2024_06_01)); /* what is known costs nothing */
	CU_ASSERT_EQUAL(ask(t, 1, T_2024_06_01, "", good, 2).status, PSI_CERT_VALID);
	CU_ASSERT_EQUAL(ask(t, 3, T_2024_06_01 + 1, "", good, 2).status, PSI_CERT_VALID);
	psi_trust_count(t, &n);
	CU_ASSERT(n.misses == 3 && n.refused == 1 && n.cached == 3);
	psi_trust_close(t);
}

/* Every prefix of every certificate, from exact-size copies, and bytes that are none. */
static void
test_hostile_certificates(void)
{
	struct psi_trust *t = open_with(roots, NULL, 2, 0);
	uint64_t key = 1;

	for (uint32_t n = 0; n < sizeof(trust_leaf); n++) {
		uint8_t *p = exact(trust_leaf, n);
		struct psi_trust_der chain[2] = {{p, n}, good[1]};
		struct psi_trust_result r = ask(t, key++, T_2024_06_01, "x.a.example", chain, 2);

		CU_ASSERT(r.status == PSI_CERT_UNKNOWN && r.findings == PSI_TRUST_malformed &&
			  r.path_cnt == 0);
		free(p);
	}
	for (uint32_t n = 0; n < sizeof(trust_inter); n += 7) {
		uint8_t *p = exact(trust_inter, n);
		struct psi_trust_der chain[2] = {good[0], {p, n}};
		struct psi_trust_result r = ask(t, key++, T_2024_06_01, "x.a.example", chain, 2);

		CU_ASSERT_EQUAL(r.status, PSI_CERT_INVALID_ISSUER);
		CU_ASSERT_EQUAL(r.findings, PSI_TRUST_malformed | PSI_TRUST_missing_intermediate);
		free(p);
	}
	CU_ASSERT_EQUAL(ask(t, key, T_2024_06_01, "", NULL, 0).status, PSI_CERT_UNKNOWN);
	psi_trust_close(t);
}

static void
test_long_lists(void)
{
	struct psi_trust *t = open_with(roots, NULL, 2, 0);
	struct psi_trust_der many[PSI_TRUST_CHAIN_MAX + 10];
	struct psi_trust_result r;

	many[0] = good[0];
	for (uint32_t i = 1; i < PSI_COUNT(many); i++)
		many[i] = good[1];
	r = ask(t, 1, T_2024_06_01, "", many, PSI_COUNT(many));
	CU_ASSERT(r.status == PSI_CERT_VALID && r.findings == PSI_TRUST_extra_certificates);
	psi_trust_close(t);
}

/* RFC 9525 section 6.3, and section 7.1 on why there are no parts of labels. */
static void
test_names(void)
{
	static const struct {
		const char *presented, *host;
		bool want;
	} t[] = {
		{"a.example", "a.example", true},
		{"A.Example", "a.eXAMPLE", true},
		{"a.example", "a.example.", true},
		{"a.example", "b.example", false},
		{"a.example", "x.a.example", false},
		{"x.a.example", "a.example", false},
		{"localhost", "localhost", true},
		{"*.a.example", "x.a.example", true},
		{"*.a.example", "xn--bcher-kva.a.example", true},
		{"*.a.example", "a.example", false},
		{"*.a.example", ".a.example", false},
		{"*.a.example", "x.y.a.example", false},
		{"*.a.example", "*.a.example", true},
		{"*.example", "a.example", false},
		{"*", "a", false},
		{"*.", "a.", false},
		{"*..example", "a..example", false},
		{"*.*.example", "a.b.example", false},
		{"x*.a.example", "xy.a.example", false},
		{"*x.a.example", "yx.a.example", false},
		{"x.*.example", "x.a.example", false},
		{"", "a.example", false},
		{"a.example", "", false},
		{"a.example", ".", false},
		{"a.example.", "a.example", false},
	};

	for (size_t i = 0; i < PSI_COUNT(t); i++) {
		size_t n = strlen(t[i].presented), m = strlen(t[i].host);
		uint8_t *p = exact(t[i].presented, n), *h = exact(t[i].host, m);

		CU_ASSERT_EQUAL(psi_trust_name_matches(p, (uint32_t)n, h, (uint32_t)m), t[i].want);
		free(p);
		free(h);
	}
	/* a NUL does not end a name */
	CU_ASSERT_FALSE(psi_trust_name_matches(
		(const uint8_t *)"a.example\0.evil", 15, (const uint8_t *)"a.example", 9));
}

static void
expect_refused(const char *root_path, const char *crl_path, const char *why)
{
	struct psi_trust_config cfg = {.roots = root_path, .crls = crl_path, .cache_max = 1};
	struct psi_err err = {""};

	CU_ASSERT_PTR_NULL(psi_trust_open(&cfg, &err));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, why));
}

static void
test_loading(void)
{
	struct psi_trust *t = open_with(
		folder, folder, 1, 0); /* whole folders: what is of no use there is passed over */
	struct psi_trust_count n;

	psi_trust_count(t, &n);
	CU_ASSERT(n.roots == 1 && n.crls == 1);
	psi_trust_close(t);
	t = open_with("", NULL, 1, 0);
	CU_ASSERT_EQUAL(ask(t, 1, T_2024_06_01, "", good, 2).status, PSI_CERT_UNKNOWN);
	psi_trust_close(t);
	expect_refused("/nonexistent", NULL,
		"trusted roots: /nonexistent: cannot be opened: No such file");
	expect_refused(junk, NULL, "holds no certificate");
	expect_refused(roots, junk, "revocation lists: ");
	expect_refused(roots, roots, "holds no CRL");
}

/* A folder whose first file is left to libcrypto before anything was read. */
static void
test_large_file(void)
{
	char sub[64], file[80];
	FILE *f;

	snprintf(sub, sizeof(sub), "%s/large", folder);
	snprintf(file, sizeof(file), "%s/zeros", sub);
	CU_ASSERT_EQUAL_FATAL(mkdir(sub, 0700), 0);
	f = fopen(file, "w");
	CU_ASSERT_FATAL(f && ftruncate(fileno(f), 8 << 20) == 0);
	fclose(f);
	expect_refused(sub, NULL, "holds no certificate");
	unlink(file);
	rmdir(sub);
}

/* What cannot be decoded is no root, however often it is read: twice in a file, and again by libcrypto. */
static void
test_bad_root(void)
{
	static const char bad[] = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
			  *const text[][2] = {{bad, bad}, {bad, "-----BEGIN X-----\n"}};
	char sub[64], file[80], both[256];

	snprintf(sub, sizeof(sub), "%s/bad", folder);
	snprintf(file, sizeof(file), "%s/bad.pem", sub);
	CU_ASSERT_EQUAL_FATAL(mkdir(sub, 0700), 0);
	for (size_t i = 0; i < PSI_COUNT(text); i++) {
		snprintf(both, sizeof(both), "%s%s", text[i][0], text[i][1]);
		CU_ASSERT_FATAL(write_file(file, both, strlen(both)));
		expect_refused(sub, NULL, "holds no certificate");
		expect_refused(file, NULL, "holds no certificate");
	}
	unlink(file);
	rmdir(sub);
}

/* What libcrypto makes of the first certificate in a text: its bytes in der, 0: none, -1: something else, or it cannot. */
static long
pem_by_libcrypto(const char *text, size_t len, unsigned char *der)
{
	BIO *in = BIO_new_mem_buf(text, (int)len);
	unsigned char *p = NULL;
	char *label = NULL, *header = NULL;
	long n = 0;

	if (!PEM_read_bio(in, &label, &header, &p, &n))
		n = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE ? 0 : -1;
	else if (strcmp(label, "CERTIFICATE") != 0 || *header)
		n = -1;
	else
		memcpy(der, p, (size_t)n);
	ERR_clear_error();
	OPENSSL_free(label);
	OPENSSL_free(header);
	OPENSSL_free(p);
	BIO_free(in);
	return n;
}

/* Texts as programs write them are read, and as libcrypto reads them; whatever else is read, too. */
static void
test_pem_twin(void)
{
	static const struct psi_trust_der certs[] = {{trust_root, sizeof(trust_root)},
		{trust_inter, sizeof(trust_inter)}, {trust_leaf, sizeof(trust_leaf)}};
	static unsigned char der[8192], want[8192];
	unsigned int read = 0, seed = 1;
	BIO *out = BIO_new(BIO_s_mem());
	char *whole;
	const char *p;
	long len, n;

	BIO_puts(out, "# a comment\n\n");
	for (size_t i = 0; i < PSI_COUNT(certs); i++) {
		const uint8_t *q = certs[i].p;
		X509 *x = d2i_X509(NULL, &q, (long)certs[i].len);

		PEM_write_bio_X509(out, x);
		BIO_puts(out, i ? "between\n" : "");
		X509_free(x);
	}
	len = BIO_get_mem_data(out, &whole);
	p = whole;
	for (size_t i = 0; i < PSI_COUNT(certs); i++) {
		n = pem_next(&p, whole + len, der);
		CU_ASSERT_FATAL(n == (long)certs[i].len);
		CU_ASSERT(memcmp(der, certs[i].p, certs[i].len) == 0);
	}
	CU_ASSERT_EQUAL(pem_next(&p, whole + len, der), 0);

	for (int i = 0; i < 200000; i++) { /* a few bytes changed, or the end cut off */
		static const char odd[] = "-=\n\r A+/:B";
		size_t size = (size_t)rand_r(&seed) % 3 ? (size_t)len / 2
							: (size_t)rand_r(&seed) % ((size_t)len / 2);
		char *text = malloc(size ? size : 1);

		memcpy(text, whole + 13, size);
		for (int k = rand_r(&seed) % 3; k >= 0 && size; k--)
			text[(size_t)rand_r(&seed) %
				(rand_r(&seed) % 4 ? size : PSI_MIN(size, 40u))] =
				odd[(size_t)rand_r(&seed) % (sizeof(odd) - 1)];
		p = text;
		n = pem_next(&p, text + size, der);
		if (n >= 0) {
			read += n > 0;
			if (pem_by_libcrypto(text, size, want) != n ||
				memcmp(der, want, (size_t)n) != 0) {
				CU_FAIL("libcrypto reads that otherwise");
				printf("\n%.*s\n", (int)size, text);
				i = 200000;
			}
		}
		free(text);
	}
	CU_ASSERT(read > 100);
	BIO_free(out);
}

static bool
keys_are_equal(const X509_NAME *a, const X509_NAME *b)
{
	const unsigned char *p;
	uint64_t x = 0, y = 0;
	size_t len;

	CU_ASSERT(X509_NAME_get0_der(a, &p, &len) && name_key(p, len, &x));
	CU_ASSERT(X509_NAME_get0_der(b, &p, &len) && name_key(p, len, &y));
	return x == y;
}

/* Whatever libcrypto takes for equal has one key: other kinds of string, case and blanks. */
static void
test_name_keys(void)
{
	static const struct {
		int kind[2];
		const char *value[2]; /* UTF-8 */
		bool equal;
	} cases[] = {
		{{V_ASN1_UTF8STRING, V_ASN1_PRINTABLESTRING}, {"Example CA 1", "Example CA 1"},
			true},
		{{V_ASN1_UTF8STRING, V_ASN1_BMPSTRING},
			{"Ex\xc3\xa4mple \xc5\x81 CA", "Ex\xc3\xa4mple \xc5\x81 CA"}, true},
		{{V_ASN1_UTF8STRING, V_ASN1_UNIVERSALSTRING},
			{"Ex\xc3\xa4mple CA", "Ex\xc3\xa4mple CA"}, true},
		{{V_ASN1_UTF8STRING, V_ASN1_T61STRING}, {"Ex\xc3\xa4mple CA", "Ex\xc3\xa4mple CA"},
			true},
		{{V_ASN1_UTF8STRING, V_ASN1_UTF8STRING}, {"  example   ca 1", "EXAMPLE CA 1 "},
			true},
		{{V_ASN1_UTF8STRING, V_ASN1_UTF8STRING}, {"Example CA 1", "Example CA 2"}, false},
	};

	for (size_t i = 0; i < PSI_COUNT(cases); i++) {
		X509_NAME *n[2];

		for (int k = 0; k < 2; k++) {
			ASN1_STRING *s = NULL;

			n[k] = X509_NAME_new();
			CU_ASSERT_FATAL(
				ASN1_mbstring_copy(&s, (const unsigned char *)cases[i].value[k], -1,
					MBSTRING_UTF8,
					ASN1_tag2bit(cases[i].kind[k])) == cases[i].kind[k]);
			CU_ASSERT(X509_NAME_add_entry_by_NID(
				n[k], NID_commonName, cases[i].kind[k], s->data, s->length, -1, 0));
			CU_ASSERT(X509_NAME_add_entry_by_txt(
				n[k], "O", MBSTRING_ASC, (const unsigned char *)"Org", -1, -1, 0));
			ASN1_STRING_free(s);
		}
		CU_ASSERT((X509_NAME_cmp(n[0], n[1]) == 0) == cases[i].equal);
		CU_ASSERT(keys_are_equal(n[0], n[1]) == cases[i].equal);
		X509_NAME_free(n[0]);
		X509_NAME_free(n[1]);
	}
}

static void
test_finding_table(void)
{
	uint32_t seen = 0;

#define FINDING(sym, bit, text)                                     \
	CU_ASSERT(__builtin_popcount(bit) == 1 && !(seen & (bit))); \
	CU_ASSERT_STRING_EQUAL(psi_trust_finding_name(bit), #sym);  \
	CU_ASSERT_STRING_EQUAL(psi_trust_finding_text(bit), text);  \
	seen |= bit;
#include "trust_findings.def"
	CU_ASSERT_PTR_NULL(psi_trust_finding_name(~seen & (seen + 1)));
	CU_ASSERT_PTR_NULL(psi_trust_finding_text(3));
}

static CU_TestInfo trust_tests[] = {
	{"roots of a folder are decoded when asked for", test_folder},
	{"an issuer's name in BER", test_name_in_ber},
	{"one check serves flows of any time and name", test_judged_per_call},
	{"the root that a path ends at", test_root_of_path},
	{"revocation is judged by packet time", test_revocation},
	{"the cache drops the least recently used", test_cache_is_lru},
	{"server and client are checked apart", test_roles_are_apart},
	{"answers age in packet time", test_answers_age},
	{"checks per second are bounded", test_checks_are_bounded},
	{"hostile certificates", test_hostile_certificates},
	{"a list longer than the bound", test_long_lists},
	{"names", test_names},
	{"loading and its errors", test_loading},
	{"a folder with a large file", test_large_file},
	{"a root that cannot be decoded", test_bad_root},
	{"findings have names", test_finding_table},
	{"PEM is read as libcrypto reads it", test_pem_twin},
	{"equal names have equal keys", test_name_keys},
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo psi_unit_suites[] = {
	{.pName = "trust", .pInitFunc = set_up, .pCleanupFunc = tear_down, .pTests = trust_tests},
	CU_SUITE_INFO_NULL,
};
