/* SPDX-License-Identifier: BSD-3-Clause */
/* Expected texts are written by hand: escapes from RFC 8259 section 7, addresses from RFC 5952, times from date(1).
 * The bulk of the JSON writer is held against a slow twin in tests/replay/test_events.py. */
#include "psi_unit.h"

#include "export_pvt.h"
#include "json_pvt.h"
#include "psi_export.h"

#include <stdio.h>

static uint64_t mem[PSI_EVENT_MAX / 8];
static char text[PSI_JSON_MAX];

/* ---- strings ---- */

struct str_case {
	const char *in;
	size_t len;
	const char *want;
};
#define S(in, want)                      \
	{                                \
		in, sizeof(in) - 1, want \
	}

static const struct str_case json_cases[] = {
	S("", "\"\""), S("example.com", "\"example.com\""), S("a\"b\\c/", "\"a\\\"b\\\\c/\""),
	S("a\0b", "\"a\\u0000b\""), S("\n\r\t\x1b[31m", "\"\\u000a\\u000d\\u0009\\u001b[31m\""),
	S("\x7f", "\"\\u007f\""),
	S("\xc2\x9b"
	  "31m",
		"\"\\u009b31m\""), /* C1 CSI */
	S("\xe2\x80\xa8\xe2\x80\xa9", "\"\\u2028\\u2029\""), S("\xe2\x80\xae", "\"\\u202e\""),
	S("\xf3\xa0\x81\x81", "\"\\udb40\\udc41\""), /* U+E0041, invisible, as a surrogate pair */
	S("b\xc3\xbc\xf0\x9f\x98\x80", "\"b\xc3\xbc\xf0\x9f\x98\x80\""),
	/* Not UTF-8: every byte of the ill-formed sequences of Unicode 15, table 3-8 and its neighbours, by itself */
	S("\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41",
		"\"\\\\xc0\\\\xaf\\\\xe0\\\\x80\\\\xbf\\\\xf0\\\\x81\\\\x82A\""),
	S("\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41",
		"\"\\\\xed\\\\xa0\\\\x80\\\\xed\\\\xbf\\\\xbf\\\\xed\\\\xaf"
		"A\""),
	S("\xf4\x91\x92\x93\xff\x41\x80\xbf\x42", "\"\\\\xf4\\\\x91\\\\x92\\\\x93\\\\xff"
						  "A\\\\x80\\\\xbf"
						  "B\""),
	S("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41",
		"\"\\\\xe1\\\\x80\\\\xe2\\\\xf0\\\\x91\\\\x92\\\\xf1\\\\xbf"
		"A\""),
	S("a\xc3", "\"a\\\\xc3\""),
	S("\xba\xad",
		"\"\\\\xba\\\\xad\""), /* a protocol name of two bytes, as some clients offer it */
};

static void
test_json_strings(void)
{
	for (size_t i = 0; i < PSI_COUNT(json_cases); i++) {
		const struct str_case *c = &json_cases[i];
		uint8_t *in = exact(c->in, c->len);
		size_t at = 0, want = strlen(c->want);
		char *out = malloc(want);

		CU_ASSERT(psi_json_str(out, want, &at, in, c->len));
		CU_ASSERT_EQUAL(at, want);
		if (memcmp(out, c->want, want) != 0)
			printf("\ncase %zu: %.*s\n", i, (int)want, out);
		CU_ASSERT(memcmp(out, c->want, want) == 0);
		for (size_t cap = 0; cap < want; cap++) {
			char *small = malloc(cap + 1);

			at = 0;
			CU_ASSERT_FALSE(psi_json_str(small, cap, &at, in, c->len));
			CU_ASSERT_EQUAL(at, 0);
			free(small);
		}
		free(out);
		free(in);
	}
}

/* What is plain is copied 16 bytes at a time where the event goes on behind it, and one by one at its end. */
static void
test_json_anywhere(void)
{
	static const struct {
		char byte;
		const char *want;
	} special[] = {{'"', "\\\""}, {'\\', "\\\\"}, {0, "\\u0000"}, {0x1f, "\\u001f"},
		{0x7f, "\\u007f"}, {(char)0x80, "\\\\x80"}, {' ', " "}, {'~', "~"}};

	for (size_t c = 0; c < PSI_COUNT(special); c++)
		for (size_t len = 1; len <= 40; len++)
			for (size_t pos = 0; pos < len; pos++) {
				char name[41], want[128], out[400];
				struct psi_event_w w;
				size_t n = (size_t)sprintf(want, "\"%.*s%s%.*s\"", (int)pos,
					"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
					special[c].want, (int)(len - pos - 1),
					"0123456789012345678901234567890123456789");
				size_t at = 0;
				int all;

				memcpy(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
					pos);
				name[pos] = special[c].byte;
				memcpy(name + pos + 1, "0123456789012345678901234567890123456789",
					len - pos - 1);
				CU_ASSERT(psi_json_str(out, sizeof(out), &at, name, len));
				CU_ASSERT(at == n && memcmp(out, want, n) == 0);
				psi_event_begin(&w, mem, sizeof(mem), PSI_EVENT_TLS_FLOW);
				psi_event_put_bytes(&w, PSI_F_TLS_SNI, name, len);
				psi_event_put_str(&w, PSI_F_TLS_ALPN, "\x01\x01\x01\x01");
				all = psi_json_event(
					psi_event_end(&w, 0, 0), text, sizeof(text) - 1);
				CU_ASSERT_FATAL(all > 0);
				text[all] = '\0';
				CU_ASSERT(strstr(text, want) != NULL);
			}
}

static void
test_clean_text(void)
{
	static const struct {
		struct str_case c;
		unsigned int max, cols;
	} cases[] = {
		{S("example.com", "example.com"), 20, 11},
		{S("example.com", "example.com"), 11, 11}, {S("example.com", "example.c…"), 10, 10},
		{S("example.com", "…"), 1, 1}, {S("example.com", ""), 0, 0}, {S("", ""), 0, 0},
		{S("\x1b[31m", "\\x1B[31m"), 20, 8},
		{S("\x1b[31m", "…"), 4, 1}, /* an escape is never cut in two */
		{S("a\\x1B", "a\\x5Cx1B"), 20, 8}, {S("\xc2\x9b", "\\xC2\\x9B"), 20, 8},
		{S("\xff\xe2\x80", "\\xFF\\xE2\\x80"), 20, 12},
		{S("\xe2\x80\xae", "\\xE2\\x80\\xAE"), 20, 12},
		{S("例え.jp", "例え.jp"), 7, 7}, /* two columns each */
		{S("例え.jp", "例え.…"), 6, 6}, {S("例え.jp", "例…"), 4, 3},
		{S("e\xcc\x81x", "e\xcc\x81x"), 2, 2}, /* a combining mark takes none */
	};
	char out[128];

	for (size_t i = 0; i < PSI_COUNT(cases); i++) {
		uint8_t *in = exact(cases[i].c.in, cases[i].c.len);
		unsigned int cols =
			psi_text_clean(out, 4 * cases[i].max + 4, cases[i].max, in, cases[i].c.len);

		if (strcmp(out, cases[i].c.want) != 0)
			printf("\ncase %zu: %s\n", i, out);
		CU_ASSERT_STRING_EQUAL(out, cases[i].c.want);
		CU_ASSERT_EQUAL(cols, cases[i].cols);
		CU_ASSERT_EQUAL(text_cols(out), cols);
		free(in);
	}
}

/* Whatever the bytes, the columns and the room: printable, within both bounds, NUL-terminated. */
static void
test_clean_bounds(void)
{
	static const char all[] = "a\xcc\x81\xcc\x81\xcc\x81\x1b\xff例\\😀\xe2\x80\xae\xcc\x81z";

	for (size_t cap = 1; cap < 64; cap++)
		for (unsigned int max = 0; max < 40; max++) {
			char *out = malloc(cap);
			unsigned int cols = psi_text_clean(out, cap, max, all, sizeof(all) - 1);
			const uint8_t *p = (uint8_t *)out, *end;
			uint32_t cp;

			CU_ASSERT(memchr(out, 0, cap) != NULL);
			CU_ASSERT(cols <= max && text_cols(out) == cols);
			for (end = p + strlen(out); p < end; p += utf8_next(p, end, &cp))
				CU_ASSERT(*p >= 0x20 && *p != 0x7f);
			free(out);
		}
}

static void
test_cut_text(void)
{
	static const struct {
		const char *in;
		unsigned int cols;
		const char *middle, *tail;
	} cases[] = {
		{"www.example.com", 15, "www.example.com", "www.example.com"},
		{"www.example.com", 10, "www…le.com", "www.examp…"},
		{"www.example.com", 2, "…m", "w…"},
		{"www.example.com", 1, ".", "…"},
		{"www.example.com", 0, "", ""},
		{"例え例え例え", 8, "例…例え", "例え例…"},
		{"abc", 2, "…", "a"},
	};

	for (size_t i = 0; i < PSI_COUNT(cases); i++) {
		char s[64];
		unsigned int cols;

		strcpy(s, cases[i].in);
		cols = text_middle(s, cases[i].cols);
		CU_ASSERT_STRING_EQUAL(s, cases[i].middle);
		CU_ASSERT(cols == text_cols(s) && cols <= cases[i].cols);
		strcpy(s, cases[i].in);
		cols = text_tail(s, cases[i].cols);
		CU_ASSERT_STRING_EQUAL(s, cases[i].tail);
		CU_ASSERT(cols == text_cols(s) && cols <= cases[i].cols);
	}
}

/* ---- numbers ---- */

static const char *
ip(const char *hex, size_t len)
{
	static char out[64];
	uint8_t a[16] = {0};

	for (size_t i = 0; i < len; i++) {
		unsigned int b;

		sscanf(hex + 2 * i, "%2x", &b);
		a[i] = (uint8_t)b;
	}
	out[fmt_ip(out, a, len)] = '\0';
	return out;
}

static void
test_addresses(void)
{
	CU_ASSERT_STRING_EQUAL(ip("c0000201", 4), "192.0.2.1");
	CU_ASSERT_STRING_EQUAL(ip("ffffffff", 4), "255.255.255.255");
	CU_ASSERT_STRING_EQUAL(ip("00000000000000000000000000000000", 16), "::");
	CU_ASSERT_STRING_EQUAL(ip("00000000000000000000000000000001", 16), "::1");
	CU_ASSERT_STRING_EQUAL(ip("20010db8000000000000000000000000", 16), "2001:db8::");
	/* RFC 5952 section 4.2: one zero group is not shortened; the longest run is; the first of two equal ones */
	CU_ASSERT_STRING_EQUAL(ip("20010db8000000010001000100010001", 16), "2001:db8:0:1:1:1:1:1");
	CU_ASSERT_STRING_EQUAL(ip("20010000000000010000000000000001", 16), "2001:0:0:1::1");
	CU_ASSERT_STRING_EQUAL(ip("20010db8000000000001000000000001", 16), "2001:db8::1:0:0:1");
	CU_ASSERT_STRING_EQUAL(ip("00000000000000000000ffffc0000201", 16), "::ffff:192.0.2.1");
	CU_ASSERT_STRING_EQUAL(ip("ffffffffffffffffffffffffffffffff", 16),
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
}

static const char *
stamp(uint64_t ns)
{
	static char out[64];

	out[fmt_time(out, ns)] = '\0';
	return out;
}

static const char *
date(int64_t s)
{
	static char out[64];

	out[fmt_date(out, s)] = '\0';
	return out;
}

static void
test_times(void)
{
	char out[32];

	/* date -u -d @SECONDS +%FT%T */
	CU_ASSERT_STRING_EQUAL(stamp(0), "1970-01-01T00:00:00.000000Z");
	CU_ASSERT_STRING_EQUAL(stamp(951782399999999999), "2000-02-28T23:59:59.999999Z");
	CU_ASSERT_STRING_EQUAL(stamp(951782400000001000), "2000-02-29T00:00:00.000001Z");
	CU_ASSERT_STRING_EQUAL(stamp(1700000000123456789), "2023-11-14T22:13:20.123456Z");
	CU_ASSERT_STRING_EQUAL(stamp(UINT64_MAX), "2554-07-21T23:34:33.709551Z");
	CU_ASSERT_STRING_EQUAL(date(-1), "1969-12-31T23:59:59");
	CU_ASSERT_STRING_EQUAL(date(-2208988800), "1900-01-01T00:00:00");
	CU_ASSERT_STRING_EQUAL(date(4107542400), "2100-03-01T00:00:00");
	CU_ASSERT_STRING_EQUAL(date(253402300799), "9999-12-31T23:59:59");
	CU_ASSERT_STRING_EQUAL(date(INT64_MAX), "9999-12-31T23:59:59");
	CU_ASSERT_STRING_EQUAL(date(INT64_MIN), "0000-03-01T00:00:00");
	out[fmt_u64(out, UINT64_MAX)] = '\0';
	CU_ASSERT_STRING_EQUAL(out, "18446744073709551615");
	CU_ASSERT_EQUAL(fmt_u64(out, 0), 1);
}

/* ---- JSON ---- */

/* A flow with one of nearly everything. */
static struct psi_event *
a_flow(void)
{
	static const uint8_t src[] = {192, 0, 2, 1},
			     dst[] = {[0] = 0x20, 0x01, 0x0d, 0xb8, [15] = 1};
	static const uint8_t serial[] = {0x36, 0xf7}, sha1[] = {0x8f, 0x51};
	static const uint16_t lens[] = {19, 69};
	struct psi_event_w w;

	psi_event_begin(&w, mem, sizeof(mem), PSI_EVENT_TLS_FLOW);
	psi_event_put_f64(&w, PSI_F_CONFIDENCE, 0.9);
	psi_event_put_u64(&w, PSI_F_CLASS, PSI_CLASS_UNKNOWN_CA);
	psi_event_put_u64(&w, PSI_F_FLOW_ID, 7);
	psi_event_put_bytes(&w, PSI_F_SRC_IP, src, sizeof(src));
	psi_event_put_u64(&w, PSI_F_SRC_PORT, 50000);
	psi_event_put_bytes(&w, PSI_F_DEST_IP, dst, 16);
	psi_event_put_u64(&w, PSI_F_DEST_PORT, 443);
	psi_event_put_u64(&w, PSI_F_TLS_VERSION, 0x0303);
	psi_event_put_u64(&w, PSI_F_TLS_CIPHER, 0xc02f);
	psi_event_put_u64(&w, PSI_F_TLS_GROUP, 0xfefe); /* without a name */
	psi_event_put_str(&w, PSI_F_TLS_JA3, "abc");
	psi_event_put_bytes(&w, PSI_F_TLS_SERIAL, serial, sizeof(serial));
	psi_event_put_bytes(&w, PSI_F_TLS_FINGERPRINT, sha1, sizeof(sha1));
	psi_event_put_u64(&w, PSI_F_TLS_NOTBEFORE, 0);
	psi_event_open(&w, PSI_F_TLS_CHAIN);
	psi_event_put_bytes(&w, PSI_F_CERT_SPKI_SHA256, "foob", 4); /* RFC 4648 section 10 */
	psi_event_put_u64(&w, PSI_F_CERT_CA, 0);
	psi_event_close(&w);
	psi_event_open(&w, PSI_F_TLS_CHAIN);
	psi_event_close(&w);
	psi_event_put_u64(&w, PSI_F_TLS_CERT_STATUS, 0);
	psi_event_put_u64(&w, PSI_F_FLAGS, PSI_FLAG_VALID | PSI_FLAG_ALERT_SEEN);
	psi_event_put_u64(&w, PSI_F_MESSAGES, PSI_MSG_CLIENT_HELLO | PSI_MSG_CLIENT_ALERT);
	psi_event_open(&w, PSI_F_ALERTS);
	psi_event_put_str(&w, PSI_F_ALERT_DIR, "c2s");
	psi_event_put_u64(&w, PSI_F_ALERT_CODE, 48);
	psi_event_close(&w);
	psi_event_put_u16s(&w, PSI_F_RECORDS_C2S, lens, 2);
	return psi_event_end(&w, 12, 1700000000123456789);
}

static const char flow_json[] =
	"{\"timestamp\":\"2023-11-14T22:13:20.123456Z\",\"event_type\":\"tls_flow\",\"seq\":12,\"flow_id\":7,"
	"\"src_ip\":\"192.0.2.1\",\"src_port\":50000,\"dest_ip\":\"2001:db8::1\",\"dest_port\":443,"
	"\"tls\":{\"version\":\"TLS 1.2\",\"version_id\":\"0x0303\","
	"\"cipher\":\"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\",\"cipher_id\":\"0xc02f\",\"group_id\":\"0xfefe\","
	"\"ja3\":{\"hash\":\"abc\"},\"serial\":\"36:F7\",\"fingerprint\":\"8f:51\","
	"\"notbefore\":\"1970-01-01T00:00:00\",\"chain\":[{\"spki_sha256\":\"Zm9vYg==\",\"ca\":false},{}],"
	"\"cert_status\":[\"NOT_CHECKED\"]},"
	"\"ssl_flow\":{\"flags\":[\"VALID\",\"ALERT_SEEN\"],\"flags_hex\":\"0x0000000100000001\","
	"\"messages\":[\"CLIENT_ALERT\",\"CLIENT_HELLO\"],\"messages_hex\":\"0x0000000a\"},"
	"\"alerts\":[{\"dir\":\"c2s\",\"code\":48,\"name\":\"unknown_ca\"}],\"records\":{\"c2s\":[19,69]},"
	"\"verdict\":{\"class\":\"unknown_ca\",\"confidence\":0.9}}\n";

static void
test_json_event(void)
{
	struct psi_event *e = a_flow();
	int n = psi_json_event(e, text, sizeof(text));

	CU_ASSERT_EQUAL_FATAL(n, (int)sizeof(flow_json) - 1);
	if (memcmp(text, flow_json, (size_t)n) != 0)
		printf("\n%.*s", n, text);
	CU_ASSERT(memcmp(text, flow_json, (size_t)n) == 0);
	for (int cap = 0; cap < n; cap++)
		CU_ASSERT_EQUAL(psi_json_event(e, text, (size_t)cap), PSI_E_LIMIT);
	CU_ASSERT_EQUAL(psi_json_event(e, text, (size_t)n), n);
}

static void
test_json_other_events(void)
{
	static const char stats[] =
		"{\"timestamp\":\"1970-01-01T00:00:00.000000Z\",\"event_type\":\"stats\",\"seq\":1,"
		"\"ledger\":{\"packets\":-3},\"counters\":{\"pkt_rx\":10,\"pkt_tcp\":13},"
		"\"workers\":[{\"worker\":0,\"counters\":{\"pkt_rx\":10}}]}\n";
	static const char gap[] =
		"{\"timestamp\":\"1970-01-01T00:00:00.000000Z\",\"event_type\":\"gap\",\"seq\":0,\"truncated\":true}\n";
	struct psi_event_w w;
	struct psi_event *e;
	int n;

	psi_event_begin(&w, mem, sizeof(mem), PSI_EVENT_STATS);
	psi_event_put_count(&w, PSI_F_STATS_COUNTERS, "pkt_rx", 10);
	psi_event_open(&w, PSI_F_STATS_WORKERS);
	psi_event_put_u64(&w, PSI_F_WORKER_ID, 0);
	psi_event_put_count(&w, PSI_F_WORKER_COUNTERS, "pkt_rx", 10);
	psi_event_close(&w);
	psi_event_put_count(&w, PSI_F_STATS_COUNTERS, "pkt_tcp", 13);
	psi_event_put_u64(&w, PSI_F_STATS_LOST_PKTS, (uint64_t)-3);
	n = psi_json_event(psi_event_end(&w, 1, 0), text, sizeof(text));
	CU_ASSERT(n == (int)sizeof(stats) - 1 && memcmp(text, stats, (size_t)n) == 0);

	/* A field of another kind of event is passed over. */
	psi_event_begin(&w, mem, sizeof(mem), PSI_EVENT_GAP);
	psi_event_put_str(&w, PSI_F_TLS_SNI, "x");
	e = psi_event_end(&w, 0, 0);
	e->flags = PSI_EVENT_CUT;
	n = psi_json_event(e, text, sizeof(text));
	CU_ASSERT(n == (int)sizeof(gap) - 1 && memcmp(text, gap, (size_t)n) == 0);
}

/* The longest event there can be, of the bytes that grow most, fits PSI_JSON_MAX. */
static void
test_json_max(void)
{
	static uint8_t bytes[60000];
	struct psi_event_w w;
	int n;

	psi_event_begin(&w, mem, sizeof(mem), PSI_EVENT_TLS_FLOW);
	psi_event_put_bytes(&w, PSI_F_TLS_SNI, bytes, sizeof(bytes));
	n = psi_json_event(psi_event_end(&w, 0, 0), text, sizeof(text));
	CU_ASSERT(n > 6 * (int)sizeof(bytes));

	psi_event_begin(&w, mem, sizeof(mem), PSI_EVENT_TLS_FLOW);
	for (int i = 0; i < PSI_EVENT_MAX / 12; i++) {
		psi_event_open(&w, PSI_F_ALERTS);
		psi_event_put_u64(&w, PSI_F_ALERT_CODE, 113); /* the longest name */
		psi_event_close(&w);
	}
	n = psi_json_event(psi_event_end(&w, 0, 0), text, sizeof(text));
	CU_ASSERT(n > 4 * 60000);
}

/* An event whose chain is one certificate, told apart by i. */
static struct psi_event *
a_chain(uint64_t i)
{
	static const uint8_t filling[200];
	struct psi_event_w w;

	psi_event_begin(&w, mem, sizeof(mem), PSI_EVENT_TLS_FLOW);
	psi_event_put_u64(&w, PSI_F_FLOW_ID, i);
	psi_event_open(&w, PSI_F_TLS_CHAIN);
	psi_event_put_bytes(&w, PSI_F_CERT_SERIAL, &i, sizeof(i));
	psi_event_put_bytes(&w, PSI_F_CERT_SHA256, filling, sizeof(filling));
	psi_event_close(&w);
	return psi_event_end(&w, i, 0);
}

/* A writer that remembers writes what one does that does not: new ones, those that come again, and those that came
 * long ago. */
static void
test_json_remembered(void)
{
	static char other[PSI_JSON_MAX];
	struct psi_json *j = psi_json_open();

	CU_ASSERT_PTR_NOT_NULL_FATAL(j);
	for (uint64_t i = 0; i < 40000; i++) {
		const struct psi_event *e = a_chain(i % 3 ? i / 7 : i % 30);
		int n = psi_json_event(e, text, sizeof(text));
		int m = psi_json_write(j, e, other, sizeof(other));

		if (n != m || memcmp(text, other, (size_t)n) != 0) {
			CU_FAIL("another text");
			break;
		}
		/* known by now, and still too long */
		if (i % 1000 == 0) {
			CU_ASSERT_EQUAL(psi_json_write(j, e, other, (size_t)n - 1), PSI_E_LIMIT);
			CU_ASSERT_EQUAL(psi_json_write(j, e, other, (size_t)n), n);
			CU_ASSERT(memcmp(text, other, (size_t)n) == 0);
		}
	}
	psi_json_close(j);
}

static void
test_json_memo(void)
{
	static uint8_t bytes[1 << 20];
	struct json_memo_key k = {.kind = 1, .p = bytes, .len = 1000}, other = k;
	struct psi_json *j = psi_json_open();
	const char *found;
	size_t n = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(j);
	CU_ASSERT_PTR_NULL(json_memo_find(j, &k, &n));
	json_memo_add(j, &k, "text", 4);
	found = json_memo_find(j, &k, &n);
	CU_ASSERT_FATAL(found != NULL && n == 4);
	CU_ASSERT(memcmp(found, "text", 4) == 0);
	other.kind = 2;
	CU_ASSERT_PTR_NULL(json_memo_find(j, &other, &n));
	other = k;
	other.len--;
	CU_ASSERT_PTR_NULL(json_memo_find(j, &other, &n));
	bytes[500] = 1;
	CU_ASSERT_PTR_NULL(json_memo_find(j, &k, &n));
	bytes[500] = 0;

	/* What is large beside the store does not drive out what is in it. */
	other = (struct json_memo_key){.kind = 1, .p = bytes, .len = sizeof(bytes)};
	CU_ASSERT_PTR_NULL(json_memo_find(j, &other, &n));
	json_memo_add(j, &other, "large", 5);
	CU_ASSERT_PTR_NULL(json_memo_find(j, &other, &n));

	/* The oldest makes room: 20,000 of 1000 bytes are more than there is. */
	for (uint32_t i = 1; i <= 20000; i++) {
		memcpy(bytes, &i, sizeof(i));
		json_memo_find(j, &k, &n);
		json_memo_add(j, &k, "text", 4);
		found = json_memo_find(j, &k, &n);
		if (!found || n != 4 || memcmp(found, "text", 4) != 0) {
			CU_FAIL("the newest is found");
			break;
		}
	}
	memset(bytes, 0, 4);
	CU_ASSERT_PTR_NULL(json_memo_find(j, &k, &n));
	psi_json_close(j);
}

/* ---- table ---- */

static struct {
	struct psi_table *t;
	FILE *f;
	char *out;
	size_t len;
} tab;

static void
tab_open(unsigned int width, bool all, bool colour)
{
	struct psi_table_config cfg = {.width = width, .all = all, .colour = colour};

	free(tab.out);
	tab.out = NULL;
	cfg.out = tab.f = open_memstream(&tab.out, &tab.len);
	tab.t = psi_table_open(&cfg);
	CU_ASSERT_PTR_NOT_NULL_FATAL(tab.t);
}

static void
tab_row(const char *sni, enum psi_class class, int alert, const char *reason)
{
	static const uint8_t src[] = {192, 0, 2, 1},
			     dst[] = {[0] = 0x20, 0x01, 0x0d, 0xb8, [15] = 1};
	struct psi_event_w w;

	psi_event_begin(&w, mem, sizeof(mem), PSI_EVENT_TLS_FLOW);
	psi_event_put_bytes(&w, PSI_F_SRC_IP, src, sizeof(src));
	psi_event_put_u64(&w, PSI_F_SRC_PORT, 50000);
	psi_event_put_bytes(&w, PSI_F_DEST_IP, dst, 16);
	psi_event_put_u64(&w, PSI_F_DEST_PORT, sni ? 443 : 8443);
	psi_event_put_u64(&w, PSI_F_FLOW_START, 1700000000123456789);
	psi_event_put_str(&w, PSI_F_TLS_SNI, sni);
	psi_event_put_u64(&w, PSI_F_TLS_VERSION, 0x0303);
	psi_event_put_str(&w, PSI_F_SEQUENCE, "CsxnL");
	if (alert >= 0) {
		psi_event_open(&w, PSI_F_ALERTS);
		psi_event_put_str(&w, PSI_F_ALERT_DIR, "c2s");
		psi_event_put_u64(&w, PSI_F_ALERT_CODE, (uint64_t)alert);
		psi_event_close(&w);
	}
	psi_event_put_u64(&w, PSI_F_CLASS, class);
	psi_event_put_f64(&w, PSI_F_CONFIDENCE, 0.9);
	psi_event_put_str(&w, PSI_F_REASON, reason);
	psi_table_event(tab.t, psi_event_end(&w, 0, 0));
}

static void
tab_close(void)
{
	psi_table_finish(tab.t);
	psi_table_close(tab.t);
	fclose(tab.f);
}

static void
test_table_wide(void)
{
	tab_open(0, true, false);
	tab_row("a.example", PSI_CLASS_UNKNOWN_CA, 48, "Because of this.");
	tab_row(NULL, PSI_CLASS_NORMAL, 0, "Went through.");
	tab_close();
	CU_ASSERT(strstr(tab.out, "Messages, upper case from the client:  c client_hello") != NULL);
	*strstr(tab.out, "\nMessages") = '\0';
	CU_ASSERT_STRING_EQUAL(tab.out,
		"TIME          CLIENT           HOST                TLS  MESSAGES  ALERT                 VERDICT         REASON\n"
		"22:13:20.123  192.0.2.1:50000  a.example           1.2  CsxnL     client 48 unknown_ca  unknown_ca 90%  Because of this.\n"
		"22:13:20.123  192.0.2.1:50000  [2001:db8::1]:8443  1.2  CsxnL                           normal 90%      Went through.\n");
}

static void
test_table_narrow(void)
{
	tab_open(60, true, false);
	tab_row("a.example", PSI_CLASS_UNKNOWN_CA, 48,
		"Because of this, and a sentence that is longer.");
	tab_row(NULL, PSI_CLASS_NORMAL, 0, "Went through.");
	tab_row("b.example", PSI_CLASS_UNKNOWN_CA, 48, "Because of unknown_ca.");
	tab_close();
	*strstr(tab.out, "\nMessages, ") = '\0';
	CU_ASSERT_STRING_EQUAL(tab.out,
		"CLIENT     HOST                TLS  VERDICT\n"
		"192.0.2.1  a.example           1.2  unknown_ca 90%\n"
		"    CsxnL · client 48 unknown_ca · Because of this, and a\n"
		"    sentence that is longer.\n"
		"192.0.2.1  [2001:db8::1]:8443  1.2  normal 90%\n"
		"192.0.2.1  b.example           1.2  unknown_ca 90%\n"
		"    CsxnL · Because of unknown_ca.\n");
}

/* At every width from 50 columns on, no line is longer, whatever the names. */
static void
test_table_fits(void)
{
	char name[256];

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	for (unsigned int width = 50; width < 260; width += 3) {
		char *line, *save = NULL;

		tab_open(width, true, false);
		tab_row(name, PSI_CLASS_CERTIFICATE_UNSUPPORTED, 113,
			"A reason of a few words, and one_that_is_very_long.");
		tab_row("例え.テスト.example\x1b[31m\xff", PSI_CLASS_PINNED, -1, "");
		tab_close();
		CU_ASSERT_PTR_NULL(strchr(tab.out, 0x1b));
		for (line = strtok_r(tab.out, "\n", &save); line;
			line = strtok_r(NULL, "\n", &save)) {
			if (text_cols(line) > width)
				printf("\n%u: %s\n", width, line);
			CU_ASSERT(text_cols(line) <= width);
			CU_ASSERT_NOT_EQUAL(line[strlen(line) - 1], ' ');
		}
	}
}

static void
test_table_selects(void)
{
	tab_open(0, false, false);
	tab_row("a.example", PSI_CLASS_NORMAL, -1, "");
	tab_row("b.example", PSI_CLASS_NORMAL, -1, "");
	tab_close();
	CU_ASSERT_STRING_EQUAL(tab.out, "2 flows went through, not listed.\n");
	tab_open(0, false, false);
	tab_close();
	CU_ASSERT_STRING_EQUAL(tab.out, "No TLS connection was seen.\n");
	tab_open(0, false, true);
	tab_row("a.example", PSI_CLASS_PINNED, -1, "");
	tab_close();
	CU_ASSERT_PTR_NOT_NULL(strstr(tab.out, "\033[1;35mpinned 90%\033[0m\n"));
}

/* Beyond the bound rows come at once, each once, under one heading. */
static void
test_table_many(void)
{
	unsigned int rows = 0, headings = 0;
	char name[32];

	tab_open(0, true, false);
	for (int i = 0; i < PSI_TABLE_ROWS_MAX + 10; i++) {
		snprintf(name, sizeof(name), "host%d.example", i);
		tab_row(name, PSI_CLASS_PINNED, -1, "");
		if (i == PSI_TABLE_ROWS_MAX) {
			fflush(tab.f);
			CU_ASSERT_PTR_NOT_NULL(strstr(tab.out, "host4096.example"));
		}
	}
	tab_close();
	for (const char *p = tab.out; (p = strstr(p, "host")); p++)
		rows++;
	for (const char *p = tab.out; (p = strstr(p, "CLIENT")); p++)
		headings++;
	CU_ASSERT_EQUAL(rows, PSI_TABLE_ROWS_MAX + 10);
	CU_ASSERT_EQUAL(headings, 1);
}

static void
test_ledger(void)
{
	uint64_t sum[PSI_STAT_CNT] = {0}, classes[PSI_CLASS_CNT] = {0};
	struct psi_ledger l = {.sum = sum, .flows_alive = 2, .classes = classes};
	FILE *f;

	sum[PSI_STAT_pkt_rx] = 1234567;
	sum[PSI_STAT_pkt_tcp] = 1234560;
	sum[PSI_STAT_pkt_udp] = 7;
	sum[PSI_STAT_flow_opened] = 12;
	sum[PSI_STAT_flow_closed_fin] = 10;
	sum[PSI_STAT_rec_made] = 3;
	sum[PSI_STAT_rec_taken] = 3;
	sum[PSI_STAT_seg_early] = 5;
	classes[PSI_CLASS_PINNED] = 1;
	free(tab.out);
	f = open_memstream(&tab.out, &tab.len);
	CU_ASSERT(psi_ledger_print(f, &l));
	fclose(f);
	CU_ASSERT_STRING_EQUAL(tab.out,
		"TLS flows: 1 reported\n"
		"             1  pinned                   the client pins another certificate than the one it was shown\n"
		"Packets: 1,234,567 received, balanced\n"
		"     1,234,560  TCP packets given to a flow, or needing none\n"
		"             7  UDP packets, counted and left alone\n"
		"Flows: 12 opened, balanced\n"
		"            10  ended by FIN from both sides\n"
		"             2  alive\n"
		"Flow records: 3 made, balanced\n"
		"             3  flow records taken by the collector\n"
		"Of these:\n"
		"             5  segments that arrived before their turn and were held\n");

	sum[PSI_STAT_pkt_rx]++;
	sum[PSI_STAT_rec_taken]++;
	l.classes = NULL;
	l.verbose = true;
	free(tab.out);
	f = open_memstream(&tab.out, &tab.len);
	CU_ASSERT_FALSE(psi_ledger_print(f, &l));
	fclose(f);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(tab.out, "Packets: 1,234,568 received, NOT BALANCED: 1 unaccounted for\n"));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(tab.out, "Flow records: 3 made, NOT BALANCED: 1 accounted for twice\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(tab.out, "             0  "));
	free(tab.out);
	tab.out = NULL;
}

static CU_TestInfo text_tests[] = {
	{"JSON strings", test_json_strings},
	{"a special character anywhere", test_json_anywhere},
	{"clean text", test_clean_text},
	{"clean text keeps to its bounds", test_clean_bounds},
	{"text is cut in the middle and at its end", test_cut_text},
	{"addresses", test_addresses},
	{"times and numbers", test_times},
	CU_TEST_INFO_NULL,
};

static CU_TestInfo json_tests[] = {
	{"a flow is these bytes, or does not fit", test_json_event},
	{"stats and gap", test_json_other_events},
	{"the longest event fits", test_json_max},
	{"remembered texts are the same", test_json_remembered},
	{"the memory of texts", test_json_memo},
	CU_TEST_INFO_NULL,
};

static CU_TestInfo table_tests[] = {
	{"wide", test_table_wide},
	{"narrow", test_table_narrow},
	{"no line is wider than the terminal", test_table_fits},
	{"flows that went through, and colour", test_table_selects},
	{"more rows than are kept", test_table_many},
	{"the ledger", test_ledger},
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo psi_unit_suites[] = {
	{.pName = "export: text", .pTests = text_tests},
	{.pName = "export: JSON", .pTests = json_tests},
	{.pName = "export: table and ledger", .pTests = table_tests},
	CU_SUITE_INFO_NULL,
};
