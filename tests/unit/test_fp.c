/* SPDX-License-Identifier: BSD-3-Clause */
/* Expected values: the examples published with JA3 (Salesforce) and JA4 (FoxIO); beyond those, strings written out by
 * hand from the descriptions and hashed with `printf '%s' STRING | openssl md5` (or sha256). */
#include "psi_unit.h"

#include "psi_tls_fp.h"

#define LIST(...) ((const uint16_t[]){__VA_ARGS__}), sizeof((const uint16_t[]){__VA_ARGS__}) / 2

static void
start(struct psi_tls *t, uint16_t version)
{
	memset(t, 0, sizeof(*t));
	t->messages = PSI_MSG_CLIENT_HELLO;
	t->hello.version = version;
	t->hello.lists_end = 1;
}

static void
fill(struct psi_tls *t, enum psi_tls_list l, const uint16_t *v, size_t cnt)
{
	struct psi_tls_hello *h = &t->hello;

	h->list[l].at = h->v_cnt;
	h->list[l].cnt = (uint16_t)cnt;
	memcpy(h->v + h->v_cnt, v, cnt * sizeof(*v));
	h->v_cnt += (uint16_t)cnt;
}

static void
alpn(struct psi_tls *t, const void *p, size_t len)
{
	t->client_alpns[0] = (uint8_t)len;
	memcpy(t->client_alpns + 1, p, len);
	t->alpn_len = (uint8_t)(len + 1);
}

/* chrome: the hello of FoxIO's example, GREASE in every list that Chrome puts one in. */
static void
chrome(struct psi_tls *t)
{
	start(t, 0x0303);
	fill(t, PSI_TLS_L_CIPHERS,
		LIST(0x8a8a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8,
			0xc013, 0xc014, 0x009c, 0x009d, 0x002f, 0x0035));
	fill(t, PSI_TLS_L_EXTENSIONS,
		LIST(0x3a3a, 0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005,
			0x0023, 0x0012, 0x002b, 0xff01, 0x000b, 0x000a, 0x0015, 0xfafa));
	fill(t, PSI_TLS_L_GROUPS, LIST(0xdada, 29, 23, 24));
	fill(t, PSI_TLS_L_POINT_FORMATS, LIST(0));
	fill(t, PSI_TLS_L_SIGALGS,
		LIST(0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601));
	fill(t, PSI_TLS_L_VERSIONS, LIST(0x6a6a, 0x0304, 0x0303));
	alpn(t, "h2", 2);
}

static void
is_ja4(const struct psi_tls *t, const char *want)
{
	char *out = malloc(PSI_JA4_MAX);

	CU_ASSERT_EQUAL(psi_tls_ja4(t, out), PSI_OK);
	CU_ASSERT_STRING_EQUAL(out, want);
	free(out);
}

static void
is_ja3(const struct psi_tls *t, const char *str, const char *md5)
{
	char *out = malloc(PSI_JA3_STR_MAX), hash[33];

	CU_ASSERT_EQUAL(psi_tls_ja3(t, out, hash), PSI_OK);
	CU_ASSERT_STRING_EQUAL(out, str);
	CU_ASSERT_STRING_EQUAL(hash, md5);
	free(out);
}

static void
test_grease(void)
{
	int cnt = 0;

	for (uint32_t v = 0; v <= UINT16_MAX; v++)
		cnt += psi_tls_is_grease((uint16_t)v);
	CU_ASSERT_EQUAL(cnt, 16); /* RFC 8701 section 2 lists sixteen */
	CU_ASSERT(psi_tls_is_grease(0x0a0a));
	CU_ASSERT(psi_tls_is_grease(0xfafa));
	CU_ASSERT_FALSE(psi_tls_is_grease(0x0a1a));
	CU_ASSERT_FALSE(psi_tls_is_grease(0x0b0b));
}

static void
test_ja3_published(void)
{
	struct psi_tls t;

	start(&t, 769);
	fill(&t, PSI_TLS_L_CIPHERS, LIST(47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4));
	fill(&t, PSI_TLS_L_EXTENSIONS, LIST(0, 10, 11));
	fill(&t, PSI_TLS_L_GROUPS, LIST(23, 24, 25));
	fill(&t, PSI_TLS_L_POINT_FORMATS, LIST(0));
	is_ja3(&t, "769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0",
		"ada70206e40642a3e4461f35503241d5");
	start(&t, 769);
	fill(&t, PSI_TLS_L_CIPHERS, LIST(4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99));
	is_ja3(&t, "769,4-5-10-9-100-98-3-6-19-18-99,,,", "de350869b8c85de67a350c8d186f11e6");
}

static void
test_ja3_drops_grease_everywhere(void)
{
	struct psi_tls t;

	chrome(&t);
	is_ja3(&t,
		"771,4865-4866-4867-49195-49199-49196-49200-52393-52392-49171-49172-156-157-47-53,"
		"27-0-51-16-17513-23-45-13-5-35-18-43-65281-11-10-21,29-23-24,0",
		"c000e2caf3a25423f9de6c8a4b12a975");
}

static void
test_ja3s(void)
{
	struct psi_tls t = {.messages = PSI_MSG_SERVER_HELLO,
		.version = 769,
		.cipher = 47,
		.server_ext = {65281, 0, 11, 35, 5, 16},
		.server_ext_cnt = 6};
	char str[PSI_JA3_STR_MAX], md5[33];

	CU_ASSERT_EQUAL(psi_tls_ja3s(&t, str, md5), PSI_OK);
	CU_ASSERT_STRING_EQUAL(str, "769,47,65281-0-11-35-5-16");
	CU_ASSERT_STRING_EQUAL(md5, "836ce314215654b5b1f85f97c73e506f");
	/* TLS 1.3: the version field stays at 771. Hashed with openssl. */
	t = (struct psi_tls){.messages = PSI_MSG_SERVER_HELLO,
		.version = 0x0304,
		.cipher = 0x1302,
		.server_ext = {43, 51},
		.server_ext_cnt = 2};
	CU_ASSERT_EQUAL(psi_tls_ja3s(&t, str, md5), PSI_OK);
	CU_ASSERT_STRING_EQUAL(str, "771,4866,43-51");
	CU_ASSERT_STRING_EQUAL(md5, "15af977ce25de452b96affa2addb1036");
	/* Draft 18 put its own number there and had no extension for it. */
	t = (struct psi_tls){.messages = PSI_MSG_SERVER_HELLO,
		.version = 0x0304,
		.version_raw = 0x7f12,
		.cipher = 0x1301,
		.server_ext = {40},
		.server_ext_cnt = 1};
	CU_ASSERT_EQUAL(psi_tls_ja3s(&t, str, md5), PSI_OK);
	CU_ASSERT_STRING_EQUAL(str, "32530,4865,40");
}

static void
test_ja4_published(void)
{
	struct psi_tls t;

	chrome(&t);
	is_ja4(&t, "t13d1516h2_8daaf6152771_e5627efa2ab1");
	/* The same hello without server_name and ALPN: fewer extensions, and the same hashes. */
	t.hello.list[PSI_TLS_L_EXTENSIONS].cnt = 0;
	fill(&t, PSI_TLS_L_EXTENSIONS,
		LIST(0x001b, 0x0033, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023, 0x0012, 0x002b,
			0xff01, 0x000b, 0x000a, 0x0015));
	t.alpn_len = 0;
	is_ja4(&t, "t13i151400_8daaf6152771_e5627efa2ab1");
}

/* prefix: the first part of the JA4 of t as it stands. */
static const char *
prefix(const struct psi_tls *t)
{
	static char out[PSI_JA4_MAX];

	CU_ASSERT_EQUAL(psi_tls_ja4(t, out), PSI_OK);
	out[strcspn(out, "_")] = 0;
	return out;
}

/* The five two-byte and one-byte examples are those of FoxIO's text on JA4. */
static void
test_ja4_alpn(void)
{
	static const struct {
		const char *name;
		uint8_t len;
		const char *want;
	} row[] = {
		{"h2", 2, "h2"},
		{"http/1.1", 8, "h1"},
		{"h", 1, "hh"},
		{"\xab", 1, "ab"},
		{"\xab\xcd", 2, "ad"},
		{"\x30\xab", 2, "3b"},
		{"\x30\x31\xab\xcd", 4, "3d"},
		{"\x30\xab\xcd\x31", 4, "01"},
		{"\xba\xad", 2, "bd"},
		{"a/", 2, "6f"},
		{"@a", 2, "41"},
		{"", 0, "00"},
	};
	struct psi_tls t;

	for (size_t i = 0; i < PSI_COUNT(row); i++) {
		chrome(&t);
		alpn(&t, row[i].name, row[i].len);
		CU_ASSERT_STRING_EQUAL(prefix(&t) + 8, row[i].want);
	}
	chrome(&t);
	t.client_alpns[0] = 200; /* a name that is longer than what was kept */
	CU_ASSERT_STRING_EQUAL(prefix(&t) + 8, "00");
}

static void
test_ja4_versions(void)
{
	static const struct {
		uint16_t version;
		const char *want;
	} row[] = {
		{0x0304, "13"},
		{0x0303, "12"},
		{0x0302, "11"},
		{0x0301, "10"},
		{0x0300, "s3"},
		{0x0002, "s2"},
		{0x7f1c, "00"},
		{0x0305, "00"},
		{0, "00"},
	};
	struct psi_tls t;

	for (size_t i = 0; i < PSI_COUNT(row); i++) {
		char want[11];

		start(&t, row[i].version);
		snprintf(want, sizeof(want), "t%si000000", row[i].want);
		CU_ASSERT_STRING_EQUAL(prefix(&t), want);
	}
	/* The extension outdoes the field, and its highest value counts, wherever it stands. */
	start(&t, 0x0303);
	fill(&t, PSI_TLS_L_VERSIONS, LIST(0x0301, 0x0302, 0xfafa));
	CU_ASSERT_STRING_EQUAL(prefix(&t), "t11i000000");
}

static void
test_ja4_empty_and_many(void)
{
	struct psi_tls t;
	uint16_t many[120];

	start(&t, 0x0303);
	is_ja4(&t, "t12i000000_000000000000_000000000000");
	/* Nothing but server_name and ALPN: counted, and nothing left to hash. */
	fill(&t, PSI_TLS_L_EXTENSIONS, LIST(0, 16));
	is_ja4(&t, "t12d000200_000000000000_000000000000");
	/* GREASE alone is nothing. */
	start(&t, 0x0303);
	fill(&t, PSI_TLS_L_CIPHERS, LIST(0x0a0a, 0x1a1a));
	is_ja4(&t, "t12i000000_000000000000_000000000000");
	/* No signature algorithms: no '_' behind the extensions. SHA-256 of "000a,0017". */
	start(&t, 0x0303);
	fill(&t, PSI_TLS_L_EXTENSIONS, LIST(0x17, 0x0a));
	is_ja4(&t, "t12i000200_000000000000_c5fbb8d9fc5a");
	start(&t, 0x0303);
	for (uint16_t i = 0; i < 120; i++)
		many[i] = (uint16_t)(0xc000 + i);
	fill(&t, PSI_TLS_L_CIPHERS, many, 120);
	fill(&t, PSI_TLS_L_EXTENSIONS, many, 100);
	CU_ASSERT_STRING_EQUAL(prefix(&t), "t12i999900");
}

static void
test_full_hello_fits(void)
{
	struct psi_tls t;
	char *str = malloc(PSI_JA3_STR_MAX), *ja4 = malloc(PSI_JA4_MAX), md5[33];
	uint16_t five[PSI_TLS_LIST_MAX]; /* five digits each */

	for (size_t i = 0; i < PSI_COUNT(five); i++)
		five[i] = (uint16_t)(61000 + i);
	start(&t, 65535);
	fill(&t, PSI_TLS_L_CIPHERS, five, PSI_TLS_LIST_MAX);
	CU_ASSERT_EQUAL(psi_tls_ja3(&t, str, md5), PSI_OK);
	/* version, comma, 512 values and 511 dashes, three commas */
	CU_ASSERT_EQUAL(strlen(str), 5 + 1 + 512 * 5 + 511 + 3);
	CU_ASSERT_EQUAL(psi_tls_ja4(&t, ja4), PSI_OK);
	start(&t, 65535);
	fill(&t, PSI_TLS_L_EXTENSIONS, five, PSI_TLS_LIST_MAX / 2);
	fill(&t, PSI_TLS_L_SIGALGS, five, PSI_TLS_LIST_MAX / 2);
	CU_ASSERT_EQUAL(psi_tls_ja4(&t, ja4), PSI_OK);
	CU_ASSERT_EQUAL(strlen(ja4), 36);
	free(ja4);
	free(str);
}

static void
test_refused(void)
{
	struct psi_tls t;
	char str[PSI_JA3_STR_MAX], md5[33], ja4[PSI_JA4_MAX];

	chrome(&t);
	t.note = PSI_TLS_HELLO_CUT;
	CU_ASSERT_EQUAL(psi_tls_ja3(&t, str, md5), PSI_E_LIMIT);
	CU_ASSERT_EQUAL(psi_tls_ja4(&t, ja4), PSI_E_LIMIT);
	t.note = PSI_TLS_SSL2_HELLO;
	CU_ASSERT_EQUAL(psi_tls_ja3(&t, str, md5), PSI_E_UNSUPPORTED);
	CU_ASSERT_EQUAL(psi_tls_ja4(&t, ja4), PSI_E_UNSUPPORTED);
	t.note = 0;
	t.hello.lists_end = 0;
	CU_ASSERT_EQUAL(psi_tls_ja3(&t, str, md5), PSI_E_SHORT);
	CU_ASSERT_EQUAL(psi_tls_ja4(&t, ja4), PSI_E_SHORT);
	t.hello.lists_end = 1;
	t.messages = 0;
	CU_ASSERT_EQUAL(psi_tls_ja3(&t, str, md5), PSI_E_UNSUPPORTED);
	CU_ASSERT_EQUAL(psi_tls_ja3s(&t, str, md5), PSI_E_UNSUPPORTED);
	CU_ASSERT_EQUAL(psi_tls_ja4(&t, ja4), PSI_E_UNSUPPORTED);
}

/* One byte short of its cipher list, of its compression methods, and whole: the parser says how far it came. */
static void
test_broken_hello(void)
{
	/* version, random, no session id, cipher list of 2 bytes, 1 compression method; the length grows from row to row */
	static const struct {
		uint8_t len;
		int rc;
	} row[] = {{38, PSI_E_SHORT}, {39, PSI_E_SHORT}, {41, PSI_OK}};
	char str[PSI_JA3_STR_MAX], md5[33];
	struct psi_tls *t = malloc(sizeof(*t));
	uint32_t skip;

	for (size_t i = 0; i < PSI_COUNT(row); i++) {
		uint8_t b[5 + 4 + 41] = {
			22, 3, 1, 0, (uint8_t)(4 + row[i].len), 1, 0, 0, row[i].len, 3, 3};

		b[9 + 36] =
			2; /* bytes of the cipher list; its high byte and the session id's length are 0 */
		b[9 + 37] = 0x13;
		b[9 + 38] = 0x01;
		b[9 + 39] = 1;
		psi_tls_init(t);
		psi_tls_push(t, 0, b, 9u + row[i].len, 1, NULL, NULL, &skip);
		CU_ASSERT(t->messages & PSI_MSG_CLIENT_HELLO);
		CU_ASSERT_EQUAL(psi_tls_ja3(t, str, md5), row[i].rc);
		if (!row[i].rc)
			CU_ASSERT_STRING_EQUAL(str, "771,4865,,,");
	}
	free(t);
}

static CU_TestInfo tests[] = {
	{"GREASE", test_grease},
	{"JA3: published examples", test_ja3_published},
	{"JA3: no GREASE in any list", test_ja3_drops_grease_everywhere},
	{"JA3S", test_ja3s},
	{"JA4: published example", test_ja4_published},
	{"JA4: ALPN", test_ja4_alpn},
	{"JA4: versions", test_ja4_versions},
	{"JA4: empty and many", test_ja4_empty_and_many},
	{"a full hello fits", test_full_hello_fits},
	{"a hello that breaks off", test_broken_hello},
	{"no fingerprint", test_refused},
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo psi_unit_suites[] = {
	{.pName = "fp", .pTests = tests},
	CU_SUITE_INFO_NULL,
};
