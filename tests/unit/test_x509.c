/* SPDX-License-Identifier: BSD-3-Clause */
#include "psi_unit.h"

#include "x509_cert.h"
#include "x509_pvt.h"
#include "psi_x509_chain.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>

/* libcrypto's allocations are counted, so that a test can say that there are none. Must be set before its first. */
static unsigned long allocs;

static void *
count_malloc(size_t n, const char *file, int line)
{
	allocs++;
	return malloc(n);
}

static void *
count_realloc(void *p, size_t n, const char *file, int line)
{
	allocs++;
	return realloc(p, n);
}

static void
count_free(void *p, const char *file, int line)
{
	free(p);
}

__attribute__((constructor)) static void
hook(void)
{
	if (!CRYPTO_set_mem_functions(count_malloc, count_realloc, count_free))
		abort();
}

static struct psi_x509_ctx *reader;

static int
open_reader(void)
{
	reader = psi_x509_open();
	return !reader;
}

static int
close_reader(void)
{
	psi_x509_close(reader);
	return 0;
}

/* Reads len bytes in pieces: the first of `first` bytes, then of `step`. */
static int
read_cert(struct psi_x509 *out, const uint8_t *p, uint32_t len, uint32_t first, uint32_t step)
{
	uint32_t at = 0;

	psi_x509_begin(reader, out);
	while (at < len) {
		uint32_t n = PSI_MIN(at ? step : first, len - at);
		uint8_t *piece = exact(p + at, n);

		psi_x509_push(reader, piece, n);
		free(piece);
		at += n;
	}
	return psi_x509_end(reader);
}

/* ---- a certificate of openssl's ---- */

static void
expect_hex(const uint8_t *p, size_t len, const char *want)
{
	char got[2 * 64 + 1] = "";

	for (size_t i = 0; i < len && i < 64; i++)
		snprintf(got + 2 * i, 3, "%02x", p[i]);
	CU_ASSERT_STRING_EQUAL(got, want);
}

static void
expect_sans(const struct psi_x509 *c)
{
	static const struct {
		enum psi_x509_san kind;
		const char *bytes;
		uint32_t len;
	} want[] = {
		{PSI_SAN_DNS, "a.example", 9},
		{PSI_SAN_DNS, "*.b.example", 11},
		{PSI_SAN_IP, "\xc0\0\2\1", 4},
		{PSI_SAN_IP, "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16},
		{PSI_SAN_EMAIL, "x@a.example", 11},
		{PSI_SAN_URI, "https://a.example/", 18},
		{PSI_SAN_DIR,
			"\x30\x0e\x31\x0c\x30\x0a\x06\x03\x55\x04\x03\x0c\x03"
			"dir",
			16},
	};
	enum psi_x509_san kind;
	const uint8_t *p;
	uint32_t at = 0, len;

	for (size_t i = 0; i < PSI_COUNT(want); i++) {
		CU_ASSERT_FATAL(psi_x509_san_next(c, &at, &kind, &p, &len));
		CU_ASSERT(kind == want[i].kind && len == want[i].len &&
			  memcmp(p, want[i].bytes, len) == 0);
	}
	CU_ASSERT_FALSE(psi_x509_san_next(c, &at, &kind, &p, &len));
	CU_ASSERT_EQUAL(c->san_cnt, 9); /* an otherName and a registered ID are counted, not kept */
}

#define RICH_NAME                                                                                    \
	"2.3.4=#0C036F6464,serialNumber=42,OU=second#+CN=a.example,OU=\\  lead,O=Müller\\, Söhne " \
	"& Co,C=DE"

/* Expected values: openssl x509 -text; openssl prints a multi-valued RDN backwards, we as it was sent. */
static void
expect_rich(const struct psi_x509 *c)
{
	char key[48];

	CU_ASSERT_EQUAL(c->err, PSI_OK);
	CU_ASSERT_EQUAL(c->len, sizeof(cert_rich));
	CU_ASSERT_EQUAL(c->note, PSI_X509_WHOLE | PSI_X509_CA | PSI_X509_HAS_PATHLEN |
					 PSI_X509_HAS_KEY_USAGE | PSI_X509_SELF_ISSUED |
					 PSI_X509_UNKNOWN_CRITICAL);
	CU_ASSERT_EQUAL(c->version, 3);
	CU_ASSERT_EQUAL(c->key_type, PSI_KEY_EC);
	CU_ASSERT_EQUAL(c->key_bits, 256);
	CU_ASSERT_EQUAL(c->key_usage, 1 << 0 | 1 << 5); /* digitalSignature, keyCertSign */
	CU_ASSERT_EQUAL(c->eku, PSI_EKU_SERVER | PSI_EKU_CLIENT | PSI_EKU_OTHER);
	CU_ASSERT_EQUAL(c->pathlen, 3);
	CU_ASSERT_EQUAL(c->sct_cnt, 2);
	CU_ASSERT_EQUAL(c->not_before, 1795328327); /* 2026-11-22 06:18:47Z, date(1) */
	CU_ASSERT_EQUAL(c->not_after, 1829888327);  /* 2027-12-27 06:18:47Z */
	CU_ASSERT_STRING_EQUAL(c->sigalg, "ecdsa-with-SHA384");
	CU_ASSERT_STRING_EQUAL(c->curve, "P-256");
	CU_ASSERT_STRING_EQUAL(c->subject, RICH_NAME);
	CU_ASSERT_STRING_EQUAL(c->issuer, RICH_NAME);
	CU_ASSERT_STRING_EQUAL(psi_x509_key_name(c, key, sizeof(key)), "P-256");
	expect_hex(c->serial, c->serial_len, "008123456789abcdef");
	expect_hex(c->ski, c->ski_len, "1529a5a87d26c0c83f1721f817c6808ccbcdc2a3");
	expect_hex(c->aki, c->aki_len, "1529a5a87d26c0c83f1721f817c6808ccbcdc2a3");
	expect_hex(c->sha1, 20, "194ed2fcd7c24cf02e49e50a03740660b5216da6");
	expect_hex(
		c->sha256, 32, "28b97e68e7b3af7fbf488382371d62eeefad557a1c31b0d4a4f7ce0f5fb03639");
	expect_hex(c->spki_sha256, 32,
		"46b44a785de14ce4aaf05ad1d5ed8110146c6a37d7ba0fc218ccbdde828233e0");
	expect_sans(c);
}

static void
test_whole_and_split(void)
{
	struct psi_x509 c;

	read_cert(&c, cert_rich, sizeof(cert_rich), sizeof(cert_rich), 1);
	expect_rich(&c);
	for (uint32_t step = 1; step < 40; step++) {
		read_cert(&c, cert_rich, sizeof(cert_rich), step, step);
		expect_rich(&c);
	}
	for (uint32_t cut = 1; cut < sizeof(cert_rich); cut++) {
		read_cert(&c, cert_rich, sizeof(cert_rich), cut, UINT32_MAX);
		expect_rich(&c);
	}
}

/* What a broken certificate leaves is what stood before the break, and no more. */
static void
test_broken_off_anywhere(void)
{
	static const uint8_t zero[32];
	struct psi_x509 whole, c, bytewise;
	uint8_t hash[32];

	read_cert(&whole, cert_rich, sizeof(cert_rich), UINT32_MAX, 1);
	for (uint32_t len = 0; len < sizeof(cert_rich); len++) {
		CU_ASSERT_EQUAL(read_cert(&c, cert_rich, len, UINT32_MAX, 1), PSI_E_SHORT);
		read_cert(&bytewise, cert_rich, len, 1, 1);
		CU_ASSERT(memcmp(&c, &bytewise, offsetof(struct psi_x509, san)) == 0);
		EVP_Digest(cert_rich, len, hash, NULL, EVP_sha256(), NULL);
		CU_ASSERT(memcmp(c.sha256, hash, 32) == 0);
		CU_ASSERT_EQUAL(c.len, len);
		CU_ASSERT((c.note & ~whole.note) == 0 && !(c.note & PSI_X509_WHOLE));
		CU_ASSERT(c.not_after == INT64_MIN || c.not_after == whole.not_after);
		CU_ASSERT(memcmp(c.spki_sha256, zero, 32) == 0 ||
			  memcmp(c.spki_sha256, whole.spki_sha256, 32) == 0);
		CU_ASSERT(c.san_len <= whole.san_len && memcmp(c.san, whole.san, c.san_len) == 0);
		/* the least specific RDNs come first on the wire: what is there is an end of the whole name */
		CU_ASSERT_STRING_EQUAL(
			c.subject, &RICH_NAME[strlen(RICH_NAME) - strlen(c.subject)]);
	}
}

static void
test_no_allocation(void)
{
	struct psi_x509 c;
	uint8_t *p = exact(cert_rich, sizeof(cert_rich));
	unsigned long before;

	EVP_Digest(p, 1, c.sha256, NULL, EVP_sha256(), NULL);
	before = allocs;
	CU_ASSERT(before > 0); /* the hook is in place */
	for (int i = 0; i < 3; i++) {
		psi_x509_begin(reader, &c);
		psi_x509_push(reader, p, 100);
		psi_x509_push(reader, p + 100, sizeof(cert_rich) - 100);
		psi_x509_end(reader);
	}
	CU_ASSERT_EQUAL(allocs, before);
	expect_rich(&c);
	free(p);
}

/* ---- certificates built here ---- */

struct buf {
	uint8_t p[70000];
	size_t len;
};

static void
raw(struct buf *b, const void *p, size_t len)
{
	memcpy(b->p + b->len, p, len);
	b->len += len;
}

/* Wraps what was written since `from` into a value. */
static void
wrap(struct buf *b, size_t from, uint8_t tag)
{
	size_t len = b->len - from, n = len < 0x80 ? 2 : len < 0x100 ? 3 : 4;
	uint8_t *h = b->p + from;

	memmove(h + n, h, len);
	h[0] = tag;
	if (n == 2)
		h[1] = (uint8_t)len;
	if (n == 3) {
		h[1] = 0x81;
		h[2] = (uint8_t)len;
	}
	if (n == 4) {
		h[1] = 0x82;
		h[2] = (uint8_t)(len >> 8);
		h[3] = (uint8_t)len;
	}
	b->len += n;
}

static void
value(struct buf *b, uint8_t tag, const void *p, size_t len)
{
	size_t from = b->len;

	raw(b, p, len);
	wrap(b, from, tag);
}

#define LIT(s) s, sizeof(s) - 1

/* The pieces of a certificate, each raw DER; NULL takes a plain one. */
struct made {
	const char *serial, *name, *validity, *spki, *exts, *sig;
	size_t serial_len, name_len, validity_len, spki_len, exts_len, sig_len;
};

#define ALG "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02" /* ecdsa-with-SHA256 */
#define TIMES              \
	"\x30\x1e\x17\x0d" \
	"200101000000Z"    \
	"\x17\x0d"         \
	"210101000000Z"
#define ED "\x30\x07\x30\x05\x06\x03\x2b\x65\x70" /* Ed25519, the key itself put behind by make() */

static void
piece(struct buf *b, const char *p, size_t len, const char *plain, size_t plain_len)
{
	raw(b, p ? p : plain, p ? len : plain_len);
}

static void
make(struct buf *b, const struct made *m)
{
	size_t tbs;

	b->len = 0;
	raw(b, LIT("\xa0\x03\x02\x01\x02"));
	piece(b, m->serial, m->serial_len, LIT("\x02\x01\x07"));
	raw(b, LIT(ALG));
	raw(b, LIT("\x30\x00")); /* issuer */
	piece(b, m->validity, m->validity_len, LIT(TIMES));
	piece(b, m->name, m->name_len, LIT("\x30\x00"));
	piece(b, m->spki, m->spki_len, LIT("\x30\x0a\x30\x05\x06\x03\x2b\x65\x70\x03\x01\x00"));
	if (m->exts) {
		tbs = b->len;
		raw(b, m->exts, m->exts_len);
		wrap(b, tbs, 0x30);
		wrap(b, tbs, 0xa3);
	}
	wrap(b, 0, 0x30);
	piece(b, m->sig, m->sig_len, LIT(ALG));
	raw(b, LIT("\x03\x02\x00\x55"));
	wrap(b, 0, 0x30);
}

/* Makes and reads it, whole and byte by byte: both must agree. */
static int
read_made(struct psi_x509 *c, const struct made *m)
{
	static struct buf b;
	static struct psi_x509 bytewise;
	int rc;

	make(&b, m);
	rc = read_cert(c, b.p, (uint32_t)b.len, UINT32_MAX, 1);
	CU_ASSERT_EQUAL(read_cert(&bytewise, b.p, (uint32_t)b.len, 1, 1), rc);
	CU_ASSERT(memcmp(c, &bytewise, offsetof(struct psi_x509, san) + c->san_len) == 0);
	return rc;
}

static void
expect_name(const void *der, size_t len, const char *want)
{
	struct psi_x509 c;

	CU_ASSERT_EQUAL(read_made(&c, &(struct made){.name = der, .name_len = len}), PSI_OK);
	CU_ASSERT_STRING_EQUAL(c.subject, want);
}

/* One attribute, by default CN. */
static void
expect_cn(uint8_t tag, const void *p, size_t len, const char *want)
{
	static struct buf b;

	b.len = 0;
	raw(&b, LIT("\x06\x03\x55\x04\x03"));
	value(&b, tag, p, len);
	wrap(&b, 0, 0x30);
	wrap(&b, 0, 0x31);
	wrap(&b, 0, 0x30);
	expect_name(b.p, b.len, want);
}

/* RFC 4514 section 2.4 says what is escaped and how; section 4 has the examples. */
static void
test_names_escape(void)
{
	expect_name(LIT("\x30\x00"), "");
	expect_cn(0x0c, LIT("James \"Jim\" Smith, III"), "CN=James \\\"Jim\\\" Smith\\, III");
	expect_cn(0x0c, LIT("Before\rAfter"), "CN=Before\\0DAfter");
	expect_cn(0x0c, LIT("Lu\xc4\x8di\xc4\x87"), "CN=Lu\xc4\x8di\xc4\x87");
	expect_cn(0x0c, LIT(" lead and trail "), "CN=\\ lead and trail\\ ");
	expect_cn(0x0c, LIT(" "), "CN=\\ ");
	expect_cn(0x0c, LIT("#x#"), "CN=\\#x#");
	expect_cn(0x0c, LIT("a+b;c<d>e\\f=g"), "CN=a\\+b\\;c\\<d\\>e\\\\f=g");
	expect_cn(0x0c, LIT("nul\0here"), "CN=nul\\00here");
	expect_cn(0x0c, LIT(""), "CN=");
	expect_cn(0x0c, LIT("\x1b[31m\x7f"), "CN=\\1B[31m\\7F");
}

static void
test_names_hostile_utf8(void)
{
	expect_cn(0x0c,
		LIT("a\xff"
		    "b\xc3"),
		"CN=a\\FFb\\C3");					 /* no lead byte, no end */
	expect_cn(0x0c, LIT("\xc0\xaf"), "CN=\\C0\\AF");		 /* overlong '/' */
	expect_cn(0x0c, LIT("\xed\xa0\x80"), "CN=\\ED\\A0\\80");	 /* surrogate */
	expect_cn(0x0c, LIT("\xf4\x90\x80\x80"), "CN=\\F4\\90\\80\\80"); /* beyond U+10FFFF */
	expect_cn(0x0c,
		LIT("\xe2\x80\xae"
		    "moc"),
		"CN=\\E2\\80\\AEmoc");			 /* U+202E turns text round */
	expect_cn(0x0c, LIT("\xc2\x85"), "CN=\\C2\\85"); /* C1 control */
	expect_cn(0x0c, LIT("\xf0\x9f\x98\x80"), "CN=\xf0\x9f\x98\x80"); /* U+1F600 */
}

static void
test_names_string_types(void)
{
	expect_cn(0x13, LIT("Printable"), "CN=Printable");
	expect_cn(0x14, LIT("M\xfcller"), "CN=M\xc3\xbcller");
	expect_cn(0x16, LIT("ia5@x"), "CN=ia5@x");
	expect_cn(0x12, LIT("123"), "CN=123");
	expect_cn(0x1a, LIT("visible"), "CN=visible");
	expect_cn(0x1e, LIT("\0M\0\xfc\x20\xac"), "CN=M\xc3\xbc\xe2\x82\xac");
	expect_cn(0x1e, LIT("\xd8\x3d\xde\x00"), "CN=\xf0\x9f\x98\x80"); /* a surrogate pair */
	expect_cn(0x1e, LIT("\xd8\x3d\0x"), "CN=\\D8\\3Dx");
	expect_cn(0x1e, LIT("\0a\0"), "CN=#1E03006100"); /* half a character */
	expect_cn(0x1c, LIT("\0\0\0a\0\1\xf6\0"), "CN=a\xf0\x9f\x98\x80");
	expect_cn(0x1c, LIT("\0\x11\0\0"), "CN=\\00\\11\\00\\00");
	expect_cn(0x04, LIT("\xde\xad"), "CN=#0402DEAD");
	expect_cn(0x30, LIT("\x05\x00"), "CN=#30020500");
}

/* Type without a row; several values; several RDNs: last first. */
static void
test_names_structure(void)
{
	expect_name(LIT("\x30\x0e\x31\x0c\x30\x0a\x06\x03\x55\x04\x7f\x0c\x03"
			"abc"),
		"2.5.4.127=#0C03616263");
	expect_name(LIT("\x30\x1a\x31\x0b\x30\x09\x06\x03\x55\x04\x06\x13\x02"
			"DE"
			"\x31\x0b\x30\x09\x06\x03\x55\x04\x03\x0c\x02"
			"cn"),
		"CN=cn,C=DE");
	expect_name(LIT("\x30\x18\x31\x16\x30\x09\x06\x03\x55\x04\x06\x13\x02"
			"DE"
			"\x30\x09\x06\x03\x55\x04\x03\x0c\x02"
			"cn"),
		"C=DE+CN=cn");
	/* jurisdictionC: an OID whose arcs need two bytes */
	expect_name(LIT("\x30\x15\x31\x13\x30\x11\x06\x0b\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01"
			"\x03\x13\x02"
			"US"),
		"jurisdictionC=US");
}

/* 40 RDNs of 40 characters: what is kept begins with the last and ends between two characters. */
static void
test_names_cut(void)
{
	static struct buf b;
	struct psi_x509 c;
	char text[64], want[2048] = "";

	b.len = 0;
	for (int i = 0; i < 40; i++) {
		size_t from = b.len;

		snprintf(text, sizeof(text), "%02d\xc3\xa9\xc3\xa9\xc3\xa9,%029d", i, i);
		raw(&b, LIT("\x06\x03\x55\x04\x0b"));
		value(&b, 0x0c, text, strlen(text));
		wrap(&b, from, 0x30);
		wrap(&b, from, 0x31);
	}
	wrap(&b, 0, 0x30);
	for (int i = 39; i >= 0; i--)
		snprintf(want + strlen(want), sizeof(want) - strlen(want),
			"%sOU=%02d\xc3\xa9\xc3\xa9\xc3\xa9\\,%029d", i < 39 ? "," : "", i, i);
	CU_ASSERT_EQUAL(
		read_made(&c, &(struct made){.name = (char *)b.p, .name_len = b.len}), PSI_OK);
	CU_ASSERT(c.note & PSI_X509_NAME_CUT);
	CU_ASSERT(strlen(c.subject) >= PSI_X509_NAME_MAX - 4);
	CU_ASSERT(strncmp(c.subject, want, strlen(c.subject)) == 0);
}

/* One value beyond every bound; every cut falls between two characters, wherever the bound lies. */
static void
test_names_long_value(void)
{
	static struct buf b;
	static char text[3000];
	struct psi_x509 c;

	for (size_t pad = 0; pad < 4; pad++) {
		memset(text, 'a', pad);
		for (size_t i = pad; i + 1 < sizeof(text); i += 2)
			memcpy(text + i, "\xc3\xa9", 2);
		b.len = 0;
		raw(&b, LIT("\x06\x03\x55\x04\x0b"));
		value(&b, 0x0c, text, sizeof(text));
		wrap(&b, 0, 0x30);
		wrap(&b, 0, 0x31);
		wrap(&b, 0, 0x30);
		CU_ASSERT_EQUAL(
			read_made(&c, &(struct made){.name = (char *)b.p, .name_len = b.len}),
			PSI_OK);
		CU_ASSERT(c.note & PSI_X509_NAME_CUT);
		CU_ASSERT(strlen(c.subject) >= PSI_X509_NAME_MAX - 2);
		CU_ASSERT(strncmp(c.subject, "OU=", 3) == 0 &&
			  strncmp(c.subject + 3, text, strlen(c.subject) - 3) == 0);
		CU_ASSERT_EQUAL((strlen(c.subject) - 3 - pad) % 2, 0);
	}
}

/* Expected seconds: date -u -d TIME +%s. */
static void
test_times(void)
{
	static const struct {
		uint8_t tag;
		const char *text;
		int64_t want;
	} t[] = {
		{0x17, "700101000000Z", 0},
		{0x17, "491231235959Z", 2524607999}, /* 2049 */
		{0x17, "500101000000Z", -631152000}, /* 1950 */
		{0x17, "000229120000Z", 951825600},
		{0x17, "2001010000Z", 1577836800},
		{0x17, "200101010000+0100", 1577836800},
		{0x17, "191231233000-0030", 1577836800},
		{0x18, "20500101000000Z", 2524608000},
		{0x18, "19491231235959Z", -631152001},
		{0x18, "99991231235959Z", 253402300799},
		{0x18, "00010101000000Z", -62135596800},
		{0x18, "20200101000000.5Z", 1577836800},
		{0x18, "20200101000000.123456+0000", 1577836800},
		{0x18, "202001010000Z", 1577836800},
		{0x17, "990229120000Z", INT64_MIN}, /* no such day */
		{0x18, "21000229120000Z", INT64_MIN},
		{0x17, "201301000000Z", INT64_MIN},
		{0x17, "200101240000Z", INT64_MIN},
		{0x17, "200101006000Z", INT64_MIN},
		{0x17, "200101000060Z", INT64_MIN},
		{0x17, "200101000000", INT64_MIN}, /* no zone: local time of nobody knows where */
		{0x17, "200101000000ZZ", INT64_MIN},
		{0x17, "200101000000+1300", INT64_MIN},
		{0x17, "200101000000.5Z", INT64_MIN}, /* fractions are GeneralizedTime's */
		{0x18, "20200101000000.Z", INT64_MIN},
		{0x17, "20010100000xZ", INT64_MIN},
		{0x17, "", INT64_MIN},
		{0x18, "2020", INT64_MIN},
	};

	for (size_t i = 0; i < PSI_COUNT(t); i++) {
		size_t len = strlen(t[i].text);
		uint8_t *p = exact(t[i].text, len);

		CU_ASSERT_EQUAL(x_time(t[i].tag, p, (uint32_t)len), t[i].want);
		free(p);
	}
}

/* ---- keys ---- */

static void
expect_key(const char *spki, size_t len, enum psi_x509_key type, unsigned int key_bits,
	const char *name)
{
	struct psi_x509 c;
	char key[48];

	CU_ASSERT_EQUAL(read_made(&c, &(struct made){.spki = spki, .spki_len = len}), PSI_OK);
	CU_ASSERT_EQUAL(c.key_type, type);
	CU_ASSERT_EQUAL(c.key_bits, key_bits);
	CU_ASSERT_STRING_EQUAL(psi_x509_key_name(&c, key, sizeof(key)), name);
	CU_ASSERT_FALSE(c.note & PSI_X509_KEY_MALFORMED);
}

static void
test_keys(void)
{
	/* RSA, modulus 0x01ff: 9 bits */
	expect_key(LIT("\x30\x1b\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00"
		       "\x03\x0a\x00\x30\x07\x02\x02\x01\xff\x02\x01\x03"),
		PSI_KEY_RSA, 9, "RSA-9");
	/* RSA-PSS without parameters, modulus 0x80 behind a zero: 8 bits */
	expect_key(LIT("\x30\x19\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a"
		       "\x03\x0a\x00\x30\x07\x02\x02\x00\x80\x02\x01\x03"),
		PSI_KEY_RSA_PSS, 8, "RSA-PSS-8");
	/* EC, curve without a row: 1.3.132.0.99 */
	expect_key(LIT("\x30\x14\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04"
		       "\x00\x63\x03\x00"),
		PSI_KEY_EC, 0, "1.3.132.0.99");
	/* EC on SM2's curve */
	expect_key(LIT("\x30\x17\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x81\x1c"
		       "\xcf\x55\x01\x82\x2d\x03\x00"),
		PSI_KEY_SM2, 256, "SM2");
	/* EC, explicit prime field, p = 0x07ff: 11 bits */
	expect_key(
		LIT("\x30\x23\x30\x1f\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x30\x14\x02\x01\x01"
		    "\x30\x0d\x06\x07\x2a\x86\x48\xce\x3d\x01\x01\x02\x02\x07\xff\x30\x00\x03\x00"),
		PSI_KEY_EC, 11, "EC-11 explicit");
	/* EC, explicit binary field, m = 163 */
	expect_key(LIT("\x30\x25\x30\x21\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x30\x16\x02\x01\x01"
		       "\x30\x0f\x06\x07\x2a\x86\x48\xce\x3d\x01\x02\x30\x04\x02\x02\x00\xa3\x30"
		       "\x00\x03\x00"),
		PSI_KEY_EC, 163, "EC-163 explicit");
	/* DSA, p = 0x010001: 17 bits */
	expect_key(LIT("\x30\x1a\x30\x16\x06\x07\x2a\x86\x48\xce\x38\x04\x01\x30\x0b\x02\x03\x01"
		       "\x00\x01\x02\x01\x03\x02\x01\x02\x03\x00"),
		PSI_KEY_DSA, 17, "DSA-17");
	expect_key(LIT("\x30\x0a\x30\x05\x06\x03\x2b\x65\x70\x03\x01\x00"), PSI_KEY_ED25519, 256,
		"Ed25519");
	expect_key(LIT("\x30\x0a\x30\x05\x06\x03\x2b\x65\x71\x03\x01\x00"), PSI_KEY_ED448, 456,
		"Ed448");
	expect_key(LIT("\x30\x10\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03\x12\x03\x01\x00"),
		PSI_KEY_ML_DSA, 0, "ML-DSA-65");
	expect_key(LIT("\x30\x10\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03\x14\x03\x01\x00"),
		PSI_KEY_SLH_DSA, 0, "SLH-DSA-SHA2-128s");
	expect_key(LIT("\x30\x0f\x30\x0a\x06\x08\x2a\x85\x03\x07\x01\x01\x01\x02\x03\x01\x00"),
		PSI_KEY_GOST, 512, "GOST2012-512");
	expect_key(
		LIT("\x30\x09\x30\x04\x06\x02\x2a\x03\x03\x01\x00"), PSI_KEY_UNKNOWN, 0, "1.2.3");
}

/* A broken key costs the key, not what stands behind it. */
static void
test_key_malformed(void)
{
	static const char basic_ca[] = "\x30\x0c\x06\x03\x55\x1d\x13\x04\x05\x30\x03\x01\x01\xff";
	static const struct {
		const char *p;
		size_t len;
	} bad[] = {
		/* RSA: modulus longer than the key, no sequence, unused bits, nothing at all */
		{LIT("\x30\x1b\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x03\x0a"
		     "\x00\x30\x07\x02\x09\x01\xff\x02\x01\x03")},
		{LIT("\x30\x13\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x03\x02"
		     "\x00\x55")},
		{LIT("\x30\x1b\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x03\x0a"
		     "\x09\x30\x07\x02\x02\x01\xff\x02\x01\x03")},
		{LIT("\x30\x11\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x03"
		     "\x00")},
		/* DSA: the prime is no number */
		{LIT("\x30\x13\x30\x0f\x06\x07\x2a\x86\x48\xce\x38\x04\x01\x30\x04\x0c\x02\x68\x69"
		     "\x03\x00")},
	};
	struct psi_x509 c;

	for (size_t i = 0; i < PSI_COUNT(bad); i++) {
		CU_ASSERT_EQUAL(read_made(&c, &(struct made){.spki = bad[i].p,
						      .spki_len = bad[i].len,
						      .exts = basic_ca,
						      .exts_len = sizeof(basic_ca) - 1}),
			PSI_OK);
		CU_ASSERT_EQUAL(c.note & (PSI_X509_KEY_MALFORMED | PSI_X509_CA | PSI_X509_WHOLE),
			PSI_X509_KEY_MALFORMED | PSI_X509_CA | PSI_X509_WHOLE);
	}
}

/* ---- extensions ---- */

#define BASIC_CA "\x30\x0c\x06\x03\x55\x1d\x13\x04\x05\x30\x03\x01\x01\xff"

static uint32_t
note_of(const char *exts, size_t len)
{
	struct psi_x509 c;

	CU_ASSERT_EQUAL(read_made(&c, &(struct made){.exts = exts, .exts_len = len}), PSI_OK);
	return c.note & ~(uint32_t)(PSI_X509_WHOLE | PSI_X509_SELF_ISSUED);
}

static void
test_extensions_malformed(void)
{
	/* subjectAltName: a name longer than the list; the CA flag behind it is still read */
	CU_ASSERT_EQUAL(
		note_of(LIT("\x30\x0b\x06\x03\x55\x1d\x11\x04\x04\x30\x02\x82\x09" BASIC_CA)),
		PSI_X509_EXT_MALFORMED | PSI_X509_CA);
	/* no list but a string; a list with more behind it; nothing at all */
	CU_ASSERT_EQUAL(note_of(LIT("\x30\x0a\x06\x03\x55\x1d\x11\x04\x03\x0c\x01x" BASIC_CA)),
		PSI_X509_EXT_MALFORMED | PSI_X509_CA);
	CU_ASSERT_EQUAL(
		note_of(LIT("\x30\x0b\x06\x03\x55\x1d\x11\x04\x04\x30\x00\x05\x00" BASIC_CA)),
		PSI_X509_EXT_MALFORMED | PSI_X509_CA);
	CU_ASSERT_EQUAL(note_of(LIT("\x30\x07\x06\x03\x55\x1d\x11\x04\x00" BASIC_CA)),
		PSI_X509_EXT_MALFORMED | PSI_X509_CA);
	/* key usage with 9 unused bits */
	CU_ASSERT_EQUAL(note_of(LIT("\x30\x0b\x06\x03\x55\x1d\x0f\x04\x04\x03\x02\x09\x80")),
		PSI_X509_EXT_MALFORMED);
	/* an SCT list that says 9 bytes and has 3 */
	CU_ASSERT_EQUAL(note_of(LIT("\x30\x15\x06\x0a\x2b\x06\x01\x04\x01\xd6\x79\x02\x04\x02\x04"
				    "\x07\x04\x05\x00\x09\x00\x01\x00" BASIC_CA)),
		PSI_X509_EXT_MALFORMED | PSI_X509_CA);
	/* a path length below zero */
	CU_ASSERT_EQUAL(
		note_of(LIT(
			"\x30\x0f\x06\x03\x55\x1d\x13\x04\x08\x30\x06\x01\x01\xff\x02\x01\xff")),
		PSI_X509_EXT_MALFORMED | PSI_X509_CA);
}

static void
test_extensions_notes(void)
{
	struct psi_x509 c;
	static const char twice[] = BASIC_CA
		"\x30\x12\x06\x03\x55\x1d\x13\x01\x01\xff\x04\x08\x30\x06\x01\x01\xff\x02\x01\x02";
	static const char lists[] =
		"\x30\x16\x06\x03\x55\x1d\x25\x04\x0f\x30\x0d\x06\x04\x55\x1d\x25\x00\x06\x05\x2b"
		"\x81\x04\x00\x0a"
		"\x30\x0e\x06\x03\x55\x1d\x0f\x01\x01\xff\x04\x04\x03\x02\x07\x80";

	/* the first counts: no path length from the second */
	CU_ASSERT_EQUAL(note_of(twice, sizeof(twice) - 1), PSI_X509_CA | PSI_X509_EXT_TWICE);
	/* 1.2.3 critical; not critical; critical FALSE spelled out; certificatePolicies critical, which is known */
	CU_ASSERT_EQUAL(note_of(LIT("\x30\x0b\x06\x02\x2a\x03\x01\x01\xff\x04\x02\x05\x00")),
		PSI_X509_UNKNOWN_CRITICAL);
	CU_ASSERT_EQUAL(note_of(LIT("\x30\x08\x06\x02\x2a\x03\x04\x02\x05\x00")), 0);
	CU_ASSERT_EQUAL(note_of(LIT("\x30\x0b\x06\x02\x2a\x03\x01\x01\x00\x04\x02\x05\x00")), 0);
	CU_ASSERT_EQUAL(
		note_of(LIT("\x30\x0c\x06\x03\x55\x1d\x20\x01\x01\xff\x04\x02\x30\x00")), 0);
	CU_ASSERT_EQUAL(read_made(&c, &(struct made){.exts = lists, .exts_len = sizeof(lists) - 1}),
		PSI_OK);
	CU_ASSERT_EQUAL(c.eku, PSI_EKU_ANY | PSI_EKU_OTHER);
	CU_ASSERT_EQUAL(c.key_usage, 1);
}

static void
test_san_cut(void)
{
	static struct buf b;
	struct psi_x509 c;
	static char name[300];
	enum psi_x509_san kind;
	const uint8_t *p;
	uint32_t at = 0, len, n = 0;

	memset(name, 'n', sizeof(name));
	b.len = 0;
	for (int i = 0; i < 40; i++) /* 40 * 303 bytes: 27 fit into 8192 */
		value(&b, 0x82, name, sizeof(name));
	value(&b, 0x82, LIT("small"));
	wrap(&b, 0, 0x30);
	wrap(&b, 0, 0x04);
	memmove(b.p + 5, b.p, b.len);
	memcpy(b.p, "\x06\x03\x55\x1d\x11", 5);
	b.len += 5;
	wrap(&b, 0, 0x30);
	CU_ASSERT_EQUAL(
		read_made(&c, &(struct made){.exts = (char *)b.p, .exts_len = b.len}), PSI_OK);
	CU_ASSERT(c.note & PSI_X509_SAN_CUT);
	CU_ASSERT_EQUAL(c.san_cnt, 41);
	while (psi_x509_san_next(&c, &at, &kind, &p, &len)) {
		n++;
		CU_ASSERT(len == (n == 28 ? 5u : 300u)); /* the small one still fits */
	}
	CU_ASSERT_EQUAL(n, 28);
}

/* ---- the outer form ---- */

static void
test_serials(void)
{
	struct psi_x509 c;
	char longer[2 + 40] = "\x02\x28";

	read_made(&c, &(struct made){.serial = "\x02\x01\xff", .serial_len = 3});
	CU_ASSERT(c.note & PSI_X509_SERIAL_NEGATIVE);
	expect_hex(c.serial, c.serial_len, "ff");
	memset(longer + 2, 0x11, 40);
	CU_ASSERT_EQUAL(
		read_made(&c, &(struct made){.serial = longer, .serial_len = sizeof(longer)}),
		PSI_OK);
	CU_ASSERT(c.note & PSI_X509_ID_CUT);
	CU_ASSERT_EQUAL(c.serial_len, PSI_X509_SERIAL_MAX);
	CU_ASSERT_EQUAL(read_made(&c, &(struct made){.serial = "\x02\x00", .serial_len = 2}),
		PSI_E_MALFORMED);
	CU_ASSERT_EQUAL(read_made(&c, &(struct made){.serial = "\x04\x01\x01", .serial_len = 3}),
		PSI_E_MALFORMED);
	/* a length in more bytes than needed, the indefinite one, and one that nobody needs */
	CU_ASSERT_EQUAL(
		read_made(&c, &(struct made){.serial = "\x02\x81\x01\x05", .serial_len = 4}),
		PSI_OK);
	CU_ASSERT(c.note & PSI_X509_NOT_DER);
	CU_ASSERT_EQUAL(
		read_made(&c, &(struct made){.serial = "\x02\x80\x05\x00\x00", .serial_len = 5}),
		PSI_E_UNSUPPORTED);
	CU_ASSERT_EQUAL(
		read_made(&c, &(struct made){.serial = "\x02\x85\0\0\0\0\1\5", .serial_len = 8}),
		PSI_E_MALFORMED);
}

static void
test_outer_form(void)
{
	static struct buf b;
	struct psi_x509 c;

	make(&b, &(struct made){0});
	raw(&b, "tail", 4);
	CU_ASSERT_EQUAL(read_cert(&c, b.p, (uint32_t)b.len, 10, 7), PSI_OK);
	CU_ASSERT(c.note & PSI_X509_TRAILING && c.note & PSI_X509_WHOLE);
	CU_ASSERT_EQUAL(c.len, b.len);
	read_made(&c, &(struct made){.sig = "\x30\x05\x06\x03\x2b\x65\x70", .sig_len = 7});
	CU_ASSERT(c.note & PSI_X509_SIGALG_DIFFERS);
	CU_ASSERT_STRING_EQUAL(c.sigalg, "ecdsa-with-SHA256");
	CU_ASSERT_EQUAL(
		read_cert(&c, (const uint8_t *)"\x04\x02\x30\x00", 4, 1, 1), PSI_E_MALFORMED);
	CU_ASSERT_EQUAL(
		read_cert(&c, (const uint8_t *)"\x30\x02\x30\x00", 4, 1, 1), PSI_E_MALFORMED);
	CU_ASSERT_EQUAL(read_cert(&c, (const uint8_t *)"\x30\x00", 2, 1, 1), PSI_E_MALFORMED);
	CU_ASSERT_EQUAL(
		read_cert(&c, (const uint8_t *)"\x3f\x81\x01\x00", 4, 1, 1), PSI_E_UNSUPPORTED);
	CU_ASSERT_EQUAL(read_cert(&c, NULL, 0, 1, 1), PSI_E_SHORT);
	/* the error is sticky, hashing goes on */
	psi_x509_begin(reader, &c);
	CU_ASSERT_EQUAL(psi_x509_push(reader, (const uint8_t *)"\x05", 1), PSI_OK);
	CU_ASSERT_EQUAL(psi_x509_push(reader, (const uint8_t *)"\x00", 1), PSI_E_MALFORMED);
	CU_ASSERT_EQUAL(psi_x509_push(reader, (const uint8_t *)"abc", 3), PSI_E_MALFORMED);
	CU_ASSERT_EQUAL(psi_x509_end(reader), PSI_E_MALFORMED);
	/* printf '\x05\x00abc' | sha1sum */
	expect_hex(c.sha1, 20, "7a94aa90e12f166a59ae3b365ffd5c056eace44a");
	CU_ASSERT_EQUAL(c.len, 5);
}

/* ---- the table of object identifiers ---- */

/* The row's dots, encoded anew (X.690 section 8.19), are the row's bytes; and back. */
static void
check_oid(const char *der, size_t len, const char *dots)
{
	uint8_t out[64];
	size_t at = 0;
	char back[64];
	char *s;
	unsigned long arc = strtoul(dots, &s, 10) * 40;

	arc += strtoul(s + 1, &s, 10);
	for (;;) {
		int n = 1;

		while (arc >> (7 * n))
			n++;
		while (n--)
			out[at++] = (uint8_t)((arc >> (7 * n) & 0x7f) | (n ? 0x80 : 0));
		if (*s != '.')
			break;
		arc = strtoul(s + 1, &s, 10);
	}
	CU_ASSERT(at == len && memcmp(out, der, len) == 0);
	x_oid_dots((const uint8_t *)der, (uint32_t)len, back, sizeof(back));
	CU_ASSERT_STRING_EQUAL(back, dots);
}

static void
test_oid_table(void)
{
	unsigned int rows = 0;

#define ROW(der, dots)                         \
	check_oid(der, sizeof(der) - 1, dots); \
	rows++;
#define ATTR(der, dots, name) ROW(der, dots) CU_ASSERT(sizeof(name) <= sizeof(reader->attr));
#define SIGALG(der, dots, name) \
	ROW(der, dots) CU_ASSERT(sizeof(name) <= sizeof(((struct psi_x509 *)0)->sigalg));
#define KEYALG(der, dots, type, bits, set) \
	ROW(der, dots) CU_ASSERT(sizeof(set) <= sizeof(((struct psi_x509 *)0)->curve));
#define CURVE(der, dots, name, bits) \
	ROW(der, dots) CU_ASSERT(sizeof(name) <= sizeof(((struct psi_x509 *)0)->curve));
#define EXT(der, dots, what) ROW(der, dots)
#define EKU(der, dots, bit)  ROW(der, dots)
#include "oids.def"
	CU_ASSERT(rows > 200);
}

static void
test_oid_odd(void)
{
	char out[64], tiny[8];

	/* 2.25.UUID: an arc of 128 bits, 2^128 - 1 */
	x_oid_dots((const uint8_t *)"\x69\x83\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
				    "\xff\xff\xff\xff\x7f",
		20, out, sizeof(out));
	CU_ASSERT_STRING_EQUAL(out, "2.25.340282366920938463463374607431768211455");
	x_oid_dots((const uint8_t *)"\x88\x37", 2, out, sizeof(out)); /* X.690 8.19.5: 2.999 */
	CU_ASSERT_STRING_EQUAL(out, "2.999");
	x_oid_dots((const uint8_t *)"\x2a\x80\x01", 3, out, sizeof(out)); /* padded arc */
	CU_ASSERT_STRING_EQUAL(out, "#2A8001");
	x_oid_dots((const uint8_t *)"\x2a\x86", 2, out, sizeof(out)); /* cut arc */
	CU_ASSERT_STRING_EQUAL(out, "#2A86");
	x_oid_dots((const uint8_t *)"\x2a\x03\x04\x05\x06", 5, tiny, sizeof(tiny));
	CU_ASSERT_STRING_EQUAL(tiny, "1.2.3.4");
}

/* ---- chains ---- */

static struct psi_x509 kept[4];

static int
read_chain(struct psi_x509_chain *c, const struct buf *b, uint32_t step, uint32_t max)
{
	psi_x509_chain_begin(c, reader, kept, max);
	for (size_t at = 0; at < b->len; at += step) {
		uint32_t n = (uint32_t)PSI_MIN(step, b->len - at);
		uint8_t *p = exact(b->p + at, n);

		psi_x509_chain_push(c, p, n);
		free(p);
	}
	return psi_x509_chain_end(c);
}

static void
put_cert(struct buf *b, const uint8_t *p, size_t len)
{
	uint8_t h[3] = {(uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len};

	raw(b, h, 3);
	raw(b, p, len);
}

static void
put_list_len(struct buf *b, size_t len)
{
	memmove(b->p + 3, b->p, b->len);
	b->p[0] = (uint8_t)(len >> 16);
	b->p[1] = (uint8_t)(len >> 8);
	b->p[2] = (uint8_t)len;
	b->len += 3;
}

static void
test_chain(void)
{
	static struct buf b, plain;
	struct psi_x509_chain c;

	make(&plain, &(struct made){0});
	b.len = 0;
	put_cert(&b, cert_rich, sizeof(cert_rich));
	for (int i = 0; i < 5; i++)
		put_cert(&b, plain.p, plain.len);
	put_list_len(&b, b.len);
	for (uint32_t step = 1; step < b.len + 200; step = step * 2 + 1) {
		CU_ASSERT_EQUAL(read_chain(&c, &b, step, 4), PSI_OK);
		CU_ASSERT_EQUAL(c.cnt, 6);
		CU_ASSERT_EQUAL(c.kept, 4);
		expect_rich(&kept[0]);
		CU_ASSERT(kept[3].err == PSI_OK && kept[3].len == plain.len &&
			  kept[3].key_type == PSI_KEY_ED25519);
		CU_ASSERT_EQUAL(read_chain(&c, &b, step, 0), PSI_OK);
		CU_ASSERT(c.cnt == 6 && c.kept == 0);
	}
}

static void
expect_broken(const struct buf *b, int rc, uint32_t cnt, int last)
{
	struct psi_x509_chain c;

	for (uint32_t step = 1; step < b->len + 200; step = step * 2 + 1) {
		CU_ASSERT_EQUAL(read_chain(&c, b, step, 4), rc);
		CU_ASSERT_EQUAL(c.cnt, cnt);
		CU_ASSERT_EQUAL(c.kept, cnt);
		if (cnt)
			CU_ASSERT_EQUAL(kept[cnt - 1].err, last);
	}
}

static void
test_chain_broken(void)
{
	static struct buf b, plain;

	make(&plain, &(struct made){0});
	b.len = 0;
	expect_broken(&b, PSI_E_SHORT, 0, 0); /* nothing */
	put_list_len(&b, 0);
	expect_broken(&b, PSI_OK, 0, 0); /* a client without a certificate */
	raw(&b, "x", 1);
	expect_broken(&b, PSI_E_MALFORMED, 0, 0); /* bytes behind the list */

	b.len = 0;
	put_cert(&b, plain.p, plain.len);
	put_list_len(&b, b.len - 9); /* the certificate is longer than the list */
	b.len -= 9;
	expect_broken(&b, PSI_E_MALFORMED, 1, PSI_E_SHORT);

	b.len = 0;
	put_cert(&b, plain.p, plain.len);
	raw(&b, "\0\0", 2); /* two bytes are no length */
	put_list_len(&b, b.len);
	expect_broken(&b, PSI_E_MALFORMED, 1, PSI_OK);

	b.len = 0;
	put_cert(&b, plain.p, plain.len);
	put_list_len(&b, b.len);
	b.len -= 5; /* broke off within the certificate */
	expect_broken(&b, PSI_E_SHORT, 1, PSI_E_SHORT);

	b.len = 0;
	put_cert(&b, plain.p, 0); /* an empty one, then a good one */
	put_cert(&b, plain.p, plain.len);
	put_list_len(&b, b.len);
	expect_broken(&b, PSI_OK, 2, PSI_OK);
	CU_ASSERT_EQUAL(kept[0].err, PSI_E_SHORT);
}

static CU_TestInfo x509_tests[] = {
	{"a certificate reads the same whole and in any split", test_whole_and_split},
	{"one that breaks off anywhere leaves what was read", test_broken_off_anywhere},
	{"nothing is allocated per certificate", test_no_allocation},
	{"names are escaped as RFC 4514 says", test_names_escape},
	{"names with hostile UTF-8 come out as valid UTF-8", test_names_hostile_utf8},
	{"every string type becomes UTF-8", test_names_string_types},
	{"RDNs come last first, unknown types as hex", test_names_structure},
	{"a long name loses its least specific end", test_names_cut},
	{"a long value is cut between characters", test_names_long_value},
	{"times in every form", test_times},
	{"keys of every kind", test_keys},
	{"a malformed key costs only the key", test_key_malformed},
	{"a malformed extension costs only itself", test_extensions_malformed},
	{"notes of extensions", test_extensions_notes},
	{"names beyond the bound are counted", test_san_cut},
	{"serials and lengths", test_serials},
	{"the outer form", test_outer_form},
	{"object identifiers: bytes and dots agree", test_oid_table},
	{"odd object identifiers", test_oid_odd},
	{"a chain in any split", test_chain},
	{"a broken chain says so", test_chain_broken},
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo psi_unit_suites[] = {
	{.pName = "x509",
		.pInitFunc = open_reader,
		.pCleanupFunc = close_reader,
		.pTests = x509_tests},
	CU_SUITE_INFO_NULL,
};
