/* SPDX-License-Identifier: BSD-3-Clause */
/* Pinsets: which one a host belongs to, what it says of a chain, what is refused. Chains are made of hashes: A to E are the
 * SHA-256 of the letters a to e, as `printf a | openssl dgst -sha256 -binary | base64` prints it. Certificates by
 * openssl, and their hashes by it, are in tests/replay/pins_test.py. */
#include "psi_unit.h"

#include "pins_pvt.h"
#include "trust_certs.h"

#include <openssl/pem.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <unistd.h>

#define A     "ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs="
#define B     "PiPoFgA5WUoziU9lZOGxNIu9egCI1CxKy3PurtWcAJ0="
#define C     "Ln0sA6lQeuJl7PW1NWiFpTOTogKdJBOUmXJloaJa78Y="
#define C_HEX "2e7d2c03a9507ae265ecf5b5356885a53393a2029d241394997265a1a25aefc6"
#define D     "GKw+c0PwFokMUQ6T+TUmEWnZ4/VlQ2Qpgw+vCTT0+OQ="
#define E     "P3m7e0NbBTIWUdrv03TNxoHcBvqmXjdOODN7iMoEbeo="

#define T_2026 1767225600 /* date -u -d 2026-01-01 +%s */
#define T_2027 1798761600 /* date -u -d 2027-01-01 +%s */

static struct psi_pins *
compile(const char *yaml, struct psi_err *err)
{
	struct psi_config_source src = {.path = "pins.yaml", .text = yaml, .len = strlen(yaml)};
	struct psi_config *cfg = psi_config_load(&src, err);
	struct psi_pins_config pc;
	struct psi_pins *p;

	CU_ASSERT_PTR_NOT_NULL(cfg);
	if (!cfg)
		return NULL;
	pc = (struct psi_pins_config){
		.file = cfg->path, .set = cfg->pins, .set_cnt = cfg->pins_cnt};
	pc.own_ca = cfg->interception.ca;
	p = psi_pins_open(&pc, err);
	psi_config_close(cfg); /* nothing of it is kept */
	return p;
}

static struct psi_pins *
pins_of(const char *yaml)
{
	struct psi_err err = {""};
	struct psi_pins *p = compile(yaml, &err);

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	return p;
}

static struct psi_pin_result
check(struct psi_pins *p, const char *host, const struct psi_pins_chain *chain, int64_t time_s)
{
	size_t len = strlen(host);
	uint8_t *h = exact(host, len);
	struct psi_pin_result r;

	psi_pins_check(p, h, (uint32_t)len, chain, time_s, &r);
	free(h);
	return r;
}

/* A chain of certificates whose keys hash as the letters, and whose own hashes as the capitals of the next ones do. */
static struct psi_pins_chain
chain_of(const char *letters, struct psi_pins_cert *cert)
{
	struct psi_pins_chain c = {.cert = cert};

	for (; *letters; letters++) {
		char next = (char)(*letters + 1);

		SHA256((const uint8_t *)letters, 1, cert[c.cnt].spki_sha256);
		SHA256((const uint8_t *)&next, 1, cert[c.cnt++].sha256);
	}
	return c;
}

static const char *
set_of(struct psi_pins *p, const char *host)
{
	struct psi_pins_cert cert[1];
	struct psi_pins_chain c = chain_of("z", cert);
	struct psi_pin_result r = check(p, host, &c, T_2026);

	return r.set ? r.set : "";
}

/* ---- text ---- */

static void
test_hash_text(void)
{
	static const struct {
		const char *text;
		bool hex, ok;
	} t[] = {
		{C, false, true},
		{"sha256/" C, false, true},
		{"sha256//" C, false, true}, /* curl --pinnedpubkey */
		{C_HEX, true, true},
		{"2E7D2C03A9507AE265ECF5B5356885A53393A2029D241394997265A1A25AEFC6", true, true},
		{"2e:7d:2c:03:a9:50:7a:e2:65:ec:f5:b5:35:68:85:a5:33:93:a2:02:9d:24:13:94:99:72:65:a1:a2:5a:ef:c6",
			true, true},
		{"", false, false},
		{"sha256/", false, false},
		{"sha1/2jmj7l5rSw0yVb/vlWAYkK/YBwk=", false, false},
		{"2jmj7l5rSw0yVb/vlWAYkK/YBwk=", false, false},
		{"Ln0sA6lQeuJl7PW1NWiFpTOTogKdJBOUmXJloaJa78Y", false, false},
		{"Ln0sA6lQeuJl7PW1NWiFpTOTogKdJBOUmXJloaJa78Y==", false, false},
		{"Ln0sA6lQeuJl7PW1NWiFpTOTogKdJBOUmXJloaJa7-Y=", false, false},
		{"Ln0sA6lQeuJl7PW1NWiFpTOTogKdJBOUmXJloaJa78 =", false, false},
		{C, true, false},
		{C_HEX "00", true, false},
		{"2e7d2c03", true, false},
		{":" C_HEX, true, false},
		{C_HEX ":", true, false},
	};
	/* a hash may begin as a prefix does */
	static const char *const looks[] = {
		"sha1/obvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs8=",
		"sha256/vcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs8=",
	};
	uint8_t want[32], got[32];
	char text[PSI_PINS_B64_LEN + 1];

	for (size_t i = 0; i < PSI_COUNT(looks); i++) {
		CU_ASSERT_PTR_NULL(psi_pins_parse_hash(looks[i], false, got));
		CU_ASSERT_STRING_EQUAL(psi_pins_b64(got, text), looks[i]);
	}

	SHA256((const uint8_t *)"c", 1, want);
	for (size_t i = 0; i < PSI_COUNT(t); i++) {
		size_t n = strlen(t[i].text) + 1;
		char *s = (char *)exact(t[i].text, n);

		CU_ASSERT_EQUAL(!psi_pins_parse_hash(s, t[i].hex, got), t[i].ok);
		if (t[i].ok)
			CU_ASSERT(memcmp(got, want, 32) == 0);
		free(s);
	}
	CU_ASSERT_STRING_EQUAL(psi_pins_b64(want, text), C);
	/* `openssl dgst -sha256 -binary </dev/null | base64`: digits of every kind */
	SHA256((const uint8_t *)"", 0, want);
	CU_ASSERT_STRING_EQUAL(
		psi_pins_b64(want, text), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
}

/* ---- hosts ---- */

static void
test_most_specific_host(void)
{
	static const struct {
		const char *host, *set;
	} t[] = {
		{"a.example", "exact"}, {"A.Example.", "exact"}, {"b.a.example", "label"},
		{"c.b.a.example", "longer"}, /* *.b.a.example */
		{"d.c.b.a.example", "tree"}, /* no "*." reaches two labels */
		{"b.example", "tree2"},	     /* **. is the name itself, too */
		{"x.b.example", "deeper"},   /* **.x.b.example, and "*." of b.example */
		{"y.x.b.example", "deeper"}, /* **.x.b.example */
		{"x1.r.example", "regex"},
		{"x12.r.example", "regex"}, /* both expressions fit: the first counts */
		{"x.r.example", ""}, {"r.example", ""}, {"example", ""}, {"", ""}, {".", ""},
		{"xa.example", "regex2"}, /* an expression is looked for anywhere */
		{".a.example", "tree"}, {"..a.example", "tree"},
		{"*.a.example", "label"}, /* whatever a client writes is a name */
	};
	struct psi_pins *p = pins_of(
		"pins:\n"
		"- {name: tree, hosts: ['**.a.example'], spki_sha256: ['" A "']}\n"
		"- {name: label, hosts: ['*.a.example'], spki_sha256: ['" A "']}\n"
		"- {name: longer, hosts: ['*.b.a.example'], spki_sha256: ['" A "']}\n"
		"- {name: exact, hosts: ['A.example'], spki_sha256: ['" A "']}\n"
		"- {name: twice, hosts: ['a.example.'], spki_sha256: ['" A "']}\n"
		"- {name: tree2, hosts: ['**.b.example'], spki_sha256: ['" A "']}\n"
		"- {name: deeper, hosts: ['*.b.example', '**.x.b.example'], spki_sha256: ['" A
		"']}\n"
		"- {name: regex, hosts: ['/^x[0-9]+\\.r\\./'], spki_sha256: ['" A "']}\n"
		"- {name: regex2, hosts: ['/^X..\\.r\\.example$/i', '/a\\.example/'], spki_sha256: ['" A
		"']}\n");

	for (size_t i = 0; i < PSI_COUNT(t); i++) {
		CU_ASSERT_STRING_EQUAL(set_of(p, t[i].host), t[i].set);
		if (strcmp(set_of(p, t[i].host), t[i].set) != 0)
			printf("\n  %s: %s, expected %s\n", t[i].host, set_of(p, t[i].host),
				t[i].set);
	}
	psi_pins_close(p);
}

static void
test_hostile_hosts(void)
{
	struct psi_pins *p = pins_of(
		"pins:\n"
		"- {name: t, hosts: ['**.example', '/^(a|aa)+$/'], spki_sha256: ['" A "']}\n");
	uint8_t *h = malloc(70000);
	struct psi_pins_chain none = {.cnt = 0};
	struct psi_pin_result r;

	memset(h, 'a', 70000);
	psi_pins_check(p, h, 70000, &none, T_2026, &r);
	CU_ASSERT_EQUAL(r.pin, PSI_PIN_NONE);
	psi_pins_check(p, h, 255, &none, T_2026, &r);
	CU_ASSERT_EQUAL(r.pin, PSI_PIN_NOT_VISIBLE);
	memset(h, '.', 70000);
	for (uint32_t n = 0; n < 300; n++) {
		psi_pins_check(p, h, n, &none, T_2026, &r);
		CU_ASSERT_EQUAL(r.pin, PSI_PIN_NONE);
	}
	/* a NUL ends no name */
	psi_pins_check(p, (const uint8_t *)"x.example\0y", 11, &none, T_2026, &r);
	CU_ASSERT_EQUAL(r.pin, PSI_PIN_NONE);
	free(h);
	psi_pins_close(p);
}

/* ---- results ---- */

static const char results_yaml[] =
	"pins:\n"
	"- name: bank\n"
	"  hosts: [a.example]\n"
	"  spki_sha256: ['" A "', 'sha256/" B "']\n"
	"  backup_spki_sha256: ['" D "']\n"
	"  expires: 2027-01-01\n"
	"  action: exempt\n"
	"- {name: ca, hosts: [ca.example], ca_spki_sha256: ['" B "']}\n"
	"- {name: cert, hosts: [cert.example], cert_sha256: ['" C_HEX "']}\n"
	"- {name: hole, hosts: [hole.example], action: unpinned}\n";

static void
test_results(void)
{
	static const struct {
		const char *host, *chain;
		char root;
		bool cut;
		enum psi_pin pin;
		uint32_t depth;
	} t[] = {
		{"a.example", "a", 0, false, PSI_PIN_MATCH, 0},
		{"a.example", "b", 0, false, PSI_PIN_MATCH, 0},
		{"a.example", "xa", 0, false, PSI_PIN_MATCH, 1},
		{"a.example", "xya", 0, false, PSI_PIN_MATCH, 2},
		{"a.example", "d", 0, false, PSI_PIN_BACKUP_MATCH, 0},
		{"a.example", "xd", 0, false, PSI_PIN_BACKUP_MATCH, 1},
		{"a.example", "dxa", 0, false, PSI_PIN_MATCH, 2}, /* a pin in use counts more */
		{"a.example", "xyz", 0, false, PSI_PIN_MISMATCH, 0},
		{"a.example", "xyz", 0, true, PSI_PIN_NOT_VISIBLE, 0},
		{"a.example", "xya", 0, true, PSI_PIN_MATCH, 2},
		{"a.example", "", 0, false, PSI_PIN_NOT_VISIBLE, 0},
		{"a.example", "xy", 'a', false, PSI_PIN_MATCH, 2}, /* the root is not sent */
		{"a.example", "xy", 'c', false, PSI_PIN_MISMATCH, 0},
		{"ca.example", "xb", 0, false, PSI_PIN_MATCH, 1},
		{"ca.example", "b", 0, false, PSI_PIN_MISMATCH, 0}, /* a leaf is no CA */
		{"ca.example", "x", 'b', false, PSI_PIN_MATCH, 1},
		/* whole certificates: of the one with key b, c is the hash */
		{"cert.example", "b", 0, false, PSI_PIN_MATCH, 0},
		{"cert.example", "xb", 0, false, PSI_PIN_MATCH, 1},
		{"cert.example", "c", 0, false, PSI_PIN_MISMATCH, 0},
		{"cert.example", "x", 'c', false, PSI_PIN_MISMATCH, 0},
		{"hole.example", "x", 0, false, PSI_PIN_NONE, 0},
		{"other.example", "a", 0, false, PSI_PIN_NONE, 0},
	};
	struct psi_pins *p = pins_of(results_yaml);

	for (size_t i = 0; i < PSI_COUNT(t); i++) {
		struct psi_pins_cert cert[4];
		struct psi_pins_chain c = chain_of(t[i].chain, cert);
		struct psi_pin_result r;

		c.cut = t[i].cut;
		c.has_root = t[i].root;
		SHA256((const uint8_t *)&t[i].root, 1, c.root_spki_sha256);
		r = check(p, t[i].host, &c, T_2026);
		CU_ASSERT_EQUAL(r.pin, t[i].pin);
		CU_ASSERT_EQUAL(r.depth, t[i].depth);
		if (r.pin != t[i].pin || r.depth != t[i].depth)
			printf("\n  %s %s: %s at %u\n", t[i].host, t[i].chain, psi_pin_name(r.pin),
				r.depth);
		CU_ASSERT_EQUAL(!r.set, t[i].pin == PSI_PIN_NONE);
		if (strcmp(t[i].host, "a.example") == 0)
			CU_ASSERT(strcmp(r.set, "bank") == 0 && r.set_idx == 0 &&
				  r.action == PSI_PIN_EXEMPT);
	}
	psi_pins_close(p);
}

static void
test_expiry(void)
{
	struct psi_pins *p = pins_of(results_yaml);
	struct psi_pins_cert cert[1];
	struct psi_pins_chain good = chain_of("a", cert), none = {.cnt = 0};

	CU_ASSERT_EQUAL(check(p, "a.example", &good, T_2027 - 1).pin, PSI_PIN_MATCH);
	CU_ASSERT_EQUAL(check(p, "a.example", &good, T_2027).pin, PSI_PIN_EXPIRED);
	CU_ASSERT_EQUAL(check(p, "a.example", &none, T_2027).pin, PSI_PIN_EXPIRED);
	CU_ASSERT_EQUAL(check(p, "ca.example", &good, INT64_MAX - 1).pin, PSI_PIN_MISMATCH);
	psi_pins_close(p);
}

/* A key that could not be read hashes to nothing; "AAAA...=" is what documentation writes where a pin should stand. */
static void
test_unread_key_is_nobodys(void)
{
	struct psi_pins *p = pins_of(
		"pins:\n"
		"- {name: p, hosts: [a.example], spki_sha256: [AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=]}\n");
	struct psi_pins_cert cert[1] = {0};
	struct psi_pins_chain c = {.cert = cert, .cnt = 1};

	CU_ASSERT_EQUAL(check(p, "a.example", &c, T_2026).pin, PSI_PIN_MISMATCH);
	psi_pins_close(p);
}

static void
test_no_pinsets(void)
{
	struct psi_pins_config cfg = {.file = NULL};
	struct psi_pins *p = psi_pins_open(&cfg, NULL);
	struct psi_pins_chain none = {.cnt = 0};

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL(check(p, "a.example", &none, T_2026).pin, PSI_PIN_NONE);
	CU_ASSERT_FALSE(psi_pins_own_ca(p, NULL, 0));
	psi_pins_close(p);
	psi_pins_close(NULL);
}

/* ---- errors ---- */

static void
test_errors(void)
{
	static const struct {
		const char *entry, *why;
	} t[] = {
		{"hosts: [a.example], spki_sha256: [nonsense]",
			"pins.yaml:2:47: pins p: 'nonsense' is not the base64 of 32 bytes: 44 characters"},
		{"hosts: [a.example], spki_sha256: ['sha1/2jmj7l5rSw0yVb/vlWAYkK/YBwk=']",
			"is a SHA-1 pin; only SHA-256 is supported"},
		{"hosts: [a.example], backup_spki_sha256: ['" A "', x]", "pins.yaml:2:102: "},
		{"hosts: [a.example], ca_spki_sha256: [x]", "pins.yaml:2:50: "},
		{"hosts: [a.example], cert_sha256: ['" A "']", "is not a SHA-256 in hexadecimal"},
		{"hosts: ['a..example']",
			"pins.yaml:2:21: pins p: 'a..example' is not a host name"},
		{"hosts: ['a.*.example']", "has a '*' that is no whole first label"},
		{"hosts: ['x*.example']", "has a '*' that is no whole first label"},
		{"hosts: ['*.']", "is empty"},
		{"hosts: ['https://a.example/']", "is not a host name"},
		{"hosts: ['b\\u00fccher.example']", "is not a host name"},
		{"hosts: [\"b\\u00fccher.example\"]", "as xn--..."},
		{"hosts: [a.example, '/x(/']", "pins.yaml:2:32: pins p: '/x(/' "},
		{"hosts: ['/']", "is not a regular expression between slashes"},
		{"hosts: ['//']", "is not a regular expression between slashes"},
		{"hosts: ['/(*UTF8)a/']", "begins with (*...)"},
		{"hosts: ['/a*/']", "'/a*/' "}, /* fits every name */
		{"hosts: ['/(a)\\1/']", "'/(a)\\1/' "},
	};
	char yaml[1024];

	for (size_t i = 0; i < PSI_COUNT(t); i++) {
		struct psi_err err = {""};
		struct psi_pins *p;

		snprintf(yaml, sizeof(yaml), "pins:\n- {name: p, %s%s}\n", t[i].entry,
			strstr(t[i].entry, "sha256") ? "" : ", spki_sha256: ['" A "']");
		p = compile(yaml, &err);
		CU_ASSERT_PTR_NULL(p);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, t[i].why));
		if (!strstr(err.text, t[i].why))
			printf("\n  %s: %s\n", t[i].entry, err.text);
		psi_pins_close(p);
	}
}

static void
test_no_hosts(void)
{
	struct psi_config_pinset set = {.at = {7, 3}, .name = "p", .expires_s = INT64_MAX};
	struct psi_pins_config cfg = {.file = "f.yaml", .set = &set, .set_cnt = 1};
	struct psi_err err = {""};

	CU_ASSERT_PTR_NULL(psi_pins_open(&cfg, &err));
	CU_ASSERT_STRING_EQUAL(err.text,
		"f.yaml:7:3: pins p: hosts is empty: expected at least one name such as a.example");
}

/* ---- own inspection CAs ---- */

static char root_pem[] = "/tmp/test_pins.XXXXXX";

static int
set_up(void)
{
	const uint8_t *p = trust_root;
	X509 *x = d2i_X509(NULL, &p, sizeof(trust_root));
	int fd = mkstemp(root_pem);
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
	int bad = !x || !f || !PEM_write_X509(f, x) || fclose(f);

	X509_free(x);
	return bad;
}

static int
tear_down(void)
{
	return unlink(root_pem);
}

static const struct psi_pins_der leaf = {trust_leaf, sizeof(trust_leaf)};
static const struct psi_pins_der inter = {trust_inter, sizeof(trust_inter)};
static const struct psi_pins_der root = {trust_root, sizeof(trust_root)};

static struct psi_pins *
pins_with_ca(void)
{
	char yaml[128];

	snprintf(yaml, sizeof(yaml), "interception:\n  ca: [%s]\n", root_pem);
	return pins_of(yaml);
}

static void
test_own_ca(void)
{
	struct psi_pins *p = pins_with_ca();
	uint8_t bad[sizeof(trust_leaf)], bad_inter[sizeof(trust_inter)];
	const struct psi_pins_der forged = {bad, sizeof(bad)},
				  forged_inter = {bad_inter, sizeof(bad_inter)};

	memcpy(bad, trust_leaf, sizeof(bad));
	memcpy(bad_inter, trust_inter, sizeof(bad_inter));
	bad[sizeof(bad) - 1] ^= 1; /* of the signature */
	bad_inter[sizeof(bad_inter) - 1] ^= 1;
	CU_ASSERT_EQUAL(psi_pins_own_ca_cnt(p), 1);
	CU_ASSERT_TRUE(psi_pins_own_ca(p, (struct psi_pins_der[]){leaf, inter}, 2));
	CU_ASSERT_TRUE(psi_pins_own_ca(p, (struct psi_pins_der[]){leaf, inter, root}, 3));
	CU_ASSERT_TRUE(psi_pins_own_ca(p, (struct psi_pins_der[]){leaf, root, inter}, 3));
	CU_ASSERT_TRUE(psi_pins_own_ca(p, &inter, 1));
	CU_ASSERT_TRUE(psi_pins_own_ca(p, &root, 1));
	CU_ASSERT_FALSE(psi_pins_own_ca(p, &leaf, 1)); /* who signed it is not there */
	CU_ASSERT_FALSE(psi_pins_own_ca(p, NULL, 0));
	/* that the CA stands in the list proves nothing */
	CU_ASSERT_FALSE(psi_pins_own_ca(p, (struct psi_pins_der[]){leaf, root}, 2));
	CU_ASSERT_FALSE(psi_pins_own_ca(p, (struct psi_pins_der[]){forged, inter, root}, 3));
	CU_ASSERT_FALSE(psi_pins_own_ca(p, (struct psi_pins_der[]){leaf, forged_inter, root}, 3));
	psi_pins_close(p);
}

/* Every prefix of both certificates, from exact-size copies; and more certificates than are looked at. */
static void
test_own_ca_hostile(void)
{
	struct psi_pins *p = pins_with_ca();
	struct psi_pins_der many[40];

	for (uint32_t n = 0; n < sizeof(trust_leaf); n++) {
		uint8_t *a = exact(trust_leaf, n),
			*b = exact(trust_inter, PSI_MIN(n, sizeof(trust_inter) - 1));
		struct psi_pins_der c[] = {
			{a, n}, {b, PSI_MIN(n, (uint32_t)sizeof(trust_inter) - 1)}};

		CU_ASSERT_FALSE(psi_pins_own_ca(p, c, 2));
		c[0] = leaf;
		CU_ASSERT_FALSE(psi_pins_own_ca(p, c, 2));
		free(a);
		free(b);
	}
	for (uint32_t i = 0; i < PSI_COUNT(many); i++)
		many[i] = root;
	many[0] = leaf;
	CU_ASSERT_FALSE(psi_pins_own_ca(p, many, PSI_COUNT(many)));
	psi_pins_close(p);
}

static void
test_own_ca_files(void)
{
	struct psi_err err = {""};

	CU_ASSERT_PTR_NULL(compile("interception:\n  ca: [/nonexistent.pem]\n", &err));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text,
		"pins.yaml:2:8: interception.ca: /nonexistent.pem: No such file or directory"));
	CU_ASSERT_PTR_NULL(compile("interception:\n  ca: [/dev/null]\n", &err));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(err.text, "/dev/null: holds no certificate: expected PEM or DER"));
}

/* The second certificate of a bundle cut in the middle: the first alone would look like all there is. */
static void
test_own_ca_damaged(void)
{
	static const char tail[] = "-----BEGIN CERTIFICATE-----\nMIIB\n";
	char yaml[128];
	struct psi_err err = {""};
	FILE *f = fopen(root_pem, "a");
	long len;

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fseek(f, 0, SEEK_END);
	len = ftell(f);
	fputs(tail, f);
	fclose(f);
	snprintf(yaml, sizeof(yaml), "interception:\n  ca: [%s]\n", root_pem);
	CU_ASSERT_PTR_NULL(compile(yaml, &err));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "behind its first certificates that is damaged"));
	CU_ASSERT_EQUAL(truncate(root_pem, len), 0);
}

static CU_TestInfo tests[] = {
	{"hashes as text", test_hash_text},
	{"the most specific pattern", test_most_specific_host},
	{"hostile host names", test_hostile_hosts},
	{"results", test_results},
	{"expiry", test_expiry},
	{"an unread key is nobody's", test_unread_key_is_nobodys},
	{"no pinsets", test_no_pinsets},
	{"errors and their places", test_errors},
	{"a set without hosts", test_no_hosts},
	{"own inspection CAs", test_own_ca},
	{"own inspection CAs, hostile chains", test_own_ca_hostile},
	{"own inspection CAs, files", test_own_ca_files},
	{"a bundle of inspection CAs that was cut short", test_own_ca_damaged},
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo psi_unit_suites[] = {
	{.pName = "pins", .pInitFunc = set_up, .pCleanupFunc = tear_down, .pTests = tests},
	CU_SUITE_INFO_NULL,
};
